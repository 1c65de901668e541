"""A graph as text in Graphviz' DOT language. The same graph gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..core.context import step_number
from .dot_grid import grid_text
from .dot_labels import BLACK, GREY, PALE, PURPLE, RAIL, caption_label, html, node_text
from .grid import grid_of
from .nesting import nested
from .records import GraphData, GraphEdge, GraphNode
from .scale import Scale, scale_of
from .steps import innermost_step

_HEAD = f"""digraph {{
  graph [rankdir=LR, newrank=true, fontname="Helvetica,Arial,sans-serif", fontsize=11,
         fontcolor="{GREY}", labelloc=b, labeljust=l, nodesep=0.2, ranksep=0.4, bgcolor=white]
  node [shape=box, style="rounded,filled", fillcolor=white, color="{GREY}",
        fontname="Helvetica,Arial,sans-serif", fontsize=12, fontcolor="{BLACK}",
        height=0.3, margin="0.09,0.05"]
  edge [color="{GREY}", fontname="Helvetica,Arial,sans-serif", fontsize=9,
        fontcolor="{GREY}", arrowsize=0.6]
"""


def dot_text(graph: GraphData) -> str:
    """The DOT text of a graph as it stands, without choosing a view.

    What is a grid of time and layers has its positions in it.
    """
    scale = scale_of(graph.nodes) if graph.colour == "gradient" else None
    grid = grid_of(graph)
    if grid is not None:
        return grid_text(graph, grid, scale)
    parts = [_HEAD, f"  label=<{caption_label(graph, scale)}>\n"]
    if graph.view == "rolled":
        parts.append("  rankdir=BT\n")
    if graph.view != "ops":
        parts.append("  ranksep=0.7\n")  # room for the names of the states on the edges
    parts += _boxes(graph, scale)
    by_id = {n.id: n for n in graph.nodes}
    parts += [_edge(edge, by_id, graph.view == "rolled") for edge in graph.edges]
    parts += _spacers(graph)
    parts.append("}\n")
    return "".join(parts)


def _boxes(graph: GraphData, scale: Scale | None) -> Iterator[str]:
    """The nodes, each in the boxes of its scope; outer boxes first."""
    number = 0
    for box, ends in nested(graph.nodes):
        indent = "  " * (len(box.path) + 1)
        if ends:
            yield f"{indent[2:]}}}\n"
            continue
        if box.path:
            yield _box_head(box.path, number, indent[2:])
            number += 1
        yield from (f"{indent}{node_text(node, scale)}\n" for node in box.nodes)


def _box_head(path: tuple[str, ...], number: int, indent: str) -> str:
    is_step = step_number(path[-1]) is not None
    look = {
        "label": f"<<B>{html(path[-1])}</B>>",
        "labelloc": "t",
        "labeljust": "l",
        "style": '"rounded,filled"',
        "color": f'"{GREY if is_step else "#BBBBBB"}"',
        "fillcolor": "white" if is_step else f'"{PALE}"',
        "margin": "8",
    }
    text = ", ".join(f"{k}={v}" for k, v in look.items())
    return f"{indent}subgraph cluster_{number} {{\n{indent}  graph [{text}]\n"


def _edge(edge: GraphEdge, by_id: dict[str, GraphNode], has_room: bool) -> str:
    source, target = by_id[edge.source], by_id[edge.target]
    look = []
    if edge.label:
        # With `label`, which takes part in the layout, 50 steps take 10 s instead of 0.6 s.
        kind = "label=<&#160;&#160;" if source is target or has_room else "xlabel=<"
        look.append(f"{kind}{html(edge.label)}>")
    if source.kind == target.kind == "cell":
        look.append("weight=20")
    if source.kind == "parameter":
        look.append(f'color="{RAIL}", arrowsize=0.45')
    first, last = edge.source, edge.target
    if source.backward:
        look.append(f'color="{PURPLE}", style=dashed')
    if (source.backward and target.backward) or _goes_back(source, target):
        # Drawn from the later to the earlier step, but laid out with time from left to right.
        first, last = last, first
        look.append("dir=back")
    elif target.backward:
        look.append("constraint=false")
    text = f" [{', '.join(look)}]" if look else ""
    return f"  {first} -> {last}{text}\n"


def _goes_back(source: GraphNode, target: GraphNode) -> bool:
    """Whether an edge runs from a cell to the cell of an earlier time step beside it."""
    if source.kind != "cell" or target.kind != "cell" or source.scope != target.scope:
        return False
    first, second = step_number(source.name or ""), step_number(target.name or "")
    return first is not None and second is not None and first > second


def _spacers(graph: GraphData) -> Iterator[str]:
    """Invisible edges, so that a time step's box begins where the one before it ends."""
    step = {n.id: innermost_step(n.scope) for n in graph.nodes if not n.backward}
    edges = [e for e in graph.edges if e.source in step and e.target in step]
    inner = [e for e in edges if step[e.source] == step[e.target]]
    ends = _members(step, {e.source for e in inner})
    starts = _members(step, {e.target for e in inner})
    for before, after in _consecutive(edges, step):
        for first in ends.get(before, ()):
            for last in starts.get(after, ()):
                yield f"  {first} -> {last} [style=invis]\n"


def _members(step: dict[str, tuple[str, ...]], left_out: set[str]) -> dict[Any, list[str]]:
    """The nodes of each step but those in `left_out`."""
    found: dict[Any, list[str]] = {}
    for ident, path in step.items():
        if path and ident not in left_out:
            found.setdefault(path, []).append(ident)
    return found


def _consecutive(
    edges: list[GraphEdge], step: dict[str, tuple[str, ...]]
) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Pairs of neighbouring steps of which the second needs the first, and not the other way."""
    pairs = dict.fromkeys((step[e.source], step[e.target]) for e in edges)
    return [
        (a, b) for a, b in pairs if a and b and a != b and a[:-1] == b[:-1] and (b, a) not in pairs
    ]
