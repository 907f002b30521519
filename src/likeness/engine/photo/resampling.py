"""Fast reduction of photos, and of turned parts of them, in which every pixel counts."""

import cv2
import numpy as np
from numpy.typing import NDArray

from likeness.engine.base import Image

Matrix = NDArray[np.float64]


def shrink(image: Image, scale: float) -> Image:
    """Resize by ``scale`` <= 1 to at least 1 x 1. Halve by averages as often as possible, then interpolate linearly."""
    width, height = max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1)
    image = _halve(image, int(min(image.shape[1] / width, image.shape[0] / height)).bit_length() - 1)
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def warp(image: Image, matrix: Matrix, target: Image, *, border: tuple[int, int, int] = (0, 0, 0)) -> None:
    """Fill the square ``target`` from the photo. ``matrix`` (2, 3) takes the photo's coordinates to the target's.

    Pixels outside the photo have the colour ``border``.
    """
    side = target.shape[0]
    scale = float(np.sqrt(abs(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0])))
    halvings = int(1 / max(scale, 1e-4)).bit_length() - 1
    if halvings > 0:
        image, matrix = _averaged(image, matrix, side, halvings)
    cv2.warpAffine(image, matrix, (side, side), dst=target, borderMode=cv2.BORDER_CONSTANT, borderValue=border)


def _averaged(image: Image, matrix: Matrix, side: int, halvings: int) -> tuple[Image, Matrix]:
    """Halve the part of the photo that the target shows, because bilinear sampling uses only two pixels each way."""
    factor = 1 << halvings
    corners = (
        np.array([[0, 0, 1], [side, 0, 1], [0, side, 1], [side, side, 1]], np.float64)
        @ cv2.invertAffineTransform(matrix).T
    )
    left, top = (max(int(value) // factor - 2, 0) * factor for value in corners.min(axis=0))
    right, bottom = (int(value) + 2 * factor for value in corners.max(axis=0))
    part = image[top : max(bottom, 0), left : max(right, 0)]
    if min(part.shape[:2]) < factor:
        return image, matrix
    # A pixel of the result covers factor x factor pixels of the photo, and its centre is in their middle.
    coarser = np.hstack(
        [
            matrix[:, :2] * factor,
            matrix[:, 2:]
            + matrix[:, :2] @ np.array([[left], [top]])
            + matrix[:, :2].sum(axis=1, keepdims=True) * (factor - 1) / 2,
        ]
    )
    return _halve(part, halvings), coarser


def _halve(image: Image, times: int) -> Image:
    for _ in range(times):
        height, width = image.shape[0] // 2, image.shape[1] // 2
        image = np.asarray(
            cv2.resize(image[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA), np.uint8
        )
    return image
