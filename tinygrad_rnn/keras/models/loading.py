"""Models made from what was written of them."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ...core.errors import FileFormatError
from ...io import load_checkpoint
from ...restoring import generators_of, undisturbed
from ...tensor import Tensor
from .. import losses, metrics, optimizers
from ..configs import object_from
from ..file_names import check_suffix
from ..layers.layer import Layer
from ..layers.shapes import outline_of
from .model import Model
from .saving import VERSION, states_of
from .sequential import weights_later
from .weight_files import matched, refuse_files_of_keras

_LARGEST = 1 << 26  # numbers of an input that is made up to build a model
_FAULTS = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError,
    MemoryError, NotImplementedError,
)  # fmt: skip


def load_model(
    filepath: str | os.PathLike[str],
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
) -> Any:
    """The model that ``model.save(filepath)`` wrote: it gives the same, and learns on as it would.

    The file need not be trusted: nothing in it is executed, and its claims are checked before
    memory is taken for them.

    Args:
        filepath: ends in .npz. Files of Keras itself (.keras, .h5) aren't read.
        custom_objects: name -> class or function, of your own layers, losses and so on.
        compile: whether the model is compiled as it was, with the optimizer's state.

    Raises:
        FileFormatError: if the file was cut short or altered, is none of a model, or names a class
            or function that isn't known.
        ValueError: for another suffix.
        OSError: if the file can't be read.

    >>> import os, tempfile, numpy as np
    >>> from tinygrad_rnn import keras
    >>> model = keras.Sequential([keras.layers.Input((5, 3)), keras.layers.LSTM(4)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(os.path.join(folder, "model.npz"))
    ...     again = keras.models.load_model(os.path.join(folder, "model.npz"))
    >>> x = np.ones((2, 5, 3))
    >>> bool((again(x) == model(x)).all()), again.layers[0].name == model.layers[0].name
    (True, True)
    """
    path = check_suffix(filepath, "a model")
    refuse_files_of_keras(path)
    saved = load_checkpoint(path)
    if "keras" not in saved:
        raise FileFormatError(f"{path} is a checkpoint of something else than a Keras model")
    if saved["keras"] != VERSION:
        raise FileFormatError(
            f"{path} is a model of form {saved['keras']!r}; form {VERSION} is read here"
        )
    with _blamed_on(path):
        model = _model_of(saved, custom_objects)
        if compile and "compile" in saved:
            _compile(model, saved, custom_objects or {})
    return model


@contextmanager
def _blamed_on(path: Path) -> Iterator[None]:
    try:
        yield
    except _FAULTS as error:
        reason = str(error)[:2000] or type(error).__name__
        raise FileFormatError(
            f"the model in {path} can't be made, the file was altered or something of your own is "
            f"missing: {reason}"
        ) from error


def _model_of(saved: Mapping[str, Any], custom: Mapping[str, Any] | None) -> Any:
    arrays = {str(name): np.asarray(array) for name, array in saved["weights"].items()}
    _check_tables(saved["architecture"], sum(array.size for array in arrays.values()))
    token = weights_later.set(True)
    try:
        with undisturbed(None, recording=False):  # what draws numbers stays as it was
            model = object_from(saved["architecture"], custom)
            if not isinstance(model, Model):
                raise TypeError(f"it holds a {type(model).__name__}, which isn't a model")
            if saved["input_shape"] is not None:
                _build(model, outline_of(saved["input_shape"]), arrays)
    finally:
        weights_later.reset(token)
    for weight, array in matched(model, arrays):
        if array.dtype != weight.dtype:
            raise TypeError(f"the weight {weight.path} is of {weight.dtype}, not {array.dtype}")
        weight.assign(array)
    for weight, trainable in zip(model.weights, saved["trainable"], strict=True):
        weight.requires_grad = bool(trainable)
    _set_states(model, saved["states"])
    _set_generators(model, saved["drawing"])
    return model


def _check_tables(config: Any, size: int) -> None:
    """Raises ValueError if an Embedding, which makes its weight at once, is said to be huge."""
    pending = [config]
    while pending:
        each = pending.pop()
        if isinstance(each, Mapping):
            rows, columns = each.get("input_dim"), each.get("output_dim")
            if (
                isinstance(rows, int)
                and isinstance(columns, int)
                and size
                and rows * columns > size
            ):
                raise ValueError(
                    f"layer {each.get('name')!r} asks for {rows:,} x {columns:,} weights, more "
                    "than the file has"
                )
            pending.extend(each.values())
        elif isinstance(each, list):
            pending.extend(each)


def _build(model: Any, shape: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Makes weights, all zero, as long as they aren't more than the file has."""
    if math.prod(size or 3 for size in _flat(shape)) > _LARGEST:
        raise ValueError(f"its input is said to have the shape {shape}")
    left = sum(array.size for array in arrays.values())

    def adding(layer: Any) -> Any:
        def add_weight(
            shape: Any = None, initializer: Any = None, *args: Any, **options: Any
        ) -> Any:
            nonlocal left
            sizes = shape if isinstance(shape, Sequence) else [shape or 1]
            left -= math.prod(size for size in sizes if size is not None)
            if left < 0:
                raise ValueError(f"layer '{layer.name}' asks for more weights than the file has")
            return type(layer).add_weight(layer, shape, "zeros", *args, **options)

        return add_weight

    layers = [module for module in model.modules() if isinstance(module, Layer)]
    for layer in layers:
        vars(layer)["add_weight"] = adding(layer)
    try:
        model.build(shape)
    finally:
        for layer in layers:
            vars(layer).pop("add_weight", None)


def _flat(shape: Any) -> Iterator[int | None]:
    for size in shape:
        if isinstance(size, tuple):
            yield from _flat(size)
        else:
            yield size


def _set_states(model: Any, saved: Mapping[str, Any]) -> None:
    own = states_of(model)
    if own.keys() != saved.keys():
        raise ValueError("its states aren't those of its layers")
    modules = list(model.modules())
    for place, states in saved.items():
        vars(modules[int(place)])["states"] = _like(own[place], states)


def _like(own: Any, saved: Any) -> Any:
    if isinstance(own, list):
        return [_like(a, b) for a, b in zip(own, saved, strict=True)]
    array = np.asarray(saved)
    if array.shape != own.shape or array.dtype.kind != "f":
        raise ValueError(f"a state of the shape {own.shape} is said to be {array.shape}")
    return Tensor(array.astype(own.dtype))


def _set_generators(model: Any, saved: Mapping[str, Any]) -> None:
    own = generators_of(model)
    if own.keys() != saved.keys():
        raise ValueError("its random generators aren't those of its layers")
    for name, rng in own.items():
        rng.bit_generator.state = saved[name]


def _made(written: Any, module: Any, custom: Mapping[str, Any]) -> Any:
    if isinstance(written, str):
        return custom.get(written, written)
    return None if written is None else module.deserialize(written, custom)


def _compile(model: Any, saved: Mapping[str, Any], custom: Mapping[str, Any]) -> None:
    given = saved["compile"]
    model.compile(
        optimizer=optimizers.deserialize(given["optimizer"], custom),
        loss=_made(given["loss"], losses, custom),
        loss_weights=given["loss_weights"],
        metrics=[_made(each, metrics, custom) for each in given["metrics"]],
        weighted_metrics=[_made(each, metrics, custom) for each in given["weighted_metrics"]],
    )
    kept = saved["optimizer"]
    if kept is None:
        return
    weights = model.weights
    model.optimizer.exclude_from_weight_decay([weights[place] for place in kept["excluded"]])
    model.optimizer.build([weights[place] for place in kept["variables"]])
    model.optimizer.load_state_dict(kept["state"])


def clone_model(model: Any) -> Any:
    """A model like this one, with new weights.

    >>> from tinygrad_rnn import keras
    >>> model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
    >>> keras.models.clone_model(model).count_params()
    8
    """
    return type(model).from_config(model.get_config())


def model_from_json(text: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The model that `Model.to_json` described, with new weights.

    Raises:
        ValueError: for text that isn't JSON of a model, or classes that aren't known.

    >>> from tinygrad_rnn import keras
    >>> model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
    >>> keras.models.model_from_json(model.to_json()).output_shape
    (None, 2)
    """
    config = json.loads(text)
    if not isinstance(config, dict) or not {"class_name", "config"} <= set(config):
        raise ValueError(
            f"The architecture of a model is a dict with 'class_name' and 'config'. Received: "
            f"{text[:80]!r}"
        )
    return object_from(config, custom_objects)
