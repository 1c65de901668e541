"""Functions of each element, and of pairs of elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ... import ops
from ...tensor import Tensor
from .. import activations
from .tensors import convert_to_tensor, floats, pair

__all__ = [
    "abs",
    "absolute",
    "add",
    "ceil",
    "clip",
    "cos",
    "divide",
    "elu",
    "equal",
    "erf",
    "exp",
    "expm1",
    "floor",
    "floor_divide",
    "gelu",
    "greater",
    "greater_equal",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "isfinite",
    "isinf",
    "isnan",
    "leaky_relu",
    "less",
    "less_equal",
    "log",
    "log1p",
    "log2",
    "log10",
    "log_sigmoid",
    "log_softmax",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "mod",
    "multiply",
    "negative",
    "not_equal",
    "power",
    "reciprocal",
    "relu",
    "relu6",
    "round",
    "rsqrt",
    "selu",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "softmax",
    "softplus",
    "softsign",
    "sqrt",
    "square",
    "subtract",
    "swish",
    "tan",
    "tanh",
    "true_divide",
    "where",
]


def _of_one(name: str, function: Any, prepared: Callable[[Any], Tensor] = floats) -> Any:
    """An operation on one array, by Keras' name of it and of its argument."""

    def operation(x: Any) -> Any:
        return function(prepared(x))

    return _named(operation, name, function)


def _of_two(name: str, function: Any) -> Any:
    """An operation on two arrays that broadcast."""

    def operation(x1: Any, x2: Any) -> Any:
        return function(*pair(x1, x2))

    return _named(operation, name, function)


def _named(operation: Any, name: str, function: Any) -> Any:
    operation.__name__ = operation.__qualname__ = name
    operation.__doc__ = function.__doc__
    return operation


exp, expm1 = _of_one("exp", ops.exp), _of_one("expm1", ops.expm1)
log, log1p = _of_one("log", ops.log), _of_one("log1p", ops.log1p)
log2, log10 = _of_one("log2", ops.log2), _of_one("log10", ops.log10)
sin, cos, tan = _of_one("sin", ops.sin), _of_one("cos", ops.cos), _of_one("tan", ops.tan)
sqrt, erf = _of_one("sqrt", ops.sqrt), _of_one("erf", ops.erf)
tanh, sigmoid = _of_one("tanh", ops.tanh), _of_one("sigmoid", ops.sigmoid)
log_sigmoid = _of_one("log_sigmoid", ops.logsigmoid)
softplus, softsign = _of_one("softplus", ops.softplus), _of_one("softsign", ops.softsign)
silu, selu = _of_one("silu", ops.silu), _of_one("selu", ops.selu)
relu, relu6 = (_of_one("relu", ops.relu, convert_to_tensor), _of_one("relu6", ops.relu6))
hard_sigmoid = _of_one("hard_sigmoid", ops.hardsigmoid)
hard_silu = _of_one("hard_silu", ops.hardswish)
hard_tanh = _of_one("hard_tanh", ops.hardtanh)
reciprocal = _of_one("reciprocal", ops.reciprocal)
swish = silu

negative = _of_one("negative", ops.negative, convert_to_tensor)
square = _of_one("square", ops.square, convert_to_tensor)
sign = _of_one("sign", ops.sign, convert_to_tensor)
floor, ceil = _of_one("floor", ops.floor), _of_one("ceil", ops.ceil)
isnan = _of_one("isnan", ops.isnan, convert_to_tensor)
isinf = _of_one("isinf", ops.isinf, convert_to_tensor)
isfinite = _of_one("isfinite", ops.isfinite, convert_to_tensor)
logical_not = _of_one("logical_not", ops.logical_not, convert_to_tensor)
absolute = _of_one("absolute", ops.absolute, convert_to_tensor)

add, subtract = _of_two("add", ops.add), _of_two("subtract", ops.subtract)
multiply, power = _of_two("multiply", ops.multiply), _of_two("power", ops.power)
floor_divide, mod = _of_two("floor_divide", ops.floor_divide), _of_two("mod", ops.remainder)
maximum, minimum = _of_two("maximum", ops.maximum), _of_two("minimum", ops.minimum)
equal, not_equal = _of_two("equal", ops.equal), _of_two("not_equal", ops.not_equal)
less, less_equal = _of_two("less", ops.less), _of_two("less_equal", ops.less_equal)
greater = _of_two("greater", ops.greater)
greater_equal = _of_two("greater_equal", ops.greater_equal)
logical_and = _of_two("logical_and", ops.logical_and)
logical_or = _of_two("logical_or", ops.logical_or)
logical_xor = _of_two("logical_xor", ops.logical_xor)


def divide(x1: Any, x2: Any) -> Any:
    """out = x1 / x2; of integers too, a float"""
    a, b = pair(x1, x2)
    return ops.divide(*(floats(x) if isinstance(x, Tensor) else x for x in (a, b)))


def true_divide(x1: Any, x2: Any) -> Any:
    """out = x1 / x2"""
    return divide(x1, x2)


def logaddexp(x1: Any, x2: Any) -> Any:
    """out = ln(eˣ¹ + eˣ²)"""
    return ops.logaddexp(floats(x1), floats(x2))


def rsqrt(x: Any) -> Any:
    """out = 1 / √x"""
    return ops.reciprocal(ops.sqrt(floats(x)))


def clip(x: Any, x_min: Any, x_max: Any) -> Any:
    """out = x, but at least x_min and at most x_max"""
    return ops.clip(convert_to_tensor(x), x_min, x_max)


def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """out = x1 where the condition is true, x2 elsewhere; with neither, where it is true

    >>> from tinygrad_rnn import keras
    >>> keras.ops.where([True, False], [1.0, 2.0], 0.0)
    Tensor([1., 0.], dtype=float32)
    """
    chosen = convert_to_tensor(condition)
    return ops.where(chosen) if x1 is None and x2 is None else ops.where(chosen, *pair(x1, x2))


def gelu(x: Any, approximate: bool = True) -> Any:
    """out = x Φ(x), where Φ is the normal distribution; by tanh, if approximate"""
    return activations.gelu(floats(x), approximate)


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """out = x for x > 0, negative_slope · x elsewhere"""
    return activations.leaky_relu(floats(x), negative_slope)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """out = x for x > 0, alpha · (eˣ - 1) elsewhere"""
    return activations.elu(floats(x), alpha)


def softmax(x: Any, axis: int = -1) -> Any:
    """out = eˣ / Σ eˣ over `axis`

    >>> from tinygrad_rnn import keras
    >>> keras.ops.softmax([0.0, 0.0])
    Tensor([0.5, 0.5], dtype=float32)
    """
    return ops.softmax(floats(x), axis)


def log_softmax(x: Any, axis: int = -1) -> Any:
    """out = ln softmax x over `axis`"""
    return ops.log_softmax(floats(x), axis)


def round(x: Any, decimals: int = 0) -> Any:
    """out = x, rounded; halves to the even number"""
    return ops.round(convert_to_tensor(x), decimals)


abs = absolute
