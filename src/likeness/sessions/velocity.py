"""The limit on attempts of face sessions with one ID photo.

Somebody who has a person's photo could otherwise try to deceive the liveness check without end, in one session after
another.
"""

import hashlib
import hmac

from sqlalchemy import Connection, delete, func, insert, select

from likeness.engine.base import Template
from likeness.kit.ids import new_id
from likeness.store.tables import photo_attempts
from likeness.web.quota import used_up

WINDOW_SECONDS = 3600.0


class PhotoAttempts:
    """Counts the attempts that a tenant's sessions allow for each ID photo, in any hour.

    The database has a digest of the photo's template under a key of the deployment. So copies of a photo count
    together, whatever their metadata. Without the key, the digest tells nothing.
    """

    def __init__(self, key: bytes, most: int) -> None:
        """Allow ``most`` attempts for a photo; with 0 as many as wanted."""
        self._key = key
        self._most = most

    def digest(self, tenant_id: str, template: Template) -> str:
        """Give a photo's digest, in hexadecimal."""
        return hmac.digest(self._key, tenant_id.encode() + template.astype("<f4").tobytes(), hashlib.sha256).hex()

    def count(self, connection: Connection, tenant_id: str, digest: str, attempts: int, *, now: float) -> None:
        """Count the attempts of a new session. Raises TooManyRequests if they are too many.

        Call it in the transaction that opens the session.
        """
        if not self._most:
            return
        if connection.dialect.name == "postgresql":  # another server may count the same photo
            connection.execute(select(func.pg_advisory_xact_lock(int(digest[:15], 16))))
        mine = (photo_attempts.c.tenant_id == tenant_id) & (photo_attempts.c.digest == digest)
        recent = select(photo_attempts.c.attempts, photo_attempts.c.opened_at).where(
            mine, photo_attempts.c.opened_at > now - WINDOW_SECONDS
        )
        rows = connection.execute(recent.order_by(photo_attempts.c.opened_at)).all()
        surplus = sum(row.attempts for row in rows) + attempts - self._most
        ends_at = now
        for row in rows:
            if surplus <= 0:
                break
            surplus -= row.attempts
            ends_at = row.opened_at + WINDOW_SECONDS
        if ends_at > now:
            raise used_up(
                "photo",
                f"At most {self._most} attempts an hour with one ID photo.",
                policy=f"{self._most};w={WINDOW_SECONDS:.0f}",
                wait_seconds=ends_at - now,
            )
        counted = {"id": new_id(), "tenant_id": tenant_id, "digest": digest, "attempts": attempts, "opened_at": now}
        connection.execute(insert(photo_attempts).values(counted))


def forget_attempts(connection: Connection, *, now: float) -> None:
    """Delete what no longer counts, of all tenants."""
    connection.execute(delete(photo_attempts).where(photo_attempts.c.opened_at <= now - WINDOW_SECONDS))
