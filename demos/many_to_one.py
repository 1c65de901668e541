"""Many to one: next year's number of sunspots from those of the years before.

    python demos/many_to_one.py

Sunspots come and go in cycles of about eleven years, which rise faster than they fall, and no two
of which are equal. A recurrent network reads the last years one by one. Only its state after the
last of them is used: many inputs, one output, the change to the next year.

The table (1700 to 2008, data/sunspots.csv) is split in time: training years, then validation
years, which say when to stop and which options are good, then test years, which nothing is fitted
to. Before the test, everything is fitted again, to training and validation years. Several small
networks are trained from different random weights, and the mean of their forecasts counts. They
are measured against persistence (next year is like this year) and against linear autoregression
(AR), of the numbers and of their square roots. Takes about 20 seconds on two cores.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import one_thread  # noqa: F401  isort: skip
import numpy as np
import options

import tinygrad_rnn as tg

try:
    from matplotlib.figure import Figure
except ModuleNotFoundError as missing:
    sys.exit(options.MISSING.format(missing))

TABLE = Path(__file__).parent / "data" / "sunspots.csv"
SHARES = (0.6, 0.2, 0.2)  # of the years: training, validation, test
LONGEST = 60  # years before a forecast; the validation years are 62
PICTURES = {
    "forecasts": "the test years, what was forecast, and 11 years more",
    "felt": "which years are felt in a forecast",
    "training": "loss of the first network",
}
Samples = tuple[np.ndarray, np.ndarray]
Score = dict[str, dict[str, float]]
LAYERS = {"rnn": tg.nn.RNN, "lstm": tg.nn.LSTM, "gru": tg.nn.GRU}


# The data


def read_table(path: Path = TABLE) -> tuple[np.ndarray, np.ndarray]:
    """The years (T,) and their sunspot numbers (T,)."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    rows = list(csv.DictReader(lines))
    years = np.array([int(row["YEAR"]) for row in rows])
    return years, np.array([float(row["SUNACTIVITY"]) for row in rows])


class Scale:
    """Square roots, with mean 0 and deviation 1 in the training years.

    The number of spots varies the more, the more there are; that of its root is much the same.
    """

    def __init__(self, training: np.ndarray) -> None:
        roots = np.sqrt(training)
        self.mean, self.deviation = roots.mean(), roots.std()

    def apply(self, numbers: np.ndarray) -> np.ndarray:
        return (np.sqrt(numbers) - self.mean) / self.deviation

    def undo(self, scaled: np.ndarray) -> np.ndarray:
        return np.maximum(scaled * self.deviation + self.mean, 0) ** 2


def windows(series: np.ndarray, order: int) -> list[Samples]:
    """For training, validation and test: inputs (M, order) and the year after each, (M, 1).

    Every target belongs to one part. The years before the first target of a part lie in the part
    before it: whoever forecasts that year knows them.
    """
    training, validation, test = tg.data.split(series, SHARES)
    before_validation, before_test = training[-order:], validation[-order:]
    parts = [training, np.append(before_validation, validation), np.append(before_test, test)]
    return [tg.data.sliding_windows(part, order) for part in parts]


def joined(first: Samples, second: Samples) -> Samples:
    """The samples of two parts as those of one."""
    return np.concatenate([first[0], second[0]]), np.concatenate([first[1], second[1]])


# The network


