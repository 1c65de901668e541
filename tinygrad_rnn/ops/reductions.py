"""Sums, means and extremes over axes.

`axis` is None (all axes), an integer or a tuple, negative ones counted from the end; with
`keepdims=True` the reduced axes stay, of size 1.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np

from ..core.primitive import Array, primitive

__all__ = [
    "all",
    "any",
    "argmax",
    "argmin",
    "max",
    "mean",
    "min",
    "sum",
]

Axis: TypeAlias = "int | tuple[int, ...] | None"


def axes_of(axis: Axis, ndim: int) -> tuple[int, ...]:
    """The axes as non-negative integers."""
    if axis is None:
        return tuple(range(ndim))
    return tuple(a % ndim for a in (axis if isinstance(axis, tuple) else (axis,)))


def restore(g: Any, shape: tuple[int, ...], axis: Axis) -> Any:
    """`g` with the axes that a reduction of an array of `shape` removed, as axes of size 1."""
    axes = axes_of(axis, len(shape))
    return g.reshape(tuple(1 if i in axes else n for i, n in enumerate(shape)))


def spread(g: Any, shape: tuple[int, ...], axis: Axis) -> Any:
    """`g`, of a reduced shape, repeated over the axes that were reduced."""
    return np.broadcast_to(restore(g, shape, axis), shape)


def count_of(shape: tuple[int, ...], axis: Axis) -> int:
    """How many elements go into each result of a reduction."""
    return math.prod(shape[a] for a in axes_of(axis, len(shape)))


@primitive(numpy=np.sum)
def sum(a: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """out = Σ a over `axis`"""
    return np.sum(a, axis=axis, keepdims=keepdims)


sum.vjp(a=lambda g, a_shape, axis: spread(g, a_shape, axis))


@primitive(numpy=np.mean)
def mean(a: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """out = Σ a / n over `axis`"""
    return np.mean(a, axis=axis, keepdims=keepdims)


mean.vjp(a=lambda g, a_shape, axis: spread(g / count_of(a_shape, axis), a_shape, axis))


def _extreme_vjp(g: Any, a: Any, out: Any, axis: Axis) -> Any:
    chosen = a == restore(out, a.shape, axis)
    if np.isnan(out).any():  # NaN is an extreme, but equals nothing
        chosen = chosen | np.isnan(a)
    count = chosen.sum(axis=axis, keepdims=True).astype(g.dtype)
    share = restore(g, a.shape, axis) / count
    return np.where(chosen, share, 0)


@primitive(numpy=(np.max, np.amax))
def max(a: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """out = the largest a over `axis`; equal ones share the gradient evenly"""
    return np.max(a, axis=axis, keepdims=keepdims)


max.vjp(a=_extreme_vjp)


@primitive(numpy=(np.min, np.amin))
def min(a: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """out = the smallest a over `axis`; equal ones share the gradient evenly"""
    return np.min(a, axis=axis, keepdims=keepdims)


min.vjp(a=_extreme_vjp)


# Positions and truth values have no gradient.


@primitive(numpy=np.argmax)
def argmax(a: Array, axis: int | None = None, keepdims: bool = False) -> Array:
    """out = the position of the first largest element over `axis`"""
    return np.argmax(a, axis=axis, keepdims=keepdims)


@primitive(numpy=np.argmin)
def argmin(a: Array, axis: int | None = None, keepdims: bool = False) -> Array:
    """out = the position of the first smallest element over `axis`"""
    return np.argmin(a, axis=axis, keepdims=keepdims)


@primitive(numpy=np.all)
def all(a: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """out = whether all elements over `axis` are true"""
    return np.all(a, axis=axis, keepdims=keepdims)


@primitive(numpy=np.any)
def any(a: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """out = whether any element over `axis` is true"""
    return np.any(a, axis=axis, keepdims=keepdims)
