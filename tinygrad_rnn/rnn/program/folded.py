"""All steps of a cell as one node of the graph, carried out by the program of its step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from ...core import engine
from ...core.compiled import Plan
from ...core.context import Context, current, within
from ...core.errors import GraphError
from ...core.graph import Node, Output, leads_to, next_serial
from ...core.primitive import is_tensor, wrap
from ..cells import Cell
from ..states import like, map_parts, parts_of
from .finding import of_any_cell, of_own_cell, record_of
from .functions import Program
from .run import Run

_unrolled: ContextVar[bool] = ContextVar("tinygrad_rnn.unrolled", default=False)


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


def fold(
    cell: Any,
    xs: Any,
    state: Any,
    reverse: bool,
    real: np.ndarray | None,
    unroll: Callable[..., Any],
    rest: tuple[Any, ...],
) -> tuple[Any, Any] | None:
    """All steps of a cell by its program; None if they have to be carried out one by one.

    Args:
        cell, xs, state: as `scan` has them.
        reverse: whether to go from the last step to the first.
        real: (T, N), which steps are real; None if all are.
        unroll: ``unroll(cell, xs, state, *rest)`` carries out the steps one by one.
    """
    context = current()
    looked_at = context.anomaly or context.record is not None or context.tracer is not None
    if _unrolled.get() or looked_at or xs.dtype.kind != "f":
        return None
    parts = parts_of(state)
    if not xs.size or not all(hasattr(part, "dtype") for part in parts):
        return None
    way = real is not None, reverse
    found = of_own_cell(cell, xs, state, way) or of_any_cell(cell, xs, state, way)
    if found is None:
        return None
    program, tensors, arrays, wanted = found
    if real is not None and real.ndim == 2 and not program.of_rows:
        return None
    with np.errstate(all="ignore"):
        run = Run(program, len(parts), real, reverse)
        y, finals, saved = run.forward(arrays)
    if not any(wanted):
        return wrap(y), _final(program, state, map(wrap, finals))
    operation = _Scan(run, wanted, cell, state, unroll, rest)
    records = [record_of(t) for t in tensors]
    results = (y, *finals)
    node = Node(
        operation,
        ("program", *records),
        (saved, *arrays),
        operation.plan(),
        tuple([part.shape for part in results]),
        tuple([part.dtype for part in results]),
        context.scope,
    )
    made = [
        wrap(part, Output(node, i, part.shape, part.dtype) if depends else None)
        for i, (part, depends) in enumerate(zip(results, program.reaches, strict=True))
    ]
    return made[0], _final(program, state, made[1:])


def _final(program: Program, state: Any, results: Iterable[Any]) -> Any:
    """The final state; what the cell hands on is what it was given."""
    parts = zip(parts_of(state), results, program.passes, strict=True)
    return like(state, [old if passes else new for old, new, passes in parts])


class _Scan:
    """The operation of a folded node: what one run of a program was."""

    name = "scan"
    names: tuple[str, ...] = ("program", "arrays")
    arrays: tuple[str, ...] = ("arrays",)
    view = False

    def __init__(
        self,
        run: Run,
        wanted: Sequence[bool],
        cell: Any,
        state: Any,
        unroll: Callable[..., Any],
        rest: tuple[Any, ...],
    ) -> None:
        self.run = run
        self.wanted = wanted
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
        with np.errstate(all="ignore"):
            found = self.run.backward(g, saved)
        moving = [
            on for part, on in zip(g, self.run.program.reaches, strict=True) if part is not None
        ]
        reached = frozenset[int]().union(*moving)
        return [
            (argument, gradient)
            for k, (argument, gradient) in enumerate(zip(arguments[1:], found, strict=True))
            if wanted[k] and k in reached
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
