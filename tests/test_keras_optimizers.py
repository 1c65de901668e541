"""Keras' optimizers and schedules: trajectories as Keras', what is kept, wrong use."""

import copy
import inspect
import json
import os
import pickle

import numpy as np
import pytest
from golden.make_golden import cases, label, relative_error
from golden.make_keras_optimizers import (
    RATES,
    SCHEDULES,
    clips_by_norm,
    configurations,
    drawn,
    keras_in_float64,
    keras_rates,
    keras_trajectory,
    schedule_by,
    trajectory,
)

import tinygrad_rnn as tg
from tinygrad_rnn.keras import naming, optimizers
from tinygrad_rnn.keras.variable import Variable

[(EVERY, GIVEN, EXPECTED), *RATES_EXPECTED] = cases("keras_optimizers")
KINDS = list(RATES)
# Everything that an optimizer keeps, in use
FULL = {
    "SGD": {"momentum": 0.9, "nesterov": True},
    "RMSprop": {"momentum": 0.9, "centered": True},
    "Adam": {"amsgrad": True},
    "AdamW": {"amsgrad": True},
    "Adagrad": {},
    "Adadelta": {},
}


@pytest.fixture
def live_keras(monkeypatch):
    """Keras in float64, if it can be had."""
    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "torch"))
    pytest.importorskip("torch")
    pytest.importorskip("keras")
    with keras_in_float64() as keras:
        yield keras


def ours(config, given, dtype="float64"):
    """What `golden.make_keras_optimizers.keras_trajectory` does, with this library."""
    variables = {
        n: Variable(a, name=n, dtype=dtype, constraint=None)
        for n, a in given.items()
        if n[0] == "w"
    }
    if config.get("constraint"):
        for v in variables.values():
            v.constraint = lambda w: np.clip(w, -0.5, 0.5)
    return trajectory(optimizers, config, given, variables, np.asarray, lambda v: v.data.copy())


def assert_same(found, expected, limit=1e-10):
    assert found.keys() == expected.keys()
    for name, wanted in expected.items():
        error = relative_error(found[name], wanted)
        assert error <= limit, f"{name}: relative error {error:.2g}"


def weight(value=(1.0, -2.0), grad=(0.5, 0.5), **options):
    w = tg.Tensor(value, requires_grad=True, **options)
    w.grad = np.array(grad, w.dtype)
    return w


@pytest.mark.parametrize(
    ("place", "config"), list(enumerate(EVERY["configs"])), ids=[label(c) for c in EVERY["configs"]]
)
def test_trajectory_equals_golden_arrays(place, config):
    expected = {n.split()[1]: a for n, a in EXPECTED.items() if n.split()[0] == str(place)}
    assert_same(ours(config, GIVEN), expected)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras
def test_trajectories_equal_keras_with_other_gradients(live_keras):
    given = drawn(np.random.default_rng(11))
    for config in configurations():
        # On torch, Keras rounds norms to float32; those golden arrays were made on jax.
        if live_keras.backend.backend() == "jax" or not clips_by_norm(config):
            assert_same(ours(config, given), keras_trajectory(config, given))


@pytest.mark.parametrize("kind", KINDS)
def test_float32_stays_float32(kind):
    config = {"name": kind, **FULL[kind], "weight_decay": 0.1, "clipnorm": 0.7, "use_ema": True}
    single, double = (ours(config, GIVEN, dtype) for dtype in ("float32", "float64"))
    assert all(a.dtype == np.float32 for a in single.values())
    assert_same(single, double, 1e-4 if kind == "Adadelta" else 2e-5)


# Schedules


@pytest.mark.parametrize(
    ("config", "given", "expected"), RATES_EXPECTED, ids=[label(c[0]) for c in RATES_EXPECTED]
)
def test_schedule_equals_golden_arrays(config, given, expected):
    schedule = schedule_by(optimizers, config["schedule"])
    found = [schedule(step) for step in range(len(expected["lr"]))]
    assert all(type(rate) is float for rate in found)
    assert_same({"lr": found}, expected, 1e-12)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras
