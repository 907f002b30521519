"""Clients in the database."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, Row, Text, Update, cast, delete, insert, select, update

from likeness.access.schemas import ClientSettings, Scores
from likeness.audit.actions import Action
from likeness.audit.trail import note
from likeness.store.tables import clients, used_assertions
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

    @property
    def enabled(self) -> bool:
        return not self.disabled and self.settings is not None

    @property
    def certificates(self) -> tuple[str, ...]:
        return self.settings.certificates if self.settings else ()

    @property
    def hides_scores(self) -> bool:
        return self.settings is None or self.settings.scores is Scores.LEVEL

    def allows(self, address: PeerAddress | None) -> bool:
        """Whether the client may call from an address."""
        return self.enabled and self.settings is not None and self.settings.allows(address)


def _client(row: Row[Any]) -> ClientRow:
    try:
        settings = ClientSettings.model_validate(row.settings)
    except ValidationError:
        settings = None
    secrets = tuple(SecretRow(**secret) for secret in row.secrets)
    return ClientRow(
        row.id, row.tenant_id, row.name, tuple(row.scopes), secrets, settings, disabled=row.disabled_at is not None
    )


def add_client(connection: Connection, row: ClientRow, *, created_at: float) -> None:
    """Store a new client."""
    assert row.settings is not None
    connection.execute(
        insert(clients).values(
            id=row.id,
            tenant_id=row.tenant_id,
            name=row.name,
            scopes=list(row.scopes),
            secrets=_stored(row.secrets),
            settings=row.settings.model_dump(mode="json", exclude_unset=True),
            created_at=created_at,
        )
    )
    note(connection, Action.CLIENT_CREATION, row.id, tenant=row.tenant_id)


def find_client(connection: Connection, client_id: str) -> ClientRow | None:
    """Give a client, also a disabled one, or None."""
    row = connection.execute(select(clients).where(clients.c.id == client_id)).one_or_none()
    return _client(row) if row else None


def clients_with_keys(connection: Connection) -> list[ClientRow]:
    """Give the enabled clients of all tenants that have keys or certificates of their own."""
    with_settings = cast(clients.c.settings, Text) != "{}"
    rows = connection.execute(select(clients).where(clients.c.disabled_at.is_(None), with_settings))
    return [each for each in map(_client, rows) if each.settings and (each.settings.keys or each.certificates)]


def clients_of(connection: Connection, tenant_id: str) -> list[ClientRow]:
    """Give a tenant's clients, the oldest first. Disabled clients are among them."""
    query = select(clients).where(clients.c.tenant_id == tenant_id).order_by(clients.c.created_at)
    return [_client(row) for row in connection.execute(query)]


def disable_client(connection: Connection, client_id: str, *, now: float) -> bool:
    """Disable a client. False when there is no such client, or it is disabled already."""
    change = update(clients).where(clients.c.id == client_id, clients.c.disabled_at.is_(None)).values(disabled_at=now)
    return _noted(connection, Action.CLIENT_DISABLING, client_id, change)


def set_secrets(connection: Connection, client_id: str, secrets: Sequence[SecretRow]) -> None:
    """Replace a client's secrets."""
    change = update(clients).where(clients.c.id == client_id).values(secrets=_stored(secrets))
    _noted(connection, Action.CLIENT_SECRET, client_id, change)


def set_client_settings(
    connection: Connection, client_id: str, settings: ClientSettings, *, scopes: Sequence[str] | None = None
) -> None:
    """Replace a client's settings, and its permissions if they are given."""
    values: dict[str, Any] = {"settings": settings.model_dump(mode="json", exclude_unset=True)}
    if scopes is not None:
        values["scopes"] = list(scopes)
    change = update(clients).where(clients.c.id == client_id).values(values)
    _noted(connection, Action.CLIENT_CHANGE, client_id, change)


def _noted(connection: Connection, action: Action, client_id: str, change: Update) -> bool:
    """Make a change of one client with its record. False when it changes nothing."""
    tenant = connection.execute(change.returning(clients.c.tenant_id)).scalar_one_or_none()
    if tenant is not None:
        note(connection, action, client_id, tenant=tenant)
    return tenant is not None


def _stored(secrets: Sequence[SecretRow]) -> list[dict[str, Any]]:
    return [asdict(secret) for secret in secrets]


def use_assertion(connection: Connection, client: ClientRow, digest: str, *, now: float, ends_at: float) -> None:
    """Note that a client's assertion is used, until it ends. Raises IntegrityError if it was used before."""
    mine = used_assertions.c.client_id == client.id
    connection.execute(delete(used_assertions).where(mine, used_assertions.c.ends_at <= now))
    row = {"client_id": client.id, "digest": digest, "tenant_id": client.tenant_id, "ends_at": ends_at}
    connection.execute(insert(used_assertions).values(row))
