"""tg.checkpoint: the gradients of the plain function, with less memory, or an error."""

from __future__ import annotations

import gc
import threading
import tracemalloc
import weakref
from collections import namedtuple
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.core import random
from tinygrad_rnn.errors import AnomalyError, GraphError, ShapeError

Pair = namedtuple("Pair", "left right")


def leaf(rng: np.random.Generator, *shape: int, dtype: Any = np.float64) -> tg.Tensor:
    return tg.Tensor(rng.standard_normal(shape), dtype=dtype, requires_grad=True)


def tensors(value: Any) -> list[tg.Tensor]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (tuple, list)):
        return [t for part in value for t in tensors(part)]
    return [value] if isinstance(value, tg.Tensor) and value.requires_grad else []


def gradients(function: Callable[..., Any], arguments: Any, leaves: Any, **options: Any) -> Any:
    """Of all results, with random cotangents, and the results."""
    results = tensors(function(*arguments))
    rng = np.random.default_rng(5)
    weights = [rng.standard_normal(r.shape).astype(r.dtype) for r in results]
    return results, tg.grad(results, leaves, weights, **options)


def assert_as_plain(function: Callable[..., Any], arguments: Any, leaves: Any) -> None:
    """Results and gradients are those of the plain function, to the bit."""
    plain, expected = gradients(function, arguments, leaves)
    results, got = gradients(tg.checkpoint(function), arguments, leaves)
    assert len(results) == len(plain) > 0
    for a, b in zip(results, plain, strict=True):
        assert np.array_equal(a.numpy(), b.numpy())
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
    for a, b in zip(got, expected, strict=True):
        assert np.abs(b.numpy()).max() > 0
        assert a.dtype == b.dtype
        assert np.array_equal(a.numpy(), b.numpy())
    makers = {type(r._node).__name__ for r in results}
    assert makers == ({"Node"} if len(results) == 1 else {"Output"})


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


# The same gradients


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_perceptron_to_the_bit(rng: np.random.Generator, dtype: Any):
    x, w, b, v = (leaf(rng, *s, dtype=dtype) for s in ((3, 5), (5, 7), (7,), (7, 1)))

    def mlp(x: Any) -> Any:
        h = np.tanh(x @ w + b)
        return np.sin(h @ v) + (h * h).sum(axis=-1, keepdims=True)

    assert_as_plain(mlp, (x,), (x, w, b, v))


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}])
def test_an_lstm_with_its_state_and_its_parameters_to_the_bit(
    rng: np.random.Generator, options: Any
):
    layer = tg.nn.LSTM(3, 5, dtype=np.float64, rng=1, **options)
    count = 4 if options else 1
    x, h, c = leaf(rng, 7, 2, 3), leaf(rng, count, 2, 5), leaf(rng, count, 2, 5)
    state = tg.rnn.LSTMState(h, c)
    assert_as_plain(layer, (x, state), (x, h, c, *layer.parameters()))
    output, final = tg.checkpoint(layer)(x, state)
    assert type(final) is type(layer(x, state)[1])
    assert output.shape == (7, 2, 10 if options else 5)


def test_backward_fills_the_same_grads_as_the_plain_layer(rng: np.random.Generator):
    layer = tg.nn.GRU(3, 5, dtype=np.float64, rng=1)
    x, weights = rng.standard_normal((7, 2, 3)), rng.standard_normal((7, 2, 5))
    found = []
    for call in (layer, tg.checkpoint(layer)):
        layer.zero_grad()
        call(x)[0].backward(weights)
        found.append([p.grad.numpy() for p in layer.parameters()])
    assert all(np.array_equal(a, b) for a, b in zip(*found, strict=True))


def test_a_chain_of_segments_with_a_state(rng: np.random.Generator):
    layer = tg.nn.LSTM(3, 5, dtype=np.float64, rng=1)
    x, h, c = leaf(rng, 12, 2, 3), leaf(rng, 1, 2, 5), leaf(rng, 1, 2, 5)

    def run(call: Any) -> Any:
        state, outputs = tg.rnn.LSTMState(h, c), []
        for start in range(0, 12, 3):
            ys, state = call(x[start : start + 3], state)
            outputs.append(ys)
        return np.concatenate(outputs), state

    leaves = (x, h, c, *layer.parameters())
    _, expected = gradients(run, (layer,), leaves)
    _, got = gradients(run, (tg.checkpoint(layer),), leaves)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12, atol=1e-14)


def test_captured_results_are_not_walked_through(rng: np.random.Generator):
    x, w = leaf(rng, 3), leaf(rng, 3)
    a = np.sin(w * x)
    b = np.exp(a)  # captured with what it was made from: a's gradient comes in two ways

    def f(y: Any) -> Any:
        return a * b * y + b

    for wanted in [(x, w), (a,), (b,), (a, b, x, w)]:
        _, expected = gradients(lambda: f(x) * a, (), wanted, retain_graph=True)
        _, got = gradients(lambda: tg.checkpoint(f)(x) * a, (), wanted, retain_graph=True)
        for g, e in zip(got, expected, strict=True):
            np.testing.assert_allclose(g.numpy(), e.numpy(), rtol=1e-13)


