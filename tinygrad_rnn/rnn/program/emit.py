"""What the functions of a step's program share: names, what doesn't change, and its preparation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .capture import UFUNCS
from .gates import Arranged, Scaled
from .layout import Function, laid_out, ranges, repeated, tuple_of
from .memory import Memory
from .names import Names
from .notation import NotWritable, is_view, is_writable, number, view_edges, written
from .schedule import Schedule, schedule
from .stacked import Stack, stack
from .steps import Instruction, Step, Value, depending, leading_to

_WIDE = 256  # features
_QUICKER_BY_ARRAYS = frozenset({"add", "subtract", "multiply"})
_SCALARS = {0.5: "half", 1: "one", -1: "minus_one", 2: "two"}


class Emitter:
    """What is known of a program's values.

    Args:
        step: rewritten, and differentiated if a backward function is wanted.
        arranged, scaled: the weights that are read in another form than they are given.
        masked: whether some steps aren't real.
        reverse: whether the loop goes from the last step to the first.
    """

    def __init__(
        self,
        step: Step,
        arranged: Sequence[Arranged],
        scaled: Sequence[Scaled],
        masked: bool,
        reverse: bool,
    ) -> None:
        self.step = step
        self.arranged = {each.value: each for each in arranged}
        self.scaled = scaled
        self.masked = masked
        self.reverse = reverse
        self.names = Names({step.x: "x"})
        self.batch = step.x.shape[0] if len(step.x.shape) == 2 else -1
        changing = depending(
            [*step.code, *step.backward], [step.x, *step.state, step.gy, *step.gnew]
        )
        known = {v for i in (*step.code, *step.backward) for v in (*i.values(), *i.results)}
        self.constants = known - changing
        self.rows = self._rows_that_stay()
        self._check()
        wanted = [*step.new, step.y, *(v for i in step.backward for v in i.values())]
        code = leading_to(step.code, wanted)
        self.plan = self.schedule(code, [step.x], step.state, step.new, set())
        self.made = {result for i in code for result in i.results}
        self.views = {r: i for i in code if is_view(i) for r in i.results}
        self._check_states()
        read = {v for i in step.backward for v in i.values()} | {step.y, *step.new}
        self.stacks: dict[Value, Stack] = {}
        if step.x.shape[-1] < _WIDE:
            self.plan, self.stacks = stack(step, self.plan, self.constants, read)
        self.memory = self._memory()
        self.prepared: list[str] = []  # lines
        self.turned: dict[str, str] = {}  # lines too
        self._stacked: dict[Value, tuple[str, str]] = {}
        self.arrangements: dict[str, str] = {}  # names by their text
        self.prepare(leading_to(step.code, [each.original for each in scaled]))

    def _rows_that_stay(self) -> set[Value]:
        """What doesn't change from step to step and is (batch, features), such as a mask."""
        code = [*self.step.code, *self.step.backward]
        products = [i for i in code if i.name in ("linear", "matmul")]
        weights = {v for i in products for v in i.values()}
        others = [i for i in code if i not in products and i.results[0] not in self.constants]
        found = {v for i in others for v in i.values() if len(v.shape) == 2}
        return (found & self.constants) - weights

    def _check(self) -> None:
        step = self.step
        for value in (step.x, *step.state, step.y):
            if len(value.shape) != 2 or value.shape[0] != self.batch:
                raise NotWritable(f"{value} is not (batch, features)")
        varying = [r for i in (*step.code, *step.backward) for r in i.results]
        for value in (*step.state, *varying):
            if value.dtype not in (step.x.dtype, bool) and value not in self.constants:
                raise NotWritable(f"{value} is of {value.dtype}, x of {step.x.dtype}")

    def _check_states(self) -> None:
        new = self.step.new
        own = {r for i in self.plan.loop if not is_view(i) for r in i.results}
        if len(set(new)) < len(new) or not own.issuperset(new):
            raise NotWritable("a part of the new state isn't made by an operation of its own")

    def _memory(self) -> Memory:
        step, plan = self.step, self.plan
        read = {v for i in (*step.backward, *plan.after) for v in i.values()}
        lifted = [r for i in plan.before if not is_view(i) for r in i.results]
        return Memory(
            [*(i for i in plan.before if is_view(i)), *plan.loop],
            lifted,
            step.new,
            (read & self.made) | {step.y},
        )

    def schedule(
        self, code: Any, varying: Any, carried: Any, results: Any, summed: set[Value]
    ) -> Schedule:
        """When to carry out each instruction; what only `summed` needs may be left to `Sums`."""

        def liftable(instruction: Instruction) -> bool:
            return is_writable(instruction, self.constants) or instruction.results[0] in summed

        plan = schedule(code, varying, carried, results, liftable)
        for instruction in (*plan.before, *plan.loop):
            if instruction.results[0] not in summed or instruction in plan.loop:
                self.require(instruction)
        return plan

    def require(self, instruction: Instruction) -> None:
        """Raises unless an instruction can be written."""
        if not is_writable(instruction, self.constants):
            raise NotWritable(f"{instruction.name} of {instruction.values()} has no notation")

    # Texts

    def of(self, value: Any) -> str:
        """A value in the loop."""
        if not isinstance(value, Value):
            return number(value)
        name = self.names.of(value)
        if value in self.rows:
            self.turned[name] = f"{name}_T = {name}.T.copy()"
            return f"{name}_T"
        return f"{name}[:, None]" if value in self.constants and len(value.shape) == 1 else name

    def of_all(self, value: Any) -> str:
        """A value before or after the loop, for all steps."""
        if not isinstance(value, Value) or value in self.constants:
            return self.of(value)
        return f"{self.names.of(value)}_all"

    def empty(self, value: Value, lead: str = "") -> str:
        """A call that makes the array of a value."""
        dtype = "bool" if value.dtype == bool else "x.dtype"
        return f"empty(({lead}{value.shape[1]}, N), {dtype})"

    def shown(self, view: Instruction) -> list[str]:
        """The results of a view, for all steps."""
        source = self.of_all(view.arguments[0])
        edges = zip(view.results, view_edges(view), strict=True)
        return [f"{self.of_all(r)} = {source}[:, {a}:{b}]" for r, (a, b) in edges]

    def for_all(
        self,
        code: Iterable[Instruction],
        taken: dict[Value, Value],
        place: Callable[[Value], str | None] = lambda _: None,
    ) -> list[str]:
        """The lines that carry out instructions for all steps.

        Args:
            taken: the results that take the memory of an argument.
            place: gives the array that a result is made in, if that is known.
        """
        lines = []
        for instruction in code:
            if is_view(instruction):
                lines += self.shown(instruction)
                continue
            (result,) = instruction.results
            if result not in taken:
                array = place(result) or self.empty(result, "T, ")
                lines.append(f"{self.of_all(result)} = {array}")
            if self._is_one_product(instruction):
                lines += self._one_product(instruction)
            else:
                lines += written(instruction, self.of_all, self.of_all(result))
        return lines

    def _is_one_product(self, instruction: Instruction) -> bool:
        """Whether x is wide enough that one product of all steps outweighs its rearrangement."""
        x, wide = self.step.x, self.step.x.shape[-1] >= _WIDE
        return wide and instruction.name in ("linear", "matmul") and instruction.arguments[0] is x

    def _one_product(self, instruction: Instruction) -> list[str]:
        (result,) = instruction.results
        name, size = self.names.of(result), result.shape[1]
        flat = f"x.reshape(T * N, {self.step.x.shape[1]}).T"
        product, *bias = written(
            instruction,
            lambda value: flat if value is self.step.x else self.of(value),
            f"{name}_flat",
        )
        return [
            f"{name}_flat = empty(({size}, T * N), x.dtype)",
            product,
            f"{name}_all[...] = {name}_flat.reshape({size}, T, N).transpose(1, 0, 2)",
            *(line.replace(f"{name} +=", f"{name}_all +=") for line in bias),
        ]

    def in_loop(self, instruction: Instruction, body: Function) -> None:
        """Writes an instruction of a loop, in the forms that cost NumPy least."""

        def of(value: Any) -> str:
            quick = instruction.name in _QUICKER_BY_ARRAYS and type(value) in (int, float)
            return self._scalar(value, body) if quick else self.of(value)

        if instruction.results[0] in self.stacks:
            names = self.stacked_names(self.stacks[instruction.results[0]])
            body.loop.append(f"np.dot({', '.join(names)}, out={self.of(instruction.results[0])})")
            return
        lines = written(instruction, of, self.of(instruction.results[0]))
        if instruction.name in ("linear", "matmul"):
            lines[0] = lines[0].replace("np.matmul(", "np.dot(")
            name = self.names.of(instruction.arguments[1])
            if f"({name}.T, " in lines[0]:
                lines[0] = lines[0].replace(f"({name}.T, ", f"({name}_T, ")
                self.turned[name] = f"{name}_T = {name}.T.copy()"
        body.loop += lines

    def stacked_names(self, stack: Stack) -> tuple[str, str]:
        """The names of the weights side by side, and of what they are multiplied with."""
        if stack.state not in self._stacked:
            name = self.names.free("W")
            parts = [
                self.names.of(i.arguments[1]) + (".T" if i.name == "matmul" else "")
                for i in (stack.recurrent, stack.input)
            ]
            if stack.bias is not None:
                parts.append(f"{self.names.of(stack.bias)}[:, None]")
            self.turned[name] = f"{name} = np.hstack(({', '.join(parts)}))"
            self._stacked[stack.state] = name, self.names.free("z")
        return self._stacked[stack.state]

    def _scalar(self, value: float, body: Function) -> str:
        """A number as an array, which saves NumPy a look at what it is."""
        name = _SCALARS.get(value)
        if name is None:
            return number(value)
        line = f"{name} = np.array({float(value)}, x.dtype)"
        if line not in body.before:
            body.before.append(line)
        return name

    def taken(self, plan: Schedule, busy: set[Value]) -> dict[Value, Value]:
        """Before the loop: the results that take the memory of an argument needed no more."""
        made = {r for i in plan.before if not is_view(i) for r in i.results}
        last = {value: k for k, i in enumerate(plan.before) for value in i.values()}
        shown = {i.arguments[0] for i in (*plan.before, *plan.loop, *plan.after) if is_view(i)}
        later = {v for i in (*plan.loop, *plan.after) for v in i.values()}
        busy = later | shown | busy
        found = {}
        for k, instruction in enumerate(plan.before):
            if instruction.operation not in UFUNCS:
                continue
            (result,) = instruction.results
            for value in instruction.values():
                fits = value.shape == result.shape and value.dtype == result.dtype
                if fits and value in made and value not in busy and last[value] == k:
                    found[result] = value
                    break
        return found

    def name_alike(self, shared: dict[Value, Value]) -> None:
        """Gives values in the same memory one name: that which a cell gave, if it gave one.

        Args:
            shared: for each value that takes the memory of an earlier one, the earlier one.
        """
        groups: dict[Value, list[Value]] = {}
        for value in shared:
            first = value
            while first in shared:
                first = shared[first]
            groups.setdefault(first, [first]).append(value)
        for members in groups.values():
            called = next((v for v in members if v in self.step.new), None)
            called = called or next((v for v in members if v.name), members[0])
            for value in members:
                if value is not called:
                    self.names.same(value, called)

    # What doesn't change from step to step

    def prepare(self, code: Iterable[Instruction]) -> None:
        """Has `code` carried out once."""
        for instruction in code:
            for line in self._constant_lines(instruction):
                if line not in self.prepared:
                    self.prepared.append(line)

    def preparation(self, functions: dict[str, Function]) -> list[str]:
        """The text of ``prepare``, which returns for each of the other functions what it reads.

        Each of them receives a line that takes this apart.
        """
        names = self.names
        lines = [
            f"{names.of(each.value)} = {names.of(each.original)}[{self._rows(each)}]"
            for each in self.arranged.values()
        ]
        lines += self.prepared
        lines += [
            f"{names.of(each.value)} = {names.of(each.original)} * {self._scale(each)}"
            for each in self.scaled
        ]
        lines += self.turned.values()
        captured = [names.of(value) for value in self.captured()]
        known = [*captured, *(line.partition(" = ")[0] for line in lines)]
        wanted: set[str] = set()
        given = []
        for name, body in functions.items():
            read = [each for each in known if body.reads(each)]
            wanted.update(read)
            given += laid_out(f"for_{name} = (", read, ",)" if len(read) == 1 else ")")
            body.before[1:1] = _taken_apart(read, "weights")
        given.append(f"return {tuple_of([f'for_{name}' for name in functions])}")
        head = laid_out("def prepare(", captured, "):")
        return [*head, *(f"    {line}" for line in (*_needed(lines, wanted), *given))]

    def captured(self) -> list[Value]:
        """The values from outside, as they are given."""
        originals = {each.value: each.original for each in self.arranged.values()}
        return [originals.get(value, value) for value, *_ in self.step.captured]

    def once(self) -> list[str]:
        """What stands before the functions."""
        return [f"{name} = {text}" for text, name in self.arrangements.items()]

    def _named(self, text: str, name: str) -> str:
        if text not in self.arrangements:
            self.arrangements[text] = self.names.free(name)
        return self.arrangements[text]

    def _rows(self, each: Arranged, back: bool = False) -> str:
        name = self._named(ranges(each.rows), "rows")
        if back:
            name = self._named(f"np.argsort({name})", "back")
        return f":, {name}" if each.axis == 1 else name

    def _scale(self, each: Scaled) -> str:
        name = self._named(repeated(each.scale), "scale")
        return f"{name}[:, None]" if each.axis == 0 and len(each.value.shape) == 2 else name

    def given_back(self, found: Sequence[Value]) -> list[str]:
        """The text of ``gradients``: sums over the steps, in the order that parameters have."""
        names = self.names
        given = [f"g_{names.of(value)}" for value in found]
        results = [
            f"{name}[{self._rows(self.arranged[value], back=True)}]"
            if value in self.arranged
            else name
            for name, value in zip(given, found, strict=True)
        ]
        return [
            *laid_out("def gradients(", given, "):"),
            *(f"    {line}" for line in laid_out("return [", results, "]")),
        ]

    def _constant_lines(self, instruction: Instruction) -> list[str]:
        name, arguments = instruction.name, instruction.arguments
        made = [self.names.of(result) for result in instruction.results]
        ufunc = UFUNCS.get(instruction.operation)
        if ufunc is not None:
            texts = [self.names.of(a) if isinstance(a, Value) else number(a) for a in arguments]
            return [f"{made[0]} = np.{ufunc.__name__}({', '.join(texts)})"]
        if name == "transpose" and arguments[1] in (None, (1, 0)):
            return [f"{made[0]} = {self.names.of(arguments[0])}.T"]
        if name != "split":
            raise NotWritable(f"{name} of what doesn't change")
        ary, bounds, axis = arguments
        last = axis in (-1, len(ary.shape) - 1)
        edges = list(zip((0, *bounds), (*bounds, ary.shape[axis]), strict=True))
        where = "..., " if last else ""
        return [
            f"{part} = {self.names.of(ary)}[{where}{start}:{stop}]"
            for part, (start, stop) in zip(made, edges, strict=True)
        ]

    def saved(self) -> list[Value]:
        """The values whose arrays for all steps the backward function needs, in order."""
        step = self.step
        read = {v for i in step.backward for v in i.values()}
        kept = {self.memory.root(v) for v in read if v in self.made and v not in self.constants}
        kept = {v for v in kept if self.memory.kinds.get(v) != "state"} | set(step.state)
        order = [*step.state, *(r for i in step.code for r in i.results)]
        return [value for value in order if value in kept]

    def head(self, name: str, given: Iterable[str], result: str) -> list[str]:
        """The ``def`` of a function."""
        mask = ["real"] if self.masked else []
        return laid_out(
            f"def {name}(", [*given, "x", *mask, "weights", result, "empty=np.empty"], "):"
        )


def _taken_apart(names: list[str], source: str) -> list[str]:
    return laid_out("(", names, f"{',' if len(names) == 1 else ''}) = {source}") if names else []


def _needed(lines: Sequence[str], wanted: set[str]) -> list[str]:
    """The lines of the form ``name = expression`` that lead to what is wanted."""
    wanted, kept = set(wanted), []
    for line in reversed(lines):
        name, _, expression = line.partition(" = ")
        if name in wanted:
            kept.append(line)
            wanted.update(re.findall(r"[^\W\d]\w*", expression))
    return kept[::-1]
