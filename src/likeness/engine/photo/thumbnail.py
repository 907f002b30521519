"""Small pictures of faces for HTML pages."""

import base64
import io

import cv2
import numpy as np
from PIL import Image as Pillow

from likeness.engine.base import Box, Image

SIDE_PIXELS = 112
_MARGIN = 1.35
"""Side of the square, as a multiple of the longer side of the face's box."""


def face_thumbnail(image: Image, box: Box) -> str:
    """Return the square around a face as a data URL. Outside the photo, its edge is repeated."""
    return _data_url(_cut(image, box))


def _cut(image: Image, box: Box) -> Image:
    side = max(box.width, box.height) * _MARGIN
    left, top = box.x + box.width / 2 - side / 2, box.y + box.height / 2 - side / 2
    scale = SIDE_PIXELS / max(side, 1.0)
    matrix = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])
    cut = cv2.warpAffine(
        image, matrix, (SIDE_PIXELS, SIDE_PIXELS), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(cut, np.uint8)


def _data_url(image: Image) -> str:
    stored = io.BytesIO()
    Pillow.fromarray(image).save(stored, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(stored.getvalue()).decode()}"
