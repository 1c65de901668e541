"""RNN, LSTM and GRU as PyTorch has them: every option together, packed input, checks, texts."""

import copy
import inspect
import itertools
import warnings

import numpy as np
import pytest
from golden.make_golden import (
    cases,
    label,
    layer_options,
    recurrent,
    recurrent_inputs,
    relative_error,
)
from test_recurrent import all_of, assert_same, gradients, leaf, numeric_gradient, weighted_sum

import tinygrad_rnn as tg
from tinygrad_rnn.nn.utils.rnn import (
    PackedSequence,
    pack_padded_sequence,
    pad_packed_sequence,
)

GOLDEN = cases("recurrent_options")
KINDS = ["RNN", "LSTM", "GRU"]
VARIANTS = {
    "tanh": {"kind": "RNN", "nonlinearity": "tanh"},
    "relu": {"kind": "RNN", "nonlinearity": "relu"},
    "LSTM": {"kind": "LSTM"},
    "GRU": {"kind": "GRU"},
    "projected": {"kind": "LSTM", "proj_size": 2},
}
# torch warns in float32, where it takes another way for projections
no_onednn = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


def run_layer(config, given, dtype=np.float64, way="packed"):
    """What `golden.make_golden.recurrent` does; `way` is how the layer is told the lengths."""
    hidden, features = config["sizes"][2:]
    layer = getattr(tg.nn, config["kind"])(features, hidden, **layer_options(config), dtype=dtype)
    layer.load_state_dict({n: given[n] for n in layer.state_dict()})
    return run(layer, config, given, dtype, way)


def run(layer, config, given, dtype=np.float64, way="packed"):
    """Results and gradients of a layer that has its weights."""
    leaves = {n: leaf(given[n], dtype) for n in ("x", "h0", "c0") if n in given}
    start = leaves.get("h0")
    if start is not None and config["kind"] == "LSTM":
        start = (start, leaves["c0"])
    lengths, first = config.get("lengths"), config.get("batch_first", False)
    if lengths is None:
        output, final = layer(leaves["x"], start)
    elif way == "lengths":
        padding = np.arange(config["sizes"][0])[:, None] >= lengths
        leaves["x"].data[padding.T if first else padding] = np.nan  # must not be read
        output, final = layer(leaves["x"], start, lengths=lengths)
    else:
        packed = pack_padded_sequence(leaves["x"], lengths, first, config["sorted"])
        output, final = layer(packed, start)
        for of_output, of_input in zip(output[1:], packed[1:], strict=True):
            assert np.array_equal(of_output, of_input)
        output, found = pad_packed_sequence(output, first, total_length=config["sizes"][0])
        assert found.tolist() == lengths
    finals = final if isinstance(final, tuple) else (final,)
    results = dict(zip(("output", "h_n", "c_n"), (output, *finals), strict=False))
    weighted_sum(results, given).backward()
    return {**results, **gradients(layer, leaves)}


def ways_of(config):
    return ("packed", "lengths") if "lengths" in config else ("padded",)


def random_lengths(rng, steps, batch, ordered):
    """Lengths from 1 to `steps`, the longest first if `ordered`."""
    lengths = rng.integers(1, steps + 1, batch).tolist()
    return sorted(lengths, reverse=True) if ordered else lengths


# Results and gradients


@pytest.mark.parametrize(("config", "given", "expected"), GOLDEN, ids=[label(c[0]) for c in GOLDEN])
def test_layer_equals_golden_arrays(config, given, expected):
    for way in ways_of(config):
        assert_same(run_layer(config, given, way=way), expected)


# batches and single sequences without a projection: tests/test_recurrent.py
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize(
    ("variant", "form"),
    [
        *itertools.product(VARIANTS, ["sorted", "unsorted"]),
        ("projected", "batch"),
        ("projected", "single"),
    ],
)
def test_layer_equals_torch_for_all_options(variant, form, num_layers, bidirectional):
    pytest.importorskip("torch")
    rng = np.random.default_rng(num_layers)
    for bias, batch_first, state in itertools.product([False, True], repeat=3):
        if (bias + batch_first + state + num_layers + bidirectional + (form == "sorted")) % 2:
            continue  # half of all, any two options in all four ways
        projection = VARIANTS[variant].get("proj_size", 0)
        time, batch, hidden, features = (int(n) for n in rng.permutation([1, 2, 3, 5]))
        config = {
            **VARIANTS[variant],
            "sizes": [time, batch, hidden + projection, features],
            "num_layers": num_layers,
            "bidirectional": bidirectional,
            "bias": bias,
            "batch_first": batch_first,
            "single": form == "single",
            "state": state,
        }
        if form in ("sorted", "unsorted"):
            config["sorted"] = form == "sorted"
            config["lengths"] = random_lengths(rng, time, batch, config["sorted"])
        given = recurrent_inputs(config, rng)
        expected = recurrent(config, given)
        for way in ways_of(config):
            assert_same(run_layer(config, given, way=way), expected)


