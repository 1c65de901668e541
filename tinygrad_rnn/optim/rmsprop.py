"""RMSprop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .checks import require_non_negative
from .optimizer import Optimizer, Rule, Settings, root, switched_on


class RMSprop(Optimizer):
    """RMSprop.

        g ← ∇ + weight_decay · w                      (maximize: -∇ in place of ∇)
        v ← α v + (1 - α) g²
        a ← a + (1 - α) (g - a)                       (centered only)
        d ← g / (√v + eps)                            (centered: v - a² in place of v)
        b ← momentum · b + d
        w ← w - lr · b

    Without momentum, b is d. With lr_in_momentum, lr · d stands in place of d and w - b in place of
    w - lr · b: steps made with an earlier lr go on with that one. With eps_inside_sqrt, √(v + eps)
    stands in place of √v + eps.

    Centred, and with a gradient that stays the same, v - a² tends to 0
    and its rounding may make it negative; NumPy then warns, and w becomes NaN, as in PyTorch.

    Args:
        params: Tensors, or dicts of groups.
        lr: learning rate.
        alpha: α.
        eps, weight_decay, momentum, centered, maximize, lr_in_momentum, eps_inside_sqrt: as in the
            equations.
        decoupled_weight_decay: whether w ← (1 - lr · weight_decay) w comes first, and g is ∇.

    Raises:
        TypeError, ValueError: for settings that make no sense, and as `Optimizer`.

    Source: Hinton 2012, "Neural Networks for Machine Learning", lecture 6; centred: Graves 2013,
    "Generating Sequences With Recurrent Neural Networks".

    >>> import tinygrad_rnn as tg
    >>> w = tg.Tensor([1.0], requires_grad=True)
    >>> opt = tg.optim.RMSprop([w], lr=0.1, alpha=0.75)
    >>> (w * w).sum().backward(); opt.step()
    >>> w
    Tensor([0.8], requires_grad=True)
    """

    _required = ("step", "square_avg")
    _optional = ("momentum_buffer", "grad_avg")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
        lr_in_momentum: bool = False,
        eps_inside_sqrt: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "maximize": maximize,
            **switched_on(
                lr_in_momentum=lr_in_momentum,
                eps_inside_sqrt=eps_inside_sqrt,
                decoupled_weight_decay=decoupled_weight_decay,
            ),
        }
        super().__init__(params, defaults)

    def _check(self, settings: Settings) -> None:
        require_non_negative(
            settings,
            lr="learning rate",
            alpha="alpha value",
            eps="epsilon value",
            weight_decay="weight_decay value",
            momentum="momentum value",
        )

    def _arrays(self, group: Settings) -> tuple[str, ...]:
        momentum = ("momentum_buffer",) if group["momentum"] else ()
        return ("square_avg", *(("grad_avg",) if group["centered"] else ()), *momentum)

    def _rule(self, group: Settings, state: dict[str, Any]) -> Rule:
        state["step"] = state.get("step", 0) + 1
        names = ("lr", "alpha", "eps", "momentum")
        lr, alpha, eps, momentum = (float(group[name]) for name in names)
        centered, inside = group["centered"], group.get("eps_inside_sqrt")
        scale, rate = (lr, 1.0) if group.get("lr_in_momentum") else (1.0, lr)

        def rule(
            w: np.ndarray, g: np.ndarray, scratch: np.ndarray, v: np.ndarray, *others: np.ndarray
        ) -> None:
            s = scratch[0]
            np.multiply(g, g, out=s)
            s *= 1 - alpha
            v *= alpha
            v += s
            if centered:
                _centre(g, v, others[0], alpha, s)
            root(s if centered else v, eps, inside, out=s)
            np.divide(g, s, out=s)
            if momentum:
                b = others[-1]
                b *= momentum
                if scale != 1:
                    s *= scale
                b += s
                np.multiply(b, rate, out=s)
            else:
                s *= lr
            w -= s

        return rule


def _centre(g: np.ndarray, v: np.ndarray, a: np.ndarray, alpha: float, out: np.ndarray) -> None:
    """a ← a + (1 - α) (g - a); out ← v - a²."""
    np.subtract(g, a, out=out)
    out *= 1 - alpha
    a += out
    np.multiply(a, a, out=out)
    np.subtract(v, out, out=out)
