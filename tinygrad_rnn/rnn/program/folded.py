"""All steps of a cell as one node of the graph, carried out by the program of its step."""

from __future__ import annotations

import dis
import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from types import FunctionType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from ...core import engine
from ...core.compiled import Plan
from ...core.context import Context, current, within
from ...core.errors import GraphError
from ...core.graph import Constant, Node, Output, leads_to, next_serial
from ...core.primitive import _record, is_tensor, wrap
from ...core.random import noted
from ...module import Module
from ..cells import Cell
from ..states import like, map_parts, parts_of
from .capture import capture, structure, wants_gradient
from .differentiate import differentiate
from .emit import Emitter
from .notation import NotWritable
from .rewrite import Factored, early_bias, early_terms, joint_slices, shared_activation
from .steps import Step, Value

_MOST_PROGRAMS = 256

_unrolled: ContextVar[bool] = ContextVar("tinygrad_rnn.unrolled", default=False)
_programs: OrderedDict[Any, Program | None] = OrderedDict()
_lock = threading.Lock()
# The structures of steps that a cell has repeated.
_twice: WeakKeyDictionary[Any, set[int]] = WeakKeyDictionary()


@contextmanager
def unrolled() -> Iterator[None]:
    """Inside, recurrent layers run operation by operation, each step a part of the graph.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> lstm = tg.nn.LSTM(2, 3)
    >>> with tg.rnn.unrolled():
    ...     output, state = lstm(np.ones((5, 1, 2)))
    >>> output.shape
    (5, 1, 3)
    """
    token = _unrolled.set(True)
    try:
        yield
    finally:
        _unrolled.reset(token)


class Program:
    """The forward and backward functions of a step, and their source.

    Args:
        step: as it was written down.
        wanted: whether a gradient is wanted for x, each part of the state, each captured array.
        masked, reverse: see `Emitter`.
    """

    def __init__(self, step: Step, wanted: Sequence[bool], masked: bool, reverse: bool) -> None:
        originals = [value for value, *_ in step.captured]
        joint_slices(step)
        prepared = shared_activation(step)
        early_terms(step)
        early_bias(step)
        made = {original: value for value, original, *_ in prepared}
        step.captured = [(made.get(v, v), r, a) for v, r, a in step.captured]
        self.differentiable = any(wanted)
        if self.differentiable:
            values = [step.x, *step.state, *(v for v, *_ in step.captured)]
            asked = {v for v, want in zip(values, wanted, strict=True) if want}
            differentiate(step, asked.union(step.state))  # through the state they reach each step
            Factored(step)
        emitter = Emitter(step, prepared, masked, reverse)
        self.source = emitter.forward(keep=self.differentiable)
        once = emitter.once()
        results: list[Value] = []
        if self.differentiable:
            backward, results = emitter.backward()
            self.source += "\n\n\n" + backward
        self.places = [originals.index(value) for value in results]
        self.y_size = step.y.shape[-1]
        space: dict[str, Any] = {"np": np}
        if once:
            self.source = "\n".join(once) + "\n\n\n" + self.source
        exec(compile(self.source, "<program of a recurrent step>", "exec"), space)
        for function in (space["forward"], space.get("backward", _no_backward)):
            _check_names(function, space)
        self.forward: Callable[..., Any] = space["forward"]
        self.backward: Callable[..., Any] = space.get("backward", _no_backward)


def _check_names(function: Any, space: dict[str, Any]) -> None:
    """Raises if a function uses a name that nothing defines."""
    asked = {i.argval for i in dis.get_instructions(function) if i.opname == "LOAD_GLOBAL"}
    if unknown := asked - {*space, "zip", "range", "bool", "GraphError"}:
        raise NotWritable(f"the program would use {sorted(unknown)}, which nothing defines")


def _no_backward(*args: Any) -> Any:
    raise GraphError("this program was made without gradients")


