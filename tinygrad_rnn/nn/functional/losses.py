"""Losses, with PyTorch's names and arguments. Shapes must agree: nothing is broadcast silently."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import ops
from ...core.errors import DtypeError, ShapeError
from ...core.primitive import Array, primitive
from ...ops.normalisation import class_cross_entropy, index_along
from ...tensor import as_tensor, asarray

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "mse_loss",
    "nll_loss",
    "smooth_l1_loss",
]


# Losses of numbers


def mse_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """out = (input - target)², averaged, summed or as it is

    Raises:
        ValueError: if the shapes differ (broadcasting here hides mistakes) or the reduction is
            unknown.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.functional.mse_loss(tg.Tensor([1.0, 3.0]), [0.0, 0.0])
    Tensor(5.)
    """
    return _reduce(ops.square(_difference("mse_loss", input, target)), reduction)


def l1_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """out = |input - target|, averaged, summed or as it is; the derivative at 0 is 0

    >>> import tinygrad_rnn as tg
    >>> tg.nn.functional.l1_loss(tg.Tensor([1.0, 3.0]), [0.0, 0.0])
    Tensor(2.)
    """
    return _reduce(ops.absolute(_difference("l1_loss", input, target)), reduction)


@primitive()
def _huber(error: Array, delta: float) -> Array:
    """out = error² / 2 where |error| < delta, else delta (|error| - delta / 2)"""
    inner = np.clip(error, -delta, delta)
    return np.multiply(inner, error - 0.5 * inner)


_huber.vjp(
    error=lambda g, error, delta: (
        g * np.where(np.absolute(error) < delta, error, delta * np.sign(error))
    ),
)


def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Any:
    """out = e² / 2 where |e| < delta, else delta (|e| - delta / 2), with e = input - target

    >>> import tinygrad_rnn as tg
    >>> tg.nn.functional.huber_loss(tg.Tensor([0.5, 3.0]), [0.0, 0.0], reduction="none")
    Tensor([0.125, 2.5  ])
    """
    if not delta > 0:
        raise ValueError(f"huber_loss: delta must be positive, got {delta!r}")
    return _reduce(_huber(_difference("huber_loss", input, target), delta), reduction)


def smooth_l1_loss(input: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Any:
    """out = e² / (2 beta) where |e| < beta, else |e| - beta / 2, with e = input - target

    With beta = 0 it is `l1_loss`.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.functional.smooth_l1_loss(tg.Tensor([0.5, 3.0]), [0.0, 0.0], "none", beta=2.0)
    Tensor([0.0625, 2.    ])
    """
    if not beta >= 0:
        raise ValueError(f"smooth_l1_loss: beta must not be negative, got {beta!r}")
    error = _difference("smooth_l1_loss", input, target)
    return _reduce(_huber(error, beta) / beta if beta else ops.absolute(error), reduction)


# Losses of classes


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """out = - w[y] log softmax(x)[y], or - Σ w · y · log softmax(x): scores x against classes y

    Args:
        input: unnormalised scores x: (C,), (N, C) or (N, C, d1, ...).
        target: integers in the shape of `input` without C, or probabilities in its whole shape.
        weight: (C,), of each class.
        ignore_index: an integer target with this value doesn't count.
        reduction: "mean", "sum" or "none". The mean over integers is weighted: it divides by the
            sum of the weights of the targets that count (NaN if none does); that over
            probabilities divides by their number.
        label_smoothing: share of the target spread evenly over the classes, 0 … 1.

    A class that is masked by a score of -inf and has the probability 0 adds nothing.

    Returns:
        a number, or the shape of `input` without C with reduction="none".

    Raises:
        ValueError: if shapes don't fit.
        TypeError: if `target` is neither integers nor probabilities.
        IndexError: if a target is no class.

    >>> import tinygrad_rnn as tg
    >>> x = tg.Tensor([[2.0, 0.0], [0.0, 2.0]])
    >>> round(float(tg.nn.functional.cross_entropy(x, [0, 1])), 4)
    0.1269
    >>> round(float(tg.nn.functional.cross_entropy(x, [[1.0, 0.0], [0.5, 0.5]])), 4)
    0.6269
    """
    x, target = asarray(input), asarray(target)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing is 0 … 1, got {label_smoothing!r}")
    axis = _class_axis("cross_entropy", x)
    weights = _class_weights("cross_entropy", weight, x, axis)
    if target.dtype.kind == "f" and target.shape == x.shape:
        if ignore_index >= 0:
            raise ValueError(
                "cross_entropy: ignore_index needs integer targets; to ignore a probability "
                "distribution, set all of it to 0"
            )
        return _reduce(_soft_losses(x, target, weights, axis, label_smoothing), reduction)
    y, counts = _class_targets("cross_entropy", x, target, axis, ignore_index)
    if not label_smoothing:
        return _reduce_classes(class_cross_entropy(x, y, axis), y, counts, weights, reduction)
    log_p = ops.log_softmax(x, axis)
    smooth = log_p if weights is None else log_p * _along(weights, x, axis)
    even = -smooth.sum(axis=axis) * (label_smoothing / x.shape[axis])
    losses = (label_smoothing - 1) * _picked(log_p, y, axis)
    return _reduce_classes(losses, y, counts, weights, reduction, even)


def nll_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Any:
    """out = - w[y] x[y], the loss of logarithms of probabilities x at the classes y

    Arguments, shapes and errors as in `cross_entropy` of integers, which is ``nll_loss`` of
    ``log_softmax``.

    >>> import tinygrad_rnn as tg
    >>> log_p = tg.log_softmax(tg.Tensor([[0.0, 0.0]]))
    >>> round(float(tg.nn.functional.nll_loss(log_p, [1])), 4)
    0.6931
    """
    x = asarray(input)
    axis = _class_axis("nll_loss", x)
    weights = _class_weights("nll_loss", weight, x, axis)
    y, counts = _class_targets("nll_loss", x, asarray(target), axis, ignore_index)
    return _reduce_classes(-_picked(x, y, axis), y, counts, weights, reduction)


def _class_axis(name: str, x: Any) -> int:
    if not x.ndim:
        raise ShapeError(f"{name}: the input has no axes; it needs (C,), (N, C) or (N, C, d1, ...)")
    return min(x.ndim - 1, 1)


def _class_weights(name: str, weight: Any, x: Any, axis: int) -> Any:
    """The weights in the dtype of x, or None."""
    if weight is None:
        return None
    weights = asarray(weight)
    if weights.shape != (x.shape[axis],):
        raise ShapeError(
            f"{name}: weight needs the shape {(x.shape[axis],)}, one number for each class, got "
            f"{weights.shape}"
        )
    return weights.astype(x.dtype)


def _class_targets(name: str, x: Any, target: Any, axis: int, ignored: int) -> tuple[Any, Any]:
    """The targets, 0 where they don't count, in memory of their own; and where they do count."""
    y = as_tensor(target).data
    expected = x.shape[:axis] + x.shape[axis + 1 :]
    if y.dtype.kind not in "iu" and not (y.size == 0 and y.shape == expected):
        raise DtypeError(
            f"{name}: the targets must be integers (classes), got {y.dtype}"
            + (f"; probabilities need the shape {x.shape}" if name == "cross_entropy" else "")
        )
    if y.shape != expected:
        raise ShapeError(
            f"{name}: scores of shape {x.shape} have the classes on axis {axis}, so the "
            f"targets need the shape {expected}, got {y.shape}"
        )
    counts = y != ignored
    wrong = ((y < 0) | (y >= x.shape[axis])) & counts
    if wrong.any():
        raise IndexError(f"{name}: target {y[wrong].flat[0]} is no class (0 … {x.shape[axis] - 1})")
    return np.where(counts, y, 0).astype(np.intp), counts


