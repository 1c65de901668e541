"""Views: pure functions from a graph to a smaller graph, for people to read.

A folded node keeps the id of the first node it holds, and `holds` lists them all; merged edges keep
their `count`. So every edge of the graph can be found again in every view.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from ..core.context import join_names
from .records import GraphData, GraphEdge, GraphNode, shapes_text
from .steps import innermost_step

G = TypeVar("G", bound=GraphData)

# Beyond this many operations a picture of all of them can't be read, nor soon be laid out.
_MOST_OPERATIONS = 300


def ops(graph: G) -> G:
    """Every operation."""
    return graph


def cells(graph: G) -> G:
    """One node for the operations of each time step, and one for the parameters they share."""
    if graph.view == "cells":
        return graph
    groups = _steps(graph.nodes)
    groups += _shared_parameters(graph, _owners(groups))
    owner = _owners(groups)
    edges = _merged(graph, owner)
    leaving = _leaving(graph, owner)
    folded = {group[0].id: _fold(group, leaving) for group in groups}
    nodes = [
        _beside_cells(folded.get(node.id, node))
        for node in graph.nodes
        if owner.get(node.id, node.id) == node.id
    ]
    return replace(graph, nodes=tuple(nodes), edges=tuple(edges), view="cells")


VIEWS: dict[str, Callable[[GraphData], GraphData]] = {"ops": ops, "cells": cells}


def seen_as(graph: GraphData, view: str | None) -> GraphData:
    """The graph in a view; None chooses by size.

    Raises:
        ValueError: for an unknown view, naming the known ones.
    """
    if view is None:
        view = "ops" if graph.view == "cells" or _is_small(graph) else "cells"
    if view not in VIEWS:
        known = ", ".join(map(repr, VIEWS))
        raise ValueError(f"there is no view {view!r}; the views are {known}")
    return VIEWS[view](graph)


def _is_small(graph: GraphData) -> bool:
    return sum(n.kind == "operation" for n in graph.nodes) <= _MOST_OPERATIONS


def _steps(nodes: Iterable[GraphNode]) -> list[list[GraphNode]]:
    """The operations of each time step; those of a backward pass apart."""
    groups: dict[tuple[tuple[str, ...], bool], list[GraphNode]] = {}
    for node in nodes:
        step = innermost_step(node.scope) if node.kind == "operation" else ()
        if step:
            groups.setdefault((step, node.backward), []).append(node)
    return list(groups.values())


def _shared_parameters(graph: GraphData, owner: dict[str, str]) -> list[list[GraphNode]]:
    """The parameters that go to the same cells, such as the weights and biases of a layer."""
    users: dict[str, dict[str, None]] = {n.id: {} for n in graph.nodes if n.kind == "parameter"}
    for edge in graph.edges:
        if edge.source in users:
            users[edge.source][owner.get(edge.target, "")] = None
    groups: dict[tuple[str, ...], list[GraphNode]] = {}
    for node in graph.nodes:
        if node.id in users and not node.is_output and users[node.id] and "" not in users[node.id]:
            groups.setdefault(tuple(sorted(users[node.id])), []).append(node)
    return [group for group in groups.values() if len(group) > 1]


def _owners(groups: Iterable[list[GraphNode]]) -> dict[str, str]:
    return {node.id: group[0].id for group in groups for node in group}


def _carried(node: GraphNode, edge: GraphEdge) -> str:
    """The name of what an edge brings from an operation; empty without one."""
    return edge.label or (node.name or "" if node.kind == "operation" else "")


def _merged(graph: GraphData, owner: dict[str, str]) -> list[GraphEdge]:
    """One edge for all between two nodes of the view, labelled with what they carry."""
    by_id = {n.id: n for n in graph.nodes}
    order = {n.id: number for number, n in enumerate(graph.nodes)}
    found: dict[tuple[str, str], list[GraphEdge]] = {}
    for edge in graph.edges:
        source = owner.get(edge.source, edge.source)
        target = owner.get(edge.target, edge.target)
        if source != target:
            found.setdefault((source, target), []).append(edge)
    merged = []
    for (source, target), edges in found.items():
        by_source = sorted(edges, key=lambda e: order[e.source])
        names = dict.fromkeys(_carried(by_id[e.source], e) for e in by_source)
        label = ", ".join(name for name in names if name)
        merged.append(GraphEdge(source, target, label=label, count=len(edges)))
    return merged


def _leaving(graph: GraphData, owner: dict[str, str]) -> dict[str, dict[str, None]]:
    """By operation: the names under which its results leave the node that it is folded into."""
    by_id = {n.id: n for n in graph.nodes}
    found = {n.id: {n.name or "": None} for n in graph.nodes if n.is_output}
    for edge in graph.edges:
        if owner.get(edge.source) != owner.get(edge.target, edge.target):
            carried = _carried(by_id[edge.source], edge)
            found.setdefault(edge.source, {})[carried] = None
    return found


def _fold(group: list[GraphNode], leaving: dict[str, dict[str, None]]) -> GraphNode:
    first = group[0]
    if first.kind == "parameter":
        return _fold_parameters(group)
    step = innermost_step(first.scope)
    results = [n for n in group if n.id in leaving]
    names = dict.fromkeys(name for n in results for name in leaving[n.id] if name)
    shapes = dict.fromkeys(shape for n in results for shape in n.shapes)
    dtypes = dict.fromkeys(dtype for n in results for dtype in n.dtypes)
    return GraphNode(
        id=first.id,
        kind="cell",
        label=join_names(step[:-1]) or "step",
        name=step[-1],
        detail="→ " + ", ".join(names) if names else "",
        shapes=tuple(shapes),
        dtypes=tuple(dtypes),
        scope=step[:-1],
        backward=first.backward,
        is_output=any(n.is_output for n in group),
        holds=tuple([n.id for n in group]),
    )


def _fold_parameters(group: list[GraphNode]) -> GraphNode:
    lines = [f"{n.name or n.label} {shapes_text(n.shapes)}" for n in group]
    return replace(
        group[0],
        label="\n".join(lines),
        name=None,
        shapes=(),
        dtypes=(),
        holds=tuple([n.id for n in group]),
    )


def _beside_cells(node: GraphNode) -> GraphNode:
    """A leaf of a folded step stands beside the cell, in the box around it."""
    step = innermost_step(node.scope)
    return replace(node, scope=step[:-1]) if step and node.kind != "cell" else node
