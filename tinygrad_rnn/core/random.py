"""The default random generator, what `rng=` accepts, and drawing the same numbers again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

_default = np.random.default_rng()


class Draws:
    """Which generator was the default one, and in what state each was when it was first used."""

    __slots__ = ("default", "states")

    def __init__(self, default: np.random.Generator) -> None:
        self.default = default
        self.states: dict[Any, Any] = {}  # by bit generator

    def note(self, rng: np.random.Generator) -> None:
        """Remembers the state of `rng`, unless it is known from an earlier use."""
        if rng.bit_generator not in self.states:
            self.states[rng.bit_generator] = rng.bit_generator.state


# Those that are taking notes, and the default generator of a replay. As the switches of `context`,
# they are local to a thread or task.
_noting: ContextVar[tuple[Draws, ...]] = ContextVar("tinygrad_rnn.noting", default=())
_replayed: ContextVar[np.random.Generator | None] = ContextVar(
    "tinygrad_rnn.replayed", default=None
)


def manual_seed(seed: int) -> np.random.Generator:
    """Seeds the default generator, from which initial weights and dropout masks are drawn.

    Args:
        seed: a non-negative integer.

    Returns:
        The default generator.

    >>> import tinygrad_rnn as tg
    >>> _ = tg.manual_seed(7)
    >>> a = tg.nn.Linear(2, 3).weight.numpy()
    >>> _ = tg.manual_seed(7)
    >>> bool((tg.nn.Linear(2, 3).weight.numpy() == a).all())
    True
    """
    global _default
    made = np.random.default_rng(seed)
    if _replayed.get() is None:
        _default = made
    else:
        _replayed.set(made)  # until the replay ends
    return made


def generator(rng: np.random.Generator | int | None = None) -> np.random.Generator:
    """`rng` itself, a new generator with that seed, or the default one."""
    if rng is None:
        rng = _current_default()
    elif not isinstance(rng, np.random.Generator):
        return np.random.default_rng(rng)
    for draws in _noting.get():
        draws.note(rng)
    return rng


@contextmanager
def noted(*given: np.random.Generator) -> Iterator[Draws]:
    """Notes the states of the generators `given`, and of all that are handed out inside."""
    draws = Draws(_current_default())
    token = _noting.set((*_noting.get(), draws))
    try:
        for rng in given:
            generator(rng)
        yield draws
    finally:
        _noting.reset(token)


@contextmanager
def replayed(draws: Draws) -> Iterator[None]:
    """Inside, generators give the numbers that `draws` has noted; afterwards they go on as before.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> with noted() as draws:
    ...     a = generator(rng).random()
    >>> with replayed(draws):
    ...     b = generator(rng).random()
    >>> a == b, rng.random() == a
    (True, False)
    """
    present = {bits: bits.state for bits in draws.states}
    noting, default = _noting.set(()), _replayed.set(draws.default)
    try:
        for bits, state in draws.states.items():
            bits.state = state
        yield
    finally:
        for bits, state in present.items():
            bits.state = state
        _replayed.reset(default)
        _noting.reset(noting)


def _current_default() -> np.random.Generator:
    local = _replayed.get()
    return _default if local is None else local
