"""grad's companions against PyTorch's and against analytic derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import tinygrad_rnn as tg

RNG = np.random.default_rng(3)
A, X, B = RNG.normal(size=(3, 4)), RNG.normal(size=4), RNG.normal(size=3)


def two(W: Any, x: Any, tanh: Any) -> Any:
    """Two results of different shapes."""
    y = tanh(W @ x)
    return y * y.sum(), (W * W).sum(0)


def test_vjp_and_jvp_of_several_inputs_and_outputs():
    torch = pytest.importorskip("torch")
    inputs, v, d = (A, X), (RNG.normal(size=3), RNG.normal(size=4)), (A + 1, X - 1)
    to = lambda arrays: tuple(torch.tensor(a) for a in arrays)  # noqa: E731
    f = torch.autograd.functional
    for ours, theirs in (
        (
            tg.vjp(lambda W, x: two(W, x, tg.tanh), inputs, v),
            f.vjp(lambda W, x: two(W, x, torch.tanh), to(inputs), to(v)),
        ),
        (
            tg.jvp(lambda W, x: two(W, x, tg.tanh), inputs, d),
            f.jvp(lambda W, x: two(W, x, torch.tanh), to(inputs), to(d)),
        ),
    ):
        for part, expected in zip(ours, theirs, strict=True):
            for a, b in zip(part, expected, strict=True):
                assert not a.requires_grad
                assert_allclose(a.data, b.numpy(), rtol=1e-12)


def test_jacobian_and_hessian_equal_pytorch():
    torch = pytest.importorskip("torch")
    f = torch.autograd.functional
    W, x = torch.tensor(A), torch.tensor(X)
    ours = tg.jacobian(lambda W, x: two(W, x, tg.tanh), (A, X))
    theirs = f.jacobian(lambda W, x: two(W, x, torch.tanh), (W, x))
    for row, expected in zip(ours, theirs, strict=True):
        for a, b in zip(row, expected, strict=True):
            assert a.shape == b.shape
            assert_allclose(a.data, b.numpy(), rtol=1e-12, atol=1e-15)
    ours = tg.hessian(lambda W, x: (tg.tanh(W @ x) ** 3).sum(), (A, X))
    theirs = f.hessian(lambda W, x: (torch.tanh(W @ x) ** 3).sum(), (W, x))
    for row, expected in zip(ours, theirs, strict=True):
        for a, b in zip(row, expected, strict=True):
            assert a.shape == b.shape
            assert_allclose(a.data, b.numpy(), rtol=1e-11, atol=1e-14)


def test_jvp_is_the_jacobian_times_the_direction():
    def f(x: Any) -> Any:
        return tg.exp(tg.sigmoid(x[1:] * x[:-1])) + x[0]

    v = RNG.normal(size=4)
    value, change = tg.jvp(f, X, v)
    assert_allclose(value.data, f(X))
    assert_allclose(change.data, tg.jacobian(f, X).data @ v, rtol=1e-12)


def test_structure_of_a_dict_is_kept():
    inputs = {"W": A, "b": B}
    loss = lambda p: ((p["W"] @ X + p["b"]) ** 2).sum()  # noqa: E731
    value, grads = tg.value_and_grad(loss, inputs)
    assert list(grads) == ["W", "b"]
    residual = A @ X + B
    assert_allclose(float(value), (residual**2).sum())
    assert_allclose(grads["W"].data, 2 * np.outer(residual, X), rtol=1e-12)
    second = tg.hessian(loss, inputs)
    assert_allclose(second["b"]["b"].data, 2 * np.eye(3), atol=1e-14)
    assert second["W"]["b"].shape == (3, 4, 3)
    _, change = tg.jvp(loss, inputs, {"W": np.zeros((3, 4)), "b": B})
    assert_allclose(float(change), 2 * residual @ B, rtol=1e-12)


def test_inputs_without_influence_get_zeros():
    _, (gx, gy) = tg.vjp(lambda x, y: (x * 2).sum(), (X, B))
    assert_allclose(gx.data, np.full(4, 2.0))
    assert gy.tolist() == [0.0, 0.0, 0.0]
    assert tg.jacobian(lambda x: tg.Tensor([1.0, 2.0]), X).data.tolist() == [[0.0] * 4] * 2
    assert tg.hessian(lambda x: x.sum(), X).data.tolist() == [[0.0] * 4] * 4
    assert tg.jvp(lambda x: tg.Tensor([1.0]), X, X)[1].tolist() == [0.0]


def test_create_graph_leads_back_to_the_callers_tensors():
    x = tg.Tensor(X, requires_grad=True)
    for make in (
        lambda: tg.vjp(lambda x: (x**3).sum(), x, create_graph=True)[1],
        lambda: tg.jvp(lambda x: x**3, x, np.ones(4), create_graph=True)[1],
        lambda: tg.jacobian(lambda x: x**3, x, create_graph=True).sum(axis=1),
    ):
        (g,) = tg.grad(make().sum(), x)
        assert_allclose(g.data, 6 * X, rtol=1e-12)
    (g,) = tg.grad(tg.hessian(lambda x: (x**4).sum(), x, create_graph=True).sum(), x)
    assert_allclose(g.data, 24 * X, rtol=1e-12)


def test_nothing_is_left_behind():
    x = tg.Tensor(X, requires_grad=True)
    value, g = tg.value_and_grad(lambda x: (x * x).sum(), x)
    assert x.grad is None
    assert not value.requires_grad
    with tg.no_grad():
        assert_allclose(tg.value_and_grad(lambda x: (x * x).sum(), x)[1].data, 2 * X)
    g.data[...] = 7
    assert_allclose(x.data, X)


@pytest.mark.parametrize(
    ("error", "call", "words"),
    [
        (ValueError, lambda: tg.hessian(lambda x: x * x, X), "single number"),
        (ValueError, lambda: tg.vjp(lambda x: x * x, X), "single number"),
        (ValueError, lambda: tg.vjp(lambda x: x * x, X, np.ones(3)), r"\(3,\)"),
        (ValueError, lambda: tg.vjp(lambda x: (x, x), X, [X]), "2 outputs"),
        (ValueError, lambda: tg.jvp(lambda x: x * x, X), "direction"),
        (ValueError, lambda: tg.jvp(lambda x: x * x, X, np.ones(3)), r"\(3,\)"),
        (ValueError, lambda: tg.jvp(lambda x, y: x * y, (X, X), (X,)), "2 inputs"),
        (TypeError, lambda: tg.jacobian(lambda x: x.numpy(), X), "must give a Tensor"),
        (TypeError, lambda: tg.jacobian(lambda x: x, np.arange(3)), "floating-point"),
    ],
)
def test_wrong_use_is_explained(error: Any, call: Any, words: str):
    with pytest.raises(error, match=words):
        call()
