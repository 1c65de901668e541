"""What keeps the values of the epochs."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from typing import IO, Any

from ...plots import training_curves
from .callback import Callback, Logs


class History(Callback):
    """What happened: ``history.history["loss"]`` has a value for each epoch in ``history.epoch``.

    Attributes:
        history: lists of values, by name.
        epoch: the numbers of the epochs.
        stopped: why the training ended: "finished", "early" (by a callback), "interrupted" (Ctrl-C)
            or "broken" (the loss was NaN or infinite, and a `TerminateOnNaN` was there).
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []
        self.stopped = "finished"

    def on_train_begin(self, logs: Logs = None) -> None:
        self.epoch = []
        self.stopped = "finished"

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def plot(self, **options: Any) -> Any:
        """The curves over the epochs, drawn by `tg.plots.training_curves`, which takes `options`.

        Raises:
            ImportError: without matplotlib.
            ValueError: if there is nothing to draw.
        """
        return training_curves(self.history, **options)


class CSVLogger(Callback):
    """Writes the values of each epoch into a file, as comma separated values.

    Args:
        filename: the file.
        separator: between two values.
        append: whether to go on with a file that is there; else it is written anew.
    """

    def __init__(
        self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False
    ) -> None:
        self.filename, self.separator, self.append = os.fspath(filename), separator, append
        self._file: IO[str] | None = None
        self._names: list[str] = []

    def on_train_begin(self, logs: Logs = None) -> None:
        self._names = []
        if self.append and os.path.exists(self.filename):
            with open(self.filename, newline="", encoding="utf-8") as file:
                self._names = next(csv.reader(file, delimiter=self.separator), [])
        mode = "a" if self.append else "w"
        self._file = open(self.filename, mode, newline="", encoding="utf-8")  # noqa: SIM115
        self.append = True  # a next `fit` goes on with it

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        values: dict[str, Any] = {"epoch": epoch, **(logs or {})}
        if not self._names:  # val_… may come with later epochs only
            self._names = ["epoch", *sorted(values.keys() - {"epoch"})]
            self._write(self._names)
        self._write(values.get(name, "NA") for name in self._names)

    def on_train_end(self, logs: Logs = None) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, row: Iterable[Any]) -> None:
        assert self._file is not None
        csv.writer(self._file, delimiter=self.separator).writerow(row)
        self._file.flush()
