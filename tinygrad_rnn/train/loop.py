"""The training loop."""

from __future__ import annotations

import itertools
import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..core.random import manual_seed
from ..data.position import Resumable
from ..io import load_checkpoint, save_checkpoint
from ..module import Module
from ..optim import clip_grad_norm_
from .evaluation import Loss, Metrics, evaluate, forward, mode, targets_of
from .history import OWN_NAMES, History
from .plan import Plan, check, count, takes_metrics
from .progress import Bar
from .standing import Standing
from .stopping import Best, interruptions
from .watching import Watcher


def fit(
    model: Module,
    loss: Loss,
    optimiser: Any,
    data: Iterable[Any],
    *,
    epochs: int | None = None,
    steps: int | None = None,
    validation: Iterable[Any] | None = None,
    validate_every: int | None = None,
    metrics: Metrics | None = None,
    clip_norm: float | None = None,
    schedule: Any = None,
    schedule_every: str = "epoch",
    patience: int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int | None = None,
    resume: bool = True,
    keep_best: bool | None = None,
    watchers: Sequence[Watcher] = (),
    progress: bool = True,
    seed: int | None = None,
) -> History:
    """Trains a model on batches until the epochs or steps are done, or nothing becomes better.

    With `validation` or `patience`, the model has its best parameters in the end, else the last
    (`keep_best` says otherwise).
    Ctrl-C ends the training after the step that is running, in the same way; pressed twice, it
    stops Python as ever. A run with a checkpoint that was ended by whatever means, and is begun
    again with arguments that are made anew in the same way, gives the same parameters, bit by bit,
    as one that never was. (With the same objects too, once there is a checkpoint; before the first
    one, they are as the run has left them.)

    Args:
        model: called with the inputs of a batch.
        loss: called as ``loss(output, targets)``, it returns a number that is differentiable.
        optimiser: of the model's parameters.
        data: batches, one epoch for each ``for`` over it: tuples of the model's inputs and, last,
            the targets, such as `tg.data.batches` gives. Of `tg.data.Windows`, the state is
            carried: the model is called as ``model(inputs, state)`` and returns
            ``(output, state)``.
        epochs, steps: when to end; one of them, or both.
        validation: batches that are not trained on, measured as `tg.train.evaluate` does.
        validate_every: after how many steps to measure, and to note a value in the history; by
            default after each epoch, and in the end.
        metrics: name -> ``function(output, targets)``, means of which are noted; or an object with
            ``reset()``, ``add(output, targets)`` and ``value()``, such as a ratio of two sums. The
            names of the history's own columns are taken; an object may have them, except "loss",
            but only watchers are told its values then.
        clip_norm: the largest norm of all gradients together; larger ones are scaled.
        schedule: of the learning rate: its ``step()`` is called after each epoch; one that takes
            ``metrics`` is given the last loss (of the validation, if there is one).
        schedule_every: "step" to call it after each step instead.
        patience: after how many measurements without a new best to stop.
        checkpoint: a file that keeps all there is to know, replaced as a whole each time. That it
            can be written is checked before the first step.
        checkpoint_every: after how many steps to write it; by default after each epoch, and
            always in the end.
        resume: whether a checkpoint that exists is gone on from; else it is written anew.
        keep_best: whether the model has its best parameters in the end.
        watchers: `tg.train.Watcher` objects, which are told of every epoch and step, and may end
            the training.
        progress: whether to show a bar, if stderr is a terminal and tqdm installed.
        seed: given to `tg.manual_seed` first, for what is random inside the model.

    Returns:
        The `History`: arrays by name, and why the training ended.

    Raises:
        TypeError, ValueError: for arguments that make no sense, data without a batch, or a
            checkpoint of a run with other parts, such as a schedule.
        OSError: if the checkpoint can't be read or written.
        FloatingPointError: if the loss is NaN or infinite; the parameters are those before it.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> x = np.linspace(-1, 1, 8, dtype=np.float32)[:, None]
    >>> model = tg.nn.Linear(1, 1, rng=0)
    >>> data = tg.data.batches((x, 3 * x), batch_size=4, shuffle=True, seed=0)
    >>> optimiser = tg.optim.SGD(model.parameters(), lr=0.2)
    >>> history = tg.fit(model, tg.nn.functional.mse_loss, optimiser, data, epochs=40)
    >>> len(history["loss"]), model.weight.data.round(2)
    (40, array([[3.]], dtype=float32))
    """
    plan = Plan(
        epochs=count("epochs", epochs),
        steps=count("steps", steps),
        validate_every=count("validate_every", validate_every),
        checkpoint_every=count("checkpoint_every", checkpoint_every),
        schedule_every=schedule_every,
        clip_norm=clip_norm,
        checkpoint=checkpoint,
    )
    best = Best(count("patience", patience))
    check(plan, schedule, metrics or {})
    if seed is not None:
        manual_seed(seed)
    parts = (model, loss, optimiser, data, validation, metrics, schedule)
    run = _Run(plan, *parts, best, keep_best, watchers)
    if checkpoint is not None and resume and os.path.exists(checkpoint):
        run.resume(checkpoint)
    run.train(progress)
    return run.at.history


