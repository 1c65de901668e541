"""Arithmetic, functions of one array and activations: special values, kinks, and PyTorch's word."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_rnn as tg
from tinygrad_rnn.core.errors import UnsupportedOperation
from tinygrad_rnn.core.primitive import Array, primitive

INF, NAN = math.inf, math.nan


def leaf(values: Any, dtype: Any = float) -> tg.Tensor:
    return tg.Tensor(np.asarray(values, dtype), requires_grad=True)


def gradients(call: Any, *values: Any) -> list[Any]:
    """The value of `call` and, for a cotangent of ones, its gradients."""
    leaves = [leaf(v) for v in values]
    out = call(*leaves)
    return [out.data, *(g.data for g in tg.grad(out, leaves, np.ones(out.shape)))]


def nth_derivative(call: Any, x: Any, n: int) -> Any:
    t = leaf(x)
    y = call(t)
    for _ in range(n):
        (y,) = tg.grad(y, t, np.ones(y.shape), create_graph=True)
    return y.data


def torch_gradients(name: str, *values: Any, **options: Any) -> list[Any]:
    """The same in PyTorch, by a function of torch or torch.nn.functional."""
    torch = pytest.importorskip("torch")
    call = getattr(torch, name, None) or getattr(torch.nn.functional, name)
    leaves = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in values]
    out = call(*leaves, **options)
    found = torch.autograd.grad(out.sum(), leaves)
    return [out.detach().numpy(), *(g.numpy() for g in found)]


def quiet(call: Any, *arguments: Any, **options: Any) -> Any:
    """Of values outside a function's domain NumPy warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(*arguments, **options)


def compared(found: list[Any], expected: list[Any], rtol: float = 1e-13) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        assert_allclose(ours, theirs, rtol=rtol, atol=1e-15)


# Against PyTorch

EVERYWHERE = [-INF, -1e200, -1000.0, -30.0, -2.5, -1.0, -0.5, -1e-9, -0.0, 0.0]
EVERYWHERE = [*EVERYWHERE, *(-x for x in reversed(EVERYWHERE[:-1])), NAN]
SMALL = [-INF, -5.0, -2.5, -0.7, -1e-9, -0.0, 0.0, 1e-9, 0.3, 1.9, 6.0, INF, NAN]
POSITIVE = [1e-300, 1e-9, 0.3, 1.0, 2.5, 1000.0, 1e200, INF, NAN]
WITHIN = [-0.999, -0.5, -1e-9, 0.0, 1e-9, 0.3, 0.999, NAN]

UNARY: list[tuple[str, str, list[float]]] = [
    ("reciprocal", "reciprocal", [-2.0, -1e-9, 0.3, 2.5, INF, -INF, NAN]),
    ("floor", "floor", EVERYWHERE),
    ("ceil", "ceil", EVERYWHERE),
    ("trunc", "trunc", EVERYWHERE),
    ("rint", "round", [*EVERYWHERE, 1.5, 2.5, -1.5]),
    ("round", "round", [*EVERYWHERE, 1.5, 2.5, -1.5]),
    ("sign", "sign", EVERYWHERE[:-1]),
    ("absolute", "abs", EVERYWHERE[:-1]),
    ("fabs", "abs", EVERYWHERE[:-1]),
    ("exp2", "exp2", SMALL),
    ("expm1", "expm1", SMALL),
    ("log2", "log2", POSITIVE),
    ("log10", "log10", POSITIVE),
    ("log1p", "log1p", [-0.999, -1e-9, *POSITIVE]),
    ("sin", "sin", [-1000.0, -2.5, 0.0, 1e-9, 0.3, NAN]),
    ("cos", "cos", [-1000.0, -2.5, 0.0, 1e-9, 0.3, NAN]),
    ("tan", "tan", [-1000.0, -2.5, 0.0, 1e-9, 0.3, NAN]),
    ("arcsin", "asin", [-1.0, *WITHIN, 1.0]),
    ("arccos", "acos", [-1.0, *WITHIN, 1.0]),
    ("arctan", "atan", EVERYWHERE),
    ("sinh", "sinh", SMALL),
    ("cosh", "cosh", SMALL),
    ("tanh", "tanh", EVERYWHERE),
    ("arcsinh", "asinh", [-1000.0, -2.5, 0.0, 1e-9, 0.3, NAN]),
    ("arccosh", "acosh", [1.0, 1.5, 2.5, 1000.0, INF, NAN]),
    ("arctanh", "atanh", WITHIN),
    ("deg2rad", "deg2rad", EVERYWHERE),
    ("rad2deg", "rad2deg", [x for x in EVERYWHERE if x != 1e200]),
    ("sinc", "sinc", [-2.5, -0.5, -0.0, 0.0, 0.3, 7.7, NAN]),
    ("erf", "erf", EVERYWHERE),
    ("nan_to_num", "nan_to_num", EVERYWHERE),
    ("sigmoid", "sigmoid", EVERYWHERE),
    ("relu", "relu", EVERYWHERE[:-1]),
    ("softplus", "softplus", EVERYWHERE),
    ("logsigmoid", "logsigmoid", EVERYWHERE),
    ("leaky_relu", "leaky_relu", EVERYWHERE),
    ("elu", "elu", EVERYWHERE[:-1]),
    ("selu", "selu", EVERYWHERE[:-1]),
    ("celu", "celu", EVERYWHERE[:-1]),
    ("silu", "silu", [x for x in EVERYWHERE if abs(x) < 1e100]),
    ("mish", "mish", [x for x in EVERYWHERE if abs(x) < 1e100]),
    ("gelu", "gelu", [x for x in EVERYWHERE if abs(x) < 1e100]),
    ("softsign", "softsign", [x for x in EVERYWHERE if abs(x) < 1e100]),
    ("hardtanh", "hardtanh", EVERYWHERE),
    ("hardsigmoid", "hardsigmoid", [*EVERYWHERE[:-1], 3.0, -3.0]),
    ("hardswish", "hardswish", [*EVERYWHERE[1:-1], 3.0, -3.0]),
    ("relu6", "relu6", [*EVERYWHERE, 6.0]),
    ("tanhshrink", "tanhshrink", EVERYWHERE),
    ("softshrink", "softshrink", EVERYWHERE[:-1]),
    ("hardshrink", "hardshrink", EVERYWHERE),
]


