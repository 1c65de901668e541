"""The output shapes of layers, batch and time by name: seen in a run, or known beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..module import Module, looking_on
from ..nn.layers import Embedding, LayerNorm, Linear, RMSNorm, Sequential
from ..restoring import undisturbed
from ..rnn.cells import Cell
from ..rnn.layers import Recurrent
from ..rnn.packing import PackedSequence
from ..rnn.states import part_names
from ..rnn.wrappers import Wrapper
from ..tensor import Tensor

BATCH, TIME = "batch", "time"
_MOST_SHAPES = 2  # of one module


class Call(NamedTuple):
    """What was seen of a module that was called.

    Attributes:
        shape: of its output, axes named, such as ``(batch, time, 32)``.
        times: how often it was called.
    """

    shape: str
    times: int


class _Seen(NamedTuple):
    """A module that was called: how often, what it was last given, and what it gave.

    Attributes:
        results: the different ones, in order.
    """

    module: Module
    times: int
    given: tuple[int, ...] | None
    results: list[list[_Outline] | None]


def seen_shapes(module: Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[int, Call]:
    """The shapes of what every module inside gave when the outermost was called, by its id."""
    results: dict[int, _Seen] = {}

    def look(called: Module, given: tuple[Any, ...], result: Any) -> None:
        _, times, _, before = results.get(id(called), _Seen(called, 0, None, []))
        outline = _outline(result)
        if outline not in before:
            before.append(outline)
        first = _shape(given[0]) if given else None
        results[id(called)] = _Seen(called, times + 1, first, before)

    with undisturbed(module, recording=False), looking_on(look):
        module(*args, **kwargs)
    axes = _Axes(args, results.values())
    return {key: Call(axes.named_in(seen), seen.times) for key, seen in results.items()}


def known_shape(module: Module) -> str:
    """What a module's attributes say about its output; "?" if they say nothing.

    >>> import tinygrad_rnn as tg
    >>> from tinygrad_rnn.inventory.shapes import known_shape
    >>> known_shape(tg.nn.LSTM(3, 8, batch_first=True)), known_shape(tg.nn.Tanh())
    ('(batch, time, 8)', '?')
    """
    if isinstance(module, Sequential) and len(module) and isinstance(module[-1], Module):
        return known_shape(module[-1])
    if isinstance(module, (LayerNorm, RMSNorm)):
        return _written(["…", *module.normalized_shape])
    size = _features(module)
    if size is None:
        return "?"
    if isinstance(module, Recurrent):
        return _written([*_layout(module, 3), size])
    if isinstance(module, (Cell, Wrapper)):
        return _written([BATCH, size])
    return _written(["…", size])


def _features(module: Module) -> int | None:
    """The size of the last axis of a module's output, if it has one that is known."""
    if isinstance(module, Linear):
        return module.out_features
    if isinstance(module, Embedding):
        return module.embedding_dim
    if isinstance(module, Recurrent):
        width = getattr(module._cells[-1], "output_size", None) or module.hidden_size
        return int(width) * module.directions
    if isinstance(module, (Cell, Wrapper)):
        return module.output_size
    return None


def _layout(module: Recurrent, ndim: int) -> tuple[str, ...]:
    if ndim == 2:
        return (TIME,)
    return (BATCH, TIME) if module.batch_first else (TIME, BATCH)


class _Outline(NamedTuple):
    """The shape of an array of a result, and its name among several."""

    name: str
    shape: tuple[int, ...]
    whole: bool  # whether it holds integers, which have no features


def _outline(result: Any) -> list[_Outline] | None:
    """The arrays of a result; None if there is something else in it."""
    if isinstance(result, (Tensor, np.ndarray, np.generic)):
        return [_Outline("", result.shape, result.dtype.kind not in "fc")]
    if isinstance(result, PackedSequence):
        return [_Outline("packed", result.data.shape, False)]
    parts: list[tuple[str, Any]] = []
    if isinstance(result, dict):
        parts = [(str(key), value) for key, value in result.items()]
    elif isinstance(result, (tuple, list)):
        named = hasattr(result, "_fields")
        names = part_names(result) if named else [""] * len(result)
        parts = list(zip(names, result, strict=True))
    found: list[_Outline] = []
    for name, value in parts:
        inner = _outline(value)
        if inner is None:
            continue
        found += [each._replace(name=each.name or name) for each in inner]
    return found or None


def _shape(value: Any) -> tuple[int, ...] | None:
    return None if isinstance(value, (tuple, list, dict)) else np.shape(value)


class _Axes:
    """Which sizes are batch and time: what recurrent layers were given, or else the first input."""

    def __init__(self, args: Sequence[Any], calls: Iterable[_Seen]) -> None:
        self._sizes: dict[str, set[int]] = {BATCH: set(), TIME: set()}
        self._order: tuple[str, ...] = (BATCH, TIME)
        for module, _, given, _ in calls:
            if isinstance(module, Recurrent) and given is not None and len(given) in (2, 3):
                self._order = _layout(module, len(given))
                self._note(given[:-1])
        if not any(self._sizes.values()) and args and _shape(args[0]):
            first = np.shape(args[0])
            whole = np.asarray(getattr(args[0], "data", args[0])).dtype.kind not in "fc"
            self._note(first if whole else first[:-1])

    def _note(self, shape: tuple[int, ...]) -> None:
        for name, size in zip(self._order, shape, strict=False):
            self._sizes[name].add(size)

    def named_in(self, seen: _Seen) -> str:
        """The shapes of a module's results, as text."""
        texts = dict.fromkeys(self._text(seen.module, result) for result in seen.results)
        return " or ".join([*texts][:_MOST_SHAPES]) + (" or …" if len(texts) > _MOST_SHAPES else "")

    def _text(self, module: Module, outlines: list[_Outline] | None) -> str:
        """The shapes of one result."""
        if outlines is None:
            return "?"
        if isinstance(module, Recurrent):
            first = outlines[0]
            lead = _layout(module, len(first.shape)) if first.name != "packed" else ("steps",)
            return _written([*lead, first.shape[-1]])
        texts = [
            f"{each.name} {text}" if each.name else text
            for each in outlines
            for text in [_written(self._named(module, each))]
        ]
        return ", ".join(texts)

    def _named(self, module: Module, outline: _Outline) -> list[Any]:
        shape = outline.shape
        lead = len(shape) if outline.whole or len(shape) == 1 else len(shape) - 1
        if len(shape) == 1 and shape[0] == _features(module):
            lead = 0
        left = list(self._order if lead > 1 else (BATCH, TIME))
        axes: list[Any] = list(shape)
        for place in range(lead):
            name = next((n for n in left if shape[place] in self._sizes[n]), None)
            if name is not None:
                left.remove(name)
                axes[place] = name
        return axes


def _written(axes: Sequence[Any]) -> str:
    return "(" + ", ".join(map(str, axes)) + ("," if len(axes) == 1 else "") + ")"
