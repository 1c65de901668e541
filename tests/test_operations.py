"""Every operation: its values against NumPy's, its derivatives against numeric ones."""

from __future__ import annotations

import importlib
import pathlib
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal
from operation_table import INDICES, Row, inner, numeric_gradient
from operation_table import TABLE as BASIC

import tinygrad_rnn as tg
from tinygrad_rnn.core.primitive import Array, composites, primitive, registry

# Further rows stand in files of their own, by kind: rows_*.py, each with a list ROWS.
FILES = sorted(path.stem for path in pathlib.Path(__file__).parent.glob("rows_*.py"))
TABLE = [*BASIC, *(row for name in FILES for row in importlib.import_module(name).ROWS)]
SMOOTH = [row for row in TABLE if row.smooth]
ROUGH = [row for row in TABLE if not row.smooth]


def each(rows: list[Row]) -> Any:
    return pytest.mark.parametrize("row", rows, ids=lambda row: f"{row.operation} {row.label}")


def drawn(row: Row) -> tuple[np.random.Generator, list[np.ndarray]]:
    rng = np.random.default_rng(zlib.crc32(f"{row.operation} {row.label}".encode()))
    return rng, row.inputs(rng)


def tensors(arrays: list[np.ndarray]) -> list[tg.Tensor]:
    """Leaves; those of floats require a gradient."""
    return [tg.Tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]


def several(result: Any) -> list[Any]:
    """The result or results of an operation, as a list."""
    return list(result) if isinstance(result, (tuple, list)) else [result]


def differentiable(values: list[Any]) -> list[Any]:
    return [v for v in values if v.dtype.kind == "f"]


def pulled_back(call: Any, arrays: list[np.ndarray], cotangents: list[np.ndarray]) -> list[Any]:
    """The library's gradient of <cotangents, call(arrays)> for each array of floats."""
    leaves = tensors(arrays)
    return list(tg.grad(several(call(*leaves)), differentiable(leaves), cotangents))


def cotangents_for(row: Row, rng: np.random.Generator, arrays: list[np.ndarray]) -> list[Any]:
    return [rng.normal(size=np.shape(y)) for y in several(row.expected(*arrays))]


def rounding(expected: Any) -> float:
    """What rounding may do to any element: some units in the last place of the largest one."""
    return 2e-14 * float(np.abs(expected).max(initial=1.0))


# The table itself


def test_every_registered_operation_has_a_row():
    named = {row.operation for row in TABLE} | {"dropout"}  # random: tested with the modules
    assert (set(registry) | set(composites)) - named == set()


def test_every_row_is_of_a_registered_operation():
    assert {row.operation for row in TABLE} - set(registry) - set(composites) == set()


def test_operations_with_rules_are_differentiated_by_the_table():
    with_rules = {name for name, operation in registry.items() if operation.rules}
    assert with_rules - {row.operation for row in SMOOTH} == set()


def test_the_numeric_derivative_is_right():
    x = np.array([0.5, -1.0])
    found = numeric_gradient(lambda: float((x**3).sum()), x)
    assert_allclose(found, 3 * x**2, rtol=1e-11)
    assert_array_equal(x, [0.5, -1.0])


# Every row


@each(TABLE)
def test_forward_equals_numpy(row: Row):
    _, arrays = drawn(row)
    out = row.call(*tensors(arrays))
    expected = row.expected(*arrays)
    assert len(several(out)) == len(several(expected))
    for ours, theirs in zip(several(out), several(expected), strict=True):
        assert type(ours) is tg.Tensor
        assert ours.shape == np.shape(theirs)
        assert ours.dtype == theirs.dtype
        if row.exact:
            assert_array_equal(ours.data, theirs)
        else:
            assert_allclose(ours.data, theirs, rtol=1e-13, atol=rounding(theirs))


@each(TABLE)
def test_plain_arrays_give_plain_arrays(row: Row):
    _, arrays = drawn(row)
    for ours, theirs in zip(
        several(row.call(*arrays)), several(row.call(*tensors(arrays))), strict=True
    ):
        assert isinstance(ours, (np.ndarray, np.generic))
        assert_array_equal(ours, theirs.data)