class _Run:
    """A training, from its first step or from a checkpoint on."""

    def __init__(
        self,
        plan: Plan,
        model: Module,
        loss: Loss,
        optimiser: Any,
        data: Any,
        validation: Any,
        metrics: Metrics | None,
        schedule: Any,
        best: Best,
        keep_best: bool | None,
        watchers: Sequence[Watcher],
    ) -> None:
        self.plan, self.model, self.loss, self.optimiser = plan, model, loss, optimiser
        self.data, self.validation, self.metrics = data, validation, metrics
        self.schedule, self.watchers = schedule, watchers
        self.parameters = list(model.parameters())
        looks = validation is not None or best.patience is not None
        self.keeps_best = looks if keep_best is None else keep_best
        self.told_to_end = False
        self.at = Standing(best, data.position if isinstance(data, Resumable) else 0, metrics)

    def train(self, progress: bool) -> None:
        """Goes on to the end."""
        total = self.plan.steps_in_all(self.data)
        bar = Bar(progress, total, self.at.step)
        with bar, mode(self.model, training=True), interruptions() as pressed:
            self._tell("begin_training")
            self._run_epochs(bar, pressed)
            self.at.history.stopped = self._reason(pressed)
            self._save()  # before a row out of turn, so that whoever goes further has none
            if self.at.means.weight:
                self._note(validate=not pressed)
            if self.at.position and self.at.history.rows:  # an epoch that was cut short ends too
                self._tell("end_epoch", self.at.epoch, self.at.history.last())
            self._tell("end_training")
            self.at.history.interrupted = bool(pressed)
        self._take_best()

    def _tell(self, what: str, *details: Any) -> None:
        """Tells all watchers, any of whom may end the training."""
        for watcher in self.watchers:
            if getattr(watcher, what)(*details):
                self.told_to_end = True

    def _run_epochs(self, bar: Bar, pressed: list[int]) -> None:
        while not self._ended() and not pressed:
            self._tell("begin_epoch", self.at.epoch)
            for batch in self._rest_of_epoch():
                self._timed_update(batch, bar)
                if self._ended() or pressed:
                    return
                if _due(self.at.step, self.plan.checkpoint_every):
                    self._save()
            if not self.at.position:
                raise ValueError(
                    f"the data gave no batch in epoch {self.at.epoch + 1}: a generator can be read "
                    "only once; give a list, tg.data.batches or tg.data.Windows"
                )
            self._end_epoch()

    def _ended(self) -> bool:
        plan = self.plan
        return (
            self.told_to_end
            or self.at.best.exhausted
            or (plan.steps is not None and self.at.step >= plan.steps)
            or (plan.epochs is not None and self.at.epoch >= plan.epochs)
        )

    def _reason(self, pressed: list[int]) -> str:
        if self.told_to_end or self.at.best.exhausted:
            return "early"
        return "finished" if self._ended() or not pressed else "interrupted"

    def _rest_of_epoch(self) -> Iterator[Any]:
        """The batches that are left; of data that don't know their place, some are read over."""
        if not isinstance(self.data, Resumable):
            return itertools.islice(iter(self.data), self.at.position, None)
        at_end = self.at.position == len(self.data)  # then they stand before the next epoch already
        return iter(() if at_end else self.data)

    def _timed_update(self, batch: Any, bar: Bar) -> None:
        self._tell("begin_step", self.at.step)
        begin = time.perf_counter()
        self._update(batch)
        self.at.seconds += time.perf_counter() - begin
        if bar.shown:
            bar.advance(self._shown(), self._speed())
        if self.watchers:
            self._tell("end_step", self.at.step - 1, self.at.means.values())
        if _due(self.at.step, self.plan.validate_every):
            self._note()

    def _update(self, batch: Any) -> None:
        """One step: forward, backward, and the parameters move."""
        output, state = forward(self.model, batch, self.at.state)
        targets = targets_of(batch)
        loss = self.loss(output, targets)
        check_finite(loss, self.at.step + 1)
        descend(loss, self.optimiser, self.parameters, self.plan.clip_norm)
        self.at.state = state
        self.at.means.add(loss, output, targets)
        self.at.step, self.at.position = self.at.step + 1, self.at.position + 1
        if self.schedule is not None and self.plan.schedule_every == "step":
            self.schedule.step()

    def _end_epoch(self) -> None:
        self.at.epoch, self.at.position = self.at.epoch + 1, 0
        if self.plan.validate_every is None and self.at.means.weight:
            self._note()
        if self.at.history.rows:
            self._tell("end_epoch", self.at.epoch - 1, self.at.history.last())
        if self.schedule is not None and self.plan.schedule_every == "epoch":
            self._step_schedule()
        if self.plan.checkpoint_every is None and not self._ended():
            self._save()

    def _step_schedule(self) -> None:
        if not takes_metrics(self.schedule):
            self.schedule.step()
        elif self.at.history.rows:
            self.schedule.step(self._watched())

    def _note(self, validate: bool = True) -> None:
        """A row for the history; the best parameters are kept."""
        means = self.at.means.values()
        measured = {name: means[name] for name in means if name == "loss" or name not in OWN_NAMES}
        row = {"steps": self.at.step, **measured, "lr": self._learning_rate()}
        if self.validation is not None:
            found = {"loss": math.nan}
            if validate:
                found = evaluate(self.model, self.loss, self.validation, self.metrics)
            row.update({f"val_{name}": value for name, value in found.items()})
        row.update(seconds=self.at.seconds, tokens_per_second=self._speed())
        self.at.history.add(row)
        self.at.new_means()
        if self.keeps_best or self.at.best.patience is not None:
            self.at.best.note(self._watched(), self.model)

    def _watched(self) -> float:
        """The value that should become small: the last one in the history."""
        return float(self.at.history["loss" if self.validation is None else "val_loss"][-1])

    def _learning_rate(self) -> float:
        groups = getattr(self.optimiser, "param_groups", None)
        return float(groups[0]["lr"]) if groups else math.nan

    def _speed(self) -> float:
        """Targets in a second, since the last row."""
        return self.at.means.weight / max(self.at.seconds - self.at.row_seconds, 1e-9)

    def _shown(self) -> dict[str, float]:
        shown = self.at.means.values()
        if self.at.history.rows and self.validation is not None:
            shown["val_loss"] = self._watched()
        return shown

    def _parts(self) -> dict[str, Any]:
        """What a checkpoint is made of."""
        parts = {"model": self.model, "optimiser": self.optimiser, "training": self.at}
        if self.schedule is not None:
            parts["schedule"] = self.schedule
        if isinstance(self.data, Resumable):
            parts["data"] = self.data
        return parts

    def resume(self, path: str | os.PathLike[str]) -> None:
        """Goes to where a checkpoint was written."""
        parts = self._parts()
        _check_same_parts(path, parts, load_checkpoint(path))
        load_checkpoint(path, **parts)

    def _save(self) -> None:
        if self.plan.checkpoint is not None:
            save_checkpoint(self.plan.checkpoint, **self._parts())

    def _take_best(self) -> None:
        if self.keeps_best and self.at.best.at is not None:
            self.model.load_state_dict(self.at.best.parameters)
            self.at.history.best = self.at.best.at


