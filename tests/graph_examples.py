"""Graphs that the tests of pictures draw, and what holds for every view of any graph."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn.drawing.records import GraphData


def numpy_loop(steps: int = 3) -> tg.Tensor:
    Wx = tg.Tensor(np.full((4, 3), 0.1), requires_grad=True, name="Wx")
    Wh = tg.Tensor(np.full((4, 4), 0.1), requires_grad=True, name="Wh")
    b = tg.Tensor(np.zeros(4), requires_grad=True, name="b")
    h: Any = np.zeros(4)
    for t in range(steps):
        with tg.scope(f"t={t}"):
            h = np.tanh(np.dot(Wx, np.ones(3)) + np.dot(Wh, h) + b).named(f"h_{t}")
    return h


def lstm(steps: int = 6, layers: int = 2, bidirectional: bool = True) -> tg.Tensor:
    layer = tg.nn.LSTM(3, 4, num_layers=layers, bidirectional=bidirectional, rng=0)
    return layer(np.ones((steps, 1, 3), np.float32))[0]


def rnn(steps: int = 50) -> tg.Tensor:
    return tg.nn.RNN(3, 4, rng=0)(np.ones((steps, 1, 3), np.float32))[0]


class Model(tg.nn.Module):
    """An encoder whose layer is called twice, and a head."""

    def __init__(self) -> None:
        self.encoder = tg.nn.RNN(2, 2, rng=0)
        self.head = tg.nn.Linear(2, 1, rng=0)

    def forward(self, x: Any) -> Any:
        first, _ = self.encoder(x)
        second, _ = self.encoder(first)
        return self.head(second[-1]).sum()


def recorded(steps: int = 6) -> tuple[tg.Tensor, Any]:
    """A loss over an RNN and what was recorded of it, gradients too."""
    with tg.record() as recording:
        loss = (rnn(steps) ** 2).sum()
        loss.backward()
    return loss, recording


def check_accounts(whole: GraphData, seen: GraphData, copies: bool = False) -> None:
    """Every edge of `whole` is an edge of `seen`, or merged into one, or inside one node."""
    homes: dict[str, list[str]] = {}
    for node in seen.nodes:
        if node.kind != "cotangent":
            for inner in node.holds or (node.id.split("_")[0],):
                homes.setdefault(inner, []).append(node.id)
    assert set(homes) == {node.id for node in whole.nodes}
    if not copies:
        assert all(len(found) == 1 for found in homes.values())
    forward = [edge for edge in seen.edges if not edge.backward]
    pairs = {(edge.source, edge.target) for edge in forward}
    wanted: Counter[tuple[str, str]] = Counter()
    inside: Counter[tuple[str, str]] = Counter()
    for edge in whole.edges:
        (target,) = homes[edge.target]
        sources = homes[edge.source]
        source = target if target in sources else next(s for s in sources if (s, target) in pairs)
        (inside if source == target else wanted)[source, target] += 1
    counted: Counter[tuple[str, str]] = Counter()
    for edge in forward:
        counted[edge.source, edge.target] += edge.count
    loops = Counter({pair: n for pair, n in counted.items() if pair[0] == pair[1]})
    assert counted - loops == wanted
    rolled = {node.id for node in seen.nodes if node.kind == "rolled"}
    assert all(pair[0] in rolled and n <= inside[pair] for pair, n in loops.items())
    if seen.view != "rolled":
        assert not loops
    ids = [node.id for node in seen.nodes]
    assert len(ids) == len(set(ids))
    assert {end for e in seen.edges for end in (e.source, e.target)} <= set(ids)
