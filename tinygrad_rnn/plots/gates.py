"""What the gates did while a text was read."""

from __future__ import annotations

from collections.abc import Sequence

from ..rnn import trace_plot
from ..rnn.tracing import Trace
from .drawn import Drawn


def gate_activity(
    trace: Trace,
    text: Sequence[str] | None = None,
    *,
    place: str | None = None,
    quantities: Sequence[str] | None = None,
    sequence: int = 0,
) -> Drawn:
    """The gates of a layer over a text: its characters along the axis, a panel for each gate.

    Units are rows. Gates have a scale from 0 to 1; what has both signs is blue below zero and red
    above.

    Args:
        trace: of a run over the text, made by `tg.rnn.trace`.
        text: a character or word for each step, T of them; the steps are numbered without.
        place: the layer and direction, one of `trace.places`; may be left out if there is only one.
        quantities: which ones, such as ``["i", "f"]``; all but the input if left out.
        sequence: which one of the batch.

    Returns:
        The figure, and for each quantity an array (T, H), NaN where a step isn't real.

    Raises:
        ImportError: without matplotlib.
        TypeError: if `trace` isn't one.
        ValueError: if a place, quantity, sequence or the length of the text doesn't fit.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> trace = tg.rnn.trace(tg.nn.LSTM(3, 4), np.ones((5, 1, 3)))
    >>> tg.plots.gate_activity(trace, "hello", quantities=["i", "f"])
    Drawn('i': (5, 4), 'f': (5, 4))
    """
    if not isinstance(trace, Trace):
        raise TypeError(
            f"gate_activity takes a trace, got {type(trace).__name__}: "
            "gate_activity(tg.rnn.trace(lstm, x), text)"
        )
    place, first, maps = trace.of_sequence(place, quantities, sequence)
    trace_plot.check_labels(text, len(next(iter(maps.values()))), "gate_activity")
    title = trace.caption(place, sequence)
    axis = "time step t" if text is None else "time step t: what was read"
    made = trace_plot.figure(title, first, maps, {}, text, axis, "units", "gate_activity")
    return Drawn(made, maps)
