"""A tenant's own records, newest first, page by page."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from likeness.audit.records import TrailRecord
from likeness.store.database import Database
from likeness.store.tables import audit_records

_SKIPPED_BITS = 20


@dataclass(frozen=True, slots=True)
class TrailPlace:
    """A place between two records: all later records and ``skipped`` ones of this millisecond are before it."""

    milliseconds: int
    skipped: int

    @classmethod
    def of(cls, position: int) -> "TrailPlace":
        return cls(position >> _SKIPPED_BITS, position & ((1 << _SKIPPED_BITS) - 1))

    @property
    def position(self) -> int:
        """The place as one number, for a cursor."""
        return self.milliseconds << _SKIPPED_BITS | self.skipped


@dataclass(frozen=True, slots=True)
class TrailPage:
    """Some records, and the position after them, or None after the oldest."""

    records: list[TrailRecord]
    next: int | None


class TrailReader:
    """Reads the trail for its tenants."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, tenant_id: str, *, position: int | None, limit: int) -> TrailPage:
        """Give a tenant's records before a position, the newest first."""
        place = None if position is None else TrailPlace.of(position)
        rows = await self._database.read(lambda c: _newest(c, tenant_id, place, limit + 1))
        shown = rows[:limit]
        return TrailPage(shown, _after(shown, place).position if len(rows) > limit else None)


def records_about(connection: Connection, tenant_id: str, object_id: str) -> list[TrailRecord]:
    """Give a tenant's records whose object is an id, the oldest first."""
    rows = audit_records.c
    query = select(*rows).where(rows.tenant == tenant_id, rows.object == object_id)
    return [TrailRecord(*row) for row in connection.execute(query.order_by(rows.time, rows.strand, rows.number))]


def _newest(connection: Connection, tenant_id: str, place: TrailPlace | None, limit: int) -> list[TrailRecord]:
    rows = audit_records.c
    query = select(*rows).where(rows.tenant == tenant_id)
    if place is not None:
        query = query.where(rows.time <= place.milliseconds / 1000).offset(place.skipped)
    order = rows.time.desc(), rows.strand, rows.number.desc()
    return [TrailRecord(*row) for row in connection.execute(query.order_by(*order).limit(limit))]


def _after(shown: list[TrailRecord], place: TrailPlace | None) -> TrailPlace:
    last = round(shown[-1].time * 1000)
    same = sum(round(record.time * 1000) == last for record in shown)
    before = place.skipped if place is not None and place.milliseconds == last else 0
    return TrailPlace(last, before + same)
