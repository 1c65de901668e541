"""Memory for time: what a function makes on the way is made again in the backward pass."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar
from weakref import ref

import numpy as np

from .core import engine
from .core.anomaly import watch_forward
from .core.compiled import Plan
from .core.context import Context, current, join_names, within
from .core.errors import GraphError
from .core.graph import Constant, Node, Output, leads_to, next_serial
from .core.primitive import _record, is_tensor, wrap
from .core.random import Draws, noted, replayed

_F = TypeVar("_F", bound=Callable[..., Any])
_PROBED = 256  # elements of a result, by which a recomputation is checked


def checkpoint(f: _F) -> _F:
    """`f` with less memory: the backward pass calls it again instead of keeping what it made.

        g(x, …) = f(x, …),   ∂L/∂x and ∂L/∂w as those of f

    Where a graph of `f` would keep arrays for each of its operations, `g` keeps its arguments. With
    a network of T equal parts in √T stretches of √T parts, each made a checkpoint, memory is O(√T)
    for one more forward pass.

    Args:
        f: a function of its arguments, or a Module, that gives the same when it is called again.
            Arguments may be of any kind and any shapes; Tensors and ndarrays among them, also in
            tuples, named tuples, lists and dicts, are given up when the backward pass is through.
            Tensors from elsewhere, such as a Module's parameters, get their gradients too. It may
            draw random numbers from the library's generators, or from one among its arguments:
            they are not drawn anew.

    Returns:
        A function that is called as `f` and gives what `f` gives, with the same shapes. Tensors in
        its results, in tuples, named tuples, lists and dicts, are those of the graph; other values
        are passed on. Gradients are those of `f` to the bit for a single call; where a Tensor is
        used elsewhere too, its parts are added up in another order. They can be differentiated
        to any order (which keeps the graph of the recomputation).

    Raises:
        TypeError: if `f` can't be called.
        RuntimeError: in the backward pass, if `f` did something else when it was called again; if
            an argument or a parameter was changed in the meantime; if it is the second backward
            pass without retain_graph=True.

    What else `f` does (printing, counting, running statistics) it does twice. That it gave the same
    is seen by up to 256 elements of each result. `g` is a function, and a Module that owns `f`
    should keep `f` itself, with its parameters: ``self.block = Block()``, and in forward
    ``tg.checkpoint(self.block)(x)``.

    Source: Chen, Xu, Zhang, Guestrin 2016, "Training Deep Nets with Sublinear Memory Cost".

    >>> import numpy as np, tinygrad_rnn as tg
    >>> w = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> @tg.checkpoint
    ... def layer(x):
    ...     return w * x * x
    >>> y = layer(layer(np.array([1.0, 2.0])))  # w³ x⁴
    >>> y
    Tensor([  1., 128.], requires_grad=True, made by checkpoint)
    >>> y.backward([1.0, 1.0])
    >>> w.grad
    Tensor([  3., 192.])
    """
    if not callable(f):
        raise TypeError(
            f"checkpoint takes a function or Module, got {type(f).__name__}: tg.checkpoint(f)(x), "
            "not tg.checkpoint(f(x))"
        )

    @functools.wraps(f, updated=())
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        return _call(f, args, kwargs) if current().recording else f(*args, **kwargs)

    return checkpointed  # type: ignore[return-value]


def _call(f: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """The value of `f`, its Tensors the results of one node."""
    context = current()
    kept = _Kept.of((args, kwargs))
    given = [a for a in _leaves((args, kwargs)) if isinstance(a, np.random.Generator)]
    since = next_serial()
    with noted(*given) as draws:
        value = f(*args, **kwargs)
    results = _made(value, since)
    if not results:
        return value
    names = [result.name for result in results]
    inputs = _cut(results, since)
    known = set(kept.records)
    captured = [record for record in inputs if record not in known]
    again = Context(True, context.scope, context.anomaly)
    operation = _Recomputation(f, kept.template, again, draws, inputs, results)
    arguments = (_name_of(f), *kept.records, *captured)
    saved = (*kept.arrays, *map(_memory_of, captured))
    records = _record_call(operation, arguments, saved, results, context)
    for result, record, name in zip(results, records, names, strict=True):
        result._node = record
        record.name = name
    return value


def _record_call(
    operation: _Recomputation,
    arguments: tuple[Any, ...],
    saved: tuple[Any, ...],
    results: Sequence[Any],
    context: Context,
) -> Sequence[Node | Output]:
    """The records of `results`: a new node, or its outputs if they are several."""
    shapes, dtypes = [r.shape for r in results], [r.dtype for r in results]
    several = len(results) > 1
    node = Node(
        operation,
        arguments,
        saved,
        operation.plan(operation.inputs),
        tuple(shapes) if several else shapes[0],
        tuple(dtypes) if several else dtypes[0],
        context.scope,
    )
    records: list[Node | Output] = [node]
    if several:
        pairs = zip(shapes, dtypes, strict=True)
        records = [Output(node, i, shape, dtype) for i, (shape, dtype) in enumerate(pairs)]
    if context.anomaly:
        watch_forward(node.place, (), (), node)  # its results have been looked at
    if context.record is not None:
        context.record.note_forward(records, [r.data for r in results], (), ())
    return records


def _made(value: Any, since: int) -> list[Any]:
    """The Tensors in `value` that operations newer than number `since` made, each of them once."""
    found = {}
    for part in _leaves(value):
        if is_tensor(part) and part.requires_grad and part._node is not None:
            maker = part._node.node if type(part._node) is Output else part._node
            if maker.serial > since:
                found[id(part)] = part
    return list(found.values())


def _cut(results: Sequence[Any], since: int) -> list[Any]:
    """Takes `results` out of their graph, down to number `since`; returns what that began with.

    A leaf that the function itself made dies with the graph: nobody can ask for its gradient.
    """
    inputs = engine.boundary(results, since)
    leaves = [ref(record) for record in inputs if is_tensor(record)]
    nodes = [record for record in inputs if not is_tensor(record)]
    del inputs
    for result in results:
        if _shows_older(result._node, since):
            result._data = result._data.copy()  # a change there would go unnoticed here
    for result in results:
        result._node = None
    return nodes + [leaf for leaf in (found() for found in leaves) if leaf is not None]


def _shows_older(record: Any, since: int) -> bool:
    """Whether a record may be a view of something older than number `since`."""
    *_, origin = engine.views(record)
    maker = origin.node if type(origin) is Output else origin
    return type(maker) is not Node or maker.serial <= since


def _memory_of(record: Any) -> np.ndarray | None:
    """The array of a captured record, for noticing changes in place.

    Of a result on the way only its record is at hand. If it is a view, its leaf's array serves as
    well; if it isn't, it has a change of its own, and no array is asked for.
    """
    *_, origin = engine.views(record)
    return origin._data if is_tensor(origin) else None


def _name_of(f: Any) -> str:
    return getattr(f, "__name__", type(f).__name__)


class _Slot:
    """The place of an array, or of a Tensor with that array, among arguments."""

    __slots__ = ("in_tensor", "index")

    def __init__(self, index: int, in_tensor: bool) -> None:
        self.index = index
        self.in_tensor = in_tensor


class _Kept(NamedTuple):
    """Arguments, taken apart: arrays, their records, and a template with a `_Slot` for each."""

    template: Any
    arrays: list[np.ndarray]
    records: list[Any]

    @classmethod
    def of(cls, arguments: Any) -> _Kept:
        arrays: list[np.ndarray] = []
        records: list[Any] = []

        def keep(part: Any) -> Any:
            if not is_tensor(part) and (type(part) is not np.ndarray or part.dtype == object):
                return part
            records.append(_record(part))
            arrays.append(part.data if is_tensor(part) else part)
            return _Slot(len(arrays) - 1, is_tensor(part))

        return cls(_mapped(keep, arguments), arrays, records)


class _Recomputation:
    """One call of a checkpointed function, as the operation of its node.

    Args:
        f: the function.
        template: of its arguments, a tuple and a dict; see `_Kept`.
        context: in which it was called.
        draws: the random numbers that it drew.
        inputs: the records that its results depend on.
        results: its results with a gradient.
    """

    name = "checkpoint"
    names: tuple[str, ...] = ("f", "inputs")
    arrays: tuple[str, ...] = ("inputs",)
    view = False

    def __init__(
        self,
        f: Callable[..., Any],
        template: Any,
        context: Context,
        draws: Draws,
        inputs: list[Any],
        results: Sequence[Any],
    ) -> None:
        self.f = f
        self.template = template
        self.context = context
        self.draws = draws
        self.inputs = inputs
        self.probes = [_Probe.of(result.data) for result in results]

    def plan(self, inputs: Sequence[Any]) -> Plan:
        """The plan that pulls back to `inputs`."""
        return Plan(_keeps_nothing, functools.partial(self.pulled, inputs), (), 1)

    def narrowed(self, node: Node, useful: set[Any]) -> Plan:
        """The plan of `node`, pulling back only to arguments in `useful`."""
        return self.plan([record for record in self.inputs if leads_to(record, useful)])

    def pulled(
        self, inputs: Sequence[Any], g: Any, saved: Sequence[Any], arguments: Sequence[Any]
    ) -> Iterable[tuple[Any, Any]]:
        """Pairs of each of `inputs` and its cotangent, by way of a new graph."""
        if not inputs:
            return ()
        since = next_serial()
        results = self.again(saved, arguments[1:])
        self.check(results, since)
        moving = [
            (result, cotangent)
            for result, cotangent in zip(results, g if type(g) is tuple else (g,), strict=True)
            if cotangent is not None
        ]
        create_graph = any(is_tensor(cotangent) for _, cotangent in moving)
        now = current()
        # A recording notes these gradients where the node hands them on.
        with within(Context(now.recording, now.scope, now.anomaly)):
            return engine.pulled_back(
                [result for result, _ in moving],
                [c if is_tensor(c) else wrap(c) for _, c in moving],
                inputs,
                since,
                create_graph,
            )

    def again(self, saved: Sequence[Any], records: Sequence[Any]) -> list[Any]:
        """The results of calling the function once more, with their graph."""

        def restored(part: Any) -> Any:
            if type(part) is not _Slot:
                return part
            return _restored(saved[part.index], records[part.index], part.in_tensor)

        since = next_serial()
        args, kwargs = _mapped(restored, self.template)
        try:
            with within(self.context), replayed(self.draws):
                return _made(self.f(*args, **kwargs), since)
        except (ValueError, TypeError, IndexError) as error:
            raise self.differs(f"raised {type(error).__name__}: {error}") from error

    def check(self, results: Sequence[Any], since: int) -> None:
        """Raises if the function did something else than when it was first called."""
        if len(results) != len(self.probes):
            raise self.differs(
                f"gave {len(results)} results with a gradient; before, {len(self.probes)}"
            )
        for i, (result, probe) in enumerate(zip(results, self.probes, strict=True)):
            difference = probe.difference(result.data)
            if difference:
                raise self.differs(f"gave another result {i}: {difference}")
        used = set(engine.boundary(results, since))
        for record in self.inputs:
            if record not in used:
                raise self.differs(f"made no use of {engine.describe(record)}")
        for record in used.difference(self.inputs):
            if not is_tensor(record):  # a leaf is one that the function made
                raise self.differs(f"used {engine.describe(record)}, which it didn't before")

    def differs(self, what: str) -> GraphError:
        place = join_names((*self.context.scope.names(), self.name))
        return GraphError(_DIFFERS.format(place=place, name=_name_of(self.f), what=what))


class _Probe(NamedTuple):
    """Some elements of an array, evenly spaced, by which to know it again."""

    shape: tuple[int, ...]
    dtype: Any
    values: np.ndarray

    @classmethod
    def of(cls, array: np.ndarray) -> _Probe:
        count = min(array.size, _PROBED)
        places = np.arange(count) * (array.size - 1) // max(count - 1, 1)
        return cls(array.shape, array.dtype, array.flat[places])

    def difference(self, array: np.ndarray) -> str:
        """How `array` differs, beyond rounding; empty if it doesn't."""
        now = _Probe.of(array)
        if now.shape != self.shape or now.dtype != self.dtype:
            return f"{now.dtype}{now.shape} instead of {self.dtype}{self.shape}"
        if now.values.tobytes() == self.values.tobytes():
            return ""
        a, b = self.values.astype(np.float64), now.values.astype(np.float64)
        scale = np.abs(a[np.isfinite(a)]).max(initial=0)
        with np.errstate(invalid="ignore"):
            near = np.abs(a - b) <= np.sqrt(np.finfo(self.dtype).eps) * scale
        wrong = np.flatnonzero(~(near | (a == b) | (np.isnan(a) & np.isnan(b))))
        return f"{b[wrong[0]]:.6g} where it was {a[wrong[0]]:.6g}" if wrong.size else ""


