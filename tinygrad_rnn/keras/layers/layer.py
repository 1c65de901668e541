"""What all layers have in common: weights made when the input's shape is known, masks, calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...module import Module, accepted_arguments
from .. import regularizers
from ..config import float_name
from ..configs import from_config, keep_class, to_config
from ..naming import next_name
from .calls import Calls
from .inputs import noting_the_shape
from .phase import in_phase, next_number
from .shapes import first_layer_shape, traced_shape


class Layer(Calls):
    """A layer of Keras' kind. A subclass defines `call`, and `build` if it has weights.

    Args:
        name: by default the class's name and a number, such as ``simple_rnn_1``.
        dtype: of the weights and the computation; by default `config.floatx()`.
        trainable: whether its weights are learnt.
        activity_regularizer: a penalty on what the layer puts out.
        input_shape, batch_input_shape, batch_shape, input_length, input_dim: the shape of what the
            first layer of a model gets, as Keras 2 had it: (10, 5) without, (None, 10, 5) with the
            batch, or the number of steps and that of features.
        weights: the initial values, as `set_weights` takes them.

    Called with an array or Tensor, it returns a Tensor. Its weights are made when it is first
    called, or by `build`.

    >>> import numpy as np
    >>> from tinygrad_rnn import keras
    >>> class Scale(keras.layers.Layer):
    ...     def build(self, input_shape):
    ...         self.scale = self.add_weight(shape=input_shape[-1:], initializer="ones", name="s")
    ...     def call(self, x):
    ...         return x * self.scale
    >>> layer = Scale()
    >>> layer(np.ones((2, 3))).shape, [w.path for w in layer.weights]
    ((2, 3), ['scale/s'])
    """

    _unlisted = Module._unlisted | {"_penalties", "built", "name", "training"}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        keep_class(cls)
        if "compute_mask" in vars(cls):
            cls._makes_masks = True
        if "build" in vars(cls):
            cls.build = noting_the_shape(vars(cls)["build"])  # type: ignore[method-assign]

    def __init__(
        self,
        *,
        name: str | None = None,
        dtype: Any = None,
        trainable: bool = True,
        activity_regularizer: Any = None,
        input_shape: Sequence[int | None] | None = None,
        batch_input_shape: Sequence[int | None] | None = None,
        batch_shape: Sequence[int | None] | None = None,
        input_length: int | None = None,
        input_dim: int | None = None,
        weights: Sequence[Any] | None = None,
    ) -> None:
        if name is not None and (not isinstance(name, str) or "/" in name):
            raise ValueError(
                "Argument `name` must be a string and cannot contain character `/`. Received: "
                f"name={name!r} (of type {type(name).__name__})"
            )
        if not isinstance(trainable, bool):
            raise ValueError(
                f"Expected `trainable` to be a boolean. Received: trainable={trainable!r}"
            )
        self.name = next_name(type(self).__name__) if name is None else name
        self.built = False
        self._dtype = float_name(dtype)
        self._trainable = trainable
        self._last_axis: int | None = None
        self._ran = 0
        self._penalties = []
        self._initial = weights
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.batch_input_shape = first_layer_shape(
            type(self).__name__, input_shape, batch_input_shape or batch_shape, input_length,
            input_dim,
        )  # fmt: skip

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The output's shape for an input's, None for axes of any size; found by trials."""
        if not self.built:
            self._make_weights(input_shape)
        with in_phase(False, next_number()):
            return traced_shape(self, input_shape)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_penalties": []}  # penalties belong to a call

    def get_config(self) -> dict[str, Any]:
        """The arguments that make a layer like this one: every argument is an attribute."""
        config: dict[str, Any] = {
            "name": self.name, "trainable": self.trainable, "dtype": self._dtype
        }  # fmt: skip
        missing = []
        for argument in accepted_arguments(type(self)) or ():
            if argument in _NOT_IN_CONFIG or argument in config:
                continue
            if hasattr(self, argument):
                config[argument] = to_config(getattr(self, argument))
            else:
                missing.append(argument)
        # a class with its own get_config adds the rest itself
        if missing and type(self).get_config is Layer.get_config:
            raise NotImplementedError(
                f"Layer {type(self).__name__} takes {missing}, but has no attribute of that name: "
                "store the argument as it came, or override `get_config()`"
            )
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = to_config(self.activity_regularizer)
        if self.batch_input_shape is not None:
            config["batch_input_shape"] = list(self.batch_input_shape)
        return config

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Any:
        """A layer made from what `get_config` gave, with the layers inside; its weights are new.

        Options of Keras' that aren't here are left out where they are None or False.

        Args:
            custom_objects: classes and functions of one's own, by name.
        """
        config = from_config(config, custom_objects)
        known = accepted_arguments(cls)
        used = {
            name: value
            for name, value in config.items()
            if known is None or name in known or value not in (None, False)
        }
        return cls(**used)

    def extra_repr(self) -> str:
        return f"name={self.name}, built={self.built}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.extra_repr()}>"


_NOT_IN_CONFIG = {
    "activity_regularizer", "batch_input_shape", "batch_shape", "input_dim", "input_length",
    "input_shape", "weights",
}  # fmt: skip
