"""Functions of one array, element by element."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.errors import UnsupportedOperation
from ..core.primitive import Array, composite, primitive

__all__ = [
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctanh",
    "astype",
    "cos",
    "cosh",
    "deg2rad",
    "degrees",
    "erf",
    "exp",
    "exp2",
    "expm1",
    "log",
    "log1p",
    "log2",
    "log10",
    "nan_to_num",
    "rad2deg",
    "radians",
    "sin",
    "sinc",
    "sinh",
    "tan",
    "tanh",
]

_LN2 = math.log(2)
_LN10 = math.log(10)
_DEGREE = math.pi / 180
_ERF_SLOPE = 2 / math.sqrt(math.pi)


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


@primitive(numpy=np.exp2)
def exp2(x: Array) -> Array:
    """out = 2ˣ"""
    return np.exp2(x)


exp2.vjp(x=lambda g, out: g * (_LN2 * out))


@primitive(numpy=np.expm1)
def expm1(x: Array) -> Array:
    """out = eˣ - 1, right to rounding near 0"""
    return np.expm1(x)


expm1.vjp(x=lambda g, out: g * (out + 1))


@primitive(numpy=np.log2)
def log2(x: Array) -> Array:
    """out = log₂ x"""
    return np.log2(x)


log2.vjp(x=lambda g, x: g / (_LN2 * x))


@primitive(numpy=np.log10)
def log10(x: Array) -> Array:
    """out = log₁₀ x"""
    return np.log10(x)


log10.vjp(x=lambda g, x: g / (_LN10 * x))


@primitive(numpy=np.log1p)
def log1p(x: Array) -> Array:
    """out = ln(1 + x), right to rounding near 0"""
    return np.log1p(x)


log1p.vjp(x=lambda g, x: g / (1 + x))


# Circular functions and their inverses


@primitive(numpy=np.sin)
def sin(x: Array) -> Array:
    """out = sin x"""
    return np.sin(x)


sin.vjp(x=lambda g, x: g * np.cos(x))


@primitive(numpy=np.cos)
def cos(x: Array) -> Array:
    """out = cos x"""
    return np.cos(x)


cos.vjp(x=lambda g, x: -g * np.sin(x))


@primitive(numpy=np.tan)
def tan(x: Array) -> Array:
    """out = tan x"""
    return np.tan(x)


tan.vjp(x=lambda g, out: g * (1 + out * out))


def _over(g: Any, slope: Any) -> Any:
    """g / slope, quietly infinite where the slope of the inverse function is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return g / slope


@primitive(numpy=np.arcsin)
def arcsin(x: Array) -> Array:
    """out = arcsin x, in [-π/2, π/2]; the derivative at ±1 is inf"""
    return np.arcsin(x)


arcsin.vjp(x=lambda g, x: _over(g, np.sqrt((1 - x) * (1 + x))))


@primitive(numpy=np.arccos)
def arccos(x: Array) -> Array:
    """out = arccos x, in [0, π]; the derivative at ±1 is -inf"""
    return np.arccos(x)


arccos.vjp(x=lambda g, x: _over(-g, np.sqrt((1 - x) * (1 + x))))


def _arctan_vjp(g: Any, x: Any) -> Any:
    with np.errstate(over="ignore"):  # g / inf = 0, which is right
        return g / (1 + x * x)


@primitive(numpy=np.arctan)
def arctan(x: Array) -> Array:
    """out = arctan x, in [-π/2, π/2]"""
    return np.arctan(x)


arctan.vjp(x=_arctan_vjp)


@primitive(numpy=(np.deg2rad, np.radians))
def deg2rad(x: Array) -> Array:
    """out = x π / 180; also called `radians`"""
    return np.deg2rad(x)


deg2rad.vjp(x=lambda g: g * _DEGREE)


@primitive(numpy=(np.rad2deg, np.degrees))
def rad2deg(x: Array) -> Array:
    """out = x 180 / π; also called `degrees`"""
    return np.rad2deg(x)


rad2deg.vjp(x=lambda g: g * (1 / _DEGREE))

radians, degrees = deg2rad, rad2deg


# Hyperbolic functions and their inverses


@primitive(numpy=np.sinh)
def sinh(x: Array) -> Array:
    """out = sinh x = (eˣ - e⁻ˣ) / 2"""
    return np.sinh(x)


sinh.vjp(x=lambda g, x: g * np.cosh(x))


@primitive(numpy=np.cosh)
def cosh(x: Array) -> Array:
    """out = cosh x = (eˣ + e⁻ˣ) / 2"""
    return np.cosh(x)


cosh.vjp(x=lambda g, x: g * np.sinh(x))


@primitive(numpy=np.arcsinh)
def arcsinh(x: Array) -> Array:
    """out = arsinh x"""
    return np.arcsinh(x)


arcsinh.vjp(x=lambda g, x: g / np.hypot(1.0, x))


@primitive(numpy=np.arccosh)
def arccosh(x: Array) -> Array:
    """out = arcosh x, for x ≥ 1; the derivative at 1 is inf"""
    return np.arccosh(x)


arccosh.vjp(x=lambda g, x: _over(g, np.sqrt(x - 1) * np.sqrt(x + 1)))


@primitive(numpy=np.arctanh)
def arctanh(x: Array) -> Array:
    """out = artanh x, for |x| < 1; the derivative at ±1 is inf"""
    return np.arctanh(x)


arctanh.vjp(x=lambda g, x: _over(g, (1 - x) * (1 + x)))


# sinc and erf


