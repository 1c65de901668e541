"""Recurrent layers and cells against PyTorch, numeric differences, and wrong use."""

import itertools
import re
import warnings

import numpy as np
import pytest
from golden.make_golden import cases, cell, label, recurrent, recurrent_inputs, relative_error

import tinygrad_rnn as tg

KINDS = [("RNN", "tanh"), ("RNN", "relu"), ("LSTM", None), ("GRU", None)]
FILES = ["rnn_tanh", "rnn_relu", "lstm", "gru"]
GOLDEN = [case for name in FILES for case in cases(name)]
CELLS = cases("cells")


def leaf(array, dtype=np.float64):
    return tg.Tensor(array, dtype=dtype, requires_grad=True)


def all_of(*words):
    """A pattern for a message that has all these words in it."""
    return "(?s)" + "".join(f"(?=.*{re.escape(word)})" for word in words)


def weighted_sum(results, given):
    return sum((r * given[f"g_{n}"].astype(r.dtype)).sum() for n, r in results.items())


def gradients(module, leaves):
    named = {**dict(module.named_parameters()), **leaves}
    return {f"d_{n}": p.grad for n, p in named.items()}


def run_layer(config, given, dtype=np.float64):
    """What `golden.make_golden.recurrent` does, with this library."""
    options = {k: v for k, v in config.items() if k not in ("kind", "sizes", "state", "single")}
    hidden, features = config["sizes"][2:]
    layer = getattr(tg.nn, config["kind"])(features, hidden, **options, dtype=dtype)
    layer.load_state_dict({n: given[n] for n in layer.state_dict()})
    leaves = {n: leaf(given[n], dtype) for n in ("x", "h0", "c0") if n in given}
    start = leaves.get("h0")
    if start is not None and config["kind"] == "LSTM":
        start = (start, leaves["c0"])
    output, final = layer(leaves["x"], start)
    finals = final if isinstance(final, tuple) else (final,)
    results = dict(zip(("output", "h_n", "c_n"), (output, *finals), strict=False))
    weighted_sum(results, given).backward()
    return {**results, **gradients(layer, leaves)}


def run_cell(config, given):
    """What `golden.make_golden.cell` does, with this library."""
    options = {k: v for k, v in config.items() if k not in ("kind", "state", "single")}
    features, hidden = given["x"].shape[-1], given["weight_hh"].shape[1]
    made = getattr(tg.nn, config["kind"])(features, hidden, **options, dtype=np.float64)
    made.load_state_dict({n: given[n] for n in made.state_dict()})
    leaves = {n: leaf(given[n]) for n in ("x", "h0", "c0") if n in given}
    state = leaves.get("h0")
    if state is not None and config["kind"] == "LSTMCell":
        state = (state, leaves["c0"])
    for x in leaves["x"]:
        state = made(x, state)
    finals = state if isinstance(state, tuple) else (state,)
    results = dict(zip(("h_n", "c_n"), finals, strict=False))
    weighted_sum(results, given).backward()
    return {**results, **gradients(made, leaves)}


def assert_same(found, expected, tolerance=1e-10):
    assert found.keys() == expected.keys()
    for name, wanted in expected.items():
        error = relative_error(found[name].data, wanted)
        assert error <= tolerance, f"{name}: relative error {error:.2g}"


# Against PyTorch


@pytest.mark.parametrize(("config", "given", "expected"), GOLDEN, ids=[label(c[0]) for c in GOLDEN])
def test_layer_equals_golden_arrays(config, given, expected):
    assert_same(run_layer(config, given), expected)


@pytest.mark.parametrize(("config", "given", "expected"), CELLS, ids=[label(c[0]) for c in CELLS])
def test_cell_equals_golden_arrays(config, given, expected):
    assert_same(run_cell(config, given), expected)


def test_golden_files_say_which_torch_made_them():
    for name in FILES:
        with np.load(f"{__file__.removesuffix('test_recurrent.py')}golden/{name}.npz") as file:
            assert str(file["torch"])[0].isdigit()


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize(("kind", "nonlinearity"), KINDS)
def test_layer_equals_torch_for_all_options(kind, nonlinearity, num_layers, bidirectional):
    pytest.importorskip("torch")
    rng = np.random.default_rng(num_layers)
    for bias, batch_first, single, state in itertools.product([False, True], repeat=4):
        sizes = [int(n) for n in rng.permutation([1, 2, 3, 5])]
        config = {
            "kind": kind,
            "sizes": sizes,
            "num_layers": num_layers,
            "bidirectional": bidirectional,
            "bias": bias,
            "batch_first": batch_first,
            "single": single,
            "state": state,
        }
        if nonlinearity:
            config["nonlinearity"] = nonlinearity
        given = recurrent_inputs(config, rng)
        assert_same(run_layer(config, given), recurrent(config, given))


