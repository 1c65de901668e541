"""Optimisers and clipping against PyTorch, and wrong use."""

import math

import numpy as np
import pytest
from golden.make_golden import (
    cases,
    clipped,
    label,
    numbers,
    relative_error,
    trajectory,
    trajectory_cases,
)

import tinygrad_rnn as tg

TRAJECTORIES = cases("optimisers")
CLIPPING = cases("clipping")


def run_trajectory(config, given):
    """What `golden.make_golden.trajectory` does, with this library."""
    options = {k: v for k, v in config.items() if k not in ("name", "skip")}
    w = {n: tg.Tensor(given[n], requires_grad=True) for n in ("w0", "w1")}
    optimiser = getattr(tg.optim, config["name"])(w.values(), **options)
    paths = {n: [] for n in w}
    for step in range(len(given["g_w0"])):
        for n, p in w.items():
            skipped = [step, n] in config.get("skip", [])
            p.grad = None if skipped else given[f"g_{n}"][step]
        optimiser.step()
        for n, p in w.items():
            paths[n].append(p.data.copy())
    return paths


def run_clipping(config, given):
    """What `golden.make_golden.clipped` does, with this library."""
    tensors = [tg.Tensor(np.zeros(g.shape), requires_grad=True) for g in given.values()]
    for t, g in zip(tensors, given.values(), strict=True):
        t.grad = g.copy()
    total = tg.nn.utils.clip_grad_norm_(tensors, config["max_norm"], config["norm_type"])
    assert type(total) is float
    return {"total": total, **{f"g{i}": t.grad.data for i, t in enumerate(tensors)}}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, wanted in expected.items():
        error = relative_error(found[name], wanted)
        assert error <= 1e-10, f"{name}: relative error {error:.2g}"


def weight(value=(1.0, -2.0), grad=(0.5, 0.5), **options):
    w = tg.Tensor(value, requires_grad=True, **options)
    w.grad = np.array(grad, w.dtype)
    return w


@pytest.mark.parametrize(
    ("config", "given", "expected"), TRAJECTORIES, ids=[label(c[0]) for c in TRAJECTORIES]
)
def test_trajectory_equals_golden_arrays(config, given, expected):
    assert_same(run_trajectory(config, given), expected)


@pytest.mark.parametrize(
    ("config", "given", "expected"), CLIPPING, ids=[label(c[0]) for c in CLIPPING]
)
def test_clipping_equals_golden_arrays(config, given, expected):
    assert_same(run_clipping(config, given), expected)


def test_trajectories_equal_torch_with_other_gradients():
    pytest.importorskip("torch")
    for config, given, expected in trajectory_cases(np.random.default_rng(3)):
        assert_same(run_trajectory(config, given), expected)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_defaults_are_those_of_torch(name):
    pytest.importorskip("torch")
    rng = np.random.default_rng(4)
    given = {"w0": numbers(rng, 3), "w1": numbers(rng, 2)}
    given.update(g_w0=numbers(rng, 5, 3), g_w1=numbers(rng, 5, 2))
    config = {"name": name}
    assert_same(run_trajectory(config, given), trajectory(config, given))


@pytest.mark.parametrize("norm_type", [0.5, 1, 2, 4, math.inf])
def test_clipping_equals_torch_for_other_norms(norm_type):
    pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    for max_norm in (1e-3, 1.0, 50.0):
        config = {"max_norm": max_norm, "norm_type": norm_type}
        given = {f"g{i}": numbers(rng, *shape) for i, shape in enumerate([(7,), (3, 4), ()])}
        assert_same(run_clipping(config, given), clipped(config, given))


@pytest.mark.parametrize(
    ("name", "options"), [("SGD", {"momentum": 0.9, "weight_decay": 0.1}), ("Adam", {})]
)
def test_parameters_stay_float32_and_in_their_memory(name, options):
    w = weight(dtype=np.float32)
    array = w.data
    optimiser = getattr(tg.optim, name)([w], lr=np.float64(0.1), **options)
    for _ in range(3):
        optimiser.step()
    assert w.data is array
    assert w.dtype == np.float32
    assert (array != [1, -2]).all()


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize(("name", "options"), [("SGD", {"momentum": 0.9}), ("Adam", {})])
def test_the_gradient_itself_is_not_changed(name, options, decay):
    w = weight()
    optimiser = getattr(tg.optim, name)([w], lr=0.1, weight_decay=decay, **options)
    optimiser.step()
    optimiser.step()
    assert w.grad.tolist() == [0.5, 0.5]


@pytest.mark.parametrize(("name", "options"), [("SGD", {"momentum": 0.9}), ("Adam", {})])
def test_parameter_without_gradient_stays_momentum_and_all(name, options):
    w, still = weight(), weight()
    optimiser = getattr(tg.optim, name)([w, still], lr=0.1, weight_decay=0.5, **options)
    optimiser.step()
    before = still.data.copy()
    still.grad = None
    optimiser.step()
    assert np.array_equal(still.data, before)


def test_groups_have_settings_of_their_own_and_can_be_changed():
    a, b = weight(), weight()
    optimiser = tg.optim.SGD([{"params": [a]}, {"params": b, "lr": 0.0}], lr=1.0)
    optimiser.step()
    assert a.data.tolist() == [0.5, -2.5]
    assert b.data.tolist() == [1, -2]
    assert [group["lr"] for group in optimiser.param_groups] == [1.0, 0.0]
    optimiser.param_groups[1]["lr"] = 2.0
    optimiser.step()
    assert b.data.tolist() == [0, -3]


