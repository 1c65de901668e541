"""Softmax and its relatives, and the normalisation of layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.primitive import Array, composite, primitive
from .reductions import Axis, count_of, restore

__all__ = [
    "layer_norm",
    "log_softmax",
    "logsumexp",
    "rms_norm",
    "softmax",
]


def _shifted(x: Any, axis: int) -> Any:
    """A new array x - max x over `axis`; NaN where all x are -inf, or one is inf, as in PyTorch."""
    x = np.asarray(x)
    if x.dtype.kind != "f":
        x = x.astype(np.float64)
    if not x.size:
        return x.copy()
    with np.errstate(invalid="ignore"):
        return np.asarray(x - np.maximum.reduce(x, axis=axis, keepdims=True))


@primitive()
def softmax(x: Array, axis: int = -1) -> Array:
    """out = eˣ / Σ eˣ over `axis`

    A score of -inf gives 0; where all are -inf, NaN, as in PyTorch.

    >>> import tinygrad_rnn as tg
    >>> tg.softmax(tg.Tensor([1000.0, 1000.0, -float("inf")]))
    Tensor([0.5, 0.5, 0. ])
    """
    e = _shifted(x, axis)
    np.exp(e, out=e)
    e /= np.add.reduce(e, axis=axis, keepdims=True)
    return e


softmax.vjp(x=lambda g, out, axis: out * (g - (g * out).sum(axis=axis, keepdims=True)))


@primitive()
def log_softmax(x: Array, axis: int = -1) -> Array:
    """out = x - ln Σ eˣ over `axis`

    A score of -inf stays -inf; where all are, NaN, as in PyTorch.

    >>> import tinygrad_rnn as tg
    >>> tg.log_softmax(tg.Tensor([1000.0, -1000.0]))
    Tensor([    0., -2000.])
    """
    out = _shifted(x, axis)
    if out.size:
        out -= np.log(np.add.reduce(np.exp(out), axis=axis, keepdims=True))
    return out


log_softmax.vjp(x=lambda g, out, axis: g - np.exp(out) * g.sum(axis=axis, keepdims=True))


@primitive()
def logsumexp(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """out = ln Σ eˣ over `axis`

    The sum of nothing, or of -inf alone, gives -inf.

    >>> import tinygrad_rnn as tg
    >>> tg.logsumexp(tg.Tensor([1000.0, 1000.0, -1000.0])).item()
    1000.6931471805599
    """
    x = np.asarray(x)
    top: Any = 0
    if x.size:
        top = np.max(x, axis=axis, keepdims=True)
        top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):  # ln 0 where all x are -inf
        out = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return out if keepdims else np.squeeze(out, axis=axis)


def _logsumexp_vjp(g: Any, x: Any, out: Any, axis: Axis) -> Any:
    with np.errstate(invalid="ignore"):  # where all x are -inf the gradient is NaN, as in PyTorch
        return restore(g, x.shape, axis) * np.exp(x - restore(out, x.shape, axis))


logsumexp.vjp(x=_logsumexp_vjp)


# The loss of classifiers. Its gradient is an operation of its own, made in one array.


def index_along(target: Any, axis: int) -> tuple[Any, ...]:
    """The index for which x[index] are the elements at the integers `target` on `axis`."""
    index = list(np.indices(target.shape, sparse=True))
    index.insert(axis % (target.ndim + 1), target)
    return tuple(index)


@primitive()
def class_cross_entropy(x: Array, target: Any, axis: int = -1) -> Array:
    """out = ln Σ eˣ over `axis` - x[target], the cross entropy of scores and classes

    What `nn.functional.cross_entropy` is made of. `target` is an ndarray of integers, positions on
    `axis`, in the shape of x without that axis; it is kept and must not change.
    """
    shifted = _shifted(x, axis)
    picked = shifted[index_along(target, axis)]
    return np.log(np.exp(shifted, out=shifted).sum(axis=axis)) - picked


@primitive()
def _softmax_minus_target(scale: Array, x: Array, target: Any, axis: int) -> Array:
    """out = scale (softmax x - one hot target), the gradient of class_cross_entropy"""
    out = _shifted(x, axis)
    np.exp(out, out=out)
    out *= np.expand_dims(scale / np.sum(out, axis=axis), axis)
    out[index_along(target, axis)] -= scale
    return out


class_cross_entropy.vjp(
    x=lambda g, x, target, axis: _softmax_minus_target(g, x, target, axis),
)


def _softmax_minus_target_vjp_scale(g: Any, x: Any, target: Any, axis: int) -> Any:
    ones = np.ones(target.shape, x.dtype)
    return (g * _softmax_minus_target(ones, x, target, axis)).sum(axis=axis)


def _softmax_minus_target_vjp_x(g: Any, scale: Any, x: Any, axis: int) -> Any:
    p = softmax(x, axis)
    return np.expand_dims(scale, axis) * p * (g - (g * p).sum(axis=axis, keepdims=True))


_softmax_minus_target.vjp(scale=_softmax_minus_target_vjp_scale, x=_softmax_minus_target_vjp_x)


# Normalisation over axes. rms_norm is x · r with r = 1 / √(mean x² + eps), in two operations, so
# that the second's rule can use both its result and r; it gives the whole derivative in x, that
# through r included, and has no rule for r. layer_norm is the same after centring.


@primitive()
def _centred(x: Array, axis: Axis) -> Array:
    """out = x - mean x over `axis`"""
    return np.subtract(x, np.mean(x, axis=axis, keepdims=True))


_centred.vjp(x=lambda g, axis: g - g.mean(axis=axis, keepdims=True))


@primitive()
def _inverse_rms(x: Array, axis: Axis, eps: float) -> Array:
    """out = 1 / √(mean x² over `axis` + eps)"""
    return 1 / np.sqrt(np.mean(np.square(x), axis=axis, keepdims=True) + eps)


_inverse_rms.vjp(
    x=lambda g, x, out, x_shape, axis: x * (g * out * out * out / -count_of(x_shape, axis)),
)


@primitive()
def _scaled_to_unit_rms(x: Array, inverse: Array, axis: Axis) -> Array:
    """out = x · inverse, the inverse root mean square of x over `axis`"""
    return np.multiply(x, inverse)


_scaled_to_unit_rms.vjp(
    x=lambda g, out, inverse, axis: (g - out * (g * out).mean(axis=axis, keepdims=True)) * inverse
)


@composite()
def rms_norm(x: Any, weight: Any = None, axis: Axis = -1, eps: float | None = None) -> Any:
    """out = x / √(mean x² over `axis` + eps) · weight

    `weight` (if any) has the shape of those axes, or broadcasts to x; eps is the dtype's own by
    default.

    Source: Zhang and Sennrich 2019, "Root Mean Square Layer Normalization".

    >>> import tinygrad_rnn as tg
    >>> tg.rms_norm(tg.Tensor([1.0, 7.0]), eps=0.0)
    Tensor([0.2, 1.4])
    """
    if eps is None:
        eps = float(np.finfo(x.dtype).eps)
    out = _scaled_to_unit_rms(x, _inverse_rms(x, axis, eps), axis)
    return out if weight is None else out * weight


@composite()
def layer_norm(
    x: Any, weight: Any = None, bias: Any = None, axis: Axis = -1, eps: float = 1e-5
) -> Any:
    """out = (x - mean x) / √(var x + eps) · weight + bias, mean and variance over `axis`

    `weight` and `bias` (if any) have the shape of those axes, or broadcast to x.

    Source: Ba et al. 2016, "Layer Normalization".

    >>> import tinygrad_rnn as tg
    >>> tg.layer_norm(tg.Tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]]), eps=0.01).numpy().round(3)
    array([[-1.216,  0.   ,  1.216],
           [ 0.   ,  0.   ,  0.   ]])
    """
    out = rms_norm(_centred(x, axis), weight, axis, eps)
    return out if bias is None else out + bias
