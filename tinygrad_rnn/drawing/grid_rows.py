"""Which nodes of a picture form a grid of time and layers, and which row each belongs to."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TypeAlias

from ..core.context import step_number
from .records import GraphData, GraphNode
from .steps import outermost_step

Run: TypeAlias = tuple[tuple[str, ...], bool]
_MOST_ROWS = 40


@dataclass
class Row:
    """A row: the cells of a run over time, or a node that spans all columns.

    Attributes:
        level: how many rows have to lie below it.
        cells: ids by the number of the time step; empty for a node that spans.
        spanning: the id of such a node.
        reverse: whether the run goes from later steps to earlier ones.
        cotangents: whether it has those of the row below it.
    """

    level: int
    title: tuple[str, ...] = ()
    cells: dict[int, str] = field(default_factory=dict)
    spanning: str = ""
    reverse: bool = False
    cotangents: bool = False

    def order(self) -> list[str]:
        """The cells in the order in which they ran."""
        return [self.cells[time] for time in sorted(self.cells, reverse=self.reverse)]


@dataclass
class Plan:
    """The rows from below, and in columns right of them what comes after all steps.

    Attributes:
        rows: from below; those with the same level belong together.
        times: the numbers of the steps, one for each column.
        tail: ids, each with its column right of the grid.
    """

    rows: list[Row]
    times: list[int]
    tail: dict[str, int]


def plan_of(graph: GraphData) -> Plan | None:
    """The grid of a graph; None if it isn't one."""
    cells = {n.id: n for n in graph.nodes if n.kind in ("cell", "elided")}
    times = {ident: _time(node) for ident, node in cells.items()}
    if not _is_grid(graph, times):
        return None
    units: dict[str, Hashable] = {
        n.id: (n.scope, n.backward) if n.id in cells else n.id
        for n in graph.nodes
        if n.kind not in ("parameter", "input", "cotangent")
    }
    levels, before_run = _levels(graph, units, {units[ident] for ident in cells})
    if levels is None:
        return None
    found: dict[Hashable, Row] = {}
    tail: dict[str, int] = {}
    many = _with_many_cells(graph, cells)
    for ident, unit in units.items():
        if ident in cells:
            row = found.setdefault(unit, Row(levels[unit], cells[ident].scope))
            time = times[ident]
            assert time is not None
            row.cells[time] = ident
        elif unit in before_run or ident in many:
            found[unit] = Row(levels[unit], spanning=ident)
        else:
            tail[ident] = levels[unit]
    rows = sorted(found.values(), key=lambda row: row.level)
    if len(rows) > _MOST_ROWS:
        return None
    _find_directions(graph, rows)
    columns = {level: k for k, level in enumerate(sorted(set(tail.values())))}
    tail = {ident: columns[level] for ident, level in tail.items()}
    known = sorted({time for time in times.values() if time is not None})
    return Plan(_with_cotangents(graph, rows), known, tail)


def _is_grid(graph: GraphData, times: dict[str, int | None]) -> bool:
    if graph.view not in ("cells", "backward") or len(times) < 2 or None in times.values():
        return False
    taken: set[tuple[Run, int | None]] = set()
    for node in graph.nodes:
        if node.kind == "cotangent" or node.kind in ("parameter", "input"):
            continue
        if outermost_step(node.scope):
            return False  # a step within a step, or one that is drawn open
        if node.id in times:
            place = (node.scope, node.backward), times[node.id]
            if place in taken:
                return False
            taken.add(place)
    return True


def _time(node: GraphNode) -> int | None:
    """The number of a cell's step; of those left out, that of the first."""
    text = node.name if node.kind == "cell" else node.detail.split("…")[0]
    return step_number(text or "")


def _levels(
    graph: GraphData, units: dict[str, Hashable], runs: set[Hashable]
) -> tuple[dict[Hashable, int] | None, set[Hashable]]:
    """How many units lie below each, or None if they lie in a circle; and those that lead to runs.

    A unit is a run over time, or a node outside them.
    """
    before: dict[Hashable, set[Hashable]] = {unit: set() for unit in units.values()}
    after: dict[Hashable, set[Hashable]] = {unit: set() for unit in units.values()}
    for edge in graph.edges:
        source, target = units.get(edge.source), units.get(edge.target)
        if source is not None and target is not None and source != target:
            before[target].add(source)
            after[source].add(target)
    waiting = {unit: len(sources) for unit, sources in before.items()}
    levels: dict[Hashable, int] = {}
    ready = [unit for unit, count in waiting.items() if not count]
    while ready:
        unit = ready.pop()
        levels[unit] = max((levels[u] + 1 for u in before[unit]), default=0)
        for target in after[unit]:
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    leading: set[Hashable] = set()
    for unit in sorted(levels, key=levels.__getitem__, reverse=True):
        if any(target in runs or target in leading for target in after[unit]):
            leading.add(unit)
    return (levels if len(levels) == len(before) else None), leading


def _with_many_cells(graph: GraphData, cells: dict[str, GraphNode]) -> set[str]:
    """The nodes that several cells lead to."""
    sources: dict[str, set[str]] = {}
    for edge in graph.edges:
        if edge.source in cells and edge.target not in cells:
            sources.setdefault(edge.target, set()).add(edge.source)
    return {ident for ident, found in sources.items() if len(found) > 1}


def _find_directions(graph: GraphData, rows: list[Row]) -> None:
    """Notes which rows run from later steps to earlier ones."""
    places = {ident: (k, t) for k, row in enumerate(rows) for t, ident in row.cells.items()}
    ways = [0] * len(rows)
    for edge in graph.edges:
        source, target = places.get(edge.source), places.get(edge.target)
        if source is not None and target is not None and source[0] == target[0]:
            ways[source[0]] += 1 if source[1] > target[1] else -1
    for row, way in zip(rows, ways, strict=True):
        row.reverse = way > 0


def _with_cotangents(graph: GraphData, rows: list[Row]) -> list[Row]:
    """Above each row, one for the cotangents of what stands in it."""
    known = {node.id for node in graph.nodes if node.kind == "cotangent"}
    found = []
    for row in rows:
        found.append(row)
        cells = {time: f"g{ident}" for time, ident in row.cells.items() if f"g{ident}" in known}
        spanning = f"g{row.spanning}" if f"g{row.spanning}" in known else ""
        if cells or spanning:
            turned = row.reverse is False
            found.append(Row(row.level, row.title, cells, spanning, turned, True))
    return found
