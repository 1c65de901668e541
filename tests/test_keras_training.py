"""compile, fit, evaluate, predict: numbers as Keras', every kind of data, wrong use."""

import copy
import os
import pickle
import signal
import threading
import time

import numpy as np
import pytest
from golden.make_golden import cases, relative_error
from golden.make_keras_training import by_keras, numbers_of

import tinygrad_rnn as tg
from tinygrad_rnn import keras
from tinygrad_rnn.keras import layers
from tinygrad_rnn.keras.models.samples import Stream

GOLDEN = {c["run"]: expected for c, _, expected in cases("keras_training") if "run" in c}
LIVE = ["tagging", "penalties", "streams", "single_batches"]


@pytest.fixture
def in_float64():
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx("float32")


def assert_same(found, expected, limit=1e-9):
    assert found.keys() == expected.keys()
    for name, wanted in expected.items():
        error = relative_error(found[name], wanted)
        assert error <= limit, f"{name}: relative error {error:.2g}"


@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize("run", GOLDEN)
def test_a_training_equals_golden_arrays(run):
    assert_same(numbers_of(keras, run), GOLDEN[run])


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in Keras
@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize("run", LIVE)
def test_a_training_equals_that_of_keras(run, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "torch"))
    pytest.importorskip("torch")
    pytest.importorskip("keras")
    assert_same(numbers_of(keras, run), by_keras(run))


@pytest.mark.usefixtures("in_float64")
def test_the_golden_numbers_are_sensitive_to_the_order_of_the_data(monkeypatch):
    fit = keras.Sequential.fit

    def shuffled(self, *args, **options):
        return fit(self, *args, **{**options, "shuffle": True, "seed": 1})

    monkeypatch.setattr(keras.Sequential, "fit", shuffled)
    with pytest.raises(AssertionError, match="relative error"):
        assert_same(numbers_of(keras, "regression"), GOLDEN["regression"])


# Small models and data

X = np.random.default_rng(0).normal(size=(11, 5, 3))
Y = np.random.default_rng(1).normal(size=(11, 2))
CLASSES = np.random.default_rng(2).integers(0, 3, 11)


def regressor(optimizer="sgd", loss="mse", metrics=None, **options):
    model = keras.Sequential([layers.Input((5, 3)), layers.SimpleRNN(4), layers.Dense(2)])
    model.set_weights(drawn(model))
    model.compile(optimizer, loss, metrics=metrics, **options)
    return model


