"""Writing down what a cell does in one step, by calling it on Tensors that have no values."""

from __future__ import annotations

import functools
from typing import Any, NoReturn

import numpy as np

from ...core.context import Context, current, within
from ...core.errors import GraphError
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
# Operations whose results have shapes and dtypes that follow from those of their arrays and from
# their plain arguments; they are worked out once.
_BY_SHAPE = frozenset(
    {
        "linear",
        "matmul",
        "sigmoid",
        "relu",
        "split",
        "concatenate",
        "stack",
        "unstack",
        "getitem",
        "transpose",
        "swapaxes",
        "reshape",
        "expand_dims",
        "squeeze",
        "broadcast_to",
        "sum",
        "mean",
        "max",
        "softmax",
        "copy",
        "where",
        "clip",
    }
)
_BY_VALUE = frozenset({"nonzero", "argwhere", "flatnonzero"})
_outcomes: dict[Any, Any] = {}
_MOST_OUTCOMES = 4096
_PLAIN_KINDS = frozenset({int, float, bool, str, type(None), type(...)})
# NumPy's questions about values.
_QUESTIONS = frozenset(
    {
        np.allclose,
        np.isclose,
        np.array_equal,
        np.array_equiv,
        np.min_scalar_type,
        np.shares_memory,
        np.may_share_memory,
        np.array2string,
        np.array_repr,
        np.array_str,
    }
)


class Untraceable(Exception):
    """A step that can't be written down; the message says why."""


def _refuse(self: Any, *args: Any) -> NoReturn:
    raise Untraceable("it reads the values of an array (bool, float, .item(), .numpy(), print …)")


class Abstract(np.ndarray):
    """Shape and dtype of an array. NumPy's functions on it work out those of their results."""

    __bool__ = __float__ = __int__ = __index__ = _refuse
    item = tolist = _refuse

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
    if ufunc is not None:
        shape = np.broadcast(*values).shape
        return abstract(shape, _result_dtypes(ufunc, values)[0])
    if operation.name in _BY_VALUE or (operation.name == "getitem" and _is_mask(values[1])):
        raise Untraceable(f"the shape of a result of {operation.name} depends on values")
    if operation.name not in _BY_SHAPE:
        return _fresh(*_kinds_of(operation.forward(*values)))
    try:
        key = operation, *map(_kind, values)
        kinds = _outcomes.get(key)
    except TypeError:
        return _fresh(*_kinds_of(operation.forward(*values)))
    if kinds is None:
        kinds = _kinds_of(operation.forward(*values))
        if len(_outcomes) >= _MOST_OUTCOMES:
            _outcomes.clear()
        _outcomes[key] = kinds
    return _fresh(*kinds)


def _kinds_of(out: Any) -> tuple[list[Any], bool]:
    """The shapes and dtypes of results, and whether they are a tuple."""
    several = type(out) is tuple
    each = out if several else (out,)
    return [(np.shape(result), np.asarray(result).dtype) for result in each], several


def _fresh(kinds: list[Any], several: bool) -> Any:
    made = tuple([abstract(*kind) for kind in kinds])
    return made if several else made[0]


def _is_mask(index: Any) -> bool:
    """Whether an index picks by values that there are none of."""
    if isinstance(index, (tuple, list)):
        return any(map(_is_mask, index))
    return isinstance(index, Abstract) and index.dtype.kind == "b"


def _kind(value: Any) -> Any:
    """What a result's shape and dtype depend on, of an argument.

    Raises:
        TypeError: if that may be more than is told here.
    """
    kind = type(value)
    if kind is Abstract or kind is np.ndarray:
        if value.dtype.kind == "b":  # an index whose values count
            raise TypeError
        return value.shape, value.dtype
    if kind is tuple or kind is list:
        return kind, *map(_kind, value)
    if kind is slice:
        return kind, value.start, value.stop, value.step
    if kind in _PLAIN_KINDS:
        return kind, value
    raise TypeError


def _result_dtypes(ufunc: Any, inputs: Any) -> tuple[Any, ...]:
    kinds = tuple([type(i) if type(i) in (bool, int, float) else i.dtype for i in inputs])
    key = ufunc, kinds
    found = _dtypes.get(key)
    if found is None:
        found = ufunc.resolve_dtypes((*kinds, *(None,) * ufunc.nout))[len(kinds) :]
        _dtypes[key] = found
    return found


@functools.lru_cache(_MOST_OUTCOMES)
def _places_of_arrays(operation: Any, count: int) -> frozenset[int]:
    """Which of `count` arguments of an operation are arrays."""
    names = operation.names
    if count != len(names):
        return frozenset(range(len(names) - 1, count))
    return frozenset(names.index(name) for name in operation.arrays)


