"""The graphs that tests make pages of."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn.drawing import graph
from tinygrad_rnn.drawing.records import GraphData, GraphEdge, GraphNode

HOSTILE = (
    "</script ><script >window.pwned=1</script>\"'<!--<b>&amp;\u2028\u202e{{data}}\\\x00\ud800"
)


def lstm(steps: int = 4, **options: Any) -> Any:
    layer = tg.nn.LSTM(2, 3, rng=0, **options)
    return (layer(np.ones((steps, 1, 2), np.float32))[0] ** 2).mean()


def recorded(steps: int = 4) -> GraphData:
    with tg.record() as recording:
        loss = lstm(steps)
        loss.backward()
    return graph(loss, record=recording)


def backward() -> GraphData:
    layer = tg.nn.RNN(2, 3, rng=0)
    out = layer(np.ones((3, 1, 2)))[0].sum()
    return graph(tg.grad(out, [layer.weight_hh_l0], create_graph=True)[0].sum())


def network() -> GraphData:
    w = tg.Tensor(np.ones((2, 2)), requires_grad=True, name="w")
    x: Any = np.ones(2)
    for number in range(3):
        with tg.scope(f"layer{number}"):
            x = np.tanh(w @ x)
    return graph(x.sum(), np.exp(w))


def hostile() -> GraphData:
    w = tg.Tensor([1.0], requires_grad=True, name=HOSTILE)
    with tg.scope(HOSTILE):
        return graph(np.exp(w).named(HOSTILE))


def chain(count: int) -> GraphData:
    nodes = [GraphNode(f"n{i}", "operation", "tanh", shapes=((3,),)) for i in range(count)]
    edges = [GraphEdge(f"n{i}", f"n{i + 1}", "x") for i in range(count - 1)]
    return GraphData(tuple(nodes), tuple(edges))


MODELS = {
    "lstm": lambda: graph(lstm()),
    "bidirectional": lambda: graph(lstm(6, num_layers=2, bidirectional=True)),
    "long": lambda: graph(lstm(40)),
    "recorded": recorded,
    "backward": backward,
    "network": network,
    "hostile": hostile,
    "chain": lambda: chain(1000),
    "leaf": lambda: graph(tg.Tensor([1.0], requires_grad=True)),
}
