"""Noticing, and undoing, what a cell changes besides its results."""

from __future__ import annotations

import functools
import logging
import random
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dis import get_instructions
from operator import is_
from types import (
    BuiltinFunctionType,
    CellType,
    CodeType,
    FunctionType,
    MethodType,
    MethodWrapperType,
    ModuleType,
)
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ...core.graph import Constant
from ...module import Module
from ...tensor import Tensor

_DEEPEST = 8  # from the cell to what it reaches: an attribute, an element, a variable, …
_MOST = 4000  # things that are looked at
_MOST_ELEMENTS = 256  # of a container, that are looked into
_LARGE = 4096  # elements of an array, which isn't copied then but locked

_MISSING = object()
_OWN = frozenset({"numpy", __name__.partition(".")[0]})
_LIBRARIES = sys.stdlib_module_names | _OWN
_PLAIN = (int, float, complex, str, bytes, np.generic, np.dtype, np.ufunc, CodeType, range)
_PRINTING = frozenset({"print", "input", "breakpoint"})
_UNCALLED = frozenset({"__init__", "__new__", "__repr__", "__str__", "__del__", "__reduce__"})
_ASKED = frozenset({"forward", "equations", "output"})  # what `scan` itself calls
_FUNCTIONS = (FunctionType, staticmethod, classmethod, property)

_names_of: WeakKeyDictionary[CodeType, tuple[tuple[str, ...], frozenset[str]]] = WeakKeyDictionary()
_ways: dict[type, tuple[Any, ...]] = {}  # for types that stay
_ways_of_others: WeakKeyDictionary[type, tuple[Any, ...]] = WeakKeyDictionary()


