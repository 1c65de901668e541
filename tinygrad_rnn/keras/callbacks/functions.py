"""Functions as a callback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...core.errors import did_you_mean
from .callback import EVENTS, Callback


class LambdaCallback(Callback):
    """Calls functions: ``LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs))``.

    Args:
        functions: by the name of the event, with the arguments of `Callback`'s method.

    Raises:
        TypeError: for a name that is no event, or what can't be called.

    >>> from tinygrad_rnn import keras
    >>> keras.callbacks.LambdaCallback(on_epoch_ends=print)
    Traceback (most recent call last):
        ...
    TypeError: LambdaCallback has no event 'on_epoch_ends'. Did you mean 'on_epoch_end' or ...?
    """

    def __init__(self, **functions: Callable[..., Any] | None) -> None:
        for name, function in functions.items():
            if name not in EVENTS:
                raise TypeError(
                    f"LambdaCallback has no event {name!r}.{did_you_mean(name, EVENTS)}"
                )
            if function is not None and not callable(function):
                raise TypeError(f"{name} is a function. Received: {function!r:.60}")
        for name, function in functions.items():
            if function is not None:
                setattr(self, name, function)
