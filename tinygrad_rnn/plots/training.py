"""Losses and metrics while a model was trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..panels import draw_curve, look, new_figure, plain
from .drawn import Drawn

_WIDTH, _HEIGHT = 7.5, 2.9  # inches, of a panel
_MOST_MARKERS = 60
_VALIDATION = "val_"


def training_curves(
    curves: Mapping[str, Any],
    *,
    steps: Mapping[str, Any] | Sequence[float] | np.ndarray | None = None,
    unit: str = "epoch",
    log: bool | Sequence[str] = False,
    title: str = "Training",
) -> Drawn:
    """Losses and metrics over epochs or steps: a panel for each, training beside validation.

    Args:
        curves: name -> values, one for each epoch: ``{"loss": [...], "val_loss": [...]}``. What
            begins with ``val_`` is drawn, dashed, in the panel of the metric of that name. NaN is a
            gap.
        steps: where the values stand: an array for all of them, or name -> array, such as for
            losses of every step beside a validation after every epoch. By default 1, 2, 3, …
        unit: what is counted, the name of the axis.
        log: whether the vertical axes are logarithmic; or the names of those that are.
        title: stands above.

    Returns:
        The figure, and the values as arrays, by the same names.

    Raises:
        ImportError: without matplotlib.
        TypeError: if `curves` isn't a mapping.
        ValueError: if there is nothing to draw, values aren't one row of numbers, their number
            isn't that of the steps, or a logarithmic scale is to show what isn't positive.

    >>> import tinygrad_rnn as tg
    >>> history = {"loss": [2.0, 1.0, 0.7], "val_loss": [2.1, 1.3, 1.2], "accuracy": [0.3, 0.6, 1]}
    >>> tg.plots.training_curves(history)
    Drawn('loss': (3,), 'val_loss': (3,), 'accuracy': (3,))
    """
    arrays = _arrays(curves)
    places = {name: _places(name, values, steps) for name, values in arrays.items()}
    metrics = list(dict.fromkeys(map(_metric, arrays)))
    logarithmic = _logarithmic(log, metrics, arrays)
    made = new_figure((_WIDTH, _HEIGHT * len(metrics) + 0.6), title, "training_curves")
    panels = made.subplots(len(metrics), 1, sharex=True, squeeze=False)[:, 0]
    for panel, metric in zip(panels, metrics, strict=True):
        for name in (metric, _VALIDATION + metric):
            if name in arrays:
                _draw(panel, name, places[name], arrays[name])
        if metric in logarithmic:
            panel.set_yscale("log")
        panel.set_ylabel(plain(metric) + (" (log scale)" if metric in logarithmic else ""))
        panel.grid(alpha=0.3)
        panel.legend(fontsize="small")
    panels[-1].xaxis.get_major_locator().set_params(integer=True)
    panels[-1].set_xlabel(unit)
    return Drawn(made, arrays)


def _draw(panel: Any, name: str, x: np.ndarray, y: np.ndarray) -> None:
    validation = name.startswith(_VALIDATION)
    style = look(1 if validation else 0)
    if validation:
        style.update(linestyle="--", markerfacecolor="white")
    if len(x) > _MOST_MARKERS:
        style["marker"] = None
    draw_curve(panel, x, y, {**style, "label": "validation" if validation else "training"})


def _metric(name: str) -> str:
    return name.removeprefix(_VALIDATION)


def _arrays(curves: Any) -> dict[str, np.ndarray]:
    if not isinstance(curves, Mapping):
        raise TypeError(
            f"training_curves takes a mapping from names to values, got {type(curves).__name__}: "
            'training_curves({"loss": losses, "val_loss": validation_losses})'
        )
    arrays = {str(name): _numbers(name, values) for name, values in curves.items()}
    for name, values in arrays.items():
        if values.ndim != 1:
            raise ValueError(
                f"training_curves: {name!r} has the shape {values.shape}; it needs one number for "
                "each epoch or step, (n,)"
            )
    if not any(map(len, arrays.values())):
        raise ValueError("training_curves: there is nothing to draw; no curve has a value")
    return arrays


def _numbers(name: Any, values: Any) -> np.ndarray:
    try:
        return np.asarray(values, np.float64)
    except ValueError:
        raise ValueError(
            f"training_curves: {name!r} holds what isn't a number; it needs one number for each "
            "epoch or step, (n,)"
        ) from None


def _places(name: str, values: np.ndarray, steps: Any) -> np.ndarray:
    """Where the values of a curve stand."""
    given = steps.get(name) if isinstance(steps, Mapping) else steps
    if given is None:
        return np.arange(1, len(values) + 1)
    places = np.asarray(given)
    if places.shape != values.shape:
        raise ValueError(
            f"training_curves: {name!r} has {len(values)} values at {places.size} steps; give each "
            'curve its own with steps={"loss": [...], "val_loss": [...]}'
        )
    return places


def _logarithmic(
    log: bool | Sequence[str], metrics: list[str], arrays: Mapping[str, np.ndarray]
) -> list[str]:
    """Which metrics have a logarithmic scale."""
    if isinstance(log, bool):
        names = metrics if log else []
    else:
        names = [log] if isinstance(log, str) else list(log) if isinstance(log, Iterable) else [log]
    for name in names:
        if name not in metrics:
            raise ValueError(f"training_curves: log={name!r}, and there are {', '.join(metrics)}")
    for name, values in arrays.items():
        if _metric(name) in names and (values <= 0).any():
            least = np.nanmin(values)
            raise ValueError(
                f"training_curves: {name!r} goes down to {least:g}, which a logarithmic scale "
                "can't show: name those that are positive, such as log=['loss']"
            )
    return names
