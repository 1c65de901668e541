"""Primitives: a plain-NumPy forward with one rule per differentiable argument beneath it.

    @primitive(numpy=np.multiply)
    def multiply(a: Array, b: Array) -> Array:
        "out = a * b, elementwise"
        return np.multiply(a, b)

    multiply.vjp(
        a=lambda g, b: g * b,
        b=lambda g, a: g * a,
    )

A rule computes the vector-Jacobian product: from `g`, the gradient of the final result with respect
to `out`, the gradient with respect to its argument. *The names of a rule's parameters say what it
needs*: `g`; `out`; any argument of the forward; `a_shape` and `a_dtype` of an argument `a`. Only
the arrays that are named are kept until the backward pass.

Rules are written in operators and NumPy functions, so they run on ndarrays (a first-order backward
pass makes no Tensor) and on Tensors (then the backward pass is itself a graph). They needn't think
of broadcasting: the engine sums a gradient over the axes that broadcasting added.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Annotated, Any, Generic, NoReturn, ParamSpec, TypeAlias, TypeVar

import numpy as np

from .anomaly import watch_forward
from .compiled import Plan, compile_call, compile_plan, compile_variadic_plan
from .context import Context, current, join_names
from .errors import DtypeError, ShapeError, UnsupportedOperation, did_you_mean
from .graph import Constant, Node, Output, leads_to

P = ParamSpec("P")

# Marks, in a forward's signature, the arguments that are arrays: ndarrays inside the forward;
# Tensors, ndarrays, numbers or lists for the caller. All others are plain values such as an axis.
Array: TypeAlias = Annotated[Any, "array"]

registry: dict[str, Primitive[Any]] = {}
composites: dict[str, Callable[..., Any]] = {}
numpy_functions: dict[Any, Callable[..., Any]] = {}

_Tensor: Any = ()  # the Tensor type, and how lists become Tensors: see register_tensor
_from_sequence: Callable[[Any], Any] = np.asarray
_OBJECT = np.dtype(object)
_new = object.__new__


def register_tensor(tensor_type: type, from_sequence: Callable[[Any], Any]) -> None:
    """Tells the core which type wraps results, and how nested lists with Tensors become one."""
    global _Tensor, _from_sequence
    _Tensor, _from_sequence = tensor_type, from_sequence
    _call_names["Tensor"] = tensor_type
    for operation in registry.values():
        operation._recompile()


class Primitive(Generic[P]):
    """An operation: on ndarrays it is plain NumPy, on Tensors it is recorded and differentiable.

    Each primitive is the only instance of a class of its own, whose call is compiled for it when it
    is first called.

    Attributes:
        name: as in the graph and in messages.
        names: of all arguments; `arrays`: of those that are arrays.
        rules: the rule of each differentiable argument.
        view: whether the result may share memory with the first argument.
    """

    def __init__(
        self, forward: Callable[P, Any], view: bool = False, hint: Callable[..., str] | None = None
    ) -> None:
        self.forward: Callable[..., Any] = forward
        self.__wrapped__ = forward
        self.__module__ = forward.__module__
        self.__doc__ = forward.__doc__
        self.__name__ = self.__qualname__ = self.name = forward.__name__.lstrip("_")
        self.view = view
        self._hint = hint or broadcasting_hint
        self.rules: dict[str, Callable[..., Any]] = {}
        parameters = inspect.signature(forward).parameters
        self.names = tuple(parameters)
        self.arrays = tuple(n for n, p in parameters.items() if _is_array(p.annotation))
        self._plans: dict[Any, Plan] = {}

    def vjp(self, **rules: Callable[..., Any]) -> None:
        """Gives the rule of each differentiable argument, by the argument's name."""
        for name, rule in rules.items():
            if name not in self.arrays:
                raise TypeError(f"{self.name} has no array argument {name!r} to give a rule for")
            _label(rule, f"{self.name}.vjp({name})")
            self.rules[name] = rule
        self._plans.clear()
        self._recompile()

    def _recompile(self) -> None:
        """Has the call compiled anew, as something that it is made of has changed."""
        if "__call__" in vars(type(self)):
            del type(self).__call__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Gives the class of this primitive its compiled call, and calls that."""
        bits = {n: 1 << i for i, n in enumerate(self.names) if n in self.rules}
        call = compile_call(self.forward, self.arrays, bits, _call_names)
        type(self).__call__ = call  # type: ignore[method-assign]
        return call(self, *args, **kwargs)

    def _admit(self, bound: Sequence[Any]) -> list[Any] | None:
        """The arguments with lists and object arrays as one array each, if there are any."""
        admitted = [
            _array_like(value) if name in self.arrays else value
            for name, value in zip(self.names, bound, strict=True)
        ]
        changed = any(new is not old for new, old in zip(admitted, bound, strict=True))
        return admitted if changed else None

    def plan(self, mask: int) -> Plan:
        """The plan for the arguments in `mask`."""
        found = self._plans.get(mask)
        if found is None:
            rules = self._rules(mask)
            found = compile_plan(self.names, self.arrays, rules, rules, mask)
            self._plans[mask] = found
        return found

    def narrowed(self, node: Node, useful: set[Any]) -> Plan:
        """The plan of `node`, pulling back only to arguments in `useful`."""
        mask = node.plan.mask
        pull = 0
        for i, argument in enumerate(node.arguments):
            if mask >> i & 1 and leads_to(argument, useful):
                pull |= 1 << i
        found = self._plans.get((mask, pull))
        if found is None:
            found = compile_plan(
                self.names, self.arrays, self._rules(mask), self._rules(pull), mask
            )
            self._plans[mask, pull] = found
        return found

    def _rules(self, mask: int) -> dict[str, Callable[..., Any]]:
        return {n: self.rules[n] for i, n in enumerate(self.names) if mask >> i & 1}

    def _refuse(self, name: str, *others: str) -> NoReturn:
        """Raises for a keyword that this operation hasn't, naming the one that is meant."""
        meant = {"dim": "axis", "keepdim": "keepdims"}.get(name, "")
        hint = f" Here it is {meant!r}." if meant in self.names else did_you_mean(name, self.names)
        raise UnsupportedOperation(
            f"{self.name}() has no argument {name!r}; it takes {', '.join(self.names)}.{hint}"
        )

    def _fail(self, error: Exception, values: Sequence[Any]) -> NoReturn:
        """Raises `error` again with the place, the shapes and the remedy."""
        place = join_names((*current().scope.names(), self.name))
        arrays = [v for n, v in zip(self.names, values, strict=False) if n in self.arrays]
        shapes = " and ".join(str(np.shape(v)) for v in arrays)
        try:
            hint = self._hint(*values)
        except Exception:
            hint = ""
        text = f"{place}: {hint or error} (shapes {shapes})"
        for kind in (np.linalg.LinAlgError, IndexError):
            if isinstance(error, kind):
                raise kind(text) from error
        raise (ShapeError if isinstance(error, ValueError) else DtypeError)(text) from error

    def __reduce__(self) -> tuple[Any, ...]:
        return registered, (
            self.name,
        )  # a copy is the operation itself, and so is what is unpickled

    def __repr__(self) -> str:
        return f"<primitive {self.name}({', '.join(self.names)})>"


