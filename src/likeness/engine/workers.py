"""The engine on a sized executor. Each worker is one thread or process and analyses one photo at a time."""

import asyncio
import time

from likeness.engine.analysts.base import Analysts, EnginesHere
from likeness.engine.base import Engine, Face, Template, Use
from likeness.engine.policy import FacePolicy
from likeness.engine.portrait import CutPortrait, take_portrait
from likeness.errors import ErrorCode, LikenessError, LowQuality
from likeness.kit.admission import PLACE, Place
from likeness.kit.executors import SizedExecutor
from likeness.kit.metrics import Count, Times

ACCEPTED = "accepted"
_wait = Times("likeness_wait_seconds", "Time that a photo waits for a worker.")
_analysis = Times("likeness_analysis_seconds", "Time that a worker needs for a photo.")
_photos = Count(
    "likeness_photos_total",
    "Analysed photos, by their use and their outcome: accepted, or the code of the refusal.",
    {
        "use": Use,
        "outcome": (
            ACCEPTED,
            ErrorCode.NO_FACE,
            ErrorCode.MULTIPLE_FACES,
            ErrorCode.LOW_QUALITY,
            ErrorCode.INVALID_IMAGE,
            ErrorCode.UNSUPPORTED_MEDIA_TYPE,
            ErrorCode.UNEXPECTED_ERROR,
        ),
    },
)
_low_quality = Count(
    "likeness_low_quality_total",
    "Photos refused for their quality, by each ISO/IEC 29794-5 measure that is too low. A photo may have several.",
    {"measure": ()},
)


class FaceWorkers:
    """The asynchronous analysis of photos for the services."""

    def __init__(self, engine: Engine, executor: SizedExecutor, analysts: Analysts | None = None) -> None:
        """Take an engine and its threads. With ``analysts``, a thread waits while one of them has its photo."""
        self.engine = engine
        self.executor = executor
        self.analysts = analysts or EnginesHere()
        self._analyst = self.analysts.of(engine)

    def of(self, engine: Engine) -> "FaceWorkers":
        """Give the workers for another engine, on the same threads."""
        return FaceWorkers(engine, self.executor, self.analysts)

    async def analyse(self, photo: bytes, *, use: Use, policy: FacePolicy) -> Face:
        """Analyse a photo as :meth:`Engine.analyse` does. Raises ServiceUnavailable if too many photos wait."""
        return await self.executor.run(self._analyse, photo, use, policy, PLACE.get(), time.monotonic())

    async def embed(self, photo: bytes, *, policy: FacePolicy) -> Template:
        """Embed a photo as ``Analyst.embed``. Raises ServiceUnavailable if too many photos wait."""
        return await self.executor.run(self._analyst.embed, photo, policy=policy)

    async def portrait(self, photo: bytes, *, policy: FacePolicy) -> CutPortrait:
        """Cut a portrait as :func:`take_portrait` does. Raises ServiceUnavailable if too many photos wait."""
        return await self.executor.run(take_portrait, self.engine, photo, policy=policy)

    async def analyse_both(
        self, first: bytes, second: bytes, *, rules: tuple[tuple[Use, FacePolicy], tuple[Use, FacePolicy]]
    ) -> tuple[Face, Face]:
        """Analyse two photos at the same time, each by its rules. Raises the first photo's error, then the second's."""
        (first_use, first_policy), (second_use, second_policy) = rules
        faces = await asyncio.gather(
            self.analyse(first, use=first_use, policy=first_policy),
            self.analyse(second, use=second_use, policy=second_policy),
            return_exceptions=True,
        )
        # Wait for both before an error is raised, so that no photo is analysed after the end of its request.
        source, target = (_or_raise(face) for face in faces)
        return source, target

    def _analyse(self, photo: bytes, use: Use, policy: FacePolicy, place: Place | None, asked_at: float) -> Face:
        began = time.monotonic()
        outcome: str = ErrorCode.UNEXPECTED_ERROR
        try:
            face = self._analyst.analyse(photo, use=use, policy=policy)
            outcome = ACCEPTED
        except LikenessError as error:
            outcome = error.code
            if isinstance(error, LowQuality):
                for measure in error.reasons:
                    _low_quality.add(measure)
            raise
        else:
            return face
        finally:
            seconds = time.monotonic() - began
            if place:
                place.analysed(seconds)
            _wait.add(began - asked_at)
            _analysis.add(seconds)
            _photos.add(use, outcome)


def _or_raise(face: Face | BaseException) -> Face:
    if isinstance(face, BaseException):
        raise face
    return face
