"""A graph as the text of a Mermaid flowchart. The same graph gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.context import step_number
from .caption import caption, summary_lines
from .nesting import nested
from .records import GraphData, GraphEdge, GraphNode, shapes_text
from .scale import scale_of

_LONGEST_LINE = 60
_CLASSES = {
    "operation": "fill:#FFFFFF,stroke:#666666,color:#222222",
    "named": "fill:#E1EFF8,stroke:#0072B2,color:#222222",
    "cell": "fill:#E1EFF8,stroke:#0072B2,color:#222222",
    "rolled": "fill:#E1EFF8,stroke:#0072B2,color:#222222",
    "module": "fill:#E1EFF8,stroke:#0072B2,color:#222222",
    "sequence": "fill:#FFFFFF,stroke:#666666,color:#222222",
    "elided": "fill:#FFFFFF,stroke:#0072B2,color:#222222,stroke-dasharray:4 3",
    "parameter": "fill:#FDE9D9,stroke:#D55E00,color:#222222",
    "input": "fill:#EDEDED,stroke:#666666,color:#222222",
    "backward": "fill:#F6E6F1,stroke:#A6508A,color:#222222,stroke-dasharray:4 3",
}
_SHAPES = {"parameter": ("[(", ")]"), "input": ("([", "])"), "operation": ("[", "]")}
_FOLDED = ("(", ")")


def mermaid_text(graph: GraphData) -> str:
    """The Mermaid text of a graph as it stands, without choosing a view."""
    scale = scale_of(graph.nodes) if graph.colour == "gradient" else None
    lines = ["flowchart LR", *(f"  %% {_comment(line)}" for line in caption(graph))]
    lines += _boxes(graph.nodes)
    lines += (_edge(edge) for edge in graph.edges)
    kinds = dict.fromkeys(_class(node) for node in graph.nodes)
    lines += (f"  classDef {kind} {_CLASSES[kind]}" for kind in kinds)
    for node in graph.nodes:
        style = ["stroke-width:3px"] if node.is_output else []
        if scale is not None and node.gradient is not None:
            fill, text = scale.colour(node.gradient.norm)
            style = [f"fill:{fill}", f"color:{text}", *style]
        if style:
            lines.append(f"  style {node.id} {','.join(style)}")
    return "\n".join(lines) + "\n"


def _boxes(nodes: tuple[GraphNode, ...]) -> Iterator[str]:
    """The nodes, each in the subgraphs of its scope."""
    number = 0
    for box, ends in nested(nodes):
        indent = "  " * max(1, len(box.path))
        if ends:
            yield f"{indent}end"
            continue
        if box.path:
            yield f'{indent}subgraph s{number}["{_text(box.path[-1])}"]'
            number += 1
            if step_number(box.path[-1]) is not None:
                yield f"{indent}  direction LR"
        inner = "  " * (len(box.path) + 1)
        yield from (f"{inner}{_node(node)}" for node in box.nodes)


def _node(node: GraphNode) -> str:
    first, last = _SHAPES.get(node.kind, _FOLDED)
    return f'{node.id}{first}"{_label(node)}"{last}:::{_class(node)}'


def _class(node: GraphNode) -> str:
    if node.backward:
        return "backward"
    return "named" if node.kind == "operation" and node.name else node.kind


def _label(node: GraphNode) -> str:
    leaf = node.kind in ("parameter", "input")
    lines = [f"<b>{_text(node.name)}</b>"] if node.name else []
    if not (leaf and node.name):
        lines += [_text(line) for line in node.label.split("\n")]
    lines += [_text(node.detail)] if node.detail else []
    lines += [_text(shapes_text(node.shapes))] if node.shapes else []
    lines += [_text(line) for line in summary_lines(node)]
    return "<br/>".join(lines)


def _edge(edge: GraphEdge) -> str:
    arrow = "-.->" if edge.backward else "-->"
    label = f'|"{_text(edge.label)}"|' if edge.label else ""
    return f"  {edge.source} {arrow}{label} {edge.target}"


def _text(text: str) -> str:
    """Text that Mermaid, Markdown and HTML show as it is: all that could mean something is coded.

    >>> _text('a"b <c> é')
    'a#34;b #60;c#62; é'
    """
    if len(text) > _LONGEST_LINE:
        half = _LONGEST_LINE // 2
        text = f"{text[:half]}…{text[-half + 1 :]}"
    return "".join(c if _is_plain(c) else _coded(c) for c in text)


def _is_plain(character: str) -> bool:
    return character.isprintable() and (character.isalnum() or character in " .,=()+-:_…×→∂∇±‖·")


def _coded(character: str) -> str:
    if character.isprintable():
        return f"#{ord(character)};"
    return "".join(f"#{ord(c)};" if c == "\\" else c for c in repr(character)[1:-1])


def _comment(line: str) -> str:
    return line.replace("{", "(").replace("}", ")")
