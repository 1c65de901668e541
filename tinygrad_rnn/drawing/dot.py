"""A graph as text in Graphviz' DOT language. The same graph gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..core.context import step_number
from .records import GraphData, GraphEdge, GraphNode, shapes_text
from .steps import innermost_step

# Okabe and Ito's colours, told apart by the colour-blind; the shapes tell the kinds apart in grey.
_BLACK, _GREY, _PALE = "#222222", "#666666", "#F6F6F6"
_BLUE, _ORANGE, _GREEN, _PURPLE = "#0072B2", "#D55E00", "#009E73", "#A6508A"
_LONGEST_LINE = 60
_LONG_DETAIL = 16
# Graphviz replaces \N, \G and the like by names of its own, in HTML-like labels too.
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\\": "\\\\"}

_HEAD = f"""digraph {{
  graph [rankdir=LR, newrank=true, fontname="Helvetica,Arial,sans-serif", fontsize=11,
         fontcolor="{_GREY}", labelloc=b, labeljust=l, nodesep=0.2, ranksep=0.4, bgcolor=white]
  node [shape=box, style="rounded,filled", fillcolor=white, color="{_GREY}",
        fontname="Helvetica,Arial,sans-serif", fontsize=12, fontcolor="{_BLACK}",
        height=0.3, margin="0.09,0.05"]
  edge [color="{_GREY}", fontname="Helvetica,Arial,sans-serif", fontsize=9,
        fontcolor="{_GREY}", arrowsize=0.6]
"""

_LOOKS = {
    "operation": {},
    "named": {"fillcolor": "#E1EFF8", "color": _BLUE},
    "cell": {"fillcolor": "#E1EFF8", "color": _BLUE, "margin": "0.15,0.09"},
    "parameter": {"shape": "cylinder", "style": "filled", "fillcolor": "#FDE9D9", "color": _ORANGE},
    "input": {"shape": "ellipse", "style": "filled", "fillcolor": "#EDEDED", "margin": "0.02,0.02"},
    "backward": {"style": "rounded,filled,dashed", "fillcolor": "#F6E6F1", "color": _PURPLE},
}
_OUTPUT = {"peripheries": "2", "color": _GREEN, "penwidth": "1.5"}


def dot_text(graph: GraphData) -> str:
    """The DOT text of a graph as it stands, without choosing a view."""
    caption = "".join(f'{_escaped(line)}<BR ALIGN="LEFT"/>' for line in _caption(graph))
    parts = [_HEAD, f"  label=<{caption}>\n"]
    if graph.view == "cells":
        parts.append("  ranksep=0.7\n")  # room for the names of the states on the edges
    parts += _boxes(graph.nodes)
    by_id = {n.id: n for n in graph.nodes}
    parts += [_edge(edge, by_id) for edge in graph.edges]
    parts += _spacers(graph)
    parts.append("}\n")
    return "".join(parts)


def _caption(graph: GraphData) -> tuple[str, str]:
    counts = [
        f"{n} {word if n == 1 else word + 's'}"
        for word in ("cell", "operation", "parameter", "input")
        if (n := sum(_weight(node) for node in graph.nodes if node.kind == word))
    ]
    if graph.view == "cells":
        views = 'view "cells": each time step is one box; view="ops" shows every operation'
    else:
        views = 'view "ops": every operation; view="cells" folds each time step into one box'
    return views, ", ".join(counts)


def _weight(node: GraphNode) -> int:
    return len(node.holds) if node.kind == "parameter" and node.holds else 1


class _Box:
    """A scope as a box, with what stands in it."""

    def __init__(self, path: tuple[str, ...]) -> None:
        self.path = path
        self.nodes: list[GraphNode] = []
        self.boxes: list[_Box] = []


def _boxes(nodes: tuple[GraphNode, ...]) -> Iterator[str]:
    """The nodes, each in the boxes of its scope; outer boxes first."""
    root = _nested(nodes)
    pending: list[_Box | str] = [root]
    number = 0
    while pending:
        box = pending.pop()
        if isinstance(box, str):
            yield box
            continue
        indent = "  " * (len(box.path) + 1)
        if box.path:
            yield _box_head(box.path, number, indent[2:])
            number += 1
            pending.append(f"{indent[2:]}}}\n")
        yield from (f"{indent}{_node(node)}\n" for node in box.nodes)
        pending.extend(reversed(box.boxes))


def _nested(nodes: tuple[GraphNode, ...]) -> _Box:
    root = _Box(())
    known: dict[tuple[str, ...], _Box] = {(): root}
    for node in nodes:
        for length in range(1, len(node.scope) + 1):
            path = node.scope[:length]
            if path not in known:
                known[path] = _Box(path)
                known[path[:-1]].boxes.append(known[path])
        known[node.scope].nodes.append(node)
    return root


def _box_head(path: tuple[str, ...], number: int, indent: str) -> str:
    is_step = step_number(path[-1]) is not None
    look = {
        "label": f"<<B>{_lines(path[-1])}</B>>",
        "labelloc": "t",
        "labeljust": "l",
        "style": '"rounded,filled"',
        "color": f'"{_GREY if is_step else "#BBBBBB"}"',
        "fillcolor": "white" if is_step else f'"{_PALE}"',
        "margin": "8",
    }
    text = ", ".join(f"{k}={v}" for k, v in look.items())
    return f"{indent}subgraph cluster_{number} {{\n{indent}  graph [{text}]\n"


def _node(node: GraphNode) -> str:
    look = dict(_LOOKS[_look(node)])
    if node.is_output:
        look.update(_OUTPUT)
    attributes = "".join(f', {key}="{value}"' for key, value in look.items())
    return f"{node.id} [label=<{_label(node)}>{attributes}]"


def _look(node: GraphNode) -> str:
    if node.backward:
        return "backward"
    return "named" if node.kind == "operation" and node.name else node.kind


def _label(node: GraphNode) -> str:
    """Name, operation, shape: a line each."""
    is_leaf = node.kind in ("parameter", "input")
    lines = [f"<B>{_lines(node.name)}</B>"] if node.name else []
    if not (is_leaf and node.name):
        lines.append(_lines(node.label))
    if node.detail:
        if len(node.label) + len(node.detail) < _LONG_DETAIL:
            lines[-1] += f" {_lines(node.detail)}"
        else:
            lines.append(_small(node.detail))
    if node.shapes:
        lines.append(_small(shapes_text(node.shapes)))
    return "<BR/>".join(lines)


def _small(text: str) -> str:
    return f'<FONT POINT-SIZE="11" COLOR="{_GREY}">{_lines(text)}</FONT>'


def _edge(edge: GraphEdge, by_id: dict[str, GraphNode]) -> str:
    source, target = by_id[edge.source], by_id[edge.target]
    look = []
    if edge.label:
        # With `label`, which takes part in the layout, 50 steps take 10 s instead of 0.6 s.
        look.append(f"xlabel=<{_lines(edge.label)}>")
    if source.kind == target.kind == "cell":
        look.append("weight=20")
    if source.kind == "parameter":
        look.append('color="#E8B48F", arrowsize=0.45')
    first, last = edge.source, edge.target
    if _goes_back(source, target):
        # Drawn from the later to the earlier step, but laid out with time from left to right.
        first, last = last, first
        look.append("dir=back")
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
    step = {n.id: innermost_step(n.scope) for n in graph.nodes}
    inner = [e for e in graph.edges if step[e.source] == step[e.target]]
    ends = _members(step, {e.source for e in inner})
    starts = _members(step, {e.target for e in inner})
    for before, after in _consecutive(graph, step):
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
    graph: GraphData, step: dict[str, tuple[str, ...]]
) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Pairs of neighbouring steps of which the second needs the first, and not the other way."""
    pairs = dict.fromkeys((step[e.source], step[e.target]) for e in graph.edges)
    return [
        (a, b) for a, b in pairs if a and b and a != b and a[:-1] == b[:-1] and (b, a) not in pairs
    ]


def _lines(text: str) -> str:
    """Text for an HTML-like label: escaped, its lines apart and not too long."""
    return "<BR/>".join(_escaped(_elided(line)) for line in text.split("\n"))


def _elided(line: str) -> str:
    if len(line) <= _LONGEST_LINE:
        return line
    half = _LONGEST_LINE // 2
    return f"{line[:half]}…{line[-half + 1 :]}"


def _escaped(text: str) -> str:
    """Text without anything that DOT or HTML would read as its own."""
    if text.isalnum():
        return text
    safe = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    for character, entity in _ENTITIES.items():
        safe = safe.replace(character, entity)
    return safe
