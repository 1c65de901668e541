"""Rows of the op table: arithmetic, functions of one array, activations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from operation_table import (
    PAIRS,
    UNARY,
    Inputs,
    Row,
    Shape,
    booleans,
    distinct,
    integers,
    positive,
    together,
)

import tinygrad_rnn as tg
from tinygrad_rnn.ops.elementwise import _sinc_derivative

# Inputs


def scaled(draw: Inputs, factor: float, shift: float = 0.0) -> Inputs:
    return lambda rng: [x * factor + shift for x in draw(rng)]


def inside(shape: Shape) -> Inputs:
    """Values in (-0.8, 0.8)."""
    return scaled(distinct(shape), 0.4)


def above_one(shape: Shape) -> Inputs:
    """Values in (1.25, 3.25)."""
    return scaled(distinct(shape), 0.5, 2.25)


def off_the_grid(grid: float, offset: float = 0.0) -> Any:
    """Values at least a tenth of `grid` away from its multiples, moved by `offset`."""

    def of_shape(*shapes: Shape) -> Inputs:
        def draw(rng: np.random.Generator) -> list[np.ndarray]:
            return [
                (rng.integers(-3, 3, s) + rng.uniform(0.1, 0.9, s)) * grid + offset for s in shapes
            ]

        return draw

    return of_shape


def wide(shape: Shape) -> Inputs:
    """Values in (-5, 5), clear of the kinks of the activations: multiples of 0.5."""

    def draw(rng: np.random.Generator) -> list[np.ndarray]:
        return [(rng.integers(-10, 10, shape) + rng.uniform(0.1, 0.9, shape)) * 0.5]

    return draw


def dividing(a: Shape, b: Shape) -> Inputs:
    """a and b of either sign, their quotient clear of integers."""

    def draw(rng: np.random.Generator) -> list[np.ndarray]:
        divisor = rng.uniform(0.5, 2.0, b) * rng.choice([-1, 1], b)
        for _ in range(10_000):
            dividend = rng.uniform(-6.0, 6.0, a)
            quotient = dividend / divisor
            if np.abs(quotient - np.rint(quotient)).min(initial=1) > 0.02:
                return [dividend, divisor]
        raise AssertionError("no luck")

    return draw


# Functions of one array: name, inputs

SMOOTH_UNARY: list[tuple[str, Any]] = [
    ("positive", distinct),
    ("reciprocal", positive),
    ("cbrt", positive),
    ("fabs", distinct),
    ("floor", off_the_grid(1.0)),
    ("ceil", off_the_grid(1.0)),
    ("trunc", off_the_grid(1.0)),
    ("rint", off_the_grid(1.0, 0.5)),
    ("round", off_the_grid(1.0, 0.5)),
    ("modf", off_the_grid(1.0)),
    ("exp2", distinct),
    ("expm1", distinct),
    ("log2", positive),
    ("log10", positive),
    ("log1p", positive),
    ("sin", distinct),
    ("cos", distinct),
    ("tan", inside),
    ("arcsin", inside),
    ("arccos", inside),
    ("arctan", distinct),
    ("sinh", distinct),
    ("cosh", distinct),
    ("arcsinh", distinct),
    ("arccosh", above_one),
    ("arctanh", inside),
    ("deg2rad", distinct),
    ("rad2deg", distinct),
    ("sinc", distinct),
    ("nan_to_num", distinct),
]


def _unary() -> list[Row]:
    rows = [
        Row(name, f"{shape}", getattr(tg, name), getattr(np, name), draw(shape))
        for name, draw in SMOOTH_UNARY
        for shape in UNARY
    ]
    rows.append(Row("nan_to_num", "nan=2", *_both("nan_to_num", nan=2.0), distinct((3,))))
    for decimals in (2, -1):
        draw = _hundredths if decimals == 2 else off_the_grid(10.0, 5.0)((3, 4))
        rows.append(Row("round", f"decimals={decimals}", *_both("round", decimals=decimals), draw))
    for name in ("isinf", "signbit"):
        rows += [
            Row(name, f"{s}", getattr(tg, name), getattr(np, name), distinct(s), smooth=False)
            for s in UNARY
        ]
    rows += [Row("erf", f"{s}", tg.erf, erf, distinct(s), exact=False) for s in UNARY]
    rows.append(Row("erf", "many", tg.erf, erf, distinct((10, 13)), exact=False))
    rows.append(Row("gelu", "many", tg.gelu, _gelu, distinct((10, 13)), exact=False))
    for n in (1, 2, 3):
        rows += [
            Row(
                "sinc_derivative",
                f"{n} {label}",
                lambda x, n=n: _sinc_derivative(x, n),
                lambda x, n=n: sinc_derivative(x, n),
                scaled(distinct((3, 4)), factor),
                exact=False,
            )
            for label, factor in [("near", 0.1), ("about", 0.5), ("far", 1.2)]
        ]
    return rows


def _hundredths(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.integers(-300, 300, (3, 4)) / 100 + rng.uniform(-0.0005, 0.0005, (3, 4))]


def _both(name: str, **options: Any) -> tuple[Any, Any]:
    ours, theirs = getattr(tg, name), getattr(np, name)
    return (lambda x: ours(x, **options)), (lambda x: theirs(x, **options))


def erf(x: Any) -> Any:
    return np.array([math.erf(v) for v in np.ravel(x)], x.dtype).reshape(np.shape(x))


def sinc_derivative(x: Any, n: int) -> Any:
    """πⁿ ∫₀¹ tⁿ cos(πxt + nπ/2) dt, by Gauss's rule."""
    nodes, weights = np.polynomial.legendre.leggauss(40)
    t = (nodes + 1) / 2
    values = t**n * np.cos(math.pi * x[..., None] * t + n * math.pi / 2)
    return math.pi**n * (values * weights / 2).sum(-1)


