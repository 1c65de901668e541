"""Cells of one's own, in the many ways in which they are written: all of them run as programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from recurrent_kinds import leaf
from test_folded import assert_like_steps, is_folded

import tinygrad_rnn as tg
from tinygrad_rnn.nn import functional as F

SIZES = [(5, 3, 2, 7), (3, 1, 2, 5), (4, 3, 1, 1), (3, 2, 1, 5), (4, 2, 5, 1), (3, 1, 1, 1)]


class Written(NamedTuple):
    """A way of writing a cell, with the shapes of what it works on, in the sizes B, I, H.

    Attributes:
        cell: ``cell(x, state, p)``; p holds the parameters as attributes.
        x: the shape of a step's input.
        state: those of the parts of the state.
        parameters: those of the parameters.
    """

    cell: Callable[[Any, Any, Any], Any]
    x: str = "B, I"
    state: tuple[str, ...] = ("B, H",)
    parameters: dict[str, str] = {}  # noqa: RUF012


def rows(cell: Any, **parameters: str) -> Written:
    return Written(cell, "B, I", ("B, H",), {"W": "I, H", "U": "H, H", "b": "H,", **parameters})


def vector(cell: Any, **parameters: str) -> Written:
    return Written(cell, "I,", ("H,",), {"W": "H, I", "U": "H, H", "b": "H,", **parameters})


def columns(cell: Any, batch: str = "1", **parameters: str) -> Written:
    given = {"W": "H, I", "U": "H, H", "b": "H, 1", **parameters}
    return Written(cell, f"I, {batch}", (f"H, {batch}",), given)


def lstm(cell: Any, **parameters: str) -> Written:
    given = {"W": "I, 4 * H", "U": "H, 4 * H", "b": "4 * H,", **parameters}
    return Written(cell, "B, I", ("B, H", "B, H"), given)


def joined(x: Any, h: Any) -> Any:
    return np.concatenate([x, h], axis=-1)


def gated(state: Any, i: Any, f: Any, g: Any, o: Any) -> Any:
    c = tg.sigmoid(f) * state[1] + tg.sigmoid(i) * np.tanh(g)
    return tg.sigmoid(o) * np.tanh(c), c


def summed(x: Any, s: Any, p: Any) -> Any:
    return x @ p.W + s[0] @ p.U + p.b


def in_slices(a: Any, size: int) -> list[Any]:
    return [a[:, k * size : (k + 1) * size] for k in range(4)]


def an_lstm(cut: Callable[[Any, int], Any]) -> Written:
    return lstm(lambda x, s, p: gated(s, *cut(summed(x, s, p), s[0].shape[-1])))


def gru(x: Any, h: Any, p: Any) -> Any:
    r = tg.sigmoid(x @ p.Wr + h @ p.Ur)
    z = tg.sigmoid(x @ p.Wz + h @ p.Uz)
    n = np.tanh(x @ p.W + (r * h) @ p.U)
    return (1 - z) * n + z * h


PRODUCTS = {
    "dot": rows(lambda x, h, p: np.tanh(np.dot(x, p.W) + np.dot(h, p.U) + p.b)),
    "matmul": rows(lambda x, h, p: np.tanh(np.matmul(x, p.W) + np.matmul(h, p.U) + p.b)),
    "transposes": rows(lambda x, h, p: np.tanh(x @ p.W.T + h @ p.U.T + p.b), W="H, I", b="1, H"),
    "np.transpose": rows(
        lambda x, h, p: np.tanh(x @ np.transpose(p.W) + h @ np.swapaxes(p.U, 0, 1)), W="H, I"
    ),
    "linear": rows(lambda x, h, p: np.tanh(F.linear(x, p.W, p.b) + F.linear(h, p.U)), W="H, I"),
    "linear of a transpose": rows(
        lambda x, h, p: np.tanh(F.linear(x, p.W.T, p.b) + F.linear(h, p.U.T))
    ),
    "turned": rows(lambda x, h, p: np.tanh(p.W @ x.T + p.U @ h.T).T + p.b, W="H, I"),
    "turned, transposes": rows(lambda x, h, p: np.tanh(p.W.T @ x.T + p.U.T @ h.T).T + p.b),
    "einsum": rows(
        lambda x, h, p: np.tanh(np.einsum("ni,ih->nh", x, p.W) + np.einsum("hk,nk->nh", p.U, h))
    ),
    "inner": rows(lambda x, h, p: np.tanh(np.inner(x, p.W) + np.inner(h, p.U)), W="H, I"),
    "tensordot": rows(lambda x, h, p: np.tanh(np.tensordot(x, p.W, 1) + np.tensordot(h, p.U, 1))),
    "a vector of weights": rows(lambda x, h, p: np.tanh(x @ p.W + (h @ p.b)[:, None] * p.U[0])),
    "weights of weights": rows(lambda x, h, p: np.tanh(x @ np.tanh(p.W) + h @ (p.U + p.U.T))),
    "the same twice": rows(lambda x, h, p: np.tanh(x @ p.W + h @ p.U + (h @ p.U) @ p.U.T + p.b)),
    "one not reached": rows(lambda x, h, p: np.tanh(x @ p.W + h)),
}

JOINED = {
    "joined": rows(lambda x, h, p: np.tanh(joined(x, h) @ p.W + p.b), W="I + H, H"),
    "joined, the other way": rows(lambda x, h, p: np.tanh(joined(h, x) @ p.W + p.b), W="I + H, H"),
    "hstack": rows(lambda x, h, p: np.tanh(np.hstack([x, h]) @ p.W + p.b), W="I + H, H"),
    "linear": rows(lambda x, h, p: np.tanh(F.linear(joined(h, x), p.W, p.b)), W="H, I + H"),
    "transpose": rows(lambda x, h, p: np.tanh(joined(x, h) @ p.W.T + p.b), W="H, I + H"),
    "dot": rows(lambda x, h, p: np.tanh(np.dot(joined(x, h), p.W) + p.b), W="I + H, H"),
    "twice": rows(
        lambda x, h, p: np.tanh(joined(x, h) @ p.W) * tg.sigmoid(joined(x, h) @ p.V + p.b),
        W="I + H, H",
        V="I + H, H",
    ),
    "lstm": lstm(
        lambda x, s, p: gated(s, *np.split(joined(x, s[0]) @ p.W + p.b, 4, axis=1)),
        W="I + H, 4 * H",
    ),
    "lstm, linear": lstm(
        lambda x, s, p: gated(s, *np.split(F.linear(joined(s[0], x), p.W, p.b), 4, axis=-1)),
        W="4 * H, I + H",
    ),
    "of two states": lstm(
        lambda x, s, p: (np.tanh(joined(*s) @ p.W + x @ p.V), 0.5 * s[1] + s[0]),
        W="2 * H, H",
        V="I, H",
    ),
    "and something else": rows(
        lambda x, h, p: np.tanh(joined(x, h) @ p.W + p.b) + joined(x, h).sum(axis=1, keepdims=True),
        W="I + H, H",
    ),
    "vectors": vector(lambda x, h, p: np.tanh(p.W @ np.concatenate([x, h]) + p.b), W="H, I + H"),
    "vectors, hstack": vector(lambda x, h, p: np.tanh(np.hstack((h, x)) @ p.W), W="I + H, H"),
    "columns": columns(
        lambda x, h, p: np.tanh(p.W @ np.concatenate([h, x], axis=0) + p.b), W="H, I + H"
    ),
    "columns, vstack": columns(lambda x, h, p: np.tanh(p.W @ np.vstack((h, x))), W="H, I + H"),
}

SINGLE = {
    "dot": vector(lambda x, h, p: np.tanh(np.dot(p.W, x) + np.dot(p.U, h) + p.b)),
    "matmul": vector(lambda x, h, p: np.tanh(p.W @ x + p.U @ h + p.b)),
    "weights last": vector(lambda x, h, p: np.tanh(x @ p.W + h @ p.U + p.b), W="I, H"),
    "transposes": vector(lambda x, h, p: np.tanh(x @ p.W.T + p.U.T @ h + p.b)),
    "linear": vector(lambda x, h, p: np.tanh(F.linear(x, p.W, p.b) + F.linear(h, p.U))),
    "einsum": vector(lambda x, h, p: np.tanh(np.einsum("hi,i->h", p.W, x) + p.U @ h)),
    "lstm": Written(
        lambda x, s, p: gated(s, *np.split(p.W @ x + p.U @ s[0] + p.b, 4)),
        "I,",
        ("H,", "H,"),
        {"W": "4 * H, I", "U": "4 * H, H", "b": "4 * H,"},
    ),
    "gru": Written(
        gru,
        "I,",
        ("H,",),
        {"W": "I, H", "Wr": "I, H", "Wz": "I, H", "U": "H, H", "Ur": "H, H", "Uz": "H, H"},
    ),
    "numbers": Written(
        lambda x, h, p: np.tanh(x * p.w + p.U @ h + p.b),
        "",
        ("H,",),
        {"w": "H,", "U": "H, H", "b": "H,"},
    ),
    "numbers in numbers": Written(
        lambda x, h, p: np.tanh(x * p.w + p.u * h + p.b), "", ("",), {"w": "", "u": "", "b": ""}
    ),
    "of all features": vector(lambda x, h, p: np.tanh(p.W @ x) * h.sum() + x.mean()),
    "columns": columns(lambda x, h, p: np.tanh(p.W @ x + p.U @ h + p.b)),
    "columns, dot": columns(lambda x, h, p: np.tanh(np.dot(p.W, x) + np.dot(p.U, h) + p.b)),
    "several columns": columns(lambda x, h, p: np.tanh(p.W @ x + p.U @ h + p.b), "B"),
    "a column from a vector": Written(
        lambda x, h, p: np.tanh(p.W @ x.reshape(-1, 1) + p.U @ h + p.b),
        "I,",
        ("H, 1",),
        {"W": "H, I", "U": "H, H", "b": "H, 1"},
    ),
    "one row": Written(
        lambda x, h, p: np.tanh(x[None, :] @ p.W + h @ p.U + p.b),
        "I,",
        ("1, H",),
        {"W": "I, H", "U": "H, H", "b": "1, H"},
    ),
    "two axes of batch": Written(
        lambda x, h, p: np.tanh(x @ p.W + F.linear(h, p.U) + p.b),
        "B, 2, I",
        ("B, 2, H",),
        {"W": "I, H", "U": "H, H", "b": "H,"},
    ),
    "two axes of batch, lstm": Written(
        lambda x, s, p: gated(s, *np.split(summed(x, s, p), 4, axis=-1)),
        "2, B, I",
        ("2, B, H", "2, B, H"),
        {"W": "I, 4 * H", "U": "H, 4 * H", "b": "4 * H,"},
    ),
}

PARTS = {
    "slices": an_lstm(in_slices),
    "slices after an ellipsis": an_lstm(
        lambda a, n: [a[..., :n], a[..., n : 2 * n], a[..., 2 * n : 3 * n], a[..., 3 * n :]]
    ),
    "split": an_lstm(lambda a, n: np.split(a, 4, axis=-1)),
    "split at": an_lstm(lambda a, n: np.split(a, [n, 2 * n, 3 * n], axis=1)),
    "array_split": an_lstm(lambda a, n: np.array_split(a, 4, axis=1)),
    "hsplit": an_lstm(lambda a, n: np.hsplit(a, 4)),
    "reshaped": an_lstm(lambda a, n: [a.reshape(len(a), 4, n)[:, k] for k in range(4)]),
    "reshaped, whole": an_lstm(lambda a, n: [a.reshape(-1, 4, n)[:, k, :] for k in range(4)]),
    "unstacked": an_lstm(lambda a, n: np.unstack(a.reshape(-1, 4, n), axis=1)),
    "some of it": an_lstm(lambda a, n: [a[:, :n], a[:, n : 2 * n], a[:, :n], a[:, 2 * n : 3 * n]]),
    "some of a split": an_lstm(lambda a, n: np.split(a, 4, axis=1)[:1] * 2 + in_slices(a, n)[2:]),
    "columns": rows(lambda x, h, p: np.tanh(x[:, :1] * p.b + h @ p.U) * h[:, -1:]),
    "a column": rows(lambda x, h, p: np.tanh(x[:, 0][:, None] * p.b + h @ p.U)),
    "widths": Written(
        lambda x, s, p: (np.tanh(x @ p.W + s[1] @ p.U), tg.sigmoid(s[0] @ p.V) + 0.5 * s[1]),
        "B, I",
        ("B, H", "B, 1"),
        {"W": "I, H", "U": "1, H", "V": "H, 1"},
    ),
    "one gate for all": rows(
        lambda x, h, p: tg.sigmoid(h @ p.g) * np.tanh(x @ p.W + h @ p.U), g="H, 1"
    ),
}

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "silu": tg.silu,
    "softplus": tg.softplus,
    "logsigmoid": tg.logsigmoid,
    "gelu": tg.gelu,
    "gelu tanh": lambda a: tg.gelu(a, "tanh"),
    "leaky_relu": tg.leaky_relu,
    "elu": lambda a: tg.elu(a, 0.5),
    "selu": tg.selu,
    "celu": lambda a: tg.celu(a, 0.7),
    "mish": tg.mish,
    "hardtanh": tg.hardtanh,
    "hardsigmoid": tg.hardsigmoid,
    "hardswish": tg.hardswish,
    "relu": tg.relu,
    "relu6": tg.relu6,
    "softsign": tg.softsign,
    "tanhshrink": tg.tanhshrink,
    "clip": lambda a: np.clip(a, -0.5, 0.5),
    "clip below": lambda a: np.clip(a, 0, None),
    "softmax": lambda a: tg.softmax(a, -1),
    "log_softmax": lambda a: tg.log_softmax(a, 1),
    "maximum": lambda a: np.maximum(a, 0.1 * a - 0.2),
    "minimum": lambda a: np.minimum(np.maximum(a, 0), 1),
    "where": lambda a: np.where(a > 0, a, np.expm1(a)),
    "abs": lambda a: abs(a) - 0.5,
    "square": lambda a: np.square(np.tanh(a)),
    "sqrt": lambda a: np.sqrt(a * a + 1) - 1,
    "power": lambda a: np.tanh(a) ** 2 - np.tanh(a) ** 3,
    "compared": lambda a: (a > 0) * a,
    "compared, reversed": lambda a: np.tanh(a) * (a >= 0.1) + 1.0,
    "erf": tg.erf,
    "sin": np.sin,
    "exp": lambda a: np.exp(-(a**2)),
    "log": lambda a: np.log1p(a * a),
    "logistic": lambda a: 1 / (1 + np.exp(-a)),
    "layer_norm": lambda a: F.layer_norm(a, a.shape[-1:]),
    "rms_norm": lambda a: F.rms_norm(a, a.shape[-1:], eps=0.1),
    "less its mean": lambda a: a - a.mean(axis=-1, keepdims=True),
    "by its sum": lambda a: a / (1 + np.abs(a).sum(axis=1, keepdims=True)),
    "NumPy's number": lambda a: np.float64(0.3) * np.tanh(a) + np.sqrt(2.0),
}


def activated(name: str) -> Written:
    return rows(lambda x, h, p: 0.5 * h + ACTIVATIONS[name](x @ p.W + h @ p.U + p.b))


def activated_state(name: str) -> Written:
    return rows(lambda x, h, p: ACTIVATIONS[name](h) * p.b + np.tanh(x @ p.W) * 0.7)


STATES = {
    "the input": Written(
        lambda x, s, p: (np.tanh(x @ p.W + s[0] @ p.U + s[1] @ p.V), x),
        "B, I",
        ("B, H", "B, I"),
        {"W": "I, H", "U": "H, H", "V": "I, H"},
    ),
    "the state before": lstm(
        lambda x, s, p: (np.tanh(x @ p.W + s[1] @ p.U), s[0]),
        W="I, H",
        U="H, H",
        b="H,",
    ),
    "kept": lstm(
        lambda x, s, p: (np.tanh(x @ p.W + s[0] @ p.U) * s[1], s[1]),
        W="I, H",
        U="H, H",
        b="H,",
    ),
    "swapped": lstm(
        lambda x, s, p: (s[1], np.tanh(x @ p.W + s[0] @ p.U)),
        W="I, H",
        U="H, H",
        b="H,",
    ),
    "twice the same": lstm(
        lambda x, s, p: (np.tanh(x @ p.W + s[0] @ p.U + s[1]),) * 2,
        W="I, H",
        U="H, H",
        b="H,",
    ),
    "parts of one": lstm(
        lambda x, s, p: tuple(np.split(np.tanh(joined(*s) @ p.U + x @ p.W), 2, axis=1)),
        W="I, 2 * H",
        U="2 * H, 2 * H",
    ),
    "from the input alone": rows(lambda x, h, p: np.tanh(x @ p.W + p.b)),
    "from the state alone": rows(lambda x, h, p: np.tanh(h @ p.U + p.b)),
    "the state": rows(lambda x, h, p: h),
    "one is the input, vectors": Written(
        lambda x, s, p: (np.tanh(p.W @ x + p.U @ s[0] + p.V @ s[1]), x),
        "I,",
        ("H,", "I,"),
        {"W": "H, I", "U": "H, H", "V": "H, I"},
    ),
}

PARAMETERS = {
    "numbers": rows(
        lambda x, h, p: (1 - p.a) * h + p.a * np.tanh(x @ p.W + p.g * (h @ p.U)), a="", g="1,"
    ),
    "a number through sigmoid": rows(
        lambda x, h, p: (1 - tg.sigmoid(p.a)) * h + tg.sigmoid(p.a) * np.tanh(x @ p.W + h @ p.U),
        a="",
    ),
    "exp of a vector": rows(lambda x, h, p: np.exp(-np.exp(p.b)) * h + x @ p.W),
    "rows": rows(lambda x, h, p: np.tanh(x @ p.W + h * p.d + p.b), d="1, H", b="1, H"),
    "a number, 1 by 1": rows(lambda x, h, p: np.tanh(x @ p.W + h * p.d + p.b), d="1, 1"),
    "in two places": rows(lambda x, h, p: np.tanh((h + p.b) @ p.U + p.b) * p.b + x @ p.W),
    "one-hot": rows(lambda x, h, p: np.tanh(x @ p.W + h) * np.eye(7, dtype=int)[0, : p.b.size]),
    "integers": rows(lambda x, h, p: np.tanh(x @ p.W + h * np.arange(p.b.size) * 0.1)),
    "booleans": rows(
        lambda x, h, p: np.where(np.arange(p.b.size) % 2 == 0, np.tanh(x @ p.W + h), 0.5 * h)
    ),
    "a mask of weights": rows(lambda x, h, p: np.tanh(x @ p.W + h @ np.tril(p.U))),
    "parts of a weight": rows(
        lambda x, h, p: np.tanh(x @ p.A[: x.shape[1]] + h @ p.A[x.shape[1] :] + p.b), A="I + H, H"
    ),
    "vectors, numbers": vector(
        lambda x, h, p: (1 - tg.sigmoid(p.a)) * h + tg.sigmoid(p.a) * np.tanh(p.W @ x), a=""
    ),
    "gru": Written(
        gru,
        "B, I",
        ("B, H",),
        {"W": "I, H", "Wr": "I, H", "Wz": "I, H", "U": "H, H", "Ur": "H, H", "Uz": "H, H"},
    ),
}

WAYS = {
    **{f"products: {name}": way for name, way in PRODUCTS.items()},
    **{f"joined: {name}": way for name, way in JOINED.items()},
    **{f"single: {name}": way for name, way in SINGLE.items()},
    **{f"parts: {name}": way for name, way in PARTS.items()},
    **{f"activation: {name}": activated(name) for name in ACTIVATIONS},
    **{f"activation of the state: {name}": activated_state(name) for name in ACTIVATIONS},
    **{f"states: {name}": way for name, way in STATES.items()},
    **{f"parameters: {name}": way for name, way in PARAMETERS.items()},
}


class Parameters:
    """Parameters by their names."""


class Made(NamedTuple):
    """A cell with what it runs on."""

    cell: Any
    x: Any
    state: Any
    leaves: list[Any]


def made(way: Written, sizes: tuple[int, int, int, int], seed: int = 5) -> Made:
    steps, *rest = sizes
    known = dict(zip("BIH", rest, strict=True))
    rng = np.random.default_rng(seed)

    def drawn(shape: str, lead: tuple[int, ...] = ()) -> Any:
        found = eval(f"({shape})", dict(known)) if shape else ()
        return leaf(rng.normal(size=(*lead, *found)) * 0.7)

    p = Parameters()
    for name, shape in way.parameters.items():
        setattr(p, name, drawn(shape).named(name))
    x, parts = drawn(way.x, (steps,)), [drawn(shape) for shape in way.state]
    state = parts[0] if len(parts) == 1 else tuple(parts)
    return Made(lambda x, s: way.cell(x, s, p), x, state, [x, *parts, *vars(p).values()])


def assert_folds(made: Made, tolerance: float = 1e-12, **options: Any) -> None:
    def call() -> Any:
        return tg.rnn.scan(made.cell, made.x, made.state, fold=True, **options)

    output, *_ = assert_like_steps(call, made.leaves, None, tolerance)
    assert is_folded(output)


# What the program's source has no lines for yet.
@pytest.mark.parametrize("name", list(WAYS))
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_every_way(name: str, sizes: Any):
    assert_folds(made(WAYS[name], sizes))


SOME = [
    "products: transposes",
    "products: turned",
    "joined: joined",
    "joined: lstm, linear",
    "parts: reshaped, whole",
    "parts: widths",
    "parts: one gate for all",
    "activation: gelu",
    "activation: softmax",
    "states: the input",
    "states: from the input alone",
    "states: kept",
    "parameters: a number through sigmoid",
    "parameters: gru",
]
OF_ONE = ["single: dot", "single: lstm", "single: columns", "single: numbers", "joined: vectors"]


@pytest.mark.parametrize("name", [*SOME, *OF_ONE, "single: two axes of batch"])
def test_backwards(name: str):
    assert_folds(made(WAYS[name], (5, 3, 2, 7)), reverse=True)


@pytest.mark.parametrize("name", SOME)
@pytest.mark.parametrize("reverse", [False, True])
def test_lengths(name: str, reverse: bool):
    assert_folds(made(WAYS[name], (5, 3, 2, 7)), reverse=reverse, lengths=[2, 0, 5])


@pytest.mark.parametrize("name", [*OF_ONE, "single: two axes of batch", "joined: joined"])
def test_the_same_steps_of_all_are_real(name: str):
    mask = np.array([True, False, True, True, False])
    assert_folds(made(WAYS[name], (5, 3, 2, 7)), mask=mask)
    assert_folds(made(WAYS[name], (5, 3, 2, 7)), lengths=3, reverse=True)


@pytest.mark.parametrize("name", [*SOME, *OF_ONE])
@pytest.mark.parametrize("wanted", ["x", "state", "parameters", "last"])
def test_some_gradients(name: str, wanted: str):
    found = made(WAYS[name], (4, 3, 2, 5))
    x, *rest = found.leaves
    count = len(WAYS[name].state)
    for k, each in enumerate(rest):
        each.requires_grad = (k < count and wanted == "state") or (
            k >= count and wanted == "parameters"
        )
    x.requires_grad = wanted == "x"
    if wanted == "last":
        rest[-1].requires_grad = True
    with tg.rnn.unrolled():
        output, _ = tg.rnn.scan(found.cell, found.x, found.state)
    if output.requires_grad:
        assert_folds(found)


# Step by step, a state that is kept is the very Tensor that was given.
@pytest.mark.parametrize(
    "name", [n for n in WAYS if n not in ("states: kept", "states: the state")]
)
def test_without_a_graph(name: str):
    found = made(WAYS[name], (4, 3, 2, 5))
    with tg.no_grad():
        assert_like_steps(
            lambda: tg.rnn.scan(found.cell, found.x, found.state, fold=True), [], None, 1e-12
        )


@pytest.mark.parametrize("name", [*SOME, *OF_ONE])
def test_float32(name: str):
    found = made(WAYS[name], (4, 3, 2, 5))
    for each in found.leaves:
        each.data = each.data.astype(np.float32)
    assert_folds(found, 2e-5)


def test_weights_of_another_dtype(rng: np.random.Generator):
    x, W, b, h = (leaf(rng.normal(size=s)) for s in ((5, 3, 2), (7, 2), (1, 7), (3, 7)))
    W.data, b.data = W.data.astype(np.float32), b.data.astype(np.float32)
    cell = Made(lambda x, h: np.tanh(x @ W.T + 0.5 * h + b), x, h, [x, W, b, h])
    assert_folds(cell, 1e-6)


class Reading(tg.nn.Module):
    """A cell of modules that is read out in the loop."""

    def __init__(self, normalised: bool) -> None:
        options = {"dtype": np.float64, "rng": 3}
        self.inside = tg.nn.Linear(2, 7, **options)
        self.over = tg.nn.Linear(7, 7, **options)
        self.norm = tg.nn.LayerNorm(7, dtype=np.float64) if normalised else None
        self.out = tg.nn.Linear(7, 4, **options)

    def forward(self, x: Any, h: Any) -> Any:
        a = self.inside(x) + self.over(h)
        return np.tanh(a if self.norm is None else self.norm(a))

    def output(self, x: Any, h: Any) -> Any:
        return tg.silu(self.out(h))


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("batch", [(), (3,), (3, 2)])
def test_read_out(normalised: bool, batch: tuple[int, ...], rng: np.random.Generator):
    cell = Reading(normalised)
    x, h = leaf(rng.normal(size=(5, *batch, 2))), leaf(rng.normal(size=(*batch, 7)))
    assert_like_steps(lambda: tg.rnn.scan(cell, x, h, fold=True), [x, h, *cell.parameters()])
    with tg.no_grad():
        assert_like_steps(lambda: tg.rnn.scan(cell, x, h, fold=True), [])


def test_read_out_in_a_program(rng: np.random.Generator):
    cell, x, h = Reading(False), leaf(rng.normal(size=(5, 3, 2))), leaf(rng.normal(size=(3, 7)))
    assert_folds(Made(cell, x, h, [x, h, *cell.parameters()]))


class Numbers:
    """A cell that is read out as one number."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.U, self.v = leaf(rng.normal(size=(7, 7))), leaf(rng.normal(size=(7,)))

    def __call__(self, x: Any, h: Any) -> Any:
        return np.tanh(self.U @ h + x)

    def output(self, x: Any, h: Any) -> Any:
        return self.v @ h


