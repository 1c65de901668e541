"""Layers without recurrence."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from .. import init, ops
from ..core.random import generator
from ..module import Module, Parameter, accepted_arguments, floating
from ..ops.regularisation import check_probability
from ..rnn import Recurrent
from ..tensor import Tensor, as_tensor
from . import functional


class Linear(Module):
    """out = x Wᵀ + b

    Args:
        in_features: I; the input is (..., I).
        out_features: O; the output is (..., O).
        bias: whether there is b.
        dtype: of the parameters.
        rng: generator or seed for the initial values, U(-1/√I, 1/√I).

    Attributes:
        weight: (O, I)
        bias: (O,) or None

    >>> import numpy as np, tinygrad_rnn as tg
    >>> tg.nn.Linear(3, 2)(np.zeros((5, 3))).shape
    (5, 2)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: Any = np.float32,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        for name, size in (("in_features", in_features), ("out_features", out_features)):
            if size < 0:
                raise ValueError(f"{name} must not be negative, got {size}")
        rng = generator(rng)
        bound = 1 / math.sqrt(in_features) if in_features else 0.0
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(init.uniform((out_features, in_features), bound, dtype, rng))
        self.bias = Parameter(init.uniform((out_features,), bound, dtype, rng)) if bias else None

    def forward(self, x: Any) -> Tensor:
        x = floating(x, self, self.dtype)
        return ops.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Embedding(Module):
    """A vector for each of V symbols: out = weight[x]

    Args:
        num_embeddings: V; the input holds integers 0 … V-1 in any shape (...).
        embedding_dim: E; the output is (..., E).
        padding_idx: a symbol whose vector is zero at first and gets no gradient.
        dtype: of the weight.
        rng: generator or seed for the initial values, N(0, 1).

    Attributes:
        weight: (V, E)

    >>> import tinygrad_rnn as tg
    >>> tg.nn.Embedding(10, 3)([[1, 2], [4, 5]]).shape
    (2, 2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        dtype: Any = np.float32,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(f"padding_idx must be within num_embeddings, got {padding_idx}")
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        weight = init.normal((num_embeddings, embedding_dim), dtype, generator(rng))
        if padding_idx is not None:
            weight[padding_idx] = 0
        self.weight = Parameter(weight)

    def forward(self, x: Any) -> Tensor:
        return functional.embedding(x, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


class Dropout(Module):
    """While training, each element is zero with probability p, else divided by 1 - p.

    Args:
        p: the share to drop, 0 … 1.
        rng: generator or seed for the masks.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.Dropout(0.5).eval()(tg.Tensor([1.0, 2.0]))
    Tensor([1., 2.])
    """

    def __init__(self, p: float = 0.5, *, rng: np.random.Generator | int | None = None) -> None:
        check_probability(p)
        self.p = p
        self._rng = None if rng is None else generator(rng)

    def forward(self, x: Any) -> Any:
        return ops.dropout(x, self.p, self._rng) if self.training else x

    def extra_repr(self) -> str:
        return f"p={self.p}"


class _Norm(Module):
    """What LayerNorm and RMSNorm share: the shape of the last axes, and their weights."""

    def __init__(self, normalized_shape: Any, eps: Any, affine: bool, bias: bool, dtype: Any):
        shape = np.atleast_1d(np.asarray(normalized_shape, int)).tolist()
        if not shape or any(n < 1 for n in shape):
            raise ValueError(f"normalized_shape needs positive sizes, got {normalized_shape!r}")
        self.normalized_shape = tuple(shape)
        self.eps = eps
        self.elementwise_affine = affine
        self.weight = Parameter(np.ones(shape, dtype)) if affine else None
        self.bias = Parameter(np.zeros(shape, dtype)) if affine and bias else None

    def _input(self, x: Any) -> Tensor:
        x = as_tensor(x)
        dtype = x.dtype if self.weight is None and x.dtype.kind == "f" else self.dtype
        return floating(x, self, dtype)


class LayerNorm(_Norm):
    """out = (x - mean x) / √(var x + eps) · weight + bias, over the last axes

    Args:
        normalized_shape: of the last axes; the input is (..., *normalized_shape).
        eps: keeps the root from 0.
        elementwise_affine: whether there are weight and bias.
        bias: whether there is a bias.
        dtype: of the parameters.

    Attributes:
        weight: of the shape `normalized_shape`, at first ones; or None
        bias: of the shape `normalized_shape`, at first zeros; or None

    >>> import tinygrad_rnn as tg
    >>> tg.nn.LayerNorm(2, eps=0.0)(tg.Tensor([[1.0, 3.0]])).tolist()
    [[-1.0, 1.0]]
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(normalized_shape, eps, elementwise_affine, bias, dtype)

    def forward(self, x: Any) -> Tensor:
        return functional.layer_norm(
            self._input(x), self.normalized_shape, self.weight, self.bias, self.eps
        )

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


