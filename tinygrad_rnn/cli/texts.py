"""Texts as the commands take them: files of any size, pipes, and what is wrong with them."""

from __future__ import annotations

import math
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..data import TextFile, Vocabulary
from ..data.textfile import whole_words
from .running import CommandError

SINGULAR = {"characters": "character", "words": "word", "bytes": "byte"}
UNKNOWN = {"characters": "\N{REPLACEMENT CHARACTER}", "words": "<unk>", "bytes": None}
_STRETCH = 1 << 20


@contextmanager
def opened(path: str, encoding: str) -> Iterator[TextFile]:
    """A text, in a file of its own; "-" is stdin. A pipe is copied into a file first.

    Raises:
        CommandError: if it is a folder, empty, or, also later, not in its encoding.
        OSError: if it can't be read.
    """
    if path != "-" and os.path.isdir(path):
        raise CommandError(f"{path} is a folder, not a text")
    with tempfile.TemporaryDirectory() as folder:
        file = path
        if path == "-" or not os.path.isfile(path):
            file = os.path.join(folder, "text")
            with naming(file), open(file, "wb") as copy:
                _copy(path, copy)
        try:
            text = TextFile(file, encoding)
            yield text
            del text  # Windows removes no file that is mapped
        except ValueError as error:
            name = str(Path(file))  # as the messages of TextFile begin
            if not str(error).startswith(name):
                raise
            told = str(error).replace(name, path, 1).partition(". Name its encoding")
            remedy = ". Name its --encoding, or take a model of bytes, --kind bytes"
            raise CommandError(told[0] + (remedy if told[1] else "")) from None


def _copy(path: str, to: BinaryIO) -> None:
    if path == "-":
        if sys.stdin is None:
            raise CommandError("stdin is closed: there is no text to read from it")
        shutil.copyfileobj(sys.stdin.buffer, to)
    else:
        with open(path, "rb") as pipe:
            shutil.copyfileobj(pipe, to)


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Inside, an OSError that names no file, such as a full disk while writing, names this one."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def symbols_in(text: TextFile, kind: str) -> int:
    """How many symbols a text has."""
    if kind == "bytes":
        return len(text)
    return sum(
        len(piece.split()) if kind == "words" else len(piece) for piece in _pieces(text, kind)
    )


def beginning(text: TextFile, kind: str, count: int) -> Iterator[str]:
    """The first `count` symbols of a text, in pieces."""
    for piece in _pieces(text, kind):
        symbols = piece.split() if kind == "words" else piece
        yield " ".join(symbols[:count]) if kind == "words" else piece[:count]
        count -= len(symbols)
        if count <= 0:
            return


def _pieces(text: TextFile, kind: str) -> Iterator[str]:
    return whole_words(text.pieces()) if kind == "words" else text.pieces()


def encoded(text: TextFile, vocabulary: Vocabulary, path: Path) -> np.ndarray:
    """The numbers (L,) of a text's symbols, mapped into memory; for bytes it needs no file."""
    if vocabulary.kind == "bytes":
        return text.bytes
    with naming(path):
        return text.encode(vocabulary, path)


def counts(ids: np.ndarray, symbols: int) -> np.ndarray:
    """How often each of so many symbols stands in numbers (L,), of any length."""
    found = np.zeros(symbols, dtype=np.int64)
    for begin in range(0, len(ids), _STRETCH):
        found += np.bincount(ids[begin : begin + _STRETCH], minlength=symbols)
    return found


def bits(frequencies: np.ndarray, ids: np.ndarray) -> float:
    """The mean of -log2 p over numbers (L,), if each symbol always has its frequency.

    >>> bits(np.array([0.5, 0.25, 0.25]), np.array([0, 1]))
    1.5
    """
    return float(counts(ids, len(frequencies)) @ -np.log2(frequencies)) / len(ids)


def told_bits(value: float, kind: str) -> str:
    """Bits, as they are printed.

    >>> told_bits(2.0, "words")
    '2.000 bits per word, perplexity 4.00'
    """
    perplexity = math.inf if value > 1000 else 2**value
    return f"{value:.3f} bits per {SINGULAR[kind]}, perplexity {perplexity:,.2f}"
