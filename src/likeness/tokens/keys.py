"""The deployment's signing keys: sealed in the database, newest signs, retired ones verify until what they signed has ended."""

from sqlalchemy import Connection, delete, insert, select, update

from likeness.kit.clock import Clock
from likeness.kit.envelope import KeyProvider
from likeness.kit.jose import Signer, SigningKey
from likeness.store.database import Database
from likeness.store.tables import signing_keys

LONGEST_SIGNED_LIFE_SECONDS = 86_400 + 60
"""No token or result may live longer (see the bounds in ``likeness.settings``)."""


class SigningKeys:
    def __init__(self, database: Database, keys: KeyProvider, clock: Clock) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock

    def signer(self) -> Signer:
        """Load the keys, making the first one where there is none."""
        rows = self._database.read_now(self._rows)
        if not rows:
            self.rotate()
            rows = self._database.read_now(self._rows)
        return Signer(SigningKey(kid, self._keys.unwrap(sealed, kid)) for kid, sealed in rows)

    def rotate(self) -> str:
        """Make a new signing key and retire the old; drop those whose signatures have all ended. Gives the new ``kid``."""
        key = SigningKey.generate()
        sealed = self._keys.wrap(key.private_pem, key.kid)
        now = self._clock.now()

        def change(connection: Connection) -> None:
            ended = signing_keys.c.retired_at < now - LONGEST_SIGNED_LIFE_SECONDS
            connection.execute(delete(signing_keys).where(ended))
            connection.execute(update(signing_keys).where(signing_keys.c.retired_at.is_(None)).values(retired_at=now))
            connection.execute(insert(signing_keys).values(kid=key.kid, sealed_private_key=sealed, created_at=now))

        self._database.write_now(change)
        return key.kid

    @staticmethod
    def _rows(connection: Connection) -> list[tuple[str, bytes]]:
        current_first = signing_keys.c.retired_at.is_(None).desc()
        query = select(signing_keys.c.kid, signing_keys.c.sealed_private_key)
        return [
            (row.kid, row.sealed_private_key)
            for row in connection.execute(query.order_by(current_first, signing_keys.c.created_at.desc()))
        ]
