"""The library's own exceptions. Each derives from the built-in one that NumPy would raise."""

from .core.errors import (
    DtypeError,
    GradientMismatch,
    GraphError,
    RuleError,
    ShapeError,
    UnsupportedOperation,
)

__all__ = [
    "DtypeError",
    "GradientMismatch",
    "GraphError",
    "RuleError",
    "ShapeError",
    "UnsupportedOperation",
]
