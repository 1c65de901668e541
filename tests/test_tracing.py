"""`record` and `rnn.trace`: values against NumPy loops, gradients against BPTT by hand."""

import gc
import re
import sys
import weakref

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.core.context import current
from tinygrad_rnn.errors import GraphError, ShapeError
from tinygrad_rnn.rnn.tracing import UnknownQuantity

F64 = np.float64
trace = tg.rnn.trace


def near(a, b, tolerance=1e-12):
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape
    return np.abs(a - b).max(initial=0) <= tolerance * max(np.abs(b).max(initial=0), 1e-30)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def weights_of(layer, place):
    return {
        name: getattr(layer, f"{name}_{place}").data
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    }


def sums(w, x, h):
    return x @ w["weight_ih"].T + w["bias_ih"], h @ w["weight_hh"].T + w["bias_hh"]


def lstm_step(w, x, h, c):
    a, b = sums(w, x, h)
    i, f, g, o = np.split(a + b, 4, axis=-1)
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    c = f * c + i * g
    return {"i": i, "f": f, "g": g, "o": o, "c": c, "h": o * np.tanh(c)}


def gru_step(w, x, h):
    (xr, xz, xn), (hr, hz, hn) = (np.split(s, 3, axis=-1) for s in sums(w, x, h))
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    n = np.tanh(xn + r * hn)
    return {"r": r, "z": z, "n": n, "h": (1 - z) * n + z * h}


def by_hand(step, w, x, state, reverse=False):
    """All quantities of all steps, each (T, N, H) in the order of the sequence."""
    rows = [None] * len(x)
    for t in reversed(range(len(x))) if reverse else range(len(x)):
        rows[t] = step(w, x[t], *state)
        state = [rows[t][name] for name in (("h", "c") if len(state) == 2 else ("h",))]
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def made(kind, *sizes, **options):
    return getattr(tg.nn, kind)(*sizes, dtype=F64, rng=3, **options)


def rnn_by_hand(layer, x, G):
    """States, dL/dh_t and each step's share of dL/dW_hh, for L = Σ G h."""
    w = weights_of(layer, "l0")
    hs, h = [], np.zeros(G.shape[1:])
    for x_t in x:
        h = np.tanh(sum(sums(w, x_t, h)))
        hs.append(h)
    grads, shares = np.zeros_like(G), np.zeros((len(x), *w["weight_hh"].shape))
    g = np.zeros_like(h)
    for t in reversed(range(len(x))):
        g = grads[t] = G[t] + g
        a = g * (1 - hs[t] ** 2)
        shares[t] = a.T @ (hs[t - 1] if t else np.zeros_like(h))
        g = a @ w["weight_hh"]
    return np.stack(hs), grads, shares


# Values


@pytest.mark.parametrize("steps", [1, 7, 200])
def test_every_gate_of_an_lstm_equals_a_numpy_loop(rng, steps):
    lstm = made("LSTM", 2, 5)
    x, h, c = (rng.standard_normal(s) for s in ((steps, 3, 2), (1, 3, 5), (1, 3, 5)))
    seen = trace(lstm, x, (h, c))
    expected = by_hand(lstm_step, weights_of(lstm, "l0"), x, (h[0], c[0]))
    assert set(seen) == {f"l0.{name}" for name in "xifgoch"}
    for name, values in expected.items():
        assert near(seen[f"l0.{name}"], values)
    assert near(seen["x"], x)
    assert near(seen.output.data, expected["h"])
    assert near(seen.state.c.data[0], expected["c"][-1])


def test_every_gate_of_a_gru_equals_a_numpy_loop(rng):
    gru = made("GRU", 2, 5)
    x = rng.standard_normal((7, 3, 2))
    seen = trace(gru, x)
    for name, values in by_hand(gru_step, weights_of(gru, "l0"), x, [np.zeros((3, 5))]).items():
        assert near(seen[name], values)


def test_layers_and_directions_are_in_the_order_of_the_sequence(rng):
    lstm = made("LSTM", 2, 5, num_layers=2, bidirectional=True)
    x = rng.standard_normal((7, 3, 2))
    seen = trace(lstm, x)
    assert seen.places == ("l0", "l0_reverse", "l1", "l1_reverse")
    zeros = [np.zeros((3, 5))] * 2
    for layer in ("l0", "l1"):
        halves = []
        for place in (layer, f"{layer}_reverse"):
            reverse = place.endswith("reverse")
            expected = by_hand(lstm_step, weights_of(lstm, place), x, zeros, reverse)
            for name, values in expected.items():
                assert near(seen[f"{place}.{name}"], values)
            halves.append(expected["h"])
        x = np.concatenate(halves, axis=-1)
    assert near(seen.output.data, x)


def test_time_comes_first_also_with_batch_first(rng):
    lstm = made("LSTM", 2, 5, batch_first=True)
    x = rng.standard_normal((3, 7, 2))
    seen = trace(lstm, x)
    expected = by_hand(lstm_step, weights_of(lstm, "l0"), x.swapaxes(0, 1), [np.zeros((3, 5))] * 2)
    assert near(seen["c"], expected["c"])
    assert seen.output.shape == (3, 7, 5)


def test_a_single_sequence_has_no_batch_axis(rng):
    lstm = made("LSTM", 2, 5)
    x = rng.standard_normal((7, 2))
    one = trace(lstm, x, loss=lambda result: (result[0] ** 2).sum())
    batch = trace(lstm, x[:, None], loss=lambda result: (result[0] ** 2).sum())
    for key in batch:
        assert near(one[key], batch[key][:, 0])
        assert near(one.grad(key), batch.grad(key)[:, 0])
    assert one.flow().jacobian_norm.shape == (7,)
    assert near(one.flow().jacobian_norm, batch.flow().jacobian_norm[:, 0])


