"""Recurrent layers: cells run over sequences, stacked and in both directions."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np

from ..core.context import scope
from ..core.errors import ShapeError, did_you_mean
from ..core.random import generator
from ..module import Module, floating
from ..ops import concatenate, dropout, expand_dims, stack, swapaxes
from ..ops.regularisation import check_probability
from ..tensor import Tensor
from .cells import GRUCell, LSTMCell, LSTMState, RNNCell
from .loop import scan


class Recurrent(Module):
    """Any cell as a layer: over time, stacked, in one direction or both.

    The parameters of the cell of layer k are this module's, with ``_l{k}`` after their names, and
    ``_l{k}_reverse`` for the direction from the end to the beginning.

    Args:
        cell_class: called as ``cell_class(input_size, hidden_size, **options)``; see `scan` for
            what a cell is.
        input_size: I, the number of features of the input.
        hidden_size: H, the number of features of each direction's output.
        num_layers: how many layers, each reading the outputs of the one before.
        batch_first: whether input and output are (N, T, …) instead of (T, N, …). States are not
            affected, as in PyTorch.
        dropout: probability of dropping each output between layers, while training.
        bidirectional: whether a second cell reads each sequence from its end.
        rng: generator or seed for the initial values.
        options: further arguments of the cell.

    Called as ``layer(x, state)`` with

        x       (T, N, I); (N, T, I) with batch_first; (T, I) for a single sequence
        state   each part (D·num_layers, N, H), D = 2 if bidirectional else 1; (D·num_layers, H) for
                a single sequence; None for the cell's initial state. Row k·D + d belongs to layer
                k, direction d.

    it returns ``(output, state)``:

        output  (T, N, D·H), laid out as x: the last layer's outputs at every step, the directions
                side by side
        state   as above: the state of every layer and direction after its last step
    """

    _unlisted = Module._unlisted | {"_cells"}  # their parameters are the layer's, by flat names

    def __init__(
        self,
        cell_class: Any,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        rng: np.random.Generator | int | None = None,
        **options: Any,
    ) -> None:
        _check_layers(num_layers, dropout, stacklevel=4 if type(self) is Recurrent else 5)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self._rng = None if rng is None else generator(rng)
        self._cells: list[Any] = []
        self._names: list[str] = []  # of the parameters of a cell
        self._make_cells(cell_class, self._cell_options(cell_class, options))

    def _cell_options(self, cell_class: Any, options: dict[str, Any]) -> dict[str, Any]:
        """What each cell is made with, besides its sizes."""
        accepted = _arguments(cell_class)
        for name in options:
            if accepted is not None and name not in accepted:
                known = [*inspect.signature(Recurrent.__init__).parameters, *accepted]
                raise TypeError(
                    f"{type(self).__name__} of {cell_class.__name__} has no argument {name!r}."
                    + did_you_mean(name, known)
                )
        takes_rng = accepted is None or "rng" in accepted
        return {**options, "rng": generator(self._rng)} if takes_rng else options

    def _make_cells(self, cell_class: Any, options: dict[str, Any]) -> None:
        """Makes the cell of each layer and direction, and its parameters this module's."""
        directions = 2 if self.bidirectional else 1
        for layer in range(self.num_layers):
            size = self.hidden_size * directions if layer else self.input_size
            for direction in range(directions):
                cell = cell_class(size, self.hidden_size, **options)
                self._cells.append(cell)
                parameters = dict(cell.named_parameters())
                self._names = list(parameters)
                for name, parameter in parameters.items():
                    flat = self._flat_name(name, layer, direction)
                    setattr(self, flat, parameter)
                    parameter._place.move(flat, self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for name, parameter in self._own():
            parameter._place.move(name, self)

    @staticmethod
    def _flat_name(name: str, layer: int, direction: int) -> str:
        return f"{name}_l{layer}" + ("_reverse" if direction else "")

    def _cell(self, layer: int, direction: int) -> Any:
        """A layer's cell, with the parameters and the mode that this module has now."""
        cell = self._cells[layer * (2 if self.bidirectional else 1) + direction]
        for name in self._names:
            if "." not in name:
                vars(cell)[name] = getattr(self, self._flat_name(name, layer, direction))
        if cell.training is not self.training:
            cell.train(self.training)
        return cell

    def forward(self, input: Any, hx: Any = None) -> tuple[Tensor, Any]:
        x = self._checked_input(input)
        single = x.ndim == 2
        if single:
            x = expand_dims(x, 1)
        elif self.batch_first:
            x = swapaxes(x, 0, 1)
        states = self._initial_states(x, hx, single)
        directions = 2 if self.bidirectional else 1
        finals: list[Any] = []
        for layer in range(self.num_layers):
            if layer and self.dropout and self.training:
                x = dropout(x, self.dropout, self._rng)
            outputs = []
            for direction in range(directions):
                with scope(self._flat_name("", layer, direction)[1:]):
                    cell = self._cell(layer, direction)
                    ys, final = scan(cell, x, states[len(finals)], reverse=direction == 1)
                outputs.append(ys)
                finals.append(final)
            x = outputs[0] if directions == 1 else concatenate(outputs, axis=-1)
        if single:
            x = x[:, 0]
        elif self.batch_first:
            x = swapaxes(x, 0, 1)
        return x, self._joined(finals, single)

    def _checked_input(self, x: Any) -> Tensor:
        kind = type(self).__name__
        x = floating(x, self.dtype, f"the input of {kind}")
        if x.ndim not in (2, 3):
            raise ShapeError(
                f"{kind}: Expected input to be 2D or 3D, got {x.ndim}D instead: (time, features) "
                "for one sequence, " + self._layout() + " for a batch"
            )
        if x.shape[-1] != self.input_size:
            raise ShapeError(
                f"{kind}: input.size(-1) must be equal to input_size. Expected {self.input_size}, "
                f"got {x.shape[-1]} (the input has the shape {x.shape}; its last axis is features)"
            )
        time = 1 if self.batch_first and x.ndim == 3 else 0
        if x.shape[time] == 0:
            raise ShapeError(
                f"{kind}: Expected sequence length to be larger than 0 (the input has the shape "
                f"{x.shape}; time is axis {time})"
            )
        return x

    def _layout(self) -> str:
        return "(batch, time, features)" if self.batch_first else "(time, batch, features)"

    def _initial_states(self, x: Tensor, state: Any, single: bool) -> list[Any]:
        """A state, or None, for every layer and direction."""
        count = self.num_layers * (2 if self.bidirectional else 1)
        if state is None:
            return [None] * count
        model = self._model_state(x, state, single)
        if not isinstance(model, tuple):
            if isinstance(state, (tuple, list)):
                raise ShapeError(
                    f"{type(self).__name__}: the state is one array, got {len(state)} parts"
                )
            part = self._checked_state(state, model, count, single, "hidden")
            return [part[k] for k in range(count)]
        if not isinstance(state, (tuple, list)) or len(state) != len(model):
            names = ", ".join(getattr(model, "_fields", [f"s{i}" for i in range(len(model))]))
            raise ShapeError(
                f"{type(self).__name__}: the state is a tuple ({names}), got "
                + (
                    f"{len(state)} parts"
                    if isinstance(state, (tuple, list))
                    else f"one array of shape {np.shape(state)}"
                )
            )
        parts = [
            self._checked_state(part, like, count, single, f"hidden[{i}]")
            for i, (part, like) in enumerate(zip(state, model, strict=True))
        ]
        return [_like(model, [part[k] for part in parts]) for k in range(count)]

    def _model_state(self, x: Tensor, state: Any, single: bool) -> Any:
        """A state of one cell, for its structure and shapes: the cell's own, or else as given."""
        cell = self._cells[0]
        if hasattr(cell, "initial_state"):
            return cell.initial_state((x.shape[1],), self.dtype)
        if isinstance(state, (tuple, list)):
            return _like(state, [self._model_state(x, part, single) for part in state])
        return np.zeros((x.shape[1], *np.shape(state)[1 if single else 2 :]), self.dtype)

    def _checked_state(self, part: Any, like: Tensor, count: int, single: bool, name: str) -> Any:
        kind = type(self).__name__
        part = floating(part, self.dtype, f"the state of {kind}")
        expected = (count, *like.shape)
        if single:
            if part.ndim != 2:
                raise ShapeError(
                    f"{kind}: For unbatched 2-D input, the state should also be 2-D but got a "
                    f"{part.ndim}-D one"
                )
            expected = (count, *like.shape[1:])
        if part.shape != expected:
            raise ShapeError(
                f"{kind}: Expected {name} size {expected}, got {part.shape}. The axes of a state "
                "are (directions × layers, batch, features)"
                + (", also with batch_first=True" if self.batch_first else "")
            )
        return expand_dims(part, 1) if single else part

    def _joined(self, finals: list[Any], single: bool) -> Any:
        """The final states of all layers and directions, stacked part by part."""
        if not isinstance(finals[0], tuple):
            joined = stack(finals)
            return joined[:, 0] if single else joined
        parts = [stack(part) for part in zip(*finals, strict=True)]
        return _like(finals[0], [part[:, 0] if single else part for part in parts])

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if type(self) is Recurrent:
            text = f"{type(self._cells[0]).__name__}, {text}"
        for name, default in (
            ("num_layers", 1),
            ("bias", True),
            ("batch_first", False),
            ("dropout", 0.0),
            ("bidirectional", False),
        ):
            value = getattr(self, name, default)
            if value != default:
                text += f", {name}={value}"
        return text


def _like(model: Any, parts: list[Any]) -> Any:
    """`parts` as a tuple of the same kind as `model`."""
    return model._make(parts) if hasattr(model, "_make") else tuple(parts)


def _check_layers(num_layers: Any, dropout: Any, stacklevel: int) -> None:
    check_probability(dropout)
    if isinstance(num_layers, bool) or not isinstance(num_layers, (int, np.integer)):
        raise TypeError(f"num_layers should be of type int, got: {type(num_layers).__name__}")
    if num_layers <= 0:
        raise ValueError("num_layers must be greater than zero")
    if dropout > 0 and num_layers == 1:
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout "
            f"expects num_layers greater than 1, but got dropout={dropout} and "
            f"num_layers={num_layers}",
            stacklevel=stacklevel,
        )


