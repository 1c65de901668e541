"""Who is told of a training as it goes."""

from __future__ import annotations

from collections.abc import Mapping


class Watcher:
    """Is told of a training as it goes, and may end it. A subclass defines what it wants to hear.

    >>> import time, tinygrad_rnn as tg
    >>> class Minutes(tg.train.Watcher):  # ends a training when its time is over
    ...     def __init__(self, minutes):
    ...         self.end = time.monotonic() + 60 * minutes
    ...     def end_step(self, step, values):
    ...         return time.monotonic() > self.end
    """

    def begin_training(self) -> None:
        """Before the first step."""

    def begin_epoch(self, epoch: int) -> None:
        """Before an epoch; the first has the number 0."""

    def begin_step(self, step: int) -> None:
        """Before an update; the first has the number 0."""

    def end_step(self, step: int, values: Mapping[str, float]) -> bool | None:
        """After an update, with the means of loss and metrics since the last row of the history.

        Returns:
            True to end the training.
        """

    def end_epoch(self, epoch: int, values: Mapping[str, float]) -> bool | None:
        """After an epoch, with the last row of the history.

        Returns:
            True to end the training.
        """

    def end_training(self) -> None:
        """After the last step, however it came."""
