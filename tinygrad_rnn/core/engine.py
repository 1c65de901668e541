"""The reverse walk: from results back to leaves, newest operation first.

Nodes are numbered in the order of their creation, and an operation is always newer than what it was
made from. So descending serial numbers visit every node after all its consumers: no recursion, and
one pass over the graph, however long the sequence.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from operator import attrgetter
from typing import Any, TypeAlias

import numpy as np

from .anomaly import check_fingerprints, watch_backward
from .compiled import OUT, Plan
from .context import Context, current, within
from .errors import DtypeError, GraphError, RuleError
from .graph import At, Change, Constant, Node, Output, leads_to
from .primitive import is_tensor, wrap

# What a cotangent belongs to: a node, one output of a node, or a leaf Tensor.
Key: TypeAlias = Any


def key_of(tensor: Any) -> Key:
    """The record that stands for a Tensor in the graph."""
    return tensor if tensor._node is None else tensor._node


class Cotangents:
    """A table of cotangents, added up as they arrive.

    The first is kept as it came; the second makes a new array, which is ours; from the third on the
    sum goes in place. A weight that T steps share costs one buffer.
    """

    def __init__(self) -> None:
        self.values: dict[Key, Any] = {}
        self.owned: set[Key] = set()

    def add(self, key: Key, g: Any) -> None:
        """Adds `g` to what `key` has."""
        total = self.values.get(key)
        if total is None:
            if type(g) is At:
                total = np.zeros(g.shape, g.values.dtype)
                g.add_to(total)
                self.owned.add(key)
                g = total
            self.values[key] = g
        elif type(g) is At:
            if key not in self.owned:
                total = self.values[key] = np.array(total)
                self.owned.add(key)
            g.add_to(total)
        elif key in self.owned and total.dtype == g.dtype and type(total) is np.ndarray:
            total += g
        else:
            self.values[key] = total + g
            self.owned.add(key)

    def take(self, key: Key) -> Any:
        """Removes and returns what `key` has, or None."""
        self.owned.discard(key)
        return self.values.pop(key, None)

    def own(self, key: Key) -> Any:
        """What `key` has, in memory that nothing else refers to; None if it has nothing."""
        g = self.values.get(key)
        if g is None or key in self.owned:
            return g
        if not is_tensor(g):
            return np.array(g)
        if g._requires_grad and g._node is None:
            return g.copy()  # the caller's own cotangent, come through unchanged
        return wrap(np.array(g._data), g._node if g._requires_grad else None)


def backward(
    outputs: Sequence[Any],
    cotangents: Sequence[Any],
    retain_graph: bool = False,
    create_graph: bool = False,
) -> None:
    """Adds, to the `.grad` of every leaf that `outputs` depend on, its gradient."""
    with _recording(create_graph):
        table = _walk(outputs, cotangents, None, retain_graph or create_graph, create_graph)
        for leaf in [key for key in table.values if is_tensor(key)]:
            g = _settle(table.own(leaf), leaf)
            leaf._grad = g if leaf._grad is None else _plus(leaf._grad, g, create_graph)


def gradients(
    outputs: Sequence[Any],
    inputs: Sequence[Any],
    cotangents: Sequence[Any],
    retain_graph: bool = False,
    create_graph: bool = False,
) -> list[Any]:
    """The gradient of each of `inputs`, or None where `outputs` don't depend on it."""
    keys = [key_of(x) for x in inputs]
    found = []
    with _recording(create_graph):
        table = _walk(outputs, cotangents, set(keys), retain_graph or create_graph, create_graph)
        for key, x in zip(keys, inputs, strict=True):
            g = table.own(key)
            table.owned.discard(key)  # an input that is listed twice gets two arrays
            found.append(None if g is None else _settle(g, x))
    return found


def propagate(output: Any, cotangent: Any) -> None:
    """A backward pass for the recording that is active: no `.grad` is touched.

    The graph is kept.
    """
    _walk([output], [cotangent], None, retain_graph=True, create_graph=False)


def boundary(outputs: Sequence[Any], since: int) -> list[Key]:
    """What the operations newer than number `since`, that lead to `outputs`, took from outside.

    These are the leaves among their arguments, and the results of operations up to that number, in
    the order of their first use.
    """
    found: dict[Key, None] = {}
    nodes, _ = _reachable([key_of(out) for out in outputs], since)
    for node in reversed(nodes):
        for argument in node.arguments:
            maker = argument.node if type(argument) is Output else argument
            old = type(maker) is Node and maker.serial <= since
            if old or (is_tensor(argument) and argument._requires_grad):
                found[argument] = None
    return list(found)


def nodes_since(records: Sequence[Key], since: int) -> list[Node]:
    """The nodes newer than number `since` that lead to `records`, oldest first."""
    nodes, _ = _reachable(records, since)
    return nodes[::-1]


