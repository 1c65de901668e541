"""A sequence step by step and window by window, and what a layer's state is made of."""

from __future__ import annotations

import itertools
import threading
import tracemalloc
from typing import Any

import numpy as np
import pytest
from golden.make_golden import relative_error
from recurrent_kinds import KINDS, gradients, leaf, made, parts, random_state, whole

import tinygrad_rnn as tg
from tinygrad_rnn.core.graph import Node, Output
from tinygrad_rnn.nn import functional as F
from tinygrad_rnn.rnn.program.workspace import workspace

T, I, H = 5, 2, 3  # noqa: E741


def stepped(layer: Any, x: Any, state: Any = None) -> tuple[list[Any], Any]:
    """The outputs of each step, and the last state."""
    outputs = []
    for row in x:
        output, state = layer.step(row, state)
        outputs.append(output)
    return outputs, state


def arrays(*results: Any) -> list[np.ndarray]:
    """The arrays of Tensors and states."""
    return [part.data for result in results for part in parts(result)]


def assert_close(found: Any, expected: Any, tolerance: float = 1e-12) -> None:
    for a, b in zip(found, expected, strict=True):
        assert relative_error(a, b) <= tolerance


def has_graph(x: tg.Tensor) -> bool:
    """Whether a Tensor leads to what it was made from."""
    return x.requires_grad or isinstance(x._node, (Node, Output))


# A step


@pytest.mark.parametrize("given", [False, True], ids=["no state", "state"])
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_step_by_step_is_the_whole(kind: str, num_layers: int, given: bool):
    rng = np.random.default_rng(num_layers)
    layer = made(kind, I, H, num_layers=num_layers)
    for batch in (1, 4):
        x = rng.normal(size=(T, batch, layer.input_size))
        state = whole(random_state(layer, batch, rng)) if given else None
        output, final = layer(x, state)
        ys, now = stepped(layer, x, state)
        assert type(now) is type(final)
        assert_close([np.stack(arrays(*ys)), *arrays(now)], [output.data, *arrays(final)])
        assert all(map(has_graph, ys))
        with tg.no_grad():
            bare, last = stepped(layer, x, state)
        assert type(last) is type(final)
        assert not any(map(has_graph, (*bare, *parts(last))))
        assert_close(arrays(*bare, last), arrays(*ys, now))


@pytest.mark.parametrize("kind", KINDS)
def test_step_of_a_single_sequence(kind: str, rng: np.random.Generator):
    layer = made(kind, I, H, num_layers=2)
    x = rng.normal(size=(T, layer.input_size))
    state = whole([part[:, 0] for part in random_state(layer, 1, rng)])
    for start in (None, state):
        output, final = layer(x, start)
        ys, now = stepped(layer, x, start)
        assert [part.shape for part in parts(now)] == [part.shape for part in parts(final)]
        assert_close([np.stack(arrays(*ys)), *arrays(now)], [output.data, *arrays(final)])
        with tg.no_grad():
            bare, last = stepped(layer, x, start)
        assert_close(arrays(*bare, last), arrays(*ys, now))


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_through_steps_are_those_of_the_whole(kind: str, rng: np.random.Generator):
    layer = made(kind, I, H, num_layers=2)
    x = leaf(rng.normal(size=(T, 4, layer.input_size)))
    start = [leaf(part) for part in random_state(layer, 4, rng)]
    output, final = layer(x, whole(start))
    weights = [rng.normal(size=r.shape) for r in (output, *parts(final))]
    leaves = {"x": x, **{f"s{i}": part for i, part in enumerate(start)}}
    leaves.update(layer.named_parameters())
    expected = gradients([output, *parts(final)], weights, leaves)
    ys, now = stepped(layer, x, whole(start))
    found = gradients([*ys, *parts(now)], [*weights[0], *weights[1:]], leaves)
    for name, value in expected.items():
        assert abs(value).max() > 0, name
        assert relative_error(found[name], value) <= 1e-12, name


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_forward_without_a_graph_is_the_same(
    kind: str, bidirectional: bool, rng: np.random.Generator
):
    for dtype in (np.float64, np.float32):
        layer = made(kind, I, H, num_layers=2, bidirectional=bidirectional).to(dtype)
        x = rng.normal(size=(T, 4, layer.input_size)).astype(dtype)
        state = whole([part.astype(dtype) for part in random_state(layer, 4, rng)])
        output, final = layer(x, state)
        with tg.no_grad():
            bare, last = layer(x, state)
        assert has_graph(output)
        for a, b in zip((bare, *parts(last)), (output, *parts(final)), strict=True):
            assert not has_graph(a)
            assert a.dtype == b.dtype == dtype
            scale = np.finfo(dtype).eps * abs(b.data).max()
            assert abs(a.data - b.data).max() <= 20 * scale


