"""Face sessions in the database.

A session that has ended stays ended, because every change requires the state before it. The same holds for an attempt:
a change by its server requires that it is still the one in progress. So what another server has counted, stays counted.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, or_, select, tuple_, update

from likeness.audit.trail import note_sweep
from likeness.engine.packs.identity import PackIdentity
from likeness.sessions.schemas import SessionOptions
from likeness.sessions.states import UNDER_WAY, AttemptFailure, SessionState
from likeness.store.authentic.rows import row_key_of
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
    attempt_id: str | None = None
    attempt_until: float | None = None
    mac: bytes | None = field(default=None, repr=False)

    @property
    def is_under_way(self) -> bool:
        """Whether it has not ended. Its time may be over."""
        return self.state in UNDER_WAY


@dataclass(frozen=True, slots=True)
class Claimant:
    """A device, or another server for it, that wants the attempt of a session."""

    device_digest: str
    now: float
    alone: bool
    """Whether no other server can have an attempt in progress."""

    def may_end(self, row: SessionRow) -> bool:
        """Whether the attempt in progress is over: its own device left it, or its server says nothing more."""
        mine = row.device_digest == self.device_digest
        return row.attempt_id is not None and (mine or self.alone or (row.attempt_until or 0.0) <= self.now)


_COLUMNS = tuple(face_sessions.c[name] for name in SessionRow.__dataclass_fields__)
_NO_ATTEMPT: Final[dict[str, Any]] = {"attempt_id": None, "attempt_until": None}
_UNDER_WAY = face_sessions.c.state.in_(UNDER_WAY)
LOST_SECONDS = 86_400.0
"""How long after its end a session is deleted that nobody could end, because its row was altered."""


def add_session(connection: Connection, row: SessionRow) -> None:
    """Store a new session."""
    values = _values(row)
    values["mac"] = row_key_of(connection).mac(face_sessions, values)
    connection.execute(insert(face_sessions).values(values))


def find_session(connection: Connection, session_id: str, *, lock: bool = False) -> SessionRow | None:
    """Give a session, also one that has ended. None if there is none, or its row was altered.

    With ``lock`` no other transaction changes it until this one ends.
    """
    query = select(*_COLUMNS).where(face_sessions.c.id == session_id)
    found = _authentic(connection, connection.execute(query.with_for_update() if lock else query))
    return found[0] if found else None


def find_sessions(connection: Connection, ids: Collection[str]) -> dict[str, SessionRow]:
    """Give those of these sessions that exist and were not altered, by id."""
    rows = connection.execute(select(*_COLUMNS).where(face_sessions.c.id.in_(ids)))
    return {row.id: row for row in _authentic(connection, rows)}


def newest_sessions(connection: Connection, tenant_id: str, *, most: int) -> list[SessionRow]:
    """Give a tenant's sessions, the newest first, also those that have ended, but not those that were altered.

    At most ``most``.
    """
    order = face_sessions.c.created_at.desc(), face_sessions.c.id
    query = select(*_COLUMNS).where(face_sessions.c.tenant_id == tenant_id).order_by(*order).limit(most)
    return _authentic(connection, connection.execute(query))


def begin_attempt(
    connection: Connection, session_id: str, attempt_id: str, claimant: Claimant, *, until: float
) -> SessionRow | None:
    """Let a device make the next attempt, and give the session. Give None if it has ended.

    The attempt has begun if the session names it. Otherwise another one is in progress, or none is left.
    """
    row = find_session(connection, session_id, lock=True)
    if row is None or not row.is_under_way or row.expires_at <= claimant.now:
        return None
    if row.attempt_id == attempt_id:  # the call is repeated
        return row
    row = settle_attempt(connection, row, claimant)
    if row.attempt_id is not None or len(row.failures) >= SessionOptions.stored(row.options).max_attempts:
        return row
    return _changed(
        connection,
        row,
        state=SessionState.CAPTURING,
        device_digest=claimant.device_digest,
        attempt_id=attempt_id,
        attempt_until=until,
    )


def settle_attempt(connection: Connection, row: SessionRow, claimant: Claimant) -> SessionRow:
    """Count an attempt as failed that its device or its server left. Give the session, which is locked, after that."""
    if not row.is_under_way or not claimant.may_end(row):
        return row
    return _changed(connection, row, failures=[*row.failures, AttemptFailure.TIMEOUT], **_NO_ATTEMPT)


def keep_attempts(connection: Connection, attempt_ids: Mapping[str, str], *, until: float) -> None:
    """Say that attempts are still in progress, by their session. Those that another server counted stay counted."""
    mine = face_sessions.c.id.in_(attempt_ids) & face_sessions.c.attempt_id.in_(attempt_ids.values())
    # In one order, so that servers do not wait for each other in a circle.
    locked = select(face_sessions.c.id).where(mine).order_by(face_sessions.c.id).with_for_update()
    ids = connection.execute(locked).scalars().all()
    connection.execute(update(face_sessions).where(face_sessions.c.id.in_(ids), mine).values(attempt_until=until))


def release_attempt(connection: Connection, session_id: str, attempt_id: str) -> None:
    """End an attempt that does not count, because its server stops."""
    row = find_session(connection, session_id, lock=True)
    if row and row.attempt_id == attempt_id:
        _changed(connection, row, **_NO_ATTEMPT)


def add_failure(connection: Connection, session_id: str, failure: str, *, attempt_id: str | None) -> list[str] | None:
    """Count an attempt as failed, at most once.

    Give all failures so far, or None if the session has ended.
    """
    row = find_session(connection, session_id, lock=True)
    if row is None or not row.is_under_way:
        return None
    if row.attempt_id == attempt_id:
        row = _changed(connection, row, failures=[*row.failures, failure], **_NO_ATTEMPT)
    return list(row.failures)


def end_session(connection: Connection, session_id: str, state: SessionState, *, attempt_id: str | None = None) -> bool:
    """End a session and delete the ID photo's template. Give False if it had ended before.

    Also give False if it may not end so: with success only by the attempt in progress, and not by a person while
    another server has an attempt in progress.
    """
    row = find_session(connection, session_id, lock=True)
    if row is None or not row.is_under_way or not _may_end(row, state, attempt_id):
        return False
    _changed(connection, row, state=state, sealed_template=None, **_NO_ATTEMPT)
    return True


def _may_end(row: SessionRow, state: SessionState, attempt_id: str | None) -> bool:
    match state:
        case SessionState.EXPIRED:
            return True
        case SessionState.SUCCEEDED:
            return row.attempt_id == attempt_id
        case _:
            return row.attempt_id in {None, attempt_id}


def _changed(connection: Connection, row: SessionRow, **values: Any) -> SessionRow:
    values["mac"] = row_key_of(connection).mac(face_sessions, {**_values(row), **values})
    connection.execute(update(face_sessions).where(face_sessions.c.id == row.id).values(values))
    return replace(row, **values)


def overdue_sessions(connection: Connection, *, now: float, after: SessionRow | None, limit: int) -> list[SessionRow]:
    """Give expired sessions that have not ended, the oldest first. Those that were altered are left out.

    ``after`` is the last one of the previous page.
    """
    place = tuple_(face_sessions.c.expires_at, face_sessions.c.id)
    query = select(*_COLUMNS).where(face_sessions.c.expires_at <= now, _UNDER_WAY)
    if after is not None:
        query = query.where(place > (after.expires_at, after.id))
    rows = connection.execute(query.order_by(face_sessions.c.expires_at, face_sessions.c.id).limit(limit))
    return _authentic(connection, rows)


def remove_ended(connection: Connection, *, now: float) -> None:
    """Delete sessions that have ended and have expired, and those that nobody could end."""
    lost = face_sessions.c.expires_at <= now - LOST_SECONDS
    over = delete(face_sessions).where(face_sessions.c.expires_at <= now, or_(~_UNDER_WAY, lost))
    note_sweep(connection, "sessions", connection.execute(over).rowcount)


def remove_session(connection: Connection, tenant_id: str, session_id: str) -> bool:
    """Delete a tenant's session. Give False if there is none."""
    mine = (face_sessions.c.tenant_id == tenant_id) & (face_sessions.c.id == session_id)
    return connection.execute(delete(face_sessions).where(mine)).rowcount > 0


def _authentic(connection: Connection, rows: Iterable[Row[*tuple[Any, ...]]]) -> list[SessionRow]:
    """Give the sessions that Likeness wrote so."""
    key, found = row_key_of(connection), [SessionRow(*row) for row in rows]
    return [row for row in found if key.is_authentic(face_sessions, _values(row), row.mac)]


def _values(row: SessionRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in SessionRow.__dataclass_fields__}
