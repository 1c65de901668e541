"""The same step with less work for NumPy: rewritten before and after it is differentiated."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np

from ...core.primitive import registry
from .steps import Instruction, Step, Value, depending, leading_to, make, uses

ADD, CONCATENATE = registry["add"], registry["concatenate"]
LINEAR, MULTIPLY, SPLIT = registry["linear"], registry["multiply"], registry["split"]
SIGMOID, TANH = registry["sigmoid"], registry["tanh"]


def shared_activation(step: Step) -> list[tuple[Value, Value, np.ndarray, np.ndarray]]:
    """One tanh for all gates, as σ(a) = (1 + tanh(a/2)) / 2, in place of one σ or tanh for each.

    It is done where the parts of a `split`, each with an activation, are a sum of `linear` of
    captured weights: the weights' rows are put in order (σ first) and halved beforehand.

    Returns:
        For each captured weight: the prepared one, the original, the order of its rows, and by
        what they are multiplied.
    """
    prepared: dict[Value, Value] = {}
    made: list[tuple[Value, Value, np.ndarray, np.ndarray]] = []
    used = uses(step.code)
    for split in [i for i in step.code if i.operation is SPLIT]:
        gates = _gates(step, split, used)
        sums = _linear_sums(split.arguments[0], used) if gates is not None else None
        if gates is None or sums is None:
            continue
        for linear in sums:
            for place in (1, 2):
                weight = linear.arguments[place]
                if weight is None:
                    continue
                if weight not in prepared:
                    name = f"{weight.name}_gates" if weight.name else None
                    prepared[weight] = Value(weight.shape, weight.dtype, "captured", name)
                    made.append((prepared[weight], weight, gates.rows, gates.scale))
                linear.arguments[place] = prepared[weight]
        _share(step, split, gates, used)
        used = uses(step.code)
    return made


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


class _Gates(NamedTuple):
    """The parts of a split in the order σ first, tanh last."""

    sigmoids: list[int]
    tanhs: list[int]
    sizes: list[int]
    activated: list[Instruction]
    rows: np.ndarray
    scale: np.ndarray


def _gates(step: Step, split: Instruction, used: dict[Value, list[Instruction]]) -> _Gates | None:
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
    if not sigmoids:
        return None
    sizes = [part.shape[-1] for part in split.results]
    starts = np.cumsum([0, *sizes])
    order = [*sigmoids, *tanhs]
    rows = np.concatenate([np.arange(starts[k], starts[k + 1]) for k in order])
    halves = [np.full(sizes[k], 0.5 if k in sigmoids else 1.0, ary.dtype) for k in order]
    return _Gates(sigmoids, tanhs, sizes, activated, rows, np.concatenate(halves))


def _linear_sums(value: Value, used: dict[Value, list[Instruction]]) -> list[Instruction] | None:
    """The `linear` instructions of captured weights that `value` is the sum of; else None."""
    maker = value.maker
    if maker is None or len(used[value]) != 1:
        return None
    if maker.operation is LINEAR:
        weights = [a for a in maker.arguments[1:] if a is not None]
        owned = all(w.role == "captured" and len(used[w]) == 1 for w in weights)
        return [maker] if owned else None
    if maker.operation is not ADD or len(maker.values()) != 2:
        return None
    found = [_linear_sums(part, used) for part in maker.values()]
    return None if None in found else [i for part in found for i in part or ()]


def _share(
    step: Step, split: Instruction, gates: _Gates, used: dict[Value, list[Instruction]]
) -> None:
    """Puts the shared tanh in the place of `split` and the activations of its parts."""
    ary = split.arguments[0]
    new = [make(TANH, [ary], [ary.shape], ary.dtype)]
    part = new[0].results[0]
    halves = sum(gates.sizes[k] for k in gates.sigmoids)
    rest = None
    if gates.tanhs:
        sizes = [halves, sum(gates.sizes) - halves]
        new.append(_cut(part, sizes))
        part, rest = new[-1].results
    new.append(make(MULTIPLY, [part, 0.5], [part.shape], ary.dtype))
    new.append(make(ADD, [new[-1].results[0], 0.5], [part.shape], ary.dtype))
    replaced: dict[Value, Value] = {}
    for whole, members in ((new[-1].results[0], gates.sigmoids), (rest, gates.tanhs)):
        if whole is None:
            continue
        parts = [whole]
        if len(members) > 1:
            new.append(_cut(whole, [gates.sizes[k] for k in members]))
            parts = new[-1].results
        for k, value in zip(members, parts, strict=True):
            old = gates.activated[k].results[0]
            value.name = old.name
            replaced[old] = value
    place = step.code.index(split)
    dead = [split, *gates.activated]
    step.code[place:] = [*new, *(i for i in step.code[place:] if i not in dead)]
    _replace(step, replaced)


def _cut(value: Value, sizes: list[int]) -> Instruction:
    *lead, _ = value.shape
    bounds = tuple(int(n) for n in np.cumsum(sizes)[:-1])
    return make(SPLIT, [value, bounds, -1], [(*lead, n) for n in sizes], value.dtype)


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
        bias = maker.arguments[2]
        if bias is None or bias in late or len(early.shape) != len(linear.shape):
            continue
        maker.arguments[2] = None
        sooner = make(ADD, [early, bias], [early.shape], early.dtype)
        makers = [value.maker for value in (early, bias) if value.maker is not None]
        place = max((step.code.index(maker) + 1 for maker in makers), default=0)
        step.code.insert(place, sooner)
        add.arguments = [sooner.results[0], linear]


class _Product(NamedTuple):
    """A cotangent as ``base * factor``; the factor needs no cotangent (None is 1)."""

    base: Value
    factor: Any


class _Joined(NamedTuple):
    """A cotangent as the concatenation of others along the last axis."""

    parts: list[tuple[Any, Value]]
    bounds: tuple[int, ...]


class Factored:
    """The backward code, its elementwise cotangents as a base times a factor.

    Cotangents are linear in those that come in. So a chain of products with what the forward pass
    left becomes one product, with a factor that all steps can have before the loop.
    """

    def __init__(self, step: Step) -> None:
        self.code: list[Instruction] = []
        self._late = depending(step.backward, step.gnew)
        self._forms: dict[Value, Any] = {}
        self._made: dict[Value, Value] = {}
        for instruction in step.backward:
            self._take(instruction)
        wanted = [self._value(g) for g in (step.gx, *step.gstate, *step.gcaptured)]
        code, same = without_repeats(self.code)
        step.gx, *rest = [same.get(g, g) for g in wanted]
        step.gstate, step.gcaptured = rest[: len(step.gstate)], rest[len(step.gstate) :]
        step.backward = leading_to(code, [step.gx, *rest])

    def _take(self, instruction: Instruction) -> None:
        late = [a for a in instruction.values() if a in self._late]
        result = instruction.results[0]
        if late and len(instruction.results) == 1:
            form = self._form_of(instruction, late, result)
            if form is not None:
                self._forms[result] = form
                return
        instruction.arguments = [self._value(a) for a in instruction.arguments]
        self.code.append(instruction)

    def _form_of(self, instruction: Instruction, late: list[Value], result: Value) -> Any:
        arguments, name = instruction.arguments, instruction.name
        if name == "multiply" and len(late) == 1 and late[0].shape == result.shape:
            factor = arguments[1] if arguments[0] is late[0] else arguments[0]
            return self._times(self._form(late[0]), factor, result)
        if name == "negative":
            return self._times(self._form(late[0]), -1.0, result)
        if name == "add" and len(late) == 2 and late[0].shape == late[1].shape:
            return self._sum(self._form(late[0]), self._form(late[1]), result)
        joined = name == "concatenate" and arguments[0] in (-1, len(result.shape) - 1)
        if joined and len(late) == len(arguments) - 2:
            return _Joined([(self._form(part), part) for part in late], arguments[1])
        return None

    def _form(self, value: Value) -> Any:
        return self._forms.get(value) or _Product(value, None)

    def _times(self, form: Any, factor: Any, result: Value) -> Any:
        if isinstance(form, _Product):
            return _Product(form.base, self._product(form.factor, factor, result))
        factors = self._pieces(factor, [part for _, part in form.parts], form.bounds)
        rows = zip(form.parts, factors, strict=True)
        return _Joined([(self._times(f, k, part), part) for (f, part), k in rows], form.bounds)

    def _pieces(self, factor: Any, parts: list[Value], bounds: tuple[int, ...]) -> list[Any]:
        """A factor of a concatenation, cut as it is."""
        if not isinstance(factor, Value) or factor.shape[-1:] in ((), (1,)):
            return [factor] * len(parts)
        shapes = [(*factor.shape[:-1], part.shape[-1]) for part in parts]
        self.code.append(make(SPLIT, [factor, bounds, -1], shapes, factor.dtype))
        return list(self.code[-1].results)

    def _product(self, a: Any, b: Any, result: Value) -> Any:
        if a is None or b is None:
            return b if a is None else a
        if not isinstance(a, Value) and not isinstance(b, Value):
            return a * b
        return self._emit(MULTIPLY, [a, b], result)

    def _sum(self, a: Any, b: Any, result: Value) -> Any:
        """u k + u l as u (k + l)."""
        if not (isinstance(a, _Product) and isinstance(b, _Product)) or a.base is not b.base:
            return None
        if not isinstance(a.factor, Value) or not isinstance(b.factor, Value):
            return None
        return _Product(a.base, self._emit(ADD, [a.factor, b.factor], result))

    def _emit(self, operation: Any, arguments: list[Any], like: Value) -> Value:
        shapes = [a.shape for a in arguments if isinstance(a, Value)]
        shape = np.broadcast_shapes(*shapes)
        self.code.append(make(operation, arguments, [shape], like.dtype))
        return self.code[-1].results[0]

    def _value(self, value: Any) -> Any:
        """A value with the product or concatenation that it is carried out."""
        form = self._forms.get(value) if isinstance(value, Value) else None
        if form is None:
            return value
        if value not in self._made:
            self._made[value] = self._carried_out(form, value)
        return self._made[value]

    def _carried_out(self, form: Any, result: Value) -> Value:
        if isinstance(form, _Joined):
            parts = [self._carried_out(each, part) for each, part in form.parts]
            arguments = [-1, form.bounds, *parts]
            self.code.append(make(CONCATENATE, arguments, [result.shape], result.dtype))
            return self.code[-1].results[0]
        if form.factor is None:
            return form.base
        return self._emit(MULTIPLY, [form.base, form.factor], result)


def without_repeats(code: list[Instruction]) -> tuple[list[Instruction], dict[Any, Value]]:
    """The code with each instruction once, and what stands for the results of those left out."""
    seen: dict[Any, list[Value]] = {}
    replaced: dict[Any, Value] = {}
    kept = []
    for instruction in code:
        instruction.arguments = [
            replaced.get(a, a) if isinstance(a, Value) else a for a in instruction.arguments
        ]
        parts = [id(a) if isinstance(a, Value) else repr(a) for a in instruction.arguments]
        key = instruction.operation, tuple(parts)
        if key in seen:
            replaced.update(zip(instruction.results, seen[key], strict=True))
        else:
            seen[key] = instruction.results
            kept.append(instruction)
    return kept, replaced


def pairwise_edges(bounds: tuple[int, ...], size: int) -> list[tuple[int, int]]:
    """Begin and end of each part that `split` makes."""
    return list(itertools.pairwise([0, *bounds, size]))
