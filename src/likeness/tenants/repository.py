"""Tenants in the database."""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from likeness.audit.actions import Action
from likeness.audit.trail import note
from likeness.store.authentic.rows import row_key_of
from likeness.store.sharing.changes import lock_galleries, note_end
from likeness.store.tables import data_keys, metadata, tenants
from likeness.tenants.register import STORED, change_tenant, parsed, register_anew


@dataclass(frozen=True, slots=True)
class TenantRow:
    """A tenant as stored."""

    id: str
    name: str
    settings: str
    """JSON that is not parsed yet. One tenant's may be damaged."""
    data_keys: Mapping[int, bytes] = field(repr=False)
    """The wrapped data keys by number."""
    authentic: bool = True
    """Whether Likeness wrote the row so."""


_TENANTS = select(*STORED)


def add_tenant(connection: Connection, row: TenantRow, *, created_at: float) -> None:
    """Store a new tenant. Raises IntegrityError when its id or name is taken."""
    values = {"id": row.id, "name": row.name, "settings": json.loads(row.settings), "register": {}}
    values |= {"created_at": created_at, "changed_at": created_at}
    connection.execute(insert(tenants).values(**values, mac=row_key_of(connection).mac(tenants, values)))
    for number, sealed in row.data_keys.items():
        add_data_key(connection, row.id, number, sealed, created_at=created_at)
    note(connection, Action.TENANT_CREATION, row.id, tenant=row.id)


def set_tenant_settings(connection: Connection, tenant_id: str, settings: dict[str, Any], *, now: float) -> None:
    """Replace a tenant's settings. A row that was altered is authentic from then on, with the clients that are."""
    row = connection.execute(_TENANTS.where(tenants.c.id == tenant_id).with_for_update()).one_or_none()
    if row is None:
        return
    values = parsed(connection, row)
    if values is None:
        names = ("id", "name", "created_at")
        values = {name: getattr(row, name) for name in names} | {"register": register_anew(connection, tenant_id)}
    change_tenant(connection, {**values, "settings": settings}, now=now)
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
    return _tenant(connection, row, data_keys_of(connection, row.id)) if row else None


def all_tenants(connection: Connection) -> list[TenantRow]:
    """Give all tenants, the oldest first."""
    keys: defaultdict[str, dict[int, bytes]] = defaultdict(dict)
    for tenant_id, number, sealed in connection.execute(select(*_DATA_KEY)):
        keys[tenant_id][number] = sealed
    rows = connection.execute(_TENANTS.order_by(tenants.c.created_at))
    return [_tenant(connection, row, keys[row.id]) for row in rows]


def _tenant(connection: Connection, row: Any, keys: Mapping[int, bytes]) -> TenantRow:
    return TenantRow(row.id, row.name, row.settings, keys, authentic=parsed(connection, row) is not None)


_DATA_KEY = data_keys.c.tenant_id, data_keys.c.number, data_keys.c.sealed_key


def data_keys_of(connection: Connection, tenant_id: str) -> dict[int, bytes]:
    """Give a tenant's wrapped data keys by number."""
    rows = connection.execute(select(*_DATA_KEY).where(data_keys.c.tenant_id == tenant_id))
    return {number: sealed for _, number, sealed in rows}


def add_data_key(connection: Connection, tenant_id: str, number: int, sealed: bytes, *, created_at: float) -> None:
    """Store a new data key of a tenant. Raises IntegrityError when there is one of this number."""
    values = {"tenant_id": tenant_id, "number": number, "sealed_key": sealed, "created_at": created_at}
    connection.execute(insert(data_keys).values(values))