class RMSNorm(_Norm):
    """out = x / √(mean x² + eps) · weight, over the last axes

    Args:
        normalized_shape: of the last axes; the input is (..., *normalized_shape).
        eps: keeps the root from 0; that of the dtype by default.
        elementwise_affine: whether there is a weight.
        dtype: of the weight.

    Attributes:
        weight: of the shape `normalized_shape`, at first ones; or None

    >>> import tinygrad_rnn as tg
    >>> tg.nn.RMSNorm(2)(tg.Tensor([[1.0, 7.0]])).numpy().round(4).tolist()
    [[0.20000000298023224, 1.399999976158142]]
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        *,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(normalized_shape, eps, elementwise_affine, False, dtype)

    def forward(self, x: Any) -> Tensor:
        return functional.rms_norm(self._input(x), self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class Sequential(Module):
    """Modules (or functions) one after the other; a recurrent layer hands on its output only.

    Called as ``model(x, lengths=None, mask=None)``: which steps of a sequence are real is told to
    every layer that takes it, recurrent ones and a Sequential among them; see `tg.rnn.Recurrent`.

    Raises:
        TypeError: if lengths or mask are given and no layer takes them.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> model = tg.nn.Sequential(tg.nn.Embedding(9, 4), tg.nn.LSTM(4, 8), tg.nn.Linear(8, 2))
    >>> model(np.zeros((5, 3), int), lengths=[5, 2, 4]).shape
    (5, 3, 2)
    """

    def __init__(self, *layers: Any) -> None:
        for i, layer in enumerate(layers):
            if not callable(layer):
                raise TypeError(f"Sequential: layer {i} isn't callable: {layer!r:.60}")
            setattr(self, str(i), layer)
        self._length = len(layers)

    def forward(self, x: Any, *, lengths: Any = None, mask: Any = None) -> Any:
        given = {"lengths": lengths, "mask": mask}
        given = {name: value for name, value in given.items() if value is not None}
        if given and not any(_takes(layer, given) for layer in self):
            raise TypeError(f"Sequential: no layer takes {' and '.join(given)}: {self!r}")
        for layer in self:
            x = layer(x, **given) if _takes(layer, given) else layer(x)
            if isinstance(layer, Recurrent):
                x = x[0]
        return x

    def __iter__(self) -> Iterator[Any]:
        return (getattr(self, str(i)) for i in range(self._length))

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return Sequential(*list(self)[i])
        if not -self._length <= i < self._length:
            raise IndexError(f"Sequential has {self._length} layers, no layer {i}")
        return getattr(self, str(i % self._length))


def _takes(layer: Any, names: Iterable[str]) -> bool:
    """Whether a layer is a module with arguments of all these names."""
    accepted = accepted_arguments(layer.forward) if isinstance(layer, Module) else None
    return accepted is not None and all(name in accepted for name in names)
