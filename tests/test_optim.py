"""Optimisers and clipping against PyTorch, and wrong use."""

import inspect
import math
import tracemalloc

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
from golden.make_optim import configurations, drawn

import tinygrad_rnn as tg

TRAJECTORIES = cases("optimisers")
CLIPPING = cases("clipping")
[(EVERY, EVERY_GIVEN, EVERY_EXPECTED)] = cases("optim_options")
KINDS = ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta"]
# Options that PyTorch has not: Keras' updates, which test_keras_optimizers compares
FURTHER = {"decoupled_weight_decay", "eps_hat", "eps_inside_sqrt", "lr_in_momentum"}
# Everything that an optimiser keeps, in use
FULL = {
    "SGD": {"momentum": 0.9, "nesterov": True},
    "Adam": {"amsgrad": True},
    "AdamW": {"amsgrad": True},
    "RMSprop": {"centered": True, "momentum": 0.9},
    "Adagrad": {"lr_decay": 0.1, "initial_accumulator_value": 0.1},
    "Adadelta": {},
}


def run_trajectory(config, given, dtype=np.float64):
    """What `golden.make_golden.trajectory` does, with this library."""
    options = {k: v for k, v in config.items() if k not in ("name", "skip")}
    w = {
        n: tg.Tensor(a, requires_grad=True, dtype=dtype)
        for n, a in given.items()
        if n.startswith("w")
    }
    optimiser = getattr(tg.optim, config["name"])(w.values(), **options)
    paths = {n: [] for n in w}
    for step in range(len(given["g_w0"])):
        for n, p in w.items():
            skipped = [step, n] in config.get("skip", [])
            p.grad = None if skipped else np.asarray(given[f"g_{n}"][step])
        optimiser.step()
        for n, p in w.items():
            paths[n].append(p.data.copy())
    return {n: np.stack(path) for n, path in paths.items()}


def run_clipping(config, given):
    """What `golden.make_golden.clipped` does, with this library."""
    tensors = [tg.Tensor(np.zeros(g.shape), requires_grad=True) for g in given.values()]
    for t, g in zip(tensors, given.values(), strict=True):
        t.grad = g.copy()
    total = tg.nn.utils.clip_grad_norm_(tensors, config["max_norm"], config["norm_type"])
    assert type(total) is float
    return {"total": total, **{f"g{i}": t.grad.data for i, t in enumerate(tensors)}}


def assert_same(found, expected, limit=1e-12):
    assert found.keys() == expected.keys()
    for name, wanted in expected.items():
        error = relative_error(found[name], wanted)
        assert error <= limit, f"{name}: relative error {error:.2g}"


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
    ("place", "config"),
    list(enumerate(EVERY["configs"])),
    ids=[label(c) for c in EVERY["configs"]],
)
def test_every_option_equals_golden_arrays(place, config):
    expected = {
        n.split()[1]: path for n, path in EVERY_EXPECTED.items() if n.split()[0] == str(place)
    }
    assert_same(run_trajectory(config, EVERY_GIVEN), expected)


@pytest.mark.parametrize(
    ("config", "given", "expected"), CLIPPING, ids=[label(c[0]) for c in CLIPPING]
)
def test_clipping_equals_golden_arrays(config, given, expected):
    assert_same(run_clipping(config, given), expected)


def test_trajectories_equal_torch_with_other_gradients():
    pytest.importorskip("torch")
    for config, given, expected in trajectory_cases(np.random.default_rng(3)):
        assert_same(run_trajectory(config, given), expected)


@pytest.mark.parametrize(("dtype", "limit"), [("float64", 1e-12), ("float32", 1e-6)])
def test_every_option_equals_torch_with_other_gradients(dtype, limit):
    pytest.importorskip("torch")
    given = drawn(np.random.default_rng(6))
    for config in [*configurations(), *({"name": kind} for kind in KINDS)]:
        expected = trajectory(config, given, dtype)
        assert_same(run_trajectory(config, given, dtype), expected, limit)


@pytest.mark.parametrize("kind", KINDS)
def test_arguments_and_defaults_are_those_of_torch(kind):
    torch = pytest.importorskip("torch")
    ours = inspect.signature(getattr(tg.optim, kind)).parameters
    theirs = inspect.signature(getattr(torch.optim, kind)).parameters
    implementation = {"foreach", "capturable", "differentiable", "fused"}
    further = set(ours) - set(theirs)
    assert further <= FURTHER
    assert set(ours) - further == set(theirs) - implementation
    for name in ours:
        default = False if name in further else theirs[name].default
        assert ours[name].default == default


