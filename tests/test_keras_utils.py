"""Keras' small helpers: against Keras, and wrong use."""

import os
import random

import numpy as np
import pytest

from tinygrad_rnn import keras as ours
from tinygrad_rnn.keras import utils
from tinygrad_rnn.keras.preprocessing.sequence import pad_sequences

LISTS = [
    [[1], [2, 3], [4, 5, 6]],
    [[1, 2, 3]],
    [[], [1, 2]],
    [[], []],
    [np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]]), []],
]


@pytest.fixture
def keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    pytest.importorskip("torch")
    return pytest.importorskip("keras")


@pytest.mark.parametrize("maxlen", [None, 1, 2, 5])
@pytest.mark.parametrize("sequences", LISTS)
def test_pad_sequences_equals_keras(keras, sequences, maxlen):
    for padding in ("pre", "post"):
        for truncating in ("pre", "post"):
            for dtype, value in (("int32", 0.0), ("float64", -0.5), ("int64", 7)):
                options = (maxlen, dtype, padding, truncating, value)
                found = pad_sequences(sequences, *options)
                wanted = keras.utils.pad_sequences(sequences, *options)
                assert found.dtype == wanted.dtype
                assert found.shape == wanted.shape
                assert (found == wanted).all()


def test_pad_sequences():
    found = pad_sequences([[1], [2, 3], [4, 5, 6]], maxlen=2, padding="post", truncating="post")
    assert found.tolist() == [[1, 0], [2, 3], [4, 5]]
    assert found.dtype == np.int32
    assert pad_sequences(np.array([[1, 2]]), maxlen=3, value=9).tolist() == [[9, 1, 2]]
    assert pad_sequences([[1, 2]], maxlen=0).shape == (1, 0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: pad_sequences([1, 2]), "non-iterable: 1, at position 0"),
        (lambda: pad_sequences(3), "must be iterable. Received: 3"),
        (lambda: pad_sequences("ab"), "must be iterable. Received: 'ab'"),
        (lambda: pad_sequences([]), "at least one sequence"),
        (lambda: pad_sequences([[1]], padding="left"), "Received: padding='left'"),
        (lambda: pad_sequences([[1]], truncating="left"), "Received: truncating='left'"),
        (lambda: pad_sequences([[1]], maxlen=2.5), "Received: maxlen=2.5"),
        (lambda: pad_sequences([[1]], maxlen=-1), "Received: maxlen=-1"),
        (lambda: pad_sequences([[1, 1.5]]), "position 0.*such as 1.5"),
        (lambda: pad_sequences([[2**40]]), "position 0.*such as 1099511627776"),
        (lambda: pad_sequences([["a"]]), "<U1 at position 0"),
        (lambda: pad_sequences([[1]], value=0.5), "Received: value=0.5"),
        (lambda: pad_sequences([[1], [[1, 2]]]), r"number 1 has the shape \(1, 2\)"),
        (lambda: utils.to_categorical([5], 3), r"5 is no class \(0 … 2\)"),
        (lambda: utils.to_categorical([-1], 3), "-1 is no class"),
        (lambda: utils.to_categorical([]), "no integer to tell the number of classes"),
        (lambda: utils.set_random_seed("a"), "Received: seed='a'"),
        (lambda: utils.set_random_seed(-1), "Received: seed=-1"),
        (lambda: utils.set_random_seed(True), "Received: seed=True"),
    ],
)
def test_wrong_values(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()


@pytest.mark.parametrize(
    ("x", "classes"),
    [([0, 2, 1], None), ([[0], [2]], 5), ([[0, 1], [2, 1]], 3), ([1.0, 0.0], None)],
)
def test_to_categorical_equals_keras(keras, x, classes):
    found, wanted = utils.to_categorical(x, classes), keras.utils.to_categorical(x, classes)
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    assert (found == wanted).all()


def test_to_categorical():
    assert utils.to_categorical([[1], [0]], 2).tolist() == [[0, 1], [1, 0]]
    with pytest.raises(TypeError, match="integers"):
        utils.to_categorical([1.7], 3)


def test_seed():
    drawn = []
    for _ in range(2):
        utils.set_random_seed(7)
        made = ours.initializers.GlorotUniform()((2, 3))
        drawn.append((random.random(), np.random.random(), *made.ravel()))
    assert drawn[0] == drawn[1]


def test_clear_session():
    utils.clear_session()
    assert [ours.layers.Dense(3).name for _ in range(2)] == ["dense", "dense_1"]
    utils.clear_session()
    assert ours.layers.Dense(3).name == "dense"
