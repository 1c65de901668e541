"""Initial values: distributions, orthogonality, writing in place, wrong use; PyTorch's formulas."""

import inspect
import math
import warnings

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import init

nni = tg.nn.init

DRAWING = [
    ("uniform_", ()),
    ("normal_", ()),
    ("trunc_normal_", ()),
    ("xavier_uniform_", ()),
    ("xavier_normal_", ()),
    ("kaiming_uniform_", ()),
    ("kaiming_normal_", ()),
    ("orthogonal_", ()),
    ("sparse_", (0.3,)),
]
FILLING = [("constant_", (2.0,)), ("zeros_", ()), ("ones_", ()), ("eye_", ())]
ALL = DRAWING + FILLING
GAINS = {
    "linear": 1,
    "conv1d": 1,
    "conv2d": 1,
    "conv3d": 1,
    "conv_transpose1d": 1,
    "conv_transpose2d": 1,
    "conv_transpose3d": 1,
    "sigmoid": 1,
    "tanh": 1.6666666666666667,
    "relu": 1.4142135623730951,
    "leaky_relu": 1.4141428569978354,
    "selu": 0.75,
}


def every(table):
    return pytest.mark.parametrize(("name", "args"), table, ids=[name for name, _ in table])


def blank(*shape, dtype=np.float64, **options):
    return tg.Tensor(np.full(shape, 7, dtype), **options)


def filled(name, shape, *args, dtype=np.float64, rng=3, **options):
    return getattr(nni, name)(blank(*shape, dtype=dtype), *args, rng=rng, **options).data


def assert_moments(values, mean, std, kurtosis):
    """Sample mean and variance within 4 standard errors of what they should be."""
    n = values.size
    assert abs(values.mean() - mean) <= 4 * std / math.sqrt(n)
    assert abs(values.var() - std**2) <= 4 * std**2 * math.sqrt((kurtosis - 1) / n)


def assert_uniform(values, low, high):
    assert low <= values.min()
    assert values.max() <= high
    assert values.max() - values.min() >= (1 - 20 / values.size) * (high - low)
    assert_moments(values, (low + high) / 2, (high - low) / math.sqrt(12), 1.8)


def assert_normal(values, mean, std):
    assert_moments(values, mean, std, 3)
    fourth = (((values - mean) / std) ** 4).mean()  # 3 for a normal, 1.8 for a uniform one
    assert abs(fourth - 3) <= 4 * math.sqrt(96 / values.size)


# Distributions


def test_uniform():
    assert_uniform(filled("uniform_", (211, 307)), 0, 1)
    assert_uniform(filled("uniform_", (211, 307), -3, -1.5), -3, -1.5)
    assert_uniform(filled("uniform_", (64777,), a=2, b=5), 2, 5)


def test_normal():
    assert_normal(filled("normal_", (211, 307)), 0, 1)
    assert_normal(filled("normal_", (64777,), -2, 0.3), -2, 0.3)
    assert (filled("normal_", (3,), 2.0, 0.0) == 2).all()


@pytest.mark.parametrize(("gain", "shape"), [(1, (211, 307)), (2.5, (307, 13, 3, 5))])
def test_xavier(gain, shape):
    kernel = math.prod(shape[2:])
    std = gain * math.sqrt(2 / (shape[0] * kernel + shape[1] * kernel))
    bound = math.sqrt(3) * std
    assert_uniform(filled("xavier_uniform_", shape, gain), -bound, bound)
    assert_normal(filled("xavier_normal_", shape, gain), 0, std)


@pytest.mark.parametrize(
    ("options", "fan", "gain"),
    [
        ({}, "in", math.sqrt(2)),
        ({"mode": "fan_out"}, "out", math.sqrt(2)),
        ({"mode": "FAN_OUT", "nonlinearity": "tanh"}, "out", 5 / 3),
        ({"nonlinearity": "linear"}, "in", 1),
        ({"a": math.sqrt(5)}, "in", math.sqrt(1 / 3)),
        ({"a": 3, "nonlinearity": "selu"}, "in", 0.75),
    ],
)
@pytest.mark.parametrize("shape", [(211, 307), (307, 13, 3, 5)])
def test_kaiming(options, fan, gain, shape):
    std = gain / math.sqrt(shape[fan == "in"] * math.prod(shape[2:]))
    bound = math.sqrt(3) * std
    assert_uniform(filled("kaiming_uniform_", shape, **options), -bound, bound)
    assert_normal(filled("kaiming_normal_", shape, **options), 0, std)