@no_onednn
@pytest.mark.parametrize("ordered", [None, True, False])
@pytest.mark.parametrize("variant", VARIANTS)
def test_float32_equals_torch_and_stays_float32(variant, ordered):
    pytest.importorskip("torch")
    config = {**VARIANTS[variant], "sizes": [5, 3, 11, 7], "num_layers": 2, "bidirectional": True}
    config["state"] = True
    rng = np.random.default_rng(5)
    if ordered is not None:
        config |= {"sorted": ordered, "lengths": random_lengths(rng, 5, 3, ordered)}
    given = recurrent_inputs(config, rng)
    given = {n: a / 4 if n.startswith(("weight", "bias")) else a for n, a in given.items()}
    found = run_layer(config, given, np.float32)
    assert {a.dtype for a in found.values()} == {np.dtype(np.float32)}
    assert_same(found, recurrent(config, given, "float32"), tolerance=1e-5)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(
    "sizes", [(1, 3, 2, 5), (5, 1, 3, 2), (5, 3, 1, 2), (5, 3, 2, 1), (1, 1, 1, 1), (5, 0, 3, 2)]
)
@pytest.mark.parametrize("variant", VARIANTS)
def test_axes_of_one_element_and_empty_batches_equal_torch(variant, sizes, bidirectional):
    pytest.importorskip("torch")
    time, batch, hidden, features = sizes
    config = {**VARIANTS[variant], "num_layers": 2, "bidirectional": bidirectional, "state": True}
    if "proj_size" in config:
        config["proj_size"], hidden = hidden, hidden + 1
    config["sizes"] = [time, batch, hidden, features]
    given = recurrent_inputs(config, np.random.default_rng(8))
    expected = recurrent(config, given)
    found = run_layer(config, given)
    assert found["output"].shape == expected["output"].shape
    assert_same(found, expected)


def test_any_sizes_equal_torch():
    pytest.importorskip("torch")
    hypothesis = pytest.importorskip("hypothesis")
    from hypothesis import strategies as st

    @st.composite
    def configurations(draw):
        time, batch, hidden, features = (draw(st.integers(1, 5)) for _ in range(4))
        config = {
            **VARIANTS[draw(st.sampled_from(list(VARIANTS)))],
            "num_layers": draw(st.integers(1, 2)),
        }
        if "proj_size" in config:
            config["proj_size"] = draw(st.integers(1, hidden))
            hidden += 1
        config |= {"sizes": [time, batch, hidden, features]}
        config |= {n: draw(st.booleans()) for n in ("bidirectional", "batch_first", "state")}
        if draw(st.booleans()):
            every = st.lists(st.integers(1, time), min_size=batch, max_size=batch)
            config |= {"sorted": False, "lengths": draw(every)}
        return config

    @hypothesis.settings(max_examples=20)
    @hypothesis.given(configurations(), st.integers(0, 99))
    def equal(config, seed):
        given = recurrent_inputs(config, np.random.default_rng(seed))
        expected = recurrent(config, given)
        for way in ways_of(config):
            assert_same(run_layer(config, given, way=way), expected)

    equal()


# Dropout between layers


def dropped_by_hand(config, given, p, rng):
    """PyTorch's layers one by one, with masks from `rng` in between."""
    import torch

    functions = torch.nn.utils.rnn
    leaves = {n: torch.tensor(a, requires_grad=True) for n, a in given.items()}
    directions = 2 if config["bidirectional"] else 1
    inner = {k: v for k, v in layer_options(config).items() if k != "num_layers"}
    x, finals = leaves["x"], []
    for k in range(config["num_layers"]):
        if k:
            x = x * torch.tensor((rng.random(x.shape) >= p) / (1 - p))
        layer = getattr(torch.nn, config["kind"])(
            x.shape[-1], config["sizes"][2], **inner, dtype=torch.float64
        )
        weights = {n: leaves[n.replace("_l0", f"_l{k}")] for n, _ in layer.named_parameters()}
        rows = slice(k * directions, (k + 1) * directions)
        start = tuple(leaves[n][rows] for n in ("h0", "c0") if n in leaves)
        start = start if config["kind"] == "LSTM" else start[0]
        if lengths := config.get("lengths"):
            x = functions.pack_padded_sequence(x, lengths, enforce_sorted=False)
        x, final = torch.func.functional_call(layer, weights, (x, start))
        if lengths:
            x, _ = functions.pad_packed_sequence(x, total_length=config["sizes"][0])
        finals.append(final if isinstance(final, tuple) else (final,))
    results = dict(
        zip(("output", "h_n", "c_n"), (x, *map(torch.cat, zip(*finals, strict=True))), strict=False)
    )
    sum((r * leaves[f"g_{n}"].detach()).sum() for n, r in results.items()).backward()
    found = {**results, **{f"d_{n}": t.grad for n, t in leaves.items() if n[:2] != "g_"}}
    return {n: t.detach().numpy() for n, t in found.items()}


