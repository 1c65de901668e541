"""Keras' recurrent layers, cells, wrappers: same numbers, masks, dropout, copies, wrong use."""

from __future__ import annotations

import copy
import os
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from golden.make_golden import cases, relative_error
from golden.make_keras_recurrent import (
    KINDS,
    MASKS,
    OWN_CELLS,
    I,
    N,
    T,
    U,
    both,
    computed,
    flat,
    kept,
    keras_in_float64,
    layer,
    made_by,
    many,
    mask_of,
    states_of,
)

import tinygrad_rnn as tg
from tinygrad_rnn import keras
from tinygrad_rnn.keras import layers
from tinygrad_rnn.keras.masks import mask_of as mask_noted

LIMIT = 1e-12
GOLDEN = cases("keras_recurrent")


def gradients(loss, leaves):
    found = tg.grad(loss, leaves, allow_unused=True)
    return [
        np.zeros(leaf.shape) if g is None else g.data for leaf, g in zip(leaves, found, strict=True)
    ]


OURS = SimpleNamespace(
    layers=layers,
    matmul=tg.matmul,
    tanh=tg.tanh,
    concatenate=tg.concatenate,
    leaf=lambda a: tg.Tensor(a, requires_grad=True),
    constant=np.asarray,
    numpy=lambda y: y.data.copy(),
    gradients=gradients,
)


def assert_same(found, expected, limit=LIMIT):
    assert found.keys() == expected.keys()
    for name, wanted in expected.items():
        error = relative_error(found[name], wanted)
        assert error <= limit, f"{name}: relative error {error:.2g}"


def name_of(config):
    """A test's name for a configuration."""
    inner = config["layer"]
    parts = [str(inner["class"])]
    for key, value in (*inner.items(), *config.items()):
        if key in ("class", "units", "layer"):
            continue
        if isinstance(value, dict):
            value = value["class"]
        parts.append(key if value is True else f"{key}={value}".replace(" ", "")[:60])
    return "-".join(parts)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def live_keras(monkeypatch):
    """Keras in float64 on torch, if it can be had."""
    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "torch"))
    pytest.importorskip("torch")
    module = pytest.importorskip("keras")
    if module.backend.backend() != "torch":
        pytest.skip("Keras runs on another backend")
    with keras_in_float64() as library:
        yield library


# Numbers


@pytest.mark.parametrize(("config", "given", "expected"), GOLDEN, ids=lambda c: None)
def test_numbers_equal_golden_arrays(config, given, expected):
    assert_same(computed(config, OURS), expected)


def test_golden_arrays_are_those_of_the_configurations():
    assert [config for config, *_ in GOLDEN] == kept()


def test_combinations_of_options_equal_keras(live_keras):
    for config in many()[::23]:  # all of them take a minute
        assert_same(computed(config, OURS), computed(config, live_keras))


@pytest.mark.parametrize("mode", ["concat", "sum", "ave", "mul", None])
def test_merge_modes_equal_keras(mode, live_keras):
    for k, kind in enumerate(KINDS):
        for sequences in (True, False):
            inner = layer(kind, return_sequences=sequences, return_state=True)
            config = {"layer": both(inner, merge_mode=mode), "state": 2 * states_of(kind)}
            mask = (None, "left", "holes", "empty")[(k + sequences) % 4]
            config |= {} if mask is None else {"mask": mask}
            assert_same(computed(config, OURS), computed(config, live_keras))


@pytest.mark.parametrize("mask", MASKS)
def test_stacks_and_own_cells_equal_keras(mask, live_keras):
    cells = [{"class": "LSTMCell", "units": 4}, {"class": "SimpleRNNCell", "units": 2}]
    inner = [*({"class": c, "units": U} for c in OWN_CELLS), cells]
    for cell in inner:
        for backwards in (True, False):
            run = {"class": "RNN", "inner": cell, "go_backwards": backwards}
            more = {"return_sequences": backwards, "return_state": backwards}
            config = {"layer": {**run, **more}, "mask": mask}
            assert_same(computed(config, OURS), computed(config, live_keras))


