"""Memory: how long RNN, LSTM and GRU remember.

    python demos/memory.py

Two tasks that can only be solved by remembering something, for up to T steps:

adding  each step brings a random number and a mark, which is 1 at two steps and 0 at the others.
        After T steps: what is the sum of the two marked numbers? (Hochreiter & Schmidhuber 1997,
        with the steps marked as by Le et al. 2015: one in the first half, one in the second)
copy    five symbols, each one of four, then a wait of T steps. Which symbols were they, in which
        order? (Arjovsky et al. 2016, with ten symbols, each one of eight: that takes longer)

RNN, LSTM and GRU of the same hidden size are trained on both, anew for each T. A feed-forward
layer, which sees what an RNN sees at the last step but has no state, is their sibling without
memory: each input on its own, one to one. To give all a good start, recurrent weights begin as
orthogonal matrices, and the gates as open as T asks for (chrono initialisation). The pictures show
who remembers for how long within the updates given, and how much of the gradient finds its way back
to the first step.

It takes about a minute and a half on two cores; fewer --lengths or --updates take less.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import one_thread  # noqa: F401  isort: skip
import numpy as np
import options

import tinygrad_rnn as tg

try:
    from matplotlib.figure import Figure
    from tqdm import tqdm
except ModuleNotFoundError as missing:
    sys.exit(options.MISSING.format(missing))

NETWORKS = ("feed-forward", "RNN", "LSTM", "GRU")
LAYERS = {"RNN": tg.nn.RNN, "LSTM": tg.nn.LSTM, "GRU": tg.nn.GRU}
SOLVED = 0.1  # a task is solved with a tenth of the baseline's error
ENOUGH = 0.05  # on validation, so that chance doesn't decide about SOLVED on the test set
EPOCH = 50  # updates between two validations

HELD_OUT_STRINGS = 128  # of the 1024 of the copy task: for the validation, and again for the test

Batch = tuple[np.ndarray, np.ndarray]


# The tasks


class Adding:
    """The sum of two marked numbers among T.

    Who always answers 1, the mean, has the variance of the sum of two uniform numbers as its error.
    """

    name = "adding"
    inputs, outputs, answers = 2, 1, 1
    learning_rate = 0.01
    error, baseline = "mean squared error", 1 / 6
    baseline_name = "always answer 1"

    def draw(self, part: str, rng: np.random.Generator, n: int, length: int) -> Batch:
        """Inputs (length, n, 2) and sums (1, n, 1), for any part: no two are the same."""
        numbers, marks = rng.uniform(0, 1, (length, n)), np.zeros((length, n))
        half = length // 2
        marks[rng.integers(0, half, n), np.arange(n)] = 1
        marks[rng.integers(half, length, n), np.arange(n)] = 1
        sums = (numbers * marks).sum(axis=0)
        x = np.stack([numbers, marks], axis=-1)
        return x.astype(np.float32), sums[None, :, None].astype(np.float32)

    def loss(self, answers: tg.Tensor, sums: np.ndarray) -> tg.Tensor:
        return tg.nn.functional.mse_loss(answers, sums)


class Copy:
    """Five symbols that are to be recalled after T steps.

    Who remembers nothing gives each symbol the probability 1/4. Only the steps of the answer count;
    Arjovsky et al. count the blanks before it too, which costs nothing and makes the same baseline
    K log(4) / (T + 2K), for K symbols.

    Attributes:
        strings: for each part of the data, the strings (M, 5) that only this part has.
    """

    name = "copy"
    symbols, answers = 4, 5
    inputs, outputs = symbols + 2, symbols  # also a blank, and the signal to answer
    learning_rate = 0.02
    error, baseline = "cross entropy", math.log(symbols)
    baseline_name = "all symbols equally likely"

    def __init__(self, seed: int) -> None:
        every = np.indices([self.symbols] * self.answers).reshape(self.answers, -1).T
        shuffled = np.random.default_rng(seed).permutation(every)
        parts = np.split(shuffled, [HELD_OUT_STRINGS, 2 * HELD_OUT_STRINGS])
        self.strings = dict(zip(("test", "validation", "training"), parts, strict=True))

    def draw(self, part: str, rng: np.random.Generator, n: int, length: int) -> Batch:
        """Inputs (length + 10, n, 6), one-hot, and symbols (5, n)."""
        strings = rng.choice(self.strings[part], n).T
        blank, signal = self.symbols, self.symbols + 1
        steps = np.full((length + 2 * self.answers, n), blank)
        steps[: self.answers] = strings
        steps[-self.answers - 1] = signal
        return np.eye(self.inputs, dtype=np.float32)[steps], strings

    def loss(self, scores: tg.Tensor, strings: np.ndarray) -> tg.Tensor:
        flat = scores.reshape(-1, self.outputs)
        return tg.nn.functional.cross_entropy(flat, strings.ravel())


Task = Adding | Copy


class NewBatches:
    """Batches that are drawn anew in each epoch: no sequence is seen twice."""

    def __init__(self, draw: Callable[[], Batch]) -> None:
        self.draw = draw

    def __len__(self) -> int:
        return EPOCH

    def __iter__(self) -> Iterator[Batch]:
        return (self.draw() for _ in range(EPOCH))


# The networks


class Network(tg.nn.Module):
    """Called with (T, N, inputs), it answers at the last `answers` steps: (answers, N, outputs)."""

    def __init__(self, kind: str, task: Task, hidden: int, length: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.answers, self.recurrent = task.answers, None
        if kind == "feed-forward":
            self.out = tg.nn.Linear(task.inputs, task.outputs, rng=rng)
            return
        self.recurrent = LAYERS[kind](task.inputs, hidden, recurrent_init="orthogonal", rng=rng)
        self.out = tg.nn.Linear(hidden, task.outputs, rng=rng)
        if kind != "RNN":
            self._open_gates(hidden, length, rng)

    def _open_gates(self, hidden: int, length: int, rng: np.random.Generator) -> None:
        """The gates that keep the state begin so that units forget within 1 to T steps (Tallec &
        Ollivier 2018). The LSTM's gates stand in the order i, f, g, o, the GRU's as r, z, n: both
        keep with the second."""
        keep = slice(hidden, 2 * hidden)
        bias = np.log(rng.uniform(1, max(length - 1, 2), hidden))
        self.recurrent.bias_hh_l0.data[: 2 * hidden] = 0
        self.recurrent.bias_ih_l0.data[keep] = bias
        if isinstance(self.recurrent, tg.nn.LSTM):  # as the GRU does by itself, write 1 - keep
            self.recurrent.bias_ih_l0.data[:hidden] = -bias

    def forward(self, x: np.ndarray) -> tg.Tensor:
        states = x if self.recurrent is None else self.recurrent(x)[0]
        return self.out(states[-self.answers :])


class Solved(tg.train.Watcher):
    """Ends a training when the validation's error has come down to the goal; moves the bar on."""

    def __init__(self, goal: float, bar: tqdm) -> None:
        self.goal, self.bar = goal, bar

    def end_step(self, step: int, values: Mapping[str, float]) -> None:
        self.bar.update()

    def end_epoch(self, epoch: int, values: Mapping[str, float]) -> bool:
        return values["val_loss"] <= self.goal


