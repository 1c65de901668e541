"""python -m tinygrad_rnn: what it makes, and what it says when something is wrong."""

from __future__ import annotations

import errno
import io
import json
import math
import os
import pathlib
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.cli import folder, main, parser, running, texts, train

ROOT = pathlib.Path(__file__).parent.parent
WORDS = ["spam ", "egg ", "ham\n", "lettuce "]
SMALL = ["--hidden", "8", "--embedding", "4", "--batch", "4", "--seq-len", "8"]
NEEDS_SIGNALS = pytest.mark.skipif(os.name == "nt", reason="sends signals")

# PYTHONUNBUFFERED is emptied: what stdout still holds when Python ends is part of what is tested.
ENVIRONMENT = {
    **os.environ,
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONPATH": str(ROOT),
    "PYTHONUNBUFFERED": "",
}

# Trains as the command line does, and kills itself at that call of the loss.
DEADLY = """
import os, signal, sys
from tinygrad_rnn.cli import main, train
train._EVERY, calls, loss = 10, 0, train.loss
def deadly(scores, targets):
    global calls
    calls += 1
    if calls == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    return loss(scores, targets)
train.loss = deadly
main(sys.argv[2:])
"""


@pytest.fixture
def text(tmp_path):
    """A file of some 2,000 characters."""
    path = tmp_path / "text.txt"
    path.write_text("".join(np.random.default_rng(0).choice(WORDS, 400)))
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a small model that was trained a little, for reading only."""
    path = tmp_path_factory.mktemp("trained")
    (path / "text.txt").write_text("".join(np.random.default_rng(0).choice(WORDS, 400)))
    arguments = [*SMALL, "--steps", "20", "--quiet", "--out", str(path / "model")]
    assert main(["train", str(path / "text.txt"), *arguments]) == 0
    return path / "model"


@pytest.fixture
def often(monkeypatch):
    """Checkpoints every ten steps."""
    monkeypatch.setattr(train, "_EVERY", 10)


def begin(text, out, *options):
    return main(["train", str(text), "--out", str(out), *SMALL, *map(str, options)])


def process(*arguments, **options):
    command = [sys.executable, *map(str, arguments)]
    return subprocess.Popen(
        command, env=ENVIRONMENT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, **options
    )


def one_line(capsys, command):
    """What stands on stderr, if that is one line of this command's, and stdout is empty."""
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith(f"tinygrad_rnn {command}: ")
    return err


def stdin(monkeypatch, data):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


# Training


@pytest.mark.parametrize(
    ("kind", "cell", "unit"),
    [("characters", "lstm", "character"), ("words", "gru", "word"), ("bytes", "rnn", "byte")],
)
def test_a_model_is_trained_writes_and_is_measured(kind, cell, unit, text, tmp_path, capsys):
    out = tmp_path / "deep" / "model"
    arguments = ["--kind", kind, "--cell", cell, "--lr", 0.02, "--steps", 120]
    assert begin(text, out, *arguments) == 0
    said = capsys.readouterr()
    figures = [
        float(n) for n in re.findall(rf"^([\d.]+) (?:bits per {unit}|by the)", said.out, re.M)
    ]
    assert figures[0] < figures[1]
    assert "step 120/120" in said.err
    assert {path.name for path in out.iterdir()} == {"run.json", "model.npz", "checkpoint.npz"}

    assert main(["sample", str(out), "--length", "40", "--seed", "1"]) == 0
    written = capsys.readouterr().out
    symbols = written[:-1].split() if kind == "words" else written[:-1]
    assert len(symbols) == 40
    assert set(symbols) <= set("".join(WORDS).split() if kind == "words" else "".join(WORDS))

    assert main(["score", str(out), str(text)]) == 0
    assert f"bits per {unit}, perplexity" in capsys.readouterr().out


