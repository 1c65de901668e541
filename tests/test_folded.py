"""The folded scan: always the numbers of the steps one by one, whatever the cell does."""

from __future__ import annotations

import gc
import itertools
import random as python_random
import threading
import tracemalloc
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recurrent_kinds import KINDS, leaf, made, parts, random_state, whole

import tinygrad_rnn as tg
from tinygrad_rnn.core.graph import Node, Output
from tinygrad_rnn.nn import functional as F
from tinygrad_rnn.rnn.program import finding, run
from tinygrad_rnn.rnn.program.workspace import workspace

# Cells that can't be folded are run here on purpose; test_own_cells is about the warning.
pytestmark = pytest.mark.filterwarnings("ignore::tinygrad_rnn.errors.NotFoldedWarning")

T, N, I, H = 7, 3, 2, 5  # noqa: E741
FOLDED = list(KINDS)


# Comparing


def node_of(tensor: Any) -> Any:
    return getattr(tensor._node, "node", tensor._node)


def operations(*tensors: Any) -> list[str]:
    """The operations of the graph that made some Tensors."""
    seen: dict[Node, None] = {}
    waiting = [node_of(t) for t in tensors]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Node) and node not in seen:
            seen[node] = None
            waiting += [a.node if isinstance(a, Output) else a for a in node.arguments]
    return [node.operation.name for node in seen]


def is_folded(tensor: Any) -> bool:
    return node_of(tensor).operation.name == "scan"


def assert_same(found: Any, wanted: Any, tolerance: float = 1e-12, what: Any = ""):
    """Equal in relation to the largest element."""
    assert (found is None) == (wanted is None), f"{what}: {found} for {wanted}"
    if wanted is None:
        return
    found, wanted = (t.data if isinstance(t, tg.Tensor) else t for t in (found, wanted))
    assert found.shape == wanted.shape, what
    assert found.dtype == wanted.dtype, what
    assert np.isfinite(wanted).all(), what
    error = np.abs(found - wanted).max(initial=0)
    assert error <= tolerance * (np.abs(wanted).max(initial=0) or 1), f"{what}: {error:.2g}"


def flat(found: Any) -> list[Any]:
    """Output and the parts of the state."""
    output, state = found
    return [output, *parts(state)]


def loss_of(results: Sequence[Any], used: Sequence[int] | None = None) -> Any:
    rng = np.random.default_rng(8)
    weights = [rng.normal(size=r.shape) for r in results]
    wanted = range(len(results)) if used is None else used
    return sum((results[k] * weights[k]).sum() for k in wanted)


def assert_like_steps(
    call: Callable[[], Any],
    leaves: Sequence[Any],
    used: Sequence[int] | None = None,
    tolerance: float = 1e-12,
) -> list[Any]:
    """`call()` gives, folded and step by step, the same results and gradients.

    Args:
        call: returns ``(output, state)``.
        leaves: what is differentiated for; those that require no gradient are left out.
        used: which results the loss uses; None for all.

    Returns:
        The results of the folded run.
    """
    moving = [x for x in leaves if x.requires_grad]

    def everything() -> tuple[list[Any], Sequence[Any]]:
        tg.manual_seed(3)
        results = flat(call())
        if not moving:
            return results, []
        return results, tg.grad(loss_of(results, used), moving, allow_unused=True)

    results, found = everything()
    with tg.rnn.unrolled():
        expected, wanted = everything()
        assert "scan" not in operations(*(r for r in expected if r._node is not None))
    for k, (a, b) in enumerate(zip(results, expected, strict=True)):
        assert_same(a, b, tolerance, f"result {k}")
        assert a.requires_grad == b.requires_grad
    for k, (a, b) in enumerate(zip(found, wanted, strict=True)):
        assert_same(a, b, tolerance, f"gradient {k} {moving[k].name}")
    return results


def assert_layer(
    layer: Any, shape: Sequence[int], state: Sequence[Any] | None = None, **given: Any
) -> list[Any]:
    """As `assert_like_steps`, for a layer, a random input and all its parameters."""
    x = leaf(np.random.default_rng(9).normal(size=shape))
    start = [] if state is None else [leaf(part) for part in state]

    def call() -> Any:
        return layer(x, whole(start) if start else None, **given)

    return assert_like_steps(call, [x, *start, *layer.parameters()])


# Every cell, every option


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [1, 2, 3, T])
def test_every_kind(kind: str, steps: int, rng: np.random.Generator):
    layer = made(kind, I, H)
    state = random_state(layer, N, rng)
    output, *_ = assert_layer(layer, (steps, N, layer.input_size), state)
    assert is_folded(output) == (kind in FOLDED and steps > 2)


