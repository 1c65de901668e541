"""Rearranging: PyTorch's results, padding that goes round several times, views, and messages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from test_operations import check

import tinygrad_rnn as tg
from tinygrad_rnn.core.errors import ShapeError, UnsupportedOperation

A = np.arange(12.0).reshape(3, 4)


def leaf(values: Any = A) -> tg.Tensor:
    return tg.Tensor(values, requires_grad=True)


CALLS: dict[str, tuple[Any, Any]] = {
    "flip": (lambda x: tg.flip(x, (0, 1)), lambda t, x: x.flip((0, 1))),
    "roll": (lambda x: tg.roll(x, (1, -2), (0, 1)), lambda t, x: x.roll((1, -2), (0, 1))),
    "roll flat": (lambda x: tg.roll(x, 5), lambda t, x: x.roll(5)),
    "rot90": (lambda x: tg.rot90(x), lambda t, x: t.rot90(x, 1, (0, 1))),
    "tile": (lambda x: tg.tile(x, (2, 1, 3)), lambda t, x: x.tile((2, 1, 3))),
    "repeat": (
        lambda x: tg.repeat(x, [2, 0, 1], 0),
        lambda t, x: x.repeat_interleave(t.tensor([2, 0, 1]), 0),
    ),
    "repeat flat": (lambda x: tg.repeat(x, 3), lambda t, x: x.repeat_interleave(3)),
    "tril": (lambda x: tg.tril(x, -1), lambda t, x: x.tril(-1)),
    "triu": (lambda x: tg.triu(x, 1), lambda t, x: x.triu(1)),
    "diagonal": (lambda x: tg.diagonal(x, 1), lambda t, x: x.diagonal(1)),
    "diag": (lambda x: tg.diag(x[0], -1), lambda t, x: t.diag(x[0], -1)),
    "diagflat": (lambda x: tg.diagflat(x), lambda t, x: t.diagflat(x)),
    "pad": (
        lambda x: tg.pad(x, ((1, 0), (2, 3)), constant_values=1.5),
        lambda t, x: t.nn.functional.pad(x, (2, 3, 1, 0), value=1.5),
    ),
    "pad reflect": (
        lambda x: tg.pad(x, ((0, 0), (2, 3)), "reflect"),
        lambda t, x: t.nn.functional.pad(x, (2, 3), mode="reflect"),
    ),
    "pad edge": (
        lambda x: tg.pad(x, ((0, 0), (2, 3)), "edge"),
        lambda t, x: t.nn.functional.pad(x, (2, 3), mode="replicate"),
    ),
    "pad wrap": (
        lambda x: tg.pad(x, ((0, 0), (2, 3)), "wrap"),
        lambda t, x: t.nn.functional.pad(x, (2, 3), mode="circular"),
    ),
    "meshgrid": (
        lambda x: tg.meshgrid(x[0], x[:, 0], indexing="xy")[1],
        lambda t, x: t.meshgrid(x[0], x[:, 0], indexing="xy")[1],
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_values_and_gradients_are_pytorchs(name: str):
    torch = pytest.importorskip("torch")
    ours, theirs = CALLS[name]
    x, other = leaf(), torch.tensor(A, requires_grad=True)
    out, expected = ours(x), theirs(torch, other)
    assert_array_equal(out.data, expected.detach().numpy())
    v = np.sin(np.arange(out.size)).reshape(out.shape)
    out.backward(v)
    expected.backward(torch.tensor(v))
    assert_allclose(x.grad.data, other.grad.numpy(), rtol=1e-13, atol=1e-15)


# Any widths, shifts and counts


@given(st.data())
def test_any_padding(data: st.DataObject):
    shape = tuple(data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)))
    width = [data.draw(st.tuples(st.integers(0, 9), st.integers(0, 9))) for _ in shape]
    mode = data.draw(st.sampled_from(["constant", "edge", "reflect", "symmetric", "wrap"]))
    check(lambda x: tg.pad(x, width, mode), lambda x: np.pad(x, width, mode), [shape])


@given(st.data())
def test_any_repeats_shifts_and_diagonals(data: st.DataObject):
    shape = tuple(data.draw(st.lists(st.integers(0, 3), min_size=2, max_size=3)))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    counts = data.draw(
        st.integers(0, 3) | st.lists(st.integers(0, 3), min_size=shape[axis], max_size=shape[axis])
    )
    check(lambda x: tg.repeat(x, counts, axis), lambda x: np.repeat(x, counts, axis), [shape])
    reps = tuple(data.draw(st.lists(st.integers(0, 2), max_size=4)))
    check(lambda x: tg.tile(x, reps), lambda x: np.tile(x, reps), [shape])
    shift = data.draw(st.integers(-7, 7))
    check(lambda x: tg.roll(x, shift, axis), lambda x: np.roll(x, shift, axis), [shape])
    check(lambda x: tg.roll(x, shift), lambda x: np.roll(x, shift), [shape])
    place = (shift, axis, (axis + 1) % len(shape))
    check(lambda x: tg.diagonal(x, *place), lambda x: np.diagonal(x, *place), [shape])
    check(lambda x: tg.tril(x, shift), lambda x: np.tril(x, shift), [shape])


def test_reflection_goes_round_several_times():
    x = leaf([1.0, 2.0, 3.0])
    y = tg.pad(x, (0, 6), mode="reflect")
    assert y.tolist() == [1, 2, 3, 2, 1, 2, 3, 2, 1]
    y.sum().backward()
    assert x.grad.tolist() == [3, 4, 2]


@pytest.mark.parametrize("width", [{0: 1}, {-1: (2, 0)}, {0: (1, 2), 1: 3}])
def test_padding_of_named_axes(width: Any):
    pairs = [(0, 0), (0, 0)]
    for axis, each in width.items():
        pairs[axis] = each if isinstance(each, tuple) else (each, each)
    assert_array_equal(tg.pad(leaf(), width).data, np.pad(A, pairs))


def test_counts_may_be_changed_after_the_forward():
    x, counts = leaf([1.0, 2.0]), [2, 3]
    y = tg.repeat(x, counts)
    counts[:] = [1, 1]
    y.sum().backward()
    assert x.grad.tolist() == [2, 3]


# Views and identities


@pytest.mark.parametrize(
    "call",
    [
        tg.flip,
        tg.rot90,
        tg.diagonal,
        tg.matrix_transpose,
        tg.diag,
        tg.fliplr,
        tg.atleast_3d,
        lambda x: tg.rollaxis(x, 1),
        lambda x: tg.broadcast_arrays(x, 1.0)[0],
        lambda x: tg.array_split(x, 2)[1],
    ],
)
def test_views_where_numpy_gives_views(call: Any):
    x = leaf()
    assert np.shares_memory(call(x), x)


def test_a_changed_base_of_a_view_is_noticed():
    x = leaf()
    w = leaf(np.ones(3))
    y = (tg.flip(x, 0)[:, 0] * w).sum()
    with tg.no_grad():
        x += 1.0
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_arrays_that_have_the_axes_already_are_returned_as_they_are():
    x = leaf()
    assert tg.atleast_1d(x) is x
    assert tg.atleast_2d(x) is x
    assert all(type(part) is tg.Tensor for part in tg.atleast_2d(x, [1.0], tg.Tensor(2.0))[::2])


def test_filled_alike():
    x = leaf()
    assert tg.zeros_like(x, dtype=np.float32).dtype == np.float32
    assert tg.empty_like(x, shape=(2,)).shape == (2,)
    value = leaf(3.0)
    tg.full_like(x, value).sum().backward()
    assert value.grad.item() == 12.0
    assert not tg.full_like(np.arange(3), value).requires_grad  # cast to integers
    assert tg.full_like(np.arange(3), 2.7).tolist() == [2, 2, 2]


def test_third_derivatives_pass_through():
    x = leaf([1.0, 2.0, 3.0])

    def cubed(t: Any) -> Any:
        around = tg.pad(tg.flip(tg.roll(t, 1)), 2, "reflect")
        return (tg.diagonal(tg.diag(tg.repeat(around, 2))) ** 3).sum()

    g = cubed(x)
    for power, factor in ((2, 3.0), (1, 6.0), (0, 6.0)):
        (g,) = tg.grad(g.sum(), x, create_graph=True)
        counts = np.array([6.0, 4.0, 4.0])  # how often each element is shown
        assert_allclose(g.data, factor * counts * x.data**power)


def test_numpys_functions_lead_here():
    x = leaf()
    for function in (np.fliplr, np.vstack, np.tril, np.matrix_transpose, np.atleast_3d, np.flip):
        ours = function(x)
        assert type(ours) is tg.Tensor
        assert ours.requires_grad
        assert_array_equal(ours.data, function(A))
    assert np.pad(x, 1, mode="edge").shape == (5, 6)
    assert np.linalg.matrix_transpose(x).shape == (4, 3)
    assert np.reshape(x, (4, 3), order="C").shape == (4, 3)
    assert [p.shape for p in np.hsplit(x, 2)] == [(3, 2), (3, 2)]
    assert np.meshgrid(x[0], x[:, 0], sparse=True)[0].shape == (1, 4)
    if hasattr(np, "unstack"):
        assert [p.tolist() for p in np.unstack(x, axis=1)] == A.T.tolist()


def test_plain_grids_are_writable():
    a, b = tg.meshgrid(np.arange(2), np.arange(3))
    a[...] = 7
    assert b.shape == (3, 2)


# Messages


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda x: np.reshape(x, (4, 3), order="F"), UnsupportedOperation, "reshape.*order='F'"),
        (lambda x: np.pad(x, 1, mode="linear_ramp"), UnsupportedOperation, "one of constant"),
        (lambda x: np.pad(x, 1, "reflect", reflect_type="odd"), UnsupportedOperation, "reflect_"),
        (lambda x: tg.pad(x, -1), ValueError, "negative"),
        (lambda x: tg.pad(x, 1.5), TypeError, "integers"),
        (lambda x: tg.pad(x, ((1, 2),) * 3), ShapeError, "each of 2 axes"),
        (lambda x: tg.pad(x, 1, "edge", constant_values=1), ValueError, "constant_values"),
        (lambda x: tg.pad(x, 1, constant_values=leaf(1.0)), UnsupportedOperation, "concatenate"),
        (lambda x: tg.diag(tg.expand_dims(x, 0)), ShapeError, r"diag.*\(1, 3, 4\)"),
        (lambda x: tg.fliplr(x[0]), ShapeError, r"fliplr.*\(4,\)"),
        (lambda x: tg.flipud(x[0, 0]), ShapeError, "flipud"),
        (lambda x: tg.vsplit(x[0], 2), ShapeError, r"vsplit.*\(4,\)"),
        (lambda x: tg.dsplit(x, 2), ShapeError, r"dsplit.*\(3, 4\)"),
        (lambda x: tg.hsplit(x, 3), ShapeError, "don't divide by 3"),
        (lambda x: tg.array_split(x, 0), ShapeError, "array_split.*0 sections"),
        (lambda x: tg.rollaxis(x, 2), ShapeError, "rollaxis.*axis 2"),
        (lambda x: tg.matrix_transpose(x[0]), ShapeError, r"two axes.*\(4,\)"),
        (lambda x: tg.broadcast_arrays(x, [1.0, 2.0]), ShapeError, r"\(3, 4\) and \(2,\)"),
        (lambda x: tg.meshgrid(x[0], indexing="ji"), ValueError, "'xy' or 'ij'"),
        (lambda x: tg.repeat(x, [1, 2], 0), ValueError, "repeat"),
        (lambda x: tg.vstack([x, x[:, :2]]), ShapeError, r"\(3, 4\), \(3, 2\)"),
        (lambda x: tg.flip(x, 2), (ValueError, IndexError), "flip.*axis 2"),
    ],
)
def test_what_does_not_fit_is_named(call: Any, kind: Any, message: str):
    with pytest.raises(kind, match=message):
        call(leaf())
