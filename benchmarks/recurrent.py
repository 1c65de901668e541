"""Recurrent layers and a user's own cell, forward and backward, beside PyTorch, JAX, bare NumPy.

    python benchmarks/recurrent.py                              # one thread, all layers and sizes
    python benchmarks/recurrent.py --threads 2 --layers LSTM GRU --sizes 50,16,32,32 100,32,64,128
    python benchmarks/recurrent.py --plot recurrent.png

Sizes are T,B,I,H; float32; parameters have gradients, the input has none. "train" is forward and
backward, "infer" forward alone without gradients. Ratios are the peer's time over ours: above 1 we
are faster. Everything is measured in turn in one process; a ratio is the median of those of the
rounds. PyTorch and JAX have their own threads limited to as many. "numpy" is numpy_lstm.py.

The user's cell is an LSTM written with np.split and np.tanh: as a function through `tg.rnn.scan`,
as a Module through `tg.rnn.Recurrent`, and the same lines in PyTorch, eager.

The last columns are ours alone: the first call, which writes the program if no other row has; and
what each later call spends before it runs it: on capturing the step, and on looking up its program
(nothing for the library's own layers, which keep it). "op by op": no program could be made.
"""

from __future__ import annotations

import os
import sys

THREADS = sys.argv[sys.argv.index("--threads") + 1] if "--threads" in sys.argv else "1"
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC"):
    os.environ[variable] = THREADS  # they are read when NumPy, PyTorch and JAX are loaded
if THREADS == "1":
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy_lstm import NumpyLSTM

import tinygrad_rnn as tg
from tinygrad_rnn.rnn.program import finding

SIZES = ["50,1,32,32", "50,16,32,32", "100,32,64,128", "100,32,128,256", "35,20,650,650"]
SIZES += ["100,64,512,512", "784,128,1,128"]
LAYERS = ["RNN", "GRU", "LSTM", "function", "module"]
SECONDS = 3.0  # for the rounds of one row
MOST_ROUNDS = 100
PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")

# Gives the gradient of W_hh when training, the outputs when not, to compare.
Run = Callable[[], Any]


class Problem:
    """What all peers compute: parameters, input, and the outputs' cotangent."""

    def __init__(self, layer: str, size: tuple[int, ...], train: bool) -> None:
        self.T, self.B, self.I, self.H = size
        self.layer, self.train = layer, train
        self.own = layer in ("function", "module")
        rng = np.random.default_rng(0)
        self.x = rng.standard_normal((self.T, self.B, self.I), np.float32)
        self.gy = rng.standard_normal((self.T, self.B, self.H), np.float32)
        made = getattr(tg.nn, "LSTM" if self.own else layer)(self.I, self.H, rng=0)
        self.parameters = {k.removesuffix("_l0"): v for k, v in made.state_dict().items()}


class OwnCell(tg.nn.Module):
    """An LSTM as a user writes it."""

    def __init__(self, input_size: int, hidden_size: int, weights: Any = None, rng: Any = None):
        super().__init__()
        shapes = (input_size, 4 * hidden_size), (hidden_size, 4 * hidden_size), (4 * hidden_size,)
        Wx, Wh, b = weights or [np.zeros(shape, np.float32) for shape in shapes]
        self.Wx, self.Wh, self.b = map(tg.nn.Parameter, (Wx, Wh, b))
        self.hidden_size = hidden_size

    def initial_state(self, batch: Any, dtype: Any) -> Any:
        return np.zeros((*batch, self.hidden_size), dtype), np.zeros(
            (*batch, self.hidden_size), dtype
        )

    def forward(self, x: Any, state: Any) -> Any:
        h, c = state
        i, f, g, o = np.split(x @ self.Wx + h @ self.Wh + self.b, 4, axis=-1)
        c = tg.sigmoid(f) * c + tg.sigmoid(i) * np.tanh(g)
        return tg.sigmoid(o) * np.tanh(c), c


def own_weights(problem: Problem) -> list[np.ndarray]:
    weight_ih, weight_hh, bias_ih, bias_hh = (problem.parameters[name] for name in PARAMETERS)
    return [weight_ih.T.copy(), weight_hh.T.copy(), bias_ih + bias_hh]


def ours(problem: Problem) -> Run:
    x, gy = problem.x, problem.gy
    if problem.own:
        cell = OwnCell(problem.I, problem.H, own_weights(problem))
        run_layer, weight, parameters = our_own(problem, cell)
    else:
        layer = getattr(tg.nn, problem.layer)(problem.I, problem.H, rng=0)
        run_layer, weight, parameters = layer, layer.weight_hh_l0, list(layer.parameters())

    def infer() -> Any:
        with tg.no_grad():
            return run_layer(x)[0].data

    def train() -> Any:
        for parameter in parameters:
            parameter.grad = None
        run_layer(x)[0].backward(gy)
        return weight.grad.data

    return train if problem.train else infer


