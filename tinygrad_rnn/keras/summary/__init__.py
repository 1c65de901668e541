"""The summary of a Keras model, as Keras 2 and Keras 3 print it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..layers.arguments import one_of
from .box import box
from .rows import rows_of
from .text import text


def print_summary(
    model: Any,
    line_length: int | None,
    positions: Sequence[float] | None,
    print_fn: Callable[[str], Any] | None,
    expand_nested: bool,
    show_trainable: bool,
    layer_range: Sequence[str] | None,
    style: str,
) -> None:
    """See `Model.summary`."""
    rows = list(rows_of(model, expand_nested, layer_range))
    if one_of("style", style, ("text", "box")) == "box":
        whole = "\n".join(box(model, rows, line_length, positions, show_trainable))
        if print_fn is None:
            print(whole)
        else:
            print_fn(whole + "\n")
        return
    for line in text(model, rows, line_length, positions, show_trainable):
        (print if print_fn is None else print_fn)(line)
