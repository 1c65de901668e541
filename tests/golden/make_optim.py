"""Makes optim_options.npz and schedules.npz with PyTorch: ``python tests/golden/make_optim.py``.

Trajectories of 25 steps in float64 with every option of the optimisers, and the learning rates of
61 epochs with every schedule. The functions are PyTorch's side; the live tests call them as well.
"""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np

try:
    from golden.make_golden import Arrays, Case, numbers, save, trajectory
except ImportError:  # run as a script
    from make_golden import Arrays, Case, numbers, save, trajectory

STEPS, EPOCHS = 25, 60
# Every optimiser: its learning rate, and its options, of which all subsets are taken.
OPTIONS: dict[str, tuple[float, list[dict[str, Any]]]] = {
    "SGD": (0.1, [{"momentum": 0.8}, {"weight_decay": 0.05}, {"maximize": True}]),
    "Adam": (0.05, [{"amsgrad": True}, {"weight_decay": 0.05}, {"maximize": True}]),
    "AdamW": (0.05, [{"amsgrad": True}, {"weight_decay": 0.3}, {"maximize": True}]),
    "RMSprop": (
        0.01,
        [{"centered": True}, {"momentum": 0.8}, {"weight_decay": 0.05}, {"maximize": True}],
    ),
    "Adagrad": (
        0.1,
        [
            {"lr_decay": 0.1},
            {"initial_accumulator_value": 0.5},
            {"weight_decay": 0.05, "eps": 0.01},
            {"maximize": True},
        ],
    ),
    "Adadelta": (1.5, [{"rho": 0.6, "eps": 1e-3}, {"weight_decay": 0.05}, {"maximize": True}]),
}
# Those that aren't subsets.
FURTHER: list[dict[str, Any]] = [
    {"name": "SGD", "lr": 0.1, "momentum": 0.8, "nesterov": True, "maximize": True},
    {"name": "SGD", "lr": 0.1, "momentum": 0.8, "dampening": 0.3},
    {"name": "Adam", "lr": 0.05, "betas": [0.0, 0.9], "eps": 1e-3, "amsgrad": True},
    {"name": "Adam", "lr": 0.05, "weight_decay": 0.3, "decoupled_weight_decay": True},
    {"name": "RMSprop", "lr": 0.01, "alpha": 0.5, "eps": 1e-3, "skip": [[3, "w0"], [9, "w1"]]},
    {"name": "Adagrad", "lr": 0.1, "lr_decay": 0.1, "skip": [[0, "w0"], [9, "w1"]]},
    {"name": "Adadelta", "skip": [[3, "w0"], [9, "w1"]]},
]

LAMBDAS = {"halves": lambda epoch: 0.5**epoch, "inverse": lambda epoch: 1 / (1 + 0.1 * epoch)}
# A list of schedules is a SequentialLR, whose first item is the milestones.
SCHEDULES: list[Any] = [
    {"name": "StepLR", "step_size": 7},
    {"name": "StepLR", "step_size": 1, "gamma": 0.9},
    {"name": "MultiStepLR", "milestones": [5, 20, 20, 41], "gamma": 0.5},
    {"name": "MultiStepLR", "milestones": [0, 30]},
    {"name": "ExponentialLR", "gamma": 0.9},
    {"name": "ExponentialLR", "gamma": 1.05},
    {"name": "CosineAnnealingLR", "T_max": 60},
    {"name": "CosineAnnealingLR", "T_max": 7, "eta_min": 0.01},
    {"name": "CosineAnnealingLR", "T_max": 1, "eta_min": 0.02},
    {"name": "ConstantLR"},
    {"name": "ConstantLR", "factor": 0.3, "total_iters": 20},
    {"name": "LinearLR"},
    {"name": "LinearLR", "start_factor": 0.01, "end_factor": 0.7, "total_iters": 30},
    {"name": "LinearLR", "start_factor": 1.0, "end_factor": 0.0, "total_iters": 50},
    {"name": "LambdaLR", "lr_lambda": "inverse"},
    {"name": "LambdaLR", "lr_lambda": ["halves", "inverse"]},
    {"name": "OneCycleLR", "max_lr": 1.0, "total_steps": 61},
    {"name": "OneCycleLR", "max_lr": [1.0, 0.3], "total_steps": 60, "three_phase": True},
    {"name": "OneCycleLR", "max_lr": 0.5, "epochs": 7, "steps_per_epoch": 10, "pct_start": 0.1,
     "anneal_strategy": "linear", "base_momentum": [0.8, 0.7], "max_momentum": [0.99, 0.9],
     "div_factor": 10.0, "final_div_factor": 5.0},
    {"name": "OneCycleLR", "max_lr": 0.5, "total_steps": 70, "cycle_momentum": False},
    {"name": "OneCycleLR", "max_lr": 0.5, "total_steps": 70, "pct_start": 0.0},
    [[10], {"name": "LinearLR", "start_factor": 0.1, "total_iters": 10},
     {"name": "CosineAnnealingLR", "T_max": 50, "eta_min": 0.001}],
    [[4, 20], {"name": "ConstantLR", "factor": 0.2, "total_iters": 9},
     {"name": "ExponentialLR", "gamma": 0.9}, {"name": "StepLR", "step_size": 5}],
    [[3, 8, 30], {"name": "LambdaLR", "lr_lambda": "halves"},
     {"name": "MultiStepLR", "milestones": [0, 2], "gamma": 0.5},
     {"name": "LinearLR", "end_factor": 0.5, "total_iters": 8},
     {"name": "ConstantLR", "factor": 0.5, "total_iters": 3}],
    [[20], {"name": "StepLR", "step_size": 6},
     {"name": "OneCycleLR", "max_lr": 1.0, "total_steps": 60}],
]  # fmt: skip
PLATEAUS: list[dict[str, Any]] = [
    {"name": "ReduceLROnPlateau", "factor": 0.5, "patience": 2},
    {"name": "ReduceLROnPlateau", "mode": "max", "factor": 0.5, "patience": 1, "cooldown": 3},
    {"name": "ReduceLROnPlateau", "factor": 0.2, "patience": 0, "threshold": 0.1,
     "threshold_mode": "abs", "min_lr": [0.001, 0.03]},
    {"name": "ReduceLROnPlateau", "mode": "max", "factor": 0.5, "patience": 3, "threshold": 0.2,
     "threshold_mode": "abs", "eps": 0.01},
]  # fmt: skip


