"""Makes keras_recurrent.npz with Keras: ``python tests/golden/make_keras_recurrent.py``.

Outputs, states and all gradients of Keras' recurrent layers and wrappers in float64. The layers,
and what they are given, follow from the configuration, for either library; only what Keras computed
is kept. Needs keras with torch. Keras on torch computes products and sums of float64 in float32,
unless told otherwise: see `keras_in_float64`.
"""

from __future__ import annotations

import itertools
import json
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np

try:
    from golden.make_golden import FOLDER, Arrays, Case, cases, save
except ImportError:  # run as a script
    from make_golden import FOLDER, Arrays, Case, cases, save

NAME = "keras_recurrent"
N, T, I, U = 7, 5, 2, 3  # noqa: E741
KINDS = ("SimpleRNN", "LSTM", "GRU")
MASKS = {
    "right": [5, 3, 4, 1, 2, 5, 3],  # so many steps used, then none
    "left": [-5, -3, -4, -1, -2, -5, -3],  # so many at the end
    "holes": ["10110", "01011", "00101", "11011", "01110", "10001", "11111"],
    "empty": ["00000", "11110", "00000", "00111", "10101", "11111", "00000"],
}
Config = dict[str, Any]


def rational(x: Any) -> Any:
    """An activation of a user's, for either library."""
    return x / (1 + x * x)


OWN_FUNCTIONS = {"rational": rational}


# Layers, from configurations: {"class": name, **arguments}, nested


def made_by(library: Any, config: Any) -> Any:
    """The object that a configuration describes, by either library."""
    if isinstance(config, list):
        return [made_by(library, each) for each in config]
    if isinstance(config, str):
        return OWN_FUNCTIONS.get(config, config)
    if not isinstance(config, dict):
        return config
    arguments = {k: made_by(library, v) for k, v in config.items() if k != "class"}
    name = config["class"]
    if name in ("RNN", "StackedRNNCells", "Bidirectional", "TimeDistributed"):
        first = arguments.pop("cells" if name == "StackedRNNCells" else "inner")
        return getattr(library.layers, name)(first, dtype="float64", **arguments)
    if name in OWN_CELLS:
        return OWN_CELLS[name](library, **arguments)
    return getattr(library.layers, name)(dtype="float64", **arguments)


def minimal(library: Any, units: int) -> Any:
    """A layer as a cell, as Keras' documentation has it."""

    class MinimalRNNCell(library.layers.Layer):  # type: ignore[misc]
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.units = units
            self.state_size = units

        def build(self, input_shape: Any) -> None:
            self.kernel = self.add_weight(
                shape=(input_shape[-1], units), initializer="uniform", name="kernel"
            )
            self.recurrent_kernel = self.add_weight(
                shape=(units, units), initializer="uniform", name="recurrent_kernel"
            )
            self.built = True

        def call(self, inputs: Any, states: Any) -> Any:
            h = library.matmul(inputs, self.kernel)
            output = h + library.matmul(states[0], self.recurrent_kernel)
            return output, [output]

    return MinimalRNNCell(dtype="float64")


def two_states(library: Any, units: int) -> Any:
    """A cell with states of two sizes, an output of a third, and training."""

    class TwoStates(library.layers.Layer):  # type: ignore[misc]
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.state_size = [units, units + 1]
            self.output_size = 2 * units + 1

        def build(self, input_shape: Any) -> None:
            size = input_shape[-1]
            self.a = self.add_weight(shape=(size, units), name="a")
            self.b = self.add_weight(shape=(units, units + 1), name="b")
            self.c = self.add_weight(shape=(units + 1, units), name="c")

        def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
            s, t = states
            s = library.tanh(library.matmul(inputs, self.a) + library.matmul(t, self.c))
            t = library.tanh(library.matmul(s, self.b) + t * 0.5)
            return library.concatenate([s * s, t], axis=-1), [s, t]

    return TwoStates(dtype="float64")


def plain(library: Any, units: int) -> Any:
    """A cell that is no layer and has no weights."""

    class Plain:
        state_size = units
        compute_dtype = "float64"  # which Keras asks for

        def call(self, inputs: Any, states: Any) -> Any:
            h = library.tanh(states[0] * 0.5 + inputs[:, :1])
            return h * 2.0, [h]

        __call__ = call

    return Plain()


OWN_CELLS = {"minimal": minimal, "two_states": two_states, "plain": plain}