@pytest.mark.parametrize(
    ("kind", "option"),
    [(tg.nn.RNN, "nonlinearity"), (tg.nn.LSTM, "activation"), (tg.nn.GRU, "recurrent_activation")],
)
def test_an_activation_in_methods_of_tensors_runs_without_a_graph(
    kind: Any, option: str, rng: np.random.Generator
):
    layer = kind(I, H, **{option: lambda a: a.tanh()}, dtype=np.float64, rng=1)
    x = rng.normal(size=(T, 4, I))
    expected, final = layer(x)
    with tg.no_grad():
        output, _ = layer(x)
        _, state = stepped(layer, x)
    assert np.array_equal(output.data, expected.data)
    assert_close(arrays(state), arrays(final))


def test_step_leaves_the_state_it_is_given_as_it_was(rng: np.random.Generator):
    layer, x = made("LSTM", I, H, num_layers=2), rng.normal(size=(4, I))
    h, c = random_state(layer, 4, rng)
    kept = h.copy(), c.copy()
    with tg.no_grad():
        _, first = layer.step(x, (h, c))
        values = arrays(first)
        copies = [value.copy() for value in values]
        layer.step(x, first)
    assert np.array_equal(h, kept[0])
    assert np.array_equal(c, kept[1])
    for a, b in zip(values, copies, strict=True):
        assert np.array_equal(a, b)


def test_step_casts_as_the_layer_does(rng: np.random.Generator):
    layer = tg.nn.GRU(I, H, rng=0)
    x = leaf(rng.normal(size=(4, I)))
    output, _ = layer.step(x, np.zeros((1, 4, H)))
    assert output.dtype == np.float32
    output.sum().backward()
    assert x.grad.dtype == np.float64
    assert np.array_equal(output.data, layer(x.data[None])[0].data[0])


def test_dropout_acts_between_the_layers_of_a_step(rng: np.random.Generator):
    layer, x = made("LSTM", I, 50, num_layers=2, dropout=0.5), rng.normal(size=(4, I))
    expected, _ = layer.step(x)
    lower = tg.rnn.state_view(layer.train().step(x)[1], layer)[0].forward.h
    tg.manual_seed(3)
    with tg.no_grad():
        output, _ = layer.step(x)
    mask = (np.random.default_rng(3).random((4, 50)) >= 0.5) / 0.5
    upper = made("LSTM", 50, 50)
    for name, parameter in upper.named_parameters():
        parameter.data = getattr(layer, name[:-1] + "1").data
    assert_close([output.data], [upper.step(lower.data * mask)[0].data])
    assert not np.array_equal(output.data, expected.data)


@pytest.mark.parametrize("kind", ["RNN-tanh", "LSTM", "GRU", "OwnModule"])
def test_a_bidirectional_layer_has_no_steps(kind: str):
    layer = made(kind, I, H, bidirectional=True)
    with pytest.raises(ValueError, match=r"step: a bidirectional.*bidirectional=False"):
        layer.step(np.zeros((4, I)))


