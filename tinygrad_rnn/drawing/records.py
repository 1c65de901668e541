"""A graph as plain data: what views turn into each other, and what is written as DOT text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["operation", "parameter", "input", "cell"]
Shape: TypeAlias = tuple[int, ...]

_MOST_SHAPES = 4


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One box of a picture.

    Attributes:
        id: ``n0``, ``n1``, … in the order of creation, whatever ran before.
        kind: an operation; a parameter (a leaf that requires a gradient); an input (an array
            without one); or a cell, the operations of one time step folded into one.
        label: the operation; "parameter", "input" or "constant"; the place of a cell.
        name: given by `Tensor.named` or a Module; None without one.
        detail: the plain arguments of an operation, shortened; the states that leave a cell.
        shapes, dtypes: of each result.
        scope: names from the outermost box to the innermost.
        backward: whether a backward pass made it.
        is_output: whether the graph was asked for with one of its results.
        holds: ids of the nodes that a view has folded into this one.
    """

    id: str
    kind: Kind
    label: str
    name: str | None = None
    detail: str = ""
    shapes: tuple[Shape, ...] = ()
    dtypes: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()
    backward: bool = False
    is_output: bool = False
    holds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """An array on its way from the node that made it to one that uses it.

    Attributes:
        source, target: ids of nodes.
        argument: which argument of the target it is; empty for merged edges.
        output: which result of the source it is; None if there is only one.
        label: what the edge carries, where the source doesn't say.
        count: how many edges a view has merged into this one.
    """

    source: str
    target: str
    argument: str = ""
    output: int | None = None
    label: str = ""
    count: int = 1


@dataclass(frozen=True)
class GraphData:
    """Nodes and edges, each in canonical order.

    Attributes:
        nodes: every node after those it was made from.
        edges: in the order of their targets, then of their arguments.
        view: the view that this graph shows.
    """

    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]
    view: str = "ops"


def shapes_text(shapes: tuple[Shape, ...]) -> str:
    """The shapes of a node's results, short.

    >>> shapes_text(((2, 3),)), shapes_text(((2, 3),) * 4), shapes_text(((),))
    ('(2, 3)', '4 × (2, 3)', 'scalar')
    """
    texts = [str(shape) if shape else "scalar" for shape in shapes[:_MOST_SHAPES]]
    if len(shapes) > 1 and len(set(shapes)) == 1:
        return f"{len(shapes)} × {texts[0]}"
    return ", ".join(texts) + (", …" if len(shapes) > _MOST_SHAPES else "")
