"""The model that the command line trains: a recurrent model of what comes next in a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..module import Module
from ..nn import GRU, LSTM, RNN, Dropout, Embedding, Linear
from ..nn.functional import cross_entropy
from ..tensor import Tensor

CELLS: dict[str, Any] = {"lstm": LSTM, "gru": GRU, "rnn": RNN}


@dataclass(frozen=True)
class Architecture:
    """The shape of a `LanguageModel`.

    Attributes:
        symbols: how many there are to choose from.
        cell: "lstm", "gru" or "rnn".
        embedding: the number of features that a symbol is read as.
        hidden, layers: units of each recurrent layer, and how many layers.
        dropout: probability of dropping what a recurrent layer hands on, while training.
    """

    symbols: int
    cell: str = "lstm"
    embedding: int = 32
    hidden: int = 128
    layers: int = 1
    dropout: float = 0.0


class LanguageModel(Module):
    """Scores for the next symbol after each symbol of a text.

    Args:
        shape: its `Architecture`.
        rng: generator or seed for the initial values and dropout masks.

    Called as ``model(ids, state)`` with numbers (T, N) and None or the state it returned, it
    returns scores (T, N, symbols) and a new state.

    >>> import numpy as np
    >>> model = LanguageModel(Architecture(symbols=5, hidden=8), rng=0)
    >>> scores, state = model(np.array([[0], [3], [2]]))
    >>> scores.shape
    (3, 1, 5)
    """

    def __init__(self, shape: Architecture, rng: np.random.Generator | int | None = None) -> None:
        rng = np.random.default_rng(rng)
        # An LSTM learns sooner if it forgets little at first (Jozefowicz et al. 2015).
        options = {"forget_bias": 1.0} if shape.cell == "lstm" else {}
        self.embedding = Embedding(shape.symbols, shape.embedding, rng=rng)
        self.recurrent = CELLS[shape.cell](
            shape.embedding,
            shape.hidden,
            shape.layers,
            dropout=shape.dropout if shape.layers > 1 else 0.0,  # between layers only
            rng=rng,
            **options,
        )
        self.drop = Dropout(shape.dropout)
        self.out = Linear(shape.hidden, shape.symbols, rng=rng)

    def start_from(self, frequencies: np.ndarray) -> None:
        """Makes the first guess, before anything is learnt, how frequent each symbol is."""
        bias = self.out.bias
        assert bias is not None
        bias.data = np.log(frequencies).astype(bias.dtype)

    def forward(self, ids: np.ndarray, state: Any = None) -> tuple[Tensor, Any]:
        outputs, state = self.recurrent(self.embedding(ids), state)
        return self.out(self.drop(outputs)), state


def loss(scores: Tensor, targets: np.ndarray) -> Tensor:
    """The mean of -log p(target), for scores (T, N, symbols) and targets (T, N)."""
    return cross_entropy(scores.reshape(-1, scores.shape[-1]), targets.ravel())
