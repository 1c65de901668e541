"""What `fit`, `evaluate` and `predict` are given, as batches: arrays, or whatever gives batches."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import Any, TypeAlias

import numpy as np

from ...core.errors import ShapeError
from ...core.random import generator
from ...data.batching import Batches
from ...data.position import Resumable
from ...tensor import Tensor


class Targets:
    """What an output is compared with, and how much each sample counts.

    Attributes:
        size: the number of samples, which is how much the batch counts in means.
    """

    __slots__ = ("sample_weight", "size", "y")

    def __init__(self, size: int, y: Any = None, sample_weight: Any = None) -> None:
        self.size, self.y, self.sample_weight = size, y, sample_weight


Batch: TypeAlias = tuple[Any, Targets]


class Samples(Batches):
    """Batches (x, targets) of arrays: x, y and sample weights, or fewer."""

    def _batches(self) -> Iterator[Batch]:
        for x, *rest in super()._batches():
            yield x, Targets(len(x), *rest)

    @property
    def count(self) -> int:
        """How many batches an epoch has."""
        return len(self)

    @property
    def uneven(self) -> str:
        """If the last batch is smaller than others, a sentence that says so; else nothing."""
        rest = self._samples % self._size
        if not rest or len(self) == 1:
            return ""
        return f"{self._samples} samples in batches of {self._size} leave {rest}"


class Stream:
    """Batches that something else gives: an iterable, a generator, or an indexed sequence.

    Args:
        source: gives (x, y) or (x, y, sample_weight); or x alone.
        steps: how many of them are an epoch; needed of what never ends. What ends is begun again.
        shuffle: whether each epoch of an indexed sequence has an order of its own; seed: of these.
        class_weight: class -> how much its samples count.
    """

    def __init__(
        self,
        source: Any,
        steps: int | None,
        shuffle: bool = False,
        seed: int | None = None,
        class_weight: Mapping[Any, float] | None = None,
    ) -> None:
        self._source, self._steps, self._class_weight = source, steps, class_weight
        self._running: Iterator[Any] | None = None
        self._shuffle, self._epoch = shuffle and _is_indexed(source), 0
        drawn = seed is None and self._shuffle
        self._seed = int(generator().integers(2**63)) if drawn else int(seed or 0)

    def first(self) -> Batch | None:
        """The first batch, or None; it comes again when all are asked for."""
        if not self.once:
            return next(iter(self.from_start()), None)
        found = next(self._source, None)
        if found is None:
            return None
        self._source = itertools.chain([found], self._source)
        return self._split(found)

    @property
    def once(self) -> bool:
        """Whether the source is read only once, as generators are."""
        return not _is_indexed(self._source) and self._source is iter(self._source)

    def from_start(self) -> Stream:
        """The same, begun anew; of what is read only once, itself."""
        if self.once:
            return self
        other = copy.copy(self)
        other._running, other._epoch = None, 0
        if isinstance(other._source, Resumable):
            other._source = other._source.from_start()
        return other

    @property
    def uneven(self) -> str:
        """As that of `Samples`."""
        return self._source.uneven if isinstance(self._source, Samples) else ""

    @property
    def count(self) -> int | None:
        """How many batches an epoch has, if anybody knows."""
        if self._steps is not None:
            return self._steps
        return len(self._source) if isinstance(self._source, Sized) else None

    def __iter__(self) -> Iterator[Batch]:
        if self._steps is None:
            return map(self._split, self._all())
        if self._running is None:
            self._running = itertools.chain.from_iterable(_again(self._all))
        return map(self._split, itertools.islice(self._running, self._steps))

    def _all(self) -> Iterator[Any]:
        if not _is_indexed(self._source):
            yield from self._source
            return
        count = len(self._source)
        order: Iterable[int] = range(count)
        if self._shuffle:
            order = np.random.default_rng([self._seed, self._epoch]).permutation(count).tolist()
        self._epoch += 1
        for k in order:
            yield self._source[k]
        getattr(self._source, "on_epoch_end", lambda: None)()

    def _split(self, batch: Any) -> Batch:
        if isinstance(batch, tuple) and len(batch) == 2 and isinstance(batch[1], Targets):
            return batch
        parts = tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)
        if not 1 <= len(parts) <= 3:
            raise ValueError(
                "a batch is a tuple (x, y) or (x, y, sample_weight). Received: "
                f"{type(batch).__name__} of {len(parts)}"
            )
        x, y, weight = (None if a is None else array_of(a) for a in (*parts, None, None)[:3])
        if x is None:
            raise ValueError("a batch is a tuple (x, y) or (x, y, sample_weight). Received: None")
        weight = weights_of(y, weight, self._class_weight)
        check_lengths(x, y, weight)
        return x, Targets(len(x), y, weight)


def _is_indexed(source: Any) -> bool:
    return hasattr(source, "__getitem__") and isinstance(source, Sized)


def _again(make: Any) -> Iterator[Iterator[Any]]:
    """What `make` gives, over and over, as long as there is something in it."""
    while True:
        found = make()
        first = list(itertools.islice(found, 1))
        if not first:
            return
        yield itertools.chain(first, found)


def as_batches(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None,
    steps: int | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    class_weight: Mapping[Any, float] | None = None,
) -> Samples | Stream:
    """Batches (x, targets) of arrays, or of what gives batches itself.

    Raises:
        TypeError: for an x that is neither.
        ValueError: for arrays of different lengths or without samples, or a batch_size or targets
            for what gives batches itself.
    """
    if steps is not None and (not isinstance(steps, (int, np.integer)) or steps < 1):
        raise ValueError(f"a number of steps is at least 1. Received: {steps!r}")
    x, y, sample_weight = map(alone, (x, y, sample_weight))
    if not is_array(x):
        _check_stream(x, batch_size=batch_size, y=y, sample_weight=sample_weight)
        return Stream(x, steps, shuffle, seed, class_weight)
    x = array_of(x)
    y = None if y is None else array_of(y)
    weight = None if sample_weight is None else array_of(sample_weight)
    check_lengths(x, y, weight)
    if y is None and not (weight is None and class_weight is None):
        raise ValueError("sample_weight and class_weight weigh targets. Received: y=None")
    weight = weights_of(y, weight, class_weight)
    arrays = tuple(a for a in (x, y, weight) if a is not None)
    size = 32 if batch_size is None else batch_size
    if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
        raise ValueError(f"`batch_size` is a positive integer. Received: {batch_size!r}")
    made = Samples(arrays, int(size), shuffle=shuffle, seed=seed)
    return made if steps is None else Stream(made, steps)


def split_off(
    x: Any, y: Any, sample_weight: Any, share: float
) -> tuple[tuple[Any, Any, Any], tuple[Any, Any, Any]]:
    """The first samples, and the last share of them.

    Raises:
        ValueError: for what is no array, or if one part would be empty.
    """
    if not 0 < share < 1:
        raise ValueError(f"`validation_split` must be between 0 and 1. Received: {share}")
    x, y, sample_weight = map(alone, (x, y, sample_weight))
    if not is_array(x):
        raise ValueError(
            "`validation_split` is for arrays; beside what gives batches itself, give "
            f"validation_data. Received: x of type {type(x).__name__}"
        )
    given = [None if a is None else array_of(a) for a in (x, y, sample_weight)]
    check_lengths(*given)
    samples = len(given[0])  # type: ignore[arg-type]
    cut = int(samples * (1 - share))
    if cut in (0, samples):
        raise ValueError(
            f"{samples} samples are not enough to split them with validation_split={share}. Use "
            "more samples, or another share"
        )
    first = tuple(None if a is None else a[:cut] for a in given)
    last = tuple(None if a is None else a[cut:] for a in given)
    return first, last  # type: ignore[return-value]


def alone(given: Any) -> Any:
    """What is given, or the one array that stands in a list, as Keras takes inputs of models."""
    one = isinstance(given, (list, tuple)) and len(given) == 1
    return given[0] if one and isinstance(given[0], (np.ndarray, Tensor)) else given


def is_array(x: Any) -> bool:
    """Whether it is an array, or a list that is one."""
    if isinstance(x, (np.ndarray, Tensor)) or hasattr(x, "__array__"):
        return True
    return isinstance(x, list) and (
        not x or isinstance(x[0], (int, float, list, np.ndarray, np.generic, Tensor))
    )


def array_of(value: Any) -> np.ndarray:
    """An ndarray of numbers.

    Raises:
        ValueError: for lists of different lengths.
    """
    if isinstance(value, Tensor):
        return value.data
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ShapeError(
            "the samples must make up one array: sequences of different lengths become one by "
            "tg.data.pad; several inputs of a model aren't here. Received: "
            f"{type(value).__name__}, of which NumPy says: {error}"
        ) from None


def weights_of(
    y: np.ndarray | None, sample_weight: Any, class_weight: Mapping[Any, float] | None
) -> np.ndarray | None:
    """The weights of samples, (N,) or (N, T); None if all count alike.

    Raises:
        ValueError: for both kinds together, a class that has no weight, or targets that aren't one
            class for each sample.
    """
    if class_weight is None or y is None:
        return None if sample_weight is None else np.asarray(sample_weight)
    if sample_weight is not None:
        raise ValueError(
            "Arguments `sample_weight` and `class_weight` cannot be specified at the same time."
        )
    classes = _classes(y)
    missing = sorted(set(np.unique(classes).tolist()) - set(class_weight))
    if missing:
        raise ValueError(
            f"`class_weight` has no weight for the classes {missing}. Received: "
            f"class_weight={dict(class_weight)}"
        )
    return np.array([class_weight[c] for c in classes.tolist()], np.float64)


def _classes(y: np.ndarray) -> np.ndarray:
    """The class of each sample, of integers (N,) or (N, 1) or of one hot vectors (N, C)."""
    if y.ndim == 1 or (y.ndim == 2 and y.shape[1] == 1):
        return y.reshape(len(y)).round().astype(int)
    if y.ndim == 2 and ((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all():
        return y.argmax(axis=1)
    raise ValueError(
        "`class_weight` is for one class for each sample: integers (N,) or one hot vectors "
        f"(N, C). Received: y.shape={y.shape}. Give sample_weight, (N,) or (N, T), instead"
    )


def check_lengths(*arrays: np.ndarray | None) -> None:
    """Raises ValueError for arrays of different lengths, or without samples."""
    given = dict(zip(("x", "y", "sample_weight"), arrays, strict=False))
    shapes = {name: a.shape for name, a in given.items() if a is not None}
    received = ", ".join(f"{name}.shape={shape}" for name, shape in shapes.items())
    if not all(shapes.values()) or len({shape[0] for shape in shapes.values()}) > 1:
        raise ShapeError(
            "Data cardinality is ambiguous. Make sure all arrays contain the same number of "
            f"samples (a list is one array, not several inputs). Received: {received}"
        )
    if any(shape[0] == 0 for shape in shapes.values()):
        raise ShapeError(f"there must be one sample at least. Received: {received}")


def _check_stream(x: Any, **given: Any) -> None:
    if not (hasattr(x, "__iter__") or _is_indexed(x)) or isinstance(x, (str, Mapping)):
        raise TypeError(
            "x is an array, or what gives batches (x, y): an iterable, a generator, or an indexed "
            f"sequence with a length. Received: {type(x).__name__}"
        )
    names = [name for name, value in given.items() if value is not None]
    if names:
        raise ValueError(
            f"What gives batches itself also says their {', '.join(names)}: leave "
            f"{'them' if len(names) > 1 else 'it'} out. Received: x of type {type(x).__name__}"
        )