def _check_same_parts(
    path: str | os.PathLike[str], parts: Mapping[str, Any], saved: Mapping[str, Any]
) -> None:
    """Raises ValueError if a checkpoint is that of a run with other parts."""
    missing = [name for name in parts if name not in saved]
    if missing:
        raise ValueError(
            f"fit: {path} holds no {' and no '.join(missing)} to go on with, only "
            f"{', '.join(saved)}: it was written by another run. resume=False begins anew"
        )
    if "schedule" in saved and "schedule" not in parts:
        raise ValueError(
            f"fit: {path} was written by a run with a schedule, which is missing here: give it, "
            "schedule=, or begin anew with resume=False"
        )


def check_finite(loss: Any, step: int) -> None:
    """Raises FloatingPointError for a loss that is NaN or infinite."""
    if not math.isfinite(float(loss)):
        raise FloatingPointError(
            f"the loss is {float(loss)} at step {step}: try a smaller learning rate or "
            "clip_norm=1.0; tg.detect_anomaly() finds the operation that began it"
        )


def descend(loss: Any, optimiser: Any, parameters: Sequence[Any], clip_norm: float | None) -> None:
    """Backward from a loss, and the parameters move."""
    optimiser.zero_grad()
    loss.backward()
    if clip_norm is not None:
        clip_grad_norm_(parameters, clip_norm)
    optimiser.step()


def _due(step: int, every: int | None) -> bool:
    return every is not None and step % every == 0
