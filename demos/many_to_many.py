"""Many to many: one network reads a date as people write it, another writes it in the ISO form.

    python demos/many_to_many.py

"Thursday, May 3, 1979", "the 3rd of MAY, 1979", "3-may-79" and "1979년 5월 3일" all become
1979-05-03. The answer has another length and another order than the text, so no output step
belongs to an input step. One network reads to the end, then a second one writes:

  encoder    a GRU in both directions over embedded letters: a vector for each letter
  decoder    a GRU that starts from the encoder's last state and writes symbol after symbol
  attention  for each symbol, the decoder looks the letters' vectors over and picks what it needs

In training, the decoder reads the right symbols so far (teacher forcing); when it is tested, it
reads what it wrote itself. It is tested on days that it has never read in any form, and compared
with a regression on groups of letters, with a rule of a few lines, and with the same network
without attention, trained for as long (it learns too, but far more slowly: try --epochs 30). In two
of the forms another day is named that isn't meant, "05/03/1979, not 06/04/1981": there the order
decides. It takes about a minute on two cores.

The forms would be ambiguous without a convention: with slashes the month comes first, with dots
the day, and a year of two digits is one from 1950 to 2049.
"""

from __future__ import annotations

import datetime
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import one_thread  # noqa: F401  isort: skip
import numpy as np
import options

import tinygrad_rnn as tg

try:
    from matplotlib.figure import Figure
except ModuleNotFoundError as missing:
    sys.exit(options.MISSING.format(missing))

MONTHS = [
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
]  # fmt: skip
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
FORMS = [
    "{d} {month} {y}",
    "{month} {d}, {y}",
    "{mon}. {d}, {y}",
    "{weekday}, {month} {d}, {y}",
    "{wday} {d} {mon} {y}",
    "the {nth} of {month}, {y}",
    "{month} {nth} {y}",
    "{mon} {d} '{yy:02}",
    "{d}-{mon}-{yy:02}",
    "{m:02}/{d:02}/{y}",
    "{d}.{m}.{y}",
    "{y}년 {m}월 {d}일",
    "{y}{m:02}{d:02}",
    "{m:02}/{d:02}/{y}, not {other}",
    "not {other} but {m:02}/{d:02}/{y}",
]
CASES = [str, str.lower, str.upper]
FIRST_DAY, LAST_DAY = datetime.date(1950, 1, 1), datetime.date(2049, 12, 31)

# Every answer has ten symbols, so none is needed that says "the end". ">" is read before the first.
START, LENGTH = ">", len("1979-05-03")
ANSWERS = tg.data.Vocabulary(START + "-0123456789")
VALIDATION_DAYS, TEST_DAYS = 500, 1000
BATCH = 64
GROUPS_LR = 0.02  # of the regression on letter groups
# Forms whose letters every font has.
PICTURED = [
    "{weekday}, {month} {d}, {y}", "{d}-{mon}-{yy:02}", "{d}.{m}.{y}",
    "not {other} but {m:02}/{d:02}/{y}",
]  # fmt: skip


# The data


def write(day: datetime.date, form: str, other: datetime.date) -> str:
    """A day in one of the FORMS; `other` is the day that some of them say isn't meant."""
    month, weekday = MONTHS[day.month - 1], WEEKDAYS[day.weekday()]
    return form.format(
        y=day.year, yy=day.year % 100, m=day.month, d=day.day, nth=ordinal(day.day),
        month=month, mon=month[:3], weekday=weekday, wday=weekday[:3],
        other=f"{other.month:02}/{other.day:02}/{other.year}",
    )  # fmt: skip


def ordinal(n: int) -> str:
    """1st, 2nd, 3rd, 4th, … 11th, 12th, 13th, … 21st, …"""
    ending = "th" if 10 < n % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"


def draw_days(training_days: int, rng: np.random.Generator) -> tuple[list[datetime.date], ...]:
    """Days for test, validation and training: parts of one permutation, so none is in two."""
    in_all = (LAST_DAY - FIRST_DAY).days + 1
    days = [FIRST_DAY + datetime.timedelta(days=k) for k in rng.permutation(in_all).tolist()]
    ends = np.cumsum([TEST_DAYS, VALIDATION_DAYS, training_days])
    return days[: ends[0]], days[ends[0] : ends[1]], days[ends[1] : ends[2]]


