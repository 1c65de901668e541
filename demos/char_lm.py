"""A language model from the text to a file: trained, stopped, resumed, measured, put to use.

    python demos/char_lm.py

A network learns to foresee the next character of Python programs, or of a text of your own, and is
measured against models that only count: the trigram model is the baseline. On the way:

- Training stops halfway. A fresh model goes on from the checkpoint, as after a power cut; that this
  changes no bit is tried out too. Ctrl-C stops it as well, and --resume goes on.
- The best parameters are chosen on a validation text; the held-out text is measured once, in the
  end.
- The model is saved with its vocabulary, loaded, and writes: always the likeliest character, drawn
  at a temperature, and drawn from the likely ones only (top-p).
- Its gates are drawn over a line that it has never seen.

It takes about two minutes on two cores.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import one_thread  # noqa: F401  # isort: skip
import corpus
import language_model
import numpy as np
import options
from language_model import CharModel
from options import heading

import tinygrad_rnn as tg

try:
    import matplotlib  # noqa: F401  (for tg.plots)
except ModuleNotFoundError as missing:
    sys.exit(options.MISSING.format(missing))

GATES = {"lstm": ["i", "f", "o", "c"], "gru": ["r", "z", "h"], "rnn": ["h"]}


# The text


def read_text(args: argparse.Namespace) -> corpus.Corpus:
    """The library or a file, of its training text only so many characters."""
    shortest = language_model.shortest_text(args)
    if args.characters < shortest:
        raise corpus.TextError(f"--characters {args.characters}: at least {shortest} are needed")
    text = corpus.from_file(args.text, shortest) if args.text else corpus.from_library(args.seed)
    return dataclasses.replace(text, training=text.training[: args.characters])


def describe(text: corpus.Corpus, ids: corpus.Numbered) -> None:
    heading("1. The text")
    print(f"{text.source}.")
    print(f"{len(ids.training):,} characters to train on, the first of the training text;")
    print(f"{len(ids.validation):,} after them to validate; {len(ids.held_out):,} held out;")
    print(f"{len(ids.vocabulary)} symbols. The next characters to foresee, for example:")
    data = language_model.windows(ids.training, batch=2, seq_len=12)
    inputs, targets, _ = next(iter(data))
    for read, wanted in zip(inputs.T, targets.T, strict=True):
        print(f"  {ids.vocabulary.decode(read)!r} -> {ids.vocabulary.decode(wanted)!r}")


# Training


def train(
    args: argparse.Namespace,
    ids: corpus.Numbered,
    steps: int | None = None,
    checkpoint: Path | None = None,
    **settings: Any,
) -> tuple[CharModel, tg.train.History]:
    """Makes a model, and trains it until `steps` updates are done, or all epochs.

    If there is a checkpoint, the model goes on from it.
    """
    model = CharModel(args.cell, len(ids.vocabulary), args.hidden, args.layers, args.seed)
    model.start_from_frequencies(ids.training)
    data = language_model.windows(ids.training, args.batch, args.seq_len)
    total = args.epochs * len(data)
    history = language_model.train(
        model, data, ids.validation, args.lr, lambda step: step / total,
        steps=steps or total, checkpoint=checkpoint, seed=args.seed, **settings,
    )  # fmt: skip
    return model, history


def train_in_two(
    args: argparse.Namespace, ids: corpus.Numbered, checkpoint: Path
) -> tuple[CharModel, tg.train.History]:
    """Half of the updates; then the other half, by a model that knows only the checkpoint."""
    heading("2. Half of the training")
    total = args.epochs * len(language_model.windows(ids.training, args.batch, args.seq_len))
    every = language_model.MEASURE_EVERY
    half = total // 2 // every * every or max(1, total // 2)  # if it can be, where it is measured
    checkpoint.unlink(missing_ok=True)
    model, history = train(args, ids, half, checkpoint)
    print(f"{sum(p.size for p in model.parameters()):,} parameters. {told(history)}")
    print(f"All there is to know is in {checkpoint}, {checkpoint.stat().st_size:,} bytes.")
    if history.stopped == "interrupted":
        return model, history
    return go_on(args, ids, checkpoint)


def go_on(
    args: argparse.Namespace, ids: corpus.Numbered, checkpoint: Path
) -> tuple[CharModel, tg.train.History]:
    """The rest of the training, from a checkpoint on."""
    heading("3. A fresh model goes on from the checkpoint")
    model, history = train(args, ids, checkpoint=checkpoint)
    print(told(history))
    return model, history


def told(history: tg.train.History) -> str:
    """Where a training stands."""
    stopped = history.stopped == "interrupted"
    return (
        f"{history['steps'][-1]:,} updates, {characters_per_second(history):,.0f} characters a "
        f"second;\nbits per character of the validation text: {history['val_loss'][-1]:.3f}."
        + ("\nStopped by Ctrl-C; with --resume, the training goes on." if stopped else "")
    )


def characters_per_second(history: tg.train.History) -> float:
    """The mean over the whole training, measuring left out."""
    seconds = np.diff(history["seconds"], prepend=0)
    return float(np.average(history["tokens_per_second"], weights=seconds))


def resumes_exactly(args: argparse.Namespace, ids: corpus.Numbered, updates: int = 10) -> bool:
    """Whether two short trainings, with a file between them, give what a long one gives."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "run.npz")
        runs = [
            train(args, ids, steps, checkpoint, validate_every=updates)
            for steps, checkpoint in [(updates, file), (2 * updates, file), (2 * updates, None)]
        ]
    if any(history.stopped == "interrupted" for _, history in runs):
        raise KeyboardInterrupt
    in_two, in_one = (model.state_dict() for model, _ in runs[1:])
    return all(np.array_equal(in_two[name], in_one[name]) for name in in_one)


