"""The op table: one row or more for every registered operation; and an independent derivative.

A row says how an operation is called, on which inputs, and what plain NumPy makes of them. The
tests in `test_operations` run over all rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import tinygrad_rnn as tg

Shape = tuple[int, ...]
Inputs = Callable[[np.random.Generator], list[np.ndarray]]


class Row(NamedTuple):
    """One way of calling an operation.

    Attributes:
        operation: its name in the registry.
        label: for the test's name.
        call: the public function, on Tensors or ndarrays.
        expected: the same in plain NumPy, on ndarrays.
        inputs: draws the arrays; those of floats are differentiated.
        exact: whether `expected` is NumPy's own function, to be met bit for bit.
        smooth: whether the results have a gradient.
    """

    operation: str
    label: str
    call: Callable[..., Any]
    expected: Callable[..., Any]
    inputs: Inputs
    exact: bool = True
    smooth: bool = True


# Inputs


def distinct(*shapes: Shape) -> Inputs:
    """Values in (-2, 2), no two close to each other or to 0: a step of 2e-3 meets no kink."""

    def draw(rng: np.random.Generator) -> list[np.ndarray]:
        sizes = [math.prod(shape) for shape in shapes]
        count = sum(sizes) + sum(sizes) % 2 + 2
        places = np.arange(count) + 0.5 + rng.uniform(-0.2, 0.2, count)
        values = rng.permutation(places / count * 4 - 2)
        return [
            part[:size].reshape(shape)
            for part, size, shape in zip(
                np.split(values, np.cumsum(sizes)), sizes, shapes, strict=False
            )
        ]

    return draw


def positive(*shapes: Shape) -> Inputs:
    """Values in (0.5, 2.5)."""
    return lambda rng: [x / 2 + 1.5 for x in distinct(*shapes)(rng)]


def booleans(*shapes: Shape) -> Inputs:
    return lambda rng: [rng.random(shape) < 0.5 for shape in shapes]


def integers(*shapes: Shape) -> Inputs:
    return lambda rng: [rng.integers(-9, 9, shape) for shape in shapes]


def together(*draws: Inputs) -> Inputs:
    return lambda rng: [x for draw in draws for x in draw(rng)]


# The table

UNARY = [(3, 4), (), (1,), (0, 3), (2, 1, 3)]
PAIRS = [
    ((3, 4), (3, 4)),
    ((3, 1), (1, 4)),
    ((4,), (3, 4)),
    ((2, 3), ()),
    ((), (2, 3)),
    ((1,), (2, 3)),
    ((2, 1, 3), (4, 1)),
    ((0, 3), (1, 3)),
    ((), ()),
    ((1, 1), (1,)),
]
# (shape of a, shape of b) for products
VECTORS_AND_MATRICES = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 4)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3,)),
    ((5, 2, 3), (3, 4)),
    ((3,), (5, 3, 4)),
    ((2, 3), (5, 3, 4)),
    ((1, 1), (1, 1)),
    ((1,), (1, 2)),
    ((0, 3), (3, 2)),
    ((2, 0), (0, 3)),
    ((2, 2, 0), (0, 3)),
    ((0, 2, 3), (3, 2)),
]
MATMUL = [
    *VECTORS_AND_MATRICES,
    ((5, 2, 3), (5, 3, 4)),
    ((1, 2, 3), (5, 3, 4)),
    ((5, 2, 3), (1, 3, 4)),
    ((2, 1, 2, 3), (3, 3, 4)),
    ((2, 3), (2, 1, 3, 2)),
    ((2, 2, 2, 3), (3,)),
    ((2, 3, 0), (2, 0, 2)),
]
DOT = [
    *VECTORS_AND_MATRICES,
    ((2, 2, 3), (4, 3, 2)),
    ((2, 2, 3), (2, 2, 3, 2)),
    ((), (2, 3)),
    ((2, 3), ()),
    ((), ()),
    ((2, 0), (2, 0, 3)),
]
REDUCED: list[tuple[Shape, dict[str, Any]]] = [
    ((3, 4), {}),
    ((3, 4), {"axis": 0}),
    ((3, 4), {"axis": -1, "keepdims": True}),
    ((2, 3, 4), {"axis": (0, 2)}),
    ((2, 3, 4), {"axis": (-1, 0), "keepdims": True}),
    ((2, 3, 4), {"axis": 1}),
    ((2, 3), {"axis": ()}),
    ((), {}),
    ((1,), {"axis": 0}),
]
INDICES: dict[str, Any] = {
    "integer": 1,
    "negative": -1,
    "slice": slice(1, 3),
    "step": slice(None, None, 2),
    "backwards": slice(None, None, -2),
    "empty slice": slice(2, 2),
    "column": (slice(None), 1),
    "element": (2, -1),
    "None": (None, slice(None), None, 1),
    "Ellipsis": (Ellipsis, 0),
    "nothing": (),
    "integers": np.array([2, 0]),
    "repeats": np.array([1, -2, 1, -1, 1]),
    "table": np.array([[0, 1], [1, 1]]),
    "list": [0, 2, 0],
    "no integers": np.array([], int),
    "unsigned": np.array([1, 1, 0], np.uint8),
    "0-d integer": np.array(1),
    "columns": (slice(None), np.array([1, 1, 3])),
    "pairs": (np.array([0, 2, 0]), np.array([1, 3, 1])),
    "outer": (np.array([[0], [2]]), np.array([1, 1])),
    "separated": (np.array([1, 1]), None, np.array([0, 0])),
    "integer and integers": (1, np.array([0, 0])),
    "mask": np.arange(12).reshape(3, 4) % 3 == 0,
    "mask of rows": np.array([True, False, True]),
    "mask and integer": (np.array([True, False, True]), 1),
    "mask and slice": (slice(0, 2), np.array([True, False, True, True])),
    "nothing chosen": np.zeros((3, 4), bool),
    "True": True,
}


def _sigmoid(x: Any) -> Any:
    return np.asarray(1 / (1 + np.exp(-x)))


def _softmax(x: Any, axis: int = -1) -> Any:
    return np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True)


def _logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return np.log(np.exp(x).sum(axis=axis, keepdims=keepdims))


def _scattered(g: Any, index: Any, shape: Shape) -> Any:
    out = np.zeros(shape, g.dtype)
    np.add.at(out, index, g)
    return out


def _unary() -> list[Row]:
    table: list[tuple[str, Any, Any, Any]] = [
        ("negative", tg.negative, np.negative, distinct),
        ("square", tg.square, np.square, distinct),
        ("sqrt", tg.sqrt, np.sqrt, positive),
        ("absolute", tg.absolute, np.absolute, distinct),
        ("sign", tg.sign, np.sign, distinct),
        ("exp", tg.exp, np.exp, distinct),
        ("log", tg.log, np.log, positive),
        ("tanh", tg.tanh, np.tanh, distinct),
        ("relu", tg.relu, lambda x: np.maximum(x, 0), distinct),
        ("copy", tg.copy, np.copy, distinct),
        ("ravel", tg.ravel, np.ravel, distinct),
    ]
    rows = [
        Row(name, f"{shape}", call, expected, draw(shape))
        for name, call, expected, draw in table
        for shape in UNARY
    ]
    rows += [
        Row("sigmoid", f"{shape}", tg.sigmoid, _sigmoid, distinct(shape), exact=False)
        for shape in UNARY
    ]
    for name in ("isnan", "isfinite", "zeros_like", "ones_like"):
        rows += [
            Row(name, f"{s}", getattr(tg, name), getattr(np, name), distinct(s), smooth=False)
            for s in UNARY
        ]
    rows += [
        Row("logical_not", f"{s}", tg.logical_not, np.logical_not, booleans(s), smooth=False)
        for s in UNARY
    ]
    for draw in (booleans, integers):
        row = Row("invert", f"{draw.__name__}", tg.invert, np.invert, draw((3, 4)), smooth=False)
        rows.append(row)
    return rows


def _binary() -> list[Row]:
    smooth = [
        ("add", distinct),
        ("subtract", distinct),
        ("multiply", distinct),
        ("divide", positive),
        ("power", positive),
        ("maximum", distinct),
        ("minimum", distinct),
    ]
    compared = ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal"]
    rows = []
    for a, b in PAIRS:
        for name, draw in smooth:
            rows.append(Row(name, f"{a}, {b}", getattr(tg, name), getattr(np, name), draw(a, b)))
        for name, draw in [
            *((name, distinct) for name in compared),
            ("logical_and", booleans),
            ("logical_or", booleans),
            ("bitwise_and", booleans),
            ("bitwise_and", integers),
            ("bitwise_or", booleans),
            ("bitwise_or", integers),
        ]:
            label = f"{a}, {b} {draw.__name__}"
            row = Row(name, label, getattr(tg, name), getattr(np, name), draw(a, b))
            rows.append(row._replace(smooth=False))
    for exponent in (3, 2, 1, -1, 2.5, -0.5, np.array([2.0, 3.0]), np.array([-1, 2])):
        power = _with_last("power", exponent)
        rows.append(Row("power", f"x ** {exponent}", *power, positive((3, 2))))
    rows.append(
        Row("power", "2.0 ** x", *_with_first("power", 2.0), distinct((3, 2))),
    )
    rows.append(Row("power", "(-1.5) ** 3", *_with_last("power", 3), distinct((3, 2))))
    return rows


def _with_last(name: str, value: Any) -> tuple[Any, Any]:
    ours, theirs = getattr(tg, name), getattr(np, name)
    return (lambda x: ours(x, value)), (lambda x: theirs(x, value))


def _with_first(name: str, value: Any) -> tuple[Any, Any]:
    ours, theirs = getattr(tg, name), getattr(np, name)
    return (lambda x: ours(value, x)), (lambda x: theirs(value, x))


def _products() -> list[Row]:
    rows = [
        Row(name, f"{a} {b}", getattr(tg, name), getattr(np, name), distinct(a, b))
        for name, pairs in (("matmul", MATMUL), ("dot", DOT))
        for a, b in pairs
    ]
    for x in ((3,), (2, 3), (4, 2, 3), (0, 3), (1, 1, 3)):
        rows.append(
            Row(
                "linear",
                f"{x}",
                tg.linear,
                lambda x, w, b: np.matmul(x, w.T) + b,
                distinct(x, (5, 3), (5,)),
            )
        )
        rows.append(
            Row(
                "linear",
                f"{x} without bias",
                tg.linear,
                lambda x, w: np.matmul(x, w.T),
                distinct(x, (5, 3)),
            )
        )
    return rows


def _reductions() -> list[Row]:
    rows = []
    for name, smooth in [
        ("sum", True),
        ("mean", True),
        ("max", True),
        ("min", True),
        ("all", False),
        ("any", False),
    ]:
        for shape, options in REDUCED:
            ours, theirs = _partly(name, options)
            draw = distinct(shape) if smooth else booleans(shape)
            rows.append(Row(name, f"{shape} {options}", ours, theirs, draw, smooth=smooth))
    for name in ("argmax", "argmin"):
        for shape, options in [
            ((3, 4), {}),
            ((3, 4), {"axis": 0}),
            ((2, 3, 4), {"axis": -1, "keepdims": True}),
        ]:
            ours, theirs = _partly(name, options)
            rows.append(
                Row(name, f"{shape} {options}", ours, theirs, distinct(shape), smooth=False)
            )
    rows.append(Row("sum", "(0, 3)", tg.sum, np.sum, distinct((0, 3))))
    rows.append(Row("sum", "(0, 3) by row", *_partly("sum", {"axis": 0}), distinct((0, 3))))
    for shape, options in REDUCED:
        rows.append(
            Row(
                "logsumexp",
                f"{shape} {options}",
                lambda x, options=options: tg.logsumexp(x, **options),
                lambda x, options=options: _logsumexp(x, **options),
                distinct(shape),
                exact=False,
            )
        )
    for name, expected in [
        ("softmax", _softmax),
        ("log_softmax", lambda x, axis=-1: np.log(_softmax(x, axis))),
    ]:
        for shape, axis in [((4,), -1), ((2, 3), 0), ((2, 3, 2), 1), ((2, 1), -1), ((0, 3), -1)]:
            rows.append(
                Row(
                    name,
                    f"{shape} axis={axis}",
                    lambda x, axis=axis, name=name: getattr(tg, name)(x, axis),
                    lambda x, axis=axis, expected=expected: expected(x, axis),
                    distinct(shape),
                    exact=False,
                )
            )
    return rows


def _partly(name: str, options: dict[str, Any]) -> tuple[Any, Any]:
    ours, theirs = getattr(tg, name), getattr(np, name)
    return (lambda x: ours(x, **options)), (lambda x: theirs(x, **options))


def _rearranging() -> list[Row]:
    table: list[tuple[str, Shape, tuple[Any, ...]]] = [
        ("reshape", (3, 4), ((2, 6),)),
        ("reshape", (3, 4), (-1,)),
        ("reshape", (3, 4), ((2, -1, 2),)),
        ("reshape", (1,), ((),)),
        ("reshape", (), ((1, 1),)),
        ("reshape", (0, 3), ((3, 0),)),
        ("transpose", (2, 3, 4), ()),
        ("transpose", (2, 3, 4), ((1, 2, 0),)),
        ("transpose", (2, 3, 4), ((-1, 0, -2),)),
        ("transpose", (), ()),
        ("swapaxes", (2, 3, 4), (0, -1)),
        ("swapaxes", (2, 3), (1, 1)),
        ("moveaxis", (2, 3, 4), (0, -1)),
        ("moveaxis", (2, 3, 4), ((0, 1), (2, 0))),
        ("broadcast_to", (3, 1), ((2, 3, 4),)),
        ("broadcast_to", (), ((2, 3),)),
        ("broadcast_to", (3,), ((3,),)),
        ("broadcast_to", (1, 3), ((0, 3),)),
        ("expand_dims", (2, 3), (1,)),
        ("expand_dims", (2, 3), ((0, -1),)),
        ("expand_dims", (), (0,)),
        ("squeeze", (1, 3, 1), ()),
        ("squeeze", (1, 3, 1), (-1,)),
        ("squeeze", (1, 3, 1), ((0, 2),)),
        ("squeeze", (1, 1), ()),
    ]
    rows = [
        Row(
            name,
            f"{shape} {arguments}",
            lambda x, name=name, arguments=arguments: getattr(tg, name)(x, *arguments),
            lambda x, name=name, arguments=arguments: getattr(np, name)(x, *arguments),
            distinct(shape),
        )
        for name, shape, arguments in table
    ]
    rows += [
        Row(
            "unstack",
            f"{shape} axis={axis}",
            lambda x, axis=axis: tg.unstack(x, axis),
            lambda x, axis=axis: tuple(np.moveaxis(x, axis, 0)),
            distinct(shape),
        )
        for shape, axis in [((3, 2), 0), ((3, 2), 1), ((2, 3, 2), -2), ((3,), 0), ((1, 2), 0)]
    ]
    rows += [
        Row(
            "split",
            f"{shape} {arguments}",
            lambda x, arguments=arguments: tg.split(x, *arguments),
            lambda x, arguments=arguments: np.split(x, *arguments),
            distinct(shape),
        )
        for shape, arguments in [
            ((4, 3), (2,)),
            ((2, 6), (3, -1)),
            ((5,), ([1, 4],)),
            ((5, 2), ([0, 3, 3],)),
            ((5, 2), ([-2],)),
            ((3, 2), ([2, 7],)),
        ]
    ]
    rows += [
        Row(
            name,
            f"{shapes} axis={axis}",
            lambda *xs, name=name, axis=axis: getattr(tg, name)(xs, axis),
            lambda *xs, name=name, axis=axis: getattr(np, name)(xs, axis),
            distinct(*shapes),
        )
        for name, shapes, axis in [
            ("stack", [(2, 3)] * 3, 0),
            ("stack", [(2, 3)] * 2, -1),
            ("stack", [(2, 3)] * 2, 1),
            ("stack", [()] * 3, 0),
            ("stack", [(4,)], 0),
            ("stack", [(0, 2)] * 2, 0),
            ("concatenate", [(2, 3), (1, 3), (0, 3)], 0),
            ("concatenate", [(2, 1), (2, 3)], -1),
            ("concatenate", [(2, 1, 2), (2, 2, 2)], 1),
            ("concatenate", [(3,)], 0),
            ("concatenate", [(2, 2), (3,)], None),
        ]
    ]
    return rows


def _indexing() -> list[Row]:
    rows = [
        Row("getitem", label, lambda x, i=i: x[i], lambda x, i=i: x[i], distinct((3, 4)))
        for label, i in INDICES.items()
    ]
    rows += [
        Row("embedding", "rows", lambda w: tg.embedding([1, 0, 1], w), lambda w: w[[1, 0, 1]], draw)
        for draw in (distinct((3, 4)), distinct((2, 1)))
    ]
    rows += [
        Row(
            "scatter",
            label,
            lambda g, i=i: tg.scatter(g, i, (3, 4)),
            lambda g, i=i: _scattered(g, i, (3, 4)),
            distinct(np.empty((3, 4))[i].shape),
            # the sum of equal indices may be taken in another order
            exact=False,
        )
        for label, i in INDICES.items()
    ]
    for condition, x, y in [
        ((3, 4), (3, 4), (3, 4)),
        ((4,), (3, 1), ()),
        ((2, 1), (), (3,)),
        ((), (2, 3), (2, 3)),
        ((0, 3), (1, 3), (3,)),
    ]:
        draw = together(booleans(condition), distinct(x, y))
        rows.append(Row("where", f"{condition}, {x}, {y}", tg.where, np.where, draw))
    for operation, cast in [
        ("astype", np.float64),
        ("astype", np.float32),
        ("truncated", np.int64),
        ("truncated", np.bool_),
    ]:
        rows.append(
            Row(
                operation,
                np.dtype(cast).name,
                lambda x, cast=cast: tg.astype(x, cast),
                lambda x, cast=cast: x.astype(cast),
                distinct((3, 4)),
                smooth=operation == "astype",
            )
        )
    return rows


TABLE: list[Row] = [
    *_unary(),
    *_binary(),
    *_products(),
    *_reductions(),
    *_rearranging(),
    *_indexing(),
]


# An independent derivative


def numeric_gradient(f: Callable[[], float], x: np.ndarray, step: float = 1e-3) -> np.ndarray:
    """df/dx by central differences of fourth order; f reads `x`, which is changed and restored."""
    gradient = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        before = x[i]
        values = []
        for k in (-2, -1, 1, 2):
            x[i] = before + k * step
            values.append(f())
        x[i] = before
        far_left, left, right, far_right = values
        gradient[i] = (8 * (right - left) - (far_right - far_left)) / (12 * step)
    return gradient


def inner(arrays: Sequence[Any], others: Sequence[Any]) -> float:
    """The sum of all products of corresponding elements."""
    return float(sum(np.sum(a * b) for a, b in zip(arrays, others, strict=True)))
