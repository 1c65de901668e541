"""Nested states as JSON and arrays, and back: every number to the bit, every key as it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..core.errors import FileFormatError
from ..tensor import Tensor
from .reading import name_fault
from .weights import checked_array

_DEEPEST = 100
# What JSON has no word for is a dict with one of these keys alone.
_ARRAY, _SCALAR, _TUPLE, _PAIRS = "$array", "$scalar", "$tuple", "$dict"


def pack(value: Any, name: str, arrays: dict[str, np.ndarray], depth: int = 0) -> Any:
    """`value` as JSON knows it; arrays and NumPy's numbers go into `arrays`.

    Args:
        value: dicts, lists and tuples of arrays, Tensors, numbers, text, booleans and None.
        name: where it stands, such as "model/weight"; names its arrays, and it in messages.
        arrays: is added to.

    Raises:
        TypeError: for anything else, saying where it stands.
        ValueError: for what contains itself.

    >>> arrays = {}
    >>> pack({"betas": (0.9, 0.999), "moments": {0: np.ones(2)}}, "adam", arrays)
    {'betas': {'$tuple': [0.9, 0.999]}, 'moments': {'$dict': [[0, {'$array': 'adam/moments/0'}]]}}
    >>> list(arrays)
    ['adam/moments/0']
    """
    if depth > _DEEPEST:
        raise ValueError(f"{name[:60]}… contains itself, or more than {_DEEPEST} levels")
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, (np.ndarray, np.generic, Tensor)):
        kept = _free_name(name, arrays)
        arrays[kept] = checked_array(kept, value)
        return {_SCALAR if isinstance(value, np.generic) else _ARRAY: kept}
    if isinstance(value, (list, tuple)):
        items = [pack(v, f"{name}/{i}", arrays, depth + 1) for i, v in enumerate(value)]
        return {_TUPLE: items} if isinstance(value, tuple) else items
    if isinstance(value, Mapping):
        return _packed_dict(value, name, arrays, depth)
    raise TypeError(
        f"{name} is a {type(value).__name__}, which a checkpoint doesn't keep: it keeps dicts, "
        "lists, tuples, arrays, numbers, text, booleans and None, and by a name of its own "
        "whatever has state_dict and load_state_dict"
    )


def _packed_dict(
    value: Mapping[Any, Any], name: str, arrays: dict[str, np.ndarray], depth: int
) -> Any:
    for key in value:
        if not (key is None or type(key) in (bool, int, float, str)):
            raise TypeError(f"{name} has a key of type {type(key).__name__}: {key!r}")
    pairs = [(k, pack(v, f"{name}/{k}", arrays, depth + 1)) for k, v in value.items()]
    if all(isinstance(key, str) and not key.startswith("$") for key, _ in pairs):
        return dict(pairs)
    return {_PAIRS: [list(pair) for pair in pairs]}


def _free_name(name: str, arrays: dict[str, np.ndarray]) -> str:
    """`name` if it can be used, else another that is free."""
    if not name_fault(name) and name not in arrays:
        return name
    number = len(arrays)
    while f"array/{number}" in arrays:
        number += 1
    return f"array/{number}"


def unpack(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """What `pack` was given. Takes each array out of `arrays`, so that none stands in two places.

    Raises:
        FileFormatError: for what `pack` doesn't make, and arrays that are missing.
    """
    if isinstance(value, list):
        return [unpack(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if not any(key.startswith("$") for key in value):
        return {key: unpack(item, arrays) for key, item in value.items()}
    if len(value) > 1:
        raise FileFormatError(f"a part has the keys {list(value)[:5]}, which aren't understood")
    ((kind, content),) = value.items()
    if kind in (_ARRAY, _SCALAR):
        return _array(kind, content, arrays)
    if kind == _TUPLE:
        return tuple(unpack(item, arrays) for item in content)
    if kind == _PAIRS:
        return {key: unpack(item, arrays) for key, item in content}
    raise FileFormatError(f"a part is marked {kind[:50]!r}, which isn't understood")


def _array(kind: str, name: Any, arrays: dict[str, np.ndarray]) -> Any:
    if not isinstance(name, str) or name not in arrays:
        raise FileFormatError(f"the array {str(name)[:100]!r} is missing, or used twice")
    array = arrays.pop(name)
    return array[()] if kind == _SCALAR else array