def registered(name: str) -> Primitive[Any]:
    """The operation of that name."""
    return registry[name]


class VariadicPrimitive(Primitive[P]):
    """An operation on any number of arrays: ``f(attribute, ..., *arrays)``.

    Its one rule, for `arrays`, returns a sequence with one cotangent for each of them.
    """

    def _recompile(self) -> None:
        pass

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        # The arguments are as many as they come: a loop it is.
        first = len(self.names) - 1
        arrays = [_array_like(a) for a in args[first:]]
        tensors = [a for a in arrays if isinstance(a, _Tensor)]
        bound = [*args[:first], *arrays]
        if not tensors:
            return self.forward(*bound)
        values = [a._data if isinstance(a, _Tensor) else a for a in bound]
        context = current()
        if context.tracer is not None:
            return context.tracer.traced(self, values, [_record(a) for a in bound])
        try:
            out = self.forward(*values)
        except (ValueError, TypeError, IndexError) as error:
            self._fail(error, values)
        if not (context.recording and any(t._requires_grad for t in tensors)):
            return _without_node(self, out, values, bound)
        return _with_node(self, out, values, tuple([_record(a) for a in bound]), 1, context)

    def plan(self, mask: int) -> Plan:
        if not self._plans:
            (rule,) = self.rules.values()
            self._plans[mask] = compile_variadic_plan(self.names, rule, has_gradient)
        return self._plans[mask]

    def narrowed(self, node: Node, useful: set[Any]) -> Plan:
        return node.plan


