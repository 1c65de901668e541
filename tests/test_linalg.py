"""Products and linear algebra: singular matrices, kinks, messages, and PyTorch's results."""

from __future__ import annotations

import string
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.linalg import LinAlgError
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_rnn as tg
from tinygrad_rnn import linalg
from tinygrad_rnn.core.errors import UnsupportedOperation


def leaf(data: Any, **options: Any) -> tg.Tensor:
    return tg.Tensor(data, requires_grad=True, **options)


def compare(ours: Any, theirs: Any, *arrays: np.ndarray, rtol: float = 1e-9) -> None:
    """Values and gradients, with a random cotangent, of a function here and in PyTorch."""
    torch = pytest.importorskip("torch")
    leaves = [leaf(a) for a in arrays]
    others = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, z = ours(*leaves), theirs(torch, *others)
    assert_allclose(y.data, z.detach().numpy(), rtol=rtol, atol=1e-12)
    g = np.random.default_rng(0).normal(size=y.shape)
    y.backward(g)
    z.backward(torch.tensor(g))
    for a, b in zip(leaves, others, strict=True):
        assert_allclose(a.grad.data, b.grad.numpy(), rtol=rtol, atol=1e-10)


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape)


# Linear algebra


CALLS: dict[str, Any] = {
    "cross": lambda f, a: f(a[0], a[1]),
    "matmul": lambda f, a: f(a, a),
    "matrix_power": lambda f, a: f(a, 2),
    "multi_dot": lambda f, a: f([a, a, a]),
    "outer": lambda f, a: f(a[0], a[1]),
    "slogdet": lambda f, a: f(a)[1],
    "solve": lambda f, a: f(a, a[0]),
    "tensordot": lambda f, a: f(a, a, axes=1),
}


@pytest.mark.parametrize("name", linalg.__all__)
def test_numpys_functions_are_the_packages(name: str):
    a = leaf([[4.0, 1.0, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 2.0]])
    call = CALLS.get(name, lambda f, a: f(a))
    ours, theirs = call(getattr(linalg, name), a), call(getattr(np.linalg, name), a)
    assert type(ours) is type(theirs) is tg.Tensor
    assert_array_equal(ours.data, theirs.data)
    assert_allclose(ours.data, call(getattr(np.linalg, name), a.data), rtol=1e-14)


@pytest.mark.parametrize("shape", [(3, 3), (2, 4, 4)])
def test_inv_solve_det_and_cholesky_are_pytorchs(shape: tuple[int, ...]):
    a = normal(*shape)
    b = normal(*shape[:-1], 2)
    compare(np.linalg.inv, lambda torch, a: torch.linalg.inv(a), a)
    compare(np.linalg.det, lambda torch, a: torch.linalg.det(a), a)
    compare(np.linalg.solve, lambda torch, a, b: torch.linalg.solve(a, b), a, b)
    compare(
        lambda a: np.linalg.slogdet(a).logabsdet, lambda torch, a: torch.linalg.slogdet(a)[1], a
    )
    compare(
        lambda a: np.linalg.matrix_power(a, -3),
        lambda torch, a: torch.linalg.matrix_power(a, -3),
        a,
    )
    s = a @ np.swapaxes(a, -1, -2) + np.eye(shape[-1])
    compare(np.linalg.cholesky, lambda torch, s: torch.linalg.cholesky(s), s)
    compare(
        lambda s: np.linalg.cholesky(s, upper=True),
        lambda torch, s: torch.linalg.cholesky(s, upper=True),
        s,
    )


def minors(a: np.ndarray) -> np.ndarray:
    """The cofactors of a matrix, one by one."""
    n = len(a)
    out = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            rest = np.delete(np.delete(a, i, 0), j, 1)
            out[i, j] = (-1) ** (i + j) * np.linalg.det(rest)
    return out


