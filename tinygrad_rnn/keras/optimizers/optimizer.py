"""What Keras' optimizers have in common, over those of `tg.optim`."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

from ..naming import next_name
from .checks import (
    rate,
    require_accumulation,
    require_average,
    require_no_scaling,
    require_one_clip,
    unrecognized,
)
from .schedules import LearningRateSchedule, deserialize, serialize
from .settings import Excluded
from .state import State

_COMMON = (
    "weight_decay",
    "clipnorm",
    "global_clipnorm",
    "clipvalue",
    "use_ema",
    "ema_momentum",
    "ema_overwrite_frequency",
    "loss_scale_factor",
    "gradient_accumulation_steps",
)


class Optimizer(State):
    """What Keras' optimizers have in common.

    A step does, with those variables that have a gradient, and in this order: clip the gradients;
    w ← w - learning_rate · weight_decay · w; the update of the subclass; the moving average;
    the variables' constraints. It runs on an optimiser of `tg.optim`, whose `param_groups`,
    `step`, `zero_grad`, `state_dict` and `load_state_dict` are here too, so that `tg.fit` and
    `tg.io.save_checkpoint` take it, once it is built.

    Args:
        learning_rate: a number, a schedule (called with the number of steps done), or a function,
            called with that number if it takes an argument.
        weight_decay: as above; None for none.
        clipnorm: the largest norm of each gradient by itself.
        clipvalue: the largest absolute value in the gradients.
        global_clipnorm: the largest norm of all gradients together.
        use_ema: whether a moving average of the variables is kept.
        ema_momentum: how much of the average stays at a step.
        ema_overwrite_frequency: after how many steps the variables become the average; None for
            never but by `finalize_variable_values`.
        loss_scale_factor: None; there is no mixed precision here.
        gradient_accumulation_steps: how many calls give one step, with the mean of their gradients.
        name: by default made of the class's name.

    Attributes:
        learning_rate: a float; may be set, or be assigned to: ``learning_rate.assign(0.01)``. `lr`
            is the same.
        iterations: how many steps were done.

    Raises:
        ValueError: for arguments that make no sense or aren't known.
    """

    def __init__(
        self,
        learning_rate: Any,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        *,
        settings: Mapping[str, Any],
        **unknown: Any,
    ) -> None:
        if unknown.pop("decay", None) is not None:
            warnings.warn(
                "Argument `decay` is no longer supported and will be ignored: give a schedule as "
                "learning_rate, such as InverseTimeDecay",
                stacklevel=3,
            )
        if unknown:
            raise unrecognized(unknown, ("learning_rate", *_COMMON, "name", *self._own()))
        require_one_clip(clipnorm, clipvalue, global_clipnorm)
        require_average(use_ema, ema_momentum, ema_overwrite_frequency)
        require_accumulation(gradient_accumulation_steps)
        require_no_scaling(loss_scale_factor)
        self._schedule = learning_rate if callable(learning_rate) else None
        self._iterations = 0
        self._none = None if weight_decay is None else 0.0
        self._inner = self._below(
            [{"params": []}],
            lr=self._scheduled() if self._schedule else rate(learning_rate),
            weight_decay=weight_decay or 0.0,
            **settings,
            **self._switched_on(),
        )
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        self.use_ema, self.ema_momentum = use_ema, ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.name = name or next_name(type(self).__name__)
        self.built = False
        self._trainable = []
        self._averages = {}
        self._sums = {}
        self._excluded = Excluded()

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same optimizer again, without what it keeps.

        Raises:
            ValueError: if the learning rate is a function, which can't be written.
        """
        if self._schedule and not isinstance(self._schedule, LearningRateSchedule):
            raise ValueError(
                "A function as learning_rate can't be written in a configuration: use a number "
                f"or a LearningRateSchedule. Received: learning_rate={self._schedule}"
            )
        return {
            "name": self.name,
            "learning_rate": (
                serialize(self._schedule) if self._schedule else float(self.learning_rate)
            ),
            **{name: getattr(self, name) for name in (*_COMMON, *self._own())},
        }

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Optimizer:
        """The optimizer that `get_config` was called of.

        Args:
            config: as from `get_config`.
            custom_objects: name -> class, of schedules of one's own.
        """
        given = dict(config)
        if isinstance(given.get("learning_rate"), Mapping):
            given["learning_rate"] = deserialize(given["learning_rate"], custom_objects)
        return cls(**given)

    @classmethod
    def _own(cls) -> list[str]:
        """The arguments that are this class's own."""
        of_all = ("self", "learning_rate", *_COMMON)
        found = [n for kind in cls.__mro__[::-1] for n in vars(kind) if n not in of_all]
        return [n for n in found if n in inspect.signature(cls).parameters]
