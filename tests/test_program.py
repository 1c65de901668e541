"""A recurrent cell's program, to read and to keep: it gives the layer's numbers without it."""

from __future__ import annotations

import ast
import gc
import pathlib
import subprocess
import sys
import weakref
from typing import Any

import numpy as np
import pytest
from recurrent_kinds import gradients, leaf, made, parts, random_state, whole

import tinygrad_rnn as tg

T, N, I, H = 5, 3, 2, 7  # noqa: E741

# Runs a saved module where there is nothing to import but NumPy.
ALONE = """
import sys
sys.modules.update(dict.fromkeys(["tinygrad_rnn", "torch"]))
import importlib.util
import numpy as np

path, given_path, found_path = sys.argv[1:]
spec = importlib.util.spec_from_file_location("saved", path)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
given = dict(np.load(given_path))


def numbered(name):
    return tuple([given[key] for key in sorted(given) if key.startswith(name + "/")])


params = {key[2:]: value for key, value in given.items() if key.startswith("p/")}
real = [given["real"]] if "real" in given else []
ys, final, saved = module.forward(params, given["xs"], numbered("state"), *real)
gxs, gstate, gparams = module.backward(
    params, given["xs"], saved, given["gy"], numbered("gfinal"), *real
)
found = {"output": ys, "d_x": gxs, **{f"d_{name}": g for name, g in gparams.items()}}
found.update({f"final{k}": part for k, part in enumerate(final)})
found.update({f"d_state{k}": part for k, part in enumerate(gstate)})
np.savez(found_path, **found)
"""


def run_alone(listing: Any, folder: pathlib.Path, **given: Any) -> dict[str, np.ndarray]:
    """What a saved module gives in a process of its own."""
    listing.save(folder / "saved.py")
    np.savez(folder / "given.npz", **given)
    names = [str(folder / name) for name in ("saved.py", "given.npz", "found.npz")]
    command = [sys.executable, "-W", "error", "-c", ALONE, *names]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert ran.returncode == 0, ran.stderr
    return dict(np.load(folder / "found.npz"))


def problem(
    layer: Any, direction: int = 0, batch: int = N
) -> tuple[Any, list[Any], Any, list[Any]]:
    """Input, a state of one cell, and cotangents of the outputs and of the final state."""
    rng = np.random.default_rng(5)
    xs = rng.normal(size=(T, batch, layer.input_size))
    state = [part[direction] for part in random_state(layer, batch, rng)]
    output, final = tg.rnn.scan(layer._cells[direction], xs, whole(state))
    gy = rng.normal(size=output.shape)
    return xs, state, gy, [rng.normal(size=part.shape) for part in parts(final)]


def expected(
    layer: Any, xs: Any, state: Any, gy: Any, gfinal: Any, direction: int = 0, mask: Any = None
) -> dict[str, np.ndarray]:
    """The same by way of the steps one by one."""
    start = [leaf(part) for part in state]
    leaves = {"x": leaf(xs), **{f"state{k}": part for k, part in enumerate(start)}}
    with tg.rnn.unrolled():
        cell = layer._cells[direction]
        output, final = tg.rnn.scan(
            cell, leaves["x"], whole(start), reverse=direction == 1, mask=mask
        )
    ending = "_reverse" if direction else "_l0"
    named = {n: p for n, p in layer.named_parameters() if n.endswith(ending)}
    found = gradients([output, *parts(final)], [gy, *gfinal], {**leaves, **named})
    results = {"output": output.data}
    results.update({f"final{k}": part.data for k, part in enumerate(parts(final))})
    return {**results, **found}


def packed(layer: Any, xs: Any, state: Any, gy: Any, gfinal: Any) -> dict[str, np.ndarray]:
    return {
        **{f"p/{name}": array for name, array in layer.state_dict().items()},
        **{f"state/{k}": part for k, part in enumerate(state)},
        **{f"gfinal/{k}": part for k, part in enumerate(gfinal)},
        "xs": xs,
        "gy": gy,
    }


def assert_same(found: dict[str, Any], wanted: dict[str, Any], within: float) -> None:
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_allclose(found[name], array, rtol=within, atol=within, err_msg=name)