@pytest.mark.parametrize(("kind", "nonlinearity"), KINDS)
def test_float32_equals_torch_and_stays_float32(kind, nonlinearity):
    pytest.importorskip("torch")
    config = {"kind": kind, "sizes": [11, 3, 13, 7], "num_layers": 2, "bidirectional": True}
    config["state"] = True
    if nonlinearity:
        config["nonlinearity"] = nonlinearity
    given = recurrent_inputs(config, np.random.default_rng(5))
    given = {n: a / 4 if n.startswith(("weight", "bias")) else a for n, a in given.items()}
    found = run_layer(config, given, np.float32)
    assert {a.dtype for a in found.values()} == {np.dtype(np.float32)}
    assert_same(found, recurrent(config, given, "float32"), tolerance=1e-5)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_long_sequence_equals_torch(kind):
    pytest.importorskip("torch")
    config = {"kind": kind, "sizes": [101, 2, 5, 3], "bidirectional": True}
    given = recurrent_inputs(config, np.random.default_rng(6))
    given = {n: a / 2 if n.startswith("weight") else a for n, a in given.items()}
    assert_same(run_layer(config, given), recurrent(config, given))


@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
def test_cell_equals_torch_on_random_sizes(kind):
    pytest.importorskip("torch")
    rng = np.random.default_rng(7)
    for single, state in itertools.product([False, True], repeat=2):
        sizes = [int(n) for n in rng.permutation([1, 3, 4, 6])]
        config = {"kind": kind, "single": single, "state": state}
        layer = {**config, "kind": kind.removesuffix("Cell"), "sizes": sizes}
        given = recurrent_inputs(layer, rng)
        given = {n.removesuffix("_l0"): a for n, a in given.items() if n != "g_output"}
        states = ("g_h_n", "g_c_n", "h0", "c0")
        given = {n: a[0] if n in states else a for n, a in given.items()}
        assert_same(run_cell(config, given), cell(config, given))


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_initial_values_fill_the_range_of_torch(kind):
    layer = getattr(tg.nn, kind)(50, 25, 2, bidirectional=True, rng=0)
    for name, p in layer.named_parameters():
        assert p.dtype == np.float32
        assert 0.15 < abs(p.data).max() <= 0.2, name
        assert abs(p.data.mean()) < 0.06, name


def test_lstm_state_is_a_named_pair_and_feeds_back():
    lstm = tg.nn.LSTM(3, 4, 2)
    x = np.ones((6, 2, 3))
    whole, _ = lstm(x)
    first, state = lstm(x[:3])
    second, state = lstm(x[3:], state)
    assert state._fields == ("h", "c")
    np.testing.assert_allclose(
        np.concatenate([first.data, second.data]), whole.data, rtol=1e-5, atol=1e-7
    )


def test_list_as_lstm_state_is_taken():
    lstm = tg.nn.LSTM(3, 4)
    h, c = np.ones((1, 2, 4)), np.zeros((1, 2, 4))
    x = np.ones((5, 2, 3))
    assert np.array_equal(lstm(x, [h, c])[0].data, lstm(x, (h, c))[0].data)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_empty_batch_gives_empty_output_and_zero_gradients(kind):
    layer = getattr(tg.nn, kind)(3, 4, 2, bidirectional=True)
    output, _ = layer(np.zeros((5, 0, 3)))
    assert output.shape == (5, 0, 8)
    output.sum().backward()
    assert all(not p.grad.data.any() for p in layer.parameters())


def test_float64_input_to_float32_layer_gets_float64_gradient():
    x = leaf(np.ones((2, 1, 3)))
    output, _ = tg.nn.GRU(3, 4)(x)
    output.sum().backward()
    assert output.dtype == np.float32
    assert x.grad.dtype == np.float64


def test_no_grad_makes_no_graph():
    with tg.no_grad():
        output, state = tg.nn.LSTM(3, 4)(np.ones((2, 1, 3)))
    assert not output.requires_grad
    assert not state.c.requires_grad