@pytest.mark.parametrize(
    ("x", "state", "error", "message"),
    [
        (np.zeros((1, 4, I)), None, ValueError, r"1D or 2D, got 3D.*time has no axis here"),
        (np.zeros(()), None, ValueError, "1D or 2D, got 0D"),
        (np.zeros((4, 7)), None, ValueError, "Expected 2, got 7"),
        (np.zeros(7), None, ValueError, "Expected 2, got 7"),
        (np.zeros((4, I), int), None, TypeError, "floating-point"),
        (np.zeros((4, I)), np.zeros((4, H)), ValueError, r"\(1, 4, 3\), got \(4, 3\)"),
        (np.zeros((4, I)), np.zeros((2, 4, H)), ValueError, r"\(1, 4, 3\), got \(2, 4, 3\)"),
        (np.zeros((4, I)), np.zeros((1, 5, H)), ValueError, r"\(1, 4, 3\), got \(1, 5, 3\)"),
        (np.zeros((4, I)), np.zeros((4, 1, H)), ValueError, "axes exchanged"),
        (np.zeros((4, I)), (np.zeros((1, 4, H)),) * 2, ValueError, "one array, got 2 parts"),
        (np.zeros((4, I)), np.zeros((1, 4, H), int), TypeError, "state"),
        (np.zeros(I), np.zeros((1, 1, H)), ValueError, "2-D"),
    ],
)
@pytest.mark.parametrize("recording", [True, False])
def test_what_a_step_refuses(x: Any, state: Any, error: Any, message: str, recording: bool):
    layer = tg.nn.GRU(I, H)
    with pytest.raises(error, match=f"(?s){message}"), tg.no_grad():
        layer.step(x, state)
    with pytest.raises(error, match=f"(?s){message}"):
        layer.step(x, state)


def test_an_lstm_step_refuses_a_single_part():
    with pytest.raises(ValueError, match=r"pair \(h, c\)"):
        tg.nn.LSTM(I, H).step(np.zeros((4, I)), np.zeros((1, 4, H)))


# What has changed is seen by the next step


def changed_by_an_optimiser(layer: Any) -> None:
    for parameter in layer.parameters():
        parameter.grad = np.ones(parameter.shape)
    tg.optim.SGD(layer.parameters(), lr=0.1).step()


def changed_data(layer: Any) -> None:
    layer.weight_hh_l1.data = layer.weight_hh_l1.data + 0.5


def changed_in_the_array(layer: Any) -> None:
    layer.bias_ih_l0.data[...] += 0.5


def changed_by_loading(layer: Any) -> None:
    layer.load_state_dict({n: a * 0.5 for n, a in layer.state_dict().items()})


def changed_parameter(layer: Any) -> None:
    layer.weight_ih_l1 = tg.nn.Parameter(layer.weight_ih_l1.data * -1)


def changed_to_none(layer: Any) -> None:
    layer.bias_hh_l1 = None


CHANGES = [
    changed_by_an_optimiser,
    changed_data,
    changed_in_the_array,
    changed_by_loading,
    changed_parameter,
    changed_to_none,
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "Zoneout", "Residual", "OwnCell"])
def test_changed_parameters_are_seen(kind: str, change: Any, rng: np.random.Generator):
    layer = made(kind, I, H, num_layers=2)
    x = rng.normal(size=(4, layer.input_size))
    with tg.no_grad():
        _, state = layer.step(x)
        before, _ = layer.step(x, state)
        change(layer)
        output, _ = layer.step(x, state)
        whole_, _ = layer(x[None], state)
    recorded, _ = layer(x[None], state)
    assert abs(output.data - before.data).max() > 1e-3
    assert np.array_equal(whole_.data, recorded.data)
    assert_close([output.data], [recorded.data[0]])


def test_another_dtype_is_seen(rng: np.random.Generator):
    layer, x = made("LSTM", I, H), rng.normal(size=(4, I))
    with tg.no_grad():
        _, state = layer.step(x)
        output, state = layer.to(np.float32).step(x, state)
        assert (output.dtype, state.c.dtype) == (np.float32, np.float32)
        output, _ = layer.to(np.float64).step(x, state)
        assert output.dtype == np.float64


@pytest.mark.parametrize("kind", ["Zoneout", "RecurrentDropout"])
def test_switching_to_eval_and_back_is_seen(kind: str, rng: np.random.Generator):
    layer = made(kind, I, H)
    x, state = rng.normal(size=(50, I)), whole(random_state(layer, 50, rng))
    with tg.no_grad():
        expected, _ = layer.step(x, state)
        layer.train()
        first, second = layer.step(x, state)[0], layer.step(x, state)[0]
        layer.eval()
        again, _ = layer.step(x, state)
    assert not np.array_equal(first.data, expected.data)
    assert not np.array_equal(first.data, second.data)
    assert np.array_equal(again.data, expected.data)


