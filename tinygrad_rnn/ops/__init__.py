"""The operations, by kind. Each is a plain-NumPy forward with its derivative rules beneath it."""

from . import decompositions as decompositions
from .activations import *
from .arithmetic import *
from .contraction import *
from .elementwise import *
from .indexing import *
from .normalisation import *
from .products import *
from .reductions import *
from .regularisation import *
from .shape import *
