"""The comparison of a photo with another photo, or with an enrolled person (1:1)."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from likeness.engine.base import Face, Template, Use
from likeness.engine.levels import LEVELS, Calibration
from likeness.engine.packs.identity import PackIdentity
from likeness.engine.portrait import CutPortrait
from likeness.engine.source import PhotoSource
from likeness.engine.subject import rules_of
from likeness.engine.workers import FaceWorkers
from likeness.kit.metrics import Count
from likeness.tenants.service import Tenant

_matches = Count(
    "likeness_matches_total",
    "Comparisons 1:1, by the level that they reach; 0 is below level 1.",
    {"level": map(str, (0, *LEVELS))},
)


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """The score of two templates (a cosine), the level that it reaches (0..5), and the pack of the templates."""

    faces: tuple[Face, ...]
    """The face of each photo that was compared: one or two."""
    score: float
    level: int
    false_match_rate: float
    model: PackIdentity


class References(Protocol):
    """The templates of the enrolled persons."""

    async def of(self, tenant: Tenant, entry_id: str) -> tuple[FaceWorkers, Template]:
        """Give the template of one of the tenant's entries, and the workers of its pack.

        Raises NotFound, ServiceUnavailable.
        """


class Matcher:
    """Compares the face of a photo with that of another photo, or with an enrolled person (1:1)."""

    def __init__(self, faces: FaceWorkers, references: References) -> None:
        self._faces = faces
        self._references = references
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
        return _compare(self._faces, faces, faces[0].template, faces[1].template)

    async def compare_enrolled(
        self, tenant: Tenant, source: bytes, entry_id: str, *, source_is: PhotoSource | None = None
    ) -> Comparison:
        """Compare the face of a photo with one of the tenant's entries, by the entry's pack.

        Raises NotFound, ServiceUnavailable, and what :meth:`Engine.analyse` raises.
        """
        workers, template = await self._references.of(tenant, entry_id)
        use, policy = rules_of(source_is, Use.ID_PHOTO, tenant.settings.face_policy)
        face = await workers.analyse(source, use=use, policy=policy)
        return _compare(workers, (face,), face.template, template)

    async def take_portrait(self, tenant: Tenant, photo: bytes, *, source: PhotoSource | None) -> CutPortrait:
        """Cut the portrait of a document's photo. Raises what :meth:`Engine.locate` raises."""
        _, policy = rules_of(source, Use.ID_PHOTO, tenant.settings.face_policy)
        return await self._faces.portrait(photo, policy=policy)


def _compare(workers: FaceWorkers, faces: tuple[Face, ...], source: Template, target: Template) -> Comparison:
    calibration = workers.engine.calibration
    score = float(np.dot(source, target))
    level = calibration.level(score)
    _matches.add(str(level))
    return Comparison(faces, score, level, calibration.false_match_rate(level), workers.engine.pack.identity)
