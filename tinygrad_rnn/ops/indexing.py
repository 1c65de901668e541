"""Reading and writing parts of arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.errors import ShapeError
from ..core.graph import At, is_basic
from ..core.primitive import Array, composite, is_tensor, primitive

__all__ = [
    "argpartition",
    "argsort",
    "argwhere",
    "choose",
    "compress",
    "embedding",
    "extract",
    "flatnonzero",
    "getitem",
    "index_add",
    "index_update",
    "nonzero",
    "partition",
    "scatter",
    "scatter_add",
    "searchsorted",
    "select",
    "sort",
    "take",
    "take_along_axis",
    "topk",
    "where",
]


def _place(g: Any, index: Any, shape: Any) -> Any:
    # In a first-order pass the engine adds the part into one buffer; see At.
    return scatter(g, index, shape) if is_tensor(g) else At(index, g, shape)


@primitive(view=True, hint=lambda x, index: "")
def _getitem(x: Array, index: Any) -> Array:
    return x[index]


_getitem.vjp(x=lambda g, index, x_shape: _place(g, index, x_shape))


@composite()
def getitem(x: Any, index: Any) -> Any:
    """out = x[index], with any index that NumPy takes

    >>> import tinygrad_rnn as tg
    >>> tg.getitem(tg.Tensor([1.0, 2.0, 3.0]), [0, 0, 2])
    Tensor([1., 1., 3.])
    """
    if type(index) is not int and type(index) is not slice:
        index = _owned(index)
    return _getitem(x, index)


def _owned(index: Any) -> Any:
    """An index with its lists and Tensors as new ndarrays: changing those later changes nothing."""
    if type(index) is tuple:
        return tuple([_owned(part) for part in index])
    if is_tensor(index):
        index = index.data
    if isinstance(index, (np.ndarray, list)):
        array = np.array(index)
        return array if array.size else array.astype(array.dtype if array.dtype == bool else int)
    return int(index) if isinstance(index, np.integer) else index


@primitive()
def scatter(g: Array, index: Any, shape: tuple[int, ...]) -> Array:
    """out = zeros of `shape` with g added at `index`, repeated indices adding up"""
    out = np.zeros(shape, g.dtype)
    At(index, g, shape).add_to(out)
    return out


scatter.vjp(g=lambda g, index: g[index])


@primitive(numpy=np.where)
def where(condition: Array, x: Array = None, y: Array = None) -> Array:
    """out = x where condition is true, y elsewhere; with neither x nor y, ``nonzero(condition)``"""
    if x is None or y is None:
        if x is not y:
            raise ValueError("either both or neither of x and y should be given")
        return np.nonzero(condition)
    return np.where(condition, x, y)


where.vjp(
    x=lambda g, condition: np.where(condition, g, 0),
    y=lambda g, condition: np.where(condition, 0, g),
)


@composite()
def embedding(input: Any, weight: Any) -> Any:
    """out = weight[input]: the rows of `weight`, shape (V, E), at integers of any shape (...).

    Returns:
        shape (..., E).

    Raises:
        TypeError: if `input` isn't of integers.
        IndexError: if an integer is negative or not below V.

    >>> import tinygrad_rnn as tg
    >>> tg.embedding([2, 0], tg.Tensor([[0.0, 0.5], [1.0, 1.5], [2.0, 2.5]]))
    Tensor([[2. , 2.5],
            [0. , 0.5]])
    """
    ids = input.data if is_tensor(input) else np.asarray(input)
    if ids.dtype.kind not in "iu":
        raise TypeError(
            "embedding: the input must be integers (positions in the vocabulary), got "
            f"{ids.dtype}; convert with .astype(int)"
        )
    rows = weight.shape[0]
    if ids.size and (ids.min() < 0 or ids.max() >= rows):
        wrong = ids[(ids < 0) | (ids >= rows)].flat[0]
        raise IndexError(
            f"embedding: index {wrong} is outside 0 … {rows - 1} (weight has {rows} rows)"
        )
    return getitem(weight, ids)


# By position along an axis


def _own_message(*values: Any) -> str:
    """A hint that leaves NumPy's message as it is."""
    return ""


