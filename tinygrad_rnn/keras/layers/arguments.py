"""Checks of layers' arguments."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core.errors import did_you_mean

FORMATS = ("channels_last", "channels_first")


def count(name: str, value: Any) -> int:
    """`value`, if it is a positive integer.

    Raises:
        ValueError: if it isn't.
    """
    if not _whole(value) or value <= 0:
        raise ValueError(
            f"Received an invalid value for argument `{name}`, expected a positive integer. "
            f"Received: {name}={value!r}"
        )
    return int(value)


def share(name: str, value: Any) -> float:
    """`value`, if it is a number from 0 to 1.

    Raises:
        ValueError: if it isn't.
    """
    if not _real(value) or not 0 <= value <= 1:
        raise ValueError(
            f"Invalid value received for argument `{name}`. Expected a float value between 0 and "
            f"1. Received: {name}={value!r}"
        )
    return float(value)


def one_of(name: str, value: Any, known: tuple[Any, ...]) -> Any:
    """`value`, if it is one of those that are known.

    Raises:
        ValueError: if it isn't.
    """
    if value not in known:
        hint = did_you_mean(str(value), [each for each in known if isinstance(each, str)])
        raise ValueError(f"`{name}` is one of {known}. Received: {value!r}.{hint}")
    return value


def not_negative(name: str, value: Any) -> Any:
    """`value`, if it is a number of 0 or more.

    Raises:
        ValueError: if it isn't.
    """
    if not _real(value) or not value >= 0:
        raise ValueError(
            f"Argument `{name}` should be a number of 0 or more. Received: {name}={value!r}"
        )
    return value


def integers(name: str, value: Any) -> tuple[Any, ...]:
    """`value` as a tuple, if it is a list or tuple of integers (and None).

    Raises:
        ValueError: if it isn't.
    """
    several = isinstance(value, (list, tuple))
    if not several or not all(each is None or _whole(each) for each in value):
        raise ValueError(
            f"Invalid value received for argument `{name}`. Expected a tuple or list of integers. "
            f"Received: {name}={value!r}"
        )
    return tuple(None if each is None else int(each) for each in value)


def _real(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(
        value, (bool, np.complexfloating)
    )


def _whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