@pytest.mark.parametrize("kind", KINDS)
def test_masks_travel_through_a_chain_as_in_keras(kind, live_keras, rng):
    ids = np.array([[3, 1, 0, 2, 0], [0, 0, 0, 0, 0], [1, 2, 3, 1, 2], [0, 2, 2, 0, 0]])
    chain = [
        {"class": "Embedding", "input_dim": 5, "output_dim": 3, "mask_zero": True},
        layer(kind, return_sequences=True),
        both(layer("GRU", return_sequences=True)),
        {"class": "TimeDistributed", "inner": {"class": "Dense", "units": 2}},
        layer("LSTM"),
    ]
    found, weights = [], None
    for library in (OURS, live_keras):
        made = [made_by(library, config) for config in chain]
        x = library.constant(ids)
        for each in made:  # builds them
            x = each(x)
        if weights is None:
            weights = [[rng.standard_normal(w.shape) for w in each.weights] for each in made]
        x = library.constant(ids)
        for each, values in zip(made, weights, strict=True):
            each.set_weights(values)
            x = each(x)
        found.append(library.numpy(x))
    assert relative_error(*found) <= LIMIT


@pytest.mark.parametrize("kind", KINDS)
def test_masking_in_front_is_a_mask(kind, rng):
    x = rng.standard_normal((N, T, I))
    mask = mask_of("empty")
    x[~mask] = 0
    one = layers.__dict__[kind](U, return_sequences=True, dtype="float64")
    masked = layers.Masking(dtype="float64")(x)
    np.testing.assert_array_equal(mask_noted(masked), mask)
    np.testing.assert_array_equal(one(masked).data, one(x, mask=mask).data)
    np.testing.assert_array_equal(mask_noted(one(masked)), mask)


def test_what_stands_at_masked_steps_has_no_influence(rng):
    x, mask = rng.standard_normal((N, T, I)), mask_of("holes")
    other = np.where(mask[..., None], x, np.nan)
    for kind in KINDS:
        one = layers.__dict__[kind](U, dtype="float64")
        np.testing.assert_array_equal(one(x, mask=mask).data, one(other, mask=mask).data)


@pytest.mark.parametrize("kind", ["SimpleRNNCell", "LSTMCell", "GRUCell"])
def test_cells_by_themselves_equal_keras(kind, live_keras, rng):
    x, found, weights = rng.standard_normal((N, I)), [], None
    count = 2 if kind == "LSTMCell" else 1
    states = [rng.standard_normal((N, U)) for _ in range(count)]
    for library in (OURS, live_keras):
        cell = made_by(library, {"class": kind, "units": U})
        cell.build((N, I))
        weights = weights or [rng.standard_normal(w.shape) for w in cell.weights]
        cell.set_weights(weights)
        y, new = cell(library.constant(x), [library.constant(s) for s in states])
        assert isinstance(new, list)
        found.append([library.numpy(part) for part in (y, *new)])
    for a, b in zip(*found, strict=True):
        assert relative_error(a, b) <= LIMIT


@pytest.mark.parametrize("config", [c for c in kept() if "inner" not in str(c)], ids=name_of)
def test_weights_have_keras_names_shapes_and_configuration(config, live_keras):
    made = []
    for library in (OURS, live_keras):
        one = made_by(library, {**config["layer"], "name": "one"})
        one.build((N, T, I))
        made.append(one)
    ours, theirs = made
    assert [w.path for w in ours.weights] == [w.path for w in theirs.weights]
    assert [w.shape for w in ours.weights] == [tuple(w.shape) for w in theirs.weights]
    if "rational" not in str(config):
        left_out = {"dtype", "seed", "activity_regularizer"}  # some of Keras' have the last, None
        found, wanted = (
            {k: v for k, v in each.get_config().items() if k not in left_out} for each in made
        )
        assert found == wanted


