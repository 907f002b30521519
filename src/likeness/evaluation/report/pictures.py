"""Small pictures of the worst pairs. They show the reader whether the error is the engine's or the data set's."""

from collections.abc import Iterable
from dataclasses import dataclass

from likeness.engine.base import Engine
from likeness.engine.photo.thumbnail import face_thumbnail
from likeness.evaluation.recognition.comparison import ScoredPair
from likeness.evaluation.recognition.extraction import Extraction


@dataclass(frozen=True, slots=True)
class PicturedPair:
    """A pair with its score, and a caption and a data URL for each of the two photos."""

    score: float
    captions: tuple[str, str]
    pictures: tuple[str, str]


def picture_pairs(engine: Engine, extraction: Extraction, pairs: Iterable[ScoredPair]) -> list[PicturedPair]:
    """Cut both faces of each pair from their photos."""
    samples = list(extraction.samples.items())
    data_set = extraction.data_set
    shown = []
    for pair in pairs:
        captions, pictures = [], []
        for row in (pair.first, pair.second):
            index, sample = samples[row]
            image = engine.decode((data_set.folder / data_set.photos[index]).read_bytes())
            captions.append(data_set.photos[index].stem)
            pictures.append(face_thumbnail(image, sample.box))
        shown.append(PicturedPair(pair.score, (captions[0], captions[1]), (pictures[0], pictures[1])))
    return shown
