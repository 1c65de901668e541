"""What is done for all steps at once, and what is left to the loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from .steps import Instruction, Value, depending


class Schedule(NamedTuple):
    """Instructions by when they are carried out.

    Attributes:
        constant: once; they depend on nothing that changes from step to step.
        before: for all steps at once, before the loop.
        loop: step by step.
        after: for all steps at once, after the loop.
    """

    constant: list[Instruction]
    before: list[Instruction]
    loop: list[Instruction]
    after: list[Instruction]


def schedule(
    code: Sequence[Instruction],
    varying: Sequence[Value | None],
    carried: Sequence[Value | None],
    results: Sequence[Value | None],
    liftable: Callable[[Instruction], bool],
) -> Schedule:
    """Puts each instruction where it costs least.

    Args:
        code: in order.
        varying: what differs from step to step and is there for all steps from the start.
        carried: what one step hands to the next: the state, or its cotangent.
        results: what the loop must hand on.
        liftable: whether an instruction can be carried out for all steps at once.
    """
    late = depending(code, carried)
    changing = depending(code, [*varying, *carried])
    # An instruction that can't be lifted stays in the loop, and what needs its results too.
    stuck = depending(
        code,
        [r for i in code for r in i.results if r in changing and not liftable(i)],
    )
    handed = {value for value in carried if value is not None}
    needed = {value for value in results if value is not None}
    for instruction in reversed(code):
        in_loop = any(r in late or r in stuck for r in instruction.results)
        must = any(r in needed for r in instruction.results)
        # What is handed on is there in the loop alone.
        must = must or (liftable(instruction) and any(v in handed for v in instruction.values()))
        if in_loop and (must or not liftable(instruction)):
            needed.update(instruction.values())
            needed.update(instruction.results)
    made = Schedule([], [], [], [])
    for instruction in code:
        result = instruction.results[0]
        if result not in changing:
            made.constant.append(instruction)
        elif result not in late and result not in stuck:
            made.before.append(instruction)
        elif any(r in needed for r in instruction.results):
            made.loop.append(instruction)
        else:
            made.after.append(instruction)
    return made
