"""The operations, by kind. Each is a plain-NumPy forward with its derivative rules beneath it."""

from .arithmetic import *
from .elementwise import *
from .indexing import *
from .linalg import *
from .normalisation import *
from .reductions import *
from .regularisation import *
from .shape import *