SINGULAR = {
    "zeros": np.zeros((3, 3)),
    "rank 1": np.outer([1.0, 2.0, -1.0], [3.0, 1.0, 2.0]),
    "rank 2": np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]),
    "one number": np.zeros((1, 1)),
    "nearly": np.array([[1.0, 1.0], [1.0, 1.0 + 1e-15]]),
}


@pytest.mark.parametrize("label", SINGULAR)
def test_det_of_singular_matrices(label: str):
    a = leaf(SINGULAR[label])
    np.linalg.det(a).backward()
    assert_allclose(a.grad.data, minors(a.data), atol=1e-12)


@pytest.mark.parametrize("label", SINGULAR)
def test_second_derivative_of_det_at_singular_matrices(label: str):
    a = leaf(SINGULAR[label])
    direction = np.random.default_rng(4).normal(size=a.shape)
    (first,) = tg.grad(np.linalg.det(a), a, create_graph=True)
    assert_allclose(first.data, minors(a.data), atol=1e-12)
    if len(a) == 1:
        return
    (found,) = tg.grad((first * direction).sum(), a)
    step = 1e-4
    numeric = (minors(a.data + step * direction) - minors(a.data - step * direction)) / (2 * step)
    assert_allclose(found.data, numeric, rtol=1e-6, atol=1e-8)


def test_det_of_regular_and_singular_matrices_together():
    a = leaf(np.stack([np.eye(2), np.ones((2, 2))]))
    np.linalg.det(a).sum().backward()
    assert_allclose(a.grad.data, [np.eye(2), [[1, -1], [-1, 1]]], atol=1e-15)


def test_det_of_nan_and_of_nothing():
    a = leaf([[np.nan, 1.0], [1.0, 2.0]])
    with np.errstate(invalid="ignore"):  # NumPy warns
        np.linalg.det(a).backward()
    assert np.isnan(a.grad.data).all()
    empty = leaf(np.zeros((0, 0)))
    y = np.linalg.det(empty)
    assert y.item() == 1.0
    y.backward()
    assert empty.grad.shape == (0, 0)


def test_slogdet_of_a_singular_matrix():
    result = np.linalg.slogdet(leaf(np.zeros((2, 2))))
    assert result.sign.item() == 0.0
    assert result.logabsdet.item() == -np.inf


def test_the_sign_of_slogdet_has_gradient_zero():
    a = leaf([[1.0, 2.0], [3.0, 4.0]])
    sign, _ = np.linalg.slogdet(a)
    sign.backward()
    assert sign.item() == -1.0
    assert_array_equal(a.grad.data, np.zeros((2, 2)))


def test_the_gradient_of_cholesky_is_symmetric_and_only_one_half_is_read():
    a = leaf([[4.0, np.nan], [2.0, 5.0]])
    np.linalg.cholesky(a).sum().backward()
    assert a.grad.data[0, 1] == a.grad.data[1, 0] != 0
    b = leaf([[4.0, 2.0], [np.nan, 5.0]])
    np.linalg.cholesky(b, upper=True).sum().backward()
    assert_allclose(b.grad.data, a.grad.data)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("inv", lambda a: np.linalg.inv(a)),
        ("inv", lambda a: np.linalg.matrix_power(a, -2)),
        ("solve", lambda a: np.linalg.solve(a, np.ones(2))),
        ("cholesky", lambda a: np.linalg.cholesky(a)),
    ],
)
def test_singular_matrices_raise_numpys_error(name: str, call: Any):
    with pytest.raises(LinAlgError, match=f"{name}: (Singular|Matrix)"):
        call(leaf(np.zeros((2, 2))))
    with pytest.raises(LinAlgError, match=r"Singular|Matrix"):
        call(np.zeros((2, 2)))


