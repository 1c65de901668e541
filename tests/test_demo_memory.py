"""demos/memory.py: its two tasks, its networks, and a small run of the whole."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import math
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_rnn as tg

pytest.importorskip("matplotlib")
pytest.importorskip("tqdm")

sys.path.insert(0, str(Path(__file__).parent.parent / "demos"))

memory = importlib.import_module("memory")

ADDING, COPY = TASKS = memory.Adding(), memory.Copy(0)
TINY = ["--lengths", "5", "3", "5", "--updates", "20", "--hidden", "4", "--batch", "4", "--out"]


def rng(seed=0):
    return np.random.default_rng(seed)


def train(model, task, length, batch=32, updates=500):
    args = SimpleNamespace(seed=0, batch=batch, updates=updates)
    return memory.train(model, task, length, args, memory.tqdm(disable=True))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The folder, the figures, and what is printed."""
    folder = tmp_path_factory.mktemp("tiny")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        figures = memory.main([*TINY, str(folder)])
    return folder, figures, printed.getvalue()


# The tasks


@pytest.mark.parametrize("length", [2, 7, 20])
def test_adding_marks_one_number_in_each_half(length):
    x, sums = ADDING.draw("training", rng(), 200, length)
    assert (x.shape, sums.shape) == ((length, 200, 2), (1, 200, 1))
    numbers, marks = x[..., 0], x[..., 1]
    assert set(np.unique(marks)) <= {0, 1}
    assert (marks[: length // 2].sum(axis=0) == 1).all()
    assert (marks[length // 2 :].sum(axis=0) == 1).all()
    for n in range(5):
        first, second = numbers[marks[:, n] == 1, n]
        assert sums[0, n, 0] == pytest.approx(first + second)


def test_every_step_of_adding_is_marked_at_some_time():
    x, _ = ADDING.draw("training", rng(), 2000, 9)
    assert (x[..., 1].sum(axis=1) > 0).all()


def test_the_baseline_of_adding_is_what_always_answering_1_gives():
    _, sums = ADDING.draw("training", rng(), 200_000, 4)
    found = float(ADDING.loss(tg.Tensor(np.ones_like(sums)), sums))
    assert found == pytest.approx(ADDING.baseline, rel=0.01)


def test_copy_shows_five_symbols_waits_and_asks():
    x, strings = COPY.draw("training", rng(), 50, 6)
    assert (x.shape, strings.shape) == ((16, 50, 6), (5, 50))
    np.testing.assert_array_equal(x.sum(axis=-1), 1)
    steps = x.argmax(axis=-1)
    np.testing.assert_array_equal(steps[:5], strings)
    assert strings.min() == 0
    assert strings.max() == 3
    blank, signal = 4, 5
    assert (steps[5:10] == blank).all()
    assert (steps[10] == signal).all()
    assert (steps[11:] == blank).all()


def test_the_baseline_of_copy_is_that_of_equal_scores():
    _, strings = COPY.draw("training", rng(), 50, 6)
    found = float(COPY.loss(tg.Tensor(np.zeros((5, 50, 4))), strings))
    assert found == pytest.approx(math.log(4)) == pytest.approx(COPY.baseline)


def test_each_part_of_copy_has_strings_of_its_own():
    parts = {part: set(map(tuple, strings)) for part, strings in COPY.strings.items()}
    assert {part: len(strings) for part, strings in parts.items()} == {
        "training": 768,
        "validation": 128,
        "test": 128,
    }
    assert len(set.union(*parts.values())) == 4**5
    for part, strings in parts.items():
        _, drawn = COPY.draw(part, rng(), 20_000, 3)
        assert set(map(tuple, drawn.T)) == strings
    assert (memory.Copy(1).strings["test"] != COPY.strings["test"]).any()


@pytest.mark.parametrize("task", TASKS)
def test_nothing_of_validation_and_test_is_trained_on(task, monkeypatch):
    """What tells sequences apart: the numbers to add, or the string to copy."""
    drawn = {"training": set(), "validation": set(), "test": set()}
    real = type(task).draw

    def draw(self, part, generator, n, length):
        x, targets = real(self, part, generator, n, length)
        told = x[:, :, 0] if task is ADDING else targets
        drawn[part] |= {told[:, k].tobytes() for k in range(n)}
        return x, targets

    monkeypatch.setattr(type(task), "draw", draw)
    train(memory.Network("feed-forward", task, 4, 10, seed=0), task, 10, updates=60)
    validation, test, training = (drawn[part] for part in ("validation", "test", "training"))
    assert len(training) == 60 * 32 if task is ADDING else len(training) > 600
    assert not validation & test
    assert not training & (validation | test)


@pytest.mark.parametrize("task", TASKS)
def test_draws_follow_from_the_generator(task):
    first, again, other = (task.draw("training", rng(seed), 30, 8) for seed in (0, 0, 1))
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert (a != c).any()


def test_batches_are_new_in_each_epoch():
    generator = rng()
    batches = memory.NewBatches(lambda: ADDING.draw("training", generator, 1, 2))
    sums = [float(sums[0, 0, 0]) for _ in range(2) for _, sums in batches]
    assert len(sums) == 2 * len(batches) == len(set(sums))


# The networks


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", memory.NETWORKS)
def test_networks_answer_at_the_last_steps(kind, task):
    model = memory.Network(kind, task, 4, 6, seed=0)
    x, _ = task.draw("training", rng(), 3, 6)
    answers = model(x)
    assert answers.shape == (task.answers, 3, task.outputs)
    changed = x.copy()
    changed[0] += 1
    felt = np.any(model(changed).data != answers.data)
    assert felt == (kind != "feed-forward")


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_gates_open_so_that_the_state_is_kept(kind):
    model = memory.Network(kind, ADDING, 60, 20, seed=0)
    x, _ = ADDING.draw("training", rng(), 1, 20)
    kept = tg.rnn.trace(model, np.zeros_like(x))["f" if kind == "LSTM" else "z"][0, 0]
    half_life = 1 / (1 - kept)  # in steps: 1 + exp(bias)
    assert half_life.min() > 1.9
    assert half_life.max() < 21
    assert np.median(half_life) > 6


def test_training_solves_a_short_task_and_stops():
    share, done = train(memory.Network("GRU", ADDING, 16, 4, seed=0), ADDING, 4)
    assert share < memory.SOLVED
    assert done < 500
    assert done % memory.EPOCH == 0


def test_a_network_without_memory_does_not_beat_the_baseline():
    share, done = train(memory.Network("feed-forward", COPY, 4, 5, seed=0), COPY, 5, updates=120)
    assert share == pytest.approx(1, abs=0.02)
    assert done == 120


@pytest.mark.skipif(os.name == "nt", reason="sends a signal")
def test_ctrl_c_ends_it_all():
    class Bar:
        shown = 0

        def update(self, n=1):
            self.shown += 1
            if self.shown == 3:
                os.kill(os.getpid(), signal.SIGINT)

    args, bar = SimpleNamespace(seed=0, batch=4, updates=500), Bar()
    with pytest.raises(KeyboardInterrupt):
        memory.train(memory.Network("RNN", ADDING, 4, 5, seed=0), ADDING, 5, args, bar)
    assert bar.shown == 3  # the step was ended, and fit has seen it: no more began


def test_the_bar_reaches_its_end_though_a_training_ends_early():
    shown = []
    bar = SimpleNamespace(update=lambda n=1: shown.append(n))
    args = SimpleNamespace(seed=0, batch=32, updates=500)
    model = memory.Network("GRU", ADDING, 16, 4, seed=0)
    _, done = memory.train(model, ADDING, 4, args, bar)
    assert shown == [1] * done + [500 - done]


# The whole


def test_a_verdict_names_lengths_and_margin():
    assert memory.verdict("GRU", [0.01, 0.05, 0.6], [10, 20, 40]) == (
        "GRU: solves T = 10, 20; at T = 40 it is 40% below the baseline."
    )
    assert "solves none; at T = 9 it is 10% above" in memory.verdict("RNN", [1.1], [9])


def test_a_tiny_run(tiny):
    folder, figures, printed = tiny
    kept = json.loads((folder / "figures.json").read_text(encoding="utf-8"))
    assert kept["tasks"] == figures["tasks"]
    assert kept["options"]["lengths"] == [3, 5]
    for task in TASKS:
        found = figures["tasks"][task.name]
        assert list(found["share_of_baseline"]) == list(memory.NETWORKS)
        assert all(
            0 < s < math.inf for shares in found["share_of_baseline"].values() for s in shares
        )
        assert all(done == [20, 20] for done in found["updates"].values())
    for when in ("before", "after"):
        assert all(share > 0 for share in figures["gradient_at_first_step"][when].values())
    for name in ("memory.png", "gradient-before.png", "gradient-after.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    assert "      T=3      T=5\n" in printed  # in order, and once
    for path in folder.iterdir():
        assert str(path) in printed


def test_the_same_seed_gives_the_same_figures(tiny, tmp_path):
    _, figures, _ = tiny
    assert memory.main([*TINY, str(tmp_path)]) == figures


def test_each_seed_part_and_length_has_random_numbers_of_its_own():
    parts = ("training", "validation", "test")
    first = {
        memory.generator(seed, part, length).random()
        for seed in (0, 1)
        for part in parts
        for length in (2, 3)
    }
    assert len(first) == 12
    a, b = (memory.Network("RNN", ADDING, 4, 5, seed).out.weight.data for seed in (0, 1))
    assert (a != b).all()


def test_help_names_every_option(capsys):
    with pytest.raises(SystemExit) as stopped:
        memory.main(["--help"])
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    for option in ("--lengths", "--hidden", "--batch", "--updates", "--seed", "--out"):
        assert option in printed


def test_a_wrong_argument_gets_one_line(capsys):
    with pytest.raises(SystemExit) as stopped:
        memory.main(["--lengths", "10", "1"])
    assert stopped.value.code == 2
    _usage, line = capsys.readouterr().err.strip().split("\n")
    assert "argument --lengths: '1' is no whole number from 2 on" in line
