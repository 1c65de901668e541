"""Einstein's summation, made of four steps: diagonals, sums, products of two arrays, an order.

Each axis of each operand has a label. Labels are characters; those that an ellipsis stands for are
numbered from the right: "…1" is the last.
"""

from __future__ import annotations

import math
import string
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

from ..core.errors import ShapeError
from ..core.primitive import Array, composite, primitive
from .products import as_operand
from .reductions import sum as sum_over

__all__ = [
    "einsum",
]

Labels: TypeAlias = "tuple[str, ...]"

_ELLIPSIS = "…"
_WORTH_MATMUL = 2000  # products; for fewer, the plain loop is faster than rearranging


@composite(np.einsum)
def einsum(*operands: Any, optimize: Any = True) -> Any:
    """out = Σ of products over the labels that "…->labels" leaves out, as ``np.einsum`` writes it

    Args:
        operands: "ij,jk->ik" and arrays; or arrays each followed by a list of its labels as
            integers, and last, if wanted, the list of the result's.
        optimize: with more than two arrays, the order of the products: as for ``np.einsum``, but
            by default a good one is looked for.

    A label without "->" stays if it occurs once; "..." stands for axes that broadcast; a label
    twice on one array means its diagonal; axes of size 1 broadcast.

    Raises:
        ShapeError: if labels and shapes don't fit.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> A = tg.Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    >>> tg.einsum("ij,ij->i", A, A).data
    array([ 5., 25.])
    >>> tg.einsum("ii", A).backward()
    >>> A.grad
    Tensor([[1., 0.],
            [0., 1.]])
    """
    inputs, output, arrays = _parsed(operands)
    sizes = _sizes(inputs, arrays)
    pairs = [_trimmed(x, labels, sizes) for x, labels in zip(arrays, inputs, strict=True)]
    for places in _order(pairs, output, sizes, optimize):
        taken = [pairs.pop(i) for i in sorted(places, reverse=True)]
        for i, other in enumerate(taken[1:], 1):
            rest = [labels for _, labels in (*pairs, *taken[i + 1 :])]
            taken[0] = _joined(other, taken[0], {*output}.union(*rest))
        pairs.append(taken[0])
    ((x, labels),) = pairs
    x, labels = _summed(x, labels, {*output})
    order = tuple(labels.index(label) for label in output)
    return x if order == tuple(range(len(order))) else np.transpose(x, order)


# Reading the subscripts


