"""How a command ends: its exit code, and one line on stderr if something is wrong."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from ..core.errors import FileFormatError

FAILED, INTERRUPTED, BROKEN_PIPE = 1, 130, 141  # as shells count: 128 + SIGINT, 128 + SIGPIPE


class CommandError(Exception):
    """Something that whoever typed the command can put right; the message says what."""


def settle_streams() -> None:
    """Puts nothing in the place of streams that were closed: a file that is opened later would get
    their numbers, and `print` would write to stdout what is meant for stderr."""
    if None in (sys.stdin, sys.stdout, sys.stderr):
        while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass
        os.close(handle)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  as long as the process lives


def run(command: str, work: Callable[[], int]) -> int:
    """The exit code of `work()`, with errors of the user's, of files and of memory told."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # whatever is written, the terminal takes it
    try:
        with np.errstate(all="ignore"):  # what comes of it is told in words
            if sys.stdout is None:
                raise CommandError("stdout is closed: there is no place for the results")
            code = work()
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        _drop(sys.stdout)
        return BROKEN_PIPE
    except KeyboardInterrupt:
        return _told(command, "stopped", INTERRUPTED)
    except (CommandError, FileFormatError) as error:
        return _told(command, str(error))
    except MemoryError as error:
        return _told(command, f"not enough memory. {error}")
    except OSError as error:
        if error.filename is None:
            _drop(sys.stdout)
        return _told(command, f"{error.filename or 'output'}: {error.strerror or error}")


def remark(text: str, quiet: bool = False) -> None:
    """Says something that isn't a result. If it can't be said, the work goes on."""
    if quiet:
        return
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        _drop(sys.stderr)


def _told(command: str, message: str, code: int = FAILED) -> int:
    remark(f"tinygrad_rnn {command}: {' '.join(message.split())}")
    return code


def _drop(stream: Any) -> None:
    """Leads a stream nowhere: what it still holds would fail again when Python ends."""
    with suppress(OSError, ValueError):
        number = stream.fileno()
        handle = os.open(os.devnull, os.O_WRONLY)
        os.dup2(handle, number)
        os.close(handle)