@pytest.mark.parametrize(("ours", "theirs", "values"), UNARY, ids=[row[0] for row in UNARY])
def test_values_and_gradients_are_pytorchs(ours: str, theirs: str, values: list[float]):
    rounded = ours == "hardsigmoid"  # PyTorch's 1/6 is of float32
    expected = torch_gradients(theirs, values)
    compared(gradients(getattr(tg, ours), values), expected, 1e-7 if rounded else 1e-13)


OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("softplus", {"beta": 3.0, "threshold": 1.5}),
    ("leaky_relu", {"negative_slope": 0.25}),
    ("leaky_relu", {"negative_slope": -0.5}),
    ("elu", {"alpha": 0.5}),
    ("celu", {"alpha": 2.0}),
    ("hardtanh", {"min_val": -2.5, "max_val": 0.5}),
    ("softshrink", {"lambd": 1.0}),
    ("hardshrink", {"lambd": 1.0}),
    ("gelu", {"approximate": "tanh"}),
    ("gelu", {"approximate": "none"}),
    ("nan_to_num", {"nan": 1.0, "posinf": 2.0, "neginf": -3.0}),
    ("round", {"decimals": 1}),
    ("clip", {"min": -1.0, "max": 1.0}),
    ("clip", {"max": 0.5}),
]


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_arguments_are_pytorchs(name: str, options: dict[str, Any]):
    values = [x for x in EVERYWHERE if abs(x) < 1e100]
    if name == "nan_to_num":
        values = EVERYWHERE
    expected = torch_gradients(name, values, **options)
    compared(gradients(lambda x: getattr(tg, name)(x, **options), values), expected)


A = [0.0, 1.0, -1.0, 2.5, 2.5, -3.0, 1e3, -1e3, INF, -INF, 0.3, -0.0, NAN, 1.0, NAN]
B = [0.5, 1.0, 1.0, -0.7, 2.5, 2.0, -1e3, 1e3, 1.0, 1.0, INF, 1.0, 1.0, NAN, NAN]
BINARY = ["hypot", "arctan2", "logaddexp", "logaddexp2", "maximum", "minimum"]


@pytest.mark.parametrize("name", BINARY)
def test_values_and_gradients_of_two_arguments_are_pytorchs(name: str):
    compared(quiet(gradients, getattr(tg, name), A, B), torch_gradients(name, A, B))


@pytest.mark.parametrize("name", ["hypot", "arctan2"])
def test_derivatives_at_the_origin_are_pytorchs(name: str):
    y, x = [0.0, -0.0, 0.0], [0.0, 0.0, -0.0]
    compared(gradients(getattr(tg, name), y, x), torch_gradients(name, y, x))


def test_copysign_is_pytorchs():
    a, b = A[:8], [*B[:6], 0.0, -0.0]
    compared(gradients(tg.copysign, a, b), torch_gradients("copysign", a, b))
    assert gradients(tg.copysign, [INF, -INF], [-1.0, -1.0])[1].tolist() == [-1.0, 1.0]


