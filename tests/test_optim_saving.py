"""State dicts of optimisers: round trips to the bit, PyTorch's own, and wrong ones."""

import copy
import math

import numpy as np
import pytest
from golden.make_optim import drawn
from test_optim import FULL, weight

import tinygrad_rnn as tg

GIVEN = drawn(np.random.default_rng(9))
NAMES = ("w0", "w1", "w2")


def parameters(dtype=np.float64):
    return [tg.Tensor(GIVEN[n], requires_grad=True, dtype=dtype) for n in NAMES]


def made(kind, w, library=tg.optim):
    groups = [{"params": w[:2]}, {"params": w[2:], "lr": 0.05}]
    return getattr(library, kind)(groups, lr=0.1, **FULL[kind])


def run(optimiser, w, steps):
    for step in steps:
        for n, p in zip(NAMES, w, strict=True):
            p.grad = GIVEN[f"g_{n}"][step].astype(p.dtype)
        optimiser.step()


@pytest.mark.parametrize("kind", FULL)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_resumed_in_the_middle_gives_the_same_bits(kind, dtype):
    whole = parameters(dtype)
    run(made(kind, whole), whole, range(20))

    w = parameters(dtype)
    first = made(kind, w)
    run(first, w, range(9))
    kept = first.state_dict()
    values = [p.data.copy() for p in w]
    run(first, w, range(9, 12))  # what is kept doesn't change with it

    again = [tg.Tensor(v, requires_grad=True) for v in values]
    second = getattr(tg.optim, kind)([{"params": again[:2]}, {"params": again[2:]}])
    second.load_state_dict(kept)
    for arrays in kept["state"].values():  # nor does it change what is kept
        for value in arrays.values():
            if isinstance(value, np.ndarray):
                value[...] = 0
    run(second, again, range(9, 20))
    assert all(np.array_equal(a.data, b.data) for a, b in zip(again, whole, strict=True))


@pytest.mark.parametrize("kind", FULL)
def test_the_layout_is_that_of_torch(kind):
    torch = pytest.importorskip("torch")
    w = parameters()
    theirs = [torch.tensor(p.data.copy(), requires_grad=True) for p in w]
    ours, other = made(kind, w), made(kind, theirs, torch.optim)
    for step in range(5):
        for n, p in zip(NAMES, theirs, strict=True):
            p.grad = torch.tensor(GIVEN[f"g_{n}"][step])
        other.step()
    run(ours, w, range(5))
    found, expected = ours.state_dict(), other.state_dict()
    assert found["state"].keys() == expected["state"].keys()
    for place, arrays in expected["state"].items():
        assert found["state"][place].keys() == arrays.keys()
        for name, value in arrays.items():
            assert np.allclose(found["state"][place][name], value.numpy(), rtol=1e-12, atol=1e-15)
    implementation = {"foreach", "capturable", "differentiable", "fused"}
    for group, wanted in zip(found["param_groups"], expected["param_groups"], strict=True):
        assert group == {k: v for k, v in wanted.items() if k not in implementation}

    again = [tg.Tensor(p.detach().numpy(), requires_grad=True) for p in theirs]
    loaded = made(kind, again)
    loaded.load_state_dict(expected)
    run(loaded, again, range(5, 10))
    for step in range(5, 10):
        for n, p in zip(NAMES, theirs, strict=True):
            p.grad = torch.tensor(GIVEN[f"g_{n}"][step])
        other.step()
    for a, b in zip(again, theirs, strict=True):
        assert np.allclose(a.data, b.detach().numpy(), rtol=1e-12, atol=0)


def test_what_schedules_wrote_stays_if_it_is_not_loaded():
    w = parameters()
    optimiser = made("SGD", w)
    kept = optimiser.state_dict()
    tg.optim.lr_scheduler.ConstantLR(optimiser, factor=0.5)
    optimiser.load_state_dict(kept)
    assert optimiser.param_groups[0]["lr"] == 0.1
    assert optimiser.param_groups[0]["initial_lr"] == 0.1


def changed(state, change):
    state = copy.deepcopy(state)
    change(state)
    return state


@pytest.mark.parametrize(
    ("error", "change", "words"),
    [
        (TypeError, lambda s: s.pop("state"), "takes a dict with"),
        (ValueError, lambda s: s["param_groups"].pop(), "different number of parameter groups"),
        (ValueError, lambda s: s["param_groups"][0]["params"].pop(), "match the size"),
        (TypeError, lambda s: s["param_groups"][0].pop("params"), 'list of "params"'),
        (ValueError, lambda s: s["param_groups"][0].update(params=[0, 0]), "twice"),
        (ValueError, lambda s: s["param_groups"][0].pop("betas"), "missing: betas of param_g"),
        (ValueError, lambda s: s["param_groups"][1].update(beta=1), "unexpected: beta in"),
        (ValueError, lambda s: s["param_groups"][1].update(lr=-1), "Invalid learning rate"),
        (ValueError, lambda s: s["param_groups"][1].update(betas=(0.9, 2.0)), "Invalid beta"),
        (ValueError, lambda s: s["state"][0].pop("exp_avg"), "missing: exp_avg in the state of 0"),
        (ValueError, lambda s: s["state"][0].update(sum=1.0), "unexpected: sum in the state of 0"),
        (ValueError, lambda s: s["state"].update({7: {}}), "unexpected: state of 7"),
        (ValueError, lambda s: s["state"].update({2: [1]}), "state of 2: a dict is needed"),
        (ValueError, lambda s: s["state"][1].update(exp_avg=np.ones(4)), r"shape \(4,\), but"),
        (ValueError, lambda s: s["state"][1].update(exp_avg="abc"), "numbers are needed"),
        (ValueError, lambda s: s["state"][1].update(step=-1), "number of steps"),
        (ValueError, lambda s: s["state"][1].update(step=1.5), "number of steps"),
        (ValueError, lambda s: s["state"][1].update(step=math.nan), "step in the state of 1"),
    ],
)
def test_a_wrong_state_changes_nothing(error, change, words):
    w = parameters()
    optimiser = made("Adam", w)
    run(optimiser, w, range(3))
    before = optimiser.state_dict()
    others = parameters()
    later = made("Adam", others)
    run(later, others, range(5))
    with pytest.raises(error, match=words):
        optimiser.load_state_dict(changed(later.state_dict(), change))
    after = optimiser.state_dict()
    assert after["param_groups"] == before["param_groups"]
    for place, arrays in before["state"].items():
        for name, value in arrays.items():
            assert np.array_equal(after["state"][place][name], value)


def test_the_state_of_another_kind_is_refused():
    w = weight()
    sgd = tg.optim.SGD([w], momentum=0.9)
    sgd.step()
    with pytest.raises(
        ValueError, match=r"load_state_dict of Adam, nothing was changed:\n  missing"
    ):
        tg.optim.Adam([w]).load_state_dict(sgd.state_dict())
    with pytest.raises(ValueError, match="use Adam"):
        tg.optim.AdamW([w]).load_state_dict(tg.optim.Adam([w]).state_dict())
    with pytest.raises(TypeError, match="takes a dict"):
        sgd.load_state_dict([])
