"""Keras models in files: they give the same and learn on, whatever else is in a file is refused."""

import json
import zipfile

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import keras
from tinygrad_rnn.errors import FileFormatError
from tinygrad_rnn.io.npz import read_npz, write_npz

L = keras.layers
FORM = "tinygrad_rnn.checkpoint"
IDS = np.random.default_rng(1).integers(0, 23, (12, 7))
CLASSES = np.random.default_rng(2).integers(0, 3, 12)
X = np.random.default_rng(3).normal(size=(12, 5, 7))
Y = np.random.default_rng(4).normal(size=(12, 2))


class Scale(L.Layer):
    def __init__(self, factor, **options):
        super().__init__(**options)
        self.factor = factor

    def build(self, input_shape):
        self.s = self.add_weight(input_shape[-1:], "ones", name="s")

    def call(self, x):
        return x * self.s * self.factor


class Own(keras.Model):
    def __init__(self, units, **options):
        super().__init__(**options)
        self.units = units
        self.lstm = L.LSTM(units, return_state=True)
        self.out = L.Dense(2)

    def call(self, x):
        return self.out(self.lstm(x)[1])


def double_mse(y_true, y_pred):
    return ((y_true - y_pred) ** 2).mean(axis=-1) * 2


def classifier():
    return keras.Sequential(
        [
            L.Embedding(23, 8, mask_zero=True),
            L.LSTM(4, return_sequences=True),
            L.Bidirectional(L.GRU(3)),
            L.Dropout(0.3, seed=1),
            L.Dense(3, activation="softmax"),
        ]
    )


def regression(*more):
    return keras.Sequential([L.GRU(4, recurrent_dropout=0.2, seed=5), *more, L.Dense(2)])


def stateful():
    model = keras.Sequential(
        [L.LSTM(4, stateful=True, batch_input_shape=(4, 5, 7), dropout=0.1), L.Dense(2)]
    )
    model.layers[1].trainable = False
    return model


def stacked():
    cells = L.StackedRNNCells([L.LSTMCell(4), L.GRUCell(3)])
    return keras.Sequential([L.Input((5, 7)), L.RNN(cells), regressor(), L.Dense(2)])


def regressor():
    return keras.Sequential([L.Dense(5, kernel_regularizer="l2", kernel_constraint="max_norm")])


schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 3, 0.9)
KINDS = {
    "classifier": (classifier, IDS, CLASSES, {
        "optimizer": "adam", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}),
    "schedule": (lambda: Own(3), X, Y, {
        "optimizer": keras.optimizers.SGD(schedule, momentum=0.9), "loss": keras.losses.Huber(0.7),
        "metrics": ["mae", keras.metrics.MeanSquaredError(name="square")]}),
    "stateful": (stateful, X, Y, {
        "optimizer": keras.optimizers.AdamW(0.01, use_ema=True), "loss": "mse"}),
    "own": (lambda: regression(Scale(0.5)), X, Y, {
        "optimizer": "rmsprop", "loss": double_mse, "weighted_metrics": [double_mse]}),
    "stacked": (stacked, X, Y, {
        "optimizer": keras.optimizers.Adagrad(0.1, clipnorm=0.5), "loss": "mse",
        "loss_weights": 0.3}),
}  # fmt: skip
CUSTOM = {"Scale": Scale, "Own": Own, "double_mse": double_mse}


def fitted(model, x, y, epochs):
    history = keras.callbacks.History()
    tg.manual_seed(11)
    model.fit(x, y, batch_size=4, epochs=epochs, shuffle=False, verbose=0, callbacks=[history])
    return history.history


@pytest.mark.parametrize("kind", KINDS)
def test_a_loaded_model_is_the_same_and_learns_on(kind, tmp_path):
    make, x, y, options = KINDS[kind]
    options = dict(options)
    if isinstance(options["optimizer"], keras.optimizers.Optimizer):
        options["optimizer"] = type(options["optimizer"]).from_config(
            options["optimizer"].get_config()
        )
    model = make()
    model.compile(**options)
    fitted(model, x, y, 2)
    model.save(tmp_path / "m.npz")
    drawn = np.random.get_state()[1].copy(), tg.core.random.generator().bit_generator.state
    again = keras.models.load_model(tmp_path / "m.npz", CUSTOM)
    assert np.array_equal(np.random.get_state()[1], drawn[0])
    assert tg.core.random.generator().bit_generator.state == drawn[1]
    assert type(again) is type(model)
    assert again.get_config() == model.get_config() or kind == "schedule"
    assert [w.requires_grad for w in again.weights] == [w.requires_grad for w in model.weights]
    assert again.optimizer.iterations == model.optimizer.iterations == 6
    histories = []
    for each in (model, again):
        histories.append((each.predict(x, batch_size=4, verbose=0), fitted(each, x, y, 3)))
    assert np.array_equal(histories[0][0], histories[1][0])
    assert histories[0][1] == histories[1][1]
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)


