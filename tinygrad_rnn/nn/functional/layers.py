"""What layers without recurrence compute: products, tables of vectors, masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import ops
from ...core.errors import DtypeError, ShapeError
from ...ops import linear
from ...ops.regularisation import check_probability
from ...tensor import Tensor, as_tensor, asarray

__all__ = [
    "dropout",
    "embedding",
    "linear",
    "one_hot",
    "pad",
]


def dropout(
    input: Any,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: np.random.Generator | int | None = None,
) -> Any:
    """out = x · m / (1 - p), each m being 0 with probability p, else 1; not training, out = x

    Args:
        input: any shape.
        p: probability of dropping an element, 0 … 1.
        training: whether to drop at all.
        rng: generator or seed; the library's default generator if None.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.functional.dropout(tg.Tensor([1.0, 2.0, 3.0, 4.0]), 0.5, rng=1)
    Tensor([2., 4., 0., 8.])
    """
    check_probability(p)
    return ops.dropout(asarray(input), p, rng) if training else input


def embedding(input: Any, weight: Any, padding_idx: int | None = None) -> Any:
    """out = weight[input]: the rows of `weight` (V, E) at integers (...) -> (..., E)

    The row `padding_idx` gets no gradient.

    Raises:
        TypeError: if `input` isn't of integers.
        IndexError: if an integer is negative or not below V.
        ValueError: if `padding_idx` is no row.

    >>> import tinygrad_rnn as tg
    >>> table = tg.Tensor([[0.0, 0.5], [1.0, 1.5]], requires_grad=True)
    >>> tg.nn.functional.embedding([1, 0, 1], table, padding_idx=0).sum().backward()
    >>> table.grad
    Tensor([[0., 0.],
            [2., 2.]])
    """
    rows = ops.embedding(input, weight)
    if padding_idx is None:
        return rows
    count = weight.shape[0]
    if not -count <= padding_idx < count:
        raise ValueError(
            f"embedding: padding_idx must be within the {count} rows of weight, got {padding_idx}"
        )
    if not isinstance(rows, Tensor):
        return rows
    ids = as_tensor(input).data
    return ops.where(np.expand_dims(ids == padding_idx % count, -1), rows.detach(), rows)


def one_hot(tensor: Any, num_classes: int = -1) -> Any:
    """out = 1 at the integer of each element, else 0: integers (...) -> (..., num_classes)

    Args:
        tensor: integers from 0.
        num_classes: how many classes; -1 for one more than the largest integer.

    Returns:
        integers, which have no gradient; a Tensor for a Tensor.

    Raises:
        TypeError: if `tensor` isn't of integers.
        ValueError: if an integer is no class, or there is none to count classes from.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.functional.one_hot([0, 2, 1])
    array([[1, 0, 0],
           [0, 0, 1],
           [0, 1, 0]])
    """
    given = asarray(tensor)
    ids = as_tensor(given).data
    if ids.dtype.kind not in "iu":
        raise DtypeError(f"one_hot: needs integers, got {ids.dtype}; convert with .astype(int)")
    if num_classes == -1:
        if not ids.size:
            raise ValueError("one_hot: no integer to tell the number of classes; give num_classes")
        num_classes = int(ids.max()) + 1
    if num_classes < 1:
        raise ValueError(f"one_hot: num_classes must be positive or -1, got {num_classes}")
    if ids.size and (ids.min() < 0 or ids.max() >= num_classes):
        wrong = ids[(ids < 0) | (ids >= num_classes)].flat[0]
        raise ValueError(f"one_hot: {wrong} is no class (0 … {num_classes - 1})")
    out = (np.expand_dims(ids, -1) == np.arange(num_classes)).astype(np.int64)
    return as_tensor(out) if isinstance(given, Tensor) else out


def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """out = input with more elements at the ends of its last axes

    Args:
        input: any shape.
        pad: how many before and after on the last axis, then on the last but one, and so on.
            With "constant", a negative number cuts off.
        mode: "constant", "reflect" (mirrored at the last element, which isn't repeated),
            "replicate" (the last element) or "circular" (from the other end).
        value: for "constant"; 0 by default.

    Raises:
        ValueError: if `pad` doesn't fit the shape, or the mode is unknown.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> tg.nn.functional.pad(np.array([[1, 2, 3]]), (2, 1), mode="reflect")
    array([[3, 2, 1, 2, 3, 2]])
    """
    x = asarray(input)
    if len(pad) % 2 or len(pad) > 2 * x.ndim:
        raise ShapeError(
            f"pad: needs a pair (before, after) for each of the last axes, at most {x.ndim} pairs "
            f"for the shape {x.shape}, got {tuple(pad)}"
        )
    if mode not in _PADDING:
        raise ValueError(f"pad: mode is one of {', '.join(map(repr, _PADDING))}, got {mode!r}")
    if value is not None and mode != "constant":
        raise ValueError(f"pad: mode {mode!r} takes no value, got {value!r}")
    pairs = [(int(a), int(b)) for a, b in zip(pad[::2], pad[1::2], strict=True)]
    pairs = [(0, 0)] * (x.ndim - len(pairs)) + pairs[::-1]
    for size, pair in zip(x.shape, pairs, strict=True):
        _check_padding(size, pair, mode)
    if mode != "constant":
        return ops.pad(x, pairs, mode=_PADDING[mode])
    if min((n for pair in pairs for n in pair), default=0) < 0:
        cuts = zip(x.shape, pairs, strict=True)
        x = x[tuple(slice(max(-a, 0), size - max(-b, 0)) for size, (a, b) in cuts)]
        pairs = [(max(a, 0), max(b, 0)) for a, b in pairs]
    return ops.pad(x, pairs, mode="constant", constant_values=0 if value is None else value)


# PyTorch's modes, NumPy's names for them
_PADDING: dict[str, Any] = {
    "constant": "constant",
    "reflect": "reflect",
    "replicate": "edge",
    "circular": "wrap",
}


def _check_padding(size: int, pair: tuple[int, int], mode: str) -> None:
    """Raises unless an axis of `size` can be padded so."""
    if mode == "constant":
        fits = size + sum(min(n, 0) for n in pair) >= 0
    else:
        most = {"reflect": size - 1, "circular": size}.get(mode, max(pair) if size else 0)
        fits = all(0 <= n <= most for n in pair)
    if not fits and any(pair):
        raise ShapeError(f"pad: an axis of size {size} can't be padded by {pair} in mode {mode!r}")
