"""Model: a layer that can be compiled, trained and saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.errors import ShapeError
from ...module import accepted_arguments, looking_on
from ...tensor import Tensor
from ..layers.layer import Layer
from ..layers.shapes import outline_of
from .seen import note_shape, seen_shape, shapes_by_calls
from .shown import Shown
from .stored import Stored
from .training import Trainer


class Model(Trainer, Stored, Shown, Layer):
    """A model of one's own: a subclass makes its layers in `__init__`, and uses them in `call`.

    Floats that it is given reach `call` as they are: each layer takes them in a dtype of its own.

    >>> import numpy as np
    >>> from tinygrad_rnn import keras
    >>> class Tagger(keras.Model):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.lstm = keras.layers.LSTM(4, return_sequences=True)
    ...         self.out = keras.layers.Dense(2)
    ...     def call(self, x):
    ...         return self.out(self.lstm(x))
    >>> model = Tagger()
    >>> model(np.ones((2, 5, 3))).shape, model.count_params()
    ((2, 5, 2), 138)
    """

    supports_masking = True
    _notes_masks = True

    def __init__(self, *args: Any, **options: Any) -> None:
        if args or "inputs" in options or "outputs" in options:
            raise TypeError(
                "the functional API, Model(inputs, outputs), isn't here: use Sequential([...]), or "
                "write a class derived from Model whose `call` uses its layers"
            )
        super().__init__(**options)

    @property
    def layers(self) -> list[Any]:
        """The layers that it holds itself."""
        return list(dict.fromkeys(m for _, m in self._own() if isinstance(m, Layer)))

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if self.built:
            return super().__call__(inputs, *args, **kwargs)
        with looking_on(note_shape):
            return super().__call__(inputs, *args, **kwargs)

    def _in_own_dtype(self, x: Tensor) -> Tensor:
        return x  # each layer inside has a dtype of its own

    def build(self, input_shape: Any = None) -> None:
        """Makes the weights of all layers, by calling the model on zeros.

        Args:
            input_shape: with the batch, None for axes of any size; a tuple of several for a tuple
                of inputs.

        Raises:
            ValueError: without a shape.
        """
        if input_shape is None:
            raise ShapeError(
                f"model '{self.name}' is built by build(input_shape), such as (None, 10, 5), or by "
                "its first call. Received: input_shape=None"
            )
        shape = outline_of(input_shape)
        shapes_by_calls(self, shape)
        self._built_shape = shape

    def _make_weights(self, shape: Any) -> None:
        if type(self).build is not Model.build:
            super()._make_weights(shape)
        several = bool(shape) and isinstance(shape[0], tuple)
        stateful = any(getattr(module, "stateful", False) for module in self.modules())
        if not several and not stateful:
            shape = (None, *shape[1:])
        self._built_shape = shape
        self.built = True

    def layer_shapes(self) -> list[Any]:
        """What each of `layers` puts out: a shape, of several outputs a tuple; None if unknown."""
        return [seen_shape(layer) for layer in self.layers]

    def given_shape(self) -> Any:
        """The shape of the input, with the batch; None if it isn't known."""
        return self._built_shape

    def get_layer(self, name: str | None = None, index: int | None = None) -> Any:
        """A layer by its name, or by its place.

        Raises:
            ValueError: if there is none.
        """
        layers = self.layers
        if (name is None) == (index is None):
            raise ValueError("Provide either a layer name or a layer index to `get_layer`.")
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ValueError(
                    f"Was asked to retrieve layer at index {index} but model only has "
                    f"{len(layers)} layers."
                )
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        raise ValueError(
            f"No such layer: {name}. Existing layers are: {[layer.name for layer in layers]}."
        )

    def reset_states(self) -> None:
        """Lets the next batch of all stateful layers inside begin anew."""
        for layer in self.modules():
            if layer is not self and hasattr(layer, "reset_state"):
                layer.reset_state()

    reset_state = reset_states

    def get_config(self) -> dict[str, Any]:
        """The arguments that make a model like this one: every argument is an attribute.

        Raises:
            NotImplementedError: if one isn't; then the class defines its own `get_config`.
        """
        config: dict[str, Any] = super().get_config()
        missing = [name for name in _arguments(type(self)) if name not in config]
        if missing and type(self).get_config is Model.get_config:
            raise NotImplementedError(
                f"Model {type(self).__name__} takes {missing}, but has no attribute of that name: "
                "store the argument as it came, or override `get_config()`"
            )
        return config

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Any:
        """A model made from what `get_config` gave; its weights are new."""
        known = _arguments(cls)
        given = {key: value for key, value in config.items() if key in known or key not in _OF_ALL}
        model = cls(**given)
        for name in ("name", "trainable"):
            if name in config and getattr(model, name) != config[name]:
                setattr(model, name, config[name])
        return model


_OF_ALL = ("name", "trainable", "dtype")


def _arguments(kind: type) -> list[str]:
    """The arguments of a model's class, without those that only say what isn't here."""
    return [name for name in accepted_arguments(kind) or () if name in _OF_ALL or name not in _BASE]


_BASE = frozenset(accepted_arguments(Model) or ())
