"""The one loop over time. Every recurrent layer, and every user's own cell, goes through it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.context import scope
from ..core.errors import ShapeError
from ..module import Module
from ..ops import stack, unstack
from ..tensor import Tensor, asarray


def scan(
    cell: Callable[[Any, Any], Any], xs: Any, state: Any = None, reverse: bool = False
) -> tuple[Any, Any]:
    """Runs a cell over a sequence.

        state = cell(xs[t], state)   for t = 0 … T-1, or T-1 … 0 with reverse=True

    Args:
        cell: called as ``cell(x_t, state) -> new_state``; a function of its arguments alone. It may
            have ``initial_state(batch, dtype)`` and ``output(x_t, new_state)``.
        xs: (T, ...), the sequence.
        state: an array, or a tuple of arrays; None for the cell's `initial_state`.
        reverse: whether to go from the last step to the first.

    Returns:
        The outputs, (T, ...) in the order of `xs`, and the state after the last step. A step's
        output is ``cell.output(x_t, new_state)``, or else the state (the first array of a tuple).

    Raises:
        ValueError: if the sequence is empty, or there is no state to begin with.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> decay = tg.Tensor(0.5, requires_grad=True)
    >>> ys, last = tg.rnn.scan(lambda x, h: decay * h + x, np.ones((3, 1)), np.zeros(1))
    >>> ys.tolist()
    [[1.0], [1.5], [1.75]]
    """
    xs = asarray(xs)
    if xs.ndim == 0 or not len(xs):
        raise ShapeError("scan: expected a sequence of at least one step, with time as first axis")
    if state is None:
        if not hasattr(cell, "initial_state"):
            raise ValueError("scan: this cell has no initial_state(batch, dtype); give a state")
        state = cell.initial_state(xs.shape[1:-1], xs.dtype)
    # The loop names the steps; a module's own scope in each of them would only repeat the layer's.
    step = cell.forward if isinstance(cell, Module) else cell
    output = getattr(cell, "output", _first)
    inputs = unstack(xs)
    for x_t in inputs:
        if isinstance(x_t, Tensor):
            x_t.named("x")
    outputs: list[Any] = [None] * len(inputs)
    for t in reversed(range(len(inputs))) if reverse else range(len(inputs)):
        with scope(f"t={t}"):
            state = step(inputs[t], state)
            if state is None:
                raise TypeError("scan: the cell returned None; it must return its new state")
            outputs[t] = output(inputs[t], state)
    return stack(outputs), state


def _first(x_t: Any, state: Any) -> Any:
    return state[0] if isinstance(state, (tuple, list)) else state
