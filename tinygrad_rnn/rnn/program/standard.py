"""The step as programs want it: a batch of rows, (N, F), and weights that are captured as they are.

A cell may be written for one sequence, (F,), for columns, (F, N), or for several axes of batch; it
may transpose its weights, join what it multiplies, add numbers to rows. All of it is a step on rows
whose weights were made ready beforehand.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from ...core.graph import is_basic
from ...core.primitive import registry, wrap
from .capture import UFUNCS
from .notation import CALLED, NotWritable
from .steps import Instruction, Step, Value, make, uses

FEATURES, ONE, GROUP = "f", "1", "g"  # the letters of axes; those of the batch are n0, n1, …

Axes = tuple[str, ...]


class _AllTrue:
    """Makes a constant that isn't the cell's."""

    name = "all_true"

    def __call__(self, shape: tuple[int, ...]) -> Any:
        return wrap(np.ones(shape, bool))


ALL_TRUE = _AllTrue()


class Form(NamedTuple):
    """A value as rows (N, F), and what the axes of the cell's own array are.

    Attributes:
        value: (N, F).
        axes: a letter for each axis of the cell's array.
        groups: how many parts the features are in, if an axis goes over those parts.
    """

    value: Value
    axes: Axes
    groups: int = 0

    @property
    def size(self) -> int:
        """How many features there are."""
        return int(self.value.shape[1])


class Standard(NamedTuple):
    """A step in standard form, and what stands between it and the cell's own arrays.

    Attributes:
        step: in standard form; what it captures are `pieces`.
        preparation: the instructions that make the pieces from what the cell captured.
        pieces: the captured values of `step`, by what they are made as.
        axes: of x, y, and the parts of the state, in the cell's arrays.
        shapes: theirs.
    """

    step: Step
    preparation: list[Instruction]
    pieces: dict[Value, Value]
    axes: list[Axes]
    shapes: list[tuple[int, ...]]


def standard_form(step: Step, copies: bool = False) -> Standard | None:
    """A step in standard form; None if it can't be brought there.

    Args:
        copies: whether to make the new state by operations that do nothing else.
    """
    for axes in _readings(step):
        with suppress(NotWritable):
            return _Rewriting(step, axes).standard(copies)
    return None


def is_as_it_was(found: Standard, step: Step) -> bool:
    """Whether nothing was rewritten but cuts of weights, which programs make themselves."""
    rows = all(axes == ("n0", FEATURES) for axes in found.axes)
    cuts = all(i.name == "split" and i.arguments[0].role == "captured" for i in found.preparation)
    kept = [i.operation for i in step.code if i.name != "split"]
    same = kept == [i.operation for i in found.step.code if i.name != "split"]
    untouched = {v for v in found.pieces if v.role == "captured"}
    whole = untouched | {i.arguments[0] for i in found.preparation}
    return rows and cuts and same and whole >= {v for v, *_ in step.captured}


# What the axes may mean


def _readings(step: Step) -> Iterable[list[Axes]]:
    """What the axes of x and of the parts of the state may be, the likeliest first."""
    shapes = [value.shape for value in (step.x, *step.state)]
    ranks = {len(shape) for shape in shapes}
    if ranks == {2}:
        if len({shape[0] for shape in shapes}) == 1:
            yield [("n0", FEATURES)] * len(shapes)
        if len({shape[1] for shape in shapes}) == 1:
            yield [(FEATURES, "n0")] * len(shapes)
    if len(ranks) == 1 and max(ranks) > 2 and len({shape[:-1] for shape in shapes}) == 1:
        batch = tuple(f"n{k}" for k in range(max(ranks) - 1))
        yield [(*batch, FEATURES)] * len(shapes)
    if all(sum(n != 1 for n in shape) < 2 for shape in shapes):
        yield [_single(shape) for shape in shapes]


def _single(shape: tuple[int, ...]) -> Axes:
    """The axes of an array of one sequence."""
    place = next((k for k, n in enumerate(shape) if n != 1), len(shape) - 1)
    return tuple(FEATURES if k == place else ONE for k in range(len(shape)))


class _Rewriting:
    """Goes through the code of a step and writes it anew, on rows."""

    def __init__(self, step: Step, axes: list[Axes]) -> None:
        self.step = step
        self.dtype = step.x.dtype
        self.used = uses(step.code)
        self.batch = {
            letter: n
            for letter, n in zip(axes[0], step.x.shape, strict=True)
            if letter not in (FEATURES, ONE)
        }
        self.rows = math.prod(self.batch.values())
        self.code: list[Instruction] = []
        self.preparation: list[Instruction] = []
        self.pieces: dict[Value, Value] = {}
        self._reshaped: dict[Any, Value] = {}
        self._joined: dict[Value, list[Form]] = {}
        self._late: set[Value] = set()
        self.forms: dict[Value, Form] = {}
        for value, letters in zip((step.x, *step.state), axes, strict=True):
            size = math.prod(value.shape) // self.rows
            row = Value((self.rows, size), value.dtype, value.role, value.name)
            self.forms[value] = self.checked(Form(row, letters), value)
        self.given = [self.forms[value] for value in (step.x, *step.state)]
        self._late.update(form.value for form in self.given[1:])

    def standard(self, copies: bool) -> Standard:
        """The step, written anew; with `copies` of what the state becomes.

        Raises:
            NotWritable: if there is something in it that can't be.
        """
        for instruction in self.step.code:
            self._take(instruction)
        x, *state = self.given
        ends = [self.form(value) for value in (*self.step.new, self.step.y)]
        for old, end in zip(state, ends, strict=False):
            if end.size > 1 and end.axes != old.axes:
                raise NotWritable("the axes of the state change their meaning")
        for end in ends:
            if end.groups or not set(self.batch) <= set(end.axes):
                raise NotWritable("a result is the same for all sequences")
        batch = [letter for letter in ends[-1].axes if letter in self.batch]
        if batch != sorted(batch) or (
            len(batch) > 1 and ends[-1].axes[: len(batch)] != tuple(batch)
        ):
            raise NotWritable("the output has the axes of the batch in another order")
        new = self._of_their_own(
            [end.value for end in ends[:-1]], [form.value for form in state], copies
        )
        y = self._output(ends, new)
        step = Step(
            self.code,
            x.value,
            [form.value for form in state],
            new,
            y,
            [(piece, None, np.empty(0)) for piece in self.pieces.values()],
        )
        axes = [x.axes, ends[-1].axes, *(form.axes for form in state)]
        shapes = [v.shape for v in (self.step.x, self.step.y, *self.step.state)]
        return Standard(step, self.preparation, self.pieces, axes, shapes)

    def _output(self, ends: list[Form], new: list[Value]) -> Value:
        """What makes the output; of the new state, as it is made."""
        y = ends[-1].value
        for end, value in zip(ends[:-1], new, strict=True):
            if end.value is y:
                return value
        return self.copied(y) if y.role != "made" else y

    def _of_their_own(self, new: list[Value], state: list[Value], copies: bool) -> list[Value]:
        """The new state, each part made in the loop, by an operation that makes nothing else."""
        found: list[Value] = []
        for value, old in zip(new, state, strict=True):
            maker = value.maker
            if value not in self._late:
                value = self._chosen(value, old)
            elif copies or maker is None or maker.name in ("split", "getitem") or value in found:
                value = self.copied(value)
            found.append(value)
        return found

    def _chosen(self, value: Value, old: Value) -> Value:
        """A value in place of an old one, always: an operation on both."""
        shape = old.shape[1:]
        always = Instruction(ALL_TRUE, [shape], [Value(shape, np.dtype(bool))])
        self.preparation.append(always)
        arguments = [self.piece(always.results[0], shape), value, old]
        return self.emit("where", arguments, old.shape, old.dtype)

    def copied(self, value: Value) -> Value:
        """A value as the result of an operation, also in the backward pass."""
        return self.emit("multiply", [value, 1.0], value.shape, value.dtype)

    def emit(
        self, name: str, arguments: Sequence[Any], shape: tuple[int, ...], dtype: Any = None
    ) -> Value:
        """The result of one more instruction."""
        made = make(registry[name], arguments, [shape], dtype or self.dtype)
        self.code.append(made)
        self._note(made)
        return made.results[0]

    def _note(self, instruction: Instruction) -> None:
        if any(value in self._late for value in instruction.values()):
            self._late.update(instruction.results)

    # Values

    def form(self, value: Any) -> Form:
        """A value that changes from step to step."""
        if value in self._joined and value not in self.forms:
            parts = self._joined[value]
            size = sum(part.size for part in parts)
            bounds = tuple(itertools.accumulate(part.size for part in parts[:-1]))
            arguments = [-1, bounds, *(part.value for part in parts)]
            row = self.emit("concatenate", arguments, (self.rows, size))
            self.forms[value] = Form(row, parts[0].axes)
        if value not in self.forms:
            raise NotWritable(f"{value} doesn't change from step to step")
        return self.forms[value]

    def is_constant(self, value: Any) -> bool:
        """Whether an argument is the same at every step."""
        return value not in self.forms and value not in self._joined

    def checked(self, form: Form, value: Value) -> Form:
        """A form, if it is one of `value` indeed."""
        sizes = {
            **self.batch,
            ONE: 1,
            GROUP: form.groups,
            FEATURES: form.size // (form.groups or 1),
        }
        letters = [letter for letter in form.axes if letter != ONE]
        fits = tuple(sizes[letter] for letter in form.axes) == value.shape
        if not fits or len(set(letters)) < len(letters) or form.value.shape[0] != self.rows:
            raise NotWritable(f"{value} is not rows of features")
        if FEATURES not in form.axes and form.size != 1:
            raise NotWritable(f"{value} is not rows of features")
        return form

    def define(self, value: Value, row: Value, axes: Axes, groups: int = 0) -> None:
        """Knows `value` as rows."""
        if row.name is None and row.role == "made":
            row.name = value.name
        if FEATURES not in axes and ONE in axes and not groups:
            place = len(axes) - 1 - axes[::-1].index(ONE)
            axes = (*axes[:place], FEATURES, *axes[place + 1 :])
        self.forms[value] = self.checked(Form(row, axes, groups), value)

    # What is captured

    def piece(self, constant: Any, shape: tuple[int, ...]) -> Value:
        """Something captured, or made of it, in the shape and dtype in which the step wants it."""
        if not isinstance(constant, Value):
            raise NotWritable(f"{constant!r:.40} is no array")
        value = constant
        if value.dtype.kind in "iuf" and value.dtype != self.dtype:
            value = self._prepared("astype", [value, self.dtype], value.shape, self.dtype)
        if math.prod(value.shape) == 1 and math.prod(shape) != 1:
            if len(value.shape) > len(shape):
                value = self._prepared("reshape", [value, (1,)], (1,), value.dtype)
            value = self._prepared("broadcast_to", [value, shape], shape, value.dtype)
        elif value.shape != shape:
            value = self._prepared("reshape", [value, shape], shape, value.dtype)
        if value not in self.pieces:
            role = constant.role == "captured"
            name = constant.name if value is constant or not role else None
            self.pieces[value] = Value(shape, value.dtype, "captured", name)
        return self.pieces[value]

    def _prepared(
        self, name: str, arguments: Sequence[Any], shape: tuple[int, ...], dtype: Any
    ) -> Value:
        key = name, *(id(a) if isinstance(a, Value) else repr(a) for a in arguments)
        if key not in self._reshaped:
            made = make(registry[name], arguments, [shape], dtype)
            self.preparation.append(made)
            self._reshaped[key] = made.results[0]
        return self._reshaped[key]

    def number_or_row(self, constant: Any, size: int) -> Any:
        """A constant as it stands beside rows of so many features."""
        if isinstance(constant, Value):
            return self.piece(constant, (size,))
        return plain(constant)

    # Instructions

    def _take(self, instruction: Instruction) -> None:
        if all(self.is_constant(value) for value in instruction.values()):
            self.preparation.append(instruction)
            return
        for value in instruction.results:
            if value.dtype not in (self.dtype, bool):
                raise NotWritable(f"{value} is of {value.dtype}, x of {self.dtype}")
        rule = _RULES.get(instruction.name)
        if rule is not None:
            rule(self, instruction)
        elif instruction.operation in UFUNCS or instruction.name in _ELEMENTWISE:
            _elementwise(self, instruction)
        else:
            raise NotWritable(f"{instruction.name} has no standard form")

    def product(
        self, form: Form | list[Form], weight: Value, transposed: bool, bias: Any = None
    ) -> Value:
        """The rows of a product with a weight: (I, O), or `transposed`, (O, I)."""
        if isinstance(form, list):
            return self._sum_of_products(form, weight, transposed, bias)
        inputs, outputs = weight.shape[::-1] if transposed else weight.shape
        if form.size != inputs or form.groups:
            raise NotWritable("a product over another axis than that of the features")
        captured = self.piece(weight, weight.shape)
        arguments: list[Any] = [form.value, captured]
        if transposed:
            arguments.append(None if bias is None else self.piece(bias, (outputs,)))
        elif bias is not None:
            raise NotWritable("a product with a bias")
        name = "linear" if transposed else "matmul"
        return self.emit(name, arguments, (self.rows, outputs))

    def _sum_of_products(
        self, parts: list[Form], weight: Value, transposed: bool, bias: Any
    ) -> Value:
        """[x, h] W = x W₁ + h W₂, of which one needs no state."""
        axis = 1 if transposed else 0
        bounds = tuple(itertools.accumulate(part.size for part in parts[:-1]))
        shapes = [
            (weight.shape[0], part.size) if transposed else (part.size, weight.shape[1])
            for part in parts
        ]
        cut = make(registry["split"], [weight, bounds, axis], shapes, weight.dtype)
        self.preparation.append(cut)
        pairs = list(zip(parts, cut.results, strict=True))
        pairs.sort(key=lambda pair: pair[0].value in self._late)
        biases = [bias, *(None for _ in pairs[1:])]
        products = [
            self.product(part, piece, transposed, b)
            for (part, piece), b in zip(pairs, biases, strict=True)
        ]
        total = products[0]
        for each in products[1:]:
            total = self.emit("add", [total, each], each.shape)
        return total

    def factor(self, value: Value) -> Form | list[Form]:
        """What is multiplied by a weight; the parts of a concatenation, if one needs no state."""
        parts = self._joined.get(value)
        if parts is None or value in self.forms:
            return self.form(value)
        late = [part.value in self._late for part in parts]
        return parts if any(late) and not all(late) else self.form(value)


def plain(argument: Any) -> Any:
    """A plain argument, NumPy's scalars as Python's."""
    return argument.item() if isinstance(argument, np.generic) else argument


# Elementwise operations


def _elementwise(new: _Rewriting, instruction: Instruction) -> None:
    (result,) = instruction.results
    forms = [new.form(v) for v in instruction.values() if not new.is_constant(v)]
    constants = [v for v in instruction.values() if new.is_constant(v)]
    axes = _aligned(forms, constants, len(result.shape))
    size = max(form.size for form in forms)
    if FEATURES in axes:
        size = result.shape[axes.index(FEATURES)]
    arguments = [
        new.form(a).value
        if isinstance(a, Value) and not new.is_constant(a)
        else new.number_or_row(a, size)
        for a in instruction.arguments
    ]
    row = new.emit(instruction.name, arguments, (new.rows, size), result.dtype)
    new.define(result, row, axes)


def _aligned(forms: Sequence[Form], constants: Sequence[Value], rank: int) -> Axes:
    """The axes of arrays that broadcast to `rank` axes.

    Raises:
        NotWritable: if features stand against a batch, or a constant differs within the batch.
    """
    letters = [ONE] * rank
    for form in forms:
        if form.groups:
            raise NotWritable("features in groups")
        for place, letter in enumerate(_loosened(form), rank - len(form.axes)):
            if letter != ONE and letters[place] not in (ONE, letter):
                raise NotWritable("features against a batch")
            letters[place] = letter if letter != ONE else letters[place]
    for constant in constants:
        for place, size in enumerate(constant.shape, rank - len(constant.shape)):
            if size != 1 and letters[place] == ONE and FEATURES not in letters:
                letters[place] = FEATURES
            elif size != 1 and letters[place] != FEATURES:
                raise NotWritable("a constant that differs within the batch")
    return tuple(letters)


def _loosened(form: Form) -> Axes:
    """The axes, where an only feature is no axis of its own."""
    if form.size != 1:
        return form.axes
    return tuple(ONE if letter == FEATURES else letter for letter in form.axes)


# Products


def _linear(new: _Rewriting, instruction: Instruction) -> None:
    x, weight, bias = instruction.arguments
    if new.is_constant(x) or not new.is_constant(weight) or not new.is_constant(bias):
        raise NotWritable("a product of two things that change")
    factor = new.factor(x)
    axes = _contracted(factor, -1)
    row = new.product(factor, weight, True, bias)
    new.define(instruction.results[0], row, (*axes[:-1], FEATURES))


def _contracted(factor: Form | list[Form], place: int) -> Axes:
    """The axes of what is multiplied, if the features are at `place`."""
    form = factor[0] if isinstance(factor, list) else factor
    if not form.axes or (form.axes[place] != FEATURES and _loosened(form)[place] != ONE):
        raise NotWritable("a product over another axis than that of the features")
    if isinstance(factor, Form) and form.axes[place] == ONE and form.size != 1:
        raise NotWritable("a product over another axis than that of the features")
    return form.axes if isinstance(factor, list) else _loosened(form)


def _product(new: _Rewriting, instruction: Instruction) -> None:
    a, b = instruction.arguments
    if not isinstance(a, Value) or not isinstance(b, Value) or () in (a.shape, b.shape):
        times = Instruction(registry["multiply"], [a, b], [])
        times.results = instruction.results
        _elementwise(new, times)
    elif new.is_constant(b):
        _times_weight(new, a, b, instruction.results[0])
    elif new.is_constant(a):
        _weight_times(new, a, b, instruction.results[0])
    else:
        _inner(new, a, b, instruction.results[0])


def _times_weight(new: _Rewriting, a: Value, b: Value, result: Value) -> None:
    """x W, or x w."""
    if len(b.shape) > 2:
        raise NotWritable("a product with a weight of many axes")
    factor = new.factor(a)
    axes = _contracted(factor, -1)
    weight, turned = _as_matrix(new, b, (b.shape[0], 1))
    row = new.product(factor, weight, turned)
    new.define(result, row, (*axes[:-1], FEATURES) if len(b.shape) == 2 else axes[:-1])


def _weight_times(new: _Rewriting, a: Value, b: Value, result: Value) -> None:
    """W x, or w x."""
    if len(a.shape) > 2:
        raise NotWritable("a product with a weight of many axes")
    place = -1 if len(b.shape) == 1 else -2
    factor = new.factor(b)
    axes = list(_contracted(factor, place))
    weight, turned = _as_matrix(new, a, (1, a.shape[0]))
    row = new.product(factor, weight, not turned)
    axes[place] = FEATURES
    if len(a.shape) == 1:
        del axes[place]
    new.define(result, row, tuple(axes))


def _as_matrix(new: _Rewriting, weight: Value, of_vector: tuple[int, int]) -> tuple[Value, bool]:
    """A weight with two axes, and whether they are exchanged: then the transpose isn't made."""
    if len(weight.shape) == 1:
        return new._prepared("reshape", [weight, of_vector], of_vector, weight.dtype), False
    maker = next((i for i in new.preparation if weight in i.results), None)
    if maker is not None and _exchanges(maker):
        return maker.arguments[0], True
    return weight, False


