"""Dense and Activation."""

from __future__ import annotations

from typing import Any

from ...ops import matmul
from .. import activations, constraints, initializers, regularizers
from .arguments import count
from .layer import Layer


class Dense(Layer):
    """A linear map of the last axis, and a function of it.

        y = activation(x kernel + bias)

    Args:
        units: U, the number of features of the output.
        activation: a name or a function; None for none.
        use_bias: whether there is a bias.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
        kernel_constraint, bias_constraint: of the weights, kernel (I, U) and bias (U,).

    Called with x (N, …, I), it returns (N, …, U).

    >>> import numpy as np
    >>> from tinygrad_rnn import keras
    >>> layer = keras.layers.Dense(3, activation="relu")
    >>> layer(np.ones((2, 5, 4))).shape, layer.count_params()
    ((2, 5, 3), 15)
    """

    min_ndim = 2
    supports_masking = True

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **options)
        self.units = count("units", units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight(
            (input_shape[-1], self.units), self.kernel_initializer, name="kernel",
            regularizer=self.kernel_regularizer, constraint=self.kernel_constraint,
        )  # fmt: skip
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                (self.units,), self.bias_initializer, name="bias",
                regularizer=self.bias_regularizer, constraint=self.bias_constraint,
            )  # fmt: skip
        self._last_axis = input_shape[-1]

    def call(self, inputs: Any) -> Any:
        y = matmul(self.floats(inputs), self.kernel)
        return self.activation(y if self.bias is None else y + self.bias)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], self.units)


class Activation(Layer):
    """A function of every element.

    Args:
        activation: a name or a function.

    >>> from tinygrad_rnn import keras
    >>> keras.layers.Activation("relu")([[-1.0, 2.0]]).tolist()
    [[0.0, 2.0]]
    """

    supports_masking = True
    min_ndim = 0

    def __init__(self, activation: Any, **options: Any) -> None:
        super().__init__(**options)
        self.activation = activations.get(activation)

    def call(self, inputs: Any) -> Any:
        return self.activation(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape
