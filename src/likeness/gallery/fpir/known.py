"""The newest measurements of the galleries that searches ask for."""

from likeness.errors import ServiceUnavailable
from likeness.gallery.fpir.measurement import Measurement, MeasurementRepository
from likeness.kit.clock import Clock
from likeness.store.database import Database

FRESH_SECONDS = 15.0
"""How long a search may take a measurement from memory. The operator's command is another process."""


class KnownMeasurements:
    """Reads a gallery's measurement from the database, at most every ``FRESH_SECONDS``."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[str, tuple[float, Measurement | None]] = {}
        """By tenant id, when it was read, and the measurement."""

    async def of(self, tenant_id: str) -> Measurement | None:
        """Give the measurement of a tenant's gallery. The last known one while the database does not answer."""
        now = self._clock.now()
        read_at, known = self._known.get(tenant_id, (None, None))
        if read_at is None or not 0 <= now - read_at < FRESH_SECONDS:
            self._known[tenant_id] = (now, known)  # so that concurrent searches do not read it, too
            try:
                known = await self._database.read(MeasurementRepository(tenant_id).find)
            except ServiceUnavailable:
                return known
            self._known[tenant_id] = (now, known)
        return known