def test_wrapped_weights_have_keras_names(live_keras):
    cells = [{"class": "LSTMCell", "units": 4}, {"class": "LSTMCell", "units": 2}]
    for config in (
        both(layer("LSTM", name="x"), name="b"),
        {"class": "RNN", "inner": cells, "name": "r"},
        {"class": "TimeDistributed", "inner": layer("GRU", name="x"), "name": "t"},
    ):
        shape = (N, 2, T, I) if config["class"] == "TimeDistributed" else (N, T, I)
        paths = []
        for library in (OURS, live_keras):
            one = made_by(library, config)
            one.build(shape)
            paths.append([w.path.split("/")[0] + w.path.rpartition("/")[2] for w in one.weights])
        assert paths[0] == paths[1]


# Initial values


def test_unit_forget_bias():
    one = layers.LSTM(U, bias_initializer=lambda shape, dtype=None: np.full(shape, 5.0, dtype))
    one.build((None, T, I))
    np.testing.assert_array_equal(one.bias.data, [5] * U + [1] * U + [5] * 2 * U)
    other = layers.LSTM(U, unit_forget_bias=False)
    other.build((None, T, I))
    assert not other.bias.data.any()


@pytest.mark.parametrize("kind", KINDS)
def test_regularizers_and_constraints_are_kept(kind):
    one = layers.__dict__[kind](
        U,
        kernel_regularizer="l2",
        recurrent_constraint="non_neg",
        bias_regularizer=keras.regularizers.L1(0.5),
        bias_constraint="unit_norm",
    )
    one.build((None, T, I))
    kernel, recurrent, bias = one.weights
    assert kernel.regularizer is one.kernel_regularizer is not None
    assert recurrent.constraint is one.recurrent_constraint is not None
    assert bias.constraint is not None
    bias.assign(np.ones(bias.shape))
    l2 = 0.01 * (kernel.data.astype(float) ** 2).sum()
    assert sum(float(p) for p in one.losses) == pytest.approx(l2 + 0.5 * bias.size, rel=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype(dtype, rng):
    one = layers.Bidirectional(layers.GRU(U, dtype=dtype, return_state=True), dtype=dtype)
    for x in (rng.standard_normal((N, T, I)), np.ones((N, T, I), int)):
        assert {part.dtype.name for part in one(x, mask=mask_of("left"))} == {dtype}
    assert {w.dtype.name for w in one.weights} == {dtype}


# States


@pytest.mark.parametrize("kind", KINDS)
def test_stateful_batches_go_on_where_the_one_before_ended(kind, rng):
    x = rng.standard_normal((N, 2 * T, I))
    whole = layers.__dict__[kind](U, return_sequences=True, dtype="float64")
    expected = whole(x).data
    one = layers.__dict__[kind](U, return_sequences=True, stateful=True, dtype="float64")
    one.build((N, T, I))
    one.set_weights(whole.get_weights())
    halves = [one(x[:, :T]).data, one(x[:, T:]).data]
    np.testing.assert_allclose(np.concatenate(halves, axis=1), expected, rtol=0, atol=1e-13)
    assert not any(state.requires_grad for state in one.states)
    one.reset_states()
    np.testing.assert_array_equal(one(x[:, :T]).data, halves[0])


def test_a_stateful_layer_refuses_another_batch_size_and_keeps_its_states(rng):
    one = layers.LSTM(U, stateful=True)
    one(rng.standard_normal((N, T, I)))
    before = [state.data.copy() for state in one.states]
    with pytest.raises(ValueError, match=r"Expected batch size: 7\n- Received batch size: 5"):
        one(rng.standard_normal((5, T, I)))
    for a, b in zip(one.states, before, strict=True):
        np.testing.assert_array_equal(a.data, b)
    with pytest.raises(ValueError, match="the batch size must be static"):
        layers.LSTM(U, stateful=True).build((None, T, I))


def test_a_stateful_bidirectional_layer(rng):
    x = rng.standard_normal((N, T, I))
    one = layers.Bidirectional(layers.GRU(U, stateful=True, return_state=True))
    first = one(x)
    second = one(x)
    assert not np.array_equal(first[0].data, second[0].data)
    assert len(one.states) == 2
    one.reset_state()
    for a, b in zip(one(x), first, strict=True):
        np.testing.assert_array_equal(a.data, b.data)


# Dropout


@pytest.mark.parametrize("kind", KINDS)
def test_one_mask_of_inputs_for_all_steps(kind, rng):
    one = layers.__dict__[kind](U, dropout=0.5, seed=3, return_sequences=True, dtype="float64")
    x = tg.Tensor(rng.standard_normal((50, T, 11)), requires_grad=True)
    np.testing.assert_array_equal(one(x).data, one(x, training=False).data)
    one(x, training=True).sum().backward()
    dropped = x.grad.data == 0
    assert (dropped == dropped[:, :1]).all()  # at all steps the same
    assert 0.4 < dropped[:, 0].mean() < 0.6
    assert len(np.unique(dropped[:, 0], axis=0)) > 40  # of samples, others


def test_one_mask_of_the_state_for_all_steps():
    """With h' = h · mask + x and x = 1, mask 0 or 2: a dropped feature stays 1, others double."""
    one = layers.SimpleRNN(
        13, "linear", recurrent_initializer="identity", kernel_initializer="ones",
        recurrent_dropout=0.5, seed=1, return_sequences=True, use_bias=False, dtype="float64",
    )  # fmt: skip
    y = one(np.ones((50, T, 1)), training=True).data
    dropped = y[:, -1] == 1
    np.testing.assert_array_equal(y[dropped.nonzero()[0], :, dropped.nonzero()[1]], 1)
    np.testing.assert_array_equal(
        y.swapaxes(1, 2)[~dropped],
        np.broadcast_to(2.0 ** np.arange(1, T + 1) - 1, ((~dropped).sum(), T)),
    )
    assert 0.4 < dropped.mean() < 0.6
    assert len(np.unique(dropped, axis=0)) > 40


def test_seeds_of_dropout(rng):
    x = rng.standard_normal((N, T, I))

    def two(seed):
        one = layers.GRU(U, dropout=0.5, recurrent_dropout=0.3, seed=seed, dtype="float64")
        one.build(x.shape)
        one.set_weights([np.full(w.shape, 0.3) for w in one.weights])
        return [one(x, training=True).data for _ in range(2)]

    first, again, other = two(5), two(5), two(6)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[0], other[0])


