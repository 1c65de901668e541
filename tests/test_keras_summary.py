"""Summaries of Keras models: Keras 2's table as in notebooks, Keras 3's to the letter."""

import os

import numpy as np
import pytest
from golden import make_keras_summary as golden

import tinygrad_rnn as tg
from tinygrad_rnn import keras
from tinygrad_rnn.keras.naming import clear_session

L = keras.layers
EXPECTED = {
    name: str(text)
    for name, text in np.load(golden.FOLDER / "keras_summary.npz").items()
    if name != "made_with"
}


@pytest.fixture(autouse=True)
def anew(monkeypatch):
    clear_session()
    monkeypatch.setenv("COLUMNS", golden.COLUMNS)


def shown(model, **options):
    lines = []
    model.summary(print_fn=lines.append, **options)
    return lines


def test_the_notebooks_table_whole(capsys):
    model = keras.Sequential([L.Embedding(10000, 32), L.SimpleRNN(32)])
    model.summary()
    blank = " " * 65
    assert capsys.readouterr().out.split("\n") == [
        'Model: "sequential"',
        "_" * 65,
        " Layer (type)                Output Shape              Param #   ",
        "=" * 65,
        " embedding (Embedding)       (None, None, 32)          320000    ",
        blank,
        " simple_rnn (SimpleRNN)      (None, 32)                2080      ",
        blank,
        "=" * 65,
        "Total params: 322,080",
        "Trainable params: 322,080",
        "Non-trainable params: 0",
        "_" * 65,
        "",
    ]


def rnn(**options):
    return L.SimpleRNN(8, return_sequences=True, **options)


def both(**options):
    return L.Bidirectional(rnn(), **options)


def deep():
    return [L.SimpleRNN(32, return_sequences=True) for _ in range(3)]


TABLE = [
    (lambda: [L.Embedding(10000, 32), L.SimpleRNN(32)],
     ["(None, None, 32)", "(None, 32)"], [320000, 2080], "322,080"),
    (lambda: [L.Embedding(10000, 32), L.SimpleRNN(32, return_sequences=True)],
     ["(None, None, 32)"] * 2, [320000, 2080], "322,080"),
    (lambda: [L.Embedding(10000, 32), *deep(), L.SimpleRNN(32)],
     ["(None, None, 32)"] * 4 + ["(None, 32)"], [320000] + [2080] * 4, "328,320"),
    (lambda: [L.SimpleRNN(3, input_shape=(2, 10))], ["(None, 3)"], [42], "42"),
    (lambda: [L.SimpleRNN(3, batch_input_shape=(8, 2, 10))], ["(8, 3)"], [42], "42"),
    (lambda: [L.SimpleRNN(3, batch_input_shape=(8, 2, 10), return_sequences=True)],
     ["(8, 2, 3)"], [42], "42"),
    (lambda: [rnn(input_length=10, input_dim=5), rnn()], ["(None, 10, 8)"] * 2, [112, 136], "248"),
    (lambda: [both(input_shape=(10, 5))], ["(None, 10, 16)"], [224], "224"),
    (lambda: [both(input_shape=(10, 5)), both(), both(), both()],
     ["(None, 10, 16)"] * 4, [224, 400, 400, 400], "1,424"),
]  # fmt: skip


@pytest.mark.parametrize(("layers", "shapes", "counts", "total"), TABLE)
def test_names_shapes_and_counts_of_notebooks(layers, shapes, counts, total):
    model = keras.Sequential(layers())
    lines = shown(model)
    rows = [line for line in lines[4:] if line.startswith(" ") and line.strip()]
    for row, layer, shape, count in zip(rows, model.layers, shapes, counts, strict=True):
        kind = type(layer).__name__
        assert row.split() == [layer.name, f"({kind})", *shape.split(), str(count)]
    assert lines[-4:-1] == [
        f"Total params: {total}", f"Trainable params: {total}", "Non-trainable params: 0"
    ]  # fmt: skip
    table = [line for line in lines if line[:1] in "_= "]
    assert len({len(line) for line in table}) == 1
    shape_at = lines[2].index("Output")
    count_at = lines[2].index("Param")
    for row, shape, count in zip(rows, shapes, counts, strict=True):
        assert row[shape_at:].startswith(f"{shape}  ")
        assert row[count_at:].strip() == str(count)


def test_columns_widen_for_wide_letters_and_long_names():
    model = keras.Sequential(name="m")
    model.add(L.Dense(2, input_shape=(3,), name="은닉층은닉층은닉층은닉층"))
    model.add(L.Dense(5))
    lines = shown(model)
    assert lines[4].startswith(" 은닉층은닉층은닉층은닉층 (Dense)  (None, 2) ")
    assert lines[2].index("Output") == len(" 은닉층은닉층은닉층은닉층 (Dense)  ") + 12
    assert len(lines[4]) + 12 == len(lines[2]) == len(lines[1])


