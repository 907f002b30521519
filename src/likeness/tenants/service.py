"""Making tenants and clients, and what a request needs to know of its tenant."""

import secrets
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from sqlalchemy.exc import IntegrityError

from likeness.errors import Conflict, InvalidInput, NotFound
from likeness.kit.clock import Clock
from likeness.kit.envelope import Cipher, KeyProvider, new_data_key
from likeness.kit.ids import is_uuid, new_id
from likeness.store.database import Database
from likeness.tenants import repository
from likeness.tenants.repository import ClientRow, TenantRow
from likeness.tenants.schemas import TenantSettings
from likeness.tenants.scopes import ALL_SCOPES, Scope

LONGEST_NAME = 256


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant as a request sees it: settings and an opened data key."""

    id: str
    name: str
    settings: TenantSettings
    cipher: Cipher


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """A new client's id and its secret, which is shown once and never again."""

    client_id: str
    client_secret: str


class Tenants:
    """The deployment's tenants. Opened tenants are kept in memory: no key is unwrapped per request."""

    def __init__(self, database: Database, keys: KeyProvider, clock: Clock) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock
        self._hasher = PasswordHasher()
        self._opened: dict[str, Tenant] = {}
        self._lock = threading.Lock()
        # Verified against when the client is unknown, so that its absence takes as long as a wrong secret.
        self._decoy_hash = self._hasher.hash(secrets.token_urlsafe())

    def create(self, name: str, settings: TenantSettings | None = None) -> Tenant:
        """Make a tenant with a data key of its own. Raises Conflict when the name is taken, InvalidInput when it is none."""
        _check_name(name)
        tenant_id = new_id()
        sealed = self._keys.wrap(new_data_key(), tenant_id)
        row = TenantRow(
            tenant_id, name, sealed, (settings or TenantSettings()).model_dump(mode="json", exclude_unset=True)
        )
        try:
            self._database.write_now(lambda c: repository.add_tenant(c, row, created_at=self._clock.now()))
        except IntegrityError as error:
            raise Conflict(f"There is a tenant named {name!r} already.") from error
        return self._open(row)

    def change_settings(self, tenant_id: str, settings: TenantSettings) -> None:
        values = settings.model_dump(mode="json", exclude_unset=True)
        self._database.write_now(lambda c: repository.set_tenant_settings(c, tenant_id, values))
        with self._lock:
            self._opened.pop(tenant_id, None)

    def erase(self, tenant_id: str) -> None:
        """Erase everything that the database has of a tenant, its data key included. Its photos are deleted before."""
        self._database.write_now(lambda c: repository.erase_tenant(c, tenant_id))
        with self._lock:
            self._opened.pop(tenant_id, None)

    def all(self) -> list[Tenant]:
        return [self._open(row) for row in self._database.read_now(repository.list_tenants)]

    def names_where(self, applies: Callable[[TenantSettings], bool]) -> list[str]:
        """Name the tenants to whose settings something applies; no key is opened for it."""
        rows = self._database.read_now(repository.list_tenants)
        return [row.name for row in rows if applies(TenantSettings.model_validate(row.settings))]

    def by_name(self, name: str) -> Tenant:
        """Give a tenant by its name or id. Raises NotFound."""
        row = self._database.read_now(
            lambda c: repository.find_tenant(c, name=name) or repository.find_tenant(c, tenant_id=name)
        )
        if row is None:
            raise NotFound(f"There is no tenant named {name!r}.")
        return self._open(row)

    async def get(self, tenant_id: str) -> Tenant:
        """Give the tenant of an authorised request. Raises NotFound when it is gone."""
        opened = self._opened.get(tenant_id)
        if opened is None:
            row = await self._database.read(lambda c: repository.find_tenant(c, tenant_id=tenant_id))
            if row is None:
                raise NotFound("The tenant of this token is gone.")
            opened = self._open(row)
        return opened

    def create_client(self, tenant_id: str, name: str, scopes: Collection[Scope] = ALL_SCOPES) -> ClientCredentials:
        """Make an API client and its secret. Raises InvalidInput when the name is none."""
        _check_name(name)
        credentials = ClientCredentials(new_id(), secrets.token_urlsafe(32))
        secret_hash = self._hasher.hash(credentials.client_secret)
        row = ClientRow(credentials.client_id, tenant_id, name, secret_hash, tuple(sorted(scopes)), disabled=False)
        self._database.write_now(lambda c: repository.add_client(c, row, created_at=self._clock.now()))
        return credentials

    def list_clients(self, tenant_id: str) -> list[ClientRow]:
        return self._database.read_now(lambda c: repository.list_clients(c, tenant_id))

    def disable_client(self, client_id: str) -> None:
        """Let a client get no more tokens; those it holds end within their life. Raises NotFound."""
        if not self._database.write_now(lambda c: repository.disable_client(c, client_id, now=self._clock.now())):
            raise NotFound("There is no such enabled client.")

    def rotate_secret(self, client_id: str) -> ClientCredentials:
        """Replace a client's secret. Raises NotFound."""
        credentials = ClientCredentials(client_id, secrets.token_urlsafe(32))
        secret_hash = self._hasher.hash(credentials.client_secret)
        if not self._database.write_now(lambda c: repository.replace_secret_hash(c, client_id, secret_hash)):
            raise NotFound("There is no such client.")
        return credentials

    def verify_secret(self, client_id: str, client_secret: str) -> ClientRow | None:
        """Give the client whose secret this is, else None. Slow on purpose (argon2id): at token issue only."""
        known = is_uuid(client_id)  # what has not the form of an id is nobody's, and no text for a database
        row = self._database.read_now(lambda c: repository.find_client(c, client_id)) if known else None
        try:
            self._hasher.verify(row.secret_hash if row else self._decoy_hash, client_secret)
        except VerificationError:
            return None
        return None if row is None or row.disabled else row

    def _open(self, row: TenantRow) -> Tenant:
        data_key = self._keys.unwrap(row.sealed_data_key, row.id)
        tenant = Tenant(row.id, row.name, TenantSettings.model_validate(row.settings), Cipher(data_key, row.id))
        with self._lock:
            return self._opened.setdefault(row.id, tenant)


def _check_name(name: str) -> None:
    if not (name.strip() and name.isprintable() and len(name) <= LONGEST_NAME):
        raise InvalidInput(f"A name has 1 to {LONGEST_NAME} printable characters, and not only blanks.")
