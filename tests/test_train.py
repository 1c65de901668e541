"""The training loop: what it computes, when it stops, and that it goes on as if it hadn't."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from training_run import Model, cross_entropy, train

import tinygrad_rnn as tg
from tinygrad_rnn.train import History, evaluate
from tinygrad_rnn.train.carried import put_together, taken_apart

F = tg.nn.functional


def line(samples: int = 12):
    """Samples of y = 3 x - 1."""
    x = np.linspace(-1, 1, samples)[:, None]
    return x, 3 * x - 1


def linear(lr: float = 0.1):
    model = tg.nn.Linear(1, 1, dtype=np.float64, rng=0)
    return model, tg.optim.SGD(model.parameters(), lr=lr)


def same_bits(one, other) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return list(a) == list(b) and all(a[n].tobytes() == b[n].tobytes() for n in a)


# What it computes


def test_it_is_the_loop_that_one_would_write():
    data = [(x, y) for x, y in zip(*(np.split(a, 3) for a in line()), strict=True)]
    model, optimiser = linear()
    history = tg.fit(model, F.mse_loss, optimiser, data, epochs=2, clip_norm=0.5)

    other, moved = linear()
    losses = []
    for x, y in data * 2:
        loss = F.mse_loss(other(x), y)
        moved.zero_grad()
        loss.backward()
        tg.nn.utils.clip_grad_norm_(list(other.parameters()), 0.5)
        moved.step()
        losses.append(float(loss))
    assert same_bits(model, other)
    np.testing.assert_allclose(history["loss"], [np.mean(losses[:3]), np.mean(losses[3:])])
    np.testing.assert_array_equal(history["steps"], [3, 6])
    np.testing.assert_array_equal(history["lr"], [0.1, 0.1])
    assert (history["tokens_per_second"] > 0).all()
    assert history.stopped == "finished"
    assert history.best is None


def test_the_state_is_carried_from_window_to_window():
    ids = np.random.default_rng(0).integers(0, 7, 100)
    windows = tg.data.Windows(tg.data.batchify(ids, 2), 10)
    model, other = Model().eval(), Model().eval()
    model.lstm.dropout = other.lstm.dropout = model.drop.p = other.drop.p = 0
    tg.fit(model, cross_entropy, tg.optim.SGD(model.parameters(), lr=0.5), windows, epochs=2)

    optimiser = tg.optim.SGD(other.parameters(), lr=0.5)
    for _ in range(2):
        state = None
        for window in windows.from_start():
            scores, state = other(window.inputs, tg.rnn.detach(state))
            optimiser.zero_grad()
            cross_entropy(scores, window.targets).backward()
            optimiser.step()
    assert same_bits(model, other)
    assert not model.training  # as it was before


def test_batches_count_by_their_targets():
    x, y = line(10)
    model, _ = linear()
    data = tg.data.batches((x, y), 4)  # the last has two samples
    found = evaluate(model, F.mse_loss, data, {"largest": lambda out, t: np.abs(out - t).max()})
    assert found["loss"] == pytest.approx(float(F.mse_loss(model(x), y)))
    assert list(found) == ["loss", "largest"]
    assert data.position == data.epoch == 0
    with pytest.raises(ValueError, match="no batch to evaluate"):
        evaluate(model, F.mse_loss, [])


def test_metrics_and_validation_every_few_steps():
    x, y = line()
    model, optimiser = linear()
    history = tg.fit(
        model, F.mse_loss, optimiser, tg.data.batches((x, y), 2), steps=9, validate_every=4,
        validation=tg.data.batches((x, y), 5), metrics={"l1": lambda out, t: F.l1_loss(out, t)},
    )  # fmt: skip
    names = ["steps", "loss", "l1", "lr", "val_loss", "val_l1", "seconds", "tokens_per_second"]
    assert list(history) == names
    np.testing.assert_array_equal(history["steps"], [4, 8, 9])
    assert len(history) == 8
    assert history.best == int(history["val_loss"].argmin())
    assert history["val_loss"][history.best] == pytest.approx(float(F.mse_loss(model(x), y)))
    with pytest.raises(KeyError, match="'losses': this history has steps, loss"):
        history["losses"]


@pytest.mark.parametrize("every", ["epoch", "step"])
def test_schedules(every: str):
    model, optimiser = linear(1e-3)
    schedule = tg.optim.lr_scheduler.ExponentialLR(optimiser, 0.5)
    data = tg.data.batches(line(), 4)
    tg.fit(model, F.mse_loss, optimiser, data, epochs=2, schedule=schedule, schedule_every=every)
    assert optimiser.param_groups[0]["lr"] == 1e-3 * 0.5 ** (2 if every == "epoch" else 6)


def test_a_schedule_that_looks_at_the_loss():
    model, optimiser = linear(1e-6)
    schedule = tg.optim.lr_scheduler.ReduceLROnPlateau(optimiser, patience=0, factor=0.1)
    data = tg.data.batches(line(), 4)
    tg.fit(model, F.mse_loss, optimiser, data, epochs=3, schedule=schedule)
    assert optimiser.param_groups[0]["lr"] < 1e-6
    with pytest.raises(ValueError, match="called after each epoch"):
        tg.fit(
            model, F.mse_loss, optimiser, data, epochs=3, schedule=schedule, schedule_every="step"
        )


# When it stops


def test_patience_keeps_the_best():
    x, y = line()
    model, optimiser = linear(lr=2.5)  # it diverges
    start = model.state_dict()
    history = tg.fit(
        model, F.mse_loss, optimiser, [(x, y)], epochs=50, validation=[(x, y)], patience=3
    )
    assert history.stopped == "early"
    assert history.rows == 4
    assert history.best == 0
    assert float(F.mse_loss(model(x), y)) == history["val_loss"].min()
    again = tg.nn.Linear(1, 1, dtype=np.float64)
    again.load_state_dict(start)
    tg.fit(again, F.mse_loss, tg.optim.SGD(again.parameters(), lr=2.5), [(x, y)], steps=1)
    assert same_bits(model, again)


@pytest.fixture
def ctrl_c():
    """Ctrl-C as in the foreground, wherever the tests run."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_ends_it_after_the_step(tmp_path: pathlib.Path):
    calls = []

    def loss(output, targets):
        calls.append(1)
        if len(calls) == 8:
            signal.raise_signal(signal.SIGINT)
        return cross_entropy(output, targets)

    handler = signal.getsignal(signal.SIGINT)
    path = tmp_path / "run.npz"
    history, model = train(path, kind="list", loss=loss)
    assert history.stopped == "interrupted"
    assert history["steps"].tolist() == [8]
    assert signal.getsignal(signal.SIGINT) is handler
    expected, whole = train(None, kind="list")
    assert expected["loss"][0] != history["loss"][0]
    again, model = train(path, kind="list")
    assert same_bits(model, whole)
    assert again.stopped == "finished"
    np.testing.assert_array_equal(again["loss"], expected["loss"])


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_pressed_twice_stops_python():
    def loss(output, targets):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    model, optimiser = linear()
    with pytest.raises(KeyboardInterrupt):
        tg.fit(model, loss, optimiser, [line()], epochs=1)


