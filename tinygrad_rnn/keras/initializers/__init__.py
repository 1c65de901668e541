"""Initial values of weights by Keras' names: objects that make an array from a shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...tensor import Tensor
from ..by_name import Names
from .constants import Constant, Identity, Ones, Zeros, of_array
from .initializer import Initializer
from .random import (
    Orthogonal,
    RandomInitializer,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
)
from .scaling import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    VarianceScaling,
)

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "RandomInitializer",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "constant",
    "deserialize",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "serialize",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]

zeros, ones, constant, identity = Zeros, Ones, Constant, Identity
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal
glorot_normal, glorot_uniform, variance_scaling = GlorotNormal, GlorotUniform, VarianceScaling
he_normal, he_uniform, lecun_normal = HeNormal, HeUniform, LecunNormal
lecun_uniform, orthogonal = LecunUniform, Orthogonal

_names = Names(
    "initializer",
    classes=(
        Constant, GlorotNormal, GlorotUniform, HeNormal, HeUniform, Identity, LecunNormal,
        LecunUniform, Ones, Orthogonal, RandomNormal, RandomUniform, TruncatedNormal,
        VarianceScaling, Zeros,
    ),
    others={
        "normal": RandomNormal,
        "uniform": RandomUniform,
        "one": Ones,
        "zero": Zeros,
        "IdentityInitializer": Identity,
        "OrthogonalInitializer": Orthogonal,
    },
)  # fmt: skip


def get(identifier: Any) -> Any:
    """The initializer for a name, a configuration, an array, or itself; None for None.

    Raises:
        ValueError: for an unknown name, or what can't be called.

    >>> from tinygrad_rnn import keras
    >>> keras.initializers.get("glorot_uniform").mode
    'fan_avg'
    >>> keras.initializers.get("glorot_unifrom")
    Traceback (most recent call last):
    ...
    ValueError: Unknown initializer: 'glorot_unifrom'. Did you mean 'glorot_uniform'...
    """
    if isinstance(identifier, Tensor):
        identifier = identifier.data
    if isinstance(identifier, (np.ndarray, np.generic)):
        return of_array(np.array(identifier))
    return _names.get(identifier)


def serialize(initializer: Any) -> Any:
    """The configuration of an initializer."""
    return _names.serialize(initializer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """What `serialize` described."""
    return _names.deserialize(config, custom_objects)