def classifier(metrics=("accuracy",), built=True):
    first = [layers.Input((5, 3))] if built else []
    model = keras.Sequential([*first, layers.LSTM(4), layers.Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=list(metrics))
    return model


def drawn(model):
    rng = np.random.default_rng(3)
    return [rng.normal(size=w.shape) * 0.5 for w in model.get_weights()]


def fitted(x=X, y=Y, model=None, **options):
    """The losses of the epochs."""
    model = regressor() if model is None else model
    return model.fit(x, y, **{"verbose": 0, "shuffle": False, **options}).history["loss"]


# Data of every kind

PARTS = ((0, 4), (4, 8), (8, 11))


class Indexed:
    """As keras.utils.Sequence."""

    def __init__(self):
        self.asked, self.epochs = [], 0

    def __len__(self):
        return len(PARTS)

    def __getitem__(self, k):
        self.asked.append(k)
        begin, end = PARTS[k]
        return X[begin:end], Y[begin:end]

    def on_epoch_end(self):
        self.epochs += 1


class Iterated:
    def __iter__(self):
        return (Indexed()[k] for k in range(3))


def endless():
    while True:
        yield from Iterated()


def test_batches_of_any_kind_give_what_arrays_give():
    expected = fitted(batch_size=4, epochs=3)
    assert fitted(Indexed(), None, epochs=3) == expected
    assert fitted(Iterated(), None, epochs=3) == expected
    assert fitted(list(Iterated()), None, epochs=3) == expected
    assert fitted(endless(), None, epochs=3, steps_per_epoch=3) == expected
    assert fitted(tg.data.batches((X, Y), batch_size=4), None, epochs=3) == expected
    assert fitted(X.tolist(), Y.tolist(), batch_size=4, epochs=3) == expected
    assert fitted(tg.Tensor(X), tg.Tensor(Y), batch_size=4, epochs=3) == expected
    assert fitted(iter(Iterated()), None) == expected[:1]


def test_a_data_loader_of_torch_is_batches():
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
    loader = torch.utils.data.DataLoader(data, batch_size=4)
    assert fitted(loader, None, epochs=2) == fitted(batch_size=4, epochs=2)


def test_an_indexed_sequence_is_told_of_its_epochs_and_shuffled():
    ordered, shuffled, again = Indexed(), Indexed(), Indexed()
    fitted(ordered, None, epochs=2)
    assert ordered.asked[-6:] == [0, 1, 2, 0, 1, 2]
    assert ordered.epochs == 2
    for data in (shuffled, again):
        fitted(data, None, epochs=7, shuffle=True, seed=5)
    assert shuffled.asked == again.asked
    orders = [tuple(shuffled.asked[-21:][k : k + 3]) for k in range(0, 21, 3)]
    assert all(sorted(order) == [0, 1, 2] for order in orders)
    assert len(set(orders)) > 1


def test_shuffled_samples_come_in_another_order_each_epoch_and_by_the_seed():
    seen = []
    numbers = np.arange(11.0)

    def noting(y_true, y_pred):
        seen.extend(np.asarray(y_true).ravel().astype(int).tolist())
        return y_pred.sum(axis=-1)

    def orders(**options):
        seen.clear()
        model = keras.Sequential([layers.Input((5, 3)), layers.SimpleRNN(1)])
        model.compile("sgd", "mse", metrics=[noting])
        model.fit(X, numbers, epochs=2, verbose=0, batch_size=3, **options)
        return seen[-22:-11], seen[-11:]

    first, second = orders(seed=7)
    assert sorted(first) == sorted(second) == list(range(11))
    assert first != second
    assert orders(seed=7) == (first, second)
    assert orders(seed=8) != (first, second)
    tg.manual_seed(4)
    drawn_order = orders()
    tg.manual_seed(4)
    assert orders() == drawn_order
    assert orders(shuffle=False) == (list(range(11)), list(range(11)))


def test_steps_of_arrays_go_on_with_the_next_epoch():
    """Epochs of two batches go through the same three batches as two epochs of three."""
    model, other = regressor(), regressor()
    fitted(model=model, batch_size=4, epochs=3, steps_per_epoch=2)
    fitted(model=other, batch_size=4, epochs=2)
    assert_same(dict(enumerate(model.get_weights())), dict(enumerate(other.get_weights())), 0)


def test_initial_epoch_goes_on_counting():
    history = regressor().fit(X, Y, epochs=7, initial_epoch=4, verbose=0)
    assert history.epoch == [4, 5, 6]
    model = regressor()
    nothing = model.fit(X, Y, epochs=2, initial_epoch=2, verbose=0)
    assert (nothing.epoch, nothing.history) == ([], {})
    assert_same(dict(enumerate(model.get_weights())), dict(enumerate(drawn(model))), 1e-7)


def test_validation_after_certain_epochs():
    held = {"validation_data": (X[:3], Y[:3]), "epochs": 5, "verbose": 0}
    every = regressor().fit(X, Y, shuffle=False, **held).history
    second = regressor().fit(X, Y, shuffle=False, validation_freq=2, **held).history
    chosen = regressor().fit(X, Y, shuffle=False, validation_freq=[1, 4], **held).history
    assert second["val_loss"] == every["val_loss"][1::2]
    assert chosen["val_loss"] == [every["val_loss"][0], every["val_loss"][3]]
    assert second["loss"] == every["loss"]  # a validation changes nothing


@pytest.mark.parametrize(
    "held",
    [
        lambda: (X[:7], Y[:7]),
        lambda: [X[:7], Y[:7]],
        lambda: (X[:7], Y[:7], np.ones(7)),
        lambda: [(X[:4], Y[:4]), (X[4:7], Y[4:7])],
        lambda: iter([(X[:4], Y[:4]), (X[4:7], Y[4:7])]),
    ],
    ids=["tuple", "list", "weights", "list of batches", "iterator"],
)
def test_validation_data_of_any_kind(held):
    model = regressor()
    history = model.fit(X, Y, validation_data=held(), verbose=0)
    assert history.history["val_loss"] == [pytest.approx(model.evaluate(X[:7], Y[:7], verbose=0))]


def test_validation_steps_begin_with_the_first_batch_each_time():
    model = regressor(keras.optimizers.SGD(0.0))
    history = model.fit(
        X, Y, epochs=3, verbose=0, validation_data=(X, Y), validation_batch_size=2,
        validation_steps=2,
    )  # fmt: skip
    first = model.evaluate(X[:4], Y[:4], verbose=0)
    assert history.history["val_loss"] == [pytest.approx(first)] * 3


def test_batches_count_by_their_samples():
    """As in Keras: not by targets, whose number differs with the length of the sequences."""
    model = keras.Sequential([layers.SimpleRNN(2, return_sequences=True, input_shape=(None, 3))])
    model.compile("sgd", "mse")
    y = np.random.default_rng(3).normal(size=(11, 5, 2))
    short, long = (X[:3, :2], y[:3, :2]), (X[3:], y[3:])
    values = [model.test_on_batch(*short), model.test_on_batch(*long)]
    expected = (3 * values[0] + 8 * values[1]) / 11
    assert model.evaluate([short, long], verbose=0) == pytest.approx(expected, rel=1e-6)


def test_predict_takes_arrays_lists_and_batches():
    model = regressor()
    expected = model(X).data
    for x in (X, X.tolist(), list(X), tg.Tensor(X), (x for x, _ in Iterated()), Indexed()):
        np.testing.assert_allclose(model.predict(x, batch_size=None, verbose=0), expected, 1e-5)
    assert model.predict(X, batch_size=4, steps=2, verbose=0).shape == (8, 2)
    assert type(model.predict_on_batch(X)) is np.ndarray


def test_evaluate_returns_what_keras_does():
    alone, judged = regressor(), regressor(metrics=["mae", "mse"])
    loss = alone.evaluate(X, Y, verbose=0)
    assert isinstance(loss, float)
    values = judged.evaluate(X, Y, verbose=0)
    assert values[0] == loss == pytest.approx(values[2])
    named = judged.evaluate(X, Y, verbose=0, return_dict=True)
    assert list(named) == judged.metrics_names == ["loss", "mae", "mse"]
    assert list(named.values()) == values
    assert judged.get_metrics_result() == named


def test_names_of_metrics():
    class Odd(keras.metrics.Mean):
        def update_state(self, y_true, y_pred, sample_weight=None):
            super().update_state(1.0 if sample_weight is None else 3.0)

    def lr(y_true, y_pred):
        return 0 * y_pred.sum(axis=-1) + 0.25

    model = regressor()
    model.compile(
        "sgd", "mse", metrics=[["mae"], "mae", Odd(), lr], weighted_metrics=["mae", Odd(), "mse"]
    )
    history = model.fit(X, Y, sample_weight=np.ones(11), verbose=0).history
    assert list(history) == ["loss", "mae", "mae_1", "mean", "lr", "weighted_mae",
                             "weighted_mean", "mse"]  # fmt: skip
    assert (history["lr"], history["mean"]) == ([0.25], [1.0])
    assert (history["weighted_mean"], history["mse"]) == (
        [3.0],
        [pytest.approx(history["loss"][0])],
    )


def test_sample_weights_and_class_weights_weigh():
    model = classifier()
    weights = np.array([0.5, 2.0, 3.0])
    given = model.evaluate(X, CLASSES, sample_weight=weights[CLASSES], verbose=0)[0]
    losses = np.array([model.test_on_batch(X[k : k + 1], CLASSES[k : k + 1])[0] for k in range(11)])
    assert given == pytest.approx((losses * weights[CLASSES]).mean(), rel=1e-5)
    for y in (CLASSES, CLASSES[:, None], CLASSES.astype(float)):
        found = classifier_like(model).train_on_batch(X, y, class_weight=dict(enumerate(weights)))
        assert found[0] == pytest.approx(given, rel=1e-5)
    hot = classifier_like(model, "categorical_crossentropy")
    found = hot.train_on_batch(X, np.eye(3)[CLASSES], class_weight=dict(enumerate(weights)))
    assert found[0] == pytest.approx(given, rel=1e-5)
    stream = classifier_like(model).fit(
        [(X, CLASSES)], class_weight=dict(enumerate(weights)), verbose=0
    )
    assert stream.history["loss"] == [pytest.approx(given, rel=1e-5)]


def classifier_like(model, loss="sparse_categorical_crossentropy"):
    other = classifier()
    other.set_weights(model.get_weights())
    other.compile("adam", loss, metrics=["accuracy"])
    return other


def test_states_are_put_back_after_looking_at_the_first_batch():
    model = keras.Sequential(
        [layers.SimpleRNN(4, stateful=True, batch_input_shape=(11, 5, 3)), layers.Dropout(0.5)]
    )
    model.compile("sgd", "mse", metrics=["mae"])
    model.predict(X, verbose=0)
    before = [state.data.copy() for state in model.layers[0].states]
    with pytest.raises(ValueError, match="same shape"):
        model.fit(X, Y, verbose=0)
    np.testing.assert_array_equal(before, [state.data for state in model.layers[0].states])
    assert np.abs(before).max() > 0


def test_states_are_carried_and_reset():
    rnn = layers.SimpleRNN(2, stateful=True)
    model = keras.Sequential([layers.Input(batch_shape=(11, 5, 3)), rnn])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    kept = model.fit(X, Y, epochs=2, verbose=0, batch_size=11, shuffle=False).history["loss"]
    assert kept[0] != kept[1]
    model.reset_states()
    reset = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: model.reset_states())
    anew = fitted(X, Y, model, epochs=2, batch_size=11, callbacks=[reset])
    assert anew[0] == anew[1] == pytest.approx(kept[0])


