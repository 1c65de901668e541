"""Four letters and a recurrent network: what the axes mean, and what a state is good for.

    python demos/hello.py

Part 1  one letter and one cell
Part 2  a word: a layer runs the cell over time
Part 3  a batch of three words; time first, and batch first
Part 4  the frequent mistake: batch-first data in a time-first layer
Part 5  a network learns to spell "hihello", which no rule without a memory can

It takes about five seconds.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import one_thread  # noqa: F401  isort: skip
import numpy as np
import options

import tinygrad_rnn as tg

LETTERS = "helo"
WORDS = ["hello", "eolll", "lleel"]
SPELLED = "hihello"
CELLS = {"rnn": tg.nn.RNN, "gru": tg.nn.GRU, "lstm": tg.nn.LSTM}


def one_hot(text: str, letters: str = LETTERS) -> np.ndarray:
    """A row for each letter of the text, with a 1 at its place among `letters`: (T, letters)."""
    return np.eye(len(letters), dtype=np.float32)[[letters.index(letter) for letter in text]]


# Parts 1 and 2


def cell_lesson(seed: int) -> None:
    """h' = tanh(W x + U h + b), once."""
    options.heading("1. One letter, one cell")
    cell = tg.nn.RNNCell(4, 2, rng=seed)
    x = one_hot("h")[0]
    h = cell(x)
    print(f"'h' is x = {x}, shape {x.shape}: input_size is 4, the number of different letters.")
    print(f"RNNCell(4, 2) makes of it h = {h.data.round(3)}, shape {h.shape}: hidden_size is 2.")
    print("The sizes have nothing to do with each other: 2 is what we have chosen.")


def word_lesson(seed: int) -> None:
    """The same cell at every letter, by hand and as a layer."""
    options.heading("2. A word: time")
    x = one_hot("hello")
    rnn = tg.nn.RNN(4, 2, rng=seed)
    output, h_n = rnn(x)
    print(f"'hello' is {x.shape}: (seq, input). RNN(4, 2) gives\n")
    for letter, h in zip("hello", output.data, strict=True):
        print(f"  {letter}  ->  {h.round(3)}")
    print(f"\n  output {output.shape}: the state after every letter")
    print(f"  h_n    {h_n.shape}: the state after the last one, for each layer (here 1)")

    cell, h = tg.nn.RNNCell(4, 2, rng=seed), None  # of the same seed: the same weights
    for x_t in x:
        h = cell(x_t, h)
    print(f"\nA loop over the cell ends at {h.data.round(3)} too: a layer is that loop.")
    print("The two l differ: the input is the same, but the state before it isn't.")


# Parts 3 and 4


def batch_lesson(seed: int) -> float:
    """The two layouts hold the same numbers. Returns the largest difference between them."""
    options.heading("3. Three words at once: a batch")
    words = np.stack([one_hot(word) for word in WORDS])  # (batch, seq, input)
    time_first = tg.nn.RNN(4, 2, rng=seed)
    batch_first = tg.nn.RNN(4, 2, batch_first=True, rng=seed)  # of the same seed: equal weights
    output, h_n = batch_first(words)
    swapped, h_n_swapped = time_first(np.swapaxes(words, 0, 1))
    print(f"{', '.join(WORDS)}: an array {words.shape}, (batch, seq, input).\n")
    print("                    input      output     h_n")
    for name, x, y, h in [
        ("batch_first=True", words, output, h_n),
        ("batch_first=False", np.swapaxes(words, 0, 1), swapped, h_n_swapped),
    ]:
        print(f"  {name:17} {x.shape}  {y.shape}  {h.shape}")
    differences = [np.swapaxes(swapped.data, 0, 1) - output.data, h_n_swapped.data - h_n.data]
    difference = max(float(np.abs(d).max()) for d in differences)
    print(f"\nThe numbers are the same; the largest difference is {difference:.1g}.")
    print("batch_first swaps axes of input and output only: h_n is (layers, batch, hidden) always.")
    return difference


