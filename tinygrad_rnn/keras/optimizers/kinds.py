"""Keras' optimizers, each with its update."""

from __future__ import annotations

from typing import Any

from ... import optim
from .optimizer import Optimizer
from .settings import Setting


class SGD(Optimizer):
    """Gradient descent with momentum.

        v ← momentum · v + learning_rate · g
        w ← w - v               (nesterov: learning_rate · g + momentum · v in place of v)

    Args:
        learning_rate, momentum, nesterov: as in the equations; momentum in [0, 1].
        weight_decay, common: as for `Optimizer`.

    Raises:
        ValueError: for a momentum outside [0, 1]; and as `Optimizer`.

    >>> import tinygrad_rnn as tg
    >>> from tinygrad_rnn import keras
    >>> w = tg.Tensor([1.0], requires_grad=True)
    >>> opt = keras.optimizers.SGD(learning_rate=0.5, weight_decay=0.5)
    >>> opt.apply_gradients([([1.0], w)])
    1
    >>> w
    Tensor([0.25], requires_grad=True)
    """

    _below = optim.SGD
    _options = ("lr_in_momentum",)
    _slots = ((("momentum_buffer", "momentum"),),)

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float | None = None,
        **common: Any,
    ) -> None:
        self._nesterov = nesterov
        super().__init__(learning_rate, weight_decay, settings=self._settings(momentum), **common)

    @property
    def momentum(self) -> float:
        """How much of a step the next one repeats."""
        return float(self.param_groups[0]["momentum"])

    @momentum.setter
    def momentum(self, value: float) -> None:
        self._set(**self._settings(value))

    @property
    def nesterov(self) -> bool:
        """Whether the momentum is Nesterov's."""
        return self._nesterov

    @nesterov.setter
    def nesterov(self, value: bool) -> None:
        self._nesterov = value
        self._set(**self._settings(self.momentum))

    def _settings(self, momentum: Any) -> dict[str, Any]:
        if not isinstance(momentum, (int, float)) or not 0 <= momentum <= 1:
            raise ValueError(
                f"`momentum` must be a float between [0, 1]. Received: momentum={momentum}"
            )
        # Below, Nesterov's needs a momentum.
        return {"momentum": momentum, "nesterov": bool(self._nesterov and momentum)}


class RMSprop(Optimizer):
    """RMSprop.

        v ← rho · v + (1 - rho) g²
        a ← rho · a + (1 - rho) g                                   (centered only)
        d ← learning_rate · g / √(v + epsilon)                      (centered: v - a² for v)
        b ← momentum · b + d
        w ← w - b

    Args:
        learning_rate, rho, momentum, epsilon, centered: as in the equations.
        weight_decay, common: as for `Optimizer`.

    Raises:
        ValueError: as `Optimizer`.

    >>> import tinygrad_rnn as tg
    >>> from tinygrad_rnn import keras
    >>> w = tg.Tensor([1.0], requires_grad=True)
    >>> opt = keras.optimizers.RMSprop(learning_rate=0.5, rho=0.75, epsilon=0.0)
    >>> opt.apply_gradients([([4.0], w)])
    1
    >>> w
    Tensor([0.], requires_grad=True)
    """

    _below = optim.RMSprop
    _options = ("lr_in_momentum", "eps_inside_sqrt")
    _slots = (
        (("square_avg", "velocity"),),
        (("momentum_buffer", "momentum"),),
        (("grad_avg", "average_gradient"),),
    )

    rho = Setting("alpha")
    momentum = Setting("momentum")
    epsilon = Setting("eps")
    centered = Setting("centered")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        weight_decay: float | None = None,
        **common: Any,
    ) -> None:
        settings = {"alpha": rho, "momentum": momentum, "eps": epsilon, "centered": centered}
        super().__init__(learning_rate, weight_decay, settings=settings, **common)


