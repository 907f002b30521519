"""Measurement of the levels for bad photos: the comparisons of a data set after treatments of its photos.

A level's promise applies to every photo that is accepted. Bad photos resemble each other, so the most important
comparison is that of two photos with the same treatment. Comparisons of a treated photo with good ones show its effect
in a gallery of good photos.
"""

import hashlib
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from likeness.engine.analysts.base import FaceAnalyst
from likeness.engine.base import Engine, Face, Image, Use
from likeness.engine.levels import TARGET_FMR
from likeness.engine.photo.resampling import shrink
from likeness.engine.policy import FacePolicy
from likeness.errors import BadRequest, FaceRefused, SetupError, UnsupportedMediaType
from likeness.evaluation.data_set import DataSet
from likeness.evaluation.recognition import treatments
from likeness.evaluation.recognition.comparison import People, TemplateRows, count_errors, count_errors_between
from likeness.evaluation.recognition.extraction import Progress, analyse
from likeness.evaluation.recognition.outcomes import ExtractedFace, ExtractionOutcome, FailureToAcquire
from likeness.evaluation.recognition.performance import LevelRates, level_rates
from likeness.evaluation.recognition.rates import Rate, genuine_rate
from likeness.evaluation.recognition.template_cache import TemplateCache
from likeness.evaluation.recognition.treatments import AS_IT_IS, Treatment

PHOTOS = 650
"""The usual number of photos. They give 200,000 comparisons of different people for each treatment."""
IN_DOUBT = 2.0
"""A level holds if the lower end of the 95 % interval of its false match rate is at most this multiple of the promise.
"""
_LONGEST_SHORTER_SIDE = 640
"""Larger photos are made smaller first, because no network here uses more pixels of a portrait."""
_JPEG_QUALITY = 95


@dataclass(frozen=True, slots=True)
class RefusedPhotos:
    """The number of photos that a quality measure refuses, and of those that no other measure refuses."""

    photos: int
    alone: int


@dataclass(frozen=True, slots=True)
class ConditionRates:
    """The rates of photos after one treatment."""

    condition: str
    photos: int
    failure_to_acquire: Rate
    failures: Mapping[str, int]
    """The number of failures by code and, for LOW_QUALITY, by its worst reason."""
    refusals: Mapping[str, "RefusedPhotos"]
    """The refusals by quality measure, the measure with most of them first."""
    alike: tuple[LevelRates, ...]
    """The rates of two treated photos."""
    against_clean: tuple[LevelRates, ...]
    """The rates of a treated photo and other photos without treatment."""

    def holds(self, level: int) -> bool:
        """Whether the level's promise holds for two photos with this treatment."""
        return self.alike[level - 1].fmr.low <= IN_DOUBT * TARGET_FMR[level - 1]


@dataclass(frozen=True, slots=True, eq=False)
class Conditions:
    """The outcomes of chosen photos of a data set under each treatment."""

    data_set: DataSet
    photos: tuple[int, ...]
    outcomes: Mapping[str, tuple[ExtractionOutcome, ...]]
    """The outcomes by treatment, each in the order of ``photos``."""

    def templates_under(self, condition: str) -> tuple[TemplateRows, People]:
        """Return the (rows, people) of the photos that are not refused after a treatment."""
        rows, places = _templates(self.outcomes[condition])
        return rows, self.person_of[places]

    @property
    def person_of(self) -> People:
        """The person of each of ``photos``."""
        return np.array([self.data_set.person_of[index] for index in self.photos], np.int64)


def choose_photos(data_set: DataSet, most: int) -> tuple[int, ...]:
    """Choose at most ``most`` photos at random, but the same photos each time.

    It takes people with at least two photos first, and two photos of each of them.
    """
    of_person: dict[int, list[int]] = {}
    for index, person in enumerate(data_set.person_of):
        of_person.setdefault(person, []).append(index)
    by_chance = sorted(
        of_person.values(), key=lambda own: (len(own) < 2, zlib.crc32(str(data_set.photos[own[0]]).encode()))
    )
    return tuple(index for own in by_chance for index in own[:2])[:most]


@dataclass(frozen=True, slots=True)
class Analysis:
    """The analysis of every photo: an engine, a use and a policy. ``analyst`` may analyse in the engine's place."""

    engine: Engine
    use: Use = Use.PROBE
    policy: FacePolicy = FacePolicy.LARGEST
    analyst: FaceAnalyst | None = None


def extract_conditions(
    analysis: Analysis,
    data_set: DataSet,
    *,
    photos: Sequence[int],
    table: Mapping[str, Treatment] = treatments.TREATMENTS,
    workers: int = 1,
    cache: TemplateCache | None = None,
    progress: Progress = lambda _done, _total: None,
) -> Conditions:
    """Treat and analyse the photos. Photos that are refused without treatment are left out.

    Raises SetupError if a file cannot be read, or if too few photos are accepted without treatment.
    """

    def look_at(index: int) -> dict[str, ExtractionOutcome]:
        path = data_set.folder / data_set.photos[index]
        try:
            photo = path.read_bytes()
        except OSError as error:
            raise SetupError(f"{path} cannot be read: {error}") from error
        subject = _Subject(analysis, photo, str(data_set.photos[index]))

        def treated(name: str) -> ExtractionOutcome:
            key = photo + f"\n{name}\n{digest}".encode()
            known = cache.get(key) if cache is not None else None
            outcome = known or subject.treated(name, table[name])
            if cache is not None:
                cache.put(key, outcome)
            return outcome

        plain = treated(AS_IT_IS)
        if isinstance(plain, FailureToAcquire):
            return {}
        return {AS_IT_IS: plain} | {name: treated(name) for name in table if name != AS_IT_IS}

    digest = _treatments_digest()
    rows: list[tuple[int, dict[str, ExtractionOutcome]]] = []
    with ThreadPoolExecutor(workers, thread_name_prefix="likeness-conditions") as pool:
        try:
            for done, (index, found) in enumerate(zip(photos, pool.map(look_at, photos), strict=True), start=1):
                if found:
                    rows.append((index, found))
                progress(done, len(photos))
        finally:
            pool.shutdown(cancel_futures=True)
            if cache is not None:
                cache.save()
    if len({data_set.person_of[index] for index, _ in rows}) < 2:
        raise SetupError("Too few photos give a template without treatment, so treated photos cannot be compared.")
    return Conditions(
        data_set,
        tuple(index for index, _ in rows),
        {name: tuple(found[name] for _, found in rows) for name in table},
    )


