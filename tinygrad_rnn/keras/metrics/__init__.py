"""Metrics by Keras' names: means over all batches since the last `reset_state`, in float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..losses.targets import kind_of_classes
from .functions import (
    accuracy,
    binary_accuracy,
    categorical_accuracy,
    cosine_similarity,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from .means import (
    Mean,
    MeanMetricWrapper,
    RootMeanSquaredError,
    Sum,
)
from .metric import Metric
from .named import (
    Accuracy,
    BinaryAccuracy,
    BinaryCrossentropy,
    CategoricalAccuracy,
    CategoricalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    SparseCategoricalAccuracy,
    SparseCategoricalCrossentropy,
    SparseTopKCategoricalAccuracy,
    SquaredHinge,
    TopKCategoricalAccuracy,
    names,
)

__all__ = [
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "Hinge",
    "KLDivergence",
    "LogCoshError",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "Poisson",
    "RootMeanSquaredError",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SquaredHinge",
    "Sum",
    "TopKCategoricalAccuracy",
    "accuracy",
    "binary_accuracy",
    "categorical_accuracy",
    "check_name",
    "cosine_similarity",
    "deserialize",
    "get",
    "resolve",
    "serialize",
    "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
]


def get(identifier: Any) -> Any:
    """The metric for a name, a configuration, or itself; None for None.

    Raises:
        ValueError: for an unknown name, or what can't be called.

    >>> from tinygrad_rnn import keras
    >>> keras.metrics.get("mse")
    <MeanSquaredError name=mean_squared_error>
    """
    return names.get(identifier)


def serialize(metric: Any) -> Any:
    """The configuration of a metric."""
    return names.serialize(metric)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """What `serialize` described."""
    return names.deserialize(config, custom_objects)


# What they mean depends on the shapes of a batch.
_DEPENDING = ("accuracy", "acc", "crossentropy", "ce")


def check_name(name: str) -> None:
    """Raises ValueError for a name that `resolve` doesn't know."""
    if name.lower() not in _DEPENDING:
        names.check(name)


def resolve(
    identifier: Any,
    y_true_shape: Sequence[int],
    y_pred_shape: Sequence[int],
    loss: Any = None,
) -> Metric:
    """The Metric for what `compile` was given.

    Args:
        identifier: as in `get`; "accuracy" (or "acc") and "crossentropy" (or "ce") are the binary
            one if y_pred has a last axis of size 1, the sparse one if y_true has an axis less than
            y_pred or size 1 on the last one, else the categorical one. A function
            ``f(y_true, y_pred)`` is averaged, and gives the name.
        y_true_shape, y_pred_shape: of a batch.
        loss: says whether y_pred holds scores (`from_logits`), for the cross entropy.

    Raises:
        ValueError: for None, or an unknown name.

    >>> from tinygrad_rnn import keras
    >>> keras.metrics.resolve("accuracy", (7,), (7, 3))
    <SparseCategoricalAccuracy name=accuracy>
    """
    if identifier is None:
        raise ValueError("Expected metric, received `None`")
    found = _fitting(str(identifier).lower(), y_true_shape, y_pred_shape, loss)
    found = get(identifier) if found is None else found
    if not isinstance(found, Metric):
        found = MeanMetricWrapper(found)
    if isinstance(identifier, str):
        found.name = identifier
    return found


def _fitting(
    name: str, y_true_shape: Sequence[int], y_pred_shape: Sequence[int], loss: Any
) -> Metric | None:
    """The accuracy or cross entropy that fits the shapes, or None for other names."""
    if name not in _DEPENDING:
        return None
    kind = kind_of_classes(y_true_shape, y_pred_shape)
    if name in ("accuracy", "acc"):
        right = {
            "binary": BinaryAccuracy,
            "sparse": SparseCategoricalAccuracy,
            "categorical": CategoricalAccuracy,
        }
        return right[kind]()
    entropies = {
        "binary": BinaryCrossentropy,
        "sparse": SparseCategoricalCrossentropy,
        "categorical": CategoricalCrossentropy,
    }
    return entropies[kind](from_logits=bool(getattr(loss, "from_logits", False)))
