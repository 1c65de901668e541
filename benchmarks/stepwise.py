"""One step of a recurrent layer in a stream, without a graph: here, in bare NumPy, in PyTorch.

    python benchmarks/stepwise.py               # I = H = 128, float32; 1 and 2 threads
    python benchmarks/stepwise.py --threads 1

"ours" is `layer.step(x, state)` under no_grad. "plain" is the step as a person writes it in NumPy,
with both biases; "tuned" merges the biases and works in place. "cell" and "layer" are PyTorch's
LSTMCell and LSTM (of a sequence of one step), under no_grad and under inference_mode. Each is fed
its own state again, so nothing can be cached. Microseconds of a step: the median of many rounds, in
each of which all run in turn; in brackets, half of the rounds are within this. A ratio is the
median of the rounds' ratios.

Then the layer called once with 1000 steps, under no_grad, beside the same loops.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_rnn as tg

SIZE = 128
STEPS = 50  # of a round
ROUNDS = 60
LONG = 1000

Step = Callable[[Any, Any], Any]  # (x_t, state) -> new state: h, or (h, c)
KINDS = ("LSTM", "GRU", "RNN")


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def plain_steps(weights: list[np.ndarray]) -> dict[str, Step]:
    W_ih, W_hh, b_ih, b_hh = weights

    def rnn(x: Any, h: Any) -> Any:
        return np.tanh(x @ W_ih.T + b_ih + h @ W_hh.T + b_hh)

    def lstm(x: Any, state: Any) -> Any:
        h, c = state
        gates = x @ W_ih.T + b_ih + h @ W_hh.T + b_hh
        i, f, g, o = np.split(gates, 4, axis=1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c = f * c + i * g
        return o * np.tanh(c), c

    def gru(x: Any, h: Any) -> Any:
        xr, xz, xn = np.split(x @ W_ih.T + b_ih, 3, axis=1)
        hr, hz, hn = np.split(h @ W_hh.T + b_hh, 3, axis=1)
        r, z = sigmoid(xr + hr), sigmoid(xz + hz)
        n = np.tanh(xn + r * hn)
        return (1 - z) * n + z * h

    return {"RNN": rnn, "LSTM": lstm, "GRU": gru}


def tuned_steps(weights: list[np.ndarray]) -> dict[str, Step]:
    W_ih, W_hh, b_ih, b_hh = weights
    V_ih, V_hh, H, merged = W_ih.T, W_hh.T, SIZE, b_ih + b_hh
    b_x = b_ih.copy()  # the GRU's: r multiplies b_hn, which must stay apart
    b_x[: 2 * H] += b_hh[: 2 * H]
    b_n = b_hh[2 * H :]

    def squash(a: np.ndarray) -> np.ndarray:
        np.negative(a, a)
        np.exp(a, a)
        a += 1
        return np.reciprocal(a, a)

    def rnn(x: Any, h: Any) -> Any:
        a = x @ V_ih
        a += h @ V_hh
        a += merged
        return np.tanh(a, a)

    def lstm(x: Any, state: Any) -> Any:
        h, c = state
        a = x @ V_ih
        a += h @ V_hh
        a += merged
        g = np.tanh(a[:, 2 * H : 3 * H])
        squash(a)
        c = a[:, H : 2 * H] * c
        g *= a[:, :H]
        c += g
        h = np.tanh(c)
        h *= a[:, 3 * H :]
        return h, c

    def gru(x: Any, h: Any) -> Any:
        a, b = x @ V_ih, h @ V_hh
        a += b_x
        rz = a[:, : 2 * H]
        rz += b[:, : 2 * H]
        squash(rz)
        n = b[:, 2 * H :]
        n += b_n
        n *= a[:, :H]
        n += a[:, 2 * H :]
        np.tanh(n, n)
        out = h - n
        out *= a[:, H : 2 * H]
        out += n
        return out

    return {"RNN": rnn, "LSTM": lstm, "GRU": gru}


def our_step(layer: Any) -> Step:
    return lambda x, state: layer.step(x, state)[1]


def pytorch_steps(kind: str, weights: list[np.ndarray], torch: Any) -> tuple[dict[str, Step], Any]:
    """The steps of PyTorch's cell and layer with these weights; and the layer."""
    cell, layer = getattr(torch.nn, f"{kind}Cell")(SIZE, SIZE), getattr(torch.nn, kind)(SIZE, SIZE)
    with torch.no_grad():
        for target in (cell.parameters(), layer.parameters()):
            for parameter, values in zip(target, weights, strict=True):
                parameter.copy_(torch.from_numpy(values))
    return {"cell": cell, "layer": lambda x, state: layer(x[None], state)[1]}, layer


def start(kind: str, batch: int) -> Any:
    zeros = np.zeros((batch, SIZE), np.float32)
    return (zeros, zeros) if kind == "LSTM" else zeros


class Stream:
    """A step that is fed `xs` over and over, its own state handed on."""

    def __init__(self, step: Step, xs: Any, state: Any, mode: Callable[[], Any]) -> None:
        self.step, self.xs, self.state, self.mode = step, xs, state, mode

    def run(self) -> float:
        """Microseconds of a step."""
        step, state = self.step, self.state
        with self.mode():
            began = time.perf_counter()
            for x in self.xs:
                state = step(x, state)
            took = time.perf_counter() - began
        self.state = state
        return 1e6 * took / len(self.xs)

    def hidden(self) -> np.ndarray:
        h = self.state[0] if isinstance(self.state, tuple) else self.state
        return (h.numpy() if hasattr(h, "numpy") else np.asarray(h)).reshape(-1, SIZE)


