"""The cells of learners' Keras notebooks, with the import changed."""

import builtins
import importlib
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from tinygrad_rnn.keras.layers import Bidirectional, Embedding, SimpleRNN
from tinygrad_rnn.keras.models import Sequential
from tinygrad_rnn.keras.utils import clear_session

sys.path.insert(0, str(Path(__file__).parent.parent / "demos"))

hidden_units, timesteps, input_dim = 8, 10, 5


@pytest.fixture(autouse=True)
def names_from_the_first():
    clear_session()


def shown(model, capsys):
    """The rows of the summary, [name (class), shape, number], and its total."""
    model.summary()
    printed = capsys.readouterr().out
    rows = re.findall(r"^ (\S+ \(\w+\)) +(\(.*?\)) +(\d+) *$", printed, re.MULTILINE)
    return rows, re.search(r"^Total params: (.*)$", printed, re.MULTILINE)[1]


def test_embedding_and_a_layer(capsys):
    model = Sequential()
    model.add(Embedding(10000, 32))
    model.add(SimpleRNN(32))
    assert shown(model, capsys) == (
        [
            ("embedding (Embedding)", "(None, None, 32)", "320000"),
            ("simple_rnn (SimpleRNN)", "(None, 32)", "2080"),
        ],
        "322,080",
    )

    model = Sequential()
    model.add(Embedding(10000, 32))
    model.add(SimpleRNN(32, return_sequences=True))
    assert shown(model, capsys) == (
        [
            ("embedding_1 (Embedding)", "(None, None, 32)", "320000"),
            ("simple_rnn_1 (SimpleRNN)", "(None, None, 32)", "2080"),
        ],
        "322,080",
    )

    model = Sequential()
    model.add(Embedding(10000, 32))
    model.add(SimpleRNN(32, return_sequences=True))
    model.add(SimpleRNN(32, return_sequences=True))
    model.add(SimpleRNN(32, return_sequences=True))
    model.add(SimpleRNN(32))
    rows, total = shown(model, capsys)
    assert rows == [
        ("embedding_2 (Embedding)", "(None, None, 32)", "320000"),
        *((f"simple_rnn_{k} (SimpleRNN)", "(None, None, 32)", "2080") for k in (2, 3, 4)),
        ("simple_rnn_5 (SimpleRNN)", "(None, 32)", "2080"),
    ]
    assert total == "328,320"
    assert model.count_params() == 328320


def test_shapes_given_to_the_first_layer(capsys):
    model = Sequential()
    model.add(SimpleRNN(3, input_shape=(2, 10)))
    assert shown(model, capsys) == ([("simple_rnn (SimpleRNN)", "(None, 3)", "42")], "42")

    same = Sequential()
    same.add(SimpleRNN(3, input_length=2, input_dim=10))
    assert (same.input_shape, same.output_shape) == (model.input_shape, model.output_shape)

    model = Sequential()
    model.add(SimpleRNN(3, batch_input_shape=(8, 2, 10)))
    assert shown(model, capsys) == ([("simple_rnn_2 (SimpleRNN)", "(8, 3)", "42")], "42")

    model = Sequential()
    model.add(SimpleRNN(3, batch_input_shape=(8, 2, 10), return_sequences=True))
    assert shown(model, capsys) == ([("simple_rnn_3 (SimpleRNN)", "(8, 2, 3)", "42")], "42")
    assert model(np.zeros((8, 2, 10))).shape == (8, 2, 3)


def test_the_deep_network(capsys):
    model = Sequential()
    model.add(SimpleRNN(hidden_units, input_length=10, input_dim=5, return_sequences=True))
    model.add(SimpleRNN(hidden_units, return_sequences=True))
    rows = [
        ("simple_rnn (SimpleRNN)", "(None, 10, 8)", "112"),
        ("simple_rnn_1 (SimpleRNN)", "(None, 10, 8)", "136"),
    ]
    assert shown(model, capsys) == (rows, "248")


def test_both_directions(capsys):
    model = Sequential()
    model.add(
        Bidirectional(
            SimpleRNN(hidden_units, return_sequences=True), input_shape=(timesteps, input_dim)
        )
    )
    rows = [("bidirectional (Bidirectional)", "(None, 10, 16)", "224")]
    assert shown(model, capsys) == (rows, "224")


