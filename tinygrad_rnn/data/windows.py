"""Windows of long sequences: for truncated backpropagation through time, and for forecasts."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..core.errors import ShapeError
from .position import Resumable


def batchify(ids: Any, batch_size: int) -> np.ndarray:
    """A sequence cut into `batch_size` equally long pieces, side by side as columns.

        out[t, n] = ids[n·T + t],    T = len(ids) // batch_size

    Args:
        ids: (L, ...), such as the numbers of a text's symbols; a memory map stays one.
        batch_size: N, the number of columns.

    Returns:
        (T, N, ...), a view. What doesn't fill a row is left out.

    Raises:
        ValueError: if there are fewer elements than columns.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> tg.data.batchify(np.arange(7), 2)
    array([[0, 3],
           [1, 4],
           [2, 5]])
    """
    ids, columns = np.asanyarray(ids), operator.index(batch_size)
    if ids.ndim < 1 or columns < 1 or len(ids) < columns:
        raise ShapeError(
            f"batchify: a sequence of shape {ids.shape} can't be cut into {batch_size} pieces"
        )
    length = len(ids) // columns
    pieces = ids[: length * columns].reshape(columns, length, *ids.shape[1:])
    return np.swapaxes(pieces, 0, 1)


class Window(NamedTuple):
    """What `Windows` gives for each update.

    Attributes:
        inputs, targets: (steps, N, ...); the last window of an epoch may have fewer steps.
        fresh: whether the sequence begins here, so that no state is carried in.
    """

    inputs: Any
    targets: Any
    fresh: bool


class Windows(Resumable[Window]):
    """A long sequence in windows that follow each other, for truncated backpropagation.

    Each window goes on where the one before ended, so the model's state is carried from one to the
    next, cut off from its graph; `tg.fit` does so. An iteration is an epoch, or what is left of
    it; `state_dict` holds the place.

    Args:
        sequence: (T, N, ...), such as `batchify` makes.
        steps: how many time steps a window has: so far gradients go back.
        targets: (T, N, ...), one for each step; by default what comes next in the sequence.

    Raises:
        ValueError: if there is no step to learn from, or the targets have another length.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> columns = tg.data.batchify(np.arange(12), 2)
    >>> for x, y, fresh in tg.data.Windows(columns, steps=3):
    ...     print(x.T.tolist(), y.T.tolist(), fresh)
    [[0, 1, 2], [6, 7, 8]] [[1, 2, 3], [7, 8, 9]] True
    [[3, 4], [9, 10]] [[4, 5], [10, 11]] False
    """

    def __init__(self, sequence: Any, steps: int, *, targets: Any = None) -> None:
        super().__init__()
        sequence = np.asanyarray(sequence)
        self._steps = operator.index(steps)
        if sequence.ndim < 2:
            raise ShapeError(
                f"Windows takes (T, N, ...), time and columns, got the shape {sequence.shape}: "
                "cut a text with batchify(ids, N), or write series[:, None] for one column"
            )
        if targets is None:
            self._inputs, self._targets = sequence[:-1], sequence[1:]
        else:
            self._inputs, self._targets = sequence, np.asanyarray(targets)
        if self._inputs.shape[:2] != self._targets.shape[:2]:
            raise ShapeError(
                f"Windows: inputs {self._inputs.shape} and targets {self._targets.shape} differ in "
                "time steps or columns"
            )
        if self._steps < 1 or not self._inputs.size:
            raise ValueError(f"no window of {steps} steps can be cut from {sequence.shape}")

    def __len__(self) -> int:
        return -(-len(self._inputs) // self._steps)

    def _batches(self) -> Iterator[Window]:
        for k in range(self.position, len(self)):
            at = slice(k * self._steps, (k + 1) * self._steps)
            yield Window(self._inputs[at], self._targets[at], k == 0)

    def _identity(self) -> dict[str, Any]:
        return {"shape": list(self._inputs.shape), "steps": self._steps}


def sliding_windows(
    series: Any, size: int, horizon: int = 1, stride: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Every stretch of a series, and what comes right after it.

        inputs[i] = series[i·stride : i·stride + size]
        targets[i] = series[i·stride + size : i·stride + size + horizon]

    Args:
        series: (T, ...).
        size: how many steps are seen.
        horizon: how many steps after them are to be forecast.
        stride: how many steps there are from one window to the next.

    Returns:
        inputs (M, size, ...) and targets (M, horizon, ...), M = (T - size - horizon) // stride + 1:
        views that can't be written to, without a copy of the series. Windows overlap, so split
        the series before cutting it, or split the windows with a gap: see `split`.

    Raises:
        ValueError: if a number is below 1, or the series too short for one window.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> x, y = tg.data.sliding_windows(np.arange(6), size=3)
    >>> x.tolist(), y.tolist()
    ([[0, 1, 2], [1, 2, 3], [2, 3, 4]], [[3], [4], [5]])
    """
    series = np.asanyarray(series)
    size, horizon, stride = map(operator.index, (size, horizon, stride))
    if min(size, horizon, stride) < 1:
        raise ValueError(
            "sliding_windows: size, horizon and stride are at least 1, got "
            f"{size}, {horizon}, {stride}"
        )
    if series.ndim < 1 or len(series) < size + horizon:
        raise ShapeError(
            f"sliding_windows: a series of shape {series.shape} holds no window of {size} steps "
            f"and {horizon} after it"
        )
    both = np.lib.stride_tricks.sliding_window_view(series, size + horizon, axis=0)[::stride]
    both = np.moveaxis(both, -1, 1)
    return both[:, :size], both[:, size:]
