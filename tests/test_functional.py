"""Functions and modules of networks against PyTorch: values, gradients of two orders; wrong use."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_rnn as tg
from tinygrad_rnn.nn import functional as F

INF = np.inf


def leaves_of(arrays: list[np.ndarray]) -> list[tg.Tensor]:
    return [tg.Tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]


def assert_same_as_torch(
    ours: Any, theirs: Any, arrays: list[np.ndarray], rtol: float = 1e-9, orders: int = 2
) -> None:
    """Values and gradients of all orders up to `orders`, of <w, f(arrays)> with random w."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    our_leaves = leaves_of(arrays)
    their_leaves = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    y, z = ours(*our_leaves), theirs(*their_leaves)
    assert y.shape == tuple(z.shape)
    assert_allclose(y.data, z.detach().numpy(force=True), rtol=rtol, atol=1e-12)
    our_leaves = [x for x in our_leaves if x.requires_grad]
    their_leaves = [x for x in their_leaves if x.requires_grad]
    ys, zs = [y], [z]
    for order in range(orders):
        if not any(y.requires_grad for y in ys) or not any(z.requires_grad for z in zs):
            assert not any(y.requires_grad and np.any(y.data) for y in ys)
            return
        weights = [rng.normal(size=y.shape) for y in ys]
        value = sum(((y * w).sum() for y, w in zip(ys, weights, strict=True)), tg.Tensor(0.0))
        other = sum((z * torch.tensor(w)).sum() for z, w in zip(zs, weights, strict=True))
        again = order + 1 < orders
        found = tg.grad(value, our_leaves, create_graph=again, allow_unused=True)
        expected = torch.autograd.grad(other, their_leaves, create_graph=again, allow_unused=True)
        ys, zs = [], []
        for x, g, e in zip(our_leaves, found, expected, strict=True):
            g = tg.Tensor(np.zeros(x.shape)) if g is None else g
            e = torch.zeros(x.shape, dtype=torch.float64) if e is None else e
            assert_allclose(g.data, e.detach().numpy(force=True), rtol=rtol, atol=1e-10)
            ys.append(g)
            zs.append(e)


def normal(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    return [rng.normal(size=shape) for shape in shapes]


# Softmax


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
@pytest.mark.parametrize(("shape", "dim"), [((3, 4), -1), ((3, 4), 0), ((2, 3, 2), 1), ((5,), 0)])
def test_softmax_and_its_relatives(name: str, shape: Any, dim: int):
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn.functional, name)
    arrays = normal(shape)
    assert_same_as_torch(
        lambda x: getattr(F, name)(x, dim), lambda x: theirs(x, dim), arrays, orders=3
    )


EXTREMES = [
    [1000.0, -1000.0, 0.0],
    [-1000.0, -1000.0, -1001.0],
    [-INF, 0.0, 1.0],
    [-INF, -INF, 1000.0],
    [-INF, -INF, -INF],
    [INF, 0.0, 1.0],
    [np.nan, 0.0, 1.0],
]


