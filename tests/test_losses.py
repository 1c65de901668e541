"""Losses, Linear and Embedding against PyTorch, and wrong use."""

import itertools

import numpy as np
import pytest
from golden.make_golden import cases, function, label, numbers, relative_error
from test_functional import assert_same_as_torch

import tinygrad_rnn as tg
from tinygrad_rnn.nn import functional as F

FUNCTIONS = cases("functions")


def leaf(array):
    return tg.Tensor(array, dtype=np.float64, requires_grad=True)


def run_function(config, given):
    """What `golden.make_golden.function` does, with this library."""
    leaves = {n: leaf(a) for n, a in given.items()}
    g = leaves.pop("g", None)
    options = {k: v for k, v in config.items() if k not in ("name", "target", "ids")}
    if config["name"] == "linear":
        out = F.linear(leaves["x"], leaves["weight"], leaves.get("bias"))
    elif config["name"] == "embedding":
        out = F.embedding(np.array(config["ids"]), leaves["weight"], **options)
    elif config["name"] == "mse_loss":
        out = F.mse_loss(leaves["x"], leaves["y"], **options)
    else:
        weight = leaves.pop("weight").data if "weight" in leaves else None
        out = F.cross_entropy(leaves["x"], np.array(config["target"]), weight, **options)
    out.backward(np.ones(out.shape) if g is None else g.data)
    return {"out": out.data, **{f"d_{n}": t.grad.data for n, t in leaves.items()}}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, wanted in expected.items():
        error = relative_error(found[name], wanted)
        assert error <= 1e-10, f"{name}: relative error {error:.2g}"


@pytest.mark.parametrize(
    ("config", "given", "expected"), FUNCTIONS, ids=[label(c[0]) for c in FUNCTIONS]
)
def test_function_equals_golden_arrays(config, given, expected):
    assert_same(run_function(config, given), expected)


@pytest.mark.parametrize("shape", [(5,), (1, 3), (7, 5), (2, 3, 5), (3, 2, 1, 4)])
def test_cross_entropy_equals_torch_for_all_options(shape):
    pytest.importorskip("torch")
    rng = np.random.default_rng(len(shape))
    classes = shape[0] if len(shape) == 1 else shape[1]
    for reduction, ignored, smoothing, weighted in itertools.product(
        ("mean", "sum", "none"), (-100, 0, 2), (0.0, 0.25, 1.0), (False, True)
    ):
        target = rng.integers(0, classes, () if len(shape) == 1 else (shape[0], *shape[2:]))
        if ignored == -100:
            target = np.where(rng.random(target.shape) < 0.2, -100, target)
        config = {"name": "cross_entropy", "target": target.tolist(), "reduction": reduction}
        config.update(ignore_index=ignored, label_smoothing=smoothing)
        given = {"x": 10 * numbers(rng, *shape)}
        if weighted:
            given["weight"] = 1.5 + numbers(rng, classes)
        if reduction == "none":
            given["g"] = numbers(rng, *target.shape)
        assert_same(run_function(config, given), function(config, given))


def test_cross_entropy_in_float32_equals_torch_and_stays_float32():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 11)).astype(np.float32), rng.integers(0, 11, 50)
    weight = rng.random(11)
    ours = tg.Tensor(x, requires_grad=True)
    loss = F.cross_entropy(ours, y, weight, label_smoothing=0.1)
    loss.backward()
    theirs = torch.tensor(x, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(
        theirs, torch.tensor(y), torch.tensor(weight, dtype=torch.float32), label_smoothing=0.1
    )
    expected.backward()
    assert loss.dtype == ours.grad.dtype == np.float32
    assert relative_error(loss.data, expected.detach().numpy()) < 1e-5
    assert relative_error(ours.grad.data, theirs.grad.numpy()) < 1e-5


def test_cross_entropy_differentiates_its_weights():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, 3)), np.array([0, 2, 2, 1])
    weight = leaf([0.5, 1.0, 2.0])
    F.cross_entropy(x, y, weight, 1, label_smoothing=0.2).backward()
    for i in range(3):
        step = 1e-6 * np.eye(3)[i]
        above = F.cross_entropy(x, y, weight.data + step, 1, label_smoothing=0.2)
        below = F.cross_entropy(x, y, weight.data - step, 1, label_smoothing=0.2)
        assert weight.grad.data[i] == pytest.approx((above - below) / 2e-6, rel=1e-6)


