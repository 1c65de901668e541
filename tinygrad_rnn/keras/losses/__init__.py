"""Losses by Keras' names: functions for each sample, and objects that weigh and average them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .functions import (
    BCE,
    KLD,
    MAE,
    MAPE,
    MSE,
    MSLE,
    bce,
    binary_crossentropy,
    categorical_crossentropy,
    categorical_hinge,
    cosine_similarity,
    hinge,
    huber,
    kl_divergence,
    kld,
    log_cosh,
    logcosh,
    mae,
    mape,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    mse,
    msle,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from .loss import Loss
from .named import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    Huber,
    KLDivergence,
    LogCosh,
    LossFunctionWrapper,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
    names,
)
from .targets import kind_of_classes

__all__ = [
    "BCE",
    "KLD",
    "MAE",
    "MAPE",
    "MSE",
    "MSLE",
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "LossFunctionWrapper",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "bce",
    "binary_crossentropy",
    "categorical_crossentropy",
    "categorical_hinge",
    "cosine_similarity",
    "deserialize",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "kld",
    "log_cosh",
    "logcosh",
    "mae",
    "mape",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "mse",
    "msle",
    "poisson",
    "resolve",
    "serialize",
    "sparse_categorical_crossentropy",
    "squared_hinge",
]


def get(identifier: Any) -> Any:
    """The loss for a name, a configuration, or itself; None for None.

    A name in snake case gives the function, a class's name an object.

    Raises:
        ValueError: for an unknown name, or what can't be called.

    >>> from tinygrad_rnn import keras
    >>> keras.losses.get("mse") is keras.losses.mean_squared_error
    True
    >>> keras.losses.get("binary_crossentrpy")
    Traceback (most recent call last):
    ...
    ValueError: Unknown loss: 'binary_crossentrpy'. Did you mean 'binary_crossentropy'...
    """
    return names.get(identifier)


def serialize(loss: Any) -> Any:
    """The configuration of a loss; the name of a function of this module."""
    return names.serialize(loss)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """What `serialize` described."""
    return names.deserialize(config, custom_objects)


def resolve(
    identifier: Any,
    y_true_shape: Sequence[int] | None = None,
    y_pred_shape: Sequence[int] | None = None,
) -> Any:
    """The Loss for what `compile` was given; a function or its name gives the Loss its name.

    "crossentropy" or "ce" is the one that fits the shapes, which it needs: the binary one if y_pred
    has a last axis of size 1, the sparse one if y_true has an axis less than y_pred or size 1 on
    the last one, else the categorical one.

    >>> from tinygrad_rnn import keras
    >>> keras.losses.resolve("mse").name
    'mse'
    >>> keras.losses.resolve("crossentropy", (7,), (7, 3)).fn.__name__
    'sparse_categorical_crossentropy'
    """
    if identifier is None or isinstance(identifier, Loss):
        return identifier
    if str(identifier).lower() in ("crossentropy", "ce"):
        if y_true_shape is None or y_pred_shape is None:
            raise ValueError(
                f"which loss {identifier!r} means depends on the shapes of a batch: name "
                "'binary_crossentropy', 'sparse_categorical_crossentropy' or "
                "'categorical_crossentropy', or give the shapes"
            )
        found: Any = {
            "binary": binary_crossentropy,
            "sparse": sparse_categorical_crossentropy,
            "categorical": categorical_crossentropy,
        }[kind_of_classes(y_true_shape, y_pred_shape)]
    else:
        found = get(identifier)
    if isinstance(found, Loss):
        return found
    return LossFunctionWrapper(found, name=identifier if isinstance(identifier, str) else None)
