"""The checker: it must find deliberately wrong rules, and say where and why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.core.primitive import Array, primitive
from tinygrad_rnn.errors import GradientMismatch

X = np.array([[0.3, -0.7, 1.1], [0.9, 0.2, -0.4]])

pytestmark = pytest.mark.usefixtures("own_primitives")


def tanh_with(rule: Any) -> Any:
    """tanh with another derivative rule."""

    @primitive()
    def crooked(x: Array) -> Array:
        return np.tanh(x)

    crooked.vjp(x=rule)
    return crooked


# What is right


@pytest.mark.parametrize("fast_mode", [False, True])
@pytest.mark.parametrize("check", [tg.gradcheck, tg.gradgradcheck])
def test_right_gradients_pass(check: Any, fast_mode: bool):
    report = check(lambda x, y: (tg.tanh(x @ y), (x * x).sum()), (X, X.T), fast_mode=fast_mode)
    assert report
    assert report.max_relative_error < 1e-6
    assert [row.name for row in report.rows][:2] == ["input 0", "input 1"]


@pytest.mark.parametrize("kind", [tg.nn.RNN, tg.nn.LSTM, tg.nn.GRU])
def test_float32_module_is_checked_on_a_float64_copy(kind: Any):
    layer = kind(3, 2, rng=1)
    before = layer.state_dict()
    report = tg.gradcheck(layer, X)
    assert report
    assert report.max_relative_error < 1e-7
    names = [row.name for row in report.rows]
    assert names == ["input 0", "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]
    assert any("float64 copy" in hint and "float32" in hint for hint in report.hints)
    assert layer.weight_ih_l0.dtype == np.float32
    assert all((before[n] == v).all() for n, v in layer.state_dict().items())


def test_inputs_may_be_nested_and_named():
    def f(p: dict[str, Any], pair: tuple[Any, Any]) -> Any:
        return p["W"] @ pair[0] + pair[1]

    report = tg.gradcheck(f, ({"W": X}, (np.ones(3), np.zeros(2))))
    assert [row.name for row in report.rows] == ["input 0['W']", "input 1[0]", "input 1[1]"]
    named = tg.Tensor(X, requires_grad=True, name="Wx")
    report = tg.gradcheck(lambda W, x: W @ x, (named, tg.Tensor(np.ones(3))))
    assert [row.name for row in report.rows] == ["Wx"]  # only what requires a gradient


def test_inputs_are_left_alone():
    x = tg.Tensor(X, requires_grad=True)
    tg.gradcheck(tg.tanh, x)
    tg.gradgradcheck(tg.tanh, x)
    assert x.grad is None
    assert (x.data == X).all()


# What is wrong


@pytest.mark.parametrize("fast_mode", [False, True])
@pytest.mark.parametrize(
    "rule",
    [
        lambda g, out: g * (1 - out),
        lambda g, out: -g * (1 - out * out),
        lambda g, out: g * (1 - out * out) + 1e-2,
        lambda g, out: 1.01 * g * (1 - out * out),
        lambda g, out: g * g * (1 - out * out),  # right for cotangents of ones
        lambda g, out: 1 - out * out,  # also
        lambda g, out: (g * (1 - out * out)).mean(axis=0, keepdims=True) + 0 * g,
        lambda g, out: (g * (1 - out * out))[::-1],
        lambda g, out: None,
        lambda g, out: np.nan * g,
    ],
)
def test_wrong_rules_are_found(rule: Any, fast_mode: bool):
    with pytest.raises(GradientMismatch, match="GRADIENTS ARE WRONG"):
        tg.gradcheck(tanh_with(rule), X, fast_mode=fast_mode)


def test_rule_that_is_wrong_in_one_element_is_named():
    def rule(g: Any, out: Any) -> Any:
        wrong = np.zeros((2, 3))
        wrong[1, 2] = 0.5
        return g * (1 - out * out) + g * wrong

    report = tg.gradcheck(tanh_with(rule), X, raise_exception=False)
    assert not report
    element = report.rows[0].wrong[0]
    assert (element.output, element.index) == ("output 0[1, 2]", (1, 2))
    slope = 1 - np.tanh(X[1, 2]) ** 2
    assert element.numeric == pytest.approx(slope, rel=1e-8)
    assert element.analytic == pytest.approx(slope + 0.5, rel=1e-12)
    assert element.absolute_error == pytest.approx(0.5, rel=1e-7)
    text = str(report)
    assert "input 0" in text
    assert "WRONG" in text
    assert "d output 0[1, 2] / d [1, 2]" in text


def test_wrong_parameter_is_named():
    class Crooked(tg.nn.Module):
        def __init__(self) -> None:
            self.inner = tg.nn.Linear(3, 2, rng=0)
            self.bend = tanh_with(lambda g, out: 2 * g * (1 - out * out))

        def forward(self, x: Any) -> Any:
            return self.bend(tg.nn.functional.linear(x, self.inner.weight)) + self.inner.bias

    report = tg.gradcheck(Crooked(), X, raise_exception=False)
    wrong = {row.name: bool(row.wrong) for row in report.rows}
    assert wrong == {"input 0": True, "inner.weight": True, "inner.bias": False}
    assert any("2 times" in hint for hint in report.hints)


def test_tiny_gradients_are_not_passed_unseen():
    small = tanh_with(lambda g, out: 2 * g * (1 - out * out))
    with pytest.raises(GradientMismatch):
        tg.gradcheck(lambda x: 1e-6 * small(x), X)
    assert tg.gradcheck(lambda x: 1e-6 * tg.tanh(x), X)


def test_rule_wrong_only_in_second_order_is_found():
    bend = tanh_with(lambda g, out: g * (1 - (out * out).detach()) if hasattr(g, "detach")
                     else g * (1 - out * out))  # fmt: skip
    assert tg.gradcheck(bend, X)
    with pytest.raises(GradientMismatch, match="gradgradcheck"):
        tg.gradgradcheck(bend, X)


def test_wrong_transposition_in_a_square_matrix_is_found():
    @primitive()
    def product(a: Array, b: Array) -> Array:
        return a @ b

    product.vjp(a=lambda g, b: g @ b, b=lambda g, a: a.T @ g)
    a, b = np.random.default_rng(0).normal(size=(2, 3, 3))
    report = tg.gradcheck(product, (a, b), raise_exception=False)
    assert [bool(row.wrong) for row in report.rows] == [True, False]


# Causes


def test_float32_on_the_way_is_suspected():
    weight = np.array([0.3, 0.2, 0.1], np.float32)
    with pytest.raises(GradientMismatch, match="float32"):
        tg.gradcheck(lambda x: tg.tanh((x * weight).astype(np.float32)), X)


def test_kink_is_reported_as_a_kink():
    x = np.array([0.0, 0.5])
    report = tg.gradcheck(tg.relu, x)
    assert report
    assert [e.index for e in report.rows[0].kinks if "random" not in e.output] == [(0,)]
    assert any("kink" in hint and "input 0 [0]" in hint for hint in report.hints)
    assert report.max_relative_error < 1e-8  # of the others


def test_slope_that_is_not_between_those_at_a_kink_is_wrong():
    @primitive()
    def crooked(x: Array) -> Array:
        return np.maximum(x, 0)

    crooked.vjp(x=lambda g, x: g * ((x > 0) - 3.0 * (x == 0)))
    with pytest.raises(GradientMismatch):
        tg.gradcheck(crooked, np.array([0.0, 0.5]))


def test_cut_gradient_is_suspected():
    with pytest.raises(GradientMismatch, match="exactly 0 suggest a detach"):
        tg.gradcheck(lambda x: tg.tanh(x.detach()) + 0 * x, X)


def test_randomness_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"module\.eval"):
        tg.gradcheck(lambda x: tg.dropout(x, 0.5, rng), X)


def test_tolerated_difference_between_calls():
    noise = iter([0.0, 1e-12] * 10_000)
    assert tg.gradcheck(lambda x: tg.tanh(x) + next(noise), X, nondet_tol=1e-9)


def test_backward_that_is_not_repeatable_is_refused():
    factor = iter([1.0, 2.0] * 100)
    with pytest.raises(ValueError, match="two backward passes"):
        tg.gradcheck(tanh_with(lambda g, out: next(factor) * g * (1 - out * out)), X)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: tg.gradcheck(tg.log, np.array([1.0, np.nan])), "input 0 holds NaN"),
        (lambda: tg.gradcheck(lambda x: x / np.array([1.0, 0.0]), np.array([1.0, 1.0])), "inf at"),
        (lambda: tg.gradcheck(tg.tanh, np.array([1, 2])), "nothing to check"),
        (lambda: tg.gradcheck(lambda x: x.detach(), X), "no output depends"),
        (lambda: tg.gradcheck(lambda x: x.numpy(), X), "no output depends"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_what_cannot_be_checked_is_explained(call: Any, words: str):
    with pytest.raises(ValueError, match=words):
        call()


def test_report_prints_and_shows_as_a_table():
    report = tg.gradcheck(tg.tanh, X)
    assert str(report).splitlines()[0] == "gradcheck of tanh: all gradients are right"
    assert "input 0" in report._repr_html_()
    bad = tg.gradcheck(tanh_with(lambda g: g), X, raise_exception=False)
    assert "WRONG" in bad._repr_html_()
    assert len(bad.rows[0].wrong) > 5
    assert str(bad).count("d output") <= 5


def test_steps_and_tolerances_are_used():
    bend = tanh_with(lambda g, out: 1.0005 * g * (1 - out * out))
    assert tg.gradcheck(bend, X)
    with pytest.raises(GradientMismatch):
        tg.gradcheck(bend, X, rtol=1e-5, atol=0)
    with pytest.raises(GradientMismatch):
        tg.gradcheck(tg.tanh, X, eps=0.5)


def test_rule_that_cuts_the_graph_is_found_in_second_order():
    @primitive()
    def product(a: Array, b: Array) -> Array:
        return a * b

    product.vjp(
        a=lambda g, b: g * b,
        b=lambda g, a: tg.Tensor(g.numpy() * np.asarray(a.data)) if hasattr(g, "numpy") else g * a,
    )
    assert tg.gradcheck(product, (X, X + 1))
    with pytest.raises(GradientMismatch):
        tg.gradgradcheck(product, (X, X + 1))


def test_rule_that_is_another_one_on_tensors_is_found():
    bend = tanh_with(lambda g, out: g * (1 - out * out) * (1 if isinstance(g, np.ndarray) else 2))
    assert tg.gradcheck(bend, X)
    with pytest.raises(GradientMismatch, match="differently"):
        tg.gradgradcheck(bend, X)


def test_output_that_was_cut_off_is_wrong():
    with pytest.raises(GradientMismatch, match="exactly 0 suggest a detach"):
        tg.gradcheck(lambda x: (x * 2, (x * 3).detach()), X)
    assert tg.gradcheck(lambda x: (x * 2, tg.Tensor([1.0])), X)  # it doesn't depend on x


@pytest.mark.parametrize("scale", [1e-9, 1e-15])
def test_scale_does_not_hide_wrong_rules(scale: float):
    bend = tanh_with(lambda g, out: 2 * g * (1 - out * out))
    with pytest.raises(GradientMismatch):
        tg.gradcheck(lambda x: scale * bend(x), X)
    assert tg.gradcheck(lambda x: scale * tg.tanh(x), X)
