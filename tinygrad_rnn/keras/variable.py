"""The weights of Keras layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.errors import ShapeError
from ..module import Parameter


class Variable(Parameter):
    """A weight of a layer: a Parameter that also knows its penalty and its constraint.

    Attributes:
        regularizer: called with the weight, gives its share of the loss; or None.
        constraint: what an optimizer applies to its values after each step; or None.
        learnable: whether it was made to be learnt: a layer's ``trainable = True`` is for these.
    """

    __slots__ = ("constraint", "learnable", "regularizer")

    def __init__(
        self,
        data: Any,
        *,
        name: str,
        trainable: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(data, requires_grad=trainable, dtype=dtype, name=name)
        self.learnable = trainable
        self.regularizer = regularizer
        self.constraint = constraint

    def __getstate__(self) -> Any:
        own = {name: getattr(self, name) for name in Variable.__slots__}
        return {**super().__getstate__(), "keras": own}

    def __setstate__(self, state: Any) -> None:
        state = dict(state)
        own = state.pop("keras")
        super().__setstate__(state)
        for name, value in own.items():
            setattr(self, name, value)

    @property
    def path(self) -> str:
        """The names of the layers it stands in, and its own: ``lstm/lstm_cell/kernel``."""
        names, owner = [self.name or "variable"], self._place.owner()
        while owner is not None:
            names.append(getattr(owner, "name", None) or type(owner).__name__.lower())
            owner = owner._place.owner()
        return "/".join(reversed(names))

    @property
    def label(self) -> str:
        """What pictures call it: its path without the model and the cell, ``lstm/kernel``."""
        names, owner = [self.name or "variable"], self._place.owner()
        while owner is not None:
            outer = owner._place.owner()
            is_model = outer is None and hasattr(owner, "layers")
            if owner._place.name != "cell" and not is_model:
                names.append(getattr(owner, "name", None) or type(owner).__name__.lower())
            owner = outer
        return "/".join(reversed(names))

    @property
    def trainable(self) -> bool:
        """Whether it is learnt."""
        return self.requires_grad

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self.requires_grad = bool(value)

    @property
    def value(self) -> Variable:
        """Itself: what Keras' variables have inside."""
        return self

    def assign(self, value: Any) -> Variable:
        """Takes other values of the same shape.

        Raises:
            ValueError: if they have another one, or don't hold real numbers.
        """
        array = np.asarray(getattr(value, "data", value))
        if array.shape != self.shape:
            raise ShapeError(
                "The shape of the target variable and the shape of the target value in "
                f"`variable.assign(value)` must match. variable.shape={self.shape}, "
                f"Received: value.shape={array.shape}. Target variable: {self.path}"
            )
        if array.dtype.kind not in "biuf":
            raise ValueError(
                f"the variable {self.path} takes real numbers. Received: dtype={array.dtype}"
            )
        self.data = array.astype(self.dtype)
        return self
