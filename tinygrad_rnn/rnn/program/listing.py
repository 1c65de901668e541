"""A recurrent cell's program to read and to keep: NumPy source, and a module that needs no more."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np

from ...core.graph import Constant
from ...core.random import noted
from ...module import Module
from ..cells import check_count
from ..layers import Recurrent
from ..protocol import for_sequence, initial_state
from ..states import like, parts_of
from .around import program_of
from .capture import Untraceable, capture, wants_gradient
from .finding import written_down
from .functions import Program
from .notation import NotWritable
from .steps import Step, Value
from .untouched import Attributes


def program(
    layer_or_cell: Any,
    batch: int = 1,
    layer: int = 0,
    direction: int = 0,
    gradients: bool = True,
    masked: bool = False,
    reverse: bool | None = None,
    *,
    x: Any = None,
    state: Any = None,
) -> Listing:
    """The program that runs a cell over time, as NumPy source.

    Args:
        layer_or_cell: a recurrent layer; a cell; or a function ``f(x, state) -> new_state``.
        batch: N, for a cell whose program depends on it; usually one program serves any N.
        layer, direction: which cell of a layer.
        gradients: whether to write the backward pass too.
        masked: whether some steps may not be real; the functions then take `real`, (T, N) booleans.
        reverse: whether to go from the last step to the first; None for what `direction` says.
        x: (N, I), an example of a step's input, for a cell without `input_size`.
        state: an example of the state, (N, H) or a tuple, for a cell without `initial_state`.

    Returns:
        The program's `source`, its functions `forward` and `backward`, and `save(path)`.

    Raises:
        ValueError: if the cell can't be written as a program, and why; if there is no such layer or
            direction; if an example is missing or is not (N, features).
        TypeError: if there is no cell to call.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> lstm = tg.nn.LSTM(3, 5)
    >>> program = tg.rnn.program(lstm)
    >>> "np.multiply(f, c, out=" in program.source
    True
    >>> state = np.zeros((2, 5)), np.zeros((2, 5))
    >>> ys, final, saved = program.forward(lstm.state_dict(), np.ones((7, 2, 3)), state)
    >>> ys.shape
    (7, 2, 5)
    >>> _, _, found = program.backward(lstm.state_dict(), np.ones((7, 2, 3)), saved, ys, state)
    >>> found["weight_hh_l0"].shape
    (20, 5)
    """
    check_count("batch", batch)
    cell, size, first_name = _chosen(layer_or_cell, layer, direction)
    if x is None:
        if size is None:
            raise ValueError(
                f"rnn.program: {first_name} has no input_size; give an example of a step's input, "
                "x=np.zeros((batch, features))"
            )
        x = np.zeros((batch, size), _dtype(layer_or_cell))
    x, state = _examples(cell, x, state)
    names = _parameter_names(layer_or_cell)
    backwards = direction == 1 if reverse is None else bool(reverse)
    options = gradients, masked, backwards

    def written(count: int) -> tuple[Step, list[Any], Program]:
        start = like(state, [_resized(part, count) for part in parts_of(state)])
        return _program(cell, _resized(x, count), start, names, *options)

    # Arrays of one sequence are summed in shorter ways, which would not do for more.
    count = max(len(x), 2)
    step, captured, made = written(count)
    try:
        any_batch = written(count + 1)[2].source == made.source
    except ValueError:
        any_batch = False
    if not any_batch and count != len(x):
        step, captured, made = written(len(x))
    module = _Module(first_name, step, captured, made, names, any_batch, masked, backwards)
    return Listing(first_name, made, module.text())


def _chosen(given: Any, layer: int, direction: int) -> tuple[Any, int | None, str]:
    """The cell, how many features it reads (None if it doesn't say), and what it is called."""
    if not isinstance(given, Recurrent):
        if not callable(given):
            raise TypeError(
                f"rnn.program takes a recurrent layer, a cell or a function, not {given!r:.60}"
            )
        if layer or direction not in (0, 1):
            raise ValueError(
                f"rnn.program: layer={layer}, direction={direction} choose a cell of a layer; "
                f"{given!r:.60} is one cell"
            )
        return given, getattr(given, "input_size", None), _title(given)
    for name, chosen, count in (
        ("layer", layer, given.num_layers),
        ("direction", direction, given.directions),
    ):
        if isinstance(chosen, bool) or chosen not in range(count):
            raise ValueError(
                f"rnn.program: {name} should be from 0 to {count - 1} for {given.title}, "
                f"got {chosen!r}"
            )
    cell = given._cells[layer * given.directions + direction]
    size = given.input_size
    if layer:
        below = given._cells[(layer - 1) * given.directions]
        width = getattr(below, "output_size", None) or given.hidden_size
        size = width * given.directions
    where = f", layer {layer}" if given.num_layers > 1 else ""
    where += f", direction {direction}" if given.bidirectional else ""
    return cell, size, f"{_title(cell)} of {type(given).__name__}{where}"


def _title(cell: Any) -> str:
    return type(cell).__name__ if isinstance(cell, Module) else getattr(cell, "__name__", "a cell")


def _dtype(given: Any) -> np.dtype[Any]:
    return given.dtype if isinstance(given, Module) else np.dtype(np.float64)


def _examples(cell: Any, x: Any, state: Any) -> tuple[Any, Any]:
    """A step's input and state as zeros of their shapes and dtypes."""

    def example(array: Any, what: str) -> np.ndarray:
        shape, dtype = np.shape(array), getattr(array, "dtype", np.dtype(np.float64))
        if len(shape) != 2 or 0 in shape or np.dtype(dtype).kind != "f":
            raise ValueError(
                f"rnn.program: {what} should be floats (batch, features), got {shape} of {dtype}"
            )
        return np.zeros(shape, dtype)

    x = example(x, "x")
    if state is None:
        state = initial_state(cell, x.shape[:1], x.dtype)
    parts = [example(part, "each part of the state") for part in parts_of(state)]
    for part in parts:
        if len(part) != len(x):
            raise ValueError(
                f"rnn.program: x has {len(x)} sequences, {x.shape}, and the state {len(part)}, "
                f"{part.shape}; both are (batch, features)"
            )
    return x, like(state, parts)


def _resized(example: np.ndarray, batch: int) -> np.ndarray:
    return np.zeros((batch, *example.shape[1:]), example.dtype)


def _parameter_names(given: Any) -> dict[int, str]:
    """The names of a module's parameters, by the identity of their arrays."""
    if not isinstance(given, Module):
        return {}
    return {id(parameter.data): name for name, parameter in given.named_parameters()}


def _program(
    cell: Any,
    x: Any,
    state: Any,
    names: dict[int, str],
    gradients: bool,
    masked: bool,
    reverse: bool,
) -> tuple[Step, list[Any], Program]:
    """The step of a cell, what it captured, and its program."""
    with noted() as draws:
        drawn = for_sequence(cell, state)
    for bits, before in draws.states.items():
        bits.state = before
    step = written_down(drawn, [x, x], state)
    if step is None:
        raise ValueError(f"rnn.program: {_title(cell)} has no program: {_reason(drawn, x, state)}")
    for value, _, array in step.captured:
        value.name = names.get(id(array), value.name)
    captured = list(step.captured)
    wants = [wants_gradient(record) for _, record, _ in captured]
    wanted = [gradients] * (1 + len(step.state)) + [gradients and want for want in wants]
    try:
        return step, captured, program_of(step, wanted, masked, reverse)
    except (NotWritable, Untraceable) as error:
        raise ValueError(f"rnn.program: {_title(cell)} has no program: {error}") from error
    finally:
        step.let_go()


def _reason(cell: Any, x: Any, state: Any) -> str:
    """Why a step can't be written down; what is wrong with the cell itself is raised."""
    attributes = Attributes(cell)
    try:
        with noted() as draws:
            capture(cell, x, state)
    except Untraceable as error:
        return str(error)
    finally:
        attributes.restore()
        for bits, before in draws.states.items():
            bits.state = before
    if draws.states:
        return "it draws random numbers at each step (call .eval() if it does so in training)"
    return "it isn't the same at each step, or changes what it holds"


class Listing:
    """A cell's program: to read, to call, to save.

    Attributes:
        source: the functions as they run, with features first: (F, N) at each step.
        module: the source of the stand-alone module that `save` writes.
        forward: ``forward(params, xs, state) -> (outputs, final_state, saved)``
        backward: ``backward(params, xs, saved, grad_outputs, grad_state)
            -> (grad_xs, grad_state, grad_params)``; None with gradients=False. With masked=True
            both take `real` as their last argument.
    """

    def __init__(self, title: str, program: Program, module: str) -> None:
        self.source = program.source
        self.module = module
        space: dict[str, Any] = {"__name__": "program"}
        exec(compile(self.module, f"<program of {title}>", "exec"), space)
        self.forward = space["forward"]
        self.backward = space.get("backward")
        self._title = title

    def __str__(self) -> str:
        return self.source

    def __repr__(self) -> str:
        return f"<program of {self._title}: {len(self.source.splitlines())} lines>"

    def save(self, path: str | PathLike[str]) -> None:
        """Writes a module with `forward` and `backward` that needs NumPy alone.

        Raises:
            OSError: if the file can't be written.
        """
        pathlib.Path(path).write_text(self.module, encoding="utf-8")


class _Module:
    """The text of a stand-alone module around a program."""

    def __init__(
        self,
        title: str,
        step: Step,
        captured: Sequence[tuple[Value, Any, np.ndarray]],
        program: Program,
        names: dict[int, str],
        any_batch: bool,
        masked: bool,
        reverse: bool,
    ) -> None:
        self.title = title
        self.step = step
        self.program = program
        self.batch = None if any_batch else step.x.shape[0]
        self.masked = masked
        self.reverse = reverse
        self.parameters: dict[str, tuple[int, ...]] = {}
        self.constants: dict[str, np.ndarray] = {}
        self.keys: list[str] = []  # of what was captured, in its order
        for value, record, array in captured:
            fixed = id(array) not in names and isinstance(record, Constant)
            key = self._free_name(value.name or ("constant" if fixed else "w"))
            self.keys.append(key)
            if fixed:
                self.constants[key] = array
            else:
                self.parameters[key] = value.shape

    def _free_name(self, name: str) -> str:
        key, count = name, 1
        while key in self.keys:
            count += 1
            key = f"{name}{count}"
        return key

    def text(self) -> str:
        source = self.program.source
        for name in ("prepare", "forward", "backward", "gradients"):
            source = source.replace(f"def {name}(", f"def _{name}(")
        public = [self._forward()]
        if self.program.differentiable:
            public.append(self._backward())
        parts = [f"{self._docstring()}\n\nimport numpy as np\n\n{self._data()}"]
        return "\n\n\n".join([*parts, *public, self._checked(), source]) + "\n"

    def _docstring(self) -> str:
        from ... import __version__

        sizes = {value.name: value.shape[1] for value in self.step.state}
        count = "N" if self.batch is None else str(self.batch)
        real = ", real" if self.masked else ""
        state = ", ".join(f"{name} ({count}, {size})" for name, size in sizes.items())
        order = "last step to the first" if self.reverse else "first step to the last"
        lines = [
            f"{self.title} over time, from the {order}: NumPy, and nothing else.",
            "",
            f"Written by tinygrad_rnn {__version__}, tg.rnn.program, from the cell's equations.",
            "",
            f"    outputs, final_state, saved = forward(params, xs, state{real})",
        ]
        if self.program.differentiable:
            lines += [
                "    grad_xs, grad_state, grad_params = backward(",
                f"        params, xs, saved, grad_outputs, grad_state{real}",
                "    )",
            ]
        lines += [
            "",
            f"T steps of {count} sequences; both may differ from call to call."
            if self.batch is None
            else f"T steps of {count} sequences: other numbers of sequences need another program.",
            "",
        ]
        lines += ["    params       a dict of arrays; its names and shapes: PARAMETERS below"]
        lines += [f"    xs           (T, {count}, {self.step.x.shape[1]})"]
        lines += [f"    state        a tuple: {state}; final_state and grad_state as well"]
        if self.masked:
            lines += [f"    real         (T, {count}), False where a step is padding"]
        lines += [f"    outputs      (T, {count}, {self.program.y_size}); grad_outputs as well"]
        lines += ["    saved        what backward needs of forward"]
        if self.program.differentiable:
            lines += [
                "    grad_xs      as xs",
                "    grad_params  a dict of arrays, as params: gradients, summed over the steps",
                "",
                "The grad_state that is given belongs to final_state, the one returned to state.",
            ]
        return '"""' + "\n".join(lines) + '\n"""'

    def _data(self) -> str:
        """What the functions check against: names and shapes, and what never changes."""
        lines = ["PARAMETERS = {"]
        lines += [f'    "{key}": {shape},' for key, shape in self.parameters.items()]
        sizes = [f'"{value.name}": {value.shape[1]}' for value in self.step.state]
        lines += ["}", f"STATE = {{{', '.join(sizes)}}}"]
        if not all(np.isfinite(array).all() for array in self.constants.values()):
            lines.append("inf, nan = np.inf, np.nan")
        if self.constants:
            lines.append("CONSTANTS = {")
            lines += [
                f'    "{key}": np.array({array.tolist()}, "{array.dtype.name}"),'
                for key, array in self.constants.items()
            ]
            lines.append("}")
            lines += ["ORDER = [", *(f'    "{key}",' for key in self.keys), "]"]
        return "\n".join(lines)

    def _forward(self) -> str:
        mask, given = self._mask()
        return "\n".join(
            [
                f"def forward(params, xs, state{mask}):",
                '    """Outputs, final state, and what `backward` needs."""',
                f"    xs, weights{mask} = _checked(params, xs{mask})",
                '    state = _checked_state(state, xs, "state")',
                "    for_forward, *_ = _prepare(*weights)",
                f"    outputs = np.empty((*xs.shape[:2], {self.program.y_size}), xs.dtype)",
                f"    final, saved = _forward(*state, xs{given}, for_forward, outputs)",
                "    return outputs, final, saved",
            ]
        )

    def _backward(self) -> str:
        mask, given = self._mask()
        keys = [self.keys[place] for place in self.program.places]
        shape = f"(*xs.shape[:2], {self.program.y_size})"
        return "\n".join(
            [
                f"def backward(params, xs, saved, grad_outputs, grad_state{mask}):",
                '    """Gradients of xs, of the state and of the parameters."""',
                f"    xs, weights{mask} = _checked(params, xs{mask})",
                '    grad_state = _checked_state(grad_state, xs, "grad_state")',
                "    grad_outputs = np.asarray(grad_outputs, xs.dtype)",
                f"    expected, got = {shape}, grad_outputs.shape",
                "    if got != expected:",
                '        raise ValueError(f"grad_outputs: expected {expected}, got {got}")',
                "    _, for_backward = _prepare(*weights)",
                "    grad_xs = np.empty(xs.shape, xs.dtype)",
                "    grad_state, sums = _backward(",
                f"        grad_outputs, *grad_state, saved, xs{given}, for_backward, grad_xs",
                "    )",
                "    found = _gradients(*sums)",
                "    names = [",
                *(f'        "{key}",' for key in keys),
                "    ]",
                "    return grad_xs, grad_state, dict(zip(names, found))",
            ]
        )

    def _mask(self) -> tuple[str, str]:
        return (", real", ", real") if self.masked else ("", "")

    def _checked(self) -> str:
        """The functions that see to it that what is given fits."""
        mask, _ = self._mask()
        weights = "[params[name] for name in PARAMETERS]"
        if self.constants:
            weights = "[{**params, **CONSTANTS}[name] for name in ORDER]"
        lines = [
            f"def _checked(params, xs{mask}):",
            "    xs = np.ascontiguousarray(xs)",
            '    if xs.dtype.kind != "f":',
            '        raise ValueError(f"xs: expected floats, got {xs.dtype}")',
        ]
        features = self.step.x.shape[1]
        wrong, expected = f"xs.ndim != 3 or xs.shape[2] != {features}", f"(T, N, {features})"
        if self.batch is not None:
            wrong += f" or xs.shape[1] != {self.batch}"
            expected = f"(T, {self.batch}, {features})"
        lines += [
            f"    if {wrong}:",
            f'        raise ValueError(f"xs: expected {expected}, got {{xs.shape}}")',
            "    for name, shape in PARAMETERS.items():",
            "        if np.shape(params[name]) != shape:",
            "            got = np.shape(params[name])",
            '            raise ValueError(f"params[{name!r}]: expected {shape}, got {got}")',
            f"    weights = {weights}",
        ]
        if self.masked:
            lines += [
                "    real = np.asarray(real)",
                "    if real.dtype != bool or real.shape != xs.shape[:2]:",
                "        raise ValueError(",
                '            f"real: expected booleans {xs.shape[:2]}, '
                'got {real.dtype} {real.shape}"',
                "        )",
                "    xs = np.where(real[..., None], xs, 0)  # what is padding has no influence",
            ]
        lines += [
            f"    return xs, [np.asarray(weight, xs.dtype) for weight in weights]{mask}",
            "",
            "",
            "def _checked_state(state, xs, name):",
            "    state = tuple([np.asarray(part, xs.dtype) for part in state])",
            "    shapes = [(xs.shape[1], size) for size in STATE.values()]",
            "    if [part.shape for part in state] != shapes:",
            "        got = [part.shape for part in state]",
            '        raise ValueError(f"{name}: expected a tuple of arrays {shapes}, got {got}")',
            "    return state",
        ]
        return "\n".join(lines)
