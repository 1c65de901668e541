"""Functions of one array, element by element."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.primitive import Array, composite, primitive

__all__ = [
    "astype",
    "exp",
    "log",
    "relu",
    "sigmoid",
    "tanh",
]


@primitive(numpy=np.exp)
def exp(x: Array) -> Array:
    """out = eˣ"""
    return np.exp(x)


exp.vjp(x=lambda g, out: g * out)


@primitive(numpy=np.log)
def log(x: Array) -> Array:
    """out = ln x"""
    return np.log(x)


log.vjp(x=lambda g, x: g / x)


@primitive(numpy=np.tanh)
def tanh(x: Array) -> Array:
    """out = tanh x"""
    return np.tanh(x)


tanh.vjp(x=lambda g, out: g * (1 - out * out))


@primitive()
def sigmoid(x: Array) -> Array:
    """out = 1 / (1 + e⁻ˣ), right to rounding in both tails

    >>> import tinygrad_rnn as tg
    >>> tg.sigmoid(tg.Tensor([-1000.0, 0.0, 1000.0]))
    Tensor([0. , 0.5, 1. ])
    """
    with np.errstate(over="ignore"):  # e⁻ˣ = inf gives 0, which is right
        out = np.exp(np.negative(x))
    out += 1
    return np.divide(1, out)


sigmoid.vjp(x=lambda g, out: g * (out * (1 - out)))


@primitive()
def relu(x: Array) -> Array:
    """out = max(x, 0); the derivative at 0 is 0"""
    return np.maximum(x, 0)


relu.vjp(x=lambda g, out: np.where(out <= 0, 0, g))


@primitive()
def _astype(x: Array, dtype: Any) -> Array:
    return np.asarray(x).astype(dtype, copy=False)


_astype.vjp(x=lambda g, x_dtype: g.astype(x_dtype))


@primitive()
def _truncated(x: Array, dtype: Any) -> Array:
    return np.asarray(x).astype(dtype)


@composite()
def astype(x: Any, dtype: Any) -> Any:
    """out = x in another dtype; the gradient comes back in the dtype of x

    Integers and booleans have no gradient.
    """
    return (_astype if np.dtype(dtype).kind == "f" else _truncated)(x, dtype)
