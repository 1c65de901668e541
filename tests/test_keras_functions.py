"""Keras' activations, initializers, regularizers and constraints: against Keras, and wrong use."""

import math
import os

import numpy as np
import pytest
from golden import make_keras_functions as golden
from golden.make_golden import cases, label, relative_error

import tinygrad_rnn as tg
from tinygrad_rnn import init
from tinygrad_rnn.core.primitive import registry
from tinygrad_rnn.keras import activations, config, constraints, initializers, regularizers

KINDS = ("activation", "regularizer", "constraint")
CASES = [case for case in cases("keras_functions") if case[0]["kind"] in KINDS]
RANDOM = [
    "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform",
    "Orthogonal", "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling",
]  # fmt: skip
NAMES = [
    *("Constant", "Identity", "Ones", "Zeros"), *RANDOM,
]  # fmt: skip
MODULES = {
    "activations": activations,
    "initializers": initializers,
    "regularizers": regularizers,
    "constraints": constraints,
}


def keras_or_skip():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    pytest.importorskip("torch")
    return pytest.importorskip("keras")


def run(kind, given_config, given):
    """What `golden.make_keras_functions` does, with this library."""
    own = golden.options(given_config)
    name = given_config["name"]
    if kind == "constraint":
        return {"out": getattr(constraints, name)(**own)(given["x"])}
    x = tg.Tensor(given["x"], requires_grad=True)
    if kind == "activation":
        out = getattr(activations, name)(x, **own)
        out.backward(given["g"][..., : out.shape[-1]])
    else:
        out = getattr(regularizers, name)(**own)(x)
        if not out.requires_grad:
            return {"out": out.data}
        out.backward()
    return {"out": out.data, "d_x": x.grad.data}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, wanted in expected.items():
        error = relative_error(found[name], wanted)
        assert error <= 1e-10, f"{name}: relative error {error:.2g}"


@pytest.mark.parametrize(
    ("given_config", "given", "expected"), CASES, ids=[label(c[0]) for c in CASES]
)
def test_function_equals_golden_arrays(given_config, given, expected):
    kind = given_config["kind"]
    assert_same(run(kind, given_config, given), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_functions_equal_keras(kind):
    keras_or_skip()
    for given_config, given in golden.drawn(kind, seed=31):
        expected = golden.SIDES[kind](given_config, given)
        try:
            assert_same(run(kind, given_config, given), expected)
        except AssertionError as error:
            raise AssertionError(f"{label(given_config)}: {error}") from error


# Activations


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "relu", "softmax", "softplus", "silu"])
def test_activation_is_the_operation_itself(name):
    assert activations.get(name) is registry[name]
    assert activations.get(getattr(activations, name)) is registry[name]
    assert activations.serialize(activations.get(name)) == name


def test_every_activation_comes_back_from_its_name():
    for given_config in golden.ACTIVATIONS:
        function = activations.get(given_config["name"])
        assert activations.serialize(function) == given_config["name"]
        assert activations.deserialize(given_config["name"]) is function
    assert activations.get(None) is activations.linear
    assert activations.get("swish") is activations.silu


def test_activations_take_arrays_and_keep_the_dtype():
    x = np.linspace(-3, 3, 7, dtype=np.float32)
    for given_config in golden.ACTIVATIONS:
        if given_config["name"] == "glu" or given_config.get("axis"):
            continue
        function, own = getattr(activations, given_config["name"]), golden.options(given_config)
        out, of_tensor = function(x, **own), function(tg.as_tensor(x), **own)
        assert isinstance(out, np.ndarray)
        assert out.dtype == of_tensor.dtype == np.float32, given_config
        np.testing.assert_array_equal(out, of_tensor.data)


def test_activations_of_the_user():
    def cubed(x):
        return x**3

    assert activations.get(cubed) is cubed
    found = activations.serialize(cubed)
    assert found["config"] == "cubed"
    assert activations.deserialize(found, {"cubed": cubed}) is cubed
    with pytest.raises(TypeError, match="has no name"):
        activations.serialize(lambda x: x)


