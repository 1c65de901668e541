"""A run of a program over a sequence, in stretches that stay near the processor."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .functions import Program
from .workspace import workspace

_BYTES_AT_ONCE = 1 << 20  # of the largest array that a program makes for all its steps
_FEWEST_AT_ONCE = 8


class Run:
    """What carries a program out; it keeps no arrays but the mask.

    Args:
        program: for a gradient of what is wanted.
        count: how many parts the state has.
        real: (T, N), which steps are real; None if all are.
        reverse: whether it goes from the last step to the first.
    """

    def __init__(
        self, program: Program, count: int, real: np.ndarray | None, reverse: bool
    ) -> None:
        self.program = program
        self.count = count
        self.real = None if real is None else _for_rows(real, program.batch)
        self.reverse = reverse

    def forward(self, arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, Any, list[Any]]:
        """The outputs, the final state, and what `backward` needs.

        Args:
            arrays: x, the parts of the state, and what the cell captured.
        """
        x, *rest = arrays
        state, captured = rest[: self.count], rest[self.count :]
        program = self.program
        for_forward, *for_backward = program.prepare(*captured)
        y = np.empty((len(x), *program.y_shape), x.dtype)
        saved = []
        for some in self._stretches(x, state):
            state, kept = program.forward(
                *state, x[some], *self._mask(some), for_forward, y[some], workspace.empty
            )
            saved.append(kept)
        return y, state, [*for_backward, saved]

    def backward(self, g: Sequence[Any], saved: Sequence[Any]) -> list[Any]:
        """The cotangents of what `forward` was given; None where the program has none.

        Args:
            g: of the outputs, and of the final state.
            saved: what `forward` returned last, and then what it was given.
        """
        (weights, kept), x, *rest = saved
        state, captured = rest[: self.count], rest[self.count :]
        program = self.program
        shapes = [(len(x), *program.y_shape), *(part.shape for part in state)]
        gy, *last = [
            np.zeros(shape, x.dtype) if part is None else np.asarray(part, x.dtype)
            for part, shape in zip(g, shapes, strict=True)
        ]
        gx = np.empty(x.shape, x.dtype) if program.wants_gx else None
        sums: list[np.ndarray] | None = None
        stretches = list(self._stretches(x, state))
        for some, each in zip(stretches[::-1], kept[::-1], strict=True):
            into = None if gx is None else gx[some]
            last, more = program.backward(
                *(gy[some], *last, each, x[some], *self._mask(some)),
                *(weights, into, workspace.empty),
            )
            sums = more if sums is None else [a + b for a, b in zip(sums, more, strict=True)]
        found: list[Any] = [gx, *last, *(None for _ in captured)]
        for place, gradient in zip(program.places, program.gradients(*(sums or ())), strict=True):
            found[1 + self.count + place] = gradient
        return found

    def _stretches(self, x: np.ndarray, state: Sequence[np.ndarray]) -> Iterator[slice]:
        """So many steps at once that what is made for all of them stays small."""
        per_step = sum(4 * part.size * x.dtype.itemsize for part in state)
        count = max(_FEWEST_AT_ONCE, _BYTES_AT_ONCE // max(per_step, 1))
        edges = [*range(0, len(x), count), len(x)]
        slices = [slice(a, b) for a, b in itertools.pairwise(edges)]
        return iter(slices[::-1] if self.reverse else slices)

    def _mask(self, some: slice) -> list[np.ndarray]:
        return [] if self.real is None else [self.real[some]]


def _for_rows(real: np.ndarray, batch: int) -> np.ndarray:
    """(T, N): which steps are real; if those of all sequences are, `real` is (T,)."""
    if real.ndim == 1:
        real = np.repeat(real[:, None], batch, axis=1)
    return np.ascontiguousarray(real)