def test_schedules_equal_keras_and_so_do_their_configurations(live_keras):
    for config in SCHEDULES:
        schedule = schedule_by(optimizers, config)
        found = {"lr": [schedule(step) for step in range(25)]}
        assert_same(found, keras_rates(config), 1e-12)
        written = optimizers.schedules.serialize(schedule)
        theirs = live_keras.optimizers.schedules
        assert written == theirs.serialize(schedule_by(live_keras.optimizers, config))
        again = optimizers.schedules.deserialize(json.loads(json.dumps(written)))
        assert type(again) is type(schedule)
        assert again.get_config() == schedule.get_config()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda s: s.ExponentialDecay(0.1, 0, 0.5), "decay_steps=0"),
        (lambda s: s.CosineDecay(0.1, -1), "must be > 0"),
        (lambda s: s.PiecewiseConstantDecay([1, 2], [0.1]), "1 less than the length"),
        (lambda s: s.PiecewiseConstantDecay([2, 1], [0.1, 0.2, 0.3]), "should increase"),
        (lambda s: s.deserialize({"class_name": "CosinDecay", "config": {}}), "'cosinedecay'"),
        (lambda s: s.deserialize({"class_name": "CosineDecay"}), "is written as"),
    ],
)
def test_wrong_schedules(make, words):
    with pytest.raises(ValueError, match=words):
        make(optimizers.schedules)


class Half(optimizers.schedules.LearningRateSchedule):
    def __call__(self, step):
        return 0.5 ** (1 + step)

    def get_config(self):
        return {}


def test_the_learning_rate_may_be_any_function_and_be_changed():
    w = weight((0.0,), (1.0,))
    optimizer = optimizers.SGD(Half())
    optimizer.build([w])
    seen = []
    for _ in range(2):
        seen.append((optimizer.learning_rate, optimizer.lr, optimizer.iterations))
        optimizer.step()
    assert seen == [(0.5, 0.5, 0), (0.25, 0.25, 1)]
    assert w.data.tolist() == [-0.75]
    assert optimizer.param_groups[0]["lr"] == 0.25
    with pytest.raises(TypeError, match="learning rate is not settable"):
        optimizer.learning_rate = 0.1
    optimizer.learning_rate = lambda: 2.0
    optimizer.step()
    assert w.data.tolist() == [-2.75]
    optimizer.learning_rate = lambda step: float(step)
    optimizer.step()
    assert w.data.tolist() == [-5.75]
    optimizer.lr = 0.25
    assert optimizer.learning_rate == 0.25
    optimizer.step()
    assert w.data.tolist() == [-6.0]
    optimizer.learning_rate = lambda step: -1.0
    with pytest.raises(ValueError, match="Invalid learning rate: -1"):
        optimizer.step()
    assert (w.data.tolist(), optimizer.iterations) == ([-6.0], 5)


def test_the_learning_rate_and_the_steps_are_used_as_keras_variables():
    w = weight((0.0,), (1.0,))
    optimizer = optimizers.SGD(0.5)
    optimizer.build([w])
    rate = optimizer.learning_rate
    assert (rate * 2, float(rate), f"{rate:.2f}", repr(rate)) == (1.0, 0.5, "0.50", "0.5")
    assert (rate.numpy().shape, rate.numpy()) == ((), 0.5)
    rate.assign(0.25)
    assert optimizer.learning_rate == 0.25
    optimizer.step()
    assert w.data.tolist() == [-0.25]
    assert (optimizer.iterations.numpy(), optimizer.iterations + 1) == (1, 2)
    with pytest.raises(ValueError, match="Invalid learning rate: -1"):
        optimizer.learning_rate.assign(-1)
    assert optimizer.lr == 0.25
    for again in (copy.deepcopy(rate), pickle.loads(pickle.dumps(rate))):
        assert (type(again), again) == (float, 0.5)
    assert type(optimizer.get_config()["learning_rate"]) is float
    scheduled = optimizers.SGD(Half())
    with pytest.raises(TypeError, match="learning rate is not settable"):
        scheduled.learning_rate.assign(0.1)


def test_own_schedules_are_written_and_read_by_name():
    written = optimizers.serialize(optimizers.SGD(Half()))
    assert written["config"]["learning_rate"]["class_name"] == "Half"
    with pytest.raises(ValueError, match="'Half'"):
        optimizers.deserialize(written)
    again = optimizers.SGD.from_config(written["config"], {"Half": Half})
    assert again.learning_rate == 0.5
    with pytest.raises(ValueError, match="can't be written"):
        optimizers.SGD(lambda: 0.1).get_config()