@pytest.mark.parametrize("name", ["fmax", "fmin"])
def test_fmax_and_fmin_are_pytorchs_except_at_ties(name: str):
    out, da, db = gradients(getattr(tg, name), A, B)
    expected = torch_gradients(name, A, B)
    ties = np.asarray(A) == np.asarray(B)
    assert ties.sum() == 2
    assert_array_equal(out, expected[0])
    assert_array_equal(da[~ties], expected[1][~ties])
    assert_array_equal(db[~ties], expected[2][~ties])
    assert_array_equal(da[ties], [0.5, 0.5])
    assert_array_equal(db[ties], [0.5, 0.5])


def test_remainder_is_pytorchs():
    a, b = [7.0, -7.0, 7.0, -7.0, 6.0, 1.0, 7.0, 0.0], [3.0, 3.0, -3.0, -3.0, 3.0, 0.1, INF, 2.0]
    compared(gradients(tg.remainder, a, b), torch_gradients("remainder", a, b))


def test_fmod_is_pytorchs_where_the_quotient_does_not_round_up():
    a, b = [7.0, -7.0, 7.0, -7.0, 6.0, 7.0, 0.0], [3.0, 3.0, -3.0, -3.0, 3.0, INF, 2.0]
    compared(gradients(tg.fmod, a, b), torch_gradients("fmod", a, b))


def test_fmods_slope_belongs_to_its_value():
    # 1.0 / 0.1 rounds to 10, but 0.1 goes only 9 times into 1.0: the value says so.
    out, da, db = gradients(tg.fmod, [1.0], [0.1])
    assert out[0] == np.fmod(1.0, 0.1) > 0.09
    assert (da[0], db[0]) == (1.0, -9.0)


def test_clip_between_arrays_is_pytorchs():
    a, low, high = [0.0, 1, 2, 3, NAN, 5, 3], [0.0, 2, 1, 1, 1, 6, 6], [1.0, 3, 2, 2, 2, 4, 4]
    compared(gradients(tg.clip, a, low, high), torch_gradients("clamp", a, low, high))


def test_prelu_is_pytorchs(rng: np.random.Generator):
    for shape, count in [((2, 3), 3), ((2, 3, 4), 3), ((2, 3), 1), ((4,), 1)]:
        x, weight = np.round(rng.normal(size=shape), 1), rng.normal(size=count)
        x[0] = 0.0
        compared(gradients(tg.prelu, x, weight), torch_gradients("prelu", x, weight))


def test_glu_is_pytorchs(rng: np.random.Generator):
    x = rng.normal(size=(4, 6)) * 100
    compared(gradients(tg.glu, x), torch_gradients("glu", x))
    compared(gradients(lambda t: tg.glu(t, axis=0), x), torch_gradients("glu", x, dim=0))


THIRD = ["reciprocal", "exp2", "expm1", "log2", "log10", "log1p", "sin", "cos", "tan", "arcsin"]
THIRD += ["arccos", "arctan", "sinh", "cosh", "arcsinh", "arctanh", "erf", "sigmoid", "softplus"]
THIRD += ["logsigmoid", "silu", "mish", "gelu", "tanhshrink", "elu"]


@pytest.mark.parametrize("name", THIRD)
def test_third_derivatives_are_pytorchs(name: str):
    torch = pytest.importorskip("torch")
    theirs = name.replace("arc", "a")
    call = getattr(torch, theirs, None) or getattr(torch.nn.functional, theirs)
    values = [0.3, 0.7, 0.11]
    x = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    y = call(x)
    for _ in range(3):
        (y,) = torch.autograd.grad(y.sum(), x, create_graph=y.requires_grad)
        if not y.requires_grad:
            break
    assert_allclose(
        nth_derivative(getattr(tg, name), values, 3), y.detach().numpy(), rtol=1e-11, atol=1e-12
    )


def test_third_derivatives_of_two_arguments():
    x = [0.3, -0.7, 1.9]
    r = np.hypot(x, 1.5)
    found = nth_derivative(lambda t: tg.hypot(t, 1.5), x, 3)
    assert_allclose(found, -3 * 1.5**2 * np.asarray(x) / r**5, rtol=1e-12)
    s = 1 / (1 + np.exp(0.5 - np.asarray(x)))
    found = nth_derivative(lambda t: tg.logaddexp(t, 0.5), x, 3)
    assert_allclose(found, s * (1 - s) * (1 - 2 * s), rtol=1e-12)


# Extreme values

