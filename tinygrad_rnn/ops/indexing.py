"""Reading and writing parts of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.graph import At
from ..core.primitive import Array, composite, is_tensor, primitive

__all__ = [
    "embedding",
    "getitem",
    "ones_like",
    "scatter",
    "where",
    "zeros_like",
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
        index = index._data
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
def where(condition: Array, x: Array, y: Array) -> Array:
    """out = x where condition is true, y elsewhere"""
    return np.where(condition, x, y)


where.vjp(
    x=lambda g, condition: np.where(condition, g, 0),
    y=lambda g, condition: np.where(condition, 0, g),
)


@primitive(numpy=np.zeros_like)
def zeros_like(a: Array) -> Array:
    """out = zeros of the shape and dtype of a"""
    return np.zeros_like(a)


@primitive(numpy=np.ones_like)
def ones_like(a: Array) -> Array:
    """out = ones of the shape and dtype of a"""
    return np.ones_like(a)


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
    ids = input._data if is_tensor(input) else np.asarray(input)
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
