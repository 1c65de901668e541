"""Second derivatives of every recurrent cell, wrapper and layer against numeric ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from recurrent_kinds import made

import tinygrad_rnn as tg
from tinygrad_rnn.nn import functional as F
from tinygrad_rnn.nn.utils.rnn import pack_padded_sequence

T, N, I, H = 3, 2, 2, 2  # noqa: E741


class Calling(tg.nn.Module):
    """A module, called in a way of one's own."""

    def __init__(self, module: Any, call: Callable[..., Any]) -> None:
        self.module = module
        self.call = call

    def forward(self, *args: Any) -> Any:
        return self.call(self.module, *args)


def random(*shape: int, seed: int = 4) -> tg.Tensor:
    array = np.random.default_rng(seed).normal(size=shape)
    return tg.Tensor(array, requires_grad=True)


def shaken(module: Any) -> Any:
    """The module in float64 with random parameters."""
    rng = np.random.default_rng(5)
    for parameter in module.double().parameters():
        parameter.data = rng.normal(size=parameter.shape) * 0.6
    return module


CELLS = {
    "RNNCell": tg.nn.RNNCell,
    "RNNCell-softplus": partial(tg.nn.RNNCell, nonlinearity=F.softplus),
    "LSTMCell": tg.nn.LSTMCell,
    "LSTMCell-proj": partial(tg.nn.LSTMCell, proj_size=1),
    "LSTMCell-silu": partial(tg.nn.LSTMCell, activation=F.silu, recurrent_activation="tanh"),
    "GRUCell": tg.nn.GRUCell,
    "GRUCell-reset-first": partial(tg.nn.GRUCell, reset_after=False),
    "Peephole": tg.rnn.PeepholeLSTMCell,
    "Peephole-proj": partial(tg.rnn.PeepholeLSTMCell, proj_size=1),
    "LayerNorm": tg.rnn.LayerNormLSTMCell,
    "Coupled": tg.rnn.CoupledLSTMCell,
    "MGU": tg.rnn.MGUCell,
    "IndRNN-tanh": partial(tg.rnn.IndRNNCell, nonlinearity="tanh"),
}
WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "Zoneout": lambda cell: tg.rnn.Zoneout(cell, 0.3),
    "RecurrentDropout": lambda cell: tg.rnn.RecurrentDropout(cell, 0.5),
    "Residual": tg.rnn.Residual,
    "both": lambda cell: tg.rnn.Residual(tg.rnn.Zoneout(tg.rnn.RecurrentDropout(cell, 0.5), 0.3)),
}


def two_steps(cell: Any, x: Any, state: Any) -> Any:
    return cell(x[1], cell(x[0], state))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", CELLS)
def test_cells(name: str, bias: bool):
    cell = shaken(CELLS[name](I, 3, bias=bias))
    sizes = cell.state_size
    parts = sizes if isinstance(sizes, tuple) else (sizes,)
    state: Any = tuple(random(N, size, seed=k) for k, size in enumerate(parts))
    state = state if isinstance(sizes, tuple) else state[0]
    assert tg.gradgradcheck(Calling(cell, two_steps), (random(2, N, I), state), fast_mode=True)


@pytest.mark.parametrize("name", ["LSTMCell", "GRUCell", "Peephole", "LayerNorm", "MGU"])
def test_cells_element_by_element(name: str):
    cell = shaken(CELLS[name](1, 2))
    sizes = cell.state_size
    state: Any = random(1, 2)
    state = (state, random(1, 2, seed=1)) if isinstance(sizes, tuple) else state
    assert tg.gradgradcheck(cell, (random(1, 1), state))


def reseeded(layer: Any, *args: Any) -> Any:
    tg.manual_seed(2)
    return layer(*args)


@pytest.mark.parametrize("training", [False, True], ids=["eval", "training"])
@pytest.mark.parametrize("kind", [tg.nn.LSTM, tg.nn.GRU])
@pytest.mark.parametrize("name", WRAPPERS)
def test_wrappers(name: str, kind: Any, training: bool):
    layer = shaken(kind(H, H, num_layers=2, wrap=WRAPPERS[name], dropout=0.3)).train(training)
    assert tg.gradgradcheck(Calling(layer, reseeded), random(T, N, H), fast_mode=True)


@pytest.mark.parametrize("kind", ["RNN-tanh", "LSTM", "GRU", "Peephole", "OwnModule"])
def test_layers_with_lengths(kind: str):
    layer = made(kind, I, 3, num_layers=2, bidirectional=True)

    def call(layer: Any, x: Any) -> Any:
        return layer(x, lengths=[2, 0, T])

    assert tg.gradgradcheck(Calling(layer, call), random(T, 3, I), fast_mode=True)


def test_a_layer_with_holes_element_by_element():
    layer = made("GRU", 1, 2)

    def call(layer: Any, x: Any, h: Any) -> Any:
        return layer(x, h, mask=[[True, False], [False, True], [True, True]])

    assert tg.gradgradcheck(Calling(layer, call), (random(T, 2, 1), random(1, 2, 2)))


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_packed_input(kind: str):
    layer = made(kind, I, H, bidirectional=True)

    def call(layer: Any, x: Any) -> Any:
        output, state = layer(pack_padded_sequence(x, [1, T, 2], enforce_sorted=False))
        return output.data, state

    assert tg.gradgradcheck(Calling(layer, call), random(T, 3, I), fast_mode=True)


@pytest.mark.parametrize("kind", ["RNN-tanh", "LSTM-proj", "GRU", "Peephole"])
def test_steps(kind: str):
    layer = made(kind, I, 3, num_layers=2)

    def call(layer: Any, x: Any) -> Any:
        output, state = layer.step(x[0])
        return output, layer.step(x[1], state)

    assert tg.gradgradcheck(Calling(layer, call), random(2, N, I), fast_mode=True)


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("kind", ["RNN-tanh", "LSTM", "GRU", "OwnModule"])
def test_layers_with_checkpoints(kind: str, every: int):
    layer = made(kind, I, H, num_layers=2, bidirectional=True, checkpoint_every=every)
    assert tg.gradgradcheck(layer, random(T, N, I), fast_mode=True)


@pytest.mark.parametrize("every", [None, 4])
def test_a_gradient_penalty_is_reduced_by_training(every: int | None):
    """‖∂D/∂x‖ of each sequence is drawn to 1 (Gulrajani et al. 2017, WGAN-GP)."""
    x = random(8, 6, I)
    lstm = tg.nn.LSTM(I, 5, bidirectional=True, checkpoint_every=every, dtype=np.float64, rng=0)
    head = tg.nn.Linear(10, 1, dtype=np.float64, rng=1)
    parameters = [*lstm.parameters(), *head.parameters()]
    optimiser, penalties = tg.optim.Adam(parameters, lr=0.03), []
    for _ in range(40):
        score = head(lstm(x, lengths=[8, 3, 5, 8, 1, 6])[0]).mean(0).sum()
        (slope,) = tg.grad(score, x, create_graph=True)
        penalty = ((np.sqrt((slope**2).sum((0, 2))) - 1) ** 2).mean()
        optimiser.zero_grad()
        penalty.backward()
        optimiser.step()
        penalties.append(penalty.item())
    assert penalties[0] > 0.5
    assert penalties[-1] < 0.1 * penalties[0]
