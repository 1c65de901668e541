"""Texts of a model's own: what comes next, drawn and read back in."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterator
from typing import Any

import numpy as np

from ..core.context import no_grad
from ..core.errors import ShapeError
from ..core.random import generator
from ..data.vocabulary import Vocabulary
from ..rnn.states import detach
from ..tensor import asarray
from .evaluation import mode

Model = Callable[..., Any]


def generate(
    model: Model,
    prompt: Any,
    length: int,
    *,
    vocabulary: Vocabulary | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | np.random.Generator | None = None,
    stop: Any = None,
) -> Any:
    """What a model writes after a prompt: symbols drawn one by one, each read back in.

    Args:
        model: called as ``model(ids, state)`` with ids (T, 1) and None or the state it returned;
            it returns scores (T, 1, symbols) and a new state. A Module is in evaluation mode
            meanwhile; no graph is made.
        prompt: a text, with a vocabulary; else numbers (T,). At least one symbol.
        length: how many symbols at most.
        vocabulary: of the text. Its unknown and padding symbols are never drawn.
        temperature, top_k, top_p: see `tg.train.probabilities`; temperature 0 always takes the
            likeliest.
        seed: a seed or generator; by default the generator of `tg.manual_seed`.
        stop: a symbol at which to end, or several; they aren't part of the result.

    Returns:
        A text, with a vocabulary; else numbers (at most length,). The prompt isn't part of it.

    Raises:
        ValueError: for an empty prompt, settings that make no sense, or a model with more or fewer
            scores than the vocabulary has symbols.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> letters = tg.data.Vocabulary("abc")
    >>> def model(ids, state):  # after a comes b, after b comes c, after c comes a
    ...     return np.eye(3)[(ids + 1) % 3] * 50, None
    >>> tg.generate(model, "ab", 5, vocabulary=letters, seed=0)
    'cabca'
    """
    settings = (temperature, top_k, top_p, seed, stop)
    ids = _numbers(model, prompt, length, vocabulary, *settings)
    if vocabulary is None:
        return np.array(list(ids), dtype=np.int64)
    return "".join(vocabulary.decode_each(ids))


def stream(
    model: Model,
    prompt: Any,
    length: int,
    *,
    vocabulary: Vocabulary | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | np.random.Generator | None = None,
    stop: Any = None,
) -> Iterator[Any]:
    """The same as `tg.generate`, piece by piece, as soon as each is there.

    Yields:
        Texts, with a vocabulary; else numbers.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> for number in tg.train.stream(lambda ids, _: (np.eye(3)[ids], None), [2], 2, temperature=0):
    ...     print(number)
    2
    2
    """
    settings = (temperature, top_k, top_p, seed, stop)
    ids = _numbers(model, prompt, length, vocabulary, *settings)
    return ids if vocabulary is None else vocabulary.decode_each(ids)


def probabilities(
    scores: Any,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> np.ndarray:
    """How likely each symbol is to be drawn.

        p = softmax(scores / temperature); then the smaller ones are 0 and p sums up to 1 again

    Args:
        scores: (symbols,).
        temperature: below 1 careful, above 1 wild; 0 for the likeliest alone, the first of equals.
        top_k: only the k likeliest stay (more if they are equally likely).
        top_p: then only the likeliest stay that together have at least this probability; at least
            one does.

    Returns:
        (symbols,), float64.

    Raises:
        ValueError: for settings that make no sense, or scores of which none is a number.

    Source: top_k: Fan et al. 2018, "Hierarchical Neural Story Generation"; top_p: Holtzman et al.
    2020, "The Curious Case of Neural Text Degeneration".

    >>> import numpy as np, tinygrad_rnn as tg
    >>> scores = np.log([0.5, 0.25, 0.15, 0.1])
    >>> tg.train.probabilities(scores, top_k=2).round(3)
    array([0.667, 0.333, 0.   , 0.   ])
    >>> tg.train.probabilities(scores, top_p=0.8).round(3)
    array([0.556, 0.278, 0.167, 0.   ])
    """
    _check(temperature, top_k, top_p)
    scores = np.array(asarray(scores), dtype=np.float64)
    if scores.ndim != 1 or np.isnan(scores).any() or not np.isfinite(scores.max(initial=-np.inf)):
        raise ValueError(
            "probabilities takes scores (symbols,) that are numbers; -inf excludes a symbol, but "
            f"not all of them; got {scores!r:.80}"
        )
    if temperature == 0:
        return np.eye(1, len(scores), int(scores.argmax()))[0]
    if top_k is not None and top_k < len(scores):
        scores[scores < np.partition(scores, -top_k)[-top_k]] = -np.inf
    with np.errstate(over="ignore"):  # -inf is what a difference becomes that is too large
        p = np.exp((scores - scores.max()) / temperature)
    p /= p.sum()
    if top_p is not None:
        order = np.argsort(-p, kind="stable")
        before = np.cumsum(p[order]) - p[order]
        p[order[1:][before[1:] >= top_p]] = 0
        p /= p.sum()
    return p


def _numbers(
    model: Model,
    prompt: Any,
    length: int,
    vocabulary: Vocabulary | None,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    seed: int | np.random.Generator | None,
    stop: Any,
) -> Iterator[int]:
    """The symbols' numbers; settings are checked at once, not when the first is asked for."""
    _check(temperature, top_k, top_p)
    if operator.index(length) < 0:
        raise ValueError(f"generate: a length isn't negative, got {length}")
    ids, ends, never = _prompt(prompt, vocabulary), _stops(stop, vocabulary), _never(vocabulary)
    rng = generator(seed)

    def draw(scores: np.ndarray) -> int:
        if vocabulary is not None and len(scores) != len(vocabulary):
            raise ShapeError(
                f"generate: the model gives {len(scores)} scores, but the vocabulary has "
                f"{len(vocabulary)} symbols: it isn't the one that the model was made for"
            )
        scores[never] = -np.inf
        p = probabilities(scores, temperature, top_k, top_p)
        return int(p.argmax()) if temperature == 0 else int(rng.choice(len(p), p=p))

    def numbers() -> Iterator[int]:
        state, inputs = None, ids
        for _ in range(length):
            scores, state = _scores(model, inputs, state)
            found = draw(scores)
            if found in ends:
                return
            yield found
            inputs = np.array([found])

    return numbers()


