"""Kinds of values for argparse: what isn't one of them is wrong usage."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any


def at_least(smallest: int) -> Callable[[str], int]:
    """A whole number, not below `smallest`.

    >>> at_least(1)("12")
    12
    """

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = smallest - 1
        if value < smallest:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {smallest} on")
        return value

    return convert


def between(
    low: float, high: float, low_too: bool = False, high_too: bool = False
) -> Callable[[str], float]:
    """A number between two others; whether they are allowed too is said for each.

    >>> between(0, 1, low_too=True)("0")
    0.0
    """
    above, below = "from" if low_too else "above", "up to" if high_too else "below"
    limits = f"{above} {low:g}" + (f" {below} {high:g}" if high < math.inf else " on" * low_too)

    def convert(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        inside = low < value < high or (low_too and value == low) or (high_too and value == high)
        if not inside:
            raise argparse.ArgumentTypeError(f"{text!r} is no number {limits}")
        return value

    return convert


def name(text: str) -> str:
    """The name of a file or folder; without one, it would be the folder that one stands in."""
    if not text:
        raise argparse.ArgumentTypeError("'' is no name")
    return text


def encoding(text: str) -> str:
    """The name of an encoding of text."""
    try:
        "text".encode(text)
    except (LookupError, ValueError):
        raise argparse.ArgumentTypeError(f"there is no encoding {text!r}") from None
    return text


def number(made: Any, flag: str, kind: Any, default: Any, what: str) -> None:
    """Adds an option that takes a number."""
    shown = what if default is None else f"{what} (default: {default})"
    made.add_argument(flag, type=kind, default=default, metavar="N", help=shown)


def add_encoding(made: Any) -> None:
    """Adds --encoding."""
    made.add_argument(
        "--encoding", type=encoding, default="utf-8", metavar="NAME",
        help="of the text; a model of bytes reads any file as it is (default: utf-8)",
    )  # fmt: skip
