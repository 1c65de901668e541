"""Which call is running, and whether it is one of a training."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple


class Running(NamedTuple):
    """The outermost call that is running.

    Attributes:
        training: its phase.
        number: tells it from those before it, which have smaller ones.
    """

    training: bool
    number: int


running: ContextVar[Running | None] = ContextVar("tinygrad_rnn.keras.running", default=None)
next_number = itertools.count(1).__next__


@contextmanager
def in_phase(training: bool, number: int) -> Iterator[None]:
    """Inside, the outermost call has this number, and layers that aren't told otherwise are in
    training, or aren't."""
    token = running.set(Running(training, number))
    try:
        yield
    finally:
        running.reset(token)