class TracedTensor(Tensor):
    """A Tensor of a step that is written down: it has no values to read."""

    __slots__ = ()

    data = property(_refuse, _refuse)
    numpy = item = tolist = _refuse
    __bool__ = __float__ = __int__ = __index__ = _refuse
    __array__ = __format__ = _refuse  # type: ignore[assignment]
    __str__ = __repr__ = _refuse

    @property
    def requires_grad(self) -> NoReturn:
        """Refused: it may be another at the first step than at later ones."""
        raise Untraceable("it asks whether an array requires a gradient")

    @requires_grad.setter
    def requires_grad(self, value: bool) -> NoReturn:
        raise Untraceable("it sets whether an array requires a gradient")

    def detach(self) -> NoReturn:
        """Refused: what is written down is differentiated as a whole."""
        raise Untraceable("it detaches an array from the graph")

    def backward(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: what it adds to is none of the step's results."""
        raise Untraceable("it runs a backward pass")

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if func in _QUESTIONS:
            raise Untraceable(f"it reads the values of an array (np.{func.__name__})")
        return super().__array_function__(func, types, args, kwargs)

    def _updated(self, ufunc: Any, other: Any, sign: str) -> Any:
        return ufunc(self, other)

    def __getattr__(self, name: str) -> Any:
        if name == "_data":  # taken away when the step was written down
            raise GraphError(
                "a Tensor was kept by a cell while its step was written down, where nobody could "
                "see it, and is used now: run this cell with fold=False"
            )
        return super().__getattr__(name)


class Tracer:
    """Writes down the operations that are carried out while it is in the context."""

    def __init__(self) -> None:
        self.code: list[Instruction] = []
        self.captured: list[tuple[Value, Any, np.ndarray]] = []
        self._values: dict[int, Value] = {}  # by the identity of their arrays
        self._kept: list[Any] = []  # so that identities stay their own
        self._tensors: list[tuple[Tensor, Value, Any]] = []

    def tensor(self, value: Value, array: Any = None) -> Tensor:
        """A Tensor that stands for `value`."""
        if array is None:
            array = abstract(value.shape, value.dtype)
        made = object.__new__(TracedTensor)
        made._data = array
        made._node = made._grad = made.change = None
        made._name = value.name
        made._requires_grad = array.dtype.kind == "f"
        self._values[id(array)] = value
        self._tensors.append((made, value, array))
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
        places = _places_of_arrays(operation, len(values))
        known = self._values
        arguments = [
            (known.get(id(value)) or self._argument(value, record, place in places))
            if isinstance(value, np.ndarray)
            else value
            for place, (value, record) in enumerate(zip(values, records, strict=True))
        ]
        out = _outcome(operation, values)
        if type(out) is tuple:
            made = [Value(each.shape, each.dtype) for each in out]
            self.code.append(Instruction(operation, arguments, made))
            return tuple([self.tensor(*pair) for pair in zip(made, out, strict=True)])
        value = Value(out.shape, out.dtype)
        self.code.append(Instruction(operation, arguments, [value]))
        return self.tensor(value, out)

    def _argument(self, value: Any, record: Any, is_array: bool) -> Any:
        """What an array that isn't known by itself is written down as."""
        known = self._values.get(id(record))
        if known is not None:
            return known
        if isinstance(value, Abstract):
            raise Untraceable("it takes an array apart by other means than operations")
        if not is_array:
            return value
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
        for tensor, value, _ in self._tensors:
            if tensor._name is not None:
                value.name = tensor._name

    def let_go(self) -> None:
        """Makes the Tensors of the step useless, lest one that was kept be taken for a result."""
        for tensor, *_ in self._tensors:
            del tensor._data


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
    try:
        with within(context), np.errstate(all="ignore"):
            given = tracer.tensor(xv)
            new = advance(cell, given, like(state, [tracer.tensor(value) for value in before]))
            y = output_of(cell)(given, new)
        tracer.take_names()
        after = [
            tracer.value_of(part, f"the new state {name}")
            for part, name in zip(parts_of(new), names, strict=True)
        ]
        made = tracer.value_of(y, "the output")
    finally:
        tracer.let_go()
    for old, value in zip(before, after, strict=True):
        if old.shape != value.shape or old.dtype != value.dtype:
            raise Untraceable(f"its state changes from {old} to {value}")
    return Step(tracer.code, xv, before, after, made, tracer.captured)


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


def nameless(states: int, captured: int, structure: Any) -> Any:
    """The structure of a step with so many parts of the state and captured arrays, less names."""
    given = 1 + states
    *parts, results = structure

    def bare(described: Any) -> Any:
        return (*described[:3], *described[4:])

    code = parts[given + captured :]
    return (
        tuple(map(bare, parts[: given + captured])),
        tuple([(operation, used, tuple(map(bare, made))) for operation, used, made in code]),
        results,
    )


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
