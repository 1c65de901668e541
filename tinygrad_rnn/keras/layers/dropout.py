"""Dropout."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

from ...core.errors import ShapeError
from ...core.random import generator
from ...ops.regularisation import dropout_mask
from .arguments import integers, share
from .layer import Layer


class Dropout(Layer):
    """In training, elements are 0 with probability `rate`, the others larger by 1 / (1 - rate).

    Args:
        rate: the probability.
        noise_shape: the shape of the mask, if elements are dropped together: (None, 1, 8) drops
            the same of 8 features at all steps.
        seed: of the masks.

    >>> import numpy as np
    >>> from tinygrad_rnn import keras
    >>> layer = keras.layers.Dropout(0.5, seed=0)
    >>> bool((layer(np.ones((2, 3))) == 1).all()), set(layer(np.ones(99), training=True).tolist())
    (True, {0.0, 2.0})
    """

    supports_masking = True
    min_ndim = 0

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.rate = share("rate", rate)
        self.noise_shape = None if noise_shape is None else integers("noise_shape", noise_shape)
        self.seed = seed
        self._rng = None if seed is None else generator(seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or not self.rate:
            return inputs
        x = self.floats(inputs)
        mask = dropout_mask(self._mask_shape(x.shape), self.rate, x.dtype, self._rng)
        return x * np.broadcast_to(mask, x.shape)

    def _mask_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if self.noise_shape is None:
            return shape
        found = tuple(
            own if given is None else given
            for given, own in zip_longest(self.noise_shape, shape, fillvalue=0)
        )
        if len(self.noise_shape) != len(shape) or any(
            given not in (1, own) for given, own in zip(found, shape, strict=True)
        ):
            raise ShapeError(
                f"layer '{self.name}': each size of noise_shape is None, 1 or that of the input. "
                f"Received: noise_shape={self.noise_shape}, inputs.shape={shape}"
            )
        return found

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


class SpatialDropout1D(Dropout):
    """Drops features at all steps together: `Dropout` with one mask for a sequence.

    >>> import numpy as np
    >>> from tinygrad_rnn import keras
    >>> y = keras.layers.SpatialDropout1D(0.5, seed=0)(np.ones((2, 5, 3)), training=True)
    >>> bool((y == y[:, :1]).all())
    True
    """

    ndim = 3

    def __init__(self, rate: float, seed: int | None = None, **options: Any) -> None:
        if "noise_shape" in options:
            raise TypeError(
                "SpatialDropout1D has no argument 'noise_shape': it drops features at all steps; "
                "Dropout has one"
            )
        super().__init__(rate, (None, 1, None), seed, **options)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["noise_shape"]
        return config
