"""Text that every machine has, split so that no held-out text is trained on; and its symbols."""

from __future__ import annotations

import hashlib
import sysconfig
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

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


class Vocabulary:
    """The symbols of a text, numbered from 1; number 0 stands for all that are rare or new.

    Args:
        text: what will be trained on.
        least: how often a character must occur to be a symbol.
        most: how many there may be, the most frequent ones.

    >>> letters = Vocabulary("abracadabra", least=2)
    >>> letters.encode("bad").tolist(), letters.decode([2, 1])
    ([2, 1, 0], 'ba')
    """

    def __init__(self, text: str, least: int = 20, most: int = 4000) -> None:
        counts = Counter(text).most_common(most)
        self.symbols = [UNKNOWN, *sorted(symbol for symbol, n in counts if n >= least)]
        if len(self.symbols) < 3:
            raise TextError("the text has fewer than two different characters that occur often")
        # A table from code points to numbers translates millions of characters at once.
        codes = [ord(s) for s in self.symbols[1:]]
        self._table = np.zeros(max(codes, default=0) + 2, dtype=np.int64)
        self._table[codes] = np.arange(1, len(self.symbols))

    def __len__(self) -> int:
        return len(self.symbols)

    def encode(self, text: str) -> np.ndarray:
        """The numbers of the characters of `text`."""
        points = np.frombuffer(text.encode("utf-32-le", "replace"), dtype="<u4")
        return self._table[np.minimum(points, len(self._table) - 1)]

    def decode(self, numbers: Sequence[int] | np.ndarray | Iterator[int]) -> str:
        """The text of `numbers`."""
        return "".join(self.symbols[int(n)] for n in numbers)
