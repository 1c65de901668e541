"""``sample``: a model writes."""

from __future__ import annotations

import argparse
import math
import os
import sys
from typing import Any

import numpy as np

from ..data import Vocabulary
from ..train import stream
from .folder import Folder
from .options import at_least, between, name, number


def add_to(commands: Any) -> None:
    """Adds the command to the parser."""
    made = commands.add_parser(
        "sample",
        help="have a model write",
        description="Writes what the model would write after the prompt, symbol by symbol.",
    )
    made.add_argument(
        "model", type=name, metavar="MODEL", help="folder of a model that was trained"
    )
    made.add_argument(
        "--prompt", default="\n", metavar="TEXT", help="what is read first (default: a line's end)"
    )
    number(made, "--length", at_least(0), 500, "symbols to write")
    temperature = between(0, math.inf, low_too=True)
    number(made, "--temperature", temperature, 0.8, "below 1 careful, above 1 wild; 0: likeliest")
    number(made, "--top-k", at_least(1), None, "draw among the k likeliest symbols only")
    number(made, "--top-p", between(0, 1, high_too=True), None,
           "draw among the likeliest symbols only that have this probability together")  # fmt: skip
    number(made, "--seed", at_least(0), None, "the same seed writes the same")
    made.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Writes to stdout, each symbol as soon as it is there, and a line's end."""
    trained = Folder(args.model).load()
    written = stream(
        trained.model,
        prompt_ids(trained.vocabulary, args.prompt),
        args.length,
        temperature=args.temperature,
        top_k=args.top_k,
        top_p=args.top_p,
        seed=args.seed,
        vocabulary=trained.vocabulary,
    )
    for piece in written:
        sys.stdout.write(piece)
        sys.stdout.flush()
    sys.stdout.write("\n")
    return 0


def prompt_ids(vocabulary: Vocabulary, prompt: str) -> np.ndarray:
    """The numbers (L,) of a prompt; without a symbol in it, an end of line or an unknown one.

    >>> from tinygrad_rnn.data import Vocabulary
    >>> prompt_ids(Vocabulary(["a"], kind="words", unknown="<unk>"), "a b")
    array([1, 0])
    """
    # Bytes that are no text reach Python in a form that only fsencode takes back.
    raw: str | bytes = os.fsencode(prompt) if vocabulary.kind == "bytes" else prompt
    ids = vocabulary.encode(raw)
    if ids.size:
        return ids
    return (
        np.array([vocabulary.unknown_id]) if vocabulary.kind == "words" else vocabulary.encode("\n")
    )
