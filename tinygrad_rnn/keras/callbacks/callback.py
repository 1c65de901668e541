"""What every callback has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Logs: TypeAlias = Mapping[str, float] | None


class Callback:
    """Is told of a training, an evaluation or a prediction; a subclass defines what it hears.

    Attributes:
        model: which model it is; ``model.stop_training = True`` ends the training.
        params: "epochs", "steps" and "verbose".

    >>> from tinygrad_rnn import keras
    >>> class Losses(keras.callbacks.Callback):
    ...     def on_train_begin(self, logs=None):
    ...         self.losses = []
    ...     def on_train_batch_end(self, batch, logs=None):
    ...         self.losses.append(logs["loss"])
    """

    model: Any = None
    params: dict[str, Any] = {}  # noqa: RUF012

    def set_model(self, model: Any) -> None:
        """Says which model it is."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Says how the training is done."""
        self.params = params

    def on_train_begin(self, logs: Logs = None) -> None:
        """Before a training."""

    def on_train_end(self, logs: Logs = None) -> None:
        """After it, with the values of the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Before an epoch; the first has the number 0."""

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """After it and its validation, with the values for the history."""

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before an update; the first of an epoch has the number 0."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After it, with the means in this epoch so far."""
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """The older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """The older name of `on_train_batch_end`."""

    def on_test_begin(self, logs: Logs = None) -> None:
        """Before an evaluation or validation."""

    def on_test_end(self, logs: Logs = None) -> None:
        """After it, with the values found."""

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a batch of it."""

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a batch of it, with the means so far."""

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Before a prediction."""

    def on_predict_end(self, logs: Logs = None) -> None:
        """After it."""

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a batch of it."""

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a batch of it; logs["outputs"] is what came out."""


EVENTS = tuple(name for name in vars(Callback) if name.startswith("on_"))
