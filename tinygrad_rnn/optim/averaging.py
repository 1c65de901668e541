"""Averages of parameters over the steps."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..tensor import Tensor


def ema_update(averages: Iterable[np.ndarray], parameters: Iterable[Tensor], decay: float) -> None:
    """Moves exponential moving averages: a ← decay · a + (1 - decay) · w.

    Args:
        averages: arrays, changed in place.
        parameters: as many Tensors of their shapes.
        decay: how much of the averages stays.

    Source: Polyak & Juditsky 1992, "Acceleration of Stochastic Approximation by Averaging".

    >>> import numpy as np, tinygrad_rnn as tg
    >>> average = np.array([1.0, 2.0])
    >>> tg.optim.ema_update([average], [tg.Tensor([3.0, 2.0])], decay=0.75)
    >>> average
    array([1.5, 2. ])
    """
    for a, w in zip(averages, parameters, strict=True):
        a *= decay
        a += (1 - decay) * w._data