def _exchanges(instruction: Instruction) -> bool:
    """Whether an instruction is the transpose of a matrix."""
    name, (ary, *rest) = instruction.name, instruction.arguments
    if not isinstance(ary, Value) or len(ary.shape) != 2:
        return False
    axes = rest[0] if name == "transpose" else None
    whole = axes is None or [k % 2 for k in axes] == [1, 0]
    return (name == "transpose" and whole) or (
        name == "swapaxes" and {k % 2 for k in rest} == {0, 1}
    )


def _inner(new: _Rewriting, a: Value, b: Value, result: Value) -> None:
    """Σ a b of two vectors that change."""
    first, second = new.form(a), new.form(b)
    if first.axes != (FEATURES,) or second.axes != (FEATURES,):
        raise NotWritable("a product of two things that change")
    row = new.emit("multiply", [first.value, second.value], first.value.shape)
    new.define(result, new.emit("sum", [row, -1, True], (new.rows, 1)), ())


def _contract(new: _Rewriting, instruction: Instruction) -> None:
    """A product in the notation of einsum."""
    a, b, subscripts = instruction.arguments
    inputs, output = subscripts.split("->")
    first, second = inputs.split(",")
    if new.is_constant(a):
        a, b, first, second = b, a, second, first
    if new.is_constant(a) or not new.is_constant(b) or len(second) != 2:
        raise NotWritable("a product of two things that change")
    summed = [label for label in first if label in second and label not in output]
    made = [label for label in second if label in output and label not in first]
    if len(summed) != 1 or len(made) != 1 or len(output) != len(first):
        raise NotWritable("no product of a matrix")
    factor = new.factor(a)
    place = first.index(summed[0])
    axes = dict(zip(first, _contracted(factor, place), strict=True))
    row = new.product(factor, b, second[1] == summed[0])
    letters = tuple(FEATURES if label == made[0] else axes[label] for label in output)
    new.define(instruction.results[0], row, letters)