def _picked(x: Any, y: Any, axis: int) -> Any:
    """x[y] along `axis`."""
    return ops.getitem(x, index_along(y, axis))


def _along(weights: Any, x: Any, axis: int) -> Any:
    """`weights`, one for each class, in a shape that broadcasts to x."""
    return weights.reshape((-1,) + (1,) * (x.ndim - 1 - axis))


def _soft_losses(x: Any, target: Any, weights: Any, axis: int, label_smoothing: float) -> Any:
    p = target.astype(x.dtype)
    if label_smoothing:
        p = p * (1 - label_smoothing) + label_smoothing / x.shape[axis]
    log_p = ops.log_softmax(x, axis)
    masked = (as_tensor(p).data == 0) & (as_tensor(log_p).data == -np.inf)
    if masked.any():
        log_p = ops.where(masked, 0, log_p)
    products = p * log_p
    if weights is not None:
        products = products * _along(weights, x, axis)
    return -products.sum(axis=axis)


def _reduce_classes(
    losses: Any, y: Any, counts: Any, weights: Any, reduction: str, even: Any = None
) -> Any:
    """Losses at the classes y, weighted; plus `even` losses, weighted already."""
    if weights is not None:
        each = ops.where(counts, ops.getitem(weights, y), 0)
    if not counts.all():
        losses = ops.where(counts, losses, 0)
        even = None if even is None else ops.where(counts, even, 0)
    if weights is not None:
        losses = losses * each
    if even is not None:
        losses = losses + even
    if reduction != "mean":
        return _reduce(losses, reduction)
    if not counts.any():  # as in PyTorch: the mean of nothing is NaN, and its gradient zero
        return losses.sum() + math.nan
    return losses.sum() / (int(counts.sum()) if weights is None else each.sum())