def test_another_thread_trains_too():
    model, optimiser = linear()
    found: list[History] = []

    def run():
        found.append(tg.fit(model, F.mse_loss, optimiser, [line()], epochs=2))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found[0].stopped == "finished"


def test_a_loss_that_is_no_number_changes_nothing():
    model, optimiser = linear()
    before = model.state_dict()
    with pytest.raises(FloatingPointError, match="the loss is nan at step 1: try a smaller"):
        tg.fit(model, lambda out, t: (out * np.nan).sum(), optimiser, [line()], epochs=1)
    assert all((model.state_dict()[n] == a).all() for n, a in before.items())


# That it goes on


KINDS = ["windows", "shuffled", "list", "best"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("every", [None, 1, 4])
def test_a_run_that_failed_goes_on_to_the_same_bits(tmp_path: pathlib.Path, kind, every):
    expected, whole = train(None, kind=kind)
    if kind == "best":
        assert expected.best < 3  # so that it is known from a checkpoint only
    path = tmp_path / "run.npz"
    for fatal in (5, 12, 3):  # each from where the one before has saved
        calls = []

        def loss(output, targets, calls=calls, fatal=fatal):
            calls.append(1)
            if len(calls) == fatal:
                raise ZeroDivisionError
            return cross_entropy(output, targets)

        with pytest.raises(ZeroDivisionError):
            train(path, kind=kind, loss=loss, checkpoint_every=every)
    found, model = train(path, kind=kind, checkpoint_every=every)
    assert same_bits(model, whole)
    for name in set(expected) - {"seconds", "tokens_per_second"}:
        np.testing.assert_array_equal(found[name], expected[name])
    assert found.best == expected.best
    again, model = train(path, kind=kind)  # there is nothing left to do
    assert same_bits(model, whole)
    assert again.rows == found.rows


def run(*arguments: object) -> int:
    script = pathlib.Path(__file__).with_name("training_run.py")
    command = [sys.executable, str(script), *map(str, arguments)]
    return subprocess.run(
        command, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
    ).returncode


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL on Windows")
def test_a_run_that_was_killed_goes_on_to_the_same_bits(tmp_path: pathlib.Path):
    assert run(tmp_path / "whole.npz", tmp_path / "expected.npz") == 0
    for fatal in (6, 8):
        assert run(tmp_path / "run.npz", tmp_path / "found.npz", fatal) == -signal.SIGKILL
    assert run(tmp_path / "run.npz", tmp_path / "found.npz") == 0
    expected, found = tg.load(tmp_path / "expected.npz"), tg.load(tmp_path / "found.npz")
    assert list(expected) == list(found)
    assert all(expected[n].tobytes() == found[n].tobytes() for n in expected)


def test_resume_false_begins_anew(tmp_path: pathlib.Path):
    path = tmp_path / "run.npz"
    model, optimiser = linear()
    tg.fit(model, F.mse_loss, optimiser, [line()], steps=2, checkpoint=path)
    model, optimiser = linear()
    history = tg.fit(model, F.mse_loss, optimiser, [line()], steps=3, checkpoint=path)
    assert history["steps"].tolist() == [1, 2, 3]
    model, optimiser = linear()
    history = tg.fit(model, F.mse_loss, optimiser, [line()], steps=1, checkpoint=path, resume=False)
    assert history["steps"].tolist() == [1]


def test_a_second_fit_goes_on_with_the_data():
    data = tg.data.batches(line(), 4)
    model, optimiser = linear()
    tg.fit(model, F.mse_loss, optimiser, data, steps=3)
    assert (data.epoch, data.position) == (1, 0)
    tg.fit(model, F.mse_loss, optimiser, data, steps=1)
    history = tg.fit(model, F.mse_loss, optimiser, data, epochs=2)  # the first is shorter
    assert history["steps"].tolist() == [2, 5]


@pytest.mark.parametrize(
    "state",
    [
        None,
        tg.Tensor([1.0]),
        (tg.Tensor([1.0]), np.ones(2)),
        tg.rnn.LSTMState(tg.Tensor([1.0]), tg.Tensor([2.0])),
        [{"a": tg.Tensor([1.0]), "b": None}, 2, 0.5],
    ],
)
def test_carried_states_come_back(state):
    found = put_together(*taken_apart(state))
    assert type(found) is type(state)
    assert repr(found) == repr(state)


# What is seen


class Terminal:
    def __init__(self) -> None:
        self.text = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass


def test_a_bar_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch, capsys):
    pytest.importorskip("tqdm")
    model, optimiser = linear()
    data, options = tg.data.batches(line(), 4), {"epochs": 3, "validation": [line()]}
    tg.fit(model, F.mse_loss, optimiser, data, **options)
    assert capsys.readouterr() == ("", "")
    for progress in (True, False):
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        tg.fit(model, F.mse_loss, optimiser, data, **options, progress=progress)
        shown = ["9/9", "loss ", "val_loss ", "tokens/s"]
        assert [text in terminal.text for text in shown] == [progress] * 4


