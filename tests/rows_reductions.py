"""Rows of the op table: reductions and running totals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from operation_table import REDUCED, Inputs, Row, Shape, distinct, integers

import tinygrad_rnn as tg


def row(
    name: str,
    draw: Inputs,
    label: str,
    *arguments: Any,
    smooth: bool = True,
    exact: bool = True,
    **options: Any,
) -> Row:
    """tg.<name>(x, ...) against np.<name>(x, ...)."""
    ours, theirs = getattr(tg, name), getattr(np, name)
    return Row(
        name,
        label,
        lambda *xs: ours(*xs, *arguments, **options),
        lambda *xs: np.asarray(theirs(*xs, *arguments, **options)),
        draw,
        smooth=smooth,
        exact=exact,
    )


def zeros_at(shape: Shape, *places: int) -> Inputs:
    """Distinct values, but 0 at some places of the flattened array."""

    def draw(rng: np.random.Generator) -> list[np.ndarray]:
        (x,) = distinct(shape)(rng)
        x.reshape(-1)[list(places)] = 0
        return [x]

    return draw


def constant_nan(name: str, shape: Shape, places: list[int], **options: Any) -> Row:
    """A function of the elements that aren't NaN: NaN is put in by the call."""
    hole = np.zeros(shape, bool)
    hole.reshape(-1)[places] = True
    ours, theirs = getattr(tg, name), getattr(np, name)
    return Row(
        name,
        f"{shape} but {places} {options}",
        lambda x: ours(tg.where(hole, np.array(np.nan, x.dtype), x), **options),
        lambda x: np.asarray(theirs(np.where(hole, np.array(np.nan, x.dtype), x), **options)),
        distinct(shape),
    )


def _reduced() -> list[Row]:
    names = ["prod", "var", "std", "ptp", "median", "nansum", "nanmean", "nanmax", "nanmin"]
    rows = []
    for name in names:
        for shape, options in REDUCED:
            if options.get("axis") == () and name in ("std", "median", "nanmax", "nanmin"):
                continue  # std has a kink there; NumPy's others take no ()
            if name == "std" and shape in ((), (1,)):
                continue
            rows.append(row(name, distinct(shape), f"{shape} {options}", **options))
        if name not in ("nanmax", "nanmin", "ptp"):
            rows.append(row(name, distinct((0, 3)), "(0, 3) by row", axis=1))
    for name in ("prod", "nansum"):
        rows.append(row(name, distinct((0, 3)), "(0, 3)"))
        rows.append(row(name, distinct((0, 3)), "(0, 3) by column", axis=0))
    for name in ("nansum", "nanmean", "nanmax", "nanmin"):
        rows.append(constant_nan(name, (3, 4), [0, 5, 6]))
        rows.append(constant_nan(name, (3, 4), [0, 5, 6], axis=1, keepdims=True))
        rows.append(constant_nan(name, (2, 3, 2), [1, 5], axis=(0, -1)))
    for name in ("var", "std"):
        for options in ({"ddof": 1}, {"axis": 0, "ddof": 2}, {"correction": 1.5, "axis": (0, 1)}):
            rows.append(row(name, distinct((3, 4)), f"(3, 4) {options}", **options))
    rows.append(row("median", distinct((5,)), "of five"))
    rows.append(row("median", distinct((2, 5)), "of two fives", axis=-1))
    return rows


def _products() -> list[Row]:
    rows = []
    for label, places in (("a zero", [5]), ("two zeros", [4, 6]), ("many zeros", [0, 1, 2, 5])):
        for options in ({}, {"axis": 0}, {"axis": -1, "keepdims": True}, {"axis": (1, 0)}):
            draw = zeros_at((3, 4), *places)
            rows.append(row("prod", draw, f"{label} {options}", **options))
        for axis in (None, 0, -1):
            rows.append(row("cumprod", zeros_at((3, 4), *places), f"{label} {axis}", axis=axis))
    rows.append(row("prod", zeros_at((2, 2, 3, 2), 3, 9, 10), "of two of four axes", axis=(0, 2)))
    rows.append(row("prod", zeros_at((), 0), "of zero"))
    rows.append(row("cumprod", zeros_at((2, 3, 2), 3, 7), "the middle axis", axis=1))
    for name in ("cumsum", "cumprod"):
        for shape, axis in [
            ((4,), None),
            ((4,), 0),
            ((3, 4), None),
            ((3, 4), 0),
            ((3, 4), -1),
            ((2, 3, 2), 1),
            ((), None),
            ((1,), 0),
            ((0, 3), 1),
            ((0, 3), 0),
        ]:
            rows.append(row(name, distinct(shape), f"{shape} {axis}", axis=axis))
    return rows


def _weighted() -> list[Row]:
    def weighted(a: Shape, w: Shape, **options: Any) -> Row:
        def draw(rng: np.random.Generator) -> list[np.ndarray]:
            return [*distinct(a)(rng), distinct(w)(rng)[0] + 2.5]

        def call(average: Callable[..., Any]) -> Callable[..., Any]:
            return lambda x, v: average(x, weights=v, **options)

        theirs = call(np.average)
        return Row(
            "average",
            f"{a} {w} {options}",
            call(tg.average),
            lambda x, v: np.asarray(theirs(x, v)),
            draw,
        )

    return [
        *(row("average", distinct(s), f"{s} {o}", **o) for s, o in REDUCED if o.get("axis") != ()),
        weighted((4,), (4,)),
        weighted((3, 4), (3, 4)),
        weighted((3, 4), (3, 4), axis=0),
        weighted((3, 4), (4,), axis=-1, keepdims=True),
        weighted((2, 3, 4), (4, 2), axis=(2, 0)),
        weighted((2, 3, 4), (2, 3), axis=(0, 1), keepdims=True),
        weighted((), ()),
    ]


def _others() -> list[Row]:
    rows = []
    for shape, arguments in [
        ((3, 3), ()),
        ((3, 4), (1,)),
        ((4, 3), (-2,)),
        ((2, 3, 4), (1, -1, 0)),
        ((2, 2), (5,)),
        ((2, 3, 4), (0, 1, 2)),
        ((0, 3), ()),
    ]:
        rows.append(row("trace", distinct(shape), f"{shape} {arguments}", *arguments))
    for shape, q, options in [
        ((5,), 0.3, {}),
        ((3, 4), 0.5, {"axis": 0}),
        ((3, 4), [0.1, 0.9], {"axis": 1}),
        ((2, 3, 4), [[0.0, 0.25, 1.0]], {"axis": (0, 2), "keepdims": True}),
        ((), 0.7, {}),
        ((3, 4), 1, {"axis": -1, "keepdims": True}),
        ((1,), 0.2, {}),
    ]:
        label = f"{shape} {q} {options}"
        rows.append(row("quantile", distinct(shape), label, q, exact=False, **options))
        percent = (np.array(q) * 100).tolist()
        rows.append(row("percentile", distinct(shape), label, percent, exact=False, **options))
    for shape, options in REDUCED:
        draw = integers(shape)
        label = f"{shape} {options}"
        rows.append(row("count_nonzero", draw, label, smooth=False, **options))
    return rows


ROWS: list[Row] = [*_reduced(), *_products(), *_weighted(), *_others()]
