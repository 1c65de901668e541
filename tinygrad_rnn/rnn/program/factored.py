"""Chains of products in the backward code as one product, with a factor that is made early."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...core.primitive import registry
from .steps import Instruction, Step, Value, depending, leading_to, make

ADD, CONCATENATE = registry["add"], registry["concatenate"]
MULTIPLY, SPLIT = registry["multiply"], registry["split"]


class _Product(NamedTuple):
    """A cotangent as ``base * factor``; the factor needs no cotangent (None is 1)."""

    base: Value
    factor: Any


class _Joined(NamedTuple):
    """A cotangent as the concatenation of others along the last axis."""

    parts: list[tuple[Any, Value]]
    bounds: tuple[int, ...]


class Factored:
    """The backward code, its elementwise cotangents as a base times a factor.

    Cotangents are linear in those that come in. So a chain of products with what the forward pass
    left becomes one product, with a factor that all steps can have before the loop.
    """

    def __init__(self, step: Step) -> None:
        self.code: list[Instruction] = []
        self._late = depending(step.backward, step.gnew)
        self._forms: dict[Value, Any] = {}
        self._made: dict[Value, Value] = {}
        for instruction in step.backward:
            self._take(instruction)
        wanted = [self._value(g) for g in (step.gx, *step.gstate, *step.gcaptured)]
        code, same = without_repeats(self.code)
        step.gx, *rest = [same.get(g, g) for g in wanted]
        step.gstate, step.gcaptured = rest[: len(step.gstate)], rest[len(step.gstate) :]
        step.backward = leading_to(code, [step.gx, *rest])

    def _take(self, instruction: Instruction) -> None:
        late = [a for a in instruction.values() if a in self._late]
        result = instruction.results[0]
        if late and len(instruction.results) == 1:
            form = self._form_of(instruction, late, result)
            if form is not None:
                self._forms[result] = form
                return
        instruction.arguments = [self._value(a) for a in instruction.arguments]
        self.code.append(instruction)

    def _form_of(self, instruction: Instruction, late: list[Value], result: Value) -> Any:
        arguments, name = instruction.arguments, instruction.name
        if name == "multiply" and len(late) == 1 and late[0].shape == result.shape:
            factor = arguments[1] if arguments[0] is late[0] else arguments[0]
            return self._times(self._form(late[0]), factor, result)
        if name == "negative":
            return self._times(self._form(late[0]), -1.0, result)
        if name == "add" and len(late) == 2 and late[0].shape == late[1].shape:
            return self._sum(self._form(late[0]), self._form(late[1]), result)
        joined = name == "concatenate" and arguments[0] in (-1, len(result.shape) - 1)
        if joined and len(late) == len(arguments) - 2:
            return _Joined([(self._form(part), part) for part in late], arguments[1])
        return None

    def _form(self, value: Value) -> Any:
        return self._forms.get(value) or _Product(value, None)

    def _times(self, form: Any, factor: Any, result: Value) -> Any:
        if isinstance(form, _Product):
            return _Product(form.base, self._product(form.factor, factor, result))
        factors = self._pieces(factor, [part for _, part in form.parts], form.bounds)
        rows = zip(form.parts, factors, strict=True)
        return _Joined([(self._times(f, k, part), part) for (f, part), k in rows], form.bounds)

    def _pieces(self, factor: Any, parts: list[Value], bounds: tuple[int, ...]) -> list[Any]:
        """A factor of a concatenation, cut as it is."""
        if not isinstance(factor, Value) or factor.shape[-1:] in ((), (1,)):
            return [factor] * len(parts)
        shapes = [(*factor.shape[:-1], part.shape[-1]) for part in parts]
        self.code.append(make(SPLIT, [factor, bounds, -1], shapes, factor.dtype))
        return list(self.code[-1].results)

    def _product(self, a: Any, b: Any, result: Value) -> Any:
        if a is None or b is None:
            return b if a is None else a
        if not isinstance(a, Value) and not isinstance(b, Value):
            return a * b
        return self._emit(MULTIPLY, [a, b], result)

    def _sum(self, a: Any, b: Any, result: Value) -> Any:
        """u k + u l as u (k + l)."""
        if not (isinstance(a, _Product) and isinstance(b, _Product)) or a.base is not b.base:
            return None
        if not isinstance(a.factor, Value) or not isinstance(b.factor, Value):
            return None
        return _Product(a.base, self._emit(ADD, [a.factor, b.factor], result))

    def _emit(self, operation: Any, arguments: list[Any], like: Value) -> Value:
        shapes = [a.shape for a in arguments if isinstance(a, Value)]
        shape = np.broadcast_shapes(*shapes)
        self.code.append(make(operation, arguments, [shape], like.dtype))
        return self.code[-1].results[0]

    def _value(self, value: Any) -> Any:
        """A value with the product or concatenation that it is carried out."""
        form = self._forms.get(value) if isinstance(value, Value) else None
        if form is None:
            return value
        if value not in self._made:
            self._made[value] = self._carried_out(form, value)
        return self._made[value]

    def _carried_out(self, form: Any, result: Value) -> Value:
        if isinstance(form, _Joined):
            parts = [self._carried_out(each, part) for each, part in form.parts]
            arguments = [-1, form.bounds, *parts]
            self.code.append(make(CONCATENATE, arguments, [result.shape], result.dtype))
            return self.code[-1].results[0]
        if form.factor is None:
            return form.base
        return self._emit(MULTIPLY, [form.base, form.factor], result)


def without_repeats(code: list[Instruction]) -> tuple[list[Instruction], dict[Any, Value]]:
    """The code with each instruction once, and what stands for the results of those left out."""
    seen: dict[Any, list[Value]] = {}
    replaced: dict[Any, Value] = {}
    kept = []
    for instruction in code:
        instruction.arguments = [
            replaced.get(a, a) if isinstance(a, Value) else a for a in instruction.arguments
        ]
        parts = [id(a) if isinstance(a, Value) else repr(a) for a in instruction.arguments]
        key = instruction.operation, tuple(parts)
        if key in seen:
            replaced.update(zip(instruction.results, seen[key], strict=True))
        else:
            seen[key] = instruction.results
            kept.append(instruction)
    return kept, replaced
