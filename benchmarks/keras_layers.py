"""Keras layers beside the same tg.nn layers with the same weights, forward and backward.

    python benchmarks/keras_layers.py                         # one thread, all models and sizes
    python benchmarks/keras_layers.py --threads 2 --models LSTM GRU --sizes 50,16,32,32

Sizes are T,N,I,H; float32. "train" is forward and backward, "infer" forward alone without
gradients. Both are measured in turn in one process; the ratio, Keras layer over tg.nn layer, is the
median of those of the rounds. Each gets its input as (N, T, I), tg.nn with batch_first.
"""

from __future__ import annotations

import os
import sys

THREADS = sys.argv[sys.argv.index("--threads") + 1] if "--threads" in sys.argv else "1"
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = THREADS  # they are read when NumPy is loaded

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn.keras import Sequential, layers

SIZES = ["10,1,8,8", "20,8,16,16", "50,16,32,32", "100,32,64,128"]
MODELS = ["SimpleRNN", "LSTM", "GRU", "Bidirectional", "Sequential"]
SECONDS = 3.0  # for the rounds of one row
FEWEST, MOST = 15, 400  # rounds
WORDS = 1000

Made = tuple[Callable[[], Any], list[Any]]


def columns(weight: Any, kind: str) -> np.ndarray:
    """A weight or bias of tg.nn, (gates · H, …), as Keras has it."""
    if kind != "GRU":
        return weight.data.T
    r, z, n = np.split(weight.data, 3)
    return np.concatenate([z, r, n]).T


def keras_weights(layer: Any, kind: str) -> list[np.ndarray]:
    """The weights of a layer of tg.nn as its Keras layer takes them; of both directions."""
    found = []
    for end in ("", "_reverse")[: layer.directions]:
        w_ih, w_hh, b_ih, b_hh = (
            columns(getattr(layer, f"{name}_l0{end}"), kind)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        found += [w_ih, w_hh, np.stack([b_ih, b_hh]) if kind == "GRU" else b_ih + b_hh]
    return found


def pair(name: str, size: tuple[int, ...]) -> tuple[Any, Any, np.ndarray]:
    """A Keras layer, the function of tg.nn (with its parameters) that is the same, the input."""
    steps, batch, features, units = size
    rng = np.random.default_rng(0)
    x: np.ndarray = rng.standard_normal((batch, steps, features)).astype(np.float32)
    both = name == "Bidirectional"
    kind = "LSTM" if both or name == "Sequential" else name
    inner = getattr(tg.nn, kind.replace("Simple", ""))(
        features, units, batch_first=True, bidirectional=both, rng=0
    )
    if name != "Sequential":
        made = getattr(layers, kind)(units, return_sequences=True)
        made = layers.Bidirectional(made) if both else made
        made.build(x.shape)
        made.set_weights(keras_weights(inner, kind))
        return made, (lambda x: inner(x)[0], list(inner.parameters())), x
    ids = rng.integers(0, WORDS, (batch, steps))
    embedding, dense = tg.nn.Embedding(WORDS, features, rng=0), tg.nn.Linear(units, 1, rng=0)
    model = Sequential(
        [
            layers.Embedding(WORDS, features),
            layers.LSTM(units),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.set_weights(
        [
            embedding.weight.data,
            *keras_weights(inner, kind),
            dense.weight.data.T,
            dense.bias.data,
        ]
    )
    parameters = [p for m in (embedding, inner, dense) for p in m.parameters()]
    return model, (lambda x: tg.sigmoid(dense(inner(embedding(x))[0][:, -1])), parameters), ids


def run_of(call: Any, parameters: list[Any], x: np.ndarray, gy: np.ndarray, train: bool) -> Any:
    def infer() -> Any:
        with tg.no_grad():
            return call(x).data

    def forward_and_backward() -> Any:
        for parameter in parameters:
            parameter.grad = None
        output = call(x)
        output.backward(gy)
        return output.data

    return forward_and_backward if train else infer


def measure(name: str, text: str, train: bool) -> float:
    """Prints a row; the ratio."""
    keras_layer, (call, parameters), x = pair(name, tuple(map(int, text.split(","))))
    with tg.no_grad():
        expected = call(x).data
    gy = np.random.default_rng(1).standard_normal(expected.shape).astype(np.float32)
    runs = (
        run_of(keras_layer, keras_layer.weights, x, gy, train),
        run_of(call, parameters, x, gy, train),
    )
    for run in runs:
        for _ in range(3):
            np.testing.assert_allclose(run(), expected, rtol=0, atol=1e-4)
    seconds: tuple[list[float], list[float]] = ([], [])
    end = time.perf_counter() + SECONDS
    while len(seconds[0]) < FEWEST or (time.perf_counter() < end and len(seconds[0]) < MOST):
        order = (0, 1) if len(seconds[0]) % 2 else (1, 0)
        for k in order:
            began = time.perf_counter()
            runs[k]()
            seconds[k].append(time.perf_counter() - began)
    ratio = statistics.median(a / b for a, b in zip(*seconds, strict=True))
    keras_time, own_time = (1e3 * statistics.median(each) for each in seconds)
    print(
        f"{name:15}{text:16}{'train' if train else 'infer':6}"
        f"{keras_time:10.3f}{own_time:10.3f}{ratio:8.2f}",
        flush=True,
    )
    return ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", default="1")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--sizes", nargs="+", default=SIZES, metavar="T,N,I,H")
    options = parser.parse_args()
    print(f"threads {THREADS}; ms; Keras layer's time / tg.nn layer's: below 1 it is faster")
    print(f"{'model':15}{'T,N,I,H':16}{'':6}{'keras':>10}{'tg.nn':>10}{'ratio':>8}")
    ratios = [
        measure(name, size, train)
        for name in options.models
        for size in options.sizes
        for train in (True, False)
    ]
    print(f"median of all ratios {statistics.median(ratios):.2f}, largest {max(ratios):.2f}")


if __name__ == "__main__":
    main()
