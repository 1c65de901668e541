"""The .safetensors format, by the package of that name; a checksum is added, and read over."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np

from ..core.errors import FileFormatError
from .reading import Budget, check_read_name, size_of
from .storages import as_float32

INSTALL = 'pip install "tinygrad-rnn[safetensors]"'

DTYPES = {
    "BOOL": np.dtype(bool),
    **{f"{kind}{8 * n}": np.dtype(f"<{kind.lower()}{n}") for kind in "IU" for n in (1, 2, 4, 8)},
    **{f"F{8 * n}": np.dtype(f"<f{n}") for n in (2, 4, 8)},
    "C64": np.dtype("<c8"),
}
_BFLOAT = "BF16"
_WIDTH = 8  # bytes that hold the length of the header
_LONGEST_HEADER = 16 << 20
# The format has none: a flipped bit in a weight would go unseen.
_CHECKSUM = "tinygrad_rnn.crc32"


def write_safetensors(
    file: BinaryIO, arrays: Mapping[str, np.ndarray], metadata: dict[str, str]
) -> None:
    """Writes arrays and metadata.

    Raises:
        ImportError: without the package.
        TypeError: naming an array whose dtype the format doesn't have.
    """
    package = _package("safetensors.numpy")
    for name, array in arrays.items():
        if array.dtype.newbyteorder("<") not in DTYPES.values():
            raise TypeError(
                f"{name!r} holds {array.dtype}, which the safetensors format doesn't have: convert "
                "it with .astype(...), or save as .npz"
            )
    plain = {n: np.asarray(a, a.dtype.newbyteorder("<"), order="C") for n, a in arrays.items()}
    checked = {**metadata, _CHECKSUM: _checksum(plain, metadata)}
    file.write(package.save(plain, checked))


def read_safetensors(
    path: Path, file: BinaryIO, limit: int | None
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays of a .safetensors file, bfloat16 as float32, and its metadata.

    Args:
        path, file: the file, and the same opened.
        limit: see `Budget`.
    """
    package = _package("safetensors")
    header, start = _header(file)
    budget = Budget(file, limit)
    for name, entry in header.items():
        _check_entry(name, entry, budget)
    try:
        with package.safe_open(str(path), framework="numpy") as opened:
            metadata = dict(opened.metadata() or {})
            arrays = {n: _array(opened, n, header[n], file, start) for n in header}
    except package.SafetensorError as error:
        raise FileFormatError(f"it was cut short or altered: {error}") from error
    expected = metadata.pop(_CHECKSUM, None)
    if expected is not None and expected != _checksum(arrays, metadata):
        raise FileFormatError("it was altered: what it holds doesn't match its checksum")
    return arrays, metadata


def _package(name: str) -> ModuleType:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"the safetensors format needs the safetensors package: {INSTALL}. "
            "The .npz format needs nothing but NumPy"
        ) from error


def _header(file: BinaryIO) -> tuple[dict[str, Any], int]:
    """What the header says of each array, and where the numbers begin."""
    length = int.from_bytes(file.read(_WIDTH), "little")
    if length > min(_LONGEST_HEADER, size_of(file) - _WIDTH):
        raise FileFormatError(f"its header claims {length:,} bytes, of {size_of(file):,} in all")
    header = json.loads(file.read(length), object_pairs_hook=_without_doubles)
    if not isinstance(header, dict):
        raise FileFormatError("its header isn't a dict")
    header.pop("__metadata__", None)
    return header, _WIDTH + length


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise FileFormatError("a name stands in its header twice")
    return found


def _check_entry(name: str, entry: Any, budget: Budget) -> None:
    check_read_name(name, ())
    kind, shape = entry["dtype"], entry["shape"]
    if kind != _BFLOAT and kind not in DTYPES:
        known = ", ".join([*DTYPES, _BFLOAT])
        raise FileFormatError(f"{name[:100]!r} holds {kind!r}; what is read: {known}")
    if not all(type(n) is int and n >= 0 for n in shape):
        raise FileFormatError(f"{name[:100]!r} has the shape {str(shape)[:100]}")
    size = 4 if kind == _BFLOAT else DTYPES[kind].itemsize
    budget.take(math.prod(shape) * size, f"{name[:100]!r}")


def _array(opened: Any, name: str, entry: dict[str, Any], file: BinaryIO, start: int) -> np.ndarray:
    if entry["dtype"] != _BFLOAT:
        return opened.get_tensor(name)
    first, last = entry["data_offsets"]
    file.seek(start + first)
    halves = np.frombuffer(file.read(last - first), "<u2")
    return as_float32(halves).reshape(entry["shape"])


def _checksum(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> str:
    described = [(n, arrays[n].dtype.str, list(arrays[n].shape)) for n in sorted(arrays)]
    total = zlib.crc32(json.dumps([described, sorted(metadata.items())]).encode())
    for name in sorted(arrays):
        total = zlib.crc32(arrays[name].reshape(-1).view(np.uint8).data, total)
    return f"{total:08x}"
