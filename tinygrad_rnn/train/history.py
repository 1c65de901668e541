"""What happened in a training, as arrays."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

_BOOKKEEPING = ("steps", "seconds", "tokens_per_second")
OWN_NAMES = ("loss", "lr", *_BOOKKEEPING)  # beside those that begin with "val_"


class History(Mapping[str, np.ndarray]):
    """Arrays by name, with one value for every time the training was looked at.

    They are "steps" (updates so far), "loss" and the metrics (means since the value before),
    "val_loss" and so on (of the validation), "lr", "seconds" and "tokens_per_second".

    Attributes:
        stopped: why the training ended: "finished", "early" (nothing became better any more, or a
            watcher ended it), or "interrupted" (Ctrl-C).
        interrupted: whether Ctrl-C was pressed, also if the training was at its end by then.
        best: at which place the parameters stood that the model has now; None if these are simply
            the last ones.

    >>> import tinygrad_rnn as tg
    >>> history = tg.train.History()
    >>> history.add({"steps": 10, "loss": 0.5})
    >>> history["loss"], len(history)
    (array([0.5]), 2)
    """

    def __init__(self) -> None:
        self._rows: list[dict[str, float]] = []
        self.stopped = "finished"
        self.interrupted = False
        self.best: int | None = None

    def add(self, row: Mapping[str, float]) -> None:
        """Takes in one more value for each name; what it leaves out is NaN."""
        self._rows.append(dict(row))

    def last(self) -> dict[str, float]:
        """The last value of each name."""
        return dict(self._rows[-1])

    @property
    def rows(self) -> int:
        """How many values each array has."""
        return len(self._rows)

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names():
            raise KeyError(f"{name!r}: this history has {', '.join(self)}")
        kind = np.int64 if name == "steps" else np.float64
        return np.array([row.get(name, math.nan) for row in self._rows], dtype=kind)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def _names(self) -> dict[str, None]:
        return dict.fromkeys(name for row in self._rows for name in row)

    def __repr__(self) -> str:
        return f"History({self.rows} rows of {', '.join(self)}; {self.stopped})"

    def plot(self, **options: Any) -> Any:
        """The curves over the steps, drawn by `tg.plots.training_curves`, which takes `options`.

        A learning rate that stays what it is isn't drawn.

        Raises:
            ImportError: without matplotlib.
            ValueError: if there is nothing to draw.
        """
        from ..plots import training_curves

        curves = {name: self[name] for name in self if name not in _BOOKKEEPING}
        if "lr" in curves and np.ptp(curves["lr"]) == 0:
            del curves["lr"]
        steps = self["steps"] if self.rows else None
        return training_curves(curves, **{"steps": steps, "unit": "step", **options})

    def state_dict(self) -> dict[str, Any]:
        """The arrays, for `load_state_dict`."""
        return dict(self)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes the arrays that `state_dict` has given."""
        names = list(state_dict)
        columns = [np.asarray(state_dict[name]).tolist() for name in names]
        self._rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
