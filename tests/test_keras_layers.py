"""Keras' layers other than recurrent ones: against Keras, and wrong use."""

import copy
import json
import os
import pickle
import warnings

import numpy as np
import pytest
from golden import make_keras_layers as golden
from golden.make_golden import cases, relative_error

import tinygrad_rnn as tg
from tinygrad_rnn.keras import config, layers, masks, naming, regularizers
from tinygrad_rnn.keras.configs import object_config, object_from

CASES = cases("keras_layers")
NAMES = [f"{i} {c[0]['layer']} {c[0]['options']}" for i, c in enumerate(CASES)]
# Keras writes a dtype as an object, and has options that aren't here.
OTHERS = {"quantization_config": None, "rms_scaling": False}


@pytest.fixture(autouse=True)
def fresh_names():
    naming.clear_session()
    yield
    config.set_floatx("float32")


def make(given_config):
    return getattr(layers, given_config["layer"])(dtype="float64", **given_config["options"])


def outcome(given_config, given):
    """What `golden.outcome` does, with this library."""
    layer = make(given_config)
    layer.build(given["x"].shape)
    layer.set_weights([given[f"w{i}"] for i in range(len(given_config["weights"]))])
    x = tg.Tensor(given["x"], requires_grad=not given_config["ids"])
    if "mask" in given:
        masks.with_mask(x, given["mask"] > 0)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        out = layer(x)
    mask = masks.mask_of(out)
    penalty = sum(layer.losses, tg.Tensor(0.0, dtype="float64"))
    total = (out * given["g"][: out.size].reshape(out.shape)).sum() + penalty
    if total.requires_grad:
        total.backward()
    found = {"out": out.data, "penalty": penalty.data}
    if not given_config["ids"]:
        found["d_x"] = x.grad.data
    if layer.trainable:
        found |= {f"d_w{i}": w.grad.data for i, w in enumerate(layer.weights)}
    if mask is not None:
        found["mask"] = mask
    facts = {
        "config": json.loads(json.dumps(layer.get_config())),
        "paths": [w.path for w in layer.weights],
        "shapes": [
            list(layer.compute_output_shape(s)) for s in golden.unknown(given_config["shape"])
        ],
        "warned": any("does not support masking" in str(w.message) for w in told),
        "supports_masking": layer.supports_masking,
        "trainable": len(layer.trainable_weights),
    }
    return found, facts


def assert_same(found, expected):
    arrays, facts = found
    wanted, told = expected
    assert arrays.keys() == wanted.keys()
    for name, array in wanted.items():
        error = relative_error(arrays[name], array)
        assert error <= 1e-10, f"{name}: relative error {error:.2g}"
    own = dict(told["config"])
    if "dtype" in own:
        own["dtype"] = "float64"
    for name, value in OTHERS.items():
        assert own.pop(name, value) == value
    if "trainable" not in own:  # Keras leaves it out for SpatialDropout1D
        own["trainable"] = True
    assert {**facts, "config": None} == {**told, "config": None}
    assert facts["config"] == own


@pytest.mark.parametrize(("given_config", "given", "expected"), CASES, ids=NAMES)
def test_layer_equals_golden_arrays(given_config, given, expected):
    assert_same(outcome(given_config, given), (expected, given_config["facts"]))


def test_layers_equal_keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    pytest.importorskip("torch")
    pytest.importorskip("keras")
    for given_config, given in golden.drawn(seed=31)[::3]:
        naming.clear_session()
        try:
            assert_same(outcome(given_config, given), golden.outcome(given_config, given))
        except AssertionError as error:
            raise AssertionError(f"{given_config}: {error}") from error


