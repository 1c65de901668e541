"""The weights of a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...core.errors import ShapeError
from ...module import Module, Parameter
from ...tensor import asarray
from .. import constraints, initializers, regularizers
from ..naming import next_name
from ..variable import Variable
from .shapes import outline_of


class Weights(Module):
    """A layer as far as it has weights."""

    name: str
    built: bool
    _dtype: str
    _trainable: bool

    def add_weight(
        self,
        shape: Sequence[int] | int | None = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        name: str | None = None,
    ) -> Variable:
        """Makes a weight; assign it to an attribute.

        Args:
            shape: of the weight; () by default.
            initializer: "glorot_uniform" by default (zeros for a weight that isn't of floats).
            dtype: that of the layer by default.
            trainable: whether it is learnt.
            regularizer, constraint: names or functions.
            name: "variable" and a number by default.

        Raises:
            ValueError: if the shape isn't known, or `initializer` gives another one.
        """
        sizes = () if shape is None else outline_of((shape,) if np.ndim(shape) == 0 else shape)
        if None in sizes:
            raise ShapeError(
                f"the weight {name!r} of layer '{self.name}' needs a shape that is known. "
                f"Received: shape={sizes}. The size of the input's last axis must be known before "
                "weights are made"
            )
        kind = np.dtype(self._dtype if dtype is None else dtype)
        made = initializers.get(initializer or ("glorot_uniform" if kind.kind == "f" else "zeros"))
        values = np.asarray(asarray(made(sizes, dtype=kind.name)))
        if values.shape != sizes:
            raise ShapeError(
                f"the initializer of the weight {name!r} of layer '{self.name}' must give an array "
                f"of shape {sizes}. Received: shape={values.shape}"
            )
        weight = Variable(
            values,
            name=name or next_name("Variable"),
            trainable=trainable,
            regularizer=regularizers.get(regularizer),
            constraint=constraints.get(constraint),
            dtype=kind,
        )
        weight.trainable = trainable and self._trainable
        return weight

    @property
    def weights(self) -> list[Variable]:
        """All weights; of each layer inside, those that were made to be learnt come first."""
        found: dict[int, Any] = {}
        for module in self.modules():
            own = [member for _, member in module._own() if isinstance(member, Parameter)]
            for weight in sorted(own, key=lambda w: not _learnable(w)):
                found.setdefault(id(weight), weight)
        return list(found.values())

    @property
    def variables(self) -> list[Variable]:
        """The same as `weights`."""
        return self.weights

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that are learnt."""
        return [w for w in self.weights if w.requires_grad]

    @property
    def trainable_variables(self) -> list[Variable]:
        """The same as `trainable_weights`."""
        return self.trainable_weights

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights that aren't learnt."""
        return [w for w in self.weights if not w.requires_grad]

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The same as `non_trainable_weights`."""
        return self.non_trainable_weights

    @property
    def trainable(self) -> bool:
        """Whether the weights are learnt; setting it does so for all layers inside.

        Weights that were made with ``trainable=False`` stay as they are.
        """
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        for module in self.modules():
            if module is not self and isinstance(module, Weights):
                module._trainable = self._trainable
        for weight in self.weights:
            if _learnable(weight):
                weight.requires_grad = self._trainable

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the weights' values, in Keras' order and layout."""
        return [w.data.copy() for w in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Takes values in the order and shapes of `get_weights`.

        Raises:
            ValueError: if their number or a shape is another one, or one doesn't hold numbers;
                then nothing is changed.
        """
        own = self.weights
        if not isinstance(weights, (list, tuple)):
            raise ValueError(
                f"`set_weights` of layer '{self.name}' takes a list of arrays, one for each "
                f"weight. Received: {type(weights).__name__}"
            )
        if len(weights) != len(own):
            hint = "" if self.built else " The layer isn't built: call it, or `build`, first."
            raise ShapeError(
                f"You called `set_weights(weights)` on layer '{self.name}' with a weight list of "
                f"length {len(weights)}, but the layer was expecting {len(own)} weights.{hint}"
            )
        values = [np.asarray(getattr(value, "data", value)) for value in weights]
        for weight, value in zip(own, values, strict=True):
            if value.shape != weight.shape:
                raise ShapeError(
                    f"Layer {self.name} weight shape {weight.shape} is not compatible with "
                    f"provided weight shape {value.shape} ({weight.path})."
                )
            if value.dtype.kind not in "biuf":
                raise ValueError(
                    f"Layer {self.name} weight {weight.path} takes real numbers. Received: "
                    f"dtype={value.dtype}"
                )
        for weight, value in zip(own, values, strict=True):
            weight.assign(value)

    def count_params(self) -> int:
        """How many numbers the weights have.

        Raises:
            ValueError: if the layer isn't built.
        """
        if not self.built:
            raise ValueError(
                f"You tried to call `count_params` on layer '{self.name}', but the layer isn't "
                "built. You can build it manually via: `layer.build(input_shape)`."
            )
        return sum(w.size for w in self.weights)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the weights and the computation."""
        return np.dtype(self._dtype)

    @property
    def compute_dtype(self) -> str:
        """The dtype's name."""
        return self._dtype

    variable_dtype = compute_dtype


def _learnable(weight: Any) -> bool:
    """Whether a weight was made to be learnt."""
    return bool(getattr(weight, "learnable", True))
