"""demos/char_lm.py: a small run of the whole, and what it is made of."""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tg

pytest.importorskip("matplotlib")
sys.path.insert(0, str(Path(__file__).parent.parent / "demos"))

char_lm = importlib.import_module("char_lm")
corpus = importlib.import_module("corpus")
language_model = importlib.import_module("language_model")

SMALL = [
    *("--hidden", "8", "--batch", "4", "--seq-len", "8", "--lr", "0.02"),
    *("--sample", "30", "--prompt", "spam"),
]
BINARY = ["checkpoint.npz", "model.npz"]
PARTS = ["training", "validation", "held_out"]


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """A file of some 2,000 characters."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("".join(rng.choice(["spam ", "egg ", "ham\n", "lettuce "], 400)))
    return path


def run(text, out, *more):
    """The figures that can be repeated."""
    figures = char_lm.main([*SMALL, "--text", str(text), "--out", str(out), *map(str, more)])
    assert figures.pop("characters_per_second") > 0
    return figures


def small(text, *more):
    """Options, and the text as numbers."""
    args = char_lm.parser().parse_args([*SMALL, "--text", str(text), *more])
    return args, corpus.numbered(char_lm.read_text(args))


@pytest.fixture(scope="module")
def made(text, tmp_path_factory):
    """The figures of a run, and where its files are."""
    out = tmp_path_factory.mktemp("made")
    return run(text, out), out


def test_a_small_run(text, made):
    figures, out = made
    total = len(text.read_text())
    counted = [figures["characters"][part] for part in PARTS]
    assert counted == [round(total * 9 // 10 * 0.98), *counted[1:]]
    assert sum(counted) == total
    assert figures["updates"] == -(-(counted[0] // 4 - 1) // 8)  # a window may be shorter
    assert figures["stopped"] == "finished"
    assert figures["resumes_exactly"]
    bits = figures["bits_per_character"]
    assert list(bits) == ["LSTM", "unigram", "bigram", "trigram", "4-gram", "5-gram"]
    assert bits["LSTM"] < bits["unigram"]
    assert figures["better_than_trigram"] == bits["trigram"] - bits["LSTM"]
    names = {path.name for path in out.iterdir()}
    assert names == {"gates.png", "training.png", "samples.txt", "figures.json", *BINARY}
    kept = json.loads((out / "figures.json").read_text())
    assert kept["bits_per_character"] == bits
    assert (out / "samples.txt").read_text().count("]\nspam") == 3


@pytest.mark.skipif(os.name == "nt", reason="sends a signal")
def test_a_run_that_ctrl_c_has_stopped_is_resumed(text, made, tmp_path, monkeypatch, capsys):
    """The same seed gives the same figures and texts, here even if stopped after five updates."""
    calls = []

    def loss(*given, real=language_model.loss_in_bits):
        calls.append(given)
        if len(calls) == 5:
            os.kill(os.getpid(), signal.SIGINT)
        return real(*given)

    with monkeypatch.context() as patch:
        patch.setattr(language_model, "loss_in_bits", loss)
        _, history = char_lm.train_in_two(*small(text), tmp_path / "checkpoint.npz")
    assert (history.stopped, history["steps"].tolist()) == ("interrupted", [5])
    assert "--resume" in capsys.readouterr().out
    figures, out = made
    assert run(text, tmp_path, "--resume") == figures
    assert "2. Half of the training" not in capsys.readouterr().out
    assert (tmp_path / "samples.txt").read_text() == (out / "samples.txt").read_text()


def test_without_resume_training_begins_anew(text, made, tmp_path):
    (tmp_path / "checkpoint.npz").write_bytes(b"of another run")
    model, _ = char_lm.train_in_two(*small(text), tmp_path / "checkpoint.npz")
    saved, _ = char_lm.load(made[1] / "model.npz")
    np.testing.assert_array_equal(model.scores.weight.data, saved.scores.weight.data)


def test_more_epochs_go_on_from_the_checkpoint(text, made, monkeypatch):
    checkpoint = (made[1] / "checkpoint.npz").read_bytes()
    updates = []
    step = tg.optim.Adam.step
    monkeypatch.setattr(tg.optim.Adam, "step", lambda self: (updates.append(1), step(self)))
    _, history = char_lm.go_on(*small(text, "--epochs", "2"), made[1] / "checkpoint.npz")
    (made[1] / "checkpoint.npz").write_bytes(checkpoint)
    assert history["steps"][-1] == 2 * made[0]["updates"]
    assert len(updates) == made[0]["updates"]


def test_another_seed_gives_another_model(text):
    first, again, other = (
        char_lm.train(*small(text, "--seed", seed), steps=2)[0].state_dict()["scores.bias"]
        for seed in ("0", "0", "1")
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_resumption_that_is_not_exact_is_seen(text, monkeypatch):
    assert char_lm.resumes_exactly(*small(text), updates=2)
    original = char_lm.train

    def inexact(args, ids, steps, checkpoint, **settings):
        model, history = original(args, ids, steps, checkpoint, **settings)
        if checkpoint:
            model.scores.bias.data[0] += 1e-6
        return model, history

    monkeypatch.setattr(char_lm, "train", inexact)
    assert not char_lm.resumes_exactly(*small(text), updates=2)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_a_saved_model_is_loaded_with_its_vocabulary(cell, tmp_path):
    args = char_lm.parser().parse_args(["--cell", cell, "--hidden", "5", "--layers", "2"])
    args.out = tmp_path
    letters = corpus.vocabulary("to be or not to be", least=2)
    model = language_model.CharModel(cell, len(letters), 5, 2, seed=3)
    again, same_letters = char_lm.load(char_lm.save(model, args, letters))
    assert same_letters == letters
    numbers = letters.encode("to be")[:, None]
    np.testing.assert_array_equal(again(numbers)[0].data, model(numbers)[0].data)
    trace = tg.rnn.trace(again, numbers)
    assert set(char_lm.GATES[cell]) <= {name.split(".")[-1] for name in trace}


def test_the_parts_are_disjoint_and_in_order(text):
    _, ids = small(text, "--characters", "1500")
    training, validation, held_out = (ids.vocabulary.decode(getattr(ids, part)) for part in PARTS)
    whole = text.read_text()
    assert training == whole[:1470]
    assert validation == whole[1470:1500]
    assert held_out == whole[len(whole) * 9 // 10 :]


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_the_picture_of_the_gates_has_a_title_to_read(cell, text, tmp_path, monkeypatch):
    def watched(*given, real=tg.plots.gate_activity, **options):
        drawn.append(real(*given, **options))
        return drawn[-1]

    drawn = []
    monkeypatch.setattr(tg.plots, "gate_activity", watched)
    args, ids = small(text, "--cell", cell, "--out", str(tmp_path))
    model = char_lm.CharModel(cell, len(ids.vocabulary), args.hidden, args.layers, args.seed)
    char_lm.draw_gates(model, ids.vocabulary, "spam egg", args)
    title = drawn[0].figure.get_suptitle()
    assert title == f"The {cell.upper()} layer as it reads a line it has never seen"


def test_the_line_that_is_drawn():
    fitting = "a line of more than thirty characters"
    assert char_lm.a_line(f"short\n{'long ' * 20}\n   {fitting}\n{fitting} more") == fitting
    assert char_lm.a_line("no\nsuch\nline") == "no such line"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "argument --epochs: '0'"),
        (["--top-p", "1.5"], "argument --top-p: '1.5'"),
        (["--prompt", ""], "argument --prompt"),
        (["--characters", "999"], "--characters 999"),
        (["--text", "missing.txt"], "can't read missing.txt"),
        (["--resume"], "there is no"),
    ],
)
def test_wrong_arguments_get_one_line_and_exit_code_2(
    arguments, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        char_lm.main(arguments)
    assert stopped.value.code == 2
    _usage, *lines = capsys.readouterr().err.strip().split("\n")
    assert len(lines) == 1
    assert message in lines[0]


def test_a_resumption_that_is_refused_makes_no_folder(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        char_lm.main(["--resume", "--out", str(tmp_path / "nope")])
    assert stopped.value.code == 2
    assert "begin without --resume" in capsys.readouterr().err
    assert not (tmp_path / "nope").exists()


def test_a_checkpoint_of_another_network_is_refused(text, made, capsys):
    with pytest.raises(SystemExit) as stopped:
        run(text, made[1], "--resume", "--hidden", 9)
    assert stopped.value.code == 2
    assert "checkpoint.npz: load_state_dict" in capsys.readouterr().err


def test_help_names_every_option(capsys):
    with pytest.raises(SystemExit) as stopped:
        char_lm.main(["--help"])
    assert stopped.value.code == 0
    told = capsys.readouterr().out
    for option in ("--text", "--characters", "--epochs", "--cell", "--resume", "--top-p", "--seed"):
        assert option in told
    assert "two minutes" in told
