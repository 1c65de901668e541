"""What a summary says of a model's layers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ...inventory import count_layers

HEADS = ("Layer (type)", "Output Shape", "Param #", "Trainable")
_UNBUILT = "0 (unbuilt)"


class Row(NamedTuple):
    """A layer of a model.

    Attributes:
        name, kind: the layer's, and its class's.
        shape: of what it puts out; of several outputs, a tuple of shapes; None if it isn't known.
        parameters: how many there are inside; None if the layer isn't built.
        trainable: whether they are learnt; None if there are none.
        depth: how many models it stands in, besides the outermost.
    """

    name: str
    kind: str
    shape: Any
    parameters: int | None
    trainable: bool | None
    depth: int

    @property
    def shown_size(self) -> int | str:
        """`parameters` as it is shown."""
        return _UNBUILT if self.parameters is None else self.parameters


class Totals(NamedTuple):
    """How many parameters there are, each counted once, and how much memory they take."""

    trainable: int
    trainable_bytes: int
    frozen: int
    frozen_bytes: int


def rows_of(
    model: Any, expand_nested: bool = False, layer_range: Sequence[str] | None = None
) -> Iterator[Row]:
    """The layers of a model, in order; with `expand_nested`, those of models inside too."""
    first, end = _range(model.layers, layer_range)
    return _rows(model, expand_nested, first, end, 0)


def _rows(model: Any, expand_nested: bool, first: int, end: int, depth: int) -> Iterator[Row]:
    shapes = model.layer_shapes()
    for layer, shape in list(zip(model.layers, shapes, strict=True))[first:end]:
        size = layer.count_params() if layer.built else None
        yield Row(
            name=layer.name,
            kind=type(layer).__name__,
            shape=shape,
            parameters=size,
            trainable=layer.trainable if size else None,
            depth=depth,
        )
        if expand_nested and getattr(layer, "layers", None):
            yield from _rows(layer, True, 0, len(layer.layers), depth + 1)


def _range(layers: Sequence[Any], wanted: Sequence[str] | None) -> tuple[int, int]:
    """From which layer to which one, by names or patterns of names."""
    if wanted is None:
        return 0, len(layers)
    if isinstance(wanted, str) or len(wanted) != 2 or not all(isinstance(n, str) for n in wanted):
        raise ValueError(
            "layer_range must be a list or tuple of two names, of the first layer and of the last "
            f"one. Received: layer_range={wanted!r}"
        )
    found = [[k for k, layer in enumerate(layers) if re.match(name, layer.name)] for name in wanted]
    if not all(found):
        raise ValueError(
            "Passed layer_names do not match the layer names in the model. Received: "
            f"{wanted!r}; there are {[layer.name for layer in layers]}"
        )
    low, high = min(found[0]), max(found[1])
    return (low, high + 1) if low <= high else (min(found[1]), max(found[0]) + 1)


def totals_of(model: Any) -> Totals:
    """The parameters of a model."""
    own = [p for layer in count_layers(model) for p in layer.own.values()]
    learnt = [p for p in own if p.requires_grad]
    frozen = [p for p in own if not p.requires_grad]
    return Totals(
        sum(p.size for p in learnt), sum(p.data.nbytes for p in learnt),
        sum(p.size for p in frozen), sum(p.data.nbytes for p in frozen),
    )  # fmt: skip
