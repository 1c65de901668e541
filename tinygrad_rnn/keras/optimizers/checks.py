"""What arguments of optimizers must be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...core.errors import did_you_mean


def rate(value: Any) -> float:
    """A learning rate as a float."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(
            "Argument `learning_rate` should be float, or an instance of LearningRateSchedule, or "
            "a callable (that takes in the current iteration value and returns the corresponding "
            f"learning rate value). Received instead: learning_rate={value!r:.80}"
        ) from None


def unrecognized(unknown: Mapping[str, Any], known: Iterable[str]) -> ValueError:
    """The error for arguments that there are not."""
    name = next(iter(unknown))
    near = " Did you mean 'learning_rate'?" if name == "lr" else did_you_mean(name, known)
    return ValueError(f"Argument(s) not recognized: {dict(unknown)}.{near}")


def require_one_clip(
    clipnorm: float | None, clipvalue: float | None, global_clipnorm: float | None
) -> None:
    given = (clipnorm, clipvalue, global_clipnorm)
    received = f"clipnorm={clipnorm}, clipvalue={clipvalue}, global_clipnorm={global_clipnorm}"
    if sum(each is not None for each in given) > 1:
        raise ValueError(
            "Only one of `clipnorm`, `clipvalue` and `global_clipnorm` can be set. Received: "
            + received
        )
    if any(each is not None and not each >= 0 for each in given):
        raise ValueError(f"What gradients are clipped at can't be below 0. Received: {received}")


def require_average(use_ema: bool, momentum: float, every: Any) -> None:
    if use_ema and not 0 <= momentum <= 1:
        raise ValueError(
            f"`ema_momentum` must be in the range [0, 1]. Received: ema_momentum={momentum}"
        )
    if use_ema and every and (not isinstance(every, int) or every < 1):
        raise ValueError(
            "`ema_overwrite_frequency` must be an integer >= 1 or None. Received: "
            f"ema_overwrite_frequency={every}"
        )


def require_accumulation(steps: Any) -> None:
    if steps and (not isinstance(steps, int) or steps < 2):
        raise ValueError(
            "`gradient_accumulation_steps` must be an integer >= 2. Received: "
            f"gradient_accumulation_steps={steps}"
        )


def require_no_scaling(loss_scale_factor: Any) -> None:
    if loss_scale_factor is not None:
        raise ValueError(
            "`loss_scale_factor` serves training in mixed precision, which there is not here: "
            f"leave it out. Received: loss_scale_factor={loss_scale_factor}"
        )
