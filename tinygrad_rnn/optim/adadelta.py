"""Adadelta."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .checks import number, require_non_negative
from .optimizer import Optimizer, Rule, Settings, switched_on


class Adadelta(Optimizer):
    """Adadelta.

        g ← ∇ + weight_decay · w                      (maximize: -∇ in place of ∇)
        v ← ρ v + (1 - ρ) g²
        d ← √((u + eps) / (v + eps)) · g
        u ← ρ u + (1 - ρ) d²
        w ← w - lr · d

    Args:
        params: Tensors, or dicts of groups.
        lr: what the steps are multiplied by.
        rho: ρ.
        eps, weight_decay, maximize: as in the equations.
        decoupled_weight_decay: whether w ← (1 - lr · weight_decay) w comes first, and g is ∇.

    Raises:
        TypeError, ValueError: for settings that make no sense, and as `Optimizer`.

    Source: Zeiler 2012, "ADADELTA: An Adaptive Learning Rate Method".

    >>> import tinygrad_rnn as tg
    >>> w = tg.Tensor([1.0], requires_grad=True)
    >>> opt = tg.optim.Adadelta([w], rho=0.75, eps=1.0)
    >>> (w * w).sum().backward(); opt.step()
    >>> w.data.round(4)
    array([-0.4142])
    """

    _required = ("step", "square_avg", "acc_delta")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            **switched_on(decoupled_weight_decay=decoupled_weight_decay),
        }
        super().__init__(params, defaults)

    def _check(self, settings: Settings) -> None:
        require_non_negative(
            settings, lr="learning rate", eps="epsilon value", weight_decay="weight_decay value"
        )
        if not 0 <= number(settings["rho"], "rho value") <= 1:
            raise ValueError(f"Invalid rho value: {settings['rho']}")

    def _arrays(self, group: Settings) -> tuple[str, ...]:
        return self._required[1:]

    def _rule(self, group: Settings, state: dict[str, Any]) -> Rule:
        state["step"] = state.get("step", 0) + 1
        lr, rho, eps = (float(group[name]) for name in ("lr", "rho", "eps"))

        def rule(
            w: np.ndarray, g: np.ndarray, scratch: np.ndarray, v: np.ndarray, u: np.ndarray
        ) -> None:
            d, s = scratch
            _average(v, g, rho, out=s)
            np.add(v, eps, out=s)
            np.add(u, eps, out=d)
            d /= s
            np.sqrt(d, out=d)
            d *= g
            _average(u, d, rho, out=s)
            d *= lr
            w -= d

        return rule


def _average(v: np.ndarray, x: np.ndarray, rho: float, out: np.ndarray) -> None:
    """v ← ρ v + (1 - ρ) x²; `out` is written on."""
    np.multiply(x, x, out=out)
    out *= 1 - rho
    v *= rho
    v += out
