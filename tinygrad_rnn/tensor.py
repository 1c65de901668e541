"""Tensor: an array that remembers how it was made.

Its operators and methods are the operations of `ops`. NumPy's own functions work on it through
`__array_ufunc__` and `__array_function__`, so a NumPy loop becomes differentiable when one of its
arrays is a Tensor.
"""

from __future__ import annotations

import dis
import sys
import warnings
from collections.abc import Iterator
from types import FrameType
from typing import Any, NoReturn

import numpy as np

from . import ops
from .core import engine
from .core.context import current
from .core.errors import DtypeError, GraphError, ShapeError, UnsupportedOperation, did_you_mean
from .core.graph import Change, Node, Output
from .core.primitive import numpy_functions, register_tensor, wrap

# Names that users bring from elsewhere, and what they are called here.
_ELSEWHERE = {
    "view": "reshape",
    "unsqueeze": "np.expand_dims(t, axis)",
    "permute": "transpose",
    "cat": "np.concatenate",
    "clone": "copy",
    "cpu": "numpy",
    "requires_grad_": "requires_grad = True",
    "detach_": "detach",
    "float": "astype(np.float32)",
    "double": "astype(np.float64)",
    "long": "astype(np.int64)",
    "t": "T",
    "zero_": "data[...] = 0",
}


