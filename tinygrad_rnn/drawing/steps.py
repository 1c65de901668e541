"""Which scope names are time steps: those of the form ``t=<number>``."""

from __future__ import annotations

import re

_STEP = re.compile(r"t=(-?\d+)")


def step_number(name: str) -> int | None:
    """The number of a time step, or None for any other scope.

    >>> step_number("t=12"), step_number("l0")
    (12, None)
    """
    match = _STEP.fullmatch(name)
    return int(match[1]) if match else None


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
