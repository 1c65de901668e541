"""State dicts of optimisers, in PyTorch's layout: made, and checked before they are taken."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..core.errors import did_you_mean
from ..tensor import Tensor

# Settings of PyTorch's that choose its implementation, and mean nothing here.
_OF_TORCH = ("foreach", "capturable", "differentiable", "fused", "param_names")


def saved(groups: list[dict[str, Any]], state: dict[Tensor, dict[str, Any]]) -> dict[str, Any]:
    """{"state": {place: {name: array or number}}, "param_groups": [settings]}."""
    places = {p: k for k, p in enumerate(p for group in groups for p in group["params"])}
    return {
        "state": {k: copy.deepcopy(state[p]) for p, k in places.items() if state.get(p)},
        "param_groups": [
            {
                **{n: copy.deepcopy(v) for n, v in group.items() if n != "params"},
                "params": [places[p] for p in group["params"]],
            }
            for group in groups
        ],
    }


class Loading:
    """A state dict for an optimiser, looked at: what is wrong with it, and copies of its parts.

    Args:
        groups: the optimiser's own.
        state_dict: what is to be loaded.
        optional_settings: names that a group may have besides its own.
    """

    def __init__(
        self,
        groups: list[dict[str, Any]],
        state_dict: Mapping[str, Any],
        optional_settings: Sequence[str],
    ) -> None:
        if not isinstance(state_dict, Mapping) or not {"state", "param_groups"} <= set(state_dict):
            raise TypeError(
                'load_state_dict takes a dict with "state" and "param_groups", as from state_dict()'
            )
        self.own, self.found = groups, state_dict["param_groups"]
        self.state = state_dict["state"]
        self.faults: list[str] = []
        _require_sizes(self.own, self.found)
        self.settings = [self._settings(k, optional_settings) for k, _ in enumerate(self.found)]

    def _settings(self, place: int, optional: Sequence[str]) -> dict[str, Any]:
        """A copy of a group's settings, without its parameters."""
        own, found = self.own[place], self.found[place]
        for name in own:
            if name not in found and name not in optional:
                self.faults.append(f"missing: {name} of param_groups[{place}]")
        for name in found:
            if name not in own and name not in (*optional, *_OF_TORCH):
                near = did_you_mean(name, own)
                self.faults.append(f"unexpected: {name} in param_groups[{place}].{near}")
        dropped = ("params", *_OF_TORCH)
        return {n: copy.deepcopy(v) for n, v in found.items() if n not in dropped}

    def states(
        self, required: Sequence[str], optional: Sequence[str]
    ) -> dict[Tensor, dict[str, Any]]:
        """What was kept for each parameter, the arrays as the parameter's."""
        members = {
            k: p
            for own, found in zip(self.own, self.found, strict=True)
            for k, p in zip(found["params"], own["params"], strict=True)
        }
        self.faults += [f"unexpected: state of {k!r:.80}" for k in self.state if k not in members]
        return {
            p: self._kept(k, p, required, optional) for k, p in members.items() if self.state.get(k)
        }

    def _kept(
        self, place: Any, p: Tensor, required: Sequence[str], optional: Sequence[str]
    ) -> dict[str, Any]:
        kept = self.state[place]
        if not isinstance(kept, Mapping):
            self.faults.append(f"state of {place}: a dict is needed, not {type(kept).__name__}")
            return {}
        self.faults += [f"missing: {n} in the state of {place}" for n in required if n not in kept]
        found = {}
        for name, value in kept.items():
            if name not in (*required, *optional):
                self.faults.append(f"unexpected: {name} in the state of {place}")
            elif value is not None:  # PyTorch's way to say that there is none yet
                try:
                    found[name] = step_count(value) if name == "step" else array_like(p, value)
                except (TypeError, ValueError, OverflowError) as error:
                    self.faults.append(f"{name} in the state of {place}: {error}")
        return found

    def require_no_faults(self, kind: str) -> None:
        """Raises ValueError with the faults found so far, if there are any."""
        if self.faults:
            raise ValueError(
                f"load_state_dict of {kind}, nothing was changed:\n  " + "\n  ".join(self.faults)
            )


def _require_sizes(own: Any, found: Any) -> None:
    if not isinstance(found, (list, tuple)) or len(found) != len(own):
        count = len(found) if isinstance(found, (list, tuple)) else type(found).__name__
        raise ValueError(
            f"loaded state dict has a different number of parameter groups: {count}, not {len(own)}"
        )
    for k, (group, given) in enumerate(zip(own, found, strict=True)):
        if not isinstance(given, Mapping) or not isinstance(given.get("params"), (list, tuple)):
            raise TypeError(f'param_groups[{k}] should be a dict with a list of "params"')
        if len(given["params"]) != len(group["params"]):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of "
                f"optimizer's group: {len(given['params'])} parameters, not {len(group['params'])}"
            )
    places = [k for given in found for k in given["params"]]
    if len(set(places)) != len(places):
        raise ValueError("loaded state dict lists a parameter twice")


def step_count(value: Any) -> int:
    """A number of steps, also from an array of one."""
    array = np.asarray(value)
    count = int(array.item())
    if array.dtype.kind not in "fiu" or count < 0 or count != array.item():
        raise ValueError(f"a number of steps is needed, not {value!r:.80}")
    return count


def array_like(p: Tensor, value: Any) -> np.ndarray:
    """A copy with the parameter's dtype and order of axes in memory."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise ValueError(f"numbers are needed, not {array.dtype}")
    if array.shape != p.shape:
        raise ValueError(f"shape {array.shape}, but the parameter has {p.shape}")
    made = np.empty_like(p._data)
    made[...] = array
    return made
