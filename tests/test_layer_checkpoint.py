"""checkpoint_every changes nothing but the memory; the same seed gives the same numbers."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from golden.make_golden import relative_error
from recurrent_kinds import KINDS, leaf, made, parts, random_state, run, whole

import tinygrad_rnn as tg

T, N, I, H = 7, 3, 2, 3  # noqa: E741
EVERY = [1, 3, T - 1, T, T + 4]
LENGTHS = [4, 7, 0]


def shapes_of(layer: Any, batch: int = N, steps: int = T) -> list[tuple[int, ...]]:
    """Of the output and the parts of the final state."""
    output, state = layer(np.zeros((steps, batch, layer.input_size)))
    return [r.shape for r in (output, *parts(state))]


def assert_as_without(layer: Any, x: Any, state: Any, weights: Any, every: int, **given: Any):
    """Results to the bit, gradients but for rounding, are those without checkpoints."""
    found = []
    for checkpoint_every in (None, every):
        layer.checkpoint_every = checkpoint_every
        tg.manual_seed(9)
        found.append(run(layer, x, state, weights, **given))
    expected, got = found
    for name, value in expected.items():
        if name.startswith("d_"):
            assert relative_error(got[name], value) <= 1e-12, name
        else:
            assert np.array_equal(got[name], value), name
    assert any(abs(value).max() > 1e-3 for name, value in expected.items() if name[:2] == "d_")


def problem(kind: str, rng: np.random.Generator, **options: Any) -> tuple[Any, Any, Any, Any]:
    """A layer, an input, an initial state and weights of the results."""
    layer = made(kind, I, H, **options)
    x, state = rng.normal(size=(T, N, layer.input_size)), random_state(layer, N, rng)
    return layer, x, state, [rng.normal(size=shape) for shape in shapes_of(layer)]


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("kind", KINDS)
def test_checkpoints_change_nothing(kind: str, every: int, rng: np.random.Generator):
    layer, x, state, weights = problem(kind, rng)
    assert_as_without(layer, x, state, weights, every)
    assert_as_without(layer, x, None, weights, every)


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("kind", ["RNN-relu", "LSTM", "GRU", "OwnModule"])
def test_in_both_directions_of_several_layers(kind: str, every: int, rng: np.random.Generator):
    layer, x, state, weights = problem(kind, rng, num_layers=2, bidirectional=True)
    assert_as_without(layer, x, state, weights, every)


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "OwnModule"])
def test_with_lengths_and_masks(kind: str, holes: bool, every: int, rng: np.random.Generator):
    layer, x, state, weights = problem(kind, rng, num_layers=2, bidirectional=True)
    real = np.arange(T)[:, None] < np.array(LENGTHS)
    real = rng.permuted(real, axis=0) if holes else real
    x[~real] = np.nan
    given: Any = {"mask": real} if holes else {"lengths": LENGTHS}
    assert_as_without(layer, x, state, weights, every, **given)


@pytest.mark.parametrize("every", EVERY)
def test_with_a_packed_input(every: int, rng: np.random.Generator):
    layer, x, _, _ = problem("LSTM", rng, bidirectional=True)
    packed = tg.nn.utils.rnn.pack_padded_sequence(x, [4, 7, 2], enforce_sorted=False)
    g = rng.normal(size=(13, 2 * H))
    found = []
    for checkpoint_every in (None, every):
        layer.checkpoint_every = checkpoint_every
        data = leaf(packed.data)
        output, state = layer(packed._replace(data=data))
        loss = (output.data * g).sum() + (state.c**2).sum()
        found.append([output.data, *tg.grad(loss, [data, *layer.parameters()])])
    assert np.array_equal(found[0][0].data, found[1][0].data)
    for expected, got in zip(*found, strict=True):
        assert relative_error(got.data, expected.data) <= 1e-12


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("kind", ["Zoneout", "RecurrentDropout", "Zoneout-OwnModule", "LSTM"])
def test_random_masks_are_the_same_in_the_recomputation(
    kind: str, every: int, rng: np.random.Generator
):
    options: Any = {"dropout": 0.4} if kind in ("LSTM", "Zoneout") else {}
    layer, x, state, weights = problem(kind, rng, num_layers=2, bidirectional=True, **options)
    layer.train()
    assert_as_without(layer, x, state, weights, every)
    assert_as_without(layer, x, state, weights, every, lengths=LENGTHS)


@pytest.mark.parametrize("wrapper", [tg.rnn.Zoneout, tg.rnn.RecurrentDropout])
def test_masks_from_a_generator_of_their_own_are_the_same(wrapper: Any, rng: np.random.Generator):
    x, found = rng.normal(size=(T, N, I)), []
    for every in (None, 1, 3):
        layer = tg.nn.LSTM(
            I,
            H,
            wrap=lambda cell: wrapper(cell, 0.4, rng=8),
            checkpoint_every=every,
            dtype=np.float64,
            rng=1,
        )
        output, _ = layer(x)
        again, _ = layer(x)
        loss = (output**2).sum() + 3 * (again**2).sum()
        found.append([output, again, *tg.grad(loss, list(layer.parameters()))])
        after, _ = layer(x)  # the recomputation must not have drawn further numbers
        found[-1].append(after)
        assert not np.array_equal(output.data, again.data)
        assert not np.array_equal(after.data, again.data)
    for other in found[1:]:
        for expected, got in zip(found[0], other, strict=True):
            assert relative_error(got.data, expected.data) <= 1e-12


@pytest.mark.parametrize("every", [1, 3, T])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "LSTM-proj", "OwnModule"])
def test_results_that_the_loss_does_not_use(kind: str, every: int, rng: np.random.Generator):
    layer, x, state, weights = problem(kind, rng, num_layers=2, bidirectional=True)
    for k in range(len(weights)):
        used = [weight if i == k else None for i, weight in enumerate(weights)]
        assert_as_without(layer, x, state, used, every)
    one_step = np.zeros_like(weights[0])
    one_step[T // 2] = weights[0][T // 2]
    assert_as_without(layer, x, state, [one_step, *[None] * len(state)], every)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("every", EVERY)
def test_scan_of_a_function(every: int, reverse: bool, rng: np.random.Generator):
    W = leaf(rng.normal(size=(H, H)) * 0.5)
    xs, h0 = leaf(rng.normal(size=(T, N, H))), leaf(rng.normal(size=(N, H)))
    g, last_g = rng.normal(size=(T, N, H)), rng.normal(size=(N, H))
    found = []
    for checkpoint_every in (None, every):
        ys, last = tg.rnn.scan(
            lambda x, h: np.tanh(h @ W + x), xs, h0, reverse, checkpoint_every=checkpoint_every
        )
        loss = (ys * g).sum() + (last * last_g).sum()
        found.append([ys, last, *tg.grad(loss, [W, xs, h0])])
    for expected, got in zip(*found, strict=True):
        assert relative_error(got.data, expected.data) <= 1e-12
    assert np.array_equal(found[0][0].data, found[1][0].data)


@pytest.mark.parametrize("every", [1, 3, T])
@pytest.mark.parametrize("kind", ["LSTM", "GRU-reset-first", "LayerNorm"])
def test_second_derivatives_are_those_without(kind: str, every: int, rng: np.random.Generator):
    layer, x, state, weights = problem(kind, rng, num_layers=2)
    found = []
    for checkpoint_every in (None, every):
        layer.checkpoint_every = checkpoint_every
        leaves = [leaf(x), *map(leaf, state), *layer.parameters()]
        output, final = layer(leaves[0], whole(leaves[1 : 1 + len(state)]), lengths=LENGTHS)
        results = (output, *parts(final))
        loss = sum((r * r * w).sum() for r, w in zip(results, weights, strict=True))
        first = tg.grad(loss, leaves, create_graph=True)
        penalty = sum((g * g).sum() for g in first)
        found.append([*first, *tg.grad(penalty, leaves)])
    for expected, got in zip(*found, strict=True):
        assert relative_error(got.data, expected.data) <= 1e-10


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_without_a_graph_there_is_nothing_to_recompute(kind: str, rng: np.random.Generator):
    layer, x, state, _ = problem(kind, rng, num_layers=2)
    expected, _ = layer(x, whole(state))
    layer.checkpoint_every = 3
    with tg.no_grad():
        output, _ = layer(x, whole(state))
    assert not output.requires_grad
    assert np.array_equal(output.data, expected.data)


def test_training_with_checkpoints_takes_the_same_course(rng: np.random.Generator):
    x, y = rng.normal(size=(T, N, I)), rng.normal(size=(T, N, H))
    courses = []
    for every in (None, 3):
        layer = made("GRU", I, H, checkpoint_every=every)
        optimiser, losses = tg.optim.Adam(layer.parameters(), lr=0.05), []
        for _ in range(15):
            loss = tg.nn.functional.mse_loss(layer(x)[0], y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        courses.append(losses)
    assert courses[0][-1] < 0.9 * courses[0][0]
    np.testing.assert_allclose(*courses, rtol=1e-9)


def test_a_parameter_changed_before_the_backward_pass_is_noticed(rng: np.random.Generator):
    layer = made("GRU", I, H, checkpoint_every=3)
    output, _ = layer(rng.normal(size=(T, N, I)))
    layer.weight_hh_l0.data = layer.weight_hh_l0.data * 2
    with pytest.raises(RuntimeError, match="weight_hh_l0"):
        output.sum().backward()


def peak(kind: str, steps: int, every: int | None) -> int:
    """The most memory in use during a forward and a backward pass, in bytes."""
    layer, x = made(kind, I, 16, checkpoint_every=every), np.zeros((steps, 8, I))
    leaves = list(layer.parameters())
    tracemalloc.start()
    try:
        output, _ = layer(x)
        tg.grad((output**2).sum(), leaves)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_is_a_third_at_most():
    peak("LSTM", 20, 5)
    plain, less = peak("LSTM", 600, None), peak("LSTM", 600, 24)
    assert plain > 600 * 8 * 16 * 8 * 4  # at least four arrays for each step
    assert less < plain / 3


@pytest.mark.parametrize("every", [0, -1])
def test_checkpoint_every_is_positive(every: int):
    with pytest.raises(ValueError, match="checkpoint_every must be greater than zero"):
        tg.nn.LSTM(I, H, checkpoint_every=every)
    with pytest.raises(ValueError, match="checkpoint_every"):
        tg.rnn.scan(lambda x, h: h + x, np.ones((5, 2)), np.zeros(2), checkpoint_every=every)


@pytest.mark.parametrize("every", [2.0, "3", True])
def test_checkpoint_every_is_an_integer(every: Any):
    with pytest.raises(TypeError, match="checkpoint_every should be of type int"):
        tg.nn.LSTM(I, H, checkpoint_every=every)


# The same seed, the same numbers


def dropping(rng: Any) -> Any:
    return tg.nn.LSTM(I, H, num_layers=2, dropout=0.5, rng=rng)


def zoning(rng: Any) -> Any:
    wrap = lambda cell: tg.rnn.Zoneout(cell, 0.3, rng=rng)  # noqa: E731
    return tg.nn.GRU(I, H, num_layers=2, wrap=wrap, rng=rng)


def recurrently_dropping(rng: Any) -> Any:
    wrap = lambda cell: tg.rnn.RecurrentDropout(cell, 0.3, rng=rng)  # noqa: E731
    return tg.nn.RNN(I, H, wrap=wrap, rng=rng)


def orthogonal(rng: Any) -> Any:
    return tg.nn.LSTM(I, H, recurrent_init="orthogonal", forget_bias=1.0, rng=rng)


def projecting(rng: Any) -> Any:
    return tg.nn.LSTM(I, H, proj_size=2, bidirectional=True, rng=rng)


def of_cells(cell_class: Any) -> Any:
    def make(rng: Any) -> Any:
        return tg.rnn.Recurrent(cell_class, I, H, num_layers=2, dropout=0.5, rng=rng)

    make.__name__ = cell_class.__name__
    return make


RANDOM = [
    dropping,
    zoning,
    recurrently_dropping,
    orthogonal,
    projecting,
    of_cells(tg.rnn.PeepholeLSTMCell),
    of_cells(tg.rnn.LayerNormLSTMCell),
    of_cells(tg.rnn.CoupledLSTMCell),
    of_cells(tg.rnn.MGUCell),
    of_cells(tg.rnn.IndRNNCell),
]


def numbers(make: Any, rng: Any, every: int | None = None) -> list[np.ndarray]:
    """Parameters, two outputs while training, a step and gradients."""
    layer = make(rng)
    layer.checkpoint_every = every
    x = np.random.default_rng(2).normal(size=(T, N, I))
    first, _ = layer(x)
    second, _ = layer(x)
    loss = (first**2).sum() + (second**2).sum()
    slopes = [g.data for g in tg.grad(loss, list(layer.parameters()))]
    found = [*layer.state_dict().values(), first.data, second.data, *slopes]
    return found if layer.bidirectional else [*found, layer.step(x[0])[0].data]


def seeded(make: Any, seed: int, every: int | None = None) -> list[np.ndarray]:
    tg.manual_seed(seed)
    return numbers(make, None, every)


@pytest.mark.parametrize("make", RANDOM, ids=lambda make: make.__name__)
def test_same_seed_same_numbers(make: Any):
    runs = [
        (seeded(make, 1), seeded(make, 1), seeded(make, 2)),
        (numbers(make, 1), numbers(make, 1), numbers(make, 2)),
        (seeded(make, 1, every=3), seeded(make, 1, every=3), seeded(make, 2, every=3)),
    ]
    generators = [np.random.default_rng(seed) for seed in (1, 1, 2)]
    runs.append(tuple(numbers(make, generator) for generator in generators))
    for first, again, other in runs:
        for a, b in zip(first, again, strict=True):
            assert np.array_equal(a, b)
        assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("make", RANDOM, ids=lambda make: make.__name__)
def test_a_generator_of_its_own_leaves_the_default_one_alone(make: Any):
    expected = tg.manual_seed(3).random()
    generator = tg.manual_seed(3)
    numbers(make, 1)
    numbers(make, np.random.default_rng(1), every=3)
    assert generator.random() == expected
