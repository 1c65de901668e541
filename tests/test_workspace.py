"""Memory that programs use again: never what anything else still holds."""

from __future__ import annotations

import sys
import threading
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.rnn.program import workspace as module
from tinygrad_rnn.rnn.program.workspace import Workspace

SHAPE, FLOAT = (3, 5), np.dtype(np.float64)
counted = pytest.mark.skipif(
    not hasattr(sys, "getrefcount"), reason="this interpreter doesn't count references"
)


@counted
def test_an_array_is_handed_out_again_once_it_is_let_go_of():
    workspace = Workspace()
    first = workspace.empty(SHAPE, FLOAT)
    place = first.ctypes.data
    assert workspace.empty(SHAPE, FLOAT).ctypes.data != place
    del first
    assert workspace.empty(SHAPE, FLOAT).ctypes.data == place


@pytest.mark.parametrize(
    "hold",
    [
        lambda array: array,
        lambda array: array[1:],
        lambda array: array.T,
        lambda array: [array],
        lambda array: memoryview(array),
        lambda array: np.asarray(array)[:, :2][1:],
        lambda array: tg.as_tensor(array),
    ],
)
def test_what_is_held_is_never_handed_out(hold: Any):
    workspace = Workspace()
    array = workspace.empty(SHAPE, FLOAT)
    array[...] = 7
    held = hold(array)
    del array
    for _ in range(3):
        workspace.empty(SHAPE, FLOAT)[...] = 0
    values = np.asarray(held[0] if isinstance(held, list) else getattr(held, "data", held))
    assert (values == 7).all()


def test_shapes_and_dtypes_are_kept_apart():
    workspace = Workspace()
    for shape, dtype in [((3, 5), np.float64), ((5, 3), np.float64), ((3, 5), np.float32)]:
        for _ in range(2):
            made = workspace.empty(shape, np.dtype(dtype))
            assert made.shape == shape
            assert made.dtype == dtype


def test_threads_have_their_own():
    workspace = Workspace()
    found: list[int] = []
    place = workspace.empty(SHAPE, FLOAT).ctypes.data
    kept: list[np.ndarray] = []

    def other() -> None:
        kept.append(workspace.empty(SHAPE, FLOAT))
        found.append(kept[-1].ctypes.data)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert found != [place]


def test_it_keeps_no_more_than_so_much(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_MOST_BYTES", 4000)
    workspace = Workspace()
    for size in range(1, 100):
        workspace.empty((size,), FLOAT)
        known = [array for arrays in workspace._arrays.values() for array in arrays]
        assert sum(array.nbytes for array in known) <= 4000
    assert workspace.empty((4000,), FLOAT).shape == (4000,)  # too large to be kept


def test_results_are_not_memory_that_is_used_again(rng: np.random.Generator):
    lstm = tg.nn.LSTM(2, 3, rng=0)
    x = rng.normal(size=(5, 4, 2)).astype(np.float32)
    output, (h, c) = lstm(x)
    output.sum().backward()
    results = [output.data, h.data, c.data, *(p.grad.data for p in lstm.parameters())]
    before = [np.array(array) for array in results]
    for _ in range(3):
        lstm(x + 1)[0].sum().backward()
        for parameter in lstm.parameters():
            parameter.grad = None
    for array, old in zip(results, before, strict=True):
        np.testing.assert_array_equal(array, old)
