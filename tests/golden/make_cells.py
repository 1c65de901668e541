"""Makes further_cells.npz with ONNX, Keras and PyTorch: ``python tests/golden/make_cells.py``.

Needs onnx, onnxruntime, and keras with torch. Given arrays stand under this library's parameter
names; each oracle's side turns them into its own layout. What each oracle is good for:

- onnx.reference (float64): LSTM with peepholes, GRU with either reset, RNN with an affine function.
  It ignores `activations` of LSTM and GRU, and `input_forget`.
- onnxruntime (float32): those two.
- keras, torch backend: GRU and LSTM, with all gradients. Its `ops.matmul`, and so
  GRU(reset_after=False), rounds to float32.
- torch: layer_norm, with all gradients.
"""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

try:
    from golden.make_golden import FOLDER, Arrays, Case, save
except ImportError:  # run as a script
    from make_golden import FOLDER, Arrays, Case, save

NAME = "further_cells"
# The blocks of the oracle's matrices, as places among the gates here
ONNX_GATES = {"LSTM": [0, 3, 1, 2], "GRU": [1, 0, 2], "RNN": [0]}  # iofc, zrh
KERAS_GATES = {"LSTM": [0, 1, 2, 3], "GRU": [1, 0, 2]}  # ifco, zrh
STEPS, BATCH, FEATURES, HIDDEN = 5, 2, 4, 3


def reordered(matrix: np.ndarray, order: list[int]) -> np.ndarray:
    """The blocks of rows in another order."""
    blocks = np.split(matrix, len(order))
    return np.concatenate([blocks[k] for k in order])


def inverse(order: list[int]) -> list[int]:
    return [order.index(k) for k in range(len(order))]


# ONNX


def onnx_model(kind: str, inputs: list[str], dtype: Any, **attributes: Any) -> Any:
    """A model of one node, whose inputs are the graph's."""
    from onnx import helper

    number = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    outputs = ["Y", "Y_h", "Y_c"] if kind == "LSTM" else ["Y", "Y_h"]
    node = helper.make_node(kind, inputs, outputs, **attributes)
    values = [
        [helper.make_tensor_value_info(n, number, None) for n in names if n]
        for names in (inputs, outputs)
    ]
    graph = helper.make_graph([node], kind, *values)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def onnx(config: dict[str, Any], given: Arrays, **attributes: Any) -> Arrays:
    """Output and final states of an ONNX operator, in float64 or float32 as `given` is."""
    kind, suffixes = config["onnx"], ["_l0", "_l0_reverse"][: 1 + config["bidirectional"]]
    order = ONNX_GATES[kind]

    def rows(name: str, suffix: str) -> np.ndarray:
        array = given[name + suffix]
        if config["cell"] == "CoupledLSTMCell":  # 1 - σ(a) = σ(-a); ONNX couples f = 1 - i
            f, g, o = np.split(array, 3)
            array = np.concatenate([-f, np.full_like(f, 7), g, o])
        return reordered(array, order)

    feeds = {
        "X": given["x"],
        "W": np.stack([rows("weight_ih", s) for s in suffixes]),
        "R": np.stack([rows("weight_hh", s) for s in suffixes]),
        "B": np.stack([np.concatenate([rows("bias_ih", s), rows("bias_hh", s)]) for s in suffixes]),
        "": None,  # sequence_lens
        "h0": given["h0"],
    }
    if kind == "LSTM":
        feeds["c0"] = given["c0"]
    if config["cell"] == "PeepholeLSTMCell":
        feeds["P"] = np.stack(
            [np.concatenate([given[f"weight_c{g}{s}"] for g in "iof"]) for s in suffixes]
        )
    direction = "bidirectional" if config["bidirectional"] else "forward"
    model = onnx_model(
        kind,
        list(feeds),
        given["x"].dtype,
        hidden_size=HIDDEN,
        direction=direction,
        **attributes,
    )
    del feeds[""]
    if config["oracle"] == "onnx.reference":
        from onnx.reference import ReferenceEvaluator

        output, *finals = ReferenceEvaluator(model).run(None, feeds)
    else:
        import onnxruntime

        session = onnxruntime.InferenceSession(model.SerializeToString())
        output, *finals = session.run(None, feeds)
    output = output.transpose(0, 2, 1, 3).reshape(STEPS, BATCH, -1)
    return {"output": output, **dict(zip(("h_n", "c_n"), finals, strict=False))}