class Dates:
    """Days, each written once, in a form and a case drawn at random.

    Where a form names another day, that is one of these days too: no part of the data ever mentions
    the days of another part.

    Attributes:
        texts, forms, answers: lists of N strings; the answers are in the ISO form.
    """

    def __init__(self, days: list[datetime.date], rng: np.random.Generator) -> None:
        self.forms = [FORMS[k] for k in rng.integers(len(FORMS), size=len(days))]
        cases = [CASES[k] for k in rng.integers(len(CASES), size=len(days))]
        others = [days[k] for k in rng.permutation(len(days))]
        written = map(write, days, self.forms, others)
        self.texts = [case(text) for case, text in zip(cases, written, strict=True)]
        self.answers = [day.isoformat() for day in days]

    def arrays(self, letters: tg.data.Vocabulary) -> tuple[np.ndarray, ...]:
        """Texts (N, T), their lengths (N,), what the decoder reads (N, 10) and is to write."""
        texts, lengths = tg.data.pad(
            map(letters.encode, self.texts), value=letters.padding_id, batch_first=True
        )
        targets = self.targets()
        return texts, lengths, read_while_writing(targets), targets

    def targets(self) -> np.ndarray:
        """The numbers (N, 10) of the answers' symbols."""
        return np.stack([ANSWERS.encode(answer) for answer in self.answers])


def read_while_writing(symbols: np.ndarray) -> np.ndarray:
    """What the decoder reads (N, M) before it writes each of the symbols (N, M)."""
    start = np.full((len(symbols), 1), ANSWERS.encode(START))
    return np.append(start, symbols[:, :-1], axis=1)


# The network


class Translator(tg.nn.Module):
    """Reads letters, writes symbols of ISO dates.

    Called with texts (N, T), their lengths (N,) and the right symbols so far (N, M), it returns
    scores (N, M, symbols) of the next ones: teacher forcing.
    """

    def __init__(self, letters: int, hidden: int, seed: int, attention: bool = True) -> None:
        rng = np.random.default_rng(seed)
        both = 2 * hidden  # forward and backward
        self.letters = tg.nn.Embedding(letters, 24, rng=rng)
        self.encoder = tg.nn.GRU(24, hidden, batch_first=True, bidirectional=True, rng=rng)
        self.symbols = tg.nn.Embedding(len(ANSWERS), 12, rng=rng)
        self.decoder = tg.nn.GRU(12, both, batch_first=True, rng=rng)
        self.query = tg.nn.Linear(both, both, bias=False, rng=rng) if attention else None
        self.join = tg.nn.Linear(2 * both if attention else both, both, rng=rng)
        self.scores = tg.nn.Linear(both, len(ANSWERS), rng=rng)

    def forward(self, texts: np.ndarray, lengths: np.ndarray, symbols: np.ndarray) -> tg.Tensor:
        memory, state = self.read(self.letters(texts), lengths)
        return self.write(symbols, state, memory, lengths)[0]

    def read(self, embedded: Any, lengths: np.ndarray) -> tuple[tg.Tensor, tg.Tensor]:
        """A vector for each letter (N, T, 2H), and the state (1, N, 2H) the decoder starts from."""
        memory, last = self.encoder(embedded, lengths=lengths)
        return memory, np.concatenate([last[:1], last[1:]], axis=-1)

    def write(
        self, symbols: np.ndarray, state: tg.Tensor, memory: tg.Tensor, lengths: np.ndarray
    ) -> tuple[tg.Tensor, tg.Tensor]:
        """Scores (N, M, symbols) of what follows each of the symbols (N, M), and a new state."""
        states, state = self.decoder(self.symbols(symbols), state)
        joined = states
        if self.query is not None:
            seen = self.attention(states, memory, lengths) @ memory
            joined = np.concatenate([seen, states], axis=-1)
        return self.scores(np.tanh(self.join(joined))), state

    def attention(self, states: tg.Tensor, memory: tg.Tensor, lengths: np.ndarray) -> tg.Tensor:
        """How much each state (N, M, 2H) looks at each letter: (N, M, T), each row adds up to 1.

        Luong et al. 2015, "general": softmax(sᵀ W m), over the letters m that aren't padding.
        """
        match = self.query(states) @ np.swapaxes(memory, 1, 2)
        padding = np.arange(memory.shape[1]) >= lengths[:, None, None]
        return tg.nn.functional.softmax(np.where(padding, -1e9, match), dim=-1)


