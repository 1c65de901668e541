"""NumPy's public functions on a Tensor: each is right, or refused. None falls back to arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg

X = np.array([[0.5, 0.25, -0.75], [0.125, 0.875, 0.375], [-0.5, 0.0625, 0.6875]])

# Plain questions, whose answers carry no gradient and may be plain.
QUERIES = {
    "allclose", "array2string", "array_equal", "array_equiv", "array_repr", "array_str", "can_cast",
    "isclose", "iscomplexobj", "isrealobj", "may_share_memory", "min_scalar_type", "ndim",
    "result_type", "shape", "shares_memory", "size", "typename", "common_type", "mintypecode",
    "iterable", "isscalar", "isfortran",
    "real_if_close",  # its first argument is a plain array where it gets through
}  # fmt: skip

# They give a result for each argument: what comes of a plain array alone may be plain.
ONE_FOR_EACH = {"atleast_1d", "atleast_2d", "atleast_3d", "broadcast_arrays", "meshgrid"}

# They make no array of numbers from their arguments, or can't meet a Tensor at all.
OTHER = {
    "save", "savez", "savez_compressed", "savetxt", "load", "loadtxt", "genfromtxt", "fromfile",
    "fromstring", "fromregex", "frombuffer", "fromiter", "fromfunction", "from_dlpack", "info",
    "lookfor", "source", "who", "get_include", "show_config", "show_runtime", "test", "errstate",
    "seterr", "seterrcall", "geterr", "geterrcall", "setbufsize", "getbufsize", "printoptions",
    "set_printoptions", "get_printoptions", "nested_iters", "asmatrix", "bmat", "matrix", "memmap",
    "busday_count", "busday_offset", "is_busday", "busdaycalendar", "datetime_as_string",
    "datetime_data", "isdtype", "issubdtype", "require",
}  # fmt: skip


def public() -> Iterator[Any]:
    for prefix, module in (("", np), ("linalg.", np.linalg)):
        for name in sorted(getattr(module, "__all__", dir(module))):
            function = getattr(module, name, None)
            if (
                callable(function)
                and not isinstance(function, type)
                and name not in OTHER
                and not name.startswith("_")
            ):
                yield pytest.param(function, prefix + name, id=prefix + name)


def calls(function: Callable[..., Any], x: Callable[[], Any]) -> Iterator[Callable[[], Any]]:
    """Ways to call a function with x() among its arguments."""
    yield lambda: function(x())
    yield lambda: function(x(), x())
    yield lambda: function(x(), 1)
    yield lambda: function([x(), x()])
    yield lambda: function(x(), [x(), x()])
    yield lambda: function(X.copy(), x())
    yield lambda: function(x(), x(), x())


def outcome(call: Callable[[], Any]) -> Any:
    with np.errstate(all="ignore"):
        try:
            return call()
        except Exception as error:
            return error


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("function", "name"), list(public()))
def test_numpy_function_is_right_or_refused(function: Callable[..., Any], name: str):
    leaf = tg.Tensor(X, requires_grad=True)
    for ours, theirs in zip(calls(function, lambda: leaf), calls(function, X.copy), strict=True):
        found, expected = outcome(ours), outcome(theirs)
        assert (leaf.data == X).all(), "it was written into"
        if isinstance(expected, Exception) or name in QUERIES:
            continue
        if isinstance(found, Exception):
            assert isinstance(found, (TypeError, ValueError, IndexError)), repr(found)
            continue
        same(found, expected, name)


def same(found: Any, expected: Any, name: str) -> None:
    """The same values; and where they are floats, Tensors."""
    if isinstance(expected, (tuple, list)):
        assert len(found) == len(expected), name
        if name in ONE_FOR_EACH:
            assert any(isinstance(f, tg.Tensor) for f in found)
            found = [tg.as_tensor(f) for f in found]
        for f, e in zip(found, expected, strict=True):
            same(f, e, name)
        return
    if expected is None:
        assert found is None
        return
    assert isinstance(found, tg.Tensor) or np.asarray(expected).dtype.kind in "biu", (
        f"{name} fell back to {type(found)}"
    )
    if name == "empty_like":
        assert found.shape == expected.shape
        return
    values = found.data if isinstance(found, tg.Tensor) else found
    np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-14, err_msg=name)


def test_the_list_is_long():
    assert len(list(public())) > 300
