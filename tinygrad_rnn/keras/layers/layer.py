"""What all layers have in common: weights made when the input's shape is known, masks, calls."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np

from ...core.errors import DtypeError, ShapeError
from ...module import Module, Parameter, accepted_arguments
from ...tensor import Tensor, as_tensor, asarray
from .. import constraints, initializers, regularizers
from ..config import float_name
from ..configs import keep_class, to_config
from ..masks import flat, mask_of, with_mask
from ..naming import next_name
from ..variable import Variable
from .shapes import Shape, first_layer_shape, outline_of, shape_of, traced_shape


class _Running(NamedTuple):
    """The outermost call that is running: its phase, and the layers that added a penalty."""

    training: bool
    penalised: list[Any]


_running: ContextVar[_Running | None] = ContextVar("tinygrad_rnn.keras.running", default=None)


class Layer(Module):
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

    training = False
    supports_masking = False
    ndim: int | None = None  # of the input
    min_ndim: int | None = None
    _unlisted = Module._unlisted | {"_penalised", "_penalties", "built", "name", "training"}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        keep_class(cls)
        if "compute_mask" in vars(cls):
            cls._makes_masks = True
        if "build" in vars(cls):
            cls.build = _noting_the_shape(vars(cls)["build"])  # type: ignore[method-assign]

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
        self._penalties: list[Any] = []
        self._penalised: list[Any] = []
        self._initial = weights
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.batch_input_shape = first_layer_shape(
            type(self).__name__, input_shape, batch_input_shape or batch_shape, input_length,
            input_dim,
        )  # fmt: skip

    # What a subclass defines

    def build(self, input_shape: Any) -> None:
        """Makes the weights, for inputs of a shape (with None where any size will do)."""

    def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """What the layer computes."""
        raise NotImplementedError(f"Layer {type(self).__name__} does not have a `call()` method")

    def compute_mask(self, inputs: Any, mask: Any) -> Any:
        """The mask of the output."""
        return mask if self.supports_masking else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The output's shape for an input's, None for axes of any size; found by trials."""
        if not self.built:
            self._make_weights(input_shape)
        with in_phase(False, self._penalised):
            shape = traced_shape(self, input_shape)
        if _running.get() is None:
            self._forget_penalties()
        return shape

    # Weights

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
            if module is not self and isinstance(module, Layer):
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
    def losses(self) -> list[Any]:
        """The penalties on weights and outputs, for this layer and those inside."""
        penalties = [w.regularizer(w) for w in self.trainable_weights if w.regularizer is not None]
        for module in self.modules():
            penalties += getattr(module, "_penalties", [])
        return penalties

    def add_loss(self, loss: Any) -> None:
        """Adds a penalty of the call that is running."""
        self._penalties.append(loss)
        running = _running.get()
        (self._penalised if running is None else running.penalised).append(self)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the weights and the computation."""
        return np.dtype(self._dtype)

    @property
    def compute_dtype(self) -> str:
        """The dtype's name."""
        return self._dtype

    variable_dtype = compute_dtype

    # Calls

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        inputs = self._converted(inputs)
        self._prepare(inputs)
        places, takes_mask, takes_training = _call_arguments(type(self))
        if len(args) > len(places):
            raise TypeError(f"{type(self).__name__} {self.name!r} takes {places} after its inputs")
        kwargs.update(zip(places, args, strict=False))
        mask = kwargs.get("mask")
        if mask is None:
            mask = mask_of(inputs)
            if not isinstance(inputs, list):
                mask = flat(mask)
            if mask is not None and takes_mask:
                kwargs["mask"] = mask
        elif isinstance(inputs, Tensor):
            mask = kwargs["mask"] = np.asarray(getattr(mask, "data", mask), dtype=bool)
        given = kwargs.pop("training", None)
        running = _running.get()
        if given is None:
            given = self.training if running is None else running.training
        given = bool(given)
        if takes_training:
            kwargs["training"] = given
        if running is None:
            self._forget_penalties()
        if running is not None and running.training is given:
            result = super().__call__(inputs, **kwargs)
        else:
            with in_phase(given, self._penalised):
                result = super().__call__(inputs, **kwargs)
        if mask is not None or self._makes_masks:
            self._note_mask(inputs, result, mask)
        if self.activity_regularizer is not None:
            parts = result if isinstance(result, (list, tuple)) else (result,)
            for part in parts:
                penalty = self.activity_regularizer(part)
                self.add_loss(penalty / max(len(part), 1) if part.ndim else penalty)
        return result

    def _forget_penalties(self) -> None:
        """Forgets those of the call before, of this layer and of those that it called."""
        for layer in (self, *self._penalised):
            layer._penalties.clear()
        self._penalised.clear()

    def _note_mask(self, inputs: Any, result: Any, mask: Any) -> None:
        if self._notes_masks:
            return
        if self.supports_masking or self._makes_masks:
            computed = self.compute_mask(inputs, mask)
            if computed is not None:
                with_mask(result, computed)
            return
        warnings.warn(
            f"Layer '{self.name}' (of type {type(self).__name__}) was passed an input with a mask "
            "attached to it. However, this layer does not support masking and will therefore "
            "destroy the mask information. Downstream layers will not see the mask.",
            stacklevel=3,
        )

    _makes_masks = False  # whether the output may have a mask if the input has none
    _notes_masks = False  # whether `call` itself notes the masks of what it returns

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.call(*args, **kwargs)

    def _converted(self, inputs: Any) -> Any:
        """The inputs as Tensors; those of floats in the layer's dtype."""
        if isinstance(inputs, Tensor):
            if inputs.dtype == self._dtype or inputs.dtype.kind != "f":
                return inputs
            return with_mask(inputs.astype(self._dtype), mask_of(inputs))
        if isinstance(inputs, Layer):
            raise TypeError(
                f"layer {self.name!r} was called on {type(inputs).__name__} {inputs.name!r}: the "
                "functional API isn't here. Use Sequential([Input(...), ...]), or call layers on "
                "arrays"
            )
        if isinstance(inputs, (list, tuple)):
            if any(isinstance(each, (Tensor, np.ndarray)) for each in inputs):
                return (tuple if isinstance(inputs, tuple) else list)(map(self._converted, inputs))
        elif inputs is None or isinstance(inputs, (str, dict, set)):
            raise DtypeError(
                f"Inputs to a layer should be arrays or Tensors. Received: {inputs!r:.60} (of type "
                f"{type(inputs).__name__}) as input for layer '{self.name}'."
            )
        tensor = as_tensor(asarray(inputs))
        return tensor.astype(self._dtype) if tensor.dtype.kind == "f" else tensor

    def floats(self, x: Any) -> Any:
        """`x` in the layer's dtype, if it holds integers."""
        return x if x.dtype == self._dtype else x.astype(self._dtype)

    def _prepare(self, inputs: Any) -> None:
        """Checks the input's shape, and makes the weights if this is the first call."""
        shape = shape_of(inputs)
        if isinstance(inputs, Tensor):
            self._check_shape(shape)
        elif self.ndim is not None or self.min_ndim is not None:
            raise ShapeError(
                f'Layer "{self.name}" expects 1 input(s), but it received {len(inputs)} input '
                "tensors. Samples that stand in a list are made one array by np.stack. Received: "
                f"shapes {shape}"
            )
        if not self.built:
            self._make_weights(shape)

    def _make_weights(self, shape: Any) -> None:
        self.build(shape)
        self.built = True

    def _check_shape(self, shape: Shape) -> None:
        """Raises ValueError for an input that doesn't fit."""
        need = None
        if self.ndim is not None and len(shape) != self.ndim:
            need = f"expected ndim={self.ndim}, found ndim={len(shape)}"
        elif self.min_ndim is not None and len(shape) < self.min_ndim:
            need = f"expected min_ndim={self.min_ndim}, found ndim={len(shape)}"
        elif self._last_axis is not None and shape[-1] not in (self._last_axis, None):
            need = (
                f"expected axis -1 of input shape to have value {self._last_axis}, but received "
                f"input with shape {shape}"
            )
        if need is not None:
            raise ShapeError(
                f"Input 0 of layer '{self.name}' is incompatible with the layer: {need}. "
                f"Full shape received: {shape}"
            )

    # Configuration

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
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A layer made from what `get_config` gave; its weights are new.

        Options of Keras' that aren't here are left out where they are None or False.
        """
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


@contextmanager
def in_phase(training: bool, penalised: list[Any] | None = None) -> Iterator[None]:
    """Inside, layers that aren't told otherwise are in training, or aren't.

    Args:
        penalised: where layers that add a penalty are noted, if no call is running yet.
    """
    running = _running.get()
    if running is not None:
        penalised = running.penalised
    token = _running.set(_Running(training, [] if penalised is None else penalised))
    try:
        yield
    finally:
        _running.reset(token)


def _learnable(weight: Any) -> bool:
    """Whether a weight was made to be learnt."""
    return bool(getattr(weight, "learnable", True))


@functools.cache
def _call_arguments(kind: type[Layer]) -> tuple[list[str], bool, bool]:
    """The names of what `call` takes after the inputs; whether mask and training are among them."""
    parameters = list(inspect.signature(kind.call).parameters.values())[2:]
    names = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    keywords = {p.name for p in parameters if p.kind is not p.VAR_POSITIONAL}
    return names, "mask" in keywords, "training" in keywords


def _noting_the_shape(build: Callable[..., None]) -> Callable[..., None]:
    """A layer's `build`, then it is built and has its initial weights; or nothing is changed."""
    places = list(inspect.signature(build).parameters.values())[1:]
    optional = bool(places) and places[0].default is None

    @functools.wraps(build)
    def noting(self: Layer, input_shape: Any = None, *args: Any, **kwargs: Any) -> None:
        if self.built:
            return
        if input_shape is not None or not optional:
            input_shape = outline_of(input_shape)
            if input_shape and not isinstance(input_shape[0], tuple):
                self._check_shape(input_shape)
        before = dict(vars(self))
        try:
            build(self, input_shape, *args, **kwargs)
            self.built = True
            if self._initial is not None:
                self.set_weights(self._initial)
                self._initial = None
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return noting
