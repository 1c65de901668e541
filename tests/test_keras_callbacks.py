"""Callbacks: the events as Keras tells them, and what each callback does."""

import csv
import math
import os
import warnings

import numpy as np
import pytest
from golden.make_golden import cases
from golden.make_keras_training import KINDS, events, in_float64

from tinygrad_rnn import keras
from tinygrad_rnn.keras import callbacks, layers

HEARD = {c["events"]: c["heard"] for c, _, _ in cases("keras_training") if "events" in c}
X = np.random.default_rng(0).normal(size=(11, 5, 3))
Y = np.random.default_rng(1).normal(size=(11, 2))


def regressor(rate=0.1, metrics=None):
    model = keras.Sequential([layers.Input((5, 3)), layers.SimpleRNN(4), layers.Dense(2)])
    model.compile(keras.optimizers.SGD(rate), "mse", metrics=metrics)
    return model


def fit(model, *told, **options):
    return model.fit(X, Y, callbacks=list(told), **{"verbose": 0, **options})


class Says(callbacks.Callback):
    """Puts values of one's own into the logs."""

    def __init__(self, **series):
        self.series = series

    def on_epoch_end(self, epoch, logs=None):
        logs.update({name: values[epoch] for name, values in self.series.items()})


# Events


@pytest.mark.parametrize("kind", KINDS)
def test_events_come_in_keras_order_with_its_names(kind):
    assert events(keras, kind) == HEARD[kind]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in Keras
def test_events_are_those_of_keras(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "torch"))
    pytest.importorskip("torch")
    pytest.importorskip("keras")
    with in_float64() as theirs:
        for kind in KINDS:
            assert events(theirs, kind) == events(keras, kind), kind


def test_what_batches_are_told_are_means_so_far():
    model = regressor(rate=0.0, metrics=["mae"])
    told = []
    hear = callbacks.LambdaCallback(on_train_batch_end=lambda k, logs: told.append((k, logs)))
    history = fit(model, hear, batch_size=4, shuffle=False).history
    assert [k for k, _ in told] == [0, 1, 2]
    for (_, logs), end in zip(told, (4, 8, 11), strict=True):
        expected = model.evaluate(X[:end], Y[:end], verbose=0, return_dict=True)
        assert logs == pytest.approx(expected, rel=1e-5)
    assert told[-1][1] == {name: values[0] for name, values in history.items()}


def test_what_evaluation_and_prediction_tell():
    model, tests, outputs = regressor(), [], []
    hear = callbacks.LambdaCallback(
        on_test_batch_end=lambda k, logs: tests.append(logs["loss"]),
        on_predict_batch_end=lambda k, logs: outputs.append(logs["outputs"]),
    )
    loss = model.evaluate(X, Y, batch_size=4, verbose=0, callbacks=[hear])
    assert len(tests) == 3
    assert tests[-1] == loss
    assert tests[0] == pytest.approx(model.evaluate(X[:4], Y[:4], verbose=0), rel=1e-6)
    predicted = model.predict(X, batch_size=4, verbose=0, callbacks=[hear])
    np.testing.assert_array_equal(np.concatenate(outputs), predicted)


def test_the_older_names_of_batch_events():
    heard = []

    class Old(callbacks.Callback):
        def on_batch_begin(self, batch, logs=None):
            heard.append(("begin", batch))

        def on_batch_end(self, batch, logs=None):
            heard.append(("end", batch, *logs))

    fit(regressor(), [Old()], batch_size=6)
    assert heard == [("begin", 0), ("end", 0, "loss"), ("begin", 1), ("end", 1, "loss")]


def test_callbacks_know_the_model_and_how_it_is_trained():
    model, own = regressor(), callbacks.Callback()
    history = fit(model, own, batch_size=4, epochs=3)
    assert own.model is history.model is model
    assert own.params == history.params == {"verbose": 0, "epochs": 3, "steps": 3}
    assert model.history is history


def test_what_a_callback_adds_to_the_logs_stands_in_the_history():
    history = fit(regressor(), Says(own=[1.0, 2.0]), epochs=2).history
    assert history["own"] == [1.0, 2.0]