def test_history_draws_itself():
    pytest.importorskip("matplotlib")
    model, optimiser = linear()
    options = {"epochs": 3, "validation": [line()]}
    history = tg.fit(model, F.mse_loss, optimiser, [line()], **options)
    assert list(history.plot(log=True).arrays) == ["loss", "val_loss"]  # lr was always the same
    falling = tg.optim.lr_scheduler.ExponentialLR(optimiser, 0.5)
    rest = tg.fit(model, F.mse_loss, optimiser, [line()], **options, schedule=falling)
    assert list(rest.plot().arrays) == ["loss", "lr", "val_loss"]
    assert "3 rows of steps, loss" in repr(history)
    with pytest.raises(ValueError, match="draw"):
        History().plot()


# Errors that teach


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "epochs= or steps="),
        ({"epochs": 0}, "epochs is at least 1"),
        ({"steps": 1, "patience": 0}, "patience is at least 1"),
        *(
            ({"steps": 1, "metrics": {name: F.l1_loss}}, f"a metric can't be called '{name}'")
            for name in ("loss", "steps", "lr", "seconds", "tokens_per_second", "val_l1")
        ),
        ({"steps": 1, "clip_norm": 0}, "clip_norm is above 0"),
        ({"steps": 1, "checkpoint_every": 3}, "needs a file"),
        ({"steps": 1, "schedule_every": "week"}, "'epoch' or 'step'"),
    ],
)
def test_arguments_that_make_no_sense(options, message: str):
    model, optimiser = linear()
    with pytest.raises(ValueError, match=message):
        tg.fit(model, F.mse_loss, optimiser, [line()], **options)