@pytest.mark.parametrize(("given_config", "given", "expected"), CASES, ids=NAMES)
def test_layer_from_configuration(given_config, given, expected):
    layer = make(given_config)
    layer.build(given["x"].shape)
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert object_from(object_config(layer)).get_config() == layer.get_config()
    # what Keras itself writes is read as well
    assert type(layer).from_config(given_config["facts"]["config"]).get_config() == (
        layer.get_config()
    )
    again.build(given["x"].shape)
    again.set_weights([given[f"w{i}"] for i in range(len(given_config["weights"]))])
    assert relative_error(again(given["x"]).data, expected["out"]) <= 1e-10 or "mask" in given


# What can't be compared with Keras, or is ours


def test_dropout_in_training():
    x = tg.Tensor(np.ones((7, 5, 3)), requires_grad=True)
    for layer in (
        layers.Dropout(0.25, seed=3, dtype="float64"),
        layers.Dropout(0.25, noise_shape=(None, 1, 3), seed=3, dtype="float64"),
        layers.SpatialDropout1D(0.25, seed=3, dtype="float64"),
    ):
        again = type(layer).from_config(layer.get_config())
        y = layer(x, training=True)
        assert set(y.data.ravel()) == {0.0, 1 / 0.75}
        assert (again(x, training=True).data == y.data).all()
        assert not (layer(x, training=True).data == y.data).all()
        assert layer(x) is x
        x.grad = None
        y.sum().backward()
        assert (x.grad.data == y.data).all()
        assert (layer.noise_shape is None) != (y.data == y.data[:, :1]).all()
    assert (layers.Dropout(1.0)(np.ones((2, 3)), training=True).data == 0).all()
    assert (layers.Dropout(0)(np.ones((2, 3)), training=True).data == 1).all()


def test_masked_steps_with_nan_are_left_out_of_a_mean():
    x = np.ones((1, 3, 2))
    x[0, 2] = np.nan
    y = layers.GlobalAveragePooling1D()(x, mask=[[True, True, False]])
    assert y.tolist() == [[1.0, 1.0]]
    with pytest.raises(ValueError, match=r"mask.shape=\(1, 2\)"):
        layers.GlobalAveragePooling1D()(x, mask=[[True, True]])


def test_softmax_with_a_mask():
    x = np.random.default_rng(3).normal(size=(2, 5))
    mask = np.array([[1, 0, 1, 0, 1], [0, 0, 0, 0, 0]]) > 0
    y = layers.Softmax(dtype="float64")(x, mask=mask).data
    wanted = np.exp(x[0, ::2]) / np.exp(x[0, ::2]).sum()
    np.testing.assert_allclose(y[0, ::2], wanted, rtol=1e-14)
    assert (y[~mask] == 0).all()
    with pytest.raises(ValueError, match="must be broadcastable"):
        layers.Softmax()(x, mask=mask[:, :3])


def test_embedding_knows_large_numbers():
    layer = layers.Embedding(2**24 + 2, 1, embeddings_initializer="zeros")
    layer.embeddings.data[2**24 + 1] = 1
    assert layer(np.array([[2.0**24 + 1, 2.0**24]])).tolist() == [[[1.0], [0.0]]]
    with pytest.raises(TypeError, match="whole numbers"):
        layer(np.array([[np.nan]]))


class Scale(layers.Layer):
    """A user's layer: weights that are learnt and not, out of order, and an inner layer."""

    def __init__(self, size, **options):
        super().__init__(**options)
        self.size = size
        self.inner = layers.Dense(size)

    def build(self, input_shape):
        self.count = self.add_weight(shape=(), name="count", initializer="zeros", trainable=False)
        self.scale = self.add_weight(shape=input_shape[-1:], name="scale", initializer="ones")

    def call(self, x):
        return self.inner(x * self.scale)