TRUNCATED = [
    (0, 1, -2, 2),
    (0.3, 0.02, -2, 2),
    (1, 2, -math.inf, 1.5),
    (0, 1, -0.1, 0.2),  # little of the normal distribution, at its peak
    (0, 1, 0.1, 0.4),
    (0, 1, 0.6, 3),
    (0, 1, 3, 4),
    (5, 1, -2, 2),
    (0, 0.1, 1, math.inf),
    (1, 0.5, -math.inf, -7),
]


def interval_moments(mean, std, a, b):
    """Mean, standard deviation and kurtosis of a truncated normal, by adding up its density."""
    mode = min(max(mean, a), b)
    x = np.linspace(max(a, mode - 12 * std), min(b, mode + 12 * std), 400001)
    weight = np.exp(-(((x - mean) / std) ** 2) / 2 + ((mode - mean) / std) ** 2 / 2)
    weight[[0, -1]] /= 2
    weight /= weight.sum()
    middle = weight @ x
    variance = weight @ (x - middle) ** 2
    return middle, math.sqrt(variance), weight @ (x - middle) ** 4 / variance**2


@pytest.mark.parametrize(("mean", "std", "a", "b"), TRUNCATED)
@pytest.mark.filterwarnings("ignore:trunc_normal_")
def test_truncated_normal(mean, std, a, b):
    values = filled("trunc_normal_", (211, 307), mean, std, a, b)
    assert a <= values.min()
    assert values.max() <= b
    assert_moments(values, *interval_moments(mean, std, a, b))


@pytest.mark.filterwarnings("ignore:trunc_normal_")
def test_truncated_normal_far_out_ends_soon():
    assert filled("trunc_normal_", (5, 2), 0, 1, 1e8, 2e8) == pytest.approx(1e8)
    assert (filled("trunc_normal_", (5, 2), 0, 1e-320, 1, math.inf) == 1).all()
    assert (filled("trunc_normal_", (5, 2), 0, 1, 1, 1) == 1).all()


def test_truncated_normal_stays_within_rounded_bounds():
    bound = 0.1
    values = filled("trunc_normal_", (9973,), 0, 0.1, -bound, bound, dtype=np.float16)
    assert abs(values).max() == np.float16(bound)


def test_truncated_normal_warns_when_the_mean_is_far_away():
    w = blank(3, 5)
    with pytest.warns(UserWarning, match="mean 10 is more than 2 std") as record:
        nni.trunc_normal_(w, 10, 1)
    assert record[0].filename == __file__
    assert (w.data <= 2).all()


def test_sparse():
    values = filled("sparse_", (10, 6007), 0.3, std=0.5)
    assert ((values == 0).sum(0) == 3).all()
    assert_normal(values[values != 0], 0, 0.5)
    # every row is as often zero as any other
    share = (values == 0).mean(1)
    assert (abs(share - 0.3) <= 4 * math.sqrt(0.21 / 6007)).all()
    assert ((filled("sparse_", (7, 11), 0.15) == 0).sum(0) == 2).all()
    assert (filled("sparse_", (7, 11), 0) != 0).all()
    assert (filled("sparse_", (7, 11), 1) == 0).all()
    assert_normal(filled("sparse_", (211, 307), 0.0), 0, 0.01)


def test_filling():
    w = blank(2, 3)
    assert nni.constant_(w, -1.5).tolist() == [[-1.5] * 3] * 2
    assert nni.zeros_(w).tolist() == [[0] * 3] * 2
    assert nni.ones_(w).tolist() == [[1] * 3] * 2
    assert nni.eye_(w).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert nni.eye_(blank(3, 1)).tolist() == [[1], [0], [0]]
    assert nni.constant_(blank(2, dtype=int), 3.0).tolist() == [3, 3]
    assert nni.constant_(w, tg.Tensor(4.0, requires_grad=True)).tolist() == [[4] * 3] * 2
    assert np.isnan(nni.constant_(w, math.nan).data).all()
    assert nni.constant_(w, -math.inf).tolist() == [[-math.inf] * 3] * 2


