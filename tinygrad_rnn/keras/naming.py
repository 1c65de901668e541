"""Names of layers that aren't given one: simple_rnn, simple_rnn_1, …"""

from __future__ import annotations

import re

_taken: dict[str, int] = {}


def snake_case(name: str) -> str:
    """A class's name as its objects are called.

    >>> from tinygrad_rnn.keras.naming import snake_case
    >>> snake_case("SimpleRNN"), snake_case("LSTM"), snake_case("GlobalAveragePooling1D")
    ('simple_rnn', 'lstm', 'global_average_pooling1d')
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def next_name(kind: str) -> str:
    """The next name for a layer of this class."""
    base = snake_case(kind)
    count = _taken.get(base, 0)
    _taken[base] = count + 1
    return f"{base}_{count}" if count else base


def clear_session() -> None:
    """Counts from the beginning again."""
    _taken.clear()
