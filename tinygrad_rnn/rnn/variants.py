"""Further cells from the literature, each its equations."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import init
from ..core.random import generator
from ..module import Parameter
from ..ops import layer_norm, linear, split
from ..tensor import named
from .cells import Activation, Cell, LSTMCell, function, known
from .states import LSTMState


class PeepholeLSTMCell(LSTMCell):
    """An LSTM whose gates see the cell state.

        i = σ(W_ii x + b_ii + W_hi h + b_hi + w_ci c)
        f = σ(W_if x + b_if + W_hf h + b_hf + w_cf c)
        g = tanh(W_ig x + b_ig + W_hg h + b_hg)
        c' = f c + i g
        o = σ(W_io x + b_io + W_ho h + b_ho + w_co c')
        h' = o tanh(c')

    Arguments, shapes and the order of the gates as in `LSTMCell`.

    Attributes:
        weight_ci, weight_cf, weight_co: (hidden_size,)

    Source: Gers & Schmidhuber 2000, "Recurrent Nets that Time and Count"; ONNX's LSTM with P.

    >>> import tinygrad_rnn as tg
    >>> layer = tg.rnn.Recurrent(tg.rnn.PeepholeLSTMCell, 4, 3)
    >>> layer.weight_co_l0.shape
    (3,)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        rng: np.random.Generator | int | None = None,
        **options: Any,
    ) -> None:
        rng = generator(rng)
        super().__init__(input_size, hidden_size, bias, rng=rng, **options)
        self.weight_ci = self._drawn((hidden_size,), self.dtype, rng)
        self.weight_cf = self._drawn((hidden_size,), self.dtype, rng)
        self.weight_co = self._drawn((hidden_size,), self.dtype, rng)

    def equations(self, x: Any, state: Any) -> LSTMState:
        h, c = state
        gate, squash = function(self.recurrent_activation), function(self.activation)
        i, f, g, o = split(self.sums(x, h), 4, axis=-1)
        i = named(gate(i + self.weight_ci * c), "i")
        f = named(gate(f + self.weight_cf * c), "f")
        g = named(squash(g), "g")
        c = named(f * c + i * g, "c")
        o = named(gate(o + self.weight_co * c), "o")
        return LSTMState(named(self.projected(o * squash(c)), "h"), c)


