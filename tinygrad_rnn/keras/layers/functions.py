"""Layers that are a function: Identity, Lambda, and activations with arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...core.errors import ShapeError
from ...ops import where
from .. import activations
from ..configs import to_config
from .arguments import integers, not_negative
from .layer import Layer
from .shapes import outline_of


class Identity(Layer):
    """Puts out what it is given.

    >>> from tinygrad_rnn import keras
    >>> keras.layers.Identity()([[1.0, 2.0]]).tolist()
    [[1.0, 2.0]]
    """

    supports_masking = True

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


class _Elementwise(Layer):
    supports_masking = True
    min_ndim = 0

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


class ReLU(_Elementwise):
    """`activations.relu` with its arguments.

    Args:
        max_value: the largest value of the result; None for no bound.
        negative_slope: the slope below the threshold.
        threshold: what is not above it is cut.

    >>> from tinygrad_rnn import keras
    >>> keras.layers.ReLU(max_value=6.0)([-2.0, 1.0, 9.0]).tolist()
    [0.0, 1.0, 6.0]
    """

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.max_value = None if max_value is None else not_negative("max_value", max_value)
        self.negative_slope = not_negative("negative_slope", negative_slope)
        self.threshold = not_negative("threshold", threshold)

    def call(self, inputs: Any) -> Any:
        return activations.relu(inputs, self.negative_slope, self.max_value, self.threshold)


class LeakyReLU(_Elementwise):
    """`activations.leaky_relu`, with another slope by default.

    Args:
        negative_slope: the slope below 0.
        alpha: the older word for it.

    >>> from tinygrad_rnn import keras
    >>> keras.layers.LeakyReLU(negative_slope=0.5)([-2.0, 1.0]).tolist()
    [-1.0, 1.0]
    """

    def __init__(
        self, negative_slope: float = 0.3, alpha: float | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        given = negative_slope if alpha is None else alpha
        self.negative_slope = not_negative("negative_slope", given)

    def call(self, inputs: Any) -> Any:
        return activations.leaky_relu(inputs, self.negative_slope)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "negative_slope": self.negative_slope}


class ELU(_Elementwise):
    """`activations.elu`.

    Args:
        alpha: what large negative numbers come near to, negated.

    >>> from tinygrad_rnn import keras
    >>> keras.layers.ELU()([-999.0, 1.0]).tolist()
    [-1.0, 1.0]
    """

    def __init__(self, alpha: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.alpha = alpha

    def call(self, inputs: Any) -> Any:
        return activations.elu(self.floats(inputs), self.alpha)


class Softmax(_Elementwise):
    """`activations.softmax` over an axis, of what isn't masked.

    Args:
        axis: over which the result sums to 1.

    Called with x and a mask that broadcasts to it, elements that are masked are 0.

    >>> from tinygrad_rnn import keras
    >>> keras.layers.Softmax()([[1.0, 1.0, 5.0]], mask=[[True, True, False]]).tolist()
    [[0.5, 0.5, 0.0]]
    """

    min_ndim = 1

    def __init__(self, axis: int | Sequence[int] = -1, **options: Any) -> None:
        super().__init__(**options)
        axes = integers("axis", axis if isinstance(axis, (list, tuple)) else (axis,))
        if len(axes) != 1 or axes[0] is None:
            raise ValueError(f"Softmax is over one axis. Received: axis={axis!r}")
        self.axis = axis

    def call(self, inputs: Any, mask: Any = None) -> Any:
        axis: Any = self.axis[0] if isinstance(self.axis, (list, tuple)) else self.axis
        x = self.floats(inputs)
        if mask is None:
            return activations.softmax(x, axis)
        try:
            used = np.broadcast_to(mask, x.shape)
        except ValueError as error:
            raise ShapeError(
                "The `mask` must be broadcastable to `inputs`. Received: "
                f"inputs.shape={x.shape}, mask.shape={mask.shape}"
            ) from error
        cut = where(used, x, -3e4 if x.dtype == np.float16 else -1e9)
        return where(used, activations.softmax(cut, axis), 0)


class Lambda(Layer):
    """A function of one's own.

    Args:
        function: called with the inputs, and with mask and training if it has such arguments.
        output_shape: of the result without the batch, or a function of the input's shape; found by
            trials by default.
        mask: of the result, or a function (inputs, mask).
        arguments: further arguments for the function.

    A configuration has the function's name: `from_config`, and a model that is loaded, need
    ``custom_objects={"its_name": it}``.

    >>> from tinygrad_rnn import keras
    >>> keras.layers.Lambda(lambda x: x ** 2)([1.0, -2.0]).tolist()
    [1.0, 4.0]
    """

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        if not callable(function):
            raise TypeError(f"Lambda takes a function. Received: {function!r:.60}")
        super().__init__(**options)
        self.function = function
        self.output_shape = output_shape
        self.mask = mask
        self.supports_masking = self._makes_masks = mask is not None
        self.arguments = dict(arguments or {})
        self._wanted = _wanted(function)

    def call(self, inputs: Any, mask: Any = None, training: bool = False) -> Any:
        known = {"mask": mask, "training": training}
        return self.function(inputs, **self.arguments, **{n: known[n] for n in self._wanted})

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    def compute_output_shape(self, input_shape: Any) -> Any:
        if callable(self.output_shape):
            return outline_of(self.output_shape(input_shape))
        if self.output_shape is not None:
            return (input_shape[0], *outline_of(self.output_shape))
        return super().compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "function": to_config(self.function)}
        for name in ("output_shape", "mask"):
            if config[name] is None:
                del config[name]
        return config


def _wanted(function: Callable[..., Any]) -> tuple[str, ...]:
    """Which of mask and training a function takes."""
    try:
        names = inspect.signature(function).parameters
    except ValueError:  # a built-in one
        return ()
    return tuple(name for name in ("mask", "training") if name in names)
