"""An unrolled RNN step loop, op by op, forward and backward: here, in PyTorch, in bare NumPy.

    h = tanh(x[t] @ Wx + h @ Wh + b)        T = 50, H = 32, float32

"tensor" has the input as a Tensor; "numpy" is the notebook's loop: ndarray input, np.tanh. "bare" is
the same forward and backward written by hand in NumPy: what remains is the price of the graph.

    python benchmarks/eager_loop.py             # 1 and 2 threads
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable

T, H = 50, 32
ROUNDS = 300


def measure(threads: int) -> None:
    import numpy as np

    import tinygrad_rnn as tg

    try:
        import torch

        torch.set_num_threads(threads)
    except ImportError:
        torch = None

    for batch in (1, 16):
        rng = np.random.default_rng(0)
        xs = rng.standard_normal((T, batch, H)).astype(np.float32)
        shapes = ((H, H), (H, H), (H,))
        arrays = [(0.2 * rng.standard_normal(s)).astype(np.float32) for s in shapes]
        Wx, Wh, b = (tg.Tensor(a, requires_grad=True) for a in arrays)
        x = tg.Tensor(xs)
        h0 = np.zeros((batch, H), np.float32)

        def tensor() -> None:
            Wx.grad = Wh.grad = b.grad = None
            h = tg.Tensor(h0)
            for t in range(T):
                h = tg.tanh(x[t] @ Wx + h @ Wh + b)
            h.sum().backward()

        def numpy() -> None:
            Wx.grad = Wh.grad = b.grad = None
            h = h0
            for t in range(T):
                h = np.tanh(xs[t] @ Wx + h @ Wh + b)
            h.sum().backward()

        def bare() -> None:
            wx, wh, bias = arrays
            hs = [h0]
            for t in range(T):
                hs.append(np.tanh(xs[t] @ wx + hs[-1] @ wh + bias))
            g = np.ones_like(h0)
            d_wx, d_wh, d_b = np.zeros_like(wx), np.zeros_like(wh), np.zeros_like(bias)
            for t in reversed(range(T)):
                g = g * (1 - hs[t + 1] * hs[t + 1])
                d_b += g.sum(axis=0)
                d_wx += xs[t].T @ g
                d_wh += hs[t].T @ g
                g = g @ wh.T

        runs: dict[str, Callable[[], None]] = {"tensor": tensor, "numpy": numpy, "bare": bare}
        if torch is not None:
            weights = [torch.tensor(a, requires_grad=True) for a in arrays]
            tx, th0 = torch.tensor(xs), torch.tensor(h0)

            def pytorch() -> None:
                wx, wh, bias = weights
                wx.grad = wh.grad = bias.grad = None
                h = th0
                for t in range(T):
                    h = torch.tanh(tx[t] @ wx + h @ wh + bias)
                h.sum().backward()

            runs["pytorch"] = pytorch
        report(threads, batch, medians(runs))


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
