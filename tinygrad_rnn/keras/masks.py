"""Masks travel with the Tensors they belong to: True where a step is to be used."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from ..tensor import Tensor

# By identity: a WeakKeyDictionary would ask whether two Tensors are equal, which is elementwise.
_masks: dict[int, tuple[weakref.ref[Tensor], np.ndarray]] = {}


def mask_of(value: Any) -> Any:
    """The mask of a Tensor, or None; of several Tensors, a list of theirs."""
    if isinstance(value, (list, tuple)):
        masks = [mask_of(each) for each in value]
        return None if all(mask is None for mask in masks) else masks
    noted = _masks.get(id(value))
    return None if noted is None else noted[1]


def with_mask(value: Any, mask: Any) -> Any:
    """`value`, its mask noted; of a tuple, the mask of each part: one mask is the first's."""
    if isinstance(value, (list, tuple)):
        each = mask if isinstance(mask, (list, tuple)) else [mask, *[None] * (len(value) - 1)]
        for part, of_part in zip(value, each, strict=True):
            with_mask(part, of_part)
    elif isinstance(value, Tensor):
        key = id(value)
        _masks.pop(key, None)
        if mask is not None:
            reference = weakref.ref(value, lambda _: _masks.pop(key, None))
            _masks[key] = (reference, np.asarray(mask, dtype=bool))
    return value


def flat(mask: Any) -> Any:
    """The first mask of several."""
    return mask[0] if isinstance(mask, (list, tuple)) else mask
