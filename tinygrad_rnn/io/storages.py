"""The blocks of numbers behind PyTorch's tensors, and the strided windows that tensors are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.errors import FileFormatError
from .archives import Archive
from .reading import Budget

BFLOAT = "bfloat16"
_MOST_AXES = 64  # NumPy's
# dtype by the name of the storage's class, and by torch's own name
_STORAGES = {
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
    "HalfStorage": "f2",
    "BFloat16Storage": BFLOAT,
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
_TORCH = {"uint16": "u2", "uint32": "u4", "uint64": "u8"}
DTYPES: dict[str, str] = {
    **{f"torch {name}": dtype for name, dtype in (_STORAGES | _TORCH).items()},
    "torch.storage UntypedStorage": "u1",
}


def as_float32(halves: np.ndarray) -> np.ndarray:
    """bfloat16 numbers, given as unsigned integers: the upper halves of float32 numbers.

    >>> as_float32(np.array([0x3F80, 0xC000], np.uint16))
    array([ 1., -2.], dtype=float32)
    """
    return (halves.astype(np.uint32) << 16).view(np.float32)


class Storages:
    """The storages of an archive, each read once.

    Args:
        archive: a file that torch.save wrote.
        folder: its outermost folder, with a slash.
        budget: what all tensors together may ask for.
    """

    def __init__(self, archive: Archive, folder: str, budget: Budget) -> None:
        self._archive = archive
        self._folder = folder
        self._budget = budget
        self._read: dict[str, np.ndarray] = {}
        order = f"{folder}byteorder"
        self._big = order in archive and archive.start(order, 3) == b"big"

    def tensor(
        self, key: str, dtype: str, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]
    ) -> np.ndarray:
        """A copy of the window of a storage that a tensor is, in NumPy's usual order.

        Args:
            key: the storage's name.
            dtype: one of the values of `DTYPES`.
            offset: in elements, as are the strides.
            shape, stride: per axis.

        Raises:
            FileFormatError: if the window reaches out of the storage.
        """
        width = 2 if dtype == BFLOAT else np.dtype(dtype).itemsize
        size = self._size(key) // width
        if not _fits(size, offset, shape, stride):
            raise FileFormatError(
                f"a tensor of shape {shape}, strides {stride} and offset {offset} doesn't fit in "
                f"the storage {key!r} of {size:,} elements"
            )
        count = math.prod(shape)
        # One that repeats an element may be far larger than its storage.
        self._budget.take(count * (4 if dtype == BFLOAT else width), f"a tensor of shape {shape}")
        if not count:
            return np.empty(shape, np.float32 if dtype == BFLOAT else dtype)
        return self._window(key, dtype, offset, shape, stride)

    def _window(
        self, key: str, dtype: str, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]
    ) -> np.ndarray:
        stored = np.dtype("u2" if dtype == BFLOAT else dtype).newbyteorder(
            ">" if self._big else "<"
        )
        numbers = self._bytes(key)
        numbers = numbers[: numbers.size // stored.itemsize * stored.itemsize].view(stored)
        steps = [s * stored.itemsize for s in stride]
        window = np.lib.stride_tricks.as_strided(
            numbers[offset:], shape, steps, subok=False, writeable=False
        )
        if dtype == BFLOAT:
            return as_float32(np.array(window, order="C"))
        return np.array(window, stored.newbyteorder("="), order="C")

    def _place(self, key: str) -> str:
        place = f"{self._folder}data/{key}"
        if place not in self._archive:
            raise FileFormatError(f"the storage {key[:100]!r} is missing")
        return place

    def _size(self, key: str) -> int:
        return self._archive.size(self._place(key))

    def _bytes(self, key: str) -> np.ndarray:
        if key not in self._read:
            self._read[key] = self._archive.read(self._place(key))
        return self._read[key]


def _fits(size: int, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    """Whether a window stays inside a storage of `size` elements."""
    if len(shape) != len(stride) or min((offset, *shape, *stride)) < 0:
        return False
    last = offset + sum((n - 1) * s for n, s in zip(shape, stride, strict=True))
    return last < size or 0 in shape


def ints(values: Any) -> tuple[int, ...]:
    """A shape or strides as a tuple of integers.

    Raises:
        FileFormatError: for anything else.
    """
    if (
        type(values) is not tuple
        or len(values) > _MOST_AXES
        or not all(type(n) is int for n in values)
    ):
        raise FileFormatError("a tensor's shape or strides aren't a tuple of integers")
    return values