def test_a_cell_by_itself_keeps_its_masks_until_they_are_reset():
    cell = layers.SimpleRNNCell(U, dropout=0.5, recurrent_dropout=0.5, seed=0, dtype="float64")
    x, h = np.ones((N, 11)), [np.ones((N, U))]
    y = [cell(x, h, training=True)[0].data for _ in range(2)]
    np.testing.assert_array_equal(*y)
    cell.reset_dropout_mask()
    third = cell(x, h, training=True)[0].data
    assert not np.array_equal(y[0], third)
    cell.reset_recurrent_dropout_mask()
    assert not np.array_equal(third, cell(x, h, training=True)[0].data)
    assert cell(x[:2], [h[0][:2]], training=True)[0].shape == (2, U)


# A user's own cell


@pytest.mark.parametrize("name", OWN_CELLS)
def test_own_cells_are_folded(name, rng):
    one = made_by(OURS, {"class": "RNN", "inner": {"class": name, "units": U}})
    x = tg.Tensor(rng.standard_normal((N, T, I)), requires_grad=True)
    one(x).sum().backward()  # a warning would be an error
    names = set()
    pending = [one(x)._node]
    while pending:
        node = pending.pop()
        node = getattr(node, "node", node)
        if hasattr(node, "operation"):
            names.add(node.operation.name)
            pending += [a for a in node.arguments if hasattr(a, "node") or hasattr(a, "operation")]
    assert "scan" in names
    assert "tanh" not in names


