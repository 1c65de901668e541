"""Graph, and the two functions that people call: `graph` and `draw`."""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.context import current
from ..core.recording import Recording
from ..module import Module
from ..tensor import Tensor
from .caption import caption
from .collect import collect
from .dot import dot_text
from .mermaid import mermaid_text
from .options import Look, Options
from .page import page
from .records import GraphData
from .render import INSTALL, LayoutFailed, NoGraphviz
from .views import seen_as
from .writing import quick_svg, write_picture

if TYPE_CHECKING:
    from typing_extensions import Unpack

TIME_LIMIT = 30.0
NOTEBOOK_LIMIT = 5.0


class Graph(GraphData):
    """How Tensors were made, as data: `nodes` and `edges`.

    Nothing in it refers to Tensors; it keeps no arrays alive. Made by `graph`.
    """

    def seen(self, view: str | None = None, **look: Unpack[Look]) -> Graph:
        """The graph as a view shows it: again nodes and edges, fewer of them.

        Args:
            view: "ops" for every operation; "cells" with each time step as one box; "rolled" with
                each layer as one box and what it carries as a loop; "modules" with each module as
                one box; "backward" with the way of the gradients beside the cells; None for what
                can be read at this size.
            look: any of the following.
                steps: so many of the first and of the last time steps are shown, what lies between
                them is one box per layer and direction; None for all.
                collapse, expand: names of scopes, or patterns such as "encoder.*", to draw as one
                box or open, whatever the view does.
                depth: of the modules that "modules" draws as boxes.
                parameters: "once", or "per step" beside each box that uses them.
                colour: "gradient" colours nodes by the norm of their gradient, as far as a
                recording noted it: `graph` tells how it comes to the graph.

        Raises:
            ValueError: for an unknown view, a name that no scope has, or a value without a meaning.
            TypeError: for an unknown keyword.

        >>> import numpy as np, tinygrad_rnn as tg
        >>> output, _ = tg.nn.LSTM(2, 3, rng=0)(np.ones((50, 1, 2)))
        >>> [n.name for n in tg.graph(output).seen("cells", steps=1).nodes if n.times > 1]
        ['… 48 steps …']
        """
        return seen_as(self, Options.of(view, look))

    def to_dot(self, view: str | None = None, **look: Unpack[Look]) -> str:
        """The graph as text in Graphviz' DOT language; the same graph gives the same text.

        Args and errors: those of `seen`.

        >>> import tinygrad_rnn as tg
        >>> from tinygrad_rnn.drawing import graph
        >>> w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
        >>> print(graph(tg.exp(w)).to_dot().splitlines()[-2])
          n0 -> n1 [color="#E8B48F", arrowsize=0.45]
        """
        return dot_text(self.seen(view, **look))

    def to_mermaid(self, view: str | None = None, **look: Unpack[Look]) -> str:
        """The graph as a Mermaid flowchart, which GitHub and many wikis draw from text.

        Args and errors: those of `seen`.

        >>> import tinygrad_rnn as tg
        >>> w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
        >>> print(tg.graph(tg.exp(w)).to_mermaid().splitlines()[0])
        flowchart LR
        """
        return mermaid_text(self.seen(view, **look))

    def to_html(self, title: str = "Graph") -> str:
        """The graph as the text of an interactive page, which needs nothing but itself.

        Boxes fold and unfold, what is pointed at tells of itself, a slider plays the passes.

        Args:
            title: of the page.

        Raises:
            ValueError: if this graph is a folded one: the page folds by itself.

        >>> import tinygrad_rnn as tg
        >>> w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
        >>> "<title>e to the w</title>" in tg.graph(tg.exp(w)).to_html(title="e to the w")
        True
        """
        return page(self, title)

    def to_graphviz(self, view: str | None = None, **look: Unpack[Look]) -> Any:
        """The text of `to_dot` as a ``graphviz.Source``, which notebooks show.

        Raises:
            ImportError: if the package graphviz isn't installed.
            ValueError, TypeError: as `seen`.
        """
        try:
            graphviz = importlib.import_module("graphviz")
        except ImportError as error:
            raise ImportError(f"to_graphviz() needs the package graphviz: {INSTALL}") from error
        return graphviz.Source(self.to_dot(view, **look))

    def render(
        self,
        path: str | os.PathLike[str],
        view: str | None = None,
        time_limit: float | None = TIME_LIMIT,
        **look: Unpack[Look],
    ) -> Path:
        """Writes the graph as a picture. See `draw` for the arguments, the result and errors."""
        written, message = write_picture(self, Path(path), Options.of(view, look), time_limit)
        if message:
            warnings.warn(message, stacklevel=2)
        return written

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook shows: the picture, or the text if there is no Graphviz or no time."""
        bundle = {"text/plain": self._described()}
        try:
            bundle["image/svg+xml"] = quick_svg(self, NOTEBOOK_LIMIT).decode("utf-8")
        except (NoGraphviz, LayoutFailed) as reason:
            why = str(reason) or f"no Graphviz here; {INSTALL} brings it"
            bundle["text/plain"] += f"\n(no picture: {why})"
        return bundle

    def _described(self) -> str:
        return "\n".join(("Graph", *caption(self.seen())))


def graph(*outputs: Any, record: Recording | None = None) -> Graph:
    """How `outputs` were made, as data to look at, count or draw.

    Args:
        outputs: Tensors, or (nested) tuples and lists of them.
        record: a recording that was active meanwhile: the nodes get summaries of the values and
            gradients that it noted. Inside ``with tg.record():`` the active one, without asking.

    Raises:
        TypeError: if there is something else among them, or `record` isn't a recording.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> from tinygrad_rnn.drawing import graph
    >>> w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    >>> loss = np.sum(np.tanh(w) ** 2)
    >>> [(n.id, n.label, n.detail) for n in graph(loss).nodes]
    [('n0', 'parameter', ''), ('n1', 'tanh', ''), ('n2', 'power', '2'), ('n3', 'sum', '')]
    >>> [(e.source, e.target) for e in graph(loss).edges]
    [('n0', 'n1'), ('n1', 'n2'), ('n2', 'n3')]
    >>> with tg.record() as recording:
    ...     loss = np.sum(np.tanh(w) ** 2)
    ...     loss.backward()
    >>> last = graph(loss, record=recording).nodes[-1]
    >>> round(last.value.number, 3), last.gradient.number
    (1.509, 1.0)
    """
    if record is not None and not isinstance(record, Recording):
        kind = type(record).__name__
        raise TypeError(f"record= takes what 'with tg.record() as recording:' gives, got {kind}")
    recording = current().record if record is None else record
    nodes, edges = collect(_tensors(outputs), recording)
    return Graph(nodes, edges)


def draw(
    outputs: Any,
    path: str | os.PathLike[str],
    view: str | None = None,
    time_limit: float | None = TIME_LIMIT,
    *,
    record: Recording | None = None,
    **look: Unpack[Look],
) -> Path:
    """Draws how `outputs` were made: the unrolled graph, time from left to right.

    Operations are boxes with their names and shapes, parameters cylinders with their dotted names,
    other arrays grey. Modules, layers and time steps are boxes around them; in a loop of your own,
    ``with tg.scope(f"t={t}"):`` makes the box of a step, and `named` names a quantity.

    Graphviz lays the picture out in a process of its own. If it takes longer than `time_limit`, the
    time steps are folded ("cells", few of them shown) and it tries again. If that fails too, or if
    there is no Graphviz, the DOT text is written beside `path`. A warning says so.

    Args:
        outputs: a Tensor, or a tuple or list of them.
        path: of the file to write; .svg, .png, .pdf, .dot, .gv, .mmd (Mermaid) and .html (an
            interactive page of all views) are known.
        view: "ops", "cells", "rolled", "modules" or "backward"; see `Graph.seen`. None for what can
            be read at this size.
        time_limit: seconds for a layout; None for no limit.
        record: what ``with tg.record() as recording:`` noted: values and gradients are written on
            the nodes; see `graph`.
        look: steps, collapse, expand, depth, parameters, colour; see `Graph.seen`.

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
    options = Options.of(view, look)
    written, message = write_picture(graph(outputs, record=record), Path(path), options, time_limit)
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
            kind = type(value).__name__
            raise TypeError(f"only Tensors know how they were made, got {kind}: {_advice(value)}")
    if not count:
        raise TypeError("give at least one Tensor whose graph is wanted")


def _advice(value: Any) -> str:
    """How to come to a graph from what has none."""
    if isinstance(value, Module) or (isinstance(value, type) and issubclass(value, Module)):
        return "call the module, and draw what it returns, tg.draw(model(x), path)"
    if isinstance(value, GraphData):
        return "a graph draws itself, graph.render(path)"
    if isinstance(value, (str, os.PathLike)):
        return "first the Tensor, then the path, tg.draw(loss, path)"
    return "make one of the arrays that it is computed from a Tensor with requires_grad=True"