# Initializers


def test_constant_values():
    shape = (2, 3)
    for name, expected in (("zeros", 0), ("one", 1), ("constant", 0)):
        found = initializers.get(name)(shape)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, np.full(shape, expected))
    given = np.array([1.0, 2.0, 3.0])
    constant = initializers.Constant(given)
    np.testing.assert_array_equal(constant(shape, "float64"), [given, given])
    again = initializers.deserialize(initializers.serialize(constant))
    np.testing.assert_array_equal(again.value, given)
    np.testing.assert_array_equal(initializers.Identity(2.0)(shape), 2 * np.eye(2, 3))
    assert initializers.Zeros()((2,), "int64").dtype == np.int64


def test_arrays_are_initializers():
    given = np.arange(6.0).reshape(2, 3)
    made = initializers.get(given)
    given[:] = 0
    np.testing.assert_array_equal(made((2, 3)), np.arange(6).reshape(2, 3))
    with pytest.raises(ValueError, match=r"Expected `shape` to be \(2, 3\)"):
        made((3, 2))


@pytest.mark.parametrize("name", RANDOM)
def test_seeds(name):
    kind, shape = getattr(initializers, name), (5, 3)
    seeded = kind(seed=7)
    np.testing.assert_array_equal(seeded(shape), seeded(shape))
    np.testing.assert_array_equal(seeded(shape), seeded.clone()(shape))
    assert (seeded(shape) != kind(seed=8)(shape)).any()
    tg.manual_seed(3)
    free = kind()
    first, second = free(shape), free(shape)
    assert (first != second).any()
    tg.manual_seed(3)
    np.testing.assert_array_equal(kind()(shape), first)


@pytest.mark.parametrize("dtype", [None, "float32", "float64", np.float64, np.dtype("float16")])
@pytest.mark.parametrize("name", NAMES)
def test_dtype(name, dtype):
    found = getattr(initializers, name)()((3, 2), dtype=dtype)
    assert found.shape == (3, 2)
    assert found.dtype == np.dtype(dtype or "float32")
    before = config.floatx()
    config.set_floatx("float64")
    try:
        assert getattr(initializers, name)()((3, 2)).dtype == np.float64
    finally:
        config.set_floatx(before)


# of kernels (7, 5, 3), (23, 11), (13,) and (): their inputs and outputs
FANS = {(700, 5, 3): (3500, 2100), (230, 11): (230, 11), (4000,): (4000, 4000)}


@pytest.mark.parametrize("shape", FANS)
@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
@pytest.mark.parametrize("distribution", ["uniform", "truncated_normal", "untruncated_normal"])
def test_scaled_distributions(shape, mode, distribution):
    fan_in, fan_out = FANS[shape]
    fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]
    std = math.sqrt(3.7 / fan)
    found = initializers.VarianceScaling(3.7, mode, distribution, seed=4)(shape, "float64")
    assert abs(found.mean()) < 5 * std / math.sqrt(found.size)
    # the standard deviation of a variance of n normal numbers is √(2 / n)
    assert abs(found.var() / std**2 - 1) < 5 * math.sqrt(2 / found.size)
    largest = {"uniform": math.sqrt(3), "truncated_normal": 2 / 0.87962566103423978}
    bound = largest.get(distribution, math.inf) * std
    assert np.abs(found).max() <= bound
    if math.isfinite(bound):
        assert np.abs(found).max() > 0.97 * bound


