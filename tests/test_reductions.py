"""Reductions and running totals: zeros, ties, NaN, infinities, and PyTorch's own results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_rnn as tg
from tinygrad_rnn.core.errors import ShapeError, UnsupportedOperation


def gradient(f: Callable[[Any], Any], x: Any, v: Any = None) -> np.ndarray:
    leaf = tg.Tensor(x, requires_grad=True)
    out = f(leaf)
    out.backward(np.ones(out.shape) if v is None else v)
    return leaf.grad.data


def nth(f: Callable[[Any], Any], x: Any, n: int) -> list[np.ndarray]:
    """The gradient of f, of the gradient's weighted sum, and so on, n times."""
    leaf = tg.Tensor(x, requires_grad=True)
    weights = np.cos(np.arange(leaf.size)).reshape(leaf.shape)
    total, found = f(leaf).sum(), []
    for _ in range(n):
        (g,) = tg.grad(total, leaf, create_graph=True)
        found.append(g.data)
        total = (g * weights).sum()
        if not total.requires_grad:
            break
    return found


# Against PyTorch

SAMPLES = {
    "plain": [[0.5, -1.25, 2.0], [1.5, 0.75, -0.5]],
    "a zero": [[0.5, 0.0, 2.0], [1.5, 0.75, -0.5]],
    "zeros": [[0.0, 0.0, 2.0], [1.5, 0.0, -0.5]],
    "equal": [[2.0, 2.0, 2.0], [1.0, 2.0, 1.0]],
    "NaN": [[np.nan, 1.0, 2.0], [3.0, 4.0, 5.0]],
}
CALLS: dict[str, tuple[Any, Any]] = {
    "prod": (lambda x: tg.prod(x), lambda x: x.prod()),
    "prod by row": (lambda x: tg.prod(x, axis=1), lambda x: x.prod(1)),
    "cumsum": (lambda x: tg.cumsum(x, axis=1), lambda x: x.cumsum(1)),
    "cumprod": (lambda x: tg.cumprod(x, axis=1), lambda x: x.cumprod(1)),
    "var": (lambda x: tg.var(x), lambda x: x.var(correction=0)),
    "var by row": (lambda x: tg.var(x, axis=1, ddof=1), lambda x: x.var(1)),
    "std": (lambda x: tg.std(x), lambda x: x.std(correction=0)),
    "std by row": (lambda x: tg.std(x, axis=1, correction=1), lambda x: x.std(1)),
    "nansum": (lambda x: tg.nansum(x, axis=1), lambda x: x.nansum(1)),
    "nanmean": (lambda x: tg.nanmean(x, axis=1), lambda x: x.nanmean(1)),
    "amax": (lambda x: tg.amax(x, axis=1), lambda x: x.amax(1)),
    "amin": (lambda x: tg.amin(x, axis=1), lambda x: x.amin(1)),
    "trace": (lambda x: tg.trace(x[:, :2]), lambda x: x[:, :2].trace()),
}


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("name", CALLS)
def test_values_and_gradients_are_pytorchs(name: str, sample: str):
    torch = pytest.importorskip("torch")
    if sample == "NaN" and name in ("amax", "amin"):
        pytest.skip("PyTorch gives no gradient to a NaN here")
    ours, theirs = CALLS[name]
    leaf = torch.tensor(SAMPLES[sample], dtype=torch.float64, requires_grad=True)
    out = theirs(leaf)
    v = np.sin(np.arange(out.numel()) + 1.0).reshape(tuple(out.shape))
    out.backward(torch.tensor(v))
    assert_allclose(ours(tg.Tensor(SAMPLES[sample])).data, out.detach().numpy(), rtol=1e-13)
    found = gradient(ours, SAMPLES[sample], v)
    assert_allclose(found, leaf.grad.numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["prod", "prod by row", "cumprod", "var", "std"])
def test_third_derivatives_are_pytorchs(name: str):
    torch = pytest.importorskip("torch")
    ours, theirs = CALLS[name]
    x = np.array(SAMPLES["plain"])
    leaf = torch.tensor(x, requires_grad=True)
    weights = torch.tensor(np.cos(np.arange(x.size)).reshape(x.shape))
    total = theirs(leaf).sum()
    for g in nth(ours, x, 3):
        (expected,) = torch.autograd.grad(total, leaf, create_graph=True, allow_unused=True)
        total = (expected * weights).sum()
        assert_allclose(g, expected.detach().numpy(), rtol=1e-9, atol=1e-10)
        if not total.requires_grad:
            break


