"""Arithmetic and comparisons, elementwise with broadcasting."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.primitive import Array, primitive

__all__ = [
    "absolute",
    "add",
    "bitwise_and",
    "bitwise_or",
    "divide",
    "equal",
    "greater",
    "greater_equal",
    "invert",
    "isfinite",
    "isnan",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "maximum",
    "minimum",
    "multiply",
    "negative",
    "not_equal",
    "power",
    "sign",
    "sqrt",
    "square",
    "subtract",
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


@primitive(numpy=np.absolute)
def absolute(x: Array) -> Array:
    """out = |x|; the derivative at 0 is 0"""
    return np.absolute(x)


absolute.vjp(x=lambda g, x: g * np.sign(x))


@primitive(numpy=np.sign)
def sign(x: Array) -> Array:
    """out = the sign of x: -1, 0 or 1; its derivative is 0"""
    return np.sign(x)


sign.vjp(x=lambda g: np.zeros_like(g))


@primitive(numpy=np.maximum)
def maximum(a: Array, b: Array) -> Array:
    """out = the larger of a and b; equal elements get half the gradient each"""
    return np.maximum(a, b)


maximum.vjp(
    a=lambda g, a, b: np.where(a == b, 0.5 * g, np.where(a > b, g, 0)),
    b=lambda g, a, b: np.where(a == b, 0.5 * g, np.where(b > a, g, 0)),
)


@primitive(numpy=np.minimum)
def minimum(a: Array, b: Array) -> Array:
    """out = the smaller of a and b; equal elements get half the gradient each"""
    return np.minimum(a, b)


minimum.vjp(
    a=lambda g, a, b: np.where(a == b, 0.5 * g, np.where(a < b, g, 0)),
    b=lambda g, a, b: np.where(a == b, 0.5 * g, np.where(b < a, g, 0)),
)


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