def mistake_lesson(seed: int) -> dict[str, bool]:
    """What a time-first layer makes of (batch, seq, input), and how to see it."""
    options.heading("4. The frequent mistake")
    words = np.stack([one_hot(word) for word in WORDS])
    wrong, h_n = tg.nn.RNN(4, 2, rng=seed)(words)  # batch_first=True is forgotten
    right, _ = tg.nn.RNN(4, 2, batch_first=True, rng=seed)(words)
    columns = ["".join(column) for column in zip(*WORDS, strict=True)]
    print(f"The same array, {words.shape}, in a layer without batch_first=True: no error, and the")
    print(f"output {wrong.shape} has the right shape. But the first axis was taken for time:")
    print(f"{len(columns)} sequences of {len(WORDS)} steps were read, {', '.join(columns)}.\n")
    print("  'hello'   right             wrong")
    for letter, a, b in zip("hello", right.data[0], wrong.data[0], strict=True):
        print(f"  {letter}        {a.round(3)!s:16}  {b.round(3)}")
    found = {
        "right_repeats": bool(np.array_equal(right.data[0, 2], right.data[0, 3])),
        "wrong_repeats": bool(np.array_equal(wrong.data[0, 2], wrong.data[0, 3])),
        "same_shape": wrong.shape == right.shape,
    }
    print("\nTwo ways to see it. The two l of 'hello' have equal states: nothing was remembered")
    print("between them (they are two sequences' first steps). And h_n tells the batch:")
    print(f"here it is {h_n.shape}, five sequences, where three words were meant.")
    return found


# Part 5