@pytest.mark.parametrize("lengths", [None, [3, 5, 1]])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_dropout_is_a_mask_on_the_input_of_every_layer_but_the_first(
    variant, bidirectional, lengths
):
    pytest.importorskip("torch")
    config = {**VARIANTS[variant], "sizes": [5, 3, 3, 2], "num_layers": 3, "state": True}
    config |= {"bidirectional": bidirectional, "lengths": lengths}
    given = recurrent_inputs(config, np.random.default_rng(2))
    rng = np.random.default_rng(3)
    layer = getattr(tg.nn, config["kind"])(
        2, 3, **layer_options(config), dropout=0.4, dtype=np.float64, rng=rng
    )
    layer.load_state_dict({n: given[n] for n in layer.state_dict()})
    again = copy.deepcopy(rng)  # it has drawn the weights; the masks are next
    found = run(layer, config, given, way="lengths")
    assert_same(found, dropped_by_hand(config, given, 0.4, again))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_dropout_of_everything_equals_torch(variant, bidirectional):
    pytest.importorskip("torch")
    config = {**VARIANTS[variant], "sizes": [3, 2, 5, 2], "num_layers": 3, "state": True}
    config |= {"bidirectional": bidirectional, "dropout": 1.0}
    given = recurrent_inputs(config, np.random.default_rng(4))
    assert_same(run_layer(config, given), recurrent(config, given))


@pytest.mark.parametrize("kind", KINDS)
def test_warning_about_dropout_in_one_layer_has_the_text_of_torch(kind):
    torch = pytest.importorskip("torch")
    texts = []
    for nn in (torch.nn, tg.nn):
        with pytest.warns(UserWarning, match="dropout") as caught:
            getattr(nn, kind)(3, 4, dropout=0.5)
        texts += [str(warning.message) for warning in caught]
    assert len(texts) == 2
    assert texts[0] == texts[1]


# Weights, arguments and texts


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("RNN", {}),
        ("RNN", {"num_layers": 3, "nonlinearity": "relu", "bias": False}),
        ("LSTM", {"num_layers": 2, "bidirectional": True, "batch_first": True}),
        ("LSTM", {"num_layers": 2, "bidirectional": True, "bias": False}),
        ("LSTM", {"proj_size": 2}),
        ("LSTM", {"num_layers": 3, "bidirectional": True, "proj_size": 2}),
        ("LSTM", {"num_layers": 2, "bias": False, "proj_size": 1}),
        ("GRU", {"num_layers": 2, "bidirectional": True}),
        ("RNNCell", {"nonlinearity": "relu"}),
        ("LSTMCell", {"bias": False}),
        ("GRUCell", {}),
    ],
)
def test_state_dict_goes_both_ways(kind, options):
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn, kind)(3, 5, **options, dtype=torch.float64)
    ours = getattr(tg.nn, kind)(3, 5, **options, dtype=np.float64, rng=1)
    x = np.random.default_rng(2).normal(size=(4, 3) if kind.endswith("Cell") else (4, 2, 3))

    def assert_equal():
        first, rest = ours(x), theirs(torch.tensor(x))
        while isinstance(rest, tuple):
            first, rest = first[0], rest[0]
        assert relative_error(first.data, rest.detach().numpy()) < 1e-12

    before = {n: a.copy() for n, a in ours.state_dict().items()}
    shapes = {n: tuple(t.shape) for n, t in theirs.state_dict().items()}
    assert list(before) == list(shapes)
    assert {n: a.shape for n, a in before.items()} == shapes
    ours.load_state_dict({n: t.numpy() for n, t in theirs.state_dict().items()})
    assert_equal()
    theirs.load_state_dict({n: torch.tensor(a) for n, a in before.items()}, strict=True)
    ours.load_state_dict(before)
    assert_equal()


def test_repr_is_that_of_torch():
    torch = pytest.importorskip("torch")
    layers = itertools.product(
        VARIANTS.values(), [1, 2], [True, False], [False, True], [0, 0.25, 1], [False, True]
    )
    for variant, num_layers, bias, batch_first, dropout, bidirectional in layers:
        kind, options = variant["kind"], {k: v for k, v in variant.items() if k != "kind"}
        options |= {"num_layers": num_layers, "bias": bias, "batch_first": batch_first}
        options |= {"dropout": dropout, "bidirectional": bidirectional}
        if not dropout or num_layers > 1:
            theirs = getattr(torch.nn, kind)(3, 4, **options)
            assert repr(getattr(tg.nn, kind)(3, 4, **options)) == repr(theirs)
    for kind, bias in itertools.product(["RNNCell", "LSTMCell", "GRUCell"], [True, False]):
        for options in ({}, {"nonlinearity": "relu"}) if kind == "RNNCell" else ({},):
            theirs = getattr(torch.nn, kind)(3, 4, bias=bias, **options)
            assert repr(getattr(tg.nn, kind)(3, 4, bias=bias, **options)) == repr(theirs)


