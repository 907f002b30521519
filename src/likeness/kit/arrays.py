"""Names for the number types of NumPy arrays."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
"""What networks and pictures are computed in."""
DoubleArray = NDArray[np.float64]
"""What sums of many small terms are computed in."""