def test_making_the_weights_leaves_no_state():
    model = keras.Sequential([layers.SimpleRNN(2, stateful=True)])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    (first,) = fitted(X, Y, model, batch_size=11)
    model.reset_states()
    assert first == pytest.approx(model.evaluate(X, Y, batch_size=11, verbose=0))


def test_a_stream_is_begun_anew_without_moving_the_first():
    stream = Stream([(X[k : k + 1], Y[k : k + 1]) for k in range(3)], steps=2)

    def samples(batches):
        return [int(np.flatnonzero((x == X).all(axis=(1, 2)))[0]) for x, _ in batches]

    assert samples(stream) == [0, 1]
    assert samples(stream.from_start()) == [0, 1]
    assert samples(stream) == [2, 0]


def test_train_on_batch_moves_as_fit_does():
    one, other = regressor("adam"), regressor("adam")
    one.fit(X, Y, batch_size=11, epochs=3, verbose=0, shuffle=False)
    values = [other.train_on_batch(X, Y) for _ in range(3)]
    assert_same(dict(enumerate(one.get_weights())), dict(enumerate(other.get_weights())), 0)
    assert values == one.history.history["loss"]
    assert one.optimizer.iterations == other.optimizer.iterations == 3


def test_the_model_is_in_training_mode_only_while_it_is_trained():
    phases = []

    class Spy(layers.Layer):
        def call(self, x, training=False):
            phases.append(training)
            return x

    model = keras.Sequential([layers.Input((5, 3)), Spy(), layers.SimpleRNN(2)])
    model.compile("sgd", "mse")
    phases.clear()
    model.fit(X, Y, batch_size=6, validation_data=(X, Y), verbose=0)
    assert phases[-4:] == [True, True, False, False]  # two updates, and the validation
    phases.clear()
    model.evaluate(X, Y, verbose=0)
    model.predict(X, verbose=0)
    assert set(phases) == {False}