@pytest.mark.parametrize("row", EXTREMES, ids=str)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_softmax_of_extremes(name: str, row: list[float], dtype: Any):
    torch = pytest.importorskip("torch")
    a = np.array([row, [0.0, 1.0, 2.0]], dtype)
    w = np.array([[1.0, 2.0, 3.0], [1.0, 0.0, 0.0]], dtype)
    x, z = tg.Tensor(a, requires_grad=True), torch.tensor(a, requires_grad=True)
    y, e = getattr(F, name)(x, 1), getattr(torch.nn.functional, name)(z, 1)
    y.backward(w)
    e.backward(torch.tensor(w))
    assert y.dtype == x.grad.dtype == dtype
    tolerance = 1e-12 if dtype is np.float64 else 1e-6
    assert_allclose(y.data, e.detach().numpy(), rtol=tolerance, atol=tolerance)
    assert_allclose(x.grad.data, z.grad.numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("row", [r for r in EXTREMES if r[0] != INF], ids=str)
@pytest.mark.parametrize("axis", [1, (0, 1), (-1, 0), None])
def test_logsumexp_of_extremes(row: list[float], axis: Any):
    torch = pytest.importorskip("torch")
    a = np.array([row, [0.0, 1.0, 2.0]])
    dims = (0, 1) if axis is None else axis
    x, z = tg.Tensor(a, requires_grad=True), torch.tensor(a, requires_grad=True)
    y, e = tg.logsumexp(x, axis), torch.logsumexp(z, dims)
    y.sum().backward()
    e.sum().backward()
    assert_allclose(y.data, e.detach().numpy(), rtol=1e-14)
    assert_allclose(x.grad.data, z.grad.numpy(), rtol=1e-12, atol=1e-300)


def test_logsumexp_of_infinity_and_of_nothing():
    assert tg.logsumexp(np.array([INF, 0.0])) == INF
    assert tg.logsumexp(np.zeros((2, 0)), axis=1).tolist() == [-INF, -INF]
    assert tg.logsumexp(np.zeros((0, 2)), axis=1).shape == (0,)


@pytest.mark.parametrize("f", [tg.softmax, tg.log_softmax])
def test_softmax_of_nothing_and_of_integers(f: Any):
    assert f(np.zeros((2, 0))).shape == (2, 0)
    assert_array_equal(f(np.array([1, 2])), f(np.array([1.0, 2.0])))


# Activations: what they compute is tested with the operations; here, that names and settings fit


ACTIVATIONS: list[tuple[str, dict[str, Any]]] = [
    ("celu", {"alpha": 0.7}),
    ("elu", {"alpha": 0.7}),
    ("gelu", {"approximate": "none"}),
    ("gelu", {"approximate": "tanh"}),
    ("glu", {"dim": 0}),
    ("glu", {}),
    ("hardshrink", {"lambd": 0.3}),
    ("hardsigmoid", {}),
    ("hardswish", {}),
    ("hardtanh", {"min_val": -0.3, "max_val": 0.6}),
    ("leaky_relu", {"negative_slope": 0.2}),
    ("logsigmoid", {}),
    ("mish", {}),
    ("relu", {}),
    ("relu6", {}),
    ("selu", {}),
    ("sigmoid", {}),
    ("silu", {}),
    ("softplus", {"beta": 2.0, "threshold": 1.0}),
    ("softshrink", {"lambd": 0.3}),
    ("softsign", {}),
    ("tanh", {}),
    ("tanhshrink", {}),
]


@pytest.mark.parametrize(("name", "settings"), ACTIVATIONS, ids=str)
def test_activations_have_the_names_and_settings_of_torch(name: str, settings: Any):
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn.functional, name)
    assert_same_as_torch(
        lambda x: getattr(F, name)(3 * x, **settings),
        lambda x: theirs(3 * x, **settings),
        normal((4, 6)),
        rtol=2e-7,  # PyTorch has some constants in float32
    )
    # the same by position
    assert_same_as_torch(
        lambda x: getattr(F, name)(x, *settings.values()),
        lambda x: theirs(x, **settings),
        normal((4, 6)),
        rtol=2e-7,
        orders=1,
    )


def test_prelu():
    torch = pytest.importorskip("torch")
    for weight in ((1,), (3,)):
        arrays = normal((2, 3, 2), weight)
        assert_same_as_torch(F.prelu, torch.nn.functional.prelu, arrays)


MODULES: list[tuple[str, dict[str, Any]]] = [
    *((n, {}) for n in tg.nn.activations.__all__ if n not in ("Softmax", "LogSoftmax", "Softmin")),
    ("CELU", {"alpha": 0.5}),
    ("ELU", {"alpha": 0.5}),
    ("GELU", {"approximate": "tanh"}),
    ("GLU", {"dim": 0}),
    ("Hardshrink", {"lambd": 0.2}),
    ("Hardtanh", {"min_val": -0.5, "max_val": 0.25}),
    ("LeakyReLU", {"negative_slope": 0.3}),
    ("LogSoftmax", {"dim": 0}),
    ("PReLU", {"num_parameters": 6, "init": 0.5}),
    ("Softmax", {"dim": 0}),
    ("Softmin", {"dim": 0}),
    ("Softplus", {"beta": 2.0, "threshold": 0.5}),
    ("Softshrink", {"lambd": 0.2}),
    ("LayerNorm", {"normalized_shape": 6}),
    ("LayerNorm", {"normalized_shape": (4, 6), "eps": 0.1}),
    ("LayerNorm", {"normalized_shape": [6], "elementwise_affine": False}),
    ("LayerNorm", {"normalized_shape": [6], "bias": False}),
    ("RMSNorm", {"normalized_shape": 6}),
    ("RMSNorm", {"normalized_shape": (4, 6), "eps": 0.1}),
    ("RMSNorm", {"normalized_shape": [6], "elementwise_affine": False}),
]


