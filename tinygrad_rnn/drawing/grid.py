"""Positions for a picture that is a grid: time from left to right, layers from below.

All lengths are in points, and y grows upwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from .dot_labels import node_lines
from .grid_leaves import Leaves
from .grid_rows import Plan, Row, plan_of
from .records import GraphData, GraphNode

# Wide enough for the fonts that stand in for Helvetica.
_WIDTHS = {"bold": 8.2, "plain": 7.2, "small": 6.6}
_LINE, _MARGIN = 15.0, 10.0
_GAP = 16.0
_RAIL = 6.0  # between lines that run side by side
_TITLE = 18.0


class Spot(NamedTuple):
    """Where a node is: its middle, and how large it is."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> float:
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        return self.x + self.width / 2

    @property
    def top(self) -> float:
        return self.y + self.height / 2

    @property
    def bottom(self) -> float:
        return self.y - self.height / 2


class Band(NamedTuple):
    """What lies behind a row."""

    spot: Spot
    title: str
    backward: bool


@dataclass
class Grid:
    """Attributes:
    spots: of each node.
    rails: of nodes whose edges run along a row, the heights at which they do,
        how far each is moved aside, and the number of the row.
    bands: behind the rows.
    places: of each cell, its row and its place in it.
    tops: of each row, where its cells end.
    """

    spots: dict[str, Spot] = field(default_factory=dict)
    rails: dict[str, tuple[float, float, int]] = field(default_factory=dict)
    bands: list[Band] = field(default_factory=list)
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    tops: dict[int, float] = field(default_factory=dict)


def grid_of(graph: GraphData) -> Grid | None:
    """The positions of all nodes; None if the graph isn't a grid."""
    plan = plan_of(graph)
    return None if plan is None else _Layout(graph, plan).grid


def bare(node: GraphNode) -> GraphNode:
    """A node without what its place in the grid tells."""
    if node.kind in ("cell", "elided"):
        return replace(
            node, label=node.detail.split(" ")[0] if node.kind == "elided" else "", detail=""
        )
    if node.kind == "cotangent":
        return replace(node, label="")
    return node


def size(node: GraphNode) -> tuple[float, float]:
    """A size at which the text of a node fits."""
    lines = node_lines(bare(node))
    width = max((_WIDTHS[kind] * len(text) for kind, text in lines), default=0.0)
    wide = 1.25 if node.kind == "input" else 1.0
    high = 1.45 if node.kind == "parameter" else wide  # a cylinder's lid grows with it
    more = 14.0 if node.kind == "parameter" else 4.0
    return wide * width + 2 * _MARGIN, high * _LINE * len(lines) + more


