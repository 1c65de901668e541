"""What `compile` was given: an optimizer, a loss and metrics, ready to judge outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from .. import losses, metrics, optimizers
from ..losses.named import called
from .samples import Targets


class Compiled:
    """How a model is trained and judged.

    Args:
        model: its penalties count in the loss.
        optimizer, loss: names, configurations or objects.
        loss_weight: a factor of the loss, or None.
        given_metrics, weighted_metrics: lists of such; the latter see the sample weights.

    Attributes:
        metrics: by name, as `tg.fit` takes them.

    Raises:
        ValueError, TypeError: for unknown names, or what is no loss or metric.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        loss: Any,
        loss_weight: Any = None,
        given_metrics: Any = None,
        weighted_metrics: Any = None,
    ) -> None:
        self._model = model
        if optimizer is None:
            raise ValueError("compile needs an optimizer: a name or an object. Received: None")
        self.optimizer: Any = optimizers.get(optimizer)
        self.given_loss = _only("loss", loss)
        _check_loss(self.given_loss)
        self.loss_weight = _weight(loss_weight)
        self._loss: Any = None
        self.metrics: dict[str, Judged] = {}
        for given, weighted in (
            *((each, False) for each in _listed(given_metrics)),
            *((each, True) for each in _listed(weighted_metrics)),
        ):
            judged = Judged(given, weighted, self.given_loss)
            self.metrics[_unused(judged.name, weighted, self.metrics)] = judged
        self._seen: set[Any] = set()

    def loss(self, output: Any, targets: Targets) -> Any:
        """The loss of an output, with the model's penalties.

        Raises:
            ValueError: without a loss, or without targets for it.
        """
        total: Any = None
        if self.given_loss is not None:
            total = self._of_targets(output, targets)
        for penalty in self._model.losses:
            total = penalty if total is None else total + penalty
        if total is None:
            raise ValueError("No loss to compute. Provide a `loss` argument in `compile()`.")
        return total

    def _of_targets(self, output: Any, targets: Targets) -> Any:
        if targets.y is None:
            raise ValueError("The loss needs targets: give y, or batches (x, y). Received: y=None")
        if isinstance(output, tuple):
            raise ValueError(
                f"The loss is of one output; this model has {len(output)}. Let `call` return one"
            )
        if self._loss is None:
            self._loss = losses.resolve(self.given_loss, np.shape(targets.y), output.shape)
        found = self._loss(targets.y, output, sample_weight=targets.sample_weight)
        if found.shape != ():
            raise ValueError(
                "The loss of a batch is a number; this one has a reduction that leaves "
                f"shape={found.shape}. Use 'sum_over_batch_size' or 'sum'"
            )
        return found if self.loss_weight is None else self.loss_weight * found

    def get_config(self) -> dict[str, Any]:
        """What `compile` takes, by names and configurations."""
        listed: dict[bool, list[Any]] = {False: [], True: []}
        for judged in self.metrics.values():
            listed[judged.weighted].append(_named(judged.given, metrics))
        return {
            "optimizer": optimizers.serialize(self.optimizer),
            "loss": _named(self.given_loss, losses),
            "loss_weights": self.loss_weight,
            "metrics": listed[False],
            "weighted_metrics": listed[True],
        }

    def check(self, output: Any, targets: Targets) -> None:
        """Judges a first batch, and forgets it, so that what doesn't fit shows before training."""
        self.loss(output, targets)
        for judged in self.metrics.values():
            judged.add(output, targets)
            judged.reset()

    def first_of_its_kind(self, x: Any, targets: Targets) -> bool:
        """Whether no batch of these shapes was asked for yet."""
        parts = (x, targets.y, targets.sample_weight)
        kind = tuple(None if a is None else (a.shape[1:], a.dtype) for a in parts)
        new = kind not in self._seen
        self._seen.add(kind)
        return new


class Judged:
    """A metric of Keras' kind as an accumulator of `tg.fit`.

    Args:
        given: a name, a configuration, a function or a Metric. What "accuracy" means is known with
            the first batch.
        weighted: whether it sees the sample weights.
        loss: what `compile` was given.

    Attributes:
        name: as it was asked for.
        given: what it was made of.
        metric: the Metric, once it is known.
    """

    def __init__(self, given: Any, weighted: bool, loss: Any) -> None:
        self.given, self.weighted, self._loss = given, weighted, loss
        self.metric: Any = None
        if isinstance(given, str):
            metrics.check_name(given)
            self.name = given
        elif isinstance(given, Mapping) or callable(given):
            found = metrics.get(given)
            self.given = found
            self.metric = found if hasattr(found, "update_state") else None
            self.name = called(found)
        elif hasattr(given, "update_state"):
            self.metric, self.name = given, given.name
        else:
            raise ValueError(
                "a metric is a name, a function (y_true, y_pred), or a Metric. Received: "
                f"{given!r:.60}"
            )

    def reset(self) -> None:
        """Forgets all."""
        if self.metric is not None:
            self.metric.reset_state()

    def add(self, output: Any, targets: Targets) -> None:
        """Takes in a batch."""
        if self.metric is None:
            shapes = np.shape(targets.y), np.shape(output)
            self.metric = metrics.resolve(self.given, *shapes, self._loss)
        weight = targets.sample_weight if self.weighted else None
        self.metric.update_state(targets.y, output, sample_weight=weight)

    def value(self) -> float:
        """What it says of all batches."""
        return 0.0 if self.metric is None else float(self.metric.result())


def _only(name: str, given: Any) -> Any:
    """What is given, or is the only one of a list."""
    if isinstance(given, Mapping) and "class_name" not in given:
        given = list(given.values())  # by the output's name
    if not isinstance(given, (list, tuple)):
        return given
    if len(given) != 1:
        raise ValueError(f"`{name}` is for one output. Received: {name}={given!r:.60}")
    return given[0]


def _check_loss(loss: Any) -> None:
    if isinstance(loss, str) and loss.lower() in ("crossentropy", "ce"):
        return  # which one depends on the shapes
    losses.get(loss)  # raises for an unknown name


def _weight(given: Any) -> float | None:
    weight = _only("loss_weights", given)
    if weight is None:
        return None
    if isinstance(weight, (bool, str)) or not isinstance(weight, (int, float, np.number)):
        raise ValueError(
            f"`loss_weights` is a number, or a list of one. Received: {given!r:.60}. Metrics are "
            "given by name: compile(optimizer, loss, metrics=[...])"
        )
    return float(weight)


def _listed(given: Any) -> Iterator[Any]:
    """The metrics of a list, which may hold lists."""
    if isinstance(given, Mapping) and "class_name" not in given:
        given = list(given.values())  # by the output's name
    if isinstance(given, (list, tuple)):
        for each in given:
            yield from _listed(each)
    elif given is not None:
        yield given


def _unused(name: str, weighted: bool, taken: Mapping[str, Any]) -> str:
    """The name under which a metric stands in the history."""
    if weighted and name in taken:
        name = f"weighted_{name}"
    made, k = name, 0
    while made in taken or made == "loss":
        k += 1
        made = f"{name}_{k}"
    return made


def _named(given: Any, module: Any) -> Any:
    """A loss or metric by its name or configuration."""
    if given is None or isinstance(given, (str, Mapping)):
        return given
    return module.serialize(given)
