"""Checks of settings, shared by optimisers and schedules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def number(value: Any, what: str) -> float:
    """The value as a float; NaN and what isn't a number are refused."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"Invalid {what}: {value!r:.80}; it must be a number") from None
    if found != found:
        raise ValueError(f"Invalid {what}: {value}")
    return found


def require_non_negative(settings: Mapping[str, Any], **called: str) -> None:
    """Raises ValueError unless every setting is a number of at least 0; `called` gives words."""
    for name, what in called.items():
        if number(settings[name], what) < 0:
            raise ValueError(f"Invalid {what}: {settings[name]}")


def require_count(value: Any, what: str) -> int:
    """The value, if it is an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"Expected positive integer {what}, but got {value!r:.80}")
    return int(value)
