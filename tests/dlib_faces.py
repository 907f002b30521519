"""dlib's own weights, and the faces on which its answers are stored."""

import importlib.metadata
from pathlib import Path

import numpy as np

VECTORS = Path(__file__).parent / "engine" / "conversion" / "dlib_vectors.npz"
_WEIGHTS = "face_recognition_models/models/dlib_face_recognition_resnet_model_v1.dat"


def weights_file() -> Path:
    return Path(str(importlib.metadata.distribution("face-recognition-models").locate_file(_WEIGHTS)))


def chips() -> np.ndarray:
    """Give the stored face and what is painted beside it: (4, 150, 150, 3) uint8."""
    with np.load(VECTORS) as stored:
        return with_patterns(stored["face"])


def with_patterns(face: np.ndarray) -> np.ndarray:
    rows, columns = np.mgrid[:150, :150]
    waves = [127 + 60 * np.sin(rows / (7 + channel)) + 60 * np.cos(columns / (11 - channel)) for channel in range(3)]
    checks = [((rows // 15 + columns // (20 + channel)) % 2) * 200 + 20 for channel in range(3)]
    return np.stack([face, face[:, ::-1], *(np.dstack(pattern).astype(np.uint8) for pattern in (waves, checks))])