def measure_conditions(conditions: Conditions, thresholds: Sequence[float]) -> tuple[ConditionRates, ...]:
    """Compute the rates of each treatment at the thresholds of levels 1 to 5."""
    person_of = conditions.person_of
    clean, clean_places = _templates(conditions.outcomes[AS_IT_IS])
    measured = []
    for name, outcomes in conditions.outcomes.items():
        rows, places = _templates(outcomes)
        rows = rows if len(rows) else clean[:0]
        people = person_of[places]
        against = count_errors_between(
            rows, clean, people, person_of[clean_places], places[:, None] == clean_places[None, :], thresholds
        )
        measured.append(
            ConditionRates(
                name,
                len(outcomes),
                _failure_rate(outcomes, person_of),
                dict(
                    Counter(
                        _named(outcome) for outcome in outcomes if isinstance(outcome, FailureToAcquire)
                    ).most_common()
                ),
                _refusals(outcomes),
                level_rates(count_errors(rows, people, thresholds), thresholds),
                level_rates(against, thresholds),
            )
        )
    return tuple(measured)


class _Subject:
    """One photo. Its face is detected only when a treatment needs its place."""

    def __init__(self, analysis: Analysis, photo: bytes, name: str) -> None:
        engine, use, policy = analysis.engine, analysis.use, analysis.policy
        self._engine, self._photo, self._name = engine, photo, name
        analyst = analysis.analyst or engine
        self._analyse = partial(analyse, analyst, use=use, policy=policy)
        self._look = partial(analyst.analyse, use=use, policy=policy)
        self._locate = partial(engine.locate, policy=policy)
        self._measure = partial(engine.measure, use=use)
        self._found: tuple[Image, Face] | None = None

    def treated(self, name: str, treatment: Treatment) -> ExtractionOutcome:
        try:
            image, face = self._found = self._found or self._find()
        except (BadRequest, FaceRefused, UnsupportedMediaType):
            return self._analyse(photo=self._photo)
        chance = np.random.default_rng(zlib.crc32(f"{self._name}\n{name}".encode()))
        return self._with_all_reasons(_stored(treatment(image, face.detection.landmarks, chance)))

    def _with_all_reasons(self, photo: bytes) -> ExtractionOutcome:
        """Analyse a photo. A refusal names the measures of the recogniser, too, which the service does not ask then."""
        outcome = self._analyse(photo=photo)
        if isinstance(outcome, FailureToAcquire) and outcome.reasons:
            subject = self._locate(photo)
            return replace(outcome, reasons=self._measure(subject.image, subject.detection).reasons)
        return outcome

    def _find(self) -> tuple[Image, Face]:
        whole = self._engine.decode(self._photo)
        image = shrink(whole, min(_LONGEST_SHORTER_SIDE / min(whole.shape[:2]), 1.0))
        return image, self._look(_stored(image))


def _stored(image: Image) -> bytes:
    _, stored = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return stored.tobytes()


def _templates(outcomes: Sequence[ExtractionOutcome]) -> tuple[TemplateRows, NDArray[np.int64]]:
    found = [(place, outcome.template) for place, outcome in enumerate(outcomes) if isinstance(outcome, ExtractedFace)]
    if not found:
        return np.empty((0, 1), np.float32), np.empty(0, np.int64)
    places, templates = zip(*found, strict=True)
    return np.stack(templates), np.array(places, np.int64)


def _failure_rate(outcomes: Sequence[ExtractionOutcome], person_of: People) -> Rate:
    failed = np.array([isinstance(outcome, FailureToAcquire) for outcome in outcomes], np.bool_)
    count = int(person_of.max()) + 1
    return genuine_rate(np.bincount(person_of[failed], minlength=count), np.bincount(person_of, minlength=count))


def _refusals(outcomes: Sequence[ExtractionOutcome]) -> dict[str, RefusedPhotos]:
    reasons = [outcome.reasons for outcome in outcomes if isinstance(outcome, FailureToAcquire)]
    alone = Counter(one[0] for one in reasons if len(one) == 1)
    every = Counter(chain.from_iterable(reasons))
    return {name: RefusedPhotos(photos, alone[name]) for name, photos in every.most_common()}


def _named(failure: FailureToAcquire) -> str:
    return ": ".join((failure.code, *failure.reasons[:1]))


def _treatments_digest() -> str:
    """Return a digest of the treatments' code, so that cached outcomes of an older version are not used."""
    code = (Path(file).read_bytes() for file in (treatments.__file__, __file__))
    return hashlib.sha256(b"".join(code)).hexdigest()[:16]
