"""Nodes that stand for a graph of their own, opened: a folded loop as its steps."""

from __future__ import annotations

from typing import Any

from ..core.graph import Node, Output


class Unfolding:
    """Finds what stands for a record once folded nodes are opened, and keeps an order of nodes."""

    def __init__(self) -> None:
        self._results: dict[int, list[Any]] = {}
        self._places: dict[int, tuple[int, ...]] = {}  # where a node of an opened one belongs
        self._arguments: dict[int, list[Any]] = {}
        self._kept: list[Any] = []

    def resolve(self, record: Any) -> Any:
        """A record outside every folded node that has the same values."""
        while True:
            node = record.node if isinstance(record, Output) else record
            if not isinstance(node, Node) or not hasattr(node.operation, "unfolded"):
                return record
            results = self._opened(node)
            index = record.index if isinstance(record, Output) else 0
            if record.name is not None and results[index].name is None:
                results[index].name = record.name
            record = results[index]

    def arguments(self, node: Node) -> list[Any]:
        """The arguments of a node, resolved."""
        found = self._arguments.get(id(node))
        if found is None:
            found = self._arguments[id(node)] = [
                self.resolve(a) if isinstance(a, (Node, Output)) else a for a in node.arguments
            ]
        return found

    def order(self, node: Node) -> tuple[int, ...]:
        """By this nodes are sorted: the opened ones where the folded one was."""
        return self._places.get(id(node), (node.serial,))

    def _opened(self, node: Node) -> list[Any]:
        found = self._results.get(id(node))
        if found is None:
            outside, inside = node.operation.unfolded(node)  # type: ignore[attr-defined]
            found = self._results[id(node)] = outside
            place = self.order(node)
            self._places.update({id(each): (*place, each.serial) for each in inside})
            self._kept += [node, *inside]
        return found
