"""Penalties on weights and outputs by Keras' names: from an array or Tensor to a number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import ops
from ..core.errors import ShapeError
from ..nn.functional import normalize
from ..tensor import as_tensor
from .by_name import Names
from .config import epsilon


class Regularizer:
    """A penalty. A subclass defines `__call__` and `get_config`."""

    def __call__(self, x: Any) -> Any:
        """The penalty, a Tensor without axes."""
        return 0.0

    def get_config(self) -> dict[str, Any]:
        """The arguments that make one like it."""
        raise NotImplementedError(f"{self} does not implement get_config()")

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """One made from what `get_config` gave."""
        return cls(**config)


class L1L2(Regularizer):
    """out = l1 · Σ |x| + l2 · Σ x²

    Raises:
        ValueError: unless both are finite numbers of 0 or more.

    >>> import tinygrad_rnn as tg
    >>> from tinygrad_rnn import keras
    >>> keras.regularizers.L1L2(l1=1.0, l2=0.5)(tg.Tensor([-2.0, 2.0]))
    Tensor(8.)
    """

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0) -> None:
        self.l1 = _factor("l1", l1, 0.0)
        self.l2 = _factor("l2", l2, 0.0)

    def __call__(self, x: Any) -> Any:
        x = as_tensor(x)
        penalties = [self.l1 * ops.absolute(x).sum()] if self.l1 else []
        if self.l2:
            penalties.append(self.l2 * ops.square(x).sum())
        return sum(penalties[1:], penalties[0]) if penalties else as_tensor(x.dtype.type(0))

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


class L1(L1L2):
    """out = l1 · Σ |x|"""

    def __init__(self, l1: float | None = 0.01) -> None:
        super().__init__(l1=_factor("l1", l1, 0.01))

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1}


class L2(L1L2):
    """out = l2 · Σ x²"""

    def __init__(self, l2: float | None = 0.01) -> None:
        super().__init__(l2=_factor("l2", l2, 0.01))

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


class OrthogonalRegularizer(Regularizer):
    """out = factor · mean |cos(a, b)| over the pairs a, b of rows (or columns) of a matrix

    Args:
        factor: a finite number of 0 or more.
        mode: "rows" or "columns".

    Raises:
        ValueError: for another factor or mode, or when called with what isn't a matrix.
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        if mode not in ("rows", "columns"):
            raise ValueError(
                'Invalid value for argument `mode`. Expected one of {"rows", "columns"}. '
                f"Received: mode={mode!r}"
            )
        self.factor, self.mode = _factor("factor", factor), mode

    def __call__(self, x: Any) -> Any:
        x = as_tensor(x)
        if x.ndim != 2:
            raise ShapeError(
                "Inputs to OrthogonalRegularizer must have rank 2. Received: "
                f"inputs.shape={x.shape}"
            )
        vectors = normalize(x if self.mode == "rows" else x.T, dim=1, eps=epsilon())
        size = len(vectors)
        cosines = ops.absolute(vectors @ vectors.T) * (1 - np.eye(size, dtype=x.dtype))
        # each pair stands twice; a single vector has none
        return self.factor * cosines.sum() / max(size * (size - 1), 1)

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor, "mode": self.mode}


def _factor(name: str, value: Any, default: float | None = None) -> float:
    value = default if value is None else value
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float, np.number))
        or not 0 <= value < math.inf
    ):
        raise ValueError(
            f"Invalid value for argument {name}: expected a non-negative float. "
            f"Received: {name}={value!r}"
        )
    return float(value)


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer

_names = Names("regularizer", classes=(L1, L1L2, L2, OrthogonalRegularizer), others={"l1_l2": L1L2})


def get(identifier: Any) -> Any:
    """The regularizer for a name, a configuration, or itself; None for None.

    Raises:
        ValueError: for an unknown name, or what can't be called.

    >>> from tinygrad_rnn import keras
    >>> keras.regularizers.get("l2").get_config()
    {'l2': 0.01}
    """
    return _names.get(identifier)


def serialize(regularizer: Any) -> Any:
    """The configuration of a regularizer."""
    return _names.serialize(regularizer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """What `serialize` described."""
    return _names.deserialize(config, custom_objects)