@each(SMOOTH)
def test_first_derivative(row: Row):
    rng, arrays = drawn(row)
    arrays = [np.array(a) for a in arrays]
    cotangents = cotangents_for(row, rng, arrays)
    if row.operation == "astype" and row.label == "float32":
        pytest.skip("float32 has no numeric derivative")
    found = pulled_back(row.call, arrays, cotangents)
    for x, g in zip(differentiable(arrays), found, strict=True):
        numeric = numeric_gradient(
            lambda: inner(several(row.expected(*arrays)), cotangents),
            x,
        )
        assert g.shape == x.shape
        assert g.dtype == x.dtype
        assert not g.requires_grad
        assert_allclose(g.data, numeric, rtol=1e-7, atol=1e-8)


@each([row for row in SMOOTH if row.operation != "astype"])
def test_second_derivative(row: Row):
    """<grad, random directions>, differentiated by the inputs and by the cotangents."""
    rng, arrays = drawn(row)
    arrays = [np.array(a) for a in arrays]
    cotangents = cotangents_for(row, rng, arrays)
    directions = [rng.normal(size=x.shape) for x in differentiable(arrays)]

    leaves = tensors(arrays)
    weights = [tg.Tensor(v, requires_grad=True) for v in cotangents]
    by = [*differentiable(leaves), *weights]
    first = tg.grad(several(row.call(*leaves)), differentiable(leaves), weights, create_graph=True)
    total = sum(((g * d).sum() for g, d in zip(first, directions, strict=True)), tg.Tensor(0.0))
    found = tg.grad(total, by, allow_unused=True) if total.requires_grad else [None] * len(by)

    def slope() -> float:
        return inner([g.data for g in pulled_back(row.call, arrays, cotangents)], directions)

    for x, g in zip([*differentiable(arrays), *cotangents], found, strict=True):
        numeric = numeric_gradient(slope, x)
        assert_allclose(np.zeros(x.shape) if g is None else g.data, numeric, rtol=1e-7, atol=1e-7)


def first_rows() -> list[Row]:
    """One row for each differentiable operation, of not too many elements."""
    found: dict[str, Row] = {}
    for row in SMOOTH:
        size = sum(a.size for a in row.inputs(np.random.default_rng(0)))
        if row.operation not in found and 2 <= size <= 24 and row.label != "float32":
            found[row.operation] = row
    return list(found.values())


def test_every_differentiable_operation_has_a_row_of_moderate_size():
    assert {row.operation for row in first_rows()} == {row.operation for row in SMOOTH}


@each(first_rows())
def test_third_derivative(row: Row):
    """The second derivative along random directions, differentiated once more."""
    rng, arrays = drawn(row)
    arrays = [np.array(a) for a in arrays]
    cotangents = cotangents_for(row, rng, arrays)
    ways = [[rng.normal(size=x.shape) for x in differentiable(arrays)] for _ in range(2)]

    def bend(create_graph: bool) -> tuple[tg.Tensor, list[tg.Tensor]]:
        leaves = tensors(arrays)
        xs = differentiable(leaves)
        out = several(row.call(*leaves))
        total = sum(((y * v).sum() for y, v in zip(out, cotangents, strict=True)), tg.Tensor(0.0))
        for i, way in enumerate(ways):
            if not total.requires_grad:
                return tg.Tensor(0.0), xs
            last = i == len(ways) - 1 and not create_graph
            gs = tg.grad(total, xs, create_graph=not last, allow_unused=True)
            terms = [(g * d).sum() for g, d in zip(gs, way, strict=True) if g is not None]
            total = sum(terms, tg.Tensor(0.0))
        return total, xs

    total, xs = bend(create_graph=True)
    found: Any = [None] * len(xs)
    if total.requires_grad:
        found = tg.grad(total, xs, allow_unused=True)
    for x, g in zip(differentiable(arrays), found, strict=True):
        numeric = numeric_gradient(lambda: float(bend(create_graph=False)[0]), x)
        analytic = np.zeros(x.shape) if g is None else g.data
        assert_allclose(analytic, numeric, rtol=1e-5, atol=1e-6)


@each(ROUGH)
def test_results_without_a_gradient(row: Row):
    _, arrays = drawn(row)
    out = row.call(*tensors(arrays))
    assert type(out) is tg.Tensor
    assert not out.requires_grad