class Attributes:
    """What a cell can reach, to notice and to undo that a step changes it.

    That is what its functions refer to (closures, default arguments, globals, other functions) and
    what its objects hold: attributes, containers, small arrays, random generators.

    Attributes:
        unfit: why a step can't be tried, since what it does couldn't be undone; or None.
        changed: what `restore` has put back; or None.
        tensors: whether a Tensor can be reached.
        arrays: the identities of the arrays that can be reached, also those of Tensors.
    """

    def __init__(self, cell: Any) -> None:
        self.unfit: str | None = None
        self.changed: str | None = None
        self.tensors = False
        self.arrays: set[int] = set()
        self._undo: list[tuple[Any, ...]] = []
        self._locked: list[np.ndarray] = []
        self._seen: set[int] = set()
        self._named: set[str] = set(_ASKED)  # by the code that is reached
        self._methods: list[tuple[str, Any]] = []  # that nothing has named yet
        self._lasting: list[tuple[str, str]] = []  # what can't be undone, and under which name
        self._root = cell
        self._next: list[tuple[str, Any]] = [("", cell)]
        try:
            self._look_around()
        except Exception as error:
            self.unfit = f"what it can reach can't be watched ({error!r:.60})"
        del self._root

    def restore(self) -> bool:
        """Puts everything back; whether there was nothing to put back."""
        for array in sorted(self._locked, key=lambda array: array.base is not None):
            array.flags.writeable = True
        for back, *given in self._undo:
            changed = back(*given)
            self.changed = self.changed or changed
        self._undo, self._locked = [], []
        return self.changed is None

    def _look_around(self) -> None:
        for _ in range(_DEEPEST):
            waiting, self._next = self._next, []
            if self._methods:
                waiting += self._called_methods()
            if not waiting:
                break
            self._look_at(waiting)
        for label, reason in self._lasting:
            if self._is_named(label):
                self.unfit = self.unfit or reason

    def _is_named(self, label: str) -> bool:
        """Whether what is called so may be used, as far as names tell."""
        return not label or label in self._named or "getattr" in self._named

    def _called_methods(self) -> list[tuple[str, Any]]:
        called = [(n, f) for n, f in self._methods if n[:2] == "__" or self._is_named(n)]
        self._methods = [(n, f) for n, f in self._methods if n[:2] != "__" and n not in self._named]
        return called

    def _look_at(self, waiting: Iterable[tuple[str, Any]]) -> None:
        seen = self._seen
        for label, value in waiting:
            kind = type(value)
            ways = _ways.get(kind)
            if ways is None:
                ways = _known_ways(kind)
            if not ways or id(value) in seen:
                continue
            seen.add(id(value))
            if len(seen) > _MOST:
                self.unfit = "it can reach more than can be watched"
                return
            for way in ways:
                way(self, label, value)

    def _push(self, label: str, values: Iterable[Any]) -> None:
        self._next += [(label, value) for value in values]

    # Functions

    def _function(self, label: str, function: FunctionType) -> None:
        if function is not self._root and _is_library(function.__module__):
            return
        self._code(function.__code__, function.__globals__)
        if function.__closure__:
            for name, cell in zip(function.__code__.co_freevars, function.__closure__, strict=True):
                self._variable(name, cell)
        if function.__defaults__ or function.__kwdefaults__:
            self._push(label, (function.__defaults__, function.__kwdefaults__))
        self._space(label, function.__dict__)

    def _code(self, code: CodeType, space: dict[str, Any]) -> None:
        """What a function's code reads from its module."""
        known = _names_of.get(code)
        if known is None:
            known = _names_of[code] = _names_in(code)
        names, attributes = known
        self._named |= attributes
        self._names(names, space, attributes)

    def _names(
        self, names: tuple[str, ...], space: dict[str, Any], attributes: frozenset[str]
    ) -> None:
        values = [space.get(name, _MISSING) for name in names]
        if names:
            self._undo.append((_names_back, space, names, values))
        for name, value in zip(names, values, strict=True):
            if value is _MISSING:
                if name in _PRINTING:
                    self.unfit = f"it calls {name}()"
            elif isinstance(value, ModuleType):
                self._module(name, value, attributes)
            else:
                self._next.append((name, value))

    def _module(self, label: str, module: ModuleType, attributes: frozenset[str]) -> None:
        """What is read from another module, as far as names tell."""
        name = module.__name__
        if name == "numpy.random" or (name == "numpy" and "random" in attributes):
            self._next.append(("numpy.random", np.random.mtrand._rand))
        elif name == "random":
            self._next.append(("random", random._inst))
        elif not _is_library(name):
            space = vars(module)
            names = tuple([n for n in attributes if n in space])
            self._names(names, space, frozenset())

    def _held_module(self, label: str, module: ModuleType) -> None:
        self._module(label, module, frozenset(self._named))

    def _variable(self, label: str, cell: CellType) -> None:
        try:
            value = cell.cell_contents
        except ValueError:
            value = _MISSING
        self._undo.append((_variable_back, label, cell, value))
        self._next.append((label, value))

    def _method(self, label: str, method: MethodType) -> None:
        self._push(label, (method.__self__, method.__func__))

    def _builtin(self, label: str, function: BuiltinFunctionType) -> None:
        if not isinstance(function.__self__, (ModuleType, type(None), type)):
            self._next.append((label, function.__self__))

    def _partial(self, label: str, made: functools.partial[Any]) -> None:
        self._push(label, (made.func, *made.args, *made.keywords.values()))

    def _wrapped(self, label: str, function: Any) -> None:
        """staticmethod, classmethod, property."""
        inner = (function.fget,) if isinstance(function, property) else (function.__func__,)
        self._push(label, inner)

    def _remembering(self, label: str, function: Any) -> None:
        """A function under functools.lru_cache."""
        self._undo.append((_cache_back, function.__name__, function, function.cache_info()))
        self._next.append((label, function.__wrapped__))

    # What holds things

    def _object(self, label: str, value: Any) -> None:
        self._space(label, value.__dict__)

    def _space(self, label: str, space: dict[str, Any]) -> None:
        if space:
            before = space.copy()
            self._next += [item for item in before.items() if item[0] != "_place"]
        else:
            before = {}
        self._undo.append((_space_back, label, space, before))

    def _slots(self, label: str, value: Any) -> None:
        names = _slots_of(type(value))
        values = [getattr(value, name, _MISSING) for name in names]
        self._undo.append((_slots_back, value, names, values))
        self._next += zip(names, values, strict=True)

    def _class(self, label: str, kind: type) -> None:
        for each in kind.__mro__:
            if _is_library(each.__module__):
                continue
            before = dict(vars(each))
            self._undo.append((_class_back, each, before))
            for name, value in before.items():
                if not isinstance(value, _FUNCTIONS):
                    self._next.append((name, value))
                elif name not in _UNCALLED:
                    self._methods.append((name, value))

    def _of_a_class(self, label: str, value: Any) -> None:
        self._next.append((label, type(value)))

    def _sequence(self, label: str, value: Any) -> None:
        before = list(value)
        self._undo.append((_sequence_back, label, value, before))
        self._elements(label, before)

    def _set(self, label: str, value: set[Any]) -> None:
        before = set(value)
        self._undo.append((_set_back, label, value, before))
        self._elements(label, before)

    def _dict(self, label: str, value: dict[Any, Any]) -> None:
        before = dict(value)
        self._undo.append((_dict_back, label, value, before))
        self._elements(label, before.values())

    def _elements(self, label: str, values: Iterable[Any]) -> None:
        """The first elements of a container."""
        for place, value in enumerate(values):
            if place == _MOST_ELEMENTS:
                break
            self._next.append((label, value))

    # Numbers

    def _array(self, label: str, array: np.ndarray) -> None:
        self.arrays.add(id(array))
        if not array.flags.writeable:
            return
        if array.dtype.hasobject:
            before = array.copy()
            self._undo.append((_objects_back, label, array, before))
            self._elements(label, before.ravel()[:_MOST_ELEMENTS].tolist())
        elif array.size <= _LARGE or not _can_be_unlocked(array):
            self._undo.append((_array_back, label, array, array.tobytes()))
        else:  # writing into it then raises while the step is tried
            array.flags.writeable = False
            self._locked.append(array)

    def _tensor(self, label: str, tensor: Tensor) -> None:
        self.tensors = True
        array = tensor._data
        record: Any = tensor if tensor._node is None else tensor._node
        if not tensor._requires_grad and (tensor._node is None or type(record) is Constant):
            self._array(label, array)
        self.arrays.add(id(array))
        change = record.change
        serial = None if change is None else change.serial
        self._undo.append((_tensor_back, label, tensor, array, tensor._grad, serial))

    # Random numbers

    def _generator(self, label: str, rng: Any) -> None:
        bits = rng.bit_generator if isinstance(rng, np.random.Generator) else rng
        self._undo.append((_bits_back, label, bits, bits.state))

    def _old_generator(self, label: str, rng: np.random.RandomState) -> None:
        state = rng.get_state(legacy=False)
        self._undo.append((_old_generator_back, label, rng, state))

    def _python_generator(self, label: str, rng: random.Random) -> None:
        if isinstance(rng, random.SystemRandom):
            self._lasting.append((label, f"it can draw from {label!r}, a SystemRandom"))
            return
        self._undo.append((_python_generator_back, label, rng, rng.getstate()))

    # What can't be undone

    def _iterator(self, label: str, value: Any) -> None:
        self._lasting.append((label, f"it reads from {label!r}, a {type(value).__name__}"))

    def _logger(self, label: str, value: Any) -> None:
        self._lasting.append((label, f"it writes to {label!r}, a logger"))


