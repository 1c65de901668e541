"""Checkpoints: all that a run needs to go on as if it hadn't been stopped, in one file."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import FileFormatError, did_you_mean
from ..core.files import whole_file
from .npz import read_npz, write_npz
from .random_states import Generators, RandomStates, generators_in, random_states
from .reading import reading
from .trees import pack, unpack

_FORMAT = "tinygrad_rnn.checkpoint"
_FORMAT_VERSION = 1


def save_checkpoint(
    path: str | os.PathLike[str],
    *,
    random: bool = True,
    generators: Generators | None = None,
    **parts: Any,
) -> None:
    """Writes the states of all that takes part in a run into one file.

    Until all is on the disk, a checkpoint that was there stays as it was: a run that is killed
    while it saves leaves the previous one or the new one, whole.

    Args:
        path: the file, in the form of .npz.
        random: whether the states of random generators are kept: the library's default one,
            NumPy's global one, and those that modules among the parts draw from.
        generators: further generators by name, such as the one that shuffles the data.
        parts: by names of your own, such as ``model=model, optimiser=optimiser, step=17``. What
            has ``state_dict`` and ``load_state_dict`` is kept by its state, anything else as it
            is: numbers, text, arrays, and dicts, lists and tuples of them.

    Raises:
        OSError: if the file can't be written. The old one stays.
        TypeError: for a part that isn't one of those, saying where it stands.
        ValueError: for generators with random=False, or a part called limit.

    >>> import os, tempfile, tinygrad_rnn as tg
    >>> model = tg.nn.Linear(2, 3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "run.npz")
    ...     tg.io.save_checkpoint(path, model=model, step=17)
    ...     model.weight.data = model.weight.data * 0
    ...     found = tg.io.load_checkpoint(path, model=model)
    >>> found["step"], bool(model.weight.numpy().any())
    (17, True)
    """
    arrays: dict[str, np.ndarray] = {}
    states = {name: _state(part) for name, part in parts.items()}
    if random:
        every = {**generators_in(parts), **_given(generators)}
        states["random"] = random_states(every)
    elif generators:
        raise ValueError("generators are given, but random=False keeps no state of theirs")
    if "limit" in parts:
        raise ValueError("a part can't be called limit, which load_checkpoint has another use for")
    written = {
        "version": _FORMAT_VERSION,
        "library": _library_version(),
        "parts": {name: pack(state, name, arrays) for name, state in states.items()},
    }
    with whole_file(Path(path)) as file:
        write_npz(file, arrays, {_FORMAT: json.dumps(written)})


def load_checkpoint(
    path: str | os.PathLike[str],
    *,
    random: bool = True,
    generators: Generators | None = None,
    limit: int | None = None,
    **parts: Any,
) -> dict[str, Any]:
    """Reads a checkpoint, and gives the parts named here their states back.

    All is read and checked first. If anything is wrong, nothing has changed.

    Args:
        path: a file of `save_checkpoint`.
        random: whether random generators get their states back.
        generators: further generators to set, by the names they were saved under.
        limit: how many bytes the file may ask for in all; None for 32 times its size, or 64 MiB.
        parts: what to give its state to, by the name it was saved under. Parts of the file that
            aren't named are left alone; without any, the file is only read, and no generator set.

    Returns:
        The states of all parts by name, also of those that weren't named.

    Raises:
        OSError: if the file can't be read.
        FileFormatError: if it isn't a checkpoint, or was cut short or altered.
        KeyError: naming a part that isn't in it.
        ValueError: and what else a part's load_state_dict raises.
    """
    path = Path(path)
    states = _read(path, limit)
    saved_random = states.pop("random", None)
    _check_parts(path, parts, states)
    applied = random and bool(parts or generators)
    every = {**generators_in(parts), **_given(generators)}
    ready = None
    if applied and (saved_random is not None or generators):
        if saved_random is None:
            raise ValueError(f"{path} was saved with random=False: it has no random states")
        ready = _ready(path, saved_random, every)
    _apply(parts, states)
    if ready is not None:
        ready.apply()
    return states


def _given(generators: Generators | None) -> dict[str, np.random.Generator]:
    for name, rng in (generators or {}).items():
        if not isinstance(rng, np.random.Generator):
            raise TypeError(
                f"generators are by name -> np.random.Generator, got {name!r}: {type(rng).__name__}"
            )
    return dict(generators or {})


def _state(part: Any) -> Any:
    return part.state_dict() if hasattr(part, "state_dict") else part


def _library_version() -> str:
    from .. import __version__

    return __version__


def _read(path: Path, limit: int | None) -> dict[str, Any]:
    """The states of all parts, and of the generators as "random"."""
    with reading(path) as file:
        arrays, metadata = read_npz(file, limit)
        if _FORMAT not in metadata:
            raise FileFormatError("it isn't a checkpoint; weights are read by tg.load")
        written = json.loads(metadata[_FORMAT])
        if written["version"] != _FORMAT_VERSION:
            raise FileFormatError(
                f"it is a checkpoint of form {written['version']!r}, written by tinygrad_rnn "
                f"{written['library']}; form {_FORMAT_VERSION} is read here"
            )
        if not isinstance(written["parts"], dict):
            raise FileFormatError("its parts aren't a dict")
        return {name: unpack(state, arrays) for name, state in written["parts"].items()}


def _check_parts(path: Path, parts: Mapping[str, Any], states: Mapping[str, Any]) -> None:
    for name, part in parts.items():
        if name not in states:
            hint = did_you_mean(name, states)
            raise KeyError(f"{path} has no part {name!r}.{hint} It has {', '.join(states)}")
        if not hasattr(part, "load_state_dict") or not hasattr(part, "state_dict"):
            raise TypeError(
                f"{name} is a {type(part).__name__} without load_state_dict: leave it out, and "
                f"take what was saved from the result, load_checkpoint(...)[{name!r}]"
            )


def _ready(path: Path, states: Any, generators: Generators) -> RandomStates:
    try:
        return RandomStates(states, generators)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ValueError(
            f"the random states in {path} don't fit, nothing was changed: {error}. "
            "random=False leaves them alone"
        ) from error


def _apply(parts: Mapping[str, Any], states: Mapping[str, Any]) -> None:
    """Gives every part its state; if one refuses, those before it get theirs back."""
    before: list[tuple[Any, Any]] = []
    try:
        for name, part in parts.items():
            before.append((part, copy.deepcopy(part.state_dict())))
            part.load_state_dict(copy.deepcopy(states[name]))
    except BaseException:
        for part, state in reversed(before):
            part.load_state_dict(state)
        raise