@each([row for row in SMOOTH if row.operation != "astype"])
def test_float32_stays_float32(row: Row, own_primitives: None):
    rng, arrays = drawn(row)
    arrays = [a.astype(np.float32) if a.dtype.kind == "f" else a for a in arrays]
    if any(np.asarray(y).dtype != np.float32 for y in several(row.expected(*arrays))):
        pytest.skip("NumPy promotes here")
    met = []

    @primitive()
    def watched(x: Array) -> Array:
        return np.array(x)

    watched.vjp(x=lambda g: met.append(g.dtype) or g)

    leaves = tensors(arrays)
    out = several(row.call(*(watched(x) if x.requires_grad else x for x in leaves)))
    assert [y.dtype for y in out] == [np.float32] * len(out)
    tg.grad(out, differentiable(leaves), [rng.normal(size=y.shape).astype(np.float32) for y in out])
    assert met == [np.float32] * len(differentiable(leaves))


@each(SMOOTH)
def test_strided_and_read_only_inputs(row: Row):
    rng, arrays = drawn(row)
    if row.operation == "astype":
        arrays = [a.astype(np.float64) for a in arrays]
    cotangents = cotangents_for(row, rng, arrays)
    expected = pulled_back(row.call, arrays, cotangents)

    def awkward(a: np.ndarray) -> np.ndarray:
        spaced = np.repeat(a[..., None], 2, axis=-1)[..., 0]
        turned = np.array(spaced.T).T if spaced.ndim > 1 else spaced
        turned.flags.writeable = False
        return turned

    leaves = [tg.as_tensor(awkward(a)) for a in arrays]
    for x in differentiable(leaves):
        x.requires_grad = True
    weights = [awkward(v) for v in cotangents]
    out = several(row.call(*leaves))
    for ours, theirs in zip(out, several(row.expected(*arrays)), strict=True):
        assert_allclose(ours.data, theirs, rtol=1e-13, atol=rounding(theirs))
    found = tg.grad(out, differentiable(leaves), weights)
    for ours, theirs in zip(found, expected, strict=True):
        assert_allclose(ours.data, theirs.data, rtol=1e-12, atol=1e-14)


@each(TABLE)
def test_nothing_given_is_modified(row: Row):
    rng, arrays = drawn(row)
    leaves = [tg.as_tensor(a) for a in arrays]
    for x in differentiable(leaves):
        x.requires_grad = True
    before = [a.tobytes() for a in arrays]
    out = several(row.call(*leaves))
    if row.smooth:
        weights = [rng.normal(size=y.shape).astype(y.dtype) for y in out]
        kept = [y.data.tobytes() for y in out] + [v.tobytes() for v in weights]
        for y, v in zip(out, weights, strict=True):
            y.backward(v, retain_graph=True)
        assert [y.data.tobytes() for y in out] + [v.tobytes() for v in weights] == kept
        for x in differentiable(leaves):
            x.grad.data[...] = 7  # a gradient's memory is nobody else's
    assert [a.tobytes() for a in arrays] == before


# Dtypes

BINARY = ["add", "subtract", "multiply", "divide", "power", "maximum", "minimum"]


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("scalar", [2, 2.5, True])
def test_python_scalars_are_weak(name: str, scalar: Any, own_primitives: None):
    met = []

    @primitive()
    def watched(x: Array) -> Array:
        return np.array(x)

    watched.vjp(x=lambda g: met.append(g.dtype) or g)
    x = tg.Tensor([1.5, 0.5], dtype=np.float32, requires_grad=True)
    for out in (getattr(tg, name)(watched(x), scalar), getattr(tg, name)(scalar, watched(x))):
        assert out.dtype == np.float32
        out.backward(np.ones(2, np.float32))
    assert met == [np.float32] * 2
    assert x.grad.dtype == np.float32


@pytest.mark.parametrize("name", BINARY)
def test_numpy_scalars_are_strong(name: str):
    x = tg.Tensor([1.5, 0.5], dtype=np.float32, requires_grad=True)
    for out in (getattr(tg, name)(x, np.float64(2)), getattr(tg, name)(np.float64(2), x)):
        assert out.dtype == np.float64
        out.backward(np.ones(2))
    assert x.grad.dtype == np.float32