def test_what_is_padded_is_zero_and_the_rest_is_the_sequence_alone(rng):
    gru = made("GRU", 2, 5, bidirectional=True)
    x = rng.standard_normal((7, 3, 2))
    G = rng.standard_normal((7, 3, 10))
    lengths = [7, 0, 4]
    seen = trace(gru, x, lengths=lengths, loss=lambda result: (result[0] * G).sum())
    for n, length in enumerate(lengths):
        for key in seen:
            assert not seen[key][length:, n].any()
            assert not seen.grad(key)[length:, n].any()
        for place in seen.places:
            assert not seen.flow(place).jacobian_norm[length:, n].any()
        if not length:
            continue
        G_n = G[:length, n]
        alone = trace(gru, x[:length, n], loss=lambda result, G_n=G_n: (result[0] * G_n).sum())
        for key in alone:
            assert near(seen[key][:length, n], alone[key])
            assert near(seen.grad(key)[:length, n], alone.grad(key))
        for place in alone.places:
            assert near(seen.flow(place).jacobian_norm[:length, n], alone.flow(place).jacobian_norm)


def test_a_mask_with_holes(rng):
    rnn = made("RNN", 2, 5)
    x = rng.standard_normal((6, 1, 2))
    mask = np.array([[0], [1], [0], [1], [1], [0]], bool)
    seen = trace(rnn, x, mask=mask, loss=lambda result: (result[1] ** 3).sum())
    dense = trace(rnn, x[mask[:, 0]], loss=lambda result: (result[1] ** 3).sum())
    rows = mask[:, 0]
    assert near(seen["h"][rows], dense["h"])
    assert near(seen.grad("h")[rows], dense.grad("h"))
    assert near(seen.jacobian_norm()[rows], dense.jacobian_norm())
    for array in (seen["h"], seen.grad("h"), seen.jacobian_norm()):
        assert not array[~rows].any()


def test_a_loop_of_ones_own_with_a_mask(rng):
    w = tg.Tensor(rng.standard_normal(2), requires_grad=True)
    mask = np.array([[1, 1], [0, 1], [1, 0]], bool)

    def model(x):
        h = tg.Tensor(np.zeros((2, 2)))
        current().record.add_loop(current().scope, mask=mask)
        for t in range(3):
            with tg.scope(f"t={t}"):
                h = tg.named(tg.where(mask[t][:, None], h * w + x[t], h), "h")
        return h

    seen = trace(model, rng.standard_normal((3, 2, 2)), loss=lambda h: (h**2).sum())
    for array in (seen["h"], seen.grad("h"), seen.jacobian_norm()):
        assert array[mask].all()
        assert not array[~mask].any()


# Gradients


@pytest.mark.parametrize("steps", [1, 7, 200])
def test_gradients_and_shares_equal_backpropagation_by_hand(rng, steps):
    rnn = made("RNN", 2, 5)
    x, G = rng.standard_normal((steps, 3, 2)), rng.standard_normal((steps, 3, 5))
    seen = trace(rnn, x)
    seen.backward((seen.output * G).sum())
    h, dh, shares = rnn_by_hand(rnn, x, G)
    assert near(seen["h"], h)
    assert near(seen.grad("h"), dh)
    flow = seen.flow()
    assert near(flow.grad_norm, np.linalg.norm(dh.reshape(steps, -1), axis=1))
    assert near(flow.shares["weight_hh_l0"], shares)
    norms = np.linalg.norm(shares.reshape(steps, -1), axis=1)
    assert near(flow.share_norm["weight_hh_l0"], norms)


def test_gradients_of_gates_equal_those_of_results_kept_by_hand(rng):
    lstm = made("LSTM", 2, 5)
    x, G = rng.standard_normal((7, 3, 2)), rng.standard_normal((7, 3, 5))
    h, c = tg.Tensor(np.zeros((3, 5))), tg.Tensor(np.zeros((3, 5)))
    kept = {name: [] for name in "ifgoch"}
    for t in range(7):
        a = tg.nn.functional.linear(tg.Tensor(x[t]), lstm.weight_ih_l0, lstm.bias_ih_l0)
        a = a + tg.nn.functional.linear(h, lstm.weight_hh_l0, lstm.bias_hh_l0)
        i, f, g, o = np.split(a, 4, axis=-1)
        i, f, g, o = tg.sigmoid(i), tg.sigmoid(f), np.tanh(g), tg.sigmoid(o)
        c = f * c + i * g
        h = o * np.tanh(c)
        for name, value in zip("ifgoch", (i, f, g, o, c, h), strict=True):
            kept[name].append(value)
    flat = [value for values in kept.values() for value in values]
    loss = sum((h * g).sum() for h, g in zip(kept["h"], G, strict=True))
    expected = iter(tg.grad(loss, flat))
    seen = trace(lstm, x, loss=lambda result: (result[0] * G).sum())
    for name, values in kept.items():
        assert near(seen.grad(name), [next(expected).data for _ in values])


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize(
    "options", [{}, {"num_layers": 2, "bidirectional": True}, {"num_layers": 2, "dropout": 0.3}]
)
@pytest.mark.parametrize("lengths", [None, [2, 7, 5]])
def test_shares_add_up_to_the_gradient(rng, kind, options, lengths):
    layer = made(kind, 2, 5, **options)
    x = rng.standard_normal((7, 3, 2))
    seen = trace(layer, x, lengths=lengths)
    loss = (seen.output * rng.standard_normal(seen.output.shape)).sum()
    seen.backward(loss)
    assert all(p.grad is None for p in layer.parameters())
    loss.backward(retain_graph=True)
    named = dict(layer.named_parameters())
    found = [name for place in seen.places for name in seen.flow(place).shares]
    assert sorted(found) == sorted(named)
    for place in seen.places:
        for name, share in seen.flow(place).shares.items():
            assert share.shape == (7, *named[name].shape)
            assert near(share.sum(axis=0), named[name].grad.data)


