"""Adam and AdamW."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from .checks import number, require_non_negative
from .optimizer import Optimizer, Rule, Settings, switched_on


class Adam(Optimizer):
    """Adam.

        g ← ∇ + weight_decay · w                      (maximize: -∇ in place of ∇)
        m ← m + (1 - β₁) (g - m)
        v ← β₂ v + (1 - β₂) g²
        u ← v                                         (amsgrad: u ← max(u, v))
        c ← √(1 - β₂ᵗ)
        w ← w - lr · c / (1 - β₁ᵗ) · m / (√u + c · eps)

    With decoupled_weight_decay, g is ∇ and the first line is w ← (1 - lr · weight_decay) w. With
    eps_hat, eps is the ε̂ at the end of the paper's section 2: it stands in place of c · eps.

    Args:
        params: Tensors, or dicts of groups.
        lr: learning rate.
        betas: β₁ and β₂.
        eps, weight_decay, amsgrad, maximize, decoupled_weight_decay, eps_hat: as in the equations.

    Raises:
        TypeError, ValueError: for settings that make no sense, and as `Optimizer`.

    Source: Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization"; amsgrad: Reddi et al.
    2018, "On the Convergence of Adam and Beyond".

    >>> import tinygrad_rnn as tg
    >>> w = tg.Tensor([1.0], requires_grad=True)
    >>> opt = tg.optim.Adam([w], lr=0.1)
    >>> (w * w).sum().backward(); opt.step()
    >>> w
    Tensor([0.9], requires_grad=True)
    """

    _required = ("step", "exp_avg", "exp_avg_sq")
    _optional = ("max_exp_avg_sq",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
        eps_hat: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "decoupled_weight_decay": decoupled_weight_decay,
            **switched_on(eps_hat=eps_hat),
        }
        super().__init__(params, defaults)

    def _check(self, settings: Settings) -> None:
        require_non_negative(
            settings, lr="learning rate", eps="epsilon value", weight_decay="weight_decay value"
        )
        betas = settings["betas"]
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise ValueError(f"betas should be two numbers, got {betas!r:.80}")
        for i, beta in enumerate(betas):
            if not 0 <= number(beta, f"beta parameter at index {i}") < 1:
                raise ValueError(f"Invalid beta parameter at index {i}: {beta}")

    def _arrays(self, group: Settings) -> tuple[str, ...]:
        return (*self._required[1:], *(self._optional if group["amsgrad"] else ()))

    def _rule(self, group: Settings, state: dict[str, Any]) -> Rule:
        t = state["step"] = state.get("step", 0) + 1
        lr = float(group["lr"])
        beta1, beta2 = map(float, group["betas"])
        correction = math.sqrt(1 - beta2**t)
        rate, eps = lr * correction / (1 - beta1**t), float(group["eps"])
        if not group.get("eps_hat"):
            eps *= correction

        def rule(
            w: np.ndarray, g: np.ndarray, scratch: np.ndarray, m: np.ndarray, v: np.ndarray, *u: Any
        ) -> None:
            s = scratch[0]
            np.subtract(g, m, out=s)
            s *= 1 - beta1
            m += s
            np.multiply(g, g, out=s)
            s *= 1 - beta2
            v *= beta2
            v += s
            largest = np.maximum(u[0], v, out=u[0]) if u else v
            np.sqrt(largest, out=s)
            s += eps
            np.divide(m, s, out=s)
            s *= rate
            w -= s

        return rule


class AdamW(Adam):
    """Adam with weight decay apart from the gradient: w ← (1 - lr · weight_decay) w comes first.

    Args:
        params, lr, betas, eps, weight_decay, amsgrad, maximize: as for `Adam`, where the equations
            stand.

    Raises:
        TypeError, ValueError: as `Adam`.

    Source: Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization".

    >>> import tinygrad_rnn as tg
    >>> w = tg.Tensor([1.0], requires_grad=True)
    >>> opt = tg.optim.AdamW([w], lr=0.1, weight_decay=0.5)
    >>> (w * w).sum().backward(); opt.step()
    >>> w
    Tensor([0.85], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            maximize=maximize,
            decoupled_weight_decay=True,
        )

    def _check(self, settings: Settings) -> None:
        super()._check(settings)
        if not settings["decoupled_weight_decay"]:
            raise ValueError("AdamW decouples weight decay: use Adam")