@pytest.mark.parametrize("name", ["epochs", "steps", "patience", "checkpoint_every"])
def test_what_counts_is_a_whole_number(name: str, tmp_path: pathlib.Path):
    model, optimiser = linear()
    options = {"steps": 1, "checkpoint": tmp_path / "run.npz", name: 1.5}
    with pytest.raises(TypeError, match=rf"fit: {name} is a whole number, got 1\.5"):
        tg.fit(model, F.mse_loss, optimiser, [line()], **options)


def test_a_checkpoint_that_can_not_be_written_is_refused_before_the_first_step(tmp_path):
    model, optimiser = linear()
    for path in (tmp_path / "nowhere" / "run.npz", tmp_path):
        diary = Diary()
        with pytest.raises(OSError, match=path.name):
            tg.fit(
                model, F.mse_loss, optimiser, [line()], steps=3, checkpoint=path, watchers=[diary],
                resume=False,
            )  # fmt: skip
        assert diary.notes == []
    assert same_bits(model, linear()[0])


@pytest.mark.parametrize("begun_with", [True, False])
def test_a_run_is_not_resumed_with_a_schedule_more_or_less(tmp_path: pathlib.Path, begun_with):
    def go_on(with_schedule, steps):
        model, optimiser = linear()
        schedule = tg.optim.lr_scheduler.StepLR(optimiser, 1) if with_schedule else None
        options = {"steps": steps, "schedule": schedule, "checkpoint": tmp_path / "run.npz"}
        try:
            tg.fit(model, F.mse_loss, optimiser, [line()], **options)
        finally:
            ends.append(model)

    ends: list[tg.nn.Module] = []
    go_on(begun_with, 1)
    message = "run with a schedule, which is missing" if begun_with else "holds no schedule"
    with pytest.raises(ValueError, match=message):
        go_on(not begun_with, 2)
    assert same_bits(ends[-1], linear()[0])  # nothing was taken from the file
    go_on(begun_with, 2)


def test_the_same_objects_go_on_to_the_same_bits_once_there_is_a_checkpoint(tmp_path):
    def fit(model, optimiser, data, loss, **options):
        return tg.fit(model, loss, optimiser, data, epochs=3, seed=0, **options)

    def fails_once(output, targets):
        calls.append(1)
        if len(calls) == 5:
            raise ZeroDivisionError
        return F.mse_loss(output, targets)

    def parts():
        return *linear(), tg.data.batches(line(), 4, shuffle=True, seed=1)

    calls: list[int] = []
    path, given, others = tmp_path / "run.npz", parts(), parts()
    with pytest.raises(ZeroDivisionError):
        fit(*given, fails_once, checkpoint=path)
    fit(*given, fails_once, checkpoint=path)
    fit(*others, F.mse_loss)
    assert same_bits(given[0], others[0])


def test_data_without_a_batch():
    model, optimiser = linear()
    with pytest.raises(ValueError, match=r"no batch in epoch 2: a generator"):
        tg.fit(model, F.mse_loss, optimiser, iter([line()]), epochs=2)


def test_a_model_over_windows_returns_its_state():
    class Stateless(tg.nn.Module):
        def __init__(self) -> None:
            self.weight = tg.nn.Parameter([1.0])

        def forward(self, x, state):
            return x * self.weight

    model = Stateless()
    optimiser = tg.optim.SGD(model.parameters())
    with pytest.raises(TypeError, match=r"returns \(output, state\); this one returned a Tensor"):
        tg.fit(model, F.mse_loss, optimiser, tg.data.Windows(line()[0], 3), epochs=2)


class Diary(tg.train.Watcher):
    """Notes what it is told; ends the training after some steps or epochs."""

    def __init__(self, steps=None, epochs=None):
        self.steps, self.epochs, self.notes, self.values = steps, epochs, [], []

    def begin_training(self):
        self.notes.append("begin")

    def begin_epoch(self, epoch):
        self.notes.append(f"epoch {epoch}")

    def begin_step(self, step):
        self.notes.append(f"step {step}")

    def end_step(self, step, values):
        self.values.append(values["loss"])
        return self.steps == step + 1

    def end_epoch(self, epoch, values):
        self.notes.append(f"end of {epoch} {sorted(values)}")
        return self.epochs == epoch + 1

    def end_training(self):
        self.notes.append("end")


def watched(diary, **options):
    x = np.arange(6, dtype=np.float32).reshape(6, 1)
    model = tg.nn.Linear(1, 1, rng=0)
    data = tg.data.batches((x, 2 * x), batch_size=3)
    optimiser = tg.optim.SGD(model.parameters(), lr=0.01)
    return tg.fit(model, F.mse_loss, optimiser, data, watchers=[diary], **options)


