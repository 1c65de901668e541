"""What operations take, as Tensors, and in the dtypes that Keras computes in."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...tensor import Tensor, as_tensor, asarray
from ..config import floatx

__all__ = [
    "cast",
    "convert_to_numpy",
    "convert_to_tensor",
    "is_tensor",
    "ndim",
    "shape",
    "size",
    "stop_gradient",
]

_NUMBERS = (bool, int, float)


def convert_to_tensor(
    x: Any, dtype: Any = None, sparse: bool | None = None, ragged: bool | None = None
) -> Tensor:
    """`x` as a Tensor; Python's floats are of `config.floatx()`.

    Args:
        x: a Tensor, an array, a number, or lists of them.
        dtype: of the result; by default that of x.

    Raises:
        ValueError: for sparse or ragged Tensors, which there are not.

    >>> from tinygrad_rnn import keras
    >>> keras.ops.convert_to_tensor([1.0, 2.0]).dtype
    dtype('float32')
    """
    if sparse or ragged:
        raise ValueError(
            "there are no sparse or ragged Tensors here. Received: "
            f"sparse={sparse}, ragged={ragged}"
        )
    if isinstance(x, Tensor):
        return x if dtype is None else cast(x, dtype)
    made = as_tensor(asarray(x))
    if dtype is None and made.dtype.kind == "f" and _is_plain(x):
        dtype = floatx()
    return made if dtype is None else cast(made, dtype)


def _is_plain(x: Any) -> bool:
    """Whether it has no dtype of its own."""
    return all(map(_is_plain, x)) if isinstance(x, (list, tuple)) else not hasattr(x, "dtype")


def convert_to_numpy(x: Any) -> np.ndarray:
    """The bare values, without a gradient: a copy of a Tensor's, or what is an array already."""
    if isinstance(x, Tensor):
        return x.numpy().copy()
    return convert_to_tensor(x).data


def cast(x: Any, dtype: Any) -> Tensor:
    """`x` in another dtype.

    >>> from tinygrad_rnn import keras
    >>> keras.ops.cast([0.0, 2.0], "bool").tolist()
    [False, True]
    """
    made = as_tensor(asarray(x))
    return made if made.dtype == dtype else made.astype(dtype)


def is_tensor(x: Any) -> bool:
    """Whether it is a Tensor."""
    return isinstance(x, Tensor)


def shape(x: Any) -> tuple[int, ...]:
    """The sizes of the axes."""
    return np.shape(x)


def ndim(x: Any) -> int:
    """The number of axes."""
    return len(np.shape(x))


def size(x: Any) -> int:
    """The number of elements."""
    return int(np.size(x))


def stop_gradient(variable: Any) -> Tensor:
    """The same values, that no gradient goes through."""
    return convert_to_tensor(variable).detach()


def floats(x: Any) -> Tensor:
    """A Tensor of floats: integers and booleans become `config.floatx()`."""
    made = convert_to_tensor(x)
    return made if made.dtype.kind == "f" else made.astype(floatx())


def pair(x1: Any, x2: Any) -> tuple[Any, Any]:
    """Two operands: a number has no dtype of its own, and integers become the other's floats."""
    if type(x1) in _NUMBERS and type(x2) in _NUMBERS:
        return convert_to_tensor(x1), x2
    a, b = (x if type(x) in _NUMBERS else convert_to_tensor(x) for x in (x1, x2))
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        if a.dtype.kind == "f" and b.dtype.kind != "f":
            return a, b.astype(a.dtype)
        if b.dtype.kind == "f" and a.dtype.kind != "f":
            return a.astype(b.dtype), b
    elif isinstance(a, Tensor):
        return (a.astype(floatx()) if type(b) is float and a.dtype.kind != "f" else a), b
    else:
        return a, (b.astype(floatx()) if type(a) is float and b.dtype.kind != "f" else b)
    return a, b