def test_weights_of_frozen_layers_stay():
    model = regressor()
    model.layers[0].trainable = False
    before = model.get_weights()
    fitted(model=model)
    moved = [(a != b).any() for a, b in zip(before, model.get_weights(), strict=True)]
    assert moved == [False, False, False, True, True]


def test_a_loss_weight_is_a_factor():
    plain, double = regressor(), regressor(loss_weights=2.0)
    assert double.evaluate(X, Y, verbose=0) == pytest.approx(2 * plain.evaluate(X, Y, verbose=0))


def test_the_learning_rate_may_be_set_between_trainings():
    model = regressor(keras.optimizers.SGD(0.1))
    model.optimizer.learning_rate = 0.0
    before = model.get_weights()
    fitted(model=model)
    assert_same(dict(enumerate(model.get_weights())), dict(enumerate(before)), 0)


# Ctrl-C


@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="signals come to the main one"
)
def test_ctrl_c_ends_the_training_with_its_history():
    class Press(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.01)

    ended = []
    told = keras.callbacks.LambdaCallback(on_train_end=lambda logs: ended.append(logs))
    before = signal.getsignal(signal.SIGINT)
    history = regressor().fit(X, Y, batch_size=2, epochs=9, callbacks=[Press(), told], verbose=0)
    assert (history.epoch, history.stopped, len(ended)) == ([0], "interrupted", 1)
    assert len(history.history["loss"]) == 1
    assert signal.getsignal(signal.SIGINT) is before


