"""Rows of the op table: the loss of classifiers, and the normalisation of layers."""

from __future__ import annotations

from typing import Any

import numpy as np
from operation_table import Row, Shape, distinct

import tinygrad_rnn as tg
from tinygrad_rnn.core.primitive import registry

CLASSES: list[tuple[Shape, int]] = [
    ((4,), 0),
    ((3, 4), -1),
    ((3, 4), 1),
    ((2, 3, 2), 1),
    ((2, 1), 1),
    ((0, 3), 1),
]
NORMALISED: list[tuple[Shape, Any]] = [
    ((4,), -1),
    ((3, 4), 1),
    ((3, 4), -2),
    ((2, 3, 2), (-2, -1)),
    ((2, 2), None),
    ((2, 3), ()),
    ((0, 3), -1),
]
EPS = 0.1  # of the size of the data, so that it counts


def _softmax(x: Any, axis: int) -> Any:
    return np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True)


def _one_hot(target: Any, shape: Shape, axis: int) -> Any:
    classes = np.arange(shape[axis]).reshape(
        [-1 if n == axis % len(shape) else 1 for n in range(len(shape))]
    )
    return (classes == np.expand_dims(target, axis)).astype(float)


def _rms_norm(x: Any, *weight: Any, axis: Any = -1) -> Any:
    out = x / np.sqrt((x**2).mean(axis=axis, keepdims=True) + EPS)
    return out * weight[0] if weight else out


def _layer_norm(x: Any, *affine: Any, axis: Any = -1) -> Any:
    variance = x.var(axis=axis, keepdims=True)
    out = (x - x.mean(axis=axis, keepdims=True)) / np.sqrt(variance + EPS)
    return out * affine[0] + affine[1] if affine else out


def _classes() -> list[Row]:
    rows = []
    for shape, axis in CLASSES:
        others = shape[: axis % len(shape)] + shape[axis % len(shape) + 1 :]
        target = np.random.default_rng(1).integers(0, shape[axis], others)
        hot = _one_hot(target, shape, axis)
        label = f"{shape} axis={axis}"
        rows.append(
            Row(
                "class_cross_entropy",
                label,
                lambda x, t=target, a=axis: registry["class_cross_entropy"](x, t, a),
                lambda x, h=hot, a=axis: -(h * np.log(_softmax(x, a))).sum(axis=a),
                distinct(shape),
                exact=False,
            )
        )
        rows.append(
            Row(
                "softmax_minus_target",
                label,
                lambda s, x, t=target, a=axis: registry["softmax_minus_target"](s, x, t, a),
                lambda s, x, h=hot, a=axis: np.expand_dims(s, a) * (_softmax(x, a) - h),
                distinct(others, shape),
                exact=False,
            )
        )
    return rows


def _normalised() -> list[Row]:
    rows = []
    for shape, axis in NORMALISED:
        for operation, ours, theirs in [
            ("layer_norm", tg.layer_norm, _layer_norm),
            ("rms_norm", tg.rms_norm, _rms_norm),
            # its share of the derivative is defined by the pair
            ("scaled_to_unit_rms", tg.rms_norm, _rms_norm),
        ]:
            rows.append(
                Row(
                    operation,
                    f"{shape} axis={axis}",
                    lambda x, f=ours, a=axis: f(x, axis=a, eps=EPS),
                    lambda x, f=theirs, a=axis: f(x, axis=a),
                    distinct(shape),
                    exact=False,
                )
            )
        rows.append(
            Row(
                "inverse_rms",
                f"{shape} axis={axis}",
                lambda x, a=axis: registry["inverse_rms"](x, a, EPS),
                lambda x, a=axis: ((x**2).mean(axis=a, keepdims=True) + EPS) ** -0.5,
                distinct(shape),
                exact=False,
            )
        )
        rows.append(
            Row(
                "centred",
                f"{shape} axis={axis}",
                lambda x, a=axis: registry["centred"](x, a),
                lambda x, a=axis: x - x.mean(axis=a, keepdims=True),
                distinct(shape),
                exact=False,
            )
        )
    rows.append(
        Row(
            "layer_norm",
            "with weight and bias",
            lambda x, w, b: tg.layer_norm(x, w, b, eps=EPS),
            _layer_norm,
            distinct((2, 3, 4), (4,), (4,)),
            exact=False,
        )
    )
    rows.append(
        Row(
            "rms_norm",
            "with weight",
            lambda x, w: tg.rms_norm(x, w, (-2, -1), eps=EPS),
            lambda x, w: _rms_norm(x, w, axis=(-2, -1)),
            distinct((2, 3, 4), (3, 4)),
            exact=False,
        )
    )
    return rows


ROWS: list[Row] = [*_classes(), *_normalised()]
