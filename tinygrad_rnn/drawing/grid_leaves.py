"""Where the leaves of a grid belong: beside a row, below a cell, or at the left of a row."""

from __future__ import annotations

from collections.abc import Iterable

from .grid_rows import Plan, Row
from .records import GraphData, GraphNode


class Leaves:
    """Attributes:
    at_home: by node, all leaves drawn near it, the cotangents of parameters among them.
    beside: by the number of a row, its initial states.
    below: by cell, the other leaves that it alone has.
    """

    def __init__(self, graph: GraphData, plan: Plan) -> None:
        self._graph = graph
        self._plan = plan
        self._nodes = {node.id: node for node in graph.nodes}
        self._own: set[str] = set()
        self.at_home = self._leaves()
        self.beside: dict[int, list[GraphNode]] = {}
        self.below: dict[str, list[GraphNode]] = {}
        self._sort_leaves()

    def _leaves(self) -> dict[str, list[GraphNode]]:
        """By node: the leaves drawn beside it, the cotangents of parameters among them."""
        rank = {ident: k for k, ident in enumerate(self._ranked())}
        users: dict[str, set[str]] = {}
        for edge in self._graph.edges:
            for leaf, user in ((edge.source, edge.target), (edge.target, edge.source)):
                if user in rank and leaf not in rank:
                    users.setdefault(leaf, set()).add(user)
        last = max(rank, key=rank.__getitem__)
        found: dict[str, list[GraphNode]] = {}
        for node in self._graph.nodes:
            if node.id not in rank:
                # a leaf that is an output, or that nothing uses, stands with the last node
                mine = users.get(node.id, {last})
                found.setdefault(min(mine, key=rank.__getitem__), []).append(node)
                if node.kind != "cotangent" and len(mine) == 1:
                    self._own.add(node.id)
        return found

    def _ranked(self) -> Iterable[str]:
        for row in self._plan.rows:
            yield from row.order()
            if row.spanning:
                yield row.spanning
        for ident in self._plan.tail:
            yield ident
            if f"g{ident}" in self._nodes:
                yield f"g{ident}"

    def _inputs(self, ident: str) -> list[GraphNode]:
        """The leaves that a cell alone has."""
        return [n for n in self.at_home.get(ident, ()) if n.id in self._own]

    def _states(self, row: Row) -> list[GraphNode]:
        """The initial states of a run: the leaves of its first cell that the next has no like of.

        Where names don't tell them from the sequence's first element, shapes and order do.
        """
        first, *others = row.order()[:2]
        mine = self._inputs(first)
        theirs = self._inputs(others[0]) if others else mine[:1]
        names = {_first_word(n) for n in theirs}
        unlike = [n for n in mine if _first_word(n) not in names]
        elements = len(theirs) - (len(mine) - len(unlike))
        shapes = self._nodes[first].shapes
        states = [n for n in unlike if set(n.shapes) <= set(shapes)]
        keep = max(0, len(unlike) - max(0, elements))
        return states[len(states) - keep :] if keep else []

    def _sort_leaves(self) -> None:
        """Of each row the states beside it and what comes from below; what is left is shared."""
        for number, row in enumerate(self._plan.rows):
            if row.cells and not row.cotangents:
                beside = self.beside[number] = self._states(row)
                known = {n.id for n in beside}
                for ident in row.cells.values():
                    self.below[ident] = [n for n in self._inputs(ident) if n.id not in known]


def _first_word(node: GraphNode) -> str:
    return (node.name or node.label).split(" ")[0]
