"""The false match rates that a gallery's own entries showed, as the operator measured them.

Each entry was searched for among the others (``likeness gallery fpir``). What that showed holds for the pack and the
calibration of then, and for a gallery of about the same size.
"""

import hashlib

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import Connection, delete, insert, select

from likeness.audit.actions import Action
from likeness.audit.trail import note
from likeness.engine.levels import Calibration
from likeness.engine.packs.identity import PackIdentity
from likeness.gallery.fpir.curve import RateCurve, RatePoint
from likeness.store.tables import gallery_fpir

FARTHEST = 10
"""A gallery may have grown or shrunk by this factor since the measurement."""


class Measurement(BaseModel):
    """What the searches of a gallery among itself showed."""

    model_config = ConfigDict(frozen=True)

    pack: PackIdentity
    calibration: str
    """The digest of the calibration that was in force."""
    entries: int
    searches: int
    measured_at: float
    points: tuple[tuple[float, float], ...]
    """(false match rate per comparison, threshold), by rising threshold."""

    def curve(self, pack: PackIdentity, calibration: Calibration, *, size: int) -> RateCurve | None:
        """Give the rates for a gallery of ``size`` entries, or None when the measurement is of another situation."""
        same = self.pack == pack and self.calibration == calibration_digest(calibration)
        near = self.entries / FARTHEST <= size <= self.entries * FARTHEST
        if not (same and near and self.points):
            return None
        return RateCurve.of(calibration).joined(tuple(RatePoint(*point) for point in self.points))


def calibration_digest(calibration: Calibration) -> str:
    """Name a calibration by its thresholds and rates."""
    return hashlib.sha256(repr((calibration.thresholds, calibration.measured_fmr)).encode()).hexdigest()[:16]


class MeasurementRepository:
    """The measurement of one tenant's gallery in the database. There is one at most."""

    def __init__(self, tenant_id: str) -> None:
        self._tenant_id = tenant_id
        self._mine = gallery_fpir.c.tenant_id == tenant_id

    def find(self, connection: Connection) -> Measurement | None:
        """Give the measurement. None when there is none, or when another version wrote it."""
        stored = connection.execute(select(gallery_fpir.c.measurement).where(self._mine)).scalar_one_or_none()
        try:
            return Measurement.model_validate(stored) if stored else None
        except ValidationError:
            return None

    def record(self, connection: Connection, measurement: Measurement | None) -> None:
        """Replace the measurement. None removes it."""
        connection.execute(delete(gallery_fpir).where(self._mine))
        if measurement:
            values = {"tenant_id": self._tenant_id, "measurement": measurement.model_dump(mode="json")}
            connection.execute(insert(gallery_fpir).values(values))
        note(connection, Action.TENANT_CHANGE, self._tenant_id, tenant=self._tenant_id)
