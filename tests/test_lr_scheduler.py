"""Schedules of learning rates against PyTorch, saving, and wrong use."""

import math

import numpy as np
import pytest
from golden.make_golden import cases
from golden.make_optim import PLATEAUS, SCHEDULES, rates, schedule, torch_rates
from test_optim import assert_same, weight

import tinygrad_rnn as tg
from tinygrad_rnn.optim import lr_scheduler

GOLDEN = cases("schedules")


def called(config):
    parts = config[1:] if isinstance(config, list) else [config]
    return "+".join(part["name"] for part in parts)


def our_rates(config, metrics, name):
    return rates(tg.optim, [weight(), weight()], config, metrics, name)


def optimiser(lr=1.0, kind="SGD", **options):
    made = getattr(tg.optim, kind)([weight()], lr=lr, **options)
    made.step()
    return made


@pytest.mark.parametrize(
    ("config", "given", "expected"), GOLDEN, ids=[called(c[0]["schedule"]) for c in GOLDEN]
)
def test_rates_equal_golden_arrays(config, given, expected):
    found = our_rates(config["schedule"], given.get("metrics"), config["name"])
    assert_same(found, expected)
    assert np.array_equal(found["lr"], found["last"])


def test_rates_equal_torch():
    pytest.importorskip("torch")
    for config in SCHEDULES:
        assert_same(our_rates(config, None, "RMSprop"), torch_rates(config, name="RMSprop"))
    metrics = np.random.default_rng(10).random(60)
    for config in PLATEAUS:
        assert_same(our_rates(config, metrics, "Adam"), torch_rates(config, metrics, "Adam"))


@pytest.mark.parametrize("config", SCHEDULES + PLATEAUS, ids=called)
@pytest.mark.parametrize("epochs", [1, 6, 31])
def test_resumed_in_the_middle_gives_the_same_bits(config, epochs):
    metrics = np.random.default_rng(11).random(60)
    given = [metrics] if config in PLATEAUS else []

    def pair():
        a, b = weight(), weight()
        made = tg.optim.Adam([{"params": [a]}, {"params": [b], "lr": 0.02}], lr=0.1)
        return made, schedule(tg.optim, made, config)

    def run(adam, stepped, at):
        found = []
        for epoch in at:
            adam.step()
            stepped.step(*(m[epoch] for m in given))
            found.append([(g["lr"], g["betas"]) for g in adam.param_groups])
        return found

    first = pair()
    run(*first, range(epochs))
    kept = [part.state_dict() for part in first]
    whole = run(*first, range(epochs, 60))
    second = pair()
    for part, state in zip(second, kept, strict=True):
        part.load_state_dict(state)
    assert second[1].last_epoch == epochs
    assert run(*second, range(epochs, 60)) == whole


@pytest.mark.parametrize(
    "config",
    [c for c in SCHEDULES if not isinstance(c, list) and c["name"] != "LambdaLR"],
    ids=called,
)
def test_last_epoch_goes_on_as_in_torch(config):
    torch = pytest.importorskip("torch")
    found = []
    for library, tensor in ((tg.optim, weight), (torch.optim, lambda: torch.zeros(2))):
        groups = [{"params": [tensor()], "lr": lr} for lr in (0.5, 0.25)]
        made = library.SGD(groups, lr=0.1)
        for group in made.param_groups:
            group.update(initial_lr=0.75, max_lr=1.0, min_lr=0.1)
            group.update(base_momentum=0.8, max_momentum=0.9)
        stepped = schedule(library, made, {**config, "last_epoch": 13})
        made.step()
        path = [stepped.get_last_lr()]
        for _ in range(20):
            stepped.step()
            path.append(stepped.get_last_lr())
        found.append(np.array(path))
    assert np.allclose(*found, rtol=1e-12, atol=0)


def test_callables_of_lambda_are_saved_with_their_attributes():
    class Factor:
        def __init__(self, base):
            self.base = base

        def __call__(self, epoch):
            return self.base**epoch

    first = lr_scheduler.LambdaLR(optimiser(), Factor(0.5))
    other = optimiser()
    second = lr_scheduler.LambdaLR(other, Factor(0.9))
    first.step()
    second.load_state_dict(first.state_dict())
    second.step()
    assert other.param_groups[0]["lr"] == 0.25


