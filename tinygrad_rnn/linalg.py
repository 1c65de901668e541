"""Linear algebra: ``tg.linalg.X`` is what ``np.linalg.X`` does on Tensors."""

from .ops.decompositions import (
    cholesky,
    det,
    inv,
    matrix_power,
    multi_dot,
    norm,
    slogdet,
    solve,
)
from .ops.products import cross, matmul, outer, tensordot

__all__ = [
    "cholesky",
    "cross",
    "det",
    "inv",
    "matmul",
    "matrix_power",
    "multi_dot",
    "norm",
    "outer",
    "slogdet",
    "solve",
    "tensordot",
]