# The model in use


def save(model: CharModel, args: argparse.Namespace, letters: tg.data.Vocabulary) -> Path:
    """Writes the weights, and beside them what it takes to make the model anew."""
    shape = {name: getattr(args, name) for name in ("cell", "hidden", "layers")}
    path = args.out / "model.npz"
    tg.save(model, path, {"shape": json.dumps(shape), "letters": json.dumps(letters.to_dict())})
    return path


def load(path: Path) -> tuple[CharModel, tg.data.Vocabulary]:
    """What `save` has written: no training text is needed any more."""
    weights = tg.load(path)
    letters = tg.data.Vocabulary.from_dict(json.loads(weights.metadata["letters"]))
    model = CharModel(**json.loads(weights.metadata["shape"]), symbols=len(letters), seed=0)
    model.load_state_dict(weights)
    return model, letters


def write(model: CharModel, letters: tg.data.Vocabulary, args: argparse.Namespace) -> Path:
    """Prints and keeps texts of the model's own, drawn in three ways."""
    ways: dict[str, dict[str, Any]] = {
        "always the likeliest": {"temperature": 0},
        f"temperature {args.temperature:g}": {"temperature": args.temperature},
        f"temperature {args.temperature:g}, top-p {args.top_p:g}": {
            "temperature": args.temperature,
            "top_p": args.top_p,
        },
    }
    texts = []
    for way, settings in ways.items():
        print(f"\n{way}:\n  | ", end="")
        pieces = tg.train.stream(
            model, args.prompt, args.sample, vocabulary=letters, seed=args.seed, **settings
        )
        texts.append(f"[{way}]\n{args.prompt}")
        for piece in pieces:
            shown = piece if piece.isprintable() or piece == "\n" else " "
            print(shown.replace("\n", "\n  | "), end="", flush=True)
            texts[-1] += piece
        print()
    path = args.out / "samples.txt"
    path.write_text("\n\n".join(texts) + "\n", encoding="utf-8")
    return path


def draw_gates(
    model: CharModel, letters: tg.data.Vocabulary, line: str, args: argparse.Namespace
) -> Path:
    """What the gates of the last layer do while a line is read."""
    trace = tg.rnn.trace(model, letters.encode(line)[:, None])
    drawn = tg.plots.gate_activity(trace, line, place=trace.places[-1], quantities=GATES[args.cell])
    what = "last layer" if args.layers > 1 else "layer"
    drawn.figure.suptitle(f"The {args.cell.upper()} {what} as it reads a line it has never seen")
    return drawn.save(args.out / "gates.png")


