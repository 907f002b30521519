"""The first MACs of rows that an older version wrote. They are taken as they are, once: see ``docs/security.md``."""

import logging

from sqlalchemy import Connection, Table, bindparam, select, update

from likeness.store.authentic.roll import ON_THE_ROLL, Roll, set_roll
from likeness.store.authentic.rows import COVERED, COVERED_IF_GIVEN, row_key_of
from likeness.store.database import Database
from likeness.store.sharing.changes import lock_galleries
from likeness.store.tables import clients, face_sessions, galleries, gallery_entries, tenants

log = logging.getLogger("likeness.store")
ROWS_AT_ONCE = 5000


def authenticate_rows(database: Database) -> None:
    """Give every row its MAC, every tenant its register, and every gallery its roll. Blocks, and may be repeated.

    What an earlier call has done stays done. Raises ServiceUnavailable.
    """
    for table in (clients, gallery_entries, face_sessions):
        _give_macs(database, table)
    for tenant_id in database.read_now(lambda c: c.execute(select(tenants.c.id)).scalars().all()):
        database.write_now(lambda c, tenant_id=tenant_id: _give_register(c, tenant_id))  # type: ignore[misc]
    _give_macs(database, tenants)
    bare = select(galleries.c.tenant_id).where(galleries.c.sealed_roll.is_(None))
    for tenant_id in database.read_now(lambda c: c.execute(bare).scalars().all()):
        database.write_now(lambda c, tenant_id=tenant_id: call_roll(c, tenant_id))  # type: ignore[misc]


def call_roll(connection: Connection, tenant_id: str) -> None:
    """Replace a gallery's roll by that of its present entries, without those that are marked as put back."""
    lock_galleries(connection, [tenant_id])
    query = select(gallery_entries.c.key).where(gallery_entries.c.tenant_id == tenant_id, ON_THE_ROLL)
    set_roll(connection, tenant_id, Roll.of(row_key_of(connection), connection.execute(query).scalars()))


def _give_macs(database: Database, table: Table) -> None:
    done = 0
    while changed := database.write_now(lambda c: _give_some(c, table)):
        done += changed
        log.warning("%d rows of %s were taken as they are, and have MACs from now on", done, table.name)


def _give_some(connection: Connection, table: Table) -> int:
    (name,) = (column.name for column in table.primary_key.columns)
    covered = [table.c[column] for column in (*COVERED[table.name], *COVERED_IF_GIVEN.get(table.name, ()))]
    rows = connection.execute(select(*covered).where(table.c.mac.is_(None)).limit(ROWS_AT_ONCE)).all()
    key = row_key_of(connection)
    changes = [{"its": getattr(row, name), "new": key.mac(table, row._asdict())} for row in rows]
    if changes:
        mine = table.c[name] == bindparam("its")
        connection.execute(update(table).where(mine).values(mac=bindparam("new")), changes)
    return len(changes)


def _give_register(connection: Connection, tenant_id: str) -> None:
    mine = (tenants.c.id == tenant_id) & tenants.c.mac.is_(None)
    rows = connection.execute(select(clients.c.id, clients.c.mac).where(clients.c.tenant_id == tenant_id))
    register = {row.id: row.mac.hex() for row in rows}
    connection.execute(update(tenants).where(mine).values(register=register, changed_at=tenants.c.created_at))
