"""Draws the pictures of the documentation anew:  python docs/pictures/make.py"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn.drawing import draw

FOLDER = Path(__file__).parent


def unrolled_rnn() -> tg.Tensor:
    """The final state of an RNN written as a loop in NumPy."""
    Wx = tg.Tensor(np.full((4, 3), 0.1), requires_grad=True, name="Wx")
    Wh = tg.Tensor(np.full((4, 4), 0.1), requires_grad=True, name="Wh")
    b = tg.Tensor(np.zeros(4), requires_grad=True, name="b")
    inputs = [tg.Tensor(np.ones(3), name=f"x_{t}") for t in range(3)]
    h = tg.Tensor(np.zeros(4), name="h_init")
    for t, x in enumerate(inputs):
        with tg.scope(f"t={t}"):
            h = np.tanh(np.dot(Wx, x) + np.dot(Wh, h) + b).named(f"h_{t}")
    return h


def unrolled_lstm() -> tg.Tensor:
    """The output of an LSTM layer at its last step."""
    x = np.ones((2, 1, 2), np.float32)
    output, _ = tg.nn.LSTM(2, 4, rng=0)(x)
    return output


if __name__ == "__main__":
    for suffix in ("svg", "png"):
        print(draw(unrolled_rnn(), FOLDER / f"unrolled_rnn.{suffix}"))
        print(draw(unrolled_lstm(), FOLDER / f"unrolled_lstm.{suffix}"))
