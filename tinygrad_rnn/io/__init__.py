"""Files of weights and checkpoints, and PyTorch's files read without PyTorch."""

from .checkpoints import load_checkpoint, save_checkpoint
from .pytorch import read_pytorch
from .weights import Weights, load, save

__all__ = ["Weights", "load", "load_checkpoint", "read_pytorch", "save", "save_checkpoint"]
