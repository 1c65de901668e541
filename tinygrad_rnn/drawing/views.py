"""Views: pure functions from a graph to a smaller graph, for people to read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

from .boxes import Box, Chooser
from .cotangents import with_cotangents
from .fold import fold
from .options import Options
from .parameter_views import with_views
from .records import GraphData, GraphNode
from .sequences import sequences
from .steps import innermost_step

G = TypeVar("G", bound=GraphData)

VIEWS = ("ops", "cells", "rolled", "modules", "backward")

# Beyond this many operations a picture of all of them can't be read, nor soon be laid out.
_MOST_OPERATIONS = 150
_MOST_STEPS = 12  # of a layer, that a picture shows unasked
_SHOWN_STEPS = 3
_MOST_NODES = 1000
_SHOWN_NODES = 25


def seen_as(graph: G, options: Options) -> G:
    """The graph as `options` say.

    Raises:
        ValueError: for an unknown view, naming the known ones; for a graph that is folded already.
    """
    if options.view is not None and options.view not in VIEWS:
        known = ", ".join(map(repr, VIEWS))
        raise ValueError(f"there is no view {options.view!r}; the views are {known}")
    if graph.view != "ops" or any(node.holds for node in graph.nodes):
        if options == Options(view=options.view) and options.view in (None, graph.view):
            return graph
        raise ValueError(
            f"this graph shows the view {graph.view!r}: only a graph of all operations can be seen "
            "in another way"
        )
    if options.view is None:
        return _by_size(graph, options)
    return _folded(graph, options)


def _by_size(graph: G, options: Options) -> G:
    """The graph in a view that can be read."""
    operations = sum(node.kind == "operation" for node in graph.nodes)
    steps = options.steps
    longest = longest_run(graph)
    if steps is None and longest > _MOST_STEPS:
        steps = _SHOWN_STEPS
    if operations <= _MOST_OPERATIONS:
        return _folded(graph, replace(options, view="ops"))
    view = "cells" if longest else "modules"
    seen = _folded(graph, replace(options, view=view, steps=steps))
    return _without_middle(seen) if len(seen.nodes) > _MOST_NODES else seen


def smaller(graph: G, options: Options) -> G:
    """The graph in fewer nodes, for a picture that proved too large."""
    view = "rolled" if options.view == "rolled" else "cells" if longest_run(graph) else "modules"
    seen = _folded(graph, replace(options, view=view, steps=1))
    return _without_middle(seen) if len(seen.nodes) > _MOST_NODES else seen


def longest_run(graph: GraphData) -> int:
    """The number of time steps of the longest run over time."""
    runs: dict[tuple[str, ...], set[str]] = {}
    for path in {node.scope for node in graph.nodes if node.kind == "operation"}:
        step = innermost_step(path)
        if step:
            runs.setdefault(step[:-1], set()).add(step[-1])
    return max(map(len, runs.values()), default=0)


def _folded(graph: G, options: Options) -> G:
    whole = graph
    if options.view in ("cells", "rolled", "backward"):
        graph = with_views(graph)
    operations = [node for node in graph.nodes if node.kind == "operation"]
    chooser = Chooser(operations, options)
    boxes = {n.id: box for n in operations if (box := chooser.box(n.scope, n.backward))}
    if options.view in ("cells", "rolled", "backward"):
        boxes.update(sequences(graph, boxes))
    seen = fold(graph, boxes, chooser.box) if boxes else graph
    if graph is not whole:
        seen = _with_whole_holdings(seen, graph)
    if options.view == "backward":
        seen = with_cotangents(seen)
    if options.parameters == "per step":
        seen = _parameters_apart(seen)
    elided = any(node.kind == "elided" for node in seen.nodes)
    return replace(
        seen,
        view=options.view or graph.view,
        steps=options.steps if elided else None,
        colour=options.colour,
    )


def _without_middle(graph: G) -> G:
    """The graph with one box for all but its first and last operations."""
    operations = [n for n in graph.nodes if n.kind not in ("parameter", "input")]
    middle = operations[_SHOWN_NODES:-_SHOWN_NODES]
    box = Box("elided", ())
    bare = [replace(node, holds=()) for node in graph.nodes]
    seen = fold(replace(graph, nodes=tuple(bare)), {n.id: box for n in middle}, _no_box)
    return _with_whole_holdings(seen, graph)


def _no_box(path: tuple[str, ...]) -> None:
    return None


def _with_whole_holdings(seen: G, before: GraphData) -> G:
    """`seen`, folded from `before`, whose nodes hold what those of `before` held."""
    held = {node.id: node.holds or (node.id,) for node in before.nodes}
    several = {node.id for node in before.nodes if node.holds}

    def whole(node: GraphNode) -> tuple[str, ...]:
        if not node.holds:
            return held[node.id] if node.id in several else ()
        return tuple([inner for each in node.holds for inner in held[each]])

    return replace(seen, nodes=tuple([replace(n, holds=whole(n)) for n in seen.nodes]))


def _parameters_apart(graph: G) -> G:
    """The graph with each parameter drawn once for every node that uses it."""
    copies: dict[str, dict[str, str]] = {n.id: {} for n in graph.nodes if n.kind == "parameter"}
    edges = []
    for edge in graph.edges:
        mine = copies.get(edge.source)
        if mine is not None and not edge.backward:
            name = f"{edge.source}_{len(mine)}" if mine else edge.source
            edge = replace(edge, source=mine.setdefault(edge.target, name))
        edges.append(edge)
    place = {node.id: node.scope for node in graph.nodes}
    users = {copy: target for mine in copies.values() for target, copy in mine.items()}

    def apart() -> Iterator[GraphNode]:
        for node in graph.nodes:
            if len(copies.get(node.id, ())) < 2:
                yield node
                continue
            for copy in copies[node.id].values():
                yield replace(node, id=copy, scope=place[users[copy]])

    return replace(graph, nodes=tuple(apart()), edges=tuple(edges))
