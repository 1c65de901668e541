"""Makes keras_functions.npz with Keras: ``python tests/golden/make_keras_functions.py``.

Activations, regularizers, constraints, losses and metrics in float64. The functions are Keras'
side; the live tests call them as well.
"""

from __future__ import annotations

import itertools
import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

try:
    from golden.make_golden import FOLDER, Arrays, Case
except ImportError:  # run as a script
    from make_golden import FOLDER, Arrays, Case

Config = dict[str, Any]

ACTIVATIONS: list[Config] = [
    *(
        {"name": name}
        for name in (
            "celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu",
            "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu",
            "relu6", "selu", "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign",
            "tanh", "tanh_shrink", "glu",
        )
    ),
    {"name": "gelu", "approximate": True},
    {"name": "elu", "alpha": 0.3},
    {"name": "leaky_relu", "negative_slope": 0.05},
    {"name": "softmax", "axis": 1},
    *(
        {"name": "relu", "negative_slope": slope, "max_value": top, "threshold": threshold}
        for slope, top, threshold in itertools.product((0.0, 0.3), (None, 2.5), (0.0, 0.7))
    ),
]  # fmt: skip
REGULARIZERS: list[Config] = [
    {"name": "L1", "l1": 0.3},
    {"name": "L2", "l2": 0.7},
    {"name": "L1L2", "l1": 0.3, "l2": 0.7},
    {"name": "L1L2"},
    {"name": "OrthogonalRegularizer", "factor": 0.4},
    {"name": "OrthogonalRegularizer", "factor": 0.4, "mode": "columns"},
]
CONSTRAINTS: list[Config] = [
    {"name": "NonNeg"},
    {"name": "MaxNorm"},
    {"name": "MaxNorm", "max_value": 1.3, "axis": 1},
    {"name": "UnitNorm"},
    {"name": "UnitNorm", "axis": 1},
    {"name": "MinMaxNorm", "min_value": 1.5, "max_value": 2.0, "rate": 0.7},
    {"name": "MinMaxNorm", "min_value": 1.5, "max_value": 2.0, "axis": 1},
]
# Each loss, and what its targets and predictions are.
LOSSES: list[Config] = [
    {"name": "MeanSquaredError", "data": "numbers"},
    {"name": "MeanAbsoluteError", "data": "numbers"},
    {"name": "MeanAbsolutePercentageError", "data": "numbers"},
    {"name": "MeanSquaredLogarithmicError", "data": "numbers"},
    {"name": "CosineSimilarity", "data": "numbers"},
    {"name": "CosineSimilarity", "data": "numbers", "axis": 0},
    {"name": "Huber", "data": "numbers"},
    {"name": "Huber", "data": "numbers", "delta": 0.4},
    {"name": "LogCosh", "data": "numbers"},
    {"name": "KLDivergence", "data": "soft"},
    {"name": "Poisson", "data": "positive"},
    {"name": "Hinge", "data": "labels"},
    {"name": "Hinge", "data": "signs"},
    {"name": "SquaredHinge", "data": "labels"},
    {"name": "CategoricalHinge", "data": "one_hot"},
    {"name": "BinaryCrossentropy", "data": "labels"},
    {"name": "BinaryCrossentropy", "data": "labels", "label_smoothing": 0.2},
    {"name": "BinaryCrossentropy", "data": "labels", "from_logits": True, "axis": 0},
    {"name": "CategoricalCrossentropy", "data": "one_hot"},
    {"name": "CategoricalCrossentropy", "data": "soft", "label_smoothing": 0.2},
    {"name": "CategoricalCrossentropy", "data": "soft", "from_logits": True},
    {"name": "CategoricalCrossentropy", "data": "soft", "axis": 1},
    {"name": "CategoricalCrossentropy", "data": "soft", "axis": 1, "from_logits": True},
    {"name": "SparseCategoricalCrossentropy", "data": "classes"},
    {"name": "SparseCategoricalCrossentropy", "data": "classes", "from_logits": True},
    {"name": "SparseCategoricalCrossentropy", "data": "classes", "ignore_class": 2},
    {"name": "SparseCategoricalCrossentropy", "data": "classes", "ignore_class": 2,
     "from_logits": True},
]  # fmt: skip
REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)
# Both, one, or none of weights and mask; a mask is of steps, and there are steps where there is one
WEIGHTED = [(None, False), (None, True), ("steps", False), ("steps", True), ("last", True)]
METRICS: list[Config] = [
    *(c for c in LOSSES if c["name"] not in ("Huber", "LogCosh") and c.get("axis") is None),
    {"name": "LogCoshError", "data": "numbers"},
    {"name": "RootMeanSquaredError", "data": "numbers"},
    {"name": "Accuracy", "data": "same"},
    {"name": "BinaryAccuracy", "data": "labels"},
    {"name": "BinaryAccuracy", "data": "labels", "threshold": 0.3},
    {"name": "CategoricalAccuracy", "data": "one_hot"},
    {"name": "SparseCategoricalAccuracy", "data": "classes"},
    {"name": "TopKCategoricalAccuracy", "data": "one_hot", "k": 2},
    {"name": "SparseTopKCategoricalAccuracy", "data": "classes", "k": 2},
    {"name": "SparseTopKCategoricalAccuracy", "data": "ids", "k": 2, "from_sorted_ids": True},
]


