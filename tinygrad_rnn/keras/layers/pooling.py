"""What becomes of all steps together."""

from __future__ import annotations

from typing import Any

from ...core.errors import ShapeError
from ...ops import expand_dims, mean, where
from ...ops import max as maximum
from .arguments import FORMATS, one_of
from .layer import Layer


class _GlobalPooling(Layer):
    """(N, T, I) -> (N, I), or (N, 1, I) with keepdims.

    Args:
        data_format: "channels_last"; "channels_first" for (N, I, T).
        keepdims: whether the axis of time stays, with one step.
    """

    ndim = 3

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **options: Any
    ) -> None:
        super().__init__(**options)
        self.data_format = one_of("data_format", data_format or FORMATS[0], FORMATS)
        self.keepdims = keepdims

    @property
    def time(self) -> int:
        """Which axis is that of the steps."""
        return 1 if self.data_format == "channels_last" else 2

    def compute_output_shape(self, input_shape: Any) -> Any:
        sizes = list(input_shape)
        if self.keepdims:
            sizes[self.time] = 1
        else:
            del sizes[self.time]
        return tuple(sizes)


class GlobalAveragePooling1D(_GlobalPooling):
    """The mean over all steps that aren't masked.

    >>> import numpy as np
    >>> from tinygrad_rnn import keras
    >>> keras.layers.GlobalAveragePooling1D()(np.arange(6.0).reshape(1, 3, 2)).tolist()
    [[2.0, 3.0]]
    """

    supports_masking = True

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return None

    def call(self, inputs: Any, mask: Any = None) -> Any:
        x = self.floats(inputs)
        if mask is None:
            return mean(x, axis=self.time, keepdims=self.keepdims)
        if mask.shape != (x.shape[0], x.shape[self.time]):
            raise ShapeError(
                f"layer '{self.name}': a mask has the shape (samples, steps). Received: "
                f"mask.shape={mask.shape}, inputs.shape={x.shape}"
            )
        used = expand_dims(mask, 3 - self.time)
        total = where(used, x, 0).sum(axis=self.time, keepdims=self.keepdims)
        return total / used.sum(axis=self.time, keepdims=self.keepdims).astype(x.dtype)


class GlobalMaxPooling1D(_GlobalPooling):
    """The largest value of all steps.

    >>> import numpy as np
    >>> from tinygrad_rnn import keras
    >>> keras.layers.GlobalMaxPooling1D()(np.arange(6.0).reshape(1, 3, 2)).tolist()
    [[4.0, 5.0]]
    """

    def call(self, inputs: Any) -> Any:
        return maximum(inputs, axis=self.time, keepdims=self.keepdims)


GlobalAvgPool1D, GlobalMaxPool1D = GlobalAveragePooling1D, GlobalMaxPooling1D
