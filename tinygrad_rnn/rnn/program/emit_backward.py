"""The backward function of a step's program."""

from __future__ import annotations

from .emit import Emitter
from .emit_forward import X_FEATURES_FIRST
from .layout import Function, laid_out, tuple_of
from .notation import is_view, view_edges
from .panels import Run, panels
from .schedule import Schedule
from .steps import Instruction, Value, leading_to
from .sums import Sums


def backward(emitter: Emitter) -> tuple[Function, list[Value]]:
    """``backward``, and the captured values of whose gradients it returns the sums."""
    made = _Backward(emitter)
    found = made.write()
    return made.body, found


class _Backward:
    def __init__(self, emitter: Emitter) -> None:
        self.emitter = emitter
        self.step = emitter.step
        self.names = emitter.names
        self.body = Function()
        self.plan = self._schedule()
        self.inside = {r for i in self.plan.loop for r in i.results}
        self.entering = set(self.step.gnew)
        self.panels = panels(self.plan.loop, self.inside | self.entering)
        self.kept = self._kept()
        self.defined: set[Value] = set()
        self.run_names: dict[Value, tuple[str, str]] = {}  # of factors and products

    def write(self) -> list[Value]:
        step, emitter, body = self.step, self.emitter, self.body
        assert step.gy is not None
        kept = [emitter.of_all(value) for value in emitter.saved()]
        body.before += ["T, N = x.shape[:2]"]
        body.before += laid_out("(", kept, ("," * (len(kept) == 1)) + ") = saved")
        body.before.append(X_FEATURES_FIRST)
        if emitter.masked:
            body.before += [
                "gy = np.where(real[..., None], gy, 0)",
                "real_all = real[:, None].astype(x.dtype)",
                "held_all = 1 - real_all",
            ]
        body.before.append(f"{emitter.of_all(step.gy)} = gy.transpose(0, 2, 1)")
        body.before += self._saved_views()
        emitter.prepare([*emitter.plan.constant, *self.plan.constant])
        self._factors()
        self._loop()
        self._hand_on()
        return self._gradients()

    def _schedule(self) -> Schedule:
        """When to carry out the backward code; what no step reads is left to the end."""
        step, emitter = self.step, self.emitter
        varying = [step.x, *step.state, *emitter.made, step.gy]
        every = {r for i in step.backward for r in i.results}
        plan = emitter.schedule(step.backward, varying, step.gnew, step.gstate, every)
        read = {v for i in plan.loop for v in i.values()}.union(step.gstate)
        before = leading_to(plan.before, read)
        for instruction in before:
            emitter.require(instruction)
        rest = [i for i in plan.before if i not in before]
        return plan._replace(before=before, after=[*rest, *plan.after])

    def _kept(self) -> set[Value]:
        """What the loop makes that is read after it, and what holds it."""
        step = self.step
        later = {v for i in self.plan.after for v in i.values()}
        later |= {g for g in (step.gx, *step.gcaptured) if g is not None}
        holders = {part: whole for part, (whole, _, _) in self.panels.slots.items()}
        holders |= {r: i.arguments[0] for i in self.plan.loop if is_view(i) for r in i.results}
        for part in list(later):
            while part in holders:
                part = holders[part]
                later.add(part)
        return later

    # Before the loop

    def _saved_views(self) -> list[str]:
        """The names of saved arrays, and of their parts, that the backward code reads."""
        step, emitter, memory = self.step, self.emitter, self.emitter.memory
        before, after = ("[1:]", "[:-1]") if emitter.reverse else ("[:-1]", "[1:]")
        read = {v for i in step.backward for v in i.values()}
        roots = {memory.root(v) for v in read if v in emitter.made}
        lines = []
        for state, new in zip(step.state, step.new, strict=True):
            name = emitter.of_all(state)
            if memory.root(new) in roots:
                lines.append(f"{emitter.of_all(new)} = {name}{after}")
            lines.append(f"{name} = {name}{before}")
        seen: set[Instruction] = set()

        def show(value: Value) -> None:
            while value in memory.shared:
                value = memory.shared[value]
            view = emitter.views.get(value)
            if view is not None and view not in seen:
                seen.add(view)
                show(view.arguments[0])
                lines.extend(emitter.shown(view))

        for instruction in step.backward:
            for value in instruction.values():
                if value in emitter.made:
                    show(value)
        return lines

    def _factors(self) -> None:
        """What doesn't depend on later steps; factors of a run are made side by side."""
        emitter, body = self.emitter, self.body
        before = self.plan.before
        taken = emitter.taken(self.plan, set())
        emitter.name_alike(taken)
        slots = self.panels.factor_slots
        places: dict[Value, str] = {}
        made = {r for i in before if not is_view(i) for r in i.results}
        for run in self.panels.runs.values():
            base = self.names.of(run.base)
            self.run_names[run.factors] = (
                self.names.free(f"{base}_factors"),
                self.names.free(f"{base}_products"),
            )
            shape = f"(T, {len(run.members)}, {run.base.shape[1]}, N)"
            body.before.append(f"{self.run_names[run.factors][0]}_all = empty({shape}, x.dtype)")
        copies = []
        for factor, wanted in slots.items():
            for k, (holder, start, _) in enumerate(wanted):
                place = f"{self.run_names[holder][0]}_all[:, {start // factor.shape[1]}]"
                origin = factor
                while origin in taken:
                    origin = taken[origin]
                if k == 0 and origin in made and origin not in places:
                    places[origin] = place
                else:
                    copies.append((place, factor))
        body.before += emitter.for_all(before, taken, places.get)
        body.before += [f"{place} = {emitter.of_all(factor)}" for place, factor in copies]

    # The loop

    def _loop(self) -> None:
        names, body = self.names, self.body
        for g in self.step.gnew:
            name = names.of(g)
            body.before.append(f"{name} = {name}_last.T.copy()")
        if self.emitter.masked:
            body.over("real", "real_all")
            body.over("rest", "held_all")
            for g in self.step.gnew:
                name = names.of(g)
                body.before.append(f"{name}_held = {self.emitter.empty(g)}")
                body.loop.append(f"np.multiply({name}, rest, out={name}_held)")
                body.loop.append(f"{name} *= real")
        for instruction in self.plan.loop:
            if instruction in self.panels.runs:
                self._multiply(self.panels.runs[instruction])
            elif instruction not in self.panels.rest:
                self._write(instruction)

    def _write(self, instruction: Instruction) -> None:
        body, emitter = self.body, self.emitter
        self._go_over(instruction.values())
        if is_view(instruction):
            self._define(instruction.arguments[0])
            self._define_views(instruction)
            return
        (result,) = instruction.results
        self._define(result)
        if instruction.name == "concatenate":
            body.loop += self._fill(instruction)
        else:
            emitter.in_loop(instruction, body)

    def _multiply(self, run: Run) -> None:
        """All products of a run at once."""
        names, body = self.names, self.body
        self._go_over([run.base])
        for member in run.members:
            self._define(member.results[0])
        factors, out = self.run_names[run.factors]
        source = names.of(run.products)
        count, size = len(run.members), run.base.shape[1]
        start, stop = run.rows
        if self._for_all_steps(run.products):
            body.before.append(
                f"{out}_all = {source}_all[:, {start}:{stop}].reshape(T, {count}, {size}, N)"
            )
            body.over(out)
        else:
            body.before.append(f"{out} = {source}[{start}:{stop}].reshape({count}, {size}, N)")
        body.over(factors)
        body.loop.append(f"np.multiply({self.emitter.of(run.base)}, {factors}, out={out})")

    def _go_over(self, values: list[Value]) -> None:
        for value in values:
            ready = value not in self.inside and value not in self.entering
            if ready and value not in self.emitter.constants:
                self.body.over(self.names.of(value))

    def _define(self, value: Value) -> None:
        """Makes the array of a value of the loop."""
        if value in self.defined or value not in (*self.inside, *self._holders()):
            return
        self.defined.add(value)
        name, body = self.names.of(value), self.body
        if value in self.panels.slots:
            whole, a, b = self.panels.slots[value]
            self._define(whole)
            source = self.names.of(whole)
            if self._for_all_steps(whole):
                body.before.append(f"{name}_all = {source}_all[:, {a}:{b}]")
                body.over(name)
            else:
                body.before.append(f"{name} = {source}[{a}:{b}]")
        elif value in self.kept:
            body.before.append(f"{name}_all = {self.emitter.empty(value, 'T, ')}")
            body.over(name)
        else:
            body.before.append(f"{name} = {self.emitter.empty(value)}")

    def _holders(self) -> set[Value]:
        return {whole for whole, _, _ in self.panels.slots.values()}

    def _define_views(self, view: Instruction) -> None:
        source = view.arguments[0]
        name = self.names.of(source)
        whole = name in self.body.iterated
        for result, (a, b) in zip(view.results, view_edges(view), strict=True):
            if whole:
                self.body.before.append(f"{self.emitter.of_all(result)} = {name}_all[:, {a}:{b}]")
                self.body.over(self.names.of(result))
            elif source in self.entering:
                self.body.loop.append(f"{self.names.of(result)} = {name}[{a}:{b}]")
            else:
                self.body.before.append(f"{self.names.of(result)} = {name}[{a}:{b}]")

    def _fill(self, instruction: Instruction) -> list[str]:
        (whole,) = instruction.results
        lines, start = [], 0
        for part in instruction.arguments[2:]:
            stop = start + part.shape[1]
            if self.panels.slots.get(part) != (whole, start, stop):
                lines.append(f"{self.names.of(whole)}[{start}:{stop}] = {self.emitter.of(part)}")
            start = stop
        return lines

    def _hand_on(self) -> None:
        """What one step hands to the one before it: the cotangents of its state."""
        step, names = self.step, self.names
        pairs = list(zip(step.gnew, step.gstate, strict=True))
        given = [g for g in step.gstate if g is not None]
        single = len(set(given)) == len(given) and self.entering.isdisjoint(given)
        late, last = [], []
        for g, state in pairs:
            name = names.of(g)
            if state is None:
                last.append(f"{name}[...] = 0")
            elif state is g:
                continue
            elif state not in self.inside:
                self._go_over([state])
                late.append(f"{name}_next = {self.emitter.of(state)}")
                last.append(f"{name} = {name}_next.copy()")
            elif single and self._free(state):
                last.append(f"{name}, {names.of(state)} = {names.of(state)}, {name}")
            elif single and self._own_each_step(state):
                last.append(f"{name} = {names.of(state)}")
            else:
                late.append(f"{name}_next = {self.emitter.of(state)}")
                last.append(f"{name} = {name}_next.copy()")
        if self.emitter.masked:
            last += [f"{names.of(g)} += {names.of(g)}_held" for g in step.gnew]
        self.body.loop += [*late, *last]

    def _free(self, value: Value) -> bool:
        """Whether a value is in an array of one step that nothing else needs."""
        free = value in self.defined and value not in self.panels.slots
        views = {v for i in self.plan.loop if is_view(i) for v in (i.arguments[0], *i.results)}
        return free and value not in self.kept and value not in views

    def _own_each_step(self, value: Value) -> bool:
        """Whether each step has its own array of a value, which nothing reads after the loop."""
        later = {v for i in self.plan.after for v in i.values()} | {self.step.gx}
        if value not in self.panels.slots or later.union(self.step.gcaptured) & {value}:
            return False
        return self._for_all_steps(value)

    def _for_all_steps(self, value: Value) -> bool:
        """Whether a value, or what it is a part of, is kept for all steps."""
        while value in self.panels.slots:
            value = self.panels.slots[value][0]
        return value in self.kept

    # After the loop

    def _gradients(self) -> list[Value]:
        """The lines after the loop: gradients of x, of the first state, and of what is captured."""
        step, names, body = self.step, self.names, self.body
        sums = Sums(self.emitter, self.plan, body)
        if step.gx is not None:
            body.after += sums.for_each_step(step.gx)
        found = []
        for (value, *_), g in zip(step.captured, step.gcaptured, strict=True):
            if g is not None:
                body.after.append(f"g_{names.of(value)} = {sums.over_steps(g)}")
                found.append(value)
        states = tuple_of([f"{names.of(g)}.T.copy()" for g in step.gnew])
        weights = [f"g_{names.of(value)}" for value in found]
        body.after += laid_out(f"return {states}, [", weights, "]")
        return found