def test_a_history_that_is_given_is_returned_and_goes_on():
    model, own = regressor(), callbacks.History()
    assert fit(model, own, epochs=2) is own
    assert fit(model, own, epochs=1) is own
    assert (len(own.history["loss"]), own.epoch) == (3, [0])  # as in Keras


def test_an_evaluation_within_a_callback_doesnt_mix_with_the_training():
    plain = fit(regressor_like(0), epochs=3, shuffle=False).history
    looked = []
    look = callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: looked.append(model.evaluate(X[:3], Y[:3], verbose=0))
    )
    model = regressor_like(0)
    assert fit(model, look, epochs=3, shuffle=False).history == plain
    assert len(looked) == 3


def regressor_like(seed, metrics=("mae",)):
    model = regressor(metrics=list(metrics))
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(size=w.shape) * 0.5 for w in model.get_weights()])
    return model


# Ends


def test_stopping_says_so_and_a_next_training_runs():
    model = regressor()
    stop = callbacks.LambdaCallback(on_epoch_end=lambda e, logs: setattr(model, "stop_training", 1))
    assert fit(model, stop, epochs=5).stopped == "early"
    assert len(fit(model, epochs=2).epoch) == 2
    assert model.history.stopped == "finished"


@pytest.mark.parametrize(
    ("options", "values", "epochs", "best"),
    [
        ({"patience": 2}, [3, 2, 2.5, 2, 1], 4, 1),
        ({"patience": 2, "min_delta": 0.5}, [3, 2, 1.8, 1.7, 1], 4, 1),
        ({"patience": 1, "mode": "max"}, [1, 2, 1, 3], 3, 1),
        ({"patience": 2, "baseline": 1.0}, [3, 2, 2.5, 0], 3, 1),
        ({"patience": 1, "start_from_epoch": 2}, [1, 2, 3, 4, 5], 4, 2),
        ({"patience": 3}, [3, 2, math.nan, 1, 4], 5, 3),
        ({}, [3, 2, 3, 1], 3, 1),
    ],
)
def test_early_stopping(options, values, epochs, best):
    own = callbacks.EarlyStopping("value", **{"mode": "min", **options})
    history = fit(regressor(), Says(value=values), own, epochs=len(values))
    assert len(history.epoch) == epochs
    assert own.best_epoch == best
    assert own.best == values[best]


@pytest.mark.parametrize("stops", [True, False])
def test_the_best_weights_come_back(stops, capsys):
    model, kept = regressor(), []
    own = callbacks.EarlyStopping(
        "value", mode="min", patience=2 if stops else 9, restore_best_weights=True, verbose=1
    )
    keep = callbacks.LambdaCallback(on_epoch_end=lambda e, logs: kept.append(model.get_weights()))
    fit(model, Says(value=[3, 1, 2, 2, 2]), own, keep, epochs=5)
    for mine, best in zip(model.get_weights(), kept[1], strict=True):
        np.testing.assert_array_equal(mine, best)
    printed = capsys.readouterr().out
    assert ("Epoch 4: early stopping" in printed) is stops
    assert "best epoch: 2." in printed


def test_a_value_that_is_not_there_is_named():
    own = callbacks.EarlyStopping()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = fit(regressor(), own, epochs=2)
    assert len(history.epoch) == 2
    assert "EarlyStopping" in str(caught[0].message)
    assert "`val_loss` which is not available. Available metrics are: loss" in str(
        caught[0].message
    )


def test_which_way_is_better():
    def own_metric(y_true, y_pred):
        return y_pred.sum(axis=-1)

    model = regressor(metrics=["mae", "cosine_similarity", "accuracy", own_metric])
    fit(model)

    def direction(name, mode="auto"):
        monitor = callbacks.EarlyStopping(name, mode=mode)
        monitor.set_model(model)
        return monitor.is_better(2.0, 1.0)

    better = {name: direction(name) for name in ("loss", "val_loss", "mae", "val_mae")}
    assert not any(better.values())
    assert direction("val_accuracy")
    assert direction("cosine_similarity")
    assert direction("own_metric", "max")
    with pytest.raises(ValueError, match=r"'own_metric'.*mode='max'"):
        direction("own_metric")
    with pytest.raises(ValueError, match=r"`mode` is one of.*'min'"):
        callbacks.EarlyStopping(mode="mni")


