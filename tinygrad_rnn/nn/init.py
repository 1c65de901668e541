"""Initial values in place, named as in PyTorch's `nn.init`.

Each function sets the values of a Tensor, counts the change, so that a graph that used the old
values raises, and returns the Tensor. Nothing is recorded; the dtype stays.

What they take is a leaf, also one that requires a gradient, or a part of a leaf:
``orthogonal_(lstm.weight_hh_l0[:H])`` sets one gate.

What each can raise, besides what its docstring says:
    TypeError: for what isn't a Tensor; for random numbers in a Tensor of integers.
    RuntimeError: for the result of an operation that requires a gradient, unless it is a view of a
        leaf; for read-only memory. Nothing is changed then.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec

import numpy as np

from .. import init
from ..core.errors import DtypeError, GraphError, ShapeError, did_you_mean
from ..core.graph import Node, Output
from ..core.random import generator
from ..init import calculate_gain
from ..tensor import Tensor, as_tensor

__all__ = [
    "calculate_gain",
    "constant_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

P = ParamSpec("P")


def _in_place(values_of: Callable[P, np.ndarray | None]) -> Callable[P, Tensor]:
    """From a function (tensor, ...) -> values, or None, the one that writes them to the Tensor."""
    signature = inspect.signature(values_of)
    name, known = values_of.__name__, list(signature.parameters)

    @functools.wraps(values_of)
    def initialise(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        for keyword in kwargs:
            if keyword not in known:
                hint = " Here it is 'rng'." if keyword == "generator" and "rng" in known else ""
                raise TypeError(
                    f"{name}() has no argument {keyword!r}; it takes {', '.join(known)}."
                    f"{hint or did_you_mean(keyword, known)}"
                )
        tensor = signature.bind(*args, **kwargs).arguments["tensor"]
        owner = _owner(name, tensor)
        if "rng" in known and tensor.dtype.kind != "f":
            raise DtypeError(
                f"{name}: random numbers are floating-point, the Tensor holds {tensor.dtype}"
            )
        values = values_of(*args, **kwargs)
        if values is not None:
            tensor.data[...] = values  # into the memory, which a view such as w[:n] shares
            owner.mark_changed()
        return tensor

    shown = signature.replace(return_annotation="Tensor")
    initialise.__signature__ = shown  # type: ignore[attr-defined]
    return initialise


def _owner(name: str, tensor: Any) -> Tensor:
    """The leaf whose memory `tensor` shows: itself, or what it is a view of."""
    if not isinstance(tensor, Tensor):
        hint = " Give it the Tensor itself, not its .data" if isinstance(tensor, np.ndarray) else ""
        raise TypeError(f"{name} sets the values of a Tensor, got {type(tensor).__name__}.{hint}")
    if not tensor.data.flags.writeable:
        raise GraphError(
            f"{name}: {tensor._called()} shows read-only memory, such as that of a broadcast "
            "array: set the Tensor it was made from, or a copy"
        )
    record: Any = tensor._node if tensor.requires_grad and tensor._node is not None else tensor
    while isinstance(record, (Node, Output)):
        record = (record.node if isinstance(record, Output) else record).arguments[0]
    if record is tensor:
        return tensor
    if not isinstance(record, Tensor) or (
        tensor.size and not np.may_share_memory(record.data, tensor.data)
    ):
        raise GraphError(
            f"{name}: {tensor._called()} is the result of an operation, with memory of its own, "
            "and its graph would not fit the new values. Set the leaf (the parameter) itself, or "
            "a part of it selected by slices; or h.detach()"
        )
    return record


def _is_empty(tensor: Tensor) -> bool:
    if 0 not in tensor.shape:
        return False
    warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=4)
    return True


@_in_place
def uniform_(
    tensor: Tensor,
    a: float = 0.0,
    b: float = 1.0,
    *,
    rng: np.random.Generator | int | None = None,
) -> np.ndarray:
    """Uniform on [a, b).

    Args:
        tensor: of any shape.
        a, b: the bounds.
        rng: generator or seed.

    Raises:
        RuntimeError: if a > b, or one of them isn't finite.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> w = tg.nn.init.uniform_(tg.Tensor(np.empty((3, 5))), -1.0, 1.0)
    >>> bool((abs(w.data) <= 1).all())
    True
    """
    return init.between(tensor.shape, a, b, tensor.dtype, generator(rng))


@_in_place
def normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    *,
    rng: np.random.Generator | int | None = None,
) -> np.ndarray:
    """Normal, N(mean, std²).

    Args:
        tensor: of any shape.
        mean, std: of the distribution.
        rng: generator or seed.

    Raises:
        RuntimeError: if std is negative.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> tg.nn.init.normal_(tg.Tensor(np.empty(2)), mean=3.0, std=0.0)
    Tensor([3., 3.])
    """
    return init.normal(tensor.shape, tensor.dtype, generator(rng), mean, std)


@_in_place
def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    *,
    rng: np.random.Generator | int | None = None,
) -> np.ndarray:
    """Normal, N(mean, std²), given that the value lies in [a, b].

    A UserWarning says so if the mean is more than 2 std outside [a, b].

    Args:
        tensor: of any shape.
        mean, std: of the distribution before it is cut.
        a, b: the bounds: values, not multiples of std.
        rng: generator or seed.

    Raises:
        RuntimeError: if std isn't positive and finite, the mean isn't finite, or there is no number
            from a to b.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> w = tg.nn.init.trunc_normal_(tg.Tensor(np.empty((3, 5))), std=0.1, a=-0.1, b=0.1)
    >>> bool((abs(w.data) <= 0.1).all())
    True
    """
    values = init.truncated_normal(tensor.shape, mean, std, a, b, tensor.dtype, generator(rng))
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            f"trunc_normal_: the mean {mean} is more than 2 std from [{a}, {b}], so the values "
            "crowd at the nearer bound",
            stacklevel=3,
        )
    return values


@_in_place
def constant_(tensor: Tensor, val: float) -> np.ndarray:
    """`val` everywhere.

    Args:
        tensor: of any shape.
        val: a number.

    Raises:
        TypeError: if `val` isn't a number.
        ValueError: if it is several.
        RuntimeError: if the Tensor's dtype can't hold it.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> tg.nn.init.constant_(tg.Tensor(np.empty(2)), 0.5)
    Tensor([0.5, 0.5])
    """
    value = as_tensor(val).data
    if value.ndim:
        raise ShapeError(f"constant_ takes one number, got an array of the shape {value.shape}")
    with np.errstate(all="ignore"):
        cast = value.astype(tensor.dtype)
    if not (cast == value if cast.dtype.kind != "f" else np.isfinite(cast) >= np.isfinite(value)):
        raise RuntimeError(f"constant_: {val!r} can't be held by a Tensor of {tensor.dtype}")
    return cast


@_in_place
def zeros_(tensor: Tensor) -> np.ndarray:
    """0 everywhere.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> tg.nn.init.zeros_(tg.Tensor(np.empty(2)))
    Tensor([0., 0.])
    """
    return np.zeros(tensor.shape, tensor.dtype)


@_in_place
def ones_(tensor: Tensor) -> np.ndarray:
    """1 everywhere.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> tg.nn.init.ones_(tg.Tensor(np.empty(2)))
    Tensor([1., 1.])
    """
    return np.ones(tensor.shape, tensor.dtype)


@_in_place
def eye_(tensor: Tensor) -> np.ndarray:
    """1 on the diagonal, 0 elsewhere; as a recurrent weight: Le et al. 2015, arXiv 1504.00941.

    Args:
        tensor: (rows, cols)

    Raises:
        ValueError: unless there are two axes.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> tg.nn.init.eye_(tg.Tensor(np.empty((2, 3))))
    Tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    if tensor.ndim != 2:
        raise ShapeError(
            f"Only tensors with 2 dimensions are supported by eye_, got the shape {tensor.shape}"
        )
    return np.eye(*tensor.shape, dtype=tensor.dtype)


