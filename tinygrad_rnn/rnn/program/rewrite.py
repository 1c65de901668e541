"""The same step with less work for NumPy, rewritten before it is differentiated."""

from __future__ import annotations

from typing import Any

from ...core.primitive import registry
from .notation import is_view, view_edges
from .steps import Instruction, Step, Value, depending, make, uses

ADD, LINEAR, SPLIT = registry["add"], registry["linear"], registry["split"]


def joint_slices(step: Step) -> None:
    """Slices of the last axis that make up the whole, as one `split`."""
    slices: dict[Value, list[tuple[int, int, Instruction]]] = {}
    for instruction in step.code:
        if instruction.name == "getitem" and is_view(instruction):
            ((start, stop),) = view_edges(instruction)
            slices.setdefault(instruction.arguments[0], []).append((start, stop, instruction))
    for ary, parts in slices.items():
        parts.sort(key=lambda part: part[0])
        starts, stops = [a for a, _, _ in parts], [b for _, b, _ in parts]
        if len(parts) < 2 or starts != [0, *stops[:-1]] or stops[-1] != ary.shape[-1]:
            continue
        takers = [instruction for *_, instruction in parts]
        place = min(step.code.index(taker) for taker in takers)
        whole = Instruction(SPLIT, [ary, tuple(stops[:-1]), -1], [t.results[0] for t in takers])
        step.code = [i for i in step.code if i not in takers]
        step.code.insert(place, whole)


def early_terms(step: Step) -> None:
    """Sums with what doesn't depend on the state first: x W + h U + b as (x W + b) + h U."""
    late = depending(step.code, step.state)
    for add in [i for i in step.code if i.operation is ADD and len(i.values()) == 2]:
        if add not in step.code or add.results[0] not in late:
            continue
        used = uses(step.code)
        users = used.get(add.results[0], [])
        inner = len(users) == 1 and users[0].operation is ADD and len(users[0].values()) == 2
        if inner and add.results[0] not in (*step.new, step.y):
            continue  # a part of a longer sum
        chain = [add]
        terms = _terms(add, used, chain, {*step.new, step.y})
        early = [t for t in terms if t not in late]
        shape = add.results[0].shape
        full = [t for t in early if t.shape == shape]
        if len(terms) < 3 or not full or len(early) == len(terms):
            continue
        ordered = [*full, *(t for t in early if t not in full), *(t for t in terms if t in late)]
        place = step.code.index(add)
        step.code = [i for i in step.code if i not in chain or i is add]
        place = step.code.index(add)
        total = ordered[0]
        for term in ordered[1:-1]:
            step.code.insert(place, make(ADD, [total, term], [shape], add.results[0].dtype))
            total = step.code[place].results[0]
            place += 1
        add.arguments = [total, ordered[-1]]


def _terms(add: Instruction, used: Any, chain: list[Instruction], whole: set[Value]) -> list[Value]:
    """What an addition adds up; additions among its arguments are taken apart, unless `whole`."""
    found: list[Value] = []
    for value in add.values():
        maker = value.maker
        inner = maker is not None and maker.operation is ADD and len(maker.values()) == 2
        alone = value not in whole and len(used[value]) == 1
        if inner and alone and value.shape == add.results[0].shape:
            assert maker is not None
            chain.append(maker)
            found += _terms(maker, used, chain, whole)
        else:
            found.append(value)
    return found


def early_bias(step: Step) -> None:
    """``a + linear(h, W, b)`` as ``(a + b) + linear(h, W)``: the bias is added before the loop.

    It is done where a doesn't depend on the state and h does.
    """
    used = uses(step.code)
    late = depending(step.code, step.state)
    for add in [i for i in step.code if i.operation is ADD and len(i.values()) == 2]:
        early, linear = sorted(add.values(), key=lambda value: value in late)
        maker = linear.maker
        if early in late or linear not in late or early.role in ("x", "captured"):
            continue
        if maker is None or maker.operation is not LINEAR or len(used[linear]) != 1:
            continue
        if linear in (*step.new, step.y) or early in (*step.new, step.y):
            continue
        bias = maker.arguments[2]
        if bias is None or bias in late or len(early.shape) != len(linear.shape):
            continue
        maker.arguments[2] = None
        first = early.maker
        other = first.arguments[2] if first is not None and first.operation is LINEAR else None
        if first is not None and other is not None and len(used[early]) == 1:
            both = make(ADD, [other, bias], [bias.shape], bias.dtype)
            step.code.insert(step.code.index(first), both)
            first.arguments[2] = both.results[0]
            continue
        sooner = make(ADD, [early, bias], [early.shape], early.dtype)
        makers = [value.maker for value in (early, bias) if value.maker is not None]
        place = max((step.code.index(maker) + 1 for maker in makers), default=0)
        step.code.insert(place, sooner)
        add.arguments = [sooner.results[0], linear]
