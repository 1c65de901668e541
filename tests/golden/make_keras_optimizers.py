"""Makes keras_optimizers.npz with Keras: ``python tests/golden/make_keras_optimizers.py``.

Trajectories of 25 steps in float64 with the options of Keras' optimizers, and learning rates of
its schedules. Needs keras with torch and, for clipping by norms, with jax: on torch, `ops.maximum`
and `ops.minimum`, and so those norms, round to float32. The functions are Keras' side; the live
tests call them as well.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

import numpy as np

try:
    from golden.make_golden import FOLDER, Arrays, Case, cases, numbers, save
except ImportError:  # run as a script
    from make_golden import FOLDER, Arrays, Case, cases, numbers, save

NAME = "keras_optimizers"
STEPS = 25
# Options for every optimizer; "changes" are {step: learning rate} and "skip" (step, variable).
COMMON: list[dict[str, Any]] = [
    {},
    {"weight_decay": 0.05},
    {"clipnorm": 0.7},
    {"clipvalue": 0.3},
    {"global_clipnorm": 0.9, "weight_decay": 0.05},
    {"changes": {"7": 0.2, "8": 0.002, "15": 0.05}, "weight_decay": 0.05},
    {"skip": [[0, "w0"], [3, "w1"], [9, "w0"], [9, "w2"]], "weight_decay": 0.05},
    {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 4},
    {"use_ema": True, "ema_momentum": 0.8, "finalize": True},
    {"gradient_accumulation_steps": 3, "clipvalue": 0.3, "skip": [[3, "w1"], [5, "w0"]]},
    {
        "gradient_accumulation_steps": 3,
        "use_ema": True,
        "ema_momentum": 0.6,
        "ema_overwrite_frequency": 2,
    },
    {"exclude": ["w1"], "weight_decay": 0.3},
    {"constraint": True},
]
OWN: list[dict[str, Any]] = [
    {"name": "SGD", "momentum": 0.8},
    {"name": "SGD", "momentum": 0.8, "nesterov": True},
    {"name": "SGD", "nesterov": True},
    {"name": "SGD", "momentum": 0.8, "nesterov": True, "changes": {"7": 0.2, "8": 0.002}},
    {"name": "SGD", "momentum": 0.8, "changes": {"7": 0.2, "8": 0.002, "20": 0.0}},
    {"name": "RMSprop", "rho": 0.7, "epsilon": 1e-3},
    {"name": "RMSprop", "centered": True, "epsilon": 1e-2},
    {"name": "RMSprop", "momentum": 0.8, "changes": {"7": 0.2, "8": 0.002}},
    {"name": "RMSprop", "momentum": 0.8, "centered": True, "epsilon": 1e-2, "weight_decay": 0.3},
    {"name": "Adam", "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-2},
    {"name": "Adam", "amsgrad": True, "beta_2": 0.7, "epsilon": 1e-2},
    {"name": "Adam", "amsgrad": True, "weight_decay": 0.1, "skip": [[3, "w0"]]},
    {"name": "AdamW", "amsgrad": True, "weight_decay": 0.3, "clipvalue": 0.4},
    {"name": "Adagrad", "initial_accumulator_value": 0.01, "epsilon": 1e-2},
    {"name": "Adadelta", "rho": 0.6, "epsilon": 1e-2},
]
RATES = {"SGD": 0.1, "RMSprop": 0.01, "Adam": 0.05, "AdamW": 0.05, "Adagrad": 0.1, "Adadelta": 1.5}
SCHEDULES: list[dict[str, Any]] = [
    {"class": "ExponentialDecay", "initial_learning_rate": 0.1, "decay_steps": 7,
     "decay_rate": 0.6},
    {"class": "ExponentialDecay", "initial_learning_rate": 0.1, "decay_steps": 7,
     "decay_rate": 0.6, "staircase": True},
    {"class": "PiecewiseConstantDecay", "boundaries": [3, 11, 20],
     "values": [0.1, 0.02, 0.3, 0.05]},
    {"class": "PolynomialDecay", "initial_learning_rate": 0.1, "decay_steps": 13},
    {"class": "PolynomialDecay", "initial_learning_rate": 0.1, "decay_steps": 7,
     "end_learning_rate": 0.01, "power": 0.5, "cycle": True},
    {"class": "InverseTimeDecay", "initial_learning_rate": 0.1, "decay_steps": 5,
     "decay_rate": 0.7},
    {"class": "InverseTimeDecay", "initial_learning_rate": 0.1, "decay_steps": 5,
     "decay_rate": 0.7, "staircase": True},
    {"class": "CosineDecay", "initial_learning_rate": 0.1, "decay_steps": 17},
    {"class": "CosineDecay", "initial_learning_rate": 0.01, "decay_steps": 11, "alpha": 0.2,
     "warmup_target": 0.1, "warmup_steps": 5},
]  # fmt: skip
OF_THE_RUN = ("name", "changes", "skip", "exclude", "constraint", "finalize", "schedule")


def configurations() -> list[dict[str, Any]]:
    """All trajectories: every optimizer with every common option, and those of its own."""
    made = [{"name": name, **options} for name in RATES for options in COMMON] + OWN
    made += [{"name": "SGD", "momentum": 0.8, "schedule": s} for s in SCHEDULES]
    made += [{"name": "Adam", "schedule": SCHEDULES[-1], "gradient_accumulation_steps": 2}]
    return made


def clips_by_norm(config: dict[str, Any]) -> bool:
    return "clipnorm" in config or "global_clipnorm" in config


def drawn(rng: np.random.Generator) -> Arrays:
    """Variables and their gradients."""
    shapes = {"w0": (2,), "w1": (1, 3), "w2": ()}
    given = {n: numbers(rng, *shape) for n, shape in shapes.items()}
    # Not 0: a first square of 0 makes Adadelta and Adagrad nothing but rounding
    gradients = {f"g_{n}": numbers(rng, STEPS, *shape) + 1 / 512 for n, shape in shapes.items()}
    return {**given, **gradients}


def made_by(optimizers: Any, config: dict[str, Any]) -> Any:
    """The optimizer of a configuration, by either library's `optimizers`."""
    options = {k: v for k, v in config.items() if k not in OF_THE_RUN}
    rate = RATES[config["name"]]
    if "schedule" in config:
        rate = schedule_by(optimizers, config["schedule"])
    return getattr(optimizers, config["name"])(rate, **options)


