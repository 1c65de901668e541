"""What a recording has noted of a graph, as summaries for its nodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ..core.graph import Node, Output
from ..core.recording import Recording
from .records import Summary

# Arrays of one size, if it is a small one, are summed up this many at once.
_ROWS = 4096
_SMALL = 1024


def summary_of(array: Any) -> Summary | None:
    """The summary of an array; None if it has no values or they are no numbers.

    >>> seen = summary_of([3.0, -4.0])
    >>> seen.count, seen.mean, seen.std, seen.minimum, seen.maximum, seen.norm, seen.number
    (2, -0.5, 3.5, -4.0, 3.0, 5.0, None)
    >>> summary_of(2).number
    2.0
    """
    array = np.asarray(array)
    if not _has_numbers(array):
        return None
    flat = array.ravel().astype(np.float64)
    finite = flat[np.isfinite(flat)]
    if finite.size:
        (told,) = _told(finite[None])
    else:
        told = (float("nan"),) * 5
    return Summary(flat.size, *told, float(flat[0]) if flat.size == 1 else None)


def summaries_of(arrays: Sequence[Any]) -> list[Summary | None]:
    """The summary of each; None has none. Many small arrays take less time than one by one.

    >>> summaries_of([None, [3.0, -4.0], [float("inf"), 1.0]]) == [
    ...     None, summary_of([3.0, -4.0]), summary_of([float("inf"), 1.0])
    ... ]
    True
    """
    found: list[Summary | None] = [None] * len(arrays)
    alike: dict[int, list[tuple[int, np.ndarray]]] = {}
    for place, given in enumerate(arrays):
        if given is not None:
            array = np.asarray(given)
            if array.size <= _SMALL and _has_numbers(array):
                alike.setdefault(array.size, []).append((place, array))
            else:
                found[place] = summary_of(array)
    for size, members in alike.items():
        for start in range(0, len(members), _ROWS):
            places, some = zip(*members[start : start + _ROWS], strict=True)
            for place, summary in zip(places, _alike(size, some), strict=True):
                found[place] = summary
    return found


def _has_numbers(array: np.ndarray) -> bool:
    return array.dtype.kind in "fiub" and array.size > 0


def _alike(size: int, arrays: Sequence[np.ndarray]) -> Iterator[Summary | None]:
    """The summaries of arrays of one size."""
    flat = np.concatenate(arrays, axis=None, dtype=np.float64, casting="unsafe")
    rows = flat.reshape(len(arrays), size)
    finite = np.asarray(np.isfinite(rows).all(axis=1))
    for told, whole, array in zip(_told(rows), finite, arrays, strict=True):
        if whole:
            yield Summary(size, *told, told[0] if size == 1 else None)
        else:
            yield summary_of(array)


def _told(rows: np.ndarray) -> Iterable[tuple[float, float, float, float, float]]:
    """Of each row: mean, standard deviation, minimum, maximum and norm."""
    with np.errstate(over="ignore", invalid="ignore"):
        columns = (
            rows.mean(axis=1),
            rows.std(axis=1),
            rows.min(axis=1),
            rows.max(axis=1),
            np.sqrt((rows * rows).sum(axis=1)),
        )
    return zip(*(column.tolist() for column in columns), strict=True)


class Noted:
    """Finds, for the records of a graph, what a recording has noted."""

    def __init__(self, recording: Recording | None) -> None:
        self._values = {} if recording is None else recording.values
        self._gradients = {} if recording is None else recording.gradients
        self._parts: dict[Node, list[Output]] = {}
        for key in {**self._values, **self._gradients}:
            if isinstance(key, Output):
                self._parts.setdefault(key.node, []).append(key)

    def values(self, records: Iterable[Any]) -> list[Summary | None]:
        """Of the values of each record; of a node with several results, of all together."""
        return summaries_of([self._of(record, self._values) for record in records])

    def gradients(self, records: Iterable[Any]) -> list[Summary | None]:
        """Of the gradient of each record."""
        return summaries_of([self._of(record, self._gradients) for record in records])

    def _of(self, record: Any, noted: dict[Any, np.ndarray]) -> np.ndarray | None:
        if not noted:
            return None
        keys = (record, *self._parts.get(record, ()))
        arrays = [np.asarray(noted[key]) for key in keys if key in noted]
        if len(arrays) < 2:
            return arrays[0] if arrays else None
        return np.concatenate([array.ravel() for array in arrays])