def test_terminate_on_nan_ends_with_the_history(capsys):
    model = regressor(metrics=["mae"])
    before = []

    class Spoil(callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 1 and self.epoch == 1:
                before.extend(self.model.get_weights())
                self.model._compiled.loss_weight = math.nan

        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

    ended = callbacks.LambdaCallback(on_train_end=lambda logs: ended_with.append(logs))
    ended_with = []
    own = [Spoil(), callbacks.TerminateOnNaN(), ended]
    history = fit(model, *own, epochs=5, batch_size=4)
    assert "Batch 1: Invalid loss" in capsys.readouterr().out
    assert (history.stopped, history.epoch) == ("broken", [0, 1])
    assert math.isnan(history.history["loss"][1])
    assert not math.isnan(history.history["mae"][1])
    assert len(ended_with) == 1
    for mine, kept in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, kept)
    model._compiled.loss_weight = math.nan
    with pytest.raises(FloatingPointError):
        fit(model)


# Learning rates


def test_a_scheduler_of_the_epoch_and_the_rate_or_of_the_epoch_alone(capsys):
    model = regressor(rate=0.5)
    own = callbacks.LearningRateScheduler(lambda epoch, lr: lr / 2, verbose=1)
    assert fit(model, own, epochs=3).history["learning_rate"] == [0.25, 0.125, 0.0625]
    assert "Epoch 2: LearningRateScheduler setting learning rate to 0.125." in (
        capsys.readouterr().out
    )
    own = callbacks.LearningRateScheduler(lambda epoch: 1 / (epoch + 4))
    assert fit(model, own, epochs=2).history["learning_rate"] == [0.25, 0.2]
    assert model.optimizer.learning_rate == 0.2


def test_errors_of_a_schedule_are_its_own():
    def wrong(epoch, lr):
        raise TypeError("mine")

    with pytest.raises(TypeError, match="mine"):
        fit(regressor(), callbacks.LearningRateScheduler(wrong))
    with pytest.raises(ValueError, match=r"should be a float.*'0.1' of type str"):
        fit(regressor(), callbacks.LearningRateScheduler(lambda epoch: "0.1"))


def test_the_rate_is_lowered_on_a_plateau():
    own = callbacks.ReduceLROnPlateau(
        "value", factor=0.5, patience=2, cooldown=1, min_lr=0.2, mode="min"
    )
    values = [3, 2, 2, 2, 2, 2, 2, 2, 2, 2]
    rates = fit(regressor(rate=1.0), Says(value=values), own, epochs=10).history["learning_rate"]
    assert rates == [1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2]
    with pytest.raises(ValueError, match=r"factor >= 1\.0"):
        callbacks.ReduceLROnPlateau(factor=1.0)


# Files


class Saving:
    """Notes which files are asked for."""

    def __init__(self, model):
        self.paths = []
        model.save = lambda path: self.paths.append(("model", path))
        model.save_weights = lambda path: self.paths.append(("weights", path))


def test_checkpoints_after_epochs_of_the_best_and_after_batches():
    def paths(values, **options):
        model = regressor()
        noted = Saving(model)
        own = callbacks.ModelCheckpoint("m{epoch:02d}-{value:.1f}.npz", "value", **options)
        fit(model, Says(value=values), own, epochs=len(values), batch_size=4)
        return noted.paths

    values = [3.0, 4.0, 2.0]
    every = [("model", f"m0{k + 1}-{v}.npz") for k, v in enumerate(values)]
    assert paths(values) == every
    assert paths(values, save_best_only=True, mode="min") == [every[0], every[2]]
    assert paths(values, save_best_only=True, mode="max") == every[:2]
    limited = {"save_best_only": True, "mode": "min", "initial_value_threshold": 2.5}
    assert paths(values, save_weights_only=True, **limited) == [("weights", "m03-2.0.npz")]
    model = regressor()
    noted = Saving(model)
    fit(model, callbacks.ModelCheckpoint("m{epoch}.npz", save_freq=2), epochs=3, batch_size=4)
    assert [path for _, path in noted.paths] == ["m1.npz", "m2.npz", "m2.npz", "m3.npz"]