# Settings and names


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras
@pytest.mark.parametrize("kind", KINDS)
def test_arguments_and_defaults_and_configurations_are_those_of_keras(kind, live_keras):
    theirs = inspect.signature(getattr(live_keras.optimizers, kind)).parameters
    found = inspect.signature(getattr(optimizers, kind)).parameters
    common = inspect.signature(optimizers.Optimizer).parameters
    own = [n for n in found if n != "common"]
    assert own == list(theirs)[: len(own)]
    for name in own:
        assert found[name].default == theirs[name].default
    for name in set(theirs) - {*own, "kwargs"}:
        assert common[name].default == theirs[name].default
    naming.clear_session()
    live_keras.utils.clear_session()
    for options in ({}, {"learning_rate": 0.5, "weight_decay": 0.25, "clipnorm": 2.0}, FULL[kind]):
        ours, keras = (getattr(o, kind)(**options) for o in (optimizers, live_keras.optimizers))
        assert ours.get_config() == keras.get_config()
        written = optimizers.serialize(ours)
        assert written["class_name"] == live_keras.optimizers.serialize(keras)["class_name"]
        assert optimizers.deserialize(json.loads(json.dumps(written))).get_config() == (
            ours.get_config()
        )
        assert optimizers.deserialize(live_keras.optimizers.serialize(keras)).get_config() == (
            ours.get_config()
        )


@pytest.mark.parametrize(
    ("name", "kind"),
    [("adam", "Adam"), ("Adam", "Adam"), ("SGD", "SGD"), ("rmsprop", "RMSprop"),
     ("rms_prop", "RMSprop"), ("ADAMW", "AdamW"), ("adagrad", "Adagrad"),
     ("adadelta", "Adadelta")],
)  # fmt: skip
def test_found_by_name(name, kind):
    assert type(optimizers.get(name)) is getattr(optimizers, kind)


def test_get_takes_an_object_a_configuration_or_none():
    optimizer = optimizers.Adam(0.5)
    assert optimizers.get(optimizer) is optimizer
    assert optimizers.get(None) is None
    again = optimizers.get(optimizers.serialize(optimizer))
    assert (type(again), again.learning_rate) == (optimizers.Adam, 0.5)


@pytest.mark.parametrize("wrong", ["adamm", 3, optimizers.Adam, {"class_name": "Adamm"}])
def test_unknown_names(wrong):
    with pytest.raises(ValueError, match="Received: ") as caught:
        optimizers.get(wrong)
    if wrong == "adamm":
        assert "Did you mean 'adam'" in str(caught.value)


@pytest.mark.parametrize(
    ("error", "make", "words"),
    [
        (ValueError, lambda o: o.SGD(lr=0.1), "'lr': 0.1.* Did you mean 'learning_rate'"),
        (ValueError, lambda o: o.Adam(beta1=0.1), "Did you mean 'beta_1'"),
        (ValueError, lambda o: o.Adam("fast"), "Received instead: learning_rate='fast'"),
        (ValueError, lambda o: o.Adam(-1.0), "Invalid learning rate: -1"),
        (ValueError, lambda o: o.SGD(momentum=1.5), "Received: momentum=1.5"),
        (ValueError, lambda o: o.Adam(beta_1=1.0), "Invalid beta"),
        (ValueError, lambda o: o.AdamW(weight_decay=None), "must be a float"),
        (ValueError, lambda o: o.SGD(weight_decay=-1.0), "Invalid weight_decay"),
        (ValueError, lambda o: o.SGD(clipnorm=1.0, clipvalue=1.0), "Only one of .*clipvalue=1.0"),
        (ValueError, lambda o: o.SGD(clipvalue=-1.0), "below 0"),
        (ValueError, lambda o: o.SGD(use_ema=True, ema_momentum=2.0), "ema_momentum=2.0"),
        (
            ValueError,
            lambda o: o.SGD(use_ema=True, ema_overwrite_frequency=0.5),
            "ema_overwrite_frequency=0.5",
        ),
        (ValueError, lambda o: o.SGD(gradient_accumulation_steps=1), ">= 2"),
        (ValueError, lambda o: o.SGD(loss_scale_factor=2.0), "mixed precision"),
        (ValueError, lambda o: o.SGD().step(), "build"),
        (ValueError, lambda o: o.SGD().apply([1.0]), "build"),
        (ValueError, lambda o: o.SGD().load_state_dict({}), "build"),
        (ValueError, lambda o: o.SGD().apply_gradients([(None, weight())]), "No gradients"),
        (ValueError, lambda o: o.SGD().apply([1.0, 2.0], [weight()]), "2 gradients for 1"),
    ],
)
def test_wrong_use(error, make, words):
    with pytest.raises(error, match=words):
        make(optimizers)


