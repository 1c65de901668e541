"""Derivatives as functions: `grad`, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .core import engine
from .core.errors import GraphError
from .tensor import Tensor, cotangent_of


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of `outputs` with respect to `inputs`; no `.grad` is touched.

    Args:
        outputs: a Tensor or several. Several are differentiated as their sum, each weighted by its
            cotangent.
        inputs: leaves or results on the way (such as a hidden state).
        grad_outputs: the cotangents, of the outputs' shapes; ones where an output is a single
            number and this is None.
        retain_graph: keep what another pass over the graph needs (default: `create_graph`).
        create_graph: make the gradients differentiable themselves.
        allow_unused: give None for an input that the outputs don't depend on, instead of raising.

    Returns:
        A tuple with a gradient for each input, of its shape and dtype.

    Raises:
        RuntimeError: if an input isn't reached; if the graph has been released.
        ValueError: if a cotangent is missing or of another shape.

    >>> import tinygrad_rnn as tg
    >>> x = tg.Tensor(3.0, requires_grad=True)
    >>> (dy,) = tg.grad(x**3, x, create_graph=True)
    >>> (ddy,) = tg.grad(dy, x)
    >>> float(dy), float(ddy)
    (27.0, 18.0)
    """
    outs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    ins = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    weights = list(grad_outputs) if isinstance(grad_outputs, (list, tuple)) else [grad_outputs]
    if grad_outputs is None:
        weights = [None] * len(outs)
    if len(weights) != len(outs):
        raise ValueError(f"grad: {len(outs)} outputs need as many cotangents, got {len(weights)}")
    for i, x in enumerate(ins):
        if not x.requires_grad:
            raise GraphError(
                f"grad: {_input(i, x)} doesn't require a gradient (requires_grad=True)"
            )
    found = engine.gradients(
        outs,
        ins,
        [cotangent_of(o, w) for o, w in zip(outs, weights, strict=True)],
        create_graph if retain_graph is None else retain_graph,
        create_graph,
    )
    for i, (x, g) in enumerate(zip(ins, found, strict=True)):
        if g is None and not allow_unused:
            raise GraphError(
                f"grad: the outputs don't depend on {_input(i, x)}; allow_unused=True gives None"
            )
    return tuple(found)


def _input(i: int, x: Tensor) -> str:
    return f"input {i}" + (f" ({x.name!r})" if x.name else "")
