"""A tour in four parts: a NumPy loop that learns, gradients proved, real text, and a picture.

    python demos/quickstart.py

Part 1  the recurrent loop of the textbooks, in NumPy, differentiated and trained
Part 2  RNN, LSTM and GRU: their gradients, first and second order, beside numeric ones
Part 3  a character-level LSTM learns Python from the source of the standard library
Part 4  the unrolled graph of a small LSTM, drawn
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Matrices of this size gain little from a second thread, and on a busy computer they lose much by
# waiting for it. NumPy reads these when it is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import numpy as np

import tinygrad_rnn as tg

try:
    import charlm
    import corpus
    import ngrams
except ModuleNotFoundError as missing:
    sys.exit(f'{missing}. The demos need a few more packages: pip install -e ".[demo]"')


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


def text_lesson(args: argparse.Namespace, text: corpus.Corpus | None, out: Path) -> dict[str, Any]:
    """A network learns to continue text, and is measured against counting."""
    name = args.cell.upper()
    heading(f"3. A character-level {name} on real text")
    text = text or corpus.from_library(args.seed)
    vocabulary = corpus.Vocabulary(text.training, least=max(2, len(text.training) // 400_000))
    training, held_out = vocabulary.encode(text.training), vocabulary.encode(text.held_out)
    print(f"{text.source}.")
    print(
        f"{len(training):,} characters to train on, {len(held_out):,} held out; "
        f"{len(vocabulary)} symbols ({np.mean(held_out == 0):.4%} of the held-out text unknown)."
    )

    model = charlm.CharModel(args.cell, len(vocabulary), args.hidden, args.layers, args.seed)
    model.start_from_frequencies(training)
    print(
        f"{sum(p.size for p in model.parameters()):,} parameters. Ctrl-C ends the training early.\n"
    )
    progress = charlm.train(
        model, training, held_out,
        batch=args.batch, seq_len=args.seq_len, lr=args.lr,
        seconds=60 * args.minutes, updates=args.updates,
    )  # fmt: skip
    speed = progress.characters / progress.seconds
    print(
        f"\nRead {progress.characters:,} characters ({progress.characters / len(training):.1%} of "
        f"the training text) in {progress.seconds:.0f} s, {speed:,.0f} a second; "
        f"{progress.updates:,} updates" + (", until Ctrl-C." if progress.interrupted else ".")
    )

    figures = measure(model, name, training, held_out, len(vocabulary))
    sample = write_sample(model, vocabulary, args, out)
    return {
        "source": text.source,
        "training_characters": len(training),
        "held_out_characters": len(held_out),
        "symbols": len(vocabulary),
        "characters_read": progress.characters,
        "updates": progress.updates,
        "training_seconds": round(progress.seconds, 2),
        "interrupted": progress.interrupted,
        "while_training": progress.measured,
        "sample": sample,
        **figures,
    }


def measure(
    model: charlm.CharModel, name: str, training: np.ndarray, held_out: np.ndarray, symbols: int
) -> dict[str, Any]:
    """Bits per character of the network and of counted models, on the same held-out characters.

    The counted models have seen the whole training text; the network has seen what it had time for.
    """
    names = ["unigram", "bigram", "trigram", "4-gram", "5-gram"]
    positions = charlm.places(len(held_out), steps=2500, context=len(names) - 1)
    network = charlm.bits_per_character(model, held_out, positions)
    print(
        f"\nBits per character, on {positions.size:,} characters from all over the held-out text:\n"
    )
    print(f"  {name:8}  {network:.3f}")
    counted = {}
    for order, kind in enumerate(names, start=1):
        bits = ngrams.NGram(training, order, symbols).bits_per_character(held_out, positions)
        counted[kind] = bits
        print(f"  {kind:8}  {bits:.3f}   {comparison(name, network, bits)}")
    return {"measured_on": positions.size, "bits_per_character": {name: network, **counted}}


def comparison(name: str, network: float, bits: float) -> str:
    """By how much the network is better or worse."""
    word = "better" if network < bits else "worse"
    return f"the {name} is {word} by {abs(network - bits):.3f} bits ({abs(network / bits - 1):.0%})"


def write_sample(
    model: charlm.CharModel, vocabulary: corpus.Vocabulary, args: argparse.Namespace, out: Path
) -> str:
    """Prints and keeps some text of the network's own."""
    start = vocabulary.encode("\n")
    numbers = charlm.generate(model, start, args.sample, args.temperature, args.seed)
    text = vocabulary.decode(numbers)
    print(f"\n{args.sample} characters of its own (temperature {args.temperature:g}):\n")
    for line in text.split("\n"):
        print("  |", "".join(c if c.isprintable() else " " for c in line))
    path = out / "sample.txt"
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


