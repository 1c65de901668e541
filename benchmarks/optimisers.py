"""One step of each optimiser, for an LSTM of about 1M parameters, beside PyTorch's.

    python benchmarks/optimisers.py                # one thread
    python benchmarks/optimisers.py --threads 2 --plot optimisers.png

float32. "default" is PyTorch's optimiser as it is made without further arguments, "fused" the one
with fused=True (where there is one on the CPU). Everything is measured in turn in one process; a
ratio is the median of those of the rounds: PyTorch's time over ours, above 1 we are faster. Only
PyTorch's optimisers use several threads.
"""

from __future__ import annotations

import os
import sys

THREADS = sys.argv[sys.argv.index("--threads") + 1] if "--threads" in sys.argv else "1"
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = THREADS  # they are read when NumPy and PyTorch are loaded

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import tinygrad_rnn as tg

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "SGD": ("SGD", {}),
    "SGD momentum": ("SGD", {"momentum": 0.9}),
    "SGD nesterov decay": ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    "Adam": ("Adam", {}),
    "Adam amsgrad decay": ("Adam", {"amsgrad": True, "weight_decay": 0.01}),
    "AdamW": ("AdamW", {}),
    "RMSprop": ("RMSprop", {}),
    "RMSprop centered": ("RMSprop", {"centered": True, "momentum": 0.9}),
    "Adagrad": ("Adagrad", {}),
    "Adadelta": ("Adadelta", {}),
}
FUSED = ("SGD", "Adam", "AdamW", "Adagrad")


def steps(kind: str, options: dict[str, Any], hidden: int) -> dict[str, Callable[[], Any]]:
    """The steps to measure, after a check that all give the same."""
    rng = np.random.default_rng(0)
    layer = tg.nn.LSTM(hidden, hidden, rng=0)
    ours = [tg.Tensor(p.data, requires_grad=True) for p in layer.parameters()]
    gradients = [rng.standard_normal(p.shape, np.float32) for p in ours]
    for p, g in zip(ours, gradients, strict=True):
        p.grad = g
    found = {"ours": getattr(tg.optim, kind)(ours, lr=1e-3, **options).step}
    peers = {"default": {}, "fused": {"fused": True}} if kind in FUSED else {"default": {}}
    lists = []
    for name, further in peers.items():
        theirs = [torch.tensor(p.data, requires_grad=True) for p in ours]
        for q, g in zip(theirs, gradients, strict=True):
            q.grad = torch.tensor(g)
        found[name] = getattr(torch.optim, kind)(theirs, lr=1e-3, **options, **further).step
        lists.append(theirs)
    for step in found.values():
        step()
    for theirs in lists:
        for p, q in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-4, atol=1e-6)
    return found


def measured(runs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each, run in turn so that noise falls on all alike."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            found[name].append(time.perf_counter() - began)
    return found


def plot(rows: dict[str, dict[str, float]], path: str) -> None:
    """The ratios as bars."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(7, 3.6))
    for k, name in enumerate(("default", "fused")):
        places = np.arange(len(rows)) + 0.4 * k
        axis.bar(places, [row.get(name, np.nan) for row in rows.values()], 0.4, label=name)
    axis.axhline(1, color="black", lw=0.8)
    axis.set_xticks(np.arange(len(rows)) + 0.2, list(rows), rotation=45, ha="right")
    axis.set_ylabel("PyTorch's time / ours")
    axis.set_title(f"one step, 1M parameters, {THREADS} thread{'s' if THREADS != '1' else ''}")
    axis.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", default="1")
    parser.add_argument("--hidden", type=int, default=360, help="of the LSTM, and its input")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--plot", metavar="PATH", help="draw the ratios; needs matplotlib")
    options = parser.parse_args()
    torch.set_num_threads(int(THREADS))
    count = 8 * options.hidden * (options.hidden + 1)
    print(f"threads {THREADS}; {count:,} parameters; ms, and PyTorch's time / ours")
    print(f"{'':20}{'ours':>8}{'default':>9}{'fused':>9}")
    rows = {}
    for row in options.only:
        kind, settings = KINDS[row]
        seconds = measured(steps(kind, settings, options.hidden), options.rounds)
        rows[row] = {
            name: statistics.median(a / b for a, b in zip(values, seconds["ours"], strict=True))
            for name, values in seconds.items()
            if name != "ours"
        }
        ours = 1e3 * statistics.median(seconds["ours"])
        print(f"{row:20}{ours:8.2f}" + "".join(f"{r:9.2f}" for r in rows[row].values()), flush=True)
    if options.plot:
        plot(rows, options.plot)


if __name__ == "__main__":
    main()
