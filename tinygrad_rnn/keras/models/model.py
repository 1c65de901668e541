"""Model: a layer that can be compiled, trained and saved."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...core.context import no_grad
from ...core.errors import ShapeError
from ...module import accepted_arguments, looking_on
from ...restoring import undisturbed
from ...train.evaluation import mode
from ..configs import object_config
from ..layers.layer import Layer
from ..layers.shapes import _common, _zeros, outline_of, shape_of
from ..summary import print_summary
from . import saving
from .pictures import drawn, traced
from .training import Trainer


class Model(Trainer, Layer):
    """A model of one's own: a subclass makes its layers in `__init__`, and uses them in `call`.

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

    # Shapes

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if self.built:
            return super().__call__(inputs, *args, **kwargs)
        with looking_on(_note_shape):
            return super().__call__(inputs, *args, **kwargs)

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
        with mode(self, training=False), no_grad():
            self(_zeros(shape, 2))
            self.reset_states()
            first = _seen_shapes(self)
            with undisturbed(self, recording=False), looking_on(_note_shape):
                self(_zeros(shape, 3))
                second = _seen_shapes(self)
        for layer in self.modules():
            if id(layer) in first:
                vars(layer)["_seen_shape"] = _common(first[id(layer)], second[id(layer)])
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
        return [vars(layer).get("_seen_shape") for layer in self.layers]

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

    # Text, files and pictures

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Sequence[str] | None = None,
        style: str = "text",
    ) -> None:
        """Prints the layers, the shapes of what they put out, and how many parameters they have.

        Args:
            line_length: 65 by default; lines become longer where a name needs it. With
                style="box" 88, or what the terminal has.
            positions: where the columns end, as shares of the line, or in characters.
            print_fn: called with each line in place of `print`; with style="box" once, with all.
            expand_nested: whether the layers of models inside are shown too.
            show_trainable: whether a column says if the layers are learnt.
            layer_range: the names of the first and the last layer to show, or patterns of them.
            style: "text" for the table of Keras 2; "box" for that of Keras 3, where long names are
                wrapped and the optimizer's parameters count as well.

        What isn't known before the model is built is shown as "?" and "0 (unbuilt)". Parameters
        that stand in several places count once in the totals.

        Raises:
            ValueError: for names that no layer has, or a line that is too short for a box.

        >>> from tinygrad_rnn import keras
        >>> model = keras.Sequential(name="reader")
        >>> model.add(keras.layers.Embedding(10000, 32, name="embedding"))
        >>> model.add(keras.layers.SimpleRNN(32, name="simple_rnn"))
        >>> model.summary(print_fn=lambda line: print(line.rstrip()))
        Model: "reader"
        _________________________________________________________________
         Layer (type)                Output Shape              Param #
        =================================================================
         embedding (Embedding)       (None, None, 32)          320000
        <BLANKLINE>
         simple_rnn (SimpleRNN)      (None, 32)                2080
        <BLANKLINE>
        =================================================================
        Total params: 322,080
        Trainable params: 322,080
        Non-trainable params: 0
        _________________________________________________________________
        """
        print_summary(
            self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range,
            style,
        )  # fmt: skip

    def save(
        self,
        filepath: str | os.PathLike[str],
        overwrite: bool = True,
        include_optimizer: bool = True,
    ) -> None:
        """Writes the whole model into a file, for `load_model`.

        Kept are the architecture (`get_config`), the weights, the states of stateful layers and of
        the generators of layers that have a seed; and of a compiled model what `compile` was given,
        and the optimizer's state. Until all is on the disk, a file that was there stays as it was.

        Args:
            filepath: ends in .npz. The format is this package's own, which Keras doesn't read;
                Keras' formats, .keras and .h5, aren't written.
            overwrite: whether a file that is there may be replaced.
            include_optimizer: whether what `compile` was given is kept, and the optimizer's state.

        Raises:
            ValueError: for another suffix.
            FileExistsError: for a file that is there, with overwrite=False.
            TypeError: for what has no name by which it could be found again, such as a lambda.
            OSError: if the file can't be written.
        """
        saving.save_model(self, filepath, overwrite, include_optimizer)

    def save_weights(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Writes the weights into a file, each under its path, such as ``lstm/lstm_cell/kernel``.

        Args:
            filepath: ends in .npz, which `numpy.load` reads as well, or in .safetensors.
            overwrite: whether a file that is there may be replaced.

        Raises:
            ValueError: for another suffix, or if the model isn't built.
            FileExistsError: for a file that is there, with overwrite=False.
            OSError: if the file can't be written.
        """
        saving.save_weights(self, filepath, overwrite)

    def load_weights(self, filepath: str | os.PathLike[str]) -> None:
        """Takes the weights that `save_weights` wrote for a model built like this one.

        Names that layers were given count; those that they have by themselves, such as ``lstm_1``,
        may have other numbers.

        Args:
            filepath: ends in .npz or .safetensors.

        Raises:
            FileFormatError: if the file was cut short or altered.
            ValueError: if the model isn't built, or listing every weight that is missing,
                unexpected or of another shape.
            OSError: if the file can't be read.

        Whatever is raised, nothing has changed.
        """
        saving.load_weights(self, filepath)

    def to_json(self, **options: Any) -> str:
        """The architecture as text, for `model_from_json`; `options` are those of json.dumps."""
        return json.dumps(object_config(self), **options)

    def draw(
        self,
        path: str | os.PathLike[str] | None = None,
        view: str | None = "cells",
        x: Any = None,
        **options: Any,
    ) -> Any:
        """A picture of what the model does: the graph of one call.

        Args:
            path: of the file to write, such as "model.svg"; see `tg.draw`.
            view: "cells", "ops", "rolled", "modules" or None; see `tg.draw`.
            x: what the model is called with. By default made-up data of its input shape, small
                where any size will do.
            options: further ones of `tg.draw`, such as ``steps=2``.

        Returns:
            The path of the file; without a path the `Graph`, which notebooks show.

        Raises:
            ValueError: without x, if the input shape isn't known.

        >>> from tinygrad_rnn import keras
        >>> gru = keras.layers.GRU(3, name="gru")
        >>> model = keras.Sequential([keras.layers.Embedding(10, 4), gru])
        >>> [node.name for node in model.draw(view="rolled").nodes if node.kind == "rolled"]
        ['gru']
        """
        return drawn(self, path, view, x, **options)

    def trace(self, x: Any, **options: Any) -> Any:
        """A look inside the recurrent layers as the model reads x; see `tg.rnn.trace`.

        Args:
            x: what the model is called with.
            options: those of `tg.rnn.trace`.
        """
        return traced(self, x, **options)

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


def _note_shape(called: Any, args: Any, result: Any) -> None:
    if isinstance(called, Layer):
        vars(called)["_seen_shape"] = shape_of(result)


def _seen_shapes(model: Model) -> dict[int, Any]:
    """What layers inside were seen to put out."""
    every = ((id(layer), vars(layer).get("_seen_shape")) for layer in model.modules())
    return {key: shape for key, shape in every if shape is not None}


_BASE = frozenset(accepted_arguments(Model) or ())