def schedule_by(optimizers: Any, config: dict[str, Any]) -> Any:
    options = {k: v for k, v in config.items() if k != "class"}
    return getattr(optimizers.schedules, config["class"])(**options)


def trajectory(
    optimizers: Any,
    config: dict[str, Any],
    given: Arrays,
    variables: Any,
    gradient: Any,
    numpy: Any,
) -> Arrays:
    """The variables after every step, by either library.

    Args:
        optimizers: the library's module.
        variables: w… -> variable, with a constraint where the configuration wants it.
        gradient: makes a gradient of an array.
        numpy: gives a copy of a variable's values.
    """
    optimizer = made_by(optimizers, config)
    if "exclude" in config:
        optimizer.exclude_from_weight_decay(var_names=config["exclude"])
    optimizer.build(list(variables.values()))
    paths: dict[str, list[np.ndarray]] = {n: [] for n in variables}
    for step in range(STEPS):
        if str(step) in config.get("changes", {}):
            optimizer.learning_rate = config["changes"][str(step)]
        grads = [
            None if [step, n] in config.get("skip", []) else gradient(given[f"g_{n}"][step])
            for n in variables
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of gradients that are None
            optimizer.apply_gradients(zip(grads, variables.values(), strict=True))
        for n, v in variables.items():
            paths[n].append(numpy(v))
    if config.get("finalize"):
        optimizer.finalize_variable_values(list(variables.values()))
        for n, v in variables.items():
            paths[n].append(numpy(v))
    return {n: np.stack(path) for n, path in paths.items()}


@contextmanager
def keras_in_float64() -> Iterator[Any]:
    """Keras on torch, if no other backend was chosen; afterwards its floatx is what it was."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    try:
        yield keras
    finally:
        keras.config.set_floatx(before)


def keras_trajectory(config: dict[str, Any], given: Arrays) -> Arrays:
    with keras_in_float64() as keras:

        def kept_small(w: Any) -> Any:
            return keras.ops.clip(w, -0.5, 0.5)

        variables = {
            n: keras.Variable(a, dtype="float64", name=n) for n, a in given.items() if n[0] == "w"
        }
        if config.get("constraint"):
            for v in variables.values():
                v.constraint = kept_small

        def numpy(v: Any) -> np.ndarray:
            return np.array(keras.ops.convert_to_numpy(v.value))

        gradient = keras.ops.convert_to_tensor
        return trajectory(keras.optimizers, config, given, variables, gradient, numpy)


def keras_rates(config: dict[str, Any]) -> Arrays:
    with keras_in_float64() as keras:
        schedule = schedule_by(keras.optimizers, config)
        return {"lr": np.array([float(schedule(step)) for step in range(STEPS)])}


def main() -> None:
    given = drawn(np.random.default_rng(20260708))
    configs = configurations()
    by_norm = [k for k, config in enumerate(configs) if clips_by_norm(config)]
    os.environ |= {"KERAS_BACKEND": "jax", "JAX_ENABLE_X64": "1"}
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        found = pool.map(keras_trajectory, [configs[k] for k in by_norm], [given] * len(by_norm))
        on_jax = dict(zip(by_norm, found, strict=True))
    os.environ["KERAS_BACKEND"] = "torch"
    with keras_in_float64() as keras:
        assert keras.backend.backend() == "torch"
    expected = {
        f"{k} {n}": path
        for k, config in enumerate(configs)
        for n, path in (on_jax.get(k) or keras_trajectory(config, given)).items()
    }
    made: list[Case] = [({"configs": configs}, given, expected)]
    made += [({"schedule": config}, {}, keras_rates(config)) for config in SCHEDULES]
    save(NAME, made)
    with np.load(FOLDER / f"{NAME}.npz") as file:
        kept = dict(file)
    versions = {"keras": np.array(keras.__version__), "backend": np.array("torch; jax for norms")}
    np.savez_compressed(FOLDER / f"{NAME}.npz", **kept, **versions)
    assert len(cases(NAME)) == len(made)


if __name__ == "__main__":
    main()
