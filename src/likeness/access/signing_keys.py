"""The deployment's signing keys, sealed in the database.

The newest key signs. A retired key verifies until everything that it signed has expired.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from likeness.audit.actions import Action
from likeness.audit.trail import note
from likeness.errors import NotFound, ServiceUnavailable, SetupError
from likeness.kit.clock import Clock
from likeness.kit.envelope import KeyProvider
from likeness.kit.signing_key import LONGEST_LIFE_SECONDS, TOLERATED_SECONDS, SigningKey
from likeness.store.database import Database
from likeness.store.tables import signing_keys

if TYPE_CHECKING:
    from likeness.kit.jose import Signer

log = logging.getLogger("likeness.access")
TAKEN_UP_SECONDS = 60
"""A running server signs with a new key within this time."""
RENEW_SECONDS = 1.0
LIFE_AFTER_SECONDS = LONGEST_LIFE_SECONDS + TAKEN_UP_SECONDS + TOLERATED_SECONDS
"""How long a retired key stays valid: until the last token that it may have signed has expired."""


class SigningKeys:
    """The signing keys in the database. A running server takes up their changes."""

    def __init__(self, database: Database, keys: KeyProvider, clock: Clock) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock
        self._renewing = asyncio.Lock()
        self._renewed_at = -RENEW_SECONDS

    def signer(self) -> "Signer":
        """Load the keys. Make the first key when there is none. Raises SetupError when a key does not open."""
        from likeness.kit.jose import Signer  # noqa: PLC0415  most commands sign nothing

        rows = self._database.read_now(self._live)
        if not rows:
            self.rotate()
            rows = self._database.read_now(self._live)
        return Signer(self._open(rows), self._renew)

    async def take_up(self, signer: "Signer") -> None:
        """Replace a running server's keys by those stored, and delete the keys that have ended.

        Raises SetupError when a key does not open.
        """
        rows = await self._database.read(self._live)
        if rows and {row.kid: _ends_at(row) for row in rows} != signer.ends:
            signer.use(await asyncio.to_thread(self._open, rows))
            await self._database.write(self._forget_ended)

    async def _renew(self, signer: "Signer") -> None:
        """Take up new keys at once, but not more often than once a second, because anybody can cause it."""
        async with self._renewing:
            if self._clock.now() - self._renewed_at < RENEW_SECONDS:
                return
            self._renewed_at = self._clock.now()
            try:
                await self.take_up(signer)
            except (ServiceUnavailable, SetupError) as error:
                log.warning("new signing keys could not be read: %s", error)

    def ends(self) -> dict[str, float | None]:
        """Give the end of each key by its ``kid``, in seconds since the Unix epoch.

        The key that signs comes first. It has no end: None.
        """
        return {row.kid: _ends_at(row) for row in self._database.read_now(self._live)}

    def signs_since(self, connection: Connection) -> float | None:
        """Give the time at which the key that signs was made. None if there is none."""
        made = select(signing_keys.c.created_at).where(signing_keys.c.retired_at.is_(None))
        return connection.execute(made).scalars().first()

    def rotate(self) -> str:
        """Make a new signing key and retire the old one. Gives the new ``kid``."""
        key = SigningKey.generate()

        def change(connection: Connection) -> None:
            self._forget_ended(connection)
            self._replace(connection, key)

        self._database.write_now(change)
        return key.kid

    def revoke(self, kid: str) -> str | None:
        """Delete a key. All that it signed is invalid from now on. Raises NotFound.

        When the key was the one that signs, make a new key and give its ``kid``. Otherwise give None.
        """
        key = SigningKey.generate()

        def change(connection: Connection) -> str | None:
            if not connection.execute(delete(signing_keys).where(signing_keys.c.kid == kid)).rowcount:
                raise NotFound(f"There is no signing key {kid!r}; `likeness keys list` shows them.")
            note(connection, Action.KEY_REVOCATION, kid)
            if any(row.retired_at is None for row in self._live(connection)):
                return None
            self._replace(connection, key)
            return key.kid

        return self._database.write_now(change)

    def _replace(self, connection: Connection, key: SigningKey) -> None:
        now = self._clock.now()
        connection.execute(update(signing_keys).where(signing_keys.c.retired_at.is_(None)).values(retired_at=now))
        sealed = self._keys.wrap(key.private_pem, key.kid)
        connection.execute(insert(signing_keys).values(kid=key.kid, sealed_private_key=sealed, created_at=now))
        note(connection, Action.KEY_CREATION, key.kid)

    def _live(self, connection: Connection) -> Sequence[Row[Any]]:
        """Give the rows of the keys that have not ended, newest first."""
        current_first = signing_keys.c.retired_at.is_(None).desc()
        rows = connection.execute(select(signing_keys).order_by(current_first, signing_keys.c.created_at.desc()))
        now = self._clock.now()
        return [row for row in rows if row.retired_at is None or now < row.retired_at + LIFE_AFTER_SECONDS]

    def _forget_ended(self, connection: Connection) -> None:
        ended = signing_keys.c.retired_at <= self._clock.now() - LIFE_AFTER_SECONDS
        for kid in connection.execute(delete(signing_keys).where(ended).returning(signing_keys.c.kid)).scalars().all():
            note(connection, Action.KEY_END, kid)

    def _open(self, rows: Sequence[Row[Any]]) -> list[SigningKey]:
        """Open the keys. Raises SetupError."""
        return [SigningKey(row.kid, self._unwrap(row), _ends_at(row)) for row in rows]

    def _unwrap(self, row: Row[Any]) -> bytes:
        try:
            return self._keys.unwrap(row.sealed_private_key, row.kid)
        except SetupError as error:
            raise SetupError(
                f"the signing key {row.kid} was altered and does not open: restore its row from a backup, or run "
                f"`likeness keys revoke {row.kid}`"
            ) from error


def _ends_at(row: Row[Any]) -> float | None:
    return None if row.retired_at is None else row.retired_at + LIFE_AFTER_SECONDS
