"""What shows how it goes."""

from __future__ import annotations

import sys
import time
from typing import Any

from ..layers.arguments import one_of
from .callback import Callback, Logs


class ProgbarLogger(Callback):
    """Shows how it goes, if ``params["verbose"]`` is 1 by a bar with the time left, if 2 by lines.

    A bar needs tqdm; without, there are lines.
    """

    def __init__(self) -> None:
        self._bar: Any = None
        self._begin = 0.0
        self._training = False

    def on_train_begin(self, logs: Logs = None) -> None:
        self._training = True

    def on_train_end(self, logs: Logs = None) -> None:
        self._training = False

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._open(self._title(epoch))

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._advance(logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._close(self._title(epoch), logs)

    def on_test_begin(self, logs: Logs = None) -> None:
        if not self._training:  # else it is a validation, which the epoch's line tells of
            self._open("evaluate")

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        if not self._training:
            self._advance(logs)

    def on_test_end(self, logs: Logs = None) -> None:
        if not self._training:
            self._close("evaluate", logs)

    def on_predict_begin(self, logs: Logs = None) -> None:
        self._open("predict")

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._advance(None)

    def on_predict_end(self, logs: Logs = None) -> None:
        self._close("predict", None)

    def _title(self, epoch: int) -> str:
        return f"Epoch {epoch + 1}/{self.params.get('epochs', '?')}"

    def _open(self, title: str) -> None:
        self._begin = time.perf_counter()
        if self.params.get("verbose") == 1:
            self._bar = _bar(title, self.params.get("steps"))

    def _advance(self, logs: Logs) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(_shown(logs), refresh=False)
            self._bar.update()

    def _close(self, title: str, logs: Logs) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(_shown(logs))
            self._bar.close()
            self._bar = None
        elif self.params.get("verbose") and logs:
            seconds = _rounded(time.perf_counter() - self._begin)
            print(f"{title} - {seconds} - {_shown(logs)}")


def _bar(title: str, steps: int | None) -> Any:
    try:
        from tqdm import tqdm  # type: ignore[import-untyped]
    except ImportError:
        return None
    return tqdm(total=steps, desc=title, unit="step", dynamic_ncols=True, mininterval=0.2)


def _shown(logs: Logs) -> str:
    return " - ".join(f"{name}: {value:.4g}" for name, value in (logs or {}).items())


def _rounded(seconds: float) -> str:
    return f"{seconds:.0f}s" if seconds >= 10 else f"{seconds:.1f}s"


def verbosity(verbose: Any) -> int:
    """What "auto" and the like mean: 0 silence, 1 a bar, 2 lines.

    Raises:
        ValueError: for anything else.
    """
    if isinstance(verbose, str) and verbose == "auto":
        return 1 if sys.stdout is not None and sys.stdout.isatty() else 2
    return int(one_of("verbose", verbose, ("auto", 0, 1, 2)))
