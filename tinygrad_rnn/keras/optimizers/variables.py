"""The learning rate and the number of steps, with what Keras' variables are asked for."""

from __future__ import annotations

from typing import Any

import numpy as np


class Rate(float):
    """A learning rate that can be assigned, as ``optimizer.learning_rate.assign(0.01)``.

    A float as any other, it stays what it is when its optimizer gets another one.
    """

    __slots__ = ("_optimizer",)
    _optimizer: Any

    def __new__(cls, value: float, optimizer: Any) -> Rate:
        rate = super().__new__(cls, value)
        rate._optimizer = optimizer
        return rate

    def __reduce__(self) -> Any:
        return float, (float(self),)  # a copy, or one that is read again, is a plain float

    def assign(self, value: Any) -> None:
        """Sets the optimizer's learning rate.

        Raises:
            TypeError: if it has a schedule.
            ValueError: for what is no learning rate.
        """
        self._optimizer.learning_rate = value

    def numpy(self) -> np.ndarray:
        """The number as an array of the shape ()."""
        return np.asarray(float(self))


class Count(int):
    """A number of steps."""

    __slots__ = ()

    def numpy(self) -> np.ndarray:
        """The number as an array of the shape ()."""
        return np.asarray(int(self))
