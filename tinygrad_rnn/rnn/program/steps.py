"""A cell's step as data: operations on values that have a shape and no contents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

Role = Literal["x", "state", "captured", "made", "cotangent"]


class Value:
    """An array of a step: what goes in, comes from outside, or is made.

    Attributes:
        shape, dtype: of one step.
        role: where it comes from.
        name: given by the cell, or None.
        maker: the instruction that makes it, or None.
    """

    __slots__ = ("dtype", "maker", "name", "role", "shape")

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: Any,
        role: Role = "made",
        name: str | None = None,
        maker: Instruction | None = None,
    ) -> None:
        self.shape = shape
        self.dtype = dtype
        self.role = role
        self.name = name
        self.maker = maker

    def __repr__(self) -> str:
        return f"<{self.role} {self.name or ''}{self.shape}>"


class Instruction:
    """One operation: its arguments are values, or plain things such as an axis."""

    __slots__ = ("arguments", "operation", "results")

    def __init__(self, operation: Any, arguments: Sequence[Any], results: Sequence[Value]) -> None:
        self.operation = operation
        self.arguments = list(arguments)
        self.results = list(results)
        for value in self.results:
            value.maker = self

    @property
    def name(self) -> str:
        """That of its operation."""
        return str(self.operation.name)

    def values(self) -> list[Value]:
        """The values among its arguments."""
        return [a for a in self.arguments if isinstance(a, Value)]

    def __repr__(self) -> str:
        return f"{self.results} = {self.name}{self.arguments}"


def make(
    operation: Any, arguments: Sequence[Any], shapes: Iterable[tuple[int, ...]], dtype: Any
) -> Instruction:
    """An instruction with new values as its results."""
    return Instruction(operation, arguments, [Value(shape, dtype) for shape in shapes])


@dataclass
class Step:
    """A step of a cell: forward, and backward once it is differentiated.

    Attributes:
        code: the instructions, in order.
        x, state: what goes in.
        new, y: the new state and the output.
        captured: values from outside, such as parameters, each with its record in the graph and
            its array.
        backward: instructions that make the cotangents from `gy` and `gnew`.
        gx, gstate, gcaptured: the cotangents of what goes in; None where there is none.
    """

    code: list[Instruction]
    x: Value
    state: list[Value]
    new: list[Value]
    y: Value
    captured: list[tuple[Value, Any, np.ndarray]]
    backward: list[Instruction] = field(default_factory=list)
    gy: Value | None = None
    gnew: list[Value] = field(default_factory=list)
    gx: Value | None = None
    gstate: list[Value | None] = field(default_factory=list)
    gcaptured: list[Value | None] = field(default_factory=list)
    structure: Any = None  # before it is rewritten

    def let_go(self) -> None:
        """Lets go of what was captured, and of the cycles of values and their makers.

        Otherwise parameters, and graphs they were computed by, would wait for the collector.
        """
        for instruction in (*self.code, *self.backward):
            for value in instruction.results:
                value.maker = None
        self.captured = []


def copy_of(step: Step) -> Step:
    """A step that can be rewritten without a trace in the one it was."""
    copies: dict[Value, Value] = {}

    def copied(value: Any) -> Any:
        if not isinstance(value, Value):
            return value
        if value not in copies:
            copies[value] = Value(value.shape, value.dtype, value.role, value.name)
        return copies[value]

    x, state = copied(step.x), [copied(value) for value in step.state]
    captured = [(copied(value), record, array) for value, record, array in step.captured]
    code = [
        Instruction(i.operation, [copied(a) for a in i.arguments], [copied(r) for r in i.results])
        for i in step.code
    ]
    return Step(code, x, state, [copied(v) for v in step.new], copied(step.y), captured)


def uses(code: Iterable[Instruction]) -> dict[Value, list[Instruction]]:
    """Which instructions use each value."""
    found: dict[Value, list[Instruction]] = {}
    for instruction in code:
        for value in instruction.values():
            found.setdefault(value, []).append(instruction)
    return found


def depending(code: Iterable[Instruction], sources: Iterable[Value | None]) -> set[Value]:
    """The values that depend on `sources`, themselves included."""
    found = {value for value in sources if value is not None}
    for instruction in code:
        if any(value in found for value in instruction.values()):
            found.update(instruction.results)
    return found


def leading_to(code: Sequence[Instruction], wanted: Iterable[Value | None]) -> list[Instruction]:
    """The instructions that `wanted` need, in order."""
    needed = {value for value in wanted if value is not None}
    kept = []
    for instruction in reversed(code):
        if any(value in needed for value in instruction.results):
            kept.append(instruction)
            needed.update(instruction.values())
    return kept[::-1]
