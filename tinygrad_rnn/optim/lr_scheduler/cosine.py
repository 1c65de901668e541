"""Cosine annealing."""

from __future__ import annotations

from math import cos, pi

from ..checks import number, require_count
from ..optimizer import Optimizer
from .base import LRScheduler


class CosineAnnealingLR(LRScheduler):
    """lr follows half a cosine from lr₀ to eta_min in T_max epochs, then back, and so on.

        lr = eta_min + (lr₀ - eta_min) · (1 + cos(π · epoch / T_max)) / 2

    As in PyTorch it is computed from the rate before, so that schedules can be combined:

        lr ← eta_min + (lr - eta_min) · (1 + cos(π · t / T_max)) / (1 + cos(π · (t - 1) / T_max))

    Args:
        optimizer: whose learning rates are set.
        T_max: the epochs of half a cosine.
        eta_min: the smallest rate.
        last_epoch: as for `LRScheduler`.

    Raises:
        ValueError: for a T_max below 1; and as `LRScheduler`.

    Source: Loshchilov & Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts".

    >>> import tinygrad_rnn as tg
    >>> opt = tg.optim.SGD([tg.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=2)
    >>> for epoch in range(3):
    ...     print(*(round(lr, 8) for lr in schedule.get_last_lr())); opt.step(); schedule.step()
    1.0
    0.5
    0.0
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_max = require_count(T_max, "T_max")
        self.eta_min = number(eta_min, "eta_min")
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """As `LRScheduler.get_lr`."""
        now, t, low = self._now(), self.last_epoch, self.eta_min
        if self._is_initial:
            return now
        if (t - 1 - self.T_max) % (2 * self.T_max) == 0:  # after the lowest point, 0 / 0
            rise = (1 - cos(pi / self.T_max)) / 2
            return [
                rate + (base - low) * rise for base, rate in zip(self.base_lrs, now, strict=True)
            ]
        ratio = self._height(t) / self._height(t - 1)
        return [ratio * (rate - low) + low for rate in now]

    def _height(self, t: int) -> float:
        return 1 + cos(pi * t / self.T_max)
