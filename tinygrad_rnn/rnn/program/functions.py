"""The functions that a step's program consists of, compiled from their source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .definitions import with_definitions
from .differentiate import differentiate
from .emit import Emitter
from .emit_backward import backward
from .emit_forward import forward
from .factored import Factored
from .gates import joint_sums, one_tanh, ordered_gates
from .layout import Function
from .rewrite import early_bias, early_terms, joint_slices
from .steps import Step, Value


class Program:
    """The functions of a step, and their source.

    Args:
        step: as it was written down.
        wanted: whether a gradient is wanted for x, each part of the state, each captured array.
        masked, reverse: see `Emitter`.

    Attributes:
        prepare: ``prepare(*captured) -> (weights for forward, weights for backward)``
        forward: ``forward(*state, x, [real,] weights, y) -> (final state, saved)``; writes to y.
        backward: ``backward(gy, *g_final, saved, x, [real,] weights, gx) -> (g_state, sums)``;
            writes to gx, if a gradient of x is wanted.
        gradients: ``gradients(*sums)``, those of the captured arrays in `places`.
        y_shape: of a step's output.
        batch: how many rows there are.
        of_rows: whether all arrays of a step have the batch as their first axis.
        reaches: for y and each part of the final state, the places of what it depends on; see
            `reach`.
        passes: which parts of the state the cell hands on as they are.
    """

    prepare: Callable[..., Any]
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    gradients: Callable[..., Any]
    reaches: list[frozenset[int]]
    passes: list[bool]

    def __init__(self, step: Step, wanted: Sequence[bool], masked: bool, reverse: bool) -> None:
        originals = [value for value, *_ in step.captured]
        self.differentiable = any(wanted)
        emitter = _emitter(step, wanted if self.differentiable else None, masked, reverse)
        self.y_size = step.y.shape[-1]
        self.y_shape = step.y.shape
        self.batch = step.x.shape[0]
        self.of_rows = True
        self.wants_gx = step.gx is not None
        names = emitter.names
        given = [f"{names.of(state)}0" for state in step.state]
        bodies = {"forward": forward(emitter, keep=self.differentiable)}
        heads = {"forward": emitter.head("forward", given, "y")}
        found: list[Value] = []
        if self.differentiable:
            bodies["backward"], found = backward(emitter)
            given = ["gy", *(f"{names.of(g)}_last" for g in step.gnew), "saved"]
            heads["backward"] = emitter.head("backward", given, "gx")
        made = {each.value: each.original for each in emitter.arranged.values()}
        self.places = [originals.index(made.get(value, value)) for value in found]
        self.source = with_definitions(_source(emitter, bodies, heads, found))
        space = compiled(self.source)
        for name in ("prepare", *bodies, *(["gradients"] if self.differentiable else [])):
            setattr(self, name, space[name])


def _emitter(step: Step, wanted: Sequence[bool] | None, masked: bool, reverse: bool) -> Emitter:
    """The step rewritten, and differentiated if some gradients are wanted."""
    joint_slices(step)
    joint_sums(step)
    arranged = ordered_gates(step)
    early_terms(step)
    early_bias(step)
    made = {each.original: each.value for each in arranged}
    step.captured = [(made.get(v, v), r, a) for v, r, a in step.captured]
    if wanted is not None:
        values = [step.x, *step.state, *(v for v, *_ in step.captured)]
        asked = {v for v, want in zip(values, wanted, strict=True) if want}
        differentiate(step, asked.union(step.state))  # through the state they reach each step
        Factored(step)
    return Emitter(step, arranged, one_tanh(step), masked, reverse)


def _source(
    emitter: Emitter,
    bodies: dict[str, Function],
    heads: dict[str, list[str]],
    found: Sequence[Value],
) -> str:
    prepare = emitter.preparation(bodies)
    texts = ["\n".join(prepare)]
    for name, body in bodies.items():
        texts.append(body.text(heads[name], (name == "backward") != emitter.reverse))
    if "backward" in bodies:
        texts.append("\n".join(emitter.given_back(found)))
    return "\n\n\n".join([*(["\n".join(emitter.once())] if emitter.once() else []), *texts])


def compiled(source: str) -> dict[str, Any]:
    """What a program's source defines."""
    space: dict[str, Any] = {"np": np}
    exec(compile(source, "<program of a recurrent step>", "exec"), space)
    return space