# Dropout between layers


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_dropout_acts_between_layers_only_while_training(kind):
    x = np.random.default_rng(0).normal(size=(4, 2, 3))
    plain = getattr(tg.nn, kind)(3, 5, 2, rng=1)
    dropping = getattr(tg.nn, kind)(3, 5, 2, dropout=0.5, rng=1)
    zero = getattr(tg.nn, kind)(3, 5, 2, dropout=0.0, rng=1)
    expected = plain(x)[0].data
    assert np.array_equal(zero(x)[0].data, expected)
    assert not np.array_equal(dropping(x)[0].data, expected)
    assert np.array_equal(dropping.eval()(x)[0].data, expected)


def test_dropout_one_cuts_the_layers_apart():
    rnn = tg.nn.RNN(3, 5, 2, dropout=1.0)
    x = leaf(np.random.default_rng(0).normal(size=(4, 2, 3)))
    output, _ = rnn(x)
    output.sum().backward()
    assert not x.grad.data.any()
    assert not rnn.weight_ih_l1.grad.data.any()
    assert rnn.weight_hh_l1.grad.data.any()


def passing_rnn(width, **options):
    """Two layers that pass positive input on unchanged: h = relu(x)."""
    rnn = tg.nn.RNN(width, width, 2, nonlinearity="relu", bias=False, dtype=np.float64, **options)
    for layer in ("l0", "l1"):
        getattr(rnn, f"weight_ih_{layer}").data = np.eye(width)
        getattr(rnn, f"weight_hh_{layer}").data = np.zeros((width, width))
    return rnn


def test_dropout_drops_its_share_and_scales_the_rest():
    output, _ = passing_rnn(50, dropout=0.3, rng=0)(np.ones((40, 5, 50)))
    kept = output.data != 0
    np.testing.assert_allclose(output.data[kept], 1 / 0.7)
    assert abs(kept.mean() - 0.7) < 0.02  # 4 standard deviations
    assert kept.any(axis=0).all()  # a fresh mask at every step


def test_same_seed_gives_same_weights_and_masks():
    def outputs():
        tg.manual_seed(4)
        layer = tg.nn.GRU(3, 5, 2, dropout=0.5)
        return [layer(np.ones((4, 2, 3)))[0].data for _ in range(2)]

    first, second = outputs(), outputs()
    assert np.array_equal(first, second)
    assert not np.array_equal(first[0], first[1])


def test_manual_seed_reaches_a_layer_made_before():
    layer = tg.nn.GRU(3, 5, 2, dropout=0.5)
    tg.manual_seed(4)
    first = layer(np.ones((4, 2, 3)))[0].data
    tg.manual_seed(4)
    assert np.array_equal(layer(np.ones((4, 2, 3)))[0].data, first)


def test_dropout_with_one_layer_warns():
    with pytest.warns(UserWarning, match="expects num_layers greater than 1") as caught:
        tg.nn.LSTM(3, 4, dropout=0.5)
    assert caught[0].filename == __file__


# Wrong use: the message names the place and the remedy

X = np.zeros((5, 2, 3))


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize(
    ("options", "x", "words"),
    [
        ({}, np.zeros((5, 2, 4)), ["Expected 3, got 4", "(5, 2, 4)", "last axis is features"]),
        ({}, np.zeros(3), ["2D or 3D, got 1D", "(time, batch, features)"]),
        ({"batch_first": True}, np.zeros((1, 1, 5, 3)), ["got 4D", "(batch, time, features)"]),
        ({}, np.zeros((0, 2, 3)), ["sequence length", "larger than 0", "time is axis 0"]),
        ({}, np.zeros((0, 3)), ["sequence length", "time is axis 0"]),
        ({"batch_first": True}, np.zeros((2, 0, 3)), ["sequence length", "time is axis 1"]),
    ],
)
def test_wrong_input_shape(kind, options, x, words):
    layer = getattr(tg.nn, kind)(3, 4, **options)
    with pytest.raises(ValueError, match=all_of(kind, *words)):
        layer(x)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize(
    ("options", "x", "shape", "words"),
    [
        ({}, X, (1, 3, 4), ["size (1, 2, 4), got (1, 3, 4)"]),
        ({}, X, (2, 4), ["size (1, 2, 4), got (2, 4)", "directions × layers, batch"]),
        ({"bidirectional": True}, X, (1, 2, 4), ["size (2, 2, 4), got (1, 2, 4)"]),
        ({"num_layers": 3}, X, (1, 2, 4), ["size (3, 2, 4), got (1, 2, 4)"]),
        ({"batch_first": True}, X, (5, 1, 4), ["size (1, 5, 4)", "also with batch_first=True"]),
        ({}, X[:, 0], (1, 1, 4), ["unbatched 2-D input", "also be 2-D", "3-D"]),
        ({}, X[:, 0], (2, 4), ["size (1, 4), got (2, 4)"]),
    ],
)
def test_wrong_state_shape(kind, options, x, shape, words):
    layer = getattr(tg.nn, kind)(3, 4, **options)
    state = np.zeros(shape)
    with pytest.raises(ValueError, match=all_of(kind, *words)):
        layer(x, (state, state) if kind == "LSTM" else state)


