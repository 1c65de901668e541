"""Sequences of different lengths in one batch: which steps are real."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.errors import DtypeError, ShapeError
from ..ops import where
from ..tensor import Tensor
from .states import map_parts


def real_steps(
    lengths: Any, mask: Any, shape: tuple[int, ...], kind: str, batch_first: bool = False
) -> np.ndarray | None:
    """Which steps are real, as booleans of `shape`; None if all are.

    Args:
        lengths: of each sequence, 0 … T; or None.
        mask: True at real steps, in the layout of the input; or None.
        shape: (T, N), or (T,) for a single sequence.
        kind: who asks, for messages.
        batch_first: whether the input, and so the mask, is (N, T).

    Raises:
        ValueError: if both are given, or one doesn't fit the input.
        TypeError: if lengths aren't integers, or the mask isn't boolean.
    """
    if lengths is None and mask is None:
        return None
    if lengths is not None and mask is not None:
        raise ValueError(f"{kind}: give lengths or mask, not both")
    if mask is not None:
        real = _of_mask(mask, shape, kind, batch_first)
    else:
        real = _of_lengths(lengths, shape, kind, batch_first)
    return None if real.all() else real


def _of_lengths(lengths: Any, shape: tuple[int, ...], kind: str, batch_first: bool) -> np.ndarray:
    lengths = np.asarray(lengths.data if isinstance(lengths, Tensor) else lengths)
    if lengths.size and lengths.dtype.kind not in "iu":
        raise DtypeError(f"{kind}: lengths must be integers, got {lengths.dtype}")
    steps, batch = shape[0], shape[1:]
    if not batch and lengths.shape == (1,):
        lengths = lengths[0]
    if lengths.shape != batch:
        wanted = f"{batch[0]} sequences" if batch else "a single sequence"
        hint = layout_hint(batch_first) if lengths.shape == (steps,) else ""
        raise ShapeError(f"{kind}: lengths of shape {lengths.shape} for {wanted}{hint}")
    outside = (lengths < 0) | (lengths > steps)
    if outside.any():
        first = tuple(int(i) for i in np.argwhere(outside)[0])
        raise ShapeError(
            f"{kind}: a length must be from 0 to the {steps} steps of the input, got "
            f"{lengths[first]} at {list(first)}"
        )
    return np.arange(steps).reshape(-1, *(1 for _ in batch)) < lengths


def _of_mask(mask: Any, shape: tuple[int, ...], kind: str, batch_first: bool) -> np.ndarray:
    real = np.asarray(mask.data if isinstance(mask, Tensor) else mask)
    if real.dtype != bool:
        raise DtypeError(
            f"{kind}: a mask is boolean, True at real steps; got {real.dtype}: mask.astype(bool)"
        )
    given = shape[::-1] if batch_first else shape
    if real.shape != given:
        hint = layout_hint(batch_first) if real.shape == given[::-1] else ""
        raise ShapeError(
            f"{kind}: the mask has the shape {real.shape}, expected {given}, the input's leading "
            f"axes{hint}"
        )
    return np.array(real.T if batch_first else real)  # the caller's may change later


def layout_hint(batch_first: bool) -> str:
    """What to do if batch and time seem to stand the other way round."""
    layout = "(batch, time, features)" if batch_first else "(time, batch, features)"
    return (
        f"; the layer reads its input as {layout}. If batch and time stand the other way round, "
        f"make it with batch_first={not batch_first}"
    )


def without_padding(xs: Any, real: np.ndarray) -> Any:
    """`xs` with each sequence's first real step (if it has one) where a step isn't real.

    What stands there may be NaN, and 0 · NaN is NaN in a gradient; a cell may be infinite at 0.
    """
    values = xs.data if isinstance(xs, Tensor) else xs
    if not real.any():
        return select(real, xs, 0)
    steps = real.reshape(len(real), -1)
    own = np.arange(steps.shape[1])
    sequences = np.where(steps.any(axis=0), own, steps.any(axis=0).argmax())
    rows = values.reshape(*steps.shape, *values.shape[real.ndim :])
    first = rows[steps.argmax(axis=0)[sequences], sequences]
    stand_in = first.reshape(values.shape[1:])
    return select(real, xs, np.broadcast_to(stand_in, values.shape))


def select(real: np.ndarray, new: Any, old: Any) -> Any:
    """`new` where a step is real, else `old`: for arrays whose first axes are those of `real`."""
    shape = np.shape(new)
    if shape[: real.ndim] != real.shape:
        raise ShapeError(
            f"with lengths or a mask, every part of the state and the output begins with the axes "
            f"{real.shape} of the batch; got the shape {shape}"
        )
    return where(real.reshape(real.shape + (1,) * (len(shape) - real.ndim)), new, old)


def held(real: np.ndarray, new: Any, old: Any) -> Any:
    """The new state where a step is real, else the old one."""
    return map_parts(lambda after, before: select(real, after, before), new, old)
