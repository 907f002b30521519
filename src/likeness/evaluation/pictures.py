"""Small pictures of the pairs that went most wrong, so that a reader sees whether the engine or the folder erred."""

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image as Pillow

from likeness.engine.base import Box, Engine, Image
from likeness.evaluation.comparison import ScoredPair
from likeness.evaluation.extraction import Extraction

SIDE_PIXELS = 112
_MARGIN = 1.35
"""Side of the cut square, in sides of the face's box."""


@dataclass(frozen=True, slots=True)
class PicturedPair:
    """A pair to be shown: its score, and for either photo a caption and a data URL."""

    score: float
    captions: tuple[str, str]
    pictures: tuple[str, str]


def picture_pairs(engine: Engine, extraction: Extraction, pairs: Iterable[ScoredPair]) -> list[PicturedPair]:
    """Cut both faces of each pair out of their photos."""
    samples = list(extraction.samples.items())
    data_set = extraction.data_set
    shown = []
    for pair in pairs:
        captions, pictures = [], []
        for row in (pair.first, pair.second):
            index, sample = samples[row]
            image = engine.decode((data_set.folder / data_set.photos[index]).read_bytes())
            captions.append(data_set.photos[index].stem)
            pictures.append(_data_url(_cut(image, sample.box)))
        shown.append(PicturedPair(pair.score, (captions[0], captions[1]), (pictures[0], pictures[1])))
    return shown


def _cut(image: Image, box: Box) -> Image:
    """Cut the square around a face; what lies beyond the photo repeats its edge."""
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
