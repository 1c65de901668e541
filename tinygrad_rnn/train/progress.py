"""A line that tells how the training goes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any


class Bar:
    """A progress bar on stderr; nothing at all if stderr is no terminal, or without tqdm.

    Args:
        wanted: False for none.
        total: how many steps there will be; None if nobody knows.
        done: how many were done before.
    """

    def __init__(self, wanted: bool, total: int | None, done: int) -> None:
        self._bar: Any = _tqdm(total, done) if wanted and _terminal() else None

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    @property
    def shown(self) -> bool:
        """Whether anybody sees it."""
        return self._bar is not None

    def advance(self, values: Mapping[str, float], speed: float) -> None:
        """One step more: shows values by name, and tokens per second."""
        if self._bar is None:
            return
        self._bar.set_postfix_str(f"{_listed(values)}, {speed:,.0f} tokens/s", refresh=False)
        self._bar.update()


def _listed(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())


def _terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _tqdm(total: int | None, done: int) -> Any:
    try:
        from tqdm import tqdm  # type: ignore[import-untyped]
    except ImportError:
        print("(pip install tqdm shows how the training goes)", file=sys.stderr)
        return None
    return tqdm(total=total, initial=done, unit="step", dynamic_ncols=True, mininterval=0.2)
