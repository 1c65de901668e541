"""A single step as straight-line NumPy, for `step` where no graph is wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .capture import UFUNCS, Untraceable, capture
from .gates import scaled_activation
from .names import Names
from .notation import NotWritable, is_view, number, view_edges, written
from .steps import Instruction, Step, Value, leading_to

_WITHOUT_LAYOUT = frozenset({"linear", "matmul", "concatenate", "sigmoid", "relu"})


def single_step(cell: Any, x: Any, state: Any) -> tuple[Callable[..., Any], list[np.ndarray]]:
    """A step of a cell as a function ``f(x, *state, *captured) -> (y, new state)``.

    Returns:
        The function, and the arrays that the cell captured when it was written down.

    Raises:
        ValueError: if there is no notation for it.
    """
    try:
        step = capture(cell, x, state)
        vectors = scaled_activation(step)
        source = _source(step, vectors)
    except (Untraceable, NotWritable) as error:
        raise ValueError(str(error)) from error
    captured = [array for *_, array in step.captured]
    step.let_go()
    space: dict[str, Any] = {"np": np}
    space.update({f"_{k}": vector for k, (_, vector) in enumerate(vectors)})
    exec(compile(source, "<a step of a recurrent cell>", "exec"), space)
    return space["step"], captured


def _source(step: Step, vectors: Sequence[tuple[Value, np.ndarray]]) -> str:
    names = Names({step.x: "x", **{value: f"_{k}" for k, (value, _) in enumerate(vectors)}})
    given = [step.x, *step.state, *(value for value, *_ in step.captured)]
    code = leading_to(step.code, [*step.new, step.y])
    lines = []
    last = {value: k for k, i in enumerate(code) for value in i.values()}
    kept = {*given, *step.new, step.y, *(value for value, _ in vectors)}
    kept.update(i.arguments[0] for i in code if is_view(i))

    def of(value: Any) -> str:
        return names.of(value) if isinstance(value, Value) else number(value)

    for k, instruction in enumerate(code):
        if is_view(instruction):
            source = of(instruction.arguments[0])
            edges = zip(instruction.results, view_edges(instruction), strict=True)
            lines += [f"{of(r)} = {source}[..., {a}:{b}]" for r, (a, b) in edges]
            kept.update(instruction.results)
            continue
        if instruction.operation not in UFUNCS and instruction.name not in _WITHOUT_LAYOUT:
            raise NotWritable(f"{instruction.name} has no notation for a single step")
        out = _free(instruction, kept, last, k)
        if out is not None:
            names.same(instruction.results[0], out)
        target = None if out is None else of(out)
        lines += written(instruction, of, target, features_first=False)
    new = ", ".join(of(value) for value in step.new)
    head = f"def step({', '.join(of(value) for value in given)}):"
    return "\n    ".join([head, *lines, f"return {of(step.y)}, ({new},)"])


def _free(
    instruction: Instruction, kept: set[Value], last: dict[Value, int], place: int
) -> Value | None:
    """An argument that is needed no more, whose memory the result may take."""
    if instruction.operation not in UFUNCS:
        return None
    (result,) = instruction.results
    for value in instruction.values():
        fits = value.shape == result.shape and value.dtype == result.dtype
        if value not in kept and last[value] == place and fits:
            return value
    return None
