"""API clients: programs of a tenant that get access tokens, and their permissions."""

from collections.abc import Collection
from dataclasses import dataclass

from likeness.access import repository
from likeness.access.repository import ClientRow
from likeness.access.scopes import Scope
from likeness.access.secrets import ClientSecrets
from likeness.errors import NotFound
from likeness.kit.clock import Clock
from likeness.kit.ids import new_id
from likeness.store.database import Database
from likeness.tenants.service import check_name


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """A new client's id and its secret. The secret is shown only once."""

    client_id: str
    client_secret: str


class Clients:
    """The API clients of every tenant."""

    def __init__(self, database: Database, secrets: ClientSecrets, clock: Clock) -> None:
        self._database = database
        self._secrets = secrets
        self._clock = clock

    def create(self, tenant_id: str, name: str, scopes: Collection[Scope]) -> ClientCredentials:
        """Make a client with these permissions, and its secret. Raises InvalidInput when the name is not valid."""
        check_name(name)
        credentials, secret_hash = self._new_secret(new_id())
        row = ClientRow(credentials.client_id, tenant_id, name, secret_hash, tuple(sorted(scopes)), disabled=False)
        self._database.write_now(lambda c: repository.add_client(c, row, created_at=self._clock.now()))
        return credentials

    def of_tenant(self, tenant_id: str) -> list[ClientRow]:
        """Give a tenant's clients, the oldest first."""
        return self._database.read_now(lambda c: repository.clients_of(c, tenant_id))

    def disable(self, client_id: str) -> None:
        """Give a client no more tokens. Its present tokens stay valid until they expire. Raises NotFound."""
        if not self._database.write_now(lambda c: repository.disable_client(c, client_id, now=self._clock.now())):
            raise NotFound("There is no such enabled client.")

    def rotate_secret(self, client_id: str) -> ClientCredentials:
        """Replace a client's secret. Raises NotFound."""
        credentials, secret_hash = self._new_secret(client_id)
        if not self._database.write_now(lambda c: repository.replace_secret_hash(c, client_id, secret_hash)):
            raise NotFound("There is no such client.")
        return credentials

    async def verify_secret(self, client_id: str, client_secret: str) -> ClientRow | None:
        """Give the client that has this secret, or None.

        Only a secret that was once issued reaches the database. An invented secret costs the same for every id, known
        or unknown, and delays no other caller. Raises ServiceUnavailable.
        """
        if not self._secrets.was_given(client_id, client_secret):
            return None
        row = await self._database.read(lambda c: repository.find_client(c, client_id))
        if row is None or row.disabled or not self._secrets.holds(client_id, client_secret, row.secret_hash):
            return None
        return row

    def _new_secret(self, client_id: str) -> tuple[ClientCredentials, str]:
        secret = self._secrets.new(client_id)
        return ClientCredentials(client_id, secret), self._secrets.fingerprint(client_id, secret)