def test_zero_grad_sets_none():
    w = weight()
    tg.optim.Adam([w]).zero_grad()
    assert w.grad is None


def test_a_step_between_forward_and_backward_is_caught():
    w = tg.Tensor([2.0], requires_grad=True, name="w")
    loss = (w * w).sum()
    w.grad = [1.0]
    tg.optim.SGD([w], lr=0.1).step()
    with pytest.raises(RuntimeError, match="'w' was changed in place after"):
        loss.backward()


@pytest.mark.parametrize(
    ("error", "make", "words"),
    [
        (TypeError, lambda w: tg.optim.SGD(w), r"write \[w\] for a single one"),
        (ValueError, lambda w: tg.optim.SGD([]), "empty parameter list"),
        (ValueError, lambda w: tg.optim.SGD([w, w]), "listed twice"),
        (ValueError, lambda w: tg.optim.Adam([{"params": [w]}, {"params": [w]}]), "listed twice"),
        (RuntimeError, lambda w: tg.optim.SGD([w * 2]), "only leaves"),
        (RuntimeError, lambda w: tg.optim.SGD([np.ones(2)]), "only leaves"),
        (RuntimeError, lambda w: tg.optim.Adam([("w", w)]), "model.parameters"),
        (TypeError, lambda w: tg.optim.Adam([{"lr": 1.0}]), "params"),
        (TypeError, lambda w: tg.optim.Adam([{"params": [w]}, w]), "dict with"),
        (ValueError, lambda w: tg.optim.SGD([{"params": [w], "lr": -1}]), "Invalid lr: -1"),
        (ValueError, lambda w: tg.optim.SGD([{"params": [w], "momentun": 1}]), "'momentum'"),
        (ValueError, lambda w: tg.optim.SGD([w], lr=-1), "Invalid lr: -1"),
        (ValueError, lambda w: tg.optim.SGD([w], lr=math.nan), "Invalid lr: nan"),
        (ValueError, lambda w: tg.optim.SGD([w], momentum=-1), "Invalid momentum"),
        (ValueError, lambda w: tg.optim.SGD([w], weight_decay=-1), "Invalid weight_decay"),
        (ValueError, lambda w: tg.optim.SGD([w], nesterov=True), "requires a momentum"),
        (
            ValueError,
            lambda w: tg.optim.SGD([w], momentum=0.9, dampening=0.1, nesterov=True),
            "zero dampening",
        ),
        (ValueError, lambda w: tg.optim.Adam([w], betas=(0.9, 1.0)), "index 1: 1.0"),
        (ValueError, lambda w: tg.optim.Adam([w], betas=(-0.1, 0.9)), "index 0: -0.1"),
        (ValueError, lambda w: tg.optim.Adam([w], eps=-1e-8), "Invalid eps"),
        (ValueError, lambda w: tg.optim.Adam([w], lr=-1), "Invalid lr"),
    ],
)
def test_wrong_settings(error, make, words):
    with pytest.raises(error, match=words):
        make(weight())


def test_frozen_parameters_are_accepted_and_stay():
    w, frozen = weight(), tg.nn.Parameter([1.0, 2.0], requires_grad=False)
    before = w.data.copy()
    opt = tg.optim.SGD([w, frozen], lr=0.1)
    (w * frozen).sum().backward()
    opt.step()
    assert frozen.tolist() == [1.0, 2.0]
    assert (w.data != before).all()


# Clipping


def test_clipping_skips_what_has_no_gradient_and_takes_a_generator_or_one_tensor():
    a, b = weight(grad=(3.0, 4.0)), weight()
    b.grad = None
    assert tg.nn.utils.clip_grad_norm_((p for p in (a, b)), 1.0) == 5.0
    assert np.linalg.norm(a.grad.data) == pytest.approx(1, abs=1e-6)
    assert tg.nn.utils.clip_grad_norm_(a, 10.0) == pytest.approx(1, abs=1e-6)
    assert tg.nn.utils.clip_grad_norm_([b], 1.0) == 0.0
    assert tg.nn.utils.clip_grad_norm_([a], 10.0, "inf") == abs(a.grad.data).max()


def test_clipping_leaves_small_gradients_to_the_bit_and_float32():
    w = weight(dtype=np.float32)
    before = w.grad.data.copy()
    tg.nn.utils.clip_grad_norm_([w], 1.0)
    assert np.array_equal(w.grad.data, before)
    tg.nn.utils.clip_grad_norm_([w], 0.1)
    assert w.grad.dtype == np.float32


def test_clipping_shows_a_gradient_that_is_not_finite():
    bad, good = weight(grad=(math.nan, 1.0)), weight()
    with pytest.raises(RuntimeError, match="norm is nan"):
        tg.nn.utils.clip_grad_norm_([bad, good], 1.0, error_if_nonfinite=True)
    assert good.grad.tolist() == [0.5, 0.5]
    assert math.isnan(tg.nn.utils.clip_grad_norm_([bad, good], 1.0))
    assert np.isnan(good.grad.data).all()
