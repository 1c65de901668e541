"""Nodes in the boxes of their scopes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .records import GraphNode


class Nest:
    """A scope as a box, with what stands in it."""

    def __init__(self, path: tuple[str, ...]) -> None:
        self.path = path
        self.nodes: list[GraphNode] = []
        self.boxes: list[Nest] = []


def nested(nodes: Iterable[GraphNode]) -> Iterator[tuple[Nest, bool]]:
    """Each box twice: where it begins (False), and after all that is in it (True).

    The outermost, with the path (), only begins.
    """
    pending = [(_nest(nodes), False)]
    while pending:
        box, ends = pending.pop()
        yield box, ends
        if not ends:
            if box.path:
                pending.append((box, True))
            pending.extend((inner, False) for inner in reversed(box.boxes))


def _nest(nodes: Iterable[GraphNode]) -> Nest:
    root = Nest(())
    known: dict[tuple[str, ...], Nest] = {(): root}
    for node in nodes:
        nest = known.get(node.scope)
        if nest is None:
            for length in range(1, len(node.scope) + 1):
                path = node.scope[:length]
                if path not in known:
                    known[path] = Nest(path)
                    known[path[:-1]].boxes.append(known[path])
            nest = known[node.scope]
        nest.nodes.append(node)
    return root
