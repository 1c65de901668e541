"""The default random generator, and what `rng=` accepts."""

from __future__ import annotations

import numpy as np

_default = np.random.default_rng()


def manual_seed(seed: int) -> np.random.Generator:
    """Seeds the default generator, from which initial weights and dropout masks are drawn.

    Args:
        seed: a non-negative integer.

    Returns:
        The default generator.

    >>> import tinygrad_rnn as tg
    >>> _ = tg.manual_seed(7)
    >>> a = tg.nn.Linear(2, 3).weight.numpy()
    >>> _ = tg.manual_seed(7)
    >>> bool((tg.nn.Linear(2, 3).weight.numpy() == a).all())
    True
    """
    global _default
    _default = np.random.default_rng(seed)
    return _default


def generator(rng: np.random.Generator | int | None = None) -> np.random.Generator:
    """`rng` itself, a new generator with that seed, or the default one."""
    if rng is None:
        return _default
    if isinstance(rng, np.random.Generator):
        return rng
    return np.random.default_rng(rng)
