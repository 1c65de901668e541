"""Keras' losses and metrics: against Keras, their weights and masks, and wrong use."""

import math
import os

import numpy as np
import pytest
from golden import make_keras_functions as golden
from golden.make_golden import cases, label, relative_error

import tinygrad_rnn as tg
from tinygrad_rnn.checking import gradcheck
from tinygrad_rnn.keras import losses, metrics
from tinygrad_rnn.keras.masks import mask_of, with_mask
from tinygrad_rnn.keras.naming import snake_case

CASES = [case for case in cases("keras_functions") if case[0]["kind"] in ("loss", "metric")]


def keras_or_skip():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    pytest.importorskip("torch")
    return pytest.importorskip("keras")


def run_loss(config, given):
    y_pred = tg.Tensor(given["y_pred"], requires_grad=True)
    with_mask(y_pred, given["mask"] > 0 if "mask" in given else None)
    made = getattr(losses, config["name"])(**golden.options(config))
    out = made(given["y_true"], y_pred, sample_weight=given.get("weights"))
    out.backward(given["g"][: out.size].reshape(out.shape))
    return {"out": out.data, "d_y_pred": y_pred.grad.data}


def run_metric(config, given):
    made = getattr(metrics, config["name"])(**golden.options(config))
    results = []
    for number in (0, 1, None, 1):
        if number is None:
            made.reset_state()
            continue
        one = {n[:-1]: a for n, a in given.items() if n.endswith(str(number))}
        y_pred = with_mask(tg.Tensor(one["y_pred"]), one["mask"] > 0 if "mask" in one else None)
        results.append(made(one["y_true"], y_pred, sample_weight=one.get("weights")))
    assert all(type(result) is float for result in results)
    return {"out": np.array(results)}


SIDES = {"loss": run_loss, "metric": run_metric}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, wanted in expected.items():
        error = relative_error(found[name], wanted)
        assert error <= 1e-10, f"{name}: relative error {error:.2g}"


@pytest.mark.parametrize(("config", "given", "expected"), CASES, ids=[label(c[0]) for c in CASES])
def test_golden_arrays(config, given, expected):
    config = dict(config)
    assert_same(SIDES[config.pop("kind")](config, given), expected)


@pytest.mark.parametrize("kind", SIDES)
def test_equal_to_keras(kind):
    keras_or_skip()
    for config, given in golden.drawn(kind, seed=57):
        expected = golden.SIDES[kind](config, given)
        try:
            assert_same(SIDES[kind](config, given), expected)
        except AssertionError as error:
            raise AssertionError(f"{label(config)} {sorted(given)}: {error}") from error


# Losses


@pytest.mark.parametrize("config", golden.LOSSES, ids=label)
def test_gradients_of_losses(config, rng):
    given = golden.batch(config, (3, 2, 5), ("steps", True), rng)
    if "axis" in config:
        del given["weights"], given["mask"]
    made = getattr(losses, config["name"])(**golden.options(config))

    def loss(y_pred):
        with_mask(y_pred, given["mask"] > 0 if "mask" in given else None)
        return made(given["y_true"], y_pred, sample_weight=given.get("weights"))

    assert gradcheck(loss, (tg.Tensor(given["y_pred"], requires_grad=True),))


@pytest.mark.parametrize("config", golden.LOSSES, ids=label)
def test_losses_compute_in_the_dtype_of_the_prediction(config, rng):
    given = golden.batch(config, (3, 2, 5), (None, False), rng)
    made = getattr(losses, config["name"])(**golden.options(config))
    exact = made(given["y_true"], given["y_pred"])
    single = made(given["y_true"], tg.Tensor(given["y_pred"], dtype=np.float32))
    assert (exact.dtype, single.dtype) == (np.float64, np.float32)
    assert float(single) == pytest.approx(float(exact), rel=1e-4)
    in_double = getattr(losses, config["name"])(**golden.options(config), dtype="float64")
    assert in_double(given["y_true"], given["y_pred"].astype(np.float32)).dtype == np.float64


