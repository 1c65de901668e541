"""The program of a cell: kept with it, or known by the structure of its step."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from types import FunctionType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from ...core.context import current
from ...core.graph import Constant, Node, Output
from ...core.primitive import _record, is_tensor
from ...core.random import noted
from ..cells import Cell
from ..states import parts_of
from .capture import capture, structure, wants_gradient
from .functions import Program
from .steps import Step, Value
from .untouched import Attributes

_MOST_PROGRAMS = 256

_programs: OrderedDict[Any, Program | None] = OrderedDict()
_lock = threading.Lock()
# The structures of steps that a cell has repeated.
_twice: WeakKeyDictionary[Any, set[int]] = WeakKeyDictionary()


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


def of_any_cell(cell: Any, xs: Any, state: Any, way: tuple[bool, bool]) -> Found | None:
    """The program of a cell, written down anew: nothing that it reads can be out of date."""
    step = written_down(cell, xs, state)
    if step is None:
        return None
    tensors = [xs, *parts_of(state), *(record for _, record, _ in step.captured)]
    arrays = [*map(_array, tensors[: -len(step.captured) or None])]
    arrays += [array for *_, array in step.captured]
    wanted = _wanted(tensors)
    # Plain arrays stay plain.
    mixed = any(is_tensor(t) or isinstance(t, (Node, Output)) for t in tensors)
    program = _program(step, wanted, *way) if mixed else None
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
        known[exact] = _program(step, wanted, *way)
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
    first = second = None
    attributes = Attributes(cell)
    # What is really wrong shows when the steps are carried out.
    with noted() as draws, suppress(Exception):
        first = capture(cell, xs[0], state)
        if not _seen_twice(cell, first):
            second = capture(cell, xs[-1], state)
    untouched = attributes.restore()
    if draws.states:  # random numbers, which differ from step to step
        for bits, before in draws.states.items():
            bits.state = before
        return None
    same = first is not None and second is None and untouched and _seen_twice(cell, first)
    if first is not None and second is not None and untouched:
        pairs = zip(first.captured, second.captured, strict=False)
        same = structure(first) == structure(second) and all(_same(a, b) for a, b in pairs)
        if same:
            with suppress(TypeError):  # not every callable can be referred to weakly
                _twice.setdefault(cell, set()).add(hash(structure(first)))
    for step in (second, None if same else first):
        if step is not None:
            step.let_go()
    return first if same else None


def _seen_twice(cell: Any, step: Step) -> bool:
    """Whether this cell has been seen to repeat this very step, and captures Tensors alone."""
    if any(isinstance(record, Constant) for _, record, _ in step.captured):
        return False
    try:
        return hash(structure(step)) in _twice.get(cell, ())
    except TypeError:
        return False


def _same(a: tuple[Value, Any, np.ndarray], b: tuple[Value, Any, np.ndarray]) -> bool:
    """Whether two steps captured the same, or a constant made anew with the same values."""
    constant = isinstance(a[1], Constant) and isinstance(b[1], Constant)
    return a[2] is b[2] or (constant and np.array_equal(a[2], b[2]))


def _program(step: Step, wanted: Sequence[bool], masked: bool, reverse: bool) -> Program | None:
    key = structure(step), tuple(wanted), masked, reverse
    with _lock:
        if key in _programs:
            _programs.move_to_end(key)
            return _programs[key]
    try:
        made: Program | None = Program(step, wanted, masked, reverse)
    except Exception:  # step by step it is right in any case
        made = None
    with _lock:
        _programs[key] = made
        while len(_programs) > _MOST_PROGRAMS:
            _programs.popitem(last=False)
    return made