def streams(kind: str, batch: int, torch: Any) -> tuple[dict[str, Stream], Any, Any]:
    """All that is compared; our layer and PyTorch's (or None), with the same weights."""
    rng = np.random.default_rng(0)
    xs = list(rng.standard_normal((STEPS, batch, SIZE)).astype(np.float32))
    layer = getattr(tg.nn, kind)(SIZE, SIZE, rng=0)
    weights = [p.data for p in layer.parameters()]
    found = {
        "ours": Stream(our_step(layer), xs, None, tg.no_grad),
        "plain": Stream(plain_steps(weights)[kind], xs, start(kind, batch), tg.no_grad),
        "tuned": Stream(tuned_steps(weights)[kind], xs, start(kind, batch), tg.no_grad),
    }
    if torch is None:
        return found, layer, None
    theirs, their_layer = pytorch_steps(kind, weights, torch)
    given = [torch.from_numpy(x) for x in xs]
    for mode in (torch.no_grad, torch.inference_mode):
        for name, step in theirs.items():
            found[f"{name}/{mode.__name__}"] = Stream(step, given, None, mode)
    return found, layer, their_layer


def compare(runs: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """What each gives, round by round, run in turn so that noise falls on all alike."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            times[name].append(run())
    return times


def require_agreement(found: dict[str, Stream]) -> None:
    """One round of each must end in the same state: else they don't compute the same."""
    for stream in found.values():
        stream.run()
    for name, stream in found.items():
        np.testing.assert_allclose(
            stream.hidden(), found["ours"].hidden(), rtol=1e-3, atol=1e-5, err_msg=name
        )


def measure(threads: int, kinds: list[str]) -> None:
    torch = pytorch(threads)
    for batch in (1, 16):
        for kind in kinds:
            found, layer, their_layer = streams(kind, batch, torch)
            require_agreement(found)
            times = compare({name: s.run for name, s in found.items()}, ROUNDS)
            print(f"threads {threads}  B {batch:2}  {kind:4} " + described(times), flush=True)
            print(f"{'':21}ours / " + ratios(times), flush=True)
            runs = whole(kind, batch, layer, their_layer, torch)
            times = compare(runs, 5)
            print(f"{'':21}{LONG} steps, ms: " + described(times), flush=True)
            print(f"{'':21}ours / " + ratios(times), flush=True)


def whole(
    kind: str, batch: int, layer: Any, their_layer: Any, torch: Any
) -> dict[str, Callable[[], float]]:
    """A whole sequence at once, in milliseconds."""
    xs = np.random.default_rng(1).standard_normal((LONG, batch, SIZE)).astype(np.float32)
    step = plain_steps([p.data for p in layer.parameters()])[kind]

    def ours() -> None:
        with tg.no_grad():
            layer(xs)

    def plain() -> None:
        state = start(kind, batch)
        hs = []
        for x in xs:
            state = step(x, state)
            hs.append(state[0] if kind == "LSTM" else state)
        np.stack(hs)

    runs = {"ours": ours, "plain": plain}
    if torch is not None:
        given = torch.from_numpy(xs)

        def theirs() -> None:
            with torch.no_grad():
                their_layer(given)

        runs["layer/no_grad"] = theirs
    return {name: timed(run) for name, run in runs.items()}


def timed(run: Callable[[], None]) -> Callable[[], float]:
    def milliseconds() -> float:
        began = time.perf_counter()
        run()
        return 1e3 * (time.perf_counter() - began)

    return milliseconds


def described(times: dict[str, list[float]]) -> str:
    parts = []
    for name, values in times.items():
        low, _, high = statistics.quantiles(values, n=4)
        parts.append(f"{name} {statistics.median(values):.1f} [{low:.1f}, {high:.1f}]")
    return "  ".join(parts)


def ratios(times: dict[str, list[float]]) -> str:
    parts = []
    for name, values in times.items():
        if name != "ours":
            pairs = zip(times["ours"], values, strict=True)
            parts.append(f"{name} {statistics.median(a / b for a, b in pairs):.2f}")
    return "  ".join(parts)


def pytorch(threads: int) -> Any:
    try:
        import torch
    except ImportError:
        print("PyTorch isn't installed: nothing to compare with")
        return None
    torch.set_num_threads(threads)
    return torch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, help="1 or 2; both if it isn't given")
    parser.add_argument("--only", choices=KINDS, help="one kind of layer")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        measure(options.threads, [options.only] if options.only else list(KINDS))
        return
    for count in map(str, [options.threads] if options.threads else [1, 2]):
        # BLAS reads its number of threads when NumPy is loaded.
        threads = {f"{name}_NUM_THREADS": count for name in ("OMP", "OPENBLAS", "MKL")}
        command = [sys.executable, __file__, "--here", "--threads", count]
        command += ["--only", options.only] if options.only else []
        subprocess.run(command, env=os.environ | threads, check=True)


if __name__ == "__main__":
    main()
