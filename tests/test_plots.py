"""`tg.plots`: what is drawn, against closed forms, finite differences and full Jacobians."""

import re
import sys

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import panels
from tinygrad_rnn.errors import DtypeError, GraphError, ShapeError
from tinygrad_rnn.plots import input_output

pytest.importorskip("matplotlib")

F64 = np.float64


def made(kind, *sizes, **options):
    return getattr(tg.nn, kind)(*sizes, dtype=F64, rng=3, **options)


def drawn_map(drawn):
    return np.asarray(drawn.figure.axes[0].images[0].get_array())


def tick_labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


# Connectivity


def from_jacobian(function, x):
    """‖∂y_t/∂x_s‖ of a function of (T, I), by its whole Jacobian (T, F, T, I)."""
    J = tg.jacobian(function, tg.Tensor(x)).data
    return np.sqrt((J**2).sum(axis=(1, 3)))


def from_differences(function, x, eps=1e-6):
    """The same, by central differences of the forward pass alone."""
    squares = 0.0
    for s, i in np.ndindex(*x.shape):
        step = np.zeros_like(x)
        step[s, i] = eps
        with tg.no_grad():
            change = (function(x + step).data - function(x - step).data) / (2 * eps)
        column = np.zeros((len(change), len(x)))
        column[:, s] = (change**2).sum(axis=1)
        squares = squares + column
    return np.sqrt(squares)


class Leak(tg.nn.Module):
    """h' = a h + W x, a user's cell."""

    def __init__(self, input_size, hidden_size):
        self.hidden_size = hidden_size
        self.W = tg.nn.Parameter(
            np.linspace(-1, 1, input_size * hidden_size).reshape(-1, hidden_size)
        )

    def initial_state(self, batch, dtype):
        return np.zeros((*batch, self.hidden_size), dtype)

    def forward(self, x, h):
        return np.tanh(0.7 * h + x @ self.W)


LAYERS = {
    "RNN": lambda: made("RNN", 2, 3),
    "LSTM, two layers": lambda: made("LSTM", 2, 3, num_layers=2),
    "LSTM, projected, both": lambda: made("LSTM", 2, 4, proj_size=2, bidirectional=True),
    "GRU, both": lambda: made("GRU", 2, 3, bidirectional=True),
    "own cell": lambda: tg.rnn.Recurrent(Leak, 2, 3),
    "checkpointed": lambda: made("LSTM", 2, 3, checkpoint_every=2),
}


