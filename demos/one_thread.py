"""Imported before NumPy, it has NumPy multiply matrices in one thread.

Matrices as small as the demos' gain little from a second thread, and on a busy computer they lose
much by waiting for it. BLAS reads these variables when NumPy is imported; who sets them is heard.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