class Tensor:
    """An n-dimensional array with a gradient.

    Args:
        data: anything NumPy makes an array of; it is copied. `tg.as_tensor` shares instead.
        requires_grad: whether gradients with respect to this Tensor will be wanted.
        dtype: as in NumPy; by default what NumPy would choose.
        name: for pictures, traces and messages.

    Raises:
        TypeError: if a gradient is wanted for integers, or sizes are given instead of data.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> W = tg.Tensor([[1.0, 2.0]], requires_grad=True, name="W")
    >>> y = np.tanh(W * 0).sum()
    >>> y.backward()
    >>> W.grad
    Tensor([[0., 0.]])
    """

    __slots__ = ("__weakref__", "_data", "_grad", "_name", "_node", "_requires_grad", "change")

    _data: np.ndarray
    _grad: Tensor | None
    _name: str | None
    _node: Any
    _requires_grad: bool
    change: Change | None

    def __init__(
        self,
        data: Any,
        *sizes: Any,
        requires_grad: bool = False,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        if sizes:
            shape = (data, *sizes)
            raise TypeError(
                f"Tensor takes data, not sizes: for an array of zeros, Tensor(np.zeros({shape}))"
            )
        made = copy_or_join(data, dtype)
        self._data = made._data
        self._node = made._node
        self._requires_grad = made._requires_grad
        self._grad = None
        self._name = None
        self.change = None
        if requires_grad:
            self.requires_grad = True
        if name is not None:
            self.named(name)

    # Values

    @property
    def data(self) -> np.ndarray:
        """The values. Assigning to it, also as in ``t.data -= step``, is outside any graph."""
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        array = value._data if isinstance(value, Tensor) else np.asarray(value)
        if self._requires_grad and array.dtype.kind != "f":
            raise DtypeError(f"{self._called()} requires a gradient and can't become {array.dtype}")
        self._data = array
        self.mark_changed()

    def mark_changed(self) -> None:
        """Records that the values were changed in place, so that a stale graph can be told."""
        self._shared_change().mark()

    def _shared_change(self) -> Change:
        record: Any = self if self._node is None else self._node
        if record.change is None:
            record.change = Change()
        return record.change

    @property
    def grad(self) -> Tensor | None:
        """What `backward` has added up for this leaf; None before."""
        if self._node is not None and self._requires_grad and self._grad is None:
            warnings.warn(
                ".grad is kept for leaves only (Tensors made with requires_grad=True). For the "
                "gradient of a result on the way, such as h: tg.grad(loss, h)",
                stacklevel=2,
            )
        return self._grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is not None:
            value = as_tensor(value)
            if value.dtype != self.dtype:
                if value.dtype.kind != "f":
                    raise DtypeError(
                        f"a gradient must hold floating-point numbers, got {value.dtype}"
                    )
                value = value.astype(self.dtype)
            if value.shape != self.shape:
                raise ShapeError(f"the gradient of shape {value.shape} doesn't fit {self.shape}")
        self._grad = value

    @property
    def requires_grad(self) -> bool:
        """Whether gradients with respect to this Tensor are tracked."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value and self._data.dtype.kind != "f":
            raise DtypeError(
                f"only floating-point Tensors can require a gradient, got {self.dtype}; "
                "convert with dtype=np.float64 or .astype(np.float64)"
            )
        if self._requires_grad and self._node is not None:
            if not value:
                raise GraphError("the result of an operation can't be switched off: use .detach()")
            return
        if self._node is not None:  # the record of a constant, which it no longer is
            self.change, self._node = self._node.change, None
        self._requires_grad = bool(value)

    @property
    def name(self) -> str | None:
        """The name given with `name=` or `named`."""
        return self._name if self._node is None else self._node.name

    @name.setter
    def name(self, value: str | None) -> None:
        self._name = value
        if self._node is not None:
            self._node.name = value

    def named(self, name: str) -> Tensor:
        """Names this Tensor, for pictures, traces and messages; returns it."""
        self.name = name
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes."""
        return self._data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        return self._data.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._data.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._data.size

    @property
    def T(self) -> Tensor:
        """All axes in reverse order."""
        return ops.transpose(self)

    @property
    def mT(self) -> Tensor:
        """The last two axes exchanged."""
        return ops.swapaxes(self, -1, -2)

    def numpy(self) -> np.ndarray:
        """The values as an ndarray, sharing memory."""
        return self._data

    def item(self) -> Any:
        """The only element, as a Python number."""
        return self._data.item()

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        return self._data.tolist()

    def detach(self) -> Tensor:
        """The same values, cut off from the graph."""
        result: Tensor = wrap(self._data)
        result._name = self.name
        result.change = self._shared_change()
        return result

    # Gradients

    def backward(
        self, gradient: Any = None, retain_graph: bool = False, create_graph: bool = False
    ) -> None:
        """Adds to the `.grad` of every leaf this Tensor depends on its gradient.

        Args:
            gradient: the cotangent, of this Tensor's shape; may be left out for a single number.
            retain_graph: keep what another backward pass over the same graph needs.
            create_graph: make the gradients differentiable themselves.

        Raises:
            RuntimeError: if nothing here requires a gradient; if the graph has been released; if
                an array that is needed was changed.
            ValueError: if `gradient` is missing or of another shape.
        """
        engine.backward(
            [self], [cotangent_of(self, gradient)], retain_graph, create_graph=create_graph
        )

    # Operators

    def __add__(self, other: Any) -> Tensor:
        return ops.add(self, other)

    def __radd__(self, other: Any) -> Tensor:
        return ops.add(other, self)

    def __sub__(self, other: Any) -> Tensor:
        return ops.subtract(self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return ops.subtract(other, self)

    def __mul__(self, other: Any) -> Tensor:
        return ops.multiply(self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return ops.multiply(other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return ops.divide(self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return ops.divide(other, self)

    def __pow__(self, other: Any) -> Tensor:
        return ops.power(self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return ops.power(other, self)

    def __floordiv__(self, other: Any) -> Tensor:
        return ops.floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return ops.floor_divide(other, self)

    def __mod__(self, other: Any) -> Tensor:
        return ops.remainder(self, other)

    def __rmod__(self, other: Any) -> Tensor:
        return ops.remainder(other, self)

    def __divmod__(self, other: Any) -> tuple[Tensor, Tensor]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple[Tensor, Tensor]:
        return other // self, other % self

    def __matmul__(self, other: Any) -> Tensor:
        return ops.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return ops.matmul(other, self)

    def __neg__(self) -> Tensor:
        return ops.negative(self)

    def __pos__(self) -> Tensor:
        return self

    def __abs__(self) -> Tensor:
        return ops.absolute(self)

    def __iadd__(self, other: Any) -> Tensor:
        return self._updated(np.add, other, "+=")

    def __isub__(self, other: Any) -> Tensor:
        return self._updated(np.subtract, other, "-=")

    def __imul__(self, other: Any) -> Tensor:
        return self._updated(np.multiply, other, "*=")

    def __itruediv__(self, other: Any) -> Tensor:
        return self._updated(np.divide, other, "/=")

    def __ipow__(self, other: Any) -> Tensor:
        return self._updated(np.power, other, "**=")

    def _updated(self, ufunc: np.ufunc, other: Any, sign: str) -> Tensor:
        """``self op= other``: in place for a leaf under no_grad, else a new Tensor."""
        if not self._requires_grad or self._node is not None:
            return ufunc(self, other)
        if current().recording:
            raise GraphError(
                f"{self._called()} is a leaf that requires a gradient: {sign} on it must stand in "
                f"`with tg.no_grad():`, or be written `.data {sign} ...`"
            )
        value = other._data if isinstance(other, Tensor) else other
        ufunc(self._data, value, out=self._data, casting="same_kind")
        self.mark_changed()
        return self

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]
        return ops.equal(self, other)

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]
        return ops.not_equal(self, other)

    def __lt__(self, other: Any) -> Tensor:
        return ops.less(self, other)

    def __le__(self, other: Any) -> Tensor:
        return ops.less_equal(self, other)

    def __gt__(self, other: Any) -> Tensor:
        return ops.greater(self, other)

    def __ge__(self, other: Any) -> Tensor:
        return ops.greater_equal(self, other)

    def __and__(self, other: Any) -> Tensor:
        return ops.bitwise_and(self, other)

    def __or__(self, other: Any) -> Tensor:
        return ops.bitwise_or(self, other)

    def __invert__(self) -> Tensor:
        return ops.invert(self)

    def __xor__(self, other: Any) -> Tensor:
        return ops.bitwise_xor(self, other)

    __rand__ = __and__
    __ror__ = __or__
    __rxor__ = __xor__

    def __round__(self, decimals: int = 0) -> Tensor:
        return ops.round(self, decimals)

    __hash__ = object.__hash__

    # Indexing and iteration

    def __getitem__(self, index: Any) -> Tensor:
        return ops.getitem(self, index)

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        raise TypeError(
            "a Tensor's elements can't be assigned, since graphs may need the old ones. Collect "
            "results in a list and np.stack them; make a new one with "
            "t = tg.index_update(t, index, value) or np.where(mask, new, old); or, outside any "
            "graph, write t.data[index] = value"
        )

    def __iter__(self) -> Iterator[Tensor]:
        if self._data.ndim == 0:
            raise TypeError("a 0-d Tensor can't be iterated over")
        return iter(ops.unstack(self))

    def __len__(self) -> int:
        return len(self._data)

    # Numbers and text

    def __bool__(self) -> bool:
        return bool(self._data)

    def __float__(self) -> float:
        if self._requires_grad and current().recording:
            _refuse_hidden_conversion(sys._getframe(1))
        return float(self._data.item() if self._data.size == 1 else self._data)

    def __int__(self) -> int:
        return int(self._data.item() if self._data.size == 1 else self._data)

    def __index__(self) -> int:
        return self._data.__index__()

    def __format__(self, spec: str) -> str:
        return format(self._data.item() if self._data.ndim == 0 else self._data, spec)

    def __str__(self) -> str:
        return str(self._data)

    def __repr__(self) -> str:
        text = np.array2string(self._data, separator=", ", prefix="Tensor(")
        if self._data.dtype not in (np.float64, np.int64, np.bool_):
            text += f", dtype={self._data.dtype}"
        if self._requires_grad:
            text += ", requires_grad=True"
        if self.name:
            text += f", name={self.name!r}"
        maker = self._node.node if isinstance(self._node, Output) else self._node
        if isinstance(maker, Node):
            text += f", made by {maker.place}"
        return f"Tensor({text})"

    def _called(self) -> str:
        return f"the Tensor {self.name!r}" if self.name else f"the Tensor of shape {self.shape}"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in _ELSEWHERE:
            hint = f" Here it is {_ELSEWHERE[name]!r}."
        else:
            hint = did_you_mean(name, [n for n in dir(type(self)) if n[0] != "_"])
        raise AttributeError(f"a Tensor has no attribute {name!r}.{hint}")

    # Copies

    def __getstate__(self) -> Any:
        if self._requires_grad and self._node is not None:
            raise GraphError("only leaves can be copied or pickled, not results: .detach() first")
        return {"data": self._data, "requires_grad": self._requires_grad, "name": self._name}

    def __setstate__(self, state: Any) -> None:
        self._data = state["data"]
        self._requires_grad = state["requires_grad"]
        self._name = state["name"]
        self._node = None
        self._grad = None
        self.change = None

    # NumPy's protocols

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self._requires_grad and current().recording:
            if self._data.ndim == 0 and (dtype is None or np.dtype(dtype) == np.dtype(object)):
                # list(h) in an array: the object array keeps the Tensor, and so the gradient.
                cell = np.empty(1, object)
                cell[0] = self
                return cell.reshape(())
            raise TypeError(
                f"{self._called()} requires a gradient, which an ndarray can't carry. Use "
                "tg.stack or tg.asarray to join Tensors; .detach() or .numpy() for the values"
            )
        return np.array(self._data, dtype=dtype, copy=copy)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        operation = numpy_functions.get(ufunc)
        if operation is not None and method == "__call__" and not kwargs:
            return operation(*inputs)
        out = kwargs.pop("out", None)
        if method == "reduce" and ufunc in _REDUCTIONS and out is None:
            return self.__array_function__(_REDUCTIONS[ufunc], (), inputs, {"axis": 0, **kwargs})
        if operation is None or method != "__call__" or kwargs:
            asked = f"np.{ufunc.__name__}" + (f".{method}" if method != "__call__" else "")
            raise unsupported(asked, kwargs if operation is not None else {})
        tensors = [x for x in (*inputs, *out) if isinstance(x, Tensor)]
        if any(isinstance(x, Tensor) for x in out) or (
            current().recording and any(t.requires_grad for t in tensors)
        ):
            raise UnsupportedOperation(
                f"np.{ufunc.__name__} can't write a Tensor's result into an array, where its "
                "gradient would be lost: `total = total + t` instead of `total += t` or out="
            )
        return ufunc(*(x._data if isinstance(x, Tensor) else x for x in inputs), out=out)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        operation = numpy_functions.get(func)
        if operation is None:
            module = getattr(func, "__module__", "numpy").replace("numpy", "np")
            raise unsupported(f"{module}.{func.__name__}", {})
        try:
            return operation(*args, **kwargs)
        except TypeError as error:
            if "unexpected keyword" in str(error) or "positional argument" in str(error):
                raise UnsupportedOperation(f"np.{func.__name__} on Tensors: {error}") from error
            raise

    # Methods

    def sum(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """``np.sum``"""
        return ops.sum(self, axis, keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """``np.mean``"""
        return ops.mean(self, axis, keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """``np.max``; equal elements share the gradient"""
        return ops.max(self, axis, keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """``np.min``; equal elements share the gradient"""
        return ops.min(self, axis, keepdims)

    def prod(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """``np.prod``"""
        return ops.prod(self, axis, keepdims)

    def var(
        self, axis: Any = None, *, ddof: float = 0, keepdims: bool = False, correction: Any = None
    ) -> Tensor:
        """``np.var``"""
        return ops.var(self, axis, ddof=ddof, keepdims=keepdims, correction=correction)

    def std(
        self, axis: Any = None, *, ddof: float = 0, keepdims: bool = False, correction: Any = None
    ) -> Tensor:
        """``np.std``"""
        return ops.std(self, axis, ddof=ddof, keepdims=keepdims, correction=correction)

    def cumsum(self, axis: int | None = None) -> Tensor:
        """``np.cumsum``"""
        return ops.cumsum(self, axis)

    def cumprod(self, axis: int | None = None) -> Tensor:
        """``np.cumprod``"""
        return ops.cumprod(self, axis)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
        """``np.trace``"""
        return ops.trace(self, offset, axis1, axis2)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
        """``np.diagonal``"""
        return ops.diagonal(self, offset, axis1, axis2)

    def argsort(self, axis: int | None = -1) -> Tensor:
        """``np.argsort``"""
        return ops.argsort(self, axis)

    def nonzero(self) -> Any:
        """``np.nonzero``"""
        return ops.nonzero(self)

    def take(self, indices: Any, axis: int | None = None) -> Tensor:
        """``np.take``"""
        return ops.take(self, indices, axis)

    def repeat(self, repeats: Any, axis: int | None = None) -> Tensor:
        """``np.repeat``; it repeats elements"""
        return ops.repeat(self, repeats, axis)

    def clip(self, min: Any = None, max: Any = None) -> Tensor:
        """``np.clip``"""
        return ops.clip(self, min, max)

    def round(self, decimals: int = 0) -> Tensor:
        """``np.round``; its derivative is zero"""
        return ops.round(self, decimals)

    def abs(self) -> Tensor:
        """``np.absolute``"""
        return ops.absolute(self)

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> Tensor:
        """``np.argmax``"""
        return ops.argmax(self, axis, keepdims)

    def argmin(self, axis: int | None = None, keepdims: bool = False) -> Tensor:
        """``np.argmin``"""
        return ops.argmin(self, axis, keepdims)

    def all(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """``np.all``"""
        return ops.all(self, axis, keepdims)

    def any(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """``np.any``"""
        return ops.any(self, axis, keepdims)

    def dot(self, b: Any) -> Tensor:
        """``np.dot``"""
        return ops.dot(self, b)

    def exp(self) -> Tensor:
        """``np.exp``"""
        return ops.exp(self)

    def log(self) -> Tensor:
        """``np.log``"""
        return ops.log(self)

    def sqrt(self) -> Tensor:
        """``np.sqrt``"""
        return ops.sqrt(self)

    def tanh(self) -> Tensor:
        """``np.tanh``"""
        return ops.tanh(self)

    def sigmoid(self) -> Tensor:
        """``tg.sigmoid``"""
        return ops.sigmoid(self)

    def relu(self) -> Tensor:
        """``tg.relu``"""
        return ops.relu(self)

    def reshape(self, *shape: Any) -> Tensor:
        """``np.reshape``; the sizes as one tuple or one by one"""
        return ops.reshape(self, shape[0] if len(shape) == 1 else shape)

    def ravel(self) -> Tensor:
        """``np.ravel``"""
        return ops.ravel(self)

    def flatten(self) -> Tensor:
        """A copy as one axis"""
        return ops.ravel(ops.copy(self))

    def transpose(self, *axes: Any) -> Tensor:
        """``np.transpose``; the axes as one tuple, one by one, or none to reverse them"""
        order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes or None
        return ops.transpose(self, order)

    def swapaxes(self, axis1: int, axis2: int) -> Tensor:
        """``np.swapaxes``"""
        return ops.swapaxes(self, axis1, axis2)

    def squeeze(self, axis: Any = None) -> Tensor:
        """``np.squeeze``"""
        return ops.squeeze(self, axis)

    def astype(self, dtype: Any) -> Tensor:
        """The values in another dtype; the gradient comes back in this one"""
        return ops.astype(self, dtype)

    def copy(self) -> Tensor:
        """``np.copy``"""
        return ops.copy(self)


def as_tensor(data: Any, dtype: Any = None) -> Tensor:
    """`data` as a Tensor: itself if it is one, else sharing an ndarray's memory.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> a = np.zeros(2)
    >>> tg.as_tensor(a).data is a
    True
    """
    made = asarray(data)
    if not isinstance(made, Tensor):
        made = wrap(np.asarray(made))
    if made.dtype.kind not in "fiub":
        raise DtypeError(f"a Tensor holds real numbers or booleans, not {made.dtype}")
    if dtype is not None and made.dtype != dtype:
        return made.astype(dtype)
    return made


def asarray(data: Any) -> Any:
    """One Tensor from nested lists or object arrays that hold Tensors; else ``np.asarray``.

    >>> import tinygrad_rnn as tg
    >>> h = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> tg.asarray([list(h), list(h * 2)])
    Tensor([[1., 2.],
            [2., 4.]], requires_grad=True, made by stack)
    """
    if isinstance(data, Tensor):
        return data
    if isinstance(data, np.ndarray) and data.dtype == object:
        if data.ndim == 0:
            return asarray(data.item())
        data = list(data)
    if isinstance(data, (list, tuple)) and _holds_tensor(data):
        return ops.stack([asarray(part) for part in data])
    return np.asarray(data)


def named(value: Any, name: str) -> Any:
    """`value` itself, named if it is a Tensor: for pictures and traces, in code for arrays too.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> tg.named(tg.Tensor(1.0), "gate").name
    'gate'
    >>> tg.named(np.ones(2), "gate")
    array([1., 1.])
    """
    if isinstance(value, Tensor):
        value.name = name
    return value


def _holds_tensor(data: Any) -> bool:
    if isinstance(data, np.ndarray) and data.dtype == object:
        data = data.ravel().tolist()
    if isinstance(data, (list, tuple)):
        return any(_holds_tensor(part) for part in data)
    return isinstance(data, Tensor)


def copy_or_join(data: Any, dtype: Any) -> Any:
    """A fresh Tensor of `data`, in the graph of the Tensors it holds."""
    joined = asarray(data)
    made = ops.copy(joined) if isinstance(joined, Tensor) else wrap(np.array(joined, dtype=dtype))
    if made.dtype.kind not in "fiub":
        raise DtypeError(f"a Tensor holds real numbers or booleans, not {made.dtype}: {data!r:.80}")
    return made if dtype is None else made.astype(dtype)


def cotangent_of(output: Tensor, gradient: Any) -> Tensor:
    """The checked cotangent with which differentiation of `output` starts."""
    if not output._requires_grad:
        raise GraphError(
            f"{output._called()} doesn't depend on anything that requires a gradient: make the "
            "inputs with requires_grad=True, outside tg.no_grad(), and don't detach on the way"
        )
    if gradient is None:
        if output.size != 1:
            raise ShapeError(
                f"only a single number can be differentiated without `gradient`; this has the "
                f"shape {output.shape}. Sum or average it, or give a cotangent of that shape"
            )
        return wrap(np.ones(output.shape, output.dtype))
    gradient = as_tensor(gradient)
    if gradient.shape != output.shape:
        raise ShapeError(
            f"the cotangent has the shape {gradient.shape}, its output has {output.shape}"
        )
    return gradient if gradient.dtype == output.dtype else gradient.astype(output.dtype)


def _refuse_hidden_conversion(caller: FrameType) -> None:
    """Raises where NumPy asks for a number on its own account, and the gradient would be lost.

    ``float(t)`` in the user's code is explicit. ``np.mean([t, t])`` and ``array[i] = t`` aren't.
    """
    if caller.f_globals.get("__name__", "").partition(".")[0] == "numpy":
        raise TypeError(
            f"np.{caller.f_code.co_name} would lose the gradients of the Tensors in this list or "
            "object array: join them first, as in np.stack(losses).mean()"
        )
    if dis.opname[caller.f_code.co_code[caller.f_lasti]] in ("STORE_SUBSCR", "STORE_SLICE"):
        raise TypeError(
            "storing a Tensor in an ndarray would lose its gradient: append it to a list and "
            "np.stack the list (or store float(t) or t.item(), if only the number is wanted)"
        )


def unsupported(asked: str, kwargs: dict[str, Any]) -> UnsupportedOperation:
    """The error for what NumPy has and Tensors have not."""
    if kwargs:
        return UnsupportedOperation(f"{asked} on Tensors takes no {', '.join(kwargs)}=")
    known = {getattr(f, "__name__", ""): f for f in numpy_functions}
    near = did_you_mean(asked.rpartition(".")[2], known, cutoff=0.75)
    return UnsupportedOperation(
        f"{asked} is not available on Tensors.{near} For the bare values, "
        "without a gradient, use t.numpy()"
    )


_REDUCTIONS: dict[Any, Any] = {
    np.add: np.sum,
    np.maximum: np.max,
    np.minimum: np.min,
    np.logical_and: np.all,
    np.logical_or: np.any,
}


def _query(func: Any) -> Any:
    """NumPy's own function on the bare values, for questions whose answer has no gradient."""

    def bare(value: Any) -> Any:
        if isinstance(value, Tensor):
            view = value._data.view()
            view.flags.writeable = False
            return view
        return type(value)(map(bare, value)) if type(value) in (list, tuple) else value

    def ask(*args: Any, **kwargs: Any) -> Any:
        return func(*map(bare, args), **{k: bare(v) for k, v in kwargs.items()})

    return ask


for _func in (
    np.shape,
    np.ndim,
    np.size,
    np.allclose,
    np.isclose,
    np.array_equal,
    np.array_equiv,
    np.iscomplexobj,
    np.isrealobj,
    np.result_type,
    np.can_cast,
    np.min_scalar_type,
    np.shares_memory,
    np.may_share_memory,
    np.array2string,
    np.array_repr,
    np.array_str,
):
    numpy_functions[_func] = _query(_func)

register_tensor(Tensor, asarray)