def our_own(problem: Problem, cell: OwnCell) -> tuple[Any, Any, list[Any]]:
    if problem.layer == "module":
        layer = tg.rnn.Recurrent(OwnCell, problem.I, problem.H, weights=own_weights(problem))
        found = dict(layer.named_parameters())
        return layer, found["Wh_l0"], list(found.values())
    start = cell.initial_state((problem.B,), np.float32)

    def function(x: Any, state: Any) -> Any:
        return cell.forward(x, state)

    return lambda x: tg.rnn.scan(function, x, start), cell.Wh, list(cell.parameters())


def by_pytorch(problem: Problem) -> Run:
    import torch

    torch.set_num_threads(int(THREADS))
    x, gy = torch.from_numpy(problem.x), torch.from_numpy(problem.gy)
    if problem.own:
        parameters = [torch.tensor(w, requires_grad=True) for w in own_weights(problem)]
        weight, run_layer = parameters[1], pytorch_cell(torch, parameters, problem)
    else:
        layer = getattr(torch.nn, problem.layer)(problem.I, problem.H)
        values = problem.parameters.items()
        layer.load_state_dict({f"{k}_l0": torch.from_numpy(v.copy()) for k, v in values})
        weight, run_layer, parameters = layer.weight_hh_l0, layer, list(layer.parameters())

    def infer() -> Any:
        with torch.no_grad():
            return run_layer(x)[0].numpy()

    def train() -> Any:
        for parameter in parameters:
            parameter.grad = None
        run_layer(x)[0].backward(gy)
        return weight.grad.numpy()

    return train if problem.train else infer


def pytorch_cell(torch: Any, parameters: Any, problem: Problem) -> Any:
    Wx, Wh, b = parameters

    def run(xs: Any) -> Any:
        h = c = torch.zeros(problem.B, problem.H)
        hs = []
        for x in xs:
            i, f, g, o = (x @ Wx + h @ Wh + b).chunk(4, -1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            hs.append(h)
        return torch.stack(hs), (h, c)

    return run


def by_numpy(problem: Problem) -> Run | None:
    if problem.layer != "LSTM":
        return None
    lstm = NumpyLSTM(*(problem.parameters[name] for name in PARAMETERS))
    if not problem.train:
        return lambda: lstm.forward(problem.x)

    def train() -> Any:
        lstm.forward(problem.x)
        return lstm.backward(problem.gy, of_x=False)[2]

    return train


def by_jax(problem: Problem) -> Run:
    import jax
    import jax.numpy as jnp

    sigmoid, tanh = jax.nn.sigmoid, jnp.tanh

    def recur(kind: str, p: Any, a: Any, state: Any) -> Any:
        h = state[0]
        b = h @ p["weight_hh"].T + p["bias_hh"]
        if kind == "RNN":
            return (tanh(a + b),)
        if kind == "GRU":
            (ar, az, an), (br, bz, bn) = jnp.split(a, 3, -1), jnp.split(b, 3, -1)
            z = sigmoid(az + bz)
            return ((1 - z) * tanh(an + sigmoid(ar + br) * bn) + z * h,)
        i, f, g, o = jnp.split(a + b, 4, -1)
        c = sigmoid(f) * state[1] + sigmoid(i) * tanh(g)
        return sigmoid(o) * tanh(c), c

    kind = "LSTM" if problem.own else problem.layer
    zero = jnp.zeros((problem.B, problem.H), jnp.float32)
    start = (zero, zero) if kind == "LSTM" else (zero,)

    def outputs(p: Any, x: Any) -> Any:
        def step(state: Any, a: Any) -> Any:
            state = recur(kind, p, a, state)
            return state, state[0]

        return jax.lax.scan(step, start, x @ p["weight_ih"].T + p["bias_ih"])[1]

    p = {name: jnp.asarray(value) for name, value in problem.parameters.items()}
    x, gy = jnp.asarray(problem.x), jnp.asarray(problem.gy)
    if not problem.train:
        forward = jax.jit(outputs)
        return lambda: np.asarray(forward(p, x))
    gradient = jax.jit(jax.grad(lambda p, x, gy: (outputs(p, x) * gy).sum()))
    return lambda: np.asarray(jax.block_until_ready(gradient(p, x, gy))["weight_hh"])


PEERS: dict[str, Callable[[Problem], Run | None]] = {
    "ours": ours,
    "pytorch": by_pytorch,
    "numpy": by_numpy,
    "jax": by_jax,
}


def runs_of(problem: Problem, peers: list[str]) -> tuple[dict[str, Run], float]:
    """What to measure, after a check that all give the same, and the seconds of our first call."""
    finding._programs.clear()
    runs = {name: run for name in peers if (run := PEERS[name](problem)) is not None}
    began = time.perf_counter()
    expected = runs["ours"]()
    first = time.perf_counter() - began
    for name, run in runs.items():
        found = run()
        if problem.own and problem.train and name == "jax":
            found = found.T  # its parameters are as nn.LSTM has them
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3 * scale, err_msg=name)
    return runs, first