CALM = ["sigmoid", "softplus", "logsigmoid", "relu", "leaky_relu", "elu", "selu", "celu", "silu"]
CALM += ["mish", "gelu", "softsign", "hardtanh", "hardsigmoid", "hardswish", "relu6"]
CALM += ["tanhshrink", "softshrink", "hardshrink", "erf", "arctan"]
LIMITS = {  # at -inf and at inf
    "sigmoid": (0, 1),
    "softplus": (0, INF),
    "logsigmoid": (-INF, 0),
    "relu": (0, INF),
    "leaky_relu": (-INF, INF),
    "elu": (-1, INF),
    "selu": (-1.0507009873554805 * 1.6732632423543772, INF),
    "celu": (-1, INF),
    "silu": (0, INF),
    "mish": (0, INF),
    "gelu": (0, INF),
    "softsign": (-1, 1),
    "hardtanh": (-1, 1),
    "hardsigmoid": (0, 1),
    "hardswish": (0, INF),
    "relu6": (0, 6),
    "tanhshrink": (-INF, INF),
    "softshrink": (-INF, INF),
    "hardshrink": (-INF, INF),
    "erf": (-1, 1),
    "arctan": (-math.pi / 2, math.pi / 2),
}
SLOPES = {  # the same of the derivative, where it isn't 0 and 0 for bounded limits, 0 and 1 else
    "logsigmoid": (1, 0),
    "leaky_relu": (0.01, 1),
    "selu": (0, 1.0507009873554805),
    "tanhshrink": (1, 1),
    "softshrink": (1, 1),
    "hardshrink": (1, 1),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", CALM)
def test_extreme_values_are_right_and_have_finite_gradients(name: str, dtype: Any):
    left, right = LIMITS[name]
    huge = float(np.finfo(dtype).max) / 2
    large = [-1000.0, 1000.0, -huge, huge, -INF, INF]
    x = tg.Tensor(large, dtype=dtype, requires_grad=True)
    y = getattr(tg, name)(x)
    (slope,) = tg.grad(y, x, np.ones(6, dtype))
    assert_allclose(y.data[-2:], [left, right], rtol=1e-6)
    expected = SLOPES.get(name, (0, 1 if right == INF else 0))
    tolerance = 1e-5 if name in ("softsign", "arctan") else 0  # these are still bending
    assert_allclose(slope.data, [*expected] * 3, rtol=1e-6, atol=tolerance)


@pytest.mark.parametrize("name", ["silu", "mish", "gelu", "softplus", "logsigmoid"])
def test_second_derivatives_at_extremes_are_zero(name: str):
    call = getattr(tg, name)
    assert_array_equal(nth_derivative(call, [-1000.0, 1000.0, -INF, INF], 2), np.zeros(4))


def test_gates_at_extremes():
    x = leaf([[-1000.0, 1000.0, 3.0, 3.0, -1000.0, 1000.0]])
    out = tg.glu(x)
    assert_allclose(out.data, [[-1000 / (1 + math.exp(-3)), 0.0, 3.0]])
    out.sum().backward()
    assert np.isfinite(x.grad.data).all()


def test_logaddexp_of_distant_and_infinite_numbers():
    out, da, db = gradients(tg.logaddexp, [1000.0, -INF, 0.0], [-1000.0, 0.0, -INF])
    assert_array_equal(out, [1000.0, 0.0, 0.0])
    assert_array_equal(da, [1.0, 0.0, 1.0])
    assert_array_equal(db, [0.0, 1.0, 0.0])
    out, da, db = gradients(tg.logaddexp, [-INF], [-INF])
    assert out[0] == -INF
    assert np.isnan([da[0], db[0]]).all()  # as in PyTorch
    second = nth_derivative(lambda x: tg.logaddexp(x, 0.0), [-1000.0, 1000.0], 2)
    assert_array_equal(second, [0.0, 0.0])


def test_logaddexp_keeps_small_shares():
    _, da, db = gradients(tg.logaddexp, [-40.0], [0.0])
    assert_allclose(da[0], math.exp(-40.0), rtol=1e-14)
    assert_allclose(db[0], 1.0, rtol=1e-15)
    _, da, _ = gradients(tg.logaddexp, [1e9], [1e9 + 1])
    assert_allclose(da[0], 1 / (1 + math.e), rtol=1e-14)


def test_hypot_and_arctan2_of_huge_and_tiny_numbers():
    out, da, db = gradients(tg.hypot, [3e200, 3e-200], [4e200, 4e-200])
    assert_allclose(out, [5e200, 5e-200], rtol=1e-15)
    assert_allclose(da, [0.6, 0.6], rtol=1e-15)
    assert_allclose(db, [0.8, 0.8], rtol=1e-15)
    _, dy, dx = gradients(tg.arctan2, [3e200, 3e-200], [4e200, 4e-200])
    assert_allclose(dy, [4e200 / 5e200 / 5e200, 0.8 / 5e-200], rtol=1e-15)
    assert_allclose(dx, [-3e200 / 5e200 / 5e200, -0.6 / 5e-200], rtol=1e-15)


def test_infinite_slopes_are_quiet():
    assert_array_equal(gradients(tg.cbrt, [0.0])[1], [INF])
    assert_array_equal(gradients(tg.arcsin, [-1.0, 1.0])[1], [INF, INF])
    assert_array_equal(gradients(tg.arccos, [-1.0, 1.0])[1], [-INF, -INF])
    assert_array_equal(gradients(tg.arccosh, [1.0])[1], [INF])
    assert_array_equal(quiet(gradients, tg.arctanh, [-1.0, 1.0])[1], [INF, INF])


def test_cube_roots_of_negative_numbers():
    out, slope = gradients(tg.cbrt, [-8.0, 27.0])
    assert_allclose(out, [-2.0, 3.0])
    assert_allclose(slope, [1 / 12, 1 / 27])


# erf and sinc


def test_erf_is_right_to_a_few_units_in_the_last_place():
    x = np.concatenate([np.linspace(-7, 7, 20_001), np.logspace(-300, 1, 2_000), [0.46875, 0.5]])
    expected = np.array([math.erf(v) for v in x])
    assert np.max(np.abs(tg.erf(x) - expected) / np.spacing(np.abs(expected))) <= 4
    single = tg.erf(x.astype(np.float32))
    assert single.dtype == np.float32
    expected = np.array([math.erf(v) for v in x.astype(np.float32).tolist()])
    error = np.abs(single - expected) / np.spacing(np.abs(expected).astype(np.float32))
    assert np.max(error[np.abs(x) > 1e-30]) <= 4


def test_erf_of_special_values():
    x = np.array([-INF, -0.0, 0.0, INF, NAN, 1e-300])
    for values in (x, np.tile(x, 100)):  # one by one, and vectorised
        found = tg.erf(values)[-6:]
        assert_allclose(found, [-1.0, 0.0, 0.0, 1.0, NAN, math.erf(1e-300)], rtol=1e-15)
        assert np.signbit(found[1])
        assert not np.signbit(found[2])
    for n in (np.array([1, -2]), np.tile([1, -2], 100)):
        assert_allclose(tg.erf(n)[-2:], [math.erf(1), math.erf(-2)], rtol=1e-15)
    assert tg.erf(0.5) == pytest.approx(math.erf(0.5), rel=1e-15)


def test_sinc_at_zero_has_all_its_derivatives():
    found = [nth_derivative(tg.sinc, [0.0], n)[0] for n in range(7)]
    expected = [1, 0, -(math.pi**2) / 3, 0, math.pi**4 / 5, 0, -(math.pi**6) / 7]
    assert_allclose(found, expected, rtol=1e-14)


def test_sinc_near_zero_and_across_the_seam():
    # s' = -π²x/3 + π⁴x³/30 - ..., which (cos πx - sinc x) / x loses to cancellation
    x = np.array([1e-7, -1e-5, 1e-3])
    expected = -(math.pi**2) * x / 3 + math.pi**4 * x**3 / 30
    assert_allclose(nth_derivative(tg.sinc, x, 1), expected, rtol=1e-11)
    for n in (1, 2, 3, 4):
        seam = (n + 1) / math.pi
        left, right = nth_derivative(tg.sinc, [seam * (1 - 1e-12), seam * (1 + 1e-12)], n)
        assert_allclose(left, right, rtol=1e-9)


# Ties, kinks and jumps


@pytest.mark.parametrize("name", ["fmax", "fmin", "maximum", "minimum"])
def test_equal_elements_get_half_each(name: str):
    _, da, db = gradients(getattr(np, name), [1.0, INF], [1.0, INF])
    assert da.tolist() == db.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("name", ["fmax", "fmin"])
def test_what_is_nan_gets_no_gradient_of_fmax_and_fmin(name: str):
    out, da, db = gradients(getattr(np, name), [NAN, 1.0], [2.0, NAN])
    assert out.tolist() == [2.0, 1.0]
    assert da.tolist() == [0.0, 1.0]
    assert db.tolist() == [1.0, 0.0]


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_nan_of_maximum_and_minimum_passes_the_gradient(name: str):
    _, da, db = gradients(getattr(np, name), [NAN, 1.0], [2.0, NAN])
    assert da.tolist() == db.tolist() == [1.0, 1.0]


def test_clip_passes_the_gradient_at_its_bounds():
    _, slope = gradients(lambda x: np.clip(x, -1.0, 1.0), [-2.0, -1.0, 0.0, 1.0, 2.0])
    assert slope.tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]