def test_one_of_several_outputs_is_captured(rng: np.random.Generator):
    x = leaf(rng, 3, 5)
    first, second, third = x
    _, expected = gradients(lambda y: second * y * third, (first,), (x, second), retain_graph=True)
    _, got = gradients(
        tg.checkpoint(lambda y: second * y * third), (first,), (x, second), retain_graph=True
    )
    assert all(np.array_equal(a.numpy(), b.numpy()) for a, b in zip(got, expected, strict=True))


def test_an_argument_that_is_captured_too_gets_both_parts(rng: np.random.Generator):
    x = leaf(rng, 3)
    assert_as_plain(lambda y: x * np.exp(y), (x,), (x,))
    assert_as_plain(lambda y, z: y * np.exp(z), (x, x), (x,))


def test_arguments_and_results_in_structures(rng: np.random.Generator):
    a, b, c, d = (leaf(rng, *s) for s in ((2, 3), (3,), (1,), (2, 1)))
    index = tg.Tensor([1, 0, 1])

    def f(pair: Any, rest: Any, *, table: Any, power: int, kind: str) -> Any:
        assert type(pair) is Pair
        assert type(rest) is list
        assert kind == "k"
        y = pair.left * pair.right + rest[0] * rest[1]
        z = table["d"][index] ** power
        return Pair(y, {"z": z, "n": 3, "nothing": None}), [z.sum(), "text"]

    def called(function: Any) -> Any:
        return function(Pair(a, b), [c, np.array([2.0, 5.0, 7.0])], table={"d": d}, **options)

    options: Any = {"power": 3, "kind": "k"}
    found = []
    for function in (f, tg.checkpoint(f)):
        found.append(gradients(called, (function,), (a, b, c, d))[1])
    assert all(np.array_equal(p.numpy(), q.numpy()) for p, q in zip(*found, strict=True))
    result = called(tg.checkpoint(f))
    assert type(result[0]) is Pair
    assert result[0].right["n"] == 3
    assert result[0].right["nothing"] is None
    assert type(result[1]) is list
    assert result[1][1] == "text"


def test_results_that_nobody_used(rng: np.random.Generator):
    x, w = leaf(rng, 5), leaf(rng, 5)

    def f(x: Any) -> Any:
        h = x * w
        return np.exp(h), h, np.sin(x)

    for k in range(3):
        (expected,) = tg.grad(f(x)[k], x, np.arange(5.0))
        (got,) = tg.grad(tg.checkpoint(f)(x)[k], x, np.arange(5.0))
        assert np.array_equal(got.numpy(), expected.numpy())
    with pytest.raises(GraphError, match="don't depend on input 0"):
        tg.grad(tg.checkpoint(f)(x)[2], w, np.ones(5))
    assert tg.grad(tg.checkpoint(f)(x)[2], w, np.ones(5), allow_unused=True) == (None,)


def test_the_same_result_twice_is_one_tensor(rng: np.random.Generator):
    x = leaf(rng, 5)

    def f(x: Any) -> Any:
        y = np.exp(x)
        return y, y

    first, second = tg.checkpoint(f)(x)
    assert first is second
    assert type(first._node).__name__ == "Node"  # not one of several outputs
    assert_close = np.testing.assert_allclose
    assert_close(tg.grad((3 * first + second).sum(), x)[0].numpy(), 4 * np.exp(x.numpy()))


def test_a_subset_of_the_inputs_pulls_back_to_that_alone(
    rng: np.random.Generator, own_primitives: None
):
    pulled = []

    @tg.primitive()
    def watched(x: tg.Array) -> tg.Array:
        return 2 * x

    watched.vjp(x=lambda g: pulled.append(1) or 2 * g)
    x, y, w = leaf(rng, 3), leaf(rng, 3), leaf(rng, 3)
    f = lambda x, y: np.tanh(x * w) * watched(y)  # noqa: E731
    v = rng.standard_normal(3)
    for wanted, times in ((x, 0), (y, 1), (w, 0)):
        (expected,) = tg.grad(f(x, y), wanted, v)
        pulled.clear()
        (got,) = tg.grad(tg.checkpoint(f)(x, y), wanted, v)
        assert np.array_equal(got.numpy(), expected.numpy())
        assert len(pulled) == times
    assert x.grad is y.grad is w.grad is None


def test_nothing_is_recomputed_for_an_argument_without_influence(rng: np.random.Generator):
    x, y, calls = leaf(rng, 3), leaf(rng, 3), []
    z = tg.checkpoint(lambda x, y: calls.append(1) or np.exp(x))(x, y)
    assert tg.grad(z, y, np.ones(3), allow_unused=True) == (None,)
    assert len(calls) == 1


