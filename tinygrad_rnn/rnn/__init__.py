"""Recurrence: cells, the loop over time, and the layers made of them."""

from .cells import Cell, GRUCell, LSTMCell, RNNCell
from .layers import GRU, LSTM, RNN, Recurrent
from .loop import scan
from .program.folded import unrolled
from .program.listing import program
from .states import LSTMState, detach, state_view
from .tracing import Trace, trace
from .truncated import tbptt
from .variants import CoupledLSTMCell, IndRNNCell, LayerNormLSTMCell, MGUCell, PeepholeLSTMCell
from .wrappers import RecurrentDropout, Residual, Wrapper, Zoneout

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Cell",
    "CoupledLSTMCell",
    "GRUCell",
    "IndRNNCell",
    "LSTMCell",
    "LSTMState",
    "LayerNormLSTMCell",
    "MGUCell",
    "PeepholeLSTMCell",
    "RNNCell",
    "Recurrent",
    "RecurrentDropout",
    "Residual",
    "Trace",
    "Wrapper",
    "Zoneout",
    "detach",
    "program",
    "scan",
    "state_view",
    "tbptt",
    "trace",
    "unrolled",
]
