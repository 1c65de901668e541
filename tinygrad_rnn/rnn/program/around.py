"""What stands around a program in standard form: the cell's own arrays, in and out."""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ...core import engine
from ...core.context import Context, current, within
from ...core.graph import Node, Output
from .capture import UFUNCS, Tracer
from .definitions import with_definitions
from .differentiate import as_graph
from .functions import Program, compiled
from .notation import CALLED, NotWritable, number
from .standard import FEATURES, Axes, Standard, is_as_it_was, standard_form
from .steps import Instruction, Step, Value, copy_of, depending, leading_to

_WIDTH = 92
_TAKEN = frozenset({"np", "x", "y", "gx", "gy", "saved", "real", "empty", "sums", "weights"})


def program_of(step: Step, wanted: Sequence[bool], masked: bool, reverse: bool) -> Program:
    """The program of a step, however its cell is written. The arguments are those of `Program`."""
    options = wanted, masked, reverse
    standard = standard_form(step)
    if standard is None:
        return Program(step, *options)
    try:
        if is_as_it_was(standard, step):
            return _program_of_copy(step, *options)
        return Adapted(step, standard, *options)
    except NotWritable:
        again = standard_form(step, copies=True)
        assert again is not None
        return Adapted(step, again, *options)


def _program_of_copy(step: Step, *options: Any) -> Program:
    copy = copy_of(step)
    try:
        return Program(copy, *options)
    finally:
        copy.let_go()


class Adapted(Program):
    """A program of the standard form, in functions that take the cell's own arrays."""

    def __init__(
        self,
        step: Step,
        standard: Standard,
        wanted: Sequence[bool],
        masked: bool,
        reverse: bool,
    ) -> None:
        captured = [value for value, *_ in step.captured]
        first = 1 + len(step.state)
        asked = [v for v, want in zip(captured, wanted[first:], strict=True) if want]
        reached = depending(standard.preparation, asked)
        pieces = list(standard.pieces.values())
        super().__init__(
            standard.step,
            [*wanted[:first], *(value in reached for value in standard.pieces)],
            masked,
            reverse,
        )
        self.y_shape = step.y.shape
        self.of_rows = all(
            axes.count("n0") == 1 and axes[0] == "n0" and "n1" not in axes for axes in standard.axes
        )
        around = _Around(standard, captured, masked)
        if self.differentiable:
            self.places = around.pull_back([pieces[k] for k in self.places], set(asked))
        texts = [around.prepare(), around.forward()]
        if self.differentiable:
            texts += [around.backward(self.wants_gx), around.gradients()]
        names = ("prepare", "forward", "backward", "gradients")
        for name in names:
            self.source = self.source.replace(f"def {name}(", f"def {name}_rows(")
        whole = [*("\n".join(lines) for lines in texts), self.source]
        self.source = with_definitions("\n\n\n".join(whole))
        space = compiled(self.source)
        for name in names[: len(texts)]:
            setattr(self, name, space[name])


