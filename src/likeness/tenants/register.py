"""The register in a tenant's row: the MAC of the newest row of each of its clients.

So a client's row is authentic only if it is also the newest one that Likeness wrote. An older copy of it, with a secret
that has ended or a permission that was taken away, is refused.
"""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Text, cast, select, update

from likeness.errors import SetupError
from likeness.store.authentic.rows import row_key_of
from likeness.store.tables import clients, tenants

STORED = (
    *(tenants.c.id, tenants.c.name, cast(tenants.c.settings, Text).label("settings")),
    *(cast(tenants.c.register, Text).label("register"), tenants.c.created_at, tenants.c.changed_at, tenants.c.mac),
)
"""The columns of a tenant's row. JSON is not parsed, because one tenant's may be damaged."""


def parsed(connection: Connection, row: Any) -> dict[str, Any] | None:
    """Give the values of a row of ``STORED`` by name, or None if it is not authentic."""
    key = row_key_of(connection)
    values = {name: getattr(row, name) for name in ("id", "name", "created_at", "changed_at")}
    try:
        values |= {name: json.loads(getattr(row, name)) for name in ("settings", "register")}
    except (TypeError, ValueError):
        key.raise_alarm(tenants, row.id)
        return None
    return values if key.is_authentic(tenants, values, row.mac) else None


def register_of(connection: Connection, tenant_id: str) -> Mapping[str, str]:
    """Give the register of a tenant. It is empty if the tenant's row is not authentic."""
    values = _read(connection, tenant_id)
    register: Mapping[str, str] = values["register"] if values else {}
    return register


def enter_client(connection: Connection, tenant_id: str, client_id: str, mac: bytes, *, now: float) -> None:
    """Note the newest row of a client. Raises SetupError if the tenant's row is not authentic."""
    values = _read(connection, tenant_id, lock=True)
    if values is None:
        raise SetupError(
            f"the row of tenant {tenant_id} was altered: restore it from a backup, or check its settings and clients, "
            f"and run `likeness tenant set {tenant_id}`"
        )
    change_tenant(connection, {**values, "register": {**values["register"], client_id: mac.hex()}}, now=now)


def change_tenant(connection: Connection, values: Mapping[str, Any], *, now: float) -> None:
    """Replace the settings and the register of a tenant's row."""
    changed = {**values, "changed_at": now}
    stamped = {name: changed[name] for name in ("settings", "register", "changed_at")}
    stamped["mac"] = row_key_of(connection).mac(tenants, changed)
    connection.execute(update(tenants).where(tenants.c.id == values["id"]).values(stamped))


def register_anew(connection: Connection, tenant_id: str) -> dict[str, str]:
    """Give the register that the rows of a tenant's clients make: of those that Likeness wrote once."""
    key = row_key_of(connection)
    rows = connection.execute(select(clients).where(clients.c.tenant_id == tenant_id))
    return {row.id: row.mac.hex() for row in rows if key.is_authentic(clients, row._asdict(), row.mac)}


def _read(connection: Connection, tenant_id: str, *, lock: bool = False) -> dict[str, Any] | None:
    query = select(*STORED).where(tenants.c.id == tenant_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return parsed(connection, row) if row else None
