"""Smaller rates when a metric stops getting better."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

from ..checks import number
from ..optimizer import Optimizer
from .base import LRScheduler, for_each_group, require_optimizer


class ReduceLROnPlateau(LRScheduler):
    """lr ← max(factor · lr, min_lr) once a metric was no better for more than `patience` epochs.

    Better is below best · (1 - threshold) (mode "max": above best · (1 + threshold)); with
    threshold_mode "abs", below best - threshold (above best + threshold). NaN is never better.

    Args:
        optimizer: whose learning rates are set.
        mode: "min" or "max", whichever is good.
        factor: below 1.
        patience: how many epochs without improvement are let pass.
        threshold, threshold_mode: as above.
        cooldown: how many epochs after a reduction are not counted.
        min_lr: the smallest rate; or a list, one for each group.
        eps: a reduction by no more than that is not made.

    Raises:
        ValueError: for settings that make no sense.

    >>> import tinygrad_rnn as tg
    >>> opt = tg.optim.SGD([tg.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.ReduceLROnPlateau(opt, factor=0.5, patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0, 2.0):
    ...     schedule.step(loss); print(*schedule.get_last_lr())
    1.0
    1.0
    1.0
    0.5
    0.5
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        require_optimizer(optimizer)
        if not 0 <= number(factor, "factor") < 1:
            raise ValueError(f"Factor should be < 1.0 and not negative, got {factor}.")
        if mode not in ("min", "max"):
            raise ValueError(f"mode {mode} is unknown!")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold mode {threshold_mode} is unknown!")
        self.optimizer = optimizer
        self.mode, self.factor, self.patience = mode, factor, patience
        self.threshold, self.threshold_mode = threshold, threshold_mode
        self.cooldown, self.eps = cooldown, eps
        self.min_lrs = [number(v, "min_lr") for v in for_each_group(optimizer, "min_lr", min_lr)]
        self.best = inf if mode == "min" else -inf
        self.cooldown_counter = self.num_bad_epochs = self.last_epoch = 0
        self._last_lr = self._now()

    def step(self, metrics: Any) -> None:  # type: ignore[override]
        """Counts an epoch, and reduces the rates if it is time.

        Args:
            metrics: a number, or an array or Tensor of one.
        """
        current = float(metrics)
        if len(self.min_lrs) != len(self.optimizer.param_groups):
            raise ValueError(
                f"the optimizer has {len(self.optimizer.param_groups)} groups by now and "
                f"{len(self.min_lrs)} when the schedule was made: give `min_lrs` as many"
            )
        self.last_epoch += 1
        if self._is_better(current):
            self.best, self.num_bad_epochs = current, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
            self._set(
                [self._reduced(*pair) for pair in zip(self._now(), self.min_lrs, strict=True)]
            )
        self._last_lr = self._now()

    def _reduced(self, rate: float, smallest: float) -> float:
        reduced = max(rate * self.factor, smallest)
        return reduced if rate - reduced > self.eps else rate

    def _is_better(self, value: float) -> bool:
        down = self.mode == "min"
        if self.threshold_mode == "rel":
            bound = self.best * (1.0 - self.threshold if down else 1.0 + self.threshold)
        else:
            bound = self.best - self.threshold if down else self.best + self.threshold
        return value < bound if down else value > bound