def test_users_layer():
    layer = Scale(5)
    assert layer.compute_output_shape((None, 3)) == (None, 5)
    paths = ["scale/scale", "scale/count", "scale/dense/kernel", "scale/dense/bias"]
    assert [w.path for w in layer.weights] == paths
    assert [w.name for w in layer.non_trainable_variables] == ["count"]
    layer.trainable = False
    assert layer.trainable_weights == []
    assert not layer.inner.trainable
    layer.trainable = True
    assert [w.path for w in layer.trainable_variables] == [p for p in paths if "count" not in p]
    assert layer.count_params() == 3 + 1 + 3 * 5 + 5
    again = Scale.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert object_from(object_config(layer), {"Scale": Scale}).size == 5
    with pytest.raises(ValueError, match=r"Unknown class 'Scale'.*custom_objects"):
        object_from(object_config(layer))
    copied = pickle.loads(pickle.dumps(layer))
    copied.trainable = True
    assert [w.learnable for w in copied.weights] == [True, False, True, True]
    x = np.ones((2, 3), np.float32)
    assert (copied(x).data == layer(x).data).all()
    assert (copy.deepcopy(layer)(x).data == layer(x).data).all()


def test_frozen_layer_is_learnt_again():
    layer = layers.Dense(5, trainable=False)
    layer.build((None, 3))
    assert (len(layer.trainable_weights), len(layer.non_trainable_weights)) == (0, 2)
    assert not layer.get_config()["trainable"]
    layer.trainable = True
    assert (len(layer.trainable_weights), len(layer.non_trainable_weights)) == (2, 0)


def test_weights_of_layer():
    layer = layers.Dense(5, bias_constraint="non_neg", kernel_regularizer="l2")
    assert layer.get_weights() == []
    assert layer.weights == []
    layer.build((None, 3))
    assert layer.kernel.regularizer is layer.kernel_regularizer
    assert layer.bias.constraint is layer.bias_constraint
    values = [np.arange(15.0).reshape(3, 5), np.arange(5)]
    layer.set_weights(values)
    found = layer.get_weights()
    assert [v.dtype for v in found] == [np.float32] * 2
    assert all((a == b).all() for a, b in zip(found, values, strict=True))
    found[0][:] = 9
    assert (layer.kernel.data == values[0]).all()
    bad = [
        (values[:1], "length 1.*expecting 2"),
        ([values[0], np.ones(4)], r"\(5,\) is not compatible with provided weight shape \(4,\)"),
        ([values[0] + 1, np.array(["a"] * 5)], "real numbers. Received: dtype=<U1"),
        (3, "list of arrays.*Received: int"),
    ]
    for given, message in bad:
        with pytest.raises(ValueError, match=message):
            layer.set_weights(given)
        assert all((a == b).all() for a, b in zip(layer.get_weights(), values, strict=True))
    with pytest.raises(ValueError, match=r"value.shape=\(3,\)"):
        layer.bias.assign(np.ones(3))
    with pytest.raises(ValueError, match="dtype=<U1"):
        layer.bias.assign(np.array(["a"] * 5))


class Weighted(layers.Layer):
    def __init__(self, weight):
        super().__init__()
        self.weight = weight

    def build(self, input_shape):
        self.w = self.add_weight(**self.weight)

    def call(self, x):
        return x


def test_add_weight():
    layer = Weighted({})
    layer.build((None, 3))
    assert (layer.w.shape, layer.w.name, layer.w.dtype) == ((), "variable", np.float32)
    layer = Weighted({"shape": 3, "dtype": "int64", "trainable": False})
    layer.build((None, 3))
    assert (layer.w.data == np.zeros(3)).all()
    assert layer.w.dtype == np.int64
    assert layer.w.name == "variable_1"
    for weight, message in (
        ({"shape": (None, 3)}, r"Received: shape=\(None, 3\)"),
        ({"shape": (2, 3), "initializer": lambda shape, dtype: np.ones(3)}, r"shape=\(3,\)"),
        ({"shape": (2.5,)}, r"Received: \(2.5,\)"),
        ({"shape": (2,), "initializer": "zeroes"}, "zeros"),
    ):
        layer = Weighted(weight)
        with pytest.raises(ValueError, match=message):
            layer.build((None, 3))
        assert not layer.built
        assert layer.weights == []


