"""Mermaid text, the golden texts of each view, and what is measured on their pictures.

``python docs/pictures/make.py --golden`` makes the golden files anew; look at what changed.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from graph_examples import Model, lstm, numpy_loop, recorded, rnn

import tinygrad_rnn as tg
from tinygrad_rnn.drawing import draw, graph
from tinygrad_rnn.drawing.mermaid import _text
from tinygrad_rnn.drawing.page import page
from tinygrad_rnn.drawing.views import VIEWS

GOLDEN = Path(__file__).parent / "golden"
PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
HOSTILE = 'a"b\\n\\N<B>&amp;\n{x|y}\x00\u202e];end %% `c` #quot; end'


def loaded(name: str) -> ModuleType:
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, PICTURES / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


make, measure = loaded("make"), loaded("measure")


@pytest.mark.parametrize("suffix", ["dot", "mmd"])
@pytest.mark.parametrize("name", make.GOLDENS)
def test_text_is_the_golden_file(name, suffix):
    path = GOLDEN / f"picture_{name}.{suffix}"
    assert make.golden(name, suffix) == path.read_bytes(), f"{path.name} is out of date"


@pytest.mark.parametrize("view", VIEWS)
def test_text_does_not_depend_on_what_ran_before(view):
    def texts():
        g = graph(lstm(3))
        return g.to_dot(view), g.to_mermaid(view)

    before = texts()
    (rnn(5) ** 2).sum().backward()
    graph(Model()(np.ones((3, 1, 2), np.float32))).to_dot()
    assert texts() == before


# Mermaid


def test_boxes_nest():
    lines = graph(lstm(2)).to_mermaid("ops").splitlines()
    depth = 0
    for line in lines:
        words = line.split()
        depth += (words[0] == "subgraph") - (words == ["end"])
        assert depth >= 0
    assert depth == 0
    assert sum(line.strip().startswith("subgraph s") for line in lines) == 13


def test_every_node_and_edge_is_there():
    seen = graph(lstm(3)).seen("cells")
    text = seen.to_mermaid()
    assert sum(" --> " in line or " -->|" in line for line in text.splitlines()) == len(seen.edges)
    assert all(f"{n.id}:::" not in text and f":::{n.kind}" in text for n in seen.nodes)


def test_hostile_names_mean_nothing():
    w = tg.Tensor([1.0], requires_grad=True, name=HOSTILE)
    with tg.scope(HOSTILE):
        out = np.exp(w).named(HOSTILE)
    text = graph(out).to_mermaid()
    body = "\n".join(line for line in text.splitlines() if "classDef" not in line)
    labels = [line for line in body.splitlines() if '"' in line and not line.startswith("  %%")]
    assert len(labels) == 3
    for line in labels:
        assert line.count('"') == 2
        inside = line.split('"')[1].replace("<b>", "").replace("</b>", "").replace("<br/>", "")
        assert not set(inside) & set("<>&\\{}|[]`\x00\u202e")


def test_text_is_shown_as_it_is():
    assert _text("h_0 (2, 3) → é") == "h_0 (2, 3) → é"
    assert _text("<b>#") == "#60;b#62;#35;"
    assert len(_text("x" * 1000)) == 60


def test_cotangents_are_dotted():
    text = graph(rnn(2)).to_mermaid("backward")
    assert '-.->|"∂h"|' in text
    assert "∂ t=0" in text


def test_colours():
    loss, recording = recorded(12)
    text = graph(loss, record=recording).to_mermaid("cells", colour="gradient")
    assert "fill:#E3CE52" in text
    assert "∇ " in text


def test_mmd_file(tmp_path):
    out = numpy_loop()
    path = draw(out, tmp_path / "loop.mmd", view="rolled")
    assert path.read_text("utf-8") == graph(out).to_mermaid("rolled")


# Pictures


@pytest.mark.parametrize("view", VIEWS)
def test_no_two_boxes_overlap(tmp_path, view):
    pytest.importorskip("pygraphviz")
    seen = measure.measure(draw(lstm(), tmp_path / "lstm.svg", view=view))
    assert seen.overlaps == []
    assert seen.nodes == len(graph(lstm()).seen(view).nodes)
    most = {"ops": 700, "cells": 60, "rolled": 4, "modules": 4, "backward": 400}
    assert seen.crossings <= most[view]


@pytest.mark.parametrize("name", ["encoder", "values", "per step", "loss", "long names", "again"])
def test_no_two_boxes_of_other_grids_overlap(tmp_path, name):
    pytest.importorskip("pygraphviz")
    loss, recording = recorded(4)
    wide = tg.Tensor(0.5, requires_grad=True, name="the initial state of the whole network")
    for t in range(3):
        with tg.scope(f"t={t}"):
            wide = np.tanh(wide * tg.Tensor(2.0, name=f"input number {t}")).named("hidden state")
    again = np.tanh(tg.Tensor(0.5, requires_grad=True)).named("h")
    w = tg.Tensor(np.eye(2), requires_grad=True, name="w")
    for t in range(3):
        with tg.scope(f"t={t}"):
            again = np.tanh(w @ np.ones(2) * again).named("h")
    (gradient,) = tg.grad((again**2).sum(), [w], create_graph=True)
    g, look = {
        "again": (graph(gradient.sum()), {}),
        "encoder": (graph(Model()(np.ones((4, 1, 2), np.float32))), {}),
        "values": (graph(loss, record=recording), {}),
        "per step": (graph(lstm(3)), {"parameters": "per step"}),
        "loss": (graph((rnn(30) ** 2).sum()), {"steps": 2}),
        "long names": (graph(wide), {}),
    }[name]
    for view in ("cells", "backward"):
        assert measure.measure(g.render(tmp_path / "g.svg", view, **look)).overlaps == []


def test_the_measure_sees_overlaps_and_crossings(tmp_path):
    node = '<g class="node"><title>{}</title><polygon points="{}"/></g>'
    edge = '<g class="edge"><title>{}</title><path d="{}"/></g>'
    path = tmp_path / "made.svg"
    path.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg">'
        + node.format("a", "0,0 10,0 10,10 0,10")
        + node.format("b", "5,5 15,5 15,15 5,15")
        + edge.format("a-&gt;b", "M0,0C1,1 2,2 30,30")
        + edge.format("c-&gt;d", "M0,31C1,30 2,29 30,0")
        + "</svg>"
    )
    assert measure.measure(path) == (2, 2, [("a", "b")], 1)


def test_layers_stand_above_each_other_and_time_runs_right(tmp_path):
    text = graph(lstm(3)).to_dot("cells")
    at = {}
    for node in graph(lstm(3)).seen("cells").nodes:
        if node.kind == "cell":
            line = next(x for x in text.splitlines() if x.startswith(f"  {node.id} ["))
            x, y = line.split('pos="')[1].split('"')[0].split(",")
            at[node.scope[-1], node.name] = float(x), float(y)
    for layer in ("l0", "l0_reverse", "l1", "l1_reverse"):
        xs = [at[layer, f"t={t}"][0] for t in range(3)]
        assert xs == sorted(xs)
    heights = [at[layer, "t=0"][1] for layer in ("l0", "l0_reverse", "l1", "l1_reverse")]
    assert heights == sorted(heights)
    assert "l0_reverse   ← time" in text
    assert "l0   time →" in text


@pytest.mark.parametrize("name", make.SHOWN)
def test_pictures_of_the_docs_are_there(name):
    assert (PICTURES / f"{name}.svg").exists()
    assert name == "lstm_ops" or (PICTURES / f"{name}.png").exists()


def test_the_page_about_pictures_runs():
    text = (PICTURES.parent / "pictures.md").read_text("utf-8")
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, "pictures.md", "exec"), names)
    assert "norm of the gradient" in str(names["text"])
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (PICTURES.parent / link).exists(), link


# Notebooks


def test_a_graph_shows_itself():
    pytest.importorskip("pygraphviz")
    bundle = graph(numpy_loop())._repr_mimebundle_()
    assert bundle["image/svg+xml"].startswith("<?xml")
    assert bundle["text/plain"].startswith('Graph\nview "ops"')


@pytest.mark.parametrize(
    ("commands", "why"),
    [([], r'pip install "tinygrad-rnn[draw]"'), ([["sleep", "60"]], "took longer than 0.2 s")],
)
def test_a_graph_without_a_picture_is_text(monkeypatch, commands, why):
    from tinygrad_rnn.drawing import pictures, render

    monkeypatch.setattr(render, "_commands", lambda picture_format: commands)
    monkeypatch.setattr(pictures, "NOTEBOOK_LIMIT", 0.2)
    bundle = graph(numpy_loop())._repr_mimebundle_()
    assert set(bundle) == {"text/plain"}
    assert why in bundle["text/plain"]


# What graphs may look like


@pytest.mark.parametrize("view", VIEWS)
def test_odd_graphs(view):
    leaf = tg.Tensor([1.0], requires_grad=True, name="w")
    a, b = np.exp(leaf), np.exp(tg.Tensor(1.0, requires_grad=True))
    with tg.scope("x" * 500):
        long = np.exp(leaf).named("y" * 500)
    for outputs in (leaf, tg.Tensor(3.0), (a, b), (a, leaf), a, long):
        g = graph(outputs)
        assert g.to_dot(view).startswith("digraph")
        assert g.to_mermaid(view).startswith("flowchart")


@pytest.mark.parametrize("view", VIEWS)
def test_graphviz_draws_odd_graphs(tmp_path, view):
    pytest.importorskip("pygraphviz")
    leaf = tg.Tensor([1.0], requires_grad=True, name=HOSTILE)
    outs = []
    for t in range(2):
        with tg.scope(HOSTILE), tg.scope(f"t={t}"):
            outs.append(np.exp(leaf).named(HOSTILE))
    path = draw([*outs, np.exp(tg.Tensor(1.0, requires_grad=True))], tmp_path / "g.svg", view=view)
    assert path.suffix == ".svg"


def test_without_any_font(tmp_path):
    pytest.importorskip("pygraphviz")
    none = tmp_path / "fonts.conf"
    none.write_text("<fontconfig></fontconfig>")
    program = (
        "import sys; sys.path[:0] = sys.argv[2:]; from graph_examples import rnn; "
        "import tinygrad_rnn as tg; print(tg.draw(rnn(3), sys.argv[1], view='cells').suffix)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "g.svg"), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        env={**os.environ, "FONTCONFIG_FILE": str(none)},
    )
    assert done.stdout.strip() == ".svg", done.stderr


def test_no_name_reaches_a_shell(tmp_path, monkeypatch):
    pytest.importorskip("pygraphviz")
    monkeypatch.chdir(tmp_path)
    path = draw(numpy_loop(), "$(touch made); touch made;.svg", view="cells")
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.name]


def test_html_file_is_the_page(tmp_path):
    path = draw(numpy_loop(), tmp_path / "loop.html")
    assert path.read_text("utf-8") == page(graph(numpy_loop()), "loop")
