"""Products of vectors and matrices, differences and integrals along an axis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.errors import ShapeError
from ..core.primitive import Array, composite, is_tensor, primitive
from .shape import concatenate, moveaxis, ravel

__all__ = [
    "convolve",
    "correlate",
    "cross",
    "diff",
    "dot",
    "gradient",
    "inner",
    "kron",
    "linear",
    "matmul",
    "outer",
    "tensordot",
    "trapezoid",
    "vdot",
]


def as_operand(x: Any) -> Any:
    """A Tensor or an ndarray as it is; a number or a list as one."""
    return x if hasattr(x, "shape") else moveaxis(x, (), ())


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


@primitive(numpy=(np.matmul, np.linalg.matmul), hint=_matmul_hint)
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
    if np.ndim(weight) != 2:
        raise ShapeError(f"linear: weight must be (O, I), got the shape {np.shape(weight)}")
    out = np.matmul(x, np.asarray(weight).T)
    return out if bias is None else np.add(out, bias)


linear.vjp(
    x=lambda g, weight: g @ weight,
    weight=lambda g, x: (
        _rows(g[None] if g.ndim == 1 else g).T @ _rows(x[None] if x.ndim == 1 else x)
    ),
    bias=lambda g: g,
)


# Made of products


@composite(np.vdot)
def vdot(a: Any, b: Any) -> Any:
    """out = Σ a · b, both flattened"""
    return dot(ravel(a), ravel(b))


@composite(np.inner)
def inner(a: Any, b: Any) -> Any:
    """out[..., i, ..., j] = Σₖ a[..., i, k] b[..., j, k]: the last axis of a against that of b"""
    a, b = as_operand(a), as_operand(b)
    return dot(a, np.swapaxes(b, -1, -2) if a.ndim and b.ndim > 1 else b)


@composite(np.outer, np.linalg.outer)
def outer(a: Any, b: Any) -> Any:
    """out[i, j] = aᵢ bⱼ, both flattened

    >>> import tinygrad_rnn as tg
    >>> tg.outer([1.0, 2.0], tg.Tensor([3.0, 4.0]))
    Tensor([[3., 4.],
            [6., 8.]])
    """
    return np.multiply(np.expand_dims(ravel(a), 1), ravel(b))


@composite(np.tensordot, np.linalg.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """out = Σ a · b over pairs of axes; what remains of a's axes comes first, then of b's

    Args:
        a, b: arrays.
        axes: how many of a's last axes to pair with as many first ones of b; or (a's axes, b's).

    >>> import numpy as np, tinygrad_rnn as tg
    >>> tg.tensordot(tg.Tensor(np.ones((2, 3, 4))), np.ones((4, 3, 5)), axes=([1, 2], [1, 0])).shape
    (2, 5)
    """
    a, b = as_operand(a), as_operand(b)
    ours, theirs = _paired_axes(axes, a.shape, b.shape)
    rows = [i for i in range(a.ndim) if i not in ours]
    columns = [i for i in range(b.ndim) if i not in theirs]
    inner_size = math.prod(a.shape[i] for i in ours)
    left, right = [a.shape[i] for i in rows], [b.shape[i] for i in columns]
    flat_a = np.transpose(a, (*rows, *ours)).reshape((math.prod(left), inner_size))
    flat_b = np.transpose(b, (*theirs, *columns)).reshape((inner_size, math.prod(right)))
    return dot(flat_a, flat_b).reshape((*left, *right))


def _paired_axes(axes: Any, a: Any, b: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes, not negative, that ``tensordot`` sums over."""
    if isinstance(axes, (int, np.integer)):
        pairs: Any = (range(len(a) - int(axes), len(a)), range(int(axes)))
    else:
        pairs = [[x] if isinstance(x, (int, np.integer)) else x for x in axes]
    if any(not -len(s) <= i < len(s) for p, s in zip(pairs, (a, b), strict=True) for i in p):
        raise ShapeError(f"tensordot: no such axes {axes!r} in the shapes {a} and {b}")
    ours, theirs = (tuple(int(i) % len(s) for i in p) for p, s in zip(pairs, (a, b), strict=True))
    if [a[i] for i in ours] != [b[i] for i in theirs]:
        raise ShapeError(
            f"tensordot: paired axes must have equal lengths; the axes {ours} of {a} meet the axes "
            f"{theirs} of {b}"
        )
    return ours, theirs


@composite(np.kron)
def kron(a: Any, b: Any) -> Any:
    """out = the blocks a[i, j] · b, side by side (the Kronecker product)

    >>> import tinygrad_rnn as tg
    >>> tg.kron(tg.Tensor([1.0, 10.0]), [1.0, 2.0])
    Tensor([ 1.,  2., 10., 20.])
    """
    a, b = as_operand(a), as_operand(b)
    ndim = max(a.ndim, b.ndim)
    large = (1,) * (ndim - a.ndim) + a.shape
    small = (1,) * (ndim - b.ndim) + b.shape
    spaced = a.reshape([n for size in large for n in (size, 1)])
    blocks = b.reshape([n for size in small for n in (1, size)])
    return np.multiply(spaced, blocks).reshape([m * n for m, n in zip(large, small, strict=True)])