# Losses of probabilities


@primitive()
def _clamped_log(x: Array) -> Array:
    """out = max(ln x, -100)"""
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(x), -100)


def _clamped_log_vjp(g: Any, x: Any, out: Any) -> Any:
    inside = out > -100
    return np.where(inside, g, 0) / np.where(inside, x, 1)


_clamped_log.vjp(x=_clamped_log_vjp)


@primitive()
def _binary_cross_entropy(input: Array, target: Array) -> Array:
    """out = - t max(ln x, -100) - (1 - t) max(ln(1 - x), -100)"""
    with np.errstate(divide="ignore"):
        yes = np.maximum(np.log(input), -100)
        no = np.maximum(np.log1p(np.negative(input)), -100)
    return (np.asarray(target) - 1) * no - target * yes


_binary_cross_entropy.vjp(
    input=lambda g, input, target: g * ((input - target) / np.maximum((1 - input) * input, 1e-12)),
    target=lambda g, input: g * (_clamped_log(1 - input) - _clamped_log(input)),
)


def binary_cross_entropy(
    input: Any, target: Any, weight: Any = None, reduction: str = "mean"
) -> Any:
    """out = - w (t ln x + (1 - t) ln(1 - x)), of probabilities x and t

    Logarithms are at least -100, and the derivative in x divides by at least 1e-12, as in PyTorch.
    From scores rather than probabilities, `binary_cross_entropy_with_logits` is exact.

    Args:
        input: probabilities x, 0 … 1.
        target: probabilities t, 0 … 1, in the same shape.
        weight: w, of a shape that broadcasts to it.
        reduction: "mean", "sum" or "none".

    Raises:
        ValueError: if the shapes differ, or x or t isn't within 0 … 1.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.functional.binary_cross_entropy(tg.Tensor([0.0, 1.0]), [0.0, 0.0], reduction="none")
    Tensor([  0., 100.])
    """
    name = "binary_cross_entropy"
    x, t = _pair(name, input, target)
    for what, values in (("input", x), ("target", t)):
        data = as_tensor(values).data
        if not ((data >= 0) & (data <= 1)).all():
            raise ValueError(
                f"{name}: the {what} must hold probabilities, 0 … 1"
                + ("; for scores use binary_cross_entropy_with_logits" if what == "input" else "")
            )
    return _reduce(_weighted(name, _binary_cross_entropy(x, t), weight), reduction)


@primitive()
def _sigmoid_cross_entropy(x: Array, target: Array) -> Array:
    """out = softplus x - x · target, the cross entropy of sigmoid x and a probability"""
    with np.errstate(invalid="ignore"):  # inf - inf is NaN, as in PyTorch
        return np.maximum(x, 0) - np.multiply(x, target) + np.log1p(np.exp(-np.absolute(x)))


_sigmoid_cross_entropy.vjp(
    x=lambda g, x, target: g * (ops.sigmoid(x) - target),
    target=lambda g, x: -g * x,
)


