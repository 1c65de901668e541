"""Metrics as functions: for each sample 1 where the prediction is right, else 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core.errors import ShapeError
from ...tensor import as_tensor, asarray
from .. import losses
from ..losses.targets import same_rank


def accuracy(y_true: Any, y_pred: Any) -> Any:
    """out = 1 where y_true = y_pred, else 0"""
    return _ones(*pair("accuracy", y_true, y_pred))


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """out = 1 where y_true is 1 and y_pred > threshold, or it is 0 and it isn't; else 0"""
    y_true, y_pred = pair("binary_accuracy", y_true, y_pred)
    return _ones(y_true, y_pred > threshold)


def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """out = 1 where y_true and y_pred have their maxima at the same class of the last axis, else 0

    >>> from tinygrad_rnn import keras
    >>> keras.metrics.categorical_accuracy([[0, 1], [1, 0]], [[0.1, 0.9], [0.2, 0.8]])
    Tensor([1., 0.])
    """
    y_true, y_pred = pair("categorical_accuracy", y_true, y_pred)
    return _ones(y_true.argmax(axis=-1), y_pred.argmax(axis=-1))


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """out = 1 where y_pred has its maximum at the class y_true of the last axis, else 0

    >>> from tinygrad_rnn import keras
    >>> keras.metrics.sparse_categorical_accuracy([1, 0], [[0.1, 0.9], [0.2, 0.8]])
    Tensor([1., 0.])
    """
    y_true, y_pred = _classes("sparse_categorical_accuracy", y_true, y_pred)
    return _ones(y_true, y_pred.argmax(axis=-1))


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """out = 1 where less than k classes are predicted above the one at y_true's maximum, else 0"""
    y_true, y_pred = pair("top_k_categorical_accuracy", y_true, y_pred)
    return sparse_top_k_categorical_accuracy(y_true.argmax(axis=-1), y_pred, k)


def sparse_top_k_categorical_accuracy(
    y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False
) -> Any:
    """out = 1 where less than k classes are predicted above the class y_true, else 0

    Args:
        y_true: classes, in the shape of y_pred without the last axis.
        y_pred: scores of the classes; or classes from the best to the worst, with from_sorted_ids.
        k: how many are near enough.
        from_sorted_ids: what y_pred holds.

    Raises:
        ValueError: if the shapes don't fit, or y_true holds what is no class.
    """
    y_true, y_pred = _classes("sparse_top_k_categorical_accuracy", y_true, y_pred)
    if from_sorted_ids:
        return _ones((y_pred[..., :k] == y_true[..., None]).any(axis=-1), True)
    y = y_true.astype(np.intp)
    if ((y < 0) | (y >= y_pred.shape[-1])).any():
        raise ValueError(
            f"`y_true` must hold classes, the integers 0 … {y_pred.shape[-1] - 1}. "
            f"Received: {y.min()} … {y.max()}"
        )
    own = np.take_along_axis(y_pred, y[..., None], axis=-1)
    return _ones((y_pred > own).sum(axis=-1) < k, True)


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """out = cos(y_true, y_pred) over `axis`; the loss of this name is its negative"""
    return -losses.cosine_similarity(y_true, y_pred, axis)


def _ones(a: Any, b: Any) -> Any:
    return as_tensor((a == b).astype(np.float64))


def pair(name: str, y_true: Any, y_pred: Any) -> tuple[np.ndarray, np.ndarray]:
    """Both as ndarrays of one shape."""
    a, b = same_rank(array(y_true), array(y_pred))
    if a.shape != b.shape:
        hint = ""
        if name in ("categorical_accuracy", "top_k_categorical_accuracy"):
            hint = f" For targets that are integers, use 'sparse_{name}'."
        raise ShapeError(
            f"{name}: `y_true` and `y_pred` must have the same shape. "
            f"Received: y_true.shape={a.shape}, y_pred.shape={b.shape}.{hint}"
        )
    return a, b


def _classes(name: str, y_true: Any, y_pred: Any) -> tuple[np.ndarray, np.ndarray]:
    """Targets in the shape of the predictions without the last axis; and the predictions."""
    y, scores = array(y_true), array(y_pred)
    if y.ndim == scores.ndim and y.shape[-1:] == (1,):
        y = y[..., 0]
    if y.shape != scores.shape[:-1] or not scores.ndim:
        raise ShapeError(
            f"{name}: `y_true` must have the shape of `y_pred` without the last axis, or 1 there. "
            f"Received: y_true.shape={y.shape}, y_pred.shape={scores.shape}"
        )
    return y, scores


def array(y: Any) -> np.ndarray:
    return as_tensor(asarray(y)).data


BY_NAME = {
    function.__name__: function
    for function in (
        accuracy,
        binary_accuracy,
        categorical_accuracy,
        sparse_categorical_accuracy,
        top_k_categorical_accuracy,
        sparse_top_k_categorical_accuracy,
        cosine_similarity,
    )
}