def test_the_end_of_the_text_is_held_out_with_its_symbols(text, tmp_path):
    text.write_text("ab" * 450 + "ZZZZ" + "ab" * 48)
    args = train_arguments(text, tmp_path, "--validation", "0.1")
    with texts.opened(str(text), "utf-8") as opened:
        material = train._material(args, opened, folder.Folder(str(tmp_path)))
    assert material.vocabulary.symbols == ("\N{REPLACEMENT CHARACTER}", "a", "b")
    assert material.held_out.tolist() == [0] * 4 + [1, 2] * 48
    read = np.concatenate([window.inputs for window in material.data])
    assert read.shape == (224, 4)  # 900 characters in four columns, less the last row
    assert not (read == 0).any()
    np.testing.assert_allclose(material.frequencies, np.array([1, 451, 451]) / 903)
    bias = train._new(args, material).model.out.bias.data
    np.testing.assert_allclose(np.exp(bias), material.frequencies, rtol=1e-6)


def train_arguments(text, out, *options):
    return parser().parse_args(["train", str(text), "--out", str(out), "--quiet", *SMALL, *options])


def test_what_is_measured_on_is_part_of_a_large_text(text, tmp_path, often):
    args = train_arguments(text, tmp_path, "--validation", "0.5")
    with texts.opened(str(text), "utf-8") as opened:
        material = train._material(args, opened, folder.Folder(str(tmp_path)))
    assert len(material.held_out) == 4 * 8 * 10 // 4


def test_words_that_are_rare_are_unknown(text, tmp_path):
    text.write_text("to be or not to be " * 20 + "whether nobler " + "to be or not to be " * 20)
    args = train_arguments(text, tmp_path, "--kind", "words", "--validation", "0", "--most", "3")
    with texts.opened(str(text), "utf-8") as opened:
        material = train._material(args, opened, folder.Folder(str(tmp_path)))
        assert texts.symbols_in(opened, "words") == 242
    assert material.vocabulary.symbols == ("<unk>", "be", "not", "to")
    assert material.validation is None


