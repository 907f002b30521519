"""Tenants in the database."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Text, cast, delete, insert, select, update

from likeness.audit.actions import Action
from likeness.audit.trail import note
from likeness.store.sharing.changes import lock_galleries, note_end
from likeness.store.tables import metadata, tenants


@dataclass(frozen=True, slots=True)
class TenantRow:
    """A tenant as stored."""

    id: str
    name: str
    sealed_data_key: bytes
    settings: str
    """JSON that is not parsed yet. One tenant's may be damaged."""


_TENANTS = select(tenants.c.id, tenants.c.name, tenants.c.sealed_data_key, cast(tenants.c.settings, Text))


def add_tenant(connection: Connection, row: TenantRow, *, created_at: float) -> None:
    """Store a new tenant. Raises IntegrityError when its id or name is taken."""
    connection.execute(
        insert(tenants).values(
            id=row.id,
            name=row.name,
            sealed_data_key=row.sealed_data_key,
            settings=json.loads(row.settings),
            created_at=created_at,
        )
    )
    note(connection, Action.TENANT_CREATION, row.id, tenant=row.id)


def set_tenant_settings(connection: Connection, tenant_id: str, settings: dict[str, Any]) -> None:
    """Replace a tenant's settings."""
    connection.execute(update(tenants).where(tenants.c.id == tenant_id).values(settings=settings))
    note(connection, Action.TENANT_CHANGE, tenant_id, tenant=tenant_id)


def erase_tenant(connection: Connection, tenant_id: str) -> None:
    """Delete a tenant's rows in every table. Rows that other rows refer to go last."""
    lock_galleries(connection, [tenant_id])
    note_end(connection, tenant_id)
    for table in reversed(metadata.sorted_tables):
        if "tenant_id" in table.c:
            connection.execute(delete(table).where(table.c.tenant_id == tenant_id))
    connection.execute(delete(tenants).where(tenants.c.id == tenant_id))
    note(connection, Action.TENANT_ERASURE, tenant_id, tenant=tenant_id)


def find_tenant(connection: Connection, *, tenant_id: str | None = None, name: str | None = None) -> TenantRow | None:
    """Give the tenant with this id. Without an id, give the tenant with this name. None when there is none."""
    condition = tenants.c.id == tenant_id if tenant_id is not None else tenants.c.name == name
    row = connection.execute(_TENANTS.where(condition)).one_or_none()
    return TenantRow(*row) if row else None


def all_tenants(connection: Connection) -> list[TenantRow]:
    """Give all tenants, the oldest first."""
    return [TenantRow(*row) for row in connection.execute(_TENANTS.order_by(tenants.c.created_at))]
