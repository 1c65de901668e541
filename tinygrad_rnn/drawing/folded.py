"""The nodes that stand for what is folded: what they are called, and what they say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from ..core.context import join_names
from .boxes import Box
from .records import GraphNode, combined, shapes_text

_MOST_LINES = 8


@dataclass
class Group:
    """Nodes that are folded into one: the operations of a box, or leaves with the same users.

    Attributes:
        box: None for leaves.
        members: the nodes.
        reverse: whether they are those of a run from later steps to earlier ones.
    """

    box: Box | None
    members: list[GraphNode]
    reverse: bool = False

    @cached_property
    def times(self) -> int:
        """How many time steps the group stands for."""
        if self.box is None or self.box.kind not in ("elided", "rolled"):
            return 1
        place = len(self.box.path)
        return max(1, len({n.scope[place] for n in self.members if len(n.scope) > place}))


def folded_operations(group: Group, leaving: dict[str, dict[str, None]]) -> GraphNode:
    """The node for the operations of a box.

    Args:
        group: the operations, and the parameters that only they use.
        leaving: by id of an operation, the names under which its results leave the box.
    """
    box, members = group.box, group.members
    assert box is not None
    results = [n for n in members if n.id in leaving]
    names = dict.fromkeys(name for n in results for name in leaving[n.id] if name)
    name, label, detail, scope = _said(group, ", ".join(names))
    return GraphNode(
        id=members[0].id,
        kind=box.kind,
        label=label,
        name=name,
        detail=detail,
        shapes=tuple(dict.fromkeys(shape for n in results for shape in n.shapes)),
        dtypes=tuple(dict.fromkeys(dtype for n in results for dtype in n.dtypes)),
        scope=scope,
        backward=box.backward,
        is_output=any(n.is_output for n in members),
        holds=tuple([n.id for n in members]),
        times=group.times,
        value=combined(n.value for n in results),
        gradient=combined(n.gradient for n in results),
    )


def _said(group: Group, names: str) -> tuple[str | None, str, str, tuple[str, ...]]:
    """Name, label, detail and scope of a folded node, whose results are called `names`."""
    box, members = group.box, group.members
    assert box is not None
    path, leaves = box.path, f"→ {names}" if names else ""
    if box.kind == "cell":
        return path[-1], join_names(path[:-1]) or "step", leaves, path[:-1]
    if box.kind == "elided" and not box.part:
        return f"… {len(members)} boxes …", "left out", "", path
    if box.kind == "elided":
        return (
            f"… {group.times} steps …",
            join_names(path) or "loop",
            f"{box.part} {leaves}".strip(),
            path,
        )
    if box.kind == "rolled":
        way = "← time" if group.reverse else "time →"
        steps = f"{group.times} step{'s' if group.times > 1 else ''}, {way}"
        return path[-1] if path else "loop", steps, "", path[:-1]
    operations = [n for n in members if n.kind == "operation"]
    if box.kind == "sequence":
        return None, ", ".join(dict.fromkeys(n.label for n in operations)), "", path
    return path[-1], _counted(members), leaves, path[:-1]


def _counted(members: Iterable[GraphNode]) -> str:
    kinds = [n.kind for n in members]
    return ", ".join(
        f"{n} {kind}{'s' if n > 1 else ''}"
        for kind in ("operation", "parameter")
        if (n := kinds.count(kind))
    )


def folded_leaves(group: Group) -> GraphNode:
    """The node for leaves with the same users."""
    members = group.members
    first = members[0]
    dots = dict.fromkeys(f"{n.name or n.label} {shapes_text(n.shapes)}" for n in members)
    lines = list(dots)
    if len(lines) == 1 and len(members) > 1:
        lines[0] += f" ×{len(members)}"
    if len(lines) > _MOST_LINES:
        lines[_MOST_LINES - 1 :] = [f"… {len(lines) - _MOST_LINES + 1} more"]
    return replace(
        first,
        label="\n".join(lines),
        name=None,
        shapes=(),
        dtypes=(),
        holds=tuple([n.id for n in members]),
        leaves=sum(n.leaves for n in members),
        value=combined(n.value for n in members),
        gradient=combined(n.gradient for n in members),
    )
