"""The program of a cell: kept with it, or known by the structure of its step."""

from __future__ import annotations

import functools
import sys
import threading
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from types import FunctionType, MethodType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary, WeakSet

import numpy as np

from ...core.context import current
from ...core.errors import GraphError, NotFoldedWarning
from ...core.graph import Constant, Node, Output
from ...core.primitive import _record, is_tensor
from ...core.random import noted
from ..cells import Cell
from ..states import parts_of
from .around import program_of
from .capture import Untraceable, capture, nameless, structure, wants_gradient
from .functions import Program
from .notation import NotWritable
from .reach import reach
from .steps import Step, Value
from .untouched import Attributes

_MOST_PROGRAMS = 256

_programs: OrderedDict[Any, Program | None] = OrderedDict()
_failures: dict[Any, str] = {}  # why there is no program
_lock = threading.Lock()
# The structures of steps that a cell has repeated.
_twice: WeakKeyDictionary[Any, set[int]] = WeakKeyDictionary()
_MOST_STRUCTURES = 64
_warned_of: WeakSet[Any] = WeakSet()


def is_own(cell: Any) -> bool:
    """Whether a cell, and all wrappers around it, are the library's, functions among them too."""
    package = __name__.partition(".")[0]
    while type(cell).__module__.startswith(f"{package}.") and isinstance(cell, Cell):
        if any(type(value) is FunctionType for value in vars(cell).values()):
            return False
        if "cell" not in vars(cell):
            return True
        cell = vars(cell)["cell"]
    return False


class Found(NamedTuple):
    """A program, with what it runs on: x, the parts of the state, and what the cell captured."""

    program: Program
    tensors: list[Any]
    arrays: list[np.ndarray]
    wanted: list[bool]


class Foreign:
    """A cell from elsewhere in one call of `scan`, and what was found out about it.

    Attributes:
        cell: what the steps are carried out by.
        origin: what the user gave; `cell` may be made from it for this sequence.
        reason: why the cell has no program; None if it has one, or never could have.
    """

    def __init__(self, cell: Any, origin: Any) -> None:
        self.cell = cell
        self.origin = origin
        self.reason: str | None = None
        self._step: Any = None  # its structure, without the arrays
        self._captured: list[Any] = []

    def note(self, step: Step) -> None:
        """Remembers the step that is folded."""
        self._step = len(step.state), len(step.captured), structure(step)
        self._captured = _identities(step)

    def check(self, xs: Any, state: Any) -> None:
        """Raises if the cell's step isn't the one that was folded.

        Raises:
            GraphError: with the remedy.
        """
        step, _ = _examined(self.cell, self.origin, xs, state)
        same = False
        if step is not None:
            now = len(step.state), len(step.captured), structure(step)
            pairs = zip(self._captured, _identities(step), strict=False)
            same = nameless(*now) == nameless(*self._step) and all(_is_same(*p) for p in pairs)
            step.let_go()
        if not same:
            raise GraphError(
                f"the cell {title(self.origin)} isn't as it was in the forward pass, and what is "
                "asked for needs its steps once more: ask before it changes, run the forward pass "
                "again, or run it with fold=False"
            )

    def warn(self) -> None:
        """Says once for each cell why it isn't folded."""
        if self.reason is None or _is_the_librarys(self.origin):
            return
        known = _identity(self.origin)
        try:
            if known in _warned_of:
                return
            _warned_of.add(known)
        except TypeError:  # it can't be referred to weakly, or has no hash
            if type(known) in _warned_of:
                return
            _warned_of.add(type(known))
        warnings.warn(
            f"the cell {title(self.origin)} runs operation by operation, and not as a program, "
            f"which is many times faster: {self.reason}. With fold=False it does so without this "
            "warning",
            NotFoldedWarning,
            stacklevel=_levels_to_the_user(),
        )


def _is_the_librarys(cell: Any) -> bool:
    """Whether a cell within its wrappers is the library's, its activations whosever they are."""
    while isinstance(cell, Cell) and "cell" in vars(cell):
        cell = vars(cell)["cell"]
    package = __name__.partition(".")[0]
    return isinstance(cell, Cell) and type(cell).__module__.startswith(f"{package}.")


