"""A graph as plain data: what views turn into each other, and what is written as DOT text."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal[
    "operation",
    "parameter",
    "input",
    "cell",
    "rolled",
    "elided",
    "module",
    "sequence",
    "cotangent",
]
Shape: TypeAlias = tuple[int, ...]

_MOST_SHAPES = 4


@dataclass(frozen=True, slots=True)
class Summary:
    """An array's values in a few numbers; those that aren't finite are left out.

    Attributes:
        count: how many values there are, finite or not.
        mean, std: their mean and standard deviation.
        minimum, maximum: the smallest and the largest.
        norm: the square root of the sum of their squares.
        number: the value itself if there is only one, also if it isn't finite; else None.
    """

    count: int
    mean: float
    std: float
    minimum: float
    maximum: float
    norm: float
    number: float | None = None


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One box of a picture.

    Attributes:
        id: ``n0``, ``n1``, … in the order of creation, whatever ran before.
        kind: an operation; a parameter (a leaf that requires a gradient); an input (an array
            without one). What views fold into one: a cell (the operations of a time step), rolled
            (of all time steps of a layer), elided (of those that are left out), a module, a
            sequence (operations that hand all steps from one layer to the next). A cotangent is
            the gradient of the loss by a node's result, as "backward" shows it.
        label: the operation; "parameter", "input" or "constant"; the place of what is folded.
        name: given by `Tensor.named` or a Module; None without one.
        detail: the plain arguments of an operation, shortened; the states that leave a cell.
        shapes, dtypes: of each result.
        scope: names from the outermost box to the innermost.
        backward: whether a backward pass made it.
        is_output: whether the graph was asked for with one of its results.
        holds: ids of the nodes that a view has folded into this one.
        times: how many time steps it stands for.
        leaves: how many parameters or inputs it stands for.
        value: of its results, if a recording noted them; of a cell, that of the states it hands on.
        gradient: of the loss by its results, in the same way.
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
    times: int = 1
    leaves: int = 1
    value: Summary | None = None
    gradient: Summary | None = None


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """An array on its way from the node that made it to one that uses it.

    Attributes:
        source, target: ids of nodes.
        argument: which argument of the target it is; empty for merged edges.
        output: which result of the source it is; None if there is only one.
        label: what the edge carries, where the source doesn't say.
        count: how many edges a view has merged into this one.
        backward: whether it carries a cotangent that "backward" has added.
    """

    source: str
    target: str
    argument: str = ""
    output: int | None = None
    label: str = ""
    count: int = 1
    backward: bool = False


@dataclass(frozen=True)
class GraphData:
    """Nodes and edges, each in canonical order.

    Attributes:
        nodes: every operation after those it was made from; what is folded, where its first was.
        edges: in the order of their targets, then of their arguments.
        view: the view that this graph shows.
        steps: how many of the first and of the last time steps it shows; None for all.
        colour: what the colours of the nodes tell, or None.
    """

    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]
    view: str = "ops"
    steps: int | None = None
    colour: str | None = None


def shapes_text(shapes: tuple[Shape, ...]) -> str:
    """The shapes of a node's results, short.

    >>> shapes_text(((2, 3),)), shapes_text(((2, 3),) * 4), shapes_text(((),))
    ('(2, 3)', '4 × (2, 3)', 'scalar')
    """
    texts = [str(shape) if shape else "scalar" for shape in shapes[:_MOST_SHAPES]]
    if len(shapes) > 1 and len(set(shapes)) == 1:
        return f"{len(shapes)} × {texts[0]}"
    return ", ".join(texts) + (", …" if len(shapes) > _MOST_SHAPES else "")


def combined(summaries: Iterable[Summary | None]) -> Summary | None:
    """The summary of several arrays together, from theirs; None without any.

    >>> one, three = Summary(1, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0), Summary(1, 3.0, 0.0, 3.0, 3.0, 3.0)
    >>> both = combined([one, None, three])
    >>> both.count, both.mean, both.std, both.minimum, both.maximum, both.number
    (2, 2.0, 1.0, 1.0, 3.0, None)
    """
    known = [summary for summary in summaries if summary is not None]
    if len(known) < 2:
        return known[0] if known else None
    count = sum(s.count for s in known)
    mean = sum(s.count * s.mean for s in known) / max(count, 1)
    spread = sum(s.count * (s.std**2 + (s.mean - mean) ** 2) for s in known)
    return Summary(
        count,
        mean,
        math.sqrt(spread / max(count, 1)),
        min(s.minimum for s in known),
        max(s.maximum for s in known),
        math.hypot(*(s.norm for s in known)),
    )
