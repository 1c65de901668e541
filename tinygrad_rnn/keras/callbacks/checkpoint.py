"""What saves a model while it is trained."""

from __future__ import annotations

import os

from ..file_names import check_suffix
from .callback import Logs
from .monitor import Monitor


class ModelCheckpoint(Monitor):
    """Saves the model, or its weights, after epochs or batches.

    Args:
        filepath: may name values, such as ``"model-{epoch:02d}-{val_loss:.2f}.npz"``; the first
            epoch is 1 there.
        monitor, mode: which value says what is better (see `Monitor`).
        verbose: 1 to print it.
        save_best_only: whether only a model that is better than those before is saved.
        save_weights_only: whether only weights are saved, by `Model.save_weights`.
        save_freq: "epoch", or after how many batches.
        initial_value_threshold: a model must be better than this.

    Raises:
        ValueError: for another save_freq, or a filepath that ends in what isn't written.
        KeyError: while training, if `filepath` names a value that isn't there.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode, 0.0)
        whole = isinstance(save_freq, int) and not isinstance(save_freq, bool) and save_freq > 0
        if save_freq != "epoch" and not whole:
            raise ValueError(
                f"`save_freq` is 'epoch' or a number of batches. Received: {save_freq!r}"
            )
        check_suffix(filepath, "weights" if save_weights_only else "a model")
        self.filepath, self.verbose = os.fspath(filepath), verbose
        self.save_best_only, self.save_weights_only = save_best_only, save_weights_only
        self.save_freq = save_freq
        self.best = initial_value_threshold
        self._batches = 0
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._batches += 1
        if isinstance(self.save_freq, int) and self._batches % self.save_freq == 0:
            self._save(logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.save_freq == "epoch":
            self._save(logs)

    def _save(self, logs: Logs) -> None:
        if self.save_best_only:
            value = self.value_in(logs)
            if value is None or not self.is_better(value, self.best):
                return
            self.best = value
        path = self._path(logs)
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)
        if self.verbose:
            print(f"Epoch {self._epoch + 1}: saving model to {path}")

    def _path(self, logs: Logs) -> str:
        try:
            return self.filepath.format(epoch=self._epoch + 1, **(logs or {}))
        except KeyError as error:
            raise KeyError(
                f"Failed to format this callback filepath: {self.filepath!r}. There is no {error}; "
                f"there are epoch, {', '.join(logs or {})}"
            ) from None
