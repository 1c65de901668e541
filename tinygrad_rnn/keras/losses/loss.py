"""What all losses have in common: dtype, masks, weights and reduction."""

from __future__ import annotations

from typing import Any

from ...core.errors import did_you_mean
from ...tensor import as_tensor, asarray
from ..config import float_name, floatx
from ..masks import flat, mask_of
from ..naming import next_name
from .targets import floats
from .weights import aligned, masked_weights

_REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None)


class Loss:
    """A loss of a batch. A subclass defines `call(y_true, y_pred)`, the loss of each sample.

    Args:
        name: by default the class's name in snake case.
        reduction: "sum_over_batch_size" (or "mean"): the mean; "sum"; "mean_with_sample_weight":
            the sum divided by that of the weights; "none" or None: losses as they are.
        dtype: of the computation; by default that of y_pred.

    Called as ``loss(y_true, y_pred, sample_weight=None)``. Losses are multiplied by the weights,
    whose axes are the first ones of the losses'. Where y_pred has a mask, only steps with True
    count, also in the mean's number.

    Raises:
        ValueError: for an unknown reduction, or shapes that don't fit.

    >>> import numpy as np
    >>> from tinygrad_rnn import keras
    >>> class Cubic(keras.losses.Loss):
    ...     def call(self, y_true, y_pred):
    ...         return np.mean(np.abs(y_true - y_pred) ** 3, axis=-1)
    >>> Cubic()([[0.0], [0.0]], [[1.0], [2.0]], sample_weight=[1.0, 0.5])
    Tensor(2.5)
    """

    def __init__(
        self,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        if reduction not in _REDUCTIONS:
            raise ValueError(
                "Invalid value for argument `reduction`."
                f"{did_you_mean(str(reduction), [r for r in _REDUCTIONS if r])} "
                f"Expected one of {_REDUCTIONS}. Received: reduction={reduction!r}"
            )
        self.name = name or next_name(type(self).__name__)
        self.reduction = reduction
        self._dtype = None if dtype is None else float_name(dtype)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        mask = flat(mask_of(y_pred))
        y_pred = as_tensor(floats(y_pred), self._dtype)
        y_true = self._targets(y_true, y_pred)
        losses = as_tensor(self.call(y_true, y_pred))
        further = mask_of(losses)
        if further is not None:
            mask = further if mask is None else mask & further
        return _reduced(losses, sample_weight, mask, self.reduction)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each sample, or of each step of each sample."""
        raise NotImplementedError(f"{type(self).__name__} must implement the `call()` method")

    def _targets(self, y_true: Any, y_pred: Any) -> Any:
        return as_tensor(asarray(y_true), y_pred.dtype)

    @property
    def dtype(self) -> str:
        """Of the computation, where y_pred doesn't say it."""
        return self._dtype or floatx()

    def get_config(self) -> dict[str, Any]:
        """The arguments that make one like it."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """One made from what `get_config` gave."""
        return cls(**config)


def _reduced(losses: Any, weights: Any, mask: Any, reduction: str | None) -> Any:
    weights = masked_weights(weights, mask, losses.dtype, reduction)
    if weights is not None:
        losses, weights = aligned(losses, weights)
        losses = losses * weights
    if reduction in ("none", None) or losses.shape in ((), (0,)):
        return losses
    total = losses.sum()
    if reduction == "sum":
        return total
    if reduction == "mean_with_sample_weight" and weights is not None:
        divisor = float(weights.data.sum())
    else:
        divisor = losses.size
    return total / divisor if divisor else total * 0
