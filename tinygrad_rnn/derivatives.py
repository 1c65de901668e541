"""Derivatives as functions: `grad`, and what follows from it.

`vjp`, `jvp`, `jacobian`, `hessian` and `value_and_grad` take a function and its inputs together.
The inputs are a Tensor, ``func(x)``; a tuple, ``func(*inputs)``; or a dict, ``func(inputs)``. The
result has their structure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import ops
from .core import engine
from .core.context import enable_grad
from .core.errors import GraphError, ShapeError
from .core.primitive import wrap
from .tensor import Tensor, as_tensor, cotangent_of


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


def vjp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False
) -> tuple[Any, Any]:
    """The function's result, and vᵀJ: the gradients of Σ v · func(inputs).

    Args:
        func: gives a Tensor or a tuple of Tensors.
        inputs: a Tensor, a tuple or a dict of Tensors or ndarrays.
        v: the cotangent, of the result's structure and shapes; may be left out for a single number.
        create_graph: make the results differentiable with respect to `inputs`.

    Returns:
        The result, and gradients in the structure of `inputs`, zeros where nothing depends on one.

    >>> import tinygrad_rnn as tg
    >>> y, g = tg.vjp(lambda x: x * x, tg.Tensor([1.0, 2.0]), [1.0, 10.0])
    >>> g
    Tensor([ 2., 40.])
    """
    call = _Call.of(func, inputs, create_graph)
    outputs = call.outputs()
    cotangents = list(v) if call.is_tuple and v is not None else [v] * len(outputs)
    if len(cotangents) != len(outputs):
        raise ValueError(f"vjp: {len(outputs)} outputs need as many cotangents: {len(cotangents)}")
    return call.result(), call.restored(_gradients(outputs, call.leaves, cotangents, create_graph))


def jvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False
) -> tuple[Any, Any]:
    """The function's result, and J v: how it changes when the inputs move along `v`.

    It is computed with two backward passes: vᵀJ is linear in the cotangent, and its derivative
    along `v` is J v.

    Args:
        func: gives a Tensor or a tuple of Tensors.
        inputs: a Tensor, a tuple or a dict of Tensors or ndarrays.
        v: the direction, of the structure and shapes of `inputs`; may be left out for one number.
        create_graph: make the results differentiable with respect to `inputs`.

    >>> import tinygrad_rnn as tg
    >>> y, change = tg.jvp(lambda x: x * x, tg.Tensor([1.0, 2.0]), [1.0, 10.0])
    >>> change
    Tensor([ 2., 40.])
    """
    call = _Call.of(func, inputs, create_graph)
    outputs = call.outputs()
    directions = _directions(call, v)
    weights = [Tensor(np.zeros(o.shape), dtype=o.dtype, requires_grad=True) for o in outputs]
    pulled = _gradients(outputs, call.leaves, weights, True)
    changes = _gradients(pulled, weights, directions, create_graph)
    return call.result(), tuple(changes) if call.is_tuple else changes[0]


def jacobian(func: Callable[..., Any], inputs: Any, create_graph: bool = False) -> Any:
    """All partial derivatives: (*output, *input) for the shapes of an output and an input.

    Args:
        func: gives a Tensor or a tuple of Tensors.
        inputs: a Tensor, a tuple or a dict of Tensors or ndarrays.
        create_graph: make the result differentiable with respect to `inputs`.

    Returns:
        An array for each input, in the structure of `inputs`; a tuple of such if `func` gives one.

    >>> import tinygrad_rnn as tg
    >>> tg.jacobian(lambda x: x * x, tg.Tensor([1.0, 2.0]))
    Tensor([[2., 0.],
            [0., 4.]])
    """
    call = _Call.of(func, inputs, create_graph)
    blocks = [call.restored(_rows(o, call.leaves, create_graph)) for o in call.outputs()]
    return tuple(blocks) if call.is_tuple else blocks[0]


def hessian(func: Callable[..., Any], inputs: Any, create_graph: bool = False) -> Any:
    """All second derivatives of a function that gives a single number.

    Args:
        func: gives a Tensor of one element.
        inputs: a Tensor, a tuple or a dict of Tensors or ndarrays.
        create_graph: make the result differentiable with respect to `inputs`.

    Returns:
        For inputs i and j, an array (*shape of i, *shape of j), in their structure twice.

    Raises:
        ValueError: if the function gives more than one number.

    >>> import tinygrad_rnn as tg
    >>> tg.hessian(lambda x: (x**3).sum(), tg.Tensor([1.0, 2.0]))
    Tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    call = _Call.of(func, inputs, create_graph)
    outputs = call.outputs()
    if len(outputs) != 1 or outputs[0].size != 1:
        shapes = ", ".join(str(o.shape) for o in outputs)
        raise ShapeError(f"hessian: the function must give a single number, got {shapes}")
    firsts = _gradients(outputs, call.leaves, [None], True)
    return call.restored([call.restored(_rows(g, call.leaves, create_graph)) for g in firsts])


