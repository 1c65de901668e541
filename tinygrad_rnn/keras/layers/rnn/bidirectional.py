"""Bidirectional: a layer in both directions of time."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

from ....ops import concatenate, flip
from ...configs import object_config, object_from
from ..arguments import one_of
from ..layer import Layer

_MERGES: dict[str | None, Callable[[Any, Any], Any]] = {
    "concat": lambda forward, backward: concatenate([forward, backward], axis=-1),
    "sum": lambda forward, backward: forward + backward,
    "ave": lambda forward, backward: (forward + backward) / 2,
    "mul": lambda forward, backward: forward * backward,
    None: lambda forward, backward: (forward, backward),
}


class Bidirectional(Layer):
    """Two layers like the given one, with weights of their own, one of which reads from the end.

    Args:
        layer: a recurrent layer.
        merge_mode: how their outputs become one: "concat", "sum", "ave", "mul", or None for a pair.
        weights: initial values, those of the forward layer first.
        backward_layer: in place of a copy of `layer` with go_backwards=True.

    Called as ``layer(sequences, initial_state=None, mask=None, training=None)``, initial_state with
    the forward layer's states first; with return_state it returns the output, the states of the
    forward layer, those of the backward layer.

    Raises:
        ValueError: for a layer that can't be used so.

    Source: Schuster & Paliwal 1997, "Bidirectional recurrent neural networks".

    >>> import numpy as np
    >>> from tinygrad_rnn import keras
    >>> layer = keras.layers.Bidirectional(keras.layers.SimpleRNN(8, return_sequences=True))
    >>> layer(np.ones((2, 10, 5))).shape, layer.count_params()
    ((2, 10, 16), 224)
    """

    ndim = 3
    supports_masking = True

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Sequence[Any] | None = None,
        backward_layer: Any = None,
        **options: Any,
    ) -> None:
        for each in (layer, backward_layer):
            _check_layer(each, layer if each is backward_layer else None)
        given = {"batch_input_shape": layer.batch_input_shape}
        given = {k: v for k, v in given.items() if v is not None and "input_shape" not in options}
        super().__init__(weights=weights, **{**given, **options})
        self.merge_mode = one_of("merge_mode", merge_mode, tuple(_MERGES))
        self.forward_layer = _fresh(layer, "forward_", layer.go_backwards)
        self.backward_layer = backward_layer
        if backward_layer is None:
            self.backward_layer = _fresh(layer, "backward_", True)
        self._check_pair()
        for each in (self.forward_layer, self.backward_layer):
            each.zero_output_for_mask = each.return_sequences

    def _check_pair(self) -> None:
        one, other = self.forward_layer, self.backward_layer
        if one.go_backwards == other.go_backwards:
            raise ValueError(
                "Forward layer and backward layer should have different `go_backwards` value. "
                f"Received: forward_layer.go_backwards={one.go_backwards}, "
                f"backward_layer.go_backwards={other.go_backwards}"
            )
        for name in ("stateful", "return_sequences", "return_state"):
            if getattr(one, name) != getattr(other, name):
                raise ValueError(
                    f"Forward layer and backward layer are expected to have the same value for "
                    f'"{name}", got {getattr(one, name)} for the forward layer and '
                    f"{getattr(other, name)} for the backward layer"
                )

    @property
    def layer(self) -> Any:
        """The forward layer, as what is wrapped."""
        return self.forward_layer

    @property
    def return_sequences(self) -> bool:
        """As both layers have it."""
        return bool(self.forward_layer.return_sequences)

    @property
    def return_state(self) -> bool:
        """As both layers have it."""
        return bool(self.forward_layer.return_state)

    @property
    def stateful(self) -> bool:
        """As both layers have it."""
        return bool(self.forward_layer.stateful)

    @property
    def states(self) -> Any:
        """The states that stateful layers have left: the forward layer's first."""
        one, other = self.forward_layer.states, self.backward_layer.states
        return None if one is None else [*one, *other]

    def reset_state(self) -> None:
        """Lets the next batch of stateful layers begin anew."""
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state

    def build(self, input_shape: Any) -> None:
        self.forward_layer.build(input_shape)
        self.backward_layer.build(input_shape)
        self._last_axis = input_shape[-1]

    def call(
        self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        halves: tuple[Any, Any] = (None, None)
        if initial_state is not None:
            half = len(initial_state) // 2
            halves = (initial_state[:half], initial_state[half:])
        results = [
            layer(sequences, initial_state=state, mask=mask, training=training)
            for layer, state in zip((self.forward_layer, self.backward_layer), halves, strict=True)
        ]
        states: tuple[Any, ...] = ()
        if self.return_state:
            states = (*results[0][1:], *results[1][1:])
            results = [result[0] for result in results]
        forward, backward = results
        if self.return_sequences:
            backward = flip(backward, 1)
        output = _MERGES[self.merge_mode](forward, backward)
        if not self.return_state:
            return output
        return (*output, *states) if self.merge_mode is None else (output, *states)

    def compute_mask(self, inputs: Any, mask: Any) -> Any:
        own = mask if self.return_sequences else None
        outputs = [own, own] if self.merge_mode is None else [own]
        if self.return_state:
            return outputs + [None] * (2 * len(self.forward_layer.state_size))
        return outputs if self.merge_mode is None else own

    def compute_output_shape(self, input_shape: Any) -> Any:
        output = self.forward_layer.compute_output_shape(input_shape)
        states: tuple[Any, ...] = ()
        if self.return_state:
            output, states = output[0], tuple(output[1:]) * 2
        if self.merge_mode == "concat":
            output = (*output[:-1], 2 * output[-1])
        if self.merge_mode is None:
            return (output, output, *states)
        return (output, *states) if states else output

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config["layer"]["config"].pop("batch_input_shape", None)
        return config


def _check_layer(layer: Any, given_for: Any) -> None:
    """Raises ValueError for what can't be read in two directions."""
    if layer is None and given_for is not None:
        return
    needed = ("go_backwards", "return_sequences", "return_state", "stateful")
    missing = [name for name in needed if not hasattr(layer, name)]
    if not isinstance(layer, Layer) or missing:
        raise ValueError(
            "Please initialize `Bidirectional` layer with a recurrent layer such as SimpleRNN(8), "
            f"LSTM(8) or RNN(cell). Received: {layer!r:.80}"
        )


def _fresh(layer: Any, prefix: str, go_backwards: bool) -> Any:
    """A layer like the given one, with weights of its own."""
    made = _again(layer) if layer.built else copy.deepcopy(layer)
    made.name = prefix + layer.name.removeprefix(prefix)
    made.go_backwards = go_backwards
    made.batch_input_shape = None
    return made


def _again(layer: Any) -> Any:
    """A layer made with the same arguments, also with classes and functions of the user's."""
    own: dict[str, Any] = {}
    for module in layer.modules():
        own[type(module).__name__] = type(module)
        own |= {f.__name__: f for f in vars(module).values() if isinstance(f, FunctionType)}
    return object_from(object_config(layer), own)
