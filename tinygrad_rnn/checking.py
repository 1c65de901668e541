"""Gradients compared with numeric derivatives: `gradcheck` and `gradgradcheck`.

Every element of every output is differentiated with respect to every element of every input, by
backpropagation and by the central difference (f(x + ε) - f(x - ε)) / 2ε. The cotangents are random,
so that a rule that mistakes their size is found.
"""

from __future__ import annotations

import copy
import dataclasses
import html
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


@dataclasses.dataclass(frozen=True)
class Element:
    """The derivative of one element of an output by one element of an input, both ways.

    Attributes:
        output: such as "output 0[1, 2]".
        index: of the input's element.
        numeric, analytic: the derivative by differences and by backpropagation.
        note: "rounding" if the differences are mostly rounding errors.
    """

    output: str
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

    def __str__(self) -> str:
        note = f"  ({self.note})" if self.note else ""
        return (
            f"d {self.output} / d [{', '.join(map(str, self.index))}]: numeric "
            f"{self.numeric:.6g}, analytic {self.analytic:.6g}; error {self.absolute_error:.1e}, "
            f"relative {self.relative_error:.1e}{note}"
        )


@dataclasses.dataclass(frozen=True)
class Row:
    """What was found for one input or parameter.

    Attributes:
        name: of the parameter, or "input 0".
        shape: of the input.
        relative_error: max |analytic - numeric| / max |numeric|, kinks left out.
        absolute_error: max |analytic - numeric|, kinks left out.
        wrong: the elements that are out of tolerance, the worst first.
        kinks: elements where the slopes left and right differ, and the analytic derivative is one
            of them or between them: there is nothing to compare with.
    """

    name: str
    shape: tuple[int, ...]
    relative_error: float
    absolute_error: float
    wrong: tuple[Element, ...]
    kinks: tuple[Element, ...]


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

    def _heading(self) -> str:
        return f"{self.title}: " + ("all gradients are right" if self else "GRADIENTS ARE WRONG")

    def _details(self) -> Iterator[str]:
        for row in self.rows:
            if row.wrong:
                yield f"{row.name}: {len(row.wrong)} derivatives are out of tolerance; the worst:"
                yield from (f"  {element}" for element in row.wrong[:5])
        yield from (f"Note: {hint}" for hint in self.hints)

    def __str__(self) -> str:
        width = max(len(row.name) for row in self.rows)
        lines = [self._heading(), f"  {'':{width}}  {'shape':>12}  rel. error  abs. error"]
        for row in self.rows:
            lines.append(
                f"  {row.name:{width}}  {row.shape!s:>12}  {row.relative_error:10.1e}  "
                f"{row.absolute_error:10.1e}" + ("  WRONG" if row.wrong else "")
            )
        return "\n".join([*lines, *(f"  {line}" for line in self._details())])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(row.name)}</td><td>{row.shape}</td>"
            f"<td>{row.relative_error:.1e}</td><td>{row.absolute_error:.1e}</td>"
            f"<td>{'WRONG' if row.wrong else ''}</td></tr>"
            for row in self.rows
        )
        details = "".join(f"<div>{html.escape(line)}</div>" for line in self._details())
        return (
            f"<b>{html.escape(self._heading())}</b><table><tr><th></th><th>shape</th>"
            f"<th>rel. error</th><th>abs. error</th><th></th></tr>{rows}</table>{details}"
        )


@dataclasses.dataclass(frozen=True)
class _Settings:
    eps: float
    atol: float
    rtol: float
    fast_mode: bool
    nondet_tol: float
    raise_exception: bool
    rng: np.random.Generator


