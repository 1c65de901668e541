"""Initial values of parameters: from a shape to an array."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np

from .core.errors import ShapeError, did_you_mean

_GAINS = {
    **dict.fromkeys(("linear", "conv1d", "conv2d", "conv3d"), 1.0),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), 1.0),
    "sigmoid": 1.0,
    "tanh": 5.0 / 3,
    "relu": math.sqrt(2.0),
    "selu": 3.0 / 4,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which a nonlinearity wants the weights before it to be larger.

        linear, conv{1,2,3}d, conv_transpose{1,2,3}d, sigmoid: 1
        tanh: 5 / 3,    relu: √2,    leaky_relu: √(2 / (1 + param²)),    selu: 3 / 4

    Args:
        nonlinearity: one of these names.
        param: the negative slope of leaky_relu, 0.01 by default; others take no notice of it.

    Raises:
        ValueError: for another name, or a slope that isn't a number.

    Source: He et al. 2015, "Delving Deep into Rectifiers", for relu and leaky_relu; the others are
    PyTorch's.

    >>> calculate_gain("leaky_relu", 1.0)
    1.0
    """
    if nonlinearity in _GAINS:
        return _GAINS[nonlinearity]
    if nonlinearity != "leaky_relu":
        known = [*_GAINS, "leaky_relu"]
        raise ValueError(
            f"Unsupported nonlinearity {nonlinearity!r}.{did_you_mean(str(nonlinearity), known)} "
            f"Gains are known for {', '.join(known)}"
        )
    slope = 0.01 if param is None else param
    if isinstance(slope, bool) or not isinstance(slope, Real):
        raise ValueError(f"negative_slope {param!r} not a valid number")
    return math.sqrt(2.0 / (1 + slope**2))


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """How many inputs each output has, and how many outputs each input: (fan_in, fan_out).

    Args:
        shape: of a weight, (outputs, inputs) or (outputs, inputs, *kernel).

    Raises:
        ValueError: for fewer than two axes.

    >>> fans((5, 3))
    (3, 5)
    """
    if len(shape) < 2:
        raise ShapeError(
            "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions: a "
            f"weight is (outputs, inputs), got the shape {shape}"
        )
    kernel = math.prod(shape[2:])
    return shape[1] * kernel, shape[0] * kernel


def xavier_std(shape: tuple[int, ...], gain: float = 1.0) -> float:
    """std = gain · √(2 / (fan_in + fan_out)); 0 if there are neither inputs nor outputs.

    Source: Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward
    neural networks".

    >>> xavier_std((5, 3))
    0.5
    """
    both = sum(fans(shape))
    if not gain >= 0:
        raise RuntimeError(f"gain is a factor of the standard deviation, so 0 or more, got {gain}")
    return gain * math.sqrt(2.0 / both) if both else 0.0


def kaiming_std(shape: tuple[int, ...], mode: str = "fan_in", gain: float = 1.0) -> float:
    """std = gain / √fan, where fan is fan_in or fan_out, as `mode` says.

    Source: He et al. 2015, "Delving Deep into Rectifiers".

    >>> kaiming_std((5, 4))
    0.5
    """
    modes = ("fan_in", "fan_out")
    if str(mode).lower() not in modes:
        raise ValueError(f"Mode {mode!r} not supported, please use one of {modes}")
    return gain / math.sqrt(fans(shape)[modes.index(mode.lower())])


def between(
    shape: tuple[int, ...], low: float, high: float, dtype: Any, rng: np.random.Generator
) -> np.ndarray:
    """Uniform on [low, high); rounding to `dtype` may give `high` itself.

    Raises:
        RuntimeError: if low > high, or one of them isn't finite.
    """
    if not (low <= high and math.isfinite(float(high) - float(low))):
        raise RuntimeError(f"uniform numbers need finite bounds low <= high, got {low} and {high}")
    return rng.uniform(low, high, shape).astype(dtype)


def uniform(
    shape: tuple[int, ...], bound: float, dtype: Any, rng: np.random.Generator
) -> np.ndarray:
    """Uniform on [-bound, bound)."""
    return between(shape, -bound, bound, dtype, rng)


def uniform_of_std(
    shape: tuple[int, ...], std: float, dtype: Any, rng: np.random.Generator
) -> np.ndarray:
    """Uniform with mean 0 and standard deviation `std`, which is on [-√3 std, √3 std)."""
    return uniform(shape, math.sqrt(3.0) * std, dtype, rng)


def normal(
    shape: tuple[int, ...],
    dtype: Any,
    rng: np.random.Generator,
    mean: float = 0.0,
    std: float = 1.0,
) -> np.ndarray:
    """Normal, by default standard normal.

    Raises:
        RuntimeError: if std is negative or NaN.
    """
    if not std >= 0:
        raise RuntimeError(f"a standard deviation is 0 or more, got std={std}")
    return (mean + std * rng.standard_normal(shape)).astype(dtype)


