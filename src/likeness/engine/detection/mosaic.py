"""A mosaic of many pictures, so that a network processes all of them in one call."""

import math
from collections.abc import Sequence

import numpy as np

from likeness.engine.base import Image
from likeness.engine.detection.boxes import BoxRows


def mosaic(images: Sequence[Image], *, least: int) -> tuple[Image, BoxRows]:
    """Place images beside and below each other on a black canvas. The first image must be the widest.

    Returns the canvas and each image's (left, top, right, bottom). The canvas is at least ``least`` pixels wide and
    high. Images start at even pixels, so that a network that halves its input gives the same results as for each image
    alone.
    """
    height, width = (max(extent, least) for extent in images[0].shape[:2])
    places: list[tuple[int, int, int, int]] = []
    free: list[tuple[int, int, float, float]] = [(0, 0, width, math.inf)]  # free areas, of which one has no lower end
    for image in images:
        rows, columns = image.shape[:2]
        fitting = (room for room in free if room[0] + columns <= room[2] and room[1] + rows <= room[3])
        left, top, right, bottom = room = min(fitting, key=lambda room: room[3])
        # The rest of an area is the part to the right of the image, with its height, and the part below it.
        free[free.index(room)] = (_even(left + columns), top, right, top + rows)
        free.append((left, _even(top + rows), right, bottom))
        places.append((left, top, left + columns, top + rows))
    canvas = np.zeros((max(height, *(bottom for *_, bottom in places)), width, 3), np.uint8)
    for image, (left, top, right, bottom) in zip(images, places, strict=True):
        canvas[top:bottom, left:right] = image
    return canvas, np.array(places, np.float32)


def _even(position: int) -> int:
    return position + position % 2
