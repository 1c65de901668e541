"""Sequences of different lengths in one array: padded, or packed without the padding.

A packed sequence holds step 0 of all sequences, then step 1 of those that have one, and so on, the
longest sequence first. Packing is one gather and padding one write, at places that `_places` finds
from the number of sequences at each step. What stands in the padding, NaN too, is never read.
"""

from __future__ import annotations

import numbers
import operator
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from ..core.errors import DtypeError, ShapeError
from ..core.primitive import is_tensor
from ..ops import concatenate, getitem, index_update, split
from ..tensor import asarray

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class _Fields(NamedTuple):
    data: Any
    batch_sizes: np.ndarray
    sorted_indices: np.ndarray | None
    unsorted_indices: np.ndarray | None


class PackedSequence(_Fields):
    """Sequences of different lengths without padding, step after step; a named tuple.

    Made by `pack_padded_sequence` and `pack_sequence`. From ``abc`` and ``x``, data is ``axbc`` and
    batch_sizes ``[2, 1, 1]``.

    Args:
        data: Tensor or ndarray, (S, ...) with S the sum of all lengths.
        batch_sizes: how many sequences have a step t, shape (T,), T the largest length. Without
            it, `data` is a pair (data, batch_sizes).
        sorted_indices: shape (N,), the sequence that stands in each place when the longest comes
            first; None if they came in that order.
        unsorted_indices: the inverse; by default made from `sorted_indices`.

    `batch_sizes` and the indices become int64 ndarrays.

    Raises:
        TypeError: if sizes or indices aren't integers.
        ValueError: if the sizes don't decrease to 1 or more, or don't sum to S; if the indices
            aren't permutations of N, or not each other's inverse.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> packed = tg.nn.utils.rnn.PackedSequence(np.array([1, 4, 6, 2, 5, 3]), [3, 2, 1])
    >>> packed.double().data
    array([1., 4., 6., 2., 5., 3.])
    """

    __slots__ = ()

    def __new__(
        cls,
        data: Any,
        batch_sizes: Any = None,
        sorted_indices: Any = None,
        unsorted_indices: Any = None,
    ) -> PackedSequence:
        if batch_sizes is None:
            if not isinstance(data, (tuple, list)) or len(data) != 2:
                raise TypeError(
                    "PackedSequence takes data and batch_sizes, or a pair of them; batch_sizes is "
                    "missing. pack_sequence and pack_padded_sequence make both"
                )
            data, batch_sizes = data
        data = asarray(data)
        sizes = _integers("PackedSequence: batch_sizes", batch_sizes)
        _check_batch_sizes(sizes, data)
        order, inverse = _checked_order(sorted_indices, unsorted_indices, int(sizes[0]))
        return super().__new__(cls, data, sizes, order, inverse)

    def to(self, dtype: Any) -> PackedSequence:
        """The same with data of another dtype, differentiably; itself if it has that dtype."""
        if self.data.dtype == np.dtype(dtype):
            return self
        return type(self)(self.data.astype(dtype), *self[1:])

    def double(self) -> PackedSequence:
        """``to(np.float64)``"""
        return self.to(np.float64)

    def float(self) -> PackedSequence:
        """``to(np.float32)``"""
        return self.to(np.float32)


def invert_permutation(permutation: Any) -> np.ndarray | None:
    """out[permutation[i]] = i, of integers (N,), as int64; None of None.

    Raises:
        TypeError: if `permutation` isn't of integers.
        ValueError: if it isn't one axis with each of 0 … N-1 once.

    >>> invert_permutation([2, 0, 1])
    array([1, 2, 0])
    """
    if permutation is None:
        return None
    order = _integers("invert_permutation: the permutation", permutation)
    places = np.arange(order.size)
    if not np.array_equal(np.sort(order), places):
        raise ValueError(
            f"invert_permutation: a permutation of {order.size} has each of 0 … {order.size - 1} "
            f"once, got {order}"
        )
    inverse = np.empty_like(order)
    inverse[order] = places
    return inverse


# Padded to packed and back