# Keras


def keras_layer(config: dict[str, Any], given: Arrays) -> Arrays:
    """Output, final states and gradients of Keras' GRU or LSTM."""
    import keras
    import torch

    kind = config["keras"]
    order, options = KERAS_GATES[kind], config["options"]
    layer = getattr(keras.layers, kind)(
        HIDDEN, return_sequences=True, return_state=True, dtype="float64", **options
    )
    leaves = {
        n: torch.tensor(given[n], requires_grad=True) for n in ("x", "h0", "c0") if n in given
    }
    layer.build((BATCH, STEPS, FEATURES))
    biases = [reordered(given[f"bias_{part}_l0"], order) for part in ("ih", "hh")]
    two = options.get("reset_after", False)
    weights = [reordered(given[f"weight_{part}_l0"], order).T for part in ("ih", "hh")]
    layer.set_weights([*weights, np.stack(biases) if two else sum(biases)])
    starts = [leaves[n][0] for n in ("h0", "c0") if n in leaves]
    output, *finals = layer(leaves["x"].transpose(0, 1), initial_state=starts)
    results = {"output": output.transpose(0, 1)}
    results.update({n: f[None] for n, f in zip(("h_n", "c_n"), finals, strict=False)})
    sum((r * torch.tensor(given[f"g_{n}"])).sum() for n, r in results.items()).backward()
    grads = [v.value.grad.numpy() for v in layer.trainable_variables]
    bias = grads[2] if two else [grads[2]] * 2
    found = {n: r.detach().numpy() for n, r in results.items()}
    found.update({f"d_{n}": leaf.grad.numpy() for n, leaf in leaves.items()})
    for part, gradient, of_bias in zip(("ih", "hh"), grads[:2], bias, strict=True):
        found[f"d_weight_{part}_l0"] = reordered(gradient.T, inverse(order))
        found[f"d_bias_{part}_l0"] = reordered(of_bias, inverse(order))
    return found


# PyTorch