# Wrong use


def unchanged(model, act, message, error=ValueError):
    """An error, after which weights and optimizer are what they were."""
    before = model.get_weights() if model.built else []
    steps = model.optimizer.iterations if model.compiled else 0
    with pytest.raises(error, match=message):
        act(model)
    if before:
        assert_same(dict(enumerate(model.get_weights())), dict(enumerate(before)), 0)
    if model.compiled:
        assert model.optimizer.iterations == steps


@pytest.mark.parametrize("call", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_a_model_must_be_compiled(call):
    model = keras.Sequential([layers.Input((5, 3)), layers.SimpleRNN(2)])
    unchanged(model, lambda m: getattr(m, call)(X, Y), r"call `compile\(\)`")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"optimizer": "adm"}, "optimizer.*'adm'.*'adam'"),
        ({"loss": "mean_squared_eror"}, "Unknown loss.*'mean_squared_error'"),
        ({"metrics": ["acuracy"]}, "Unknown metric: 'acuracy'.*[aA]ccuracy"),
        ({"metrics": [3]}, "a metric is a name.*Received: 3"),
        ({"loss_weights": ["accuracy"]}, r"`loss_weights` is a number.*metrics=\[...\]"),
        ({"loss": ["mse", "mae"]}, "`loss` is for one output"),
        ({"optimizer": None}, "needs an optimizer"),
    ],
    ids=lambda each: next(iter(each)) if isinstance(each, dict) else "",
)
def test_compile_names_what_is_wrong_and_keeps_what_was(given, message):
    model = regressor()
    compiled = model.optimizer
    with pytest.raises(ValueError, match=message):
        model.compile(**{"optimizer": "sgd", "loss": "mse", **given})
    assert model.optimizer is compiled