def _parsed(operands: Sequence[Any]) -> tuple[list[Labels], Labels, list[Any]]:
    """The labels of each operand, those of the result, and the operands."""
    if not operands:
        raise ShapeError("einsum needs subscripts and an array, such as einsum('ij->ji', x)")
    if isinstance(operands[0], str):
        text, arrays = operands[0].replace(" ", ""), list(operands[1:])
    else:
        text, arrays = _text_of_lists(operands), list(operands[: len(operands) // 2 * 2 : 2])
    arrays = [as_operand(x) for x in arrays]
    before, arrow, after = text.partition("->")
    terms = before.split(",")
    if len(terms) != len(arrays):
        raise ShapeError(f"einsum: {text!r} describes {len(terms)} arrays, got {len(arrays)}")
    inputs = [_labels_of(term, x.ndim, text) for term, x in zip(terms, arrays, strict=True)]
    broad = sorted({i for labels in inputs for i in labels if i[0] == _ELLIPSIS}, key=_from_left)
    if arrow:
        return inputs, _explicit_output(after, broad, inputs, text), arrays
    counts = Counter(label for labels in inputs for label in labels)
    single = sorted(i for i, count in counts.items() if count == 1 and i[0] != _ELLIPSIS)
    return inputs, (*broad, *single), arrays


def _from_left(label: str) -> int:
    return -int(label[1:])


def _text_of_lists(operands: Sequence[Any]) -> str:
    """The subscripts of ``einsum(array, [0, 1], array, [1, 2], [0, 2])`` as text."""
    letters = string.ascii_uppercase + string.ascii_lowercase

    def text(labels: Iterable[Any]) -> str:
        return "".join("..." if i is Ellipsis else letters[i] for i in labels)

    found = ",".join(text(labels) for labels in operands[1::2])
    return f"{found}->{text(operands[-1])}" if len(operands) % 2 else found


def _labels_of(term: str, ndim: int, text: str) -> Labels:
    """One label for each of the `ndim` axes of an operand."""
    before, dots, after = term.partition("...")
    named = before + after
    if not all(c in string.ascii_letters for c in named):
        raise ShapeError(f"einsum: labels are letters, and '...' may stand once; got {text!r}")
    extra = ndim - len(named)
    if extra < 0 or (extra and not dots):
        raise ShapeError(
            f"einsum: {term!r} in {text!r} names {len(named)} axes, and its array has {ndim}; "
            "'...' stands for further ones"
        )
    return (*before, *(f"{_ELLIPSIS}{i}" for i in range(extra, 0, -1)), *after)


def _explicit_output(
    term: str, broad: Sequence[str], inputs: Sequence[Labels], text: str
) -> Labels:
    before, dots, after = term.partition("...")
    output = (*before, *(broad if dots else ()), *after)
    known = {label for labels in inputs for label in labels}
    if broad and not dots:
        raise ShapeError(f"einsum: {text!r} needs '...' in the result too, for the axes it covers")
    if not known.issuperset(output) or len({*output}) < len(output):
        raise ShapeError(
            f"einsum: in {text!r}, each label of the result must be an array's, and stand once"
        )
    return output


def _sizes(inputs: Sequence[Labels], arrays: Sequence[Any]) -> dict[str, int]:
    """The length of each label's axis."""
    sizes: dict[str, int] = {}
    for labels, x in zip(inputs, arrays, strict=True):
        own: dict[str, int] = {}
        for label, n in zip(labels, x.shape, strict=True):
            known = sizes.get(label, 1)
            if own.setdefault(label, n) != n or (n != known and 1 not in (n, known)):
                clash = own[label] if own[label] != n else known
                raise ShapeError(f"einsum: the axes {label!r} have the lengths {clash} and {n}")
        for label, n in own.items():
            sizes[label] = n if sizes.get(label, 1) == 1 else sizes[label]
    return sizes


def _order(
    pairs: Sequence[tuple[Any, Labels]], output: Labels, sizes: dict[str, int], optimize: Any
) -> list[Sequence[int]]:
    """Which operands are multiplied first; results go to the end of the list."""
    if len(pairs) <= 2:
        return [range(len(pairs))]
    letters = _letters((labels for _, labels in pairs), output)
    zero = np.zeros(())
    shapes = [np.broadcast_to(zero, x.shape) for x, _ in pairs]
    path, _ = np.einsum_path(letters, *shapes, optimize=optimize or False)
    return path[1:]


def _letters(inputs: Iterable[Labels], output: Labels) -> str:
    """Labels as np.einsum takes them, "ij,jk->ik"."""
    letters: dict[str, str] = {}

    def text(labels: Labels) -> str:
        return "".join(letters.setdefault(i, string.ascii_letters[len(letters)]) for i in labels)

    return f"{','.join([text(labels) for labels in inputs])}->{text(output)}"


# The steps. An operand is a pair of an array and its labels.


def _trimmed(x: Any, labels: Labels, sizes: dict[str, int]) -> tuple[Any, Labels]:
    """Without repeated labels, and without axes of size 1 that are to broadcast."""
    if len({*labels}) < len(labels):
        kept = tuple(dict.fromkeys(labels))
        x, labels = _diagonals(x, _letters([labels], kept)), kept
    if any(n < sizes[label] for label, n in zip(labels, x.shape, strict=True) if n == 1):
        kept = tuple(i for i, n in zip(labels, x.shape, strict=True) if n == sizes[i])
        x, labels = x.reshape(tuple(sizes[label] for label in kept)), kept
    return x, labels


def _summed(x: Any, labels: Labels, wanted: set[str]) -> tuple[Any, Labels]:
    """With only the `wanted` labels."""
    axes = tuple(i for i, label in enumerate(labels) if label not in wanted)
    if not axes:
        return x, labels
    return sum_over(x, axis=axes), tuple(label for label in labels if label in wanted)


def _joined(
    first: tuple[Any, Labels], second: tuple[Any, Labels], wanted: set[str]
) -> tuple[Any, Labels]:
    """The product of two operands, summed over all but the `wanted` labels."""
    a, labels_a = _summed(*first, wanted.union(second[1]))
    b, labels_b = _summed(*second, wanted.union(labels_a))
    labels = tuple(i for i in dict.fromkeys((*labels_a, *labels_b)) if i in wanted)
    return _contract(a, b, _letters([labels_a, labels_b], labels)), labels


@primitive(view=True)
def _diagonals(x: Array, subscripts: str) -> Array:
    """out = x on the diagonals of axes with equal labels: "iji->ij" is x[i, j, i]"""
    return np.einsum(subscripts, x)


@primitive()
def _onto_diagonals(g: Array, subscripts: str, shape: tuple[int, ...]) -> Array:
    """out = zeros of `shape`, with g on the diagonals that ``_diagonals`` takes"""
    out = np.zeros(shape, g.dtype)
    np.einsum(subscripts, out)[...] = g
    return out


_diagonals.vjp(x=lambda g, x_shape, subscripts: _onto_diagonals(g, subscripts, x_shape))
_onto_diagonals.vjp(g=lambda g, subscripts: _diagonals(g, subscripts))


@primitive()
def _contract(a: Array, b: Array, subscripts: str) -> Array:
    """out = np.einsum(subscripts, a, b); each label once per array, and in two of a, b and out"""
    first, second, output = _terms(subscripts)
    summed = [i for i in first if i not in output]
    sizes = {**dict(zip(second, b.shape, strict=True)), **dict(zip(first, a.shape, strict=True))}
    if not summed or math.prod(sizes.values()) < _WORTH_MATMUL:
        return np.einsum(subscripts, a, b)
    batch = [i for i in first if i in second and i in output]
    rows = [i for i in first if i not in second]
    columns = [i for i in second if i not in first]

    def rearranged(x: Any, labels: str, *groups: list[str]) -> Any:
        turned = np.transpose(x, [labels.index(i) for group in (batch, *groups) for i in group])
        flat = [math.prod(sizes[i] for i in group) for group in groups]
        return turned.reshape([*(sizes[i] for i in batch), *flat])

    out = np.matmul(rearranged(a, first, rows, summed), rearranged(b, second, summed, columns))
    labels = [*batch, *rows, *columns]
    out = out.reshape([sizes[i] for i in labels])
    return np.transpose(out, [labels.index(i) for i in output])


def _terms(subscripts: str) -> tuple[str, str, str]:
    inputs, output = subscripts.split("->")
    first, second = inputs.split(",")
    return first, second, output


def _contract_vjp_a(g: Any, b: Any, subscripts: str) -> Any:
    first, second, output = _terms(subscripts)
    return _contract(g, b, f"{output},{second}->{first}")


def _contract_vjp_b(g: Any, a: Any, subscripts: str) -> Any:
    first, second, output = _terms(subscripts)
    return _contract(g, a, f"{output},{first}->{second}")


_contract.vjp(a=_contract_vjp_a, b=_contract_vjp_b)
