"""Random masking."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from ..core.primitive import composite
from ..core.random import generator

__all__ = [
    "dropout",
]


@composite()
def dropout(x: Any, p: float = 0.5, rng: np.random.Generator | int | None = None) -> Any:
    """out = x · m / (1 - p), each m being 0 with probability p, else 1.

    Args:
        x: any shape.
        p: probability of dropping an element, 0 <= p <= 1.
        rng: generator or seed; the library's default generator if None.

    Source: Srivastava et al. 2014, "Dropout".

    >>> import tinygrad_rnn as tg
    >>> tg.dropout(tg.Tensor([1.0, 2.0, 3.0, 4.0]), p=0.5, rng=1)
    Tensor([2., 4., 0., 8.])
    """
    check_probability(p)
    if p == 0:
        return x
    return x * dropout_mask(x.shape, p, x.dtype, rng)


def dropout_mask(
    shape: tuple[int, ...], p: float, dtype: Any, rng: np.random.Generator | int | None = None
) -> np.ndarray:
    """m / (1 - p), each m being 0 with probability p, else 1."""
    mask = generator(rng).random(shape) >= p
    return (mask / np.asarray(1 - p if p < 1 else 1)).astype(dtype)


def check_probability(p: float) -> None:
    """Raises unless p is a number from 0 to 1."""
    if isinstance(p, bool) or not isinstance(p, numbers.Real) or not 0 <= p <= 1:
        raise ValueError(
            "dropout should be a number in range [0, 1] representing the probability of an element "
            f"being zeroed, got {p!r}"
        )
