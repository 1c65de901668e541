"""Colours for the norms of gradients, on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from .records import GraphNode

# Steps of cividis (Nuñez, Anderton, Renslow 2018), made for readers with and without colour vision;
# darkest first, so that it holds in grey too.
_COLOURS = ("#00224E", "#1A386F", "#404C6B", "#61656F", "#868379", "#B3A772", "#E3CE52")
_WHITE_TEXT = 4  # on so many of the darkest
ZERO = "#FFFFFF"


class Scale(NamedTuple):
    """A range of norms, cut into equal steps of their logarithm.

    Attributes:
        low, high: exponents of ten.
    """

    low: float
    high: float

    def colour(self, norm: float) -> tuple[str, str]:
        """The colour of a norm, and that of text on it.

        >>> Scale(-6.0, 1.0).colour(1e-6), Scale(-6.0, 1.0).colour(10.0)
        (('#00224E', '#FFFFFF'), ('#E3CE52', '#222222'))
        """
        if not norm > 0 or math.isinf(norm):
            return ZERO, "#222222"
        part = (math.log10(norm) - self.low) / (self.high - self.low)
        step = max(0, min(len(_COLOURS) - 1, int(part * len(_COLOURS))))
        return _COLOURS[step], "#FFFFFF" if step < _WHITE_TEXT else "#222222"

    def legend(self) -> list[tuple[str, str, str]]:
        """For each step: its colour, that of text on it, and the least norm it stands for."""
        width = (self.high - self.low) / len(_COLOURS)
        starts = [10 ** (self.low + k * width) for k in range(len(_COLOURS))]
        return [
            (colour, "#FFFFFF" if k < _WHITE_TEXT else "#222222", f"{start:.1g}")
            for k, (colour, start) in enumerate(zip(_COLOURS, starts, strict=True))
        ]


def scale_of(nodes: Iterable[GraphNode]) -> Scale | None:
    """The scale for the gradients of `nodes`; None without any.

    Of a factor of ten at least, so that norms that are almost equal look so.
    """
    norms = [n.gradient.norm for n in nodes if n.gradient is not None]
    logs = [math.log10(norm) for norm in norms if norm > 0 and math.isfinite(norm)]
    if not logs:
        return None
    middle, half = (max(logs) + min(logs)) / 2, max(0.5, (max(logs) - min(logs)) / 2)
    return Scale(middle - half, middle + half)
