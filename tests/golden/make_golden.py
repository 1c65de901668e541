"""Makes the golden arrays with PyTorch: ``python tests/golden/make_golden.py``.

An .npz file holds a list of cases. A case has a configuration, the arrays given, and the arrays
that PyTorch computed from them in float64. All numbers of a file stand in one flat array; `cases`
takes it apart. The functions in between are PyTorch's side; the live tests call them as well.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

Arrays: TypeAlias = dict[str, np.ndarray]
Case: TypeAlias = tuple[dict[str, Any], Arrays, Arrays]

FOLDER = Path(__file__).parent
GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}


# Files


def save(name: str, made: list[Case]) -> None:
    """Writes the cases into <name>.npz."""
    import torch

    index = [
        [config, *({n: a.shape for n, a in arrays.items()} for arrays in both)]
        for config, *both in made
    ]
    numbers = [a.ravel() for _, *both in made for arrays in both for a in arrays.values()]
    np.savez_compressed(
        FOLDER / f"{name}.npz",
        torch=np.array(torch.__version__),
        index=np.array(json.dumps(index)),
        numbers=np.concatenate(numbers),
    )


def cases(name: str) -> list[Case]:
    """The cases in <name>.npz: configuration, arrays given, arrays expected."""
    with np.load(FOLDER / f"{name}.npz") as file:
        index, numbers = json.loads(str(file["index"])), file["numbers"]
    start, found = 0, []
    for config, *both in index:
        taken: list[Arrays] = [{}, {}]
        for arrays, shapes in zip(taken, both, strict=True):
            for key, shape in shapes.items():
                size = math.prod(shape)
                arrays[key] = numbers[start : start + size].reshape(shape)
                start += size
        found.append((config, *taken))
    assert start == len(numbers)
    return found


def label(config: dict[str, Any]) -> str:
    """A test's name for a configuration."""
    return " ".join(f"{k}={v}" if v is not True else k for k, v in config.items() if v is not False)


def relative_error(found: Any, expected: Any) -> float:
    """max|a - b| / max|b|; infinite if shapes differ or NaNs stand elsewhere."""
    a, b = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if a.shape != b.shape or (np.isnan(a) != np.isnan(b)).any():
        return math.inf
    difference = np.nan_to_num(np.abs(a - b)).max(initial=0.0)
    scale = np.nan_to_num(np.abs(b)).max(initial=0.0)
    return float(difference / scale) if scale else float(difference)


# PyTorch's side: from a configuration and the arrays given to the arrays expected


def layer_options(config: dict[str, Any]) -> dict[str, Any]:
    """What of a recurrent configuration goes to the layer's constructor."""
    others = ("kind", "sizes", "state", "single", "lengths", "sorted")
    return {k: v for k, v in config.items() if k not in others}


def recurrent(config: dict[str, Any], given: Arrays, dtype: str = "float64") -> Arrays:
    """Outputs, final states and all gradients of RNN, LSTM or GRU; packed, if there are lengths."""
    import torch

    hidden, features = config["sizes"][2:]
    layer = getattr(torch.nn, config["kind"])(
        features, hidden, **layer_options(config), dtype=getattr(torch, dtype)
    )
    leaves = _leaves(given, dtype)
    layer.load_state_dict({n: t for n, t in leaves.items() if n in layer.state_dict()})
    state = tuple(leaves[n] for n in ("h0", "c0") if n in leaves)
    start = (state if config["kind"] == "LSTM" else state[0]) if state else None
    if lengths := config.get("lengths"):
        functions, first = torch.nn.utils.rnn, config.get("batch_first", False)
        packed = functions.pack_padded_sequence(leaves["x"], lengths, first, config["sorted"])
        output, final = layer(packed, start)
        output, _ = functions.pad_packed_sequence(output, first, total_length=config["sizes"][0])
    else:
        output, final = layer(leaves["x"], start)
    finals = final if isinstance(final, tuple) else (final,)
    results = dict(zip(("output", "h_n", "c_n"), (output, *finals), strict=False))
    sum((results[n] * leaves[f"g_{n}"].detach()).sum() for n in results).backward()
    found = {**results, **{f"d_{n}": p.grad for n, p in layer.named_parameters()}}
    found.update({f"d_{n}": leaves[n].grad for n in ("x", "h0", "c0") if n in leaves})
    return _arrays(found)


