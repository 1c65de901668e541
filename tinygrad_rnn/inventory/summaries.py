"""The summary of a module: a table of its layers, as data and as text."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..module import Module
from ..rnn.layers import GRU, LSTM, RNN, Recurrent
from ..rnn.wrappers import Wrapper
from .counting import LayerCount, count_layers
from .formulas import Formula
from .shapes import Call, known_shape, seen_shapes

_HEADS = ("Name", "Type", "Output shape", "Parameters", "Trainable", "Formula")
_NUMBER = _HEADS.index("Parameters")
_LONGEST = 64  # of a formula in one line
_USUAL = {RNN: "RNNCell", LSTM: "LSTMCell", GRU: "GRUCell"}


class SummaryRow(NamedTuple):
    """A layer in a summary.

    Attributes:
        name: the dotted name, "" for the module itself.
        type: what it is, such as "LSTM" or "LSTM of Zoneout(LSTMCell)".
        depth: how deep it stands, 0 for the module itself.
        output_shape: such as ``(batch, time, 32)``; "?" if it isn't known.
        calls: how often it was called in the run; 0 without one.
        parameters: how many it holds itself, counted once.
        trainable: how many of them are learnt.
        formulas: how `parameters` comes about; each has `symbols`, `numbers` and `total`.
        note: such as "same as encoder" for a module that was counted before.
    """

    name: str
    type: str
    depth: int
    output_shape: str
    calls: int
    parameters: int
    trainable: int
    formulas: tuple[Formula, ...]
    note: str


class ModelSummary:
    """The layers of a module, their shapes and parameters; made by `summary`. Its str is the text.

    Attributes:
        rows: a `SummaryRow` for each layer, in order.
        parameters: how many there are.
        trainable: how many of them are learnt.
        not_trainable: how many aren't.
        bytes: the memory that their values take.
    """

    def __init__(self, rows: Sequence[SummaryRow], bytes: int) -> None:
        self.rows = tuple(rows)
        self.parameters = sum(row.parameters for row in rows)
        self.trainable = sum(row.trainable for row in rows)
        self.not_trainable = self.parameters - self.trainable
        self.bytes = bytes

    def __str__(self) -> str:
        lines = _table([_HEADS, *(cells for row in self.rows for cells in _cells(row))])
        rule = "─" * max(map(width, lines))
        totals = (
            f"Parameters: {self.parameters:,}",
            f"  trainable: {self.trainable:,}",
            f"  not trainable: {self.not_trainable:,}",
            f"Memory of the parameters: {self.bytes:,} bytes" + _rounded(self.bytes),
        )
        return "\n".join([lines[0], rule, *lines[1:], rule, *totals])

    __repr__ = __str__


def summary(module: Module, *inputs: Any, **options: Any) -> ModelSummary:
    """A table of the layers of a module: shapes, parameters and how their number comes about.

    The parameters in a row are those that the layer holds itself, so that the column adds up. A
    module or parameter that stands in several places is counted once, where it comes first.

        H  hidden_size      I  input_size (in_features)      P  proj_size
        O  out_features     V  num_embeddings                E  embedding_dim

    Args:
        module: any Module.
        inputs: what to call it with, to see the output shapes; without, they are told as far as
            the layers' attributes know them. The module runs once, in eval mode and without a
            graph, and is as before afterwards: its mode, attributes and random generators.
        options: keyword arguments of that call, such as lengths=.

    Returns:
        A `ModelSummary`, which prints as text, with its numbers as attributes and rows.
        In shapes, an axis is called batch or time by its size: those of the input of recurrent
        layers, or else of the first two axes of the first input. If both have one size, choose
        another. A recurrent layer's is its output's, without the state.

    Raises:
        TypeError: if `module` isn't a Module.
        Exception: whatever the call raises.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> model = tg.nn.Sequential(tg.nn.LSTM(3, 8), tg.nn.Linear(8, 2))
    >>> made = tg.summary(model, np.ones((5, 4, 3)))
    >>> [(row.name, row.output_shape, row.parameters) for row in made.rows]
    [('', '(time, batch, 2)', 0), ('0', '(time, batch, 8)', 416), ('1', '(time, batch, 2)', 18)]
    >>> made.rows[1].formulas[0].symbols, made.trainable, made.bytes
    ('4·(I·H + H·H + 2·H)', 434, 1736)
    """
    if not isinstance(module, Module):
        raise TypeError(
            f"summary takes a Module, such as nn.LSTM(3, 8), got {_kind(module)}: first the "
            "module, then what to call it with, as in tg.summary(model, x)"
        )
    calls = seen_shapes(module, inputs, options) if inputs or options else {}
    layers = list(count_layers(module))
    rows = [_row(layer, calls.get(id(layer.module))) for layer in layers]
    return ModelSummary(rows, sum(layer.bytes for layer in layers))


def _kind(value: Any) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def _row(layer: LayerCount, call: Call | None) -> SummaryRow:
    notes = [] if layer.same_as is None else [f"same as {layer.same_as or 'the module itself'}"]
    notes += [f"{name} is {first}" for name, first in layer.tied.items()]
    return SummaryRow(
        name=layer.name,
        type=type_of(layer.module),
        depth=layer.depth,
        output_shape=known_shape(layer.module) if call is None else call.shape,
        calls=0 if call is None else call.times,
        parameters=layer.parameters,
        trainable=layer.trainable,
        formulas=layer.formulas,
        note=", ".join(notes),
    )


def type_of(module: Any) -> str:
    """The name of a module's type, with that of the cells inside if it doesn't say it."""
    name = type(module).__name__
    if isinstance(module, Wrapper):
        return f"{name}({type_of(module.cell)})"
    if isinstance(module, Recurrent):
        cell = type_of(module._cells[0])
        return name if cell == _USUAL.get(type(module)) else f"{name} of {cell}"
    return name


def _cells(row: SummaryRow) -> list[tuple[str, ...]]:
    """A row as lines of a table: one for each line of what explains its count, at least one."""
    shape = f"{row.output_shape} ×{row.calls}" if row.calls > 1 else row.output_shape
    count = f"{row.parameters:,}" if row.parameters else "–"
    explained = [line for formulas in _alike(row.formulas) for line in _explained(*formulas)]
    if row.note:
        explained.append(f"({row.note})")
    first = ("  " * row.depth + row.name, row.type, shape, count, _trainable(row))
    blank = ("",) * len(first)
    return [(*(blank if place else first), text) for place, text in enumerate(explained or [""])]


def _alike(formulas: Sequence[Formula]) -> list[list[Formula]]:
    """Formulas in groups that differ in their part only."""
    groups: list[list[Formula]] = []
    for formula in formulas:
        if groups and groups[-1][0]._replace(part="") == formula._replace(part=""):
            groups[-1].append(formula)
        else:
            groups.append([formula])
    return groups


def _explained(formula: Formula, *alike: Formula) -> list[str]:
    """A formula, of several parts of a layer if they are alike, as one line or two."""
    part = f"{formula.part}: " if formula.part else ""
    if alike:
        part = f"{formula.part}–{alike[-1].part} each: "
    numbers = "" if formula.numbers == formula.symbols else f" = {formula.numbers}"
    if formula.part:
        numbers += f" = {formula.total:,}"
    if len(formula.symbols + numbers) <= _LONGEST:
        return [part + formula.symbols + numbers]
    return [part + formula.symbols, " " * len(part) + numbers[1:]]


def _trainable(row: SummaryRow) -> str:
    if not row.parameters:
        return ""
    if row.trainable in (0, row.parameters):
        return "yes" if row.trainable else "no"
    return f"{row.trainable:,} of {row.parameters:,}"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines with aligned columns, numbers to the right."""
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        texts = [
            _padded(text, size, right=place == _NUMBER)
            for place, (text, size) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(texts).rstrip())
    return lines


def width(text: str) -> int:
    """How many columns of a terminal a text takes: two for a letter of Korean and the like.

    >>> from tinygrad_rnn.inventory.summaries import width
    >>> width("lstm"), width("은닉층")
    (4, 6)
    """
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    joined = sum(unicodedata.category(letter) in ("Mn", "Me", "Cf") for letter in text)
    return len(text) + wide - joined


def _padded(text: str, size: int, right: bool) -> str:
    blank = " " * (size - width(text))
    return blank + text if right else text + blank


def _rounded(bytes: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if bytes >= size:
            return f" ({bytes / size:.1f} {unit})"
    return ""
