"""Which input steps are still felt in which output steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core import engine
from ..core.errors import DtypeError, ShapeError
from ..core.primitive import wrap
from ..module import Module
from ..panels import label_steps, new_figure
from ..restoring import undisturbed
from ..rnn.layers import Recurrent
from ..rnn.trace_plot import check_labels
from ..tensor import Tensor, as_tensor
from .drawn import Drawn

_COPIES = 128  # features at once
_DECADES = 6  # of a logarithmic colour scale, at most
_SIDE, _LARGEST_SIDE = 5.4, 14.0  # inches
_MOST_TICKS = 24


def connectivity(
    layer: Callable[..., Any],
    x: Any,
    *,
    sequence: int = 0,
    batch_first: bool | None = None,
    labels: Sequence[str] | None = None,
    log: bool = True,
) -> Drawn:
    """The input–output connectivity ‖∂y_t/∂x_s‖ as a map: output steps down, input steps across.

    It says how much of what was read at step s is still felt at step t, whatever the loss. A layer
    that only reads forward gives a triangle, s ≤ t; a bidirectional one the full square.

    The norms are Frobenius norms, (Σ_ij (∂y_t[i] / ∂x_s[j])²)^½, and exact: the sequence is run as
    a batch of copies, one for each of the F features of the output. The cotangent of output step t
    is the identity, feature i in copy i, so one backward pass gives all of ∂y_t/∂x_s, for every s.
    It takes T passes (times F / 128, for an output of more features). A module runs in eval mode,
    and is as before afterwards.

    Args:
        layer: a recurrent layer, a model, or a function of the sequence alone, that gives an output
            at every step (or a tuple that begins with it), laid out as the input. Sequences of a
            batch mustn't influence each other.
        x: the sequence, (T, I); or a batch, (T, N, I), or (N, T, I) with batch_first. Floats: for a
            model of symbols, give ``embedding(x)`` and what comes after it. For x (T, I), anything
            but a recurrent layer is called with just that, and takes T·F passes.
        sequence: which one of the batch.
        batch_first: how x and the output are laid out; if None, as the layer's attribute says, and
            time first without one.
        labels: a text for each step, such as the characters read.
        log: whether the colour scale is logarithmic, over six decades at most.

    Returns:
        The figure, and "connectivity", an array (T, T): row t, column s.

    Raises:
        ImportError: without matplotlib.
        TypeError: if x isn't of floats, or the layer can't be called.
        ValueError: if a shape doesn't fit.

    Source: Madsen 2019, "Visualizing memorization in RNNs" (Distill).

    >>> import numpy as np, tinygrad_rnn as tg
    >>> drawn = tg.plots.connectivity(tg.nn.GRU(3, 4), np.ones((6, 1, 3)))
    >>> drawn.arrays["connectivity"].shape
    (6, 6)
    """
    norms = connectivity_norms(layer, x, sequence=sequence, batch_first=batch_first)
    check_labels(labels, norms.shape[1], "connectivity")
    side = _SIDE if labels is None else min(max(_SIDE, 0.17 * len(labels)), _LARGEST_SIDE)
    title = f"Input–output connectivity: {_called(layer)}"
    made = new_figure((side + 1.2, side), title, "connectivity")
    panel = made.subplots()
    scale = _scale(norms, log)
    image = panel.imshow(_shown(norms, log), cmap="viridis", norm=scale)
    below = "min" if log and (norms[norms > 0] < scale.vmin).any() else "neither"
    made.colorbar(image, ax=panel, label="‖∂y_t/∂x_s‖ (Frobenius norm)", extend=below)
    most = _MOST_TICKS if labels is None else int(side / 0.15)
    for axis, steps in ((panel.xaxis, norms.shape[1]), (panel.yaxis, norms.shape[0])):
        label_steps(axis, 0, steps, labels if steps == norms.shape[1] else None, most=most)
    panel.set_xlabel("input step s")
    panel.set_ylabel("output step t")
    return Drawn(made, {"connectivity": norms})


def connectivity_norms(
    layer: Callable[..., Any], x: Any, *, sequence: int = 0, batch_first: bool | None = None
) -> np.ndarray:
    """(T, T): ‖∂y_t/∂x_s‖ in row t and column s; see `connectivity`."""
    if not callable(layer):
        raise TypeError(
            f"connectivity takes a layer or a function, got {type(layer).__name__}: "
            "connectivity(lstm, x)"
        )
    x = as_tensor(x)
    if x.dtype.kind != "f":
        raise DtypeError(
            f"connectivity: x must hold floating-point numbers, got {x.dtype}: symbols have no "
            "derivative. Give embedding(x), and the part of the model that comes after the "
            "embedding"
        )
    if x.ndim not in (2, 3):
        raise ShapeError(
            f"connectivity: x must be (time, features) or a batch of such, got the shape {x.shape}"
        )
    if batch_first is None:
        batch_first = bool(getattr(layer, "batch_first", False))
    one = _one_sequence(x.data, sequence, batch_first)
    copied = x.ndim == 3 or isinstance(layer, Recurrent)
    with undisturbed(layer, recording=True):
        squares = _with_copies(layer, one, batch_first) if copied else _row_by_row(layer, one)
    return np.sqrt(squares)


def _one_sequence(x: np.ndarray, sequence: int, batch_first: bool) -> np.ndarray:
    """(T, I)"""
    if x.ndim == 2:
        return x
    batch = 0 if batch_first else 1
    if not 0 <= sequence < x.shape[batch]:
        raise ValueError(
            f"connectivity: there is no sequence {sequence} in a batch of {x.shape[batch]}"
        )
    return x[sequence] if batch_first else x[:, sequence]


def _with_copies(layer: Callable[..., Any], one: np.ndarray, batch_first: bool) -> np.ndarray:
    """(T, T): the squared norms, by one pass for each output step and block of features."""
    batch, time = (0, 1) if batch_first else (1, 0)
    alone = np.expand_dims(one, batch)
    output = _run_batch(layer, alone, batch_first)[1]
    features = output.shape[-1]
    squares = np.zeros((output.shape[time], len(one)))
    for start in range(0, features, _COPIES):
        copies = min(_COPIES, features - start)
        leaf, output = _run_batch(layer, np.repeat(alone, copies, batch), batch_first)
        for t in range(len(squares)):
            seed = np.zeros(output.shape, output.dtype)
            np.moveaxis(seed, time, 0)[t, range(copies), range(start, start + copies)] = 1
            squares[t] += (_gradient(output, leaf, seed) ** 2).sum(axis=(batch, 2))
    return squares


def _run_batch(
    layer: Callable[..., Any], x: np.ndarray, batch_first: bool
) -> tuple[Tensor, Tensor]:
    """As `_run`, of an output for every sequence and step."""
    leaf, output = _run(layer, x)
    batch = 0 if batch_first else 1
    if output.ndim != 3 or output.shape[batch] != x.shape[batch]:
        layout = "(batch, time, features)" if batch_first else "(time, batch, features)"
        raise ShapeError(
            f"connectivity: for x of shape {x.shape} the output has the shape {output.shape}; it "
            f"must be {layout}, with an output for every step"
        )
    return leaf, output


def _row_by_row(layer: Callable[..., Any], one: np.ndarray) -> np.ndarray:
    """(T, T): the squared norms, by one pass for each element of the output, (T, F)."""
    leaf, output = _run(layer, one)
    if output.ndim != 2:
        raise ShapeError(
            f"connectivity: for x (time, features) the output must be so too, got {output.shape}"
        )
    squares = np.zeros((len(output), len(one)))
    for t, feature in np.ndindex(*output.shape):
        seed = np.zeros(output.shape, output.dtype)
        seed[t, feature] = 1
        g = _gradient(output, leaf, seed)
        squares[t] += (g * g).sum(axis=1)
    return squares


def _run(layer: Callable[..., Any], x: np.ndarray) -> tuple[Tensor, Tensor]:
    """The input as a leaf, and the output."""
    leaf: Tensor = wrap(np.array(x))
    leaf.requires_grad = True
    output = layer(leaf)
    output = output[0] if isinstance(output, tuple) else output
    if not isinstance(output, Tensor) or not output.requires_grad:
        raise TypeError(
            f"connectivity: {_called(layer)} gave {type(output).__name__}, nothing that depends on "
            "x: it must return a Tensor computed from its argument, or a tuple that begins with one"
        )
    return leaf, output


def _gradient(output: Tensor, leaf: Tensor, seed: np.ndarray) -> np.ndarray:
    (g,) = engine.gradients([output], [leaf], [wrap(seed)], retain_graph=True)
    return np.zeros(leaf.shape) if g is None else g.data.astype(np.float64)


def _shown(norms: np.ndarray, log: bool) -> np.ndarray:
    """What is coloured: nothing after the output step, if nothing there has an influence."""
    shown = np.where(((norms > 0) | (not log)) & np.isfinite(norms), norms, np.nan)
    later = np.triu(np.ones(norms.shape, bool), 1)
    return np.where(later, np.nan, shown) if not norms[later].any() else shown


def _scale(norms: np.ndarray, log: bool) -> Any:
    from matplotlib.colors import LogNorm, Normalize

    known = norms[np.isfinite(norms) & (norms > 0)]
    largest = float(known.max(initial=0))
    if not log or not largest:
        return Normalize(0, largest or 1)
    least = max(float(known.min()), largest * 10.0**-_DECADES)
    return LogNorm(least, largest if least < largest else 10 * largest)


def _called(layer: Any) -> str:
    if isinstance(layer, Module):
        return type(layer).__name__ + (f"({layer.extra_repr()})" if layer.extra_repr() else "")
    return str(getattr(layer, "__name__", type(layer).__name__))
