"""Where Keras 2 had `pad_sequences`."""

from . import sequence

__all__ = ["sequence"]