def test_quantiles_and_medians_of_an_odd_count_are_pytorchs(rng: np.random.Generator):
    torch = pytest.importorskip("torch")
    x = rng.normal(size=(3, 5))
    leaf = torch.tensor(x, requires_grad=True)
    v = rng.normal(size=(2, 3))
    for ours, theirs, weights in [
        (
            lambda t: tg.quantile(t, [0.3, 0.75], axis=1),
            lambda t: t.quantile(torch.tensor([0.3, 0.75], dtype=torch.float64), 1),
            v,
        ),
        (lambda t: tg.median(t, axis=1), lambda t: t.median(1).values, v[0]),
    ]:
        leaf.grad = None
        theirs(leaf).backward(torch.tensor(weights))
        assert_allclose(gradient(ours, x, weights), leaf.grad.numpy(), rtol=1e-12, atol=1e-15)


# Products with zeros


def test_the_gradient_of_a_product_is_the_product_of_the_others():
    assert gradient(tg.prod, [2.0, 0.0, 5.0]).tolist() == [0, 10, 0]
    assert gradient(tg.prod, [2.0, 0.0, 0.0]).tolist() == [0, 0, 0]
    assert gradient(tg.prod, [0.0]).tolist() == [1]
    assert gradient(lambda x: tg.prod(x, axis=1), [[0.0, 3.0], [2.0, 4.0]]).tolist() == [
        [3, 0],
        [4, 2],
    ]


def test_second_and_third_derivatives_of_a_product_at_zeros():
    x = tg.Tensor([0.0, 0.0, 5.0], requires_grad=True)
    assert tg.hessian(tg.prod, x).tolist() == [[0, 5, 0], [5, 0, 0], [0, 0, 0]]
    (first,) = tg.grad(tg.prod(x), x, create_graph=True)
    (second,) = tg.grad(first[0], x, create_graph=True)
    (third,) = tg.grad(second[1], x)
    assert third.tolist() == [0, 0, 1]


def test_second_derivatives_of_a_running_product_at_zeros():
    x = tg.Tensor([2.0, 0.0, 3.0, 0.0], requires_grad=True)
    # out = a, ab, abc, abcd; the sum's gradient is 1+b+bc+bcd, a(1+c+cd), ab(1+d), abc
    (g,) = tg.grad(tg.cumprod(x).sum(), x, create_graph=True)
    assert g.tolist() == [1, 8, 0, 0]
    found = [tg.grad(g[i], x, retain_graph=True)[0].tolist() for i in range(4)]
    assert found == [[0, 4, 0, 0], [4, 0, 2, 6], [0, 2, 0, 0], [0, 6, 0, 0]]


def test_products_that_underflow_or_overflow_have_gradients_without_warnings():
    assert_allclose(gradient(tg.prod, [1e-200, 1e-200, 1e150]), [1e-50, 1e-50, 0.0], atol=1e-300)
    assert gradient(tg.prod, [0.0, 1e200, 1e200])[0] == np.inf


# Spread


def test_the_standard_deviation_of_a_constant_has_the_gradient_zero():
    assert gradient(tg.std, [3.0, 3.0, 3.0]).tolist() == [0, 0, 0]
    by_row = gradient(lambda x: tg.std(x, axis=1), [[3.0, 3.0], [1.0, 3.0]])
    assert by_row.tolist() == [[0, 0], [-0.5, 0.5]]


def test_too_few_elements_give_nan_as_numpy_does():
    x = tg.Tensor([2.0], requires_grad=True)
    for f in (tg.var, tg.std):
        warns = pytest.warns(RuntimeWarning, match="Degrees of freedom")
        with warns, np.errstate(invalid="ignore"):
            y = f(x, ddof=1)
        y.backward()
        assert np.isnan(y.item())
        assert np.isnan(x.grad.item())


@pytest.mark.parametrize("f", [tg.var, tg.std])
def test_ddof_and_correction_exclude_each_other(f: Any):
    x = tg.Tensor([1.0, 2.0, 4.0])
    assert f(x, correction=1).item() == f(x, ddof=1).item() != f(x).item()
    with pytest.raises(ValueError, match="ddof and correction"):
        f(x, ddof=1, correction=1)


# Ties and NaN


def test_extremes_at_both_ends_share_the_gradient():
    assert gradient(tg.ptp, [1.0, 3.0, 1.0, 3.0]).tolist() == [-0.5, 0.5, -0.5, 0.5]
    assert gradient(tg.ptp, [2.0, 2.0]).tolist() == [0, 0]


def test_amax_and_amin_are_max_and_min():
    assert tg.amax is tg.max
    assert tg.amin is tg.min