def fold(
    cell: Any,
    xs: Any,
    state: Any,
    reverse: bool,
    real: np.ndarray | None,
    unroll: Callable[..., Any],
    rest: tuple[Any, ...],
    trusted: bool,
) -> tuple[Any, Any] | None:
    """All steps of a cell by its program; None if they have to be carried out one by one.

    Args:
        cell, xs, state: as `scan` has them.
        reverse: whether to go from the last step to the first.
        real: (T, N), which steps are real; None if all are.
        unroll: ``unroll(cell, xs, state, *rest)`` carries out the steps one by one.
        trusted: whether a cell from elsewhere may be taken to be a function of its arguments.
    """
    context = current()
    looked_at = context.anomaly or context.record is not None or context.tracer is not None
    if _unrolled.get() or looked_at or xs.dtype.kind != "f" or not (trusted or _is_own(cell)):
        return None
    parts = parts_of(state)
    if xs.ndim != 3 or not xs.size or not all(hasattr(part, "dtype") for part in parts):
        return None
    way = real is not None, reverse
    found = _of_own_cell(cell, xs, state, way) or _of_any_cell(cell, xs, state, way)
    if found is None:
        return None
    program, tensors, arrays, wanted = found
    count = len(parts)
    mask = [] if real is None else [np.ascontiguousarray(real)]
    with np.errstate(all="ignore"):
        y, finals, kept = program.forward(
            *arrays[1 : count + 1], arrays[0], *mask, *arrays[count + 1 :]
        )
    if not any(wanted):
        return wrap(y), like(state, [wrap(part) for part in finals])
    operation = _Scan(program, wanted, mask, cell, state, unroll, rest)
    records = [_record_of(t) for t in tensors]
    results = (y, *finals)
    node = Node(
        operation,
        ("program", *records),
        (list(kept), *arrays),
        operation.plan(),
        tuple([part.shape for part in results]),
        tuple([part.dtype for part in results]),
        context.scope,
    )
    made = [wrap(p, Output(node, i, p.shape, p.dtype)) for i, p in enumerate(results)]
    return made[0], like(state, made[1:])


def _is_own(cell: Any) -> bool:
    """Whether a cell, and all wrappers around it, are the library's, functions among them too."""
    package = __name__.partition(".")[0]
    while type(cell).__module__.startswith(f"{package}.") and isinstance(cell, Cell):
        if any(type(value) is FunctionType for value in vars(cell).values()):
            return False
        if "cell" not in vars(cell):
            return True
        cell = vars(cell)["cell"]
    return False


class _Found(NamedTuple):
    """A program, with what it runs on: x, the parts of the state, and what the cell captured."""

    program: Program
    tensors: list[Any]
    arrays: list[np.ndarray]
    wanted: list[bool]


def _of_any_cell(cell: Any, xs: Any, state: Any, way: tuple[bool, bool]) -> _Found | None:
    """The program of a cell, written down anew: nothing that it reads can be out of date."""
    step = _written_down(cell, xs, state)
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
    return None if program is None else _Found(program, tensors, arrays, wanted)


def _of_own_cell(cell: Any, xs: Any, state: Any, way: tuple[bool, bool]) -> _Found | None:
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
    return None if program is None else _Found(program, tensors, [*map(_array, tensors)], wanted)


def _captured_names(cell: Any, xs: Any, state: Any) -> list[str] | None:
    """The attributes that a cell's step captures, in order; None if there is anything else."""
    step = _written_down(cell, xs, state)
    if step is None:
        return None
    records = [record for _, record, _ in step.captured]
    step.let_go()
    named = {id(_record_of(v)): name for name, v in vars(cell).items() if is_tensor(v)}
    names = [named.get(id(_record_of(record))) for record in records]
    return None if None in names else names  # type: ignore[return-value]


def _wanted(tensors: Sequence[Any]) -> list[bool]:
    recording = current().recording
    return [recording and wants_gradient(tensor) for tensor in tensors]


def _array(x: Any) -> np.ndarray:
    return x._data if is_tensor(x) else x


def _record_of(x: Any) -> Any:
    return x if isinstance(x, (Node, Output)) else _record(x)


def _written_down(cell: Any, xs: Any, state: Any) -> Step | None:
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


class Attributes:
    """What a cell's modules hold, to notice and to undo that a step changes it."""

    def __init__(self, cell: Any) -> None:
        modules = cell.modules() if isinstance(cell, Module) else [cell]
        self._before = [
            (space, dict(space), {k: v.copy() for k, v in space.items() if type(v) in (list, dict)})
            for space in (getattr(module, "__dict__", {}) for module in modules)
        ]

    def restore(self) -> bool:
        """Puts everything back; whether there was nothing to put back."""
        untouched = True
        for space, before, containers in self._before:
            if space.keys() != before.keys() or any(space[k] is not before[k] for k in before):
                untouched = False
                space.clear()
                space.update(before)
            for name, contents in containers.items():
                if len(space[name]) != len(contents):
                    untouched = False
                    _refill(space[name], contents)
        return untouched


def _refill(container: Any, contents: Any) -> None:
    container.clear()
    container.update(contents) if isinstance(contents, dict) else container.extend(contents)


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