# Threads


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RecurrentDropout"])
def test_threads_step_the_same_layer(kind: str, rng: np.random.Generator):
    layer = made(kind, I, H, num_layers=2)
    count, steps = 4, 60
    xs = rng.normal(size=(count, steps, 3, I))
    g = rng.normal(size=(3, H))
    expected = [layer(x)[0].data for x in xs]
    leaves = dict(layer.named_parameters())
    slopes = [gradients([layer(x)[0][-1]], [g], leaves) for x in xs]
    outputs: dict[int, np.ndarray] = {}
    found: dict[int, Any] = {}
    start = threading.Barrier(2 * count)

    def bare(k: int) -> None:
        start.wait()
        with tg.no_grad():
            outputs[k] = np.stack(arrays(*stepped(layer, xs[k])[0]))

    def recorded(k: int) -> None:
        start.wait()
        ys, _ = stepped(layer, xs[k])
        found[k] = gradients([ys[-1]], [g], leaves)

    threads = [
        threading.Thread(target=f, args=(k,)) for f in (bare, recorded) for k in range(count)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k in range(count):
        assert relative_error(outputs[k], expected[k]) <= 1e-12
        for name, value in slopes[k].items():
            assert relative_error(found[k][name], value) <= 1e-12, name


# Truncated backpropagation through time

SCHEDULES = [
    (12, 3, 3),
    (12, 3, 6),
    (12, 4, 6),
    (10, 4, 6),
    (11, 3, 7),
    (7, 1, 1),
    (7, 1, 3),
    (7, 1, 7),
    (7, 2, 20),
    (7, 9, 9),
    (7, 9, 20),
    (7, 7, 7),
    (13, 5, 6),
    (1, 1, 1),
    (1, 3, 4),
]


def plain_tanh_windows(p: Any, x: Any, g: Any, h0: Any, k1: int, k2: int) -> Any:
    """BPTT(k2; k1) of h_t = tanh(W x_t + U h_{t-1} + b + b'), L = Σ g_t h_t, written out in NumPy.

    Back from the last step of each window through k2 steps: the losses inside the window join on
    the way, and before those k2 steps the state is a constant.
    """
    W, U, b = p["weight_ih_l0"], p["weight_hh_l0"], p["bias_ih_l0"] + p["bias_hh_l0"]
    hs = [h0]
    for row in x:
        hs.append(np.tanh(row @ W.T + hs[-1] @ U.T + b))
    total = {name: np.zeros_like(value) for name, value in p.items()}
    for start in range(0, len(x), k1):
        end = min(start + k1, len(x))
        d = np.zeros_like(h0)
        for t in range(end - 1, max(0, end - k2) - 1, -1):
            d = d + g[t] if t >= start else d
            a = d * (1 - hs[t + 1] ** 2)
            total["weight_ih_l0"] += a.T @ x[t]
            total["weight_hh_l0"] += a.T @ hs[t]
            total["bias_ih_l0"] += a.sum(0)
            total["bias_hh_l0"] += a.sum(0)
            d = a @ U
    return hs, total


@pytest.mark.parametrize("given", [False, True], ids=["no state", "state"])
@pytest.mark.parametrize(("steps", "k1", "k2"), SCHEDULES)
def test_tbptt_is_the_sum_over_windows_written_out(steps: int, k1: int, k2: int, given: bool):
    rng = np.random.default_rng(steps)
    layer = made("RNN-tanh", I, H)
    x, g = rng.normal(size=(steps, 4, I)), rng.normal(size=(steps, 4, H))
    h0 = rng.normal(size=(4, H)) if given else np.zeros((4, H))
    hs, expected = plain_tanh_windows(layer.state_dict(), x, g, h0, k1, k2)
    seen = []
    for window in tg.rnn.tbptt(layer, x, k1, k2, h0[None] if given else None):
        seen.append(window.steps)
        assert window.output.shape == (window.steps.stop - window.steps.start, 4, H)
        assert_close([window.output.data], [np.stack(hs[1:])[window.steps]])
        assert_close([window.state.data[0]], [hs[window.steps.stop]])
        assert not window.state.requires_grad
        (window.output * g[window.steps]).sum().backward()
    assert seen == [slice(s, min(s + k1, steps)) for s in range(0, steps, k1)]
    for name, value in expected.items():
        assert relative_error(getattr(layer, name).grad.data, value) <= 1e-12, name


def reference_windows(layer: Any, x: Any, k1: int, k2: int, state: Any) -> Any:
    """Each window as one run from the first of its k2 steps; `x` is (T, …).

    The state where the next window begins is found with the parameters of this one.
    """
    begin = 0
    for start in range(0, len(x), k1):
        end = min(start + k1, len(x))
        following = max(begin, min(end + k1, len(x)) - k2)
        output, final = layer(x[begin:end], state)
        if following > begin:
            state = tg.rnn.detach(layer(x[begin:following], state)[1])
        yield slice(start, end), output[start - begin :], tg.rnn.detach(final)
        begin = following


@pytest.mark.parametrize(("steps", "k1", "k2"), SCHEDULES)
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "OwnModule"])
def test_tbptt_of_two_layers_is_the_unrolled_windows(kind: str, steps: int, k1: int, k2: int):
    rng = np.random.default_rng(steps)
    layer = made(kind, I, H, num_layers=2)
    x, g = rng.normal(size=(steps, 4, I)), rng.normal(size=(steps, 4, H))
    state = whole(random_state(layer, 4, rng))
    windows = tg.rnn.tbptt(layer, x, k1, k2, state)
    reference = reference_windows(layer, x, k1, k2, state)
    leaves = dict(layer.named_parameters())
    for window, (place, output, final) in zip(windows, reference, strict=True):
        assert window.steps == place
        assert_close(arrays(window.output, window.state), arrays(output, final))
        assert type(window.state) is type(final)
        found = gradients([window.output], [g[place]], leaves)
        for name, value in gradients([output], [g[place]], leaves).items():
            assert relative_error(found[name], value) <= 1e-12, name