def _restored(value: Any, record: Any, in_tensor: bool) -> Any:
    """An argument from its saved array, or Tensor under create_graph, and its record."""
    if is_tensor(value) or not in_tensor:
        return value
    if is_tensor(record):
        return record
    if type(record) is not Constant:
        return wrap(value, record)
    made = wrap(value)
    made._node = record
    return made


def _keeps_nothing(values: Any, out: Any) -> tuple[Any, ...]:
    return ()


def _leaves(value: Any) -> Iterator[Any]:
    """What stands in nested tuples, named tuples, lists and dicts."""
    if type(value) is dict:
        value = tuple(value.values())
    if type(value) in (tuple, list) or _is_named_tuple(value):
        for part in value:
            yield from _leaves(part)
    else:
        yield value


def _mapped(function: Callable[[Any], Any], value: Any) -> Any:
    """The same structure, `function` applied to each of its `_leaves`."""
    if type(value) is dict:
        return {key: _mapped(function, part) for key, part in value.items()}
    if type(value) in (tuple, list):
        return type(value)([_mapped(function, part) for part in value])
    if _is_named_tuple(value):
        return value._make([_mapped(function, part) for part in value])
    return function(value)


def _is_named_tuple(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(value, "_make")


_DIFFERS = (
    "{place}: in the backward pass {name} was called again, with the same arguments, and {what}. "
    "The gradient would be wrong. A checkpointed function must do the same each time: no counters, "
    "no random numbers but the library's, and between forward and backward no change of what it "
    "reads, nor of train() and eval()."
)
