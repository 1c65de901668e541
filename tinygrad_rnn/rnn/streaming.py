"""A step in time on plain arrays: what `step` does where no graph is wanted."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.primitive import wrap
from ..tensor import Tensor
from .cells import Cell
from .loop import arrays_suffice
from .program.single import single_step
from .protocol import output_of
from .states import like, parts_of, same_parts


def step_on_arrays(layer: Any, x: Any, state: Any) -> tuple[Tensor, Any] | None:
    """The output and new state of a recurrent layer for one step, if all that is given fits.

    None if there is anything to convert, to fill in, to complain about, or to record. A step takes
    some fifty microseconds: looking after what is usual would double that.

    Args:
        layer: in one direction, without dropout to apply.
        x: (N, I) or (I,)
        state: each part (L, N, its size) or (L, its size)
    """
    if state is None or not arrays_suffice():
        return None
    x = x._data if isinstance(x, Tensor) else x
    parts = [part._data if isinstance(part, Tensor) else part for part in parts_of(state)]
    bare = [_on_arrays(cell) for cell in layer._cells]
    if None in bare or not _fits(layer, x, state, parts):
        return None
    finals = []
    for k, (cell, twin) in enumerate(zip(layer._cells, bare, strict=True)):
        x, new = _step(cell, twin, x, [part[k] for part in parts], state)
        finals.append(new)
    if len(finals) == 1:
        joined = [wrap(part[None].copy()) for part in finals[0]]  # not the memory of the output
    else:
        joined = [wrap(np.stack(rows)) for rows in zip(*finals, strict=True)]
    return wrap(x), like(layer._cells[0].state_size, joined)


def _step(cell: Any, twin: Any, x: Any, parts: list[Any], state: Any) -> tuple[Any, Any]:
    """Output and new state of one cell, by the program of its step if it has one.

    The program is kept with the twin, which is another one as soon as the cell is changed.
    """
    programs = vars(twin).setdefault("programs", {})
    key = x.shape, x.dtype
    if key not in programs:
        programs[key] = _program(cell, twin, x, like(state, parts))
    program = programs[key]
    if program is None:
        new = twin.equations(x, like(state, parts))
        return output_of(twin)(x, new), parts_of(new)
    function, names = program
    own = vars(twin)
    return function(x, *parts, *[own[name] for name in names])


def _program(cell: Any, twin: Any, x: Any, state: Any) -> tuple[Any, list[str]] | None:
    """A step's function, and which attributes of the twin it takes."""
    try:
        function, captured = single_step(cell, x, state)
    except ValueError:
        return None
    named = {id(getattr(twin, name)): name for name in twin.tensors}
    if any(id(array) not in named for array in captured):
        return None
    return function, [named[id(array)] for array in captured]


def _on_arrays(cell: Any) -> Any:
    draws = hasattr(cell, "for_sequence")
    return cell.on_arrays() if isinstance(cell, Cell) and not draws else None


def _fits(layer: Any, x: Any, state: Any, parts: list[Any]) -> bool:
    """Whether input and state are arrays of the layer's dtype and of the right shapes."""
    model, dtype = layer._cells[0].state_size, layer.dtype
    sizes = parts_of(model)
    if type(x) is not np.ndarray or x.dtype != dtype or x.ndim not in (1, 2):
        return False
    if not same_parts(state, model):
        return False
    lead = (len(layer._cells), *x.shape[:-1])
    return x.shape[-1] == layer.input_size and all(
        type(part) is np.ndarray and part.dtype == dtype and part.shape == (*lead, size)
        for part, size in zip(parts, sizes, strict=True)
    )
