"""Looking at a module without leaving a trace in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .core.context import Context, current, within
from .core.random import noted
from .module import Module, Parameter
from .tensor import Tensor


@contextmanager
def undisturbed(module: Any, *, recording: bool) -> Iterator[None]:
    """Inside, a module is in eval mode; afterwards it is as it was, and so is what draws numbers.

    What is put back: the training flags; the attributes of the module and of all that it holds,
    other than the values of parameters; the generators that were used, NumPy's global one among
    them. Nothing is noted by a `record` around it.

    Args:
        module: a Module; anything else is left alone.
        recording: whether a graph is recorded inside.
    """
    spaces = [_Space(each) for each in everything_in(module)]
    generators = generators_of(module).values()
    legacy = np.random.get_state()
    now = current()
    with noted(*generators) as draws:
        try:
            if isinstance(module, Module):
                module.eval()
            with within(Context(recording, now.scope, now.anomaly)):
                yield
        finally:
            for space in spaces:
                space.restore()
            for bits, state in draws.states.items():
                bits.state = state
            np.random.set_state(legacy)


def everything_in(module: Any) -> Iterator[Module]:
    """A module and all inside it, the cells of recurrent layers among them; outer ones first."""
    seen = set()
    pending = [module]
    while pending:
        value = pending.pop()
        if isinstance(value, Module) and id(value) not in seen:
            seen.add(id(value))
            yield value
            pending.extend(vars(value).values())
        elif isinstance(value, (list, tuple)):
            pending.extend(value)
        elif isinstance(value, dict):
            pending.extend(value.values())


def generators_of(module: Any) -> dict[str, np.random.Generator]:
    """The generators that a module and all inside it draw from, by place."""
    return {
        f"{number}/{name}": held
        for number, each in enumerate(everything_in(module))
        for name, held in vars(each).items()
        if isinstance(held, np.random.Generator)
    }


class _Space:
    """What the attributes of a module were."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self._attributes = dict(vars(module))
        self._contents = {name: _copied(value) for name, value in self._attributes.items()}

    def restore(self) -> None:
        """Makes all attributes what they were."""
        own = vars(self._module)
        own.clear()
        own.update(self._attributes)
        for name, contents in self._contents.items():
            _refill(own[name], contents)


def _copied(value: Any) -> Any:
    """The contents of what can change in place, None for anything else."""
    if isinstance(value, Tensor):
        return None if isinstance(value, Parameter) else value.data.copy()
    return value.copy() if isinstance(value, (np.ndarray, list, dict, set)) else None


def _refill(value: Any, contents: Any) -> None:
    if contents is None:
        return
    if isinstance(value, Tensor):
        if not np.array_equal(value.data, contents, equal_nan=value.dtype.kind in "fc"):
            value.data = contents
    elif isinstance(value, np.ndarray):
        if value.flags.writeable:
            value[...] = contents
    elif isinstance(value, list):
        value[:] = contents
    else:
        value.clear()
        value.update(contents)