class Adam(Optimizer):
    """Adam.

        m ← m + (1 - beta_1) (g - m)
        v ← beta_2 · v + (1 - beta_2) g²
        u ← v                                                       (amsgrad: u ← max(u, v))
        w ← w - learning_rate · √(1 - beta_2ᵗ) / (1 - beta_1ᵗ) · m / (√u + epsilon)

    t counts the optimizer's steps, also those at which a variable had no gradient.

    Args:
        learning_rate, beta_1, beta_2, epsilon, amsgrad: as in the equations.
        weight_decay, common: as for `Optimizer`.

    Raises:
        ValueError: as `Optimizer`.

    >>> import tinygrad_rnn as tg
    >>> from tinygrad_rnn import keras
    >>> w = tg.Tensor([1.0], requires_grad=True)
    >>> opt = keras.optimizers.Adam(learning_rate=0.5, epsilon=0.0)
    >>> opt.apply_gradients([([4.0], w)])
    1
    >>> round(w.item(), 12)
    0.5
    """

    _below = optim.Adam
    _options = ("eps_hat",)
    _slots = (
        (("exp_avg", "momentum"), ("exp_avg_sq", "velocity")),
        (("max_exp_avg_sq", "velocity_hat"),),
    )

    beta_1 = Setting("betas", 0)
    beta_2 = Setting("betas", 1)
    epsilon = Setting("eps")
    amsgrad = Setting("amsgrad")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        weight_decay: float | None = None,
        **common: Any,
    ) -> None:
        settings = {"betas": (beta_1, beta_2), "eps": epsilon, "amsgrad": amsgrad}
        super().__init__(learning_rate, weight_decay, settings=settings, **common)


class AdamW(Adam):
    """Adam with a weight decay by default.

    Args:
        learning_rate, weight_decay, beta_1, beta_2, epsilon, amsgrad, common: as for `Adam`, where
            the equations stand.

    Raises:
        ValueError: for a weight_decay of None; and as `Adam`.

    >>> import tinygrad_rnn as tg
    >>> from tinygrad_rnn import keras
    >>> w = tg.Tensor([1.0], requires_grad=True)
    >>> opt = keras.optimizers.AdamW(learning_rate=0.5, weight_decay=0.5)
    >>> opt.apply_gradients([([0.0], w)])
    1
    >>> w
    Tensor([0.75], requires_grad=True)
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **common: Any,
    ) -> None:
        if weight_decay is None:
            raise ValueError("Argument `weight_decay` must be a float. Received: weight_decay=None")
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay, **common)


class Adagrad(Optimizer):
    """Adagrad.

        v ← v + g²                               (v is initial_accumulator_value at first)
        w ← w - learning_rate · g / √(v + epsilon)

    Args:
        learning_rate, initial_accumulator_value, epsilon: as in the equations.
        weight_decay, common: as for `Optimizer`.

    Raises:
        ValueError: as `Optimizer`.

    >>> import tinygrad_rnn as tg
    >>> from tinygrad_rnn import keras
    >>> w = tg.Tensor([1.0], requires_grad=True)
    >>> opt = keras.optimizers.Adagrad(0.5, initial_accumulator_value=0.0, epsilon=0.0)
    >>> opt.apply_gradients([([4.0], w)])
    1
    >>> w
    Tensor([0.5], requires_grad=True)
    """

    _below = optim.Adagrad
    _options = ("eps_inside_sqrt",)
    _slots = ((("sum", "accumulator"),),)

    initial_accumulator_value = Setting("initial_accumulator_value")
    epsilon = Setting("eps")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        **common: Any,
    ) -> None:
        settings = {"initial_accumulator_value": initial_accumulator_value, "eps": epsilon}
        super().__init__(learning_rate, weight_decay, settings=settings, **common)


class Adadelta(Optimizer):
    """Adadelta.

        v ← rho · v + (1 - rho) g²
        d ← √((u + epsilon) / (v + epsilon)) · g
        u ← rho · u + (1 - rho) d²
        w ← w - learning_rate · d

    Args:
        learning_rate, rho, epsilon: as in the equations.
        weight_decay, common: as for `Optimizer`.

    Raises:
        ValueError: as `Optimizer`.

    >>> import tinygrad_rnn as tg
    >>> from tinygrad_rnn import keras
    >>> w = tg.Tensor([1.0], requires_grad=True)
    >>> opt = keras.optimizers.Adadelta(learning_rate=1.0, rho=0.75, epsilon=1.0)
    >>> opt.apply_gradients([([2.0], w)])
    1
    >>> w.data.round(4)
    array([-0.4142])
    """

    _below = optim.Adadelta
    _slots = ((("square_avg", "accumulated_grad"), ("acc_delta", "accumulated_delta_var")),)

    rho = Setting("rho")
    epsilon = Setting("eps")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        **common: Any,
    ) -> None:
        settings = {"rho": rho, "eps": epsilon}
        super().__init__(learning_rate, weight_decay, settings=settings, **common)