# What a layer is given


def drawn(config: Config) -> Callable[..., np.ndarray]:
    """Makes the numbers of a configuration, always the same: steps of 1/256 in [-1, 1)."""
    seed = sum(json.dumps(config, sort_keys=True).encode()) % 2**31
    generator = np.random.RandomState(seed)  # its numbers never change (NEP 19)
    return lambda *shape: generator.randint(-256, 256, shape) / 256


def mask_of(name: str) -> np.ndarray:
    """(N, T), True at steps to be used."""
    rows = [
        [c == "1" for c in row]
        if isinstance(row, str)
        else [(t < row) if row > 0 else (t >= T + row) for t in range(T)]
        for row in MASKS[name]
    ]
    return np.array(rows)


def computed(config: Config, library: Any) -> Arrays:
    """Outputs and all gradients, by either library.

    A configuration has the layer, and may have "shape" of the input, "mask", "state" (that there is
    an initial one), "calls", "reset" (before the last call), "training".
    """
    numbers = drawn(config)
    shape = tuple(config.get("shape", (N, T, I)))
    layer = made_by(library, config["layer"])
    layer.build(shape)
    weights = [numbers(*w.shape) for w in layer.get_weights()]
    layer.set_weights(weights)
    found: Arrays = {}
    calls = config.get("calls", 1)
    for call in range(calls):
        if config.get("reset") and call == calls - 1:
            layer.reset_state()
        leaves = {"x": library.leaf(numbers(*shape))}
        options: dict[str, Any] = {}
        if sizes := config.get("state"):
            states = [library.leaf(numbers(shape[0], size)) for size in sizes]
            leaves |= {f"s{k}": state for k, state in enumerate(states)}
            options["initial_state"] = states if len(states) > 1 else states[0]
        if "mask" in config:
            options["mask"] = library.constant(mask_of(config["mask"]))
        outputs = list(flat(layer(leaves["x"], **options)))
        cotangents = [library.constant(numbers(*y.shape)) for y in outputs]
        loss = sum((y * g).sum() for y, g in zip(outputs, cotangents, strict=True))
        learnt = layer.trainable_weights
        gradients = library.gradients(loss, [*learnt, *leaves.values()])
        names = [*(f"w{k}" for k in range(len(learnt))), *leaves]
        found |= {f"{call} y{k}": library.numpy(y) for k, y in enumerate(outputs)}
        found |= {f"{call} d_{n}": g for n, g in zip(names, gradients, strict=True)}
    return found


def flat(parts: Any) -> Iterator[Any]:
    """The arrays in nested tuples and lists."""
    if isinstance(parts, (tuple, list)):
        for part in parts:
            yield from flat(part)
    else:
        yield parts


@contextmanager
def keras_in_float64() -> Iterator[Any]:
    """Keras on torch, as what `computed` takes, with the real type of float64 sums and products.

    Keras turns 64-bit results into 32-bit ones, as JAX does by default, on all backends but
    TensorFlow (keras/src/backend/common/dtypes.py).
    """
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras
    import torch
    from keras.src.backend.common import dtypes

    before = keras.config.floatx(), dtypes.BIT64_TO_BIT32_DTYPE["float64"]
    keras.config.set_floatx("float64")
    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"

    def gradients(loss: Any, leaves: list[Any]) -> list[np.ndarray]:
        tensors = [getattr(leaf, "value", leaf) for leaf in leaves]
        found = torch.autograd.grad(loss, tensors, allow_unused=True)
        return [
            np.zeros(tuple(t.shape)) if g is None else g.numpy()
            for t, g in zip(tensors, found, strict=True)
        ]

    try:
        # Keras overwrites the states of stateful layers, which the backward pass reads
        with torch.autograd.graph.allow_mutation_on_saved_tensors(), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of Keras' variables' __array__
            yield SimpleNamespace(
                keras=keras,
                layers=keras.layers,
                matmul=keras.ops.matmul,
                tanh=keras.ops.tanh,
                concatenate=keras.ops.concatenate,
                leaf=lambda a: torch.tensor(a, requires_grad=True),
                constant=torch.tensor,
                numpy=lambda y: y.detach().numpy().copy(),
                gradients=gradients,
            )
    finally:
        keras.config.set_floatx(before[0])
        dtypes.BIT64_TO_BIT32_DTYPE["float64"] = before[1]


# Configurations


