"""Wrappers around any cell: dropout in its recurrence, zoneout, a way past it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..core.errors import GraphError, ShapeError
from ..core.random import generator
from ..module import Module, Parameter
from ..ops import where
from ..ops.regularisation import check_probability, dropout_mask
from ..tensor import as_tensor, asarray, named
from .cells import Cell, twin
from .protocol import advance, for_sequence, initial_state, output_of
from .states import is_tuple, like, part_names, parts_of


class Wrapper(Cell):
    """A cell around another one, whose parameters and attributes keep their names.

    Attributes:
        cell: the cell inside, of any kind.
    """

    _unlisted = Cell._unlisted | {"cell"}

    def __init__(self, cell: Any) -> None:
        if not callable(cell) or isinstance(cell, type):
            raise TypeError(
                f"{type(self).__name__} takes a cell, such as LSTMCell(3, 4), got {cell!r:.60}"
            )
        self.cell = cell

    def __getattr__(self, name: str) -> Any:
        cell = vars(self).get("cell")
        if cell is None or name.startswith("__"):
            raise AttributeError(name)
        return getattr(cell, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(getattr(vars(self).get("cell"), name, None), Parameter):
            setattr(self.cell, name, value)
            return
        super().__setattr__(name, value)
        if name == "training" and isinstance(self.cell, Module):
            self.cell.train(value)

    def _own(self) -> Iterator[tuple[str, Parameter | Module]]:
        return self.cell._own() if isinstance(self.cell, Module) else iter(())

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the cell inside."""
        return self.cell.dtype if isinstance(self.cell, Module) else super().dtype

    @property
    def output_size(self) -> Any:
        """That of the cell inside; None if it doesn't say."""
        return getattr(self.cell, "output_size", None)

    @property
    def state_size(self) -> Any:
        """That of the cell inside; None if it doesn't say."""
        return getattr(self.cell, "state_size", None)

    def equations(self, x: Any, state: Any) -> Any:
        return advance(self.cell, x, state)

    def output(self, x: Any, state: Any) -> Any:
        """What the cell inside puts out."""
        return output_of(self.cell)(x, state)

    def initial_state(self, batch: tuple[int, ...], dtype: Any) -> Any:
        """That of the cell inside."""
        return initial_state(self.cell, batch, dtype)

    def checked(self, x: Any, state: Any, time: int = 0) -> Any:
        """As the cell inside checks them."""
        if isinstance(self.cell, Cell):
            return self.cell.checked(x, state, time)
        x = asarray(x)
        return x, self.initial_state(x.shape[time:-1], x.dtype) if state is None else state

    def for_sequence(self, state: Any) -> Any:
        """This cell with what the cell inside draws for a sequence."""
        return self._around(for_sequence(self.cell, state))

    def on_arrays(self) -> Any:
        """A twin around the twin of the cell inside, if that has one."""
        inner = self.cell.on_arrays() if isinstance(self.cell, Cell) else None
        made = None if inner is None else super().on_arrays()
        return None if made is None else made._around(inner)

    def _around(self, cell: Any) -> Any:
        made = twin(self)
        vars(made)["cell"] = cell
        return made

    def __repr__(self) -> str:
        extra = self.extra_repr()
        return f"{type(self).__name__}({self.cell!r}{extra and ', '}{extra})"

    def extra_repr(self) -> str:
        return ""