def test_wrong_cell_state_of_lstm_is_told_from_hidden():
    with pytest.raises(ValueError, match=r"hidden\[1\]"):
        tg.nn.LSTM(3, 4)(X, (np.zeros((1, 2, 4)), np.zeros((1, 1, 4))))


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (np.zeros((1, 2, 4)), "(h, c), got one array of shape (1, 2, 4)"),
        ((np.zeros((1, 2, 4)),), "(h, c), got 1 parts"),
    ],
)
def test_lstm_state_must_be_a_pair(state, words):
    with pytest.raises(ValueError, match=all_of("LSTM", words)):
        tg.nn.LSTM(3, 4)(X, state)
    with pytest.raises(ValueError, match=all_of("LSTMCell is a pair", words)):
        tg.nn.LSTMCell(3, 4)(X[0], state)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"])
def test_integer_input_names_the_remedy(kind):
    layer = getattr(tg.nn, kind)(3, 4)
    words = (f"the input of {kind}", "int64", "astype(np.float32)", "Embedding")
    with pytest.raises(TypeError, match=all_of(*words)):
        layer(np.ones((2, 3), int))


def test_integer_state_raises():
    with pytest.raises(TypeError, match="the state of GRU must hold floating-point numbers"):
        tg.nn.GRU(3, 4)(X, np.zeros((1, 2, 4), int))


def test_integer_weights_raise():
    with pytest.raises(TypeError, match="int64"):
        tg.nn.Parameter(np.ones((2, 3), int))
    with pytest.raises(TypeError, match="int64"):
        tg.nn.LSTM(3, 4, dtype=int)


@pytest.mark.parametrize(
    ("error", "options", "words"),
    [
        (ValueError, {"dropout": 1.5}, "in range [0, 1]"),
        (ValueError, {"dropout": -0.1}, "in range [0, 1]"),
        (ValueError, {"dropout": True}, "in range [0, 1]"),
        (ValueError, {"dropout": "0.5"}, "in range [0, 1]"),
        (ValueError, {"num_layers": 0}, "num_layers must be greater than zero"),
        (TypeError, {"num_layers": 1.0}, "num_layers should be of type int, got: float"),
        (ValueError, {"hidden_size": 0}, "hidden_size must be greater than zero"),
        (TypeError, {"hidden_size": "8"}, "hidden_size should be of type int, got: str"),
        (ValueError, {"input_size": -1}, "input_size must be greater than zero"),
        (TypeError, {"batch_fisrt": True}, "Did you mean 'batch_first'?"),
        (TypeError, {"bidirectionnal": True}, "Did you mean 'bidirectional'?"),
    ],
)
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_wrong_constructor_argument(kind, error, options, words):
    with pytest.raises(error, match=all_of(words)):
        getattr(tg.nn, kind)(**{"input_size": 3, "hidden_size": 4, **options})


@pytest.mark.parametrize("kind", ["RNN", "RNNCell"])
def test_unknown_nonlinearity(kind):
    with pytest.raises(ValueError, match=all_of("'sigmoid'. Select from 'tanh' or 'relu'")):
        getattr(tg.nn, kind)(3, 4, nonlinearity="sigmoid")


