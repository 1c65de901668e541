"""The records a graph is made of.

A `Node` is one operation that was carried out. Its `arguments` are the edges: another node, an
output of a node with several, a leaf Tensor, a `Constant`, or a plain Python value such as an axis.
Nodes point to what they were made from and never to the Tensors made from them, so a graph has no
reference cycles and disappears as soon as its last result does.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple, Protocol

import numpy as np

from .compiled import Plan
from .context import Scope, join_names

next_serial = itertools.count(1).__next__


class Change:
    """When the library last changed values in place; shared by all that show the same memory.

    Nodes and changes are numbered by the same counter: a value that a node kept is stale when its
    last change has a larger number than the node. Recording a node costs nothing for it.
    """

    __slots__ = ("serial",)
    latest = 0  # of all changes

    def __init__(self) -> None:
        self.serial = 0

    def mark(self) -> None:
        """A change has just been made."""
        self.serial = Change.latest = next_serial()


class Operation(Protocol):
    """What a graph knows of a primitive."""

    name: str
    names: tuple[str, ...]
    arrays: tuple[str, ...]
    view: bool

    def narrowed(self, node: Node, useful: set[Any]) -> Plan:
        """The plan of `node`, pulling back only to arguments in `useful`."""


class Node:
    """One operation that was carried out, with what its rules need.

    Attributes:
        operation: the primitive.
        arguments: its arguments in order: graph records for arrays, plain values for the rest.
        saved: the arrays its rules name, or None once a backward pass has released them.
        plan: how to pull a cotangent back to the arguments that need one.
        shape, dtype: of the result (tuples of them if there are several results).
        name: given by `Tensor.named`, for pictures and traces.
        scope: where it was made.
        serial: its number in the order of creation.
        change: when its result was last changed in place, or None.
    """

    __slots__ = (
        "__weakref__",
        "arguments",
        "change",
        "dtype",
        "name",
        "operation",
        "plan",
        "saved",
        "scope",
        "serial",
        "shape",
    )

    def __init__(
        self,
        operation: Operation,
        arguments: tuple[Any, ...],
        saved: tuple[Any, ...] | None,
        plan: Plan,
        shape: Any,
        dtype: Any,
        scope: Scope,
    ) -> None:
        self.operation = operation
        self.arguments = arguments
        self.saved = saved
        self.plan = plan
        self.shape = shape
        self.dtype = dtype
        self.scope = scope
        self.name: str | None = None
        self.serial = next_serial()
        self.change: Change | None = None

    @property
    def place(self) -> str:
        """Scope and operation, as in ``lstm.l0[t=3].matmul``."""
        return join_names((*self.scope.names(), self.operation.name))

    def __repr__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        return f"<Node {self.serial} {self.place}{name} {self.shape}>"


class Output:
    """One of several results of a node."""

    __slots__ = ("change", "dtype", "index", "name", "node", "shape")

    def __init__(self, node: Node, index: int, shape: tuple[int, ...], dtype: Any) -> None:
        self.node = node
        self.index = index
        self.shape = shape
        self.dtype = dtype
        self.name: str | None = None
        self.change: Change | None = None


class Constant:
    """An array without a gradient: what it was, without its values."""

    __slots__ = ("change", "dtype", "name", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: Any, name: str | None = None) -> None:
        self.shape = shape
        self.dtype = dtype
        self.name = name
        self.change: Change | None = None


class At(NamedTuple):
    """A cotangent that is zero except at `index`, where it is `values`.

    The rule of indexing returns it, and the engine adds it into one buffer: T slices of a sequence
    cost one buffer of the sequence's size, not T.
    """

    index: Any
    values: np.ndarray
    shape: tuple[int, ...]

    def add_to(self, total: np.ndarray) -> None:
        """Adds the cotangent to `total` in place; an element that is indexed twice gets both."""
        index, values = self.index, self.values
        if is_basic(index):
            total[index] += values
        elif isinstance(index, np.ndarray) and index.dtype.kind in "iu" and index.size:
            _add_rows(total, index.ravel(), values.reshape((index.size, *total.shape[1:])))
        else:
            np.add.at(total, index, values)


def _add_rows(total: np.ndarray, rows: np.ndarray, values: np.ndarray) -> None:
    """``np.add.at(total, rows, values)``, several times faster: equal rows are summed first."""
    rows = rows.astype(np.intp) % len(total)
    order = np.argsort(rows, kind="stable")
    rows = rows[order]
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    total[rows[starts]] += np.add.reduceat(values[order], starts, axis=0)


def leads_to(argument: Any, useful: set[Any]) -> bool:
    """Whether an argument of a node is one of the graph's records in `useful`."""
    if isinstance(argument, Output):
        return argument in useful or argument.node in useful
    if isinstance(argument, Node):
        return argument in useful
    # Plain values needn't be hashable; a leaf is the only other record with a gradient.
    return getattr(argument, "requires_grad", False) and argument in useful


def is_basic(index: Any) -> bool:
    """True for an index made of integers, slices, None and Ellipsis: it selects a view."""
    parts = index if type(index) is tuple else (index,)
    return all(part is None or part is Ellipsis or type(part) in (slice, int) for part in parts)
