"""The library's own exceptions. Each derives from the built-in one that NumPy would raise."""

from .core.errors import (
    AnomalyError,
    DtypeError,
    FileFormatError,
    GradientMismatch,
    GraphError,
    NotFoldedWarning,
    RuleError,
    ShapeError,
    UnsupportedOperation,
)

__all__ = [
    "AnomalyError",
    "DtypeError",
    "FileFormatError",
    "GradientMismatch",
    "GraphError",
    "NotFoldedWarning",
    "RuleError",
    "ShapeError",
    "UnsupportedOperation",
]