def test_a_model_that_isnt_built_or_compiled(tmp_path):
    model = regression()
    model.save(tmp_path / "m.npz")
    again = keras.models.load_model(tmp_path / "m.npz")
    assert not again.built
    assert not again.compiled
    assert again(X).shape == (12, 2)


def test_compile_may_be_left_out(tmp_path):
    model = regression()
    model.compile("sgd", lambda y_true, y_pred: ((y_true - y_pred) ** 2).mean())
    fitted(model, X, Y, 1)
    with pytest.raises(TypeError, match="no name"):
        model.save(tmp_path / "m.npz")
    assert not list(tmp_path.iterdir())
    model.save(tmp_path / "m.npz", include_optimizer=False)
    assert not keras.models.load_model(tmp_path / "m.npz").compiled
    model.compile("sgd", "mse")
    model.save(tmp_path / "m.npz")
    assert keras.models.load_model(tmp_path / "m.npz").compiled
    assert not keras.models.load_model(tmp_path / "m.npz", compile=False).compiled
    with pytest.raises(FileExistsError):
        model.save(tmp_path / "m.npz", overwrite=False)


def test_architectures_alone():
    model = classifier()
    again = keras.models.model_from_json(model.to_json())
    clone = keras.models.clone_model(model)
    for each in (again, clone):
        assert each.get_config() == model.get_config()
        assert [w.path for w in each.weights] == [w.path for w in model.weights]
        assert not np.array_equal(each.get_weights()[0], model.get_weights()[0])
    with pytest.raises(ValueError, match="class_name"):
        keras.models.model_from_json("[1]")


def test_what_isnt_known_is_named(tmp_path):
    model = regression(Scale(2.0))
    model(X)
    model.save(tmp_path / "m.npz")
    with pytest.raises(FileFormatError, match=r"Unknown class 'Scale'.*custom_objects="):
        keras.models.load_model(tmp_path / "m.npz")
    model = keras.Sequential([L.TimeDistributed(Scale(2.0))])
    model(X)
    model.save(tmp_path / "m.npz")
    with pytest.raises(FileFormatError, match=r"Unknown class 'Scale'.*custom_objects="):
        keras.models.load_model(tmp_path / "m.npz")
    again = keras.models.load_model(tmp_path / "m.npz", {"Scale": Scale})
    assert np.array_equal(again(X).data, model(X).data)
    model.compile("sgd", double_mse)
    model.save(tmp_path / "m.npz")
    with pytest.raises(FileFormatError, match="double_mse"):
        keras.models.load_model(tmp_path / "m.npz", {"Scale": Scale})


# Weights


def test_weights_by_their_paths(tmp_path):
    model = classifier()
    names = [
        *("embedding/embeddings", "lstm/lstm_cell/kernel", "lstm/lstm_cell/recurrent_kernel"),
        *("lstm/lstm_cell/bias", "bidirectional/forward_gru/gru_cell/kernel"),
    ]
    keras.naming.clear_session()
    model = classifier()
    model.save_weights(tmp_path / "w.npz")
    assert list(tg.load(tmp_path / "w.npz"))[:5] == names
    other = classifier()  # lstm_1, and so on
    assert other.layers[1].name == "lstm_1"
    other.load_weights(tmp_path / "w.npz")
    for one, two in zip(model.get_weights(), other.get_weights(), strict=True):
        assert np.array_equal(one, two)


def test_weights_as_safetensors(tmp_path):
    pytest.importorskip("safetensors")
    model, other = classifier(), classifier()
    model.save_weights(tmp_path / "w.safetensors")
    other.load_weights(tmp_path / "w.safetensors")
    for one, two in zip(model.get_weights(), other.get_weights(), strict=True):
        assert np.array_equal(one, two)