def test_hardtanh_does_not():
    _, slope = gradients(tg.hardtanh, [-2.0, -1.0, 0.0, 1.0, 2.0])
    assert slope.tolist() == [0.0, 0.0, 1.0, 0.0, 0.0]


def test_beyond_a_bound_clips_gradient_goes_to_the_bound():
    x, low, high = leaf([-2.0, -1.0, 0.0, 3.0]), leaf(-1.0), leaf([1.0, 1.0, 1.0, 2.0])
    np.clip(x, low, high).backward([1.0, 10.0, 100.0, 1000.0])
    assert x.grad.tolist() == [0.0, 10.0, 100.0, 0.0]
    assert low.grad.item() == 1.0
    assert high.grad.tolist() == [0.0, 0.0, 0.0, 1000.0]


def test_clip_takes_numpys_ways_of_giving_bounds():
    values = np.array([-2.0, 0.5, 3.0])
    calls = [
        lambda x: np.clip(x, 0, 1),
        lambda x: np.clip(x, None, 1),
        lambda x: np.clip(x, a_min=0, a_max=None),
        lambda x: np.clip(x, min=0),
        lambda x: np.clip(x, max=1),
        lambda x: np.clip(x, min=0, max=1),
        lambda x: np.clip(x),
        lambda x: np.clip(x, [0.0, 1.0, 2.0], np.array(2.5)),
    ]
    for call in calls:
        out = call(leaf(values))
        assert type(out) is tg.Tensor
        assert out.requires_grad
        assert_array_equal(out.data, call(values))
    assert_array_equal(tg.clip(values, 0, 1), np.clip(values, 0, 1))