def test_results_without_a_gradient_and_values_are_passed_on(rng: np.random.Generator):
    x = leaf(rng, 3)
    assert tg.checkpoint(lambda x: None)(x) is None
    assert tg.checkpoint(lambda x: 2.5)(x) == 2.5
    constant = tg.Tensor([1.0])
    assert tg.checkpoint(lambda x: constant)(x) is constant
    assert tg.checkpoint(lambda y: y)(x) is x
    hidden = x * 2
    assert tg.checkpoint(lambda y: (y, hidden))(x)[1] is hidden
    assert hidden._node.operation.name == "multiply"
    mixed = tg.checkpoint(lambda x: (np.exp(x), np.argmax(x), x.shape))(x)
    assert [getattr(m, "requires_grad", None) for m in mixed] == [True, False, None]
    plain = np.arange(3.0)
    assert type(tg.checkpoint(np.tanh)(plain)) is np.ndarray


def test_results_in_a_container_of_an_unknown_kind_still_have_their_gradients(
    rng: np.random.Generator,
):
    class Box:
        def __init__(self, value: Any) -> None:
            self.value = value

    x = leaf(rng, 3)
    box = tg.checkpoint(lambda box: Box(box.value * box.value))(Box(x))
    box.value.backward(np.array([1.0, 10.0, 100.0]))
    np.testing.assert_allclose(x.grad.numpy(), 2 * x.numpy() * [1.0, 10.0, 100.0])


def test_a_non_leaf_argument_may_be_updated_by_name(rng: np.random.Generator):
    x, w = leaf(rng, 3), leaf(rng, 3)

    def f(h: Any) -> Any:
        h += w  # a new Tensor, since h is a result
        h *= h
        return h

    assert_as_plain(lambda x: f(np.sin(x)), (x,), (x, w))
    (got,) = tg.grad(tg.checkpoint(f)(np.sin(x)), x, np.ones(3))
    (expected,) = tg.grad(f(np.sin(x)), x, np.ones(3))
    assert np.array_equal(got.numpy(), expected.numpy())


def test_a_leaf_that_the_function_makes_is_no_input(rng: np.random.Generator):
    w = leaf(rng, 3)

    def f(x: Any) -> Any:
        values, slopes = tg.vjp(lambda z: np.sin(z * w), x, np.ones(3), create_graph=True)
        return slopes * values  # x, a plain array, became a leaf inside

    assert_as_plain(f, (rng.standard_normal(3),), (w,))


def test_as_decorator_of_functions_and_methods(rng: np.random.Generator):
    class Model:
        def __init__(self) -> None:
            self.w = leaf(rng, 3)

        @tg.checkpoint
        def forward(self, x: Any) -> Any:
            """What it does."""
            return np.tanh(self.w * x)

    assert Model.forward.__name__ == "forward"
    assert Model.forward.__doc__ == "What it does."
    model, x = Model(), np.array([1.0, 2.0, 3.0])
    y = model.forward(x)
    y.backward([1.0, 2.0, 3.0])
    expected = [1.0, 2.0, 3.0] * x * (1 - np.tanh(model.w.numpy() * x) ** 2)
    np.testing.assert_allclose(model.w.grad.numpy(), expected, rtol=1e-12)


def test_what_cannot_be_called_is_refused(rng: np.random.Generator):
    with pytest.raises(TypeError, match=r"got Tensor: tg.checkpoint\(f\)\(x\)"):
        tg.checkpoint(leaf(rng, 3))


# Higher orders


def test_second_derivatives_against_numbers(rng: np.random.Generator):
    x, w = leaf(rng, 2, 3), leaf(rng, 3, 5)
    function = tg.checkpoint(lambda x, w: np.tanh(x @ w) * np.sin(x).sum())
    assert tg.gradcheck(function, (x, w))
    assert tg.gradgradcheck(function, (x, w))


def test_second_derivatives_are_those_of_the_plain_function(rng: np.random.Generator):
    x, w = leaf(rng, 2, 3), leaf(rng, 3)
    v = rng.standard_normal((2, 3))
    h = np.sin(x * w)  # captured, on the way from both

    def f(x: Any) -> Any:
        return np.tanh(x * w) * h, np.exp(h)

    def second(function: Any) -> Any:
        first, other = function(x)
        gs = tg.grad([first, other], (x, w, h), [v, 2 * v], create_graph=True)
        sines = [np.sin(g) for g in gs]
        return tg.grad(sines, (x, w), [g.numpy() for g in gs], retain_graph=True)

    for a, b in zip(second(tg.checkpoint(f)), second(f), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-10)


def test_second_derivatives_through_an_lstm(rng: np.random.Generator):
    layer = tg.nn.LSTM(2, 3, dtype=np.float64, rng=1)
    x = leaf(rng, 5, 1, 2)
    v = rng.standard_normal((5, 1, 3))

    def penalty(call: Any) -> Any:
        (g,) = tg.grad(call(x)[0], x, v, create_graph=True)
        return tg.grad((g * g).sum(), (x, layer.weight_hh_l0))

    for a, b in zip(penalty(tg.checkpoint(layer)), penalty(layer), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-10, atol=1e-14)


