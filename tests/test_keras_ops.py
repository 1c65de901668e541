"""keras.ops: names, arguments and numbers as Keras', and cells of one's own written with them."""

from __future__ import annotations

import inspect
import os
import warnings

import numpy as np
import pytest
from golden.make_keras_recurrent import keras_in_float64

import tinygrad_rnn as tg
from tinygrad_rnn import keras

RNG = np.random.default_rng(7)
A, B = RNG.standard_normal((3, 5)), RNG.standard_normal((3, 5))
P, M = RNG.uniform(0.2, 0.9, (3, 5)), RNG.standard_normal((5, 7))
X = RNG.standard_normal((2, 3, 5))
K = RNG.integers(-4, 5, (3, 5)).astype(np.int32)
IDS = np.array([2, 0, 1])

CASES = {
    "add": lambda o: o.add(A, B),
    "subtract": lambda o: o.subtract(2.0, B),
    "multiply": lambda o: o.multiply(A, B[0]),
    "divide": lambda o: o.divide(A, B),
    "power": lambda o: o.power(P, B),
    "maximum": lambda o: o.maximum(A, 0.3),
    "minimum": lambda o: o.minimum(A, B),
    "integers and floats": lambda o: o.multiply(A, K),
    "mod": lambda o: o.mod(A, 0.4),
    "matmul": lambda o: o.matmul(X, M),
    "dot": lambda o: o.dot(A, M),
    "dot of more axes": lambda o: o.dot(X, M),
    "einsum": lambda o: o.einsum("bti,iu->btu", X, M),
    "tensordot": lambda o: o.tensordot(X, M, axes=1),
    "outer": lambda o: o.outer(A[0], B[1]),
    "transpose": lambda o: o.transpose(X, axes=[1, 0, 2]),
    "reshape": lambda o: o.reshape(X, (5, -1)),
    "concatenate": lambda o: o.concatenate([A, B], axis=-1),
    "stack": lambda o: o.stack([A, B], axis=1),
    "split": lambda o: o.concatenate(o.split(X, [1, 4], axis=-1)[::-1], axis=-1),
    "expand_dims": lambda o: o.expand_dims(A, 1),
    "squeeze": lambda o: o.squeeze(A[:, None], axis=1),
    "swapaxes": lambda o: o.swapaxes(X, 0, 2),
    "flip": lambda o: o.flip(X, axis=1),
    "take": lambda o: o.take(X, IDS, axis=1),
    "take_along_axis": lambda o: o.take_along_axis(A, np.abs(K) % 3, axis=0),
    "where": lambda o: o.where(o.greater(A, 0.0), A, 0.0),
    "sum": lambda o: o.sum(X, axis=(0, 2)),
    "mean": lambda o: o.mean(X, axis=1, keepdims=True),
    "max": lambda o: o.max(X, axis=-1, initial=0.5),
    "min": lambda o: o.min(X, axis=0),
    "var": lambda o: o.var(X, axis=-1),
    "std": lambda o: o.std(X, axis=-1, keepdims=True),
    "prod": lambda o: o.prod(X, axis=1),
    "logsumexp": lambda o: o.logsumexp(X, axis=-1),
    "norm": lambda o: o.norm(X, axis=-1, keepdims=True),
    "norm of order 1": lambda o: o.norm(A, ord=1, axis=0),
    "cumsum": lambda o: o.cumsum(A, axis=1),
    "clip": lambda o: o.clip(A, -0.2, 0.4),
    "softmax": lambda o: o.softmax(A, axis=0),
    "log_softmax": lambda o: o.log_softmax(A),
    "gelu": lambda o: o.gelu(A),
    "gelu, exact": lambda o: o.gelu(A, approximate=False),
    "leaky_relu": lambda o: o.leaky_relu(A),
    "zeros": lambda o: o.zeros((2, 3)),
    "ones_like": lambda o: o.ones_like(A),
    "zeros_like": lambda o: o.zeros_like(K),
    "full": lambda o: o.full((2, 3), 4.5),
    "arange": lambda o: o.arange(2, 9, 3),
    "eye": lambda o: o.eye(3, 4, k=1),
    "one_hot": lambda o: o.one_hot(IDS, 4),
    "one_hot along an axis": lambda o: o.one_hot(IDS, 4, axis=0),
    "cast": lambda o: o.cast(A, "int32"),
    "argmax": lambda o: o.argmax(A, axis=-1),
    "equal": lambda o: o.equal(K, 1),
    "logic": lambda o: o.logical_or(o.logical_and(A > 0, B > 0), o.logical_not(K)),
    "repeat": lambda o: o.repeat(A, 2, axis=0),
    "tile": lambda o: o.tile(A, (2, 1)),
    "unstack": lambda o: o.stack(o.unstack(o.convert_to_tensor(X), axis=1)[::-1]),
    "pad": lambda o: o.pad(A, ((1, 0), (0, 2))),
    "stop_gradient": lambda o: o.stop_gradient(o.convert_to_tensor(A)),
    **{
        name: lambda o, name=name: getattr(o, name)(A)
        for name in (
            "abs", "absolute", "exp", "expm1", "square", "tanh", "sigmoid", "relu", "softplus",
            "silu", "elu", "selu", "hard_sigmoid", "softsign", "log_sigmoid", "sign", "negative",
            "floor", "round", "sin", "erf", "ravel",
        )
    },
    **{
        name: lambda o, name=name: getattr(o, name)(P)
        for name in ("log", "log1p", "sqrt", "rsqrt", "reciprocal")
    },
}  # fmt: skip