@pytest.mark.parametrize(
    ("x", "h", "words"),
    [
        (np.zeros((2, 5)), None, ["5 features", "input_size 3"]),
        (np.zeros((1, 2, 3)), None, ["1D or 2D, got 3D"]),
        (np.zeros((2, 3)), np.zeros(4), ["(4,)", "expected (2, 4)"]),
        (np.zeros(3), np.zeros((1, 4)), ["(1, 4)", "expected (4,)"]),
    ],
)
@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
def test_wrong_shape_to_a_cell(kind, x, h, words):
    state = (h, h) if kind == "LSTMCell" and h is not None else h
    with pytest.raises(ValueError, match=all_of(kind, *words)):
        getattr(tg.nn, kind)(3, 4)(x, state)


# A user's own cell


def numeric_gradient(f, array, eps=1e-6):
    """Central differences of a number f() in every element of `array`, changed in place."""
    result = np.zeros_like(array)
    for i in np.ndindex(array.shape):
        old = array[i]
        array[i] = old + eps
        above = f()
        array[i] = old - eps
        below = f()
        array[i] = old
        result[i] = (above - below) / (2 * eps)
    return result


def assert_numeric(loss, leaves, tolerance=1e-7):
    """`loss()` is a Tensor of one number; its gradients are compared in every leaf."""
    found = tg.grad(loss(), leaves)
    for leaf_, g in zip(leaves, found, strict=True):
        with tg.no_grad():
            expected = numeric_gradient(lambda: loss().item(), leaf_.data)
        assert abs(expected).max() > 1e-3
        assert relative_error(g.data, expected) < tolerance, leaf_.name


@pytest.mark.parametrize("reverse", [False, True])
def test_scan_of_a_plain_function(reverse):
    rng = np.random.default_rng(1)
    xs, h0 = leaf(rng.normal(size=(4, 2, 3))), leaf(rng.normal(size=(2, 5)))
    W, U = leaf(rng.normal(size=(3, 5))), leaf(rng.normal(size=(5, 5)) / 2)
    g_ys, g_last = rng.normal(size=(4, 2, 5)), rng.normal(size=(2, 5))

    def step(x, h):
        return np.tanh(x @ W + h @ U)

    h, expected = h0.data, [None] * 4
    for t in [3, 2, 1, 0] if reverse else range(4):
        h = expected[t] = np.tanh(xs.data[t] @ W.data + h @ U.data)
    ys, last = tg.rnn.scan(step, xs, h0, reverse=reverse)
    np.testing.assert_allclose(ys.data, expected, rtol=1e-13)
    np.testing.assert_allclose(last.data, h, rtol=1e-13)

    def loss():
        ys, last = tg.rnn.scan(step, xs, h0, reverse=reverse)
        return (ys * g_ys).sum() + (last * g_last).sum()

    assert_numeric(loss, [xs, h0, W, U])


def test_scan_with_a_tuple_of_states_of_different_shapes():
    rng = np.random.default_rng(2)
    xs, a0, b0 = leaf(rng.normal(size=(4, 3))), leaf(rng.normal(size=3)), leaf(rng.normal())
    g_ys, g_a = rng.normal(size=(4, 3)), rng.normal(size=3)

    def step(x, state):
        a, b = state
        return np.tanh(a * b + x), 0.9 * b + (a * x).sum()

    def loss():
        ys, (a, b) = tg.rnn.scan(step, xs, (a0, b0))
        return (ys * g_ys).sum() + (a * g_a).sum() + 0.7 * b

    assert_numeric(loss, [xs, a0, b0])


def test_scan_of_arrays_alone_stays_numpy():
    ys, last = tg.rnn.scan(lambda x, h: 0.5 * h + x, np.ones((3, 2)), np.zeros(2))
    assert type(ys) is np.ndarray
    assert tg.rnn.scan(lambda x, h: h + x, [1.0, 2.0], 0.0)[1] == 3
    assert last.tolist() == [1.75, 1.75]


def test_scan_uses_the_output_of_a_cell():
    class Counter:
        def initial_state(self, batch, dtype):
            return np.zeros(batch, dtype)

        def __call__(self, x, n):
            return n + 1

        def output(self, x, n):
            return x.sum(-1) * n

    ys, last = tg.rnn.scan(Counter(), np.ones((3, 2, 4)))
    assert ys.tolist() == [[4, 4], [8, 8], [12, 12]]
    assert last.tolist() == [3, 3]


def test_scan_without_steps_or_state_says_what_to_give():
    with pytest.raises(ValueError, match="at least one step"):
        tg.rnn.scan(lambda x, h: h, np.zeros((0, 2)), np.zeros(2))
    with pytest.raises(ValueError, match="give a state"):
        tg.rnn.scan(lambda x, h: h, np.zeros((3, 2)))


