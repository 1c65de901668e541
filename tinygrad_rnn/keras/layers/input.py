"""Input: the shape of what a model is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...core.errors import ShapeError
from ..config import floatx
from .layer import Layer
from .shapes import Shape, outline_of


class InputLayer(Layer):
    """What stands first in a model: it computes nothing, it says the shape of the input.

    Args:
        shape, batch_size, dtype, batch_shape, name: as of `Input`.
        input_shape, batch_input_shape: older words for shape and batch_shape.

    Attributes:
        batch_shape, shape: with the batch; None for axes of any size.
    """

    def __init__(
        self,
        shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        dtype: Any = None,
        batch_shape: Sequence[int | None] | None = None,
        name: str | None = None,
        input_shape: Sequence[int | None] | None = None,
        batch_input_shape: Sequence[int | None] | None = None,
    ) -> None:
        shape = input_shape if shape is None else shape
        batch_shape = batch_input_shape if batch_shape is None else batch_shape
        super().__init__(name=name)
        if (shape is None) == (batch_shape is None):
            raise ShapeError(
                "Input takes shape (without the batch) or batch_shape (with it), one of them. "
                f"Received: shape={shape}, batch_shape={batch_shape}"
            )
        if batch_shape is not None and batch_size is not None:
            raise ShapeError(
                "batch_shape holds the batch size already; give no batch_size. Received: "
                f"batch_shape={batch_shape}, batch_size={batch_size}"
            )
        whole = (batch_size, *outline_of(shape)) if batch_shape is None else batch_shape
        self.batch_shape: Shape = outline_of(whole)
        self._input_dtype = _dtype_name(dtype)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs

    @property
    def shape(self) -> Shape:
        """The same as `batch_shape`."""
        return self.batch_shape

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            "batch_shape": list(self.batch_shape), "dtype": self._input_dtype, "name": self.name
        }  # fmt: skip


def _dtype_name(dtype: Any) -> str:
    try:
        return floatx() if dtype is None else np.dtype(dtype).name
    except TypeError as error:
        raise ValueError(f"Unknown dtype of an Input. Received: dtype={dtype!r}") from error


def Input(
    shape: Sequence[int | None] | None = None,
    batch_size: int | None = None,
    dtype: Any = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
) -> InputLayer:
    """The shape of what a Sequential model is given, as its first layer.

    Args:
        shape: without the batch, such as (10, 5), None for an axis of any size.
        batch_size: if every batch has the same.
        dtype: has no effect: layers take what they need.
        batch_shape: shape and batch size together.

    >>> from tinygrad_rnn import keras
    >>> model = keras.Sequential([keras.layers.Input((10, 5)), keras.layers.LSTM(8)])
    >>> model.output_shape, model.count_params()
    ((None, 8), 448)
    """
    return InputLayer(shape, batch_size, dtype, batch_shape, name)
