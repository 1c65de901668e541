"""What is written of a Keras model."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...io import save_checkpoint
from ...restoring import generators_of
from ..configs import object_config
from ..file_names import checked_target
from .weight_files import named_weights

VERSION = 1  # of the form of the file


def save_model(
    model: Any, filepath: Any, overwrite: bool = True, include_optimizer: bool = True
) -> None:
    """Writes a model into a file: the same as ``model.save(filepath)``, which see."""
    path = checked_target(filepath, "a model", overwrite)
    weights = named_weights(model) if model.built else {}
    parts: dict[str, Any] = {
        "keras": VERSION,
        "architecture": object_config(model),
        "input_shape": model.given_shape() if model.built else None,
        "weights": {name: weight.data for name, weight in weights.items()},
        "trainable": [weight.requires_grad for weight in weights.values()],
        "states": states_of(model),
        "drawing": {name: rng.bit_generator.state for name, rng in generators_of(model).items()},
    }
    if include_optimizer and model.compiled:
        parts["compile"] = model.get_compile_config()
        parts["optimizer"] = _optimizer_state(model)
    save_checkpoint(path, random=False, **parts)


def states_of(model: Any) -> dict[str, Any]:
    """What stateful layers have left, by the places of the layers."""
    return {
        str(place): _arrays(module.states)
        for place, module in enumerate(model.modules())
        if getattr(module, "stateful", False) and isinstance(vars(module).get("states"), list)
    }


def _arrays(states: Any) -> Any:
    if isinstance(states, (list, tuple)):
        return [_arrays(each) for each in states]
    return np.asarray(states.data)


def _optimizer_state(model: Any) -> dict[str, Any] | None:
    """The optimizer's state, with the places of the weights it is for; None before it is built."""
    optimizer = model.optimizer
    if not optimizer.built:
        return None
    places = {id(weight): place for place, weight in enumerate(model.weights)}
    foreign = [v.name for v in optimizer._trainable if id(v) not in places]
    if foreign:
        raise ValueError(
            f"the optimizer of '{model.name}' was built with variables that aren't the model's: "
            f"{foreign[:5]}. include_optimizer=False saves the model without it"
        )
    excluded = [v for group in optimizer.param_groups[1:] for v in group["params"]]
    return {
        "variables": [places[id(v)] for v in optimizer._trainable],
        "excluded": [places[id(v)] for v in excluded],
        "state": optimizer.state_dict(),
    }
