"""What holds for the code that runs now: is a graph recorded, and in which scope.

The state is context-local, so threads and async tasks don't see each other's switches.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, TypeVar

_F = TypeVar("_F", bound=Callable[..., Any])
_STEP = re.compile(r"t=(-?\d+)")


class Scope:
    """A place in the model, such as ``encoder.l0[t=3]``: a linked list of names.

    Nodes keep a reference to the scope they were made in. `backward` marks operations that a
    backward pass made; they stand in the scope of the operation they differentiate.
    """

    __slots__ = ("_reverse", "backward", "name", "parent")

    def __init__(self, name: str, parent: Scope | None, backward: bool = False) -> None:
        self.name = name
        self.parent = parent
        self.backward = backward
        self._reverse: Scope | None = None

    def names(self) -> tuple[str, ...]:
        """The names from the outermost scope to this one."""
        found = []
        scope: Scope | None = self
        while scope is not None and scope.parent is not None:
            found.append(scope.name)
            scope = scope.parent
        return tuple(reversed(found))

    def reversed(self) -> Scope:
        """The same place, for operations made by a backward pass."""
        if self.backward:
            return self
        if self._reverse is None:
            self._reverse = Scope(self.name, self.parent, backward=True)
        return self._reverse

    def __str__(self) -> str:
        return join_names(self.names())


def join_names(names: tuple[str, ...]) -> str:
    """Dotted names, with steps in brackets.

    >>> join_names(("lstm", "l0", "t=3", "matmul"))
    'lstm.l0[t=3].matmul'
    """
    text = ""
    for name in names:
        if "=" in name:
            text += f"[{name}]"
        else:
            text += f".{name}" if text else name
    return text


def step_number(name: str) -> int | None:
    """The number of a time step, of a scope named ``t=<number>``; None for any other scope.

    >>> step_number("t=12"), step_number("l0")
    (12, None)
    """
    match = _STEP.fullmatch(name)
    return int(match[1]) if match else None


class Context:
    """The switches of the running code, replaced as a whole and never changed in place.

    Attributes:
        recording: whether operations make nodes.
        scope: where they stand.
        anomaly: whether every array is looked at for NaN.
        record: the `Recording` that notes the values and gradients of nodes, or None.
        tracer: what writes operations down in place of recording them, or None.
    """

    __slots__ = ("anomaly", "record", "recording", "scope", "tracer")

    def __init__(
        self,
        recording: bool,
        scope: Scope,
        anomaly: bool = False,
        record: Any = None,
        tracer: Any = None,
    ) -> None:
        self.recording = recording
        self.scope = scope
        self.anomaly = anomaly
        self.record = record
        self.tracer = tracer


_OUTSIDE = Context(recording=True, scope=Scope("", None))
_context: ContextVar[Context] = ContextVar("tinygrad_rnn", default=_OUTSIDE)

current: Callable[[], Context] = _context.get


class _Switch:
    """A context manager that replaces the context; also usable as a decorator."""

    # A stack, so that one object can be entered again while it is active.
    __slots__ = ("_tokens",)

    def __init__(self) -> None:
        self._tokens: list[Token[Context]] = []

    def _next(self, now: Context) -> Context:
        raise NotImplementedError

    def __enter__(self) -> None:
        self._tokens.append(_context.set(self._next(_context.get())))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _context.reset(self._tokens.pop())

    def _fresh(self) -> _Switch:
        return type(self)()

    def __call__(self, function: _F) -> _F:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self._fresh():
                return function(*args, **kwargs)

        return wrapped  # type: ignore[return-value]


class no_grad(_Switch):
    """No graph is recorded inside: results have no gradient.

    >>> import tinygrad_rnn as tg
    >>> w = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> with tg.no_grad():
    ...     y = w * 2
    >>> y.requires_grad
    False
    """

    def _next(self, now: Context) -> Context:
        return Context(False, now.scope, now.anomaly, now.record, now.tracer)


class enable_grad(_Switch):
    """A graph is recorded inside, also within `no_grad`.

    >>> import tinygrad_rnn as tg
    >>> w = tg.Tensor(3.0, requires_grad=True)
    >>> with tg.no_grad(), tg.enable_grad():
    ...     y = w * 2
    >>> y.requires_grad
    True
    """

    def _next(self, now: Context) -> Context:
        return Context(True, now.scope, now.anomaly, now.record, now.tracer)


class scope(_Switch):
    """Names the operations made inside: ``with scope("t=3"):``.

    Scopes nest. Names of the form ``t=<number>`` are time steps: pictures box and number them.

    >>> import tinygrad_rnn as tg
    >>> w = tg.Tensor([1.0], requires_grad=True)
    >>> with tg.scope("encoder"), tg.scope("t=3"):
    ...     h = tg.tanh(w)
    >>> h
    Tensor([0.76159416], requires_grad=True, made by encoder[t=3].tanh)
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        super().__init__()
        if not isinstance(name, str) or not name:
            raise TypeError(f"scope() takes a name such as 't=3', got {name!r}")
        self.name = name

    def _next(self, now: Context) -> Context:
        return Context(
            now.recording, Scope(self.name, now.scope), now.anomaly, now.record, now.tracer
        )

    def _fresh(self) -> scope:
        return scope(self.name)


class detect_anomaly(_Switch):
    """Inside, the operation that makes the first NaN or infinity raises, forward or backward.

    The message names the operation, its scope, and the line of the user's code. What operations
    keep for the backward pass is fingerprinted, so that writing into it is noticed too. For finding
    errors only: every array is looked at.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> x = tg.Tensor([1.0, 0.0], requires_grad=True)
    >>> with tg.detect_anomaly(), np.errstate(divide="ignore"):
    ...     tg.sqrt(x).sum().backward()
    Traceback (most recent call last):
        ...
    tinygrad_rnn.core.errors.AnomalyError: the derivative of sqrt made inf at [1] ...
    """

    def _next(self, now: Context) -> Context:
        return Context(now.recording, now.scope, True, now.record, now.tracer)


class within(_Switch):
    """Inside, the context is exactly the one given (the engine's backward pass uses it)."""

    __slots__ = ("context",)

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.context = context

    def _next(self, now: Context) -> Context:
        return self.context

    def _fresh(self) -> within:
        return within(self.context)