def times(runs: dict[str, Run]) -> dict[str, list[float]]:
    """Seconds of each, run in turn so that noise falls on all alike."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    end = time.perf_counter() + SECONDS
    while len(found["ours"]) < 3 or time.perf_counter() < end:
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            found[name].append(time.perf_counter() - began)
        if len(found["ours"]) == MOST_ROUNDS:
            break
    return found


def lookup(run: Run) -> tuple[float, float]:
    """Seconds of a call before its program runs: to capture the step, and to find the program."""
    spent: dict[str, list[float]] = {"_examined": [], "_program": []}
    originals = {name: getattr(finding, name) for name in spent}

    def timed(name: str) -> Any:
        def call(*arguments: Any) -> Any:
            began = time.perf_counter()
            found = originals[name](*arguments)
            spent[name].append(time.perf_counter() - began)
            return found

        return call

    try:
        for name in spent:
            setattr(finding, name, timed(name))
        for _ in range(5):
            run()
    finally:
        for name, original in originals.items():
            setattr(finding, name, original)
    captured, looked_up = (statistics.median(s) if s else 0.0 for s in spent.values())
    return captured, looked_up


def measure(layer: str, text: str, train: bool, peers: list[str]) -> dict[str, float]:
    """Prints a row; the ratios of the peers."""
    problem = Problem(layer, tuple(map(int, text.split(","))), train)
    runs, first = runs_of(problem, peers)
    seconds = times(runs)
    ratios = {
        name: statistics.median(a / b for a, b in zip(values, seconds["ours"], strict=True))
        for name, values in seconds.items()
        if name != "ours"
    }
    columns = "".join(
        f"{ratios[name]:9.2f}" if name in ratios else f"{'':9}" for name in peers if name != "ours"
    )
    captured, looked_up = lookup(runs["ours"])
    print(
        f"{layer:9}{text:16}{'train' if train else 'infer':6}"
        f"{1e3 * statistics.median(seconds['ours']):10.2f}{columns}"
        f"{1e3 * first:9.1f}{1e3 * captured:9.2f}{1e3 * looked_up:9.2f}"
        + ("  op by op" if None in finding._programs.values() else ""),
        flush=True,
    )
    return ratios


def plot(found: dict[tuple[str, str, bool], dict[str, float]], peers: list[str], path: str) -> None:
    """The ratios, a panel for each layer."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    layers = list(dict.fromkeys(layer for layer, *_ in found))
    sizes = list(dict.fromkeys(size for _, size, _ in found))
    figure, axes = plt.subplots(
        1, len(layers), figsize=(3.2 * len(layers), 3.6), sharey=True, squeeze=False
    )
    for axis, layer in zip(axes[0], layers, strict=True):
        for k, name in enumerate(peers[1:]):
            for train, style in ((True, "o-"), (False, "s:")):
                ratios = [found.get((layer, size, train), {}).get(name, np.nan) for size in sizes]
                if not np.isfinite(ratios).any():
                    continue
                label = f"{name}, {'forward and backward' if train else 'forward'}"
                axis.plot(ratios, style, color=f"C{k}", ms=4, lw=1, label=label)
        axis.axhline(1, color="black", lw=0.8)
        axis.set_yscale("log", base=2)
        axis.yaxis.set_major_formatter("{x:g}")
        axis.set_xticks(range(len(sizes)), sizes, rotation=90)
        axis.set_title(layer)
        axis.legend(fontsize=6)
    axes[0, 0].set_ylabel("time of the peer / ours")
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def importable(name: str) -> bool:
    import importlib.util

    return importlib.util.find_spec({"pytorch": "torch"}.get(name, name)) is not None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", default="1")
    parser.add_argument("--layers", nargs="+", choices=LAYERS, default=LAYERS)
    parser.add_argument("--sizes", nargs="+", default=SIZES, metavar="T,B,I,H")
    parser.add_argument("--only", choices=("train", "infer"))
    parser.add_argument("--plot", metavar="PATH", help="draw the ratios; needs matplotlib")
    options = parser.parse_args()
    peers = ["ours", *(name for name in PEERS if name != "ours" and importable(name))]
    print(f"threads {THREADS}; ms; peer's time / ours: above 1 we are faster")
    columns = "".join(f"{name:>9}" for name in peers[1:])
    rest = "".join(f"{name:>9}" for name in ("first", "capture", "look up"))
    print(f"{'layer':9}{'T,B,I,H':16}{'':6}{'ours':>10}{columns}{rest}")
    found = {
        (layer, size, train): measure(layer, size, train, peers)
        for layer in options.layers
        for size in options.sizes
        for train in (True, False)
        if options.only is None or train == (options.only == "train")
    }
    if options.plot:
        plot(found, peers, options.plot)


if __name__ == "__main__":
    main()