def test_the_same_seed_gives_the_same_model(text, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        begin(text, tmp_path / name, "--steps", 5, "--seed", seed, "--dropout", 0.3, "--quiet")
    a, b, c = ((tmp_path / name / "model.npz").read_bytes() for name in "abc")
    assert a == b != c


def test_minutes_end_a_training(text, tmp_path, capsys):
    assert begin(text, tmp_path / "model", "--minutes", 0.005) == 0
    last = capsys.readouterr().err.splitlines()[-1]
    assert re.match(r"step [\d,]+  ", last)  # and not: of how many
    checkpoint = tg.io.load_checkpoint(tmp_path / "model" / "checkpoint.npz")
    assert 0.3 <= checkpoint["training"]["seconds"] < 3


def test_a_training_that_has_had_its_minutes_makes_no_step_more(text, tmp_path, capsys):
    begin(text, tmp_path / "model", "--minutes", 0.002, "--quiet")
    first = capsys.readouterr().out
    kept = (tmp_path / "model" / "model.npz").read_bytes()
    begin(text, tmp_path / "model", "--minutes", 0.002, "--quiet")
    assert capsys.readouterr().out == first
    assert (tmp_path / "model" / "model.npz").read_bytes() == kept


def test_the_best_of_all_measurements_is_kept_and_each_is_told(text, tmp_path, often, capsys):
    text.write_text("ab" * 200 + "aabb" * 20)  # the surer of the beginning, the worse at the end
    options = ["--steps", "65", "--lr", "0.02", "--validation", "0.167"]
    assert begin(text, tmp_path / "model", *options) == 0
    said = capsys.readouterr()

    args = train_arguments(text, tmp_path / "other", *options)
    (tmp_path / "other").mkdir()
    with texts.opened(str(text), "utf-8") as opened:
        material = train._material(args, opened, folder.Folder(args.out))
    model = train._new(args, material).model
    history = tg.fit(  # in one go
        model,
        train.loss,
        tg.optim.Adam(model.parameters(), lr=args.lr),
        material.data,
        steps=args.steps,
        validation=material.validation,
        validate_every=10,
        clip_norm=1.0,
        progress=False,
        seed=args.seed,
    )
    assert history.best < history.rows - 1
    for name, weights in folder.Folder(str(tmp_path / "model")).load().model.state_dict().items():
        np.testing.assert_array_equal(weights, model.state_dict()[name])
    in_bits = {name: history[name] / math.log(2) for name in ("loss", "val_loss")}
    lines = zip(history["steps"], in_bits["loss"], in_bits["val_loss"], strict=True)
    told = re.findall(r"^(step .*)  \d+ s$", said.err, re.M)
    assert told == [f"step {n}/65  {x:.3f} bits  validation {y:.3f}" for n, x, y in lines]
    assert said.out.startswith(f"{in_bits['val_loss'].min():.3f} bits per character")


def test_quiet_says_results_only(text, tmp_path, capsys):
    begin(text, tmp_path / "model", "--steps", 3, "--quiet")
    out, err = capsys.readouterr()
    assert err == ""
    assert len(out.splitlines()) == 2


def test_without_validation_the_result_says_so(text, tmp_path, capsys):
    begin(text, tmp_path / "model", "--steps", 3, "--quiet", "--validation", 0)
    assert "on the text that was trained on" in capsys.readouterr().out


# Stopping and going on


@NEEDS_SIGNALS
@pytest.mark.parametrize("call", [7, 27])
def test_a_run_that_was_killed_goes_on_to_the_same_model(call, text, tmp_path, often):
    more = ["--steps", "25", "--layers", "2", "--dropout", "0.3", "--quiet"]
    arguments = ["train", text, "--out", tmp_path / "killed", *SMALL, *more]
    killed = process("-c", DEADLY, call, *arguments)
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert begin(text, tmp_path / "killed", *more) == 0
    assert begin(text, tmp_path / "whole", *more) == 0
    for name in ("model.npz", "run.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@NEEDS_SIGNALS
@pytest.mark.parametrize(("call", "steps"), [(7, 7), (11, 10)])  # amid a step; while measuring
def test_ctrl_c_saves_and_the_same_command_goes_on(
    call, steps, text, tmp_path, often, monkeypatch, capsys
):
    pressed_at(call, monkeypatch)
    before = signal.getsignal(signal.SIGINT)
    assert begin(text, tmp_path / "pressed", "--steps", 25) == 130
    assert signal.getsignal(signal.SIGINT) is before
    out, err = capsys.readouterr()
    assert out == ""
    assert f"stopped after step {steps}; the same command goes on from there" in err
    assert main(["sample", str(tmp_path / "pressed"), "--length", "3"]) == 0  # there is a model

    assert begin(text, tmp_path / "pressed", "--steps", 25) == 0
    assert f"going on after step {steps}\n" in capsys.readouterr().err
    assert begin(text, tmp_path / "whole", "--steps", 25) == 0
    parts = [
        tg.io.load_checkpoint(tmp_path / name / "checkpoint.npz") for name in ("pressed", "whole")
    ]
    for name, weights in parts[0]["model"].items():
        np.testing.assert_array_equal(weights, parts[1]["model"][name])


def pressed_at(call, monkeypatch):
    """From now on, Ctrl-C is pressed at that call of the loss."""
    calls, loss = [], train.loss

    def pressed(scores, targets):
        calls.append(1)
        if len(calls) == call:
            signal.raise_signal(signal.SIGINT)
        return loss(scores, targets)

    monkeypatch.setattr(train, "loss", pressed)


@NEEDS_SIGNALS
def test_after_ctrl_c_the_way_on_is_the_one_that_is_told(text, tmp_path, monkeypatch, capsys):
    begin(text, tmp_path / "model", "--steps", 9, "--quiet")
    pressed_at(7, monkeypatch)
    assert begin(text, tmp_path / "model", "--steps", 9, "--quiet", "--no-resume") == 130
    told = "stopped after step 7; the same command, without --no-resume, goes on from there\n"
    assert capsys.readouterr().err == told
    assert begin(text, tmp_path / "model", "--steps", 9) == 0
    assert "going on after step 7\n" in capsys.readouterr().err


@NEEDS_SIGNALS
def test_ctrl_c_at_the_last_step_prints_no_result_that_was_not_measured(
    text, tmp_path, monkeypatch, capsys
):
    pressed_at(7, monkeypatch)
    assert begin(text, tmp_path / "model", "--steps", 7) == 130
    assert capsys.readouterr().out == ""
    assert begin(text, tmp_path / "model", "--steps", 7) == 0
    assert re.match(r"[\d.]+ bits per character", capsys.readouterr().out)


def test_a_finished_run_says_the_same_again_and_goes_further(text, tmp_path, capsys):
    begin(text, tmp_path / "model", "--steps", 10, "--quiet")
    first = capsys.readouterr().out
    begin(text, tmp_path / "model", "--steps", 10, "--quiet")
    assert capsys.readouterr().out == first
    begin(text, tmp_path / "model", "--steps", 30, "--quiet")
    begin(text, tmp_path / "other", "--steps", 10, "--quiet")
    assert (tmp_path / "model" / "model.npz").read_bytes() != (
        tmp_path / "other" / "model.npz"
    ).read_bytes()


def test_another_training_is_not_written_over_by_mistake(text, tmp_path, capsys):
    begin(text, tmp_path / "model", "--steps", 3, "--quiet")
    kept = (tmp_path / "model" / "model.npz").read_bytes()
    capsys.readouterr()
    assert begin(text, tmp_path / "model", "--steps", 3, "--hidden", 9, "--lr", 0.1) == 1
    assert "a training with --hidden 8, --lr 0.003: give the same" in one_line(capsys, "train")
    text.write_text(text.read_text() + "more")
    assert begin(text, tmp_path / "model", "--steps", 3) == 1
    assert "another text" in one_line(capsys, "train")
    assert (tmp_path / "model" / "model.npz").read_bytes() == kept

    assert begin(text, tmp_path / "model", "--steps", 3, "--hidden", 9, "--no-resume") == 0
    assert folder.Folder(str(tmp_path / "model")).load().shape.hidden == 9


def test_a_model_alone_is_not_replaced(text, trained, tmp_path, capsys):
    (tmp_path / "model.npz").write_bytes((trained / "model.npz").read_bytes())
    assert begin(text, tmp_path, "--steps", 3) == 1
    assert "--no-resume replaces it" in one_line(capsys, "train")


def test_a_model_without_its_checkpoint_is_not_replaced(text, tmp_path, capsys):
    out = tmp_path / "model"
    begin(text, out, "--steps", 3, "--quiet")
    kept = (out / "model.npz").read_bytes()
    (out / "checkpoint.npz").unlink()
    capsys.readouterr()
    assert begin(text, out, "--steps", 5) == 1
    assert "no checkpoint.npz to go on with; --no-resume" in one_line(capsys, "train")
    assert (out / "model.npz").read_bytes() == kept
    assert begin(text, out, "--steps", 5, "--quiet", "--no-resume") == 0


@pytest.mark.parametrize("name", ["run.json", "checkpoint.npz", "model.npz"])
@pytest.mark.parametrize("more", [[], ["--no-resume"]], ids=["", "no-resume"])
def test_files_of_other_programs_are_left_alone(name, more, text, tmp_path, capsys):
    out = tmp_path / "mine"
    out.mkdir()
    np.savez(out / "array.npz", a=np.ones(3))
    data = b'{"mine": 1}' if name == "run.json" else (out / "array.npz").read_bytes()
    (out / name).write_bytes(data)
    assert begin(text, out, "--steps", 3, *more) == 1
    assert f"has {name}, not of this command line or altered" in one_line(capsys, "train")
    assert (out / name).read_bytes() == data
    assert {path.name for path in out.iterdir()} == {name, "array.npz"}


def test_what_else_is_in_the_folder_stays(text, tmp_path):
    ids = tmp_path / "ids.npy"
    ids.write_bytes(b"mine")
    kept = text.read_bytes()
    assert begin(text, tmp_path, "--steps", 3, "--quiet") == 0
    assert ids.read_bytes() == b"mine"
    assert text.read_bytes() == kept
    ours = {"run.json", "model.npz", "checkpoint.npz"}
    assert {path.name for path in tmp_path.iterdir()} == {"ids.npy", "text.txt"} | ours


@pytest.mark.parametrize("name", ["model.npz", "run.json", "tinygrad_rnn.ids.tmp"])
def test_a_text_is_not_written_over(name, text, tmp_path, capsys):
    out = tmp_path / "model"
    begin(text, out, "--steps", 3, "--quiet")
    capsys.readouterr()
    path = out / name
    if not path.exists():
        path.write_bytes(text.read_bytes())
    kept = path.read_bytes()
    more = ["--steps", 3, "--encoding", "latin-1", "--no-resume"]
    assert begin(path, out, *more) == 1
    assert f"{name} would be written over" in one_line(capsys, "train")
    assert path.read_bytes() == kept


@pytest.mark.parametrize("wrong", [["--lr", "1e300"], ["--hidden", "9" * 18]])
def test_a_run_that_came_to_nothing_is_not_in_the_way(wrong, text, tmp_path, capsys):
    assert begin(text, tmp_path / "model", "--steps", 3, *wrong) == 1
    assert begin(text, tmp_path / "model", "--steps", 3) == 0


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("run.json", b"{"),
        ("run.json", b"\xff"),
        ("run.json", b"[]"),
        ("run.json", b"{}"),
        ("run.json", b'{"kind": "words"}'),
        ("checkpoint.npz", b"PK?"),
    ],
)
def test_altered_files_of_a_run_are_named(name, data, text, tmp_path, capsys):
    begin(text, tmp_path / "model", "--steps", 3, "--quiet")
    capsys.readouterr()
    (tmp_path / "model" / name).write_bytes(data)
    assert begin(text, tmp_path / "model", "--steps", 3, "--quiet") == 1
    told = one_line(capsys, "train")
    assert name in told
    assert "--no-resume begins anew" in told
    assert begin(text, tmp_path / "model", "--steps", 3, "--quiet", "--no-resume") == 0


