"""Embedding and Masking: where masks come from."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core.errors import DtypeError
from ...nn import functional as F
from ...ops import where
from ...tensor import Tensor, as_tensor
from .. import constraints, initializers, regularizers
from .arguments import count
from .layer import Layer
from .shapes import outline_of


class Embedding(Layer):
    """A vector for each of the whole numbers below `input_dim`.

    Args:
        input_dim: how many there are.
        output_dim: the size of a vector.
        embeddings_initializer, embeddings_regularizer, embeddings_constraint: of the weight
            embeddings (input_dim, output_dim).
        mask_zero: whether 0 is padding: then the layers behind leave out these steps.
        input_length: of sequences, as Keras 2 had it; it makes the shape known.

    Called with whole numbers (N, T), it returns (N, T, output_dim).

    Raises:
        IndexError: for a number that there is no vector for.
        TypeError: for numbers that aren't whole.

    >>> from tinygrad_rnn import keras
    >>> layer = keras.layers.Embedding(10000, 32)
    >>> layer([[1, 2, 3]]).shape, layer.count_params()
    ((1, 3, 32), 320000)
    """

    min_ndim = 0

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        input_length: Any = None,
        **options: Any,
    ) -> None:
        if not {"input_shape", "batch_input_shape", "batch_shape"} & set(options):
            steps = input_length if isinstance(input_length, (list, tuple)) else (input_length,)
            options["batch_input_shape"] = (None, *outline_of(steps))
        if weights is not None and np.ndim(weights) == 2:
            weights = [weights]
        super().__init__(weights=weights, **options)
        self.input_dim = count("input_dim", input_dim)
        self.output_dim = count("output_dim", output_dim)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.mask_zero = self.supports_masking = self._makes_masks = mask_zero
        self.build()

    def build(self, input_shape: Any = None) -> None:
        self.embeddings = self.add_weight(
            (self.input_dim, self.output_dim), self.embeddings_initializer, name="embeddings",
            regularizer=self.embeddings_regularizer, constraint=self.embeddings_constraint,
        )  # fmt: skip

    def convert_inputs(self, inputs: Any) -> Any:
        # not rounded to the layer's dtype: float32 can't tell 16777216 from 16777217
        if isinstance(inputs, np.ndarray):
            return as_tensor(inputs)
        return inputs if isinstance(inputs, Tensor) else super().convert_inputs(inputs)

    def call(self, inputs: Any) -> Any:
        return F.embedding(self._ids(inputs), self.embeddings)

    def _ids(self, inputs: Any) -> np.ndarray:
        given: np.ndarray = inputs.data
        if given.dtype.kind in "iu":
            return given
        with np.errstate(invalid="ignore"):
            ids = given.astype(np.int64)
        if not np.array_equal(ids, given):
            raise DtypeError(
                f"layer '{self.name}' takes whole numbers from 0 to {self.input_dim - 1}. "
                f"Received: {given.dtype} with fractions"
            )
        return ids

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return np.asarray(getattr(inputs, "data", inputs)) != 0 if self.mask_zero else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape, self.output_dim)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if self.batch_input_shape == (None, None):  # that of every Embedding
            del config["batch_input_shape"]
        return {
            **config,
            "input_dim": self.input_dim,
            "activity_regularizer": config.get("activity_regularizer"),
        }


class Masking(Layer):
    """Masks the steps at which all features equal `mask_value`.

    >>> import numpy as np
    >>> from tinygrad_rnn import keras
    >>> from tinygrad_rnn.keras.masks import mask_of
    >>> mask_of(keras.layers.Masking()(np.array([[[1.0, 0.0], [0.0, 0.0]]]))).tolist()
    [[True, False]]
    """

    supports_masking = True
    min_ndim = 1

    def __init__(self, mask_value: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        if np.asarray(mask_value).dtype.kind not in "biuf":
            raise ValueError(
                f"Argument `mask_value` should be a number. Received: mask_value={mask_value!r}"
            )
        self.mask_value = mask_value

    def call(self, inputs: Any) -> Any:
        return where(self._used(inputs)[..., None], inputs, 0)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return self._used(inputs)

    def _used(self, inputs: Any) -> np.ndarray:
        used: np.ndarray = np.any(as_tensor(inputs).data != self.mask_value, axis=-1)
        return used

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape
