"""Gates side by side: the slices of one sum, each with a sigmoid or a tanh."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...core.primitive import registry
from .steps import Instruction, Step, Value, depending, make, uses

ADD, SUBTRACT, MULTIPLY = registry["add"], registry["subtract"], registry["multiply"]
LINEAR, MATMUL, SPLIT = registry["linear"], registry["matmul"], registry["split"]
SIGMOID, TANH = registry["sigmoid"], registry["tanh"]

Users = dict[Value, list[Instruction]]


class Arranged(NamedTuple):
    """A captured weight with its rows in another order."""

    value: Value
    original: Value
    rows: np.ndarray
    axis: int


class Scaled(NamedTuple):
    """A weight with its rows multiplied, for the forward code."""

    value: Value
    original: Value
    scale: np.ndarray
    axis: int


class _Place(NamedTuple):
    """Where a weight stands in a sum of products, and the axis and the first row of the sum."""

    instruction: Instruction
    argument: int
    axis: int
    start: int

    @property
    def weight(self) -> Value:
        found: Value = self.instruction.arguments[self.argument]
        return found


class _Gates(NamedTuple):
    """The parts of a split, by their activations."""

    sigmoids: list[int]
    tanhs: list[int]
    sizes: list[int]
    activated: list[Instruction]

    def values(self, parts: Sequence[int]) -> list[Value]:
        return [self.activated[k].results[0] for k in parts]


def joint_sums(step: Step) -> None:
    """``σ(a_r + b_r)``, ``σ(a_z + b_z)``, of slices that lie side by side, as one sum."""
    used, outside = uses(step.code), {*step.new, step.y}
    sums: dict[tuple[Instruction, Instruction], list[tuple[int, Instruction]]] = {}
    for add in [i for i in step.code if i.operation is ADD]:
        makers = [v.maker for v in add.values()]
        if len(makers) != 2 or not all(m is not None and m.operation is SPLIT for m in makers):
            continue
        first, second = makers
        assert first is not None
        assert second is not None
        place = first.results.index(add.arguments[0])
        users = used.get(add.results[0], [])
        alone = all(len(used[v]) == 1 for v in add.values()) and len(users) == 1
        if (
            first is not second
            and alone
            and outside.isdisjoint((add.results[0], *add.values()))
            and users[0].operation in (SIGMOID, TANH)
            and second.results.index(add.arguments[1]) == place
        ):
            sums.setdefault((first, second), []).append((place, add))
    for (first, second), found in sums.items():
        for run in _runs(sorted(found, key=lambda each: each[0])):
            _join(step, first, second, run)


def _runs(found: list[tuple[int, Instruction]]) -> list[list[Instruction]]:
    """Those side by side, where there are several."""
    runs: list[list[Instruction]] = []
    before = None
    for place, add in found:
        if before is None or place != before + 1:
            runs.append([])
        runs[-1].append(add)
        before = place
    return [run for run in runs if len(run) > 1]


def _join(step: Step, first: Instruction, second: Instruction, adds: list[Instruction]) -> None:
    width = sum(add.results[0].shape[-1] for add in adds)
    shape, dtype = (*adds[0].results[0].shape[:-1], width), adds[0].results[0].dtype
    parts = []
    for split, place in ((first, 0), (second, 1)):
        old = [add.arguments[place] for add in adds]
        whole = Value(shape, dtype, maker=split)
        at = split.results.index(old[0])
        split.results[at : at + len(old)] = [whole]
        sizes = np.cumsum([r.shape[-1] for r in split.results])[:-1]
        split.arguments[1] = tuple(int(n) for n in sizes)
        parts.append(whole)
    total = make(ADD, parts, [shape], dtype)
    results = [add.results[0] for add in adds]
    bounds = tuple(int(n) for n in np.cumsum([r.shape[-1] for r in results])[:-1])
    place = step.code.index(adds[0])
    step.code = [i for i in step.code if i not in adds]
    last = max(step.code.index(split) for split in (first, second))
    place = max(min(place, len(step.code)), last + 1)
    step.code[place:place] = [
        total,
        Instruction(SPLIT, [total.results[0], bounds, -1], results),
    ]


def ordered_gates(step: Step) -> list[Arranged]:
    """Puts the rows of captured weights in the order: σ first, gates of one sum side by side.

    It is done where the parts of a `split`, each with an activation, are a sum of products with
    weights that nothing else reads.
    """
    made: list[Arranged] = []
    used = uses(step.code)
    constants = _constants(step)
    for split in [i for i in step.code if i.operation is SPLIT]:
        gates = _gates(step, split, used)
        if gates is None:
            continue
        order = _order(gates, used)
        places = _products(split.arguments[0], used, {*step.new, step.y}, constants)
        if order == list(range(len(order))) or not places:
            continue
        if any(p.weight.role != "captured" or len(used[p.weight]) > 1 for p in places):
            continue
        ends = np.cumsum([0, *gates.sizes])
        rows = np.concatenate([np.arange(ends[k], ends[k + 1]) for k in order])
        for place in places:
            weight = place.weight
            index = np.arange(weight.shape[place.axis])
            index[place.start : place.start + len(rows)] = place.start + rows
            name = f"{weight.name}_gates" if weight.name else None
            value = Value(weight.shape, weight.dtype, "captured", name)
            made.append(Arranged(value, weight, index, place.axis))
            place.instruction.arguments[place.argument] = value
        split.results[:] = [split.results[k] for k in order]
        sizes = np.cumsum([gates.sizes[k] for k in order])[:-1]
        split.arguments[1] = tuple(int(n) for n in sizes)
        used = uses(step.code)
        constants = _constants(step)
    return made


def _constants(step: Step) -> set[Value]:
    late = depending(step.code, [step.x, *step.state])
    return {v for i in step.code for v in i.values()} - late


def _order(gates: _Gates, used: Users) -> list[int]:
    """σ first, and those last whose products are added to a tanh gate's."""
    sinks = [_sink(user.results[0], used) for user in gates.activated]
    beside = {sinks[k] for k in gates.tanhs}
    first_of = {sink: k for k, sink in reversed(list(enumerate(sinks)))}
    key = [(sinks[k] in beside, first_of[sinks[k]]) for k in range(len(sinks))]
    return [*sorted(gates.sigmoids, key=key.__getitem__), *gates.tanhs]