def test_a_cell_with_layers_inside(rng):
    class Inside(layers.Layer):
        state_size = U

        def __init__(self, **options):
            super().__init__(**options)
            self.inner = layers.Dense(U, dtype="float64")
            self.over = layers.Dense(U, use_bias=False, dtype="float64")

        def call(self, inputs, states):
            h = tg.tanh(self.inner(inputs) + self.over(states[0]))
            return h, [h]

    one = layers.RNN(Inside(dtype="float64"), return_sequences=True, dtype="float64")
    x = rng.standard_normal((N, T, I))
    one.build(x.shape)
    assert len(one.weights) == 3
    kernel, bias, over = one.get_weights()
    simple = layers.SimpleRNN(U, return_sequences=True, dtype="float64")
    simple.build(x.shape)
    simple.set_weights([kernel, over, bias])
    np.testing.assert_allclose(one(x).data, simple(x).data, rtol=0, atol=1e-14)


def test_a_nested_list_of_cells(rng):
    x = rng.standard_normal((N, T, I))
    inner = layers.StackedRNNCells([layers.GRUCell(4), layers.LSTMCell(2)])
    one = layers.RNN([layers.LSTMCell(U), inner], return_state=True)
    y, first, second = one(x)
    assert y.shape == (N, 2)
    assert [s.shape for s in first] == [(N, U)] * 2
    assert [s.shape for s in flat(second)] == [(N, 4), (N, 2), (N, 2)]
    np.testing.assert_array_equal(y.data, second[1][0].data)
    again = one(x, initial_state=[first, second])
    assert not np.array_equal(again[0].data, y.data)


def test_stacked_cells_by_themselves_are_the_steps_of_the_layer(rng):
    x = rng.standard_normal((N, T, I))
    cells = layers.StackedRNNCells([layers.LSTMCell(U), layers.GRUCell(2)])
    one = layers.RNN(cells, return_sequences=True)
    expected = one(x).data
    states = cells.get_initial_state(N)
    for t in range(T):
        y, states = cells(x[:, t].astype(np.float32), states)
        np.testing.assert_allclose(y.data, expected[:, t], rtol=0, atol=1e-6)


# Wrappers


