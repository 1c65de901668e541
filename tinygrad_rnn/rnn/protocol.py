"""What the loop asks of a cell, whatever kind of cell it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..module import Module
from .cells import Cell
from .states import is_tuple, parts_of, same_parts


def advance(cell: Any, x: Any, state: Any) -> Any:
    """The new state of a cell, for arguments that fit.

    Raises:
        TypeError: if it has other parts than the old one.
    """
    if isinstance(cell, Cell):
        new = cell.equations(x, state)
    else:
        # The loop names the steps; a module's own scope in each would only repeat the layer's.
        new = cell.forward(x, state) if isinstance(cell, Module) else cell(x, state)
    if new is None:
        raise TypeError(f"the cell {cell!r:.60} returned None; it must return its new state")
    if not same_parts(new, state):
        raise TypeError(
            f"the cell {cell!r:.60} was given a state of {_described(state)}, and returned "
            f"{_described(new)}; the new state must have the same parts"
        )
    return new


def _described(state: Any) -> str:
    return f"{len(state)} parts" if is_tuple(state) else "one array"


def output_of(cell: Any) -> Callable[[Any, Any], Any]:
    """What makes a step's output from its input and new state."""
    return getattr(cell, "output", None) or (lambda x, state: parts_of(state)[0])


def initial_state(cell: Any, batch: tuple[int, ...], dtype: Any) -> Any:
    """The state that a cell begins with."""
    if not hasattr(cell, "initial_state"):
        raise ValueError("this cell has no initial_state(batch, dtype); give a state")
    return cell.initial_state(batch, dtype)


def for_sequence(cell: Any, state: Any) -> Any:
    """The cell with what it draws once for each sequence, such as a dropout mask."""
    return cell.for_sequence(state) if hasattr(cell, "for_sequence") else cell