def pulled_back(
    outputs: Sequence[Any],
    cotangents: Sequence[Any],
    records: Sequence[Key],
    since: int,
    create_graph: bool,
) -> list[tuple[Key, Any]]:
    """Pairs of each of `records`, from the `boundary`, and its cotangent or None."""
    table = _walk(outputs, cotangents, set(records), create_graph, create_graph, since)
    return [(record, table.values.get(record)) for record in records]


def _recording(create_graph: bool) -> AbstractContextManager[None]:
    """Records what a pass under create_graph does, also within no_grad."""
    now = current()
    inside = Context(True, now.scope, now.anomaly, now.record, now.tracer)
    return within(inside) if create_graph else nullcontext()


def _walk(
    outputs: Sequence[Any],
    cotangents: Sequence[Any],
    wanted: set[Key] | None,
    retain_graph: bool,
    create_graph: bool,
    since: int = 0,
) -> Cotangents:
    """Pulls `cotangents` back from `outputs`; the table returned holds the leaves and `wanted`.

    Nodes numbered up to `since` are treated as leaves.
    """
    nodes, branches = _reachable([key_of(out) for out in outputs], since)
    passed = set(nodes)  # the nodes whose rules are used
    if wanted is not None:
        useful, passed = _leading_to(wanted, nodes)
        nodes = [node for node in nodes if node in useful]
    for node in nodes:
        if node in passed:
            _require_usable(node)
    table = Cotangents()
    for out, g in zip(outputs, cotangents, strict=True):
        table.add(key_of(out), g if create_graph else g._data)
    captured: dict[Key, Any] = {}
    anomaly, record = current().anomaly, current().record
    noted = None if record is None else record.fresh()
    values, owned = table.values, table.owned
    for node in nodes:
        if node in branches:
            g = _collect(table, node, branches[node], wanted, captured)
        else:
            g = values.pop(node, None)
            if owned:
                owned.discard(node)
            if wanted is not None and node in wanted:
                captured[node] = g
        if noted is not None:
            noted.note_cotangent(node, g, branches.get(node, ()))
        if g is None or node not in passed:
            continue
        plan = node.plan if wanted is None else node.operation.narrowed(node, useful)
        for target, contribution in _pulled(node, plan, g, create_graph):
            if contribution is None:
                continue
            if anomaly:
                watch_backward(node, g, contribution)
            if contribution.shape != target.shape:
                contribution = _sum_to(contribution, target.shape, node)
            if noted is not None and is_tensor(target):
                noted.note_contribution(target, node, contribution)
            if target in values or type(contribution) is At:
                table.add(target, contribution)
            else:
                values[target] = contribution
        if not retain_graph:
            node.saved = None
    if record is not None and noted is not None:
        for leaf in filter(is_tensor, values):
            noted.note_gradient(leaf, values[leaf])
        record.add(noted)
    values.update((k, g) for k, g in captured.items() if g is not None)
    return table


def _require_usable(node: Node) -> None:
    """Raises if what the rules of `node` need is gone, or isn't what it was."""
    if node.saved is None:
        raise GraphError(_SECOND_BACKWARD.format(place=node.place))
    if node.serial < Change.latest:
        _check_unchanged(node)
    if current().anomaly:
        check_fingerprints(node)


def _pulled(node: Node, plan: Plan, g: Any, create_graph: bool) -> Iterable[tuple[Any, Any]]:
    """What the rules of `node` make of its cotangent: pairs of (argument, its cotangent)."""
    try:
        if not create_graph:
            return plan.pullback(g, node.saved, node.arguments)
        now = current()
        with within(Context(True, node.scope.reversed(), now.anomaly, now.record, now.tracer)):
            return plan.pullback(g, _lift(node), node.arguments)
    except (ValueError, TypeError, IndexError) as error:
        raise RuleError(f"a rule of {node.place} failed: {error}") from error


def _reachable(roots: Iterable[Key], since: int = 0) -> tuple[list[Node], dict[Node, list[Output]]]:
    """The nodes that lead to `roots`, newest first, and the used outputs of those with several.

    Nodes numbered up to `since`, and what is behind them, are left out.
    """
    seen: set[Key] = set()
    branches: dict[Node, list[Output]] = {}
    pending = list(roots)
    nodes = []
    while pending:
        key = pending.pop()
        if type(key) is Output:
            if key in seen:
                continue
            seen.add(key)
            branches.setdefault(key.node, []).append(key)
            key = key.node
        if type(key) is Node and key.serial > since and key not in seen:
            seen.add(key)
            nodes.append(key)
            for argument in key.arguments:
                if type(argument) is Node or type(argument) is Output:
                    pending.append(argument)
    nodes.sort(key=attrgetter("serial"), reverse=True)
    return nodes, branches


def _leading_to(wanted: set[Key], nodes: Sequence[Node]) -> tuple[set[Key], set[Node]]:
    """`wanted` and what depends on any of it; and of these, the nodes to pull through.

    `nodes` come newest first. A wanted node that nothing else wanted lies behind is not in the
    second set: its cotangent is taken, and its rules aren't needed.
    """
    useful = set(wanted)
    useful.update(key.node for key in wanted if type(key) is Output)
    passed = set()
    for node in reversed(nodes):
        if any(leads_to(argument, useful) for argument in node.arguments):
            useful.add(node)
            passed.add(node)
    return useful, passed