@pytest.mark.parametrize("kind", KINDS)
def test_two_layers_in_both_directions(kind: str):
    layer = made(kind, I, H, num_layers=2, bidirectional=True)
    results = assert_layer(layer, (T, N, layer.input_size))
    runs = layer.num_layers * layer.directions
    assert operations(*results).count("scan") == (runs if kind in FOLDED else 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", [(3, 1, 1, 1), (3, 1, 2, 3), (T, 2, 1, 2), (3, 3, 3, 1)])
def test_sizes_of_one(kind: str, sizes: tuple[int, ...]):
    steps, batch, features, hidden = sizes
    if kind.endswith("proj") and hidden < 3:
        pytest.skip("proj_size is smaller than H")
    layer = made(kind, features, hidden, bidirectional=True)
    assert_layer(layer, (steps, batch, layer.input_size))


@pytest.mark.parametrize("kind", [k for k in FOLDED if "OwnModule" not in k])
def test_no_bias(kind: str):
    results = assert_layer(layer := made(kind, I, H, bias=False), (T, N, layer.input_size))
    assert is_folded(results[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reverse", [False, True])
def test_lengths_and_holes(kind: str, reverse: bool, rng: np.random.Generator):
    layer = made(kind, I, H, bidirectional=reverse)
    state = random_state(layer, N, rng)
    mask = rng.random((T, N)) < 0.5
    mask[:, 0] = False
    for real, marked in (
        (mask, {"mask": mask}),
        (np.arange(T)[:, None] < [3, 0, T], {"lengths": [3, 0, T]}),
        (np.ones((T, N), bool), {"lengths": [T] * N}),
        (np.zeros((T, N), bool), {"mask": np.zeros((T, N), bool)}),
    ):
        x = rng.normal(size=(T, N, layer.input_size))
        x[~real] = np.nan
        x, start = leaf(x), [leaf(part) for part in state]
        call = partial(layer, x, whole(start), **marked)
        output, *_ = assert_like_steps(call, [x, *start, *layer.parameters()])
        assert not np.any(output.data[~real])
        assert ("scan" in operations(output)) == (kind in FOLDED)


@pytest.mark.parametrize("kind", ["RNN-tanh", "LSTM", "GRU", "LayerNorm"])
def test_layouts(kind: str, rng: np.random.Generator):
    layer = made(kind, I, H, batch_first=True, num_layers=2)
    assert_layer(layer, (N, T, I), random_state(layer, N, rng), lengths=[2, T, 5])
    results = assert_layer(layer, (T, I), [s[:, 0] for s in random_state(layer, 1, rng)])
    assert operations(*results).count("scan") == 2
    assert_layer(layer, (T, I), mask=rng.random(T) < 0.5)


@pytest.mark.parametrize("kind", ["RNN-relu", "LSTM-proj", "GRU", "GRU-reset-first", "MGU"])
@pytest.mark.parametrize("every", [1, 3, T])
def test_checkpoints(kind: str, every: int, rng: np.random.Generator):
    layer = made(kind, I, H, checkpoint_every=every, bidirectional=True)
    assert_layer(layer, (T, N, I), random_state(layer, N, rng), lengths=[3, 0, T])


@pytest.mark.parametrize("kind", ["Zoneout", "RecurrentDropout", "Residual"])
def test_wrappers_while_training(kind: str):
    layer = made(kind, I, H, num_layers=2).train()
    assert_layer(layer, (T, N, layer.input_size), lengths=[T, 2, 5])


def test_dropout_between_layers():
    layer = made("LSTM", I, H, num_layers=3, dropout=0.4, bidirectional=True).train()
    results = assert_layer(layer, (T, N, I))
    assert operations(*results).count("scan") == 6


@pytest.mark.parametrize("kind", ["RNN-tanh", "LSTM", "GRU", "Peephole"])
def test_float32(kind: str):
    layer = made(kind, I, H, num_layers=2).float()
    x = tg.Tensor(
        np.random.default_rng(1).normal(size=(T, N, I)), dtype=np.float32, requires_grad=True
    )
    output, *_ = assert_like_steps(partial(layer, x), [x, *layer.parameters()], None, 1e-5)
    assert output.dtype == np.float32
    assert is_folded(output)


def test_a_float64_cotangent_of_a_float32_layer():
    layer = made("GRU", I, H).float()
    x = tg.Tensor(np.ones((T, N, I)), dtype=np.float32, requires_grad=True)
    seed = np.random.default_rng(2).normal(size=(T, N, H))
    assert seed.dtype == np.float64

    def found() -> Any:
        output, _ = layer(x)
        return tg.grad((output * seed).sum(), [x, *layer.parameters()])

    mine = found()
    with tg.rnn.unrolled():
        for a, b in zip(mine, found(), strict=True):
            assert_same(a, b, 1e-5)


@pytest.mark.parametrize("kind", ["RNN-tanh", "LSTM", "GRU", "GRU-reset-first", "IndRNN-tanh"])
def test_every_subset_of_what_wants_a_gradient(kind: str, rng: np.random.Generator):
    layer = made(kind, 2, 3)
    x, start = leaf(rng.normal(size=(3, 2, 2))), [leaf(s) for s in random_state(layer, 2, rng)]
    leaves = [x, *start, *layer.parameters()]
    for wanted in itertools.product([False, True], repeat=len(leaves)):
        for each, want in zip(leaves, wanted, strict=True):
            each.requires_grad = want
        results = assert_like_steps(lambda: layer(x, whole(start)), leaves)
        assert results[0].requires_grad == any(wanted)
        assert not any(wanted) or is_folded(results[0])


@pytest.mark.parametrize("kind", ["LSTM", "LSTM-proj", "Peephole", "LayerNorm", "Coupled", "GRU"])
def test_results_that_the_loss_leaves_out(kind: str, rng: np.random.Generator):
    layer = made(kind, I, H)
    x, start = leaf(rng.normal(size=(T, N, I))), [leaf(s) for s in random_state(layer, N, rng)]
    leaves = [x, *start, *layer.parameters()]
    for used in ([0], [1], [len(start)], [0, len(start)]):
        assert_like_steps(lambda: layer(x, whole(start)), leaves, used)


def test_what_the_loss_does_not_reach_has_no_gradient(rng: np.random.Generator):
    """A parameter with .grad None is skipped by an optimiser; one with zeros is not."""

    class Reading(tg.nn.Module):
        def __init__(self) -> None:
            self.W = tg.nn.Parameter(rng.normal(size=(H, I)))
            self.V = tg.nn.Parameter(rng.normal(size=(H, H)))

        def forward(self, x: Any, h: Any) -> Any:
            return np.tanh(F.linear(x, self.W) + h)

        def output(self, x: Any, h: Any) -> Any:
            return F.linear(h, self.V)

    cell, xs = Reading(), rng.normal(size=(T, N, I))
    assert_like_steps(lambda: tg.rnn.scan(cell, xs, np.zeros((N, H))), list(cell.parameters()), [1])


def test_truncated(rng: np.random.Generator):
    layer, x = made("LSTM", I, H), rng.normal(size=(11, N, I))

    def run() -> list[Any]:
        found = []
        for window in tg.rnn.tbptt(layer, x, k1=4, k2=7):
            loss = loss_of([window.output])
            found += [window.output.data, *tg.grad(loss, list(layer.parameters()))]
        return found

    mine = run()
    with tg.rnn.unrolled():
        for a, b in zip(mine, run(), strict=True):
            assert_same(a, b)


@pytest.mark.parametrize("kind", FOLDED)
def test_without_a_graph(kind: str):
    layer = made(kind, I, H)
    x = leaf(np.random.default_rng(3).normal(size=(T, N, layer.input_size)))
    with tg.no_grad():
        results = flat(layer(x))
    with tg.rnn.unrolled():
        expected = flat(layer(x))
    for a, b in zip(results, expected, strict=True):
        assert a._node is None
        assert not a.requires_grad
        assert_same(a, b)


# Backward, more than once


def test_two_forward_passes_before_one_backward(rng: np.random.Generator):
    layer = made("LSTM", I, H)
    a, b = leaf(rng.normal(size=(T, N, I))), leaf(rng.normal(size=(T, N, I)))

    def call() -> Any:
        first, state = layer(a)
        second, _ = layer(b, state)
        third, state = layer(a)
        return first * second + third, state

    assert_like_steps(call, [a, b, *layer.parameters()])


def test_backward_twice_with_and_without_a_retained_graph(rng: np.random.Generator):
    layer, x = made("GRU", I, H), leaf(rng.normal(size=(T, N, I)))
    output, _ = layer(x)
    assert is_folded(output)
    loss = loss_of([output])
    leaves = [x, *layer.parameters()]
    first = tg.grad(loss, leaves, retain_graph=True)
    for a, b in zip(tg.grad(loss, leaves), first, strict=True):
        assert np.array_equal(a.data, b.data)
    with pytest.raises(tg.errors.GraphError, match="second time"):
        tg.grad(loss, leaves)


def test_gradients_are_not_shared_with_what_is_kept(rng: np.random.Generator):
    layer, x = made("LSTM", I, H), leaf(rng.normal(size=(T, N, I)))
    loss = loss_of(flat(layer(x)))
    leaves = [x, *layer.parameters()]
    first = tg.grad(loss, leaves, retain_graph=True)
    before = [g.data.copy() for g in first]
    for g in first:
        g.data[...] = np.nan
    for a, b in zip(tg.grad(loss, leaves), before, strict=True):
        assert np.array_equal(a.data, b)


def test_results_do_not_share_memory_with_what_is_kept(rng: np.random.Generator):
    layer, x = made("LSTM", I, H), leaf(rng.normal(size=(T, N, I)))
    results = flat(layer(x))
    loss = loss_of(results)
    leaves = [x, *layer.parameters()]
    wanted = tg.grad(loss, leaves, retain_graph=True)
    for result in results:
        result.numpy()[...] = np.nan
    for a, b in zip(tg.grad(loss, leaves), wanted, strict=True):
        assert_same(a, b)


@pytest.mark.parametrize("how", ["optimiser", "in place", "input", "state"])
def test_what_was_changed_in_between_is_noticed(how: str, rng: np.random.Generator):
    layer = made("LSTM", I, H)
    x, state = leaf(rng.normal(size=(T, N, I))), [leaf(s) for s in random_state(layer, N, rng)]
    loss = loss_of(flat(layer(x, whole(state))))
    if how == "optimiser":
        for parameter in layer.parameters():
            parameter.grad = np.ones(parameter.shape)
        tg.optim.SGD(layer.parameters(), lr=0.1).step()
    else:
        changed = {"in place": layer.weight_hh_l0, "input": x, "state": state[1]}[how]
        with tg.no_grad():
            changed *= 2
    with pytest.raises(tg.errors.GraphError):
        loss.backward()


# Cells of a user's own


def own_lstm(x: Any, state: Any, *, W: Any, U: Any, b: Any, cut: Any) -> Any:
    h, c = state
    i, f, g, o = cut(x @ W + h @ U + b)
    c = tg.sigmoid(f) * c + tg.sigmoid(i) * np.tanh(g)
    return tg.sigmoid(o) * np.tanh(c), c


def in_slices(a: Any) -> Any:
    return [a[:, k * H : (k + 1) * H] for k in range(4)]


def in_parts(a: Any) -> Any:
    return np.split(a, 4, axis=-1)


@pytest.mark.parametrize("cut", [in_slices, in_parts])
def test_an_lstm_as_one_writes_it(cut: Any, rng: np.random.Generator):
    x, W, U, b, h, c = (
        leaf(rng.normal(size=s))
        for s in ((T, N, I), (I, 4 * H), (H, 4 * H), (4 * H,), (N, H), (N, H))
    )
    cell = partial(own_lstm, W=W, U=U, b=b, cut=cut)
    for options in ({}, {"reverse": True}, {"lengths": [3, 0, T]}):
        call = partial(tg.rnn.scan, cell, x, (h, c), **options)
        output, *_ = assert_like_steps(call, [x, W, U, b, h, c])
        assert is_folded(output)


@pytest.mark.parametrize("axis", [1, -1])
def test_input_and_state_in_one_matrix(axis: int, rng: np.random.Generator):
    x, W, b, h = (leaf(rng.normal(size=s)) for s in ((T, N, I), (I + H, H), (H,), (N, H)))

    def cell(x: Any, h: Any) -> Any:
        return np.tanh(np.concatenate([x, h], axis=axis) @ W + b)

    assert_like_steps(partial(tg.rnn.scan, cell, x, h), [x, W, b, h])


class Nested(tg.nn.Module):
    """A cell of modules, with an output of its own."""

    def __init__(self) -> None:
        options = {"dtype": np.float64, "rng": 3}
        self.inside = tg.nn.Linear(I, H, **options)
        self.over = tg.nn.Linear(H, H, bias=False, **options)
        self.out = tg.nn.Sequential(tg.nn.Linear(H, 2, **options), tg.nn.Tanh())

    def initial_state(self, batch: tuple[int, ...], dtype: Any) -> Any:
        return np.ones((*batch, H), dtype)

    def forward(self, x: Any, h: Any) -> Any:
        return np.tanh(self.inside(x) + self.over(h))

    def output(self, x: Any, h: Any) -> Any:
        return self.out(h)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_module_of_modules(reverse: bool, rng: np.random.Generator):
    cell, x = Nested(), leaf(rng.normal(size=(T, N, I)))
    call = partial(tg.rnn.scan, cell, x, reverse=reverse, lengths=[2, T, 4])
    output, *_ = assert_like_steps(call, [x, *cell.parameters()])
    assert output.shape == (T, N, 2)


W0, U0 = (np.random.default_rng(k).normal(size=s) * 0.7 for k, s in enumerate([(H, I), (H, H)]))
WEIGHT_IH, WEIGHT_HH = leaf(W0), leaf(U0)


def sums(x: Any, h: Any) -> Any:
    return F.linear(x, WEIGHT_IH) + F.linear(h, WEIGHT_HH)


def base(x: Any, h: Any) -> Any:
    return np.tanh(sums(x, h))


def inner_gradient(x: Any, h: Any) -> Any:
    return tg.grad((base(x, h) ** 2).sum(), h, create_graph=True)[0]


def in_place(x: Any, h: Any) -> Any:
    h = base(x, h)
    h += 1
    h *= 0.5
    return h


def checkpointed(x: Any, h: Any) -> Any:
    return tg.checkpoint(base)(x, h)


def without_gradient(x: Any, h: Any) -> Any:
    with tg.no_grad():
        m = np.exp(-h)
    return base(x, h) * m


STEPS: dict[str, Callable[[Any, Any], Any]] = {
    "if": lambda x, h: base(x, h) if h.sum() > 0 else 0.5 * base(x, h),
    "float": lambda x, h: base(x, h) * float(h.mean()),
    "item": lambda x, h: base(x, h) + h.mean().item(),
    "numpy": lambda x, h: base(x, h) + h.numpy(),
    "data": lambda x, h: base(x, h) + np.asarray(h.data),
    "detach": lambda x, h: base(x, h) + h.detach(),
    "detach-x": lambda x, h: base(x.detach(), h),
    "argmax": lambda x, h: base(x, h) + np.eye(H)[np.argmax(h, axis=-1)],
    "argmax-of-a-parameter": lambda x, h: base(x, h) + WEIGHT_HH[np.argmax(h, axis=-1)],
    "isfinite": lambda x, h: base(x, h) if np.isfinite(h).all() else h,
    "array_equal": lambda x, h: base(x, h) if np.array_equal(h, 0 * h) else 2 * base(x, h),
    "allclose": lambda x, h: base(x, h) if np.allclose(h, 0 * h) else 2 * base(x, h),
    "allclose, true": lambda x, h: base(x, h) if np.allclose(h, h + 0) else 2 * base(x, h),
    "allclose-x": lambda x, h: base(x, h) if np.allclose(x, x + 1) else 2 * base(x, h),
    "isclose": lambda x, h: base(x, h) * np.isclose(h, 0.1, atol=0.3),
    "any": lambda x, h: base(x, h) if np.any(h > 0.9) else 2 * base(x, h),
    "count": lambda x, h: base(x, h) * np.count_nonzero(h.numpy() > 0),
    "max": lambda x, h: base(x, h) if max(h[0]) > 0.5 else 2 * base(x, h),
    "wants-gradient": lambda x, h: base(x, h) if x.requires_grad else 2 * base(x, h),
    "is_leaf": lambda x, h: base(x, h) if getattr(h, "is_leaf", 0) else 2 * base(x, h),
    "repr": lambda x, h: base(x, h) * len(repr(h)),
    "where": lambda x, h: np.where(h > 0, base(x, h), sums(x, h)),
    "compared": lambda x, h: base(x, h) * (h > 0),
    "no_grad": without_gradient,
    "inner gradient": inner_gradient,
    "checkpoint": checkpointed,
    "in place": in_place,
    "len": lambda x, h: base(x, h) * len(h),
    "elements": lambda x, h: np.stack(list(base(x, h))),
    "cumsum": lambda x, h: np.cumsum(base(x, h), axis=-1) * 0.1,
    "sort": lambda x, h: np.sort(base(x, h), axis=-1),
    "less its maximum": lambda x, h: base(x, h) - h.max(axis=-1, keepdims=True),
    "softmax": lambda x, h: tg.softmax(sums(x, h)),
    "over the batch": lambda x, h: base(x, h) - base(x, h).mean(axis=0),
    "over everything": lambda x, h: base(x, h) + h.sum(),
    "mean of features": lambda x, h: base(x, h) - h.mean(axis=-1, keepdims=True),
    "power": lambda x, h: (h**2 + 1e-3) ** 0.5 + base(x, h),
    "abs": lambda x, h: abs(h) * 0.5 + sums(x, h),
    "clip": lambda x, h: np.clip(sums(x, h), -1, 1),
    "maximum": lambda x, h: np.maximum(F.linear(x, WEIGHT_IH), h),
    "quotient": lambda x, h: F.linear(x, WEIGHT_IH) / (1 + abs(h)),
    "logistic": lambda x, h: 1 / (1 + np.exp(-sums(x, h))),
    "einsum": lambda x, h: np.tanh(np.einsum("ni,hi->nh", x, WEIGHT_IH) + h @ WEIGHT_HH),
    "columns": lambda x, h: np.concatenate([base(x, h)[:, :2], h[:, 2:]], axis=1),
    "backwards": lambda x, h: base(x, h)[:, ::-1],
    "roll": lambda x, h: np.roll(base(x, h), 1, axis=1),
    "picked": lambda x, h: base(x, h)[:, [4, 3, 2, 1, 0]],
    "transposed": lambda x, h: np.tanh(WEIGHT_HH @ h.T + WEIGHT_IH @ x.T).T,
    "one column": lambda x, h: base(x, h) * x[:, :1],
    "the state": lambda x, h: h,
    "the state twice": lambda x, h: base(x, h + h) + h,
    "input alone": lambda x, h: np.tanh(F.linear(x, WEIGHT_IH)),
    "state alone": lambda x, h: np.tanh(F.linear(h, WEIGHT_HH) + 1),
    "weights of weights": lambda x, h: np.tanh(
        F.linear(x, WEIGHT_IH * 2) + F.linear(h, np.tanh(WEIGHT_HH))
    ),
    "tied": lambda x, h: np.tanh(F.linear(F.linear(h, WEIGHT_HH), WEIGHT_HH) + x[:, :1]),
    "tied both ways": lambda x, h: np.tanh(F.linear(h, WEIGHT_HH) + h @ WEIGHT_HH + x[:, :1]),
    "huge": lambda x, h: np.tanh(F.linear(x, WEIGHT_IH) * 1e300 + h),
}


@pytest.mark.parametrize("name", STEPS)
def test_whatever_a_step_does(name: str, rng: np.random.Generator):
    leaves = [x, h, *_] = [
        leaf(rng.normal(size=(T, N, I))),
        leaf(rng.normal(size=(N, H))),
        WEIGHT_IH,
        WEIGHT_HH,
    ]
    assert_like_steps(partial(tg.rnn.scan, STEPS[name], x, h), leaves)
    assert_like_steps(
        partial(tg.rnn.scan, STEPS[name], x, h, reverse=True, lengths=[2, 0, T]), leaves
    )


@pytest.mark.parametrize("name", ["wants-gradient", "is_leaf"])
def test_a_step_that_asks_what_wants_a_gradient(name: str, rng: np.random.Generator):
    x, h = tg.Tensor(rng.normal(size=(T, N, I))), tg.Tensor(rng.normal(size=(N, H)))
    assert_like_steps(partial(tg.rnn.scan, STEPS[name], x, h), [WEIGHT_IH, WEIGHT_HH])


def test_a_product_with_a_weight_folds(rng: np.random.Generator):
    x, W, U, h = (leaf(rng.normal(size=s)) for s in ((T, N, I), (I, H), (H, H), (N, H)))
    output, _ = tg.rnn.scan(lambda x, h: np.tanh(x @ W + h @ U), x, h)
    assert is_folded(output)


# States of several parts, and what programs reuse


def twice_the_same(x: Any, s: Any) -> Any:
    h = np.tanh(F.linear(s[0], WEIGHT_HH) + F.linear(x, WEIGHT_IH) + s[1])
    return h, h


PAIRS: dict[str, Callable[[Any, Any], Any]] = {
    "swapped": lambda x, s: (s[1], base(x, s[0])),
    "changed and swapped": lambda x, s: (np.tanh(s[1]), base(x, s[0])),
    "the state before": lambda x, s: (base(x, s[0]) + 0.1 * s[1], s[0]),
    "kept": lambda x, s: (base(x, s[0]) + s[1], s[1]),
    "kept, unused": lambda x, s: (base(x, s[0]), s[1]),
    "the same twice": twice_the_same,
    "from the input": lambda x, s: (base(x, s[0]) + s[1], F.linear(x, WEIGHT_IH)),
    "parts of one array": lambda x, s: tuple(
        np.split(np.tanh(np.concatenate([s[0], s[1]], axis=-1)), 2, axis=-1)
    ),
    "unused": lambda x, s: (base(x, s[0]), np.tanh(s[1])),
    "added up": lambda x, s: (np.tanh(s[1] + s[0]), s[1] + base(x, s[0])),
    "fading": lambda x, s: (base(x, s[0]) * s[1], 0.5 * s[1]),
    "maximum": lambda x, s: (base(x, np.maximum(s[0], s[1])), np.maximum(s[0], -s[1])),
    "where": lambda x, s: (np.where(s[0] > s[1], base(x, s[1]), s[0]), np.where(s[0] > 0, s[1], 0)),
}


@pytest.mark.parametrize("options", [{}, {"reverse": True, "lengths": [2, 0, T]}])
@pytest.mark.parametrize("name", PAIRS)
def test_states_of_two_parts(name: str, options: Any, rng: np.random.Generator):
    x, h, c = (leaf(rng.normal(size=s)) for s in ((T, N, I), (N, H), (N, H)))
    call = partial(tg.rnn.scan, PAIRS[name], x, (h, c), **options)
    assert_like_steps(call, [x, h, c, WEIGHT_IH, WEIGHT_HH])
    with tg.no_grad():
        assert_like_steps(call, [])


@pytest.mark.parametrize("frozen", ["x", "h", "x and h", "weights"])
@pytest.mark.parametrize("name", ["maximum", "where", "quotient", "power", "abs", "minimum"])
def test_a_step_with_something_frozen(name: str, frozen: str, rng: np.random.Generator):
    x, h = leaf(rng.normal(size=(T, N, H))), leaf(rng.normal(size=(N, H)))
    W = leaf(U0)
    x.requires_grad, h.requires_grad = "x" not in frozen, "h" not in frozen.split()
    W.requires_grad = frozen != "weights"
    cell: Callable[[Any, Any], Any] = {
        "maximum": lambda x, h: np.maximum(x, np.tanh(F.linear(h, W))),
        "where": lambda x, h: np.where(x > h, np.tanh(F.linear(h, W)), x),
        "quotient": lambda x, h: F.linear(h, W) / (1 + abs(x)),
        "power": lambda x, h: (x**2 + 1e-3) ** 0.5 + np.tanh(F.linear(h, W)),
        "abs": lambda x, h: abs(x - 0.3 * F.linear(h, W)),
        "minimum": lambda x, h: np.minimum(np.exp(-abs(x)), F.linear(h, W)),
    }[name]
    assert_like_steps(partial(tg.rnn.scan, cell, x, h), [x, h, W])


@pytest.mark.parametrize("name", STEPS)
def test_whatever_a_step_does_without_a_graph(name: str, rng: np.random.Generator):
    if name == "inner gradient":
        pytest.skip("it needs a graph")
    x, h = leaf(rng.normal(size=(T, N, I))), leaf(rng.normal(size=(N, H)))
    with tg.no_grad():
        assert_like_steps(partial(tg.rnn.scan, STEPS[name], x, h), [])


def test_a_choice_between_what_is_made_in_the_step(rng: np.random.Generator):
    """`where` reads both of its arrays before it writes the result over one of them."""
    x, h = leaf(rng.normal(size=(T, N, H))), leaf(rng.normal(size=(N, H)))

    def cell(x: Any, h: Any) -> Any:
        a = x + h
        return np.tanh(np.where(x > a, a, np.tanh(a))) + 0.3 * h

    assert is_folded(assert_like_steps(partial(tg.rnn.scan, cell, x, h), [x, h])[0])


def test_parts_that_want_no_gradient(rng: np.random.Generator):
    """A part of the state on which nothing that wants a gradient has an influence."""
    x, h, c = (tg.Tensor(rng.normal(size=s)) for s in ((T, N, H), (N, H), (N, H)))

    def cell(x: Any, s: Any) -> Any:
        return np.tanh(x + s[0]), np.tanh(F.linear(s[1], WEIGHT_HH) + s[0])

    assert_like_steps(partial(tg.rnn.scan, cell, x, (h, c)), [WEIGHT_HH], [2])


@pytest.mark.parametrize(
    "name",
    [
        "x",
        "np",
        "zip",
        "range",
        "T",
        "N",
        "h",
        "h0",
        "h_all",
        "x_all",
        "h_last",
        "y",
        "gx",
        "g_h",
        "g_h_last",
        "saved",
        "held",
        "real",
        "empty",
        "gy",
        "gy_all",
        "last",
        "bool",
        "g_w",
        "w",
        "a",
        "a_all",
        "x_flat",
        "lambda",
        "é",
        "1a",
        "a-b",
        "forward",
        "g_h_next",
        "None",
        "g_h_held",
        "_",
        "h2",
    ],
)
def test_any_name_for_a_quantity(name: str, rng: np.random.Generator):
    x, h, W, V = (leaf(rng.normal(size=s)) for s in ((T, N, H), (N, H), (H, H), (H, H)))

    def cell(x: Any, h: Any) -> Any:
        p, q = np.tanh(F.linear(h, W) + F.linear(x, V)), tg.sigmoid(h * x)
        if W.name is None:
            p, q = p.named(name), q.named(name)
        return p * q + 0.2 * h

    for W.name, options in itertools.product([None, name], [{}, {"lengths": [3, 0, T]}]):
        V.name = W.name
        output, *_ = assert_like_steps(partial(tg.rnn.scan, cell, x, h, **options), [x, h, W, V])
        assert is_folded(output)


# Steps with effects, and steps that differ


def seeded(call: Callable[[], Any]) -> Any:
    tg.manual_seed(1)
    np.random.seed(1)
    python_random.seed(1)
    return call()


def closure_counter() -> tuple[Any, Any]:
    calls = [0]

    def cell(x: Any, h: Any) -> Any:
        calls[0] += 1
        return base(x, h)

    return cell, lambda: calls


def closure_divided() -> tuple[Any, Any]:
    calls = [0]

    def cell(x: Any, h: Any) -> Any:
        calls[0] += 1
        return base(x, h) / calls[0]

    return cell, lambda: calls


def nonlocal_switch() -> tuple[Any, Any]:
    t = 0

    def cell(x: Any, h: Any) -> Any:
        nonlocal t
        t += 1
        return base(x, h) * 2 if t > 3 else base(x, h)

    return cell, lambda: t


_calls = 0


def global_switch() -> tuple[Any, Any]:
    global _calls
    _calls = 0

    def cell(x: Any, h: Any) -> Any:
        global _calls
        _calls += 1
        return base(x, h) * 2 if _calls > 3 else base(x, h)

    return cell, lambda: _calls


def closure_history() -> tuple[Any, Any]:
    history: list[Any] = []

    def cell(x: Any, h: Any) -> Any:
        history.append(base(x, h))
        return history[-1]

    return cell, lambda: [(type(h), h.data.tobytes()) for h in history]


class Holder:
    """A cell that isn't a module, with things that change."""

    def __init__(self) -> None:
        self.t = 0
        self.counts = {"t": 0}
        self.array = np.zeros(1)
        self.last: Any = None
        self.history: list[Any] = []
        self.nested: list[Any] = [[0]]

    def counted(self, x: Any, h: Any) -> Any:
        self.t += 1
        return base(x, h) * 2 if self.t > 3 else base(x, h)

    def counted_in_a_dict(self, x: Any, h: Any) -> Any:
        self.counts["t"] += 1
        return base(x, h) * 2 if self.counts["t"] > 3 else base(x, h)

    def counted_in_an_array(self, x: Any, h: Any) -> Any:
        self.array += 1
        return base(x, h) * 2 if self.array[0] > 3 else base(x, h)

    def counted_in_a_nest(self, x: Any, h: Any) -> Any:
        self.nested[0][0] += 1
        return base(x, h) * 2 if self.nested[0][0] > 3 else base(x, h)

    def keeping(self, x: Any, h: Any) -> Any:
        self.last = base(x, h)
        self.history.append(self.last)
        return self.last

    def remembering(self, x: Any, h: Any) -> Any:
        h = base(x, h) if self.last is None else base(x, h) + 0.1 * self.last
        self.last = h
        return h

    def look(self) -> Any:
        kept = [*self.history, *([] if self.last is None else [self.last])]
        seen = [(type(h), h.data.tobytes()) for h in kept]
        return self.t, self.counts, self.array.tolist(), self.nested, seen


METHODS = [name for name in vars(Holder) if name[0] != "_" and name != "look"]


def method(name: str) -> tuple[Any, Any]:
    holder = Holder()
    return getattr(holder, name), holder.look


def on_itself(name: str) -> tuple[Any, Any]:
    class Cell(Holder):
        def __call__(self, x: Any, h: Any) -> Any:
            return getattr(self, name)(x, h)

    cell = Cell()
    return cell, cell.look


def on_a_module(name: str) -> tuple[Any, Any]:
    class Cell(Holder, tg.nn.Module):
        def forward(self, x: Any, h: Any) -> Any:
            return getattr(self, name)(x, h)

    cell = Cell()
    return cell, cell.look


def inside_another(name: str) -> tuple[Any, Any]:
    class Cell:
        def __init__(self) -> None:
            self.holder = Holder()

        def __call__(self, x: Any, h: Any) -> Any:
            return getattr(self.holder, name)(x, h)

    cell = Cell()
    return cell, cell.holder.look


def iterated() -> tuple[Any, Any]:
    factors = iter([1.0, 1.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
    return lambda x, h: base(x, h) * next(factors), lambda: list(factors)


def default_argument() -> tuple[Any, Any]:
    def cell(x: Any, h: Any, seen: list[int] = []) -> Any:  # noqa: B006
        seen.append(0)
        return base(x, h) * 2 if len(seen) > 3 else base(x, h)

    return cell, lambda: cell.__defaults__


def in_a_partial() -> tuple[Any, Any]:
    holder = Holder()
    return partial(Holder.counted, holder), holder.look


def numpys_mask() -> tuple[Any, Any]:
    def cell(x: Any, h: Any) -> Any:
        return base(x, h) * (np.random.rand(N, H) < 0.5)

    return cell, lambda: np.random.rand()


def numpys_coin() -> tuple[Any, Any]:
    def cell(x: Any, h: Any) -> Any:
        return base(x, h) * (2 if np.random.rand() < 0.7 else 1)

    return cell, lambda: np.random.rand()


def pythons_coin() -> tuple[Any, Any]:
    def cell(x: Any, h: Any) -> Any:
        return base(x, h) * (2 if python_random.random() < 0.7 else 1)

    return cell, python_random.random


def own_generator() -> tuple[Any, Any]:
    rng = np.random.default_rng(5)
    return lambda x, h: base(x, h) * rng.random(h.shape), rng.random


def own_generator_on_a_module() -> tuple[Any, Any]:
    class Cell(tg.nn.Module):
        def __init__(self) -> None:
            self.rng = np.random.default_rng(5)

        def forward(self, x: Any, h: Any) -> Any:
            return base(x, h) * (2 if self.rng.random() < 0.7 else 1)

    cell = Cell()
    return cell, cell.rng.random


def the_librarys_generator() -> tuple[Any, Any]:
    return lambda x, h: F.dropout(base(x, h), 0.5), lambda: F.dropout(np.ones(9), 0.5).tolist()


EFFECTS: dict[str, Callable[[], tuple[Any, Any]]] = {
    made.__name__: made
    for made in (
        closure_counter,
        closure_divided,
        closure_history,
        nonlocal_switch,
        global_switch,
        iterated,
        default_argument,
        in_a_partial,
        numpys_mask,
        numpys_coin,
        pythons_coin,
        own_generator,
        own_generator_on_a_module,
        the_librarys_generator,
    )
} | {
    f"{place.__name__}-{name}": partial(place, name)
    for place in (method, on_itself, on_a_module, inside_another)
    for name in METHODS
}


@pytest.mark.parametrize("name", EFFECTS)
def test_steps_with_effects(name: str, rng: np.random.Generator):
    """Each step happens once, and leaves what it leaves without folding."""
    x, h = leaf(rng.normal(size=(T, N, I))), leaf(rng.normal(size=(N, H)))

    def run() -> tuple[Any, Any]:
        cell, look = EFFECTS[name]()
        output, _ = tg.rnn.scan(cell, x, h)
        found = tg.grad(loss_of([output]), [x, h, WEIGHT_IH, WEIGHT_HH])
        return [output, *found], look()

    mine, left = seeded(run)
    with tg.rnn.unrolled():
        expected, wanted = seeded(run)
    assert left == wanted
    for a, b in zip(mine, expected, strict=True):
        assert_same(a, b)


@pytest.mark.parametrize("failing", [1, 2, 3, T])
def test_a_cell_that_raises_leaves_everything_usable(failing: int, rng: np.random.Generator):
    x, h = leaf(rng.normal(size=(T, N, I))), leaf(rng.normal(size=(N, H)))

    class Failing(tg.nn.Module):
        def __init__(self) -> None:
            self.calls = 0

        def forward(self, x: Any, h: Any) -> Any:
            self.calls += 1
            if self.calls == failing:
                raise KeyError("the cell's own")
            return base(x, h)

    cell = Failing()
    with pytest.raises(KeyError, match="the cell's own"):
        tg.rnn.scan(cell, x, h)
    assert cell.calls == failing
    output, *_ = assert_like_steps(partial(tg.rnn.scan, base, x, h), [x, h, WEIGHT_HH])
    assert is_folded(output)
    y = x * 2
    assert type(y) is tg.Tensor
    assert y.numpy().shape == x.shape


# Never stale

FACTOR = 1.0


class Changing(tg.nn.Module):
    """A cell that reads things that are changed between calls."""

    def __init__(self) -> None:
        self.W = tg.nn.Parameter(W0)
        self.U = tg.nn.Parameter(U0)
        self.number = 0.5
        self.numbers = [0.5, 2.0]
        self.table = {"a": 0.5}
        self.array = np.linspace(0, 1, H)
        self.drop = tg.nn.Dropout(0.5)
        self.name = "tanh"

    def forward(self, x: Any, h: Any) -> Any:
        a = F.linear(x, self.W) + F.linear(h, self.U) * self.array + self.number
        a = a * self.numbers[1] * FACTOR + self.table["a"]
        return self.drop(getattr(np, self.name)(a))


def _set_global(cell: Any) -> None:
    global FACTOR
    FACTOR = 3.0


CHANGES: dict[str, Callable[[Any], Any]] = {
    "float": lambda cell: setattr(cell, "number", -1.5),
    "int": lambda cell: setattr(cell, "number", 1),
    "bool": lambda cell: setattr(cell, "number", True),
    "negative zero": lambda cell: setattr(cell, "number", -0.0),
    "NumPy scalar": lambda cell: setattr(cell, "number", np.float64(0.25)),
    "array for a float": lambda cell: setattr(cell, "number", np.full(H, 0.3)),
    "list": lambda cell: cell.numbers.__setitem__(1, 0.3),
    "dict": lambda cell: cell.table.update(a=-0.7),
    "array in place": lambda cell: cell.array.__imul__(-2),
    "array": lambda cell: setattr(cell, "array", np.ones(H)),
    "array of a column": lambda cell: setattr(cell, "array", np.arange(N)[:, None] * 0.2),
    "mode": lambda cell: cell.train(),
    "function": lambda cell: setattr(cell, "name", "sin"),
    "parameter": lambda cell: setattr(cell, "W", tg.nn.Parameter(2 * W0)),
    "parameter in place": lambda cell: setattr(cell.U, "data", -U0),
    "frozen": lambda cell: setattr(cell.U, "requires_grad", False),
    "global": _set_global,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_between_calls_is_seen(change: str, rng: np.random.Generator):
    global FACTOR
    FACTOR = 1.0
    cell, x, h = Changing().eval(), leaf(rng.normal(size=(T, N, I))), leaf(rng.normal(size=(N, H)))
    call = partial(tg.rnn.scan, cell, x, h)
    before, *_ = assert_like_steps(call, [x, h, *cell.parameters()])
    assert is_folded(before)
    before = before.numpy().copy()
    CHANGES[change](cell)
    after, *_ = assert_like_steps(call, [x, h, *cell.parameters()])
    assert change == "frozen" or not np.allclose(before, after.data)
    FACTOR = 1.0


def test_another_dtype_between_calls(rng: np.random.Generator):
    layer = made("LSTM", I, H)
    for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 1e-5), (np.float64, 1e-12)):
        layer.to(dtype)
        x = tg.Tensor(rng.normal(size=(T, N, I)), dtype=dtype, requires_grad=True)
        output, *_ = assert_like_steps(partial(layer, x), [x, *layer.parameters()], None, tolerance)
        assert output.dtype == dtype
        assert is_folded(output)


@pytest.mark.parametrize("change", [c for c in CHANGES if c not in ("array in place", "frozen")])
def test_a_change_before_a_second_derivative(change: str, rng: np.random.Generator):
    """What a graph stands for was settled when it was made; or the library says that it can't."""
    global FACTOR
    FACTOR = 1.0
    cell, x, h = Changing().eval(), leaf(rng.normal(size=(T, N, I))), leaf(rng.normal(size=(N, H)))
    W, U = cell.W, cell.U

    def derivatives() -> Any:
        loss = loss_of(flat(tg.rnn.scan(cell, x, h)))
        yield
        firsts = tg.grad(loss, [x, h, W, U], create_graph=True)
        yield [*firsts, *tg.grad(loss_of(firsts), [x, h, W, U])]

    mine = derivatives()
    next(mine)
    with tg.rnn.unrolled():
        *_, wanted = derivatives()
    CHANGES[change](cell)
    try:
        found = next(mine)
    except tg.errors.GraphError:
        return
    finally:
        FACTOR = 1.0
    for a, b in zip(found, wanted, strict=True):
        assert_same(a, b, 1e-11)


def test_a_mode_before_a_second_derivative(rng: np.random.Generator):
    layer, x = made("Zoneout", I, H), leaf(rng.normal(size=(T, N, I)))

    def first(train: bool) -> Any:
        loss = loss_of(flat(layer.eval()(x)))
        layer.train(train)
        return tg.grad(loss, x, create_graph=True)[0]

    found = first(True)
    with tg.rnn.unrolled():
        assert_same(found, first(False))


# Higher derivatives


@pytest.mark.parametrize("kind", FOLDED)
def test_second_and_third_derivatives(kind: str):
    layer = made(kind, 2, 3)
    rng = np.random.default_rng(6)
    x = leaf(rng.normal(size=(3, 2, layer.input_size)))
    start = [leaf(s) for s in random_state(layer, 2, rng)]
    leaves = [x, *start, *layer.parameters()]

    def derivatives() -> list[Any]:
        results = flat(layer(x, whole(start)))
        found, everything = [loss_of(results)], []
        for order in range(3):
            g = tg.grad(found[-1], leaves, create_graph=order < 2, allow_unused=True)
            everything += g
            found.append(loss_of([(1 + each) ** 2 for each in g if each is not None]))
        return everything

    mine = derivatives()
    with tg.rnn.unrolled():
        for a, b in zip(mine, derivatives(), strict=True):
            assert_same(a, b, 1e-11)


@pytest.mark.parametrize("kind", ["RNN-tanh", "LSTM", "GRU", "Peephole", "LayerNorm"])
@pytest.mark.parametrize("reverse", [False, True])
def test_numeric_second_derivatives(kind: str, reverse: bool):
    layer = made(kind, 2, 2, bidirectional=reverse)

    class Masked(tg.nn.Module):
        def __init__(self) -> None:
            self.layer = layer

        def forward(self, x: Any) -> Any:
            return self.layer(x, lengths=[3, 0, 1])

    x = leaf(np.random.default_rng(2).normal(size=(3, 3, 2)))
    assert "scan" in operations(Masked()(x)[0])
    assert tg.gradgradcheck(Masked(), x, fast_mode=True)


def test_a_second_derivative_with_some_results_unused(rng: np.random.Generator):
    layer, x = made("LSTM", I, H), leaf(rng.normal(size=(T, N, I)))

    def found() -> Any:
        _, (_, c) = layer(x)
        (g,) = tg.grad(loss_of([c]), x, create_graph=True)
        return tg.grad((g**3).sum(), [x, *layer.parameters()], allow_unused=True)

    mine = found()
    with tg.rnn.unrolled():
        for a, b in zip(mine, found(), strict=True):
            assert_same(a, b)


# Threads


def test_threads_that_train_different_layers(rng: np.random.Generator):
    x = rng.normal(size=(T, N, I))
    start = threading.Barrier(4)

    def trained(seed: int, found: dict[int, Any], together: bool) -> None:
        layer = tg.nn.LSTM(I, H, dtype=np.float64, rng=seed)
        optimiser = tg.optim.SGD(layer.parameters(), lr=0.1)
        if together:
            start.wait()
        for step in range(8):
            optimiser.zero_grad()
            output, _ = layer(x[: T - step % 3])
            assert is_folded(output)
            (output**2).sum().backward()
            optimiser.step()
        found[seed] = [p.data.copy() for p in layer.parameters()]

    together: dict[int, Any] = {}
    alone: dict[int, Any] = {}
    finding._programs.clear()
    threads = [threading.Thread(target=trained, args=(k, together, True)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k in range(4):
        trained(k, alone, False)
        assert len(together[k]) == len(alone[k])
        assert all(map(np.array_equal, together[k], alone[k]))
    assert not np.array_equal(alone[0][0], alone[1][0])


def test_unrolled_is_local_to_a_thread(rng: np.random.Generator):
    layer, x, found = made("GRU", I, H), rng.normal(size=(T, N, I)), []
    with tg.rnn.unrolled():
        thread = threading.Thread(target=lambda: found.append(is_folded(layer(x)[0])))
        thread.start()
        thread.join()
        assert not is_folded(layer(x)[0])
    assert found == [True]
    assert is_folded(layer(x)[0])


# Any size


@settings(max_examples=40)
@given(
    kind=st.sampled_from(FOLDED),
    sizes=st.tuples(*[st.integers(1, 5)] * 4),
    layers=st.integers(1, 2),
    both=st.booleans(),
    data=st.data(),
)
def test_any_size(kind: str, sizes: Any, layers: int, both: bool, data: Any):
    steps, batch, features, hidden = sizes
    hidden += 2 if kind.endswith("proj") else 0
    layer = made(kind, features, hidden, num_layers=layers, bidirectional=both)
    lengths = data.draw(st.none() | st.lists(st.integers(0, steps), min_size=batch, max_size=batch))
    assert_layer(layer, (steps, batch, layer.input_size), lengths=lengths)


# Pictures and memory


@pytest.mark.parametrize("kind", ["RNN-tanh", "LSTM", "GRU", "Peephole", "LayerNorm", "OwnCell"])
@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "num_layers": 2}])
def test_the_picture_is_that_of_the_steps(kind: str, options: Any, rng: np.random.Generator):
    layer, x = made(kind, I, H, **options), leaf(rng.normal(size=(3, N, I))).named("x")

    def pictures() -> list[str]:
        output, _ = layer(x, lengths=[3, 1, 2])
        loss = loss_of([output])
        found = [tg.graph(output).to_dot(), tg.graph(loss).to_dot()]
        loss.backward()
        return [*found, tg.graph(output).to_dot(), tg.graph(loss).to_dot()]

    mine = pictures()
    with tg.rnn.unrolled():
        assert mine == pictures()
    assert "t=2" in mine[0]


def test_the_picture_of_a_cell_of_ones_own(rng: np.random.Generator):
    x, h = leaf(rng.normal(size=(3, N, I))), leaf(rng.normal(size=(N, H)))

    def cell(x: Any, h: Any) -> Any:
        with tg.scope("inside"):
            a = sums(x, h).named("a")
        return np.tanh(a * np.linspace(1, 2, H)).named("h")

    def picture() -> str:
        return tg.graph(tg.rnn.scan(cell, x, h)[0]).to_dot()

    mine = picture()
    assert is_folded(tg.rnn.scan(cell, x, h)[0])
    with tg.rnn.unrolled():
        assert mine == picture()


def kept_arrays(tensor: Any) -> list[Any]:
    (_, stretches), *_ = node_of(tensor).saved
    return [weakref.ref(a) for kept in stretches for a in kept]


@pytest.mark.parametrize("how", ["backward", "forgotten"])
def test_what_was_kept_is_released(how: str, rng: np.random.Generator):
    layer = made("LSTM", I, H)
    output = layer(leaf(rng.normal(size=(T, N, I))))[0]
    references = kept_arrays(output)
    assert references
    workspace._arrays.clear()
    assert all(r() is not None for r in references)
    gc.disable()
    try:
        if how == "backward":
            output.sum().backward()
        else:
            del output
        workspace._arrays.clear()  # it keeps them for the next call
        assert all(r() is None for r in references)
    finally:
        gc.enable()


def test_memory_does_not_grow_with_the_number_of_calls(rng: np.random.Generator):
    layer, x = made("LSTM", I, H), rng.normal(size=(200, N, I))

    def steps(count: int) -> None:
        for _ in range(count):
            layer(x)[0].sum().backward()

    steps(3)
    gc.collect()
    tracemalloc.start()
    try:
        steps(1)
        before = tracemalloc.get_traced_memory()[0]
        steps(20)
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert after - before < 200 * N * H * 8  # one array of all steps


def test_programs_keep_no_arrays(rng: np.random.Generator):
    layer = made("GRU", I, 31)
    layer(rng.normal(size=(T, N, I)))[0].sum().backward()
    references = [weakref.ref(p.data) for p in layer.parameters()]
    del layer
    gc.collect()
    assert all(r() is None for r in references)


def test_there_are_only_so_many_programs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(finding, "_MOST_PROGRAMS", 3)
    finding._programs.clear()
    for hidden in (2, 3, 4, 5, 6, 2):
        assert_layer(made("RNN-tanh", I, hidden), (3, N, I))
        assert len(finding._programs) <= 3
    assert len(finding._programs) == 3


def test_a_value_that_changes_from_call_to_call_does_not_fill_the_programs(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
):
    monkeypatch.setattr(finding, "_MOST_PROGRAMS", 3)
    x, h = leaf(rng.normal(size=(T, N, I))), leaf(rng.normal(size=(N, H)))
    for factor in np.linspace(0, 1, 7).tolist():
        cell = partial(lambda x, h, factor: base(x, h) * factor, factor=factor)
        assert_like_steps(partial(tg.rnn.scan, cell, x, h), [x, h, WEIGHT_HH])
    assert len(finding._programs) <= 3


# Long sequences: one node, carried out in several stretches


@pytest.mark.parametrize("kind", ["RNN-tanh", "LSTM", "GRU-reset-first", "LayerNorm"])
@pytest.mark.parametrize("options", [{}, {"lengths": [3, 0, T]}])
def test_several_stretches_are_one(kind: str, options: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run, "_BYTES_AT_ONCE", 1)
    monkeypatch.setattr(run, "_FEWEST_AT_ONCE", 2)
    layer = made(kind, I, H, num_layers=2, bidirectional=True)
    seen: list[int] = []
    stretches = run.Run._stretches

    def noted(self: Any, *arguments: Any) -> Any:
        found = list(stretches(self, *arguments))
        seen.append(len(found))
        return iter(found)

    monkeypatch.setattr(run.Run, "_stretches", noted)
    results = assert_layer(layer, (T, N, I), **options)
    assert operations(*results).count("scan") == 4
    assert set(seen) == {4}  # of 7 steps two at a time


# One product for W x + U h + b


def of_x(x: Any) -> Any:
    return F.linear(x, WEIGHT_IH)


def of_h(h: Any) -> Any:
    return F.linear(h, WEIGHT_HH)


@pytest.mark.parametrize(
    "cell",
    [
        lambda x, h: np.tanh(of_x(x) + of_h(h)),
        lambda x, h: np.tanh((a := of_x(x)) + of_h(h)) * tg.sigmoid(a),
        lambda x, h: np.tanh(of_x(x) + (b := of_h(h))) + 0.1 * b,
        lambda x, h: np.tanh((a := of_x(x)) + (b := of_h(h))) + 0.1 * a * b,
        lambda x, h: np.tanh(s := of_x(x) + of_h(h)) + 0.1 * s,
        lambda x, h: np.tanh(of_x(x) + of_h(h)) * np.tanh(of_x(x) - of_h(h)),
        lambda x, h: np.tanh(of_x(x) + of_h(np.tanh(h))),
        lambda x, h: of_x(x) + of_h(h),
    ],
)
@pytest.mark.parametrize("options", [{}, {"reverse": True}, {"lengths": [3, 0, T]}])
def test_products_that_are_read_elsewhere_too(cell: Any, options: Any, rng: np.random.Generator):
    x, h = leaf(rng.normal(size=(T, N, I))), leaf(rng.normal(size=(N, H)))
    output, *_ = assert_like_steps(
        partial(tg.rnn.scan, cell, x, h, **options), [x, h, WEIGHT_IH, WEIGHT_HH]
    )
    assert is_folded(output)