def test_layers_may_lack_build_and_output_shape():
    class Ends(layers.Layer):
        def call(self, inputs):
            first, second = inputs
            return first[:, -1], second[:, 0]

    layer = Ends()
    first, second = layer([np.ones((2, 3, 5)), np.ones((2, 7))])
    assert (first.shape, second.shape) == ((2, 5), (2,))
    assert layer.compute_output_shape([(None, 3, 5), (None, 7)]) == ((None, 5), (None,))
    with pytest.raises(NotImplementedError, match="call"):
        layers.Layer()(np.ones(3))


def test_output_shape_leaves_no_trace():
    class Counting(layers.Layer):
        calls = 0

        def call(self, x, training=None):
            self.calls += 1
            assert not training
            self.add_loss(x.sum())
            return x

    layer = Counting()
    layer.train()
    assert layer.compute_output_shape((None, 3)) == (None, 3)
    assert layer.calls == 0
    assert layer.losses == []
    assert layer.training


def test_configuration_needs_attributes():
    class Forgetful(layers.Layer):
        def __init__(self, size, **options):
            super().__init__(**options)

    with pytest.raises(NotImplementedError, match=r"\['size'\].*override `get_config"):
        Forgetful(3).get_config()


def test_initializer_with_a_layers_name():
    layer = layers.Dense(3, kernel_initializer="identity", activation="relu")
    again = object_from(object_config(layer))
    again.build((None, 3))
    assert (again.kernel.data == np.eye(3)).all()


def test_lambda():
    def power(x, exponent, training=False):
        return x**exponent if training else x

    layer = layers.Lambda(power, arguments={"exponent": 3})
    assert layer([2.0]).tolist() == [2.0]
    assert layer([2.0], training=True).tolist() == [8.0]
    assert layer.compute_output_shape((None, 3)) == (None, 3)
    again = object_from(object_config(layer), {"power": power})
    assert again([2.0], training=True).tolist() == [8.0]
    assert layers.Lambda(power, output_shape=(7,)).compute_output_shape((None, 3)) == (None, 7)
    assert layers.Lambda(power, output_shape=lambda s: s[:1]).compute_output_shape((5, 3)) == (5,)
    with pytest.raises(TypeError, match="no name"):
        layers.Lambda(lambda x: x).get_config()
    with pytest.raises(TypeError, match="Received: 3"):
        layers.Lambda(3)
    x = masks.with_mask(tg.Tensor(np.ones((2, 3))), np.ones((2, 3)))
    y = layers.Lambda(lambda x: x + 1, mask=lambda inputs, mask: ~mask)(x)
    assert not masks.mask_of(y).any()
    with pytest.warns(UserWarning, match="'lambda_5' .of type Lambda.*destroy the mask"):
        assert masks.mask_of(layers.Lambda(lambda x: x + 1)(x)) is None


# Calls


class Told(layers.Layer):
    """Notes the phase of its calls."""

    def call(self, x, training=None):
        self.told = training
        return x


class Outer(layers.Layer):
    def __init__(self, inner, phase=None):
        super().__init__()
        self.inner, self.phase = inner, phase

    def call(self, x):
        return self.inner(x) if self.phase is None else self.inner(x, training=self.phase)


def test_phase_reaches_inner_layers():
    inner = Told()
    outer = Outer(Outer(inner))
    x = np.ones((2, 3))
    outer(x)
    assert inner.told is False
    outer(x, training=True)
    assert inner.told is True
    outer.train()
    outer(x)
    assert inner.told is True
    outer(x, training=False)
    assert inner.told is False
    Outer(inner, phase=True)(x, training=False)
    assert inner.told is True
    outer.eval()
    outer(x)
    assert inner.told is False


