"""Shapes of inputs and outputs, None where any size will do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...core.context import no_grad
from ...core.errors import ShapeError
from ...restoring import undisturbed

Shape = tuple[int | None, ...]


def shape_of(value: Any) -> Any:
    """The shape of an array; of several, a tuple of theirs."""
    if isinstance(value, (list, tuple)):
        return tuple(map(shape_of, value))
    return value.shape


def outline_of(shape: Any) -> Any:
    """A shape, or several, as tuples of integers and None.

    Raises:
        ValueError: if it is something else.
    """
    if shape is None or isinstance(shape, (str, bytes)) or not np.iterable(shape):
        raise ShapeError(f"expected a shape such as (None, 10, 5). Received: {shape!r}")
    return tuple(
        outline_of(size) if isinstance(size, (list, tuple)) else _size(size, shape)
        for size in shape
    )


def _size(size: Any, shape: Any) -> int | None:
    if size is None:
        return None
    whole = isinstance(size, (int, np.integer)) and not isinstance(size, bool)
    if not whole or size < 0:
        raise ShapeError(f"a shape has sizes that are integers or None. Received: {shape!r}")
    return int(size)


def first_layer_shape(
    kind: str,
    input_shape: Sequence[int | None] | None,
    batch_input_shape: Sequence[int | None] | None,
    input_length: int | None,
    input_dim: int | None,
) -> Shape | None:
    """The shape (batch, …) that older spellings give to the first layer of a model, if they do."""
    if batch_input_shape is not None:
        return tuple(outline_of(batch_input_shape))
    if input_shape is not None:
        sizes = input_shape if np.iterable(input_shape) else (input_shape,)
        return (None, *outline_of(sizes))
    if input_dim is None:
        if input_length is not None:
            raise ShapeError(f"{kind}: input_length={input_length} needs input_dim too")
        return None
    if input_length is None and kind not in RECURRENT:
        return (None, *outline_of((input_dim,)))
    return (None, *outline_of((input_length, input_dim)))


RECURRENT = ("Bidirectional", "GRU", "LSTM", "RNN", "SimpleRNN", "TimeDistributed")


def traced_shape(layer: Any, input_shape: Any) -> Any:
    """The output's shape, as two trials with different sizes for None show it.

    Layers inside that aren't built are built by it; nothing else stays.
    """
    shape = outline_of(input_shape)
    if not all(getattr(each, "built", True) for each in layer.modules()):
        with no_grad():
            _trial(layer, shape, 2)
        for each in layer.modules():
            if hasattr(each, "reset_state"):
                each.reset_state()
    with undisturbed(layer, recording=False):
        return common_shape(_trial(layer, shape, 2), _trial(layer, shape, 3))


def _trial(layer: Any, shape: Any, size: int) -> Any:
    return shape_of(layer.call(layer.convert_inputs(zeros_of(shape, size))))


def zeros_of(shape: Any, size: int) -> Any:
    """An array, or several; with a size for None."""
    if shape and isinstance(shape[0], tuple):
        return [zeros_of(each, size) for each in shape]
    return np.zeros([size if axis is None else axis for axis in shape])


def common_shape(one: Any, other: Any) -> Any:
    """A shape, or several, with None where two differ."""
    if one and isinstance(one[0], tuple):
        return tuple(map(common_shape, one, other))
    return tuple(a if a == b else None for a, b in zip(one, other, strict=True))