def test_weights_that_dont_fit_change_nothing(tmp_path):
    model = keras.Sequential([L.LSTM(4, input_shape=(5, 7), name="lstm"), L.Dense(2, name="d")])
    other = keras.Sequential([L.LSTM(4, input_shape=(5, 7), name="lstm"), L.Dense(3, name="e")])
    with pytest.raises(ValueError, match="no weights yet"):
        regression().save_weights(tmp_path / "w.npz")
    with pytest.raises(ValueError, match="no weights yet"):
        regression().load_weights(tmp_path / "w.npz")
    model.save_weights(tmp_path / "w.npz")
    before = other.get_weights()
    with pytest.raises(ValueError, match="nothing was changed") as info:
        other.load_weights(tmp_path / "w.npz")
    assert str(info.value).splitlines()[1:] == [
        "  missing: e/kernel (4, 3)",
        "  missing: e/bias (3,)",
        "  unexpected: d/kernel. Did you mean 'e/kernel'?",
        "  unexpected: d/bias. Did you mean 'e/bias'?",
    ]
    wide = keras.Sequential([L.LSTM(4, input_shape=(5, 7), name="lstm"), L.Dense(3, name="d")])
    with pytest.raises(ValueError, match=r"shape: d/kernel is \(4, 3\), got \(4, 2\)"):
        wide.load_weights(tmp_path / "w.npz")
    tg.save({**tg.load(tmp_path / "w.npz"), "d/bias": np.array(["a", "b"])}, tmp_path / "t.npz")
    with pytest.raises(ValueError, match="values: d/bias holds <U1"):
        model.load_weights(tmp_path / "t.npz")
    for one, two in zip(before, other.get_weights(), strict=True):
        assert np.array_equal(one, two)


# Files


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m", "m.pkl"])
def test_other_suffixes_say_what_is_written(name, tmp_path):
    model = regression()
    model(X)
    path = tmp_path / name
    with pytest.raises(ValueError, match=r"ends in \.npz.*Use '.*m(\.pkl)?\.npz'"):
        model.save(path)
    with pytest.raises(ValueError, match=r"ends in \.npz"):
        keras.models.load_model(path)
    with pytest.raises(ValueError, match=r"\.npz or \.safetensors"):
        model.save_weights(path)
    assert not list(tmp_path.iterdir())


def test_files_of_keras_itself_and_others(tmp_path):
    path = tmp_path / "m.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for member in ("metadata.json", "config.json", "model.weights.h5"):
            archive.writestr(member, "{}")
    model = regression()
    model(X)
    for read in (keras.models.load_model, model.load_weights):
        with pytest.raises(FileFormatError, match=r"a file of Keras itself.*set_weights"):
            read(path)
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(FileFormatError, match="a file of Keras itself"):
        keras.models.load_model(path)
    model.save_weights(path)
    with pytest.raises(FileFormatError, match="isn't a checkpoint"):
        keras.models.load_model(path)
    tg.io.save_checkpoint(path, step=3)
    with pytest.raises(FileFormatError, match="something else than a Keras model"):
        keras.models.load_model(path)
    model.save(path)
    with pytest.raises(FileFormatError, match="holds more than weights"):
        model.load_weights(path)
    with pytest.raises(OSError, match="nowhere"):
        keras.models.load_model(tmp_path / "nowhere.npz")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "m.npz"
    model = keras.Sequential([L.Embedding(23, 3), L.LSTM(2), L.Dropout(0.1, seed=1), L.Dense(2)])
    model.compile("adam", "mse")
    model.train_on_batch(IDS, Y)
    model.save(path)
    return path.read_bytes()


def test_files_cut_short_are_refused(written, tmp_path):
    path = tmp_path / "m.npz"
    for length in [*range(0, len(written), 157), len(written) - 1]:
        path.write_bytes(written[:length])
        with pytest.raises(FileFormatError, match=r"m\.npz"):
            keras.models.load_model(path)


def test_altered_bytes_are_refused_or_mean_nothing(written, tmp_path):
    rng = np.random.default_rng(7)
    path = tmp_path / "m.npz"
    path.write_bytes(written)
    whole = keras.models.load_model(path)
    refused = 0
    for place in rng.choice(len(written), 150, replace=False):
        altered = bytearray(written)
        altered[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(altered))
        try:
            found = keras.models.load_model(path)
        except FileFormatError:
            refused += 1
        else:  # a date or the like
            assert found.get_config() == whole.get_config()
            for one, two in zip(found.get_weights(), whole.get_weights(), strict=True):
                assert np.array_equal(one, two)
    assert refused > 100


def rewritten(written, path, change):
    """The file with other claims, and sums that are right."""
    path.write_bytes(written)
    with path.open("rb") as file:
        arrays, metadata = read_npz(file, None)
    claims = json.loads(metadata[FORM])
    change(claims["parts"], arrays)
    with path.open("wb") as file:
        write_npz(file, arrays, {FORM: json.dumps(claims)})


def layer(parts, place):
    return parts["architecture"]["config"]["layers"][place]["config"]


