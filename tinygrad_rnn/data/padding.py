"""Sequences of different lengths as one array."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..rnn.packing import pad_sequence


def pad(
    sequences: Iterable[Any], *, value: float = 0, batch_first: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Sequences of different lengths in one array, and how long each is.

    Args:
        sequences: N arrays (L_n, ...), equal in all axes but the first.
        value: what stands beyond the end of a sequence; give a vocabulary's ``padding_id``.
        batch_first: whether the array is (N, T, ...) instead of (T, N, ...), T the largest length.

    Returns:
        The array, and the lengths (N,), as recurrent layers take them: ``layer(x, lengths=n)``.

    Raises:
        ValueError: if there is no sequence, or their other axes differ.

    >>> import tinygrad_rnn as tg
    >>> x, lengths = tg.data.pad([[1, 2, 3], [4]])
    >>> x.tolist(), lengths
    ([[1, 4], [2, 0], [3, 0]], array([3, 1]))
    """
    arrays = [np.asanyarray(sequence) for sequence in sequences]
    padded = pad_sequence(arrays, batch_first=batch_first, padding_value=value)
    return padded, np.array([len(array) for array in arrays], dtype=np.int64)
