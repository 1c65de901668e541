"""What keeps weights within bounds, by Keras' names: from an array to an array.

ε is `keras.config.epsilon()`, 1e-7 unless it was changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .by_name import Names
from .config import epsilon


class Constraint:
    """What an optimizer applies to a weight's values after each step.

    A subclass defines `__call__`, and `get_config` if it has arguments.
    """

    def __call__(self, w: Any) -> Any:
        """The nearest values that are allowed, an ndarray."""
        return _values(w)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make one like it."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """One made from what `get_config` gave."""
        return cls(**config)


class NonNeg(Constraint):
    """out = max(w, 0)

    >>> from tinygrad_rnn import keras
    >>> keras.constraints.NonNeg()([-1.0, 2.0])
    array([0., 2.])
    """

    def __call__(self, w: Any) -> Any:
        return np.maximum(_values(w), 0)


class MinMaxNorm(Constraint):
    """out = w · (rate · clip(‖w‖, min_value, max_value) + (1 - rate) · ‖w‖) / (ε + ‖w‖)

    Args:
        min_value: the smallest norm.
        max_value: the largest norm.
        rate: 1 enforces the bounds, less goes part of the way.
        axis: over which the norm is taken; 0 of a Dense layer's kernel is what enters a unit.
    """

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: Any = 0,
    ) -> None:
        self.min_value, self.max_value, self.rate = min_value, max_value, rate
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        w = _values(w)
        norms = _norms(w, self.axis)
        inside = np.clip(norms, self.min_value, self.max_value)
        return w * ((self.rate * inside + (1 - self.rate) * norms) / (epsilon() + norms))

    def get_config(self) -> dict[str, Any]:
        return {
            "min_value": self.min_value,
            "max_value": self.max_value,
            "rate": self.rate,
            "axis": self.axis,
        }


class MaxNorm(MinMaxNorm):
    """out = w · min(‖w‖, max_value) / (ε + ‖w‖)

    >>> from tinygrad_rnn import keras
    >>> keras.constraints.MaxNorm(1.0)([[3.0], [4.0]]).round(6)
    array([[0.6],
           [0.8]])
    """

    def __init__(self, max_value: float = 2, axis: Any = 0) -> None:
        super().__init__(max_value=max_value, axis=axis)

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, "axis": self.axis}


class UnitNorm(Constraint):
    """out = w / (ε + ‖w‖)"""

    def __init__(self, axis: Any = 0) -> None:
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        w = _values(w)
        return w / (epsilon() + _norms(w, self.axis))

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis}


def _values(w: Any) -> np.ndarray:
    return np.asarray(getattr(w, "data", w) if hasattr(w, "requires_grad") else w)


def _norms(w: np.ndarray, axis: Any) -> Any:
    axis = tuple(axis) if isinstance(axis, list) else axis
    return np.sqrt(np.square(w).sum(axis=axis, keepdims=True))


max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm

_names = Names("constraint", classes=(MaxNorm, MinMaxNorm, NonNeg, UnitNorm))


def get(identifier: Any) -> Any:
    """The constraint for a name, a configuration, or itself; None for None.

    Raises:
        ValueError: for an unknown name, or what can't be called.

    >>> from tinygrad_rnn import keras
    >>> keras.constraints.get("max_norm").max_value
    2
    """
    return _names.get(identifier)


def serialize(constraint: Any) -> Any:
    """The configuration of a constraint."""
    return _names.serialize(constraint)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """What `serialize` described."""
    return _names.deserialize(config, custom_objects)