@pytest.mark.parametrize(
    ("name", "bound", "std"),
    [
        ("GlorotUniform", math.sqrt(6 / 90), math.sqrt(2 / 90)),
        ("HeUniform", math.sqrt(6 / 61), math.sqrt(2 / 61)),
        ("LecunUniform", math.sqrt(3 / 61), math.sqrt(1 / 61)),
        ("GlorotNormal", 2 * math.sqrt(2 / 90) / 0.8796256610342398, math.sqrt(2 / 90)),
        ("HeNormal", 2 * math.sqrt(2 / 61) / 0.8796256610342398, math.sqrt(2 / 61)),
        ("LecunNormal", 2 * math.sqrt(1 / 61) / 0.8796256610342398, math.sqrt(1 / 61)),
        ("RandomUniform", 0.05, 0.05 / math.sqrt(3)),
        ("TruncatedNormal", 0.1, 0.05 * 0.8796256610342398),
        ("RandomNormal", math.inf, 0.05),
    ],
)
def test_named_distributions(name, bound, std):
    found = getattr(initializers, name)(seed=1)((61, 29), "float64")
    assert np.abs(found).max() <= bound
    if math.isfinite(bound):
        assert np.abs(found).max() > 0.95 * bound
    assert abs(found.var() / std**2 - 1) < 5 * math.sqrt(2 / found.size)


def test_mean_and_bounds():
    for kind in (initializers.RandomNormal, initializers.TruncatedNormal):
        found = kind(mean=3.0, stddev=0.5, seed=0)((4001,), "float64")
        assert abs(found.mean() - 3) < 5 * 0.5 / math.sqrt(4001)
    assert 2.0 <= found.min() < 2.05
    assert 3.95 < found.max() <= 4.0
    found = initializers.RandomUniform(2.0, 3.0, seed=0)((4001,))
    assert 2.0 <= found.min() < 2.01
    assert 2.99 < found.max() <= 3.0


def test_axes_of_fans():
    own = initializers.GlorotUniform(seed=0, input_axes=[0], output_axes=[1, 2])
    assert np.abs(own((601, 7, 5), "float64")).max() == pytest.approx(math.sqrt(6 / 636), rel=1e-3)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (2, 3, 5), (7, 2, 3), (5, 5)])
def test_orthogonal(shape):
    found = initializers.Orthogonal(gain=1.5, seed=2)(shape, "float64")
    assert found.shape == shape
    matrix = found.reshape(-1, shape[-1])
    few = matrix if len(matrix) <= shape[-1] else matrix.T
    np.testing.assert_allclose(few @ few.T, 2.25 * np.eye(len(few)), atol=1e-12)
    expected = init.orthogonal(matrix.shape, "float64", np.random.default_rng(2), 1.5)
    np.testing.assert_array_equal(matrix, expected)


# Configurations


def test_configurations_are_those_of_keras():
    keras = keras_or_skip()
    made = {
        "initializers": [
            *((name, {}) for name in NAMES),
            ("VarianceScaling", {"scale": 2.0, "mode": "fan_avg", "distribution": "uniform"}),
            ("Orthogonal", {"gain": 2.0, "seed": 3}),
            ("HeNormal", {"seed": 3}),
            ("Constant", {"value": np.arange(3.0)}),
        ],
        "regularizers": [(c["name"], golden.options(c)) for c in golden.REGULARIZERS],
        "constraints": [(c["name"], golden.options(c)) for c in golden.CONSTRAINTS],
    }
    for module, kinds in made.items():
        theirs, ours = getattr(keras, module), MODULES[module]
        for name, own in kinds:
            expected = theirs.serialize(getattr(theirs, name)(**own))
            found = ours.serialize(getattr(ours, name)(**own))
            if name == "Identity":  # Keras forgets it
                expected["config"] = {"gain": 1.0}
            if name in ("L1", "OrthogonalRegularizer"):  # Keras rounds these to float32
                for which in found["config"].keys() - {"mode"}:
                    expected["config"][which] = pytest.approx(found["config"][which], rel=1e-6)
            assert found == expected
            assert ours.serialize(ours.deserialize(found)) == found
    for given_config in golden.ACTIVATIONS:
        name = given_config["name"]
        assert keras.activations.serialize(getattr(keras.activations, name)) == name


