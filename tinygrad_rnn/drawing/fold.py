"""Folding: from a graph and the boxes of its operations to a smaller graph.

A folded node keeps the id of the first node it holds, and `holds` lists them all; merged edges keep
their `count`. So every edge of the graph can be found again in every view.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import replace
from typing import TypeVar

from ..core.context import step_number
from .boxes import Box
from .folded import Group, folded_leaves, folded_operations
from .places import Path
from .records import GraphData, GraphEdge, GraphNode

G = TypeVar("G", bound=GraphData)


def fold(graph: G, boxes: dict[str, Box], box_of: Callable[[Path], Box | None]) -> G:
    """The graph with the operations of each box as one node.

    Args:
        graph: every operation.
        boxes: of operations by their ids; those that are missing stay as they are.
        box_of: the box around a scope, so that a leaf moves out of it.
    """
    folding = _Folding(graph, boxes)
    folding.gather_operations()
    folding.gather_leaves()
    edges = tuple(folding.edges())
    made = folding.made(edges)
    loops = {box.path for box in boxes.values() if box.kind == "rolled"}
    nodes = [
        _outside(made.get(node.id, node), box_of, loops)
        for node in graph.nodes
        if folding.owner.get(node.id, node.id) == node.id
    ]
    return replace(graph, nodes=tuple(nodes), edges=edges)


class _Folding:
    """Attributes:
    groups: what is folded together.
    owner: by id of a node in a group, the id of the node that stands for the group.
    """

    def __init__(self, graph: GraphData, boxes: dict[str, Box]) -> None:
        self.graph = graph
        self.boxes = boxes
        self.by_id = {node.id: node for node in graph.nodes}
        self.groups: list[Group] = []
        self.owner: dict[str, str] = {}

    def gather_operations(self) -> None:
        found: dict[Box, list[GraphNode]] = {}
        for node in self.graph.nodes:
            box = self.boxes.get(node.id)
            if box is not None:
                found.setdefault(box, []).append(node)
        reverse = self._reverse_loops()
        for box, members in found.items():
            self._add(Group(box, members, box in reverse))

    def _reverse_loops(self) -> set[Box]:
        """The runs drawn as loops that go from later steps to earlier ones."""
        ways: dict[Box, int] = {}
        for edge in filter(self._goes_round, self.graph.edges):
            box = self.boxes[edge.source]
            first, last = (
                step_number(self.by_id[end].scope[len(box.path)]) or 0
                for end in (edge.source, edge.target)
            )
            ways[box] = ways.get(box, 0) + (1 if first > last else -1)
        return {box for box, way in ways.items() if way > 0}

    def gather_leaves(self) -> None:
        """Puts together the leaves that go to the same boxes, or into the module that uses them."""
        users: dict[str, dict[str, None]] = {
            n.id: {} for n in self.graph.nodes if n.kind in ("parameter", "input")
        }
        for edge in self.graph.edges:
            if edge.source in users:
                users[edge.source][self.owner.get(edge.target, "")] = None
        home = {group.members[0].id: group for group in self.groups}
        together: dict[tuple[str, ...], list[GraphNode]] = {}
        for node in self.graph.nodes:
            used = users.get(node.id)
            if not used or node.is_output or "" in used:
                continue
            only = home[next(iter(used))] if len(used) == 1 else None
            if node.kind == "parameter" and only and _is(only, "module"):
                only.members.append(node)
                self.owner[node.id] = only.members[0].id
            elif node.kind == "parameter":
                together.setdefault(("parameter", *sorted(used)), []).append(node)
            elif only and _is(only, "elided", "rolled", "module"):
                key = (node.name or "", str(node.shapes), only.members[0].id)
                together.setdefault(key, []).append(node)
        for members in together.values():
            if len(members) > 1:
                self._add(Group(None, members))

    def _add(self, group: Group) -> None:
        self.groups.append(group)
        self.owner.update((node.id, group.members[0].id) for node in group.members)

    def edges(self) -> list[GraphEdge]:
        """One edge for all between two nodes of the view, labelled with what they carry."""
        order = {node.id: number for number, node in enumerate(self.graph.nodes)}
        found: dict[tuple[str, str], list[GraphEdge]] = {}
        for edge in self.graph.edges:
            source = self.owner.get(edge.source, edge.source)
            target = self.owner.get(edge.target, edge.target)
            if source != target or self._goes_round(edge):
                found.setdefault((source, target), []).append(edge)
        times = {group.members[0].id: group.times for group in self.groups}
        merged = []
        for (source, target), edges in found.items():
            if len(edges) == 1 and source == edges[0].source and target == edges[0].target:
                merged.append(edges[0])
                continue
            by_source = sorted(edges, key=lambda e: order[e.source])
            names = dict.fromkeys(self._carried(e) for e in by_source)
            label = ", ".join(name for name in names if name)
            count = sum(edge.count for edge in edges)
            most = times.get(source, 1) if source == target else count // len(names)
            computed = self.by_id[edges[0].source].kind not in ("parameter", "input")
            if computed and most > 1 and (times.get(source, 1) > 1 or times.get(target, 1) > 1):
                label += f" ×{most}"
            merged.append(GraphEdge(source, target, label=label.strip(), count=count))
        return merged

    def _goes_round(self, edge: GraphEdge) -> bool:
        """Whether an edge leads from one time step to another of a run that is drawn as a loop."""
        box = self.boxes.get(edge.source)
        if box is None or box.kind != "rolled" or self.boxes.get(edge.target) != box:
            return False
        place = len(box.path)
        return self.by_id[edge.source].scope[place] != self.by_id[edge.target].scope[place]

    def _carried(self, edge: GraphEdge) -> str:
        """The name of what an edge brings from an operation; empty without one."""
        source = self.by_id[edge.source]
        return edge.label or (source.name or "" if source.kind == "operation" else "")

    def made(self, edges: tuple[GraphEdge, ...]) -> dict[str, GraphNode]:
        """The folded nodes by their ids."""
        leaving = self._leaving()
        return {
            group.members[0].id: (
                folded_leaves(group) if group.box is None else folded_operations(group, leaving)
            )
            for group in self.groups
        }

    def _leaving(self) -> dict[str, dict[str, None]]:
        """By operation: the names under which its results leave the node it is folded into."""
        found = {n.id: {n.name or "": None} for n in self.graph.nodes if n.is_output}
        for edge in self.graph.edges:
            inside = self.owner.get(edge.source) == self.owner.get(edge.target, edge.target)
            if not inside or self._goes_round(edge):
                found.setdefault(edge.source, {})[self._carried(edge)] = None
        return found


def _is(group: Group, *kinds: str) -> bool:
    return group.box is not None and group.box.kind in kinds


def _outside(
    node: GraphNode, box_of: Callable[[Path], Box | None], loops: Container[Path]
) -> GraphNode:
    """A leaf of a folded scope stands beside what the scope is folded into."""
    if node.kind not in ("parameter", "input"):
        return node
    box = box_of(node.scope)
    if box is None:
        return replace(node, scope=node.scope[:-1]) if node.scope in loops else node
    return replace(node, scope=box.path if box.kind == "elided" else box.path[:-1])
