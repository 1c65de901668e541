from . import nn, optim, rnn
from .core.context import enable_grad, no_grad, scope
from .core.random import manual_seed
from .derivatives import grad
from .ops import *
from .tensor import Tensor, as_tensor, asarray
