"""What each library draws of one model: an LSTM of two layers, T = 6, I = 3, H = 8, one sequence.

    python benchmarks/graph_pictures.py         # whoever is installed; others are skipped, and why

Nodes and edges are counted in the DOT text that each makes, without what is invisible. Seconds:
from the finished forward pass (of torchview, which runs the module itself, and Keras: from the
model) to the DOT text; and from there to SVG, all by the same Graphviz. The least of three.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn.drawing.render import LayoutFailed, NoGraphviz, lay_out

STEPS, INPUT, HIDDEN, LAYERS = 6, 3, 8, 2
X = np.random.default_rng(0).standard_normal((STEPS, 1, INPUT)).astype(np.float32)
ROUNDS = 3
LAYOUT_LIMIT = 120.0

_EDGE = re.compile(r'^\s*"?(\w+)"?(?::\w+)?\s*->\s*"?(\w+)"?(?::\w+)?')
_NODE = re.compile(r'^\s*"?(\w+)"?\s*\[')
_NO_NODES = ("graph", "node", "edge")

Text = Callable[[], str]  # makes the DOT text anew


class Drawing(NamedTuple):
    """How something draws the model."""

    name: str
    packages: tuple[str, ...]
    made: Callable[[bool], Text]  # of a model in both directions, or one


# tinygrad_rnn


def ours(view: str, **look: Any) -> Callable[[bool], Text]:
    def made(both: bool) -> Text:
        layer = tg.nn.LSTM(INPUT, HIDDEN, num_layers=LAYERS, bidirectional=both, rng=0)
        loss = layer(X)[0].sum()
        return lambda: tg.graph(loss).to_dot(view, **look)

    return made


# PyTorch


def torchviz_layer(both: bool) -> Text:
    import torch
    from torchviz import make_dot

    layer = torch.nn.LSTM(INPUT, HIDDEN, LAYERS, bidirectional=both)
    loss = layer(torch.tensor(X))[0].sum()
    return lambda: str(make_dot(loss, params=dict(layer.named_parameters())).source)


def torchviz_loop(both: bool) -> Text:
    import torch
    from torchviz import make_dot

    parameters: dict[str, Any] = {}

    def run(name: str, xs: list[Any], reverse: bool) -> list[Any]:
        cell = torch.nn.LSTMCell(xs[0].shape[-1], HIDDEN)
        parameters.update((f"{name}.{key}", p) for key, p in cell.named_parameters())
        outputs, state = [], None
        for x in reversed(xs) if reverse else xs:
            state = cell(x, state)
            outputs.append(state[0])
        return outputs[::-1] if reverse else outputs

    xs = list(torch.tensor(X))
    for number in range(LAYERS):
        ways = [run(f"l{number}.{way}", xs, bool(way)) for way in range(1 + both)]
        xs = [torch.cat(each, -1) for each in zip(*ways, strict=True)] if both else ways[0]
    loss = torch.stack(xs).sum()
    return lambda: str(make_dot(loss, params=parameters).source)


def torchview_layer(both: bool) -> Text:
    import torch
    from torchview import draw_graph

    layer = torch.nn.LSTM(INPUT, HIDDEN, LAYERS, bidirectional=both)
    return lambda: str(draw_graph(layer, input_data=torch.tensor(X)).visual_graph.source)


# DeZero


def dezero_loop(both: bool) -> Text:
    if both:
        raise NotImplementedError("it has no function that joins the two directions")
    if not hasattr(np, "int"):
        np.int = int  # type: ignore[attr-defined]  # gone since NumPy 1.24, and DeZero asks for it
    from dezero import layers, utils

    stack = [layers.LSTM(HIDDEN, in_size=size) for size in (INPUT, HIDDEN)]
    loss: Any = 0.0
    for x in X:
        for layer in stack:
            x = layer(x)
        loss = loss + x
    return lambda: str(utils.get_dot_graph(loss))


# Keras


def keras_model(both: bool) -> Text:
    import keras

    layers = [keras.layers.LSTM(HIDDEN, return_sequences=True) for _ in range(LAYERS)]
    wrapped = [keras.layers.Bidirectional(layer) for layer in layers] if both else layers
    model = keras.Sequential([keras.Input((STEPS, INPUT)), *wrapped])
    model_to_dot = keras.utils.model_to_dot
    return lambda: str(model_to_dot(model, show_shapes=True, expand_nested=True).to_string())


DRAWINGS = (
    Drawing('tinygrad_rnn, "ops"', (), ours("ops")),
    Drawing('tinygrad_rnn, "cells"', (), ours("cells")),
    Drawing('tinygrad_rnn, "rolled"', (), ours("rolled")),
    Drawing('tinygrad_rnn, "modules"', (), ours("modules", depth=2)),
    Drawing("torchviz, `nn.LSTM`", ("torchviz", "torch"), torchviz_layer),
    Drawing("torchviz, a loop of `nn.LSTMCell`", ("torchviz", "torch"), torchviz_loop),
    Drawing("torchview, `nn.LSTM`", ("torchview", "torch"), torchview_layer),
    Drawing("DeZero, a loop of its LSTM", ("dezero",), dezero_loop),
    Drawing("Keras, `model_to_dot`", ("keras", "pydot", "torch"), keras_model),
)


# Measuring


def counted(text: str) -> tuple[int, int]:
    """The nodes and edges of a DOT text that are seen.

    >>> counted('digraph {\\n a [label=x]\\n b [label=y]\\n a -> b\\n a -> b [style=invis]\\n}')
    (2, 1)
    """
    nodes: set[str] = set()
    edges = 0
    for line in _statements(text):
        edge, node = _EDGE.match(line), _NODE.match(line)
        if edge:
            edges += "style=invis" not in line
        elif node and node[1] not in _NO_NODES and not node[1].startswith("band"):
            nodes.add(node[1])
    return len(nodes), edges


def _statements(text: str) -> Iterator[str]:
    """The lines of a DOT text outside of labels that go over several lines."""
    quoted = False
    for line in text.splitlines():
        if not quoted:
            yield line
        quoted ^= line.replace('\\"', "").count('"') % 2 == 1


def least_time(run: Callable[[], Any]) -> tuple[Any, float]:
    """The result, and the least of a few times, in seconds."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        result = run()
        times.append(time.perf_counter() - start)
    return result, min(times)


