"""What changes the learning rate."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from .callback import Callback, Logs
from .monitor import Monitor


class ReduceLROnPlateau(Monitor):
    """Lowers the learning rate when a value becomes no better.

    Args:
        monitor, mode, min_delta: which value, and what is better (see `Monitor`).
        factor: the new learning rate is ``lr * factor``, not below `min_lr`.
        patience: after how many epochs without a better value.
        cooldown: how many epochs to wait after that.
        verbose: 1 to print it.

    The history gets "learning_rate", that with which the epoch was made.

    Raises:
        ValueError: for a factor of 1 or more.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        if factor >= 1.0:
            raise ValueError(
                f"ReduceLROnPlateau does not support a factor >= 1.0. Received: factor={factor}"
            )
        self.factor, self.patience, self.verbose = factor, patience, verbose
        self.cooldown, self.min_lr = cooldown, min_lr
        self._forget()

    def _forget(self) -> None:
        self.wait = self.cooldown_counter = 0
        self.best: float | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self._forget()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        _note_rate(self.model, logs)
        value = self.value_in(logs)
        if value is None:
            return
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if self.is_better(value, self.best):
            self.best, self.wait = value, 0
        elif self.cooldown_counter <= 0:
            self.wait += 1
            if self.wait >= self.patience:
                self._lower(epoch)

    def _lower(self, epoch: int) -> None:
        optimizer = self.model.optimizer
        before = float(optimizer.learning_rate)
        if before <= self.min_lr:
            return
        optimizer.learning_rate = after = max(before * self.factor, self.min_lr)
        self.cooldown_counter, self.wait = self.cooldown, 0
        if self.verbose:
            print(f"Epoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {after}.")


class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch, and notes it in the history.

    Args:
        schedule: ``schedule(epoch, lr) -> lr``, or of the epoch alone.
        verbose: 1 to print it.

    Raises:
        ValueError: while training, if it doesn't return a float.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        self.schedule, self.verbose = schedule, verbose

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        optimizer = self.model.optimizer
        before = float(optimizer.learning_rate)
        rate = self.schedule(epoch, before) if _takes_rate(self.schedule) else self.schedule(epoch)
        if not isinstance(rate, (float, np.floating)):
            raise ValueError(
                "The output of the `schedule` function should be a float. Received: "
                f"{rate!r:.60} of type {type(rate).__name__}"
            )
        optimizer.learning_rate = float(rate)
        if self.verbose:
            print(f"Epoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        _note_rate(self.model, logs)


def _takes_rate(schedule: Callable[..., Any]) -> bool:
    """Whether it can be called with two arguments."""
    try:
        inspect.signature(schedule).bind(0, 0.0)
    except TypeError:
        return False
    except ValueError:  # of what is written in C
        return True
    return True


def _note_rate(model: Any, logs: Any) -> None:
    if isinstance(logs, dict):
        logs["learning_rate"] = float(model.optimizer.learning_rate)
