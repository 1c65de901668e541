"""Arrays made of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import ops
from ...nn import functional as F
from ...tensor import Tensor
from ..config import floatx
from .tensors import cast, convert_to_tensor

__all__ = [
    "arange",
    "eye",
    "full",
    "full_like",
    "identity",
    "one_hot",
    "ones",
    "ones_like",
    "zeros",
    "zeros_like",
]


def zeros(shape: int | Sequence[int], dtype: Any = None) -> Tensor:
    """Zeros, of `config.floatx()` by default."""
    return Tensor(np.zeros(shape, dtype or floatx()))


def ones(shape: int | Sequence[int], dtype: Any = None) -> Tensor:
    """Ones, of `config.floatx()` by default."""
    return Tensor(np.ones(shape, dtype or floatx()))


def full(shape: int | Sequence[int], fill_value: Any, dtype: Any = None) -> Any:
    """One value everywhere, of `config.floatx()` by default."""
    return full_like(zeros(shape, dtype), fill_value)


def zeros_like(x: Any, dtype: Any = None) -> Any:
    """Zeros of the shape of x, and of its dtype if none is given."""
    like = convert_to_tensor(x)
    return zeros(like.shape, dtype or like.dtype)


def ones_like(x: Any, dtype: Any = None) -> Any:
    """Ones of the shape of x, and of its dtype if none is given."""
    like = convert_to_tensor(x)
    return ones(like.shape, dtype or like.dtype)


def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Any:
    """One value in the shape of x, and in its dtype if none is given."""
    return ops.full_like(convert_to_tensor(x), fill_value, dtype)


def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Tensor:
    """start, start + step, …, as far as they are below `stop`; alone, `start` is the end.

    >>> from tinygrad_rnn import keras
    >>> keras.ops.arange(3).tolist(), keras.ops.arange(1.0, 2.0, 0.5).dtype
    ([0, 1, 2], dtype('float32'))
    """
    first, end = (0, start) if stop is None else (start, stop)
    made = np.arange(first, end, 1 if step is None else step)
    return cast(made, dtype or (floatx() if made.dtype.kind == "f" else "int32"))


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Tensor:
    """Ones on a diagonal, else zeros, (N, M)."""
    return Tensor(np.eye(N, M, k, dtype or floatx()))


def identity(n: int, dtype: Any = None) -> Tensor:
    """The identity matrix, (n, n)."""
    return eye(n, dtype=dtype)


def one_hot(
    x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False
) -> Any:
    """out = 1 at the integer of each element along a new axis, else 0

    Raises:
        TypeError: if x isn't of integers.
        ValueError: for an integer that is no class.

    >>> from tinygrad_rnn import keras
    >>> keras.ops.one_hot([0, 2], 3).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    if sparse:
        raise ValueError("there are no sparse Tensors here. Received: sparse=True")
    made = cast(F.one_hot(convert_to_tensor(x), num_classes), dtype or floatx())
    return made if axis == -1 else ops.moveaxis(made, -1, axis)
