"""The summary of a Keras model, as Keras 2 and Keras 3 print it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from math import ceil
from typing import Any, NamedTuple

import numpy as np

from ..inventory import count_layers
from ..inventory.summaries import width
from .config import floatx
from .layers.arguments import one_of

_HEADS = ("Layer (type)", "Output Shape", "Param #", "Trainable")
_UNBUILT = "0 (unbuilt)"


class Row(NamedTuple):
    """A layer of a model.

    Attributes:
        name, kind: the layer's, and its class's.
        shape: of what it puts out; of several outputs, a tuple of shapes; None if it isn't known.
        parameters: how many there are inside; None if the layer isn't built.
        trainable: whether they are learnt; None if there are none.
        depth: how many models it stands in, besides the outermost.
    """

    name: str
    kind: str
    shape: Any
    parameters: int | None
    trainable: bool | None
    depth: int

    @property
    def shown_size(self) -> int | str:
        """`parameters` as it is shown."""
        return _UNBUILT if self.parameters is None else self.parameters


class Totals(NamedTuple):
    """How many parameters there are, each counted once, and how much memory they take."""

    trainable: int
    trainable_bytes: int
    frozen: int
    frozen_bytes: int


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
        text = "\n".join(_box(model, rows, line_length, positions, show_trainable))
        if print_fn is None:
            print(text)
        else:
            print_fn(text + "\n")
        return
    for line in _text(model, rows, line_length, positions, show_trainable):
        (print if print_fn is None else print_fn)(line)


def rows_of(
    model: Any, expand_nested: bool = False, layer_range: Sequence[str] | None = None
) -> Iterator[Row]:
    """The layers of a model, in order; with `expand_nested`, those of models inside too."""
    first, end = _range(model.layers, layer_range)
    return _rows(model, expand_nested, first, end, 0)


def _rows(model: Any, expand_nested: bool, first: int, end: int, depth: int) -> Iterator[Row]:
    shapes = model.layer_shapes()
    for layer, shape in list(zip(model.layers, shapes, strict=True))[first:end]:
        size = layer.count_params() if layer.built else None
        yield Row(
            name=layer.name,
            kind=type(layer).__name__,
            shape=shape,
            parameters=size,
            trainable=layer.trainable if size else None,
            depth=depth,
        )
        if expand_nested and getattr(layer, "layers", None):
            yield from _rows(layer, True, 0, len(layer.layers), depth + 1)


def _range(layers: Sequence[Any], wanted: Sequence[str] | None) -> tuple[int, int]:
    """From which layer to which one, by names or patterns of names."""
    if wanted is None:
        return 0, len(layers)
    if isinstance(wanted, str) or len(wanted) != 2 or not all(isinstance(n, str) for n in wanted):
        raise ValueError(
            "layer_range must be a list or tuple of two names, of the first layer and of the last "
            f"one. Received: layer_range={wanted!r}"
        )
    found = [[k for k, layer in enumerate(layers) if re.match(name, layer.name)] for name in wanted]
    if not all(found):
        raise ValueError(
            "Passed layer_names do not match the layer names in the model. Received: "
            f"{wanted!r}; there are {[layer.name for layer in layers]}"
        )
    low, high = min(found[0]), max(found[1])
    return (low, high + 1) if low <= high else (min(found[1]), max(found[0]) + 1)


def totals_of(model: Any) -> Totals:
    """The parameters of a model."""
    own = [p for layer in count_layers(model) for p in layer.own.values()]
    learnt = [p for p in own if p.requires_grad]
    frozen = [p for p in own if not p.requires_grad]
    return Totals(
        sum(p.size for p in learnt), sum(p.data.nbytes for p in learnt),
        sum(p.size for p in frozen), sum(p.data.nbytes for p in frozen),
    )  # fmt: skip


# Keras 2's table


def _text(
    model: Any,
    rows: list[Row],
    line_length: int | None,
    positions: Sequence[float] | None,
    show_trainable: bool,
) -> Iterator[str]:
    length = 65 if line_length is None else line_length
    ends = _absolute((0.45, 0.85, 1.0) if positions is None else positions, length)
    if show_trainable:
        ends = [*ends, ends[-1] + 11]
    cells = [_cells(row, show_trainable) for row in rows]
    ends = _widened(
        ends, [_HEADS[: len(ends)], *(_margined(r, c) for r, c in zip(rows, cells, strict=True))]
    )
    total = totals_of(model)
    yield f'Model: "{model.name}"'
    yield "_" * ends[-1]
    yield _line(_HEADS[: len(ends)], ends, 0)
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
    for text, end in zip(texts, (*ends[:-1], ends[-1] - depth), strict=True):
        line += text + " " * (end - width(line + text))
    return line + "|" * depth


# Keras 3's table


def _box(
    model: Any,
    rows: list[Row],
    line_length: int | None,
    positions: Sequence[float] | None,
    show_trainable: bool,
) -> Iterator[str]:
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
    yield from _boxed(_HEADS[: len(sizes)], sizes, "┃", low=True)
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
