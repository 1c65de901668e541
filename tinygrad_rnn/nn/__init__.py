"""The face: layers, losses and functions, named as in PyTorch."""

from ..module import Module, Parameter
from ..rnn import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from . import functional, utils
from .layers import Dropout, Embedding, Linear, Sequential
from .losses import CrossEntropyLoss, MSELoss

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "CrossEntropyLoss",
    "Dropout",
    "Embedding",
    "GRUCell",
    "LSTMCell",
    "Linear",
    "MSELoss",
    "Module",
    "Parameter",
    "RNNCell",
    "Sequential",
    "functional",
    "utils",
]
