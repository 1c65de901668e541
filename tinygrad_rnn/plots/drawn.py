"""What every picture is handed back as."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

_DOTS_PER_INCH = 110


@dataclass(frozen=True)
class Drawn:
    """A figure and the arrays that it shows. It shows itself in a notebook.

    Attributes:
        figure: a `matplotlib.figure.Figure`.
        arrays: what is drawn, by name.
    """

    figure: Any = field(repr=False)
    arrays: dict[str, np.ndarray]

    def save(self, path: str | os.PathLike[str], dpi: int = _DOTS_PER_INCH) -> Path:
        """Writes the figure as the kind of file that the suffix says: .png, .svg, .pdf.

        Raises:
            ValueError: for an unknown suffix.
            OSError: if the file can't be written.
        """
        self.figure.savefig(path, dpi=dpi)
        return Path(path)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name!r}: {array.shape}" for name, array in self.arrays.items())
        return f"Drawn({shapes})"

    def _repr_png_(self) -> bytes:
        made = io.BytesIO()
        self.figure.savefig(made, format="png", dpi=_DOTS_PER_INCH)
        return made.getvalue()
