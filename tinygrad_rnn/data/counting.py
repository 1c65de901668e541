"""How often the symbols of a text occur, whatever its size."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable

import numpy as np


def count_words(pieces: Iterable[str]) -> Counter[str]:
    """How often each word occurs; no word is cut by the end of a piece."""
    counts: Counter[str] = Counter()
    for piece in pieces:
        counts.update(piece.split())
    return counts


def count_letters(pieces: Iterable[str]) -> Counter[str]:
    """How often each character occurs."""
    total = np.zeros(sys.maxunicode + 1, dtype=np.int64)
    for piece in pieces:
        found = np.bincount(code_points(piece))
        total[: len(found)] += found
    return Counter({chr(code): int(total[code]) for code in np.flatnonzero(total)})


def code_points(text: str) -> np.ndarray:
    """The code points of a text."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
