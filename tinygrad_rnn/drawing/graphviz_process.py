"""Run as a program of its own: DOT text from stdin is laid out and written to stdout.

It uses the Graphviz library that pygraphviz brings. Layout can't be interrupted from within, so it
runs in a process that can be ended from outside.
"""

from __future__ import annotations

import importlib
import sys


def main(file_format: str, *options: str) -> None:
    """Writes the picture of the DOT text on stdin to stdout."""
    pygraphviz = importlib.import_module("pygraphviz")
    graph = pygraphviz.AGraph(string=sys.stdin.buffer.read().decode("utf-8"))
    picture = graph.draw(format=file_format, prog="dot", args=" ".join(options))
    sys.stdout.buffer.write(picture)


if __name__ == "__main__":
    # The folder of this file, which Python put first, is no place to import from.
    del sys.path[0]
    main(*sys.argv[1:])