def test_scan_differentiates_what_the_function_captures_at_every_step():
    w = leaf([2.0])
    ys, _ = tg.rnn.scan(lambda x, h: w * h, np.zeros((3, 1)), np.ones(1))
    ys.sum().backward()
    assert w.grad.tolist() == [1 + 2 * 2 + 3 * 4]


class MinimalCell(tg.nn.Module):
    """A user's cell: two states, an output of its own, a module inside, no bias, no rng."""

    def __init__(self, input_size, hidden_size, scale=0.5):
        rng = np.random.default_rng(input_size)
        self.size, self.scale = hidden_size, scale
        self.W = tg.nn.Parameter(rng.normal(size=(input_size, hidden_size)))
        self.inner = tg.nn.Linear(hidden_size, hidden_size, dtype=np.float64, rng=rng)

    def initial_state(self, batch, dtype):
        return np.zeros((*batch, self.size), dtype), np.ones((*batch, self.size), dtype)

    def forward(self, x, state):
        h, m = state
        h = np.tanh(x @ self.W + self.inner(h) * m)
        return h, self.scale * m + h * h

    def output(self, x, state):
        return state[0] * state[1]


def test_own_cell_class_in_a_bidirectional_stack_has_numeric_gradients():
    rng = np.random.default_rng(3)
    layer = tg.rnn.Recurrent(MinimalCell, 2, 3, num_layers=2, bidirectional=True, scale=0.3)
    x, h0 = leaf(rng.normal(size=(3, 2, 2))), leaf(rng.normal(size=(4, 2, 3)))
    m0 = leaf(rng.normal(size=(4, 2, 3)))
    g = [rng.normal(size=s) for s in ((3, 2, 6), (4, 2, 3), (4, 2, 3))]

    def loss():
        output, (h, m) = layer(x, (h0, m0))
        return (output * g[0]).sum() + (h * g[1]).sum() + (m * g[2]).sum()

    assert len(list(layer.parameters())) == 12
    assert_numeric(loss, [x, h0, m0, *layer.parameters()])


def test_own_cell_class_stack_is_the_loop_written_out():
    layer = tg.rnn.Recurrent(MinimalCell, 2, 3, num_layers=2, bidirectional=True)
    assert layer._cells[0].scale == 0.5
    x = np.random.default_rng(4).normal(size=(4, 2, 2))
    output, (h, m) = layer(x)
    ys, finals = tg.Tensor(x), []
    for k in (0, 2):
        sides = []
        for cell_, reverse in zip(layer._cells[k : k + 2], (False, True), strict=True):
            side, final = tg.rnn.scan(cell_, ys, reverse=reverse)
            sides.append(side)
            finals.append(final)
        ys = np.concatenate(sides, axis=-1)
    np.testing.assert_array_equal(output.data, ys.data)
    np.testing.assert_array_equal(h.data, [f[0].data for f in finals])
    np.testing.assert_array_equal(m.data, [f[1].data for f in finals])


def test_own_cell_class_without_initial_state_takes_a_given_one():
    class Plain(tg.nn.Module):
        def __init__(self, input_size, hidden_size):
            self.W = tg.nn.Parameter(np.ones((input_size, hidden_size)))

        def forward(self, x, h):
            return 0.5 * h + x @ self.W

    layer = tg.rnn.Recurrent(Plain, 3, 4)
    output, _ = layer(np.zeros((2, 5, 3)), np.ones((1, 5, 4)))
    assert output.data[:, 0, 0].tolist() == [0.5, 0.25]
    output, _ = layer(np.zeros((2, 3)), np.ones((1, 4)))
    assert output.data[:, 0].tolist() == [0.5, 0.25]
    with pytest.raises(ValueError, match="give a state"):
        layer(np.zeros((2, 5, 3)))


class DroppingCell(tg.nn.Module):
    def __init__(self, input_size, hidden_size):
        self.drop = tg.nn.Dropout(0.5)

    def initial_state(self, batch, dtype):
        return np.zeros((*batch, 4), dtype)

    def forward(self, x, h):
        return self.drop(h + 1 + 0 * x[..., :1])


