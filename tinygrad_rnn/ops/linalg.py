"""Matrix products."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.primitive import Array, primitive

__all__ = [
    "dot",
    "linear",
    "matmul",
]


def _transposed(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)


def _rows(x: Any) -> Any:
    """All leading axes as one."""
    return x if x.ndim == 2 else x.reshape((math.prod(x.shape[:-1]), x.shape[-1]))


def _matmul_vjp_a(g: Any, a_shape: Any, b: Any) -> Any:
    if b.ndim == 2 and len(a_shape) > 1:
        return g @ b.T
    if b.ndim == 1:
        return np.expand_dims(g, -1) * b
    if len(a_shape) == 1:
        return (b @ np.expand_dims(g, -1)).squeeze(-1)
    return g @ _transposed(b)


def _matmul_vjp_b(g: Any, a: Any, b_shape: Any) -> Any:
    if len(b_shape) == 2 and a.ndim == 2:
        return a.T @ g
    if a.ndim == 1:
        column = a if len(b_shape) == 1 else np.expand_dims(a, -1)
        return column * (g if len(b_shape) == 1 else np.expand_dims(g, -2))
    if len(b_shape) == 1:
        return (_transposed(a) @ np.expand_dims(g, -1)).squeeze(-1)
    if len(b_shape) == 2:
        return _rows(a).T @ _rows(g)
    return _transposed(a) @ g


def _matmul_hint(a: Any, b: Any) -> str:
    a, b = np.asarray(a), np.asarray(b)
    if a.ndim == 0 or b.ndim == 0:
        return "matmul needs at least one axis on each side; multiply by a number with *"
    inner = b.shape[0] if b.ndim == 1 else b.shape[-2]
    if a.shape[-1] == inner:
        return "the leading (batch) axes don't broadcast"
    text = (
        f"the last axis of the first ({a.shape[-1]}) must equal the "
        f"{'only' if b.ndim == 1 else 'last but one'} axis of the second ({inner})"
    )
    if b.ndim == 2 and a.shape[-1] == b.shape[-1]:
        text += "; the transpose of the second would fit: b.T"
    elif a.ndim == 2 and a.shape[0] == inner:
        text += "; the transpose of the first would fit: a.T"
    return text


@primitive(numpy=np.matmul, hint=_matmul_hint)
def matmul(a: Array, b: Array) -> Array:
    """out = a @ b: (..., n, k) @ (..., k, m) -> (..., n, m); a 1-d array is a row or a column

    >>> import tinygrad_rnn as tg
    >>> W = tg.Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    >>> (tg.Tensor([1.0, 1.0]) @ W).sum().backward()
    >>> W.grad
    Tensor([[1., 1.],
            [1., 1.]])
    """
    return np.matmul(a, b)


matmul.vjp(a=_matmul_vjp_a, b=_matmul_vjp_b)


# dot differs from matmul where one side is a number, and where b has more than two axes: then each
# row of a meets each of b's matrices, which is one matrix product with b's other axes flattened.


def _flat(b: Any) -> Any:
    return np.moveaxis(b, -2, 0).reshape((b.shape[-2], math.prod(b.shape[:-2]) * b.shape[-1]))


def _dot_vjp_a(g: Any, a_shape: Any, b: Any) -> Any:
    if not a_shape or not np.shape(b):
        return g * b
    if b.ndim <= 2:
        return _matmul_vjp_a(g, a_shape, b)
    flat = _flat(b)
    return (g.reshape((math.prod(a_shape[:-1]), flat.shape[1])) @ flat.T).reshape(a_shape)


def _dot_vjp_b(g: Any, a: Any, b_shape: Any) -> Any:
    if not b_shape or not np.shape(a):
        return g * a
    if len(b_shape) <= 2:
        return _matmul_vjp_b(g, a, b_shape)
    rows = _rows(a)
    flat = rows.T @ g.reshape((rows.shape[0], math.prod(b_shape[:-2]) * b_shape[-1]))
    outer = (b_shape[-2], *b_shape[:-2], b_shape[-1])
    return np.moveaxis(flat.reshape(outer), 0, -2)


def _dot_hint(a: Any, b: Any) -> str:
    return _matmul_hint(a, b).replace("the leading (batch) axes don't broadcast", "")


@primitive(numpy=np.dot, hint=_dot_hint)
def dot(a: Array, b: Array) -> Array:
    """out = NumPy's dot: the last axis of a against the last but one of b (or its only one)"""
    return np.dot(a, b)


dot.vjp(a=_dot_vjp_a, b=_dot_vjp_b)


def _linear_hint(x: Any, weight: Any, bias: Any = None) -> str:
    x, weight = np.asarray(x), np.asarray(weight)
    if x.ndim == 0:
        return "the input has no axes; it needs a last axis of features"
    if x.shape[-1] != weight.shape[-1]:
        return (
            f"the input has {x.shape[-1]} features on its last axis, and weight, of shape "
            f"{weight.shape}, takes {weight.shape[-1]}"
        )
    return ""


@primitive(hint=_linear_hint)
def linear(x: Array, weight: Array, bias: Array = None) -> Array:
    """out = x @ weight.T + bias: (..., I) with weight (O, I) and bias (O,) or None -> (..., O)"""
    out = np.matmul(x, np.asarray(weight).T)
    return out if bias is None else np.add(out, bias)


linear.vjp(
    x=lambda g, weight: g @ weight,
    weight=lambda g, x: (
        _rows(g[None] if g.ndim == 1 else g).T @ _rows(x[None] if x.ndim == 1 else x)
    ),
    bias=lambda g: g,
)