def test_losses_of_arrays_alone_stay_numpy():
    x = np.zeros((2, 3))
    assert isinstance(F.cross_entropy(x, [0, 1]), np.floating)
    assert type(F.cross_entropy(x, [0, 1], reduction="none")) is np.ndarray
    assert isinstance(F.mse_loss(x, x), np.floating)


def test_cross_entropy_survives_huge_scores():
    x = leaf([[1e4, 0.0, -1e4], [0.0, 1e4, 0.0]])
    loss = F.cross_entropy(x, [2, 1])
    loss.backward()
    assert loss.item() == 1e4
    assert x.grad.tolist() == [[0.5, 0, -0.5], [0, 0, 0]]


def test_ignored_row_with_an_infinite_score_counts_nothing():
    x = leaf([[-np.inf, 0.0, 1.0], [0.0, 0.0, 0.0]])
    loss = F.cross_entropy(x, [-100, 1], ignore_index=-100)
    loss.backward()
    assert loss.item() == pytest.approx(np.log(3))
    assert not x.grad.data[0].any()


def test_cross_entropy_of_nothing_is_nan_without_a_warning():
    assert np.isnan(F.cross_entropy(leaf(np.ones((0, 3))), np.zeros(0, int)).item())


def test_cross_entropy_takes_unsigned_and_tensor_targets():
    x = leaf([[2.0, 0.0], [0.0, 2.0]])
    expected = F.cross_entropy(x, [0, 1]).item()
    assert F.cross_entropy(x, np.array([0, 1], np.uint8)).item() == expected
    assert F.cross_entropy(x, tg.Tensor([0, 1])).item() == expected


@pytest.mark.parametrize(
    ("error", "x", "target", "options", "words"),
    [
        (ValueError, (2, 3), [0, 1, 2], {}, r"classes on axis 1.*need the shape \(2,\), got"),
        (ValueError, (2, 3, 4), [0, 1], {}, r"need the shape \(2, 4\), got \(2,\)"),
        (TypeError, (2, 3), [0.0, 1.0], {}, "targets must be integers .classes., got float64"),
        (IndexError, (2, 3), [0, 3], {}, "target 3 is no class .0 … 2."),
        (IndexError, (2, 3), [-1, 0], {}, "target -1 is no class"),
        (ValueError, (2, 3), [0, 1], {"weight": np.ones(2)}, r"weight needs the shape \(3,\)"),
        (ValueError, (2, 3), [0, 1], {"weight": np.ones(4)}, r"weight needs the shape \(3,\)"),
        (ValueError, (2, 3), [0, 1], {"reduction": "avg"}, "'mean', 'sum' or 'none', got 'avg'"),
        (ValueError, (2, 3), [0, 1], {"label_smoothing": 1.5}, "label_smoothing is 0 … 1"),
    ],
)
def test_wrong_use_of_cross_entropy(error, x, target, options, words):
    with pytest.raises(error, match=words):
        F.cross_entropy(tg.Tensor(np.zeros(x)), target, **options)


def test_mse_loss_refuses_to_broadcast():
    with pytest.raises(ValueError, match=r"input \(3, 1\) and target \(3,\) must have one shape"):
        F.mse_loss(tg.Tensor(np.zeros((3, 1))), np.zeros(3))
    with pytest.raises(ValueError, match="reduction is"):
        F.mse_loss(tg.Tensor(np.zeros(3)), np.zeros(3), "average")


def test_loss_modules_pass_all_their_settings_on():
    rng = np.random.default_rng(0)
    x, y = tg.Tensor(rng.normal(size=(4, 3))), np.array([0, 2, 1, 1])
    settings = {
        "weight": np.array([0.5, 1.0, 2.0]),
        "ignore_index": 2,
        "reduction": "none",
        "label_smoothing": 0.2,
    }
    expected = F.cross_entropy(x, y, **settings)
    assert np.array_equal(tg.nn.CrossEntropyLoss(**settings)(x, y).data, expected.data)
    for reduction in ("mean", "sum", "none"):
        expected = F.mse_loss(x, np.zeros((4, 3)), reduction)
        found = tg.nn.MSELoss(reduction)(x, np.zeros((4, 3)))
        assert np.array_equal(found.data, expected.data)