def test_bidirectional_takes_weights_and_leaves_its_layer_alone(rng):
    x = rng.standard_normal((N, T, I))
    given = layers.SimpleRNN(U)
    given(x)
    values = [rng.standard_normal(w.shape).astype(np.float32) for w in given.weights] * 2
    one = layers.Bidirectional(given, weights=values)
    one(x)
    for a, b in zip(one.get_weights(), values, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not {id(w) for w in given.weights} & {id(w) for w in one.weights}


def test_bidirectional_of_a_layer_with_functions_of_its_own(rng):
    def half(x):
        return x * 0.5

    given = layers.RNN(layers.SimpleRNNCell(U, half))
    given(rng.standard_normal((N, T, I)))
    one = layers.Bidirectional(given)
    assert one.forward_layer.cell.activation is half
    assert not one.forward_layer.built


def test_time_distributed_reads_each_step_by_itself(rng):
    class Centred(layers.Layer):
        def call(self, x):
            return x - x.mean(axis=0)

    x = rng.standard_normal((N, T, I))
    y = layers.TimeDistributed(Centred(dtype="float64"), dtype="float64")(x)
    np.testing.assert_allclose(y.data, x - x.mean(axis=0), rtol=0, atol=1e-15)
    x = rng.standard_normal((2, 3, T, I))
    inner = layers.GRU(U, stateful=True, dtype="float64")
    y = layers.TimeDistributed(inner, dtype="float64")(x)
    inner.reset_state()
    np.testing.assert_array_equal(y.data, np.stack([inner(x[:, t]).data for t in range(3)], axis=1))


def test_time_distributed_gives_a_layer_the_masks_of_its_steps(rng):
    x, mask = rng.standard_normal((2, N, T, I)), np.stack([mask_of("holes"), mask_of("empty")])
    inner = layers.LSTM(U, dtype="float64")
    y = layers.TimeDistributed(inner, dtype="float64")(x, mask=mask).data
    for k in range(2):
        np.testing.assert_allclose(y[k], inner(x[k], mask=mask[k]).data, rtol=0, atol=1e-14)
    with pytest.raises(
        ValueError, match=r"begins with the axes .* = \(2, 7\)\. Received: \(2, 6\)"
    ):
        layers.TimeDistributed(inner)(x, mask=np.ones((2, 6), bool))


@pytest.mark.parametrize(
    "config",
    [c for c in kept() if not any(f"'class': '{name}'" in str(c) for name in OWN_CELLS)],
    ids=name_of,
)
def test_a_layer_from_its_configuration(config, rng):
    if "rational" in str(config):
        pytest.skip("functions of one's own are found by custom_objects")
    one = made_by(OURS, config["layer"])
    again = type(one).from_config(one.get_config())
    x = rng.standard_normal(config.get("shape", (N, T, I)))
    one(x)
    again(x)
    again.set_weights(one.get_weights())
    for made in (one, again):
        if getattr(made, "stateful", False):
            made.reset_state()
    for a, b in zip(flat(one(x)), flat(again(x)), strict=True):
        np.testing.assert_array_equal(a.data, b.data)
    assert again.get_config() == one.get_config()


# Shapes that are known before


@pytest.mark.parametrize("config", kept(), ids=name_of)
def test_compute_output_shape(config):
    shape = tuple(config.get("shape", (N, T, I)))
    one = made_by(OURS, config["layer"])
    result = one(np.zeros(shape))

    known = one.compute_output_shape(shape)
    sizes = [size for part in flat(result) for size in part.shape]
    assert list(flat(known)) == sizes
    assert len(known) == len(result) if isinstance(result, tuple) else known == result.shape
    free, other = (flat(one.compute_output_shape((batch, *shape[1:]))) for batch in (None, 11))
    assert [11 if size is None else size for size in free] == list(other)


# Derivatives, looks inside, copies

FORMS = {
    "simple_rnn": lambda: layers.SimpleRNN(2, return_sequences=True, dtype="float64"),
    "lstm": lambda: layers.LSTM(2, dtype="float64"),
    "gru": lambda: layers.GRU(2, go_backwards=True, return_sequences=True, dtype="float64"),
    "gru_before": lambda: layers.GRU(2, reset_after=False, dtype="float64"),
    "bidirectional": lambda: layers.Bidirectional(
        layers.SimpleRNN(2, return_sequences=True, dtype="float64"), dtype="float64"
    ),
    "stacked": lambda: layers.RNN(
        [layers.LSTMCell(1, dtype="float64"), layers.GRUCell(2, dtype="float64")], dtype="float64"
    ),
    "own": lambda: made_by(OURS, {"class": "RNN", "inner": {"class": "two_states", "units": 2}}),
}


@pytest.mark.parametrize("form", FORMS)
def test_gradients_are_right(form, rng):
    one, x = FORMS[form](), tg.Tensor(rng.standard_normal((1, 3, I)), requires_grad=True)
    one(x)
    assert tg.gradcheck(one, x)
    assert tg.gradgradcheck(one, x)


def test_gradients_are_right_with_a_mask_and_a_state(rng):
    mask = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0]], bool)
    for kind in KINDS[1:]:
        one = layers.__dict__[kind](1, return_sequences=True, return_state=True, dtype="float64")
        count = len(states_of(kind))
        leaves = [
            tg.Tensor(rng.standard_normal(shape), requires_grad=True)
            for shape in ((3, 3, I), *((3, 1),) * count)
        ]

        def run(x, *states, one=one):
            return one(x, initial_state=list(states), mask=mask)

        run(*leaves)
        assert tg.gradcheck(run, tuple(leaves))
        assert tg.gradgradcheck(run, tuple(leaves))


def test_a_trace_shows_the_gates(rng):
    x = rng.standard_normal((N, T, I))
    one = layers.LSTM(U, return_sequences=True, dtype="float64")
    trace = tg.rnn.trace(one, x)
    assert {"i", "f", "g", "o", "c", "h"} <= {name.rpartition(".")[2] for name in trace}
    found = trace["h"]
    np.testing.assert_allclose(found, one(x).data.swapaxes(0, 1), rtol=0, atol=1e-14)


