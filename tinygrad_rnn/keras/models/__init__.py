"""Models: what is compiled, trained and saved."""

from .loading import clone_model, load_model, model_from_json
from .model import Model
from .saving import save_model
from .sequential import Sequential

__all__ = [
    "Model",
    "Sequential",
    "clone_model",
    "load_model",
    "model_from_json",
    "save_model",
]
