"""Normalisation of layers and of vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import ops
from ...core.errors import ShapeError
from ...tensor import asarray

__all__ = [
    "cosine_similarity",
    "layer_norm",
    "normalize",
    "rms_norm",
]


def layer_norm(
    input: Any,
    normalized_shape: int | Sequence[int],
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
) -> Any:
    """out = (x - mean x) / √(var x + eps) · weight + bias, over the last axes

    Args:
        input: (..., *normalized_shape).
        normalized_shape: of the axes over which mean and (biased) variance are taken.
        weight: of the shape `normalized_shape`.
        bias: of the shape `normalized_shape`.
        eps: keeps the root from 0.

    Raises:
        ValueError: if the shapes differ.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.functional.layer_norm(tg.Tensor([1.0, 3.0]), [2], eps=0.0)
    Tensor([-1.,  1.])
    """
    x = asarray(input)
    axes = _last_axes("layer_norm", x, normalized_shape, weight=weight, bias=bias)
    return ops.layer_norm(x, weight, bias, axes, eps)


def rms_norm(
    input: Any,
    normalized_shape: int | Sequence[int],
    weight: Any = None,
    eps: float | None = None,
) -> Any:
    """out = x / √(mean x² + eps) · weight, over the last axes

    Arguments as in `layer_norm`; `eps` is that of the dtype by default.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.functional.rms_norm(tg.Tensor([1.0, 7.0]), [2], eps=0.0)
    Tensor([0.2, 1.4])
    """
    x = asarray(input)
    axes = _last_axes("rms_norm", x, normalized_shape, weight=weight)
    return ops.rms_norm(x, weight, axes, eps)


def _last_axes(name: str, x: Any, shape: Any, **given: Any) -> tuple[int, ...]:
    """The axes of `shape`, the last ones of x and all those of the arrays given."""
    shape = (int(shape),) if np.ndim(shape) == 0 else tuple(int(n) for n in shape)
    if not shape or x.shape[-len(shape) :] != shape:
        raise ShapeError(
            f"{name}: the input needs the last axes of normalized_shape {shape}, got {x.shape}"
        )
    for what, array in given.items():
        if array is not None and np.shape(array) != shape:
            raise ShapeError(
                f"{name}: {what} needs the shape normalized_shape {shape}, got {np.shape(array)}"
            )
    return tuple(range(-len(shape), 0))


def normalize(input: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Any:
    """out = x / max(‖x‖, eps), with ‖x‖ = (Σ |x|^p)^(1/p) over `dim`

    Args:
        input: any shape with an axis `dim`.
        p: positive, or inf for the largest absolute value.
        dim: the axis of the vectors (or several).
        eps: the smallest divisor.

    A vector of zeros stays one, and gets the derivative 1 / eps.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.functional.normalize(tg.Tensor([[3.0, 4.0], [0.0, 0.0]]))
    Tensor([[0.6, 0.8],
            [0. , 0. ]])
    """
    x = asarray(input)
    return x / ops.maximum(_norm(x, p, dim), eps)


def _norm(x: Any, p: float, axis: Any) -> Any:
    """‖x‖ over `axis`, which stays; the derivative at 0 is 0."""
    if not p > 0:
        raise ValueError(f"normalize: p must be positive (or inf), got {p!r}")
    if math.isinf(p):
        return ops.absolute(x).max(axis=axis, keepdims=True)
    if p == 1:
        return ops.absolute(x).sum(axis=axis, keepdims=True)
    powers = ops.square(x) if p == 2 else ops.power(ops.absolute(x), p)
    total = powers.sum(axis=axis, keepdims=True)
    safe = ops.where(total == 0, 1, total)
    return ops.where(total == 0, 0, ops.sqrt(safe) if p == 2 else ops.power(safe, 1 / p))


def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    """out = Σ x1 x2 / (max(‖x1‖, eps) max(‖x2‖, eps)) over `dim`; x1 and x2 broadcast

    >>> import tinygrad_rnn as tg
    >>> a, b = tg.Tensor([3.0, 0.0]), tg.Tensor([1.0, 1.0])
    >>> round(tg.nn.functional.cosine_similarity(a, b, dim=0).item(), 4)
    0.7071
    """
    x1, x2 = asarray(x1), asarray(x2)
    try:
        shape = np.broadcast_shapes(x1.shape, x2.shape)
    except ValueError as error:
        raise ShapeError(
            f"cosine_similarity: x1 {x1.shape} and x2 {x2.shape} don't broadcast"
        ) from error
    first, second = (normalize(ops.broadcast_to(x, shape), 2, dim, eps) for x in (x1, x2))
    return (first * second).sum(axis=dim)
