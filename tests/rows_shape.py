"""Rows of the op table: rearranging, joining, repeating, padding, diagonals."""

from __future__ import annotations

from typing import Any

import numpy as np
from operation_table import Row, Shape, distinct, integers, together

import tinygrad_rnn as tg
from tinygrad_rnn.core.primitive import registry


def one(name: str, shape: Shape, /, *arguments: Any, smooth: bool = True, **options: Any) -> Row:
    """tg.<name>(x, ...) against np.<name>(x, ...), for one array x."""
    ours, theirs = getattr(tg, name), getattr(np, name)
    return Row(
        name,
        f"{shape} {arguments} {options}",
        lambda x: ours(x, *arguments, **options),
        lambda x: theirs(x, *arguments, **options),
        distinct(shape),
        smooth=smooth,
    )


def many(name: str, *shapes: Shape, in_list: bool = True, **options: Any) -> Row:
    """tg.<name>([x, y, ...]) (or tg.<name>(x, y, ...)) against NumPy's."""
    ours, theirs = getattr(tg, name), getattr(np, name)
    return Row(
        name,
        f"{shapes} {options}",
        lambda *xs: ours(xs, **options) if in_list else ours(*xs, **options),
        lambda *xs: theirs(xs, **options) if in_list else theirs(*xs, **options),
        distinct(*shapes),
    )


def _rearranged() -> list[Row]:
    table: list[tuple[str, Shape, tuple[Any, ...]]] = [
        ("rollaxis", (2, 3, 4), (2,)),
        ("rollaxis", (2, 3, 4), (0, 3)),
        ("rollaxis", (2, 3, 4), (-1, 1)),
        ("rollaxis", (2, 3, 4), (1, -1)),
        ("flip", (2, 3), ()),
        ("flip", (2, 3, 4), (1,)),
        ("flip", (2, 3, 4), ((0, -1),)),
        ("flip", (), ()),
        ("flip", (0, 3), (0,)),
        ("fliplr", (2, 3), ()),
        ("fliplr", (2, 3, 2), ()),
        ("flipud", (3,), ()),
        ("flipud", (3, 2), ()),
        ("roll", (5,), (2,)),
        ("roll", (5,), (-7,)),
        ("roll", (2, 3), (1,)),
        ("roll", (2, 3), (1, -1)),
        ("roll", (3, 4), ((1, -2), (0, 1))),
        ("roll", (3, 4), ((1, 2), (1, 1))),
        ("roll", (3, 4), (1, (0, 1))),
        ("roll", (), (1,)),
        ("roll", (0, 3), (1, 0)),
        *(("rot90", (2, 3), (k,)) for k in (0, 1, 2, 3, -1, 5)),
        ("rot90", (2, 3, 4), (1, (2, 0))),
        ("rot90", (2, 3, 4), (3, (-2, -1))),
        ("matrix_transpose", (2, 3), ()),
        ("matrix_transpose", (2, 0, 3), ()),
        ("array_split", (5, 2), (3,)),
        ("array_split", (2, 7), (4, -1)),
        ("array_split", (2,), (4,)),
        ("array_split", (5,), ([1, 3],)),
        ("hsplit", (4,), (2,)),
        ("hsplit", (2, 4), ([1, 3],)),
        ("vsplit", (4, 2), (2,)),
        ("dsplit", (2, 1, 4), (4,)),
        ("dsplit", (2, 2, 3), ([2],)),
        *(
            (f"atleast_{n}d", shape, ())
            for n in (1, 2, 3)
            for shape in ((), (3,), (2, 3), (2, 1, 3), (0,))
        ),
    ]
    return [one(name, shape, *arguments) for name, shape, arguments in table]


def _repeated() -> list[Row]:
    table: list[tuple[str, Shape, tuple[Any, ...]]] = [
        ("tile", (3,), (2,)),
        ("tile", (2, 3), (2,)),
        ("tile", (2, 3), ((2, 1),)),
        ("tile", (2, 3), ((2, 1, 3),)),
        ("tile", (2, 1, 3), ((2, 2),)),
        ("tile", (), (3,)),
        ("tile", (), ((2, 2),)),
        ("tile", (2,), ((0,),)),
        ("tile", (0, 2), (2,)),
        ("tile", (2, 3), ((),)),
        ("repeat", (3,), (2,)),
        ("repeat", (2, 3), (2,)),
        ("repeat", (2, 3), (2, 0)),
        ("repeat", (2, 3), (3, -1)),
        ("repeat", (2, 3), ([1, 0, 2], 1)),
        ("repeat", (2, 3), (np.array([2, 1]), -2)),
        ("repeat", (2, 2), ([1, 0, 2, 1],)),
        ("repeat", (2, 3), ([2], 1)),
        ("repeat", (), (3,)),
        ("repeat", (2, 3), (0, 1)),
        ("repeat", (0, 3), (2, 0)),
    ]
    return [one(name, shape, *arguments) for name, shape, arguments in table]


def _padded() -> list[Row]:
    rows = []
    for shape, width in [
        ((4,), 2),
        ((3, 4), (1, 2)),
        ((3, 4), ((1, 0), (0, 2))),
        ((2, 3), ((1,), (2,))),
        ((2, 3, 2), (1,)),
        ((3,), ((7, 9),)),
        ((2, 3), ((0, 5), (7, 0))),
        ((1, 2), ((2, 2), (0, 0))),
        ((2, 3), np.array([[0, 1], [2, 0]])),
        ((2, 3), 0),
    ]:
        for mode in ("constant", "edge", "reflect", "symmetric", "wrap"):
            rows.append(one("pad", shape, width, mode=mode))
    rows += [
        one("pad", (3, 2), 1),
        one("pad", (), 0),
        one("pad", (0, 2), ((1, 1), (0, 1))),
        one("pad", (2, 3), 1, constant_values=2.5),
        one("pad", (2, 3), ((1, 2), (0, 1)), constant_values=((1, 2), (3, 4))),
    ]
    return rows


