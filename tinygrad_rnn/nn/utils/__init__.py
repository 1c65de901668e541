"""What PyTorch users look for under `nn.utils`."""

from ...optim.clipping import clip_grad_norm_, clip_grad_value_
from . import rnn

__all__ = ["clip_grad_norm_", "clip_grad_value_", "rnn"]
