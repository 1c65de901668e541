"""Optimisers and gradient clipping, with PyTorch's arguments and numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from .core.errors import GraphError, did_you_mean
from .tensor import Tensor


class Optimizer:
    """What optimisers have in common.

    Args:
        params: Tensors, or dicts with "params" and settings of their own.
        defaults: the settings of groups that don't say otherwise.

    Attributes:
        param_groups: a list of dicts: "params" and the settings; they may be changed at any time.
    """

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError("params should be an iterable of Tensors: write [w] for a single one")
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not any(isinstance(group, dict) for group in groups):
            groups = [{"params": groups}]
        self.param_groups = [self._group(group, defaults) for group in groups]
        listed: set[Tensor] = set()
        for p in (p for group in self.param_groups for p in group["params"]):
            if p in listed:
                raise ValueError(f"a parameter is listed twice, and would move twice: {p!r:.80}")
            listed.add(p)
        self.state: dict[Tensor, dict[str, Any]] = {}

    def _group(self, given: Any, defaults: dict[str, Any]) -> dict[str, Any]:
        """One group of parameters with all its settings, checked."""
        if not isinstance(given, dict) or "params" not in given:
            raise TypeError(f'a group of parameters is a dict with "params", got {given!r:.80}')
        for name in given:
            if name != "params" and name not in defaults:
                kind = type(self).__name__
                raise ValueError(f"{kind} has no setting {name!r}.{did_you_mean(name, defaults)}")
        members = given["params"]
        members = [members] if isinstance(members, Tensor) else list(members)
        for p in members:
            if not isinstance(p, Tensor):
                raise GraphError(
                    "only leaves can be optimised, Tensors such as those of model.parameters(); "
                    f"got a {type(p).__name__}"
                )
            if p.requires_grad and p._node is not None:
                raise GraphError(f"only leaves can be optimised, not results of operations: {p!r}")
        group = {**defaults, **given, "params": members}
        self._check(group)
        return group

    def _check(self, settings: dict[str, Any]) -> None:
        """Raises ValueError for settings that make no sense."""

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Sets the gradient of every parameter to None (or to zeros)."""
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None if set_to_none else np.zeros_like(p.data)

    def step(self) -> None:
        """Moves every parameter that has a gradient."""
        for group in self.param_groups:
            for p in group["params"]:
                if p._grad is not None:
                    self._update(p, p._grad.data, group, self.state.setdefault(p, {}))
                    p.mark_changed()

    def _update(
        self, p: Tensor, g: np.ndarray, group: dict[str, Any], state: dict[str, Any]
    ) -> None:
        raise NotImplementedError