def test_third_derivatives():
    x, w = tg.Tensor(0.7, requires_grad=True), tg.Tensor(1.3, requires_grad=True)
    y = tg.checkpoint(lambda x: np.sin(w * x))(x)
    orders = []
    for _ in range(3):
        (y,) = tg.grad(y, x, create_graph=True)
        orders.append(float(y))
    sin, cos = np.sin(0.91), np.cos(0.91)
    np.testing.assert_allclose(orders, [1.3 * cos, -(1.3**2) * sin, -(1.3**3) * cos], rtol=1e-12)
    (mixed,) = tg.grad(y, w)
    np.testing.assert_allclose(float(mixed), -3 * 1.3**2 * cos + 1.3**3 * 0.7 * sin, rtol=1e-12)


def test_hessian_of_a_checkpoint(rng: np.random.Generator):
    x = leaf(rng, 3)
    f = lambda x: np.tanh(x[0] * x[1] * np.exp(x)).sum()  # noqa: E731
    got, expected = tg.hessian(tg.checkpoint(f), x), tg.hessian(f, x)
    np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=1e-10)


# Passes over the graph


def test_retain_graph_lets_it_be_differentiated_again(rng: np.random.Generator):
    x, w = leaf(rng, 3), leaf(rng, 3)
    y = tg.checkpoint(lambda x: np.exp(x * w))(x)
    v = rng.standard_normal(3)
    first = tg.grad(y, (x, w), v, retain_graph=True)
    second = tg.grad(y, (x, w), v)
    assert np.array_equal(first[0].numpy(), v * w.numpy() * y.numpy())
    assert all(np.array_equal(a.numpy(), b.numpy()) for a, b in zip(first, second, strict=True))


def test_a_second_backward_raises(rng: np.random.Generator):
    x = leaf(rng, 3)
    with tg.scope("block"):
        y = tg.checkpoint(np.exp)(x)
    y.backward(np.ones(3))
    with pytest.raises(GraphError, match=r"a second time through block\.checkpoint"):
        y.backward(np.ones(3))


@pytest.mark.parametrize("as_argument", [False, True])
@pytest.mark.parametrize("view", [False, True])
def test_a_parameter_changed_before_backward_raises(
    rng: np.random.Generator, as_argument: bool, view: bool
):
    w = leaf(rng, 3, 5).named("w")
    w_used = w.T if view else w
    x = rng.standard_normal(w_used.shape)
    if as_argument:
        y = tg.checkpoint(lambda x, w: np.tanh(x * w))(x, w_used)
    else:
        y = tg.checkpoint(lambda x: np.tanh(x * w_used))(x)
    with tg.no_grad():
        w -= 1e-12  # too little for its effect to be seen
    with pytest.raises(GraphError, match="'w' was changed in place after checkpoint had used it"):
        y.sum().backward()
    assert w.grad is None


def test_a_changed_result_on_the_way_raises(rng: np.random.Generator):
    h = np.sin(leaf(rng, 3))
    y = tg.checkpoint(lambda: h * h)()
    h.data = h.data + 1e-12
    with pytest.raises(GraphError, match="the result of sin was changed in place"):
        y.sum().backward()


def test_a_changed_constant_argument_raises(rng: np.random.Generator):
    w, x = leaf(rng, 3), tg.Tensor([1.0, 2.0, 3.0], name="x")
    y = tg.checkpoint(lambda x: np.exp(w * x))(x)
    x.data = x.data + 1e-12
    with pytest.raises(GraphError, match="'x' was changed in place"):
        y.sum().backward()


def test_a_constant_changed_before_a_second_derivative_raises(rng: np.random.Generator):
    w, x = leaf(rng, 3), tg.Tensor([1.0, 2.0, 3.0], name="x")
    y = tg.checkpoint(lambda x: np.sin(w * x))(x)
    (g,) = tg.grad(y, w, np.ones(3), create_graph=True)
    x.data -= 1e-12
    with pytest.raises(GraphError, match="'x' was changed in place after"):
        g.sum().backward()


def test_a_result_that_shows_a_parameter_is_not_changed_with_it(rng: np.random.Generator):
    w, v = leaf(rng, 3, 5), leaf(rng, 5, 3)
    before = w.numpy().copy()
    y = tg.checkpoint(lambda: w.T)()
    z = y * v
    with tg.no_grad():
        w -= 1.0
    (g,) = tg.grad(z, v, np.ones((5, 3)))
    assert np.array_equal(g.numpy(), before.T)