def truncated_normal(
    shape: tuple[int, ...],
    mean: float,
    std: float,
    a: float,
    b: float,
    dtype: Any,
    rng: np.random.Generator,
) -> np.ndarray:
    """Normal, given that the value lies in [a, b].

    Proposals are drawn until all are accepted. Where [a, b] holds more than 0.3 of the normal
    distribution they are normal. Else, with z = (x - mean) / std and m the z in the interval that
    is nearest 0, their density is proportional to exp(-m z) (uniform if m = 0), and they are
    accepted with probability exp(-(z - m)² / 2): few are refused, however far out [a, b] is.

    Raises:
        RuntimeError: if std isn't positive and finite, the mean isn't finite, or there is no number
            from a to b.

    Source: Robert 1995, "Simulation of truncated normal variables", arXiv 0907.4010.
    """
    if not (0 < std < math.inf and math.isfinite(mean)):
        raise RuntimeError(
            f"a truncated normal needs a finite mean and a positive std, got {mean} and {std}"
        )
    if not (a <= b and a < math.inf and b > -math.inf):
        raise RuntimeError(f"a truncated normal needs bounds a <= b, got {a} and {b}")
    # finite, so that differences of bounds are numbers
    low, high = (min(max((float(x) - mean) / std, -1e300), 1e300) for x in (a, b))
    z = np.empty(math.prod(shape))
    pending = np.arange(z.size)
    while pending.size:
        z[pending], accepted = _propose(low, high, pending.size, rng)
        pending = pending[~accepted]
    # clip: the way from z to x rounds
    return np.clip(mean + std * z, a, b).reshape(shape).astype(dtype)


def _propose(
    low: float, high: float, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Candidates for a standard normal on [low, high], and which of them are accepted."""
    if high < 0:
        z, accepted = _propose(-high, -low, count, rng)
        return -z, accepted
    if (math.erf(high / math.sqrt(2.0)) - math.erf(low / math.sqrt(2.0))) / 2 > 0.3:
        z = rng.standard_normal(count)
        return z, (low <= z) & (z <= high)
    u = rng.random(count)
    m = max(low, 0.0)
    step = -np.log1p(u * math.expm1(-m * (high - low))) / m if m else u * (high - low)
    z = low + step
    return z, rng.random(count) < np.exp(-((z - m) ** 2) / 2)


def orthogonal(
    shape: tuple[int, ...], dtype: Any, rng: np.random.Generator, gain: float = 1.0
) -> np.ndarray:
    """gain · Q, a matrix with orthonormal rows or columns (whichever are fewer).

        A = Q R,    A standard normal, the diagonal of R positive

    With that sign every orthogonal matrix is equally likely. Computed in float64.

    Args:
        shape: (rows, cols), or (rows, ...), whose trailing axes are flattened to columns.
        dtype: of the result.
        rng: the generator.
        gain: a factor.

    Raises:
        ValueError: for fewer than two axes.

    Source: Saxe et al. 2013, "Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks", arXiv 1312.6120; for the sign, Mezzadri 2007, "How to generate random
    matrices from the classical compact groups", arXiv math-ph/0609050.

    >>> q = orthogonal((2, 3), np.float64, np.random.default_rng(0))
    >>> np.allclose(q @ q.T, np.eye(2))
    True
    """
    if len(shape) < 2:
        raise ShapeError(
            "Only tensors with 2 or more dimensions are supported: an orthogonal matrix is "
            f"(rows, cols), got the shape {shape}"
        )
    rows, cols = shape[0], math.prod(shape[1:])
    q, r = np.linalg.qr(rng.standard_normal((max(rows, cols), min(rows, cols))))
    q *= gain * np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return (q if rows >= cols else q.T).reshape(shape).astype(dtype, order="C")


def sparse(
    shape: tuple[int, ...], sparsity: float, std: float, dtype: Any, rng: np.random.Generator
) -> np.ndarray:
    """Normal with mean 0, and in each column ⌈sparsity · rows⌉ zeros at random places.

    Args:
        shape: (rows, cols).
        sparsity: the part of each column that is zero, in [0, 1].
        std: standard deviation of the others.
        dtype: of the result.
        rng: the generator.

    Raises:
        ValueError: unless there are two axes, and sparsity is in [0, 1].
        RuntimeError: if std is negative.

    Source: Martens 2010, "Deep learning via Hessian-free optimization".
    """
    if len(shape) != 2:
        raise ShapeError(
            f"Only tensors with 2 dimensions are supported by sparse initial values, got {shape}"
        )
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity is the part of zeros, from 0 to 1, got {sparsity}")
    values = normal(shape, dtype, rng, std=std)
    order = rng.random(shape).argsort(axis=0)  # in each column a random permutation of the rows
    values[order < math.ceil(sparsity * shape[0])] = 0
    return values
