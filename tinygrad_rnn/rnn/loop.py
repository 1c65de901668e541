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
from .program.finding import Foreign, is_own
from .program.folded import fold as folded_scan
from .protocol import advance, for_sequence, initial_state, output_of
from .states import map_parts, part_names, parts_of

_FEWEST = 3  # steps that are worth a program


def scan(
    cell: Callable[[Any, Any], Any],
    xs: Any,
    state: Any = None,
    reverse: bool = False,
    *,
    lengths: Any = None,
    mask: Any = None,
    checkpoint_every: int | None = None,
    fold: bool = True,
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
        fold: run the cell as a program made from its step, many times faster. To that end it is
            called twice, not T times, on Tensors without values; whatever it changes then is put
            back. If it changes, draws or decides anything, it runs step by step, with a
            `NotFoldedWarning` that says why, once for each cell. False: step by step in any case.

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
    drawn = for_sequence(cell, state)
    running = drawn if not fold or is_own(drawn) else Foreign(drawn, cell)
    if (record := current().record) is not None:
        record.add_loop(current().scope, reverse, real)
    return _run(running, xs, state, reverse, real, fold, checkpoint_every)


def _run(
    cell: Any,
    xs: Any,
    state: Any,
    reverse: bool,
    real: np.ndarray | None,
    fold: bool,
    checkpoint_every: int | None,
) -> tuple[Any, Any]:
    """All steps, in stretches that are recomputed if so wanted."""
    total = len(xs)
    if checkpoint_every is None or checkpoint_every >= total or current().record is not None:
        return _stretch(cell, xs, state, range(total), reverse, real, fold)
    outputs = []
    starts = range(0, total, checkpoint_every)
    for start in reversed(starts) if reverse else starts:
        steps = range(start, min(start + checkpoint_every, total))
        run = checkpoint(functools.partial(_stretch, fewest=1))
        here = xs[steps.start : steps.stop]
        ys, state = run(cell, here, state, steps, reverse, real, fold)
        outputs.append(ys)
    return concatenate(outputs[::-1] if reverse else outputs), state


def _stretch(
    cell: Any,
    xs: Any,
    state: Any,
    steps: range,
    reverse: bool,
    real: np.ndarray | None,
    fold: bool,
    fewest: int = _FEWEST,
) -> tuple[Any, Any]:
    """The steps of one stretch: their outputs, stacked, and the state after them."""
    if fold and len(steps) >= fewest:  # for less, a program isn't worth looking for
        here = None if real is None else real[steps.start : steps.stop]
        rest = steps, reverse, real
        unroll = _unrolled_later if isinstance(cell, Foreign) else _unrolled
        folded = folded_scan(cell, xs, state, reverse, here, unroll, rest)
        if folded is not None:
            return folded
    if isinstance(cell, Foreign):
        done = _unrolled(cell.cell, xs, state, steps, reverse, real)
        if len(steps) >= _FEWEST:
            cell.warn()
        return done
    bare = on_arrays(cell)
    if bare is None:
        return _unrolled(cell, xs, state, steps, reverse, real)
    values = map_parts(lambda part: part.data, state)
    ys, final = _unrolled(bare, xs.data, values, steps, reverse, real)
    return as_tensor(ys), map_parts(as_tensor, final)


def _unrolled_later(
    cell: Foreign, xs: Any, state: Any, steps: range, reverse: bool, real: np.ndarray | None
) -> tuple[Any, Any]:
    """The steps one by one, of a cell that was folded: it must be as it was then."""
    cell.check(xs, state)
    return _unrolled(cell.cell, xs, state, steps, reverse, real)


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