def pack_padded_sequence(
    input: Any, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """data = input[t, n] for each step t, for each sequence n longer than t, the longest first.

    Sequences of the same length keep their order. The gradient at the padding is zero.

    Args:
        input: Tensor or ndarray, (T, N, ...), or (N, T, ...) with `batch_first`.
        lengths: N integers from 1 to T (list, tuple, ndarray or Tensor). What lies beyond the
            largest is left out.
        enforce_sorted: whether lengths must decrease. If false, the sequences are sorted, and
            sorted_indices and unsorted_indices lead there and back.

    Returns:
        a PackedSequence: data (sum of lengths, ...), a Tensor if `input` is one.

    Raises:
        TypeError: if lengths aren't integers.
        ValueError: if they aren't N, not from 1 to T, or not sorted where they must be; if `input`
            is empty or has fewer than two axes.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> from tinygrad_rnn.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
    >>> seq = np.array([[1, 2, 0], [3, 0, 0], [4, 5, 6]])
    >>> packed = pack_padded_sequence(seq, [2, 1, 3], batch_first=True, enforce_sorted=False)
    >>> packed.data, packed.batch_sizes
    (array([4, 1, 3, 5, 2, 6]), array([3, 2, 1]))
    >>> packed.sorted_indices, packed.unsorted_indices
    (array([2, 0, 1]), array([1, 2, 0]))
    >>> seq_unpacked, lens_unpacked = pad_packed_sequence(packed, batch_first=True)
    >>> seq_unpacked
    array([[1, 2, 0],
           [3, 0, 0],
           [4, 5, 6]])
    >>> lens_unpacked
    array([2, 1, 3])
    """
    function = "pack_padded_sequence"
    x = _padded(function, input)
    if x.size == 0:
        raise ShapeError(
            f"{function}: Cannot pack empty tensors. The input has the shape {x.shape}"
        )
    counts = _lengths_of(function, lengths, x.shape, batch_first)
    order = _order(function, counts, enforce_sorted)
    batch_sizes = _batch_sizes(counts)
    time, sequence = _places(batch_sizes, order)
    data = getitem(x, (sequence, time) if batch_first else (time, sequence))
    return PackedSequence(data, batch_sizes, order)


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Any, np.ndarray]:
    """out[t, n] = step t of sequence n, padding_value beyond its end: `pack_padded_sequence` undone

    The sequences stand in the order they had before packing.

    Args:
        sequence: data (S, ...), N sequences.
        batch_first: whether the result is (N, T, ...) instead of (T, N, ...).
        padding_value: a number that the dtype of data can hold.
        total_length: T, at least the largest length, which is the default.

    Returns:
        the padded array, a Tensor if data is one, and the lengths, int64 of shape (N,).

    Raises:
        TypeError: if `sequence` isn't a PackedSequence, `total_length` not an integer, or
            `padding_value` not a number that the dtype can hold.
        ValueError: if `total_length` is less than the largest length.

    >>> import tinygrad_rnn as tg
    >>> packed = tg.nn.utils.rnn.pack_sequence([tg.Tensor([1.0, 2.0]), tg.Tensor([3.0])])
    >>> pad_packed_sequence(packed, padding_value=-1, total_length=3)
    (Tensor([[ 1.,  3.],
            [ 2., -1.],
            [-1., -1.]]), array([2, 1]))
    """
    function = "pad_packed_sequence"
    _check_packed(function, sequence)
    steps = len(sequence.batch_sizes)
    if total_length is not None:
        total_length = operator.index(total_length)
        if total_length < steps:
            raise ShapeError(
                f"{function}: Expected total_length to be at least the length of the longest "
                f"sequence in input, but got total_length={total_length} and max sequence length "
                f"being {steps}"
            )
        steps = total_length
    time, batch = _places(sequence.batch_sizes, sequence.sorted_indices)
    lengths = np.bincount(batch).astype(np.int64)
    places = (time, batch, steps, lengths.size)
    return _spread(function, sequence.data, places, batch_first, padding_value), lengths


def pack_like(padded: Any, packed: PackedSequence) -> PackedSequence:
    """data = the steps of `padded`, (T, N, ...), that `packed` has, in the same order."""
    time, sequence = _places(packed.batch_sizes, packed.sorted_indices)
    return packed._replace(data=getitem(padded, (time, sequence)))


# Lists of sequences


