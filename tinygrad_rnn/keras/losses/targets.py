"""Targets and predictions as losses and metrics take them: dtypes, shapes, classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import ops
from ...core.errors import ShapeError
from ...tensor import as_tensor, asarray
from ..config import floatx


def floats(y: Any) -> Any:
    """`y` as a Tensor of floats."""
    tensor = as_tensor(asarray(y))
    return tensor if tensor.dtype.kind == "f" else tensor.astype(floatx())


def same_rank(a: Any, b: Any) -> tuple[Any, Any]:
    """Both with the same axes, if one has a last axis of size 1 more.

    It is taken away; or, where the other one has a single axis, added to that one.
    """
    if a.ndim < b.ndim:
        b, a = same_rank(b, a)
    elif a.ndim == b.ndim + 1 and a.shape[-1] == 1:
        if b.ndim == 1:
            b = b.reshape((-1, 1))
        else:
            a = a.reshape(a.shape[:-1])
    return a, b


def pair(name: str, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Both as Tensors of the dtype of y_pred and of one shape."""
    y_pred = floats(y_pred)
    y_true = as_tensor(asarray(y_true)).astype(y_pred.dtype)
    y_true, y_pred = same_rank(y_true, y_pred)
    if y_true.shape != y_pred.shape or not y_pred.ndim:
        hint = ""
        if name == "categorical_crossentropy":
            hint = " For targets that are integers, use 'sparse_categorical_crossentropy'."
        raise ShapeError(
            f"{name}: `y_true` and `y_pred` must have the same shape, of one axis or more. "
            f"Received: y_true.shape={y_true.shape}, y_pred.shape={y_pred.shape}.{hint}"
        )
    return y_true, y_pred


def class_axis(axis: Any, y_pred: Any) -> int:
    if isinstance(axis, bool) or not -y_pred.ndim <= axis < y_pred.ndim:
        raise ShapeError(
            f"`axis` must be an axis of `y_pred`, that of the classes. Received: axis={axis}, "
            f"y_pred.shape={y_pred.shape}"
        )
    return int(axis) % y_pred.ndim


def without(axis: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    axis %= len(shape)
    return shape[:axis] + shape[axis + 1 :]


def rows(y: Any, axis: int) -> Any:
    """(N, C), with the classes on the last axis."""
    y = y if axis in (-1, y.ndim - 1) else ops.moveaxis(y, axis, -1)
    return y.reshape((-1, y.shape[-1]))


def classes(y_true: Any, y_pred: Any, axis: int, ignored: int | None) -> np.ndarray:
    """The targets as integers in the shape of y_pred without `axis`."""
    axis = class_axis(axis, y_pred)
    given = as_tensor(asarray(y_true)).data
    if given.ndim == y_pred.ndim and given.shape[axis] == 1:
        given = given.squeeze(axis)
    if given.shape != without(axis, y_pred.shape):
        raise ShapeError(
            "sparse_categorical_crossentropy: `y_true` must have the shape of `y_pred` without the "
            f"axis of the classes, {without(axis, y_pred.shape)}. Received: "
            f"y_true.shape={given.shape}, y_pred.shape={y_pred.shape}."
            + (
                " For targets that are one hot, use 'categorical_crossentropy'."
                if given.shape == y_pred.shape
                else ""
            )
        )
    y = given.astype(np.intp)
    count = y_pred.shape[axis]
    wrong = (y != given) | (y < 0) | (y >= count)
    if ignored is not None:
        wrong &= given != ignored
    if wrong.any():
        raise ValueError(
            "sparse_categorical_crossentropy: `y_true` must hold classes, the integers 0 … "
            f"{count - 1} for y_pred.shape={y_pred.shape}. Received: {given[wrong].flat[0]}"
        )
    return y


def kind_of_classes(y_true_shape: Sequence[int], y_pred_shape: Sequence[int]) -> str:
    """Whether targets are "binary", "sparse" (integers) or "categorical" (one hot)."""
    if y_pred_shape[-1] == 1:
        return "binary"
    if len(y_true_shape) < len(y_pred_shape) or y_true_shape[-1] == 1:
        return "sparse"
    return "categorical"