def positional(module):
    """Names and defaults of the arguments that a module takes by position."""
    _, *found = inspect.signature(module.__init__).parameters.values()
    return [(p.name, p.default) for p in found if p.kind is p.POSITIONAL_OR_KEYWORD]


@pytest.mark.parametrize("kind", KINDS)
def test_arguments_of_a_layer_stand_in_the_order_of_torch(kind):
    torch = pytest.importorskip("torch")
    others = ["mode", "device", "dtype", *([] if kind == "LSTM" else ["proj_size"])]
    expected = [a for a in positional(torch.nn.RNNBase) if a[0] not in others]
    values = [3, 5, 2, False, True, 0.5, True, *([2] if kind == "LSTM" else [])]
    if kind == "RNN":  # torch takes it out of *args
        expected.insert(3, ("nonlinearity", "tanh"))
        values.insert(3, "relu")
    assert positional(getattr(tg.nn, kind)) == expected
    theirs, ours = getattr(torch.nn, kind)(*values), getattr(tg.nn, kind)(*values)
    for (name, _), value in zip(expected, values, strict=True):
        assert getattr(ours, name) == getattr(theirs, name) == value


@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
def test_arguments_of_a_cell_stand_in_the_order_of_torch(kind):
    torch = pytest.importorskip("torch")
    expected = [a for a in positional(getattr(torch.nn, kind)) if a[0] not in ("device", "dtype")]
    assert positional(getattr(tg.nn, kind)) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_flatten_parameters_changes_nothing(kind):
    layer = getattr(tg.nn, kind)(3, 4, num_layers=2, bidirectional=True)
    before = {n: (p, p.data, p.data.copy()) for n, p in layer.named_parameters()}
    assert layer.flatten_parameters() is None
    for name, p in layer.named_parameters():
        same, array, values = before.pop(name)
        assert p is same
        assert p.data is array
        assert np.array_equal(array, values)
    assert not before


# Wrong use raises here whether it does in torch or not


def raises_in_torch(function):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            function()
        except Exception:
            return True
    return False


