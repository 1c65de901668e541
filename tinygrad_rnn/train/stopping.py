"""When to stop: nothing becomes better any more, or somebody presses Ctrl-C."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..module import Module


class Best:
    """The best parameters so far, by a value that should be small, and how long ago that was.

    Args:
        patience: after how many values without a new best to stop; None for never.

    >>> import tinygrad_rnn as tg
    >>> best, layer = Best(patience=2), tg.nn.Linear(1, 1)
    >>> for value in (3.0, 2.0, 2.5, 2.0):
    ...     best.note(value, layer)
    >>> best.at, best.exhausted
    (1, True)
    """

    def __init__(self, patience: int | None) -> None:
        self.patience = patience
        self.value = math.inf
        self.at: int | None = None  # which value it was
        self.noted = 0
        self.parameters: dict[str, np.ndarray] = {}

    def note(self, value: float, model: Module) -> None:
        """Takes in a value; of a new best, keeps the parameters. NaN is never the best."""
        if value < self.value:
            self.value, self.at, self.parameters = value, self.noted, model.state_dict()
        self.noted += 1

    @property
    def exhausted(self) -> bool:
        """Whether patience is at an end."""
        since = self.noted - (-1 if self.at is None else self.at) - 1
        return self.patience is not None and since >= self.patience

    def state_dict(self) -> dict[str, Any]:
        """What has been noted; patience is for each run to say."""
        names = ("value", "at", "noted", "parameters")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes what `state_dict` has given."""
        for name, value in state_dict.items():
            setattr(self, name, value)


@contextmanager
def interruptions() -> Iterator[list[int]]:
    """Inside, Ctrl-C fills the list instead of stopping Python; pressed again, it does stop it.

    Only the main thread may listen to signals; in others the list stays empty. So it does where
    Ctrl-C is ignored, as in a process that a shell runs in the background.
    """
    pressed: list[int] = []
    before: Any = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield pressed
        return

    def handler(number: int, frame: Any) -> None:
        pressed.append(number)
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, handler)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)
