"""Arithmetic and comparisons, elementwise with broadcasting."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.primitive import Array, composite, primitive

__all__ = [
    "absolute",
    "add",
    "arctan2",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "cbrt",
    "ceil",
    "clip",
    "copysign",
    "divide",
    "divmod",
    "equal",
    "fabs",
    "float_power",
    "floor",
    "floor_divide",
    "fmax",
    "fmin",
    "fmod",
    "greater",
    "greater_equal",
    "heaviside",
    "hypot",
    "invert",
    "isfinite",
    "isinf",
    "isnan",
    "less",
    "less_equal",
    "logaddexp",
    "logaddexp2",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "modf",
    "multiply",
    "negative",
    "not_equal",
    "positive",
    "power",
    "reciprocal",
    "remainder",
    "rint",
    "round",
    "sign",
    "signbit",
    "sqrt",
    "square",
    "subtract",
    "trunc",
]


@primitive(numpy=np.add)
def add(a: Array, b: Array) -> Array:
    """out = a + b"""
    return np.add(a, b)


add.vjp(a=lambda g: g, b=lambda g: g)


@primitive(numpy=np.subtract)
def subtract(a: Array, b: Array) -> Array:
    """out = a - b"""
    return np.subtract(a, b)


subtract.vjp(a=lambda g: g, b=lambda g: -g)


@primitive(numpy=np.multiply)
def multiply(a: Array, b: Array) -> Array:
    """out = a * b"""
    return np.multiply(a, b)


multiply.vjp(a=lambda g, b: g * b, b=lambda g, a: g * a)


@primitive(numpy=np.divide)
def divide(a: Array, b: Array) -> Array:
    """out = a / b"""
    return np.divide(a, b)


divide.vjp(a=lambda g, b: g / b, b=lambda g, b, out: -g * out / b)


@primitive(numpy=np.negative)
def negative(x: Array) -> Array:
    """out = -x"""
    return np.negative(x)


negative.vjp(x=lambda g: -g)


@primitive(numpy=np.positive)
def positive(x: Array) -> Array:
    """out = +x, a copy"""
    return np.positive(x)


positive.vjp(x=lambda g: g)


@primitive(numpy=np.reciprocal)
def reciprocal(x: Array) -> Array:
    """out = 1 / x; of integers, NumPy's integer result"""
    return np.reciprocal(x)


reciprocal.vjp(x=lambda g, out: -g * out * out)


def _power_vjp_a(g: Any, a: Any, b: Any) -> Any:
    if np.ndim(b) == 0 and not np.shape(b) and isinstance(b, (int, float)):
        return g * (b * a ** (b - 1)) if b else np.zeros_like(g)
    safe = np.where(b == 0, 1, b)
    return np.where(b == 0, 0, g * b * a ** (safe - 1))


def _power_vjp_b(g: Any, a: Any, b: Any, out: Any) -> Any:
    if isinstance(a, (int, float)):
        a = np.asarray(a, g.dtype)  # a Python number is weak, its logarithm would not be
    flat = np.logical_and(a == 0, b >= 0)
    return np.where(flat, 0, g * out * np.log(np.where(flat, 1, a)))


@primitive(numpy=(np.power, np.pow))
def power(a: Array, b: Array) -> Array:
    """out = a ** b; a**0 has the derivative 0 everywhere, and so has 0**b in b for b >= 0"""
    return np.power(a, b)


power.vjp(a=_power_vjp_a, b=_power_vjp_b)


@primitive(numpy=np.float_power)
def float_power(a: Array, b: Array) -> Array:
    """out = a ** b, always in float64; derivatives as those of `power`"""
    return np.float_power(a, b)


float_power.vjp(a=_power_vjp_a, b=_power_vjp_b)


@primitive(numpy=np.square)
def square(x: Array) -> Array:
    """out = x²"""
    return np.square(x)


square.vjp(x=lambda g, x: g * (2 * x))


@primitive(numpy=np.sqrt)
def sqrt(x: Array) -> Array:
    """out = √x; the derivative at 0 is inf"""
    return np.sqrt(x)


sqrt.vjp(x=lambda g, out: g / (2 * out))


@primitive(numpy=np.cbrt)
def cbrt(x: Array) -> Array:
    """out = ∛x, of negative numbers too; the derivative at 0 is inf"""
    return np.cbrt(x)


def _cbrt_vjp(g: Any, out: Any) -> Any:
    with np.errstate(divide="ignore", invalid="ignore"):
        return g / (3 * out * out)


cbrt.vjp(x=_cbrt_vjp)


@primitive(numpy=np.absolute)
def absolute(x: Array) -> Array:
    """out = |x|; the derivative at 0 is 0"""
    return np.absolute(x)


