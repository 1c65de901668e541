"""Gradients of what all steps share: one product, or one sum, over all steps at once."""

from __future__ import annotations

from .emit import Emitter
from .layout import Function
from .notation import NotWritable, is_writable
from .schedule import Schedule
from .steps import Value


class Sums:
    """Writes what comes after the loop of a backward function."""

    def __init__(self, emitter: Emitter, plan: Schedule, body: Function) -> None:
        self.emitter = emitter
        self.body = body
        self._flat: dict[Value, str] = {}
        self._summed: dict[Value, str] = {}
        self._made: set[Value] = {r for i in (*plan.before, *plan.loop) for r in i.results}
        self._after = {r: i for i in plan.after for r in i.results}

    def for_each_step(self, g: Value) -> list[str]:
        """The lines that write a cotangent of x, (T, N, I), to gx."""
        maker = g.maker
        if maker is not None and maker.name == "matmul" and g in self._after:
            rows, weight = maker.arguments
            if weight in self.emitter.constants and rows not in self.emitter.constants:
                text = f"{self.flat(rows)}.T, {self.emitter.names.of(weight)}"
                return [f"np.matmul({text}, out=gx.reshape(T * N, -1))"]
        self.ready(g)
        return [f"gx[...] = {self.emitter.of_all(g)}.transpose(0, 2, 1)"]

    def flat(self, value: Value) -> str:
        """An array of all steps as (features, steps and sequences)."""
        if value not in self._flat:
            name, size = f"{self.emitter.names.of(value)}_flat", value.shape[1]
            if value is self.emitter.step.x:
                self.body.after.append(f"{name} = x.reshape(T * N, {size}).T")
            else:
                parts = self._parts(value)
                dtype = "bool" if value.dtype == bool else "x.dtype"
                self.body.after.append(f"{name} = empty(({size}, T * N), {dtype})")
                start = 0
                for part in parts:
                    source = f"{self.emitter.of_all(part)}.transpose(1, 0, 2)"
                    rows = "..." if part is value else f"{start}:{start + part.shape[1]}"
                    self.body.after.append(f"{name}.reshape({size}, T, N)[{rows}] = {source}")
                    start += part.shape[1]
            self._flat[value] = name
        return self._flat[value]

    def _parts(self, value: Value) -> list[Value]:
        """What a value is the concatenation of, if that isn't made yet; each part is made."""
        maker = self._after.get(value)
        joined = maker is not None and maker.name == "concatenate" and value not in self._made
        if maker is None or not joined or not is_writable(maker, self.emitter.constants):
            self.ready(value)
            return [value]
        return [part for each in maker.values() for part in self._parts(each)]

    def ready(self, value: Value) -> None:
        """Has a value made for all steps."""
        instruction = self._after.get(value)
        if instruction is None or value in self._made:
            return
        for argument in instruction.values():
            self.ready(argument)
        self.emitter.require(instruction)
        self._made.update(instruction.results)
        self.body.after += self.emitter.for_all([instruction], {})

    def over_steps(self, g: Value) -> str:
        """Σ over the steps of a cotangent of what they share, in the cell's own layout."""
        maker = g.maker
        if g not in self._after or maker is None:
            return self.plain_sum(g)
        name, arguments = maker.name, maker.arguments
        if name == "matmul":
            first = arguments[0].maker
            if first is not None and first.name == "transpose":
                return f"{self.flat(first.arguments[0])} @ {self.flat(arguments[1])}.T"
        if name == "transpose" and arguments[1] in (None, (1, 0)):
            return f"({self.over_steps(arguments[0])}).T"
        if name == "swapaxes":
            return f"({self.over_steps(arguments[0])}).T"
        if name == "reshape" and arguments[1] == g.shape == (arguments[0].shape[-1],):
            inner = arguments[0].maker
            if inner is not None and inner.name == "sum" and inner.arguments[1] in ((0,), 0):
                return self.total(inner.arguments[0])
        if name == "reshape":
            return f"{self.over_steps(arguments[0])}.reshape({arguments[1]})"
        if name == "sum" and arguments[1] in ((0,), 0):
            return self.total(arguments[0]) + (".reshape(1, -1)" if arguments[2] else "")
        if name == "add":
            return " + ".join(f"({self.over_steps(a)})" for a in arguments)
        if name == "concatenate":
            parts = ", ".join(self.over_steps(part) for part in arguments[2:])
            return f"np.concatenate(({parts}), axis={arguments[0]})"
        return self.plain_sum(g)

    def total(self, value: Value) -> str:
        """Σ over steps and sequences, (features,)."""
        if value not in self._summed:
            name = f"{self.emitter.names.of(value)}_total"
            self.body.after.append(f"{name} = {self.flat(value)}.sum(axis=1)")
            self._summed[value] = name
        return self._summed[value]

    def plain_sum(self, g: Value) -> str:
        self.ready(g)
        if len(g.shape) != 2:
            raise NotWritable(f"the gradient {g} has no notation")
        return f"{self.emitter.of_all(g)}.sum(axis=0).T"
