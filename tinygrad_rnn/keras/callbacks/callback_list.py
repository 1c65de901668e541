"""Several callbacks as one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from .callback import EVENTS, Callback
from .history import History
from .progress import ProgbarLogger


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
