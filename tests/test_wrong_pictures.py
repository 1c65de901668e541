"""What a new user gives pictures by mistake: an error that teaches, or a sensible picture."""

from __future__ import annotations

import numpy as np
import pytest
from graph_examples import lstm, numpy_loop

import tinygrad_rnn as tg

X = np.ones((4, 1, 3))


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (3.0, "got float: make one of the arrays .* requires_grad=True"),
        (np.ones(3), "got ndarray: make one of the arrays"),
        (None, "got NoneType"),
        (tg.nn.LSTM(3, 4), r"call the module, .* tg\.draw\(model\(x\), path\)"),
        (tg.nn.LSTM, "call the module"),
        (tg.graph(tg.Tensor(1.0)), r"graph\.render\(path\)"),
        ("graph.svg", "first the Tensor, then the path"),
        ([], "at least one Tensor"),
    ],
)
def test_what_has_no_graph(tmp_path, given, match):
    with pytest.raises(TypeError, match=match):
        tg.draw(given, tmp_path / "graph.svg")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("look", "kind", "match"),
    [
        ({"steps": 0}, ValueError, "whole number from 1 on, or None, not 0"),
        ({"steps": "3"}, ValueError, "whole number from 1 on, or None, not '3'"),
        ({"view": "cell"}, ValueError, "no view 'cell'; the views are 'ops', 'cells'"),
        ({"collapse": "nosuch"}, ValueError, r"collapse='nosuch' .* there are 'lstm', 'lstm\.l0'"),
        ({"expand": ["lstm", "no.*"]}, ValueError, r"expand='no\.\*' is the name of no scope"),
        ({"time_limit": "3"}, ValueError, "time_limit= takes seconds.* not '3'"),
        ({"time_limit": 0}, ValueError, "time_limit="),
        ({"record": True}, TypeError, "record= takes .* got bool"),
    ],
)
def test_options_that_mean_nothing(tmp_path, look, kind, match):
    with pytest.raises(kind, match=match):
        tg.draw(lstm(3), tmp_path / "graph.svg", **look)
    assert list(tmp_path.iterdir()) == []


def test_a_name_in_a_graph_without_scopes():
    with pytest.raises(ValueError, match=r"has none, and .*tg\.scope"):
        tg.graph(np.exp(tg.Tensor(1.0, requires_grad=True))).to_dot(collapse="encoder")


def test_names_in_an_error_are_few():
    with pytest.raises(ValueError, match=r"there are ('[^']+', ){8}…$"):
        tg.graph(lstm(50)).to_dot(collapse="encoder")


def test_a_tensor_without_a_gradient_is_one_box(tmp_path):
    path = tg.draw(tg.Tensor([1.0, 2.0], name="x"), tmp_path / "x.dot")
    assert "<B>x</B>" in path.read_text("utf-8")


@pytest.mark.parametrize("view", ["ops", "cells", "rolled"])
def test_colours_without_a_recording_say_what_is_missing(view):
    text = tg.graph(numpy_loop()).to_dot(view, colour="gradient")
    assert "nothing is coloured: no gradient was recorded" in text
    assert "nothing is coloured" not in tg.graph(numpy_loop()).to_dot(view)


def test_html_by_name_and_by_method(tmp_path):
    g = tg.graph(lstm(3))
    path = tg.draw(lstm(3), tmp_path / "graph.html")
    assert path.read_text("utf-8") == g.to_html(title="graph")
    assert g.render(tmp_path / "of the graph.html").read_text("utf-8") == g.to_html("of the graph")


def test_a_folded_graph_is_no_page(tmp_path):
    g = tg.graph(lstm(3)).seen("cells")
    with pytest.raises(ValueError, match=r"needs every operation.* 'cells'"):
        g.to_html()
    with pytest.raises(ValueError, match="needs every operation"):
        g.render(tmp_path / "graph.html")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", ["html", "mmd"])
def test_texts_where_nothing_can_be_written(tmp_path, suffix):
    with pytest.raises(FileNotFoundError) as caught:
        tg.draw(numpy_loop(), tmp_path / "nowhere" / f"graph.{suffix}")
    assert caught.value.filename == str(tmp_path / "nowhere" / f"graph.{suffix}")


@pytest.mark.parametrize("given", [3.0, "x", None, tg.nn.LSTM, tg.Tensor(1.0), X])
def test_a_summary_is_of_a_module(given):
    with pytest.raises(TypeError, match="summary takes a Module, such as"):
        tg.summary(given)


@pytest.mark.parametrize("given", [3.0, "x", None, tg.Tensor(1.0), X])
def test_plots_of_something_else(given):
    with pytest.raises(TypeError, match="gradient_flow takes a trace or a recording, got"):
        tg.plots.gradient_flow(given)
    with pytest.raises(TypeError, match="gate_activity takes a trace, got"):
        tg.plots.gate_activity(given, "abcd")
    with pytest.raises(TypeError, match="connectivity takes a layer or a function, got"):
        tg.plots.connectivity(given, X)
    with pytest.raises(TypeError, match="training_curves takes a mapping"):
        tg.plots.training_curves(given)


def test_labels_are_texts():
    layer = tg.nn.LSTM(3, 4)
    with pytest.raises(TypeError, match=r"gate_activity: the labels are a text, .* not 5"):
        tg.plots.gate_activity(tg.rnn.trace(layer, X), 5)
    with pytest.raises(TypeError, match="connectivity: the labels are a text"):
        tg.plots.connectivity(layer, X, labels=5)


@pytest.mark.parametrize("values", [["a", "b"], [[1.0], [2.0, 3.0]]])
def test_curves_are_numbers(values):
    with pytest.raises(ValueError, match="'loss' holds what isn't a number"):
        tg.plots.training_curves({"loss": values})
    with pytest.raises(ValueError, match="log=3, and there are loss"):
        tg.plots.training_curves({"loss": [1.0]}, log=3)