def generator(seed: int, part: str, length: int) -> np.random.Generator:
    """Training, validation and test draw from generators of their own, for each length."""
    return np.random.default_rng([seed, ("training", "validation", "test").index(part), length])


def train(
    model: Network, task: Task, length: int, args: argparse.Namespace, bar: tqdm
) -> tuple[float, int]:
    """Trains until the validation says "solved" or the updates are used up.

    Returns:
        The error on the test set as a share of the baseline's, and the number of updates.
    """
    rngs = {part: generator(args.seed, part, length) for part in ("training", "validation", "test")}
    data = NewBatches(lambda: task.draw("training", rngs["training"], args.batch, length))
    validation = [task.draw("validation", rngs["validation"], 500, length)]
    history = tg.fit(
        model, task.loss, tg.optim.Adam(model.parameters(), lr=task.learning_rate), data,
        steps=args.updates, validation=validation, clip_norm=1.0, progress=False,
        watchers=[Solved(ENOUGH * task.baseline, bar)],
    )  # fmt: skip
    if history.stopped == "interrupted":  # half a training is not to be compared with whole ones
        raise KeyboardInterrupt
    done = int(history["steps"][-1])
    bar.update(args.updates - done)
    test = [task.draw("test", rngs["test"], 1000, length)]
    return tg.train.evaluate(model, task.loss, test)["loss"] / task.baseline, done


