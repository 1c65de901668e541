"""Learning rates that are functions of the step."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

from .named import made, written


class LearningRateSchedule:
    """A learning rate for each step: called with the number of steps done, it gives a float.

    A subclass gives `__call__` and `get_config`, whose items are the arguments of the constructor.

    Raises:
        NotImplementedError: where a subclass lacks one of them.
    """

    # The arguments of the constructor, kept as attributes.
    _names: ClassVar[tuple[str, ...]] = ()

    def __call__(self, step: Any) -> float:
        raise NotImplementedError(
            f"Learning rate schedule '{type(self).__name__}' must override `__call__(self, step)`."
        )

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same schedule again."""
        if not self._names:
            raise NotImplementedError(
                f"Learning rate schedule '{type(self).__name__}' must override `get_config()` in "
                "order to be serializable."
            )
        return {name: getattr(self, name) for name in self._names}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> LearningRateSchedule:
        """The schedule that `get_config` was called of."""
        return cls(**config)


class ExponentialDecay(LearningRateSchedule):
    """lr = initial_learning_rate · decay_rate^p, p = step / decay_steps (staircase: ⌊p⌋).

    Args:
        initial_learning_rate, decay_steps, decay_rate, staircase: as in the equation.
        name: kept, and not used.

    Raises:
        ValueError: unless decay_steps > 0.

    >>> from tinygrad_rnn.keras.optimizers import schedules
    >>> schedules.ExponentialDecay(0.5, decay_steps=10, decay_rate=0.25)(5)
    0.25
    """

    _names = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _positive(decay_steps)
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step: Any) -> float:
        p = float(step) / self.decay_steps
        return self.initial_learning_rate * math.pow(
            self.decay_rate, math.floor(p) if self.staircase else p
        )


class InverseTimeDecay(LearningRateSchedule):
    """lr = initial_learning_rate / (1 + decay_rate · p), p = step / decay_steps (staircase: ⌊p⌋).

    Args:
        initial_learning_rate, decay_steps, decay_rate, staircase: as in the equation.
        name: kept, and not used.

    Raises:
        ValueError: unless decay_steps > 0.

    >>> from tinygrad_rnn.keras.optimizers import schedules
    >>> schedules.InverseTimeDecay(0.5, decay_steps=10, decay_rate=2.0)(5)
    0.25
    """

    _names = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _positive(decay_steps)
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step: Any) -> float:
        p = float(step) / self.decay_steps
        return self.initial_learning_rate / (
            1 + self.decay_rate * (math.floor(p) if self.staircase else p)
        )


class PiecewiseConstantDecay(LearningRateSchedule):
    """lr = values[i], where i is how many of the boundaries are below the step.

    Args:
        boundaries: numbers of steps, each above the one before.
        values: learning rates, one more than boundaries.
        name: kept, and not used.

    Raises:
        ValueError: for other numbers of them, or boundaries in another order.

    >>> from tinygrad_rnn.keras.optimizers import schedules
    >>> schedule = schedules.PiecewiseConstantDecay([10, 20], [1.0, 0.5, 0.1])
    >>> schedule(10), schedule(11), schedule(21)
    (1.0, 0.5, 0.1)
    """

    _names = ("boundaries", "values", "name")

    def __init__(
        self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant"
    ) -> None:
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                "The length of boundaries should be 1 less than the length of values. Received: "
                f"boundaries={boundaries} of length {len(boundaries)}, and values={values} of "
                f"length {len(values)}."
            )
        if any(low >= high for low, high in pairwise(boundaries)):
            raise ValueError(f"boundaries should increase. Received: boundaries={boundaries}")
        self.boundaries = boundaries
        self.values = values
        self.name = name

    def __call__(self, step: Any) -> float:
        return float(self.values[bisect_left(self.boundaries, float(step))])


