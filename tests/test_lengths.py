"""Sequences of different lengths in one batch equal each of them alone."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from golden.make_golden import relative_error
from recurrent_kinds import KINDS, gradients, leaf, made, parts, random_state, run, whole

import tinygrad_rnn as tg

T, N, I, H = 5, 3, 2, 3  # noqa: E741
LENGTHS = [3, 5, 1]


def all_of(*words: str) -> str:
    """A pattern for a message that has all these words in it."""
    return "(?s)" + "".join(f"(?=.*{re.escape(word)})" for word in words)


def real_of(lengths: Any, steps: int = T) -> np.ndarray:
    return np.arange(steps)[:, None] < np.asarray(lengths)


def weights_of(layer: Any, x: Any, state: Any, rng: np.random.Generator) -> list[np.ndarray]:
    """Random weights for the output and the parts of the final state."""
    output, final = layer(np.zeros_like(x), None if state is None else whole(state))
    return [rng.normal(size=r.shape) for r in (output, *parts(final))]


def each_alone(layer: Any, x: Any, state: Any, weights: Any, real: np.ndarray) -> dict[str, Any]:
    """What `run` gives for the batch, from running the real steps of each sequence alone."""
    found: dict[str, Any] = {"output": np.zeros_like(weights[0]), "d_x": np.zeros_like(x)}
    for i, (part, weight) in enumerate(zip(state, weights[1:], strict=True)):
        found[f"final{i}"], found[f"d_state{i}"] = part.copy(), weight.copy()
    found.update({f"d_{n}": np.zeros(p.shape) for n, p in layer.named_parameters()})
    for n in range(real.shape[1]):
        steps = np.flatnonzero(real[:, n])
        if not steps.size:
            continue
        one = run(
            layer,
            x[steps, n],
            [part[:, n] for part in state],
            [weights[0][steps, n], *(weight[:, n] for weight in weights[1:])],
        )
        for name, value in one.items():
            if name in ("output", "d_x"):
                found[name][steps, n] = value
            elif "state" in name or "final" in name:
                found[name][:, n] = value
            else:
                found[name] += value
    return found


def assert_same(found: dict[str, Any], expected: dict[str, Any], tolerance: float = 1e-12) -> None:
    assert found.keys() == expected.keys()
    for name, wanted in expected.items():
        assert np.isfinite(found[name]).all(), name
        error = relative_error(found[name], wanted)
        assert error <= tolerance, f"{name}: relative error {error:.2g}"


# Each sequence as if it were alone


@pytest.mark.parametrize("kind", KINDS)
def test_any_batch_is_each_sequence_alone(kind: str):
    hypothesis = pytest.importorskip("hypothesis")
    st = hypothesis.strategies

    @hypothesis.settings(max_examples=12)
    @hypothesis.given(
        lengths=st.lists(st.integers(0, 4), min_size=1, max_size=3),
        extra=st.integers(0, 1),
        holes=st.booleans(),
        num_layers=st.integers(1, 2),
        bidirectional=st.booleans(),
        batch_first=st.booleans(),
        padding=st.sampled_from([np.nan, np.inf, -np.inf, 1e300, 7.0]),
        seed=st.integers(0, 2**16),
    )
    def check(
        lengths: Any,
        extra: int,
        holes: bool,
        num_layers: int,
        bidirectional: bool,
        batch_first: bool,
        padding: float,
        seed: int,
    ) -> None:
        rng = np.random.default_rng(seed)
        layer = made(kind, I, H, num_layers=num_layers, bidirectional=bidirectional)
        layer.batch_first = batch_first
        real = real_of(lengths, max(1, max(lengths) + extra))
        if holes:
            real = rng.permuted(real, axis=0)
        x = rng.normal(size=(*real.shape, layer.input_size))
        x[~real] = padding
        layer.batch_first = False
        state = random_state(layer, len(lengths), rng)
        weights = weights_of(layer, x, state, rng)
        expected = each_alone(layer, x, state, weights, real)
        layer.batch_first = batch_first
        given = {"mask": real} if holes else {"lengths": lengths}
        if batch_first:
            given = {name: np.transpose(value) for name, value in given.items()}
            x, weights[0] = x.swapaxes(0, 1), weights[0].swapaxes(0, 1)
            expected["output"] = expected["output"].swapaxes(0, 1)
            expected["d_x"] = expected["d_x"].swapaxes(0, 1)
        assert_same(run(layer, x, state, weights, **given), expected)

    check()


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "OwnModule"])
def test_companions_and_their_order_do_not_matter(kind: str, rng: np.random.Generator):
    layer = made(kind, I, H, num_layers=2, bidirectional=True)
    x, state = rng.normal(size=(T, N, I)), random_state(layer, N, rng)
    weights = weights_of(layer, x, state, rng)
    found = run(layer, x, state, weights, lengths=LENGTHS)
    order = [2, 0, 1]
    turned = run(
        layer,
        x[:, order],
        [part[:, order] for part in state],
        [weight[:, order] for weight in weights],
        lengths=np.array(LENGTHS)[order],
    )
    for name, value in found.items():
        own = name.startswith(("output", "final", "d_x", "d_state"))
        assert relative_error(turned[name], value[:, order] if own else value) <= 1e-12, name


@pytest.mark.parametrize("kind", KINDS)
def test_length_zero_gives_zeros_and_the_initial_state(kind: str, rng: np.random.Generator):
    layer = made(kind, I, H, num_layers=2)
    x = rng.normal(size=(T, N, layer.input_size))
    x[:, 1] = np.nan
    output, state = layer(x, lengths=[4, 0, 5])
    assert not output.data[:, 1].any()
    first = 1.0 if "OwnModule" in kind else 0.0
    for part in parts(state):
        assert (part.data[:, 1] == first).all()
        assert not (part.data[:, 0] == first).all()
    given = random_state(layer, N, rng)
    _, state = layer(x, whole(given), lengths=[0, 0, 0])
    for part, start in zip(parts(state), given, strict=True):
        assert np.array_equal(part.data, start)


def test_reverse_starts_at_the_last_real_step():
    layer = tg.nn.RNN(1, 1, nonlinearity="relu", bidirectional=True, bias=False, dtype=np.float64)
    for parameter in layer.parameters():
        parameter.data = np.ones((1, 1))  # h = h + x: cumulative sums
    x = np.array([[1.0, 10.0], [2.0, 20.0], [4.0, np.nan]])[..., None]
    output, h = layer(x, lengths=[3, 2])
    assert output.data[:, :, 0].tolist() == [[1, 10], [3, 30], [7, 0]]
    assert output.data[:, :, 1].tolist() == [[7, 30], [6, 20], [4, 0]]
    assert h.data[:, :, 0].tolist() == [[7, 30], [7, 30]]


def test_holes_hold_the_state_and_put_out_zero():
    layer = tg.nn.RNN(1, 1, nonlinearity="relu", bidirectional=True, bias=False, dtype=np.float64)
    for parameter in layer.parameters():
        parameter.data = np.ones((1, 1))
    x = np.array([np.nan, 1.0, np.inf, 2.0, 4.0, np.nan])[:, None]
    output, h = layer(x, mask=[False, True, False, True, True, False])
    assert output.data.tolist() == [[0, 0], [1, 7], [0, 0], [3, 6], [7, 4], [0, 0]]
    assert h.data.tolist() == [[7], [7]]


def test_an_initial_state_that_is_not_finite_stays_with_its_sequence(rng: np.random.Generator):
    layer = made("GRU", I, H)
    x, h0 = rng.normal(size=(T, N, I)), rng.normal(size=(1, N, H))
    expected, _ = layer(x, h0, lengths=LENGTHS)
    h0[:, 1] = np.nan
    output, _ = layer(x, h0, lengths=LENGTHS)
    assert np.array_equal(output.data[:, [0, 2]], expected.data[:, [0, 2]])
    assert np.isnan(output.data[:, 1]).all()


# What may be given


@pytest.mark.parametrize(
    "lengths",
    [
        LENGTHS,
        tuple(LENGTHS),
        np.array(LENGTHS, np.int8),
        np.array(LENGTHS, np.uint64),
        tg.Tensor(np.array(LENGTHS)),
    ],
    ids=["list", "tuple", "int8", "uint64", "Tensor"],
)
def test_lengths_of_any_kind_are_the_mask(lengths: Any, rng: np.random.Generator):
    layer, x = made("LSTM", I, H, bidirectional=True), rng.normal(size=(T, N, I))
    expected, _ = layer(x, mask=real_of(LENGTHS))
    assert not expected.data[4, 0].any()
    assert np.array_equal(layer(x, lengths=lengths)[0].data, expected.data)


@pytest.mark.parametrize("lengths", [3, [3], np.int32(3), np.array(3), tg.Tensor(np.array([3]))])
def test_one_length_for_one_sequence(lengths: Any, rng: np.random.Generator):
    layer, x = made("LSTM", I, H, bidirectional=True), rng.normal(size=(T, I))
    output, state = layer(x, lengths=lengths)
    expected, final = layer(x[:3])
    assert np.array_equal(output.data, np.concatenate([expected.data, np.zeros((2, 2 * H))]))
    assert np.array_equal(state.c.data, final.c.data)


@pytest.mark.parametrize("as_tensor", [False, True])
def test_mask_of_one_sequence(as_tensor: bool, rng: np.random.Generator):
    layer, x = made("GRU", I, H, batch_first=True), rng.normal(size=(T, I))
    mask: Any = np.array([True, False, True, True, False])
    output, h = layer(x, mask=tg.Tensor(mask) if as_tensor else mask)
    expected, final = layer(x[mask])
    assert np.array_equal(output.data[mask], expected.data)
    assert not output.data[~mask].any()
    assert np.array_equal(h.data, final.data)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["lengths", "mask"])
def test_all_steps_real_is_as_none_given(kind: str, name: str, rng: np.random.Generator):
    layer = made(kind, I, H, num_layers=2)
    x, state = rng.normal(size=(T, N, layer.input_size)), random_state(layer, N, rng)
    weights = weights_of(layer, x, state, rng)
    value: Any = [T] * N if name == "lengths" else np.ones((T, N), bool)
    found, expected = (run(layer, x, state, weights, **g) for g in ({name: value}, {}))
    for key, wanted in expected.items():
        assert np.array_equal(found[key], wanted), key


def test_batch_first_reads_the_mask_as_it_reads_x(rng: np.random.Generator):
    layer, x = made("GRU", I, H), rng.normal(size=(T, N, I))
    mask = rng.permuted(real_of(LENGTHS), axis=0)
    expected, final = layer(x, mask=mask)
    layer.batch_first = True
    output, h = layer(x.swapaxes(0, 1), mask=mask.T)
    assert np.array_equal(output.data, expected.data.swapaxes(0, 1))
    assert np.array_equal(h.data, final.data)


def test_a_mask_for_as_many_steps_as_sequences_is_read_in_the_layers_layout():
    layer = tg.nn.RNN(1, 1, nonlinearity="relu", bias=False, batch_first=True, dtype=np.float64)
    for parameter in layer.parameters():
        parameter.data = np.ones((1, 1))
    x = np.array([[1.0, 2.0], [10.0, 20.0]])[..., None]
    output, _ = layer(x, mask=[[True, True], [False, True]])
    assert output.data[..., 0].tolist() == [[1, 3], [0, 20]]


def test_an_empty_batch_takes_no_lengths(rng: np.random.Generator):
    output, _ = made("LSTM", I, H)(np.zeros((T, 0, I)), lengths=np.zeros(0, int))
    assert output.shape == (T, 0, H)
    assert made("LSTM", I, H)(np.zeros((T, 0, I)), lengths=[])[0].shape == (T, 0, H)


def test_float32_layer_reads_float64_padding_without_a_warning(rng: np.random.Generator):
    layer = tg.nn.LSTM(I, H, rng=0)
    x = rng.normal(size=(T, N, I))
    expected, _ = layer(x, lengths=LENGTHS)
    x[~real_of(LENGTHS)] = np.nan
    output, _ = layer(x, lengths=LENGTHS)
    assert output.dtype == np.float32
    assert np.array_equal(output.data, expected.data)


def test_lengths_under_no_grad_are_as_with_a_graph(rng: np.random.Generator):
    for kind in KINDS:
        layer = made(kind, I, H, num_layers=2)
        x = rng.normal(size=(T, N, layer.input_size))
        x[~real_of(LENGTHS)] = np.nan
        expected, final = layer(x, lengths=LENGTHS)
        with tg.no_grad():
            output, state = layer(x, lengths=LENGTHS)
        for a, b in zip((output, *parts(state)), (expected, *parts(final)), strict=True):
            np.testing.assert_allclose(a.data, b.data, rtol=1e-12, atol=1e-15, err_msg=kind)


# Dropout


@pytest.mark.parametrize("kind", ["RNN-tanh", "LSTM", "GRU"])
def test_dropout_between_layers_leaves_padding_alone(kind: str, rng: np.random.Generator):
    layer = made(kind, I, H, num_layers=2, dropout=0.5).train()
    lower, upper = made(kind, I, H), made(kind, H, H)
    for name, parameter in layer.named_parameters():
        place = lower if name.endswith("_l0") else upper
        getattr(place, name[:-1] + "0").data = parameter.data
    x = rng.normal(size=(T, N, I))
    x[~real_of(LENGTHS)] = np.nan
    g = rng.normal(size=(T, N, H))

    tg.manual_seed(5)
    output, _ = layer(x, lengths=LENGTHS)
    mask = (np.random.default_rng(5).random((T, N, H)) >= 0.5) / 0.5
    expected, _ = upper(lower(x, lengths=LENGTHS)[0] * mask, lengths=LENGTHS)
    assert 0 < (mask == 0).mean() < 1
    assert np.array_equal(output.data, expected.data)
    found = gradients([output], [g], dict(layer.named_parameters()))
    pairs = {"0": lower, "1": upper}
    leaves = {n: getattr(pairs[n[-1]], n[:-1] + "0") for n, _ in layer.named_parameters()}
    assert_same(found, gradients([expected], [g], leaves))


@pytest.mark.parametrize("kind", ["Zoneout", "RecurrentDropout"])
def test_wrappers_in_training_do_not_read_padding(kind: str, rng: np.random.Generator):
    layer = made(kind, I, H, num_layers=2).train()
    x = rng.normal(size=(T, N, I))
    weights = weights_of(layer, x, None, rng)
    found = []
    for padding in (0.0, np.nan):
        x[~real_of(LENGTHS)] = padding
        tg.manual_seed(6)
        found.append(run(layer, x, None, weights, lengths=LENGTHS))
    for name, value in found[0].items():
        assert np.isfinite(value).all(), name
        assert np.array_equal(found[1][name], value), name
    assert not found[0]["output"][~real_of(LENGTHS)].any()


# Sequential


def test_sequential_hands_lengths_to_every_recurrent_layer(rng: np.random.Generator):
    first, second, third = made("LSTM", I, H), made("GRU", 4, H), made("MGU", H, 2)
    middle = tg.nn.Linear(H, 4, dtype=np.float64, rng=0)
    nested = tg.nn.Sequential(tg.nn.Dropout(0.5), second, np.tanh)
    model = tg.nn.Sequential(first, middle, nested, third).eval()
    x = leaf(rng.normal(size=(T, N, I)))
    x.data[~real_of(LENGTHS)] = np.nan

    for given in ({"lengths": LENGTHS}, {"mask": rng.permuted(real_of(LENGTHS), axis=0)}):
        x.data[...] = rng.normal(size=x.shape)
        output = model(x, **given)
        y, _ = first(x, **given)
        y, _ = second(middle(y), **given)
        expected, _ = third(np.tanh(y), **given)
        assert not output.data[~given.get("mask", real_of(LENGTHS))].any()
        assert np.array_equal(output.data, expected.data)
        assert not np.array_equal(output.data, model(x).data)


def test_sequential_keeps_padding_out_of_all_gradients(rng: np.random.Generator):
    model = tg.nn.Sequential(
        made("LSTM", I, H, bidirectional=True),
        tg.nn.Linear(2 * H, 4, dtype=np.float64, rng=0),
        tg.nn.Sequential(made("GRU", 4, H, num_layers=2)),
    )
    x, g = rng.normal(size=(T, N, I)), rng.normal(size=(T, N, H))
    x[~real_of(LENGTHS)] = np.nan
    batch = leaf(x)
    leaves = {"x": batch, **dict(model.named_parameters())}
    found = gradients([model(batch, lengths=LENGTHS)], [g], leaves)
    expected = {name: np.zeros_like(value) for name, value in found.items()}
    for n, length in enumerate(LENGTHS):
        one = leaf(x[:length, n])
        alone = gradients([model(one)], [g[:length, n]], {**leaves, "x": one})
        expected["d_x"][:length, n] = alone.pop("d_x")
        for name, value in alone.items():
            expected[name] += value
    assert_same(found, expected)


@pytest.mark.parametrize("given", [{"lengths": LENGTHS}, {"mask": real_of(LENGTHS)}])
def test_sequential_without_a_recurrent_layer_takes_no_lengths(given: Any):
    model = tg.nn.Sequential(tg.nn.Linear(I, H), np.tanh, tg.nn.Dropout(0.5))
    with pytest.raises(TypeError, match=all_of("no layer takes", next(iter(given)), "Linear")):
        model(np.zeros((T, N, I)), **given)
    with pytest.raises(TypeError, match="no layer takes"):
        tg.nn.Sequential(tg.nn.Sequential(tg.nn.Linear(I, H)))(np.zeros((T, N, I)), **given)


def test_sequential_of_a_module_with_one_layer_hands_its_own_module_the_lengths():
    class Counting(tg.nn.Module):
        def forward(self, x: Any, *, lengths: Any = None) -> Any:
            self.seen = lengths
            return x

    counting = Counting()
    tg.nn.Sequential(tg.nn.Linear(I, H), counting)(np.zeros((T, N, I)), lengths=LENGTHS)
    assert counting.seen is LENGTHS
    with pytest.raises(TypeError, match="no layer takes mask"):
        tg.nn.Sequential(counting)(np.zeros((T, N, I)), mask=real_of(LENGTHS))


# What is refused


HINT = "batch_first="


@pytest.mark.parametrize(
    ("lengths", "error", "words"),
    [
        ([3, 5], ValueError, ["LSTM", "(2,)", "3 sequences"]),
        ([[3, 5, 1]], ValueError, ["(1, 3)", "3 sequences"]),
        (3, ValueError, ["()", "3 sequences"]),
        ([3, -1, 2], ValueError, ["from 0 to the 5 steps", "-1 at [1]"]),
        ([3, 2, 6], ValueError, ["from 0 to the 5 steps", "6 at [2]"]),
        ([3.0, 2.0, 1.0], TypeError, ["integers", "float64"]),
        ([True, False, True], TypeError, ["integers", "bool"]),
        (["a", "b", "c"], TypeError, ["integers"]),
    ],
)
@pytest.mark.parametrize("batch_first", [False, True])
def test_lengths_that_do_not_fit(lengths: Any, error: Any, words: Any, batch_first: bool):
    layer = tg.nn.LSTM(I, H, batch_first=batch_first)
    x = np.zeros((N, T, I) if batch_first else (T, N, I))
    with pytest.raises(error, match=all_of(*words)) as caught:
        layer(x, lengths=lengths)
    assert HINT not in str(caught.value)


@pytest.mark.parametrize("batch_first", [False, True])
def test_as_many_lengths_as_steps_names_the_other_layout(batch_first: bool):
    lengths = [1, 2, 3, 1, 2]
    layer = tg.nn.GRU(I, H, batch_first=batch_first)
    x = np.zeros((N, T, I) if batch_first else (T, N, I))
    with pytest.raises(ValueError, match=f"batch_first={not batch_first}"):
        layer(x, lengths=lengths)


def test_too_large_a_length_fits_no_other_layout():
    for shape in ((3, 4, I), (3, 3, I)):
        lengths = [4, *[1] * (shape[1] - 1)]
        with pytest.raises(ValueError, match=r"got 4 at \[0\]$"):
            tg.nn.GRU(I, H)(np.zeros(shape), lengths=lengths)


@pytest.mark.parametrize("lengths", [[3, 2], np.zeros((0,), int), [[3]]])
def test_lengths_of_a_single_sequence_that_do_not_fit(lengths: Any):
    with pytest.raises(ValueError, match="a single sequence"):
        tg.nn.RNN(I, H)(np.zeros((T, I)), lengths=lengths)
    with pytest.raises(ValueError, match="from 0 to the 5 steps"):
        tg.nn.RNN(I, H)(np.zeros((T, I)), lengths=6)


@pytest.mark.parametrize(
    ("mask", "error", "words", "hint"),
    [
        (np.ones((T, N)), TypeError, ["boolean", "float64", "astype(bool)"], False),
        (np.ones((T, N), int), TypeError, ["boolean", "int64"], False),
        (np.ones((T, N, 1), bool), ValueError, ["(5, 3, 1)", "expected (5, 3)"], False),
        (np.ones(T, bool), ValueError, ["(5,)", "expected (5, 3)"], False),
        (np.ones((T, 1), bool), ValueError, ["(5, 1)", "expected (5, 3)"], False),
        (np.ones((N, T), bool), ValueError, ["(3, 5)", "expected (5, 3)"], True),
    ],
)
def test_masks_that_do_not_fit(mask: Any, error: Any, words: Any, hint: bool):
    with pytest.raises(error, match=all_of("LSTM", *words)) as caught:
        tg.nn.LSTM(I, H)(np.zeros((T, N, I)), mask=mask)
    assert (f"{HINT}True" in str(caught.value)) == hint
    if error is ValueError and mask.ndim == 2 and hint:
        with pytest.raises(ValueError, match=all_of("expected (3, 5)", f"{HINT}False")):
            tg.nn.LSTM(I, H, batch_first=True)(np.zeros((N, T, I)), mask=mask.T)


def test_mask_of_a_single_sequence_that_does_not_fit():
    with pytest.raises(ValueError, match=all_of("(4,)", "expected (5,)")):
        tg.nn.LSTM(I, H)(np.zeros((T, I)), mask=np.ones(4, bool))


def test_lengths_and_mask_together_are_refused():
    x = np.zeros((T, N, I))
    with pytest.raises(ValueError, match="lengths or mask, not both"):
        tg.nn.LSTM(I, H)(x, lengths=LENGTHS, mask=real_of(LENGTHS))
    with pytest.raises(ValueError, match="lengths or mask, not both"):
        tg.nn.Sequential(tg.nn.LSTM(I, H))(x, lengths=LENGTHS, mask=real_of(LENGTHS))
    with pytest.raises(ValueError, match="lengths or mask, not both"):
        tg.rnn.scan(lambda x, h: x, x, np.zeros((N, I)), lengths=LENGTHS, mask=real_of(LENGTHS))


@pytest.mark.parametrize("given", [{"lengths": LENGTHS}, {"mask": real_of(LENGTHS)}])
def test_a_packed_sequence_takes_no_other_lengths(given: Any):
    packed = tg.nn.utils.rnn.pack_padded_sequence(np.zeros((T, N, I)), [5, 3, 1])
    with pytest.raises(ValueError, match="PackedSequence knows its lengths"):
        tg.nn.GRU(I, H)(packed, **given)


# scan of functions


def step_of_ranks(W: Any, U: Any) -> Any:
    """A step with states of three ranks: (N,), (N, H) and (N, H, K)."""

    def step(x: Any, state: Any) -> Any:
        n, h, M = state
        h = np.tanh(x @ W + np.matmul(M, U)[..., 0] * h)
        return 0.9 * n + (h * h).sum(-1), h, 0.5 * M + h[..., None] * x[..., None, :]

    return step


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("holes", [False, True])
def test_scan_with_states_of_different_ranks_is_each_sequence_alone(
    reverse: bool, holes: bool, rng: np.random.Generator
):
    lengths = [3, 0, 5]
    real = rng.permuted(real_of(lengths), axis=0) if holes else real_of(lengths)
    W, U = leaf(rng.normal(size=(I, H))), leaf(rng.normal(size=(I, 1)))
    xs = rng.normal(size=(T, N, I))
    xs[~real] = np.nan
    xs, start = leaf(xs), [leaf(rng.normal(size=(N, *s))) for s in ((), (H,), (H, I))]
    step = step_of_ranks(W, U)
    given: Any = {"mask": real} if holes else {"lengths": lengths}
    ys, state = tg.rnn.scan(step, xs, tuple(start), reverse=reverse, **given)
    shapes = [(T, N), (N,), (N, H), (N, H, I)]
    assert [r.shape for r in (ys, *state)] == shapes
    weights = [rng.normal(size=shape) for shape in shapes]
    leaves = {"W": W, "U": U, "xs": xs, **{f"s{i}": s for i, s in enumerate(start)}}
    found = gradients([ys, *state], weights, leaves)

    losses = []
    for n in range(N):
        steps = np.flatnonzero(real[:, n])
        alone: Any = tuple(s[n] for s in start)
        for t in steps[::-1] if reverse else steps:
            alone = step(xs[t, n], alone)
            assert relative_error(ys.data[t, n], alone[0].data) <= 1e-12
            losses.append(alone[0] * weights[0][t, n])
        for part, one, weight in zip(state, alone, weights[1:], strict=True):
            assert relative_error(part.data[n], one.data) <= 1e-12
            losses.append((one * weight[n]).sum())
    assert not ys.data[~real].any()
    assert_same(found, gradients(losses, [1.0] * len(losses), leaves))


def test_a_function_that_is_infinite_at_zero_has_finite_gradients(rng: np.random.Generator):
    w, xs = leaf([1.5]), rng.uniform(1, 2, size=(T, N, 1))
    xs[~real_of(LENGTHS)] = np.nan
    g = rng.normal(size=xs.shape)
    expected = 0.0
    ys, _ = tg.rnn.scan(lambda x, h: h + np.log(w * x), xs, np.zeros((N, 1)), lengths=LENGTHS)
    (found,) = tg.grad((ys * g).sum(), w)
    for n, length in enumerate(LENGTHS):  # dh_t/dw = (t + 1) / w
        expected += (g[:length, n, 0] * np.arange(1, length + 1)).sum() / 1.5
    assert relative_error(found.data, [expected]) <= 1e-12


def test_scan_of_arrays_with_lengths_stays_numpy():
    ys, last = tg.rnn.scan(lambda x, h: h + x, np.ones((3, 2)), np.zeros(2), lengths=[1, 3])
    assert type(ys) is type(last) is np.ndarray
    assert ys.tolist() == [[1, 1], [0, 2], [0, 3]]
    assert last.tolist() == [1, 3]


def test_scan_without_a_batch_takes_a_number_or_a_mask_of_one_axis(rng: np.random.Generator):
    xs = rng.normal(size=(T, I))
    ys, last = tg.rnn.scan(lambda x, h: h + x, xs, np.zeros(I), lengths=3)
    np.testing.assert_allclose(ys, np.concatenate([np.cumsum(xs[:3], 0), np.zeros((2, I))]))
    np.testing.assert_allclose(last, xs[:3].sum(0))
    mask = np.array([False, True, True, False, True])
    ys, last = tg.rnn.scan(lambda x, h: h + x, xs, np.zeros(I), mask=mask)
    np.testing.assert_allclose(ys[mask], np.cumsum(xs[mask], 0))
    np.testing.assert_allclose(last, xs[mask].sum(0))
    assert tg.rnn.scan(lambda x, h: h + x, np.ones(4), 0.0, lengths=3)[1] == 3


def test_scan_of_a_cell_with_its_own_output(rng: np.random.Generator):
    layer = made("OwnModule", I, H)
    cell, x = layer._cells[0], rng.normal(size=(T, N, I))
    ys, state = tg.rnn.scan(cell, x, lengths=LENGTHS)
    output, final = layer(x, lengths=LENGTHS)
    assert np.array_equal(ys.data, output.data)
    assert all(np.array_equal(a.data, b.data[0]) for a, b in zip(state, final, strict=True))


@pytest.mark.parametrize(
    ("state", "step"),
    [
        ((np.zeros((N, I)), np.zeros(())), lambda x, s: (s[0] + x, s[1] + 1)),
        ((np.zeros((N, I)), np.zeros(7)), lambda x, s: (s[0] + x, s[1] + 1)),
        ((np.zeros((N, I)), np.zeros((1, N))), lambda x, s: (s[0] + x, s[1] + 1)),
    ],
    ids=["0-d", "another axis", "batch second"],
)
def test_a_state_without_the_batch_axis_is_refused(state: Any, step: Any):
    with pytest.raises(ValueError, match=all_of("lengths or a mask", "(3,)", "every part")):
        tg.rnn.scan(step, np.ones((T, N, I)), state, lengths=LENGTHS)


def test_an_output_without_the_batch_axis_is_refused():
    class Summing:
        def __call__(self, x: Any, h: Any) -> Any:
            return h + x

        def output(self, x: Any, h: Any) -> Any:
            return h.sum()

    with pytest.raises(ValueError, match="output begins with the axes"):
        tg.rnn.scan(Summing(), np.ones((T, N, I)), np.zeros((N, I)), lengths=LENGTHS)


def test_scan_names_itself_when_lengths_do_not_fit():
    xs, h = np.ones((T, N, I)), np.zeros((N, I))
    for lengths in ([1, 2], [1, 2, 6], [-1, 2, 3]):
        with pytest.raises(ValueError, match="scan: "):
            tg.rnn.scan(lambda x, h: h + x, xs, h, lengths=lengths)
    with pytest.raises(TypeError, match="scan: lengths must be integers"):
        tg.rnn.scan(lambda x, h: h + x, xs, h, lengths=[1.0, 2.0, 3.0])
    with pytest.raises(TypeError, match="scan: a mask is boolean"):
        tg.rnn.scan(lambda x, h: h + x, xs, h, mask=np.ones((T, N)))
