"""Initial values whose variance depends on the numbers of inputs and outputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from ... import init
from ..config import float_name
from .initializer import sizes_of
from .random import RandomInitializer, Seed, truncated

Axes: TypeAlias = Sequence[int] | None

# Cutting a standard normal at ±2 leaves this standard deviation.
_CUT_STD = 0.87962566103423978


class VarianceScaling(RandomInitializer):
    """Mean 0 and standard deviation √(scale / max(1, fan)).

    Args:
        scale: positive.
        mode: what fan is: "fan_in", "fan_out", or "fan_avg", the mean of both. A weight is
            (*kernel, inputs, outputs); one of a single axis has its size as both.
        distribution: "truncated_normal" (or "normal"), cut at two standard deviations of the
            normal before the cut; "untruncated_normal"; or "uniform".
        seed: as in `RandomInitializer`.
        input_axes, output_axes: both or none; the axes whose sizes' products are the fans.

    Raises:
        ValueError: for another scale, mode or distribution.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Seed = None,
        input_axes: Axes = None,
        output_axes: Axes = None,
    ) -> None:
        super().__init__(seed)
        if not scale > 0:
            raise ValueError(f"Argument `scale` must be positive float. Received: scale={scale}")
        distribution = "truncated_normal" if distribution == "normal" else distribution
        _one_of("mode", mode, ("fan_in", "fan_out", "fan_avg"))
        _one_of("distribution", distribution, ("uniform", "truncated_normal", "untruncated_normal"))
        self.scale, self.mode, self.distribution = scale, mode, distribution
        self.input_axes, self.output_axes = input_axes, output_axes

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        sizes, dtype, rng = sizes_of(shape), float_name(dtype), self._rng()
        fan_in, fan_out = self._fans(sizes)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        std = math.sqrt(self.scale / max(1.0, fan))
        if self.distribution == "uniform":
            return init.uniform_of_std(sizes, std, dtype, rng)
        if self.distribution == "untruncated_normal":
            return init.normal(sizes, dtype, rng, std=std)
        return truncated(sizes, 0.0, std / _CUT_STD, dtype, rng)

    def _fans(self, sizes: tuple[int, ...]) -> tuple[int, int]:
        if self.input_axes is not None and self.output_axes is not None:
            given = (self.input_axes, self.output_axes)
            first, second = (math.prod(sizes[axis] for axis in axes) for axes in given)
            return first, second
        if len(sizes) < 2:
            return math.prod(sizes), math.prod(sizes)
        return init.fans((sizes[-1], sizes[-2], *sizes[:-2]))

    def get_config(self) -> dict[str, Any]:
        own = {"scale": self.scale, "mode": self.mode, "distribution": self.distribution}
        return {**super().get_config(), **own, **self._axes()}

    def _axes(self) -> dict[str, Any]:
        return {"input_axes": self.input_axes, "output_axes": self.output_axes}


class _Scaled(VarianceScaling):
    """A VarianceScaling that has a name of its own."""

    settings: tuple[float, str, str]

    def __init__(
        self, seed: Seed = None, input_axes: Axes = None, output_axes: Axes = None
    ) -> None:
        super().__init__(*self.settings, seed, input_axes, output_axes)

    def get_config(self) -> dict[str, Any]:
        return {**RandomInitializer.get_config(self), **self._axes()}


class GlorotUniform(_Scaled):
    """Uniform on ±√(6 / (fan_in + fan_out)).

    >>> from tinygrad_rnn import keras
    >>> draw = keras.initializers.GlorotUniform(seed=1)
    >>> bool(abs(draw((3, 3))).max() <= 1)
    True
    """

    settings = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Scaled):
    """Truncated normal with standard deviation √(2 / (fan_in + fan_out))."""

    settings = (1.0, "fan_avg", "truncated_normal")


class LecunUniform(_Scaled):
    """Uniform on ±√(3 / fan_in)."""

    settings = (1.0, "fan_in", "uniform")


class LecunNormal(_Scaled):
    """Truncated normal with standard deviation √(1 / fan_in)."""

    settings = (1.0, "fan_in", "truncated_normal")


class HeUniform(_Scaled):
    """Uniform on ±√(6 / fan_in)."""

    settings = (2.0, "fan_in", "uniform")


class HeNormal(_Scaled):
    """Truncated normal with standard deviation √(2 / fan_in)."""

    settings = (2.0, "fan_in", "truncated_normal")


def _one_of(name: str, given: Any, known: tuple[str, ...]) -> None:
    if given not in known:
        raise ValueError(
            f"Invalid `{name}` argument. Please use one of {known}. Received: {name}={given!r}"
        )
