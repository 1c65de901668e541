"""Further cells, wrappers and one's own cell, against other libraries and the papers' equations."""

import copy
import itertools
import json
import pickle
import re

import numpy as np
import pytest
from golden.make_golden import FOLDER, cases, relative_error

import tinygrad_rnn as tg

GOLDEN = cases("further_cells")
IN, H, T, N = 3, 5, 4, 2


def all_of(*words):
    """A pattern for a message that has all these words in it."""
    return "(?s)" + "".join(f"(?=.*{re.escape(word)})" for word in words)


def leaf(array):
    return tg.Tensor(array, dtype=np.float64, requires_grad=True)


def cell_class(name):
    return getattr(tg.rnn, name)


def parts(state):
    return tuple(state) if isinstance(state, tuple) else (state,)


def assert_close(found, expected, tolerance, name=""):
    error = relative_error(getattr(found, "data", found), expected)
    assert error <= tolerance, f"{name}: relative error {error:.2g}"


# Against ONNX, Keras and PyTorch

OTHER_NAMES = {
    "hard_sigmoid x/5 + 1/2": lambda x: np.clip(x / 5 + 0.5, 0, 1),
    "x/4 + 1/8": lambda x: x / 4 + 1 / 8,
}


def golden_label(config):
    options = " ".join(f"{k}={v}" for k, v in config["options"].items())
    return f"{config['oracle']} {config['cell']} {options}" + " both" * config["bidirectional"]


@pytest.mark.parametrize(
    ("config", "given", "expected"), GOLDEN, ids=[golden_label(c[0]) for c in GOLDEN]
)
def test_cell_equals_another_library(config, given, expected):
    options = {
        k: OTHER_NAMES.get(v, v) if isinstance(v, str) else v for k, v in config["options"].items()
    }
    if config["cell"] == "RNNCell" and options["nonlinearity"] in ("softsign", "softplus"):
        options["nonlinearity"] = getattr(tg, options["nonlinearity"])
    if options.get("nonlinearity") == "sigmoid":
        options["nonlinearity"] = tg.sigmoid
    layer = tg.rnn.Recurrent(
        cell_class(config["cell"]), given["x"].shape[-1], given["h0"].shape[-1],
        bidirectional=config["bidirectional"], dtype=np.float64, **options,
    )  # fmt: skip
    layer.load_state_dict({n: given[n] for n in layer.state_dict()})
    leaves = {n: leaf(given[n]) for n in ("x", "h0", "c0") if n in given}
    starts = [leaves[n] for n in ("h0", "c0") if n in leaves]
    output, state = layer(leaves["x"], tuple(starts) if len(starts) > 1 else starts[0])
    results = dict(zip(("output", "h_n", "c_n"), (output, *parts(state)), strict=False))
    found = dict(results)
    if "g_output" in given:
        sum((r * given[f"g_{n}"]).sum() for n, r in results.items()).backward()
        named = {**dict(layer.named_parameters()), **leaves}
        found.update({f"d_{n}": p.grad for n, p in named.items()})
    assert found.keys() == expected.keys()
    for name, wanted in expected.items():
        assert_close(found[name], wanted, 1e-5 if config["single"] else 1e-12, name)


def test_golden_file_says_what_made_it():
    with np.load(FOLDER / "further_cells.npz") as file:
        versions = json.loads(str(file["versions"]))
    assert set(versions) == {"onnx", "onnxruntime", "keras"}
    assert all(v[0].isdigit() for v in versions.values())


# The papers' equations, gate by gate, in plain NumPy. They are analytic functions, so that
# complex arguments give exact derivatives: f'(x) = Im f(x + iε) / ε. `m` multiplies what the
# recurrent weights read.


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def relu(z):
    return np.where(z.real > 0, z, 0)


def net(p, x, h, count):
    """W x + b + U h + b' for each gate."""
    W, U = np.split(p["weight_ih"], count), np.split(p["weight_hh"], count)
    b, b2 = (
        np.split(p.get(f"bias_{k}", np.zeros(len(p["weight_ih"]))), count) for k in ("ih", "hh")
    )
    return [w @ x + v + u @ h + v2 for w, u, v, v2 in zip(W, U, b, b2, strict=True)]


def projected(p, h):
    return p["weight_hr"] @ h if "weight_hr" in p else h


def elman(p, x, state, m=1.0):
    """Elman 1990."""
    (a,) = net(p, x, m * state[0], 1)
    return (np.tanh(a),)