def test_what_the_loss_doesnt_depend_on_has_a_gradient_of_zero(rng):
    lstm = made("LSTM", 2, 5)
    seen = trace(lstm, rng.standard_normal((7, 3, 2)), loss=lambda result: result[0][4].sum())
    for key in seen:
        assert not seen.grad(key)[5:].any()
        assert seen.grad(key)[1:5].all()
    assert not seen.flow().shares["weight_ih_l0"][5:].any()


def test_shares_add_up_with_a_gradient_penalty(rng):
    gru = made("GRU", 2, 5)
    x = tg.Tensor(rng.standard_normal((7, 3, 2)), requires_grad=True)

    def penalised(x):
        y = gru(x)[0]
        (g,) = tg.grad((y**2).sum(), x, create_graph=True)
        return (g**2).sum() + y.sum()

    seen = trace(penalised, x, loss=lambda result: result)
    assert seen.places == ("gru.l0",)
    seen.result.backward(retain_graph=True)
    for name, share in seen.flow().shares.items():
        assert near(share.sum(axis=0), getattr(gru, name).grad.data)


def test_nobodys_grad_is_touched(rng):
    lstm = made("LSTM", 2, 5)
    x = tg.Tensor(rng.standard_normal((4, 3, 2)), requires_grad=True)
    lstm.weight_hh_l0.grad = before = np.ones((20, 5))
    trace(lstm, x, loss=lambda result: result[0].sum())
    assert x.grad is None
    assert lstm.weight_ih_l0.grad is None
    assert (lstm.weight_hh_l0.grad.data == before).all()


def test_two_losses_add_up(rng):
    lstm = made("LSTM", 2, 5)
    x = rng.standard_normal((4, 3, 2))
    both = trace(lstm, x).backward
    one = trace(lstm, x, loss=lambda result: result[0].sum() + (result[0] ** 2).sum())
    seen = both.__self__
    both(seen.output.sum())
    both(seen.output, 2 * seen.output.data)
    assert near(seen.grad("c"), one.grad("c"))
    for name, share in one.flow().shares.items():
        assert near(seen.flow().shares[name], share)


# Jacobians


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_jacobian_norms_equal_jacobians_of_the_remaining_steps(rng, kind, reverse):
    layer = made(kind, 2, 3, bidirectional=True)
    x, lengths = rng.standard_normal((5, 2, 2)), [5, 3]
    seen = trace(layer, x, lengths=lengths)
    place = "l0_reverse" if reverse else "l0"
    found = seen.jacobian_norm(f"{place}.h")
    cell = getattr(tg.nn, f"{kind}Cell")(2, 3, dtype=F64)
    cell.load_state_dict(weights_of(layer, place))
    for n, length in enumerate(lengths):
        for t in range(length):
            rest = range(t - 1, -1, -1) if reverse else range(t + 1, length)

            def last(h, n=n, t=t, rest=rest):
                c = seen[f"{place}.c"][t, n] if kind == "LSTM" else None
                for s in rest:
                    if kind == "LSTM":
                        h, c = cell(x[s, n], (h, c))
                    else:
                        h = cell(x[s, n], h)
                return h * 1

            jacobian = tg.jacobian(last, tg.Tensor(seen[f"{place}.h"][t, n])).data
            assert near(found[t, n], np.linalg.norm(jacobian))
    ends = (0, 0) if reverse else (4, 2)
    assert near(found[ends, (0, 1)], np.sqrt([3.0, 3.0]))


def test_jacobian_norms_of_a_long_linear_recurrence_are_known(rng):
    W = 0.9 * np.linalg.qr(rng.standard_normal((4, 4)))[0]
    weight = tg.Tensor(W, requires_grad=True, name="W")
    seen = trace(
        lambda x: tg.rnn.scan(lambda x, h: tg.named(h @ weight + x, "h"), x, np.zeros((3, 4))),
        rng.standard_normal((200, 3, 4)),
    )
    expected = 2 * 0.9 ** np.arange(199, -1, -1)
    assert near(seen.jacobian_norm()[:, 1] / expected, np.ones(200))


# Cells, models and loops of one's own


def test_a_cell_of_ones_own_with_a_captured_weight(rng):
    W = tg.Tensor(rng.standard_normal((4, 4)), requires_grad=True, name="W")
    unnamed = tg.Tensor(rng.standard_normal(4), requires_grad=True)
    x = rng.standard_normal((6, 3, 4))

    def cell(x, state):
        h, count = state
        a = tg.named(h @ W + x * unnamed, "a")
        return np.tanh(a), count + a.sum(axis=-1)

    def run(x):
        return tg.rnn.scan(cell, x, (np.zeros((3, 4)), np.zeros(3)))

    seen = trace(run, x)
    assert sorted(seen) == ["a", "s0", "s1", "x"]
    assert seen.places == ("",)
    h = np.zeros((3, 4))
    for t in range(6):
        a = h @ W.data + x[t] * unnamed.data
        h = np.tanh(a)
        assert near(seen["a"][t], a)
        assert near(seen["s0"][t], h)
    loss = (seen.result[0] ** 2).sum() + seen.result[1][1].sum()
    flow = seen.backward(loss).flow(key="s0")
    loss.backward()
    assert sorted(flow.shares) == ["W", "tensor"]
    assert near(flow.shares["W"].sum(axis=0), W.grad.data)
    assert near(flow.shares["tensor"].sum(axis=0), unnamed.grad.data)


