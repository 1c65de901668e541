"""NumPy source for a step's program: functions as a person could have written them."""

from __future__ import annotations

import keyword
import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .capture import UFUNCS
from .notation import NotWritable, is_view, is_writable, number, view_edges, written
from .schedule import Schedule, schedule
from .steps import Instruction, Step, Value, depending, leading_to, uses

Prepared = list[tuple[Value, Value, np.ndarray, np.ndarray, int]]
_WIDTH = 92  # of a line, before it is indented


# What reads its arguments again after it has begun to write.
_NOT_IN_PLACE = frozenset(
    {"linear", "matmul", "concatenate", "where", "sum", "mean", "inverse_rms"}
)
_RESERVED = (
    *("T", "N", "np", "x", "y", "gx", "gy", "zip", "range", "bool", "empty"),
    *("real", "held", "rest", "saved", "last"),
)


_X_FEATURES_FIRST = "x_all = x.transpose(0, 2, 1)"


class Names:
    """A name for each value, its own as far as it can be had."""

    def __init__(self, fixed: dict[Value, str]) -> None:
        self._names = fixed
        self._taken: set[str] = set()
        for name in _RESERVED:
            self._taken |= {name, f"{name}_all", f"{name}_flat"}

    def of(self, value: Value) -> str:
        if value not in self._names:
            prefix = {"cotangent": "g", "captured": "w"}.get(value.role, "a")
            base = "".join(c if c.isalnum() else "_" for c in value.name or prefix)
            base = base if base.isidentifier() and not keyword.iskeyword(base) else f"v_{base}"
            name, count = base, 1
            while not self._taken.isdisjoint(_derived(name)):
                count += 1
                name = f"{base}_{count}" if base[-1].isdigit() else f"{base}{count}"
            self._taken |= _derived(name)
            self._names[value] = name
        return self._names[value]

    def reserve(self, names: Iterable[str]) -> None:
        """Keeps names from being given to values."""
        self._taken.update(names)

    def same(self, value: Value, other: Value) -> None:
        """Gives `value` the name of `other`."""
        self._names[value] = self.of(other)


def _derived(name: str) -> set[str]:
    """All names that the source may make of one."""
    ends = ("", "0", "_all", "_last", "_flat", "_held", "_next")
    return {f"{begin}{name}{end}" for begin in ("", "g_") for end in ends}


class Function:
    """The lines of one function: a head, a loop over the steps, and what comes after."""

    def __init__(self) -> None:
        self.before: list[str] = []
        self.loop: list[str] = []
        self.after: list[str] = []
        self.iterated: dict[str, str] = {}  # what the loop goes over, by the name of one step's

    def over(self, name: str, expression: str | None = None) -> None:
        """Has the loop go over an array of all steps."""
        self.iterated.setdefault(name, expression or f"{name}_all")

    def text(self, head: str, backwards: bool) -> str:
        order = "[::-1]" if backwards else ""
        names = list(self.iterated) or ["_"]
        arrays = [f"{expression}{order}" for expression in self.iterated.values()] or ["range(T)"]
        lines = ["# all steps at once", *self.before]
        lines += ["# step by step" + (", from the last to the first" if backwards else "")]
        lines += _loop_head(names, arrays)
        lines += [f"    {line}" for line in self.loop]
        lines += ["# all steps at once", *self.after]
        return "\n".join([head, *(f"    {line}" for line in lines)])


