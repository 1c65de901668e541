"""Nodes and captions in Graphviz' HTML-like labels: their looks, and all text escaped."""

from __future__ import annotations

from .caption import caption, summary_lines
from .records import GraphData, GraphNode, shapes_text
from .scale import Scale

# Okabe and Ito's colours, told apart by the colour-blind; the shapes tell the kinds apart in grey.
BLACK, GREY, PALE = "#222222", "#666666", "#F6F6F6"
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#A6508A"
RAIL = "#E8B48F"
_SMALL = 11
_LONGEST_LINE = 60
_LONG_DETAIL = 16
# Graphviz replaces \N, \G and the like by names of its own, in HTML-like labels too.
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\\": "\\\\"}

_FOLDED = {"fillcolor": "#E1EFF8", "color": BLUE, "margin": "0.15,0.09"}
_LOOKS = {
    "operation": {},
    "named": {"fillcolor": "#E1EFF8", "color": BLUE},
    "cell": _FOLDED,
    "rolled": _FOLDED,
    "module": _FOLDED,
    "sequence": {},
    "elided": {"style": "rounded,filled,dashed", "color": BLUE, "margin": "0.15,0.09"},
    "parameter": {"shape": "cylinder", "style": "filled", "fillcolor": "#FDE9D9", "color": ORANGE},
    "input": {"shape": "ellipse", "style": "filled", "fillcolor": "#EDEDED", "margin": "0.02,0.02"},
    "backward": {"style": "rounded,filled,dashed", "fillcolor": "#F6E6F1", "color": PURPLE},
}
_OUTPUT = {"peripheries": "2", "color": GREEN, "penwidth": "1.5"}


def node_look(node: GraphNode, scale: Scale | None) -> dict[str, str]:
    """The attributes of a node beside its label, by their names."""
    look = dict(_LOOKS[_kind(node)])
    if node.is_output:
        look.update(_OUTPUT)
    if scale is not None and node.gradient is not None:
        look["fillcolor"], look["fontcolor"] = scale.colour(node.gradient.norm)
    return look


def _kind(node: GraphNode) -> str:
    if node.backward and node.kind != "elided":
        return "backward"
    return "named" if node.kind == "operation" and node.name else node.kind


def node_lines(node: GraphNode) -> list[tuple[str, str]]:
    """What a node says: name, operation, shape, values, each a line and how it is written.

    It is written "bold", "plain" or "small".
    """
    is_leaf = node.kind in ("parameter", "input")
    lines = [("bold", line) for line in node.name.split("\n")] if node.name else []
    if node.label and not (is_leaf and node.name):
        lines += [("plain", line) for line in node.label.split("\n")]
    if node.detail:
        if len(node.label) + len(node.detail) < _LONG_DETAIL:
            lines[-1] = (lines[-1][0], f"{lines[-1][1]} {node.detail}")
        else:
            lines.append(("small", node.detail))
    if node.shapes:
        lines.append(("small", shapes_text(node.shapes)))
    lines += [("small", line) for line in summary_lines(node)]
    return [(kind, elided(line)) for kind, line in lines]


def node_label(node: GraphNode, colour: str = GREY) -> str:
    """The lines as an HTML-like label; `colour` is that of the small ones."""
    return "<BR/>".join(_line(kind, text, colour) for kind, text in node_lines(node))


def _line(kind: str, text: str, colour: str) -> str:
    if kind == "bold":
        return f"<B>{escaped(text)}</B>"
    if kind == "small":
        return f'<FONT POINT-SIZE="{_SMALL}" COLOR="{colour}">{escaped(text)}</FONT>'
    return escaped(text)


def node_text(node: GraphNode, scale: Scale | None, more: str = "") -> str:
    """The statement that draws a node, with `more` attributes."""
    look = node_look(node, scale)
    label = node_label(node, look.get("fontcolor", GREY))
    attributes = "".join(f', {key}="{value}"' for key, value in look.items())
    return f"{node.id} [label=<{label}>{attributes}{more}]"


def caption_label(graph: GraphData, scale: Scale | None) -> str:
    """The caption, with a legend of the colours if there are any."""
    lines = [escaped(line) for line in caption(graph)]
    if scale is None:
        return "".join(f'{line}<BR ALIGN="LEFT"/>' for line in lines)
    rows = "".join(f'<TR><TD ALIGN="LEFT">{line}</TD></TR>' for line in lines)
    cells = "".join(
        f'<TD BGCOLOR="{colour}"><FONT COLOR="{text}"> {start} </FONT></TD>'
        for colour, text, start in scale.legend()
    )
    legend = (
        '<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="4"><TR>'
        f"<TD>norm of the gradient, from</TD>{cells}</TR></TABLE>"
    )
    return (
        '<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="1">'
        f'{rows}<TR><TD ALIGN="LEFT">{legend}</TD></TR></TABLE>'
    )


def elided(line: str) -> str:
    """A line that isn't too long."""
    if len(line) <= _LONGEST_LINE:
        return line
    half = _LONGEST_LINE // 2
    return f"{line[:half]}…{line[-half + 1 :]}"


def html(text: str) -> str:
    """Text for an HTML-like label: escaped, its lines apart and not too long."""
    return "<BR/>".join(escaped(elided(line)) for line in text.split("\n"))


def escaped(text: str) -> str:
    """Text without anything that DOT or HTML would read as its own."""
    if text.isalnum():
        return text
    safe = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    for character, entity in _ENTITIES.items():
        safe = safe.replace(character, entity)
    return safe
