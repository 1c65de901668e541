"""The forward function of a step's program."""

from __future__ import annotations

from .emit import Emitter
from .layout import Function, laid_out, tuple_of
from .notation import is_view, view_edges
from .steps import Instruction, Value

X_FEATURES_FIRST = "x_all = x.transpose(0, 2, 1)"


def forward(emitter: Emitter, keep: bool) -> Function:
    """``forward``; with `keep` it returns what the backward function needs."""
    return _Forward(emitter).function(keep)


class _Forward:
    def __init__(self, emitter: Emitter) -> None:
        self.emitter = emitter
        self.step = emitter.step
        self.plan = emitter.plan
        self.memory = emitter.memory
        self.names = emitter.names
        self.body = Function()
        read = {v for i in self.step.backward for v in i.values()} | {self.step.y}
        self.taken = emitter.taken(self.plan, read)
        emitter.name_alike({**self.taken, **self.memory.shared})

    def function(self, keep: bool) -> Function:
        body, emitter = self.body, self.emitter
        body.before += ["T, N = x.shape[:2]", X_FEATURES_FIRST]
        emitter.prepare(self.plan.constant)
        body.before += emitter.for_all(self.plan.before, self.taken)
        self._states()
        for instruction in self.plan.loop:
            self._define(instruction)
            self._go_over(instruction)
            if not is_view(instruction):
                emitter.in_loop(instruction, body)
        self._hold()
        body.after += emitter.for_all(self.plan.after, {})
        self._return(keep)
        return body

    @property
    def _steps(self) -> tuple[str, str]:
        """Which rows of a state's array are those before, and those after each step."""
        return ("[1:]", "[:-1]") if self.emitter.reverse else ("[:-1]", "[1:]")

    def _states(self) -> None:
        before, after = self._steps
        first = "T" if self.emitter.reverse else "0"
        for state, new in zip(self.step.state, self.step.new, strict=True):
            name = self.names.of(state)
            self.body.before += [
                *self._array_of(state),
                f"{name}_all[{first}] = {name}0.T",
                f"{self.names.of(new)}_all = {name}_all{after}",
            ]
            self.body.over(name, f"{name}_all{before}")

    def _array_of(self, state: Value) -> list[str]:
        """The lines that make the array of a state before and after each step."""
        name = self.names.of(state)
        stack = next((s for s in self.emitter.stacks.values() if s.state is state), None)
        if stack is None:
            return [f"{name}_all = {self.emitter.empty(state, 'T + 1, ')}"]
        _, z = self.emitter.stacked_names(stack)
        before, _ = self._steps
        h, x, ones = stack.rows
        self.body.over(z, f"{z}_all{before}")
        return [
            f"{z}_all = empty((T + 1, {ones}, N), x.dtype)",
            f"{z}_all{before[:-1]}, {h}:{x}] = x.transpose(0, 2, 1)",
            *([f"{z}_all[:, {x}] = 1"] if ones > x else []),
            f"{name}_all = {z}_all[:, :{h}]",
        ]

    def _define(self, instruction: Instruction) -> None:
        """Makes the arrays for the results of an instruction of the loop."""
        body, names = self.body, self.names
        if is_view(instruction):
            self._define_views(instruction)
            return
        (result,) = instruction.results
        kind = self.memory.kinds.get(result)
        if kind == "state":
            body.over(names.of(result))
        elif kind == "all":
            body.before.append(f"{names.of(result)}_all = {self.emitter.empty(result, 'T, ')}")
            body.over(names.of(result))
        elif kind == "one":
            body.before.append(f"{names.of(result)} = {self.emitter.empty(result)}")

    def _define_views(self, view: Instruction) -> None:
        source = view.arguments[0]
        if self.memory.kinds.get(self.memory.root(source)) != "one":
            self.body.before += self.emitter.shown(view)
            for result in view.results:
                self.body.over(self.names.of(result))
            return
        name = self.names.of(source)
        for result, (a, b) in zip(view.results, view_edges(view), strict=True):
            self.body.before.append(f"{self.names.of(result)} = {name}[{a}:{b}]")

    def _go_over(self, instruction: Instruction) -> None:
        """Has the loop go over what was made for all steps."""
        ready = {r for i in self.plan.before for r in i.results} | {self.step.x}
        for value in instruction.values():
            if value in ready:
                self.body.over(self.names.of(value))

    def _hold(self) -> None:
        if not self.emitter.masked:
            return
        self.body.before.append("held = ~real")
        self.body.over("rest", "held")
        for old, new in zip(self.step.state, self.step.new, strict=True):
            names = self.names.of(new), self.names.of(old)
            self.body.loop.append(f"np.copyto({names[0]}, {names[1]}, where=rest)")

    def _return(self, keep: bool) -> None:
        step, emitter = self.step, self.emitter
        last = "0" if emitter.reverse else "T"
        self.body.after.append(f"y[...] = {emitter.of_all(step.y)}.transpose(0, 2, 1)")
        if emitter.masked:
            self.body.after.append("y[~real] = 0")
        finals = [f"{self.names.of(s)}_all[{last}].T.copy()" for s in step.state]
        kept = [emitter.of_all(value) for value in emitter.saved()] if keep else []
        comma = "," if len(kept) == 1 else ""
        self.body.after += laid_out(f"return {tuple_of(finals)}, (", kept, f"{comma})")