def _scores(model: Model, ids: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
    """The last scores (symbols,), and the state: the switches hold for this one step only."""
    with no_grad(), mode(model, training=False):
        result = model(ids[:, None], state)
    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError(
            "generate calls model(ids, state), which returns (scores, state); this one returned a "
            f"{type(result).__name__}"
        )
    scores, state = result
    if np.ndim(scores) != 3 or np.shape(scores)[:2] != (len(ids), 1):
        raise ShapeError(
            f"generate: for ids {(len(ids), 1)} the model returned scores {np.shape(scores)}, not "
            "(T, N, symbols)"
        )
    return np.array(asarray(scores[-1, 0]), dtype=np.float64), detach(state)


def _prompt(prompt: Any, vocabulary: Vocabulary | None) -> np.ndarray:
    if isinstance(prompt, (str, bytes)):
        if vocabulary is None:
            raise ValueError("generate: a text needs a vocabulary, vocabulary=")
        prompt = vocabulary.encode(prompt)
    ids = np.asarray(prompt)
    if ids.ndim != 1 or not ids.size:
        raise ShapeError(
            f"generate: a prompt has at least one symbol, in one row; got the shape {ids.shape}"
        )
    if ids.dtype.kind not in "iu":
        raise TypeError(f"generate: a prompt holds whole numbers, got {ids.dtype}")
    return ids


def _stops(stop: Any, vocabulary: Vocabulary | None) -> Collection[int]:
    """The numbers of the symbols that end the text."""
    if stop is None:
        return ()
    several = [stop] if isinstance(stop, (str, bytes)) or np.ndim(stop) == 0 else list(stop)
    found = set()
    for symbol in several:
        if not isinstance(symbol, (str, bytes)):
            found.add(operator.index(symbol))
            continue
        ids = _prompt(symbol, vocabulary)
        if len(ids) != 1:
            raise ValueError(f"generate: stop is a symbol, but {symbol!r} is {len(ids)} of them")
        found.add(int(ids[0]))
    return found


def _never(vocabulary: Vocabulary | None) -> list[int]:
    """The numbers that stand for no text."""
    if vocabulary is None:
        return []
    return [k for k in (vocabulary.padding_id, vocabulary.unknown_id) if k is not None]


def _check(temperature: float, top_k: int | None, top_p: float | None) -> None:
    if not 0 <= temperature < np.inf:
        raise ValueError(f"a temperature isn't negative, got {temperature}")
    if top_k is not None and operator.index(top_k) < 1:
        raise ValueError(f"top_k is at least 1, got {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p is above 0 and at most 1, got {top_p}")
