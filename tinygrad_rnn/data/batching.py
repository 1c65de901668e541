"""Batches of samples, in order or shuffled."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core.errors import ShapeError
from ..core.random import generator
from .position import Resumable


class Batches(Resumable[tuple[Any, ...]]):
    """What `batches` makes: see there."""

    def __init__(
        self,
        arrays: tuple[Any, ...],
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int | None = None,
        drop_last: bool = False,
        axis: int = 0,
    ) -> None:
        super().__init__()
        self._arrays = tuple(np.asanyarray(array) for array in arrays)
        self._axis = operator.index(axis)
        self._size = operator.index(batch_size)
        self._samples = _common_length(self._arrays, self._axis)
        self._shuffle, self._drop_last = bool(shuffle), bool(drop_last)
        self._seed = int(generator().integers(2**63)) if seed is None else operator.index(seed)
        if self._size < 1:
            raise ValueError(f"batches: batch_size is at least 1, got {batch_size}")
        if self._seed < 0:
            raise ValueError(f"batches: a seed is not negative, got {seed}")
        if not len(self):
            raise ValueError(
                f"batches: {self._samples} samples give no batch of {self._size}"
                + (" with drop_last=True" if self._drop_last else "")
            )

    def __len__(self) -> int:
        whole, rest = divmod(self._samples, self._size)
        return whole + (rest > 0 and not self._drop_last)

    def _batches(self) -> Iterator[tuple[Any, ...]]:
        order = self._order()
        for k in range(self.position, len(self)):
            chosen = slice(k * self._size, min((k + 1) * self._size, self._samples))
            at = chosen if order is None else order[chosen]
            yield tuple(array[_along(self._axis, at)] for array in self._arrays)

    def _order(self) -> np.ndarray | None:
        """Each epoch has a generator of its own, so that its order needs no history."""
        if not self._shuffle:
            return None
        return np.random.default_rng([self._seed, self.epoch]).permutation(self._samples)

    def load_state_dict(self, state_dict: Any) -> None:
        seed = state_dict.get("seed", self._seed) if self._shuffle else self._seed
        before, self._seed = self._seed, operator.index(seed)
        try:
            super().load_state_dict(state_dict)
        except ValueError:
            self._seed = before
            raise

    def _identity(self) -> dict[str, Any]:
        settings = {
            "samples": self._samples,
            "batch_size": self._size,
            "drop_last": self._drop_last,
            "shuffle": self._shuffle,
        }
        return {**settings, "seed": self._seed} if self._shuffle else settings


def batches(
    arrays: Any,
    batch_size: int,
    *,
    shuffle: bool = False,
    seed: int | None = None,
    drop_last: bool = False,
    axis: int = 0,
) -> Batches:
    """Batches of samples, epoch after epoch: each ``for`` over it is one epoch.

    Args:
        arrays: an array, or several with the same number of samples along `axis`; for `tg.fit`,
            the inputs of the model and, last, the targets.
        batch_size: how many samples a batch has; the last may have fewer.
        shuffle: whether each epoch has an order of its own. Without, batches are views.
        seed: of the orders; by default drawn from the generator of `tg.manual_seed`.
        drop_last: whether a last batch with fewer samples is left out.
        axis: that of the samples: 1 for sequences with time first, (T, N, ...).

    Returns:
        An iterable of tuples of arrays, with a length, and a `state_dict` that holds the place in
        the epoch (and the seed): loaded into equal batches, they go on with the next one.

    Raises:
        ValueError: if the numbers of samples differ, or there is no batch.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> data = tg.data.batches((np.arange(5), np.arange(5) ** 2), batch_size=2)
    >>> for x, y in data:
    ...     print(x, y)
    [0 1] [0 1]
    [2 3] [4 9]
    [4] [16]
    """
    given = tuple(arrays) if isinstance(arrays, (tuple, list)) else (arrays,)
    return Batches(given, batch_size, shuffle=shuffle, seed=seed, drop_last=drop_last, axis=axis)


def _along(axis: int, at: Any) -> tuple[Any, ...]:
    """The index that picks `at` along an axis."""
    return (*(slice(None),) * axis, at)


def _common_length(arrays: tuple[np.ndarray, ...], axis: int) -> int:
    if not arrays or axis < 0 or any(array.ndim <= axis for array in arrays):
        raise ShapeError(
            f"batches needs arrays that have an axis {axis} of samples, got the shapes "
            f"{[array.shape for array in arrays]}"
        )
    lengths = {array.shape[axis] for array in arrays}
    if len(lengths) > 1:
        raise ShapeError(
            f"batches: the arrays {[array.shape for array in arrays]} have different numbers of "
            f"samples along axis {axis}; for sequences with time first, (T, N, ...), give axis=1"
        )
    return lengths.pop()
