"""Taking, writing and ordering: ties, NaN, repeated indices, messages, and PyTorch's results."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_rnn as tg
from tinygrad_rnn.core.errors import ShapeError, UnsupportedOperation


def leaf(data: Any, **options: Any) -> tg.Tensor:
    return tg.Tensor(data, requires_grad=True, **options)


# Order


@pytest.mark.parametrize("values", [[2.0, 1.0, 2.0, 1.0, 3.0], [np.nan, 1.0, -np.inf, np.nan, 1.0]])
def test_sort_is_stable_and_each_element_gets_its_places_gradient(values: list[float]):
    torch = pytest.importorskip("torch")
    g = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    x = leaf(values)
    y = np.sort(x)
    y.backward(g)
    other = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    theirs, indices = torch.sort(other, stable=True)
    theirs.backward(torch.tensor(g))
    assert_array_equal(y.data, theirs.detach().numpy())
    assert_array_equal(np.argsort(x).data, indices.numpy())
    assert_array_equal(x.grad.data, other.grad.numpy())


def test_many_equal_elements_keep_their_order():
    x = leaf(np.zeros(100))
    tg.sort(x).backward(np.arange(100.0))
    assert_array_equal(x.grad.data, np.arange(100.0))
    assert_array_equal(tg.argsort(x).data, np.arange(100))


@pytest.mark.parametrize("largest", [True, False])
def test_topk_of_equals_takes_the_first(largest: bool):
    sign = 1 if largest else -1
    x = leaf(sign * np.array([1.0, 3.0, 3.0, 2.0, 3.0]))
    values, indices = tg.topk(x, 2, largest=largest)
    assert values.tolist() == [sign * 3.0, sign * 3.0]
    assert indices.tolist() == [1, 2]
    assert indices.dtype.kind == "i"
    assert not indices.requires_grad
    values.backward([1.0, 2.0])
    assert x.grad.tolist() == [0.0, 1.0, 2.0, 0.0, 0.0]


@pytest.mark.parametrize("largest", [True, False])
def test_topk_of_nan_is_pytorchs(largest: bool):
    torch = pytest.importorskip("torch")
    data = [[1.0, np.nan, np.inf, 0.0], [-np.inf, 5.0, 2.0, 3.0]]
    values, indices = tg.topk(tg.Tensor(data), 3, axis=1, largest=largest)
    theirs = torch.topk(torch.tensor(data, dtype=torch.float64), 3, dim=1, largest=largest)
    assert_array_equal(values.data, theirs.values.numpy())
    assert_array_equal(indices.data, theirs.indices.numpy())


def test_topk_on_arrays_gives_arrays():
    values, indices = tg.topk(np.array([3.0, 1.0, 2.0]), 2)
    assert type(values) is type(indices) is np.ndarray
    assert indices.tolist() == [0, 2]


@pytest.mark.parametrize("k", [-1, 4])
def test_topk_of_too_many_raises(k: int):
    with pytest.raises(ValueError, match=r"k must be from 0 to 3.*got"):
        tg.topk(tg.Tensor([1.0, 2.0, 3.0]), k)


def test_partition_puts_the_kth_in_its_place():
    rng = np.random.default_rng(0)
    x = leaf(rng.normal(size=(4, 30)))
    y = np.partition(x, 11, axis=1)
    assert_array_equal(y.data[:, 11], np.sort(x.data, 1)[:, 11])
    assert (y.data[:, :11] <= y.data[:, 11:12]).all()
    assert (y.data[:, 12:] >= y.data[:, 11:12]).all()
    y[:, 11].sum().backward()
    assert_array_equal(x.grad.data, x.data == y.data[:, 11:12])


def test_searchsorted_by_a_sorter_and_of_tensors():
    a, v = tg.Tensor([3.0, 1.0, 2.0]), leaf([1.0, 2.5])
    found = np.searchsorted(a, v, side="right", sorter=np.argsort(a))
    assert found.tolist() == [1, 2]
    assert not found.requires_grad


# Taking


def test_take_and_pytorchs_gather():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    data, g = rng.normal(size=(3, 4)), rng.normal(size=(3, 5))
    indices = rng.integers(0, 4, (3, 5))
    x = leaf(data)
    np.take_along_axis(x, indices, 1).backward(g)
    other = torch.tensor(data, requires_grad=True)
    torch.gather(other, 1, torch.tensor(indices)).backward(torch.tensor(g))
    assert_allclose(x.grad.data, other.grad.numpy(), rtol=1e-14)


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_take_out_of_range_raises(axis: int | None):
    with pytest.raises(IndexError, match="take: index 9 is out of bounds"):
        tg.take(leaf(np.ones((2, 3))), [0, 9], axis)


def test_tensors_as_indices():
    x = leaf([10.0, 20.0, 30.0])
    np.take(x, tg.Tensor([2, 2])).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 2.0]
    x.grad = None
    np.take_along_axis(x, np.argsort(x), 0).backward([1.0, 2.0, 3.0])
    assert x.grad.tolist() == [1.0, 2.0, 3.0]


@given(st.data())
def test_any_take_is_numpys_and_its_gradient_counts(data: st.DataObject):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=4))
    axis = data.draw(st.none() | st.integers(-len(shape), len(shape) - 1))
    length = int(np.prod(shape)) if axis is None else shape[axis]
    indices = data.draw(
        hnp.arrays(
            np.intp,
            hnp.array_shapes(min_dims=0, max_dims=2),
            elements=st.integers(-length, length - 1),
        )
    )
    x = leaf(np.random.default_rng(0).normal(size=shape))
    y = tg.take(x, indices, axis)
    assert_array_equal(y.data, np.take(x.data, indices, axis))
    g = np.random.default_rng(1).normal(size=y.shape)
    (found,) = tg.grad(y, x, g)
    assert_allclose((found.data * x.data).sum(), (g * y.data).sum(), atol=1e-12)


@given(st.data())
def test_any_take_along_axis(data: st.DataObject):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=4))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    wide = list(shape)
    wide[axis] = data.draw(st.integers(0, 4))
    n = shape[axis]
    indices = data.draw(hnp.arrays(np.intp, tuple(wide), elements=st.integers(-n, n - 1)))
    x = leaf(np.random.default_rng(0).normal(size=shape))
    y = tg.take_along_axis(x, indices, axis)
    assert_array_equal(y.data, np.take_along_axis(x.data, indices, axis))
    g = np.random.default_rng(1).normal(size=y.shape)
    (found,) = tg.grad(y, x, g)
    expected = tg.scatter_add(np.zeros(shape), indices, g, axis)
    assert_allclose(found.data, expected, atol=1e-12)
    assert_allclose((found.data * x.data).sum(), (g * y.data).sum(), atol=1e-12)


# Writing


def test_index_update_of_repeated_indices_keeps_the_last():
    x, value = leaf([1.0, 2.0, 3.0]), leaf([10.0, 20.0, 30.0])
    y = tg.index_update(x, [0, 2, 0], value)
    assert y.tolist() == [30.0, 2.0, 20.0]
    y.backward([1.0, 2.0, 3.0])
    assert x.grad.tolist() == [0.0, 2.0, 0.0]
    assert value.grad.tolist() == [0.0, 3.0, 1.0]


def test_index_update_of_one_value_in_many_places():
    x, value = leaf(np.ones((2, 3))), leaf(5.0)
    mask = np.array([[True, False, True], [False, False, True]])
    tg.index_update(x, mask, value).backward(np.arange(6.0).reshape(2, 3))
    assert value.grad.item() == 0.0 + 2.0 + 5.0
    assert_array_equal(x.grad.data, np.where(mask, 0.0, np.arange(6.0).reshape(2, 3)))


def test_overwritten_nan_leaves_no_trace():
    x = leaf([np.nan, 1.0])
    y = tg.index_update(x, 0, 2.0)
    (y * y).sum().backward()
    assert x.grad.tolist() == [0.0, 2.0]


@pytest.mark.parametrize("write", [tg.index_update, tg.index_add])
def test_writing_promotes_and_leaves_its_input(write: Any):
    x = np.array([1, 2])
    out = write(x, 0, 0.5)
    assert out.dtype == np.float64
    assert out[0] != 0
    assert x.tolist() == [1, 2]
    assert write(tg.Tensor(np.ones(2, np.float32)), 0, 0.5).dtype == np.float32


@pytest.mark.parametrize("write", [tg.index_update, tg.index_add])
def test_an_index_that_is_changed_later_changes_nothing(write: Any):
    x, value, index = leaf([1.0, 2.0, 3.0]), leaf([5.0, 6.0]), np.array([0, 1])
    y = write(x, index, value)
    index[...] = 2
    y.backward([1.0, 2.0, 3.0])
    assert value.grad.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("write", [tg.index_update, tg.index_add])
def test_writing_what_does_not_fit_raises(write: Any):
    with pytest.raises(ValueError, match=rf"{write.__name__}: .*\(3,\)"):
        write(leaf(np.ones((2, 2))), 0, np.ones(3))
    with pytest.raises(IndexError, match=rf"{write.__name__}: .*out of bounds"):
        write(leaf(np.ones((2, 2))), 5, 1.0)


@pytest.mark.parametrize("index", [[0, 0, 2], ([0, 1, 0], [1, 1, 1])])
def test_index_add_is_pytorchs(index: Any):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    data = rng.normal(size=(3, 2))
    values = rng.normal(size=data[index].shape)
    g = rng.normal(size=(3, 2))
    x, v = leaf(data), leaf(values)
    y = tg.index_add(x, index, v)
    y.backward(g)
    a, b = (torch.tensor(t, requires_grad=True) for t in (data, values))
    places = tuple(map(torch.tensor, index)) if isinstance(index, tuple) else (torch.tensor(index),)
    theirs = a.index_put(places, b, accumulate=True)
    theirs.backward(torch.tensor(g))
    assert_allclose(y.data, theirs.detach().numpy(), rtol=1e-14)
    assert_array_equal(x.grad.data, a.grad.numpy())
    assert_array_equal(v.grad.data, b.grad.numpy())


def test_scatter_add_is_pytorchs():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    data, values, g = rng.normal(size=(3, 4)), rng.normal(size=(3, 6)), rng.normal(size=(3, 4))
    indices = rng.integers(0, 4, (3, 6))
    x, v = leaf(data), leaf(values)
    y = tg.scatter_add(x, indices, v, axis=1)
    y.backward(g)
    a, b = (torch.tensor(t, requires_grad=True) for t in (data, values))
    theirs = a.scatter_add(1, torch.tensor(indices), b)
    theirs.backward(torch.tensor(g))
    assert_allclose(y.data, theirs.detach().numpy(), rtol=1e-13)
    assert_array_equal(x.grad.data, a.grad.numpy())
    assert_array_equal(v.grad.data, b.grad.numpy())


# By truth


def test_where_with_one_argument_gives_indices():
    x = leaf([[0.0, 2.0], [3.0, 0.0]])
    rows, columns = np.where(x)
    assert rows.tolist() == [0, 1]
    assert columns.tolist() == [1, 0]
    assert not rows.requires_grad
    assert x[np.nonzero(x)].tolist() == [2.0, 3.0]


@pytest.mark.parametrize("arguments", [(1.0,), (1.0, None), (None, 1.0)])
def test_where_with_two_arguments_raises(arguments: Any):
    with pytest.raises(ValueError, match="both or neither"):
        np.where(tg.Tensor([True]), *arguments)


def test_select_takes_the_first_true_condition():
    x = leaf([-1.0, 0.5, 2.0])
    y = np.select([x > 1, x > 0], [x * x, x * 3])
    assert y.tolist() == [0.0, 1.5, 4.0]
    y.sum().backward()
    assert x.grad.tolist() == [0.0, 3.0, 4.0]


def test_select_refuses_what_does_not_fit():
    x = leaf([1.0])
    with pytest.raises(ShapeError, match="2 conditions and 1 choices"):
        tg.select([x > 0, x > 1], [x])
    with pytest.raises(ShapeError, match="at least one"):
        tg.select([], [])
    with pytest.raises(TypeError, match="boolean, got float64"):
        tg.select([x], [x])


def test_choose_refuses_a_choice_that_is_not_there():
    with pytest.raises(ValueError, match="from 0 to 1"):
        np.choose([0, 2], [leaf([1.0, 2.0]), [3.0, 4.0]])


def test_compress_and_extract_by_a_tensor():
    x = leaf([1.0, -2.0, 3.0])
    assert np.compress(x > 0, x).tolist() == [1.0, 3.0]
    np.extract(x > 0, x).backward([5.0, 7.0])
    assert x.grad.tolist() == [5.0, 0.0, 7.0]


# What is not there is refused


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.sort(x, order="f"),
        lambda x: np.take(x, [0], out=np.zeros(1)),
    ],
)
def test_arguments_that_make_no_sense_are_refused(call: Any):
    with pytest.raises(UnsupportedOperation):
        call(leaf([1.0, 2.0]))


# A third derivative


@pytest.mark.parametrize(
    "through",
    [
        lambda x: tg.sort(x),
        lambda x: tg.take(x, [0, 1, 2]),
        lambda x: tg.index_update(tg.Tensor(np.zeros(3)), [0, 1, 2], x),
        lambda x: tg.index_add(tg.Tensor(np.zeros(3)), [0, 1, 2], x),
        lambda x: tg.scatter_add(tg.Tensor(np.zeros(3)), [0, 1, 2], x, 0),
    ],
)
def test_third_derivative(through: Any):
    x = leaf([0.5, 1.0, 2.0])
    y = (through(x) ** 4).sum()
    for _ in range(3):
        (y,) = tg.grad(y.sum(), x, create_graph=True)
    assert_allclose(y.data, 24 * x.data)