@pytest.mark.parametrize("layout", [np.transpose, lambda a: a[::-1, ::2], lambda a: a[:0]])
def test_any_layout_of_memory_and_more_than_a_block(layout):
    rng = np.random.default_rng(7)
    numbers_ = rng.standard_normal((2, 40_000, 4))
    results = []
    for arrange in (layout, lambda a: layout(a).copy()):
        w = tg.as_tensor(arrange(numbers_[0].copy()))
        w.requires_grad = True
        w.grad = layout(numbers_[1])
        array = w.data
        optimiser = tg.optim.AdamW([w], lr=0.1, maximize=True, amsgrad=True)
        optimiser.step()
        optimiser.step()
        assert w.data is array
        results.append(w.data)
    assert np.array_equal(*results)


@pytest.mark.parametrize("norm_type", [0.5, 1, 2, 4, math.inf])
def test_clipping_equals_torch_for_other_norms(norm_type):
    pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    for max_norm in (1e-3, 1.0, 50.0):
        config = {"max_norm": max_norm, "norm_type": norm_type}
        given = {f"g{i}": numbers(rng, *shape) for i, shape in enumerate([(7,), (3, 4), ()])}
        assert_same(run_clipping(config, given), clipped(config, given))


@pytest.mark.parametrize(("name", "options"), list(FULL.items()))
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
@pytest.mark.parametrize(("name", "options"), list(FULL.items()))
def test_the_gradient_itself_is_not_changed(name, options, decay):
    w = weight()
    optimiser = getattr(tg.optim, name)([w], lr=0.1, weight_decay=decay, **options)
    optimiser.step()
    optimiser.step()
    assert w.grad.tolist() == [0.5, 0.5]


@pytest.mark.parametrize(("name", "options"), list(FULL.items()))
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


def test_a_group_can_be_added_and_is_looked_at_first():
    a, b = weight(), weight()
    optimiser = tg.optim.SGD([a], lr=1.0)
    given = {"params": b, "lr": 2.0}
    optimiser.add_param_group(given)
    assert given == {"params": b, "lr": 2.0}
    optimiser.step()
    assert b.data.tolist() == [0, -3]
    for wrong, words in (
        ({"params": [a]}, "listed twice"),
        ({"params": weight(), "lr": -1}, "learning rate"),
        ({"params": {weight()}}, "a set has not"),
        ({"params": weight(), "learning_rate": 1}, "no setting"),
    ):
        with pytest.raises((TypeError, ValueError), match=words):
            optimiser.add_param_group(wrong)
    assert len(optimiser.param_groups) == 2


def test_a_closure_is_called_with_gradients_and_its_loss_returned():
    w = weight()
    optimiser = tg.optim.SGD([w], lr=0.1)

    def closure():
        optimiser.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    with tg.no_grad():
        loss = optimiser.step(closure)
    assert loss.item() == 5
    assert w.data.tolist() == [0.8, -1.6]
    assert optimiser.step() is None


@pytest.mark.parametrize(("kind", "options"), list(FULL.items()))
def test_a_step_needs_no_memory_once_it_has_run(kind, options):
    w = weight(np.ones(1 << 20), np.ones(1 << 20))
    optimiser = getattr(tg.optim, kind)([w], weight_decay=0.1, maximize=True, **options)
    optimiser.step()
    tracemalloc.start()
    optimiser.step()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < w.data.nbytes / 50


def test_a_gradient_that_no_longer_fits_is_refused():
    w = weight()
    w.data = np.zeros((2, 2))
    with pytest.raises(ValueError, match=r"shape \(2,\) doesn't fit \(2, 2\)"):
        tg.optim.SGD([w]).step()


