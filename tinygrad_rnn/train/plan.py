"""When a training ends, measures and saves: settings that are plain values, checked."""

from __future__ import annotations

import inspect
import operator
import os
from dataclasses import dataclass
from typing import Any


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
        ValueError: for a number below 1.
    """
    if value is not None and operator.index(value) < 1:
        raise ValueError(f"fit: {name} is at least 1, got {value}")
    return value


def check(plan: Plan, schedule: Any, patience: int | None) -> None:
    """Raises ValueError for settings that make no sense together."""
    if plan.epochs is None and plan.steps is None:
        raise ValueError("fit: say when to end, with epochs= or steps=")
    if plan.checkpoint_every is not None and plan.checkpoint is None:
        raise ValueError("fit: checkpoint_every needs a file, checkpoint=path")
    if plan.schedule_every not in ("epoch", "step"):
        raise ValueError(f"fit: schedule_every is 'epoch' or 'step', got {plan.schedule_every!r}")
    if schedule is not None and plan.schedule_every == "step" and takes_metrics(schedule):
        raise ValueError("fit: a schedule that takes the loss is called after each epoch")
    if patience is not None and patience < 1:
        raise ValueError(f"fit: patience is at least 1, got {patience}")
    if plan.clip_norm is not None and not plan.clip_norm > 0:
        raise ValueError(f"fit: clip_norm is above 0, got {plan.clip_norm}")
