"""Counts in the database: a row for each tenant, hour, kind and name."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final, NamedTuple

from sqlalchemy import Connection, delete, select, text

from likeness.store.tables import tenants, usage_counts


class UsageKey(NamedTuple):
    """What is counted. ``hour`` is in hours since the Unix epoch."""

    tenant_id: str
    hour: int
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Amount:
    """How often, and the sum of the times in seconds."""

    count: int
    seconds: float


_ADD: Final = text("""
    INSERT INTO usage_counts AS known (tenant_id, hour, kind, name, count, seconds)
    VALUES (:tenant_id, :hour, :kind, :name, :count, :seconds)
    ON CONFLICT (tenant_id, hour, kind, name) DO UPDATE SET
        count = known.count + excluded.count, seconds = known.seconds + excluded.seconds
""")


def add_usage(connection: Connection, amounts: Mapping[UsageKey, Amount]) -> None:
    """Add counts to those stored. Those of an erased tenant are dropped. One order of rows avoids deadlocks."""
    named = tenants.c.id.in_({key.tenant_id for key in amounts})
    known = set(connection.execute(select(tenants.c.id).where(named)).scalars())
    rows = [key._asdict() | asdict(amounts[key]) for key in sorted(amounts) if key.tenant_id in known]
    if rows:
        connection.execute(_ADD, rows)


def remove_usage(connection: Connection, *, before: int) -> None:
    """Delete the counts of all tenants before an hour."""
    connection.execute(delete(usage_counts).where(usage_counts.c.hour < before))


def usage_of(connection: Connection, tenant_id: str, *, since: int) -> list[tuple[UsageKey, Amount]]:
    """Give a tenant's counts from an hour on, the oldest first."""
    mine = (usage_counts.c.tenant_id == tenant_id) & (usage_counts.c.hour >= since)
    rows = connection.execute(select(*usage_counts.c).where(mine).order_by(usage_counts.c.hour))
    return [(UsageKey(*row[:4]), Amount(*row[4:])) for row in rows]
