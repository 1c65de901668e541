"""Callbacks: what is told of a training as it goes, and may change it."""

from .callback import Callback
from .callback_list import CallbackList
from .checkpoint import ModelCheckpoint
from .functions import LambdaCallback
from .history import CSVLogger, History
from .progress import ProgbarLogger
from .rates import LearningRateScheduler, ReduceLROnPlateau
from .stopping import EarlyStopping, TerminateOnNaN

__all__ = [
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
]
