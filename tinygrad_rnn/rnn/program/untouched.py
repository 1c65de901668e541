"""Noticing, and undoing, what a cell changes besides its results."""

from __future__ import annotations

from typing import Any

from ...module import Module


class Attributes:
    """What a cell's modules hold, to notice and to undo that a step changes it."""

    def __init__(self, cell: Any) -> None:
        modules = cell.modules() if isinstance(cell, Module) else [cell]
        self._before = [
            (space, dict(space), {k: v.copy() for k, v in space.items() if type(v) in (list, dict)})
            for space in (getattr(module, "__dict__", {}) for module in modules)
        ]

    def restore(self) -> bool:
        """Puts everything back; whether there was nothing to put back."""
        untouched = True
        for space, before, containers in self._before:
            if space.keys() != before.keys() or any(space[k] is not before[k] for k in before):
                untouched = False
                space.clear()
                space.update(before)
            for name, contents in containers.items():
                if len(space[name]) != len(contents):
                    untouched = False
                    _refill(space[name], contents)
        return untouched


def _refill(container: Any, contents: Any) -> None:
    container.clear()
    container.update(contents) if isinstance(contents, dict) else container.extend(contents)