class _Scan:
    """The operation of a folded node: what one run of a program was."""

    name = "scan"
    names: tuple[str, ...] = ("program", "arrays")
    arrays: tuple[str, ...] = ("arrays",)
    view = False

    def __init__(
        self,
        program: Program,
        wanted: Sequence[bool],
        mask: list[np.ndarray],
        cell: Any,
        state: Any,
        unroll: Callable[..., Any],
        rest: tuple[Any, ...],
    ) -> None:
        self.program = program
        self.wanted = wanted
        self.mask = mask
        self.cell = cell
        self.like = map_parts(lambda part: None, state)
        self.unroll = unroll
        self.rest = rest
        self.inmost = cell
        while isinstance(self.inmost, Cell) and "cell" in vars(self.inmost):
            self.inmost = vars(self.inmost)["cell"]
        # Another one as soon as the cell is changed; None for a cell from elsewhere.
        self.twin = self.inmost.on_arrays() if isinstance(self.inmost, Cell) else None

    def plan(self) -> Plan:
        """The plan that pulls back to all arguments that want a gradient."""
        return Plan(_keeps_nothing, self.pulled, (), 1)

    def narrowed(self, node: Node, useful: set[Any]) -> Plan:
        """The plan that pulls back to the arguments in `useful` alone."""
        some = [leads_to(argument, useful) for argument in node.arguments[1:]]
        return Plan(_keeps_nothing, functools.partial(self.pulled, some=some), (), 1)

    def unfolded(self, node: Node) -> tuple[list[Any], list[Node]]:
        """The graph that this node stands for: the records of its results, and the nodes.

        Its structure, names and shapes are those of the steps one by one; there are no values.
        """
        count = len(parts_of(self.like))
        xs, *state = [_stand_in(record) for record in node.arguments[1 : count + 2]]
        since = next_serial()
        with within(Context(True, node.scope)), np.errstate(all="ignore"), unrolled():
            ys, final = self.unroll(self.cell, xs, like(self.like, state), *self.rest)
        results = [result._node for result in (ys, *parts_of(final))]
        return results, engine.nodes_since(results, since)

    def pulled(
        self, g: Any, saved: Any, arguments: Sequence[Any], some: Sequence[bool] | None = None
    ) -> Iterable[tuple[Any, Any]]:
        """Pairs of each argument and its cotangent."""
        wanted = [w and (some is None or some[k]) for k, w in enumerate(self.wanted)]
        if any(is_tensor(part) for part in g):
            return self._unfolded(g, saved, arguments[1:], wanted)
        kept, xs, *rest = saved
        count = len(parts_of(self.like))
        states, captured = rest[:count], rest[count:]
        dtype = xs.dtype
        shape = (*xs.shape[:2], self.program.y_size)
        gy = np.zeros(shape, dtype) if g[0] is None else np.asarray(g[0], dtype)
        last = [
            np.zeros(s.shape, dtype) if part is None else np.asarray(part, dtype)
            for part, s in zip(g[1:], states, strict=True)
        ]
        with np.errstate(all="ignore"):
            gx, gstates, gcaptured = self.program.backward(
                gy, *last, kept, xs, *self.mask, *captured
            )
        found: list[Any] = [gx, *gstates, *(None for _ in captured)]
        for place, gradient in zip(self.program.places, gcaptured, strict=True):
            found[1 + count + place] = gradient
        return [
            (argument, gradient)
            for argument, gradient, want in zip(arguments[1:], found, wanted, strict=True)
            if want
        ]

    def _unfolded(
        self, g: Any, saved: Any, records: Sequence[Any], wanted: Sequence[bool]
    ) -> Iterable[tuple[Any, Any]]:
        """The cotangents as a graph, by way of the steps one by one."""
        _, xs, *rest = saved
        if self.twin is not None and not _alike(self.inmost.on_arrays(), self.twin):
            raise GraphError(
                f"the cell {self.cell!r:.60} was changed between the forward and the backward "
                "pass, which needs it as it was: go back first, or run the forward pass again"
            )
        count = len(parts_of(self.like))
        state = like(self.like, rest[:count])
        since = next_serial()
        with unrolled():
            ys, final = self.unroll(self.cell, xs, state, *self.rest)
        results = [ys, *parts_of(final)]
        moving = [(r, part) for r, part in zip(results, g, strict=True) if part is not None]
        inputs = [record for record, want in zip(records, wanted, strict=True) if want]
        return engine.pulled_back(
            [result for result, _ in moving], [part for _, part in moving], inputs, since, True
        )


def _stand_in(record: Any) -> Any:
    """A Tensor with the place of `record` in its graph, and without values."""
    if is_tensor(record):
        return record
    made = wrap(np.broadcast_to(np.zeros((), record.dtype), record.shape))
    made._node = record
    made._requires_grad = isinstance(record, (Node, Output))
    return made


def _alike(cell: Any, other: Any) -> bool:
    """Whether two twins have the same attributes, as far as equations read them."""
    kept = {"training", "tensors", "folded", "programs"}
    a, b = ({k: v for k, v in vars(each).items() if k not in kept} for each in (cell, other))
    return a.keys() == b.keys() and all(a[k] is b[k] for k in a)


def _keeps_nothing(values: Any, out: Any) -> tuple[Any, ...]:
    return ()
