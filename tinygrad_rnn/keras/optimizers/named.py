"""Objects as a dict of class name and configuration, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.errors import did_you_mean


def written(value: Any, known: Mapping[str, type], module: str) -> dict[str, Any]:
    """{"module", "class_name", "config", "registered_name"}, as Keras writes them."""
    kind = type(value)
    own = kind in known.values()
    return {
        "module": module if own else kind.__module__,
        "class_name": kind.__name__,
        "config": value.get_config(),
        "registered_name": None if own else kind.__name__,
    }


def made(config: Any, known: Mapping[str, type], custom: Any, what: str) -> Any:
    """The object that was written so.

    Raises:
        ValueError: for a class that isn't known, or another form of config.
    """
    if not isinstance(config, Mapping) or not {"class_name", "config"} <= set(config):
        raise ValueError(
            f'{what} is written as {{"class_name": …, "config": …}}. '
            f"Received: config={config!r:.200}"
        )
    return class_named(config["class_name"], known, custom, what).from_config(config["config"])


def class_named(name: Any, known: Mapping[str, type], custom: Any, what: str) -> Any:
    """The class of this name, in whatever spelling.

    Raises:
        ValueError: if there is none.
    """
    if custom and name in custom:
        return custom[name]
    spelled = {_plain(each): kind for each, kind in known.items()}
    if _plain(str(name)) not in spelled:
        raise ValueError(
            f"Could not interpret {what} identifier. Received: {name!r}."
            f"{did_you_mean(_plain(str(name)), spelled)} Known: {', '.join(known)}."
        )
    return spelled[_plain(str(name))]


def _plain(name: str) -> str:
    return name.replace("_", "").lower()
