"""W x + U h + b as one product: the weights side by side; h, x and ones below one another."""

from __future__ import annotations

from typing import NamedTuple

from ...core.primitive import registry
from .schedule import Schedule
from .steps import Instruction, Step, Value, uses

ADD = registry["add"]
_PRODUCTS = ("linear", "matmul")


class _Stacked:
    """The operation; it stands in a schedule alone."""

    name = "stacked"


STACKED = _Stacked()


class Stack(NamedTuple):
    """A product of a state and the input.

    Attributes:
        state: h.
        recurrent, input: the products that it stands for.
        bias: what is added to each column, or None.
    """

    state: Value
    recurrent: Instruction
    input: Instruction
    bias: Value | None

    @property
    def rows(self) -> list[int]:
        """Where h, x and the ones end."""
        sizes = [self.state.shape[1], self.input.arguments[0].shape[1], int(self.bias is not None)]
        return [sum(sizes[: k + 1]) for k in range(3)]


def stack(
    step: Step, plan: Schedule, constants: set[Value], needed: set[Value]
) -> tuple[Schedule, dict[Value, Stack]]:
    """The schedule with such sums as one instruction; by their results what they consist of.

    Args:
        needed: what is read after the loop.
    """
    used = uses([*plan.before, *plan.loop, *plan.after])
    found: dict[Value, Stack] = {}
    dead: set[Instruction] = set()
    for add in [i for i in plan.loop if i.operation is ADD and len(i.values()) == 2]:
        for early, late in (add.values(), add.values()[::-1]):
            parts = _early(early, step.x, used, constants, needed)
            product = late.maker
            if parts is None or product is None or not _alone(late, used, needed):
                continue
            first, *rest = product.arguments
            fits = product.name in _PRODUCTS and product in plan.loop and first in step.state
            if fits and not any(rest[1:]) and first not in [each.state for each in found.values()]:
                lifted, terms, bias = parts
                dead.update((add, product, *terms))
                found[add.results[0]] = Stack(first, product, lifted, bias)
                break
    loop = [
        Instruction(STACKED, [found[i.results[0]].state], i.results) if i.results[0] in found else i
        for i in plan.loop
        if i.results[0] in found or i not in dead
    ]
    return plan._replace(before=[i for i in plan.before if i not in dead], loop=loop), found


def _alone(value: Value, used: dict[Value, list[Instruction]], needed: set[Value]) -> bool:
    return len(used.get(value, ())) == 1 and value not in needed


def _early(
    value: Value,
    x: Value,
    used: dict[Value, list[Instruction]],
    constants: set[Value],
    needed: set[Value],
) -> tuple[Instruction, list[Instruction], Value | None] | None:
    """A product of x, all instructions of it, and its bias; None if a value isn't that."""
    maker = value.maker
    if maker is None or not _alone(value, used, needed):
        return None
    if maker.name in _PRODUCTS and maker.arguments[0] is x:
        bias = maker.arguments[2] if maker.name == "linear" else None
        return maker, [maker], bias
    if maker.operation is not ADD or len(maker.values()) != 2:
        return None
    for inner, bias in (maker.values(), maker.values()[::-1]):
        if bias in constants and bias.shape == value.shape[1:]:
            parts = _early(inner, x, used, constants, needed)
            if parts is not None and parts[2] is None:
                return parts[0], [*parts[1], maker], bias
    return None
