"""What stands under a picture: which view it is, how to get another, and what it shows."""

from __future__ import annotations

from .records import GraphData, GraphNode, Summary

_VIEWS = {
    "ops": 'every operation; view="cells" folds each time step into one box',
    "cells": 'each time step is one box; view="ops" shows every operation, view="rolled" a loop',
    "rolled": 'each layer is one box, its loop what it carries from step to step; view="cells" '
    "shows the steps",
    "modules": "each module is one box; depth= says how deep, expand= opens one by its name",
    "backward": 'the gradients (dashed) flow back beside the way forward; view="cells" shows the '
    "forward pass alone",
}
_PLURALS = {"sequence": "sequences of operations", "elided": "left out", "rolled": "loops"}
_COUNTED = {"rolled": "loop", "elided": "left out", "sequence": "sequence of operations"}


def caption(graph: GraphData) -> tuple[str, ...]:
    """Its lines."""
    lines = [f'view "{graph.view}": {_VIEWS[graph.view]}']
    if graph.steps is not None:
        what = "step" if graph.steps == 1 else f"{graph.steps} steps"
        lines.append(
            f"of each layer the first and the last {what}; those between them are left out; "
            "steps=None with a view shows all"
        )
    if graph.colour == "gradient" and not any(node.gradient for node in graph.nodes):
        lines.append(
            "nothing is coloured: no gradient was recorded; go forward, back and draw inside "
            '"with tg.record():"'
        )
    lines.append(", ".join(_counts(graph.nodes)))
    return tuple(lines)


def _counts(nodes: tuple[GraphNode, ...]) -> list[str]:
    found: dict[str, int] = {}
    for node in nodes:
        found[node.kind] = found.get(node.kind, 0) + node.leaves
    shown = ("cell", "rolled", "module", "operation", "sequence", "parameter", "input", "cotangent")
    return [
        f"{found[kind]} {_COUNTED.get(kind, kind) if found[kind] == 1 else _plural(kind)}"
        for kind in shown
        if kind in found
    ]


def _plural(kind: str) -> str:
    return _PLURALS.get(kind, f"{kind}s")


def summary_lines(node: GraphNode) -> list[str]:
    """A node's values and gradient as lines of text.

    >>> one = Summary(1, 0.5, 0.0, 0.5, 0.5, 0.5, 0.5)
    >>> four = Summary(4, 0.25, 0.5, -1.0, 1.0, 1.5)
    >>> summary_lines(GraphNode("n0", "operation", "sum", value=one, gradient=four))
    ['= 0.5', '∇ 0.25 ± 0.5', '-1 … 1, ‖1.5‖']
    """
    own = () if node.kind == "cotangent" else (("=", node.value),)
    found = []
    for sign, summary in (*own, ("∇", node.gradient)):
        if summary is not None:
            first, *rest = summary_parts(summary)
            found += [f"{sign} {first}", *rest]
    return found


def summary_parts(summary: Summary) -> list[str]:
    """A number; or an array's mean ± standard deviation, and its least … most and ‖norm‖.

    >>> summary_parts(Summary(4, 0.25, 0.5, -1.0, 1.0, 1.5))
    ['0.25 ± 0.5', '-1 … 1, ‖1.5‖']
    """
    s = summary
    if s.number is not None:
        return [f"{s.number:.3g}"]
    return [f"{s.mean:.2g} ± {s.std:.2g}", f"{s.minimum:.2g} … {s.maximum:.2g}, ‖{s.norm:.2g}‖"]