@pytest.mark.parametrize("name", BINARY)
def test_mixed_dtypes_promote_and_gradients_return_in_the_leafs_own(name: str):
    a = tg.Tensor([1.5, 0.5], dtype=np.float32, requires_grad=True)
    b = tg.Tensor([2.5, 1.0], requires_grad=True)
    out = getattr(tg, name)(a, b)
    assert out.dtype == np.float64
    out.sum().backward()
    assert a.grad.dtype == np.float32
    assert b.grad.dtype == np.float64


def test_float_and_integer_arrays_promote_as_in_numpy():
    x = tg.Tensor(np.ones(2, np.float32), requires_grad=True)
    n = np.array([1, 2])
    assert (x * n).dtype == (np.ones(2, np.float32) * n).dtype
    assert (x * n.astype(np.int16)).dtype == np.float32
    assert (tg.Tensor(n) * 2).dtype == np.int64
    assert (tg.Tensor(n) / 2).dtype == np.float64


def test_astype_returns_the_gradient_in_the_first_dtype():
    x = tg.Tensor([1.0, 2.0], dtype=np.float32, requires_grad=True)
    y = x.astype(np.float64)
    assert y.dtype == np.float64
    (y * np.array([3.0, 4.0])).sum().backward()
    assert x.grad.dtype == np.float32
    assert x.grad.tolist() == [3.0, 4.0]


@pytest.mark.parametrize("cast", [tg.astype, lambda x, dtype: x.astype(dtype)])
def test_astype_to_integers_has_no_gradient(cast: Any):
    y = cast(tg.Tensor([1.7], requires_grad=True), np.int64)
    assert y.tolist() == [1]
    assert not y.requires_grad


# Ties and kinks


@pytest.mark.parametrize("name", ["max", "min"])
@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        (None, [[1 / 3, 0, 1 / 3], [0, 0, 1 / 3]]),
        (1, [[0.5, 0, 0.5], [0, 0, 1]]),
        (0, [[1, 0.5, 0.5], [0, 0.5, 0.5]]),
    ],
)
def test_equal_extremes_share_the_gradient(name: str, axis: Any, expected: Any):
    sign = 1 if name == "max" else -1
    x = tg.Tensor(sign * np.array([[2.0, 1.0, 2.0], [0.0, 1.0, 2.0]]), requires_grad=True)
    getattr(x, name)(axis=axis).sum().backward()
    assert_allclose(x.grad.data, expected)


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_equal_elements_get_half_each(name: str):
    a = tg.Tensor([1.0, 2.0], requires_grad=True)
    b = tg.Tensor([1.0, 2.0], requires_grad=True)
    getattr(tg, name)(a, b).backward([3.0, 5.0])
    assert a.grad.tolist() == [1.5, 2.5]
    assert b.grad.tolist() == [1.5, 2.5]


@pytest.mark.parametrize(
    "call", [tg.relu, tg.absolute, tg.sign, abs, lambda x: x**0, lambda x: x ** np.zeros(3)]
)
def test_derivative_zero_at_zero(call: Any):
    x = tg.Tensor([0.0, -0.0, 0.0], requires_grad=True)
    call(x).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 0.0]


def test_relu_hands_back_nothing_left_of_zero_whatever_the_cotangent():
    x = tg.Tensor([-1.0, 0.0, 2.0], requires_grad=True)
    tg.relu(x).backward([np.inf, np.nan, 3.0])
    assert x.grad.tolist() == [0.0, 0.0, 3.0]


def test_powers_of_zero():
    y = tg.Tensor([0.5, 1.0, 3.0], requires_grad=True)
    tg.power(0.0, y).sum().backward()
    assert y.grad.tolist() == [0.0, 0.0, 0.0]
    x = tg.Tensor([0.0, 0.0, 0.0], requires_grad=True)
    tg.power(x, np.array([1.0, 2.0, 0.0])).sum().backward()
    assert x.grad.tolist() == [1.0, 0.0, 0.0]


def test_higher_derivatives_of_powers_at_zero():
    x = tg.Tensor(0.0, requires_grad=True)
    y = x**2
    for expected in (0.0, 2.0, 0.0):
        (y,) = tg.grad(y, x, create_graph=True)
        assert y.item() == expected
        if not y.requires_grad:
            break


