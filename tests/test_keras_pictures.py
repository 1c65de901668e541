"""Pictures of Keras models, and the look inside."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import keras

L = keras.layers
IDS = np.random.default_rng(1).integers(0, 23, (3, 5))


@pytest.fixture(autouse=True)
def anew():
    keras.naming.clear_session()


def reader():
    return keras.Sequential(
        [
            L.Embedding(23, 7),
            L.LSTM(4, return_sequences=True),
            L.Bidirectional(L.GRU(3)),
            L.Dense(2, activation="softmax"),
        ]
    )


def test_made_up_data_has_the_models_shape():
    drawn = reader().draw(view="ops")
    steps = {node.scope[:2] for node in drawn.nodes if node.scope[2:3] == ("t=3",)}
    assert steps == {("sequential", "lstm")}
    assert not any("t=4" in node.scope for node in drawn.nodes)
    (output,) = (node for node in drawn.nodes if node.is_output)
    assert output.shapes == ((1, 2),)
    flat = keras.Sequential([L.SimpleRNN(4, batch_input_shape=(8, 2, 11))])
    (output,) = (node for node in flat.draw().nodes if node.is_output)
    assert output.shapes == ((8, 4),)


def test_weights_and_gates_have_names_that_tell_them_apart():
    drawn = reader().draw(view="ops")
    names = [node.name for node in drawn.nodes if node.kind == "parameter"]
    assert sorted(names) == sorted(
        [
            "embedding/embeddings",
            *(f"lstm/{name}" for name in ("kernel", "recurrent_kernel", "bias")),
            *(
                f"bidirectional/{way}_gru/{name}"
                for way in ("forward", "backward")
                for name in ("kernel", "recurrent_kernel", "bias")
            ),
            "dense/kernel",
            "dense/bias",
        ]
    )
    first = {n.name for n in drawn.nodes if n.scope[1:] == ("lstm", "t=0") and n.name}
    assert {"i", "f", "g", "o", "c", "h"} <= first
    layer = L.LSTM(4)
    shown = tg.graph(layer(np.ones((2, 3, 7))))
    assert {n.name for n in shown.nodes if n.kind == "parameter"} == {
        f"lstm_1/{name}" for name in ("kernel", "recurrent_kernel", "bias")
    }


@pytest.mark.parametrize("view", ["cells", "rolled", "modules", "ops", None])
def test_files_of_every_view(view, tmp_path):
    path = reader().draw(tmp_path / "model.dot", view=view, x=IDS)
    assert path == tmp_path / "model.dot"
    text = path.read_text(encoding="utf-8")
    for name in ("lstm", "bidirectional", "dense/kernel" if view == "ops" else "dense"):
        assert name in text


def test_options_are_those_of_draw(tmp_path):
    model = reader()
    folded = model.draw(view="cells", x=np.zeros((1, 50), int), steps=2)
    assert "… 46 steps …" in {node.name for node in folded.nodes}
    with pytest.raises(TypeError, match="no option 'stepz'"):
        model.draw(stepz=2)
    with pytest.raises(ValueError, match="there is no view 'cell'"):
        model.draw(view="cell")


def test_a_picture_changes_nothing():
    model = keras.Sequential(
        [L.LSTM(4, stateful=True, batch_input_shape=(2, 3, 7), dropout=0.5, seed=1), L.Dense(2)]
    )
    model.train()
    before = [s.data.copy() for s in model.layers[0].states]
    drawn = tg.core.random.generator().bit_generator.state
    model.draw(x=np.ones((2, 3, 7)))
    assert model.training
    assert tg.core.random.generator().bit_generator.state == drawn
    for was, now in zip(before, model.layers[0].states, strict=True):
        assert np.array_equal(was, now.data)


def test_without_a_shape_data_must_be_given():
    model = keras.Sequential([L.LSTM(4)])
    with pytest.raises(ValueError, match=r"isn't known yet.*give x"):
        model.draw()
    assert model.draw(x=np.ones((2, 3, 7))).nodes
    assert model.draw().nodes


def test_the_look_inside():
    keras.config.set_floatx("float64")
    try:
        model = reader()
    finally:
        keras.config.set_floatx("float32")
    seen = model.trace(IDS)
    assert seen.places[0] == "lstm"
    assert seen["lstm.f"].shape == (5, 3, 4)
    ways = ("bidirectional.forward_gru", "bidirectional.backward_gru")
    assert seen.places[1:] == ways
    states = seen["lstm.h"]
    layer_output = model.layers[1](model.layers[0](IDS))
    wanted = np.swapaxes(layer_output.data, 0, 1)
    np.testing.assert_allclose(states, wanted, rtol=1e-12)
    seen.backward((seen.result**2).sum())
    assert seen.grad("lstm.h").shape == (5, 3, 4)
    shares = seen.flow("lstm").shares
    model.zero_grad()
    (model(IDS) ** 2).sum().backward()
    (name,) = (n for n in shares if n.endswith("lstm.cell.bias"))
    np.testing.assert_allclose(
        shares[name].sum(axis=0), model.layers[1].cell.bias.grad.data, rtol=1e-10, atol=1e-15
    )
    late = keras.Sequential([L.SimpleRNN(4)])
    assert late.trace(np.ones((2, 3, 7)))["h"].shape == (3, 2, 4)


def test_weights_are_drawn_without_the_views_that_cells_read_them_through():
    model = keras.Sequential([L.Embedding(5, 3), L.GRU(4), L.Dense(2)])
    for view in ("cells", "rolled"):
        text = model.draw(view=view).to_dot(view=view)
        assert "transpose" not in text
        assert "gru/recurrent_kernel" in text
        assert "6 parameters" in text  # one embedding, three weights of the GRU, two of Dense
