"""Makes pytorch_*.pt with PyTorch, and pytorch_files.npz with the numbers in them:
``python tests/golden/make_pt.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent


def made() -> dict[str, Any]:
    """What is saved, by the name of the file."""
    import torch

    torch.manual_seed(20)
    lstm = torch.nn.LSTM(2, 3)
    optimizer = torch.optim.Adam(lstm.parameters(), lr=0.1)
    lstm(torch.ones(2, 2))[0].sum().backward()
    optimizer.step()
    base = torch.arange(12.0).reshape(3, 4)
    floats = ("float16", "float32", "float64", "bfloat16")
    numbers = (*floats, "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
    return {
        "lstm": lstm.state_dict(),
        "nested": {
            "model": lstm.state_dict(),
            "optimizer": optimizer.state_dict(),
            "epoch": 3,
            "best": [0.1, None, True, "가장 좋은", 2**70, -1, 70000],
            "size": torch.Size([3, 4]),
            "names": ("a", (), {"b": []}),
        },
        "dtypes": {
            **{name: torch.tensor([0, 1, 3], dtype=getattr(torch, name)) for name in numbers},
            "bool": torch.tensor([True, False]),
            "negative": torch.tensor([-1.5, float("inf"), 3e38], dtype=torch.bfloat16),
            "scalar": torch.tensor(2.5),
            "empty": torch.zeros(0, 3),
        },
        "views": {
            "base": base,
            "rows": base[1:],
            "transposed": base.T,
            "columns": base[:, 1::2],
            "element": base[2, 3],
            "expanded": base[:, :1].expand(3, 5),
            "none": base[1:1],
            "parameter": torch.nn.Parameter(base.T),
            "halves": base.to(torch.bfloat16).T,
        },
    }


def numbers(value: Any, name: str) -> dict[str, np.ndarray]:
    """The tensors in `value` as arrays, by where they stand."""
    if isinstance(value, dict):
        return {k: a for n, v in value.items() for k, a in numbers(v, f"{name}/{n}").items()}
    if not hasattr(value, "detach"):
        return {}
    tensor = value.detach()
    return {name: (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()}


def main() -> None:
    import torch

    expected = {}
    for name, value in made().items():
        torch.save(value, FOLDER / f"pytorch_{name}.pt")
        expected.update(numbers(value, name))
    np.savez_compressed(FOLDER / "pytorch_files.npz", made_by=torch.__version__, **expected)


if __name__ == "__main__":
    main()
