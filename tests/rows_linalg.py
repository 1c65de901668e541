"""Rows of the op table: products, differences and linear algebra."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from operation_table import Inputs, Row, Shape, booleans, distinct, positive, together

import tinygrad_rnn as tg
from tinygrad_rnn import linalg


def same(name: str, label: str, draw: Inputs, use: Callable[..., Any], **options: Any) -> Row:
    """`use` is given the library's function, or NumPy's, and the arrays."""
    spaces = (tg, np) if hasattr(np, name) else (linalg, np.linalg)
    ours, theirs = (getattr(space, name) for space in spaces)
    return Row(
        name, label, lambda *xs: use(ours, *xs), lambda *xs: use(theirs, *xs), draw, **options
    )


def regular(*shapes: Shape) -> Inputs:
    """Matrices far from singular ones."""
    return lambda rng: [x / 2 + 2 * np.eye(*x.shape[-2:]) for x in distinct(*shapes)(rng)]


def about(name: str, inexact: bool, cases: list[tuple[tuple[Shape, ...], dict[str, Any]]]) -> Any:
    return [
        same(
            name,
            f"{shapes} {options}",
            distinct(*shapes),
            lambda f, *xs, options=options: f(*xs, **options),
            exact=not inexact,
        )
        for shapes, options in cases
    ]


def pairs(name: str, inexact: bool, *cases: tuple[Shape, Shape]) -> list[Row]:
    return about(name, inexact, [(shapes, {}) for shapes in cases])


EINSUM: list[tuple[str, list[Shape]]] = [
    ("ij,jk->ik", [(2, 3), (3, 4)]),
    ("ij,jk", [(2, 3), (3, 4)]),
    ("ij,jk->ki", [(2, 3), (3, 4)]),
    ("ba,b", [(2, 3), (2,)]),
    ("i,i->", [(3,), (3,)]),
    ("i,i", [(3,), (3,)]),
    ("i,j->ji", [(3,), (2,)]),
    ("ij->", [(2, 3)]),
    ("ij->j", [(2, 3)]),
    ("ij->ji", [(2, 3)]),
    ("ji", [(2, 3)]),
    ("ij", [(2, 3)]),
    ("ii", [(3, 3)]),
    ("ii->i", [(3, 3)]),
    ("iji->j", [(2, 3, 2)]),
    ("iji->ij", [(2, 3, 2)]),
    ("iii->", [(3, 3, 3)]),
    ("iijj->ij", [(2, 2, 3, 3)]),
    ("ii,ij->j", [(2, 2), (2, 3)]),
    ("ij,kl->", [(2, 3), (2, 2)]),
    ("ij,k->i", [(2, 3), (4,)]),
    ("bij,bjk->bik", [(2, 2, 3), (2, 3, 2)]),
    ("bij,jk->kbi", [(2, 2, 3), (3, 2)]),
    ("...", [(2, 3)]),
    ("...i->...", [(2, 3)]),
    ("...i->i...", [(2, 3, 4)]),
    ("i...->...i", [(2, 3)]),
    ("...ij,...jk->...ik", [(2, 1, 2, 3), (3, 3, 2)]),
    ("...ij,...jk", [(2, 2, 3), (3, 2)]),
    ("...,...", [(2, 3), (3,)]),
    ("i...,i...->...", [(2, 3), (2, 1, 3)]),
    ("ij,kj->ik", [(2, 1), (3, 4)]),
    ("ij,ij->ij", [(2, 1), (1, 3)]),
    ("ij,jk->ik", [(2, 3), (1, 4)]),
    (",i->i", [(), (3,)]),
    (",", [(), ()]),
    ("->", [()]),
    ("i,i->i", [(1,), (1,)]),
    ("ij,jk->ik", [(0, 3), (3, 2)]),
    ("ij,jk->ik", [(2, 0), (0, 3)]),
    ("ij,jk,kl->il", [(2, 3), (3, 2), (2, 2)]),
    ("i,j,k->kij", [(2,), (3,), (2,)]),
    ("i,i,i->", [(3,), (3,), (3,)]),
    ("ij,j,ik,k->i", [(2, 3), (3,), (2, 2), (2,)]),
    ("...i,i...,ij->j", [(2,), (2,), (2, 3)]),
    (" i j , j k -> i k ", [(2, 3), (3, 2)]),
]


def _einsum() -> list[Row]:
    rows = [
        same(
            "einsum",
            f"{text} {shapes}",
            distinct(*shapes),
            lambda f, *xs, text=text: f(text, *xs),
            exact=False,
        )
        for text, shapes in EINSUM
    ]
    for optimize in (False, True, "optimal", ["einsum_path", (0, 2), (0, 1)]):
        rows.append(
            same(
                "einsum",
                f"optimize={optimize}",
                distinct((2, 3), (3, 2), (2, 4)),
                lambda f, *xs, optimize=optimize: f("ij,jk,kl->il", *xs, optimize=optimize),
                exact=False,
            )
        )
    for label, shapes, use in [
        ("lists", [(2, 3), (3, 4)], lambda f, a, b: f(a, [0, 1], b, [1, 2], [2, 0])),
        ("lists, implicit", [(2, 3), (3, 4)], lambda f, a, b: f(a, [30, 1], b, [1, 2])),
        ("lists, ellipsis", [(2, 3), (3,)], lambda f, a, b: f(a, [..., 0], b, [0], [...])),
        ("list, diagonal", [(3, 3)], lambda f, a: f(a, [5, 5], [5])),
        ("an array twice", [(2, 3)], lambda f, a: f("ij,kj->ik", a, a)),
    ]:
        rows.append(same("einsum", label, distinct(*shapes), use, exact=False))
    for label, text, shapes in [
        ("loop", "ij,jk->ik", [(2, 3), (3, 2)]),
        ("matmul", "bij,kjb->kbi", [(2, 9, 13), (11, 13, 2)]),
    ]:
        rows.append(
            Row(
                "contract",
                label,
                lambda *xs, text=text: tg.einsum(text, *xs),
                lambda *xs, text=text: np.einsum(text, *xs),
                distinct(*shapes),
                exact=False,
            )
        )
    rows.append(
        Row(
            "diagonals",
            "iji->ij",
            lambda x: tg.einsum("iji->ij", x),
            lambda x: np.einsum("iji->ij", x),
            distinct((2, 3, 2)),
        )
    )

    def onto(g: Any) -> Any:
        out = np.zeros((2, 3, 2))
        out[[0, 1], :, [0, 1]] = g
        return out.astype(g.dtype)

    rows.append(Row("onto_diagonals", "iji->ij", lambda g: _onto(g), onto, distinct((2, 3))))
    return rows


def _onto(g: Any) -> Any:
    from tinygrad_rnn.core.primitive import registry

    return registry["onto_diagonals"](g, "iji->ij", (2, 3, 2))


def _products() -> list[Row]:
    rows = [
        *pairs(
            "vdot", True, ((3,), (3,)), ((2, 3), (3, 2)), ((), ()), ((1,), (1, 1)), ((0,), (0,))
        ),
        *pairs(
            "inner",
            True,
            ((3,), (3,)),
            ((2, 3), (3,)),
            ((3,), (2, 3)),
            ((2, 3), (4, 3)),
            ((2, 2, 3), (2, 4, 3)),
            ((), (2, 3)),
            ((2,), ()),
            ((), ()),
            ((0, 3), (2, 3)),
        ),
        *pairs(
            "outer", False, ((3,), (2,)), ((2, 2), (3,)), ((), (2,)), ((0,), (2,)), ((1,), (1,))
        ),
        *pairs(
            "kron",
            False,
            ((3,), (2,)),
            ((2, 3), (2, 2)),
            ((2,), (2, 3)),
            ((2, 1, 2), (3, 2)),
            ((), (2, 2)),
            ((2,), ()),
            ((0,), (2,)),
        ),
        *about(
            "tensordot",
            True,
            [
                (((2, 3), (2, 3)), {}),
                (((2, 3), (3, 4)), {"axes": 1}),
                (((2,), (3, 2)), {"axes": 0}),
                (((2, 3, 4), (4, 3, 5)), {"axes": ([1, 2], [1, 0])}),
                (((2, 3, 4), (3, 2)), {"axes": ((-2, 0), (0, 1))}),
                (((2, 3), (2,)), {"axes": (0, 0)}),
                (((), ()), {"axes": 0}),
                (((0, 3), (3, 2)), {"axes": 1}),
                (((2, 0), (0, 3)), {"axes": 1}),
            ],
        ),
        *about(
            "cross",
            False,
            [
                (((3,), (3,)), {}),
                (((2, 3), (3,)), {}),
                (((2, 1, 3), (4, 3)), {}),
                (((3, 2), (3, 2)), {"axis": 0}),
                (((3, 2), (2, 3)), {"axisa": 0, "axisb": 1, "axisc": 0}),
                (((0, 3), (3,)), {}),
            ],
        ),
    ]
    for mode in ("full", "same", "valid"):
        for sizes in ((5, 3), (3, 5), (4, 2), (2, 5), (3, 3), (1, 1), (4, 4), (1, 4)):
            shapes = tuple((n,) for n in sizes)
            rows += about("convolve", True, [(shapes, {"mode": mode})])
            rows += about("correlate", True, [(shapes, {"mode": mode})])
    return rows


def _along_an_axis() -> list[Row]:
    rows = [
        *about(
            "diff",
            False,
            [
                (((5,),), {}),
                (((3, 4),), {"axis": 0}),
                (((3, 4),), {"n": 2}),
                (((3, 4),), {"n": 0}),
                (((2, 4, 3),), {"axis": -2, "n": 3}),
                (((2, 3),), {"n": 5}),
                (((1,),), {}),
                (((0, 3),), {}),
                (((3,),), {"prepend": 0.5, "append": np.ones(2)}),
                (((2, 3),), {"axis": 0, "prepend": 0.5}),
            ],
        ),
        same(
            "diff",
            "differentiable ends",
            distinct((2, 3), (2, 1), ()),
            lambda f, a, b, c: f(a, prepend=b, append=c),
        ),
        same("diff", "booleans", booleans((5,)), lambda f, a: f(a), smooth=False),
        *about(
            "trapezoid",
            True,
            [
                (((5,),), {}),
                (((3, 4),), {"dx": 0.5}),
                (((3, 4),), {"axis": 0}),
                (((3, 4),), {"x": np.array([0.0, 1.0, 3.0]), "axis": 0}),
                (((1,),), {}),
                (((3, 0),), {}),
            ],
        ),
        same(
            "trapezoid",
            "differentiable x",
            distinct((2, 3), (3,)),
            lambda f, y, x: f(y, x),
            exact=False,
        ),
        same(
            "trapezoid",
            "x of two axes",
            distinct((3, 2), (3, 2)),
            lambda f, y, x: f(y, x, axis=0),
            exact=False,
        ),
    ]
    uneven = np.array([0.0, 0.5, 2.0, 3.0])
    for shape, spacings, options in [
        ((4,), (), {}),
        ((4,), (0.5,), {}),
        ((4,), (uneven,), {}),
        ((4,), (np.arange(4.0) / 2,), {}),
        ((3, 4), (), {}),
        ((3, 4), (2.0,), {}),
        ((3, 4), (2.0, uneven), {}),
        ((3, 4), (), {"axis": 1}),
        ((3, 4), (uneven,), {"axis": -1}),
        ((4, 3), (uneven,), {"axis": 0}),
        ((3, 4, 3), (0.5, 2.0), {"axis": (2, 0)}),
        ((3, 2), (), {"axis": (1, 0)}),
    ]:
        for edge in (1, 2) if min(shape) > 2 else (1,):
            rows.append(
                same(
                    "gradient",
                    f"{shape} {[np.asarray(s).tolist() for s in spacings]} {options} edge {edge}",
                    distinct(shape),
                    lambda f, x, spacings=spacings, options=options, edge=edge: f(
                        x, *spacings, edge_order=edge, **options
                    ),
                    exact=False,
                )
            )

    def with_places(f: Any, x: Any, steps: Any, edge: int) -> Any:
        return f(
            x, np.cumsum(np.exp(steps)) if f is np.gradient else _places(steps), edge_order=edge
        )

    for edge in (1, 2):
        rows.append(
            same(
                "gradient",
                f"differentiable coordinates edge {edge}",
                distinct((4,), (4,)),
                lambda f, x, steps, edge=edge: with_places(f, x, steps, edge),
                exact=False,
            )
        )
        rows.append(
            same(
                "gradient",
                f"differentiable spacing edge {edge}",
                together(distinct((3, 4)), positive(())),
                lambda f, x, h, edge=edge: f(x, h, axis=1, edge_order=edge),
                exact=False,
            )
        )
    return rows


def _places(steps: Any) -> Any:
    return np.matmul(np.tri(4, dtype=steps.dtype), np.exp(steps))


def _symmetric(x: Any) -> Any:
    return x @ np.swapaxes(x, -1, -2) + 3 * np.eye(x.shape[-1], dtype=x.dtype)


def _decompositions() -> list[Row]:
    rows = []
    for shape in ((3, 3), (1, 1), (2, 2, 2), (0, 2, 2), (2, 1, 3, 3)):
        for name in ("inv", "det", "slogdet"):
            rows.append(same(name, f"{shape}", regular(shape), lambda f, a: f(a)))
        for upper in (False, True):
            rows.append(
                same(
                    "cholesky",
                    f"{shape} upper={upper}",
                    distinct(shape),
                    lambda f, x, upper=upper: f(_symmetric(x), upper=upper),
                    exact=False,
                )
            )
        for n in (0, 1, 2, 3, 5, -1, -2):
            rows.append(
                same("matrix_power", f"{shape} {n}", regular(shape), lambda f, a, n=n: f(a, n))
            )
    for a, b in [
        ((3, 3), (3,)),
        ((3, 3), (3, 2)),
        ((2, 3, 3), (3,)),
        ((2, 3, 3), (3, 2)),
        ((2, 2, 2), (2, 2, 1)),
        ((2, 2), (3, 2, 2)),
        ((1, 2, 2), (3, 2, 2)),
        ((1, 1), (1,)),
        ((0, 2, 2), (2, 1)),
    ]:
        draw = together(regular(a), distinct(b))
        rows.append(same("solve", f"{a} {b}", draw, lambda f, a, b: f(a, b)))
    for shapes in (
        [(2, 3), (3, 2)],
        [(2, 5), (5, 2), (2, 4)],
        [(3,), (3, 2), (2, 4), (4,)],
        [(2, 3), (3, 1), (1, 4), (4, 2)],
        [(3,), (3,)],
    ):
        rows.append(
            same("multi_dot", f"{shapes}", distinct(*shapes), lambda f, *xs: f(xs), exact=False)
        )
    # singular, and no step of the numeric derivative matters: det is a polynomial
    for shape in ((3, 3), (2, 2)):
        rows.append(
            Row(
                "det",
                f"{shape} singular",
                lambda a: linalg.det(_of_rank_one(a)),
                lambda a: np.asarray(_cofactor_det(_of_rank_one(a))),
                distinct(shape),
                exact=False,
            )
        )
    return rows


def _of_rank_one(a: Any) -> Any:
    """Equal rows, as a function of all elements."""
    return a * 0 + a[0]


def _cofactor_det(a: Any) -> Any:
    """Leibniz' formula for a matrix with equal rows gives zero; its slopes are zero too."""
    return (a * 0).sum()


