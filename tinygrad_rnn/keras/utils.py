"""Keras' small helpers: seeds, one-hot vectors, padded sequences."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..core.errors import DtypeError
from ..core.random import manual_seed
from ..nn.functional import one_hot
from ..rnn.packing import pad_sequence
from .naming import clear_session

__all__ = ["clear_session", "pad_sequences", "set_random_seed", "to_categorical"]


def set_random_seed(seed: int) -> None:
    """Seeds the library's default generator (`tg.manual_seed`), NumPy's global one, and Python's.

    Raises:
        ValueError: unless it is an integer from 0 to 2³² - 1.

    >>> from tinygrad_rnn import keras
    >>> from tinygrad_rnn.keras import utils
    >>> utils.set_random_seed(7)
    >>> a = keras.initializers.GlorotUniform()((2, 3))
    >>> utils.set_random_seed(7)
    >>> bool((keras.initializers.GlorotUniform()((2, 3)) == a).all())
    True
    """
    whole = isinstance(seed, (int, np.integer)) and not isinstance(seed, bool)
    if not whole or not 0 <= seed < 2**32:
        raise ValueError(
            "Expected `seed` argument to be an integer from 0 to 2**32 - 1. Received: "
            f"seed={seed!r} (of type {type(seed).__name__})"
        )
    random.seed(int(seed))
    np.random.seed(int(seed))
    manual_seed(int(seed))


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray:
    """out = 1 at the class of each element, else 0.

    Args:
        x: whole numbers from 0, (...) or (..., 1).
        num_classes: by default one more than the largest.

    Returns:
        float64 (..., num_classes).

    Raises:
        TypeError: for numbers that aren't whole.
        ValueError: for one that is no class.

    >>> from tinygrad_rnn.keras import utils
    >>> utils.to_categorical([0, 2], num_classes=3)
    array([[1., 0., 0.],
           [0., 0., 1.]])
    """
    given = np.asarray(getattr(x, "data", x) if hasattr(x, "requires_grad") else x)
    ids = given.astype(np.int64) if given.dtype.kind in "fb" and _whole(given) else given
    if ids.ndim > 1 and ids.shape[-1] == 1:
        ids = ids[..., 0]
    return np.asarray(one_hot(ids, num_classes or -1), dtype=np.float64)


def _whole(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).all() and (values == np.floor(values)).all())


def pad_sequences(
    sequences: Iterable[Any],
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Sequences of different lengths as one array.

    Args:
        sequences: N lists or arrays (L_n, ...), equal in all axes but the first.
        maxlen: T; by default the largest length.
        dtype: of the result.
        padding: "pre" fills before a sequence, "post" behind it.
        truncating: "pre" takes away the first elements of what is too long, "post" the last ones.
        value: what is filled in.

    Returns:
        (N, T, ...).

    Raises:
        ValueError: for sequences that don't fit together, a wrong word, or values that the dtype
            doesn't hold.

    >>> from tinygrad_rnn.keras import utils
    >>> utils.pad_sequences([[1], [2, 3], [4, 5, 6]], maxlen=2)
    array([[0, 1],
           [2, 3],
           [5, 6]], dtype=int32)
    """
    for name, word in (("padding", padding), ("truncating", truncating)):
        if word not in ("pre", "post"):
            raise ValueError(f'`{name}` is "pre" or "post". Received: {name}={word!r}')
    if maxlen is not None and (not isinstance(maxlen, (int, np.integer)) or maxlen < 0):
        raise ValueError(f"`maxlen` is an integer of 0 or more. Received: maxlen={maxlen!r}")
    kind = np.dtype(dtype)
    arrays = [_cast(n, each, kind) for n, each in enumerate(_listed(sequences))]
    steps = max(map(len, arrays)) if maxlen is None else int(maxlen)
    if truncating == "pre":
        cut = [array[max(len(array) - steps, 0) :] for array in arrays]
    else:
        cut = [array[:steps] for array in arrays]
    inner = next((array.shape[1:] for array in arrays if array.size), arrays[0].shape[1:])
    cut = [array if array.size else np.zeros((0, *inner), kind) for array in cut]
    whole = np.zeros((steps, *inner), kind)  # as long as the result is to be
    side = "left" if padding == "pre" else "right"
    try:
        padded = pad_sequence([*cut, whole], True, padding_value=value, padding_side=side)
    except DtypeError as error:
        raise ValueError(
            f"`value` doesn't fit in dtype={kind}. Received: value={value!r}"
        ) from error
    return np.asarray(padded[:-1])


def _listed(sequences: Any) -> list[Any]:
    if not isinstance(sequences, Iterable) or isinstance(sequences, (str, bytes)):
        raise ValueError(f"`sequences` must be iterable. Received: {sequences!r:.60}")
    listed = list(sequences)
    if not listed:
        raise ValueError("`sequences` must hold at least one sequence. Received: none")
    return listed


def _cast(number: int, sequence: Any, dtype: np.dtype[Any]) -> np.ndarray:
    """A sequence in the dtype; its floating-point numbers may be rounded, nothing else changes."""
    if np.ndim(sequence) == 0:
        raise ValueError(
            f"`sequences` must be a list of iterables. Found non-iterable: {sequence!r:.60}, at "
            f"position {number}"
        )
    array = np.asarray(sequence)
    if dtype.kind not in "biuf" or array.dtype.kind not in "biuf":
        raise ValueError(
            "pad_sequences takes sequences of numbers, and a dtype of numbers: make words into "
            f"numbers first (`tg.data`). Received: dtype={dtype}, and {array.dtype} at position "
            f"{number}"
        )
    with np.errstate(invalid="ignore", over="ignore"):
        cast = array.astype(dtype)
    if dtype.kind != "f" and not np.array_equal(cast, array):
        raise ValueError(
            f"the sequence at position {number} holds numbers that dtype={dtype} doesn't: give "
            f'dtype="float32", or another. Received: {array.dtype}, such as '
            f"{array[cast != array].flat[0]}"
        )
    return cast
