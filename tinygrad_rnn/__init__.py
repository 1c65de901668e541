"""tinygrad_rnn: reverse-mode autodiff on NumPy, and recurrent networks on top.

>>> import numpy as np, tinygrad_rnn as tg
>>> W = tg.Tensor(np.eye(2), requires_grad=True)
>>> h = np.tanh(np.dot(W, np.array([1.0, 2.0])))
>>> h.sum().backward()
>>> W.grad.shape
(2, 2)
"""

from . import data, errors, io, keras, linalg, nn, ops, optim, plots, rnn, train
from .checking import gradcheck, gradgradcheck
from .core.context import detect_anomaly, enable_grad, no_grad, scope
from .core.primitive import Array, primitive
from .core.random import manual_seed
from .core.recording import record
from .derivatives import grad, hessian, jacobian, jvp, value_and_grad, vjp
from .drawing import Graph, draw, graph
from .inventory import summary
from .io import load, save
from .ops import *
from .recomputation import checkpoint
from .tensor import Tensor, as_tensor, asarray, named
from .train import fit, generate

__version__ = "0.1.0"