# Parts and wholes


def _split(new: _Rewriting, instruction: Instruction) -> None:
    ary, bounds, axis = instruction.arguments
    form = new.form(ary)
    letter = form.axes[axis]
    if form.groups or (letter != FEATURES and form.size != 1):
        raise NotWritable("a cut through something else than the features")
    edges = list(itertools.pairwise([0, *bounds, ary.shape[axis]]))
    ends = {*new.step.new, new.step.y}
    used = [part in ends or part in new.used for part in instruction.results]
    if all(used) and all(stop > start for start, stop in edges):
        shapes = [(new.rows, stop - start) for start, stop in edges]
        cut = make(registry["split"], [form.value, bounds, -1], shapes, ary.dtype)
        new.code.append(cut)
        new._note(cut)
        rows: list[Any] = cut.results
    else:
        rows = [
            _part(new, form, start, stop) if wanted else None
            for (start, stop), wanted in zip(edges, used, strict=True)
        ]
    for part, row in zip(instruction.results, rows, strict=True):
        if row is not None:
            new.define(part, row, form.axes)


def _part(new: _Rewriting, form: Form, start: int, stop: int) -> Value:
    """Some of the features."""
    if (start, stop) == (0, form.size):
        return form.value
    if stop <= start:
        raise NotWritable("a part without features")
    index = (slice(None), slice(start, stop))
    shape = (new.rows, stop - start)
    return new.emit("getitem", [form.value, index], shape, form.value.dtype)


