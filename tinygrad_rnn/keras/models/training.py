"""compile, fit, evaluate and predict: the training loop of `tg.fit`, in Keras' words."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...core.context import no_grad
from ...restoring import undisturbed
from ...tensor import Tensor
from ...train.evaluation import Means, mode
from ...train.loop import check_finite, descend, fit
from ..callbacks import CallbackList, History
from ..callbacks.progress import verbosity
from .compiled import Compiled
from .samples import Samples, Stream, Targets, alone, as_batches, is_array, split_off
from .telling import Teller, validates


class Trainer:
    """What a model can do once it is compiled.

    Attributes:
        history: the `History` of the last `fit`.
        stop_training: set to True, by a callback, it ends the training.
    """

    name: str
    built: bool
    stop_training = False
    history: History | None = None
    _compiled: Compiled | None = None
    _results: dict[str, float] = {}  # noqa: RUF012  (replaced, never filled)

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Says how the model is trained and judged. What was compiled before is forgotten.

        Args:
            optimizer, loss: a name, a configuration or an object; a loss may be a function
                (y_true, y_pred).
            loss_weights: a factor of the loss.
            metrics, weighted_metrics: lists of names, configurations, `keras.metrics` objects or
                functions (y_true, y_pred); the latter see the sample weights.
            run_eagerly, steps_per_execution, jit_compile, auto_scale_loss: have no effect.

        Raises:
            ValueError: for names that aren't known, and what is no loss or metric.
        """
        self._compiled = Compiled(self, optimizer, loss, loss_weights, metrics, weighted_metrics)
        self._results = {}

    @property
    def compiled(self) -> bool:
        """Whether `compile` was called."""
        return self._compiled is not None

    def get_compile_config(self) -> dict[str, Any] | None:
        """What `compile` was given, by names and configurations; None before.

        Raises:
            TypeError, ValueError: for a function that has no name, such as a lambda.
        """
        return None if self._compiled is None else self._compiled.get_config()

    @property
    def optimizer(self) -> Any:
        """What moves the weights; None before `compile`."""
        return None if self._compiled is None else self._compiled.optimizer

    @property
    def loss(self) -> Any:
        """The loss as `compile` was given it; None before."""
        return None if self._compiled is None else self._compiled.given_loss

    @property
    def metrics(self) -> list[Any]:
        """The `keras.metrics` objects, as far as it is known what they are."""
        judged = {} if self._compiled is None else self._compiled.metrics
        return [each.metric for each in judged.values() if each.metric is not None]

    @property
    def metrics_names(self) -> list[str]:
        """What `evaluate` returns, by name."""
        return [] if self._compiled is None else ["loss", *self._compiled.metrics]

    def get_metrics_result(self) -> dict[str, float]:
        """The last values of loss and metrics, by name."""
        return dict(self._results)

    def reset_metrics(self) -> None:
        """Lets all metrics begin anew, as they do with each epoch."""
        self._results = {}
        for judged in self._ready().metrics.values():
            judged.reset()

    # Whole data

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[Any, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
        seed: int | None = None,
    ) -> History:
        """Trains the model, by `tg.fit`. Ctrl-C ends it after the batch that is running.

        Args:
            x, y: arrays, the first axis that of the samples; or x alone: what gives batches (x, y)
                or (x, y, sample_weight), an iterable, a generator, or an indexed sequence.
            batch_size: 32 by default.
            epochs: the number of the last epoch; initial_epoch: how many are behind already.
            verbose: 0 for silence, 1 for a bar with the time left, 2 for a line for each epoch;
                "auto" is 1 on a terminal, else 2.
            callbacks: are told of what happens.
            validation_split: the share of the samples, at the end, that is only validated on.
            validation_data: (x, y), (x, y, sample_weight), or what gives batches.
            shuffle: whether each epoch has an order of its own: of the samples, or of the batches
                of an indexed sequence; seed: of these orders, by default drawn from the generator
                of `tg.manual_seed`.
            class_weight: class -> how much its samples count; sample_weight: (N,) or (N, T).
            steps_per_epoch, validation_steps: how many batches to take, if not all.
            validation_freq: after how many epochs to validate; or after which ones, from 1 on.

        Returns:
            The `History`: ``history.history["loss"]`` and so on, a value for each epoch.

        Raises:
            ValueError: for arguments that don't fit; nothing is changed then.
            FloatingPointError: if the loss is NaN or infinite; the weights are those before it.
        """
        self._ready()
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = split_off(
                x, y, sample_weight, validation_split
            )
        data = as_batches(
            x, y, sample_weight, batch_size=batch_size, steps=steps_per_epoch, shuffle=shuffle,
            seed=seed, class_weight=class_weight,
        )  # fmt: skip
        validation = _validation(validation_data, validation_batch_size or batch_size,
                                 validation_steps)  # fmt: skip
        numbers = range(initial_epoch, epochs)
        _check_once(data, len(numbers), "steps_per_epoch")
        if validation is not None:
            times = sum(validates(validation_freq, epoch) for epoch in numbers)
            _check_once(validation, times, "validation_steps")
        told = CallbackList(
            callbacks, add_history=True, add_progbar=bool(verbosity(verbose)), model=self,
            verbose=verbosity(verbose), epochs=epochs, steps=data.count,
        )  # fmt: skip
        self._begin(data, "x")
        if validation is not None:
            self._begin(validation, "validation_data")
        self.stop_training = False
        teller = Teller(self, told, validation, validation_freq, initial_epoch)
        if not numbers:
            teller.begin_training()
            teller.end_training()
            return told.history
        try:
            done = fit(
                self,  # type: ignore[arg-type]
                self._training_loss(),
                self.optimizer,
                data,
                epochs=len(numbers),
                metrics=self._ready().metrics,
                keep_best=False,
                watchers=[teller],
                progress=False,
            )
        except FloatingPointError:
            if not teller.broken():
                raise
            told.history.stopped = "broken"
        else:
            told.history.stopped = done.stopped
        return told.history

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss and the metrics over data, in evaluation mode; arguments as those of `fit`.

        Returns:
            The loss alone without metrics; else a list, the loss first; or a dict by name.

        Raises:
            ValueError: for arguments that don't fit.
        """
        self._ready()
        data = as_batches(x, y, sample_weight, batch_size=batch_size, steps=steps)
        told = self._list(callbacks, verbose, data)
        self._check_even(data, "x")
        self._build_for(_first(data, "x")[0])
        return _returned(self._evaluated(data, told), return_dict)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """What the model puts out for x, as an ndarray; of several outputs, a list.

        Args:
            x: an array, or what gives batches: x, or (x, y) of which y is left alone.

        Raises:
            ValueError: for arguments that don't fit.
        """
        data = as_batches(x, batch_size=batch_size, steps=steps)
        told = self._list(callbacks, verbose, data)
        self._check_even(data, "x")
        _first(data, "x")
        told.on_predict_begin()
        batches = []
        for k, (inputs, _) in enumerate(data.from_start()):
            told.on_predict_batch_begin(k)
            batches.append(self.predict_on_batch(inputs))
            told.on_predict_batch_end(k, {"outputs": batches[-1]})
        told.on_predict_end()
        if isinstance(batches[0], list):
            return [np.concatenate(parts) for parts in zip(*batches, strict=True)]
        return np.concatenate(batches)

    # Single batches

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[Any, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """One update; returns the loss and the metrics of this batch, as `evaluate` does.

        Raises:
            ValueError: for arguments that don't fit; nothing is changed then.
            FloatingPointError: if the loss is NaN or infinite; nothing is changed then.
        """
        compiled = self._ready()
        data = _one_batch(x, y, sample_weight, class_weight)
        self._begin(data, "x")
        means = Means(compiled.metrics)
        loss_of = self._training_loss()
        (batch,) = data
        with mode(self, training=True):
            output = self(batch[0])  # type: ignore[operator]
            loss = loss_of(output, batch[1])
            check_finite(loss, 1 + int(compiled.optimizer.iterations))
            descend(loss, compiled.optimizer, (), None)
        means.add(loss, output, batch[1])
        self._results = means.values()
        return _returned(self._results, return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """The loss and the metrics of one batch, as `evaluate` returns them."""
        compiled = self._ready()
        (batch,) = _one_batch(x, y, sample_weight, None)
        means = Means(compiled.metrics)
        self._judge(batch, means)
        return _returned(self._results, return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """What the model puts out for one batch, as an ndarray; of several outputs, a list."""
        output = self._output_of(x)
        return [o.data for o in output] if isinstance(output, tuple) else output.data

    # Inside

    def _ready(self) -> Compiled:
        if self._compiled is None:
            raise ValueError("You must call `compile()` before using the model.")
        return self._compiled

    def _list(self, callbacks: Any, verbose: Any, data: Any) -> CallbackList:
        if isinstance(callbacks, CallbackList):
            return callbacks
        shown = verbosity(verbose)
        return CallbackList(
            callbacks, add_progbar=bool(shown), model=self, verbose=shown, epochs=1,
            steps=data.count,
        )  # fmt: skip

    def _begin(self, data: Samples | Stream, name: str) -> None:
        """Makes weights if there are none, and judges a first batch without leaving a trace."""
        compiled = self._ready()
        self._check_even(data, name)
        x, targets = _first(data, name)
        self._build_for(x)
        if not compiled.optimizer.built:
            compiled.optimizer.build(self.trainable_weights)  # type: ignore[attr-defined]
        if compiled.first_of_its_kind(x, targets):
            with undisturbed(self, recording=False):
                compiled.check(self._output_of(x), targets)

    def _training_loss(self) -> Callable[[Any, Targets], Any]:
        """What `tg.fit` differentiates; without trainable weights, a number to differentiate by."""
        compiled = self._ready()
        if self.trainable_weights:  # type: ignore[attr-defined]
            compiled.optimizer.require_known(self.trainable_weights)  # type: ignore[attr-defined]
            return compiled.loss
        warnings.warn(
            f"The model does not have any trainable weights: '{self.name}' stays as it is, only "
            "its loss and metrics are computed.",
            stacklevel=3,
        )
        return lambda output, targets: Tensor(
            compiled.loss(output, targets).data, requires_grad=True
        )

    def _build_for(self, x: Any) -> None:
        if not self.built:
            self._output_of(x)
            self.reset_states()  # type: ignore[attr-defined]

    def _check_even(self, data: Samples | Stream, name: str) -> None:
        """Layers that are stateful need batches of one size."""
        modules = self.modules()  # type: ignore[attr-defined]
        if data.uneven and any(getattr(each, "stateful", False) for each in modules):
            raise ValueError(
                "stateful layers need batches of one size, as each sample goes on where that of "
                f"the batch before ended. Received: {name}, of which {data.uneven}. Choose another "
                "batch_size, or leave samples out"
            )

    def _output_of(self, x: Any) -> Any:
        with mode(self, training=False), no_grad():
            return self(x)  # type: ignore[operator]

    def _evaluated(self, data: Samples | Stream, told: CallbackList) -> dict[str, float]:
        """Loss and metrics by name."""
        told.on_test_begin()
        means = Means(self._ready().metrics)
        for k, batch in enumerate(data.from_start()):
            told.on_test_batch_begin(k)
            self._judge(batch, means)
            told.on_test_batch_end(k, self.get_metrics_result())
        told.on_test_end(self.get_metrics_result())
        return self.get_metrics_result()

    def _judge(self, batch: tuple[Any, Targets], means: Means) -> None:
        x, targets = batch
        output = self._output_of(x)
        with no_grad():
            means.add(self._ready().loss(output, targets), output, targets)
        self._results = means.values()


def _validation(given: Any, batch_size: int | None, steps: int | None) -> Any:
    if given is None:
        return None
    batches = isinstance(given, list) and all(isinstance(each, tuple) for each in given)
    if isinstance(given, (tuple, list)) and len(given) in (2, 3) and not batches:
        return as_batches(*given, batch_size=batch_size, steps=steps)
    return as_batches(given, batch_size=batch_size if is_array(given) else None, steps=steps)


def _one_batch(x: Any, y: Any, sample_weight: Any, class_weight: Any) -> Any:
    x, y, sample_weight = map(alone, (x, y, sample_weight))
    if not is_array(x):
        raise ValueError(f"a batch is an array. Received: x of type {type(x).__name__}")
    return as_batches(x, y, sample_weight, batch_size=max(len(x), 1), class_weight=class_weight)


def _first(data: Samples | Stream, name: str) -> tuple[Any, Targets]:
    found = next(iter(data.from_start()), None) if isinstance(data, Samples) else data.first()
    if found is None:
        raise ValueError(
            f"{name} gives no batch: a generator can be read only once; give a list, or a sequence "
            "with a length"
        )
    return found


def _check_once(data: Samples | Stream, times: int, steps: str) -> None:
    """What can be read only once doesn't do for several epochs, without a number of steps."""
    endless = isinstance(data, Stream) and data.once and data.count is None
    if endless and times > 1:
        raise ValueError(
            f"a generator can be read only once, but {times} epochs read it. Give {steps}= if it "
            "goes on and on; else a list, or a sequence with a length"
        )


def _returned(found: Mapping[str, float], as_dict: bool) -> Any:
    if as_dict:
        return dict(found)
    values = list(found.values())
    return values[0] if len(values) == 1 else values
