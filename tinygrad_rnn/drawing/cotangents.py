"""The way of the gradients, drawn beside the way forward."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

from .records import GraphData, GraphEdge, GraphNode

G = TypeVar("G", bound=GraphData)


def with_cotangents(graph: G) -> G:
    """The graph with a cotangent for each node that a gradient passes, and their edges, reversed.

    A graph that a backward pass has already made nodes for (create_graph=True) has them as they
    are.
    """
    if any(node.backward for node in graph.nodes):
        return graph
    passed = _passed(graph)
    nodes = [_cotangent(node) for node in reversed(graph.nodes) if node.id in passed]
    edges = [
        GraphEdge(
            _name(edge.target),
            _name(edge.source),
            label=", ".join(_turned(edge.label)),
            count=edge.count,
            backward=True,
        )
        for edge in reversed(graph.edges)
        if edge.source in passed and edge.target in passed
    ]
    return replace(graph, nodes=(*graph.nodes, *nodes), edges=(*graph.edges, *edges))


def _passed(graph: GraphData) -> set[str]:
    """The ids of the nodes that depend on a parameter."""
    after: dict[str, list[str]] = {}
    for edge in graph.edges:
        after.setdefault(edge.source, []).append(edge.target)
    found: set[str] = set()
    pending = [node.id for node in graph.nodes if node.kind == "parameter"]
    while pending:
        ident = pending.pop()
        if ident not in found:
            found.add(ident)
            pending.extend(after.get(ident, ()))
    return found


def _cotangent(node: GraphNode) -> GraphNode:
    name = node.name
    if node.kind == "parameter" and name is None and node.holds:
        name = node.label.split("\n")[0].split(" ")[0] + (", …" if "\n" in node.label else "")
    return GraphNode(
        id=_name(node.id),
        kind="cotangent",
        label=node.label if node.kind != "parameter" else "gradient",
        name=f"∂ {name or node.label}",
        shapes=node.shapes,
        dtypes=node.dtypes,
        scope=node.scope,
        backward=True,
        times=node.times,
        value=node.gradient,
        gradient=node.gradient,
    )


def _name(ident: str) -> str:
    return f"g{ident}"


def _turned(label: str) -> Iterator[str]:
    """What an edge brings back."""
    return (f"∂{part}" for part in label.split(", ") if part)
