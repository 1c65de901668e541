"""Keras models in files: whole, or their weights alone."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np

from ...core.errors import FileFormatError, did_you_mean
from ...io import load, load_checkpoint, save, save_checkpoint
from ...module import Parameter
from ...restoring import generators_of, undisturbed
from ...tensor import Tensor
from .. import losses, metrics, optimizers
from ..configs import object_config, object_from
from ..layers.layer import Layer
from ..layers.shapes import outline_of

_VERSION = 1
_MODELS = (".npz",)
_WEIGHTS = (".npz", ".safetensors")
_NAMES = "tinygrad_rnn.keras.names"  # of weights, in their order
_OF_KERAS = (".h5", ".hdf5", ".keras", ".tf")
_LARGEST = 1 << 26  # numbers of an input that is made up to build a model
_FAULTS = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError,
    MemoryError, NotImplementedError,
)  # fmt: skip

# Whether models are being made whose weights will come from a file.
weights_later: ContextVar[bool] = ContextVar("tinygrad_rnn.keras.weights_later", default=False)


def check_suffix(path: str | os.PathLike[str], what: str) -> Path:
    """The path, if "a model" or "weights" can be kept under that name.

    Raises:
        ValueError: if its suffix is another one.
    """
    path = Path(path)
    known = _MODELS if what == "a model" else _WEIGHTS
    suffix = path.suffix.lower()
    if suffix in known:
        return path
    stem = re.sub(r"(\.weights)?\.(h5|hdf5|keras|tf)$", "", str(path), flags=re.IGNORECASE)
    why = (
        f"{suffix} is a format of Keras itself, which is neither written nor read here. "
        if suffix in _OF_KERAS
        else ""
    )
    raise ValueError(
        f"The file of {what} has a name that ends in {' or '.join(known)}. {why}"
        f"Received: filepath={str(path)!r}. Use {stem + known[0]!r}"
    )


def _checked_target(path: Any, what: str, overwrite: bool) -> Path:
    path = check_suffix(path, what)
    if not overwrite and path.exists():
        raise FileExistsError(f"{path} is there already: give overwrite=True to replace it")
    return path


# Weights


def named_weights(model: Any) -> dict[str, Any]:
    """All weights in Keras' order, by their paths inside the model, each under one name."""
    paths = {id(weight): path for path, weight in _walk(model, "", set())}
    found: dict[str, Any] = {}
    for weight in model.weights:
        name, number = paths[id(weight)], 1
        while name in found:
            number += 1
            name = f"{paths[id(weight)]}#{number}"
        found[name] = weight
    return found


