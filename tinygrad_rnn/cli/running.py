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


def run(command: str, work: Callable[[], int]) -> int:
    """The exit code of `work()`, with errors of the user's, of files and of memory told."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # whatever is written, the terminal takes it
    try:
        with np.errstate(all="ignore"):  # what comes of it is told in words
            code = work()
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        _drop_output()
        return BROKEN_PIPE
    except KeyboardInterrupt:
        return _told(command, "stopped", INTERRUPTED)
    except (CommandError, FileFormatError) as error:
        return _told(command, str(error))
    except MemoryError as error:
        return _told(command, f"not enough memory. {error}")
    except OSError as error:
        if error.filename is None:
            _drop_output()
        return _told(command, f"{error.filename or 'output'}: {error.strerror or error}")


def remark(text: str, quiet: bool = False) -> None:
    """Says something that isn't a result."""
    if not quiet:
        print(text, file=sys.stderr, flush=True)


def _told(command: str, message: str, code: int = FAILED) -> int:
    with suppress(OSError):
        remark(f"tinygrad_rnn {command}: {' '.join(message.split())}")
    return code


def _drop_output() -> None:
    """Leads stdout nowhere: what it still holds would fail again when Python ends."""
    with suppress(OSError, ValueError):
        handle: Any = os.open(os.devnull, os.O_WRONLY)
        os.dup2(handle, sys.stdout.fileno())
        os.close(handle)
