"""NumPy's own functions, operators and habits on Tensors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_rnn as tg
from tinygrad_rnn.core.errors import UnsupportedOperation
from tinygrad_rnn.core.primitive import numpy_functions

A = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])


def leaf(values: Any = A, **options: Any) -> tg.Tensor:
    return tg.Tensor(np.asarray(values, float), requires_grad=True, **options)


# NumPy's functions

CALLS = {
    "exp": lambda x: np.exp(x),
    "tanh": lambda x: np.tanh(x),
    "log": lambda x: np.log(x * x),
    "sqrt": lambda x: np.sqrt(x * x),
    "square": lambda x: np.square(x),
    "power": lambda x: np.power(x, 2),
    "pow": lambda x: np.pow(x, 2),
    "abs": lambda x: np.abs(x),
    "negative": lambda x: np.negative(x),
    "sign": lambda x: np.sign(x),
    "add": lambda x: np.add(x, 1),
    "add to an array": lambda x: np.add(A, x),
    "subtract from a list": lambda x: np.subtract([1.0, 2.0, 3.0], x),
    "maximum": lambda x: np.maximum(x, 0),
    "minimum": lambda x: np.minimum(0, x),
    "matmul": lambda x: np.matmul(A.T, x),
    "dot": lambda x: np.dot(x, A.T),
    "dot with a number": lambda x: np.dot(2.0, x),
    "sum": lambda x: np.sum(x),
    "sum of an axis": lambda x: np.sum(x, axis=-1, keepdims=True),
    "sum of an axis by place": lambda x: np.sum(x, 0),
    "add.reduce": lambda x: np.add.reduce(x),
    "add.reduce over an axis": lambda x: np.add.reduce(x, axis=1),
    "maximum.reduce": lambda x: np.maximum.reduce(x, axis=1),
    "mean": lambda x: np.mean(x, axis=(0, 1)),
    "max": lambda x: np.max(x, axis=0),
    "amax": lambda x: np.amax(x),
    "min": lambda x: np.min(x, axis=0),
    "amin": lambda x: np.amin(x),
    "reshape": lambda x: np.reshape(x, (3, 2)),
    "transpose": lambda x: np.transpose(x),
    "permute_dims": lambda x: np.permute_dims(x, (1, 0)),
    "swapaxes": lambda x: np.swapaxes(x, 0, 1),
    "moveaxis": lambda x: np.moveaxis(x, 0, -1),
    "broadcast_to": lambda x: np.broadcast_to(x, (2, 2, 3)),
    "expand_dims": lambda x: np.expand_dims(x, axis=0),
    "squeeze": lambda x: np.squeeze(x[:1]),
    "ravel": lambda x: np.ravel(x),
    "copy": lambda x: np.copy(x),
    "where": lambda x: np.where(x > 0, x, 0.0),
    "where with a plain condition": lambda x: np.where(A > 0, x, -x),
    "stack": lambda x: np.stack([x, x], axis=1),
    "stack with an array": lambda x: np.stack([A, x]),
    "concatenate": lambda x: np.concatenate([x, A], axis=1),
    "concatenate flat": lambda x: np.concatenate([x, A], axis=None),
    "concat": lambda x: np.concat((x, x)),
    "split": lambda x: np.split(x, 3, axis=1),
    "split at": lambda x: np.split(x, [1], axis=1),
    "zeros_like": lambda x: np.zeros_like(x),
    "ones_like": lambda x: np.ones_like(x),
    "argmax": lambda x: np.argmax(x, axis=1),
    "argmin": lambda x: np.argmin(x),
    "all": lambda x: np.all(x > 0, axis=1),
    "any": lambda x: np.any(x > 0),
    "isnan": lambda x: np.isnan(x),
    "isfinite": lambda x: np.isfinite(x),
    "logical_and": lambda x: np.logical_and(x > 0, x < 1),
    "logical_not": lambda x: np.logical_not(x > 0),
    "greater": lambda x: np.greater(x, 0),
    "equal": lambda x: np.equal(x, A),
}


@pytest.mark.parametrize("name", CALLS)
def test_numpy_functions_take_tensors(name: str):
    call = CALLS[name]
    ours, theirs = call(leaf()), call(A)
    for mine, plain in zip(
        ours if isinstance(ours, list) else [ours],
        theirs if isinstance(theirs, list) else [theirs],
        strict=True,
    ):
        assert type(mine) is tg.Tensor
        assert mine.dtype == plain.dtype
        assert_array_equal(mine.data, plain)


def test_every_numpy_function_that_is_spoken_leads_to_something():
    for function, ours in numpy_functions.items():
        assert callable(ours), function


def test_numpy_functions_are_differentiable():
    x = leaf()
    np.sum(np.tanh(np.dot(A.T, x)) ** 2).backward()
    y = np.tanh(A.T @ A)
    assert_allclose(x.grad.data, A @ (2 * y * (1 - y**2)), rtol=1e-14)


OPERATORS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: abs(a) ** b,
    "@": lambda a, b: a @ np.swapaxes(b, 0, 1),
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "&": lambda a, b: (a > 0) & (b > 0),
    "|": lambda a, b: (a > 0) | (b > 0),
}


@pytest.mark.parametrize("sign", OPERATORS)
def test_operators_between_arrays_and_tensors_give_tensors(sign: str):
    call, b = OPERATORS[sign], A + 0.25
    plain = call(A, b)
    for left, right in ((leaf(), leaf(b)), (leaf(), b), (A, leaf(b))):
        result = call(left, right)
        assert type(result) is tg.Tensor
        assert_array_equal(result.data, plain)
        assert result.requires_grad == (plain.dtype.kind == "f")


@pytest.mark.parametrize("sign", ["+", "-", "*", "/", "**"])
def test_operators_with_numbers_on_either_side(sign: str):
    call, x = OPERATORS[sign], abs(A)
    for number in (2, 2.5, np.float64(1.5), np.array(3.0)):
        assert_array_equal(call(leaf(x), number).data, call(x, number))
        result = call(number, leaf(x))
        assert type(result) is tg.Tensor
        assert_array_equal(result.data, call(number, x))


def test_unary_operators():
    x = leaf()
    assert_array_equal((-x).data, -A)
    assert_array_equal((+x).data, A)
    assert_array_equal(abs(x).data, abs(A))
    assert_array_equal((~(x > 0)).data, ~(A > 0))


def test_python_booleans_meet_boolean_tensors():
    mask = tg.Tensor([True, False])
    assert (mask & True).tolist() == [True, False]
    assert (True & mask).tolist() == [True, False]
    assert (False | mask).tolist() == [True, False]
    assert (np.array([True, True]) & mask).tolist() == [True, False]


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x & 3,
        lambda x: x | 9,
        lambda x: ~x,
        lambda x: np.bitwise_and(x, 3),
        lambda x: np.bitwise_or(x, 9),
        lambda x: np.invert(x),
    ],
)
def test_bits_of_integers_are_never_silently_truth_values(call: Any):
    n = np.array([6, 1])
    try:
        found = call(tg.Tensor(n))
    except TypeError:
        return
    assert_array_equal(found.data, call(n))


def test_library_functions_on_plain_arrays_give_plain_arrays():
    for call in (tg.tanh, tg.sigmoid, tg.softmax, tg.relu, tg.sum, tg.logsumexp, tg.transpose):
        assert isinstance(call(A), (np.ndarray, np.generic))
    assert isinstance(tg.matmul(A, A.T), np.ndarray)
    assert isinstance(tg.stack([A, A]), np.ndarray)
    assert isinstance(tg.where(A > 0, A, 0), np.ndarray)
    assert all(isinstance(part, np.ndarray) for part in tg.split(A, 2))
    assert tg.exp(0.0) == 1.0


# Plain questions


def test_plain_queries_have_plain_answers():
    x = leaf()
    assert np.shape(x) == (2, 3)
    assert np.ndim(x) == 2
    assert np.size(x) == 6
    assert np.size(x, 1) == 3
    assert np.allclose(x, A)
    assert np.allclose(A, x + 1e-12)
    assert not np.allclose(x, A + 1)
    assert_array_equal(np.isclose(x, A), np.ones((2, 3), bool))
    assert np.array_equal(x, A)
    assert not np.iscomplexobj(x)
    assert np.isrealobj(x)
    assert np.result_type(x, np.float32) == np.float64
    assert np.shares_memory(x, x.T)
    assert not np.shares_memory(x, A)
    assert np.array2string(x) == np.array2string(A)


def test_numpys_own_assertions_take_detached_tensors():
    assert_allclose(leaf().detach(), A)
    assert_array_equal(leaf().detach(), A)


# out=


def test_out_is_an_array_where_no_gradient_is_needed():
    t, out = tg.Tensor(A), np.zeros((2, 3))
    result = np.add(t, 1, out=out)
    assert result is out
    assert_array_equal(out, A + 1)
    out -= t
    assert_array_equal(out, (A + 1) - A)


def test_out_is_an_array_inside_no_grad():
    x, out = leaf(), np.zeros((2, 3))
    with tg.no_grad():
        out += x
    assert_array_equal(out, A)


@pytest.mark.parametrize(
    "call",
    [
        lambda x, out: np.add(x, 1, out=out),
        lambda x, out: out.__iadd__(x),
        lambda x, out: np.add(A, 1, out=x),
        lambda x, out: np.sum(x, axis=0, out=out[0]),
        lambda x, out: np.add.reduce(x, axis=0, out=out[0]),
        lambda x, out: np.stack([x[0], x[1]], out=out),
    ],
)
def test_out_never_loses_a_gradient_silently(call: Any):
    x, out = leaf(), np.zeros((2, 3))
    with pytest.raises(UnsupportedOperation):
        call(x, out)
    assert not out.any()
    assert_array_equal(x.data, A)


def test_adding_a_tensor_into_an_array_names_the_remedy():
    total = np.zeros((2, 3))
    with pytest.raises(UnsupportedOperation, match=r"total = total \+ t"):
        total += leaf()


# What isn't there


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: np.i0(x), r"np\.i0.*t\.numpy\(\)"),
        (lambda x: np.linalg.qr(x), r"np\.linalg\.qr"),
        (lambda x: np.histogram(x), r"np\.histogram"),
        (lambda x: np.add.accumulate(x), r"np\.add\.accumulate"),
        (lambda x: np.add.outer(x, x), r"np\.add\.outer"),
        (lambda x: np.add(x, 1, where=A > 0), r"np\.add.*where="),
        (lambda x: np.exp(x, dtype=np.float32), r"np\.exp.*dtype="),
        (lambda x: np.sum(x, initial=3.0), r"sum\(\) has no argument 'initial'"),
        (lambda x: np.mean(x, where=A > 0), r"mean\(\) has no argument 'where'"),
        (lambda x: np.reshape(x, (3, 2), order="F"), r"np\.reshape.*order"),
    ],
)
def test_what_is_not_there_says_so(call: Any, message: str):
    with pytest.raises(UnsupportedOperation, match=message) as caught:
        call(leaf())
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, NotImplementedError)


def test_a_near_name_is_suggested():
    with pytest.raises(UnsupportedOperation, match=r"np\.nanargmax.*'argmax'"):
        np.nanargmax(leaf())


# Coercion


def test_a_tensor_with_a_gradient_does_not_become_an_array_by_itself():
    for coerce in (np.asarray, np.array, lambda x: np.asarray(x, dtype=float)):
        with pytest.raises(TypeError, match=r"requires a gradient.*\.detach\(\).*\.numpy\(\)"):
            coerce(leaf())
    with pytest.raises(TypeError, match=r"requires a gradient.*tg\.stack"):
        np.shape([leaf(), leaf()])


def test_it_becomes_one_inside_no_grad_or_detached():
    x = leaf()
    with tg.no_grad():
        assert_array_equal(np.asarray(x), A)
    assert_array_equal(np.asarray(x.detach()), A)
    assert_array_equal(np.asarray(tg.Tensor(A), dtype=np.float32), A.astype(np.float32))
    copied = np.array(x.detach())
    assert not np.shares_memory(copied, x.data)
    assert np.shares_memory(np.asarray(x.detach()), x.data)


def test_a_number_with_a_gradient_is_held_by_an_object_array():
    h = leaf([1.0, 2.0])
    held = np.asarray(h[0])
    assert held.dtype == object
    assert held.shape == ()
    assert type(held.item()) is tg.Tensor


def test_lists_of_elements_have_the_right_shape():
    h = leaf([1.0, 2.0, 3.0])
    assert np.shape(list(h)) == (3,)
    assert np.shape([list(h), list(h * 2)]) == (2, 3)


def test_stacked_lists_hold_tensors_and_become_one():
    h = leaf([1.0, 2.0, 3.0])
    stacked = np.stack([list(h), list(h * 2)])
    assert stacked.dtype == object
    assert stacked.shape == (2, 3)
    joined = tg.asarray(stacked)
    assert type(joined) is tg.Tensor
    assert joined.tolist() == [[1, 2, 3], [2, 4, 6]]
    (joined * np.array([[1.0], [10.0]])).sum().backward()
    assert h.grad.tolist() == [21.0, 21.0, 21.0]


@pytest.mark.parametrize("join", [tg.asarray, tg.Tensor, tg.stack, tg.as_tensor])
def test_object_arrays_and_nested_lists_become_one_tensor(join: Any):
    h = leaf([1.0, 2.0])
    for form in ([list(h), list(h)], np.array([list(h), list(h)]), [h, list(h)], [h, [5.0, h[0]]]):
        joined = join(form)
        assert type(joined) is tg.Tensor
        assert joined.shape == (2, 2)
        assert joined.dtype == np.float64
        assert joined.requires_grad


def test_operations_take_object_arrays_and_lists_of_tensors():
    h = leaf([1.0, 2.0])
    stacked = np.stack([list(h), list(h)])
    (tg.matmul(stacked, np.array([3.0, 4.0]))).sum().backward()
    assert h.grad.tolist() == [6.0, 8.0]
    assert type(h * [h[0], 1.0]) is tg.Tensor
    assert type(np.add(h, list(h))) is tg.Tensor


def test_numpy_arithmetic_on_object_arrays_keeps_the_gradient():
    h = leaf([1.0, 2.0])
    stacked = np.stack([list(h), list(h)])
    tg.asarray(stacked * 2 + 1).sum().backward()
    assert h.grad.tolist() == [4.0, 4.0]


def test_asarray_of_plain_things_is_numpys():
    assert tg.asarray(A) is A
    assert isinstance(tg.asarray([1, 2]), np.ndarray)
    x = leaf()
    assert tg.asarray(x) is x


def test_lists_of_different_lengths_raise():
    h = leaf([1.0, 2.0])
    with pytest.raises(ValueError, match="shape"):
        tg.asarray([list(h), [h[0]]])


def test_sizes_instead_of_data_name_the_array_of_zeros():
    with pytest.raises(TypeError, match=r"np\.zeros\(\(1, 10, 5\)\)"):
        tg.Tensor(1, 10, 5)


# Numbers, text, containers


def test_numbers():
    x = leaf([[2.75]])
    assert float(x) == 2.75
    assert int(x) == 2
    assert x.item() == 2.75
    assert type(x.item()) is float
    assert bool(x > 2)
    assert not (x > 3)
    assert math.sqrt(leaf(4.0)) == 2.0
    assert round(float(leaf(2.345)), 1) == 2.3
    with pytest.raises(TypeError):
        float(leaf([1.0, 2.0]))
    with pytest.raises(ValueError, match="ambiguous"):
        bool(leaf([1.0, 2.0]) > 0)


def test_print_and_format(capsys: pytest.CaptureFixture[str]):
    x = leaf()
    print(x)
    assert capsys.readouterr().out == f"{A}\n"
    assert f"{leaf(1.23456):.2f}" == "1.23"
    assert f"{leaf(1.5)}" == "1.5"
    assert str(tg.Tensor([1, 2])) == "[1 2]"


def test_reprs():
    assert repr(tg.Tensor([1.0, 2.0])) == "Tensor([1., 2.])"
    assert repr(tg.Tensor(np.ones(1, np.float32))) == "Tensor([1.], dtype=float32)"
    assert repr(leaf([1.0], name="w")) == "Tensor([1.], requires_grad=True, name='w')"
    assert repr(leaf(2.0) * 2) == "Tensor(4., requires_grad=True, made by multiply)"
    assert repr(tg.Tensor([True]) & [False]) == "Tensor([False])"
    part = leaf([1.0, 2.0])[0]
    assert "made by getitem" in repr(part)
    assert "made by unstack" in repr(next(iter(leaf([1.0, 2.0]))))


def test_shapes_and_attributes():
    x = leaf()
    assert (x.shape, x.ndim, x.size, x.dtype) == ((2, 3), 2, 6, np.float64)
    assert x.T.shape == (3, 2)
    assert x.mT.shape == (3, 2)
    assert x.tolist() == A.tolist()
    assert x.numpy() is x.data
    assert len(x) == 2
    with pytest.raises(TypeError):
        len(leaf(1.0))


def test_iteration_gives_tensors_with_gradients():
    x = leaf()
    rows = list(x)
    assert [type(row) for row in rows] == [tg.Tensor] * 2
    (rows[0] * rows[1]).sum().backward()
    assert_array_equal(x.grad.data, A[::-1])
    with pytest.raises(TypeError, match="0-d"):
        iter(leaf(1.0))
    assert list(tg.Tensor(np.zeros((0, 2)))) == []


def test_unpacking_zipping_and_reversing():
    x = leaf([1.0, 2.0, 3.0])
    a, *rest = x
    assert float(a) == 1.0
    assert [float(r) for r in rest] == [2.0, 3.0]
    assert [float(v) for v in reversed(x)] == [3.0, 2.0, 1.0]
    assert [(i, float(v)) for i, v in enumerate(x)] == [(0, 1.0), (1, 2.0), (2, 3.0)]
    assert float(sum(x)) == 6.0
    assert float(max(x)) == 3.0


def test_integer_tensors_index_arrays_and_lists():
    a = np.array([10.0, 20.0, 30.0])
    assert a[np.argmax(tg.Tensor([0.0, 5.0, 1.0]))] == 20.0
    assert_array_equal(a[tg.Tensor([2, 0])], [30.0, 10.0])
    assert_array_equal(a[tg.Tensor(a) > 15], [20.0, 30.0])
    assert ["a", "b"][tg.Tensor(1)] == "b"
    assert list(range(tg.Tensor(3))) == [0, 1, 2]
    with pytest.raises(TypeError):
        ["a", "b"][tg.Tensor(1.0)]


def test_comparisons_with_none_are_numpys():
    x = leaf([1.0, 2.0])
    assert (x == None).tolist() == [False, False]  # noqa: E711
    assert (x != None).tolist() == [True, True]  # noqa: E711
    assert x in [x]


METHODS = {
    "sum": lambda x: x.sum(axis=0),
    "mean": lambda x: x.mean(axis=1, keepdims=True),
    "max": lambda x: x.max(axis=0),
    "min": lambda x: x.min(),
    "argmax": lambda x: x.argmax(axis=1),
    "argmin": lambda x: x.argmin(),
    "all": lambda x: (x > 0).all(axis=0),
    "any": lambda x: (x > 0).any(),
    "dot": lambda x: x.dot(A.T),
    "reshape": lambda x: x.reshape(3, 2),
    "reshape by a tuple": lambda x: x.reshape((3, -1)),
    "ravel": lambda x: x.ravel(),
    "flatten": lambda x: x.flatten(),
    "transpose": lambda x: x.transpose(),
    "transpose by axes": lambda x: x.transpose(1, 0),
    "transpose by a tuple": lambda x: x.transpose((1, 0)),
    "swapaxes": lambda x: x.swapaxes(0, 1),
    "squeeze": lambda x: x[:1].squeeze(0),
    "astype": lambda x: x.astype(np.float32),
    "copy": lambda x: x.copy(),
}


@pytest.mark.parametrize("name", METHODS)
def test_methods_are_numpys(name: str):
    ours, theirs = METHODS[name](leaf()), METHODS[name](A)
    assert type(ours) is tg.Tensor
    assert ours.dtype == theirs.dtype
    assert_array_equal(ours.data, theirs)


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "tanh", "sigmoid", "relu"])
def test_methods_are_the_functions(name: str):
    x = leaf(abs(A))
    assert_array_equal(getattr(x, name)().data, getattr(tg, name)(abs(A)))


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("view", "reshape"),
        ("unsqueeze", "np.expand_dims"),
        ("permute", "transpose"),
        ("double", "float64"),
        ("reshap", "reshape"),
        ("requires_gard", "requires_grad"),
        ("grd", "grad"),
    ],
)
def test_wrong_attributes_name_the_right_one(wrong: str, right: str):
    with pytest.raises(AttributeError, match=f"{wrong}.*{right}"):
        getattr(leaf(), wrong)
    assert not hasattr(leaf(), wrong)


def test_a_tensor_of_none_of_numpys_hidden_attributes_misleads_numpy():
    for name in ("__array_interface__", "__array_struct__", "__cuda_array_interface__"):
        assert not hasattr(leaf(), name)


def test_a_misspelt_attribute_is_not_set_silently():
    with pytest.raises(AttributeError):
        leaf().requires_gard = True


# Where NumPy would ask for a number on its own account


@pytest.mark.parametrize(
    "call",
    [
        lambda ts: np.mean(ts),
        lambda ts: np.array(ts).mean(),
        lambda ts: np.average(ts),
        lambda ts: np.array(ts, dtype=float),
        lambda ts: np.array(ts, dtype=np.float32),
        lambda ts: np.asarray(ts[0], dtype=float),
    ],
)
def test_numbers_in_a_list_never_lose_their_gradient_silently(call: Any):
    t = tg.Tensor([1.0, 2.0], requires_grad=True)
    losses = [(t * i).sum() for i in (1.0, 2.0)]
    with pytest.raises(TypeError, match="gradient"):
        call(losses)
    assert float(losses[0]) == 3.0
    with tg.no_grad():
        assert np.mean([float(x) for x in losses]) == 4.5


def test_storing_in_an_array_names_the_list():
    w = tg.Tensor(0.5, requires_grad=True)
    hs = np.zeros(3)
    with pytest.raises(ValueError, match="sequence") as caught:  # NumPy's own; ours is the cause
        hs[0] = np.tanh(w)
    assert "append it to a list and np.stack" in str(caught.value.__cause__)
    with pytest.raises(TypeError, match=r"tg\.stack"):
        hs[0:1] = np.tanh(w)
    hs[0] = float(w)
    hs[1] = w.item()
    hs[2] = w.detach()
    with tg.no_grad():
        hs[2] = w
    assert hs.tolist() == [0.5, 0.5, 0.5]


def test_arrays_with_rules_of_their_own_are_refused():
    x = leaf()
    with pytest.warns(PendingDeprecationWarning):
        matrix = np.matrix(A)
    for other in (matrix, np.ma.masked_array(A, A > 1)):
        with pytest.raises(UnsupportedOperation, match=r"np\.asarray"):
            x * other


# Methods and operators


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x // 2, lambda x: 2 // x, lambda x: x % 0.7, lambda x: 2 % x,
        lambda x: divmod(x, 0.7)[1], lambda x: divmod(2.0, x)[0],
        lambda x: x.prod(axis=0), lambda x: x.var(axis=1, ddof=1), lambda x: x.std(keepdims=True),
        lambda x: x.cumsum(1), lambda x: x.cumprod(0), lambda x: x.trace(1), lambda x: x.diagonal(),
        lambda x: x.take([0, 1, 1], axis=1), lambda x: x.repeat(2, axis=0), lambda x: x.clip(0, 1),
        lambda x: x.clip(max=0.5), lambda x: x.round(1), lambda x: x.flatten(),
        lambda x: x.transpose(1, 0), lambda x: x.reshape(-1, 2), lambda x: x.swapaxes(0, 1),
        lambda x: x.squeeze(), lambda x: x.ravel(), lambda x: x.mean(axis=(0, 1)),
        lambda x: x.argsort(axis=0), lambda x: x.nonzero()[1], lambda x: abs(x),
    ],
)  # fmt: skip
def test_method_or_operator_is_numpys(call: Any):
    array = np.array([[0.3, -1.2, 2.5], [1.1, 0.0, -0.4]]) + 0.01
    x = tg.Tensor(array, requires_grad=True)
    ours, theirs = call(x), call(array)
    assert_array_equal(np.asarray(ours.detach()), theirs)
    assert ours.requires_grad == (np.asarray(theirs).dtype.kind == "f")


def test_python_rounds_a_tensor():
    assert round(tg.Tensor([0.26, 1.04]), 1).tolist() == [0.3, 1.0]


def test_exclusive_or_of_booleans():
    t = tg.Tensor([True, False])
    assert (t ^ True).tolist() == (True ^ t).tolist() == [False, True]