@pytest.mark.parametrize("module", MODULES)
def test_names_are_those_of_keras(module):
    keras_or_skip()
    import importlib

    known = importlib.import_module(f"keras.src.{module}").ALL_OBJECTS_DICT
    bases = {"Initializer", "Regularizer", "Constraint"}
    missing = {
        "initializer", "regularizer", "constraint", "STFT", "stft", "STFTInitializer",
        "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus", "threshold",
    }  # fmt: skip
    for name in known.keys() - bases - missing:
        assert callable(MODULES[module].get(name)), name


# Wrong use


@pytest.mark.parametrize("module", MODULES)
def test_unknown_names(module):
    near = {
        "activations": ("tahn", "tanh"),
        "initializers": ("glorot_unifrom", "glorot_uniform"),
        "regularizers": ("l1_12", "l1_l2"),
        "constraints": ("maxnorm", "max_norm"),
    }
    given, meant = near[module]
    for wrong in (given, {"class_name": given, "config": {}}):
        with pytest.raises(ValueError, match=rf"{given}.*Did you mean .*'{meant}'"):
            MODULES[module].get(wrong)
    for wrong in (3, {"config": {}}, {"class_name": None}):
        with pytest.raises(ValueError, match="Received: "):
            MODULES[module].get(wrong)


def test_a_configuration_that_does_not_fit():
    with pytest.raises(ValueError, match=r"can't be made from its configuration.*gian"):
        initializers.get({"class_name": "Orthogonal", "config": {"gian": 1.0}})


class Halves(initializers.Initializer):
    """All 1/2."""

    def __call__(self, shape, dtype=None):
        return np.full(shape, 0.5, dtype)


def test_classes_of_the_user():
    assert isinstance(initializers.get(Halves), Halves)
    found = initializers.serialize(Halves())
    assert found["class_name"] == found["registered_name"] == "Halves"
    with pytest.raises(ValueError, match="custom_objects"):
        initializers.deserialize(found)
    again = initializers.deserialize(found, {"Halves": Halves})
    assert isinstance(again, Halves)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: initializers.VarianceScaling(scale=0), "scale.*Received: scale=0"),
        (lambda: initializers.VarianceScaling(mode="fan"), "mode.*Received: mode='fan'"),
        (lambda: initializers.VarianceScaling(distribution="n"), "distribution"),
        (lambda: initializers.RandomNormal(seed="a"), "Received: seed='a'"),
        (lambda: initializers.RandomNormal(seed=-1), "Received: seed=-1"),
        (lambda: initializers.Identity()((2, 3, 5)), "rank 3"),
        (lambda: initializers.Orthogonal()((3,)), "rank 1"),
        (lambda: initializers.Constant([1.0, 2.0])((3,)), r"Received: shape=\(3,\)"),
        (lambda: initializers.Zeros()((-1,)), "negative"),
        (lambda: initializers.RandomNormal()((2,), "int32"), "Unknown dtype"),
        (lambda: regularizers.L1(-1.0), "Received: l1=-1.0"),
        (lambda: regularizers.L2("a"), "Received: l2='a'"),
        (lambda: regularizers.L1L2(l2=math.nan), "Received: l2=nan"),
        (lambda: regularizers.OrthogonalRegularizer(mode="row"), "Received: mode='row'"),
        (lambda: regularizers.OrthogonalRegularizer()(np.ones(3)), "rank 2"),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_constraints_take_tensors_and_keep_the_dtype():
    w = tg.Tensor(np.ones((3, 2), np.float32), requires_grad=True)
    for given_config in golden.CONSTRAINTS:
        found = getattr(constraints, given_config["name"])(**golden.options(given_config))(w)
        assert isinstance(found, np.ndarray)
        assert found.dtype == np.float32
    assert (w.data == 1).all()
