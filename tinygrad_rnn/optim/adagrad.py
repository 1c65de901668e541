"""Adagrad."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .checks import require_non_negative
from .optimizer import Optimizer, Rule, Settings, root, switched_on


class Adagrad(Optimizer):
    """Adagrad.

        g ← ∇ + weight_decay · w                      (maximize: -∇ in place of ∇)
        v ← v + g²                                    (v is initial_accumulator_value at first)
        w ← w - lr / (1 + (t - 1) lr_decay) · g / (√v + eps)

    With eps_inside_sqrt, √(v + eps) stands in place of √v + eps.

    Args:
        params: Tensors, or dicts of groups.
        lr: learning rate.
        lr_decay, weight_decay, initial_accumulator_value, eps, maximize, eps_inside_sqrt: as in the
            equations.
        decoupled_weight_decay: whether w ← (1 - lr · weight_decay) w comes first, and g is ∇.

    Raises:
        TypeError, ValueError: for settings that make no sense, and as `Optimizer`.

    Source: Duchi et al. 2011, "Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization".

    >>> import tinygrad_rnn as tg
    >>> w = tg.Tensor([1.0], requires_grad=True)
    >>> opt = tg.optim.Adagrad([w], lr=0.1)
    >>> (w * w).sum().backward(); opt.step()
    >>> w
    Tensor([0.9], requires_grad=True)
    """

    _required = ("step", "sum")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
        eps_inside_sqrt: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "maximize": maximize,
            **switched_on(
                eps_inside_sqrt=eps_inside_sqrt, decoupled_weight_decay=decoupled_weight_decay
            ),
        }
        super().__init__(params, defaults)

    def _check(self, settings: Settings) -> None:
        require_non_negative(
            settings,
            lr="learning rate",
            lr_decay="lr_decay value",
            weight_decay="weight_decay value",
            initial_accumulator_value="initial_accumulator_value value",
            eps="epsilon value",
        )

    def _arrays(self, group: Settings) -> tuple[str, ...]:
        return ("sum",)

    def _initial(self, group: Settings) -> float:
        return float(group["initial_accumulator_value"])

    def _rule(self, group: Settings, state: dict[str, Any]) -> Rule:
        t = state["step"] = state.get("step", 0) + 1
        lr = float(group["lr"]) / (1 + (t - 1) * float(group["lr_decay"]))
        eps, inside = float(group["eps"]), group.get("eps_inside_sqrt")

        def rule(w: np.ndarray, g: np.ndarray, scratch: np.ndarray, v: np.ndarray) -> None:
            s = scratch[0]
            v += np.multiply(g, g, out=s)
            root(v, eps, inside, out=s)
            np.divide(g, s, out=s)
            s *= lr
            w -= s

        return rule
