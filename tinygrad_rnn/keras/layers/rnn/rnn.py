"""RNN: any cell as a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ....core.errors import ShapeError
from ....ops import flip, swapaxes
from ....tensor import Tensor, as_tensor, asarray
from ..layer import Layer
from .running import Step, held_over, make_inner_weights, run
from .stacked import StackedRNNCells, check_cell, initial_state, output_size


class RNN(Layer):
    """A cell as a layer: it runs over the steps of a sequence.

    Args:
        cell: a cell, or several that are stacked. A cell of one's own has `state_size`, is called
            as ``cell(x_t, states) -> (output, new_states)``, and may have `output_size` and
            ``get_initial_state(batch_size)``.
        return_sequences: whether to return the output of every step, not only the last.
        return_state: whether to return the final states too.
        go_backwards: whether to go from the last step to the first; outputs come in that order.
        stateful: whether each batch begins with the states that the one before left.
        unroll: has no effect: the numbers are the same.
        zero_output_for_mask: what is put out at masked steps: zeros, or the output before.

    Called as ``layer(sequences, initial_state=None, mask=None, training=None)`` with

        sequences      (N, T, I)
        initial_state  [h] or [h, c], each (N, U)
        mask           (N, T), True at steps to be used

    it returns the output, (N, T, U) or (N, U), and with `return_state` the states after it.

    Raises:
        ValueError: for shapes that don't fit.

    >>> import numpy as np
    >>> from tinygrad_rnn import keras
    >>> layer = keras.layers.RNN(keras.layers.GRUCell(4), return_sequences=True)
    >>> layer(np.ones((2, 5, 3))).shape
    (2, 5, 4)
    """

    ndim = 3
    supports_masking = True
    _unlisted = Layer._unlisted | {"states"}

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if isinstance(cell, (list, tuple)):
            cell = StackedRNNCells(cell, dtype=self.compute_dtype)
        check_cell(cell)
        self.cell = cell
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.zero_output_for_mask = zero_output_for_mask
        self.states: list[Any] | None = None
        self._steps: dict[int, Step] = {}

    @property
    def state_size(self) -> list[Any]:
        """The sizes of the states, as a list."""
        size = self.cell.state_size
        return list(size) if isinstance(size, (list, tuple)) else [size]

    def build(self, input_shape: Any) -> None:
        step = (input_shape[0], *input_shape[2:])
        if isinstance(self.cell, Layer) and not self.cell.built:
            self.cell.build(step)
            self.cell.built = True
        make_inner_weights(self.cell, step)
        self._last_axis = input_shape[-1]
        if self.stateful:
            if input_shape[0] is None:
                raise ShapeError(
                    "When using `stateful=True` in a RNN, the batch size must be static. Found "
                    f"dynamic batch size: sequence.shape={input_shape}. Give the first layer "
                    "batch_input_shape=(batch, steps, features), or the model an Input of "
                    "batch_shape"
                )
            self.states = self.get_initial_state(input_shape[0])

    def get_initial_state(self, batch_size: int | None = None) -> list[Any]:
        """The states that a sequence begins with."""
        begin = initial_state(self.cell, batch_size, self.dtype)
        return _nested(lambda part: self.floats(as_tensor(asarray(part))), begin)

    def reset_state(self) -> None:
        """Lets the next batch of a stateful layer begin anew."""
        if self.states is not None:
            self.states = self.get_initial_state(_first(self.states).shape[0])

    def reset_states(self) -> None:
        """The same as `reset_state`."""
        self.reset_state()

    def call(
        self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        xs = swapaxes(self.floats(sequences), 0, 1)
        if not len(xs):
            raise ShapeError(f"layer '{self.name}': a sequence has at least one step")
        states = self._begin(initial_state, xs.shape[1])
        real = self._checked_mask(mask, xs.shape[:2])
        ys, final = run(self.cell, xs, states, real, self.go_backwards, bool(training), self._steps)
        if real is not None and not self.zero_output_for_mask:
            ys = held_over(ys, real, self.go_backwards, last=not self.return_sequences)
        if self.stateful:
            self.states = _nested(lambda part: part.detach(), final)
        output = self._output(ys)
        return (output, *final) if self.return_state else output

    def _output(self, ys: Any) -> Any:
        if not self.return_sequences:
            return ys[0 if self.go_backwards or len(ys) == 1 else -1]
        return swapaxes(flip(ys, 0) if self.go_backwards else ys, 0, 1)

    def _begin(self, given: Any, batch: int) -> list[Any]:
        """The states to begin with, checked."""
        own = self.get_initial_state(batch)
        if self.stateful and self.states is not None:
            expected = _first(self.states).shape[0]
            if expected != batch:
                raise ShapeError(
                    "If an RNN is stateful, the batch size of the input sequences must be the same "
                    f"as the batch size of the initial state.\n- Expected batch size: {expected}\n"
                    f"- Received batch size: {batch}\n(layer '{self.name}'; `reset_state()` keeps "
                    "the batch size)"
                )
            own = self.states
        if given is None:
            return own
        if not isinstance(given, (list, tuple)):
            given = [given]
        return self._checked_states(list(given), own)

    def _checked_states(self, given: Any, own: Any) -> Any:
        if len(given) != len(own):
            raise ShapeError(
                f"layer '{self.name}' has {len(own)} states, of the sizes {self.state_size}. "
                f"Received: initial_state of {len(given)}"
            )
        checked: list[Any] = []
        for part, model in zip(given, own, strict=True):
            if isinstance(model, (list, tuple)):
                checked.append(self._checked_states(part, model))
                continue
            part = as_tensor(asarray(part))
            if part.shape != model.shape:
                raise ShapeError(
                    f"layer '{self.name}': expected an initial state of the shape {model.shape}. "
                    f"Received: {part.shape}"
                )
            checked.append(self.floats(part))
        return checked

    def _checked_mask(self, mask: Any, steps: tuple[int, int]) -> Any:
        """The mask as (T, N); None if it leaves out nothing."""
        if mask is None:
            return None
        values = asarray(mask)
        values = (values.data if isinstance(values, Tensor) else values).astype(bool)
        if values.ndim == 3 and values.shape[-1] == 1:
            values = values[..., 0]
        if values.shape != steps[::-1]:
            raise ShapeError(
                f"layer '{self.name}': expected a mask of the shape (batch, steps) = "
                f"{steps[::-1]}. Received: {values.shape}"
            )
        return None if values.all() else values.T.copy()

    def compute_mask(self, inputs: Any, mask: Any) -> Any:
        first = mask[0] if isinstance(mask, (list, tuple)) else mask
        own = first if self.return_sequences else None
        return [own] + [None] * len(self.state_size) if self.return_state else own

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, steps = input_shape[:2]
        size = output_size(self.cell)
        output = (batch, steps, size) if self.return_sequences else (batch, size)
        if not self.return_state:
            return output
        return (output, *_nested(lambda size: (batch, size), self.state_size))


def _nested(function: Any, parts: Sequence[Any]) -> list[Any]:
    """A function of every part, of those in lists too."""
    return [_nested(function, p) if isinstance(p, (list, tuple)) else function(p) for p in parts]


def _first(parts: Any) -> Any:
    while isinstance(parts, (list, tuple)):
        parts = parts[0]
    return parts
