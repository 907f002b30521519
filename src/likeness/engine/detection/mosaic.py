"""One picture of many, so that a network looks at all of them in one call."""

import math
from collections.abc import Sequence

import numpy as np

from likeness.engine.base import Image
from likeness.engine.detection.boxes import BoxRows


def mosaic(images: Sequence[Image], *, least: int) -> tuple[Image, BoxRows]:
    """Lay images out beside and below each other, none wider than the first.

    Give the whole and each one's (left, top, right, bottom).

    They start at even pixels: what a network that halves its input says within one is what it says of that one alone.
    The whole is at least ``least`` pixels wide and high, and black where there is no image.
    """
    height, width = (max(extent, least) for extent in images[0].shape[:2])
    places: list[tuple[int, int, int, int]] = []
    free: list[tuple[int, int, float, float]] = [(0, 0, width, math.inf)]  # rooms, of which one has no floor
    for image in images:
        rows, columns = image.shape[:2]
        fitting = (room for room in free if room[0] + columns <= room[2] and room[1] + rows <= room[3])
        left, top, right, bottom = room = min(fitting, key=lambda room: room[3])
        # What is left of a room: to the right of the image, as high as it is; and all that is below.
        free[free.index(room)] = (_even(left + columns), top, right, top + rows)
        free.append((left, _even(top + rows), right, bottom))
        places.append((left, top, left + columns, top + rows))
    canvas = np.zeros((max(height, *(bottom for *_, bottom in places)), width, 3), np.uint8)
    for image, (left, top, right, bottom) in zip(images, places, strict=True):
        canvas[top:bottom, left:right] = image
    return canvas, np.array(places, np.float32)


def _even(position: int) -> int:
    return position + position % 2
