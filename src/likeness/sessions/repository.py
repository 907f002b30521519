"""Face sessions in the database."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from likeness.store.tables import face_sessions


@dataclass(frozen=True, slots=True)
class SessionRow:
    id: str
    tenant_id: str
    client_id: str
    state: str
    options: dict[str, Any]
    pack: str
    sealed_template: bytes
    image_id: str | None
    attempts: int
    created_at: float
    expires_at: float


def add_session(connection: Connection, row: SessionRow) -> None:
    connection.execute(
        insert(face_sessions).values({name: getattr(row, name) for name in SessionRow.__dataclass_fields__})
    )


def find_session(connection: Connection, session_id: str, *, now: float) -> SessionRow | None:
    """Give a session that has not expired."""
    columns = [face_sessions.c[name] for name in SessionRow.__dataclass_fields__]
    query = select(*columns).where(face_sessions.c.id == session_id, face_sessions.c.expires_at > now)
    row = connection.execute(query).one_or_none()
    return SessionRow(*row) if row else None


def expired_sessions(connection: Connection, *, now: float, limit: int) -> list[tuple[str, str, str | None]]:
    """Give (id, tenant id, image id) of sessions past their end."""
    query = select(face_sessions.c.id, face_sessions.c.tenant_id, face_sessions.c.image_id).where(
        face_sessions.c.expires_at <= now
    )
    return [(row[0], row[1], row[2]) for row in connection.execute(query.limit(limit))]


def remove_sessions(connection: Connection, ids: list[str]) -> None:
    connection.execute(delete(face_sessions).where(face_sessions.c.id.in_(ids)))