def test_a_schedule_before_the_first_step_warns():
    made = tg.optim.SGD([weight()], lr=1.0)
    stepped = lr_scheduler.ExponentialLR(made, 0.5)
    with pytest.warns(UserWarning, match=r"before optimizer.step\(\)"):
        stepped.step()


def test_one_cycle_ends_with_an_error_and_stays():
    made = optimiser(momentum=0.9)
    stepped = lr_scheduler.OneCycleLR(made, 1.0, total_steps=4)
    for _ in range(4):
        stepped.step()
    before = stepped.state_dict(), dict(made.param_groups[0])
    with pytest.raises(ValueError, match="Tried to step 5 times"):
        stepped.step()
    assert (stepped.state_dict(), made.param_groups[0]) == before


def test_plateau_takes_a_tensor_and_counts_nan_as_bad():
    made = optimiser()
    stepped = lr_scheduler.ReduceLROnPlateau(made, patience=0, factor=0.5)
    stepped.step(tg.Tensor(1.0))
    stepped.step(math.nan)
    assert stepped.get_last_lr() == [0.5]


def sequential(made, kinds, milestones):
    return lr_scheduler.SequentialLR(made, [kind(made) for kind in kinds], milestones)


WRONG = [
    (TypeError, lambda o: lr_scheduler.StepLR(o.param_groups, 3), "not an Optimizer"),
    (TypeError, lambda o: lr_scheduler.LambdaLR(3, abs), "not an Optimizer"),
    (ValueError, lambda o: lr_scheduler.StepLR(o, 0), "positive integer step_size"),
    (TypeError, lambda o: lr_scheduler.StepLR(o, 1, "x"), "Invalid gamma"),
    (TypeError, lambda o: lr_scheduler.MultiStepLR(o, [1.5]), "integers"),
    (TypeError, lambda o: lr_scheduler.ExponentialLR(o, None), "Invalid gamma"),
    (ValueError, lambda o: lr_scheduler.CosineAnnealingLR(o, 0), "positive integer T_max"),
    (ValueError, lambda o: lr_scheduler.ConstantLR(o, 1.5), "between 0 and 1"),
    (ValueError, lambda o: lr_scheduler.ConstantLR(o, 0), "not 0"),
    (ValueError, lambda o: lr_scheduler.LinearLR(o, 0.0), "greater than 0"),
    (ValueError, lambda o: lr_scheduler.LinearLR(o, 0.5, 1.5), "between 0 and 1"),
    (ValueError, lambda o: lr_scheduler.LambdaLR(o, [abs, abs]), "same length"),
    (TypeError, lambda o: lr_scheduler.LambdaLR(o, 0.5), "should be a function"),
    (TypeError, lambda o: lr_scheduler.OneCycleLR(o, "x", 9), "Invalid max_lr"),
    (TypeError, lambda o: lr_scheduler.ReduceLROnPlateau(o, min_lr="x"), "Invalid min_lr"),
    (KeyError, lambda o: lr_scheduler.StepLR(o, 3, last_epoch=4), "initial_lr"),
    (ValueError, lambda o: lr_scheduler.OneCycleLR(o, 1.0), "You must define either"),
    (ValueError, lambda o: lr_scheduler.OneCycleLR(o, 1.0, 0), "positive integer total_steps"),
    (ValueError, lambda o: lr_scheduler.OneCycleLR(o, 1.0, None, 2, 1.5), "steps_per_epoch"),
    (ValueError, lambda o: lr_scheduler.OneCycleLR(o, 1.0, 9, pct_start=2.0), "pct_start"),
    (ValueError, lambda o: lr_scheduler.OneCycleLR(o, 1.0, 10, pct_start=0.1), "in no step"),
    (ValueError, lambda o: lr_scheduler.OneCycleLR(o, 1.0, 9, anneal_strategy="x"), "'linear'"),
    (ValueError, lambda o: lr_scheduler.OneCycleLR(o, [1.0, 2.0], 9), "max_lr must have"),
    (ValueError, lambda o: lr_scheduler.OneCycleLR(o, 1.0, 9, div_factor=0), "div_factor"),
    (ValueError, lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=1.0), "Factor should be"),
    (ValueError, lambda o: lr_scheduler.ReduceLROnPlateau(o, "least"), "mode least is unknown"),
    (ValueError, lambda o: lr_scheduler.ReduceLROnPlateau(o, threshold_mode="x"), "unknown"),
    (ValueError, lambda o: lr_scheduler.ReduceLROnPlateau(o, min_lr=[0, 0]), "min_lr must have"),
    (ValueError, lambda o: lr_scheduler.SequentialLR(o, [], []), "at least one"),
    (TypeError, lambda o: lr_scheduler.SequentialLR(o, [abs], []), "expects schedulers"),
]


