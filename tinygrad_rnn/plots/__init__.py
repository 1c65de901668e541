"""Pictures of what is inside, with matplotlib: ``pip install "tinygrad-rnn[plot]"``.

Each returns a `Drawn`: the figure, and the arrays that it shows.
"""

from .drawn import Drawn
from .gates import gate_activity
from .gradients import gradient_flow
from .input_output import connectivity
from .training import training_curves

__all__ = ["Drawn", "connectivity", "gate_activity", "gradient_flow", "training_curves"]