# What is found


def success_lesson(
    task: Task, args: argparse.Namespace
) -> tuple[dict[str, Any], dict[str, Network]]:
    """Each network, trained on each length: the figures, and the networks of the last length."""
    options.heading(f"{task.name}: the {task.error} as a share of the baseline's")
    print(
        f"Baseline ({task.baseline_name}): {task.baseline:.4f}. Below {SOLVED:.0%} is solved (*)."
    )
    print(f"{'':14}{'parameters':>10}" + "".join(f"{f'T={T}':>9}" for T in args.lengths))
    shares: dict[str, list[float]] = {}
    updates: dict[str, list[int]] = {}
    models = {}
    everything = len(NETWORKS) * len(args.lengths) * args.updates
    with tqdm(total=everything, unit="step", leave=False, disable=None) as bar:
        for kind in NETWORKS:
            found = []
            for length in args.lengths:
                bar.set_description(f"{kind}, T={length}")
                models[kind] = Network(kind, task, args.hidden, length, args.seed)
                found.append(train(models[kind], task, length, args, bar))
            shares[kind], updates[kind] = map(list, zip(*found, strict=True))
            parameters = sum(p.size for p in models[kind].parameters())
            marked = (f"{share:8.1%}{'*' if share < SOLVED else ' '}" for share in shares[kind])
            bar.write(f"{kind:14}{parameters:10,}" + "".join(marked))
    for kind in NETWORKS:
        print(verdict(kind, shares[kind], args.lengths))
    figures = {"baseline": task.baseline, "share_of_baseline": shares, "updates": updates}
    return figures, models


def verdict(kind: str, shares: Sequence[float], lengths: Sequence[int]) -> str:
    """Up to which length a network solves the task, and by what margin the baseline is beaten."""
    solved = [T for T, share in zip(lengths, shares, strict=True) if share < SOLVED]
    told = f"solves T = {', '.join(map(str, solved))}" if solved else "solves none"
    margin = 1 - shares[-1]
    word = "below" if margin > 0 else "above"
    return f"{kind}: {told}; at T = {lengths[-1]} it is {abs(margin):.0%} {word} the baseline."