def heading(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


def at_least(smallest: int) -> Callable[[str], int]:
    """A type for argparse: a whole number, not below `smallest`."""

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = smallest - 1
        if value < smallest:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {smallest} on")
        return value

    return convert


def positive(text: str) -> float:
    """A type for argparse: a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return value


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(
        usage="python demos/quickstart.py [options]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    text = made.add_argument_group("the text and the network of part 3")
    text.add_argument(
        "--text", type=Path, metavar="FILE", help="a text file, in place of the standard library"
    )
    text.add_argument(
        "--cell",
        choices=charlm.LAYERS,
        default="lstm",
        help="kind of recurrent layer (default: lstm)",
    )

    def number(flag: str, kind: Any, default: Any, what: str) -> None:
        text.add_argument(
            flag, type=kind, default=default, metavar="N", help=f"{what} (default: {default})"
        )

    number("--hidden", at_least(1), 256, "hidden units of each layer")
    number("--layers", at_least(1), 1, "layers, one upon the other")
    number("--seq-len", at_least(1), 16, "time steps that gradients go back")
    number("--batch", at_least(1), 96, "pieces of text that are read side by side")
    number("--lr", positive, 0.009, "highest learning rate of Adam")
    number(
        "--minutes",
        positive,
        2.0,
        "how long to train; the rest of the tour takes about half a minute",
    )
    text.add_argument(
        "--updates",
        type=at_least(1),
        metavar="N",
        help="end the training after so many updates of the weights, so that a run can be "
        "repeated exactly; --minutes still holds",
    )
    number("--sample", at_least(1), 300, "characters to write in the end")
    number("--temperature", positive, 0.7, "how daring to write: below 1 careful, above 1 wild")
    number("--seed", at_least(0), 0, "of all that is random; it also chooses the held-out files")
    made.add_argument("--out", type=Path, default=Path("quickstart-out"), metavar="DIR",
                      help="where to put what is made (default: quickstart-out)")  # fmt: skip
    return made


def main() -> None:
    """Runs the four parts, and says what was made."""
    options = parser()
    args = options.parse_args()
    text = None
    try:
        if args.text:
            shortest = max(1000, args.batch * (args.seq_len + 1) * 10 // 9 + 10)
            text = corpus.from_file(args.text, shortest)
        args.out.mkdir(parents=True, exist_ok=True)
    except corpus.TextError as error:
        options.error(str(error))
    except OSError as error:
        options.error(f"can't make the directory {args.out}: {error.strerror}")

    seconds: dict[str, float] = {}
    figures: dict[str, Any] = {
        "options": {k: str(v) if isinstance(v, Path) else v for k, v in vars(args).items()}
    }

    def timed(part: str, lesson: Callable[[], Any]) -> Any:
        begin = time.perf_counter()
        result = lesson()
        seconds[part] = round(time.perf_counter() - begin, 2)
        return result

    try:
        figures["loop"] = timed("loop", lambda: loop_lesson(args.seed))
        figures["checks"] = timed("checks", lambda: checks_lesson(args.seed))
        figures["text"] = timed("text", lambda: text_lesson(args, text, args.out))
        pictures = timed("pictures", lambda: picture_lesson(args.seed, args.out))
    except corpus.TextError as error:
        options.error(str(error))
    figures["seconds"] = seconds
    record = args.out / "figures.json"
    record.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")

    heading(f"Made in {sum(seconds.values()):.0f} s")
    for path, what in [
        *((p, "the unrolled graph") for p in pictures),
        (args.out / figures["text"]["sample"], "what the network wrote"),
        (record, "all figures of this run"),
    ]:
        print(f"  {path}   {what}")


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")  # whatever the text holds, the console takes it
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nStopped.")
