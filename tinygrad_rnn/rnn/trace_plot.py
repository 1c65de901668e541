"""One figure of a trace: its quantities as heat maps over time, and the flow of the gradient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..panels import (
    draw_legend,
    draw_map,
    draw_norms,
    label_steps,
    most_characters,
    new_figure,
    plain,
    stacked_panels,
    width_of,
)

_HEIGHT_OF_FEATURE, _LOWEST, _HIGHEST = 0.12, 0.9, 3.0  # inches
_HEIGHT_OF_CURVES = 2.2


def figure(
    title: str,
    first: int,
    maps: Mapping[str, np.ndarray],
    curves: Mapping[str, Mapping[str, np.ndarray]],
    labels: Sequence[str] | None,
    axis: str = "t",
    rows: str = "",
    caller: str = "trace.plot",
) -> Any:
    """A matplotlib Figure.

    Args:
        title: stands above it.
        first: the number of the first step.
        maps: heat maps by name, each (T, H); what is NaN stays blank.
        curves: for each panel, by the name of its axis, the curves by name, each (T,).
        labels: T texts for the steps, or None for their numbers.
        axis: the name of the axis of time.
        rows: what the rows of heat maps are, such as "units".
        caller: who draws, for messages.
    """
    steps = len(next(iter(maps.values())))
    heights = [
        min(max(_HEIGHT_OF_FEATURE * values.shape[1], _LOWEST), _HIGHEST)
        for values in maps.values()
    ]
    heights += [_HEIGHT_OF_CURVES] * len(curves)
    width = width_of(steps)
    made = new_figure((width, sum(heights) + 0.45 * len(heights) + 0.6), title, caller)
    panels = stacked_panels(made, heights)
    for panel, (name, values) in zip(panels, maps.items(), strict=False):
        draw_map(made, panel, f"{name}\n({rows})" if rows else name, values, first)
    for panel, (name, lines) in zip(panels[len(maps) :], curves.items(), strict=True):
        draw_norms(panel, lines, first)
        panel.set_ylabel(plain(name), rotation=0, ha="right", va="center")
        draw_legend(panel)
    single = labels is not None and all(len(label) == 1 for label in labels)
    fitting = {"most": most_characters(width)} if single else {}
    label_steps(panels[-1].xaxis, first, steps, labels, **fitting)
    panels[-1].set_xlim(first - 0.5, first + steps - 0.5)
    panels[-1].set_xlabel(axis)
    return made


def check_labels(labels: Sequence[str] | None, steps: int, caller: str) -> None:
    """Raises unless there is a label for each step."""
    if labels is not None and not hasattr(labels, "__len__"):
        raise TypeError(
            f"{caller}: the labels are a text, or a list of one for each step, not {labels!r:.60}"
        )
    if labels is not None and len(labels) != steps:
        raise ValueError(f"{caller}: {len(labels)} labels for {steps} steps")
