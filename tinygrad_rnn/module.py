"""Module and Parameter: objects that hold what is learnt, and know it by name."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import numpy as np

from .core.context import scope
from .core.errors import DtypeError, did_you_mean
from .tensor import Tensor, as_tensor

M = TypeVar("M", bound="Module")


class Parameter(Tensor):
    """A Tensor that a Module learns: a leaf that requires a gradient.

    Its name is where it stands in the outermost module, such as ``encoder.weight_ih_l0``.

    Args:
        data: the initial values, copied.
        requires_grad: False for a parameter that stays as it is.

    >>> import tinygrad_rnn as tg
    >>> layer = tg.nn.Linear(2, 1)
    >>> layer.weight.name
    'weight'
    """

    __slots__ = ("_place",)

    def __init__(
        self, data: Any, requires_grad: bool = True, dtype: Any = None, name: str | None = None
    ) -> None:
        super().__init__(data, dtype=dtype)
        self._node = None
        self._requires_grad = False
        self.requires_grad = requires_grad
        self._name = name
        self._place = _Place()

    @property
    def name(self) -> str | None:
        return self._name or self._place.dotted()

    @name.setter
    def name(self, value: str | None) -> None:
        self._name = value

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        self._place = _Place()

    def __getstate__(self) -> Any:
        return {**super().__getstate__(), "name": self._name}


class _Place:
    """Where a module or parameter stands: under which name in which module."""

    def __init__(self) -> None:
        self.name: str | None = None
        self.owner: Callable[[], Module | None] = lambda: None

    def take(self, name: str, owner: Module) -> None:
        """The first name stays, as long as its module is there."""
        if self.name is None or self.owner() is None:
            self.move(name, owner)

    def move(self, name: str, owner: Module) -> None:
        self.name = name
        self.owner = weakref.ref(owner)

    def dotted(self) -> str | None:
        owner = self.owner()
        outer = owner._place.dotted() if owner is not None else None
        return f"{outer}.{self.name}" if outer else self.name


class _ModuleType(type):
    """Names the right keyword when a constructor is given a wrong one."""

    @property
    def __signature__(cls) -> inspect.Signature:
        init = inspect.signature(cls.__init__)  # type: ignore[misc]
        return init.replace(parameters=list(init.parameters.values())[1:])

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        known = accepted_arguments(cls)
        for name in kwargs:
            if known is not None and name not in known:
                raise TypeError(
                    f"{cls.__name__} has no argument {name!r}.{did_you_mean(name, known)} "
                    f"It takes {', '.join(known)}."
                )
        return super().__call__(*args, **kwargs)


def accepted_arguments(maker: Callable[..., Any]) -> list[str] | None:
    """The names of the arguments that a class or function takes; None if it takes any.

    What a class takes as ``**options`` it hands on to the class it derives from.
    """
    makers: list[Any] = [maker]
    if isinstance(maker, type):
        makers = [vars(c)["__init__"] for c in maker.__mro__[:-1] if "__init__" in vars(c)]
    names: list[str] = []
    for function in makers:
        parameters = inspect.signature(function).parameters.values()
        options = [p.name for p in parameters if p.kind is p.VAR_KEYWORD]
        names += [p.name for p in parameters if p.name not in ("self", *options, *names)]
        if not options:
            return names
    return None if makers else []


class Module(metaclass=_ModuleType):
    """Something with parameters that is called like a function.

    Subclasses assign Parameters and Modules to attributes (also in lists, tuples and dicts) and
    define `forward`. Operations made inside are recorded under the attribute's name.

    >>> import tinygrad_rnn as tg
    >>> class Classifier(tg.nn.Module):
    ...     def __init__(self):
    ...         self.lstm = tg.nn.LSTM(8, 16)
    ...         self.out = tg.nn.Linear(16, 2)
    ...     def forward(self, x):
    ...         states, _ = self.lstm(x)
    ...         return self.out(states[-1])
    >>> [name for name, _ in Classifier().named_parameters()][-2:]
    ['out.weight', 'out.bias']
    """

    training: bool = True
    _place: _Place
    _unlisted = frozenset({"_place"})  # attributes that hold no parameters of the module's own

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        module = super().__new__(cls)
        module.__dict__["_place"] = _Place()
        return module

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes."""
        raise NotImplementedError(f"{type(self).__name__} has no forward method")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with scope(self._scope_name()):
            result = self.forward(*args, **kwargs)
        for look in _lookers.get():
            look(self, args, result)
        return result

    def _scope_name(self) -> str:
        """The name that operations made inside are recorded under."""
        return self._place.name or type(self).__name__.lower()

    def __setattr__(self, name: str, value: Any) -> None:
        self._check_replacement(name, vars(self).get(name), value)
        if name not in self._unlisted:
            for suffix, member in _members(value):
                member._place.take(name + suffix, self)
        object.__setattr__(self, name, value)

    def _check_replacement(self, name: str, old: Any, value: Any) -> None:
        if isinstance(old, Parameter) and not _may_replace(value):
            raise TypeError(
                f"{type(self).__name__}.{name} is a Parameter: replace it by nn.Parameter(...), by "
                "None, or by the result of a differentiable computation, not by a "
                f"{type(value).__name__}; to set its values, {name}.data = ..."
            )

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k != "_place"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)

    @property
    def title(self) -> str:
        """What messages call it: its type, and its dotted name in the outermost module."""
        name = self._place.dotted()
        return f"{type(self).__name__} {name!r}" if name else type(self).__name__

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the first parameter held directly, or else inside; float32 without any."""
        for value in vars(self).values():
            if isinstance(value, Parameter):
                return value.data.dtype
        inside = next(self.parameters(), None)
        return np.dtype(np.float32) if inside is None else inside.dtype

    def _own(self) -> Iterator[tuple[str, Parameter | Module]]:
        """The parameters and modules held directly, by name."""
        for name, value in vars(self).items():
            if name not in self._unlisted:
                for suffix, member in _members(value):
                    member._place.take(name + suffix, self)  # it may have joined a list later
                    yield name + suffix, member

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all inside it, with their dotted names; each once."""
        seen = set()
        pending: list[tuple[str, Module]] = [(prefix, self)]
        while pending:
            name, module = pending.pop(0)
            if id(module) in seen:
                continue
            seen.add(id(module))
            yield name, module
            inner = [
                (f"{name}.{n}" if name else n, m) for n, m in module._own() if isinstance(m, Module)
            ]
            pending = inner + pending

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their dotted names; a shared one once, under its first name."""
        seen = set()
        for prefix, module in self.named_modules():
            for name, member in module._own():
                if isinstance(member, Parameter) and id(member) not in seen:
                    seen.add(id(member))
                    yield (f"{prefix}.{name}" if prefix else name), member

    def parameters(self) -> Iterator[Parameter]:
        """All parameters, each once."""
        return (parameter for _, parameter in self.named_parameters())

    def modules(self) -> Iterator[Module]:
        """This module and all inside it, each once."""
        return (module for _, module in self.named_modules())

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Sets the gradient of every parameter to None (or to zeros)."""
        for parameter in self.parameters():
            parameter.grad = None if set_to_none else np.zeros_like(parameter.data)

    def train(self: M, mode: bool = True) -> M:
        """Switches dropout and the like on (or off) in this module and all inside; returns it."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: M) -> M:
        """Switches dropout and the like off; returns the module."""
        return self.train(False)

    def to(self: M, dtype: Any) -> M:
        """Converts all parameters to a floating dtype in place; returns the module."""
        if np.dtype(dtype).kind != "f":
            raise DtypeError(f"parameters need a floating dtype, not {np.dtype(dtype)}")
        for parameter in self.parameters():
            parameter.data = parameter.data.astype(dtype)
            parameter.grad = None
        return self

    def double(self: M) -> M:
        """Converts all parameters to float64; returns the module."""
        return self.to(np.float64)

    def float(self: M) -> M:
        """Converts all parameters to float32; returns the module."""
        return self.to(np.float32)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of all parameters' values, by dotted name."""
        return {name: p.data.copy() for name, p in self._all_named("", ())}

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True
    ) -> tuple[list[str], list[str]]:
        """Takes the parameters' values from `state_dict`, cast to each parameter's dtype.

        Args:
            state_dict: name -> array (ndarray, Tensor, or anything NumPy reads).
            strict: whether missing and unexpected names are errors.

        Returns:
            The missing and the unexpected names.

        Raises:
            ValueError: listing every missing, unexpected or misshapen entry. Nothing is changed.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(
                f"load_state_dict takes a dict of name -> array, got {type(state_dict).__name__}"
            )
        own = dict(self._all_named("", ()))
        missing = [n for n in own if n not in state_dict]
        unexpected = [n for n in state_dict if n not in own]
        faults = []
        arrays = {}
        for n in own:
            if n in state_dict:
                try:
                    arrays[n] = np.array(_bare(state_dict[n]), dtype=own[n].dtype)
                except (TypeError, ValueError) as error:
                    faults.append(f"values: {n}: {error}")
        if strict:
            faults += [f"missing: {n} {own[n].shape}" for n in missing]
            faults += [f"unexpected: {n}.{did_you_mean(n, missing)}" for n in unexpected]
        faults += [
            f"shape: {n} is {own[n].shape}, got {a.shape}"
            for n, a in arrays.items()
            if a.shape != own[n].shape
        ]
        if faults:
            raise ValueError(
                f"load_state_dict of {type(self).__name__}, nothing was changed:\n  "
                + "\n  ".join(faults)
            )
        for name, array in arrays.items():
            own[name].data = array
        return missing, unexpected

    def _all_named(self, prefix: str, outer: tuple[Module, ...]) -> Iterator[tuple[str, Parameter]]:
        """All parameters under all their names (a shared one has several)."""
        members = list(self._own())
        for name, member in members:
            if isinstance(member, Parameter):
                yield prefix + name, member
        for name, member in members:
            if isinstance(member, Module) and not any(member is m for m in (*outer, self)):
                yield from member._all_named(f"{prefix}{name}.", (*outer, self))

    def extra_repr(self) -> str:
        """What stands in parentheses in the module's repr."""
        return ""

    def __repr__(self) -> str:
        inner = [(n, m) for n, m in self._own() if isinstance(m, Module)]
        if not inner:
            return f"{type(self).__name__}({self.extra_repr()})"
        lines = [f"  ({n}): " + repr(m).replace("\n", "\n  ") for n, m in inner]
        return f"{type(self).__name__}({self.extra_repr()}\n" + "\n".join(lines) + "\n)"