def test_read_out_as_a_number(rng: np.random.Generator):
    cell, x, h = Numbers(rng), leaf(rng.normal(size=(5, 7))), leaf(rng.normal(size=(7,)))
    assert_like_steps(lambda: tg.rnn.scan(cell, x, h, fold=True), [x, h, cell.U, cell.v])
    cell.v.requires_grad = False
    assert_folds(Made(cell, x, h, [x, h, cell.U]))


def test_against_numpy_alone(rng: np.random.Generator):
    W, U, b = rng.normal(size=(7, 2)), rng.normal(size=(7, 7)), rng.normal(size=(7, 1))
    x = rng.normal(size=(5, 2, 1))
    h, wanted = np.zeros((7, 1)), []
    for t in range(5):
        h = np.tanh(W @ x[t] + U @ h + b)
        wanted.append(h)
    weights = [leaf(w) for w in (W, U, b)]
    ys, last = tg.rnn.scan(
        lambda x, h: np.tanh(weights[0] @ x + weights[1] @ h + weights[2]),
        x,
        np.zeros((7, 1)),
        fold=True,
    )
    assert is_folded(ys)
    np.testing.assert_allclose(ys.data, wanted, rtol=1e-12)
    np.testing.assert_allclose(last.data, wanted[-1], rtol=1e-12)


