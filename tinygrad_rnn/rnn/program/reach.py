"""Which of the arrays that go into a loop have an influence on which of its results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .steps import Step, Value


def reach(step: Step, wanted: Sequence[bool], masked: bool) -> list[frozenset[int]]:
    """For the outputs and each part of the final state: the places of what they depend on.

    Places are those of x, the parts of the state and the captured arrays, in this order. Only those
    in `wanted` count, and only ways that a gradient takes.

    Args:
        masked: whether the state is held at steps that aren't real.
    """
    given = [step.x, *step.state, *(value for value, *_ in step.captured)]
    sources: dict[Value, frozenset[int]] = {
        value: frozenset((place,)) for place, value in enumerate(given)
    }
    for instruction in step.code:
        found = frozenset[int]().union(
            *(sources.get(value, frozenset()) for value in _differentiable(instruction))
        )
        sources.update((value, found) for value in instruction.results if value.dtype.kind == "f")
    direct = [sources.get(value, frozenset()) for value in step.new]
    if masked:
        direct = [found | {1 + k} for k, found in enumerate(direct)]
    y = sources.get(step.y, frozenset())
    for _ in direct:  # as many steps as it takes at most
        direct = [_earlier(found, direct) for found in direct]
    every = {place for place, want in enumerate(wanted) if want}
    return [found & every for found in (_earlier(y, direct), *direct)]


def _earlier(found: frozenset[int], parts: Sequence[frozenset[int]]) -> frozenset[int]:
    """With what the parts of the state depend on that are in `found`."""
    return found.union(*(part for k, part in enumerate(parts) if 1 + k in found))


def _differentiable(instruction: Any) -> list[Value]:
    """The arguments of an operation that have a derivative."""
    operation, arguments = instruction.operation, instruction.arguments
    names = operation.names
    if len(arguments) != len(names) or names[-1] in operation.rules:
        names = [*names[:-1], *[names[-1]] * (len(arguments) - len(names) + 1)]
    return [
        argument
        for name, argument in zip(names, arguments, strict=True)
        if isinstance(argument, Value) and name in operation.rules
    ]
