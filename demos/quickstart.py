"""A tour in four parts: a NumPy loop that learns, gradients proved, real text, and a picture.

    python demos/quickstart.py

Part 1  the recurrent loop of the textbooks, in NumPy, differentiated and trained
Part 2  RNN, LSTM and GRU: their gradients, first and second order, beside numeric ones
Part 3  a character-level LSTM learns Python from the source of the standard library
Part 4  the unrolled graph of a small LSTM, drawn
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import one_thread  # noqa: F401  # isort: skip
import corpus
import language_model
import numpy as np
import options
from options import heading

import tinygrad_rnn as tg

try:
    import tqdm  # noqa: F401  (for tg.fit; what brings it also brings what tg.draw needs)
except ModuleNotFoundError as missing:
    sys.exit(options.MISSING.format(missing))


# Part 1


def numpy_loop(Wx: Any, Wh: Any, b: Any, inputs: Any) -> Any:
    """A recurrent network as the textbooks write it. Nothing here knows of gradients."""
    h = np.zeros(len(b))
    states = []
    for x in inputs:
        h = np.tanh(np.dot(Wx, x) + np.dot(Wh, h) + b)
        states.append(h)
    return np.stack(states, axis=0)


def remember(states: Any, inputs: np.ndarray) -> Any:
    """The loss of a small task: four of the hidden units shall hold the input before this one."""
    return np.mean((states[1:, : inputs.shape[1]] - inputs[:-1]) ** 2)


def loop_lesson(seed: int) -> dict[str, float]:
    """Backpropagation through time: proved on a NumPy loop, then used."""
    heading("1. A NumPy loop that differentiates itself")
    rng = np.random.default_rng(seed)
    inputs = rng.uniform(-0.8, 0.8, (20, 4))
    Wx = tg.Tensor(rng.normal(0, 0.5, (8, 4)), requires_grad=True, name="Wx")
    Wh = tg.Tensor(rng.normal(0, 0.3, (8, 8)), requires_grad=True, name="Wh")
    b = tg.Tensor(np.zeros(8), requires_grad=True, name="b")
    weights = [Wx, Wh, b]
    print("h = np.tanh(np.dot(Wx, x) + np.dot(Wh, h) + b), over 20 steps; Wx, Wh, b are Tensors.\n")

    def loss() -> Any:
        return remember(numpy_loop(Wx, Wh, b, inputs), inputs)

    loss().backward()
    difference = compare_with_numeric(loss, weights)
    entries = sum(W.size for W in weights)
    print(f"\nThe largest difference among all {entries} entries: {difference:.1e}\n")
    losses = descend(loss, weights, lr=1.0, steps=200)
    return {"largest_difference": difference, "first_loss": losses[0], "last_loss": losses[-1]}


def compare_with_numeric(loss: Callable[[], Any], weights: list[tg.Tensor]) -> float:
    """Prints some entries of the gradients beside numeric ones; returns the largest difference."""
    print(f"{'entry':>12}  {'by backpropagation':>20}  {'numeric':>20}")
    largest = 0.0
    for W in weights:
        numeric = numeric_gradient(loss, W)
        largest = max(largest, float(np.abs(W.grad.data - numeric).max()))
        for index in [(0,) * W.ndim, tuple(n - 1 for n in W.shape)]:
            entry = f"{W.name}[{', '.join(map(str, index))}]"
            print(f"{entry:>12}  {W.grad.data[index]:20.12f}  {numeric[index]:20.12f}")
    return largest


def numeric_gradient(loss: Callable[[], Any], W: tg.Tensor, eps: float = 1e-6) -> np.ndarray:
    """(loss(W + eps) - loss(W - eps)) / (2 eps), for one entry of W after another."""
    gradient = np.zeros(W.shape)
    with tg.no_grad():
        for index in np.ndindex(W.shape):
            kept = W.data[index]
            W.data[index] = kept + eps
            above = float(loss())
            W.data[index] = kept - eps
            below = float(loss())
            W.data[index] = kept
            gradient[index] = (above - below) / (2 * eps)
    return gradient


def descend(
    loss: Callable[[], Any], weights: list[tg.Tensor], lr: float, steps: int
) -> list[float]:
    """Gradient descent, by hand: gradient -> update -> loss."""
    print(f"Gradient descent, W -= {lr} * W.grad, so that the state remembers the last input:")
    losses = []
    for step in range(steps + 1):
        for W in weights:
            W.grad = None
        error = loss()
        error.backward()
        with tg.no_grad():
            for W in weights:
                W -= lr * W.grad
        losses.append(float(error))
        if step % (steps // 5) == 0:
            print(f"  step {step:4d}   loss {losses[-1]:.4f}")
    return losses


# Part 2


def checks_lesson(seed: int) -> dict[str, dict[str, float]]:
    """The gradients of the recurrent layers, and the gradients of those, beside numeric ones."""
    heading("2. Gradients, proved")
    print("Two layers, 3 time steps, 2 sequences; every input and every parameter, in float64.")
    print("The largest relative error, |analytic - numeric| / max |numeric|:\n")
    print(f"{'':6}  {'first order':>12}  {'second order':>12}")
    x = np.random.default_rng(seed).standard_normal((3, 2, 2))
    found = {}
    for name, Layer in (("RNN", tg.nn.RNN), ("LSTM", tg.nn.LSTM), ("GRU", tg.nn.GRU)):
        layer = Layer(2, 2, num_layers=2, dtype=np.float64, rng=seed)
        first = tg.gradcheck(layer, x).max_relative_error
        second = tg.gradgradcheck(layer, x).max_relative_error
        print(f"{name:6}  {first:12.1e}  {second:12.1e}")
        found[name] = {"first_order": first, "second_order": second}
    return found


# Part 3


def text_lesson(args: argparse.Namespace, text: corpus.Corpus | None) -> dict[str, Any]:
    """A network learns to continue text, and is measured against counting."""
    name = args.cell.upper()
    heading(f"3. A character-level {name} on real text")
    text = text or corpus.from_library(args.seed)
    ids = corpus.numbered(text)
    vocabulary, training, held_out = ids.vocabulary, ids.training, ids.held_out
    print(f"{text.source}.")
    print(
        f"{len(training):,} characters to train on, {len(ids.validation):,} to validate, "
        f"{len(held_out):,} held out;\n"
        f"{len(vocabulary)} symbols ({np.mean(held_out == 0):.4%} of the held-out text unknown)."
    )

    model = language_model.CharModel(
        args.cell, len(vocabulary), args.hidden, args.layers, args.seed
    )
    model.start_from_frequencies(training)
    print(
        f"{sum(p.size for p in model.parameters()):,} parameters. It learns for at most "
        f"{args.minutes:g} minutes; Ctrl-C ends the training early.",
        flush=True,
    )
    windows = language_model.windows(training, args.batch, args.seq_len)
    data = language_model.UntilTime(windows, 60 * args.minutes, args.updates)
    begin = time.perf_counter()
    history = language_model.train(
        model, data, ids.validation, args.lr, data.done, epochs=1, steps=args.updates
    )
    seconds = time.perf_counter() - begin
    interrupted = history.stopped == "interrupted"
    print(
        f"\nRead {data.characters:,} characters ({data.characters / len(training):.1%} of "
        f"the training text) in {seconds:.0f} s, {data.characters / seconds:,.0f} a second; "
        f"{data.updates:,} updates" + (", until Ctrl-C." if interrupted else ".")
    )

    figures = language_model.compare_with_counting(model, name, training, held_out, len(vocabulary))
    return {
        "source": text.source,
        "training_characters": len(training),
        "validation_characters": len(ids.validation),
        "held_out_characters": len(held_out),
        "symbols": len(vocabulary),
        "characters_read": data.characters,
        "updates": data.updates,
        "training_seconds": round(seconds, 2),
        "interrupted": interrupted,
        "while_training": while_training(history),
        "sample": write_sample(model, vocabulary, args),
        **figures,
    }


def while_training(history: tg.train.History) -> list[tuple[int, float]]:
    """Pairs (updates, bits per character of the validation text)."""
    pairs = zip(history["steps"].tolist(), history["val_loss"].tolist(), strict=True)
    return [(updates, bits) for updates, bits in pairs if bits == bits]  # NaN: not measured


def write_sample(
    model: language_model.CharModel, vocabulary: tg.data.Vocabulary, args: argparse.Namespace
) -> str:
    """Prints and keeps some text of the network's own."""
    text = tg.generate(
        model, "\n", args.sample,
        vocabulary=vocabulary, temperature=args.temperature, seed=args.seed,
    )  # fmt: skip
    print(f"\n{args.sample} characters of its own (temperature {args.temperature:g}):\n")
    for line in text.split("\n"):
        print("  |", "".join(c if c.isprintable() else " " for c in line))
    path = args.out / "sample.txt"
    path.write_text(text, encoding="utf-8")
    return path.name


