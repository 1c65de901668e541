"""One cycle: up, down, and far down."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, pi
from typing import Any

from ..checks import number, require_count
from ..optimizer import Optimizer
from .base import LRScheduler, for_each_group, require_optimizer


class OneCycleLR(LRScheduler):
    """lr rises to max_lr, then falls far below where it began; momentum goes the other way.

    With s = max_lr / div_factor, the rate goes s → max_lr → s / final_div_factor (three_phase:
    s → max_lr → s → s / final_div_factor), each way by

        cos:     end + (start - end) / 2 · (1 + cos(π · share))
        linear:  start + (end - start) · share

    and momentum (or β₁) max → base → max (→ max). `step` is called after every batch.

    Args:
        optimizer: whose learning rates, and momentum, are set.
        max_lr: the highest rate; or a list, one for each group.
        total_steps: of the cycle; or epochs and steps_per_epoch, whose product it is then.
        epochs, steps_per_epoch: in place of total_steps.
        pct_start: the share of the steps in which the rate rises.
        anneal_strategy: "cos" or "linear".
        cycle_momentum: whether momentum is set.
        base_momentum, max_momentum: its lowest and highest value; or lists.
        div_factor, final_div_factor, three_phase: as above.
        last_epoch: as for `LRScheduler`.

    Raises:
        ValueError: for settings that make no sense, an optimiser without momentum whose momentum
            should be set; and in `step` after the end. Nothing is changed then.

    Source: Smith & Topin 2019, "Super-Convergence: Very Fast Training of Neural Networks Using
    Large Learning Rates".

    >>> import tinygrad_rnn as tg
    >>> opt = tg.optim.SGD([tg.Tensor([1.0], requires_grad=True)], lr=1.0, momentum=0.9)
    >>> schedule = tg.optim.lr_scheduler.OneCycleLR(opt, max_lr=1.0, total_steps=5, pct_start=0.4)
    >>> for step in range(5):
    ...     print(f"{schedule.get_last_lr()[0]:.4f} {opt.param_groups[0]['momentum']:.2f}")
    ...     opt.step(); schedule.step()
    0.0400 0.95
    1.0000 0.85
    0.7500 0.88
    0.2500 0.92
    0.0000 0.95
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        require_optimizer(optimizer)
        self.total_steps = _total_steps(total_steps, epochs, steps_per_epoch)
        self._phases = _phases(self.total_steps, pct_start, three_phase)
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                "anneal_strategy must be one of 'cos' or 'linear', instead got "
                f"{anneal_strategy!r:.80}"
            )
        self.anneal_strategy = anneal_strategy
        self.cycle_momentum = cycle_momentum
        self.use_beta1 = "betas" in optimizer.defaults
        if cycle_momentum and not self.use_beta1 and "momentum" not in optimizer.defaults:
            raise ValueError(
                "optimizer must support momentum or beta1 with `cycle_momentum` option enabled"
            )
        for value, name in ((div_factor, "div_factor"), (final_div_factor, "final_div_factor")):
            if number(value, name) <= 0:
                raise ValueError(f"Invalid {name}: {value}; it must be above 0")
        peaks = _numbers(optimizer, "max_lr", max_lr)
        highs = _numbers(optimizer, "max_momentum", max_momentum)
        lows = _numbers(optimizer, "base_momentum", base_momentum)
        if last_epoch == -1:
            groups = optimizer.param_groups
            for group, peak, high, low in zip(groups, peaks, highs, lows, strict=True):
                start = peak / div_factor
                group.update(initial_lr=start, max_lr=peak, min_lr=start / final_div_factor)
                if cycle_momentum:
                    group.update(max_momentum=high, base_momentum=low)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """As `LRScheduler.get_lr`; sets the momentum."""
        if self.last_epoch > self.total_steps:
            raise ValueError(
                f"Tried to step {self.last_epoch} times. The specified number of total steps is "
                f"{self.total_steps}"
            )
        share, rates, momenta = self._place()
        groups = self.optimizer.param_groups
        if self.cycle_momentum:
            for group in groups:
                momentum = self._between(group, momenta, share)
                if self.use_beta1:
                    group["betas"] = (momentum, *group["betas"][1:])
                else:
                    group["momentum"] = momentum
        return [self._between(group, rates, share) for group in groups]

    def _start(self) -> list[float]:
        return self.get_lr()

    def _place(self) -> tuple[float, list[str], list[str]]:
        """The share of a phase that is done, and from what to what its rates and momenta go."""
        begin = 0.0
        for phase in self._phases:
            end, *names = phase
            if self.last_epoch <= end or phase is self._phases[-1]:
                break
            begin = end
        return (self.last_epoch - begin) / (end - begin), names[:2], names[2:]

    def _between(self, group: dict[str, Any], names: list[str], share: float) -> float:
        start, end = (float(group[name]) for name in names)
        if self.anneal_strategy == "linear":
            return (end - start) * share + start
        return end + (start - end) / 2.0 * (cos(pi * share) + 1)


def _numbers(optimizer: Optimizer, name: str, value: Any) -> list[float]:
    return [number(v, name) for v in for_each_group(optimizer, name, value)]


def _total_steps(total: int | None, epochs: int | None, steps: int | None) -> int:
    if total is not None:
        return require_count(total, "total_steps")
    if epochs is None or steps is None:
        raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
    return require_count(epochs, "epochs") * require_count(steps, "steps_per_epoch")


def _phases(total: int, pct_start: float, three: bool) -> list[list[Any]]:
    """The last step of each phase, and the settings that rate and momentum go from and to."""
    if not 0 <= number(pct_start, "pct_start") <= 1:
        raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
    top = pct_start * total - 1
    up = [top, "initial_lr", "max_lr", "max_momentum", "base_momentum"]
    if three:
        middle = [2 * top, "max_lr", "initial_lr", "base_momentum", "max_momentum"]
        last = [total - 1, "initial_lr", "min_lr", "max_momentum", "max_momentum"]
        found = [up, middle, last]
    else:
        found = [up, [total - 1, "max_lr", "min_lr", "base_momentum", "max_momentum"]]
    if top == 0:
        raise ValueError(f"pct_start {pct_start} of {total} steps: the rate would rise in no step")
    return found