class _Around:
    """Functions ``forward`` and ``backward`` that call those of the standard form.

    Args:
        standard: the step in standard form, differentiated if gradients are wanted.
        captured: what the cell itself captured.
        masked: whether some steps may not be real.
    """

    def __init__(self, standard: Standard, captured: Sequence[Value], masked: bool) -> None:
        self.standard = standard
        self.captured = captured
        self.mask = ["real"] if masked else []
        self.states = [f"{value.name}0" for value in standard.step.state]
        self.preparation = leading_to(standard.preparation, standard.pieces)
        self._names: dict[Value, str] = {}
        self._zeros: dict[Value, tuple[int, ...]] = {}
        self.code: list[Instruction] = []  # of the gradients of what is captured
        self.sums: list[Value] = []  # the gradients of the pieces
        self.read: list[Value] = []  # what the code reads besides
        self.results: list[Value] = []
        self._taken = {*_TAKEN, *CALLED, *self.states, *(f"g_{name}" for name in self.states)}

    def name(self, value: Value) -> str:
        """The name of a value in these functions."""
        if value not in self._names:
            base = "".join(c if c.isalnum() else "_" for c in value.name or "")
            if not base.isidentifier() or keyword.iskeyword(base):
                base = {"captured": "w", "cotangent": "g"}.get(value.role, "a")
            found, count = base, 1
            while found in self._taken:
                count += 1
                found = f"{base}{count}"
            self._taken.add(found)
            self._names[value] = found
        return self._names[value]

    def prepare(self) -> list[str]:
        """The lines of ``prepare``."""
        lines = [line for instruction in self.preparation for line in self._lines(instruction)]
        given = map(self.name, self.standard.pieces)
        if self.read:
            lines += _call("for_forward, for_backward = prepare_rows(", given)
            lines.append(f"return for_forward, (for_backward, {self._list(self.read)})")
        else:
            lines += _call("return prepare_rows(", given)
        return _function("prepare", map(self.name, self.captured), lines)

    def forward(self) -> list[str]:
        """The lines of ``forward``."""
        x, y, *states = zip(self.standard.axes, self.standard.shapes, strict=True)
        rows, before, after = _buffer("y", *y)
        given = [to_rows(n, *state, False) for n, state in zip(self.states, states, strict=True)]
        given += [to_rows("x", *x, True), *self.mask, "weights", rows, "empty"]
        finals = [from_rows(n, *state, False) for n, state in zip(self.states, states, strict=True)]
        lines = [
            *before,
            *_call(f"({', '.join(self.states)},), saved = forward_rows(", given),
            *after,
            f"return ({', '.join(finals)},), saved",
        ]
        head = [*self.states, "x", *self.mask, "weights", "y", "empty=np.empty"]
        return _function("forward", head, lines)

    def backward(self, wants_gx: bool) -> list[str]:
        """The lines of ``backward``."""
        x, y, *states = zip(self.standard.axes, self.standard.shapes, strict=True)
        names = [f"g_{name}" for name in self.states]
        rows, before, after = _buffer("gx", *x) if wants_gx else ("gx", [], [])
        given = [to_rows("gy", *y, True)]
        given += [to_rows(n, *state, False) for n, state in zip(names, states, strict=True)]
        given += ["saved", to_rows("x", *x, True), *self.mask, "weights", rows, "empty"]
        back = [from_rows(n, *state, False) for n, state in zip(names, states, strict=True)]
        lines = [
            *before,
            *_call(f"({', '.join(names)},), sums = backward_rows(", given),
            *after,
        ]
        if self.read:  # what is captured has its say in its own gradient
            lines.insert(0, f"weights, {self._list(self.read)} = weights")
            lines += self._given_back("sums =")
        lines.append(f"return ({', '.join(back)},), sums")
        head = ["gy", *names, "saved", "x", *self.mask, "weights", "gx", "empty=np.empty"]
        return _function("backward", head, lines)

    def gradients(self) -> list[str]:
        """The lines of ``gradients``."""
        lines = ["return sums"] if self.read else self._given_back("return")
        return _function("gradients", ["*sums"], lines)

    def _given_back(self, where: str) -> list[str]:
        """The lines that make gradients of what is captured from the sums over rows."""
        parts = "".join(f"{self.name(g)}, " for g in self.sums).strip()
        lines = [f"({parts}) = gradients_rows(*sums)"] if parts else []
        lines += [line for instruction in self.code for line in self._lines(instruction)]
        return [*lines, *_call(f"{where} [", map(self._text, self.results), "]")]

    def pull_back(self, found: Sequence[Value], asked: set[Value]) -> list[int]:
        """Finds the code of ``gradients``; the places of the captured that it has gradients of.

        Args:
            found: the pieces whose gradients ``gradients_rows`` returns, in order.
            asked: what is captured whose gradient is wanted.
        """
        code, gradients, self.sums = self._pulled_back(found)
        places = [
            k
            for k, value in enumerate(self.captured)
            if value in asked and gradients.get(value) is not None
        ]
        self.results = [gradients[self.captured[k]] for k in places]
        self.code = leading_to(code, self.results)
        made = {r for i in self.code for r in i.results}
        read = dict.fromkeys(v for i in self.code for v in i.values())
        self.read = [v for v in read if v not in made | {*self.sums} and v not in self._zeros]
        return places

    def _pulled_back(
        self, found: Sequence[Value]
    ) -> tuple[list[Instruction], dict[Value, Any], list[Value]]:
        """The code for the gradients of what is captured from those of the pieces."""
        made_as = {piece: value for value, piece in self.standard.pieces.items()}
        cotangents = [Value(p.shape, p.dtype, "cotangent", _gradient_name(p)) for p in found]
        if not self.captured:
            return [], {}, cotangents
        first, *others = self.captured
        step = Step(list(self.preparation), first, others, [], first, [])
        leaves: dict[Value, Any] = {}
        tracer, now = Tracer(), current()
        with within(Context(True, now.scope)), np.errstate(all="ignore"):
            tensors = as_graph(step, leaves)
        for value, tensor in tensors.items():
            tracer.bind(tensor._data, value)
            if type(tensor._node) in (Node, Output):
                tracer.bind(tensor._node, value)
        pairs = [(tensors[made_as[p]], g) for p, g in zip(found, cotangents, strict=True)]
        pairs = [(tensor, g) for tensor, g in pairs if tensor._requires_grad]
        inputs = [value for value in leaves if leaves[value]._requires_grad]
        with within(Context(True, now.scope, tracer=tracer)), np.errstate(all="ignore"):
            gradients = engine.gradients(
                [tensor for tensor, _ in pairs],
                [leaves[value] for value in inputs],
                [tracer.tensor(g) for _, g in pairs],
                create_graph=True,
            )
        for value, _, array in tracer.captured:
            if array.any():
                raise NotWritable("a gradient with a constant")
            self._zeros[value] = array.shape
        known = {
            value: None if g is None else tracer.known(g)
            for value, g in zip(inputs, gradients, strict=True)
        }
        return leading_to(tracer.code, known.values()), known, cotangents

    def _text(self, argument: Any) -> str:
        """An argument, as it is written."""
        if isinstance(argument, Value):
            if argument in self._zeros:
                return f"np.zeros({self._zeros[argument]}, np.{argument.dtype.name})"
            return self.name(argument)
        if isinstance(argument, (tuple, list)):
            inside = ", ".join(map(self._text, argument))
            return f"({inside},)" if len(argument) == 1 else f"({inside})"
        if argument is None:
            return "None"
        if isinstance(argument, np.dtype) or argument in (np.float32, np.float64):
            return f"np.{np.dtype(argument).name}"
        return number(argument.item() if isinstance(argument, np.generic) else argument)

    def _lines(self, instruction: Instruction) -> list[str]:
        """An instruction on arrays as the cell has them."""
        name, arguments, results = instruction.name, instruction.arguments, instruction.results
        if name == "copy":
            self._names[results[0]] = self._text(arguments[0])
            return []
        if name == "split":
            return self._cut(instruction)
        made = self.name(results[0])
        ufunc = UFUNCS.get(instruction.operation)
        if ufunc is not None:
            return [f"{made} = np.{ufunc.__name__}({self._list(arguments)})"]
        if name in CALLED or name in ("sigmoid", "relu"):
            return [f"{made} = {name}({self._list(arguments)})"]
        if name in _BY_NUMPY:
            return [f"{made} = np.{name}({self._list(arguments)})"]
        if name == "all_true":
            return [f"{made} = np.ones({self._text(arguments[0])}, bool)"]
        if name in ("concatenate", "stack"):
            parts = self._list(arguments[2 if name == "concatenate" else 1 :])
            return [f"{made} = np.{name}(({parts},), axis={arguments[0]})"]
        first, *rest = arguments
        source = self._text(first)
        if name == "getitem":
            return [f"{made} = {source}[{_index(rest[0])}]"]
        if name == "scatter":
            zeros = f"{made} = np.zeros({self._text(rest[1])}, {source}.dtype)"
            return [zeros, f"{made}[{_index(rest[0])}] += {source}"]
        if name == "transpose":
            turned = ".T" if rest[0] is None else f".transpose({self._list(rest[0])})"
            return [f"{made} = {source}{turned}"]
        if name == "astype":
            return [f"{made} = {source}.astype({self._text(rest[0])})"]
        if name in ("sum", "mean"):
            axis, keepdims = rest
            return [f"{made} = np.{name}({source}, axis={self._text(axis)}, keepdims={keepdims})"]
        raise NotWritable(f"{name} of what doesn't change")

    def _cut(self, instruction: Instruction) -> list[str]:
        ary, bounds, axis = instruction.arguments
        ends = zip((0, *bounds), (*bounds, ary.shape[axis]), strict=True)
        before = ":, " * (axis % len(ary.shape))
        return [
            f"{self.name(part)} = {self._text(ary)}[{before}{a}:{b}]"
            for part, (a, b) in zip(instruction.results, ends, strict=True)
        ]

    def _list(self, arguments: Iterable[Any]) -> str:
        return ", ".join(map(self._text, arguments))


