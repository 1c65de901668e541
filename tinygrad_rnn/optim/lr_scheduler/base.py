"""What schedules have in common."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Mapping
from typing import Any

from ...core.errors import did_you_mean
from ..optimizer import Optimizer


class LRScheduler:
    """Sets the learning rates of an optimiser, one for each group, once an epoch or a step.

    A subclass gives `get_lr`, the rates at `last_epoch`; mostly from those there are now, so that
    schedules can be combined.

    Args:
        optimizer: its groups' "lr" are the rates to start from, kept in them as "initial_lr".
        last_epoch: the epoch to go on after; -1 to start.

    Attributes:
        last_epoch: how often `step` was called.
        base_lrs: the groups' rates at the start.

    Raises:
        TypeError: if it isn't an Optimizer.
        KeyError: if it goes on (last_epoch ≥ 0) and a group has no "initial_lr".
    """

    # Attributes that are not saved.
    _own: tuple[str, ...] = ("optimizer",)

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        require_optimizer(optimizer)
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming "
                    "scheduler with last_epoch >= 0: load the optimizer's state first"
                )
        self.optimizer = optimizer
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._begin()

    def step(self) -> None:
        """Sets the rates of the next epoch; call it after the optimiser's `step`.

        Raises:
            ValueError: after the end of a schedule that has one; nothing is changed.
        """
        if self._step_count == 1 and not self.optimizer.stepped:
            warnings.warn(
                "lr_scheduler.step() was called before optimizer.step(): the first learning rate "
                "of the schedule is skipped",
                stacklevel=2,
            )
        self._advance()

    def get_last_lr(self) -> list[float]:
        """The rates that were set last, one for each group."""
        return list(self._last_lr)

    def get_lr(self) -> list[float]:
        """The rates at `last_epoch`; `step` calls it. To read them: `get_last_lr`."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """A copy of everything but the optimiser: numbers, strings, lists, dicts."""
        return {n: copy.deepcopy(v) for n, v in vars(self).items() if n not in self._own}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes what `state_dict` gave, copied. The optimiser's rates are in its own state.

        Args:
            state_dict: of a schedule of the same kind for as many groups.

        Raises:
            TypeError, ValueError: listing what doesn't fit. Nothing is changed.
        """
        own = self.state_dict()
        require_alike(type(self).__name__, own, state_dict)
        vars(self).update({n: copy.deepcopy(state_dict[n]) for n in own})

    def _begin(self) -> None:
        """Sets the first rates."""
        self._step_count = 0
        self._is_initial = True
        try:
            self._advance()
        finally:
            self._is_initial = False

    def _advance(self) -> None:
        self.last_epoch += 1
        try:
            rates = self.get_lr()
        except BaseException:
            self.last_epoch -= 1
            raise
        self._step_count += 1
        self._set(rates)

    def _restart(self) -> None:
        """As at epoch 0, whatever the rates are now."""
        self.last_epoch = 0
        self._set(self._start())

    def _start(self) -> list[float]:
        """The rates at epoch 0."""
        return list(self.base_lrs)

    def _set(self, rates: list[float]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        self._last_lr = rates

    def _now(self) -> list[float]:
        """The rates that there are."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def _times(self, factor: float) -> list[float]:
        """The rates that there are, times the factor."""
        return [rate * factor for rate in self._now()]


def require_optimizer(optimizer: Any) -> None:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")


def for_each_group(optimizer: Optimizer, name: str, value: Any) -> list[Any]:
    """The values for the groups: those given, or the one given for all."""
    count = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * count
    if len(value) != count:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. {name} has {len(value)} "
            f"values, param_groups has {count}."
        )
    return list(value)


def require_alike(kind: str, own: Mapping[str, Any], found: Any) -> None:
    """Raises unless `found` has the same names, and values of the same kinds and lengths."""
    if not isinstance(found, Mapping):
        raise TypeError(f"load_state_dict takes a dict, got {type(found).__name__}")
    faults = [f"missing: {n}" for n in own if n not in found]
    faults += [f"unexpected: {n}.{did_you_mean(n, own)}" for n in found if n not in own]
    faults += [
        f"{n} is like {own[n]!r:.80}, got {found[n]!r:.80}"
        for n in own
        if n in found and not _alike(own[n], found[n])
    ]
    if faults:
        raise ValueError(
            f"load_state_dict of {kind}, nothing was changed:\n  " + "\n  ".join(faults)
        )


def _alike(own: Any, found: Any) -> bool:
    if own is None or found is None:  # not known yet on one side
        return True
    if isinstance(own, (bool, str)):
        return type(own) is type(found)
    if isinstance(own, (int, float)):
        return isinstance(found, (int, float)) and not math.isnan(found)
    if isinstance(own, list):
        return isinstance(found, (list, tuple)) and (
            len(own) == len(found) and all(map(_alike, own, found))
        )
    return isinstance(found, Mapping)