def picture_of_success(found: dict[str, Any], lengths: Sequence[int], path: Path) -> Path:
    """The error that is left against T, a panel for each task."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    panels = figure.subplots(1, len(found), sharey=True)
    for panel, (task, figures) in zip(panels, found.items(), strict=True):
        for marker, (kind, shares) in zip(
            "xosD", figures["share_of_baseline"].items(), strict=True
        ):
            panel.plot(lengths, shares, marker=marker, label=kind)
        panel.axhline(1, color="black", linestyle="--", label="baseline")
        panel.axhline(SOLVED, color="grey", linestyle=":", label="solved below")
        panel.set(title=task, xlabel="T", xscale="log", yscale="log")
        panel.set_xticks(lengths, [str(T) for T in lengths])
        panel.minorticks_off()
    panels[0].set_ylabel("error / baseline's error")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper")
    figure.savefig(path, dpi=110)
    return path


class SideBySide(tg.nn.Module):
    """Networks that get the same inputs, so that one trace shows them all."""

    def __init__(self, models: dict[str, Network]) -> None:
        for kind in LAYERS:
            setattr(self, kind, models[kind])

    def forward(self, x: np.ndarray) -> list[tg.Tensor]:
        return [getattr(self, kind)(x) for kind in LAYERS]


def gradient_lesson(
    task: Task, trained: dict[str, Network], args: argparse.Namespace
) -> tuple[dict[str, Any], list[Path]]:
    """How much of the gradient gets back to the first step: before training, and after."""
    length = args.lengths[-1]
    options.heading(f"{task.name}, T = {length}: the gradient on its way back")
    fresh = {kind: Network(kind, task, args.hidden, length, args.seed) for kind in LAYERS}
    x, targets = task.draw("test", generator(args.seed, "test", length), 64, length)
    found, pictures = {}, []
    print("‖∂L/∂h‖ at the first step, as a share of that at the last step:\n")
    print(f"{'':16}" + "".join(f"{kind:>10}" for kind in LAYERS))
    for when, models in (("before", fresh), ("after", trained)):
        trace = tg.rnn.trace(
            SideBySide(models), x, loss=lambda results: sum(task.loss(y, targets) for y in results)
        )
        drawn = tg.plots.gradient_flow(trace)
        drawn.figure.suptitle(f"{task.name}, T = {length}, {when} training")
        pictures.append(drawn.save(args.out / f"gradient-{when}.png"))
        norms = [drawn.arrays[f"{kind}.recurrent.l0"] for kind in LAYERS]
        shares = [float(norm[0] / norm[-1]) for norm in norms]
        print(f"{when + ' training':16}" + "".join(f"{share:10.1e}" for share in shares))
        found[when] = dict(zip(LAYERS, shares, strict=True))
    return found, pictures


# The whole


def parser() -> argparse.ArgumentParser:
    made = options.parser("memory", __doc__)
    made.add_argument(
        "--lengths",
        type=options.at_least(2),
        nargs="+",
        metavar="T",
        default=[10, 20, 40],
        help="steps to remember (default: 10 20 40)",
    )
    options.number(made, "--hidden", options.at_least(1), 32, "hidden units, of each network")
    options.number(made, "--batch", options.at_least(1), 32, "sequences in a batch")
    options.number(made, "--updates", options.at_least(1), 1500, "most updates for each training")
    return made


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Trains every network on both tasks, and draws what is found."""
    args = options.read(parser(), arguments)
    args.lengths = sorted(set(args.lengths))
    print(f"{args.hidden} hidden units in each recurrent network, so gated ones have more")
    print("parameters. Each batch is drawn anew, so no sequence of the adding task comes twice.")
    print(f"Of the 1024 strings of the copy task, {HELD_OUT_STRINGS} are kept for the validation,")
    print(f"{HELD_OUT_STRINGS} others for the test. A training ends when the validation's error is")
    print(f"{ENOUGH:.0%} of the baseline's, or after {args.updates} updates.")
    adding = Adding()
    found, trained = {}, {}
    for task in (adding, Copy(args.seed)):
        found[task.name], trained[task.name] = success_lesson(task, args)
    gradients, drawn = gradient_lesson(adding, trained[adding.name], args)
    success = picture_of_success(found, args.lengths, args.out / "memory.png")
    figures = {"tasks": found, "gradient_at_first_step": gradients}
    record = options.keep(figures, args)
    options.heading("Made")
    for path, what in [
        (success, "the error that is left, against T"),
        *zip(drawn, ("‖∂L/∂h_t‖ before training", "and after"), strict=True),
        (record, "all figures of this run"),
    ]:
        print(f"  {path}   {what}")
    return figures


if __name__ == "__main__":
    options.run(main)
