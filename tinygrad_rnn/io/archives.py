"""Zip archives from anywhere, in bounded memory: sizes are checked before anything is read."""

from __future__ import annotations

import zipfile
from typing import BinaryIO

import numpy as np

from ..core.errors import FileFormatError
from .reading import Budget, size_of

_READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1
_BLOCK = 1 << 20
_MANY = 0xFFFF  # stands for as many or more
_END = b"PK\x05\x06"
_END_SIZE = 22


class Archive:
    """The members of an open zip archive, by name.

    Args:
        file: the open file.
        budget: what all members together may ask for.

    Raises:
        FileFormatError: for members that overlap, that come twice, that are encrypted or
            compressed by a rare method, or that are larger than the budget.
    """

    def __init__(self, file: BinaryIO, budget: Budget) -> None:
        if file.read(2) != b"PK":
            raise FileFormatError("it isn't a zip archive, as files of this kind are")
        count = _count(file)
        self._zip = zipfile.ZipFile(file)
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in self._zip.infolist():
            self._check(member)
            budget.take(member.file_size, f"{member.filename[:100]!r}")
            self._members[member.filename] = member
        # A damaged entry may swallow those after it.
        if len(self._members) != count and min(len(self._members), count) < _MANY:
            raise FileFormatError(f"it has {len(self._members)} members of {count}: it was altered")
        if sum(m.compress_size for m in self._members.values()) > size_of(file):
            raise FileFormatError("its members overlap, or some are missing")

    def _check(self, member: zipfile.ZipInfo) -> None:
        stored = member.compress_type == zipfile.ZIP_STORED
        if member.filename in self._members:
            fault = "comes twice"
        elif member.compress_type not in _READABLE or member.flag_bits & _ENCRYPTED:
            fault = "is encrypted, or compressed by another method than deflate"
        elif stored and member.compress_size != member.file_size:
            fault = "has two sizes"
        else:
            return
        raise FileFormatError(f"the member {member.filename[:100]!r} {fault}")

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def names(self) -> list[str]:
        """The names of all members."""
        return list(self._members)

    def size(self, name: str) -> int:
        """The size of a member in bytes, unpacked."""
        return self._members[name].file_size

    def start(self, name: str, size: int) -> bytes:
        """The first `size` bytes of a member, or all if it is shorter."""
        with self._zip.open(self._members[name]) as stream:
            return stream.read(size)

    def read(self, name: str, skipped: int = 0) -> np.ndarray:
        """A member's bytes from a place on, as an array, checked by their sum."""
        array = np.empty(self.size(name) - skipped, np.uint8)
        done = 0
        with self._zip.open(self._members[name]) as stream:
            stream.read(skipped)
            # The sum is compared when the end is met.
            while block := stream.read(_BLOCK):
                array[done : done + len(block)] = np.frombuffer(block, np.uint8)
                done += len(block)
        if done != array.size:
            raise FileFormatError(f"the member {name[:100]!r} was cut short")
        return array


def _count(file: BinaryIO) -> int:
    """How many members an archive says that it has, in its last bytes."""
    file.seek(max(0, size_of(file) - _END_SIZE))
    end = file.read(_END_SIZE)
    if not end.startswith(_END):
        raise FileFormatError("it was cut short, or something follows its end")
    return int.from_bytes(end[10:12], "little")
