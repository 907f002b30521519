"""A deployment's data folder: how it is made and opened, and the facts that its database records."""

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from likeness.access.clients import Clients
from likeness.access.secrets import ClientSecrets
from likeness.access.shared_limits import share_limits
from likeness.access.signing_keys import SigningKeys
from likeness.audit.actions import Action
from likeness.audit.actor import SERVER
from likeness.audit.seals import KEPT_NAME, Seals
from likeness.audit.signing import StatementSigner
from likeness.audit.trail import Trail, note
from likeness.audit.upkeep import keep_sealed
from likeness.errors import ServiceUnavailable, SetupError
from likeness.kit.clock import Clock, SystemClock
from likeness.kit.envelope import FileKeyProvider, KeyProvider, new_data_key
from likeness.kit.repeating import repeat_forever
from likeness.settings import Settings
from likeness.store import migrations
from likeness.store.authentic.rows import RowKey
from likeness.store.authentic.upgrade import authenticate_rows
from likeness.store.database import Database
from likeness.store.facts import read_fact, record_fact
from likeness.store.move.rows import read_mark
from likeness.store.ownership import owned
from likeness.store.sqlite import keep_private
from likeness.store.tables import data_keys, deployment, signing_keys, tenants
from likeness.tenants.service import Tenants, key_context
from likeness.web.quota import Limits

if TYPE_CHECKING:
    from likeness.kit.jose import Signer

log = logging.getLogger("likeness")
KEY_FACT = "deployment_key"
"""A random key, sealed with the master key. A key that does not open it is another deployment's master key."""
KEY_CONTEXT = "deployment_key of authentic rows"
"""What the key is bound to when it is sealed. In older versions that was ``KEY_FACT``, and rows had no MACs. Nobody can
make the older form without the master key, so nobody can have this version take altered rows as they are.
"""
OLD_KEY_FACT = "cursor_key"
"""The name of an older deployment's sealed key. A deployment may have none."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """An open data folder: its database, keys, tenants and clients, and its recorded facts.

    It knows no engine.
    """

    settings: Settings
    clock: Clock
    database: Database
    keys: KeyProvider
    tenants: Tenants
    clients: Clients
    signing_keys: SigningKeys
    trail: Trail
    seals: Seals
    key: bytes = field(repr=False)

    def fact(self, name: str) -> Any:
        """Give a recorded fact, or None."""
        return self.database.read_now(partial(read_fact, name=name))

    def record(self, name: str, value: Any) -> None:
        """Record a fact, a JSON value. It replaces an earlier value of this name."""
        self.database.write_now(partial(record_fact, name=name, value=value))

    def derived_key(self, purpose: str) -> bytes:
        """Give the deployment's key for a purpose. The key reveals nothing about the keys for other purposes."""
        return _derived(self.key, purpose)

    @property
    def cluster_namespace(self) -> str:
        """The deployment's namespace on a Ray cluster."""
        return f"likeness {self.derived_key('namespace of shards').hex()[:16]}"

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Own the data within the block: only this process holds its galleries. Close the deployment at the end.

        With galleries in shards, other servers may own the data, too. While another process owns the data, wait for its
        end if ``settings.standby`` is set. Otherwise raise SetupError.
        """
        with owned(self.settings.data_dir, wait=self.settings.standby, shared=self.settings.shares_galleries):
            try:
                self.database.claim(wait=self.settings.standby)
                yield
            finally:
                self.close()  # writes all queued changes before another process may load

    async def follow(self, signer: "Signer", limits: Limits) -> None:
        """Take up what commands and other servers change, until cancelled: tenants, signing keys, calls of a minute."""
        await asyncio.gather(
            share_limits(limits, self.database),
            self.follow_tenants(),
            repeat_forever(partial(self.signing_keys.take_up, signer)),
        )

    async def follow_tenants(self) -> None:
        """Take up the tenants' changes and new data keys, until cancelled. Who seals for long must do so."""
        await repeat_forever(partial(asyncio.to_thread, self.tenants.all))

    async def keep_trail(self) -> None:
        """Seal and trim the audit trail, until cancelled."""
        await keep_sealed(self.seals, self.clock, self.settings.audit_days)

    def close(self) -> None:
        """Write what waits, seal the audit trail, and close the database."""
        try:
            if self.trail.is_waiting:
                self.database.write_now(lambda _: None)
            if strand := self.trail.finish():
                self.seals.seal(ended=strand)
        except ServiceUnavailable:  # closed already, or the database takes nothing
            pass
        except SetupError as error:
            log.critical("the audit trail cannot be sealed: %s", error)
        self.database.close()


