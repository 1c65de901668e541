"""Every recurrent layer that tests go through: all cells, wrappers, and cells of a user's own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn.nn import functional as F


class OwnModule(tg.nn.Module):
    """A user's cell: two states of different widths, that begin with ones; its own output."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        self.hidden_size = hidden_size
        self.W = tg.nn.Parameter(np.zeros((input_size, hidden_size)))
        self.U = tg.nn.Parameter(np.zeros((hidden_size, hidden_size)))
        self.V = tg.nn.Parameter(np.zeros((hidden_size, 1)))

    def initial_state(self, batch: tuple[int, ...], dtype: Any) -> Any:
        return np.ones((*batch, self.hidden_size), dtype), np.ones((*batch, 1), dtype)

    def forward(self, x: Any, state: Any) -> Any:
        h, s = state
        h = np.tanh(x @ self.W + (h * s) @ self.U)
        return h, 0.5 * s + h @ self.V

    def output(self, x: Any, state: Any) -> Any:
        return state[0] * state[1]


class OwnCell(tg.rnn.Cell):
    """A user's cell that derives from the library's."""

    gates = 2

    def equations(self, x: Any, h: Any) -> Any:
        xz, xn = np.split(F.linear(x, self.weight_ih, self.bias_ih), 2, axis=-1)
        seen = self.recurrent_input(h)
        hz, hn = np.split(F.linear(seen, self.weight_hh, self.bias_hh), 2, axis=-1)
        z = 1 / (1 + np.exp(-(xz + hz)))
        return z * h + (1 - z) * np.tanh(xn + hn)


KINDS: dict[str, Any] = {
    "RNN-tanh": tg.nn.RNN,
    "RNN-relu": partial(tg.nn.RNN, nonlinearity="relu"),
    "RNN-silu": partial(tg.nn.RNN, nonlinearity=F.silu),
    "LSTM": tg.nn.LSTM,
    "LSTM-proj": partial(tg.nn.LSTM, proj_size=2),
    "GRU": tg.nn.GRU,
    "GRU-reset-first": partial(tg.nn.GRU, reset_after=False),
    "Peephole": partial(tg.rnn.Recurrent, tg.rnn.PeepholeLSTMCell),
    "LayerNorm": partial(tg.rnn.Recurrent, tg.rnn.LayerNormLSTMCell),
    "LayerNorm-proj": partial(tg.rnn.Recurrent, tg.rnn.LayerNormLSTMCell, proj_size=2),
    "Coupled": partial(tg.rnn.Recurrent, tg.rnn.CoupledLSTMCell),
    "MGU": partial(tg.rnn.Recurrent, tg.rnn.MGUCell),
    "IndRNN-tanh": partial(tg.rnn.Recurrent, tg.rnn.IndRNNCell, nonlinearity="tanh"),
    "Zoneout": partial(tg.nn.LSTM, wrap=partial(tg.rnn.Zoneout, p=(0.3, 0.1))),
    "RecurrentDropout": partial(tg.nn.GRU, wrap=partial(tg.rnn.RecurrentDropout, p=0.4)),
    "Residual": partial(tg.nn.GRU, wrap=tg.rnn.Residual),
    "OwnModule": partial(tg.rnn.Recurrent, OwnModule),
    "OwnCell": partial(tg.rnn.Recurrent, OwnCell),
    "Zoneout-OwnModule": partial(tg.rnn.Recurrent, OwnModule, wrap=tg.rnn.Zoneout),
}


def made(kind: str, features: int, hidden: int, **options: Any) -> Any:
    """A layer in float64 with random parameters, switched to .eval().

    A Residual has as many features in as out, and goes in one direction.
    """
    if kind == "Residual":
        features, options = hidden, {**options, "bidirectional": False}
    layer = KINDS[kind](features, hidden, **options).double()
    rng = np.random.default_rng(11)
    for parameter in layer.parameters():
        parameter.data = rng.normal(size=parameter.shape) * 0.6
    return layer.eval()


def leaf(array: Any) -> tg.Tensor:
    return tg.Tensor(array, dtype=np.float64, requires_grad=True)


def parts(state: Any) -> Sequence[Any]:
    return state if isinstance(state, (tuple, list)) else (state,)


def whole(found: Sequence[Any]) -> Any:
    """A state of these parts."""
    return found[0] if len(found) == 1 else tuple(found)


def random_state(layer: Any, batch: int, rng: np.random.Generator) -> list[np.ndarray]:
    """The parts of a random state."""
    _, state = layer(np.zeros((1, 1, layer.input_size)))
    return [rng.normal(size=(part.shape[0], batch, *part.shape[2:])) for part in parts(state)]


def gradients(results: Sequence[Any], weights: Sequence[Any], leaves: dict[str, Any]) -> Any:
    """∂(Σ weight · result)/∂leaf for each leaf, 0 where there is none."""
    loss = sum((r * w).sum() for r, w in zip(results, weights, strict=True))
    found = tg.grad(loss, list(leaves.values()), allow_unused=True)
    return {
        f"d_{name}": np.zeros(x.shape) if g is None else g.data
        for (name, x), g in zip(leaves.items(), found, strict=True)
    }


def run(layer: Any, x: Any, state: Any, weights: Sequence[Any], **given: Any) -> dict[str, Any]:
    """Output, final state, and the gradients of everything.

    Args:
        x: the input.
        state: the parts of the initial state, or None.
        weights: of the output and each part of the final state, in the loss; None for a part that
            it doesn't use.
        given: lengths or mask.
    """
    start = None if state is None else [leaf(part) for part in state]
    leaves = {"x": leaf(x), **{f"state{i}": part for i, part in enumerate(start or ())}}
    output, final = layer(leaves["x"], None if start is None else whole(start), **given)
    results = {"output": output, **{f"final{i}": part for i, part in enumerate(parts(final))}}
    used = [(r, w) for r, w in zip(results.values(), weights, strict=True) if w is not None]
    leaves.update(layer.named_parameters())
    found = gradients([r for r, _ in used], [w for _, w in used], leaves)
    return {**{name: r.data for name, r in results.items()}, **found}
