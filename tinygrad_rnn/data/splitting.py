"""Training, validation and test data that don't know each other."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ..core.errors import ShapeError
from ..core.random import generator


def split(
    data: Any,
    fractions: Sequence[float],
    *,
    gap: int = 0,
    shuffle: bool = False,
    seed: int | np.random.Generator | None = None,
) -> tuple[Any, ...]:
    """Data in parts, such as (0.8, 0.1, 0.1) to train, to validate and to test.

    Without `shuffle`, parts follow each other, as a series needs it: what is forecast lies after
    what was learnt. Split a series first and cut windows from each part afterwards. Windows that
    are cut already overlap: for those of `sliding_windows` with stride 1, a gap of
    size + horizon - 1 keeps every part free of what another has seen.

    Args:
        data: an array or another sequence, such as a text; or a tuple of equally long ones, which
            are split alike.
        fractions: the share of each part, not more than 1 in all.
        gap: how many elements are left out between two parts.
        shuffle: for independent samples: elements are drawn at random.
        seed: a seed or generator for that; by default the generator of `tg.manual_seed`.

    Returns:
        The parts in the order of `fractions`; of a tuple, tuples. Without `shuffle`, parts of
        arrays are views.

    Raises:
        ValueError: for fractions that make no sense, a part that would be empty, or a gap beside
            `shuffle`.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> tg.data.split(np.arange(10), (0.5, 0.25, 0.25), gap=1)
    (array([0, 1, 2, 3]), array([5, 6]), array([8, 9]))
    >>> tg.data.split("abcdefgh", (0.75, 0.25))
    ('abcdef', 'gh')
    >>> tg.data.split(np.arange(4), (0.5, 0.5), shuffle=True, seed=0)
    (array([2, 0]), array([1, 3]))
    """
    members = data if isinstance(data, tuple) else (data,)
    total = _common_length(members)
    if shuffle and gap:
        raise ValueError("split: a gap separates neighbours, and shuffle=True leaves none")
    order = generator(seed).permutation(total) if shuffle else None
    parts = []
    for part in _cuts(total, fractions, operator.index(gap)):
        at = part if order is None else order[part]
        chosen = tuple(_pick(member, at) for member in members)
        parts.append(chosen if isinstance(data, tuple) else chosen[0])
    return tuple(parts)


def _cuts(total: int, fractions: Sequence[float], gap: int) -> list[slice]:
    """Where the parts lie."""
    shares = np.asarray(fractions, dtype=np.float64)
    if shares.ndim != 1 or not len(shares) or not (shares > 0).all() or shares.sum() > 1 + 1e-9:
        raise ValueError(
            f"split: fractions are above 0 and add up to 1 at most, got {fractions!r}; for "
            "training and validation, give both, such as (0.9, 0.1)"
        )
    if gap < 0:
        raise ValueError(f"split: a gap is not negative, got {gap}")
    left = total - gap * (len(shares) - 1)
    ends = np.rint(np.cumsum(shares) * max(left, 0)).astype(int).tolist()
    found = [
        slice(k * gap + begin, k * gap + end) for k, (begin, end) in enumerate(pairwise([0, *ends]))
    ]
    if any(part.stop <= part.start for part in found):
        raise ValueError(
            f"split: {total} elements with a gap of {gap} leave a part of {fractions!r} empty"
        )
    return found


def _pick(member: Any, at: Any) -> Any:
    if isinstance(at, slice):
        return member[at]
    if isinstance(member, np.ndarray):
        return member[at]
    chosen = [member[i] for i in at.tolist()]
    return "".join(chosen) if isinstance(member, str) else chosen


def _common_length(members: tuple[Any, ...]) -> int:
    lengths = {len(member) for member in members}
    if len(lengths) != 1:
        raise ShapeError(f"split: what is split alike must be equally long, got {sorted(lengths)}")
    return lengths.pop()