@pytest.mark.parametrize("name", ["inv", "det", "slogdet", "cholesky"])
def test_matrices_that_are_not_square_are_named(name: str):
    with pytest.raises(LinAlgError, match=rf"{name}: a must be a square matrix.*\(2, 3\)"):
        getattr(np.linalg, name)(leaf(np.ones((2, 3))))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: np.linalg.solve(a, np.ones(3)), r"solve: a has 2 rows.*\(2,\).*\(3,\)"),
        (lambda a: np.linalg.matrix_power(a[:1], 2), r"matrix_power: a must be a square.*\(1, 2\)"),
        (lambda a: np.linalg.multi_dot([a]), r"two or more.*\(2, 2\)"),
        (lambda a: np.tensordot(a, np.ones((3, 2)), 1), r"tensordot: paired axes.*\(2, 2\)"),
        (lambda a: np.tensordot(a, np.ones((3, 2)), ([5], [0])), r"tensordot: no such axes"),
        (lambda a: np.cross(a, a), r"cross: .*3 elements; append a 0"),
        (lambda a: np.convolve(a, a), r"convolve: .*one axis"),
        (lambda a: np.convolve(a[0], a[0], "some"), r"mode must be .*'some'"),
        (lambda a: np.diff(a, -1), r"diff needs n >= 0"),
        (lambda a: np.gradient(a, edge_order=2), r"axis 0 has 2 elements.*needs 3"),
        (lambda a: np.gradient(a, np.arange(3.0), 1.0), r"coordinates of shape \(3,\).*axis 0"),
        (lambda a: np.gradient(a, edge_order=3), r"1 or 2, got 3"),
        (lambda a: np.linalg.norm(a, "fro", axis=0), r"norm of matrices"),
        (lambda a: np.linalg.norm(a, 3), r"no matrix norm 3"),
        (lambda a: np.linalg.norm(a[None], 1), r"one axis or two, got 3"),
        (lambda a: np.linalg.norm(a, axis=(0, -2)), r"two axes.*differ"),
        (lambda a: np.einsum("ij,jk->ik", a), r"describes 2 arrays, got 1"),
        (lambda a: np.einsum("ijk", a), r"'ijk' in 'ijk' names 3 axes.*2"),
        (lambda a: np.einsum("i", a), r"names 1 axes.*has 2.*'\.\.\.'"),
        (lambda a: np.einsum("ij->ik", a), r"each label of the result"),
        (lambda a: np.einsum("ij->ii", a), r"stand once"),
        (lambda a: np.einsum("...j->j", a), r"needs '\.\.\.' in the result"),
        (lambda a: np.einsum("i1", a), r"labels are letters"),
        (lambda a: np.einsum("ij,jk", a, np.ones((3, 2))), r"'j' have the lengths 2 and 3"),
        (lambda a: np.einsum("ii", a[:1]), r"'i' have the lengths 1 and 2"),
        (lambda a: linalg.tensordot(a, a, ([0], [0, 1])), r"paired axes"),
    ],
)
def test_what_does_not_fit_is_named(call: Any, message: str):
    with pytest.raises(ValueError, match=message):
        call(leaf(np.ones((2, 2))))


def test_gradient_of_too_many_spacings():
    with pytest.raises(TypeError, match="2 spacings don't fit 1 axes"):
        np.gradient(leaf(np.ones(3)), 1.0, 2.0)


@pytest.mark.parametrize("call", [lambda a: np.linalg.svd(a), lambda a: np.einsum("ij", a, out=1)])
def test_what_is_not_there_is_refused(call: Any):
    with pytest.raises(UnsupportedOperation):
        call(leaf(np.eye(2)))


# Norms


@pytest.mark.parametrize("ord", [None, 2, 1, 3, 2.5, 1.5, 0.5, np.inf, -np.inf])
@pytest.mark.parametrize(
    "data",
    [
        [[1.0, -2.0, 0.0], [0.0, 0.0, 0.0], [2.0, -2.0, 2.0]],
        [[1e-150, 0.0, 3.0], [1.0, 1.0, 1.0], [-1.0, -1.0, 0.5]],
    ],
)
def test_norms_are_pytorchs_with_zeros_and_ties(ord: Any, data: Any):
    compare(
        lambda x: np.linalg.norm(x, ord, axis=1),
        lambda torch, x: torch.linalg.vector_norm(x, 2 if ord is None else ord, dim=1),
        np.array(data),
    )


