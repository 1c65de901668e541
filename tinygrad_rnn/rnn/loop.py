"""The one loop over time. Every recurrent layer, and every user's own cell, goes through it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.context import current, scope
from ..core.errors import ShapeError
from ..ops import concatenate, stack, unstack
from ..recomputation import checkpoint
from ..tensor import Tensor, as_tensor, asarray, named
from .cells import Cell, check_count
from .lengths import held, real_steps, select, without_padding
from .program.folded import fold as folded_scan
from .protocol import advance, for_sequence, initial_state, output_of
from .states import map_parts, part_names, parts_of

_BYTES_AT_ONCE = 1 << 21  # of the largest array that a program makes for all its steps
_FEWEST_AT_ONCE = 16


def scan(
    cell: Callable[[Any, Any], Any],
    xs: Any,
    state: Any = None,
    reverse: bool = False,
    *,
    lengths: Any = None,
    mask: Any = None,
    checkpoint_every: int | None = None,
    fold: bool = False,
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
        fold: whether a cell of one's own may run as a program made from its step, as the library's
            cells do: many times faster. It must then be a function of its arguments, parameters and
            constants: it is called twice, not T times, and what it does besides is not done.

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
    return _run(cell, xs, state, reverse, real, fold, checkpoint_every)


def _run(
    cell: Any,
    xs: Any,
    state: Any,
    reverse: bool,
    real: np.ndarray | None,
    trusted: bool,
    checkpoint_every: int | None,
) -> tuple[Any, Any]:
    """All steps, in stretches that are recomputed if so wanted."""
    total = len(xs)
    if checkpoint_every is None or checkpoint_every >= total or current().record is not None:
        return _stretch(cell, xs, state, range(total), reverse, real, trusted)
    outputs = []
    starts = range(0, total, checkpoint_every)
    for start in reversed(starts) if reverse else starts:
        steps = range(start, min(start + checkpoint_every, total))
        run = checkpoint(functools.partial(_stretch, fewest=1))
        here = xs[steps.start : steps.stop]
        ys, state = run(cell, here, state, steps, reverse, real, trusted)
        outputs.append(ys)
    return concatenate(outputs[::-1] if reverse else outputs), state


def _stretch(
    cell: Any,
    xs: Any,
    state: Any,
    steps: range,
    reverse: bool,
    real: np.ndarray | None,
    trusted: bool,
    fewest: int = 3,
) -> tuple[Any, Any]:
    """The steps of one stretch: their outputs, stacked, and the state after them."""
    if len(steps) >= fewest:  # for less, a program isn't worth looking for
        folded = _folded(cell, xs, state, steps, reverse, real, trusted)
        if folded is not None:
            return folded
    bare = on_arrays(cell)
    if bare is None:
        return _unrolled(cell, xs, state, steps, reverse, real)
    values = map_parts(lambda part: part.data, state)
    ys, final = _unrolled(bare, xs.data, values, steps, reverse, real)
    return as_tensor(ys), map_parts(as_tensor, final)


def _folded(
    cell: Any,
    xs: Any,
    state: Any,
    steps: range,
    reverse: bool,
    real: np.ndarray | None,
    trusted: bool,
) -> tuple[Any, Any] | None:
    """The steps by their program, so many at once as memory near the processor holds."""
    outputs: list[Any] = []
    starts = range(steps.start, steps.stop, _at_once(xs, state))
    for start in reversed(starts) if reverse else starts:
        some = range(start, min(start + starts.step, steps.stop))
        part = xs if len(some) == len(steps) else xs[some.start - steps.start :][: len(some)]
        here = None if real is None else real[some.start : some.stop]
        rest = some, reverse, real
        done = folded_scan(cell, part, state, reverse, here, _unrolled, rest, trusted)
        if done is None:
            if not outputs:
                return None
            done = _unrolled(cell, part, state, some, reverse, real)
        ys, state = done
        outputs.append(ys)
    if len(outputs) == 1:
        return outputs[0], state
    return concatenate(outputs[::-1] if reverse else outputs), state


def _at_once(xs: Any, state: Any) -> int:
    """How many steps a program runs at once: what it makes for all of them should stay small."""
    per_step = sum(4 * np.size(part) * xs.dtype.itemsize for part in parts_of(state))
    return max(_FEWEST_AT_ONCE, _BYTES_AT_ONCE // max(per_step, 1))


def _unrolled(
    cell: Any, xs: Any, state: Any, steps: range, reverse: bool, real: np.ndarray | None
) -> tuple[Any, Any]:
    """The steps one by one, each operation a node."""
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


def on_arrays(cell: Any) -> Any:
    """The cell's twin for plain arrays, if these suffice; else None."""
    return cell.on_arrays() if arrays_suffice() and isinstance(cell, Cell) else None


def arrays_suffice() -> bool:
    """Whether neither a graph nor a record is wanted, nor a look at every array."""
    context = current()
    return not (context.recording or context.anomaly or context.record is not None)