# Scores and samples


def test_a_score_is_that_of_the_whole_text_in_one_go(trained, tmp_path, capsys, monkeypatch):
    path = tmp_path / "other.txt"
    path.write_text("egg spam Ω ham\n" * 150)  # more than one window
    assert main(["score", str(trained), str(path)]) == 0
    said = capsys.readouterr().out
    found = folder.Folder(str(trained)).load()
    ids = found.vocabulary.encode(path.read_text())
    with tg.no_grad():
        scores, _ = found.model.eval()(ids[:-1, None])
    p = tg.nn.functional.softmax(scores, -1).data[np.arange(len(ids) - 1), 0, ids[1:]]
    expected = -np.log2(p).mean()
    assert said.startswith(f"{expected:.3f} bits per character, perplexity {2**expected:,.2f}\n")
    assert "2,250 characters, 150 of them unknown" in said

    stdin(monkeypatch, path.read_bytes())
    assert main(["score", str(trained), "-"]) == 0
    assert capsys.readouterr().out == said


def test_texts_in_other_encodings(trained, tmp_path, capsys):
    path = tmp_path / "utf-16.txt"
    path.write_text("egg spam ham\n" * 20, encoding="utf-16")
    assert main(["score", str(trained), str(path), "--encoding", "utf-16"]) == 0
    assert "260 characters, 0 of them unknown" in capsys.readouterr().out