def _levels_to_the_user() -> int:
    """How many frames above the caller the first is that isn't the library's."""
    package = __name__.partition(".")[0]
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] != package:
            break
        level, frame = level + 1, frame.f_back
    return level


def title(cell: Any) -> str:
    """What a message calls a cell."""
    while isinstance(cell, functools.partial):
        cell = cell.func
    name = getattr(cell, "__qualname__", None)
    return name.replace("<locals>.", "") if isinstance(name, str) else type(cell).__name__


def _identity(cell: Any) -> Any:
    """What a cell is known by: of a function, its code, for it may be made anew at each call."""
    while isinstance(cell, functools.partial):
        cell = cell.func
    if isinstance(cell, MethodType):
        cell = cell.__func__
    return cell.__code__ if isinstance(cell, FunctionType) else cell


def of_any_cell(cell: Any, xs: Any, state: Any, way: tuple[bool, bool]) -> Found | None:
    """The program of a cell, written down anew: nothing that it reads can be out of date."""
    foreign = cell if isinstance(cell, Foreign) else Foreign(cell, cell)
    foreign.reason = None
    step, foreign.reason = _examined(foreign.cell, foreign.origin, xs, state)
    if step is None:
        return None
    tensors = [xs, *parts_of(state), *(record for _, record, _ in step.captured)]
    arrays = [*map(_array, tensors[: -len(step.captured) or None])]
    arrays += [array for *_, array in step.captured]
    wanted = _wanted(tensors)
    program = None
    # Plain arrays stay plain.
    if any(is_tensor(t) or isinstance(t, (Node, Output)) for t in tensors):
        program, foreign.reason = _program(step, wanted, *way)
    if any(np.ndim(part) > 2 for part in parts_of(state)):  # nor could it be expected
        foreign.reason = None
    if program is not None:
        foreign.note(step)
    step.let_go()
    return None if program is None else Found(program, tensors, arrays, wanted)


def of_own_cell(cell: Any, xs: Any, state: Any, way: tuple[bool, bool]) -> Found | None:
    """The program of a cell of the library, whose step depends on its attributes alone.

    It is kept with the cell's twin, which is another one as soon as an attribute is.
    """
    if not isinstance(cell, Cell) or hasattr(cell, "for_sequence"):
        return None
    twin = cell.on_arrays()
    if twin is None:
        return None
    known = vars(twin).setdefault("folded", {})
    parts = parts_of(state)
    key = xs.shape[1:], xs.dtype, tuple([(part.shape, part.dtype) for part in parts])
    if key not in known:
        known[key] = _captured_names(cell, xs, state)
    names = known[key]
    if names is None:
        return None
    own = vars(cell)
    tensors = [xs, *parts, *[own[name] for name in names]]
    wanted = _wanted(tensors)
    exact = key, tuple(wanted), way
    if exact not in known:
        step = capture(cell, xs[0], state)
        known[exact], _ = _program(step, wanted, *way)
        step.let_go()
    program = known[exact]
    return None if program is None else Found(program, tensors, [*map(_array, tensors)], wanted)


def _captured_names(cell: Any, xs: Any, state: Any) -> list[str] | None:
    """The attributes that a cell's step captures, in order; None if there is anything else."""
    step = written_down(cell, xs, state)
    if step is None:
        return None
    records = [record for _, record, _ in step.captured]
    step.let_go()
    named = {id(record_of(v)): name for name, v in vars(cell).items() if is_tensor(v)}
    names = [named.get(id(record_of(record))) for record in records]
    return None if None in names else names  # type: ignore[return-value]


def _wanted(tensors: Sequence[Any]) -> list[bool]:
    recording = current().recording
    return [recording and wants_gradient(tensor) for tensor in tensors]


def _array(x: Any) -> np.ndarray:
    return x._data if is_tensor(x) else x


def record_of(x: Any) -> Any:
    return x if isinstance(x, (Node, Output)) else _record(x)


def written_down(cell: Any, xs: Any, state: Any) -> Step | None:
    """One step, if two are the same in all but the arrays, and change nothing else; else None."""
    return _examined(cell, cell, xs, state)[0]


