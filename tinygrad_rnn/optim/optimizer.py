"""What optimisers have in common: groups of parameters, the walk over them, saving."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, TypeAlias

import numpy as np

from ..core.context import enable_grad
from ..core.errors import GraphError, ShapeError, did_you_mean
from ..tensor import Tensor
from . import saving

Settings: TypeAlias = dict[str, Any]
# Changes a block of the parameter and of the state's arrays; called as
# rule(w, g, scratch, *arrays), where scratch is two arrays of the block's length to write on.
Rule: TypeAlias = Callable[..., None]

# Of each array, so that those of a block stay in the cache from one operation to the next.
BLOCK_BYTES = 1 << 18
# What schedules write into the groups.
OF_SCHEDULES = ("initial_lr", "max_lr", "min_lr", "max_momentum", "base_momentum")


class Optimizer:
    """What optimisers have in common.

    A subclass gives `_arrays`, the names of the arrays that it keeps for a parameter, and `_rule`,
    how they and the parameter change. Gradients are dense arrays; there are no sparse ones.
    Weight decay is a part of the gradient; with the setting decoupled_weight_decay,
    w ← (1 - lr · weight_decay) w comes first instead.

    Args:
        params: Tensors, or dicts with "params" and settings of their own.
        defaults: the settings of groups that don't say otherwise.

    Attributes:
        param_groups: a list of dicts: "params" and the settings; they may be changed at any time.
        defaults: as given.
        state: what is kept for each parameter, from its first step on.

    Raises:
        TypeError, ValueError: for no parameters, one that is listed twice, or settings that are
            unknown or make no sense.
        GraphError: for parameters that are not leaves.
    """

    # What a parameter's state must hold, and what it may hold besides.
    _required: ClassVar[tuple[str, ...]] = ()
    _optional: ClassVar[tuple[str, ...]] = ()

    def __init__(self, params: Iterable[Any], defaults: Settings) -> None:
        if isinstance(params, Tensor):
            raise TypeError("params should be an iterable of Tensors: write [w] for a single one")
        _require_order(params)
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not any(isinstance(group, dict) for group in groups):
            groups = [{"params": groups}]
        self.defaults = defaults
        self.param_groups: list[Settings] = []
        self.state: dict[Tensor, dict[str, Any]] = {}
        self.stepped = False  # schedules warn if they are first
        self._scratch: dict[np.dtype[Any], np.ndarray] = {}
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, param_group: Settings) -> None:
        """Adds parameters to be optimised, with settings of their own where given.

        Args:
            param_group: a dict with "params" and settings; it is copied.

        Raises:
            TypeError, ValueError, GraphError: as the constructor; nothing is added then.

        >>> import tinygrad_rnn as tg
        >>> a, b = (tg.Tensor([1.0], requires_grad=True) for _ in range(2))
        >>> opt = tg.optim.SGD([a], lr=0.1)
        >>> opt.add_param_group({"params": b, "lr": 0.5})
        >>> [group["lr"] for group in opt.param_groups]
        [0.1, 0.5]
        """
        if not isinstance(param_group, dict) or "params" not in param_group:
            raise TypeError(
                f'a group of parameters is a dict with "params", got {param_group!r:.80}'
            )
        for name in param_group:
            if name not in ("params", *self.defaults, *OF_SCHEDULES):
                near = did_you_mean(name, self.defaults)
                raise ValueError(f"{type(self).__name__} has no setting {name!r}.{near}")
        members = _leaves(param_group["params"])
        self._require_new(members)
        group = {**self.defaults, **param_group, "params": members}
        self._check(group)
        self.param_groups.append(group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Sets the gradient of every parameter to None (or those that there are to zeros)."""
        for p in self._params():
            if p._grad is not None:
                p.grad = None if set_to_none else np.zeros_like(p._data)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Moves every parameter that has a gradient.

        Args:
            closure: called first; it sets the gradients anew and returns the loss.

        Returns:
            What the closure returned.

        Raises:
            ValueError: if a gradient no longer has its parameter's shape.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        self.stepped = True
        for group in self.param_groups:
            for p in group["params"]:
                if p._grad is not None:
                    self._move(p, p._grad._data, group)
        return loss

    def state_dict(self) -> dict[str, Any]:
        """What is kept for the parameters, by their place, and the groups' settings: copies.

        >>> import tinygrad_rnn as tg
        >>> w = tg.Tensor([1.0], requires_grad=True)
        >>> opt = tg.optim.SGD([w], lr=0.5, momentum=0.9)
        >>> w.grad = [2.0]; opt.step()
        >>> opt.state_dict()["state"]
        {0: {'momentum_buffer': array([2.])}}
        >>> opt.state_dict()["param_groups"][0]["params"]
        [0]
        """
        return saving.saved(self.param_groups, self.state)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes what `state_dict` gave, PyTorch's too: copied, and cast to the parameters' dtype.

        Args:
            state_dict: of an optimiser of the same kind with groups of the same sizes.

        Raises:
            TypeError, ValueError: listing what doesn't fit. Nothing is changed.
        """
        loading = saving.Loading(self.param_groups, state_dict, OF_SCHEDULES)
        state = loading.states(self._required, self._optional)
        loading.require_no_faults(type(self).__name__)
        for found in loading.settings:
            self._check(found)
        for own, found in zip(self.param_groups, loading.settings, strict=True):
            own.update(found)
        self.state = state
        self.stepped = True  # it goes on from there

    def count_from(self, steps: int) -> None:
        """Makes the next step number `steps` + 1 for all that have a gradient now.

        By itself, each parameter's steps are counted: those at which it had a gradient.
        """
        if "step" in self._required:
            for p in self._params():
                if p._grad is not None:
                    self.state.setdefault(p, {})["step"] = steps

    def _params(self) -> Iterable[Tensor]:
        return (p for group in self.param_groups for p in group["params"])

    def _require_new(self, members: list[Tensor]) -> None:
        listed = set(self._params())
        for p in members:
            if p in listed:
                raise ValueError(f"a parameter is listed twice, and would move twice: {p!r:.80}")
            listed.add(p)

    def _check(self, settings: Settings) -> None:
        """Raises ValueError for settings that make no sense."""

    def _arrays(self, group: Settings) -> tuple[str, ...]:
        """The names of the arrays that a parameter's state needs under these settings."""
        raise NotImplementedError

    def _rule(self, group: Settings, state: dict[str, Any]) -> Rule:
        """The step that comes now; counts it in the state if steps are counted."""
        raise NotImplementedError

    def _initial(self, group: Settings) -> float:
        """What a new array of the state is filled with."""
        return 0.0

    def _move(self, p: Tensor, g: np.ndarray, group: Settings) -> None:
        w = p._data
        if g.shape != w.shape:
            raise ShapeError(f"the gradient of shape {g.shape} doesn't fit {w.shape}")
        state = self.state.setdefault(p, {})
        rule = self._rule(group, state)
        names = self._arrays(group)
        for name in names:
            if name not in state:
                state[name] = np.full_like(w, self._initial(group))
        decay, shrink = _decay(group)
        maximize = group["maximize"]
        scratch = self._scratch_for(w.dtype)
        for w_, g_, *arrays in _blocks(w, g, *(state[name] for name in names)):
            room = scratch[:, : len(w_)]
            if shrink != 1:
                w_ *= shrink
            rule(w_, _downhill(w_, g_, decay, maximize, room[0]), room[1:], *arrays)
        p.mark_changed()

    def _scratch_for(self, dtype: np.dtype[Any]) -> np.ndarray:
        if dtype not in self._scratch:
            self._scratch[dtype] = np.empty((3, BLOCK_BYTES // dtype.itemsize), dtype)
        return self._scratch[dtype]


def switched_on(**options: bool) -> Settings:
    """The options that are on: settings that a group has only then, as PyTorch has none of them."""
    return {name: True for name, on in options.items() if on}


def root(v: np.ndarray, eps: float, inside: bool | None, out: np.ndarray) -> None:
    """out ← √v + eps, or √(v + eps) with the eps inside."""
    if inside:
        np.add(v, eps, out=out)
        np.sqrt(out, out=out)
    else:
        np.sqrt(v, out=out)
        out += eps


def _decay(group: Settings) -> tuple[float, float]:
    """How much of a parameter is added to its gradient, and what it is multiplied by first."""
    decay = float(group["weight_decay"])
    if group.get("decoupled_weight_decay"):
        return 0.0, 1 - float(group["lr"]) * decay
    return decay, 1.0


def _require_order(params: Any) -> None:
    if isinstance(params, (set, frozenset)):
        raise TypeError("params should have an order, which a set has not: use a list")


def _leaves(params: Any) -> list[Tensor]:
    """The Tensors of a group, if all can be optimised."""
    _require_order(params)
    members = [params] if isinstance(params, Tensor) else list(params)
    for p in members:
        if not isinstance(p, Tensor):
            raise GraphError(
                "only leaves can be optimised, Tensors such as those of model.parameters(); "
                f"got a {type(p).__name__}"
            )
        if p.requires_grad and p._node is not None:
            raise GraphError(f"only leaves can be optimised, not results of operations: {p!r}")
    return members


def _blocks(w: np.ndarray, g: np.ndarray, *arrays: np.ndarray) -> Any:
    """Flat pieces of the arrays, in whatever order of axes their memory has."""
    flags: Any = [["readwrite"], ["readonly"], *(["readwrite"] for _ in arrays)]
    return np.nditer(
        (w, g, *arrays),
        ["external_loop", "buffered", "zerosize_ok"],
        flags,
        buffersize=BLOCK_BYTES // w.dtype.itemsize,
    )


def _downhill(
    w: np.ndarray, g: np.ndarray, decay: float, maximize: bool, out: np.ndarray
) -> np.ndarray:
    """±g + decay · w, written to `out` unless it is g."""
    if decay:
        np.multiply(w, decay, out=out)
        return (np.subtract if maximize else np.add)(out, g, out=out)
    return np.negative(g, out=out) if maximize else g