def _getitem(new: _Rewriting, instruction: Instruction) -> None:
    ary, index = instruction.arguments
    form = new.form(ary)
    parts = list(index) if type(index) is tuple else [index]
    if not is_basic(index):
        raise NotWritable("an index with arrays")
    taken = sum(part is not None and part is not Ellipsis for part in parts)
    whole = [slice(None)] * (len(form.axes) - taken)
    place = parts.index(Ellipsis) if Ellipsis in parts else len(parts)
    parts[place : place + 1] = whole
    low, high, axes, groups = 0, form.size, [], form.groups
    letters = iter(zip(form.axes, ary.shape, strict=True))
    for part in parts:
        if part is None:
            axes.append(ONE)
            continue
        letter, length = next(letters)
        start, stop, step = (
            (part % length, part % length + 1, 1) if type(part) is int else part.indices(length)
        )
        if letter == GROUP and type(part) is int:
            each = form.size // form.groups
            low, high, groups = start * each, (start + 1) * each, 0
        elif letter == FEATURES and not groups and step == 1:
            low, high = low + start, low + stop
        elif (start, stop, step) != (0, length, 1):
            raise NotWritable("an index of something else than the features")
        if type(part) is not int:
            axes.append(letter)
        elif letter not in (FEATURES, ONE, GROUP):
            raise NotWritable("one sequence of the batch")
    row = _part(new, form, low, high)
    new.define(instruction.results[0], row, tuple(axes), groups)


