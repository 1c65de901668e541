"""The shapes of what layers inside a model were seen to put out."""

from __future__ import annotations

from typing import Any

from ...core.context import no_grad
from ...module import looking_on
from ...restoring import undisturbed
from ...train.evaluation import mode
from ..layers.layer import Layer
from ..layers.shapes import common_shape, shape_of, zeros_of


def note_shape(called: Any, args: Any, result: Any) -> None:
    """Notes what a layer puts out: for `looking_on`."""
    if isinstance(called, Layer):
        vars(called)["_seen_shape"] = shape_of(result)


def seen_shape(layer: Any) -> Any:
    """What was noted last; None before."""
    return vars(layer).get("_seen_shape")


def shapes_by_calls(model: Any, shape: Any) -> None:
    """Notes the shapes for inputs of a shape, by two calls with different sizes for None.

    Layers inside that aren't built are built by it; nothing else stays.
    """
    with mode(model, training=False), no_grad():
        model(zeros_of(shape, 2))
        model.reset_states()
        first = _all_seen(model)
        with undisturbed(model, recording=False), looking_on(note_shape):
            model(zeros_of(shape, 3))
            second = _all_seen(model)
    for layer in model.modules():
        if id(layer) in first:
            vars(layer)["_seen_shape"] = common_shape(first[id(layer)], second[id(layer)])


def _all_seen(model: Any) -> dict[int, Any]:
    every = ((id(layer), seen_shape(layer)) for layer in model.modules())
    return {key: shape for key, shape in every if shape is not None}
