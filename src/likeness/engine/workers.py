"""The engine on a sized executor. Each worker is one thread or process and analyses one photo at a time."""

import asyncio
import time

from likeness.engine.base import Engine, Face, Use
from likeness.engine.policy import FacePolicy
from likeness.engine.processes import PhotoProcesses
from likeness.kit.admission import PLACE, Place
from likeness.kit.executors import SizedExecutor


class FaceWorkers:
    """The asynchronous analysis of photos for the services."""

    def __init__(self, engine: Engine, executor: SizedExecutor, processes: PhotoProcesses | None = None) -> None:
        """Take an engine and its threads. With ``processes``, a thread waits while a process analyses its photo."""
        self.engine = engine
        self.executor = executor
        self._analyst = processes or engine

    async def analyse(self, photo: bytes, *, use: Use, policy: FacePolicy) -> Face:
        """Analyse a photo as :meth:`Engine.analyse` does. Raises ServiceUnavailable if too many photos wait."""
        return await self.executor.run(self._analyse, photo, use, policy, PLACE.get())

    async def analyse_both(
        self, first: bytes, second: bytes, *, uses: tuple[Use, Use], policy: FacePolicy
    ) -> tuple[Face, Face]:
        """Analyse two photos at the same time. Raises the first photo's error, then the second's."""
        faces = await asyncio.gather(
            self.analyse(first, use=uses[0], policy=policy),
            self.analyse(second, use=uses[1], policy=policy),
            return_exceptions=True,
        )
        # Wait for both before an error is raised, so that no photo is analysed after the end of its request.
        source, target = (_or_raise(face) for face in faces)
        return source, target

    def _analyse(self, photo: bytes, use: Use, policy: FacePolicy, place: Place | None) -> Face:
        began = time.monotonic()
        try:
            return self._analyst.analyse(photo, use=use, policy=policy)
        finally:
            if place:
                place.analysed(time.monotonic() - began)


def _or_raise(face: Face | BaseException) -> Face:
    if isinstance(face, BaseException):
        raise face
    return face