def _unstack(new: _Rewriting, instruction: Instruction) -> None:
    ary, axis = instruction.arguments
    form = new.form(ary)
    axis %= len(form.axes)
    if form.axes[axis] != (GROUP if form.groups else FEATURES):
        raise NotWritable("elements one by one")
    each = form.size // form.groups if form.groups else 1
    axes = tuple(letter for k, letter in enumerate(form.axes) if k != axis)
    for k, result in enumerate(instruction.results):
        new.define(result, _part(new, form, k * each, (k + 1) * each), axes)


def _concatenate(new: _Rewriting, instruction: Instruction) -> None:
    axis, _, *parts = instruction.arguments
    (result,) = instruction.results
    if any(new.is_constant(part) for part in parts):
        raise NotWritable("a constant beside what changes")
    forms = [new.form(part) for part in parts]
    axes = [list(form.axes) for form in forms]
    for letters, form in zip(axes, forms, strict=True):
        if form.groups or (letters[axis] != FEATURES and form.size != 1):
            raise NotWritable("joined along something else than the features")
        if letters[axis] not in (FEATURES, ONE):
            raise NotWritable("joined along something else than the features")
        letters[:] = [ONE if letter == FEATURES else letter for letter in letters]
        letters[axis] = FEATURES
    if any(letters != axes[0] for letters in axes):
        raise NotWritable("joined along something else than the features")
    new._joined[result] = [
        new.checked(Form(form.value, tuple(axes[0])), part)
        for form, part in zip(forms, parts, strict=True)
    ]
    users = new.used.get(result, [])
    if any(user.name not in ("linear", "matmul", "dot", "contract") for user in users):
        new.form(result)


