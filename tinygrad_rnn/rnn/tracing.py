"""A look inside recurrent layers: what every gate did at every step, and how gradients flowed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core import engine
from ..core.context import Context, current, enable_grad, within
from ..core.errors import GraphError, did_you_mean
from ..core.graph import Node, Output
from ..core.primitive import wrap
from ..core.recording import Recording, record
from ..module import Module
from ..tensor import Tensor, cotangent_of
from . import trace_plot
from .layers import Recurrent
from .packing import PackedSequence
from .runs import Run, find_runs, unique

_MOST_NAMED = 20  # in a message


class UnknownQuantity(KeyError, ValueError):
    """A name that a trace doesn't have, or that stands for several quantities."""

    def __str__(self) -> str:
        return str(self.args[0])  # a KeyError would show it as repr


class Flow(NamedTuple):
    """How the gradient of a loss went back through the steps of one layer and direction.

    Attributes:
        grad_norm: (T,), ‖dL/dh_t‖ over the whole batch.
        shares: parameter name -> (T, *shape), what step t contributes to dL/dW, through its use of
            W at that step: dL/dW = Σ_t shares[t], if W is used nowhere else.
        share_norm: parameter name -> (T,), the norms of the shares.
        jacobian_norm: (T, N), the Frobenius norm ‖∂h_T/∂h_t‖ of each sequence, where h_T is its
            last real state (in the reverse direction, that at t = 0).
    """

    grad_norm: np.ndarray
    shares: dict[str, np.ndarray]
    share_norm: dict[str, np.ndarray]
    jacobian_norm: np.ndarray


class Activity(NamedTuple):
    """What was seen of one sequence in one place.

    Attributes:
        place: the layer and direction.
        first: the number of the step in row 0.
        maps: name -> (T, H); NaN where a step isn't real.
    """

    place: str
    first: int
    maps: dict[str, np.ndarray]


class NormOverTime(NamedTuple):
    """The norm of a gradient at each step, over the whole batch.

    Attributes:
        first: the number of the step in row 0.
        norm: (T,)
    """

    first: int
    norm: np.ndarray