def test_powers_of_negative_numbers():
    x = tg.Tensor([-2.0, -0.5], requires_grad=True)
    (x**3).sum().backward()
    assert_allclose(x.grad.data, 3 * x.data**2)


def test_sqrt_has_an_infinite_slope_at_zero():
    x = tg.Tensor(0.0, requires_grad=True)
    with np.errstate(divide="ignore"):
        tg.sqrt(x).backward()
    assert x.grad.item() == np.inf


# Extreme values; warnings are errors here


def test_sigmoid_of_extreme_values():
    x = tg.Tensor([-np.inf, -1000.0, -40.0, 0.0, 1000.0, np.inf], requires_grad=True)
    y = tg.sigmoid(x)
    assert_allclose(y.data, [0.0, 0.0, np.exp(-40.0), 0.5, 1.0, 1.0], rtol=1e-14)
    y.sum().backward()
    assert_allclose(x.grad.data, [0.0, 0.0, np.exp(-40.0), 0.25, 0.0, 0.0], rtol=1e-14)


def test_tanh_of_extreme_values():
    x = tg.Tensor([-1000.0, 1000.0], requires_grad=True)
    tg.tanh(x).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]


EXTREME = np.array([[1000.0, -1000.0, 0.0], [-1000.0, -1000.0, -1000.0], [3.0, -np.inf, 3.0]])
CHANCES = np.array([[1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3], [0.5, 0.0, 0.5]])


def test_softmax_of_extreme_values():
    x = tg.Tensor(EXTREME, requires_grad=True)
    y = tg.softmax(x, axis=1)
    assert_allclose(y.data, CHANCES, rtol=1e-14)
    y.backward([[1.0, 0.0, 0.0]] * 3)
    direction = np.array([1.0, 0.0, 0.0])
    assert_allclose(x.grad.data, CHANCES * (direction - CHANCES[:, :1]), atol=1e-15)


def test_log_softmax_of_extreme_values():
    x = tg.Tensor(EXTREME, requires_grad=True)
    y = tg.log_softmax(x, axis=1)
    thirds, half = np.log(1 / 3), np.log(0.5)
    expected = [[0.0, -2000.0, -1000.0], [thirds] * 3, [half, -np.inf, half]]
    assert_allclose(y.data, expected, rtol=1e-14)
    y.backward([[1.0, 0.0, 0.0]] * 3)
    assert_allclose(x.grad.data, np.array([1.0, 0.0, 0.0]) - CHANCES, atol=1e-15)


def test_logsumexp_of_extreme_values():
    x = tg.Tensor(EXTREME, requires_grad=True)
    y = tg.logsumexp(x, axis=1)
    assert_allclose(y.data, [1000.0, -1000.0 + np.log(3), 3.0 + np.log(2)], rtol=1e-14)
    y.sum().backward()
    assert_allclose(x.grad.data, CHANCES, atol=1e-15)


def test_logsumexp_of_nothing_but_minus_infinity():
    x = tg.Tensor([-np.inf, -np.inf], requires_grad=True)
    y = tg.logsumexp(x)
    assert y.item() == -np.inf
    with np.errstate(invalid="ignore"):
        y.backward()
    assert np.isnan(x.grad.data).all()  # as in PyTorch


def test_where_keeps_the_other_branchs_infinity_out():
    x = tg.Tensor([0.0, 4.0], requires_grad=True)
    safe = np.where(x > 0, x, 1.0)
    np.where(x > 0, np.log(safe), 0.0).sum().backward()
    assert x.grad.tolist() == [0.0, 0.25]


# Reductions of nothing


@pytest.mark.parametrize("name", ["max", "min", "argmax"])
def test_extremes_of_nothing_raise(name: str):
    with pytest.raises(ValueError, match=f"{name}.*zero-size|{name}.*empty"):
        getattr(tg, name)(tg.Tensor(np.zeros((0,)), requires_grad=True))


# Indexing


