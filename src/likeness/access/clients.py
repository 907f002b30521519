"""API clients: programs of a tenant that get access tokens, and their permissions."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from likeness.access import repository
from likeness.access.repository import ClientRow, SecretRow
from likeness.access.schemas import ClientSettings
from likeness.access.scopes import Scope
from likeness.access.secrets import ClientSecrets
from likeness.errors import Conflict, NotFound, ServiceUnavailable
from likeness.kit.clock import Clock
from likeness.kit.ids import new_id
from likeness.store.database import Database
from likeness.tenants.service import check_name

MOST_SECRETS = 5
"""Secrets that a client may have at once."""
FRESH_SECONDS = 30.0
"""A running server takes up a change of a client within this time."""
ASSERTION_SECONDS = 600.0
"""Longer than any assertion is valid."""
REMEMBERED_CLIENTS = 10_000


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """A client's id and a new secret. The secret is shown only once."""

    client_id: str
    client_secret: str


class Clients:
    """The API clients of every tenant."""

    def __init__(self, database: Database, secrets: ClientSecrets, clock: Clock) -> None:
        self._database = database
        self._secrets = secrets
        self._clock = clock
        self._seen: dict[str, tuple[ClientRow | None, float]] = {}
        """Clients by id, and when each was read from the database."""
        self._with_keys: tuple[dict[str, ClientRow], float] | None = None
        """The same for those that have keys of their own, all at once."""

    def create(
        self,
        tenant_id: str,
        name: str,
        scopes: Collection[Scope],
        *,
        settings: ClientSettings | None = None,
        secret_seconds: float | None = None,
    ) -> ClientCredentials:
        """Make a client with these permissions, and its secret. Raises InvalidInput when the name is not valid.

        The secret ends after ``secret_seconds``. By default it has no end.
        """
        check_name(name)
        credentials, secret = self._new_secret(new_id(), secret_seconds)
        row = ClientRow(
            credentials.client_id,
            tenant_id,
            name,
            tuple(sorted(scopes)),
            (secret,),
            settings or ClientSettings(),
        )
        self._database.write_now(lambda c: repository.add_client(c, row, created_at=self._clock.now()))
        return credentials

    def of_tenant(self, tenant_id: str) -> list[ClientRow]:
        """Give a tenant's clients, the oldest first."""
        return self._database.read_now(lambda c: repository.clients_of(c, tenant_id))

    def get(self, client_id: str) -> ClientRow:
        """Give a client, also a disabled one. Raises NotFound."""
        return self._database.read_now(lambda c: _found(c, client_id))

    def of(self, tenant_id: str, client_id: str) -> ClientRow:
        """Give a tenant's client, also a disabled one. Raises NotFound, also for another tenant's."""
        row = self._database.read_now(lambda c: repository.find_client(c, client_id))
        if row is None or row.tenant_id != tenant_id:
            raise NotFound("There is no such client.")
        return row

    def disable(self, client_id: str) -> None:
        """Refuse a client from now on. Other servers follow within half a minute. Raises NotFound."""
        if not self._database.write_now(lambda c: repository.disable_client(c, client_id, now=self._clock.now())):
            raise NotFound("There is no such enabled client.")
        self._forget(client_id)

    def change(self, client_id: str, scopes: Collection[Scope], settings: ClientSettings) -> None:
        """Replace a client's permissions and settings, as :meth:`change_settings` does. Raises NotFound."""

        def change(connection: Connection) -> None:
            _found(connection, client_id)
            repository.set_client_settings(
                connection, client_id, settings, scopes=sorted(scopes), now=self._clock.now()
            )

        self._database.write_now(change)
        self._forget(client_id)

    def change_settings(self, client_id: str, settings: ClientSettings) -> None:
        """Replace a client's settings. Other servers follow within half a minute. Raises NotFound."""

        def change(connection: Connection) -> None:
            _found(connection, client_id)
            repository.set_client_settings(connection, client_id, settings, now=self._clock.now())

        self._database.write_now(change)
        self._forget(client_id)

    def rotate_secret(
        self, client_id: str, *, overlap_seconds: float = 0, secret_seconds: float | None = None
    ) -> ClientCredentials:
        """Give a client a new secret. The others end after ``overlap_seconds``, and no later than they would.

        The new secret ends after ``secret_seconds``. By default it has no end. Raises NotFound. Raises Conflict if the
        client would have more secrets than it may.
        """
        credentials, secret = self._new_secret(client_id, secret_seconds)

        def change(connection: Connection) -> None:
            now = self._clock.now()
            others = [each.ending_at(now + overlap_seconds) for each in _found(connection, client_id).secrets]
            live = [each for each in others if each.is_live(now)]
            if len(live) >= MOST_SECRETS:
                raise Conflict(
                    f"The client has {len(live)} secrets already: end one first (`likeness client end-secret`)."
                )
            repository.set_secrets(connection, client_id, [*live, secret], now=now)

        self._database.write_now(change)
        return credentials

    def end_secret(self, client_id: str, secret_id: str) -> None:
        """End one of a client's secrets. Raises NotFound."""

        def change(connection: Connection) -> None:
            secrets = _found(connection, client_id).secrets
            kept = [secret for secret in secrets if secret.id != secret_id]
            if len(kept) == len(secrets):
                raise NotFound(f"The client has no secret {secret_id!r}; `likeness client secrets` shows them.")
            repository.set_secrets(connection, client_id, kept, now=self._clock.now())

        self._database.write_now(change)

    async def verify_secret(self, client_id: str, client_secret: str) -> ClientRow | None:
        """Give the client that has this secret, or None.

        Only a secret that was once issued reaches the database. An invented secret costs the same for every id, known
        or unknown, and delays no other caller. Raises ServiceUnavailable.
        """
        if not self._secrets.was_given(client_id, client_secret):
            return None
        row = await self._database.read(lambda c: repository.find_client(c, client_id))
        if row is None or not row.enabled:
            return None
        now = self._clock.now()
        held = [secret.fingerprint for secret in row.secrets if secret.is_live(now)]
        return row if any(self._secrets.holds(client_id, client_secret, each) for each in held) else None

    async def with_keys(self, client_id: str) -> ClientRow | None:
        """Give a client that has keys or certificates of its own, as it was at most half a minute ago, or None.

        So strangers who invent ids cause no query of the database. Raises ServiceUnavailable.
        """
        now, known = self._clock.now(), self._with_keys
        if known is None or not known[1] <= now < known[1] + FRESH_SECONDS:
            rows = await self._database.read(repository.clients_with_keys)
            self._with_keys = known = {row.id: row for row in rows}, now
        return known[0].get(client_id)

    async def use_assertion(self, client: ClientRow, jti: str) -> bool:
        """Note that a client's assertion is used. Give False if another server accepted it before.

        SQLite has no other server.
        """
        if self._database.is_sqlite:
            return True
        now, digest = self._clock.now(), hashlib.sha256(jti.encode()).hexdigest()
        try:
            await self._database.write(
                lambda c: repository.use_assertion(c, client, digest, now=now, ends_at=now + ASSERTION_SECONDS)
            )
        except IntegrityError:
            return False
        return True

    async def enabled(self, client_id: str) -> ClientRow | None:
        """Give the client of a verified token, as it was at most half a minute ago. None if it may do nothing.

        Raises ServiceUnavailable if the database gives no answer, and the client was never read.
        """
        row, read_at = self._seen.get(client_id, (None, None))
        now = self._clock.now()
        if read_at is None or not read_at <= now < read_at + FRESH_SECONDS:
            if read_at is not None:
                self._seen[client_id] = row, now  # one call reads, and the others do not wait for it
            try:
                row = await self._database.read(lambda c: repository.find_client(c, client_id))
            except ServiceUnavailable:
                if read_at is None:
                    raise
            if len(self._seen) >= REMEMBERED_CLIENTS:
                self._seen.pop(next(iter(self._seen)))
            self._seen[client_id] = row, now
        return row if row is not None and row.enabled else None

    def _forget(self, client_id: str) -> None:
        """Let this process read a changed client again at its next call."""
        self._seen.pop(client_id, None)
        self._with_keys = None

    def _new_secret(self, client_id: str, seconds: float | None) -> tuple[ClientCredentials, SecretRow]:
        text, now = self._secrets.new(client_id), self._clock.now()
        ends_at = None if seconds is None else now + seconds
        row = SecretRow(new_id()[:8], self._secrets.fingerprint(client_id, text), now, ends_at)
        return ClientCredentials(client_id, text), row


def _found(connection: Connection, client_id: str) -> ClientRow:
    row = repository.find_client(connection, client_id)
    if row is None:
        raise NotFound("There is no such client.")
    return row
