"""From Tensors to plain data: the nodes and edges that lead to them.

No step of it is recursive, and the numbering depends on the graph alone.
"""

from __future__ import annotations

import functools
import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..core.graph import Constant, Node, Operation, Output
from ..core.recording import Recording
from ..tensor import Tensor
from .places import Places
from .records import GraphEdge, GraphNode, Shape
from .steps import outside_steps
from .unfold import Unfolding
from .values import Noted

# How an operation reads whose first operand is a plain number.
_INFIX = {"subtract": "-", "divide": "/", "power": "^"}
_LONGEST_VALUE = 24
_MADE = (Node, Output)
_ARRAYS = (*_MADE, Constant, Tensor)


def collect(
    outputs: Iterable[Tensor], recording: Recording | None = None
) -> tuple[tuple[GraphNode, ...], tuple[GraphEdge, ...]]:
    """The nodes and edges that lead to `outputs`, in canonical order.

    Args:
        outputs: whose making is asked for.
        recording: what knows the values and gradients of the nodes, if anything.
    """
    made = [tensor if tensor._node is None else tensor._node for tensor in outputs]
    with _no_collections():
        unfolding = Unfolding()
        records = [unfolding.resolve(record) for record in made]
        operations = sorted(_operations(records, unfolding), key=unfolding.order)
        survey = _Survey(unfolding, Places(node.scope for node in operations))
        for node in operations:
            survey.add_operation(node)
        for record in records:
            survey.add_output(record)
        return tuple(survey.nodes(Noted(recording))), tuple(survey.edges)


