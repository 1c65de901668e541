"""How a graph is to be seen: what all that shows one can be asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict, get_args

Parameters = Literal["once", "per step"]
Colour = Literal["gradient"]


class Look(TypedDict, total=False):
    """The keywords of `to_dot`, `to_mermaid`, `render` and `draw` beside `view`; see `Options`."""

    steps: int | None
    collapse: str | Sequence[str] | None
    expand: str | Sequence[str] | None
    depth: int | None
    parameters: Parameters
    colour: Colour | None


@dataclass(frozen=True)
class Options:
    """What is shown of a graph, and how.

    Attributes:
        view: "ops" shows every operation; "cells" each time step as a box; "rolled" each layer as a
            box with a loop; "modules" each module as a box; "backward" the way of the gradients
            beside the way forward. None for one that can be read at this size.
        steps: so many of the first and of the last time steps are shown; those between them are
            elided, each layer's in one box. None for all (with view=None: for what can be read).
        collapse: names of scopes to draw as one box, such as "encoder" or "encoder.*"; the
            wildcards are ``*``, ``?`` and ``[…]``, the names have dots between them.
        expand: names of scopes to draw open, whatever the view folds.
        depth: of the modules that "modules" draws as boxes.
        parameters: "once", or "per step": beside each box that uses them.
        colour: "gradient" for the norm of each node's gradient as a recording noted it.
    """

    view: str | None = None
    steps: int | None = None
    collapse: str | Sequence[str] | None = None
    expand: str | Sequence[str] | None = None
    depth: int | None = None
    parameters: Parameters = "once"
    colour: Colour | None = None

    def __post_init__(self) -> None:
        for name in ("steps", "depth"):
            _check_number(name, getattr(self, name))
        for name in ("collapse", "expand"):
            object.__setattr__(self, name, _patterns(name, getattr(self, name)))
        _check_choice("parameters", self.parameters, get_args(Parameters))
        _check_choice("colour", self.colour, (None, *get_args(Colour)))

    @classmethod
    def of(cls, view: str | None, look: Look) -> Options:
        """From a view and keywords.

        Raises:
            TypeError: for an unknown keyword, naming the known ones.
            ValueError: for a value that has no meaning.

        >>> Options.of("cells", {"steps": 3, "collapse": "encoder.*"}).collapse
        ('encoder.*',)
        """
        known = Look.__annotations__
        for name in look:
            if name not in known:
                raise TypeError(f"there is no option {name!r}; there are {', '.join(known)}")
        return cls(view, **look)


def _check_number(name: str, value: object) -> None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise ValueError(f"{name}= takes a whole number from 1 on, or None, not {value!r}")


def _check_choice(name: str, value: object, choices: Sequence[object]) -> None:
    if value not in choices:
        raise ValueError(f"{name}= takes one of {', '.join(map(repr, choices))}, not {value!r}")


def _patterns(name: str, given: object) -> tuple[str, ...]:
    several = (given,) if isinstance(given, str) else () if given is None else given
    if isinstance(several, (tuple, list)) and all(isinstance(each, str) for each in several):
        return tuple(several)
    raise ValueError(f"{name}= takes a name such as 'encoder.*', or several, not {given!r}")
