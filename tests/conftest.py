"""What all tests share."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_rnn.core import primitive

try:
    from hypothesis import settings
except ImportError:
    pass
else:
    # The same examples on every run and machine; no clock, no files.
    settings.register_profile("tests", deadline=None, derandomize=True, database=None)
    settings.load_profile("tests")


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(20)


@pytest.fixture
def own_primitives():
    """Primitives that a test makes disappear from the registry after it."""
    operations, functions = dict(primitive.registry), dict(primitive.numpy_functions)
    yield
    for table, before in (
        (primitive.registry, operations),
        (primitive.numpy_functions, functions),
    ):
        table.clear()
        table.update(before)
