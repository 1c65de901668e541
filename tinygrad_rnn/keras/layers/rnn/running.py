"""Any Keras cell, run over a sequence by the one loop of `tg.rnn`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....core.context import no_grad
from ....ops import where
from ....rnn.loop import scan
from ....rnn.states import parts_of
from ....tensor import Tensor
from ..layer import Layer
from .cells import RecurrentCell
from .stacked import StackedRNNCells, initial_state, listed, output_size, step_of


def run(
    cell: Any,
    xs: Any,
    states: list[Any],
    mask: Any,
    reverse: bool,
    training: bool,
    steps: dict[int, Step],
) -> tuple[Any, list[Any]]:
    """All steps of a cell over xs (T, N, I).

    Args:
        states: as the cell's `state_size`: a list of parts (N, size); of stacked cells, one for
            each cell.
        mask: (T, N), True at steps to be used, or None.
        steps: the users' cells as they were run before, to know them again.

    Returns:
        The outputs (T, N, U), zero where a step is masked, and the final states.
    """
    if isinstance(cell, StackedRNNCells):
        finals = []
        for inner, own in zip(cell.cells, states, strict=True):
            xs, final = run(inner, xs, listed(own), mask, reverse, training, steps)
            finals.append(final if isinstance(own, (list, tuple)) else final[0])
        return xs, finals
    if isinstance(cell, RecurrentCell):
        masks = cell.masks(xs.shape[1], training)
        runner = cell.view(masks.get("state"))
        xs = xs * masks["input"] if "input" in masks else xs
        state = states[0] if len(states) == 1 else tuple(states)
        ys, final = scan(runner, xs, state, reverse, mask=mask)
        return ys, list(parts_of(final))
    step = steps.get(id(cell))
    if step is None or step.cell is not cell or step.training != training:
        step = steps[id(cell)] = Step(cell, training)
    return _run_step(step, xs, states, mask, reverse)


class Step:
    """A cell in Keras' manner as a function (x, state) -> new state; its output is part of it."""

    def __init__(self, cell: Any, training: bool) -> None:
        self.cell = cell
        self.training = training
        self.call = step_of(cell, training)
        self.__qualname__ = getattr(cell, "__qualname__", type(cell).__qualname__)  # in messages

    def __call__(self, x: Any, state: Any) -> Any:
        output, new = self.call(x, list(state[1:]))
        return (output, *listed(new))


def make_inner_weights(cell: Any, step: Sequence[int | None]) -> None:
    """Calls a cell that holds layers whose weights are made when they are first called."""
    if not isinstance(cell, Layer) or isinstance(cell, (RecurrentCell, StackedRNNCells)):
        return
    inner = [module for module in cell.modules() if isinstance(module, Layer)]
    if all(layer.built for layer in inner) or None in step[1:]:
        return
    with no_grad():
        x = Tensor(np.zeros((1, *step[1:]), cell.dtype))
        step_of(cell, False)(x, initial_state(cell, 1, cell.dtype))


def _run_step(
    step: Step, xs: Any, states: list[Any], mask: Any, reverse: bool
) -> tuple[Any, list[Any]]:
    cell = step.cell
    for inner in cell.modules() if isinstance(cell, Layer) else ():
        if isinstance(inner, RecurrentCell):
            inner.reset_dropout_mask()
            inner.reset_recurrent_dropout_mask()
    size = output_size(cell)
    before = Tensor(np.zeros((xs.shape[1], size), xs.dtype))
    ys, (_, *final) = scan(step, xs, (before, *states), reverse, mask=mask)
    return ys, final


def held_over(ys: Any, mask: np.ndarray, reverse: bool, last: bool) -> Any:
    """Outputs (T, N, U), at masked steps those of the last step before that wasn't; else zero.

    Args:
        last: whether only those of the step that comes last are wanted, (1, N, U).
    """
    steps = np.arange(len(mask))[:, None]
    mask = mask[::-1] if reverse else mask
    used = np.maximum.accumulate(np.where(mask, steps, -1))
    used = used[-1:] if last else used[::-1] if reverse else used
    rows = np.where(used < 0, 0, len(mask) - 1 - used if reverse else used)
    return where((used >= 0)[..., None], ys[rows, np.arange(mask.shape[1])], 0)