def _is_library(module: Any) -> bool:
    """Whether a module is Python's, NumPy's or this library's, which keep their own house."""
    return isinstance(module, str) and module.partition(".")[0] in _LIBRARIES


def _known_ways(kind: type) -> tuple[Any, ...]:
    ways = _ways_of_others.get(kind)
    if ways is None:
        ways = tuple(_ways_to(kind))
        known: Any = _ways if _is_library(kind.__module__) else _ways_of_others
        known[kind] = ways
    return ways


def _ways_to(kind: type) -> Iterator[Callable[[Attributes, str, Any], None]]:
    """How to look at things of a type; nothing for what can't change."""
    if issubclass(kind, _PLAIN) or kind in (type(None), type(_MISSING), type(...), bool):
        return
    if issubclass(kind, Tensor):
        yield Attributes._tensor
        return
    if hasattr(kind, "__next__"):
        yield Attributes._iterator
        return
    for base, way in _WAYS.items():
        if issubclass(kind, base):
            yield way
            if kind is base:
                return
            break
    if kind.__module__.partition(".")[0] in _OWN and not issubclass(kind, Module):
        return
    if kind.__dictoffset__:
        yield Attributes._object
    if _slots_of(kind):
        yield Attributes._slots
    if not _is_library(kind.__module__):
        yield Attributes._of_a_class


