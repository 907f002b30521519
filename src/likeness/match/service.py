"""The comparison of two photos (1:1)."""

from dataclasses import dataclass

import numpy as np

from likeness.engine.base import Face, Use
from likeness.engine.levels import LEVELS
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

    async def compare(self, tenant: Tenant, source: bytes, target: bytes) -> Comparison:
        """Compare the faces of two photos. Raises what :meth:`Engine.analyse` raises."""
        faces = await self._faces.analyse_both(
            source, target, uses=(Use.ID_PHOTO, Use.PROBE), policy=tenant.settings.face_policy
        )
        calibration = self._faces.engine.calibration
        score = float(np.dot(faces[0].template, faces[1].template))
        level = calibration.level(score)
        _matches.add(str(level))
        return Comparison(*faces, score, level, calibration.false_match_rate(level))
