"""Turning of a photo by eighths of a circle, and the way back for the faces found on the turned photo."""

import math

import cv2
import numpy as np

from likeness.engine.base import Box, Detection, Image
from likeness.engine.photo.resampling import Matrix, warp

_QUARTERS = {2: cv2.ROTATE_90_COUNTERCLOCKWISE, 4: cv2.ROTATE_180, 6: cv2.ROTATE_90_CLOCKWISE}


def turn(image: Image, eighths: int) -> tuple[Image, Matrix]:
    """Turn a photo anticlockwise by 1 to 7 eighths of a circle, onto a canvas that contains the whole photo.

    Returns the canvas and the (2, 3) matrix from its pixels back to the photo's.
    """
    height, width = image.shape[:2]
    rotation = _rotation(eighths)
    wide, high = (round(extent) for extent in np.abs(rotation) @ (width, height))
    middle, new_middle = np.array([width - 1, height - 1]) / 2, np.array([wide - 1, high - 1]) / 2
    back = np.hstack([rotation.T, (middle - rotation.T @ new_middle)[:, None]])
    if eighths in _QUARTERS:
        return np.asarray(cv2.rotate(image, _QUARTERS[eighths]), np.uint8), back
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(image, back, (wide, high), flags=flags), np.uint8), back


def turned_part(image: Image, centre: tuple[float, float], extent: float, eighths: int, *, side: int) -> Image:
    """Return the square of ``extent`` pixels around a place, turned anticlockwise, as ``side`` x ``side`` pixels."""
    rotation = _rotation(eighths) * (side / extent)
    matrix = np.hstack([rotation, ((side - 1) / 2 - rotation @ np.array(centre))[:, None]])
    part = np.zeros((side, side, 3), np.uint8)
    warp(image, matrix, part)
    return part


def _rotation(eighths: int) -> Matrix:
    """Return the (2, 2) matrix from directions in the photo to directions on the turned canvas."""
    angle = eighths * math.pi / 4
    return np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])


def turn_back(face: Detection, back: Matrix) -> Detection:
    """Return a face on a turned canvas in the photo's coordinates.

    Its new box is the bounding box of the ellipse that fills the old box.
    """
    landmarks = face.landmarks.astype(np.float64) @ back[:, :2].T + back[:, 2]
    box = face.box
    # Box edges are between pixels, but landmarks and the matrix count from the middles of pixels.
    centre = back[:, :2] @ (box.x + box.width / 2 - 0.5, box.y + box.height / 2 - 0.5) + back[:, 2] + 0.5
    half_width, half_height = np.hypot(back[:, 0] * box.width / 2, back[:, 1] * box.height / 2).tolist()
    return Detection(
        Box(float(centre[0]) - half_width, float(centre[1]) - half_height, 2 * half_width, 2 * half_height),
        landmarks.astype(np.float32),
        face.confidence,
    )