class Trace(Mapping[str, np.ndarray]):
    """What was seen in a run; made by `trace`, which see.

    A mapping from the names of quantities to their values, (T, N, H).

    Attributes:
        result: what the module returned.
        places: the layers and directions that ran, such as ``("l0", "l0_reverse")``.
    """

    def __init__(
        self,
        recording: Recording,
        runs: list[Run],
        result: Any,
        module: Any,
        arguments: list[Tensor],
        single: bool,
    ) -> None:
        self.result = result
        self._recording = recording
        self._runs = {run.place: run for run in runs if run.quantities}
        self._module = module
        self._arguments = arguments
        self._single = single
        self._jacobian_norms: dict[tuple[str, str], np.ndarray] = {}
        self._differentiated = False
        self._table: dict[str, tuple[str, str]] = {}
        for place, run in self._runs.items():
            for name in run.quantities:
                full = unique(f"{place}.{name}" if place else name, self._table)
                self._table[full] = place, name

    @property
    def places(self) -> tuple[str, ...]:
        """The layers and directions that ran, in order."""
        return tuple(self._runs)

    @property
    def output(self) -> Any:
        """The first part of a recurrent layer's result: its output at every step."""
        return self._part_of_result(0, "output")

    @property
    def state(self) -> Any:
        """The second part of a recurrent layer's result: its state after the last step."""
        return self._part_of_result(1, "state")

    def _part_of_result(self, index: int, name: str) -> Any:
        if not isinstance(self._module, Recurrent):
            raise AttributeError(
                f"trace.{name} is there for recurrent layers; what {_called(self._module)} "
                "returned is trace.result"
            )
        return self.result[index]

    def __getitem__(self, key: str) -> np.ndarray:
        place, name = self._resolved(key)
        return self._array(place, name, self._recording.value)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and len(self._candidates(key)) == 1

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)

    def backward(self, loss: Tensor, gradient: Any = None) -> Trace:
        """Goes back from a loss, and notes the gradients of all quantities; returns the trace.

        No `.grad` is touched, and the graph is kept. What several losses bring adds up.

        Args:
            loss: a Tensor computed from `trace.result`.
            gradient: the cotangent, of its shape; may be left out for a single number.

        Raises:
            RuntimeError: if the loss doesn't depend on what was traced, or the graph was released.
            ValueError: if `gradient` is missing or of another shape.
        """
        if not isinstance(loss, Tensor):
            raise TypeError(
                f"trace.backward takes a loss computed from trace.result, a Tensor, not "
                f"{type(loss).__name__}"
            )
        noted = self._recording.fresh()
        now = current()
        with within(Context(now.recording, now.scope, now.anomaly, noted)):
            engine.propagate(loss, cotangent_of(loss, gradient))
        if not any(r in noted.gradients for r in self._records()):
            raise GraphError(
                "trace.backward: this loss doesn't depend on what was traced; compute it from "
                "trace.result, as in trace.backward((trace.output**2).mean())"
            )
        self._recording.add(noted)
        self._differentiated = True
        return self

    def grad(self, key: str) -> np.ndarray:
        """dL/dq for a quantity q, of its shape (T, N, H), after `backward`.

        It is the whole derivative: what comes through later steps and higher layers included. Zero
        where the loss doesn't depend on q.

        Raises:
            KeyError: if there is no such quantity, or several.
            RuntimeError: before `backward`.
        """
        place, name = self._resolved(key)
        self._require_loss("trace.grad")
        return self._array(place, name, self._recording.gradient)

    def jacobian_norm(self, key: str = "h") -> np.ndarray:
        """(T, N): the Frobenius norm ‖∂q_T/∂q_t‖ of a quantity q; needs no loss.

            (Σ_ij (∂q_T[n, i] / ∂q_t[n, j])²)^½        √H at t = T

        T is the last real step of sequence n; in the reverse direction the last that is carried
        out, t = 0. Other parts of the state at t are held fixed: for an LSTM's h, c_t. Sequences of
        a batch are taken not to influence each other. It takes H backward passes.

        Raises:
            KeyError: if there is no such quantity, or several.
            RuntimeError: if the graph was released by a backward pass of your own.
        """
        return self._jacobian_norm(*self._resolved(key))

    def flow(self, place: str | None = None, key: str = "h") -> Flow:
        """How the gradient went back through the steps of one layer and direction; see `Flow`.

        Args:
            place: one of `places`; may be left out if there is only one.
            key: the state's name there.

        Raises:
            ValueError: if the place or the state isn't there.
            RuntimeError: before `backward`.
        """
        place = self._resolved_place(place)
        name = self._name_in(place, key)
        self._require_loss("trace.flow")
        g = self._array(place, name, self._recording.gradient)
        shares = self._shares(self._runs[place])
        return Flow(
            grad_norm=_norms(g),
            shares=shares,
            share_norm={n: _norms(share) for n, share in shares.items()},
            jacobian_norm=self._jacobian_norm(place, name),
        )

    def plot(
        self,
        place: str | None = None,
        *,
        quantities: Sequence[str] | None = None,
        sequence: int = 0,
        labels: Sequence[str] | None = None,
        key: str = "h",
    ) -> Any:
        """One sequence and place as a figure: heat maps over time, and how the gradient flowed.

        Time runs to the right, features down. After `backward` there are curves, on logarithmic
        scales, of ‖dL/dh_t‖ and each parameter's ‖share of dL/dW‖ (of the whole batch), and of
        ‖∂h_T/∂h_t‖ (of the sequence).

        Args:
            place: one of `places`; may be left out if there is only one.
            quantities: which ones, such as ``["i", "f"]``; all but the input if left out.
            sequence: which one of the batch.
            labels: a text for each step, such as the characters read: T of them, or one string of
                length T.
            key: the state's name, for the curves.

        Returns:
            A `matplotlib.figure.Figure`, for ``figure.savefig("trace.png")``. What is drawn:
            ``figure.axes[k].images[0].get_array()`` and ``.lines[j].get_ydata()``. matplotlib's
            settings and windows aren't touched.

        Raises:
            ImportError: without matplotlib.
            ValueError: if a place, quantity, sequence or the number of labels doesn't fit.
        """
        place, first, maps = self.of_sequence(place, quantities, sequence)
        trace_plot.check_labels(labels, len(next(iter(maps.values()))), "plot")
        curves: dict[str, dict[str, np.ndarray]] = {}
        if self._differentiated:
            flow = self.flow(place, key)
            of_one = flow.jacobian_norm
            curves[f"‖dL/d{key}‖"] = {"": flow.grad_norm}
            curves["‖share\nof dL/dW‖"] = flow.share_norm
            curves[f"‖∂{key}_T/∂{key}_t‖"] = {
                "": of_one[:, sequence] if of_one.ndim > 1 else of_one
            }
        return trace_plot.figure(self.caption(place, sequence), first, maps, curves, labels)

    def of_sequence(
        self, place: str | None = None, quantities: Sequence[str] | None = None, sequence: int = 0
    ) -> Activity:
        """One sequence of the batch in one place, each quantity (T, H); see `Activity`.

        Args:
            place: one of `places`; may be left out if there is only one.
            quantities: which ones, such as ``["i", "f"]``; all but the input if left out.
            sequence: which one of the batch.

        Raises:
            ValueError: if a place, quantity or sequence isn't there.
        """
        place = self._resolved_place(place)
        run = self._runs[place]
        if quantities is None:
            quantities = [n for n in run.quantities if n != "x"] or list(run.quantities)
        names = [self._name_in(place, name) for name in quantities]
        maps = {name: self._one_sequence(place, name, sequence) for name in names}
        return Activity(place, run.first, maps)

    def grad_norms(self, key: str = "h") -> dict[str, NormOverTime]:
        """‖dL/dh_t‖ of every layer and direction that has such a state; see `NormOverTime`.

        Raises:
            ValueError: if no place has it.
            RuntimeError: before `backward`.
        """
        self._require_loss("trace.grad_norms")
        return grad_norms(self._recording, self._runs.values(), key)

    def caption(self, place: str, sequence: int) -> str:
        """What a picture of one sequence in one place is called."""
        batch = "" if self._single else f", sequence {sequence}"
        return f"{_called(self._module)}: {place}{batch}"

    def _one_sequence(self, place: str, name: str, sequence: int) -> np.ndarray:
        """(T, H) of one sequence; NaN where its steps aren't real."""
        values = self._array(place, name, self._recording.value)
        mask = self._runs[place].mask
        if values.ndim > 2:
            if not 0 <= sequence < values.shape[1]:
                raise ValueError(
                    f"plot: there is no sequence {sequence} in a batch of {values.shape[1]}"
                )
            values = values[:, sequence]
        values = values.reshape(len(values), -1)
        if mask is None:
            return values
        real = mask.reshape(len(mask), -1)
        return np.where(real[:, [sequence if real.shape[1] > 1 else 0]], values, np.nan)

    def _array(
        self, place: str, name: str, known: Callable[[Any], np.ndarray | None]
    ) -> np.ndarray:
        whole = self._runs[place].stacked(name, known)
        return whole[:, 0] if self._single and whole.ndim > 2 else whole

    def _jacobian_norm(self, place: str, name: str) -> np.ndarray:
        norms = self._jacobian_norms.get((place, name))
        if norms is None:
            run = self._runs[place]
            try:
                norms = run.jacobian_norm(name, self._recording)
            except GraphError as error:
                raise GraphError(
                    "trace: the graph is gone, through a backward() of your own. Use "
                    "trace.backward(loss), or loss.backward(retain_graph=True)"
                ) from error
            norms = norms[:, 0] if self._single and norms.ndim > 1 else norms
            self._jacobian_norms[place, name] = norms
        return norms.copy()

    def _shares(self, run: Run) -> dict[str, np.ndarray]:
        """Each leaf's gradient, taken apart by the steps of a run."""
        known = {}
        if isinstance(self._module, Module):
            known = {id(p): name for name, p in self._module.named_parameters()}
        given = {id(tensor) for tensor in self._arguments}
        shares: dict[str, np.ndarray] = {}
        for leaf in run.leaves:
            if id(leaf) in given:
                continue
            share = np.zeros((run.length, *leaf.shape), leaf.dtype)
            for node, part in self._recording.contributions(leaf):
                t = run.time_of(node.scope)
                if t is not None:
                    share[t] += part
            name = known.get(id(leaf)) or leaf.name or "tensor"
            shares[unique(name, shares)] = share
        return shares

    def _records(self) -> Iterator[Any]:
        for run in self._runs.values():
            for records in run.quantities.values():
                yield from records.values()

    def _require_loss(self, what: str) -> None:
        if not self._differentiated:
            raise GraphError(
                f"{what} needs a loss: call trace.backward(loss) first, with a loss computed from "
                "trace.result, or trace(..., loss=lambda result: ...)"
            )

    def _candidates(self, key: str) -> list[str]:
        """The full names that `key` may stand for."""
        if key in self._table:
            return [key]
        same = [k for k, (_, name) in self._table.items() if name == key]
        return same or [k for k in self._table if k.endswith(f".{key}")]

    def _resolved(self, key: str) -> tuple[str, str]:
        """The place and the name that a key stands for."""
        if not isinstance(key, str):
            raise TypeError(f"a trace is asked for quantities by name, such as 'h', not {key!r}")
        candidates = self._candidates(key)
        if len(candidates) == 1:
            return self._table[candidates[0]]
        if candidates:
            raise UnknownQuantity(f"{key!r} is in several places: write {_listed(candidates)}")
        names = {name for _, name in self._table.values()}
        hint = did_you_mean(key, [*self._table, *names])
        raise UnknownQuantity(
            f"no quantity {key!r} was seen.{hint} There are {_listed(list(self))}"
        )

    def _name_in(self, place: str, key: str) -> str:
        """The name in a place that a key stands for."""
        names = list(self._runs[place].quantities)
        found = [key] if key in names else [n for n in names if n.endswith(f".{key}")]
        if len(found) != 1:
            raise UnknownQuantity(
                f"{key!r} isn't one quantity in {place!r}.{did_you_mean(key, names)} There are "
                + _listed(names)
            )
        return found[0]

    def _resolved_place(self, place: str | None) -> str:
        if place is None and len(self._runs) == 1:
            return self.places[0]
        if place is None:
            raise ValueError(f"several layers or directions ran: choose one of {self.places}")
        if place not in self._runs:
            hint = did_you_mean(str(place), self.places)
            raise ValueError(f"nothing ran in {place!r}.{hint} There are {self.places}")
        return place

    def __repr__(self) -> str:
        rows: list[tuple[str, ...]] = [("", "shape", "mean", "min", "max")]
        rows += [(key, *self._summary(place, name)) for key, (place, name) in self._table.items()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        head = f"Trace of {_called(self._module)}"
        lines = []
        for key, shape, *numbers in rows:
            cells = [n.rjust(w) for n, w in zip(numbers, widths[2:], strict=True)]
            text = [key.ljust(widths[0]), shape.ljust(widths[1]), *cells]
            lines.append("  " + "  ".join(text).rstrip())
        return "\n".join((head, *lines))

    def _summary(self, place: str, name: str) -> tuple[str, ...]:
        try:
            values = self._array(place, name, self._recording.value)
        except ValueError:  # it has no one shape
            return "varies", "", "", ""
        mask = self._runs[place].mask
        shape = str(values.shape)
        if mask is not None and mask.shape == values.shape[: mask.ndim]:
            values = values[mask]
        values = values[~np.isnan(values)]
        if not values.size:
            return shape, "", "", ""
        return shape, *(f"{f(values):.4g}" for f in (np.mean, np.min, np.max))


def trace(
    module: Callable[..., Any],
    *args: Any,
    loss: Callable[[Any], Tensor] | None = None,
    **kwargs: Any,
) -> Trace:
    """Runs a recurrent layer, or a model with such layers in it, and shows what happens inside.

        trace = tg.rnn.trace(lstm, x, state)
        trace["i"], trace["c"]          the input gate and the cell state, (T, N, H) each
        trace.backward(loss)            with a loss computed from trace.result
        trace.grad("h")                 dL/dh_t, (T, N, H)
        trace.flow().shares             each step's share of the gradient of each parameter

    The names are those of the cell's equations (i, f, g, o, c, h; r, z, n, h), and x for its input,
    with the layer and direction in front: ``l0.i``, ``l1_reverse.h``; in a model also the layer's
    place: ``encoder.l0.i``. The name alone is enough while it is unique. A cell of your own shows
    its state, and what it gives a name: ``tg.named(a, "a")``. A loop of your own is seen if its
    steps are in ``with tg.scope(f"t={t}"):``. If a layer runs twice, ``l0#2`` is its second run.

    Args:
        module: called as ``module(*args, **kwargs)``; gradients are recorded also in `no_grad`.
        args: the first one, if it is a floating array without a gradient, is given one, so that
            all is seen also when parameters are frozen.
        loss: if given, ``trace.backward(loss(trace.result))`` is called.
        kwargs: such as lengths= or mask=.

    Returns:
        A `Trace`: a mapping from names to arrays. Their first axis is time, also with batch_first,
        and in the order of the sequence, also in the reverse direction. If the module is a layer
        that is given a single sequence, there is no batch axis: (T, H). Steps that a mask excludes
        are zero, also in gradients; a step that has no such quantity is NaN.

    Raises:
        RuntimeError: if there is nothing to see: no recurrent layer ran, or nothing in it requires
            a gradient.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> lstm = tg.nn.LSTM(2, 3, rng=0)
    >>> seen = tg.rnn.trace(lstm, np.ones((5, 1, 2)), loss=lambda result: (result[0] ** 2).sum())
    >>> seen["c"].shape, seen.grad("l0.c").shape
    ((5, 1, 3), (5, 1, 3))
    >>> list(seen)
    ['l0.x', 'l0.i', 'l0.f', 'l0.o', 'l0.g', 'l0.c', 'l0.h']
    >>> flow = seen.flow()
    >>> flow.shares["weight_hh_l0"].shape, flow.jacobian_norm.shape
    ((5, 12, 3), (5, 1))
    """
    if not callable(module):
        raise TypeError(f"trace takes a module or a function and its arguments, not {module!r:.60}")
    if loss is not None and not callable(loss):
        raise TypeError(
            "trace(..., loss=...) takes a function of the result; for a loss that is computed "
            "already there is trace.backward(loss)"
        )
    args = (_with_gradient(args[0]), *args[1:]) if args else args
    outside = current().scope
    with enable_grad(), record() as recording:
        result = module(*args, **kwargs)
    if any(_is_checkpoint(made) for made in recording.values):
        raise GraphError(
            f"trace: {_called(module)} calls a checkpointed function, which keeps nothing of what "
            "happens inside: trace it without checkpoint, or with checkpoint_every=None"
        )
    runs = find_runs(recording, outside, unnamed=isinstance(module, Module))
    if not any(run.quantities for run in runs):
        raise GraphError(_NOTHING.format(called=_called(module)))
    single = isinstance(module, Recurrent) and getattr(result[0], "ndim", 3) == 2
    arguments = list(_tensors((args, kwargs)))
    made = Trace(recording, runs, result, module, arguments, single)
    if loss is not None:
        with enable_grad():
            made.backward(loss(result))
    return made


def grad_norms(recording: Recording, runs: Iterable[Run], key: str) -> dict[str, NormOverTime]:
    """‖dL/dq_t‖ of the quantity `key` in every run that has it, by the run's place."""
    found = {}
    names: list[str] = []
    for run in runs:
        names += [name for name in run.quantities if name not in names]
        same = [n for n in run.quantities if n == key] or [
            n for n in run.quantities if n.endswith(f".{key}")
        ]
        if len(same) == 1:
            g = run.stacked(same[0], recording.gradient)
            found[run.place] = NormOverTime(run.first, _norms(g))
    if not found:
        raise UnknownQuantity(
            f"no quantity {key!r} was seen.{did_you_mean(key, names)} There are {_listed(names)}"
        )
    return found


def _is_checkpoint(made: Any) -> bool:
    node = made.node if type(made) is Output else made
    return type(node) is Node and node.operation.name == "checkpoint"


def _with_gradient(x: Any) -> Any:
    """A floating array as a leaf that requires a gradient; anything else as it is."""
    if isinstance(x, PackedSequence):
        return x._replace(data=_with_gradient(x.data))
    if isinstance(x, Tensor) and x.requires_grad:
        return x
    if isinstance(x, (np.ndarray, Tensor)) and x.dtype.kind == "f":
        leaf: Tensor = wrap(np.array(x.data if isinstance(x, Tensor) else x))
        leaf.requires_grad = True
        return leaf
    return x


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _tensors(part)


def _norms(array: np.ndarray) -> np.ndarray:
    """The norm of each row."""
    flat = array.reshape(len(array), -1).astype(np.float64)
    norms: np.ndarray = np.sqrt((flat * flat).sum(axis=1))
    return norms


def _called(module: Any) -> str:
    if isinstance(module, Module):
        return f"{type(module).__name__}({module.extra_repr()})"
    return str(getattr(module, "__name__", type(module).__name__))


def _listed(keys: list[str]) -> str:
    more = f", … {len(keys) - _MOST_NAMED} more" if len(keys) > _MOST_NAMED else ""
    return ", ".join(map(repr, keys[:_MOST_NAMED])) + more


_NOTHING = (
    "trace: {called} ran no recurrent layer that could be seen. Give it a layer such as nn.LSTM, a "
    "model with one, or a function that calls tg.rnn.scan; around the steps of a loop of your own "
    "write `with tg.scope(f't={{t}}'):`, and name results: tg.named(h, 'h'). Only what depends on "
    "a Tensor with requires_grad=True is seen: if all parameters are frozen, so that nothing "
    "does, switch one on"
)