def is_initialised(settings: Settings) -> bool:
    """Whether there is a master key file, or a database that another key provider opens. Raises SetupError."""
    if settings.has_key_file:
        return settings.master_key_file.exists()
    with _as_setup_error(settings):
        if not migrations.was_made(settings.database_address):
            return False
    with closing(Database(settings.database_address)) as database:
        return database.read_now(partial(read_fact, name=KEY_FACT)) is not None


def key_provider(settings: Settings) -> KeyProvider:
    """Open the provider of the master key. Raises SetupError."""
    if settings.has_key_file:
        return FileKeyProvider.read(settings.master_key_file)
    # Only these providers need their libraries.
    from likeness.kit.key_providers import open_provider  # noqa: PLC0415

    return open_provider(
        settings.key_provider,
        master_key=settings.master_key,
        module=settings.pkcs11_module,
        pin=settings.pkcs11_pin,
    )


def initialise(settings: Settings) -> None:
    """Make the data folder, the database and the master key. Raises SetupError when there is already data."""
    if is_initialised(settings):
        raise SetupError(f"there is a master key at {settings.key_place} already; this data folder is set up")
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    _upgrade(settings)
    keys = FileKeyProvider.new() if settings.has_key_file else key_provider(settings)
    with closing(Database(settings.database_address)) as database:
        if database.read_now(_holds_data):
            raise SetupError(
                f"there is data in the database of {settings.data_dir} but no key at {settings.key_place}: "
                "restore the key file"
            )
        _make_key(database, keys)
    (settings.data_dir / KEPT_NAME).unlink(missing_ok=True)  # of another deployment
    # The key comes last: a data folder with a key is complete.
    if isinstance(keys, FileKeyProvider):
        keys.save(settings.master_key_file)


def _holds_data(connection: Connection) -> bool:
    """Whether the database may have data that an earlier master key sealed.

    An ``init`` that stopped half-way leaves at most the deployment's key. That key has sealed nothing.
    """
    facts = select(deployment).where(deployment.c.name != KEY_FACT)
    return any(connection.execute(query.limit(1)).first() for query in (facts, select(tenants), select(signing_keys)))


def open_deployment(settings: Settings, clock: Clock | None = None) -> Deployment:
    """Open an existing data folder, and upgrade its database to the newest version.

    Raises SetupError when the key or the database is missing, or the key belongs to other data.
    """
    keys = key_provider(settings)
    with _as_setup_error(settings):
        if not migrations.was_made(settings.database_address):
            raise _no_database(settings)
    _upgrade(settings)
    clock = clock or SystemClock()
    database = Database(settings.database_address, shared=settings.shares_galleries)
    try:
        key, context = _open_key(settings, database, keys)
        trail_key, signer = _derived(key, "audit trail"), _signer(key)
        trail = Trail(trail_key, clock)
        database.keep(trail)
        database.authenticate(_row_key(key, trail))
        if context != KEY_CONTEXT:
            authenticate_rows(database)
            database.write_now(partial(_rows_are_authentic, sealed=keys.wrap(key, KEY_CONTEXT)))
    except BaseException:
        database.close()
        raise
    return Deployment(
        settings=settings,
        clock=clock,
        database=database,
        keys=keys,
        tenants=Tenants(database, keys, clock, _derived(key, "tenants")),
        clients=Clients(database, ClientSecrets(_derived(key, "client secret")), clock),
        signing_keys=SigningKeys(database, keys, clock),
        trail=trail,
        seals=Seals(database, trail_key, signer, clock, settings.data_dir / KEPT_NAME),
        key=key,
    )


def _row_key(key: bytes, trail: Trail) -> RowKey:
    """Give the key of the deployment's rows. An altered row leaves a record in the audit trail."""
    rows = RowKey(_derived(key, "rows"))
    rows.report = lambda table, name: trail.record(Action.ALTERATION, f"{table} {name}", actor=SERVER)
    return rows


def _rows_are_authentic(connection: Connection, *, sealed: bytes) -> None:
    record_fact(connection, KEY_FACT, sealed.hex())
    note(connection, Action.AUTHENTICATION, None)


def _open_key(settings: Settings, database: Database, keys: KeyProvider) -> tuple[bytes, str]:
    """Give the deployment's key, and the context that it is sealed with.

    Raises SetupError when the master key belongs to other data, or the data is missing.
    """
    if database.read_now(read_mark) is not None:
        raise SetupError("a move or a restore to this database has not ended: run the same command again")
    sealed = database.read_now(partial(read_fact, name=KEY_FACT))
    if sealed is not None:
        return _unwrap_key(settings, sealed, keys)
    used = database.read_now(_stored_keys)
    if not used:
        raise _no_database(settings)
    if not any(_opens(keys, *each) for each in used):
        raise _wrong_key(settings)
    return _make_key(database, keys, KEY_FACT), KEY_FACT


