"""When a training ends, measures and saves: settings that are plain values, checked."""

from __future__ import annotations

import inspect
import operator
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.files import check_writable
from .evaluation import Accumulator, Metrics
from .history import OWN_NAMES


@dataclass(frozen=True)
class Plan:
    """The settings of a training that are plain values; see `tg.fit`."""

    epochs: int | None
    steps: int | None
    validate_every: int | None
    checkpoint_every: int | None
    schedule_every: str
    clip_norm: float | None
    checkpoint: str | os.PathLike[str] | None

    def steps_in_all(self, data: Any) -> int | None:
        """How many steps there will be, if anybody can know."""
        known = [] if self.steps is None else [self.steps]
        if self.epochs is not None and hasattr(data, "__len__"):
            known.append(self.epochs * len(data))
        return min(known, default=None)


def takes_metrics(schedule: Any) -> bool:
    """Whether the schedule looks at the loss."""
    return "metrics" in inspect.signature(schedule.step).parameters


def count(name: str, value: int | None) -> int | None:
    """`value`, if it counts something.

    Raises:
        TypeError: for what is no whole number.
        ValueError: for a number below 1.
    """
    if value is None:
        return None
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"fit: {name} is a whole number, got {value!r}") from None
    if number < 1:
        raise ValueError(f"fit: {name} is at least 1, got {value}")
    return number


def check(plan: Plan, schedule: Any, metrics: Metrics) -> None:
    """Refuses settings that make no sense, before anything is done.

    Raises:
        ValueError: for what doesn't fit together.
        OSError: if the checkpoint can't be written.
    """
    if plan.epochs is None and plan.steps is None:
        raise ValueError("fit: say when to end, with epochs= or steps=")
    if plan.checkpoint_every is not None and plan.checkpoint is None:
        raise ValueError("fit: checkpoint_every needs a file, checkpoint=path")
    if plan.schedule_every not in ("epoch", "step"):
        raise ValueError(f"fit: schedule_every is 'epoch' or 'step', got {plan.schedule_every!r}")
    if schedule is not None and plan.schedule_every == "step" and takes_metrics(schedule):
        raise ValueError("fit: a schedule that takes the loss is called after each epoch")
    if plan.clip_norm is not None and not plan.clip_norm > 0:
        raise ValueError(f"fit: clip_norm is above 0, got {plan.clip_norm}")
    _check_names(metrics)
    if plan.checkpoint is not None:
        _check_checkpoint(Path(plan.checkpoint), metrics)


def _check_names(metrics: Metrics) -> None:
    """Metrics mustn't take the names of the history's own columns.

    The metrics of a Keras model have whatever names it gives them, and are read by a watcher, not
    from the history. They are objects, which only "loss" is refused to.
    """
    for name, metric in metrics.items():
        own = name in OWN_NAMES or name.startswith("val_")
        if name == "loss" or (own and not isinstance(metric, Accumulator)):
            raise ValueError(
                f"fit: a metric can't be called {name!r}, which is the name of a column that the "
                f"history has itself: {', '.join(OWN_NAMES)}, and what begins with val_"
            )


def _check_checkpoint(path: Path, metrics: Metrics) -> None:
    if any(isinstance(metric, Accumulator) for metric in metrics.values()):
        raise ValueError(
            "fit: a checkpoint can't hold what metrics that are objects have added up; give "
            "functions, whose means it holds"
        )
    check_writable(path)
