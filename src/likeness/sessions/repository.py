"""Face sessions in the database.

A session that has ended stays ended, because every change requires the state before it.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, tuple_, update

from likeness.audit.trail import note_sweep
from likeness.engine.packs.identity import PackIdentity
from likeness.sessions.states import UNDER_WAY, SessionState
from likeness.store.tables import face_sessions


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session as stored. Times are seconds since the Unix epoch."""

    id: str
    tenant_id: str
    client_id: str
    state: str
    options: dict[str, Any]
    pack: PackIdentity
    sealed_template: bytes | None
    failures: list[str]
    device_digest: str | None
    created_at: float
    expires_at: float


_COLUMNS = tuple(face_sessions.c[name] for name in SessionRow.__dataclass_fields__)
_UNDER_WAY = face_sessions.c.state.in_(UNDER_WAY)


def add_session(connection: Connection, row: SessionRow) -> None:
    """Store a new session."""
    connection.execute(
        insert(face_sessions).values({name: getattr(row, name) for name in SessionRow.__dataclass_fields__})
    )


def find_session(connection: Connection, session_id: str) -> SessionRow | None:
    """Give a session, also one that has ended. None if there is none."""
    return _row(connection.execute(select(*_COLUMNS).where(face_sessions.c.id == session_id)).one_or_none())


def begin_attempt(connection: Connection, session_id: str, *, device_digest: str, now: float) -> bool:
    """Let a device make the next attempt. Give False if the session has ended."""
    alive = (face_sessions.c.id == session_id) & _UNDER_WAY & (face_sessions.c.expires_at > now)
    change = update(face_sessions).where(alive).values(state=SessionState.CAPTURING, device_digest=device_digest)
    return connection.execute(change).rowcount == 1


def add_failure(connection: Connection, session_id: str, failure: str, *, nth: int | None) -> list[str] | None:
    """Record a failed attempt, the ``nth`` at most once.

    Give all failures so far, or None if the session has ended.
    """
    row = find_session(connection, session_id)
    if row is None or row.state not in UNDER_WAY:
        return None
    if nth is not None and len(row.failures) >= nth:
        return list(row.failures)
    failures = [*row.failures, failure]
    connection.execute(update(face_sessions).where(face_sessions.c.id == session_id).values(failures=failures))
    return failures


def end_session(connection: Connection, session_id: str, state: SessionState) -> bool:
    """End a session and delete the ID photo's template. Give False if it had ended before."""
    change = update(face_sessions).where(face_sessions.c.id == session_id, _UNDER_WAY)
    return connection.execute(change.values(state=state, sealed_template=None)).rowcount == 1


def overdue_sessions(connection: Connection, *, now: float, after: SessionRow | None, limit: int) -> list[SessionRow]:
    """Give expired sessions that have not ended, the oldest first.

    ``after`` is the last one of the previous page.
    """
    place = tuple_(face_sessions.c.expires_at, face_sessions.c.id)
    query = select(*_COLUMNS).where(face_sessions.c.expires_at <= now, _UNDER_WAY)
    if after is not None:
        query = query.where(place > (after.expires_at, after.id))
    rows = connection.execute(query.order_by(face_sessions.c.expires_at, face_sessions.c.id).limit(limit))
    return [SessionRow(*row) for row in rows]


def remove_ended(connection: Connection, *, now: float) -> None:
    """Delete sessions that have ended and have expired."""
    over = delete(face_sessions).where(face_sessions.c.expires_at <= now, ~_UNDER_WAY)
    note_sweep(connection, "sessions", connection.execute(over).rowcount)


def remove_session(connection: Connection, tenant_id: str, session_id: str) -> None:
    """Delete a tenant's session, if it exists."""
    mine = (face_sessions.c.tenant_id == tenant_id) & (face_sessions.c.id == session_id)
    connection.execute(delete(face_sessions).where(mine))


def _row(row: Row[*tuple[Any, ...]] | None) -> SessionRow | None:
    return SessionRow(*row) if row else None