# Part 4


def picture_lesson(seed: int, out: Path) -> list[Path]:
    """The graph that backpropagation through time walks, for three steps of a small LSTM."""
    heading("4. The unrolled graph")
    rng = np.random.default_rng(seed)
    lstm = tg.nn.LSTM(3, 4, rng=rng)
    outputs, _ = lstm(tg.Tensor(rng.standard_normal((3, 1, 3)), dtype=np.float32, name="x"))
    loss = (outputs**2).mean().named("loss")
    written = [Path(tg.draw(loss, out / f"unrolled-lstm.{kind}")) for kind in ("svg", "png")]
    print("An LSTM over 3 time steps, and a loss. Each weight is one node, shared by all steps.")
    return written


# The whole tour


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = options.parser("quickstart", __doc__)
    text = made.add_argument_group("the text and the network of part 3")
    language_model.add_options(text)
    what = "how long to train; the rest of the tour takes about half a minute"
    options.number(text, "--minutes", options.positive, 2.0, what)
    text.add_argument(
        "--updates",
        type=options.at_least(1),
        metavar="N",
        help="end the training after so many updates of the weights, so that a run can be "
        "repeated exactly; --minutes still holds",
    )
    return made


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Runs the four parts, and says what was made; returns the figures."""
    made = parser()
    args = options.read(made, arguments)
    seconds: dict[str, float] = {}

    def timed(part: str, lesson: Callable[[], Any]) -> Any:
        begin = time.perf_counter()
        result = lesson()
        seconds[part] = round(time.perf_counter() - begin, 2)
        return result

    try:
        text = args.text and corpus.from_file(args.text, language_model.shortest_text(args))
        figures = {
            "loop": timed("loop", lambda: loop_lesson(args.seed)),
            "checks": timed("checks", lambda: checks_lesson(args.seed)),
            "text": timed("text", lambda: text_lesson(args, text)),
        }
    except corpus.TextError as error:
        made.error(str(error))
    pictures = timed("pictures", lambda: picture_lesson(args.seed, args.out))
    figures["seconds"] = seconds
    record = options.keep(figures, args)

    heading(f"Made in {sum(seconds.values()):.0f} s")
    for path, what in [
        *((p, "the unrolled graph") for p in pictures),
        (args.out / figures["text"]["sample"], "what the network wrote"),
        (record, "all figures of this run"),
    ]:
        print(f"  {path}   {what}")
    return figures


if __name__ == "__main__":
    options.run(main)
