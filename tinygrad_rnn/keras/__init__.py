"""Keras' words for the same layers, optimizers and training loop.

    from tinygrad_rnn.keras.models import Sequential
    from tinygrad_rnn.keras.layers import SimpleRNN, Embedding

>>> from tinygrad_rnn import keras
>>> model = keras.Sequential([keras.layers.Embedding(10000, 32), keras.layers.SimpleRNN(32)])
>>> model.count_params()
322080
"""

from . import (
    activations,
    callbacks,
    config,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    models,
    ops,
    optimizers,
    preprocessing,
    regularizers,
    utils,
)
from .layers import Input, Layer
from .models import Model, Sequential
from .variable import Variable

__all__ = [
    "Input",
    "Layer",
    "Model",
    "Sequential",
    "Variable",
    "activations",
    "callbacks",
    "config",
    "constraints",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "preprocessing",
    "regularizers",
    "utils",
]
