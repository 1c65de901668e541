"""A model applied to batches: its loss, its metrics, and the state that it carries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..core.context import no_grad
from ..data.position import Resumable
from ..module import Module
from ..rnn.states import detach
from ..tensor import Tensor

Loss = Callable[[Any, Any], Any]
Metrics = Mapping[str, Callable[[Any, Any], Any]]


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
    means = Means()
    state = None
    with mode(model, training=False), no_grad():
        for batch in data.from_start() if isinstance(data, Resumable) else data:
            output, state = forward(model, batch, state)
            targets = targets_of(batch)
            means.add(measured(loss(output, targets), output, targets, metrics), targets)
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


def measured(loss: Any, output: Any, targets: Any, metrics: Metrics | None) -> dict[str, float]:
    """The loss and the metrics of one batch, as numbers."""
    values = {"loss": float(loss)}
    if metrics:
        with no_grad():
            bare = output.detach() if isinstance(output, Tensor) else output
            values.update({name: float(f(bare, targets)) for name, f in metrics.items()})
    return values


def targets_of(batch: Any) -> Any:
    """What the output for a batch is compared with."""
    return batch.targets if hasattr(batch, "fresh") else batch[-1]


class Means:
    """Sums of values by name, and of the weights they came with."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.weight = 0

    def add(self, values: Mapping[str, float], targets: Any) -> None:
        """Takes in what a batch with these targets gave; it counts by how many they are."""
        weight = targets.size if isinstance(targets, Tensor) else int(np.size(targets))
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + weight * value
        self.weight += weight

    def values(self) -> dict[str, float]:
        """The means by name."""
        return {name: total / self.weight for name, total in self.sums.items()}


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