def primitive(
    *,
    numpy: Any = (),
    view: bool = False,
    hint: Callable[..., str] | None = None,
) -> Callable[[Callable[P, Any]], Primitive[P]]:
    """Makes a plain-NumPy function, its arrays annotated `Array`, a differentiable operation.

    Args:
        numpy: NumPy's own function (or several) that this is on Tensors.
        view: whether the result may share memory with the first argument.
        hint: called with the arguments when the forward failed; says what would make them fit.
    """

    def decorate(forward: Callable[P, Any]) -> Primitive[P]:
        variadic = any(
            p.kind is p.VAR_POSITIONAL for p in inspect.signature(forward).parameters.values()
        )
        kind = VariadicPrimitive if variadic else Primitive
        name = forward.__name__.lstrip("_")
        if name in registry and registry[name].__module__ != forward.__module__:
            raise ValueError(
                f"there is an operation {name!r} already, in {registry[name].__module__}"
            )
        made: Primitive[P] = type(kind.__name__, (kind,), {})(forward, view, hint)
        registry[made.name] = made
        for function in numpy if isinstance(numpy, tuple) else (numpy,):
            numpy_functions[function] = made
        return made

    return decorate


_F = TypeVar("_F", bound=Callable[..., Any])


def composite(*functions: Any) -> Callable[[_F], _F]:
    """Registers a function made of primitives, as NumPy's own `functions` (if any) on Tensors."""

    def decorate(function: _F) -> _F:
        composites[function.__name__] = function
        for each in functions:
            numpy_functions[each] = function
        return function

    return decorate


def wrap(data: Any, node: Node | Output | None = None) -> Any:
    """A Tensor of `data`, the result of `node`."""
    tensor = _new(_Tensor)
    tensor._data = data if type(data) is np.ndarray else np.asarray(data)
    tensor._node = node
    tensor._requires_grad = node is not None
    tensor._grad = None
    tensor._name = None
    tensor.change = None
    return tensor


def is_tensor(value: Any) -> bool:
    """True for a Tensor."""
    return isinstance(value, _Tensor)


def has_gradient(record: Any) -> bool:
    """Whether cotangents are wanted for an argument of a node."""
    return isinstance(record, (Node, Output)) or is_tensor(record)


def _with_node(
    operation: Primitive[Any],
    out: Any,
    values: Sequence[Any],
    records: tuple[Any, ...],
    mask: int,
    context: Context,
) -> Any:
    """The result of an operation as Tensors, with the node that made them."""
    plan = operation._plans.get(mask) or operation.plan(mask)
    if type(out) is tuple:
        shape, dtype = tuple([o.shape for o in out]), tuple([o.dtype for o in out])
    else:
        if type(out) is not np.ndarray:
            out = np.asarray(out)
        shape, dtype = out.shape, out.dtype
    node = Node(operation, records, plan.keep(values, out), plan, shape, dtype, context.scope)
    if context.anomaly:
        watch_forward(node.place, out, values, node)
    if type(out) is not tuple:
        if context.record is not None:
            context.record.note_forward([node], [out], records, values)
        return wrap(out, node)
    outputs = [Output(node, i, o.shape, o.dtype) for i, o in enumerate(out)]
    if context.record is not None:
        context.record.note_forward(outputs, out, records, values)
    return tuple([wrap(o, record) for o, record in zip(out, outputs, strict=True)])


