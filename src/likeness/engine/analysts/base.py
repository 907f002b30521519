"""The interface of those who analyse photos."""

from typing import Protocol

from likeness.engine.base import Engine, Face, Template, Use
from likeness.engine.policy import FacePolicy


class FaceAnalyst(Protocol):
    """Analyses photos with one pack. An engine is one, too. Every method blocks and is thread-safe."""

    def analyse(self, photo: bytes, *, use: Use, policy: FacePolicy) -> Face:
        """Analyse a photo as :meth:`Engine.analyse` does, and raise the same errors.

        Raises UnexpectedError if a process that analyses it fails. Raises ServiceUnavailable if none can be reached.
        """


class Analyst(FaceAnalyst, Protocol):
    """A ``FaceAnalyst`` that also gives a template alone."""

    def embed(self, photo: bytes, *, policy: FacePolicy) -> Template:
        """Give the template of a stored photo's subject, of any quality, found as the analysis finds it.

        Raises the errors of :meth:`Engine.locate`, and those of ``analyse``.
        """


class EngineHere:
    """An ``Analyst`` that is an engine in this process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def analyse(self, photo: bytes, *, use: Use, policy: FacePolicy) -> Face:
        return self._engine.analyse(photo, use=use, policy=policy)

    def embed(self, photo: bytes, *, policy: FacePolicy) -> Template:
        subject = self._engine.locate(photo, policy=policy)
        template: Template = self._engine.embed(subject.image, [subject.detection])[0]
        return template


class Analysts(Protocol):
    """Where the photos of this process are analysed, for any pack."""

    def of(self, engine: Engine) -> Analyst:
        """Give who analyses photos with an engine's pack."""

    def ids(self) -> list[int]:
        """Return the system's ids of this process's own processes for photos."""


class EnginesHere:
    """Photos are analysed on the threads that ask."""

    def of(self, engine: Engine) -> Analyst:
        return EngineHere(engine)

    def ids(self) -> list[int]:
        return []
