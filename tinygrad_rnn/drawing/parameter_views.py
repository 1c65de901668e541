"""Parameters that are read through views, such as a transposed weight: as one with them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TypeVar

from .records import GraphData, GraphNode
from .steps import innermost_step

G = TypeVar("G", bound=GraphData)

_VIEWS = ("getitem", "reshape", "split", "swapaxes", "transpose", "unstack")
_PLACES = re.compile(r"\[[\d:, -]+\]")  # what getitem takes, if it isn't an array


def with_views(graph: G) -> G:
    """The graph with each parameter holding the views of it that stand outside of time steps."""
    by_id = {node.id: node for node in graph.nodes}
    sources: dict[str, set[str]] = {}
    for edge in graph.edges:
        sources.setdefault(edge.target, set()).add(edge.source)
    owner: dict[str, str] = {}
    for node in filter(_is_view, graph.nodes):
        seen = {owner.get(source, source) for source in sources.get(node.id, ())}
        if len(seen) == 1 and by_id[first := seen.pop()].kind == "parameter":
            owner[node.id] = first
    if not owner:
        return graph
    holds: dict[str, list[str]] = {}
    for view, parameter in owner.items():
        holds.setdefault(parameter, [parameter]).append(view)
    nodes = [
        replace(node, holds=tuple(holds[node.id])) if node.id in holds else node
        for node in graph.nodes
        if node.id not in owner
    ]
    edges = [
        replace(edge, source=owner[edge.source], output=None) if edge.source in owner else edge
        for edge in graph.edges
        if edge.target not in owner
    ]
    return replace(graph, nodes=tuple(nodes), edges=tuple(edges))


def _is_view(node: GraphNode) -> bool:
    if node.kind != "operation" or node.label not in _VIEWS or node.backward or node.is_output:
        return False
    if node.label == "getitem" and not _PLACES.fullmatch(node.detail):
        return False
    return not innermost_step(node.scope)
