"""Views: what is folded, elided and opened, and that no edge is lost on the way."""

from __future__ import annotations

import time
from fnmatch import fnmatchcase

import numpy as np
import pytest
from graph_examples import Model, check_accounts, lstm, numpy_loop, recorded, rnn

import tinygrad_rnn as tg
from tinygrad_rnn.drawing import graph
from tinygrad_rnn.drawing.places import Places
from tinygrad_rnn.drawing.values import summaries_of, summary_of
from tinygrad_rnn.drawing.views import VIEWS

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies


def kinds(seen) -> dict[str, int]:
    found: dict[str, int] = {}
    for node in seen.nodes:
        found[node.kind] = found.get(node.kind, 0) + 1
    return found


def between(seen) -> dict[tuple[str, str], str]:
    """Labels of the edges by the names of the nodes at their ends."""
    name = {n.id: n.name or n.label for n in seen.nodes}
    return {(name[e.source], name[e.target]): e.label for e in seen.edges}


# No edge is lost


@st.composite
def programs(draw):
    """A graph of loops and calls, some in each other, made by a random program."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    known = [
        tg.Tensor(0.5, requires_grad=True, name=f"w{k}") for k in range(draw(st.integers(1, 3)))
    ]
    known.append(tg.Tensor(1.0))

    def operation() -> None:
        a, b = (known[rng.integers(len(known))] for _ in range(2))
        result = np.tanh(a) if rng.random() < 0.3 else a * b
        if rng.random() < 0.5 and result.requires_grad and result._node is not None:
            result = result.named(f"s{rng.integers(3)}")
        known.append(result)

    def block(depth: int) -> None:
        for _ in range(rng.integers(1, 4)):
            choice = rng.random()
            if depth and choice < 0.3:
                with tg.scope(f"part{rng.integers(2)}"):
                    block(depth - 1)
            elif depth and choice < 0.6:
                steps = range(rng.integers(1, 12))
                for t in steps if rng.random() < 0.7 else reversed(steps):
                    with tg.scope(f"t={t}"):
                        block(depth - 1 if t == 0 else 0)
            else:
                operation()

    block(3)
    return [x for x in known[-draw(st.integers(1, 3)) :] if x is not None]


patterns = st.sampled_from([None, "part0", "part*", "*.t=3", "t=?", "*", ("part1.*", "t=0")])


def fitting(whole, given) -> tuple[str, ...]:
    """Those of the patterns that are the name of a scope."""
    scopes = {n.scope for n in whole.nodes if n.kind == "operation"}
    paths = {scope[:k] for scope in scopes for k in range(1, len(scope) + 1)}
    wanted = (given,) if isinstance(given, str) else given or ()
    return tuple(p for p in wanted if any(fnmatchcase(".".join(path), p) for path in paths))


@hypothesis.given(
    outputs=programs(),
    view=st.sampled_from([None, *VIEWS]),
    steps=st.sampled_from([None, 1, 2, 3]),
    collapse=patterns,
    expand=patterns,
    depth=st.sampled_from([None, 1, 2, 3]),
    parameters=st.sampled_from(["once", "per step"]),
)
@hypothesis.settings(max_examples=150)
def test_every_edge_is_accounted_for(outputs, view, **look):
    whole = graph(outputs)
    for keyword in ("collapse", "expand"):
        look[keyword] = fitting(whole, look[keyword])
    seen = whole.seen(view, **look)
    check_accounts(whole, seen, copies=look["parameters"] == "per step")
    for text in (whole.to_dot(view, **look), whole.to_mermaid(view, **look)):
        assert all(f"{n.id}" in text for n in seen.nodes)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("steps", [None, 1, 2])
@pytest.mark.parametrize("view", VIEWS)
def test_no_edge_of_a_layer_is_lost(view, steps, layers, bidirectional):
    whole = graph((lstm(7, layers, bidirectional) ** 2).sum())
    check_accounts(whole, whole.seen(view, steps=steps))


def test_views_are_functions_of_the_data():
    whole = graph(lstm())
    assert whole.seen("cells", steps=1) == whole.seen("cells", steps=1)
    assert whole == graph(lstm())
    assert whole.seen("ops") == whole


def test_a_folded_graph_is_not_folded_again():
    seen = graph(lstm()).seen("cells")
    with pytest.raises(ValueError, match="shows the view 'cells'"):
        seen.seen("rolled")


# Cells and loops


def test_cells_of_each_layer_and_direction():
    seen = graph(lstm()).seen("cells")
    assert kinds(seen) == {"cell": 24, "sequence": 2, "parameter": 4, "input": 20}
    labels = between(seen)
    assert set(labels["t=1", "t=2"].split(", ")) == {"h", "c"}


def test_rolled_is_one_box_with_a_loop():
    seen = graph(lstm(6)).seen("rolled")
    assert kinds(seen)["rolled"] == 4
    loops = [e for e in seen.edges if e.source == e.target]
    assert [set(e.label.removesuffix(" ×6").split(", ")) for e in loops] == [{"h", "c"}] * 4
    assert [e.count % 5 for e in loops] == [0] * 4
    says = {n.name: n.label for n in seen.nodes if n.kind == "rolled"}
    assert says["l0"] == "6 steps, time →"
    assert says["l0_reverse"] == "6 steps, ← time"
    assert [n.times for n in seen.nodes if n.kind == "rolled"] == [6] * 4


def test_a_loop_of_ones_own_is_rolled():
    (loop,) = [n for n in graph(numpy_loop(4)).seen("rolled").nodes if n.kind == "rolled"]
    assert (loop.name, loop.times) == ("loop", 4)


# Long sequences


@pytest.mark.parametrize(("steps", "total", "left"), [(3, 50, 44), (3, 8, 2), (1, 4, 2)])
def test_the_middle_is_left_out(steps, total, left):
    seen = graph(rnn(total)).seen("cells", steps=steps)
    (gap,) = [n for n in seen.nodes if n.kind == "elided"]
    assert gap.name == f"… {left} steps …"
    assert gap.times == left
    assert gap.detail.startswith(f"t={steps}…{total - steps - 1}")
    assert kinds(seen)["cell"] == 2 * steps


@pytest.mark.parametrize("total", [1, 2, 7])
def test_short_sequences_are_whole(total):
    whole = graph(rnn(total))
    assert whole.seen("cells", steps=3) == whole.seen("cells")


def test_nothing_is_wrong_at_the_seams():
    seen = graph(rnn(50)).seen("cells", steps=2)
    labels = between(seen)
    assert labels["t=1", "… 46 steps …"] == labels["… 46 steps …", "t=48"] == "h"
    assert labels["… 46 steps …", "stack"] == "h ×46"
    assert ("t=1", "t=48") not in labels
    (xs,) = [n for n in seen.nodes if n.kind == "input" and n.holds]
    assert xs.label == "x (1, 3) ×46"
    counts = {e.source: e.count for e in seen.edges}
    assert counts[xs.id] == 46


def test_each_layer_and_direction_has_its_own_gap():
    seen = graph(lstm(20)).seen("cells", steps=2)
    gaps = [n.scope for n in seen.nodes if n.kind == "elided"]
    assert gaps == [("lstm", name) for name in ("l0", "l0_reverse", "l1", "l1_reverse")]


def test_a_step_within_the_gap_can_be_opened():
    seen = graph(rnn(20)).seen("cells", steps=2, expand="*.t=10")
    gaps = [n.name for n in seen.nodes if n.kind == "elided"]
    assert gaps == ["… 8 steps …", "… 7 steps …"]
    assert any(n.scope[-1:] == ("t=10",) for n in seen.nodes if n.kind == "operation")


def test_steps_are_elided_in_every_view():
    for view in ("ops", "backward"):
        seen = graph(rnn(30)).seen(view, steps=2)
        assert kinds(seen)["elided"] == 1


# Scopes by name


def test_collapse_by_name():
    seen = graph(Model()(np.ones((4, 1, 2), np.float32))).seen("ops", collapse="model.head")
    (head,) = [n for n in seen.nodes if n.kind == "module"]
    assert (head.name, head.scope) == ("head", ("model",))
    assert head.label == "1 operation, 2 parameters"


def test_expand_by_name():
    whole = graph(Model()(np.ones((4, 1, 2), np.float32)))
    seen = whole.seen("modules", depth=2, expand="model.head")
    modules = [n.name for n in seen.nodes if n.kind == "module"]
    assert modules == ["encoder", "encoder#2"]
    assert any(n.scope == ("model", "head") for n in seen.nodes if n.kind == "operation")


def test_modules_by_depth():
    whole = graph(Model()(np.ones((4, 1, 2), np.float32)))
    names = [
        [n.name for n in whole.seen("modules", depth=d).nodes if n.kind in ("module", "cell")]
        for d in (1, 2, 3)
    ]
    assert names == [["model"], ["encoder", "encoder#2", "head"], ["l0", "l0"]]


def test_modules_unasked_are_the_first_that_are_several():
    whole = graph(Model()(np.ones((4, 1, 2), np.float32)))
    assert kinds(whole.seen("modules"))["module"] == 3


# Calls are told apart


def test_a_layer_called_twice_does_not_merge_its_steps():
    seen = graph(Model()(np.ones((3, 1, 2), np.float32))).seen("cells")
    assert [n.scope for n in seen.nodes if n.kind == "cell"] == [
        *[("model", "encoder", "l0")] * 3,
        *[("model", "encoder#2", "l0")] * 3,
    ]


def test_a_shared_module_shares_its_parameters():
    seen = graph(Model()(np.ones((3, 1, 2), np.float32))).seen("cells")
    shared = [n for n in seen.nodes if n.kind == "parameter" and len(n.holds) == 4]
    assert len(shared) == 1
    assert sum(e.source == shared[0].id for e in seen.edges) == 6


def test_two_loops_in_one_place_are_two():
    h = tg.Tensor(0.5, requires_grad=True, name="h")
    for _ in range(2):
        for t in range(3):
            with tg.scope(f"t={t}"):
                h = np.tanh(h)
            with tg.scope(f"t={t}"):  # the same step, continued
                h = np.exp(h)
    seen = graph(h).seen("cells")
    cells = [(n.scope, n.name, len(n.holds)) for n in seen.nodes if n.kind == "cell"]
    assert cells == [
        *[((), f"t={t}", 2) for t in range(3)],
        *[(("loop#2",), f"t={t}", 2) for t in range(3)],
    ]


def test_a_scope_that_is_entered_for_each_step_is_one():
    low = up = tg.Tensor(0.5, requires_grad=True, name="h")
    for _ in range(2):
        for t in range(3):
            with tg.scope("net"), tg.scope("lower"), tg.scope(f"t={t}"):
                low = np.tanh(low)
            with tg.scope("net"), tg.scope("upper"), tg.scope(f"t={t}"):
                up = np.tanh(up * low)
    places = dict.fromkeys(n.scope[:-1] for n in graph(up).nodes if n.kind == "operation")
    assert list(places) == [(net, part) for net in ("net", "net#2") for part in ("lower", "upper")]


def test_what_a_backward_pass_made_stands_with_its_call():
    x = tg.Tensor(2.0, requires_grad=True)
    with tg.scope("f"):
        y = x**3
    with tg.scope("f"):
        y = y**3
    (dx,) = tg.grad(y, [x], create_graph=True)
    places = {n.scope for n in graph(dx).nodes if n.backward and n.kind == "operation"}
    assert places == {("f",), ("f#2",)}


def test_scopes_that_are_entered_again():
    now = tg.core.context.current
    seen = []
    for name in ("a", "b", "a"):
        with tg.scope(name):
            seen.append(now().scope)
    places = Places(seen)
    assert [places.path(scope) for scope in seen] == [("a",), ("b",), ("a#2",)]


# Backward


def test_cotangents_beside_the_way_forward():
    whole = graph((rnn(3) ** 2).sum())
    forward, seen = whole.seen("cells"), whole.seen("backward")
    added = {n.id for n in seen.nodes if n.kind == "cotangent"}
    turned = {(e.source, e.target) for e in seen.edges if e.backward}
    assert turned == {
        (f"g{e.target}", f"g{e.source}") for e in forward.edges if f"g{e.source}" in added
    }
    inputs = {n.id for n in forward.nodes if n.kind == "input"}
    assert added == {f"g{n.id}" for n in forward.nodes if n.id not in inputs}


def test_a_graph_with_a_backward_pass_is_shown_as_it_is():
    x = tg.Tensor([2.0], requires_grad=True)
    with tg.scope("t=0"):
        y = x**3
    (dx,) = tg.grad(y, [x], create_graph=True)
    seen = graph(dx).seen("backward")
    assert "cotangent" not in kinds(seen)
    assert any(n.backward for n in seen.nodes)


# Parameters


def test_parameters_per_step():
    seen = graph(rnn(3)).seen("cells", parameters="per step")
    weights = [n for n in seen.nodes if n.kind == "parameter"]
    assert len(weights) == 3
    assert len({n.id for n in weights}) == 3
    assert {n.holds for n in weights} == {weights[0].holds}
    assert [sum(e.source == n.id for e in seen.edges) for n in weights] == [1, 1, 1]


# Values and gradients


def test_a_recording_fills_the_nodes():
    loss, recording = recorded()
    last = graph(loss, record=recording).nodes[-1]
    assert last.value.number == pytest.approx(loss.data)
    assert last.gradient.number == 1.0
    assert all(n.value for n in graph(loss, record=recording).nodes)
    assert all(n.value is None for n in graph(loss).nodes)


def test_an_active_recording_is_found():
    w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    with tg.record():
        out = (w * w).sum()
        g = graph(out)
    assert g.nodes[-1].value.number == 5.0


def test_a_summary_is_that_of_the_values():
    values = np.array([[1.0, -2.0], [3.0, np.inf]])
    w = tg.Tensor(values, requires_grad=True, name="w")
    with tg.record():
        g = graph(w * 1.0)
    seen = g.nodes[0].value
    finite = values[np.isfinite(values)]
    assert (seen.count, seen.minimum, seen.maximum, seen.number) == (4, -2.0, 3.0, None)
    assert (seen.mean, seen.std) == pytest.approx((finite.mean(), finite.std()))
    assert seen.norm == pytest.approx(np.linalg.norm(finite))


def test_summaries_of_many_are_those_of_each(rng):
    many = [rng.standard_normal(shape) for shape in [(3,), (1, 3), (), (2, 2), (2000,)] * 3]
    many += [None, np.zeros((0, 3)), np.array([1, 2, 3]), np.array([True, False, True])]
    many += [np.array("text"), np.array([1.0, np.nan, 3.0]), np.full(3, np.inf), np.float32(7)]
    many += [np.array(np.nan), np.array([1e300, 1e300]), np.array([1 + 1j])]
    each = [None if array is None else summary_of(array) for array in many]
    assert list(map(repr, summaries_of(many))) == list(map(repr, each))


def test_the_gradient_of_a_cell_is_that_of_its_states():
    loss, recording = recorded()
    whole = graph(loss, record=recording)
    seen = whole.seen("cells")
    cells = {n.name: n for n in seen.nodes if n.kind == "cell"}
    states = {n.scope[-1]: n for n in whole.nodes if n.name == "h"}
    for name, cell in cells.items():
        assert cell.gradient == states[name].gradient
        assert cell.gradient.norm > 0


def test_values_are_written_and_coloured():
    loss, recording = recorded()
    whole = graph(loss, record=recording)
    text = whole.to_dot("cells", colour="gradient")
    assert "∇ " in text
    assert "‖" in text
    assert "norm of the gradient, from" in text
    assert text.count('fillcolor="#00224E"') >= 1
    assert "#E3CE52" in text
    assert "norm of the gradient" not in whole.to_dot("cells")
    assert "norm of the gradient" not in graph(loss).to_dot("cells", colour="gradient")


# The view that is chosen


def test_small_graphs_are_shown_whole():
    assert graph(numpy_loop(3)).seen().view == "ops"


def test_long_ones_as_cells_without_their_middle():
    seen = graph(rnn(100)).seen()
    assert (seen.view, seen.steps) == ("cells", 3)
    assert "those between them are left out" in graph(rnn(100)).to_dot()


def test_large_ones_without_steps_as_modules():
    h = tg.Tensor(0.5, requires_grad=True, name="h")
    for k in range(10):
        with tg.scope(f"layer{k}"):
            for _ in range(30):
                h = np.tanh(h)
    assert kinds(graph(h).seen()) == {"module": 10}


def test_100_000_operations_in_one_heap_lose_their_middle():
    h = tg.Tensor(0.5, requires_grad=True, name="h")
    for _ in range(100_000):
        h = h * 0.5
    start = time.process_time()
    seen = graph(h).seen()
    text = seen.to_dot()
    assert time.process_time() - start < 15
    check_accounts(graph(h), seen)
    assert seen.to_dot() == text
    assert "… 99950 boxes …" in text
    assert len(seen.nodes) < 200


def test_100_000_operations_in_steps():
    h = tg.Tensor(0.5, requires_grad=True, name="h")
    for t in range(50_000):
        with tg.scope(f"t={t}"):
            h = np.tanh(h * 0.5).named("h")
    start = time.process_time()
    text = graph(h).to_dot()
    assert time.process_time() - start < 15
    assert "… 49994 steps …" in text


# Options


@pytest.mark.parametrize(
    ("look", "kind", "match"),
    [
        ({"steps": 0}, ValueError, "steps= takes a whole number"),
        ({"steps": 1.5}, ValueError, "steps="),
        ({"depth": True}, ValueError, "depth="),
        ({"collapse": 3}, ValueError, r"collapse= takes a name such as 'encoder\.\*'"),
        ({"expand": ("a", 1)}, ValueError, "expand="),
        ({"parameters": "twice"}, ValueError, "'once', 'per step'"),
        ({"colour": "red"}, ValueError, "'gradient'"),
        ({"color": "gradient"}, TypeError, "no option 'color'.*colour"),
    ],
)
def test_options_say_what_they_take(look, kind, match):
    with pytest.raises(kind, match=match):
        graph(numpy_loop()).seen("cells", **look)


def test_unknown_view_names_the_known():
    with pytest.raises(ValueError, match=r"'cell'.*'ops', 'cells', 'rolled', 'modules'"):
        graph(numpy_loop()).seen("cell")