def cell(config: dict[str, Any], given: Arrays) -> Arrays:
    """The last state and all gradients of a cell, unrolled over the steps of x."""
    import torch

    options = {k: v for k, v in config.items() if k not in ("kind", "state", "single")}
    rows = given["weight_hh"].shape
    made = getattr(torch.nn, config["kind"])(
        given["x"].shape[-1], rows[1], **options, dtype=torch.float64
    )
    leaves = _leaves(given)
    made.load_state_dict({n: t for n, t in leaves.items() if n in made.state_dict()})
    start = tuple(leaves[n] for n in ("h0", "c0") if n in leaves)
    state: Any = (start if config["kind"] == "LSTMCell" else start[0]) if start else None
    for x in leaves["x"]:
        state = made(x, state)
    finals = state if isinstance(state, tuple) else (state,)
    results = dict(zip(("h_n", "c_n"), finals, strict=False))
    sum((results[n] * leaves[f"g_{n}"].detach()).sum() for n in results).backward()
    found = {**results, **{f"d_{n}": p.grad for n, p in made.named_parameters()}}
    found.update({f"d_{n}": leaves[n].grad for n in ("x", "h0", "c0") if n in leaves})
    return _arrays(found)


def function(config: dict[str, Any], given: Arrays) -> Arrays:
    """The result and the gradients of linear, embedding or a loss."""
    import torch

    leaves = _leaves(given)
    g = leaves.pop("g", None)
    options = {k: v for k, v in config.items() if k not in ("name", "target", "ids")}
    weight = leaves.get("weight")
    if config["name"] == "linear":
        out = torch.nn.functional.linear(leaves["x"], weight, leaves.get("bias"))
    elif config["name"] == "embedding":
        out = torch.nn.functional.embedding(torch.tensor(config["ids"]), weight, **options)
    elif config["name"] == "mse_loss":
        out = torch.nn.functional.mse_loss(leaves["x"], leaves["y"], **options)
    else:
        if weight is not None:
            weight = leaves.pop("weight").detach()
        target = torch.tensor(config["target"])
        out = torch.nn.functional.cross_entropy(leaves["x"], target, weight, **options)
    out.backward(torch.ones_like(out) if g is None else g.detach())
    return _arrays({"out": out, **{f"d_{n}": t.grad for n, t in leaves.items()}})


def trajectory(config: dict[str, Any], given: Arrays, dtype: str = "float64") -> Arrays:
    """The parameters w… after every step of an optimiser; `skip` lists (step, parameter)."""
    import torch

    kind = getattr(torch, dtype)
    options = {k: v for k, v in config.items() if k not in ("name", "skip")}
    w = {
        n: torch.tensor(a, dtype=kind, requires_grad=True)
        for n, a in given.items()
        if n.startswith("w")
    }
    optimiser = getattr(torch.optim, config["name"])(w.values(), **options)
    paths: dict[str, list[np.ndarray]] = {n: [] for n in w}
    for step in range(len(given["g_w0"])):
        for n, p in w.items():
            skipped = [step, n] in config.get("skip", [])
            p.grad = None if skipped else torch.tensor(given[f"g_{n}"][step], dtype=kind)
        optimiser.step()
        for n, p in w.items():
            paths[n].append(p.detach().numpy().copy())
    return {n: np.stack(path) for n, path in paths.items()}


