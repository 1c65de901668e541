"""Losses as objects: a function's name in CamelCase is its class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...tensor import as_tensor, asarray
from ..by_name import Names
from ..naming import snake_case
from . import functions
from .loss import Loss
from .targets import same_rank


class LossFunctionWrapper(Loss):
    """A function of (y_true, y_pred) as a Loss.

    Args:
        fn: gives the loss of each sample.
        reduction, name, dtype: as in `Loss`; the name is the function's by default.
        kwargs: further arguments of the function.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name or called(fn), reduction, dtype)
        self.fn = fn
        self._arguments = kwargs

    def call(self, y_true: Any, y_pred: Any) -> Any:
        y_true, y_pred = same_rank(y_true, y_pred)
        return self.fn(y_true, y_pred, **self._arguments)

    def _targets(self, y_true: Any, y_pred: Any) -> Any:
        # a small float wouldn't hold all classes
        if self.fn is functions.sparse_categorical_crossentropy:
            return as_tensor(asarray(y_true))
        return super()._targets(y_true, y_pred)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "fn": names.serialize(self.fn), **self._arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        given = {**config, "fn": names.get(config["fn"])} if "fn" in config else config
        return cls(**given)


def called(thing: Any) -> str:
    """What a function or an object is called."""
    name = getattr(thing, "name", None)
    return str(name or snake_case(getattr(thing, "__name__", type(thing).__name__)))


class _Named(LossFunctionWrapper):
    """A LossFunctionWrapper of one of `functions`, whose arguments are its attributes."""

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None,
        name: str | None,
        dtype: Any,
        **arguments: Any,
    ) -> None:
        super().__init__(fn, reduction, name, dtype, **arguments)
        for argument, value in arguments.items():
            setattr(self, argument, value)

    def get_config(self) -> dict[str, Any]:
        return {**Loss.get_config(self), **self._arguments}


class MeanSquaredError(_Named):
    """`mean_squared_error` as a Loss.

    >>> from tinygrad_rnn import keras
    >>> keras.losses.MeanSquaredError()([[0.0], [0.0]], [[1.0], [3.0]])
    Tensor(5.)
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(functions.mean_squared_error, reduction, name, dtype)


class MeanAbsoluteError(_Named):
    """`mean_absolute_error` as a Loss."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(functions.mean_absolute_error, reduction, name, dtype)


class MeanAbsolutePercentageError(_Named):
    """`mean_absolute_percentage_error` as a Loss."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_percentage_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(functions.mean_absolute_percentage_error, reduction, name, dtype)


class MeanSquaredLogarithmicError(_Named):
    """`mean_squared_logarithmic_error` as a Loss."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_logarithmic_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(functions.mean_squared_logarithmic_error, reduction, name, dtype)


class LogCosh(_Named):
    """`log_cosh` as a Loss."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "log_cosh",
        dtype: Any = None,
    ) -> None:
        super().__init__(functions.log_cosh, reduction, name, dtype)


class Hinge(_Named):
    """`hinge` as a Loss."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "hinge",
        dtype: Any = None,
    ) -> None:
        super().__init__(functions.hinge, reduction, name, dtype)


class SquaredHinge(_Named):
    """`squared_hinge` as a Loss."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "squared_hinge",
        dtype: Any = None,
    ) -> None:
        super().__init__(functions.squared_hinge, reduction, name, dtype)


class CategoricalHinge(_Named):
    """`categorical_hinge` as a Loss."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_hinge",
        dtype: Any = None,
    ) -> None:
        super().__init__(functions.categorical_hinge, reduction, name, dtype)


class KLDivergence(_Named):
    """`kl_divergence` as a Loss."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "kl_divergence",
        dtype: Any = None,
    ) -> None:
        super().__init__(functions.kl_divergence, reduction, name, dtype)


class Poisson(_Named):
    """`poisson` as a Loss."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "poisson",
        dtype: Any = None,
    ) -> None:
        super().__init__(functions.poisson, reduction, name, dtype)


class CosineSimilarity(_Named):
    """`cosine_similarity` as a Loss."""

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "cosine_similarity",
        dtype: Any = None,
    ) -> None:
        super().__init__(functions.cosine_similarity, reduction, name, dtype, axis=axis)


class Huber(_Named):
    """`huber` as a Loss."""

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(functions.huber, reduction, name, dtype, delta=delta)


class BinaryCrossentropy(_Named):
    """`binary_crossentropy` as a Loss."""

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            functions.binary_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


class CategoricalCrossentropy(_Named):
    """`categorical_crossentropy` as a Loss."""

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            functions.categorical_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


class SparseCategoricalCrossentropy(_Named):
    """`sparse_categorical_crossentropy` as a Loss."""

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            functions.sparse_categorical_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )


names = Names(
    "loss",
    classes=(
        BinaryCrossentropy, CategoricalCrossentropy, CategoricalHinge, CosineSimilarity, Hinge,
        Huber, KLDivergence, LogCosh, LossFunctionWrapper, MeanAbsoluteError,
        MeanAbsolutePercentageError, MeanSquaredError, MeanSquaredLogarithmicError, Poisson,
        SparseCategoricalCrossentropy, SquaredHinge,
    ),
    functions=functions.ALL,
    others=functions.SHORT,
)  # fmt: skip
