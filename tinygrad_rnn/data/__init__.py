"""From texts, series and samples to batches: vocabularies, windows, padding, splits, big files."""

from .batching import Batches, batches
from .padding import pad
from .position import Resumable
from .splitting import split
from .textfile import TextFile
from .vocabulary import Vocabulary
from .windows import Window, Windows, batchify, sliding_windows

__all__ = [
    "Batches",
    "Resumable",
    "TextFile",
    "Vocabulary",
    "Window",
    "Windows",
    "batches",
    "batchify",
    "pad",
    "sliding_windows",
    "split",
]