@_in_place
def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, *, rng: np.random.Generator | int | None = None
) -> np.ndarray:
    """Uniform on [-bound, bound), bound = gain · √(6 / (fan_in + fan_out)).

    Args:
        tensor: (fan_out, fan_in), or with further axes, whose sizes multiply both.
        gain: see `calculate_gain`.
        rng: generator or seed.

    Raises:
        ValueError: for fewer than two axes.
        RuntimeError: if gain is negative.

    Source: Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward
    neural networks".

    >>> import numpy as np, tinygrad_rnn as tg
    >>> w = tg.nn.init.xavier_uniform_(tg.Tensor(np.empty((1, 5))))
    >>> bool((abs(w.data) <= 1).all())
    True
    """
    std = init.xavier_std(tensor.shape, gain)
    return init.uniform_of_std(tensor.shape, std, tensor.dtype, generator(rng))


@_in_place
def xavier_normal_(
    tensor: Tensor, gain: float = 1.0, *, rng: np.random.Generator | int | None = None
) -> np.ndarray:
    """Normal, N(0, std²), std = gain · √(2 / (fan_in + fan_out)).

    Args:
        tensor: (fan_out, fan_in), or with further axes, whose sizes multiply both.
        gain: see `calculate_gain`.
        rng: generator or seed.

    Raises:
        ValueError: for fewer than two axes.
        RuntimeError: if gain is negative.

    Source: Glorot & Bengio 2010, as for `xavier_uniform_`.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> tg.nn.init.xavier_normal_(tg.Tensor(np.empty((3, 5)))).shape
    (3, 5)
    """
    std = init.xavier_std(tensor.shape, gain)
    return init.normal(tensor.shape, tensor.dtype, generator(rng), std=std)