_WAYS: dict[type, Callable[[Attributes, str, Any], None]] = {
    FunctionType: Attributes._function,
    MethodType: Attributes._method,
    BuiltinFunctionType: Attributes._builtin,
    MethodWrapperType: Attributes._builtin,
    functools.partial: Attributes._partial,
    staticmethod: Attributes._wrapped,
    classmethod: Attributes._wrapped,
    property: Attributes._wrapped,
    type(functools.lru_cache(lambda: None)): Attributes._remembering,
    type: Attributes._class,
    ModuleType: Attributes._held_module,
    list: Attributes._sequence,
    deque: Attributes._sequence,
    bytearray: Attributes._sequence,
    tuple: Attributes._elements,
    frozenset: Attributes._elements,
    set: Attributes._set,
    dict: Attributes._dict,
    np.ndarray: Attributes._array,
    np.random.Generator: Attributes._generator,
    np.random.BitGenerator: Attributes._generator,
    np.random.RandomState: Attributes._old_generator,
    random.Random: Attributes._python_generator,
    logging.Logger: Attributes._logger,
}


def _slots_of(kind: type) -> tuple[str, ...]:
    found: list[str] = []
    for each in kind.__mro__:
        slots = vars(each).get("__slots__", ())
        found += [slots] if isinstance(slots, str) else slots
    return tuple(name for name in found if name not in ("__dict__", "__weakref__"))