def _arguments(cell_class: Any) -> list[str] | None:
    """The names of the arguments that a cell class takes; None if it takes any."""
    made_by: Any = cell_class
    if isinstance(cell_class, type):
        made_by = cell_class.__init__  # type: ignore[misc]
    parameters = inspect.signature(made_by).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return None if takes_any else list(parameters)


class RNN(Recurrent):
    """The simple (Elman) recurrent network; at each step, in each layer:

        h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)

    Arguments, parameter names and shapes, initial values and results are PyTorch's; see `Recurrent`
    for the shapes and `RNNCell` for the equation.

    Args:
        nonlinearity: "tanh" or "relu".

    >>> import numpy as np, tinygrad_rnn as tg
    >>> rnn = tg.nn.RNN(5, 8, num_layers=2, batch_first=True, bidirectional=True)
    >>> output, h_n = rnn(np.zeros((1, 10, 5)))
    >>> output.shape, h_n.shape
    ((1, 10, 16), (4, 1, 8))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        dtype: Any = np.float32,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        self.nonlinearity = nonlinearity
        self.bias = bias
        super().__init__(
            RNNCell, input_size, hidden_size, num_layers, batch_first=batch_first,
            dropout=dropout, bidirectional=bidirectional, rng=rng, dtype=dtype,
            bias=bias, nonlinearity=nonlinearity,
        )  # fmt: skip


class LSTM(Recurrent):
    """The long short-term memory; see `LSTMCell` for the equations and `Recurrent` for the shapes.

    Arguments, parameter names and shapes, the order of the gates (i, f, g, o), initial values and
    results are PyTorch's. The state is a named tuple ``(h, c)``.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> lstm = tg.nn.LSTM(5, 8)
    >>> output, (h_n, c_n) = lstm(np.zeros((10, 1, 5)))
    >>> output.shape, h_n.shape, c_n.shape
    ((10, 1, 8), (1, 1, 8), (1, 1, 8))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        dtype: Any = np.float32,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        self.bias = bias
        super().__init__(
            LSTMCell, input_size, hidden_size, num_layers, batch_first=batch_first,
            dropout=dropout, bidirectional=bidirectional, rng=rng, dtype=dtype, bias=bias,
        )  # fmt: skip


class GRU(Recurrent):
    """The gated recurrent unit; see `GRUCell` for the equations and `Recurrent` for the shapes.

    Arguments, parameter names and shapes, the order of the gates (r, z, n), initial values and
    results are PyTorch's.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> output, h_n = tg.nn.GRU(5, 8)(np.zeros((10, 5)))
    >>> output.shape, h_n.shape
    ((10, 8), (1, 8))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        dtype: Any = np.float32,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        self.bias = bias
        super().__init__(
            GRUCell, input_size, hidden_size, num_layers, batch_first=batch_first,
            dropout=dropout, bidirectional=bidirectional, rng=rng, dtype=dtype, bias=bias,
        )  # fmt: skip


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
        return _like(state, [detach(part) for part in state])
    if isinstance(state, dict):
        return {name: detach(part) for name, part in state.items()}
    if state is None or isinstance(state, (np.ndarray, float, int)):
        return state
    raise TypeError(
        f"rnn.detach takes a Tensor, or a tuple, list or dict of them, not {state!r:.60}"
    )


__all__ = ["GRU", "LSTM", "RNN", "LSTMState", "Recurrent", "detach"]
