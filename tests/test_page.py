"""The text of the interactive page of a graph."""

from __future__ import annotations

import configparser
import fnmatch
import json
import re
import shutil
import subprocess
import time
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_models import HOSTILE, MODELS, chain, hostile, lstm, recorded

import tinygrad_rnn as tg
from tinygrad_rnn.drawing import graph
from tinygrad_rnn.drawing.page import page
from tinygrad_rnn.drawing.page.assemble import SCRIPTS

STATIC = files("tinygrad_rnn.drawing.page") / "static"


def data_of(text: str) -> Any:
    """The data that a page carries."""
    found = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert len(found) == 1
    assert "<" not in found[0]  # nothing in it can end the script or open another
    return json.loads(found[0])


class _Scripts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.mark.parametrize("model", MODELS)
def test_page_carries_every_node_and_edge(model):
    g = MODELS[model]()
    data = data_of(page(g))
    texts, scopes = data["texts"], data["scopes"]
    assert [texts[i] for i in data["nodes"]["label"]] == [n.label for n in g.nodes]
    assert [texts[i] for i in data["nodes"]["name"]] == [n.name or "" for n in g.nodes]
    ends = zip(data["edges"]["source"], data["edges"]["target"], strict=True)
    assert [(g.nodes[a].id, g.nodes[b].id) for a, b in ends] == [
        (e.source, e.target) for e in g.edges
    ]
    for number, node in zip(data["nodes"]["scope"], g.nodes, strict=True):
        path = []
        while number:
            path.insert(0, scopes["name"][number])
            number = scopes["parent"][number]
        assert tuple(path) == (("backward pass",) if node.backward else ()) + node.scope


def test_same_graph_gives_the_same_page():
    assert page(graph(lstm())) == page(graph(lstm()))


def test_page_needs_nothing_but_itself():
    parser = _Scripts()
    parser.feed(page(graph(lstm())))
    for tag, attributes in parser.tags:
        assert "src" not in attributes
        assert tag != "link" or attributes["href"] == "data:,"
    policy = next(a["content"] for t, a in parser.tags if t == "meta" and "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_hostile_names_stay_in_the_data():
    text = page(hostile(), title=HOSTILE)
    parser = _Scripts()
    parser.feed(text)
    assert sum(tag == "script" for tag, _ in parser.tags) == 2
    assert HOSTILE in data_of(text)["texts"]
    assert HOSTILE in data_of(text)["scopes"]["name"]
    assert "\u2028" not in text.partition('id="data"')[2]
    text.encode("utf-8")


def test_each_operation_brings_its_equation_and_rules_once():
    data = data_of(page(graph(lstm(3))))
    assert data["operations"]["sigmoid"] == {
        "equation": "out = 1 / (1 + e⁻ˣ), right to rounding in both tails",
        "rules": ["x: g * (out * (1 - out))"],
    }
    assert data["operations"]["split"]["rules"]  # its primitive is called _split
    labels = {data["texts"][i] for i in data["nodes"]["label"]}
    assert set(data["operations"]) == labels - {"input", "parameter", "constant"}


def test_an_operation_of_a_users_own_without_source(own_primitives):
    names: dict[str, Any] = {"__name__": "console", **vars(tg.core.primitive)}
    code = "@primitive()\ndef halved(x: Array) -> Array:\n    'out = x / 2'\n    return x / 2"
    exec(f"{code}\nhalved.vjp(x=lambda g: g / 2)", names)
    g = graph(names["halved"](tg.Tensor([1.0], requires_grad=True)))
    assert data_of(page(g))["operations"] == {"halved": {"equation": "out = x / 2", "rules": []}}


def test_recorded_numbers_are_carried_and_can_be_read_by_javascript():
    g = recorded()
    data = data_of(page(g))
    norm = data["fields"].index("norm")
    for row, node in zip(data["gradients"], g.nodes, strict=True):
        assert (row is None) == (node.gradient is None)
        assert row is None or row[norm] == pytest.approx(node.gradient.norm, rel=1e-3)
    w = tg.Tensor([0.0], requires_grad=True)
    with tg.record() as recording, np.errstate(divide="ignore"):
        loss = np.log(w).sum()
    last = data_of(page(graph(loss, record=recording)))["values"][-1]
    assert last[data["fields"].index("number")] == "-inf"


def test_without_a_recording_there_are_no_numbers():
    data = data_of(page(graph(lstm())))
    assert data["values"] == data["gradients"] == []


def test_100_000_operations_make_a_page_in_seconds():
    g = chain(100_000)
    start = time.perf_counter()
    text = page(g)
    assert time.perf_counter() - start < 10
    assert len(text) < 8e6


def test_every_file_of_the_page_is_used_and_installed():
    names = {each.name for each in STATIC.iterdir()}
    assert names == {"page.html", "page.css", *(f"{name}.js" for name in SCRIPTS)}
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).parent.parent / "setup.cfg")
    pattern = setup["options.package_data"]["tinygrad_rnn.drawing.page"]
    assert all(fnmatch.fnmatch(f"static/{name}", pattern) for name in names)


def test_scripts_are_well_formed():
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node here to check scripts with")
    for name in SCRIPTS:
        subprocess.run([node, "--check", str(STATIC / f"{name}.js")], check=True, timeout=60)