def value_and_grad(
    func: Callable[..., Any], inputs: Any, create_graph: bool = False
) -> tuple[Any, Any]:
    """The function's value, a single number, and its gradients in the structure of `inputs`.

    >>> import tinygrad_rnn as tg
    >>> weights = {"w": tg.Tensor([1.0, 2.0]), "b": tg.Tensor(0.5)}
    >>> loss, grads = tg.value_and_grad(lambda p: (p["w"] * p["w"]).sum() + p["b"], weights)
    >>> float(loss), grads["w"].tolist(), grads["b"].tolist()
    (5.5, [2.0, 4.0], 1.0)
    """
    return vjp(func, inputs, None, create_graph)


class _Call(NamedTuple):
    """A function called on leaves made from its inputs."""

    inputs: Any
    leaves: list[Tensor]
    value: Any
    create_graph: bool

    @classmethod
    def of(cls, func: Callable[..., Any], inputs: Any, create_graph: bool) -> _Call:
        leaves = [_leaf(x, create_graph) for x in _parts(inputs)]
        with enable_grad():
            arguments = _restored(inputs, leaves)
            value = func(*arguments) if isinstance(inputs, (tuple, list)) else func(arguments)
        return cls(inputs, leaves, value, create_graph)

    @property
    def is_tuple(self) -> bool:
        """Whether the function gave several results."""
        return isinstance(self.value, (tuple, list))

    def outputs(self) -> list[Tensor]:
        outputs = list(self.value) if self.is_tuple else [self.value]
        for output in outputs:
            if not isinstance(output, Tensor):
                raise TypeError(
                    f"the function must give a Tensor or a tuple of Tensors, got {type(output)}"
                )
        return outputs

    def result(self) -> Any:
        if self.create_graph:
            return self.value
        outputs = [o.detach() for o in self.outputs()]
        return tuple(outputs) if self.is_tuple else outputs[0]

    def restored(self, parts: Sequence[Any]) -> Any:
        return _restored(self.inputs, parts)


def _parts(inputs: Any) -> list[Any]:
    if isinstance(inputs, dict):
        return list(inputs.values())
    return list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]


def _restored(inputs: Any, parts: Sequence[Any]) -> Any:
    if isinstance(inputs, dict):
        return dict(zip(inputs, parts, strict=True))
    return tuple(parts) if isinstance(inputs, (tuple, list)) else parts[0]


def _leaf(x: Any, create_graph: bool) -> Tensor:
    """What the function is called on: of the values of `x`, and in its graph under create_graph."""
    x = as_tensor(x)
    if create_graph and x.requires_grad:
        with enable_grad():
            return ops.reshape(x, x.shape)
    leaf: Tensor = wrap(x.data)
    leaf.requires_grad = True
    return leaf


def _or_zeros(g: Tensor | None, like: Tensor) -> Tensor:
    return wrap(np.zeros(like.shape, like.dtype)) if g is None else g


def _gradients(
    outputs: Sequence[Tensor],
    leaves: Sequence[Tensor],
    cotangents: Sequence[Any],
    create_graph: bool,
) -> list[Tensor]:
    """The gradients of Σ cotangent · output; zeros where nothing depends on a leaf."""
    pairs = zip(outputs, cotangents, strict=True)
    moving = [(o, cotangent_of(o, v)) for o, v in pairs if o.requires_grad]
    found: Sequence[Tensor | None] = [None] * len(leaves)
    if moving:
        found = engine.gradients(
            [o for o, _ in moving], leaves, [v for _, v in moving], True, create_graph
        )
    return [_or_zeros(g, x) for g, x in zip(found, leaves, strict=True)]


def _rows(output: Tensor, leaves: Sequence[Tensor], create_graph: bool) -> list[Tensor]:
    """The derivatives of every element of `output`: for each leaf, (*output, *leaf)."""
    rows = []
    for i in range(output.size):
        one = np.zeros(output.size, output.dtype)
        one[i] = 1
        rows.append(_gradients([output], leaves, [one.reshape(output.shape)], create_graph))
    blocks = []
    for k, x in enumerate(leaves):
        parts = [row[k] for row in rows]
        whole = ops.stack(parts) if parts else _or_zeros(None, x)
        blocks.append(ops.reshape(whole, (*output.shape, *x.shape)))
    return blocks


def _directions(call: _Call, v: Any) -> list[Tensor]:
    """The directions of a jvp, checked."""
    if v is None:
        given: list[Any] = [None] * len(call.leaves)
    elif isinstance(call.inputs, (dict, tuple, list)):
        given = _parts(v)
    else:
        given = [v]
    if len(given) != len(call.leaves):
        raise ValueError(
            f"jvp: {len(call.leaves)} inputs need as many directions, got {len(given)}"
        )
    found = []
    for x, d in zip(call.leaves, given, strict=True):
        if d is None and x.size != 1:
            raise ShapeError(f"jvp: an input of shape {x.shape} needs a direction v of that shape")
        direction = as_tensor(np.ones(x.shape) if d is None else d, x.dtype)
        if direction.shape != x.shape:
            raise ShapeError(
                f"jvp: a direction of shape {direction.shape} for an input of {x.shape}"
            )
        found.append(direction)
    return found