def configurations() -> list[dict[str, Any]]:
    """Every subset of every optimiser's options, and further ones."""
    made = []
    for name, (lr, options) in OPTIONS.items():
        for chosen in itertools.product((False, True), repeat=len(options)):
            config = {"name": name, "lr": lr}
            for option in itertools.compress(options, chosen):
                config |= option
            made.append(config)
    return made + FURTHER


def drawn(rng: np.random.Generator) -> Arrays:
    """Parameters and their gradients."""
    shapes = {"w0": (2,), "w1": (1, 3), "w2": ()}
    given = {n: numbers(rng, *shape) for n, shape in shapes.items()}
    # Not 0: a first square of 0 makes Adadelta and Adagrad nothing but rounding
    gradients = {f"g_{n}": numbers(rng, STEPS, *shape) + 1 / 512 for n, shape in shapes.items()}
    return {**given, **gradients}


def schedule(library: Any, optimiser: Any, config: Any) -> Any:
    """The schedule of a configuration, by either library's `optim`."""
    made = library.lr_scheduler
    if isinstance(config, list):
        milestones, *parts = config
        schedules = [schedule(library, optimiser, part) for part in parts]
        return made.SequentialLR(optimiser, schedules, milestones)
    options = {k: v for k, v in config.items() if k != "name"}
    if config["name"] == "LambdaLR":
        names = options["lr_lambda"]
        functions = [LAMBDAS[n] for n in ([names] if isinstance(names, str) else names)]
        options["lr_lambda"] = functions[0] if isinstance(names, str) else functions
    return getattr(made, config["name"])(optimiser, **options)


def rates(library: Any, tensors: list[Any], config: Any, metrics: Any, name: str) -> Arrays:
    """Learning rate and momentum of two groups, before every step and after the last."""
    groups = [{"params": [tensors[0]]}, {"params": [tensors[1]], "lr": 0.02}]
    optimiser = getattr(library, name)(groups, lr=0.1)
    stepped = schedule(library, optimiser, config)
    found: dict[str, list[Any]] = {"lr": [], "last": [], "momentum": []}
    for epoch in range(EPOCHS + 1):
        found["lr"].append([group["lr"] for group in optimiser.param_groups])
        found["last"].append(stepped.get_last_lr())
        momenta = [g.get("momentum", g.get("betas")) for g in optimiser.param_groups]
        found["momentum"].append([np.ravel(m)[0] for m in momenta])
        if epoch < EPOCHS:
            optimiser.step()
            stepped.step(*([] if metrics is None else [metrics[epoch]]))
    return {n: np.array(values, np.float64) for n, values in found.items()}


def torch_rates(config: Any, metrics: Any = None, name: str = "SGD") -> Arrays:
    import torch

    tensors = [torch.zeros(2, requires_grad=True, dtype=torch.float64) for _ in range(2)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its SequentialLR warns of itself
        return rates(torch.optim, tensors, config, metrics, name)


def main() -> None:
    rng = np.random.default_rng(20260520)
    given = drawn(rng)
    configs = configurations()
    expected = {
        f"{k} {n}": path
        for k, config in enumerate(configs)
        for n, path in trajectory(config, given).items()
    }
    save("optim_options", [({"configs": configs}, given, expected)])
    made: list[Case] = [
        ({"schedule": config, "name": name}, {}, torch_rates(config, name=name))
        for name in ("SGD", "Adam")
        for config in (SCHEDULES if name == "SGD" else SCHEDULES[16:19])
    ]
    for config in PLATEAUS:
        metrics = np.exp(-np.arange(EPOCHS) / 10) + 0.2 * numbers(rng, EPOCHS)
        expected = torch_rates(config, metrics)
        made.append(({"schedule": config, "name": "SGD"}, {"metrics": metrics}, expected))
    save("schedules", made)


if __name__ == "__main__":
    main()
