"""Keeping gradients small: by their norm taken together, or each number by itself."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from types import GeneratorType

import numpy as np

from ..core.errors import GraphError
from ..tensor import Tensor
from .checks import number


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    *,
    eps: float = 1e-6,
) -> float:
    """Scales all gradients so that their norm, taken together, is at most `max_norm`.

        total ← (Σ |g|ᵖ)^(1/p),  p = norm_type        (inf: max |g|)
        g ← g · max_norm / (total + eps)              (if that factor is below 1)

    The norm is computed so that large numbers don't overflow on the way.

    Args:
        parameters: a Tensor or several; those without a gradient are skipped.
        max_norm: the largest norm that is left as it is.
        norm_type: of which norm, above 0; math.inf for the largest absolute value.
        error_if_nonfinite: whether a norm of NaN or infinity is an error.
        eps: as in the equations.

    Returns:
        The norm before scaling.

    Raises:
        RuntimeError: with error_if_nonfinite; nothing is changed then.
        ValueError: for a max_norm or eps below 0 or a norm_type not above 0.

    Source: Pascanu et al. 2013, "On the difficulty of training recurrent neural networks".

    >>> import numpy as np, tinygrad_rnn as tg
    >>> w = tg.Tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> tg.nn.utils.clip_grad_norm_([w], 1.0)
    10.0
    >>> round(float(np.linalg.norm(w.grad.data)), 4)
    1.0
    """
    order = number(norm_type, "norm_type")
    if order <= 0:
        raise ValueError(f"Invalid norm_type: {norm_type}; it must be above 0")
    largest, eps = _limit(max_norm, "max_norm"), _limit(eps, "eps")
    grads = _gradients(parameters)
    total = _norm(np.array([_norm(g._data, order) for g in grads]), order)
    if error_if_nonfinite and not math.isfinite(total):
        raise GraphError(
            f"The total norm of order {order} for gradients from `parameters` is {total}, so it "
            "cannot be clipped. To scale the gradients by it anyway, error_if_nonfinite=False"
        )
    factor = largest / (total + eps) if total + eps else math.inf
    if not factor >= 1:  # NaN scales too, so that it is seen
        for g in grads:
            g._data = g._data * np.asarray(factor, g.dtype)
    return total


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Limits every number of the gradients: g ← min(max(g, -clip_value), clip_value).

    Args:
        parameters: a Tensor or several; those without a gradient are skipped.
        clip_value: the largest absolute value that is left as it is. NaN stays NaN.

    Raises:
        ValueError: for a clip_value below 0.

    Source: Mikolov 2012, "Statistical Language Models Based on Neural Networks".

    >>> import tinygrad_rnn as tg
    >>> w = tg.Tensor([3.0, -4.0, 0.25], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> tg.nn.utils.clip_grad_value_([w], 1.0)
    >>> w.grad
    Tensor([ 1. , -1. ,  0.5])
    """
    limit = _limit(clip_value, "clip_value")
    for g in _gradients(parameters):
        g._data = np.clip(g._data, -limit, limit)


def _limit(value: float, name: str) -> float:
    found = number(value, name)
    if found < 0:
        raise ValueError(f"Invalid {name}: {value}; it must not be negative")
    return found


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    tensors = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    if not tensors and isinstance(parameters, GeneratorType):
        warnings.warn(
            "`parameters` is an empty generator, no gradient clipping will occur", stacklevel=3
        )
    return [p._grad for p in tensors if p._grad is not None]


def _norm(array: np.ndarray, order: float) -> float:
    """Of an array taken as one vector."""
    if not array.size:
        return 0.0
    flat = array.reshape(-1)
    with np.errstate(over="ignore", invalid="ignore"):
        found = float(np.linalg.norm(flat, order))
    if math.isfinite(found):
        return found
    largest = float(np.abs(flat).max())
    if not math.isfinite(largest):
        return largest
    return largest * float(np.linalg.norm(flat / largest, order))