def torch_layer_norm(given: Arrays) -> Arrays:
    """The layer-normalised LSTM with PyTorch's layer_norm; the loop is here."""
    import torch

    p = {n: torch.tensor(a, requires_grad=not n.startswith("g_")) for n, a in given.items()}

    def normalised(a: Any, part: str) -> Any:
        gain, bias = p[f"gain_{part}_l0"], p[f"bias_{part}_l0"]
        return torch.nn.functional.layer_norm(a, gain.shape, gain, bias, eps=1e-5)

    h, c, outputs = p["h0"][0], p["c0"][0], []
    for x in p["x"]:
        a = normalised(x @ p["weight_ih_l0"].T, "ih") + normalised(h @ p["weight_hh_l0"].T, "hh")
        i, f, g, o = torch.chunk(a, 4, dim=-1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(normalised(c, "c"))
        outputs.append(h)
    results = {"output": torch.stack(outputs), "h_n": h[None], "c_n": c[None]}
    sum((r * p[f"g_{n}"]).sum() for n, r in results.items()).backward()
    found = {n: r.detach().numpy() for n, r in results.items()}
    return {**found, **{f"d_{n}": t.grad.numpy() for n, t in p.items() if t.requires_grad}}


# The cases


def drawn(cell: str, rng: np.random.Generator, bidirectional: bool, gradients: bool) -> Arrays:
    """Inputs, states and parameters, under the names that the layer of `cell` has here."""
    import tinygrad_rnn as tg

    make = getattr(tg.rnn, cell, None) or getattr(tg.nn, cell)
    layer = tg.rnn.Recurrent(make, FEATURES, HIDDEN, bidirectional=bidirectional)
    shapes = {n: p.shape for n, p in layer.named_parameters()}
    directions = 1 + bidirectional
    shapes["x"] = (STEPS, BATCH, FEATURES)
    shapes["h0"] = (directions, BATCH, HIDDEN)
    if "LSTM" in cell:
        shapes["c0"] = shapes["h0"]
    if gradients:
        shapes["g_output"] = (STEPS, BATCH, directions * HIDDEN)
        shapes.update({f"g_{n[0]}_n": shapes[n] for n in ("h0", "c0") if n in shapes})
    return {n: rng.normal(size=shape) for n, shape in shapes.items()}


def rounded(given: Arrays) -> Arrays:
    return {n: a.astype(np.float32) for n, a in given.items()}


def main() -> None:
    import keras
    import onnx as onnx_package
    import onnxruntime

    rng = np.random.default_rng(30)
    made: list[Case] = []

    def with_onnx(
        oracle: str, cell: str, kind: str, options: dict[str, Any], both: bool, **attributes: Any
    ) -> None:
        config = {
            "oracle": oracle, "cell": cell, "onnx": kind, "bidirectional": both,
            "options": options, "single": oracle == "onnxruntime",
        }  # fmt: skip
        given = drawn(cell, rng, both, gradients=False)
        if config["single"]:
            given = rounded(given)
        made.append((config, given, onnx(config, given, **attributes)))

    for both in (False, True):
        with_onnx("onnx.reference", "PeepholeLSTMCell", "LSTM", {}, both)
        for after in (False, True):
            with_onnx(
                "onnx.reference", "GRUCell", "GRU", {"reset_after": after}, both,
                linear_before_reset=int(after),
            )  # fmt: skip
        with_onnx("onnxruntime", "CoupledLSTMCell", "LSTM", {}, both, input_forget=1)
        functions = ["HardSigmoid", "Softsign", "Softsign"] * (1 + both)
        named = {"recurrent_activation": "hard_sigmoid x/5 + 1/2", "activation": "softsign"}
        with_onnx("onnxruntime", "PeepholeLSTMCell", "LSTM", named, both, activations=functions)
        with_onnx(
            "onnxruntime", "GRUCell", "GRU", {"reset_after": False, **named}, both,
            activations=functions[:2] * (1 + both),
        )  # fmt: skip
        for function in ("Relu", "Sigmoid", "Softsign", "Softplus"):
            with_onnx(
                "onnxruntime", "RNNCell", "RNN", {"nonlinearity": function.lower()}, both,
                activations=[function] * (1 + both),
            )  # fmt: skip
    with_onnx(
        "onnx.reference", "RNNCell", "RNN", {"nonlinearity": "x/4 + 1/8"}, False,
        activations=["Affine"], activation_alpha=[0.25], activation_beta=[0.125],
    )  # fmt: skip

    for kind, options in (
        ("GRU", {"reset_after": False}),
        ("GRU", {"reset_after": True}),
        ("GRU", {"reset_after": True, "activation": "softsign", "recurrent_activation": "tanh"}),
        ("LSTM", {"activation": "softsign", "recurrent_activation": "elu"}),
        ("LSTM", {"activation": "relu", "recurrent_activation": "tanh"}),
        ("LSTM", {"activation": "linear", "recurrent_activation": "sigmoid"}),
    ):
        config = {
            "oracle": "keras", "cell": f"{kind}Cell", "keras": kind, "bidirectional": False,
            "options": options, "single": not options.get("reset_after", True),
        }  # fmt: skip
        given = drawn(f"{kind}Cell", rng, False, gradients=True)
        made.append((config, given, keras_layer(config, given)))
    given = drawn("LayerNormLSTMCell", rng, False, gradients=True)
    config = {
        "oracle": "torch", "cell": "LayerNormLSTMCell", "bidirectional": False, "options": {},
        "single": False,
    }  # fmt: skip
    made.append((config, given, torch_layer_norm(given)))

    as_float64 = [
        (c, *({n: np.asarray(a, np.float64) for n, a in arrays.items()} for arrays in both))
        for c, *both in made
    ]
    save(NAME, as_float64)
    path = FOLDER / f"{NAME}.npz"
    with np.load(path) as file:
        contents = dict(file)
    versions = {p.__name__: p.__version__ for p in (onnx_package, onnxruntime, keras)}
    np.savez_compressed(path, **contents, versions=np.array(json.dumps(versions)))


if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = "torch"
    main()