def test_equal_medians_give_the_gradient_to_one():
    g = gradient(tg.median, [1.0, 2.0, 2.0, 2.0, 7.0])
    assert g.sum() == 1
    assert sorted(g) == [0, 0, 0, 0, 1]
    assert g[[0, 4]].tolist() == [0, 0]
    assert gradient(tg.median, [1.0, 8.0, 2.0, 4.0]).tolist() == [0, 0, 0.5, 0.5]


@pytest.mark.parametrize("f", [tg.median, lambda x, axis: tg.quantile(x, 0.25, axis)])
def test_a_nan_is_the_median_and_takes_the_gradient(f: Any):
    x = [[1.0, np.nan, 2.0], [3.0, 1.0, 2.0]]
    out = f(tg.Tensor(x), axis=1)
    assert np.isnan(out.data[0])
    assert not np.isnan(out.data[1])
    g = gradient(lambda t: f(t, axis=1), x)
    assert g[0].tolist() == [0, 1, 0]
    assert g[1].sum() == 1


@pytest.mark.parametrize(("f", "place"), [(tg.nanmax, 2), (tg.nanmin, 1)])
def test_extremes_without_nan(f: Any, place: int):
    x = [[np.nan, 1.0, 2.0], [3.0, 3.0, 3.0]]
    g = gradient(lambda t: f(t, axis=1), x)
    assert g[0].tolist() == [float(i == place) for i in range(3)]
    assert_allclose(g[1], 1 / 3)
    assert gradient(f, [-np.inf if f is tg.nanmax else np.inf, np.nan]).tolist() == [1, 0]


def test_sums_and_means_without_nan():
    x = [[np.nan, 1.0, 2.0], [3.0, 5.0, 4.0]]
    assert gradient(tg.nansum, x).tolist() == [[0, 1, 1], [1, 1, 1]]
    assert_allclose(
        gradient(lambda t: tg.nanmean(t, axis=1), x), [[0, 0.5, 0.5], [1 / 3, 1 / 3, 1 / 3]]
    )
    assert tg.nansum(tg.Tensor([np.nan])).item() == 0


# Integers and messages


@pytest.mark.parametrize(
    "name", ["prod", "var", "std", "ptp", "average", "median", "nansum", "nanmean", "cumsum"]
)
def test_integers_give_numpys_dtype(name: str):
    n = np.array([3, 1, 4, 1])
    out = getattr(tg, name)(tg.Tensor(n))
    expected = np.asarray(getattr(np, name)(n))
    assert out.dtype == expected.dtype
    assert_array_equal(out.data, expected)


def test_averages_with_integer_weights():
    assert tg.average(tg.Tensor([1, 2]), weights=[1, 3]).item() == 1.75
    x = tg.Tensor([1.0, 2.0], dtype=np.float32)
    assert tg.average(x, weights=np.array([1, 3], np.float32)).dtype == np.float32


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda x: tg.average(x, weights=[1.0]), ShapeError, r"average.*\(2, 3\).*\(1,\)"),
        (lambda x: tg.average(x, 1, [1.0, 2.0]), ShapeError, r"axes 1, \(3,\); got \(2,\)"),
        (lambda x: tg.average(x, 1, [1.0, -1.0, 0.0]), ZeroDivisionError, "sum to zero"),
        (lambda x: tg.quantile(x, 1.5), ValueError, "from 0 to 1"),
        (lambda x: tg.percentile(x, 101), ValueError, "to 100"),
        (lambda x: tg.quantile(x, 0.5, method="lower"), UnsupportedOperation, "linear"),
        (lambda x: tg.quantile(x, tg.Tensor(0.5)), UnsupportedOperation, "numpy"),
        (lambda x: tg.quantile(x[:, :0], 0.5, axis=1), ShapeError, "no elements"),
        (lambda x: np.var(x, dtype=np.float32), UnsupportedOperation, "dtype"),
        (lambda x: np.prod(x, initial=2.0), UnsupportedOperation, "initial"),
        (lambda x: tg.prod(x, axis=2), (ValueError, IndexError), "prod.*axis 2"),
    ],
)
def test_what_does_not_fit_is_named(call: Any, kind: Any, message: str):
    with pytest.raises(kind, match=message):
        call(tg.Tensor(np.ones((2, 3)), requires_grad=True))


def test_numpys_functions_lead_here():
    x = tg.Tensor([[3.0, 1.0], [2.0, 4.0]], requires_grad=True)
    assert np.std(x, axis=0, ddof=1).requires_grad
    assert np.average(x, weights=[1.0, 3.0], axis=1).tolist() == [1.5, 3.5]
    assert np.percentile(x, 50).item() == np.median(x).item() == 2.5
    assert np.trace(x).item() == 7.0
    assert np.count_nonzero(x > 1.5).item() == 3
    assert np.cumprod(x).tolist() == [3, 3, 6, 24]