def test_clips_bounds_may_be_the_only_tensors():
    low = leaf([0.0, 1.0])
    np.clip(np.array([-1.0, 2.0]), low, None).sum().backward()
    assert low.grad.tolist() == [1.0, 0.0]


STEPS = ["floor", "ceil", "trunc", "rint", "round", "around", "sign"]


@pytest.mark.parametrize("name", STEPS)
def test_rounding_has_a_zero_gradient_also_at_its_jumps(name: str):
    values = [-1.5, -1.0, -0.5, -0.0, 0.5, 1.0, 2.5, INF]
    out, slope = gradients(getattr(np, name), values)
    assert_array_equal(out, getattr(np, name)(np.array(values)))
    assert slope.tolist() == [0.0] * 8


def test_round_has_decimals():
    x = np.array([1234.5678, -0.055])
    for decimals in (-2, 0, 1, 3):
        assert_array_equal(np.round(leaf(x), decimals).data, np.round(x, decimals))
        assert_array_equal(np.around(leaf(x), decimals=decimals).data, np.round(x, decimals))


def test_derivatives_that_are_zero():
    _, da, db = gradients(np.floor_divide, [7.0, -7.0], [2.0, 2.0])
    assert da.tolist() == db.tolist() == [0.0, 0.0]
    _, da, db = gradients(np.heaviside, [-1.0, 0.0, 1.0], [0.5, 0.5, 0.5])
    assert da.tolist() == [0.0, 0.0, 0.0]
    assert db.tolist() == [0.0, 1.0, 0.0]
    _, da, db = gradients(np.copysign, [2.0, -2.0, 0.0], [-1.0, -0.0, 1.0])
    assert da.tolist() == [-1.0, 1.0, 0.0]
    assert db.tolist() == [0.0, 0.0, 0.0]


def test_modf_and_divmod_give_two_results():
    x = np.array([2.75, -2.75, INF])
    fraction, whole = np.modf(leaf(x))
    assert_array_equal(fraction.data, np.modf(x)[0])
    assert_array_equal(whole.data, np.modf(x)[1])
    t = leaf([2.75, -2.75])
    fraction, whole = np.modf(t)
    assert tg.grad(whole.sum(), t)[0].tolist() == [0.0, 0.0]
    fraction, whole = np.modf(t)
    assert tg.grad((fraction * 2 + whole).sum(), t)[0].tolist() == [2.0, 2.0]
    quotient, rest = np.divmod(t, 2.0)
    assert quotient.tolist() == [1.0, -2.0]
    assert rest.tolist() == [0.75, 1.25]
    assert isinstance(tg.divmod(x[:2], 2.0)[1], np.ndarray)


def test_power_and_float_power_agree():
    x = leaf(np.array([1.5, 0.5]), np.float32)
    out = np.float_power(x, 2)
    assert out.dtype == np.float64
    out.sum().backward()
    assert x.grad.dtype == np.float32
    assert x.grad.tolist() == [3.0, 1.0]
    assert gradients(lambda t: np.float_power(t, 0), [0.0, -1.0])[1].tolist() == [0.0, 0.0]


