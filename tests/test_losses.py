"""Losses, Linear and Embedding against PyTorch, and wrong use."""

import itertools

import numpy as np
import pytest
from golden.make_golden import cases, function, label, numbers, relative_error

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
