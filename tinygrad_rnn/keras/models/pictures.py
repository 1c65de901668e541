"""Pictures of Keras models, and the look inside."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ...core.errors import ShapeError
from ...core.random import generator
from ...drawing import draw, graph
from ...restoring import undisturbed
from ...rnn.tracing import Trace, trace
from ..layers.embedding import Embedding
from ..layers.shapes import Shape

_SIZES = (1, 4)  # of a batch and of the steps, where any will do
_FEATURES = 3


def drawn(
    model: Any, path: str | os.PathLike[str] | None, view: str | None, x: Any, **options: Any
) -> Any:
    """See `Model.draw`."""
    data = made_up(model) if x is None else x
    if not model.built:
        model(data)
    with undisturbed(model, recording=True):
        output = model(data)
    if path is None:
        return graph(output, record=options.pop("record", None)).seen(view, **options)
    return draw(output, path, view, **options)


def traced(model: Any, x: Any, **options: Any) -> Trace:
    """See `Model.trace`."""
    if not model.built:
        model(x)
    return trace(model, x, **options)


def made_up(model: Any) -> Any:
    """Data that a model can read: whole numbers for an Embedding, else numbers around 0.

    Raises:
        ValueError: if nobody knows what it reads.
    """
    shape = model.given_shape()
    if shape is None:
        raise ShapeError(
            f"the input shape of '{model.name}' isn't known yet, so that no data can be made up "
            "for a picture: give x, as in model.draw('model.svg', x=x), or build the model first"
        )
    if shape and isinstance(shape[0], tuple):
        return tuple(_array(each, None) for each in shape)
    return _array(shape, _first(model))


def _array(shape: Shape, reader: Any) -> np.ndarray:
    usual = (*_SIZES, *[_FEATURES] * len(shape))
    sizes = [usual[k] if size is None else size for k, size in enumerate(shape)]
    rng = generator(0)
    if isinstance(reader, Embedding):
        return rng.integers(0, reader.input_dim, sizes)
    return rng.normal(size=sizes)


def _first(model: Any) -> Any:
    """The layer that reads the input, if that is known."""
    layer = model
    while getattr(layer, "layers", None):
        layer = layer.layers[0]
    return layer
