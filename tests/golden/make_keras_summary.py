"""Makes keras_summary.npz with Keras: ``python tests/golden/make_keras_summary.py``.

The tables that Keras 3 prints. `tables` builds the same models with any package that speaks Keras.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent
COLUMNS = "120"


def tables(keras: Any) -> Iterator[tuple[str, str]]:
    """Each table's name, and the text."""
    for name, model, options in _models(keras):
        texts: list[str] = []
        model.summary(print_fn=lambda text, into=texts, **_: into.append(text), **options)
        yield name, "".join(texts)


def _models(keras: Any) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    layers = keras.layers

    def stack(*parts: Any, name: str = "m") -> Any:
        return keras.Sequential(list(parts), name=name)

    unbuilt = stack(layers.SimpleRNN(3, name="rnn"), layers.Dense(2, name="dense"))
    yield "unbuilt", unbuilt, {}
    unbuilt.build((None, 5, 7))
    yield "built", unbuilt, {}
    plain = stack(
        layers.Input((11,)),
        layers.Embedding(10007, 32, name="embedding"),
        layers.LSTM(16, return_sequences=True, name="lstm"),
        layers.Bidirectional(layers.GRU(5), name="both"),
        layers.Dropout(0.5, name="dropout"),
        layers.Dense(3, name="dense"),
    )
    yield "plain", plain, {}
    plain.compile("adam", "mse")
    yield "compiled", plain, {}
    plain.optimizer.build(plain.trainable_variables)
    yield "optimizer", plain, {}
    plain.layers[1].trainable = False
    yield "frozen", plain, {"show_trainable": True}
    for length in (40, 57, 61, 100):
        yield f"length_{length}", plain, {"line_length": length}
    yield "positions", plain, {"positions": [0.3, 0.6, 1.0]}
    yield "short", plain, {"positions": [0.3, 0.6, 0.8], "line_length": 91}
    yield "range", plain, {"layer_range": ["lstm", "dropout"]}
    nested = stack(
        layers.Input((5, 7)),
        stack(layers.Input((5, 7)), layers.LSTM(3, name="lstm"), name="은닉층은닉층은닉층"),
        layers.Dense(4, name="a_very_long_name_that_must_end_somewhere_or_other_in_the_table"),
    )
    yield "nested", nested, {}
    yield "expanded", nested, {"expand_nested": True}

    class Own(keras.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__(name="own")
            self.first = layers.LSTM(3, return_state=True, name="first")
            self.last = layers.Dense(2, name="last")

        def call(self, x: Any) -> Any:
            return self.last(self.first(x)[0])

    own = Own()
    yield "own_unbuilt", own, {}
    own(np.ones((2, 5, 7), np.float32))
    yield "own", own, {}


def make() -> None:
    """Writes the file."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    os.environ["COLUMNS"] = COLUMNS
    import keras

    made = dict(tables(keras))
    np.savez_compressed(
        FOLDER / "keras_summary.npz",
        made_with=np.array(f"keras {keras.__version__}, backend {keras.backend.backend()}"),
        **{name: np.array(text) for name, text in made.items()},
    )


if __name__ == "__main__":
    make()
