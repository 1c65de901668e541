"""Drawing: the data of a graph, its views, its DOT text byte for byte, and files of pictures.

``python tests/test_drawing.py --write`` writes the golden files anew; look at what changed.
"""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
import time
import weakref
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.drawing import Graph, draw, graph, render

GOLDEN = Path(__file__).parent / "golden"
HOSTILE = 'a"b\\n\\N<B>&amp;\n{x|y}\x00\u202e end'


def numpy_loop(steps: int = 3) -> tg.Tensor:
    Wx = tg.Tensor(np.full((4, 3), 0.1), requires_grad=True, name="Wx")
    Wh = tg.Tensor(np.full((4, 4), 0.1), requires_grad=True, name="Wh")
    b = tg.Tensor(np.zeros(4), requires_grad=True, name="b")
    h = np.zeros(4)
    for t in range(steps):
        with tg.scope(f"t={t}"):
            h = np.tanh(np.dot(Wx, np.ones(3)) + np.dot(Wh, h) + b).named(f"h_{t}")
    return h


def lstm(steps: int = 2) -> tg.Tensor:
    return tg.nn.LSTM(2, 4, rng=0)(np.ones((steps, 1, 2), np.float32))[0]


def gru(steps: int = 2) -> tg.Tensor:
    layer = tg.nn.GRU(2, 3, num_layers=2, bidirectional=True, rng=0)
    return (layer(np.ones((steps, 1, 2), np.float32))[0] ** 2).sum()


def hostile() -> tg.Tensor:
    w = tg.Tensor([1.0], requires_grad=True, name=HOSTILE)
    with tg.scope(HOSTILE):
        return np.exp(w).named(HOSTILE)


CASES = {
    "numpy_loop": (numpy_loop, "ops"),
    "lstm": (lstm, "ops"),
    "bidirectional_gru_cells": (gru, "cells"),
    "hostile_names": (hostile, "ops"),
}
MODELS = {"numpy_loop": numpy_loop, "lstm": lstm, "gru": gru, "hostile": hostile}


def dot_of(case: str) -> bytes:
    make, view = CASES[case]
    return graph(make()).to_dot(view).encode("utf-8")


# Text


@pytest.mark.parametrize("case", CASES)
def test_text_is_the_golden_file(case):
    assert dot_of(case) == (GOLDEN / f"{case}.dot").read_bytes()


@pytest.mark.parametrize("case", CASES)
def test_text_does_not_depend_on_what_ran_before(case):
    before = dot_of(case)
    gru(3).backward()
    kept = numpy_loop(5)
    assert dot_of(case) == before
    assert kept.shape == (4,)


def test_text_is_the_same_after_backward():
    loss = gru()
    before = graph(loss).to_dot()
    loss.backward()
    assert graph(loss).to_dot() == before


def test_default_view_goes_by_size():
    assert "view &quot;ops&quot;: every operation;" in graph(numpy_loop(3)).to_dot()
    assert "view &quot;cells&quot;: each time step" in graph(numpy_loop(70)).to_dot()


# Data


def test_numbering_follows_creation():
    nodes = graph(numpy_loop()).nodes
    assert [n.id for n in nodes] == [f"n{i}" for i in range(len(nodes))]


@pytest.mark.parametrize("model", MODELS)
def test_every_node_comes_after_its_sources(model):
    g = graph(MODELS[model]())
    place = {n.id: i for i, n in enumerate(g.nodes)}
    assert all(place[e.source] < place[e.target] for e in g.edges)


def test_edges_are_the_arguments():
    w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    g = graph(np.subtract(w * w, 1.0))
    assert [(e.source, e.target, e.argument) for e in g.edges] == [
        ("n0", "n1", "a"),
        ("n0", "n1", "b"),
        ("n1", "n2", "a"),
    ]
    assert (g.nodes[2].label, g.nodes[2].detail) == ("subtract", "1")


def test_plain_arguments_are_shown():
    x = tg.Tensor(np.ones((3, 4)), requires_grad=True)

    def detail(out):
        return graph(out).nodes[-1].detail

    assert detail(x**2) == "2"
    assert detail(1 - x) == "1 - ·"
    assert detail(x.sum(axis=0)) == "axis=0"
    assert detail(x[1:, 0]) == "[1:, 0]"
    assert detail(x[..., None, ::2]) == "[..., None, ::2]"
    assert len(detail(x[[0, 1] * 50])) <= 26