def test_functions_of_the_user_compute_in_the_dtype_of_the_prediction():
    loss = losses.resolve(lambda y_true, y_pred: ((y_true - y_pred) ** 2).mean(axis=-1))
    for y_true in ([[1, 2]], np.ones((1, 2))):
        assert loss(y_true, tg.Tensor([[1.0, 2.0]], dtype=np.float32)).dtype == np.float32


def test_classes_are_not_rounded_to_a_small_dtype():
    y_pred = np.zeros((1, 3001), np.float16)
    y_pred[0, 2999] = 1
    loss = losses.SparseCategoricalCrossentropy()
    assert float(loss([2999], y_pred)) < 0.01
    assert metrics.SparseCategoricalAccuracy()([2999], y_pred) == 1.0


def test_exact_at_the_ends():
    rows = [[0.0, 1.0], [1.0, 0.0]]
    expected = -math.log(1e-7)
    for loss in (
        losses.binary_crossentropy([[1.0, 0.0]] * 2, rows)[0],
        losses.categorical_crossentropy([[1.0, 0.0]] * 2, rows)[0],
        losses.sparse_categorical_crossentropy([0, 0], rows)[0],
    ):
        assert float(loss) == pytest.approx(expected, rel=1e-7)
    assert float(losses.log_cosh([0.0], [-800.0])) == pytest.approx(800 - math.log(2), rel=1e-15)
    assert float(losses.log_cosh([0.0], [-12.0])) == pytest.approx(
        12 + math.log1p(math.exp(-24)) - math.log(2), rel=1e-15
    )
    assert float(losses.cosine_similarity([[0.0, 0.0]], [[1.0, 2.0]])[0]) == 0


def test_ignored_classes_have_no_gradient_and_are_masked():
    y_pred = tg.Tensor([[0.25, 0.75], [0.0, 0.0]], requires_grad=True)
    out = losses.sparse_categorical_crossentropy([0, -1], y_pred, ignore_class=-1)
    np.testing.assert_array_equal(mask_of(out), [True, False])
    out.sum().backward()
    np.testing.assert_allclose(y_pred.grad.data, [[-3.0, 1.0], [0.0, 0.0]])
    loss = losses.SparseCategoricalCrossentropy(ignore_class=-1)
    assert float(loss([0, -1], y_pred)) == pytest.approx(math.log(4))


def test_a_mask_that_hides_all_gives_zero():
    y_pred = with_mask(tg.Tensor([[1.0], [2.0]], requires_grad=True), [False, False])
    for reduction in golden.REDUCTIONS:
        out = losses.MeanSquaredError(reduction)([[0.0], [0.0]], y_pred)
        assert (out.data == 0).all()


def test_weights_of_samples_count_for_all_their_steps(rng):
    y_true, y_pred = rng.standard_normal((2, 3, 3, 5))
    weights = np.array([0.0, 1.0, 2.0])
    each = np.square(y_true - y_pred).mean(axis=-1)
    loss = losses.MeanSquaredError()
    for given in (weights, weights[:, None], np.repeat(weights[:, None], 3, axis=1)):
        found = loss(y_true, y_pred, given)
        assert float(found) == pytest.approx((each * weights[:, None]).mean(), rel=1e-14)
    masked = with_mask(tg.Tensor(y_pred), np.tri(3, dtype=bool))
    expected = (each * weights[:, None] * np.tri(3)).sum() / 6
    assert float(loss(y_true, masked, weights)) == pytest.approx(expected, rel=1e-14)


def test_a_last_axis_of_size_one_is_no_difference(rng):
    y_true, y_pred = rng.random((2, 7))
    for config in golden.LOSSES:
        if config["data"] not in ("numbers", "labels", "positive") or "axis" in config:
            continue
        made = getattr(losses, config["name"])(**golden.options(config))
        expected = made(y_true[:, None], y_pred[:, None])
        for first, second in ((y_true, y_pred[:, None]), (y_true[:, None], y_pred)):
            assert float(made(first, second)) == float(expected)