def test_one_sequence_against_numpy_alone(rng: np.random.Generator):
    W, x, h = leaf(rng.normal(size=(7, 9))), rng.normal(size=(5, 2)), np.ones(7)
    ys, _ = tg.rnn.scan(
        lambda x, h: tg.silu(W @ np.concatenate([x, h])), x, h, fold=True, reverse=True
    )
    assert is_folded(ys)
    for t in reversed(range(5)):
        a = W.data @ np.concatenate([x[t], h])
        h = a / (1 + np.exp(-a))
        np.testing.assert_allclose(ys.data[t], h, rtol=1e-11)


def test_second_derivatives(rng: np.random.Generator):
    found = made(WAYS["single: matmul"], (3, 1, 2, 3))

    def slopes() -> Any:
        ys, _ = tg.rnn.scan(found.cell, found.x, found.state, fold=True)
        (g,) = tg.grad((ys**2).sum(), found.leaves[2], create_graph=True)
        return tg.grad((g**2).sum(), found.leaves)

    mine = slopes()
    with tg.rnn.unrolled():
        for a, b in zip(mine, slopes(), strict=True):
            np.testing.assert_allclose(a.data, b.data, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["joined: linear", "activation: silu", "activation: gelu"])
def test_saved(name: str, tmp_path: Any):
    """The module that is saved needs NumPy alone, and gives the same."""
    found = made(WAYS[name], (5, 3, 2, 7))
    program = tg.rnn.program(found.cell, x=found.x.data[0], state=found.state.data)
    program.save(tmp_path / "saved.py")
    text = (tmp_path / "saved.py").read_text()
    assert "tinygrad_rnn" not in text.replace("Written by tinygrad_rnn", "")
    space: dict[str, Any] = {}
    exec(compile(text, "saved.py", "exec"), space)
    params = {p.name: p.data for p in found.leaves[2:] if p.name in space["PARAMETERS"]}
    xs, state = found.x.data, (found.state.data,)
    outputs, final, saved = space["forward"](params, xs, state)
    ones = np.ones_like(outputs)
    gx, gstate, gparams = space["backward"](params, xs, saved, ones, (np.zeros((3, 7)),))
    with tg.rnn.unrolled():
        ys, last = tg.rnn.scan(found.cell, found.x, found.state)
        ys.sum().backward()
    np.testing.assert_allclose(outputs, ys.data, rtol=1e-12)
    np.testing.assert_allclose(final[0], last.data, rtol=1e-12)
    np.testing.assert_allclose(gx, found.x.grad.data, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(gstate[0], found.state.grad.data, rtol=1e-9, atol=1e-12)
    for key, g in gparams.items():
        wanted = next(p for p in found.leaves if p.name == key).grad.data
        np.testing.assert_allclose(g, wanted, rtol=1e-9, atol=1e-12)