def move_token(connection: Connection, *, settings: Settings, purpose: str) -> str:
    """Name a deployment and a purpose, by the deployment's key, for a move out of its database.

    Raises SetupError when the master key is missing or belongs to other data.
    """
    sealed = read_fact(connection, KEY_FACT)
    if sealed is None:
        raise _no_database(settings)
    key, _ = _unwrap_key(settings, sealed, key_provider(settings))
    return _derived(key, f"move to {purpose}").hex()


def signer_of(sealed_key: str, keys: KeyProvider) -> StatementSigner:
    """Give what signs a deployment's statements, by its sealed key. Raises SetupError for another master key."""
    return _signer(_opened_key(sealed_key, keys)[0])


def _signer(key: bytes) -> StatementSigner:
    return StatementSigner(_derived(key, "signed statements"))


def _unwrap_key(settings: Settings, sealed: str, keys: KeyProvider) -> tuple[bytes, str]:
    try:
        return _opened_key(sealed, keys)
    except SetupError as error:
        raise _wrong_key(settings) from error


def _opened_key(sealed: str, keys: KeyProvider) -> tuple[bytes, str]:
    """Give the deployment's key, and the context that it is sealed with. Raises SetupError."""
    try:
        return keys.unwrap(bytes.fromhex(sealed), KEY_CONTEXT), KEY_CONTEXT
    except SetupError:
        return keys.unwrap(bytes.fromhex(sealed), KEY_FACT), KEY_FACT


def _make_key(database: Database, keys: KeyProvider, context: str = KEY_CONTEXT) -> bytes:
    key = new_data_key()
    database.write_now(partial(record_fact, name=KEY_FACT, value=keys.wrap(key, context).hex()))
    return key


def _stored_keys(connection: Connection) -> list[tuple[bytes, str]]:
    """Give all that an older deployment sealed with the master key: pairs of sealed bytes and their context."""
    old = read_fact(connection, OLD_KEY_FACT)
    return [
        *([(bytes.fromhex(old), OLD_KEY_FACT)] if old else []),
        *((row.sealed_key, key_context(row.tenant_id, row.number)) for row in connection.execute(select(data_keys))),
        *((row.sealed_private_key, row.kid) for row in connection.execute(select(signing_keys))),
    ]


def _opens(keys: KeyProvider, sealed: bytes, context: str) -> bool:
    try:
        keys.unwrap(sealed, context)
    except SetupError:
        return False
    return True


def _wrong_key(settings: Settings) -> SetupError:
    return SetupError(
        f"the key at {settings.key_place} is a wrong master key: it is not the one that this data was made with. "
        "Nothing was changed; restore the key file that belongs to the data"
    )


def _no_database(settings: Settings) -> SetupError:
    place = "LIKENESS_DATABASE_URL" if settings.database_url else str(settings.database_file)
    return SetupError(
        f"there is a master key at {settings.key_place}, but no database of this deployment at {place}: "
        "restore it from a backup. For a new deployment, move the key file and the data folder away and run "
        "`likeness init`"
    )


def _derived(key: bytes, purpose: str) -> bytes:
    return hmac.digest(key, purpose.encode(), hashlib.sha256)


def is_outdated(settings: Settings) -> bool:
    """Whether the next opening would upgrade the database. Raises SetupError if it cannot be opened."""
    with _as_setup_error(settings):
        return migrations.was_made(settings.database_address) and not migrations.is_newest(settings.database_address)


def _upgrade(settings: Settings) -> None:
    """Upgrade the database to the newest version. Raises SetupError."""
    if settings.database_url is None:
        with suppress(OSError):  # the upgrade below meets the same fault, and names it
            keep_private(settings.database_file)
    with _as_setup_error(settings):
        migrations.upgrade(settings.database_address)


@contextmanager
def _as_setup_error(settings: Settings) -> Iterator[None]:
    """Raise SetupError with advice to the operator when the database cannot be opened within the block."""
    try:
        yield
    except DBAPIError as error:
        raise SetupError(
            f"the database of {settings.data_dir} cannot be opened ({error.orig}): is its disk full, read-only or "
            "missing, or its server unreachable?"
        ) from error
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        # The message omits the address, because it may have a password.
        raise SetupError(
            "LIKENESS_DATABASE_URL is not the address of a database that can be used here. An example is "
            "postgresql+psycopg://user@host/name, which needs likeness-server[postgres]"
        ) from error
    except migrations.UnknownVersion as error:
        raise SetupError(
            f"the database of {settings.data_dir} was made by another version of Likeness, probably a newer one "
            f"({error}): install that one"
        ) from error
