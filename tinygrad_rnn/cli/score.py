"""``score``: how well a model predicts a text."""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ..data import TextFile, Windows
from ..train import evaluate
from .folder import Folder, Trained
from .model import loss
from .options import add_encoding, name
from .running import CommandError
from .texts import SINGULAR, counts, encoded, opened, told_bits

_STEPS = 1000


def add_to(commands: Any) -> None:
    """Adds the command to the parser."""
    made = commands.add_parser(
        "score",
        help="measure a model on a text",
        description="Bits per symbol and perplexity of a text, read from its beginning to its end. "
        "The first symbol is only read: nothing comes before it.",
    )
    made.add_argument(
        "model", type=name, metavar="MODEL", help="folder of a model that was trained"
    )
    made.add_argument("text", type=name, metavar="TEXT", help="a file, or - for what comes in")
    add_encoding(made)
    made.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the scores."""
    trained = Folder(args.model).load()
    kind = trained.vocabulary.kind
    with opened(args.text, args.encoding) as text:
        value, total, unknown = score(trained, text)
    if total < 2:
        raise CommandError(
            f"{args.text} has {total} {SINGULAR[kind]}{'s' * (total != 1)}; at least 2 are needed"
        )
    print(told_bits(value, kind))
    print(f"{total:,} {kind}, {unknown:,} of them unknown to the model")
    return 0


def score(trained: Trained, text: TextFile) -> tuple[float, int, int]:
    """Bits per symbol; how many symbols the text has, and how many of them are unknown."""
    vocabulary = trained.vocabulary
    with tempfile.TemporaryDirectory() as folder:
        ids = encoded(text, vocabulary, Path(folder, "ids.npy"))
        total = len(ids)
        if total < 2:
            return math.nan, total, 0
        unknown = vocabulary.unknown_id
        strange = 0 if unknown is None else int(counts(ids, len(vocabulary))[unknown])
        column = Windows(np.asanyarray(ids)[:, None], _STEPS)
        value = evaluate(trained.model, loss, column)["loss"] / math.log(2)
        del ids, column  # Windows removes no file that is mapped
    return value, total, strange
