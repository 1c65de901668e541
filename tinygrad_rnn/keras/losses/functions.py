"""Losses as functions: the formulas.

Every function takes (y_true, y_pred) and gives a Tensor without the last axis of y_pred, that of
the features or classes. It computes in the dtype of y_pred. Where Keras would broadcast one of
them silently, shapes that differ are an error here, except for a last axis of size 1 that only one
of them has. ε is `keras.config.epsilon()`, 1e-7 unless it was changed.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from ... import ops
from ...nn import functional as F
from ...ops.normalisation import index_along
from ..config import epsilon
from ..masks import with_mask
from .targets import class_axis, classes, floats, pair, rows, without


def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """out = mean (y_true - y_pred)² over the last axis

    >>> from tinygrad_rnn import keras
    >>> keras.losses.mean_squared_error([[0.0, 0.0]], [[1.0, 3.0]])
    Tensor([5.])
    """
    y_true, y_pred = pair("mean_squared_error", y_true, y_pred)
    return F.mse_loss(y_pred, y_true, "none").mean(axis=-1)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """out = mean |y_true - y_pred| over the last axis"""
    y_true, y_pred = pair("mean_absolute_error", y_true, y_pred)
    return F.l1_loss(y_pred, y_true, "none").mean(axis=-1)


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """out = 100 mean (|y_true - y_pred| / max(|y_true|, ε)) over the last axis"""
    y_true, y_pred = pair("mean_absolute_percentage_error", y_true, y_pred)
    scale = ops.maximum(ops.absolute(y_true), epsilon())
    return 100.0 * (F.l1_loss(y_pred, y_true, "none") / scale).mean(axis=-1)


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """out = mean (ln(1 + max(y_true, ε)) - ln(1 + max(y_pred, ε)))² over the last axis"""
    y_true, y_pred = pair("mean_squared_logarithmic_error", y_true, y_pred)
    first, second = (ops.log1p(ops.maximum(y, epsilon())) for y in (y_pred, y_true))
    return F.mse_loss(first, second, "none").mean(axis=-1)


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """out = - cos(y_true, y_pred) over `axis`: -1 for the same direction; 0 if one is zero"""
    y_true, y_pred = pair("cosine_similarity", y_true, y_pred)
    return -F.cosine_similarity(y_true, y_pred, axis, epsilon())


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """out = mean (e² / 2 where |e| <= delta, else delta (|e| - delta / 2)), e = y_pred - y_true"""
    y_true, y_pred = pair("huber", y_true, y_pred)
    return F.huber_loss(y_pred, y_true, "none", delta).mean(axis=-1)


def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """out = mean ln cosh e over the last axis, e = y_pred - y_true"""
    y_true, y_pred = pair("log_cosh", y_true, y_pred)
    e = y_pred - y_true
    # exact for e of any sign and size, as in Keras on JAX and TensorFlow
    return (e + ops.softplus(-2.0 * e, threshold=math.inf) - math.log(2.0)).mean(axis=-1)


def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """out = Σ y_true ln(y_true / y_pred) over the last axis, both at least ε and at most 1"""
    y_true, y_pred = pair("kl_divergence", y_true, y_pred)
    p, q = (ops.clip(y, epsilon(), 1.0) for y in (y_true, y_pred))
    return F.kl_div(ops.log(q), p, "none").sum(axis=-1)


def poisson(y_true: Any, y_pred: Any) -> Any:
    """out = mean (y_pred - y_true ln(y_pred + ε)) over the last axis"""
    y_true, y_pred = pair("poisson", y_true, y_pred)
    return (y_pred - y_true * ops.log(y_pred + epsilon())).mean(axis=-1)


def hinge(y_true: Any, y_pred: Any) -> Any:
    """out = mean max(1 - y_true y_pred, 0) over the last axis; y_true of 0 and 1 means -1 and 1"""
    return _margins("hinge", y_true, y_pred).mean(axis=-1)


def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """out = mean max(1 - y_true y_pred, 0)² over the last axis; y_true as in `hinge`"""
    return ops.square(_margins("squared_hinge", y_true, y_pred)).mean(axis=-1)


def _margins(name: str, y_true: Any, y_pred: Any) -> Any:
    """max(1 - y_true y_pred, 0)"""
    y_true, y_pred = pair(name, y_true, y_pred)
    if np.isin(y_true.data, (0, 1)).all():
        y_true = 2 * y_true - 1
    return ops.maximum(1 - y_true * y_pred, 0)


def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """out = max(0, 1 + max((1 - y_true) y_pred) - Σ y_true y_pred), over the last axis"""
    y_true, y_pred = pair("categorical_hinge", y_true, y_pred)
    wrong = ((1 - y_true) * y_pred).max(axis=-1)
    return ops.maximum(wrong - (y_true * y_pred).sum(axis=-1) + 1, 0)


def binary_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """out = - mean (t ln p + (1 - t) ln(1 - p)) over `axis`

    Args:
        y_true: probabilities t, such as labels 0 and 1.
        y_pred: probabilities p, taken as at least ε = `config.epsilon()` and at most 1 - ε;
            scores, whose sigmoid p is, with from_logits.
        from_logits: whether y_pred holds scores.
        label_smoothing: s moves t towards 1/2: t (1 - s) + s / 2.
        axis: that of the mean.

    Raises:
        ValueError: if the shapes differ, or probabilities aren't within 0 … 1.

    >>> from tinygrad_rnn import keras
    >>> round(float(keras.losses.binary_crossentropy([1.0], [0.5])), 4)
    0.6931
    """
    y_true, y_pred = pair("binary_crossentropy", y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1 - label_smoothing) + 0.5 * label_smoothing
    if from_logits:
        losses = F.binary_cross_entropy_with_logits(y_pred, y_true, reduction="none")
    else:
        p = ops.clip(y_pred, epsilon(), 1 - epsilon())
        losses = F.binary_cross_entropy(p, y_true, reduction="none")
    return losses.mean(axis=axis)


def categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """out = - Σ t ln p over `axis`

    Args:
        y_true: probabilities t of the classes, such as one hot vectors.
        y_pred: p after division by its sum, then taken as at least ε = `config.epsilon()`
            and at most 1 - ε; scores, whose softmax p is, with from_logits.
        from_logits: whether y_pred holds scores.
        label_smoothing: s spreads this part of t evenly over the classes.
        axis: that of the classes.

    Raises:
        ValueError: if the shapes differ.
    """
    y_true, y_pred = pair("categorical_crossentropy", y_true, y_pred)
    class_axis(axis, y_pred)
    if y_pred.shape[-1] == 1:
        warnings.warn(
            "In loss categorical_crossentropy, expected y_pred.shape to be (batch_size, "
            f"num_classes) with num_classes > 1. Received: y_pred.shape={y_pred.shape}. Consider "
            "using 'binary_crossentropy' if you only have 2 classes.",
            SyntaxWarning,
            stacklevel=2,
        )
    if label_smoothing:
        y_true = y_true * (1 - label_smoothing) + label_smoothing / y_true.shape[axis]
    if from_logits:
        scores, targets = (rows(y, axis) for y in (y_pred, y_true))
        losses = F.cross_entropy(scores, targets, reduction="none")
        return losses.reshape(without(axis, y_pred.shape))
    p = ops.clip(y_pred / y_pred.sum(axis=axis, keepdims=True), epsilon(), 1 - epsilon())
    return -(y_true * ops.log(p)).sum(axis=axis)


def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Any:
    """out = - ln p[y_true] over `axis`

    Args:
        y_true: classes, integers in the shape of y_pred without `axis`, or with size 1 there.
        y_pred: as in `categorical_crossentropy`.
        from_logits: whether y_pred holds scores.
        ignore_class: where y_true is this, the loss is 0, and masked.
        axis: that of the classes.

    Raises:
        ValueError: if the shapes don't fit, or y_true holds what is no class.

    >>> from tinygrad_rnn import keras
    >>> loss = keras.losses.sparse_categorical_crossentropy([1, 0], [[0.5, 0.5], [1.0, 0.0]])
    >>> loss.numpy().round(4)
    array([0.6931, 0.    ])
    """
    y_pred = floats(y_pred)
    y = classes(y_true, y_pred, axis, ignore_class)
    valid = np.ones(y.shape, bool) if ignore_class is None else y != ignore_class
    y = np.where(valid, y, 0)
    if from_logits:
        losses = F.cross_entropy(rows(y_pred, axis), y.ravel(), reduction="none")
        losses = losses.reshape(y.shape)
    else:
        total = y_pred.sum(axis=axis)
        if ignore_class is not None:  # what is ignored may be all zeros
            total = ops.where(valid, total, 1)
        p = ops.getitem(y_pred, index_along(y, axis)) / total
        losses = -ops.log(ops.clip(p, epsilon(), 1 - epsilon()))
    if ignore_class is None:
        return losses
    return with_mask(ops.where(valid, losses, 0), valid)


mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
msle = MSLE = mean_squared_logarithmic_error
bce = BCE = binary_crossentropy
kld = KLD = kl_divergence
logcosh = log_cosh

ALL = (
    binary_crossentropy, categorical_crossentropy, categorical_hinge, cosine_similarity, hinge,
    huber, kl_divergence, log_cosh, mean_absolute_error, mean_absolute_percentage_error,
    mean_squared_error, mean_squared_logarithmic_error, poisson, sparse_categorical_crossentropy,
    squared_hinge,
)  # fmt: skip
SHORT = {
    "bce": bce, "BCE": bce, "kld": kld, "KLD": kld, "mae": mae, "MAE": mae, "mse": mse,
    "MSE": mse, "mape": mape, "MAPE": mape, "msle": msle, "MSLE": msle, "logcosh": log_cosh,
}  # fmt: skip
