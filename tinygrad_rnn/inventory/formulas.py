"""How a parameter count comes about: from the shapes of the parameters, in the layer's letters.

The axes of a parameter are sizes that the layer knows by name, such as hidden_size, H; or a
multiple of one, such as the rows 4·H of an LSTM's weights. What is none of them stays a number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

from ..module import Module, Parameter
from ..nn.layers import Embedding, Linear
from ..rnn.cells import Cell
from ..rnn.layers import Recurrent
from ..rnn.wrappers import innermost


class Size(NamedTuple):
    """The size of an axis: `factor` times what `letter` stands for; a number without a letter.

    Attributes:
        factor: a whole number.
        letter: such as "H", or "".
        value: what the letter stands for; 1 without a letter.
    """

    factor: int
    letter: str = ""
    value: int = 1


class Term(NamedTuple):
    """So many parameters of one shape.

    Attributes:
        copies: how many.
        gates: what their first axis is a multiple of, such as 4 for an LSTM.
        sizes: their axes, the first one without `gates`, in the order in which they are written.
    """

    copies: int
    gates: int
    sizes: tuple[Size, ...]


class Formula(NamedTuple):
    """A count of parameters as a formula.

    Attributes:
        part: what of the layer it counts, such as "l0"; "" for all of it.
        times: how often the same occurs, such as 2 for two directions.
        terms: what is added up.
    """

    part: str
    times: int
    terms: tuple[Term, ...]

    @property
    def total(self) -> int:
        """The number of parameters."""
        return self.times * sum(
            term.copies * term.gates * prod(size.factor * size.value for size in term.sizes)
            for term in self.terms
        )

    @property
    def symbols(self) -> str:
        """In the layer's letters, such as ``4·(I·H + H·H + 2·H)``."""
        return self._text(letters=True)

    @property
    def numbers(self) -> str:
        """In numbers, such as ``4·(32·64 + 64·64 + 2·64)``."""
        return self._text(letters=False)

    def _text(self, letters: bool) -> str:
        groups = []
        for gates in dict.fromkeys(term.gates for term in self.terms):
            inside = [_product(term, letters) for term in self.terms if term.gates == gates]
            text = " + ".join(inside)
            groups.append(f"{gates}·({text})" if gates > 1 else text)
        text = " + ".join(groups)
        if self.times == 1:
            return text
        plain = len(groups) == 1 and self.terms[0].gates > 1
        return f"{self.times}·{text}" if plain else f"{self.times}·({text})"


def _product(term: Term, letters: bool) -> str:
    factors = [size.factor for size in term.sizes if size.letter]
    number = term.copies * prod(factors)
    shown = [
        (size.letter if letters else str(size.value)) if size.letter else str(size.factor)
        for size in term.sizes
    ]
    return "·".join([*([str(number)] if number > 1 or not shown else []), *shown])


def formulas_of(module: Module, parameters: Mapping[str, Parameter]) -> tuple[Formula, ...]:
    """How some of a module's own parameters are counted: a formula, or one for each layer in time.

    Args:
        module: the module that holds them.
        parameters: by the names of its attributes.

    >>> import tinygrad_rnn as tg
    >>> from tinygrad_rnn.inventory import formulas_of
    >>> lstm = tg.nn.LSTM(32, 64)
    >>> (formula,) = formulas_of(lstm, dict(lstm.named_parameters()))
    >>> formula.symbols, formula.numbers, formula.total
    ('4·(I·H + H·H + 2·H)', '4·(32·64 + 64·64 + 2·64)', 25088)
    """
    if not parameters:
        return ()
    if isinstance(module, Recurrent):
        return _of_recurrent(module, parameters)
    if "kernel" in parameters and hasattr(module, "units"):
        return (_of_kernels(module, parameters),)
    cell = innermost(module)
    letters = _letters(cell)
    return (_formula("", cell, parameters, letters),)


def _of_kernels(module: Any, parameters: Mapping[str, Parameter]) -> Formula:
    """Of weights in Keras' layout: kernel (I, O); or (I, gates·H), recurrent_kernel and bias."""
    units = int(module.units)
    recurrent = "recurrent_kernel" in parameters
    gates = parameters["kernel"].shape[-1] // units if recurrent else 1
    outer = Size(1, "H" if recurrent else "O", units)
    inner = {"kernel": Size(1, "I", parameters["kernel"].shape[0]), "recurrent_kernel": outer}
    terms = []
    for name, parameter in parameters.items():
        *rows, columns = parameter.shape
        first = [inner[name]] if name in inner else [Size(size) for size in rows]
        if columns == gates * units:
            terms.append(Term(1, gates, (*first, outer)))
        else:
            terms.append(Term(1, 1, tuple(Size(size) for size in parameter.shape)))
    return Formula("", 1, tuple(terms))