@pytest.mark.parametrize(
    "getitem", [lambda x, index: x[index], tg.getitem], ids=["x[i]", "getitem"]
)
@pytest.mark.parametrize("label", ["integers", "table", "pairs", "mask", "mask of rows", "columns"])
def test_an_index_array_may_be_changed_after_the_forward(label: str, getitem: Any):
    index = INDICES[label]
    owned = (
        tuple(np.array(i) if isinstance(i, np.ndarray) else i for i in index)
        if isinstance(index, tuple)
        else np.array(index)
    )
    x = tg.Tensor(np.arange(12.0).reshape(3, 4), requires_grad=True)
    y = getitem(x, owned)
    for part in owned if isinstance(owned, tuple) else [owned]:
        if isinstance(part, np.ndarray):
            part[...] = 0
    y.sum().backward()
    expected = np.zeros((3, 4))
    np.add.at(expected, index, 1.0)
    assert_array_equal(x.grad.data, expected)


def test_an_index_list_may_be_changed_after_the_forward():
    x = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    index = [2, 2]
    y = x[index]
    index[:] = [0, 0]
    y.sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 2.0]


def test_an_axes_list_may_be_changed_after_the_forward():
    x = tg.Tensor(np.arange(8.0).reshape(2, 2, 2), requires_grad=True)
    axes = [1, 2, 0]
    y = np.transpose(x, axes)
    axes[:] = [0, 1, 2]
    y.backward(y.data)
    assert_array_equal(x.grad.data, x.data)


def test_tensors_index_tensors():
    x = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    x[tg.Tensor([2, 2, 0])].sum().backward()
    assert x.grad.tolist() == [1.0, 0.0, 2.0]
    x.grad = None
    x[x > 1.5].sum().backward()
    assert x.grad.tolist() == [0.0, 1.0, 1.0]
    x.grad = None
    x[np.argmax(x)].backward()
    assert x.grad.tolist() == [0.0, 0.0, 1.0]


def test_an_index_out_of_range_raises_an_index_error():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(IndexError, match="getitem"):
        x[2]


def test_a_repeated_row_of_a_large_table_gets_every_contribution(rng: np.random.Generator):
    weight = tg.Tensor(rng.normal(size=(50, 3)), requires_grad=True)
    ids = rng.integers(0, 50, size=(7, 11))
    g = rng.normal(size=(7, 11, 3))
    tg.embedding(ids, weight).backward(g)
    expected = np.zeros((50, 3))
    np.add.at(expected, ids, g)
    assert_allclose(weight.grad.data, expected, rtol=1e-13)


# Embedding and dropout, made of other operations


def test_embedding_looks_rows_up(rng: np.random.Generator):
    weight = rng.normal(size=(5, 2))
    ids = np.array([[4, 0], [0, 0]])
    leaf = tg.Tensor(weight, requires_grad=True)
    out = tg.embedding(ids, leaf)
    assert_array_equal(out.data, weight[ids])
    assert isinstance(tg.embedding(ids, weight), np.ndarray)
    out.backward(np.ones((2, 2, 2)))
    assert_array_equal(leaf.grad.data[:, 0], [3, 0, 0, 0, 1])


@pytest.mark.parametrize("wrong", [-1, 5])
def test_embedding_of_an_unknown_row_raises(wrong: int):
    with pytest.raises(IndexError, match=f"{wrong}.*0 … 4"):
        tg.embedding([0, wrong], tg.Tensor(np.zeros((5, 2))))


def test_embedding_of_floats_raises():
    with pytest.raises(TypeError, match="integers"):
        tg.embedding([0.0, 1.0], tg.Tensor(np.zeros((5, 2))))


def test_dropout_drops_and_scales_and_the_gradient_follows():
    x = tg.Tensor(np.ones(10_000), requires_grad=True)
    y = tg.dropout(x, 0.25, rng=3)
    kept = y.data != 0
    assert abs(kept.mean() - 0.75) < 0.02
    assert_allclose(y.data[kept], 1 / 0.75)
    y.sum().backward()
    assert_array_equal(x.grad.data, y.data)


def test_dropout_of_all_and_of_none():
    x = tg.Tensor([1.0, 2.0], dtype=np.float32, requires_grad=True)
    assert tg.dropout(x, 0) is x
    everything = tg.dropout(x, 1.0)
    assert everything.tolist() == [0.0, 0.0]
    assert everything.dtype == np.float32
    with pytest.raises(ValueError, match="in range"):
        tg.dropout(x, 1.5)