def test_misspelt_setting_of_a_loss_module():
    with pytest.raises(TypeError, match="Did you mean 'reduction'"):
        tg.nn.CrossEntropyLoss(reductoin="sum")


# All losses against PyTorch: values, gradients of every input that has one, of two orders


def shares(rng, *shape):
    return rng.uniform(0.05, 0.95, shape)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(), (4,), (3, 4), (2, 1, 3)])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("mse_loss", {}),
        ("l1_loss", {}),
        ("smooth_l1_loss", {}),
        ("smooth_l1_loss", {"beta": 0.4}),
        ("smooth_l1_loss", {"beta": 0.0}),
        ("huber_loss", {}),
        ("huber_loss", {"delta": 0.4}),
    ],
    ids=str,
)
def test_losses_of_numbers_equal_torch(name, settings, shape, reduction):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    arrays = [rng.normal(size=shape), rng.normal(size=shape)]
    assert_same_as_torch(
        lambda x, t: getattr(F, name)(x, t, reduction=reduction, **settings),
        lambda x, t: getattr(torch.nn.functional, name)(x, t, reduction=reduction, **settings),
        arrays,
    )


@pytest.mark.parametrize("name", ["l1_loss", "smooth_l1_loss", "huber_loss", "mse_loss"])
def test_losses_of_numbers_at_kinks_and_infinities(name):
    torch = pytest.importorskip("torch")
    x = np.array([-np.inf, -2.0, -1.0, 0.0, 1.0, 2.0, np.inf, np.nan])
    x = x[: 7 if name == "l1_loss" else 8]  # np.sign(nan) is nan, PyTorch's is 0
    zeros = np.zeros(x.shape)
    assert_same_as_torch(
        lambda x: getattr(F, name)(x, zeros, reduction="none"),
        lambda x: getattr(torch.nn.functional, name)(x, torch.tensor(zeros), reduction="none"),
        [x],
        orders=1,
    )
    # the second order at the kinks, too
    assert_same_as_torch(
        lambda x: getattr(F, name)(x, np.zeros(5), reduction="none"),
        lambda x: getattr(torch.nn.functional, name)(
            x, torch.zeros(5, dtype=torch.float64), reduction="none"
        ),
        [x[1:6]],
    )


@pytest.mark.parametrize("shape", [(5,), (4, 3), (2, 3, 4)])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_of_probabilities_equals_torch(shape, reduction, smoothing, weighted):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    axis = min(1, len(shape) - 1)
    t = rng.random(shape)
    weight = rng.random(shape[axis]) + 0.5 if weighted else None
    settings = {"reduction": reduction, "label_smoothing": smoothing}
    assert_same_as_torch(
        lambda x, t: F.cross_entropy(x, t, weight, **settings),
        lambda x, t: torch.nn.functional.cross_entropy(
            x, t, None if weight is None else torch.tensor(weight), **settings
        ),
        [rng.normal(size=shape), t / t.sum(axis, keepdims=True)],
    )