@_in_place
def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    *,
    rng: np.random.Generator | int | None = None,
) -> np.ndarray | None:
    """Uniform on [-bound, bound), bound = gain · √(3 / fan).

    A Tensor without elements stays as it is, with a UserWarning.

    Args:
        tensor: (fan_out, fan_in), or with further axes, whose sizes multiply both.
        a: the negative slope, for leaky_relu.
        mode: "fan_in" keeps the size of what goes forward, "fan_out" that of gradients.
        nonlinearity: that follows; it gives the gain, see `calculate_gain`.
        rng: generator or seed.

    Raises:
        ValueError: for fewer than two axes, or another mode, nonlinearity or slope.

    Source: He et al. 2015, "Delving Deep into Rectifiers".

    >>> import numpy as np, tinygrad_rnn as tg
    >>> w = tg.nn.init.kaiming_uniform_(tg.Tensor(np.empty((5, 6))), nonlinearity="relu")
    >>> bool((abs(w.data) <= 1).all())
    True
    """
    if _is_empty(tensor):
        return None
    std = init.kaiming_std(tensor.shape, mode, calculate_gain(nonlinearity, a))
    return init.uniform_of_std(tensor.shape, std, tensor.dtype, generator(rng))


@_in_place
def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    *,
    rng: np.random.Generator | int | None = None,
) -> np.ndarray | None:
    """Normal, N(0, std²), std = gain / √fan.

    A Tensor without elements stays as it is, with a UserWarning.

    Args:
        tensor, a, mode, nonlinearity, rng: as for `kaiming_uniform_`.

    Raises:
        ValueError: for fewer than two axes, or another mode, nonlinearity or slope.

    Source: He et al. 2015, "Delving Deep into Rectifiers".

    >>> import numpy as np, tinygrad_rnn as tg
    >>> tg.nn.init.kaiming_normal_(tg.Tensor(np.empty((3, 5))), mode="fan_out").shape
    (3, 5)
    """
    if _is_empty(tensor):
        return None
    std = init.kaiming_std(tensor.shape, mode, calculate_gain(nonlinearity, a))
    return init.normal(tensor.shape, tensor.dtype, generator(rng), std=std)


@_in_place
def orthogonal_(
    tensor: Tensor, gain: float = 1, *, rng: np.random.Generator | int | None = None
) -> np.ndarray:
    """gain · Q, where Q has orthonormal rows or columns (whichever are fewer).

        A = Q R,    A standard normal, the diagonal of R positive

    Args:
        tensor: (rows, cols), or (rows, ...), whose trailing axes are flattened to columns.
        gain: a factor.
        rng: generator or seed.

    Raises:
        ValueError: for fewer than two axes.

    Source: Saxe et al. 2013, "Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks", arXiv 1312.6120.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> lstm = tg.nn.LSTM(3, 2, dtype=np.float64)
    >>> for gate in np.split(lstm.weight_hh_l0, 4):
    ...     _ = tg.nn.init.orthogonal_(gate)
    >>> first = lstm.weight_hh_l0.data[:2]
    >>> np.allclose(first @ first.T, np.eye(2))
    True
    """
    return init.orthogonal(tensor.shape, tensor.dtype, generator(rng), gain)


@_in_place
def sparse_(
    tensor: Tensor,
    sparsity: float,
    std: float = 0.01,
    *,
    rng: np.random.Generator | int | None = None,
) -> np.ndarray:
    """Normal, N(0, std²), and in each column ⌈sparsity · rows⌉ zeros at random places.

    Args:
        tensor: (rows, cols)
        sparsity: the part of each column that is zero, in [0, 1].
        std: standard deviation of the others.
        rng: generator or seed.

    Raises:
        ValueError: unless there are two axes, and sparsity is in [0, 1].
        RuntimeError: if std is negative.

    Source: Martens 2010, "Deep learning via Hessian-free optimization".

    >>> import numpy as np, tinygrad_rnn as tg
    >>> w = tg.nn.init.sparse_(tg.Tensor(np.empty((10, 2))), sparsity=0.3)
    >>> (w.data == 0).sum(0).tolist()
    [3, 3]
    """
    return init.sparse(tensor.shape, sparsity, std, tensor.dtype, generator(rng))