@pytest.mark.parametrize(("name", "settings"), MODULES, ids=str)
def test_modules_are_those_of_torch(name: str, settings: Any):
    torch = pytest.importorskip("torch")
    ours, theirs = getattr(tg.nn, name)(**settings), getattr(torch.nn, name)(**settings)
    assert repr(ours) == repr(theirs)
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    a = normal((4, 6))[0].astype(np.float32)
    x = tg.Tensor(a, requires_grad=True)
    z = torch.tensor(a, requires_grad=True)
    y, e = ours(x), theirs(z)
    assert y.dtype == np.float32
    assert_allclose(y.data, e.detach().numpy(), rtol=2e-5, atol=1e-6)
    y.backward(np.cos(y.data))
    e.backward(torch.cos(e.detach()))
    assert_allclose(x.grad.data, z.grad.numpy(), rtol=2e-5, atol=2e-6)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert p.dtype == np.float32
        assert_allclose(p.grad.data, q.grad.numpy(), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", ["LayerNorm", "RMSNorm"])
def test_norms_take_the_dtype_of_their_parameters_and_refuse_integers(name: str):
    layer = getattr(tg.nn, name)(3, dtype=np.float64)
    assert layer(np.ones((2, 3), np.float32)).dtype == np.float64
    bare = getattr(tg.nn, name)(3, elementwise_affine=False)
    assert bare(np.ones((2, 3))).dtype == np.float64
    for made in (layer, bare):
        with pytest.raises(TypeError, match=f"the input of {name} must hold floating-point"):
            made(np.ones((2, 3), int))
    with pytest.raises(ValueError, match="normalized_shape needs positive sizes, got 0"):
        getattr(tg.nn, name)(0)


# Normalisation


@pytest.mark.parametrize(
    ("shape", "normalized"), [((4, 5), (5,)), ((2, 3, 4), (3, 4)), ((3,), (3,)), ((2, 1), (1,))]
)
@pytest.mark.parametrize("eps", [1e-5, 0.3])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_layer_norm(shape: Any, normalized: Any, eps: float, count: int):
    torch = pytest.importorskip("torch")
    if normalized == (1,) and eps < 0.1:
        pytest.skip("1 / √eps³ times what should be 0 is noise")
    theirs = torch.nn.functional.layer_norm
    assert_same_as_torch(
        lambda x, *wb: F.layer_norm(x, normalized, *wb, eps=eps),
        lambda x, *wb: theirs(x, normalized, *wb, eps=eps),
        normal(shape, *[normalized] * count),
    )


@pytest.mark.parametrize(("shape", "normalized"), [((4, 5), (5,)), ((2, 3, 4), (3, 4)), ((3,), 3)])
@pytest.mark.parametrize("eps", [None, 0.3])
@pytest.mark.parametrize("count", [0, 1])
def test_rms_norm(shape: Any, normalized: Any, eps: Any, count: int):
    torch = pytest.importorskip("torch")
    sizes = (normalized,) if isinstance(normalized, int) else normalized
    assert_same_as_torch(
        lambda x, *w: F.rms_norm(x, normalized, *w, eps=eps),
        lambda x, *w: torch.nn.functional.rms_norm(x, sizes, *w, eps=eps),
        normal(shape, *[sizes] * count),
    )


def test_rms_norm_takes_the_eps_of_the_dtype():
    a = np.full((1, 2), 1e-4)
    for dtype in (np.float32, np.float64):
        expected = a / np.sqrt(a * a + np.finfo(dtype).eps)
        assert_allclose(F.rms_norm(a.astype(dtype), 2), expected, rtol=1e-6)


def test_norms_to_the_third_order():
    torch = pytest.importorskip("torch")
    x, w = normal((2, 4), (4,))

    def plain(x: Any, w: Any) -> Any:  # PyTorch's own has a wrong third derivative
        variance = x.var(-1, correction=0, keepdim=True)
        return (x - x.mean(-1, keepdim=True)) / torch.sqrt(variance + 1e-5) * w + w * w

    assert_same_as_torch(
        lambda x, w: F.layer_norm(x, 4, w, w * w),
        plain,
        [x, w],
        rtol=1e-7,
        orders=3,
    )


def test_norms_pass_gradcheck():
    x, w, b = normal((3, 4), (4,), (4,))
    x, w, b = leaves_of([x, w, b])
    assert tg.gradcheck(lambda x, w, b: F.layer_norm(x, 4, w, b), (x, w, b))
    assert tg.gradgradcheck(lambda x, w, b: F.layer_norm(x, 4, w, b), (x, w, b))
    assert tg.gradcheck(lambda x, w: F.rms_norm(x, 4, w), (x, w))
    assert tg.gradgradcheck(lambda x, w: F.rms_norm(x, 4, w), (x, w))


@pytest.mark.parametrize("f", [F.layer_norm, F.rms_norm])
def test_wrong_shapes_of_norms(f: Any):
    x = np.ones((2, 3))
    with pytest.raises(ValueError, match=r"last axes of normalized_shape \(2,\), got \(2, 3\)"):
        f(x, 2)
    with pytest.raises(ValueError, match=r"last axes of normalized_shape \(1, 2, 3\)"):
        f(x, (1, 2, 3))
    with pytest.raises(ValueError, match=r"weight needs the shape normalized_shape \(3,\), got"):
        f(x, 3, np.ones((1, 3)))
    with pytest.raises(ValueError, match="normalized_shape"):
        f(x, ())
    with pytest.raises(ValueError, match="bias needs the shape"):
        F.layer_norm(x, 3, None, np.ones(2))


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, 1.5, INF])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_normalize(p: float, dim: int):
    torch = pytest.importorskip("torch")
    assert_same_as_torch(
        lambda x: F.normalize(x, p, dim),
        lambda x: torch.nn.functional.normalize(x, p, dim),
        normal((3, 4)),
        orders=1 if p == INF else 2,
    )


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, INF])
def test_normalize_of_zeros_and_of_less_than_eps(p: float):
    torch = pytest.importorskip("torch")
    a = np.array([[0.0, 0.0], [1e-3, -1e-3], [3.0, 4.0], [2.0, 2.0]])
    assert_same_as_torch(
        lambda x: F.normalize(x, p, eps=0.1),
        lambda x: torch.nn.functional.normalize(x, p, eps=0.1),
        [a],
        orders=1,
    )
    with pytest.raises(ValueError, match="p must be positive"):
        F.normalize(a, 0)


