"""``python -m tinygrad_rnn``: train a model of a text, have it write, measure it on other texts."""

from __future__ import annotations

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
