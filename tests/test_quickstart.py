"""The parts of demos/quickstart.py, and a small run of the whole."""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tg

DEMOS = Path(__file__).parent.parent / "demos"
sys.path.insert(0, str(DEMOS))

corpus = importlib.import_module("corpus")
language_model = importlib.import_module("language_model")
ngrams = importlib.import_module("ngrams")
quickstart = importlib.import_module("quickstart")

WORDS = ["spam ", "egg ", "ham\n", "lettuce "]


@pytest.fixture
def ids():
    """A text of 5 symbols in which what follows depends on what came before."""
    rng = np.random.default_rng(0)
    text = [0, 1]
    for _ in range(400):
        text.append((text[-1] + text[-2] + int(rng.integers(2))) % 5)
    return np.array(text)


@pytest.fixture
def short_text(tmp_path):
    """A file of some 2,000 characters."""
    rng = np.random.default_rng(0)
    path = tmp_path / "text.txt"
    path.write_text("".join(rng.choice(WORDS, 400)))
    return path


def run(*arguments, cwd):
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, str(DEMOS / "quickstart.py"), *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


# The text


@pytest.fixture
def library(tmp_path):
    """A small standard library, with what should be left out."""
    root = tmp_path / "lib"
    files = {f"module{i:02}.py": f"number = {i}\n" * (i + 1) for i in range(30)}
    files |= {
        "copy_of_3.py": files["module03.py"],
        "package/inner.py": "inner = 1\n",
        "package/tests/test_inner.py": "assert inner == 1\n",
        "site-packages/foreign.py": "foreign = 1\n",
        "empty.py": "\n",
        "notes.txt": "no Python\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "latin.py").write_bytes(b"# caf\xe9\n")
    return root


def test_the_library_is_read_without_tests_duplicates_and_foreign_packages(library):
    names = set(corpus.standard_library(library))
    assert "copy_of_3.py" in names
    assert "module03.py" not in names  # equal to copy_of_3.py, which comes first
    expected = {f"module{i:02}.py" for i in range(30)} - {"module03.py"}
    assert names == expected | {"copy_of_3.py", "package/inner.py"}


def test_a_library_that_is_not_there_is_reported(library, monkeypatch):
    monkeypatch.setattr(corpus, "standard_library", dict)
    with pytest.raises(corpus.TextError, match="--text"):
        corpus.from_library(seed=0)


def test_files_are_split_without_overlap(library):
    texts = corpus.standard_library(library)
    training, held_out = corpus.split_files(texts, seed=0)
    assert sorted(training + held_out) == sorted(texts)
    assert not {texts[n] for n in training} & {texts[n] for n in held_out}
    share = sum(len(texts[n]) for n in held_out) / sum(map(len, texts.values()))
    assert 0.1 <= share < 0.2


def test_the_split_follows_from_the_seed(library):
    texts = corpus.standard_library(library)
    backwards = dict(reversed(texts.items()))
    assert corpus.split_files(texts, seed=0) == corpus.split_files(backwards, seed=0)
    assert corpus.split_files(texts, seed=0) != corpus.split_files(texts, seed=1)


def test_this_python_has_enough_text():
    text = corpus.from_library(seed=0)
    assert len(text.training) > 1_000_000
    assert len(text.training) > 5 * len(text.held_out)


def test_one_file_is_split_at_nine_tenths(short_text):
    text = corpus.from_file(short_text, shortest=1000)
    assert text.training + text.held_out == short_text.read_text()
    assert len(text.training) == len(short_text.read_text()) * 9 // 10


@pytest.mark.parametrize("text", ["aaaa" + "xyz", "xyz"])
def test_a_text_of_one_symbol_is_refused(text):
    with pytest.raises(corpus.TextError, match="two different"):
        corpus.vocabulary(text, least=2)


def test_the_vocabulary_is_that_of_the_training_text():
    vocabulary = corpus.vocabulary("aaabbbc", least=2)
    assert len(vocabulary) == 3
    numbers = vocabulary.encode("abcd\N{SNOWMAN}\U0001f40d")
    assert numbers.tolist() == [1, 2, 0, 0, 0, 0]
    assert vocabulary.decode(numbers[:3]) == "ab" + corpus.UNKNOWN
    assert len(corpus.vocabulary("aaabbbcc", least=2, most=2)) == 3


def test_the_parts_of_a_text_do_not_overlap():
    text = corpus.Corpus("ab" * 49 + "cc", "abde", "by hand")
    ids = corpus.numbered(text)
    assert ids.vocabulary.decode(ids.training) == "ab" * 49
    assert ids.vocabulary.symbols == (corpus.UNKNOWN, "a", "b")  # of the training text alone
    assert (ids.validation.tolist(), ids.held_out.tolist()) == ([0, 0], [1, 2, 0, 0])


# Counted models


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_probabilities_sum_to_one_after_every_context(ids, order):
    size = 6  # symbol 5 never occurs
    model = ngrams.NGram(ids, order, size)
    contexts = np.indices((size,) * order).reshape(order, -1).T
    p = model.probability(contexts).reshape((size,) * order)
    assert p.min() > 0 or order == 1
    np.testing.assert_allclose(p.sum(axis=-1), 1)


def test_probabilities_are_those_counted_by_hand():
    # Pairs in a b a b a c b b c: ab and ba twice; ac, cb, bb, bc once. So d = 4 / (4 + 2 · 2).
    # Their ends: a after b; b after a, b and c; c after a and b. So d = 1 / (1 + 2 · 1).
    a, b, c, never = 0, 1, 2, 3
    model = ngrams.NGram(np.array([a, b, a, b, a, c, b, b, c]), order=2, size=4)
    ends = np.array([1 - 1 / 3, 3 - 1 / 3, 2 - 1 / 3, 0]) / 6 + (1 / 3) * 3 / 6 * (1 / 4)
    expected = {
        a: np.array([0, 2 - 0.5, 1 - 0.5, 0]) / 3 + 0.5 * 2 / 3 * ends,
        b: np.array([2 - 0.5, 1 - 0.5, 1 - 0.5, 0]) / 4 + 0.5 * 3 / 4 * ends,
        c: np.array([0, 1 - 0.5, 0, 0]) / 1 + 0.5 * 1 / 1 * ends,
        never: ends,
    }
    for context, p in expected.items():
        strings = np.array([[context, symbol] for symbol in (a, b, c, never)])
        np.testing.assert_allclose(model.probability(strings), p)


def test_bits_of_a_uniform_text_are_those_of_a_uniform_choice():
    text = np.arange(8000) % 8
    model = ngrams.NGram(text, 1, 8)
    assert model.bits_per_character(text, np.arange(8000)) == pytest.approx(3)


# The network


def small_model(cell, hidden=4, layers=1):
    return language_model.CharModel(cell, 5, hidden=hidden, layers=layers, seed=0)


def train(model, ids, lr=0.02, **limits):
    data = language_model.UntilTime(language_model.windows(ids, batch=4, seq_len=8), **limits)
    history = language_model.train(model, data, ids, lr, data.done, epochs=1, steps=data.most)
    return data, history


def test_bits_of_a_network_that_knows_only_frequencies(ids):
    model = small_model("gru")
    model.start_from_frequencies(ids)
    model.scores.weight.data[:] = 0
    positions = language_model.places(len(ids), steps=30)
    counts = np.bincount(ids) + 1
    expected = -np.log2(counts / counts.sum())[ids[positions]].mean()
    assert language_model.bits_per_character(model, ids, positions) == pytest.approx(
        expected, rel=1e-5
    )


def test_bits_are_those_of_each_column_read_at_a_stretch(ids):
    model = small_model("lstm", hidden=8)
    model.scores.weight.data *= 20  # so that the state counts
    positions = 1 + np.arange(4) * 100 + np.arange(90)[:, None]
    scores, _ = model(ids[positions - 1])
    p = np.exp(scores.data) / np.exp(scores.data).sum(axis=-1, keepdims=True)
    expected = -np.log2(np.take_along_axis(p, ids[positions][..., None], axis=-1)).mean()
    assert language_model.bits_per_character(model, ids, positions) == pytest.approx(
        expected, rel=1e-5
    )


def test_windows_carry_on_where_the_last_one_ended():
    text = np.arange(100)
    found = iter(language_model.UntilTime(language_model.windows(text, 2, 7), seconds=60))
    first, second = next(found), next(found)
    np.testing.assert_array_equal(first.inputs[:, 1], np.arange(50, 57))
    np.testing.assert_array_equal(first.targets, first.inputs + 1)
    np.testing.assert_array_equal(second.inputs, first.inputs + 7)
    assert [next(found).fresh for _ in range(6)] == [False] * 5 + [True]
    assert (first.fresh, second.fresh) == (True, False)


@pytest.mark.parametrize(("length", "steps"), [(60, 100), (2000, 100), (9999, 7)])
def test_measured_places_are_different_and_have_contexts(length, steps):
    found = language_model.places(length, steps, context=4)
    assert found.min() >= 5
    assert found.max() < length
    assert len(np.unique(found)) == found.size
    assert len(found) <= steps
    np.testing.assert_array_equal(np.diff(found, axis=0), 1)


def test_training_learns(ids):
    model = small_model("lstm", hidden=16)
    positions = language_model.places(len(ids), steps=50)
    before = language_model.bits_per_character(model, ids, positions)
    done, history = train(model, ids, seconds=60, updates=150)
    after = language_model.bits_per_character(model, ids, positions)
    # The 402 characters are 4 columns of 100; an epoch has 12 windows of 8 steps and one of 3.
    assert (done.updates, done.characters) == (150, 11 * 4 * 99 + 7 * 4 * 8)
    assert history.stopped == "finished"
    assert before > 2
    assert after < before - 0.5


def test_training_ends_with_its_time(ids):
    done, history = train(small_model("rnn"), ids, seconds=0.1)
    assert 0.1 <= time.perf_counter() - done.begin < 10
    assert done.updates > 1
    assert quickstart.while_training(history)


def test_the_learning_rate_rises_and_falls():
    rates = [language_model.learning_rate(done) for done in np.linspace(0, 1, 41)]
    assert max(rates) == rates[2] == 1
    assert rates[:3] == sorted(rates[:3])
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[0] == rates[-1] == 0.01


def test_the_learning_rate_follows_the_clock_only_without_a_number_of_updates(ids):
    windows = language_model.windows(ids, batch=4, seq_len=8)
    by_number = language_model.UntilTime(windows, seconds=1e-9, updates=8)
    by_clock = language_model.UntilTime(windows, seconds=1000)
    assert by_clock.done(0) == 0
    next(iter(by_number)), next(iter(by_clock))
    by_clock.begin -= 500
    assert by_number.done(2) == 0.25
    assert by_clock.done(2) == pytest.approx(0.5, abs=0.01)


@pytest.mark.skipif(os.name == "nt", reason="sends a signal")
def test_ctrl_c_ends_the_training_only(ids, monkeypatch):
    pressed = []

    def loss(*given, real=language_model.loss_in_bits):
        if not pressed:
            pressed.append(os.kill(os.getpid(), signal.SIGINT))
        return real(*given)

    monkeypatch.setattr(language_model, "loss_in_bits", loss)
    before = signal.getsignal(signal.SIGINT)
    done, history = train(small_model("rnn"), ids, seconds=60)
    assert history.stopped == "interrupted"
    assert done.updates == 1
    assert signal.getsignal(signal.SIGINT) is before
    assert quickstart.while_training(history) == []  # JSON has no NaN


LETTERS = tg.data.Vocabulary("abcd", unknown=corpus.UNKNOWN)


def test_writing_follows_from_the_seed_and_leaves_out_the_unknown():
    model = small_model("lstm", layers=2)
    model.scores.bias.data[0] = 100  # as if most of the text were unknown symbols
    texts = [tg.generate(model, "a", 30, vocabulary=LETTERS, seed=seed) for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]
    assert all(letter in "abcd" for text in texts for letter in text)


def test_writing_carries_the_state(ids):
    """Step by step, at temperature 0, each symbol is the likeliest after all before it."""
    model = small_model("lstm", hidden=8)
    prompt = LETTERS.decode(ids[:10])
    text = tg.generate(model, prompt, 12, vocabulary=LETTERS, temperature=1e-6, seed=0)
    written = LETTERS.encode(text)
    scores, _ = model(np.concatenate([ids[:10], written])[:, None])
    likeliest = scores.data[9:-1, 0, 1:].argmax(axis=-1) + 1
    assert written.tolist() == likeliest.tolist()


# The lessons, and the whole


def test_the_loop_lesson_proves_its_gradient_and_lowers_its_loss(capsys):
    figures = quickstart.loop_lesson(seed=0)
    assert figures["largest_difference"] < 1e-8
    assert figures["last_loss"] < figures["first_loss"] / 10
    assert "Wh[7, 7]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--text", "missing.txt"], "can't read missing.txt"),
        (["--text", "."], "can't read ."),
        (["--text", "empty.txt"], "empty.txt has 0 characters"),
        (["--text", "short.txt"], "short.txt has 12 characters; at least"),
        (["--hidden", "-3"], "argument --hidden: '-3'"),
        (["--batch", "0"], "argument --batch: '0'"),
        (["--layers", "two"], "argument --layers: 'two'"),
        (["--minutes", "0"], "argument --minutes: '0'"),
        (["--minutes", "nan"], "argument --minutes: 'nan'"),
        (["--cell", "transformer"], "argument --cell: invalid choice"),
        (["--out", "short.txt"], "short.txt"),
    ],
)
def test_wrong_arguments_get_one_line_and_exit_code_2(
    arguments, message, tmp_path, monkeypatch, capsys
):
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "short.txt").write_text("only a line\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        quickstart.main(arguments)
    assert stopped.value.code == 2
    _usage, *lines = capsys.readouterr().err.strip().split("\n")
    assert len(lines) == 1
    assert message in lines[0]


def test_the_same_seed_gives_the_same_figures(short_text, tmp_path):
    def lesson(seed):
        small = f"--updates 50 --hidden 8 --batch 4 --seq-len 8 --sample 50 --seed {seed}"
        args = quickstart.parser().parse_args([*small.split(), "--out", str(tmp_path)])
        figures = quickstart.text_lesson(args, corpus.from_file(short_text, 1000))
        del figures["training_seconds"]
        return figures, (tmp_path / "sample.txt").read_text()

    assert lesson(0) == lesson(0) != lesson(1)


def test_the_whole_tour(short_text, tmp_path):
    done = run(
        *("--text", short_text, "--updates", 100, "--hidden", 8, "--batch", 4, "--seq-len", 8),
        *("--lr", 0.02, "--sample", 50, "--out", "made"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    made = tmp_path / "made"
    assert len((made / "sample.txt").read_text()) == 50
    figures = json.loads((made / "figures.json").read_text())
    bits = figures["text"]["bits_per_character"]
    assert list(bits) == ["LSTM", "unigram", "bigram", "trigram", "4-gram", "5-gram"]
    assert bits["LSTM"] < bits["unigram"]
    assert set(figures["checks"]) == {"RNN", "LSTM", "GRU"}
    pictures = [p.stem for p in made.iterdir() if p.stem == "unrolled-lstm"]
    assert pictures
    for path in made.iterdir():
        assert str(Path("made") / path.name) in done.stdout
    assert "the first 90 % to train on, the last 10 % held out" in done.stdout


def test_the_readme_names_the_same_python_everywhere():
    readme = (DEMOS.parent / "README.md").read_text(encoding="utf-8")
    commands = "".join(re.findall(r"```sh\n(.*?)```", readme, re.DOTALL))
    pythons = re.findall(r"(\S*python) ", commands)
    assert len(pythons) >= 5
    assert set(pythons) == {".venv/bin/python"}


def test_help_names_every_option(tmp_path):
    done = run("--help", cwd=tmp_path)
    assert done.returncode == 0
    for option in ("--text", "--cell", "--hidden", "--layers", "--seq-len", "--batch", "--minutes"):
        assert option in done.stdout
