"""Measures pictures:  python docs/pictures/measure.py docs/pictures/lstm_cells.svg

Prints, of each SVG file: nodes, edges, pairs of boxes that overlap, and crossings of edges.
"""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from itertools import combinations, pairwise
from pathlib import Path
from typing import NamedTuple

_SVG = "{http://www.w3.org/2000/svg}"
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_PIECES = 6  # a curve is cut into so many straight lines

Point = tuple[float, float]


class Box(NamedTuple):
    """Of a node's outline or an edge's label."""

    name: str
    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return width > 0.5 and height > 0.5


class Measured(NamedTuple):
    """Of one picture."""

    nodes: int
    edges: int
    overlaps: list[tuple[str, str]]
    crossings: int


def measure(path: Path) -> Measured:
    """The counts of an SVG file that Graphviz made."""
    root = ET.parse(path).getroot()
    nodes = [g for g in _groups(root, "node") if not _title(g).startswith("band")]
    edges = [g for g in _groups(root, "edge") if g.find(f"{_SVG}path") is not None]
    boxes = [box for group in nodes for box in [_outline(group)] if box]
    boxes += [box for group in edges for box in _labels(group)]
    overlaps = [(a.name, b.name) for a, b in combinations(boxes, 2) if a.overlaps(b)]
    lines = [(_title(group), _line(group)) for group in edges]
    return Measured(len(nodes), len(edges), overlaps, _crossings(lines))


def _groups(root: ET.Element, kind: str) -> Iterator[ET.Element]:
    return (g for g in root.iter(f"{_SVG}g") if g.get("class") == kind)


def _title(group: ET.Element) -> str:
    return group.findtext(f"{_SVG}title") or ""


def _outline(group: ET.Element) -> Box | None:
    numbers: list[float] = []
    for shape in group:
        if shape.tag == f"{_SVG}ellipse":
            x, y, rx, ry = (float(shape.get(k, "0")) for k in ("cx", "cy", "rx", "ry"))
            numbers += [x - rx, y - ry, x + rx, y + ry]
        elif shape.tag in (f"{_SVG}polygon", f"{_SVG}path"):
            numbers += _numbers(shape.get("points") or shape.get("d") or "")
    if not numbers:
        return None
    xs, ys = numbers[::2], numbers[1::2]
    return Box(_title(group), min(xs), min(ys), max(xs), max(ys))


def _labels(group: ET.Element) -> Iterator[Box]:
    for text in group.iter(f"{_SVG}text"):
        size = float(text.get("font-size", "9"))
        width = 0.55 * size * len(text.text or "")
        x, y = float(text.get("x", "0")), float(text.get("y", "0"))
        left = x - (width / 2 if text.get("text-anchor") == "middle" else 0)
        yield Box(f"{_title(group)}: {text.text}", left, y - 0.75 * size, left + width, y)


def _numbers(text: str) -> list[float]:
    return [float(number) for number in _NUMBER.findall(text)]


def _line(group: ET.Element) -> list[Point]:
    path = group.find(f"{_SVG}path")
    assert path is not None
    numbers = _numbers(path.get("d", ""))
    points = list(zip(numbers[::2], numbers[1::2], strict=True))
    line = points[:1]
    for start in range(0, len(points) - 3, 3):
        a, b, c, d = points[start : start + 4]
        line += [_on_curve((a, b, c, d), k / _PIECES) for k in range(1, _PIECES + 1)]
    return line


def _on_curve(points: tuple[Point, ...], t: float) -> Point:
    weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
    parts = list(zip(weights, points, strict=True))
    return sum(w * p[0] for w, p in parts), sum(w * p[1] for w, p in parts)


def _crossings(lines: list[tuple[str, list[Point]]]) -> int:
    """Crossings between edges; of those that run together from one node, each place counts once."""
    found: set[tuple[str, str, int, int]] = set()
    for (name, one), (other_name, other) in combinations(lines, 2):
        first, second = name.split("->"), other_name.split("->")
        if set(first) & set(second):
            continue
        for a, b in pairwise(one):
            for c, d in pairwise(other):
                place = _crossing(a, b, c, d)
                if place is not None:
                    found.add((first[0], second[0], round(place[0]), round(place[1])))
    return len(found)


def _crossing(a: Point, b: Point, c: Point, d: Point) -> Point | None:
    ux, uy, vx, vy = b[0] - a[0], b[1] - a[1], d[0] - c[0], d[1] - c[1]
    across = ux * vy - uy * vx
    if abs(across) < 1e-9:
        return None
    s = ((c[0] - a[0]) * vy - (c[1] - a[1]) * vx) / across
    t = ((c[0] - a[0]) * uy - (c[1] - a[1]) * ux) / across
    return (a[0] + s * ux, a[1] + s * uy) if 0 < s < 1 and 0 < t < 1 else None


if __name__ == "__main__":
    for name in sys.argv[1:]:
        seen = measure(Path(name))
        print(
            f"{Path(name).stem:16} {seen.nodes:4} nodes {seen.edges:4} edges "
            f"{len(seen.overlaps):3} overlaps {seen.crossings:5} crossings"
        )
        for pair in seen.overlaps[:5]:
            print("   ", *pair, sep="   ")
