"""The layers of a module and their parameters, each counted once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..module import Module, Parameter
from .formulas import Formula, formulas_of


class LayerCount(NamedTuple):
    """A module inside another one, and the parameters that it holds itself.

    Attributes:
        name: the dotted name, "" for the outermost.
        module: the module.
        depth: how deep it stands, 0 for the outermost.
        own: its parameters, without those of modules inside it, and those counted before.
        same_as: the name under which the module has been counted already; None if it hasn't.
        tied: name of a parameter -> the dotted name under which it has been counted already.
        formulas: how the count comes about.
    """

    name: str
    module: Module
    depth: int
    own: dict[str, Parameter]
    same_as: str | None
    tied: dict[str, str]
    formulas: tuple[Formula, ...]

    @property
    def parameters(self) -> int:
        """How many numbers its own parameters have."""
        return sum(parameter.size for parameter in self.own.values())

    @property
    def trainable(self) -> int:
        """How many of them are learnt."""
        return sum(parameter.size for parameter in self.own.values() if parameter.requires_grad)

    @property
    def bytes(self) -> int:
        """How much memory they take."""
        return sum(parameter.data.nbytes for parameter in self.own.values())


def count_layers(module: Module) -> Iterator[LayerCount]:
    """A module and all inside it, in order, with what each holds itself.

    A module that stands in several places comes several times, counted the first time; what is
    inside it isn't gone through again. A parameter that several modules hold is counted where it
    comes first.

    >>> import tinygrad_rnn as tg
    >>> from tinygrad_rnn.inventory import count_layers
    >>> model = tg.nn.Sequential(tg.nn.Linear(2, 3), tg.nn.Tanh(), tg.nn.Linear(3, 1))
    >>> [(layer.name, layer.parameters) for layer in count_layers(model)]
    [('', 0), ('0', 9), ('1', 0), ('2', 4)]
    """
    modules: dict[int, str] = {}
    parameters: dict[int, str] = {}
    pending = [("", module, 0)]
    while pending:
        name, here, depth = pending.pop()
        known = modules.get(id(here))
        members = list(here._own()) if known is None else []
        modules.setdefault(id(here), name)
        own, tied = {}, {}
        for key, member in members:
            if isinstance(member, Parameter):
                if id(member) in parameters:
                    tied[key] = parameters[id(member)]
                else:
                    parameters[id(member)] = f"{name}.{key}" if name else key
                    own[key] = member
        yield LayerCount(name, here, depth, own, known, tied, formulas_of(here, own))
        inner = [
            (f"{name}.{key}" if name else key, member, depth + 1)
            for key, member in members
            if isinstance(member, Module)
        ]
        pending += inner[::-1]
