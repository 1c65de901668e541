"""The loops that learners write, unchanged, with Tensors in place of arrays."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from operation_table import numeric_gradient

import tinygrad_rnn as tg
from tinygrad_rnn import nn

NAMES = ["inputs", "Wx", "Wh", "b"]
SOME = [
    *[(name,) for name in NAMES],
    *itertools.combinations(NAMES, 2),
    tuple(NAMES),
]


def drawn(timesteps: int, input_size: int, hidden_size: int) -> dict[str, np.ndarray]:
    """As in the notebooks, but scaled so that tanh isn't flat everywhere."""
    rng = np.random.default_rng(0)
    return {
        "inputs": rng.random((timesteps, input_size)),
        "Wx": rng.random((hidden_size, input_size)) - 0.5,
        "Wh": (rng.random((hidden_size, hidden_size)) - 0.5) * 0.9,
        "b": rng.random((hidden_size,)) - 0.5,
    }


def with_lists(inputs: Any, Wx: Any, Wh: Any, b: Any) -> Any:
    """Appends list(output_t) and prints shapes on the way."""
    timesteps, hidden_size = np.shape(inputs)[0], np.shape(b)[0]
    hidden_state_t = np.zeros((hidden_size,))
    shapes = []

    total_hidden_states = []
    for input_t in inputs:
        output_t = np.tanh(np.dot(Wx, input_t) + np.dot(Wh, hidden_state_t) + b)
        total_hidden_states.append(list(output_t))
        shapes.append(np.shape(total_hidden_states))
        hidden_state_t = output_t
    total_hidden_states = np.stack(total_hidden_states, axis=0)

    assert shapes == [(t + 1, hidden_size) for t in range(timesteps)]
    assert np.shape(total_hidden_states) == (timesteps, hidden_size)
    return total_hidden_states


def with_arrays(inputs: Any, W: Any, U: Any, b: Any) -> Any:
    """Appends output_t itself."""
    state_t = np.zeros((np.shape(b)[0],))

    successive_outputs = []
    for input_t in inputs:
        output_t = np.tanh(np.dot(W, input_t) + np.dot(U, state_t) + b)
        successive_outputs.append(output_t)
        state_t = output_t
    return np.stack(successive_outputs, axis=0)


def with_indices(inputs: Any, Wx: Any, Wh: Any, b: Any) -> Any:
    """The same with x[t], @ and in the order of the formula."""
    h, hs = np.zeros(np.shape(b)), []
    for t in range(len(inputs)):
        h = np.tanh(h @ Wh.T + inputs[t] @ Wx.T + b)
        hs.append(h)
    return np.array(hs) if isinstance(h, np.ndarray) else tg.stack(hs)


def backpropagated(
    inputs: np.ndarray, Wx: np.ndarray, Wh: np.ndarray, b: np.ndarray, g: np.ndarray
) -> dict[str, np.ndarray]:
    """Backpropagation through time by hand; g is the gradient with respect to all states."""
    hs = with_arrays(inputs, Wx, Wh, b)
    found = {n: np.zeros_like(a) for n, a in zip(NAMES, (inputs, Wx, Wh, b), strict=True)}
    dh = np.zeros(len(b))
    for t in reversed(range(len(inputs))):
        dz = (g[t] + dh) * (1 - hs[t] ** 2)
        found["b"] += dz
        found["Wx"] += np.outer(dz, inputs[t])
        if t > 0:
            found["Wh"] += np.outer(dz, hs[t - 1])
        found["inputs"][t] = Wx.T @ dz
        dh = Wh.T @ dz
    return found