def _take_index(indices: Any, shape: tuple[int, ...], axis: int | None, mode: str) -> Any:
    """The index that selects what ``take`` takes."""
    indices = np.asarray(indices)
    length = math.prod(shape) if axis is None else shape[axis]
    if mode == "clip":
        indices = np.clip(indices, 0, length - 1)
    elif indices.size:  # counted from the end, or around it
        indices = indices % length
    if axis is None:
        return np.unravel_index(indices, shape)
    return (slice(None),) * (axis % len(shape)) + (indices,) if axis else indices


def _take_vjp(g: Any, a_shape: Any, indices: Any, axis: Any, mode: str) -> Any:
    if not a_shape:
        return g
    return _place(g, _take_index(indices, a_shape, axis, mode), a_shape)


@primitive(numpy=np.take, hint=_own_message)
def take(a: Array, indices: Array, axis: int | None = None, mode: Any = "raise") -> Array:
    """out = the elements of a at `indices` along `axis` (of a flattened, if it is None)

    Indices out of range raise an IndexError, or count around the end (`mode="wrap"`), or mean the
    first or last element (`mode="clip"`, in which negative ones are the first).

    >>> import tinygrad_rnn as tg
    >>> tg.take(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]), [1, 1, 0], axis=1)
    Tensor([[2., 2., 1.],
            [4., 4., 3.]])
    """
    return np.take(a, indices, axis, mode=mode)


take.vjp(a=_take_vjp)


def _along(indices: Any, shape: tuple[int, ...], axis: int) -> tuple[Any, ...]:
    """The index of an array of `shape` that selects what ``take_along_axis`` takes."""
    axis %= len(shape)
    open_mesh = np.ix_(*(np.arange(n) for n in shape))
    return (*open_mesh[:axis], np.asarray(indices), *open_mesh[axis + 1 :])


def _flattened(shape: tuple[int, ...], axis: int | None) -> tuple[tuple[int, ...], int]:
    return ((math.prod(shape),), 0) if axis is None else (shape, axis)


def _take_along_axis_vjp(g: Any, indices: Any, arr_shape: Any, axis: int | None) -> Any:
    shape, place = _flattened(arr_shape, axis)
    index = _along(indices, shape, place)
    return scatter(g, index, shape).reshape(arr_shape) if axis is None else _place(g, index, shape)


@primitive(numpy=np.take_along_axis, hint=_own_message)
def take_along_axis(arr: Array, indices: Array, axis: int | None = -1) -> Array:
    """out[..., i, ...] = arr[..., indices[..., i, ...], ...] along `axis`

    `indices` has as many axes as arr (one, if `axis` is None and arr is flattened); all but `axis`
    broadcast. What ``argsort`` and the like return is such indices.
    """
    return np.take_along_axis(np.asarray(arr), np.asarray(indices), axis)


take_along_axis.vjp(arr=_take_along_axis_vjp)


@primitive(hint=_own_message)
def scatter_add(x: Array, indices: Array, values: Array, axis: int = -1) -> Array:
    """out = x, with values[..., i, ...] added at indices[..., i, ...] along `axis`

    Indices are as for ``take_along_axis``; what goes to the same place adds up.

    >>> import tinygrad_rnn as tg
    >>> tg.scatter_add(tg.Tensor([1.0, 1.0, 1.0]), [2, 0, 2], tg.Tensor([5.0, 6.0, 7.0]), axis=0)
    Tensor([ 7.,  1., 13.])
    """
    out = np.array(x, np.result_type(x, values))
    np.add.at(out, _along(indices, out.shape, axis), values)
    return out


scatter_add.vjp(
    x=lambda g: g,
    values=lambda g, indices, axis: take_along_axis(g, indices, axis),
)


# Writing, the functional way


@primitive(hint=_own_message)
def _index_update(x: Array, index: Any, value: Array) -> Array:
    out = np.array(x, np.result_type(x, value))
    out[index] = value
    return out


