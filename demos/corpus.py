"""Text that every machine has, split so that no held-out text is trained on; and its symbols."""

from __future__ import annotations

import hashlib
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import tinygrad_rnn as tg

# Tests, other people's packages, and tables that a program wrote: not prose of Python programmers.
SKIPPED = {
    "__pycache__", "dist-packages", "encodings", "ensurepip", "idle_test", "lib2to3",
    "pydoc_data", "site-packages", "test", "tests",
}  # fmt: skip

UNKNOWN = "\N{REPLACEMENT CHARACTER}"


class TextError(ValueError):
    """The text can't be used; the message says why and what to do."""


@dataclass(frozen=True)
class Corpus:
    """Training and held-out text, and how they were told apart.

    Attributes:
        training, held_out: the texts.
        source: where they are from, in words.
    """

    training: str
    held_out: str
    source: str


def standard_library(root: Path | None = None) -> dict[str, str]:
    """The text of the standard library's Python files, by path; of equal files, only the first."""
    root = root or Path(sysconfig.get_paths()["stdlib"])
    texts: dict[str, str] = {}
    seen = set()
    for path in sorted(root.rglob("*.py")):
        inner = path.relative_to(root)
        if SKIPPED.intersection(inner.parts) or path.name.startswith("_sysconfigdata"):
            continue
        text = _readable(path)
        digest = hashlib.sha256(text.encode()).digest()
        if text.strip() and digest not in seen:
            seen.add(digest)
            texts[inner.as_posix()] = text
    return texts


def _readable(path: Path) -> str:
    """The text of a file; empty if it is no text, or may not be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        return ""


def split_files(
    texts: dict[str, str], seed: int, held_out: float = 0.1
) -> tuple[list[str], list[str]]:
    """The names of the training files and of the held-out ones, in random order.

    Held-out files are taken until they hold the share `held_out` of all characters.
    """
    names = sorted(texts)
    order = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    sizes = np.cumsum([len(texts[name]) for name in order])
    count = int(np.searchsorted(sizes, held_out * sizes[-1])) + 1
    return order[count:], order[:count]


def from_library(seed: int) -> Corpus:
    """The standard library, split by file."""
    texts = standard_library()
    if len(texts) < 20:
        raise TextError(
            "this Python comes without the source of its standard library: give a text with --text"
        )
    training, held_out = split_files(texts, seed)
    return Corpus(
        "".join(texts[name] for name in training),
        "".join(texts[name] for name in held_out),
        f"Python's standard library: {len(training)} files to train on, {len(held_out)} held out",
    )


def from_file(path: Path, shortest: int) -> Corpus:
    """One file: its first 90 % to train on, its last 10 % held out.

    Raises:
        TextError: if it can't be read, or has fewer than `shortest` characters.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise TextError(f"can't read {path}: {error.strerror}") from error
    if len(text) < shortest:
        raise TextError(f"{path} has {len(text)} characters; at least {shortest} are needed")
    cut = len(text) * 9 // 10
    return Corpus(
        text[:cut], text[cut:], f"{path}: the first 90 % to train on, the last 10 % held out"
    )


@dataclass(frozen=True)
class Numbered:
    """A corpus as numbers.

    Attributes:
        vocabulary: of the training text; number 0 stands for all that is rare or new.
        training, validation, held_out: (L,) each.
    """

    vocabulary: tg.data.Vocabulary
    training: np.ndarray
    validation: np.ndarray
    held_out: np.ndarray


def numbered(text: Corpus) -> Numbered:
    """A corpus as numbers, the last 2 % of its training text kept for validation."""
    training, validation = tg.data.split(text.training, (0.98, 0.02))
    letters = vocabulary(training, least=max(2, len(training) // 400_000))
    return Numbered(letters, *map(letters.encode, (training, validation, text.held_out)))


def vocabulary(text: str, least: int, most: int = 4000) -> tg.data.Vocabulary:
    """The characters that occur at least so often; at most so many, the most frequent ones.

    Raises:
        TextError: if there are fewer than two.
    """
    try:
        made = tg.data.Vocabulary.from_text(text, unknown=UNKNOWN, least=least, most=most)
    except ValueError:  # there is none
        made = None
    if made is None or len(made) < 3:
        raise TextError("the text has fewer than two different characters that occur often")
    return made
