"""Activation functions by Keras' names, with Keras' arguments and defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import ops
from ..ops import (
    celu,
    elu,
    glu,
    log_softmax,
    mish,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    softsign,
    tanh,
)
from ..tensor import asarray
from .by_name import Names

__all__ = [
    "celu",
    "deserialize",
    "elu",
    "exponential",
    "gelu",
    "get",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "serialize",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "swish",
    "tanh",
    "tanh_shrink",
]


def linear(x: Any) -> Any:
    """out = x"""
    return x


def relu(
    x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Any:
    """out = min(x, max_value) where x > threshold, else negative_slope · (x - threshold)

    Args:
        x: any shape.
        negative_slope: the slope below the threshold.
        max_value: the largest value of the result; None for no bound.
        threshold: what is not above it is cut.

    >>> import tinygrad_rnn as tg
    >>> from tinygrad_rnn import keras
    >>> keras.activations.relu(tg.Tensor([-2.0, 1.0, 9.0]), negative_slope=0.5, max_value=6.0)
    Tensor([-1.,  1.,  6.])
    """
    if not threshold and max_value is None:
        return ops.leaky_relu(x, negative_slope) if negative_slope else ops.relu(x)
    x = asarray(x)
    upper = ops.where(x > threshold, x, 0.0) if threshold else ops.relu(x)
    if max_value is not None:
        upper = ops.clip(upper, 0.0, max_value)
    return upper - negative_slope * ops.relu(threshold - x) if negative_slope else upper


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """out = x for x > 0, negative_slope · x elsewhere"""
    return ops.leaky_relu(x, negative_slope)


def gelu(x: Any, approximate: bool = False) -> Any:
    """out = x Φ(x), where Φ is the normal distribution; by tanh, if approximate"""
    return ops.gelu(x, "tanh" if approximate else "none")


def exponential(x: Any) -> Any:
    """out = eˣ"""
    return ops.exp(x)


def hard_sigmoid(x: Any) -> Any:
    """out = relu6(x + 3) / 6"""
    return ops.hardsigmoid(x)


def hard_silu(x: Any) -> Any:
    """out = x hard_sigmoid(x)"""
    return ops.hardswish(x)


def hard_tanh(x: Any) -> Any:
    """out = x, but at least -1 and at most 1"""
    return ops.hardtanh(x)


def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """out = x where |x| > threshold, else 0"""
    return ops.hardshrink(x, threshold)


def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """out = x moved by `threshold` towards 0, and 0 if it is nearer"""
    return ops.softshrink(x, threshold)


def tanh_shrink(x: Any) -> Any:
    """out = x - tanh x"""
    return ops.tanhshrink(x)


def log_sigmoid(x: Any) -> Any:
    """out = ln(1 / (1 + e⁻ˣ))"""
    return ops.logsigmoid(x)


swish, hard_swish = silu, hard_silu

# Under "relu" stands the operation itself, which recurrent layers know and run fast.
_names = Names(
    "activation function",
    functions=(
        celu, elu, exponential, gelu, glu, hard_shrink, hard_sigmoid, hard_silu, hard_tanh,
        leaky_relu, linear, log_sigmoid, log_softmax, mish, ops.relu, relu6, selu, sigmoid, silu,
        soft_shrink, softmax, softplus, softsign, tanh, tanh_shrink,
    ),
    others={"swish": silu, "hard_swish": hard_silu},
)  # fmt: skip


def get(identifier: Any) -> Any:
    """The function for a name, a configuration, or itself; `linear` for None.

    Raises:
        ValueError: for an unknown name, or what can't be called.

    >>> import tinygrad_rnn as tg
    >>> from tinygrad_rnn import keras
    >>> keras.activations.get("tanh") is tg.tanh
    True
    """
    if identifier is None:
        return linear
    return ops.relu if identifier is relu else _names.get(identifier)


def serialize(activation: Any) -> Any:
    """The name of a function of this module; the configuration of another one.

    >>> from tinygrad_rnn import keras
    >>> keras.activations.serialize(keras.activations.silu)
    'silu'
    """
    return _names.serialize(ops.relu if activation is relu else activation)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """What `serialize` described."""
    return _names.deserialize(config, custom_objects)