# Orthogonal matrices


@pytest.mark.parametrize("gain", [1, 0.3, -2])
@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 7), (7, 1), (13, 13), (23, 5), (5, 23), (5, 3, 2, 7), (31, 2, 3)]
)
def test_orthogonal(shape, gain):
    q = filled("orthogonal_", shape, gain).reshape(shape[0], -1)
    product = q @ q.T if q.shape[0] <= q.shape[1] else q.T @ q
    assert abs(product - gain**2 * np.eye(min(q.shape))).max() <= 1e-12
    same = init.orthogonal(shape, np.float64, np.random.default_rng(3), gain)
    assert (same.reshape(q.shape) == q).all()
    assert same.flags.c_contiguous
    assert q.ravel() == pytest.approx(gain * filled("orthogonal_", shape).ravel(), rel=1e-12)


def test_orthogonal_matrices_are_uniform():
    q = np.stack([filled("orthogonal_", (3, 3), rng=seed) for seed in range(2000)])
    rotations = (np.linalg.det(q) > 0).mean()
    assert abs(rotations - 0.5) <= 4 * 0.5 / math.sqrt(2000)
    # each entry has mean 0, variance 1/3, and a uniform distribution (Archimedes); the trace has
    # the variance 1
    assert (abs(q.mean(0)) <= 4 * math.sqrt(1 / 3 / 2000)).all()
    assert (abs((q**2).mean(0) - 1 / 3) <= 4 * math.sqrt(4 / 45 / 2000)).all()
    trace = np.trace(q, axis1=1, axis2=2)
    assert abs(trace.mean()) <= 4 / math.sqrt(2000)


def test_orthogonal_is_computed_in_float64():
    q = filled("orthogonal_", (5, 23), dtype=np.float16)
    assert (q == filled("orthogonal_", (5, 23)).astype(np.float16)).all()


# Gains


@pytest.mark.parametrize(("name", "gain"), GAINS.items())
def test_gains(name, gain):
    assert nni.calculate_gain(name) == gain


def test_gain_of_a_slope():
    assert nni.calculate_gain("leaky_relu", 0) == math.sqrt(2)
    assert nni.calculate_gain("leaky_relu", 2.0) == math.sqrt(0.4)
    assert nni.calculate_gain("leaky_relu", np.float32(2)) == pytest.approx(math.sqrt(0.4))
    assert nni.calculate_gain("relu", "no notice is taken") == math.sqrt(2)


# What all have in common


@every(DRAWING)
def test_the_seed_decides(name, args):
    once = filled(name, (5, 7), *args, rng=11)
    assert (filled(name, (5, 7), *args, rng=np.random.default_rng(11)) == once).all()
    assert (filled(name, (5, 7), *args, rng=12) != once).any()
    make = getattr(nni, name)
    tg.manual_seed(11)
    assert (make(blank(5, 7), *args).data == once).all()
    assert (make(blank(5, 7), *args).data != once).any()


@every(ALL)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtype_and_memory_stay(name, args, dtype):
    w = blank(3, 5, dtype=dtype, requires_grad=True, name="w")
    memory = w.data
    assert getattr(nni, name)(w, *args) is w
    assert w.data is memory
    assert w.dtype == dtype
    assert (memory != 7).all()
    assert w.requires_grad
    assert w.grad is None
    assert w.name == "w"
    assert "made by" not in repr(w)


@every(ALL)
def test_a_graph_that_used_the_old_values_raises(name, args):
    w, x = blank(3, 5, requires_grad=True, name="w"), blank(3, 5, requires_grad=True)
    y = (w * x).sum()
    getattr(nni, name)(w, *args)
    with pytest.raises(RuntimeError, match="'w' was changed in place"):
        y.backward()
    assert w.grad is None
    (w * x).sum().backward()
    assert (x.grad.data == w.data).all()