def test_decay_of_old_is_warned_of():
    with pytest.warns(UserWarning, match="`decay` is no longer supported"):
        optimizers.SGD(0.1, decay=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_settings_can_be_read_and_changed_before_and_after_build(kind):
    optimizer = getattr(optimizers, kind)()
    config = optimizer.get_config()
    own = [n for n in optimizer._own() if isinstance(config[n], float)]
    assert own
    for built in (False, True):
        if built:
            optimizer.build([weight()])
        for k, name in enumerate([*own, "learning_rate", "weight_decay"]):
            value = (k + 1 + 10 * built) / 64
            setattr(optimizer, name, value)
            config[name] = value
            assert optimizer.get_config() == config
    if kind == "SGD":
        with pytest.raises(ValueError, match="Received: momentum=2"):
            optimizer.momentum = 2
        optimizer.nesterov = True
        optimizer.momentum = 0
        optimizer.momentum = 0.5
        assert optimizer.param_groups[0]["nesterov"] is True
    with pytest.raises(ValueError, match="Invalid learning rate"):
        optimizer.learning_rate = -1
    with pytest.raises(ValueError, match="Invalid weight_decay"):
        optimizer.weight_decay = -1
    assert optimizer.weight_decay == config["weight_decay"]


# Steps


def test_apply_leaves_the_variables_own_gradients_and_those_given():
    w, other = weight(), weight()
    g = tg.Tensor([3.0, 4.0])
    optimizer = optimizers.SGD(1.0, clipnorm=1.0)
    optimizer.build([w, other])
    before, memory = w.grad, w.data
    assert optimizer.apply_gradients([(g, w)]) == 1
    assert memory is w.data
    assert np.allclose(w.data, [0.4, -2.8])
    assert other.data.tolist() == [1, -2]
    assert g.tolist() == [3, 4]
    assert w.grad is before
    assert other.grad.tolist() == [0.5, 0.5]


def test_what_is_wrong_changes_nothing():
    w, other = weight(), weight()
    optimizer = optimizers.Adam(0.1, gradient_accumulation_steps=2)
    optimizer.build([w, other])
    optimizer.step()
    before = optimizer.state_dict()
    for grads, variables, words in (
        ([[1.0, 1.0], [1.0]], None, "doesn't fit"),
        ([[1.0, 1.0]], [weight()], "Unknown variable"),
        ([[1.0, 1.0]] * 2, [w, w], "listed twice"),
        ([None, None], None, "No gradients provided"),
        ([[1.0, 1.0]], None, "1 gradients for 2"),
    ):
        with pytest.raises(ValueError, match=words):
            optimizer.apply(grads, variables)
    assert w.data.tolist() == [1, -2]
    assert w.grad.tolist() == [0.5, 0.5]
    after = optimizer.state_dict()
    assert str(after) == str(before)
    optimizer.apply([])
    assert optimizer.state_dict()["iterations"] == 1


def test_a_missing_gradient_is_warned_of():
    w, named = weight(), Variable([1.0, 1.0], name="kernel", dtype="float64")
    optimizer = optimizers.SGD(1.0)
    optimizer.build([w, named])
    with pytest.warns(UserWarning, match=r"do not exist for variables \['kernel'\]"):
        optimizer.step()
    assert w.data.tolist() == [0.5, -2.5]
    assert named.data.tolist() == [1, 1]
    named.trainable = False  # then none is expected
    optimizer.step()
    assert w.data.tolist() == [0, -3]


def test_a_closure_and_zero_grad():
    w = weight()
    optimizer = optimizers.SGD(0.1)
    optimizer.build([w])

    def closure():
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    with tg.no_grad():
        assert optimizer.step(closure).item() == 5
    assert w.data.tolist() == [0.8, -1.6]
    optimizer.zero_grad()
    assert w.grad is None


def test_a_step_between_forward_and_backward_is_caught():
    w = Variable([2.0], name="w", constraint=lambda v: v)
    optimizer = optimizers.SGD(0.1)
    loss = (w * w).sum()
    optimizer.apply_gradients([([1.0], w)])
    with pytest.raises(RuntimeError, match="'w' was changed in place after"):
        loss.backward()


def test_averages_are_of_the_variables_it_was_built_with():
    w = weight()
    optimizer = optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5)
    optimizer.build([w])
    optimizer.step()
    optimizer.step()
    with pytest.raises(ValueError, match="no average"):
        optimizer.finalize_variable_values([weight()])
    optimizer.finalize_variable_values([w])
    assert w.data.tolist() == [0.25, -2.75]


def test_exclusion_from_decay_comes_before_build_and_takes_variables():
    w, still = weight(grad=(0, 0)), weight(grad=(0, 0))
    optimizer = optimizers.SGD(1.0, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_list=[still])
    optimizer.build([w, still])
    optimizer.step()
    assert w.data.tolist() == [0.5, -1]
    assert still.data.tolist() == [1, -2]
    optimizer.weight_decay = 1.0
    optimizer.step()
    assert w.data.tolist() == [0, 0]
    assert still.data.tolist() == [1, -2]
    with pytest.raises(ValueError, match="before the optimizer is built"):
        optimizer.exclude_from_weight_decay(var_names=["bias"])


