"""Sums, means and extremes over axes.

`axis` is None (all axes), an integer or a tuple, negative ones counted from the end; with
`keepdims=True` the reduced axes stay, of size 1.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np

from ..core.errors import ShapeError, UnsupportedOperation
from ..core.primitive import Array, composite, is_tensor, primitive
from .shape import diagonal

__all__ = [
    "all",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "average",
    "count_nonzero",
    "cumprod",
    "cumsum",
    "max",
    "mean",
    "median",
    "min",
    "nanmax",
    "nanmean",
    "nanmin",
    "nansum",
    "percentile",
    "prod",
    "ptp",
    "quantile",
    "std",
    "sum",
    "trace",
    "var",
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
    out = restore(out, a.shape, axis)
    chosen = a == out
    if np.isnan(out).any():  # NaN is an extreme, but equals nothing
        chosen = chosen | (np.isnan(a) & np.isnan(out))
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

amax, amin = max, min


@primitive(numpy=np.nanmax)
def nanmax(a: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """out = the largest a over `axis` that isn't NaN; equal ones share the gradient evenly"""
    return np.nanmax(a, axis=axis, keepdims=keepdims)


nanmax.vjp(a=_extreme_vjp)


@primitive(numpy=np.nanmin)
def nanmin(a: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """out = the smallest a over `axis` that isn't NaN; equal ones share the gradient evenly"""
    return np.nanmin(a, axis=axis, keepdims=keepdims)


nanmin.vjp(a=_extreme_vjp)


@composite(np.ptp)
def ptp(a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """out = max a - min a over `axis`; equal extremes share the gradient evenly"""
    return max(a, axis, keepdims) - min(a, axis, keepdims)


# Without NaN


@composite(np.nansum)
def nansum(a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """out = Σ a over `axis`, NaN counting as 0; where a is NaN its gradient is 0"""
    return sum(np.where(np.isnan(a), 0, a), axis, keepdims)


@composite(np.nanmean)
def nanmean(a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """out = Σ a / n over `axis`, of the n elements that aren't NaN; the others' gradient is 0"""
    real = np.logical_not(np.isnan(a)).sum(axis=axis, keepdims=keepdims)
    total = nansum(a, axis, keepdims)
    return total / (real.astype(total.dtype) if total.dtype.kind == "f" else real)


# Means with weights


@composite(np.average)
def average(a: Any, axis: Axis = None, weights: Any = None, *, keepdims: bool = False) -> Any:
    """out = Σ weights a / Σ weights over `axis`; differentiable in the weights too

    `weights` has the shape of a, or of its axes `axis`.

    Raises:
        ZeroDivisionError: where weights sum to 0.

    >>> import tinygrad_rnn as tg
    >>> tg.average(tg.Tensor([1.0, 2.0, 3.0]), weights=tg.Tensor([1.0, 0.0, 3.0]))
    Tensor(2.5)
    """
    a = a if is_tensor(a) else np.asarray(a)
    if weights is None:
        return mean(a, axis, keepdims)
    weights = weights if is_tensor(weights) else np.asarray(weights)
    if weights.shape != a.shape:
        weights = _weights_of_axes(weights, a.shape, axis)
    if a.dtype.kind != "f" and weights.dtype.kind != "f":
        a = a * 1.0
    total = sum(weights, axis, keepdims)
    if np.any(total == 0):
        raise ZeroDivisionError("average: the weights sum to zero, so there is no average")
    return sum(a * weights, axis, keepdims) / total


def _weights_of_axes(weights: Any, shape: tuple[int, ...], axis: Axis) -> Any:
    """Weights for the axes `axis` only, as many as a has, those of others of size 1."""
    axes = axes_of(axis, len(shape))
    wanted = shape if axis is None else tuple(shape[i] for i in axes)
    if weights.shape != wanted:
        raise ShapeError(
            f"average: the weights must have the shape of a, {shape}"
            + ("" if axis is None else f", or of its axes {axis}, {wanted}")
            + f"; got {weights.shape}"
        )
    ordered = weights.transpose(tuple(int(i) for i in np.argsort(axes)))
    return np.broadcast_to(
        ordered.reshape(tuple(n if i in axes else 1 for i, n in enumerate(shape))), shape
    )


# Spread


def _deviation(a: Any, axis: Axis) -> Any:
    return a - a.mean(axis=axis, keepdims=True)


def _degrees(shape: tuple[int, ...], axis: Axis, ddof: float) -> float:
    """What the sum of squared deviations is divided by."""
    degrees = count_of(shape, axis) - ddof
    return degrees if degrees > 0 else 0.0


def _ddof(name: str, ddof: float, correction: float | None) -> float:
    if correction is None:
        return ddof
    if ddof:
        raise ValueError(f"{name}: ddof and correction are two names of one thing; give one")
    return correction


@primitive()
def _var(a: Array, axis: Axis, ddof: float, keepdims: bool) -> Array:
    return np.var(a, axis=axis, ddof=ddof, keepdims=keepdims)


def _var_vjp(g: Any, a: Any, axis: Axis, ddof: float) -> Any:
    with np.errstate(divide="ignore", invalid="ignore"):  # NumPy warned in the forward
        slope = restore(g, a.shape, axis) * 2 / _degrees(a.shape, axis, ddof)
        return slope * _deviation(a, axis)


_var.vjp(a=_var_vjp)


@composite(np.var)
def var(
    a: Any,
    axis: Axis = None,
    *,
    ddof: float = 0,
    keepdims: bool = False,
    correction: float | None = None,
) -> Any:
    """out = Σ (a - mean a)² / (n - ddof) over `axis`; `correction` is another name of `ddof`

    NumPy's default is ddof=0 (PyTorch's is 1). With n <= ddof result and gradient are NaN or inf.
    """
    return _var(a, axis, _ddof("var", ddof, correction), keepdims)


@primitive()
def _std(a: Array, axis: Axis, ddof: float, keepdims: bool) -> Array:
    return np.std(a, axis=axis, ddof=ddof, keepdims=keepdims)


def _std_vjp(g: Any, a: Any, out: Any, axis: Axis, ddof: float) -> Any:
    out = restore(out, a.shape, axis)
    constant = out == 0
    with np.errstate(divide="ignore", invalid="ignore"):  # NumPy warned in the forward
        slope = restore(g, a.shape, axis) / np.where(constant, 1, out)
        slope = np.where(constant, 0, slope) / _degrees(a.shape, axis, ddof)
        return slope * _deviation(a, axis)


_std.vjp(a=_std_vjp)


@composite(np.std)
def std(
    a: Any,
    axis: Axis = None,
    *,
    ddof: float = 0,
    keepdims: bool = False,
    correction: float | None = None,
) -> Any:
    """out = √var a over `axis`; the derivative where all a are equal is 0, as in PyTorch

    Arguments are those of `var`.
    """
    return _std(a, axis, _ddof("std", ddof, correction), keepdims)


# Order


def _to_last(a: Any, axis: Axis) -> Any:
    """`a` with the axes `axis` as one, the last."""
    axes = axes_of(axis, a.ndim)
    kept = tuple(i for i in range(a.ndim) if i not in axes)
    shape = tuple(a.shape[i] for i in kept)
    return a.transpose((*kept, *axes)).reshape((*shape, count_of(a.shape, axis)))


def _from_last(flat: Any, shape: tuple[int, ...], axis: Axis) -> Any:
    """What `_to_last` made of an array of `shape`, back in that shape."""
    axes = axes_of(axis, len(shape))
    order = (*(i for i in range(len(shape)) if i not in axes), *axes)
    turned = flat.reshape(tuple(shape[i] for i in order))
    return turned.transpose(tuple(int(i) for i in np.argsort(order)))


def _unless_nan(ordered: Any, out: Any) -> Any:
    """`out`, but NaN where there is one in `ordered` (which has them last)."""
    last = ordered[..., -1]
    return np.where(np.isnan(last), last, out) if np.isnan(last).any() else out


@composite(np.median)
def median(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """out = the middle element over `axis` in ascending order; of an even count, the two's mean

    The gradient goes to the elements returned (of equal ones, to one), or to a NaN.

    >>> import tinygrad_rnn as tg
    >>> x = tg.Tensor([4.0, 1.0, 3.0, 9.0], requires_grad=True)
    >>> tg.median(x).backward()
    >>> x.grad
    Tensor([0.5, 0. , 0.5, 0. ])
    """
    a = a if is_tensor(a) else np.asarray(a)
    ordered = np.sort(_to_last(a, axis), axis=-1)
    n = ordered.shape[-1]
    if n == 0:
        return mean(a, axis, keepdims)
    out = _unless_nan(ordered, ordered[..., (n - 1) // 2 : n // 2 + 1].mean(axis=-1))
    return restore(out, a.shape, axis) if keepdims else out


@composite(np.quantile)
def quantile(
    a: Any, q: Any, axis: Axis = None, *, method: str = "linear", keepdims: bool = False
) -> Any:
    """out = what a share q of the elements over `axis` is below, linear between two elements

    The gradient goes to the two neighbours (of equal elements, to one), or to a NaN.

    Args:
        q: from 0 to 1; the axes of an array come first in the result.

    >>> import tinygrad_rnn as tg
    >>> tg.quantile(tg.Tensor([4.0, 1.0, 3.0]), [0.5, 0.75])
    Tensor([3. , 3.5])
    """
    if method != "linear":
        raise UnsupportedOperation(f"quantile: method='linear' is all there is, got {method!r}")
    if is_tensor(q):
        raise UnsupportedOperation("quantile: q can't be a Tensor; give q.numpy()")
    a = a if is_tensor(a) else np.asarray(a)
    share = np.asarray(q, float)
    if not np.all((share >= 0) & (share <= 1)):
        raise ValueError(f"quantile: q must be from 0 to 1 (percentile: to 100), got {q!r}")
    ordered = np.sort(_to_last(a, axis), axis=-1)
    n = ordered.shape[-1]
    if n == 0:
        raise ShapeError(f"quantile: no elements over axis {axis} of the shape {a.shape}")
    place = share * (n - 1)
    low = np.floor(place).astype(int)
    part = place - low
    if a.dtype.kind == "f" and isinstance(q, (int, float)):
        part = part.astype(a.dtype)  # a Python number is weak
    below, above = ordered[..., low], ordered[..., np.minimum(low + 1, n - 1)]
    out = below + (above - below) * part
    first = tuple(range(share.ndim))
    out = _unless_nan(
        ordered, np.moveaxis(out, tuple(out.ndim - share.ndim + i for i in first), first)
    )
    if not keepdims:
        return out
    return out.reshape((*share.shape, *restore(ordered[..., 0], a.shape, axis).shape))


@composite(np.percentile)
def percentile(
    a: Any, q: Any, axis: Axis = None, *, method: str = "linear", keepdims: bool = False
) -> Any:
    """out = what q percent of the elements over `axis` are below: ``quantile`` of q / 100"""
    share = q / 100 if isinstance(q, (int, float)) else np.true_divide(q, 100)
    return quantile(a, share, axis, method=method, keepdims=keepdims)


# Products and running totals


@primitive(numpy=np.prod)
def prod(a: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """out = Π a over `axis`; the derivative is the product of the others, exactly so at zeros

    >>> import tinygrad_rnn as tg
    >>> x = tg.Tensor([0.0, 2.0, 3.0], requires_grad=True)
    >>> tg.prod(x).backward()
    >>> x.grad
    Tensor([6., 0., 0.])
    """
    return np.prod(a, axis=axis, keepdims=keepdims)


def _can_divide(out: Any) -> bool:
    """Whether no factor of the products `out` is zero, and none is lost in rounding."""
    return bool(np.all((out != 0) & (np.isfinite(out) | np.isnan(out))))


def _products_before(a: Any) -> Any:
    """At each place of the last axis, the product of all elements before it: log₂ n products."""
    products = np.concatenate([np.ones_like(a[..., :1]), a[..., :-1]], axis=-1)
    step = 1
    while step < a.shape[-1]:
        further = products[..., step:] * products[..., :-step]
        products = np.concatenate([products[..., :step], further], axis=-1)
        step *= 2
    return products


def _prod_vjp(g: Any, a: Any, out: Any, axis: Axis) -> Any:
    if _can_divide(out):
        return restore(g * out, a.shape, axis) / a
    factors = _to_last(a, axis)
    with np.errstate(over="ignore", invalid="ignore"):
        after = np.flip(_products_before(np.flip(factors, -1)), -1)
        others = _from_last(_products_before(factors) * after, a.shape, axis)
        return restore(g, a.shape, axis) * others


prod.vjp(a=_prod_vjp)


def _totals_after(g: Any, axis: int) -> Any:
    """At each place, the sum of g there and further on."""
    return np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis)


@primitive(numpy=np.cumsum)
def cumsum(a: Array, axis: int | None = None) -> Array:
    """out = the sum of a so far along `axis` (of a flattened, if it is None)"""
    return np.cumsum(a, axis=axis)


cumsum.vjp(
    a=lambda g, a_shape, axis: _totals_after(g, 0 if axis is None else axis).reshape(a_shape)
)


@primitive(numpy=np.cumprod)
def cumprod(a: Array, axis: int | None = None) -> Array:
    """out = the product of a so far along `axis` (of a flattened, if it is None)

    The derivative is exact at zeros.
    """
    return np.cumprod(a, axis=axis)


def _weighted_after(a: Any, g: Any) -> Any:
    """At each place i of the last axis, Σ over j >= i of g_j times the a after i up to j."""

    def shifted(x: Any, step: int) -> Any:
        return np.concatenate([x[..., step:], np.zeros_like(x[..., :step])], axis=-1)

    factors, step = shifted(a, 1), 1
    while step < a.shape[-1]:
        g = g + factors * shifted(g, step)
        factors = factors * shifted(factors, step)
        step *= 2
    return g


def _cumprod_vjp(g: Any, a: Any, out: Any, axis: int | None) -> Any:
    shape = a.shape
    if axis is None:
        a, axis = a.reshape((-1,)), 0
    if _can_divide(out):
        return (_totals_after(g * out, axis) / a).reshape(shape)
    a, g = np.moveaxis(a, axis, -1), np.moveaxis(g, axis, -1)
    with np.errstate(over="ignore", invalid="ignore"):
        found = _products_before(a) * _weighted_after(a, g)
    return np.moveaxis(found, -1, axis).reshape(shape)


cumprod.vjp(a=_cumprod_vjp)


@composite(np.trace)
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """out = Σ of the diagonal `offset` above the main one, of the matrices in two axes"""
    return sum(diagonal(a, offset, axis1, axis2), -1)


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


@primitive(numpy=np.count_nonzero)
def count_nonzero(a: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """out = how many elements over `axis` aren't zero"""
    return np.asarray(np.count_nonzero(a, axis=axis, keepdims=keepdims))