def test_a_cell_class_of_ones_own_as_a_layer(rng):
    class Decay(tg.nn.Module):
        def __init__(self, input_size, hidden_size):
            self.rate = tg.nn.Parameter(rng.standard_normal((hidden_size, input_size)))

        def initial_state(self, batch, dtype):
            return np.zeros((*batch, len(self.rate)), dtype)

        def forward(self, x, h):
            return 0.5 * h + x @ self.rate.T

    layer = tg.rnn.Recurrent(Decay, 2, 3, num_layers=2)
    x = rng.standard_normal((5, 1, 2))
    seen = trace(layer, x, loss=lambda result: (result[0] ** 2).sum())
    assert seen["l1.h"].shape == (5, 1, 3)
    assert near(seen["l1.h"], seen.output.data)
    assert near(seen.jacobian_norm("l0.h")[:, 0], np.sqrt(3) * 0.5 ** np.arange(4, -1, -1))


def test_a_cell_inside_a_cell(rng):
    class Halved(tg.nn.Module):
        def __init__(self, input_size, hidden_size):
            self.gru = tg.nn.GRUCell(input_size, hidden_size, dtype=F64, rng=1)

        def forward(self, x, h):
            return self.gru(x, h) / 2

    layer = tg.rnn.Recurrent(Halved, 2, 3)
    seen = trace(layer, rng.standard_normal((4, 1, 2)), np.zeros((1, 1, 3)))
    assert {"l0.h", "l0.gru.h", "l0.gru.z"} < set(seen)
    assert near(seen["h"], seen["gru.h"] / 2)
    assert near(seen["z"], seen["l0.gru.z"])


class Tagger(tg.nn.Module):
    def __init__(self):
        self.embedding = tg.nn.Embedding(11, 3, dtype=F64, rng=0)
        self.lstm = tg.nn.LSTM(3, 5, dtype=F64, rng=0)
        self.out = tg.nn.Linear(5, 2, dtype=F64, rng=0)

    def forward(self, tokens):
        return self.out(self.lstm(self.embedding(tokens))[0])


def test_a_model(rng):
    model = Tagger()
    tokens = rng.integers(0, 11, (7, 3))
    seen = trace(model, tokens, loss=lambda result: (result**2).sum())
    assert seen.places == ("lstm.l0",)
    assert list(seen) == [f"lstm.l0.{name}" for name in "xifogch"]
    x = model.embedding.weight.data[tokens]
    expected = by_hand(lstm_step, weights_of(model.lstm, "l0"), x, [np.zeros((3, 5))] * 2)
    assert near(seen["c"], expected["c"])
    assert near(seen["lstm.l0.x"], x)
    assert sorted(seen.flow().shares) == sorted(
        name for name, _ in model.named_parameters() if name.startswith("lstm")
    )
    (seen.result**2).sum().backward()
    share = seen.flow("lstm.l0").shares["lstm.weight_ih_l0"]
    assert near(share.sum(axis=0), model.lstm.weight_ih_l0.grad.data)
    with pytest.raises(AttributeError, match=r"trace\.result"):
        seen.output  # noqa: B018


def test_names_are_those_of_the_traced_module(rng):
    seen = trace(Tagger().lstm, rng.standard_normal((4, 1, 3)), loss=lambda r: r[0].sum())
    assert seen.places == ("l0",)
    assert "weight_hh_l0" in seen.flow().shares


def test_all_is_seen_with_frozen_parameters_and_in_no_grad(rng):
    lstm = made("LSTM", 2, 5)
    x = rng.standard_normal((4, 3, 2))
    free = trace(lstm, x, loss=lambda result: result[0].sum())
    for parameter in lstm.parameters():
        parameter.requires_grad = False
    with tg.no_grad():
        seen = trace(lstm, tg.Tensor(x), loss=lambda result: result[0].sum())
    for key in free:
        assert near(seen[key], free[key])
        assert near(seen.grad(key), free.grad(key))
    assert seen.flow().shares == {}


def test_the_input_may_be_written_over_afterwards(rng):
    rnn = made("RNN", 2, 5)
    x = rng.standard_normal((4, 3, 2))
    G = rng.standard_normal((4, 3, 5))
    kept = trace(rnn, x.copy(), loss=lambda result: (result[0] * G).sum())
    seen = trace(rnn, x)
    x[...] = 7
    seen.backward((seen.output * G).sum())
    for name, share in kept.flow().shares.items():
        assert near(seen.flow().shares[name], share)


def test_packed_sequences(rng):
    gru = made("GRU", 2, 5)
    x, lengths = rng.standard_normal((7, 3, 2)), [4, 7, 5]
    packed = tg.nn.utils.rnn.pack_padded_sequence(tg.Tensor(x), lengths, enforce_sorted=False)
    seen, padded = trace(gru, packed), trace(gru, x, lengths=lengths)
    for key in padded:
        assert near(seen[key], padded[key])
    assert near(seen.jacobian_norm(), padded.jacobian_norm())


def test_a_wrapped_cell_shows_the_state_after_the_wrapper(rng):
    gru = made("GRU", 2, 5, wrap=lambda cell: tg.rnn.Zoneout(cell, 0.5))
    seen = trace(gru.eval(), rng.standard_normal((7, 3, 2)))
    n, z, before = seen["n"], seen["z"], np.zeros((3, 5))
    for t in range(7):
        before = 0.5 * before + 0.5 * ((1 - z[t]) * n[t] + z[t] * before)
        assert near(seen["h"][t], before)
    assert near(seen.output.data, seen["h"])


def test_what_a_checkpoint_hides_is_refused(rng):
    lstm = made("LSTM", 2, 5)

    def model(x):
        return tg.checkpoint(lstm)(x)[0]

    with pytest.raises(GraphError, match="without checkpoint"):
        trace(model, rng.standard_normal((4, 3, 2)))


def test_a_layer_that_runs_twice(rng):
    lstm = made("LSTM", 2, 2)

    def model(x):
        y, state = lstm(x)
        return lstm(y, state)[0]

    for steps in (1, 4):
        seen = trace(model, rng.standard_normal((steps, 3, 2)))
        assert seen.places == ("lstm.l0", "lstm.l0#2")
        assert near(seen["lstm.l0#2.x"], seen["lstm.l0.h"])
        assert near(seen["lstm.l0#2.h"], seen.result.data)


