"""Looking at every array for NaN, infinities and unannounced changes, under `detect_anomaly`."""

from __future__ import annotations

import linecache
import os
import sys
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from .errors import AnomalyError
from .graph import At, Node

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Origin(NamedTuple):
    """Where in the user's code a node was made, and the fingerprints of what it keeps."""

    line: str
    fingerprints: tuple[int, ...]


_origins: WeakKeyDictionary[Node, Origin] = WeakKeyDictionary()


def watch_forward(place: str, out: Any, values: Sequence[Any], node: Node | None) -> None:
    """Raises if an operation made a NaN or infinity that it wasn't given; remembers the node."""
    for result in out if type(out) is tuple else (out,):
        fault = _new_fault(result, values)
        if fault:
            shapes = ", ".join(str(np.shape(v)) for v in values if isinstance(v, np.ndarray))
            raise AnomalyError(f"{place} made {fault} from finite inputs ({shapes}), {_line()}")
    if node is not None:
        _origins[node] = Origin(_line(), _fingerprints(node))


def check_fingerprints(node: Node) -> None:
    """Raises if an array that `node` keeps was written into since the forward pass."""
    origin = _origins.get(node)
    if origin is not None and _fingerprints(node) != origin.fingerprints:
        raise AnomalyError(
            f"an array that {node.place} keeps for its derivative was written into after the "
            f"forward pass ({origin.line}): copy it first, or write after backward()"
        )


def watch_backward(node: Node, g: Any, contribution: Any) -> None:
    """Raises if a rule made a NaN or infinity from a cotangent that has none."""
    given = [_bare(part) for part in (g if type(g) is tuple else (g,)) if part is not None]
    fault = _new_fault(_bare(contribution), given)
    if fault:
        origin = _origins.get(node)
        made = f" ({origin.line})" if origin is not None else ""
        raise AnomalyError(
            f"the derivative of {node.place} made {fault} from a finite cotangent{made}"
        )


def _new_fault(result: Any, given: Sequence[Any]) -> str:
    """Which NaN or infinity is in `result`, and where, if nothing like it was given."""
    array = np.asarray(result)
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return ""
    kinds = [v for v in map(np.asarray, given) if v.dtype.kind == "f"]
    if any(np.isnan(v).any() for v in kinds):
        return ""
    infinite = any(np.isinf(v).any() for v in kinds)
    faults = np.isnan(array) if infinite else ~np.isfinite(array)
    if not faults.any():
        return ""
    place = tuple(int(i) for i in np.argwhere(faults)[0])
    return f"{array[place]} at {list(place)}"


def _bare(value: Any) -> Any:
    if type(value) is At:
        return value.values
    return getattr(value, "_data", value)


def _fingerprints(node: Node) -> tuple[int, ...]:
    arrays = [v for v in node.saved or () if isinstance(v, np.ndarray)]
    return tuple(zlib.crc32(a.tobytes()) for a in arrays)


def _line() -> str:
    """The line of code, outside this library and NumPy, that is being carried out."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        file = frame.f_code.co_filename
        inside = file.startswith((_HERE, "<call of", os.path.dirname(np.__file__)))
        if not inside:
            break
        frame = frame.f_back
    file, number = frame.f_code.co_filename, frame.f_lineno
    code = linecache.getline(file, number).strip()
    return f"at {os.path.basename(file)}:{number}" + (f": {code}" if code else "")