def loss(scores: tg.Tensor, targets: np.ndarray) -> tg.Tensor:
    """The mean of -ln p(target), of scores (N, M, symbols) and targets (N, M)."""
    return tg.nn.functional.cross_entropy(scores.reshape(-1, scores.shape[-1]), targets.ravel())


def exact_match(scores: tg.Tensor, targets: np.ndarray) -> float:
    """The share of dates with all symbols right.

    It is the same with teacher forcing as without: both read the same up to the first mistake.
    """
    return float((scores.data.argmax(axis=-1) == targets).all(axis=-1).mean())


@tg.no_grad()
def translate(model: Translator, texts: np.ndarray, lengths: np.ndarray) -> list[str]:
    """The network's answers: each symbol is the likeliest one, and is read before the next."""
    memory, state = model.read(model.letters(texts), lengths)
    written = np.full((len(texts), 1), ANSWERS.encode(START))
    for _ in range(LENGTH):
        scores, state = model.write(written[:, -1:], state, memory, lengths)
        written = np.append(written, scores.data.argmax(axis=-1), axis=1)
    return [ANSWERS.decode(row) for row in written[:, 1:]]


def fit(
    model: tg.nn.Module, training: Any, validation: Any, lr: float, args: Any
) -> tg.train.History:
    """Trains on arrays, inputs first and targets last; keeps the best epoch of the validation."""
    print(f"  {sum(p.size for p in model.parameters()):,} parameters", flush=True)
    data = tg.data.batches(training, BATCH, shuffle=True, seed=args.seed)
    optimiser = tg.optim.Adam(model.parameters(), lr=lr)
    steps = args.epochs * len(data)
    history = tg.fit(
        model, loss, optimiser, data, epochs=args.epochs, clip_norm=1.0,
        validation=tg.data.batches(validation, 250), metrics={"exact match": exact_match},
        schedule=tg.optim.lr_scheduler.OneCycleLR(optimiser, lr, steps), schedule_every="step",
    )  # fmt: skip
    if history.stopped == "interrupted":  # half a training is not to be compared with whole ones
        raise KeyboardInterrupt
    return history


# Baselines


class Groups(tg.nn.Module):
    """Softmax regression: each group of one to three letters adds its scores to those of others.

    It knows which letters stand side by side, and nothing of what comes before or after them.
    """

    def __init__(self, texts: list[str]) -> None:
        found = sorted({group for text in texts for group in self.groups(text)})
        self.numbers = {group: k for k, group in enumerate(found, start=1)}
        self.votes = tg.nn.Embedding(len(found) + 1, LENGTH * len(ANSWERS), padding_idx=0)
        self.votes.weight.data[:] = 0

    @staticmethod
    def groups(text: str) -> list[str]:
        text = f" {text.lower()} "
        return [text[k : k + n] for n in (1, 2, 3) for k in range(len(text) - n + 1)]

    def encode(self, texts: list[str]) -> np.ndarray:
        """Numbers of the groups (N, G); 0 for those that are new, and as padding."""
        return tg.data.pad(
            [[self.numbers.get(group, 0) for group in self.groups(text)] for text in texts],
            batch_first=True,
        )[0]

    def forward(self, groups: np.ndarray) -> tg.Tensor:
        return self.votes(groups).sum(axis=1).reshape(-1, LENGTH, len(ANSWERS))

    @tg.no_grad()
    def translate(self, texts: list[str]) -> list[str]:
        return [ANSWERS.decode(row) for row in self(self.encode(texts)).data.argmax(axis=-1)]


def rule(text: str) -> str:
    """Four digits are the year, the name of a month is the month, the number that is left the day.

    Without a name, the numbers left are month and day. It doesn't know of years with two digits,
    nor that with dots the day comes first. A rule for every form would be right by construction.
    """
    year = re.search(r"\d{4}", text)
    if not year:
        return ""
    numbers = [int(n) for n in re.findall(r"\d{1,2}", text.replace(year[0], "", 1))]
    short = [month[:3] for month in MONTHS]
    name = re.search("|".join(short), text, re.IGNORECASE)
    if name:
        numbers.insert(0, 1 + short.index(name[0].title()))
    return f"{year[0]}-{numbers[0]:02}-{numbers[1]:02}"


# What came out