@pytest.mark.parametrize(("steps", "k1", "k2"), [(12, 3, 3), (11, 3, 7), (10, 4, 6), (7, 1, 3)])
def test_tbptt_with_updates_between_windows(steps: int, k1: int, k2: int):
    rng = np.random.default_rng(steps)
    layers = [made("LSTM", I, H, num_layers=2) for _ in range(2)]
    x, y = rng.normal(size=(steps, 4, I)), rng.normal(size=(steps, 4, H))
    windows = tg.rnn.tbptt(layers[0], x, k1, k2)
    reference = reference_windows(layers[1], x, k1, k2, None)
    optimisers = [tg.optim.SGD(layer.parameters(), lr=0.5) for layer in layers]
    for window, (place, output, final) in zip(windows, reference, strict=True):
        assert_close(arrays(window.output, window.state), arrays(output, final))
        for optimiser, found in zip(optimisers, (window.output, output), strict=True):
            optimiser.zero_grad()
            F.mse_loss(found, y[place]).backward()
            optimiser.step()
    before = made("LSTM", I, H, num_layers=2)
    for name, parameter in layers[0].named_parameters():
        expected = getattr(layers[1], name).data
        assert relative_error(parameter.data, expected) <= 1e-12, name
        assert abs(expected - getattr(before, name).data).max() > 1e-4