# Functions that are shown every call of a module; local to a thread or task, as all switches.
Looker = Callable[[Module, tuple[Any, ...], Any], None]
_lookers: ContextVar[tuple[Looker, ...]] = ContextVar("tinygrad_rnn.lookers", default=())


@contextmanager
def looking_on(look: Looker) -> Iterator[None]:
    """Inside, every call of a module is shown: ``look(module, args, result)``, inner calls first.

    >>> import tinygrad_rnn as tg
    >>> from tinygrad_rnn.module import looking_on
    >>> with looking_on(lambda module, args, result: print(module.title, result.shape)):
    ...     y = tg.nn.Sequential(tg.nn.Linear(2, 3), tg.nn.ReLU())(tg.Tensor([1.0, 2.0]))
    Linear '0' (3,)
    ReLU '1' (3,)
    Sequential (3,)
    """
    token = _lookers.set((*_lookers.get(), look))
    try:
        yield
    finally:
        _lookers.reset(token)


def floating(x: Any, module: Module, dtype: Any, part: str = "input") -> Tensor:
    """`x`, the input (or another part) of a module, as a Tensor of a dtype, differentiably.

    Raises:
        TypeError: if `x` holds integers or booleans, which have no gradient.
    """
    if isinstance(x, Tensor) and x.dtype == dtype:
        return x
    if isinstance(x, tuple) and (hasattr(x, "_fields") or any(isinstance(p, Tensor) for p in x)):
        raise DtypeError(
            f"the {part} of {module.title} must be one array, got a {type(x).__name__} of {len(x)} "
            "parts. A recurrent layer returns (output, state), the state of an LSTM is (h, c), and "
            "a PackedSequence has .data: give the part that is meant"
        )
    tensor = as_tensor(x)
    if tensor.dtype.kind != "f":
        raise DtypeError(
            f"the {part} of {module.title} must hold floating-point numbers, got {tensor.dtype}: "
            f"convert with x.astype(np.{np.dtype(dtype).name}), or give integers to an Embedding "
            "first"
        )
    return tensor if tensor.dtype == dtype else tensor.astype(dtype)


def _members(value: Any) -> Iterator[tuple[str, Parameter | Module]]:
    """The parameters and modules in an attribute's value, with what to add to its name."""
    if isinstance(value, (Parameter, Module)):
        yield "", value
        return
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, (list, tuple)):
        items = enumerate(value)
    elif isinstance(value, dict):
        items = value.items()
    for key, item in items:
        for suffix, member in _members(item):
            yield f".{key}{suffix}", member


def _bare(value: Any) -> np.ndarray:
    array = value.data if isinstance(value, Tensor) else np.asarray(value)
    if array.dtype.kind == "c":
        raise TypeError("complex numbers")
    return array


def _may_replace(value: Any) -> bool:
    """Whether a Parameter may give way to `value`."""
    if value is None or isinstance(value, Parameter):
        return True
    return isinstance(value, Tensor) and value.requires_grad and value._node is not None