PROBABILITY = ["dropout should be a number in range [0, 1]", "probability of an element"]
PROJECTION = "proj_size should be a positive integer or zero"
SMALLER = "proj_size has to be smaller than hidden_size"
# kind, options, words, whether torch raises
CONSTRUCTIONS = [
    ("LSTM", {"dropout": 1.5}, [*PROBABILITY, "got 1.5"], True),
    ("GRU", {"dropout": -0.1}, [*PROBABILITY, "got -0.1"], True),
    ("RNN", {"dropout": True}, [*PROBABILITY, "got True"], True),
    ("LSTM", {"dropout": "0.5"}, [*PROBABILITY, "got '0.5'"], True),
    ("LSTM", {"dropout": None}, [*PROBABILITY, "got None"], True),
    ("LSTM", {"dropout": float("nan")}, [*PROBABILITY, "got nan"], True),
    ("LSTM", {"proj_size": -1}, [PROJECTION, "got -1"], True),
    ("LSTM", {"proj_size": 4}, [SMALLER, "got 4 and 4"], True),
    ("LSTM", {"proj_size": 5}, [SMALLER, "got 5 and 4"], True),
    ("LSTM", {"proj_size": 1.5}, ["proj_size should be of type int, got: float"], True),
    ("LSTM", {"proj_size": True}, ["proj_size should be of type int, got: bool"], True),
    ("LSTM", {"proj_size": "2"}, ["proj_size should be of type int, got: str"], True),
    ("RNN", {"proj_size": 2}, ["proj_size", "LSTM"], True),
    ("GRU", {"proj_size": 2}, ["proj_size", "LSTM"], True),
    ("RNN", {"hidden_size": 0}, ["hidden_size must be greater than zero, got 0"], True),
    ("LSTM", {"hidden_size": -2}, ["hidden_size must be greater than zero, got -2"], True),
    ("GRU", {"hidden_size": 2.0}, ["hidden_size should be of type int, got: float"], True),
    ("GRU", {"hidden_size": True}, ["hidden_size should be of type int, got: bool"], False),
    ("LSTM", {"input_size": 0}, ["input_size must be greater than zero, got 0"], True),
    ("RNN", {"input_size": 3.0}, ["input_size should be of type int, got: float"], True),
    ("LSTM", {"num_layers": 0}, ["num_layers must be greater than zero, got 0"], True),
    ("LSTM", {"num_layers": -1}, ["num_layers must be greater than zero, got -1"], True),
    ("RNN", {"num_layers": 1.0}, ["num_layers should be of type int, got: float"], True),
    ("GRU", {"num_layers": "2"}, ["num_layers should be of type int, got: str"], True),
    ("GRU", {"num_layers": True}, ["num_layers should be of type int, got: bool"], False),
    ("RNN", {"bias": 1}, ["bias should be of type bool, got: int"], True),
    ("LSTM", {"bias": "no"}, ["bias should be of type bool, got: str"], True),
    ("GRU", {"bias": None}, ["bias should be of type bool, got: NoneType"], True),
    ("LSTM", {"batch_first": "yes"}, ["batch_first should be of type bool, got: str"], True),
    ("RNN", {"batch_first": 1}, ["batch_first should be of type bool, got: int"], True),
    ("GRU", {"bidirectional": "yes"}, ["bidirectional should be of type bool, got: str"], False),
    ("LSTM", {"bidirectional": 2}, ["bidirectional should be of type bool, got: int"], False),
    ("RNN", {"nonlinearity": "sigmoid"}, ["'sigmoid'. Select from 'tanh' or 'relu'"], True),
    ("LSTM", {"nonlinearity": "tanh"}, ["LSTM", "no argument 'nonlinearity'"], True),
    ("GRU", {"batch_frist": True}, ["no argument 'batch_frist'", "'batch_first'"], True),
    ("LSTMCell", {"hidden_size": 0}, ["hidden_size must be greater than zero, got 0"], False),
    ("GRUCell", {"input_size": -1}, ["input_size must be greater than zero, got -1"], True),
    ("RNNCell", {"hidden_size": 2.0}, ["hidden_size should be of type int, got: float"], True),
    ("LSTMCell", {"bias": 1}, ["bias should be of type bool, got: int"], False),
    ("RNNCell", {"nonlinearity": "sigmoid"}, ["'sigmoid'. Select from 'tanh' or 'relu'"], False),
]
CONSTRUCTION_IDS = [f"{kind} {options}" for kind, options, *_ in CONSTRUCTIONS]


@pytest.mark.parametrize(
    ("kind", "options", "words", "torch_raises"), CONSTRUCTIONS, ids=CONSTRUCTION_IDS
)
def test_wrong_constructor_argument(kind, options, words, torch_raises):
    options = {"input_size": 3, "hidden_size": 4, **options}
    with pytest.raises((ValueError, TypeError), match=all_of(*words)):
        getattr(tg.nn, kind)(**options)
    torch = pytest.importorskip("torch")
    assert raises_in_torch(lambda: getattr(torch.nn, kind)(**options)) == torch_raises


def zeros(*shape):
    return np.zeros(shape)


def integers(*shape):
    return np.zeros(shape, np.int64)


