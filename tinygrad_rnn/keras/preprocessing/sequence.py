"""Where Keras 2 had `pad_sequences`."""

from ..utils import pad_sequences

__all__ = ["pad_sequences"]