def _walk(module: Any, prefix: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    for attribute, member in module._own():
        if id(member) in seen:
            continue
        seen.add(id(member))
        if isinstance(member, Parameter):
            yield prefix + (member._name or attribute), member
        else:
            yield from _walk(member, f"{prefix}{getattr(member, 'name', attribute)}/", seen)


def matched(model: Any, found: Mapping[str, np.ndarray]) -> list[tuple[Any, np.ndarray]]:
    """Each weight of a model with the array that is meant for it.

    Raises:
        ValueError: listing what is missing, unexpected, or of another shape.
    """
    own = named_weights(model)
    names = dict(zip(own, own, strict=True))
    if set(own) != set(found) and list(map(_uncounted, own)) == list(map(_uncounted, found)):
        names = dict(zip(own, found, strict=True))  # the same layers, counted from elsewhere
    missing = [name for name in own if names[name] not in found]
    faults = [f"missing: {name} {own[name].shape}" for name in missing]
    for name in found:
        if name not in names.values():
            faults.append(f"unexpected: {name}.{did_you_mean(name, missing)}")
    for name, weight in own.items():
        array = found.get(names[name])
        if array is None:
            continue
        if array.shape != weight.shape:
            faults.append(f"shape: {name} is {weight.shape}, got {array.shape}")
        elif array.dtype.kind not in "biuf":
            faults.append(f"values: {name} holds {array.dtype}, not numbers")
    if faults:
        raise ValueError(
            f"the weights don't fit model '{model.name}', nothing was changed:\n  "
            + "\n  ".join(faults)
        )
    return [(weight, found[names[name]]) for name, weight in own.items()]


def _uncounted(name: str) -> str:
    """A path without the numbers that names count up with."""
    return re.sub(r"_\d+(?=/|#|$)", "", name)


def save_weights(model: Any, filepath: Any, overwrite: bool = True) -> None:
    """See `Model.save_weights`."""
    path = _checked_target(filepath, "weights", overwrite)
    _require_built(model, "save_weights")
    arrays = {name: weight.data for name, weight in named_weights(model).items()}
    save(arrays, path, metadata={_NAMES: json.dumps(list(arrays))})


def load_weights(model: Any, filepath: Any) -> None:
    """See `Model.load_weights`."""
    path = check_suffix(filepath, "weights")
    _require_built(model, "load_weights")
    _refuse_files_of_keras(path)
    weights = load(path)
    if any("checkpoint" in key for key in weights.metadata):
        raise FileFormatError(f"{path} holds more than weights: keras.models.load_model reads it")
    found = _in_order(path, weights, weights.metadata.get(_NAMES))
    for weight, array in matched(model, found):
        weight.assign(array)


def _in_order(
    path: Path, arrays: Mapping[str, np.ndarray], written: str | None
) -> dict[str, np.ndarray]:
    """The arrays in the order of the model's weights, if the file knows it."""
    if written is None:
        return dict(arrays)
    try:
        names = json.loads(written)
        fits = isinstance(names, list) and sorted(names) == sorted(arrays)
    except (ValueError, TypeError, RecursionError):
        fits = False
    if not fits:
        raise FileFormatError(f"{path} was altered: its list of names isn't that of its arrays")
    return {name: arrays[name] for name in names}


def _require_built(model: Any, call: str) -> None:
    if not model.built:
        raise ValueError(
            f"model '{model.name}' has no weights yet, so that {call} makes no sense: build it, "
            "or call it on a batch, first"
        )


# Whole models


def save_model(
    model: Any, filepath: Any, overwrite: bool = True, include_optimizer: bool = True
) -> None:
    """Writes a model into a file: the same as ``model.save(filepath)``, which see."""
    path = _checked_target(filepath, "a model", overwrite)
    weights = named_weights(model) if model.built else {}
    parts: dict[str, Any] = {
        "keras": _VERSION,
        "architecture": object_config(model),
        "input_shape": model.given_shape() if model.built else None,
        "weights": {name: weight.data for name, weight in weights.items()},
        "trainable": [weight.requires_grad for weight in weights.values()],
        "states": _states(model),
        "drawing": {name: rng.bit_generator.state for name, rng in generators_of(model).items()},
    }
    if include_optimizer and model.compiled:
        parts["compile"] = _compile_config(model._compiled)
        parts["optimizer"] = _optimizer_state(model)
    save_checkpoint(path, random=False, **parts)


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
    _refuse_files_of_keras(path)
    saved = load_checkpoint(path)
    if "keras" not in saved:
        raise FileFormatError(f"{path} is a checkpoint of something else than a Keras model")
    if saved["keras"] != _VERSION:
        raise FileFormatError(
            f"{path} is a model of form {saved['keras']!r}; form {_VERSION} is read here"
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


def _refuse_files_of_keras(path: Path) -> None:
    """Raises FileFormatError for HDF5, and for zip archives that Keras made."""
    with path.open("rb") as file:
        start = file.read(512)
    if start.startswith(b"\x89HDF") or b"metadata.json" in start or b"config.json" in start:
        raise FileFormatError(
            f"{path} is a file of Keras itself, which isn't read here: its weights are HDF5. In "
            "Keras, np.savez('weights.npz', *model.get_weights()) writes them so that they can be "
            "handed on here with set_weights"
        )


def _model_of(saved: Mapping[str, Any], custom: Mapping[str, Any] | None) -> Any:
    from .model import Model

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


def _states(model: Any) -> dict[str, Any]:
    """What stateful layers have left, by the places of the layers."""
    return {
        str(place): _arrays(module.states)
        for place, module in enumerate(model.modules())
        if getattr(module, "stateful", False) and isinstance(vars(module).get("states"), list)
    }


def _arrays(states: Any) -> Any:
    if isinstance(states, (list, tuple)):
        return [_arrays(each) for each in states]
    return np.asarray(states.data)


def _set_states(model: Any, saved: Mapping[str, Any]) -> None:
    own = _states(model)
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


# What `compile` was given


def _compile_config(compiled: Any) -> dict[str, Any]:
    listed: dict[bool, list[Any]] = {False: [], True: []}
    for judged in compiled.metrics.values():
        listed[judged.weighted].append(_named(judged._given, metrics))
    return {
        "optimizer": optimizers.serialize(compiled.optimizer),
        "loss": _named(compiled.given_loss, losses),
        "loss_weights": compiled._weight,
        "metrics": listed[False],
        "weighted_metrics": listed[True],
    }


def _named(given: Any, module: Any) -> Any:
    """A loss or metric by its name or configuration."""
    if given is None or isinstance(given, (str, Mapping)):
        return given
    return module.serialize(given)


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


def _optimizer_state(model: Any) -> dict[str, Any] | None:
    """The optimizer's state, with the places of the weights it is for; None before it is built."""
    optimizer = model.optimizer
    if not optimizer.built:
        return None
    places = {id(weight): place for place, weight in enumerate(model.weights)}
    foreign = [v.name for v in optimizer._trainable if id(v) not in places]
    if foreign:
        raise ValueError(
            f"the optimizer of '{model.name}' was built with variables that aren't the model's: "
            f"{foreign[:5]}. include_optimizer=False saves the model without it"
        )
    excluded = [v for group in optimizer.param_groups[1:] for v in group["params"]]
    return {
        "variables": [places[id(v)] for v in optimizer._trainable],
        "excluded": [places[id(v)] for v in excluded],
        "state": optimizer.state_dict(),
    }


# Architectures


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
