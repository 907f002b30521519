"""Names for the number types of NumPy arrays."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
"""For networks and images."""
DoubleArray = NDArray[np.float64]
"""For sums of many small terms."""