absolute.vjp(x=lambda g, x: g * np.sign(x))


@primitive(numpy=np.fabs)
def fabs(x: Array) -> Array:
    """out = |x| in floating point; the derivative at 0 is 0"""
    return np.fabs(x)


fabs.vjp(x=lambda g, x: g * np.sign(x))


@primitive(numpy=np.sign)
def sign(x: Array) -> Array:
    """out = the sign of x: -1, 0 or 1; its derivative is 0"""
    return np.sign(x)


sign.vjp(x=lambda g: np.zeros_like(g))


@primitive(numpy=np.copysign)
def copysign(a: Array, b: Array) -> Array:
    """out = |a| with the sign of b; the derivatives are 0 at a = 0, and 0 in b"""
    return np.copysign(a, b)


copysign.vjp(
    a=lambda g, a, out: g * (np.sign(a) * np.sign(out)),
    b=lambda g: np.zeros_like(g),
)


@primitive(numpy=np.heaviside)
def heaviside(a: Array, b: Array) -> Array:
    """out = 0 for a < 0, b for a = 0, 1 for a > 0; the derivative in a is 0"""
    return np.heaviside(a, b)


heaviside.vjp(a=lambda g: np.zeros_like(g), b=lambda g, a: np.where(a == 0, g, 0))


# Rounding is constant between its jumps: a derivative of 0.


@primitive(numpy=np.floor)
def floor(x: Array) -> Array:
    """out = the largest integer ≤ x; its derivative is 0"""
    return np.floor(x)


floor.vjp(x=lambda g: np.zeros_like(g))


@primitive(numpy=np.ceil)
def ceil(x: Array) -> Array:
    """out = the smallest integer ≥ x; its derivative is 0"""
    return np.ceil(x)


ceil.vjp(x=lambda g: np.zeros_like(g))


@primitive(numpy=(np.trunc, np.fix))
def trunc(x: Array) -> Array:
    """out = x without its fraction; its derivative is 0"""
    return np.trunc(x)


trunc.vjp(x=lambda g: np.zeros_like(g))


@primitive(numpy=np.rint)
def rint(x: Array) -> Array:
    """out = the nearest integer, halves to the even one; its derivative is 0"""
    return np.rint(x)


rint.vjp(x=lambda g: np.zeros_like(g))


@primitive(numpy=(np.round, np.around))
def round(a: Array, decimals: int = 0) -> Array:
    """out = a to `decimals` places (tens for -1), halves to the even one; its derivative is 0

    >>> import tinygrad_rnn as tg
    >>> tg.round(tg.Tensor([0.5, 1.5, 2.345]), 1)
    Tensor([0.5, 1.5, 2.3])
    """
    return np.round(a, decimals)


round.vjp(a=lambda g: np.zeros_like(g))


@primitive(numpy=np.modf)
def modf(x: Array) -> tuple[Array, Array]:
    """out = the fraction of x and its integer part, both with the sign of x

    The gradient goes through the fraction; the integer part's derivative is 0.
    """
    return np.modf(x)


modf.vjp(x=lambda g: np.zeros_like(g[1]) if g[0] is None else g[0])


# Division with a remainder


@primitive(numpy=np.floor_divide)
def floor_divide(a: Array, b: Array) -> Array:
    """out = ⌊a / b⌋; its derivatives are 0"""
    return np.floor_divide(a, b)


floor_divide.vjp(a=lambda g: np.zeros_like(g), b=lambda g: np.zeros_like(g))


@primitive(numpy=np.remainder)
def remainder(a: Array, b: Array) -> Array:
    """out = a - ⌊a / b⌋ b, with the sign of b; the derivative in b is -⌊a / b⌋"""
    return np.remainder(a, b)


remainder.vjp(a=lambda g: g, b=lambda g, a, b: -g * np.floor_divide(a, b))


@primitive(numpy=np.fmod)
def fmod(a: Array, b: Array) -> Array:
    """out = a - n b with the sign of a, n the integer part of a / b

    The derivative in b is -n, where n is the one that gives `out`: for 1.0 and 0.1 it is 9, though
    a / b rounds to 10 (which PyTorch takes).
    """
    return np.fmod(a, b)


fmod.vjp(a=lambda g: g, b=lambda g, a, b, out: -g * np.rint((a - out) / b))


@composite(np.divmod)
def divmod(a: Any, b: Any) -> Any:
    """out = floor_divide(a, b), remainder(a, b)"""
    return floor_divide(a, b), remainder(a, b)


# Distance and direction


def _ratio(g: Any, a: Any, out: Any) -> Any:
    with np.errstate(invalid="ignore"):  # 0 / 0 and inf / inf are NaN, as in PyTorch
        return g * (a / out)