@pytest.mark.parametrize(
    ("loss", "y_true", "y_pred", "message"),
    [
        ("mse", (3, 2), (3, 5), r"y_true.shape=\(3, 2\), y_pred.shape=\(3, 5\)"),
        ("mse", (3,), (3, 5), r"y_true.shape=\(3,\), y_pred.shape=\(3, 5\)"),
        ("mse", (3, 1), (3, 5), r"y_true.shape=\(3, 1\)"),
        ("hinge", (), (), "of one axis or more"),
        ("bce", (3, 2), (3, 5), "binary_crossentropy"),
        ("categorical_crossentropy", (3,), (3, 5), "use 'sparse_categorical_crossentropy'"),
        ("categorical_crossentropy", (3, 1), (3, 5), "use 'sparse_categorical_crossentropy'"),
        ("sparse_categorical_crossentropy", (3, 5), (3, 5), "use 'categorical_crossentropy'"),
        ("sparse_categorical_crossentropy", (2,), (3, 5), r"\(3,\). Received: y_true.shape=\(2,\)"),
    ],
)
def test_shapes_that_differ(loss, y_true, y_pred, message):
    with pytest.raises(ValueError, match=message):
        losses.resolve(loss)(np.ones(y_true), np.full(y_pred, 0.5))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: losses.MeanSquaredError("avg"), "Received: reduction='avg'"),
        (lambda: losses.MeanSquaredError("meen"), "Did you mean 'mean'"),
        (lambda: losses.get("binary_crossentrpy"), "Did you mean 'binary_crossentropy'"),
        (lambda: losses.get(3), "Received: 3"),
        (lambda: losses.resolve("ce"), "depends on the shapes"),
        (lambda: losses.huber([0.0], [1.0], delta=0.0), "delta"),
        (lambda: losses.binary_crossentropy([-1.0], [0.5]), "probabilities"),
        (lambda: losses.sparse_categorical_crossentropy([5], [[0.5, 0.5]]), "0 … 1.*Received: 5"),
        (lambda: losses.sparse_categorical_crossentropy([-1], [[0.5, 0.5]]), "Received: -1"),
        (lambda: losses.sparse_categorical_crossentropy([0.5], [[0.5, 0.5]]), "Received: 0.5"),
        (lambda: losses.categorical_crossentropy([[1.0]], [[1.0]], axis=2), "axis=2"),
        (
            lambda: losses.MeanSquaredError()(np.ones((3, 2)), np.ones((3, 2)), np.ones(2)),
            r"sample_weight.shape=\(2,\) for the losses of shape \(3,\)",
        ),
        (lambda: metrics.get("acuracy"), "Did you mean 'accuracy'"),
        (lambda: metrics.check_name("acuracy"), "Did you mean 'accuracy'"),
        (lambda: metrics.resolve(None, (3,), (3,)), "Expected metric"),
        (lambda: metrics.Accuracy()([1, 2], [1, 2, 3]), r"y_true.shape=\(2,\)"),
        (lambda: metrics.CategoricalAccuracy()([1, 2], np.ones((2, 3))), "'sparse_categorical"),
        (lambda: metrics.SparseCategoricalAccuracy()([1, 2], [1, 2]), r"y_pred.shape=\(2,\)"),
        (lambda: metrics.Mean()([1.0, 2.0], [1.0, 2.0, 3.0]), r"sample_weight.shape=\(3,\)"),
        (lambda: metrics.sparse_top_k_categorical_accuracy([9], [[1.0, 2.0]]), "0 … 1"),
    ],
)
def test_wrong_use(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_one_class_is_warned_of():
    with pytest.warns(SyntaxWarning, match="binary_crossentropy"):
        losses.categorical_crossentropy([[1.0]], [[0.5]])


# Metrics


def test_metrics_begin_at_zero_and_leave_no_graph():
    metric = metrics.MeanSquaredError()
    assert metric.result() == 0.0
    y_pred = tg.Tensor([[2.0]], requires_grad=True)
    assert metric([[0.0]], y_pred) == 4.0
    assert y_pred.grad is None
    assert metrics.Sum()([1.0, 2.0], [3.0, 0.5]) == 4.0


def test_sums_are_in_double_precision():
    mean = metrics.Mean()
    for _ in range(50):
        mean.update_state(np.full(1001, 0.1, np.float32))
    assert mean.result() == pytest.approx(float(np.float32(0.1)), rel=1e-13)


@pytest.mark.parametrize(
    ("y_true", "y_pred", "right", "entropy"),
    [
        ((7, 1), (7, 1), "BinaryAccuracy", "BinaryCrossentropy"),
        ((7,), (7, 1), "BinaryAccuracy", "BinaryCrossentropy"),
        ((7,), (7, 3), "SparseCategoricalAccuracy", "SparseCategoricalCrossentropy"),
        ((7, 1), (7, 3), "SparseCategoricalAccuracy", "SparseCategoricalCrossentropy"),
        ((7, 2), (7, 2, 3), "SparseCategoricalAccuracy", "SparseCategoricalCrossentropy"),
        ((7, 3), (7, 3), "CategoricalAccuracy", "CategoricalCrossentropy"),
        ((7, 2, 3), (7, 2, 3), "CategoricalAccuracy", "CategoricalCrossentropy"),
    ],
)
def test_which_accuracy_and_crossentropy(y_true, y_pred, right, entropy):
    for name in ("accuracy", "acc"):
        found = metrics.resolve(name, y_true, y_pred)
        assert (type(found).__name__, found.name) == (right, name)
    of_scores = losses.BinaryCrossentropy(from_logits=True)
    found = metrics.resolve("ce", y_true, y_pred, of_scores)
    assert (type(found).__name__, found.name, found.from_logits) == (entropy, "ce", True)
    loss = losses.resolve("crossentropy", y_true, y_pred)
    assert (loss.fn, loss.name) == (
        getattr(losses, snake_case(entropy)),
        "crossentropy",
    )
    keras_or_skip()
    from keras.src.trainers.compile_utils import get_loss, get_metric

    t, p = np.zeros(y_true), np.zeros(y_pred)
    assert type(get_metric("accuracy", t, p)).__name__ == right
    assert get_loss("crossentropy", t, p).fn.__name__ == loss.fn.__name__


def far_off(y_true, y_pred):
    """A function of the user's."""
    return np.abs(y_true - y_pred).max(axis=-1)


def test_functions_as_metrics():
    found = metrics.resolve(far_off, (2, 2), (2, 2))
    assert found.name == "far_off"
    assert found([[0.0, 0.0], [0.0, 0.0]], [[1.0, 2.0], [0.0, -4.0]]) == 3.0
    masked = with_mask(tg.Tensor([[1.0, 2.0], [0.0, -4.0]]), [True, False])
    found.reset_state()
    assert found([[0.0, 0.0], [0.0, 0.0]], masked) == 2.0
    assert metrics.resolve("mse", (2, 2), (2, 2)).name == "mse"
    assert metrics.resolve(metrics.MeanSquaredError(name="own"), (2,), (2,)).name == "own"
    assert metrics.resolve(metrics.MeanSquaredError, (2,), (2,)).name == "mean_squared_error"


class Largest(metrics.Metric):
    """A metric of the user's, with a variable."""

    def __init__(self, name="largest", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.seen = self.add_weight(name="seen", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.seen.assign(np.maximum(self.seen.data, np.max(np.asarray(y_pred))))

    def result(self):
        return float(self.seen)


def test_metrics_of_the_user():
    metric = Largest()
    assert metric([0.0], np.array([3.5])) == 3.5
    assert metric([0.0], np.array([2.5])) == 3.5
    metric.reset_state()
    assert metric.result() == 0.0
    again = metrics.deserialize(metrics.serialize(metric), {"Largest": Largest})
    assert isinstance(again, Largest)


# Names and configurations


@pytest.mark.parametrize("module", ["losses", "metrics"])
def test_configurations_are_those_of_keras(module):
    keras = keras_or_skip()
    ours, theirs = {"losses": losses, "metrics": metrics}[module], getattr(keras, module)
    for config in golden.LOSSES if module == "losses" else golden.METRICS:
        own = golden.options(config)
        found = ours.serialize(getattr(ours, config["name"])(**own))
        expected = theirs.serialize(getattr(theirs, config["name"])(**own))
        assert ours.serialize(ours.deserialize(found)) == found
        again = ours.serialize(ours.deserialize(expected))
        # Keras forgets some arguments: the axis of some losses, delta
        assert expected["config"].items() <= found["config"].items()
        assert found["config"].keys() - expected["config"].keys() <= {
            "axis", "delta", "from_sorted_ids"
        }  # fmt: skip
        assert {**found, "config": None} == {**expected, "config": None}
        assert expected["config"].items() <= again["config"].items()


@pytest.mark.parametrize("module", ["losses", "metrics"])
def test_names_are_those_of_keras(module):
    keras_or_skip()
    import importlib

    source = importlib.import_module(f"keras.src.{module}")
    ours = {"losses": losses, "metrics": metrics}[module]
    known, not_here = source.ALL_OBJECTS_DICT, set()
    for name, thing in known.items():
        try:
            found = ours.get(name)
        except TypeError:  # a wrapper needs its function
            assert "wrapper" in name.lower()
        except ValueError:
            not_here.add(thing.__name__)
        else:
            same = getattr(found, "__name__", type(found).__name__)
            assert same == thing.__name__, name
    assert not_here == {
        "losses": {
            "BinaryFocalCrossentropy", "CTC", "CategoricalFocalCrossentropy", "Circle", "Dice",
            "Loss", "Tversky", "binary_focal_crossentropy", "categorical_focal_crossentropy",
            "circle", "ctc", "dice", "tversky",
        },
        "metrics": {
            "AUC", "BinaryIoU", "ConcordanceCorrelation", "F1Score", "FBetaScore",
            "FalseNegatives", "FalsePositives", "IoU", "MeanIoU", "Metric", "OneHotIoU",
            "OneHotMeanIoU", "PearsonCorrelation", "Precision", "PrecisionAtRecall", "R2Score",
            "Recall", "RecallAtPrecision", "SensitivityAtSpecificity",
            "SpecificityAtSensitivity", "TrueNegatives", "TruePositives",
        },
    }[module]  # fmt: skip


def test_wrapped_functions_come_back():
    for module, wrapper in (
        (losses, losses.LossFunctionWrapper),
        (metrics, metrics.MeanMetricWrapper),
    ):
        made = wrapper(losses.huber, delta=0.5)
        again = module.deserialize(module.serialize(made))
        assert again.name == "huber"
        assert float(again([[0.0]], [[3.0]])) == float(made([[0.0]], [[3.0]])) == 1.375
        own = module.serialize(wrapper(far_off))
        with pytest.raises(ValueError, match="far_off"):
            module.deserialize(own)
        again = module.deserialize(own, {"far_off": far_off})
        assert float(again([[0.0]], [[3.0]])) == 3.0
    own = metrics.serialize(metrics.MeanMetricWrapper(metrics.binary_accuracy, threshold=0.1))
    assert metrics.deserialize(own)([[1.0]], [[0.2]]) == 1.0
    assert losses.serialize(losses.mse) == "mean_squared_error"