class SGD(Optimizer):
    """Gradient descent with momentum.

        g ← ∇ + weight_decay · w
        v ← momentum · v + (1 - dampening) · g        (v is g at first)
        w ← w - lr · v                                (nesterov: g + momentum · v in place of v)

    Args:
        params: Tensors, or dicts of groups.
        lr: learning rate.
        momentum, dampening, weight_decay, nesterov: as in the equations.

    Raises:
        ValueError: for settings that make no sense.

    >>> import tinygrad_rnn as tg
    >>> w = tg.Tensor([1.0], requires_grad=True)
    >>> opt = tg.optim.SGD([w], lr=0.1)
    >>> (w * w).sum().backward(); opt.step()
    >>> w
    Tensor([0.8], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
            },
        )

    def _check(self, settings: dict[str, Any]) -> None:
        _require_non_negative(settings, "lr", "momentum", "weight_decay")
        if settings["nesterov"] and (settings["momentum"] <= 0 or settings["dampening"] != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")

    def _update(
        self, p: Tensor, g: np.ndarray, group: dict[str, Any], state: dict[str, Any]
    ) -> None:
        if group["weight_decay"]:
            g = g + group["weight_decay"] * p.data
        if momentum := group["momentum"]:
            v = state.get("momentum_buffer")
            if v is None:
                v = state["momentum_buffer"] = np.array(g)
            else:
                v *= momentum
                v += (1 - group["dampening"]) * g
            g = g + momentum * v if group["nesterov"] else v
        p._data -= group["lr"] * g


class Adam(Optimizer):
    """Adam.

        g ← ∇ + weight_decay · w
        m ← β₁ m + (1 - β₁) g,    v ← β₂ v + (1 - β₂) g²
        w ← w - lr / (1 - β₁ᵗ) · m / (√v / √(1 - β₂ᵗ) + eps)

    Args:
        params: Tensors, or dicts of groups.
        lr: learning rate.
        betas: β₁ and β₂.
        eps, weight_decay: as in the equations.

    Raises:
        ValueError: for settings that make no sense.

    Source: Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization".

    >>> import tinygrad_rnn as tg
    >>> w = tg.Tensor([1.0], requires_grad=True)
    >>> opt = tg.optim.Adam([w], lr=0.1)
    >>> (w * w).sum().backward(); opt.step()
    >>> w
    Tensor([0.9], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        )

    def _check(self, settings: dict[str, Any]) -> None:
        _require_non_negative(settings, "lr", "eps", "weight_decay")
        for i, beta in enumerate(settings["betas"]):
            if not 0 <= beta < 1:
                raise ValueError(f"Invalid beta parameter at index {i}: {beta}")

    def _update(
        self, p: Tensor, g: np.ndarray, group: dict[str, Any], state: dict[str, Any]
    ) -> None:
        if not state:
            state.update(step=0, exp_avg=np.zeros_like(g), exp_avg_sq=np.zeros_like(g))
        beta1, beta2 = group["betas"]
        state["step"] += 1
        if group["weight_decay"]:
            g = g + group["weight_decay"] * p.data
        m, v = state["exp_avg"], state["exp_avg_sq"]
        m *= beta1
        m += (1 - beta1) * g
        v *= beta2
        v += (1 - beta2) * (g * g)
        correction1 = 1 - beta1 ** state["step"]
        correction2 = math.sqrt(1 - beta2 ** state["step"])
        denominator = np.sqrt(v)
        denominator /= correction2
        denominator += group["eps"]
        np.divide(m, denominator, out=denominator)
        denominator *= group["lr"] / correction1
        p._data -= denominator


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> float:
    """Scales all gradients so that their norm, taken together, is at most `max_norm`.

    Args:
        parameters: a Tensor or several; those without a gradient are skipped.
        max_norm: the largest norm that is left as it is.
        norm_type: of which norm; math.inf for the largest absolute value.
        error_if_nonfinite: whether a norm of NaN or infinity is an error.

    Returns:
        The norm before scaling.

    Raises:
        RuntimeError: with error_if_nonfinite; nothing is changed then.

    Source: Pascanu et al. 2013, "On the difficulty of training recurrent neural networks".

    >>> import numpy as np, tinygrad_rnn as tg
    >>> w = tg.Tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> tg.nn.utils.clip_grad_norm_([w], 1.0)
    10.0
    >>> round(float(np.linalg.norm(w.grad.data)), 4)
    1.0
    """
    norm_type = float(norm_type)
    tensors = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    grads = [p._grad for p in tensors if p._grad is not None]
    norms = [np.linalg.norm(g.data.ravel(), norm_type) for g in grads]
    total = float(np.linalg.norm(norms, norm_type)) if norms else 0.0
    if error_if_nonfinite and not math.isfinite(total):
        raise GraphError(f"the gradients' norm is {total}, so they can't be scaled")
    factor = max_norm / (total + 1e-6)
    if not factor >= 1:  # NaN scales too, so that it is seen
        for g in grads:
            g._data = g._data * np.asarray(factor, g.dtype)
    return total


def _require_non_negative(settings: dict[str, Any], *names: str) -> None:
    for name in names:
        if not settings[name] >= 0:
            raise ValueError(f"Invalid {name}: {settings[name]}; it must not be negative")
