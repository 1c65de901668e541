"""The backward code of a step, by the same rules as every other derivative."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core import engine
from ...core.context import Context, current, within
from ...core.graph import Node, Output
from ...core.primitive import wrap
from .capture import Tracer, Untraceable, abstract
from .steps import Instruction, Step, Value, leading_to


def differentiate(step: Step, wanted: set[Value]) -> None:
    """Gives a step its backward code: the cotangents of the values in `wanted`.

    The forward code is run as a graph of Tensors without contents; the engine's walk over it, with
    Tensors as cotangents, is written down.
    """
    now = current()
    leaves: dict[Value, Any] = {}
    tracer = Tracer()
    with within(Context(True, now.scope)), np.errstate(all="ignore"):
        # All as if they were wanted: what isn't, nothing will need.
        tensors = as_graph(step, leaves)
    for value, tensor in tensors.items():
        tracer.bind(tensor._data, value)
        if type(tensor._node) in (Node, Output):
            tracer.bind(tensor._node, value)
    step.gy = Value(step.y.shape, step.y.dtype, "cotangent", "gy")
    step.gnew = [
        Value(v.shape, v.dtype, "cotangent", f"g_{s.name}")
        for v, s in zip(step.new, step.state, strict=True)
    ]
    outputs = [tensors[value] for value in (step.y, *step.new)]
    inputs = [value for value in leaves if leaves[value]._requires_grad]
    with within(Context(True, now.scope, tracer=tracer)), np.errstate(all="ignore"):
        cotangents = [tracer.tensor(value) for value in (step.gy, *step.gnew)]
        moving = [k for k, out in enumerate(outputs) if out._requires_grad]
        found = engine.gradients(
            [outputs[k] for k in moving],
            [leaves[value] for value in inputs],
            [cotangents[k] for k in moving],
            create_graph=True,
        )
    gradients = {
        value: None if g is None else tracer.known(g)
        for value, g in zip(inputs, found, strict=True)
    }
    step.gx = gradients.get(step.x) if step.x in wanted else None
    step.gstate = [gradients.get(value) for value in step.state]
    step.gcaptured = [gradients.get(v) if v in wanted else None for v, *_ in step.captured]
    _skip_copies(step, tracer.code)
    step.backward = leading_to(tracer.code, [step.gx, *step.gstate, *step.gcaptured])


def _skip_copies(step: Step, code: list[Instruction]) -> None:
    """Takes what is copied in place of the copy."""
    replaced: dict[Any, Any] = {}

    def original(value: Any) -> Any:
        return replaced.get(value, value) if isinstance(value, Value) else value

    for instruction in code:
        instruction.arguments = [original(a) for a in instruction.arguments]
        same = instruction.name == "reshape" and (
            instruction.arguments[0].shape == instruction.results[0].shape
        )
        if instruction.name == "copy" or same:
            replaced[instruction.results[0]] = instruction.arguments[0]
    step.gx = original(step.gx)
    step.gstate = [original(g) for g in step.gstate]
    step.gcaptured = [original(g) for g in step.gcaptured]


def as_graph(step: Step, leaves: dict[Value, Any]) -> dict[Value, Any]:
    """The forward code as Tensors; `leaves` receives those that it begins with."""
    tensors: dict[Value, Any] = {}

    def tensor(value: Value) -> Any:
        if value not in tensors:
            if value.role == "made":
                raise Untraceable(f"{value} is used before it is made")
            made = wrap(np.empty(0))
            made._data = abstract(value.shape, value.dtype)
            made._requires_grad = value.dtype.kind == "f"
            tensors[value] = leaves[value] = made
        return tensors[value]

    for value in (step.x, *step.state):
        tensor(value)
    for instruction in step.code:
        arguments = [tensor(a) if isinstance(a, Value) else a for a in instruction.arguments]
        results = instruction.operation(*arguments)
        results = results if isinstance(results, (tuple, list)) else (results,)
        for value, result in zip(instruction.results, results, strict=True):
            result._data = abstract(value.shape, value.dtype)
            tensors[value] = result
    return tensors
