"""Initial values of parameters."""

from __future__ import annotations

from typing import Any

import numpy as np


def uniform(
    shape: tuple[int, ...], bound: float, dtype: Any, rng: np.random.Generator
) -> np.ndarray:
    """Uniform on [-bound, bound)."""
    return rng.uniform(-bound, bound, shape).astype(dtype)


def normal(shape: tuple[int, ...], dtype: Any, rng: np.random.Generator) -> np.ndarray:
    """Standard normal."""
    return rng.standard_normal(shape).astype(dtype)
