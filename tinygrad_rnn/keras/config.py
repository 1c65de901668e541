"""What holds where nothing is said: the dtype of layers, and the fuzz factor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..core.errors import did_you_mean

_FLOATS = ("float16", "float32", "float64")
_floatx = "float32"
_epsilon = 1e-7


def floatx() -> str:
    """The dtype of layers that aren't given one.

    >>> from tinygrad_rnn import keras
    >>> keras.config.floatx()
    'float32'
    """
    return _floatx


def set_floatx(value: Any) -> None:
    """Changes the dtype of layers that are made from now on.

    Raises:
        ValueError: unless it is "float16", "float32" or "float64".
    """
    global _floatx
    _floatx = float_name(value)


def epsilon() -> float:
    """The fuzz factor: what keeps quotients and logarithms of losses away from 0.

    >>> from tinygrad_rnn import keras
    >>> keras.config.epsilon()
    1e-07
    """
    return _epsilon


def set_epsilon(value: float) -> None:
    """Changes the fuzz factor of what is computed from now on.

    Raises:
        ValueError: unless it is a number in [0, 0.5): probabilities are kept at least this, and at
            most 1 less this.
    """
    global _epsilon
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise ValueError(f"`epsilon` must be a number. Received: {value!r}")
    if not 0 <= value < 0.5:
        raise ValueError(f"`epsilon` must be in [0, 0.5), such as 1e-7. Received: {value!r}")
    _epsilon = float(value)


def float_name(dtype: Any) -> str:
    """The name of a dtype of floats; that of `floatx` for None; also from Keras' DTypePolicy."""
    if dtype is None:
        return _floatx
    if isinstance(dtype, Mapping) and "name" in (dtype.get("config") or {}):
        dtype = dtype["config"]["name"]
    try:
        name = np.dtype(dtype).name
    except TypeError:
        name = str(dtype)
    if name not in _FLOATS:
        raise ValueError(
            f"Unknown dtype: expected one of {_FLOATS}. Received: {dtype!r}."
            f"{did_you_mean(name, _FLOATS)}"
        )
    return name
