"""Keras' optimizers and schedules of learning rates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import schedules
from .kinds import SGD, Adadelta, Adagrad, Adam, AdamW, RMSprop
from .named import class_named, made, written
from .optimizer import Optimizer

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSprop",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]

_KNOWN: dict[str, type] = {
    kind.__name__: kind for kind in (SGD, RMSprop, Adam, AdamW, Adagrad, Adadelta)
}


def get(identifier: Any) -> Optimizer | None:
    """An optimizer by its name, its configuration, or itself; None for None.

    Raises:
        ValueError: for anything else, naming the nearest known one.

    >>> from tinygrad_rnn.keras import optimizers
    >>> optimizers.get("rmsprop").learning_rate
    0.001
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    if isinstance(identifier, str):
        found: Optimizer = class_named(identifier, _KNOWN, None, "optimizer")()
        return found
    raise ValueError(
        "Could not interpret optimizer identifier. Expected a name, a configuration or an "
        f"Optimizer (made, not its class). Received: {identifier!r:.80}"
    )


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """What `deserialize` makes the same optimizer of, without what it keeps; JSON can hold it.

    >>> from tinygrad_rnn.keras import optimizers
    >>> optimizers.serialize(optimizers.Adam(0.01))["config"]["learning_rate"]
    0.01
    """
    return written(optimizer, _KNOWN, "keras.optimizers")


def deserialize(
    config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> Optimizer:
    """The optimizer that `serialize` was called with.

    Args:
        config: with "class_name" and "config".
        custom_objects: name -> class, of optimizers of one's own.

    Raises:
        ValueError: for a class that isn't known, or another form of config.
    """
    optimizer: Optimizer = made(config, _KNOWN, custom_objects, "optimizer")
    return optimizer