def row(drawing: Drawing, both: bool) -> str:
    """What is told of one way to draw: a cell of the table."""
    try:
        text, to_text = least_time(drawing.made(both))
    except ImportError as error:
        return f"skipped: {error} | | |"
    except Exception as error:  # a peer that fails is a result too
        return f"{type(error).__name__}: {error}".splitlines()[0] + " | | |"
    nodes, edges = counted(text)
    try:
        _, to_svg = least_time(lambda: lay_out(text, "svg", LAYOUT_LIMIT))
    except (NoGraphviz, LayoutFailed) as reason:
        return f"{nodes} | {edges} | {to_text:.3f} s | {reason or 'no Graphviz'}"
    return f"{nodes} | {edges} | {to_text:.3f} s | {to_svg:.2f} s"


def versions() -> Iterator[str]:
    """Of all that is installed, in one line each."""
    for name in dict.fromkeys(name for drawing in DRAWINGS for name in drawing.packages):
        try:
            yield f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            yield f"{name}: not installed"


def main() -> None:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    print(", ".join(versions()))
    for both in (False, True):
        print(f"\n{'both directions' if both else 'one direction'}")
        print("| drawn by | nodes | edges | to DOT | to SVG |\n|---|---|---|---|---|")
        for drawing in DRAWINGS:
            print(f"| {drawing.name} | {row(drawing, both)} |", flush=True)


if __name__ == "__main__":
    main()