def data(kind: str, logits: bool, shape: tuple[int, ...], rng: np.random.Generator) -> Arrays:
    """Targets and predictions of a kind."""
    classes = shape[-1]
    scores = 2 * rng.standard_normal(shape)
    soft = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True) * 0.9  # not quite one
    picked = rng.integers(0, classes, shape[:-1])
    other = rng.random(shape)
    y_pred = scores if logits else soft
    if kind == "numbers":
        return {"y_true": rng.standard_normal(shape), "y_pred": scores}
    if kind == "positive":
        return {"y_true": 3 * other, "y_pred": soft}
    if kind == "soft":
        return {"y_true": other / other.sum(axis=-1, keepdims=True), "y_pred": y_pred}
    if kind == "one_hot":
        return {"y_true": np.eye(classes)[picked], "y_pred": y_pred}
    if kind == "classes":
        return {"y_true": picked.astype(float), "y_pred": y_pred}
    if kind == "ids":
        order = np.argsort(-scores, axis=-1)
        return {"y_true": picked.astype(float), "y_pred": order.astype(float)}
    if kind == "same":
        return {
            "y_true": rng.integers(0, 2, shape) * 1.0,
            "y_pred": rng.integers(0, 2, shape) * 1.0,
        }
    signs = rng.integers(0, 2, shape) * 1.0
    return {"y_true": 2 * signs - 1 if kind == "signs" else signs, "y_pred": y_pred}


def batch(
    config: Config, shape: tuple[int, ...], weighted: tuple[str | None, bool], rng: Any
) -> Arrays:
    """Targets, predictions, and the weights and the mask of a batch, if it has any."""
    given = data(config["data"], bool(config.get("from_logits")), shape, rng)
    weights, masked = weighted
    if weights is not None:
        given["weights"] = rng.random(shape[:-1] + ((1,) if weights == "last" else ()))
    if masked:
        given["mask"] = (rng.random(shape[:-1]) < 0.7).astype(float)
        given["mask"][0, 0] = 1
    return given


def options(config: Config) -> Config:
    """What of a configuration goes to the object."""
    return {k: v for k, v in config.items() if k not in ("kind", "name", "data")}


# Keras' side: from a configuration and the arrays given to the arrays expected


@contextmanager
def keras_in_float64() -> Iterator[Any]:
    """Keras on PyTorch, computing in float64."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras
    from keras.src.backend.common import dtypes

    before, table = keras.config.floatx(), dtypes.BIT64_TO_BIT32_DTYPE
    rounded = table["float64"]
    keras.config.set_floatx("float64")
    table["float64"] = "float64"  # else some operations round to single precision on PyTorch
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield keras
    finally:
        keras.config.set_floatx(before)
        table["float64"] = rounded


def _leaf(array: np.ndarray) -> Any:
    import torch

    return torch.tensor(array, dtype=torch.float64, requires_grad=True)


def _array(tensor: Any) -> np.ndarray:
    return tensor.detach().numpy()


def activation(config: Config, given: Arrays) -> Arrays:
    """The result, and the gradient with the cotangent g."""
    with keras_in_float64() as keras:
        x = _leaf(given["x"])
        if config["name"] == "hard_sigmoid":  # PyTorch's own one has a slope in single precision
            out = keras.activations.relu6(x + 3) / 6
        else:
            out = getattr(keras.activations, config["name"])(x, **options(config))
        out.backward(_leaf(given["g"][..., : out.shape[-1]]).detach())
        return {"out": _array(out), "d_x": _array(x.grad)}


def regularizer(config: Config, given: Arrays) -> Arrays:
    """The penalty and its gradient."""
    with keras_in_float64() as keras:
        x = _leaf(given["x"])
        out = getattr(keras.regularizers, config["name"])(**options(config))(x)
        if not out.requires_grad:
            return {"out": _array(out)}
        out.backward()
        return {"out": _array(out), "d_x": _array(x.grad)}


def constraint(config: Config, given: Arrays) -> Arrays:
    """The values within the bounds."""
    with keras_in_float64() as keras:
        w = _leaf(given["x"]).detach()
        return {"out": _array(getattr(keras.constraints, config["name"])(**options(config))(w))}


def loss(config: Config, given: Arrays) -> Arrays:
    """The loss, and the gradient in y_pred; with the cotangent g, if it isn't a number."""
    with keras_in_float64() as keras:
        from keras.src import backend

        made = getattr(keras.losses, config["name"])(**options(config))
        y_pred = _leaf(given["y_pred"])
        if "mask" in given:
            backend.set_keras_mask(y_pred, keras.ops.convert_to_tensor(given["mask"] > 0))
        out = made(given["y_true"], y_pred, sample_weight=given.get("weights"))
        g = given["g"][: out.numel()].reshape(tuple(out.shape))
        out.backward(_leaf(g).detach())
        return {"out": _array(out), "d_y_pred": _array(y_pred.grad)}


