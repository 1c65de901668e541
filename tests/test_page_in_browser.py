"""What the interactive page of a graph does in a real browser; skipped where there is none."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, find_chromium
from page_models import HOSTILE, MODELS, chain, hostile, lstm, recorded
from shown_page import Shown

from tinygrad_rnn.drawing import graph
from tinygrad_rnn.drawing.records import GraphData, GraphEdge, GraphNode


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = find_chromium()
    if program is None:
        pytest.skip("there is no Chromium here to show pages in")
    browser = Browser(program, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def show(chromium: Browser, tmp_path: Path):
    shown: list[Shown] = []

    def opened(g: GraphData, title: str = "Graph") -> Shown:
        shown.append(Shown(chromium, g, tmp_path / "graph.html", title))
        return shown[-1]

    yield opened
    assert chromium.complaints == []
    assert {url.partition(":")[0] for url in chromium.requests} <= {"file", "data"}
    assert len([url for url in chromium.requests if url.startswith("file:")]) == len(shown[-1:])


@pytest.mark.parametrize("model", MODELS)
def test_nothing_overlaps(show, model):
    shown = show(MODELS[model]())
    assert shown.labels()
    assert not shown.overlaps()
    assert not shown.crossing()
    for _ in range(3):
        if shown.browser.run("!document.querySelector('.unit.folded')"):
            break
        # from where it stands, it may be too small to be clicked
        shown.browser.run("document.querySelector('.unit.folded').focus()")
        shown.browser.press("Enter", "\r")
        assert not shown.overlaps()
        assert not shown.crossing()


def test_every_text_is_within_its_box(show):
    shown = show(graph(lstm(3)))
    shown.browser.click(shown.key("▸ t=1"))
    wide = shown.browser.run(
        "[...document.querySelectorAll('.unit')].filter((unit) => { const box = unit"
        ".querySelector('rect').getBBox(); return [...unit.querySelectorAll('text')].some((t) => {"
        " const b = t.getBBox(); return b.x < box.x || b.x + b.width > box.x + box.width || "
        "b.y < box.y - 1 || b.y + b.height > box.y + box.height + 1; }); }).length"
    )
    assert wide == 0


def test_time_runs_right_and_layers_up(show):
    shown = show(graph(lstm(4, num_layers=2, bidirectional=True)))
    cells = {k: v for k, v in shown.boxes(".unit.folded").items() if "▸ t=" in k}
    by_step = [[box for k, box in cells.items() if f"t={t}" in k] for t in range(4)]
    middles = [{round((b[0] + b[2]) / 2, 3) for b in boxes} for boxes in by_step]
    assert all(len(m) == 1 for m in middles)  # a step is one column
    columns = [m.pop() for m in middles]
    assert columns == sorted(columns)
    layers = [shown.boxes(f".header{shown.key(f'Fold l{n}')}") for n in (0, 1)]
    low, high = (next(iter(boxes.values())) for boxes in layers)
    assert high[3] < low[1]
    below, above = (shown.browser.middle(shown.key(n)) for n in ("weight_ih_l0", "stack"))
    first = shown.browser.middle(shown.key("▸ t=0"))
    assert below[1] > first[1] > above[1]  # what a step needs is beneath it


def test_opens_folded_and_a_click_unfolds_and_folds(show):
    shown = show(graph(lstm(3)))
    before = shown.labels()
    assert "▸ t=1, → c, h, (1, 3)" in before
    assert not any("sigmoid" in label for label in before)
    step = shown.key("▸ t=1")
    place = shown.boxes(step).popitem()[1][:2]
    shown.browser.click(step)
    assert "f, sigmoid, (1, 3)" in shown.labels()
    assert sum("▸ t=" in label for label in shown.labels()) == 2
    box = shown.boxes(f".box{step.replace('key', 'box')}").popitem()[1][:2]
    assert box == pytest.approx(place, abs=1)  # it opens where it is
    shown.browser.click(shown.key("Fold t=1"))
    assert shown.labels() == before


def test_keys_unfold_and_fold(show):
    shown = show(graph(lstm(3)))
    shown.browser.run(f"document.querySelector('{shown.key('▸ t=0')}').focus()")
    shown.browser.press("Enter", "\r")
    assert "f, sigmoid, (1, 3)" in shown.labels()
    shown.browser.press("Enter", "\r")  # the focus is where it was
    assert "f, sigmoid, (1, 3)" not in shown.labels()


def test_a_module_folds_into_one_box(show):
    shown = show(graph(lstm(3)))
    shown.browser.click(shown.key("Fold lstm"))
    assert [label for label in shown.labels() if "▸" in label] == ["▸ lstm, (3, 1, 3)"]
    paths = shown.browser.run("document.querySelectorAll('.edge').length")
    assert paths == 2  # to the square, and from it to the mean


def test_steps_left_out_open_by_a_click(show):
    shown = show(graph(lstm(1000)))
    assert sum("▸ t=" in label for label in shown.labels()) == 6
    assert "… 994 steps …, t=3 to t=996" in shown.labels()
    shown.browser.click(".unit.gap")
    assert "… 986 steps …, t=7 to t=992" in shown.labels()
    assert "▸ t=3, → c, h, (1, 3)" in shown.labels()
    assert not shown.overlaps()


def test_pointing_at_a_node_tells_what_it_is(show):
    shown = show(recorded(3))
    shown.browser.click(shown.key("▸ t=1"))
    shown.browser.hover(shown.key("f, sigmoid"))
    text = shown.panel()
    for part in (
        "f\n", "sigmoid", "l0 › t=1", "(1, 3)", "float32", "out = 1 / (1 + e⁻ˣ)",
        "x: g * (out * (1 - out))", "norm",
    ):  # fmt: skip
        assert part in text
    assert re.search(r"gradient norm\n[\d.e-]+\n", text)


def test_focus_tells_as_much_as_pointing(show):
    shown = show(graph(lstm(3)))
    shown.browser.run(f"document.querySelector('{shown.key('▸ t=2')}').focus()")
    assert "t=2" in shown.panel()
    assert "3 × sigmoid" in shown.panel()


def now(shown: Shown) -> list[str]:
    return shown.labels(".unit.now")


def test_the_slider_plays_forward_then_back(show):
    shown = show(graph(lstm(3)))
    end = shown.end()
    assert end == 2 * 6  # three steps, stack, power, mean
    assert not now(shown)
    forward, back = [], []
    for position in range(1, end + 1):
        shown.slide(position)
        (forward if position <= end / 2 else back).extend(now(shown))
    assert [label.split(",")[0] for label in forward] == [
        "▸ t=0", "▸ t=1", "▸ t=2", "stack", "power", "mean",
    ]  # fmt: skip
    assert back == forward[::-1]
    shown.slide(2)
    assert {label.split(",")[0] for label in shown.labels(".unit.later")} == {
        "▸ t=2", "stack", "power", "mean",
    }  # fmt: skip
    shown.slide(end - 2)
    reached = {label.split(",")[0] for label in shown.labels(".unit.back")}
    assert {"▸ t=2", "stack"} <= reached
    assert not {"▸ t=0", "▸ t=1"} & reached
    assert "backward 4 of 6: lstm › l0 › t=2" in shown.browser.run(
        "document.getElementById('moment').textContent"
    )


def test_the_slider_keeps_its_place_when_a_step_opens(show):
    shown = show(graph(lstm(3)))
    shown.slide(2)
    shown.browser.click(shown.key("▸ t=1"))
    assert shown.end() == 2 * (6 - 1 + 13)  # a step has thirteen operations
    assert now(shown)[0].startswith("linear")
    shown.browser.run("document.getElementById('slider').focus()")
    shown.browser.press("ArrowRight")
    assert now(shown)[0].startswith("linear")
    shown.browser.press("ArrowRight")
    assert now(shown)[0].startswith("add")


def test_the_button_plays_to_the_end(show):
    shown = show(graph(lstm(2)))
    shown.slide(shown.end() - 1)
    shown.browser.click("#play")
    deadline = time.monotonic() + 20
    while shown.browser.run("document.getElementById('play').textContent") != "▶":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert shown.browser.run("Number(document.getElementById('slider').value)") == shown.end()


def fill(shown: Shown, start: str) -> str:
    return shown.browser.run(
        f"document.querySelector('{shown.key(start)}').querySelector('rect').style.fill"
    )


def test_colours_show_the_gradient_norms(show):
    shown = show(recorded(6))
    assert fill(shown, "▸ t=0") == ""
    shown.browser.click("#colour")
    assert fill(shown, "▸ t=0") not in ("", fill(shown, "mean"))
    assert "‖∂L/∂·‖" in shown.browser.run("document.getElementById('legend').innerText")
    shown.browser.click("#colour")
    assert fill(shown, "▸ t=0") == ""
    shown.slide(shown.end() - 2)  # a cotangent has come to t=2, not yet to t=1
    assert fill(shown, "▸ t=2") != ""
    assert fill(shown, "▸ t=1") == ""


def test_without_a_recording_colours_are_not_offered(show):
    shown = show(graph(lstm(3)))
    assert shown.browser.run("document.getElementById('by-gradient').hidden")


def test_a_search_finds_and_opens(show):
    shown = show(graph(lstm(100)))
    shown.browser.click("#query")
    shown.browser.write("t=50")
    assert shown.browser.run("document.getElementById('found').innerText").startswith("t=50")
    shown.browser.press("Enter", "\r")
    assert "▸ t=50, → c, h, (1, 3)" in shown.labels()
    assert shown.browser.run("document.activeElement.getAttribute('aria-label')").startswith(
        "▸ t=50"
    )
    assert not shown.overlaps()


def scale(shown: Shown) -> float:
    return shown.browser.run("document.querySelector('#picture > g').getCTM().a")


def test_dragging_moves_and_the_wheel_zooms(show):
    shown = show(graph(lstm(3)))
    unit = shown.key("mean")
    x, y = shown.browser.middle(unit)
    shown.browser.drag((20, 80), (50, 120))
    assert shown.browser.middle(unit) == pytest.approx((x + 30, y + 40), abs=0.5)
    before, at = scale(shown), shown.browser.middle(unit)
    shown.browser.wheel(at, -200)
    assert scale(shown) > 1.2 * before
    assert shown.browser.middle(unit) == pytest.approx(at, abs=0.5)
    shown.browser.click("#fit")
    assert scale(shown) == pytest.approx(before)
    assert shown.browser.middle(unit) == pytest.approx((x, y), abs=0.5)
    shown.browser.click("#zoom-in")
    assert scale(shown) > before


def test_dragging_from_a_box_does_not_open_it(show):
    shown = show(graph(lstm(3)))
    before = shown.labels()
    x, y = shown.browser.middle(shown.key("▸ t=1"))
    shown.browser.drag((x, y), (x + 40, y))
    assert shown.labels() == before


def test_hostile_names_do_nothing(show):
    shown = show(hostile(), title=HOSTILE)
    assert shown.browser.run("window.pwned === undefined")
    assert shown.browser.run("document.querySelectorAll('svg b, aside b, header b').length") == 0
    shown.browser.hover(".unit.operation")
    assert r"&amp;\u{2028}\u{202e}{{data}}\\u{0}\u{d800}" in shown.panel()


def test_dark_and_print(show):
    shown = show(graph(lstm(3)))
    ground = "getComputedStyle(document.body).backgroundColor"
    assert shown.browser.run(ground) == "rgb(255, 255, 255)"
    shown.browser.look(prefers_color_scheme="dark")
    assert shown.browser.run(ground) != "rgb(255, 255, 255)"
    shown.browser.look(media="print", prefers_color_scheme="dark")
    assert shown.browser.run(ground) == "rgb(255, 255, 255)"
    assert shown.browser.run("getComputedStyle(document.querySelector('footer')).display") == "none"


def test_paper_shows_the_whole_picture_on_one_page(show, tmp_path):
    shown = show(graph(lstm(30)))
    for _ in range(5):
        shown.browser.click("#zoom-in")
    before = scale(shown)
    shown.browser.print_pdf(tmp_path / "graph.pdf")
    pages = re.findall(rb"/Type\s*/Page\b", (tmp_path / "graph.pdf").read_bytes())
    assert len(pages) == 1
    assert scale(shown) == before
    shown.browser.run("window.dispatchEvent(new Event('beforeprint'))")
    left, top, right, bottom = shown.boxes(".box.scope").popitem()[1]
    assert 0 < left < right < 1400
    assert 0 < top < bottom < 900


def test_100_000_operations_open_folded_and_answer_soon(show):
    start = time.perf_counter()
    shown = show(chain(100_000))
    assert len(shown.labels()) < 200
    shown.browser.click(".unit.folded")
    shown.slide(3)
    assert time.perf_counter() - start < 20
    assert not shown.overlaps()


def test_steps_left_out_are_coloured_from_the_first_to_the_last(show):
    shown = show(recorded(40))
    shown.browser.click("#colour")
    assert "shades" in fill(shown, "… 34 steps …")
    stops = shown.browser.run(
        "[...document.querySelectorAll('.gap stop')].map((s) => s.getAttribute('stop-color'))"
    )
    assert len(stops) == 32
    shown.browser.hover(".unit.gap")
    norms = re.search(r"gradient norm\n([\d.e-]+) at t=3, ([\d.e-]+) at t=36", shown.panel())
    assert norms
    g = recorded(40)
    leaving = [
        n.gradient.norm for n in g.nodes if n.scope[-1:] == ("t=3",) and n.name in ("h", "c")
    ]
    assert float(norms[1]) == pytest.approx(np.hypot(*leaving), rel=1e-3)


def test_merged_edges_tell_what_they_carry_and_how_many_they_are(show):
    shown = show(graph(lstm(3)))
    titles = shown.browser.run(
        "[...document.querySelectorAll('.edge title')].map((e) => e.textContent)"
    )
    assert titles.count("h, c × 2") == 2  # from each step to the next
    assert shown.browser.run("document.querySelectorAll('.carried').length") == 2
    shown.browser.hover(shown.key("▸ t=1"))
    assert "t=0: h, c × 2" in shown.panel()
    assert "t=2: h, c × 2" in shown.panel()


def test_what_gets_the_focus_comes_into_sight(show):
    shown = show(graph(lstm(6)))
    for _ in range(6):
        shown.browser.click("#zoom-in")
    last = shown.key("▸ t=5")
    x, _ = shown.browser.middle(last)
    assert x > 1400
    shown.browser.run(f"document.querySelector('{last}').focus()")
    x, y = shown.browser.middle(last)
    assert 0 < x < 1100
    assert 0 < y < 800


def test_steps_of_boxes_at_different_depths_share_columns(show):
    scopes = [("a", f"t={t}") for t in range(3)] + [("b", "c", f"t={t}") for t in range(3)]
    nodes = [GraphNode(f"n{i}", "operation", "tanh", scope=s) for i, s in enumerate(scopes)]
    edges = [GraphEdge(f"n{i}", f"n{i + 1}") for i in range(5)]
    shown = show(GraphData(tuple(nodes), tuple(edges)))
    for t in range(3):
        deep, flat = (shown.browser.middle(shown.key(f"▸ t={t}", nth)) for nth in (0, 1))
        assert deep[0] == pytest.approx(flat[0], abs=0.01)
        assert deep[1] != flat[1]


@pytest.mark.parametrize(("direction", "sign"), [(0, 1), (1, -1)])
def test_a_step_opens_in_the_direction_that_it_runs(show, direction, sign):
    shown = show(graph(lstm(3, bidirectional=True)))
    shown.browser.click(shown.key("▸ t=1", direction))
    x, h = (shown.browser.middle(shown.key(f"{name}, ")) for name in ("x", "h"))
    assert sign * (h[0] - x[0]) > 100


def test_deeply_nested_scopes_open_folded(show):
    scope = tuple(f"s{i}" for i in range(3000))
    nodes = tuple(
        GraphNode(f"n{i}", "operation", "tanh", scope=scope[: i * 1000]) for i in range(4)
    )
    edges = tuple(GraphEdge(f"n{i}", f"n{i + 1}") for i in range(3))
    shown = show(GraphData(nodes, edges))
    tanh, folded = shown.labels()
    assert (tanh, folded[:3]) == ("tanh", "▸ s")
    assert len(shown.boxes(".box")) < 240
