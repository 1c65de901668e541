"""A graph as a file: the picture that was asked for, or else the next best."""

from __future__ import annotations

from pathlib import Path

from ..core.files import check_writable, write_whole
from .dot import dot_text
from .mermaid import mermaid_text
from .options import Options
from .page import page
from .records import GraphData
from .render import (
    INSTALL,
    TEXTS,
    LayoutFailed,
    NoGraphviz,
    check_time_limit,
    format_of,
    lay_out,
)
from .views import seen_as, smaller


def write_picture(
    whole: GraphData, path: Path, options: Options, time_limit: float | None
) -> tuple[Path, str]:
    """Writes the picture, or the next best; returns the file written and what to warn of."""
    wanted = format_of(path)
    check_time_limit(time_limit)
    shown = seen_as(whole, options)
    check_writable(path)
    if wanted in TEXTS:
        write_whole(path, _text(whole, shown, wanted, path.stem).encode("utf-8"))
        return path, ""
    try:
        write_whole(path, lay_out(dot_text(shown), wanted, time_limit))
    except LayoutFailed as failure:
        reason = f"the layout of {len(shown.nodes)} nodes {failure}"
        return _write_smaller(shown, smaller(whole, options), path, time_limit, reason)
    except NoGraphviz:
        written = _write_text(shown, path)
        return written, f"no Graphviz here, so {written} has the graph as text; {INSTALL} brings it"
    return path, ""


def _text(whole: GraphData, shown: GraphData, wanted: str, title: str) -> str:
    if wanted == "html":  # the page folds and unfolds by itself
        return page(whole, title)
    return mermaid_text(shown) if wanted == "mmd" else dot_text(shown)


def quick_svg(whole: GraphData, time_limit: float) -> bytes:
    """The picture in a view that can be read.

    Raises:
        NoGraphviz, LayoutFailed: as `lay_out`.
    """
    return lay_out(dot_text(seen_as(whole, Options())), "svg", time_limit)


def _write_smaller(
    shown: GraphData, folded: GraphData, path: Path, time_limit: float | None, trouble: str
) -> tuple[Path, str]:
    """The same for a picture that proved too large."""
    if len(folded.nodes) < len(shown.nodes):
        try:
            write_whole(path, lay_out(dot_text(folded), format_of(path), time_limit))
        except LayoutFailed as failure:
            trouble += f", and that of {len(folded.nodes)} in the view {folded.view!r} {failure}"
        else:
            return path, f"{trouble}: {path} shows the view {folded.view!r} instead"
    else:
        folded = shown
    written = _write_text(folded, path)
    return written, f"{trouble}: {written} has the graph as text instead"


def _write_text(shown: GraphData, path: Path) -> Path:
    beside = path.with_suffix(".dot")
    check_writable(beside)
    write_whole(beside, dot_text(shown).encode("utf-8"))
    return beside