WRONG = {
    "y of another width": (lambda m: m.fit(X, Y[:, :1].repeat(3, 1)), "same shape.*Received"),
    "y missing": (lambda m: m.fit(X), "needs targets.*y=None"),
    "lengths": (lambda m: m.fit(X, Y[:7]), r"same number of samples.*x.shape=\(11, 5, 3\), y.sha"),
    "weights' length": (lambda m: m.fit(X, Y, sample_weight=np.ones(3)), "sample_weight.shape"),
    "x of another width": (lambda m: m.fit(X[:, :, :2], Y), "incompatible with the layer"),
    "empty": (lambda m: m.fit(X[:0], Y[:0]), "one sample at least"),
    "empty list": (lambda m: m.predict([]), "one sample at least"),
    "no batch": (lambda m: m.fit(iter([])), "no batch"),
    "split too large": (lambda m: m.fit(X, Y, validation_split=0.99), "not enough to split"),
    "split above 1": (lambda m: m.fit(X, Y, validation_split=1.5), "between 0 and 1"),
    "split of batches": (lambda m: m.fit([(X, Y)], validation_split=0.5), "is for arrays"),
    "batch_size": (lambda m: m.fit(X, Y, batch_size=0), "positive integer"),
    "steps": (lambda m: m.fit(X, Y, steps_per_epoch=0), "at least 1"),
    "batch_size of batches": (lambda m: m.fit([(X, Y)], batch_size=3), "their batch_size"),
    "targets of batches": (lambda m: m.fit(iter([(X, Y)]), Y), "their y"),
    "a batch of four": (lambda m: m.fit([(X, Y, Y, Y)]), "a batch is a tuple"),
    "a generator for two": (lambda m: m.fit(iter([(X, Y)]), epochs=2), "read only once"),
    "one to validate twice": (
        lambda m: m.fit(X, Y, epochs=2, validation_data=iter([(X, Y)])), "validation_steps",
    ),
    "validation of another width": (
        lambda m: m.fit(X, Y, validation_data=(X, X)), "same shape",
    ),
    "both weights": (
        lambda m: m.fit(X, Y[:, 0] > 0, sample_weight=np.ones(11), class_weight={0: 1, 1: 1}),
        "cannot be specified at the same time",
    ),
    "verbose": (lambda m: m.fit(X, Y, verbose="atuo"), "`verbose` is one of.*'auto'"),
    "ragged": (lambda m: m.fit([[1, 2], [3]], Y[:2]), r"tg\.data\.pad"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_use_of_fit_changes_nothing(case):
    act, message = WRONG[case]
    unchanged(regressor("adam", metrics=["mae"]), act, message)


@pytest.mark.parametrize(
    ("x", "error"), [(3, TypeError), ("text", TypeError), ({"x": X}, TypeError), (None, TypeError)]
)
def test_x_that_is_no_data(x, error):
    unchanged(regressor(), lambda m: m.fit(x), "x is an array, or what gives batches", error)


def test_callbacks_that_are_none():
    for wrong, hint in ((print, "Received"), (keras.callbacks.History, r"add \(\)")):
        unchanged(regressor(), lambda m, w=wrong: m.fit(X, Y, callbacks=[w]), hint, TypeError)


@pytest.mark.parametrize("classes", [CLASSES + 1, CLASSES - 1, CLASSES + 0.5])
def test_classes_out_of_range(classes):
    unchanged(classifier(), lambda m: m.fit(X, classes, verbose=0), "must hold classes.*0 … 2")


def test_class_weights_that_dont_fit():
    unchanged(
        classifier(), lambda m: m.fit(X, CLASSES, class_weight={0: 1, 1: 1}), r"the classes \[2\]"
    )
    tags = np.random.default_rng(0).integers(0, 3, (11, 5))
    model = keras.Sequential(
        [layers.Input((5, 3)), layers.SimpleRNN(3, return_sequences=True, activation="softmax")]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    unchanged(model, lambda m: m.fit(X, tags, class_weight={0: 1, 1: 1, 2: 1}), "one class for")


@pytest.mark.parametrize("call", ["fit", "evaluate", "predict"])
def test_stateful_layers_need_batches_of_one_size(call):
    model = keras.Sequential([layers.SimpleRNN(2, stateful=True, batch_input_shape=(4, 5, 3))])
    model.compile("sgd", "mse")
    given = (X,) if call == "predict" else (X, Y)
    message = "11 samples in batches of 4 leave 3"
    unchanged(model, lambda m: getattr(m, call)(*given, batch_size=4), message)
    unchanged(model, lambda m: getattr(m, call)(*given, batch_size=11), r"(?s)4.*11|11.*4")


def test_a_loss_that_is_no_number_moves_nothing():
    model = regressor()
    unchanged(model, lambda m: m.fit(X, Y * np.nan, verbose=0), "nan", FloatingPointError)
    unchanged(model, lambda m: m.train_on_batch(X, Y * np.inf), "inf", FloatingPointError)


def test_no_loss_at_all():
    model = regressor(loss=None)
    unchanged(model, lambda m: m.fit(X, Y), "No loss to compute")


def test_a_model_may_have_penalties_only():
    model = keras.Sequential(
        [layers.Input((3,)), layers.Dense(2, use_bias=False, kernel_regularizer="l2")]
    )
    model.compile("sgd")
    before = np.square(model.get_weights()[0]).sum()
    model.fit(X[:, 0], verbose=0, epochs=3)
    assert np.square(model.get_weights()[0]).sum() < before


def test_a_loss_without_reduction_is_refused():
    model = regressor(loss=keras.losses.MeanSquaredError(reduction="none"))
    unchanged(model, lambda m: m.fit(X, Y), r"is a number.*shape=\(11,\)")


def test_a_model_without_trainable_weights_is_only_evaluated():
    frozen = keras.Sequential([layers.Input((3,)), layers.Dense(2, trainable=False)])
    without = keras.Sequential([layers.Input((3,)), layers.Lambda(lambda x: x[:, :2] * 2)])
    x, y = np.ones((5, 3)), np.zeros((5, 2))
    for model in (frozen, without):
        model.compile("sgd", "mse", metrics=["mae"])
        before = model.get_weights()
        with pytest.warns(UserWarning, match="not have any trainable weights") as told:
            history = model.fit(x, y, epochs=2, batch_size=2, verbose=0).history
        assert len(told) == 1
        found = model.evaluate(x, y, verbose=0)
        np.testing.assert_allclose([history["loss"], history["mae"]], np.transpose([found] * 2))
        with pytest.warns(UserWarning, match="not have any trainable weights"):
            assert model.train_on_batch(x, y) == found
        assert model.optimizer.iterations == 0
        for was, now in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(was, now)


def test_floats_reach_the_layers_of_a_model_as_they_are():
    x = np.array([[1.0 + 1e-12], [1.0 - 1e-12]])
    model = keras.Sequential([layers.Dense(1, kernel_initializer="ones", dtype="float64")])
    assert model.compute_dtype == "float32"
    np.testing.assert_array_equal(model(x).data, x)
    np.testing.assert_array_equal(model.predict(x, verbose=0), x)
    np.testing.assert_array_equal(model(tg.Tensor(x)).data, x)
    assert model(x.astype(np.float32)).dtype == np.float64

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.exact = layers.Dense(1, kernel_initializer="ones", dtype="float64")
            self.single = layers.Dense(1, kernel_initializer="ones")

        def call(self, inputs):
            return self.exact(inputs), self.single(inputs)

    exact, single = Own()(x)
    np.testing.assert_array_equal(exact.data, x)
    assert single.dtype == np.float32
    inner = keras.Sequential([model])  # a model in a model
    np.testing.assert_array_equal(inner(x).data, x)


def penalised():
    return layers.Dense(2, activity_regularizer="l2", kernel_initializer="identity")


def one_layer(layer):
    model = keras.Sequential([layers.Input((2,)), layer])
    model.compile("sgd", "mse")
    return model


def test_penalties_of_other_calls_do_not_count():
    x = np.ones((2, 2))
    alone = one_layer(penalised()).evaluate(x, x, verbose=0)
    layer = penalised()
    layer(x)
    assert one_layer(layer).evaluate(x, x, verbose=0) == alone
    model = one_layer(penalised())
    model.layers[0](x)
    assert model.fit(x, x, verbose=0).history["loss"] == [alone]
    shared = penalised()
    for model in (one_layer(shared), one_layer(shared)):
        model.fit(x, x, verbose=0)  # the second doesn't go back through the graph of the first
    assert len(copy.deepcopy(model).losses) == 0


def test_weights_that_the_optimizer_does_not_know_are_not_left_out():
    x = np.ones((4, 2))
    model = keras.Sequential([layers.Input((2,)), layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(x, x[:, :1], verbose=0)
    model.add(layers.Dense(1))
    with pytest.raises(ValueError, match=r"Unknown variable.*dense.*kernel.*`compile` the model"):
        model.fit(x, x[:, :1], verbose=0)
    model.compile("adam", "mse")
    before = model.layers[1].get_weights()[0]
    model.fit(x, x[:, :1], verbose=0)
    assert not np.array_equal(model.layers[1].get_weights()[0], before)


def test_sequences_of_other_lengths_than_the_first():
    model = keras.Sequential([layers.LSTM(2, return_sequences=True), layers.Dense(3)])
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 3, 3)), np.ones((4, 3, 3)), verbose=0)
    assert model.predict(np.ones((1, 2, 3)), verbose=0).shape == (1, 2, 3)
    stated = keras.Sequential([layers.LSTM(2, batch_input_shape=(8, 3, 2))])
    assert stated.predict(np.ones((4, 5, 2)), verbose=0).shape == (4, 2)
    with pytest.raises(ValueError, match="axis -1 of input shape to have value 3"):
        model.predict(np.ones((1, 2, 5)), verbose=0)


def test_a_last_axis_of_one_may_be_left_out_or_stand_too():
    model = keras.Sequential([layers.Input((1,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]), verbose=0)
    recurrent = keras.Sequential([layers.Input((3, 1)), layers.LSTM(2)])
    x = np.random.default_rng(0).normal(size=(4, 3))
    whole = recurrent.predict(x[..., None], verbose=0)
    assert (recurrent.predict(x, verbose=0) == whole).all()
    flat = keras.Sequential([layers.Input((3,)), layers.Dense(2)])
    assert (flat.predict(x[..., None], verbose=0) == flat.predict(x, verbose=0)).all()


def test_inputs_and_metrics_as_keras_takes_those_of_several_outputs():
    model = regressor(metrics={"dense": ["mae"]})
    history = model.fit([X], [Y], verbose=0, shuffle=False).history
    assert list(history) == ["loss", "mae"]
    assert (model.predict([X], verbose=0) == model.predict(X, verbose=0)).all()


def test_a_compiled_model_can_be_pickled():
    model = regressor()
    model.fit(X, Y, verbose=0)
    other = pickle.loads(pickle.dumps(model))
    assert (other.predict(X, verbose=0) == model.predict(X, verbose=0)).all()
    for each in (model, other):
        each.fit(X, Y, epochs=2, verbose=0, shuffle=False)
    assert all(map(np.array_equal, other.get_weights(), model.get_weights()))


def test_one_layer_in_two_places_shares_its_weights():
    shared = layers.Dense(3)
    model = keras.Sequential([layers.Input((3,)), shared, shared])
    assert model.count_params() == 12
    kernel, bias = shared.get_weights()
    x = np.eye(3, dtype=np.float32)
    np.testing.assert_allclose(model(x).data, (x @ kernel + bias) @ kernel + bias, 1e-5, 1e-6)
