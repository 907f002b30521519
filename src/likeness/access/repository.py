"""Clients in the database."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, Row, Select, Text, cast, delete, insert, select, update

from likeness.access.schemas import ClientSettings, Scores
from likeness.audit.actions import Action
from likeness.audit.trail import note
from likeness.errors import SetupError
from likeness.store.authentic.rows import row_key_of
from likeness.store.tables import clients, used_assertions
from likeness.tenants.register import enter_client, register_of
from likeness.web.addresses import PeerAddress


@dataclass(frozen=True, slots=True)
class SecretRow:
    """One of a client's secrets as stored. Only its fingerprint is kept. Times are seconds since the Unix epoch."""

    id: str
    fingerprint: str
    created_at: float
    expires_at: float | None = None

    def is_live(self, now: float) -> bool:
        return self.expires_at is None or now < self.expires_at

    def ending_at(self, moment: float) -> "SecretRow":
        """Give the secret with an end, which is never later than its own."""
        return replace(self, expires_at=moment if self.expires_at is None else min(moment, self.expires_at))


@dataclass(frozen=True, slots=True)
class ClientRow:
    """A client as stored."""

    id: str
    tenant_id: str
    name: str
    scopes: tuple[str, ...]
    secrets: tuple[SecretRow, ...]
    settings: ClientSettings | None
    """None if the stored settings are damaged. Such a client may do nothing."""
    disabled: bool = False
    authentic: bool = True
    """Whether the row is the newest one that Likeness wrote for the client. Otherwise the client may do nothing."""

    @property
    def enabled(self) -> bool:
        return self.authentic and not self.disabled and self.settings is not None

    @property
    def certificates(self) -> tuple[str, ...]:
        return self.settings.certificates if self.settings else ()

    @property
    def hides_scores(self) -> bool:
        return self.settings is None or self.settings.scores is Scores.LEVEL

    def allows(self, address: PeerAddress | None) -> bool:
        """Whether the client may call from an address."""
        return self.enabled and self.settings is not None and self.settings.allows(address)


def _client(row: Row[Any], *, authentic: bool) -> ClientRow:
    if not authentic:
        return ClientRow(row.id, row.tenant_id, row.name, (), (), None, authentic=False)
    try:
        settings = ClientSettings.model_validate(row.settings)
    except ValidationError:
        settings = None
    secrets = tuple(SecretRow(**secret) for secret in row.secrets)
    scopes, disabled = tuple(row.scopes), row.disabled_at is not None
    return ClientRow(row.id, row.tenant_id, row.name, scopes, secrets, settings, disabled=disabled)


def _clients(connection: Connection, query: Select[Any]) -> list[ClientRow]:
    """Give the clients of a query for whole rows."""
    rows = connection.execute(query).all()
    registers = {tenant_id: register_of(connection, tenant_id) for tenant_id in {row.tenant_id for row in rows}}
    return [_client(row, authentic=_is_newest(connection, row, registers[row.tenant_id])) for row in rows]


def _is_newest(connection: Connection, row: Row[Any], register: Mapping[str, str]) -> bool:
    key = row_key_of(connection)
    if not key.is_authentic(clients, row._asdict(), row.mac):
        return False
    if register.get(row.id) == row.mac.hex():
        return True
    key.raise_alarm(clients, row.id)
    return False


def add_client(connection: Connection, row: ClientRow, *, created_at: float) -> None:
    """Store a new client. Raises SetupError if the tenant's row is not authentic."""
    assert row.settings is not None
    values = {
        "id": row.id,
        "tenant_id": row.tenant_id,
        "name": row.name,
        "scopes": list(row.scopes),
        "secrets": _stored(row.secrets),
        "settings": row.settings.model_dump(mode="json", exclude_unset=True),
        "created_at": created_at,
        "disabled_at": None,
    }
    mac = row_key_of(connection).mac(clients, values)
    enter_client(connection, row.tenant_id, row.id, mac, now=created_at)
    connection.execute(insert(clients).values(**values, mac=mac))
    note(connection, Action.CLIENT_CREATION, row.id, tenant=row.tenant_id)


