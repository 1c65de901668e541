"""The same step with less work for NumPy: rewritten before and after it is differentiated."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...core.primitive import registry
from .notation import is_view, view_edges
from .steps import Instruction, Step, Value, depending, leading_to, make, uses

ADD, CONCATENATE = registry["add"], registry["concatenate"]
LINEAR, MATMUL, MULTIPLY = registry["linear"], registry["matmul"], registry["multiply"]
SPLIT = registry["split"]
SIGMOID, TANH = registry["sigmoid"], registry["tanh"]


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
    for add in [i for i in step.code if i.operation is ADD]:
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


def shared_activation(step: Step) -> list[tuple[Value, Value, np.ndarray, np.ndarray, int]]:
    """One tanh for all gates, as σ(a) = (1 + tanh(a/2)) / 2, in place of one σ or tanh for each.

    It is done where the parts of a `split`, each with an activation, are a sum of products with
    captured weights: the weights' rows are put in order (σ first) and halved beforehand.

    Returns:
        For each captured weight: the prepared one, the original, the order of its rows, by what
        they are multiplied, and the axis they are along.
    """
    prepared: dict[Value, Value] = {}
    made: list[tuple[Value, Value, np.ndarray, np.ndarray, int]] = []
    used = uses(step.code)
    for split in [i for i in step.code if i.operation is SPLIT]:
        gates = _gates(step, split, used)
        whole = {*step.new, step.y}
        sums = _linear_sums(split.arguments[0], used, whole) if gates is not None else None
        if gates is None or sums is None:
            continue
        for instruction, place, axis in sums:
            weight = instruction.arguments[place]
            if weight not in prepared:
                name = f"{weight.name}_gates" if weight.name else None
                prepared[weight] = Value(weight.shape, weight.dtype, "captured", name)
                made.append((prepared[weight], weight, gates.rows, gates.scale, axis))
            instruction.arguments[place] = prepared[weight]
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


def _linear_sums(
    value: Value, used: dict[Value, list[Instruction]], whole: set[Value]
) -> list[tuple[Instruction, int, int]] | None:
    """Where the captured weights stand that `value` is a sum of products with; else None.

    Each is an instruction, the place among its arguments, and the axis of the gates.
    """
    maker = value.maker
    if maker is None or len(used[value]) != 1 or value in whole:
        return None
    if maker.operation in (LINEAR, MATMUL):
        axis = 0 if maker.operation is LINEAR else 1
        places = [k for k in range(1, len(maker.arguments)) if maker.arguments[k] is not None]
        weights = [maker.arguments[k] for k in places]
        owned = all(w.role == "captured" and len(used[w]) == 1 for w in weights)
        fits = owned and len(weights[0].shape) == 2
        return [(maker, k, axis if k == 1 else 0) for k in places] if fits else None
    if maker.operation is not ADD or len(maker.values()) != 2:
        return None
    found: list[tuple[Instruction, int, int]] = []
    for place, part in enumerate(maker.arguments):
        if part.role == "captured" and part.shape == value.shape[-1:] and len(used[part]) == 1:
            found.append((maker, place, 0))
            continue
        inner = _linear_sums(part, used, whole)
        if inner is None:
            return None
        found += inner
    return found


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
