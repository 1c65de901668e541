"""A primitive's call and its pullback as straight-line code, made once for each primitive.

Every operation of every step runs through these two functions. A loop over the arguments would cost
as much as the NumPy call it surrounds, so the loop is unrolled here, as text, for each signature.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

OUT = -1  # stands for the result among positions of arguments

_CALL = """\
def {name}({signature}, **unknown):
    if unknown:
        self._refuse(*unknown)
    if {bare}:
        return forward({names})
    mask = 0
    tensor = unusual = False
{arguments}
    if unusual and (admitted := self._admit(({names}))) is not None:
        return self(*admitted)
    if not tensor:
        return forward({names})
    context = current()
    if context.tracer is not None:
        return context.tracer.traced(self, ({values}), ({records}))
    try:
        out = forward({values})
    except (ValueError, TypeError, IndexError) as error:
        self._fail(error, ({values}))
    if not (mask and context.recording):
        return without_node(self, out, ({values}), ({names}))
    return with_node(self, out, ({values}), ({records}), mask, context)
"""

_ARRAY = """\
    if isinstance({name}, Tensor):
        tensor = True
        {name}_value = {name}._data
        if {name}._requires_grad:
            mask |= {bit}
            {name}_record = {name}._node or {name}
        else:
            {name}_record = {name}._node or constant({name})
    elif type({name}) is ndarray and {name}.dtype is not objects:
        {name}_value = {name}
        {name}_record = Constant({name}.shape, {name}.dtype)
    else:
        {name}_value = {name}_record = {name}
        if type({name}) not in scalars:
            unusual = True
"""


_BARE = "({name} is None or type({name}) is ndarray and {name}.dtype is not objects)"


def compile_call(
    function: Callable[..., Any], arrays: Iterable[str], bits: Mapping[str, int], names: Any
) -> Callable[..., Any]:
    """The call of a primitive: unwraps Tensors, runs `function`, records a node if need be.

    Args:
        function: the forward.
        arrays: which of its arguments are arrays.
        bits: for each argument with a rule, its bit in the mask of those that need gradients.
        names: what the text refers to.
    """
    signature = inspect.signature(function)
    parameters = [
        p.replace(annotation=p.empty, default=p.empty if p.default is p.empty else _Name(p.name))
        for p in signature.parameters.values()
    ]
    self_parameter = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    defaults = {f"_default_{n}": p.default for n, p in signature.parameters.items()}
    every = list(signature.parameters)
    source = _CALL.format(
        name=function.__name__,
        signature=str(inspect.Signature([self_parameter, *parameters]))[1:-1],
        bare=" and ".join(_BARE.format(name=n) for n in arrays) or "False",
        arguments="".join(_ARRAY.format(name=n, bit=bits.get(n, 0)) for n in arrays),
        names=_tuple(every),
        values=_tuple(f"{n}_value" if n in arrays else n for n in every),
        # a list that the caller changes later must not change what the rules see
        records=_tuple(
            f"{n}_record" if n in arrays else f"[*{n}] if type({n}) is list else {n}" for n in every
        ),
    )
    space = {**names, **defaults, "forward": function}
    exec(compile(source, f"<call of {function.__name__}>", "exec"), space)
    made: Callable[..., Any] = space[function.__name__]
    return made


class _Name:
    """Stands for a parameter's default value in the text of a signature."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"_default_{self.name}"


class Plan(NamedTuple):
    """For one set of arguments that need gradients: what is kept, and how a cotangent goes back.

    Attributes:
        keep: (values, out) -> the arrays to save.
        pullback: (g, saved, arguments) -> pairs (argument, its cotangent).
        kept: positions of the saved arrays, OUT for the result.
        mask: one bit for each argument that needs a gradient.
    """

    keep: Callable[[Sequence[Any], Any], tuple[Any, ...]]
    pullback: Callable[[Any, Any, Any], Iterable[tuple[Any, Any]]]
    kept: tuple[int, ...]
    mask: int


def compile_plan(
    names: Sequence[str],
    arrays: Sequence[str],
    rules: Mapping[str, Callable[..., Any]],
    pulled: Mapping[str, Callable[..., Any]],
    mask: int,
) -> Plan:
    """The plan that keeps what `rules` name, and pulls back through `pulled`, some of them.

    Raises:
        TypeError: if a rule names something that is not to be had.
    """
    needs = {need for rule in rules.values() for need in inspect.signature(rule).parameters}
    kept = [i for i, name in enumerate(names) if name in needs and name in arrays]
    sources = {names[i]: f"saved[{slot}]" for slot, i in enumerate(kept)}
    if "out" in needs:
        sources["out"] = f"saved[{len(kept)}]"
    keep = [*(f"values[{i}]" for i in kept), *(["out"] if "out" in needs else [])]
    pairs = [
        f"(arguments[{names.index(name)}], rule_{name}({sources_of(rule, names, arrays, sources)}))"
        for name, rule in pulled.items()
    ]
    return Plan(
        keep=_function(f"lambda values, out: ({_tuple(keep)})"),
        pullback=_function(
            f"lambda g, saved, arguments: ({_tuple(pairs)})",
            **{f"rule_{name}": rule for name, rule in pulled.items()},
        ),
        kept=(*kept, OUT) if "out" in needs else tuple(kept),
        mask=mask,
    )


def compile_variadic_plan(
    names: Sequence[str], rule: Callable[..., Any], has_gradient: Callable[[Any], bool]
) -> Plan:
    """The plan of a primitive ``f(attribute, ..., *arrays)`` with its one rule."""
    first, name = len(names) - 1, names[-1]
    keep = f"tuple(values[{first}:])" if name in inspect.signature(rule).parameters else "()"
    call = f"rule({sources_of(rule, names, [name], {name: 'saved'})})"
    return Plan(
        keep=_function(f"lambda values, out: {keep}"),
        pullback=_function(
            f"lambda g, saved, arguments: [pair for pair in zip(arguments[{first}:], {call})"
            " if has_gradient(pair[0])]",
            rule=rule,
            has_gradient=has_gradient,
        ),
        kept=(),
        mask=1,
    )


def sources_of(
    rule: Callable[..., Any],
    names: Sequence[str],
    arrays: Sequence[str],
    sources: Mapping[str, str],
) -> str:
    """The text of the arguments of a rule's call, each taken from where it is to be had."""
    found = []
    for need in inspect.signature(rule).parameters:
        name, _, what = need.rpartition("_")
        if need == "g":
            found.append("g")
        elif need in sources:
            found.append(sources[need])
        elif need in names:
            found.append(f"arguments[{names.index(need)}]")
        elif what in ("shape", "dtype") and name in arrays:
            found.append(f"arguments[{names.index(name)}].{what}")
        else:
            raise TypeError(
                f"{rule.__name__} asks for {need!r}; a rule can have g, out, {', '.join(names)}, "
                "and <array>_shape, <array>_dtype"
            )
    return ", ".join(found)


def _tuple(parts: Iterable[str]) -> str:
    return "".join(f"{part}, " for part in parts)


def _function(source: str, **names: Any) -> Callable[..., Any]:
    function: Callable[..., Any] = eval(source, names)
    return function