def test_samples_follow_their_seed_and_options(trained, capsys):
    def written(*options):
        assert main(["sample", str(trained), "--length", "30", *options]) == 0
        return capsys.readouterr().out

    assert written("--seed", "1") == written("--seed", "1") != written("--seed", "2")
    likeliest = written("--temperature", "0")
    assert likeliest == written("--top-k", "1") == written("--top-p", "1e-9")
    assert written("--length", "0") == "\n"
    assert written("--prompt", "", "--seed", "1") == written("--seed", "1")


def test_bytes_that_are_no_text_can_be_read_and_prompted(tmp_path, capsys):
    path = tmp_path / "binary"
    path.write_bytes(bytes(range(256)) * 4)
    assert begin(path, tmp_path / "model", "--kind", "bytes", "--steps", 3, "--quiet") == 0
    arguments = ["--prompt", os.fsdecode(b"\xff\xfe"), "--length", "4", "--seed", "0"]
    assert main(["sample", str(tmp_path / "model"), *arguments]) == 0
    assert main(["score", str(tmp_path / "model"), str(path)]) == 0
    assert "1,024 bytes, 0 of them unknown" in capsys.readouterr().out


@NEEDS_SIGNALS
def test_a_reader_that_goes_away_ends_it_without_a_word(trained):
    writing = process("-m", "tinygrad_rnn", "sample", trained, "--length", "1000000")
    assert writing.stdout.read(1)
    writing.stdout.close()
    assert writing.wait(timeout=60) == 141
    assert writing.stderr.read() == b""
    writing.stderr.close()


