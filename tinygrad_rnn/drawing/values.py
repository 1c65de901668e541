"""What a recording has noted of a graph, as summaries for its nodes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.graph import Node, Output
from ..core.recording import Recording
from .records import Summary


def summary_of(array: Any) -> Summary | None:
    """The summary of an array; None if it has no values or they are no numbers.

    >>> seen = summary_of([3.0, -4.0])
    >>> seen.count, seen.mean, seen.std, seen.minimum, seen.maximum, seen.norm, seen.number
    (2, -0.5, 3.5, -4.0, 3.0, 5.0, None)
    >>> summary_of(2).number
    2.0
    """
    array = np.asarray(array)
    if array.dtype.kind not in "fiub" or not array.size:
        return None
    flat = array.ravel().astype(np.float64)
    number = float(flat[0]) if flat.size == 1 else None
    finite = flat[np.isfinite(flat)]
    if not finite.size:
        nan = float("nan")
        return Summary(flat.size, nan, nan, nan, nan, nan, number)
    with np.errstate(over="ignore", invalid="ignore"):
        return Summary(
            flat.size,
            float(finite.mean()),
            float(finite.std()),
            float(finite.min()),
            float(finite.max()),
            float(np.sqrt((finite * finite).sum())),
            number,
        )


class Noted:
    """Finds, for the records of a graph, what a recording has noted."""

    def __init__(self, recording: Recording | None) -> None:
        self._recording = recording
        self._parts: dict[Node, list[Output]] = {}
        if recording is not None:
            for key in {**recording.values, **recording.gradients}:
                if isinstance(key, Output):
                    self._parts.setdefault(key.node, []).append(key)

    def value(self, record: Any) -> Summary | None:
        """Of the values of a record; of a node with several results, of all together."""
        return None if self._recording is None else self._of(record, self._recording.values)

    def gradient(self, record: Any) -> Summary | None:
        """Of the gradient of a record."""
        return None if self._recording is None else self._of(record, self._recording.gradients)

    def _of(self, record: Any, noted: dict[Any, np.ndarray]) -> Summary | None:
        keys = [record, *self._parts.get(record, ())]
        arrays = [np.asarray(noted[key]) for key in keys if key in noted]
        if len(arrays) < 2:
            return summary_of(arrays[0]) if arrays else None
        return summary_of(np.concatenate([array.ravel() for array in arrays]))
