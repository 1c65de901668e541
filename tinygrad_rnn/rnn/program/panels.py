"""Products of one cotangent, side by side: so that one multiplication makes them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ...core.primitive import registry
from .notation import is_view
from .steps import Instruction, Value

CONCATENATE, MULTIPLY = registry["concatenate"], registry["multiply"]

Slot = tuple[Value, int, int]


class Run(NamedTuple):
    """Products of one base that lie side by side.

    Attributes:
        base: what is multiplied.
        factors, products: the values that hold the factors, and the products.
        rows: of the products, from the first to behind the last.
    """

    base: Value
    members: list[Instruction]
    factors: Value
    products: Value
    rows: tuple[int, int]


@dataclass
class Panels:
    """What the loop of a backward function keeps side by side.

    Attributes:
        slots: of a value made in the loop: the one that it is a part of, and its rows.
        factor_slots: of a factor: the same, in an array for all steps; several if it is used so.
        runs: by the member that comes first in the loop.
        rest: the members that are carried out with the first one of their run.
    """

    slots: dict[Value, Slot] = field(default_factory=dict)
    factor_slots: dict[Value, list[Slot]] = field(default_factory=dict)
    runs: dict[Instruction, Run] = field(default_factory=dict)
    rest: set[Instruction] = field(default_factory=set)


def panels(loop: Sequence[Instruction], late: set[Value]) -> Panels:
    """Finds what to keep side by side.

    Args:
        loop: the instructions of the loop.
        late: what isn't there before the loop.
    """
    made = Panels()
    order = {instruction: k for k, instruction in enumerate(loop)}
    products = _products(loop, late)
    views = {r for i in loop if is_view(i) for r in i.results}
    inside = {r for i in loop for r in i.results}
    joined = [i for i in loop if i.operation is CONCATENATE]
    parts = {v for i in joined for v in i.values()}
    for whole in reversed(joined):
        own = [v for v in whole.values() if v in inside and v not in views and v not in made.slots]
        free = {i: b for i, b in products.items() if i.results[0] not in made.slots}
        rows = _rows(whole, set(own), free, parts, nested=whole.results[0] in made.slots)
        _place(made, whole, rows, set(own), products, order)
    alone: dict[Value, list[Instruction]] = {}
    for instruction, base in products.items():
        if instruction.results[0] not in made.slots:
            alone.setdefault(base, []).append(instruction)
    for base, members in alone.items():
        if len(members) > 1:
            panel = _panel([m.results[0] for m in members])
            _slots(made, panel, [m.results[0] for m in members])
            _add_run(made, base, members, order)
    return made


def _products(loop: Sequence[Instruction], late: set[Value]) -> dict[Instruction, Value]:
    """The products of something late and something early of the same shape; their late factor."""
    found = {}
    for instruction in loop:
        values = instruction.values()
        if instruction.operation is not MULTIPLY or len(values) != 2:
            continue
        bases = [v for v in values if v in late]
        if len(bases) == 1 and all(v.shape == instruction.results[0].shape for v in values):
            found[instruction] = bases[0]
    return found


class _Rows(NamedTuple):
    """What a panel holds: before the concatenation, in it, and after it."""

    front: list[Instruction]
    runs: list[list[Instruction]]
    back: list[Instruction]


def _rows(
    whole: Instruction,
    own: set[Value],
    products: dict[Instruction, Value],
    parts: set[Value],
    nested: bool,
) -> _Rows:
    by_result = {i.results[0]: i for i in products}
    runs: list[list[Instruction]] = []
    before: Value | None = None
    for part in whole.arguments[2:]:
        member = by_result.get(part) if part in own else None
        base = None if member is None else products[member]
        if member is not None:
            if base is not before or not runs:
                runs.append([])
            runs[-1].append(member)
        before = base
    ends = [whole.arguments[2], whole.arguments[-1]]
    first, last = (by_result.get(end) if end in own else None for end in ends)

    def others(member: Instruction | None) -> list[Instruction]:
        if member is None or nested:
            return []
        return [
            i
            for i, base in products.items()
            if base is products[member] and i.results[0] not in parts
        ]

    back = others(last)
    front = [i for i in others(first) if i not in back]
    return _Rows(front, runs, back)


def _place(
    made: Panels,
    whole: Instruction,
    rows: _Rows,
    own: set[Value],
    products: dict[Instruction, Value],
    order: dict[Instruction, int],
) -> None:
    (result,) = whole.results
    start = 0
    for part in whole.arguments[2:]:
        stop = start + part.shape[1]
        if part in own and part not in made.slots:
            made.slots[part] = result, start, stop
        start = stop
    if rows.front or rows.back:
        front, back = ([i.results[0] for i in each] for each in (rows.front, rows.back))
        panel = _panel([*front, result, *back])
        _slots(made, panel, [*front, result, *back])
    runs = [list(run) for run in rows.runs]
    if rows.front:
        runs[0] = [*rows.front, *runs[0]]
    if rows.back:
        runs[-1] = [*runs[-1], *rows.back]
    for run in runs:
        if len(run) > 1:
            _add_run(made, products[run[0]], run, order)


def _panel(parts: Sequence[Value]) -> Value:
    rows = sum(part.shape[1] for part in parts)
    return Value((parts[0].shape[0], rows), parts[0].dtype, name="products")


def _slots(made: Panels, panel: Value, parts: Sequence[Value]) -> None:
    start = 0
    for part in parts:
        made.slots[part] = panel, start, start + part.shape[1]
        start += part.shape[1]


def _outermost(made: Panels, value: Value) -> Slot:
    start, stop = 0, value.shape[1]
    while value in made.slots:
        value, offset, _ = made.slots[value]
        start, stop = start + offset, stop + offset
    return value, start, stop


def _add_run(
    made: Panels, base: Value, members: list[Instruction], order: dict[Instruction, int]
) -> None:
    """One multiplication for some products, whose factors are put side by side as well."""
    factors = [next(v for v in m.values() if v is not base) for m in members]
    holder = Value(_panel(factors).shape, base.dtype, name="factors")
    start = 0
    for factor in factors:
        slot = holder, start, start + factor.shape[1]
        made.factor_slots.setdefault(factor, []).append(slot)
        start += factor.shape[1]
    container, begin, _ = _outermost(made, members[0].results[0])
    rows = begin, begin + start
    first = min(members, key=order.__getitem__)
    made.runs[first] = Run(base, members, holder, container, rows)
    made.rest.update(member for member in members if member is not first)