# Messages


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tg.Tensor(np.ones((2, 3))) @ np.ones((4, 3)), r"matmul.*b\.T.*\(2, 3\).*\(4, 3\)"),
        (lambda: tg.Tensor(np.ones((3, 2))) @ np.ones((3, 4)), r"matmul.*a\.T"),
        (lambda: tg.Tensor(np.ones((2, 3))) @ 2.0, r"matmul.*\*"),
        (lambda: tg.Tensor(np.ones((2, 3))) + np.ones(2), r"add.*axis -1, 2 meets 3"),
        (lambda: tg.Tensor(np.ones((2, 3))).reshape(4, 2), r"reshape: 6 elements.*\(4, 2\)"),
        (lambda: tg.stack([tg.Tensor([1.0]), tg.Tensor([1.0, 2.0])]), r"stack.*\(1,\) and \(2,\)"),
        (
            lambda: tg.concatenate([tg.Tensor(np.ones((2, 1))), np.ones((3, 2))], 1),
            r"concatenate.*\(2, 1\), \(3, 2\)",
        ),
        (lambda: tg.split(tg.Tensor(np.ones(5)), 2), r"split: 5 elements.*2"),
        (
            lambda: tg.linear(tg.Tensor(np.ones(3)), np.ones((2, 4))),
            r"linear.*3 features.*\(2, 4\)",
        ),
    ],
)
def test_shapes_that_do_not_fit_are_named(call: Any, message: str):
    with pytest.raises(ValueError, match=message):
        call()


# Any shapes, axes and indices


def check(call: Any, expected: Any, shapes: list[tuple[int, ...]]) -> None:
    """Values against NumPy's and first derivatives of an operation that is linear in each input.

    Of such a one, <v, f(…, x, …)> as a function of x alone is <gradient, x>, exactly and anywhere.
    """
    rng = np.random.default_rng(sum(map(sum, shapes)) + len(shapes))
    arrays = [rng.normal(size=shape) for shape in shapes]
    leaves = tensors(arrays)
    out, plain = several(call(*leaves)), several(expected(*arrays))
    cotangents = []
    for ours, theirs in zip(out, plain, strict=True):
        assert ours.shape == np.shape(theirs)
        assert_array_equal(ours.data, theirs)
        cotangents.append(rng.normal(size=ours.shape))
    found = tg.grad(out, leaves, cotangents)
    for i, g in enumerate(found):
        other = list(arrays)
        other[i] = rng.normal(size=shapes[i])
        assert g.shape == shapes[i]
        value = inner(several(expected(*other)), cotangents)
        zero = list(arrays)
        zero[i] = np.zeros(shapes[i])
        rest = inner(several(expected(*zero)), cotangents)
        assert_allclose(inner([g.data], [other[i]]), value - rest, rtol=1e-9, atol=1e-9)


SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)
FILLED = hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4)


@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=3, min_side=0))
def test_any_shapes_that_broadcast(shapes: Any):
    for name in ("add", "subtract", "multiply"):
        check(getattr(tg, name), getattr(np, name), list(shapes.input_shapes))


@given(hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, max_side=3))
def test_any_shapes_of_where_broadcast(shapes: Any):
    first, *others = shapes.input_shapes
    condition = np.random.default_rng(len(first)).random(first) < 0.5
    check(lambda x, y: tg.where(condition, x, y), lambda x, y: np.where(condition, x, y), others)


@given(
    hnp.mutually_broadcastable_shapes(signature="(n?,k),(k,m?)->(n?,m?)", max_side=3, max_dims=2)
)
def test_any_shapes_of_matmul(shapes: Any):
    check(tg.matmul, np.matmul, list(shapes.input_shapes))


@given(st.data())
def test_any_shapes_of_dot(data: st.DataObject):
    k = data.draw(st.integers(0, 3))
    a = (*data.draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3)), k)
    b = data.draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
    b = (*b[:-1], k, *b[-1:])
    check(tg.dot, np.dot, [a, b])


@given(st.data())
def test_any_axes_of_reductions(data: st.DataObject):
    shape = data.draw(FILLED)
    axes = st.none() | st.integers(-len(shape), len(shape) - 1)
    axis = data.draw(axes | hnp.valid_tuple_axes(len(shape)))
    options = {"axis": axis, "keepdims": data.draw(st.booleans())}
    check(lambda x: tg.sum(x, **options), lambda x: np.sum(x, **options), [shape])
    check(lambda x: tg.mean(x, **options), lambda x: np.mean(x, **options), [shape])


