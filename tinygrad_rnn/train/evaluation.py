"""A model applied to batches: its loss, its metrics, and the state that it carries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ..core.context import no_grad
from ..data.position import Resumable
from ..module import Module
from ..rnn.states import detach
from ..tensor import Tensor


@runtime_checkable
class Accumulator(Protocol):
    """A metric that isn't a mean over batches: it takes in batches, and has a value of them all."""

    def reset(self) -> None:
        """Forgets all."""

    def add(self, output: Any, targets: Any) -> None:
        """Takes in a batch."""

    def value(self) -> float:
        """What it says of all since the last `reset`."""


Loss = Callable[[Any, Any], Any]
Metrics = Mapping[str, Callable[[Any, Any], Any] | Accumulator]


def evaluate(
    model: Module, loss: Loss, data: Iterable[Any], metrics: Metrics | None = None
) -> dict[str, float]:
    """The mean loss and metrics over one epoch of data, in evaluation mode and without a graph.

    Args:
        model, loss, metrics: as `tg.fit` takes them.
        data: batches, read from their first one on; the place in them stays what it was.

    Returns:
        Means by name, "loss" first: each batch counts as much as it has targets.

    Raises:
        ValueError: if there is no batch.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> data = tg.data.batches((np.ones((4, 2)), np.zeros((4, 1))), batch_size=2)
    >>> tg.train.evaluate(lambda x: x[:, :1], tg.nn.functional.mse_loss, data)
    {'loss': 1.0}
    """
    means = Means(metrics)
    state = None
    with mode(model, training=False), no_grad():
        for batch in data.from_start() if isinstance(data, Resumable) else data:
            output, state = forward(model, batch, state)
            targets = targets_of(batch)
            means.add(loss(output, targets), output, targets)
    if not means.weight:
        raise ValueError("there is no batch to evaluate: a generator can be read only once")
    return means.values()


def forward(model: Any, batch: Any, state: Any) -> tuple[Any, Any]:
    """The model's output for a batch, and the state to carry on, if the batch is a window."""
    if not hasattr(batch, "fresh"):
        return model(*batch[:-1]), None
    result = model(batch.inputs, None if batch.fresh else detach(state))
    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError(
            "over windows, a model is called as model(inputs, state) and returns (output, state); "
            f"this one returned a {type(result).__name__}"
        )
    return result


def targets_of(batch: Any) -> Any:
    """What the output for a batch is compared with."""
    return batch.targets if hasattr(batch, "fresh") else batch[-1]


class Means:
    """Losses and metrics of batches: their means, each batch counted by how many targets it has.

    Args:
        metrics: as `tg.fit` takes them; accumulators begin anew.

    Attributes:
        sums, weight: of values by name, each times its batch's weight; and of these weights.
    """

    def __init__(self, metrics: Metrics | None = None) -> None:
        self.sums: dict[str, float] = {}
        self.weight = 0
        self._metrics = metrics or {}
        for metric in self._metrics.values():
            if isinstance(metric, Accumulator):
                metric.reset()

    def add(self, loss: Any, output: Any, targets: Any) -> float:
        """Takes in what a batch gave; returns the loss as a number."""
        weight = _count(targets)
        found = {"loss": float(loss)}
        with no_grad():
            for name, metric in self._metrics.items():
                if isinstance(metric, Accumulator):
                    metric.add(output, targets)
                else:
                    found[name] = float(metric(_bare(output), targets))
        for name, value in found.items():
            self.sums[name] = self.sums.get(name, 0.0) + weight * value
        self.weight += weight
        return found["loss"]

    def values(self) -> dict[str, float]:
        """The means by name, "loss" first; of accumulators, their values."""
        found = {"loss": self.sums["loss"] / self.weight}
        for name, metric in self._metrics.items():
            if isinstance(metric, Accumulator):
                found[name] = float(metric.value())
            else:
                found[name] = self.sums[name] / self.weight
        return found


def _bare(output: Any) -> Any:
    return output.detach() if isinstance(output, Tensor) else output


def _count(targets: Any) -> int:
    """How many targets there are; of several arrays, the first says it."""
    while isinstance(targets, tuple):
        targets = targets[0]
    return targets.size if isinstance(targets, Tensor) else int(np.size(targets))


@contextmanager
def mode(model: Any, training: bool) -> Iterator[None]:
    """Inside, the model is in training or evaluation mode; afterwards each part as it was."""
    if not isinstance(model, Module):
        yield
        return
    before = [(module, module.training) for module in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for module, was in before:
            module.training = was
