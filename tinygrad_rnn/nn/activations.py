"""Activations as modules: the functions of `functional`, with their settings as attributes."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ..module import Module, Parameter, floating
from . import functional

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "PReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
]


class _Activation(Module):
    """A function of one array, called with the attributes that `settings` names."""

    settings: ClassVar[tuple[str, ...]] = ()
    function: ClassVar[Any]

    def forward(self, x: Any) -> Any:
        return type(self).function(x, *(getattr(self, name) for name in self.settings))

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in self.settings)


class CELU(_Activation):
    """out = x for x > 0, alpha (e^(x / alpha) - 1) elsewhere; see `functional.celu`."""

    settings = ("alpha",)
    function = staticmethod(functional.celu)

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha


class ELU(_Activation):
    """out = x for x > 0, alpha (eˣ - 1) elsewhere; see `functional.elu`."""

    settings = ("alpha",)
    function = staticmethod(functional.elu)

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha


class GELU(_Activation):
    """out = x Φ(x), where Φ is the normal distribution; see `functional.gelu`."""

    settings = ("approximate",)
    function = staticmethod(functional.gelu)

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate


class GLU(_Activation):
    """out = a · sigmoid(b), where a and b are the halves of x along `dim`; see `functional.glu`."""

    settings = ("dim",)
    function = staticmethod(functional.glu)

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim


class Hardshrink(_Activation):
    """out = x where |x| > lambd, else 0; see `functional.hardshrink`."""

    settings = ("lambd",)
    function = staticmethod(functional.hardshrink)

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = lambd

    def extra_repr(self) -> str:
        return f"{self.lambd}"


class Hardsigmoid(_Activation):
    """out = relu6(x + 3) / 6; see `functional.hardsigmoid`."""

    function = staticmethod(functional.hardsigmoid)


class Hardswish(_Activation):
    """out = x hardsigmoid(x); see `functional.hardswish`."""

    function = staticmethod(functional.hardswish)


class Hardtanh(_Activation):
    """out = x, but at least `min_val` and at most `max_val`; see `functional.hardtanh`."""

    settings = (
        "min_val",
        "max_val",
    )
    function = staticmethod(functional.hardtanh)

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0) -> None:
        self.min_val = min_val
        self.max_val = max_val


class LeakyReLU(_Activation):
    """out = x for x > 0, negative_slope · x elsewhere; see `functional.leaky_relu`."""

    settings = ("negative_slope",)
    function = staticmethod(functional.leaky_relu)

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope


class LogSigmoid(_Activation):
    """out = ln(1 / (1 + e⁻ˣ)), right to rounding in both tails; see `functional.logsigmoid`."""

    function = staticmethod(functional.logsigmoid)


class LogSoftmax(_Activation):
    """out = x - ln Σ eˣ over `dim`; see `functional.log_softmax`."""

    settings = ("dim",)
    function = staticmethod(functional.log_softmax)

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim


class Mish(_Activation):
    """out = x tanh(ln(1 + eˣ)); see `functional.mish`."""

    function = staticmethod(functional.mish)


class ReLU(_Activation):
    """out = max(x, 0); see `functional.relu`.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.ReLU()(tg.Tensor([-1.0, 2.0]))
    Tensor([0., 2.])
    """

    function = staticmethod(functional.relu)


class ReLU6(_Activation):
    """out = min(max(x, 0), 6); see `functional.relu6`."""

    function = staticmethod(functional.relu6)


class SELU(_Activation):
    """out = 1.0507 elu(x, 1.67326), which keeps mean 0 and variance 1; see `functional.selu`."""

    function = staticmethod(functional.selu)


class SiLU(_Activation):
    """out = x / (1 + e⁻ˣ); see `functional.silu`."""

    function = staticmethod(functional.silu)


class Sigmoid(_Activation):
    """out = 1 / (1 + e⁻ˣ), right to rounding in both tails; see `functional.sigmoid`."""

    function = staticmethod(functional.sigmoid)


class Softmax(_Activation):
    """out = eˣ / Σ eˣ over `dim`; see `functional.softmax`.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.Softmax(dim=0)(tg.Tensor([1.0, 1.0]))
    Tensor([0.5, 0.5])
    """

    settings = ("dim",)
    function = staticmethod(functional.softmax)

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim


class Softmin(_Activation):
    """out = e⁻ˣ / Σ e⁻ˣ over `dim`; see `functional.softmin`."""

    settings = ("dim",)
    function = staticmethod(functional.softmin)

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim


class Softplus(_Activation):
    """out = ln(1 + e^(beta x)) / beta; see `functional.softplus`."""

    settings = (
        "beta",
        "threshold",
    )
    function = staticmethod(functional.softplus)

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta = beta
        self.threshold = threshold


class Softshrink(_Activation):
    """out = x moved by `lambd` towards 0, and 0 if it is nearer; see `functional.softshrink`."""

    settings = ("lambd",)
    function = staticmethod(functional.softshrink)

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = lambd

    def extra_repr(self) -> str:
        return f"{self.lambd}"


class Softsign(_Activation):
    """out = x / (1 + |x|); see `functional.softsign`."""

    function = staticmethod(functional.softsign)


class Tanh(_Activation):
    """out = tanh x; see `functional.tanh`."""

    function = staticmethod(functional.tanh)


class Tanhshrink(_Activation):
    """out = x - tanh x; see `functional.tanhshrink`."""

    function = staticmethod(functional.tanhshrink)


class PReLU(Module):
    """out = x for x > 0, weight · x elsewhere; see `functional.prelu`.

    Args:
        num_parameters: 1, or one for each channel (axis 1 of the input).
        init: the initial weight.
        dtype: of the weight.

    Attributes:
        weight: (num_parameters,)

    >>> import tinygrad_rnn as tg
    >>> tg.nn.PReLU(init=0.5)(tg.Tensor([-1.0, 2.0])).tolist()
    [-0.5, 2.0]
    """

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, *, dtype: Any = np.float32
    ) -> None:
        self.num_parameters = num_parameters
        self.weight = Parameter(np.full(num_parameters, init, dtype))

    def forward(self, x: Any) -> Any:
        x = floating(x, self, self.dtype)
        return functional.prelu(x, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"
