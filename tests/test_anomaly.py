"""detect_anomaly: the first NaN or infinity, and writing behind the library's back."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.errors import AnomalyError

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def leaf(*values: float) -> tg.Tensor:
    return tg.Tensor(values, requires_grad=True)


def test_forward_names_operation_scope_and_line():
    x = leaf(1.0, -1.0)
    with tg.detect_anomaly(), tg.scope("net"), tg.scope("t=3"):
        y = tg.tanh(x)
        with pytest.raises(AnomalyError) as caught:
            tg.log(y)  # this line
    text = str(caught.value)
    assert "net[t=3].log made nan at [1]" in text
    assert "test_anomaly.py" in text
    assert "tg.log(y)  # this line" in text


def test_backward_names_operation_and_the_line_of_its_forward():
    x = leaf(4.0, 0.0)
    with tg.detect_anomaly():
        y = np.sqrt(x)  # forward is finite
        with pytest.raises(AnomalyError) as caught:
            y.sum().backward()
    assert "the derivative of sqrt made inf at [1]" in str(caught.value)
    assert "y = np.sqrt(x)  # forward is finite" in str(caught.value)
    assert x.grad is None


def test_the_first_one_is_named_and_not_those_it_infects():
    x = leaf(0.0)
    with tg.detect_anomaly(), pytest.raises(AnomalyError, match="log made -inf"):
        tg.tanh(tg.exp(tg.log(x)) * 2)


def test_infinities_that_were_given_are_no_anomaly():
    x = leaf(1.0, 2.0)
    with tg.detect_anomaly():
        scores = tg.where(np.array([True, False]), x, -np.inf)
        p = tg.softmax(scores)
        p.backward([1.0, 2.0])
    assert p.tolist() == [1.0, 0.0]
    with tg.detect_anomaly(), pytest.raises(AnomalyError, match="subtract made nan"):
        scores - scores


def test_operations_without_a_gradient_are_watched():
    with tg.detect_anomaly(), pytest.raises(AnomalyError, match="divide made inf"):
        tg.Tensor([1.0]) / tg.Tensor([0.0])
    with tg.detect_anomaly(), tg.no_grad(), pytest.raises(AnomalyError, match="log"):
        tg.log(leaf(-1.0))


def test_outside_nothing_is_watched():
    x = leaf(0.0)
    with tg.detect_anomaly():
        pass
    y = tg.log(x)
    y.backward()
    assert x.grad.tolist() == [np.inf]


@pytest.mark.parametrize("create_graph", [False, True])
def test_writing_into_what_was_kept_is_noticed(create_graph: bool):
    w, x = leaf(2.0, 3.0), np.array([5.0, 7.0])
    with tg.detect_anomaly():
        y = (w * x).sum()
        x[0] = 0.0
        with pytest.raises(AnomalyError, match=r"multiply keeps .* written into"):
            y.backward(create_graph=create_graph)
    assert w.grad is None


def test_writing_into_a_tensors_data_is_noticed():
    w, v = leaf(2.0, 3.0), leaf(1.0, 1.0)
    with tg.detect_anomaly():
        y = (w * v).sum()
        w.data[0] = 9.0
        with pytest.raises(AnomalyError, match="multiply"):
            y.backward()


def test_a_sound_program_runs_as_without():
    lstm = tg.nn.LSTM(2, 3, rng=0)
    x = np.random.default_rng(0).normal(size=(4, 1, 2))
    lstm(x)[0].sum().backward()
    expected = [p.grad.data for p in lstm.parameters()]
    lstm.zero_grad()
    with tg.detect_anomaly():
        lstm(x)[0].sum().backward()
    for p, g in zip(lstm.parameters(), expected, strict=True):
        np.testing.assert_allclose(p.grad.data, g, rtol=1e-5, atol=1e-7)


def test_second_order_is_watched_too():
    x = leaf(1.0)
    with tg.detect_anomaly():
        (g,) = tg.grad((x - 1) ** 1.5, x, create_graph=True)
        with pytest.raises(AnomalyError, match=r"derivative of .*power"):
            tg.grad(g, x)
