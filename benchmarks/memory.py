"""Memory and time of an LSTM's forward and backward over a long sequence, with checkpoints or not.

    python benchmarks/memory.py                 # T = 2000, B = 16, I = H = 128, float32, 1 thread
    python benchmarks/memory.py --steps 500 --threads 2

Memory: each in a process of its own, the peak of its resident memory, minus what it was after
imports, parameters, input, cotangent, and a warm-up on four steps; "traced" is the peak of what
NumPy and Python allocate, by tracemalloc, for ours. Time: all in one process, in turn; the median,
and in brackets the fastest and the slowest. PyTorch's checkpoints are torch.utils.checkpoint around
its layer, once for each segment.
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

# A process starts with the peak memory of the one that started it, so this one loads nothing big.

BATCH, SIZE = 16, 128
NAMES = ("ours", "ours, checkpoints", "pytorch", "pytorch, checkpoints")

Run = Callable[[int], Any]  # of so many steps: forward and backward; a weight's gradient


def made(name: str, steps: int, every: int, threads: int) -> Run:
    import numpy as np

    rng = np.random.default_rng(0)
    x, g = (rng.standard_normal((steps, BATCH, SIZE), np.float32) for _ in range(2))
    checkpoints = every if name.endswith("checkpoints") else None
    make = of_ours if name.startswith("ours") else of_pytorch
    return make(x, g, checkpoints, threads)


def of_ours(x: Any, g: Any, every: int | None, threads: int) -> Run:
    import tinygrad_rnn as tg

    lstm = tg.nn.LSTM(SIZE, SIZE, rng=0, checkpoint_every=every)

    def run(steps: int) -> Any:
        lstm.zero_grad()
        output, _ = lstm(x[:steps])
        output.backward(g[:steps])
        return lstm.weight_hh_l0.grad.data

    return run


def of_pytorch(x: Any, g: Any, every: int | None, threads: int) -> Run:
    import torch
    from torch.utils.checkpoint import checkpoint

    import tinygrad_rnn as tg

    torch.set_num_threads(threads)
    lstm = torch.nn.LSTM(SIZE, SIZE)
    weights = tg.nn.LSTM(SIZE, SIZE, rng=0).state_dict()
    lstm.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    x, g = torch.from_numpy(x), torch.from_numpy(g)

    def run(steps: int) -> Any:
        lstm.zero_grad()
        if every is None:
            output, _ = lstm(x[:steps])
        else:
            outputs, state = [], None
            for segment in x[:steps].split(every):
                y, state = checkpoint(lstm, segment, state, use_reentrant=False)
                outputs.append(y)
            output = torch.cat(outputs)
        output.backward(g[:steps])
        return lstm.weight_hh_l0.grad.numpy()

    return run


def peak(name: str, steps: int, every: int, threads: int) -> int:
    """Bytes of resident memory above the start."""
    import resource

    def highest() -> int:
        unit = 1 if sys.platform == "darwin" else 1024
        return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    run = made(name, steps, every, threads)
    run(4)
    before = highest()
    run(steps)
    return highest() - before


def traced(name: str, steps: int, every: int, threads: int) -> int:
    """Bytes allocated above the start, at the peak."""
    import tracemalloc

    run = made(name, steps, every, threads)
    run(4)
    tracemalloc.start()
    run(steps)
    return tracemalloc.get_traced_memory()[1]


def times(
    names: list[str], steps: int, every: int, threads: int, rounds: int
) -> dict[str, list[float]]:
    """Seconds of each, run in turn so that noise falls on all alike."""
    import numpy as np

    runs = {name: made(name, steps, every, threads) for name in names}
    gradients = [run(steps) for run in runs.values()]
    for gradient in gradients[1:]:  # else they don't compute the same
        scale = np.abs(gradients[0]).max()
        np.testing.assert_allclose(gradient, gradients[0], rtol=0, atol=1e-3 * scale)
    found: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, run in runs.items():
            began = time.perf_counter()
            run(steps)
            found[name].append(time.perf_counter() - began)
    return found


def report(names: list[str], options: argparse.Namespace) -> None:
    def apart(what: str, name: str) -> str:
        """What a process of its own prints."""
        command = [sys.executable, __file__, "--what", what, "--name", name]
        for key in ("steps", "every", "threads", "rounds"):
            command += [f"--{key}", str(getattr(options, key))]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout

    found: dict[str, list[float]] = {}
    for line in apart("times", ",,".join(names)).splitlines():
        name, *values = line.split("\t")
        found[name] = [float(value) for value in values]
    print(
        f"T {options.steps}  B {BATCH}  I = H = {SIZE}  float32  checkpoints every {options.every} "
        f"steps  threads {options.threads}  median of {options.repeats} peaks\n"
        f"{'':24}{'peak MB':>9}{'':16}{'traced MB':>10}{'seconds':>9}"
    )
    for name in names:
        peaks = sorted(int(apart("peak", name)) / 2**20 for _ in range(options.repeats))
        own = f"{int(apart('traced', name)) / 2**20:10.1f}" if name in NAMES[:2] else f"{'':10}"
        seconds = found[name]
        print(
            f"{name:24}{statistics.median(peaks):9.1f} [{peaks[0]:6.1f},{peaks[-1]:6.1f}]{own}"
            f"{statistics.median(seconds):9.2f} [{min(seconds):.2f}, {max(seconds):.2f}]",
            flush=True,
        )
    for plain in ("ours", "pytorch"):
        if plain in found:
            pairs = zip(found[f"{plain}, checkpoints"], found[plain], strict=True)
            ratio = statistics.median(a / b for a, b in pairs)
            print(f"time with checkpoints / without, {plain}: {ratio:.2f}")


def have_pytorch() -> bool:
    import importlib.util

    return importlib.util.find_spec("torch") is not None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=2000, help="T")
    parser.add_argument("--every", type=int, help="steps between checkpoints; √T if not given")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5, help="of timing")
    parser.add_argument("--repeats", type=int, default=3, help="of measuring the peak")
    parser.add_argument("--what", choices=("peak", "traced", "times"), help=argparse.SUPPRESS)
    parser.add_argument("--name", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.every = options.every or round(options.steps**0.5)
    given = options.steps, options.every, options.threads
    if options.what is None:
        for variable in ("OMP", "OPENBLAS", "MKL"):
            # BLAS reads its number of threads when NumPy is loaded.
            os.environ[f"{variable}_NUM_THREADS"] = str(options.threads)
        report(list(NAMES) if have_pytorch() else list(NAMES[:2]), options)
    elif options.what == "times":
        for name, values in times(options.name.split(",,"), *given, options.rounds).items():
            print(name, *values, sep="\t")
    else:
        print((peak if options.what == "peak" else traced)(options.name, *given))


if __name__ == "__main__":
    main()
