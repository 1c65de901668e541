"""What the demos' command lines have in common."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tinygrad_rnn.cli.options import at_least, between, number

__all__ = [
    "MISSING", "at_least", "heading", "keep", "make_folder", "number", "parser", "positive", "read",
    "run",
]  # fmt: skip

BROKEN_PIPE = 128 + 13  # the exit code of a program that SIGPIPE has ended

MISSING = '{}. The demos need a few more packages: pip install -e ".[demo]"'


positive = between(0, math.inf)


def parser(script: str, description: str | None) -> argparse.ArgumentParser:
    """A parser with --seed and --out; `script` is the file's name without its ending."""
    made = argparse.ArgumentParser(
        usage=f"python demos/{script}.py [options]",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    number(made, "--seed", at_least(0), 0, "of all that is random")
    folder = Path(f"{script.replace('_', '-')}-out")
    made.add_argument("--out", type=Path, default=folder, metavar="DIR",
                      help=f"where to put what is made (default: {folder})")  # fmt: skip
    return made


def read(made: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options given, with the folder `out` made; one line and exit code 2 if they are wrong."""
    args = made.parse_args(arguments)
    make_folder(made, args)
    return args


def make_folder(made: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Makes the folder `out`; one line and exit code 2 if that can't be."""
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        made.error(f"can't make the directory {args.out}: {error.strerror}")


def keep(figures: dict[str, Any], args: argparse.Namespace) -> Path:
    """Writes figures.json: what was found, and with which options."""
    options = {k: str(v) if isinstance(v, Path) else v for k, v in vars(args).items()}
    path = args.out / "figures.json"
    text = json.dumps({"options": options, **figures}, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def heading(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


def run(main: Callable[[], Any]) -> None:
    """Calls `main` as a script does: whatever is printed, the console takes it; Ctrl-C is no error
    of the program's, nor is it one if nobody reads on, as in ``| head``."""
    sys.stdout.reconfigure(errors="replace")
    try:
        main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit("\nStopped.")
    except BrokenPipeError:
        # What is still to be printed would fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(BROKEN_PIPE)
