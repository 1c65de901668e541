"""What a step is made with: the learning rate and the other settings, which may be changed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container, Iterable
from typing import Any, ClassVar, NamedTuple

from ... import optim
from ...tensor import Tensor
from .checks import rate
from .schedules import LearningRateSchedule
from .variables import Count, Rate


class Setting:
    """An attribute by Keras' name, kept in the groups of the optimiser below.

    Args:
        below: its name there.
        place: of a tuple there, which item.
    """

    def __init__(self, below: str, place: int | None = None) -> None:
        self.below, self.place = below, place

    def __get__(self, owner: Any, kind: Any = None) -> Any:
        if owner is None:
            return self
        value = owner.param_groups[0][self.below]
        return value if self.place is None else value[self.place]

    def __set__(self, owner: Any, value: Any) -> None:
        if self.place is not None:
            items = list(owner.param_groups[0][self.below])
            items[self.place] = value
            value = tuple(items)
        owner._set(**{self.below: value})


class Excluded(NamedTuple):
    """Says which variables don't decay: those chosen, and those with such a word in the name."""

    chosen: Container[Tensor] = ()
    words: tuple[str, ...] = ()

    def __call__(self, v: Tensor) -> bool:
        return v in self.chosen or any(word in (v.name or "") for word in self.words)


class Settings:
    """The settings of an Optimizer, kept in the groups of the optimiser below."""

    # Of tg.optim, and its options for what Keras does in another way than PyTorch.
    _below: ClassVar[Callable[..., optim.Optimizer]]
    _options: ClassVar[tuple[str, ...]] = ()

    built: bool
    gradient_accumulation_steps: int | None
    _inner: optim.Optimizer
    _iterations: int
    _schedule: Any
    _none: float | None  # a weight_decay of 0 as it was given: 0.0 or None
    _excluded: Excluded

    @property
    def learning_rate(self) -> Rate:
        """What the next step is made with: a float, which also has `assign` and `numpy`."""
        return Rate(self._scheduled() if self._schedule else self.param_groups[0]["lr"], self)

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if callable(value):
            self._schedule = value
            return
        if isinstance(self._schedule, LearningRateSchedule):
            raise TypeError(
                "This optimizer was created with a `LearningRateSchedule` object as its "
                "`learning_rate` constructor argument, hence its learning rate is not settable. If "
                "you need the learning rate to be settable, you should instantiate the optimizer "
                f"with a float `learning_rate` argument. Received: learning_rate={value}"
            )
        self._set(lr=rate(value))
        self._schedule = None

    @property
    def lr(self) -> Rate:
        """The learning rate."""
        return self.learning_rate

    @lr.setter
    def lr(self, value: Any) -> None:
        self.learning_rate = value

    @property
    def weight_decay(self) -> float | None:
        """How much of the variables, times the learning rate, a step takes away."""
        return self.param_groups[0]["weight_decay"] or self._none

    @weight_decay.setter
    def weight_decay(self, value: float | None) -> None:
        group = self.param_groups[0]  # the second is those that are excluded
        self._inner._check({**group, "weight_decay": value or 0.0})
        group["weight_decay"] = value or 0.0
        self._none = None if value is None else 0.0

    @property
    def iterations(self) -> Count:
        """How many steps were done: an integer, which also has `numpy`."""
        return Count(self._iterations // (self.gradient_accumulation_steps or 1))

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of the optimiser below: "params" and settings by its names."""
        return self._inner.param_groups

    def exclude_from_weight_decay(
        self,
        var_list: Iterable[Tensor] | None = None,
        var_names: Iterable[str] | None = None,
    ) -> None:
        """Names variables that don't decay.

        Args:
            var_list: the variables.
            var_names: words; variables whose name holds one of them.

        Raises:
            ValueError: once it is built.
        """
        if self.built:
            raise ValueError(
                "`exclude_from_weight_decay()` can only be configured before the optimizer is "
                "built."
            )
        self._excluded = Excluded(set(var_list or ()), tuple(var_names or ()))

    def _switched_on(self) -> dict[str, bool]:
        return dict.fromkeys(("decoupled_weight_decay", *self._options), True)

    def _set(self, **settings: Any) -> None:
        """Changes settings of all groups, if they make sense."""
        for group in self.param_groups:
            self._inner._check({**group, **settings})
        for group in self.param_groups:
            group.update(settings)

    def _scheduled(self) -> float:
        """The schedule's learning rate now."""
        schedule: Any = self._schedule
        takes_step = isinstance(schedule, LearningRateSchedule) or _takes_argument(schedule)
        return rate(schedule(self._iterations) if takes_step else schedule())


def _takes_argument(function: Any) -> bool:
    """Whether it must be given one."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return True
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(p.default is p.empty and p.kind in positional for p in parameters)
