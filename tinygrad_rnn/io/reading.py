"""What all readers share: one error for whatever is wrong with a file, limits, and names."""

from __future__ import annotations

import errno
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..core.errors import FileFormatError

# Weights are hardly ever compressed to less than a thirtieth; small files may be.
_EXPANSION = 32
_SMALL = 64 << 20
_LONGEST_NAME = 4096

_FAULTS = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    OverflowError,
    RecursionError,
    NotImplementedError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)


@contextmanager
def reading(path: Path) -> Iterator[BinaryIO]:
    """The file at `path`, opened. Whatever goes wrong with its contents is one class of error.

    Raises:
        OSError: if the file can't be opened or read.
        FileFormatError: naming the file, if its contents are at fault.
    """
    with path.open("rb") as file:
        try:
            yield file
        except FileFormatError as error:
            raise FileFormatError(f"{path}: {error}") from None
        except ImportError:
            raise
        except _FAULTS as error:
            reason = str(error)[:200] or type(error).__name__
            raise FileFormatError(
                f"{path} was cut short or altered, or isn't what its name says: {reason}"
            ) from error
        except OSError as error:
            # Seeking to where a damaged table points.
            if error.errno not in (None, errno.EINVAL):
                raise
            raise FileFormatError(f"{path} was cut short or altered: {error}") from error


def size_of(file: BinaryIO) -> int:
    """The number of bytes in an open file."""
    return os.fstat(file.fileno()).st_size


class Budget:
    """How many bytes a file may still ask for.

    Args:
        file: an open file.
        limit: the bytes that it may ask for in all; None for 32 times its own size (or 64 MiB).
    """

    def __init__(self, file: BinaryIO, limit: int | None) -> None:
        self._limit = max(_SMALL, _EXPANSION * size_of(file)) if limit is None else limit
        self._left = self._limit

    def take(self, size: int, what: str) -> None:
        """Counts `size` bytes; raises FileFormatError if they are too many."""
        if size < 0 or size > self._left:
            raise FileFormatError(
                f"{what} asks for {size:,} bytes, which makes more than the limit of "
                f"{self._limit:,} for this file. If it is to be trusted, raise the limit= that is "
                "given for reading it"
            )
        self._left -= size


def name_fault(name: object) -> str:
    """What speaks against a name in a file of weights; nothing if it may be used."""
    if not isinstance(name, str):
        return f"is a {type(name).__name__}, not a str"
    if len(name) > _LONGEST_NAME:
        return f"is longer than {_LONGEST_NAME:,} characters"
    if name == "__metadata__":
        return "is where metadata stand"
    if any(character < " " or "\ud800" <= character <= "\udfff" for character in name):
        return "has control characters or half characters"
    if not name or name.startswith("/") or "\\" in name or ".." in name.split("/"):
        return "is empty or leads out of a folder"
    return ""


def check_read_name(name: str, known: object) -> None:
    """Raises FileFormatError for a name that no file of ours has, or that came before."""
    fault = name_fault(name)
    if isinstance(known, dict) and name in known:
        fault = "stands in the file twice"
    if fault:
        raise FileFormatError(f"the name {name[:100]!r} {fault}")
