"""What all metrics have in common."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import initializers
from ..config import float_name
from ..naming import next_name
from ..variable import Variable


class Metric:
    """A number that batches add to. A subclass defines `update_state` and `result`.

    Args:
        name: by default the class's name in snake case.
        dtype: taken for Keras' sake; the sums are in float64.

    Called as `update_state` is, it returns the result.
    """

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        self.name = name or next_name(type(self).__name__)
        self.dtype = float_name(dtype)
        self.variables: list[Variable] = []

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Adds a batch."""
        raise NotImplementedError(f"{type(self).__name__} must implement `update_state()`")

    def result(self) -> Any:
        """The number so far."""
        raise NotImplementedError(f"{type(self).__name__} must implement `result()`")

    def reset_state(self) -> None:
        """Forgets all batches: every variable becomes zero."""
        for variable in self.variables:
            variable.assign(np.zeros(variable.shape))

    def add_variable(
        self,
        shape: Any = (),
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: Any = "sum",
        name: str | None = None,
    ) -> Variable:
        """A variable that `reset_state` sets to zero, in float64 by default."""
        values = initializers.get(initializer or "zeros")(shape, dtype=dtype or "float64")
        made = Variable(values, name=name or "variable", trainable=False)
        self.variables.append(made)
        return made

    add_weight = add_variable

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """The arguments that make one like it."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """One made from what `get_config` gave."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"