@pytest.mark.parametrize("shape", [(5,), (4, 3), (2, 3, 4)])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_losses_of_classes_equal_torch_to_the_second_order(name, shape, reduction, weighted):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    classes = shape[min(1, len(shape) - 1)]
    y = np.asarray(rng.integers(0, classes, shape[:1] + shape[2:] if len(shape) > 1 else ()))
    if y.ndim:
        y.flat[0] = -100
    weight = rng.random(classes) + 0.5 if weighted else None
    assert_same_as_torch(
        lambda x: getattr(F, name)(x, y, weight, reduction=reduction),
        lambda x: getattr(torch.nn.functional, name)(
            x,
            torch.tensor(y),
            None if weight is None else torch.tensor(weight),
            reduction=reduction,
        ),
        [rng.normal(size=shape)],
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_to_the_third_order(smoothing):
    torch = pytest.importorskip("torch")
    x, y = np.random.default_rng(4).normal(size=(3, 4)), np.array([0, 3, 1])
    assert_same_as_torch(
        lambda x: F.cross_entropy(x, y, label_smoothing=smoothing),
        lambda x: torch.nn.functional.cross_entropy(x, torch.tensor(y), label_smoothing=smoothing),
        [x],
        orders=3,
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weight", [None, (), (3,), (2, 3), (2, 1)])
def test_binary_losses_equal_torch(reduction, weight):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    w = None if weight is None else np.asarray(rng.random(weight) + 0.5)
    their_w = None if weight is None else torch.tensor(w)
    x, t, scores = shares(rng, 2, 3), shares(rng, 2, 3), 3 * rng.normal(size=(2, 3))
    functional = torch.nn.functional
    assert_same_as_torch(
        lambda x, t: F.binary_cross_entropy(x, t, w, reduction),
        lambda x, t: functional.binary_cross_entropy(x, t, their_w, reduction=reduction),
        [x, t],
        orders=1,
    )
    name = "binary_cross_entropy_with_logits"
    for p in (None, np.array([0.5, 1.0, 3.0])):
        their_p = None if p is None else torch.tensor(p)
        assert_same_as_torch(
            lambda x, t, p=p: getattr(F, name)(x, t, w, reduction, p),
            lambda x, t, p=their_p: getattr(functional, name)(
                x, t, their_w, reduction=reduction, pos_weight=p
            ),
            [scores, t],
        )


def test_binary_cross_entropy_to_the_second_order_in_its_input():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(6)
    x, t = shares(rng, 4), shares(rng, 4)
    assert_same_as_torch(
        lambda x: F.binary_cross_entropy(x, t),
        lambda x: torch.nn.functional.binary_cross_entropy(x, torch.tensor(t)),
        [x],
    )


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_binary_cross_entropy_at_its_bounds_equals_torch(dtype):
    torch = pytest.importorskip("torch")
    x = np.array([0.0, 0.0, 1.0, 1.0, 0.0, 1.0], dtype)
    t = np.array([1.0, 0.0, 1.0, 0.0, 0.5, 0.25], dtype)
    ours = tg.Tensor(x, requires_grad=True)
    theirs = torch.tensor(x, requires_grad=True)
    found = F.binary_cross_entropy(ours, t, reduction="none")
    expected = torch.nn.functional.binary_cross_entropy(theirs, torch.tensor(t), reduction="none")
    found.sum().backward()
    expected.sum().backward()
    assert found.dtype == ours.grad.dtype == dtype
    assert found.tolist() == pytest.approx(expected.tolist())
    assert ours.grad.tolist() == pytest.approx(theirs.grad.tolist())


def test_target_of_binary_cross_entropy_has_clamped_gradients():
    t = leaf([0.5, 0.5])
    F.binary_cross_entropy([0.0, 1.0], t, reduction="sum").backward()
    assert t.grad.tolist() == [100.0, -100.0]
    assert tg.gradgradcheck(F.binary_cross_entropy, (leaf([0.3, 0.6, 0.2]), leaf([0.2, 0.9, 0.5])))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_binary_scores_of_any_size(dtype):
    torch = pytest.importorskip("torch")
    x = np.array([1000.0, -1000.0, 1000.0, -1000.0, 30.0, -30.0, 0.0], dtype)
    t = np.array([1.0, 1.0, 0.0, 0.0, 0.5, 0.5, 0.25], dtype)
    p = np.full(7, 2.0, dtype)
    for weight in (None, p):
        ours, theirs = tg.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        name = "binary_cross_entropy_with_logits"
        found = getattr(F, name)(ours, t, reduction="none", pos_weight=weight)
        expected = getattr(torch.nn.functional, name)(
            theirs,
            torch.tensor(t),
            reduction="none",
            pos_weight=None if weight is None else torch.tensor(p),
        )
        found.sum().backward()
        expected.sum().backward()
        assert found.dtype == ours.grad.dtype == dtype
        np.testing.assert_allclose(found.data, expected.detach().numpy(), rtol=1e-6, atol=1e-30)
        np.testing.assert_allclose(ours.grad.data, theirs.grad.numpy(), rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none", "batchmean"])
@pytest.mark.parametrize("log_target", [False, True])
@pytest.mark.parametrize("shape", [(), (4,), (3, 4)])
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
def test_kl_div_equals_torch(reduction, log_target, shape):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(8)
    x, t = np.log(shares(rng, *shape)), shares(rng, *shape)
    arrays = [np.asarray(x), np.asarray(np.log(t) if log_target else t)]
    assert_same_as_torch(
        lambda x, t: F.kl_div(x, t, reduction, log_target),
        lambda x, t: torch.nn.functional.kl_div(x, t, reduction=reduction, log_target=log_target),
        arrays,
    )


def test_kl_div_where_the_target_is_zero():
    x, t = leaf([-np.inf, -1.0, -2.0]), leaf([0.0, 0.0, 1.0])
    loss = F.kl_div(x, t, reduction="sum")
    loss.backward()
    assert loss.item() == 2
    assert x.grad.tolist() == [0, 0, -1]
    assert t.grad.tolist() == [0, 0, 3]


# Extremes


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_masked_classes_of_cross_entropy(smoothing):
    torch = pytest.importorskip("torch")
    a = np.array([[-np.inf, 0.0, 1.0], [2.0, -np.inf, -np.inf], [1000.0, -1000.0, 0.0]])
    for y in ([1, 0, 1], [0, 0, 0]):
        x, z = leaf(a), torch.tensor(a, requires_grad=True)
        found = F.cross_entropy(x, y, reduction="none")
        expected = torch.nn.functional.cross_entropy(z, torch.tensor(y), reduction="none")
        found.sum().backward()
        expected.sum().backward()
        np.testing.assert_allclose(found.data, expected.detach().numpy())
        np.testing.assert_allclose(x.grad.data, z.grad.numpy(), atol=1e-300)
        assert np.isfinite(x.grad.data).all()


def test_masked_classes_without_probability_add_nothing():
    x = leaf([[-np.inf, 0.0, 0.0]])
    t = leaf([[0.0, 0.25, 0.75]])
    loss = F.cross_entropy(x, t)
    loss.backward()
    assert loss.item() == pytest.approx(np.log(2))
    assert x.grad.tolist() == [[0.0, 0.25, -0.25]]
    assert np.isfinite(t.grad.data).all()


def test_a_row_without_any_score_is_nan_as_in_torch():
    x = leaf([[-np.inf, -np.inf], [0.0, 0.0]])
    loss = F.cross_entropy(x, [0, 1], reduction="none")
    loss.sum().backward()
    assert np.isnan(loss.data[0])
    assert np.isnan(x.grad.data[0]).all()
    assert loss.data[1] == pytest.approx(np.log(2))


def test_losses_of_nothing_are_nan_without_a_warning():
    nothing = leaf(np.ones((0, 3)))
    for name in ("mse_loss", "l1_loss", "huber_loss", "binary_cross_entropy", "kl_div"):
        assert np.isnan(getattr(F, name)(nothing, np.ones((0, 3))).item())
    assert np.isnan(F.nll_loss(nothing, np.zeros(0, int)).item())
    assert F.nll_loss(nothing, np.zeros(0, int), reduction="sum").item() == 0


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_all_targets_ignored(name):
    x = leaf(np.ones((2, 3)))
    loss = getattr(F, name)(x, [-100, -100])
    loss.backward()
    assert np.isnan(loss.item())
    assert not x.grad.data.any()


# Derivatives by weights, dtypes, memory


def test_losses_differentiate_their_weights():
    rng = np.random.default_rng(9)
    x, t = rng.normal(size=(3, 4)), shares(rng, 3, 4)
    y, w = np.array([1, -100, 3]), tg.Tensor(rng.random(4) + 0.5, requires_grad=True)
    for smoothing in (0.0, 0.2):
        assert tg.gradcheck(lambda w, s=smoothing: F.cross_entropy(x, y, w, label_smoothing=s), w)
        assert tg.gradcheck(lambda w, s=smoothing: F.cross_entropy(x, t, w, label_smoothing=s), w)
    assert tg.gradcheck(lambda w: F.nll_loss(x, y, w), w)
    assert tg.gradgradcheck(lambda w: F.nll_loss(x, y, w), w)
    assert tg.gradcheck(lambda w: F.binary_cross_entropy(shares(rng, 3, 4) * 0 + t, t, w), w)
    assert tg.gradcheck(lambda w: F.binary_cross_entropy_with_logits(x, t, w, pos_weight=w), w)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_passes_gradcheck(smoothing):
    x = leaf(np.random.default_rng(10).normal(size=(2, 3, 2)))
    y = np.array([[0, 2], [-100, 1]])
    for call in (
        lambda x: F.cross_entropy(x, y, [0.5, 1.0, 2.0], label_smoothing=smoothing),
        lambda x: F.cross_entropy(x, y, reduction="none", label_smoothing=smoothing),
    ):
        assert tg.gradcheck(call, x)
        assert tg.gradgradcheck(call, x)


def test_changing_the_targets_afterwards_changes_no_gradient():
    for name in ("cross_entropy", "nll_loss"):
        y = np.array([0, 1])
        x, same = leaf(np.zeros((2, 3))), leaf(np.zeros((2, 3)))
        loss = getattr(F, name)(x, y)
        getattr(F, name)(same, y).backward()
        y[:] = 2
        loss.backward()
        assert x.grad.tolist() == same.grad.tolist()


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_losses_keep_float32(reduction):
    rng = np.random.default_rng(11)
    x = rng.uniform(0.1, 0.9, (4, 3)).astype(np.float32)
    t = rng.uniform(0.1, 0.9, (4, 3)).astype(np.float32)
    y = np.array([0, 2, 1, -100])
    w = np.array([0.5, 1.0, 2.0])
    calls = [
        lambda x: F.cross_entropy(x, y, reduction=reduction),
        lambda x: F.cross_entropy(x, y, w, reduction=reduction, label_smoothing=0.1),
        lambda x: F.cross_entropy(x, t.astype(float), w, reduction=reduction),
        lambda x: F.nll_loss(x, y, w, reduction=reduction),
        lambda x: F.nll_loss(x, y, reduction=reduction),
        lambda x: F.kl_div(x, t, reduction=reduction),
        *(
            lambda x, f=f: f(x, t, reduction=reduction)
            for f in (
                F.mse_loss,
                F.l1_loss,
                F.smooth_l1_loss,
                F.huber_loss,
                F.binary_cross_entropy,
                F.binary_cross_entropy_with_logits,
            )
        ),
    ]
    for call in calls:
        leaf32 = tg.Tensor(x, requires_grad=True)
        loss = call(leaf32)
        assert loss.dtype == np.float32
        loss.sum().backward()
        assert leaf32.grad.dtype == np.float32


# Modules and wrong use


def test_every_loss_module_passes_its_settings_on():
    rng = np.random.default_rng(12)
    x, t, y = shares(rng, 4, 3), shares(rng, 4, 3), np.array([0, 2, 1, 1])
    w = np.array([0.5, 1.0, 2.0])
    for name, called, target, settings in [
        ("NLLLoss", "nll_loss", y, {"weight": w, "ignore_index": 2, "reduction": "sum"}),
        ("L1Loss", "l1_loss", t, {"reduction": "sum"}),
        ("SmoothL1Loss", "smooth_l1_loss", t, {"reduction": "sum", "beta": 0.1}),
        ("HuberLoss", "huber_loss", t, {"reduction": "sum", "delta": 0.1}),
        ("BCELoss", "binary_cross_entropy", t, {"weight": w, "reduction": "sum"}),
        (
            "BCEWithLogitsLoss",
            "binary_cross_entropy_with_logits",
            t,
            {"weight": w, "reduction": "sum", "pos_weight": 2 * w},
        ),
        ("KLDivLoss", "kl_div", t, {"reduction": "batchmean", "log_target": True}),
    ]:
        f = getattr(F, called)
        expected = f(tg.Tensor(x), target, **settings)
        module = getattr(tg.nn, name)(**settings)
        assert np.array_equal(module(tg.Tensor(x), target).data, expected.data)
        assert repr(module) == f"{name}()"
        assert list(module.parameters()) == []
        plain = getattr(tg.nn, name)()(tg.Tensor(x), target)
        assert np.array_equal(plain.data, f(tg.Tensor(x), target).data)
        assert plain.item() != expected.item()


@pytest.mark.parametrize(
    "name",
    [
        "mse_loss",
        "l1_loss",
        "smooth_l1_loss",
        "huber_loss",
        "binary_cross_entropy",
        "binary_cross_entropy_with_logits",
        "kl_div",
    ],
)
def test_losses_refuse_to_broadcast_and_unknown_reductions(name):
    f = getattr(F, name)
    with pytest.raises(ValueError, match=rf"{name}: input \(3, 1\) and target \(3,\) must have"):
        f(tg.Tensor(np.ones((3, 1))), np.ones(3))
    with pytest.raises(ValueError, match=r"reduction is .*'mean', 'sum' or 'none', got 'average'"):
        f(tg.Tensor(np.ones(3)), np.ones(3), reduction="average")


@pytest.mark.parametrize(
    ("error", "call", "words"),
    [
        (ValueError, lambda x: F.huber_loss(x, x, delta=0.0), "delta must be positive, got 0.0"),
        (ValueError, lambda x: F.smooth_l1_loss(x, x, beta=-1.0), "beta must not be negative"),
        (ValueError, lambda x: F.binary_cross_entropy(2 * x, x), "input must hold probabilities"),
        (ValueError, lambda x: F.binary_cross_entropy(x, -x), "target must hold probabilities"),
        (ValueError, lambda x: F.binary_cross_entropy(x * np.nan, x), "input must hold"),
        (
            ValueError,
            lambda x: F.binary_cross_entropy(x, x, np.ones((4, 2, 3))),
            r"weight \(4, 2, 3\) doesn't broadcast to the input's shape \(2, 3\)",
        ),
        (ValueError, lambda x: F.binary_cross_entropy(x, x, np.ones(2)), "weight .2,. doesn't"),
        (
            ValueError,
            lambda x: F.binary_cross_entropy_with_logits(x, x, pos_weight=np.ones(2)),
            "pos_weight .2,. doesn't broadcast",
        ),
        (ValueError, lambda x: F.cross_entropy(x, x, ignore_index=0), "needs integer targets"),
        (TypeError, lambda x: F.cross_entropy(x, x[0]), r"probabilities need the shape \(2, 3\)"),
        (TypeError, lambda x: F.nll_loss(x, x), "nll_loss: the targets must be integers"),
        (ValueError, lambda x: F.nll_loss(x, [0]), r"targets need the shape \(2,\), got \(1,\)"),
        (IndexError, lambda x: F.nll_loss(x, [0, 3]), "nll_loss: target 3 is no class"),
        (ValueError, lambda x: F.nll_loss(x, [0, 1], [1.0]), "nll_loss: weight needs the shape"),
        (ValueError, lambda x: F.cross_entropy(x[0, 0], 0), "the input has no axes"),
    ],
)
def test_wrong_use_of_losses(error, call, words):
    with pytest.raises(error, match=words):
        call(tg.Tensor(np.ones((2, 3))))


# Embedding and Linear


def test_embedding_starts_normal_with_zero_padding():
    weight = tg.nn.Embedding(300, 40, padding_idx=2, rng=0).weight.data
    assert not weight[2].any()
    assert abs(weight.std() - 1) < 0.02


def test_padding_row_never_moves():
    embedding = tg.nn.Embedding(4, 2, padding_idx=-1)
    optimiser = tg.optim.SGD(embedding.parameters(), lr=0.1)
    embedding([0, 3, 3]).sum().backward()
    optimiser.step()
    assert not embedding.weight.data[3].any()
    assert embedding.weight.grad.tolist() == [[1, 1], [0, 0], [0, 0], [0, 0]]


def test_changing_the_indices_afterwards_changes_no_gradient():
    embedding = tg.nn.Embedding(3, 1)
    ids = np.array([0, 0])
    out = embedding(ids)
    ids[:] = 2
    out.sum().backward()
    assert embedding.weight.grad.tolist() == [[2], [0], [0]]


@pytest.mark.parametrize(
    ("error", "ids", "words"),
    [
        (IndexError, [0, 5], "index 5 is outside 0 … 4"),
        (IndexError, [[-1]], "index -1 is outside 0 … 4"),
        (TypeError, [0.0, 1.0], "must be integers.*float64.*astype.int."),
        (TypeError, [True, False], "must be integers.*bool"),
    ],
)
def test_wrong_index_to_embedding(error, ids, words):
    with pytest.raises(error, match=words):
        tg.nn.Embedding(5, 2)(ids)


def test_padding_idx_outside_the_vocabulary():
    with pytest.raises(ValueError, match="padding_idx must be within num_embeddings"):
        tg.nn.Embedding(5, 2, padding_idx=5)


def test_linear_names_the_sizes_that_differ():
    with pytest.raises(ValueError, match=r"linear: the input has 4 features.*\(2, 3\), takes 3"):
        tg.nn.Linear(3, 2)(np.zeros((5, 4)))
    with pytest.raises(TypeError, match="the input of Linear must hold floating-point numbers"):
        tg.nn.Linear(3, 2)(np.zeros((5, 3), int))


def test_linear_starts_in_the_range_of_torch():
    linear = tg.nn.Linear(25, 40, rng=0)
    for p in linear.parameters():
        assert 0.19 < abs(p.data).max() <= 0.2
