"""How the gradient of a loss went back through time."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.context import current
from ..core.errors import GraphError
from ..core.recording import Recording
from ..panels import draw_curve, draw_legend, label_steps, look, new_figure, plain, positive
from ..rnn.runs import find_runs
from ..rnn.tracing import NormOverTime, Trace, grad_norms
from .drawn import Drawn

_SIZE = (8.0, 4.2)
_MOST_TICKS = 20


def gradient_flow(source: Trace | Recording, *, key: str = "h") -> Drawn:
    """‖dL/dh_t‖ at every step, a curve for each layer and direction, on a logarithmic scale.

    Where a curve falls straight to one side, the gradient vanishes by the same factor at each step;
    where it rises, it explodes. Norms are over the whole batch; zeros and infinities are gaps.

    Args:
        source: a trace with a loss, ``tg.rnn.trace(model, x, loss=...)``; or a recording in which a
            backward pass was made, ``with tg.record() as recording:``. In a loop of your own the
            steps are in ``with tg.scope(f"t={t}"):`` and the state has a name, ``.named("h")``.
        key: the state's name.

    Returns:
        The figure, and for each layer and direction an array (T,), by its place.

    Raises:
        ImportError: without matplotlib.
        RuntimeError: if no gradient was noted.
        TypeError: if `source` is something else.
        ValueError: if there is no such state.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> lstm = tg.nn.LSTM(3, 4, num_layers=2)
    >>> trace = tg.rnn.trace(lstm, np.ones((5, 1, 3)), loss=lambda result: result[0][-1].sum())
    >>> tg.plots.gradient_flow(trace)
    Drawn('l0': (5,), 'l1': (5,))
    """
    norms = _norms(source, key)
    made = new_figure(_SIZE, f"Gradient flow: ‖∂L/∂{key}_t‖ over the batch", "gradient_flow")
    panel = made.subplots()
    places = sorted({_forward(place) for place in norms})
    for place, (first, norm) in norms.items():
        style = look(places.index(_forward(place)))
        if place != _forward(place):
            style.update(linestyle="--", markerfacecolor="white")
        x = first + np.arange(len(norm))
        draw_curve(panel, x, positive(norm), {**style, "label": plain(place or key)})
    if any((norm > 0).any() for _, norm in norms.values()):
        panel.set_yscale("log")
    _describe(panel, norms, key)
    return Drawn(made, {place: norm for place, (_, norm) in norms.items()})


def _norms(source: Any, key: str) -> dict[str, NormOverTime]:
    if isinstance(source, Trace):
        return source.grad_norms(key)
    if not isinstance(source, Recording):
        raise TypeError(
            f"gradient_flow takes a trace or a recording, got {type(source).__name__}: "
            "gradient_flow(tg.rnn.trace(lstm, x, loss=lambda result: result[0][-1].sum()))"
        )
    if not source.gradients:
        raise GraphError(
            "gradient_flow: no gradient was noted; call loss.backward() inside `with tg.record() "
            "as recording:`"
        )
    return grad_norms(source, find_runs(source, current().scope, unnamed=0), key)


def _forward(place: str) -> str:
    """The place of the layer whose other direction this is, or itself."""
    return place.replace("_reverse", "")


def _describe(panel: Any, norms: dict[str, NormOverTime], key: str) -> None:
    first = min(norm.first for norm in norms.values())
    steps = max(norm.first + len(norm.norm) for norm in norms.values()) - first
    label_steps(panel.xaxis, first, steps, None, most=_MOST_TICKS)
    panel.set_xlabel("time step t")
    panel.set_ylabel(plain(f"‖∂L/∂{key}_t‖ (Euclidean norm)"))
    panel.grid(alpha=0.3)
    draw_legend(panel)
