"""Operations that only hand steps on, between layers: found, to be drawn as one box."""

from __future__ import annotations

from collections.abc import Iterable

from .boxes import Box
from .records import GraphData, GraphNode
from .steps import outermost_step

_HANDING_ON = {
    *("concatenate", "stack", "unstack", "split", "getitem", "flip"),
    *("broadcast_to", "expand_dims", "moveaxis", "reshape", "squeeze", "swapaxes", "transpose"),
}


def sequences(graph: GraphData, boxes: dict[str, Box]) -> dict[str, Box]:
    """The boxes of connected operations outside `boxes` that compute nothing.

    Between two layers these are ``stack``, ``concatenate`` and ``unstack``. Of two such operations
    only those are put together between which no other way leads, so that no circle comes about.
    """
    candidates = {n.id: n for n in graph.nodes if _hands_on(n) and n.id not in boxes}
    levels = _levels(graph, _units(graph.nodes, boxes), candidates)
    together = _Together(candidates)
    for edge in graph.edges:
        both = edge.source in candidates and edge.target in candidates
        if both and levels.get(edge.source, -1) == levels.get(edge.target, -2):
            together.join(edge.source, edge.target)
    found: dict[str, Box] = {}
    for members in together.sets():
        scopes = [candidates[each].scope for each in members]
        box = Box("sequence", _shared(scopes), candidates[members[0]].backward, members[0])
        found.update((each, box) for each in members)
    return found


def _hands_on(node: GraphNode) -> bool:
    return node.kind == "operation" and node.label in _HANDING_ON and not outermost_step(node.scope)


def _units(nodes: Iterable[GraphNode], boxes: dict[str, Box]) -> dict[str, object]:
    """By operation, the run over time, the box or else the operation that it belongs to."""
    found: dict[str, object] = {}
    for node in nodes:
        if node.kind == "operation":
            step = outermost_step(node.scope)
            found[node.id] = (step[:-1], node.backward) if step else boxes.get(node.id, node.id)
    return found


def _levels(
    graph: GraphData, units: dict[str, object], candidates: dict[str, GraphNode]
) -> dict[object, int]:
    """How many units that compute something lie before each; those on a circle have no level."""
    before: dict[object, set[object]] = {unit: set() for unit in units.values()}
    after: dict[object, set[object]] = {unit: set() for unit in units.values()}
    for edge in graph.edges:
        if edge.source in units and units[edge.source] != units[edge.target]:
            before[units[edge.target]].add(units[edge.source])
            after[units[edge.source]].add(units[edge.target])
    waiting = {unit: len(sources) for unit, sources in before.items()}
    levels: dict[object, int] = {}
    ready = [unit for unit, count in waiting.items() if not count]
    while ready:
        unit = ready.pop()
        levels[unit] = max((levels[u] + (u not in candidates) for u in before[unit]), default=0)
        for target in after[unit]:
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    return levels


class _Together:
    """Sets of names that are joined two by two."""

    def __init__(self, names: Iterable[str]) -> None:
        self._set = {name: [name] for name in names}

    def join(self, a: str, b: str) -> None:
        first, second = self._set[a], self._set[b]
        if first is second:
            return
        if len(first) < len(second):
            first, second = second, first
        first.extend(second)
        for name in second:
            self._set[name] = first

    def sets(self) -> list[list[str]]:
        """Those of at least two names, which are in the order of the graph."""
        order = {name: number for number, name in enumerate(self._set)}
        several = {id(each): each for each in self._set.values() if len(each) > 1}
        return [sorted(each, key=order.__getitem__) for each in several.values()]


def _shared(paths: list[tuple[str, ...]]) -> tuple[str, ...]:
    """The beginning that all paths have in common."""
    first, last = min(paths), max(paths)
    length = 0
    while length < min(len(first), len(last)) and first[length] == last[length]:
        length += 1
    return first[:length]