def test_zero_grad_sets_none_or_zeros():
    w, without = weight(), tg.Tensor([1.0], requires_grad=True)
    optimiser = tg.optim.Adam([w, without])
    optimiser.zero_grad(set_to_none=False)
    assert w.grad.tolist() == [0, 0]
    assert without.grad is None
    optimiser.zero_grad()
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
        (
            ValueError,
            lambda w: tg.optim.SGD([{"params": [w], "lr": -1}]),
            "Invalid learning rate: -1",
        ),
        (ValueError, lambda w: tg.optim.SGD([{"params": [w], "momentun": 1}]), "'momentum'"),
        (ValueError, lambda w: tg.optim.SGD([w], lr=-1), "Invalid learning rate: -1"),
        (ValueError, lambda w: tg.optim.SGD([w], lr=math.nan), "Invalid learning rate: nan"),
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
        (ValueError, lambda w: tg.optim.Adam([w], eps=-1e-8), "Invalid epsilon value"),
        (ValueError, lambda w: tg.optim.Adam([w], lr=-1), "Invalid learning rate"),
        (ValueError, lambda w: tg.optim.Adam([w], betas=(0.9,)), "two numbers"),
        (ValueError, lambda w: tg.optim.Adam([w], betas=(0.9, math.nan)), "index 1: nan"),
        (TypeError, lambda w: tg.optim.Adam([w], lr="fast"), "must be a number"),
        (TypeError, lambda w: tg.optim.SGD([w], dampening=None), "Invalid dampening"),
        (TypeError, lambda w: tg.optim.SGD({w}), "a set has not"),
        (ValueError, lambda w: tg.optim.AdamW([w], weight_decay=-1), "Invalid weight_decay"),
        (ValueError, lambda w: tg.optim.RMSprop([w], alpha=-1), "Invalid alpha"),
        (ValueError, lambda w: tg.optim.RMSprop([w], momentum=-1), "Invalid momentum"),
        (ValueError, lambda w: tg.optim.RMSprop([w], eps=-1), "Invalid epsilon"),
        (ValueError, lambda w: tg.optim.Adagrad([w], lr_decay=-1), "Invalid lr_decay"),
        (
            ValueError,
            lambda w: tg.optim.Adagrad([w], initial_accumulator_value=-1),
            "Invalid initial_accumulator_value",
        ),
        (ValueError, lambda w: tg.optim.Adadelta([w], rho=1.5), "Invalid rho value: 1.5"),
        (ValueError, lambda w: tg.optim.Adadelta([w], lr=-1), "Invalid learning rate"),
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
    with pytest.raises(RuntimeError, match="`parameters` is nan"):
        tg.nn.utils.clip_grad_norm_([bad, good], 1.0, error_if_nonfinite=True)
    assert good.grad.tolist() == [0.5, 0.5]
    assert math.isnan(tg.nn.utils.clip_grad_norm_([bad, good], 1.0))
    assert np.isnan(good.grad.data).all()


def test_clipping_does_not_overflow():
    w = weight((1.0, 1.0), (3e30, 4e30), dtype=np.float32)
    assert tg.nn.utils.clip_grad_norm_([w], 1.0) == pytest.approx(5e30)
    assert w.grad.tolist() == pytest.approx([0.6, 0.8])


def test_clipping_by_value_on_both_sides():
    w = weight((1.0, 1.0, 1.0), (-3.0, 0.25, 2.0))
    tg.nn.utils.clip_grad_value_(w, 0.5)
    assert w.grad.tolist() == [-0.5, 0.25, 0.5]


def test_clipping_by_value_equals_torch():
    torch = pytest.importorskip("torch")
    given = [numbers(np.random.default_rng(8), *shape) for shape in [(7,), (3, 4), ()]]
    given[0][0] = math.nan
    for limit in (0.0, 0.25, 2):
        ours, theirs = [], []
        for g in given:
            ours.append(weight(np.zeros(g.shape), g))
            theirs.append(torch.zeros(g.shape, dtype=torch.float64, requires_grad=True))
            theirs[-1].grad = torch.tensor(g)
        tg.nn.utils.clip_grad_value_(ours, limit)
        torch.nn.utils.clip_grad_value_(theirs, limit)
        for a, b in zip(ours, theirs, strict=True):
            assert np.array_equal(a.grad.data, b.grad.numpy(), equal_nan=True)


def test_wrong_clipping_changes_nothing():
    w = weight()
    for call, words in (
        (lambda: tg.nn.utils.clip_grad_norm_([w], -1.0), "Invalid max_norm: -1"),
        (lambda: tg.nn.utils.clip_grad_norm_([w], math.nan), "Invalid max_norm: nan"),
        (lambda: tg.nn.utils.clip_grad_norm_([w], 0.1, 0), "Invalid norm_type: 0"),
        (lambda: tg.nn.utils.clip_grad_value_([w], -1.0), "Invalid clip_value: -1"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    assert w.grad.tolist() == [0.5, 0.5]
    with pytest.warns(UserWarning, match="empty generator"):
        assert tg.nn.utils.clip_grad_norm_((p for p in ()), 1.0) == 0