X, H = zeros(5, 2, 3), zeros(1, 2, 4)
P = {"proj_size": 2}
FLOATS = "must hold floating-point numbers, got int64"
UNBATCHED = "For unbatched 2-D input, the state should also be 2-D but got a 3-D one"
# kinds, options, input, state, words; a single state stands for both parts of an LSTM's
CALLS = [
    (KINDS, {}, zeros(5, 2, 4), None, ["input.size(-1)", "Expected 3, got 4", "(5, 2, 4)"]),
    (KINDS, {}, zeros(5, 4), None, ["Expected 3, got 4", "last axis is features"]),
    (KINDS, {}, zeros(3), None, ["2D or 3D, got 1D", "(time, batch, features)"]),
    (KINDS, {}, zeros(), None, ["2D or 3D, got 0D"]),
    (KINDS, {"batch_first": True}, zeros(1, 5, 2, 3), None, ["got 4D", "(batch, time, features)"]),
    (KINDS, {}, zeros(0, 2, 3), None, ["sequence length to be larger than 0", "axis 0"]),
    (KINDS, {}, zeros(0, 3), None, ["sequence length to be larger than 0", "axis 0"]),
    (KINDS, {"batch_first": True}, zeros(2, 0, 3), None, ["larger than 0", "axis 1"]),
    (KINDS, {}, integers(5, 2, 3), None, ["the input of", FLOATS, "Embedding"]),
    (KINDS, {}, X > 0, None, ["the input of", "got bool"]),
    (KINDS, {}, X, zeros(1, 3, 4), ["size (1, 2, 4), got (1, 3, 4)"]),
    (KINDS, {}, X, zeros(1, 2, 5), ["size (1, 2, 4), got (1, 2, 5)"]),
    (KINDS, {}, X, zeros(1, 1, 4), ["size (1, 2, 4), got (1, 1, 4)"]),
    (KINDS, {"num_layers": 2}, X, H, ["size (2, 2, 4), got (1, 2, 4)", "directions × layers"]),
    (KINDS, {"bidirectional": True}, X, H, ["size (2, 2, 4), got (1, 2, 4)"]),
    (KINDS, {"batch_first": True}, X, zeros(5, 1, 4), ["size (1, 5, 4)", "axes exchanged"]),
    (KINDS, {}, X, integers(1, 2, 4), ["the state of", FLOATS]),
    (KINDS, {}, X[:, 0], zeros(1, 1, 4), [UNBATCHED]),
    (KINDS, {}, X[:, 0], zeros(2, 4), ["size (1, 4), got (2, 4)"]),
    (KINDS, {}, X, zeros(1, 4), ["size (1, 2, 4), got (1, 4)"]),
    (KINDS, {}, X, zeros(2, 4), ["size (1, 2, 4), got (2, 4)"]),
    (["RNN", "GRU"], {}, X, (H, H), ["one array, got 2 parts"]),
    (["RNN", "GRU"], {}, X, (H,), ["one array, got 1 parts"]),
    (["LSTM"], {}, X, [H], ["a pair (h, c), got 1 parts"]),
    (["LSTM"], {}, X, (H, H, H), ["a pair (h, c), got 3 parts"]),
    (["LSTM"], {}, X, (zeros(1, 2, 5), H), ["hidden[0] size (1, 2, 4), got (1, 2, 5)"]),
    (["LSTM"], {}, X, (H, zeros(1, 2, 5)), ["hidden[1] size (1, 2, 4), got (1, 2, 5)"]),
    (["LSTM"], {}, X, (H, zeros(1, 1, 4)), ["hidden[1] size (1, 2, 4), got (1, 1, 4)"]),
    (["LSTM"], {}, X, (H, zeros(1, 4)), ["hidden[1] size (1, 2, 4), got (1, 4)"]),
    (["LSTM"], {}, X[:, 0], (zeros(1, 4), zeros(1, 1, 4)), [UNBATCHED]),
    (["LSTM"], {}, X, (H, integers(1, 2, 4)), ["the state of LSTM", FLOATS]),
    (["LSTM"], {}, X, (integers(1, 2, 4), H), ["the state of LSTM", FLOATS]),
    (["LSTM"], P, X, (H, H), ["hidden[0] size (1, 2, 2), got (1, 2, 4)"]),
    (["LSTM"], P, X, (H[..., :2], H[..., :2]), ["hidden[1] size (1, 2, 4), got (1, 2, 2)"]),
    (["LSTM"], P, X, (H, H[..., :2]), ["hidden[0] size (1, 2, 2), got (1, 2, 4)"]),
    (["LSTM"], P, X[:, 0], (zeros(1, 4), zeros(1, 4)), ["hidden[0] size (1, 2), got (1, 4)"]),
]
SIZES, ORDER = [2, 1], [1, 0]
# the same of packed input: kinds, options, data, order, state, words, whether torch raises
PACKED_CALLS = [
    (KINDS, {}, zeros(3, 1, 3), None, None, ["must have 2 dimensions, got 3"], True),
    (KINDS, {}, zeros(3), None, None, ["must have 2 dimensions, got 1", "PackedSequence"], True),
    (KINDS, {}, zeros(3, 5), None, None, ["Expected 3, got 5"], True),
    (KINDS, {}, integers(3, 3), None, None, ["the input of", FLOATS], True),
    (KINDS, {}, zeros(3, 3), None, zeros(1, 3, 4), ["(1, 2, 4), got (1, 3, 4)"], True),
    (KINDS, {}, zeros(3, 3), ORDER, zeros(1, 1, 4), ["(1, 2, 4), got (1, 1, 4)"], True),
    # torch picks the rows that ORDER names and leaves the third unread
    (KINDS, {}, zeros(3, 3), ORDER, zeros(1, 3, 4), ["(1, 2, 4), got (1, 3, 4)"], False),
    (KINDS, {}, zeros(3, 3), None, zeros(1, 2, 5), ["(1, 2, 4), got (1, 2, 5)"], True),
    (KINDS, {}, zeros(3, 3), None, zeros(1, 4), ["(1, 2, 4), got (1, 4)"], True),
    (KINDS, {"num_layers": 2}, zeros(3, 3), None, H, ["(2, 2, 4), got (1, 2, 4)"], True),
    (KINDS, {}, zeros(3, 3), None, integers(1, 2, 4), ["the state of", FLOATS], True),
    (["LSTM"], {}, zeros(3, 3), None, (H, zeros(1, 2, 5)), ["hidden[1] size (1, 2, 4)"], True),
    (["LSTM"], P, zeros(3, 3), None, (H, H), ["hidden[0] size (1, 2, 2)"], True),
    (["RNN", "GRU"], {}, zeros(3, 3), None, (H, H), ["one array, got 2 parts"], True),
]
CELLS = ["RNNCell", "LSTMCell", "GRUCell"]
CELL_CALLS = [
    (CELLS, {}, zeros(2, 5), None, ["5 features", "input_size 3"]),
    (CELLS, {}, zeros(1, 2, 3), None, ["1D or 2D, got 3D"]),
    (CELLS, {}, zeros(), None, ["1D or 2D, got 0D"]),
    (CELLS, {}, zeros(2, 3), zeros(4), ["(4,), expected (2, 4)"]),
    (CELLS, {}, zeros(3), zeros(1, 4), ["(1, 4), expected (4,)"]),
    (CELLS, {}, zeros(2, 3), zeros(3, 4), ["(3, 4), expected (2, 4)"]),
    (CELLS, {}, zeros(2, 3), zeros(2, 5), ["(2, 5), expected (2, 4)"]),
    (CELLS, {}, integers(2, 3), None, ["the input of", FLOATS]),
    (CELLS, {}, zeros(2, 3), integers(2, 4), ["the state of", FLOATS]),
    (["LSTMCell"], {}, zeros(2, 3), (zeros(2, 4), zeros(2, 5)), ["state c", "(2, 5), expected"]),
    (["LSTMCell"], {}, zeros(2, 3), (zeros(2, 5), zeros(2, 4)), ["state h", "(2, 5), expected"]),
    (["LSTMCell"], {}, zeros(2, 3), [zeros(2, 4)], ["a pair (h, c), got 1 parts"]),
    (["RNNCell", "GRUCell"], {}, zeros(2, 3), (zeros(2, 4),) * 2, ["one array, got 2 parts"]),
]


