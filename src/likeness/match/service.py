"""The comparison of two photos (1:1)."""

from dataclasses import dataclass

import numpy as np

from likeness.engine.base import Face, Use
from likeness.engine.levels import LEVELS, Calibration
from likeness.engine.portrait import CutPortrait, take_portrait
from likeness.engine.source import PhotoSource
from likeness.engine.subject import rules_of
from likeness.engine.workers import FaceWorkers
from likeness.kit.metrics import Count
from likeness.tenants.service import Tenant

_matches = Count(
    "likeness_matches_total",
    "Comparisons of two photos, by the level that they reach; 0 is below level 1.",
    {"level": map(str, (0, *LEVELS))},
)


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Two faces, the score of their templates (a cosine) and the level that the score reaches (0..5)."""

    source: Face
    target: Face
    score: float
    level: int
    false_match_rate: float


class Matcher:
    """Compares the faces of two photos (1:1)."""

    def __init__(self, faces: FaceWorkers) -> None:
        self._faces = faces
        self.model = faces.engine.pack.identity

    @property
    def calibration(self) -> Calibration:
        """The thresholds of the levels. Raises SetupError if the pack was never calibrated."""
        return self._faces.engine.calibration

    async def compare(
        self, tenant: Tenant, source: bytes, target: bytes, *, source_is: PhotoSource | None = None
    ) -> Comparison:
        """Compare the faces of two photos. ``source_is`` says what the first one is.

        Raises what :meth:`Engine.analyse` raises.
        """
        policy = tenant.settings.face_policy
        rules = rules_of(source_is, Use.ID_PHOTO, policy), (Use.PROBE, policy)
        faces = await self._faces.analyse_both(source, target, rules=rules)
        calibration = self.calibration
        score = float(np.dot(faces[0].template, faces[1].template))
        level = calibration.level(score)
        _matches.add(str(level))
        return Comparison(*faces, score, level, calibration.false_match_rate(level))

    async def take_portrait(self, tenant: Tenant, photo: bytes, *, source: PhotoSource | None) -> CutPortrait:
        """Cut the portrait of a document's photo. Raises what :meth:`Engine.locate` raises."""
        _, policy = rules_of(source, Use.ID_PHOTO, tenant.settings.face_policy)
        return await self._faces.executor.run(take_portrait, self._faces.engine, photo, policy=policy)
