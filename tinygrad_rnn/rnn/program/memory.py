"""Where the results of the forward loop are kept, and which of them share an array."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from .notation import is_view, view_edges
from .steps import Instruction, Value

# "state": a place in the array of a state; "lifted": an array made before the loop for all steps.
Kind = Literal["one", "all", "state", "lifted"]

# What reads its arguments again after it has begun to write.
_NOT_IN_PLACE = frozenset(
    {"linear", "matmul", "concatenate", "where", "sum", "mean", "inverse_rms", "stacked"}
)


class Memory:
    """The arrays of a loop.

    A result takes the memory of an argument that is needed no more. The loop is gone through from
    its end: what has to be there for all steps in the end says so to what it shares with.

    Args:
        loop: its instructions.
        lifted: the results that are made before it, each in an array of its own.
        states: the new states.
        needed: what is read after the loop.

    Attributes:
        kinds: of each result of the loop that isn't a view and takes nobody's memory.
        shared: for each result that takes the memory of an earlier value: that value.
    """

    def __init__(
        self,
        loop: Sequence[Instruction],
        lifted: Iterable[Value],
        states: Sequence[Value],
        needed: set[Value],
    ) -> None:
        self.shared: dict[Value, Value] = {}
        self._views = {r: i for i in loop if is_view(i) for r in i.results}
        self._states = set(states)
        self._needed = needed | self._states
        made = [r for i in loop if not is_view(i) for r in i.results]
        self._own: dict[Value, Kind] = dict.fromkeys(lifted, "lifted")
        self._own |= {v: "state" if v in self._states else "one" for v in made}
        self._parts = self._overlaps()
        self._last: dict[Value, int] = {}
        for k, instruction in enumerate(loop):
            if not is_view(instruction):
                self._last.update(dict.fromkeys(instruction.values(), k))
        for value in self._needed:
            self._want_all(value)
        for k in reversed(range(len(loop))):
            if not is_view(loop[k]) and loop[k].name not in _NOT_IN_PLACE:
                self._share(loop[k], k)
        self.kinds = {v: kind for v, kind in self._own.items() if v not in self.shared}

    def root(self, value: Value) -> Value:
        """The value whose array a value is in, or in a part of."""
        while value in self._views or value in self.shared:
            view = self._views.get(value)
            value = self.shared[value] if view is None else view.arguments[0]
        return value

    def _overlaps(self) -> dict[Value, tuple[Value, int, int]]:
        """Of each value: the one that it shows a part of, and from which feature to which."""
        parts = {v: (v, 0, v.shape[-1]) for v in self._own}
        for view in dict.fromkeys(self._views.values()):
            source = view.arguments[0]
            whole, start, stop = parts.get(source, (source, 0, source.shape[-1]))
            parts.setdefault(source, (whole, start, stop))
            for result, (a, b) in zip(view.results, view_edges(view), strict=True):
                parts[result] = whole, start + a, start + b
        return parts

    def _want_all(self, value: Value) -> None:
        whole = self._parts[value][0] if value in self._parts else value
        if self._own.get(whole) == "one":
            self._own[whole] = "all"

    def _share(self, instruction: Instruction, k: int) -> None:
        (result,) = instruction.results
        for value in self._by_preference(instruction, self._own[result]):
            if self._dead(value, k):
                self.shared[result] = value
                whole = self._parts[value][0]
                if self._own[result] == "state":
                    self._own[value] = "state"
                elif self._own[result] == "all":
                    self._want_all(whole)
                return

    def _by_preference(self, instruction: Instruction, kind: Kind) -> list[Value]:
        """The arguments whose memory a result of this kind may take."""
        (result,) = instruction.results
        values = instruction.values()
        fitting = [
            v
            for v in values
            if v.shape == result.shape and v.dtype == result.dtype and values.count(v) == 1
        ]

        def kind_of(value: Value) -> Kind | None:
            return self._own.get(self._parts[value][0]) if value in self._parts else None

        if kind == "state":
            return [v for v in fitting if kind_of(v) == "one" and v not in self._views]
        if kind == "all":
            order = ["lifted", "all", "one"]
            known = [v for v in fitting if kind_of(v) in order]
            return sorted(known, key=lambda v: order.index(kind_of(v) or "one"))
        return [v for v in fitting if kind_of(v) == "one"]

    def _dead(self, value: Value, k: int) -> bool:
        """Whether nothing reads a value, or what overlaps it, after the instruction k."""
        whole, start, stop = self._parts[value]
        return not any(
            other in self._needed or self._last.get(other, -1) > k
            for other, (root, a, b) in self._parts.items()
            if root is whole and a < stop and start < b
        )