def layer(kind: str, **options: Any) -> Config:
    return {"class": kind, "units": U, **options}


def states_of(kind: str) -> list[int]:
    return [U, U] if kind == "LSTM" else [U]


def both(inner: Config, **options: Any) -> Config:
    return {"class": "Bidirectional", "inner": inner, **options}


def kept() -> list[Config]:
    """The configurations whose numbers are in the file: each option of each layer."""
    sequences = {"return_sequences": True, "return_state": True}
    made: list[Config] = []
    for kind in KINDS:
        states = states_of(kind)
        made += [
            {"layer": layer(kind)},
            {"layer": layer(kind, **sequences), "state": states},
            {"layer": layer(kind, go_backwards=True, **sequences), "mask": "left"},
            {"layer": layer(kind, use_bias=False, activation="softsign"), "mask": "right"},
            {"layer": layer(kind, **sequences), "mask": "empty", "state": states},
            {
                "layer": layer(kind, zero_output_for_mask=True, **sequences),
                "mask": "holes",
                "state": states,
            },
            {"layer": layer(kind, activation="rational", unroll=True), "mask": "holes"},
            {"layer": layer(kind, stateful=True), "calls": 3, "reset": True},
        ]
    gru = layer("GRU", reset_after=False, return_state=True)
    made += [
        {"layer": gru, "state": [U]},
        {"layer": {**gru, "use_bias": False}, "mask": "holes"},
        {"layer": layer("LSTM", recurrent_activation="rational", return_sequences=True)},
        {"layer": both(layer("SimpleRNN", **sequences), merge_mode=None), "mask": "holes"},
        {"layer": both(layer("GRU", return_sequences=True)), "mask": "right"},
        {"layer": both(layer("LSTM"), merge_mode="sum"), "mask": "empty", "state": [U] * 4},
        {"layer": both(layer("GRU", return_state=True), merge_mode="ave"), "state": [U] * 2},
        {"layer": both(layer("SimpleRNN"), merge_mode="mul"), "mask": "left"},
        {
            "layer": both(
                layer("LSTM", return_sequences=True),
                backward_layer={**layer("GRU", return_sequences=True, go_backwards=True)},
            ),
            "mask": "left",
        },
    ]
    lstm = {"class": "LSTMCell", "units": U}
    cells = [lstm, {"class": "GRUCell", "units": 2}, {"class": "minimal", "units": 4}]
    own = [{"class": name, "units": U} for name in OWN_CELLS]
    made += [
        {"layer": {"class": "RNN", "inner": lstm, **sequences}, "mask": "holes"},
        {"layer": {"class": "RNN", "inner": cells, **sequences}, "mask": "empty"},
        *({"layer": {"class": "RNN", "inner": cell, **sequences}, "mask": "holes"} for cell in own),
        {"layer": {"class": "RNN", "inner": own[1]}, "state": [U, U + 1]},
        {
            "layer": {"class": "TimeDistributed", "inner": {"class": "Dense", "units": U}},
            "mask": "holes",
        },
        {
            "layer": {"class": "TimeDistributed", "inner": layer("LSTM")},
            "shape": [2, 3, T, I],
        },
    ]
    return made


def many() -> list[Config]:
    """All kinds with all combinations of options, for a comparison with Keras itself."""
    flags = ("return_sequences", "go_backwards", "zero_output_for_mask", "use_bias")
    made = []
    for kind, switches, mask, start in itertools.product(
        KINDS, itertools.product((True, False), repeat=4), (None, *MASKS), (True, False)
    ):
        options = dict(zip(flags, switches, strict=True))
        config: Config = {"layer": layer(kind, return_state=True, **options)}
        if mask is not None:
            config["mask"] = mask
        if start:
            config["state"] = states_of(kind)
        made.append(config)
    return made


def main() -> None:
    made: list[Case] = []
    with keras_in_float64() as library:
        assert library.keras.backend.backend() == "torch"
        made = [(config, {}, computed(config, library)) for config in kept()]
        version = library.keras.__version__
    save(NAME, made)
    with np.load(FOLDER / f"{NAME}.npz") as file:
        arrays = dict(file)
    versions = {"keras": np.array(version), "backend": np.array("torch")}
    np.savez_compressed(FOLDER / f"{NAME}.npz", **arrays, **versions)
    assert len(cases(NAME)) == len(made)


if __name__ == "__main__":
    main()