def test_parameters_are_drawn_once_with_dotted_names():
    class Model(tg.nn.Module):
        def __init__(self):
            self.lstm = tg.nn.LSTM(2, 3, rng=0)
            self.out = tg.nn.Linear(3, 1)

        def forward(self, x):
            return self.out(self.lstm(x)[0])

    model = Model()
    g = graph(model(np.ones((4, 1, 2), np.float32)))
    names = [n.name for n in g.nodes if n.kind == "parameter"]
    assert sorted(names) == sorted(name for name, _ in model.named_parameters())
    (shared,) = [n.id for n in g.nodes if n.name == "lstm.weight_hh_l0"]
    assert sum(e.source == shared for e in g.edges) == 4
    assert not any("t=0" in n.scope for n in g.nodes if n.kind == "parameter")


def test_scopes_become_boxes():
    g = graph(lstm())
    assert {n.scope for n in g.nodes if n.label == "tanh"} == {
        ("lstm", "l0", "t=0"),
        ("lstm", "l0", "t=1"),
    }
    text = g.to_dot("ops")
    assert [text.count(f"<B>{name}</B>") for name in ("lstm", "l0", "t=0", "t=1")] == [1, 1, 1, 1]


def test_a_constant_stands_in_the_box_of_its_only_use():
    inputs = [n for n in graph(numpy_loop()).nodes if n.kind == "input"]
    assert [n.scope for n in inputs] == [("t=0",), ("t=0",), ("t=1",), ("t=2",)]


def test_one_leaf():
    w = tg.Tensor([1.0], requires_grad=True, name="w")
    g = graph(w)
    assert [(n.kind, n.name, n.is_output) for n in g.nodes] == [("parameter", "w", True)]
    assert g.edges == ()
    assert "w" in g.to_dot("cells")
    assert graph(tg.Tensor([1.0, 2.0])).nodes[0].kind == "input"


def test_two_outputs_disconnected_parts_and_repeats():
    a = np.exp(tg.Tensor([1.0], requires_grad=True, name="a"))
    b = np.exp(tg.Tensor([1.0], requires_grad=True, name="b"))
    g = graph(a, b, a)
    assert [n.label for n in g.nodes if n.is_output] == ["exp", "exp"]
    assert len(g.nodes) == 4
    assert g == graph((b, [a]))


def test_a_result_of_several_as_output():
    x = tg.Tensor(np.ones((3, 2)), requires_grad=True)
    _, second, _ = tg.unstack(x)
    g = graph(second, np.exp(second))
    assert [n.is_output for n in g.nodes] == [False, True, True]
    assert [(e.output, e.label) for e in g.edges] == [(None, ""), (1, "[1]")]


def test_a_backward_pass_is_told_apart():
    x = tg.Tensor([2.0], requires_grad=True)
    with tg.scope("t=0"):
        y = x**3
    (dx,) = tg.grad(y, [x], create_graph=True)
    g = graph(dx)
    assert any(n.backward for n in g.nodes)
    assert "dashed" in g.to_dot()
    assert all(n.scope == ("t=0",) for n in g.nodes if n.backward)


def test_only_tensors_have_a_graph():
    with pytest.raises(TypeError, match="got ndarray"):
        graph(np.ones(3))
    with pytest.raises(TypeError, match="at least one"):
        graph()


# Views


def test_cells_carry_their_states():
    seen = graph(lstm(3)).seen("cells")
    steps = [n for n in seen.nodes if n.kind == "cell"]
    assert [(n.name, n.label) for n in steps] == [(f"t={t}", "lstm.l0") for t in range(3)]
    between = {(e.source, e.target): e.label for e in seen.edges}
    assert set(between[steps[0].id, steps[1].id].split(", ")) == {"h", "c"}


def test_parameters_of_a_layer_are_folded_together():
    seen = graph(lstm()).seen("cells")
    (weights,) = [n for n in seen.nodes if n.kind == "parameter"]
    assert sorted(line.split(" ")[0] for line in weights.label.split("\n")) == [
        "bias_hh_l0", "bias_ih_l0", "weight_hh_l0", "weight_ih_l0",
    ]  # fmt: skip


def test_a_long_graph_folds_quickly():
    h = tg.Tensor([0.5], requires_grad=True, name="h")
    for t in range(50_000):
        with tg.scope(f"t={t}"):
            h = np.tanh(h * 0.5).named("h")
    start = time.process_time()
    text = graph(h).to_dot("cells")
    assert time.process_time() - start < 20
    assert text.count("[label=<<B>t=") == 50_000
    assert text.count(" -> ") == 50_000


def test_deep_scopes_need_no_recursion():
    w = tg.Tensor([1.0], requires_grad=True)
    scopes = [tg.scope(f"s{i}") for i in range(2000)]
    for each in scopes:
        each.__enter__()
    try:
        out = np.exp(w)
    finally:
        for each in reversed(scopes):
            each.__exit__(None, None, None)
    assert graph(out).to_dot().count("subgraph") == 2000


