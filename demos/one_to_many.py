"""One to many: a number goes in, its name comes out, character by character.

    python demos/one_to_many.py

    2741  ->  "two thousand seven hundred forty-one"        2741  ->  "이천칠백사십일"

The input is one vector: the digits of the number, each one-hot. It becomes the first state of the
network, which then writes a name, in English or in Korean. In training it reads the right
characters (teacher forcing); in testing it reads those that it has written itself, and an end
symbol says that the name is complete.

The same network is trained twice for each language:
  at the start   the state has to carry all digits, from the first character to the last
  at every step  the digits are also given beside each character; the state has only to know how
                 much of the name is written

All is measured on numbers that were not trained on, beside a baseline that looks up the nearest
number it knows. Among the pictures, *-graph.svg shows one input and many outputs, and *-gates.png
what the network keeps: where z of a GRU, or f of an LSTM, is near 1, a unit stays as it is.
It takes about a minute on two cores.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import one_thread  # noqa: F401  isort: skip

import numpy as np
import options

import tinygrad_rnn as tg

try:
    import matplotlib  # noqa: F401
except ModuleNotFoundError as missing:
    sys.exit(options.MISSING.format(missing))

LAYERS = {"lstm": tg.nn.LSTM, "gru": tg.nn.GRU}
KEEPS = {"lstm": ["f", "c"], "gru": ["z", "h"]}  # the gate that keeps, and what is kept
FEEDS = ("at the start", "at every step")
EMBEDDING_SIZE = 16
BATCH_SIZE = 64
LARGEST = 999_999  # the names of larger numbers need more words
END = "\n"
MOST_DRAWN = 8  # steps of the graph
MOST_CHARACTERS = 100  # where a name without an end is broken off; real ones are shorter


# The names of numbers

SMALL = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
]  # fmt: skip
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
KOREAN_UNITS = ((10_000, "만"), (1000, "천"), (100, "백"), (10, "십"))


def spell_english(number: int) -> str:
    """The English name of a number from 0 to 999,999, without "and".

    >>> spell_english(2741)
    'two thousand seven hundred forty-one'
    """
    if number < 20:
        return SMALL[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return TENS[tens - 2] + (f"-{SMALL[ones]}" if ones else "")
    unit, word = (1000, "thousand") if number >= 1000 else (100, "hundred")
    count, rest = divmod(number, unit)
    return f"{spell_english(count)} {word}" + (f" {spell_english(rest)}" if rest else "")


def spell_korean(number: int) -> str:
    """The Sino-Korean name of a number from 0 to 999,999. A single 십, 백, 천 or 만 has no 일 (1)
    before it.

    >>> spell_korean(2741)
    '이천칠백사십일'
    """
    if number < 10:
        return "영일이삼사오육칠팔구"[number]
    unit, word = next(pair for pair in KOREAN_UNITS if number >= pair[0])
    count, rest = divmod(number, unit)
    return (spell_korean(count) if count > 1 else "") + word + (spell_korean(rest) if rest else "")


# How each syllable sounds: matplotlib's own fonts have no Korean letters.
SOUNDS = {
    "영": "yeong", "일": "il", "이": "i", "삼": "sam", "사": "sa", "오": "o", "육": "yuk",
    "칠": "chil", "팔": "pal", "구": "gu", "십": "sip", "백": "baek", "천": "cheon", "만": "man",
}  # fmt: skip


class Language(NamedTuple):
    """A language: its name, the function that spells a number, and the characters it uses."""

    name: str
    spell: Callable[[int], str]
    characters: str

    def names(self, numbers: np.ndarray) -> list[str]:
        return [self.spell(int(number)) for number in numbers]


LANGUAGES = {
    "english": Language("English", spell_english, " -abcdefghijklmnopqrstuvwxyz"),
    "korean": Language("Korean", spell_korean, "".join(SOUNDS)),
}


# From numbers and names to arrays


def digits_of(numbers: np.ndarray, places: int) -> np.ndarray:
    """The digits of numbers, with zeros in front, one-hot: (N,) -> (N, 10 · places)."""
    digits = numbers[:, None] // 10 ** np.arange(places)[::-1] % 10
    return np.eye(10, dtype=np.float32)[digits].reshape(len(numbers), -1)


def read_and_write(
    names: Sequence[str], letters: tg.data.Vocabulary
) -> tuple[np.ndarray, np.ndarray]:
    """What the network reads and what it shall write, both (N, T).

    It writes the name and the end symbol. At each step it reads the character before; the end
    symbol is also what it reads first.
    """
    write, _ = tg.data.pad(
        [letters.encode(name + END) for name in names], value=letters.padding_id, batch_first=True
    )
    first = np.full((len(names), 1), letters.encode(END)[0])
    return np.concatenate([first, write[:, :-1]], axis=1), write


def split_numbers(largest: int, count: int, seed: int) -> tuple[np.ndarray, ...]:
    """So many different numbers from 0 to `largest`: 40 % to train on, 10 % for validation, and
    50 % held out for the test."""
    order = np.random.default_rng(seed).permutation(largest + 1)
    return tg.data.split(order[:count], (0.4, 0.1, 0.5))


# The network


class Speller(tg.nn.Module):
    """Scores for each character of a name.

    Called with the digits (N, I) and the characters read (N, T); returns (N, T, symbols).
    """

    def __init__(
        self, cell: str, feed: str, digits: int, symbols: int, hidden: int, seed: int
    ) -> None:
        rng = np.random.default_rng(seed)
        self.every_step = feed == "at every step"
        size = EMBEDDING_SIZE + (digits if self.every_step else 0)
        self.start = tg.nn.Linear(digits, hidden, rng=rng)
        self.embedding = tg.nn.Embedding(symbols, EMBEDDING_SIZE, rng=rng)
        self.recurrent = LAYERS[cell](size, hidden, batch_first=True, rng=rng)
        self.scores = tg.nn.Linear(hidden, symbols, rng=rng)

    def first_state(self, digits: np.ndarray) -> Any:
        """The one input, as the state before the first step: (1, N, H); for an LSTM, twice."""
        h = np.expand_dims(np.tanh(self.start(digits)), 0)
        return (h, h) if isinstance(self.recurrent, tg.nn.LSTM) else h

    def inputs(self, digits: np.ndarray, ids: np.ndarray) -> tg.Tensor:
        """What the recurrent layer is given with the characters `ids`, (N, T) or (N,)."""
        characters = self.embedding(ids)
        if not self.every_step:
            return characters
        if ids.ndim == 2:
            digits = np.repeat(digits[:, None], ids.shape[1], axis=1)
        return np.concatenate([characters, digits], axis=-1)

    def forward(self, digits: np.ndarray, ids: np.ndarray) -> tg.Tensor:
        outputs, _ = self.recurrent(self.inputs(digits, ids), self.first_state(digits))
        return self.scores(outputs)

    def step(self, digits: np.ndarray, ids: np.ndarray, state: Any) -> tuple[tg.Tensor, Any]:
        """The scores (N, symbols) after one more character for each number, ids (N,)."""
        outputs, state = self.recurrent.step(self.inputs(digits, ids), state)
        return self.scores(outputs), state


def train(
    model: Speller,
    training: tuple[np.ndarray, ...],
    validation: tuple[np.ndarray, ...],
    letters: tg.data.Vocabulary,
    args: argparse.Namespace,
) -> tg.train.History:
    """Teacher forcing: each character is learnt from the right ones before it."""

    def loss(scores: tg.Tensor, targets: np.ndarray) -> tg.Tensor:
        return tg.nn.functional.cross_entropy(
            scores.reshape(-1, scores.shape[-1]), targets.ravel(), ignore_index=letters.padding_id
        )

    data = tg.data.batches(training, BATCH_SIZE, shuffle=True, seed=args.seed)
    optimiser = tg.optim.Adam(model.parameters(), lr=args.lr)
    steps = args.epochs * len(data)
    return tg.fit(
        model, loss, optimiser, data, epochs=args.epochs, clip_norm=1.0,
        validation=tg.data.batches(validation, 256),
        schedule=tg.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps), schedule_every="step",
    )  # fmt: skip


@tg.no_grad()
def spell_out(model: Speller, digits: np.ndarray, letters: tg.data.Vocabulary) -> list[str]:
    """The names that the network writes for digits (N, I): always the likeliest character, which
    it reads at the next step."""
    end = letters.encode(END)[0]
    ids, state = np.full(len(digits), end), model.first_state(digits)
    ended = np.zeros(len(digits), dtype=bool)
    written = []
    while not ended.all() and len(written) < MOST_CHARACTERS:
        scores, state = model.step(digits, ids, state)
        scores.data[:, letters.padding_id] = -np.inf
        ids = scores.data.argmax(axis=-1)
        written.append(ids)
        ended |= ids == end
    return [letters.decode(row).split(END)[0] for row in np.stack(written, axis=1)]


# What it is measured against, and how


def nearest_by_value(numbers: np.ndarray, known: np.ndarray) -> np.ndarray:
    """For each of the numbers the closest known one: (N,), (M,) -> (N,)."""
    return known[np.abs(numbers[:, None] - known).argmin(axis=1)]


def nearest_by_digits(numbers: np.ndarray, known: np.ndarray, places: int) -> np.ndarray:
    """For each of the numbers the known one with most equal digits, of those the closest."""
    equal = digits_of(numbers, places) @ digits_of(known, places).T
    distance = np.abs(numbers[:, None] - known)
    return known[(distance - equal * 10**places).argmin(axis=1)]


def edit_distance(a: str, b: str) -> int:
    """How many characters must be put in, left out or replaced to make b of a (Levenshtein)."""
    above = list(range(len(b) + 1))
    for i, character in enumerate(a, start=1):
        row = [i]
        for j, other in enumerate(b, start=1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (character != other)))
        above = row
    return above[-1]


def measure(written: Sequence[str], names: Sequence[str]) -> dict[str, float]:
    """The share of names without an error, and errors per character of the right names."""
    pairs = list(zip(written, names, strict=True))
    errors = sum(edit_distance(a, b) for a, b in pairs if a != b)
    return {
        "exact_match": float(np.mean([a == b for a, b in pairs])),
        "character_error_rate": errors / sum(map(len, names)),
    }


# The lesson


def lesson(
    language: Language, parts: tuple[np.ndarray, ...], args: argparse.Namespace
) -> tuple[dict[str, Any], list[Path]]:
    """One language: the network trained with both ways to feed it, measured, and drawn."""
    options.heading(f"{language.name}: {args.cell.upper()}, {args.hidden} hidden units")
    letters = tg.data.Vocabulary(language.characters + END, padding="_")
    places = len(str(args.largest))
    names = [language.names(part) for part in parts]
    digits = [digits_of(part, places) for part in parts]
    training, validation, _ = zip(
        digits, *zip(*(read_and_write(part, letters) for part in names), strict=True), strict=True
    )

    scores, curves, files = {}, {}, []
    for feed in FEEDS:
        model = Speller(args.cell, feed, 10 * places, len(letters), args.hidden, args.seed)
        history = train(model, training, validation, letters, args)
        curves |= {f"loss, digits {feed}": history["loss"]}
        curves |= {f"val_loss, digits {feed}": history["val_loss"]}
        written = spell_out(model, digits[-1], letters)
        scores[f"digits {feed}"] = measure(written, names[-1])
        stem = args.out / f"{language.name.lower()}-{feed.replace(' ', '-')}"
        files += pictures(model, digits[-1][:1], written[0], letters, stem)
    path = args.out / f"{language.name.lower()}-training.png"
    files.append(tg.plots.training_curves(curves, log=True, title=language.name).save(path))

    scores |= baselines(language, parts, places)
    figures = {"scores": scores, **compare(scores)}
    report(figures)
    show(parts[-1], written, names[-1])
    return figures, files


def baselines(
    language: Language, parts: tuple[np.ndarray, ...], places: int
) -> dict[str, dict[str, float]]:
    """The names of the nearest training numbers, taken for those of the held-out ones."""
    known, held_out = parts[0], parts[-1]
    nearest = {
        "nearest by value": nearest_by_value(held_out, known),
        "nearest by digits": nearest_by_digits(held_out, known, places),
    }
    names = language.names(held_out)
    return {kind: measure(language.names(found), names) for kind, found in nearest.items()}


def compare(scores: dict[str, dict[str, float]]) -> dict[str, Any]:
    """The margin of the network that is given the digits at every step over the better baseline."""
    ours = scores["digits at every step"]
    stronger = min(
        ("nearest by value", "nearest by digits"),
        key=lambda kind: scores[kind]["character_error_rate"],
    )
    rate = scores[stronger]["character_error_rate"] - ours["character_error_rate"]
    exact = ours["exact_match"] - scores[stronger]["exact_match"]
    return {"baseline": stronger, "margin": {"exact_match": exact, "character_error_rate": rate}}


def report(figures: dict[str, Any]) -> None:
    """Prints the table and the margin."""
    print(f"{'':26}  {'exact match':>11}  {'character errors':>16}")
    for kind, row in figures["scores"].items():
        print(f"{kind:26}  {row['exact_match']:11.2%}  {row['character_error_rate']:16.2%}")
    exact, rate = (100 * figures["margin"][key] for key in ("exact_match", "character_error_rate"))
    verdict = "better" if rate > 0 else "NOT better"
    print(
        f"\nDigits at every step, beside '{figures['baseline']}', the stronger baseline:\n"
        f"{exact:+.2f} points of exact match, {-rate:+.2f} points of character errors: {verdict}.\n"
        "(No two numbers share a name, so a name that was looked up is never quite right.)"
    )


def show(numbers: np.ndarray, written: list[str], names: list[str]) -> None:
    """Prints the first held-out numbers, and the first that were spelled wrong."""
    wrong = [k for k, name in enumerate(names) if written[k] != name]
    print(f"\nHeld-out numbers, the digits at every step ({len(wrong)} of {len(names)} wrong):")
    for k in [*range(min(5, len(names))), *(k for k in wrong[:5] if k >= 5)]:
        mark = "" if written[k] == names[k] else f"   <- wrong: {names[k]}"
        print(f"  {numbers[k]:7}  {written[k]}{mark}")


def pictures(
    model: Speller, digits: np.ndarray, name: str, letters: tg.data.Vocabulary, stem: Path
) -> list[Path]:
    """What the layer keeps while one name is written, and the graph: one input, many outputs.

    Args:
        digits: (1, I), of a held-out number.
        name: what the network has written for it.
        stem: how the files' names begin.
    """
    read, _ = read_and_write([name], letters)
    labels = [SOUNDS.get(c, c).replace(" ", "␣") for c in name]
    trace = tg.rnn.trace(model, digits, read)
    kept = KEEPS["lstm" if isinstance(model.recurrent, tg.nn.LSTM) else "gru"]
    gates = tg.plots.gate_activity(trace, ["start", *labels], quantities=kept)
    graph = graph_of_writing(model, digits, read, [*labels, "end"])
    return [gates.save(f"{stem}-gates.png"), Path(graph.render(f"{stem}-graph.svg", "modules"))]


def graph_of_writing(
    model: Speller, digits: np.ndarray, read: np.ndarray, labels: list[str]
) -> tg.drawing.Graph:
    """The graph of the first steps, each with the scores that wrote a character."""
    given = tg.Tensor(digits, name="digits")
    state, outputs = model.first_state(given), []
    for t, label in enumerate(labels[:MOST_DRAWN]):
        with tg.scope(f"t={t}"):
            scores, state = model.step(given, read[:, t], state)
            outputs.append(scores.named(label))
    return tg.graph(outputs)


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = options.parser("one_to_many", __doc__)
    made.add_argument("--language", choices=[*LANGUAGES, "both"], default="both",
                      help="which names to learn (default: both)")  # fmt: skip
    made.add_argument(
        "--cell", choices=LAYERS, default="gru", help="recurrent layer (default: gru)"
    )
    whole = options.at_least(1)
    options.number(made, "--largest", options.at_least(99), 9999, "largest number")
    options.number(made, "--numbers", options.at_least(50), 5000, "how many numbers to use")
    options.number(made, "--hidden", whole, 64, "hidden units")
    options.number(made, "--epochs", whole, 20, "how often to read all training names")
    options.number(made, "--lr", options.positive, 0.01, "highest learning rate of Adam")
    return made


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Teaches the network to spell, says how well it does, and draws it."""
    made = parser()
    args = options.read(made, arguments)
    if args.largest > LARGEST:
        made.error(f"argument --largest: names are known up to {LARGEST}")
    parts = split_numbers(args.largest, args.numbers, args.seed)
    sizes = dict(zip(("training", "validation", "test"), map(len, parts), strict=True))
    print(
        f"Numbers from 0 to {args.largest:,}, drawn at random: {sizes['training']:,} to train on, "
        f"{sizes['validation']:,} for validation, {sizes['test']:,} held out for the test."
    )
    figures: dict[str, Any] = {"numbers": sizes}
    files = []
    for key in LANGUAGES if args.language == "both" else [args.language]:
        figures[key], drawn = lesson(LANGUAGES[key], parts, args)
        files += drawn
    files.append(options.keep(figures, args))
    options.heading("Made")
    for path in files:
        print(f"  {path}")
    return figures


if __name__ == "__main__":
    options.run(main)
