"""Schedules that multiply: by a constant now and then, every time, or by a function."""

from __future__ import annotations

import copy
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FunctionType
from typing import Any

import numpy as np

from ..checks import number, require_count
from ..optimizer import Optimizer
from .base import LRScheduler, for_each_group, require_alike, require_optimizer


class StepLR(LRScheduler):
    """lr ← gamma · lr every `step_size` epochs.

    Args:
        optimizer: whose learning rates are set.
        step_size: at least 1.
        gamma: the factor.
        last_epoch: as for `LRScheduler`.

    Raises:
        ValueError: for a step_size below 1; and as `LRScheduler`.

    >>> import tinygrad_rnn as tg
    >>> opt = tg.optim.SGD([tg.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.StepLR(opt, step_size=2, gamma=0.5)
    >>> for epoch in range(4):
    ...     opt.step(); schedule.step(); print(*schedule.get_last_lr())
    1.0
    0.5
    0.5
    0.25
    """

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.step_size = require_count(step_size, "step_size")
        self.gamma = number(gamma, "gamma")
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """As `LRScheduler.get_lr`."""
        turn = self.last_epoch != 0 and self.last_epoch % self.step_size == 0
        return self._times(self.gamma) if turn else self._now()


class MultiStepLR(LRScheduler):
    """lr ← gamma · lr at each of the milestones (twice, where one is listed twice).

    Args:
        optimizer: whose learning rates are set.
        milestones: epochs.
        gamma: the factor.
        last_epoch: as for `LRScheduler`.

    Raises:
        TypeError: for milestones that aren't integers; and as `LRScheduler`.

    >>> import tinygrad_rnn as tg
    >>> opt = tg.optim.SGD([tg.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.MultiStepLR(opt, milestones=[1, 3], gamma=0.5)
    >>> for epoch in range(3):
    ...     opt.step(); schedule.step(); print(*schedule.get_last_lr())
    0.5
    0.5
    0.25
    """

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:
        given = list(milestones)
        if not all(isinstance(m, (int, np.integer)) for m in given):
            raise TypeError(f"milestones should be integers, got {given!r:.80}")
        self.milestones = sorted(map(int, given))
        self.gamma = number(gamma, "gamma")
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """As `LRScheduler.get_lr`."""
        count = self.milestones.count(self.last_epoch)
        return self._times(self.gamma**count) if count else self._now()

    def _start(self) -> list[float]:
        factor = self.gamma ** bisect_right(self.milestones, 0)
        return [base * factor for base in self.base_lrs]

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """As `LRScheduler.load_state_dict`; the number of milestones may differ."""
        own = self.state_dict()
        given = state_dict.get("milestones") if isinstance(state_dict, Mapping) else None
        if isinstance(given, list) and all(isinstance(m, int) for m in given):
            own["milestones"] = given
        require_alike(type(self).__name__, own, state_dict)
        vars(self).update({n: copy.deepcopy(state_dict[n]) for n in own})


class ExponentialLR(LRScheduler):
    """lr ← gamma · lr every epoch.

    Args:
        optimizer: whose learning rates are set.
        gamma: the factor.
        last_epoch: as for `LRScheduler`.

    Raises:
        TypeError: for a gamma that is no number; and as `LRScheduler`.

    >>> import tinygrad_rnn as tg
    >>> opt = tg.optim.SGD([tg.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.ExponentialLR(opt, gamma=0.5)
    >>> opt.step(); schedule.step(); schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = number(gamma, "gamma")
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """As `LRScheduler.get_lr`."""
        return self._now() if self._is_initial else self._times(self.gamma)


class LambdaLR(LRScheduler):
    """lr ← lr₀ · lr_lambda(epoch).

    Functions are not saved; of other callables, their attributes are.

    Args:
        optimizer: whose learning rates are set.
        lr_lambda: from the epoch to a factor; or a list of them, one for each group.
        last_epoch: as for `LRScheduler`.

    Raises:
        ValueError: for a list of another length than the groups'; and as `LRScheduler`.

    >>> import tinygrad_rnn as tg
    >>> opt = tg.optim.SGD([tg.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.LambdaLR(opt, lambda epoch: 1 / (1 + epoch))
    >>> opt.step(); schedule.step()
    >>> schedule.get_last_lr()
    [0.5]
    """

    _own = ("optimizer", "lr_lambdas")

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        require_optimizer(optimizer)
        self.lr_lambdas = for_each_group(optimizer, "lr_lambda", lr_lambda)
        if not all(map(callable, self.lr_lambdas)):
            raise TypeError(f"lr_lambda should be a function, got {lr_lambda!r:.80}")
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """As `LRScheduler.get_lr`."""
        return [
            base * function(self.last_epoch)
            for function, base in zip(self.lr_lambdas, self.base_lrs, strict=True)
        ]

    def _start(self) -> list[float]:
        return self.get_lr()

    def state_dict(self) -> dict[str, Any]:
        """As `LRScheduler.state_dict`, with the attributes of callables that aren't functions."""
        kept = [
            None if isinstance(f, FunctionType) else copy.deepcopy(getattr(f, "__dict__", None))
            for f in self.lr_lambdas
        ]
        return {**super().state_dict(), "lr_lambdas": kept}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """As `LRScheduler.load_state_dict`."""
        require_alike(type(self).__name__, self.state_dict(), state_dict)
        pairs = list(zip(self.lr_lambdas, state_dict["lr_lambdas"], strict=True))
        for function, kept in pairs:
            if not (kept is None or (isinstance(kept, Mapping) and hasattr(function, "__dict__"))):
                raise ValueError(f"lr_lambdas: {function!r:.80} can't take {kept!r:.80}")
        for function, kept in pairs:
            if kept:
                vars(function).update(copy.deepcopy(kept))
        others = super().state_dict()
        vars(self).update({n: copy.deepcopy(state_dict[n]) for n in others})
