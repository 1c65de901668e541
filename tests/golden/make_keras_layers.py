"""Makes keras_layers.npz with Keras: ``python tests/golden/make_keras_layers.py``.

Layers in float64: outputs, masks, penalties, gradients; and what they say of themselves. `outcome`
is Keras' side; the live tests call it as well.
"""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np

try:
    from golden.make_golden import Arrays, Case
    from golden.make_keras_functions import keras_in_float64, save
except ImportError:  # run as a script
    from make_golden import Arrays, Case
    from make_keras_functions import keras_in_float64, save

Config = dict[str, Any]


def row(
    layer: str, shape: list[int], *weights: list[int], ids: int = 0, mask: bool = False, **own: Any
) -> Config:
    """A layer, its options, the input's shape, the weights' shapes; integers below `ids`."""
    return {
        "layer": layer, "options": own, "shape": shape, "weights": weights, "ids": ids, "mask": mask
    }  # fmt: skip


SEQUENCES = [2, 5, 3]
LAYERS = [
    row("Dense", [2, 3], [3, 7], [7], units=7),
    row("Dense", SEQUENCES, [3, 7], [7], units=7, activation="tanh", mask=True),
    row("Dense", [2, 3, 5, 7], [7, 3], units=3, use_bias=False, activation="relu"),
    row("Dense", SEQUENCES, [3, 7], [7], units=7, kernel_regularizer={"class_name": "L2",
        "config": {"l2": 0.3}}, bias_regularizer={"class_name": "L1", "config": {"l1": 0.7}},
        activity_regularizer={"class_name": "L1L2", "config": {"l1": 0.2, "l2": 0.3}}),
    row("Dense", [2, 3], [3, 7], [7], units=7, kernel_initializer="he_normal",
        bias_initializer={"class_name": "Constant", "config": {"value": 0.5}},
        kernel_constraint={"class_name": "MaxNorm", "config": {"max_value": 1.5, "axis": 1}},
        bias_constraint="non_neg", trainable=False, name="head"),
    row("Activation", SEQUENCES, activation="tanh", mask=True),
    row("Activation", SEQUENCES, activation="softmax"),
    row("Activation", SEQUENCES, activation="linear", activity_regularizer="l2"),
    row("Embedding", [2, 5], [11, 3], ids=11, input_dim=11, output_dim=3),
    row("Embedding", [2, 5], [11, 3], ids=4, input_dim=11, output_dim=3, mask_zero=True),
    row("Embedding", [7], [11, 3], ids=11, input_dim=11, output_dim=3, mask_zero=True,
        embeddings_initializer="normal", embeddings_regularizer="L1L2",
        embeddings_constraint="unit_norm", activity_regularizer="l1"),
    row("Masking", SEQUENCES),
    row("Masking", SEQUENCES, mask_value=2.0),
    row("Masking", SEQUENCES, mask=True),
    row("Dropout", SEQUENCES, rate=0.5, mask=True),
    row("Dropout", SEQUENCES, rate=0.25, noise_shape=[None, 1, 3], seed=7),
    row("SpatialDropout1D", SEQUENCES, rate=0.25, seed=7, mask=True),
    row("SpatialDropout1D", SEQUENCES, rate=0.5),
    row("Flatten", SEQUENCES, mask=True),
    row("Flatten", [2, 3, 5, 7], data_format="channels_first"),
    row("Flatten", [2, 3]),
    row("Flatten", [3]),
    row("Reshape", SEQUENCES, target_shape=[3, 5]),
    row("Reshape", SEQUENCES, target_shape=[-1], mask=True),
    row("Reshape", SEQUENCES, target_shape=[1, -1, 5]),
    row("RepeatVector", [2, 3], n=7),
    row("Permute", SEQUENCES, dims=[2, 1], mask=True),
    row("Permute", [2, 3, 5, 7], dims=[3, 1, 2]),
    *(
        row(layer, SEQUENCES, mask=mask, **own)
        for layer in ("GlobalAveragePooling1D", "GlobalMaxPooling1D")
        for mask, own in (
            (False, {}), (True, {}), (True, {"keepdims": True}), (False, {"keepdims": True}),
            (False, {"data_format": "channels_first", "keepdims": True}),
        )
    ),
    row("GlobalAveragePooling1D", [2, 3, 5], mask=True, data_format="channels_first"),
    row("LayerNormalization", SEQUENCES, [3], [3], mask=True),
    row("LayerNormalization", SEQUENCES, [3], [3], axis=2, epsilon=0.1),
    row("LayerNormalization", SEQUENCES, [3], axis=[-1], center=False),
    row("LayerNormalization", SEQUENCES, [3], scale=False),
    row("LayerNormalization", SEQUENCES, center=False, scale=False),
    row("LayerNormalization", SEQUENCES, [5, 3], [5, 3], axis=[1, 2], gamma_regularizer="l2",
        beta_regularizer="l1", gamma_constraint="non_neg", beta_initializer="ones"),
    row("Identity", SEQUENCES, mask=True),
    row("ReLU", SEQUENCES, mask=True),
    row("ReLU", SEQUENCES, max_value=0.7, negative_slope=0.3, threshold=0.1),
    row("LeakyReLU", SEQUENCES, mask=True),
    row("LeakyReLU", SEQUENCES, negative_slope=0.1),
    row("ELU", SEQUENCES, alpha=0.7),
    row("Softmax", SEQUENCES),
    row("Softmax", SEQUENCES, axis=1),
]  # fmt: skip