def clipped(config: dict[str, Any], given: Arrays) -> Arrays:
    """The norm before clipping and the gradients after it."""
    import torch

    tensors = []
    for g in given.values():
        tensors.append(torch.zeros(g.shape, dtype=torch.float64, requires_grad=True))
        tensors[-1].grad = torch.tensor(g)
    total = torch.nn.utils.clip_grad_norm_(tensors, config["max_norm"], config["norm_type"])
    return _arrays({"total": total, **{f"g{i}": t.grad for i, t in enumerate(tensors)}})


def packing(config: dict[str, Any], given: Arrays) -> Arrays:
    """What a function of nn.utils.rnn returns, and the gradients; lists are joined by `cat`."""
    import torch

    functions = torch.nn.utils.rnn
    name, lengths, options = config["name"], config["lengths"], config["options"]
    leaves = _leaves(given)
    g = leaves.pop("g").detach()
    sequences = list(leaves.values())
    argument: Any = sequences if name in ("pad_sequence", "pack_sequence") else sequences[0]
    if name in ("pad_packed_sequence", "unpack_sequence"):
        places = torch.zeros(max(lengths), len(lengths))
        like = functions.pack_padded_sequence(places, lengths, enforce_sorted=config["sorted"])
        argument = functions.PackedSequence(argument, *like[1:])
    if name == "unpad_sequence":
        argument = argument * 1  # torch transposes what it is given in place
        out: Any = functions.unpad_sequence(argument, torch.tensor(lengths), **options)
    elif name == "pack_padded_sequence":
        out = functions.pack_padded_sequence(argument, lengths, **options)
    else:
        out = getattr(functions, name)(argument, **options)
    found = {}
    if isinstance(out, functions.PackedSequence):
        found = {n: t for n, t in out._asdict().items() if t is not None and n != "data"}
        out = out.data
    elif isinstance(out, tuple):
        out, found["lengths"] = out
    elif isinstance(out, list):
        out = torch.cat(out)
    out.backward(g)
    return _arrays({"out": out, **found, **{f"d_{n}": t.grad for n, t in leaves.items()}})


def _leaves(given: Arrays, dtype: str = "float64") -> dict[str, Any]:
    import torch

    return {
        n: torch.tensor(a, dtype=getattr(torch, dtype), requires_grad=True)
        for n, a in given.items()
    }


def _arrays(tensors: dict[str, Any]) -> Arrays:
    return {n: t.detach().numpy().astype(np.float64) for n, t in tensors.items()}


# Random arrays, rounded to 1/256 so that the files are small