@pytest.mark.parametrize("loop", [with_lists, with_arrays])
@pytest.mark.parametrize("chosen", SOME, ids=" ".join)
def test_the_loop_gives_numpys_numbers_and_the_gradient_of_bptt(loop: Any, chosen: Any):
    arrays = drawn(timesteps=10, input_size=4, hidden_size=8)
    plain = loop(*arrays.values())
    leaves = {n: tg.Tensor(arrays[n], requires_grad=True, name=n) for n in chosen}

    states = tg.asarray(loop(*{**arrays, **leaves}.values()))
    assert type(states) is tg.Tensor
    assert_array_equal(states.data, plain)

    g = np.random.default_rng(1).normal(size=plain.shape)
    states.backward(g)
    by_hand = backpropagated(*arrays.values(), g)
    for name, x in leaves.items():
        assert_allclose(x.grad.data, by_hand[name], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("loop", [with_lists, with_arrays, with_indices])
def test_the_loops_gradient_equals_a_numeric_one(loop: Any):
    arrays = drawn(timesteps=4, input_size=2, hidden_size=3)
    g = np.random.default_rng(1).normal(size=(4, 3))
    leaves = [tg.Tensor(a, requires_grad=True) for a in arrays.values()]
    tg.asarray(loop(*leaves)).backward(g)
    for x, a in zip(leaves, arrays.values(), strict=True):
        numeric = numeric_gradient(lambda: float((g * with_arrays(*arrays.values())).sum()), a)
        assert_allclose(x.grad.data, numeric, rtol=1e-8, atol=1e-10)


def test_the_stacked_list_form_is_usable_as_it_stands(capsys: pytest.CaptureFixture[str]):
    arrays = drawn(timesteps=3, input_size=2, hidden_size=2)
    Wx = tg.Tensor(arrays.pop("Wx"), requires_grad=True)
    states = with_lists(arrays["inputs"], Wx, arrays["Wh"], arrays["b"])
    print(states)
    assert "0." in capsys.readouterr().out
    loss = tg.asarray(states)[-1].sum()
    loss.backward()
    assert Wx.grad.shape == Wx.shape
    assert np.all(Wx.grad.data != 0)


def test_the_long_loop_of_random_weights_gives_numpys_numbers():
    rng = np.random.default_rng(2)
    inputs = rng.random((100, 32))
    W, U, b = rng.random((64, 32)), rng.random((64, 64)), rng.random((64,))
    plain = with_arrays(inputs, W, U, b)
    ours = with_arrays(inputs, tg.Tensor(W, requires_grad=True), U, b)
    assert type(ours) is tg.Tensor
    assert_array_equal(ours.data, plain)
    assert plain[-1].min() > 0.999  # saturated, as the notebook shows


def test_the_pseudocode_starts_with_the_number_zero():
    hidden_state_t: Any = 0
    w = tg.Tensor(0.5, requires_grad=True)
    for input_t in [1.0, 2.0, 3.0]:
        hidden_state_t = np.tanh(w * input_t + w * hidden_state_t)
    hidden_state_t.backward()

    def plain(w: float) -> float:
        h = 0.0
        for input_t in [1.0, 2.0, 3.0]:
            h = float(np.tanh(w * input_t + w * h))
        return h

    value = np.array(0.5)
    assert float(hidden_state_t) == plain(0.5)
    assert_allclose(w.grad.item(), numeric_gradient(lambda: plain(float(value)), value), rtol=1e-9)


def test_a_loop_whose_states_are_kept_in_no_grad_is_plain():
    arrays = drawn(timesteps=3, input_size=2, hidden_size=2)
    leaves = [tg.Tensor(a, requires_grad=True) for a in arrays.values()]
    with tg.no_grad():
        states = with_lists(*leaves)
    assert_array_equal(np.asarray(states, float), with_lists(*arrays.values()))


def test_a_few_steps_of_gradient_update_and_loss_learn():
    arrays = drawn(timesteps=5, input_size=2, hidden_size=3)
    inputs = arrays.pop("inputs")
    target = np.random.default_rng(3).uniform(-0.5, 0.5, size=(5, 3))
    weights = [tg.Tensor(a, requires_grad=True) for a in arrays.values()]
    losses = []
    for _ in range(30):
        loss = ((with_arrays(inputs, *weights) - target) ** 2).mean()
        losses.append(float(loss))
        for w in weights:
            w.grad = None
        loss.backward()
        for w in weights:
            w.data -= 0.5 * w.grad
    assert losses[-1] < 0.5 * losses[0]


# The cells that use a framework


def test_the_cells_of_the_simple_network():
    input_size, hidden_size = 5, 8
    inputs = tg.Tensor(np.zeros((1, 10, 5)))
    cell = nn.RNN(input_size, hidden_size, batch_first=True)
    outputs, _status = cell(inputs)
    assert outputs.shape == (1, 10, 8)
    assert _status.shape == (1, 1, 8)


def test_the_cells_of_the_deep_network():
    cell = nn.RNN(input_size=5, hidden_size=8, num_layers=2, batch_first=True)
    outputs, _status = cell(tg.Tensor(np.zeros((1, 10, 5))))
    assert outputs.shape == (1, 10, 8)
    assert _status.shape == (2, 1, 8)


def test_the_cells_of_the_bidirectional_network():
    cell = nn.RNN(input_size=5, hidden_size=8, num_layers=2, batch_first=True, bidirectional=True)
    outputs, _status = cell(tg.Tensor(np.zeros((1, 10, 5))))
    assert outputs.shape == (1, 10, 16)
    assert _status.shape == (4, 1, 8)


def test_the_cells_of_the_letters_of_hello():
    h, e, l, o = np.eye(4).tolist()  # noqa: E741
    input_data_np = np.array([[h, e, l, l, o], [e, o, l, l, l], [l, l, e, e, l]], dtype=np.float32)
    input_data = tg.Tensor(input_data_np)
    rnn = nn.RNN(4, 2)
    outputs, _status = rnn(input_data)
    assert outputs.shape == (3, 5, 2)
    assert outputs.dtype == np.float32
    assert "made by" in repr(outputs)


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_the_misspelt_keyword_is_named(kind: Any):
    with pytest.raises(TypeError, match=r"batch_fisrt.*batch_first"):
        kind(5, 8, batch_fisrt=True)


def test_sizes_in_place_of_data_are_named():
    with pytest.raises(TypeError, match=r"np\.zeros\(\(1, 10, 5\)\)"):
        tg.Tensor(1, 10, 5)


@pytest.mark.parametrize(("kind", "states"), [(nn.LSTM, 2), (nn.GRU, 1)], ids=["LSTM", "GRU"])
def test_lstm_and_gru_take_the_same_inputs(kind: Any, states: int):
    outputs, status = kind(5, 8, batch_first=True)(tg.Tensor(np.zeros((1, 10, 5))))
    assert outputs.shape == (1, 10, 8)
    for state in status if states == 2 else [status]:
        assert state.shape == (1, 1, 8)