# Axes


def _transpose(new: _Rewriting, instruction: Instruction) -> None:
    ary, axes = instruction.arguments
    form = new.form(ary)
    order = range(len(form.axes))[::-1] if axes is None else axes
    letters = tuple(form.axes[k] for k in order)
    new.define(instruction.results[0], form.value, letters, form.groups)


def _swapaxes(new: _Rewriting, instruction: Instruction) -> None:
    ary, first, second = instruction.arguments
    form = new.form(ary)
    letters = list(form.axes)
    letters[first], letters[second] = letters[second], letters[first]
    new.define(instruction.results[0], form.value, tuple(letters), form.groups)


def _reshape(new: _Rewriting, instruction: Instruction) -> None:
    """Axes of size 1 come and go; the features are taken apart in groups, or put together."""
    form = new.form(instruction.arguments[0])
    (result,) = instruction.results
    sizes = {**new.batch, FEATURES: form.size}
    rest = [letter for letter in form.axes if letter not in (ONE, GROUP)]
    axes: list[str] = []
    groups = 0
    shape = list(result.shape)
    while shape:
        n = shape.pop(0)
        if rest and n == sizes[rest[0]]:
            axes.append(rest.pop(0))
        elif rest and rest[0] == FEATURES and shape and n > 1 and n * shape[0] == form.size:
            groups = n
            axes += [GROUP, rest.pop(0)]
            shape.pop(0)
        elif n == 1:
            axes.append(ONE)
        else:
            raise NotWritable("reshaped to other rows")
    if rest and not (rest == [FEATURES] and form.size == 1):
        raise NotWritable("reshaped to other rows")
    if form.groups and form.axes.index(GROUP) + 1 != form.axes.index(FEATURES):
        raise NotWritable("reshaped to other rows")
    new.define(result, form.value, tuple(axes), groups)


