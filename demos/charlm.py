"""A character-level language model: what comes next, given all that came before.

An embedding, recurrent layers, and one linear layer that scores every symbol. Trained by truncated
backpropagation through time: the text is read in windows, the state is carried from one window to
the next, and gradients stop at the border between them.
"""

from __future__ import annotations

import math
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

import tinygrad_rnn as tg

LAYERS = {"rnn": tg.nn.RNN, "lstm": tg.nn.LSTM, "gru": tg.nn.GRU}
EMBEDDING_SIZE = 32
ROWS = 64  # so many places of the held-out text are read side by side


class CharModel(tg.nn.Module):
    """Scores for the next symbol after each symbol of a text.

    Called with numbers (T, N) and a state or None; returns scores (T, N, symbols) and a new state.
    """

    def __init__(self, cell: str, symbols: int, hidden: int, layers: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.embedding = tg.nn.Embedding(symbols, EMBEDDING_SIZE, rng=rng)
        self.recurrent = LAYERS[cell](EMBEDDING_SIZE, hidden, layers, rng=rng)
        self.scores = tg.nn.Linear(hidden, symbols, rng=rng)
        if cell == "lstm":
            self._open_forget_gates(hidden)

    def _open_forget_gates(self, hidden: int) -> None:
        """An LSTM learns sooner if it forgets little at first (Jozefowicz et al. 2015)."""
        for name, parameter in self.recurrent.named_parameters():
            if name.startswith("bias_ih"):
                parameter.data[hidden : 2 * hidden] = 1  # the gates stand in the order i, f, g, o

    def start_from_frequencies(self, ids: np.ndarray) -> None:
        """Makes the first guess, before anything is learnt, how frequent each symbol is."""
        counts = np.bincount(ids, minlength=len(self.scores.bias.data)) + 1
        self.scores.bias.data = np.log(counts / counts.sum()).astype(np.float32)

    def forward(self, ids: np.ndarray, state: Any = None) -> tuple[tg.Tensor, Any]:
        outputs, state = self.recurrent(self.embedding(ids), state)
        return self.scores(outputs), state


def loss_in_bits(scores: tg.Tensor, targets: np.ndarray) -> tg.Tensor:
    """The mean of -log2 p(target)."""
    loss = tg.nn.functional.cross_entropy(scores.reshape(-1, scores.shape[-1]), targets.ravel())
    return loss / float(np.log(2))


def windows(
    ids: np.ndarray, batch: int, seq_len: int
) -> Iterator[tuple[np.ndarray, np.ndarray, bool]]:
    """Inputs and targets, each (seq_len, batch), on and on; and whether the text begins anew.

    The text is cut into `batch` long pieces that are read side by side, so that each window goes on
    where the one before ended.
    """
    length = len(ids) // batch
    pieces = ids[: length * batch].reshape(batch, length).T
    while True:
        for t in range(0, length - seq_len, seq_len):
            yield pieces[t : t + seq_len], pieces[t + 1 : t + seq_len + 1], t == 0


def places(length: int, steps: int, context: int = 0) -> np.ndarray:
    """Positions (steps, rows) in a text: in each column one stretch, the columns evenly spread.

    There are at most `steps` steps, and before each position at least `context` + 1 others.
    """
    rows = max(1, min(ROWS, length // 50))
    stride = length // rows
    steps = max(1, min(steps, stride - context - 1))
    return np.arange(rows) * stride + context + 1 + np.arange(steps)[:, None]


@tg.no_grad()
def bits_per_character(model: CharModel, ids: np.ndarray, positions: np.ndarray) -> float:
    """The mean of -log2 p over `ids[positions]`; the state is carried down each column."""
    total, state = 0.0, None
    for at in np.array_split(positions, -(-len(positions) // 50)):
        scores, state = model(ids[at - 1], state)
        total += float(loss_in_bits(scores, ids[at])) * at.size
    return total / positions.size


@dataclass
class Progress:
    """What training has done so far.

    Attributes:
        updates, characters, seconds: how often the weights moved, after reading how much, in what
            time.
        measured: pairs (characters, bits per character of a small held-out sample).
        interrupted: whether Ctrl-C ended it.
    """

    updates: int = 0
    characters: int = 0
    seconds: float = 0.0
    measured: list[tuple[int, float]] | None = None
    interrupted: bool = False


def learning_rate(peak: float, done: float) -> float:
    """Rises for the first twentieth of the training, then falls in a straight line towards 0."""
    return peak * max(min(done / 0.05, (1 - done) / 0.95), 0.01)


def train(
    model: CharModel,
    ids: np.ndarray,
    held_out: np.ndarray,
    *,
    batch: int,
    seq_len: int,
    lr: float,
    seconds: float,
    updates: int | None = None,
    clip: float = 1.0,
) -> Progress:
    """Trains for so many seconds or `updates`, whichever ends first, or until Ctrl-C.

    The progress bar shows bits per character of a small held-out sample.
    """
    parameters = list(model.parameters())
    optimizer = tg.optim.Adam(parameters, lr=lr, betas=(0.9, 0.99))
    sample = places(len(held_out), steps=100)
    progress = Progress(measured=[])
    state = None
    bar = _bar()
    done = 0.0  # the share of the training that is behind us
    begin = time.perf_counter()
    with bar, _ctrl_c() as pressed:
        for inputs, targets, fresh in windows(ids, batch, seq_len):
            state = None if fresh else tg.rnn.detach(state)
            scores, state = model(inputs, state)
            loss = loss_in_bits(scores, targets)

            optimizer.zero_grad()
            loss.backward()
            tg.nn.utils.clip_grad_norm_(parameters, clip)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(lr, done)
            optimizer.step()

            progress.updates += 1
            progress.characters += inputs.size
            if done >= len(progress.measured) / 20:
                bits = bits_per_character(model, held_out, sample)
                progress.measured.append((progress.characters, bits))
                bar.set_postfix_str(f"held-out {bits:.3f} bits/character", refresh=False)
            progress.seconds = time.perf_counter() - begin
            done = max(progress.seconds / seconds, progress.updates / (updates or math.inf))
            bar.update(min(done, 1) - bar.n)
            progress.interrupted = bool(pressed)
            if progress.interrupted or done >= 1:
                break
    return progress


def _bar() -> Any:
    return tqdm(
        total=1.0,
        desc="training",
        bar_format="{desc} {percentage:3.0f} % |{bar:24}| {elapsed}{postfix}",
        mininterval=0.2 if sys.stderr.isatty() else 15,
        postfix="",
    )


@contextmanager
def _ctrl_c() -> Iterator[list[int]]:
    """Inside, Ctrl-C fills the list instead of stopping Python; pressed again, it does stop it."""
    pressed: list[int] = []

    def handler(number: int, frame: Any) -> None:
        pressed.append(number)
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, handler)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


@tg.no_grad()
def generate(
    model: CharModel, start: np.ndarray, length: int, temperature: float, seed: int
) -> list[int]:
    """Draws symbols one by one, each read back in with the state carried on.

    Args:
        start: what is read first; it isn't part of the result.
        temperature: scores are divided by it; near 0, always the likeliest symbol.
    """
    rng = np.random.default_rng(seed)
    scores, state = model(start[:, None])
    found: list[int] = []
    for _ in range(length):
        last = scores.data[-1, 0].astype(np.float64)
        last[0] = -np.inf  # never the symbol for "unknown"
        p = np.exp((last - last.max()) / temperature)
        found.append(int(rng.choice(len(p), p=p / p.sum())))
        scores, state = model(np.array([[found[-1]]]), state)
    return found