def test_scans_in_one_place_are_told_apart(rng):
    w = tg.Tensor(0.5, requires_grad=True)

    def model(x):
        y, _ = tg.rnn.scan(lambda x, h: w * h + x, x, np.zeros(2))
        return tg.rnn.scan(lambda x, h: w * h - x, y, np.zeros(2), reverse=True)[0]

    for steps in (1, 3):
        seen = trace(model, rng.standard_normal((steps, 2)))
        assert seen.places == ("", "#2")
        assert near(seen["#2.x"], seen["h"])
        assert near(seen["#2.h"], seen.result.data)
        assert near(seen["#2.h"][-1], -seen["h"][-1])


def test_a_loop_of_ones_own(rng):
    cell = made("GRUCell", 2, 3)
    x = rng.standard_normal((5, 1, 2))

    def model(x):
        h, loss = None, 0
        for t in range(5):
            with tg.scope(f"t={t}"):
                h = cell(x[t], h)
            with tg.scope(f"t={t}"):
                loss = tg.named(loss + (h**2).sum(), "loss")
                if t >= 3:
                    tg.named(h * 1, "late")
        return loss

    seen = trace(model, x)
    expected = by_hand(
        gru_step, {n: p.data for n, p in cell.named_parameters()}, x, [np.zeros((1, 3))]
    )
    assert near(seen["z"], expected["z"])
    assert near(seen["grucell.h"], expected["h"])
    assert near(seen["loss"], np.cumsum((expected["h"] ** 2).sum(axis=(1, 2))))
    assert np.isnan(seen["late"][:3]).all()
    assert near(seen["late"][3:], expected["h"][3:])
    flow = seen.backward(seen.result).flow(key="grucell.h")
    assert np.isnan(seen.grad("late")[:3]).all()
    assert not seen.grad("late")[3:].any()
    assert sorted(flow.shares) == sorted(name for name, _ in cell.named_parameters())
    seen.result.backward()
    for name, parameter in cell.named_parameters():
        assert near(flow.shares[name].sum(axis=0), parameter.grad.data)


def test_a_step_outside_is_no_step_of_the_trace(rng):
    with tg.scope("epoch"), tg.scope("t=3"):
        rnn = made("RNN", 2, 5)
        seen = trace(lambda x: tg.named(rnn(x)[0] * 2, "y"), rng.standard_normal((4, 3, 2)))
    assert seen.places == ("rnn.l0",)
    assert list(seen) == ["rnn.l0.x", "rnn.l0.h"]


def test_loops_of_ones_own_one_after_the_other():
    w = tg.Tensor(2.0, requires_grad=True)

    def model():
        for k in range(2):
            for t in range(3):
                with tg.scope(f"t={t}"):
                    tg.named(w * t + k, "y")

    seen = trace(model)
    assert seen["y"].tolist() == [0, 2, 4]
    assert seen["#2.y"].tolist() == [1, 3, 5]


def test_derivatives_inside_a_loop_are_no_steps_of_it():
    w = tg.Tensor(2.0, requires_grad=True)

    def model():
        h = w
        for t in range(4):
            with tg.scope(f"t={t}"):
                h = tg.named(h * w, "h")
                if t == 2:
                    (slope,) = tg.grad(h, w, create_graph=True)
                    tg.named(slope * 1, "slope")
        return h

    seen = trace(model)
    assert seen.places == ("",)
    assert seen["h"].tolist() == [4, 8, 16, 32]
    assert seen["slope"][2] == 32


def test_loops_in_loops(rng):
    lstm = made("LSTM", 2, 2)
    w = tg.Tensor(rng.standard_normal(2), requires_grad=True, name="w")

    def model(x):
        h = tg.Tensor(np.zeros((3, 1, 2)))
        for t in range(2):
            with tg.scope(f"t={t}"):
                h = tg.named(lstm(x * w + h)[0] * w, "y")
        return h

    seen = trace(model, rng.standard_normal((3, 1, 2)), loss=lambda y: (y**2).sum())
    assert set(seen.places) == {"", "[t=0].lstm.l0", "[t=1].lstm.l0"}
    assert seen["y"].shape == (2, 3, 1, 2)
    assert seen["[t=1].lstm.l0.h"].shape == (3, 1, 2)
    (seen.result**2).sum().backward(retain_graph=True)
    with pytest.raises(KeyError, match=r"'h' isn't one quantity in ''\. There are 'y'"):
        seen.flow("")
    outer = seen.flow("", key="y").shares
    assert near(outer["w"].sum(axis=0), w.grad.data)
    assert near(outer["weight_ih_l0"].sum(axis=0), lstm.weight_ih_l0.grad.data)
    inner = sum(seen.flow(f"[t={t}].lstm.l0").shares["weight_ih_l0"].sum(axis=0) for t in (0, 1))
    assert near(inner, lstm.weight_ih_l0.grad.data)


def test_what_is_read_at_every_step_is_no_input_of_one(rng):
    W = tg.Tensor(rng.standard_normal((2, 4)), requires_grad=True)

    def model(x):
        keys, values = np.split(W, 2, axis=-1)
        tg.named(keys, "keys")
        return tg.rnn.scan(lambda x, h: h @ keys + x @ values, x, np.zeros((1, 2)))[0]

    assert set(trace(model, rng.standard_normal((3, 1, 2)))) == {"x", "h"}


def test_shapes_that_change_over_time():
    w = tg.Tensor(2.0, requires_grad=True)

    def model():
        for t in range(3):
            with tg.scope(f"t={t}"):
                tg.named(w * np.ones(t + 1), "scores")
                tg.named(w * t, "count")

    seen = trace(model)
    assert seen["count"].tolist() == [0, 2, 4]
    assert "varies" in repr(seen)
    with pytest.raises(ShapeError, match=r"different shapes.*\(1,\), \(2,\), \(3,\)"):
        seen["scores"]


