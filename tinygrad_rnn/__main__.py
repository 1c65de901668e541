"""``python -m tinygrad_rnn``: train a model of a text, have it write, measure it on other texts."""

from __future__ import annotations

import sys


def start() -> int:
    """The exit code of the command that was typed; Ctrl-C is told by it, wherever it comes."""
    try:
        from .cli import main

        return main()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(start())
