"""Pickles of plain data, worked through opcode by opcode. No name in one is ever looked up.

A pickle is a small program. Here only the instructions that build containers and numbers are
known; a name that it mentions stays a `Name`, and what it wants called is looked up in the table
that the caller gives.
"""

from __future__ import annotations

import pickletools
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from ..core.errors import FileFormatError

_MARK = object()
_PLAIN_KEYS = (str, int, float, bool, type(None))

_VALUES = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_ARGUMENTS = frozenset(
    [
        "BININT",
        "BININT1",
        "BININT2",
        "LONG1",
        "BINFLOAT",
        "BINUNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE8",
    ]
)
_CONTAINERS: dict[str, Callable[[], Any]] = {
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_GETS = ("BINGET", "LONG_BINGET")
_PUTS = ("BINPUT", "LONG_BINPUT")
_UNSEEN = ("PROTO", "FRAME", "STOP")


class Name:
    """A name of something that a pickle wants: "module name"."""

    def __init__(self, text: str) -> None:
        self.text = text

    def refused(self) -> FileFormatError:
        """The error that says so."""
        return FileFormatError(
            f"refuses {self.text[:100].replace(' ', '.')}: only tensors, numbers, text, None, "
            "dict, list and tuple are read. Where the file was made, "
            "torch.save(model.state_dict(), path) saves just those"
        )


class Opcodes:
    """What a pickle holds.

    Args:
        calls: what to do for each name that may be called, given its arguments.
        persistent: what stands for a persistent id.
        names: names that may be mentioned without being called.
    """

    def __init__(
        self,
        calls: Mapping[str, Callable[..., Any]],
        persistent: Callable[[Any], Any],
        names: Mapping[str, Any],
    ) -> None:
        self._calls = calls
        self._names = names
        self._persistent = persistent
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, pickle: bytes) -> Any:
        """Works through a pickle.

        Raises:
            FileFormatError: for an instruction or a name that isn't admitted.
        """
        for opcode, argument, _ in pickletools.genops(pickle):
            self._step(opcode.name, argument)
        if len(self._stack) != 1 or self._stack[0] is _MARK:
            raise FileFormatError("its pickle doesn't end in one object")
        result = self._stack.pop()
        if isinstance(result, Name):
            raise result.refused()
        return result

    def _step(self, opcode: str, argument: Any) -> None:
        stack = self._stack
        if opcode in _ARGUMENTS:
            stack.append(argument)
        elif opcode in _VALUES:
            stack.append(_VALUES[opcode])
        elif opcode in _CONTAINERS:
            stack.append(_CONTAINERS[opcode]())
        elif opcode == "MARK":
            stack.append(_MARK)
        elif opcode in _GETS:
            stack.append(self._memo[argument])
        elif opcode in _PUTS:
            self._memo[argument] = stack[-1]
        elif opcode == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif opcode not in _UNSEEN:
            self._build(opcode, argument)

    def _build(self, opcode: str, argument: Any) -> None:
        stack = self._stack
        if opcode in _TUPLES:
            stack.append(tuple(self._popped(_TUPLES[opcode])))
        elif opcode == "TUPLE":
            stack.append(tuple(self._to_mark()))
        elif opcode == "APPEND":
            self._extend(self._popped(1))
        elif opcode == "APPENDS":
            self._extend(self._to_mark())
        elif opcode == "SETITEM":
            self._set_items(self._popped(2))
        elif opcode == "SETITEMS":
            self._set_items(self._to_mark())
        elif opcode == "GLOBAL":
            self._mention(argument)
        elif opcode == "STACK_GLOBAL":
            self._mention(" ".join(self._popped(2)))
        elif opcode == "BINPERSID":
            stack.append(self._persistent(*self._popped(1)))
        elif opcode == "REDUCE":
            self._call(*self._popped(2))
        elif opcode == "BUILD":
            self._give_attributes(*self._popped(1))
        else:
            raise FileFormatError(
                f"refuses the pickle instruction {opcode}, which no file of tensors needs"
            )

    def _popped(self, count: int) -> list[Any]:
        values = [self._stack.pop() for _ in range(count)][::-1]
        if any(value is _MARK for value in values):
            raise FileFormatError("its pickle takes a mark for a value")
        return values

    def _to_mark(self) -> list[Any]:
        values = []
        while (value := self._stack.pop()) is not _MARK:
            values.append(value)
        return values[::-1]

    def _extend(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not list:
            raise FileFormatError("its pickle appends to what isn't a list")
        _check_held(values)
        target.extend(values)

    def _set_items(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict) or len(values) % 2:
            raise FileFormatError("its pickle sets items of what isn't a dict")
        _check_held(values)
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, _PLAIN_KEYS):
                raise FileFormatError(f"refuses a {type(key).__name__} as a key of a dict")
            target[key] = value

    def _mention(self, name: str) -> None:
        # Refused at once, so that the message names it and not what follows from it.
        if name not in self._calls and name not in self._names:
            raise Name(name).refused()
        self._stack.append(Name(name))

    def _call(self, function: Any, arguments: Any) -> None:
        if not isinstance(function, Name) or type(arguments) is not tuple:
            raise FileFormatError("its pickle calls what isn't a function")
        if function.text not in self._calls:
            raise function.refused()
        self._stack.append(self._calls[function.text](*arguments))

    def _give_attributes(self, state: Any) -> None:
        target = self._stack[-1]
        # torch keeps the versions of modules there, of which nothing here takes notice.
        if not isinstance(target, OrderedDict) or not isinstance(state, dict):
            raise FileFormatError("refuses to set attributes of anything but an OrderedDict")


def _check_held(values: list[Any]) -> None:
    for value in values:
        if isinstance(value, Name):
            raise value.refused()
