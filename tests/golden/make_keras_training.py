"""Makes keras_training.npz with Keras: ``python tests/golden/make_keras_training.py``.

Trainings of small models in float64: every value of the history, what evaluate and predict give
afterwards, and the weights; and what callbacks are told. Needs keras with torch, and with jax,
whose numbers must be the same (but for metrics of outputs that are masked, as on jax they don't see
the masks, and for states that a callback resets, which has no effect there). The functions take
either library as `keras`; the tests call them with both.

Keras computes some operations with float64 arguments in float32, where its table of dtypes says so;
`in_float64` changes that entry.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

import numpy as np

try:
    from golden.make_golden import FOLDER, Arrays, Case, cases, relative_error, save
except ImportError:  # run as a script
    from make_golden import FOLDER, Arrays, Case, cases, relative_error, save

NAME = "keras_training"
EPOCHS = 5


# Runs: each takes the library and an rng, and gives arrays by name


def regression(keras: Any, rng: np.random.Generator) -> Arrays:
    """SimpleRNN and Dense; SGD with momentum; validation data."""
    x, y = rng.normal(size=(13, 5, 3)), rng.normal(size=(13, 2))
    layers = keras.layers
    model = keras.Sequential([layers.Input((5, 3)), layers.SimpleRNN(4), layers.Dense(2)])
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse", metrics=["mae", "mse"])
    return trained(model, rng, x[:9], y[:9], batch_size=4, validation_data=(x[9:], y[9:]))


def nesterov(keras: Any, rng: np.random.Generator) -> Arrays:
    """A GRU without reset_after; targets (N,) for outputs (N, 1); validation with weights."""
    x, y = rng.normal(size=(11, 5, 3)), rng.normal(size=11)
    layers = keras.layers
    model = keras.Sequential(
        [layers.Input((5, 3)), layers.GRU(4, reset_after=False), layers.Dense(1)]
    )
    optimizer = keras.optimizers.SGD(0.05, momentum=0.8, nesterov=True)
    model.compile(
        optimizer, keras.losses.Huber(0.3), metrics=[keras.metrics.RootMeanSquaredError()]
    )
    weight = rng.uniform(0.5, 2, size=11)
    held = (x[8:], y[8:], weight[8:])
    return trained(model, rng, x[:8], y[:8], sample_weight=weight[:8], validation_data=held)


def words(rng: np.random.Generator, samples: int, steps: int) -> np.ndarray:
    """Numbers of words, zeros behind; one sample has none of them at all."""
    x = rng.integers(1, 11, (samples, steps))
    lengths = rng.integers(1, steps + 1, samples)
    x[np.arange(steps) >= lengths[:, None]] = 0
    return x


def classification(keras: Any, rng: np.random.Generator) -> Arrays:
    """Embedding with masks and LSTM; Adam; a share of the samples to validate on."""
    x, y = words(rng, 17, 7), rng.integers(0, 3, 17)
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((7,)),
            layers.Embedding(11, 5, mask_zero=True),
            layers.LSTM(4),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return trained(model, rng, x, y, batch_size=5, validation_split=0.3)


def tagging(keras: Any, rng: np.random.Generator) -> Arrays:
    """A class for each step, masked, with weights for steps; RMSprop."""
    x, y = words(rng, 13, 7), rng.integers(0, 3, (13, 7))
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((7,)),
            layers.Embedding(11, 5, mask_zero=True),
            layers.LSTM(4, return_sequences=True),
            layers.TimeDistributed(layers.Dense(3, activation="softmax")),
        ]
    )
    model.compile(
        keras.optimizers.RMSprop(0.01),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        weighted_metrics=["accuracy"],
    )
    weight = rng.integers(1, 5, (13, 7))  # Keras on torch multiplies floats in place, by the mask
    return trained(model, rng, x, y, batch_size=5, sample_weight=weight)


def one_hot_tagging(keras: Any, rng: np.random.Generator) -> Arrays:
    """Masking, GRU and one hot classes for steps."""
    x = rng.normal(size=(11, 5, 3))
    x[2, 3:], x[7, :2] = 0, 0
    y = np.eye(3)[rng.integers(0, 3, (11, 5))]
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((5, 3)),
            layers.Masking(),
            layers.GRU(4, return_sequences=True),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy", "mse"])
    return trained(model, rng, x, y, batch_size=4)


def penalties(keras: Any, rng: np.random.Generator) -> Arrays:
    """Regularizers of weights and outputs, a constraint, and gradients clipped by their norms."""
    x, y = rng.normal(size=(11, 5, 3)), rng.normal(size=(11, 4))
    layers = keras.layers
    gru = layers.GRU(
        4,
        kernel_regularizer="l2",
        recurrent_regularizer=keras.regularizers.L1(0.02),
        activity_regularizer=keras.regularizers.L2(0.03),
        kernel_constraint=keras.constraints.MaxNorm(1.2),
    )
    model = keras.Sequential([layers.Input((5, 3)), gru])
    model.compile(keras.optimizers.Adam(0.03, clipnorm=0.3), "mse", metrics=["mae"])
    return trained(model, rng, x, y, batch_size=4, validation_data=(x[:3], y[:3]))


def directions(keras: Any, rng: np.random.Generator) -> Arrays:
    """Both directions, two classes with weights; RMSprop with a norm for all gradients."""
    x, y = rng.normal(size=(13, 5, 3)), rng.integers(0, 2, 13)
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((5, 3)),
            layers.Bidirectional(layers.LSTM(4)),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    optimizer = keras.optimizers.RMSprop(0.02, momentum=0.5, global_clipnorm=0.4)
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"])
    return trained(model, rng, x, y, batch_size=5, class_weight={0: 0.7, 1: 2.5})


def stateful(keras: Any, rng: np.random.Generator) -> Arrays:
    """States go from batch to batch, and are reset before each epoch; an average of the weights."""
    x, y = rng.normal(size=(12, 5, 3)), rng.normal(size=(12, 2))
    layers = keras.layers
    rnn = layers.SimpleRNN(4, stateful=True)
    model = keras.Sequential([layers.Input(batch_shape=(4, 5, 3)), rnn, layers.Dense(2)])
    model.compile(keras.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.6), "mse")
    reset = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: rnn.reset_state())
    return trained(model, rng, x, y, batch_size=4, callbacks=[reset])


def schedules(keras: Any, rng: np.random.Generator) -> Arrays:
    """Callbacks that change the learning rate; the best weights restored."""
    x, y = rng.normal(size=(13, 5, 3)), rng.normal(size=(13, 2))
    layers, callbacks = keras.layers, keras.callbacks
    model = keras.Sequential([layers.Input((5, 3)), layers.SimpleRNN(4), layers.Dense(2)])
    model.compile(keras.optimizers.SGD(0.4), "mse", metrics=["mae"])
    told = [
        callbacks.LearningRateScheduler(lambda epoch, lr: lr * 1.5 if epoch == 2 else lr),
        callbacks.ReduceLROnPlateau(monitor="val_mae", factor=0.5, patience=1, cooldown=1),
        callbacks.EarlyStopping(patience=3, restore_best_weights=True),
    ]
    held = (x[8:], y[8:])
    return trained(model, rng, x[:8], y[:8], batch_size=3, validation_data=held, callbacks=told,
                   epochs=11)  # fmt: skip


def streams(keras: Any, rng: np.random.Generator) -> Arrays:
    """Batches of a generator, of which the last are smaller; some epochs are validated."""
    x, y = rng.normal(size=(11, 5, 3)), rng.normal(size=(11, 2))

    def endless() -> Iterator[Any]:
        while True:
            for begin, end in ((0, 5), (5, 9), (9, 11)):
                yield x[begin:end], y[begin:end]

    layers = keras.layers
    model = keras.Sequential([layers.Input((5, 3)), layers.SimpleRNN(4), layers.Dense(2)])
    model.compile(keras.optimizers.Adam(0.02), "mae", metrics=["mse"])
    return trained(model, rng, endless(), None, steps_per_epoch=3, initial_epoch=2, epochs=7,
                   validation_data=(x[:7], y[:7]), validation_freq=2, validation_batch_size=3,
                   validation_steps=2)  # fmt: skip


def single_batches(keras: Any, rng: np.random.Generator) -> Arrays:
    """train_on_batch, test_on_batch and predict_on_batch."""
    x, y = rng.normal(size=(3, 5, 3)), rng.integers(0, 3, 3)
    layers = keras.layers
    model = keras.Sequential(
        [layers.Input((5, 3)), layers.LSTM(4), layers.Dense(3, activation="softmax")]
    )
    model.compile("rmsprop", "sparse_categorical_crossentropy", metrics=["accuracy"])
    take_weights(model, rng)
    weight, classes = rng.uniform(0.5, 2, size=3), {0: 1.0, 1: 2.0, 2: 0.3}
    rows = [model.train_on_batch(x, y) for _ in range(3)]
    rows += [model.train_on_batch(x, y, sample_weight=weight)]
    rows += [model.train_on_batch(x, y, class_weight=classes)]
    rows += [model.test_on_batch(x, y), model.test_on_batch(x, y, sample_weight=weight)]
    named = model.test_on_batch(x[:2], y[:2], return_dict=True)
    rows += [[named["loss"], named["accuracy"]]]
    return {"rows": np.array(rows, float), "output": model.predict_on_batch(x), **weights(model)}


RUNS: dict[str, Callable[[Any, np.random.Generator], Arrays]] = {
    run.__name__: run
    for run in (
        regression, nesterov, classification, tagging, one_hot_tagging, penalties, directions,
        stateful, schedules, streams, single_batches,
    )
}  # fmt: skip

MASKED = ("tagging", "one_hot_tagging")
METRICS = ("accuracy", "weighted_accuracy", "mse")


def take_weights(model: Any, rng: np.random.Generator) -> None:
    """Weights that both libraries have."""
    model.set_weights([rng.normal(size=np.shape(w)) * 0.7 for w in model.get_weights()])


def weights(model: Any) -> Arrays:
    return {f"weight {k}": np.array(w) for k, w in enumerate(model.get_weights())}


def trained(model: Any, rng: np.random.Generator, x: Any, y: Any, **options: Any) -> Arrays:
    """What a training gives, and then evaluate and predict."""
    take_weights(model, rng)
    options = {"epochs": EPOCHS, "shuffle": False, "verbose": 0, **options}
    history = model.fit(x, y, **options)
    found = {name: np.array(values) for name, values in history.history.items()}
    found["epoch"] = np.array(history.epoch)
    held = options.get("validation_data") or (x, y)
    size = options.get("batch_size")
    model_input = held[0]
    if any(getattr(layer, "stateful", False) for layer in model.layers):
        model_input = held[0][:size]
        held = (model_input, held[1][:size])
    evaluated = model.evaluate(*held[:2], batch_size=size, verbose=0, return_dict=True)
    found["evaluated"] = np.array([evaluated[name] for name in sorted(evaluated)], float)
    found["predicted"] = model.predict(model_input, batch_size=size, verbose=0)
    return {**found, **weights(model)}


def numbers_of(keras: Any, name: str) -> Arrays:
    return RUNS[name](keras, np.random.default_rng(sorted(RUNS).index(name) + 20260708))


# What callbacks are told


def events(keras: Any, kind: str) -> list[list[Any]]:
    """The events that a callback hears, with the number and the names of what it is told."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, 5, 3)), rng.normal(size=(5, 2))
    layers = keras.layers
    model = keras.Sequential([layers.Input((5, 3)), layers.SimpleRNN(4), layers.Dense(2)])
    model.compile("sgd", "mse", metrics=["mae"])
    heard: list[list[Any]] = []

    def hearing(event: str) -> Callable[..., None]:
        def hear(*details: Any, logs: Any = None) -> None:
            at = [k for k in details if isinstance(k, int)]
            given = next((d for d in details if isinstance(d, dict)), logs) or {}
            heard.append([event, *at, sorted(given)])
            if [kind, event, *at] in STOPS:
                model.stop_training = True

        return hear

    class Listener(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        pass

    for name in dir(keras.callbacks.Callback):
        if name.startswith("on_") and name not in ("on_batch_begin", "on_batch_end"):
            setattr(Listener, name, staticmethod(hearing(name)))
    listener = Listener()
    if kind == "evaluate":
        model.evaluate(x, y, batch_size=3, callbacks=[listener], verbose=0)
    elif kind == "predict":
        model.predict(x, batch_size=3, callbacks=[listener], verbose=0)
    else:
        options = {"validation_data": (x[:2], y[:2])} if kind == "validation" else {}
        model.fit(x, y, batch_size=3, epochs=2, callbacks=[listener], verbose=0, **options)
    return heard


STOPS = [
    ["stop in batch", "on_train_batch_end", 0],
    ["stop in last batch", "on_train_batch_end", 1],
    ["stop before batch", "on_train_batch_begin", 0],
    ["stop after epoch", "on_epoch_end", 0],
    ["stop before epoch", "on_epoch_begin", 1],
]
KINDS = ["fit", "validation", "evaluate", "predict", *(kind for kind, *_ in STOPS)]


@contextmanager
def in_float64() -> Iterator[Any]:
    """Keras, on torch if no other backend was chosen, in float64 throughout."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras
    from keras.src.backend.common import dtypes

    before, narrow = keras.config.floatx(), dict(dtypes.BIT64_TO_BIT32_DTYPE)
    keras.config.set_floatx("float64")
    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
    try:
        yield keras
    finally:
        dtypes.BIT64_TO_BIT32_DTYPE.update(narrow)
        keras.config.set_floatx(before)


def by_keras(name: str) -> Arrays:
    with in_float64() as keras:
        return numbers_of(keras, name)


def main() -> None:
    os.environ |= {"KERAS_BACKEND": "jax", "JAX_ENABLE_X64": "1"}
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        on_jax = dict(zip(RUNS, pool.map(by_keras, RUNS), strict=True))
    os.environ["KERAS_BACKEND"] = "torch"
    made: list[Case] = [({"run": name}, {}, by_keras(name)) for name in RUNS]
    differing = [
        (run, key)
        for config, _, found in made
        for key, array in found.items()
        if (run := config["run"]) != "stateful" and not (run in MASKED and key in METRICS)
        if relative_error(on_jax[run][key], array) > 1e-10
    ]
    assert not differing, differing
    with in_float64() as keras:
        assert keras.backend.backend() == "torch"
        made += [({"events": kind, "heard": events(keras, kind)}, {}, {}) for kind in KINDS]
    save(NAME, made)
    with np.load(FOLDER / f"{NAME}.npz") as file:
        kept = dict(file)
    versions = {"keras": np.array(keras.__version__), "backend": np.array("torch, as jax")}
    np.savez_compressed(FOLDER / f"{NAME}.npz", **kept, **versions)
    assert len(cases(NAME)) == len(made)


if __name__ == "__main__":
    main()
