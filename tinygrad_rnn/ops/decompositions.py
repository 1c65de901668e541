"""Inverses, determinants and norms: the functions of ``np.linalg``, on stacks of matrices too."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.linalg import LinAlgError

from ..core.errors import ShapeError, UnsupportedOperation
from ..core.primitive import Array, composite, is_tensor, primitive
from .products import as_operand, matmul
from .reductions import Axis, spread

__all__ = [
    "cholesky",
    "det",
    "inv",
    "matrix_power",
    "multi_dot",
    "norm",
    "slogdet",
    "solve",
]


def _transposed(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)


def _square_hint(a: Any, *others: Any) -> str:
    shape = np.shape(a)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        return f"a must be a square matrix, or a stack (..., n, n) of them; got the shape {shape}"
    return ""


def _solve_hint(a: Any, b: Any) -> str:
    square = _square_hint(a)
    if square:
        return square
    n, shape = np.shape(a)[-1], np.shape(b)
    rows = shape[-1:] if len(shape) == 1 else shape[-2:-1]
    if rows != (n,):
        return f"a has {n} rows, and b must have as many: a vector ({n},) or matrices (..., {n}, k)"
    return ""


# Inverses


@primitive(numpy=np.linalg.inv, hint=_square_hint)
def inv(a: Array) -> Array:
    """out = a⁻¹, so that a @ out = 1; (..., n, n)

    Raises:
        numpy.linalg.LinAlgError: if a matrix is singular or not square.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> np.linalg.inv(tg.Tensor([[2.0, 0.0], [0.0, 4.0]]))
    Tensor([[0.5 , 0.  ],
            [0.  , 0.25]])
    """
    return np.linalg.inv(a)


inv.vjp(a=lambda g, out: -(_transposed(out) @ g @ _transposed(out)))


@primitive(numpy=np.linalg.solve, hint=_solve_hint)
def solve(a: Array, b: Array) -> Array:
    """out = a⁻¹ b, so that a @ out = b; a (..., n, n), b a vector (n,) or matrices (..., n, k)

    As in NumPy 2, b is a vector only if it has one axis.

    Raises:
        numpy.linalg.LinAlgError: if a matrix is singular or not square.
        ShapeError: if b doesn't fit.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> np.linalg.solve(tg.Tensor([[2.0, 0.0], [0.0, 4.0]]), [1.0, 1.0])
    Tensor([0.5 , 0.25])
    """
    return np.linalg.solve(a, b)


def _solve_vjp_b(g: Any, a: Any, b_shape: Any) -> Any:
    if len(b_shape) == 1:
        return solve(_transposed(a), np.expand_dims(g, -1)).squeeze(-1)
    return solve(_transposed(a), g)


def _solve_vjp_a(g: Any, a: Any, out: Any, b_shape: Any) -> Any:
    right = _solve_vjp_b(g, a, b_shape)
    if len(b_shape) == 1:
        return -np.expand_dims(right, -1) * np.expand_dims(out, -2)
    return -(right @ _transposed(out))


solve.vjp(a=_solve_vjp_a, b=_solve_vjp_b)


@composite(np.linalg.matrix_power)
def matrix_power(a: Any, n: int) -> Any:
    """out = a @ a @ … @ a, n times; the inverse's power if n < 0, the identity if n is 0

    Raises:
        numpy.linalg.LinAlgError: if a isn't square, or is singular and n < 0.
    """
    a = as_operand(a)
    if _square_hint(a):
        raise LinAlgError(f"matrix_power: {_square_hint(a)}")
    if n == 0:
        return np.where(False, a, np.eye(a.shape[-1], dtype=a.dtype))
    if n < 0:
        a, n = inv(a), -n
    if n == 3:
        return matmul(matmul(a, a), a)
    result, square = None, a
    while True:
        if n & 1:
            result = square if result is None else matmul(result, square)
        n >>= 1
        if not n:
            return result
        square = matmul(square, square)


@composite(np.linalg.multi_dot)
def multi_dot(arrays: Sequence[Any]) -> Any:
    """out = the product of all matrices, in the order of least work; the ends may be vectors

    >>> import numpy as np, tinygrad_rnn as tg
    >>> A, B, x = np.ones((9, 2)), np.ones((2, 9)), tg.Tensor(np.ones(9))
    >>> np.linalg.multi_dot([A, B, x]).shape
    (9,)
    """
    factors = [as_operand(x) for x in arrays]
    ends_fit = bool(factors) and {factors[0].ndim, factors[-1].ndim} <= {1, 2}
    if len(factors) < 2 or not ends_fit or any(x.ndim != 2 for x in factors[1:-1]):
        raise ShapeError(
            "multi_dot needs two or more matrices, of which the first and the last may be vectors; "
            f"got {', '.join(str(x.shape) for x in factors)}"
        )
    first = () if factors[0].ndim == 2 else (1,)
    sizes = [*first, *factors[0].shape, *(x.shape[-1] if x.ndim == 2 else 1 for x in factors[1:])]

    @functools.cache
    def best(start: int, end: int) -> tuple[int, int]:
        """The least work for factors start … end - 1, and where it is cut last."""
        if end - start == 1:
            return 0, start
        return min(
            (
                best(start, k)[0] + best(k, end)[0] + sizes[start] * sizes[k] * sizes[end],
                k,
            )
            for k in range(start + 1, end)
        )

    def product(start: int, end: int) -> Any:
        if end - start == 1:
            return factors[start]
        cut = best(start, end)[1]
        return matmul(product(start, cut), product(cut, end))

    return product(0, len(factors))


# Determinants


@primitive(numpy=np.linalg.det, hint=_square_hint)
def det(a: Array) -> Array:
    """out = the determinant of a; (..., n, n) -> (...)

    Its gradient, the cofactors, is right for singular matrices too.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> A = tg.Tensor([[1.0, 2.0], [2.0, 4.0]], requires_grad=True)
    >>> np.linalg.det(A).backward()
    >>> A.grad.data.round(9)
    array([[ 4., -2.],
           [-2.,  1.]])
    """
    return np.linalg.det(a)


def _det_vjp(g: Any, a: Any, out: Any) -> Any:
    g = np.expand_dims(g, (-1, -2))
    if not _ill_conditioned(a.data if is_tensor(a) else a):
        return g * np.expand_dims(out, (-1, -2)) * _transposed(inv(a))
    # Slow, but it has derivatives of any order, where those of the quick way divide by zero.
    return g * (_cofactors_by_minors(a) if is_tensor(g) else _cofactors(a))


det.vjp(a=_det_vjp)


def _ill_conditioned(a: np.ndarray) -> bool:
    """Whether a matrix is so near a singular one that its inverse is no good."""
    try:
        inverse = np.linalg.inv(a)
    except LinAlgError:
        return True
    with np.errstate(over="ignore", invalid="ignore"):
        squares = (a * a).sum((-1, -2)) * (inverse * inverse).sum((-1, -2))
    return bool((squares > (0.001 / np.finfo(inverse.dtype).eps) ** 2).any())


def _cofactors(a: np.ndarray) -> np.ndarray:
    """The derivative of det by each element, from singular values s: ± U diag(Π s / sᵢ) V."""
    u, s, v = np.linalg.svd(a)
    others = np.where(np.eye(s.shape[-1], dtype=bool), 1.0, s[..., None, :]).prod(-1)
    sign = np.linalg.det(u) * np.linalg.det(v)
    return sign[..., None, None].astype(a.dtype) * ((u * others[..., None, :]) @ v)


def _cofactors_by_minors(a: Any) -> Any:
    n = a.shape[-1]
    if n == 1:
        return np.where(True, 1.0, a).astype(a.dtype)
    others = np.array([[j for j in range(n) if j != i] for i in range(n)])
    minors = a[..., others[:, None, :, None], others[None, :, None, :]]
    signs = (-1.0) ** np.add.outer(np.arange(n), np.arange(n))
    return det(minors) * signs.astype(a.dtype)


class SlogdetResult(NamedTuple):
    """The sign of a determinant, and the logarithm of its absolute value."""

    sign: Any
    logabsdet: Any


@primitive(hint=_square_hint)
def _slogdet(a: Array) -> Array:
    sign, logabsdet = np.linalg.slogdet(a)
    return np.asarray(sign), np.asarray(logabsdet)


def _slogdet_vjp(g: Any, a: Any) -> Any:
    if g[1] is None:
        return np.zeros(a.shape, a.dtype)
    return np.expand_dims(g[1], (-1, -2)) * _transposed(inv(a))


_slogdet.vjp(a=_slogdet_vjp)


@composite(np.linalg.slogdet)
def slogdet(a: Any) -> SlogdetResult:
    """out = (the sign of det a, log |det a|); the sign has gradient zero

    At a singular matrix, where the logarithm is -inf, a backward pass raises.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> np.linalg.slogdet(tg.Tensor([[0.0, 1.0], [1.0, 0.0]])).sign
    Tensor(-1.)
    """
    return SlogdetResult(*_slogdet(a))


@primitive(hint=_square_hint)
def _cholesky(a: Array) -> Array:
    return np.linalg.cholesky(a)


def _cholesky_vjp(g: Any, out: Any) -> Any:
    n = out.shape[-1]
    halved = (np.tri(n) - 0.5 * np.eye(n)).astype(out.dtype)
    inverse = inv(out)
    found = _transposed(inverse) @ (halved * (_transposed(out) @ g)) @ inverse
    return 0.5 * (found + _transposed(found))


_cholesky.vjp(a=_cholesky_vjp)


@composite(np.linalg.cholesky)
def cholesky(a: Any, upper: bool = False) -> Any:
    """out = the lower triangular L with L @ L.T = a (or, if `upper`, L.T); (..., n, n)

    a is taken to be symmetric, of which only the lower (upper) half is read; the gradient is
    symmetric.

    Raises:
        numpy.linalg.LinAlgError: if a matrix isn't square or not positive definite.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> np.linalg.cholesky(tg.Tensor([[4.0, 2.0], [2.0, 2.0]]))
    Tensor([[2., 0.],
            [1., 1.]])
    """
    a = as_operand(a)
    return _transposed(_cholesky(_transposed(a))) if upper and a.ndim > 1 else _cholesky(a)


# Norms


@primitive()
def _euclidean(x: Array, axis: Axis, keepdims: bool) -> Array:
    """out = √(Σ x²) over `axis`; its gradient at the zero vector is zero"""
    return np.linalg.norm(x, axis=axis, keepdims=keepdims)


def _euclidean_vjp(g: Any, x: Any, out: Any, axis: Axis) -> Any:
    return x * spread(g / np.where(out == 0, 1.0, out), x.shape, axis)


_euclidean.vjp(x=_euclidean_vjp)


@primitive()
def _power_norm(x: Array, ord: float, axis: int, keepdims: bool) -> Array:
    """out = (Σ |x|ᵖ)^(1/p) over `axis`, p = `ord`; where x is zero, its gradient is zero"""
    return np.linalg.norm(x, ord, axis, keepdims)


def _power_norm_vjp(g: Any, x: Any, out: Any, ord: float, axis: int) -> Any:
    size = spread(out, x.shape, axis)
    zero = (x == 0) | (size == 0)
    share = np.where(zero, 1.0, np.absolute(x)) / np.where(zero, 1.0, size)
    return np.sign(x) * share ** (ord - 1.0) * spread(g, x.shape, axis)


_power_norm.vjp(x=_power_norm_vjp)

_INFINITE = {np.inf: np.max, -np.inf: np.min}


@composite(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """out = (Σ |x|ᵖ)^(1/p) with p = `ord`, 2 by default

    Args:
        x: the array.
        ord: for vectors, any number: inf is the largest |x|, -inf the smallest, 0 how many aren't
            zero (without a gradient). For matrices: None or "fro", 1 and -1 (the largest and the
            smallest sum of a column), inf and -inf (of a row).
        axis: an integer, for vectors; two, for matrices; None, for x as it is (flattened, if `ord`
            is None).
        keepdims: leave axes of size 1.

    The gradient at the zero vector is zero.

    Raises:
        UnsupportedOperation: for the matrix norms that need singular values: 2, -2 and "nuc".

    >>> import numpy as np, tinygrad_rnn as tg
    >>> np.linalg.norm(tg.Tensor([[3.0, 4.0], [0.0, 0.0]]), axis=1)
    Tensor([5., 0.])
    """
    x = as_operand(x)
    if x.dtype.kind != "f":
        x = x.astype(np.float64)
    if axis is None and ord is None:
        return _euclidean(x, None, keepdims)
    if axis is None:
        axis = tuple(range(x.ndim))
    axes = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    if len(axes) == 1:
        return _vector_norm(x, ord, axes[0], keepdims)
    if len(axes) == 2:
        return _matrix_norm(x, ord, axes[0] % x.ndim, axes[1] % x.ndim, keepdims)
    raise ShapeError(f"norm: ord={ord!r} needs one axis or two, got {len(axes)}; choose with axis=")


def _vector_norm(x: Any, ord: Any, axis: int, keepdims: bool) -> Any:
    if ord is None or ord == 2:
        return _euclidean(x, axis, keepdims)
    if isinstance(ord, str):
        raise ValueError(
            f"norm: {ord!r} is a norm of matrices, and this is one axis; give a number"
        )
    if ord in _INFINITE:
        return _INFINITE[ord](np.absolute(x), axis=axis, keepdims=keepdims)
    if ord == 0:
        return (x != 0).astype(x.dtype).sum(axis=axis, keepdims=keepdims)
    if ord == 1:
        return np.absolute(x).sum(axis=axis, keepdims=keepdims)
    return _power_norm(x, float(ord), axis, keepdims)


def _matrix_norm(x: Any, ord: Any, row: int, column: int, keepdims: bool) -> Any:
    if row == column:
        raise ShapeError("norm: the two axes of a matrix must differ")
    if ord in (None, "fro", "f"):
        return _euclidean(x, (row, column), keepdims)
    if ord in (2, -2, "nuc"):
        raise UnsupportedOperation(
            f"norm: the matrix norm {ord!r} needs singular values, which have no derivative here; "
            "there are 'fro', 1, -1, inf and -inf"
        )
    if ord not in (1, -1, np.inf, -np.inf):
        raise ValueError(f"norm: no matrix norm {ord!r}; there are 'fro', 1, -1, inf and -inf")
    summed, chosen = (row, column) if abs(ord) == 1 else (column, row)
    sums = np.absolute(x).sum(axis=summed, keepdims=True)
    out = _INFINITE[math.copysign(np.inf, ord)](sums, axis=chosen, keepdims=True)
    return out if keepdims else np.squeeze(out, axis=(row, column))
