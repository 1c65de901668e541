"""The library's own exceptions. Each derives from the built-in one that NumPy would raise."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ShapeError(ValueError):
    """Shapes that don't fit each other, or don't fit what an operation needs."""


class DtypeError(TypeError):
    """A dtype that can't be used here, such as integers where a gradient is wanted."""


class GraphError(RuntimeError):
    """A graph used in a way it doesn't allow, such as a second backward pass over it."""


class RuleError(RuntimeError):
    """A derivative rule that returned something impossible: a defect of the rule."""


class AnomalyError(RuntimeError):
    """Under detect_anomaly: an operation made a NaN or infinity, or its arrays were changed."""


class GradientMismatch(AssertionError, RuntimeError):
    """A numeric check found a gradient that is wrong (raised by gradcheck)."""


class UnsupportedOperation(TypeError, NotImplementedError):
    """A NumPy function, or an argument of one, that has no differentiable counterpart here."""


class FileFormatError(ValueError):
    """A file that isn't what its name says, was cut short or altered, or holds what isn't read."""


class NotFoldedWarning(UserWarning):
    """A recurrent cell of one's own that runs step by step, and why; once for each cell."""


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """A hint naming the nearest known names, or nothing.

    >>> did_you_mean("batch_fisrt", ["batch_first", "bias"])
    " Did you mean 'batch_first'?"
    """
    near = difflib.get_close_matches(name, list(known), n=2, cutoff=cutoff)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
