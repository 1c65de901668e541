"""Names of files that models and weights are kept under."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

_MODELS = (".npz",)
_WEIGHTS = (".npz", ".safetensors")
_OF_KERAS = (".h5", ".hdf5", ".keras", ".tf")


def check_suffix(path: str | os.PathLike[str], what: str) -> Path:
    """The path, if "a model" or "weights" can be kept under that name.

    Raises:
        ValueError: if its suffix is another one.
    """
    path = Path(path)
    known = _MODELS if what == "a model" else _WEIGHTS
    suffix = path.suffix.lower()
    if suffix in known:
        return path
    stem = re.sub(r"(\.weights)?\.(h5|hdf5|keras|tf)$", "", str(path), flags=re.IGNORECASE)
    why = (
        f"{suffix} is a format of Keras itself, which is neither written nor read here. "
        if suffix in _OF_KERAS
        else ""
    )
    raise ValueError(
        f"The file of {what} has a name that ends in {' or '.join(known)}. {why}"
        f"Received: filepath={str(path)!r}. Use {stem + known[0]!r}"
    )


def checked_target(path: Any, what: str, overwrite: bool) -> Path:
    """The path, if "a model" or "weights" may be written there.

    Raises:
        ValueError: if its suffix is another one.
        FileExistsError: for a file that is there, with overwrite=False.
    """
    path = check_suffix(path, what)
    if not overwrite and path.exists():
        raise FileExistsError(f"{path} is there already: give overwrite=True to replace it")
    return path