def test_both_directions_four_times(capsys):
    model = Sequential()
    model.add(
        Bidirectional(
            SimpleRNN(hidden_units, return_sequences=True), input_shape=(timesteps, input_dim)
        )
    )
    model.add(Bidirectional(SimpleRNN(hidden_units, return_sequences=True)))
    model.add(Bidirectional(SimpleRNN(hidden_units, return_sequences=True)))
    model.add(Bidirectional(SimpleRNN(hidden_units, return_sequences=True)))
    rows, total = shown(model, capsys)
    assert [shape for _, shape, _ in rows] == ["(None, 10, 16)"] * 4
    assert [number for *_, number in rows] == ["224", "400", "400", "400"]
    assert total == "1,424"
    assert model.output_shape == (None, 10, 16)
    assert model.predict(np.zeros((3, 10, 5)), verbose=0).shape == (3, 10, 16)


def test_the_layer_computes_the_loop_of_the_notebook():
    """output_t = tanh(Wx x_t + Wh h + b), the loop that both notebooks write by hand."""
    rng = np.random.default_rng(0)
    inputs = rng.random((timesteps, 4))
    Wx, Wh, b = rng.random((8, 4)), rng.random((8, 8)), rng.random(8)

    hidden_state_t = np.zeros((hidden_units,))
    total_hidden_states = []
    for input_t in inputs:
        output_t = np.tanh(np.dot(Wx, input_t) + np.dot(Wh, hidden_state_t) + b)
        total_hidden_states.append(list(output_t))
        hidden_state_t = output_t
    total_hidden_states = np.stack(total_hidden_states, axis=0)

    layer = SimpleRNN(hidden_units, return_sequences=True, dtype="float64", input_shape=(10, 4))
    model = Sequential([layer])
    layer.set_weights([Wx.T, Wh.T, b])
    np.testing.assert_allclose(layer(inputs[None]).data[0], total_hidden_states, rtol=1e-12)
    found = model.predict(inputs[None], verbose=0)[0]
    np.testing.assert_allclose(found, total_hidden_states, rtol=1e-6)


def test_no_other_library_is_loaded(monkeypatch):
    """The notebooks' imports are the only change: neither keras nor a framework stands behind."""
    asked = []
    load = builtins.__import__

    def watch(name, *details, **options):
        asked.append(name.partition(".")[0])
        return load(name, *details, **options)

    monkeypatch.setattr(builtins, "__import__", watch)
    model = Sequential([Embedding(11, 3), SimpleRNN(2)])
    model.compile("adam", "mse")
    model.fit(np.zeros((2, 3), int), np.zeros((2, 2)), verbose=0)
    assert not {"keras", "torch", "tensorflow", "jax"} & set(asked)


def test_the_page_of_the_docs_runs(capsys):
    names = {}
    page = Path(__file__).parent.parent / "docs" / "keras.md"
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        exec(compile(block, "keras.md", "exec"), names)
    assert names["picture"].nodes
    assert " lstm (LSTM) " in capsys.readouterr().out


# The demo


def test_the_demo_shows_what_keras_does_and_what_it_cant(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    pytest.importorskip("graphviz")
    demo = importlib.import_module("keras_notebook")
    figures = demo.main(["--out", str(tmp_path), "--epochs", "2", "--samples", "64"])
    printed = capsys.readouterr().out
    for total in ("322,080", "328,320", "42", "248", "1,424"):
        assert f"Total params: {total}\n" in printed
    assert len(figures["history"]["loss"]) == 2
    assert figures["reload_difference"] == 0.0
    for name in ("model.svg", "gates.png", "gradient.png", "model.npz"):
        assert (tmp_path / name).stat().st_size > 0
    kept = json.loads((tmp_path / "figures.json").read_text())
    assert kept["history"] == figures["history"]


def test_the_task_of_the_demo_cant_be_solved_by_the_end_of_a_sequence():
    """Which of two marks came first decides; the last steps are the same for both classes."""
    pytest.importorskip("matplotlib")
    demo = importlib.import_module("keras_notebook")
    x, y = demo.drawn_marks(seed=0, samples=200)
    assert set(np.unique(x)) <= set(range(demo.WORDS))
    for row, first in zip(x, y, strict=True):
        marks = row[np.isin(row, (demo.A, demo.B))]
        assert len(marks) == 2
        assert (marks[0] == demo.A) == first
    assert 0.35 < y.mean() < 0.65


def test_help_of_the_demo(capsys):
    pytest.importorskip("matplotlib")
    demo = importlib.import_module("keras_notebook")
    with pytest.raises(SystemExit) as stopped:
        demo.main(["--help"])
    assert stopped.value.code == 0
    assert "--epochs" in capsys.readouterr().out