# Files

NO_GRAPHVIZ: list[list[str]] = []
SLOW = [sys.executable, "-c", "import time; time.sleep(60)"]
BROKEN = [sys.executable, "-c", "import sys; sys.exit('no such plugin')"]


def pretend(monkeypatch, commands):
    monkeypatch.setattr(render, "_commands", lambda picture_format: commands)


def test_dot_file_has_the_text(tmp_path):
    out = numpy_loop()
    for suffix in ("dot", "gv", "DOT"):
        path = draw(out, tmp_path / f"loop.{suffix}")
        assert path.read_text("utf-8") == graph(out).to_dot()


@pytest.mark.parametrize("name", ["loop.jpeg", "loop", "svg"])
def test_unknown_suffix_names_the_known(tmp_path, name):
    with pytest.raises(ValueError, match=r"\.svg, \.png, \.pdf, \.dot, \.gv, \.mmd, \.html"):
        draw(numpy_loop(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_svg_has_the_labels(tmp_path):
    pytest.importorskip("pygraphviz")
    path = draw(lstm(), str(tmp_path / "lstm.svg"))
    assert path == tmp_path / "lstm.svg"
    texts = {e.text for e in ET.parse(path).iter("{http://www.w3.org/2000/svg}text")}
    assert {"lstm", "l0", "t=0", "t=1", "weight_hh_l0", "sigmoid", "i", "f", "g", "o"} <= texts
    assert list(tmp_path.iterdir()) == [path]


def test_svg_shows_hostile_names_as_they_are(tmp_path):
    pytest.importorskip("pygraphviz")
    path = draw(hostile(), tmp_path / "hostile.svg")
    texts = [e.text for e in ET.parse(path).iter("{http://www.w3.org/2000/svg}text")]
    # of the box, the parameter and the operation
    assert texts.count('a"b\\n\\N<B>&amp;') == 3
    assert texts.count("{x|y}\\x00\\u202e end") == 3


def test_png_and_pdf(tmp_path):
    pytest.importorskip("pygraphviz")
    png = draw(numpy_loop(), tmp_path / "loop.png").read_bytes()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[16:24])
    assert width > 1000 > height > 200
    assert draw(numpy_loop(), tmp_path / "loop.pdf").read_bytes()[:5] == b"%PDF-"


def test_time_runs_from_left_to_right(tmp_path):
    pytest.importorskip("pygraphviz")
    path = draw(numpy_loop(), tmp_path / "loop.svg")
    at = {
        e.text: float(e.get("x")) for e in ET.parse(path).iter("{http://www.w3.org/2000/svg}text")
    }
    assert at["t=0"] < at["h_0"] < at["t=1"] < at["h_1"] < at["t=2"] < at["h_2"]


def test_cells_of_a_reversed_layer_stand_in_the_order_of_time(tmp_path):
    pytest.importorskip("pygraphviz")
    layer = tg.nn.RNN(2, 3, bidirectional=True, rng=0)
    out = layer(np.ones((3, 1, 2), np.float32))[0]
    path = draw(out, tmp_path / "rnn.svg", view="cells")
    at: dict[str, list[float]] = {}
    for e in ET.parse(path).iter("{http://www.w3.org/2000/svg}text"):
        at.setdefault(e.text or "", []).append(float(e.get("x", "0")))
    assert len(at["t=0"]) == 2
    assert max(at["t=0"]) < min(at["t=1"])
    assert max(at["t=1"]) < min(at["t=2"])


def test_past_the_time_limit_the_text_is_written(tmp_path, monkeypatch):
    pretend(monkeypatch, [SLOW])
    start = time.perf_counter()
    with pytest.warns(UserWarning, match=r"longer than 0\.2 s, and .* 'cells' .*lstm\.dot"):
        path = draw(lstm(), tmp_path / "lstm.svg", time_limit=0.2)
    assert time.perf_counter() - start < 5
    assert path == tmp_path / "lstm.dot"
    assert path.read_text("utf-8") == graph(lstm()).to_dot("cells")
    assert list(tmp_path.iterdir()) == [path]


def test_past_the_time_limit_the_picture_is_folded(tmp_path, monkeypatch):
    program = (
        "import sys, time; text = sys.stdin.read(); "
        "time.sleep(60 if 'every operation;' in text else 0); print('folded')"
    )
    pretend(monkeypatch, [[sys.executable, "-c", program]])
    with pytest.warns(UserWarning, match="longer than 1 s.*shows the view 'cells' instead"):
        path = graph(lstm()).render(tmp_path / "lstm.svg", time_limit=1)
    assert path.read_text().strip() == "folded"


def test_a_layout_that_breaks_off_says_why(tmp_path, monkeypatch):
    pretend(monkeypatch, [BROKEN])
    with pytest.warns(UserWarning, match="no such plugin"):
        path = draw(lstm(), tmp_path / "lstm.svg", view="cells")
    assert path.suffix == ".dot"


def test_the_next_graphviz_is_tried(tmp_path, monkeypatch):
    missing = [str(tmp_path / "nowhere")]
    pretend(monkeypatch, [missing, BROKEN, [sys.executable, "-c", "print('drawn')"]])
    assert draw(lstm(), tmp_path / "lstm.svg").read_text().strip() == "drawn"


def test_without_graphviz_the_text_is_written_beside(tmp_path, monkeypatch):
    monkeypatch.setattr(render.shutil, "which", lambda name: None)
    monkeypatch.setattr(render.importlib.util, "find_spec", lambda name: None)
    with pytest.warns(UserWarning, match=r'pip install "tinygrad-rnn\[draw\]"') as caught:
        path = draw(numpy_loop(), tmp_path / "loop.png")
    assert caught[0].filename == __file__
    assert path == tmp_path / "loop.dot"
    assert path.read_text("utf-8") == graph(numpy_loop()).to_dot()


def test_the_dot_program_comes_first(monkeypatch):
    monkeypatch.setattr(render.shutil, "which", lambda name: f"/bin/{name}")
    assert render._commands("svg")[0] == ["/bin/dot", "-Tsvg"]


def test_unwritable_paths(tmp_path):
    (tmp_path / "folder.svg").mkdir()
    (tmp_path / "file").write_text("")
    out = numpy_loop()
    for name, kind in (
        ("folder.svg", IsADirectoryError),
        ("file/loop.svg", NotADirectoryError),
        ("nowhere/loop.svg", FileNotFoundError),
        ("nowhere/loop.dot", FileNotFoundError),
    ):
        with pytest.raises(kind) as caught:
            draw(out, tmp_path / name)
        assert caught.value.filename == str(tmp_path / name)


def test_a_file_without_permission(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match=r"loop\.svg"):
        draw(numpy_loop(), tmp_path / "loop.svg")


def test_a_failed_write_leaves_no_half_file(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    wanted = tmp_path / "loop.dot"
    wanted.write_text("before")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        draw(numpy_loop(), wanted)
    assert caught.value.filename == str(wanted)
    assert list(tmp_path.iterdir()) == [wanted]
    assert wanted.read_text() == "before"


def test_to_graphviz():
    pytest.importorskip("graphviz")
    g = graph(numpy_loop())
    assert g.to_graphviz("cells").source == g.to_dot("cells")


def test_to_graphviz_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "graphviz", None)
    with pytest.raises(ImportError, match=r'pip install "tinygrad-rnn\[draw\]"'):
        graph(numpy_loop()).to_graphviz()


def test_importing_loads_nothing_heavy():
    program = (
        "import tinygrad_rnn, sys; before = set(sys.modules); import tinygrad_rnn.drawing; "
        "print({'graphviz', 'pygraphviz', 'subprocess'} & (set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "set()"


def test_a_graph_keeps_no_tensors_alive():
    out = numpy_loop()
    g = graph(out)
    alive = weakref.ref(out._node)
    del out
    assert alive() is None
    assert isinstance(g, Graph)


if __name__ == "__main__" and "--write" in sys.argv:
    for name in CASES:
        (GOLDEN / f"{name}.dot").write_bytes(dot_of(name))
        print(GOLDEN / f"{name}.dot")


def test_the_way_of_a_computed_state_passes_beside_the_inputs():
    gru = tg.nn.GRU(3, 4, rng=0)
    first = np.tanh(tg.Tensor(np.ones((1, 1, 4), np.float32), requires_grad=True, name="digits"))
    outputs, _ = gru(tg.Tensor(np.ones((3, 1, 3), np.float32), name="x"), first)
    text = tg.graph(outputs).to_dot(view="cells")
    at = {name: tuple(map(float, where)) for name, *where in re.findall(
        r'(n\d+) \[.*?pos="([\d.-]+),([\d.-]+)"', text)}  # fmt: skip
    for source, target, way in re.findall(r'(n\d+) -> (n\d+) \[pos="e,([^"]*)"', text):
        corners = [tuple(map(float, p.split(","))) for p in way.split()]
        for (xa, ya), (xb, yb) in pairwise(corners):
            passed = [
                name for name, (x, y) in at.items()
                if name not in (source, target) and xa == xb == x and min(ya, yb) < y < max(ya, yb)
            ]  # fmt: skip
            assert not passed
