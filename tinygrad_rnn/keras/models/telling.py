"""Tells Keras' callbacks what the training loop tells, and validates after epochs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ...train.watching import Watcher
from ..callbacks import CallbackList, TerminateOnNaN


class Teller(Watcher):
    """Between `tg.fit` and the callbacks of a model.

    Args:
        validation: batches, or None; freq: after how many epochs, or after which ones.
        initial_epoch: the number of the first epoch.
    """

    def __init__(
        self,
        model: Any,
        told: CallbackList,
        validation: Any,
        freq: int | Sequence[int],
        initial_epoch: int,
    ) -> None:
        self._model, self._told = model, told
        self._validation, self._freq = validation, freq
        self._first = initial_epoch
        self._epoch, self._batch = initial_epoch, 0
        self._values: dict[str, float] = {}
        self._logs: dict[str, float] = {}

    def begin_training(self) -> None:
        self._told.on_train_begin()

    def begin_epoch(self, epoch: int) -> None:
        self._epoch, self._batch, self._values = epoch + self._first, 0, {}
        self._model.reset_metrics()  # a validation has left its values in them
        self._told.on_epoch_begin(self._epoch)

    def begin_step(self, step: int) -> None:
        self._told.on_train_batch_begin(self._batch)

    def end_step(self, step: int, values: Mapping[str, float]) -> bool:
        self._values = dict(values)
        self._model._results = dict(values)
        self._told.on_train_batch_end(self._batch, dict(values))
        self._batch += 1
        return bool(self._model.stop_training)

    def end_epoch(self, epoch: int, values: Mapping[str, float]) -> bool:
        logs = dict(self._values)
        if self._validation is not None and validates(self._freq, self._epoch):
            found = self._model._evaluated(self._validation, self._told)
            logs.update({f"val_{name}": value for name, value in found.items()})
        self._told.on_epoch_end(self._epoch, logs)
        self._logs = logs
        return bool(self._model.stop_training)

    def end_training(self) -> None:
        model = self._model
        model.optimizer.finalize_variable_values(model.trainable_weights)
        self._told.on_train_end(self._logs)

    def broken(self) -> bool:
        """After a loss that is NaN or infinite: ends the training, if a callback is there for it.

        Returns:
            False if there is none.
        """
        wanted = [each for each in self._told.callbacks if isinstance(each, TerminateOnNaN)]
        for each in wanted:
            each.broke(self._batch)
        if wanted:
            lost = dict.fromkeys(("loss", *self._model._compiled.metrics), math.nan)
            self._values = {**lost, **self._values, "loss": math.nan}
            self.end_epoch(self._epoch, {})
            self.end_training()
        return bool(wanted)


def validates(freq: int | Sequence[int], epoch: int) -> bool:
    """Whether there is a validation after an epoch, the first of which has the number 0."""
    return (epoch + 1) % freq == 0 if isinstance(freq, int) else epoch + 1 in freq
