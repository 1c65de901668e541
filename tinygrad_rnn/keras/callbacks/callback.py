"""What every callback has, and several of them as one."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from ..layers.arguments import one_of

Logs: TypeAlias = Mapping[str, float] | None


class Callback:
    """Is told of a training, an evaluation or a prediction; a subclass defines what it hears.

    Attributes:
        model: which model it is; ``model.stop_training = True`` ends the training.
        params: "epochs", "steps" and "verbose".

    >>> from tinygrad_rnn import keras
    >>> class Losses(keras.callbacks.Callback):
    ...     def on_train_begin(self, logs=None):
    ...         self.losses = []
    ...     def on_train_batch_end(self, batch, logs=None):
    ...         self.losses.append(logs["loss"])
    """

    model: Any = None
    params: dict[str, Any] = {}  # noqa: RUF012

    def set_model(self, model: Any) -> None:
        """Says which model it is."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Says how the training is done."""
        self.params = params

    def on_train_begin(self, logs: Logs = None) -> None:
        """Before a training."""

    def on_train_end(self, logs: Logs = None) -> None:
        """After it, with the values of the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Before an epoch; the first has the number 0."""

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """After it and its validation, with the values for the history."""

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before an update; the first of an epoch has the number 0."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After it, with the means in this epoch so far."""
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """The older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """The older name of `on_train_batch_end`."""

    def on_test_begin(self, logs: Logs = None) -> None:
        """Before an evaluation or validation."""

    def on_test_end(self, logs: Logs = None) -> None:
        """After it, with the values found."""

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a batch of it."""

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a batch of it, with the means so far."""

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Before a prediction."""

    def on_predict_end(self, logs: Logs = None) -> None:
        """After it."""

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a batch of it."""

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a batch of it; logs["outputs"] is what came out."""


EVENTS = tuple(name for name in vars(Callback) if name.startswith("on_"))


class CallbackList(Callback):
    """Several callbacks as one, in the order given; a history and what prints come last.

    Args:
        callbacks: one, or a list of them (which may hold lists).
        add_history, add_progbar: whether a `History` and a `ProgbarLogger` are added, if missing.
        model: which model they are told of.
        params: "verbose", "epochs" and "steps".

    Raises:
        TypeError: for what is no Callback.
    """

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ) -> None:
        from .history import History
        from .progress import ProgbarLogger

        self.callbacks = _flat(callbacks)
        self.history = self._first(History, add_history)
        self._first(ProgbarLogger, add_progbar)
        self.set_params(params)
        if model is not None:
            self.set_model(model)

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        if self.history is not None:
            model.history = self.history
        for each in self.callbacks:
            each.set_model(model)

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params
        for each in self.callbacks:
            each.set_params(params)

    def _first(self, kind: type[Callback], wanted: bool) -> Any:
        """The first of a kind; added, if there is none and one is wanted."""
        for each in self.callbacks:
            if isinstance(each, kind):
                return each
        if not wanted:
            return None
        self.callbacks.append(kind())
        return self.callbacks[-1]


def _telling(event: str) -> Callable[..., None]:
    """A method that tells all callbacks of an event."""

    def tell(self: CallbackList, *details: Any, logs: Any = None) -> None:
        place = (
            details[:1] if event.endswith(("epoch_begin", "epoch_end")) or "batch" in event else ()
        )
        given = logs if len(details) == len(place) else details[-1]
        given = {} if given is None else given
        for each in self.callbacks:
            getattr(each, event)(*place, given)

    return tell


for _event in EVENTS:
    setattr(CallbackList, _event, _telling(_event))


def _flat(callbacks: Any) -> list[Any]:
    if callbacks is None:
        return []
    if isinstance(callbacks, (list, tuple)):
        return [each for part in callbacks for each in _flat(part)]
    if not isinstance(callbacks, Callback):
        hint = " Give an object of it: add ()." if inspect.isclass(callbacks) else ""
        raise TypeError(
            "a callback is an object of a class derived from keras.callbacks.Callback. Received: "
            f"{callbacks!r:.60} (of type {type(callbacks).__name__}).{hint}"
        )
    return [callbacks]


def verbosity(verbose: Any) -> int:
    """What "auto" and the like mean: 0 silence, 1 a bar, 2 lines.

    Raises:
        ValueError: for anything else.
    """
    if isinstance(verbose, str) and verbose == "auto":
        return 1 if sys.stdout is not None and sys.stdout.isatty() else 2
    return int(one_of("verbose", verbose, ("auto", 0, 1, 2)))