@every(ALL)
def test_names_and_defaults_are_those_of_pytorch(name, args):
    torch = pytest.importorskip("torch")
    theirs = inspect.signature(getattr(torch.nn.init, name)).parameters
    ours = inspect.signature(getattr(nni, name)).parameters
    expected = [(p.name, p.default) for p in theirs.values() if p.name != "generator"]
    assert [(p.name, p.default) for p in ours.values() if p.name != "rng"] == expected
    assert ("rng" in ours) == ("generator" in theirs)
    assert inspect.signature(getattr(nni, name)).return_annotation == "Tensor"


def test_parameters_of_a_layer():
    layer = tg.nn.Linear(5, 3)
    nni.constant_(tensor=layer.bias, val=0.5)
    nni.eye_(layer.weight)
    assert layer(np.arange(5, dtype=np.float32)).tolist() == [0.5, 1.5, 2.5]
    assert layer.weight.dtype == np.float32


# Parts of a leaf


PARTS = [
    lambda w: w[2:],
    lambda w: w.T,
    lambda w: tg.split(w, 2)[1],
    lambda w: w.reshape(2, 2, 3)[0].swapaxes(0, 1),
    lambda w: tg.unstack(w)[3],
]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("recording", [True, False])
def test_a_part_of_a_leaf_is_set_in_the_leaf(part, recording):
    w, x = blank(4, 3, requires_grad=True, name="w"), blank(4, 3, requires_grad=True)
    stale = (w * x).sum()
    with tg.enable_grad() if recording else tg.no_grad():
        selected = part(w)
    assert nni.constant_(selected, 2.0) is selected
    expected = np.full((4, 3), 7.0)
    part(tg.as_tensor(expected)).data[...] = 2
    assert (w.data == expected).all()
    assert (expected == 2).any()
    with pytest.raises(RuntimeError, match="changed in place"):
        stale.backward()


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("whole", [True, False])
def test_a_graph_that_used_the_part_raises(part, whole):
    w, x = blank(4, 3, requires_grad=True), tg.Tensor(2.0, requires_grad=True)
    selected = part(w)
    stale = (selected * x).sum()
    nni.zeros_(w if whole else selected)
    with pytest.raises(RuntimeError, match="changed in place"):
        stale.backward()
    (selected * x).sum().backward()
    assert x.grad.item() == 0
    assert w.grad.sum().item() == 2 * selected.size


def test_a_part_without_elements():
    w = blank(4, 3, requires_grad=True)
    assert nni.ones_(w[4:]).shape == (0, 3)
    assert (w.data == 7).all()


@pytest.mark.parametrize(
    "result",
    [
        lambda w: w * 1,
        lambda w: 3 * w,
        lambda w: w[[0, 1]],
        lambda w: tg.tanh(w)[1:],
        lambda w: w.T.reshape(-1),
        lambda w: w.copy(),
    ],
)
def test_a_result_with_memory_of_its_own_is_refused(result):
    w = blank(4, 3, requires_grad=True)
    h = result(w)
    before = h.data.copy()
    with pytest.raises(RuntimeError, match=r"uniform_.*result of an operation.*detach"):
        nni.uniform_(h)
    assert (h.data == before).all()
    detached = h.detach()
    assert (nni.ones_(detached).data == 1).all()


def test_read_only_memory_is_refused():
    w = blank(3)
    wide = np.broadcast_to(w, (2, 3))
    with pytest.raises(RuntimeError, match=r"zeros_.*read-only"):
        nni.zeros_(wide)
    assert (w.data == 7).all()


# Sizes 0


@every(ALL)
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_nothing_to_set(name, args, shape):
    w = blank(*shape, requires_grad=True)
    expected = name.startswith("kaiming")
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        assert getattr(nni, name)(w, *args) is w
    assert w.shape == shape
    assert [str(r.message) for r in record] == (
        ["Initializing zero-element tensors is a no-op"] if expected else []
    )
    assert all(r.filename == __file__ for r in record)


@pytest.mark.parametrize("name", ["uniform_", "normal_", "trunc_normal_", "zeros_", "ones_"])
@pytest.mark.parametrize("shape", [(), (1,), (5,), (0,)])
def test_few_axes(name, shape):
    w = getattr(nni, name)(blank(*shape))
    assert w.shape == shape
    assert (w.data != 7).all()