def _written(g: Any, index: Any, value_shape: tuple[int, ...]) -> Any:
    """The part of `g` where a value went, 0 for what a later value overwrote."""
    part = g[index]
    if not is_basic(index):
        writers = np.arange(part.size).reshape(part.shape)
        last = np.full(g.shape, -1)
        last[index] = writers
        part = np.where(last[index] == writers, part, 0)
    extra = len(value_shape) - part.ndim  # leading axes of size 1, which assignment ignores
    return part.reshape((1,) * extra + part.shape) if extra > 0 else part


_index_update.vjp(
    x=lambda g, index: _index_update(g, index, 0.0),
    value=lambda g, index, value_shape: _written(g, index, value_shape),
)


@composite()
def index_update(x: Any, index: Any, value: Any) -> Any:
    """out = x, but value at `index` (any that NumPy takes): ``x[index] = value`` without a trace

    Where an element is written twice, the last value stays and gets the gradient, as in NumPy. The
    dtype is that of ``x + value``.

    >>> import tinygrad_rnn as tg
    >>> x = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> y = tg.index_update(x, slice(1, None), 0.0)
    >>> y.data
    array([1., 0., 0.])
    >>> y.sum().backward()
    >>> x.grad
    Tensor([1., 0., 0.])
    """
    return _index_update(x, _owned(index), value)


@primitive(hint=_own_message)
def _index_add(x: Array, index: Any, value: Array) -> Array:
    out = np.array(x, np.result_type(x, value))
    np.add.at(out, index, value)
    return out


_index_add.vjp(x=lambda g: g, value=lambda g, index: g[index])


@composite()
def index_add(x: Any, index: Any, value: Any) -> Any:
    """out = x, with value added at `index` (any that NumPy takes), repeated indices adding up

    >>> import tinygrad_rnn as tg
    >>> tg.index_add(tg.Tensor([1.0, 2.0, 3.0]), [0, 0, 2], 10.0)
    Tensor([21.,  2., 13.])
    """
    return _index_add(x, _owned(index), value)


# Order


@primitive(numpy=np.argsort)
def argsort(a: Array, axis: int | None = -1) -> Array:
    """out = the positions that put a in ascending order; equal elements keep theirs (stable)"""
    return np.argsort(a, axis=axis, kind="stable")


@primitive(numpy=np.argpartition)
def argpartition(a: Array, kth: int | Sequence[int], axis: int | None = -1) -> Array:
    """out = the positions that partition a; see ``partition``"""
    return np.argpartition(a, kth, axis=axis)


@primitive(numpy=np.searchsorted)
def searchsorted(a: Array, v: Array, side: Any = "left", sorter: Array = None) -> Array:
    """out = the places in the ascending a before which v would go (`side="right"`: after equals)"""
    return np.searchsorted(a, v, side=side, sorter=sorter)


@composite(np.sort)
def sort(a: Any, axis: int | None = -1) -> Any:
    """out = a in ascending order along `axis` (flattened, if it is None), NaN last

    The order is stable, and each element gets the gradient of the place it went to.

    >>> import tinygrad_rnn as tg
    >>> x = tg.Tensor([3.0, 1.0, 2.0], requires_grad=True)
    >>> tg.sort(x).backward([10.0, 20.0, 30.0])
    >>> x.grad
    Tensor([30., 10., 20.])
    """
    return take_along_axis(a, argsort(a, axis), axis)


@composite(np.partition)
def partition(a: Any, kth: int | Sequence[int], axis: int | None = -1) -> Any:
    """out = a with the kth smallest (or several) in its place along `axis`

    None before it is larger, none after it smaller; their order is left open. Each element gets the
    gradient of the place it went to.
    """
    return take_along_axis(a, argpartition(a, kth, axis), axis)


