"""A training that can be killed: run by tests/test_train.py in processes of their own.

    python training_run.py CHECKPOINT RESULT [KILL]

With KILL, the process kills itself with SIGKILL at that call of the loss.
"""

from __future__ import annotations

import os
import signal
import sys

import numpy as np

import tinygrad_rnn as tg


class Model(tg.nn.Module):
    """A small language model with dropout, from the default generator and from one of its own."""

    def __init__(self) -> None:
        rng = np.random.default_rng(1)
        self.embedding = tg.nn.Embedding(7, 4, rng=rng)
        self.lstm = tg.nn.LSTM(4, 6, 2, dropout=0.3, rng=rng)
        self.drop = tg.nn.Dropout(0.2)
        self.out = tg.nn.Linear(6, 7, rng=rng)

    def forward(self, ids, state=None):
        outputs, state = self.lstm(self.embedding(ids), state)
        return self.out(self.drop(outputs)), state


def cross_entropy(scores, targets):
    return tg.nn.functional.cross_entropy(scores.reshape(-1, scores.shape[-1]), targets.ravel())


def train(checkpoint, *, kind="windows", loss=cross_entropy, **options):
    """The history and the model of a training that is the same each time."""
    ids = np.random.default_rng(5).integers(0, 7, 300)
    windows = tg.data.Windows(tg.data.batchify(ids, 4), 9)
    x, y = (np.ascontiguousarray(a.T) for a in tg.data.sliding_windows(ids, 5, 5))
    data: object = windows
    model = Model()
    if kind == "shuffled":
        data = tg.data.batches((x, y), 40, shuffle=True, seed=2, axis=1)
        model.forward = lambda ids, state=None: Model.forward(model, ids, state)[0]
    if kind == "list":
        data = list(windows)
    if kind == "best":
        options["validation"] = tg.data.Windows(tg.data.batchify(np.full(60, 3), 2), 20)
        options["validate_every"] = 2
    optimiser = tg.optim.Adam(model.parameters(), lr=0.3 if kind == "best" else 0.02)
    schedule = tg.optim.lr_scheduler.StepLR(optimiser, 2, gamma=0.3)
    history = tg.fit(
        model, loss, optimiser, data, epochs=3, clip_norm=0.5, schedule=schedule, seed=3,
        checkpoint=checkpoint, progress=False, **options,
    )  # fmt: skip
    return history, model


if __name__ == "__main__":
    calls = 0

    def deadly(scores, targets):
        global calls
        calls += 1
        if sys.argv[3:] and calls == int(sys.argv[3]):
            os.kill(os.getpid(), signal.SIGKILL)
        return cross_entropy(scores, targets)

    _, trained = train(sys.argv[1], loss=deadly, checkpoint_every=2)
    tg.save(trained, sys.argv[2])
