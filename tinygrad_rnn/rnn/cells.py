"""The recurrent cells: each is its equations, for one step in time.

A cell is called ``cell(x, state) -> new_state``. The state is an argument and a result, never kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import FunctionType
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from .. import init
from ..core.errors import ShapeError, did_you_mean
from ..core.primitive import composites, registry
from ..core.random import generator
from ..module import Module, Parameter, floating
from ..ops import linear, split
from ..tensor import Tensor, named
from .states import LSTMState, is_tuple, like, map_parts, part_names, parts_of, same_parts

Activation = str | Callable[[Any], Any]


def function(activation: Activation) -> Callable[[Any], Any]:
    """The function of that name, such as "tanh" or "linear"; a function is taken as it is.

    Raises:
        ValueError: if there is none of that name.
    """
    if callable(activation):
        return activation
    if activation == "linear":
        return lambda x: x
    found = registry.get(activation) or composites.get(activation)
    if found is None:
        raise ValueError(
            f"there is no activation {activation!r}."
            + did_you_mean(str(activation), [*registry, *composites, "linear"])
            + " Give a name such as 'tanh', 'sigmoid', 'relu' or 'linear', or a function"
        )
    return found


def known(activation: Activation) -> Activation:
    """An activation that there is."""
    function(activation)
    return activation


class Cell(Module):
    """What the cells here have in common: weights for the input and for the hidden state.

    A subclass writes its step as `equations(x, state)`; `forward` checks and fills in what it is
    given, and calls them.

    Args:
        input_size: I, the number of features of x.
        hidden_size: H, the number of features of h.
        bias: whether there are bias_ih and bias_hh.
        recurrent_init: "uniform" as the other weights; or "orthogonal": the matrix of each gate
            (Saxe et al. 2013, "Exact solutions to the nonlinear dynamics of learning").
        dtype: of the parameters.
        rng: generator or seed for the initial values, U(-1/√H, 1/√H).

    Attributes:
        weight_ih: (gates * hidden_size, input_size)
        weight_hh: (gates * hidden_size, hidden_size)
        bias_ih, bias_hh: (gates * hidden_size,), or None with bias=False
    """

    gates = 1
    proj_size = 0
    recurrent_mask: Callable[[Any], Any] | None = None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        recurrent_init: str = "uniform",
        dtype: Any = np.float32,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        check_count("input_size", input_size)
        check_count("hidden_size", hidden_size)
        if not isinstance(bias, (bool, np.bool_)):
            raise TypeError(f"bias should be of type bool, got: {type(bias).__name__}")
        if recurrent_init not in ("uniform", "orthogonal"):
            raise ValueError(
                f"recurrent_init should be 'uniform' or 'orthogonal', got {recurrent_init!r}"
            )
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        self.recurrent_init = recurrent_init
        rng = generator(rng)
        rows = self.gates * hidden_size
        self.weight_ih = self._drawn((rows, input_size), dtype, rng)
        self.weight_hh = self._drawn((rows, self.output_size), dtype, rng)
        self.bias_ih = self._drawn((rows,), dtype, rng) if bias else None
        self.bias_hh = self._drawn((rows,), dtype, rng) if bias else None
        if recurrent_init == "orthogonal":
            block = (hidden_size, self.output_size)
            blocks = [init.orthogonal(block, dtype, rng) for _ in range(self.gates)]
            self.weight_hh.data = np.concatenate(blocks)

    @classmethod
    def of_weights(
        cls,
        weight_ih: Any,
        weight_hh: Any,
        bias_ih: Any = None,
        bias_hh: Any = None,
        *,
        programs: dict[Any, Any] | None = None,
        **settings: Any,
    ) -> Any:
        """A cell whose weights are Tensors from elsewhere, such as views of others' weights.

        Args:
            weight_ih, weight_hh, bias_ih, bias_hh: shaped as the attributes of these names.
            programs: what cells with the same settings have in common, {} at first: then only the
                first of them has its step written down.
            settings: the other attributes that its equations read, such as ``activation``.
        """
        cell = cls.__new__(cls)
        vars(cell).update(
            input_size=weight_ih.shape[1],
            hidden_size=weight_hh.shape[1],
            bias=bias_ih is not None,
            weight_ih=weight_ih,
            weight_hh=weight_hh,
            bias_ih=bias_ih,
            bias_hh=bias_hh,
            **settings,
        )
        made = None if programs is None else cell.on_arrays()
        if made is not None:
            vars(made)["folded"] = programs
        return cell

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the weights."""
        weight = vars(self).get("weight_ih")
        return weight.dtype if isinstance(weight, Tensor) else super().dtype

    def _drawn(self, shape: tuple[int, ...], dtype: Any, rng: np.random.Generator) -> Parameter:
        return Parameter(init.uniform(shape, 1 / math.sqrt(self.hidden_size), dtype, rng))

    @property
    def output_size(self) -> int:
        """The number of features of a step's output, which is h."""
        return self.proj_size or self.hidden_size

    @property
    def state_size(self) -> Any:
        """The number of features of the state; of a state with several parts, a tuple."""
        return self.output_size

    def equations(self, x: Any, state: Any) -> Any:
        """The new state, of an input and a state that fit."""
        raise NotImplementedError(f"{type(self).__name__} has no equations")

    def forward(self, input: Any, hx: Any = None) -> Any:
        return self.equations(*self.checked(input, hx))

    def recurrent_input(self, h: Any) -> Any:
        """What the recurrent weights read: h, or what RecurrentDropout leaves of it."""
        return h if self.recurrent_mask is None else self.recurrent_mask(h)

    def initial_state(self, batch: tuple[int, ...], dtype: Any) -> Any:
        """Zeros, each part (*batch, its size)."""
        sizes = self.state_size
        zeros = [
            Tensor(np.zeros((*batch, size), dtype), name=f"{name}0")
            for name, size in zip(part_names(sizes), parts_of(sizes), strict=True)
        ]
        return like(sizes, zeros)

    def checked(self, x: Any, state: Any, time: int = 0) -> tuple[Tensor, Any]:
        """Input and state in the cell's dtype, the state filled in if it is None.

        Args:
            x: (N, I) or (I,), after `time` axes for time.
        """
        x = floating(x, self, self.dtype)
        if x.ndim - time not in (1, 2):
            raise ShapeError(
                f"{self.title}: Expected input to be {1 + time}D or {2 + time}D, got {x.ndim}D "
                "instead"
            )
        if x.shape[-1] != self.input_size:
            raise ShapeError(
                f"{self.title}: input has {x.shape[-1]} features on its last axis, expected "
                f"input_size {self.input_size}"
            )
        batch = x.shape[time:-1]
        if state is None:
            return x, self.initial_state(batch, self.dtype)
        return x, self.checked_state(state, batch)

    def checked_state(self, state: Any, batch: tuple[int, ...]) -> Any:
        """A state in the cell's dtype, each part (*batch, its size)."""
        sizes = self.state_size
        check_structure(state, sizes, self)

        def checked_part(size: int, part: Any, name: str) -> Tensor:
            part = floating(part, self, self.dtype, "state")
            if part.shape != (*batch, size):
                raise ShapeError(
                    f"{self.title}: the state {name} has the shape {part.shape}, expected "
                    f"{(*batch, size)} for an input of {batch or 'one'} sequences"
                    if batch
                    else f"{self.title}: the state {name} has the shape {part.shape}, expected "
                    f"{(size,)} for an input without a batch axis"
                )
            return part

        return map_parts(checked_part, sizes, state, part_names(sizes))

    def __setattr__(self, name: str, value: Any) -> None:
        _twins.pop(self, None)
        super().__setattr__(name, value)

    def on_arrays(self) -> Any:
        """A twin whose parameters are plain arrays, so that its equations are plain NumPy.

        None for equations or activations from elsewhere: they may need Tensors. The twin is kept
        until an attribute of the cell, or the array of a parameter, is another one.
        """
        foreign = any(type(value) is FunctionType for value in vars(self).values())
        if foreign or not type(self).__module__.startswith(__package__):
            return None
        made, own = _twins.get(self), vars(self)
        if made is not None:
            kept = vars(made)
            if all(own[name]._data is kept[name] for name in made.tensors):
                return made
        made = twin(self)
        tensors = [name for name, value in own.items() if isinstance(value, Tensor)]
        vars(made).update({name: own[name].data for name in tensors}, tensors=tensors)
        _twins[self] = made
        return made

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