@contextmanager
def _no_collections() -> Iterator[None]:
    """Pauses the search for garbage, which finds none while a graph is made, and takes long."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _operations(records: Iterable[Any], unfolding: Unfolding) -> set[Node]:
    """All operations that lead to `records`."""
    found: set[Node] = set()
    pending = [_maker(record) for record in records]
    while pending:
        record = pending.pop()
        if isinstance(record, Node) and record not in found:
            found.add(record)
            pending += [_maker(a) for a in unfolding.arguments(record) if isinstance(a, _MADE)]
    return found


def _maker(record: Any) -> Any:
    return record.node if isinstance(record, Output) else record


class _Survey:
    """Numbers the records of a graph and notes how they are connected."""

    def __init__(self, unfolding: Unfolding, where: Places) -> None:
        self._unfolding = unfolding
        self._where = where
        self.edges: list[GraphEdge] = []
        # By identity: records have no value to compare, and the graph keeps them alive.
        self._ids: dict[int, str] = {}
        self._records: list[Any] = []
        self._places: dict[int, tuple[str, ...]] = {}
        self._outputs: set[int] = set()

    def add_operation(self, node: Node) -> None:
        path = self._where.path(node.scope)
        arguments = self._unfolding.arguments(node)
        names = _argument_names(node.operation, len(arguments))
        used = [
            (name, a) for name, a in zip(names, arguments, strict=True) if isinstance(a, _ARRAYS)
        ]
        for _, argument in used:
            if not isinstance(argument, _MADE):
                self._add_use(argument, path)
        target = self._number(node)
        self._places[id(node)] = path
        self.edges += [self._edge(argument, target, name) for name, argument in used]

    def add_output(self, record: Any) -> None:
        maker = _maker(record)
        self._number(maker)
        self._places.setdefault(id(maker), ())
        self._outputs.add(id(maker))

    def _number(self, record: Any) -> str:
        if id(record) not in self._ids:
            self._ids[id(record)] = f"n{len(self._records)}"
            self._records.append(record)
        return self._ids[id(record)]

    def _add_use(self, leaf: Any, path: tuple[str, ...]) -> None:
        """A leaf stands in the innermost box that all its uses are in."""
        self._number(leaf)
        known = self._places.get(id(leaf), path)
        self._places[id(leaf)] = _common(known, path)

    def _edge(self, argument: Any, target: str, name: str) -> GraphEdge:
        if not isinstance(argument, Output):
            return GraphEdge(self._ids[id(argument)], target, name)
        label = argument.name or f"[{argument.index}]"
        return GraphEdge(self._ids[id(argument.node)], target, name, argument.index, label)

    def nodes(self, noted: Noted) -> Iterator[GraphNode]:
        known = noted.values(self._records), noted.gradients(self._records)
        for record, value, gradient in zip(self._records, *known, strict=True):
            make = _operation if isinstance(record, Node) else _leaf
            yield make(
                record,
                id=self._ids[id(record)],
                place=self._places[id(record)],
                is_output=id(record) in self._outputs,
                value=value,
                gradient=gradient,
            )


def _operation(node: Node, place: tuple[str, ...], **given: Any) -> GraphNode:
    several = isinstance(node.dtype, tuple)
    shapes: tuple[Shape, ...] = node.shape if several else (node.shape,)
    dtypes = node.dtype if several else (node.dtype,)
    return GraphNode(
        kind="operation",
        label=node.operation.name,
        name=node.name,
        detail=_plain_arguments(node),
        shapes=shapes,
        dtypes=tuple([_dtype_text(d) for d in dtypes]),
        scope=place,
        backward=node.scope.backward,
        **given,
    )


def _leaf(record: Any, place: tuple[str, ...], **given: Any) -> GraphNode:
    learnt = bool(getattr(record, "requires_grad", False))
    return GraphNode(
        kind="parameter" if learnt else "input",
        label="parameter" if learnt else "input" if record.shape else "constant",
        name=getattr(record, "label", None) or record.name,
        shapes=(record.shape,),
        dtypes=(_dtype_text(record.dtype),),
        scope=outside_steps(place) if learnt else place,
        **given,
    )


# NumPy takes longer to spell a dtype than the rest of a node takes to make.
_dtype_text = functools.cache(str)


def _common(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
    if a == b:
        return a
    length = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        length += 1
    return a[:length]


def _argument_names(operation: Operation, count: int) -> Sequence[str]:
    """The names of so many arguments; those of the last that takes any number have numbers."""
    names = operation.names
    if count == len(names):
        return names
    *first, several = names
    return [*first, *(f"{several}[{k}]" for k in range(count - len(first)))]


def _plain_arguments(node: Node) -> str:
    """The arguments that are not arrays, as in ``axis=0``, ``2`` or ``[:, 0]``."""
    plain = [(k, v) for k, v in enumerate(node.arguments) if not isinstance(v, _ARRAYS)]
    if not plain:
        return ""
    operation, parts = node.operation, []
    names = _argument_names(operation, len(node.arguments))
    for position, value in plain:
        if value is None or value is False:
            continue
        name, text = names[position], _short(value)
        if name in operation.arrays:
            sign = _INFIX.get(operation.name) if position == 0 else None
            parts.append(f"{text} {sign} ·" if sign else text)
        elif name == "index":
            parts.append(f"[{_short(value, brackets=False)}]")
        else:
            parts.append(f"{name}={text}")
    return " ".join(parts)


def _short(value: Any, brackets: bool = True) -> str:
    text = _plain(value, brackets)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def _plain(value: Any, brackets: bool = True) -> str:
    """A plain value as text that doesn't depend on the run: no address, no array's values."""
    if isinstance(value, (tuple, list)):
        inner = ", ".join(_plain(v) for v in value[:_LONGEST_VALUE])
        comma = "," if brackets and len(value) == 1 else ""
        return f"({inner}{comma})" if brackets else inner
    if isinstance(value, slice):
        ends = [value.start, value.stop] + ([value.step] if value.step is not None else [])
        return ":".join("" if e is None else _plain(e) for e in ends)
    if value is Ellipsis:
        return "..."
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (np.ndarray, Constant)):
        return f"{value.dtype}{value.shape}"
    if isinstance(value, (bool, int, str, np.generic, np.dtype, type(None))):
        return str(value)
    return str(getattr(value, "__name__", type(value).__name__))
