"""A Keras notebook with one changed import, and then the look inside that Keras doesn't give.

    python demos/keras_notebook.py

Part 1  the models of a notebook and their summaries
Part 2  which of two marks came first: Embedding, LSTM, fit, evaluate, predict
Part 3  inside: a picture of the model, its gates word by word, the gradient through time
Part 4  saved, and loaded again

It takes about five seconds.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import one_thread  # noqa: F401  isort: skip
import numpy as np
import options

import tinygrad_rnn as tg
from tinygrad_rnn.keras.callbacks import EarlyStopping
from tinygrad_rnn.keras.layers import LSTM, Bidirectional, Dense, Embedding, Input, SimpleRNN
from tinygrad_rnn.keras.models import Sequential, load_model

try:
    import matplotlib  # noqa: F401  (for tg.plots)
except ModuleNotFoundError as missing:
    sys.exit(options.MISSING.format(missing))

WORDS, STEPS = 12, 14
A, B = 1, 2  # the marks; 0 is padding, other words say nothing
HALF = 0.5


# Part 1


def notebook() -> list[int]:
    """The cells of the notebook; the numbers of parameters."""
    options.heading("1. The models of a notebook")
    models = []

    model = Sequential()
    model.add(Embedding(10000, 32))
    model.add(SimpleRNN(32))
    model.summary()
    models.append(model)

    model = Sequential()
    model.add(Embedding(10000, 32))
    model.add(SimpleRNN(32, return_sequences=True))
    model.add(SimpleRNN(32, return_sequences=True))
    model.add(SimpleRNN(32, return_sequences=True))
    model.add(SimpleRNN(32))
    model.summary()
    models.append(model)

    model = Sequential()
    model.add(SimpleRNN(3, batch_input_shape=(8, 2, 10), return_sequences=True))
    model.summary()
    models.append(model)

    hidden_units, timesteps, input_dim = 8, 10, 5
    model = Sequential()
    model.add(SimpleRNN(hidden_units, input_length=10, input_dim=5, return_sequences=True))
    model.add(SimpleRNN(hidden_units, return_sequences=True))
    model.summary()
    models.append(model)

    model = Sequential()
    model.add(
        Bidirectional(
            SimpleRNN(hidden_units, return_sequences=True), input_shape=(timesteps, input_dim)
        )
    )
    model.add(Bidirectional(SimpleRNN(hidden_units, return_sequences=True)))
    model.add(Bidirectional(SimpleRNN(hidden_units, return_sequences=True)))
    model.add(Bidirectional(SimpleRNN(hidden_units, return_sequences=True)))
    model.summary()
    models.append(model)
    return [model.count_params() for model in models]


# Part 2


def drawn_marks(seed: int, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Sentences (samples, STEPS) of different lengths, padded with 0; 1 where A comes before B."""
    rng = np.random.default_rng(seed)
    x = np.zeros((samples, STEPS), int)
    y = rng.integers(0, 2, samples)
    for row, first in zip(x, y, strict=True):
        length = rng.integers(STEPS // 2, STEPS + 1)
        row[:length] = rng.integers(3, WORDS, length)
        places = np.sort(rng.choice(length - 2, 2, replace=False))
        row[places] = (A, B) if first else (B, A)
    return x, y


def train(args: Any) -> tuple[Sequential, dict[str, Any], tuple[np.ndarray, np.ndarray]]:
    """As one would in Keras."""
    options.heading("2. Which mark came first?")
    tg.manual_seed(args.seed)
    x, y = drawn_marks(args.seed, args.samples)
    held = drawn_marks(args.seed + 1, 200)

    model = Sequential(
        [
            Input((STEPS,)),
            Embedding(WORDS, 8, mask_zero=True),
            LSTM(16),
            Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    model.optimizer.learning_rate = 0.01
    history = model.fit(
        x,
        y,
        batch_size=32,
        epochs=args.epochs,
        validation_data=held,
        callbacks=[EarlyStopping(patience=5, restore_best_weights=True)],
        verbose=2,
    )
    loss, accuracy = model.evaluate(*held, verbose=0)
    right = (model.predict(held[0], verbose=0)[:, 0] > HALF) == held[1]
    frequent = max(held[1].mean(), 1 - held[1].mean())
    print(
        f"\nNew sentences: loss {loss:.3f}, {accuracy:.1%} right ({right.sum()} of {len(right)});"
    )
    print(f"who always names the more frequent answer has {frequent:.1%}.")
    figures = {"history": history.history, "accuracy": accuracy, "frequent": frequent}
    return model, figures, held


# Part 3


def inside(model: Sequential, held: tuple[np.ndarray, np.ndarray], out: Any) -> dict[str, Any]:
    """Pictures of what happens in the model as it reads one sentence."""
    options.heading("3. Inside")
    k = int(np.argmax((held[0] != 0).sum(axis=1)))
    x, y = held[0][k : k + 1], held[1][k]
    names = {0: "-", A: "A", B: "B"}
    words = [names.get(word, ".") for word in x[0].tolist()]

    trace = model.trace(x, loss=lambda p: -tg.log(p if y else 1 - p).sum())
    gradient = np.linalg.norm(trace.grad("h")[:, 0], axis=-1)
    print("word   forget gate   input gate   |dL/dh|")
    for word, f, i, g in zip(words, trace["f"], trace["i"], gradient, strict=True):
        print(f"{word:>4}   {f.mean():11.3f}   {i.mean():10.3f}   {g:.2e}")

    model.draw(out / "model.svg", view="cells", x=x)
    tg.plots.gate_activity(trace, words, quantities=["i", "f", "o"]).save(out / "gates.png")
    tg.plots.gradient_flow(trace).save(out / "gradient.png")
    print(f"\nPictures: {out}/model.svg, gates.png, gradient.png")
    return {"sentence": " ".join(words), "gradient": gradient.tolist()}


# Part 4


def saved(model: Sequential, x: np.ndarray, out: Any) -> float:
    """The largest difference between what the model says and what the loaded one does."""
    options.heading("4. Saved and loaded")
    model.save(out / "model.npz")
    again = load_model(out / "model.npz")
    difference = np.abs(model.predict(x, verbose=0) - again.predict(x, verbose=0)).max()
    print(f"{out}/model.npz, loaded again: the outputs differ by {difference}.")
    return float(difference)


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    parser = options.parser("keras_notebook", __doc__)
    options.number(parser, "--epochs", options.at_least(1), 10, "of the training, at most")
    options.number(parser, "--samples", options.at_least(32), 600, "to learn from")
    args = options.read(parser, arguments)
    parameters = notebook()
    model, figures, held = train(args)
    figures |= {"parameters": parameters, **inside(model, held, args.out)}
    figures["reload_difference"] = saved(model, held[0], args.out)
    print(f"Figures: {options.keep(figures, args)}")
    return figures


if __name__ == "__main__":
    options.run(main)