def test_outputs_can_be_drawn(rng, tmp_path):
    y = layers.Bidirectional(layers.GRU(U, name="mine"))(rng.standard_normal((2, 3, I)))
    tg.draw(y, tmp_path / "graph.dot")
    text = (tmp_path / "graph.dot").read_text()
    assert "forward_mine" in text
    assert "backward_mine" in text
    assert "t=2" in text


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
@pytest.mark.parametrize("kind", KINDS)
def test_copies(kind, copied, rng):
    x = rng.standard_normal((N, T, I))
    inner = layers.__dict__[kind](U, dropout=0.5, seed=2, stateful=True)
    one = layers.Bidirectional(inner, name="both")
    one(x, training=True)
    other = copied(one)
    assert [w.path for w in other.weights] == [w.path for w in one.weights]
    assert other.name == "both"
    assert other.forward_layer.cell.activation is one.forward_layer.cell.activation
    for training in (True, False):
        a, b = one(x, training=training), other(x, training=training)
        np.testing.assert_array_equal(a.data, b.data)
    before = one.get_weights()
    other.set_weights([w + 1 for w in before])
    for a, b in zip(one.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


# What is kept between calls is never out of date


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_shows_at_the_next_call(kind, rng):
    x = rng.standard_normal((N, T, I))
    one = layers.__dict__[kind](U, return_sequences=True, dtype="float64")

    def fresh():
        made = layers.__dict__[kind](
            U, one.activation, return_sequences=True, dtype="float64", use_bias=one.use_bias
        )
        made.build(x.shape)
        made.set_weights(one.get_weights())
        with tg.rnn.unrolled():
            return made(x).data

    def check():
        for scope in (tg.no_grad, tg.enable_grad):
            with scope():
                np.testing.assert_allclose(one(x).data, fresh(), rtol=0, atol=1e-14)

    one(x)
    check()
    one.kernel.data[...] *= 2
    one.recurrent_kernel.data = one.recurrent_kernel.data * 0.5
    check()
    one.set_weights([rng.standard_normal(w.shape) for w in one.weights])
    check()
    one.cell.activation = tg.sigmoid
    check()
    one.cell.recurrent_kernel.trainable = False
    one(x).sum().backward()
    assert one.recurrent_kernel.grad is None
    assert one.kernel.grad is not None


# Wrong use


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: layers.LSTM(0), "`units`, expected a positive integer"),
        (lambda: layers.LSTM(3, return_sequence=True), "return_sequences"),
        (lambda: layers.RNN(3), "callable"),
        (lambda: layers.RNN(lambda x, s: (x, s)), "state_size"),
        (lambda: layers.Bidirectional(layers.Dense(3)), "recurrent layer"),
        (lambda: layers.Bidirectional(layers.LSTM(3), merge_mode="add"), "merge_mode"),
        (lambda: layers.Bidirectional(layers.LSTM(3, go_backwards=True)), "go_backwards"),
        (
            lambda: layers.Bidirectional(layers.LSTM(3), backward_layer=layers.LSTM(3)),
            "go_backwards",
        ),
        (lambda: layers.TimeDistributed(3), "Layer instance"),
        (lambda: layers.TimeDistributed(layers.Dense(3))(np.ones((2, 3))), "3 dimensions"),
        (lambda: layers.LSTM(3)(np.ones((2, 3))), "expected ndim=3, found ndim=2"),
        (lambda: layers.LSTM(3)(np.ones((2, 0, 3))), "at least one step"),
        (lambda: layers.LSTM(3)(np.ones((2, 5, 3)), initial_state=np.ones((2, 3))), "2 states"),
        (lambda: layers.GRU(3)(np.ones((2, 5, 3)), initial_state=np.ones((3, 3))), r"\(2, 3\)"),
        (lambda: layers.GRU(3)(np.ones((2, 5, 3)), mask=np.ones((5, 2), bool)), r"= \(2, 5\)"),
    ],
)
def test_wrong_use_is_explained(make, words):
    with pytest.raises((ValueError, TypeError), match=words):
        make()