class LayerNormLSTMCell(LSTMCell):
    """An LSTM with layer normalisation.

        LN(a) = (a - mean a) / √(var a + eps)                          over the last axis
        i, f, g, o = γ_ih LN(W_ih x) + b_ih + γ_hh LN(W_hh h) + b_hh   all four gates at once
        c' = σ(f) c + σ(i) tanh(g)
        h' = σ(o) tanh(γ_c LN(c') + b_c)

    Arguments, shapes and the order of the gates as in `LSTMCell`; besides

    Args:
        eps: keeps the root from 0.

    Attributes:
        gain_ih, gain_hh: γ, (4 * hidden_size,), at first ones
        gain_c, bias_c: (hidden_size,), at first ones and zeros
        bias_ih, bias_hh: (4 * hidden_size,), at first zeros

    Source: Ba, Kiros & Hinton 2016, "Layer Normalization", equations 20 to 22.

    >>> import tinygrad_rnn as tg
    >>> cell = tg.rnn.LayerNormLSTMCell(4, 3)
    >>> cell(tg.Tensor([[1.0, 2.0, 3.0, 4.0]])).h.shape
    (1, 3)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        eps: float = 1e-5,
        forget_bias: float | None = None,
        **options: Any,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, forget_bias=forget_bias, **options)
        self.eps = eps
        rows = 4 * hidden_size
        self.gain_ih, self.gain_hh = self._filled(1, rows), self._filled(1, rows)
        self.gain_c = self._filled(1, hidden_size)
        if bias:
            self.bias_ih, self.bias_hh = self._filled(0, rows), self._filled(0, rows)
        self.bias_c = self._filled(0, hidden_size) if bias else None
        if forget_bias is not None:
            self._set_forget_bias(forget_bias)

    def _filled(self, value: float, size: int) -> Parameter:
        return Parameter(np.full(size, value, self.dtype))

    def equations(self, x: Any, state: Any) -> LSTMState:
        h, c = state
        gate, squash = function(self.recurrent_activation), function(self.activation)
        i, f, g, o = split(self.sums(x, h), 4, axis=-1)
        i, f, o = named(gate(i), "i"), named(gate(f), "f"), named(gate(o), "o")
        g = named(squash(g), "g")
        c = named(f * c + i * g, "c")
        seen = layer_norm(c, self.gain_c, self.bias_c, eps=self.eps)
        return LSTMState(named(self.projected(o * squash(seen)), "h"), c)

    def sums(self, x: Any, h: Any) -> Any:
        a, b = linear(x, self.weight_ih), linear(self.recurrent_input(h), self.weight_hh)
        a = layer_norm(a, self.gain_ih, self.bias_ih, eps=self.eps)
        return a + layer_norm(b, self.gain_hh, self.bias_hh, eps=self.eps)


class CoupledLSTMCell(LSTMCell):
    """An LSTM with one gate for forgetting and writing (CIFG, without peepholes).

        f = σ(W_if x + b_if + W_hf h + b_hf)
        g = tanh(W_ig x + b_ig + W_hg h + b_hg)
        o = σ(W_io x + b_io + W_ho h + b_ho)
        c' = f c + (1 - f) g
        h' = o tanh(c')

    The three matrices stand one above the other, in the order f, g, o. Arguments and shapes as in
    `LSTMCell`.

    Source: Greff et al. 2017, "LSTM: A Search Space Odyssey".

    >>> import tinygrad_rnn as tg
    >>> tg.rnn.CoupledLSTMCell(4, 3).weight_hh.shape
    (9, 3)
    """

    gates = 3
    forget_gate = 0

    def equations(self, x: Any, state: Any) -> LSTMState:
        h, c = state
        gate, squash = function(self.recurrent_activation), function(self.activation)
        f, g, o = split(self.sums(x, h), 3, axis=-1)
        f, o = named(gate(f), "f"), named(gate(o), "o")
        g = named(squash(g), "g")
        c = named(f * c + (1 - f) * g, "c")
        return LSTMState(named(self.projected(o * squash(c)), "h"), c)


class MGUCell(Cell):
    """One step of the minimal gated unit: a GRU with a single gate.

        f = σ(W_if x + b_if + W_hf h + b_hf)
        n = tanh(W_in x + b_in + W_hn (f h) + b_hn)
        h' = (1 - f) h + f n

    The two matrices stand one above the other, in the order f, n. Arguments and shapes as in
    `GRUCell`.

    Source: Zhou et al. 2016, "Minimal Gated Unit for Recurrent Neural Networks".

    >>> import tinygrad_rnn as tg
    >>> tg.rnn.MGUCell(4, 3).weight_hh.shape
    (6, 3)
    """

    gates = 2

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
        **options: Any,
    ) -> None:
        self.activation = known(activation)
        self.recurrent_activation = known(recurrent_activation)
        super().__init__(input_size, hidden_size, bias, **options)

    def equations(self, x: Any, h: Any) -> Any:
        gate, squash = function(self.recurrent_activation), function(self.activation)
        xf, xn = split(linear(x, self.weight_ih, self.bias_ih), 2, axis=-1)
        seen = self.recurrent_input(h)
        weight_f, weight_n = split(self.weight_hh, 2)
        bias_f, bias_n = (None, None) if self.bias_hh is None else split(self.bias_hh, 2)
        f = named(gate(xf + linear(seen, weight_f, bias_f)), "f")
        n = named(squash(xn + linear(f * seen, weight_n, bias_n)), "n")
        return named((1 - f) * h + f * n, "h")


class IndRNNCell(Cell):
    """One step of a recurrent network whose units see only their own past.

        h' = relu(W_ih x + b_ih + w_hh h + b_hh)     w_hh h element by element

    Args:
        input_size: I, the number of features of x.
        hidden_size: H, the number of features of h.
        bias: whether there are b_ih and b_hh.
        nonlinearity: a name or a function.
        dtype: of the parameters.
        rng: generator or seed for the initial values: w_hh is U(0, 1), the rest U(-1/√H, 1/√H).

    Attributes:
        weight_hh: (hidden_size,)

    Source: Li et al. 2018, "Independently Recurrent Neural Network (IndRNN)".

    >>> import tinygrad_rnn as tg
    >>> tg.rnn.IndRNNCell(4, 3).weight_hh.shape
    (3,)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: Activation = "relu",
        *,
        dtype: Any = np.float32,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        rng = generator(rng)
        super().__init__(input_size, hidden_size, bias, dtype=dtype, rng=rng)
        self.nonlinearity = known(nonlinearity)
        self.weight_hh = Parameter(0.5 + init.uniform((hidden_size,), 0.5, dtype, rng))

    def equations(self, x: Any, h: Any) -> Any:
        squash = function(self.nonlinearity)
        recurrent = self.weight_hh * self.recurrent_input(h)
        if self.bias_hh is not None:
            recurrent = recurrent + self.bias_hh
        return named(squash(linear(x, self.weight_ih, self.bias_ih) + recurrent), "h")
