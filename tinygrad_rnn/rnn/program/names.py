"""The names of a program's values."""

from __future__ import annotations

import keyword
from collections.abc import Iterable

from .steps import Value

_RESERVED = (
    *("T", "N", "np", "x", "y", "gx", "gy", "zip", "range", "bool", "empty"),
    *(
        "real",
        "held",
        "rest",
        "saved",
        "last",
        "weights",
        "sums",
        "half",
        "one",
        "minus_one",
        "two",
    ),
)


class Names:
    """A name for each value, its own as far as it can be had."""

    def __init__(self, fixed: dict[Value, str]) -> None:
        self._names = fixed
        self._taken: set[str] = set()
        for name in _RESERVED:
            self._taken |= {name, f"{name}_all", f"{name}_flat"}

    def of(self, value: Value) -> str:
        if value not in self._names:
            prefix = {"cotangent": "g", "captured": "w"}.get(value.role, "a")
            self._names[value] = self.free(value.name or prefix)
        return self._names[value]

    def free(self, wanted: str) -> str:
        """A name like the one wanted, given to nothing else from now on."""
        base = "".join(c if c.isalnum() else "_" for c in wanted)
        base = base if base.isidentifier() and not keyword.iskeyword(base) else f"v_{base}"
        name, count = base, 1
        while not self._taken.isdisjoint(_derived(name)):
            count += 1
            name = f"{base}_{count}" if base[-1].isdigit() else f"{base}{count}"
        self._taken |= _derived(name)
        return name

    def reserve(self, names: Iterable[str]) -> None:
        """Keeps names from being given to values."""
        self._taken.update(names)

    def same(self, value: Value, other: Value) -> None:
        """Gives `value` the name of `other`."""
        self._names[value] = self.of(other)


def _derived(name: str) -> set[str]:
    """All names that the source may make of one."""
    ends = ("", "0", "_all", "_last", "_flat", "_held", "_next", "_total", "_T")
    return {f"{begin}{name}{end}" for begin in ("", "g_") for end in ends}
