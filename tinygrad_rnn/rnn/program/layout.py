"""The lines of a program's functions."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence

import numpy as np

_WIDTH = 92  # of a line, before it is indented


class Function:
    """The lines of one function: a head, a loop over the steps, and what comes after."""

    def __init__(self) -> None:
        self.before: list[str] = []
        self.loop: list[str] = []
        self.after: list[str] = []
        self.iterated: dict[str, str] = {}  # what the loop goes over, by the name of one step's

    def over(self, name: str, expression: str | None = None) -> None:
        """Has the loop go over an array of all steps."""
        self.iterated.setdefault(name, expression or f"{name}_all")

    def reads(self, name: str) -> bool:
        """Whether a name stands in it."""
        word = re.compile(rf"\b{name}\b")
        return any(word.search(line) for line in (*self.before, *self.loop, *self.after))

    def text(self, head: list[str], backwards: bool) -> str:
        order = "[::-1]" if backwards else ""
        words = _words(self.loop)
        over = {name: array for name, array in self.iterated.items() if name in words}
        names = list(over) or ["_"]
        arrays = [f"{array}{order}" for array in over.values()] or ["range(T)"]
        lines = ["# all steps at once"]
        lines += _read(self.before, words | _words(self.after) | _words(arrays))
        lines += ["# step by step" + (", from the last to the first" if backwards else "")]
        lines += _loop_head(names, arrays)
        lines += [f"    {line}" for line in self.loop]
        lines += ["# all steps at once", *self.after]
        return "\n".join([*head, *(f"    {line}" for line in lines)])


def _words(lines: Iterable[str]) -> set[str]:
    return set(re.findall(r"[^\W\d]\w*", "\n".join(lines)))


def _read(lines: Sequence[str], wanted: set[str]) -> list[str]:
    """The lines without those that give a name which nothing reads."""
    wanted, kept = set(wanted), []
    for line in reversed(lines):
        name, sign, expression = line.partition(" = ")
        if not sign or not name.isidentifier():
            kept.append(line)
            wanted |= _words([line])
        elif name in wanted:
            kept.append(line)
            wanted |= _words([expression])
    return kept[::-1]


def _loop_head(names: list[str], arrays: list[str]) -> list[str]:
    """The line, or lines, with ``for … in …:``."""
    if len(names) == 1:
        return [f"for {names[0]} in {arrays[0]}:"]
    line = f"for {', '.join(names)} in zip({', '.join(arrays)}):"
    if len(line) <= _WIDTH:
        return [line]
    begin = laid_out("for (", names, ") in zip(", always=True)
    return [*begin, *laid_out("", arrays, "):", always=True)[1:]]


def laid_out(opening: str, items: Sequence[str], closing: str, always: bool = False) -> list[str]:
    """A list between brackets, in lines of its own if it is long."""
    line = opening + ", ".join(items) + closing
    if len(line) <= _WIDTH and not always:
        return [line]
    text = textwrap.wrap(", ".join(items), _WIDTH - 4, break_on_hyphens=False)
    return [opening, *(f"    {part}" for part in text), closing]


def tuple_of(items: Sequence[str]) -> str:
    """A tuple as text."""
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"


def ranges(rows: np.ndarray) -> str:
    """An index of rows as text."""
    cuts = np.flatnonzero(np.diff(rows) != 1) + 1
    runs = np.split(rows, cuts)
    return "np.r_[" + ", ".join(f"{run[0]}:{run[-1] + 1}" for run in runs) + "]"


def repeated(scale: np.ndarray) -> str:
    """A vector of a few runs of equal numbers as text."""
    cuts = np.flatnonzero(np.diff(scale) != 0) + 1
    runs = np.split(scale, cuts)
    values = ", ".join(repr(float(run[0])) for run in runs)
    lengths = ", ".join(str(len(run)) for run in runs)
    return f"np.repeat([{values}], [{lengths}]).astype(np.{scale.dtype.name})"