def share_right(given: list[str], dates: Dates, form: str | None = None) -> float:
    """The share of exact matches, among all dates or those of one form."""
    right = [
        mine == answer
        for mine, answer, f in zip(given, dates.answers, dates.forms, strict=True)
        if form in (None, f)
    ]
    return sum(right) / len(right)


def print_table(answers: dict[str, list[str]], test: Dates) -> dict[str, dict[str, float]]:
    """Exact matches of every method, form by form; returns them."""
    example, other = datetime.date(1979, 5, 3), datetime.date(1981, 6, 4)
    shares = {
        write(example, form, other): {
            name: share_right(a, test, form) for name, a in answers.items()
        }
        for form in FORMS
        if form in test.forms
    }
    shares["all forms"] = {name: share_right(a, test) for name, a in answers.items()}
    print(f"{'':32}" + "".join(f"{name:>{len(name) + 3}}" for name in answers))
    for form, row in shares.items():
        print(f"{form:32}" + "".join(f"{x:{len(name) + 3}.1%}" for name, x in row.items()))
    return shares


def print_margins(shares: dict[str, float]) -> None:
    """How far the first method is above the others."""
    (name, mine), *others = shares.items()
    print()
    for other, theirs in others:
        word = "above" if mine >= theirs else "BELOW"
        print(f"{name} is {100 * abs(mine - theirs):.1f} points {word} {other}")


def print_examples(given: list[str], test: Dates) -> None:
    """The first date of each form, and some of the mistakes."""
    first = [test.forms.index(form) for form in FORMS if form in test.forms]
    wrong = [k for k, answer in enumerate(test.answers) if given[k] != answer]
    for k in [*first, *(k for k in wrong[:5] if k not in first)]:
        mark = f"  WRONG: {test.answers[k]}" if k in wrong else ""
        print(f"  {given[k]}  <-  {test.texts[k]}{mark}")
    print(f"{len(wrong)} of {len(given)} are wrong.")


@tg.no_grad()
def draw_attention(model: Translator, arrays: Any, test: Dates, which: list[int]) -> Figure:
    """Which letters are looked at while the network writes: a panel for each date."""
    figure = Figure(figsize=(8, 3.2 * len(which)), layout="constrained")
    panels = figure.subplots(len(which), squeeze=False)[:, 0]
    for panel, k in zip(panels, which, strict=True):
        texts, lengths = (array[k : k + 1] for array in arrays[:2])
        answer, symbols = own_answer(model, texts, lengths)
        memory, state = model.read(model.letters(texts), lengths)
        states, _ = model.decoder(model.symbols(symbols), state)
        weights = model.attention(states, memory, lengths).data[0, :, : lengths[0]]
        image = panel.imshow(weights, cmap="viridis", vmin=0, vmax=1, aspect="auto")
        panel.set_xticks(range(lengths[0]), test.texts[k].replace(" ", "␣"))
        panel.set_yticks(range(LENGTH), answer)
        panel.set(xlabel="letter read", ylabel="symbol written")
        if answer != test.answers[k]:
            panel.set_title(f"wrong: it is {test.answers[k]}")
    figure.colorbar(image, ax=panels, label="attention; each row adds up to 1", shrink=0.5)
    figure.suptitle("Which letters are looked at while each symbol is written")
    return figure


def own_answer(model: Translator, texts: np.ndarray, lengths: np.ndarray) -> tuple[str, np.ndarray]:
    """What the network writes for one text (1, T), and what it reads of that itself, (1, 10)."""
    (answer,) = translate(model, texts, lengths)
    return answer, read_while_writing(ANSWERS.encode(answer)[None])


def draw_connectivity(model: Translator, arrays: Any, test: Dates, k: int) -> Any:
    """Which letters are felt in each symbol's scores, by whatever way: attention, or the state."""
    texts, lengths = (array[k : k + 1] for array in arrays[:2])
    texts = texts[:, : lengths[0]]
    answer, symbols = own_answer(model, texts, lengths)

    def translator(embedded: tg.Tensor) -> tg.Tensor:
        copies = len(embedded)
        memory, state = model.read(embedded, np.repeat(lengths, copies))
        return model.write(np.repeat(symbols, copies, axis=0), state, memory, lengths)[0]

    drawn = tg.plots.connectivity(
        translator, model.letters(texts).data, batch_first=True, labels=list(test.texts[k])
    )
    panel = drawn.figure.axes[0]
    panel.set_yticks(range(LENGTH), answer)
    panel.set(xlabel="letter read", ylabel="symbol written")
    drawn.figure.suptitle("Which letters are felt in each symbol")
    return drawn


