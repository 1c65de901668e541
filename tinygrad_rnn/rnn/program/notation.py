"""How each operation is written in NumPy, for arrays with features first: (F, N) or (T, F, N).

A step's arrays are (N, F) for the cell. The program keeps them with features first, so that the
gates, slices of the features, are contiguous.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from ...core.graph import is_basic
from .capture import UFUNCS
from .steps import Instruction, Value

Reference = Callable[[Any], str]

_LAST = (-1, 1, (-1,), (1,))  # the axis of features, as cells name it

# Operations that are written as a call of a function whose source the program shows.
CALLED = frozenset(
    {
        *("silu", "softplus", "logsigmoid", "leaky_relu", "elu", "mish", "gelu", "gelu_tanh"),
        *("hardswish", "softsign", "hardtanh", "clip", "round", "erf"),
        *("softmax", "log_softmax"),
    }
)
_OVER_FEATURES = frozenset({"softmax", "log_softmax"})


class NotWritable(Exception):
    """An instruction that has no notation here."""


def is_view(instruction: Instruction) -> bool:
    """Whether an instruction only shows a part of its argument."""
    if instruction.name == "split":
        ary, _, axis = instruction.arguments
        return axis in (-1, len(ary.shape) - 1)
    if instruction.name == "getitem":
        x, index = instruction.arguments
        return len(x.shape) == 2 and _feature_slice(index) is not None
    return False


def _feature_slice(index: Any) -> slice | None:
    """The slice of the last axis that an index is; None if it is anything else."""
    parts = index if type(index) is tuple else (index,)
    if not is_basic(index) or len(parts) != 2 or type(parts[1]) is not slice:
        return None
    whole = parts[0] is Ellipsis or parts[0] == slice(None)
    return parts[1] if whole and parts[1].step in (None, 1) else None


def view_edges(instruction: Instruction) -> list[tuple[int, int]]:
    """Of each result of a view, where its features begin and end in the argument."""
    ary = instruction.arguments[0]
    if instruction.name == "split":
        return list(itertools.pairwise([0, *instruction.arguments[1], ary.shape[-1]]))
    part = _feature_slice(instruction.arguments[1])
    assert part is not None
    start, stop, _ = part.indices(ary.shape[-1])
    return [(start, stop)]


def is_writable(instruction: Instruction, constants: set[Value]) -> bool:
    """Whether an instruction on (N, F) arrays, besides `constants`, has a notation here."""
    name, arguments = instruction.name, instruction.arguments
    varying = [v for v in instruction.values() if v not in constants]
    shapes = [v.shape for v in (*varying, *instruction.results)]
    if any(len(shape) != 2 for shape in shapes):
        return False
    if name in ("linear", "matmul"):
        weights = [a for a in arguments[1:] if isinstance(a, Value)]
        plain = arguments[0] not in constants and all(w in constants for w in weights)
        return plain and len(arguments[1].shape) == 2
    if name == "concatenate":
        return arguments[0] in (-1, 1) and len(varying) == len(arguments) - 2
    if name in ("sum", "mean"):
        return arguments[1] in _LAST and bool(arguments[2])
    if name in ("centred", "inverse_rms", "scaled_to_unit_rms"):
        places = {"centred": 1, "inverse_rms": 1, "scaled_to_unit_rms": 2}
        return arguments[places[name]] in _LAST and not constants.intersection(varying)
    if name in _OVER_FEATURES:
        return arguments[1] in _LAST
    if name == "scatter":
        _, index, shape = arguments
        part = _feature_slice(index)
        return part is not None and part.indices(shape[-1])[:2] != (0, shape[-1])
    if name == "broadcast_to":
        return shapes[0][0] == shapes[-1][0]
    rows = instruction.results[0].shape
    fixed = [v for v in instruction.values() if v in constants]
    fitting = all(len(v.shape) < 2 or v.shape == rows for v in fixed)
    elementwise = instruction.operation in UFUNCS or name in _ELEMENTWISE or name in CALLED
    return is_view(instruction) or (elementwise and fitting)


def written(
    instruction: Instruction, of: Reference, out: str | None, features_first: bool = True
) -> list[str]:
    """The lines that carry out an instruction; into `out`, or making the result's array.

    Args:
        of: gives the text of an argument.
        out: the array to write into; None to write ``{result} = ...``.
        features_first: whether arrays are (F, N), or (N, F) as the cell has them.
    """
    axis = -2 if features_first else -1
    name, arguments = instruction.name, instruction.arguments
    result = of(instruction.results[0])
    begin, end = (f"{result} = ", "") if out is None else ("", f", out={out}")
    ufunc = UFUNCS.get(instruction.operation)
    if ufunc is not None:
        return [f"{begin}np.{ufunc.__name__}({', '.join(map(of, arguments))}{end})"]
    if name in _ELEMENTWISE:
        return _ELEMENTWISE[name](arguments, of, begin, end, result)
    if name in CALLED:
        begin = f"{result} = " if out is None else f"{out}[...] = "
        if name in _OVER_FEATURES:
            return [f"{begin}{name}({of(arguments[0])}, {axis})"]
        texts = ["None" if a is None else of(a) for a in arguments]
        return [f"{begin}{name}({', '.join(texts)})"]
    if name == "scatter":
        return _scattered(arguments, of, out, result, features_first)
    if name == "broadcast_to":
        g, shape = of(arguments[0]), arguments[1]
        if out is not None:
            return [f"np.copyto({out}, {g})"]
        return [f"{result} = np.repeat({g}, {shape[-1]} // {g}.shape[{axis}], axis={axis})"]
    if name in ("linear", "matmul"):
        transposed = ".T" if (name == "linear") != features_first else ""
        weight, x = of(arguments[1]) + transposed, of(arguments[0])
        factors = f"{weight}, {x}" if features_first else f"{x}, {weight}"
        lines = [f"{begin}np.matmul({factors}{end})"]
        bias = arguments[2] if name == "linear" else None
        return lines if bias is None else [*lines, f"{result} += {of(bias)}"]
    if name == "concatenate":
        parts = ", ".join(of(part) for part in arguments[2:])
        return [f"{begin}np.concatenate(({parts}), axis={axis}{end})"]
    if name in ("sum", "mean"):
        return [f"{begin}np.{name}({of(arguments[0])}, axis={axis}, keepdims=True{end})"]
    raise NotWritable(f"{name} has no notation")


def _scattered(
    arguments: Any, of: Reference, out: str | None, result: str, features_first: bool
) -> list[str]:
    """Some features, and zeros where the others are."""
    g, index, shape = of(arguments[0]), arguments[1], arguments[2]
    part = _feature_slice(index)
    assert part is not None
    start, stop, _ = part.indices(shape[-1])
    end = ", :" if features_first else ""
    where = f"{result}[..., {start}:{stop}{end}] = {g}"
    if out is not None:
        return [f"{out}[...] = 0", where]
    if features_first:
        size = f"(*{g}.shape[:-2], {shape[-1]}, {g}.shape[-1])"
    else:
        size = f"(*{g}.shape[:-1], {shape[-1]})"
    return [f"{result} = np.zeros({size}, {g}.dtype)", where]


def _sigmoid(arguments: Any, of: Reference, begin: str, end: str, result: str) -> list[str]:
    return [
        f"{begin}np.multiply({of(arguments[0])}, 0.5{end})",
        f"np.tanh({result}, out={result})",
        f"{result} *= 0.5",
        f"{result} += 0.5",
    ]


def _centred(arguments: Any, of: Reference, begin: str, end: str, result: str) -> list[str]:
    x = of(arguments[0])
    return [f"{begin}np.subtract({x}, {x}.mean(axis=-2, keepdims=True){end})"]


def _inverse_rms(arguments: Any, of: Reference, begin: str, end: str, result: str) -> list[str]:
    x, eps = of(arguments[0]), number(arguments[2])
    mean = f"np.mean(np.square({x}), axis=-2, keepdims=True)"
    return [f"{begin}np.divide(1, np.sqrt({mean} + {eps}){end})"]


def _scaled(arguments: Any, of: Reference, begin: str, end: str, result: str) -> list[str]:
    return [f"{begin}np.multiply({of(arguments[0])}, {of(arguments[1])}{end})"]


def _relu(arguments: Any, of: Reference, begin: str, end: str, result: str) -> list[str]:
    return [f"{begin}np.maximum({of(arguments[0])}, 0{end})"]


def _where(arguments: Any, of: Reference, begin: str, end: str, result: str) -> list[str]:
    condition, x, y = map(of, arguments)
    if begin:
        return [f"{begin}np.where({condition}, {x}, {y})"]
    return [f"np.copyto({result}, {y})", f"np.copyto({result}, {x}, where={condition})"]


_ELEMENTWISE: dict[str, Callable[..., list[str]]] = {
    "centred": _centred,
    "inverse_rms": _inverse_rms,
    "scaled_to_unit_rms": _scaled,
    "sigmoid": _sigmoid,
    "relu": _relu,
    "where": _where,
}


def number(value: Any) -> str:
    """A plain argument as text."""
    if isinstance(value, (bool, int, float)) and np.isfinite(value):
        return repr(value)
    raise NotWritable(f"{value!r:.40} has no notation")