def drawn(seed: int) -> list[tuple[Config, Arrays]]:
    """Every configuration, and arrays for it."""
    rng = np.random.default_rng(seed)
    found = []
    for config in LAYERS:
        shape = config["shape"]
        x = rng.integers(0, config["ids"], shape) * 1.0 if config["ids"] else rng.normal(size=shape)
        if config["layer"] == "Masking":
            x[0, 1] = x[1, 3, :2] = config["options"].get("mask_value", 0)
        given = {f"w{i}": rng.normal(size=size) for i, size in enumerate(config["weights"])}
        # long enough for every output
        given |= {"x": x, "g": rng.normal(size=int(np.prod(shape)) * 7)}
        if config["mask"]:
            first = config["options"].get("data_format") == "channels_first"
            given["mask"] = rng.integers(0, 2, (shape[0], shape[2 if first else 1])) * 1.0
            given["mask"][:, 1] = 1
        found.append((config, given))
    return found


def unknown(shape: list[int]) -> list[tuple[int | None, ...]]:
    """The shape with no batch size; and without a number of steps too."""
    return [(None, *shape[1:]), (None, None, *shape[2:])][: len(shape)]


def outcome(config: Config, given: Arrays) -> tuple[Arrays, Config]:
    """Arrays; and the configuration, the weights' paths, the shapes, whether a mask was lost."""
    with keras_in_float64() as keras:
        import torch
        from keras.src import backend

        keras.utils.clear_session()
        layer = getattr(keras.layers, config["layer"])(**config["options"])
        x = torch.tensor(given["x"], requires_grad=not config["ids"])
        layer.build(tuple(x.shape))
        layer.set_weights([given[f"w{i}"] for i in range(len(config["weights"]))])
        if "mask" in given:
            backend.set_keras_mask(x, torch.tensor(given["mask"] > 0))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            out = layer(x)
        mask = backend.get_keras_mask(out)
        penalties = list(layer.losses)
        g = torch.tensor(given["g"][: out.numel()].reshape(tuple(out.shape)))
        total = (out * g).sum() + sum(penalties)
        if total.requires_grad:
            total.backward()
        found = {"out": out, "penalty": torch.as_tensor(sum(penalties))}
        if not config["ids"]:
            found["d_x"] = x.grad
        if layer.trainable:
            found |= {f"d_w{i}": w.value.grad for i, w in enumerate(layer.weights)}
        if mask is not None:
            found["mask"] = mask.double()
        facts = {
            "config": json.loads(json.dumps(layer.get_config())),
            "paths": [w.path for w in layer.weights],
            "shapes": [list(layer.compute_output_shape(s)) for s in unknown(config["shape"])],
            "warned": any("does not support masking" in str(w.message) for w in told),
            "supports_masking": layer.supports_masking,
            "trainable": len(layer.trainable_weights),
        }
        arrays = {n: np.asarray(t.detach().numpy(), np.float64) for n, t in found.items()}
        return arrays, facts


def made(seed: int) -> list[Case]:
    """All cases."""
    found = []
    for config, given in drawn(seed):
        arrays, facts = outcome(config, given)
        given["g"] = given["g"][: arrays["out"].size]
        found.append(({**config, "facts": facts}, given, arrays))
    return found


if __name__ == "__main__":
    save("keras_layers", made(seed=8))
