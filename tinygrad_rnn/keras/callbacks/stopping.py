"""What ends a training."""

from __future__ import annotations

import numpy as np

from .callback import Callback, Logs
from .monitor import Monitor


class EarlyStopping(Monitor):
    """Ends the training when a value becomes no better.

    Args:
        monitor, mode, min_delta: which value, and what is better (see `Monitor`).
        patience: after how many epochs without a better value.
        verbose: 1 to print why.
        baseline: the value must be better than this one.
        restore_best_weights: whether the weights of the best epoch are taken in the end.
        start_from_epoch: how many epochs to wait first.

    Attributes:
        stopped_epoch: the epoch after which it ended, or 0; best, best_epoch: the best value, and
            when it was.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self._forget()

    def _forget(self) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best: float | None = None
        self.best_weights: list[np.ndarray] | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self._forget()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        value = self.value_in(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self.is_better(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self.is_better(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs = None) -> None:
        if self.stopped_epoch and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose:
                print(
                    "Restoring model weights from the end of the best epoch: "
                    f"{self.best_epoch + 1}."
                )
            self.model.set_weights(self.best_weights)


class TerminateOnNaN(Callback):
    """Ends the training when the loss is NaN or infinite; without it, `fit` raises.

    The weights are those before that batch, which has changed nothing.
    """

    def broke(self, batch: int) -> None:
        """Is called when the loss of a batch was NaN or infinite."""
        print(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True