@given(st.data())
def test_any_shapes_and_orders(data: st.DataObject):
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=4, min_side=0, max_side=3))
    other = tuple(data.draw(st.permutations(shape)))
    check(lambda x: x.reshape(other), lambda x: x.reshape(other), [shape])
    axes = tuple(
        i - data.draw(st.sampled_from([0, len(shape)]))
        for i in data.draw(st.permutations(range(len(shape))))
    )
    check(lambda x: x.transpose(axes), lambda x: x.transpose(axes), [shape])
    source, target = data.draw(st.tuples(*[st.integers(-len(shape), len(shape) - 1)] * 2))
    check(
        lambda x: tg.moveaxis(x, source, target), lambda x: np.moveaxis(x, source, target), [shape]
    )
    check(
        lambda x: tg.swapaxes(x, source, target), lambda x: np.swapaxes(x, source, target), [shape]
    )


@given(st.data())
def test_any_basic_index(data: st.DataObject):
    shape = data.draw(FILLED)
    index = data.draw(hnp.basic_indices(shape, allow_newaxis=True, max_dims=6))
    check(lambda x: x[index], lambda x: x[index], [shape])


@given(st.data())
def test_any_integer_arrays_as_index(data: st.DataObject):
    shape = data.draw(FILLED)
    index = data.draw(hnp.integer_array_indices(shape))
    check(lambda x: x[index], lambda x: x[index], [shape])


@given(st.data())
def test_any_mixture_as_index(data: st.DataObject):
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=4, min_side=1, max_side=4))
    length = data.draw(st.integers(0, 3))
    index = tuple(
        data.draw(
            st.slices(n)
            | st.integers(-n, n - 1)
            | hnp.arrays(np.intp, length, elements=st.integers(-n, n - 1))
        )
        for n in shape
    )
    check(lambda x: x[index], lambda x: x[index], [shape])


@given(st.data())
def test_any_mask_as_index(data: st.DataObject):
    shape = data.draw(FILLED)
    mask = data.draw(hnp.arrays(bool, shape[: data.draw(st.integers(1, len(shape)))]))
    check(lambda x: x[mask], lambda x: x[mask], [shape])


@given(st.data())
def test_any_joining_and_taking_apart(data: st.DataObject):
    shape = data.draw(FILLED)
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    count = data.draw(st.integers(1, 3))
    check(lambda *xs: tg.stack(xs, axis), lambda *xs: np.stack(xs, axis), [shape] * count)
    check(lambda x: tg.unstack(x, axis), lambda x: tuple(np.moveaxis(x, axis, 0)), [shape])
    sizes = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=3))
    place = axis % len(shape)
    shapes = [(*shape[:place], n, *shape[place + 1 :]) for n in sizes]
    check(lambda *xs: tg.concatenate(xs, axis), lambda *xs: np.concatenate(xs, axis), shapes)
    cuts = sorted(data.draw(st.lists(st.integers(0, shape[axis] + 1), max_size=3)))
    check(lambda x: tg.split(x, cuts, axis), lambda x: np.split(x, cuts, axis), [shape])


@settings(max_examples=30)
@given(st.data())
def test_any_axis_of_softmax_sums_to_one_and_has_gradients_that_sum_to_zero(data: st.DataObject):
    shape = data.draw(FILLED)
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    rng = np.random.default_rng(len(shape))
    x = tg.Tensor(rng.normal(size=shape) * 30, requires_grad=True)
    y = tg.softmax(x, axis)
    assert_allclose(y.data.sum(axis), 1.0)
    assert_allclose(np.exp(tg.log_softmax(x, axis).data), y.data, rtol=1e-12)
    y.backward(rng.normal(size=shape))
    assert_allclose(x.grad.data.sum(axis), 0.0, atol=1e-12)


@pytest.mark.parametrize("extreme", [tg.max, tg.min])
def test_nan_takes_the_gradient_of_an_extreme(extreme: Any):
    x = tg.Tensor([[1.0, np.nan, 2.0], [3.0, 4.0, 5.0]], requires_grad=True)
    extreme(x, axis=1).backward([2.0, 0.5])
    assert x.grad[0].tolist() == [0.0, 2.0, 0.0]
    assert x.grad[1].data.sum() == 0.5