def _sink(value: Value, used: Users) -> Value:
    """The sum that a value's product goes into, or the last of its products."""
    while True:
        users = used.get(value, [])
        if len(users) != 1 or users[0].operation not in (MULTIPLY, ADD, SUBTRACT):
            return value
        value = users[0].results[0]
        if users[0].operation is not MULTIPLY:
            return value


def one_tanh(step: Step) -> list[Scaled]:
    """One tanh for all gates in the forward code: σ(a) = (1 + tanh(a/2)) / 2.

    The halves of a are taken into the weights that its rows come from. The backward code is as it
    was: it reads the gates alone.
    """
    scales: dict[Value, tuple[np.ndarray, int]] = {}
    places_of: list[_Place] = []
    read = {value for i in step.backward for value in i.values()}
    used = uses(step.code)
    constants = _constants(step)
    for split in [i for i in step.code if i.operation is SPLIT]:
        gates = _gates(step, split, used)
        places = gates and _products(split.arguments[0], used, {*step.new, step.y}, constants)
        if (
            gates is None
            or not places
            or [*gates.sigmoids, *gates.tanhs] != sorted([*gates.sigmoids, *gates.tanhs])
        ):
            continue
        if not read.isdisjoint((split.arguments[0], *split.results)):
            continue
        halved = sum(gates.sizes[k] for k in gates.sigmoids)
        for place in places:
            weight = place.weight
            ones = np.ones(weight.shape[place.axis], weight.dtype)
            scale, _ = scales.setdefault(weight, (ones, place.axis))
            scale[place.start : place.start + halved] *= 0.5
        places_of += places
        _share(step, split, gates)
        used = uses(step.code)
    return _scaled(scales, places_of)


def _scaled(scales: dict[Value, tuple[np.ndarray, int]], places: Sequence[_Place]) -> list[Scaled]:
    made = {}
    for weight, (scale, axis) in scales.items():
        name = weight.name or ("weight" if len(weight.shape) == 2 else "bias")
        value = Value(weight.shape, weight.dtype, "captured", f"{name}_scaled")
        made[weight] = Scaled(value, weight, scale, axis)
    for place in places:
        place.instruction.arguments[place.argument] = made[place.weight].value
    return list(made.values())


def _share(step: Step, split: Instruction, gates: _Gates) -> None:
    """Puts the shared tanh in the place of `split` and the activations of its parts."""
    ary = split.arguments[0]
    whole = Value(ary.shape, ary.dtype, name="gates")
    new = [Instruction(TANH, [ary], [whole])]
    part = whole
    if gates.tanhs:
        halved = sum(gates.sizes[k] for k in gates.sigmoids)
        part = Value((*ary.shape[:-1], halved), ary.dtype)
        new.append(_cut(whole, [part, *gates.values(gates.tanhs)]))
    new.append(make(MULTIPLY, [part, 0.5], [part.shape], ary.dtype))
    half = new[-1].results[0]
    sigmoids = gates.values(gates.sigmoids)
    if len(sigmoids) == 1:
        new.append(Instruction(ADD, [half, 0.5], sigmoids))
    else:
        new.append(make(ADD, [half, 0.5], [part.shape], ary.dtype))
        new.append(_cut(new[-1].results[0], sigmoids))
    place = step.code.index(split)
    dead = [split, *gates.activated]
    step.code[place:] = [*new, *(i for i in step.code[place:] if i not in dead)]