@pytest.mark.parametrize("ord", ["fro", 1, -1, np.inf, -np.inf])
def test_matrix_norms_are_pytorchs(ord: Any):
    compare(
        lambda x: np.linalg.norm(x, ord),
        lambda torch, x: torch.linalg.matrix_norm(x, ord),
        np.array([[1.0, -2.0, 0.5], [0.0, 0.0, 2.5]]),
    )


@pytest.mark.parametrize("ord", [None, 1, 2, 3, np.inf])
def test_the_gradient_at_the_zero_vector_is_zero(ord: Any):
    x = leaf(np.zeros(3))
    np.linalg.norm(x, ord).backward()
    assert x.grad.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("ord", [2, -2, "nuc"])
def test_norms_of_singular_values_are_refused(ord: Any):
    with pytest.raises(UnsupportedOperation, match="singular values"):
        np.linalg.norm(leaf(np.eye(2)), ord)


def test_norm_counts_with_ord_zero():
    y = np.linalg.norm(leaf([1.0, 0.0, 2.0]), 0)
    assert y.item() == 2.0
    assert not y.requires_grad


def test_norm_of_integers():
    assert np.linalg.norm(tg.Tensor([3, 4])).item() == 5.0
    assert np.linalg.norm(tg.Tensor([3, 4]), 1).dtype == np.float64


# Einstein's summation


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)]),
        ("ii->i", [(4, 4)]),
        ("...ij,kj->...ki", [(2, 3, 4), (5, 4)]),
        ("bn,anm,bm->ba", [(2, 3), (4, 3, 5), (2, 5)]),
        ("bhqd,bhkd->bhqk", [(2, 3, 8, 9), (2, 3, 7, 9)]),
    ],
)
def test_einsum_is_pytorchs(text: str, shapes: Any):
    compare(
        lambda *xs: np.einsum(text, *xs),
        lambda torch, *xs: torch.einsum(text, *xs),
        *(normal(*shape) for shape in shapes),
    )


@settings(deadline=None)
@given(st.data())
def test_any_einsum(data: st.DataObject):
    labels = "abcd"
    sizes = {label: data.draw(st.integers(1, 3)) for label in labels}
    terms = data.draw(st.lists(st.text(labels, max_size=3), min_size=1, max_size=3))
    used = sorted({*"".join(terms)})
    output = "".join(data.draw(st.lists(st.sampled_from(used), unique=True)) if used else [])
    text = ",".join(terms) + "->" + output
    rng = np.random.default_rng(5)
    leaves = [leaf(rng.normal(size=[sizes[i] for i in term])) for term in terms]
    y = np.einsum(text, *leaves)
    expected = np.einsum(text, *(x.data for x in leaves))
    assert y.shape == expected.shape
    assert_allclose(y.data, expected, rtol=1e-12, atol=1e-12)
    # linear in each: <gradient, x> is the value
    g = rng.normal(size=y.shape)
    for x, found in zip(leaves, tg.grad(y, leaves, g), strict=True):
        assert_allclose((found.data * x.data).sum(), (g * expected).sum(), rtol=1e-9, atol=1e-9)


def test_einsum_of_many_labels():
    letters = string.ascii_letters[20:32]
    x = leaf(normal(*(2,) * 12))
    y = np.einsum(x, list(range(40, 52)), [45])
    assert_allclose(y.data, np.einsum(f"{letters}->{letters[5]}", x.data))


