"""A grid of time and layers as DOT text with positions, which Graphviz only has to draw."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from .dot_labels import (
    BLACK,
    GREY,
    PALE,
    PURPLE,
    RAIL,
    caption_label,
    escaped,
    html,
    node_text,
)
from .grid import Band, Grid, Spot, bare
from .records import GraphData, GraphEdge, GraphNode
from .scale import Scale

Point = tuple[float, float]

# `nop2` is Graphviz' layout that takes all positions as they are.
_HEAD = f"""digraph {{
  graph [layout=nop2, fontname="Helvetica,Arial,sans-serif", fontsize=11, fontcolor="{GREY}",
         labelloc=b, labeljust=l, bgcolor=white, outputorder=nodesfirst]
  node [shape=box, style="rounded,filled", fillcolor=white, color="{GREY}",
        fontname="Helvetica,Arial,sans-serif", fontsize=12, fontcolor="{BLACK}",
        height=0.3, margin="0.02,0.01"]
  edge [color="{GREY}", fontname="Helvetica,Arial,sans-serif", fontsize=9,
        fontcolor="{GREY}", arrowsize=0.6]
"""
_BACKWARD_RAIL = "#D7A6CB"
_ARROW = 6.0  # how long an arrow's head is
_LABEL = 11.0  # how high a label is


def grid_text(graph: GraphData, grid: Grid, scale: Scale | None) -> str:
    """The DOT text of a graph whose nodes have the positions in `grid`."""
    parts = [_HEAD, f"  label=<{caption_label(graph, scale)}>\n"]
    for number, band in enumerate(grid.bands):
        parts.append(f"  band{number} [{_band(band)}]\n")
    for node in graph.nodes:
        spot = grid.spots[node.id]
        # a second outline would lie on the arrows' heads
        thick = ', peripheries="1", penwidth="3"' if node.is_output else ""
        where = f', margin="0", pos="{_at(spot.x, spot.y)}", {_size(spot)}{thick}'
        parts.append(f"  {node_text(bare(node), scale, where)}\n")
    by_id = {node.id: node for node in graph.nodes}
    parts += _edges(graph, grid, by_id)
    parts.append("}\n")
    return "".join(parts)


def _band(band: Band) -> str:
    spot, fill = band.spot, "#FBF3F9" if band.backward else PALE
    table = (
        f'<TABLE BORDER="0" CELLBORDER="0" FIXEDSIZE="TRUE" WIDTH="{spot.width - 8:.0f}" '
        f'HEIGHT="{spot.height - 6:.0f}"><TR><TD ALIGN="LEFT" VALIGN="TOP">'
        f"<B>{html(band.title)}</B></TD></TR></TABLE>"
    )
    return (
        f'label=<{table}>, color="#DDDDDD", fillcolor="{fill}", fontcolor="{GREY}", margin="0", '
        f'pos="{_at(spot.x, spot.y)}", {_size(spot)}'
    )


def _size(spot: Spot) -> str:
    return f"width={spot.width / 72:.3f}, height={spot.height / 72:.3f}"


def _at(x: float, y: float) -> str:
    return f"{x:.1f},{y:.1f}"


def _edges(graph: GraphData, grid: Grid, by_id: dict[str, GraphNode]) -> Iterator[str]:
    begun: dict[Point, int] = {}
    columns: dict[int, list[Spot]] = {}
    for spot in grid.spots.values():
        columns.setdefault(round(spot.x), []).append(spot)
    for edge in graph.edges:
        source = by_id[edge.source]
        points = _route(edge, grid)
        if _is_barred(points, columns):
            points = _into_the_side(grid.spots[edge.source], grid.spots[edge.target])
        look = [f'pos="{_spline(points)}"']
        if edge.label:
            before = begun.get(points[0], 0)  # lines that begin here have their labels in a column
            begun[points[0]] = before + 1
            look.append(f'label=<{escaped(edge.label)}>, lp="{_label_at(edge, points, before)}"')
        if source.kind == "parameter":
            look.append(f'color="{RAIL}", arrowsize=0.45')
        elif edge.target in grid.rails:  # dashes of several lines would fill each other
            look.append(f'color="{_BACKWARD_RAIL}", arrowsize=0.45')
        elif source.backward:
            look.append(f'color="{PURPLE}", style=dashed')
        yield f"  {edge.source} -> {edge.target} [{', '.join(look)}]\n"


def _route(edge: GraphEdge, grid: Grid) -> list[Point]:
    """The corners of an edge's way."""
    a, b = grid.spots[edge.source], grid.spots[edge.target]
    if edge.source in grid.rails and edge.target in grid.places:
        return _along(edge.source, edge.target, grid)
    if edge.target in grid.rails and edge.source in grid.places:
        return _along(edge.target, edge.source, grid)[::-1]
    first, last = grid.places.get(edge.source), grid.places.get(edge.target)
    if first is not None and last is not None and first[0] == last[0]:
        return _sideways(a, b, grid.tops[first[0]] if abs(first[1] - last[1]) > 1 else None)
    if min(a.top, b.top) > max(a.bottom, b.bottom):  # side by side
        return [(a.right, a.y), (b.left, b.y)] if a.x < b.x else [(a.left, a.y), (b.right, b.y)]
    return _upright(a, b)


def _along(leaf: str, cell: str, grid: Grid) -> list[Point]:
    """From a leaf at the left of a row along it, and up into a cell of that row or another."""
    a, b = grid.spots[leaf], grid.spots[cell]
    height, aside, row = grid.rails[leaf]
    bus = a.right + 8 + aside
    start = [(a.right, a.y), (bus, a.y), (bus, height)]
    if grid.places[cell][0] == row:
        x = b.left + 8 + aside
        return [*start, (x, height), (x, b.bottom)]
    x, y = b.left - 7 - aside, b.y - b.height / 4
    return [*start, (x, height), (x, y), (b.left, y)]


def _sideways(a: Spot, b: Spot, over: float | None) -> list[Point]:
    """Between cells of a row; `over` those between them if there are any."""
    if over is None:
        return [(a.right, a.y), (b.left, b.y)] if a.x < b.x else [(a.left, a.y), (b.right, b.y)]
    quarter = a.width / 4 if a.x < b.x else -a.width / 4
    first, last = a.x + quarter, b.x - quarter
    return [(first, a.top), (first, over + 10), (last, over + 10), (last, b.top)]


def _upright(a: Spot, b: Spot) -> list[Point]:
    """Straight up or down where the narrower of the two allows it."""
    low, high = max(a.left, b.left), min(a.right, b.right)
    x_a, x_b = a.x, b.x
    if low + 4 < high:
        x_a = x_b = min(max(a.x if a.width <= b.width else b.x, low), high)
    up = b.y > a.y
    return [(x_a, a.top if up else a.bottom), (x_b, b.bottom if up else b.top)]


def _is_barred(points: list[Point], columns: dict[int, list[Spot]]) -> bool:
    """Whether a straight way up passes another node of its column, such as an input of a step."""
    (xa, ya), (xb, yb) = points[0], points[-1]
    if len(points) > 2 or xa != xb or ya > yb:
        return False
    return any(ya < spot.y < yb for spot in columns.get(round(xa), ()))


def _into_the_side(a: Spot, b: Spot) -> list[Point]:
    """Up beside a column, and into a node of it from the left."""
    x, y = b.left - 13, b.y - b.height / 4
    begin = [(x, a.top)] if x > a.left + 4 else [(a.left, a.y), (x, a.y)]
    return [*begin, (x, y), (b.left, y)]


def _spline(points: list[Point]) -> str:
    """Straight lines as the Bézier curves that Graphviz knows, with an arrow at the end."""
    (x0, y0), (x1, y1) = points[-2], points[-1]
    length = max(((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5, 1e-9)
    back = min(_ARROW / length, 0.9)
    tip = points[-1]
    corners = [*points[:-1], (x1 + (x0 - x1) * back, y1 + (y0 - y1) * back)]
    text = [f"e,{_at(*tip)}", _at(*corners[0])]
    for (xa, ya), (xb, yb) in pairwise(corners):
        for part in (1 / 3, 2 / 3):
            text.append(_at(xa + (xb - xa) * part, ya + (yb - ya) * part))
        text.append(_at(xb, yb))
    return " ".join(text)


def _label_at(edge: GraphEdge, points: list[Point], before: int) -> str:
    """Over or beside the beginning of a line, past so many labels of others that begin there."""
    (xa, ya), (xb, yb) = points[0], points[1]
    half = 2.7 * len(edge.label)
    if abs(ya - yb) < 1:
        return _at(xa + (5 + half) * (1 if xb > xa else -1), ya + 6 + _LABEL * before)
    up = 1 if yb > ya else -1
    along = 8 / max(abs(yb - ya), 8.0)
    return _at(xa + (xb - xa) * along + 4 + half, ya + up * (8 + _LABEL * before))