_BY_NUMPY = frozenset(
    {
        *("swapaxes", "reshape", "broadcast_to", "expand_dims", "squeeze", "ravel", "moveaxis"),
        *("matmul", "dot", "where", "tril", "triu"),
    }
)


def _index(index: Any) -> str:
    """A basic index as text."""
    parts = index if type(index) is tuple else (index,)
    texts = []
    for part in parts:
        if type(part) is slice:
            ends = ["" if end is None else str(int(end)) for end in (part.start, part.stop)]
            step = "" if part.step is None else f":{int(part.step)}"
            texts.append(f"{ends[0]}:{ends[1]}{step}")
        elif part is None or part is Ellipsis or type(part) is int:
            texts.append("..." if part is Ellipsis else str(part))
        else:
            raise NotWritable("an index with arrays")
    return ", ".join(texts)


def _gradient_name(piece: Value) -> str | None:
    return f"g_{piece.name}" if piece.name else None


# Between the cell's arrays and rows


def _order(axes: Axes) -> list[int]:
    """The axes of the batch first."""
    batch = [k for k in range(len(axes)) if axes[k][0] == "n"]
    batch.sort(key=lambda k: axes[k])
    return [*batch, *(k for k in range(len(axes)) if k not in batch)]


def _row_shape(axes: Axes, shape: Sequence[int]) -> list[int]:
    rows = [n for letter, n in zip(axes, shape, strict=True) if letter[0] == "n"]
    count = int(np.prod(rows, dtype=int))
    return [count, int(np.prod(shape, dtype=int)) // count]


def _is_rows(axes: Axes) -> bool:
    return axes == ("n0", FEATURES)


def to_rows(text: str, axes: Axes, shape: Sequence[int], time: bool) -> str:
    """One of the cell's arrays as rows: (N, F), or with time as first axis, (T, N, F)."""
    if _is_rows(axes):
        return text
    text += _turned(_order(axes), time)
    sizes = [-1] * time + _row_shape(axes, shape)
    return f"{text}.reshape({', '.join(map(str, sizes))})"


def _buffer(text: str, axes: Axes, shape: Sequence[int]) -> tuple[str, list[str], list[str]]:
    """An array to write rows to: its text, and the lines before and after."""
    if _order(axes) == list(range(len(axes))):
        return to_rows(text, axes, shape, True), [], []
    name = f"{text}_rows"
    sizes = ", ".join(map(str, _row_shape(axes, shape)))
    made = f"{name} = empty((x.shape[0], {sizes}), x.dtype)"
    return name, [made], [f"{text}[...] = {from_rows(name, axes, shape, True)}"]


def from_rows(text: str, axes: Axes, shape: Sequence[int], time: bool) -> str:
    """Rows as the cell has them."""
    if _is_rows(axes):
        return text
    order = _order(axes)
    sizes = [-1] * time + [shape[k] for k in order]
    text += f".reshape({', '.join(map(str, sizes)) or '()'})"
    return text + _turned([order.index(k) for k in range(len(order))], time)


def _turned(order: Sequence[int], time: bool) -> str:
    if list(order) == list(range(len(order))):
        return ""
    axes = [0] * time + [k + time for k in order]
    return f".transpose({', '.join(map(str, axes))})"


# Text


def _function(name: str, given: Iterable[str], lines: Iterable[str]) -> list[str]:
    return [*_call(f"def {name}(", given, "):"), *(f"    {line}" for line in lines)]


def _call(opening: str, given: Iterable[str], closing: str = ")") -> list[str]:
    """A list between brackets, in several lines if it is long."""
    items = list(given)
    line = opening + ", ".join(items) + closing
    if len(line) <= _WIDTH:
        return [line]
    rows = [""]
    for item in items:
        if len(rows[-1]) + len(item) > _WIDTH - 8:
            rows.append("")
        rows[-1] += f"{item}, "
    return [opening, *(f"    {row.strip()}" for row in rows), closing]