def numbers(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Uniform on [-1, 1), in steps of 1/256."""
    return rng.integers(-256, 256, shape) / 256


def recurrent_inputs(config: dict[str, Any], rng: np.random.Generator) -> Arrays:
    """Parameters, input, initial state and cotangents; sizes are (T, N, H, I)."""
    time, batch, hidden, features = config["sizes"]
    directions = 2 if config.get("bidirectional") else 1
    count = config.get("num_layers", 1) * directions
    rows = GATES[config["kind"]] * hidden
    projected = config.get("proj_size")
    width = projected or hidden  # of h, and so of the output
    given = {}
    for row in range(count):
        name = f"l{row // directions}" + ("_reverse" if row % directions else "")
        size = features if row < directions else width * directions
        given[f"weight_ih_{name}"] = numbers(rng, rows, size)
        given[f"weight_hh_{name}"] = numbers(rng, rows, width)
        if config.get("bias", True):
            given[f"bias_ih_{name}"] = numbers(rng, rows)
            given[f"bias_hh_{name}"] = numbers(rng, rows)
        if projected:
            given[f"weight_hr_{name}"] = numbers(rng, projected, hidden)
    lead = (batch, time) if config.get("batch_first") else (time, batch)
    if config.get("single"):
        lead = (time,)
    states = (count,) if config.get("single") else (count, batch)
    parts = {"h": width, "c": hidden} if config["kind"] == "LSTM" else {"h": hidden}
    given["x"] = numbers(rng, *lead, features)
    given["g_output"] = numbers(rng, *lead, width * directions)
    for part, size in parts.items():
        given[f"g_{part}_n"] = numbers(rng, *states, size)
        if config.get("state"):
            given[f"{part}0"] = numbers(rng, *states, size)
    return given


def packing_inputs(config: dict[str, Any], rng: np.random.Generator) -> Arrays:
    """Input and cotangent of a function of nn.utils.rnn."""
    name, lengths, options = config["name"], config["lengths"], config["options"]
    total, trailing = sum(lengths), config["trailing"]
    steps = options.get("total_length", config.get("steps", max(lengths)))
    lead = (len(lengths), steps) if options.get("batch_first") else (steps, len(lengths))
    flat, padded = numbers(rng, total, *trailing), numbers(rng, *lead, *trailing)
    if name in ("pad_sequence", "pack_sequence"):
        parts = np.split(flat, np.cumsum(lengths)[:-1])
        given = {f"x{n:02}": part for n, part in enumerate(parts)}
        return {**given, "g": padded if name == "pad_sequence" else numbers(rng, *flat.shape)}
    if name == "pad_packed_sequence":
        return {"x": flat, "g": padded}
    x = flat if name == "unpack_sequence" else padded
    return {"x": x, "g": numbers(rng, *flat.shape)}


# The cases

SIZES = [(5, 3, 2, 7), (1, 1, 1, 1), (3, 5, 2, 1), (7, 1, 3, 2), (2, 7, 1, 3), (3, 2, 5, 2)]


def recurrent_cases(kind: str, nonlinearity: str | None, rng: np.random.Generator) -> list[Case]:
    """Every number of layers in both directions, the other options taking turns."""
    made = []
    for turn in range(12):
        config: dict[str, Any] = {
            "kind": kind,
            "sizes": SIZES[(turn + turn // 6) % 6],
            "num_layers": 1 + turn % 3,
            "bidirectional": turn % 6 >= 3,
            "bias": turn % 4 != 2,
            "batch_first": turn % 2 == 1,
            "single": turn % 5 == 3,
            "state": turn in (0, 3, 5, 6, 7, 8, 10),
        }
        if nonlinearity:
            config["nonlinearity"] = nonlinearity
        given = recurrent_inputs(config, rng)
        made.append((config, given, recurrent(config, given)))
    return made


def cell_cases(rng: np.random.Generator) -> list[Case]:
    made = []
    variants = [("RNNCell", "tanh"), ("RNNCell", "relu"), ("LSTMCell", None), ("GRUCell", None)]
    for kind, nonlinearity in variants:
        for single in (False, True):
            for bias, state in ((True, True), (False, True), (True, False)):
                config: dict[str, Any] = {
                    "kind": kind,
                    "bias": bias,
                    "state": state,
                    "single": single,
                }
                if nonlinearity:
                    config["nonlinearity"] = nonlinearity
                sizes = (5, 3, 2, 7) if bias else (3, 2, 5, 1)
                layer = {**config, "kind": kind.removesuffix("Cell"), "sizes": sizes}
                given = recurrent_inputs(layer, rng)
                given = {n.removesuffix("_l0"): a for n, a in given.items() if n != "g_output"}
                for n in ("g_h_n", "g_c_n", "h0", "c0"):
                    if n in given:
                        given[n] = given[n][0]
                made.append((config, given, cell(config, given)))
    return made


def function_cases(rng: np.random.Generator) -> list[Case]:
    made = []

    def add(config: dict[str, Any], **given: np.ndarray) -> None:
        made.append((config, given, function(config, given)))

    for lead in ((), (5,), (2, 3)):
        x, weight, g = numbers(rng, *lead, 7), numbers(rng, 3, 7), numbers(rng, *lead, 3)
        add({"name": "linear"}, x=x, weight=weight, bias=numbers(rng, 3), g=g)
        add({"name": "linear"}, x=x, weight=weight, g=g)
    for ids in ([2, 0, 2, 4], [[1, 1, 1], [0, 3, 4]], 3):
        for options in ({}, {"padding_idx": 1}, {"padding_idx": -2}):
            shape = (*np.shape(ids), 3)
            config = {"name": "embedding", "ids": ids, **options}
            add(config, weight=numbers(rng, 5, 3), g=numbers(rng, *shape))
    for reduction in ("mean", "sum", "none"):
        config = {"name": "mse_loss", "reduction": reduction}
        cotangent = {"g": numbers(rng, 3, 5)} if reduction == "none" else {}
        add(config, x=numbers(rng, 3, 5), y=numbers(rng, 3, 5), **cotangent)
        targets = [
            (1, (3,)),
            ([1, 0, 4, 2, 2, 0, 1], (7, 5)),
            ([[0, 2], [1, 1], [2, 0]], (3, 3, 2)),
            ([[[1, 0]], [[0, 0]]], (2, 2, 1, 2)),
        ]
        for target, shape in targets:
            classes = shape[0] if len(shape) == 1 else shape[1]
            for options in (
                {},
                {"ignore_index": 0},
                {"label_smoothing": 0.3},
                {"label_smoothing": 0.1, "ignore_index": 1},
            ):
                for weighted in (False, True):
                    config = {"name": "cross_entropy", "target": target, **options}
                    given = {"x": 4 * numbers(rng, *shape)}
                    if weighted:
                        given["weight"] = 1.5 + numbers(rng, classes)
                    if reduction == "none":
                        given["g"] = numbers(rng, *np.shape(target))
                    add({**config, "reduction": reduction}, **given)
        for smoothing in (0.0, 0.2):  # nothing but ignored targets
            config = {"name": "cross_entropy", "target": [-100, -100], "reduction": reduction}
            given = {"g": numbers(rng, 2)} if reduction == "none" else {}
            add({**config, "label_smoothing": smoothing}, x=numbers(rng, 2, 3), **given)
    return made


def trajectory_cases(rng: np.random.Generator) -> list[Case]:
    made = []
    for config in (
        {"name": "SGD", "lr": 0.1},
        {"name": "SGD", "lr": 0.1, "weight_decay": 0.05},
        {"name": "SGD", "lr": 0.1, "momentum": 0.9},
        {"name": "SGD", "lr": 0.1, "momentum": 0.8, "dampening": 0.3},
        {"name": "SGD", "lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05},
        {"name": "SGD", "lr": 0.1, "momentum": 0.8, "dampening": 0.3, "weight_decay": 0.05},
        {"name": "SGD", "lr": 0.1, "momentum": 0.9, "skip": [[0, "w0"], [7, "w1"], [8, "w1"]]},
        {"name": "Adam", "lr": 0.1},
        {"name": "Adam", "lr": 0.01, "weight_decay": 0.1},
        {"name": "Adam", "lr": 0.1, "betas": [0.5, 0.9], "eps": 1e-3},
        {"name": "Adam", "lr": 0.1, "betas": [0.0, 0.99], "weight_decay": 0.05},
        {"name": "Adam", "lr": 0.1, "skip": [[0, "w0"], [7, "w1"], [8, "w1"]]},
    ):
        given = {
            "w0": numbers(rng, 3),
            "w1": numbers(rng, 2, 3),
            "g_w0": numbers(rng, 25, 3),
            "g_w1": numbers(rng, 25, 2, 3),
        }
        made.append((config, given, trajectory(config, given)))
    return made


def clip_cases(rng: np.random.Generator) -> list[Case]:
    made = []
    for norm_type in (1.0, 2.0, math.inf, 3.0):
        for max_norm in (0.25, 100.0):
            config = {"norm_type": norm_type, "max_norm": max_norm}
            given = {"g0": numbers(rng, 5), "g1": numbers(rng, 2, 3), "g2": numbers(rng)}
            made.append((config, given, clipped(config, given)))
    return made


def packing_cases(rng: np.random.Generator) -> list[Case]:
    """Every function of nn.utils.rnn, sorted and not, the options taking turns."""
    made = []
    batches = [([5, 3, 3, 1], [2]), ([2, 7, 1, 7, 3], []), ([1], [3, 2]), ([1, 2, 5], [1])]
    for turn, (lengths, trailing) in enumerate(batches):
        descending = sorted(lengths, reverse=True) == lengths
        order = {} if descending else {"enforce_sorted": False}
        steps = max(lengths) + turn % 2
        for first in ({}, {"batch_first": True}):
            filled = {"padding_value": -1.5} if turn % 2 else {}
            variants: list[tuple[str, dict[str, Any]]] = [
                ("pack_padded_sequence", {**first, **order}),
                ("pad_packed_sequence", {**first, **filled, "total_length": steps}),
                ("pad_sequence", {**first, **filled}),
                ("pad_sequence", {**first, "padding_side": "left"}),
                ("unpad_sequence", first),
            ]
            if not first:
                variants += [("pack_sequence", order), ("unpack_sequence", {})]
            for name, options in variants:
                config = {"name": name, "lengths": lengths, "trailing": trailing}
                config |= {"sorted": descending, "options": options}
                if name in ("pack_padded_sequence", "unpad_sequence"):
                    config["steps"] = steps
                given = packing_inputs(config, rng)
                made.append((config, given, packing(config, given)))
    return made


def recurrent_option_cases(rng: np.random.Generator) -> list[Case]:
    """Projections, and packed input in and out of order, the other options taking turns."""
    made = []
    batches = [([5, 3, 3, 1], True), ([2, 5, 1, 4], False), ([1], True), ([1, 3], False)]
    for turn in range(12):
        shared = {
            "num_layers": 1 + turn % 3,
            "bidirectional": turn % 6 >= 3,
            "bias": turn % 4 != 2,
            "batch_first": turn % 2 == 1,
        }
        time, batch, hidden, features = [(5, 3, 2, 7), (1, 1, 3, 1), (3, 2, 5, 3)][turn // 2 % 3]
        projected: dict[str, Any] = {"kind": "LSTM", "sizes": (time, batch, hidden, features)}
        projected |= {**shared, "proj_size": 1 + turn % (hidden - 1)}
        projected |= {"single": turn % 5 == 3, "state": turn not in (1, 4, 9)}
        lengths, ordered = batches[(turn + turn // 4) % 4]
        time = max(lengths) + turn % 2  # past the longest sequence every second time
        packed: dict[str, Any] = {"kind": ("RNN", "LSTM", "GRU", "LSTM")[turn % 4]}
        packed |= {"sizes": (time, len(lengths), 1 + turn % 3, 2), **shared}
        packed |= {"state": turn not in (1, 4, 10), "lengths": lengths, "sorted": ordered}
        if turn in (3, 7, 11):
            packed |= {"sizes": (time, len(lengths), 3, 2), "proj_size": 2}
        for config in (projected, packed):
            given = recurrent_inputs(config, rng)
            made.append((config, given, recurrent(config, given)))
    return made


def main() -> None:
    rng = np.random.default_rng(20260518)
    save("rnn_tanh", recurrent_cases("RNN", "tanh", rng))
    save("rnn_relu", recurrent_cases("RNN", "relu", rng))
    save("lstm", recurrent_cases("LSTM", None, rng))
    save("gru", recurrent_cases("GRU", None, rng))
    save("cells", cell_cases(rng))
    save("functions", function_cases(rng))
    save("optimisers", trajectory_cases(rng))
    save("clipping", clip_cases(rng))
    save("packing", packing_cases(rng))
    save("recurrent_options", recurrent_option_cases(np.random.default_rng(20260519)))


if __name__ == "__main__":
    main()