# The mapping, and wrong use


def test_it_is_a_mapping(rng):
    seen = trace(made("LSTM", 2, 5, num_layers=2), rng.standard_normal((4, 3, 2)))
    assert len(seen) == len(list(seen)) == len(seen.keys()) == 14
    assert "l1.h" in seen
    assert "h" not in seen
    assert "l2.h" not in seen
    assert 3 not in seen
    assert seen.get("l2.h") is None
    assert all(values.shape[:2] == (4, 3) for values in seen.values())
    table = repr(seen).splitlines()
    assert table[0] == "Trace of LSTM(2, 5, num_layers=2)"
    assert table[1].split() == ["shape", "mean", "min", "max"]
    i = seen["l0.i"]
    numbers = [f"{f(i):.4g}" for f in (np.mean, np.min, np.max)]
    assert table[3].split() == ["l0.i", "(4,", "3,", "5)", *numbers]
    assert len({len(line) for line in table[1:]}) == 1


def test_the_table_is_about_real_steps(rng):
    gru = made("GRU", 2, 5)
    seen = trace(gru, rng.standard_normal((4, 3, 2)), lengths=[4, 0, 1])
    real = np.concatenate([seen["z"][:, 0], seen["z"][:1, 2]])
    row = next(line for line in repr(seen).splitlines() if "l0.z" in line)
    assert row.split()[-3:] == [f"{f(real):.4g}" for f in (np.mean, np.min, np.max)]


def test_arrays_are_the_callers_own(rng):
    seen = trace(made("RNN", 2, 5), rng.standard_normal((4, 3, 2)))
    before = seen["h"].copy()
    seen["h"][...] = 0
    seen.jacobian_norm()[...] = 0
    assert (seen["h"] == before).all()
    assert seen.jacobian_norm().all()


def test_wrong_names_are_answered_with_the_right_ones(rng):
    seen = trace(made("LSTM", 2, 5, num_layers=2), rng.standard_normal((4, 3, 2)))
    with pytest.raises(KeyError, match=r"several places: write 'l0\.h', 'l1\.h'$"):
        seen["h"]
    with pytest.raises(UnknownQuantity, match=r"no quantity 'l0\.hh'.*Did you mean 'l0\.h'"):
        seen["l0.hh"]
    with pytest.raises(UnknownQuantity, match=r"no quantity 'cell'.*There are 'l0\.x', 'l0\.i'"):
        seen.grad("cell")
    with pytest.raises(TypeError, match="by name"):
        seen[0]
    seen.backward(seen.output.sum())
    with pytest.raises(ValueError, match=r"choose one of \('l0', 'l1'\)"):
        seen.flow()
    with pytest.raises(ValueError, match=r"nothing ran in 'l2'\. There are \('l0', 'l1'\)"):
        seen.flow("l2")
    with pytest.raises(KeyError, match=r"'state' isn't one quantity in 'l0'.*'x', 'i', 'f'"):
        seen.flow("l0", key="state")


def test_gradients_need_a_loss_of_the_trace(rng):
    rnn = made("RNN", 2, 5)
    seen = trace(rnn, rng.standard_normal((4, 3, 2)))
    for ask in (lambda: seen.grad("h"), seen.flow):
        with pytest.raises(GraphError, match=r"trace\.backward\(loss\)"):
            ask()
    with pytest.raises(ShapeError, match="single number"):
        seen.backward(seen.output)
    with pytest.raises(TypeError, match="a Tensor, not float"):
        seen.backward(1.0)
    with pytest.raises(GraphError, match="doesn't depend on what was traced"):
        seen.backward((rnn.weight_hh_l0**2).sum())
    with pytest.raises(GraphError, match="requires a gradient"):
        seen.backward(seen.output.detach().sum())
    with pytest.raises(GraphError, match=r"trace\.backward"):
        seen.grad("h")  # the failed attempts have left nothing
    seen.backward(seen.output.sum())
    shares = seen.flow().shares["weight_hh_l0"]
    with pytest.raises(GraphError, match="doesn't depend"):
        seen.backward((rnn.weight_hh_l0**2).sum())
    assert (seen.flow().shares["weight_hh_l0"] == shares).all()


def test_a_graph_that_is_gone(rng):
    seen = trace(made("RNN", 2, 5), rng.standard_normal((4, 3, 2)))
    seen.output.sum().backward()
    with pytest.raises(GraphError, match=r"backward\(\) of your own.*retain_graph=True"):
        seen.jacobian_norm()


def test_wrong_arguments(rng):
    x = rng.standard_normal((4, 3, 2))
    with pytest.raises(TypeError, match="a module or a function"):
        trace(x, made("RNN", 2, 5))
    with pytest.raises(TypeError, match="takes a function of the result"):
        trace(made("RNN", 2, 5), x, loss=tg.Tensor(1.0))
    with pytest.raises(GraphError, match=r"Linear\(.*ran no recurrent layer"):
        trace(tg.nn.Linear(2, 3, dtype=F64), x)
    model = Tagger()
    for parameter in model.parameters():
        parameter.requires_grad = False
    with pytest.raises(GraphError, match="all parameters are frozen"):
        trace(model, np.zeros((4, 3), int))


def test_a_trace_leaves_nothing_behind(rng):
    lstm = made("LSTM", 2, 5)
    seen = trace(lstm, rng.standard_normal((4, 3, 2)), loss=lambda result: result[0].sum())
    seen.flow()
    node = weakref.ref(seen.output._node)
    gc.collect()
    gc.disable()
    try:
        del seen
        assert node() is None
    finally:
        gc.enable()


# The figure


