"""Keras' names of the operations on arrays, for cells, layers and losses of one's own.

They take Tensors, arrays, numbers and lists, and return Tensors.

>>> from tinygrad_rnn import keras
>>> class Gated(keras.layers.Layer):
...     def build(self, input_shape):
...         self.w = self.add_weight(shape=(input_shape[-1], 2), name="w")
...     def call(self, x):
...         gate, value = keras.ops.split(keras.ops.matmul(x, self.w), 2, axis=-1)
...         return keras.ops.sigmoid(gate) * value
>>> Gated()(keras.ops.ones((5, 3))).shape
(5, 1)
"""

# ruff: noqa: F403
from . import creation, elementwise, reductions, shaping, tensors
from .creation import *
from .elementwise import *
from .reductions import *
from .shaping import *
from .tensors import *

__all__ = sorted(
    [
        *creation.__all__,
        *elementwise.__all__,
        *reductions.__all__,
        *shaping.__all__,
        *tensors.__all__,
    ]
)