# What is wrong is said in one line


def test_a_disk_that_is_full_leaves_the_model_whole(text, tmp_path, capsys, monkeypatch):
    begin(text, tmp_path / "model", "--steps", 3, "--quiet")
    kept = (tmp_path / "model" / "model.npz").read_bytes()
    capsys.readouterr()

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        assert begin(text, tmp_path / "model", "--steps", 6, "--quiet") == 1
    assert "checkpoint.npz: No space left on device" in one_line(capsys, "train")
    assert (tmp_path / "model" / "model.npz").read_bytes() == kept
    assert not list((tmp_path / "model").glob("*.part"))
    assert not list((tmp_path / "model").glob("*.tmp*"))
    assert begin(text, tmp_path / "model", "--steps", 6, "--quiet") == 0


def test_a_full_disk_is_named_where_the_system_names_no_file(text, tmp_path, capsys, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(texts.TextFile, "encode", full)
    assert begin(text, tmp_path / "model", "--steps", 3) == 1
    assert "tinygrad_rnn.ids.tmp: No space left on device" in capsys.readouterr().err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_an_output_that_is_full_is_told(trained):
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", "tinygrad_rnn", "sample", str(trained), "--length", "5"]
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, env=ENVIRONMENT
        )
    assert done.returncode == 1
    assert done.stderr == "tinygrad_rnn sample: output: No space left on device\n"