def test_the_figure_shows_the_arrays(rng):
    pytest.importorskip("matplotlib")
    lstm = made("LSTM", 2, 5, bidirectional=True)
    x = rng.standard_normal((7, 3, 2))
    seen = trace(lstm, x, lengths=[7, 4, 2])
    figure = seen.plot("l0_reverse", sequence=1, labels="he $o w")
    maps = [axes for axes in figure.axes if axes.images]
    assert [axes.get_ylabel() for axes in maps] == list("ifogch")
    for axes, name in zip(maps, "ifogch", strict=True):
        shown = axes.images[0].get_array()
        assert near(np.asarray(shown[:, :4]), seen[f"l0_reverse.{name}"][:4, 1].T)
        assert np.ma.getmaskarray(shown)[:, 4:].all() or np.isnan(shown[:, 4:]).all()
    assert [text.get_text() for text in maps[-1].get_xticklabels()] == [*"he␣", r"\$", *"o␣w"]
    assert "l0_reverse" in figure.get_suptitle()
    assert not [axes for axes in figure.axes if axes.lines]


def test_the_figure_shows_the_flow(rng, tmp_path):
    pytest.importorskip("matplotlib")
    had_pyplot = "matplotlib.pyplot" in sys.modules
    seen = trace(made("GRU", 2, 5), rng.standard_normal((11, 3, 2)))
    seen.backward((seen.state**2).sum())
    figure = seen.plot(quantities=["h"], sequence=2)
    curves = [axes for axes in figure.axes if axes.lines]
    assert [len(axes.lines) for axes in curves] == [1, 4, 1]
    flow = seen.flow()
    assert near(curves[0].lines[0].get_ydata(), flow.grad_norm)
    assert near(curves[2].lines[0].get_ydata(), flow.jacobian_norm[:, 2])
    labels = [line.get_label() for line in curves[1].lines]
    assert labels == list(flow.share_norm)
    figure.savefig(tmp_path / "trace.png")
    assert (tmp_path / "trace.png").stat().st_size > 5000
    assert ("matplotlib.pyplot" in sys.modules) == had_pyplot


def test_a_long_figure_has_few_ticks(rng):
    pytest.importorskip("matplotlib")
    figure = trace(made("RNN", 2, 5), rng.standard_normal((130, 3, 2))).plot()
    ticks = figure.axes[0].get_xticks()
    assert len(ticks) == 44
    assert set(np.diff(ticks)) == {3}


def test_a_figure_that_cant_be(rng, monkeypatch):
    seen = trace(made("GRU", 2, 5), rng.standard_normal((4, 3, 2)))
    with pytest.raises(ValueError, match="3 labels for 4 steps"):
        seen.plot(labels="abc")
    with pytest.raises(ValueError, match="no sequence 3 in a batch of 3"):
        seen.plot(sequence=3)
    with pytest.raises(KeyError, match=r"'i' isn't one quantity in 'l0'"):
        seen.plot(quantities=["i"])
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(ImportError, match=re.escape('pip install "tinygrad-rnn[plot]"')):
        seen.plot()


# Recordings


def leaf(*shape, rng, name=None):
    return tg.Tensor(rng.standard_normal(shape), requires_grad=True, name=name)


def test_a_recording_has_values_and_gradients_on_the_way(rng):
    w, x, G = leaf(3, rng=rng), tg.Tensor(rng.standard_normal((5, 3))), rng.standard_normal((5, 3))
    with tg.record() as recording:
        a = w * x
        y = np.tanh(a)
        (y * G).sum().backward()
    assert near(recording.value(a), w.data * x.data)
    assert near(recording.value(y), np.tanh(w.data * x.data))
    assert near(recording.value(w), w.data)
    assert near(recording.value(x), x.data)
    assert near(recording.gradient(y), G)
    da = G * (1 - y.data**2)
    assert near(recording.gradient(a), da)
    assert near(recording.gradient(w), (da * x.data).sum(axis=0))
    assert near(recording.gradient(w), w.grad.data)
    assert recording.gradient(x) is None
    assert recording.value(tg.Tensor(1.0)) is None
    assert near(recording.value(a._node), a.data)
    with pytest.raises(TypeError, match="not list"):
        recording.value([1.0])
    with pytest.raises(ValueError, match="read-only"):
        recording.value(a)[0] = 1


def test_nothing_is_noted_outside_or_without_a_graph(rng):
    w = leaf(3, rng=rng)
    before = w * 2
    with tg.record() as recording:
        with tg.no_grad():
            unseen = w * 3
        seen = w * 4
    after = w * 5
    (before + after + seen).sum().backward()
    assert recording.value(seen) is not None
    assert all(recording.value(t) is None for t in (before, unseen, after))
    assert recording.gradients == {}


def test_every_result_of_an_operation_with_several(rng):
    w, G = leaf(4, 3, rng=rng), rng.standard_normal(3)
    with tg.record() as recording:
        rows = list(w)
        ((rows[0] * rows[2]) @ G).backward()
    for k in range(4):
        assert near(recording.value(rows[k]), w.data[k])
    assert near(recording.gradient(rows[0]), w.data[2] * G)
    assert near(recording.gradient(rows[2]), w.data[0] * G)
    assert recording.gradient(rows[1]) is None
    assert near(recording.gradient(w), w.grad.data)


def test_contributions_of_broadcasting_and_of_indexing(rng):
    b, x = leaf(3, rng=rng), leaf(4, 3, rng=rng)
    G, H, index = rng.standard_normal((2, 3)), rng.standard_normal((3, 3)), np.array([0, 2, 2])
    with tg.record() as recording:
        first = x[1:3] * b
        second = x[index] + b
        (first * G).sum().backward(retain_graph=True)
        (second * H).sum().backward()
        index[...] = 1
    parts = [part for _, part in recording.contributions(b)]
    assert near(parts[0], (x.data[1:3] * G).sum(axis=0))
    assert near(parts[1], H.sum(axis=0))
    assert [node.operation.name for node, _ in recording.contributions(b)] == ["multiply", "add"]
    expected = np.zeros((2, 4, 3))
    expected[0, 1:3] = G * b.data
    expected[1, 0], expected[1, 2] = H[0], H[1] + H[2]
    for (_, part), whole in zip(recording.contributions(x), expected, strict=True):
        assert near(part, whole)
    assert near(recording.gradient(x), expected.sum(axis=0))
    assert near(recording.gradient(x), x.grad.data)
    assert list(recording.contributions(tg.Tensor(1.0))) == []


