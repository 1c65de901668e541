"""The recurrent cells: each is its equations, for one step in time.

A cell is called ``cell(x, state) -> new_state``. The state is an argument and a result, never kept.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .. import init
from ..core.errors import ShapeError
from ..core.random import generator
from ..module import Module, Parameter, floating
from ..ops import linear, relu, sigmoid, split, tanh
from ..tensor import Tensor


class LSTMState(NamedTuple):
    """The state of an LSTM: hidden state `h` and cell state `c`, of one shape."""

    h: Tensor
    c: Tensor


class Cell(Module):
    """What the cells here have in common: weights for the input and for the hidden state.

    Attributes:
        weight_ih: (gates * hidden_size, input_size)
        weight_hh: (gates * hidden_size, hidden_size)
        bias_ih, bias_hh: (gates * hidden_size,), or None with bias=False
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        dtype: Any = np.float32,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        for name, size in (("input_size", input_size), ("hidden_size", hidden_size)):
            if isinstance(size, bool) or not isinstance(size, (int, np.integer)):
                raise TypeError(f"{name} should be of type int, got: {type(size).__name__}")
            if size <= 0:
                raise ValueError(f"{name} must be greater than zero, got {size}")
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rng = generator(rng)
        bound = 1 / math.sqrt(hidden_size)
        rows = self.gates * hidden_size

        def parameter(*shape: int) -> Parameter:
            return Parameter(init.uniform(shape, bound, dtype, rng))

        self.weight_ih = parameter(rows, input_size)
        self.weight_hh = parameter(rows, hidden_size)
        self.bias_ih = parameter(rows) if bias else None
        self.bias_hh = parameter(rows) if bias else None

    def initial_state(self, batch: tuple[int, ...], dtype: Any) -> Any:
        """Zeros, of shape (*batch, hidden_size)."""
        return Tensor(np.zeros((*batch, self.hidden_size), dtype), name="h0")

    def checked(self, x: Any, state: Any) -> tuple[Tensor, Any]:
        """Input and state in the cell's dtype, the state filled in if it is None."""
        kind = type(self).__name__
        x = floating(x, self.dtype, f"the input of {kind}")
        if x.ndim not in (1, 2):
            raise ShapeError(f"{kind}: Expected input to be 1D or 2D, got {x.ndim}D instead")
        if x.shape[-1] != self.input_size:
            raise ShapeError(
                f"{kind}: input has {x.shape[-1]} features on its last axis, expected input_size "
                f"{self.input_size}"
            )
        if state is None:
            return x, self.initial_state(x.shape[:-1], self.dtype)
        return x, self.checked_state(x, state)

    def checked_state(self, x: Tensor, state: Any) -> Any:
        return self._checked_part(x, state, "hx")

    def _checked_part(self, x: Tensor, part: Any, name: str) -> Tensor:
        part = floating(part, self.dtype, f"the state of {type(self).__name__}")
        expected = (*x.shape[:-1], self.hidden_size)
        if part.shape != expected:
            raise ShapeError(
                f"{type(self).__name__}: the state {name} has the shape {part.shape}, expected "
                f"{expected} for an input of shape {x.shape}"
            )
        return part

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(Cell):
    """One step of the simple (Elman) recurrent network.

        h' = tanh(W_ih x + b_ih + W_hh h + b_hh)

    Args:
        input_size: I, the number of features of x.
        hidden_size: H, the number of features of h.
        bias: whether there are b_ih and b_hh.
        nonlinearity: "tanh" or "relu".
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
        nonlinearity: str = "tanh",
        *,
        dtype: Any = np.float32,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'."
            )
        super().__init__(input_size, hidden_size, bias, dtype=dtype, rng=rng)
        self.nonlinearity = nonlinearity

    def forward(self, input: Any, hx: Any = None) -> Tensor:
        x, h = self.checked(input, hx)
        activation = tanh if self.nonlinearity == "tanh" else relu
        a = linear(x, self.weight_ih, self.bias_ih) + linear(h, self.weight_hh, self.bias_hh)
        return activation(a).named("h")

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
        h' = o tanh(c')

    The four matrices stand one above the other, in the order i, f, g, o.

    Args:
        input_size: I, the number of features of x.
        hidden_size: H, the number of features of h and c.
        bias: whether there are b_ih and b_hh.
        dtype: of the parameters.
        rng: generator or seed for the initial values, U(-1/√H, 1/√H).

    Called with x (N, I) or (I,), and a state (h, c), each (N, H) or (H,), or None for zeros;
    returns the new (h', c').

    Source: Hochreiter & Schmidhuber 1997; with the forget gate of Gers et al. 2000.

    >>> import tinygrad_rnn as tg
    >>> cell = tg.nn.LSTMCell(4, 2)
    >>> h, c = cell(tg.Tensor([[1.0, 0.0, 0.0, 0.0]]))
    >>> h.shape, c.shape
    ((1, 2), (1, 2))
    """

    gates = 4

    def forward(self, input: Any, hx: Any = None) -> LSTMState:
        x, (h, c) = self.checked(input, hx)
        gates = linear(x, self.weight_ih, self.bias_ih) + linear(h, self.weight_hh, self.bias_hh)
        i, f, g, o = split(gates, 4, axis=-1)
        i, f, o = sigmoid(i).named("i"), sigmoid(f).named("f"), sigmoid(o).named("o")
        g = tanh(g).named("g")
        c = (f * c + i * g).named("c")
        h = (o * tanh(c)).named("h")
        return LSTMState(h, c)

    def initial_state(self, batch: tuple[int, ...], dtype: Any) -> LSTMState:
        h, c = super().initial_state(batch, dtype), super().initial_state(batch, dtype)
        return LSTMState(h, c.named("c0"))

    def checked_state(self, x: Tensor, state: Any) -> LSTMState:
        if not isinstance(state, (tuple, list)) or len(state) != 2:
            raise ShapeError(
                "the state of LSTMCell is a pair (h, c), got "
                + (
                    f"{len(state)} parts"
                    if isinstance(state, (tuple, list))
                    else f"one array of shape {np.shape(state)}"
                )
            )
        h, c = state
        return LSTMState(self._checked_part(x, h, "h"), self._checked_part(x, c, "c"))


class GRUCell(Cell):
    """One step of the gated recurrent unit.

        r = σ(W_ir x + b_ir + W_hr h + b_hr)        reset gate
        z = σ(W_iz x + b_iz + W_hz h + b_hz)        update gate
        n = tanh(W_in x + b_in + r (W_hn h + b_hn)) candidate
        h' = (1 - z) n + z h

    The three matrices stand one above the other, in the order r, z, n. The reset gate acts after
    the matrix product, as in PyTorch, cuDNN, and Keras with reset_after=True.

    Args:
        input_size: I, the number of features of x.
        hidden_size: H, the number of features of h.
        bias: whether there are b_ih and b_hh.
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

    def forward(self, input: Any, hx: Any = None) -> Tensor:
        x, h = self.checked(input, hx)
        xr, xz, xn = split(linear(x, self.weight_ih, self.bias_ih), 3, axis=-1)
        hr, hz, hn = split(linear(h, self.weight_hh, self.bias_hh), 3, axis=-1)
        r = sigmoid(xr + hr).named("r")
        z = sigmoid(xz + hz).named("z")
        n = tanh(xn + r * hn).named("n")
        return ((1 - z) * n + z * h).named("h")