def test_no_grad_passes_through(rng: np.random.Generator):
    w, calls = leaf(rng, 3), []
    f = tg.checkpoint(lambda x: calls.append(1) or w * x)
    with tg.no_grad():
        y = f(np.ones(3))
    assert not y.requires_grad
    y = f(np.ones(3))
    with tg.no_grad():
        y.backward(np.ones(3))
    assert w.grad.tolist() == [1.0, 1.0, 1.0]
    assert len(calls) == 3


def test_a_list_changed_after_the_call_does_not_matter(rng: np.random.Generator):
    x, y = leaf(rng, 3), leaf(rng, 3)
    given = [x, y]
    z = tg.checkpoint(lambda parts: parts[0] * parts[1])(given)
    given.reverse()
    given.pop()
    (g,) = tg.grad(z, x, np.ones(3))
    assert np.array_equal(g.numpy(), y.numpy())


# Random numbers


def dropped(function: Any, x: tg.Tensor, between: Callable[[], Any] = lambda: None) -> Any:
    y = function(x)
    between()
    (g,) = tg.grad(y, x, np.ones(x.shape))
    return y.numpy(), g.numpy()


@pytest.mark.parametrize("between", ["nothing", "draws", "seed"])
def test_the_default_generators_draws_are_replayed(rng: np.random.Generator, between: str):
    x = leaf(rng, 101)
    doings: dict[str, Callable[[], Any]] = {
        "nothing": lambda: None,
        "draws": lambda: tg.dropout(x),
        "seed": lambda: tg.manual_seed(99),
    }
    tg.manual_seed(3)
    y, g = dropped(tg.checkpoint(lambda x: tg.dropout(x * 1.0, 0.4)), x, doings[between])
    assert 20 < np.count_nonzero(g) < 90
    assert np.array_equal(y, x.numpy() * g)
    after = random.generator().random()
    tg.manual_seed(3)
    assert np.array_equal(tg.dropout(x, 0.4).numpy(), y)
    doings[between]()
    assert random.generator().random() == after  # as if nothing had been drawn twice


def test_a_modules_own_generator(rng: np.random.Generator):
    x = leaf(rng, 101)
    module, twin = (tg.nn.Dropout(0.4, rng=np.random.default_rng(8)) for _ in range(2))
    f = tg.checkpoint(module)
    for _ in range(3):
        y, g = dropped(f, x)
        np.testing.assert_allclose(y, x.numpy() * g)
        assert np.array_equal(twin(x).numpy(), y)


def test_an_lstm_with_dropout_to_the_bit(rng: np.random.Generator):
    x = leaf(rng, 7, 2, 3)
    found = []
    for wrapped in (lambda f: f, tg.checkpoint):
        layer = tg.nn.LSTM(3, 5, num_layers=3, dropout=0.5, dtype=np.float64, rng=4)
        found.append(gradients(wrapped(layer), (x,), (x, *layer.parameters()))[1])
    assert all(np.array_equal(a.numpy(), b.numpy()) for a, b in zip(*found, strict=True))


def test_a_generator_among_the_arguments_may_be_drawn_from_directly(rng: np.random.Generator):
    x, own = leaf(rng, 11), np.random.default_rng(1)
    f = tg.checkpoint(lambda x, rng: x * rng.standard_normal(11))
    y = f(x, own)
    state = own.bit_generator.state
    (g,) = tg.grad(y, x, np.ones(11))
    assert np.array_equal(g.numpy(), np.random.default_rng(1).standard_normal(11))
    assert own.bit_generator.state == state


def test_seeding_inside_is_replayed_and_stays_inside(rng: np.random.Generator):
    x = leaf(rng, 101)

    def f(x: Any) -> Any:
        y = tg.dropout(x)
        tg.manual_seed(5)
        return y + 3 * tg.dropout(x)

    y = tg.checkpoint(f)(x)
    tg.manual_seed(6)
    (g,) = tg.grad(y, x, np.ones(101))
    np.testing.assert_allclose(y.numpy(), x.numpy() * g.numpy())
    assert random.generator().random() == np.random.default_rng(6).random()


@pytest.mark.parametrize("create_graph", [False, True])
def test_nested_checkpoints_replay(rng: np.random.Generator, create_graph: bool):
    x = leaf(rng, 101)
    inner = tg.checkpoint(lambda x: np.sin(tg.dropout(x)))

    def f(x: Any) -> Any:
        return tg.dropout(inner(tg.dropout(x, 0.2)) + inner(x), 0.3)

    def g(x: Any) -> Any:
        plain = lambda x: np.sin(tg.dropout(x))  # noqa: E731
        return tg.dropout(plain(tg.dropout(x, 0.2)) + plain(x), 0.3)

    found, states = [], []
    for function in (g, f, tg.checkpoint(f), tg.checkpoint(tg.checkpoint(f))):
        tg.manual_seed(12)
        y = function(x)
        tg.dropout(x)
        found.append(
            tg.grad(y, x, np.arange(101.0), create_graph=create_graph)[0].numpy(),
        )
        states.append(random.generator().bit_generator.state)
    assert 0 < np.count_nonzero(found[0]) < 101
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-13)
    assert states.count(states[0]) == 4