@pytest.mark.parametrize(("steps", "k1", "k2"), [(10, 4, 6), (11, 3, 7), (7, 9, 20)])
def test_tbptt_in_other_layouts(steps: int, k1: int, k2: int):
    rng = np.random.default_rng(steps)
    layer, x = made("LSTM", I, H, num_layers=2), rng.normal(size=(steps, 1, I))
    g = rng.normal(size=(steps, 1, H))
    state = random_state(layer, 1, rng)
    leaves = dict(layer.named_parameters())

    def found(axes: Any, given: Any, start: Any) -> list[Any]:
        return [
            (
                axes(window.output.data),
                [part.data.reshape(2, 1, H) for part in window.state],
                gradients([axes(window.output)], [g[window.steps]], leaves),
            )
            for window in tg.rnn.tbptt(layer, given, k1, k2, start)
        ]

    expected = found(lambda y: y, x, tuple(state))
    single = found(lambda y: y[:, None], x[:, 0], tuple(part[:, 0] for part in state))
    layer.batch_first = True
    turned = found(lambda y: np.swapaxes(y, 0, 1), x.swapaxes(0, 1), tuple(state))
    single_first = found(lambda y: y[:, None], x[:, 0], tuple(part[:, 0] for part in state))
    assert len(expected) == -(-steps // k1)
    for other in (single, turned, single_first):
        for (y, last, slopes), (wanted, final, expected_slopes) in zip(
            other, expected, strict=True
        ):
            assert_close([y, *last, *slopes.values()], [wanted, *final, *expected_slopes.values()])


def test_tbptt_of_a_function(rng: np.random.Generator):
    """A model of several modules, with a dict of states."""
    lower, upper = made("LSTM", I, H), made("GRU", H, 2)
    head = tg.nn.Linear(2, 1, dtype=np.float64, rng=0)

    def model(x: Any, state: Any) -> Any:
        state = state or {"lower": None, "upper": None}
        y, a = lower(x, state["lower"])
        y, b = upper(y, state["upper"])
        return head(y), {"lower": a, "upper": b}

    x, g = rng.normal(size=(11, 4, I)), rng.normal(size=(11, 4, 1))
    expected, _ = model(x, None)
    leaves = {"W": lower.weight_hh_l0, "V": upper.weight_ih_l0, "head": head.weight}
    for window, (place, output, final) in zip(
        tg.rnn.tbptt(model, x, 3, 7), reference_windows(model, x, 3, 7, None), strict=True
    ):
        assert_close([window.output.data], [expected.data[window.steps]])
        assert not window.state["lower"].h.requires_grad
        assert_close([window.state["upper"].data], [final["upper"].data])
        found = gradients([window.output], [g[place]], leaves)
        for name, value in gradients([output], [g[place]], leaves).items():
            assert relative_error(found[name], value) <= 1e-12, name


def test_tbptt_goes_back_to_the_input_through_k2_steps_only(rng: np.random.Generator):
    layer, x = made("GRU", I, H), leaf(rng.normal(size=(10, 4, I)))
    h0 = leaf(rng.normal(size=(1, 4, H)))
    for window in tg.rnn.tbptt(layer, x, 2, 5, h0):
        slope, start = tg.grad((window.output**2).sum(), (x, h0), allow_unused=True)
        reached = np.flatnonzero(abs(slope.data).sum((1, 2)))
        end = window.steps.stop
        assert reached.tolist() == list(range(max(0, end - 5), end))
        assert start is None


def test_tbptt_may_be_left_early_and_without_going_back(rng: np.random.Generator):
    layer, x = made("GRU", I, H), rng.normal(size=(10, 4, I))
    windows = tg.rnn.tbptt(layer, x, 2, 5)
    assert next(windows).steps == slice(0, 2)
    with tg.no_grad():
        found = [window.output.data for window in tg.rnn.tbptt(layer, x, 2, 5)]
    assert_close([np.concatenate(found)], [layer(x)[0].data])


def peak_of_tbptt(steps: int) -> int:
    """The most memory in use beyond the input, in bytes."""
    layer, x = made("RNN-tanh", I, 16), np.zeros((steps, 8, I))
    parameters = list(layer.parameters())
    workspace._arrays.clear()  # what it keeps wouldn't be counted
    tracemalloc.start()
    try:
        for window in tg.rnn.tbptt(layer, x, 20, 30):
            tg.grad((window.output**2).sum(), parameters)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_of_tbptt_does_not_grow_with_the_sequence():
    peak_of_tbptt(100)
    short, long = peak_of_tbptt(500), peak_of_tbptt(2000)
    assert short > 30 * 8 * 16 * 8  # at least the states of k2 steps
    assert long < 1.2 * short


@pytest.mark.parametrize(("k1", "k2"), [(0, 3), (-1, None), (4, 3), (3, 0), (3, -3)])
def test_tbptt_refuses_windows_that_reach_nothing(k1: int, k2: Any):
    with pytest.raises(ValueError, match=rf"k1 = {k1} .*1 <= k1 <= k2"):
        tg.rnn.tbptt(tg.nn.RNN(I, H), np.zeros((5, 1, I)), k1, k2)


def test_tbptt_refuses_what_has_no_windows():
    with pytest.raises(ValueError, match="bidirectional layer reads the sequence from its end"):
        tg.rnn.tbptt(tg.nn.LSTM(I, H, bidirectional=True), np.zeros((5, 1, I)), 2)
    with pytest.raises(ValueError, match=r"no step in an input of shape \(0, 1, 2\)"):
        tg.rnn.tbptt(tg.nn.RNN(I, H), np.zeros((0, 1, I)), 2)
    with pytest.raises(ValueError, match="no step"):
        tg.rnn.tbptt(tg.nn.RNN(I, H, batch_first=True), np.zeros((3, 0, I)), 2)
    with pytest.raises(ValueError, match="no step"):
        tg.rnn.tbptt(tg.nn.RNN(I, H), np.zeros(()), 2)
    with pytest.raises(TypeError, match="detach"):
        tg.rnn.tbptt(tg.nn.RNN(I, H), np.zeros((5, 1, I)), 2, state="zeros")


@pytest.mark.parametrize(("k1", "k2"), [(2.5, None), (2, 3.5), ("2", None)])
def test_tbptt_refuses_windows_that_are_no_integers(k1: Any, k2: Any):
    with pytest.raises(TypeError):
        list(tg.rnn.tbptt(tg.nn.RNN(I, H), np.zeros((5, 1, I)), k1, k2))


# The parts of a state


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("kind", ["RNN-tanh", "LSTM", "LSTM-proj", "GRU", "OwnModule"])
def test_state_view_names_layers_and_directions(
    kind: str, num_layers: int, bidirectional: bool, rng: np.random.Generator
):
    layer = made(kind, I, H, num_layers=num_layers, bidirectional=bidirectional)
    _, state = layer(rng.normal(size=(T, 4, I)))
    view = tg.rnn.state_view(state, layer)
    assert len(view) == num_layers
    sides = ("forward", "backward") if bidirectional else ("forward",)
    for (k, row), side in itertools.product(enumerate(view), sides):
        index = k * len(sides) + sides.index(side)
        for part, all_rows in zip(parts(getattr(row, side)), parts(state), strict=True):
            assert part.shape == all_rows.shape[1:]
            assert np.array_equal(part.data, all_rows.data[index])
    if not bidirectional:
        assert all(row.backward is None for row in view)
    if kind.startswith("LSTM"):
        assert view[-1].forward._fields == ("h", "c")
        assert view[-1].forward.h.shape == (4, 2 if kind == "LSTM-proj" else H)
    assert [row.forward for row in view[1:]] == [row.forward for row in list(view)[1:]]


def test_state_view_knows_forward_from_backward(rng: np.random.Generator):
    layer, x = made("LSTM", I, H, num_layers=2, bidirectional=True), rng.normal(size=(T, 4, I))
    output, state = layer(x)
    top = tg.rnn.state_view(state, layer)[1]
    assert np.array_equal(top.forward.h.data, output.data[-1, :, :H])
    assert np.array_equal(top.backward.h.data, output.data[0, :, H:])


def test_state_view_of_a_single_sequence_and_of_arrays(rng: np.random.Generator):
    layer = made("GRU", I, H, num_layers=2, bidirectional=True)
    h = rng.normal(size=(4, H))
    view = tg.rnn.state_view(h, layer)
    assert view[1].forward.shape == (H,)
    assert np.array_equal(view[1].forward.data, h[2])


def test_state_view_is_differentiable(rng: np.random.Generator):
    layer = made("LSTM", I, H, num_layers=2, bidirectional=True)
    x, g = leaf(rng.normal(size=(T, 4, I))), rng.normal(size=(4, H))
    _, state = layer(x)
    (found,) = tg.grad((tg.rnn.state_view(state, layer)[1].backward.c * g).sum(), x)
    _, state = layer(x)
    (expected,) = tg.grad((state.c[3] * g).sum(), x)
    assert abs(expected.data).max() > 0
    assert np.array_equal(found.data, expected.data)


def test_state_view_shows_its_shapes():
    layer = tg.nn.LSTM(I, H, num_layers=2, bidirectional=True)
    _, state = layer(np.zeros((T, 4, I)))
    lines = repr(tg.rnn.state_view(state, layer)).splitlines()
    assert lines[0] == "StateView("
    assert lines[1] == "  [0].forward: h (4, 3), c (4, 3)"
    assert lines[4] == "  [1].backward: h (4, 3), c (4, 3)"
    gru = tg.nn.GRU(I, H)
    assert "backward" not in repr(tg.rnn.state_view(gru(np.zeros((T, I)))[1], gru))


@pytest.mark.parametrize("shape", [(3, 4, H), (1, 4, H), (), (0, 4, H)])
def test_state_view_refuses_another_number_of_rows(shape: Any):
    layer = tg.nn.GRU(I, H, num_layers=2)
    with pytest.raises(ValueError, match=r"state_view: .* has 2 rows"):
        tg.rnn.state_view(np.zeros(shape), layer)
    with pytest.raises(IndexError):
        tg.rnn.state_view(np.zeros((2, 4, H)), layer)[2]