def test_softplus_is_linear_beyond_its_threshold():
    out, slope = gradients(lambda x: tg.softplus(x, 2.0, 1.0), [0.4, 0.5, 0.6])
    assert_allclose(out, [math.log1p(math.exp(0.8)) / 2, math.log1p(math.e) / 2, 0.6])
    assert_allclose(slope, [1 / (1 + math.exp(-0.8)), 1 / (1 + math.exp(-1.0)), 1.0])


def test_nan_to_num_replaces_and_stops_the_gradient():
    out, slope = gradients(lambda x: np.nan_to_num(x, nan=5.0, posinf=7.0), [NAN, 1.0, INF])
    assert out.tolist() == [5.0, 1.0, 7.0]
    assert slope.tolist() == [0.0, 1.0, 0.0]
    x = leaf([NAN, 1.0])
    with pytest.raises(UnsupportedOperation, match="copy=False"):
        np.nan_to_num(x, copy=False)
    assert np.isnan(x.data[0])


# NumPy's names

SPOKEN = [np.positive, np.reciprocal, np.cbrt, np.fabs, np.floor, np.ceil, np.trunc]
SPOKEN += [np.rint, np.round, np.around, np.exp2, np.expm1, np.log1p, np.sin]
SPOKEN += [np.cos, np.tan, np.asin, np.acos, np.atan, np.sinh, np.cosh, np.asinh, np.atanh]
SPOKEN += [np.arcsin, np.arccos, np.arctan, np.arcsinh, np.arctanh, np.deg2rad, np.radians]
SPOKEN += [np.rad2deg, np.degrees, np.sinc, np.nan_to_num, np.isinf, np.signbit]


@pytest.mark.parametrize("function", SPOKEN, ids=lambda f: f.__name__)
def test_numpys_functions_of_one(function: Any):
    x = np.array([0.5, 0.25, -0.75])
    out = function(leaf(x))
    assert type(out) is tg.Tensor
    assert_array_equal(out.data, function(x))
    assert out.requires_grad == (out.dtype.kind == "f")


PAIRED = [np.true_divide, np.mod, np.remainder, np.fmod, np.floor_divide, np.hypot, np.arctan2]
PAIRED += [np.atan2, np.logaddexp, np.logaddexp2, np.fmax, np.fmin, np.copysign, np.heaviside]
PAIRED += [np.float_power, np.logical_xor]


@pytest.mark.parametrize("function", PAIRED, ids=lambda f: f.__name__)
def test_numpys_functions_of_two(function: Any):
    a, b = np.array([[1.5], [2.25]]), np.array([0.5, 1.0, 2.0])
    for left, right in [(leaf(a), leaf(b)), (leaf(a), b), (a, leaf(b)), (a.tolist(), leaf(b))]:
        out = function(left, right)
        assert type(out) is tg.Tensor
        assert_array_equal(out.data, function(a, b))
        assert out.requires_grad == (out.dtype.kind == "f")


def test_numpys_functions_of_a_number_above_one():
    for function in (np.arccosh, np.acosh, np.log2, np.log10, np.sqrt):
        assert_array_equal(function(leaf([1.5])).data, function(np.array([1.5])))


@pytest.mark.parametrize("function", [np.logical_xor, np.bitwise_xor])
def test_exclusive_or_of_truth_values(function: Any):
    a, b = np.array([True, True, False]), np.array([True, False, False])
    assert function(tg.Tensor(a), b).tolist() == [False, True, False]


def test_bits_of_integers():
    assert np.bitwise_xor(tg.Tensor([6, 1]), 3).tolist() == [5, 2]
    with pytest.raises(TypeError, match="bitwise_xor"):
        np.bitwise_xor(tg.Tensor([1.0]), 1.0)


def test_integers_are_numpys():
    n = np.array([7, -7])
    for call in (
        lambda x: np.floor_divide(x, 2),
        lambda x: np.remainder(x, 2),
        lambda x: np.clip(x, -5, 5),
        lambda x: np.positive(x),
        lambda x: np.fabs(x),
        lambda x: np.round(x, -1),
        lambda x: np.sin(x),
    ):
        out = call(tg.Tensor(n))
        assert out.dtype == call(n).dtype
        assert_array_equal(out.data, call(n))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: np.sin(x, dtype=np.float32), r"np\.sin.*dtype="),
        (lambda x: np.hypot(x, x, where=[True, False]), r"np\.hypot.*where="),
        (lambda x: np.clip(x, 0, 1, dtype=np.float32), r"clip.*dtype"),
        (lambda x: np.round(x, 1, out=np.zeros(2)), r"round.*out"),
        (lambda x: np.frexp(x), r"np\.frexp"),
    ],
)
def test_arguments_without_a_meaning_here_are_refused(call: Any, message: str):
    with pytest.raises(UnsupportedOperation, match=message):
        call(leaf([1.0, 2.0]))