def _joined() -> list[Row]:
    return [
        many("append", (2, 3), (2,), in_list=False),
        many("append", (2, 3), (1, 3), in_list=False, axis=0),
        many("append", (2, 3), (2, 2), in_list=False, axis=-1),
        many("vstack", (3,), (2, 3), (3,)),
        many("vstack", (2, 3)),
        many("vstack", (), ()),
        many("hstack", (3,), (0,), (2,)),
        many("hstack", (2, 3), (2, 1)),
        many("hstack", (), ()),
        many("dstack", (3,), (3,)),
        many("dstack", (2, 3), (2, 3, 2)),
        many("column_stack", (3,), (3, 2), (3,)),
        many("broadcast_arrays", (3, 1), (4,), (), in_list=False),
        many("broadcast_arrays", (2, 3), in_list=False),
        many("broadcast_arrays", (0, 3), (1,), in_list=False),
        many("atleast_1d", (), (2,), in_list=False),
        many("atleast_2d", (), (2,), (1, 2, 3), in_list=False),
        many("atleast_3d", (2,), (1, 2), in_list=False),
        *(
            many("meshgrid", *shapes, in_list=False, sparse=sparse, indexing=indexing)
            for shapes in ([(2,), (3,), (2,)], [(3,)], [(), (2,)], [(0,), (2,)])
            for sparse in (False, True)
            for indexing in ("xy", "ij")
        ),
    ]


def _diagonals() -> list[Row]:
    rows = [one("diag", (3,), k) for k in (0, 1, -2)]
    rows += [one("diag", (3, 4), k) for k in (0, 1, -2, 5)]
    rows += [one("diag", (0,)), one("diagflat", (2, 2)), one("diagflat", (), 1)]
    for shape in ((3, 3), (2, 4), (2, 3, 2), (4,), (0, 2)):
        rows += [one(name, shape, k) for name in ("tril", "triu") for k in (0, 1, -1)]
    rows += [
        one("diagonal", (3, 3)),
        one("diagonal", (3, 4), 1),
        one("diagonal", (2, 3, 4), -1, 0, 2),
        one("diagonal", (2, 3, 4), 0, -1, 1),
        one("diagonal", (2, 2), 7),
    ]
    for shape, offset, axis1, axis2 in [
        ((2, 3, 4), -1, 0, 2),
        ((3, 4), 2, 1, 0),
        ((3, 3), 0, 0, 1),
    ]:
        taken = np.diagonal(np.empty(shape), offset, axis1, axis2).shape

        def expected(v: Any, place: Any = (shape, offset, axis1, axis2)) -> Any:
            numbers = np.arange(np.prod(place[0])).reshape(place[0])
            out = np.zeros(place[0], v.dtype)
            out.reshape(-1)[np.diagonal(numbers, *place[1:])] = v
            return out

        rows.append(
            Row(
                "on_diagonal",
                f"{shape} {offset} {axis1} {axis2}",
                lambda v, place=(shape, offset, axis1, axis2): registry["on_diagonal"](v, *place),
                expected,
                distinct(taken),
            )
        )
    return rows


def _edited() -> list[Row]:
    def inserted(shape: Shape, obj: Any, values: Shape, axis: int | None) -> Row:
        return Row(
            "insert",
            f"{shape} {obj} {values} {axis}",
            lambda x, v: tg.insert(x, obj, v, axis),
            lambda x, v: np.insert(x, obj, v, axis),
            distinct(shape, values),
        )

    return [
        one("delete", (4,), 1),
        one("delete", (3, 4), [0, -1], axis=1),
        one("delete", (3, 4), slice(0, 2), axis=0),
        one("delete", (2, 2), 3),
        one("delete", (3,), np.array([True, False, True])),
        inserted((4,), 1, (), None),
        inserted((4,), [1, 1, 4], (3,), 0),
        inserted((2, 2), 3, (2,), None),
        inserted((3, 4), 1, (4,), 0),
        inserted((3, 4), -1, (3,), 1),
        inserted((3, 4), [0, 2], (3, 2), -1),
        inserted((3, 4), [0, 2], (), 1),
        inserted((3, 4), [1], (3, 1), 1),
        inserted((2, 4), slice(0, 2), (4,), 0),
    ]


def _alike() -> list[Row]:
    rows = []
    for name in ("zeros_like", "ones_like"):
        for options in ({}, {"dtype": np.float32}, {"shape": (4,)}, {"dtype": int, "shape": 2}):
            rows.append(one(name, (2, 3), smooth=False, **options))
    for value, options in ((2.5, {}), ([1, 2, 3], {}), (7, {"dtype": np.int8, "shape": (2,)})):
        rows.append(one("full_like", (2, 3), value, smooth=False, **options))
    for fill in ((), (3,), (2, 1)):
        rows.append(
            Row(
                "full_like",
                f"filled with {fill}",
                lambda a, v: tg.full_like(a, v, dtype=v.dtype),
                lambda a, v: np.full_like(a, v, dtype=v.dtype),
                together(integers((2, 3)), distinct(fill)),
            )
        )
    rows.append(
        Row(
            "empty_like",
            "(0, 3)",
            tg.empty_like,
            np.empty_like,
            distinct((0, 3)),
            smooth=False,
        )
    )
    return rows


ROWS: list[Row] = [
    *_rearranged(),
    *_repeated(),
    *_padded(),
    *_joined(),
    *_diagonals(),
    *_edited(),
    *_alike(),
]
