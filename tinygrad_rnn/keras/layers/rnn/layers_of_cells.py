"""SimpleRNN, LSTM and GRU: a cell's arguments and a layer's, together."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from ....module import accepted_arguments
from ...naming import snake_case
from .cells import GRUCell, LSTMCell, RecurrentCell, SimpleRNNCell
from .rnn import RNN

# How Keras computes, which has no effect on the numbers, and none here
_OF_KERAS: dict[str, Any] = {"use_cudnn": "auto", "implementation": 2}
_SHARED = ("name", "dtype", "trainable")  # given to the layer; the cell has the same


def _taking_the_arguments_of(
    cell_class: type[RecurrentCell], **without_effect: Any
) -> Callable[..., None]:
    """A layer's constructor that takes the cell's arguments and those of `RNN`."""
    of_cell = [p for p in _parameters(cell_class) if p.name not in _parameters_of_layers()]
    positional = [p for p in of_cell if p.kind is p.POSITIONAL_OR_KEYWORD]
    rest = [p.replace(kind=p.KEYWORD_ONLY) for p in of_cell if p not in positional]
    of_layer = [p.replace(kind=p.KEYWORD_ONLY) for p in _parameters(RNN) if p.name != "cell"]
    first = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    others = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
        for name, default in without_effect.items()
    ]
    signature = inspect.Signature([first, *positional, *rest, *of_layer, *others])
    names = {p.name for p in of_cell}

    def __init__(self: Any, *args: Any, **options: Any) -> None:
        given = dict(signature.bind(self, *args, **options).arguments)
        given.pop("self")
        for name in without_effect:
            given.pop(name, None)
        own = {name: value for name, value in given.items() if name not in names}
        shared = {name: own[name] for name in _SHARED[1:] if name in own}
        cell = {name: value for name, value in given.items() if name in names}
        name = snake_case(cell_class.__name__)
        RNN.__init__(self, cell_class(**cell, **shared, name=name), **own)

    __init__.__signature__ = signature  # type: ignore[attr-defined]
    return __init__


def _parameters(kind: type) -> list[inspect.Parameter]:
    """What a class's constructor takes, with what it hands on to the class it derives from."""
    found: dict[str, inspect.Parameter] = {}
    for base in kind.__mro__:
        if "__init__" in vars(base) and issubclass(base, RNN.__mro__[1]):
            for p in list(inspect.signature(vars(base)["__init__"]).parameters.values())[1:]:
                if p.kind is not p.VAR_KEYWORD:
                    found.setdefault(p.name, p)
    return list(found.values())


@functools.cache
def _parameters_of_layers() -> frozenset[str]:
    return frozenset(accepted_arguments(RNN) or ())


class _CellLayer(RNN):
    """A layer that has its cell's attributes."""

    cell_class: type[RecurrentCell]

    def __getattr__(self, name: str) -> Any:
        cell = vars(self).get("cell")
        if cell is None or name.startswith("_") or not hasattr(cell, name):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        return getattr(cell, name)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()  # without what has no effect
        config.setdefault("activity_regularizer", None)
        return config


class SimpleRNN(_CellLayer):
    """The simple recurrent network over a sequence, `tg.rnn.RNNCell` with Keras' weights.

        h_t = activation(x_t kernel + h_{t-1} recurrent_kernel + bias)

    Args:
        units, activation, use_bias, …: see `SimpleRNNCell` and its base, `RecurrentCell`.
        return_sequences, return_state, …, and how it is called: see `RNN`.

    >>> import numpy as np
    >>> from tinygrad_rnn import keras
    >>> layer = keras.layers.SimpleRNN(3, return_sequences=True)
    >>> layer(np.ones((8, 2, 10))).shape, layer.count_params()
    ((8, 2, 3), 42)
    """

    cell_class = SimpleRNNCell
    __init__ = _taking_the_arguments_of(SimpleRNNCell)


class LSTM(_CellLayer):
    """The long short-term memory over a sequence, `tg.rnn.LSTMCell` with Keras' weights.

        i, f, o = recurrent_activation(x_t kernel + h_{t-1} recurrent_kernel + bias)
        c̃       = activation(x_t kernel + h_{t-1} recurrent_kernel + bias)
        c_t     = f c_{t-1} + i c̃,    h_t = o activation(c_t)

    each with its own columns of the kernels, in the order i, f, c̃, o.

    Args:
        units, activation, recurrent_activation, use_bias, …: see `LSTMCell` and its base,
            `RecurrentCell`.
        unit_forget_bias: whether the bias of f is 1 at first (Jozefowicz et al. 2015).
        use_cudnn, implementation: have no effect: the numbers are the same.
        return_sequences, return_state, …, and how it is called: see `RNN`.

    >>> import numpy as np
    >>> from tinygrad_rnn import keras
    >>> output, h, c = keras.layers.LSTM(4, return_state=True)(np.ones((2, 5, 3)))
    >>> output.shape, c.shape
    ((2, 4), (2, 4))
    """

    cell_class = LSTMCell
    __init__ = _taking_the_arguments_of(LSTMCell, **_OF_KERAS)


class GRU(_CellLayer):
    """The gated recurrent unit over a sequence, `tg.rnn.GRUCell` with Keras' weights.

        z, r = recurrent_activation(x_t kernel + h_{t-1} recurrent_kernel + bias)
        h̃    = activation(x_t kernel + bias[0] + r (h_{t-1} recurrent_kernel + bias[1]))
        h̃    = activation(x_t kernel + (r h_{t-1}) recurrent_kernel + bias)   reset_after=False
        h_t  = z h_{t-1} + (1 - z) h̃

    each with its own columns of the kernels, in the order z, r, h̃.

    Args:
        units, activation, recurrent_activation, use_bias, …: see `GRUCell` and its base,
            `RecurrentCell`.
        reset_after: where the reset gate acts; the two have different biases.
        use_cudnn, implementation: have no effect: the numbers are the same.
        return_sequences, return_state, …, and how it is called: see `RNN`.

    >>> from tinygrad_rnn import keras
    >>> for after in (True, False):
    ...     layer = keras.layers.GRU(5, reset_after=after)
    ...     layer.build((None, 10, 4))
    ...     print(layer.count_params())
    165
    150
    """

    cell_class = GRUCell
    __init__ = _taking_the_arguments_of(GRUCell, **_OF_KERAS)
