"""Is the live person the one on the ID photo, and perhaps in the gallery?"""

import asyncio
from dataclasses import dataclass

import numpy as np

from likeness.engine.base import Engine, Face, Template
from likeness.gallery.enrolment import EnrolOnce
from likeness.gallery.service import GalleryService
from likeness.liveness.base import KeyFrame
from likeness.results.audit_image import write_audit_image
from likeness.results.claims import AuditFrame, OneToN
from likeness.tenants.service import Tenant


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceComparison:
    """How the best frame compares with the ID photo."""

    match: bool
    level: int
    false_match_rate: float
    audit: AuditFrame


def compare_with_reference(
    engine: Engine, reference: Template, best: KeyFrame, *, minimum_level: int
) -> ReferenceComparison:
    """Compare the frame of the best quality with the ID photo."""
    calibration = engine.calibration
    level = calibration.level(float(np.dot(reference, best.template)))
    return ReferenceComparison(
        match=level >= minimum_level,
        level=level,
        false_match_rate=calibration.false_match_rate(level),
        audit=AuditFrame(best.image, best.detection),
    )


async def look_up(gallery: GalleryService, tenant: Tenant, best: KeyFrame, enrolment: EnrolOnce | None) -> OneToN:
    """Search the gallery for the person in the live frame.

    With an ``enrolment``, enrol with that frame who is not found.

    The live frame, not the ID photo, is searched and enrolled: its person has been seen to be there. Raises what the
    gallery raises: full, not ready.
    """
    height, width = best.image.shape[:2]
    face = Face(best.detection, best.template, best.quality, (width, height))
    photo = (
        await asyncio.to_thread(write_audit_image, AuditFrame(best.image, best.detection), None) if enrolment else None
    )
    outcome = await gallery.search_face(tenant, face, photo, image=best.image, occasion=enrolment)
    return OneToN(outcome.entry_id, outcome.found)