@primitive(numpy=np.hypot)
def hypot(a: Array, b: Array) -> Array:
    """out = √(a² + b²), without overflow on the way; the derivatives at (0, 0) are NaN"""
    return np.hypot(a, b)


hypot.vjp(a=_ratio, b=lambda g, b, out: _ratio(g, b, out))


def _turn(g: Any, a: Any, y: Any, x: Any) -> Any:
    """g a / (x² + y²), and 0 at the origin."""
    r = np.hypot(x, y)
    r = np.where(r == 0, 1, r)
    return _ratio(g, a, r) / r


@primitive(numpy=np.arctan2)
def arctan2(y: Array, x: Array) -> Array:
    """out = the angle of the point (x, y), in (-π, π]; the derivatives at (0, 0) are 0"""
    return np.arctan2(y, x)


arctan2.vjp(
    y=lambda g, y, x: _turn(g, x, y, x),
    x=lambda g, y, x: -_turn(g, y, y, x),
)


# Sums of exponentials


def _share_e(g: Any, a: Any, b: Any) -> Any:
    """g eᵃ / (eᵃ + eᵇ)"""
    with np.errstate(invalid="ignore"):  # of two equal infinities the shares are NaN, as in PyTorch
        return g * np.exp(-np.logaddexp(0.0, b - a))


@primitive(numpy=np.logaddexp)
def logaddexp(a: Array, b: Array) -> Array:
    """out = ln(eᵃ + eᵇ), without overflow on the way

    Of two equal infinities the derivatives are NaN.
    """
    return np.logaddexp(a, b)


logaddexp.vjp(a=_share_e, b=lambda g, a, b: _share_e(g, b, a))


def _share_2(g: Any, a: Any, b: Any) -> Any:
    """g 2ᵃ / (2ᵃ + 2ᵇ)"""
    with np.errstate(invalid="ignore"):
        return g * np.exp2(-np.logaddexp2(0.0, b - a))


@primitive(numpy=np.logaddexp2)
def logaddexp2(a: Array, b: Array) -> Array:
    """out = log₂(2ᵃ + 2ᵇ), without overflow on the way

    Of two equal infinities the derivatives are NaN.
    """
    return np.logaddexp2(a, b)


logaddexp2.vjp(a=_share_2, b=lambda g, a, b: _share_2(g, b, a))


# The larger and the smaller. What is NaN anyway passes its gradient to both.


@primitive(numpy=np.maximum)
def maximum(a: Array, b: Array) -> Array:
    """out = the larger of a and b; equal elements get half the gradient each"""
    return np.maximum(a, b)


maximum.vjp(
    a=lambda g, a, b: np.where(a == b, 0.5 * g, np.where(a < b, 0, g)),
    b=lambda g, a, b: np.where(a == b, 0.5 * g, np.where(b < a, 0, g)),
)


@primitive(numpy=np.minimum)
def minimum(a: Array, b: Array) -> Array:
    """out = the smaller of a and b; equal elements get half the gradient each"""
    return np.minimum(a, b)


minimum.vjp(
    a=lambda g, a, b: np.where(a == b, 0.5 * g, np.where(a > b, 0, g)),
    b=lambda g, a, b: np.where(a == b, 0.5 * g, np.where(b > a, 0, g)),
)


@primitive(numpy=np.fmax)
def fmax(a: Array, b: Array) -> Array:
    """out = the larger of a and b, or the one that isn't NaN

    Equal elements get half the gradient each.
    """
    return np.fmax(a, b)


fmax.vjp(
    a=lambda g, a, b: np.where(a == b, 0.5 * g, np.where((a > b) | np.isnan(b), g, 0)),
    b=lambda g, a, b: np.where(a == b, 0.5 * g, np.where((a > b) | np.isnan(b), 0, g)),
)


@primitive(numpy=np.fmin)
def fmin(a: Array, b: Array) -> Array:
    """out = the smaller of a and b, or the one that isn't NaN

    Equal elements get half the gradient each.
    """
    return np.fmin(a, b)


fmin.vjp(
    a=lambda g, a, b: np.where(a == b, 0.5 * g, np.where((a < b) | np.isnan(b), g, 0)),
    b=lambda g, a, b: np.where(a == b, 0.5 * g, np.where((a < b) | np.isnan(b), 0, g)),
)


@primitive()
def _clip(a: Array, a_min: Array, a_max: Array) -> Array:
    return np.clip(a, a_min, a_max)


def _clip_vjp_a(g: Any, a: Any, a_min: Any, a_max: Any) -> Any:
    if a_min is not None:
        g = np.where(a >= a_min, g, 0)
    return g if a_max is None else np.where(a <= a_max, g, 0)


def _clip_vjp_min(g: Any, a: Any, a_min: Any, a_max: Any) -> Any:
    g = np.where(a < a_min, g, 0)
    return g if a_max is None else np.where(a_min < a_max, g, 0)


