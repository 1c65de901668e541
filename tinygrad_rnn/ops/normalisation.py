"""Softmax and its relatives."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.primitive import Array, primitive
from .reductions import Axis, restore

__all__ = [
    "log_softmax",
    "logsumexp",
    "softmax",
]


@primitive()
def softmax(x: Array, axis: int = -1) -> Array:
    """out = eˣ / Σ eˣ over `axis`"""
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


softmax.vjp(x=lambda g, out, axis: out * (g - (g * out).sum(axis=axis, keepdims=True)))


@primitive()
def log_softmax(x: Array, axis: int = -1) -> Array:
    """out = x - ln Σ eˣ over `axis`"""
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


log_softmax.vjp(x=lambda g, out, axis: g - np.exp(out) * g.sum(axis=axis, keepdims=True))


@primitive()
def logsumexp(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """out = ln Σ eˣ over `axis`"""
    top = np.max(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):  # ln 0 where all x are -inf
        out = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return out if keepdims else np.squeeze(out, axis=axis)


def _logsumexp_vjp(g: Any, x: Any, out: Any, axis: Axis) -> Any:
    with np.errstate(invalid="ignore"):  # where all x are -inf the gradient is NaN, as in PyTorch
        return restore(g, x.shape, axis) * np.exp(x - restore(out, x.shape, axis))


logsumexp.vjp(x=_logsumexp_vjp)
