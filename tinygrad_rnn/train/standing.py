"""How far a training has come: what a checkpoint keeps of it, beside model and optimiser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .carried import put_together, taken_apart
from .evaluation import Means, Metrics
from .history import History
from .stopping import Best

_COUNTERS = ("step", "epoch", "position", "seconds", "row_seconds")


class Standing:
    """How far a training has come.

    Args:
        best: keeps the best parameters.
        position: how many batches of the first epoch are behind already.
        metrics: that are measured.

    Attributes:
        step, epoch: updates and whole epochs so far.
        position: batches of this epoch so far.
        state: what is carried from window to window.
        means: of losses and metrics since the last row of the history.
        seconds, row_seconds: time spent on updates so far, and until the last row.
        history: what is handed back in the end.
    """

    def __init__(self, best: Best, position: int, metrics: Metrics | None) -> None:
        self.best, self.position, self._metrics = best, position, metrics
        self.step = self.epoch = 0
        self.state: Any = None
        self.means = Means(metrics)
        self.seconds = self.row_seconds = 0.0
        self.history = History()

    def new_means(self) -> None:
        """Begins a new row of the history."""
        self.means, self.row_seconds = Means(self._metrics), self.seconds

    def state_dict(self) -> dict[str, Any]:
        """All of it as plain values and arrays."""
        description, arrays = taken_apart(self.state)
        return {
            **{name: getattr(self, name) for name in _COUNTERS},
            "carried": {"description": description, "arrays": arrays},
            "means": {"sums": dict(self.means.sums), "weight": self.means.weight},
            "history": self.history.state_dict(),
            "best": self.best.state_dict(),
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes all that `state_dict` has given."""
        for name in _COUNTERS:
            setattr(self, name, state_dict[name])
        carried, means = state_dict["carried"], state_dict["means"]
        self.state = put_together(carried["description"], carried["arrays"])
        self.new_means()
        self.means.sums, self.means.weight = dict(means["sums"]), means["weight"]
        self.history.load_state_dict(state_dict["history"])
        self.best.load_state_dict(state_dict["best"])