@pytest.mark.parametrize("batch", [1, N])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN-tanh", "Peephole", "LayerNorm", "OwnCell"])
def test_saved_module_gives_the_numbers_of_the_layer(kind: str, batch: int, tmp_path: Any):
    layer = made(kind, I, H)
    given = problem(layer, batch=batch)
    found = run_alone(tg.rnn.program(layer), tmp_path, **packed(layer, *given))
    assert_same(found, expected(layer, *given), 1e-12)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_masked_and_from_the_end(kind: str, tmp_path: Any):
    layer = made(kind, I, H, bidirectional=True)
    given = problem(layer, direction=1)
    real = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 0], [1, 0, 0], [0, 1, 0]], bool)
    given[0][~real] = np.nan
    listing = tg.rnn.program(layer, direction=1, masked=True)
    found = run_alone(listing, tmp_path, **packed(layer, *given), real=real)
    assert_same(found, expected(layer, *given, direction=1, mask=real), 1e-12)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_saved_module_gives_the_numbers_of_pytorch(kind: str, tmp_path: Any):
    torch = pytest.importorskip("torch")
    layer = made({"RNN": "RNN-tanh"}.get(kind, kind), I, H)
    xs, state, gy, gfinal = problem(layer)
    found = run_alone(tg.rnn.program(layer), tmp_path, **packed(layer, xs, state, gy, gfinal))
    other = getattr(torch.nn, kind)(I, H).double()
    other.load_state_dict({n: torch.tensor(a) for n, a in layer.state_dict().items()})
    x = torch.tensor(xs, requires_grad=True)
    start = [torch.tensor(part[None], requires_grad=True) for part in state]
    output, final = other(x, whole(start))
    finals = final if isinstance(final, tuple) else (final,)
    loss = (output * torch.tensor(gy)).sum()
    loss = loss + sum((f[0] * torch.tensor(g)).sum() for f, g in zip(finals, gfinal, strict=True))
    loss.backward()
    wanted = {"output": output, "d_x": x.grad}
    wanted.update({f"final{k}": f[0] for k, f in enumerate(finals)})
    wanted.update({f"d_state{k}": s.grad[0] for k, s in enumerate(start)})
    wanted.update({f"d_{n}": p.grad for n, p in other.named_parameters()})
    assert_same(found, {n: a.detach().numpy() for n, a in wanted.items()}, 1e-10)


def test_function_as_a_cell_with_an_array_of_its_own(tmp_path: Any):
    rng = np.random.default_rng(2)
    U = tg.Tensor(rng.normal(size=(H, H)), requires_grad=True, name="U")
    own = np.where(rng.random(H) < 0.5, 1.25, -0.3)

    def cell(x: Any, state: Any) -> Any:
        h, s = state
        return np.tanh(tg.nn.functional.linear(x, U) + s) * own, 0.5 * s + h

    xs, gy = rng.normal(size=(2, T, N, H))
    state, gfinal = rng.normal(size=(2, 2, N, H))
    listing = tg.rnn.program(cell, x=xs[0], state=tuple(state))
    given = {"p/U": U.data, "xs": xs, "gy": gy}
    given.update({f"state/{k}": part for k, part in enumerate(state)})
    given.update({f"gfinal/{k}": part for k, part in enumerate(gfinal)})
    found = run_alone(listing, tmp_path, **given)
    leaves = {"x": leaf(xs), "state0": leaf(state[0]), "state1": leaf(state[1]), "U": U}
    with tg.rnn.unrolled():
        output, final = tg.rnn.scan(cell, leaves["x"], (leaves["state0"], leaves["state1"]))
    wanted = {"output": output.data, "final0": final[0].data, "final1": final[1].data}
    wanted.update(gradients([output, *final], [gy, *gfinal], leaves))
    assert_same(found, wanted, 1e-12)


def test_program_that_depends_on_the_number_of_sequences():
    def cell(x: Any, h: Any) -> Any:
        return np.tanh(x + h * len(h))

    listing = tg.rnn.program(cell, x=np.zeros((N, H)), state=np.zeros((N, H)))
    rng = np.random.default_rng(8)
    xs, h = rng.normal(size=(T, N, H)), rng.normal(size=(N, H))
    wanted = [h]
    for x in xs:
        wanted.append(np.tanh(x + wanted[-1] * N))
    ys, final, _ = listing.forward({}, xs, (h,))
    np.testing.assert_allclose(ys, wanted[1:], rtol=0, atol=1e-12)
    np.testing.assert_allclose(final[0], wanted[-1], rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match=r"xs: expected \(T, 3, 7\), got \(5, 2, 7\)"):
        listing.forward({}, xs[:, :2], (h[:2],))


