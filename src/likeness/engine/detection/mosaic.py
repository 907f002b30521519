"""One picture of many, so that a network looks at all of them in one call."""

from collections.abc import Sequence

import numpy as np

from likeness.engine.base import Image
from likeness.engine.detection.boxes import Rows


def mosaic(images: Sequence[Image], *, least: int) -> tuple[Image, Rows]:
    """Lay images out beside and below each other, none wider than the first; give the whole and each one's (left, top, right, bottom).

    They start at even pixels: what a network that halves its input says within one is what it says of that one alone.
    The whole is at least ``least`` pixels wide and high, and black where there is no image.
    """
    height, width = (max(extent, least) for extent in images[0].shape[:2])
    places, shelves = [], [[0, 0, height]]  # a shelf: how far it is filled, its top, its bottom
    for image in images:
        rows, columns = image.shape[:2]
        shelf = next((each for each in shelves if each[0] + columns <= width and each[1] + rows <= each[2]), None)
        if shelf is None:
            top = _even(shelves[-1][2])
            shelves.append(shelf := [0, top, top + rows])
        left, top, _ = shelf
        places.append((left, top, left + columns, top + rows))
        shelf[0] = _even(left + columns)
    canvas = np.zeros((shelves[-1][2], width, 3), np.uint8)
    for image, (left, top, right, bottom) in zip(images, places, strict=True):
        canvas[top:bottom, left:right] = image
    return canvas, np.array(places, np.float32)


def _even(position: int) -> int:
    return position + position % 2
