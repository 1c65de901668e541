"""Noting what a graph doesn't keep: values on the way forward, gradients on the way back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from .context import Context, Scope, current, within
from .graph import At, Constant, Node, Output, next_serial
from .primitive import is_tensor


class Loop(NamedTuple):
    """A run of a cell over time that has announced itself.

    Attributes:
        scope: in which the scopes ``t=0``, ``t=1``, … of its steps stand.
        reverse: whether it goes from the last step to the first.
        mask: booleans, the real steps True, shape (T, N); None if all are.
        serial: a number between those of the nodes before it and those in it.
    """

    scope: Scope
    reverse: bool
    mask: np.ndarray | None
    serial: int


class Recording:
    """The values and gradients of every operation made, or gone back through, while it was active.

    Arrays are kept as they were, in read-only copies. What several backward passes bring adds up.

    Attributes:
        values: of each record of the graph, in the order of their making. A leaf or constant has
            those of its first use. What is made under `no_grad`, or of constants alone, has no
            record.
        gradients: of each record that a backward pass reached.
        loops: the runs over time, in order.
    """

    def __init__(self) -> None:
        self.values: dict[Any, np.ndarray] = {}
        self.gradients: dict[Any, np.ndarray] = {}
        self.loops: list[Loop] = []
        self._contributions: dict[Any, list[tuple[Node, np.ndarray | At]]] = {}
        self._constants: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def value(self, of: Any) -> np.ndarray | None:
        """The values of a Tensor, or of a record of the graph; None if nothing here used it."""
        return self.values.get(_record_of(of))

    def gradient(self, of: Any) -> np.ndarray | None:
        """The gradient of a Tensor, or of a record; None if no backward pass here reached it."""
        return self.gradients.get(_record_of(of))

    def contributions(self, leaf: Any) -> Iterator[tuple[Node, np.ndarray]]:
        """The parts of a leaf's gradient: each node that used it, and what came through there.

        They add up to the leaf's gradient.
        """
        for node, part in self._contributions.get(leaf, ()):
            if type(part) is At:
                whole = np.zeros(part.shape, part.values.dtype)
                part.add_to(whole)
                yield node, whole
            else:
                assert type(part) is np.ndarray
                yield node, part

    def add_loop(self, scope: Scope, reverse: bool = False, mask: np.ndarray | None = None) -> None:
        """Announces a run over time, before its first step; see `Loop`."""
        mask = None if mask is None else np.array(mask, dtype=bool)
        self.loops.append(Loop(scope, bool(reverse), mask, next_serial()))

    def note_forward(
        self,
        made: Sequence[Node | Output],
        results: Sequence[Any],
        records: Sequence[Any],
        values: Sequence[Any],
    ) -> None:
        """Notes the results of an operation, and those of its arguments that no operation made."""
        for record, value in zip(records, values, strict=True):
            if type(record) is Constant:
                if record not in self.values:
                    self.values[record] = self._constant(value)
            elif is_tensor(record) and record not in self.values:
                self.values[record] = _copy(value)
        for key, result in zip(made, results, strict=True):
            self.values[key] = _copy(result)

    def note_cotangent(self, node: Node, g: Any, outputs: Iterable[Output]) -> None:
        """Notes the whole cotangent of a node; of one with several results, a tuple of them."""
        if type(g) is not tuple:
            self.note_gradient(node, g)
            return
        for output in outputs:
            self.note_gradient(output, g[output.index])

    def note_gradient(self, key: Any, g: Any) -> None:
        """Adds to the gradient of a record."""
        if g is not None:
            self._add_gradient(key, _copy(g))

    def _add_gradient(self, key: Any, g: np.ndarray) -> None:
        before = self.gradients.get(key)
        self.gradients[key] = g if before is None else _frozen(before + g)

    def note_contribution(self, leaf: Any, node: Node, part: Any) -> None:
        """Notes what came to `leaf` through `node`."""
        # the index of an At is the node's own: nobody else can change it
        noted = part._replace(values=_copy(part.values)) if type(part) is At else _copy(part)
        self._contributions.setdefault(leaf, []).append((node, noted))

    def fresh(self) -> Recording:
        """An empty one, for a single backward pass: it is added when the pass has succeeded."""
        return Recording()

    def add(self, noted: Recording) -> None:
        """Adds the gradients that another recording has noted."""
        for key, g in noted.gradients.items():
            self._add_gradient(key, g)
        for leaf, parts in noted._contributions.items():
            self._contributions.setdefault(leaf, []).extend(parts)

    def _constant(self, value: Any) -> np.ndarray:
        """A copy of an array without a gradient; one for all the steps that use the array."""
        known = self._constants.get(id(value))
        if known is not None and np.array_equal(known[0], known[1]):
            return known[1]
        noted = _copy(value)
        self._constants[id(value)] = value, noted  # kept with it, so that its id stays its own
        return noted


@contextmanager
def record() -> Iterator[Recording]:
    """Notes, for every operation made inside, its values; and the gradients of backward passes.

    The graph itself keeps only what derivatives need; the values on the way and the gradients of
    results on the way are gone after a pass. Inside ``with tg.record() as recording:`` they are
    noted, for pictures and for a look inside:

        recording.value(h)       the values of a Tensor when it was made, an ndarray or None
        recording.gradient(h)    dL/dh, whatever was differentiated inside; an ndarray or None

    Two backward passes inside add up. Of nested recordings the inner one notes what happens inside
    it. Every array is copied, and of a weight that T steps share each step's part of the gradient
    is kept: memory for T gradients, as long as the recording lives.

    >>> import tinygrad_rnn as tg
    >>> w = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> with tg.record() as recording:
    ...     h = w * w
    ...     (3 * h).sum().backward()
    >>> recording.value(h), recording.gradient(h)
    (array([1., 4.]), array([3., 3.]))
    """
    recording = Recording()
    now = current()
    with within(Context(now.recording, now.scope, now.anomaly, recording)):
        yield recording


def _record_of(of: Any) -> Any:
    """The record of a Tensor in its graph; a record is taken as it is."""
    if is_tensor(of):
        return of if of._node is None else of._node
    if not isinstance(of, (Node, Output, Constant)):
        raise TypeError(
            f"a recording knows Tensors and the records of a graph, not {type(of).__name__}"
        )
    return of


def _bare(value: Any) -> np.ndarray:
    return value._data if is_tensor(value) else np.asarray(value)


def _copy(value: Any) -> np.ndarray:
    return _frozen(np.array(_bare(value)))


def _frozen(array: Any) -> np.ndarray:
    array = np.asarray(array)
    array.flags.writeable = False
    return array
