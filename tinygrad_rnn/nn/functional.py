"""Functions of networks, with PyTorch's names and arguments (`dim`, `keepdim`)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..core.errors import DtypeError, ShapeError
from ..ops import linear, relu, sigmoid, tanh
from ..tensor import Tensor, as_tensor, asarray

__all__ = [
    "cross_entropy",
    "dropout",
    "embedding",
    "linear",
    "log_softmax",
    "mse_loss",
    "relu",
    "sigmoid",
    "softmax",
    "tanh",
]


def softmax(input: Any, dim: int = -1) -> Any:
    """out = eˣ / Σ eˣ over `dim`"""
    return ops.softmax(input, dim)


def log_softmax(input: Any, dim: int = -1) -> Any:
    """out = x - ln Σ eˣ over `dim`"""
    return ops.log_softmax(input, dim)


def dropout(input: Any, p: float = 0.5, training: bool = True) -> Any:
    """While training, each element is zero with probability p, else divided by 1 - p."""
    return ops.dropout(input, p) if training else input


def embedding(input: Any, weight: Any, padding_idx: int | None = None) -> Any:
    """The rows of `weight` (V, E) at the integers `input` (...) -> (..., E).

    The row `padding_idx` gets no gradient.

    Raises:
        TypeError: if `input` isn't of integers.
        IndexError: if an integer is negative or not below V.
    """
    rows = ops.embedding(input, weight)
    if padding_idx is None or not isinstance(rows, Tensor):
        return rows
    padding = padding_idx % weight.shape[0]
    ids = as_tensor(input).data
    return ops.where(np.expand_dims(ids == padding, -1), rows.detach(), rows)


def mse_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """(input - target)², averaged, summed or as it is.

    Raises:
        ValueError: if the shapes differ (broadcasting here hides mistakes) or the reduction is
            unknown.
    """
    if np.shape(input) != np.shape(target):
        raise ShapeError(
            f"mse_loss: input {np.shape(input)} and target {np.shape(target)} must have one shape"
        )
    return _reduce(ops.square(input - target), reduction)


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """Cross entropy between `input`, unnormalised scores, and the classes `target`.

        loss_n = - w[y_n] log softmax(x_n)[y_n]

    The mean is weighted: it divides by the sum of the weights of the targets that count.

    Args:
        input: (C,), (N, C) or (N, C, d1, ...).
        target: integers, of the shape of `input` without C.
        weight: (C,), of each class.
        ignore_index: a target with this value doesn't count.
        reduction: "mean", "sum" or "none".
        label_smoothing: share of the target spread evenly over the classes, 0 … 1.

    Returns:
        a number, or the shape of `target` with reduction="none".

    Raises:
        ValueError: if shapes don't fit.
        TypeError: if `target` isn't of integers.
        IndexError: if a target is no class.

    >>> import tinygrad_rnn as tg
    >>> x = tg.Tensor([[2.0, 0.0], [0.0, 2.0]])
    >>> round(float(tg.nn.functional.cross_entropy(x, [0, 1])), 4)
    0.1269
    """
    x = asarray(input)
    y = as_tensor(target).data
    axis = 0 if x.ndim == 1 else 1
    classes = x.shape[axis] if x.ndim else 0
    if y.dtype.kind not in "iu":
        raise DtypeError(f"cross_entropy: the targets must be integers (classes), got {y.dtype}")
    if y.shape != x.shape[:axis] + x.shape[axis + 1 :]:
        raise ShapeError(
            f"cross_entropy: scores of shape {x.shape} have the classes on axis {axis}, so the "
            f"targets need the shape {x.shape[:axis] + x.shape[axis + 1 :]}, got {y.shape}"
        )
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing is 0 … 1, got {label_smoothing!r}")
    counts = y != ignore_index
    if ((y < 0) | (y >= classes))[counts].any():
        wrong = y[((y < 0) | (y >= classes)) & counts].flat[0]
        raise IndexError(f"cross_entropy: target {wrong} is no class (0 … {classes - 1})")
    log_p = ops.moveaxis(ops.log_softmax(x, axis), axis, -1)
    safe = np.where(counts, y, 0)
    weights = np.ones(classes) if weight is None else asarray(weight)
    if weights.shape != (classes,):
        raise ShapeError(
            f"cross_entropy: weight needs the shape {(classes,)}, one number for each class, got "
            f"{weights.shape}"
        )
    weights = weights.astype(log_p.dtype)
    index = (*np.indices(y.shape, sparse=True), safe)
    losses = -log_p[index] * weights[safe]
    if label_smoothing:
        smooth = -(log_p * weights).sum(axis=-1)
        losses = (1 - label_smoothing) * losses + label_smoothing / classes * smooth
    losses = ops.where(counts, losses, 0)
    if reduction != "mean":
        return _reduce(losses, reduction)
    if not counts.any():  # as in PyTorch: the mean of nothing is NaN, and its gradient zero
        return losses.sum() + math.nan
    return losses.sum() / (weights[safe] * counts).sum()


def _reduce(losses: Any, reduction: str) -> Any:
    if reduction == "mean":
        return losses.mean()
    if reduction == "sum":
        return losses.sum()
    if reduction == "none":
        return losses
    raise ValueError(f"reduction is 'mean', 'sum' or 'none', got {reduction!r}")


def bits_per_symbol(loss: Any) -> float:
    """A cross entropy in nats, as bits: loss / ln 2."""
    return float(loss) / math.log(2)
