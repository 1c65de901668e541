"""Files of torch.save, read without torch: tensors and plain containers, and nothing else."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..core.errors import FileFormatError
from .archives import Archive
from .opcodes import Name, Opcodes
from .reading import Budget, reading
from .storages import DTYPES, Storages, ints

# An object takes up to a hundred times the bytes of the instruction that makes it.
_LONGEST_PICKLE = 4 << 20
_ZIP = b"PK"


class _Storage(NamedTuple):
    key: str
    dtype: str


def read_pytorch(path: str | os.PathLike[str], limit: int | None = None) -> Any:
    """What `torch.save` wrote, with arrays in place of tensors; torch isn't needed.

    Nothing in the file is ever executed. What is read: tensors and parameters of float16, 32, 64,
    bfloat16 (as float32), integers and booleans; dict, OrderedDict, list, tuple, str, numbers and
    None. Each tensor becomes an array of its own, also where tensors shared their memory.

    Args:
        path: the file, as PyTorch has written it since version 1.6.
        limit: how many bytes it may ask for in all; None for 32 times its size, or 64 MiB.

    Returns:
        What was saved: of a state dict, a dict of name -> array.

    Raises:
        OSError: if the file can't be read.
        FileFormatError: if it was cut short or altered, or holds anything else, which is named.

    >>> import pathlib, tempfile, zipfile, tinygrad_rnn as tg
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "weights.pt")
    ...     with zipfile.ZipFile(path, "w") as archive:
    ...         archive.writestr("weights/data.pkl", b"cposix\\nsystem\\n.")
    ...     try:
    ...         tg.io.read_pytorch(path)
    ...     except tg.errors.FileFormatError as error:
    ...         print(str(error)[len(folder) :])
    /weights.pt: refuses posix.system: only tensors, numbers, text, None, dict, list and tuple ...
    """
    with reading(Path(path)) as file:
        if file.read(2) != _ZIP:
            raise FileFormatError(
                "not a file of torch.save as it has been since PyTorch 1.6. Where PyTorch reads "
                "it, torch.save(torch.load(path), path) writes it anew"
            )
        file.seek(0)
        archive = Archive(file, Budget(file, limit))
        pickled = [n for n in archive.names() if n.endswith("data.pkl") and n.count("/") == 1]
        if len(pickled) != 1:
            raise FileFormatError("it is a zip archive, but not one of torch.save: no data.pkl")
        if archive.size(pickled[0]) > _LONGEST_PICKLE:
            raise FileFormatError(f"its data.pkl is larger than {_LONGEST_PICKLE:,} bytes")
        folder = pickled[0].removesuffix("data.pkl")
        storages = Storages(archive, folder, Budget(file, limit))
        return _Tensors(storages).read(archive.read(pickled[0]).tobytes())


class _Tensors:
    """The functions that torch names in its pickles, as they are here."""

    def __init__(self, storages: Storages) -> None:
        self._storages = storages

    def read(self, pickle: bytes) -> Any:
        calls: dict[str, Callable[..., Any]] = {
            "collections OrderedDict": self._ordered_dict,
            "torch Size": ints,
            "torch._utils _rebuild_tensor_v2": self._tensor,
            "torch._utils _rebuild_tensor_v3": self._tensor_of_dtype,
            "torch._utils _rebuild_parameter": self._parameter,
        }
        return Opcodes(calls, self._storage, DTYPES).run(pickle)

    def _storage(self, identity: Any) -> _Storage:
        if type(identity) is not tuple or len(identity) != 5 or identity[0] != "storage":
            raise FileFormatError("its pickle refers to something that isn't a storage")
        _, kind, key, _, _ = identity
        if not isinstance(kind, Name) or not isinstance(key, str) or kind.text not in DTYPES:
            raise FileFormatError("its pickle refers to a storage without a dtype or a name")
        return _Storage(key, DTYPES[kind.text])

    def _tensor(self, storage: Any, offset: Any, shape: Any, stride: Any, *_: Any) -> np.ndarray:
        if not isinstance(storage, _Storage):
            raise FileFormatError("a tensor has no storage")
        (start,) = ints((offset,))
        return self._storages.tensor(*storage, start, ints(shape), ints(stride))

    def _tensor_of_dtype(
        self, storage: Any, offset: Any, shape: Any, stride: Any, *rest: Any
    ) -> np.ndarray:
        dtype = rest[2]  # after requires_grad and the hooks
        if not isinstance(storage, _Storage) or not isinstance(dtype, Name):
            raise FileFormatError("a tensor has no storage or no dtype")
        typed = _Storage(storage.key, DTYPES[dtype.text])
        return self._tensor(typed, offset, shape, stride)

    def _parameter(self, data: Any, *_: Any) -> np.ndarray:
        if not isinstance(data, np.ndarray):
            raise FileFormatError("a parameter has no tensor")
        return data

    def _ordered_dict(self, *given: Any) -> OrderedDict[Any, Any]:
        if given:
            raise FileFormatError("its pickle makes an OrderedDict of something")
        return OrderedDict()