def test_einsum_of_integers_numbers_and_lists():
    assert np.einsum("i,i", tg.Tensor([1, 2]), [3, 4]).dtype == np.int64
    x = leaf([1.0, 2.0])
    np.einsum(",i->", 3.0, x).backward()
    assert x.grad.tolist() == [3.0, 3.0]
    assert type(tg.einsum("ij->ji", np.ones((2, 3)))) is np.ndarray


def test_einsum_pulls_back_only_where_it_must():
    big, x = normal(4, 3), leaf(normal(3))
    y = np.einsum("ij,j->i", big, x)
    assert [a.shape for a in y._node.saved] == [(4, 3)]  # not x, which only its gradient needs
    (found,) = tg.grad(y, x, np.ones(4))
    assert_allclose(found.data, big.sum(0))


# Along an axis


@pytest.mark.parametrize("edge_order", [1, 2])
def test_gradient_and_trapezoid_are_pytorchs(edge_order: int):
    x = np.array([0.0, 1.0, 1.5, 3.0, 3.25])
    compare(
        lambda f: np.gradient(f, x, edge_order=edge_order),
        lambda torch, f: torch.gradient(f, spacing=(torch.tensor(x),), edge_order=edge_order)[0],
        normal(5),
    )
    compare(np.trapezoid, lambda torch, y, x: torch.trapezoid(y, x), normal(2, 5), x)
    compare(np.diff, lambda torch, x: torch.diff(x), x)
    compare(np.cross, lambda torch, a, b: torch.linalg.cross(a, b), normal(4, 3), normal(4, 3) + 1)
    compare(np.kron, lambda torch, a, b: torch.kron(a, b), normal(2, 3), normal(3, 2))


def test_gradient_gives_numpys_structure():
    f = leaf(normal(3, 4))
    assert type(np.gradient(f)) is tuple
    assert type(np.gradient(f, axis=0)) is tg.Tensor
    assert np.gradient(tg.Tensor([1, 2, 4])).tolist() == [1.0, 1.5, 2.0]


# A third derivative


@pytest.mark.parametrize(
    ("through", "shape"),
    [
        (lambda x: np.einsum("ij,jk,ki->", x, x, x), (2, 2)),
        (lambda x: np.linalg.inv(x).sum(), (2, 2)),
        (lambda x: np.linalg.det(x), (3, 3)),
        (lambda x: np.linalg.slogdet(x)[1], (2, 2)),
        (lambda x: np.linalg.solve(x, x[0]).sum(), (2, 2)),
        (lambda x: np.linalg.cholesky(x @ x.T).sum(), (2, 2)),
        (lambda x: np.linalg.matrix_power(x, 4).sum(), (2, 2)),
        (lambda x: np.linalg.norm(x), (2, 2)),
        (lambda x: np.linalg.norm(x, 3, axis=0).sum(), (2, 2)),
        (lambda x: (np.kron(x, x) ** 2).sum(), (2, 2)),
        (lambda x: np.convolve(x, x * x).sum(), (3,)),
        (lambda x: (np.cross(x, x * x) ** 2).sum(), (3,)),
    ],
)
def test_third_derivative(through: Any, shape: tuple[int, ...]):
    """Along a line, the fourth-order difference of second derivatives against the third."""
    rng = np.random.default_rng(6)
    start = rng.normal(size=shape) + (2 * np.eye(2) if shape == (2, 2) else 0)
    direction = rng.normal(size=shape)

    def derivatives(at: float) -> list[float]:
        t = leaf(at)
        y = through(start + t * direction)
        found = []
        for _ in range(3):
            (y,) = tg.grad(y, t, create_graph=True)
            found.append(y.item())
        return found

    step = 1e-3
    second = [derivatives(k * step)[1] for k in (-2, -1, 1, 2)]
    numeric = (second[0] - 8 * second[1] + 8 * second[2] - second[3]) / (12 * step)
    assert_allclose(derivatives(0.0)[2], numeric, rtol=1e-6, atol=1e-6)
