"""Draws the pictures of the documentation anew:  python docs/pictures/make.py

With --golden it writes the texts that the tests compare with, tests/golden/*.dot and *.mmd, too;
look at what changed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_rnn as tg

FOLDER = Path(__file__).parent
GOLDEN = FOLDER.parent.parent / "tests" / "golden"
SUFFIXES = ("svg", "png")


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


def lstm(steps: int = 6) -> tg.Tensor:
    """The output of two LSTM layers in both directions."""
    layer = tg.nn.LSTM(3, 4, num_layers=2, bidirectional=True, rng=0)
    return layer(np.ones((steps, 1, 3), np.float32))[0]


def long_rnn(steps: int = 50) -> tg.Tensor:
    """The loss over an RNN's outputs."""
    output, _ = tg.nn.RNN(3, 4, rng=0)(np.ones((steps, 1, 3), np.float32))
    return (output**2).sum()


def recorded_rnn() -> tg.Graph:
    """A loss at the last of twelve steps, with the values and gradients on the way."""
    x = np.random.default_rng(1).standard_normal((12, 1, 3)).astype(np.float32)
    with tg.record():
        output, _ = tg.nn.RNN(3, 4, rng=0)(x)
        loss = (output[-1] ** 2).sum()
        loss.backward()
        return tg.graph(loss)


# By name of a file: what is drawn, and how. The first are the README's.
PICTURES: dict[str, tuple[Any, dict[str, Any]]] = {
    "unrolled_rnn": (unrolled_rnn, {}),
    "unrolled_lstm": (unrolled_lstm, {}),
    "lstm_ops": (lstm, {"view": "ops"}),
    "lstm_cells": (lstm, {"view": "cells"}),
    "lstm_rolled": (lstm, {"view": "rolled"}),
    "lstm_modules": (lstm, {"view": "modules"}),
    "lstm_backward": (lstm, {"view": "backward"}),
    "loop_ops": (unrolled_rnn, {"view": "ops"}),
    "loop_cells": (unrolled_rnn, {"view": "cells"}),
    "loop_rolled": (unrolled_rnn, {"view": "rolled"}),
    "loop_modules": (unrolled_rnn, {"view": "modules"}),
    "loop_backward": (unrolled_rnn, {"view": "backward"}),
    "rnn_elided": (long_rnn, {"view": "cells", "steps": 3}),
    "rnn_gradient": (recorded_rnn, {"view": "cells", "colour": "gradient"}),
}
SHOWN = [name for name in PICTURES if not name.startswith("loop") or name == "loop_backward"]
GOLDENS = [name for name in PICTURES if name.startswith(("lstm", "loop", "rnn_elided"))]


def graph_of(name: str) -> tg.Graph:
    """The graph that a picture shows."""
    made = PICTURES[name][0]()
    return made if isinstance(made, tg.Graph) else tg.graph(made)


def golden(name: str, suffix: str) -> bytes:
    """The text of a picture, in DOT or Mermaid."""
    graph, look = graph_of(name), PICTURES[name][1]
    text = graph.to_mermaid(**look) if suffix == "mmd" else graph.to_dot(**look)
    return text.encode("utf-8")


def main() -> None:
    for name in SHOWN:
        # every operation of two layers as dots would be larger than all other pictures together
        for suffix in SUFFIXES if name != "lstm_ops" else ("svg",):
            print(graph_of(name).render(FOLDER / f"{name}.{suffix}", **PICTURES[name][1]))
    if "--golden" in sys.argv:
        for name in GOLDENS:
            for suffix in ("dot", "mmd"):
                path = GOLDEN / f"picture_{name}.{suffix}"
                path.write_bytes(golden(name, suffix))
                print(path)


if __name__ == "__main__":
    main()
