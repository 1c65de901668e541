"""Several cells, one upon the other, as one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ....tensor import Tensor
from ..layer import Layer


class StackedRNNCells(Layer):
    """Cells, each reading what the one below puts out.

    Args:
        cells: their order is from the input to the output.

    >>> import numpy as np
    >>> from tinygrad_rnn import keras
    >>> cells = [keras.layers.LSTMCell(4), keras.layers.LSTMCell(3)]
    >>> keras.layers.RNN(keras.layers.StackedRNNCells(cells))(np.ones((2, 5, 1))).shape
    (2, 3)
    """

    def __init__(self, cells: Sequence[Any], **options: Any) -> None:
        super().__init__(**options)
        for cell in cells:
            check_cell(cell)
        self.cells = list(cells)

    @property
    def state_size(self) -> list[Any]:
        """That of each cell."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        """That of the last cell."""
        return output_size(self.cells[-1])

    def build(self, input_shape: Any) -> None:
        shape = tuple(input_shape)
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                cell.build(shape)
                cell.built = True
            shape = (shape[0], output_size(cell))

    def get_initial_state(self, batch_size: int | None = None) -> list[Any]:
        """The initial states of each cell."""
        return [initial_state(cell, batch_size, self.dtype) for cell in self.cells]

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        """One step of every cell: x (N, I) and the states of each cell."""
        new = []
        for cell, own in zip(self.cells, states, strict=True):
            inputs, state = step_of(cell, training)(inputs, listed(own))
            state = listed(state)
            new.append(state if isinstance(own, (list, tuple)) else state[0])
        return inputs, new


def output_size(cell: Any) -> int:
    """The number of features that a cell puts out."""
    size = getattr(cell, "output_size", None)
    if size is None:
        sizes = cell.state_size
        size = sizes[0] if isinstance(sizes, (list, tuple)) else sizes
    return int(size)


def check_cell(cell: Any) -> None:
    """Raises ValueError unless `cell` can be called, and says its state's size."""
    if not callable(cell) and not hasattr(cell, "call"):
        raise ValueError(
            f"A cell must be callable, or have a `call` method. Received: {cell!r:.80}"
        )
    if not hasattr(cell, "state_size"):
        raise ValueError(
            "The RNN cell should have a `state_size` attribute (single integer or list of "
            f"integers, one integer per RNN state). Received: cell={cell!r:.80}"
        )


def initial_state(cell: Any, batch_size: int | None, dtype: Any) -> list[Any]:
    """The state that a cell begins with, as a list of its parts."""
    if hasattr(cell, "get_initial_state"):
        found = cell.get_initial_state(batch_size=batch_size)
        return list(found) if isinstance(found, (list, tuple)) else [found]
    sizes = cell.state_size if isinstance(cell.state_size, (list, tuple)) else [cell.state_size]
    return [Tensor(np.zeros((batch_size or 1, size), dtype)) for size in sizes]


def listed(states: Any) -> list[Any]:
    """States as a list, if there is one only too."""
    return list(states) if isinstance(states, (list, tuple)) else [states]


def step_of(cell: Any, training: bool) -> Callable[[Any, list[Any]], Any]:
    """A cell as ``(x, states) -> (output, new states)``."""
    call = getattr(cell, "call", cell)
    code = getattr(call, "__code__", None)
    if (
        code is None
        or "training" not in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    ):
        return call
    return functools.partial(call, training=training)
