"""Rearranging, joining and taking apart."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.errors import ShapeError, UnsupportedOperation
from ..core.primitive import Array, composite, is_tensor, primitive
from .elementwise import astype
from .indexing import getitem, scatter

__all__ = [
    "append",
    "array_split",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "broadcast_arrays",
    "broadcast_to",
    "column_stack",
    "concatenate",
    "copy",
    "delete",
    "diag",
    "diagflat",
    "diagonal",
    "dsplit",
    "dstack",
    "empty_like",
    "expand_dims",
    "flip",
    "fliplr",
    "flipud",
    "full_like",
    "hsplit",
    "hstack",
    "insert",
    "matrix_transpose",
    "meshgrid",
    "moveaxis",
    "ones_like",
    "pad",
    "ravel",
    "repeat",
    "reshape",
    "roll",
    "rollaxis",
    "rot90",
    "split",
    "squeeze",
    "stack",
    "swapaxes",
    "tile",
    "transpose",
    "tril",
    "triu",
    "unstack",
    "vsplit",
    "vstack",
    "zeros_like",
]


def _reshape_hint(a: Any, shape: Any) -> str:
    return f"{np.size(a)} elements don't fill the shape {shape}"


@primitive(view=True, hint=_reshape_hint)
def _reshape(a: Array, shape: int | tuple[int, ...]) -> Array:
    return np.reshape(a, shape)


_reshape.vjp(a=lambda g, a_shape: g.reshape(a_shape))


@composite(np.reshape)
def reshape(a: Any, shape: int | tuple[int, ...], order: str = "C") -> Any:
    """out = a in another shape, elements in the same (C) order; -1 stands for what is left"""
    if order != "C":
        raise UnsupportedOperation(
            f"np.reshape on Tensors knows order='C' only, got order={order!r}; for 'F' transpose "
            "before and after: a.T.reshape(shape[::-1]).T"
        )
    return _reshape(a, shape)


@primitive(numpy=(np.transpose, np.permute_dims), view=True)
def transpose(a: Array, axes: tuple[int, ...] | None = None) -> Array:
    """out = a with its axes in the order `axes`, or reversed"""
    return np.transpose(a, axes)


transpose.vjp(
    a=lambda g, axes: np.transpose(
        g, None if axes is None else tuple(int(i) for i in np.argsort([n % g.ndim for n in axes]))
    )
)


@primitive(numpy=np.swapaxes, view=True)
def swapaxes(a: Array, axis1: int, axis2: int) -> Array:
    """out = a with two axes exchanged"""
    return np.swapaxes(a, axis1, axis2)


swapaxes.vjp(a=lambda g, axis1, axis2: np.swapaxes(g, axis1, axis2))


@primitive(numpy=np.moveaxis, view=True)
def moveaxis(a: Array, source: Any, destination: Any) -> Array:
    """out = a with the axes `source` moved to `destination`, the others in their order"""
    return np.moveaxis(a, source, destination)


moveaxis.vjp(a=lambda g, source, destination: np.moveaxis(g, destination, source))


@composite(np.rollaxis)
def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    """out = a with `axis` moved to stand before `start` (see `moveaxis`)"""
    n = np.ndim(a)
    if not (-n <= axis < n and -n <= start <= n):
        raise ShapeError(
            f"rollaxis: axis {axis} must be one of {n} axes, and start {start} one of them or {n}"
        )
    axis, start = axis % n, start + n if start < 0 else start
    return moveaxis(a, axis, start - 1 if axis < start else start)


@composite(np.matrix_transpose, np.linalg.matrix_transpose)
def matrix_transpose(x: Any) -> Any:
    """out = x with its last two axes exchanged"""
    if np.ndim(x) < 2:
        raise ShapeError(f"matrix_transpose: at least two axes are needed, got {np.shape(x)}")
    return swapaxes(x, -1, -2)


@primitive(numpy=np.broadcast_to, view=True)
def broadcast_to(array: Array, shape: tuple[int, ...]) -> Array:
    """out = array, repeated to `shape` without copying"""
    return np.broadcast_to(array, shape)


broadcast_to.vjp(array=lambda g: g)


@composite(np.broadcast_arrays)
def broadcast_arrays(*args: Any) -> tuple[Any, ...]:
    """out = the arrays, each repeated without copying to the shape that they broadcast to"""
    shapes = [np.shape(a) for a in args]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError as error:
        raise ShapeError(
            f"broadcast_arrays: {' and '.join(map(str, shapes))} don't broadcast; axes are aligned "
            "from the right, and must be equal or 1"
        ) from error
    return tuple([broadcast_to(a, shape) for a in args])


def _each(function: Callable[[Any], Any], arrays: Sequence[Any]) -> Any:
    """`function` of the only array, or a tuple of that of several."""
    found = [function(a if is_tensor(a) else np.asarray(a)) for a in arrays]
    return found[0] if len(found) == 1 else tuple(found)


def _at_least_2d(a: Any) -> Any:
    return a if a.ndim >= 2 else reshape(a, (1, a.size))


def _at_least_3d(a: Any) -> Any:
    if a.ndim >= 3:
        return a
    return reshape(a, (*a.shape, 1) if a.ndim == 2 else (1, a.size, 1))


@composite(np.atleast_1d)
def atleast_1d(*arys: Any) -> Any:
    """out = the array, a 0-d one with an axis of size 1; of several, a tuple"""
    return _each(lambda a: a if a.ndim else reshape(a, (1,)), arys)


@composite(np.atleast_2d)
def atleast_2d(*arys: Any) -> Any:
    """out = the array with at least two axes, new ones of size 1 in front; of several, a tuple"""
    return _each(_at_least_2d, arys)


@composite(np.atleast_3d)
def atleast_3d(*arys: Any) -> Any:
    """out = the array with at least three axes: (n,) as (1, n, 1), (m, n) as (m, n, 1)"""
    return _each(_at_least_3d, arys)


@primitive(numpy=np.expand_dims, view=True)
def expand_dims(a: Array, axis: int | tuple[int, ...]) -> Array:
    """out = a with new axes of size 1 at `axis`"""
    return np.expand_dims(a, axis)


expand_dims.vjp(a=lambda g, a_shape: g.reshape(a_shape))


@primitive(numpy=np.squeeze, view=True)
def squeeze(a: Array, axis: int | tuple[int, ...] | None = None) -> Array:
    """out = a without its axes of size 1 (those of `axis`)"""
    return np.squeeze(a, axis)


squeeze.vjp(a=lambda g, a_shape: g.reshape(a_shape))


@primitive(numpy=np.ravel, view=True)
def ravel(a: Array) -> Array:
    """out = a as one axis"""
    return np.ravel(a)


ravel.vjp(a=lambda g, a_shape: g.reshape(a_shape))


@primitive(numpy=np.copy)
def copy(a: Array) -> Array:
    """out = a, in memory of its own"""
    return np.array(a)


copy.vjp(a=lambda g: g)


@primitive(numpy=getattr(np, "unstack", ()), view=True)  # NumPy has it since 2.1
def unstack(x: Array, axis: int = 0) -> Array:
    """out[t] = the t-th slice of x along `axis`: one node with as many results as slices"""
    return tuple(np.moveaxis(np.asarray(x), axis, 0))


def _unstack_vjp(g: Any, x_shape: Any, x_dtype: Any, axis: int) -> Any:
    shape = list(x_shape)
    del shape[axis]
    zeros = np.zeros(shape, x_dtype)
    return stack([zeros if part is None else part for part in g], axis)


unstack.vjp(x=_unstack_vjp)


@primitive(hint=lambda axis, *arrays: _stack_hint(arrays))
def _stack(axis: int, *arrays: Array) -> Array:
    return np.stack(arrays, axis)


_stack.vjp(arrays=lambda g, axis: unstack(g, axis))


def _stack_hint(arrays: Sequence[Any]) -> str:
    shapes = sorted({np.shape(a) for a in arrays})
    return f"all arrays must have one shape, got {' and '.join(map(str, shapes))}"


@composite(np.stack)
def stack(arrays: Sequence[Any], axis: int = 0) -> Any:
    """out = arrays of one shape, side by side along a new axis

    >>> import tinygrad_rnn as tg
    >>> tg.stack([tg.Tensor([1.0, 2.0]), tg.Tensor([3.0, 4.0])], axis=1)
    Tensor([[1., 3.],
            [2., 4.]])
    """
    return _stack(axis, *arrays)


@primitive(view=True)
def _split(ary: Array, bounds: tuple[int, ...], axis: int) -> Array:
    ary = np.asarray(ary)
    before = (slice(None),) * (axis % ary.ndim)
    ends = (*bounds, ary.shape[axis])
    indices = [(*before, slice(a, b)) for a, b in zip((0, *bounds), ends, strict=True)]
    return tuple([ary[index] for index in indices])


def _split_vjp(g: Any, ary_shape: Any, ary_dtype: Any, bounds: Any, axis: int) -> Any:
    edges = [0, *bounds, ary_shape[axis]]
    shape = list(ary_shape)
    parts = []
    for part, start, end in zip(g, edges, edges[1:], strict=False):
        shape[axis] = end - start
        parts.append(np.zeros(shape, ary_dtype) if part is None else part)
    return concatenate(parts, axis)


_split.vjp(ary=_split_vjp)


@composite(np.split)
def split(ary: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Any]:
    """out = ary cut along `axis` into equal sections (an integer) or before the given indices

    >>> import tinygrad_rnn as tg
    >>> tg.split(tg.Tensor([1.0, 2.0, 3.0, 4.0]), 2)
    [Tensor([1., 2.]), Tensor([3., 4.])]
    """
    shape = np.shape(ary)
    if not -len(shape) <= axis < len(shape):
        raise ShapeError(f"split: no axis {axis} in the shape {shape}")
    length = shape[axis]
    if isinstance(indices_or_sections, (int, np.integer)):
        sections = int(indices_or_sections)
        if sections < 1 or length % sections:
            raise ShapeError(f"split: {length} elements on axis {axis} don't divide by {sections}")
        step = length // sections
        return list(_split(ary, tuple(range(step, length, step)), axis))
    bounds = tuple(int(i) for i in indices_or_sections)
    edges = [0, *bounds, length]
    if sorted(edges) == edges:
        return list(_split(ary, bounds, axis))
    # Indices that go back or beyond the end: sections may overlap, so each is a slice of its own.
    before = (slice(None),) * (axis % len(shape))
    indices = [(*before, slice(a, b)) for a, b in itertools.pairwise(edges)]
    return [ary[index] for index in indices]


def _concatenate_hint(axis: int, bounds: Any, *arrays: Any) -> str:
    shapes = ", ".join(str(np.shape(a)) for a in arrays)
    return f"all axes but axis {axis} must be equal, got {shapes}"


@primitive(hint=_concatenate_hint)
def _concatenate(axis: int, bounds: tuple[int, ...], *arrays: Array) -> Array:
    return np.concatenate(arrays, axis)


_concatenate.vjp(arrays=lambda g, bounds, axis: split(g, bounds, axis))


@composite(np.concatenate, np.concat)
def concatenate(arrays: Sequence[Any], axis: int | None = 0) -> Any:
    """out = arrays joined end to end along `axis` (all flattened first if it is None)"""
    if axis is None:
        return concatenate([ravel(a) for a in arrays])
    shapes = [np.shape(a) for a in arrays]
    if not shapes or any(not -len(shape) <= axis < len(shape) for shape in shapes):
        raise ShapeError(f"concatenate: no axis {axis} to join along in the shapes {shapes}")
    bounds = tuple(itertools.accumulate(shape[axis] for shape in shapes[:-1]))
    return _concatenate(axis, bounds, *arrays)


@composite(np.append)
def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    """out = values behind arr along `axis` (both flattened first if it is None)"""
    return concatenate([arr, values], axis)


@composite(np.vstack)
def vstack(tup: Sequence[Any]) -> Any:
    """out = arrays on top of each other; those of one axis are rows"""
    return concatenate([atleast_2d(a) for a in tup], 0)


@composite(np.hstack)
def hstack(tup: Sequence[Any]) -> Any:
    """out = arrays side by side: along the second axis, or the only one"""
    arrays = [atleast_1d(a) for a in tup]
    return concatenate(arrays, 0 if arrays and arrays[0].ndim == 1 else 1)


@composite(np.dstack)
def dstack(tup: Sequence[Any]) -> Any:
    """out = arrays joined along the third axis (see `atleast_3d`)"""
    return concatenate([atleast_3d(a) for a in tup], 2)


@composite(np.column_stack)
def column_stack(tup: Sequence[Any]) -> Any:
    """out = arrays side by side; those of one axis are columns"""
    arrays = [a if np.ndim(a) >= 2 else reshape(a, (np.size(a), 1)) for a in tup]
    return concatenate(arrays, 1)


@composite(np.array_split)
def array_split(ary: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Any]:
    """out = ary cut along `axis` as `split` does, but into sections that needn't be equal

    >>> import tinygrad_rnn as tg
    >>> tg.array_split(tg.Tensor([1.0, 2.0, 3.0]), 2)
    [Tensor([1., 2.]), Tensor([3.])]
    """
    if not isinstance(indices_or_sections, (int, np.integer)):
        return split(ary, indices_or_sections, axis)
    sections = int(indices_or_sections)
    shape = np.shape(ary)
    if sections < 1 or not -len(shape) <= axis < len(shape):
        raise ShapeError(f"array_split: no {sections} sections on axis {axis} of the shape {shape}")
    each, longer = divmod(shape[axis], sections)
    return split(ary, [each * i + min(i, longer) for i in range(1, sections)], axis)


def _split_axis(name: str, ary: Any, least: int) -> None:
    if np.ndim(ary) < least:
        raise ShapeError(f"{name}: at least {least} axes are needed, got the shape {np.shape(ary)}")


@composite(np.vsplit)
def vsplit(ary: Any, indices_or_sections: int | Sequence[int]) -> list[Any]:
    """out = ary cut along its first axis, of two or more (see `split`)"""
    _split_axis("vsplit", ary, 2)
    return split(ary, indices_or_sections, 0)


@composite(np.hsplit)
def hsplit(ary: Any, indices_or_sections: int | Sequence[int]) -> list[Any]:
    """out = ary cut along its second axis, or its only one (see `split`)"""
    _split_axis("hsplit", ary, 1)
    return split(ary, indices_or_sections, 1 if np.ndim(ary) > 1 else 0)


@composite(np.dsplit)
def dsplit(ary: Any, indices_or_sections: int | Sequence[int]) -> list[Any]:
    """out = ary cut along its third axis (see `split`)"""
    _split_axis("dsplit", ary, 3)
    return split(ary, indices_or_sections, 2)


# Repeating


@primitive(numpy=np.tile)
def tile(A: Array, reps: int | tuple[int, ...]) -> Array:
    """out = A, side by side with itself `reps` times along each axis (the last, if one number)"""
    return np.tile(A, reps)


def _tile_vjp(g: Any, A_shape: tuple[int, ...], reps: Any) -> Any:
    counts = tuple(int(n) for n in np.atleast_1d(reps))
    counts = (1,) * (g.ndim - len(counts)) + counts
    shape = (1,) * (g.ndim - len(A_shape)) + A_shape
    pairs = tuple(n for pair in zip(counts, shape, strict=True) for n in pair)
    return g.reshape(pairs).sum(axis=tuple(range(0, 2 * g.ndim, 2))).reshape(A_shape)


tile.vjp(A=_tile_vjp)


@primitive(numpy=np.repeat, hint=lambda *values: "")
def repeat(a: Array, repeats: Array, axis: int | None = None) -> Array:
    """out = each element of a `repeats` times, along `axis` (of a flattened, if it is None)

    `repeats` is a number, or one for each element along the axis.

    >>> import tinygrad_rnn as tg
    >>> tg.repeat(tg.Tensor([1.0, 2.0, 3.0]), [2, 0, 1])
    Tensor([1., 1., 3.])
    """
    counts = np.asarray(repeats)
    return np.repeat(a, counts if counts.size else counts.astype(int), axis)


def _repeat_vjp(g: Any, a_shape: tuple[int, ...], repeats: Any, axis: int | None) -> Any:
    shape = (int(np.prod(a_shape)),) if axis is None else a_shape
    axis = (axis or 0) % len(shape)
    counts = repeats.numpy() if is_tensor(repeats) else np.asarray(repeats)
    n = shape[axis]
    if counts.size == 1:
        pairs = (*shape[:axis], n, int(counts.item()), *shape[axis + 1 :])
        return g.reshape(pairs).sum(axis=axis + 1).reshape(a_shape)
    index = (*(slice(None),) * axis, repeat(np.arange(n), counts))
    return scatter(g, index, shape).reshape(a_shape)


repeat.vjp(a=_repeat_vjp)


# Turning


@primitive(numpy=np.flip, view=True)
def flip(m: Array, axis: int | tuple[int, ...] | None = None) -> Array:
    """out = m with the elements along `axis` (one, several, or all) in reverse order"""
    return np.flip(m, axis)


flip.vjp(m=lambda g, axis: np.flip(g, axis))


@composite(np.fliplr)
def fliplr(m: Any) -> Any:
    """out = m with its second axis reversed"""
    if np.ndim(m) < 2:
        raise ShapeError(f"fliplr: at least two axes are needed, got the shape {np.shape(m)}")
    return flip(m, 1)


@composite(np.flipud)
def flipud(m: Any) -> Any:
    """out = m with its first axis reversed"""
    if np.ndim(m) < 1:
        raise ShapeError("flipud: at least one axis is needed, got a 0-d array")
    return flip(m, 0)


@primitive(numpy=np.roll)
def roll(
    a: Array, shift: int | tuple[int, ...], axis: int | tuple[int, ...] | None = None
) -> Array:
    """out = a shifted along `axis` by `shift` places, what leaves at the end entering in front

    Without an axis a is shifted as if it were flat.
    """
    return np.roll(a, shift, axis)


def _roll_vjp(g: Any, shift: Any, axis: Any) -> Any:
    back = tuple(-n for n in shift) if isinstance(shift, (tuple, list)) else -shift
    return np.roll(g, back, axis)


roll.vjp(a=_roll_vjp)


@primitive(numpy=np.rot90, view=True)
def rot90(m: Array, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Array:
    """out = m turned k times by 90° in the plane of `axes`, from the first towards the second"""
    return np.rot90(m, k, axes)


rot90.vjp(m=lambda g, k, axes: np.rot90(g, -k, axes))


# Padding, inserting, deleting

_PAD_MODES = ("constant", "edge", "reflect", "symmetric", "wrap")


@primitive(hint=lambda *values: "")
def _pad(array: Array, pad_width: Any, mode: Any, options: dict[str, Any]) -> Array:
    return np.pad(array, pad_width or 0, mode, **options)


def _pad_vjp(g: Any, array_shape: tuple[int, ...], pad_width: Any, mode: Any) -> Any:
    if mode == "constant":
        inside = zip(pad_width, array_shape, strict=True)
        return g[tuple(slice(before, before + n) for (before, _), n in inside)]
    # Each axis in turn: the element that a place shows gets the gradient of that place.
    for axis, (width, n) in enumerate(zip(pad_width, array_shape, strict=True)):
        if width != (0, 0):
            shown = np.pad(np.arange(n), width, mode)
            shape = (*g.shape[:axis], n, *g.shape[axis + 1 :])
            g = scatter(g, (*(slice(None),) * axis, shown), shape)
    return g


_pad.vjp(array=_pad_vjp)


@composite(np.pad)
def pad(array: Any, pad_width: Any, mode: str = "constant", *, constant_values: Any = None) -> Any:
    """out = array with more elements before and after it on each axis

    Args:
        pad_width: how many: a number, (before, after), one such pair for each axis, or
            {axis: number or pair}.
        mode: "constant" (`constant_values`, 0 by default, given in the forms of `pad_width`),
            "edge", "reflect", "symmetric" or "wrap".

    An element that is shown several times gets the sum of their gradients.

    >>> import tinygrad_rnn as tg
    >>> x = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> y = tg.pad(x, (0, 3), mode="reflect")
    >>> y.numpy()
    array([1., 2., 3., 2., 1., 2.])
    >>> y.sum().backward()
    >>> x.grad
    Tensor([2., 3., 1.])
    """
    if mode not in _PAD_MODES:
        raise UnsupportedOperation(
            f"pad: mode must be one of {', '.join(_PAD_MODES)}, not {mode!r}"
        )
    if constant_values is not None and mode != "constant":
        raise ValueError(f"pad: mode={mode!r} takes no constant_values")
    if is_tensor(constant_values):
        raise UnsupportedOperation("pad: constant_values can't be a Tensor; use np.concatenate")
    options = {} if constant_values is None else {"constant_values": constant_values}
    return _pad(array, _pairs(pad_width, np.ndim(array)), mode, options)


def _pairs(pad_width: Any, ndim: int) -> tuple[tuple[int, int], ...]:
    """The (before, after) of each axis, from all forms in which NumPy takes them."""
    if isinstance(pad_width, dict):
        widths = np.zeros((ndim, 2), int)
        for axis, width in pad_width.items():
            widths[axis] = width
    else:
        widths = np.asarray(pad_width)
        if widths.dtype.kind not in "iu" and widths.size:
            raise TypeError(f"pad: pad_width must be integers, got {pad_width!r}")
        try:
            widths = np.broadcast_to(widths, (ndim, 2))
        except ValueError as error:
            raise ShapeError(
                f"pad: pad_width must be a number, a pair, or a pair for each of {ndim} axes; got "
                f"{pad_width!r}"
            ) from error
    if (widths < 0).any():
        raise ValueError(f"pad: pad_width can't be negative, got {pad_width!r}; slice instead")
    return tuple((int(before), int(after)) for before, after in widths)


@composite(np.delete)
def delete(arr: Any, obj: Any, axis: int | None = None) -> Any:
    """out = arr without what `obj` (an integer, a slice, integers, a mask) selects along `axis`"""
    arr = arr if is_tensor(arr) else np.asarray(arr)
    if axis is None:
        arr, axis = ravel(arr), 0
    kept = np.delete(np.arange(np.shape(arr)[axis]), _bare(obj))
    return getitem(arr, (*(slice(None),) * (axis % np.ndim(arr)), kept))


@composite(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    """out = arr with values put in along `axis` before the places `obj`

    Both are differentiable; without an axis, arr is flattened first.

    >>> import tinygrad_rnn as tg
    >>> tg.insert(tg.Tensor([1.0, 2.0]), [0, 2], tg.Tensor([8.0, 9.0]))
    Tensor([8., 1., 2., 9.])
    """
    arr = arr if is_tensor(arr) else np.asarray(arr)
    if axis is None:
        arr, axis = ravel(arr), 0
    shape = np.shape(arr)
    axis %= len(shape)
    n = shape[axis]
    obj = _bare(obj)
    values = astype(values if is_tensor(values) else np.asarray(values), arr.dtype)
    values = reshape(values, (1,) * (len(shape) - values.ndim) + values.shape)
    places = np.arange(n)[obj] if isinstance(obj, slice) else np.asarray(obj)
    if places.dtype == bool:
        places = np.flatnonzero(places)
    if places.ndim == 0:
        values = moveaxis(values, 0, axis)
    count = values.shape[axis] if places.size == 1 else places.size
    values = broadcast_to(values, (*shape[:axis], count, *shape[axis + 1 :]))
    joined = concatenate([arr, values], axis)
    order = np.insert(np.arange(n), places, np.arange(n, n + count))
    return getitem(joined, (*(slice(None),) * axis, order))


def _bare(value: Any) -> Any:
    return value.numpy() if is_tensor(value) else value


# Diagonals and triangles


@primitive(numpy=np.tril)
def tril(m: Array, k: int = 0) -> Array:
    """out = m with zeros above the k-th diagonal, in its last two axes"""
    return np.tril(m, k)


tril.vjp(m=lambda g, k: np.tril(g, k))


@primitive(numpy=np.triu)
def triu(m: Array, k: int = 0) -> Array:
    """out = m with zeros below the k-th diagonal, in its last two axes"""
    return np.triu(m, k)


triu.vjp(m=lambda g, k: np.triu(g, k))


@primitive()
def _on_diagonal(v: Array, shape: tuple[int, ...], offset: int, axis1: int, axis2: int) -> Array:
    """out = zeros of `shape` with v on a diagonal: what `diagonal` takes out"""
    out = np.zeros(shape, v.dtype)
    place = np.diagonal(out, offset, axis1, axis2)
    place.flags.writeable = True
    place[...] = v
    return out


@primitive(numpy=np.diagonal, view=True)
def diagonal(a: Array, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """out = the diagonal `offset` above the main one of the matrices in two axes (now the last)"""
    return np.diagonal(a, offset, axis1, axis2)


diagonal.vjp(
    a=lambda g, a_shape, offset, axis1, axis2: _on_diagonal(g, a_shape, offset, axis1, axis2)
)
_on_diagonal.vjp(v=lambda g, offset, axis1, axis2: np.diagonal(g, offset, axis1, axis2))


@composite(np.diag)
def diag(v: Any, k: int = 0) -> Any:
    """out = the k-th diagonal of a matrix v, or the matrix with a vector v on it

    >>> import tinygrad_rnn as tg
    >>> tg.diag(tg.Tensor([1.0, 2.0]), k=1)
    Tensor([[0., 1., 0.],
            [0., 0., 2.],
            [0., 0., 0.]])
    """
    v = v if is_tensor(v) else np.asarray(v)
    if v.ndim == 1:
        n = v.shape[0] + abs(k)
        return _on_diagonal(v, (n, n), k, 0, 1)
    if v.ndim == 2:
        return diagonal(v, k)
    raise ShapeError(f"diag: v must have one or two axes, got the shape {v.shape}; see diagonal")


@composite(np.diagflat)
def diagflat(v: Any, k: int = 0) -> Any:
    """out = the matrix with v, flattened, on its k-th diagonal"""
    return diag(ravel(v), k)


# Filled alike


@composite(np.meshgrid)
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: Any = "xy") -> Any:
    """out[i] = xi[i] along axis i (of the first two, exchanged if `indexing` is "xy"), repeated

    With sparse=True axes are left at size 1 instead of being repeated.

    >>> import tinygrad_rnn as tg
    >>> tg.meshgrid(tg.Tensor([1.0, 2.0]), tg.Tensor([5.0, 6.0]))[0]
    Tensor([[1., 2.],
            [1., 2.]])
    """
    if not any(map(is_tensor, xi)):
        return np.meshgrid(*xi, copy=copy, sparse=sparse, indexing=indexing)
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing must be 'xy' or 'ij', got {indexing!r}")
    count = len(xi)
    places = list(range(count))
    if indexing == "xy" and count > 1:
        places[:2] = [1, 0]
    grids = [
        reshape(x, (1,) * place + (-1,) + (1,) * (count - 1 - place))
        for x, place in zip(xi, places, strict=True)
    ]
    return tuple(grids) if sparse else broadcast_arrays(*grids)


@primitive(numpy=np.zeros_like)
def zeros_like(a: Array, dtype: Any = None, shape: Any = None) -> Array:
    """out = zeros of the shape and dtype of a, or those given"""
    return np.zeros_like(a, dtype, shape=shape)


@primitive(numpy=np.ones_like)
def ones_like(a: Array, dtype: Any = None, shape: Any = None) -> Array:
    """out = ones of the shape and dtype of a, or those given"""
    return np.ones_like(a, dtype, shape=shape)


@primitive(numpy=np.empty_like)
def empty_like(a: Array, dtype: Any = None, shape: Any = None) -> Array:
    """out = an array of the shape and dtype of a, or those given, whatever was in its memory"""
    return np.empty_like(a, dtype, shape=shape)


@primitive()
def _full_like(a: Array, fill_value: Array, dtype: Any, shape: Any) -> Array:
    return np.full_like(a, fill_value, dtype, shape=shape)


@composite(np.full_like)
def full_like(a: Any, fill_value: Any, dtype: Any = None, shape: Any = None) -> Any:
    """out = `fill_value` in the shape and dtype of a, or those given

    Differentiable in `fill_value` if that is a Tensor.
    """
    if not is_tensor(fill_value):
        return _full_like(a, fill_value, dtype, shape)
    a = a if is_tensor(a) else np.asarray(a)
    value = astype(fill_value, a.dtype if dtype is None else dtype)
    return broadcast_to(value, a.shape if shape is None else shape)