def gradcheck(
    func: Callable[..., Any],
    inputs: Any = (),
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    fast_mode: bool = False,
    nondet_tol: float = 0.0,
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
        atol, rtol: a derivative is right if |analytic - numeric| <= atol + rtol |numeric|; atol is
            lowered where the array's largest gradient is small.
        fast_mode: compare one random combination of outputs along one random direction of each
            input, instead of all derivatives; all of them are compared if that fails.
        nondet_tol: by how much two calls, and two backward passes, may differ.
        raise_exception: whether to raise if gradients are wrong, or to return a false report.
        rng: generator or seed for cotangents and directions.

    Returns:
        A report: true if all is right, with `rows` and `max_relative_error`; prints as a table. At
        a kink (relu at 0) any slope between the left and the right one is right; a note says so.

    Raises:
        GradientMismatch: naming the input or parameter and its worst elements, with likely causes.
        ValueError: if an output holds NaN or infinities, differs between two calls, or there is
            nothing to check.

    >>> import tinygrad_rnn as tg
    >>> report = tg.gradcheck(tg.nn.GRU(2, 3, rng=0), tg.Tensor([[0.5, -1.0], [0.25, 2.0]]))
    >>> bool(report), report.max_relative_error < 1e-7
    (True, True)
    """
    generator = np.random.default_rng(rng)
    settings = _Settings(eps, atol, rtol, fast_mode, nondet_tol, raise_exception, generator)
    function, arguments, leaves, hints = _prepared(func, inputs)
    return _check(f"gradcheck of {_title(func)}", function, arguments, leaves, hints, settings)


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any = (),
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    fast_mode: bool = False,
    nondet_tol: float = 0.0,
    raise_exception: bool = True,
    rng: np.random.Generator | int = 0,
) -> Report:
    """Compares second derivatives of `func` with numeric derivatives of its gradients.

    With a random cotangent v, the gradient ∂(Σ v · f(x))/∂x is differentiated with respect to x
    (inputs and parameters) and to v. Arguments, result and errors are those of `gradcheck`.

    >>> import tinygrad_rnn as tg
    >>> bool(tg.gradgradcheck(lambda x: tg.tanh(x) * x, tg.Tensor([0.5, -1.0])))
    True
    """
    generator = np.random.default_rng(rng)
    settings = _Settings(eps, atol, rtol, fast_mode, nondet_tol, raise_exception, generator)
    function, arguments, leaves, hints = _prepared(func, inputs)
    title = f"gradgradcheck of {_title(func)}"
    tensors = [leaf for _, leaf in leaves]
    outputs = [out for out in _outputs(function(*arguments)) if out.requires_grad]
    cotangents = [
        (f"cotangent of output {i}", Tensor(generator.standard_normal(o.shape), requires_grad=True))
        for i, o in enumerate(outputs)
    ]
    vs = [v for _, v in cotangents]

    def gradient(*args: Any) -> list[Any]:
        results = [out for out in _outputs(function(*args)) if out.requires_grad]
        found = grad(results, tensors, vs, create_graph=True, allow_unused=True)
        return [g for g in found if g is not None]

    plain = [g for g in grad(outputs, tensors, vs, allow_unused=True) if g is not None]
    for a, b in zip(plain, gradient(*arguments), strict=True):
        if not np.allclose(a.data, b.data, rtol=1e-8, atol=1e-12):
            raise GradientMismatch(
                f"{title}: under create_graph a gradient of shape {a.shape} comes out differently, "
                f"{float(np.abs(a.data - b.data).max()):.1e} away. Does a rule do something else "
                "on Tensors than on ndarrays?"
            )
    return _check(title, gradient, arguments, [*leaves, *cotangents], hints, settings)


def _prepared(
    func: Callable[..., Any], inputs: Any
) -> tuple[Callable[..., Any], tuple[Any, ...], list[tuple[str, Tensor]], list[str]]:
    """Function, arguments, what is to be checked (all in float64), and remarks."""
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
    for name, leaf in leaves:
        if not np.isfinite(leaf.data).all():
            raise ValueError(f"gradcheck: {name} holds NaN or infinities; give finite values")
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


def _outputs(results: Any) -> list[Tensor]:
    """The differentiable results of the function, flattened."""
    outputs = [as_tensor(r) for _, r in _leaves(results)]
    for i, out in enumerate(outputs):
        if not np.isfinite(out.data).all():
            place = tuple(int(k) for k in np.argwhere(~np.isfinite(out.data))[0])
            raise ValueError(
                f"gradcheck: output {i} holds {out.data[place]} at {list(place)}; choose inputs "
                "where all values are finite"
            )
    outputs = [out for out in outputs if out.dtype.kind == "f"]
    if not any(out.requires_grad for out in outputs):
        raise ValueError(
            "gradcheck: no output depends on the inputs by differentiable operations (detached, "
            "computed under no_grad, or turned into ndarrays?)"
        )
    return outputs


def _check(
    title: str,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    leaves: Sequence[tuple[str, Tensor]],
    hints: Sequence[str],
    settings: _Settings,
) -> Report:
    """Compares the derivatives of `function` by `leaves`, which its arguments or itself hold."""

    def values() -> np.ndarray:
        parts = [out.data.ravel() for out in _outputs(function(*arguments))]
        return np.concatenate(parts, dtype=np.float64)

    outputs = _outputs(function(*arguments))
    middle = values()
    if _differ(np.concatenate([o.data.ravel() for o in outputs]), middle, settings):
        raise ValueError(_RANDOM.format(title=title))
    weights = [settings.rng.standard_normal(out.shape) for out in outputs]
    tensors = [leaf for _, leaf in leaves]
    combined = _pulled(outputs, tensors, weights)
    for g, again in zip(combined, _pulled(outputs, tensors, weights), strict=True):
        if _differ(g, again, settings):
            raise ValueError(_REENTRANT.format(title=title))
    v = np.concatenate([w.ravel() for w in weights])
    if settings.fast_mode:
        pairs = zip(leaves, combined, strict=True)
        rows = [_fast_row(name, leaf.data, g, v, values, settings) for (name, leaf), g in pairs]
        if not any(row.wrong for row in rows):
            return Report(title, tuple(rows), tuple(hints))
    labels = [*_labels(outputs), "a random combination of all outputs"]
    scales = settings.rng.uniform(0.5, 1.5, len(v)) * settings.rng.choice([-1, 1], len(v))
    analytic = _jacobian(outputs, tensors, scales)
    rows = []
    for k, (name, leaf) in enumerate(leaves):
        J = np.concatenate([analytic[k], [combined[k]]])
        rows.append(_row(name, leaf.data, J, values, v, labels, middle, settings))
    if any(row.wrong for row in rows):
        if any(_differ(values(), middle, settings) for _ in range(5)):
            raise ValueError(_RANDOM.format(title=title))
        hints = [*hints, *_causes(rows, {str(out.dtype) for out in outputs})]
    kinks = [f"{row.name} {list(e.index)}" for row in rows for e in row.kinks]
    if kinks:
        places = ", ".join(list(dict.fromkeys(kinks))[:5])
        hints = [*hints, f"{len(set(kinks))} elements lie at a kink and weren't compared: {places}"]
    report = Report(title, tuple(rows), tuple(hints))
    if settings.raise_exception and not report:
        raise GradientMismatch(str(report))
    return report


_RANDOM = (
    "{title}: two calls with the same inputs give different results. Is there randomness, such as "
    "dropout (module.eval()), or a state kept between calls? If the difference is tolerable, set "
    "nondet_tol"
)
_REENTRANT = (
    "{title}: two backward passes over one graph give different gradients. Does a rule draw random "
    "numbers, or change its arrays in place? If the difference is tolerable, set nondet_tol"
)


def _differ(a: np.ndarray, b: np.ndarray, settings: _Settings) -> bool:
    return a.shape != b.shape or bool((np.abs(a - b) > settings.nondet_tol).any())


def _pulled(
    outputs: Sequence[Tensor], leaves: Sequence[Tensor], weights: Sequence[np.ndarray]
) -> list[np.ndarray]:
    pairs = [(o, w) for o, w in zip(outputs, weights, strict=True) if o.requires_grad]
    if not pairs:  # what was cut off has no gradient; if it moves all the same, that is found
        return [np.zeros(x.shape) for x in leaves]
    found = grad(
        [o for o, _ in pairs], leaves, [w for _, w in pairs], retain_graph=True, allow_unused=True
    )
    return [np.zeros(x.shape) if g is None else g.data for g, x in zip(found, leaves, strict=True)]


def _jacobian(
    outputs: Sequence[Tensor], leaves: Sequence[Tensor], scales: np.ndarray
) -> list[np.ndarray]:
    """For each leaf, (elements of all outputs, *leaf).

    Each element is pulled back with its scale as cotangent, and the result divided by it: a rule
    that isn't linear in the cotangent is found.
    """
    rows = []
    scale = iter(scales)
    for out in outputs:
        for i in range(out.size):
            weight = np.zeros(out.size)
            weight[i] = size = next(scale)
            pulled = _pulled([out], leaves, [weight.reshape(out.shape)])
            rows.append([g / size for g in pulled])
    return [
        np.array([row[k] for row in rows]).reshape(len(scales), *x.shape)
        for k, x in enumerate(leaves)
    ]


def _labels(outputs: Sequence[Tensor]) -> list[str]:
    return [
        f"output {i}[{', '.join(map(str, index))}]"
        for i, out in enumerate(outputs)
        for index in np.ndindex(out.shape)
    ]


def _at(values: Callable[[], np.ndarray], x: np.ndarray, index: Any, step: float) -> np.ndarray:
    """The function's values with one element of `x`, which it reads, moved by `step`."""
    kept = x[index]
    x[index] = kept + step
    try:
        return values()
    finally:
        x[index] = kept


def _fast_row(
    name: str,
    x: np.ndarray,
    analytic: np.ndarray,
    v: np.ndarray,
    values: Callable[[], np.ndarray],
    settings: _Settings,
) -> Row:
    """One random combination of the outputs, differentiated along one random direction."""
    u = settings.rng.standard_normal(x.shape)
    u /= max(float(np.linalg.norm(u)), 1e-300)
    kept = x.copy()
    try:
        x[...] = kept + settings.eps * u
        right = values()
        x[...] = kept - settings.eps * u
        left = values()
    finally:
        x[...] = kept
    numeric = float(v @ (right - left)) / (2 * settings.eps)
    found = float((analytic * u).sum())
    noise = _NOISE * float(np.abs(right).max(initial=0.0))
    limit = min(settings.atol, _SHARE * abs(numeric) + noise) + settings.rtol * abs(numeric)
    element = Element("a random combination of all outputs", (), numeric, found)
    wrong = () if element.absolute_error <= limit else (element,)
    return Row(name, x.shape, element.relative_error, element.absolute_error, wrong, ())


def _row(
    name: str,
    x: np.ndarray,
    analytic: np.ndarray,
    values: Callable[[], np.ndarray],
    v: np.ndarray,
    labels: Sequence[str],
    middle: np.ndarray,
    settings: _Settings,
) -> Row:
    """All derivatives by the elements of one input: those of the outputs, and of their combination.

    `analytic` is (outputs + 1, *x.shape); `v` are the weights of the combination.
    """

    def weighted(change: np.ndarray) -> np.ndarray:
        return np.append(change, change @ v)

    numeric = np.zeros_like(analytic)
    for index in np.ndindex(x.shape):
        change = _at(values, x, index, settings.eps) - _at(values, x, index, -settings.eps)
        column = (slice(None), *index)
        numeric[column] = weighted(change / (2 * settings.eps))
    error = np.abs(analytic - numeric)
    largest = float(np.abs(numeric).max(initial=0.0))
    floor = _SHARE * max(largest, float(np.abs(analytic).max(initial=0.0)))
    noise = _NOISE * float(np.abs(middle).max(initial=0.0))
    limit = min(settings.atol, floor + noise) + settings.rtol * np.abs(numeric)
    wrong: list[Element] = []
    kinks: list[Element] = []
    for index in {tuple(map(int, k[1:])) for k in np.argwhere(~(error <= limit))}:  # NaN too
        slopes = [
            weighted(_at(values, x, index, step) - middle) / step
            for step in (settings.eps, -settings.eps, 100 * settings.eps, -100 * settings.eps)
        ]
        column = (slice(None), *index)
        for k in map(int, np.flatnonzero(~(error <= limit)[column])):
            place = (k, *index)
            element = Element(labels[k], index, float(numeric[place]), float(analytic[place]))
            note = _note([float(s[k]) for s in slopes], element.analytic, settings)
            if note == "kink":
                kinks.append(element)
                error[place] = 0
            else:
                wrong.append(dataclasses.replace(element, note=note))
    worst = float(error.max(initial=0.0))
    wrong.sort(key=lambda e: -e.absolute_error)
    return Row(
        name, x.shape, worst / largest if largest else worst, worst, tuple(wrong), tuple(kinks)
    )


def _note(slopes: Sequence[float], analytic: float, settings: _Settings) -> str:
    """Why a derivative may differ: "kink", "rounding", or neither.

    At a kink the slopes to the right and to the left differ as much over a longer step; what
    rounding does grows smaller. The analytic derivative must be between the two slopes.
    """
    right, left, far_right, far_left = slopes
    if abs(right - left) <= 0.01 * max(abs(right), abs(left), 1e-3):
        return ""
    if abs(far_right - far_left) <= 0.5 * abs(right - left):
        return "rounding"
    slack = settings.atol + settings.rtol * max(abs(right), abs(left))
    between = min(right, left) - slack <= analytic <= max(right, left) + slack
    return "kink" if between else ""


def _causes(rows: Sequence[Row], dtypes: set[str]) -> list[str]:
    """What usually makes gradients look wrong, as far as it fits."""
    wrong = [e for row in rows for e in row.wrong]
    hints = []
    if dtypes - {"float64"} or any(e.note == "rounding" for e in wrong):
        hints.append(
            f"values are rounded on the way (the result is {', '.join(sorted(dtypes))}): is there "
            "a float32 constant, weight or cast? Check in float64"
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
        text = repr(func)
        return type(func).__name__ if "\n" in text else text
    return getattr(func, "__name__", repr(func))


__all__ = ["Element", "Report", "Row", "gradcheck", "gradgradcheck"]