def _examined(cell: Any, origin: Any, xs: Any, state: Any) -> tuple[Step | None, str | None]:
    """As `written_down`; and why there is none, if one could be expected."""
    first = second = None
    reason: str | None = None
    x = Value(np.shape(xs)[1:], xs[0].dtype if type(xs) is list else xs.dtype)
    attributes = Attributes(cell)
    with noted() as draws:
        try:
            if attributes.unfit is None:
                first = capture(cell, x, state)
                if not _seen_twice(origin, first, attributes.arrays):
                    second = capture(cell, x, state)
        except Exception as error:  # what is really wrong shows when the steps are carried out
            first, reason = None, _in_words(error)
        finally:
            untouched = attributes.restore()
            for bits, before in draws.states.items():
                bits.state = before
    if attributes.unfit is not None:
        reason = attributes.unfit
    elif draws.states:
        reason = None if isinstance(cell, Cell) else "it draws random numbers at each step"
    elif not untouched:
        reason = f"a step changes {attributes.changed}"
    elif first is not None:
        if second is None:
            return first, None
        reason = _difference(first, second)
        second.let_go()
        if reason is None:
            _remember(origin, first)
            return first, None
        first.let_go()
    watched = attributes.tensors or any(map(is_tensor, (xs, *parts_of(state))))
    return None, reason if watched else None


def _in_words(error: Exception) -> str:
    if isinstance(error, (Untraceable, NotWritable)):
        return str(error)
    return f"on arrays without values it raises {type(error).__name__}: {error!s:.200}"


def _difference(first: Step, second: Step) -> str | None:
    """In what two steps differ, so that no program serves both."""
    operations = [[i.operation for i in step.code] for step in (first, second)]
    if operations[0] != operations[1]:
        return "its operations aren't the same at each step"
    if structure(first) != structure(second):
        return "a number, a shape or an index in it isn't the same at each step"
    if not all(map(_same, first.captured, second.captured)):
        return "an array that it uses isn't the same at each step"
    return None


def _remember(origin: Any, step: Step) -> None:
    with suppress(TypeError):  # not every callable can be referred to weakly
        known = _twice.setdefault(_identity(origin), set())
        if len(known) >= _MOST_STRUCTURES:
            known.clear()
        known.add(hash(structure(step)))


def _seen_twice(origin: Any, step: Step, reached: set[int]) -> bool:
    """Whether this cell has been seen to repeat this very step, and captures what it holds alone.

    Args:
        reached: the identities of the arrays that it holds.
    """
    for _, record, array in step.captured:
        if isinstance(record, Constant) and id(array) not in reached:
            return False
    try:
        return hash(structure(step)) in _twice.get(_identity(origin), ())
    except TypeError:
        return False


def _same(a: tuple[Value, Any, np.ndarray], b: tuple[Value, Any, np.ndarray]) -> bool:
    """Whether two steps captured the same, or a constant made anew with the same values."""
    return a[2] is b[2] or _is_same((a[1], a[2]), (b[1], b[2]))


def _identities(step: Step) -> list[Any]:
    """What tells what a step captured; the arrays of constants only."""
    return [(r, a if isinstance(r, Constant) else None) for _, r, a in step.captured]


def _is_same(a: tuple[Any, Any], b: tuple[Any, Any]) -> bool:
    constant = isinstance(a[0], Constant) and isinstance(b[0], Constant)
    if constant:
        return a[1] is b[1] or np.array_equal(a[1], b[1])
    return a[0] is b[0]


def _program(
    step: Step, wanted: Sequence[bool], masked: bool, reverse: bool
) -> tuple[Program | None, str | None]:
    """The program of a step, or why there is none."""
    key = structure(step), tuple(wanted), masked, reverse
    with _lock:
        if key in _programs:
            _programs.move_to_end(key)
            return _programs[key], _failures.get(key)
    made, failure = None, None
    try:
        reached = reach(step, wanted, masked)
        made = program_of(step, wanted, masked, reverse)
        made.reaches = reached
        pairs = zip(step.new, step.state, strict=True)
        made.passes = [new is old and not masked for new, old in pairs]
    except Exception as error:  # step by step it is right in any case
        known = isinstance(error, (NotWritable, Untraceable))
        failure = f"no program can be made: {str(error) if known else repr(error)}"[:300]
    with _lock:
        _programs[key] = made
        if failure is not None:
            _failures[key] = failure
        while len(_programs) > _MOST_PROGRAMS:
            _failures.pop(_programs.popitem(last=False)[0], None)
    return made, failure
