"""A character-level language model: what comes next, given all that came before.

An embedding, recurrent layers, and one linear layer that scores every symbol. It is trained by
truncated backpropagation through time: the text is read in windows, the state is carried from one
window to the next, and gradients stop at the border between them.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ngrams
import numpy as np
import options

import tinygrad_rnn as tg

LAYERS = {"rnn": tg.nn.RNN, "lstm": tg.nn.LSTM, "gru": tg.nn.GRU}
EMBEDDING_SIZE = 32
ROWS = 64  # so many places of a text are measured side by side
MEASURE_EVERY = 40  # updates


class CharModel(tg.nn.Module):
    """Scores for the next symbol after each symbol of a text.

    Called with numbers (T, N) and a state or None; returns scores (T, N, symbols) and a new state.
    """

    def __init__(self, cell: str, symbols: int, hidden: int, layers: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        # An LSTM learns sooner if it forgets little at first (Jozefowicz et al. 2015).
        more = {"forget_bias": 1.0} if cell == "lstm" else {}
        self.embedding = tg.nn.Embedding(symbols, EMBEDDING_SIZE, rng=rng)
        self.recurrent = LAYERS[cell](EMBEDDING_SIZE, hidden, layers, rng=rng, **more)
        self.scores = tg.nn.Linear(hidden, symbols, rng=rng)

    def start_from_frequencies(self, ids: np.ndarray) -> None:
        """Makes the first guess, before anything is learnt, how frequent each symbol is."""
        counts = np.bincount(ids, minlength=len(self.scores.bias.data)) + 1
        self.scores.bias.data = np.log(counts / counts.sum()).astype(np.float32)

    def forward(self, ids: np.ndarray, state: Any = None) -> tuple[tg.Tensor, Any]:
        outputs, state = self.recurrent(self.embedding(ids), state)
        return self.scores(outputs), state


# Training


def loss_in_bits(scores: tg.Tensor, targets: np.ndarray) -> tg.Tensor:
    """The mean of -log2 p(target), for scores (T, N, symbols) and targets (T, N)."""
    loss = tg.nn.functional.cross_entropy(scores.reshape(-1, scores.shape[-1]), targets.ravel())
    return loss / float(np.log(2))


def windows(ids: np.ndarray, batch: int, seq_len: int) -> tg.data.Windows:
    """A text for `train`: `batch` pieces of it, read side by side, `seq_len` steps at a time."""
    return tg.data.Windows(tg.data.batchify(ids, batch), seq_len)


def learning_rate(done: float) -> float:
    """A factor: it rises for the first twentieth of a training, then falls in a straight line."""
    return max(min(done / 0.05, (1 - done) / 0.95), 0.01)


def train(
    model: CharModel,
    data: tg.data.Windows | UntilTime,
    validation: np.ndarray,
    lr: float,
    done: Callable[[int], float],
    *,
    validate_every: int = MEASURE_EVERY,
    **settings: Any,
) -> tg.train.History:
    """Trains with `tg.fit`; losses are bits per character, and the best parameters are kept.

    Args:
        data: what `windows` gives, or that for so many minutes.
        validation: a text that isn't trained on; a sample of it is measured now and then.
        lr: the highest learning rate.
        done: from the number of updates to the share of the training that is behind us.
        validate_every: after how many updates to measure.
        settings: of `tg.fit`: when to end, a checkpoint.
    """
    optimiser = tg.optim.Adam(model.parameters(), lr=lr, betas=(0.9, 0.99))
    schedule = tg.optim.lr_scheduler.LambdaLR(optimiser, lambda step: learning_rate(done(step)))
    sample = stretches(validation, places(len(validation), steps=100))
    return tg.fit(
        model, loss_in_bits, optimiser, data, validation=sample, validate_every=validate_every,
        clip_norm=1.0, schedule=schedule, schedule_every="step", **settings,
    )  # fmt: skip


class UntilTime:
    """Windows on and on, until the time is up: one epoch for `tg.fit`.

    Args:
        windows: gone through as often as there is time.
        seconds: how long, from the first window on.
        updates: how many windows at most.

    Attributes:
        updates, characters: how many windows were given out, with how many targets.
    """

    def __init__(
        self, windows: tg.data.Windows, seconds: float, updates: int | None = None
    ) -> None:
        self.windows, self.seconds, self.most = windows, seconds, updates
        self.updates = self.characters = 0
        self.begin = math.nan

    def __iter__(self) -> Iterator[tg.data.Window]:
        self.begin = time.perf_counter()
        for window in itertools.chain.from_iterable(itertools.repeat(self.windows)):
            self.updates += 1
            self.characters += window.targets.size
            yield window
            if self._share_of_time() >= 1 or self.updates == self.most:
                return

    def done(self, step: int) -> float:
        """The share of the training that is behind us after so many updates.

        Where their number is given, the clock has no say: learning rates can be repeated.
        """
        return step / self.most if self.most else (self._share_of_time() if step else 0.0)

    def _share_of_time(self) -> float:
        return (time.perf_counter() - self.begin) / self.seconds


# Measuring


def places(length: int, steps: int, context: int = 0) -> np.ndarray:
    """Positions (steps, rows) in a text: in each column one stretch, the columns evenly spread.

    There are at most `steps` steps, and before each position at least `context` + 1 others.
    """
    rows = max(1, min(ROWS, length // 50))
    stride = length // rows
    steps = max(1, min(steps, stride - context - 1))
    return np.arange(rows) * stride + context + 1 + np.arange(steps)[:, None]


def stretches(ids: np.ndarray, positions: np.ndarray) -> tg.data.Windows:
    """Windows whose targets are `ids[positions]`; the state is carried down each column."""
    return tg.data.Windows(ids[positions - 1], 50, targets=ids[positions])


def bits_per_character(model: CharModel, ids: np.ndarray, positions: np.ndarray) -> float:
    """The mean of -log2 p over `ids[positions]`."""
    return tg.train.evaluate(model, loss_in_bits, stretches(ids, positions))["loss"]


def compare_with_counting(
    model: CharModel, name: str, training: np.ndarray, held_out: np.ndarray, symbols: int
) -> dict[str, Any]:
    """Bits per character of the network and of counted models, on the same held-out characters.

    The counted models have seen the whole training text; the network has seen what it had time for.
    """
    names = ["unigram", "bigram", "trigram", "4-gram", "5-gram"]
    positions = places(len(held_out), steps=2500, context=len(names) - 1)
    network = bits_per_character(model, held_out, positions)
    print(
        f"\nBits per character, on {positions.size:,} characters from all over the held-out text:\n"
    )
    print(f"  {name:8}  {network:.3f}")
    counted = {}
    for order, kind in enumerate(names, start=1):
        bits = ngrams.NGram(training, order, symbols).bits_per_character(held_out, positions)
        counted[kind] = bits
        print(f"  {kind:8}  {bits:.3f}   {comparison(name, network, bits)}")
    return {"measured_on": positions.size, "bits_per_character": {name: network, **counted}}


def comparison(name: str, network: float, bits: float) -> str:
    """By how much the network is better or worse."""
    word = "better" if network < bits else "worse"
    return f"the {name} is {word} by {abs(network - bits):.3f} bits ({abs(network / bits - 1):.0%})"


# Options


def add_options(made: Any) -> None:
    """The options of the text and of the network."""
    made.add_argument(
        "--text", type=Path, metavar="FILE", help="a text file, in place of the standard library"
    )
    made.add_argument(
        "--cell", choices=LAYERS, default="lstm", help="kind of recurrent layer (default: lstm)"
    )
    one = options.at_least(1)
    options.number(made, "--hidden", one, 256, "hidden units of each layer")
    options.number(made, "--layers", one, 1, "layers, one upon the other")
    options.number(made, "--seq-len", one, 16, "time steps that gradients go back")
    options.number(made, "--batch", one, 96, "pieces of text that are read side by side")
    options.number(made, "--lr", options.positive, 0.009, "highest learning rate of Adam")
    options.number(made, "--sample", one, 300, "characters to write in the end")
    what = "how daring to write: below 1 careful, above 1 wild"
    options.number(made, "--temperature", options.positive, 0.7, what)


def shortest_text(args: argparse.Namespace) -> int:
    """How many characters `--text` needs, so that there is a whole window to train on."""
    return max(1000, args.batch * (args.seq_len + 1) * 10 // 8 + 10)