def test_constants_need_not_be_finite():
    limit = np.where(np.arange(H) % 2, np.inf, 0.25)
    example = np.zeros((N, H))
    listing = tg.rnn.program(
        lambda x, h: np.minimum(x + h, limit), x=example, state=example, gradients=False
    )
    xs = np.random.default_rng(4).normal(size=(1, N, H))
    ys, _, _ = listing.forward({}, xs, (example,))
    np.testing.assert_array_equal(ys[0], np.minimum(xs[0], limit))


def test_source_has_the_names_of_the_cell():
    listing = tg.rnn.program(tg.nn.LSTM(I, H))
    tree = ast.parse(listing.source)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert used >= {"i", "f", "g", "o", "c", "h_all", "x"}
    assert used >= {"weight_ih_l0", "weight_hh_l0", "g_weight_hh_l0_gates", "g_bias_ih_l0_gates"}
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert functions == ["prepare", "forward", "backward", "gradients"]
    assert "# step by step, from the last to the first" in listing.source
    assert str(listing) == listing.source
    assert repr(listing).startswith("<program of LSTMCell of LSTM")
    assert max(map(len, listing.module.splitlines())) <= 100


def test_names_are_those_in_the_layer_or_the_cell():
    lstm = tg.nn.LSTM(I, H, num_layers=2, bidirectional=True)
    model = tg.nn.Sequential(lstm)
    upper = tg.rnn.program(model[0], layer=1, direction=1)
    state = np.zeros((N, H)), np.zeros((N, H))
    xs = np.ones((T, N, 2 * H))
    ys, _, saved = upper.forward(lstm.state_dict(), xs, state)
    _, _, found = upper.backward(lstm.state_dict(), xs, saved, ys, state)
    kinds = "weight_ih", "bias_ih", "weight_hh", "bias_hh"
    assert found.keys() == {f"{kind}_l1_reverse" for kind in kinds}
    cell = tg.rnn.program(tg.nn.GRUCell(I, H))
    assert "weight_hh" in cell.source
    assert "weight_hh_l0" not in cell.source


def test_frozen_parameters_have_no_gradient():
    gru = tg.nn.GRU(I, H)
    gru.weight_ih_l0.requires_grad = False
    listing = tg.rnn.program(gru)
    xs, state = np.ones((T, N, I)), (np.ones((N, H)),)
    ys, _, saved = listing.forward(gru.state_dict(), xs, state)
    _, _, found = listing.backward(gru.state_dict(), xs, saved, ys, state)
    assert found.keys() == {"bias_ih_l0", "weight_hh_l0", "bias_hh_l0"}


def test_without_gradients():
    gru = tg.nn.GRU(I, H).double()
    listing = tg.rnn.program(gru, gradients=False)
    assert listing.backward is None
    assert "def backward" not in listing.module
    xs = np.random.default_rng(3).normal(size=(T, N, I))
    ys, final, _ = listing.forward(gru.state_dict(), xs, (np.zeros((N, H)),))
    with tg.rnn.unrolled():
        output, last = gru(xs)
    np.testing.assert_allclose(ys, output.data, rtol=0, atol=1e-12)
    np.testing.assert_allclose(final[0], last.data[0], rtol=0, atol=1e-12)


def test_listing_does_not_keep_the_layer():
    gc.collect()
    gc.disable()
    try:
        layer = tg.nn.LSTM(I, H)
        kept = weakref.ref(layer.weight_hh_l0)
        listing = tg.rnn.program(layer)
        del layer
        assert kept() is None
    finally:
        gc.enable()
    assert listing.source


