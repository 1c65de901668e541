"""Metrics that are means and sums, of values or of a function of (y_true, y_pred)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...core.context import no_grad
from ...tensor import Tensor, as_tensor, asarray
from .. import losses
from ..losses.named import called
from ..losses.targets import same_rank
from ..losses.weights import aligned, masked_weights
from ..masks import flat, mask_of
from . import functions
from .functions import array, pair
from .metric import Metric


class Mean(Metric):
    """out = Σ w v / Σ w, over values v and weights w; 0 before the first

    A value with further axes counts as its mean over them.

    >>> from tinygrad_rnn import keras
    >>> mean = keras.metrics.Mean()
    >>> mean.update_state([1.0, 3.0])
    >>> mean(5.0)
    3.0
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.total = 0.0
        self.count = 0.0

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Adds values, each with the weight 1 or its own.

        Args:
            values: (N, ...), or a number.
            sample_weight: the shape of the values or of their first axes, or one that broadcasts
                to them.
        """
        total, count = _sums(array(values), mask_of(values), sample_weight)
        self.total += total
        self.count += count

    def result(self) -> float:
        return self.total / self.count if self.count else 0.0

    def reset_state(self) -> None:
        self.total = self.count = 0.0
        super().reset_state()


def _sums(values: Any, mask: Any, weights: Any) -> tuple[float, float]:
    """Sum and number of the samples' values, weighted."""
    values = values.astype(np.float64)
    if weights is None:
        if values.ndim > 1:
            values = values.mean(axis=tuple(range(1, values.ndim)))
        return float(values.sum()), float(len(values) if values.ndim else 1)
    # as in Keras, a mask of the values themselves counts only beside weights
    w = masked_weights(weights, mask, np.float64, "sum").data
    values, w = same_rank(values, w)
    if values.ndim > w.ndim:
        values = values.mean(axis=tuple(range(w.ndim, values.ndim)))
    values, w = aligned(values, w, "values")
    w = np.broadcast_to(w, values.shape)
    if values.ndim < 2:
        return float((values * w).sum()), float(w.sum())
    steps = tuple(range(1, values.ndim))
    return float((values * w).mean(axis=steps).sum()), float(w.mean(axis=steps).sum())


class Sum(Mean):
    """out = Σ w v, over values v and weights w"""

    def __init__(self, name: str | None = "sum", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        mask, values = mask_of(values), array(values).astype(np.float64)
        if sample_weight is not None:
            weights = masked_weights(sample_weight, mask, np.float64, "sum")
            values, w = aligned(values, weights.data, "values")
            values = values * w
        self.total += float(values.sum())

    def result(self) -> float:
        return self.total


class RootMeanSquaredError(Mean):
    """out = √ mean (y_pred - y_true)²"""

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        a, b = pair("root_mean_squared_error", y_true, y_pred)
        super().update_state(np.square(b.astype(np.float64) - a), sample_weight)

    def result(self) -> float:
        return float(np.sqrt(super().result()))


class MeanMetricWrapper(Mean):
    """The mean of a function of (y_true, y_pred).

    Args:
        fn: gives a number for each sample, or each step of it.
        name: by default the function's.
        dtype: as in `Metric`.
        kwargs: further arguments of the function.

    Where y_pred has a mask, only steps with True count.
    """

    def __init__(
        self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(name or called(fn), dtype)
        self._fn = fn
        self._arguments = kwargs

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Adds a batch."""
        mask = flat(mask_of(y_pred))
        with no_grad():
            values = self._fn(_constant(y_true), _constant(y_pred), **self._arguments)
        weights = masked_weights(sample_weight, mask, np.float64, "sum")
        super().update_state(values, weights)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "fn": losses.serialize(self._fn), **self._arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        given = {**config, "fn": _function(config["fn"])} if "fn" in config else config
        return cls(**given)


def _function(identifier: Any) -> Any:
    """A function of `metrics` or of `losses` for its name or configuration; or itself."""
    name = identifier["config"] if isinstance(identifier, Mapping) else identifier
    return functions.BY_NAME[name] if name in functions.BY_NAME else losses.get(identifier)


def _constant(y: Any) -> Any:
    """A Tensor outside any graph."""
    return y.detach() if isinstance(y, Tensor) else as_tensor(asarray(y))
