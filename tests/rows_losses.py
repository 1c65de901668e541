"""Rows of the op table: the primitives of losses."""

from __future__ import annotations

from typing import Any

import numpy as np
from operation_table import UNARY, Inputs, Row, Shape, distinct

from tinygrad_rnn.core.primitive import registry


def shares(*shapes: Shape) -> Inputs:
    """Values in (0.1, 0.9)."""
    return lambda rng: [x / 5 + 0.5 for x in distinct(*shapes)(rng)]


def _huber(e: Any, delta: float) -> Any:
    size = np.abs(e)
    return np.where(size < delta, 0.5 * e * e, delta * (size - 0.5 * delta))


def _rows() -> list[Row]:
    rows = []
    for shape in UNARY:
        rows += [
            Row(
                "huber",
                f"{shape} delta={delta}",
                lambda e, d=delta: registry["huber"](e, d),
                lambda e, d=delta: _huber(e, d),
                distinct(shape),
                exact=False,
            )
            for delta in (0.52, 3.0)
        ]
        rows.append(Row("clamped_log", f"{shape}", registry["clamped_log"], np.log, shares(shape)))
        rows.append(
            Row(
                "binary_cross_entropy",
                f"{shape}",
                registry["binary_cross_entropy"],
                lambda x, t: -t * np.log(x) - (1 - t) * np.log(1 - x),
                shares(shape, shape),
                exact=False,
            )
        )
        rows.append(
            Row(
                "sigmoid_cross_entropy",
                f"{shape}",
                registry["sigmoid_cross_entropy"],
                lambda x, t: np.log(1 + np.exp(x)) - x * t,
                distinct(shape, shape),
                exact=False,
            )
        )
    return rows


ROWS: list[Row] = _rows()