class PolynomialDecay(LearningRateSchedule):
    """From initial_learning_rate to end_learning_rate by a power of the way that is left.

        p = min(step, decay_steps) / decay_steps       (cycle: step / (decay_steps · n), n the
                                                        smallest whole number > 0 with p ≤ 1)
        lr = (initial_learning_rate - end_learning_rate) · (1 - p)^power + end_learning_rate

    Args:
        initial_learning_rate, decay_steps, end_learning_rate, power, cycle: as in the equations.
        name: kept, and not used.

    Raises:
        ValueError: unless decay_steps > 0.

    >>> from tinygrad_rnn.keras.optimizers import schedules
    >>> schedules.PolynomialDecay(0.5, decay_steps=10, end_learning_rate=0.0, power=2.0)(5)
    0.125
    """

    _names = (
        "initial_learning_rate",
        "decay_steps",
        "end_learning_rate",
        "power",
        "cycle",
        "name",
    )

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _positive(decay_steps)
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name

    def __call__(self, step: Any) -> float:
        p = float(step) / self.decay_steps
        p = p / max(1, math.ceil(p)) if self.cycle else min(p, 1.0)
        way = self.initial_learning_rate - self.end_learning_rate
        return way * math.pow(1 - p, self.power) + self.end_learning_rate


class CosineDecay(LearningRateSchedule):
    """Half a cosine from the initial learning rate to `alpha` times it, after a rise if wanted.

        lr = top · ((1 - alpha) · (1 + cos(π p)) / 2 + alpha)

    p is min(step, decay_steps) / decay_steps and top is initial_learning_rate. With a
    warmup_target, the first warmup_steps go straight up from initial_learning_rate to it; the
    cosine starts after them, and top is the target.

    Args:
        initial_learning_rate, decay_steps, alpha, warmup_target, warmup_steps: as above.
        name: kept, and not used.

    Raises:
        ValueError: unless decay_steps > 0.

    Source: Loshchilov & Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts".

    >>> from tinygrad_rnn.keras.optimizers import schedules
    >>> schedule = schedules.CosineDecay(0.0, decay_steps=4, warmup_target=1.0, warmup_steps=2)
    >>> [round(schedule(step), 4) for step in range(7)]
    [0.0, 0.5, 1.0, 0.8536, 0.5, 0.1464, 0.0]
    """

    _names = (
        "initial_learning_rate",
        "decay_steps",
        "alpha",
        "name",
        "warmup_target",
        "warmup_steps",
    )

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _positive(decay_steps)
        self.alpha = alpha
        self.name = name
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps

    def __call__(self, step: Any) -> float:
        at, top = float(step), self.initial_learning_rate
        if self.warmup_target is not None:
            if at < self.warmup_steps:
                return (self.warmup_target - top) * (at / self.warmup_steps) + top
            at, top = at - self.warmup_steps, self.warmup_target
        p = min(at / self.decay_steps, 1.0)
        return top * ((1 - self.alpha) * (1 + math.cos(math.pi * p)) / 2 + self.alpha)


_KNOWN: dict[str, type[LearningRateSchedule]] = {
    kind.__name__: kind
    for kind in (
        ExponentialDecay,
        PiecewiseConstantDecay,
        PolynomialDecay,
        InverseTimeDecay,
        CosineDecay,
    )
}


def serialize(learning_rate_schedule: LearningRateSchedule) -> dict[str, Any]:
    """What `deserialize` makes the same schedule of, and JSON can hold.

    >>> from tinygrad_rnn.keras.optimizers import schedules
    >>> schedules.serialize(schedules.PiecewiseConstantDecay([3], [0.1, 0.01]))["config"]
    {'boundaries': [3], 'values': [0.1, 0.01], 'name': 'PiecewiseConstant'}
    """
    return written(learning_rate_schedule, _KNOWN, "keras.optimizers.schedules")


def deserialize(
    config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> LearningRateSchedule:
    """The schedule that `serialize` was called with.

    Args:
        config: with "class_name" and "config".
        custom_objects: name -> class, of schedules of one's own.

    Raises:
        ValueError: for a class that isn't known, or another form of config.
    """
    schedule: LearningRateSchedule = made(config, _KNOWN, custom_objects, "schedule")
    return schedule


def _positive(decay_steps: float) -> float:
    if not decay_steps > 0:
        raise ValueError(f"Argument `decay_steps` must be > 0. Received: decay_steps={decay_steps}")
    return decay_steps