def _without_node(
    operation: Primitive[Any], out: Any, values: Sequence[Any], bound: Sequence[Any]
) -> Any:
    """The result of an operation as Tensors without a gradient."""
    context = current()
    if context.anomaly:
        watch_forward(join_names((*context.scope.names(), operation.name)), out, values, None)
    results = tuple([wrap(o) for o in (out if type(out) is tuple else (out,))])
    if operation.view and isinstance(bound[0], _Tensor):
        for result in results:  # they show the same memory, so they change together
            result.change = bound[0]._shared_change()
    return results if type(out) is tuple else results[0]


def _constant(tensor: Any) -> Constant:
    """The record of a Tensor without a gradient, made when it is first used."""
    record = Constant(tensor._data.shape, tensor._data.dtype, tensor._name)
    record.change = tensor.change
    tensor._node = record
    return record


def _record(value: Any) -> Any:
    """What a node keeps of an argument: its record if it is an array, else the value itself."""
    if isinstance(value, _Tensor):
        return value._node or (value if value._requires_grad else _constant(value))
    return Constant(value.shape, value.dtype) if isinstance(value, np.ndarray) else value


# What the text of a compiled call refers to.
_call_names: dict[str, Any] = {
    "current": current,
    "Constant": Constant,
    "constant": _constant,
    "ndarray": np.ndarray,
    "objects": _OBJECT,
    "with_node": _with_node,
    "without_node": _without_node,
    "scalars": frozenset((float, int, bool, type(None))),
    "Tensor": _Tensor,
}


def _is_array(annotation: Any) -> bool:
    """Whether a parameter's annotation, as an object or as text, is `Array`."""
    text = annotation.rpartition(".")[2] if isinstance(annotation, str) else ""
    return text == "Array" or annotation == Array


def _array_like(value: Any) -> Any:
    """Lists and object arrays as one Tensor or ndarray; anything else as it is."""
    if isinstance(value, (list, tuple)) or getattr(value, "dtype", None) is _OBJECT:
        return _from_sequence(value)
    if isinstance(value, np.ndarray) and type(value) is not np.ndarray:
        kind = type(value).__name__
        if kind in ("matrix", "MaskedArray"):
            raise UnsupportedOperation(
                f"a NumPy {kind} has rules of its own, which Tensors don't follow: convert it with "
                "np.asarray (a masked array with .filled(0) and a mask)"
            )
        return value.view(np.ndarray)
    return value


def _label(rule: Callable[..., Any], name: str) -> None:
    """Gives a lambda the name that tracebacks should show."""
    if isinstance(rule, FunctionType) and rule.__name__ == "<lambda>":
        rule.__name__ = rule.__qualname__ = name
        rule.__code__ = rule.__code__.replace(co_name=name)


def broadcasting_hint(*values: Any) -> str:
    """Which axes keep shapes from broadcasting; empty if that is not what is wrong."""
    shapes = [np.shape(v) for v in values if isinstance(v, (np.ndarray, np.generic))]
    for axis in range(1, max(map(len, shapes), default=0) + 1):
        sizes = {shape[-axis] for shape in shapes if len(shape) >= axis} - {1}
        if len(sizes) > 1:
            met = " meets ".join(map(str, sorted(sizes)))
            return (
                f"the shapes don't broadcast: on axis -{axis}, {met}; axes are aligned from the "
                "right, and must be equal or 1"
            )
    return ""