@pytest.mark.parametrize(("error", "make", "words"), WRONG)
def test_wrong_settings_change_nothing(error, make, words):
    made = optimiser(momentum=0.9)
    before = dict(made.param_groups[0])
    with pytest.raises(error, match=words):
        make(made)
    assert made.param_groups[0] == before


def test_one_cycle_needs_a_momentum():
    made = optimiser(kind="Adagrad")
    before = dict(made.param_groups[0])
    with pytest.raises(ValueError, match="must support momentum"):
        lr_scheduler.OneCycleLR(made, 1.0, 9)
    assert made.param_groups[0] == before
    lr_scheduler.OneCycleLR(made, 1.0, 9, cycle_momentum=False)


def test_wrong_parts_of_a_sequence():
    made = optimiser()
    constant, linear = lr_scheduler.ConstantLR(made), lr_scheduler.LinearLR(made)
    plateau = lr_scheduler.ReduceLROnPlateau(made)
    foreign = lr_scheduler.ConstantLR(optimiser())
    inner = lr_scheduler.SequentialLR(made, [constant], [])
    before = made.param_groups[0]["lr"], linear.state_dict()
    for parts, milestones, words in (
        ([linear, constant], [], "one more than"),
        ([linear, constant, constant], [5, 3], "should rise"),
        ([linear, plateau], [3], "does not support a ReduceLROnPlateau"),
        ([linear, inner], [3], "does not support a SequentialLR"),
        ([linear, foreign], [3], "has another"),
    ):
        with pytest.raises(ValueError, match=words):
            lr_scheduler.SequentialLR(made, parts, milestones)
        assert (made.param_groups[0]["lr"], linear.state_dict()) == before


@pytest.mark.parametrize(
    ("config", "change", "words"),
    [
        (SCHEDULES[0], {"gamma": "x"}, "gamma is like"),
        (SCHEDULES[0], {"last_epoch": math.nan}, "last_epoch is like"),
        (SCHEDULES[0], {"base_lrs": [1.0, 2.0]}, "base_lrs is like"),
        (SCHEDULES[0], {"step": 3}, r"unexpected: step\. Did you mean 'step_size'"),
        (SCHEDULES[2], {"milestones": "x"}, "milestones is like"),
        (SCHEDULES[2], {"milestones": [1], "gamma": None, "base_lrs": 3}, "base_lrs is like"),
        (SCHEDULES[2], {"milestones": [1, "x"]}, "milestones"),
        (SCHEDULES[14], {"lr_lambdas": [3]}, "lr_lambdas"),
        (SCHEDULES[14], {"lr_lambdas": []}, "lr_lambdas is like"),
        (SCHEDULES[-4], {"_schedulers": [{}, {}]}, "missing"),
        (PLATEAUS[0], {"mode": 3}, "mode is like"),
    ],
)
def test_a_wrong_state_changes_nothing(config, change, words):
    stepped = schedule(tg.optim, optimiser(), config)
    other = schedule(tg.optim, optimiser(), config)
    other.last_epoch = 9
    before = stepped.state_dict()
    with pytest.raises(ValueError, match=words):
        stepped.load_state_dict({**other.state_dict(), **change})
    assert stepped.state_dict() == before
    missing = other.state_dict()
    missing.pop("last_epoch")
    with pytest.raises(ValueError, match="missing: last_epoch"):
        stepped.load_state_dict(missing)
    with pytest.raises(TypeError, match="takes a dict"):
        stepped.load_state_dict([])
    assert stepped.state_dict() == before