@pytest.mark.parametrize(
    ("name", "data", "options", "message"),
    [
        ("missing.txt", None, [], "missing.txt: No such file"),
        (".", None, [], "is a folder, not a text"),
        ("empty.txt", b"", [], "empty.txt is empty"),
        ("short.txt", b"to be", [], "short.txt has 5 characters, 5 to train on; --batch 4 needs"),
        ("short.txt", b"to be or ", ["--validation", "0.1"], "too few to hold 10% of them back"),
        ("one.txt", b"abcdefghijklmnopqrstuvwxyz", [], "no character occurs 2 times"),
        ("short.txt", b"to be or ", ["--validation", "0.0001"], "to hold 0.01% of them back"),
        ("latin.txt", b"caf\xe9 au lait" * 9, [], "at byte 3. Name its --encoding, or take"),
        ("latin.txt", "café".encode("latin-1"), ["--kind", "words"], "--kind bytes"),
        ("cut.txt", "naïve ".encode() * 9 + b"\xc3", [], "unexpected end of data at byte 63"),
        ("a.txt", b"ab" * 99, ["--hidden", "9" * 18], "a model of this size can't be made"),
        ("a.txt", b"ab" * 99, ["--lr", "1e300", "--steps", "9"], "begin anew, with a smaller --lr"),
    ],
)
def test_texts_that_cannot_be_trained_on(
    name, data, options, message, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    if data is not None:
        pathlib.Path(name).write_bytes(data)
    assert begin(name, "model", "--quiet", *options) == 1
    assert message in one_line(capsys, "train")
    assert data is not None or not pathlib.Path("model").exists()


def test_a_text_that_may_not_be_read(trained, text, monkeypatch, capsys):
    def refuse(path, *_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(texts, "TextFile", refuse)
    assert main(["score", str(trained), str(text)]) == 1
    assert one_line(capsys, "score").endswith("text.txt: Permission denied\n")


def test_memory_that_does_not_suffice_is_told(text, tmp_path, monkeypatch, capsys):
    def refuse(*_, **__):
        raise MemoryError("Unable to allocate 9 TiB")

    monkeypatch.setattr(train, "LanguageModel", refuse)
    assert begin(text, tmp_path / "model", "--quiet") == 1
    assert "not enough memory. Unable to allocate 9 TiB" in one_line(capsys, "train")


def test_an_output_that_is_a_file(text, capsys):
    assert begin(text, text) == 1
    assert "is a file, and the model needs a folder" in one_line(capsys, "train")


@pytest.mark.parametrize("data", [b"", b"\xff", b"x"])
def test_texts_that_cannot_be_scored(data, trained, monkeypatch, capsys):
    stdin(monkeypatch, data)
    assert main(["score", str(trained), "-"]) == 1
    told = one_line(capsys, "score")
    expected = {b"": "- is empty", b"\xff": "- isn't utf-8: invalid start byte at byte 0"}
    assert expected.get(data, "- has 1 character; at least 2") in told


def altered_metadata(path, **changes):
    weights = tg.load(path)
    shape = {**json.loads(weights.metadata["architecture"]), **changes}
    tg.save(weights, path, {**weights.metadata, "architecture": json.dumps(shape)})


def altered_weights(path, value):
    weights = tg.load(path)
    weights["out.bias"][0] = value
    tg.save(weights, path, weights.metadata)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.unlink(), "there is no model.npz in it"),
        (lambda path: path.write_bytes(path.read_bytes()[:-200]), "model.npz"),
        (lambda path: path.write_bytes(b"weights"), "isn't a zip archive"),
        (lambda path: np.savez(path, a=np.ones(3)), "isn't a model of this command line"),
        (lambda path: altered_weights(path, np.nan), "some of its weights are no numbers"),
        (lambda path: altered_metadata(path, hidden=10**9), "was altered"),
        (lambda path: altered_metadata(path, layers=10**9), "was altered"),
        (lambda path: altered_metadata(path, symbols=5), "was altered"),
        (lambda path: altered_metadata(path, cell="transformer"), "was altered"),
        (lambda path: altered_metadata(path, colour="red"), "was altered"),
    ],
)
@pytest.mark.parametrize("command", [["sample"], ["score", "-"]], ids=" ".join)
def test_folders_that_hold_no_model(command, spoil, message, trained, tmp_path, capsys):
    path = tmp_path / "model.npz"
    path.write_bytes((trained / "model.npz").read_bytes())
    spoil(path)
    assert main([command[0], str(tmp_path), *command[1:]]) == 1
    assert message in one_line(capsys, command[0])


@pytest.mark.parametrize(
    ("name", "message"),
    [("nowhere", "there is no such folder"), ("text.txt", "text.txt")],
)
def test_models_that_are_no_folders(name, message, text, tmp_path, capsys):
    assert main(["sample", str(tmp_path / name)]) == 1
    assert message in one_line(capsys, "sample")


def test_ctrl_c_anywhere_is_no_error_of_the_program(monkeypatch, capsys):
    def pressed():
        raise KeyboardInterrupt

    assert running.run("sample", pressed) == 130
    assert one_line(capsys, "sample") == "tinygrad_rnn sample: stopped\n"


def test_ctrl_c_while_it_starts_is_no_error_either():
    pressed = """
import runpy, sys
import tinygrad_rnn
class Pressed:
    def find_spec(name, *_):
        if name.startswith("tinygrad_rnn.cli"):
            raise KeyboardInterrupt
sys.meta_path.insert(0, Pressed)
runpy.run_module("tinygrad_rnn", run_name="__main__")
"""
    starting = process("-c", pressed)
    assert starting.communicate(timeout=60) == (b"", b"")
    assert starting.returncode == 130


