"""``train``: a model of a text, in a folder of its own; a run that was stopped goes on."""

from __future__ import annotations

import argparse
import hashlib
import math
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data import TextFile, Vocabulary, Windows, batchify
from ..data.vocabulary import KINDS
from ..optim import Adam
from ..train import History, Watcher, fit
from .folder import SETTINGS, Folder, Trained
from .model import CELLS, Architecture, LanguageModel, loss
from .options import add_encoding, at_least, between, name, number
from .running import INTERRUPTED, CommandError, remark
from .texts import (
    SINGULAR,
    UNKNOWN,
    beginning,
    bits,
    counts,
    encoded,
    opened,
    symbols_in,
    told_bits,
)

_EVERY = 100  # steps from one measurement, and checkpoint, to the next
_EPOCHS = 10
_CLIP_NORM = 1.0


def add_to(commands: Any) -> None:
    """Adds the command to the parser."""
    made = commands.add_parser(
        "train",
        help="train a model of a text",
        description="Trains a recurrent model of what comes next in a text. Ctrl-C ends it after "
        "the step that is running; the same command goes on from there.",
    )
    positive = between(0, math.inf)
    made.add_argument("text", type=name, metavar="TEXT", help="a file, or - for what comes in")
    made.add_argument(
        "--out", type=name, required=True, metavar="MODEL", help="folder for the model"
    )
    made.add_argument("--kind", choices=KINDS, default=KINDS[0],
                      help=f"what the symbols are (default: {KINDS[0]})")  # fmt: skip
    add_encoding(made)
    number(made, "--least", at_least(1), 2, "how often a symbol must occur; others are unknown")
    number(made, "--most", at_least(1), 10_000, "symbols at most, the most frequent ones")
    made.add_argument("--cell", choices=CELLS, default="lstm", help="(default: lstm)")
    number(made, "--embedding", at_least(1), 32, "features that a symbol is read as")
    number(made, "--hidden", at_least(1), 128, "units of each recurrent layer")
    number(made, "--layers", at_least(1), 1, "recurrent layers")
    number(made, "--dropout", between(0, 1, low_too=True), 0.0, "share that is dropped")
    number(made, "--batch", at_least(1), 32, "pieces of text that are read side by side")
    number(made, "--seq-len", at_least(1), 64, "symbols that gradients go back")
    number(made, "--lr", positive, 0.003, "learning rate of Adam")
    number(made, "--validation", between(0, 1, low_too=True), 0.1,
           "share of the text, its end, that isn't trained on: the parameters that predict it best "
           "are kept")  # fmt: skip
    number(
        made, "--epochs", at_least(1), None, f"times to read the text; {_EPOCHS} if no end is given"
    )
    number(made, "--steps", at_least(1), None, "updates of the weights, in all")
    number(made, "--minutes", positive, None, "minutes of training, in all")
    number(made, "--seed", at_least(0), 0, "of all that is random")
    made.add_argument("--resume", action=argparse.BooleanOptionalAction, default=True,
                      help="go on with what is in the folder, or begin anew")  # fmt: skip
    made.add_argument("--quiet", action="store_true", help="say nothing but results and errors")
    made.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Trains, and prints how well the model predicts."""
    folder = Folder(args.out)
    folder.check()
    with opened(args.text, args.encoding) as text:
        folder.check_apart(args.text)
        settings = {**vars(args), "sha256": _digest(text)}
        settings = {name: settings[name] for name in SETTINGS}
        if args.resume:
            _check_same(folder, settings)
        folder.make()
        material: Material | None = None
        try:
            material = _material(args, text, folder)
            trained = _new(args, material)
            if not args.resume or not folder.checkpoint.exists():
                folder.begin(settings)
            return _train(args, folder, trained, material)
        finally:
            material = None  # Windows removes no file that is mapped
            folder.clear()


@dataclass(frozen=True)
class Material:
    """What a text gives to train on.

    Attributes:
        vocabulary: of the training part.
        frequencies: (symbols,), of the training part, none of them 0.
        data: windows of the training part.
        held_out: numbers (L,) of what is measured on; empty for nothing.
        validation: windows of that, or None.
    """

    vocabulary: Vocabulary
    frequencies: np.ndarray
    data: Windows
    held_out: np.ndarray
    validation: Windows | None


def _material(args: argparse.Namespace, text: TextFile, folder: Folder) -> Material:
    total = symbols_in(text, args.kind)
    training = total - round(total * args.validation)
    shown = f"{total:,} {SINGULAR[args.kind]}{'s' * (total != 1)}"
    if training < 2 * args.batch:
        raise CommandError(
            f"{args.text} has {shown}, {training:,} to train on; --batch {args.batch} needs at "
            f"least {2 * args.batch:,}: give a longer text, or a smaller --batch"
        )
    if args.validation and total - training < 2:
        raise CommandError(
            f"{args.text} has {shown}, too few to hold {100 * args.validation:g}% of them back: "
            "give a larger --validation, or --validation 0"
        )
    vocabulary = _vocabulary(args, text, training)
    ids = encoded(text, vocabulary, folder.ids)
    seen = counts(ids[:training], len(vocabulary)) + 1
    data = Windows(batchify(ids[:training], args.batch), args.seq_len)
    # Measured often, so a part of a large text is enough.
    held_out = ids[training:][: max(2, args.batch * args.seq_len * _EVERY // 4)]
    validation = None
    if len(held_out):
        columns = max(1, min(args.batch, len(held_out) // args.seq_len))
        validation = Windows(batchify(held_out, columns), args.seq_len)
    remark(
        f"{shown}: {training:,} to train on, {len(held_out):,} of the other {total - training:,} "
        f"to measure on; {len(vocabulary):,} symbols",
        args.quiet,
    )
    return Material(vocabulary, seen / seen.sum(), data, held_out, validation)


def _vocabulary(args: argparse.Namespace, text: TextFile, training: int) -> Vocabulary:
    """The symbols of the part that is trained on: those that only come later are unknown."""
    try:
        return Vocabulary.from_text(
            beginning(text, args.kind, training),
            args.kind,
            unknown=UNKNOWN[args.kind],
            least=args.least,
            most=args.most,
        )
    except ValueError:
        raise CommandError(
            f"no {SINGULAR[args.kind]} occurs {args.least} times in what is trained on of "
            f"{args.text}: give a longer text, or --least 1"
        ) from None


class Clock(Watcher):
    """Ends a training after so many seconds of steps."""

    def __init__(self, seconds: float) -> None:
        self.left = seconds

    def begin_step(self, step: int) -> None:
        self.begin = time.perf_counter()

    def end_step(self, step: int, values: Mapping[str, float]) -> bool:
        self.left -= time.perf_counter() - self.begin
        return self.left <= 0


def _train(args: argparse.Namespace, folder: Folder, trained: Trained, material: Material) -> int:
    """Trains stretch by stretch; after each, there is a checkpoint and a model."""
    total, limit = _end(args, len(material.data))
    step, seconds = folder.progress() if args.resume else (0, 0.0)
    if step:
        remark(f"going on after step {step:,}", args.quiet)
    optimiser = Adam(trained.model.parameters(), lr=args.lr)
    while True:
        stop = min(_EVERY * (step // _EVERY + 1), total) if seconds < limit else step
        clock = Clock(limit - seconds)
        history = _fit(args, folder, material, trained.model, optimiser, stop, clock)
        if history.rows:  # there are none if Ctrl-C came before the first step
            folder.save(trained)
            step, seconds = int(history["steps"][-1]), float(history["seconds"][-1])
            _tell(history, total, args.quiet)
        if history.interrupted:
            without = "" if args.resume else ", without --no-resume,"
            remark(f"stopped after step {step:,}; the same command{without} goes on from there")
            return INTERRUPTED
        if step >= total or seconds >= limit:
            _print_result(args, history, material)
            return 0


def _fit(
    args: argparse.Namespace,
    folder: Folder,
    material: Material,
    model: LanguageModel,
    optimiser: Adam,
    stop: int,
    clock: Clock,
) -> History:
    """Trains up to a step, or the end of the time, from where the checkpoint stands."""
    try:
        return fit(
            model,
            loss,
            optimiser,
            material.data,
            steps=stop,
            validation=material.validation,
            validate_every=_EVERY,
            clip_norm=_CLIP_NORM,
            checkpoint=folder.checkpoint,
            watchers=[clock],
            progress=False,
            seed=args.seed,
        )
    except FloatingPointError as error:
        fault = str(error).partition(":")[0]
        raise CommandError(f"{fault}: begin anew, with a smaller --lr and --no-resume") from None


def _end(args: argparse.Namespace, windows: int) -> tuple[int, float]:
    """The steps and the seconds after which to end; whichever comes first."""
    epochs = args.epochs
    if epochs is None and args.steps is None and args.minutes is None:
        epochs = _EPOCHS
    known = [args.steps] if args.steps else []
    if epochs:
        known.append(epochs * windows)
    return min(known, default=sys.maxsize), 60 * args.minutes if args.minutes else math.inf


def _new(args: argparse.Namespace, material: Material) -> Trained:
    """The model as it begins."""
    shape = Architecture(
        symbols=len(material.vocabulary),
        cell=args.cell,
        embedding=args.embedding,
        hidden=args.hidden,
        layers=args.layers,
        dropout=args.dropout,
    )
    try:
        model = LanguageModel(shape, rng=args.seed)
    except ValueError as error:  # NumPy's, for arrays larger than any memory
        raise CommandError(f"a model of this size can't be made: {error}") from None
    model.start_from(material.frequencies)
    return Trained(model, shape, material.vocabulary)


def _tell(history: History, total: int, quiet: bool) -> None:
    """A line on how it goes."""
    step, shown = int(history["steps"][-1]), f"/{total:,}" if total < sys.maxsize else ""
    parts = [f"step {step:,}{shown}", f"{history['loss'][-1] / math.log(2):.3f} bits"]
    if "val_loss" in history and not math.isnan(history["val_loss"][-1]):
        parts.append(f"validation {history['val_loss'][-1] / math.log(2):.3f}")
    parts.append(f"{history['seconds'][-1]:.0f} s")
    remark("  ".join(parts), quiet)


def _print_result(args: argparse.Namespace, history: History, material: Material) -> None:
    if material.validation is None:
        value = history["loss"][-1] / math.log(2)
        print(f"{told_bits(value, args.kind)}, on the text that was trained on")
        return
    value = history["val_loss"][history.best or 0] / math.log(2)
    counted = bits(material.frequencies, material.held_out)
    print(f"{told_bits(value, args.kind)}, on {len(material.held_out):,} {args.kind} held out")
    print(f"{counted:.3f} by the frequency of each {SINGULAR[args.kind]} alone")


def _digest(text: TextFile) -> str:
    """Tells one text from another."""
    made = hashlib.sha256()
    with text.path.open("rb") as file:
        while piece := file.read(1 << 20):
            made.update(piece)
    return made.hexdigest()


def _check_same(folder: Folder, settings: dict[str, Any]) -> None:
    """Raises CommandError if the folder has another training in it, or a model without one.
    Settings alone are of a run that came to nothing."""
    before = folder.begun_with()
    if before is None or not folder.checkpoint.exists():
        if folder.model.exists():
            missing = (folder.settings if before is None else folder.checkpoint).name
            raise CommandError(
                f"{folder.path} has a model, and no {missing} to go on with; --no-resume replaces "
                "it"
            )
        return
    differing = [name for name in settings if before.get(name) != settings[name]]
    if not differing:
        return
    told = ", ".join(
        "another text" if name == "sha256" else f"--{name.replace('_', '-')} {before.get(name)}"
        for name in differing
    )
    raise CommandError(
        f"{folder.path} has a training with {told}: give the same to go on with it, or "
        "--no-resume to begin anew"
    )