class Speller(tg.nn.Module):
    """Scores for the next letter: one-hot letters, a recurrent layer, a linear one.

    Called with numbers (T, N) and a state or None; returns scores (T, N, letters) and a state.
    """

    def __init__(self, cell: str, letters: int, hidden: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.letters = np.eye(letters, dtype=np.float32)
        self.recurrent = CELLS[cell](letters, hidden, rng=rng)
        self.scores = tg.nn.Linear(hidden, letters, rng=rng)

    def forward(self, ids: np.ndarray, state: Any = None) -> tuple[tg.Tensor, Any]:
        outputs, state = self.recurrent(self.letters[ids], state)
        return self.scores(outputs), state


def loss(scores: tg.Tensor, targets: np.ndarray) -> tg.Tensor:
    return tg.nn.functional.cross_entropy(scores.reshape(-1, scores.shape[-1]), targets.ravel())


def right_letters(scores: tg.Tensor, targets: np.ndarray) -> float:
    """The share of letters that have the highest score."""
    return float(np.mean(scores.data.argmax(axis=-1) == targets))


def most_frequent(word: str) -> float:
    """The share that one letter gets right, if it is always the answer."""
    return Counter(word[1:]).most_common(1)[0][1] / (len(word) - 1)


def best_memoryless(word: str) -> float:
    """The share that the best rule letter -> next letter gets right: no such rule can do better.

    >>> best_memoryless("hihello")  # after h comes i or e, after l comes l or o: it misses two
    0.6666666666666666
    """
    right = 0
    for letter in set(word[:-1]):
        followers = Counter(b for a, b in pairwise(word) if a == letter)
        right += followers.most_common(1)[0][1]
    return right / (len(word) - 1)


def spelling_lesson(args: argparse.Namespace) -> tuple[dict[str, Any], Speller, Any]:
    """From "hihell" to "ihello": trained, and measured against rules without a memory."""
    inputs, targets = SPELLED[:-1], SPELLED[1:]
    options.heading(f'5. Spelling "{SPELLED}"')
    print(f"What comes next? Read {inputs}, answer {targets}. All of the word is trained on, and")
    print("nothing held out: the question is what can be remembered, not what is new.\n")
    letters = tg.data.Vocabulary.from_text(SPELLED)
    ids = letters.encode(SPELLED)[:, None]  # (T, N): one column
    data = tg.data.Windows(ids, steps=len(inputs))
    model = Speller(args.cell, len(letters), args.hidden, args.seed)
    optimiser = tg.optim.Adam(model.parameters(), lr=args.lr)
    history = tg.fit(
        model, loss, optimiser, data, epochs=args.epochs, metrics={"right": right_letters}
    )
    for epoch in np.unique(np.geomspace(1, args.epochs, 6).round().astype(int)):
        row = epoch - 1
        print(f"  epoch {epoch:4}   loss {history['loss'][row]:.3f}"
              f"   right {history['right'][row]:.0%}")  # fmt: skip

    with tg.no_grad():
        scores, _ = model(ids[:-1])
    answer = letters.decode(scores.data[:, 0].argmax(axis=-1))
    alone = tg.generate(model, SPELLED[0], len(targets), vocabulary=letters, temperature=0)
    shares = {
        args.cell.upper(): right_letters(scores, ids[1:]),
        "best rule letter -> letter": best_memoryless(SPELLED),
        "always the most frequent letter": most_frequent(SPELLED),
    }
    first = first_for_good(history["right"])
    since = f"from epoch {first} on" if first else "not yet; more --epochs may help"
    print(f"\nAll letters right: {since}. Read {inputs}, answered {answer}.")
    print(f"Given the h alone, and its own answers after that, it writes {SPELLED[0]}{alone}.\n")
    report(shares)
    figures = {
        "answer": answer,
        "alone": SPELLED[0] + alone,
        "right": shares,
        "first_all_right": first,
        "loss": float(history["loss"][-1]),
    }
    return figures, model, history


def first_for_good(shares: np.ndarray) -> int | None:
    """The epoch from which on all letters are right; None if they aren't in the end."""
    wrong = np.flatnonzero(shares < 1)
    first = int(wrong[-1]) + 2 if len(wrong) else 1
    return first if first <= len(shares) else None


def report(shares: dict[str, float]) -> None:
    """The network beside each rule, with the margin."""
    network, *rules = shares
    print(f"  {network:32} {shares[network]:6.1%} of the letters right")
    for rule in rules:
        margin = shares[network] - shares[rule]
        word = "better" if margin > 0 else "not better"
        print(f"  {rule:32} {shares[rule]:6.1%}   the network is {word}: {margin:+.1%}")


# Pictures


def pictures(model: Speller, history: Any, seed: int, out: Path) -> list[Path]:
    """The unrolled graph of "hello", the states over "hihell", and the training."""
    rnn = tg.nn.RNN(4, 2, rng=seed)
    with tg.record():
        output, _ = rnn(tg.Tensor(one_hot("hello"), name="hello"))
        last = output[-1].sum().named("loss")
        last.backward()
        made = [Path(tg.draw(last, out / f"hello-{view}.svg", view)) for view in ("cells", "ops")]

    inputs = SPELLED[:-1]
    letters = tg.data.Vocabulary.from_text(SPELLED)
    trace = tg.rnn.trace(model, letters.encode(inputs)[:, None])
    for name, picture in [
        ("states", tg.plots.gate_activity(trace, inputs, quantities=["h"])),
        ("training", history.plot(log=["loss"])),
    ]:
        made.append(out / f"{name}.png")
        picture.save(made[-1])
    return made


# The whole lesson


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Runs the five parts, says what was made, and returns the figures."""
    made = options.parser("hello", __doc__)
    made.add_argument("--cell", choices=CELLS, default="rnn",
                      help="kind of the layer in part 5 (default: rnn)")  # fmt: skip
    options.number(made, "--hidden", options.at_least(1), 8, "hidden units in part 5")
    options.number(made, "--epochs", options.at_least(1), 150, "epochs in part 5")
    options.number(made, "--lr", options.positive, 0.02, "learning rate of Adam")
    args = options.read(made, arguments)

    cell_lesson(args.seed)
    word_lesson(args.seed)
    figures: dict[str, Any] = {"layouts_differ_by": batch_lesson(args.seed)}
    figures["mistake"] = mistake_lesson(args.seed)
    figures["spelling"], model, history = spelling_lesson(args)
    try:
        files = pictures(model, history, args.seed, args.out)
    except ImportError as missing:
        sys.exit(options.MISSING.format(missing))
    options.heading("Made")
    for path in [*files, options.keep(figures, args)]:
        print(f"  {path}")
    return figures


if __name__ == "__main__":
    options.run(main)