# Dtypes

WEAK = ["fmax", "fmin", "copysign", "heaviside", "hypot", "arctan2", "logaddexp", "logaddexp2"]
WEAK += ["remainder", "fmod", "floor_divide"]


@pytest.mark.parametrize("name", WEAK)
@pytest.mark.parametrize("scalar", [2, 2.5])
def test_python_scalars_are_weak(name: str, scalar: Any, own_primitives: None):
    met = []

    @primitive()
    def watched(x: Array) -> Array:
        return np.array(x)

    watched.vjp(x=lambda g: met.append(g.dtype) or g)
    call = getattr(tg, name)
    x = tg.Tensor([1.5, 0.5], dtype=np.float32, requires_grad=True)
    for out in (call(watched(x), scalar), call(scalar, watched(x))):
        assert out.dtype == np.float32
        out.backward(np.ones(2, np.float32))
    assert met == [np.float32] * 2


def test_a_slope_given_as_a_number_is_weak():
    x = tg.Tensor([-1.5, 0.5], dtype=np.float32, requires_grad=True)
    for out in (tg.leaky_relu(x, 0.25), tg.prelu(x, 0.25), tg.clip(x, -1.0, 1)):
        assert out.dtype == np.float32
    assert tg.prelu(x, 0.25).tolist() == [-0.375, 0.5]


@pytest.mark.parametrize("name", CALM)
def test_plain_numbers_give_plain_numbers(name: str):
    found = getattr(tg, name)(0.25)
    assert not isinstance(found, tg.Tensor)
    assert np.shape(found) == ()
    assert_allclose(found, getattr(tg, name)(tg.Tensor(0.25)).item(), rtol=1e-15)


def test_lists_with_tensors_are_taken():
    h = leaf([0.5, -0.5])
    for name in CALM:
        out = getattr(tg, name)(list(h))
        assert type(out) is tg.Tensor, name
        assert out.shape == (2,)


# Messages


def test_a_weight_that_fits_no_channels_is_named():
    with pytest.raises(ValueError, match=r"prelu.*\(3,\).*\(2, 4\).*axis 1.*\(4,\)"):
        tg.prelu(leaf(np.ones((2, 4))), np.ones(3))
    with pytest.raises(ValueError, match=r"prelu.*\(3,\).*\(1,\)"):
        tg.prelu(leaf(np.ones(3)), np.ones(3))
    with pytest.raises(ValueError, match=r"prelu.*\(1, 4\)"):
        tg.prelu(leaf(np.ones((2, 4))), np.ones((1, 4)))


def test_halves_that_do_not_exist_are_named():
    with pytest.raises(ValueError, match=r"glu.*\(2, 3\).*axis -1.*even"):
        tg.glu(leaf(np.ones((2, 3))))
    with pytest.raises(ValueError, match=r"glu.*axis 2"):
        tg.glu(leaf(np.ones((2, 4))), axis=2)
    with pytest.raises(ValueError, match=r"glu.*\(\)"):
        tg.glu(leaf(1.0))


def test_an_unknown_approximation_is_named():
    with pytest.raises(ValueError, match=r"'none' or 'tanh'.*'tan'"):
        tg.gelu(leaf(1.0), "tan")


def test_bounds_given_twice_or_by_halves():
    x = leaf([1.0])
    with pytest.raises(TypeError, match="not as both"):
        tg.clip(x, 0, 1, max=2)
    with pytest.raises(TypeError, match=r"clip\(a, 0, None\)"):
        tg.clip(x, 0)


def test_shapes_that_do_not_broadcast_are_named():
    with pytest.raises(ValueError, match=r"hypot.*axis -1, 2 meets 3"):
        np.hypot(leaf([1.0, 2.0]), np.ones(3))
    with pytest.raises(ValueError, match=r"clip.*axis -1, 2 meets 3"):
        np.clip(leaf([1.0, 2.0]), np.ones(3), None)


def test_gradcheck_agrees():
    rng = np.random.default_rng(3)
    x = rng.uniform(0.1, 0.9, (2, 4))
    assert tg.gradcheck(lambda t: tg.gelu(tg.erf(t)) + tg.mish(tg.sinc(t)), [x])
    assert tg.gradgradcheck(lambda t: tg.logaddexp(tg.arcsin(t), tg.hypot(t, 2.0)), [x])


@pytest.mark.filterwarnings("ignore:numpy.fix is deprecated")
def test_fix_is_trunc():
    x = tg.Tensor([-1.5, 2.5], requires_grad=True)
    y = np.fix(x)
    assert y.tolist() == [-1.0, 2.0]
    y.backward([3.0, 4.0])
    assert x.grad.tolist() == [0.0, 0.0]