def _names_in(code: CodeType) -> tuple[tuple[str, ...], frozenset[str]]:
    """The globals that a code object reads or writes, and all names in it; inner functions' too."""
    globals_, names = set(), {*code.co_names, *code.co_freevars}
    for instruction in get_instructions(code):
        if instruction.opname.endswith(("_GLOBAL", "_NAME")):
            globals_.add(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            inner, every = _names_in(constant)
            globals_.update(inner)
            names |= every
    return tuple(sorted(globals_)), frozenset(names)


def _can_be_unlocked(array: np.ndarray) -> bool:
    """Whether an array that was made read-only can be made writeable again."""
    return not isinstance(array.base, np.ndarray) or array.base.flags.writeable


def _alike(a: Iterable[Any], b: Iterable[Any]) -> bool:
    """Whether two of the same length have the very same elements."""
    return all(map(is_, a, b))


# Putting things back: each returns the name of what was changed, or None.


def _names_back(space: dict[str, Any], names: tuple[str, ...], before: list[Any]) -> str | None:
    changed = None
    for name, value in zip(names, before, strict=True):
        if space.get(name, _MISSING) is not value:
            changed = f"the global {name!r}"
            if value is _MISSING:
                del space[name]
            else:
                space[name] = value
    return changed


def _variable_back(label: str, cell: CellType, before: Any) -> str | None:
    try:
        if cell.cell_contents is before:
            return None
    except ValueError:
        if before is _MISSING:
            return None
    if before is _MISSING:
        del cell.cell_contents
    else:
        cell.cell_contents = before
    return f"the variable {label!r}"


def _cache_back(name: str, function: Any, before: Any) -> str | None:
    if function.cache_info() == before:
        return None
    function.cache_clear()
    return f"the cache of {name!r}"


def _space_back(label: str, space: dict[str, Any], before: dict[str, Any]) -> str | None:
    if space.keys() == before.keys() and _alike(space.values(), before.values()):
        return None
    every = {**before, **space}
    differing = [k for k in every if space.get(k, _MISSING) is not before.get(k, _MISSING)]
    space.clear()
    space.update(before)
    return f"the attribute {differing[0]!r}" if differing else f"{label!r}"


def _slots_back(value: Any, names: tuple[str, ...], before: list[Any]) -> str | None:
    changed = None
    for name, old in zip(names, before, strict=True):
        if getattr(value, name, _MISSING) is not old:
            changed = f"the attribute {name!r}"
            if old is _MISSING:
                object.__delattr__(value, name)
            else:
                object.__setattr__(value, name, old)
    return changed


def _class_back(kind: type, before: dict[str, Any]) -> str | None:
    now = dict(vars(kind))
    if len(now) == len(before) and _alike(now.values(), before.values()):
        return None
    changed = None
    for name in {**now, **before}:
        if now.get(name, _MISSING) is not before.get(name, _MISSING):
            changed = f"{kind.__name__}.{name}"
            if name in before:
                setattr(kind, name, before[name])
            else:
                delattr(kind, name)
    return changed


def _sequence_back(label: str, value: Any, before: list[Any]) -> str | None:
    if len(value) == len(before) and _alike(value, before):
        return None
    value.clear()
    value.extend(before)
    return f"{label!r}"


def _set_back(label: str, value: set[Any], before: set[Any]) -> str | None:
    if len(value) == len(before) and _alike(sorted(map(id, value)), sorted(map(id, before))):
        return None
    value.clear()
    value.update(before)
    return f"{label!r}"


def _dict_back(label: str, value: dict[Any, Any], before: dict[Any, Any]) -> str | None:
    same_keys = len(value) == len(before) and _alike(value, before)
    if same_keys and _alike(value.values(), before.values()):
        return None
    dict.clear(value)
    dict.update(value, before)
    return f"{label!r}"


def _objects_back(label: str, array: np.ndarray, before: np.ndarray) -> str | None:
    if _alike(array.ravel().tolist(), before.ravel().tolist()):
        return None
    array[...] = before
    return f"the array {label!r}"


def _array_back(label: str, array: np.ndarray, before: bytes) -> str | None:
    if array.tobytes() == before:
        return None
    array[...] = np.frombuffer(before, array.dtype).reshape(array.shape)
    return f"the array {label!r}"


def _tensor_back(
    label: str, tensor: Tensor, array: np.ndarray, grad: Tensor | None, serial: int | None
) -> str | None:
    record: Any = tensor if tensor._node is None else tensor._node
    change = record.change
    now = None if change is None else change.serial
    if tensor._data is array and tensor._grad is grad and (now or 0) == (serial or 0):
        return None
    tensor._data, tensor._grad = array, grad
    return f"the Tensor {tensor._name or label!r}"


def _bits_back(label: str, bits: Any, before: Any) -> str | None:
    if _same_state(bits.state, before):
        return None
    bits.state = before
    return f"the generator {label!r}"


def _old_generator_back(label: str, rng: np.random.RandomState, before: Any) -> str | None:
    if _same_state(rng.get_state(legacy=False), before):
        return None
    rng.set_state(before)
    return f"the generator {label!r}"


def _python_generator_back(label: str, rng: random.Random, before: Any) -> str | None:
    if rng.getstate() == before:
        return None
    rng.setstate(before)
    return f"the generator {label!r}"


def _same_state(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return all(_same_state(a[key], b[key]) for key in a)
    return bool(np.array_equal(a, b))
