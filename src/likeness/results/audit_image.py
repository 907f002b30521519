"""The audit image: the frame that decided a session.

It is encoded again as a plain JPEG. Its background can be hidden.
"""

from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from likeness.engine.base import Box, Image
from likeness.results.claims import AuditFrame

JPEG_QUALITY = 92
COARSE_PIXELS = 12
"""Long side of the small picture that becomes the blurred background. No person in it can be recognised."""


class Obfuscation(StrEnum):
    """How the background is hidden. The subject's head never changes."""

    FILLED = "FILLED"
    FILLED_WHITE = "FILLED_WHITE"
    BLURRED = "BLURRED"


def write_audit_image(frame: AuditFrame, obfuscation: Obfuscation | None) -> bytes:
    """Encode the frame as JPEG. Only its pixels are used, so no metadata of the browser remains."""
    image = frame.image
    if obfuscation is not None:
        head = _head_mask(image.shape[:2], frame.detection.box)[:, :, None]
        image = np.where(head, image, _background(image, obfuscation))
    done, encoded = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )
    assert done
    return encoded.tobytes()


def _background(image: Image, obfuscation: Obfuscation) -> Image:
    if obfuscation is Obfuscation.FILLED:
        return np.zeros_like(image)
    if obfuscation is Obfuscation.FILLED_WHITE:
        return np.full_like(image, 255)
    height, width = image.shape[:2]
    scale = COARSE_PIXELS / max(height, width)
    coarse = cv2.resize(
        image, (max(round(width * scale), 1), max(round(height * scale), 1)), interpolation=cv2.INTER_AREA
    )
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def _head_mask(size: tuple[int, int], box: Box) -> NDArray[np.bool_]:
    """Give a mask of ``size`` (height, width): True within an ellipse around the face, hair and chin."""
    mask = np.zeros(size, np.uint8)
    center = (round(box.x + box.width / 2), round(box.y + 0.45 * box.height))
    axes = (round(0.70 * box.width), round(0.80 * box.height))
    cv2.ellipse(mask, center, axes, 0, 0, 360, 1, thickness=-1)
    return mask.astype(bool)
