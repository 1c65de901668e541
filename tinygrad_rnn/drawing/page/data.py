"""What the page knows of a graph, in columns: a text is stored once and referred to by number."""

from __future__ import annotations

import math
from typing import Any

from ...core.context import step_number
from ..records import GraphData, GraphEdge, GraphNode, Shape, shapes_text
from ..scale import scale_of
from .rules import equation_of, rules_of

BACKWARD = "backward pass"
_KINDS = {"operation": 0, "parameter": 1, "input": 2}
_FOLDED = 3  # whatever a view has made of several
_FIELDS = ("count", "mean", "std", "minimum", "maximum", "norm", "number")


def page_data(graph: GraphData) -> dict[str, Any]:
    """The graph as lists of numbers and texts, ready for JSON.

    >>> from tinygrad_rnn.drawing.records import GraphNode
    >>> data = page_data(GraphData((GraphNode("n0", "operation", "exp", scope=("l0", "t=2")),), ()))
    >>> data["scopes"], data["nodes"]["scope"], data["operations"]["exp"]["rules"]
    ({'parent': [-1, 0, 1], 'name': ['', 'l0', 't=2'], 'step': [-1, -1, 2]}, [2], ['x: g * out'])
    """
    texts, scopes = _Texts(), _Scopes()
    labels = dict.fromkeys(n.label for n in graph.nodes if n.kind == "operation")
    return {
        "nodes": _nodes(graph.nodes, texts, scopes),
        "edges": _edges(graph, texts),
        "scopes": scopes.columns,
        "operations": {
            label: {"equation": equation_of(label), "rules": rules_of(label)} for label in labels
        },
        "texts": texts.all,
        "fields": _FIELDS,
        "values": _summaries(graph.nodes, "value"),
        "gradients": _summaries(graph.nodes, "gradient"),
        "scale": _scale(graph),
    }


class _Texts:
    """Texts by number, each once."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        found = self._numbers.get(text)
        if found is None:
            found = self._numbers[text] = len(self.all)
            self.all.append(text)
        return found


class _Scopes:
    """Scopes by number, a parent before its children; 0 is what stands in none.

    What a backward pass made stands in a box of its own: it has the scopes of the forward pass.
    """

    def __init__(self) -> None:
        self.columns: dict[str, list[Any]] = {"parent": [-1], "name": [""], "step": [-1]}
        self._numbers: dict[tuple[bool, tuple[str, ...]], int] = {(False, ()): 0}

    def number(self, path: tuple[str, ...], backward: bool) -> int:
        found = self._numbers.get((backward, path))
        if found is not None:
            return found
        missing = []
        while (backward, path) not in self._numbers and path:
            missing.append(path)
            path = path[:-1]
        parent = self._numbers.get((backward, path))
        if parent is None:
            parent = self._add(0, BACKWARD, (backward, ()))
        for each in reversed(missing):
            parent = self._add(parent, each[-1], (backward, each))
        return parent

    def _add(self, parent: int, name: str, key: tuple[bool, tuple[str, ...]]) -> int:
        step = step_number(name)
        for column, value in (("parent", parent), ("name", name), ("step", step)):
            self.columns[column].append(-1 if value is None else value)
        self._numbers[key] = number = len(self._numbers)
        return number


def _nodes(nodes: tuple[GraphNode, ...], texts: _Texts, scopes: _Scopes) -> dict[str, Any]:
    shapes: dict[tuple[Shape, ...], int] = {}
    dtypes: dict[tuple[str, ...], int] = {}
    for node in nodes:
        if node.shapes not in shapes:
            shapes[node.shapes] = texts.number(shapes_text(node.shapes))
        if node.dtypes not in dtypes:
            dtypes[node.dtypes] = texts.number(", ".join(dict.fromkeys(node.dtypes)))
    return {
        "kind": [_KINDS.get(n.kind, _FOLDED) for n in nodes],
        "label": [texts.number(n.label) for n in nodes],
        "name": [texts.number(n.name or "") for n in nodes],
        "detail": [texts.number(n.detail) for n in nodes],
        "shapes": [shapes[n.shapes] for n in nodes],
        "dtypes": [dtypes[n.dtypes] for n in nodes],
        "scope": [scopes.number(n.scope, n.backward) for n in nodes],
        "backward": [int(n.backward) for n in nodes],
        "output": [int(n.is_output) for n in nodes],
    }


def _edges(graph: GraphData, texts: _Texts) -> dict[str, Any]:
    place = {n.id: number for number, n in enumerate(graph.nodes)}

    def carried(edge: GraphEdge) -> str:
        source = graph.nodes[place[edge.source]]
        return edge.label or (source.name or "" if source.kind == "operation" else "")

    return {
        "source": [place[e.source] for e in graph.edges],
        "target": [place[e.target] for e in graph.edges],
        "argument": [texts.number(e.argument) for e in graph.edges],
        "carried": [texts.number(carried(e)) for e in graph.edges],
        "count": [e.count for e in graph.edges],
    }


def _summaries(nodes: tuple[GraphNode, ...], of: str) -> list[list[Any] | None]:
    """The summaries of values or gradients, node by node; empty if nothing was recorded."""
    found = [getattr(node, of) for node in nodes]
    if not any(found):
        return []
    return [s and [_number(getattr(s, field)) for field in _FIELDS] for s in found]


def _scale(graph: GraphData) -> dict[str, Any] | None:
    scale = scale_of(graph.nodes)
    if scale is None:
        return None
    steps = [(fill, ink) for fill, ink, _ in scale.legend()]
    return {
        "low": scale.low,
        "high": scale.high,
        "colourSteps": steps,
        "zero": scale.colour(0.0),
    }


def _number(value: float | None) -> float | str | None:
    """Four digits are enough to read; JSON has no infinities."""
    if value is None or isinstance(value, int):
        return value
    return float(f"{value:.4g}") if math.isfinite(value) else str(value)
