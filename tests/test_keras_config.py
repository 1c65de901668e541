"""Keras' settings for all: the fuzz factor, read whenever something is computed."""

import math
import os

import numpy as np
import pytest
from golden.make_keras_functions import keras_in_float64

from tinygrad_rnn.keras import config, constraints, losses, metrics, regularizers

Y_TRUE = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
Y_PRED = np.array([[0.0, 1.0, 0.0], [0.25, 0.5, 0.25], [0.0, 0.0, 1.0]])
# All that have an ε in their equations
FUNCTIONS = [
    "binary_crossentropy",
    "categorical_crossentropy",
    "cosine_similarity",
    "kl_divergence",
    "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error",
    "poisson",
]


@pytest.fixture
def large_epsilon():
    """An ε that shows, until the end of the test."""
    config.set_epsilon(0.125)
    yield 0.125
    config.set_epsilon(1e-7)


def values():
    """What depends on ε, by name."""
    w = np.array([[0.03, 0.0], [0.04, 0.05]])
    return {
        **{name: getattr(losses, name)(Y_TRUE, Y_PRED).numpy() for name in FUNCTIONS},
        "sparse": losses.sparse_categorical_crossentropy([0, 1, 2], Y_PRED).numpy(),
        "metric": np.asarray(metrics.BinaryCrossentropy()(Y_TRUE, Y_PRED)),
        "MinMaxNorm": constraints.MinMaxNorm()(w),
        "UnitNorm": constraints.UnitNorm()(w),
        "OrthogonalRegularizer": regularizers.OrthogonalRegularizer()(w).numpy(),
    }


def test_epsilon_is_read_when_something_is_computed():
    before = values()
    config.set_epsilon(0.125)
    try:
        changed = values()
    finally:
        config.set_epsilon(1e-7)
    assert config.epsilon() == 1e-7
    for name, array in values().items():
        np.testing.assert_array_equal(array, before[name])
        # a cosine of vectors that are long enough doesn't depend on it
        assert (np.abs(changed[name] - array).max() > 1e-3) == (name != "cosine_similarity"), name


def test_epsilon_bounds_probabilities(large_epsilon):
    found = losses.sparse_categorical_crossentropy([0, 2], [[0.0, 0.5, 0.5], [0.0, 0.0, 1.0]])
    expected = [-math.log(large_epsilon), -math.log(1 - large_epsilon)]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-15)


def test_epsilon_is_that_of_keras(large_epsilon):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    pytest.importorskip("torch")
    pytest.importorskip("keras")
    with keras_in_float64() as keras:
        usual = keras.config.epsilon()
        assert usual == 1e-7
        keras.config.set_epsilon(large_epsilon)
        try:
            for name in FUNCTIONS:
                theirs = [float(each) for each in getattr(keras.losses, name)(Y_TRUE, Y_PRED)]
                found = getattr(losses, name)(Y_TRUE, Y_PRED).numpy()
                np.testing.assert_allclose(found, theirs, rtol=1e-10, atol=1e-12, err_msg=name)
        finally:
            keras.config.set_epsilon(usual)


@pytest.mark.parametrize("wrong", ["1e-7", None, True, -1e-7, 0.5, math.nan, math.inf])
def test_wrong_epsilon(wrong):
    with pytest.raises(ValueError, match=r"`epsilon` must be .* Received: "):
        config.set_epsilon(wrong)
    assert config.epsilon() == 1e-7
