"""Rows of the op table: reading and writing parts, and order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from operation_table import INDICES, Row, booleans, distinct, together

import tinygrad_rnn as tg


def row(name: str, label: str, draw: Any, ours: Any, theirs: Any, **options: Any) -> Row:
    return Row(name, label, ours, theirs, draw, **options)


def same(name: str, label: str, draw: Any, use: Callable[..., Any], **options: Any) -> Row:
    """`use` is given the library's function, or NumPy's, and the arrays."""
    ours, theirs = getattr(tg, name), getattr(np, name)
    return Row(
        name, label, lambda *xs: use(ours, *xs), lambda *xs: use(theirs, *xs), draw, **options
    )


def updated(x: Any, index: Any, value: Any) -> Any:
    out = np.array(x)
    out[index] = value
    return out


def added(x: Any, index: Any, value: Any) -> Any:
    out = np.array(x)
    np.add.at(out, index, value)
    return out


def scattered(x: Any, indices: Any, values: Any, axis: int) -> Any:
    """An independent formula: one-hot rows of the axis, summed."""
    out = np.moveaxis(np.array(x), axis, -1)
    values, indices = np.broadcast_arrays(values, indices)
    places = np.moveaxis(indices % x.shape[axis], axis, -1)[..., None] == np.arange(out.shape[-1])
    out = out + (np.moveaxis(values, axis, -1)[..., None] * places).sum(-2)
    return np.moveaxis(out, -1, axis)


def largest(x: Any, k: int, axis: int) -> Any:
    return np.take(np.flip(np.sort(x, axis), axis), np.arange(k), axis)


TABLE = np.array([[2, 0], [-1, 2]])
TAKEN: list[tuple[tuple[int, ...], Any, dict[str, Any]]] = [
    ((3, 4), 5, {}),
    ((3, 4), [0, 11, -1, 0], {}),
    ((3, 4), TABLE, {"axis": 0}),
    ((3, 4), TABLE, {"axis": -1}),
    ((3, 4), 1, {"axis": 1}),
    ((2, 3, 4), [0, 0, 2], {"axis": 1}),
    ((3, 2), [-4, 5, 7, 0], {"axis": 0, "mode": "wrap"}),
    ((3, 2), [-4, 5, 1], {"mode": "wrap"}),
    ((3, 2), [-4, 5, 1], {"axis": 0, "mode": "clip"}),
    ((3, 2), [-4, 9, 1], {"mode": "clip"}),
    ((), 0, {}),
    ((), [0, 0], {}),
    ((1,), [0], {"axis": 0}),
    ((0, 3), np.array([], int), {"axis": 0}),
    ((0, 3), np.array([1, 1]), {"axis": 1}),
]
ALONG: list[tuple[tuple[int, ...], Any, Any]] = [
    ((3, 4), np.array([[0, 3], [1, 1], [-1, 2]]), 1),
    ((3, 4), np.array([[2, 0, 0, 1]]), 0),
    ((3, 4), np.array([[0, -1]]), -1),
    ((2, 3, 2), np.array([[[0, 1], [0, 2]], [[1, 1], [2, 0]]]), 1),
    ((1, 4), np.array([[0, 1], [1, 1]]), 1),
    ((3, 2), np.array([5, 0, 0]), None),
    ((4,), np.array([1, 1, 1]), 0),
    ((1,), np.array([0]), -1),
    ((0, 3), np.zeros((0, 2), int), 1),
]
UPDATED = {k: v for k, v in INDICES.items() if k != "True"}
ORDERED: list[tuple[tuple[int, ...], Any]] = [
    ((5,), -1),
    ((3, 4), 0),
    ((3, 4), -1),
    ((2, 3, 4), 1),
    ((3, 4), None),
    ((1,), 0),
    ((0, 3), 0),
    ((0, 3), 1),
]


def _reading() -> list[Row]:
    rows = [
        same(
            "take",
            f"{shape} {np.asarray(indices).tolist()} {options}",
            distinct(shape),
            lambda f, x, i=indices, o=options: f(x, i, **o),
        )
        for shape, indices, options in TAKEN
    ]
    rows += [
        same(
            "take_along_axis",
            f"{shape} {indices.shape} {axis}",
            distinct(shape),
            lambda f, x, i=indices, axis=axis: f(x, i, axis),
        )
        for shape, indices, axis in ALONG
    ]
    for shape, options in [((3, 4), {}), ((3, 4), {"axis": 1}), ((4,), {"axis": 0})]:
        mask = np.array([True, False, True])
        rows.append(
            same(
                "compress",
                f"{shape} {options}",
                distinct(shape),
                lambda f, x, o=options, mask=mask: f(mask, x, **o),
            )
        )
    for shape in ((3, 4), (1,), (), (0,)):
        draw = together(booleans(shape), distinct(shape))
        rows.append(same("extract", f"{shape}", draw, lambda f, c, x: f(c, x)))
    return rows


def _writing() -> list[Row]:
    rows = []
    for label, i in UPDATED.items():
        part = np.empty((3, 4))[i].shape
        for name, theirs in (("index_update", updated), ("index_add", added)):
            ours = getattr(tg, name)
            for value in {part, part[1:], ()}:
                rows.append(
                    row(
                        name,
                        f"{label} {value}",
                        distinct((3, 4), value),
                        lambda x, v, i=i, ours=ours: ours(x, i, v),
                        lambda x, v, i=i, theirs=theirs: theirs(x, i, v),
                    )
                )
            rows.append(
                row(
                    name,
                    f"{label} of a number",
                    distinct((3, 4)),
                    lambda x, i=i, ours=ours: ours(x, i, 1.5),
                    lambda x, i=i, theirs=theirs: theirs(x, i, 1.5),
                )
            )
    rows.append(
        row(
            "index_update",
            "leading axes of size 1",
            distinct((3, 4), (1, 1, 4)),
            lambda x, v: tg.index_update(x, 1, v),
            lambda x, v: updated(x, 1, v),
        )
    )
    for shape, indices, axis in ALONG:
        if axis is None or shape[0] == 1:
            continue
        for values in {np.broadcast_shapes(indices.shape), ()}:
            rows.append(
                row(
                    "scatter_add",
                    f"{shape} {indices.shape} {axis} {values}",
                    distinct(shape, values),
                    lambda x, v, i=indices, axis=axis: tg.scatter_add(x, i, v, axis),
                    lambda x, v, i=indices, axis=axis: scattered(
                        x,
                        np.broadcast_to(
                            i,
                            [
                                i.shape[k] if k == axis % x.ndim else n
                                for k, n in enumerate(x.shape)
                            ],
                        ),
                        v,
                        axis,
                    ),
                    exact=False,
                )
            )
    return rows


def _order() -> list[Row]:
    rows = []
    for shape, axis in ORDERED:
        label = f"{shape} {axis}"
        use = lambda f, x, axis=axis: f(x, axis)  # noqa: E731
        rows.append(same("sort", label, distinct(shape), use))
        rows.append(same("argsort", label, distinct(shape), use, smooth=False))
    for shape, kth, axis in [
        ((5,), 2, -1),
        ((5,), (1, -1), 0),
        ((3, 4), 1, 0),
        ((3, 4), 7, None),
        ((1,), 0, 0),
        ((2, 3, 2), 0, 1),
    ]:
        label = f"{shape} {kth} {axis}"
        use = lambda f, x, kth=kth, axis=axis: f(x, kth, axis)  # noqa: E731
        rows.append(same("argpartition", label, distinct(shape), use, smooth=False))
        rows.append(
            row(
                "partition",
                label,
                distinct(shape),
                lambda x, kth=kth, axis=axis: tg.partition(x, kth, axis),
                lambda x, kth=kth, axis=axis: np.take_along_axis(
                    x, np.argpartition(x, kth, axis), axis
                ),
            )
        )
    for shape, k, axis in [
        ((5,), 2, -1),
        ((3, 4), 3, 0),
        ((3, 4), 1, 1),
        ((2, 3, 2), 2, -2),
        ((4,), 0, 0),
        ((1,), 1, 0),
        ((0, 3), 2, 1),
    ]:
        rows.append(
            row(
                "topk",
                f"{shape} {k} {axis}",
                distinct(shape),
                lambda x, k=k, axis=axis: tg.topk(x, k, axis)[0],
                lambda x, k=k, axis=axis: largest(x, k, axis),
            )
        )
        rows.append(
            row(
                "topk",
                f"{shape} {k} {axis} smallest",
                distinct(shape),
                lambda x, k=k, axis=axis: tg.topk(x, k, axis, largest=False)[0],
                lambda x, k=k, axis=axis: np.take(np.sort(x, axis), np.arange(k), axis),
            )
        )
        rows.append(
            row(
                "places_of_extremes",
                f"{shape} {k} {axis}",
                distinct(shape),
                lambda x, k=k, axis=axis: tg.topk(x, k, axis)[1],
                lambda x, k=k, axis=axis: np.take(np.argsort(-x, axis), np.arange(k), axis),
                smooth=False,
            )
        )
    for side in ("left", "right"):
        rows.append(
            same(
                "searchsorted",
                side,
                distinct((3, 4)),
                lambda f, v, side=side: f(np.array([-1.0, 0.0, 1.0]), v, side),
                smooth=False,
            )
        )
    return rows


def _truth() -> list[Row]:
    rows = []
    for shape in ((3, 4), (5,), (1,), (0, 2)):
        for name in ("nonzero", "flatnonzero", "argwhere"):
            use = lambda f, x, name=name: f(x)[0] if name == "nonzero" else f(x)  # noqa: E731
            rows.append(same(name, f"{shape}", booleans(shape), use, smooth=False))
        rows.append(
            same("where", f"{shape} alone", booleans(shape), lambda f, x: f(x)[-1], smooth=False)
        )
    for c, x, y, default in [
        ((3, 4), (3, 4), (3, 4), 0),
        ((4,), (3, 1), (), -1.5),
        ((), (2,), (), 0),
        ((0, 3), (3,), (1, 3), 0),
    ]:
        rows.append(
            same(
                "select",
                f"{c} {x} {y} {default}",
                together(booleans(c, c), distinct(x, y)),
                lambda f, c, d, x, y, default=default: f([c, d], [x, y], default),
            )
        )
    rows.append(
        same(
            "select",
            "differentiable default",
            together(booleans((3,), (3,)), distinct((3,), (3,), (2, 1))),
            lambda f, c, d, x, y, z: f([c, d], [x, y], z),
        )
    )
    for places, mode in [
        (np.array([[0, 1, 1], [2, 0, 2]]), "raise"),
        (np.array([-4, 5, 1]), "wrap"),
        (np.array([-4, 5, 1]), "clip"),
    ]:
        rows.append(
            same(
                "choose",
                f"{places.shape} {mode}",
                distinct((3,), (2, 1), ()),
                lambda f, *xs, places=places, mode=mode: f(places, xs, mode=mode),
            )
        )
    return rows


ROWS: list[Row] = [*_reading(), *_writing(), *_order(), *_truth()]
