"""Rearranging, joining, taking apart, and products of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import ops
from ...core.errors import ShapeError
from .tensors import convert_to_tensor, pair

__all__ = [
    "broadcast_to",
    "concatenate",
    "diagonal",
    "dot",
    "einsum",
    "expand_dims",
    "flip",
    "matmul",
    "moveaxis",
    "outer",
    "pad",
    "ravel",
    "repeat",
    "reshape",
    "roll",
    "split",
    "squeeze",
    "stack",
    "swapaxes",
    "take",
    "take_along_axis",
    "tensordot",
    "tile",
    "transpose",
    "tril",
    "triu",
    "unstack",
]


def transpose(x: Any, axes: Sequence[int] | None = None) -> Any:
    """out = x with its axes in another order, by default the opposite one"""
    return ops.transpose(convert_to_tensor(x), None if axes is None else tuple(axes))


def reshape(x: Any, newshape: int | Sequence[int]) -> Any:
    """out = the elements of x in another shape; -1 for the size that is left"""
    shape = tuple(newshape) if isinstance(newshape, (list, tuple)) else newshape
    return ops.reshape(convert_to_tensor(x), shape)  # type: ignore[arg-type]


def ravel(x: Any) -> Any:
    """out = x with one axis"""
    return ops.ravel(convert_to_tensor(x))


def concatenate(xs: Sequence[Any], axis: int = 0) -> Any:
    """out = arrays joined along an axis

    >>> from tinygrad_rnn import keras
    >>> keras.ops.concatenate([[[1.0]], [[2.0]]], axis=-1)
    Tensor([[1., 2.]], dtype=float32)
    """
    return ops.concatenate([convert_to_tensor(x) for x in xs], axis)


def stack(x: Sequence[Any], axis: int = 0) -> Any:
    """out = arrays of one shape along a new axis"""
    return ops.stack([convert_to_tensor(each) for each in x], axis)


def unstack(x: Any, num: int | None = None, axis: int = 0) -> list[Any]:
    """The parts of x along an axis.

    Raises:
        ValueError: if `num` isn't how many there are.
    """
    parts = list(ops.unstack(convert_to_tensor(x), axis))
    if num not in (None, len(parts)):
        raise ShapeError(f"axis {axis} of x has the size {len(parts)}. Received: num={num}")
    return parts


def split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Any]:
    """x in parts along an axis: so many equal ones, or from each index to the next.

    >>> from tinygrad_rnn import keras
    >>> [part.shape for part in keras.ops.split(keras.ops.zeros((2, 6)), 3, axis=1)]
    [(2, 2), (2, 2), (2, 2)]
    """
    return list(ops.split(convert_to_tensor(x), indices_or_sections, axis))


def expand_dims(x: Any, axis: int | Sequence[int]) -> Any:
    """out = x with new axes of the size 1"""
    place: Any = tuple(axis) if isinstance(axis, list) else axis
    return ops.expand_dims(convert_to_tensor(x), place)


def squeeze(x: Any, axis: int | Sequence[int] | None = None) -> Any:
    """out = x without axes of the size 1"""
    place: Any = tuple(axis) if isinstance(axis, list) else axis
    return ops.squeeze(convert_to_tensor(x), place)


def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """out = x with two axes exchanged"""
    return ops.swapaxes(convert_to_tensor(x), axis1, axis2)


def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """out = x with axes at other places"""
    return ops.moveaxis(convert_to_tensor(x), source, destination)


def broadcast_to(x: Any, shape: Sequence[int]) -> Any:
    """out = x repeated along axes of the size 1"""
    return ops.broadcast_to(convert_to_tensor(x), tuple(shape))


def flip(x: Any, axis: Any = None) -> Any:
    """out = x, backwards along axes, by default along all"""
    return ops.flip(convert_to_tensor(x), axis)


def roll(x: Any, shift: Any, axis: Any = None) -> Any:
    """out = x, moved around along axes"""
    return ops.roll(convert_to_tensor(x), shift, axis)


def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """out = the elements of x at indices along an axis

    Raises:
        IndexError: for indices out of range.
    """
    return ops.take(convert_to_tensor(x), convert_to_tensor(indices), axis)


def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Any:
    """out[..., i, ...] = x[..., indices[..., i, ...], ...] along `axis`"""
    return ops.take_along_axis(convert_to_tensor(x), convert_to_tensor(indices), axis)


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """out = every element of x so many times, along an axis"""
    return ops.repeat(convert_to_tensor(x), repeats, axis)


def tile(x: Any, repeats: Any) -> Any:
    """out = x so many times, along each axis"""
    return ops.tile(convert_to_tensor(x), repeats)


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Any:
    """out = x with elements before and behind, along each axis"""
    return ops.pad(convert_to_tensor(x), pad_width, mode, constant_values=constant_values)


def tril(x: Any, k: int = 0) -> Any:
    """out = x, but 0 above a diagonal"""
    return ops.tril(convert_to_tensor(x), k)


def triu(x: Any, k: int = 0) -> Any:
    """out = x, but 0 below a diagonal"""
    return ops.triu(convert_to_tensor(x), k)


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """out = a diagonal of x"""
    return ops.diagonal(convert_to_tensor(x), offset, axis1, axis2)


def matmul(x1: Any, x2: Any) -> Any:
    """out = x1 x2 over the last two axes, the others broadcast"""
    return ops.matmul(*pair(x1, x2))


def dot(x1: Any, x2: Any) -> Any:
    """out = Σ x1 · x2 over the last axis of x1 and the last but one of x2"""
    a, b = pair(x1, x2)
    # the same for matrices and vectors, and recurrent layers run it fast
    plain = all(np.ndim(x) in (1, 2) for x in (a, b))
    return ops.matmul(a, b) if plain else ops.dot(a, b)


def outer(x1: Any, x2: Any) -> Any:
    """out = all products of an element of x1 and one of x2"""
    return ops.outer(*pair(x1, x2))


def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Any:
    """out = Σ x1 · x2 over pairs of axes"""
    return ops.tensordot(*pair(x1, x2), axes)


def einsum(subscripts: str, *operands: Any) -> Any:
    """out = Σ of products over the labels that "…->labels" leaves out

    >>> from tinygrad_rnn import keras
    >>> keras.ops.einsum("ij,j->i", [[1.0, 2.0], [3.0, 4.0]], [1.0, 1.0])
    Tensor([3., 7.], dtype=float32)
    """
    return ops.einsum(subscripts, *map(convert_to_tensor, operands))
