"""What all initializers have in common."""

from __future__ import annotations

from typing import Any

import numpy as np


class Initializer:
    """What makes initial values. A subclass defines `__call__`, and `get_config` if it has any."""

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        """An array of this shape; dtype None means `config.floatx()`."""
        raise NotImplementedError("Initializer subclasses must implement the `__call__()` method.")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make one like it."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """One made from what `get_config` gave."""
        return cls(**config)

    def clone(self) -> Any:
        """Another one like it."""
        return type(self).from_config(self.get_config())


def sizes_of(shape: Any) -> tuple[int, ...]:
    """A shape as a tuple; a single size is one axis."""
    return (int(shape),) if np.ndim(shape) == 0 else tuple(int(size) for size in shape)
