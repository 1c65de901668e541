"""An unrolled RNN step loop, op by op, forward and backward: here, in PyTorch, in bare NumPy.

    h = tanh(x[t] @ Wx + h @ Wh + b)        T = 50, H = 32, float32

"tensor" has the input as a Tensor; "numpy" is the notebook's loop: ndarray input, np.tanh. "bare"
is the same forward and backward written by hand in NumPy: what remains is the price of the graph.

    python benchmarks/eager_loop.py             # 1 and 2 threads
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_rnn as tg

T, H = 50, 32
ROUNDS = 300


def measure(threads: int) -> None:
    for batch in (1, 16):
        rng = np.random.default_rng(0)
        xs = rng.standard_normal((T, batch, H)).astype(np.float32)
        shapes = ((H, H), (H, H), (H,))
        weights = [(0.2 * rng.standard_normal(s)).astype(np.float32) for s in shapes]
        h0 = np.zeros((batch, H), np.float32)
        runs = {
            "tensor": our_loop(tg.Tensor(xs), tg.Tensor(h0), weights, tg.tanh),
            "numpy": our_loop(xs, h0, weights, np.tanh),
            "bare": bare_loop(xs, h0, weights),
        }
        try:
            runs["pytorch"] = pytorch_loop(xs, h0, weights, threads)
        except ImportError:
            print("PyTorch isn't installed: nothing to compare with")
        report(threads, batch, medians(runs))


def our_loop(
    xs: Any, h0: Any, weights: list[np.ndarray], tanh: Callable[[Any], Any]
) -> Callable[[], None]:
    Wx, Wh, b = (tg.Tensor(w, requires_grad=True) for w in weights)

    def run() -> None:
        Wx.grad = Wh.grad = b.grad = None
        h = h0
        for t in range(T):
            h = tanh(xs[t] @ Wx + h @ Wh + b)
        h.sum().backward()

    return run


def bare_loop(xs: np.ndarray, h0: np.ndarray, weights: list[np.ndarray]) -> Callable[[], None]:
    Wx, Wh, b = weights

    def run() -> None:
        hs = [h0]
        for t in range(T):
            hs.append(np.tanh(xs[t] @ Wx + hs[-1] @ Wh + b))
        g = np.ones_like(h0)
        d_Wx, d_Wh, d_b = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
        for t in reversed(range(T)):
            g = g * (1 - hs[t + 1] * hs[t + 1])
            d_b += g.sum(axis=0)
            d_Wx += xs[t].T @ g
            d_Wh += hs[t].T @ g
            g = g @ Wh.T

    return run


def pytorch_loop(
    xs: np.ndarray, h0: np.ndarray, weights: list[np.ndarray], threads: int
) -> Callable[[], None]:
    import torch

    torch.set_num_threads(threads)
    Wx, Wh, b = (torch.tensor(w, requires_grad=True) for w in weights)
    x, start = torch.tensor(xs), torch.tensor(h0)

    def run() -> None:
        Wx.grad = Wh.grad = b.grad = None
        h = start
        for t in range(T):
            h = torch.tanh(x[t] @ Wx + h @ Wh + b)
        h.sum().backward()

    return run


def medians(runs: dict[str, Callable[[], None]]) -> dict[str, float]:
    """Milliseconds of each, run in turn so that noise falls on all alike."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: 1e3 * sorted(t)[len(t) // 2] for name, t in times.items()}


def report(threads: int, batch: int, ms: dict[str, float]) -> None:
    text = f"threads {threads}  batch {batch:2}  " + "  ".join(
        f"{name} {value:.2f} ms" for name, value in ms.items()
    )
    text += f"  | graph costs {ms['tensor'] - ms['bare']:.2f} ms"
    if "pytorch" in ms:
        text += "  | ours / pytorch: " + ", ".join(
            f"{name} {ms[name] / ms['pytorch']:.2f}" for name in ("tensor", "numpy")
        )
    print(text, flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(int(sys.argv[1]))
    else:
        for count in ("1", "2"):
            # BLAS reads its number of threads when NumPy is loaded.
            threads = {"OMP_NUM_THREADS": count, "OPENBLAS_NUM_THREADS": count}
            subprocess.run([sys.executable, __file__, count], env=os.environ | threads, check=True)
