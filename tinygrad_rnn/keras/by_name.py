"""Objects and functions found by their names, and their configurations, as Keras writes them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ..core.errors import did_you_mean
from .configs import function_name, object_config
from .naming import snake_case


class Names:
    """What one module of Keras knows by name.

    Args:
        kind: what these objects are called in messages, such as "loss".
        classes: each is found under its own name and under that in snake case.
        functions: each is found under its own name.
        others: further spellings, and what they mean.
    """

    def __init__(
        self,
        kind: str,
        classes: tuple[type, ...] = (),
        functions: tuple[Any, ...] = (),
        others: Mapping[str, Any] | None = None,
    ) -> None:
        self.kind = kind
        self._functions = {function.__name__: function for function in functions}
        self._known: dict[str, Any] = {
            **{snake_case(each.__name__): each for each in classes},
            **{each.__name__: each for each in classes},
            **self._functions,
            **(others or {}),
        }

    def get(self, identifier: Any) -> Any:
        """The object for a name, a configuration, a class, or itself; None for None.

        Raises:
            ValueError: for what is none of these, or an unknown name.
        """
        if identifier is None:
            return None
        if isinstance(identifier, (str, Mapping)):
            return self.deserialize(identifier)
        if inspect.isclass(identifier):
            return identifier()
        if callable(identifier):
            return identifier
        raise ValueError(
            f"Could not interpret {self.kind} identifier: expected a name, a configuration "
            f'{{"class_name": …, "config": …}} or a callable. Received: {identifier!r}'
        )

    def serialize(self, value: Any) -> Any:
        """The configuration of an object; the name of a function.

        Raises:
            TypeError: for a function without a name.
        """
        if value is None:
            return None
        if hasattr(value, "get_config") and not inspect.isclass(value):
            return object_config(value)
        name = function_name(value)
        if self._functions.get(name) is value:
            return name
        return {
            "module": "builtins",
            "class_name": "function",
            "config": name,
            "registered_name": name,
        }

    def deserialize(
        self, config: str | Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Any:
        """What `serialize` described.

        Args:
            config: a name, or {"class_name": …, "config": …}.
            custom_objects: further classes and functions, by their names; they come first.

        Raises:
            ValueError: for an unknown name, or a configuration that isn't one.
        """
        if config is None:
            return None
        if isinstance(config, str):
            found = self._find(config, custom_objects)
            return found() if inspect.isclass(found) else found
        if not isinstance(config, Mapping) or not isinstance(config.get("class_name"), str):
            raise ValueError(
                f"The configuration of a {self.kind} is a name or a dict with 'class_name' and "
                f"'config'. Received: {config!r}"
            )
        name, inner = config["class_name"], config.get("config") or {}
        if _is_function(config):
            return self._find(inner, custom_objects)
        found = self._find(name, custom_objects)
        if not inspect.isclass(found):
            return found
        inner = {key: _own_function(value, custom_objects or {}) for key, value in inner.items()}
        make: Callable[[Any], Any] = getattr(found, "from_config", lambda inner: found(**inner))
        try:
            return make(inner)
        except TypeError as error:
            raise ValueError(
                f"The {self.kind} {name} can't be made from its configuration: {error}. "
                f"Received: config={inner!r}"
            ) from error

    def check(self, name: str) -> None:
        """Raises ValueError for an unknown name."""
        self._find(name, None)

    def _find(self, name: Any, custom: Mapping[str, Any] | None) -> Any:
        if custom and name in custom:
            return custom[name]
        if isinstance(name, str) and name in self._known:
            return self._known[name]
        raise ValueError(
            f"Unknown {self.kind}: {name!r}.{did_you_mean(str(name), self._known)} "
            f"Known are {', '.join(sorted(self._known, key=str.lower))}. One of your own is given "
            "as the object itself, or by custom_objects where a configuration is read."
        )


def _own_function(value: Any, custom: Mapping[str, Any]) -> Any:
    """A user's function for its configuration; anything else as it is."""
    return custom.get(value["config"], value) if _is_function(value) else value


def _is_function(config: Any) -> bool:
    """Whether it describes a function that isn't one of Keras'."""
    return isinstance(config, Mapping) and config.get("class_name") == "function"