def test_models_inside_and_what_isnt_learnt():
    inner = keras.Sequential([L.LSTM(3, input_shape=(5, 7)), L.Dense(2)], name="inner")
    model = keras.Sequential([inner, L.Dense(4)], name="m")
    model.layers[0].trainable = False
    assert shown(model, expand_nested=True, show_trainable=True) == [
        'Model: "m"',
        "_" * 76,
        " Layer (type)                Output Shape              Param #   Trainable  ",
        "=" * 76,
        " inner (Sequential)          (None, 2)                 140       N          ",
        "|" + "¯" * 74 + "|",
        "| lstm (LSTM)                (None, 3)                 132       N         |",
        "|" + " " * 74 + "|",
        "| dense (Dense)              (None, 2)                 8         N         |",
        "¯" * 76,
        " " * 76,
        " dense_1 (Dense)             (None, 4)                 12        Y          ",
        " " * 76,
        "=" * 76,
        "Total params: 152",
        "Trainable params: 12",
        "Non-trainable params: 140",
        "_" * 76,
    ]


class Tied(keras.Model):
    def __init__(self):
        super().__init__(name="tied")
        self.a = L.LSTM(3, return_state=True)
        self.b = self.c = L.Dense(3)

    def call(self, x):
        return self.c(self.b(self.a(x)[0]))


def test_models_of_ones_own_and_shared_layers():
    model = Tied()
    assert shown(model)[4].split() == ["lstm", "(LSTM)", "?", "0", "(unbuilt)"]
    model(np.ones((2, 5, 7)))
    assert "[(2, 3), (2, 3), (2, 3)]" in shown(model)[4]
    assert shown(model)[-4] == "Total params: 144"  # 4·3·(7 + 3 + 1) + 3·(3 + 1)
    other = Tied()
    other.build((None, None, 7))
    assert shown(other)[4].split()[2:5] == ["[(None,", "3),", "(None,"]
    assert shown(other)[6].split()[2:] == ["(None,", "3)", "12"]


def test_shapes_are_known_after_the_first_call():
    model = keras.Sequential([L.Masking(), L.SimpleRNN(3), L.Dense(2)])
    assert shown(model)[4].split()[2:] == ["?", "0", "(unbuilt)"]
    model(np.ones((11, 5, 7)))
    assert [line.split()[2:] for line in shown(model)[4:9:2]] == [
        ["(None,", "5,", "7)", "0"], ["(None,", "3)", "33"], ["(None,", "2)", "8"]
    ]  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_boxes_as_keras_printed_them(name):
    assert dict(golden.tables(_Boxed))[name] == EXPECTED[name]


def test_boxes_as_keras_prints_them(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "torch"))
    pytest.importorskip("torch")
    theirs = pytest.importorskip("keras", minversion="3.15")
    monkeypatch.setenv("COLUMNS", "101")
    before = theirs.config.floatx(), theirs.config.dtype_policy()  # what another test has set
    theirs.config.set_floatx("float32")
    theirs.config.set_dtype_policy("float32")
    try:
        assert dict(golden.tables(_Boxed)) == dict(golden.tables(theirs))
    finally:
        theirs.config.set_floatx(before[0])
        theirs.config.set_dtype_policy(before[1])


def _box(self, print_fn, **options):
    keras.Model.summary(self, print_fn=print_fn, style="box", **options)


class _Boxed:
    layers = L
    Sequential = type("Sequential", (keras.Sequential,), {"summary": _box})
    Model = type("Model", (keras.Model,), {"summary": _box})


def test_wrong_use():
    model = keras.Sequential([L.Dense(2, input_shape=(3,), name="out")])
    with pytest.raises(ValueError, match=r"style.*Did you mean 'box'"):
        model.summary(style="bix")
    with pytest.raises(ValueError, match=r"do not match.*there are \['out'\]"):
        model.summary(layer_range=["in", "out"])
    with pytest.raises(ValueError, match="two names"):
        model.summary(layer_range="out")
    with pytest.raises(ValueError, match=r"Insufficient console width.*line_length=9"):
        model.summary(style="box", line_length=9)


def test_the_other_summary_explains_the_counts():
    model = keras.Sequential(
        [L.Embedding(53, 7), L.LSTM(5, return_sequences=True), L.GRU(3), L.Dense(2)]
    )
    made = tg.summary(model, np.ones((2, 11), int))
    rows = {row.name: row for row in made.rows}
    formulas = {name: row.formulas[0] for name, row in rows.items() if row.formulas}
    assert {name: f.symbols for name, f in formulas.items()} == {
        "embedding": "V·E",
        "lstm.cell": "4·(I·H + H·H + H)",
        "gru.cell": "3·(I·H + H·H + 2·H)",
        "dense": "I·O + O",
    }
    assert formulas["lstm.cell"].numbers == "4·(7·5 + 5·5 + 5)"
    for layer in model.layers:
        counts = [f.total for name, f in formulas.items() if name.split(".")[0] == layer.name]
        assert sum(counts) == layer.count_params()
    assert rows["lstm"].output_shape == "(batch, time, 5)"
    cell = keras.layers.GRUCell(3, reset_after=False)
    cell.build((None, 7))
    assert tg.summary(cell).rows[0].formulas[0].symbols == "3·(I·H + H·H + H)"
