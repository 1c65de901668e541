"""What watches a value of the history."""

from __future__ import annotations

import math
import warnings

from .. import metrics
from ..layers.arguments import one_of
from .callback import Callback, Logs

# The larger the better; of other metrics here, the smaller.
_LARGER = (
    metrics.Accuracy,
    metrics.BinaryAccuracy,
    metrics.CategoricalAccuracy,
    metrics.SparseCategoricalAccuracy,
    metrics.TopKCategoricalAccuracy,
    metrics.SparseTopKCategoricalAccuracy,
    metrics.CosineSimilarity,
)
# Of these nobody knows what is better.
_EITHER = (metrics.Mean, metrics.Sum, metrics.MeanMetricWrapper)


class Monitor(Callback):
    """Watches a value of the history, and whether it becomes better.

    Args:
        monitor: the name of the value.
        mode: "min", "max", or "auto": the larger the better for accuracies and the cosine
            similarity, the smaller the better for losses and other metrics of `keras.metrics`.
        min_delta: by how much it must become better.

    Raises:
        ValueError: with "auto", once training begins, for a value of which nobody knows what is
            better.
    """

    def __init__(self, monitor: str, mode: str, min_delta: float) -> None:
        self.monitor = monitor
        self.mode = one_of("mode", mode, ("auto", "min", "max"))
        self.min_delta = abs(min_delta)
        self._sign = 0.0

    def value_in(self, logs: Logs) -> float | None:
        """The value; None, with a warning, if it isn't there."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            warnings.warn(
                f"{type(self).__name__} conditioned on metric `{self.monitor}` which is not "
                f"available. Available metrics are: {','.join(logs or {})}",
                stacklevel=2,
            )
        return value

    def is_better(self, value: float, than: float | None) -> bool:
        """Whether a value is better than another by more than `min_delta`."""
        if math.isnan(value):
            return False
        if not self._sign:
            self._sign = self._direction()
        return than is None or self._sign * (value - than) > self.min_delta

    def _direction(self) -> float:
        """1 if larger values are better, else -1."""
        if self.mode != "auto":
            return 1.0 if self.mode == "max" else -1.0
        name = self.monitor.removeprefix("val_")
        if name == "loss":
            return -1.0
        for metric in getattr(self.model, "metrics", ()):
            if metric.name != name:
                continue
            if isinstance(metric, _LARGER):
                return 1.0
            ours = type(metric).__module__.startswith(f"{metrics.__name__}.")
            if ours and type(metric) not in _EITHER:
                return -1.0
        raise ValueError(
            f"{type(self).__name__}: it can't be known whether '{self.monitor}' should become "
            "larger or smaller. Give mode='max' or mode='min'"
        )
