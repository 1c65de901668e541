"""Rearranging, joining and taking apart."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.errors import ShapeError
from ..core.primitive import Array, composite, primitive

__all__ = [
    "broadcast_to",
    "concatenate",
    "copy",
    "expand_dims",
    "moveaxis",
    "ravel",
    "reshape",
    "split",
    "squeeze",
    "stack",
    "swapaxes",
    "transpose",
    "unstack",
]


def _reshape_hint(a: Any, shape: Any) -> str:
    return f"{np.size(a)} elements don't fill the shape {shape}"


@primitive(numpy=np.reshape, view=True, hint=_reshape_hint)
def reshape(a: Array, shape: int | tuple[int, ...]) -> Array:
    """out = a in another shape, elements in the same (C) order; -1 stands for what is left"""
    return np.reshape(a, shape)


reshape.vjp(a=lambda g, a_shape: g.reshape(a_shape))


@primitive(numpy=(np.transpose, np.permute_dims), view=True)
def transpose(a: Array, axes: tuple[int, ...] | None = None) -> Array:
    """out = a with its axes in the order `axes`, or reversed"""
    return np.transpose(a, axes)


transpose.vjp(
    a=lambda g, axes: np.transpose(
        g, None if axes is None else tuple(int(i) for i in np.argsort([n % g.ndim for n in axes]))
    )
)


@primitive(numpy=np.swapaxes, view=True)
def swapaxes(a: Array, axis1: int, axis2: int) -> Array:
    """out = a with two axes exchanged"""
    return np.swapaxes(a, axis1, axis2)


swapaxes.vjp(a=lambda g, axis1, axis2: np.swapaxes(g, axis1, axis2))


@primitive(numpy=np.moveaxis, view=True)
def moveaxis(a: Array, source: Any, destination: Any) -> Array:
    """out = a with the axes `source` moved to `destination`, the others in their order"""
    return np.moveaxis(a, source, destination)


moveaxis.vjp(a=lambda g, source, destination: np.moveaxis(g, destination, source))


@primitive(numpy=np.broadcast_to, view=True)
def broadcast_to(array: Array, shape: tuple[int, ...]) -> Array:
    """out = array, repeated to `shape` without copying"""
    return np.broadcast_to(array, shape)


broadcast_to.vjp(array=lambda g: g)


@primitive(numpy=np.expand_dims, view=True)
def expand_dims(a: Array, axis: int | tuple[int, ...]) -> Array:
    """out = a with new axes of size 1 at `axis`"""
    return np.expand_dims(a, axis)


expand_dims.vjp(a=lambda g, a_shape: g.reshape(a_shape))


@primitive(numpy=np.squeeze, view=True)
def squeeze(a: Array, axis: int | tuple[int, ...] | None = None) -> Array:
    """out = a without its axes of size 1 (those of `axis`)"""
    return np.squeeze(a, axis)


squeeze.vjp(a=lambda g, a_shape: g.reshape(a_shape))


@primitive(numpy=np.ravel, view=True)
def ravel(a: Array) -> Array:
    """out = a as one axis"""
    return np.ravel(a)


ravel.vjp(a=lambda g, a_shape: g.reshape(a_shape))


@primitive(numpy=np.copy)
def copy(a: Array) -> Array:
    """out = a, in memory of its own"""
    return np.array(a)


copy.vjp(a=lambda g: g)


@primitive(view=True)
def unstack(x: Array, axis: int = 0) -> Array:
    """out[t] = the t-th slice of x along `axis`: one node with as many results as slices"""
    return tuple(np.moveaxis(np.asarray(x), axis, 0))


def _unstack_vjp(g: Any, x_shape: Any, x_dtype: Any, axis: int) -> Any:
    shape = list(x_shape)
    del shape[axis]
    zeros = np.zeros(shape, x_dtype)
    return stack([zeros if part is None else part for part in g], axis)


unstack.vjp(x=_unstack_vjp)


@primitive(hint=lambda axis, *arrays: _stack_hint(arrays))
def _stack(axis: int, *arrays: Array) -> Array:
    return np.stack(arrays, axis)


_stack.vjp(arrays=lambda g, axis: unstack(g, axis))


def _stack_hint(arrays: Sequence[Any]) -> str:
    shapes = sorted({np.shape(a) for a in arrays})
    return f"all arrays must have one shape, got {' and '.join(map(str, shapes))}"


@composite(np.stack)
def stack(arrays: Sequence[Any], axis: int = 0) -> Any:
    """out = arrays of one shape, side by side along a new axis

    >>> import tinygrad_rnn as tg
    >>> tg.stack([tg.Tensor([1.0, 2.0]), tg.Tensor([3.0, 4.0])], axis=1)
    Tensor([[1., 3.],
            [2., 4.]])
    """
    return _stack(axis, *arrays)


@primitive(view=True)
def _split(ary: Array, bounds: tuple[int, ...], axis: int) -> Array:
    ary = np.asarray(ary)
    before = (slice(None),) * (axis % ary.ndim)
    edges = [0, *bounds, ary.shape[axis]]
    indices = [(*before, slice(a, b)) for a, b in itertools.pairwise(edges)]
    return tuple([ary[index] for index in indices])


def _split_vjp(g: Any, ary_shape: Any, ary_dtype: Any, bounds: Any, axis: int) -> Any:
    edges = [0, *bounds, ary_shape[axis]]
    shape = list(ary_shape)
    parts = []
    for part, start, end in zip(g, edges, edges[1:], strict=False):
        shape[axis] = end - start
        parts.append(np.zeros(shape, ary_dtype) if part is None else part)
    return concatenate(parts, axis)


_split.vjp(ary=_split_vjp)


@composite(np.split)
def split(ary: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Any]:
    """out = ary cut along `axis` into equal sections (an integer) or before the given indices

    >>> import tinygrad_rnn as tg
    >>> tg.split(tg.Tensor([1.0, 2.0, 3.0, 4.0]), 2)
    [Tensor([1., 2.]), Tensor([3., 4.])]
    """
    shape = np.shape(ary)
    if not -len(shape) <= axis < len(shape):
        raise ShapeError(f"split: no axis {axis} in the shape {shape}")
    length = shape[axis]
    if isinstance(indices_or_sections, (int, np.integer)):
        sections = int(indices_or_sections)
        if sections < 1 or length % sections:
            raise ShapeError(f"split: {length} elements on axis {axis} don't divide by {sections}")
        step = length // sections
        return list(_split(ary, tuple(step * i for i in range(1, sections)), axis))
    bounds = tuple(int(i) for i in indices_or_sections)
    edges = [0, *bounds, length]
    if sorted(edges) == edges:
        return list(_split(ary, bounds, axis))
    # Indices that go back or beyond the end: sections may overlap, so each is a slice of its own.
    before = (slice(None),) * (axis % len(shape))
    indices = [(*before, slice(a, b)) for a, b in itertools.pairwise(edges)]
    return [ary[index] for index in indices]


def _concatenate_hint(axis: int, bounds: Any, *arrays: Any) -> str:
    shapes = ", ".join(str(np.shape(a)) for a in arrays)
    return f"all axes but axis {axis} must be equal, got {shapes}"


@primitive(hint=_concatenate_hint)
def _concatenate(axis: int, bounds: tuple[int, ...], *arrays: Array) -> Array:
    return np.concatenate(arrays, axis)


_concatenate.vjp(arrays=lambda g, bounds, axis: split(g, bounds, axis))


@composite(np.concatenate, np.concat)
def concatenate(arrays: Sequence[Any], axis: int | None = 0) -> Any:
    """out = arrays joined end to end along `axis` (all flattened first if it is None)"""
    if axis is None:
        return concatenate([ravel(a) for a in arrays])
    shapes = [np.shape(a) for a in arrays]
    if not shapes or any(not -len(shape) <= axis < len(shape) for shape in shapes):
        raise ShapeError(f"concatenate: no axis {axis} to join along in the shapes {shapes}")
    bounds = tuple(itertools.accumulate(shape[axis] for shape in shapes[:-1]))
    return _concatenate(axis, bounds, *arrays)