def test_a_replay_inside_a_checkpoint_leaves_no_note(rng: np.random.Generator):
    x, w = leaf(rng, 101), leaf(rng, 101)
    tg.manual_seed(1)
    y = tg.checkpoint(lambda x: np.exp(tg.dropout(x)))(x)

    def f(w: Any) -> Any:
        (g,) = tg.grad(y, x, np.ones(101), retain_graph=True)
        return g.detach() * tg.dropout(w)

    z = tg.checkpoint(f)(w)
    (g,) = tg.grad(z, w, np.ones(101))
    np.testing.assert_allclose(z.numpy(), w.numpy() * g.numpy())


def test_an_exception_in_the_recomputation_puts_the_generators_back(rng: np.random.Generator):
    x, own = leaf(rng, 5), np.random.default_rng(2)
    failing = []

    def f(x: Any) -> Any:
        y = tg.dropout(tg.dropout(x), rng=own)
        if failing:
            raise failing[0]
        return y

    tg.manual_seed(1)
    y = tg.checkpoint(f)(x)
    generators = random.generator(), own
    before = [rng.bit_generator.state for rng in generators]
    for error, raised, message in [
        (KeyError("here"), KeyError, "here"),
        (ValueError("that"), GraphError, "raised ValueError: that"),
        (KeyboardInterrupt("stop"), KeyboardInterrupt, "stop"),
    ]:
        failing[:] = [error]
        with pytest.raises(raised, match=message):
            y.backward(np.ones(5), retain_graph=True)
        assert [rng.bit_generator.state for rng in generators] == before
        assert random.generator() is generators[0]
    failing.clear()
    assert x.grad is None
    y.backward(np.ones(5))
    assert [rng.bit_generator.state for rng in generators] == before
    np.testing.assert_allclose(y.numpy(), x.numpy() * x.grad.numpy())


def test_an_exception_in_the_forward_pass_changes_nothing(rng: np.random.Generator):
    x = leaf(rng, 5)

    def f(x: Any) -> Any:
        return np.exp(x) @ np.ones(3)

    for call in (f, tg.checkpoint(f)):
        with pytest.raises(ShapeError, match="matmul"):
            call(x)
    assert x.grad is None
    assert random._noting.get() == ()
    y = tg.checkpoint(np.exp)(x)
    assert y.requires_grad


def test_threads_do_not_see_each_others_draws(rng: np.random.Generator):
    xs = [leaf(rng, 101) for _ in range(4)]
    plain, found = [], [None] * 4
    for i, x in enumerate(xs):
        own = np.random.default_rng(i)
        y = np.sin(tg.dropout(np.sin(tg.dropout(x, rng=own)), rng=own))
        plain.append(tg.grad(y, x, np.arange(101.0))[0].numpy())
    together = threading.Barrier(4)

    def work(i: int) -> None:
        own = np.random.default_rng(i)
        inner = tg.checkpoint(lambda x: np.sin(tg.dropout(x, rng=own)))
        outer = tg.checkpoint(lambda x: inner(inner(x)))
        for _ in range(20):
            own.bit_generator.state = np.random.default_rng(i).bit_generator.state
            together.wait(20)
            y = outer(xs[i])
            tg.dropout(xs[i], rng=own)
            (g,) = tg.grad(y, xs[i], np.arange(101.0))
        found[i] = g.numpy()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for a, b in zip(found, plain, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_note_is_taken_in_the_thread_that_asked_for_it():
    def elsewhere() -> None:
        random.generator(other)

    mine, other = np.random.default_rng(1), np.random.default_rng(2)
    with random.noted() as draws:
        random.generator(mine)
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert list(draws.states) == [mine.bit_generator]


# Functions that don't do the same again


@pytest.mark.parametrize("order", [1, 2])
def test_a_function_that_counts_raises(rng: np.random.Generator, order: int):
    x, counter = leaf(rng, 3), iter(range(1, 9))
    with tg.scope("block"):
        y = tg.checkpoint(lambda x: x * next(counter))(x)
    with pytest.raises(GraphError, match=r"block\.checkpoint: .*another result 0: .* where it was"):
        tg.grad(y, x, np.ones(3), create_graph=order == 2)


def test_numpys_own_random_numbers_raise(rng: np.random.Generator):
    x, w = leaf(rng, 1000), np.random.default_rng(0)
    y = tg.checkpoint(lambda x: x * (w.random(1000) > 0.01))(x)
    with pytest.raises(GraphError, match="no random numbers but the library's"):
        y.backward(np.ones(1000))
    assert x.grad is None


def test_a_switched_mode_raises(rng: np.random.Generator):
    x, module = leaf(rng, 300), tg.nn.Dropout(0.1)
    y = tg.checkpoint(module)(x)
    module.eval()
    with pytest.raises(GraphError, match=r"train\(\) and eval\(\)"):
        y.backward(np.ones(300))


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (lambda x, w: (x[:2] * w[:2], x + 1), r"result 0: float64\(2,\) instead of float64\(3,\)"),
        (lambda x, w: ((x * w).astype(np.float32), x + 1), "float32"),
        (lambda x, w: (x * w, (x + 1).detach()), "gave 1 results with a gradient; before, 2"),
        (lambda x, w: (x * w, x + 1, x + 2), "gave 3 results"),
        (lambda x, w: None, "gave 0 results"),
        (lambda x, w: (x * w.detach(), x + 1), "no use of the tensor 'w'"),
        (lambda x, w: (x * (w * 1), x + 1), None),
        (lambda x, w: (x * w * (1 + 1e-6), x + 1), "another result 0"),
        (lambda x, w: (x * w, x + 1.000001), "another result 1"),
        (lambda x, w: (x * w * (1 + 1e-13), x + 1), None),
        (lambda x, w: (x * w * np.nan, x + 1), "nan where it was"),
        (lambda x, w: x @ np.ones(7), "raised ShapeError"),
    ],
)
def test_every_kind_of_difference(rng: np.random.Generator, second: Any, message: str | None):
    x, w = leaf(rng, 3), leaf(rng, 3).named("w")
    doings = [second, lambda x, w: (x * w, x + 1)]
    y = tg.checkpoint(lambda x: doings.pop()(x, w))(x)
    total = y[0].sum()
    if message is None:
        total.backward()
        np.testing.assert_allclose(x.grad.numpy(), w.numpy(), rtol=1e-12)
    else:
        with pytest.raises(GraphError, match=message):
            total.backward()
        assert x.grad is None
        assert w.grad is None