HOSTILE = {
    "huge": lambda p, a: layer(p, 1).update(units=10**9),
    "larger": lambda p, a: layer(p, 1).update(units=3),
    "many rows": lambda p, a: layer(p, 0).update(input_dim=10**12),
    "more rows": lambda p, a: layer(p, 0).update(input_dim=10**9),
    "negative": lambda p, a: layer(p, 1).update(units=-1),
    "text": lambda p, a: layer(p, 1).update(units="many"),
    "unknown argument": lambda p, a: layer(p, 1).update(surprise=1),
    "activation": lambda p, a: layer(p, 3).update(activation="os.system"),
    "class": lambda p, a: p["architecture"].update(class_name="Popen"),
    "layer for a model": lambda p, a: p.update(architecture={
        "module": "keras.layers", "class_name": "Dense", "config": {"units": 2}}),
    "layers": lambda p, a: p["architecture"]["config"].update(layers={"a": 1}),
    "no architecture": lambda p, a: p.pop("architecture"),
    "deep": lambda p, a: p.update(architecture=_nested(90)),
    "version": lambda p, a: p.update(keras=99),
    "input": lambda p, a: p.update(input_shape=[10**12, 10**12]),
    "input text": lambda p, a: p.update(input_shape="abc"),
    "weights": lambda p, a: p["weights"].popitem(),
    "weights twice": lambda p, a: p["weights"].update(more=[1.0]),
    "weights of text": lambda p, a: p["weights"].update({"dense/bias": "ab"}),
    "trainable": lambda p, a: p["trainable"].pop(),
    "drawing": lambda p, a: p["drawing"].clear(),
    "drawing kind": lambda p, a: [v.update(state=1) for v in p["drawing"].values()],
    "states": lambda p, a: p["states"].update({"0": []}),
    "loss": lambda p, a: p["compile"].update(loss="no such loss"),
    "optimizer": lambda p, a: p["compile"]["optimizer"].update(class_name="Popen"),
    "optimizer place": lambda p, a: p["optimizer"].update(variables=[99]),
    "optimizer state": lambda p, a: p["optimizer"]["state"].pop("param_groups"),
    "learning rate": lambda p, a: p["compile"]["optimizer"]["config"].update(learning_rate="x"),
}  # fmt: skip


def _nested(depth):
    config = {"module": "keras.models", "class_name": "Sequential", "config": {"layers": []}}
    return config if not depth else {**config, "config": {"layers": [_nested(depth - 1)]}}


@pytest.mark.parametrize("kind", HOSTILE)
def test_claims_that_make_no_sense_are_refused(kind, written, tmp_path):
    path = tmp_path / "m.npz"
    rewritten(written, path, HOSTILE[kind])
    with pytest.raises(FileFormatError, match=r"m\.npz"):
        keras.models.load_model(path)


@pytest.mark.parametrize("kind", ["huge", "many rows", "more rows"])
def test_no_memory_is_taken_for_weights_that_the_file_lacks(kind, written, tmp_path):
    path = tmp_path / "m.npz"
    rewritten(written, path, HOSTILE[kind])
    with pytest.raises(FileFormatError, match=r"asks for .*more (weights )?than the file has"):
        keras.models.load_model(path)


def test_a_file_with_the_same_claims_is_read(written, tmp_path):
    path = tmp_path / "m.npz"
    rewritten(written, path, lambda parts, arrays: None)
    assert keras.models.load_model(path).compiled


def test_checkpoints_while_training(tmp_path):
    model = regression()
    model.compile("sgd", "mse")
    names = tmp_path / "m{epoch:02d}.npz", tmp_path / "w{epoch:02d}.npz"
    callbacks = [
        keras.callbacks.ModelCheckpoint(names[0]),
        keras.callbacks.ModelCheckpoint(names[1], save_weights_only=True),
    ]
    model.fit(X, Y, epochs=2, verbose=0, callbacks=callbacks)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "m01.npz", "m02.npz", "w01.npz", "w02.npz"
    ]  # fmt: skip
    again = keras.models.load_model(tmp_path / "m02.npz")
    assert np.array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    again.load_weights(tmp_path / "w01.npz")
    assert not np.array_equal(again.get_weights()[0], model.get_weights()[0])


def test_a_layer_in_two_places_is_one_after_loading(tmp_path):
    shared = keras.layers.Dense(3)
    model = keras.Sequential([keras.layers.Input((3,)), shared, shared])
    model.save(tmp_path / "model.npz")
    again = keras.models.load_model(tmp_path / "model.npz")
    assert again.layers[0] is again.layers[1]
    x = np.eye(3, dtype=np.float32)
    assert (again(x) == model(x)).all()