@primitive()
def _places_of_extremes(x: Array, k: int, axis: int, largest: bool) -> Array:
    """out = the positions of the k largest (smallest) elements along `axis`, best first"""
    x = np.asarray(x)
    if not 0 <= k <= x.shape[axis]:
        raise ValueError(f"k must be from 0 to {x.shape[axis]}, the length of axis {axis}; got {k}")
    ranked = np.flip(x, axis) if largest else x
    order = np.argsort(ranked, axis=axis, kind="stable")
    if (
        largest
    ):  # from the far end of the flipped array: descending, equals in their order, NaN first
        order = x.shape[axis] - 1 - np.flip(order, axis)
    return np.moveaxis(np.moveaxis(order, axis, 0)[:k], 0, axis)


@composite()
def topk(x: Any, k: int, axis: int = -1, largest: bool = True) -> tuple[Any, Any]:
    """out = the k largest (or smallest) elements along `axis`, best first, and their positions

    Of equals the first comes first, and the gradient goes to the elements returned. NaN counts as
    the largest. The positions are integers without a gradient.

    >>> import tinygrad_rnn as tg
    >>> values, indices = tg.topk(tg.Tensor([3.0, 1.0, 4.0, 1.0]), 2)
    >>> values, indices
    (Tensor([4., 3.]), Tensor([2, 0]))
    """
    places = _places_of_extremes(x, k, axis, largest)
    return take_along_axis(x, places, axis), places


# By truth


@primitive(numpy=np.nonzero)
def nonzero(a: Array) -> Array:
    """out = the indices of the elements that aren't zero, one array of integers for each axis"""
    return np.nonzero(a)


@primitive(numpy=np.flatnonzero)
def flatnonzero(a: Array) -> Array:
    """out = the positions, in a flattened, of the elements that aren't zero"""
    return np.flatnonzero(a)


@primitive(numpy=np.argwhere)
def argwhere(a: Array) -> Array:
    """out = the indices of the elements that aren't zero, one row for each"""
    return np.argwhere(a)


@composite(np.compress)
def compress(condition: Any, a: Any, axis: int | None = None) -> Any:
    """out = the slices of a along `axis` (flattened, if it is None) where condition is true"""
    return take(a, flatnonzero(condition), axis)


@composite(np.extract)
def extract(condition: Any, arr: Any) -> Any:
    """out = the elements of arr where condition, of the same size, is true, as one axis"""
    return take(arr, flatnonzero(condition))


@composite(np.select)
def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Any:
    """out = the choice of the first condition that is true; `default` where none is

    Raises:
        ShapeError: if there aren't as many choices as conditions, or none.
        TypeError: if a condition isn't boolean.

    >>> import tinygrad_rnn as tg
    >>> x = tg.Tensor([-2.0, 0.5, 3.0])
    >>> tg.select([x < 0, x < 1], [-x, x * 10])
    Tensor([2., 5., 0.])
    """
    if len(condlist) != len(choicelist) or not condlist:
        raise ShapeError(
            f"select needs one choice for each condition, and at least one; got {len(condlist)} "
            f"conditions and {len(choicelist)} choices"
        )
    out = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        dtype = getattr(condition, "dtype", None) or np.asarray(condition).dtype
        if dtype.kind != "b":
            raise TypeError(f"select: conditions must be boolean, got {dtype}; write x != 0")
        out = where(condition, choice, out)
    return out


@composite(np.choose)
def choose(a: Any, choices: Sequence[Any], mode: str = "raise") -> Any:
    """out = choices[a] elementwise: a holds integers; it and the choices broadcast

    `mode` is what it is in ``take``.
    """
    places = a.data if is_tensor(a) else np.asarray(a)
    arrays = [c if hasattr(c, "shape") else np.asarray(c) for c in choices]
    shape = np.broadcast_shapes(places.shape, *(c.shape for c in arrays))
    if places.size and mode == "raise" and not 0 <= places.min() <= places.max() < len(arrays):
        raise ValueError(f"choose: a must be from 0 to {len(arrays) - 1}, one of the choices")
    places = np.clip(places, 0, len(arrays) - 1) if mode == "clip" else places % len(arrays)
    table = np.stack([np.broadcast_to(c, shape) for c in arrays])
    return take_along_axis(table, np.broadcast_to(places, shape)[None], 0)[0]