def find_client(connection: Connection, client_id: str) -> ClientRow | None:
    """Give a client, also a disabled one, or None."""
    found = _clients(connection, select(clients).where(clients.c.id == client_id))
    return found[0] if found else None


def clients_with_keys(connection: Connection) -> list[ClientRow]:
    """Give the enabled clients of all tenants that have keys or certificates of their own."""
    with_settings = cast(clients.c.settings, Text) != "{}"
    rows = _clients(connection, select(clients).where(clients.c.disabled_at.is_(None), with_settings))
    return [each for each in rows if each.enabled and each.settings and (each.settings.keys or each.certificates)]


def clients_of(connection: Connection, tenant_id: str) -> list[ClientRow]:
    """Give a tenant's clients, the oldest first. Disabled clients are among them."""
    return _clients(connection, select(clients).where(clients.c.tenant_id == tenant_id).order_by(clients.c.created_at))


def disable_client(connection: Connection, client_id: str, *, now: float) -> bool:
    """Disable a client. False when there is no such client, or it is disabled already."""
    return _change(connection, Action.CLIENT_DISABLING, client_id, now=now, disabled_at=now)


def set_secrets(connection: Connection, client_id: str, secrets: Sequence[SecretRow], *, now: float) -> None:
    """Replace a client's secrets. Raises SetupError if the client's row is not authentic."""
    _change(connection, Action.CLIENT_SECRET, client_id, now=now, secrets=_stored(secrets))


def set_client_settings(
    connection: Connection,
    client_id: str,
    settings: ClientSettings,
    *,
    now: float,
    scopes: Sequence[str] | None = None,
) -> None:
    """Replace a client's settings, and its permissions if they are given.

    Raises SetupError if the client's row is not authentic.
    """
    values: dict[str, Any] = {"settings": settings.model_dump(mode="json", exclude_unset=True)}
    if scopes is not None:
        values["scopes"] = list(scopes)
    _change(connection, Action.CLIENT_CHANGE, client_id, now=now, **values)


def _change(connection: Connection, action: Action, client_id: str, *, now: float, **values: Any) -> bool:
    """Make a change of one client with its record. False when there is no such client, or it is disabled already.

    A client that is not authentic can only be disabled, and stays not authentic. Any other change of it would make the
    rest of its row authentic: raise SetupError.
    """
    row = connection.execute(select(clients).where(clients.c.id == client_id).with_for_update()).one_or_none()
    if row is None or (action is Action.CLIENT_DISABLING and row.disabled_at is not None):
        return False
    if _is_newest(connection, row, register_of(connection, row.tenant_id)):
        values["mac"] = row_key_of(connection).mac(clients, {**row._asdict(), **values})
        enter_client(connection, row.tenant_id, client_id, values["mac"], now=now)
    elif action is not Action.CLIENT_DISABLING:
        raise SetupError(f"the row of client {client_id} was altered: restore it from a backup, or make a new client")
    connection.execute(update(clients).where(clients.c.id == client_id).values(values))
    note(connection, action, client_id, tenant=row.tenant_id)
    return True


def _stored(secrets: Sequence[SecretRow]) -> list[dict[str, Any]]:
    return [asdict(secret) for secret in secrets]


def use_assertion(connection: Connection, client: ClientRow, digest: str, *, now: float, ends_at: float) -> None:
    """Note that a client's assertion is used, until it ends. Raises IntegrityError if it was used before."""
    mine = used_assertions.c.client_id == client.id
    connection.execute(delete(used_assertions).where(mine, used_assertions.c.ends_at <= now))
    row = {"client_id": client.id, "digest": digest, "tenant_id": client.tenant_id, "ends_at": ends_at}
    connection.execute(insert(used_assertions).values(row))
