"""The page: its markup, its style, the graph's data and its script, all in one text."""

from __future__ import annotations

import html
import json
import re
from importlib.resources import files
from typing import Any

from ..records import GraphData
from .data import page_data

# In the order in which they use each other.
SCRIPTS = (
    "text", "graph", "visible", "across", "levels", "layout", "colour", "lines", "draw", "view",
    "panel", "play", "search", "main",
)  # fmt: skip
# Within a script element only these could end or change it, whatever the labels are.
_JSON_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def page(graph: GraphData, title: str = "Graph") -> str:
    """A graph as the text of an HTML page that needs nothing but itself.

    Time runs from left to right, layers from bottom to top; scopes are boxes that fold and unfold.
    The page asks for nothing from any network. The same graph gives the same text.

    Args:
        graph: in the view "ops".
        title: of the page.

    Raises:
        ValueError: for a graph that is folded.

    >>> import tinygrad_rnn as tg
    >>> from tinygrad_rnn.drawing import graph
    >>> w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    >>> text = page(graph(tg.exp(w)), title="e to the w")
    >>> text[:15], "<title>e to the w</title>" in text
    ('<!doctype html>', True)
    """
    if graph.view != "ops" or any(node.holds for node in graph.nodes):
        raise ValueError(
            f"the page needs every operation, and folds by itself; this graph is the view "
            f"{graph.view!r} of one: make the page of the graph that it was seen from"
        )
    parts = {
        "title": html.escape(title.encode("utf-8", "replace").decode("utf-8")),
        "style": _static("page.css"),
        "data": embedded(page_data(graph)),
        "script": "\n".join(_static(f"{name}.js") for name in SCRIPTS),
    }
    # In one pass: what is put in may itself look like a place to put something.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _static("page.html"))


def embedded(data: Any) -> str:
    """Data as JSON that can stand inside a script element.

    >>> embedded({"label": "</script>"})
    '{"label":"\\\\u003c/script\\\\u003e"}'
    """
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return re.sub("[<>&]", lambda found: _JSON_ESCAPES[found[0]], text)


def _static(name: str) -> str:
    return (files(__package__) / "static" / name).read_text("utf-8")
