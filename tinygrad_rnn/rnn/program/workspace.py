"""Memory that is used again: fresh arrays cost more than what programs do with them."""

from __future__ import annotations

import sys
import threading
from typing import Any

import numpy as np

_MOST_BYTES = 1 << 28  # of the arrays that a thread keeps


class Workspace(threading.local):
    """Arrays for a thread's programs; one that nothing else refers to is handed out again.

    So an array that a graph, a view or a caller still holds is never written to, and one is free
    as soon as they let go of it.
    """

    def __init__(self) -> None:
        self._arrays: dict[tuple[tuple[int, ...], Any], list[np.ndarray]] = {}
        self._bytes = 0

    def empty(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """An array with any contents, as `np.empty`."""
        known = self._arrays.setdefault((shape, dtype), [])
        for array in known:
            if _references(array) == _UNUSED >= 0:
                return array
        made = np.empty(shape, dtype)
        if _UNUSED < 0 or made.nbytes > _MOST_BYTES // 4:
            return made
        self._bytes += made.nbytes
        if self._bytes > _MOST_BYTES:
            self._arrays.clear()
            self._bytes = made.nbytes
            known = self._arrays.setdefault((shape, dtype), [])
        known.append(made)
        return made


def _references(array: Any) -> int:
    """How often a list's array is referred to; -1 where that isn't counted."""
    return sys.getrefcount(array) if hasattr(sys, "getrefcount") else -1


def _unused() -> int:
    """What `_references` says of an array in a list and a loop's variable alone."""
    (count,) = [_references(array) for array in [np.empty(0)]]
    return count


_UNUSED = _unused()
workspace = Workspace()
