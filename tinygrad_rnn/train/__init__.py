"""The training loop, its history, and texts of a model's own."""

from .evaluation import evaluate
from .generation import generate, probabilities, stream
from .history import History
from .loop import fit
from .watching import Watcher

__all__ = ["History", "Watcher", "evaluate", "fit", "generate", "probabilities", "stream"]
