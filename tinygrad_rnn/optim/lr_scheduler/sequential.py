"""Schedules one after the other."""

from __future__ import annotations

import copy
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from ..optimizer import Optimizer
from .base import LRScheduler, require_alike, require_optimizer
from .plateau import ReduceLROnPlateau


class SequentialLR(LRScheduler):
    """Several schedules, the next one from each milestone on, where it starts at its epoch 0.

    Args:
        optimizer: whose learning rates are set.
        schedulers: made for the same optimiser; not `ReduceLROnPlateau`, nor a SequentialLR.
        milestones: rising epochs, one less than schedules.
        last_epoch: the epoch to go on after; -1 to start.

    Raises:
        TypeError, ValueError: for others; nothing is changed then.

    >>> import tinygrad_rnn as tg
    >>> from tinygrad_rnn.optim.lr_scheduler import ConstantLR, ExponentialLR, SequentialLR
    >>> opt = tg.optim.SGD([tg.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> parts = [ConstantLR(opt, factor=0.1, total_iters=9), ExponentialLR(opt, gamma=0.5)]
    >>> schedule = SequentialLR(opt, parts, milestones=[2])
    >>> for epoch in range(4):
    ...     print(*schedule.get_last_lr()); opt.step(); schedule.step()
    0.1
    0.1
    1.0
    0.5
    """

    _own = ("optimizer", "_schedulers")

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:
        require_optimizer(optimizer)
        _require_parts(optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                "Sequential Schedulers expects number of schedulers provided to be one more than "
                f"the number of milestone points, but got number of schedulers {len(schedulers)} "
                f"and the number of milestones to be equal to {len(milestones)}"
            )
        if list(milestones) != sorted(milestones):
            raise ValueError(f"milestones should rise, got {milestones!r:.80}")
        self.optimizer = optimizer
        self._schedulers, self._milestones = list(schedulers), list(milestones)
        self.last_epoch = last_epoch + 1
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        for part in self._schedulers:
            part.last_epoch -= 1  # they were at their first epoch when they were made
        first = self._schedulers[bisect_right(self._milestones, 0)]
        first._begin()
        self._last_lr = first.get_last_lr()

    def step(self) -> None:
        """As `LRScheduler.step`, of the schedule whose turn it is."""
        epoch = self.last_epoch + 1
        place = bisect_right(self._milestones, epoch)
        part = self._schedulers[place]
        if place > 0 and self._milestones[place - 1] == epoch:
            part._restart()
        else:
            part.step()
        self.last_epoch = epoch
        self._last_lr = part.get_last_lr()

    def state_dict(self) -> dict[str, Any]:
        """As `LRScheduler.state_dict`, with those of the parts."""
        return {**super().state_dict(), "_schedulers": [s.state_dict() for s in self._schedulers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """As `LRScheduler.load_state_dict`."""
        before = self.state_dict()
        require_alike(type(self).__name__, before, state_dict)
        others = super().state_dict()
        try:
            for part, found in zip(self._schedulers, state_dict["_schedulers"], strict=True):
                part.load_state_dict(found)
        except (TypeError, ValueError):
            for part, found in zip(self._schedulers, before["_schedulers"], strict=True):
                part.load_state_dict(found)
            raise
        vars(self).update({n: copy.deepcopy(state_dict[n]) for n in others})


def _require_parts(optimizer: Optimizer, schedulers: Sequence[LRScheduler]) -> None:
    if not schedulers:
        raise ValueError("SequentialLR expects at least one scheduler, but got no scheduler.")
    for k, part in enumerate(schedulers):
        kind = type(part).__name__
        if not isinstance(part, LRScheduler):
            raise TypeError(f"SequentialLR expects schedulers, but got a {kind} at index {k}")
        if isinstance(part, (ReduceLROnPlateau, SequentialLR)):
            raise ValueError(f"SequentialLR does not support a {kind}, but got one at index {k}")
        if part.optimizer is not optimizer:
            raise ValueError(
                "SequentialLR expects all schedulers to belong to the same optimizer, but the "
                f"{kind} at index {k} has another"
            )
