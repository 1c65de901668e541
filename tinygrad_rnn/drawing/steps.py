"""Which scope names are time steps: those of the form ``t=<number>``."""

from __future__ import annotations

from ..core.context import step_number


def innermost_step(path: tuple[str, ...]) -> tuple[str, ...]:
    """The path down to its innermost time step; empty without one.

    >>> innermost_step(("lstm", "l0", "t=3", "attention"))
    ('lstm', 'l0', 't=3')
    """
    for length in range(len(path), 0, -1):
        if step_number(path[length - 1]) is not None:
            return path[:length]
    return ()


def outside_steps(path: tuple[str, ...]) -> tuple[str, ...]:
    """The path up to its outermost time step.

    >>> outside_steps(("lstm", "l0", "t=3"))
    ('lstm', 'l0')
    """
    for length, name in enumerate(path):
        if step_number(name) is not None:
            return path[:length]
    return path


def outermost_step(path: tuple[str, ...]) -> tuple[str, ...]:
    """The path down to its outermost time step; empty without one.

    >>> outermost_step(("t=3", "lstm", "t=0", "attention"))
    ('t=3',)
    """
    length = len(outside_steps(path))
    return path[: length + 1] if length < len(path) else ()
