"""Losses as modules: the functions of `functional`, with their settings as attributes."""

from __future__ import annotations

from typing import Any

from ..module import Module
from . import functional


class CrossEntropyLoss(Module):
    """Cross entropy of unnormalised scores and classes; see `functional.cross_entropy`.

    >>> import tinygrad_rnn as tg
    >>> loss = tg.nn.CrossEntropyLoss()
    >>> round(float(loss(tg.Tensor([[0.0, 0.0]]), [1])), 4)
    0.6931
    """

    def __init__(
        self,
        weight: Any = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        self.weight = weight
        self.ignore_index = ignore_index
        self.reduction = reduction
        self.label_smoothing = label_smoothing

    def forward(self, input: Any, target: Any) -> Any:
        return functional.cross_entropy(
            input, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing
        )


class NLLLoss(Module):
    """Loss of logarithms of probabilities at classes; see `functional.nll_loss`.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.NLLLoss()(tg.Tensor([[-1.0, -2.0]]), [1])
    Tensor(2.)
    """

    def __init__(
        self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean"
    ) -> None:
        self.weight = weight
        self.ignore_index = ignore_index
        self.reduction = reduction

    def forward(self, input: Any, target: Any) -> Any:
        return functional.nll_loss(input, target, self.weight, self.ignore_index, self.reduction)


class MSELoss(Module):
    """Mean squared error; see `functional.mse_loss`.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.MSELoss()(tg.Tensor([1.0, 3.0]), tg.Tensor([0.0, 0.0]))
    Tensor(5.)
    """

    def __init__(self, reduction: str = "mean") -> None:
        self.reduction = reduction

    def forward(self, input: Any, target: Any) -> Any:
        return functional.mse_loss(input, target, self.reduction)


class L1Loss(Module):
    """Mean absolute error; see `functional.l1_loss`.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.L1Loss()(tg.Tensor([1.0, 3.0]), tg.Tensor([0.0, 0.0]))
    Tensor(2.)
    """

    def __init__(self, reduction: str = "mean") -> None:
        self.reduction = reduction

    def forward(self, input: Any, target: Any) -> Any:
        return functional.l1_loss(input, target, self.reduction)


class SmoothL1Loss(Module):
    """Absolute error, a parabola within `beta` of 0; see `functional.smooth_l1_loss`.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.SmoothL1Loss()(tg.Tensor([1.0, 3.0]), tg.Tensor([0.0, 0.0]))
    Tensor(1.5)
    """

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        self.reduction = reduction
        self.beta = beta

    def forward(self, input: Any, target: Any) -> Any:
        return functional.smooth_l1_loss(input, target, self.reduction, self.beta)


class HuberLoss(Module):
    """Squared error, straight beyond `delta` from 0; see `functional.huber_loss`.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.HuberLoss(delta=2.0)(tg.Tensor([1.0, 3.0]), tg.Tensor([0.0, 0.0]))
    Tensor(2.25)
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        self.reduction = reduction
        self.delta = delta

    def forward(self, input: Any, target: Any) -> Any:
        return functional.huber_loss(input, target, self.reduction, self.delta)


class BCELoss(Module):
    """Cross entropy of pairs of probabilities; see `functional.binary_cross_entropy`.

    >>> import tinygrad_rnn as tg
    >>> round(float(tg.nn.BCELoss()(tg.Tensor([0.5]), tg.Tensor([1.0]))), 4)
    0.6931
    """

    def __init__(self, weight: Any = None, reduction: str = "mean") -> None:
        self.weight = weight
        self.reduction = reduction

    def forward(self, input: Any, target: Any) -> Any:
        return functional.binary_cross_entropy(input, target, self.weight, self.reduction)


class BCEWithLogitsLoss(Module):
    """Cross entropy of scores and probabilities; see `functional.binary_cross_entropy_with_logits`.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.BCEWithLogitsLoss()(tg.Tensor([-1000.0]), tg.Tensor([1.0]))
    Tensor(1000.)
    """

    def __init__(self, weight: Any = None, reduction: str = "mean", pos_weight: Any = None) -> None:
        self.weight = weight
        self.reduction = reduction
        self.pos_weight = pos_weight

    def forward(self, input: Any, target: Any) -> Any:
        return functional.binary_cross_entropy_with_logits(
            input, target, self.weight, self.reduction, self.pos_weight
        )


class KLDivLoss(Module):
    """Kullback-Leibler divergence; see `functional.kl_div`.

    >>> import tinygrad_rnn as tg
    >>> loss = tg.nn.KLDivLoss(reduction="batchmean")
    >>> round(float(loss(tg.Tensor([[-1.0, -0.5]]), tg.Tensor([[0.0, 1.0]]))), 4)
    0.5
    """

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        self.reduction = reduction
        self.log_target = log_target

    def forward(self, input: Any, target: Any) -> Any:
        return functional.kl_div(input, target, self.reduction, self.log_target)