def by_kind(rows):
    return [(kind, *rest) for kinds, *rest in rows for kind in kinds]


def arguments(kind, x, state):
    """Input and state, an LSTM's state with the same array for h and c if there is only one."""
    if kind.startswith("LSTM") and isinstance(state, np.ndarray):
        state = (state, state)
    return (x,) if state is None else (x, state)


def to_torch(value):
    import torch

    if isinstance(value, (tuple, list)):
        return type(value)(to_torch(v) for v in value)
    tensor = torch.tensor(value)
    return tensor.float() if tensor.is_floating_point() else tensor


@pytest.mark.parametrize(("kind", "options", "x", "state", "words"), by_kind(CALLS + CELL_CALLS))
def test_wrong_input_or_state(kind, options, x, state, words):
    given = arguments(kind, x, state)
    with pytest.raises((ValueError, TypeError), match=all_of(kind, *words)):
        getattr(tg.nn, kind)(3, 4, **options)(*given)
    torch = pytest.importorskip("torch")
    layer = getattr(torch.nn, kind)(3, 4, **options)
    assert raises_in_torch(lambda: layer(*to_torch(given)))


@pytest.mark.parametrize(
    ("kind", "options", "data", "order", "state", "words", "torch_raises"), by_kind(PACKED_CALLS)
)
def test_wrong_packed_input_or_state(kind, options, data, order, state, words, torch_raises):
    given = arguments(kind, PackedSequence(data, SIZES, order), state)
    with pytest.raises((ValueError, TypeError), match=all_of(kind, *words)):
        getattr(tg.nn, kind)(3, 4, **options)(*given)
    torch = pytest.importorskip("torch")
    layer = getattr(torch.nn, kind)(3, 4, **options)
    packed = torch.nn.utils.rnn.PackedSequence(
        to_torch(data), torch.tensor(SIZES), None if order is None else torch.tensor(order)
    )
    rest = to_torch(given[1:])
    assert raises_in_torch(lambda: layer(packed, *rest)) == torch_raises


def test_single_array_as_lstm_state_says_what_is_missing():
    for layer, x, state in [
        (tg.nn.LSTM(3, 4), X, H),
        (tg.nn.LSTM(3, 4), PackedSequence(zeros(3, 3), SIZES), H),
        (tg.nn.LSTMCell(3, 4), X[0], H[0]),
    ]:
        with pytest.raises(ValueError, match=all_of("a pair (h, c), got one array", "LSTM")):
            layer(x, state)


# Initial values