# Functions of two

SMOOTH_BINARY: list[tuple[str, Any]] = [
    ("float_power", positive),
    ("fmax", distinct),
    ("fmin", distinct),
    ("copysign", distinct),
    ("heaviside", distinct),
    ("hypot", distinct),
    ("arctan2", distinct),
    ("logaddexp", distinct),
    ("logaddexp2", distinct),
    ("floor_divide", dividing),
    ("remainder", dividing),
    ("fmod", dividing),
    ("divmod", dividing),
]


def _binary() -> list[Row]:
    rows = []
    for a, b in PAIRS:
        for name, draw in SMOOTH_BINARY:
            rows.append(Row(name, f"{a}, {b}", getattr(tg, name), getattr(np, name), draw(a, b)))
        for name, draw in [
            ("logical_xor", booleans),
            ("bitwise_xor", booleans),
            ("bitwise_xor", integers),
        ]:
            label = f"{a}, {b} {draw.__name__}"
            row = Row(name, label, getattr(tg, name), getattr(np, name), draw(a, b))
            rows.append(row._replace(smooth=False))
    for exponent in (3, -1, 2.5, 0):
        rows.append(
            Row(
                "float_power",
                f"x ** {exponent}",
                lambda x, exponent=exponent: tg.float_power(x, exponent),
                lambda x, exponent=exponent: np.float_power(x, exponent),
                positive((3, 2)),
            )
        )
    return rows


def _clip() -> list[Row]:
    rows = []
    for label, low, high in [
        ("both", -0.5, 0.75),
        ("no lower", None, 0.75),
        ("no upper", -0.5, None),
        ("neither", None, None),
        ("arrays", np.array([-1.0, 0.0, 0.3, -9.0]), np.array([[1.0], [0.3], [9.0]])),
        ("crossed", 0.5, -0.5),
    ]:
        rows.append(
            Row(
                "clip",
                label,
                lambda x, low=low, high=high: tg.clip(x, low, high),
                lambda x, low=low, high=high: np.clip(x, low, high),
                distinct((3, 4)),
            )
        )
    for a, low, high in [
        ((3, 4), (4,), (3, 1)),
        ((3, 4), (), ()),
        ((), (2,), ()),
        ((4,), (3, 4), (1, 1)),
        ((0, 3), (3,), ()),
    ]:
        rows.append(
            Row("clip", f"{a}, {low}, {high}", tg.clip, np.clip, distinct(a, low, high)),
        )
    rows.append(
        Row(
            "clip",
            "min= an array",
            lambda x, low: tg.clip(x, min=low),
            lambda x, low: np.clip(x, min=low),
            distinct((3, 4), (4,)),
        )
    )
    rows.append(
        Row(
            "clip",
            "max= an array",
            lambda x, high: tg.clip(x, max=high),
            lambda x, high: np.clip(x, max=high),
            distinct((3, 4), (4,)),
        )
    )
    return rows


# Activations: name, arguments, formula


def _softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    return np.where(x * beta > threshold, x, np.log(1 + np.exp(beta * x)) / beta)


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _elu(x: Any, alpha: float = 1.0) -> Any:
    return np.where(x > 0, x, alpha * (np.exp(x) - 1))


def _hardsigmoid(x: Any) -> Any:
    return np.minimum(np.maximum(x + 3, 0), 6) / 6


def _gelu(x: Any) -> Any:
    return x * (1 + erf(x / math.sqrt(2))) / 2