class Zoneout(Wrapper):
    """While training, each element of the state keeps its old value with probability p.

        s' = m s + (1 - m) cell(x, s)     m being 1 with probability p, else 0, for each element
        s' = p s + (1 - p) cell(x, s)     after .eval(): the expected value

    Args:
        cell: any cell.
        p: the probability; or one for each part of the state, such as (0.05, 0.5) for (h, c).
        rng: generator or seed for the masks.

    Source: Krueger et al. 2016, "Zoneout: Regularizing RNNs by Randomly Preserving Hidden
    Activations".

    >>> import numpy as np, tinygrad_rnn as tg
    >>> lstm = tg.nn.LSTM(2, 3, wrap=lambda cell: tg.rnn.Zoneout(cell, 0.1))
    >>> lstm(np.ones((5, 1, 2)))[0].shape
    (5, 1, 3)
    """

    def __init__(
        self,
        cell: Any,
        p: float | Sequence[float] = 0.1,
        *,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        for each in parts_of(p):
            check_probability(each)
        super().__init__(cell)
        self.p = like(p, [float(each) for each in parts_of(p)])
        self._rng = None if rng is None else generator(rng)

    def equations(self, x: Any, state: Any) -> Any:
        new = super().equations(x, state)
        shares: Any = self.p if is_tuple(self.p) else [self.p] * len(parts_of(new))
        if len(shares) != len(parts_of(new)):
            raise ValueError(
                f"Zoneout: {len(shares)} probabilities for a state of {len(parts_of(new))} parts"
            )
        rows = zip(parts_of(new), parts_of(state), shares, part_names(new), strict=True)
        return like(new, [named(self._mixed(*row), name) for *row, name in rows])

    def _mixed(self, new: Any, old: Any, p: float) -> Any:
        if not self.training:
            return p * old + (1 - p) * new
        return where(generator(self._rng).random(new.shape) < p, old, new)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class _Mask:
    """Multiplies by a mask, and by another one before; knows whether it was asked to."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values
        self.before: Callable[[Any], Any] | None = None
        self.used = False

    def __call__(self, h: Any) -> Any:
        self.used = True
        return (h if self.before is None else self.before(h)) * self.values


class RecurrentDropout(Wrapper):
    """While training, the recurrent weights read m h: one mask m for all steps of a sequence.

        m being 0 with probability p, else 1 / (1 - p), for each element of (N, H)

    A `Cell` reads h through ``self.recurrent_input(h)``, so what it carries over by other ways
    (z h in a GRU) is whole. Any other cell is given m h in place of h. A mask is drawn for each
    sequence that `scan` or a layer begins: a layer's `step` draws one for each step, and the cell
    called by itself has none.

    Args:
        cell: any cell.
        p: the share to drop, 0 … 1.
        rng: generator or seed for the masks.

    Source: Gal & Ghahramani 2016, "A Theoretically Grounded Application of Dropout in Recurrent
    Neural Networks".

    >>> import numpy as np, tinygrad_rnn as tg
    >>> gru = tg.nn.GRU(2, 3, wrap=lambda cell: tg.rnn.RecurrentDropout(cell, 0.2))
    >>> gru(np.ones((5, 1, 2)))[0].shape
    (5, 1, 3)
    """

    _mask: _Mask | None = None

    def __init__(
        self, cell: Any, p: float = 0.5, *, rng: np.random.Generator | int | None = None
    ) -> None:
        check_probability(p)
        super().__init__(cell)
        self.p = p
        self._rng = None if rng is None else generator(rng)

    def for_sequence(self, state: Any) -> Any:
        """This cell with a mask drawn for the sequences that begin with `state`."""
        made = super().for_sequence(state)
        if self.training and self.p:
            h = as_tensor(parts_of(state)[0])
            dtype = h.dtype if h.dtype.kind == "f" else np.float64
            mask = _Mask(dropout_mask(h.shape, self.p, dtype, self._rng))
            vars(made).update(_mask=mask, cell=_masked(made.cell, mask))
        return made

    def equations(self, x: Any, state: Any) -> Any:
        if self._mask is not None and not isinstance(innermost(self.cell), Cell):
            h, *others = parts_of(state)
            state = like(state, [self._mask(h), *others])
        new = super().equations(x, state)
        if self._mask is not None and not self._mask.used:
            raise GraphError(
                f"RecurrentDropout has no effect on {self.cell!r}: its equations must read h "
                "through self.recurrent_input(h)"
            )
        return new

    def extra_repr(self) -> str:
        return f"p={self.p}"


def innermost(cell: Any) -> Any:
    """The cell inside all wrappers."""
    while isinstance(cell, Wrapper):
        cell = cell.cell
    return cell


def _masked(cell: Any, mask: _Mask) -> Any:
    """The cell, its recurrent weights reading through `mask`."""
    if isinstance(cell, Wrapper):
        return cell._around(_masked(cell.cell, mask))
    if not isinstance(cell, Cell):
        return cell
    made = twin(cell)
    mask.before = cell.recurrent_mask
    vars(made)["recurrent_mask"] = mask
    return made


class Residual(Wrapper):
    """Adds the input to the output; the state is the cell's own.

        y = output of the cell + x

    Args:
        cell: any cell whose output has as many features as its input.

    Source: He et al. 2016, "Deep Residual Learning"; for recurrent layers Wu et al. 2016, "Google's
    Neural Machine Translation System".

    >>> import numpy as np, tinygrad_rnn as tg
    >>> rnn = tg.nn.RNN(3, 3, num_layers=4, wrap=tg.rnn.Residual)
    >>> rnn(np.ones((5, 1, 3)))[0].shape
    (5, 1, 3)
    """

    def output(self, x: Any, state: Any) -> Any:
        y = super().output(x, state)
        if np.shape(y) != np.shape(x):
            raise ShapeError(
                f"Residual: the input {np.shape(x)} can't be added to the output {np.shape(y)} of "
                f"{self.cell!r}: it needs as many features in as out"
            )
        return y + x
