"""Sequential: layers, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from ...core.errors import ShapeError
from ...module import Module, Parameter
from ...ops import expand_dims, squeeze
from ...tensor import Tensor
from ..configs import object_config, object_from
from ..layers.input import InputLayer
from ..layers.layer import Layer
from ..layers.shapes import Shape, outline_of
from ..masks import mask_of, with_mask
from .model import Model

# Whether models are being made whose weights will come from a file.
weights_later: ContextVar[bool] = ContextVar("tinygrad_rnn.keras.weights_later", default=False)


class Sequential(Model):
    """Layers, each reading what the one before puts out.

    Args:
        layers: the layers, the first of which may be an `Input`, or may know its input's shape
            (``input_shape=``, ``batch_input_shape=``, ``input_dim=``). Then, and after an
            Embedding, weights are made at once; else with the first call.
        name, trainable: as of a layer.

    >>> from tinygrad_rnn import keras
    >>> model = keras.Sequential()
    >>> model.add(keras.layers.SimpleRNN(3, batch_input_shape=(8, 2, 10), return_sequences=True))
    >>> model.output_shape, model.count_params()
    ((8, 2, 3), 42)
    """

    _unlisted = Model._unlisted | {"_stack", "_shapes", "_input"}

    def __init__(
        self, layers: Sequence[Any] | None = None, trainable: bool = True, name: str | None = None
    ) -> None:
        super().__init__(name=name, trainable=trainable)
        self._stack: list[Any] = []
        self._shapes: list[Any] = []  # of what each layer puts out, as far as known
        self._input: Shape | None = None
        for layer in layers or ():
            self.add(layer)

    def _own(self) -> Iterator[tuple[str, Parameter | Module]]:
        for layer in self._stack:
            layer._place.take(layer.name, self)
            yield layer.name, layer

    @property
    def layers(self) -> list[Any]:
        """The layers, without an `Input`."""
        return list(self._stack)

    def add(self, layer: Any) -> None:
        """Adds a layer behind the others.

        Raises:
            TypeError: if it isn't a layer.
            ValueError: if its name is taken, or it can't read what comes before; then nothing is
                changed.
        """
        if not isinstance(layer, Layer):
            raise TypeError(
                "Only instances of `keras.Layer` can be added to a Sequential model. Received: "
                f"{layer!r:.80} (of type {type(layer)})"
            )
        if isinstance(layer, InputLayer):
            self._take_input(layer.batch_shape)
            return
        if any(layer.name == other.name and layer is not other for other in self._stack):
            raise ValueError(
                "All layers added to a Sequential model should have unique names. Name "
                f"'{layer.name}' is already the name of a layer in this model. Update the `name` "
                "argument to pass a unique name."
            )
        begins = self._input
        if begins is None and not self._stack:
            begins = layer.given_shape() if isinstance(layer, Model) else layer.batch_input_shape
        shapes = []
        if begins is not None and not weights_later.get():
            shapes = [self._built_behind(layer, begins)]
        self._input = begins
        self._stack.append(layer)
        self._shapes += shapes
        self.built = bool(shapes)
        layer._place.take(layer.name, self)

    def pop(self) -> Any:
        """Removes the last layer, and returns it.

        Raises:
            ValueError: if there is none.
        """
        if not self._stack:
            raise ValueError("There are no layers in the model.")
        self._shapes = self._shapes[: len(self._stack) - 1]
        return self._stack.pop()

    def _take_input(self, shape: Shape) -> None:
        if self._input is not None or self._stack:
            raise ValueError(
                f"Sequential model '{self.name}' has already been configured to use input shape "
                f"{self._input}; an Input comes first, and once. You cannot add another."
                if self._input is not None
                else f"an Input comes first: '{self.name}' has layers already"
            )
        self._input = shape

    def _built_behind(self, layer: Any, begins: Shape) -> Any:
        """Builds a layer behind those that there are; the shape of what it puts out."""
        before = self._shapes[-1] if self._shapes else begins
        if before and isinstance(before[0], tuple):
            raise ShapeError(
                f"layer '{layer.name}' comes after one with {len(before)} outputs; in a "
                "Sequential model each layer has one output: return_state=True has no place here"
            )
        layer._check_shape(before)
        if not layer.built:
            layer.build(before)
            layer.built = True
        return layer.compute_output_shape(before)

    def build(self, input_shape: Any = None) -> None:
        if self._shapes and len(self._shapes) == len(self._stack):
            return
        begins = self._input or (None if input_shape is None else outline_of(input_shape))
        if begins is None:
            raise ShapeError(
                f"Sequential model '{self.name}' has no input shape yet: give build(input_shape), "
                "or an Input as first layer"
            )
        shapes: list[Any] = []
        for layer in self._stack:
            self._shapes = shapes
            shapes = [*shapes, self._built_behind(layer, begins)]
        self._shapes, self._input = shapes, begins
        self._built_shape = begins

    def layer_shapes(self) -> list[Any]:
        return [*self._shapes, *[None] * (len(self._stack) - len(self._shapes))]

    def given_shape(self) -> Any:
        return self._input

    def _make_weights(self, shape: Any) -> None:
        if any(getattr(layer, "stateful", False) for layer in self._stack):
            self.build(shape)
        else:
            self.build((None, *shape[1:]))
        self.built = True

    def convert_inputs(self, inputs: Any) -> Any:
        """The input as a Tensor, with a last axis of size 1 more or less if the shape says so."""
        x, own = super().convert_inputs(inputs), self._input
        if own is None or not isinstance(x, Tensor):
            return x
        if x.ndim == len(own) + 1 and x.shape[-1] == 1:
            return with_mask(squeeze(x, -1), mask_of(x))
        if x.ndim == len(own) - 1 and own[-1] == 1:
            return with_mask(expand_dims(x, -1), mask_of(x))
        return x

    def _check_shape(self, shape: Shape) -> None:
        """Only the number of axes: each layer checks what it can't read."""
        if self._input is not None and len(self._input) != len(shape):
            raise ShapeError(
                f"Input 0 of layer '{self.name}' is incompatible with the layer: expected shape="
                f"{self._input}, found shape={shape}"
            )

    def call(self, inputs: Any, mask: Any = None) -> Any:
        x = with_mask(inputs, mask) if mask is not None else inputs
        for layer in self._stack:
            x = layer(x)
        return x

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = outline_of(input_shape)
        for layer in self._stack:
            shape = layer.compute_output_shape(shape)
        return shape

    @property
    def input_shape(self) -> Any:
        """With the batch; None for axes of any size.

        Raises:
            AttributeError: if it isn't known yet.
        """
        if self._input is None:
            raise AttributeError(f"Sequential model '{self.name}' has no defined input shape yet.")
        return self._input

    @property
    def output_shape(self) -> Any:
        """With the batch; None for axes of any size.

        Raises:
            AttributeError: if it isn't known yet.
        """
        if not self._shapes:
            raise AttributeError(f"Sequential model '{self.name}' has no defined outputs yet.")
        return self._shapes[-1]

    # Configuration

    def get_config(self) -> dict[str, Any]:
        """The layers' configurations, and the shape of the input as far as it is known."""
        return {
            "name": self.name,
            "trainable": self.trainable,
            "layers": [object_config(layer) for layer in self._stack],
            "build_input_shape": None if self._input is None else list(self._input),
        }

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Any:
        """A model made from what `get_config` gave; its weights are new.

        Raises:
            ValueError: for layers that aren't known.
        """
        model = cls(name=config.get("name"), trainable=config.get("trainable", True))
        begins = config.get("build_input_shape")
        if begins is not None:
            model._take_input(outline_of(begins))
        made: dict[str, Any] = {}
        for each in config["layers"]:
            layer = object_from(each, custom_objects) if isinstance(each, Mapping) else each
            # the same name is the same layer once more
            model.add(made.setdefault(layer.name, layer) if isinstance(layer, Layer) else layer)
        return model