def _of_recurrent(module: Recurrent, parameters: Mapping[str, Parameter]) -> tuple[Formula, ...]:
    """A formula for each layer and direction; one for both directions if they are the same."""
    by_cell: dict[int, dict[str, Parameter]] = {}
    for flat, parameter in parameters.items():
        index, name = module._flat.get(flat, (len(module._cells), flat))
        by_cell.setdefault(index, {})[name] = parameter
    found: list[Formula] = []
    for index, own in sorted(by_cell.items()):
        layer = index // module.directions
        if index == len(module._cells):  # none of a cell's
            found.append(_formula("", None, own, {}))
            continue
        cell = innermost(module._cells[index])
        part = f"l{layer}" if module.num_layers > 1 else ""
        made = _formula(part, cell, own, _letters(cell, module, layer))
        if found and found[-1] == made:
            made = found.pop()._replace(times=2)
        found.append(made)
    return tuple(found)


def _letters(cell: Any, outer: Recurrent | None = None, layer: int = 0) -> dict[str, Size]:
    """What a layer's letters stand for, in the order in which a product has them."""
    if isinstance(cell, Linear):
        return _sizes(I=cell.in_features, O=cell.out_features)
    if isinstance(cell, Embedding):
        return _sizes(V=cell.num_embeddings, E=cell.embedding_dim)
    if hasattr(cell, "embeddings") and hasattr(cell, "output_dim"):  # of Keras' kind
        return _sizes(V=cell.input_dim, E=cell.output_dim)
    if not isinstance(cell, Cell):
        return {}
    letters = _sizes(I=cell.input_size, P=cell.proj_size, H=cell.hidden_size)
    width = letters.get("P", letters["H"])
    if outer is not None and layer and cell.input_size == outer.directions * width.value:
        letters["I"] = width._replace(factor=outer.directions)  # the outputs of the layer below
    return letters


def _sizes(**sizes: int) -> dict[str, Size]:
    return {letter: Size(1, letter, value) for letter, value in sizes.items() if value}


def _formula(
    part: str, module: Any, parameters: Mapping[str, Parameter], letters: Mapping[str, Size]
) -> Formula:
    terms: list[Term] = []
    order = list(letters.values())
    for name, parameter in parameters.items():
        gates, sizes = _axes(name, parameter.shape, module, letters)
        if all(size.letter for size in sizes):
            sizes = tuple(sorted(sizes, key=order.index))
        same = [k for k, t in enumerate(terms) if (t.gates, t.sizes) == (gates, sizes)]
        if same and len(sizes) == 1:  # vectors, such as biases, are counted: 2·H
            terms[same[0]] = terms[same[0]]._replace(copies=terms[same[0]].copies + 1)
        else:
            terms.append(Term(1, gates, sizes))
    return Formula(part, 1, tuple(terms))


def _axes(
    name: str, shape: Sequence[int], module: Any, letters: Mapping[str, Size]
) -> tuple[int, tuple[Size, ...]]:
    """The axes of a parameter: what the first is a multiple of, and its axes in letters."""
    if isinstance(module, Cell) and shape:
        return _axes_of_cell(name, shape, module, letters)
    left = list(letters.values())[::-1]  # so that O comes before I in a weight (O, I)
    sizes = []
    for size in shape:
        known = next((each for each in left if each.factor * each.value == size), None)
        if known is not None:
            left.remove(known)
        sizes.append(known or Size(size))
    return 1, tuple(sizes)


def _axes_of_cell(
    name: str, shape: Sequence[int], cell: Cell, letters: Mapping[str, Size]
) -> tuple[int, tuple[Size, ...]]:
    """As `_axes`; only the last axis of weight_ih has the size of the input."""
    inner = [letters[letter] for letter in "HP" if letter in letters]
    gates, first, rest = 1, [], list(shape)
    if cell.gates > 1 and shape[0] == cell.gates * cell.hidden_size:
        gates, first, rest = cell.gates, [letters["H"]], rest[1:]
    for place, size in enumerate(rest, start=len(first)):
        reads_input = name.endswith("weight_ih") and place == 1 == len(shape) - 1
        candidates = [letters["I"]] if reads_input else inner
        known = next((each for each in candidates if each.factor * each.value == size), None)
        first.append(known or Size(size))
    return gates, tuple(first)