def test_another_result_on_the_way_with_equal_values_raises(rng: np.random.Generator):
    w = leaf(rng, 3)
    hidden = [np.sin(w), np.sin(w)]
    y = tg.checkpoint(lambda: np.exp(hidden[0]))()
    hidden.pop(0)
    with pytest.raises(GraphError, match="no use of the result of sin"):
        y.sum().backward()
    hidden = [np.sin(w)]
    y = tg.checkpoint(lambda: sum(0 * h for h in hidden))()
    hidden.append(np.sin(w))
    with pytest.raises(GraphError, match="used the result of sin, which it didn't before"):
        y.sum().backward()


def test_nan_and_infinity_equal_themselves(rng: np.random.Generator):
    x = tg.Tensor([1.0, np.nan, np.inf, -np.inf, 0.0], requires_grad=True)
    for factors in ([2.0, 2.0], [2.0 * (1 + 1e-13), 2.0]):  # and with rounding beside them
        x.grad = None
        y = tg.checkpoint(lambda x: x * factors.pop())(x)  # noqa: B023
        y.backward(np.ones(5))
        np.testing.assert_allclose(x.grad.numpy(), np.full(5, 2.0), rtol=1e-12)
    for wrong in (np.inf, np.nan, 1e300):
        changing = [np.array([1.0, wrong, 1.0, 1.0, 1.0]), np.ones(5)]
        y = tg.checkpoint(lambda x: np.where(x > -1, x, 5.0) * changing.pop())(x)  # noqa: B023
        with pytest.raises(GraphError, match="another result 0"):
            y.backward(np.ones(5))


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1,), (255,), (256,), (257,), (7, 11, 13)])
def test_results_of_any_size_are_compared(rng: np.random.Generator, shape: Any):
    x, factors = leaf(rng, *shape), [2.0, 2.0, 3.0]
    f = tg.checkpoint(lambda x: (x * factors.pop(0)).T)
    f(x).backward(np.ones(shape[::-1]))
    assert np.array_equal(x.grad.numpy(), np.full(shape, 2.0))
    factors[:] = [2.0, 3.0]
    y = f(x)
    if x.size:
        with pytest.raises(GraphError, match="another result"):
            y.backward(np.ones(shape[::-1]))


# Anomalies, recordings, pictures


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_detect_anomaly_looks_inside(rng: np.random.Generator):
    x = tg.Tensor([4.0, 0.0], requires_grad=True)
    with tg.detect_anomaly(), tg.scope("block"):
        with pytest.raises(AnomalyError, match=r"block\.log made -inf"):
            tg.checkpoint(lambda x: np.log(x))(x)
        y = tg.checkpoint(lambda x: np.exp(np.sqrt(x)))(x)
        with pytest.raises(AnomalyError, match=r"the derivative of block\.sqrt made inf"):
            y.sum().backward()
    assert x.grad is None


def test_detect_anomaly_notices_arguments_that_are_written_into(rng: np.random.Generator):
    w, x = leaf(rng, 3), np.array([1.0, 2.0, 3.0])
    with tg.detect_anomaly():
        y = tg.checkpoint(lambda x: np.sin(w * x))(x)
        x[1] += 1e-9
        with pytest.raises(AnomalyError, match=r"checkpoint keeps .* written into"):
            y.sum().backward()