def _cut(value: Value, parts: list[Value]) -> Instruction:
    bounds = tuple(int(n) for n in np.cumsum([part.shape[-1] for part in parts])[:-1])
    return Instruction(SPLIT, [value, bounds, -1], parts)


def _gates(step: Step, split: Instruction, used: Users) -> _Gates | None:
    ary, _, axis = split.arguments
    outside = {*step.new, step.y}
    if axis not in (-1, len(ary.shape) - 1) or len(used[ary]) != 1 or ary in outside:
        return None
    activated = []
    for part in split.results:
        users = used.get(part, [])
        if len(users) != 1 or users[0].operation not in (SIGMOID, TANH) or part in outside:
            return None
        activated.append(users[0])
    sigmoids = [k for k, user in enumerate(activated) if user.operation is SIGMOID]
    tanhs = [k for k, user in enumerate(activated) if user.operation is TANH]
    sizes = [part.shape[-1] for part in split.results]
    return _Gates(sigmoids, tanhs, sizes, activated) if sigmoids else None


def _products(
    value: Value, used: Users, outside: set[Value], constants: set[Value]
) -> list[_Place] | None:
    """The weights that `value` is a sum of products with, or of slices of such; None if not."""
    maker = value.maker
    if maker is None or len(used[value]) != 1 or value in outside:
        return None
    if maker.operation is SPLIT:
        start = sum(r.shape[-1] for r in maker.results[: maker.results.index(value)])
        inner = _products(maker.arguments[0], used, outside, constants)
        return inner and [place._replace(start=place.start + start) for place in inner]
    if maker.operation in (LINEAR, MATMUL):
        axis = 0 if maker.operation is LINEAR else 1
        arguments = maker.arguments
        found = [
            _Place(maker, k, axis if k == 1 else 0, 0)
            for k in range(1, len(arguments))
            if arguments[k] is not None
        ]
        fits = all(p.weight in constants for p in found) and len(arguments[1].shape) == 2
        return found if fits and arguments[0] not in constants else None
    if maker.operation is not ADD or len(maker.values()) != 2:
        return None
    found = []
    for k, part in enumerate(maker.arguments):
        if part in constants and part.shape == value.shape[-1:]:
            found.append(_Place(maker, k, 0, 0))
            continue
        more = _products(part, used, outside, constants)
        if more is None:
            return None
        found += more
    return found


def scaled_activation(step: Step) -> list[tuple[Value, np.ndarray]]:
    """One tanh for all gates where they stand: tanh(a · s) · s + t, with s = t = ½ where σ was.

    Returns:
        The vectors s and t, each with the value that stands for it.
    """
    vectors = []
    for split in [i for i in step.code if i.operation is SPLIT]:
        used = uses(step.code)
        gates = _gates(step, split, used)
        if gates is None:
            continue
        ary = split.arguments[0]
        halves = [0.5 if k in gates.sigmoids else 1.0 for k in range(len(gates.sizes))]
        scale = np.repeat(halves, gates.sizes).astype(ary.dtype)
        s, t = (Value(scale.shape, scale.dtype, "captured", name) for name in ("scale", "shift"))
        vectors += [(s, scale), (t, np.where(scale == 1, 0, scale).astype(ary.dtype))]
        new = [make(MULTIPLY, [ary, s], [ary.shape], ary.dtype)]
        for operation, others in ((TANH, []), (MULTIPLY, [s]), (ADD, [t])):
            arguments = [new[-1].results[0], *others]
            new.append(make(operation, arguments, [ary.shape], ary.dtype))
        place = step.code.index(split)
        step.code[place:place] = new
        split.arguments[0] = new[-1].results[0]
        replaced = {}
        for part, user in zip(split.results, gates.activated, strict=True):
            replaced[user.results[0]] = part
            step.code.remove(user)
        _replace(step, replaced)
    return vectors


def _replace(step: Step, replaced: dict[Value, Value]) -> None:
    """Puts other values in the place of those that are made no more."""
    for instruction in step.code:
        instruction.arguments = [
            replaced.get(a, a) if isinstance(a, Value) else a for a in instruction.arguments
        ]
    step.new = [replaced.get(v, v) for v in step.new]
    step.y = replaced.get(step.y, step.y)