@pytest.mark.parametrize(
    ("name", "command", "message"),
    [
        ("stdin", ["score", "-"], "stdin is closed: there is no text"),
        ("stdout", ["sample"], "stdout is closed: there is no place"),
    ],
)
def test_streams_that_are_needed_and_closed(name, command, message, trained, monkeypatch, capsys):
    monkeypatch.setattr(sys, name, None)  # as Python does
    assert main([command[0], str(trained), *command[1:]]) == 1
    assert message in one_line(capsys, command[0])


@pytest.mark.skipif(os.name == "nt", reason="is written for a Unix shell")
@pytest.mark.parametrize(
    ("command", "code", "lines"),
    [
        ("train {text} --out {out} --steps 2 --batch 4 <&- 2>&-", 0, 2),
        ("sample >&- 2>&-", 2, 0),
    ],
)
def test_with_stderr_closed_stdout_has_results_only(command, code, lines, text, tmp_path):
    line = command.format(text=text, out=tmp_path / "model")
    shell = ["sh", "-c", f"{sys.executable} -m tinygrad_rnn {line}"]
    done = subprocess.run(shell, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert done.returncode == code
    assert len(done.stdout.splitlines()) == lines
    assert "step" not in done.stdout
    assert done.stderr == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_training_goes_on_if_nobody_can_be_told(text, tmp_path, monkeypatch, capsys):
    with open("/dev/full", "w", buffering=1) as full:
        monkeypatch.setattr(sys, "stderr", full)
        assert begin(text, tmp_path / "model", "--steps", 3) == 0
    assert "bits per character" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["train", "t"], "--out"),
        (["train", "t", "--out", ""], "--out: '' is no name"),
        (["train", "", "--out", "m"], "TEXT: '' is no name"),
        (["score", "m", ""], "TEXT: '' is no name"),
        (["sample", ""], "MODEL: '' is no name"),
        (["train", "t", "--out", "m", "--hidden", "0"], "'0' is no whole number from 1 on"),
        (["train", "t", "--out", "m", "--lr", "nan"], "'nan' is no number above 0"),
        (["train", "t", "--out", "m", "--minutes", "inf"], "'inf' is no number above 0"),
        (["train", "t", "--out", "m", "--validation", "1"], "'1' is no number from 0 below 1"),
        (["train", "t", "--out", "m", "--kind", "syllables"], "'syllables'"),
        (["train", "t", "--out", "m", "--encoding", "morse"], "there is no encoding 'morse'"),
        (["train", "t", "--out", "m", "--encoding", "rot13"], "there is no encoding 'rot13'"),
        (["sample", "m", "--temperature", "-1"], "'-1' is no number from 0 on"),
        (["sample", "m", "--top-p", "1.5"], "'1.5' is no number above 0 up to 1"),
        (["sample", "m", "--top-k", "0"], "'0' is no whole number from 1 on"),
        (["score", "m"], "TEXT"),
    ],
)
def test_wrong_usage(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_help_names_options_and_exit_codes(capsys):
    for arguments, named in (
        (["--help"], ["train", "sample", "score", "141"]),
        (["train", "--help"], ["--minutes", "--no-resume", "--kind", "(default: 0.003)"]),
        (["sample", "--help"], ["--temperature", "--top-p"]),
        (["score", "--help"], ["--encoding"]),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 0
        out = capsys.readouterr().out
        assert all(name in out for name in named)


# The page


@pytest.mark.skipif(os.name == "nt", reason="the page is written for a Unix shell")
def test_the_page_runs(tmp_path):
    page = (ROOT / "docs" / "command_line.md").read_text()
    script = "set -e\n" + "\n".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL))
    assert script.count("-m tinygrad_rnn") >= 5
    for name in ("README.md", "LICENSE"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / "python").symlink_to(sys.executable)
    environment = {**ENVIRONMENT, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "bits per character" in done.stdout
