"""Gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .checks import number, require_non_negative
from .optimizer import Optimizer, Rule, Settings, switched_on


class SGD(Optimizer):
    """Gradient descent with momentum.

        g ← ∇ + weight_decay · w                      (maximize: -∇ in place of ∇)
        v ← momentum · v + (1 - dampening) · g        (v is g at first)
        w ← w - lr · v                                (nesterov: g + momentum · v in place of v)

    Without momentum, v is g and nothing is kept. With lr_in_momentum, lr · g stands in place of g
    and w - v in place of w - lr · v: steps made with an earlier lr go on with that one.

    Args:
        params: Tensors, or dicts of groups.
        lr: learning rate.
        momentum, dampening, weight_decay, nesterov, maximize, lr_in_momentum: as in the equations.
        decoupled_weight_decay: whether w ← (1 - lr · weight_decay) w comes first, and g is ∇.

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
        lr_in_momentum: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            **switched_on(
                lr_in_momentum=lr_in_momentum, decoupled_weight_decay=decoupled_weight_decay
            ),
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
        scale, rate = (lr, 1.0) if group.get("lr_in_momentum") else (1.0, lr)
        share = scale if first else scale * (1 - float(group["dampening"]))
        nesterov = group["nesterov"]

        def plain(w: np.ndarray, g: np.ndarray, scratch: np.ndarray) -> None:
            w -= np.multiply(g, lr, out=scratch[0])

        def rule(w: np.ndarray, g: np.ndarray, scratch: np.ndarray, v: np.ndarray) -> None:
            s = scratch[0]
            v *= momentum
            v += g if share == 1 else np.multiply(g, share, out=s)
            if nesterov:
                np.multiply(v, momentum, out=s)
                s += g if scale == 1 else np.multiply(g, scale, out=scratch[1])
                s *= rate
            else:
                np.multiply(v, rate, out=s)
            w -= s

        return rule if momentum else plain
