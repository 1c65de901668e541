"""A recurrent state as plain data, for a checkpoint, and back."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..rnn.states import LSTMState
from ..tensor import Tensor


def taken_apart(state: Any) -> tuple[Any, list[np.ndarray]]:
    """The arrays of a state, and, as what JSON can hold, how they belong together.

    >>> import numpy as np
    >>> taken_apart((np.ones(1), None))
    ({'tuple': [{'array': 0}, None]}, [array([1.])])
    """
    arrays: list[np.ndarray] = []
    return _description(state, arrays), arrays


def put_together(description: Any, arrays: Sequence[np.ndarray]) -> Any:
    """The state that `taken_apart` has described."""
    if description is None:
        return None
    (kind, inner), *more = description.items()
    if kind == "tensor":
        return Tensor(arrays[inner])
    if kind == "array":
        return np.array(arrays[inner])
    if kind == "number":
        return inner
    if kind == "dict":
        return {name: put_together(part, arrays) for name, part in inner.items()}
    parts = [put_together(part, arrays) for part in inner]
    if kind == "list":
        return parts
    return _tuple_kind(dict(more).get("fields"))(parts)


def _description(state: Any, arrays: list[np.ndarray]) -> Any:
    if state is None:
        return None
    if isinstance(state, (Tensor, np.ndarray)):
        tensor = isinstance(state, Tensor)
        arrays.append(state.data.copy() if isinstance(state, Tensor) else state.copy())
        return {"tensor" if tensor else "array": len(arrays) - 1}
    if isinstance(state, Mapping):
        return {"dict": {name: _description(part, arrays) for name, part in state.items()}}
    if isinstance(state, (tuple, list)):
        parts = [_description(part, arrays) for part in state]
        if isinstance(state, list):
            return {"list": parts}
        fields = getattr(state, "_fields", None)
        return {"tuple": parts, "fields": list(fields)} if fields else {"tuple": parts}
    return {"number": float(state) if isinstance(state, float) else int(state)}


def _tuple_kind(fields: list[str] | None) -> Any:
    """A named tuple of one's own comes back as another one with the same fields."""
    if not fields:
        return tuple
    if tuple(fields) == LSTMState._fields:
        return LSTMState._make
    made: Any = namedtuple("State", fields)  # type: ignore[misc]
    return made._make
