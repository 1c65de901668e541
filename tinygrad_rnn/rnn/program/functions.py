"""The functions that a step's program consists of, compiled from their source."""

from __future__ import annotations

import dis
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...core.errors import GraphError
from .differentiate import differentiate
from .emit import Emitter
from .notation import NotWritable
from .rewrite import Factored, early_bias, early_terms, joint_slices, shared_activation
from .steps import Step, Value


class Program:
    """The forward and backward functions of a step, and their source.

    Args:
        step: as it was written down.
        wanted: whether a gradient is wanted for x, each part of the state, each captured array.
        masked, reverse: see `Emitter`.
    """

    def __init__(self, step: Step, wanted: Sequence[bool], masked: bool, reverse: bool) -> None:
        originals = [value for value, *_ in step.captured]
        joint_slices(step)
        prepared = shared_activation(step)
        early_terms(step)
        early_bias(step)
        made = {original: value for value, original, *_ in prepared}
        step.captured = [(made.get(v, v), r, a) for v, r, a in step.captured]
        self.differentiable = any(wanted)
        if self.differentiable:
            values = [step.x, *step.state, *(v for v, *_ in step.captured)]
            asked = {v for v, want in zip(values, wanted, strict=True) if want}
            differentiate(step, asked.union(step.state))  # through the state they reach each step
            Factored(step)
        emitter = Emitter(step, prepared, masked, reverse)
        self.source = emitter.forward(keep=self.differentiable)
        once = emitter.once()
        results: list[Value] = []
        if self.differentiable:
            backward, results = emitter.backward()
            self.source += "\n\n\n" + backward
        self.places = [originals.index(value) for value in results]
        self.y_size = step.y.shape[-1]
        space: dict[str, Any] = {"np": np}
        if once:
            self.source = "\n".join(once) + "\n\n\n" + self.source
        exec(compile(self.source, "<program of a recurrent step>", "exec"), space)
        for function in (space["forward"], space.get("backward", _no_backward)):
            _check_names(function, space)
        self.forward: Callable[..., Any] = space["forward"]
        self.backward: Callable[..., Any] = space.get("backward", _no_backward)


def _check_names(function: Any, space: dict[str, Any]) -> None:
    """Raises if a function uses a name that nothing defines."""
    asked = {i.argval for i in dis.get_instructions(function) if i.opname == "LOAD_GLOBAL"}
    if unknown := asked - {*space, "zip", "range", "bool", "GraphError"}:
        raise NotWritable(f"the program would use {sorted(unknown)}, which nothing defines")


def _no_backward(*args: Any) -> Any:
    raise GraphError("this program was made without gradients")