def pad_sequence(
    sequences: Iterable[Any],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Any:
    """out[t, n] = sequences[n][t], padding_value beyond its end (before its begin, on the left)

    Args:
        sequences: N arrays or Tensors (L_n, ...), equal in all axes but the first; dtypes promote
            as in NumPy.
        batch_first: whether the result is (N, T, ...) instead of (T, N, ...), T the largest length.
        padding_value: a number that the dtype can hold.
        padding_side: "right" or "left".

    Returns:
        shape (T, N, ...) or (N, T, ...); a Tensor if one of the sequences is.

    Raises:
        TypeError: if `sequences` can't be iterated over, or the dtype can't hold `padding_value`.
        ValueError: if there is no sequence, one has no axis or other trailing axes, or
            `padding_side` is neither.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> from tinygrad_rnn.nn.utils.rnn import pad_sequence
    >>> a, b, c = np.ones((25, 300)), np.ones((22, 300)), np.ones((15, 300))
    >>> pad_sequence([a, b, c]).shape
    (25, 3, 300)
    >>> pad_sequence([[1, 2, 3], [4]], batch_first=True, padding_value=-1, padding_side="left")
    array([[ 1,  2,  3],
           [-1, -1,  4]])
    """
    function = "pad_sequence"
    if padding_side not in ("left", "right"):
        raise ValueError(
            f"{function}: Expected padding_side to be one of left or right, but got "
            f"{padding_side!r}"
        )
    joined, lengths = _joined(function, sequences)
    steps = int(lengths.max())
    batch = np.repeat(np.arange(lengths.size), lengths)
    first = _starts(lengths) if padding_side == "right" else np.cumsum(lengths) - steps
    time = np.arange(batch.size) - first[batch]
    return _spread(function, joined, (time, batch, steps, lengths.size), batch_first, padding_value)


def unpad_sequence(padded_sequences: Any, lengths: Any, batch_first: bool = False) -> list[Any]:
    """out[n] = padded_sequences[:lengths[n], n]: `pad_sequence` undone

    Args:
        padded_sequences: (T, N, ...), or (N, T, ...) with `batch_first`; it isn't changed.
        lengths: N integers from 0 to T (list, tuple, ndarray or Tensor).

    Returns:
        N arrays (lengths[n], ...), Tensors if `padded_sequences` is one.

    Raises:
        TypeError: if lengths aren't integers.
        ValueError: if they aren't N, or not from 0 to T; if there are fewer than two axes.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> from tinygrad_rnn.nn.utils.rnn import pad_sequence, unpad_sequence
    >>> a, b, c = np.ones((25, 300)), np.ones((22, 300)), np.ones((15, 300))
    >>> unpadded_sequences = unpad_sequence(pad_sequence([a, b, c]), [25, 22, 15])
    >>> [u.shape for u in unpadded_sequences]
    [(25, 300), (22, 300), (15, 300)]
    """
    function = "unpad_sequence"
    x = _padded(function, padded_sequences)
    counts = _lengths_of(function, lengths, x.shape, batch_first)
    if (counts < 0).any():
        raise ShapeError(f"{function}: a length can't be negative, got {counts.min()}")
    batch = np.repeat(np.arange(counts.size), counts)
    time = np.arange(batch.size) - _starts(counts)[batch]
    return _cut(getitem(x, (batch, time) if batch_first else (time, batch)), counts)


def pack_sequence(sequences: Iterable[Any], enforce_sorted: bool = True) -> PackedSequence:
    """``pack_padded_sequence(pad_sequence(sequences), lengths)``, without the padding on the way

    Args:
        sequences: arrays or Tensors (L, ...) with L at least 1, equal in all axes but the first.
        enforce_sorted: whether their lengths must decrease; see `pack_padded_sequence`.

    Raises:
        TypeError: if `sequences` can't be iterated over.
        ValueError: if there is no sequence, one is empty, has no axis or other trailing axes, or
            they aren't sorted where they must be.

    >>> import numpy as np
    >>> a, b, c = np.array([1, 2, 3]), np.array([4, 5]), np.array([6])
    >>> pack_sequence([a, b, c])  # doctest: +NORMALIZE_WHITESPACE
    PackedSequence(data=array([1, 4, 6, 2, 5, 3]), batch_sizes=array([3, 2, 1]),
                   sorted_indices=None, unsorted_indices=None)
    """
    function = "pack_sequence"
    joined, lengths = _joined(function, sequences)
    order = _order(function, lengths, enforce_sorted)
    if joined.size == 0:
        raise ShapeError(f"{function}: Cannot pack empty tensors, of shape {joined.shape}")
    batch_sizes = _batch_sizes(lengths)
    time, sequence = _places(batch_sizes, order)
    data = getitem(joined, _starts(lengths)[sequence] + time)
    return PackedSequence(data, batch_sizes, order)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Any]:
    """out[n] = the steps of sequence n: `pack_sequence` undone

    Returns:
        N arrays (L_n, ...), Tensors if the data is one, in the order they had before packing.

    Raises:
        TypeError: if `packed_sequences` isn't a PackedSequence.

    >>> import numpy as np
    >>> unpack_sequence(pack_sequence([np.array([1, 2, 3]), np.array([4, 5]), np.array([6])]))
    [array([1, 2, 3]), array([4, 5]), array([6])]
    """
    _check_packed("unpack_sequence", packed_sequences)
    _, sequence = _places(packed_sequences.batch_sizes, packed_sequences.sorted_indices)
    # stable: within a sequence the steps keep their order
    by_sequence = getitem(packed_sequences.data, np.argsort(sequence, kind="stable"))
    return _cut(by_sequence, np.bincount(sequence))


