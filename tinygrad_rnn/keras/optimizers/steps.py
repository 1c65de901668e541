"""A step: gradients are accumulated and clipped, variables move, are averaged and constrained."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ... import optim
from ...core.context import enable_grad, no_grad
from ...tensor import Tensor
from .settings import Settings


class Steps(Settings):
    """What an Optimizer does with gradients."""

    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None
    _trainable: list[Tensor]
    _averages: dict[Tensor, np.ndarray]
    _sums: dict[Tensor, np.ndarray]  # of the gradients since the last step

    def build(self, variables: Iterable[Tensor]) -> None:
        """Takes the variables it is for; later calls do nothing.

        Raises:
            ValueError, TypeError, GraphError: for what can't be optimised; nothing is changed.
        """
        if self.built:
            return
        made = list(variables)
        settings = {n: v for n, v in self.param_groups[0].items() if n != "params"}
        excluded = [v for v in made if self._excluded(v)]
        groups = [{**settings, "params": [v for v in made if not self._excluded(v)]}]
        if excluded:
            groups.append({**settings, "params": excluded, "weight_decay": 0.0})
        self._inner = self._below(groups, **self._switched_on())
        self._trainable = made
        if self.use_ema:
            self._averages = {v: np.zeros_like(v._data) for v in made}
        self.built = True

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Tensor]]) -> int:
        """One step with pairs of gradient and variable, the first builds it.

        Args:
            grads_and_vars: the gradients Tensors or arrays of the variables' shapes; None for a
                variable that stays.

        Returns:
            How many calls there were.

        Raises:
            ValueError: as `apply`.
        """
        pairs = list(grads_and_vars)
        self.apply([g for g, _ in pairs], [v for _, v in pairs])
        return self._iterations

    def apply(self, grads: Sequence[Any], trainable_variables: Any = None) -> None:
        """One step with gradients.

        Args:
            grads: Tensors or arrays; None for a variable that stays.
            trainable_variables: whose they are; by default those it was built with. The first
                call builds it with them.

        Raises:
            ValueError: without any gradient, for variables it wasn't built with, and for shapes
                that differ. Nothing is changed.
        """
        if not len(grads):
            return
        given = self._given(list(grads), trainable_variables)
        if self._schedule:
            self._set(lr=self._scheduled())
        with no_grad(), self._gradients(given):
            if self._accumulated(given):
                self._clip(given)
                self._inner.count_from(int(self.iterations))
                self._inner.step()
            self._average()
            for v in given:
                _constrain(v)
        self._iterations += 1

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step with the gradients that the variables have.

        Args:
            closure: called first; it sets the gradients anew and returns the loss.

        Returns:
            What the closure returned.

        Raises:
            ValueError: before `build`; and as `apply`.
        """
        self._require_built("step()")
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        moving = [v for v in self._trainable if v.requires_grad]
        self.apply([v._grad for v in moving], moving)
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Sets the gradient of every variable to None (or those that there are to zeros)."""
        self._inner.zero_grad(set_to_none)

    def finalize_variable_values(self, var_list: Iterable[Tensor]) -> None:
        """With use_ema, these variables become their averages."""
        if self.use_ema:
            self._overwrite(list(var_list))

    def _require_built(self, call: str) -> None:
        if not self.built:
            raise ValueError(
                f"{call} needs the variables: call `optimizer.build(trainable_variables)` first."
            )

    def _given(self, grads: list[Any], variables: Any) -> dict[Tensor, Any]:
        """The variables that have a gradient, with it."""
        if variables is None:
            self._require_built("apply(grads) without variables")
        members = self._trainable if variables is None else list(variables)
        _require_gradients(grads, members)
        self.build(members)
        self.require_known(members)
        missing = [path(v) for g, v in zip(grads, members, strict=True) if g is None]
        if missing:
            warnings.warn(
                f"Gradients do not exist for variables {missing} when minimizing the loss. If "
                "using `model.compile()`, did you forget to provide a `loss` argument?",
                stacklevel=3,
            )
        return {v: g for g, v in zip(grads, members, strict=True) if g is not None}

    def require_known(self, variables: Iterable[Tensor]) -> None:
        """Raises ValueError for variables that it wasn't built with."""
        known = set(self._trainable)
        for v in variables:
            if v not in known:
                raise ValueError(
                    f"Unknown variable: {v!r:.80} ({path(v)}). This optimizer can only be called "
                    "for the variables it was originally built with. When working with a new set "
                    "of variables, you should recreate a new optimizer instance: `compile` the "
                    "model again."
                )

    @contextmanager
    def _gradients(self, given: Mapping[Tensor, Any]) -> Iterator[None]:
        """Inside, the variables have these gradients and no others."""
        before = [v._grad for v in self._trainable]
        try:
            for v in self._trainable:
                g = given.get(v)
                v.grad = g._data if isinstance(g, Tensor) else g  # clipping makes another array
            yield
        finally:
            for v, g in zip(self._trainable, before, strict=True):
                v._grad = g

    def _accumulated(self, given: Iterable[Tensor]) -> bool:
        """Whether it is time for a step; then the gradients are means of those since the last."""
        count = self.gradient_accumulation_steps
        if not count:
            return True
        due = (self._iterations + 1) % count == 0
        for v in given:
            g: Any = v._grad
            total = self._sums[v] + g._data if v in self._sums else g._data.copy()
            if due:
                v.grad = total / count
            else:
                self._sums[v] = total
        if due:
            self._sums = {}
        return due

    def _clip(self, given: Iterable[Tensor]) -> None:
        if self.clipnorm:
            for v in given:
                optim.clip_grad_norm_(v, self.clipnorm, eps=0.0)
        if self.global_clipnorm:
            optim.clip_grad_norm_(list(given), self.global_clipnorm, eps=0.0)
        if self.clipvalue:
            optim.clip_grad_value_(list(given), self.clipvalue)

    def _average(self) -> None:
        if not self.use_ema:
            return
        decay = self.ema_momentum if self.iterations else 0.0
        optim.ema_update(self._averages.values(), self._averages, decay)
        every = self.ema_overwrite_frequency
        if every and (self.iterations + 1) % every == 0:
            self._overwrite(self._trainable)

    def _overwrite(self, variables: list[Tensor]) -> None:
        unknown = [v for v in variables if v not in self._averages]
        if unknown:
            raise ValueError(
                f"There is no average of {path(unknown[0])}: the optimizer was built with other "
                "variables."
            )
        for v in variables:
            _fill(v, self._averages[v])


def _require_gradients(grads: list[Any], members: list[Tensor]) -> None:
    if len(grads) != len(members):
        raise ValueError(
            f"Expected one gradient for each variable. Received: {len(grads)} gradients for "
            f"{len(members)} variables"
        )
    if all(g is None for g in grads):
        raise ValueError("No gradients provided for any variable.")
    if len(set(members)) != len(members):
        raise ValueError("A variable is listed twice, and would move twice.")


def _constrain(v: Tensor) -> None:
    constraint = getattr(v, "constraint", None)
    if constraint is not None:
        _fill(v, constraint(v))


def _fill(v: Tensor, value: Any) -> None:
    """Other values in the same memory."""
    v._data[...] = value._data if isinstance(value, Tensor) else value
    v.mark_changed()


def path(v: Tensor) -> str:
    """What a variable is called."""
    return str(getattr(v, "path", None) or v.name or "variable")
