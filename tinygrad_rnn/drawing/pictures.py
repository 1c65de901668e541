"""Graph, and the two functions that people call: `graph` and `draw`."""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..tensor import Tensor
from .collect import collect
from .dot import dot_text
from .records import GraphData
from .render import (
    INSTALL,
    TEXTS,
    LayoutFailed,
    NoGraphviz,
    check_writable,
    format_of,
    lay_out,
    write_whole,
)
from .views import cells, seen_as

TIME_LIMIT = 30.0


class Graph(GraphData):
    """How Tensors were made, as data: `nodes` and `edges`.

    Nothing in it refers to Tensors; it keeps no arrays alive. Made by `graph`.
    """

    def to_dot(self, view: str | None = None) -> str:
        """The graph as text in Graphviz' DOT language; the same graph gives the same text.

        Args:
            view: "ops" for every operation; "cells" with each time step as one box; None for
                whichever can be read at this size.

        Raises:
            ValueError: for an unknown view.

        >>> import tinygrad_rnn as tg
        >>> from tinygrad_rnn.drawing import graph
        >>> w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
        >>> print(graph(tg.exp(w)).to_dot().splitlines()[-2])
          n0 -> n1 [color="#E8B48F", arrowsize=0.45]
        """
        return dot_text(seen_as(self, view))

    def to_graphviz(self, view: str | None = None) -> Any:
        """The text of `to_dot` as a ``graphviz.Source``, which notebooks show.

        Raises:
            ImportError: if the package graphviz isn't installed.
            ValueError: for an unknown view.
        """
        try:
            graphviz = importlib.import_module("graphviz")
        except ImportError as error:
            raise ImportError(f"to_graphviz() needs the package graphviz: {INSTALL}") from error
        return graphviz.Source(self.to_dot(view))

    def render(
        self,
        path: str | os.PathLike[str],
        view: str | None = None,
        time_limit: float | None = TIME_LIMIT,
    ) -> Path:
        """Writes the graph as a picture. See `draw` for the arguments, the result and errors."""
        written, message = _render(self, Path(path), view, time_limit)
        if message:
            warnings.warn(message, stacklevel=2)
        return written


def graph(*outputs: Any) -> Graph:
    """How `outputs` were made, as data to look at, count or draw.

    Args:
        outputs: Tensors, or (nested) tuples and lists of them.

    Raises:
        TypeError: if there is something else among them.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> from tinygrad_rnn.drawing import graph
    >>> w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    >>> loss = np.sum(np.tanh(w) ** 2)
    >>> [(n.id, n.label, n.detail) for n in graph(loss).nodes]
    [('n0', 'parameter', ''), ('n1', 'tanh', ''), ('n2', 'power', '2'), ('n3', 'sum', '')]
    >>> [(e.source, e.target) for e in graph(loss).edges]
    [('n0', 'n1'), ('n1', 'n2'), ('n2', 'n3')]
    """
    nodes, edges = collect(_tensors(outputs))
    return Graph(nodes, edges)


def draw(
    outputs: Any,
    path: str | os.PathLike[str],
    view: str | None = None,
    time_limit: float | None = TIME_LIMIT,
) -> Path:
    """Draws how `outputs` were made: the unrolled graph, time from left to right.

    Operations are boxes with their names and shapes, parameters cylinders with their dotted names,
    other arrays grey. Modules, layers and time steps are boxes around them; in a loop of your own,
    ``with tg.scope(f"t={t}"):`` makes the box of a step, and `named` names a quantity.

    Graphviz lays the picture out in a process of its own. If it takes longer than `time_limit`, the
    time steps are folded ("cells") and it tries again. If that fails too, or if there is no
    Graphviz, the DOT text is written beside `path`. A warning says so.

    Args:
        outputs: a Tensor, or a tuple or list of them.
        path: of the file to write; .svg, .png, .pdf, .dot and .gv are known.
        view: "ops" for every operation; "cells" with each time step as one box; None for whichever
            can be read at this size.
        time_limit: seconds for a layout; None for no limit.

    Returns:
        The path of the file written.

    Raises:
        ValueError: for an unknown view or suffix.
        OSError: if the file can't be written.
        TypeError: if `outputs` are not Tensors.

    >>> import tempfile, numpy as np, tinygrad_rnn as tg
    >>> from tinygrad_rnn.drawing import draw
    >>> h = tg.Tensor([0.5], requires_grad=True, name="h_0")
    >>> for t in range(3):
    ...     with tg.scope(f"t={t}"):
    ...         h = np.tanh(h).named("h")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     draw(h, f"{folder}/loop.dot").name
    'loop.dot'
    """
    written, message = _render(graph(outputs), Path(path), view, time_limit)
    if message:
        warnings.warn(message, stacklevel=2)
    return written


def _tensors(outputs: Iterable[Any]) -> Iterator[Tensor]:
    count = 0
    pending = list(outputs)[::-1]
    while pending:
        value = pending.pop()
        if isinstance(value, Tensor):
            count += 1
            yield value
        elif isinstance(value, (tuple, list)):
            pending.extend(value[::-1])
        else:
            raise TypeError(
                f"only Tensors know how they were made, got {type(value).__name__}: make one of "
                "the arrays that it is computed from a Tensor with requires_grad=True"
            )
    if not count:
        raise TypeError("give at least one Tensor whose graph is wanted")


def _render(
    whole: Graph, path: Path, view: str | None, time_limit: float | None
) -> tuple[Path, str]:
    """Writes the picture, or the next best; returns the file written and what to warn of."""
    wanted = format_of(path)
    shown = seen_as(whole, view)
    check_writable(path)
    if wanted in TEXTS:
        write_whole(path, dot_text(shown).encode("utf-8"))
        return path, ""
    try:
        write_whole(path, lay_out(dot_text(shown), wanted, time_limit))
    except LayoutFailed as failure:
        return _render_folded(shown, path, time_limit, str(failure))
    except NoGraphviz:
        written = _write_text(shown, path)
        return written, f"no Graphviz here, so {written} has the graph as text; {INSTALL} brings it"
    return path, ""


def _render_folded(
    shown: GraphData, path: Path, time_limit: float | None, reason: str
) -> tuple[Path, str]:
    """The same for a picture that proved too large."""
    folded = cells(shown)
    trouble = f"the layout of {len(shown.nodes)} nodes {reason}"
    if len(folded.nodes) < len(shown.nodes):
        try:
            write_whole(path, lay_out(dot_text(folded), format_of(path), time_limit))
        except LayoutFailed as failure:
            trouble += f", and that of {len(folded.nodes)} in the view 'cells' {failure}"
        else:
            return path, f"{trouble}: {path} shows the view 'cells' instead"
    written = _write_text(folded, path)
    return written, f"{trouble}: {written} has the graph as text instead"


def _write_text(shown: GraphData, path: Path) -> Path:
    beside = path.with_suffix(".dot")
    check_writable(beside)
    write_whole(beside, dot_text(shown).encode("utf-8"))
    return beside