@pytest.mark.parametrize(
    ("a", "b", "dim"),
    [
        ((3, 4), (3, 4), 1),
        ((3, 4), (3, 4), 0),
        ((4,), (3, 4), 1),
        ((3, 1), (3, 4), 1),
        ((4,),) * 2 + (0,),
    ],
)
def test_cosine_similarity(a: Any, b: Any, dim: int):
    torch = pytest.importorskip("torch")
    assert_same_as_torch(
        lambda x, y: F.cosine_similarity(x, y, dim),
        lambda x, y: torch.nn.functional.cosine_similarity(x, y, dim),
        normal(a, b),
    )


def test_cosine_similarity_of_zeros_and_wrong_shapes():
    torch = pytest.importorskip("torch")
    assert_same_as_torch(
        F.cosine_similarity,
        torch.nn.functional.cosine_similarity,
        [np.zeros((1, 3)), np.ones((1, 3))],
        orders=1,
    )
    with pytest.raises(ValueError, match=r"x1 \(2, 3\) and x2 \(2, 4\) don't broadcast"):
        F.cosine_similarity(np.ones((2, 3)), np.ones((2, 4)))


# one_hot, embedding, dropout


@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
@pytest.mark.parametrize("classes", [-1, 5])
def test_one_hot(shape: Any, classes: int):
    torch = pytest.importorskip("torch")
    ids = np.random.default_rng(0).integers(0, 5, shape)
    expected = torch.nn.functional.one_hot(torch.tensor(ids), classes).numpy()
    found = F.one_hot(ids, classes)
    assert type(found) is np.ndarray
    assert found.dtype == np.int64
    assert_array_equal(found, expected)
    made = F.one_hot(tg.Tensor(ids), num_classes=classes)
    assert not made.requires_grad
    assert_array_equal(made.data, expected)


@pytest.mark.parametrize(
    ("error", "ids", "classes", "words"),
    [
        (TypeError, [0.0], -1, "one_hot: needs integers, got float64"),
        (TypeError, [True], -1, "needs integers, got bool"),
        (ValueError, [0, 3], 3, "3 is no class .0 … 2."),
        (ValueError, [0, -1], -1, "-1 is no class"),
        (ValueError, np.zeros(0, int), -1, "give num_classes"),
        (ValueError, [0], 0, "num_classes must be positive or -1, got 0"),
    ],
)
def test_wrong_use_of_one_hot(error: Any, ids: Any, classes: int, words: str):
    with pytest.raises(error, match=words):
        F.one_hot(ids, classes)


def test_one_hot_of_nothing_with_classes():
    assert F.one_hot(np.zeros((2, 0), int), 3).shape == (2, 0, 3)


