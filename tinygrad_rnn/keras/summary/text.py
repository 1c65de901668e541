"""The table of Keras 2."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ...inventory.summaries import width
from .rows import HEADS, Row, totals_of


def text(
    model: Any,
    rows: list[Row],
    line_length: int | None,
    positions: Sequence[float] | None,
    show_trainable: bool,
) -> Iterator[str]:
    """The lines of Keras 2's table."""
    length = 65 if line_length is None else line_length
    ends = _absolute((0.45, 0.85, 1.0) if positions is None else positions, length)
    if show_trainable:
        ends = [*ends, ends[-1] + 11]
    cells = [_cells(row, show_trainable) for row in rows]
    ends = _widened(
        ends, [HEADS[: len(ends)], *(_margined(r, c) for r, c in zip(rows, cells, strict=True))]
    )
    total = totals_of(model)
    yield f'Model: "{model.name}"'
    yield "_" * ends[-1]
    yield _line(HEADS[: len(ends)], ends, 0)
    yield "=" * ends[-1]
    yield from _body(rows, cells, ends)
    yield "=" * ends[-1]
    yield f"Total params: {total.trainable + total.frozen:,}"
    yield f"Trainable params: {total.trainable:,}"
    yield f"Non-trainable params: {total.frozen:,}"
    yield "_" * ends[-1]


def _body(rows: list[Row], cells: list[tuple[str, ...]], ends: list[int]) -> Iterator[str]:
    """The rows; models that stand in the model have bars around their layers."""
    depths = [*(row.depth for row in rows), 0]
    for row, texts, after in zip(rows, cells, depths[1:], strict=True):
        here = row.depth
        yield _line(texts, ends, here)
        if after > here:
            yield _framed("¯", after, ends[-1])
        elif after < here:
            for depth in range(here - 1, after - 1, -1):
                yield _framed("¯", depth, ends[-1])
            yield _framed(" ", after, ends[-1])
        else:
            yield _framed(" ", here, ends[-1])


def _framed(filling: str, depth: int, length: int) -> str:
    return "|" * depth + filling * (length - 2 * depth) + "|" * depth


def _cells(row: Row, show_trainable: bool) -> tuple[str, ...]:
    several = isinstance(row.shape, tuple) and bool(row.shape) and isinstance(row.shape[0], tuple)
    shape = "?" if row.shape is None else str(list(row.shape) if several else row.shape)
    texts = (f"{row.name} ({row.kind})", shape, str(row.shown_size))
    return (*texts, "Y" if row.trainable is not False else "N") if show_trainable else texts


def _margined(row: Row, texts: tuple[str, ...]) -> tuple[str, ...]:
    """The cells with what stands before the first of them, and behind the last."""
    return ("|" * row.depth + texts[0], *texts[1:-1], texts[-1] + "|" * row.depth)


def _absolute(positions: Sequence[float], length: int) -> list[int]:
    """Where columns end."""
    if not positions or positions[-1] > 1:
        return [int(p) for p in positions]
    return [int(length * p) for p in positions]


def _widened(ends: list[int], rows: Sequence[Sequence[str]]) -> list[int]:
    """The ends of columns that hold all their texts, two spaces between them."""
    made, start, moved = [], 0, 0
    for place, end in enumerate(ends):
        first, last = place == 0, place == len(ends) - 1
        longest = max(width(texts[place]) for texts in rows)
        needed = start + longest + (1 if first else 0) + (0 if last else 2)
        moved = max(moved, needed - end)
        made.append(end + moved)
        start = made[-1]
    return made


def _line(texts: Sequence[str], ends: Sequence[int], depth: int) -> str:
    line = "|" * depth + " "
    for cell, end in zip(texts, (*ends[:-1], ends[-1] - depth), strict=True):
        line += cell + " " * (end - width(line + cell))
    return line + "|" * depth