# The whole


def train_translator(
    attention: bool, parts: dict[str, Dates], letters: tg.data.Vocabulary, args: Any
) -> tuple[Translator, tg.train.History]:
    model = Translator(len(letters), args.hidden, args.seed, attention)
    training, validation = (parts[name].arrays(letters) for name in ("training", "validation"))
    return model, fit(model, training, validation, args.lr, args)


def train_groups(parts: dict[str, Dates], args: Any) -> Groups:
    model = Groups(parts["training"].texts)
    training, validation = (
        (model.encode(dates.texts), dates.targets())
        for dates in (parts["training"], parts["validation"])
    )
    fit(model, training, validation, GROUPS_LR, args)
    return model


def draw(
    model: Translator, history: tg.train.History, arrays: Any, test: Dates, out: Path
) -> dict[Path, str]:
    """The pictures: files, and what they show."""
    which = [test.forms.index(form) for form in PICTURED if form in test.forms]
    attention, felt, curves = (out / f"{n}.png" for n in ("attention", "connectivity", "training"))
    draw_attention(model, arrays, test, which).savefig(attention, dpi=110)
    draw_connectivity(model, arrays, test, which[0]).save(felt)
    history.plot().save(curves)
    return {
        attention: "which letters are looked at while each symbol is written",
        felt: "how much each letter is felt in each symbol, by whatever way",
        curves: "loss and exact match, epoch after epoch",
    }


def read_options(arguments: Sequence[str] | None) -> Any:
    made = options.parser("many_to_many", __doc__)
    options.number(made, "--days", options.at_least(100), 5000, "days to train on")
    options.number(made, "--hidden", options.at_least(1), 32, "hidden units of each direction")
    options.number(made, "--epochs", options.at_least(1), 10, "times each day is trained on")
    options.number(made, "--lr", options.positive, 0.01, "highest learning rate of Adam")
    args = options.read(made, arguments)
    most = (LAST_DAY - FIRST_DAY).days + 1 - TEST_DAYS - VALIDATION_DAYS
    if args.days > most:
        made.error(f"argument --days: there are {most} days that aren't held out")
    return args


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Trains, compares, draws; returns the figures."""
    args = read_options(arguments)

    options.heading("Dates")
    rng = np.random.default_rng(args.seed)
    days = draw_days(args.days, rng)
    names = ("test", "validation", "training")
    parts = {name: Dates(part, rng) for name, part in zip(names, days, strict=True)}
    test = parts["test"]
    letters = tg.data.Vocabulary.from_text(
        parts["training"].texts, unknown="\N{REPLACEMENT CHARACTER}", padding="_"
    )
    print(f"Days from {FIRST_DAY} to {LAST_DAY}, each in one of {len(FORMS)} forms.")
    print(f"{args.days} days to train on, {VALIDATION_DAYS} others to choose the best epoch,")
    print(f"and {TEST_DAYS} others for the test: no day is in two of these parts.")

    options.heading("Training")
    print("With attention:")
    model, history = train_translator(True, parts, letters, args)
    print("The same without attention, as many epochs:")
    without, _ = train_translator(False, parts, letters, args)
    print("Letter groups, softmax regression:")
    groups = train_groups(parts, args)

    arrays = test.arrays(letters)
    answers = {
        "attention": translate(model, *arrays[:2]),
        "no attention": translate(without, *arrays[:2]),
        "letter groups": groups.translate(test.texts),
        "rule": [rule(text) for text in test.texts],
    }
    options.heading(f"Exact match on {TEST_DAYS} days never trained on")
    shares = print_table(answers, test)
    print_margins(shares["all forms"])
    options.heading("Examples, with attention")
    print_examples(answers["attention"], test)

    figures = {
        "test_days": TEST_DAYS,
        "epochs_trained": history.rows,
        "exact_match": shares.pop("all forms"),
        "exact_match_by_form": shares,
    }
    made = draw(model, history, arrays, test, args.out)
    made[options.keep(figures, args)] = "all figures of this run"
    options.heading("Made")
    for path, what in made.items():
        print(f"  {path}   {what}")
    return figures


if __name__ == "__main__":
    options.run(main)
