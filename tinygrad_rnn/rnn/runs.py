"""The runs over time in a recording: which named quantity belongs to which run and step."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from typing import Any

import numpy as np

from ..core import engine
from ..core.context import Context, Scope, current, join_names, step_number, within
from ..core.errors import ShapeError
from ..core.graph import Node, Output
from ..core.primitive import is_tensor, wrap
from ..core.recording import Loop, Recording


class Run:
    """One run over time: the scopes ``t=0``, ``t=1``, … that stand in one scope.

    Attributes:
        place: where it is, such as ``encoder.l0_reverse``.
        quantities: name -> step -> the record of the graph that has the name.
        leaves: the leaves that its steps use, as the keys of a dict.
    """

    def __init__(self, scope: Scope, place: str, loop: Loop | None) -> None:
        self.scope = scope
        self.place = place
        self.loop = loop
        self.quantities: dict[str, dict[int, Any]] = {}
        self.leaves: dict[Any, None] = {}
        self._steps: dict[Scope, int] = {}
        self._times: list[int] = []  # in the order of the steps

    def enter(self, step: Scope, t: int) -> None:
        """Takes in the scope of a step."""
        self._steps[step] = t
        self._steps[step.reversed()] = t  # where the gradients of its operations are computed
        self._times.append(t)

    def continues_with(self, t: int) -> bool:
        """Whether step `t` may follow: it is the one at hand, or none that has been."""
        return t in self._times[-1:] or t not in self._times

    @property
    def mask(self) -> np.ndarray | None:
        """The real steps, (T, N) or (T,); None if all are."""
        return None if self.loop is None else self.loop.mask

    @property
    def reverse(self) -> bool:
        """Whether the run goes from the last step to the first."""
        return self._times[0] > self._times[-1] if self.loop is None else self.loop.reverse

    @property
    def first(self) -> int:
        """The number of the step that stands in row 0 of all arrays."""
        return min(self._times) if self.mask is None else 0

    @property
    def length(self) -> int:
        """T, the number of steps."""
        return max(self._times) + 1 - self.first if self.mask is None else len(self.mask)

    def time_of(self, scope: Scope | None) -> int | None:
        """The row of the step in which a scope lies, None outside this run."""
        while scope is not None:
            if scope in self._steps:
                return self._steps[scope] - self.first
            scope = scope.parent
        return None

    def stacked(self, name: str, known: Callable[[Any], np.ndarray | None]) -> np.ndarray:
        """(T, …): what is `known` of a quantity's records, 0 where nothing is or a mask excludes.

        A step that has no such quantity is NaN.
        """
        records = self.quantities[name]
        shapes = {record.shape for record in records.values()}
        if len(shapes) > 1:
            raise ShapeError(
                f"{name!r} in {self.place!r} has different shapes at different steps, "
                f"{sorted(shapes)}, so there is no one array of it"
            )
        whole: np.ndarray = np.full(
            (self.length, *shapes.pop()), np.nan, next(iter(records.values())).dtype
        )
        for t, record in records.items():
            value = known(record)
            whole[t - self.first] = 0 if value is None else value
        mask = self.mask
        if mask is not None and whole.shape[: mask.ndim] == mask.shape:
            whole[~mask] = 0
        return whole

    def jacobian_norm(self, name: str, recording: Recording) -> np.ndarray:
        """(T, N): ‖∂q_last/∂q_t‖, of each sequence and step, for a quantity q of shape (N, …).

        One backward pass for each feature serves the whole batch, as sequences don't mix.
        """
        records = self.quantities[name]
        shape = next(iter(records.values())).shape
        batch = shape[:1] if len(shape) > 1 else ()
        features = int(np.prod(shape[len(batch) :]))
        last = self._last_steps(records, batch)
        times = list(records)
        ends = [t for t in times if (last == t).any()]
        tensors = {t: wrap(recording.values[record], record) for t, record in records.items()}
        squares = np.full((self.length, *batch), np.nan)
        squares[[t - self.first for t in times]] = 0
        now = current()
        with within(Context(True, now.scope, now.anomaly)):
            for k in range(features if ends else 0):
                seeds = []
                for t in ends:
                    seed = np.zeros((*batch, features), records[t].dtype)
                    seed[..., k] = last == t
                    seeds.append(wrap(seed.reshape(shape)))
                found = engine.gradients(
                    [tensors[t] for t in ends], list(tensors.values()), seeds, retain_graph=True
                )
                for t, g in zip(times, found, strict=True):
                    if g is not None:
                        rows = g.data.reshape(*batch, features).astype(np.float64)
                        squares[t - self.first] += (rows * rows).sum(axis=-1)
        norms: np.ndarray = np.sqrt(squares)
        return norms if self.mask is None else np.where(self.mask, norms, 0)

    def _last_steps(self, records: dict[int, Any], batch: tuple[int, ...]) -> np.ndarray:
        """For each sequence, the number of the last real step that was carried out, or -1."""
        mask = self.mask
        if mask is not None and mask.shape[1:] != batch:
            raise ShapeError(
                f"the mask of {self.place!r} has the shape {mask.shape}, and the quantity "
                f"{batch} sequences: the last real step of each isn't known"
            )
        last = np.full(batch, -1)
        for t in sorted(records, reverse=self.reverse):
            last = np.where(True if mask is None else mask[t], t, last)
        return last


def find_runs(recording: Recording, outside: Scope, unnamed: int) -> list[Run]:
    """All runs over time in a recording.

    Args:
        recording: what was recorded.
        outside: the scope in which it was made; places are named from there on.
        unnamed: how many names after that are left out of places (1 for that of a module).
    """
    finder = _Finder(recording, outside, unnamed)
    for record in recording.values:
        node = record.node if type(record) is Output else record
        if type(node) is Node and not node.scope.backward:
            finder.add(record, node)
    finder.name_quantities()
    return finder.runs


class _Finder:
    """Takes the records of a recording, in order, and sorts them into runs and steps."""

    def __init__(self, recording: Recording, outside: Scope, unnamed: int) -> None:
        self.runs: list[Run] = []
        self._outside = outside
        self._unnamed = unnamed
        self._announced: dict[Scope, list[Loop]] = {}
        for loop in recording.loops:
            self._announced.setdefault(loop.scope, []).append(loop)
        self._latest: dict[Scope, Run] = {}
        self._run_of: dict[Scope, Run] = {}
        self._named: list[tuple[Run, str, int, Any]] = []
        self._readers: dict[Output, set[tuple[Run, int]]] = {}

    def add(self, record: Any, node: Node) -> None:
        """Takes a record that `node` made."""
        steps = list(self._steps_around(node.scope))
        runs = [self._run(step, node.serial) for step in reversed(steps)][::-1]
        for run in runs:
            run.leaves.update((a, None) for a in node.arguments if _is_leaf(a))
        if not steps:
            return
        t = step_number(steps[0].name)
        assert t is not None
        if record.name:
            inside = self._names_between(node.scope, steps[0])
            self._named.append((runs[0], ".".join((*inside, record.name)), t, record))
        for argument in node.arguments:
            if type(argument) is Output and argument.node.scope is runs[0].scope:
                self._readers.setdefault(argument, set()).add((runs[0], t))

    def name_quantities(self) -> None:
        """Gives the runs what has a name, the elements of the sequences they read first.

        An element was made outside, and belongs to the one step that reads it.
        """
        elements = {o: readers for o, readers in self._readers.items() if len(readers) == 1}
        for output, ((run, t),) in elements.items():
            if output.name:
                run.quantities.setdefault(output.name, {})[t] = output
        for run, name, t, record in self._named:
            if record not in elements:
                run.quantities.setdefault(name, {})[t] = record

    def _steps_around(self, scope: Scope | None) -> Iterator[Scope]:
        """The steps in which a scope lies, innermost first."""
        while scope is not None and scope is not self._outside:
            if step_number(scope.name) is not None:
                yield scope
            scope = scope.parent

    def _names_between(self, scope: Scope, outer: Scope) -> list[str]:
        names: list[str] = []
        while scope is not outer and scope.parent is not None:
            names.append(scope.name)
            scope = scope.parent
        return names[::-1]

    def _run(self, step: Scope, serial: int) -> Run:
        """The run to which a step belongs: that of the steps before it, or else a new one."""
        run = self._run_of.get(step)
        if run is not None:
            return run
        t = step_number(step.name)
        assert t is not None
        assert step.parent is not None
        announced = [x for x in self._announced.get(step.parent, ()) if x.serial < serial]
        loop = announced[-1] if announced else None
        run = self._latest.get(step.parent)
        if run is None or run.loop is not loop or not run.continues_with(t):
            run = self._latest[step.parent] = Run(step.parent, self._place(step.parent), loop)
            self.runs.append(run)
        run.enter(step, t)
        self._run_of[step] = run
        return run

    def _place(self, scope: Scope) -> str:
        """The name of a new run in `scope`; the second in one place has #2 after it, and so on."""
        names = self._names_between(scope, self._outside)
        taken = {run.place for run in self.runs}
        return unique(join_names(tuple(names[self._unnamed :])), taken)


def unique(name: str, taken: Container[str]) -> str:
    """The name, or if it is taken, with #2 after it, or #3, …"""
    made, k = name, 1
    while made in taken:
        k += 1
        made = f"{name}#{k}"
    return made


def _is_leaf(argument: Any) -> bool:
    return is_tensor(argument) and argument.requires_grad
