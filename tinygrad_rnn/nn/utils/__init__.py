"""What PyTorch users look for under `nn.utils`."""

from ...optim import clip_grad_norm_
from . import rnn

__all__ = ["clip_grad_norm_", "rnn"]
