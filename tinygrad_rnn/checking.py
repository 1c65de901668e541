"""Gradients compared with numeric derivatives: `gradcheck` and `gradgradcheck`.

With random cotangents v, L(x) = Σ v · f(x) is a number. Its gradient by backpropagation is compared
with the central difference (L(x + ε) - L(x - ε)) / 2ε, for every element of every input.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .core.errors import GradientMismatch
from .derivatives import grad
from .module import Module
from .tensor import Tensor, as_tensor

# An element's tolerance is never larger than this share of the largest gradient of its array, so
# that small gradients aren't passed without a look. The noise of a central difference is allowed.
_SHARE = 1e-3
_NOISE = 1e-9

_RANDOM = (
    "{title}: two calls with the same inputs give different results. Is there randomness, such as "
    "dropout (module.eval()), or a state kept between calls?"
)


@dataclasses.dataclass(frozen=True)
class Element:
    """One element of a gradient, both ways; `note` is "kink" or "rounding" if that was seen."""

    index: tuple[int, ...]
    numeric: float
    analytic: float
    note: str = ""

    @property
    def absolute_error(self) -> float:
        """|analytic - numeric|"""
        return abs(self.analytic - self.numeric)

    @property
    def relative_error(self) -> float:
        """|analytic - numeric|, in units of the larger of the two."""
        larger = max(abs(self.analytic), abs(self.numeric))
        return self.absolute_error / larger if larger else 0.0


@dataclasses.dataclass(frozen=True)
class Row:
    """What was found for one input or parameter.

    Attributes:
        name: of the parameter, or "input 0".
        shape: of the input.
        relative_error: max |analytic - numeric| / max |numeric|.
        absolute_error: max |analytic - numeric|.
        wrong: the elements that are out of tolerance, the worst first.
    """

    name: str
    shape: tuple[int, ...]
    relative_error: float
    absolute_error: float
    wrong: tuple[Element, ...]


@dataclasses.dataclass(frozen=True)
class Report:
    """The result of a check: true if all gradients are right; prints as a table.

    Attributes:
        title: what was checked.
        rows: one for each input and parameter.
        hints: likely causes of what went wrong, and remarks.
    """

    title: str
    rows: tuple[Row, ...]
    hints: tuple[str, ...]

    def __bool__(self) -> bool:
        return not any(row.wrong for row in self.rows)

    @property
    def max_relative_error(self) -> float:
        """The largest relative error of all rows."""
        return max((row.relative_error for row in self.rows), default=0.0)

    def __str__(self) -> str:
        width = max(len(row.name) for row in self.rows)
        lines = [
            f"{self.title}: " + ("all gradients are right" if self else "GRADIENTS ARE WRONG"),
            f"  {'':{width}}  {'shape':>12}  rel. error  abs. error",
        ]
        for row in self.rows:
            lines.append(
                f"  {row.name:{width}}  {row.shape!s:>12}  {row.relative_error:10.1e}  "
                f"{row.absolute_error:10.1e}" + ("  WRONG" if row.wrong else "")
            )
        for row in self.rows:
            if row.wrong:
                lines.append(
                    f"  {row.name}: {len(row.wrong)} of {np.prod(row.shape, dtype=int)} elements"
                    " are out of tolerance; the worst:"
                )
                lines += [
                    f"    [{', '.join(map(str, e.index))}]  numeric {e.numeric:.6g}, analytic "
                    f"{e.analytic:.6g}; error {e.absolute_error:.1e}, relative "
                    f"{e.relative_error:.1e}" + (f"  ({e.note})" if e.note else "")
                    for e in row.wrong[:5]
                ]
        return "\n".join([*lines, *(f"  Note: {hint}" for hint in self.hints)])


def gradcheck(
    func: Callable[..., Any],
    inputs: Any = (),
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    rng: np.random.Generator | int = 0,
) -> Report:
    """Compares the gradients of `func` with numeric ones, at `inputs`, in float64.

    Args:
        func: a function of Tensors, or a Module, whose parameters are checked by name. A float32
            Module is checked on a float64 copy.
        inputs: the arguments: a Tensor or ndarray, or a tuple of arguments, which may be nested in
            tuples and dicts. The Tensors that require a gradient are checked; if there is none, all
            floating-point arrays. They are copied to float64.
        eps: ε, the step.
        atol, rtol: an element is right if |analytic - numeric| <= atol + rtol |numeric|; atol is
            lowered where the array's largest gradient is small.
        raise_exception: whether to raise if gradients are wrong, or to return a false report.
        rng: generator or seed for the cotangents.

    Returns:
        A report: true if all is right, with `rows` and `max_relative_error`; prints as a table.

    Raises:
        GradientMismatch: naming the input or parameter and its worst elements, with likely causes.
        ValueError: if an output holds NaN or infinities, differs between two calls, or there is
            nothing to check.

    >>> import tinygrad_rnn as tg
    >>> report = tg.gradcheck(tg.nn.GRU(2, 3, rng=0), tg.Tensor([[0.5, -1.0], [0.25, 2.0]]))
    >>> bool(report), report.max_relative_error < 1e-7
    (True, True)
    """
    function, arguments, leaves, hints = _prepared(func, inputs)
    return _check(f"gradcheck of {_title(func)}", function, arguments, leaves, hints,
                  eps, atol, rtol, raise_exception, rng)  # fmt: skip


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any = (),
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    rng: np.random.Generator | int = 0,
) -> Report:
    """Compares second derivatives of `func` with numeric derivatives of its gradients.

    With random cotangents v and w, the number Σ w · ∂(Σ v · f(x))/∂x is differentiated with respect
    to x (inputs and parameters) and to v. Arguments, result and errors are those of `gradcheck`.

    >>> import tinygrad_rnn as tg
    >>> bool(tg.gradgradcheck(lambda x: tg.tanh(x) * x, tg.Tensor([0.5, -1.0])))
    True
    """
    function, arguments, leaves, hints = _prepared(func, inputs)
    generator = np.random.default_rng(rng)
    outputs = _outputs(function(*arguments), "the function")
    cotangents = [
        (
            f"cotangent of output {i}",
            Tensor(generator.standard_normal(out.shape), requires_grad=True),
        )
        for i, out in enumerate(outputs)
    ]

    def gradient(*args: Any) -> list[Any]:
        results = _outputs(function(*args), "the function")
        gs = grad(
            results,
            [leaf for _, leaf in leaves],
            [v for _, v in cotangents],
            create_graph=True,
            allow_unused=True,
        )
        return [g for g in gs if g is not None and g.requires_grad]

    return _check(f"gradgradcheck of {_title(func)}", gradient, arguments, [*leaves, *cotangents],
                  hints, eps, atol, rtol, raise_exception, generator)  # fmt: skip


def _prepared(
    func: Callable[..., Any], inputs: Any
) -> tuple[Callable[..., Any], tuple[Any, ...], list[tuple[str, Tensor]], list[str]]:
    """Function, arguments and what is to be checked, all in float64."""
    hints = []
    arguments = inputs if isinstance(inputs, tuple) else (inputs,)
    parameters: list[tuple[str, Tensor]] = []
    if isinstance(func, Module):
        dtypes = {str(p.dtype) for p in func.parameters()}
        func = copy.deepcopy(func).double()
        if dtypes - {"float64"}:
            hints.append(f"checked on a float64 copy of the module, which is {', '.join(dtypes)}")
        parameters = [(n, p) for n, p in func.named_parameters() if p.requires_grad]
    asked = [t for _, t in _leaves(arguments) if isinstance(t, Tensor) and t.requires_grad]
    checked: list[tuple[str, Tensor]] = []
    arguments = tuple(
        _copied(argument, f"input {i}", bool(asked), checked)
        for i, argument in enumerate(arguments)
    )
    leaves = checked + parameters
    if not leaves:
        raise ValueError(
            "gradcheck: there is nothing to check: no input is of floating point, and there are no "
            "parameters. Give Tensors with requires_grad=True"
        )
    return func, arguments, leaves, hints


def _copied(value: Any, name: str, only_asked: bool, checked: list[tuple[str, Tensor]]) -> Any:
    """`value` with its arrays copied to float64; those to be checked are added to `checked`."""
    if isinstance(value, (Tensor, np.ndarray)):
        array = value.data if isinstance(value, Tensor) else value
        if array.dtype.kind != "f":
            return value
        required = isinstance(value, Tensor) and value.requires_grad
        if only_asked and not required:
            return Tensor(array, dtype=np.float64)
        leaf = Tensor(np.array(array), dtype=np.float64, requires_grad=True)
        checked.append((getattr(value, "name", None) or name, leaf))
        return leaf
    if isinstance(value, dict):
        return {k: _copied(v, f"{name}[{k!r}]", only_asked, checked) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        parts = [_copied(v, f"{name}[{i}]", only_asked, checked) for i, v in enumerate(value)]
        return value._make(parts) if hasattr(value, "_make") else type(value)(parts)
    return value


def _leaves(value: Any) -> Iterator[tuple[str, Any]]:
    """The arrays in nested tuples, lists and dicts, with their places."""
    if isinstance(value, (Tensor, np.ndarray)):
        yield "", value
        return
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, (tuple, list)):
        items = enumerate(value)
    for key, item in items:
        for place, leaf in _leaves(item):
            yield f"[{key!r}]{place}", leaf


def _outputs(results: Any, what: str) -> list[Tensor]:
    """The differentiable results, flattened."""
    outputs = [as_tensor(r) for _, r in _leaves(results)]
    for i, out in enumerate(outputs):
        if not np.isfinite(out.data).all():
            place = tuple(int(k) for k in np.argwhere(~np.isfinite(out.data))[0])
            raise ValueError(
                f"gradcheck: output {i} of {what} holds {out.data[place]} at {list(place)}; choose "
                "inputs where all values are finite"
            )
    outputs = [out for out in outputs if out.requires_grad]
    if not outputs:
        raise ValueError(
            f"gradcheck: no output of {what} depends on the inputs by differentiable operations "
            "(detached, computed under no_grad, or turned into ndarrays?)"
        )
    return outputs


def _check(
    title: str,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    leaves: Sequence[tuple[str, Tensor]],
    hints: Sequence[str],
    eps: float,
    atol: float,
    rtol: float,
    raise_exception: bool,
    rng: np.random.Generator | int,
) -> Report:
    generator = np.random.default_rng(rng)
    for name, leaf in leaves:
        if not np.isfinite(leaf.data).all():
            raise ValueError(f"gradcheck: {name} holds NaN or infinities; give finite values")
    outputs = _outputs(function(*arguments), "the function")
    again = _outputs(function(*arguments), "the function")
    if any(not np.array_equal(a.data, b.data) for a, b in zip(outputs, again, strict=True)):
        raise ValueError(_RANDOM.format(title=title))
    cotangents = [generator.standard_normal(out.shape) for out in outputs]

    def value() -> float:
        results = _outputs(function(*arguments), "the function")
        pairs = zip(results, cotangents, strict=True)
        return float(sum(np.vdot(v, out.data.astype(np.float64)) for out, v in pairs))

    gradients = grad(outputs, [leaf for _, leaf in leaves], cotangents, allow_unused=True)
    middle = value()
    rows = []
    for (name, leaf), g in zip(leaves, gradients, strict=True):
        analytic = np.zeros(leaf.shape) if g is None else g.data
        numeric = _numeric(value, leaf.data, eps)
        rows.append(_compared(name, numeric, analytic, value, leaf.data, middle, eps, atol, rtol))
    if any(row.wrong for row in rows):
        if any(value() != middle for _ in range(5)):
            raise ValueError(_RANDOM.format(title=title))
        hints = [*hints, *_causes(rows, {str(out.dtype) for out in outputs})]
    report = Report(title, tuple(rows), tuple(hints))
    if raise_exception and not report:
        raise GradientMismatch(str(report))
    return report


def _numeric(value: Callable[[], float], x: np.ndarray, eps: float) -> np.ndarray:
    """The central difference of `value` in each element of `x`, which `value` reads."""
    result = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        result[index] = (_at(value, x, index, eps) - _at(value, x, index, -eps)) / (2 * eps)
    return result


def _at(value: Callable[[], float], x: np.ndarray, index: Any, step: float) -> float:
    kept = x[index]
    x[index] = kept + step
    try:
        return value()
    finally:
        x[index] = kept


def _compared(
    name: str,
    numeric: np.ndarray,
    analytic: np.ndarray,
    value: Callable[[], float],
    x: np.ndarray,
    middle: float,
    eps: float,
    atol: float,
    rtol: float,
) -> Row:
    error = np.abs(analytic - numeric)
    largest = float(np.abs(numeric).max(initial=0.0))
    floor = _SHARE * max(largest, float(np.abs(analytic).max(initial=0.0)))
    limit = min(atol, floor + _NOISE * max(1.0, abs(middle))) + rtol * np.abs(numeric)
    # NaN is out of tolerance too
    indices = sorted(map(tuple, np.argwhere(~(error <= limit))), key=lambda k: -error[k])
    wrong = []
    for k in indices:
        index = tuple(int(i) for i in k)
        note = _note(value, x, index, middle, eps)
        wrong.append(Element(index, float(numeric[k]), float(analytic[k]), note))
    worst = float(error.max(initial=0.0))
    return Row(name, x.shape, worst / largest if largest else worst, worst, tuple(wrong))


def _note(value: Callable[[], float], x: np.ndarray, index: Any, middle: float, eps: float) -> str:
    """Whether the slopes left and right of `x` differ by a kink, or by rounding.

    At a kink they differ as much over a longer step; what rounding does grows smaller.
    """

    def slopes(step: float) -> tuple[float, float]:
        right = (_at(value, x, index, step) - middle) / step
        return right, (middle - _at(value, x, index, -step)) / step

    right, left = slopes(eps)
    if abs(right - left) <= 0.01 * max(abs(right), abs(left), 1e-3):
        return ""
    far_right, far_left = slopes(100 * eps)
    return "kink" if abs(far_right - far_left) > 0.5 * abs(right - left) else "rounding"


def _causes(rows: Sequence[Row], dtypes: set[str]) -> list[str]:
    """What usually makes gradients look wrong, as far as it fits."""
    wrong = [e for row in rows for e in row.wrong]
    hints = []
    if dtypes - {"float64"} or any(e.note == "rounding" for e in wrong):
        hints.append(
            f"values are rounded on the way (the result is {', '.join(sorted(dtypes))}): is there "
            "a float32 constant, weight or cast? Check in float64"
        )
    if any(e.note == "kink" for e in wrong):
        hints.append(
            "at the elements marked as kinks the slopes to the left and to the right differ "
            "(relu, max, abs, …), so there is no gradient to compare with: move the inputs"
        )
    ratios = [e.analytic / e.numeric for e in wrong if e.numeric]
    if len(ratios) > 1 and np.std(ratios) < 1e-3 * abs(np.mean(ratios)):
        hints.append(f"all wrong gradients are {np.mean(ratios):.4g} times the numeric ones")
    if any(e.analytic == 0 for e in wrong):
        hints.append(
            "gradients that are exactly 0 suggest a detach, a no_grad, or values read with .data, "
            ".numpy() or float() on the way"
        )
    if not hints:
        hints.append(
            "check the derivative rule of the operation; or the function writes into its inputs, "
            "or into memory that they share"
        )
    return hints


def _title(func: Callable[..., Any]) -> str:
    if isinstance(func, Module):
        return repr(func).split("\n")[0]
    return getattr(func, "__name__", repr(func))


__all__ = ["Element", "Report", "Row", "gradcheck", "gradgradcheck"]