def test_a_checkpoint_is_a_model_that_can_be_loaded(tmp_path):
    model = regressor()
    own = callbacks.ModelCheckpoint(tmp_path / "m{epoch}.npz")
    after = []
    keep = callbacks.LambdaCallback(on_epoch_end=lambda e, logs: after.append(model.get_weights()))
    fit(model, own, keep, epochs=2)
    again = keras.models.load_model(tmp_path / "m1.npz")
    for mine, kept in zip(again.get_weights(), after[0], strict=True):
        np.testing.assert_array_equal(mine, kept)


def test_checkpoints_that_cant_be():
    with pytest.raises(KeyError, match=r"val_loss.*there are epoch, loss"):
        fit(regressor(), callbacks.ModelCheckpoint("m{val_loss}.npz"))
    for wrong in ("batch", 0, True, 1.5):
        with pytest.raises(ValueError, match="`save_freq` is"):
            callbacks.ModelCheckpoint("m.npz", save_freq=wrong)
    for path in ("m.keras", "m-{epoch}.h5", "m-{val_loss:.2f}", "m.safetensors"):
        with pytest.raises(ValueError, match=r"ends in \.npz.*Received: filepath="):
            callbacks.ModelCheckpoint(path)
    callbacks.ModelCheckpoint("m-{val_loss:.2f}.safetensors", save_weights_only=True)
    with pytest.raises(ValueError, match=r"weights has a name .*'m\.npz'"):
        callbacks.ModelCheckpoint("m.weights.h5", save_weights_only=True)


def test_a_csv_file_of_the_epochs(tmp_path):
    path = tmp_path / "log.csv"
    model, own = regressor(metrics=["mae"]), callbacks.CSVLogger(path, separator=";")
    first = fit(model, own, epochs=2).history
    second = fit(model, own, epochs=1).history
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    assert [row["epoch"] for row in rows] == ["0", "1", "0"]
    assert [float(row["mae"]) for row in rows] == first["mae"] + second["mae"]
    fit(model, callbacks.CSVLogger(path, separator=";", append=True))
    assert len(path.read_text().split()) == 5


# What is printed


def test_lines_of_epochs_evaluation_and_silence(capsys):
    model = regressor(metrics=["mae"])
    fit(model, epochs=2, verbose=2, validation_data=(X, Y))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" - ")[0] for line in lines] == ["Epoch 1/2", "Epoch 2/2"]
    for name in (" loss: ", " mae: ", " val_loss: ", " val_mae: "):
        assert name in lines[1]
    model.evaluate(X, Y)  # "auto" is 2 where there is no terminal
    assert capsys.readouterr().out.startswith("evaluate - ")
    fit(model, verbose=0)
    model.evaluate(X, Y, verbose=0)
    model.predict(X, verbose=0)
    assert capsys.readouterr() == ("", "")


def test_a_bar_shows_steps_values_and_the_time_left(capsys):
    pytest.importorskip("tqdm")
    model = regressor()
    fit(model, epochs=2, verbose=1, batch_size=4)
    printed = capsys.readouterr().err
    assert "Epoch 2/2: 100%" in printed
    assert "3/3 [00:00<00:00" in printed
    assert "loss: " in printed
    model.predict(X, batch_size=4, verbose=1)
    assert "predict: 100%" in capsys.readouterr().err


def test_on_a_terminal_there_is_a_bar(monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    own = callbacks.Callback()
    monkeypatch.setattr(callbacks.ProgbarLogger, "_open", lambda self, title: None)
    fit(regressor(), own, verbose="auto")
    assert own.params["verbose"] == 1


def test_functions_as_callbacks_are_checked():
    with pytest.raises(TypeError, match=r"no event 'on_epochend'.*'on_epoch_end'"):
        callbacks.LambdaCallback(on_epochend=print)
    with pytest.raises(TypeError, match="on_epoch_end is a function"):
        callbacks.LambdaCallback(on_epoch_end=3)
    callbacks.LambdaCallback(on_epoch_end=None).on_epoch_end(0)
