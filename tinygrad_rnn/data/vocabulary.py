"""The symbols of a text, and their numbers."""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..core.errors import ShapeError
from .counting import code_points, count_letters, count_words
from .textfile import TextFile, whole_words

KINDS = ("characters", "words", "bytes")


class Vocabulary:
    """The symbols of texts, numbered: the padding symbol first, the unknown one, then the others.

    Made by `from_text`; this constructor takes the symbols as they are.

    Args:
        symbols: in the order of their numbers: single characters, words without white space, or,
            for bytes, nothing: those are always all 256.
        kind: "characters", "words" (what white space separates) or "bytes" (of UTF-8).
        unknown: the symbol that stands for every one that isn't listed, such as "<unk>"; without
            it, those are an error.
        padding: a symbol that fills up sequences; it isn't part of any text, and `decode` leaves
            it out.

    Attributes:
        symbols: all of them, a tuple.
        kind, unknown, padding: as given.
        unknown_id, padding_id: their numbers, or None.

    Raises:
        ValueError: if a symbol occurs twice, or is none of that kind.

    >>> import tinygrad_rnn as tg
    >>> letters = tg.data.Vocabulary.from_text("abracadabra")
    >>> letters.encode("bad"), letters.decode([2, 0, 1])
    (array([1, 0, 3]), 'cab')
    """

    def __init__(
        self,
        symbols: Iterable[str] = (),
        *,
        kind: str = "characters",
        unknown: str | None = None,
        padding: str | None = None,
    ) -> None:
        if kind not in KINDS:
            raise ValueError(f"a vocabulary is of {', '.join(KINDS)}, got kind={kind!r}")
        self.kind, self.unknown, self.padding = kind, unknown, padding
        special = [s for s in (padding, unknown) if s is not None]
        given = [chr(b) for b in range(256)] if kind == "bytes" else list(symbols)
        _check(given, special, kind)
        self.symbols: tuple[str, ...] = (*special, *given)
        self.padding_id = None if padding is None else 0
        self.unknown_id = None if unknown is None else len(special) - 1
        self._first = len(special)
        self._numbers = {symbol: k for k, symbol in enumerate(self.symbols)}
        if padding is not None:
            del self._numbers[padding]
        if kind == "characters":
            self._table = self._code_points()

    @classmethod
    def from_text(
        cls,
        text: str | TextFile | Iterable[str] = (),
        kind: str = "characters",
        *,
        unknown: str | None = None,
        padding: str | None = None,
        least: int = 1,
        most: int | None = None,
    ) -> Vocabulary:
        """The vocabulary of a text: its symbols in the order of their code points.

        Args:
            text: a text, a `TextFile` (read in pieces, whatever its size), or several texts.
                Bytes need none.
            kind: "characters", "words" or "bytes".
            unknown, padding: see `Vocabulary`.
            least: how often a symbol must occur; rarer ones are unknown.
            most: how many symbols there may be, the most frequent ones (without unknown and
                padding); of equally frequent ones, those with the smaller code point.

        Raises:
            ValueError: if the text has no symbol, or some are left out with no unknown symbol to
                stand for them.

        >>> import tinygrad_rnn as tg
        >>> tg.data.Vocabulary.from_text("to be or not to be", "words", unknown="<unk>").symbols
        ('<unk>', 'be', 'not', 'or', 'to')
        """
        if kind not in ("characters", "words"):
            return cls(kind=kind, unknown=unknown, padding=padding)
        count = count_words if kind == "words" else count_letters
        counts = count(_pieces(text, kind))
        if unknown is not None:
            counts.pop(unknown, None)
        ranked = sorted(counts, key=lambda symbol: (-counts[symbol], symbol))
        kept = sorted(symbol for symbol in ranked[:most] if counts[symbol] >= least)
        if not kept:
            raise ValueError(f"a vocabulary of {kind} needs a text, and this one gives no symbol")
        if len(kept) < len(counts) and unknown is None:
            raise ValueError(
                f"{len(counts) - len(kept)} of {len(counts)} symbols are left out by least={least} "
                f"and most={most}: name an unknown symbol that stands for them, such as "
                "unknown='<unk>'"
            )
        return cls(kept, kind=kind, unknown=unknown, padding=padding)

    def __len__(self) -> int:
        return len(self.symbols)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.kind, self.symbols))

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} symbols, kind={self.kind!r})"

    def encode(self, text: str | bytes) -> np.ndarray:
        """The numbers (L,) of a text's symbols, int64.

        Raises:
            ValueError: naming the symbol that isn't listed, if there is no unknown symbol.
            TypeError: for bytes, unless the vocabulary is one of bytes.
        """
        if self.kind == "bytes":
            raw = text.encode() if isinstance(text, str) else bytes(text)
            return np.frombuffer(raw, np.uint8).astype(np.int64) + self._first
        if not isinstance(text, str):
            raise TypeError(
                f"a vocabulary of {self.kind} encodes text, got {type(text).__name__}: decode it "
                "first, or use kind='bytes'"
            )
        if self.kind == "words":
            words: Sequence[str] = text.split()
            ids = np.array([self._numbers.get(word, -1) for word in words], dtype=np.int64)
        else:
            words = text
            codes = code_points(text)
            ids = self._table[np.minimum(codes, len(self._table) - 1)]
        return self._known(ids, words)

    def decode(self, ids: Any) -> str:
        """The text of numbers (L,); padding is left out. Bytes that are no UTF-8 become "\ufffd".

        Raises:
            IndexError: for a number that no symbol has.
            ValueError: unless `ids` has one axis.
        """
        return "".join(self.decode_each(self._checked(ids)))

    def decode_each(self, ids: Iterable[int]) -> Iterator[str]:
        """What each number adds to the text, as soon as it can be shown; see `decode`.

        >>> import tinygrad_rnn as tg
        >>> words = tg.data.Vocabulary(["be", "or", "to"], kind="words")
        >>> list(words.decode_each([2, 0]))
        ['to', ' be']
        """
        if self.kind == "bytes":
            yield from self._decode_bytes(ids)
            return
        space = ""
        for k in ids:
            if k != self.padding_id:
                yield space + self.symbols[k]
                space = " " if self.kind == "words" else ""

    def to_dict(self) -> dict[str, Any]:
        """All there is to know, as what JSON can hold; `from_dict` takes it back."""
        symbols = [] if self.kind == "bytes" else list(self.symbols[self._first :])
        return {
            "kind": self.kind,
            "symbols": symbols,
            "unknown": self.unknown,
            "padding": self.padding,
        }

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> Vocabulary:
        """The vocabulary that `to_dict` has described.

        Raises:
            ValueError: if something is missing or of no use.

        >>> import json, tinygrad_rnn as tg
        >>> letters = tg.data.Vocabulary("abc")
        >>> tg.data.Vocabulary.from_dict(json.loads(json.dumps(letters.to_dict()))) == letters
        True
        """
        names = ("symbols", "kind", "unknown", "padding")
        if missing := [name for name in names if name not in description]:
            raise ValueError(f"a description of a vocabulary needs {', '.join(missing)} too")
        symbols, kind, unknown, padding = (description[name] for name in names)
        return cls(symbols, kind=kind, unknown=unknown, padding=padding)

    def _code_points(self) -> np.ndarray:
        """A table from code points to numbers; it translates millions of characters at once."""
        single = {ord(s): k for s, k in self._numbers.items() if len(s) == 1}
        table = np.full(max(single, default=0) + 2, -1, dtype=np.int64)
        table[list(single)] = list(single.values())
        return table

    def _known(self, ids: np.ndarray, words: Sequence[str]) -> np.ndarray:
        new = ids < 0
        if self.unknown_id is not None:
            return np.where(new, self.unknown_id, ids)
        if new.any():
            first = int(new.argmax())
            raise ValueError(
                f"{words[first]!r}, number {first} of the {self.kind}, isn't in the vocabulary of "
                f"{len(self)} symbols (and {int(new.sum()) - 1} more are not): make it from this "
                "text too, or name an unknown symbol, such as unknown='<unk>'"
            )
        return ids

    def _checked(self, ids: Any) -> list[int]:
        array = np.asarray(ids)
        if array.ndim != 1:
            raise ShapeError(f"decode takes numbers in one row, got the shape {array.shape}")
        if not array.size:
            return []
        if array.dtype.kind not in "iu":
            raise TypeError(f"decode takes whole numbers, got {array.dtype}")
        wrong = (array < 0) | (array >= len(self))
        if wrong.any():
            raise IndexError(
                f"no symbol has the number {array[wrong][0]}: there are {len(self)}, from 0 on"
            )
        return array.tolist()

    def _decode_bytes(self, ids: Iterable[int]) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        for k in ids:
            if k == self.unknown_id:
                yield decoder.decode(b"", final=True) + str(self.unknown)
            elif k != self.padding_id:
                yield decoder.decode(bytes([k - self._first]))
        yield decoder.decode(b"", final=True)


def _pieces(text: str | TextFile | Iterable[str], kind: str) -> Iterable[str]:
    if isinstance(text, TextFile):
        return text.pieces() if kind == "characters" else whole_words(text.pieces())
    return [text] if isinstance(text, str) else text


def _check(given: list[str], special: list[str], kind: str) -> None:
    """Raises ValueError for symbols that can't be told apart, or that no text of `kind` has."""
    for symbol in (*special, *given):
        if not isinstance(symbol, str) or not symbol:
            raise ValueError(f"a symbol is a text that isn't empty, got {symbol!r}")
    for symbol in given:
        if kind == "characters" and len(symbol) != 1:
            raise ValueError(f"a vocabulary of characters can't hold {symbol!r}: give kind='words'")
        if kind == "words" and symbol.split() != [symbol]:
            raise ValueError(f"a word has no white space, got {symbol!r}")
    listed = special if kind == "bytes" else [*special, *given]
    twice = [symbol for symbol, n in Counter(listed).items() if n > 1]
    if twice:
        raise ValueError(
            f"{twice[0]!r} would have two numbers; name an unknown or padding symbol that no text "
            "contains"
        )
