"""Results and audit images in the database. Every query is for one tenant and one moment."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, insert, or_, select, update

from likeness.audit.trail import note_sweep
from likeness.store.tables import session_results


@dataclass(frozen=True, slots=True)
class ResultRow:
    """A session's result as stored. Times are seconds since the Unix epoch."""

    session_id: str
    tenant_id: str
    jti: str
    sealed_jws: bytes | None
    image_id: str | None
    sealed_image: bytes | None
    expires_at: float
    image_expires_at: float


def add_result(connection: Connection, row: ResultRow) -> None:
    """Store the result of a session."""
    connection.execute(
        insert(session_results).values({name: getattr(row, name) for name in ResultRow.__dataclass_fields__})
    )


class ResultRepository:
    """One tenant's results."""

    def __init__(self, tenant_id: str) -> None:
        self._mine = session_results.c.tenant_id == tenant_id

    def find_jws(
        self, connection: Connection, session_id_or_jti: str, *, now: float, jti: str | None = None
    ) -> tuple[str, bytes] | None:
        """Give the session's id and the sealed result, or None. With ``jti``, only the result with this ``jti``."""
        query = select(session_results.c.session_id, session_results.c.sealed_jws).where(
            self._mine, _named(session_id_or_jti), session_results.c.expires_at > now
        )
        if jti is not None:
            query = query.where(session_results.c.jti == jti)
        row = connection.execute(query).one_or_none()
        return (row.session_id, row.sealed_jws) if row else None

    def all_jws(self, connection: Connection) -> Iterator[tuple[str, bytes]]:
        """Give each session's id with its sealed result. A result lasts a day at most."""
        query = select(session_results.c.session_id, session_results.c.sealed_jws)
        for row in connection.execute(query.where(self._mine, session_results.c.sealed_jws.is_not(None))):
            yield row.session_id, row.sealed_jws

    def find_image(self, connection: Connection, image_id: str, *, now: float) -> bytes | None:
        """Give a sealed audit image, or None."""
        query = select(session_results.c.sealed_image).where(
            self._mine, session_results.c.image_id == image_id, session_results.c.image_expires_at > now
        )
        return connection.execute(query).scalar_one_or_none()

    def remove(self, connection: Connection, session_id_or_jti: str) -> str | None:
        """Delete a result with its image. Gives the session's id, or None when there was no result."""
        removed = (
            delete(session_results).where(self._mine, _named(session_id_or_jti)).returning(session_results.c.session_id)
        )
        return connection.execute(removed).scalar_one_or_none()


def _named(session_id_or_jti: str) -> ColumnElement[bool]:
    return or_(session_results.c.session_id == session_id_or_jti, session_results.c.jti == session_id_or_jti)


def remove_expired(connection: Connection, *, now: float) -> None:
    """Delete expired results and images of all tenants. Delete a row when both its parts have expired."""
    result_over, image_over = session_results.c.expires_at <= now, session_results.c.image_expires_at <= now
    rows, jws, image = session_results, session_results.c.sealed_jws, session_results.c.sealed_image
    for kind, removal in {
        "results and images": delete(rows).where(result_over, image_over),
        "results": update(rows).where(result_over, jws.is_not(None)).values(sealed_jws=None),
        "images": update(rows).where(image_over, image.is_not(None)).values(sealed_image=None),
    }.items():
        note_sweep(connection, kind, connection.execute(removal).rowcount)