@pytest.fixture
def theirs(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "torch"))
    pytest.importorskip("torch")
    pytest.importorskip("keras")
    keras.config.set_floatx("float64")
    with keras_in_float64(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        import keras as theirs

        yield theirs
    keras.config.set_floatx("float32")


@pytest.mark.parametrize("name", CASES)
def test_numbers_are_those_of_keras(name, theirs):
    found, expected = CASES[name](keras.ops), CASES[name](theirs.ops)
    assert isinstance(found, tg.Tensor)
    expected = theirs.ops.convert_to_numpy(expected)
    assert found.shape == expected.shape
    assert found.dtype.kind == expected.dtype.kind
    if found.dtype.kind == "f":
        assert found.dtype == np.float64
    np.testing.assert_allclose(found.data, expected, rtol=1e-12, atol=1e-14)


def test_names_and_arguments_are_those_of_keras(theirs):
    for name in keras.ops.__all__:
        own = list(inspect.signature(getattr(keras.ops, name)).parameters)
        known = list(inspect.signature(getattr(theirs.ops, name)).parameters)
        assert own == [each for each in known if each != "kwargs"], name


def test_numbers_without_a_dtype_take_that_of_the_others():
    ops = keras.ops
    single, double = np.ones(3, np.float32), np.ones(3)
    assert ops.add(single, 1.5).dtype == np.float32
    assert ops.add(1.5, double).dtype == np.float64
    assert ops.multiply(single, np.arange(3)).dtype == np.float32
    assert ops.multiply(np.arange(3), 0.5).tolist() == [0.0, 0.5, 1.0]
    assert ops.divide(np.arange(3), 2).dtype == np.float32
    assert ops.mean(np.arange(4)).dtype == np.float32
    assert ops.exp([0, 0]).dtype == np.float32
    assert ops.convert_to_tensor([1.0, 2.0]).dtype == np.float32
    assert ops.convert_to_tensor(double).dtype == np.float64
    assert ops.convert_to_tensor([double, double]).dtype == np.float64
    assert ops.zeros((2,)).dtype == np.float32
    assert ops.where([True, False, True], single, 0.0).dtype == np.float32
    assert ops.add(1, 2).tolist() == 3


def test_gradients_go_through():
    ops = keras.ops
    leaves = [tg.Tensor(a, requires_grad=True) for a in (A, P)]

    def run(a, p):
        gates = ops.split(ops.concatenate([ops.tanh(a), ops.log(p)], axis=-1), 2, axis=-1)
        return ops.sum(ops.softmax(gates[0]) * ops.norm(gates[1], axis=0), axis=-1)

    assert tg.gradcheck(run, tuple(leaves))
    assert not ops.stop_gradient(leaves[0] * 2).requires_grad


def test_arrays_and_back():
    ops = keras.ops
    tensor = tg.Tensor(A, requires_grad=True)
    bare = ops.convert_to_numpy(tensor)
    bare[:] = 0
    assert tensor.data.any()
    assert ops.shape(tensor) == (3, 5)
    assert (ops.ndim(tensor), ops.size(A), ops.is_tensor(tensor), ops.is_tensor(A)) == (
        2, 15, True, False
    )  # fmt: skip


def test_wrong_use():
    ops = keras.ops
    with pytest.raises(ValueError, match=r"axis 1 of x has the size 3.*num=2"):
        ops.unstack(X, 2, axis=1)
    with pytest.raises(ValueError, match="no sparse"):
        ops.one_hot([1], 3, sparse=True)
    with pytest.raises(ValueError, match="no sparse"):
        ops.convert_to_tensor([1], sparse=True)


def gated_cell(library):
    """A cell of one's own, with two weights."""
    ops = library.ops

    class Gated(library.layers.Layer):
        def __init__(self, units, **options):
            super().__init__(**options)
            self.state_size = self.units = units

        def build(self, input_shape):
            rows = input_shape[-1] + self.units
            self.kernel = self.add_weight(shape=(rows, 2 * self.units), name="kernel")
            self.bias = self.add_weight(shape=(2 * self.units,), name="bias")
            self.built = True

        def call(self, inputs, states):
            h = states[0]
            both = ops.dot(ops.concatenate([inputs, h], axis=-1), self.kernel)
            gate, new = ops.split(ops.add(both, self.bias), 2, axis=-1)
            gate = ops.sigmoid(gate)
            new = ops.where(ops.greater(new, 0.1), ops.tanh(new), ops.square(new))
            h = ops.multiply(ops.ones_like(gate) - gate, h) + gate * ops.clip(new, -0.4, 0.9)
            h = ops.subtract(h, ops.mean(h, axis=-1, keepdims=True))
            return ops.softplus(ops.maximum(h, -0.3)), [h]

    return Gated(4)


@pytest.mark.filterwarnings("error::tinygrad_rnn.errors.NotFoldedWarning")
def test_a_cell_of_ones_own_runs_as_a_program_and_as_in_keras(theirs):
    x, g = RNG.standard_normal((3, 5, 7)), RNG.standard_normal((3, 5, 4))
    known = theirs.layers.RNN(gated_cell(theirs), return_sequences=True)
    own = keras.layers.RNN(gated_cell(keras), return_sequences=True)
    own.build((None, 5, 7))
    own.set_weights([w.data + 0.1 for w in own.weights])
    known.build((None, 5, 7))
    known.set_weights(own.get_weights())
    expected, found = known(x), own(x)
    np.testing.assert_allclose(
        found.data, theirs.ops.convert_to_numpy(expected), rtol=0, atol=1e-12
    )
    (expected * theirs.ops.convert_to_tensor(g)).sum().backward()
    (found * g).sum().backward()
    for mine, other in zip(own.weights, known.weights, strict=True):
        np.testing.assert_allclose(mine.grad.data, other.value.grad.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.filterwarnings("error::tinygrad_rnn.errors.NotFoldedWarning")
def test_a_program_is_made_anew_for_another_batch_size():
    layer = keras.layers.RNN(gated_cell(keras), return_sequences=True)
    x = RNG.standard_normal((3, 5, 7))
    whole = layer(x)
    parts = [layer(x[:1]).data, layer(x[1:]).data]
    np.testing.assert_allclose(np.concatenate(parts), whole.data, rtol=1e-5, atol=1e-6)
