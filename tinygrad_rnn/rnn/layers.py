"""Recurrent layers: cells run over sequences, stacked and in both directions."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ..core.context import scope
from ..core.errors import ShapeError, did_you_mean
from ..core.random import generator
from ..module import Module, Parameter, accepted_arguments, floating
from ..ops import concatenate, dropout, expand_dims, stack, swapaxes
from ..ops.regularisation import check_probability
from ..tensor import Tensor, as_tensor
from .cells import Cell, GRUCell, LSTMCell, RNNCell, check_count, check_structure
from .lengths import layout_hint, real_steps
from .loop import scan
from .packing import PackedSequence, pack_like, pad_packed_sequence
from .protocol import advance, for_sequence, initial_state, output_of
from .states import like, map_parts, parts_of
from .streaming import step_on_arrays
from .wrappers import innermost


class Recurrent(Module):
    """Any cell as a layer: over time, stacked, in one direction or both.

    The parameters of the cell of layer k are this module's, with ``_l{k}`` after their names, and
    ``_l{k}_reverse`` for the direction from the end to the beginning.

    Args:
        cell_class: called as ``cell_class(input_size, hidden_size, **options)``; see `scan` for
            what a cell is. One with parameters derives from `Module`.
        input_size: I, the number of features of the input.
        hidden_size: H, the number of features of each direction's output (unless the cell has
            another `output_size`).
        num_layers: how many layers, each reading the outputs of the one before.
        batch_first: whether input and output are (N, T, …) instead of (T, N, …). States are not
            affected, as in PyTorch.
        dropout: probability of dropping each output between layers, while training.
        bidirectional: whether a second cell reads each sequence from its end.
        wrap: called with each cell, to put a wrapper around it, such as ``tg.rnn.Residual`` or
            ``lambda cell: tg.rnn.Zoneout(cell, 0.1)``.
        checkpoint_every: recompute stretches of so many steps in the backward pass: see `scan`.
        fold: run cells as programs made from their steps, where that can be: see `scan`.
        rng: generator or seed for the initial values and dropout masks.
        options: further arguments of the cell.

    Called as ``layer(x, state, lengths=None, mask=None)`` with

        x        (T, N, I); (N, T, I) with batch_first; (T, I) for a single sequence; or a
                 PackedSequence
        state    each part (D·num_layers, N, H), D = 2 if bidirectional else 1; (D·num_layers, H)
                 for a single sequence; None for the cell's initial state. Row k·D + d belongs to
                 layer k, direction d.
        lengths  (N,) integers from 0 to T, in any order: how many steps of each sequence are real.
                 The rest is padding: it has no influence on any result or gradient.
        mask     booleans as the leading axes of x, True at real steps; instead of lengths

    it returns ``(output, state)``:

        output   (T, N, D·H), laid out as x: the last layer's outputs at every step, the directions
                 side by side; zero where a step isn't real
        state    as above: the state of every layer and direction after the last real step that it
                 reads

    Raises:
        ValueError: if something doesn't fit in shape; the message names the remedy.
        TypeError: if input or state isn't of floats, lengths not of integers, a mask not boolean.
    """

    _unlisted = Module._unlisted | {"_cells"}  # their parameters are the layer's, by flat names

    def __init__(
        self,
        cell_class: Callable[..., Any],
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        wrap: Callable[[Any], Any] | None = None,
        checkpoint_every: int | None = None,
        fold: bool = True,
        rng: np.random.Generator | int | None = None,
        **options: Any,
    ) -> None:
        for role, maker in (("cell_class", cell_class), ("wrap", wrap)):
            if isinstance(maker, Module):
                raise TypeError(
                    f"{type(self).__name__}: {role} makes cells, one for each layer and direction; "
                    f"got a cell, {maker!r:.60}: give its class, or lambda cell: Zoneout(cell, 0.1)"
                )
        _check_switches(batch_first=batch_first, bidirectional=bidirectional)
        check_count("num_layers", num_layers)
        if checkpoint_every is not None:
            check_count("checkpoint_every", checkpoint_every)
        check_probability(dropout)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.checkpoint_every = checkpoint_every
        self.fold = fold
        self._rng = None if rng is None else generator(rng)
        self._cells: list[Any] = []
        self._flat: dict[str, tuple[int, str]] = {}  # of a parameter: its cell, its name in it
        if dropout > 0 and num_layers == 1:
            _warn_of_dropout(dropout, stacklevel=4 if type(self) is Recurrent else 5)
        self._make_cells(cell_class, wrap, self._cell_options(cell_class, options))

    def _cell_options(
        self, cell_class: Callable[..., Any], options: dict[str, Any]
    ) -> dict[str, Any]:
        """What each cell is made with, besides its sizes."""
        accepted = accepted_arguments(cell_class)
        for name in options:
            if accepted is not None and name not in accepted:
                known = dict.fromkeys(
                    [*inspect.signature(Recurrent.__init__).parameters, *accepted]
                )
                made_of = getattr(cell_class, "__name__", "this cell")
                hint = " Only LSTM has it." if name == "proj_size" else did_you_mean(name, known)
                raise TypeError(
                    f"{type(self).__name__} of {made_of} has no argument {name!r}.{hint}"
                )
        takes_rng = accepted is None or "rng" in accepted
        return {**options, "rng": generator(self._rng)} if takes_rng else options

    def _make_cells(
        self,
        cell_class: Callable[..., Any],
        wrap: Callable[[Any], Any] | None,
        options: dict[str, Any],
    ) -> None:
        """Makes the cell of each layer and direction."""
        size = self.input_size
        for layer in range(self.num_layers):
            for direction in range(self.directions):
                cell = cell_class(size, self.hidden_size, **options)
                self._adopt(cell if wrap is None else wrap(cell), layer, direction)
            width = getattr(self._cells[-1], "output_size", None) or self.hidden_size
            size = width * self.directions

    def _adopt(self, cell: Any, layer: int, direction: int) -> None:
        """Takes a cell, its parameters under their flat names."""
        if not callable(cell):
            raise TypeError(f"{type(self).__name__}: a cell is callable, got {cell!r:.60}")
        if isinstance(cell, Module):
            for name, parameter in cell.named_parameters():
                flat = _flat_name(name, layer, direction)
                self._flat[flat] = (len(self._cells), name)
                parameter._place.move(flat, self)
        self._cells.append(cell)

    @property
    def directions(self) -> int:
        """1, or 2 if bidirectional."""
        return 2 if self.bidirectional else 1

    # The cells' parameters are attributes of the layer

    def __getattr__(self, name: str) -> Any:
        place = vars(self).get("_flat", {}).get(name)
        if place is None:
            raise AttributeError(
                f"{type(self).__name__} has no attribute {name!r}."
                + did_you_mean(name, [*dir(type(self)), *vars(self).get("_flat", {})])
            )
        owner, key = _owner(self._cells[place[0]], place[1])
        return owner[key] if isinstance(owner, (list, dict)) else getattr(owner, key)

    def __setattr__(self, name: str, value: Any) -> None:
        place = vars(self).get("_flat", {}).get(name)
        if place is None:
            super().__setattr__(name, value)
            if name == "training":
                for cell in vars(self).get("_cells", ()):
                    if isinstance(cell, Module):
                        cell.train(value)
            return
        self._check_replacement(name, getattr(self, name), value)
        if isinstance(value, Parameter):
            value._place.take(name, self)
        owner, key = _owner(self._cells[place[0]], place[1])
        if isinstance(owner, (list, dict)):
            owner[key] = value
        else:
            setattr(owner, key, value)

    def __dir__(self) -> Iterable[str]:
        return [*super().__dir__(), *self._flat]

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for name, parameter in self._own():
            parameter._place.move(name, self)

    def _own(self) -> Iterator[tuple[str, Parameter | Module]]:
        for flat in self._flat:
            parameter = getattr(self, flat)
            if isinstance(parameter, Parameter):
                yield flat, parameter
        yield from super()._own()

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the cells' parameters; float32 if there are none."""
        first = self._cells[0]
        return first.dtype if isinstance(first, Module) else super().dtype

    def flatten_parameters(self) -> None:
        """Does nothing; PyTorch's layers have it for cuDNN."""

    # A sequence

    def forward(
        self, input: Any, hx: Any = None, *, lengths: Any = None, mask: Any = None
    ) -> tuple[Any, Any]:
        if isinstance(input, PackedSequence):
            return self._packed(input, hx, lengths, mask)
        x = self._checked_input(input)
        single = x.ndim == 2
        if not single and self.batch_first:
            x = swapaxes(x, 0, 1)
        real = real_steps(lengths, mask, x.shape[:-1], self.title, self.batch_first and not single)
        if single:
            x, real = expand_dims(x, 1), None if real is None else real[:, None]
        states = self._initial_states(hx, x.shape[1], single, len(x))
        x, finals = self._run(x, states, real)
        if single:
            x = x[:, 0]
        elif self.batch_first:
            x = swapaxes(x, 0, 1)
        return x, self._joined(finals, single)

    def _run(
        self, x: Tensor, states: Sequence[Any], real: np.ndarray | None
    ) -> tuple[Tensor, list[Any]]:
        """All layers over x (T, N, I): the output and the final state of every cell."""
        finals: list[Any] = []
        for layer in range(self.num_layers):
            x = self._between(x, layer)
            outputs = []
            for direction in range(self.directions):
                index = len(finals)
                with scope(_flat_name("", layer, direction)[1:]):
                    ys, final = scan(
                        self._cells[index],
                        x,
                        states[index],
                        reverse=direction == 1,
                        mask=real,
                        checkpoint_every=self.checkpoint_every,
                        fold=self.fold,
                    )
                outputs.append(ys)
                finals.append(final)
            x = outputs[0] if self.directions == 1 else concatenate(outputs, axis=-1)
        return x, finals

    def _between(self, x: Any, layer: int) -> Any:
        """The input of a layer, with dropout if another one comes before it."""
        drops = layer and self.dropout and self.training
        return dropout(x, self.dropout, self._rng) if drops else x

    def _packed(
        self, packed: PackedSequence, hx: Any, lengths: Any, mask: Any
    ) -> tuple[PackedSequence, Any]:
        """A packed input as a padded one, and the output packed in the same way."""
        if lengths is not None or mask is not None:
            raise ValueError(f"{self.title}: a PackedSequence knows its lengths; give no others")
        if packed.data.ndim != 2:
            raise ShapeError(
                f"{self.title}: input must have 2 dimensions, got {packed.data.ndim}: the data of "
                "a PackedSequence is (steps of all sequences, features)"
            )
        data = self._checked_features(floating(packed.data, self, self.dtype))
        x, lengths = pad_packed_sequence(packed._replace(data=data))
        real = real_steps(lengths, None, x.shape[:2], self.title)
        states = self._initial_states(hx, x.shape[1], False)
        output, finals = self._run(x, states, real)
        return pack_like(output, packed), self._joined(finals, False)

    # A step

    def step(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """One step in time: what the layer gives for a sequence of one step, at less cost.

        Feeding a sequence step by step, handing the state on, gives what the whole gives at once.
        Within ``no_grad`` the equations run on plain arrays.

        Args:
            input: (N, I), or (I,) for a single sequence.
            hx: the state, as the layer takes and returns it; None for the initial one.

        Returns:
            The output, (N, H) or (H,), and the new state.

        Raises:
            ValueError: if the layer is bidirectional; if a shape doesn't fit.

        >>> import numpy as np, tinygrad_rnn as tg
        >>> lstm, state = tg.nn.LSTM(3, 4), None
        >>> with tg.no_grad():
        ...     for x in np.ones((10, 1, 3)):
        ...         output, state = lstm.step(x, state)
        >>> output.shape, state.h.shape
        ((1, 4), (1, 1, 4))
        """
        if self.bidirectional:
            raise ValueError(
                f"{self.title}: step: a bidirectional layer reads the sequence from its end too, "
                "so it can't go step by step; make it with bidirectional=False"
            )
        if not (self.training and self.dropout):
            quick = step_on_arrays(self, input, hx)
            if quick is not None:
                return quick
        x = floating(input, self, self.dtype)
        if x.ndim not in (1, 2):
            raise ShapeError(
                f"{self.title}: step: Expected input to be 1D or 2D, got {x.ndim}D instead: "
                "(features,) for one sequence, (batch, features) for several; time has no axis here"
            )
        x = self._checked_features(x)
        single = x.ndim == 1
        if single:
            x = expand_dims(x, 0)
        x, finals = self._step(x, self._initial_states(hx, len(x), single))
        return x[0] if single else x, self._joined(finals, single)

    def _step(self, x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        finals = []
        for layer, (cell, state) in enumerate(zip(self._cells, states, strict=True)):
            x = self._between(x, layer)
            if state is None:
                state = initial_state(cell, x.shape[:1], self.dtype)
            cell = for_sequence(cell, state)
            with scope(f"l{layer}"):
                state = advance(cell, x, state)
                x = output_of(cell)(x, state)
            finals.append(state)
        return as_tensor(x), finals

    # What is given

    def _checked_input(self, x: Any) -> Tensor:
        x = floating(x, self, self.dtype)
        if x.ndim not in (2, 3):
            layout = "(batch, time, features)" if self.batch_first else "(time, batch, features)"
            raise ShapeError(
                f"{self.title}: Expected input to be 2D or 3D, got {x.ndim}D instead: "
                f"(time, features) for one sequence, {layout} for a batch"
            )
        self._checked_features(x)
        time = 1 if self.batch_first and x.ndim == 3 else 0
        if x.shape[time] == 0:
            raise ShapeError(
                f"{self.title}: Expected sequence length to be larger than 0 (the input has the "
                f"shape {x.shape}; time is axis {time})"
            )
        return x

    def _checked_features(self, x: Tensor) -> Tensor:
        if x.shape[-1] != self.input_size:
            raise ShapeError(
                f"{self.title}: input.size(-1) must be equal to input_size. Expected "
                f"{self.input_size}, got {x.shape[-1]} (the input has the shape {x.shape}; its "
                "last axis is features)"
            )
        return x

    def _initial_states(self, hx: Any, batch: int, single: bool, steps: int = -1) -> list[Any]:
        """A state, or None, for every cell."""
        count = len(self._cells)
        if hx is None:
            return [None] * count
        model, shapes = self._state_model(hx, batch, single)
        check_structure(hx, model, self)
        parts = []
        for i, (part, shape) in enumerate(zip(parts_of(hx), shapes, strict=True)):
            name = "hidden" if len(shapes) == 1 else f"hidden[{i}]"
            part = floating(part, self, self.dtype, "state")
            self._check_state(part.shape, (count, *shape), single, name, steps)
            parts.append(expand_dims(part, 1) if single else part)
        return [like(model, [part[k] for part in parts]) for k in range(count)]

    def _state_model(self, hx: Any, batch: int, single: bool) -> tuple[Any, list[tuple[int, ...]]]:
        """A state of a cell, for its structure; and the shape of each part."""
        cell = innermost(self._cells[0])
        if isinstance(cell, Cell) and (sizes := cell.state_size) is not None:
            return sizes, [(batch, size) for size in parts_of(sizes)]
        if hasattr(cell, "initial_state"):
            model = cell.initial_state((batch,), self.dtype)
            return model, [np.shape(part) for part in parts_of(model)]
        first = 1 if single else 2
        return hx, [(batch, *np.shape(part)[first:]) for part in parts_of(hx)]

    def _check_state(
        self,
        shape: tuple[int, ...],
        expected: tuple[int, ...],
        single: bool,
        name: str,
        steps: int,
    ) -> None:
        if single:
            if len(shape) != 2:
                raise ShapeError(
                    f"{self.title}: For unbatched 2-D input, the state should also be 2-D but got "
                    f"a {len(shape)}-D one"
                )
            expected = (expected[0], *expected[2:])
        if shape == expected:
            return
        hint = ", also with batch_first=True" if self.batch_first else ""
        if shape == (expected[1], expected[0], *expected[2:]):
            hint += "; this one has its first two axes exchanged: np.swapaxes(state, 0, 1)"
        elif not single and shape == (expected[0], steps, *expected[2:]):
            hint += layout_hint(self.batch_first)
        raise ShapeError(
            f"{self.title}: Expected {name} size {expected}, got {shape}. The axes of a state are "
            f"(directions × layers, batch, features){hint}"
        )

    def _joined(self, finals: list[Any], single: bool) -> Any:
        """The final states of all cells, stacked part by part."""

        def joined(*parts: Any) -> Tensor:
            whole = as_tensor(stack(parts) if len(parts) > 1 else expand_dims(parts[0], 0))
            return whole[:, 0] if single else whole

        return map_parts(joined, *finals)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if type(self) is Recurrent:
            text = f"{type(self._cells[0]).__name__}, {text}"
        for name, default in (
            ("proj_size", 0),
            ("num_layers", 1),
            ("bias", True),
            ("batch_first", False),
            ("dropout", 0.0),
            ("bidirectional", False),
            ("checkpoint_every", None),
            ("fold", True),
        ):
            value = getattr(self, name, default)
            if value != default:
                text += f", {name}={value}"
        return text


def _flat_name(name: str, layer: int, direction: int) -> str:
    return f"{name}_l{layer}" + ("_reverse" if direction else "")


def _owner(cell: Any, name: str) -> tuple[Any, Any]:
    """What holds a cell's parameter of that dotted name: a module, list or dict, and the key."""
    *outer, last = name.split(".")
    owner = cell
    for key in outer:
        owner = (
            owner[_key(owner, key)]
            if isinstance(owner, (list, tuple, dict))
            else getattr(owner, key)
        )
    return owner, _key(owner, last)


def _key(owner: Any, text: str) -> Any:
    if isinstance(owner, dict):
        return next(key for key in owner if str(key) == text)
    return int(text) if isinstance(owner, (list, tuple)) else text


def _check_switches(**switches: Any) -> None:
    for name, value in switches.items():
        if not isinstance(value, (bool, np.bool_)):
            raise TypeError(f"{name} should be of type bool, got: {type(value).__name__}")


def _warn_of_dropout(dropout: float, stacklevel: int) -> None:
    warnings.warn(
        "dropout option adds dropout after all but last recurrent layer, so non-zero dropout "
        f"expects num_layers greater than 1, but got dropout={dropout} and num_layers=1",
        stacklevel=stacklevel,
    )


class RNN(Recurrent):
    """The simple (Elman) recurrent network; at each step, in each layer:

        h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)

    Arguments, parameter names and shapes, initial values and results are PyTorch's; see `Recurrent`
    for the shapes and `RNNCell` for the equation.

    Args:
        nonlinearity: "tanh" or "relu", or a function.
        options: further arguments of `Recurrent` (wrap, checkpoint_every, rng) and `RNNCell`
            (recurrent_init, dtype).

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
        nonlinearity: Any = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        **options: Any,
    ) -> None:
        self.nonlinearity = nonlinearity
        self.bias = bias
        super().__init__(
            RNNCell, input_size, hidden_size, num_layers, batch_first=batch_first,
            dropout=dropout, bidirectional=bidirectional, bias=bias, nonlinearity=nonlinearity,
            **options,
        )  # fmt: skip


class LSTM(Recurrent):
    """The long short-term memory; see `LSTMCell` for the equations and `Recurrent` for the shapes.

    Arguments, parameter names and shapes, the order of the gates (i, f, g, o), initial values and
    results are PyTorch's. The state is a named tuple ``(h, c)``.

    Args:
        proj_size: P, if h, and so the output, is to have fewer features than c.
        options: further arguments of `Recurrent` (wrap, checkpoint_every, rng) and `LSTMCell`
            (forget_bias, activation, recurrent_activation, recurrent_init, dtype).

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
        proj_size: int = 0,
        **options: Any,
    ) -> None:
        self.bias = bias
        self.proj_size = proj_size
        super().__init__(
            LSTMCell, input_size, hidden_size, num_layers, batch_first=batch_first,
            dropout=dropout, bidirectional=bidirectional, bias=bias, proj_size=proj_size, **options,
        )  # fmt: skip


class GRU(Recurrent):
    """The gated recurrent unit; see `GRUCell` for the equations and `Recurrent` for the shapes.

    Arguments, parameter names and shapes, the order of the gates (r, z, n), initial values and
    results are PyTorch's.

    Args:
        options: further arguments of `Recurrent` (wrap, checkpoint_every, rng) and `GRUCell`
            (reset_after, activation, recurrent_activation, recurrent_init, dtype).

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
        **options: Any,
    ) -> None:
        self.bias = bias
        super().__init__(
            GRUCell, input_size, hidden_size, num_layers, batch_first=batch_first,
            dropout=dropout, bidirectional=bidirectional, bias=bias, **options,
        )  # fmt: skip