def test_what_is_noted_never_changes(rng):
    w, x = leaf(3, 3, rng=rng), np.ones(3)
    with tg.record() as recording:
        turned = w.T
        y = turned * x
        z = y + w + w
        cotangent = rng.standard_normal((3, 3))
        z.backward(cotangent)
    known = {t: recording.value(t).copy() for t in (w, turned, y, z)}
    gradients = {t: recording.gradient(t).copy() for t in (w, turned, y, z)}
    parts = [part.copy() for _, part in recording.contributions(w)]
    with tg.no_grad():
        w -= 5
    w.grad.data[...] = 0
    y.data[...] = 0
    cotangent[...] = 0
    for t, value in known.items():
        assert (recording.value(t) == value).all()
        assert (recording.gradient(t) == gradients[t]).all()
    for (_, part), before in zip(recording.contributions(w), parts, strict=True):
        assert (part == before).all()
    assert near(sum(parts), gradients[w])


def test_a_buffer_that_is_used_again_is_noted_as_it_was():
    w, buffer = tg.Tensor(2.0, requires_grad=True), np.zeros(2)
    with tg.record() as recording:
        results = []
        for t in range(3):
            buffer[:] = t
            results.append(w * buffer)
    inputs = [result._node.arguments[1] for result in results]
    assert [recording.value(x).tolist() for x in inputs] == [[0, 0], [1, 1], [2, 2]]


def test_an_array_that_is_used_at_every_step_is_noted_once():
    w, x = tg.Tensor(2.0, requires_grad=True), np.ones(2)
    with tg.record() as recording:
        a, b = w * x, w + x
    first, second = (recording.value(t._node.arguments[1]) for t in (a, b))
    assert first is second


def test_two_passes_add_up_and_grad_is_noted_too(rng):
    w = leaf(3, rng=rng)
    with tg.record() as recording:
        a = w * w
        y = a * a
        y.sum().backward(retain_graph=True)
        (first,) = tg.grad(y.sum(), a, retain_graph=True)
        assert near(recording.gradient(a), 2 * first.data)
        assert near(recording.gradient(w), w.grad.data)
        assert len(list(recording.contributions(w))) == 2  # w * w uses it twice
        tg.grad(y.sum(), w)
    assert near(recording.gradient(w), 2 * w.grad.data)
    assert near(recording.gradient(a), 3 * first.data)


def test_the_gradient_of_what_is_itself_differentiated(rng):
    w = leaf(3, rng=rng)
    G = rng.standard_normal(3)
    with tg.record() as recording:
        y = w * 2
        y.backward(G)
        w.backward(G)
    assert near(recording.gradient(y), G)
    assert near(recording.gradient(w), 3 * G)


def test_second_derivatives_are_recorded(rng):
    w = leaf(3, rng=rng)
    with tg.record() as recording:
        y = w**3
        (g,) = tg.grad(y.sum(), w, create_graph=True)
        assert near(recording.value(g), 3 * w.data**2)
        g.sum().backward()
    assert near(recording.gradient(g), np.ones(3))
    assert near(w.grad.data, 6 * w.data)
    assert near(recording.gradient(w), 3 * w.data**2 + 6 * w.data)


def test_the_inner_recording_notes_what_happens_inside(rng):
    w = leaf(3, rng=rng)
    with tg.record() as outer:
        a = w * 2
        with (
            tg.record() as inner,
            tg.scope("s"),
            tg.detect_anomaly(),
            tg.no_grad(),
            tg.enable_grad(),
        ):
            b = w * 3
        c = w * 4
    assert [outer.value(t) is not None for t in (a, b, c)] == [True, False, True]
    assert [inner.value(t) is not None for t in (a, b, c)] == [False, True, False]


def test_a_pass_that_fails_is_not_noted(rng):
    w = leaf(3, rng=rng)
    with tg.record() as recording:
        a = np.exp(w)
        y = (a * a).sum()
        y.backward()
        before = {t: recording.gradient(t).copy() for t in (w, a)}
        with pytest.raises(GraphError, match="second time"):
            y.backward()
    assert all((recording.gradient(t) == g).all() for t, g in before.items())


def test_a_rule_that_fails_halfway_leaves_nothing(rng, own_primitives):
    @tg.primitive()
    def broken(x: tg.Array) -> tg.Array:
        """out = x"""
        return np.array(x)

    broken.vjp(x=lambda g: g[:1, None])
    w = leaf(3, rng=rng)
    with tg.record() as recording, pytest.raises(RuntimeError, match="broken"):
        (broken(w) * w).sum().backward()
    assert recording.gradients == {}
    assert list(recording.contributions(w)) == []


def test_memory_is_held_as_long_as_the_recording(rng):
    w = leaf(3, rng=rng)
    gc.collect()
    gc.disable()
    try:
        with tg.record() as recording:
            y = (w * w).sum()
            y.backward()
        node = weakref.ref(y._node)
        noted = weakref.ref(recording)
        del y
        assert node() is not None
        del recording
        assert noted() is None
        assert node() is None
    finally:
        gc.enable()


def test_loops_that_announce_themselves():
    mask = np.array([[True], [False]])
    with tg.record() as recording, tg.scope("l0"):
        recording.add_loop(current().scope, True, mask)
    mask[...] = True
    (loop,) = recording.loops
    assert str(loop.scope) == "l0"
    assert loop.reverse
    assert loop.mask.tolist() == [[True], [False]]
