"""Counted models of text: what a network has to beat.

A character's probability after a context of n - 1 characters is its share among the characters that
followed this context in the training text. Every count is lowered by a discount d, and what that
frees goes to the next shorter context, down to "all symbols are equally likely":

    p(c | context) = (max(n(context c) - d, 0) + d · kinds(context) · p(c | shorter)) / n(context)

where n counts and kinds(context) is how many different characters followed. For the shorter
contexts, n counts not how often a string occurs but after how many different characters.

Source: Kneser & Ney 1995, "Improved backing-off for m-gram language modeling", interpolated; with
their discount d = n1 / (n1 + 2 n2), from how many strings are counted once, and twice.
"""

from __future__ import annotations

import numpy as np


class Counts:
    """How often each string occurs, and what followed its context, the string without its end.

    Strings of symbols are written as numbers in base `size`; only those that occur are stored.

    Args:
        strings: one number for each occurrence.
        size: how many symbols there are.
    """

    def __init__(self, strings: np.ndarray, size: int) -> None:
        self.size = size
        self.strings, self.times = np.unique(strings, return_counts=True)
        self.contexts, first = np.unique(self.strings // size, return_index=True)
        self.totals = np.add.reduceat(self.times, first)
        self.kinds = np.diff(first, append=len(self.strings))
        once, twice = np.sum(self.times == 1), np.sum(self.times == 2)
        self.discount = float(once / (once + 2 * twice)) if once else 0.5

    def smoothed(self, strings: np.ndarray, shorter: np.ndarray) -> np.ndarray:
        """The probability of each string's end after its context, given the shorter one's."""
        times = _look_up(self.strings, self.times, strings)
        totals = _look_up(self.contexts, self.totals, strings // self.size)
        kinds = _look_up(self.contexts, self.kinds, strings // self.size)
        kept = np.maximum(times - self.discount, 0) + self.discount * kinds * shorter
        return np.where(totals > 0, kept / np.maximum(totals, 1), shorter)


def _look_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The values of the `wanted` keys, which are sorted; 0 for those that are not there."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, values[places], 0)


class NGram:
    """A model of strings of up to `order` symbols, counted in a training text.

    Args:
        ids: the training text, as numbers below `size`; size to the power of `order` must stay
            below 2⁶³.
        order: 1 for a unigram model, 2 for bigrams, ...
        size: how many symbols there are.
    """

    def __init__(self, ids: np.ndarray, order: int, size: int) -> None:
        self.order = order
        self.size = size
        strings = np.zeros(len(ids) - order + 1, dtype=np.int64)
        for k in range(order):
            strings = strings * size + ids[k : k + len(strings)]
        self.counts = [Counts(strings, size)]  # the longest strings come last
        for length in range(order - 1, 0, -1):
            endings = self.counts[0].strings % size**length
            self.counts.insert(0, Counts(endings, size))

    def probability(self, strings: np.ndarray) -> np.ndarray:
        """The probability of the last symbol of each row of `strings`, after those before it."""
        codes = np.zeros(strings.shape[:-1], dtype=np.int64)
        p = np.full(strings.shape[:-1], 1 / self.size)
        for k, counts in enumerate(self.counts):
            codes = codes + strings[..., -1 - k] * self.size**k
            p = counts.smoothed(codes, p)
        return p

    def bits_per_character(self, ids: np.ndarray, positions: np.ndarray) -> float:
        """The mean of -log2 p over the characters of `ids` at `positions`, after their contexts."""
        contexts = positions[..., None] + np.arange(1 - self.order, 1)
        return float(-np.log2(self.probability(ids[contexts])).mean())