# Wrong use


@pytest.mark.parametrize(
    ("name", "args", "kind", "message"),
    [
        ("uniform_", (1, 0), RuntimeError, "low <= high, got 1 and 0"),
        ("uniform_", (math.nan, 0), RuntimeError, "finite"),
        ("uniform_", (0, math.inf), RuntimeError, "finite"),
        ("uniform_", (-1.7e308, 1.7e308), RuntimeError, "finite"),
        ("normal_", (0, -1), RuntimeError, "std=-1"),
        ("normal_", (0, math.nan), RuntimeError, "std=nan"),
        ("trunc_normal_", (0, 0), RuntimeError, "positive std"),
        ("trunc_normal_", (0, -1), RuntimeError, "positive std"),
        ("trunc_normal_", (0, math.inf), RuntimeError, "positive std"),
        ("trunc_normal_", (math.nan, 1), RuntimeError, "finite mean"),
        ("trunc_normal_", (0, 1, 2, -2), RuntimeError, "a <= b"),
        ("trunc_normal_", (0, 1, math.nan), RuntimeError, "a <= b"),
        ("trunc_normal_", (0, 1, math.inf, math.inf), RuntimeError, "a <= b"),
        ("xavier_uniform_", (-1,), RuntimeError, "gain"),
        ("xavier_normal_", (-1,), RuntimeError, "gain"),
        ("xavier_normal_", (math.nan,), RuntimeError, "gain"),
        ("kaiming_uniform_", (0, "fan"), ValueError, "Mode 'fan' not supported.*fan_in.*fan_out"),
        ("kaiming_normal_", (0, None), ValueError, "Mode None not supported"),
        ("kaiming_uniform_", (0, "fan_in", "gelu"), ValueError, "Unsupported.*'gelu'.*selu"),
        ("kaiming_normal_", (0, "fan_in", "tahn"), ValueError, "Did you mean 'tanh'"),
        ("kaiming_uniform_", (True,), ValueError, "negative_slope True not a valid number"),
        ("kaiming_uniform_", ("x",), ValueError, "negative_slope 'x' not a valid number"),
        ("sparse_", (-0.1,), ValueError, "from 0 to 1, got -0.1"),
        ("sparse_", (1.1,), ValueError, "from 0 to 1, got 1.1"),
        ("sparse_", (math.nan,), ValueError, "from 0 to 1, got nan"),
        ("sparse_", (0.5, -1), RuntimeError, "std=-1"),
        ("sparse_", (), TypeError, "sparsity"),
        ("constant_", (), TypeError, "val"),
        ("constant_", ("a",), TypeError, "numbers"),
        ("constant_", (1j,), TypeError, "real numbers"),
        ("constant_", ([1.0, 2.0],), ValueError, r"one number.*\(2,\)"),
        ("zeros_", (1,), TypeError, "too many"),
    ],
)
def test_wrong_values(name, args, kind, message):
    w, rng = blank(3, 5, requires_grad=True), np.random.default_rng(5)
    options = {"rng": rng} if name in dict(DRAWING) else {}
    x = (w * w).sum()
    with pytest.raises(kind, match=message):
        getattr(nni, name)(w, *args, **options)
    assert (w.data == 7).all()
    assert rng.random() == np.random.default_rng(5).random()
    x.backward()  # no change was counted


@pytest.mark.parametrize(
    ("dtype", "val"),
    [
        (np.float32, 1e50),
        (np.float16, -1e6),
        (int, 0.5),
        (int, math.inf),
        (int, math.nan),
        (np.int8, 300),
        (bool, 3),
    ],
)
def test_a_constant_that_the_dtype_can_not_hold(dtype, val):
    w = tg.Tensor(np.ones(3, dtype))
    with pytest.raises(RuntimeError, match="can't be held"):
        nni.constant_(w, val)
    assert (w.data == 1).all()


