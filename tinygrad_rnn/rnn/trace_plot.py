"""One figure of a trace: its quantities as heat maps over time, and the flow of the gradient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_WIDTH_OF_STEP, _NARROWEST, _WIDEST = 0.22, 6.0, 24.0  # inches
_HEIGHT_OF_FEATURE, _LOWEST, _HIGHEST = 0.12, 0.9, 3.0
_HEIGHT_OF_CURVES = 2.2
_MOST_TICKS = 60


def figure(
    title: str,
    first: int,
    maps: Mapping[str, np.ndarray],
    curves: Mapping[str, Mapping[str, np.ndarray]],
    labels: Sequence[str] | None,
) -> Any:
    """A matplotlib Figure.

    Args:
        title: stands above it.
        first: the number of the first step.
        maps: heat maps by name, each (T, H); what is NaN stays blank.
        curves: for each panel, by the name of its axis, the curves by name, each (T,).
        labels: T texts for the steps, or None for their numbers.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            'trace.plot draws with matplotlib: pip install "tinygrad-rnn[plot]"'
        ) from error
    steps = len(next(iter(maps.values())))
    heights = [
        min(max(_HEIGHT_OF_FEATURE * values.shape[1], _LOWEST), _HIGHEST)
        for values in maps.values()
    ]
    heights += [_HEIGHT_OF_CURVES] * len(curves)
    width = min(max(_WIDTH_OF_STEP * steps + 2.5, _NARROWEST), _WIDEST)
    made = Figure(figsize=(width, sum(heights) + 0.45 * len(heights) + 0.6), layout="constrained")
    FigureCanvasAgg(made)
    made.suptitle(title)
    panels = made.subplots(
        len(heights), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights}
    )[:, 0]
    for panel, (name, values) in zip(panels, maps.items(), strict=False):
        _draw_map(made, panel, name, values, first)
    for panel, (name, lines) in zip(panels[len(maps) :], curves.items(), strict=True):
        _draw_curves(panel, name, lines, first)
    _label_time(panels[-1], first, steps, labels)
    return made


def _draw_map(made: Any, panel: Any, name: str, values: np.ndarray, first: int) -> None:
    """One heat map: time to the right, features down; blue below zero, red above."""
    low, high = _range(values)
    image = panel.imshow(
        values.T,
        aspect="auto",
        interpolation="nearest",
        extent=(first - 0.5, first + len(values) - 0.5, values.shape[1] - 0.5, -0.5),
        cmap="RdBu_r" if low < 0 else "viridis",
        vmin=low,
        vmax=high,
    )
    panel.set_ylabel(name, rotation=0, ha="right", va="center")
    panel.set_yticks([0, values.shape[1] - 1] if values.shape[1] > 1 else [0])
    made.colorbar(image, ax=panel, pad=0.01, aspect=10)


def _range(values: np.ndarray) -> tuple[float, float]:
    """The ends of the colour scale: 0 and 1 for a gate, else symmetric about zero, or from it."""
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    largest = max(-low, high)
    return (-largest if low < 0 else 0.0), largest


def _draw_curves(panel: Any, name: str, lines: Mapping[str, np.ndarray], first: int) -> None:
    """Norms over time, on a logarithmic scale: where they fall straight, they vanish."""
    for label, values in lines.items():
        shown = np.where(values > 0, values, np.nan)
        panel.plot(first + np.arange(len(values)), shown, marker=".", label=label)
    if any((values > 0).any() for values in lines.values()):
        panel.set_yscale("log")
    panel.set_ylabel(name, rotation=0, ha="right", va="center")
    panel.grid(alpha=0.3)
    if len(lines) > 1:
        panel.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))


def _label_time(panel: Any, first: int, steps: int, labels: Sequence[str] | None) -> None:
    every = -(-steps // _MOST_TICKS)
    times = range(first, first + steps, every)
    texts = [str(t) if labels is None else _visible(labels[t - first]) for t in times]
    panel.set_xticks(list(times), texts)
    panel.set_xlim(first - 0.5, first + steps - 0.5)
    panel.set_xlabel("t")


def _visible(text: str) -> str:
    """A label as it is to be shown: no formula between dollars, blanks and line ends visible."""
    shown = {" ": "␣", "\n": "↵", "\t": "⇥"}.get(text, text)
    return shown.replace("$", r"\$")
