"""Schedules of the first epochs."""

from __future__ import annotations

from ..checks import number
from ..optimizer import Optimizer
from .base import LRScheduler


class ConstantLR(LRScheduler):
    """lr is factor · lr₀ for `total_iters` epochs, then lr₀.

    Args:
        optimizer: whose learning rates are set.
        factor: above 0, at most 1.
        total_iters: how many epochs.
        last_epoch: as for `LRScheduler`.

    Raises:
        ValueError: for a factor outside; and as `LRScheduler`.

    >>> import tinygrad_rnn as tg
    >>> opt = tg.optim.SGD([tg.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.ConstantLR(opt, factor=0.5, total_iters=1)
    >>> schedule.get_last_lr()
    [0.5]
    >>> opt.step(); schedule.step(); schedule.get_last_lr()
    [1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1.0 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 < number(factor, "factor") <= 1:  # 0 could not be undone by multiplying
            raise ValueError(
                "Constant multiplicative factor expected to be between 0 and 1, and not 0: "
                f"{factor}"
            )
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """As `LRScheduler.get_lr`."""
        if self.last_epoch == 0:
            return self._times(self.factor)
        return (
            self._times(1.0 / self.factor) if self.last_epoch == self.total_iters else self._now()
        )

    def _start(self) -> list[float]:
        ended = self.total_iters <= 0
        return [base * (self.factor + ended * (1 - self.factor)) for base in self.base_lrs]


class LinearLR(LRScheduler):
    """lr goes from start_factor · lr₀ to end_factor · lr₀ in `total_iters` equal steps: a warm-up.

    Args:
        optimizer: whose learning rates are set.
        start_factor: above 0, at most 1.
        end_factor: from 0 to 1.
        total_iters: how many epochs.
        last_epoch: as for `LRScheduler`.

    Raises:
        ValueError: for factors outside; and as `LRScheduler`.

    >>> import tinygrad_rnn as tg
    >>> opt = tg.optim.SGD([tg.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.LinearLR(opt, start_factor=0.5, total_iters=2)
    >>> for epoch in range(3):
    ...     print(*schedule.get_last_lr()); opt.step(); schedule.step()
    0.5
    0.75
    1.0
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 < number(start_factor, "start_factor") <= 1:
            raise ValueError(
                "Starting multiplicative factor expected to be greater than 0 and less or equal "
                f"to 1: {start_factor}"
            )
        if not 0 <= number(end_factor, "end_factor") <= 1:
            raise ValueError(
                f"Ending multiplicative factor expected to be between 0 and 1: {end_factor}"
            )
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """As `LRScheduler.get_lr`."""
        if self.last_epoch == 0:
            return self._times(self.start_factor)
        if self._is_initial or self.last_epoch > self.total_iters:
            return self._now()
        rise = self.end_factor - self.start_factor
        before = self.total_iters * self.start_factor + (self.last_epoch - 1) * rise
        return self._times(1.0 + rise / before)

    def _start(self) -> list[float]:
        return [base * self.start_factor for base in self.base_lrs]
