"""Weights of samples, and masks: which losses count, and how much."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core.errors import ShapeError
from ...tensor import as_tensor, asarray
from .targets import same_rank


def masked_weights(weights: Any, mask: Any, dtype: Any, reduction: str | None) -> Any:
    """Weights that are 0 where the mask is False; a Tensor, or None if neither is given.

    For a mean they are larger by number / number of True elsewhere, so that only those count.
    """
    if weights is not None:
        weights = as_tensor(asarray(weights)).detach().astype(dtype)
    if mask is None:
        return weights
    mask = np.asarray(mask, bool)
    kept = mask.astype(dtype)
    if reduction in ("mean", "sum_over_batch_size") and mask.any():
        kept *= mask.size / np.count_nonzero(mask)
    if weights is None:
        return as_tensor(kept)
    given, weights = aligned(as_tensor(kept), weights, "the mask")
    return given * weights


def aligned(values: Any, weights: Any, what: str = "the losses") -> tuple[Any, Any]:
    """Values and weights that broadcast, the weights' axes being the first ones of the values'."""
    received = f"sample_weight.shape={weights.shape} for {what} of shape {values.shape}"
    values, weights = same_rank(values, weights)
    if 0 < weights.ndim < values.ndim:
        weights = weights.reshape(weights.shape + (1,) * (values.ndim - weights.ndim))
    fits = zip(weights.shape, values.shape, strict=False)
    if weights.ndim > values.ndim or any(n not in (1, size) for n, size in fits):
        raise ShapeError(
            "Sample weights (and masks) must have the shape of the losses, or of their first "
            f"axes. Received: {received}"
        )
    return values, weights
