"""Activation functions, with PyTorch's parameters, values and derivatives at kinks.

All are right and have finite derivatives at ±1000 and at ±inf. Those that are x times a gate take
its limit at -inf, which is 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.errors import ShapeError
from ..core.primitive import Array, composite, primitive
from .arithmetic import absolute, add, clip, divide, multiply, subtract
from .elementwise import erf, tanh
from .indexing import where
from .shape import reshape, split

__all__ = [
    "celu",
    "elu",
    "gelu",
    "glu",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "logsigmoid",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softplus",
    "softshrink",
    "softsign",
    "tanhshrink",
]


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


def _bend(x: Any) -> Any:
    """ln(1 + e^-|x|)"""
    return np.log1p(np.exp(-np.abs(x)))


@primitive()
def softplus(x: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """out = ln(1 + e^(beta x)) / beta; x itself where beta x > `threshold`

    >>> import tinygrad_rnn as tg
    >>> tg.softplus(tg.Tensor([-1000.0, 1000.0]))
    Tensor([   0., 1000.])
    """
    scaled = np.multiply(x, beta)
    return np.where(scaled > threshold, x, (np.maximum(scaled, 0) + _bend(scaled)) / beta)


softplus.vjp(
    x=lambda g, x, beta, threshold: np.where(x * beta > threshold, g, g * sigmoid(x * beta))
)


@primitive()
def logsigmoid(x: Array) -> Array:
    """out = ln(1 / (1 + e⁻ˣ)), right to rounding in both tails"""
    return np.minimum(x, 0) - _bend(x)


logsigmoid.vjp(x=lambda g, x: g * sigmoid(-x))


@primitive()
def leaky_relu(x: Array, negative_slope: Array = 0.01) -> Array:
    """out = x for x > 0, negative_slope · x elsewhere, with that slope at 0

    The slope may be an array that broadcasts with x, and has a gradient too.
    """
    return np.where(np.greater(x, 0), x, np.multiply(x, negative_slope))


leaky_relu.vjp(
    x=lambda g, x, negative_slope: np.where(x > 0, g, g * negative_slope),
    negative_slope=lambda g, x: np.where(x > 0, 0, g * x),
)


@composite()
def prelu(x: Any, weight: Any) -> Any:
    """out = x for x > 0, weight · x elsewhere; the weight is learnt

    Args:
        x: shape (N, C, ...), or any shape if the weight is one number.
        weight: one number, or shape (C,): one for each channel, that is along axis 1.

    Raises:
        ShapeError: if the weight has another shape.

    >>> import tinygrad_rnn as tg
    >>> tg.prelu(tg.Tensor([[-1.0, -1.0]]), tg.Tensor([0.25, 0.5]))
    Tensor([[-0.25, -0.5 ]])
    """
    shape, given = np.shape(x), np.shape(weight)
    if given in ((), (1,)):
        return leaky_relu(x, reshape(weight, ()) if given else weight)
    if len(shape) < 2 or given != (shape[1],):
        expected = f"({shape[1]},)" if len(shape) > 1 else "(1,)"
        raise ShapeError(
            f"prelu: a weight of shape {given} doesn't fit x of shape {shape}: it must have one "
            f"number, or one for each channel (axis 1 of x), here {expected}"
        )
    return leaky_relu(x, reshape(weight, (-1, *(1,) * (len(shape) - 2))))


@primitive()
def elu(x: Array, alpha: float = 1.0) -> Array:
    """out = x for x > 0, alpha (eˣ - 1) elsewhere; the derivative at 0 is alpha"""
    return np.where(np.greater(x, 0), x, alpha * np.expm1(np.minimum(x, 0)))


elu.vjp(x=lambda g, x, alpha: np.where(x > 0, g, g * (alpha * np.exp(np.minimum(x, 0)))))


@composite()
def selu(x: Any) -> Any:
    """out = 1.0507 elu(x, 1.67326), which keeps mean 0 and variance 1"""
    return multiply(_SELU_SCALE, elu(x, _SELU_ALPHA))


@composite()
def celu(x: Any, alpha: float = 1.0) -> Any:
    """out = x for x > 0, alpha (e^(x / alpha) - 1) elsewhere, smooth at 0"""
    return multiply(alpha, elu(divide(x, alpha)))


_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805


# x times a gate. Beyond ±1000 each gate is 0 or 1 to rounding, in any dtype, and its slope is 0: so
# bounds there change nothing, and keep 0 · inf out.


def _bounded(x: Any) -> Any:
    return np.minimum(np.maximum(x, -1000.0), 1000.0)


def _gated(x: Any, gate: Any) -> Any:
    return np.maximum(x, -1000.0) * gate


@primitive()
def silu(x: Array) -> Array:
    """out = x / (1 + e⁻ˣ)"""
    return _gated(x, sigmoid(x))


def _silu_vjp(g: Any, x: Any) -> Any:
    x = _bounded(x)
    gate = sigmoid(x)
    return g * (gate * (1 + x * (1 - gate)))


silu.vjp(x=_silu_vjp)


# tanh(ln(1 + eˣ)) = n / (n + 2), where n = eˣ (eˣ + 2); from x = 20 on it is 1 to rounding.


@primitive()
def mish(x: Array) -> Array:
    """out = x tanh(ln(1 + eˣ))"""
    e = np.exp(np.minimum(x, 20.0))
    n = e * (e + 2)
    return _gated(x, n / (n + 2))


def _mish_vjp(g: Any, x: Any) -> Any:
    x = np.minimum(np.maximum(x, -1000.0), 20.0)
    e = np.exp(x)
    n = e * (e + 2)
    m = n + 2
    return g * (n / m + x * (4 * e * (e + 1) / (m * m)))


mish.vjp(x=_mish_vjp)


@primitive()
def _gelu(x: Array) -> Array:
    return _gated(x, 0.5 + 0.5 * erf(np.multiply(x, _SQRT_HALF)))


def _gelu_vjp(g: Any, x: Any) -> Any:
    x = _bounded(x)
    density = _NORMAL * np.exp(-0.5 * (x * x))
    return g * (0.5 + 0.5 * erf(x * _SQRT_HALF) + x * density)


_gelu.vjp(x=_gelu_vjp)


def _gelu_argument(x: Any) -> Any:
    return _GELU_SCALE * (x + _GELU_CUBE * x * x * x)


@primitive()
def _gelu_tanh(x: Array) -> Array:
    return _gated(x, 0.5 + 0.5 * np.tanh(_gelu_argument(_bounded(x))))


def _gelu_tanh_vjp(g: Any, x: Any) -> Any:
    x = _bounded(x)
    t = np.tanh(_gelu_argument(x))
    slope = (0.5 * _GELU_SCALE) * (1 + (3 * _GELU_CUBE) * x * x)
    return g * (0.5 + 0.5 * t + x * (1 - t * t) * slope)


_gelu_tanh.vjp(x=_gelu_tanh_vjp)

_SQRT_HALF = math.sqrt(0.5)
_NORMAL = 1 / math.sqrt(2 * math.pi)
_GELU_SCALE = math.sqrt(2 / math.pi)
_GELU_CUBE = 0.044715


@composite()
def gelu(x: Any, approximate: str = "none") -> Any:
    """out = x Φ(x), where Φ is the normal distribution

    Args:
        approximate: "none", or "tanh": x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2.

    Raises:
        ValueError: for any other `approximate`.
    """
    if approximate == "none":
        return _gelu(x)
    if approximate == "tanh":
        return _gelu_tanh(x)
    raise ValueError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")


@primitive()
def hardswish(x: Array) -> Array:
    """out = x hardsigmoid(x); the derivative at -3 is 0, at 3 it is 1"""
    return np.maximum(x, -3.0) * (np.clip(np.add(x, 3), 0, 6) / 6)


hardswish.vjp(
    x=lambda g, x: np.where(x <= -3, 0, np.where(x >= 3, g, g * (np.minimum(x, 3) / 3 + 0.5)))
)


@composite()
def glu(x: Any, axis: int = -1) -> Any:
    """out = a · sigmoid(b), where a and b are the halves of x along `axis`

    Raises:
        ShapeError: if x has no such axis, or one of odd size.
    """
    shape = np.shape(x)
    if not -len(shape) <= axis < len(shape) or shape[axis] % 2:
        raise ShapeError(
            f"glu: x of shape {shape} can't be halved along axis {axis}: there must be such an "
            "axis, of even size"
        )
    a, b = split(x, 2, axis)
    return multiply(a, sigmoid(b))


# Bounded ones, and pieces of straight lines


@primitive()
def softsign(x: Array) -> Array:
    """out = x / (1 + |x|)"""
    x = np.clip(x, -1e30, 1e30)  # beyond, it is ±1 to rounding; inf / inf would be NaN
    return x / (1 + np.abs(x))


def _softsign_vjp(g: Any, x: Any) -> Any:
    size = 1 + np.abs(x)
    return g / size / size


softsign.vjp(x=_softsign_vjp)


@primitive()
def hardtanh(x: Array, min_val: float = -1.0, max_val: float = 1.0) -> Array:
    """out = x, but at least `min_val` and at most `max_val`; the derivatives at both are 0"""
    return np.clip(x, min_val, max_val)


hardtanh.vjp(x=lambda g, out, min_val, max_val: np.where((out <= min_val) | (out >= max_val), 0, g))


@composite()
def relu6(x: Any) -> Any:
    """out = min(max(x, 0), 6); the derivatives at 0 and 6 are 0"""
    return hardtanh(x, 0.0, 6.0)


@composite()
def hardsigmoid(x: Any) -> Any:
    """out = relu6(x + 3) / 6; the derivatives at ±3 are 0"""
    return divide(relu6(add(x, 3)), 6)


@composite()
def tanhshrink(x: Any) -> Any:
    """out = x - tanh x"""
    return subtract(x, tanh(x))


@composite()
def softshrink(x: Any, lambd: float = 0.5) -> Any:
    """out = x moved by `lambd` towards 0, and 0 if it is nearer; the derivatives at ±lambd are 0"""
    return subtract(x, clip(x, -lambd, lambd))


@composite()
def hardshrink(x: Any, lambd: float = 0.5) -> Any:
    """out = x where |x| > lambd, else 0; the derivatives at ±lambd are 0"""
    return where(absolute(x) <= lambd, 0, x)
