"""What PyTorch users look for under `nn.utils`."""

from ...optim import clip_grad_norm_

__all__ = ["clip_grad_norm_"]
