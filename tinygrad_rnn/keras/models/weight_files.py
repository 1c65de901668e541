"""The weights of Keras models in files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...core.errors import FileFormatError, did_you_mean
from ...io import load, save
from ...module import Parameter
from ..file_names import check_suffix, checked_target

_NAMES = "tinygrad_rnn.keras.names"  # of weights, in their order


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
    path = checked_target(filepath, "weights", overwrite)
    _require_built(model, "save_weights")
    arrays = {name: weight.data for name, weight in named_weights(model).items()}
    save(arrays, path, metadata={_NAMES: json.dumps(list(arrays))})


def load_weights(model: Any, filepath: Any) -> None:
    """See `Model.load_weights`."""
    path = check_suffix(filepath, "weights")
    _require_built(model, "load_weights")
    refuse_files_of_keras(path)
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


def refuse_files_of_keras(path: Path) -> None:
    """Raises FileFormatError for HDF5, and for zip archives that Keras made."""
    with path.open("rb") as file:
        start = file.read(512)
    if start.startswith(b"\x89HDF") or b"metadata.json" in start or b"config.json" in start:
        raise FileFormatError(
            f"{path} is a file of Keras itself, which isn't read here: its weights are HDF5. In "
            "Keras, np.savez('weights.npz', *model.get_weights()) writes them so that they can be "
            "handed on here with set_weights"
        )
