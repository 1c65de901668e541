"""What an optimizer keeps from step to step: as Keras' variables, and as a dict to save."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from ...optim.saving import array_like, step_count
from ...tensor import Tensor
from ..variable import Variable
from .steps import Steps, path


class State(Steps):
    """What an Optimizer keeps."""

    # Keras' names of the arrays kept, in Keras' order: what stands in one tuple, variable by
    # variable.
    _slots: ClassVar[tuple[tuple[tuple[str, str], ...], ...]] = ()

    @property
    def variables(self) -> list[Variable]:
        """What Keras keeps in variables, by its names and in its order: copies."""
        made = [_copy("iteration", np.asarray(self._iterations))]
        if not self._schedule:
            made.append(_copy("learning_rate", np.asarray(self.learning_rate)))
        members = self._trainable
        if self.use_ema:
            made += [_copy("average", self._averages[v], v) for v in members]
        if self.gradient_accumulation_steps:
            sums = [self._sums.get(v, np.zeros_like(v._data)) for v in members]
            made += [
                _copy("gradient_accumulator", a, v) for a, v in zip(sums, members, strict=True)
            ]
        kept = self._inner._arrays(self.param_groups[0])
        for slots in self._slots:
            here = [(below, name) for below, name in slots if below in kept]
            made += [_copy(name, self._slot(v, below), v) for v in members for below, name in here]
        return made

    def _slot(self, v: Tensor, below: str) -> np.ndarray:
        initial = np.full_like(v._data, self._inner._initial(self.param_groups[0]))
        kept: np.ndarray = self._inner.state.get(v, {}).get(below, initial)
        return kept

    def state_dict(self) -> dict[str, Any]:
        """That of the optimiser below, and what is kept here: copies.

        "iterations" counts the calls; "averages" and "accumulated" are {place: array}.
        """
        places = {p: k for k, p in enumerate(self._inner._params())}
        return {
            **self._inner.state_dict(),
            "iterations": self._iterations,
            "averages": {places[v]: a.copy() for v, a in self._averages.items()},
            "accumulated": {places[v]: a.copy() for v, a in self._sums.items()},
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes what `state_dict` gave, copied.

        Args:
            state_dict: of an optimizer of the same class, built for variables of the same shapes.

        Raises:
            TypeError, ValueError: before `build`, or listing what doesn't fit. Nothing is changed.
        """
        self._require_built("load_state_dict()")
        names = ("iterations", "averages", "accumulated")
        missing = [n for n in names if not isinstance(state_dict, Mapping) or n not in state_dict]
        if missing:
            raise ValueError(
                f"load_state_dict of {type(self).__name__}, nothing was changed: missing: "
                f"{', '.join(missing)}. Expected what state_dict() of keras.optimizers gives"
            )
        iterations = step_count(state_dict["iterations"])
        averages, sums = (self._by_variable(name, state_dict[name]) for name in names[1:])
        if len(averages) != len(self._averages):
            raise ValueError(
                f"load_state_dict of {type(self).__name__}, nothing was changed: {len(averages)} "
                f"averages, but use_ema={self.use_ema} with {len(self._trainable)} variables"
            )
        self._inner.load_state_dict(state_dict)
        self._iterations, self._averages, self._sums = iterations, averages, sums

    def _by_variable(self, name: str, kept: Any) -> dict[Tensor, np.ndarray]:
        """Arrays by place, checked, as copies by variable."""
        members = list(self._inner._params())
        if not isinstance(kept, Mapping) or not set(kept) <= set(range(len(members))):
            raise ValueError(
                f"{name} is a dict of place -> array, with places below {len(members)}. "
                f"Received: {kept!r:.80}"
            )
        return {members[k]: array_like(members[k], a) for k, a in kept.items()}


def _copy(name: str, array: np.ndarray, of: Tensor | None = None) -> Variable:
    if of is not None:
        name = f"{path(of).replace('/', '_')}_{name}"
    return Variable(array, name=name, trainable=False)