def a_line(text: str) -> str:
    """A line of 30 to 60 characters, if there is one; else the first 60 characters."""
    lines = (line.strip() for line in text.splitlines())
    fitting = (line for line in lines if 30 <= len(line) <= 60 and line.isprintable())
    return next(fitting, " ".join(text[:60].split()))


# The whole


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = options.parser("char_lm", __doc__)
    language_model.add_options(made)
    one = options.at_least(1)
    what = "characters of the training text to use, the first ones"
    options.number(made, "--characters", one, 1_000_000, what)
    options.number(made, "--epochs", one, 1, "how often to read them")
    made.add_argument(
        "--resume", action="store_true",
        help="go on from the checkpoint that is in the folder of --out, with the same options or "
        "more epochs; without, training begins anew",
    )  # fmt: skip
    what = "draw only from the likeliest characters that have this probability together"
    made.add_argument("--top-p", type=probability, default=0.9, metavar="P",
                      help=f"{what} (default: 0.9)")  # fmt: skip
    made.add_argument("--prompt", type=not_empty, default="def ", metavar="TEXT",
                      help="what the texts begin with (default: 'def ')")  # fmt: skip
    return made


def probability(text: str) -> float:
    """A type for argparse: above 0, at most 1."""
    value = options.positive(text)
    if value > 1:
        raise argparse.ArgumentTypeError(f"{text!r} is above 1")
    return value


def not_empty(text: str) -> str:
    """A type for argparse: at least one character."""
    if not text:
        raise argparse.ArgumentTypeError("it needs at least one character")
    return text


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Runs the lesson; returns the figures."""
    made = parser()
    args = made.parse_args(arguments)
    checkpoint = args.out / "checkpoint.npz"
    if args.resume and not checkpoint.exists():
        made.error(f"there is no {checkpoint} to go on from: begin without --resume")
    options.make_folder(made, args)
    try:
        text = read_text(args)
        ids = corpus.numbered(text)
    except corpus.TextError as error:
        made.error(str(error))
    describe(text, ids)
    try:
        model, history = (go_on if args.resume else train_in_two)(args, ids, checkpoint)
    except (KeyError, ValueError) as error:
        if not args.resume:
            raise
        made.error(f"can't go on from {checkpoint}: {error}")

    heading("4. Ten updates, a checkpoint, and ten more")
    exact = resumes_exactly(args, ids)
    print(f"The same parameters as twenty updates at a stretch, bit for bit: {exact}.")

    name = args.cell.upper()
    heading(f"5. The {name} beside models that count")
    measured = language_model.compare_with_counting(
        model, name, ids.training, ids.held_out, len(ids.vocabulary)
    )
    bits = measured["bits_per_character"]
    beside_baseline = language_model.comparison(name, bits[name], bits["trigram"])
    print(f"\nThe baseline is the trigram model: {beside_baseline}.")

    heading("6. Saved, loaded, and writing")
    saved = save(model, args, ids.vocabulary)
    model, letters = load(saved)
    samples = write(model, letters, args)

    gates = draw_gates(model, letters, a_line(text.held_out), args)
    curves = history.plot(title="Bits per character while training").save(args.out / "training.png")
    figures = {
        "source": text.source,
        "characters": {
            part: len(getattr(ids, part)) for part in ("training", "validation", "held_out")
        },
        "updates": int(history["steps"][-1]),
        "stopped": history.stopped,
        **measured,
        "better_than_trigram": bits["trigram"] - bits[name],
        "resumes_exactly": exact,
        "characters_per_second": round(characters_per_second(history)),
    }
    heading("Made")
    for path, what in [
        (samples, "what the network wrote"),
        (gates, "its gates over a line of the held-out text"),
        (curves, "bits per character and learning rate, while it was trained"),
        (saved, "the model and its vocabulary"),
        (checkpoint, "what --resume goes on from"),
        (options.keep(figures, args), "all figures of this run"),
    ]:
        print(f"  {path}   {what}")
    return figures


if __name__ == "__main__":
    options.run(main)