def _collect(
    table: Cotangents,
    node: Node,
    outputs: Sequence[Output],
    wanted: set[Key] | None,
    captured: dict[Key, Any],
) -> tuple[Any, ...] | None:
    """The cotangents of all results of `node`: None for one that was not used, or if none was."""
    gs: list[Any] = [None] * len(node.shape)
    for output in outputs:
        gs[output.index] = table.take(output)
        if wanted is not None and output in wanted:
            captured[output] = gs[output.index]
    return None if all(g is None for g in gs) else tuple(gs)


def _lift(node: Node) -> list[Any]:
    """The saved arrays of `node` as Tensors in their places in the graph."""
    assert node.saved is not None
    lifted = []
    for record, value in _saved_records(node):
        if type(value) is tuple:
            raise RuleError(f"a rule of {node.place}, which has several results, can't name `out`")
        if type(record) in (Node, Output):
            value = wrap(value, record)
        elif is_tensor(record):
            value = record
        lifted.append(value)
    return lifted


def _saved_records(node: Node) -> Iterable[tuple[Any, Any]]:
    """Pairs of (graph record, saved array) for what `node` keeps."""
    assert node.saved is not None
    positions = node.plan.kept or range(len(node.arguments) - len(node.saved), len(node.arguments))
    for position, value in zip(positions, node.saved, strict=True):
        yield (node if position == OUT else node.arguments[position]), value


def _check_unchanged(node: Node) -> None:
    """Raises if the library changed, in place, an array that `node` has kept for its rules."""
    for record, value in _saved_records(node):
        for origin in views(record):
            change = getattr(origin, "change", None)
            if (
                change is not None
                and change.serial > node.serial
                and (
                    origin is record
                    or not is_tensor(origin)
                    or np.may_share_memory(value, origin._data)
                )
            ):
                raise GraphError(_CHANGED.format(name=describe(origin), place=node.place))


def views(record: Any) -> Iterator[Any]:
    """`record`; if that is a view, what it is a view of; and so on, down to what isn't one."""
    yield record
    while True:
        maker = record.node if type(record) is Output else record
        if type(maker) is not Node or not maker.operation.view:
            return
        record = maker.arguments[0]
        yield record


def describe(record: Any) -> str:
    """A record as messages call it."""
    if type(record) is Output:
        record = record.node
    if type(record) is Node:
        return f"the result of {record.place}"
    kind = "constant" if type(record) is Constant else "tensor"
    return f"the {kind} {record.name!r}" if record.name else f"a {kind} of shape {record.shape}"


def _sum_to(g: Any, shape: tuple[int, ...], node: Node) -> Any:
    """Sums `g` over the axes along which its argument, of `shape`, was broadcast."""
    axes = _broadcast_axes(g.shape, shape)
    if axes is None:
        raise RuleError(
            f"a rule of {node.place} returned a gradient of shape {g.shape} for an argument of "
            f"shape {shape}"
        )
    if any(g.shape[axis] != 1 for axis in axes):
        if type(g) is np.ndarray:
            g = np.add.reduce(g, axis=axes, keepdims=True)
        else:
            g = g.sum(axis=axes, keepdims=True)
    return g.reshape(shape)


@functools.lru_cache(maxsize=1024)
def _broadcast_axes(wide: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """The axes of `wide` along which an array of `shape` is broadcast; None if it can't be."""
    extra = len(wide) - len(shape)
    if extra < 0 or any(n not in (1, wide[i + extra]) for i, n in enumerate(shape)):
        return None
    stretched = (i + extra for i, n in enumerate(shape) if n == 1 and wide[i + extra] != 1)
    return (*range(extra), *stretched)


def _settle(g: Any, x: Any) -> Any:
    """The gradient as a Tensor of the dtype of `x`."""
    if g.dtype.kind != "f":
        raise DtypeError(f"a gradient came out as {g.dtype}; only real numbers are supported")
    if is_tensor(g):
        return g if g.dtype == x.dtype else g.astype(x.dtype)
    return wrap(np.asarray(g, dtype=x.dtype))


def _plus(old: Any, new: Any, create_graph: bool) -> Any:
    return old + new if create_graph else wrap(old._data + new._data)


_SECOND_BACKWARD = (
    "backward a second time through {place}: what its rule needs was released by the first pass. "
    "Usually this is a recurrent state kept from the previous batch: cut it with "
    "tg.rnn.detach(state), or h.detach(), before using it again. Or two losses share "
    "a graph: add them and call backward once."
)

_CHANGED = (
    "{name} was changed in place after {place} had used it, so the gradient would be wrong. Change "
    "it after backward(), or run the forward pass again."
)
