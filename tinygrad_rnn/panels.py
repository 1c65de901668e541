"""Parts of figures: heat maps and curves over steps, drawn with matplotlib if it is there."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# Okabe & Ito 2008, "Color Universal Design": told apart also without red and green.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = "osD^v<>"
_MOST_MARKERS = 60

_WIDTH_OF_STEP, _NARROWEST, _WIDEST = 0.22, 6.0, 24.0  # inches
_WIDTH_OF_CHARACTER = 0.085
_MOST_TICKS = 60

# Fonts of the usual systems with the letters that matplotlib's own one doesn't have.
_FURTHER_FONTS = (
    "Noto Sans CJK KR", "Noto Sans CJK JP", "Noto Sans KR", "NanumGothic", "Malgun Gothic",
    "Apple SD Gothic Neo", "Microsoft YaHei", "Hiragino Sans", "Yu Gothic", "Droid Sans Fallback",
    "WenQuanYi Zen Hei", "Unifont", "Arial Unicode MS", "FreeSans",
)  # fmt: skip


def new_figure(size: tuple[float, float], title: str, caller: str) -> Any:
    """An empty matplotlib Figure of `size` inches; no window, no setting is touched.

    Raises:
        ImportError: without matplotlib.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            f'{caller} draws with matplotlib: pip install "tinygrad-rnn[plot]"'
        ) from error
    made = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(made)
    made.suptitle(plain(title))
    return made


def stacked_panels(made: Any, heights: Sequence[float]) -> Any:
    """Panels one above the other, with one axis of time."""
    ratios = {"height_ratios": heights}
    return made.subplots(len(heights), 1, sharex=True, squeeze=False, gridspec_kw=ratios)[:, 0]


def width_of(steps: int) -> float:
    """How wide a figure of so many steps is, in inches."""
    return min(max(_WIDTH_OF_STEP * steps + 2.5, _NARROWEST), _WIDEST)


def draw_map(made: Any, panel: Any, name: str, values: np.ndarray, first: int = 0) -> None:
    """A heat map of (T, H): time to the right, features down; blue below zero, red above.

    What is NaN stays blank.
    """
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
    panel.set_ylabel(plain(name), rotation=0, ha="right", va="center")
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


def draw_norms(panel: Any, lines: Mapping[str, np.ndarray], first: int = 0) -> None:
    """Norms over time, on a logarithmic scale: where they fall straight, they vanish."""
    for label, values in lines.items():
        style = {
            "label": plain(label),
            "color": COLOURS[len(panel.lines) % len(COLOURS)],
            "marker": ".",
        }
        draw_curve(panel, first + np.arange(len(values)), positive(values), style)
    if any((values > 0).any() for values in lines.values()):
        panel.set_yscale("log")
    panel.grid(alpha=0.3)


def positive(values: np.ndarray) -> np.ndarray:
    """What a logarithmic scale can show: NaN, a gap, in place of zeros and infinities."""
    return np.where((values > 0) & np.isfinite(values), values, np.nan)


def draw_curve(panel: Any, x: np.ndarray, y: np.ndarray, style: Mapping[str, Any]) -> None:
    """A curve, with markers as long as they can be told apart."""
    every = -(-len(x) // _MOST_MARKERS)
    panel.plot(x, y, **{"markevery": every, "markersize": 4, "linewidth": 1.4, **style})


def look(number: int) -> dict[str, Any]:
    """Colour and marker of the curve of that number: both tell curves apart."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": next(itertools.islice(itertools.cycle(_MARKERS), number, None)),
    }


def draw_legend(panel: Any) -> None:
    """The legend, beside the panel if there is more than one curve."""
    if len(panel.lines) > 1:
        panel.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))


def label_steps(
    axis: Any, first: int, steps: int, labels: Sequence[str] | None, most: int = _MOST_TICKS
) -> None:
    """Ticks at the steps, no more than `most` of them, with texts or else numbers."""
    every = -(-steps // most)
    times = list(range(first, first + steps, every))
    if labels is None:
        axis.set_ticks(times, [str(t) for t in times])
        return
    texts = [visible(str(labels[t - first])) for t in times]
    shown, families = _writable(texts)
    axis.set_ticks(times, shown, fontfamily=families, fontsize=9)
    for text, written, label in zip(texts, shown, axis.get_ticklabels(), strict=True):
        if written != text:
            label.set(rotation=90 if axis.axis_name == "x" else 0, fontsize=6)


def most_characters(width: float) -> int:
    """How many characters stand side by side in a figure of that width, in inches."""
    return max(int((width - 2.5) / _WIDTH_OF_CHARACTER), _MOST_TICKS)


def visible(text: str) -> str:
    """A label as it is to be shown: no formula between dollars, blanks and line ends visible."""
    return plain({" ": "␣", "\n": "↵", "\t": "⇥"}.get(text, text))


def plain(text: str) -> str:
    """A text that matplotlib takes as it is: no formula, and no name that a legend leaves out."""
    return (" " if text.startswith("_") else "") + text.replace("$", r"\$")


def _writable(texts: list[str]) -> tuple[list[str], list[str]]:
    """Texts and the fonts that have their letters; letters of no font here become their codes."""
    from matplotlib.font_manager import findfont, get_font

    families = ["DejaVu Sans"]
    missing = _without(get_font(findfont(families[0])), {c for t in texts for c in t if c > "~"})
    for family in _FURTHER_FONTS if missing else ():
        found = _font(family)
        if found is not None and (still := _without(found, missing)) != missing:
            families.append(family)
            missing = still
    codes = {ord(letter): f"{ord(letter):X}" for letter in missing}
    return [text.translate(codes) for text in texts], families


def _without(font: Any, letters: set[str]) -> set[str]:
    """The letters that a font doesn't have."""
    return {letter for letter in letters if not font.get_char_index(ord(letter))}


def _font(family: str) -> Any:
    from matplotlib.font_manager import findfont, get_font

    logger = logging.getLogger("matplotlib.font_manager")
    before, logger.disabled = logger.disabled, True  # it would warn of each that isn't there
    try:
        return get_font(findfont(family, fallback_to_default=False))
    except ValueError:
        return None
    finally:
        logger.disabled = before
