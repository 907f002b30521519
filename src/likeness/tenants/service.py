"""The deployment's tenants: how they are made, changed and erased, and how a request gets its own."""

import hashlib
import hmac
import logging
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from weakref import WeakValueDictionary

from pydantic import ValidationError
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from likeness.audit.actions import Action
from likeness.audit.trail import note
from likeness.errors import Conflict, InvalidInput, NotFound, ServiceUnavailable, SetupError, Unauthorized
from likeness.kit.clock import Clock
from likeness.kit.envelope import BARE, Cipher, KeyProvider, mac_key_of, new_data_key
from likeness.kit.ids import new_id
from likeness.store.database import Database
from likeness.tenants import repository
from likeness.tenants.repository import TenantRow
from likeness.tenants.schemas import TenantSettings

log = logging.getLogger("likeness.tenants")
LONGEST_NAME = 256
FIRST_KEY = 1
"""Number of a new tenant's data key."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant as a request sees it: settings and an opened data key."""

    id: str
    name: str
    settings: TenantSettings
    cipher: Cipher


class Tenants:
    """The deployment's tenants. Opened tenants stay in memory, so a request unwraps no key."""

    def __init__(self, database: Database, keys: KeyProvider, clock: Clock, mac_key: bytes) -> None:
        """``mac_key`` is a key of the deployment. Digests of a tenant follow from it, so they outlive data keys."""
        self._database = database
        self._keys = keys
        self._clock = clock
        self._mac_key = mac_key
        self._opened: dict[str, Tenant] = {}
        self._stored: dict[str, TenantRow] = {}
        """The rows of the opened tenants, as the database had them."""
        self._ciphers: WeakValueDictionary[str, Cipher] = WeakValueDictionary()
        """One cipher a tenant, as long as anything has it: a job may go on with a tenant that was opened again since.

        It must not seal with an older key than others do.
        """
        self._logged: set[str] = set()
        """Ids of tenants that cannot be opened and that the log names already."""
        self._lock = threading.Lock()

    def create(self, name: str, settings: TenantSettings | None = None) -> Tenant:
        """Make a tenant with its own data key.

        Raises Conflict when the name is taken, InvalidInput when the name is not valid.
        """
        check_name(name)
        tenant_id = new_id()
        sealed = {FIRST_KEY: self._keys.wrap(new_data_key(), key_context(tenant_id, FIRST_KEY))}
        row = TenantRow(tenant_id, name, (settings or TenantSettings()).model_dump_json(exclude_unset=True), sealed)
        try:
            self._database.write_now(lambda c: repository.add_tenant(c, row, created_at=self._clock.now()))
        except IntegrityError as error:
            raise Conflict(f"There is a tenant named {name!r} already.") from error
        return self._open(row)

    def change_settings(
        self, tenant_id: str, settings: TenantSettings, *, keeping: Collection[str] = ()
    ) -> TenantSettings:
        """Replace a tenant's settings, without those that stay as they are stored. Give all as they are now.

        Raises ServiceUnavailable when those that stay cannot be read.
        """

        def change(connection: Connection) -> TenantSettings:
            row = repository.find_tenant(connection, tenant_id=tenant_id) if keeping else None
            stored = settings_of(row) if row else TenantSettings()
            if stored is None:
                raise ServiceUnavailable("The data of this tenant cannot be opened now.")
            kept = stored.model_dump(include=set(keeping), exclude_unset=True)
            changed = TenantSettings.model_validate(
                settings.model_dump(exclude=set(keeping), exclude_unset=True) | kept
            )
            values = changed.model_dump(mode="json", exclude_unset=True)
            repository.set_tenant_settings(connection, tenant_id, values, now=self._clock.now())
            return changed

        changed = self._database.write_now(change)
        with self._lock:
            self._forget(tenant_id)
        return changed

    def rotate_data_key(self, tenant_id: str) -> int:
        """Give a tenant a new data key, and give its number. Servers seal with it within 15 seconds.

        They then seal again what the older keys have sealed, and delete these (``likeness.rotation.resealing``).
        Raises NotFound.
        """
        data_key = new_data_key()

        def change(connection: Connection) -> int:
            known = repository.data_keys_of(connection, tenant_id)
            if not known:
                raise NotFound("There is no such tenant.")
            number = max(known) + 1
            wrapped = self._keys.wrap(data_key, key_context(tenant_id, number))
            repository.add_data_key(connection, tenant_id, number, wrapped, created_at=self._clock.now())
            note(connection, Action.KEY_CREATION, f"data key {number}", tenant=tenant_id)
            return number

        return self._database.write_now(change)

    def erase(self, tenant_id: str) -> None:
        """Erase all of a tenant's rows in the database, and its data key. The caller deletes its photos first."""
        self._database.write_now(lambda c: repository.erase_tenant(c, tenant_id))
        with self._lock:
            self._forget(tenant_id)

    def rows(self) -> list[TenantRow]:
        """Give the stored row of every tenant, also of those whose key does not open."""
        return self._database.read_now(repository.all_tenants)

    def all(self) -> list[Tenant]:
        """Give every tenant whose data key and settings can be read. The log names each other tenant once.

        Changes and erasures by another process take effect here.
        """
        opened, rows = [], self.rows()
        present = {row.id: row.settings for row in rows if row.authentic}
        with self._lock:
            for tenant_id in [known for known, row in self._stored.items() if present.get(known) != row.settings]:
                self._forget(tenant_id)
        for row in rows:
            try:
                opened.append(self._present(row))
            except SetupError as error:
                self._log_once(row, error)
        return opened

    def _present(self, row: TenantRow) -> Tenant:
        """Give a tenant whose settings are those of its row, with the row's data keys. Raises SetupError."""
        tenant, known = self._opened.get(row.id), self._stored.get(row.id)
        if tenant is None or known is None:
            return self._open(row)
        if row.data_keys.keys() != known.data_keys.keys():
            tenant.cipher.use(self._unwrapped(row.id, row.data_keys), bare=BARE)
            with self._lock:
                if self._opened.get(row.id) is tenant:  # not opened again meanwhile, from another row
                    self._stored[row.id] = row
        return tenant

    def names_where(self, applies: Callable[[TenantSettings], bool]) -> list[str]:
        """Give the names of the tenants whose settings meet a condition. Opens no key."""
        read = ((row.name, settings_of(row)) for row in self.rows())
        return [name for name, settings in read if settings and applies(settings)]

    def row_by_name(self, name: str) -> TenantRow:
        """Give a tenant's stored row by its name or id, also when its key does not open. Raises NotFound."""
        row = self._database.read_now(
            lambda c: repository.find_tenant(c, name=name) or repository.find_tenant(c, tenant_id=name)
        )
        if row is None:
            raise NotFound(f"There is no tenant named {name!r}.")
        return row

    def by_name(self, name: str) -> Tenant:
        """Give a tenant by its name or id.

        Raises NotFound, and SetupError when its data key or its settings cannot be read.
        """
        return self._open(self.row_by_name(name))

    def by_id(self, tenant_id: str) -> Tenant:
        """Give a tenant by its id, for a process that follows its gallery. Blocks.

        Raises NotFound, and SetupError when its data key or its settings cannot be read.
        """
        opened = self._opened.get(tenant_id)
        if opened is None:
            row = self._database.read_now(lambda c: repository.find_tenant(c, tenant_id=tenant_id))
            if row is None:
                raise NotFound("There is no such tenant.")
            opened = self._open(row)
        return opened

    def forget(self, tenant_id: str) -> None:
        """Drop an opened tenant with its data key. It may be unknown."""
        with self._lock:
            self._forget(tenant_id)

    async def get(self, tenant_id: str) -> Tenant:
        """Give the tenant of an authorised request.

        Raises Unauthorized when it was erased, ServiceUnavailable when it cannot be opened.
        """
        opened = self._opened.get(tenant_id)
        if opened is None:
            row = await self._database.read(lambda c: repository.find_tenant(c, tenant_id=tenant_id))
            if row is None:
                raise Unauthorized("The tenant of this token was erased.")
            try:
                opened = self._open(row)
            except SetupError as error:
                self._log_once(row, error)
                raise ServiceUnavailable("The data of this tenant cannot be opened now.") from error
        return opened

    def _log_once(self, row: TenantRow, error: SetupError) -> None:
        if row.id not in self._logged:
            self._logged.add(row.id)
            log.error(
                "tenant %s is not served: %s. Otherwise restore its row from a backup, or erase the tenant: `likeness "
                "tenant erase %s`",
                row.id,
                error,
                row.id,
            )

    def _open(self, row: TenantRow) -> Tenant:
        if not row.authentic:
            raise SetupError(
                "its row was altered: restore it from a backup, or check its settings and clients, and set it again "
                f"with `likeness tenant set {row.id}`"
            )
        data_keys = self._unwrapped(row.id, row.data_keys)
        settings = settings_of(row)
        if settings is None:
            raise SetupError(f"its stored settings are damaged: set them again with `likeness tenant set {row.id}`")
        mac_keys = [hmac.digest(self._mac_key, row.id.encode(), hashlib.sha256)]
        if BARE in data_keys:  # older versions made digests under it
            mac_keys.append(mac_key_of(data_keys[BARE]))
        cipher = Cipher(data_keys, row.id, bare=BARE, mac_keys=mac_keys, read_again=lambda: self._stored_keys(row.id))
        with self._lock:
            cipher = self._ciphers.setdefault(row.id, cipher)
        cipher.use(data_keys, bare=BARE)
        tenant = Tenant(row.id, row.name, settings, cipher)
        with self._lock:
            self._stored.setdefault(row.id, row)
            return self._opened.setdefault(row.id, tenant)

    def _stored_keys(self, tenant_id: str) -> dict[int, bytes]:
        """Give a tenant's data keys as they are stored now, by number. Raises SetupError, ServiceUnavailable."""
        return self._unwrapped(tenant_id, self._database.read_now(lambda c: repository.data_keys_of(c, tenant_id)))

    def _unwrapped(self, tenant_id: str, sealed: Mapping[int, bytes]) -> dict[int, bytes]:
        if not sealed:
            raise SetupError("it has no data key")
        return {number: self._keys.unwrap(each, key_context(tenant_id, number)) for number, each in sealed.items()}

    def _forget(self, tenant_id: str) -> None:
        """Drop an opened tenant. The caller holds the lock."""
        self._opened.pop(tenant_id, None)
        self._stored.pop(tenant_id, None)


def key_context(tenant_id: str, number: int) -> str:
    """Give what a tenant's data key is bound to when it is wrapped."""
    return tenant_id if number == BARE else f"{tenant_id} key {number}"


def settings_of(row: TenantRow) -> TenantSettings | None:
    """Give a tenant's settings, or None when the stored settings are damaged."""
    if not row.authentic:
        return None
    try:
        return TenantSettings.model_validate_json(row.settings)
    except ValidationError:
        return None


def check_name(name: str) -> None:
    """Raise InvalidInput when a text cannot be the name of a tenant or a client."""
    if not (name.strip() and name.isprintable() and len(name) <= LONGEST_NAME):
        raise InvalidInput(f"A name has 1 to {LONGEST_NAME} printable characters, and not only blanks.")