def _gelu_tanh(x: Any) -> Any:
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


ACTIVATIONS: list[tuple[str, dict[str, Any], Any]] = [
    ("softplus", {}, _softplus),
    ("softplus", {"beta": 2.5, "threshold": 1.25}, lambda x: _softplus(x, 2.5, 1.25)),
    ("logsigmoid", {}, lambda x: -np.log(1 + np.exp(-x))),
    ("leaky_relu", {}, lambda x: np.where(x > 0, x, 0.01 * x)),
    ("leaky_relu", {"negative_slope": 0.3}, lambda x: np.where(x > 0, x, 0.3 * x)),
    ("elu", {}, _elu),
    ("elu", {"alpha": 0.5}, lambda x: _elu(x, 0.5)),
    ("selu", {}, lambda x: 1.0507009873554805 * _elu(x, 1.6732632423543772)),
    ("celu", {}, _elu),
    ("celu", {"alpha": 2.0}, lambda x: np.where(x > 0, x, 2 * (np.exp(x / 2) - 1))),
    ("silu", {}, lambda x: x * _sigmoid(x)),
    ("mish", {}, lambda x: x * np.tanh(np.log(1 + np.exp(x)))),
    ("gelu", {}, _gelu),
    ("gelu", {"approximate": "tanh"}, _gelu_tanh),
    ("softsign", {}, lambda x: x / (1 + np.abs(x))),
    ("hardtanh", {}, lambda x: np.minimum(np.maximum(x, -1), 1)),
    (
        "hardtanh",
        {"min_val": -2.0, "max_val": 0.5},
        lambda x: np.minimum(np.maximum(x, -2), 0.5),
    ),
    ("hardsigmoid", {}, _hardsigmoid),
    ("hardswish", {}, lambda x: x * _hardsigmoid(x)),
    ("relu6", {}, lambda x: np.minimum(np.maximum(x, 0), 6)),
    ("tanhshrink", {}, lambda x: x - np.tanh(x)),
    ("softshrink", {}, lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0)),
    ("softshrink", {"lambd": 1.5}, lambda x: np.sign(x) * np.maximum(np.abs(x) - 1.5, 0)),
    ("hardshrink", {}, lambda x: x * (np.abs(x) > 0.5)),
    ("hardshrink", {"lambd": 1.5}, lambda x: x * (np.abs(x) > 1.5)),
]


def _activations() -> list[Row]:
    rows = [
        Row(
            name,
            f"{shape} {options}",
            lambda x, name=name, options=options: getattr(tg, name)(x, **options),
            lambda x, expected=expected: np.asarray(expected(x)),
            wide(shape),
            exact=False,
        )
        for name, options, expected in ACTIVATIONS
        for shape in UNARY
    ]
    rows.append(
        Row(
            "gelu_tanh",
            "(3, 4)",
            lambda x: tg.gelu(x, "tanh"),
            _gelu_tanh,
            wide((3, 4)),
            exact=False,
        )
    )
    for shape, axis in [((4,), -1), ((2, 6), 1), ((4, 3), 0), ((2, 4, 3), -2), ((0, 2), -1)]:
        rows.append(
            Row(
                "glu",
                f"{shape} axis={axis}",
                lambda x, axis=axis: tg.glu(x, axis),
                lambda x, axis=axis: _glu(x, axis),
                distinct(shape),
                exact=False,
            )
        )
    for shape, weight, fits in [
        ((3, 4), (4,), (1, 4)),
        ((2, 3, 4), (3,), (1, 3, 1)),
        ((2, 3, 2, 2), (3,), (1, 3, 1, 1)),
        ((2, 3), (1,), (1, 1)),
        ((3,), (1,), (1,)),
        ((), (), ()),
        ((), (1,), ()),
        ((2, 1), (), ()),
        ((0, 3), (3,), (1, 3)),
    ]:
        rows.append(
            Row(
                "prelu",
                f"{shape}, {weight}",
                tg.prelu,
                lambda x, w, fits=fits: np.where(x > 0, x, x * w.reshape(fits)),
                distinct(shape, weight),
            )
        )
    for x, slope in [((3, 4), (3, 1)), ((4,), (2, 4)), ((), ())]:
        rows.append(
            Row(
                "leaky_relu",
                f"{x}, {slope}",
                tg.leaky_relu,
                lambda x, slope: np.where(x > 0, x, x * slope),
                together(distinct(x), positive(slope)),
            )
        )
    return rows


def _glu(x: Any, axis: int) -> Any:
    a, b = np.split(x, 2, axis)
    return a * _sigmoid(b)


ROWS: list[Row] = [*_unary(), *_binary(), *_clip(), *_activations()]