def test_a_watcher_is_told_of_everything_in_order():
    diary = Diary()
    history = watched(diary, epochs=2)
    names = "['loss', 'lr', 'seconds', 'steps', 'tokens_per_second']"
    assert diary.notes == [
        *("begin", "epoch 0", "step 0", "step 1", f"end of 0 {names}"),
        *("epoch 1", "step 2", "step 3", f"end of 1 {names}", "end"),
    ]
    assert diary.values[1::2] == history["loss"].tolist()  # the means at the end of each epoch
    assert diary.values[0] != diary.values[1]


@pytest.mark.parametrize(
    ("ends", "steps"), [({"steps": 3}, 3), ({"steps": 2}, 2), ({"epochs": 2}, 4)]
)
def test_a_watcher_ends_the_training(ends, steps):
    diary = Diary(**ends)
    history = watched(diary, epochs=9)
    assert history["steps"][-1] == steps
    assert history.stopped == "early"
    assert sum(note.startswith("end of") for note in diary.notes) == (steps + 1) // 2
    assert diary.notes[-1] == "end"


class Share:
    """An accumulator: the share of outputs above a bound."""

    def reset(self):
        self.above = self.all = 0

    def add(self, output, targets):
        self.above += int((np.asarray(output) > 4).sum())
        self.all += targets.size

    def value(self):
        return self.above / self.all


def test_a_metric_that_is_an_object_has_its_value_of_all_batches():
    data = [
        (np.array([[1.0], [5.0], [6.0]]), np.zeros((3, 1))),
        (np.array([[9.0]]), np.zeros((1, 1))),
    ]
    share = Share()
    share.reset()
    share.add(np.full(9, 9.0), np.zeros(9))  # of something else before
    found = evaluate(lambda x: x, F.mse_loss, data, {"share": share})
    assert found["share"] == 0.75
    assert found["loss"] == (1 + 25 + 36 + 81) / 4


def test_such_an_object_may_have_a_name_of_the_history_which_keeps_its_own():
    told = []

    class Listens(tg.train.Watcher):
        def end_step(self, step, values):
            told.append(dict(values))

    model, optimiser = linear(lr=0.125)
    options = {"steps": 2, "metrics": {"lr": Share(), "steps": Share()}, "watchers": [Listens()]}
    history = tg.fit(model, F.mse_loss, optimiser, [line()], **options)
    assert (history["lr"].tolist(), history["steps"].tolist()) == ([0.125, 0.125], [1, 2])
    assert {values["lr"] for values in told} == {0.0}  # no output is above 4
    with pytest.raises(ValueError, match="can't be called 'loss'"):
        tg.fit(model, F.mse_loss, optimiser, [line()], steps=1, metrics={"loss": Share()})


def test_a_checkpoint_can_not_hold_such_an_object(tmp_path):
    with pytest.raises(ValueError, match="what metrics that are objects have added up"):
        watched(Diary(), epochs=1, metrics={"share": Share()}, checkpoint=tmp_path / "run.npz")


def test_keep_best_says_which_parameters_stay():
    x = np.ones((4, 1), dtype=np.float32)
    ends = {}
    for keep_best in (True, False):
        model = tg.nn.Linear(1, 1, rng=0)
        optimiser = tg.optim.SGD(model.parameters(), lr=1.5)  # every step makes it worse
        data = tg.data.batches((x, 9 * x), batch_size=4)
        history = tg.fit(model, F.mse_loss, optimiser, data, epochs=3, keep_best=keep_best)
        ends[keep_best] = F.mse_loss(model(x), 9 * x).item()
        assert (history.best is None) == (not keep_best)
    assert ends[True] < ends[False]


def test_a_run_in_two_parts_is_not_changed_by_what_is_measured_at_the_first_end(tmp_path):
    ends = []
    for path, stops in ((None, [10]), (tmp_path / "run.npz", [1, 10])):
        model = tg.nn.Linear(1, 1, rng=0)
        optimiser = tg.optim.SGD(model.parameters(), lr=5.0)  # the first steps are the best ones
        data = tg.data.batches((np.ones((4, 1), np.float32), np.ones((4, 1), np.float32)), 4)
        for steps in stops:
            options = {"steps": steps, "validate_every": 5, "checkpoint": path, "seed": 0}
            history = tg.fit(model, F.mse_loss, optimiser, data, validation=data, **options)
        ends.append((model.weight.data.copy(), history["val_loss"]))
    assert (ends[0][0] == ends[1][0]).all()
    np.testing.assert_array_equal(ends[0][1], ends[1][1])
