"""SimpleRNNCell, LSTMCell and GRUCell: Keras' weights, seen by the cells of `tg.rnn`."""

from __future__ import annotations

from operator import is_not
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ....core.random import generator
from ....ops import unstack
from ....ops.regularisation import dropout_mask
from ....rnn import cells
from ....rnn.loop import arrays_suffice
from ....rnn.states import parts_of
from ....tensor import Tensor
from ... import activations, constraints, initializers, regularizers
from ..arguments import count, share
from ..layer import Layer


class RecurrentCell(Layer):
    """What the three cells have in common.

    Args:
        units: U, the number of features of the output.
        activation: of the candidate (SimpleRNN: of the output).
        use_bias: whether there is a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: the initial weights.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: their penalties.
        kernel_constraint, recurrent_constraint, bias_constraint: applied after each update.
        dropout, recurrent_dropout: the shares of the input's and the state's features that are
            dropped while training, the same ones at all steps of a sequence.
        seed: of the dropout; by default it is drawn with everything else that is random.

    A cell that is called by itself drops the same features at every call, as at all steps of a
    sequence, until `reset_dropout_mask` and `reset_recurrent_dropout_mask`.

    Attributes:
        kernel: (I, gates · U), recurrent_kernel: (U, gates · U), bias: (gates · U,) or None.
    """

    gates = 1
    state_parts = 1
    min_ndim = 2

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        *,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.units = count("units", units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = regularizers.get(recurrent_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.recurrent_constraint = constraints.get(recurrent_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.dropout = share("dropout", dropout)
        self.recurrent_dropout = share("recurrent_dropout", recurrent_dropout)
        self.seed = seed
        self._rng = None if seed is None else generator(seed)
        self._kept: dict[str, np.ndarray] = {}  # masks of a cell that is called by itself

    @property
    def state_size(self) -> Any:
        """U; of an LSTM, [U, U] for h and c."""
        return self.units if self.state_parts == 1 else [self.units] * self.state_parts

    @property
    def output_size(self) -> int:
        """U."""
        return self.units

    def build(self, input_shape: Any) -> None:
        size, columns = input_shape[-1], self.gates * self.units
        self.kernel = self.add_weight(
            (size, columns), self.kernel_initializer, name="kernel",
            regularizer=self.kernel_regularizer, constraint=self.kernel_constraint,
        )  # fmt: skip
        self.recurrent_kernel = self.add_weight(
            (self.units, columns), self.recurrent_initializer, name="recurrent_kernel",
            regularizer=self.recurrent_regularizer, constraint=self.recurrent_constraint,
        )  # fmt: skip
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                self._bias_shape(), self._bias_values, name="bias",
                regularizer=self.bias_regularizer, constraint=self.bias_constraint,
            )  # fmt: skip
        self._last_axis = size

    def _bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def _bias_values(self, shape: tuple[int, ...], dtype: Any = None) -> np.ndarray:
        return self.bias_initializer(shape, dtype=dtype)

    def get_initial_state(self, batch_size: int | None = None) -> list[Tensor]:
        """Zeros, each (N, U)."""
        zeros = np.zeros((batch_size or 1, self.units), self.dtype)
        return [Tensor(zeros, name=f"{name}0") for name in "hc"[: self.state_parts]]

    own_kind: type[cells.Cell]  # of `tg.rnn`

    def settings(self) -> dict[str, Any]:
        """What the equations of the cell of `tg.rnn` read besides its weights."""
        raise NotImplementedError

    def turned(self) -> list[Any]:
        """The weights as the cell of `tg.rnn` has them."""
        return [self.kernel.T, self.recurrent_kernel.T, self.bias]

    turned_are_views = True  # so that they show when values are changed in place

    def view(self, recurrent_mask: Any = None) -> Any:
        """The same weights as a cell of `tg.rnn`."""
        settings = self.settings()
        if recurrent_mask is not None:
            return self.own_kind.of_weights(
                *self.turned(), recurrent_mask=_Masked(recurrent_mask), **settings
            )
        known = _known_of(self, settings)
        if not self.turned_are_views or not arrays_suffice():
            return self.own_kind.of_weights(*self.turned(), programs=known.programs, **settings)
        arrays = [None if w is None else w.data for w in self._all()]
        if known.view is None or any(map(is_not, arrays, known.arrays)):
            known.view = self.own_kind.of_weights(
                *self.turned(), programs=known.programs, **settings
            )
            known.arrays = arrays
        return known.view

    def _all(self) -> list[Any]:
        return [self.kernel, self.recurrent_kernel, self.bias]

    def masks(self, batch: int, training: bool) -> dict[str, np.ndarray]:
        """What the input (N, I) and the state (N, U) are multiplied by, if there is dropout."""
        if not training:
            return {}
        drawn = (
            ("input", self.dropout, self.kernel.shape[0]),
            ("state", self.recurrent_dropout, self.units),
        )
        return {
            name: dropout_mask((batch, size), share, self.dtype, generator(self._rng))
            for name, share, size in drawn
            if share
        }

    def _masks_of_calls(self, batch: int, training: bool) -> dict[str, np.ndarray]:
        """The same, those of the call before if they fit."""
        if not training:
            return {}
        if any(len(mask) != batch for mask in self._kept.values()):
            self._kept = {}
        if len(self._kept) < bool(self.dropout) + bool(self.recurrent_dropout):
            self._kept = {**self.masks(batch, training), **self._kept}
        return self._kept

    def reset_dropout_mask(self) -> None:
        """Lets the next call draw which features of the input are dropped."""
        self._kept = {name: mask for name, mask in self._kept.items() if name != "input"}

    def reset_recurrent_dropout_mask(self) -> None:
        """Lets the next call draw which features of the state are dropped."""
        self._kept = {name: mask for name, mask in self._kept.items() if name != "state"}

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        """One step: x (N, I) and the states [h] or [h, c] give h (N, U) and the new states."""
        several = isinstance(states, (list, tuple))
        masks = self._masks_of_calls(inputs.shape[0], training)
        cell = self.view(masks.get("state"))
        x = self.floats(inputs)
        x = x * masks["input"] if "input" in masks else x
        state = tuple(states) if several and self.state_parts > 1 else states
        if several and self.state_parts == 1:
            state = states[0]
        new = list(parts_of(cell.equations(*cell.checked(x, state))))
        return new[0], new if several else new[0]

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = (input_shape[0], self.units)
        return shape, [shape] * self.state_parts


class _Known:
    """What the views of a cell's weights have in common, as long as its settings are the same."""

    def __init__(self, settings: tuple[Any, ...]) -> None:
        self.settings = settings
        self.programs: dict[Any, Any] = {}
        self.view: Any = None  # where no gradient is wanted, and while the arrays are these
        self.arrays: list[Any] = []


_known: WeakKeyDictionary[RecurrentCell, _Known] = WeakKeyDictionary()


def _known_of(cell: RecurrentCell, settings: dict[str, Any]) -> _Known:
    now = (cell.bias is None, *settings.values())
    known = _known.get(cell)
    if known is None or known.settings != now:
        known = _known[cell] = _Known(now)
    return known


class _Masked:
    """Multiplies by a mask."""

    def __init__(self, mask: np.ndarray) -> None:
        self.mask = mask

    def __call__(self, h: Any) -> Any:
        return h * self.mask


class SimpleRNNCell(RecurrentCell):
    """One step of the simple recurrent network, `tg.rnn.RNNCell` with Keras' weights.

    Arguments: see `SimpleRNN`. Called with x (N, I) and [h], it returns h' and [h'].

    >>> import numpy as np
    >>> from tinygrad_rnn import keras
    >>> cell = keras.layers.SimpleRNNCell(4)
    >>> h, states = cell(np.ones((2, 3)), [np.zeros((2, 4))])
    >>> h.shape, len(states)
    ((2, 4), 1)
    """

    own_kind = cells.RNNCell

    def settings(self) -> dict[str, Any]:
        return {"nonlinearity": self.activation}


class LSTMCell(RecurrentCell):
    """One step of the long short-term memory, `tg.rnn.LSTMCell` with Keras' weights.

    Arguments: see `LSTM`. The columns of the kernels stand in the order i, f, c, o. Called with
    x (N, I) and [h, c], it returns h' and [h', c'].
    """

    gates = 4
    state_parts = 2
    own_kind = cells.LSTMCell

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        *,
        unit_forget_bias: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(units, activation, use_bias, **options)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias

    def _bias_values(self, shape: tuple[int, ...], dtype: Any = None) -> np.ndarray:
        if not self.unit_forget_bias:
            return super()._bias_values(shape, dtype)
        first, rest = (super(LSTMCell, self)._bias_values((k * self.units,), dtype) for k in (1, 2))
        return np.concatenate([first, np.ones(self.units, dtype), rest])

    def settings(self) -> dict[str, Any]:
        return {
            "activation": self.activation,
            "recurrent_activation": self.recurrent_activation,
            "weight_hr": None,
        }


class GRUCell(RecurrentCell):
    """One step of the gated recurrent unit, `tg.rnn.GRUCell` with Keras' weights.

    Arguments: see `GRU`. The columns of the kernels stand in the order z, r, h; with `reset_after`
    the bias is (2, 3 · U), one row for the input and one for the state. Called with x (N, I) and
    [h], it returns h' and [h'].
    """

    gates = 3
    own_kind = cells.GRUCell

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        *,
        reset_after: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(units, activation, use_bias, **options)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.reset_after = reset_after

    def _bias_shape(self) -> tuple[int, ...]:
        columns = 3 * self.units
        return (2, columns) if self.reset_after else (columns,)

    def settings(self) -> dict[str, Any]:
        return {
            "activation": self.activation,
            "recurrent_activation": self.recurrent_activation,
            "reset_after": self.reset_after,
            "update_first": True,
        }

    def turned(self) -> list[Any]:
        weights = [*super().turned(), None]
        if self.bias is not None and self.reset_after:
            weights[2:] = unstack(self.bias)
        return weights
