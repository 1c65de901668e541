"""Recurrent states: an array, or a tuple of arrays (also a named one)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core.errors import ShapeError
from ..tensor import Tensor, as_tensor


class LSTMState(NamedTuple):
    """The state of an LSTM: hidden state `h` and cell state `c`."""

    h: Any
    c: Any


def is_tuple(state: Any) -> bool:
    """Whether a state has several parts."""
    return isinstance(state, (tuple, list))


def parts_of(state: Any) -> Sequence[Any]:
    """The arrays of a state."""
    return state if is_tuple(state) else (state,)


def same_parts(state: Any, model: Any) -> bool:
    """Whether both are one array, or have as many parts."""
    return is_tuple(state) == is_tuple(model) and len(parts_of(state)) == len(parts_of(model))


def like(model: Any, parts: Sequence[Any]) -> Any:
    """`parts` as a state of the same kind as `model`."""
    if not is_tuple(model):
        return parts[0]
    return model._make(parts) if hasattr(model, "_make") else tuple(parts)


def part_names(state: Any) -> tuple[str, ...]:
    """What the parts of a state are called: h, the fields of a named tuple, or s0, s1, …"""
    if not is_tuple(state):
        return ("h",)
    return getattr(state, "_fields", None) or tuple(f"s{i}" for i in range(len(state)))


def map_parts(function: Callable[..., Any], state: Any, *others: Any) -> Any:
    """A state with `function` of each part (and of the same part of the other states)."""
    if not others:
        return like(state, [function(part) for part in parts_of(state)])
    rows = zip(*map(parts_of, (state, *others)), strict=True)
    return like(state, [function(*row) for row in rows])


def detach(state: Any) -> Any:
    """A recurrent state cut off from the graph that made it: an array or a nested tuple of them.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> _, state = tg.nn.LSTM(2, 3)(np.ones((4, 1, 2)))
    >>> tg.rnn.detach(state).h.requires_grad
    False
    """
    if isinstance(state, Tensor):
        return state.detach()
    if isinstance(state, (tuple, list)):
        return like(state, [detach(part) for part in state])
    if isinstance(state, dict):
        return {name: detach(part) for name, part in state.items()}
    if state is None or isinstance(state, (np.ndarray, float, int)):
        return state
    raise TypeError(
        f"rnn.detach takes a Tensor, or a tuple, list or dict of them, not {state!r:.60}"
    )


class LayerState(NamedTuple):
    """The state of one layer, by direction; `backward` is None in a layer with one direction."""

    forward: Any
    backward: Any = None


class StateView(Sequence[LayerState]):
    """A layer's state by layer and direction; see `state_view`."""

    def __init__(self, rows: list[LayerState]) -> None:
        self._rows = rows

    def __getitem__(self, layer: Any) -> Any:
        return self._rows[layer]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[LayerState]:
        return iter(self._rows)

    def __repr__(self) -> str:
        lines = []
        for k, row in enumerate(self._rows):
            for direction, state in zip(LayerState._fields, row, strict=True):
                if state is not None:
                    named = zip(part_names(state), parts_of(state), strict=True)
                    shapes = ", ".join(f"{name} {np.shape(part)}" for name, part in named)
                    lines.append(f"  [{k}].{direction}: {shapes}")
        return "StateView(\n" + "\n".join(lines) + "\n)"


def state_view(state: Any, layer: Any) -> StateView:
    """A recurrent layer's state, taken apart by layer and direction.

    Row k·D + d of each part of a state, (D·num_layers, N, H), belongs to layer k, direction d.

    Args:
        state: as a recurrent layer takes and returns it.
        layer: the layer; it knows its directions.

    Returns:
        A sequence: ``view[k].forward`` and ``view[k].backward`` are the states of layer k, each
        part (N, H); an LSTM's are named tuples (h, c). Differentiable.

    Raises:
        ValueError: if the state has another number of rows than the layer.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> lstm = tg.nn.LSTM(2, 3, num_layers=2, bidirectional=True)
    >>> _, state = lstm(np.ones((4, 5, 2)))
    >>> view = tg.rnn.state_view(state, lstm)
    >>> view[1].backward.h.shape
    (5, 3)
    >>> bool((view[1].backward.h.data == state.h.data[3]).all())
    True
    """
    directions = 2 if layer.bidirectional else 1
    count = layer.num_layers * directions
    state = map_parts(as_tensor, state)
    for part in parts_of(state):
        if part.ndim == 0 or len(part) != count:
            raise ShapeError(
                f"state_view: a state of {layer!r} has {count} rows (directions × layers) on its "
                f"first axis, got the shape {part.shape}"
            )

    def row(k: int) -> Any:
        return map_parts(lambda part: part[k], state)

    return StateView(
        [
            LayerState(*(row(k * directions + d) for d in range(directions)))
            for k in range(layer.num_layers)
        ]
    )
