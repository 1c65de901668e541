"""The states of random generators: the library's, NumPy's global one, a module's, and others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..core.random import generator
from ..module import Module
from ..restoring import generators_of

Generators = Mapping[str, np.random.Generator]


def generators_in(parts: Mapping[str, Any]) -> dict[str, np.random.Generator]:
    """The generators that modules among `parts` draw from, by place."""
    return {
        f"{part}/{place}": rng
        for part, value in parts.items()
        if isinstance(value, Module)
        for place, rng in generators_of(value).items()
    }


def random_states(generators: Generators) -> dict[str, Any]:
    """The states of NumPy's global generator, of the library's default one, and of those given."""
    named = {name: rng.bit_generator.state for name, rng in generators.items()}
    return {
        "numpy": np.random.get_state(legacy=False),
        "default": generator().bit_generator.state,
        "named": named,
    }


class RandomStates:
    """States that are known to fit, ready to be applied.

    Args:
        states: as `random_states` gave them.
        generators: those that are to be set, by name.

    Raises:
        ValueError: if a generator has no state in `states`, or another kind of state.
    """

    def __init__(self, states: Any, generators: Generators) -> None:
        named = states["named"]
        missing = [name for name in generators if name not in named]
        if missing:
            raise ValueError(f"no state of {', '.join(missing)}; there are {list(named)}")
        self._pairs = [(rng.bit_generator, named[name]) for name, rng in generators.items()]
        self._pairs.append((generator().bit_generator, states["default"]))
        for bits, state in self._pairs:
            type(bits)().state = state
        self._numpy = states["numpy"]
        np.random.RandomState().set_state(self._numpy)

    def apply(self) -> None:
        """Sets all of them."""
        for bits, state in self._pairs:
            bits.state = state
        np.random.set_state(self._numpy)