@pytest.mark.parametrize("wrapper", [tg.rnn.RecurrentDropout, tg.rnn.Zoneout])
def test_asking_for_a_program_changes_nothing(wrapper: Any):
    layer = tg.rnn.Recurrent(tg.nn.LSTMCell, I, H, wrap=lambda cell: wrapper(cell, 0.5), rng=3)
    before, state = layer.state_dict(), np.random.get_state()[1].copy()
    tg.manual_seed(1)
    first = np.asarray(tg.nn.functional.dropout(np.ones(20)))
    tg.manual_seed(1)
    if wrapper is tg.rnn.Zoneout:
        with pytest.raises(ValueError, match="draws random numbers at each step"):
            tg.rnn.program(layer)
    else:  # it draws its mask once, for the sequence
        assert tg.rnn.program(layer).source
    np.testing.assert_array_equal(np.asarray(tg.nn.functional.dropout(np.ones(20))), first)
    assert all(np.array_equal(before[name], array) for name, array in layer.state_dict().items())
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    assert tg.rnn.program(layer.eval()).source


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        (lambda x, h: h * float(h.sum()), "reads the values"),
        (lambda x, h: h + h.detach(), "detaches"),
        (lambda x, h: np.cumsum(h, axis=-1), "cumsum"),
    ],
)
def test_cells_without_a_program_say_why(cell: Any, why: str):
    with pytest.raises(ValueError, match=f"has no program: .*{why}"):
        tg.rnn.program(cell, x=np.zeros((N, H)), state=np.zeros((N, H)))


def test_random_cell_says_why():
    layer = tg.nn.GRU(I, H, wrap=lambda cell: tg.rnn.Zoneout(cell, 0.5))
    with pytest.raises(ValueError, match="random"):
        tg.rnn.program(layer)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"layer": 2}, r"layer should be from 0 to 1 .*got 2"),
        ({"direction": 1}, r"direction should be from 0 to 0 .*got 1"),
        ({"layer": -1}, r"layer should be from 0 to 1 .*got -1"),
        ({"batch": 0}, "batch must be greater than zero"),
    ],
)
def test_wrong_arguments(given: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        tg.rnn.program(tg.nn.LSTM(I, H, num_layers=2), **given)


def test_missing_or_wrong_examples():
    def cell(x: Any, h: Any) -> Any:
        return np.tanh(x + h)

    with pytest.raises(ValueError, match="no input_size; give an example"):
        tg.rnn.program(cell)
    with pytest.raises(ValueError, match="no initial_state"):
        tg.rnn.program(cell, x=np.zeros((N, H)))
    with pytest.raises(ValueError, match=r"floats \(batch, features\), got \(7,\)"):
        tg.rnn.program(cell, x=np.zeros(H), state=np.zeros(H))
    with pytest.raises(ValueError, match=r"x has 3 sequences, .* and the state 2"):
        tg.rnn.program(cell, x=np.zeros((N, H)), state=np.zeros((2, H)))
    with pytest.raises(TypeError, match="a recurrent layer, a cell or a function"):
        tg.rnn.program(3)
    with pytest.raises(ValueError, match="is one cell"):
        tg.rnn.program(tg.nn.GRUCell(I, H), layer=1)


def test_functions_check_what_they_are_given():
    lstm = tg.nn.LSTM(I, H).double()
    listing = tg.rnn.program(lstm)
    params, xs = lstm.state_dict(), np.ones((T, N, I))
    state = np.zeros((N, H)), np.zeros((N, H))
    ys, _, saved = listing.forward(params, xs, state)
    with pytest.raises(ValueError, match=r"xs: expected \(T, N, 2\), got \(5, 3, 7\)"):
        listing.forward(params, np.ones((T, N, H)), state)
    with pytest.raises(ValueError, match="xs: expected floats, got int64"):
        listing.forward(params, xs.astype(np.int64), state)
    with pytest.raises(ValueError, match=r"state: expected .*\(3, 7\), \(3, 7\).*got .*\(2, 7\)"):
        listing.forward(params, xs, (np.zeros((2, H)), state[1]))
    with pytest.raises(ValueError, match=r"'weight_hh_l0'.*expected"):
        listing.forward({**params, "weight_hh_l0": np.ones((28, 1))}, xs, state)
    with pytest.raises(ValueError, match="grad_outputs: expected"):
        listing.backward(params, xs, saved, ys[:, :1], state)
    masked = tg.rnn.program(lstm, masked=True)
    with pytest.raises(ValueError, match="real: expected booleans"):
        masked.forward(params, xs, state, np.ones((T, N)))


def test_path_that_cannot_be_written(tmp_path: Any):
    with pytest.raises(OSError, match="nowhere"):
        tg.rnn.program(tg.nn.RNN(I, H)).save(tmp_path / "nowhere" / "program.py")
