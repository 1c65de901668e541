"""Calls of a layer: the mask and the phase that it is told, and the penalties it adds."""

from __future__ import annotations

import functools
import inspect
import warnings
from typing import Any

import numpy as np

from ...tensor import Tensor
from ..masks import flat, mask_of, with_mask
from .inputs import Inputs
from .phase import in_phase, next_number, running


class Calls(Inputs):
    """A layer as far as it is called."""

    training = False
    supports_masking = False
    _makes_masks = False  # whether the output may have a mask if the input has none
    _notes_masks = False  # whether `call` itself notes the masks of what it returns
    activity_regularizer: Any
    _ran: int  # the number of the outermost call that last ran this layer
    _penalties: list[Any]  # added since then

    def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """What the layer computes."""
        raise NotImplementedError(f"Layer {type(self).__name__} does not have a `call()` method")

    def compute_mask(self, inputs: Any, mask: Any) -> Any:
        """The mask of the output."""
        return mask if self.supports_masking else None

    @property
    def losses(self) -> list[Any]:
        """The penalties on weights and outputs, for this layer and those inside."""
        penalties = [w.regularizer(w) for w in self.trainable_weights if w.regularizer is not None]
        for module in self.modules():  # a layer that ran before this one's last call has no part
            if isinstance(module, Calls) and module._ran >= self._ran:
                penalties += module._penalties
        return penalties

    def add_loss(self, loss: Any) -> None:
        """Adds a penalty of the call that is running."""
        self._penalties.append(loss)

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        inputs = self.convert_inputs(inputs)
        self._prepare(inputs)
        places, takes_mask, takes_training = _call_arguments(type(self))
        if len(args) > len(places):
            raise TypeError(f"{type(self).__name__} {self.name!r} takes {places} after its inputs")
        kwargs.update(zip(places, args, strict=False))
        mask = _mask_for(inputs, kwargs, takes_mask)
        given = kwargs.pop("training", None)
        now = running.get()
        if given is None:
            given = self.training if now is None else now.training
        given = bool(given)
        if takes_training:
            kwargs["training"] = given
        number = next_number() if now is None else now.number
        if number != self._ran:
            vars(self).update(_ran=number, _penalties=[])
        if now is not None and now.training is given:
            result = super().__call__(inputs, **kwargs)
        else:
            with in_phase(given, number):
                result = super().__call__(inputs, **kwargs)
        if mask is not None or self._makes_masks:
            self._note_mask(inputs, result, mask)
        if self.activity_regularizer is not None:
            self._penalise(result)
        return result

    def _penalise(self, result: Any) -> None:
        for part in result if isinstance(result, (list, tuple)) else (result,):
            penalty = self.activity_regularizer(part)
            self.add_loss(penalty / max(len(part), 1) if part.ndim else penalty)

    def _note_mask(self, inputs: Any, result: Any, mask: Any) -> None:
        if self._notes_masks:
            return
        if self.supports_masking or self._makes_masks:
            computed = self.compute_mask(inputs, mask)
            if computed is not None:
                with_mask(result, computed)
            return
        warnings.warn(
            f"Layer '{self.name}' (of type {type(self).__name__}) was passed an input with a mask "
            "attached to it. However, this layer does not support masking and will therefore "
            "destroy the mask information. Downstream layers will not see the mask.",
            stacklevel=3,
        )

    def _scope_name(self) -> str:
        return self.name

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.call(*args, **kwargs)


def _mask_for(inputs: Any, kwargs: dict[str, Any], takes_mask: bool) -> Any:
    """The mask of a call, which `call` is given too if it takes one."""
    mask = kwargs.get("mask")
    if mask is None:
        mask = mask_of(inputs)
        if not isinstance(inputs, list):
            mask = flat(mask)
        if mask is not None and takes_mask:
            kwargs["mask"] = mask
    elif isinstance(inputs, Tensor):
        mask = kwargs["mask"] = np.asarray(getattr(mask, "data", mask), dtype=bool)
    return mask


@functools.cache
def _call_arguments(kind: type[Calls]) -> tuple[list[str], bool, bool]:
    """The names of what `call` takes after the inputs; whether mask and training are among them."""
    parameters = list(inspect.signature(kind.call).parameters.values())[2:]
    names = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    keywords = {p.name for p in parameters if p.kind is not p.VAR_POSITIONAL}
    return names, "mask" in keywords, "training" in keywords
