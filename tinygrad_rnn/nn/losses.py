"""Losses as modules."""

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