# Where things stand


def _batch_sizes(lengths: np.ndarray) -> np.ndarray:
    """How many sequences have a step t."""
    return np.asarray((np.arange(lengths.max())[:, None] < lengths).sum(axis=1))


def _places(batch_sizes: np.ndarray, order: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """The step and the sequence of each element of a packed sequence."""
    time, slot = np.nonzero(np.arange(batch_sizes[0]) < batch_sizes[:, None])
    return time, slot if order is None else order[slot]


def _starts(lengths: np.ndarray) -> np.ndarray:
    """Where each sequence starts when they stand end to end."""
    return np.asarray(np.cumsum(lengths) - lengths)


def _order(function: str, lengths: np.ndarray, enforce_sorted: bool) -> np.ndarray | None:
    """The sequences, the longest first; None if they are in that order and have to be."""
    if (lengths <= 0).any():
        raise ShapeError(
            f"{function}: Length of all samples has to be greater than 0, but found an element in "
            f"'lengths' that is <= 0: sequence {np.argmin(lengths)} has {lengths.min()}. Leave out "
            "empty sequences before packing"
        )
    if not enforce_sorted:
        return np.argsort(-lengths, kind="stable")
    if (np.diff(lengths) > 0).any():
        raise ShapeError(
            f"{function}: `lengths` array must be sorted in decreasing order when `enforce_sorted` "
            f"is True, got {lengths}. You can pass `enforce_sorted=False`; what is unpacked or "
            "padded later has the order given here"
        )
    return None


def _spread(
    function: str,
    rows: Any,
    places: tuple[np.ndarray, np.ndarray, int, int],
    batch_first: bool,
    padding_value: Any,
) -> Any:
    """`rows` written at their (time, batch) of an array of (steps, sequences, ...) of padding."""
    time, batch, steps, count = places
    lead = (count, steps) if batch_first else (steps, count)
    padding = _padding(function, padding_value, rows.dtype)
    empty = np.full((*lead, *rows.shape[1:]), padding)
    return index_update(empty, (batch, time) if batch_first else (time, batch), rows)


def _cut(rows: Any, lengths: np.ndarray) -> list[Any]:
    """`rows` as one array for each length; none is left over after the last."""
    return split(rows, np.cumsum(lengths).tolist())[:-1]


# What is given


def _integers(what: str, value: Any) -> np.ndarray:
    """`value` as a new int64 array of one axis."""
    array = asarray(value)
    array = array.numpy() if is_tensor(array) else array
    if array.ndim != 1:
        raise ShapeError(f"{what} should have one axis, got the shape {array.shape}")
    if array.size and array.dtype.kind not in "iu":
        raise DtypeError(
            f"{what} should be integers, got {array.dtype}: convert with .astype(np.int64)"
        )
    return np.array(array, np.int64)


def _check_batch_sizes(sizes: np.ndarray, data: Any) -> None:
    if not sizes.size or sizes[-1] < 1 or (np.diff(sizes) > 0).any():
        raise ShapeError(
            "PackedSequence: batch_sizes (the number of sequences that have a step t, not their "
            f"lengths) should be 1 or more and never increase, got {sizes}"
        )
    if data.ndim == 0 or len(data) != sizes.sum():
        raise ShapeError(
            f"PackedSequence: batch_sizes {sizes} need {sizes.sum()} rows of data, got the shape "
            f"{data.shape}"
        )


def _checked_order(
    sorted_indices: Any, unsorted_indices: Any, count: int
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The order and its inverse, each made from the other if only one is given."""
    inverse = invert_permutation(sorted_indices)
    if unsorted_indices is not None:
        given = _integers("PackedSequence: unsorted_indices", unsorted_indices)
        if inverse is not None and not np.array_equal(inverse, given):
            raise ShapeError(
                "PackedSequence: unsorted_indices should be the inverse of sorted_indices, "
                f"{inverse}, got {given}; leave them out to have them made"
            )
        inverse = given
    order = invert_permutation(inverse)
    if order is not None and order.size != count:
        raise ShapeError(
            f"PackedSequence: {order.size} indices for {count} sequences (batch_sizes[0])"
        )
    return order, inverse


def _check_packed(function: str, sequence: Any) -> None:
    if not isinstance(sequence, PackedSequence):
        raise TypeError(
            f"{function} takes a PackedSequence, which pack_sequence and pack_padded_sequence make "
            f"(pad_sequence pads a list of sequences), got {type(sequence).__name__}"
        )


def _padded(function: str, input: Any) -> Any:
    """A batch of padded sequences, Tensor or ndarray."""
    if isinstance(input, PackedSequence):
        raise TypeError(
            f"{function} takes a padded array, got a PackedSequence, as pad_packed_sequence takes"
        )
    x = asarray(input)
    if x.ndim < 2:
        raise ShapeError(
            f"{function}: the input should be (time, batch, ...), or (batch, time, ...) with "
            f"batch_first=True, got the shape {x.shape}"
        )
    return x


def _lengths_of(
    function: str, lengths: Any, shape: tuple[int, ...], batch_first: bool
) -> np.ndarray:
    """The lengths of the sequences in an array of `shape`, none beyond its last step."""
    counts = _integers(f"{function}: 'lengths'", lengths)
    batch, time = shape[:2] if batch_first else (shape[1], shape[0])
    if counts.size != batch:
        hint = f" It fits the other axis: is batch_first={not batch_first} meant?"
        raise ShapeError(
            f"{function}: Expected `len(lengths)` to be equal to batch_size, but got "
            f"{counts.size} (batch_size={batch}, of the shape {shape} with "
            f"batch_first={batch_first})." + (hint if counts.size == time else "")
        )
    if (counts > time).any():
        raise ShapeError(
            f"{function}: a sequence of length {counts.max()} doesn't fit the {time} steps of the "
            f"input, of shape {shape} with batch_first={batch_first}"
        )
    return counts


def _joined(function: str, sequences: Any) -> tuple[Any, np.ndarray]:
    """All sequences end to end, and their lengths."""
    if isinstance(sequences, PackedSequence):
        raise TypeError(
            f"{function} takes a list of sequences, got a PackedSequence, as pad_packed_sequence "
            "and unpack_sequence take"
        )
    if not isinstance(sequences, Iterable):
        raise TypeError(
            f"{function}: Expected iterable for input sequences, but got arg of type: "
            f"{type(sequences).__name__}"
        )
    arrays = [asarray(sequence) for sequence in sequences]
    if not arrays:
        raise ShapeError(f"{function}: received an empty list of sequences")
    for n, array in enumerate(arrays):
        if array.ndim == 0 or array.shape[1:] != arrays[0].shape[1:]:
            raise ShapeError(
                f"{function}: sequences are (length, ...) and equal in all axes but the first; "
                f"number {n} has the shape {array.shape}, the first {arrays[0].shape}"
            )
    return concatenate(arrays), np.array([len(array) for array in arrays])


def _padding(function: str, value: Any, dtype: np.dtype[Any]) -> np.ndarray:
    """`value` in `dtype`; floating-point numbers may be rounded, nothing else may change."""
    if not isinstance(value, (numbers.Real, np.bool_)):
        raise DtypeError(f"{function}: padding_value should be a number, got {value!r:.60}")
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            cast = np.asarray(value).astype(dtype)
        fits = cast.item() == value or (dtype.kind == "f" and not np.isinf(cast))
    except (ValueError, OverflowError):
        fits = False
    if not fits:
        raise DtypeError(
            f"{function}: padding_value={value} can't be converted to {dtype}, the dtype of the "
            "sequences; convert them first, with .astype(np.float64)"
        )
    return cast