class Forecaster(tg.nn.Module):
    """Reads years one by one, and adds a change to the last of them."""

    def __init__(self, cell: str, hidden: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.recurrent = LAYERS[cell](1, hidden, batch_first=True, rng=rng)
        self.change = tg.nn.Linear(hidden, 1, rng=rng)

    def forward(self, years: Any) -> Any:
        """(N, order) -> (N, 1)"""
        states, _ = self.recurrent(years[:, :, None])  # (N, order, hidden)
        return years[:, -1:] + self.change(states[:, -1])


def fitted(
    samples: Samples, args: argparse.Namespace, seed: int, epochs: int, unseen: Any = None
) -> tuple[Forecaster, Any]:
    """A network that has learnt from the samples, and its history.

    With batches of `unseen` samples, it stops when it no longer gets better at them, and is as it
    was when it was best.
    """
    model = Forecaster(args.cell, args.hidden, seed)
    history = tg.fit(
        model,
        tg.nn.functional.mse_loss,
        tg.optim.Adam(model.parameters(), lr=0.01),
        tg.data.batches(samples, batch_size=16, shuffle=True, seed=seed),
        epochs=epochs,
        validation=unseen,
        patience=30 if unseen else None,
        clip_norm=1.0,
    )
    return model, history


def train(
    scaled: np.ndarray, args: argparse.Namespace, seed: int
) -> tuple[Forecaster, Forecaster, Any]:
    """A network fitted to the training years, and its history; and one fitted to training and
    validation years, from the same random weights, for as many epochs as were best for the first.
    """
    training, validation, _ = windows(scaled.astype(np.float32), args.order)
    unseen = tg.data.batches(validation, batch_size=64)
    first, history = fitted(training, args, seed, args.epochs, unseen)
    second, _ = fitted(joined(training, validation), args, seed, epochs=history.best + 1)
    return first, second, history


def forecast(models: Sequence[Forecaster], inputs: np.ndarray, scale: Scale) -> np.ndarray:
    """What each network says about the year after each window: (models, M)."""
    with tg.no_grad():
        outputs = [model(inputs.astype(np.float32)).data[:, 0] for model in models]
    return scale.undo(np.array(outputs, dtype=np.float64))


def free_run(
    models: Sequence[Forecaster], scaled: np.ndarray, scale: Scale, order: int, years: int
) -> np.ndarray:
    """The years after the last one, (years,): each forecast is an input of the next."""
    for _ in range(years):
        following = forecast(models, scaled[None, -order:], scale).mean(axis=0)
        scaled = np.append(scaled, scale.apply(following))
    return scale.undo(scaled[-years:])


# The baselines: each gives forecasts of the validation years and of the test years


def persistence(numbers: np.ndarray, order: int) -> list[np.ndarray]:
    """Next year is like this year."""
    return [inputs[:, -1] for inputs, _ in windows(numbers, order)[1:]]


def autoregression(series: np.ndarray, order: int) -> list[np.ndarray]:
    """A weighted sum of the last years and a constant, by least squares: fitted to the training
    years for the validation years, and to both for the test years."""
    training, validation, test = windows(series, order)
    return [
        with_one(inputs) @ np.linalg.lstsq(with_one(x), y[:, 0], rcond=None)[0]
        for (x, y), (inputs, _) in [(training, validation), (joined(training, validation), test)]
    ]


def baselines(numbers: np.ndarray, scale: Scale, order: int) -> dict[str, list[np.ndarray]]:
    """Forecasts by name."""
    of_roots = autoregression(scale.apply(numbers), order)
    return {
        "persistence": persistence(numbers, order),
        f"AR({order})": autoregression(numbers, order),
        f"AR({order}) of square roots": [scale.undo(values) for values in of_roots],
    }


def with_one(inputs: np.ndarray) -> np.ndarray:
    """(M, order) -> (M, 1 + order), for the constant."""
    return np.insert(inputs, 0, 1.0, axis=1)


# What is printed and drawn


def errors(forecasts: np.ndarray, actual: np.ndarray) -> dict[str, float]:
    """Root mean squared and mean absolute error, in sunspot numbers."""
    off = forecasts - actual
    return {"rmse": float(np.sqrt(np.mean(off**2))), "mae": float(np.mean(np.abs(off)))}


def score(found: list[np.ndarray], actual: list[np.ndarray]) -> Score:
    """The errors in the validation years and in the test years."""
    return {"validation": errors(found[0], actual[0]), "test": errors(found[1], actual[1])}


def print_table(scores: dict[str, Score]) -> None:
    print(f"\n{'':32}{'validation':^16}{'test':^16}")
    print(f"{'':32}{'RMSE':>8}{'MAE':>8}{'RMSE':>8}{'MAE':>8}")
    for name, parts in scores.items():
        numbers = [parts[part][kind] for part in ("validation", "test") for kind in ("rmse", "mae")]
        print(f"{name:32}" + "".join(f"{number:8.2f}" for number in numbers))


def print_margins(scores: dict[str, Score]) -> dict[str, dict[str, float]]:
    """By how much the network, which comes first, errs less than each baseline in the test years;
    negative if it errs more."""
    (network, ours), *baselines = ((name, parts["test"]) for name, parts in scores.items())
    margins = {}
    print(f"\nIn the test years, {network}, errs less (if negative: more) than")
    for name, theirs in baselines:
        less = {kind: 1 - ours[kind] / theirs[kind] for kind in ours}
        said = " and ".join(f"{kind.upper()} by {share:.1%}" for kind, share in less.items())
        print(f"  {name}: {said}")
        margins[name] = less
    return margins


def draw_forecasts(
    years: np.ndarray, actual: np.ndarray, forecasts: dict[str, np.ndarray], ahead: np.ndarray
) -> tg.plots.Drawn:
    """The test years above, what each forecast is off by below, and the free run after the end."""
    figure = Figure(figsize=(10, 7), layout="constrained")
    above, below = figure.subplots(2, sharex=True, height_ratios=(2, 1))
    above.plot(years, actual, "o-", color="black", markersize=3, label="actual")
    for (name, values), style in zip(forecasts.items(), ("-", ":", "--", "-."), strict=True):
        (line,) = above.plot(years, values, style, label=name)
        below.plot(years, values - actual, style, color=line.get_color())
    after = years[-1] + 1 + np.arange(len(ahead))
    above.plot(after, ahead, ".--", color="grey", label="free run, on its own forecasts")
    above.set_ylabel("sunspot number")
    above.set_title("The test years, each forecast from the years before it")
    above.legend(fontsize="small")
    below.axhline(0, color="black", linewidth=0.8)
    below.set_ylabel("forecast − actual")
    below.set_xlabel("year")
    return tg.plots.Drawn(figure, {"actual": actual, "ahead": ahead, **forecasts})


def draw_felt(model: Forecaster, window: np.ndarray, years: np.ndarray) -> tg.plots.Drawn:
    """Which years are felt, and how strongly, in the forecast that is made after each of them."""

    def forecast_after_each_year(x: Any) -> Any:
        return x + model.change(model.recurrent(x)[0])

    x = window.astype(np.float32)[None, :, None]
    labels = [str(year) for year in years]
    drawn = tg.plots.connectivity(forecast_after_each_year, x, batch_first=True, labels=labels)
    drawn.figure.suptitle("Which years are felt in the forecasts")
    panel = drawn.figure.axes[0]
    rows = panel.get_yticks().astype(int)
    panel.set_yticks(rows, [str(year + 1) for year in years[rows]])
    panel.set(xlabel="year read", ylabel="year forecast")
    return drawn


def parser() -> argparse.ArgumentParser:
    """The options; their defaults were chosen by the errors in the validation years."""
    made = options.parser("many_to_one", __doc__)
    made.add_argument(
        "--cell", choices=LAYERS, default="gru", help="kind of recurrent layer (default: gru)"
    )
    positive = options.at_least(1)
    options.number(made, "--order", positive, 11, f"years that are read, at most {LONGEST}")
    options.number(made, "--hidden", positive, 8, "hidden units")
    options.number(made, "--members", positive, 5, "networks whose forecasts are averaged")
    options.number(made, "--epochs", positive, 300, "rounds through the training years, at most")
    return made


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Trains, measures, draws."""
    made = parser()
    args = options.read(made, arguments)
    if args.order > LONGEST:
        made.error(f"argument --order: {args.order} is more than {LONGEST}")

    years, numbers = read_table()
    parts = dict(zip(("training", "validation", "test"), tg.data.split(years, SHARES), strict=True))
    options.heading("Sunspots: the next year from the years before")
    for name, part in parts.items():
        print(f"{name:12}{part[0]}-{part[-1]}  {len(part)} years")

    scale = Scale(tg.data.split(numbers, SHARES)[0])
    scaled = scale.apply(numbers)
    seeds = [args.seed * args.members + k for k in range(args.members)]
    trained = [train(scaled, args, seed) for seed in seeds]
    firsts, seconds, histories = zip(*trained, strict=True)
    epochs = [history.best + 1 for history in histories]
    print(f"\nEpoch that was best in the validation years, for each network: {epochs}")

    _, (before_validation, _), (before_test, _) = windows(scaled, args.order)
    each = [forecast(firsts, before_validation, scale), forecast(seconds, before_test, scale)]
    network = f"{args.cell.upper()}, mean of {args.members}"
    forecasts = {network: [values.mean(axis=0) for values in each]}
    forecasts |= baselines(numbers, scale, args.order)
    actual = [targets[:, 0] for _, targets in windows(numbers, args.order)[1:]]
    scores = {name: score(found, actual) for name, found in forecasts.items()}
    print_table(scores)
    print("\nFor validation, all are fitted to the training years; for the test, to both.")
    margins = print_margins(scores)
    alone = [errors(values, actual[1])["rmse"] for values in each[1]]
    print(f"One network alone: test RMSE from {min(alone):.2f} to {max(alone):.2f}")

    in_test = {name: found[1] for name, found in forecasts.items()}
    ahead = free_run(seconds, scaled, scale, args.order, years=11)
    last = slice(-args.order - 1, -1)  # the window before the last year
    drawn = {
        "forecasts": draw_forecasts(parts["test"], actual[1], in_test, ahead),
        "felt": draw_felt(seconds[0], scaled[last], years[last]),
        "training": histories[0].plot(),
    }
    figures = {
        "years": {name: [int(part[0]), int(part[-1])] for name, part in parts.items()},
        "epochs": epochs,
        "scores": scores,
        "less_error": margins,
        "alone_test_rmse": alone,
        "free_run": ahead.tolist(),
    }
    options.heading("Made")
    for name, what in PICTURES.items():
        print(f"  {drawn[name].save(args.out / f'{name}.png')}   {what}")
    print(f"  {options.keep(figures, args)}   all figures of this run")
    return figures


if __name__ == "__main__":
    options.run(main)
