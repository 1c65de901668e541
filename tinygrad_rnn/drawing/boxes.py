"""Which operations a view folds into one box, by the scopes they stand in."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from typing import NamedTuple

from ..core.context import step_number
from .options import Options
from .places import Path
from .records import GraphNode, Kind
from .steps import innermost_step

_MOST_NAMES = 8


class Box(NamedTuple):
    """What is folded into one.

    Attributes:
        kind: of the node that stands for it.
        path: of the scope; for a run over time, of the scope around its steps.
        backward: whether it holds what a backward pass made.
        part: tells boxes of one path apart.
    """

    kind: Kind
    path: Path
    backward: bool = False
    part: str = ""


class Chooser:
    """Finds the box of an operation; the outermost that is wanted."""

    def __init__(self, operations: Iterable[GraphNode], options: Options) -> None:
        self._options = options
        self._known: dict[tuple[Path, bool], Box | None] = {}
        paths = dict.fromkeys(node.scope for node in operations)
        check_patterns(paths, options)
        self._depth = options.depth or _depth(paths)
        self._gaps = self._all_gaps(paths) if options.steps is not None else {}

    def box(self, path: Path, backward: bool = False) -> Box | None:
        """The box of what stands in the scope `path`; None if it is drawn on its own."""
        key = path, backward
        if key not in self._known:
            self._known[key] = self._chosen(path, backward)
        return self._known[key]

    def _chosen(self, path: Path, backward: bool) -> Box | None:
        for length in range(1, len(path) + 1):
            prefix = path[:length]
            part = self._gaps.get(prefix)
            if part is not None:
                return Box("elided", prefix[:-1], backward, part)
            kind = self._kind(prefix, path)
            if kind == "rolled" and not self._open(prefix[:-1]):
                return Box(kind, prefix[:-1], backward)
            if kind is not None and kind != "rolled" and not self._open(prefix):
                return Box(kind, prefix, backward)
        return None

    def _kind(self, prefix: Path, path: Path) -> Kind | None:
        """As what the view, or a pattern, folds the scope `prefix` around `path`; None if not."""
        view, is_step = self._options.view, step_number(prefix[-1]) is not None
        if self._collapsed(prefix):
            return "cell" if is_step else "module"
        if view in ("cells", "backward") and is_step and prefix == innermost_step(path):
            return "cell"
        if view == "rolled" and is_step:
            return "rolled"
        if view == "modules" and len(prefix) >= self._depth:
            return "cell" if is_step else "module"
        return None

    def _collapsed(self, path: Path) -> bool:
        return _matches(path, self._options.collapse)

    def _open(self, path: Path) -> bool:
        return _matches(path, self._options.expand)

    def _all_gaps(self, paths: Iterable[Path]) -> dict[Path, str]:
        """The steps that are left out, each with the name of its stretch."""
        runs: dict[Path, set[str]] = {}
        for path in paths:
            for place, name in enumerate(path):
                if step_number(name) is not None:
                    runs.setdefault(path[:place], set()).add(name)
        found: dict[Path, str] = {}
        for run, names in runs.items():
            for stretch in self._stretches(run, sorted(names, key=_number)):
                part = f"{stretch[0]}…{_number(stretch[-1])}"
                found.update(((*run, name), part) for name in stretch)
        return found

    def _stretches(self, run: Path, names: list[str]) -> list[list[str]]:
        """The steps between the first and the last ones, cut where one of them is wanted open."""
        shown = self._options.steps
        assert shown is not None
        if len(names) <= 2 * shown + 1:
            return []
        stretches: list[list[str]] = [[]]
        for name in names[shown:-shown]:
            if self._open((*run, name)):
                stretches.append([])
            else:
                stretches[-1].append(name)
        return [stretch for stretch in stretches if stretch]


def _depth(paths: Collection[Path]) -> int:
    """The least depth at which there are several scopes."""
    deepest = max(map(len, paths), default=1)
    for depth in range(1, deepest):
        if len({path[:depth] for path in paths if len(path) >= depth}) > 1:
            return depth
    return max(deepest, 1)


def _number(name: str) -> int:
    number = step_number(name)
    assert number is not None
    return number


def check_patterns(paths: Iterable[Path], options: Options) -> None:
    """Complains about a name that no scope has.

    Raises:
        ValueError: naming those that there are.
    """
    if not options.collapse and not options.expand:
        return
    names = list(dict.fromkeys(".".join(p[:k]) for p in paths for k in range(len(p) + 1)))
    for keyword in ("collapse", "expand"):
        for pattern in getattr(options, keyword):
            if not any(fnmatchcase(name, pattern) for name in names):
                known = [repr(name) for name in names if name]
                more = ", …" if len(known) > _MOST_NAMES else ""
                there = (
                    f"there are {', '.join(known[:_MOST_NAMES])}{more}"
                    if known
                    else ('the graph has none, and "with tg.scope(name):" makes one')
                )
                raise ValueError(f"{keyword}={pattern!r} is the name of no scope; {there}")


def _matches(path: Path, patterns: Iterable[str] | None) -> bool:
    name = ".".join(path) if patterns else ""
    return any(fnmatchcase(name, pattern) for pattern in patterns or ())
