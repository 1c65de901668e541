"""A user's own cell is folded without asking, and never gives other numbers or effects for it."""

from __future__ import annotations

import functools
import gc
import itertools
import logging
import random as python_random
import sys
import types
import warnings
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.errors import NotFoldedWarning
from tinygrad_rnn.nn import functional as F
from tinygrad_rnn.rnn.program.untouched import Attributes

T, N, I, H = 6, 2, 3, 4  # noqa: E741
_rng = np.random.default_rng(4)


def leaf(*shape: int) -> tg.Tensor:
    return tg.Tensor(_rng.normal(size=shape), requires_grad=True)


X, H0, W, U = leaf(T, N, I), leaf(N, H), leaf(H, I), leaf(H, H)


def base(x: Any, h: Any) -> Any:
    return np.tanh(F.linear(x, W) + F.linear(h, U))


def is_folded(tensor: Any) -> bool:
    return getattr(tensor._node, "node", tensor._node).operation.name == "scan"


def numbers(output: Any) -> list[Any]:
    """The values of a result, and its gradients."""
    found = tg.grad((output**2).sum(), [X, H0, W, U], allow_unused=True)
    return [output.data, *(None if g is None else g.data for g in found)]


def assert_same(found: list[Any], wanted: list[Any]) -> None:
    for a, b in zip(found, wanted, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


def run(cell: Any, **options: Any) -> tuple[Any, list[str]]:
    """The output of a scan, and what it warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        output, _ = tg.rnn.scan(cell, X, H0, **options)
    assert all(w.category is NotFoldedWarning for w in caught)
    assert all(w.filename == __file__ for w in caught)
    return output, [str(w.message) for w in caught]


# Folded without asking


def test_a_function_is_folded():
    output, told = run(base)
    plain, _ = run(base, fold=False)
    assert is_folded(output)
    assert not is_folded(plain)
    assert not told
    assert_same(numbers(output), numbers(plain))


class Own(tg.nn.Module):
    def __init__(self, input_size: int, hidden_size: int) -> None:
        self.hidden_size = hidden_size
        self.inner = tg.nn.Linear(input_size, hidden_size, dtype=np.float64)
        self.over = tg.nn.Linear(hidden_size, hidden_size, bias=False, dtype=np.float64)

    def initial_state(self, batch: tuple[int, ...], dtype: Any) -> Any:
        return np.zeros((*batch, self.hidden_size), dtype)

    def forward(self, x: Any, h: Any) -> Any:
        return np.tanh(self.inner(x) + self.over(h))


def test_a_module_in_a_layer():
    layer = tg.rnn.Recurrent(Own, I, H)
    plain = tg.rnn.Recurrent(Own, I, H, fold=False)
    plain.load_state_dict(layer.state_dict())
    assert "fold" not in repr(layer)
    assert "fold=False" in repr(plain)
    output, other = layer(X)[0], plain(X)[0]
    assert is_folded(output)
    assert not is_folded(other)
    np.testing.assert_allclose(output.data, other.data, atol=1e-12)


@pytest.mark.parametrize("kind", [tg.nn.LSTM, tg.nn.GRU])
def test_the_librarys_cells_run_step_by_step_when_told(kind: Any):
    layer = kind(I, H, fold=False).double()
    output, _ = layer(X)
    assert not is_folded(output)
    layer.fold = True
    assert is_folded(layer(X)[0])
    np.testing.assert_allclose(output.data, layer(X)[0].data, atol=1e-12)


# Effects: undone, and then they happen step by step


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def add(self) -> int:
        self.count += 1
        return self.count


class Slotted:
    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Counting:
    calls = 0

    def __call__(self, x: Any, h: Any) -> Any:
        type(self).calls += 1
        return base(x, h)


def scaled(x: Any, h: Any, t: int) -> Any:
    return base(x, h) * (1 + 0.1 * (t > 3))


def closure_list() -> Any:
    log: list[int] = [0]

    def cell(x: Any, h: Any) -> Any:
        log[0] += 1
        return scaled(x, h, log[0])

    return cell, lambda: log[0]


def closure_number() -> Any:
    t = 0

    def cell(x: Any, h: Any) -> Any:
        nonlocal t
        t += 1
        return scaled(x, h, t)

    return cell, lambda: t


def closure_log() -> Any:
    log: list[Any] = []

    def cell(x: Any, h: Any) -> Any:
        log.append(base(x, h))
        return log[-1]

    return cell, lambda: len([h.data for h in log])


def closure_deque() -> Any:
    log: deque[int] = deque(maxlen=T)

    def cell(x: Any, h: Any) -> Any:
        log.append(1)
        return base(x, h)

    return cell, lambda: len(log)


def closure_set() -> Any:
    seen: set[int] = set()

    def cell(x: Any, h: Any) -> Any:
        seen.add(len(seen))
        return base(x, h)

    return cell, lambda: len(seen)


def not_yet_there() -> Any:
    def cell(x: Any, h: Any) -> Any:
        nonlocal late
        try:
            late += 1
        except NameError:
            late = 1
        return base(x, h)

    if not cell:
        late = 0
    return cell, lambda: late


def nested() -> Any:
    kept = {"a": [{"b": [0]}]}

    def cell(x: Any, h: Any) -> Any:
        kept["a"][0]["b"][0] += 1
        return scaled(x, h, kept["a"][0]["b"][0])

    return cell, lambda: kept["a"][0]["b"][0]


def an_object() -> Any:
    counter = Counter()
    return lambda x, h: scaled(x, h, counter.add()), lambda: counter.count


def an_object_in_an_object() -> Any:
    space = SimpleNamespace(inner=SimpleNamespace(counter=Counter()))
    return lambda x, h: scaled(x, h, space.inner.counter.add()), lambda: space.inner.counter.count


def slots() -> Any:
    kept = Slotted()

    def cell(x: Any, h: Any) -> Any:
        kept.count += 1
        return scaled(x, h, kept.count)

    return cell, lambda: kept.count


def a_small_array() -> Any:
    count = np.zeros(1, int)

    def cell(x: Any, h: Any) -> Any:
        count[0] += 1
        return scaled(x, h, count[0])

    return cell, lambda: count[0]


def a_large_array() -> Any:
    count = np.zeros(10_000, int)

    def cell(x: Any, h: Any) -> Any:
        count[0] += 1
        return scaled(x, h, count[0])

    return cell, lambda: count[0] if count.flags.writeable else "locked"


def a_view_of_a_large_array() -> Any:
    whole = np.zeros(20_000, int)
    count = whole[5:15_000]

    def cell(x: Any, h: Any) -> Any:
        whole[5] += 1
        return scaled(x, h, count[0])

    return cell, lambda: count[0] if count.flags.writeable and whole.flags.writeable else "locked"


def an_array_of_objects() -> Any:
    kept = np.array([0, "a"], dtype=object)

    def cell(x: Any, h: Any) -> Any:
        kept[0] += 1
        return scaled(x, h, kept[0])

    return cell, lambda: kept[0]


def a_buffer() -> Any:
    buffer = tg.Tensor(np.zeros(2))

    def cell(x: Any, h: Any) -> Any:
        buffer.data += 1
        return scaled(x, h, buffer.data[0])

    return cell, lambda: int(buffer.data[0])


def another_array_in_a_tensor() -> Any:
    buffer = tg.Tensor(np.zeros(2))

    def cell(x: Any, h: Any) -> Any:
        buffer.data = buffer.data + 1
        return scaled(x, h, buffer.data[0])

    return cell, lambda: int(buffer.data[0])


def on_the_function() -> Any:
    def cell(x: Any, h: Any) -> Any:
        cell.calls = getattr(cell, "calls", 0) + 1  # type: ignore[attr-defined]
        return scaled(x, h, cell.calls)  # type: ignore[attr-defined]

    return cell, lambda: cell.calls  # type: ignore[attr-defined]


def default_argument() -> Any:
    def cell(x: Any, h: Any, seen: list[int] = [], *, more: Any = {"n": 0}) -> Any:  # noqa: B006
        seen.append(0)
        more["n"] += 1
        return scaled(x, h, more["n"])

    return cell, lambda: cell.__kwdefaults__["more"]["n"]


_count = 0


def a_global() -> Any:
    global _count
    _count = 0

    def cell(x: Any, h: Any) -> Any:
        global _count
        _count += 1
        return scaled(x, h, _count)

    return cell, lambda: _count


def _counted() -> int:
    global _count
    _count += 1
    return _count


def a_global_of_a_helper() -> Any:
    global _count
    _count = 0

    def helper() -> int:
        return _counted()

    return lambda x, h: scaled(x, h, helper()), lambda: _count


def in_another_module() -> Any:
    module = types.ModuleType("a_users_module")
    module.count = 0
    source = "def add():\n    global count\n    count += 1\n    return count\n"
    exec(source, vars(module))
    space = {"module": module, "scaled": scaled}
    exec("def cell(x, h):\n    return scaled(x, h, module.add())\n", space)
    return space["cell"], lambda: module.count


def an_attribute_of_a_module() -> Any:
    module = types.ModuleType("a_users_module")
    module.count = 0
    space = {"module": module, "scaled": scaled}
    exec(
        "def cell(x, h):\n    module.count += 1\n    return scaled(x, h, module.count)\n",
        space,
    )
    return space["cell"], lambda: module.count


def on_the_class() -> Any:
    Counting.calls = 0
    return Counting(), lambda: Counting.calls


def a_bound_method() -> Any:
    counter = Counter()

    def step(self: Counter, x: Any, h: Any) -> Any:
        return scaled(x, h, self.add())

    return types.MethodType(step, counter), lambda: counter.count


def a_partial() -> Any:
    counter = Counter()
    return partial(lambda c, x, h: scaled(x, h, c.add()), counter), lambda: counter.count


def a_bound_append() -> Any:
    log: list[int] = []
    append = log.append

    def cell(x: Any, h: Any) -> Any:
        append(0)
        return base(x, h)

    return cell, lambda: len(log)


def a_property() -> Any:
    class Cell:
        def __init__(self) -> None:
            self._t = 0

        @property
        def t(self) -> int:
            self._t += 1
            return self._t

        def __call__(self, x: Any, h: Any) -> Any:
            return scaled(x, h, self.t)

    cell = Cell()
    return cell, lambda: cell._t


def a_module_within_a_module() -> Any:
    class Inner(tg.nn.Module):
        def __init__(self) -> None:
            self.history: list[Any] = []

        def forward(self, h: Any) -> Any:
            self.history.append(h)
            return h * 0.9

    class Cell(tg.nn.Module):
        def __init__(self) -> None:
            self.inner = Inner()

        def forward(self, x: Any, h: Any) -> Any:
            return self.inner(base(x, h))

    cell = Cell()
    return cell, lambda: len([h.data for h in cell.inner.history])


def a_cache() -> Any:
    calls = [0]

    @functools.lru_cache
    def weights() -> Any:
        calls[0] += 1
        return U * 0.5

    return lambda x, h: np.tanh(F.linear(x, W) + F.linear(h, weights())), lambda: calls[0] * T


COUNTED = [
    closure_list,
    closure_number,
    closure_log,
    closure_deque,
    closure_set,
    not_yet_there,
    nested,
    an_object,
    an_object_in_an_object,
    slots,
    a_small_array,
    a_large_array,
    a_view_of_a_large_array,
    an_array_of_objects,
    a_buffer,
    another_array_in_a_tensor,
    on_the_function,
    default_argument,
    a_global,
    a_global_of_a_helper,
    in_another_module,
    an_attribute_of_a_module,
    on_the_class,
    a_bound_method,
    a_partial,
    a_bound_append,
    a_property,
    a_module_within_a_module,
    a_cache,
]


@pytest.mark.parametrize("make", COUNTED)
def test_what_a_step_changes_is_changed_once_for_each_step(make: Callable[[], Any]):
    cell, look = make()
    output, told = run(cell)
    assert look() == T
    assert not is_folded(output)
    assert len(told) == 1
    plain, plain_look = make()
    other, silent = run(plain, fold=False)
    assert plain_look() == T
    assert not silent
    assert_same(numbers(output), numbers(other))


def iterator() -> Any:
    factors = iter(np.linspace(0.5, 1, T).tolist())
    return lambda x, h: base(x, h) * next(factors), lambda: list(factors)


def generator() -> Any:
    factors = (k / T for k in range(T))

    class Cell:
        def __init__(self) -> None:
            self.noise = factors

        def __call__(self, x: Any, h: Any) -> Any:
            return base(x, h) * next(self.noise)

    return Cell(), lambda: list(factors)


def count() -> Any:
    steps = itertools.count()
    return lambda x, h: scaled(x, h, next(steps)), lambda: next(steps)


def printed() -> Any:
    def cell(x: Any, h: Any) -> Any:
        print("step")
        return base(x, h)

    return cell, lambda: None


def logged() -> Any:
    logger = logging.getLogger("tests.own_cells")
    seen: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: seen.append(record.getMessage())  # type: ignore[method-assign]
    logger.handlers = [handler]
    logger.setLevel("INFO")

    def cell(x: Any, h: Any) -> Any:
        logger.info("step")
        return base(x, h)

    return cell, lambda: len(seen)


@pytest.mark.parametrize("make", [iterator, generator, count, printed, logged])
def test_what_can_not_be_undone_is_not_tried(make: Any, capsys: pytest.CaptureFixture[str]):
    cell, look = make()
    output, told = run(cell)
    left, text = look(), capsys.readouterr().out
    assert len(told) == 1
    plain, plain_look = make()
    other, _ = run(plain, fold=False)
    assert left == plain_look()
    assert text == capsys.readouterr().out
    assert_same(numbers(output), numbers(other))


def test_an_iterator_that_the_step_does_not_name_is_no_matter():
    class Trainer:
        def __init__(self) -> None:
            self.batches = iter([1, 2, 3])
            self.log = open

        def fit(self) -> None:
            print(next(self.batches))

        def step(self, x: Any, h: Any) -> Any:
            return base(x, h)

    output, told = run(Trainer().step)
    assert is_folded(output)
    assert not told


# Random numbers


def legacy() -> Any:
    return (lambda x, h: base(x, h) * (np.random.rand(N, H) < 0.5)), lambda: np.random.rand()


def legacy_by_name() -> Any:
    from numpy.random import randn

    return (lambda x, h: base(x, h) * (1 if randn() > 0 else 2)), lambda: np.random.randn()


def pythons() -> Any:
    def cell(x: Any, h: Any) -> Any:
        return base(x, h) * (1 if python_random.random() < 0.5 else 2)

    return cell, python_random.random


def pythons_own() -> Any:
    rng = python_random.Random(3)
    return lambda x, h: base(x, h) * (1 + (rng.gauss(0, 1) > 0)), lambda: rng.gauss(0, 1)


def numpys_own() -> Any:
    rng = np.random.default_rng(3)
    return lambda x, h: base(x, h) * (1 if rng.random() < 0.5 else 2), rng.random


def numpys_method() -> Any:
    draw = np.random.default_rng(3).random
    return lambda x, h: base(x, h) * (1 if draw() < 0.5 else 2), draw


def an_old_one() -> Any:
    cell = SimpleNamespace(rng=np.random.RandomState(3))
    return lambda x, h: base(x, h) * (1 + (cell.rng.randn() > 0)), cell.rng.randn


def in_a_helper() -> Any:
    def coin() -> bool:
        return np.random.rand() < 0.5

    return lambda x, h: base(x, h) * (1 if coin() else 2), lambda: np.random.rand()


def dropout() -> Any:
    return lambda x, h: F.dropout(base(x, h), 0.5), lambda: F.dropout(np.ones(9), 0.5).tolist()


DRAWING = [
    legacy,
    legacy_by_name,
    pythons,
    pythons_own,
    numpys_own,
    numpys_method,
    an_old_one,
    in_a_helper,
    dropout,
]


@pytest.mark.parametrize("make", DRAWING)
def test_random_numbers_are_those_of_the_steps(make: Callable[[], Any]):
    def everything(**options: Any) -> Any:
        tg.manual_seed(2)
        np.random.seed(2)
        python_random.seed(2)
        np.random.randn()  # the second of a pair is waiting now
        cell, look = make()
        output, told = run(cell, **options)
        return numbers(output), look(), told

    mine, next_one, told = everything()
    wanted, next_wanted, silent = everything(fold=False)
    assert next_one == next_wanted
    assert_same(mine, wanted)
    assert len(told) == 1
    assert not silent


def test_a_generator_that_only_wrappers_draw_from_is_no_matter_for_a_warning():
    layer = tg.rnn.Recurrent(Own, I, H, wrap=lambda cell: tg.rnn.Zoneout(cell, 0.2)).train()
    layer(X)


# The warning


def test_the_warning_says_which_cell_why_and_what_to_do():
    def deciding(x: Any, h: Any) -> Any:
        return base(x, h) if h.sum() > 0 else h

    output, told = run(deciding)
    (text,) = told
    assert "deciding" in text
    assert "reads the values" in text
    assert "fold=False" in text
    assert not is_folded(output)
    assert run(deciding)[1] == []


REASONS: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "value": (lambda x, h: base(x, h) * float(h.sum()), "reads the values"),
    "array_equal": (lambda x, h: base(x, h) * (1 + np.array_equal(h, h)), "np.array_equal"),
    "allclose": (lambda x, h: base(x, h) * (1 + np.allclose(h, h)), "np.allclose"),
    "isclose": (lambda x, h: base(x, h) * np.isclose(h, h), "np.isclose"),
    "requires_grad": (lambda x, h: base(x, h) * (1 + x.requires_grad), "requires a gradient"),
    "detach": (lambda x, h: base(x, h.detach()), "detaches"),
    "mask": (lambda x, h: base(x, h) + h[h > 9].sum(), "reads the values"),
    "nonzero": (lambda x, h: base(x, h) + len(np.nonzero(h)[0]), "depends on values"),
    "no notation": (lambda x, h: np.sort(base(x, h)), "no program"),
    "an array": (lambda x, h: base(x, h) * np.random.default_rng().random(H), "an array"),
    "a number": (lambda x, h: base(x, h) * np.random.default_rng().random(), "a number"),
}


@pytest.mark.parametrize("name", REASONS)
def test_reasons(name: str):
    cell, reason = REASONS[name]
    output, (text,) = run(cell)
    assert reason in text, text
    assert not is_folded(output)
    if name[:2] != "a " and name[:3] != "an ":
        assert_same(numbers(output), numbers(run(cell, fold=False)[0]))


def test_the_reason_of_an_effect_names_it():
    counter = SimpleNamespace(steps=0)

    def cell(x: Any, h: Any) -> Any:
        counter.steps += 1
        return base(x, h)

    assert "'steps'" in run(cell)[1][0]


def test_a_cell_that_is_made_anew_at_each_call_warns_once():
    def made(factor: float) -> Any:
        return lambda x, h: base(x, h) * factor * float(h.sum() > 0)

    assert [len(run(made(k))[1]) for k in range(3)] == [1, 0, 0]
    method = [partial(Deciding().step, 1.0) for _ in range(2)]
    assert [len(run(cell)[1]) for cell in method] == [1, 0]


class Deciding:
    def step(self, factor: float, x: Any, h: Any) -> Any:
        return base(x, h) * factor * float(h.sum() > 0)


def test_cells_that_are_gone_are_forgotten():
    class Cell:
        def __call__(self, x: Any, h: Any) -> Any:
            return base(x, h) * float(h.sum())

    cell = Cell()
    gone = weakref.ref(cell)
    assert len(run(cell)[1]) == 1
    del cell
    gc.collect()
    assert gone() is None


def test_no_warning_where_nothing_could_be_folded():
    def cell(x: Any, h: Any) -> Any:
        return x + (h if h.sum() > 0 else 2 * h)

    tg.rnn.scan(cell, np.ones((T, N, H)), np.ones((N, H)))  # arrays
    tg.rnn.scan(cell, tg.Tensor(np.ones((2, N, H)), requires_grad=True), np.ones((N, H)))
    x = tg.Tensor(np.ones((T, N, H)), requires_grad=True)
    with tg.rnn.unrolled():
        tg.rnn.scan(cell, x, np.ones((N, H)))
    with tg.detect_anomaly():
        tg.rnn.scan(cell, x, np.ones((N, H)))
    with pytest.warns(NotFoldedWarning, match="reads the values"):
        tg.rnn.scan(cell, x, np.ones((N, H)))


def test_an_error_of_the_cell_is_what_is_raised():
    def failing(x: Any, h: Any) -> Any:
        raise KeyError("the cell's own")

    with pytest.raises(KeyError, match="the cell's own"):
        tg.rnn.scan(failing, X, H0)


def test_effects_are_undone_when_the_step_raises():
    calls = []

    def cell(x: Any, h: Any) -> Any:
        calls.append(np.random.rand())
        if h.sum() > -np.inf:
            return base(x, h)
        return h

    np.random.seed(5)
    run(cell)
    found, calls[:] = list(calls), []
    np.random.seed(5)
    run(cell, fold=False)
    assert found == calls
    assert len(calls) == T


def test_a_tensor_that_was_kept_unseen_is_not_taken_for_a_result():
    kept: list[Any] = []

    class Hidden:
        def __getattribute__(self, name: str) -> Any:
            if name == "keep":
                return sys.modules[__name__].__dict__.setdefault("_unseen", kept).append
            return object.__getattribute__(self, name)

    hidden = Hidden()

    def cell(x: Any, h: Any) -> Any:
        hidden.keep(h)
        return base(x, h)

    run(cell)
    traced = [h for h in sys.modules[__name__].__dict__.pop("_unseen") if type(h) is not tg.Tensor]
    for h in traced:
        with pytest.raises(tg.errors.GraphError, match="fold=False"):
            h + 1


# Never stale


class Settings(NamedTuple):
    scale: float


FACTOR = 1.0


def set_global(space: Any) -> None:
    global FACTOR
    FACTOR = 2.0


CHANGES: dict[str, Callable[[Any], None]] = {
    "float": lambda s: setattr(s, "number", 0.3),
    "list": lambda s: s.numbers.__setitem__(0, 0.3),
    "array in place": lambda s: s.array.__imul__(2),
    "array": lambda s: setattr(s, "array", np.full(H, 0.2)),
    "tuple": lambda s: setattr(s, "settings", Settings(0.2)),
    "switch": lambda s: setattr(s, "switch", True),
    "tensor": lambda s: setattr(s.tensor, "data", np.full(H, 0.2)),
    "global": set_global,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_between_calls_gives_the_new_number(change: str):
    global FACTOR
    FACTOR = 1.0
    space = SimpleNamespace(
        number=1.0,
        numbers=[1.0],
        array=np.ones(H),
        settings=Settings(1.0),
        switch=False,
        tensor=tg.Tensor(np.ones(H)),
    )

    def cell(x: Any, h: Any) -> Any:
        a = base(x, h) * space.number * space.numbers[0] * space.array * FACTOR * space.tensor
        return np.sin(a) if space.switch else a * space.settings.scale

    def found() -> list[Any]:
        output, _ = run(cell)
        assert is_folded(output)
        return numbers(output)

    before = found()
    assert_same(before, found())  # the second time it is known
    CHANGES[change](space)
    after = found()
    assert_same(after, found())
    assert_same(after, numbers(run(cell, fold=False)[0]))
    assert not np.allclose(before[0], after[0])
    FACTOR = 1.0


def test_a_counter_that_is_set_between_calls_gives_the_new_number():
    counter = Counter()

    def cell(x: Any, h: Any) -> Any:
        return base(x, h) * (1 + counter.count)

    first, _ = run(cell)
    counter.add()
    second, _ = run(cell)
    assert is_folded(second)
    assert not np.allclose(first.data, second.data)
    assert_same(numbers(second), numbers(run(cell, fold=False)[0]))


def test_a_change_before_a_second_derivative_is_an_error():
    space = SimpleNamespace(factor=0.5)

    def cell(x: Any, h: Any) -> Any:
        return base(x, h) * space.factor

    output, _ = run(cell)
    assert is_folded(output)
    again, _ = run(cell)
    (slope,) = tg.grad((again**2).sum(), X, create_graph=True)
    (wanted,) = tg.grad((run(cell, fold=False)[0] ** 2).sum(), X, create_graph=True)
    np.testing.assert_allclose(slope.data, wanted.data, atol=1e-12)
    space.factor = 0.7
    with pytest.raises(tg.errors.GraphError, match="cell"):
        tg.grad((output**2).sum(), X, create_graph=True)


def test_names_given_later_are_no_change():
    bias = tg.Tensor(np.ones(H), requires_grad=True)
    output, _ = run(lambda x, h: base(x, h) + bias)
    assert is_folded(output)
    bias.name = "bias"
    assert "bias" in tg.graph(output).to_dot()


# Arrays in place, and what is reached


def test_a_large_array_is_locked_while_the_step_is_tried_and_no_longer():
    large = np.zeros(5000)
    seen = Attributes(lambda x, h: large)
    assert not large.flags.writeable
    assert seen.restore()
    assert large.flags.writeable


@pytest.mark.filterwarnings("ignore::tinygrad_rnn.errors.NotFoldedWarning")
def test_what_no_gradient_reaches_has_none():
    V = leaf(H)

    class Reading:
        def __call__(self, x: Any, h: Any) -> Any:
            return base(x, h)

        def output(self, x: Any, h: Any) -> Any:
            return np.tanh(h * V)

    for fold in (True, False):
        output, h = tg.rnn.scan(Reading(), X, H0, fold=fold)
        found = tg.grad(h.sum(), [V, W], allow_unused=True, retain_graph=True)
        assert [g is None for g in found] == [True, False]
        assert all(g is not None for g in tg.grad(output.sum(), [V, W]))


@pytest.mark.parametrize("part", [0, 1])
def test_a_result_that_nothing_with_a_gradient_reaches_requires_none(part: int):
    x, h, c = (tg.Tensor(t.data) for t in (X, H0, H0))

    def cell(x: Any, s: Any) -> Any:
        free, moving = 0.9 * s[part] + x[:, :1], base(x, s[1 - part])
        return (moving, free) if part else (free, moving)

    for fold in (True, False):
        _, parts = tg.rnn.scan(cell, x, (h, c), fold=fold)
        assert [p.requires_grad for p in parts] == [part == 1, part == 0]


def test_the_exact_gelu_runs_as_a_program():
    rng = np.random.default_rng(0)
    U, W = (tg.Tensor(rng.normal(size=s) * 0.4, requires_grad=True) for s in ((5, 3), (5, 5)))
    xs, weights = rng.normal(size=(7, 2, 3)), rng.normal(size=(7, 2, 5))

    def cell(x, h):
        return tg.gelu(np.matmul(x, U.T) + np.matmul(h, W.T))

    found = []
    for fold in (True, False):
        U.grad = W.grad = None
        ys, _ = tg.rnn.scan(cell, xs, np.zeros((2, 5)), fold=fold)  # a notice would be an error
        (ys * weights).sum().backward()
        found.append((ys.data, U.grad.data, W.grad.data))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, 1e-12, 1e-13)
