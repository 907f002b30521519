"""A still photo of a face in a layout of centimetres, for a head's texture or for a print on paper."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from likeness.engine.alignment import similarity
from likeness.engine.base import Image
from likeness.evaluation.liveness.simulator.surfaces import LANDMARKS_CM
from likeness.kit.arrays import FloatArray

PIXELS_PER_CM = 18.0
LEFT_CM, RIGHT_CM, TOP_CM, BOTTOM_CM = 13.0, 13.0, 15.0, 19.0
"""The extents of a portrait from the point between the eyes."""

WIDTH, HEIGHT = (int((a + b) * PIXELS_PER_CM) for a, b in ((LEFT_CM, RIGHT_CM), (TOP_CM, BOTTOM_CM)))


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A photo resampled to :data:`PIXELS_PER_CM`, with level eyes and the origin between them."""

    pixels: NDArray[np.uint8]
    """(HEIGHT, WIDTH, 3) sRGB."""
    nose_x_cm: float
    nose_y_cm: float
    gloss_map: FloatArray | None = None
    """(HEIGHT, WIDTH) fraction of the screen's light that glasses mirror."""

    @classmethod
    def from_photo(cls, photo: Image, landmarks: NDArray[np.float32], chance: np.random.Generator) -> "Portrait":
        """Lay out a near-frontal photo by its five landmarks (5, 2).

        A small photo is enlarged, sharpened, and given skin grain. It does not contain the detail that a camera would
        resolve at this distance.
        """
        origin = np.array((LEFT_CM, TOP_CM), np.float32)
        placing = similarity(landmarks, (LANDMARKS_CM + origin) * PIXELS_PER_CM)
        nose_x, nose_y = (placing[:, :2] @ landmarks[2] + placing[:, 2]) / PIXELS_PER_CM - origin
        enlarged = float(np.hypot(placing[0, 0], placing[1, 0]))
        if enlarged < 0.7:
            # Averaging first prevents aliasing of a large photo.
            photo = np.asarray(
                cv2.resize(photo, None, fx=enlarged, fy=enlarged, interpolation=cv2.INTER_AREA), np.uint8
            )
            placing[:, :2] /= enlarged
        pixels = cv2.warpAffine(photo, placing, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        values = pixels.astype(np.float32)
        if enlarged > 1.2:
            values += 0.8 * (values - cv2.GaussianBlur(values, (0, 0), 0.8 * enlarged))
            grain = cv2.GaussianBlur(chance.normal(0, 1, (HEIGHT, WIDTH)).astype(np.float32), (0, 0), 1.0)
            values *= (1 + 0.05 * grain / grain.std())[..., None]
        return cls(
            np.clip(values, 0, 255).astype(np.uint8),
            float(np.clip(nose_x, -1.0, 1.0)),
            float(np.clip(nose_y, 3.4, 5.0)),
        )
