"""Initial values that are drawn: from one distribution for all shapes, or orthogonal."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np

from ... import init
from ...core.errors import ShapeError
from ...core.random import generator
from ..config import float_name
from .initializer import Initializer, sizes_of

Seed: TypeAlias = int | np.random.Generator | None


class RandomInitializer(Initializer):
    """One that draws.

    Args:
        seed: an integer, with which the same values are drawn at every call; a NumPy generator; or
            None, the library's default generator (`tg.manual_seed`).
    """

    def __init__(self, seed: Seed = None) -> None:
        number = isinstance(seed, (int, np.integer)) and seed >= 0
        if not (seed is None or number or isinstance(seed, np.random.Generator)):
            raise ValueError(
                "`seed` argument should be an integer of 0 or more, a np.random.Generator or None. "
                f"Received: seed={seed!r}"
            )
        self.seed = seed

    def _rng(self) -> np.random.Generator:
        return generator(self.seed)

    def get_config(self) -> dict[str, Any]:
        if isinstance(self.seed, np.random.Generator):
            raise TypeError(
                f"{type(self).__name__} draws from a generator, which can't stand in a "
                "configuration: give it an integer as seed"
            )
        return {"seed": None if self.seed is None else int(self.seed)}


class RandomNormal(RandomInitializer):
    """Normal, with this mean and standard deviation."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Seed = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = mean, stddev

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        return init.normal(sizes_of(shape), float_name(dtype), self._rng(), self.mean, self.stddev)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


class TruncatedNormal(RandomNormal):
    """Normal, given that the value is at most two standard deviations from the mean."""

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        return truncated(sizes_of(shape), self.mean, self.stddev, dtype, self._rng())


class RandomUniform(RandomInitializer):
    """Uniform on [minval, maxval).

    >>> from tinygrad_rnn import keras
    >>> draw = keras.initializers.RandomUniform(seed=7)
    >>> bool((draw((2, 3)) == draw((2, 3))).all())
    True
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Seed = None) -> None:
        super().__init__(seed)
        self.minval, self.maxval = minval, maxval

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        return init.between(
            sizes_of(shape), self.minval, self.maxval, float_name(dtype), self._rng()
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "minval": self.minval, "maxval": self.maxval}


class Orthogonal(RandomInitializer):
    """gain · Q, with orthonormal rows or columns, whichever are fewer.

    A shape with more than two axes has all but the last one as rows.

    Raises:
        ValueError: when called with fewer than two axes.

    >>> import numpy as np
    >>> from tinygrad_rnn import keras
    >>> q = keras.initializers.Orthogonal(seed=0)((2, 3), dtype="float64")
    >>> np.allclose(q @ q.T, np.eye(2))
    True
    """

    def __init__(self, gain: float = 1.0, seed: Seed = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        sizes = sizes_of(shape)
        if len(sizes) < 2:
            raise ShapeError(
                "The tensor to initialize must be at least two-dimensional. Received: "
                f"shape={sizes} of rank {len(sizes)}."
            )
        matrix = (math.prod(sizes[:-1]), sizes[-1])
        return init.orthogonal(matrix, float_name(dtype), self._rng(), self.gain).reshape(sizes)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "gain": self.gain}


def truncated(
    sizes: tuple[int, ...], mean: float, std: float, dtype: Any, rng: np.random.Generator
) -> np.ndarray:
    """Normal, cut at two standard deviations."""
    low, high = mean - 2 * std, mean + 2 * std
    return init.truncated_normal(sizes, mean, std, low, high, float_name(dtype), rng)
