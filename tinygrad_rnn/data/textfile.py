"""Texts that are larger than the memory they may take."""

from __future__ import annotations

import codecs
import operator
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

_PIECE = 1 << 20  # bytes


class Encoder(Protocol):
    """What a `TextFile` needs of a vocabulary."""

    kind: str

    def __len__(self) -> int: ...

    def encode(self, text: str | bytes) -> np.ndarray: ...


class TextFile:
    """A text file that is read where and when it's needed; of any size.

    Args:
        path: the file.
        encoding: how it is written.
        errors: "strict", or "replace" to read on where the encoding is broken.

    Attributes:
        bytes: (L,) uint8, the file mapped into memory, read-only: for a vocabulary of bytes
            without padding or unknown symbol, these are the numbers themselves.

    Raises:
        OSError: if the file can't be opened.
        ValueError: if it is empty, or the encoding unknown.

    >>> import pathlib, tempfile, tinygrad_rnn as tg
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "text.txt")
    ...     _ = path.write_text("abracadabra", encoding="utf-8")
    ...     text = tg.data.TextFile(path)
    ...     letters = tg.data.Vocabulary.from_text(text)
    ...     text.encode(letters, pathlib.Path(folder, "ids.npy"))[:4].tolist()
    [0, 1, 4, 0]
    """

    def __init__(
        self, path: str | os.PathLike[str], encoding: str = "utf-8", errors: str = "strict"
    ) -> None:
        self.path, self.encoding, self.errors = Path(path), encoding, errors
        try:
            codecs.lookup(encoding)
        except LookupError:
            raise ValueError(f"there is no encoding {encoding!r}; most texts are 'utf-8'") from None
        if not self.path.stat().st_size:
            raise ValueError(f"{self.path} is empty")
        self.bytes = np.memmap(self.path, dtype=np.uint8, mode="r")

    def __len__(self) -> int:
        """How many bytes it has."""
        return len(self.bytes)

    def __repr__(self) -> str:
        return f"TextFile({str(self.path)!r}, {len(self):,} bytes)"

    def pieces(self, size: int = _PIECE) -> Iterator[str]:
        """The text in pieces of about `size` bytes; no character is broken.

        Raises:
            ValueError: where the file isn't what its encoding says; the message tells the place.
        """
        size = operator.index(size)
        if size < 1:
            raise ValueError(f"a piece has at least 1 byte, got {size}")
        decoder = codecs.getincrementaldecoder(self.encoding)(self.errors)
        with self.path.open("rb") as file:  # pages of a map would stay in memory
            begin = 0
            while raw := file.read(size):
                yield self._decoded(decoder, raw, begin)
                begin += len(raw)
            yield self._decoded(decoder, b"", begin)

    def _decoded(self, decoder: Any, raw: bytes, begin: int) -> str:
        held = len(decoder.getstate()[0])  # bytes of a character that has begun before
        try:
            return decoder.decode(raw, final=not raw)
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{self.path} isn't {self.encoding}: {error.reason} at byte "
                f"{begin - held + error.start}. Name its encoding, read on with errors='replace', "
                "or use a vocabulary of bytes"
            ) from None

    def encode(self, vocabulary: Encoder, path: str | os.PathLike[str]) -> np.ndarray:
        """The numbers (L,) of the text's symbols, in a file of their own.

        Args:
            vocabulary: of characters or words; for bytes, `bytes` are the numbers.
            path: an .npy file to write. It is read twice, and never in memory as a whole.

        Returns:
            The file mapped into memory, read-only, of the smallest unsigned dtype that holds every
            number. `batchify` and `Windows` read from it only what they need.

        Raises:
            ValueError: for symbols that the vocabulary doesn't know.
            OSError: if the file can't be written; nothing is left behind.
        """
        path = Path(path)
        dtype = np.min_scalar_type(len(vocabulary) - 1)
        total = sum(len(ids) for ids in self._encoded(vocabulary))
        partial = path.with_name(path.name + ".part")
        try:
            with partial.open("wb") as file:
                np.lib.format.write_array_header_1_0(
                    file, {"descr": dtype.str, "fortran_order": False, "shape": (total,)}
                )
                for ids in self._encoded(vocabulary):
                    file.write(ids.astype(dtype).tobytes())
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
        return np.load(path, mmap_mode="r")

    def _encoded(self, vocabulary: Encoder) -> Iterator[np.ndarray]:
        if vocabulary.kind == "bytes":
            for begin in range(0, len(self), _PIECE):
                yield vocabulary.encode(self.bytes[begin : begin + _PIECE].tobytes())
            return
        pieces = self.pieces()
        for piece in whole_words(pieces) if vocabulary.kind == "words" else pieces:
            yield vocabulary.encode(piece)


def whole_words(pieces: Iterable[str]) -> Iterator[str]:
    """The same text in pieces that end where a word ends.

    >>> list(whole_words(["to b", "e or", " no", "t"]))
    ['to ', 'be ', 'or ', 'not']
    """
    begun: list[str] = []  # of a word, which has no end yet
    for piece in pieces:
        cut = len(piece)
        while cut and not piece[cut - 1].isspace():
            cut -= 1
        if cut:
            yield "".join(begun) + piece[:cut]
            begun.clear()
        begun.append(piece[cut:])
    if rest := "".join(begun):
        yield rest
