"""Layers and functions as plain dicts, lists and text, and back, as Keras writes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..core.errors import did_you_mean

_PACKAGE = __name__.rpartition(".")[0]
_classes: dict[str, type] = {}


def keep_class(kind: type) -> None:
    """Notes a class of the package's own under its name, to be found again."""
    if kind.__module__.startswith(_PACKAGE + "."):
        _classes[kind.__name__] = kind


def to_config(value: Any) -> Any:
    """A value of a configuration: text, numbers, lists and dicts of such."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.dtype):
        return value.name
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)):
        return [to_config(each) for each in value]
    if isinstance(value, Mapping):
        return {str(key): to_config(each) for key, each in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if hasattr(value, "get_config"):
        return object_config(value)
    if callable(value):
        return function_name(value)
    raise TypeError(f"{value!r:.60} of type {type(value).__name__} can't stand in a configuration")


def object_config(value: Any) -> dict[str, Any]:
    """An object that has get_config, with its class."""
    kind = type(value)
    module = _module(kind)
    return {
        "module": module,
        "class_name": kind.__name__,
        "config": value.get_config(),
        "registered_name": None if module else kind.__name__,
    }


def _module(kind: type) -> str | None:
    """Where Keras has a class of the package's own; None for a user's."""
    own = kind.__module__.startswith(_PACKAGE + ".")
    return f"keras.{kind.__module__[len(_PACKAGE) + 1 :].split('.')[0]}" if own else None


def function_name(value: Callable[..., Any]) -> str:
    """The name by which a function is found again."""
    name = getattr(value, "__name__", None) or getattr(value, "name", None)
    if not isinstance(name, str) or name == "<lambda>":
        raise TypeError(
            f"{value!r:.60} has no name by which it could be found again: give a named function, "
            "and custom_objects={'its_name': it} when the model is loaded"
        )
    return name


def object_from(config: Mapping[str, Any], custom: Mapping[str, Any] | None = None) -> Any:
    """The object that `object_config` described.

    Raises:
        ValueError: for a class that isn't known, or a configuration that isn't one.
    """
    name, given = config.get("class_name"), config.get("config", {})
    if not isinstance(name, str) or not isinstance(given, Mapping):
        raise ValueError(
            "A configuration is a dict with 'class_name' and 'config', as get_config gives it. "
            f"Received: {config!r:.200}"
        )
    kind: Any = (custom or {}).get(name)
    if kind is None:
        kind = _classes.get(name)
    if kind is None:
        raise ValueError(
            f"Unknown class {name!r}.{did_you_mean(name, _classes)} A class of your own must "
            f"be given as custom_objects={{{name!r}: {name}}}."
        )
    inner = {
        key: value if key == "name" else from_config(value, custom) for key, value in given.items()
    }
    return kind.from_config(inner) if hasattr(kind, "from_config") else kind(**inner)


def from_config(value: Any, custom: Mapping[str, Any] | None = None) -> Any:
    """A value of a configuration, its layers made."""
    custom = custom or {}
    if isinstance(value, list):
        return [from_config(each, custom) for each in value]
    if isinstance(value, Mapping):
        name = value.get("class_name")
        if name == "function" and value.get("config") in custom:
            return custom[value["config"]]
        of_user = name is not None and value.get("module", "") is None  # is missed if unknown
        if name in custom or of_user or _is_layer(value):
            return object_from(value, custom)
        return {key: from_config(each, custom) for key, each in value.items()}
    if isinstance(value, str) and value in custom:
        return custom[value]
    return value


def _is_layer(config: Mapping[str, Any]) -> bool:
    """Whether it describes a layer; initializers, which may have the same name, it isn't for."""
    kind = _classes.get(config.get("class_name", ""))
    return kind is not None and config.get("module") in (None, "keras", _module(kind))
