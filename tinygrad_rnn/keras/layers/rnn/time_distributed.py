"""TimeDistributed: the same layer at every step."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....core.errors import ShapeError
from ....ops import reshape, stack
from ..layer import Layer


class TimeDistributed(Layer):
    """Applies a layer to every step of (N, T, …), with the same weights.

    A mask (N, T) isn't given to the layer inside, but to the layers that follow; the layer inside
    is given a mask (N, T, …) of its own steps.

    Args:
        layer: any layer.

    >>> import numpy as np
    >>> from tinygrad_rnn import keras
    >>> layer = keras.layers.TimeDistributed(keras.layers.Dense(8))
    >>> layer(np.ones((2, 10, 16))).shape, layer.count_params()
    ((2, 10, 8), 136)
    """

    supports_masking = True
    min_ndim = 2

    def __init__(self, layer: Any, **options: Any) -> None:
        if not isinstance(layer, Layer):
            raise ValueError(
                "Please initialize `TimeDistributed` layer with a Layer instance. Received: "
                f"{layer!r:.80}"
            )
        super().__init__(**options)
        self.layer = layer

    def build(self, input_shape: Any) -> None:
        inner = self._step(input_shape)
        if not self.layer.built:
            self.layer.build(inner)
            self.layer.built = True

    def call(self, inputs: Any, mask: Any = None, training: bool = False) -> Any:
        mask = self._checked_mask(mask, inputs.shape)
        if not self._reads_samples_apart():
            steps = [
                self._inner(inputs[:, t], None if mask is None else mask[:, t], training)
                for t in range(inputs.shape[1])
            ]
            return stack(steps, axis=1)
        lead = inputs.shape[:2]
        flat = None if mask is None else mask.reshape(-1, *mask.shape[2:])
        result = self._inner(reshape(inputs, (-1, *inputs.shape[2:])), flat, training)
        return reshape(result, (*lead, *result.shape[1:]))

    def _inner(self, inputs: Any, mask: Any, training: bool) -> Any:
        options = {} if mask is None else {"mask": mask}
        result = self.layer(inputs, training=training, **options)
        if isinstance(result, (tuple, list)):
            raise ShapeError(
                f"TimeDistributed takes a layer with one output; {self.layer.name!r} gave "
                f"{len(result)}"
            )
        return result

    def _reads_samples_apart(self) -> bool:
        """Whether all steps may be one batch; else they are computed one by one."""
        package = __name__.partition(".")[0]
        return not any(
            getattr(module, "stateful", False)
            or getattr(module, "noise_shape", None) is not None
            or not type(module).__module__.startswith(f"{package}.")
            for module in self.layer.modules()
        )

    def _checked_mask(self, mask: Any, shape: tuple[int, ...]) -> Any:
        """The mask of the inner layer, (N, T, …); None if there is one of the steps only.

        Raises:
            ValueError: unless the mask begins with the axes (N, T).
        """
        if mask is None:
            return None
        mask = np.asarray(getattr(mask, "data", mask), dtype=bool)
        if mask.shape[:2] != shape[:2]:
            raise ShapeError(
                f"layer '{self.name}': expected a mask that begins with the axes (batch, steps) = "
                f"{shape[:2]}. Received: {mask.shape}"
            )
        return mask if mask.ndim > 2 else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        inner = self.layer.compute_output_shape(self._step(input_shape))
        return (input_shape[0], input_shape[1], *inner[1:])

    def _step(self, input_shape: Any) -> tuple[Any, ...]:
        if len(input_shape) < 3:
            raise ShapeError(
                "`TimeDistributed` Layer should be passed an `input_shape` with at least 3 "
                f"dimensions, received: {tuple(input_shape)}"
            )
        return (input_shape[0], *input_shape[2:])
