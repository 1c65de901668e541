"""Sums, means and the like over axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from ... import ops
from .tensors import cast, convert_to_tensor, floats

__all__ = [
    "all",
    "any",
    "argmax",
    "argmin",
    "argsort",
    "cumprod",
    "cumsum",
    "logsumexp",
    "max",
    "mean",
    "min",
    "norm",
    "prod",
    "sort",
    "std",
    "sum",
    "top_k",
    "var",
]

Axis: TypeAlias = int | Sequence[int] | None


def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """out = Σ x / n over `axis`

    >>> from tinygrad_rnn import keras
    >>> keras.ops.mean([[1, 2], [3, 6]], axis=-1, keepdims=True).tolist()
    [[1.5], [4.5]]
    """
    return ops.mean(floats(x), _axes(axis), keepdims)


def var(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """out = Σ (x - mean x)² / n over `axis`"""
    return ops.var(floats(x), _axes(axis), keepdims=keepdims)


def std(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """out = √var x over `axis`"""
    return ops.std(floats(x), _axes(axis), keepdims=keepdims)


def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """out = ln Σ eˣ over `axis`"""
    return ops.logsumexp(floats(x), _axes(axis), keepdims)


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """out = (Σ |x|ᵖ)^(1/p) with p = `ord`, 2 by default; arguments as those of `tg.linalg.norm`"""
    return ops.decompositions.norm(floats(x), ord, axis, keepdims)


def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """out = the sums of all elements so far along `axis`"""
    return _in_dtype(ops.cumsum(convert_to_tensor(x), axis), dtype)


def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """out = the products of all elements so far along `axis`"""
    return _in_dtype(ops.cumprod(convert_to_tensor(x), axis), dtype)


def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """out = where x is largest along `axis`"""
    return ops.argmax(convert_to_tensor(x), axis, keepdims)


def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """out = where x is smallest along `axis`"""
    return ops.argmin(convert_to_tensor(x), axis, keepdims)


def argsort(x: Any, axis: int | None = -1) -> Any:
    """out = the places along `axis`, from the smallest element to the largest"""
    return ops.argsort(convert_to_tensor(x), axis)


def sort(x: Any, axis: int | None = -1) -> Any:
    """out = x, ordered along `axis`"""
    return ops.sort(convert_to_tensor(x), axis)


def top_k(x: Any, k: int, sorted: bool = True) -> tuple[Any, Any]:
    """The k largest elements of the last axis, the largest first, and where they are."""
    return ops.topk(convert_to_tensor(x), k)


def prod(x: Any, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Any:
    """out = the product over `axis`"""
    return _in_dtype(ops.prod(convert_to_tensor(x), _axes(axis), keepdims), dtype)


def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """out = Σ x over `axis`

    >>> from tinygrad_rnn import keras
    >>> keras.ops.sum([[1.0, 2.0], [3.0, 4.0]], axis=0)
    Tensor([4., 6.], dtype=float32)
    """
    return ops.sum(convert_to_tensor(x), _axes(axis), keepdims)


def max(x: Any, axis: Axis = None, keepdims: bool = False, initial: Any = None) -> Any:
    """out = the largest x over `axis`, and at least `initial`"""
    found = ops.max(convert_to_tensor(x), _axes(axis), keepdims)
    return found if initial is None else ops.maximum(found, initial)


def min(x: Any, axis: Axis = None, keepdims: bool = False, initial: Any = None) -> Any:
    """out = the smallest x over `axis`, and at most `initial`"""
    found = ops.min(convert_to_tensor(x), _axes(axis), keepdims)
    return found if initial is None else ops.minimum(found, initial)


def all(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """out = whether all x over `axis` are true"""
    return ops.all(convert_to_tensor(x), _axes(axis), keepdims)


def any(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """out = whether one x over `axis` is true"""
    return ops.any(convert_to_tensor(x), _axes(axis), keepdims)


def _axes(axis: Axis) -> Any:
    return tuple(axis) if isinstance(axis, list) else axis


def _in_dtype(x: Any, dtype: Any) -> Any:
    return x if dtype is None else cast(x, dtype)