def test_masks_of_users_layers():
    class Seen(layers.Layer):
        supports_masking = True

        def call(self, inputs, mask=None):
            self.mask = mask
            return inputs + 0.0, inputs.sum(axis=1)

    class First(layers.Layer):
        def call(self, inputs):
            return inputs + 1.0

        def compute_mask(self, inputs, mask=None):
            return inputs.data[..., 0] > 0

    x = tg.Tensor(np.array([[[1.0], [-1.0]]]))
    y = First()(x)
    assert masks.mask_of(y).tolist() == [[True, False]]
    seen = Seen()
    whole, last = seen(y)
    assert seen.mask.tolist() == [[True, False]] == masks.mask_of(whole).tolist()
    assert masks.mask_of(last) is None
    seen(y, mask=[[0, 1]])
    assert seen.mask.tolist() == [[False, True]]


def test_penalties_are_those_of_the_last_call():
    class Twice(layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = layers.Activation("linear", activity_regularizer=regularizers.L1(1.0))

        def call(self, x):
            return self.inner(self.inner(x) * 2)

    layer = Twice()
    for _ in range(2):
        layer(np.ones((5, 3)))
        assert [loss.item() for loss in layer.losses] == [3.0, 6.0]
    layer.inner(np.ones((5, 3)))
    assert [loss.item() for loss in layer.losses] == [3.0]
    layer(np.ones((5, 7)))
    assert [loss.item() for loss in layer.losses] == [7.0, 14.0]


def test_dtypes_of_layers():
    assert layers.Dense(3)(np.ones((2, 5))).dtype == np.float32
    assert layers.Dense(3, dtype="float64")(np.ones((2, 5), np.float32)).dtype == np.float64
    assert layers.Dense(3)(np.ones((2, 5), int)).dtype == np.float32
    assert layers.GlobalAveragePooling1D()(np.ones((2, 3, 5), int)).dtype == np.float32
    config.set_floatx(np.float64)
    assert layers.Embedding(3, 5)([[1]]).dtype == np.float64
    assert layers.Dense(3).get_config()["dtype"] == "float64"
    with pytest.raises(ValueError, match=r"Received: 'flaot32'. Did you mean 'float32'"):
        config.set_floatx("flaot32")
    assert config.floatx() == "float64"


def test_names_count_up():
    assert [layers.Dense(3).name for _ in range(3)] == ["dense", "dense_1", "dense_2"]
    assert layers.Dense(3, name="dense_7").name == "dense_7"
    assert layers.GlobalAveragePooling1D().name == "global_average_pooling1d"
    assert layers.ReLU().name == "re_lu"
    naming.clear_session()
    assert layers.Dense(3).name == "dense"


# Older spellings


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"input_shape": (7, 3)}, (None, 7, 3)),
        ({"input_shape": 3}, (None, 3)),
        ({"input_shape": (None, 3)}, (None, None, 3)),
        ({"batch_input_shape": (2, 7, 3)}, (2, 7, 3)),
        ({"batch_shape": (2, 7, 3)}, (2, 7, 3)),
        ({"input_dim": 3}, (None, 3)),
        ({"input_dim": 3, "input_length": 7}, (None, 7, 3)),
        ({}, None),
    ],
)
def test_shape_of_first_layer(options, shape):
    layer = layers.Dense(5, **options)
    assert layer.batch_input_shape == shape
    assert layers.Dense.from_config(layer.get_config()).batch_input_shape == shape


@pytest.mark.parametrize("options", [{"shape": (7, 3)}, {"input_shape": (7, 3)},
                                     {"batch_shape": (None, 7, 3)},
                                     {"batch_input_shape": (None, 7, 3)}])  # fmt: skip
def test_input(options):
    layer = layers.InputLayer(**options)
    assert layer.batch_shape == layer.shape == (None, 7, 3)
    assert object_from(object_config(layer)).shape == (None, 7, 3)
    assert layers.Input((np.int64(3),), batch_size=2, dtype="int32").get_config() == {
        "batch_shape": [2, 3], "dtype": "int32", "name": "input_layer_1",
    }  # fmt: skip


