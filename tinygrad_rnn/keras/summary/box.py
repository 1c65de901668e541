"""The table of Keras 3."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any

import numpy as np

from ...inventory.summaries import width
from ..config import floatx
from .rows import HEADS, Row, totals_of


def box(
    model: Any,
    rows: list[Row],
    line_length: int | None,
    positions: Sequence[float] | None,
    show_trainable: bool,
) -> Iterator[str]:
    """The lines of Keras 3's table."""
    parts = list((0.45, 0.80, 1.0) if positions is None else positions)
    if show_trainable:
        parts = [p * 0.90 for p in parts] + [1.0]
    if line_length is None:
        most = shutil.get_terminal_size().columns - 4
        line_length = min(100 if show_trainable else 88, most)
    sizes = _column_sizes(parts, line_length)
    table = [_boxed_cells(row, show_trainable) for row in rows]
    yield f'Model: "{model.name}"'
    yield _rule("┏┳┓", "━", sizes)
    yield from _boxed(HEADS[: len(sizes)], sizes, "┃", low=True)
    yield _rule("┡╇┩", "━", sizes)
    for k, texts in enumerate(table):
        if k:
            yield _rule("├┼┤", "─", sizes)
        yield from _boxed(texts, sizes, "│", low=False)
    yield _rule("└┴┘", "─", sizes)
    yield from _boxed_totals(model)


def _boxed_totals(model: Any) -> Iterator[str]:
    total = totals_of(model)
    size, memory = total.trainable + total.frozen, total.trainable_bytes + total.frozen_bytes
    optimizer = getattr(model, "optimizer", None)
    kept = optimizer.variables if optimizer is not None and optimizer.built else None
    of_optimizer = sum(v.size for v in kept or ())
    # Keras keeps the number of steps as int32, and the learning rate in floatx.
    single = {"iteration": 4, "learning_rate": np.dtype(floatx()).itemsize}
    bytes_of_optimizer = sum(single.get(v.name, v.data.nbytes) for v in kept or ())
    yield f" Total params: {size + of_optimizer:,} ({_memory(memory + bytes_of_optimizer)})"
    yield f" Trainable params: {total.trainable:,} ({_memory(total.trainable_bytes)})"
    yield f" Non-trainable params: {total.frozen:,} ({_memory(total.frozen_bytes)})"
    if kept is not None:
        yield f" Optimizer params: {of_optimizer:,} ({_memory(bytes_of_optimizer)})"


def _memory(size: float) -> str:
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size < 1024:
            return f"{size:.2f} {unit}"
        size /= 1024
    return f"{size:.2f} PB"


def _boxed_cells(row: Row, show_trainable: bool) -> tuple[str, ...]:
    prefix = "   " * row.depth + "└ " if row.depth else ""
    count = f"{row.shown_size:,}" if isinstance(row.shown_size, int) else row.shown_size
    texts = (f"{prefix}{row.name} ({row.kind})", _boxed_shape(row.shape), count)
    letter = {True: "Y", False: "N", None: "-"}[row.trainable]
    return (*texts, letter) if show_trainable else texts


def _boxed_shape(shape: Any) -> str:
    if shape is None:
        return "?"
    if len(shape) == 1 and isinstance(shape[0], tuple):
        return _boxed_shape(shape[0])
    return f"({', '.join(_boxed_shape(s) if isinstance(s, tuple) else str(s) for s in shape)})"


def _column_sizes(parts: Sequence[float], length: int) -> list[int]:
    """How wide the columns of the box are, the blanks beside their texts included."""
    ends = [int(p * length) for p in parts]
    sizes = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    if min(sizes) < 4:
        raise ValueError(
            f"Insufficient console width to print summary. Received: line_length={length}, "
            f"positions={list(parts)}"
        )
    sizes = [size + 2 for size in sizes]
    excess = sum(sizes) - (length - len(sizes) - 1)  # what the lines between them leave
    for k, size in enumerate(sizes):
        if excess > 0:
            taken = min(size, round(excess / (len(sizes) - k)))
        else:
            taken = -ceil(-excess * size / sum(sizes[k:]))
        sizes[k], excess = size - taken, excess - taken
    return sizes


def _rule(corners: str, line: str, sizes: Sequence[int]) -> str:
    return corners[0] + corners[1].join(line * size for size in sizes) + corners[2]


def _boxed(texts: Sequence[str], sizes: Sequence[int], bar: str, low: bool) -> Iterator[str]:
    """A row of the box: as many lines as its longest cell needs, the others at the top or low."""
    wrapped = [_wrapped(text, size - 2) for text, size in zip(texts, sizes, strict=True)]
    height = max(map(len, wrapped))
    for k in range(height):
        inside = []
        for place, (lines, size) in enumerate(zip(wrapped, sizes, strict=True)):
            at = k - (height - len(lines)) if low else k
            text = lines[at] if 0 <= at < len(lines) else ""
            inside.append(_aligned(text, size - 2, "<<>^"[place]))
        yield bar + bar.join(f" {text} " for text in inside) + bar


def _wrapped(text: str, size: int) -> list[str]:
    """The text in lines, broken between words; a word that is too long ends in "…"."""
    lines: list[str] = []
    taken = 0
    for word in re.findall(r"\s*\S+\s*", text):
        if lines and size - taken >= width(word.rstrip()):
            lines[-1] += word
            taken += width(word)
        else:
            lines.append(word)
            taken = width(word)
    return [_cut(line, size) for line in lines]


def _cut(line: str, size: int) -> str:
    if width(line.rstrip()) <= size:
        return line.rstrip()
    kept = ""
    for letter in line:
        if width(kept + letter) > size - 1:
            break
        kept += letter
    return kept + " " * (size - 1 - width(kept)) + "…"


def _aligned(text: str, size: int, side: str) -> str:
    blank = size - width(text)
    left = {"<": 0, ">": blank, "^": blank // 2}[side]
    return " " * left + text + " " * (blank - left)