class Emitter:
    """Writes the program of a step.

    Args:
        step: rewritten, and differentiated if a backward function is wanted.
        prepared: what `shared_activation` returned.
        masked: whether some steps aren't real.
        reverse: whether the loop goes from the last step to the first.
    """

    def __init__(self, step: Step, prepared: Prepared, masked: bool, reverse: bool) -> None:
        self.step = step
        self.prepared = prepared
        self.masked = masked
        self.reverse = reverse
        self.names = Names({step.x: "x"})
        self.arrangements = self._arrangements()
        self.batch = step.x.shape[0] if len(step.x.shape) == 2 else -1
        self.constants = self._constants()
        self._check()
        wanted = [*step.new, step.y, *(v for i in step.backward for v in i.values())]
        code = leading_to(step.code, wanted)
        self.forward_plan = self._schedule(code, [step.x], step.state, step.new, set())
        self.made = {result for i in code for result in i.results}
        self.views = {r: i for i in code if is_view(i) for r in i.results}
        written_by = [i for i in self.forward_plan.loop if not is_view(i)]
        if len(set(step.new)) < len(step.new) or any(
            not any(value in i.results for i in written_by) for value in step.new
        ):
            raise NotWritable("a part of the new state isn't made by an operation of its own")

    def _arrangements(self) -> dict[tuple[str, str], tuple[str, str]]:
        """The names of each order of rows, and of what the rows are multiplied by."""
        found: dict[tuple[str, str], tuple[str, str]] = {}
        for _, _, rows, scale, _ in self.prepared:
            count = str(len(found) + 1) if found else ""
            found.setdefault((_ranges(rows), _repeated(scale)), (f"rows{count}", f"scale{count}"))
        self.names.reserve(name for pair in found.values() for name in pair)
        return found

    def _constants(self) -> set[Value]:
        """The values that are the same at every step."""
        step = self.step
        code = [*step.code, *step.backward]
        changing = depending(code, [step.x, *step.state, step.gy, *step.gnew])
        return {v for i in code for v in (*i.values(), *i.results)} - changing

    def _check(self) -> None:
        for value in (self.step.x, *self.step.state, self.step.y):
            if len(value.shape) != 2 or value.shape[0] != self.batch:
                raise NotWritable(f"{value} is not (batch, features)")
        varying = [r for i in (*self.step.code, *self.step.backward) for r in i.results]
        for value in (*self.step.state, *varying):
            if value.dtype not in (self.step.x.dtype, bool) and value not in self.constants:
                raise NotWritable(f"{value} is of {value.dtype}, x of {self.step.x.dtype}")

    def _empty(self, value: Value, lead: str = "") -> str:
        dtype = "bool" if value.dtype == bool else "x.dtype"
        return f"empty(({lead}{value.shape[1]}, N), {dtype})"

    def _schedule(
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

    # Names of values, for one step and for all

    def of(self, value: Any) -> str:
        """A value in the loop."""
        if not isinstance(value, Value):
            return number(value)
        if value in self.constants:
            return self._constant(value)
        return self.names.of(value)

    def of_all(self, value: Any) -> str:
        """A value before or after the loop, for all steps."""
        if not isinstance(value, Value) or value in self.constants:
            return self.of(value)
        return f"{self.names.of(value)}_all"

    def _constant(self, value: Value) -> str:
        name = self.names.of(value)
        if len(value.shape) != 1:
            return name
        return f"{name}[:, None]"

    def root(self, value: Value) -> Value:
        """What a view shows a part of, at last."""
        while value in self.views:
            value = self.views[value].arguments[0]
        return value

    # Forward

    def forward(self, keep: bool) -> str:
        """The source of ``forward``; with `keep` it returns what the backward function needs."""
        step, names, body = self.step, self.names, Function()
        plan = self.forward_plan
        saved = self.saved() if keep else set()
        body.before += ["T, N = x.shape[:2]", *self._preparation(), _X_FEATURES_FIRST]
        body.before += self._constant_lines(plan.constant)
        taken = self._taken(plan, saved)
        for instruction in plan.before:
            body.before += self._for_all(instruction, taken)
        before, after = ("[1:]", "[:-1]") if self.reverse else ("[:-1]", "[1:]")
        first, last = ("T", "0") if self.reverse else ("0", "T")
        for state in step.state:
            name = names.of(state)
            body.before.append(f"{name}_all = {self._empty(state, 'T + 1, ')}")
            body.before.append(f"{name}_all[{first}] = {name}0.T")
            body.over(name, f"{name}_all{before}")
        places = self._places(plan, saved)
        for instruction in plan.loop:
            self._define(instruction, body, places, after)
            self._go_over(instruction, plan, body)
            if not is_view(instruction):
                result = instruction.results[0]
                body.loop += written(instruction, self.of, self.of(result))
        self._hold(body)
        for instruction in plan.after:
            body.after += self._for_all(instruction)
        y = self.of_all(step.y)
        if step.y in step.new:
            y = f"{names.of(step.state[step.new.index(step.y)])}_all{after}"
        body.after.append(f"y = {y}.transpose(0, 2, 1).copy()")
        if self.masked:
            body.after.append("y[~real] = 0")
        finals = [f"{names.of(s)}_all[{last}].T.copy()" for s in step.state]
        kept = ", ".join(f"{self.of_all(v)}" for v in self._in_order(saved)) if keep else ""
        body.after.append(f"return y, ({', '.join(finals)},), ({kept}{',' if kept else ''})")
        return body.text(
            self._head("forward", [f"{names.of(s)}0" for s in step.state]), self.reverse
        )

    def saved(self) -> set[Value]:
        """The arrays of all steps that the backward function needs."""
        needed = {v for i in self.step.backward for v in i.values()}
        roots = {self.root(v) for v in needed if v in self.made and v not in self.constants}
        kept = {v for v in roots if v not in self.step.new}
        return kept | set(self.step.state)

    def _in_order(self, values: set[Value]) -> list[Value]:
        order = [*self.step.state, *(r for i in self.step.code for r in i.results)]
        return [v for v in order if v in values]

    def _head(self, name: str, given: Iterable[str]) -> str:
        mask = ["real"] if self.masked else []
        originals = {made: original for made, original, *_ in self.prepared}
        weights = [self.names.of(originals.get(v, v)) for v, *_ in self.step.captured]
        given = [*given, "x", *mask, *weights, "empty=np.empty"]
        return "\n".join(_laid_out(f"def {name}(", given, "):"))

    def _preparation(self) -> list[str]:
        lines = []
        for made, original, rows, scale, axis in self.prepared:
            index, factor = self.arrangement(made, rows, scale, axis)
            name, source = self.names.of(made), self.names.of(original)
            lines.append(f"{name} = {source}[{index}] * {factor}")
        if self.masked:
            lines.append("held = ~real")
        return lines

    def once(self) -> list[str]:
        """What stands before the functions."""
        return [
            line
            for (index, factor), (rows, scale) in self.arrangements.items()
            for line in (f"{rows} = {index}", f"{scale} = {factor}")
        ]

    def arrangement(
        self, weight: Value, rows: np.ndarray, scale: np.ndarray, axis: int
    ) -> tuple[str, str]:
        """How the rows of a prepared weight are put in order, and what they are multiplied by."""
        index, factor = self.arrangements[_ranges(rows), _repeated(scale)]
        if axis == 1:
            return f":, {index}", factor
        return index, f"{factor}[:, None]" if len(weight.shape) == 2 else factor

    def _constant_lines(self, code: list[Instruction]) -> list[str]:
        lines = []
        for instruction in code:
            name, arguments = instruction.name, instruction.arguments
            ufunc = UFUNCS.get(instruction.operation)
            if ufunc is not None:
                texts = [self.names.of(a) if isinstance(a, Value) else number(a) for a in arguments]
                made = self.names.of(instruction.results[0])
                lines.append(f"{made} = np.{ufunc.__name__}({', '.join(texts)})")
                continue
            if name == "transpose" and arguments[1] in (None, (1, 0)):
                made = self.names.of(instruction.results[0])
                lines.append(f"{made} = {self.names.of(arguments[0])}.T")
                continue
            if name != "split":
                raise NotWritable(f"{name} of what doesn't change")
            ary, bounds, axis = arguments
            edges = view_edges(instruction) if axis in (-1, len(ary.shape) - 1) else None
            edges = edges or list(zip((0, *bounds), (*bounds, ary.shape[axis]), strict=True))
            where = "..., " if axis in (-1, len(ary.shape) - 1) else ""
            for result, (start, stop) in zip(instruction.results, edges, strict=True):
                lines.append(
                    f"{self.names.of(result)} = {self.names.of(ary)}[{where}{start}:{stop}]"
                )
        return lines

    def _taken(self, plan: Schedule, kept: set[Value]) -> dict[Value, Value]:
        """Before the loop: the results that take the memory of an argument needed no more."""
        made = {r for i in plan.before if not is_view(i) for r in i.results}
        last = {value: k for k, i in enumerate(plan.before) for value in i.values()}
        shown = {i.arguments[0] for i in (*plan.before, *plan.loop, *plan.after) if is_view(i)}
        later = {v for i in (*plan.loop, *plan.after) for v in i.values()}
        busy = later | shown | kept | {self.step.y, self.step.gx, *self.step.gcaptured}
        taken = {}
        for k, instruction in enumerate(plan.before):
            if instruction.operation not in UFUNCS:
                continue
            (result,) = instruction.results
            for value in instruction.values():
                fits = value.shape == result.shape and value.dtype == result.dtype
                if fits and value in made and value not in busy and last[value] == k:
                    taken[result] = value
                    break
        return taken

    def _for_all(
        self, instruction: Instruction, taken: dict[Value, Value] | None = None
    ) -> list[str]:
        if not is_view(instruction):
            value = (taken or {}).get(instruction.results[0])
            if value is None:
                return written(instruction, self.of_all, None)
            self.names.same(instruction.results[0], value)
            return written(instruction, self.of_all, self.of_all(value))
        source = self.of_all(instruction.arguments[0])
        edges = zip(instruction.results, view_edges(instruction), strict=True)
        return [f"{self.of_all(r)} = {source}[:, {a}:{b}]" for r, (a, b) in edges]

    def _places(self, plan: Schedule, saved: set[Value]) -> dict[Value, str]:
        """Where the results of the loop are: for all steps ("all"), or one step's ("one").

        A result whose argument is needed no more takes its memory, and its name.
        """
        step = self.step
        results = [r for i in plan.loop if not is_view(i) for r in i.results]
        later = {self.root(v) for i in plan.after for v in i.values()}
        everywhere = saved | later | {self.root(step.y)} | set(step.new)
        places = {r: "all" if r in everywhere else "one" for r in results}
        last: dict[Value, int] = {}
        shown = {self.root(v) for v in self.views}
        for k, instruction in enumerate(plan.loop):
            for value in instruction.values():
                last[self.root(value)] = k
        for k in reversed(range(len(plan.loop))):
            instruction = plan.loop[k]
            result = instruction.results[0]
            if is_view(instruction) or instruction.name in _NOT_IN_PLACE:
                continue
            for value in instruction.values():
                free = places.get(value) == "one" and last[value] == k and value not in shown
                if (
                    free
                    and value.shape == result.shape
                    and value.dtype == result.dtype
                    and instruction.values().count(value) == 1
                ):
                    places[value] = "shared"
                    self.names.same(value, result)
                    break
        return places

    def _define(
        self, instruction: Instruction, body: Function, places: dict[Value, str], after: str
    ) -> None:
        """Makes the arrays for the results of an instruction of the loop."""
        if is_view(instruction):
            self._define_views(instruction, body, places)
            return
        (result,) = instruction.results
        name = self.names.of(result)
        if name in body.iterated or any(line.startswith(f"{name} = ") for line in body.before):
            return
        if result in self.step.new:
            state = self.step.state[self.step.new.index(result)]
            body.before.append(f"{name}_all = {self.names.of(state)}_all{after}")
            body.over(name)
            return
        owner = next(
            (v for v, place in places.items() if place != "shared" and self.names.of(v) == name),
            result,
        )
        if owner in self.step.new:
            state = self.step.state[self.step.new.index(owner)]
            body.before.append(f"{name}_all = {self.names.of(state)}_all{after}")
            body.over(name)
        elif places[owner] == "all":
            body.before.append(f"{name}_all = {self._empty(owner, 'T, ')}")
            body.over(name)
        else:
            body.before.append(f"{name} = {self._empty(owner)}")

    def _define_views(
        self, instruction: Instruction, body: Function, places: dict[Value, str]
    ) -> None:
        source = instruction.arguments[0]
        name = self.names.of(source)
        one = places.get(self.root(source)) in ("one", "shared") and name not in body.iterated
        for result, (a, b) in zip(instruction.results, view_edges(instruction), strict=True):
            if one:
                body.before.append(f"{self.names.of(result)} = {name}[{a}:{b}]")
            else:
                body.before.append(f"{self.names.of(result)}_all = {name}_all[:, {a}:{b}]")
                body.over(self.names.of(result))

    def _go_over(self, instruction: Instruction, plan: Schedule, body: Function) -> None:
        """Has the loop go over what was made for all steps."""
        ready = {r for i in plan.before for r in i.results} | {self.step.x}
        for value in instruction.values():
            if value in ready:
                body.over(self.names.of(value))

    def _hold(self, body: Function) -> None:
        if not self.masked:
            return
        body.over("rest", "held")
        for old, new in zip(self.step.state, self.step.new, strict=True):
            body.loop.append(f"np.copyto({self.of(new)}, {self.of(old)}, where=rest)")

    # Backward

    def backward(self) -> tuple[str, list[Value]]:
        """The source of ``backward``, and the captured values whose gradients it returns."""
        step, names, body = self.step, self.names, Function()
        assert step.gy is not None
        varying = [step.x, *step.state, *self.made, step.gy]
        late = depending(step.backward, step.gnew)
        used = uses(step.backward)
        turned = {  # what only a product over all steps reads
            i.results[0]
            for i in step.backward
            if i.name == "transpose"
            and all(user.results[0] in late for user in used.get(i.results[0], []))
        }
        plan = self._schedule(step.backward, varying, step.gnew, step.gstate, late | turned)
        kept = self._in_order(self.saved())
        body.before.append(f"({', '.join(self.of_all(v) for v in kept)},) = saved")
        body.before += ["T, N = x.shape[:2]", *self._preparation(), _X_FEATURES_FIRST]
        if self.masked:
            body.before.append("gy = np.where(real[..., None], gy, 0)")
            body.before.append("real_all = real[:, None].astype(x.dtype)")
            body.before.append("held_all = held[:, None].astype(x.dtype)")
        names_gy = names.of(step.gy)
        body.before.append(f"{names_gy}_all = gy.transpose(0, 2, 1)")
        body.before += self._forward_arrays(plan)
        body.before += self._constant_lines([*self.forward_plan.constant, *plan.constant])
        taken = self._taken(plan, set())
        for instruction in plan.before:
            if instruction.results[0] in turned:
                continue
            body.before += self._for_all(instruction, taken)
        self._backward_loop(plan, body)
        results = self._gradients(plan, body)
        prepared = self._preparation()
        text = "\n".join([*body.before[len(prepared) :], *body.loop, *body.after])
        unused = [line for line in prepared if not re.search(rf"\b{line.split(' ')[0]}\b", text)]
        body.before = [line for line in body.before if line not in unused]
        backwards = not self.reverse
        given = ["gy", *(f"{names.of(g)}_last" for g in step.gnew), "saved"]
        return body.text(self._head("backward", given), backwards), results

    def _forward_arrays(self, plan: Schedule) -> list[str]:
        """The views of saved arrays that the backward code reads."""
        step = self.step
        before, after = ("[1:]", "[:-1]") if self.reverse else ("[:-1]", "[1:]")
        needed = {v for i in step.backward for v in i.values()}
        lines = []
        for state, new in zip(step.state, step.new, strict=True):
            name = self.names.of(state)
            if new in needed or any(self.root(v) is new for v in needed):
                lines.append(f"{self.names.of(new)}_all = {name}_all{after}")
            lines.append(f"{name}_all = {name}_all{before}")
        seen: set[Value] = set()

        def show(value: Value) -> None:
            if value not in self.views or value in seen:
                return
            view = self.views[value]
            show(view.arguments[0])
            a, b = view_edges(view)[view.results.index(value)]
            source = self.of_all(view.arguments[0])
            lines.append(f"{self.of_all(value)} = {source}[:, {a}:{b}]")
            seen.add(value)

        for instruction in step.backward:
            for value in instruction.values():
                if value in self.made:
                    show(value)
        return lines

    def _backward_loop(self, plan: Schedule, body: Function) -> None:
        step = self.step
        inside = {r for i in plan.loop for r in i.results}
        later = {v for i in plan.after for v in i.values()}
        slots = self._slots(plan, inside)
        for part in later.intersection(slots):
            while part in slots:  # what its part is in must be there for all steps too
                part = slots[part][0]
                later.add(part)
        carried = [self.names.of(g) for g in step.gnew]
        entering = dict(zip(step.gnew, carried, strict=True))
        for name in carried:
            body.before.append(f"{name} = {name}_last.T.copy()")
        if self.masked:
            body.over("real", "real_all")
            body.over("rest", "held_all")
            for g, name in entering.items():
                body.before.append(f"{name}_held = {self._empty(g)}")
                body.loop.append(f"np.multiply({name}, rest, out={name}_held)")
                body.loop.append(f"{name} *= real")
        defined: set[Value] = set()

        def define(value: Value) -> None:
            if value in defined:
                return
            defined.add(value)
            name = self.names.of(value)
            if value in slots:
                whole, a, b = slots[value]
                define(whole)
                source = self.names.of(whole)
                if source in body.iterated:
                    body.before.append(f"{name}_all = {source}_all[:, {a}:{b}]")
                    body.over(name)
                else:
                    body.before.append(f"{name} = {source}[{a}:{b}]")
            elif value in later or self._summed(value):
                body.before.append(f"{name}_all = {self._empty(value, 'T, ')}")
                body.over(name)
            else:
                body.before.append(f"{name} = {self._empty(value)}")

        for instruction in plan.loop:
            for value in instruction.values():
                if value not in inside and value not in self.constants and value not in entering:
                    body.over(self.names.of(value))
            if is_view(instruction):
                define(instruction.arguments[0])
                self._define_views(instruction, body, {instruction.arguments[0]: "one"})
                continue
            (result,) = instruction.results
            define(result)
            if instruction.name == "concatenate":
                body.loop += self._fill(instruction, slots)
            else:
                body.loop += written(instruction, self.of, self.of(result))
        self._hand_on(body, inside, defined, slots, later)

    def _summed(self, value: Value) -> bool:
        return any(value is g for g in (self.step.gx, *self.step.gcaptured))

    def _slots(self, plan: Schedule, inside: set[Value]) -> dict[Value, tuple[Value, int, int]]:
        """Which values are made right where a concatenation wants them."""
        slots: dict[Value, tuple[Value, int, int]] = {}
        views = {r for i in plan.loop if is_view(i) for r in i.results}
        for instruction in reversed(plan.loop):
            if instruction.name != "concatenate":
                continue
            (whole,) = instruction.results
            start = 0
            for part in instruction.arguments[2:]:
                stop = start + part.shape[1]
                if part in inside and part not in slots and part not in views:
                    slots[part] = whole, start, stop
                start = stop
        return slots

    def _fill(
        self, instruction: Instruction, slots: dict[Value, tuple[Value, int, int]]
    ) -> list[str]:
        (whole,) = instruction.results
        lines, start = [], 0
        for part in instruction.arguments[2:]:
            stop = start + part.shape[1]
            if slots.get(part) != (whole, start, stop):
                lines.append(f"{self.of(whole)}[{start}:{stop}] = {self.of(part)}")
            start = stop
        return lines

    def _hand_on(
        self,
        body: Function,
        inside: set[Value],
        defined: set[Value],
        slots: dict[Value, Any],
        later: set[Value],
    ) -> None:
        """What one step hands to the one before it: the cotangents of its state."""
        step = self.step
        made = [g for g in step.gstate if g is not None]
        own = all(
            g in defined and g not in slots and g not in later and not self._summed(g) for g in made
        )
        swap = own and len(set(made)) == len(made)
        lines = []
        for g, state in zip(step.gnew, step.gstate, strict=True):
            name = self.names.of(g)
            if state is None:
                lines.append(f"{name}[...] = 0")
            elif swap:
                lines.append(f"{name}, {self.of(state)} = {self.of(state)}, {name}")
            elif state is not g:
                lines.append(f"{name}_next = {self.of(state)}")
        if not swap:
            names = [
                self.names.of(g)
                for g, s in zip(step.gnew, step.gstate, strict=True)
                if s not in (None, g)
            ]
            lines += [f"{name} = {name}_next.copy()" for name in names]
        if self.masked:
            lines += [f"{self.names.of(g)} += {self.names.of(g)}_held" for g in step.gnew]
        body.loop += lines

    def _gradients(self, plan: Schedule, body: Function) -> list[Value]:
        """The lines after the loop: gradients of x, of the first state, and of what is captured."""
        step = self.step
        sums = Sums(self, plan, body)
        if step.gx is None:
            body.after.append("gx = None")
        else:
            body.after.append(f"gx = {sums.for_each_step(step.gx)}")
        found = []
        for (value, *_), g in zip(step.captured, step.gcaptured, strict=True):
            if g is not None:
                body.after.append(f"g_{self.names.of(value)} = {sums.over_steps(g)}")
                found.append(value)
        originals = {entry[0]: entry for entry in self.prepared}
        results = []
        for value in found:
            name = self.names.of(value)
            if value in originals:
                _, original, rows, scale, axis = originals[value]
                index, factor = self.arrangement(value, rows, scale, axis)
                target = f"g_{self.names.of(original)}"
                body.after.append(f"{target} = empty({value.shape}, x.dtype)")
                body.after.append(f"{target}[{index}] = g_{name} * {factor}")
                results.append(original)
            else:
                results.append(value)
        states = [f"{self.names.of(g)}.T.copy()" for g in step.gnew]
        weights = [f"g_{self.names.of(v)}" for v in results]
        weights[-1:] = [f"{weight}," for weight in weights[-1:]]  # a tuple, also of one
        body.after += _laid_out(f"return gx, ({', '.join(states)},), (", weights, ")")
        return results


class Sums:
    """Gradients of what all steps share: one product, or one sum, over all steps at once."""

    def __init__(self, emitter: Emitter, plan: Schedule, body: Function) -> None:
        self.emitter = emitter
        self.body = body
        self._flat: dict[Value, str] = {}
        self._made: set[Value] = {r for i in (*plan.before, *plan.loop) for r in i.results}
        self._after = {r: i for i in plan.after for r in i.results}

    def for_each_step(self, g: Value) -> str:
        """A cotangent of x, (T, N, I)."""
        maker = g.maker
        if maker is not None and maker.name == "matmul" and g in self._after:
            rows, weight = maker.arguments
            return f"({self.flat(rows)}.T @ {self.emitter.names.of(weight)}).reshape(x.shape)"
        self.ready(g)
        return f"{self.emitter.of_all(g)}.transpose(0, 2, 1).copy()"

    def flat(self, value: Value) -> str:
        """An array of all steps as (features, steps and sequences)."""
        if value not in self._flat:
            self.ready(value)
            name, size = self.emitter.names.of(value), value.shape[1]
            if value is self.emitter.step.x:
                self.body.after.append(f"x_flat = x.reshape(-1, {size}).T")
            else:
                source = self.emitter.of_all(value)
                self.body.after.append(
                    f"{name}_flat = {source}.transpose(1, 0, 2).reshape({size}, -1)"
                )
            self._flat[value] = f"{name}_flat"
        return self._flat[value]

    def ready(self, value: Value) -> None:
        """Has a value made for all steps."""
        instruction = self._after.get(value)
        if instruction is None or value in self._made:
            return
        for argument in instruction.values():
            self.ready(argument)
        self.emitter.require(instruction)
        self._made.update(instruction.results)
        self.body.after += self.emitter._for_all(instruction)

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
        if name == "reshape":
            return f"({self.over_steps(arguments[0])}).reshape({arguments[1]})"
        if name == "sum" and arguments[1] in ((0,), 0):
            shape = ".reshape(1, -1)" if arguments[2] else ""
            return f"{self.flat(arguments[0])}.sum(axis=1){shape}"
        if name == "add":
            return " + ".join(f"({self.over_steps(a)})" for a in arguments)
        if name == "concatenate":
            parts = ", ".join(self.over_steps(part) for part in arguments[2:])
            return f"np.concatenate(({parts}), axis={arguments[0]})"
        return self.plain_sum(g)

    def plain_sum(self, g: Value) -> str:
        self.ready(g)
        if len(g.shape) != 2:
            raise NotWritable(f"the gradient {g} has no notation")
        return f"{self.emitter.of_all(g)}.sum(axis=0).T"


def _loop_head(names: list[str], arrays: list[str]) -> list[str]:
    """The line, or lines, with ``for … in …:``."""
    if len(names) == 1:
        return [f"for {names[0]} in {arrays[0]}:"]
    line = f"for {', '.join(names)} in zip({', '.join(arrays)}):"
    if len(line) <= _WIDTH:
        return [line]
    begin = _laid_out("for (", names, ") in zip(", always=True)
    return [*begin, *_laid_out("", arrays, "):", always=True)[1:]]


def _laid_out(opening: str, items: Sequence[str], closing: str, always: bool = False) -> list[str]:
    """A list between brackets, in lines of its own if it is long."""
    line = opening + ", ".join(items) + closing
    if len(line) <= _WIDTH and not always:
        return [line]
    text = textwrap.wrap(", ".join(items), _WIDTH - 4, break_on_hyphens=False)
    return [opening, *(f"    {part}" for part in text), closing]


def _ranges(rows: np.ndarray) -> str:
    """An index of rows as text."""
    cuts = np.flatnonzero(np.diff(rows) != 1) + 1
    runs = np.split(rows, cuts)
    return "np.r_[" + ", ".join(f"{run[0]}:{run[-1] + 1}" for run in runs) + "]"


def _repeated(scale: np.ndarray) -> str:
    """A vector of a few runs of equal numbers as text."""
    cuts = np.flatnonzero(np.diff(scale) != 0) + 1
    runs = np.split(scale, cuts)
    values = ", ".join(repr(float(run[0])) for run in runs)
    lengths = ", ".join(str(len(run)) for run in runs)
    return f"np.repeat([{values}], [{lengths}]).astype(np.{scale.dtype.name})"
