"""Extraction of templates from photos, with the same analysis as in the service, several photos at a time."""

import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median

import numpy as np

from likeness.engine.analysts.base import FaceAnalyst
from likeness.engine.base import Use
from likeness.engine.policy import FacePolicy
from likeness.errors import BadRequest, FaceRefused, LowQuality, SetupError, UnsupportedMediaType
from likeness.evaluation.data_set import DataSet
from likeness.evaluation.recognition.comparison import People, TemplateRows
from likeness.evaluation.recognition.outcomes import ExtractedFace, ExtractionOutcome, FailureToAcquire
from likeness.evaluation.recognition.template_cache import TemplateCache

Progress = Callable[[int, int], None]
"""Takes (photos done, photos in all)."""


@dataclass(frozen=True, slots=True, eq=False)
class Extraction:
    """The outcome of every photo of a data set, in its order."""

    data_set: DataSet
    outcomes: tuple[ExtractionOutcome, ...]
    seconds: tuple[float | None, ...] = ()
    """The time of each photo's analysis; None for a photo from a cache. Empty if it was not measured."""

    @property
    def samples(self) -> Mapping[int, ExtractedFace]:
        """The photos that gave a template, by their index in the data set, ascending."""
        return {index: outcome for index, outcome in enumerate(self.outcomes) if isinstance(outcome, ExtractedFace)}

    @property
    def failures(self) -> Mapping[int, FailureToAcquire]:
        """The photos that gave no template, by their index in the data set, ascending."""
        return {index: outcome for index, outcome in enumerate(self.outcomes) if isinstance(outcome, FailureToAcquire)}

    @property
    def rows(self) -> TemplateRows:
        """The templates, one row for each of ``samples``."""
        templates = [sample.template for sample in self.samples.values()]
        return np.stack(templates) if templates else np.empty((0, 1), np.float32)

    @property
    def people(self) -> People:
        """The person of each row."""
        return np.array([self.data_set.person_of[index] for index in self.samples], np.int64)

    def templates_of(self, photos: Collection[int]) -> tuple[TemplateRows, People]:
        """Return the (rows, people) of some photos of the data set, without those that gave no template."""
        chosen = np.isin(np.fromiter(self.samples, np.int64), np.fromiter(photos, np.int64))
        return self.rows[chosen], self.people[chosen]

    def median_seconds(self, photos: Collection[int]) -> float | None:
        """Return the median time of some photos' analysis, or None if it was measured for none of them."""
        known = [seconds for index in photos if self.seconds and (seconds := self.seconds[index]) is not None]
        return median(known) if known else None


def extract(
    analyst: FaceAnalyst,
    data_set: DataSet,
    *,
    use: Use = Use.PROBE,
    policy: FacePolicy = FacePolicy.LARGEST,
    workers: int = 1,
    cache: TemplateCache | None = None,
    progress: Progress = lambda _done, _total: None,
) -> Extraction:
    """Analyse every photo. A photo that the service would refuse becomes a FailureToAcquire.

    Photos in ``cache`` are not analysed again, and the other outcomes are added to it. Raises SetupError if a file
    cannot be read.
    """

    def look_at(index: int) -> tuple[ExtractionOutcome, float | None]:
        path = data_set.folder / data_set.photos[index]
        try:
            photo = path.read_bytes()
        except OSError as error:
            raise SetupError(f"{path} cannot be read: {error}") from error
        known = cache.get(photo) if cache is not None else None
        if known is not None:
            return known, None
        started = time.perf_counter()
        outcome = analyse(analyst, photo, use, policy)
        seconds = time.perf_counter() - started
        if cache is not None:
            cache.put(photo, outcome)
        return outcome, seconds

    outcomes: list[ExtractionOutcome] = []
    times: list[float | None] = []
    with ThreadPoolExecutor(workers, thread_name_prefix="likeness-extract") as pool:
        try:
            for outcome, seconds in pool.map(look_at, range(len(data_set.photos))):
                outcomes.append(outcome)
                times.append(seconds)
                progress(len(outcomes), len(data_set.photos))
        finally:
            pool.shutdown(cancel_futures=True)
            if cache is not None:
                cache.save()
    return Extraction(data_set, tuple(outcomes), tuple(times))


def analyse(analyst: FaceAnalyst, photo: bytes, use: Use, policy: FacePolicy) -> ExtractionOutcome:
    """Analyse one photo. A photo that the service would refuse becomes a FailureToAcquire."""
    try:
        face = analyst.analyse(photo, use=use, policy=policy)
    except LowQuality as error:
        return FailureToAcquire(error.code, tuple(error.reasons))
    except (BadRequest, FaceRefused, UnsupportedMediaType) as error:
        return FailureToAcquire(error.code)
    return ExtractedFace(face.template, face.quality.score, face.detection.box)