def _cross_hint(a: Any, b: Any) -> str:
    if np.shape(a)[-1:] != (3,) or np.shape(b)[-1:] != (3,):
        return "both vectors must have 3 elements; append a 0 to those of a plane"
    return ""


@primitive(hint=_cross_hint)
def _cross(a: Array, b: Array) -> Array:
    if np.shape(a)[-1:] != (3,) or np.shape(b)[-1:] != (3,):
        raise ShapeError("cross: both vectors must have 3 elements")
    return np.cross(a, b)


_cross.vjp(a=lambda g, b: _cross(b, g), b=lambda g, a: _cross(g, a))


@composite(np.cross, np.linalg.cross)
def cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Any:
    """out = a × b of vectors of 3 elements, along `axis` (or axisa and axisb, the result's axisc)

    >>> import tinygrad_rnn as tg
    >>> tg.cross(tg.Tensor([1.0, 0.0, 0.0]), [0.0, 1.0, 0.0])
    Tensor([0., 0., 1.])
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    return moveaxis(_cross(moveaxis(a, axisa, -1), moveaxis(b, axisb, -1)), -1, axisc)


# Convolution. The full one is the primitive, of which the other modes are parts.


@primitive(hint=lambda a, v: "a and v must have one axis and at least one element")
def _convolve(a: Array, v: Array) -> Array:
    return np.convolve(a, v)


def _convolve_vjp(g: Any, other: Any) -> Any:
    flipped = other[::-1]
    if not is_tensor(g) and not is_tensor(other):
        return np.convolve(g, flipped, "valid")
    return convolve(g, flipped, "valid")


_convolve.vjp(a=lambda g, v: _convolve_vjp(g, v), v=lambda g, a: _convolve_vjp(g, a))


@composite(np.convolve)
def convolve(a: Any, v: Any, mode: str = "full") -> Any:
    """out[n] = Σₘ a[m] v[n - m]: all n where they meet ("full"), where both fit ("valid"), or as
    many as the longer has, from the middle ("same")

    >>> import tinygrad_rnn as tg
    >>> tg.convolve(tg.Tensor([1.0, 2.0, 3.0]), [1.0, 10.0])
    Tensor([ 1., 12., 23., 30.])
    """
    a, v = as_operand(a), as_operand(v)
    full = _convolve(a, v)
    shorter, longer = sorted((a.shape[0], v.shape[0]))
    return full[_part_of(mode, shorter, longer, (shorter - 1) // 2)]


@composite(np.correlate)
def correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    """out[k] = Σₙ a[n + k] v[n]; the modes are those of ``convolve``"""
    a, v = as_operand(a), as_operand(v)
    full = _convolve(a, v[::-1])
    shorter, longer = sorted((a.shape[0], v.shape[0]))
    # where v is the longer, NumPy correlates v with a and turns the result round
    middle = (shorter - 1) // 2 if len(a) >= len(v) else shorter // 2
    return full[_part_of(mode, shorter, longer, middle)]


def _part_of(mode: str, shorter: int, longer: int, middle: int) -> slice:
    """Which elements of the full convolution `mode` asks for."""
    if mode == "full":
        return slice(None)
    if mode == "same":
        return slice(middle, middle + longer)
    if mode == "valid":
        return slice(shorter - 1, longer)
    raise ValueError(f"mode must be 'full', 'same' or 'valid', got {mode!r}")


# Along an axis


def _at(x: Any, axis: int, start: int | None, stop: int | None) -> Any:
    """x[start:stop] on `axis`"""
    return x[(slice(None),) * (axis % x.ndim) + (slice(start, stop),)]


@composite(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """out[i] = a[i + 1] - a[i] along `axis`, n times over; of booleans, whether they differ

    Args:
        a: the array.
        n: how often.
        axis: along which.
        prepend, append: what is joined on before and after a first; numbers broadcast.

    >>> import tinygrad_rnn as tg
    >>> tg.diff(tg.Tensor([1.0, 4.0, 9.0]), prepend=0.0)
    Tensor([1., 3., 5.])
    """
    a = as_operand(a)
    if n < 0 or a.ndim == 0:
        raise ShapeError(f"diff needs n >= 0 and an axis, got n={n} and the shape {a.shape}")
    ends = [_as_end(x, a, axis) for x in (prepend, a, append) if x is not None]
    if n and len(ends) > 1:
        a = concatenate(ends, axis)
    minus = np.not_equal if a.dtype == np.bool_ else np.subtract
    for _ in range(n):
        a = minus(_at(a, axis, 1, None), _at(a, axis, None, -1))
    return a


def _as_end(x: Any, a: Any, axis: int) -> Any:
    x = as_operand(x)
    if x.ndim:
        return x
    shape = list(a.shape)
    shape[axis] = 1
    return np.broadcast_to(x, tuple(shape))


@composite(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """out = Σ (y[i + 1] + y[i]) / 2 · (x[i + 1] - x[i]) along `axis`; steps of dx if x is None

    >>> import tinygrad_rnn as tg
    >>> tg.trapezoid(tg.Tensor([1.0, 2.0, 3.0]), dx=0.5).item()
    2.0
    """
    y = as_operand(y)
    if x is not None:
        x = as_operand(x)
        dx = diff(x, axis=axis if x.ndim > 1 else 0)
        if x.ndim == 1:
            dx = dx.reshape((-1,) + (1,) * (y.ndim - 1 - axis % y.ndim))
    return np.sum(dx * (_at(y, axis, 1, None) + _at(y, axis, None, -1)) / 2.0, axis=axis)


@composite(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """out = df/dx along each axis, by differences of second order between neighbours

    Args:
        f: the samples.
        varargs: one spacing for all axes; or for each a spacing or the 1-d coordinates.
        axis: which axes, all by default. For one axis the result is one array, else a tuple.
        edge_order: 1 or 2, the order of the differences at both ends.

    Raises:
        ShapeError: if an axis is shorter than edge_order + 1, or coordinates don't fit it.

    >>> import tinygrad_rnn as tg
    >>> tg.gradient(tg.Tensor([0.0, 1.0, 4.0, 9.0]), edge_order=2)
    Tensor([0., 2., 4., 6.])
    """
    f = as_operand(f)
    if f.dtype.kind != "f":
        f = f.astype(np.float64)
    axes = [axis] if isinstance(axis, (int, np.integer)) else axis
    axes = [int(i) % f.ndim for i in (range(f.ndim) if axes is None else axes)]
    spacings = list(varargs) or [1.0]
    if len(spacings) == 1 and (len(axes) == 1 or np.ndim(spacings[0]) == 0):
        spacings *= len(axes)
    if len(spacings) != len(axes):
        raise TypeError(f"gradient: {len(varargs)} spacings don't fit {len(axes)} axes")
    if edge_order not in (1, 2):
        raise ValueError(f"gradient: edge_order must be 1 or 2, got {edge_order}")
    for i in axes:
        if f.shape[i] < edge_order + 1:
            raise ShapeError(
                f"gradient: axis {i} has {f.shape[i]} elements; edge_order={edge_order} needs "
                f"{edge_order + 1}"
            )
    found = [_slope(f, h, i, edge_order) for i, h in zip(axes, spacings, strict=True)]
    return found[0] if len(found) == 1 else tuple(found)


def _slope(f: Any, spacing: Any, axis: Any, edge_order: int) -> Any:
    steps = _steps(spacing, f, axis)
    if np.ndim(steps):
        middle = _uneven_middle(f, steps, axis)
    else:
        middle = (_at(f, axis, 2, None) - _at(f, axis, None, -2)) / (2.0 * steps)
    ends = [_edge(f, steps, axis, side, edge_order) for side in (0, -1)]
    return concatenate([ends[0], middle, ends[1]], axis)


def _steps(spacing: Any, f: Any, axis: int) -> Any:
    """The distances of neighbours, shaped to go along `axis`; a number if they are all equal."""
    steps = as_operand(spacing)
    if steps.ndim:
        if steps.shape != (f.shape[axis],):
            raise ShapeError(
                f"gradient: coordinates of shape {steps.shape} don't fit axis {axis} of the shape "
                f"{f.shape}"
            )
        steps = diff(steps)
        if not is_tensor(steps) and (steps == steps[0]).all():
            steps = steps[0]
        else:
            steps = steps.reshape((-1,) + (1,) * (f.ndim - 1 - axis))
    return steps if steps.dtype == f.dtype else steps.astype(f.dtype)


def _uneven_middle(f: Any, steps: Any, axis: int) -> Any:
    first, second = steps[:-1], steps[1:]
    a = -second / (first * (first + second))
    b = (second - first) / (first * second)
    c = first / (second * (first + second))
    return a * _at(f, axis, None, -2) + b * _at(f, axis, 1, -1) + c * _at(f, axis, 2, None)


def _edge(f: Any, steps: Any, axis: int, side: int, edge_order: int) -> Any:
    """The slope at the first (side 0) or the last place (side -1)."""
    f0, f1 = (_at(f, axis, i, i + 1 or None) for i in ((0, 1) if side == 0 else (-1, -2)))
    near = steps[side] if np.ndim(steps) else steps
    sign = 1.0 if side == 0 else -1.0
    if edge_order == 1:
        return sign * (f1 - f0) / near
    f2 = _at(f, axis, 2, 3) if side == 0 else _at(f, axis, -3, -2)
    far = steps[1 if side == 0 else -2] if np.ndim(steps) else steps
    a = -sign * (2.0 * near + far) / (near * (near + far))
    b = sign * (near + far) / (near * far)
    c = -sign * near / (far * (near + far))
    return a * f0 + b * f1 + c * f2
