"""Clients in the database."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from likeness.store.tables import clients


@dataclass(frozen=True, slots=True)
class ClientRow:
    """A client as stored. Only a hash of its secret is kept."""

    id: str
    tenant_id: str
    name: str
    secret_hash: str
    scopes: tuple[str, ...]
    disabled: bool


def _client(row: Row[Any]) -> ClientRow:
    return ClientRow(row.id, row.tenant_id, row.name, row.secret_hash, tuple(row.scopes), row.disabled_at is not None)


def add_client(connection: Connection, row: ClientRow, *, created_at: float) -> None:
    """Store a new client."""
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
    """Give a client, also a disabled one, or None."""
    row = connection.execute(select(clients).where(clients.c.id == client_id)).one_or_none()
    return _client(row) if row else None


def clients_of(connection: Connection, tenant_id: str) -> list[ClientRow]:
    """Give a tenant's clients, the oldest first. Disabled clients are among them."""
    query = select(clients).where(clients.c.tenant_id == tenant_id).order_by(clients.c.created_at)
    return [_client(row) for row in connection.execute(query)]


def disable_client(connection: Connection, client_id: str, *, now: float) -> bool:
    """Disable a client. False when there is no such client, or it is disabled already."""
    change = update(clients).where(clients.c.id == client_id, clients.c.disabled_at.is_(None)).values(disabled_at=now)
    return connection.execute(change).rowcount == 1


def replace_secret_hash(connection: Connection, client_id: str, secret_hash: str) -> bool:
    """Replace the hash of a client's secret. False when there is no such client."""
    return (
        connection.execute(update(clients).where(clients.c.id == client_id).values(secret_hash=secret_hash)).rowcount
        == 1
    )
