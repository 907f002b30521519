"""The decision whether the live person is the one on the ID photo, and the search of the gallery."""

import asyncio
from dataclasses import dataclass

import numpy as np

from likeness.engine.base import Engine, Face, Template
from likeness.gallery.enrolment import EnrolmentRequest
from likeness.gallery.service import GalleryService
from likeness.liveness.base import KeyFrame
from likeness.results.audit_image import write_audit_image
from likeness.results.claims import AuditFrame, OneToN
from likeness.tenants.service import Tenant


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceComparison:
    """The comparison of the best frame with the ID photo."""

    match: bool
    level: int
    false_match_rate: float
    audit: AuditFrame


def compare_with_reference(
    engine: Engine, reference: Template, best: KeyFrame, *, minimum_level: int
) -> ReferenceComparison:
    """Compare the frame with the best quality with the ID photo."""
    calibration = engine.calibration
    level = calibration.level(float(np.dot(reference, best.template)))
    return ReferenceComparison(
        match=level >= minimum_level,
        level=level,
        false_match_rate=calibration.false_match_rate(level),
        audit=AuditFrame(best.image, best.detection),
    )


async def look_up(
    gallery: GalleryService, tenant: Tenant, best: KeyFrame, enrolment: EnrolmentRequest | None
) -> OneToN:
    """Search the gallery for the person in the live frame. With an ``enrolment``, enrol a person who is not found.

    The live frame is searched and enrolled, not the ID photo, because its person was present. Raises the gallery's
    errors, such as TooManyRequests if it is full, and ServiceUnavailable.
    """
    height, width = best.image.shape[:2]
    face = Face(best.detection, best.template, best.quality, (width, height))
    photo = (
        await asyncio.to_thread(write_audit_image, AuditFrame(best.image, best.detection), None) if enrolment else None
    )
    outcome = await gallery.search_face(tenant, face, best.image, photo=photo, enrolment=enrolment)
    return OneToN(outcome.entry_id, outcome.found)
