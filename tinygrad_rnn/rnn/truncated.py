"""Truncated backpropagation through time."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..core.errors import ShapeError
from ..ops import concatenate
from ..tensor import asarray
from .states import detach


class Window(NamedTuple):
    """What `tbptt` gives for each update.

    Attributes:
        steps: the slice of time whose losses belong to this update.
        output: the outputs of these steps, laid out as the layer does.
        state: the state after them, cut off from the graph.
    """

    steps: slice
    output: Any
    state: Any


def tbptt(
    layer: Any, xs: Any, k1: int, k2: int | None = None, state: Any = None
) -> Iterator[Window]:
    """Truncated backpropagation through time: every k1 steps, back through the last k2.

        window j, with end = min(k1 (j+1), T):
            loss = Σ L_t for k1 j <= t < end;   ∂h_s/∂θ = 0 for s < end - k2

    Each step's loss belongs to one window. The state from which a window's k2 steps begin is a
    constant; the k2 steps are run with the parameters as they are at that time, so an optimiser may
    change them between windows. With k2 > k1 each step is run k2/k1 times. Never more than
    the graph of k2 steps is in memory, if the window's loss isn't kept.

    Args:
        layer: called as ``layer(x, state)``, it returns the outputs and the new state: a recurrent
            layer in one direction, or a function that does the same. With ``batch_first``, time is
            the second axis.
        xs: the whole sequence, in the layer's layout.
        k1: how many steps there are from one update to the next; the last may have fewer.
        k2: how many steps each update goes back, at least k1, which is the default.
        state: to begin with; a constant.

    Yields:
        A `Window`: compute the loss of its `output` for its `steps`, go back, update.

    Raises:
        ValueError: if k1 or k2 is too small, or the layer bidirectional.

    Source: Williams & Peng 1990, "An Efficient Gradient-Based Algorithm for On-Line Training of
    Recurrent Network Trajectories": BPTT(h; h') with h = k2, h' = k1.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> rnn, x, y = tg.nn.RNN(3, 4), np.ones((10, 1, 3)), np.zeros((10, 1, 4))
    >>> optimiser = tg.optim.SGD(rnn.parameters(), lr=0.1)
    >>> for window in tg.rnn.tbptt(rnn, x, k1=4, k2=6):
    ...     optimiser.zero_grad()
    ...     tg.nn.functional.mse_loss(window.output, y[window.steps]).backward()
    ...     optimiser.step()
    ...     print(window.steps.start, window.steps.stop)
    0 4
    4 8
    8 10
    """
    xs = asarray(xs)
    k1, k2 = operator.index(k1), operator.index(k1 if k2 is None else k2)
    axis = 1 if getattr(layer, "batch_first", False) and xs.ndim > 2 else 0
    _check(layer, xs, axis, k1, k2)
    return _windows(layer, xs, axis, k1, k2, detach(state))


def _windows(layer: Any, xs: Any, axis: int, k1: int, k2: int, state: Any) -> Iterator[Window]:
    total = xs.shape[axis]
    begin = 0  # where `state` belongs: the first step of the window
    for start in range(0, total, k1):
        end = min(start + k1, total)
        following = max(begin, min(end + k1, total) - k2)  # where the next window begins
        cuts = sorted({begin, min(following, end), start, end})
        output, now = None, state
        for first, stop in itertools.pairwise(cuts):
            ys, now = layer(xs[_along(axis, first, stop)], now)
            if stop == following:
                state = detach(now)
            if first >= start:
                output = ys if output is None else concatenate([output, ys], axis)
        begin = following
        yield Window(slice(start, end), output, detach(now))


def _along(axis: int, start: int, stop: int) -> tuple[slice, ...]:
    return (*(slice(None),) * axis, slice(start, stop))


def _check(layer: Any, xs: Any, axis: int, k1: int, k2: int) -> None:
    if getattr(layer, "bidirectional", False):
        raise ValueError(
            "tbptt: a bidirectional layer reads the sequence from its end too, so it can't go "
            "window by window"
        )
    if k1 < 1 or k2 < k1:
        raise ValueError(
            f"tbptt: an update every k1 = {k1} steps, going back k2 = {k2}, needs 1 <= k1 <= k2: "
            "otherwise some losses would reach no parameter"
        )
    if xs.ndim <= axis or not xs.shape[axis]:
        raise ShapeError(f"tbptt: there is no step in an input of shape {xs.shape}")
