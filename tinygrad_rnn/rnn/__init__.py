"""Recurrence: cells, the loop over time, and the layers made of them."""

from .cells import Cell, GRUCell, LSTMCell, LSTMState, RNNCell
from .layers import GRU, LSTM, RNN, Recurrent, detach
from .loop import scan

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Cell",
    "GRUCell",
    "LSTMCell",
    "LSTMState",
    "RNNCell",
    "Recurrent",
    "detach",
    "scan",
]
