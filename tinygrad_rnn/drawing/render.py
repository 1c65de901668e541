"""From DOT text to a picture, by Graphviz in a child process with a time limit; and to a file."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

INSTALL = 'pip install "tinygrad-rnn[draw]"'

PICTURES = ("svg", "png", "pdf")
TEXTS = ("dot", "gv", "mmd", "html")

# A PNG can't be enlarged afterwards: half again as many dots as a screen of old.
_OPTIONS = {"png": ["-Gdpi=144"]}


class NoGraphviz(Exception):
    """There is neither the program nor the library."""


class LayoutFailed(Exception):
    """Graphviz made no picture; the text says why, as the end of a sentence."""


def format_of(path: Path) -> str:
    """The format that a file's suffix asks for.

    Raises:
        ValueError: for an unknown suffix, naming the known ones.
    """
    suffix = path.suffix.lower().lstrip(".")
    if suffix not in PICTURES + TEXTS:
        known = ", ".join(f".{name}" for name in PICTURES + TEXTS)
        raise ValueError(f"no format is known for {str(path)!r}: its name should end in {known}")
    return suffix


def check_time_limit(seconds: object) -> None:
    """Raises unless it is a number of seconds, or None.

    Raises:
        ValueError: saying what it takes.
    """
    number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if seconds is not None and not (number and seconds > 0):  # type: ignore[operator]
        raise ValueError(f"time_limit= takes seconds, more than 0, or None, not {seconds!r}")


def lay_out(text: str, picture_format: str, time_limit: float | None) -> bytes:
    """The picture of a DOT text.

    Args:
        text: in the DOT language.
        picture_format: "svg", "png" or "pdf".
        time_limit: seconds after which Graphviz is stopped; None for no limit.

    Raises:
        NoGraphviz: if there is none.
        LayoutFailed: if it took too long or broke off.
    """
    import subprocess

    commands = _commands(picture_format)
    if not commands:
        raise NoGraphviz
    failure = ""
    for command in commands:
        try:
            done = subprocess.run(
                command, input=text.encode("utf-8"), capture_output=True, timeout=time_limit
            )
        except subprocess.TimeoutExpired:
            raise LayoutFailed(f"took longer than {time_limit:g} s") from None
        except OSError as error:
            failure = f"couldn't start ({error})"
            continue
        if done.returncode == 0 and done.stdout:
            return done.stdout
        failure = f"failed ({_last_line(done.stderr) or f'exit status {done.returncode}'})"
    raise LayoutFailed(failure)


def _commands(picture_format: str) -> list[list[str]]:
    """The ways to run Graphviz on this machine, best first."""
    options = _OPTIONS.get(picture_format, [])
    commands = []
    program = shutil.which("dot")
    if program:
        commands.append([program, f"-T{picture_format}", *options])
    if sys.executable and importlib.util.find_spec("pygraphviz"):
        runner = str(Path(__file__).with_name("graphviz_process.py"))
        commands.append([sys.executable, runner, picture_format, *options])
    return commands


def _last_line(stderr: bytes) -> str:
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip() if lines else ""
