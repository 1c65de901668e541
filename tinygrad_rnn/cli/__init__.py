"""The command line: ``python -m tinygrad_rnn train | sample | score``, see docs/command_line.md."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from . import sample, score, train
from .running import run, settle_streams

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command, and returns its exit code.

    Args:
        arguments: as given after ``python -m tinygrad_rnn``; by default the process's own.

    Raises:
        SystemExit: from argparse, for --help (0) and wrong usage (2).
    """
    settle_streams()
    args = parser().parse_args(arguments)
    return run(args.command, lambda: int(args.run(args)))


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    made = argparse.ArgumentParser(
        prog="python -m tinygrad_rnn",
        description="Recurrent models of text: train one, have it write, measure it.",
        epilog="Exit codes: 0 done, 1 an error that is named on stderr, 2 wrong usage, "
        "130 stopped by Ctrl-C, 141 nobody reads the output any more.",
    )
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (train, sample, score):
        command.add_to(commands)
    return made
