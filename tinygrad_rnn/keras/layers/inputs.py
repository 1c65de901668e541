"""What a layer reads: the conversion of inputs, and what their shape must be."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ...core.errors import DtypeError, ShapeError
from ...tensor import Tensor, as_tensor, asarray
from ..masks import mask_of, with_mask
from .shapes import Shape, outline_of, shape_of
from .weights import Weights


class Inputs(Weights):
    """A layer as far as it reads inputs."""

    ndim: int | None = None  # of the input
    min_ndim: int | None = None
    _last_axis: int | None
    _initial: Any

    def build(self, input_shape: Any) -> None:
        """Makes the weights, for inputs of a shape (with None where any size will do)."""

    def convert_inputs(self, inputs: Any) -> Any:
        """The inputs as Tensors; those of floats in the layer's dtype."""
        if isinstance(inputs, Tensor):
            return self._in_own_dtype(inputs)
        if isinstance(inputs, Inputs):
            raise TypeError(
                f"layer {self.name!r} was called on {type(inputs).__name__} {inputs.name!r}: the "
                "functional API isn't here. Use Sequential([Input(...), ...]), or call layers on "
                "arrays"
            )
        if isinstance(inputs, (list, tuple)):
            if any(isinstance(each, (Tensor, np.ndarray)) for each in inputs):
                return (tuple if isinstance(inputs, tuple) else list)(
                    map(self.convert_inputs, inputs)
                )
        elif inputs is None or isinstance(inputs, (str, dict, set)):
            raise DtypeError(
                f"Inputs to a layer should be arrays or Tensors. Received: {inputs!r:.60} (of type "
                f"{type(inputs).__name__}) as input for layer '{self.name}'."
            )
        return self._in_own_dtype(as_tensor(asarray(inputs)))

    def _in_own_dtype(self, x: Tensor) -> Tensor:
        """An input of floats in the layer's dtype, with its mask."""
        if x.dtype == self._dtype or x.dtype.kind != "f":
            return x
        return with_mask(x.astype(self._dtype), mask_of(x))

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


def noting_the_shape(build: Callable[..., None]) -> Callable[..., None]:
    """A layer's `build`, then it is built and has its initial weights; or nothing is changed."""
    places = list(inspect.signature(build).parameters.values())[1:]
    optional = bool(places) and places[0].default is None

    @functools.wraps(build)
    def noting(self: Inputs, input_shape: Any = None, *args: Any, **kwargs: Any) -> None:
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
