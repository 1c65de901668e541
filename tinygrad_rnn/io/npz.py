"""NumPy's .npz: a zip archive of .npy members, without anything that would need pickle."""

from __future__ import annotations

import json
import math
import re
import zipfile
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from ..core.errors import FileFormatError
from .archives import Archive
from .reading import Budget, check_read_name

METADATA = "__metadata__"
_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 4096
# Booleans, integers, floating-point and complex numbers, and text of a fixed length.
_DTYPE = r"[<>|=]?(?:b1|[iu][1248]|f(?:2|4|8|12|16)|c(?:8|16|24|32)|[US][1-9]\d{0,8})"
_HEADER = re.compile(
    rf"\s*\{{\s*'descr':\s*'({_DTYPE})',\s*'fortran_order':\s*(True|False),"
    r"\s*'shape':\s*\(((?:\d{1,19}\s*,\s*)*(?:\d{1,19})?)\),?\s*\}\s*"
)


def write_npz(file: BinaryIO, arrays: Mapping[str, np.ndarray], metadata: dict[str, str]) -> None:
    """Writes arrays so that `numpy.load` reads them; the same arrays give the same bytes."""
    with zipfile.ZipFile(file, "w", allowZip64=True) as archive:
        for name, array in arrays.items():
            _write_member(archive, name, array)
        if metadata:
            _write_member(archive, METADATA, np.array(json.dumps(metadata)))


def _write_member(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
        np.lib.format.write_array(member, array, allow_pickle=False)


def read_npz(file: BinaryIO, limit: int | None) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays of an .npz file, and its metadata.

    Args:
        file: the open file.
        limit: see `Budget`.
    """
    archive = Archive(file, Budget(file, limit))
    arrays: dict[str, np.ndarray] = {}
    metadata: dict[str, str] = {}
    for member in archive.names():
        name = member.removesuffix(".npy")
        if name == member:
            raise FileFormatError(f"the member {member[:100]!r} isn't an array (.npy)")
        if name == METADATA:
            metadata = _metadata(_read_member(archive, member))
        else:
            check_read_name(name, arrays)
            arrays[name] = _read_member(archive, member)
    return arrays, metadata


def _read_member(archive: Archive, member: str) -> np.ndarray:
    dtype, shape, fortran, start = _header(archive.start(member, _LONGEST_HEADER), member)
    expected = start + math.prod(shape) * dtype.itemsize
    if archive.size(member) != expected:
        raise FileFormatError(
            f"the array {member[:100]!r} of shape {shape} and {dtype} takes {expected:,} bytes, "
            f"the file has {archive.size(member):,}"
        )
    data = archive.read(member, start)
    flat = data.view(dtype) if data.size else np.empty(0, dtype)
    return flat.reshape(shape, order="F" if fortran else "C")


def _header(data: bytes, member: str) -> tuple[np.dtype[Any], tuple[int, ...], bool, int]:
    """What the start of an .npy member says of its array, and where the numbers begin."""
    width = {1: 2, 2: 4, 3: 4}.get(data[6] if len(data) > 6 else 0, 0)
    start = 8 + width + int.from_bytes(data[8 : 8 + width], "little")
    text = data[8 + width : start].decode("utf-8", "replace")
    found = _HEADER.fullmatch(text)
    if not data.startswith(_MAGIC) or not width or found is None:
        objects = "object" if "'|O'" in text else "another"
        raise FileFormatError(
            f"the member {member[:100]!r} isn't an array of numbers or text, but of {objects} "
            f"kind, which is not read: {text[:100]!r}"
        )
    numbers = [n for n in re.split(r"[,\s]+", found[3]) if n]
    return np.dtype(found[1]), tuple(map(int, numbers)), found[2] == "True", start


def _metadata(array: np.ndarray) -> dict[str, str]:
    found = json.loads(str(array)) if array.dtype.kind == "U" and array.ndim == 0 else None
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        raise FileFormatError(f"{METADATA} isn't a dict of text in JSON, as `save` writes it")
    return found
