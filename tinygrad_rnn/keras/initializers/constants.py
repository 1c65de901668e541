"""Initial values that aren't drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...core.errors import ShapeError
from ..config import floatx
from .initializer import Initializer, sizes_of


class Zeros(Initializer):
    """Zeros.

    >>> from tinygrad_rnn import keras
    >>> keras.initializers.Zeros()((2,))
    array([0., 0.], dtype=float32)
    """

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        return np.zeros(sizes_of(shape), dtype or floatx())


class Ones(Initializer):
    """Ones."""

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        return np.ones(sizes_of(shape), dtype or floatx())


class Constant(Initializer):
    """The same number everywhere, or an array that broadcasts to the shape.

    >>> from tinygrad_rnn import keras
    >>> keras.initializers.Constant(0.5)((2,))
    array([0.5, 0.5], dtype=float32)
    """

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        return _broadcast(self.value, sizes_of(shape), dtype)

    def get_config(self) -> dict[str, Any]:
        value = np.asarray(self.value)
        if not value.ndim:
            return {"value": value.item()}
        content = {"value": value.tolist(), "dtype": value.dtype.name}
        return {"value": {"class_name": "__numpy__", "config": content}}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        value = config["value"]
        return cls(np.array(**_array_arguments(value)) if isinstance(value, Mapping) else value)


class Identity(Initializer):
    """gain · I, for matrices; ones on the diagonal if there are more rows than columns, or fewer.

    Raises:
        ValueError: when called with a shape that isn't a matrix's.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        sizes = sizes_of(shape)
        if len(sizes) != 2:
            raise ShapeError(
                "Identity matrix initializer can only be used for 2D matrices. Received: "
                f"shape={sizes} of rank {len(sizes)}."
            )
        return np.eye(*sizes, dtype=dtype or floatx()) * self.gain

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain}


def _broadcast(value: Any, sizes: tuple[int, ...], dtype: Any) -> np.ndarray:
    array = np.asarray(value, dtype or floatx())
    try:
        return np.broadcast_to(array, sizes).copy()
    except ValueError as error:
        raise ShapeError(
            f"a Constant of shape {array.shape} doesn't broadcast. Received: shape={sizes}"
        ) from error


def _array_arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    inner = config["config"]
    return {"object": inner["value"], "dtype": inner["dtype"]}


def of_array(given: np.ndarray) -> Callable[..., np.ndarray]:
    """An initializer that gives this very array."""

    def initialize(shape: Any, dtype: Any = None) -> np.ndarray:
        if sizes_of(shape) != given.shape:
            raise ShapeError(
                f"Expected `shape` to be {given.shape} for direct tensor as initializer. "
                f"Received shape={sizes_of(shape)}"
            )
        return given.astype(dtype or floatx())

    return initialize
