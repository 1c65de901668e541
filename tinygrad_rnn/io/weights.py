"""Weights in files: names and arrays, as .npz or .safetensors."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import FileFormatError
from ..core.files import whole_file
from ..module import Module
from ..tensor import Tensor
from .npz import read_npz, write_npz
from .pytorch import read_pytorch
from .reading import name_fault, reading
from .safetensors_files import read_safetensors, write_safetensors

_WRITERS = {".npz": write_npz, ".safetensors": write_safetensors}
_TORCH = (".pt", ".pth")
_KINDS = "biufcUS"


class Weights(dict[str, np.ndarray]):
    """Arrays by name, as a file holds them.

    Attributes:
        metadata: what was saved beside them, text by name.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
        super().__init__(arrays)
        self.metadata = dict(metadata)


def save(
    what: Module | Mapping[str, Any],
    path: str | os.PathLike[str],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes the weights of a module, or arrays by name, into a file.

    Until all is on the disk, a file that was there stays as it was.

    Args:
        what: a Module, or a dict of name -> array or Tensor.
        path: ends in .npz (which `numpy.load` reads as well) or in .safetensors (which needs the
            package of that name).
        metadata: text by name, kept beside the arrays.

    Raises:
        OSError: if the file can't be written. The old one stays.
        TypeError: for values that aren't arrays of numbers or text, or metadata other than text.
        ValueError: for another suffix, or a name that can't be used.
        ImportError: for .safetensors without the package.

    >>> import os, tempfile, tinygrad_rnn as tg
    >>> model = tg.nn.Linear(2, 3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "linear.npz")
    ...     tg.save(model, path, metadata={"made for": "a test"})
    ...     weights = tg.load(path)
    >>> weights["weight"].shape, weights.metadata
    ((3, 2), {'made for': 'a test'})
    >>> model.load_state_dict(weights)
    ([], [])
    """
    path = Path(path)
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise _unknown(path, _WRITERS)
    state = what.state_dict() if isinstance(what, Module) else what
    if not isinstance(state, Mapping):
        raise TypeError(
            f"save takes a Module or a dict of name -> array, got {type(what).__name__}. "
            "tg.io.save_checkpoint keeps anything that has a state_dict"
        )
    arrays = {name: checked_array(name, value) for name, value in state.items()}
    kept = _checked_metadata(metadata or {})
    with whole_file(path) as file:
        write(file, arrays, kept)


def load(path: str | os.PathLike[str], limit: int | None = None) -> Weights:
    """The arrays in a file of weights, by name.

    The file need not be trusted: nothing in it is executed, and its claims are checked before
    memory is taken for them.

    Args:
        path: ends in .npz, in .safetensors, or in .pt or .pth for a state dict that PyTorch
            saved (read without torch, see `tinygrad_rnn.io.read_pytorch`).
        limit: how many bytes the file may ask for in all; None for 32 times its size, or 64 MiB.

    Returns:
        A dict of arrays, for ``module.load_state_dict``; its `metadata` are text by name.

    Raises:
        OSError: if the file can't be read.
        FileFormatError: if it was cut short or altered, holds what isn't read, or asks for more
            than the limit.
        ValueError: for another suffix.
        ImportError: for .safetensors without the package.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in _TORCH:
        return Weights(_state_dict(read_pytorch(path, limit), path), {})
    if suffix not in _WRITERS:
        raise _unknown(path, [*_WRITERS, *_TORCH])
    with reading(path) as file:
        if suffix == ".npz":
            return Weights(*read_npz(file, limit))
        return Weights(*read_safetensors(path, file, limit))


def checked_array(name: Any, value: Any) -> np.ndarray:
    """A value to be saved, as an array.

    Raises:
        TypeError: if it isn't one of numbers or text.
        ValueError: if its name can't be used.
    """
    fault = name_fault(name)
    if fault:
        raise ValueError(f"{name!r} can't be the name of an array in a file: it {fault}")
    array = value.data if isinstance(value, Tensor) else value
    if isinstance(array, (Mapping, list, tuple, type(None))):
        raise TypeError(
            f"{name!r} is a {type(value).__name__}, not an array: save takes a flat dict, "
            "tg.io.save_checkpoint one of any depth"
        )
    array = np.asarray(array)
    if array.dtype.kind not in _KINDS:
        raise TypeError(
            f"{name!r} holds {array.dtype}, which would need pickle: only arrays of numbers, "
            "booleans or text are saved"
        )
    return array


def _checked_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    for key, value in metadata.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(
                f"metadata are text by name, got {key!r}: {type(value).__name__}. "
                "json.dumps(value) makes text of it"
            )
        (key + value).encode("utf-8")  # half characters would fail in the middle of a file
    return dict(metadata)


def _state_dict(found: Any, path: Path) -> dict[str, np.ndarray]:
    if isinstance(found, dict):
        odd = [k for k, v in found.items() if not isinstance(v, np.ndarray)]
        if not odd and all(isinstance(name, str) for name in found):
            return dict(found)
        held = "a dict with " + ", ".join(repr(key)[:50] for key in list(found)[:5])
    else:
        held = f"a {type(found).__name__}"
    raise FileFormatError(
        f"{path} holds {held}, not a state dict of name -> tensor: "
        f"tg.io.read_pytorch(path) gives all of it, and the part that is meant can be taken out"
    )


def _unknown(path: Path, known: Any) -> ValueError:
    return ValueError(
        f"no format of weights is known for {str(path)!r}: its name should end in "
        f"{', '.join(known)}"
    )
