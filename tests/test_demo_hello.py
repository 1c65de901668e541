"""demos/hello.py: its facts about the letters, and a small run."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tg

sys.path.insert(0, str(Path(__file__).parent.parent / "demos"))

hello = importlib.import_module("hello")

TINY = ["--epochs", "3", "--hidden", "4"]


@pytest.fixture(autouse=True)
def needed():
    pytest.importorskip("matplotlib")
    pytest.importorskip("graphviz")


def test_letters_as_rows():
    np.testing.assert_array_equal(hello.one_hot("leo"), [[0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    assert hello.one_hot("hello").dtype == np.float32


@pytest.mark.parametrize(
    ("word", "best", "frequent"),
    [
        ("hihello", 4 / 6, 2 / 6),  # h -> i or e, l -> l or o; l stands twice among ihello
        ("ababab", 1, 3 / 5),
        ("aab", 1 / 2, 1 / 2),
        ("abcabd", 4 / 5, 2 / 5),
    ],
)
def test_what_rules_without_a_memory_get_right(word, best, frequent):
    assert hello.best_memoryless(word) == pytest.approx(best)
    assert hello.most_frequent(word) == pytest.approx(frequent)


@pytest.mark.parametrize(
    ("shares", "first"),
    [([1, 1], 1), ([0.5, 1, 0.8, 1, 1], 4), ([0.5, 1], 2), ([1, 0.5], None)],
)
def test_from_when_on_all_is_right(shares, first):
    assert hello.first_for_good(np.array(shares)) == first


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_layouts_agree_and_the_mistake_shows(seed):
    assert hello.batch_lesson(seed) < 1e-6
    assert hello.mistake_lesson(seed) == {
        "right_repeats": False,
        "wrong_repeats": True,
        "same_shape": True,
    }


def test_right_letters_are_counted():
    scores = tg.Tensor(np.eye(3)[[[0], [1], [2], [2]]])  # (T, N, letters)
    assert hello.right_letters(scores, np.array([[0], [1], [1], [2]])) == 0.75


def test_it_learns_to_spell_and_beats_every_rule(tmp_path, capsys):
    figures = hello.main(["--out", str(tmp_path)])
    spelling = figures["spelling"]
    assert spelling["answer"] == "ihello"
    assert spelling["alone"] == "hihello"
    assert 1 < spelling["first_all_right"] < 150
    network, *rules = spelling["right"].values()
    assert network == 1
    assert max(rules) == pytest.approx(4 / 6)
    out = capsys.readouterr().out
    assert "the network is better: +33.3%" in out
    made = [Path(line.strip()) for line in out.split("Made\n----\n")[1].splitlines()]
    assert {path.name for path in made} == {
        "hello-cells.svg", "hello-ops.svg", "states.png", "training.png", "figures.json",
    }  # fmt: skip
    assert all(path.stat().st_size for path in made)
    assert json.loads((tmp_path / "figures.json").read_text())["spelling"] == spelling


def test_what_is_not_learnt_is_not_called_better(capsys):
    args = argparse.Namespace(cell="lstm", hidden=4, epochs=1, lr=1e-6, seed=0)
    figures, _, _ = hello.spelling_lesson(args)
    assert figures["first_all_right"] is None
    assert figures["answer"] != "ihello"
    assert re.search(r"best rule .* not better: -", capsys.readouterr().out)


def test_the_same_seed_gives_the_same_figures(tmp_path):
    options = [*TINY, "--cell", "gru", "--out", str(tmp_path), "--seed"]
    first, second = (hello.main([*options, "3"]) for _ in range(2))
    assert first == second
    other = hello.main([*options, "4"])
    assert first["spelling"]["loss"] != other["spelling"]["loss"]


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGPIPE on Windows")
@pytest.mark.parametrize("buffered", [True, False])
def test_it_ends_silently_when_nobody_reads_on(tmp_path, buffered):
    reads, writes = os.pipe()
    os.close(reads)
    command = [sys.executable, *([] if buffered else ["-u"]), hello.__file__, *TINY]
    ended = subprocess.run(
        [*command, "--out", str(tmp_path)], stdout=writes, stderr=subprocess.PIPE, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    os.close(writes)
    assert (ended.returncode, ended.stderr) == (141, "")


def test_help_says_how_it_is_run(capsys):
    with pytest.raises(SystemExit) as stopped:
        hello.main(["--help"])
    assert stopped.value.code == 0
    out = capsys.readouterr().out
    assert "python demos/hello.py" in out
    assert "--cell" in out


def test_a_wrong_argument_gets_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        hello.main(["--hidden", "0", "--out", str(tmp_path)])
    assert stopped.value.code == 2
    assert "argument --hidden: '0' is no whole number" in capsys.readouterr().err