class _Layout:
    """Fills a `Grid`, row by row."""

    def __init__(self, graph: GraphData, plan: Plan) -> None:
        self.grid = Grid()
        self._graph = graph
        self._plan = plan
        self._nodes = {node.id: node for node in graph.nodes}
        self._sizes = {node.id: size(node) for node in graph.nodes}
        leaves = Leaves(graph, plan)
        self._at_home, self._beside, self._below = leaves.at_home, leaves.beside, leaves.below
        self._slots()
        self._y = 0.0
        for number, row in enumerate(plan.rows):
            self._place(number, row)
        self._place_tail()

    # Columns

    def _slots(self) -> None:
        """How wide a column is: the rows of a level stand beside each other, like bricks."""
        gap = 0.0
        widths: dict[int, float] = {}
        together: dict[int, int] = {}
        row_of: dict[str, Row] = {}
        for row in self._plan.rows:
            if row.cells:
                together[row.level] = together.get(row.level, 0) + 1
            for time, ident in row.cells.items():
                row_of[ident] = row
                below = self._below.get(ident, ())
                inputs = sum(self._sizes[n.id][0] + _GAP / 2 for n in below)
                widths[time] = max(widths.get(time, 0.0), self._sizes[ident][0], inputs)
        for edge in self._graph.edges:
            if edge.source in row_of and row_of.get(edge.target) is row_of[edge.source]:
                gap = max(gap, 6.0 * len(edge.label))
        most = max(together.values(), default=1)
        widest = max(widths.values())
        self._shift = widest / 2 + 2 * _GAP if most > 1 else 0.0
        self._column: dict[int, float] = {}
        x, before = 0.0, None
        for time in self._plan.times:
            if before is not None:
                apart = (widths[before] + widths[time]) / 2 + gap + 1.5 * _GAP
                x += max(apart, most * self._shift)
            self._column[time], before = x, time
        self._cell = widest
        self._last = self._column[self._plan.times[-1]] + (most - 1) * self._shift
        lefts = [self._sizes[n.id][0] for states in self._beside.values() for n in states]
        self._state_width = max(lefts, default=0.0)
        self._state_x = -widest / 2 - 1.5 * _GAP - self._state_width / 2
        self._leaf_x = self._state_x - self._state_width / 2 - 2 * _GAP

    # Rows

    def _place(self, number: int, row: Row) -> None:
        if row.spanning:
            self._place_spanning(row)
            return
        beneath = [r for r in self._plan.rows[:number] if r.level == row.level and r.cells]
        shift = len(beneath) * self._shift
        start = row.reverse if not row.cotangents else False
        states = self._beside.get(number, [])
        sides = [n for ident in row.cells.values() for n in self._at_home.get(ident, ())]
        below = {ident: self._below.get(ident, []) for ident in row.cells.values()}
        taken = {n.id for n in states} | {n.id for each in below.values() for n in each}
        sides = [n for n in sides if n.id not in taken]
        bottom = self._y
        inputs = [self._sizes[n.id][1] for each in below.values() for n in each]
        rail = bottom + max(inputs, default=0.0) + (_GAP if inputs else 0.0) + _RAIL
        side = sum(self._sizes[n.id][1] + _RAIL for n in sides)
        rail = max(rail, bottom + side / 2)
        cells = max(self._sizes[i][1] for i in row.cells.values())
        stack = sum(self._sizes[n.id][1] + _RAIL for n in states)
        middle = rail + _RAIL * max(1, len(sides)) + max(cells, stack) / 2 + _RAIL
        self.grid.tops[number] = middle + cells / 2
        for place, (time, ident) in enumerate(sorted(row.cells.items())):
            x = self._column[time] + shift
            self._put(ident, x, middle)
            self.grid.places[ident] = number, place
            self._put_beside_each_other(below[ident], x, rail - _RAIL - _GAP)
        self._stack(states, self._state_side(start, shift), middle)
        self._stack_left(sides, rail, middle - cells / 2, number)
        self._y = max(middle + max(cells, stack) / 2, rail + side / 2)
        self._band(row, number, bottom)
        self._y += 1.5 * _GAP

    def _state_side(self, reverse: bool, shift: float) -> float:
        if not reverse:
            return self._state_x + shift
        return self._last + self._cell / 2 + 1.5 * _GAP + self._state_width / 2

    def _put(self, ident: str, x: float, y: float, width: float = 0.0) -> Spot:
        own, height = self._sizes[ident]
        spot = self.grid.spots[ident] = Spot(x, y, max(own, width), height)
        return spot

    def _put_beside_each_other(self, nodes: list[GraphNode], x: float, top: float) -> None:
        widths = [self._sizes[n.id][0] for n in nodes]
        left = x - (sum(widths) + _GAP / 2 * (len(nodes) - 1)) / 2
        for node, width in zip(nodes, widths, strict=True):
            self._put(node.id, left + width / 2, top - self._sizes[node.id][1] / 2)
            left += width + _GAP / 2

    def _stack(self, nodes: list[GraphNode], x: float, middle: float) -> None:
        y = middle + sum(self._sizes[n.id][1] + _RAIL for n in nodes) / 2
        for node in nodes:
            height = self._sizes[node.id][1] + _RAIL
            self._put(node.id, x, y - height / 2)
            y -= height

    def _stack_left(self, nodes: list[GraphNode], rail: float, ceiling: float, row: int) -> None:
        """The parameters of a row, at its left, each with a line of its own along the row."""
        y = rail + sum(self._sizes[n.id][1] + _RAIL for n in nodes) / 2
        for k, node in enumerate(nodes):
            width, height = self._sizes[node.id]
            self._put(node.id, self._leaf_x - width / 2, y - (height + _RAIL) / 2)
            y -= height + _RAIL
            self.grid.rails[node.id] = min(rail + k * _RAIL, ceiling - 4), _RAIL * k, row

    def _place_spanning(self, row: Row) -> None:
        left, right = -self._cell / 2, self._last + self._cell / 2
        height = self._sizes[row.spanning][1]
        leaves = self._at_home.get(row.spanning, [])
        side = sum(self._sizes[n.id][1] + _RAIL for n in leaves)
        middle = self._y + max(height, side) / 2
        self._put(row.spanning, (left + right) / 2, middle, right - left)
        y = middle + side / 2
        for node in leaves:
            width, tall = self._sizes[node.id]
            self._put(node.id, self._leaf_x - width / 2, y - (tall + _RAIL) / 2)
            y -= tall + _RAIL
        self._y = middle + max(height, side) / 2 + 1.5 * _GAP

    def _band(self, row: Row, number: int, bottom: float) -> None:
        self._y += _TITLE
        widths = [self._sizes[n.id][0] for leaves in self._at_home.values() for n in leaves]
        left = self._leaf_x - max(widths, default=0.0) - _GAP
        right = self._last + self._cell / 2 + _GAP
        if any(self._plan.rows[k].reverse and states for k, states in self._beside.items()):
            right += 1.5 * _GAP + self._state_width
        way = "← time" if row.reverse else "time →"
        height = self._y - bottom + _GAP
        spot = Spot((left + right) / 2, bottom - _GAP / 2 + height / 2, right - left, height)
        turned = self._nodes[next(iter(row.cells.values()))].backward
        title = f"{'∂ ' if turned else ''}{'.'.join(row.title) or 'loop'}   {way}"
        self.grid.bands.append(Band(spot, title, turned))

    def _place_tail(self) -> None:
        """What comes after all steps, right of the uppermost row; its cotangents above it."""
        x = max(band.spot.right for band in self.grid.bands)
        y, above = self._middle(False), self._middle(True)
        for column in sorted(set(self._plan.tail.values())):
            idents = [i for i, k in self._plan.tail.items() if k == column]
            turned = [f"g{i}" for i in idents if f"g{i}" in self._nodes]
            leaves = [self._at_home.get(i, []) for i in (*idents, *turned)]
            widths = [sum(self._sizes[n.id][0] + _GAP / 2 for n in each) for each in leaves]
            width = max(*widths, *(self._sizes[i][0] for i in (*idents, *turned)))
            x += 3 * _GAP + width
            self._pile(idents, x - width / 2, y, -1)
            self._pile(turned, x - width / 2, above, 1)

    def _middle(self, cotangents: bool) -> float:
        """The height of the uppermost row; or of that of its cotangents."""
        rows = [row for row in self._plan.rows if row.cotangents == cotangents]
        if not rows:
            return self._y
        return self.grid.spots[rows[-1].spanning or next(iter(rows[-1].cells.values()))].y

    def _pile(self, idents: list[str], x: float, middle: float, way: int) -> None:
        """Nodes and the leaves of each, below each other (`way` -1) or above."""
        for k, ident in enumerate(idents):
            height = self._sizes[ident][1]
            middle += way * height / 2 if k else 0.0
            self._put(ident, x, middle)
            middle += way * (height / 2 + 1.5 * _GAP)
            leaves = self._at_home.get(ident, [])
            if leaves:
                tallest = max(self._sizes[n.id][1] for n in leaves)
                self._put_beside_each_other(leaves, x, middle if way < 0 else middle + tallest)
                middle += way * (tallest + 1.5 * _GAP)
