"""Flatten, Reshape, RepeatVector and Permute."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...core.errors import ShapeError
from ...ops import expand_dims, moveaxis, repeat, reshape, transpose
from .arguments import FORMATS, count, integers, one_of
from .layer import Layer


class Flatten(Layer):
    """All axes but the first become one: (N, …) -> (N, features).

    Args:
        data_format: "channels_last"; "channels_first" moves axis 1 behind the others before.

    >>> import numpy as np
    >>> from tinygrad_rnn import keras
    >>> keras.layers.Flatten()(np.ones((2, 3, 4))).shape
    (2, 12)
    """

    min_ndim = 1

    def __init__(self, data_format: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.data_format = one_of("data_format", data_format or FORMATS[0], FORMATS)

    def call(self, inputs: Any) -> Any:
        if self.data_format == "channels_first" and inputs.ndim > 1:
            inputs = moveaxis(inputs, 1, -1)
        return reshape(inputs, (inputs.shape[0], math.prod(inputs.shape[1:])))

    def compute_output_shape(self, input_shape: Any) -> Any:
        inner = input_shape[1:]
        return (input_shape[0], None if None in inner else math.prod(inner))


class Reshape(Layer):
    """Other axes behind the first one.

    Args:
        target_shape: without the batch; -1 for an axis that takes what is left.

    >>> import numpy as np
    >>> from tinygrad_rnn import keras
    >>> keras.layers.Reshape((-1, 2))(np.ones((5, 6))).shape
    (5, 3, 2)
    """

    min_ndim = 1

    def __init__(self, target_shape: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        self.target_shape = integers("target_shape", target_shape)
        if any(size is None or size < -1 for size in self.target_shape):
            raise ShapeError(
                "The `target_shape` argument has sizes of 0 or more, and -1 for the axis that "
                f"takes what is left. Received: target_shape={target_shape}"
            )
        if self.target_shape.count(-1) > 1:
            raise ShapeError(
                "The `target_shape` argument must not contain more than one `-1` value. Received: "
                f"target_shape={target_shape}"
            )

    def call(self, inputs: Any) -> Any:
        return reshape(inputs, (inputs.shape[0], *self._filled(inputs.shape[1:])))

    def compute_output_shape(self, input_shape: Any) -> Any:
        inner = input_shape[1:]
        if None in inner:
            return (input_shape[0], *(None if size == -1 else size for size in self.target_shape))
        return (input_shape[0], *self._filled(inner))

    def _filled(self, inner: Sequence[int]) -> tuple[int, ...]:
        """The target shape, -1 replaced."""
        have, want = math.prod(inner), math.prod(s for s in self.target_shape if s != -1)
        if (-1 in self.target_shape and (not want or have % want)) or (
            -1 not in self.target_shape and have != want
        ):
            raise ShapeError(
                f"layer '{self.name}': the total size of the tensor must be unchanged. Received: "
                f"input_shape={tuple(inner)}, target_shape={self.target_shape}"
            )
        return tuple(have // want if size == -1 else size for size in self.target_shape)


class RepeatVector(Layer):
    """The same vector at n steps: (N, I) -> (N, n, I).

    >>> import numpy as np
    >>> from tinygrad_rnn import keras
    >>> keras.layers.RepeatVector(3)(np.ones((2, 4))).shape
    (2, 3, 4)
    """

    ndim = 2

    def __init__(self, n: int, **options: Any) -> None:
        super().__init__(**options)
        self.n = count("n", n)

    def call(self, inputs: Any) -> Any:
        return repeat(expand_dims(inputs, 1), self.n, axis=1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], self.n, input_shape[1])


class Permute(Layer):
    """Axes in another order.

    Args:
        dims: the axes behind the first one, counted from 1: (2, 1) exchanges them.

    >>> import numpy as np
    >>> from tinygrad_rnn import keras
    >>> keras.layers.Permute((2, 1))(np.ones((5, 3, 4))).shape
    (5, 4, 3)
    """

    def __init__(self, dims: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        self.dims = integers("dims", dims)
        if sorted(d or 0 for d in self.dims) != list(range(1, len(self.dims) + 1)):
            raise ShapeError(
                "Invalid permutation argument `dims` for Permute Layer. The set of indices in "
                f"`dims` must be consecutive and start from 1. Received: dims={dims}"
            )
        self.ndim = len(self.dims) + 1

    def call(self, inputs: Any) -> Any:
        return transpose(inputs, (0, *self.dims))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], *(input_shape[axis] for axis in self.dims))
