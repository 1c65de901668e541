"""The one loop over time. Every recurrent layer, and every user's own cell, goes through it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.context import current, scope
from ..core.errors import ShapeError
from ..module import Module
from ..ops import concatenate, stack, unstack
from ..recomputation import checkpoint
from ..tensor import Tensor, as_tensor, asarray, named
from .cells import Cell, check_count
from .lengths import held, real_steps, select, without_padding
from .states import is_tuple, map_parts, part_names, parts_of


def scan(
    cell: Callable[[Any, Any], Any],
    xs: Any,
    state: Any = None,
    reverse: bool = False,
    *,
    lengths: Any = None,
    mask: Any = None,
    checkpoint_every: int | None = None,
) -> tuple[Any, Any]:
    """Runs a cell over a sequence.

        state = cell(xs[t], state)   for t = 0 … T-1, or T-1 … 0 with reverse=True

    Args:
        cell: called as ``cell(x_t, state) -> new_state``; a function of its arguments alone. It may
            have ``initial_state(batch, dtype)``, ``output(x_t, new_state)``, and
            ``for_sequence(state)``, which gives the cell to use for the sequence.
        xs: (T, ...), the sequence; a batch is (T, N, ...).
        state: an array, or a tuple of arrays; None for the cell's `initial_state`.
        reverse: whether to go from the last step to the first.
        lengths: (N,), how many of the T steps of each sequence are real, 0 … T. At those after them
            the state is held, the output is zero, and what `xs` holds has no influence.
        mask: (T, N), or (T,) without a batch, True at real steps: as `lengths`, with holes.
        checkpoint_every: keep the states between stretches of so many steps only, and compute what
            is inside once more in the backward pass: less memory, some more time.

    Returns:
        The outputs, (T, ...) in the order of `xs`, and the state after the last step. A step's
        output is ``cell.output(x_t, new_state)``, or else the state (the first array of a tuple).

    Raises:
        ValueError: if the sequence is empty, or there is no state to begin with; if lengths or mask
            don't fit.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> decay = tg.Tensor(0.5, requires_grad=True)
    >>> ys, last = tg.rnn.scan(lambda x, h: decay * h + x, np.ones((3, 1)), np.zeros(1))
    >>> ys.tolist()
    [[1.0], [1.5], [1.75]]
    """
    if checkpoint_every is not None:
        check_count("checkpoint_every", checkpoint_every)
    xs = asarray(xs)
    if xs.ndim == 0 or not len(xs):
        raise ShapeError("scan: expected a sequence of at least one step, with time as first axis")
    batched = xs.ndim > 1 and (np.ndim(lengths) == 1 or np.ndim(mask) == 2)
    real = real_steps(lengths, mask, xs.shape[: 1 + batched], "scan")
    if isinstance(cell, Cell):
        xs, state = cell.checked(xs, state, time=1)
    elif state is None:
        state = initial_state(cell, xs.shape[1:-1], xs.dtype)
    if real is not None:
        xs = without_padding(xs, real)
    cell = for_sequence(cell, state)
    if (record := current().record) is not None:
        record.add_loop(current().scope, reverse, real)
    bare = on_arrays(cell)
    if bare is not None:
        ys, state = _run(bare, xs.data, map_parts(lambda s: s.data, state), reverse, real)
        return as_tensor(ys), map_parts(as_tensor, state)
    return _run(cell, xs, state, reverse, real, checkpoint_every)


def _run(
    cell: Any,
    xs: Any,
    state: Any,
    reverse: bool,
    real: np.ndarray | None,
    checkpoint_every: int | None = None,
) -> tuple[Any, Any]:
    """All steps, in stretches that are recomputed if so wanted."""
    total = len(xs)
    if checkpoint_every is None or checkpoint_every >= total or current().record is not None:
        return _stretch(cell, xs, state, range(total), reverse, real)
    outputs = []
    starts = range(0, total, checkpoint_every)
    for start in reversed(starts) if reverse else starts:
        steps = range(start, min(start + checkpoint_every, total))
        run = checkpoint(_stretch)
        ys, state = run(cell, xs[steps.start : steps.stop], state, steps, reverse, real)
        outputs.append(ys)
    return concatenate(outputs[::-1] if reverse else outputs), state


def _stretch(
    cell: Any, xs: Any, state: Any, steps: Sequence[int], reverse: bool, real: np.ndarray | None
) -> tuple[Any, Any]:
    """The steps of one stretch: their outputs, stacked, and the state after them."""
    output = output_of(cell)
    inputs = dict(zip(steps, unstack(xs), strict=True))
    outputs: dict[int, Any] = {}
    for t in reversed(steps) if reverse else steps:
        with scope(f"t={t}"):
            x = named(inputs[t], "x")
            new = advance(cell, x, state)
            if current().record is not None:
                _name_parts(new)
            y = output(x, new)
            if real is not None and not real[t].all():
                new, y = held(real[t], new, state), select(real[t], y, 0)
            state, outputs[t] = new, y
    return stack([outputs[t] for t in steps]), state


def _name_parts(state: Any) -> None:
    """Names the parts of a state that its cell has not, for a record."""
    for name, part in zip(part_names(state), parts_of(state), strict=True):
        if isinstance(part, Tensor) and part.name is None:
            part.name = name


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
    if is_tuple(new) != is_tuple(state) or len(parts_of(new)) != len(parts_of(state)):
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


def on_arrays(cell: Any) -> Any:
    """The cell's twin for plain arrays, if these suffice; else None."""
    return cell.on_arrays() if arrays_suffice() and isinstance(cell, Cell) else None


def arrays_suffice() -> bool:
    """Whether neither a graph nor a record is wanted, nor a look at every array."""
    context = current()
    return not (context.recording or context.anomaly or context.record is not None)