def _same_array(new: _Rewriting, instruction: Instruction) -> None:
    """A copy, or the same dtype again."""
    form = new.form(instruction.arguments[0])
    new.define(instruction.results[0], form.value, form.axes, form.groups)


# Over the features


def _reduction(new: _Rewriting, instruction: Instruction) -> None:
    ary, axis, keepdims = instruction.arguments
    form = new.form(ary)
    rank = len(form.axes)
    places = range(rank) if axis is None else [axis] if isinstance(axis, int) else axis
    places = {place % rank for place in places}
    over = {form.axes[place] for place in places}
    if form.groups or not over <= {FEATURES, ONE} or (FEATURES not in over and form.size != 1):
        raise NotWritable("a sum over something else than the features")
    row = new.emit(instruction.name, [form.value, -1, True], (new.rows, 1))
    axes = tuple(
        ONE if k in places else letter
        for k, letter in enumerate(form.axes)
        if keepdims or k not in places
    )
    new.define(instruction.results[0], row, axes)


def _along_features(place: int) -> Callable[[_Rewriting, Instruction], None]:
    """The rule of an operation that has its axis, that of the features, at `place`."""

    def rule(new: _Rewriting, instruction: Instruction) -> None:
        axis = instruction.arguments[place]
        axis = axis[0] if type(axis) is tuple and len(axis) == 1 else axis
        (result,) = instruction.results
        values = instruction.values()
        if not isinstance(axis, int) or any(new.is_constant(value) for value in values):
            raise NotWritable("an operation over several axes")
        form = new.form(values[0])
        if form.groups or form.axes[axis] != FEATURES:
            raise NotWritable("an operation over something else than the features")
        arguments = [
            new.form(a).value if isinstance(a, Value) else a for a in instruction.arguments
        ]
        arguments[place] = -1
        size = result.shape[axis]
        row = new.emit(instruction.name, arguments, (new.rows, size), result.dtype)
        axes = [ONE if k == FEATURES and size == 1 else k for k in form.axes]
        new.define(result, row, tuple(axes))

    return rule


_ELEMENTWISE = frozenset({"sigmoid", "relu", "where", *CALLED})
_RULES: dict[str, Callable[[_Rewriting, Instruction], None]] = {
    "linear": _linear,
    "matmul": _product,
    "dot": _product,
    "contract": _contract,
    "split": _split,
    "getitem": _getitem,
    "unstack": _unstack,
    "concatenate": _concatenate,
    "transpose": _transpose,
    "swapaxes": _swapaxes,
    "reshape": _reshape,
    "expand_dims": _reshape,
    "squeeze": _reshape,
    "ravel": _reshape,
    "copy": _same_array,
    "positive": _same_array,
    "sum": _reduction,
    "mean": _reduction,
    "softmax": _along_features(1),
    "log_softmax": _along_features(1),
    "centred": _along_features(1),
    "inverse_rms": _along_features(1),
    "scaled_to_unit_rms": _along_features(2),
}
