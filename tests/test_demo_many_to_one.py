"""The parts of demos/many_to_one.py, and small runs of the whole."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tg

pytest.importorskip("matplotlib")
sys.path.insert(0, str(Path(__file__).parent.parent / "demos"))

many_to_one = importlib.import_module("many_to_one")

SMALL = ["--members", "2", "--hidden", "4", "--epochs", "15", "--order", "6"]


def small(path, *more):
    return many_to_one.main([*SMALL, "--out", str(path), *more])


# The data


def test_the_table_is_the_known_one():
    years, numbers = many_to_one.read_table()
    assert years.tolist() == list(range(1700, 2009))
    known = {1700: 5, 1701: 11, 1749: 80.9, 1810: 0, 1957: 190.2, 2008: 2.9}
    assert {year: numbers[year - 1700] for year in known} == known
    assert years[numbers.argmax()] == 1957
    assert "public domain" in many_to_one.TABLE.read_text()


@pytest.mark.parametrize("order", [1, 11, many_to_one.LONGEST])
def test_every_target_belongs_to_one_part_and_follows_its_inputs(order):
    parts = many_to_one.windows(np.arange(1700, 2009), order)
    targets = [y[:, 0].tolist() for _, y in parts]
    first = 1700 + order
    assert targets == [[*range(first, 1885)], [*range(1885, 1947)], [*range(1947, 2009)]]
    for x, y in parts:
        np.testing.assert_array_equal(x, y + np.arange(-order, 0))


def test_two_parts_are_joined_in_their_order():
    training, validation, _ = many_to_one.windows(np.arange(1700, 2009), 3)
    x, y = many_to_one.joined(training, validation)
    assert y[:, 0].tolist() == list(range(1703, 1947))
    np.testing.assert_array_equal(x[:, -1:], y - 1)


def test_the_scale_is_that_of_the_roots_and_can_be_undone():
    scale = many_to_one.Scale(np.array([1.0, 9.0, 1.0, 9.0]))  # roots 1 and 3
    np.testing.assert_allclose(scale.apply(np.array([1.0, 4.0, 25.0])), [-1, 0, 3])
    np.testing.assert_allclose(scale.undo(np.array([-1.0, 0.0, 3.0])), [1, 4, 25])
    assert scale.undo(np.array([-5.0])) == 0  # not the square of a negative root


# The network


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_a_forecast_is_the_last_year_and_a_change_that_every_year_has_a_part_in(cell):
    model = many_to_one.Forecaster(cell, 4, seed=0)
    years = tg.Tensor(np.random.default_rng(0).normal(size=(3, 7)), requires_grad=True)
    outputs = model(years)
    assert outputs.shape == (3, 1)
    (felt,) = tg.grad(outputs.sum(), years)
    assert (felt.data != 0).all()
    model.change.weight.data[:], model.change.bias.data[:] = 0, 0.5
    np.testing.assert_allclose(model(years).data, years.data[:, -1:] + 0.5)


def test_a_free_run_reads_its_own_forecasts():
    model = many_to_one.Forecaster("gru", 4, seed=0)
    model.change.weight.data[:], model.change.bias.data[:] = 0, 0.25
    scale = many_to_one.Scale(np.array([1.0, 9.0]))
    ahead = many_to_one.free_run([model, model], np.zeros(9), scale, order=5, years=4)
    np.testing.assert_allclose(ahead, (2 + np.array([0.25, 0.5, 0.75, 1.0])) ** 2, rtol=1e-6)


def test_what_is_trained_knows_no_test_year():
    args = argparse.Namespace(cell="gru", hidden=2, order=3, epochs=6)

    def trained(change_from, values):
        series = np.sin(np.arange(1700, 2009) / 2)
        series[change_from - 1700 :] += values
        first, second, history = many_to_one.train(series, args, seed=0)
        return weights(first), weights(second), history["val_loss"].tolist()

    first, second, losses = trained(1947, 0)
    # Jumps that no forecast expects: whoever stopped by these years would stop elsewhere.
    jumps = np.cumsum(np.random.default_rng(0).normal(size=62))
    for values in (jumps, -jumps, 5 * jumps):
        assert trained(1947, values) == (first, second, losses)
    _, other_second, other_losses = trained(1946, 1)
    assert other_second != second  # the validation years are known to the second
    assert other_losses != losses


def weights(model):
    return [p.data.tolist() for p in model.parameters()]


def test_the_rows_of_what_is_felt_are_the_years_that_are_forecast():
    model = many_to_one.Forecaster("gru", 4, seed=0)
    window = np.random.default_rng(0).normal(size=11)
    drawn = many_to_one.draw_felt(model, window, np.arange(1997, 2008))
    panel = drawn.figure.axes[0]
    columns, rows = (
        [int(label.get_text()) for label in axis.get_ticklabels()]
        for axis in (panel.xaxis, panel.yaxis)
    )
    assert columns == list(range(1997, 2008))  # read
    assert rows == list(range(1998, 2009))
    # The last forecast is that of the model: of what it feels, the map has the last row.
    years = tg.Tensor(window[None], requires_grad=True, dtype=np.float32)
    (felt,) = tg.grad(model(years).sum(), years)
    np.testing.assert_allclose(
        drawn.arrays["connectivity"][-1], np.abs(felt.data[0]), rtol=1e-4, atol=1e-6
    )
    assert "_" not in drawn.figure.get_suptitle()
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("year read", "year forecast")


# The baselines


def test_persistence_says_the_year_before():
    validation, test = many_to_one.persistence(np.arange(1700, 2009), order=4)
    assert (validation.tolist(), test.tolist()) == ([*range(1884, 1946)], [*range(1946, 2008)])


def test_autoregression_finds_a_series_that_is_one():
    """A sine wave upon a constant: x_t = 2 cos(w) x_{t-1} - x_{t-2} + c."""
    series = 7 + np.sin(0.6 * np.arange(309))
    validation, test = many_to_one.autoregression(series, order=2)
    np.testing.assert_allclose(validation, series[185:247])
    np.testing.assert_allclose(test, series[247:])


def test_autoregression_is_fitted_to_earlier_years_only():
    series = np.random.default_rng(0).normal(size=309)
    validation, test = many_to_one.autoregression(series, order=3)
    series[280:] += 5
    validation_after, test_after = many_to_one.autoregression(series, order=3)
    np.testing.assert_array_equal(validation_after, validation)
    known = 280 - 247 + 1  # up to the year that is forecast from those before the change
    np.testing.assert_array_equal(test_after[:known], test[:known])
    assert (test_after[known:] != test[known:]).all()


def test_errors_are_those_counted_by_hand():
    found = many_to_one.errors(np.array([13.0, 6.0]), np.array([10.0, 10.0]))
    assert found == {"rmse": pytest.approx(12.5**0.5), "mae": 3.5}


def test_margins_tell_who_is_worse(capsys):
    scores = {
        name: {"test": {"rmse": rmse, "mae": 1.0}, "validation": {}}
        for name, rmse in {"ours": 8.0, "weak": 10.0, "strong": 5.0}.items()
    }
    margins = many_to_one.print_margins(scores)
    assert margins["weak"] == pytest.approx({"rmse": 0.2, "mae": 0.0})
    assert margins["strong"]["rmse"] == pytest.approx(-0.6)
    assert "strong: RMSE by -60.0%" in capsys.readouterr().out


# The whole


def test_a_small_run(tmp_path, capsys):
    figures = small(tmp_path)
    scores = figures["scores"]
    assert list(scores) == ["GRU, mean of 2", "persistence", "AR(6)", "AR(6) of square roots"]
    for part in ("validation", "test"):
        assert scores["GRU, mean of 2"][part]["rmse"] < scores["persistence"][part]["rmse"]
    # Known from the table itself: the mean change from one year to the next.
    _, numbers = many_to_one.read_table()
    assert scores["persistence"]["test"]["mae"] == np.abs(np.diff(numbers))[-62:].mean()
    assert figures["years"]["test"] == [1947, 2008]
    assert all(1 <= epoch <= 15 for epoch in figures["epochs"])
    assert len(figures["free_run"]) == 11
    assert len(figures["alone_test_rmse"]) == 2

    kept = json.loads((tmp_path / "figures.json").read_text())
    assert kept == {"options": kept["options"], **figures}
    printed = capsys.readouterr().out
    assert "1947-2008" in printed
    for name in ("forecasts.png", "felt.png", "training.png", "figures.json"):
        assert (tmp_path / name).stat().st_size > 0
        assert str(tmp_path / name) in printed


FAST = ["--epochs", "2", "--members", "1", "--seed"]


def test_the_same_seed_gives_the_same_figures(tmp_path, monkeypatch):
    monkeypatch.setattr(many_to_one, "PICTURES", {})  # they take the longest
    one, same, other = (small(tmp_path, *FAST, seed) for seed in "001")
    assert one == same
    assert one["scores"] != other["scores"]


def test_nothing_of_the_test_years_is_known_before_the_test(tmp_path, monkeypatch):
    monkeypatch.setattr(many_to_one, "PICTURES", {})
    before = small(tmp_path, *FAST, "0")
    years, numbers = many_to_one.read_table()
    numbers[years >= 1947] = 50.0
    monkeypatch.setattr(many_to_one, "read_table", lambda: (years, numbers))
    after = small(tmp_path, *FAST, "0")
    assert after["epochs"] == before["epochs"]
    for name, parts in before["scores"].items():
        assert after["scores"][name]["validation"] == parts["validation"]
        assert after["scores"][name]["test"] != parts["test"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--order", "61"], "argument --order: 61 is more than 60"),
        (["--order", "0"], "argument --order: '0'"),
        (["--cell", "transformer"], "argument --cell: invalid choice"),
    ],
)
def test_wrong_arguments_get_one_line_and_exit_code_2(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        small(tmp_path, *arguments)
    assert stopped.value.code == 2
    _usage, *lines = capsys.readouterr().err.strip().split("\n")
    assert len(lines) == 1
    assert message in lines[0]


def test_help_names_every_option(capsys):
    with pytest.raises(SystemExit) as stopped:
        many_to_one.main(["--help"])
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    for option in ("--cell", "--order", "--hidden", "--members", "--epochs", "--seed", "--out"):
        assert option in printed