@primitive(numpy=np.sinc)
def sinc(x: Array) -> Array:
    """out = sin(πx) / (πx), and 1 at 0; its derivatives are right at 0 and near it, to any order"""
    return np.sinc(x)


@primitive()
def _sinc_derivative(x: Array, n: int) -> Array:
    """out = the n-th derivative of sinc, n ≥ 1"""
    y = np.multiply(x, math.pi)
    near = np.abs(y) < n + 1
    return np.where(
        near, _sinc_series(np.where(near, y, 0), n), _sinc_recurrence(np.where(near, n + 1, y), n)
    ) * (math.pi**n)


sinc.vjp(x=lambda g, x: g * _sinc_derivative(x, 1))
_sinc_derivative.vjp(x=lambda g, x, n: g * _sinc_derivative(x, n + 1))


def _sinc_series(y: Any, n: int) -> Any:
    """The n-th derivative of sin y / y near 0: Σ (-1)ᵏ yᵐ / (m! (2k + 1)), with m = 2k - n ≥ 0."""
    first = (n + 1) // 2
    total = np.zeros_like(y)
    for k in reversed(range(first, first + 2 * n + 14)):  # Horner's scheme in y²
        m = 2 * k - n
        total = total * (y * y) + (-1.0) ** k / (math.factorial(m) * (2 * k + 1))
    return total * y if n % 2 else total


def _sinc_recurrence(y: Any, n: int) -> Any:
    """The same away from 0, where y s⁽ᵏ⁾ + k s⁽ᵏ⁻¹⁾ = the k-th derivative of sin y."""
    circle = (np.sin(y), np.cos(y), -np.sin(y), -np.cos(y))
    s = circle[0] / y
    for k in range(1, n + 1):
        s = (circle[k % 4] - k * s) / y
    return s


@primitive()
def erf(x: Array) -> Array:
    """out = 2/√π ∫₀ˣ e⁻ᵗ² dt, right to a few units in the last place

    >>> import tinygrad_rnn as tg
    >>> tg.erf(tg.Tensor([0.0, 1.0, 7.0])).data.round(6).tolist()
    [0.0, 0.842701, 1.0]
    """
    x = np.asarray(x)
    if x.size <= 128:  # so few are done before NumPy's forty passes are
        values = [math.erf(v) for v in x.ravel().tolist()]
        return np.array(values, x.dtype if x.dtype.kind == "f" else float).reshape(x.shape)
    size = np.absolute(x)
    near = np.minimum(size, 0.5)
    far = np.minimum(np.maximum(size, 0.46875), 6.0)  # erf 6 is 1 to rounding
    square = near * near
    small = near * (_polynomial(_ERF_TOP, square) / _polynomial(_ERF_BOTTOM, square))
    rest = np.exp(-far * far) * (_polynomial(_ERFC_TOP, far) / _polynomial(_ERFC_BOTTOM, far))
    return np.copysign(np.where(size <= 0.46875, small, 1 - rest), x)


def _erf_vjp(g: Any, x: Any) -> Any:
    with np.errstate(over="ignore"):  # e to the power of -inf is 0, which is right
        return g * (_ERF_SLOPE * np.exp(-(x * x)))


erf.vjp(x=_erf_vjp)


def _polynomial(coefficients: Sequence[float], x: Any) -> Any:
    """Σ coefficients[-1 - i] xⁱ"""
    total = coefficients[0] * x + coefficients[1]
    for c in coefficients[2:]:
        total *= x
        total += c
    return total


# W. J. Cody, Rational Chebyshev approximations for the error function (1969): erf x / x in x² up to
# 0.46875, and erfc x e^x² in x above it.
_ERF_TOP = (
    1.85777706184603153e-1,
    3.16112374387056560e00,
    1.13864154151050156e02,
    3.77485237685302021e02,
    3.20937758913846947e03,
)
_ERF_BOTTOM = (
    1.0,
    2.36012909523441209e01,
    2.44024637934444173e02,
    1.28261652607737228e03,
    2.84423683343917062e03,
)
_ERFC_TOP = (
    2.15311535474403846e-8,
    5.64188496988670089e-1,
    8.88314979438837594e00,
    6.61191906371416295e01,
    2.98635138197400131e02,
    8.81952221241769090e02,
    1.71204761263407058e03,
    2.05107837782607147e03,
    1.23033935479799725e03,
)
_ERFC_BOTTOM = (
    1.0,
    1.57449261107098347e01,
    1.17693950891312499e02,
    5.37181101862009858e02,
    1.62138957456669019e03,
    3.29079923573345963e03,
    4.36261909014324716e03,
    3.43936767414372164e03,
    1.23033935480374942e03,
)


# Replacing and casting


@primitive()
def _nan_to_num(x: Array, nan: float, posinf: float | None, neginf: float | None) -> Array:
    return np.nan_to_num(x, True, nan, posinf, neginf)


_nan_to_num.vjp(x=lambda g, x: np.where(np.isfinite(x), g, 0))


@composite(np.nan_to_num)
def nan_to_num(
    x: Any,
    copy: bool = True,
    nan: float = 0.0,
    posinf: float | None = None,
    neginf: float | None = None,
) -> Any:
    """out = x with NaN and infinities replaced (None: by the largest finite numbers)

    The derivative is 0 where something was replaced.

    Raises:
        UnsupportedOperation: for copy=False, which would change x itself.
    """
    if not copy:
        raise UnsupportedOperation("nan_to_num doesn't change its argument: leave out copy=False")
    return _nan_to_num(x, nan, posinf, neginf)


@primitive()
def _astype(x: Array, dtype: Any) -> Array:
    return np.asarray(x).astype(dtype)


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