@pytest.mark.parametrize("name", LAYERS)
def test_connectivity_is_the_norm_of_the_jacobian(rng, name):
    layer = LAYERS[name]()
    x = rng.standard_normal((5, 4, 2))
    norms = tg.plots.connectivity(layer, x, sequence=2).arrays["connectivity"]

    def alone(one):
        return layer(one)[0]

    assert norms.shape == (5, 5)
    np.testing.assert_allclose(norms, from_jacobian(alone, x[:, 2]), rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(norms, from_differences(alone, x[:, 2]), rtol=1e-6, atol=1e-8)
    both = getattr(layer, "bidirectional", False)
    later = norms[np.triu_indices(5, 1)]
    assert later.all() if both else not later.any()


@pytest.mark.parametrize("copies", [1, 2, 3, 128])
def test_connectivity_of_many_features_goes_in_blocks(rng, monkeypatch, copies):
    monkeypatch.setattr(input_output, "_COPIES", copies)
    model = tg.nn.Sequential(
        made("Linear", 2, 3), made("GRU", 3, 4, batch_first=True), made("Linear", 4, 5)
    )
    x = rng.standard_normal((3, 6, 2))
    drawn = tg.plots.connectivity(model, x, sequence=1, batch_first=True)
    expected = from_jacobian(lambda one: model(one[None])[0], x[1])
    np.testing.assert_allclose(drawn.arrays["connectivity"], expected, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(
        tg.plots.connectivity(model, x[1]).arrays["connectivity"], expected, rtol=1e-10, atol=1e-14
    )


def test_connectivity_of_a_decay_is_its_power():
    def leak(x):
        return tg.rnn.scan(lambda x, h: 0.5 * h + x, x, np.zeros(3))

    drawn = tg.plots.connectivity(leak, np.ones((7, 3)))
    t, s = np.indices((7, 7))
    expected = np.where(s <= t, 0.5 ** np.abs(t - s) * np.sqrt(3), 0)
    np.testing.assert_allclose(drawn.arrays["connectivity"], expected, rtol=1e-14)
    shown = np.ma.masked_invalid(drawn_map(drawn)).filled(0)
    np.testing.assert_allclose(shown, expected, rtol=1e-14)
    assert drawn.figure.axes[0].images[0].norm.vmin == pytest.approx(0.5**6 * np.sqrt(3))


def test_a_triangle_stays_blank_above_and_a_square_does_not(rng):
    x = rng.standard_normal((6, 1, 2))
    triangle = drawn_map(tg.plots.connectivity(made("GRU", 2, 3), x, log=False))
    assert np.isnan(triangle[np.triu_indices(6, 1)]).all()
    assert np.isfinite(triangle[np.tril_indices(6)]).all()
    square = drawn_map(tg.plots.connectivity(made("GRU", 2, 3, bidirectional=True), x))
    assert np.isfinite(square).all()


@pytest.mark.parametrize("factor", [0.0, np.nan, 1e200])
@pytest.mark.parametrize("log", [True, False])
def test_what_vanishes_or_explodes_is_drawn_all_the_same(factor, log):
    with np.errstate(all="ignore"):
        drawn = tg.plots.connectivity(lambda x: factor * (factor * x), np.ones((3, 1, 2)), log=log)
        drawn._repr_png_()
        h = tg.Tensor([1.0], requires_grad=True)
        with tg.record() as recording:
            for t in range(3):
                with tg.scope(f"t={t}"):
                    h = (factor * h).named("h")
            h.sum().backward()
        tg.plots.gradient_flow(recording)._repr_png_()


def test_connectivity_leaves_the_module_as_it_was(rng):
    layer = made("LSTM", 2, 3, num_layers=2, dropout=0.5)
    draws = tg.manual_seed(5)
    before = draws.bit_generator.state
    norms = tg.plots.connectivity(layer, rng.standard_normal((4, 1, 2))).arrays["connectivity"]
    assert layer.training
    assert all(cell.training for cell in layer._cells)
    assert draws.bit_generator.state == before
    assert all(p.grad is None for p in layer.parameters())
    again = tg.plots.connectivity(
        layer.eval(), np.random.default_rng(20).standard_normal((4, 1, 2))
    )
    np.testing.assert_array_equal(norms, again.arrays["connectivity"])


def test_connectivity_teaches(rng):
    gru = made("GRU", 2, 3)
    x = rng.standard_normal((4, 3, 2))
    with pytest.raises(TypeError, match=r"takes a layer or a function"):
        tg.plots.connectivity(x, gru)
    with pytest.raises(DtypeError, match=r"symbols have no derivative. Give embedding\(x\)"):
        tg.plots.connectivity(gru, np.zeros((4, 3), int))
    with pytest.raises(ShapeError, match=r"got the shape \(4,\)"):
        tg.plots.connectivity(gru, x[:, 0, 0])
    with pytest.raises(ValueError, match=r"no sequence 3 in a batch of 3"):
        tg.plots.connectivity(gru, x, sequence=3)
    with pytest.raises(ShapeError, match=r"with an output for every step"):
        tg.plots.connectivity(lambda x: gru(x)[0][-1], x)
    with pytest.raises(TypeError, match=r"nothing that depends on x"):
        tg.plots.connectivity(lambda x: x.data, x)
    with pytest.raises(ValueError, match=r"connectivity: 3 labels for 4 steps"):
        tg.plots.connectivity(gru, x, labels="abc")


# Gradient flow


def test_flow_of_a_trace_is_that_of_every_place(rng):
    lstm = made("LSTM", 2, 3, num_layers=2, bidirectional=True)
    x = rng.standard_normal((6, 4, 2))
    weights = tg.Tensor(rng.standard_normal((6, 4, 6)))
    trace = tg.rnn.trace(lstm, x, loss=lambda result: (result[0] * weights).sum())
    drawn = tg.plots.gradient_flow(trace)
    assert list(drawn.arrays) == ["l0", "l0_reverse", "l1", "l1_reverse"]
    for line, (place, norm) in zip(drawn.figure.axes[0].lines, drawn.arrays.items(), strict=True):
        np.testing.assert_array_equal(norm, trace.flow(place).grad_norm)
        np.testing.assert_array_equal(line.get_ydata(), norm)
        assert line.get_label() == place
    styles = {(line.get_color(), line.get_linestyle()) for line in drawn.figure.axes[0].lines}
    assert len(styles) == 4
    assert drawn.figure.axes[0].get_yscale() == "log"
    # the states of the last layer, by hand: dL/dh_t of the output is its weight, and what comes
    # through later steps; at the last step there are none
    np.testing.assert_allclose(drawn.arrays["l1"][-1], np.linalg.norm(weights.data[-1, :, :3]))


def test_flow_of_a_recording_of_a_loop_of_ones_own():
    h = tg.Tensor([1.0, 2.0], requires_grad=True)
    with tg.record() as recording:
        for t in range(1, 9):
            with tg.scope(f"t={t}"):
                h = (0.5 * h).named("h")
        h.sum().backward()
    drawn = tg.plots.gradient_flow(recording)
    (norm,) = drawn.arrays.values()
    np.testing.assert_allclose(norm, np.sqrt(2) * 0.5 ** np.arange(7, -1, -1.0))
    assert list(drawn.figure.axes[0].lines[0].get_xdata()) == list(range(1, 9))


def test_flow_of_a_layer_in_a_recording_and_of_another_state(rng):
    lstm = made("LSTM", 2, 3)
    x = rng.standard_normal((5, 2, 2))
    with tg.record() as recording:
        output, _ = lstm(x)
        (output[-1] ** 2).sum().backward()
    trace = tg.rnn.trace(lstm, x, loss=lambda result: (result[0][-1] ** 2).sum())
    for key in "hc":
        (norm,) = tg.plots.gradient_flow(recording, key=key).arrays.values()
        np.testing.assert_allclose(norm, trace.flow(key=key).grad_norm, rtol=1e-12)


def test_hostile_names_are_shown_as_they_are():
    with tg.record() as recording:
        for place in ("_hidden", "a$_b", "$x^{$"):
            h = tg.Tensor([1.0], requires_grad=True)
            with tg.scope(place):
                for t in range(3):
                    with tg.scope(f"t={t}"):
                        h = (0.5 * h).named("h$")
            h.sum().backward()
    drawn = tg.plots.gradient_flow(recording, key="h$")
    drawn._repr_png_()
    legend = [text.get_text() for text in drawn.figure.axes[0].get_legend().get_texts()]
    assert legend == [" _hidden", r"a\$_b", r"\$x^{\$"]
    tg.plots.training_curves({"_$loss^{": [1.0]}, title="$")._repr_png_()


def test_steps_that_are_not_real_are_gaps(rng):
    trace = tg.rnn.trace(
        made("GRU", 2, 3),
        rng.standard_normal((6, 1, 2)),
        lengths=[4],
        loss=lambda result: result[1].sum(),
    )
    drawn = tg.plots.gradient_flow(trace)
    assert not drawn.arrays["l0"][4:].any()
    shown = drawn.figure.axes[0].lines[0].get_ydata()
    assert np.isnan(shown[4:]).all()
    assert (shown[:4] > 0).all()


def test_flow_teaches(rng):
    lstm = made("LSTM", 2, 3)
    trace = tg.rnn.trace(lstm, rng.standard_normal((4, 1, 2)))
    with pytest.raises(GraphError, match=r"needs a loss: call trace.backward\(loss\) first"):
        tg.plots.gradient_flow(trace)
    with pytest.raises(TypeError, match=r"takes a trace or a recording, got LSTM"):
        tg.plots.gradient_flow(lstm)
    with tg.record() as recording:
        lstm(rng.standard_normal((4, 1, 2)))
    with pytest.raises(GraphError, match=r"call loss.backward\(\) inside `with tg.record\(\)"):
        tg.plots.gradient_flow(recording)
    trace.backward(trace.output.sum())
    with pytest.raises(KeyError, match=r"no quantity 'H' was seen.* There are 'x', 'i'"):
        tg.plots.gradient_flow(trace, key="H")


# Gate activity


def test_gates_are_those_of_the_trace_over_the_characters(rng):
    text = "he $o w"
    lstm = made("LSTM", 2, 5, bidirectional=True)
    trace = tg.rnn.trace(lstm, rng.standard_normal((7, 3, 2)), lengths=[7, 4, 2])
    drawn = tg.plots.gate_activity(trace, text, place="l0_reverse", sequence=1)
    assert list(drawn.arrays) == list("ifogch")
    maps = [axes for axes in drawn.figure.axes if axes.images]
    for axes, (name, values) in zip(maps, drawn.arrays.items(), strict=True):
        assert values.shape == (7, 5)
        np.testing.assert_array_equal(values[:4], trace[f"l0_reverse.{name}"][:4, 1])
        assert np.isnan(values[4:]).all()
        shown = np.ma.filled(axes.images[0].get_array(), np.nan)
        np.testing.assert_array_equal(shown, values.T)
        assert axes.get_ylabel() == f"{name}\n(units)"
    assert tick_labels(maps[-1].xaxis) == [*"he␣", r"\$", *"o␣w"]
    assert not [axes for axes in drawn.figure.axes if axes.lines]


def test_every_character_of_a_long_text_is_there_and_words_are_fewer(rng):
    trace = tg.rnn.trace(made("RNN", 2, 3), rng.standard_normal((150, 1, 2)))
    text = ("a" * 14 + "b") * 10
    drawn = tg.plots.gate_activity(trace, text)
    assert "".join(tick_labels(drawn.figure.axes[0].xaxis)) == text
    words = tg.plots.gate_activity(trace, ["word"] * 150)
    assert len(words.figure.axes[0].get_xticks()) == 50


def test_letters_without_a_font_are_shown_by_their_codes(rng, monkeypatch, tmp_path):
    monkeypatch.setattr(panels, "_FURTHER_FONTS", ("There Is No Such Font",))
    trace = tg.rnn.trace(made("RNN", 2, 3), rng.standard_normal((3, 1, 2)))
    drawn = tg.plots.gate_activity(trace, "a한é")
    assert tick_labels(drawn.figure.axes[0].xaxis) == ["a", "D55C", "é"]
    drawn.save(tmp_path / "gates.png")  # a missing letter would be a warning, and so an error


def test_a_further_font_is_taken_if_it_has_the_letter(monkeypatch):
    class Hangul:
        def get_char_index(self, code):
            return int(0xAC00 <= code < 0xD7A4)

    monkeypatch.setattr(panels, "_font", lambda family: Hangul() if "CJK" in family else None)
    texts, families = panels._writable(["a", "한", "\U0001f9ff"])
    assert texts == ["a", "한", "1F9FF"]
    assert families == ["DejaVu Sans", "Noto Sans CJK KR"]


def test_gates_teach(rng):
    lstm = made("LSTM", 2, 3, num_layers=2)
    x = rng.standard_normal((4, 2, 2))
    trace = tg.rnn.trace(lstm, x)
    with pytest.raises(TypeError, match=r"takes a trace, got LSTM"):
        tg.plots.gate_activity(lstm)
    with pytest.raises(ValueError, match=r"choose one of \('l0', 'l1'\)"):
        tg.plots.gate_activity(trace, "abcd")
    with pytest.raises(ValueError, match=r"gate_activity: 3 labels for 4 steps"):
        tg.plots.gate_activity(trace, "abc", place="l0")
    with pytest.raises(KeyError, match=r"'r' isn't one quantity in 'l1'"):
        tg.plots.gate_activity(trace, place="l1", quantities=["r"])
    with pytest.raises(ValueError, match=r"no sequence 2 in a batch of 2"):
        tg.plots.gate_activity(trace, place="l1", sequence=2)


# Training curves


def test_training_and_validation_share_a_panel():
    history = {"loss": [2.0, 1.0, 0.5], "val_loss": [2.0, 1.5, 1.4], "accuracy": [0, 0.5, 1]}
    drawn = tg.plots.training_curves(history, log=["loss"])
    loss, accuracy = drawn.figure.axes
    assert [line.get_label() for line in loss.lines] == ["training", "validation"]
    for line, name in zip([*loss.lines, *accuracy.lines], history, strict=True):
        assert list(line.get_xdata()) == [1, 2, 3]
        np.testing.assert_array_equal(line.get_ydata(), history[name])
        np.testing.assert_array_equal(drawn.arrays[name], history[name])
    assert (loss.get_yscale(), accuracy.get_yscale()) == ("log", "linear")
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("loss (log scale)", "accuracy")
    assert accuracy.get_xlabel() == "epoch"
    colours = {line.get_color() for line in loss.lines}
    assert len(colours) == 2
    assert colours <= set(panels.COLOURS)


def test_each_curve_may_have_steps_of_its_own():
    curves = {"loss": np.arange(10.0, 0, -1), "val_loss": [8.0, np.nan]}
    steps = {"loss": range(10), "val_loss": [4, 9]}
    (panel,) = tg.plots.training_curves(curves, steps=steps, unit="step").figure.axes
    assert [list(line.get_xdata()) for line in panel.lines] == [list(range(10)), [4, 9]]
    assert panel.get_xlabel() == "step"


def test_training_curves_teach():
    with pytest.raises(TypeError, match=r"takes a mapping from names to values, got list"):
        tg.plots.training_curves([1.0, 2.0])
    with pytest.raises(ValueError, match=r"there is nothing to draw"):
        tg.plots.training_curves({"loss": []})
    with pytest.raises(ValueError, match=r"'loss' has the shape \(1, 2\)"):
        tg.plots.training_curves({"loss": [[1.0, 2.0]]})
    with pytest.raises(ValueError, match=r"'val_loss' has 1 values at 2 steps; give each curve"):
        tg.plots.training_curves({"loss": [1.0, 2.0], "val_loss": [1.0]}, steps=[1, 2])
    with pytest.raises(ValueError, match=r"'val_loss' goes down to -1, which a logarithmic scale"):
        tg.plots.training_curves({"loss": [1.0], "val_loss": [-1.0]}, log=True)
    with pytest.raises(ValueError, match=r"log='los', and there are loss"):
        tg.plots.training_curves({"loss": [1.0]}, log="los")


# All of them


def pictures():
    x = np.random.default_rng(0).standard_normal((6, 1, 2))
    gru = made("GRU", 2, 3)
    trace = tg.rnn.trace(gru, x, loss=lambda result: result[0].sum())
    return {
        "gradient_flow": lambda: tg.plots.gradient_flow(trace),
        "gate_activity": lambda: tg.plots.gate_activity(trace, "abcdef"),
        "connectivity": lambda: tg.plots.connectivity(gru, x),
        "training_curves": lambda: tg.plots.training_curves({"loss": [1.0, 0.5]}),
    }


@pytest.mark.parametrize("name", list(pictures()))
def test_a_picture_shows_itself_and_is_written(name, tmp_path):
    had_pyplot = "matplotlib.pyplot" in sys.modules
    drawn = pictures()[name]()
    assert type(drawn.figure).__name__ == "Figure"
    assert drawn._repr_png_().startswith(b"\x89PNG")
    assert drawn.save(tmp_path / "made.svg").read_text().rstrip().endswith("</svg>")
    assert ("matplotlib.pyplot" in sys.modules) == had_pyplot
    for axes in drawn.figure.axes:
        assert len(axes.get_xticks()) < 70
    with pytest.raises(OSError, match="there"):
        drawn.save(tmp_path / "not there" / "made.png")
    with pytest.raises(ValueError, match="doc"):
        drawn.save(tmp_path / "made.doc")


@pytest.mark.parametrize("name", list(pictures()))
def test_without_matplotlib_a_picture_says_how_to_get_it(name, monkeypatch):
    draw = pictures()[name]
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    install = re.escape('draws with matplotlib: pip install "tinygrad-rnn[plot]"')
    with pytest.raises(ImportError, match=f"{name} {install}"):
        draw()