def test_a_gradient_that_was_infinite_before_is_no_anomaly():
    w = tg.Tensor([1.0, np.inf], requires_grad=True)
    h = w * 2
    with tg.detect_anomaly():
        y = tg.checkpoint(lambda: h + 1)()
        y.backward(np.ones(2))
    assert w.grad.tolist() == [2.0, 2.0]


def test_a_recording_counts_a_gradient_once(rng: np.random.Generator):
    x, w = leaf(rng, 3), leaf(rng, 3)
    with tg.record() as recording:
        y = tg.checkpoint(lambda x: np.tanh(w * x))(x)
        y.backward(np.ones(3))
    assert np.array_equal(recording.gradient(w), w.grad.numpy())
    assert np.array_equal(recording.gradient(x), x.grad.numpy())
    assert np.array_equal(recording.value(y), y.numpy())


def test_the_graph_shows_one_operation_with_its_inputs(rng: np.random.Generator):
    x, w, b = leaf(rng, 2, 3).named("x"), leaf(rng, 3, 5).named("w"), leaf(rng, 5).named("b")

    def layer(x: Any) -> Any:
        return np.tanh(x @ w + b).named("out")

    with tg.scope("net"):
        y = tg.checkpoint(layer)(x)
    assert y.name == "out"
    graph = tg.graph(y)
    operations = [n for n in graph.nodes if n.kind == "operation"]
    assert [(n.label, n.detail, n.name, n.scope) for n in operations] == [
        ("checkpoint", "f=layer", "out", ("net",))
    ]
    named = {n.id: n.name for n in graph.nodes}
    assert {(named[e.source], e.argument) for e in graph.edges} == {
        ("x", "inputs[0]"),
        ("w", "inputs[1]"),
        ("b", "inputs[2]"),
    }
    assert "checkpoint" in graph.to_dot()
    several = tg.checkpoint(lambda x: (x + b, x * 2))(y)
    text = tg.graph(*several).to_dot()
    assert text.count("checkpoint") >= 2


def test_scopes_inside_are_those_of_the_forward_pass(rng: np.random.Generator):
    x, places = leaf(rng, 3), []

    def f(x: Any) -> Any:
        with tg.scope("inside"):
            y = np.exp(x)
        places.append(y._node.place)
        return y

    with tg.scope("net"):
        y = tg.checkpoint(f)(x)
    with tg.scope("elsewhere"):
        y.sum().backward()
    assert places == ["net.inside.exp", "net.inside.exp"]


# Memory


def test_the_inner_graph_is_freed_at_once(rng: np.random.Generator, no_collector: None):
    x, w = leaf(rng, 3), leaf(rng, 3)
    inner: list[weakref.ref[Any]] = []

    def f(x: Any) -> Any:
        h = w * x
        inner.append(weakref.ref(h._node))
        return np.tanh(h), h

    y, h = tg.checkpoint(f)(x)
    assert inner[0]() is None
    y.sum().backward(retain_graph=True)
    assert inner[1]() is None
    tg.grad(y.sum(), (x, w))
    assert inner[2]() is None
    node = weakref.ref(y._node.node)
    del y, h
    assert node() is None


def test_arguments_are_released_by_the_backward_pass(rng: np.random.Generator, no_collector: None):
    w = leaf(rng, 3)
    h = w * 2
    array = weakref.ref(h.data)
    y = tg.checkpoint(np.exp)(h)
    del h
    assert array() is not None
    y.sum().backward()
    assert array() is None
    assert y.requires_grad


def test_a_long_chain_of_checkpoints(rng: np.random.Generator, no_collector: None):
    x = tg.Tensor(1.0, requires_grad=True)
    f = tg.checkpoint(lambda y: y * 1.0001)
    y = x
    for _ in range(3000):
        y = f(y)
    y.backward()
    np.testing.assert_allclose(float(x.grad), 1.0001**3000, rtol=1e-10)


def peak_of(function: Callable[[], Any]) -> int:
    """The most bytes in use while `function` runs, beyond those in use before."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        function()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def test_a_chain_of_64_segments_takes_far_less_memory(rng: np.random.Generator):
    x, w = leaf(rng, 10_000), leaf(rng, 10_000)

    def segment(h: Any) -> Any:
        for _ in range(16):
            h = np.tanh(h * w)
        return h

    def train(call: Any) -> None:
        h = x
        for _ in range(64):
            h = call(h)
        tg.grad(h.sum(), (x, w))

    plain, less = peak_of(lambda: train(segment)), peak_of(lambda: train(tg.checkpoint(segment)))
    array = 80_000
    # 2 · 16 arrays in each of 64 segments; 64 arrays and the inside of one segment
    assert plain > 64 * 16 * array
    assert less < (64 + 2 * 16 + 16) * array