@pytest.mark.filterwarnings("ignore::tinygrad_rnn.errors.NotFoldedWarning")
def test_eval_reaches_the_cells():
    layer = tg.rnn.Recurrent(DroppingCell, 3, 4)
    assert (layer(X)[0].data == 0).any()
    assert layer.eval()(X)[0].data[:, 0, 0].tolist() == [1, 2, 3, 4, 5]
    assert (layer.train()(X)[0].data == 0).any()


# Derivatives of derivatives


@pytest.mark.parametrize(
    ("kind", "hidden", "options"),
    [
        ("RNN", 2, {"num_layers": 2, "bidirectional": True}),
        ("LSTM", 2, {}),
        ("LSTM", 1, {"num_layers": 2, "bidirectional": True, "batch_first": True}),
        ("GRU", 2, {"num_layers": 2}),
    ],
)
def test_second_derivatives_are_the_numeric_ones_of_the_first(kind, hidden, options):
    rng = np.random.default_rng(9)
    layer = getattr(tg.nn, kind)(2, hidden, **options, dtype=np.float64, rng=8)
    leaves = [leaf(rng.normal(size=(2, 2, 2))), *layer.parameters()]
    directions = [rng.normal(size=p.shape) for p in leaves]
    g_output, g_state = rng.normal(size=layer(leaves[0])[0].shape), rng.normal()

    def first_order(create_graph):
        output, state = layer(leaves[0])
        state = state[1] if isinstance(state, tuple) else state
        loss = (output * g_output).sum() + g_state * (state * state).sum()
        found = tg.grad(loss, leaves, create_graph=create_graph)
        return sum((g * d).sum() for g, d in zip(found, directions, strict=True))

    for leaf_, g in zip(leaves, tg.grad(first_order(True), leaves), strict=True):
        expected = numeric_gradient(lambda: first_order(False).item(), leaf_.data)
        assert relative_error(g.data, expected) < 1e-6, leaf_.name


# Training


def test_small_lstm_learns_to_remember():
    rng = np.random.default_rng(0)
    tg.manual_seed(0)
    lstm, head = tg.nn.LSTM(3, 12), tg.nn.Linear(12, 2)
    parameters = [*lstm.parameters(), *head.parameters()]
    optimiser = tg.optim.Adam(parameters, lr=0.02)
    losses = []
    for _ in range(120):  # the first symbol must be told at the end of six steps of noise
        labels = rng.integers(0, 2, 32)
        x = np.zeros((7, 32, 3), np.float32)
        x[0, np.arange(32), labels] = 1
        x[1:, :, 2] = rng.normal(size=(6, 32))
        output, _ = lstm(x)
        loss = tg.nn.functional.cross_entropy(head(output[-1]), labels)
        optimiser.zero_grad()
        loss.backward()
        tg.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] > 0.6
    assert np.mean(losses[-10:]) < 0.02


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_carried_state_needs_detach_and_the_error_says_so(kind):
    layer = getattr(tg.nn, kind)(3, 4)
    x = np.ones((2, 1, 3))
    state = None
    for _ in range(3):
        output, state = layer(x, state)
        output.sum().backward()
        state = tg.rnn.detach(state)
    assert layer.weight_hh_l0.grad is not None

    output, state = layer(x)
    output.sum().backward()
    output, _ = layer(x, state)
    with pytest.raises(RuntimeError, match=r"recurrent state kept.*detach"):
        output.sum().backward()


def test_detach_keeps_values_and_structure():
    _, state = tg.nn.LSTM(3, 4)(X)
    cut = tg.rnn.detach(state)
    assert type(cut) is type(state)
    assert np.array_equal(cut.c.data, state.c.data)
    assert not cut.c.requires_grad
    h, (c, n) = tg.rnn.detach((state.h, [state.c, 3]))
    assert not h.requires_grad
    assert not c.requires_grad
    assert n == 3


def test_gradient_stops_at_a_detached_state():
    rnn = tg.nn.RNN(3, 4, dtype=np.float64)
    x = leaf(np.ones((2, 1, 3)))
    _, state = rnn(x)
    output, _ = rnn(np.ones((2, 1, 3)), tg.rnn.detach(state))
    output.sum().backward()
    assert x.grad is None


def test_layers_make_no_warnings_on_extreme_input():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in ("RNN", "LSTM", "GRU"):
            output, _ = getattr(tg.nn, kind)(1, 2)(np.array([[1e30], [-1e30]]))
            output.sum().backward()
            assert np.isfinite(output.data).all()
