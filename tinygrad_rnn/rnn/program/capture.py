"""Writing down what a cell does in one step, by calling it on Tensors that have no values."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from ...core.context import Context, current, within
from ...core.graph import Node, Output
from ...core.primitive import Primitive, is_tensor, numpy_functions
from ...tensor import Tensor
from ..protocol import advance, output_of
from ..states import like, part_names, parts_of
from .steps import Instruction, Step, Value

_NO_CONTENTS = bytes(64)
_dtypes: dict[Any, Any] = {}
# The primitives that are one of NumPy's elementwise functions.
UFUNCS: dict[Any, np.ufunc] = {
    operation: function
    for function, operation in numpy_functions.items()
    if isinstance(function, np.ufunc)
    and isinstance(operation, Primitive)
    and function.signature is None
    and function.nout == 1
}


class Untraceable(Exception):
    """A step that can't be written down; the message says why."""


class Abstract(np.ndarray):
    """Shape and dtype of an array. NumPy's functions on it work out those of their results."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        out = options.pop("out", None)
        if out is not None and method == "__call__":
            return out[0]
        if method == "__call__" and ufunc.signature is None and not options:
            shape = np.broadcast(*inputs).shape
            made = tuple([abstract(shape, dtype) for dtype in _result_dtypes(ufunc, inputs)])
            return made[0] if ufunc.nout == 1 else made
        bare = [np.asarray(i) if isinstance(i, Abstract) else i for i in inputs]
        result = getattr(ufunc, method)(*bare, **options)
        return abstract(np.shape(result), result.dtype)

    def view(self, *args: Any) -> Any:  # type: ignore[override]
        """Itself: it is known by its identity."""
        return self


def abstract(shape: tuple[int, ...], dtype: Any) -> Abstract:
    """An array without contents."""
    return Abstract(shape, dtype, _NO_CONTENTS, 0, (0,) * len(shape))


def _outcome(operation: Any, values: Any) -> Any:
    """Arrays, or a tuple of them, of the shapes and dtypes that an operation results in."""
    ufunc = UFUNCS.get(operation)
    if ufunc is None:
        return operation.forward(*values)
    shape = np.broadcast(*values).shape
    return abstract(shape, _result_dtypes(ufunc, values)[0])


def _result_dtypes(ufunc: Any, inputs: Any) -> tuple[Any, ...]:
    kinds = tuple([type(i) if type(i) in (bool, int, float) else i.dtype for i in inputs])
    key = ufunc, kinds
    if key not in _dtypes:
        _dtypes[key] = ufunc.resolve_dtypes((*kinds, *(None,) * ufunc.nout))[len(kinds) :]
    return _dtypes[key]


def _refuse(self: Any, *args: Any) -> NoReturn:
    raise Untraceable("it reads the values of an array (bool, float, .item(), .numpy(), print …)")


class TracedTensor(Tensor):
    """A Tensor of a step that is written down: it has no values to read."""

    __slots__ = ()

    data = property(_refuse, _refuse)
    numpy = item = tolist = _refuse
    __bool__ = __float__ = __int__ = __index__ = _refuse
    __array__ = __format__ = _refuse  # type: ignore[assignment]
    __str__ = __repr__ = _refuse

    def detach(self) -> NoReturn:
        """Refused: what is written down is differentiated as a whole."""
        raise Untraceable("it detaches an array from the graph")

    def _updated(self, ufunc: Any, other: Any, sign: str) -> Any:
        return ufunc(self, other)


class Tracer:
    """Writes down the operations that are carried out while it is in the context."""

    def __init__(self) -> None:
        self.code: list[Instruction] = []
        self.captured: list[tuple[Value, Any, np.ndarray]] = []
        self._values: dict[int, Value] = {}  # by the identity of their arrays
        self._kept: list[Any] = []  # so that identities stay their own
        self._tensors: list[tuple[Tensor, Value]] = []

    def tensor(self, value: Value) -> Tensor:
        """A Tensor that stands for `value`."""
        array = abstract(value.shape, value.dtype)
        made = object.__new__(TracedTensor)
        made._data = array
        made._node = made._grad = made.change = None
        made._name = value.name
        made._requires_grad = array.dtype.kind == "f"
        self.bind(array, value)
        self._tensors.append((made, value))
        return made

    def bind(self, key: Any, value: Value) -> None:
        """Knows an array, or a record of a graph, as `value` from now on."""
        self._values[id(key)] = value
        self._kept.append(key)

    def known(self, tensor: Any) -> Value:
        """What a Tensor, by its array or its record, is known as."""
        found = self._values.get(id(tensor._data)) or self._values.get(id(tensor._node))
        if found is None:
            raise Untraceable("a gradient came from nowhere")
        return found

    def traced(self, operation: Any, values: Any, records: Any) -> Any:
        """The results of an operation, which is written down."""
        if not current().recording:
            raise Untraceable("it switches gradients off (no_grad)")
        array_places = range(len(operation.names) - 1, len(values))
        if len(values) == len(operation.names):
            array_places = [operation.names.index(n) for n in operation.arrays]  # type: ignore
        arguments = [
            self._argument(value, record, place in array_places)
            for place, (value, record) in enumerate(zip(values, records, strict=True))
        ]
        out = _outcome(operation, values)
        results = out if type(out) is tuple else (out,)
        made = [Value(np.shape(each), np.asarray(each).dtype) for each in results]
        self.code.append(Instruction(operation, arguments, made))
        tensors = tuple([self.tensor(value) for value in made])
        return tensors if type(out) is tuple else tensors[0]

    def _argument(self, value: Any, record: Any, is_array: bool) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        known = self._values.get(id(value)) or self._values.get(id(record))
        if known is not None or not is_array:
            return value if known is None else known
        if isinstance(value, Abstract):
            raise Untraceable("it takes an array apart by other means than operations")
        found = Value(value.shape, value.dtype, "captured", getattr(record, "name", None))
        self.captured.append((found, record, value))
        self.bind(value, found)
        return found

    def value_of(self, tensor: Any, what: str) -> Value:
        """What a Tensor stands for."""
        if not isinstance(tensor, TracedTensor):
            raise Untraceable(f"{what} doesn't depend on what the cell is given")
        return self._values[id(tensor._data)]

    def take_names(self) -> None:
        """Gives each value the name that its Tensor was given."""
        for tensor, value in self._tensors:
            if tensor._name is not None:
                value.name = tensor._name


def capture(cell: Any, x: Any, state: Any) -> Step:
    """One step of `cell`, for an input like `x` and a state like `state`, written down.

    Raises:
        Untraceable: if it reads values, or does what can't be written down.
    """
    tracer, now = Tracer(), current()
    xv = Value(x.shape, x.dtype, "x", "x")
    names = part_names(state)
    before = [
        Value(p.shape, p.dtype, "state", name)
        for p, name in zip(parts_of(state), names, strict=True)
    ]
    context = Context(True, now.scope, tracer=tracer)
    with within(context), np.errstate(all="ignore"):
        given = tracer.tensor(xv)
        new = advance(cell, given, like(state, [tracer.tensor(value) for value in before]))
        y = output_of(cell)(given, new)
    tracer.take_names()
    after = [
        tracer.value_of(p, f"the new state {n}") for p, n in zip(parts_of(new), names, strict=True)
    ]
    for old, value in zip(before, after, strict=True):
        if old.shape != value.shape or old.dtype != value.dtype:
            raise Untraceable(f"its state changes from {old} to {value}")
    return Step(tracer.code, xv, before, after, tracer.value_of(y, "the output"), tracer.captured)


def structure(step: Step) -> Any:
    """What two steps have in common if one program serves both: all but the captured arrays."""
    if step.structure is None:
        step.structure = _structure(step)
    return step.structure


def _structure(step: Step) -> Any:
    numbers: dict[Value, int] = {}

    def number(value: Value) -> int:
        return numbers.setdefault(value, len(numbers))

    def described(value: Value) -> Any:
        return number(value), value.shape, value.dtype.char, value.name

    parts: list[Any] = [described(v) for v in (step.x, *step.state)]
    parts += [(*described(v), wants_gradient(record)) for v, record, _ in step.captured]
    for instruction in step.code:
        arguments = tuple([_plain(a, number) for a in instruction.arguments])
        results = tuple([described(v) for v in instruction.results])
        parts.append((instruction.operation, arguments, results))
    parts.append(tuple([number(v) for v in (*step.new, step.y)]))
    return tuple(parts)


def _plain(argument: Any, number: Any) -> Any:
    """An argument as something to compare and hash."""
    if isinstance(argument, Value):
        return number(argument)
    if isinstance(argument, np.ndarray):
        return "array", argument.shape, argument.dtype.char, argument.tobytes()
    if isinstance(argument, (tuple, list)):
        return type(argument), tuple([_plain(part, number) for part in argument])
    if isinstance(argument, slice):
        return "slice", argument.start, argument.stop, argument.step
    if isinstance(argument, float):
        return "float", argument.hex()
    return type(argument), argument


def wants_gradient(x: Any) -> bool:
    """Whether a Tensor, an array or a record of a graph has a gradient."""
    return bool(x.requires_grad) if is_tensor(x) else isinstance(x, (Node, Output))