@pytest.mark.parametrize("variant", VARIANTS)
def test_initial_values_are_uniform_within_one_over_the_root_of_hidden(variant):
    options = {k: v for k, v in VARIANTS[variant].items() if k != "kind"}
    if variant == "projected":
        options["proj_size"] = 32
    layer = getattr(tg.nn, VARIANTS[variant]["kind"])(
        30, 64, 2, bidirectional=True, dtype=np.float64, rng=6, **options
    )
    for name, p in layer.named_parameters():
        u = np.sort((p.data.ravel() * 8 + 1) / 2)  # of H = 64: uniform on (0, 1)
        assert u[0] >= 0
        assert u[-1] <= 1
        distance = abs(u - (np.arange(u.size) + 0.5) / u.size).max()
        # Kolmogorov: larger in one sample of 20000
        assert distance * np.sqrt(u.size) < 2.3, name
    assert ("weight_hr_l1_reverse" in layer.state_dict()) == (variant == "projected")


@pytest.mark.parametrize("value", [1.0, 0.1, -2.5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("proj_size", [0, 2])
def test_forget_bias_is_the_sum_of_both_biases_everywhere(proj_size, dtype, value):
    options = {"num_layers": 3, "bidirectional": True, "proj_size": proj_size, "dtype": dtype}
    plain = tg.nn.LSTM(3, 5, rng=7, **options)
    layer = tg.nn.LSTM(3, 5, rng=7, forget_bias=value, **options)
    suffixes = [f"l{k}{end}" for k in range(3) for end in ("", "_reverse")]
    for suffix in suffixes:
        total = getattr(layer, f"bias_ih_{suffix}").data + getattr(layer, f"bias_hh_{suffix}").data
        assert total.dtype == dtype
        assert (total[5:10] == dtype(value)).all(), suffix
    for name, p in layer.named_parameters():
        others = np.r_[:5, 10:20] if name.startswith("bias") else ...
        assert np.array_equal(p.data[others], getattr(plain, name).data[others]), name


@pytest.mark.parametrize("variant", VARIANTS)
def test_orthogonal_init_makes_each_gate_orthogonal(variant):
    options = {k: v for k, v in VARIANTS[variant].items() if k != "kind"}
    layer = getattr(tg.nn, VARIANTS[variant]["kind"])(
        3, 5, 2, bidirectional=True, recurrent_init="orthogonal", dtype=np.float64, **options
    )
    weights = [p.data for n, p in layer.named_parameters() if n.startswith("weight_hh")]
    blocks = [block for w in weights for block in np.split(w, len(w) // 5)]
    assert len(weights) == 4
    assert len(blocks) == 4 * layer._cells[0].gates
    for block in blocks:  # (5, 5), or (5, 2) with a projection
        np.testing.assert_allclose(block.T @ block, np.eye(block.shape[1]), atol=1e-13)
    for a, b in itertools.combinations(blocks, 2):
        assert not np.allclose(a, b)
    inputs = layer.weight_ih_l0.data
    assert not np.allclose(inputs.T @ inputs, np.eye(3), atol=0.1)


# The original GRU


def original_gru(given):
    """Cho et al. 2014 as a loop: the reset gate acts on h, before the matrix product."""

    def sigmoid(a):
        return 1 / (1 + np.exp(-a))

    zero = np.zeros(len(given["weight_ih_l0"]))
    w_r, w_z, w_n = np.split(given["weight_ih_l0"], 3)
    u_r, u_z, u_n = np.split(given["weight_hh_l0"], 3)
    b_r, b_z, b_n = np.split(given.get("bias_ih_l0", zero), 3)
    d_r, d_z, d_n = np.split(given.get("bias_hh_l0", zero), 3)
    h, outputs = given["h0"][0], []
    for x in given["x"]:
        r = sigmoid(x @ w_r.T + b_r + h @ u_r.T + d_r)
        z = sigmoid(x @ w_z.T + b_z + h @ u_z.T + d_z)
        n = np.tanh(x @ w_n.T + b_n + (r * h) @ u_n.T + d_n)
        h = (1 - z) * n + z * h
        outputs.append(h)
    return {"output": np.stack(outputs), "h_n": h[None]}


@pytest.mark.parametrize("bias", [True, False])
def test_reset_before_the_product_equals_a_loop_in_values_and_numeric_gradients(bias):
    config = {"kind": "GRU", "sizes": [5, 2, 3, 2], "bias": bias, "state": True}
    given = recurrent_inputs(config, np.random.default_rng(9))

    def loss():
        return sum((r * given[f"g_{n}"]).sum() for n, r in original_gru(given).items())

    expected = original_gru(given)
    leaves = [n for n in given if not n.startswith("g_")]
    expected |= {f"d_{n}": numeric_gradient(loss, given[n]) for n in leaves}
    found = run_layer({**config, "reset_after": False}, given)
    assert_same(
        {n: found[n] for n in ("output", "h_n")}, {n: expected[n] for n in ("output", "h_n")}
    )
    assert_same(found, expected, tolerance=1e-7)
    after = run_layer(config, given)
    assert relative_error(after["output"].data, expected["output"]) > 1e-3