@pytest.mark.parametrize("shape", [(), (1,), (5,)])
@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        *((f"{n}_{d}_", (), "Fan in and fan out") for n in ("xavier", "kaiming") for d in
          ("uniform", "normal")),
        ("orthogonal_", (), "2 or more dimensions"),
        ("sparse_", (0.5,), "2 dimensions"),
        ("eye_", (), "2 dimensions"),
    ],
)  # fmt: skip
def test_too_few_axes(name, args, message, shape):
    with pytest.raises(ValueError, match=message):
        getattr(nni, name)(blank(*shape), *args)


@pytest.mark.parametrize(("name", "args"), [("sparse_", (0.5,)), ("eye_", ())])
def test_too_many_axes(name, args):
    with pytest.raises(ValueError, match="2 dimensions"):
        getattr(nni, name)(blank(2, 3, 5), *args)


@every(DRAWING)
def test_integers_take_no_random_numbers(name, args):
    w = blank(3, 5, dtype=int)
    with pytest.raises(TypeError, match=f"{name}: .*floating-point.*int64"):
        getattr(nni, name)(w, *args)
    assert (w.data == 7).all()


@every(FILLING)
def test_integers_can_be_filled(name, args):
    w = getattr(nni, name)(blank(3, 5, dtype=int), *args)
    assert w.dtype == int
    assert (w.data != 7).all()


@every(ALL)
def test_only_tensors_are_set(name, args):
    w = blank(3, 5)
    with pytest.raises(TypeError, match=rf"{name} sets .* ndarray.*not its \.data"):
        getattr(nni, name)(w.data, *args)
    assert (w.data == 7).all()
    with pytest.raises(TypeError, match=f"{name} sets .* list"):
        getattr(nni, name)([1.0], *args)


@every(DRAWING)
def test_the_generator_is_called_rng(name, args):
    with pytest.raises(TypeError, match=rf"{name}\(\) has no argument 'generator'.*'rng'"):
        getattr(nni, name)(blank(3, 5), *args, generator=np.random.default_rng(1))
    with pytest.raises(TypeError):
        getattr(nni, name)(blank(3, 5), *args, rng="seed")


def test_a_misspelt_keyword():
    with pytest.raises(TypeError, match="Did you mean 'gain'"):
        nni.orthogonal_(blank(3, 5), gian=2)


# PyTorch itself


@pytest.mark.parametrize("name", GAINS)
@pytest.mark.parametrize("slope", [None, 0, 3, 0.2])
def test_gains_are_those_of_pytorch(name, slope):
    torch = pytest.importorskip("torch")
    assert nni.calculate_gain(name, slope) == torch.nn.init.calculate_gain(name, slope)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("uniform_", {"a": -0.5, "b": 2.0}),
        ("normal_", {"mean": 3.0, "std": 0.2}),
        ("trunc_normal_", {"mean": 0.5, "std": 2.0}),
        ("trunc_normal_", {"mean": 0.0, "std": 1.0, "a": 1.5, "b": 2.5}),
        ("xavier_uniform_", {"gain": 1.7}),
        ("xavier_normal_", {"gain": 1.7}),
        ("kaiming_uniform_", {"a": 2.0, "mode": "fan_out"}),
        ("kaiming_normal_", {"nonlinearity": "tanh"}),
        ("orthogonal_", {"gain": 3.0}),
        ("sparse_", {"sparsity": 0.35, "std": 2.0}),
    ],
)
@pytest.mark.parametrize("shape", [(211, 307), (307, 13, 3, 5)])
def test_the_distribution_is_that_of_pytorch(name, options, shape):
    torch = pytest.importorskip("torch")
    if name == "sparse_":
        shape = (211, 307)
    torch.manual_seed(5)
    theirs = getattr(torch.nn.init, name)(torch.empty(shape, dtype=torch.float64), **options)
    theirs = np.sort(theirs.numpy(), axis=None)
    ours = np.sort(filled(name, shape, **options), axis=None)
    # Kolmogorov and Smirnov: the largest distance of the two distribution functions
    both = np.concatenate([ours, theirs])
    shares = [np.searchsorted(x, both, side="right") / x.size for x in (ours, theirs)]
    assert abs(shares[0] - shares[1]).max() <= 2.2 * math.sqrt(2 / ours.size)
