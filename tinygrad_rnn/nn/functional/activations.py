"""Activations, and functions that make scores probabilities."""

from __future__ import annotations

from typing import Any

from ... import ops
from ...ops import (
    celu,
    elu,
    gelu,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    logsigmoid,
    mish,
    prelu,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softplus,
    softshrink,
    softsign,
    tanh,
    tanhshrink,
)

__all__ = [
    "celu",
    "elu",
    "gelu",
    "glu",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "log_softmax",
    "logsigmoid",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
]


def softmax(input: Any, dim: int = -1) -> Any:
    """out = eˣ / Σ eˣ over `dim`"""
    return ops.softmax(input, dim)


def softmin(input: Any, dim: int = -1) -> Any:
    """out = e⁻ˣ / Σ e⁻ˣ over `dim`"""
    return ops.softmax(ops.negative(input), dim)


def log_softmax(input: Any, dim: int = -1) -> Any:
    """out = x - ln Σ eˣ over `dim`"""
    return ops.log_softmax(input, dim)


def glu(input: Any, dim: int = -1) -> Any:
    """out = a · sigmoid(b), where a and b are the halves of x along `dim`"""
    return ops.glu(input, dim)