VECTOR_NORMS = (None, 2, 1, 3, 2.5, 0.5, -1.5, np.inf, -np.inf)
MATRIX_NORMS = (None, "fro", 1, -1, np.inf, -np.inf)


def _norms() -> list[Row]:
    rows = [
        same("norm", f"{shape} all", distinct(shape), lambda f, x: f(x), exact=False)
        for shape in ((3,), (2, 3), (2, 2, 2), (1,), ())
    ]
    for ord in VECTOR_NORMS:
        for shape, options in [
            ((4,), {}),
            ((3, 2), {"axis": 0}),
            ((2, 3), {"axis": -1, "keepdims": True}),
        ]:
            rows.append(
                same(
                    "norm",
                    f"{shape} {ord} {options}",
                    distinct(shape),
                    lambda f, x, ord=ord, options=options: f(x, ord, **options),
                )
            )
    for ord in MATRIX_NORMS:
        for shape, options in [
            ((3, 2), {}),
            ((3, 2, 2), {"axis": (0, 2)}),
            ((2, 3, 2), {"axis": (-1, 1), "keepdims": True}),
        ]:
            rows.append(
                same(
                    "norm",
                    f"{shape} matrix {ord} {options}",
                    distinct(shape),
                    lambda f, x, ord=ord, options=options: f(x, ord, **options),
                )
            )
    rows.append(same("norm", "0", distinct((3,)), lambda f, x: f(x, 0), smooth=False))
    for name, ord in (("euclidean", 2), ("power_norm", 3)):
        rows.append(
            same("norm", name, distinct((2, 3)), lambda f, x, ord=ord: f(x, ord, 1))._replace(
                operation=name
            )
        )
    return rows


ROWS: list[Row] = [
    *_einsum(),
    *_products(),
    *_along_an_axis(),
    *_decompositions(),
    *_norms(),
]
