"""Each operation, eager, forward and backward, in chains of 20, beside PyTorch's.

    python benchmarks/operations.py                 # one thread; vectors of 1 and 32, 1024 x 1024
    python benchmarks/operations.py --only tanh     # operations whose name contains "tanh"

The ratio is our time over PyTorch's: below 1 we are faster. Primitives and composites have their
geometric means apart. With --bytes it prints what each operation keeps for the backward pass.
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # BLAS reads it when NumPy is loaded

import argparse
import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn.core.primitive import registry

CHAIN = 20
SHAPES: list[tuple[int, ...]] = [(1,), (32,), (1024, 1024)]
ROUNDS = {1: 200, 32: 200, 1024 * 1024: 5}

# A step of a chain, from h to the next h: here and in PyTorch. `c` is a constant of h's shape.
Step = Callable[[Any, Any], Any]


def steps(torch: Any) -> dict[str, tuple[Step, Step]]:
    same = ["tanh", "sigmoid", "sin", "cos", "arctan", "arcsinh", "sinh", "expm1", "exp2", "erf"]
    same += ["square", "sqrt", "exp", "absolute", "negative", "relu", "log1p", "sign", "floor"]
    same += ["reciprocal", "tan", "cosh", "log", "log2", "log10", "arcsin", "arccos", "arctanh"]
    same += ["ceil", "trunc", "sinc"]
    rows: dict[str, tuple[Step, Step]] = {}
    for name in same:
        rows[name] = one(getattr(tg, name), getattr(torch, name))
    pairs = ["add", "subtract", "multiply", "divide", "maximum", "minimum", "hypot", "arctan2"]
    pairs += ["fmax", "fmin", "remainder", "fmod", "logaddexp", "logaddexp2", "copysign"]
    for name in pairs:
        rows[name] = two(getattr(tg, name), getattr(torch, name))
    F = torch.nn.functional
    activations = ["softplus", "logsigmoid", "leaky_relu", "elu", "selu", "silu", "mish", "gelu"]
    activations += ["softsign", "hardtanh", "hardsigmoid", "hardswish"]
    for name in activations:
        rows[name] = one(getattr(tg, name), getattr(F, name))
    rows["power"] = (lambda h, c: h**3, lambda h, c: h**3)
    rows["where"] = (
        lambda h, c: tg.where(c > 0, h, 0.5),
        lambda h, c: torch.where(c > 0, h, 0.5),
    )
    rows["softmax"] = (lambda h, c: tg.softmax(h), lambda h, c: torch.softmax(h, -1))
    rows["log_softmax"] = (lambda h, c: tg.log_softmax(h), lambda h, c: torch.log_softmax(h, -1))
    rows["sum"] = (lambda h, c: h + h.sum(), lambda h, c: h + h.sum())
    rows["mean"] = (lambda h, c: h + h.mean(), lambda h, c: h + h.mean())
    rows["max"] = (lambda h, c: h - h.max(), lambda h, c: h - h.amax())
    rows["reshape"] = (lambda h, c: h.reshape(1, -1).reshape(h.shape),) * 2
    rows["transpose"] = (lambda h, c: h.reshape(1, -1).T.reshape(h.shape),) * 2
    rows["getitem"] = (lambda h, c: h + h[0], lambda h, c: h + h[0])
    rows["concatenate"] = (
        lambda h, c: tg.concatenate([h[:1], h[1:]]),
        lambda h, c: torch.cat([h[:1], h[1:]]),
    )
    rows["cumsum"] = (lambda h, c: h - 0.1 * tg.cumsum(h, -1), lambda h, c: h - 0.1 * h.cumsum(-1))
    # Reductions and rearrangements: each comes back to h's shape by something cheap.
    rows["prod"] = (lambda h, c: h * h.prod(), lambda h, c: h * h.prod())
    rows["var"] = (lambda h, c: h + h.var(), lambda h, c: h + h.var(correction=0))
    rows["std"] = (lambda h, c: h + h.std(), lambda h, c: h + h.std(correction=0))
    rows["logsumexp"] = (lambda h, c: h - tg.logsumexp(h, -1, True),
                         lambda h, c: h - torch.logsumexp(h, -1, True))  # fmt: skip
    rows["clip"] = (lambda h, c: tg.clip(h, 0.2, 0.8), lambda h, c: torch.clip(h, 0.2, 0.8))
    rows["expand_dims"] = (lambda h, c: tg.squeeze(tg.expand_dims(h, 0), 0),
                           lambda h, c: h.unsqueeze(0).squeeze(0))  # fmt: skip
    rows["swapaxes"] = (lambda h, c: tg.expand_dims(h, 0).swapaxes(0, 1)[:, 0],
                        lambda h, c: h.unsqueeze(0).swapaxes(0, 1)[:, 0])  # fmt: skip
    rows["broadcast_to"] = (lambda h, c: tg.broadcast_to(h, (2, *h.shape))[0],
                            lambda h, c: torch.broadcast_to(h, (2, *h.shape))[0])  # fmt: skip
    rows["flip"] = (lambda h, c: tg.flip(h, -1), lambda h, c: torch.flip(h, (-1,)))
    rows["roll"] = (lambda h, c: tg.roll(h, 1, -1), lambda h, c: torch.roll(h, 1, -1))
    rows["stack"] = (lambda h, c: tg.stack([h, c])[0], lambda h, c: torch.stack([h, c])[0])
    rows["unstack"] = (lambda h, c: h + tg.unstack(h)[0], lambda h, c: h + torch.unbind(h)[0])
    rows["split"] = (lambda h, c: tg.split(tg.stack([h, c]), 2)[0][0],
                     lambda h, c: torch.chunk(torch.stack([h, c]), 2)[0][0])  # fmt: skip
    rows["repeat"] = (lambda h, c: tg.repeat(h, 2, -1)[..., ::2],
                      lambda h, c: torch.repeat_interleave(h, 2, -1)[..., ::2])  # fmt: skip
    rows["sort"] = (lambda h, c: tg.sort(h), lambda h, c: torch.sort(h)[0])
    rows["cumprod"] = (lambda h, c: h - tg.cumprod(h, -1), lambda h, c: h - h.cumprod(-1))
    rows["matmul"] = (product, product)
    return rows


def product(h: Any, c: Any) -> Any:
    """A vector by a number, as a product of matrices; a matrix by a matrix."""
    return (h.reshape(-1, 1) @ c[:1].reshape(1, 1)).reshape(-1) if h.ndim == 1 else h @ c


def one(ours: Callable[..., Any], theirs: Callable[..., Any]) -> tuple[Step, Step]:
    return (lambda h, c: ours(h)), (lambda h, c: theirs(h))


def two(ours: Callable[..., Any], theirs: Callable[..., Any]) -> tuple[Step, Step]:
    return (lambda h, c: ours(h, c)), (lambda h, c: theirs(h, c))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="operations whose name contains this")
    parser.add_argument("--bytes", action="store_true", help="what is kept for backward")
    options = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    rows = {name: row for name, row in steps(torch).items() if options.only in name}
    if options.bytes:
        print_bytes(rows)
        return
    print(f"{'':14}" + "".join(f"{s!s:>26}" for s in SHAPES))
    ratios: dict[bool, dict[tuple[int, ...], list[float]]] = {True: {}, False: {}}
    for name, (ours, theirs) in rows.items():
        cells = []
        for shape in SHAPES:
            mine, other = compare(ours, theirs, shape, torch)
            ratios[name in registry].setdefault(shape, []).append(mine / other)
            cells.append(f"{mine:9.1f} {other:9.1f} {mine / other:6.2f}")
        print(f"{name:14}" + "".join(cells) + ("" if name in registry else "   composite"))
    for primitive, title in ((True, "primitives"), (False, "composites")):
        if ratios[primitive]:
            means = [statistics.geometric_mean(ratios[primitive][s]) for s in SHAPES]
            print(f"{title:14}" + "".join(f"{m:26.2f}" for m in means))


def compare(ours: Step, theirs: Step, shape: tuple[int, ...], torch: Any) -> tuple[float, float]:
    """Median microseconds of one operation in a chain, here and in PyTorch, run in turn."""
    values = np.random.default_rng(0).uniform(0.1, 0.9, shape).astype(np.float32)
    x, c = tg.Tensor(values, requires_grad=True), tg.Tensor(values[::-1].copy())
    tx, tc = torch.tensor(values, requires_grad=True), torch.tensor(values[::-1].copy())
    g, tg_ = np.ones(shape, np.float32), torch.ones(shape)

    def run(step: Step, leaf: Any, constant: Any, cotangent: Any) -> float:
        leaf.grad = None
        start = time.perf_counter()
        h = leaf
        for _ in range(CHAIN):
            h = step(h, constant)
        h.backward(cotangent)
        return time.perf_counter() - start

    mine, other = [], []
    with np.errstate(all="ignore"):
        for _ in range(ROUNDS[math.prod(shape)]):
            mine.append(run(ours, x, c, g))
            other.append(run(theirs, tx, tc, tg_))
    return statistics.median(mine) / CHAIN * 1e6, statistics.median(other) / CHAIN * 1e6


def print_bytes(rows: dict[str, tuple[Step, Step]]) -> None:
    """Arrays kept for the backward pass, in units of the input's size."""
    values = np.random.default_rng(0).uniform(0.1, 0.9, (256, 256)).astype(np.float32)
    for name, (ours, _) in rows.items():
        x, c = tg.Tensor(values, requires_grad=True), tg.Tensor(values[::-1].copy())
        kept = {}
        pending = [ours(x, c)._node]
        while pending:
            node = getattr(pending[-1], "node", pending[-1])
            pending.pop()
            if hasattr(node, "saved"):
                kept.update({id(a): a.nbytes for a in node.saved if isinstance(a, np.ndarray)})
                pending.extend(
                    a for a in node.arguments if hasattr(a, "scope") or hasattr(a, "node")
                )
        kept.pop(id(x.data), None)
        kept.pop(id(c.data), None)
        print(f"{name:14} {sum(kept.values()) / values.nbytes:5.2f} x the input, beside inputs")


if __name__ == "__main__":
    main()