def test_padding_idx_of_embedding():
    torch = pytest.importorskip("torch")
    ids = np.array([[0, 2], [2, 1]])
    for padding in (None, 2, -1, 0):
        assert_same_as_torch(
            lambda w, p=padding: F.embedding(ids, w, p),
            lambda w, p=padding: torch.nn.functional.embedding(torch.tensor(ids), w, p),
            normal((3, 2)),
        )
    assert type(F.embedding(ids, np.ones((3, 2)), 0)) is np.ndarray
    with pytest.raises(ValueError, match="padding_idx must be within the 3 rows of weight, got 3"):
        F.embedding(ids, np.ones((3, 2)), 3)


def test_dropout_scales_what_it_keeps():
    x = tg.Tensor(np.ones(10000), requires_grad=True)
    y = F.dropout(x, 0.2, rng=3)
    assert set(np.unique(y.data)) == {0.0, 1.25}
    assert abs((y.data == 0).mean() - 0.2) < 0.02
    y.sum().backward()
    assert_array_equal(x.grad.data, y.data)
    assert_array_equal(F.dropout(x, 0.2, rng=3).data, y.data)
    assert F.dropout(x, 0.2, training=False) is x
    assert not F.dropout(x, 1.0).data.any()
    assert F.dropout(x, 0.0) is x
    assert F.dropout([1.0, 2.0], 0.0).tolist() == [1.0, 2.0]
    for training in (True, False):
        with pytest.raises(ValueError, match="a number in range"):
            F.dropout(x, 1.5, training)


# pad


PADDED: list[tuple[tuple[int, ...], tuple[int, ...], str, Any]] = [
    ((2, 3), (1, 2), "constant", None),
    ((2, 3), (1, 2, 3, 0), "constant", 0.5),
    ((2, 3), (-1, 2, 1, -1), "constant", None),
    ((2, 3), (), "constant", None),
    ((2, 3), (-2, -1), "constant", 1.0),
    ((2, 4), (3, 1), "reflect", None),
    ((1, 3, 4), (1, 2, 2, 0), "reflect", None),
    ((2, 3), (5, 1), "replicate", None),
    ((1, 2, 3), (0, 2, 1, 4), "replicate", None),
    ((2, 3), (3, 1), "circular", None),
    ((1, 2, 3), (1, 0, 2, 2), "circular", None),
]


@pytest.mark.parametrize(("shape", "pad", "mode", "value"), PADDED, ids=str)
def test_pad_equals_torch(shape: Any, pad: Any, mode: str, value: Any):
    torch = pytest.importorskip("torch")
    arrays = normal(shape)
    expected = torch.nn.functional.pad(torch.tensor(arrays[0]), pad, mode, value).numpy()
    found = F.pad(arrays[0], pad, mode, value)
    assert type(found) is np.ndarray
    assert_array_equal(found, expected)
    assert_same_as_torch(
        lambda x: F.pad(x * x, pad, mode, value),
        lambda x: torch.nn.functional.pad(x * x, pad, mode, value),
        arrays,
    )


@pytest.mark.parametrize(
    ("pad", "options", "words"),
    [
        ((1,), {}, r"a pair .before, after. for each of the last axes"),
        ((1, 1, 1, 1, 1, 1), {}, r"at most 2 pairs for the shape \(2, 3\)"),
        ((1, 1), {"mode": "wrap"}, "mode is one of 'constant', 'reflect', 'replicate', 'circular'"),
        ((1, 1), {"mode": "reflect", "value": 1.0}, "takes no value, got 1.0"),
        ((3, 0), {"mode": "reflect"}, r"size 3 can't be padded by \(3, 0\) in mode 'reflect'"),
        ((4, 0), {"mode": "circular"}, "size 3 can't be padded"),
        ((-1, 0), {"mode": "replicate"}, "size 3 can't be padded"),
        ((-2, -2), {}, r"size 3 can't be padded by \(-2, -2\)"),
    ],
)
def test_wrong_use_of_pad(pad: Any, options: Any, words: str):
    with pytest.raises(ValueError, match=words):
        F.pad(np.ones((2, 3)), pad, **options)


# All of them


def test_functions_and_modules_are_public():
    for name in F.__all__:
        assert inspect.getdoc(getattr(F, name)), name
    for name in tg.nn.__all__:
        assert inspect.getdoc(getattr(tg.nn, name)), name


def test_plain_arrays_give_plain_arrays():
    x = np.ones((2, 4))
    for name, settings in ACTIVATIONS:
        assert type(getattr(F, name)(x, **settings)) is np.ndarray, name
    for out in (
        F.softmax(x),
        F.log_softmax(x),
        F.softmin(x),
        F.layer_norm(x, 4, x[0], x[0]),
        F.rms_norm(x, 4),
        F.normalize(x),
        F.cosine_similarity(x, x),
        F.dropout(x, rng=0),
    ):
        assert type(out) is np.ndarray