def _clip_vjp_max(g: Any, a: Any, a_min: Any, a_max: Any) -> Any:
    over = a > a_max
    return np.where(over if a_min is None else over | (a_max < a_min), g, 0)


_clip.vjp(a=_clip_vjp_a, a_min=_clip_vjp_min, a_max=_clip_vjp_max)

_absent: Any = object()


@composite(np.clip)
def clip(
    a: Any, a_min: Any = _absent, a_max: Any = _absent, *, min: Any = None, max: Any = None
) -> Any:
    """out = a, but at least `a_min` and at most `a_max`; None is no bound

    The bounds may be arrays. At a bound the gradient goes to a; beyond it, to the bound. Where
    a_min > a_max the result is a_max.

    Args:
        min, max: other names of the bounds.

    Raises:
        TypeError: if bounds are given under both names, or only one of `a_min` and `a_max`.

    >>> import tinygrad_rnn as tg
    >>> tg.clip(tg.Tensor([-2.0, 0.5, 3.0]), 0.0, 1.0)
    Tensor([0. , 0.5, 1. ])
    """
    if a_min is _absent and a_max is _absent:
        return _clip(a, min, max)
    if a_min is _absent or a_max is _absent:
        raise TypeError("clip takes both a_min and a_max; None is no bound: clip(a, 0, None)")
    if min is not None or max is not None:
        raise TypeError("clip takes its bounds as a_min, a_max or as min=, max=, not as both")
    return _clip(a, a_min, a_max)


# Comparisons and logic give booleans, which have no gradient.


@primitive(numpy=np.equal)
def equal(a: Array, b: Array) -> Array:
    """out = (a == b)"""
    return np.equal(a, b)


@primitive(numpy=np.not_equal)
def not_equal(a: Array, b: Array) -> Array:
    """out = (a != b)"""
    return np.not_equal(a, b)


@primitive(numpy=np.less)
def less(a: Array, b: Array) -> Array:
    """out = (a < b)"""
    return np.less(a, b)


@primitive(numpy=np.less_equal)
def less_equal(a: Array, b: Array) -> Array:
    """out = (a <= b)"""
    return np.less_equal(a, b)


@primitive(numpy=np.greater)
def greater(a: Array, b: Array) -> Array:
    """out = (a > b)"""
    return np.greater(a, b)


@primitive(numpy=np.greater_equal)
def greater_equal(a: Array, b: Array) -> Array:
    """out = (a >= b)"""
    return np.greater_equal(a, b)


@primitive(numpy=np.logical_and)
def logical_and(a: Array, b: Array) -> Array:
    """out = whether both a and b are nonzero"""
    return np.logical_and(a, b)


@primitive(numpy=np.logical_or)
def logical_or(a: Array, b: Array) -> Array:
    """out = whether a or b is nonzero"""
    return np.logical_or(a, b)


@primitive(numpy=np.logical_xor)
def logical_xor(a: Array, b: Array) -> Array:
    """out = whether exactly one of a and b is nonzero"""
    return np.logical_xor(a, b)


@primitive(numpy=np.logical_not)
def logical_not(x: Array) -> Array:
    """out = whether x is zero"""
    return np.logical_not(x)


@primitive(numpy=np.bitwise_and)
def bitwise_and(a: Array, b: Array) -> Array:
    """out = a & b, bit by bit of integers; both, of booleans"""
    return np.bitwise_and(a, b)


@primitive(numpy=np.bitwise_or)
def bitwise_or(a: Array, b: Array) -> Array:
    """out = a | b, bit by bit of integers; either, of booleans"""
    return np.bitwise_or(a, b)


@primitive(numpy=np.bitwise_xor)
def bitwise_xor(a: Array, b: Array) -> Array:
    """out = a ^ b, bit by bit of integers; exactly one, of booleans"""
    return np.bitwise_xor(a, b)


@primitive(numpy=np.invert)
def invert(x: Array) -> Array:
    """out = ~x, bit by bit of integers; not, of booleans"""
    return np.invert(x)


@primitive(numpy=np.isnan)
def isnan(x: Array) -> Array:
    """out = whether x is NaN"""
    return np.isnan(x)


@primitive(numpy=np.isfinite)
def isfinite(x: Array) -> Array:
    """out = whether x is neither NaN nor infinite"""
    return np.isfinite(x)


@primitive(numpy=np.isinf)
def isinf(x: Array) -> Array:
    """out = whether x is inf or -inf"""
    return np.isinf(x)


@primitive(numpy=np.signbit)
def signbit(x: Array) -> Array:
    """out = whether the sign of x is minus, that of -0.0 too"""
    return np.signbit(x)
