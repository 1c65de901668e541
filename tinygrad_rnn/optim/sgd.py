"""Gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .checks import number, require_non_negative
from .optimizer import Optimizer, Rule, Settings


class SGD(Optimizer):
    """Gradient descent with momentum.

        g ← ∇ + weight_decay · w                      (maximize: -∇ in place of ∇)
        v ← momentum · v + (1 - dampening) · g        (v is g at first)
        w ← w - lr · v                                (nesterov: g + momentum · v in place of v)

    Without momentum, v is g and nothing is kept.

    Args:
        params: Tensors, or dicts of groups.
        lr: learning rate.
        momentum, dampening, weight_decay, nesterov, maximize: as in the equations.

    Raises:
        TypeError, ValueError: for settings that make no sense, and as `Optimizer`.

    Source: Sutskever et al. 2013, "On the importance of initialization and momentum in deep
    learning".

    >>> import tinygrad_rnn as tg
    >>> w = tg.Tensor([1.0], requires_grad=True)
    >>> opt = tg.optim.SGD([w], lr=0.1)
    >>> (w * w).sum().backward(); opt.step()
    >>> w
    Tensor([0.8], requires_grad=True)
    """

    _optional = ("momentum_buffer",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _check(self, settings: Settings) -> None:
        require_non_negative(
            settings,
            lr="learning rate",
            momentum="momentum value",
            weight_decay="weight_decay value",
        )
        number(settings["dampening"], "dampening value")
        if settings["nesterov"] and (settings["momentum"] <= 0 or settings["dampening"] != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")

    def _arrays(self, group: Settings) -> tuple[str, ...]:
        return self._optional if group["momentum"] else ()

    def _rule(self, group: Settings, state: dict[str, Any]) -> Rule:
        lr, momentum = float(group["lr"]), float(group["momentum"])
        first = "momentum_buffer" not in state
        share = 1.0 if first else 1 - float(group["dampening"])
        nesterov = group["nesterov"]

        def plain(w: np.ndarray, g: np.ndarray, scratch: np.ndarray) -> None:
            w -= np.multiply(g, lr, out=scratch[0])

        def rule(w: np.ndarray, g: np.ndarray, scratch: np.ndarray, v: np.ndarray) -> None:
            s = scratch[0]
            v *= momentum
            v += g if share == 1 else np.multiply(g, share, out=s)
            if nesterov:
                np.multiply(v, momentum, out=s)
                s += g
                s *= lr
            else:
                np.multiply(v, lr, out=s)
            w -= s

        return rule if momentum else plain
