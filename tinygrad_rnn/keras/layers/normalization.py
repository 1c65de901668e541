"""LayerNormalization."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...core.errors import ShapeError
from ...nn import functional as F
from ...ops import moveaxis
from .. import constraints, initializers, regularizers
from .arguments import integers, not_negative
from .layer import Layer


class LayerNormalization(Layer):
    """Each sample has mean 0 and variance 1 over some axes, then a scale and a shift.

        y = (x - mean) / √(variance + epsilon) · gamma + beta

    Args:
        axis: the axis, or several, by default the last.
        epsilon: keeps the root from zero.
        center, scale: whether there are beta and gamma.
        beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer, beta_constraint,
        gamma_constraint: of these weights.

    Raises:
        TypeError: unless axis is an integer or several.
        ValueError: for an axis that the input hasn't.

    Source: Ba et al. 2016, "Layer Normalization".

    >>> import numpy as np
    >>> from tinygrad_rnn import keras
    >>> keras.layers.LayerNormalization()(np.array([[1.0, 3.0]])).numpy().round(2).tolist()
    [[-1.0, 1.0]]
    """

    supports_masking = True
    min_ndim = 1

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if np.ndim(axis) or not isinstance(axis, (int, np.integer)):
            if not isinstance(axis, (list, tuple)) or not axis:
                raise TypeError(
                    "Expected an int or a list/tuple of ints for the argument 'axis'. Received: "
                    f"axis={axis!r}"
                )
            self.axis: Any = list(integers("axis", axis))
        else:
            self.axis = int(axis)
        self.epsilon = not_negative("epsilon", epsilon)
        self.center, self.scale = center, scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)

    def build(self, input_shape: Any) -> None:
        shape = [input_shape[axis] for axis in self._axes(len(input_shape))]
        self.axis = [self.axis] if isinstance(self.axis, int) else sorted(self.axis)
        self.gamma = self.beta = None
        if self.scale:
            self.gamma = self.add_weight(
                shape, self.gamma_initializer, name="gamma",
                regularizer=self.gamma_regularizer, constraint=self.gamma_constraint,
            )  # fmt: skip
        if self.center:
            self.beta = self.add_weight(
                shape, self.beta_initializer, name="beta",
                regularizer=self.beta_regularizer, constraint=self.beta_constraint,
            )  # fmt: skip

    def call(self, inputs: Any) -> Any:
        x = self.floats(inputs)
        axes = self._axes(x.ndim)
        last = tuple(range(x.ndim - len(axes), x.ndim))
        x = x if axes == last else moveaxis(x, axes, last)
        y = F.layer_norm(x, x.shape[last[0] :], self.gamma, self.beta, self.epsilon)
        return y if axes == last else moveaxis(y, last, axes)

    def compute_output_shape(self, input_shape: Any) -> Any:
        self._axes(len(input_shape))
        return input_shape

    def _axes(self, ndim: int) -> tuple[int, ...]:
        given = [self.axis] if isinstance(self.axis, int) else self.axis
        axes = {axis % ndim for axis in given}
        if len(axes) != len(given) or not all(-ndim <= axis < ndim for axis in given):
            raise ShapeError(
                f"layer '{self.name}' takes different axes, from {-ndim} to {ndim - 1} for an "
                f"input of {ndim} axes. Received: axis={self.axis}"
            )
        return tuple(sorted(axes))
