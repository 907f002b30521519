"""Tenants and clients in the database."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Text, cast, delete, insert, select, update

from likeness.store.tables import clients, metadata, tenants


@dataclass(frozen=True, slots=True)
class TenantRow:
    id: str
    name: str
    sealed_data_key: bytes
    settings: str
    """As JSON, read by nobody yet: that of one tenant may be damaged."""


@dataclass(frozen=True, slots=True)
class ClientRow:
    id: str
    tenant_id: str
    name: str
    secret_hash: str
    scopes: tuple[str, ...]
    disabled: bool


_TENANTS = select(tenants.c.id, tenants.c.name, tenants.c.sealed_data_key, cast(tenants.c.settings, Text))


def _client(row: Row[Any]) -> ClientRow:
    return ClientRow(row.id, row.tenant_id, row.name, row.secret_hash, tuple(row.scopes), row.disabled_at is not None)


def add_tenant(connection: Connection, row: TenantRow, *, created_at: float) -> None:
    connection.execute(
        insert(tenants).values(
            id=row.id,
            name=row.name,
            sealed_data_key=row.sealed_data_key,
            settings=json.loads(row.settings),
            created_at=created_at,
        )
    )


def set_tenant_settings(connection: Connection, tenant_id: str, settings: dict[str, Any]) -> None:
    connection.execute(update(tenants).where(tenants.c.id == tenant_id).values(settings=settings))


def erase_tenant(connection: Connection, tenant_id: str) -> None:
    """Delete a tenant's rows of every table, those that others refer to last."""
    for table in reversed(metadata.sorted_tables):
        if "tenant_id" in table.c:
            connection.execute(delete(table).where(table.c.tenant_id == tenant_id))
    connection.execute(delete(tenants).where(tenants.c.id == tenant_id))


def find_tenant(connection: Connection, *, tenant_id: str | None = None, name: str | None = None) -> TenantRow | None:
    condition = tenants.c.id == tenant_id if tenant_id is not None else tenants.c.name == name
    row = connection.execute(_TENANTS.where(condition)).one_or_none()
    return TenantRow(*row) if row else None


def list_tenants(connection: Connection) -> list[TenantRow]:
    return [TenantRow(*row) for row in connection.execute(_TENANTS.order_by(tenants.c.created_at))]


def add_client(connection: Connection, row: ClientRow, *, created_at: float) -> None:
    connection.execute(
        insert(clients).values(
            id=row.id,
            tenant_id=row.tenant_id,
            name=row.name,
            secret_hash=row.secret_hash,
            scopes=list(row.scopes),
            created_at=created_at,
        )
    )


def find_client(connection: Connection, client_id: str) -> ClientRow | None:
    row = connection.execute(select(clients).where(clients.c.id == client_id)).one_or_none()
    return _client(row) if row else None


def list_clients(connection: Connection, tenant_id: str) -> list[ClientRow]:
    query = select(clients).where(clients.c.tenant_id == tenant_id).order_by(clients.c.created_at)
    return [_client(row) for row in connection.execute(query)]


def disable_client(connection: Connection, client_id: str, *, now: float) -> bool:
    change = update(clients).where(clients.c.id == client_id, clients.c.disabled_at.is_(None)).values(disabled_at=now)
    return connection.execute(change).rowcount == 1


def replace_secret_hash(connection: Connection, client_id: str, secret_hash: str) -> bool:
    return (
        connection.execute(update(clients).where(clients.c.id == client_id).values(secret_hash=secret_hash)).rowcount
        == 1
    )