def lstm(p, x, state, m=1.0):
    """Gers, Schmidhuber & Cummins 2000."""
    h, c = state
    i, f, g, o = net(p, x, m * h, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return projected(p, sigmoid(o) * np.tanh(c)), c


def peephole(p, x, state, m=1.0):
    """Gers & Schmidhuber 2000: input and forget gate see c_{t-1}, the output gate c_t."""
    h, c = state
    i, f, g, o = net(p, x, m * h, 4)
    new = sigmoid(f + p["weight_cf"] * c) * c + sigmoid(i + p["weight_ci"] * c) * np.tanh(g)
    return projected(p, sigmoid(o + p["weight_co"] * new) * np.tanh(new)), new


def normalised(a, gain, eps):
    centred = a - a.mean()
    return gain * centred / np.sqrt((centred * centred).mean() + eps)


def layer_norm_lstm(p, x, state, m=1.0, eps=1e-5):
    """Ba, Kiros & Hinton 2016, equations 20 to 22."""
    h, c = state
    H4 = len(p["weight_ih"])
    a = normalised(p["weight_hh"] @ (m * h), p["gain_hh"], eps) + p.get("bias_hh", np.zeros(H4))
    a = a + normalised(p["weight_ih"] @ x, p["gain_ih"], eps) + p.get("bias_ih", np.zeros(H4))
    i, f, g, o = np.split(a, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    seen = normalised(c, p["gain_c"], eps) + p.get("bias_c", np.zeros(H4 // 4))
    return projected(p, sigmoid(o) * np.tanh(seen)), c


def coupled(p, x, state, m=1.0):
    """Greff et al. 2017, CIFG (without peepholes): one gate writes what the other forgets."""
    h, c = state
    f, g, o = net(p, x, m * h, 3)
    c = sigmoid(f) * c + (1 - sigmoid(f)) * np.tanh(g)
    return projected(p, sigmoid(o) * np.tanh(c)), c


def gru_before(p, x, state, m=1.0):
    """Cho et al. 2014: r acts on h before the matrix product."""
    h = state[0]
    r, z, _ = net(p, x, m * h, 3)
    r, z = sigmoid(r), sigmoid(z)
    n = np.tanh(net(p, x, r * (m * h), 3)[2])
    return (z * h + (1 - z) * n,)


def gru_after(p, x, state, m=1.0):
    """As cuDNN: r acts on the product, with its bias."""
    h = state[0]
    r, z, _ = net(p, x, m * h, 3)
    r, z = sigmoid(r), sigmoid(z)
    U, b = np.split(p["weight_hh"], 3)[2], np.split(p["bias_hh"], 3)[2]
    W, d = np.split(p["weight_ih"], 3)[2], np.split(p["bias_ih"], 3)[2]
    n = np.tanh(W @ x + d + r * (U @ (m * h) + b))
    return (z * h + (1 - z) * n,)


def mgu(p, x, state, m=1.0):
    """Zhou et al. 2016."""
    h = state[0]
    f = sigmoid(net(p, x, m * h, 2)[0])
    n = np.tanh(net(p, x, f * (m * h), 2)[1])
    return ((1 - f) * h + f * n,)


def indrnn(p, x, state, m=1.0):
    """Li et al. 2018: u multiplies h element by element."""
    a = p["weight_ih"] @ x + p["weight_hh"] * (m * state[0])
    return (relu(a + p.get("bias_ih", 0) + p.get("bias_hh", 0)),)


PAPERS = [
    ("PeepholeLSTMCell", {}, peephole),
    ("PeepholeLSTMCell", {"bias": False}, peephole),
    ("PeepholeLSTMCell", {"proj_size": 2}, peephole),
    ("LayerNormLSTMCell", {}, layer_norm_lstm),
    ("LayerNormLSTMCell", {"bias": False}, layer_norm_lstm),
    ("LayerNormLSTMCell", {"proj_size": 2}, layer_norm_lstm),
    ("CoupledLSTMCell", {}, coupled),
    ("CoupledLSTMCell", {"bias": False}, coupled),
    ("CoupledLSTMCell", {"proj_size": 2}, coupled),
    ("MGUCell", {}, mgu),
    ("MGUCell", {"bias": False}, mgu),
    ("IndRNNCell", {}, indrnn),
    ("IndRNNCell", {"bias": False}, indrnn),
    ("GRUCell", {"reset_after": False}, gru_before),
    ("GRUCell", {"reset_after": False, "bias": False}, gru_before),
]
FURTHER = [row for row in PAPERS if "bias" not in row[1] and "proj_size" not in row[1]]
MASKED = [
    *FURTHER,
    ("RNNCell", {}, elman),
    ("LSTMCell", {}, lstm),
    ("GRUCell", {}, gru_after),
]


def paper_label(value):
    if isinstance(value, dict):
        return " ".join(f"{k}={v}" for k, v in value.items())
    return value if isinstance(value, str) else ""


def further(argument="name, options, paper", rows=PAPERS):
    return pytest.mark.parametrize(argument.split(", "), rows, ids=paper_label)


def random_values(module, rng):
    """Parameters away from their initial values, so that none is 0 or 1."""
    for p in module.parameters():
        p.data = rng.normal(size=p.shape)


def exact_gradient(f, arrays, name):
    """df/d(arrays[name]) by complex steps, where f takes a dict of arrays."""
    step, found = 1e-30, np.empty(arrays[name].shape)
    for index in np.ndindex(found.shape):
        moved = arrays[name].astype(complex)
        moved[index] += 1j * step
        found[index] = f({**arrays, name: moved}).imag / step
    return found


def one_cell(step, arrays, x, state, length, reverse=False, m=1.0):
    """The outputs of one sequence, zero past its end, and its last state."""
    outputs = [None] * len(x)
    for t in range(length)[:: -1 if reverse else 1]:
        state = step(arrays, x[t], state, m)
        outputs[t] = state[0]
    zero = np.zeros(len(state[0]))
    return np.stack([zero if y is None else y for y in outputs]), state


@further()
def test_cell_is_its_papers_equations(name, options, paper):
    rng = np.random.default_rng(1)
    cell = cell_class(name)(IN, H, dtype=np.float64, **options)
    random_values(cell, rng)
    sizes = parts(cell.state_size)
    values = {n: p.data for n, p in cell.named_parameters()}
    values["x"] = rng.normal(size=(T, N, IN))
    values.update({f"s{k}": rng.normal(size=(N, size)) for k, size in enumerate(sizes)})
    cotangents = [rng.normal(size=shape) for shape in [(T, N, sizes[0]), *((N, s) for s in sizes)]]

    def reference(v):
        runs = [
            one_cell(paper, v, v["x"][:, n], [v[f"s{k}"][n] for k in range(len(sizes))], T)
            for n in range(N)
        ]
        finals = [np.stack([state[k] for _, state in runs]) for k in range(len(sizes))]
        return [np.stack([ys for ys, _ in runs], axis=1), *finals]

    def loss(v):
        return sum((r * g).sum() for r, g in zip(reference(v), cotangents, strict=True))

    x = leaf(values["x"])
    starts = [leaf(values[f"s{k}"]) for k in range(len(sizes))]
    state, outputs = tuple(starts) if len(starts) > 1 else starts[0], []
    for x_t in x:
        state = cell(x_t, state)
        outputs.append(parts(state)[0])
    results = [tg.stack(outputs), *parts(state)]
    for k, (found, wanted) in enumerate(zip(results, reference(values), strict=True)):
        assert_close(found, wanted, 1e-12, f"result {k}")
    sum((r * g).sum() for r, g in zip(results, cotangents, strict=True)).backward()
    leaves = {**dict(cell.named_parameters()), "x": x}
    leaves.update({f"s{k}": s for k, s in enumerate(starts)})
    for n, tensor in leaves.items():
        assert_close(tensor.grad, exact_gradient(loss, values, n), 1e-10, f"d_{n}")


@further(rows=FURTHER)
def test_stack_in_both_directions_with_lengths_is_the_papers_equations(name, options, paper):
    rng = np.random.default_rng(2)
    lengths, hidden = [3, 1], 3 if "LayerNorm" in name else 2  # of two, LN makes 1 and -1
    layer = tg.rnn.Recurrent(
        cell_class(name), IN, hidden, 2, bidirectional=True, dtype=np.float64, **options
    )
    random_values(layer, rng)
    values = {n: p.data for n, p in layer.named_parameters()}
    values["x"] = rng.normal(size=(3, 2, IN))
    count = 2 if "LSTM" in name else 1
    values.update({f"s{k}": rng.normal(size=(4, 2, hidden)) for k in range(count)})
    g_output, g_finals = rng.normal(size=(3, 2, 2 * hidden)), rng.normal(size=(count, 4, 2, hidden))

    def reference(v):
        outputs, finals = [], []
        for n, length in enumerate(lengths):
            xs, forward, last = v["x"][:, n], None, []
            for k in range(4):
                layer_index, reverse = divmod(k, 2)
                suffix = f"_l{layer_index}" + "_reverse" * reverse
                own = {m.removesuffix(suffix): a for m, a in v.items() if m.endswith(suffix)}
                start = [v[f"s{j}"][k, n] for j in range(count)]
                ys, state = one_cell(paper, own, xs, start, length, bool(reverse))
                last.append(np.stack(state))
                if reverse:
                    xs = np.concatenate([forward, ys], axis=1)
                forward = ys
            outputs.append(xs)
            finals.append(np.stack(last, axis=1))
        return np.stack(outputs, axis=1), np.stack(finals, axis=2)

    def loss(v):
        output, finals = reference(v)
        return (output * g_output).sum() + (finals * g_finals).sum()

    x, starts = leaf(values["x"]), [leaf(values[f"s{k}"]) for k in range(count)]
    output, state = layer(x, tuple(starts) if count > 1 else starts[0], lengths=lengths)
    wanted_output, wanted_finals = reference(values)
    assert_close(output, wanted_output, 1e-12, "output")
    assert_close(tg.stack(parts(state)), wanted_finals, 1e-12, "state")
    ((output * g_output).sum() + (tg.stack(parts(state)) * g_finals).sum()).backward()
    leaves = {**dict(layer.named_parameters()), "x": x, "s0": starts[0]}
    for n, tensor in leaves.items():
        assert_close(tensor.grad, exact_gradient(loss, values, n), 1e-10, f"d_{n}")


@further(rows=FURTHER)
def test_second_derivatives(name, options, paper):
    layer = tg.rnn.Recurrent(cell_class(name), 2, 3, rng=1, **options)
    x = leaf(np.random.default_rng(0).normal(size=(2, 1, 2)))
    assert tg.gradgradcheck(layer, x, fast_mode=True)


def test_eps_of_layer_norm_is_used(rng):
    cell = tg.rnn.LayerNormLSTMCell(IN, H, eps=0.3, dtype=np.float64)
    random_values(cell, rng)
    values = {n: p.data for n, p in cell.named_parameters()}
    x, h, c = rng.normal(size=IN), rng.normal(size=H), rng.normal(size=H)
    found = cell(x, (h, c))
    for a, b in zip(found, layer_norm_lstm(values, x, (h, c), eps=0.3), strict=True):
        assert_close(a, b, 1e-12)


def test_coupled_lstm_is_an_lstm_whose_input_gate_mirrors_the_forget_gate(rng):
    coupled_cell = tg.rnn.CoupledLSTMCell(IN, H, dtype=np.float64, rng=1)
    full = tg.rnn.LSTMCell(IN, H, dtype=np.float64)
    for n, p in coupled_cell.named_parameters():
        f, g, o = np.split(p.data, 3)
        getattr(full, n).data = np.concatenate([-f, f, g, o])  # 1 - σ(a) = σ(-a)
    xs = rng.normal(size=(T, N, IN))
    found, wanted = tg.rnn.scan(coupled_cell, xs), tg.rnn.scan(full, xs)
    assert_close(found[0], wanted[0].data, 1e-12)
    assert_close(found[1].c, wanted[1].c.data, 1e-12)


# Parameters: names, shapes, initial values

SHAPES = {
    "PeepholeLSTMCell": (4, {"weight_ci": (H,), "weight_cf": (H,), "weight_co": (H,)}),
    "LayerNormLSTMCell": (
        4, {"gain_ih": (4 * H,), "gain_hh": (4 * H,), "gain_c": (H,), "bias_c": (H,)}
    ),
    "CoupledLSTMCell": (3, {}),
    "MGUCell": (2, {}),
    "IndRNNCell": (1, {"weight_hh": (H,)}),
    "GRUCell": (3, {}),
}  # fmt: skip


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", SHAPES)
def test_names_and_shapes_of_parameters(name, bias):
    gates, more = SHAPES[name]
    rows = gates * H
    expected = {"weight_ih": (rows, IN), "weight_hh": (rows, H)}
    expected.update({"bias_ih": (rows,), "bias_hh": (rows,)}, **more)
    if not bias:
        expected = {n: s for n, s in expected.items() if not n.startswith("bias")}
    cell = cell_class(name)(IN, H, bias)
    assert {n: p.shape for n, p in cell.named_parameters()} == expected
    assert {p.dtype for p in cell.parameters()} == {np.dtype(np.float32)}
    layer = tg.rnn.Recurrent(cell_class(name), IN, H, 2, bidirectional=True, bias=bias)
    flat = [n + suffix for suffix in ("_l0", "_l0_reverse", "_l1", "_l1_reverse") for n in expected]
    assert sorted(layer.state_dict()) == sorted(flat)
    assert [p.name for p in layer.parameters()] == [n for n, _ in layer.named_parameters()]


@pytest.mark.parametrize("name", ["PeepholeLSTMCell", "LayerNormLSTMCell", "CoupledLSTMCell"])
def test_shapes_with_projection(name):
    cell = cell_class(name)(IN, H, proj_size=2)
    gates = SHAPES[name][0]
    assert cell.weight_hh.shape == (gates * H, 2)
    assert cell.weight_hr.shape == (2, H)
    state = cell(np.ones((N, IN)))
    assert (state.h.shape, state.c.shape) == ((N, 2), (N, H))


@pytest.mark.parametrize("name", SHAPES)
def test_initial_values_fill_their_range(name):
    cell = cell_class(name)(50, 100, rng=0)  # bound 1 / √100
    for n, p in cell.named_parameters():
        values = p.data
        if n.startswith("gain"):
            assert (values == 1).all(), n
        elif name == "LayerNormLSTMCell" and n.startswith("bias"):
            assert (values == 0).all(), n
        elif name == "IndRNNCell" and n == "weight_hh":
            assert 0 <= values.min() < 0.05
            assert 0.95 < values.max() <= 1
        else:
            assert -0.1 <= values.min() < -0.09, n
            assert 0.09 < values.max() <= 0.1, n


@pytest.mark.parametrize("name", SHAPES)
def test_same_seed_gives_same_parameters_and_another_others(name):
    a, b, c = (cell_class(name)(IN, H, rng=seed).state_dict() for seed in (1, 1, 2))
    assert all((a[n] == b[n]).all() for n in a)
    assert not (a["weight_hh"] == c["weight_hh"]).any()


LSTMS = ["LSTMCell", "PeepholeLSTMCell", "LayerNormLSTMCell", "CoupledLSTMCell"]


@pytest.mark.parametrize("name", LSTMS)
def test_forget_bias_opens_the_forget_gate(name):
    cell = cell_class(name)(IN, H, forget_bias=1.5, dtype=np.float64, rng=3)
    if name == "PeepholeLSTMCell":
        cell.weight_ci.data, cell.weight_cf.data = np.zeros(H), np.zeros(H)
    c = leaf(np.full(H, 0.7))
    new = cell(np.zeros(IN), (np.zeros(H), c))
    new.c.backward(np.arange(1.0, H + 1))  # ∂c'/∂c = f
    assert_close(c.grad, np.arange(1.0, H + 1) / (1 + np.exp(-1.5)), 1e-12)


@pytest.mark.parametrize("name", LSTMS)
def test_forget_bias_leaves_everything_else_as_it_is_drawn(name):
    plain = cell_class(name)(IN, H, rng=3).state_dict()
    biased = cell_class(name)(IN, H, rng=3, forget_bias=1.5).state_dict()
    start = 0 if name == "CoupledLSTMCell" else H
    for n in plain:
        changed = np.zeros(plain[n].shape, bool)
        if n in ("bias_ih", "bias_hh"):
            changed[start : start + H] = True
            assert (biased[n][changed] == (1.5 if n == "bias_ih" else 0)).all()
        assert (plain[n][~changed] == biased[n][~changed]).all(), n


@pytest.mark.parametrize("name", LSTMS)
def test_forget_bias_without_a_bias_raises(name):
    with pytest.raises(ValueError, match=all_of("forget_bias", "bias=False")):
        cell_class(name)(IN, H, bias=False, forget_bias=1.0)


@pytest.mark.parametrize("proj_size", [0, 2])
@pytest.mark.parametrize("name", ["RNNCell", "GRUCell", "MGUCell", *LSTMS])
def test_orthogonal_recurrent_weights_gate_by_gate(name, proj_size):
    if proj_size and name not in LSTMS:
        pytest.skip("has no projection")
    options = {"proj_size": proj_size} if proj_size else {}
    make = cell_class(name)
    cell = make(IN, H, recurrent_init="orthogonal", dtype=np.float64, rng=1, **options)
    blocks = np.split(cell.weight_hh.data, make.gates)
    for block in blocks:
        np.testing.assert_allclose(block.T @ block, np.eye(proj_size or H), atol=1e-12)
    for a, b in itertools.combinations(blocks, 2):
        assert abs(a - b).max() > 0.1
    plain = make(IN, H, dtype=np.float64, rng=1, **options)
    assert (plain.weight_ih.data == cell.weight_ih.data).all()


def test_unknown_recurrent_init_names_the_choices():
    with pytest.raises(ValueError, match=all_of("recurrent_init", "orthogonal", "identity")):
        tg.rnn.MGUCell(IN, H, recurrent_init="identity")


@pytest.mark.parametrize("name", SHAPES)
def test_wrong_cell_argument_names_what_there_is(name):
    with pytest.raises(TypeError, match=all_of(name, "'biass'", "bias")):
        cell_class(name)(IN, H, biass=True)
    with pytest.raises(TypeError, match=all_of(name, "'biass'", "bias")):
        tg.rnn.Recurrent(cell_class(name), IN, H, biass=True)


# As layers


def stack_of(name, options, **more):
    return tg.rnn.Recurrent(
        cell_class(name), IN, H, 2, bidirectional=True, **options, **{"rng": 4, **more}
    )


def run(layer, xs=None, lengths=(4, 2)):
    xs = np.random.default_rng(6).normal(size=(T, N, layer.input_size)) if xs is None else xs
    return layer(xs, lengths=lengths)[0].data


@further(rows=FURTHER)
def test_state_dict_round_trip(name, options, paper):
    a, b = stack_of(name, options), stack_of(name, options, rng=5)
    assert (run(a) != run(b)).any()
    saved = a.state_dict()
    b.load_state_dict(saved)
    assert (run(a) == run(b)).all()
    saved["weight_ih_l0"][:] = 9  # copies
    assert (run(a) == run(b)).all()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
@further(rows=FURTHER)
def test_copies_are_equal_and_apart(name, options, paper, copied):
    layer = stack_of(name, options)
    before = run(layer)
    other = copied(layer)
    assert (run(other) == before).all()
    names = [n for n, _ in layer.named_parameters()]
    assert [n for n, _ in other.named_parameters()] == names
    assert [p.name for p in other.parameters()] == names
    optimiser = tg.optim.SGD(other.parameters(), lr=0.1)
    output, _ = other(np.ones((T, N, IN)))
    (output * output).sum().backward()
    optimiser.step()
    assert (run(layer) == before).all()
    assert (run(other) != before).any()
    assert all(p.grad is None for p in layer.parameters())


@further(rows=FURTHER)
def test_conversion_to_float64(name, options, paper):
    layer = stack_of(name, options)
    assert run(layer).dtype == np.float32
    single = run(layer)
    assert layer.to(np.float64) is layer
    assert run(layer).dtype == np.float64
    assert {p.dtype for p in layer.parameters()} == {np.dtype(np.float64)}
    np.testing.assert_allclose(run(layer), single, atol=1e-5)


@further(rows=FURTHER)
def test_optimiser_over_a_layers_parameters_trains(name, options, paper):
    layer = tg.rnn.Recurrent(cell_class(name), 1, 8, rng=1, **options)
    out = tg.nn.Linear(8, 1, rng=2)
    optimiser = tg.optim.Adam([*layer.parameters(), *out.parameters()], lr=0.02)
    xs = np.random.default_rng(3).normal(size=(5, 16, 1))
    target, losses = xs.mean(0), []
    before = layer.state_dict()
    for _ in range(80):
        optimiser.zero_grad()
        assert all(p.grad is None for p in layer.parameters())
        error = out(layer(xs)[0][-1]) - target
        loss = (error * error).mean()
        loss.backward()
        optimiser.step()
        losses.append(float(loss))
    assert losses[-1] < 0.3 * losses[0]
    assert all((before[n] != p.data).any() for n, p in layer.named_parameters())


def two_layers(kind="GRU", **options):
    return getattr(tg.nn, kind)(H, H, 2, dtype=np.float64, rng=7, **options)


def gradients_of(layer, xs):
    layer.zero_grad()
    output, _ = layer(xs)
    output.backward(np.random.default_rng(8).normal(size=output.shape))
    return {n: p.grad.data for n, p in layer.named_parameters()}


def test_a_shared_parameter_gets_both_gradients_and_counts_once(rng):
    xs = rng.normal(size=(T, N, H))
    apart = two_layers()
    apart.weight_hh_l1.data = apart.weight_hh_l0.data.copy()
    wanted = gradients_of(apart, xs)
    tied = two_layers()
    tied.weight_hh_l1 = tied.weight_hh_l0
    assert tied.weight_hh_l1 is tied.weight_hh_l0
    found = gradients_of(tied, xs)
    assert found.keys() == wanted.keys() - {"weight_hh_l1"}
    for n in found:
        more = wanted["weight_hh_l1"] if n == "weight_hh_l0" else 0
        np.testing.assert_allclose(found[n], wanted[n] + more, rtol=1e-12, atol=1e-14)
    assert tied.weight_hh_l0.name == "weight_hh_l0"
    assert tied.state_dict().keys() == apart.state_dict().keys()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_keeps_parameters_shared(copied):
    tied = two_layers()
    tied.weight_hh_l1 = tied.weight_hh_l0
    other = copied(tied)
    assert other.weight_hh_l1 is other.weight_hh_l0
    assert other.weight_hh_l0 is not tied.weight_hh_l0


@pytest.mark.parametrize("name", ["weight_hh_l1", "weight_ih_l0", "bias_hh_l0"])
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_a_computed_tensor_in_place_of_a_parameter(kind, name, rng):
    xs, plain = rng.normal(size=(T, N, H)), two_layers(kind)
    wanted = gradients_of(plain, xs)
    layer = two_layers(kind)
    half = tg.nn.Parameter(getattr(layer, name).data / 2)
    setattr(layer, name, 2 * half)
    assert name not in dict(layer.named_parameters())
    output, _ = layer(xs)
    assert_close(output, plain(xs)[0].data, 1e-12)
    output.backward(np.random.default_rng(8).normal(size=output.shape))
    np.testing.assert_allclose(half.grad.data, 2 * wanted[name], rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_none_in_place_of_a_bias_is_a_bias_of_zero(kind, rng):
    xs, zero, none = rng.normal(size=(T, N, H)), two_layers(kind), two_layers(kind)
    zero.bias_hh_l0.data = np.zeros_like(zero.bias_hh_l0.data)
    none.bias_hh_l0 = None
    assert none.bias_hh_l0 is None
    assert "bias_hh_l0" not in none.state_dict()
    assert_close(none(xs)[0], zero(xs)[0].data, 1e-12)


def test_a_new_parameter_takes_the_flat_name(rng):
    layer = two_layers()
    new = tg.nn.Parameter(rng.normal(size=(3 * H, H)))
    layer.weight_hh_l1 = new
    assert dict(layer.named_parameters())["weight_hh_l1"] is new
    assert new.name == "weight_hh_l1"
    assert "weight_hh_l1" in gradients_of(layer, rng.normal(size=(T, N, H)))


@pytest.mark.parametrize("value", [np.zeros((3 * H, H)), 1.0, tg.Tensor(np.zeros((3 * H, H)))])
def test_wrong_replacement_of_a_parameter_raises_and_changes_nothing(value):
    layer = two_layers()
    before = layer.weight_hh_l0
    with pytest.raises(TypeError, match=all_of("weight_hh_l0", "Parameter", ".data =")):
        layer.weight_hh_l0 = value
    assert layer.weight_hh_l0 is before


def test_unknown_attribute_names_the_nearest():
    layer = two_layers("LSTM", bidirectional=True)
    for wrong, right in (
        ("weight_hh_l2", "weight_hh_l1"),
        ("weigth_ih_l0", "weight_ih_l0"),
        ("bias_hh_l1_revers", "bias_hh_l1_reverse"),
    ):
        with pytest.raises(AttributeError, match=all_of("LSTM", wrong, right)):
            getattr(layer, wrong)
    assert not hasattr(layer, "weight_hr_l0")


def test_dir_lists_flat_names():
    layer = stack_of("PeepholeLSTMCell", {})
    assert {n for n, _ in layer.named_parameters()} <= set(dir(layer))
    assert "weight_co_l1_reverse" in dir(layer)


# Activations


def tanh_of(x):
    return np.tanh(x)


@pytest.mark.parametrize("name", ["LSTMCell", *(n for n in SHAPES if n != "IndRNNCell")])
def test_activation_by_name_equals_the_function(name, rng):
    make, xs = cell_class(name), rng.normal(size=(T, N, IN))

    def output(**options):
        return tg.rnn.scan(make(IN, H, dtype=np.float64, rng=1, **options), xs)[0].data

    plain = output()
    np.testing.assert_allclose(output(activation=tanh_of), plain, rtol=1e-12, atol=1e-15)
    assert (output(activation="tanh", recurrent_activation="sigmoid") == plain).all()
    for option, other in (("activation", "softsign"), ("recurrent_activation", "hardsigmoid")):
        by_name = output(**{option: other})
        by_function = output(
            **{option: getattr(tg, other, None) or getattr(tg.nn.functional, other)}
        )
        assert (by_name == by_function).all()
        assert (by_name != plain).any()
    with pytest.raises(ValueError, match=all_of("tahn", "'tanh'")):
        make(IN, H, activation="tahn")
    with pytest.raises(ValueError, match=all_of("sigmoyd", "'sigmoid'")):
        make(IN, H, recurrent_activation="sigmoyd")


def test_linear_activation_is_the_identity(rng):
    cell = tg.rnn.LSTMCell(IN, H, activation="linear", dtype=np.float64)
    x, h, c = rng.normal(size=IN), rng.normal(size=H), rng.normal(size=H)
    p = {n: v.data for n, v in cell.named_parameters()}
    i, f, g, o = net(p, x, h, 4)
    wanted = sigmoid(f) * c + sigmoid(i) * g
    found = cell(x, (h, c))
    assert_close(found.c, wanted, 1e-12)
    assert_close(found.h, sigmoid(o) * wanted, 1e-12)


class Rectified(tg.rnn.LSTMCell):
    def projected(self, h):
        return h.relu()


@pytest.mark.parametrize("make", [
    lambda: tg.nn.RNN(IN, H, nonlinearity=lambda a: a.tanh()),
    lambda: tg.nn.GRU(IN, H, activation=lambda a: a.tanh()),
    lambda: tg.rnn.Recurrent(Rectified, IN, H),
])  # fmt: skip
def test_functions_that_use_methods_of_tensors_work_without_a_graph(make):
    layer = make()
    wanted = run(layer)
    with tg.no_grad():
        assert_close(run(layer), wanted, 1e-6)


@pytest.mark.parametrize("make", [tg.nn.RNN, tg.rnn.IndRNNCell])
def test_callable_nonlinearity(make, rng):
    layer = make(IN, H, nonlinearity=np.arctan, dtype=np.float64, rng=1)
    p = {n.removesuffix("_l0"): v.data for n, v in layer.named_parameters()}
    x, h = rng.normal(size=(1, IN)), rng.normal(size=(1, H))
    recurrent = h @ p["weight_hh"].T if make is tg.nn.RNN else h * p["weight_hh"]
    wanted = np.arctan(x @ p["weight_ih"].T + recurrent + p["bias_ih"] + p["bias_hh"])
    assert_close(parts(layer(x, h))[0], wanted, 1e-12)


def test_unknown_nonlinearity_of_indrnn_has_a_hint():
    with pytest.raises(ValueError, match=all_of("rellu", "'relu'")):
        tg.rnn.IndRNNCell(IN, H, nonlinearity="rellu")


# Zoneout


def plus_one(x, state):
    """A cell whose every element changes at every step."""
    return tuple(s + 1 for s in state) if isinstance(state, tuple) else state + 1


def share_near(values, p):
    """Whether the mean of booleans is p, within five standard deviations."""
    return abs(values.mean() - p) < 5 * np.sqrt(p * (1 - p) / values.size)


def test_zoneout_keeps_its_share_of_each_part():
    cell = tg.rnn.Zoneout(plus_one, (0.1, 0.6), rng=0)
    zeros = np.zeros((100, 40))
    _, (h, c) = tg.rnn.scan(cell, np.zeros((1, 100, 1)), (zeros, zeros))
    assert set(np.unique(h)) == {0, 1}
    assert share_near(h == 0, 0.1)
    assert share_near(c == 0, 0.6)
    assert share_near((h == 0) & (c == 0), 0.06)  # drawn apart


def test_zoneout_draws_anew_at_every_step():
    cell = tg.rnn.Zoneout(plus_one, 0.3, rng=0)
    ys, _ = tg.rnn.scan(cell, np.zeros((2, 100, 1)), np.zeros((100, 40)))
    first, second = ys[0] == 0, ys[1] == ys[0]
    assert share_near(first, 0.3)
    assert share_near(second, 0.3)
    assert share_near(first & second, 0.09)


@pytest.mark.parametrize("name", ["GRUCell", "LSTMCell", "IndRNNCell"])
def test_zoneout_in_eval_is_the_expectation(name, rng):
    inner = cell_class(name)(IN, H, dtype=np.float64, rng=1)
    p = (0.1, 0.6) if name == "LSTMCell" else 0.3
    xs = rng.normal(size=(T, N, IN))
    found, last = tg.rnn.scan(tg.rnn.Zoneout(inner, p).eval(), xs)
    state = [np.zeros((N, H)) for _ in parts(inner.state_size)]
    for t in range(T):
        new = parts(inner(xs[t], tuple(state) if len(state) > 1 else state[0]))
        shares = p if isinstance(p, tuple) else (p,)
        state = [k * s + (1 - k) * n.data for k, s, n in zip(shares, state, new, strict=True)]
        assert_close(found[t], state[0], 1e-14)
    for a, b in zip(parts(last), state, strict=True):
        assert_close(a, b, 1e-14)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ["GRUCell", "LSTMCell"])
def test_zoneout_of_zero_is_the_plain_cell_and_of_one_keeps_the_state(name, training, rng):
    inner = cell_class(name)(IN, H, dtype=np.float64, rng=1)
    xs = rng.normal(size=(T, N, IN))
    start = tuple(rng.normal(size=(N, H)) for _ in parts(inner.state_size))
    start = start if len(start) > 1 else start[0]
    ys, _ = tg.rnn.scan(tg.rnn.Zoneout(inner, 0.0).train(training), xs, start)
    plain = tg.rnn.scan(inner, xs, start)[0].data
    np.testing.assert_allclose(ys.data, plain, rtol=1e-12, atol=1e-15)
    ys, last = tg.rnn.scan(tg.rnn.Zoneout(inner, 1.0).train(training), xs, start)
    assert (ys.data == parts(start)[0]).all()
    assert all((a.data == b).all() for a, b in zip(parts(last), parts(start), strict=True))


@pytest.mark.parametrize("p", [-0.1, 1.1, "a", None, (0.1, 2.0)])
def test_wrong_probability_raises(p):
    with pytest.raises((ValueError, TypeError), match="0, 1"):
        tg.rnn.Zoneout(tg.rnn.GRUCell(IN, H), p)
    if not isinstance(p, tuple):
        with pytest.raises((ValueError, TypeError), match="0, 1"):
            tg.rnn.RecurrentDropout(tg.rnn.GRUCell(IN, H), p)


def test_zoneout_with_probabilities_for_another_number_of_parts_raises():
    cell = tg.rnn.Zoneout(tg.rnn.LSTMCell(IN, H), (0.1, 0.2, 0.3))
    with pytest.raises(ValueError, match=all_of("Zoneout", "3", "2 parts")):
        tg.rnn.scan(cell, np.ones((T, N, IN)))


# RecurrentDropout


def seeing(seen):
    """A cell that notes the state that it is given; its new state is all ones."""

    def cell(x, h):
        seen.append(np.array(getattr(h, "data", h)))
        return np.ones_like(seen[-1])

    return cell


class Called(tg.nn.Module):
    """A module that calls a function."""

    def __init__(self, function):
        self.forward = function


@pytest.mark.parametrize("kind", [lambda f: f, Called])
def test_recurrent_dropout_has_one_mask_for_each_sequence(kind):
    seen = []
    cell = tg.rnn.RecurrentDropout(kind(seeing(seen)), 0.3, rng=0)
    for _ in range(2):
        tg.rnn.scan(cell, np.zeros((3, 50, 1)), np.ones((50, 40)))
    first, second = seen[:3], seen[3:]
    for masks in (first, second):
        assert all((m == masks[0]).all() for m in masks)  # over time
        assert set(np.unique(masks[0])) == {0, 1 / 0.7}
        assert share_near(masks[0] == 0, 0.3)
        assert not (masks[0][0] == masks[0][1]).all()  # between sequences
    assert share_near((first[0] == 0) & (second[0] == 0), 0.09)  # between calls


def test_recurrent_dropout_masks_the_first_part_only_of_a_plain_cells_state():
    seen = []

    def cell(x, state):
        seen.append(state)
        return state

    ones = np.ones((50, 40))
    tg.rnn.scan(tg.rnn.RecurrentDropout(cell, 0.5, rng=0), np.zeros((1, 50, 1)), (ones, ones))
    assert share_near(seen[0][0] == 0, 0.5)
    assert (seen[0][1] == 1).all()


def test_recurrent_dropout_scales_a_state_of_integers_too():
    seen = []
    cell = tg.rnn.RecurrentDropout(seeing(seen), 0.3, rng=0)
    tg.rnn.scan(cell, np.zeros((1, 50, 1)), np.ones((50, 40), int))
    assert set(np.unique(seen[0])) == {0, 1 / 0.7}


@pytest.mark.parametrize("p", [0.4, 1.0])
@further(rows=MASKED)
def test_recurrent_dropout_is_in_the_recurrent_product_only(name, options, paper, p):
    rng = np.random.default_rng(9)
    cell = cell_class(name)(IN, H, dtype=np.float64, **options)
    random_values(cell, rng)
    values = {n: v.data for n, v in cell.named_parameters()}
    mask = (np.random.default_rng(5).random((N, H)) >= p) / (1 - p if p < 1 else 1)
    assert p == 1 or len(np.unique(mask)) == 2
    count = len(parts(cell.state_size))
    values["x"] = rng.normal(size=(T, N, IN))
    starts = [rng.normal(size=(N, H)) for _ in range(count)]
    g = rng.normal(size=(T, N, H))

    def reference(v):
        runs = [
            one_cell(paper, v, v["x"][:, n], [s[n] for s in starts], T, m=mask[n])[0]
            for n in range(N)
        ]
        return np.stack(runs, axis=1)

    wrapped = tg.rnn.RecurrentDropout(cell, p, rng=5)
    x = leaf(values["x"])
    ys, _ = tg.rnn.scan(wrapped, x, tuple(starts) if count > 1 else starts[0])
    assert_close(ys, reference(values), 1e-12)
    ys.backward(g)
    for n, tensor in (("x", x), ("weight_hh", cell.weight_hh)):
        wanted = exact_gradient(lambda v: (reference(v) * g).sum(), values, n)
        assert_close(tensor.grad, wanted, 1e-10, n)


@further(rows=MASKED)
def test_recurrent_dropout_in_eval_or_of_zero_is_the_plain_cell(name, options, paper):
    cell = cell_class(name)(IN, H, rng=1, **options)
    xs = np.random.default_rng(0).normal(size=(T, N, IN))
    plain = tg.rnn.scan(cell, xs)[0].data
    off = tg.rnn.RecurrentDropout(cell, 0.9).eval()
    assert (tg.rnn.scan(off, xs)[0].data == plain).all()
    assert (tg.rnn.scan(tg.rnn.RecurrentDropout(cell.train(), 0.0), xs)[0].data == plain).all()
    assert (tg.rnn.scan(off.train(), xs)[0].data != plain).any()
    assert (tg.rnn.scan(cell, xs)[0].data == plain).all()  # the cell itself is left alone


class Deaf(tg.rnn.Cell):
    """Doesn't read h through recurrent_input."""

    def equations(self, x, h):
        return np.tanh(x @ self.weight_ih.T + h @ self.weight_hh.T)


@pytest.mark.parametrize("around", [lambda c: c, tg.rnn.Zoneout, tg.rnn.Residual])
def test_recurrent_dropout_without_effect_raises(around):
    cell = tg.rnn.RecurrentDropout(around(Deaf(H, H)), 0.5)
    xs = np.ones((T, N, H))
    with pytest.raises(RuntimeError, match=all_of("RecurrentDropout", "Deaf", "recurrent_input")):
        tg.rnn.scan(cell, xs)
    tg.rnn.scan(cell.eval(), xs)


# Residual


def test_residual_adds_the_input_to_the_output_and_not_to_the_state(rng):
    inner = tg.rnn.LSTMCell(H, H, dtype=np.float64, rng=1)
    xs = rng.normal(size=(T, N, H))
    ys, state = tg.rnn.scan(tg.rnn.Residual(inner), xs)
    plain, plain_state = tg.rnn.scan(inner, xs)
    assert (ys.data == plain.data + xs).all()
    assert (state.h.data == plain_state.h.data).all()
    assert (state.c.data == plain_state.c.data).all()


def test_a_residual_stack_is_its_layers_one_after_the_other(rng):
    stack = tg.nn.GRU(H, H, 3, wrap=tg.rnn.Residual, dtype=np.float64, rng=1)
    x = xs = rng.normal(size=(T, N, H))
    for k in range(3):
        single = tg.nn.GRU(H, H, dtype=np.float64)
        of_layer = {n: a for n, a in stack.state_dict().items() if n.endswith(f"_l{k}")}
        single.load_state_dict({n.replace(f"_l{k}", "_l0"): a for n, a in of_layer.items()})
        x = single(x)[0].data + x
    assert_close(stack(xs)[0], x, 1e-12)


def test_residual_of_other_sizes_raises():
    layer = tg.nn.GRU(IN, H, wrap=tg.rnn.Residual)
    with pytest.raises(ValueError, match=all_of("Residual", "(2, 3)", "(2, 5)", "GRUCell")):
        layer(np.ones((T, N, IN)))


# Wrappers in general


def in_order(order, cell, zoneout=0.3, drop=0.4):
    """The cell in all three wrappers, the first of `order` innermost."""
    makers = {
        "zoneout": lambda c: tg.rnn.Zoneout(c, zoneout, rng=3),
        "dropout": lambda c: tg.rnn.RecurrentDropout(c, drop, rng=4),
        "residual": tg.rnn.Residual,
    }
    for kind in order:
        cell = makers[kind](cell)
    return cell


ORDERS = list(itertools.permutations(["zoneout", "dropout", "residual"]))


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_wrappers_work_in_any_order(order, rng):
    cell = tg.rnn.GRUCell(H, H, dtype=np.float64, rng=1)
    values = {n: p.data for n, p in cell.named_parameters()}
    xs, h0 = rng.normal(size=(T, N, H)), rng.normal(size=(N, H))
    wrapped = in_order(order, cell)
    mask = (np.random.default_rng(4).random((N, H)) >= 0.4) / 0.6
    draws = np.random.default_rng(3)
    h = h0
    ys, last = tg.rnn.scan(wrapped, xs, h0)
    for t in range(T):
        new = np.stack([gru_after(values, xs[t, n], [h[n]], mask[n])[0] for n in range(N)])
        h = np.where(draws.random((N, H)) < 0.3, h, new)
        assert_close(ys[t], h + xs[t], 1e-12, f"step {t}")
    assert_close(last, h, 1e-12)
    h = h0
    ys, _ = tg.rnn.scan(wrapped.eval(), xs, h0)
    for t in range(T):
        h = 0.3 * h + 0.7 * cell(xs[t], h).data
        assert_close(ys[t], h + xs[t], 1e-12, f"eval, step {t}")
    assert dict(wrapped.named_parameters()).keys() == values.keys()


def test_recurrent_dropout_twice_is_the_product_of_both_masks(rng):
    cell = tg.rnn.GRUCell(IN, H, dtype=np.float64, rng=1)
    values = {n: p.data for n, p in cell.named_parameters()}
    twice = tg.rnn.RecurrentDropout(tg.rnn.RecurrentDropout(cell, 0.3, rng=1), 0.4, rng=2)
    x, h = rng.normal(size=(1, N, IN)), rng.normal(size=(N, H))
    mask = (np.random.default_rng(1).random((N, H)) >= 0.3) / 0.7
    mask *= (np.random.default_rng(2).random((N, H)) >= 0.4) / 0.6
    wanted = [gru_after(values, x[0, n], [h[n]], mask[n])[0] for n in range(N)]
    assert_close(tg.rnn.scan(twice, x, h)[1], np.stack(wanted), 1e-12)


def test_zoneout_twice_keeps_what_either_keeps():
    cell = tg.rnn.Zoneout(tg.rnn.Zoneout(plus_one, 0.3, rng=1), 0.4, rng=2)
    _, h = tg.rnn.scan(cell, np.zeros((1, 100, 1)), np.zeros((100, 40)))
    assert share_near(h == 0, 1 - 0.7 * 0.6)


def test_train_and_eval_reach_the_innermost_cell():
    layer = tg.nn.LSTM(H, H, 2, bidirectional=True, wrap=lambda cell: in_order(ORDERS[0], cell))

    def all_modes():
        for cell in layer._cells:
            while isinstance(cell, tg.rnn.Wrapper):
                yield cell.training
                cell = cell.cell
            yield cell.training

    assert set(all_modes()) == {True}
    layer.eval()
    assert set(all_modes()) == {False}
    assert len(list(all_modes())) == 16
    tg.nn.Sequential(layer).train()
    assert set(all_modes()) == {True}


@pytest.mark.parametrize("wrap", [
    lambda c: tg.rnn.Zoneout(c, 0.0),
    lambda c: tg.rnn.RecurrentDropout(c, 0.0),
    lambda c: tg.rnn.Zoneout(tg.rnn.RecurrentDropout(c, 0.0), 0.0),
])  # fmt: skip
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_wrapped_layer_keeps_the_names_of_torch_and_loads_its_state(kind, wrap):
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn, kind)(IN, H, 2, bidirectional=True, dtype=torch.float64)
    ours = getattr(tg.nn, kind)(IN, H, 2, bidirectional=True, dtype=np.float64, wrap=wrap)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict({n: t.numpy() for n, t in theirs.state_dict().items()})
    xs = np.random.default_rng(0).normal(size=(T, N, IN))
    output, _ = theirs(torch.tensor(xs))
    assert_close(ours(xs)[0], output.detach().numpy(), 1e-12)
    output.sum().backward()
    ours(xs)[0].sum().backward()
    for n, p in theirs.named_parameters():
        assert_close(getattr(ours, n).grad, p.grad.numpy(), 1e-10, n)


@pytest.mark.parametrize("wrap", [
    lambda seed: lambda c: tg.rnn.Zoneout(c, 0.5, rng=seed),
    lambda seed: lambda c: tg.rnn.RecurrentDropout(c, 0.5, rng=seed),
])  # fmt: skip
def test_same_seed_gives_same_masks(wrap):
    a, b, c = (run(tg.nn.LSTM(IN, H, rng=1, wrap=wrap(seed))) for seed in (1, 1, 2))
    assert (a == b).all()
    assert (a != c).any()


@pytest.mark.parametrize("wrapper", [tg.rnn.Zoneout, tg.rnn.RecurrentDropout])
def test_masks_without_a_seed_follow_manual_seed(wrapper):
    layer = tg.nn.LSTM(IN, H, rng=1, wrap=lambda c: wrapper(c, 0.5))
    tg.manual_seed(3)
    first, second = run(layer), run(layer)
    tg.manual_seed(3)
    assert (run(layer) == first).all()
    assert (first != second).any()


def test_a_wrapped_layer_runs_on_every_kind_of_call(rng):
    layer = tg.nn.LSTM(H, H, 2, wrap=lambda c: in_order(ORDERS[0], c), dtype=np.float64).eval()
    xs = rng.normal(size=(T, N, H))
    whole, last = layer(xs)
    with tg.no_grad():
        assert_close(layer(xs)[0], whole.data, 1e-14)
    state = None
    for t in range(T):
        y, state = layer.step(xs[t], state)
        assert_close(y, whole[t].data, 1e-14)
    assert_close(state.c, last.c.data, 1e-14)
    short, _ = layer(xs, lengths=[2, T])
    assert_close(short[:2], whole[:2].data, 1e-14)
    assert not short[2:, 0].data.any()


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_without_a_graph_wrappers_draw_and_compute_the_same(order, rng):
    def layer():
        return tg.nn.LSTM(H, H, wrap=lambda c: in_order(order, c), dtype=np.float64, rng=1)

    xs = rng.normal(size=(T, N, H))
    wanted, state = layer()(xs)
    with tg.no_grad():
        found, last = layer()(xs)
    assert_close(found, wanted.data, 1e-14)
    assert_close(last.c, state.c.data, 1e-14)


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_a_step_without_a_graph_draws_and_computes_the_same(order, rng):
    x, state, found = rng.normal(size=(N, H)), rng.normal(size=(1, N, H)), []
    for context in (tg.enable_grad, tg.no_grad):
        layer = tg.nn.GRU(H, H, wrap=lambda c: in_order(order, c), dtype=np.float64, rng=1)
        with context():
            found.append([layer.step(x, state)[0].data for _ in range(2)])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-14)
    assert (found[0][0] != found[0][1]).any()


def test_changes_of_a_cell_have_effect_without_a_graph(rng):
    layer = tg.nn.GRU(IN, H, wrap=lambda c: tg.rnn.Zoneout(c, 0.5), dtype=np.float64, rng=1).eval()
    xs, state = rng.normal(size=(T, N, IN)), rng.normal(size=(1, N, H))
    source = tg.nn.Parameter(rng.normal(size=(3 * H, H)))

    def halved():
        layer.weight_ih_l0.data[...] /= 2

    def results():
        return np.stack([*layer(xs, state)[0].data, layer.step(xs[0], state)[0].data])

    before = None
    for change in (
        halved,
        lambda: setattr(layer.weight_ih_l0, "data", np.ones((3 * H, IN))),
        lambda: setattr(layer, "weight_hh_l0", 2 * source),
        lambda: setattr(layer, "bias_hh_l0", None),
        lambda: setattr(layer._cells[0].cell, "activation", "relu"),
        lambda: setattr(layer._cells[0], "p", 0.1),
        layer.train,
    ):
        with tg.no_grad():
            results()
        change()
        with tg.no_grad():
            found = results()
        if not layer.training:
            np.testing.assert_allclose(found, results(), rtol=1e-12)
        assert before is None or (found != before).any()
        before = found


@pytest.mark.parametrize("order", ORDERS[::2], ids="-".join)
def test_recomputed_stretches_use_the_same_masks(order, rng):
    xs, g, found = rng.normal(size=(5, N, H)), rng.normal(size=(5, N, H)), []
    for stretch in (None, 2):
        layer = tg.nn.LSTM(
            H, H, wrap=lambda c: in_order(order, c), dtype=np.float64, rng=1,
            checkpoint_every=stretch,
        )  # fmt: skip
        output, _ = layer(xs)
        output.backward(g)
        found.append({"output": output, **{n: p.grad for n, p in layer.named_parameters()}})
    for n, tensor in found[0].items():
        assert_close(found[1][n], tensor.data, 1e-12, n)


@pytest.mark.parametrize("number", [float, np.float64])
def test_wrapped_layers_stay_in_float32(number):
    p = number(0.3), number(0.4)
    layer = tg.nn.LSTM(H, H, wrap=lambda cell: in_order(ORDERS[0], cell, *p))
    for mode in (True, False):
        output, state = layer.train(mode)(np.ones((T, N, H)))
        assert {output.dtype, state.h.dtype, state.c.dtype} == {np.dtype(np.float32)}


def test_a_wrapper_hands_on_the_attributes_of_its_cell():
    cell = tg.rnn.LSTMCell(IN, H)
    wrapped = tg.rnn.Zoneout(tg.rnn.RecurrentDropout(cell, 0.5), 0.5)
    assert wrapped.weight_ih is cell.weight_ih
    assert (wrapped.hidden_size, wrapped.output_size, wrapped.input_size) == (H, H, IN)
    new = tg.nn.Parameter(np.zeros((4 * H, IN)))
    wrapped.weight_ih = new
    assert cell.weight_ih is new
    assert dict(wrapped.named_parameters())["weight_ih"] is new
    with pytest.raises(TypeError, match=all_of("weight_ih", "Parameter")):
        wrapped.weight_ih = np.zeros((4 * H, IN))
    with pytest.raises(AttributeError, match="weight_ij"):
        _ = wrapped.weight_ij


def test_replacing_a_parameter_of_a_wrapped_layer_has_effect(rng):
    layer = tg.nn.GRU(IN, H, wrap=lambda c: tg.rnn.Zoneout(c, 0.5), dtype=np.float64, rng=1).eval()
    xs = rng.normal(size=(T, N, IN))
    before = layer(xs)[0].data
    source = tg.nn.Parameter(layer.weight_hh_l0.data + 1)
    layer.weight_hh_l0 = source - 1
    assert_close(layer(xs)[0], before, 1e-12)
    layer(xs)[0].sum().backward()
    assert source.grad.data.any()
    layer.weight_hh_l0 = tg.nn.Parameter(np.zeros((3 * H, H)))
    assert (layer(xs)[0].data != before).any()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_of_wrapped_layers_are_equal_and_apart(copied):
    layer = tg.nn.LSTM(H, H, 2, wrap=lambda c: in_order(ORDERS[0], c), rng=1)
    other = copied(layer)
    assert [p.name for p in other.parameters()] == [p.name for p in layer.parameters()]
    assert (run(copied(layer)) == run(other)).all()  # masks and all
    before = run(layer.eval())
    other.weight_ih_l0.data = np.zeros((4 * H, H))
    assert (run(layer) == before).all()
    assert (run(other.eval()) != before).any()


@pytest.mark.parametrize("wrapper", [tg.rnn.Zoneout, tg.rnn.RecurrentDropout, tg.rnn.Residual])
@pytest.mark.parametrize("wrong", [tg.rnn.LSTMCell, None, 3])
def test_a_wrapper_takes_an_instance(wrapper, wrong):
    with pytest.raises(TypeError, match=all_of(wrapper.__name__, "LSTMCell(3, 4)")):
        wrapper(wrong)


def test_repr_of_wrappers_shows_what_is_inside():
    text = repr(in_order(("dropout", "zoneout", "residual"), tg.rnn.GRUCell(H, H)))
    assert text == "Residual(Zoneout(RecurrentDropout(GRUCell(5, 5), p=0.4), p=0.3))"


# One's own cell


class Leaky(tg.nn.Module):
    """A module: h' = (1 - a) h + a tanh(W x + U h)."""

    def __init__(self, input_size, hidden_size):
        self.hidden_size = hidden_size
        draw = np.random.default_rng(input_size).normal
        self.W = tg.nn.Parameter(draw(0, 0.4, (hidden_size, input_size)))
        self.U = tg.nn.Parameter(draw(0, 0.4, (hidden_size, hidden_size)))
        self.a = tg.nn.Parameter(np.full(hidden_size, 0.6))

    def initial_state(self, batch, dtype):
        return np.zeros((*batch, self.hidden_size), dtype)

    def forward(self, x, h):
        return (1 - self.a) * h + self.a * np.tanh(x @ self.W.T + h @ self.U.T)


class LeakyCell(tg.rnn.Cell):
    """The same cell with fixed a, derived from Cell."""

    def equations(self, x, h):
        seen = self.recurrent_input(h)
        return 0.4 * h + 0.6 * np.tanh(x @ self.weight_ih.T + seen @ self.weight_hh.T)


class Decay:
    """A plain class, with a Tensor of its own."""

    def __init__(self, input_size, hidden_size):
        self.rate = leaf(np.linspace(0.2, 0.8, hidden_size))

    def __call__(self, x, h):
        return self.rate * h + x


def own_layer(make, input_size=IN, hidden_size=2):
    if make is LeakyCell:
        return tg.rnn.Recurrent(
            make, input_size, hidden_size, 2, bidirectional=True, rng=1, dtype=np.float64
        )
    return tg.rnn.Recurrent(make, input_size, hidden_size, 2, bidirectional=True)


def difference_quotients(f, tensor, eps=1e-6):
    """df/d(tensor), element by element."""
    found = np.empty(tensor.shape)
    for index in np.ndindex(found.shape):
        kept = tensor.data[index]
        ends = []
        for moved in (kept + eps, kept - eps):
            tensor.data[index] = moved
            ends.append(f())
        tensor.data[index] = kept
        found[index] = (ends[0] - ends[1]) / (2 * eps)
    return found


@pytest.mark.parametrize("make", [Leaky, LeakyCell])
def test_own_cell_has_numeric_gradients_in_a_bidirectional_stack(make, rng):
    layer, x = own_layer(make), leaf(rng.normal(size=(T, N, IN)))
    g = rng.normal(size=(T, N, 4))

    def loss():
        return (layer(x, lengths=[T, 2])[0] * g).sum()

    loss().backward()
    for n, tensor in [*layer.named_parameters(), ("x", x)]:
        if n.startswith("bias"):
            assert tensor.grad is None  # this cell doesn't use them
            continue
        with tg.no_grad():
            wanted = difference_quotients(lambda: float(loss()), tensor)
        assert_close(tensor.grad, wanted, 1e-7, n)


@pytest.mark.parametrize("make", [Leaky, LeakyCell])
def test_own_cell_trains_in_a_bidirectional_stack(make, rng):
    layer, out = own_layer(make, 1, 4), tg.nn.Linear(8, 1, dtype=np.float64, rng=1)
    xs, lengths = rng.normal(size=(5, 12, 1)), rng.integers(1, 6, 12)
    real = (np.arange(5)[:, None] < lengths)[..., None]
    target = (xs * real).sum(0) / lengths[:, None] * real  # each step: the mean of its sequence
    optimiser = tg.optim.Adam([*layer.parameters(), *out.parameters()], lr=0.03)
    losses = []
    for _ in range(60):
        optimiser.zero_grad()
        error = (out(layer(xs, lengths=lengths)[0]) - target) * real
        loss = (error * error).sum() / real.sum()
        loss.backward()
        optimiser.step()
        losses.append(float(loss))
    assert losses[-1] < 0.1 * losses[0]


@pytest.mark.parametrize("make", [Leaky, LeakyCell])
def test_own_cell_equals_each_sequence_alone(make, rng):
    layer, xs, lengths = own_layer(make), rng.normal(size=(T, 3, IN)), [3, 1, 4]
    output, state = layer(xs, lengths=lengths)
    for n, length in enumerate(lengths):
        alone, last = layer(xs[:length, n])
        assert_close(output[:length, n], alone.data, 1e-14)
        assert not output[length:, n].data.any()
        assert_close(state[:, n], last.data, 1e-14)


@pytest.mark.filterwarnings("ignore::tinygrad_rnn.errors.NotFoldedWarning")
def test_plain_class_as_a_cell(rng):
    made = []

    def make(input_size, hidden_size):
        made.append(Decay(input_size, hidden_size))
        return made[-1]

    layer = tg.rnn.Recurrent(make, H, H)
    assert list(layer.parameters()) == []
    x, h = leaf(rng.normal(size=(T, N, H))), leaf(rng.normal(size=(1, N, H)))
    output, last = layer(x, h)
    wanted, rate = h.data[0], made[0].rate.data
    for t in range(T):
        wanted = rate * wanted + x.data[t]
        assert_close(output[t], wanted, 1e-6)
    last.sum().backward()
    np.testing.assert_allclose(h.grad.data, np.broadcast_to(rate**T, (1, N, H)), rtol=1e-6)
    assert made[0].rate.grad.data.all()
    with pytest.raises(ValueError, match=all_of("initial_state", "state")):
        layer(x)


class Nested(tg.nn.Module):
    """Parameters in modules, lists and dicts."""

    def __init__(self, input_size, hidden_size):
        self.hidden_size = hidden_size
        self.maps = [
            tg.nn.Linear(size, hidden_size, dtype=np.float64) for size in (input_size, hidden_size)
        ]
        self.gains = [tg.nn.Parameter(np.full(hidden_size, v)) for v in (0.5, 0.7)]
        self.shift = {"x": tg.nn.Parameter(np.full(hidden_size, 0.1))}

    def initial_state(self, batch, dtype):
        return np.zeros((*batch, self.hidden_size), dtype)

    def forward(self, x, h):
        a = self.gains[0] * self.maps[0](x) + self.gains[1] * self.maps[1](h)
        return np.tanh(a + self.shift["x"])


def test_nested_parameters_of_own_cell_have_flat_names_that_have_effect(rng):
    layer, xs = tg.rnn.Recurrent(Nested, IN, 2, 2), rng.normal(size=(T, N, IN))
    of_a_cell = ["gains.0", "gains.1", "shift.x"]
    of_a_cell += [f"maps.{k}.{n}" for k in range(2) for n in ("weight", "bias")]
    assert sorted(layer.state_dict()) == sorted(f"{n}_l{k}" for n in of_a_cell for k in range(2))
    for name in layer.state_dict():
        before = layer(xs)[0].data
        source = tg.nn.Parameter(getattr(layer, name).data + 0.5)
        setattr(layer, name, source * 1)
        output, _ = layer(xs)
        assert (output.data != before).any(), name
        output.sum().backward()
        assert source.grad.data.any(), name
        again = tg.nn.Parameter(source.data - 0.5)
        setattr(layer, name, again)
        assert_close(layer(xs)[0], before, 1e-12, name)
        assert dict(layer.named_parameters())[name] is again
    with pytest.raises(AttributeError, match=all_of("gains.2_l0", "gains.")):
        getattr(layer, "gains.2_l0")


class Wide(tg.nn.Module):
    """Puts out something else than its state, and more of it."""

    def __init__(self, input_size, hidden_size):
        self.output_size = 2 * hidden_size
        self.W = tg.nn.Parameter(np.full((hidden_size, input_size), 0.1))
        self.V = tg.nn.Parameter(
            np.arange(2.0 * hidden_size * hidden_size).reshape(-1, hidden_size)
        )

    def initial_state(self, batch, dtype):
        return np.zeros((*batch, self.W.shape[0]), dtype)

    def forward(self, x, h):
        return 0.5 * h + x @ self.W.T

    def output(self, x, h):
        return h @ self.V.T


def test_own_cell_with_another_output_size(rng):
    layer, xs = tg.rnn.Recurrent(Wide, IN, 2, 2, bidirectional=True), rng.normal(size=(T, N, IN))
    output, state = layer(xs)
    assert (output.shape, state.shape) == ((T, N, 8), (4, N, 2))
    assert layer.W_l1.shape == (2, 8)
    assert_close(output[-1, :, :4], state.data[2] @ layer.V_l1.data.T, 1e-14)
    assert_close(output[0, :, 4:], state.data[3] @ layer.V_l1_reverse.data.T, 1e-14)


class Noisy(tg.nn.Module):
    """Draws something once for each sequence."""

    def __init__(self, input_size, hidden_size):
        self.weight = tg.nn.Parameter(np.ones(hidden_size))
        self.noise, self.drawn, self.rng = None, 0, np.random.default_rng(0)

    def for_sequence(self, state):
        made = copy.copy(self)
        made.noise = self.rng.normal(size=state.shape)
        self.drawn += 1
        return made

    def initial_state(self, batch, dtype):
        return np.zeros((*batch, len(self.weight)), dtype)

    def forward(self, x, h):
        return h + self.weight * self.noise


@pytest.mark.parametrize("wrap", [None, lambda c: tg.rnn.Zoneout(c, 0.0)])
def test_own_cell_draws_once_for_each_sequence(wrap):
    layer = tg.rnn.Recurrent(Noisy, IN, H, wrap=wrap)
    output, _ = layer(np.zeros((T, N, IN)))
    noise = output.data[0]
    assert noise.all()
    for t in range(T):
        np.testing.assert_allclose(output.data[t], (t + 1) * noise, rtol=1e-12)
    again, _ = layer(np.zeros((T, N, IN)))
    assert (again.data[0] != noise).all()
    again[-1].sum().backward()
    assert layer.weight_l0.grad.data.any()
    cell = layer._cells[0] if wrap is None else layer._cells[0].cell
    assert cell.drawn == 2


def test_a_factory_makes_cells_with_options_of_its_own(rng):
    layer = tg.rnn.Recurrent(
        lambda i, h: tg.rnn.GRUCell(i, h, reset_after=False, dtype=np.float64), IN, H, 2,
        bidirectional=True,
    )  # fmt: skip
    same = tg.nn.GRU(IN, H, 2, bidirectional=True, reset_after=False, dtype=np.float64)
    same.load_state_dict(layer.state_dict())
    xs = rng.normal(size=(T, N, IN))
    assert (layer(xs)[0].data == same(xs)[0].data).all()


def test_a_factory_that_takes_rng_gets_the_layers():
    given = []

    def make(input_size, hidden_size, rng):
        given.append(rng)
        return tg.rnn.MGUCell(input_size, hidden_size, rng=rng)

    a, b = (tg.rnn.Recurrent(make, IN, H, 2, rng=3) for _ in range(2))
    assert (run(a) == run(b)).all()
    assert all(isinstance(r, np.random.Generator) for r in given)


@pytest.mark.parametrize("wrap", [None, tg.rnn.Zoneout, tg.rnn.Residual, tg.rnn.RecurrentDropout])
def test_a_wrapped_own_cell_without_initial_state_takes_a_given_one(wrap, rng):
    class Bare(tg.nn.Module):
        def __init__(self, input_size, hidden_size):
            self.U = tg.nn.Parameter(np.eye(hidden_size))

        def forward(self, x, h):
            return x + h @ self.U.T

    layer = tg.rnn.Recurrent(Bare, H, H, wrap=wrap).eval()
    xs = rng.normal(size=(T, N, H))
    with pytest.raises(ValueError, match=all_of("initial_state", "state")):
        layer(xs)
    output, state = layer(xs, rng.normal(size=(1, N, H)))
    assert (output.shape, state.shape) == ((T, N, H), (1, N, H))


@pytest.mark.parametrize("wrap", [None, tg.rnn.Zoneout, tg.rnn.Residual, tg.rnn.RecurrentDropout])
def test_a_cell_that_returns_nothing_raises(wrap):
    cell = (lambda c: c if wrap is None else wrap(c))(lambda x, h: None)
    with pytest.raises(TypeError, match=all_of("None", "return", "state")):
        tg.rnn.scan(cell, np.ones((T, N, H)), np.ones((N, H)))


ONE, TWO = np.ones((N, H)), (np.ones((N, H)), np.ones((N, H)))


@pytest.mark.parametrize("lengths", [None, [2, T]])
@pytest.mark.parametrize(("returned", "state"), [
    (TWO, ONE),
    (ONE, TWO),
    ((*TWO, ONE), TWO),
    (TWO[:1], TWO),
])  # fmt: skip
def test_a_cell_that_returns_another_structure_raises(returned, state, lengths):
    with pytest.raises((TypeError, ValueError), match="state"):
        tg.rnn.scan(lambda x, s: returned, np.ones((T, N, H)), state, lengths=lengths)


def test_what_cannot_make_cells_raises():
    with pytest.raises(TypeError, match="a cell is callable"):
        tg.rnn.Recurrent(lambda i, h: None, IN, H)
    with pytest.raises(TypeError, match="a cell is callable"):
        tg.nn.LSTM(IN, H, wrap=lambda cell: None)
    with pytest.raises(TypeError, match=all_of("no argument 'activation'")):
        tg.rnn.Recurrent(Leaky, IN, H, activation="tanh")
    with pytest.raises(NotImplementedError, match=all_of("Unfinished", "equations")):
        tg.rnn.scan(type("Unfinished", (tg.rnn.Cell,), {})(IN, H), np.ones((T, N, IN)))


def test_a_cell_in_place_of_what_makes_cells_says_so():
    with pytest.raises(TypeError, match=all_of("wrap", "Zoneout")):
        tg.nn.LSTM(IN, H, wrap=tg.rnn.Zoneout(tg.rnn.LSTMCell(IN, H)))
    with pytest.raises(TypeError, match=all_of("cell_class", "GRUCell")):
        tg.rnn.Recurrent(tg.rnn.GRUCell(IN, H), IN, H)