def check_count(name: str, count: Any) -> None:
    """Raises unless `count` is an integer from 1."""
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)):
        raise TypeError(f"{name} should be of type int, got: {type(count).__name__}")
    if count <= 0:
        raise ValueError(f"{name} must be greater than zero, got {count}")


_twins: WeakKeyDictionary[Cell, Any] = WeakKeyDictionary()


def twin(cell: Any) -> Any:
    """A cell with the same attributes, to change some of them."""
    made = object.__new__(type(cell))
    vars(made).update(vars(cell))
    return made


def check_structure(state: Any, model: Any, module: Module) -> None:
    """Raises unless a state is one array, or has the parts, as `model` does."""
    if same_parts(state, model):
        return
    wanted = "one array"
    if is_tuple(model):
        pair = "a pair" if len(model) == 2 else "a tuple"
        wanted = f"{pair} ({', '.join(part_names(model))})"
    came = f"{len(state)} parts" if is_tuple(state) else f"one array of shape {np.shape(state)}"
    raise ShapeError(f"the state of {module.title} is {wanted}, got {came}")


class RNNCell(Cell):
    """One step of the simple (Elman) recurrent network.

        h' = tanh(W_ih x + b_ih + W_hh h + b_hh)

    Args:
        input_size: I, the number of features of x.
        hidden_size: H, the number of features of h.
        bias: whether there are b_ih and b_hh.
        nonlinearity: "tanh" or "relu", or a function.
        recurrent_init: "uniform" or "orthogonal", of W_hh.
        dtype: of the parameters.
        rng: generator or seed for the initial values, U(-1/√H, 1/√H).

    Called with x (N, I) or (I,), and h (N, H) or (H,) or None for zeros; returns h'.

    Source: Elman 1990, "Finding Structure in Time".

    >>> import tinygrad_rnn as tg
    >>> cell = tg.nn.RNNCell(4, 2)
    >>> h = cell(tg.Tensor([[1.0, 0.0, 0.0, 0.0]]))
    >>> h.shape
    (1, 2)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: Activation = "tanh",
        *,
        recurrent_init: str = "uniform",
        dtype: Any = np.float32,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        if not callable(nonlinearity) and nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu', or give a "
                "function such as tg.nn.functional.elu"
            )
        super().__init__(
            input_size, hidden_size, bias, recurrent_init=recurrent_init, dtype=dtype, rng=rng
        )
        self.nonlinearity = nonlinearity

    def equations(self, x: Any, h: Any) -> Any:
        squash = function(self.nonlinearity)
        h = self.recurrent_input(h)
        a = linear(x, self.weight_ih, self.bias_ih) + linear(h, self.weight_hh, self.bias_hh)
        return named(squash(a), "h")

    def extra_repr(self) -> str:
        text = super().extra_repr()
        return text if self.nonlinearity == "tanh" else f"{text}, nonlinearity={self.nonlinearity}"


class LSTMCell(Cell):
    """One step of the long short-term memory.

        i = σ(W_ii x + b_ii + W_hi h + b_hi)        input gate
        f = σ(W_if x + b_if + W_hf h + b_hf)        forget gate
        g = tanh(W_ig x + b_ig + W_hg h + b_hg)     candidate
        o = σ(W_io x + b_io + W_ho h + b_ho)        output gate
        c' = f c + i g
        h' = o tanh(c')                             W_hr (o tanh(c')) with proj_size

    The four matrices stand one above the other, in the order i, f, g, o.

    Args:
        input_size: I, the number of features of x.
        hidden_size: H, the number of features of c, and of h without `proj_size`.
        bias: whether there are b_ih and b_hh.
        proj_size: P, if h is to have fewer features than c.
        forget_bias: the initial value of b_if + b_hf, such as 1.0 (Jozefowicz et al. 2015, "An
            Empirical Exploration of Recurrent Network Architectures"); drawn as the others if None.
        activation: in place of tanh: a name or a function.
        recurrent_activation: in place of σ: a name or a function.
        recurrent_init: "uniform" or "orthogonal", of each gate's W_h.
        dtype: of the parameters.
        rng: generator or seed for the initial values, U(-1/√H, 1/√H).

    Called with x (N, I) or (I,), and a state (h, c), h (N, H or P) and c (N, H), or without N, or
    None for zeros; returns the new (h', c').

    Source: Hochreiter & Schmidhuber 1997; with the forget gate of Gers et al. 2000, the projection
    of Sak et al. 2014.

    >>> import tinygrad_rnn as tg
    >>> cell = tg.nn.LSTMCell(4, 2)
    >>> h, c = cell(tg.Tensor([[1.0, 0.0, 0.0, 0.0]]))
    >>> h.shape, c.shape
    ((1, 2), (1, 2))
    """

    gates = 4
    forget_gate = 1  # its place among the gates

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        proj_size: int = 0,
        forget_bias: float | None = None,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
        recurrent_init: str = "uniform",
        dtype: Any = np.float32,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        _check_projection(proj_size, hidden_size)
        if forget_bias is not None and not bias:
            raise ValueError("forget_bias is the initial value of a bias, and bias=False has none")
        self.proj_size = proj_size
        self.activation = known(activation)
        self.recurrent_activation = known(recurrent_activation)
        rng = generator(rng)
        super().__init__(
            input_size, hidden_size, bias, recurrent_init=recurrent_init, dtype=dtype, rng=rng
        )
        if forget_bias is not None:
            self._set_forget_bias(forget_bias)
        self.weight_hr = self._drawn((proj_size, hidden_size), dtype, rng) if proj_size else None

    def _set_forget_bias(self, value: float) -> None:
        assert self.bias_ih is not None
        assert self.bias_hh is not None
        rows = slice(*(self.hidden_size * (self.forget_gate + k) for k in (0, 1)))
        self.bias_ih.data[rows] = value
        self.bias_hh.data[rows] = 0

    @property
    def state_size(self) -> LSTMState:
        return LSTMState(self.output_size, self.hidden_size)

    def equations(self, x: Any, state: Any) -> LSTMState:
        h, c = state
        gate, squash = function(self.recurrent_activation), function(self.activation)
        i, f, g, o = split(self.sums(x, h), 4, axis=-1)
        i, f, o = named(gate(i), "i"), named(gate(f), "f"), named(gate(o), "o")
        g = named(squash(g), "g")
        c = named(f * c + i * g, "c")
        return LSTMState(named(self.projected(o * squash(c)), "h"), c)

    def sums(self, x: Any, h: Any) -> Any:
        """What the gates' activations get: (N, gates · H)."""
        h = self.recurrent_input(h)
        return linear(x, self.weight_ih, self.bias_ih) + linear(h, self.weight_hh, self.bias_hh)

    def projected(self, h: Any) -> Any:
        """W_hr h with `proj_size`, else h."""
        return h if self.weight_hr is None else linear(h, self.weight_hr)


def _check_projection(proj_size: Any, hidden_size: Any) -> None:
    if isinstance(proj_size, bool) or not isinstance(proj_size, (int, np.integer)):
        raise TypeError(f"proj_size should be of type int, got: {type(proj_size).__name__}")
    if proj_size < 0:
        raise ValueError(
            "proj_size should be a positive integer or zero to disable projections, got "
            f"{proj_size}"
        )
    if proj_size and proj_size >= hidden_size:
        raise ValueError(
            f"proj_size has to be smaller than hidden_size, got {proj_size} and {hidden_size}"
        )


class GRUCell(Cell):
    """One step of the gated recurrent unit.

        r = σ(W_ir x + b_ir + W_hr h + b_hr)            reset gate
        z = σ(W_iz x + b_iz + W_hz h + b_hz)            update gate
        n = tanh(W_in x + b_in + r (W_hn h + b_hn))     candidate
        n = tanh(W_in x + b_in + W_hn (r h) + b_hn)     with reset_after=False
        h' = (1 - z) n + z h

    The three matrices stand one above the other, in the order r, z, n.

    Args:
        input_size: I, the number of features of x.
        hidden_size: H, the number of features of h.
        bias: whether there are b_ih and b_hh.
        reset_after: whether the reset gate acts after the matrix product, as in PyTorch, cuDNN and
            Keras; or before it, as in the paper.
        activation: in place of tanh: a name or a function.
        recurrent_activation: in place of σ: a name or a function.
        recurrent_init: "uniform" or "orthogonal", of each gate's W_h.
        dtype: of the parameters.
        rng: generator or seed for the initial values, U(-1/√H, 1/√H).

    Called with x (N, I) or (I,), and h (N, H) or (H,) or None for zeros; returns h'.

    Source: Cho et al. 2014, "Learning Phrase Representations using RNN Encoder-Decoder".

    >>> import tinygrad_rnn as tg
    >>> cell = tg.nn.GRUCell(4, 2)
    >>> cell(tg.Tensor([[1.0, 0.0, 0.0, 0.0]])).shape
    (1, 2)
    """

    gates = 3
    update_first = False  # whether the order is z, r, n, as in Keras

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        reset_after: bool = True,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
        recurrent_init: str = "uniform",
        dtype: Any = np.float32,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        self.reset_after = reset_after
        self.activation = known(activation)
        self.recurrent_activation = known(recurrent_activation)
        super().__init__(
            input_size, hidden_size, bias, recurrent_init=recurrent_init, dtype=dtype, rng=rng
        )

    def equations(self, x: Any, h: Any) -> Any:
        gate, squash = function(self.recurrent_activation), function(self.activation)
        xr, xz, xn = split(linear(x, self.weight_ih, self.bias_ih), 3, axis=-1)
        seen = self.recurrent_input(h)
        if self.reset_after:
            hr, hz, hn = split(linear(seen, self.weight_hh, self.bias_hh), 3, axis=-1)
        else:
            (weight, weight_n), (bias, bias_n) = self._candidate_apart()
            hr, hz = split(linear(seen, weight, bias), 2, axis=-1)
        first, second = xr + hr, xz + hz
        if self.update_first:
            first, second = second, first
        r, z = named(gate(first), "r"), named(gate(second), "z")
        hn = r * hn if self.reset_after else linear(r * seen, weight_n, bias_n)
        n = named(squash(xn + hn), "n")
        return named((1 - z) * n + z * h, "h")

    def _candidate_apart(self) -> tuple[Any, Any]:
        """W_hh and b_hh, each as what belongs to r and z, and what to n."""
        cut = [2 * self.hidden_size]
        bias = (None, None) if self.bias_hh is None else split(self.bias_hh, cut)
        return split(self.weight_hh, cut), bias
