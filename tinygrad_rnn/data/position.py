"""Where a pass over data stands, so that a saved run goes on with the very next batch."""

from __future__ import annotations

import copy
import operator
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

T = TypeVar("T")
S = TypeVar("S", bound="Resumable[Any]")


class Resumable(ABC, Generic[T]):
    """Batches that are read epoch by epoch, and know which one comes next.

    An iteration goes on where the one before was left, up to the end of the epoch. Subclasses say
    which batches there are, by `__len__` and `_batches`.

    Attributes:
        epoch: how many epochs have been read to their end.
        position: how many batches of the present one have been given out.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self.position = 0

    @abstractmethod
    def __len__(self) -> int:
        """How many batches an epoch has."""

    @abstractmethod
    def _batches(self) -> Iterator[T]:
        """The batches of the epoch `self.epoch` from `self.position` on."""

    def __iter__(self) -> Iterator[T]:
        for batch in self._batches():
            self.position += 1
            if self.position == len(self):  # at once: whoever goes on later begins an epoch
                self.epoch, self.position = self.epoch + 1, 0
            yield batch

    def from_start(self: S) -> S:
        """The same batches read from the first epoch on; this object's own position stays."""
        other = copy.copy(self)
        other.epoch = other.position = 0
        return other

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on from here: small numbers only."""
        return {"epoch": self.epoch, "position": self.position, **self._identity()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Goes to the place that was saved.

        Raises:
            ValueError: if something is missing, or it was saved over other data or settings.
        """
        expected = ("epoch", "position", *self._identity())
        if missing := [name for name in expected if name not in state_dict]:
            raise ValueError(f"a position in {type(self).__name__} needs {', '.join(missing)} too")
        for name, own in self._identity().items():
            if state_dict[name] != own:
                raise ValueError(
                    f"this position was saved with {name} = {state_dict[name]!r}, but here it is "
                    f"{own!r}: the batches would be others. Give the same data and settings"
                )
        epoch, position = (operator.index(state_dict[name]) for name in ("epoch", "position"))
        if epoch < 0 or not 0 <= position < len(self):
            raise ValueError(
                f"there is no epoch {epoch}, position {position}: an epoch has {len(self)} batches"
            )
        self.epoch, self.position = epoch, position

    def _identity(self) -> dict[str, Any]:
        """What must be equal for a position to mean the same batch: JSON-able values."""
        return {}