def binary_cross_entropy_with_logits(
    input: Any,
    target: Any,
    weight: Any = None,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Any:
    """out = - w (p t ln σ(x) + (1 - t) ln(1 - σ(x))), of scores x and probabilities t

    Exact for scores of any size.

    Args:
        input: scores x.
        target: probabilities t in the same shape.
        weight: w, of a shape that broadcasts to it.
        reduction: "mean", "sum" or "none".
        pos_weight: p, the weight of what is positive, of a shape that broadcasts.

    Raises:
        ValueError: if the shapes differ.

    >>> import tinygrad_rnn as tg
    >>> x = tg.Tensor([1000.0, -1000.0])
    >>> tg.nn.functional.binary_cross_entropy_with_logits(x, [0.0, 0.0], reduction="none")
    Tensor([1000.,    0.])
    """
    name = "binary_cross_entropy_with_logits"
    x, t = _pair(name, input, target)
    if pos_weight is None:
        losses = _sigmoid_cross_entropy(x, t)
    else:
        factor = _fitting(name, "pos_weight", pos_weight, x) - 1
        losses = (1 - t) * x + (1 + factor * t) * _sigmoid_cross_entropy(x, 1)
    return _reduce(_weighted(name, losses, weight), reduction)


def kl_div(input: Any, target: Any, reduction: str = "mean", log_target: bool = False) -> Any:
    """out = t (ln t - x), the divergence of ln probabilities x from probabilities t

    Where t is 0 it is 0, and so are its derivatives.

    Args:
        input: logarithms of probabilities.
        target: probabilities t in the same shape, or their logarithms with `log_target`.
        reduction: "batchmean" (the sum divided by the length of the first axis: what mathematics
            calls the divergence), "mean" (over all elements), "sum" or "none".
        log_target: whether `target` holds logarithms.

    >>> import tinygrad_rnn as tg
    >>> log_q = tg.log_softmax(tg.Tensor([[0.0, 0.0]]))
    >>> round(float(tg.nn.functional.kl_div(log_q, [[1.0, 0.0]], reduction="batchmean")), 4)
    0.6931
    """
    x, t = _pair("kl_div", input, target)
    if log_target:
        losses = ops.exp(t) * (t - x)
    else:
        nothing = as_tensor(t).data == 0
        if nothing.any():
            x, t = ops.where(nothing, 0, x), ops.where(nothing, 1, t)
        losses = t * (ops.log(t) - x)
    if reduction == "batchmean":
        return losses.sum() / (x.shape[0] if x.ndim else 1)
    return _reduce(losses, reduction, "'batchmean', 'mean', 'sum' or 'none'")


# What they share


def _pair(name: str, input: Any, target: Any) -> tuple[Any, Any]:
    """Both as arrays or Tensors of one shape."""
    x, t = asarray(input), asarray(target)
    if x.shape != t.shape:
        raise ShapeError(
            f"{name}: input {x.shape} and target {t.shape} must have one shape; "
            "reshape or np.broadcast_to the target first"
        )
    return x, t


def _difference(name: str, input: Any, target: Any) -> Any:
    x, t = _pair(name, input, target)
    return ops.subtract(x, t)


def _weighted(name: str, losses: Any, weight: Any) -> Any:
    return losses if weight is None else losses * _fitting(name, "weight", weight, losses)


def _fitting(name: str, what: str, given: Any, x: Any) -> Any:
    """`given` as an array or Tensor that broadcasts to the shape of x."""
    array = asarray(given)
    try:
        fits = np.broadcast_shapes(x.shape, array.shape) == x.shape
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(
            f"{name}: {what} {array.shape} doesn't broadcast to the input's shape {x.shape}"
        )
    return array


def _reduce(losses: Any, reduction: str, known: str = "'mean', 'sum' or 'none'") -> Any:
    if reduction == "mean":
        return losses.mean() if losses.size else losses.sum() + math.nan
    if reduction == "sum":
        return losses.sum()
    if reduction == "none":
        return losses
    raise ValueError(f"reduction is {known}, got {reduction!r}")


def bits_per_symbol(loss: Any) -> float:
    """A cross entropy in nats, as bits: loss / ln 2."""
    return float(loss) / math.log(2)
