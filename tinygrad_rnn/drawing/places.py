"""Where in a picture a scope is: each call of a layer is a box of its own."""

from __future__ import annotations

from collections.abc import Iterable

from ..core.context import Scope, step_number

Path = tuple[str, ...]


class Places:
    """Gives each scope its path of names, told apart where the same name was entered again.

    A layer that is called twice is ``lstm`` and ``lstm#2``. A scope that is entered again for the
    next time step, ``with scope("lower"), scope("t=1"):``, goes on as it was. A time step that is
    entered again right after itself is the same step; if others came between, a second run over
    time has begun, and stands in a box of its own, ``l0#2``.

    Args:
        scopes: all scopes of a graph, in the order of its nodes.
    """

    def __init__(self, scopes: Iterable[Scope]) -> None:
        self._paths: dict[int, Path] = {}
        self._calls: dict[tuple[Path, str], int] = {}
        self._runs: dict[Path, _Run] = {}
        self._kept = list({id(scope): scope for scope in scopes}.values())
        # What a backward pass made stands in the place of what it differentiates.
        self._twins = {
            id(scope._reverse): scope
            for inner in self._kept
            for scope in _outwards(inner)
            if scope._reverse is not None
        }
        for scope in self._kept:
            self.path(scope)

    def path(self, scope: Scope) -> Path:
        """The names from the outermost box to that of `scope`."""
        unknown: list[Scope] = []
        for here in _outwards(scope):
            if id(here) in self._paths:
                break
            unknown.append(here)
        while unknown:
            here = unknown.pop()
            self._paths[id(here)] = self._new(here, unknown)
        return self._paths[id(scope)]

    def _new(self, scope: Scope, inner: list[Scope]) -> Path:
        """The path of a scope; `inner` are those entered in it first, the innermost first."""
        if scope.parent is None:
            return ()
        twin = self._twins.get(id(scope))
        if twin is not None:
            return self.path(twin)
        parent = self._paths[id(scope.parent)]
        step = step_number(scope.name)
        if step is not None:
            run = self._runs.setdefault(parent, _Run())
            run.enter(step)
            return (*_numbered(parent, run.number), scope.name)
        latest = self._latest(parent, scope.name)
        if latest is not None and self._continues(latest, inner):
            return latest
        self._calls[parent, scope.name] = self._calls.get((parent, scope.name), 0) + 1
        path = self._latest(parent, scope.name)
        assert path is not None
        return path

    def _latest(self, parent: Path, name: str) -> Path | None:
        """The path of the latest call of what is called `name`; None before the first."""
        count = self._calls.get((parent, name), 0)
        if not count:
            return None
        return (*parent, name if count == 1 else f"{name}#{count}")

    def _continues(self, path: Path, inner: list[Scope]) -> bool:
        """Whether what is entered in `path` is the next step of a run there, or begins one."""
        here: Path | None = path
        for scope in reversed(inner):
            step = step_number(scope.name)
            if step is not None:
                return here is None or (here in self._runs and self._runs[here].lacks(step))
            here = None if here is None else self._latest(here, scope.name)
        return False


class _Run:
    """The runs over time in one place, of which one is under way."""

    def __init__(self) -> None:
        self.number = 1
        self._seen: set[int] = set()
        self._latest: int | None = None

    def lacks(self, step: int) -> bool:
        return step not in self._seen

    def enter(self, step: int) -> None:
        if step in self._seen and step != self._latest:
            self.number += 1
            self._seen.clear()
        self._seen.add(step)
        self._latest = step


def _numbered(parent: Path, run: int) -> Path:
    if run == 1:
        return parent
    return (*parent[:-1], f"{parent[-1] if parent else 'loop'}#{run}")


def _outwards(scope: Scope | None) -> Iterable[Scope]:
    while scope is not None:
        yield scope
        scope = scope.parent