# What is kept


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras
@pytest.mark.parametrize("kind", KINDS)
def test_variables_are_those_of_keras(kind, live_keras):
    options = {**FULL[kind], "use_ema": True, "gradient_accumulation_steps": 2}
    arrays = [np.array([1.0, -2.0]), np.array([[0.5, 0.25, -1.0]])]
    w = [Variable(a, name=n, dtype="float64") for a, n in zip(arrays, "ab", strict=True)]
    v = [live_keras.Variable(a, name=n, dtype="float64") for a, n in zip(arrays, "ab", strict=True)]
    mine = getattr(optimizers, kind)(0.5, **options)
    theirs = getattr(live_keras.optimizers, kind)(0.5, **options)
    mine.build(w)
    theirs.build(v)
    for _ in range(6):
        found = mine.variables
        assert [each.name for each in found] == [each.name for each in theirs.variables]
        for a, b in zip(found, theirs.variables, strict=True):
            sign = -1 if kind == "SGD" and a.name.endswith("_momentum") else 1  # w - v, not w + v
            assert relative_error(a.data, sign * live_keras.ops.convert_to_numpy(b.value)) < 1e-12
        mine.apply_gradients(zip(arrays, w, strict=True))
        theirs.apply_gradients(zip(map(live_keras.ops.convert_to_tensor, arrays), v, strict=True))


def fitted(kind, options, steps, checkpoint=None):
    """A small model after `tg.fit`, and its optimizer."""
    model = tg.nn.Linear(3, 2, rng=0)
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((12, 3)), rng.standard_normal((12, 2))
    optimizer = getattr(optimizers, kind)(0.05, **options)
    optimizer.build(model.parameters())
    data = tg.data.batches((x.astype("f4"), y.astype("f4")), batch_size=5, shuffle=True, seed=0)
    loss = tg.nn.functional.mse_loss
    history = tg.fit(
        model, loss, optimizer, data, steps=steps, checkpoint=checkpoint, progress=False
    )
    return model, optimizer, history


@pytest.mark.parametrize("kind", KINDS)
def test_fit_resumed_from_a_checkpoint_gives_the_same_bits(kind, tmp_path):
    options = {**FULL[kind], "use_ema": True, "ema_overwrite_frequency": 5}
    options |= {"gradient_accumulation_steps": 2, "weight_decay": 0.1, "clipnorm": 1.0}
    whole, optimizer, history = fitted(kind, options, 19)
    assert history["loss"][-1] < history["loss"][0]
    assert optimizer.iterations == 9
    path = tmp_path / "run.npz"
    fitted(kind, options, 8, path)
    again, resumed, _ = fitted(kind, options, 19, path)
    for a, b in zip(whole.parameters(), again.parameters(), strict=True):
        assert np.array_equal(a.data, b.data)
    assert str(optimizer.state_dict()) == str(resumed.state_dict())


def test_the_state_is_a_copy_and_a_wrong_one_changes_nothing():
    w = weight()
    optimizer = optimizers.Adam(0.1, use_ema=True, gradient_accumulation_steps=2)
    optimizer.build([w])
    for _ in range(3):
        optimizer.step()
    kept = optimizer.state_dict()
    other = optimizers.Adam(0.7, use_ema=True, gradient_accumulation_steps=2)
    other.build([weight((5.0, 5.0))])
    other.step()
    before = str(other.state_dict())
    for change, words in (
        (lambda s: s.pop("iterations"), "missing: iterations"),
        (lambda s: s.update(iterations=-1), "number of steps"),
        (lambda s: s.update(averages={}), "0 averages"),
        (lambda s: s["averages"].update({0: np.ones(3)}), "shape"),
        (lambda s: s["accumulated"].update({1: np.ones(2)}), "accumulated is a dict"),
        (lambda s: s["state"][0].pop("exp_avg"), "missing: exp_avg"),
        (lambda s: s["param_groups"][0].pop("eps_hat"), "missing: eps_hat"),
    ):
        wrong = copy.deepcopy(kept)
        change(wrong)
        with pytest.raises((TypeError, ValueError), match=words):
            other.load_state_dict(wrong)
        assert str(other.state_dict()) == before
    other.load_state_dict(kept)
    assert str(other.state_dict()) == str(kept)
    assert other.learning_rate == 0.1
    kept["averages"][0][...] = 7
    assert 7 not in other.state_dict()["averages"][0]