def metric(config: Config, given: Arrays) -> Arrays:
    """The results after each of two batches, and after the second one alone."""
    with keras_in_float64() as keras:
        from keras.src import backend

        made = getattr(keras.metrics, config["name"])(**options(config))
        results = []
        for number in (0, 1, None, 1):
            if number is None:
                made.reset_state()
                continue
            one = {n[:-1]: a for n, a in given.items() if n.endswith(str(number))}
            y_pred = keras.ops.convert_to_tensor(one["y_pred"])
            if "mask" in one:
                backend.set_keras_mask(y_pred, keras.ops.convert_to_tensor(one["mask"] > 0))
            made.update_state(one["y_true"], y_pred, sample_weight=one.get("weights"))
            results.append(float(made.result()))
        return {"out": np.array(results)}


SIDES = {
    "activation": activation,
    "regularizer": regularizer,
    "constraint": constraint,
    "loss": loss,
    "metric": metric,
}


# Cases


def drawn(kind: str, seed: int) -> Iterator[tuple[Config, Arrays]]:
    """Every configuration of a kind, and arrays for it."""
    rng = np.random.default_rng(seed)
    if kind == "activation":
        for config in ACTIVATIONS:
            shape = (2, 3, 4) if config["name"] == "glu" else (2, 3, 7)
            # 0 and halves of small integers are where pieces meet
            x = 3 * rng.standard_normal(shape)
            x[0, 0, :3] = 30, -30, -1.1
            yield config, {"x": x, "g": rng.standard_normal(shape)}
    elif kind in ("regularizer", "constraint"):
        for config in REGULARIZERS if kind == "regularizer" else CONSTRAINTS:
            yield config, {"x": rng.standard_normal((5, 3))}
    elif kind == "loss":
        for i, config in enumerate(LOSSES):
            for j, weighted in enumerate(WEIGHTED):
                if "axis" in config and weighted != (None, False):
                    continue
                reduction = REDUCTIONS[(i + j) % len(REDUCTIONS)]
                given = batch(config, (3, 2, 5), weighted, rng)
                given["g"] = rng.standard_normal(15)
                yield {**config, "reduction": reduction}, given
    else:
        for i, config in enumerate(METRICS):
            given = {}
            for number, size in enumerate((3, 7)):
                one = batch(config, (size, 2, 5), WEIGHTED[(i + number) % len(WEIGHTED)], rng)
                if config["data"] == "same":
                    one.pop("mask", None)
                    one.pop("weights", None)
                given.update({f"{n}{number}": a for n, a in one.items()})
            yield config, given


def made(seed: int) -> Iterator[Case]:
    """Cases of every kind."""
    for kind, side in SIDES.items():
        for config, given in drawn(kind, seed):
            yield {"kind": kind, **config}, given, side(config, given)


def save(name: str, cases: list[Case]) -> None:
    """Writes the cases into <name>.npz, and which Keras made them."""
    with keras_in_float64() as keras:
        version = f"{keras.__version__} on {keras.backend.backend()}"
    index = [
        [config, *({n: a.shape for n, a in arrays.items()} for arrays in both)]
        for config, *both in cases
    ]
    numbers = [a.ravel() for _, *both in cases for arrays in both for a in arrays.values()]
    np.savez_compressed(
        FOLDER / f"{name}.npz",
        keras=np.array(version),
        index=np.array(json.dumps(index)),
        numbers=np.concatenate(numbers),
    )


if __name__ == "__main__":
    save("keras_functions", list(made(seed=8)))