def test_embedding_of_older_kind():
    matrix = np.random.default_rng(1).normal(size=(7, 3))
    for given in (matrix, [matrix]):
        layer = layers.Embedding(7, 3, weights=given, input_length=5, trainable=False)
        assert layer.batch_input_shape == (None, 5)
        assert layer.embeddings.data == pytest.approx(matrix, rel=1e-7)
        assert layer.trainable_weights == []
    with pytest.raises(ValueError, match=r"\(7, 3\) is not compatible.* \(6, 3\)"):
        layers.Embedding(7, 3, weights=matrix[:6])


def test_initial_weights_that_do_not_fit():
    layer = layers.Dense(5, weights=[np.ones((3, 5)), np.ones(4)])
    with pytest.raises(ValueError, match="not compatible"):
        layer(np.ones((2, 3)))
    assert not layer.built
    assert layer.weights == []
    layer = layers.Dense(5, weights=[np.ones((3, 5)), np.ones(5)])
    assert layer(np.ones((1, 3))).tolist() == [[4.0] * 5]


# Wrong use


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: layers.Dense(0), "`units`, expected a positive integer. Received: units=0"),
        (lambda: layers.Dense("a"), "Received: units='a'"),
        (lambda: layers.Dense(True), "Received: units=True"),
        (lambda: layers.Dense(3, activation="rely"), "'rely'. Did you mean 'relu'"),
        (lambda: layers.Dense(3, name=4), "Received: name=4"),
        (lambda: layers.Dense(3, name="a/b"), "Received: name='a/b'"),
        (lambda: layers.Dense(3, trainable=1), "Received: trainable=1"),
        (lambda: layers.Dense(3, dtype="int32"), "Received: 'int32'"),
        (lambda: layers.Dense(3, input_shape="a"), "Received: 'a'"),
        (lambda: layers.Dense(3, input_shape=(2.5,)), r"Received: \(2.5,\)"),
        (lambda: layers.Dense(3, input_length=5), "input_length=5 needs input_dim"),
        (lambda: layers.Dense(3).build(None), "Received: None"),
        (lambda: layers.Dense(3).build((None, None)), r"Received: shape=\(None, 3\)"),
        (lambda: layers.Dense(3)(np.ones(4)), r"min_ndim=2, found ndim=1. .*received: \(4,\)"),
        (lambda: layers.Dense(3)([np.ones((2, 3))] * 2), "expects 1 input.*received 2.*np.stack"),
        (lambda: layers.Dense(3).count_params(), "isn't built"),
        (lambda: layers.Dense(3).set_weights([1]), "isn't built: call it"),
        (lambda: layers.Embedding(0, 3), "Received: input_dim=0"),
        (lambda: layers.Embedding(5, -3), "Received: output_dim=-3"),
        (lambda: layers.Masking("a"), "Received: mask_value='a'"),
        (lambda: layers.Dropout(1.5), "Received: rate=1.5"),
        (lambda: layers.Dropout("a"), "Received: rate='a'"),
        (lambda: layers.Dropout(0.5, noise_shape=3), "Received: noise_shape=3"),
        (lambda: layers.Dropout(0.5, noise_shape=(None, 1))(np.ones((2, 3, 5)), training=True),
         r"noise_shape=\(None, 1\), inputs.shape=\(2, 3, 5\)"),
        (lambda: layers.Dropout(0.5, noise_shape=(None, 2))(np.ones((2, 3)), training=True),
         r"noise_shape=\(None, 2\), inputs.shape=\(2, 3\)"),
        (lambda: layers.SpatialDropout1D(0.5)(np.ones((2, 3))), "expected ndim=3, found ndim=2"),
        (lambda: layers.Flatten(data_format="last"), "Received: 'last'"),
        (lambda: layers.Reshape(5), "Received: target_shape=5"),
        (lambda: layers.Reshape((-2, 5)), r"Received: target_shape=\(-2, 5\)"),
        (lambda: layers.Reshape((-1, -1)), r"Received: target_shape=\(-1, -1\)"),
        (lambda: layers.Reshape((2, 5))(np.ones((2, 3))), r"\(3,\), target_shape=\(2, 5"),
        (lambda: layers.Reshape((-1, 5))(np.ones((2, 3))), r"\(3,\), target_shape=\(-1, 5"),
        (lambda: layers.RepeatVector(0), "Received: n=0"),
        (lambda: layers.RepeatVector(2)(np.ones((2, 3, 5))), "expected ndim=2, found ndim=3"),
        (lambda: layers.Permute(3), "Received: dims=3"),
        (lambda: layers.Permute((0, 1)), r"Received: dims=\(0, 1\)"),
        (lambda: layers.Permute((2, 1))(np.ones((2, 3))), "expected ndim=3, found ndim=2"),
        (lambda: layers.GlobalMaxPooling1D()(np.ones((2, 3))), "expected ndim=3, found ndim=2"),
        (lambda: layers.GlobalMaxPooling1D(data_format="first"), "Received: 'first'"),
        (lambda: layers.LayerNormalization(axis=3)(np.ones((2, 3))), "Received: axis=3"),
        (lambda: layers.LayerNormalization(axis=(1, -1))(np.ones((2, 3))), r"axis=\[1, -1\]"),
        (lambda: layers.LayerNormalization(epsilon=-1), "Received: epsilon=-1"),
        (lambda: layers.ReLU(max_value=-1), "Received: max_value=-1"),
        (lambda: layers.LeakyReLU(None), "Received: negative_slope=None"),
        (lambda: layers.Softmax((1, 2)), r"Received: axis=\(1, 2\)"),
        (lambda: layers.Input(), "Received: shape=None, batch_shape=None"),
        (lambda: layers.Input(5), r"Received: 5"),
        (lambda: layers.Input((5,), dtype="flaot"), "Received: dtype='flaot'"),
        (lambda: layers.Input(batch_shape=(2, 5), batch_size=2), "batch_size=2"),
    ],
)  # fmt: skip
def test_wrong_values(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: layers.Dense(3, actvation="relu"), "Did you mean 'activation'"),
        (lambda: layers.Dense(3)(None), "Received: None"),
        (lambda: layers.Dense(3)(np.array([["a"]])), "not <U1"),
        (lambda: layers.Dense(3)(layers.Input((5,))), "functional API isn't here"),
        (lambda: layers.Dense(3)(np.ones((2, 3)), foo=1), "foo"),
        (lambda: layers.Dense(3)(np.ones((2, 3)), 1), "takes .* after its inputs"),
        (lambda: layers.LayerNormalization(axis="a"), "Received: axis='a'"),
        (lambda: layers.SpatialDropout1D(0.5, noise_shape=(1, 1, 1)), "noise_shape"),
        (lambda: layers.Embedding(5, 3)(np.array([[0.5]])), "whole numbers from 0 to 4"),
    ],
)  # fmt: skip
def test_wrong_kinds(wrong, message):
    with pytest.raises(TypeError, match=message):
        wrong()


def test_number_without_a_vector():
    for number in (-1, 5):
        with pytest.raises(IndexError, match=f"index {number} is outside"):
            layers.Embedding(5, 3)([[number]])


def test_input_that_does_not_fit_leaves_a_layer_as_it_was():
    layer = layers.Dense(5)
    with pytest.raises(ValueError, match="min_ndim"):
        layer(np.ones(3))
    assert not layer.built
    assert layer.weights == []
    layer(np.ones((2, 3)))
    with pytest.raises(ValueError, match="axis -1 of input shape to have value 3"):
        layer(np.ones((2, 7)))
    assert layer.kernel.shape == (3, 5)
