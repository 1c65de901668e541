"""Writing files whole: a reader sees what was there before or all that is new, nothing between."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

if sys.platform != "win32":
    import fcntl


def check_writable(path: Path) -> None:
    """Raises OSError if `path` can't be written, before any work is put into what to write."""
    if path.is_dir():
        code = errno.EISDIR
    elif path.exists() and not path.is_file():
        code = errno.EINVAL  # a device or a pipe, whose place no file should take
    elif not path.parent.exists():
        code = errno.ENOENT
    elif not path.parent.is_dir():
        code = errno.ENOTDIR
    elif not os.access(path if path.exists() else path.parent, os.W_OK):
        code = errno.EACCES
    else:
        return
    raise OSError(code, os.strerror(code), str(path))


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file at once: until all is written, `path` stays as it was."""
    with whole_file(path) as file:
        file.write(data)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write into that takes the place of `path` when the block ends without an error.

    It is on the disk by then. Whenever the process or the machine stops, `path` holds what it held
    before or all that is new. What a process that was killed has left beside it is cleared away by
    the next one that writes the same path.

    Raises:
        OSError: naming `path`, if it can't be written. It stays as it was.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "text")
    ...     with whole_file(path) as file:
    ...         _ = file.write(b"all")
    ...         print(path.exists())
    ...     path.read_bytes()
    False
    b'all'
    """
    check_writable(path)
    target = Path(os.path.realpath(path))  # a link stays a link
    try:
        _clear_abandoned(target)
        part, file = _claimed_part(target)
        try:
            with file:
                yield file
                file.flush()
                os.fsync(file.fileno())
                if target.exists():
                    shutil.copymode(target, part)
                if sys.platform == "win32":
                    file.close()  # an open file isn't renamed there
                part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        _sync_folder(target.parent)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def _prefix(target: Path) -> str:
    # Of fixed length, since the name of the target may be as long as names can be.
    return f".{zlib.crc32(os.fsencode(target.name)):08x}-"


def _claimed_part(target: Path) -> tuple[Path, BinaryIO]:
    """A new file beside `target`, locked for as long as it is open."""
    while True:
        part = target.with_name(f"{_prefix(target)}{os.urandom(6).hex()}.part")
        file = part.open("xb")
        with suppress(OSError):  # a file system without locks has nothing cleared away either
            _lock(file, wait=True)
        # Between its making and its locking it may have been taken for an abandoned one.
        if part.exists():
            return part, file
        file.close()


def _clear_abandoned(target: Path) -> None:
    """Removes what writers of `target` have left that were killed: parts that nobody locks."""
    if sys.platform == "win32":
        return
    for part in target.parent.glob(f"{_prefix(target)}*.part"):
        with suppress(OSError), part.open("rb") as file:
            _lock(file, wait=False)
            part.unlink(missing_ok=True)


def _lock(file: BinaryIO, wait: bool) -> None:
    if sys.platform != "win32":
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def _sync_folder(folder: Path) -> None:
    """Makes the new name last, where the system can do so for a folder."""
    if sys.platform == "win32":
        return
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
