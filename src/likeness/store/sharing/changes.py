"""The log of what changes in the galleries of a PostgreSQL database, by which other processes follow them.

Each change of a tenant's gallery that an index must know gets the tenant's next number. The numbers of a tenant have no
gap, and have the order of the commits. A transaction notes its changes while it works. Its end writes them at once:
however many changes of a tenant it has, they cost one statement, and one notification.

A change first locks the tenant's row in ``galleries``. PostgreSQL then lets one transaction at a time change a gallery,
and each statement after the lock sees all that the one before has committed. The writer locks the tenants of a group
in one order, so that two processes do not wait for each other.

SQLite's database belongs to one process, whose indexes follow its own commits. So there the log has no reader, and is
not written. It would make an insert half as costly again in a group of 32, and twice as costly alone.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import Connection, Dialect, Transaction, delete, func, select, tuple_

from likeness.store.statements import run_on_driver
from likeness.store.tables import galleries, gallery_changes

CHANNEL = "likeness_gallery"
"""PostgreSQL notifies its listeners here. The payload is the tenant's id."""
KEPT_CHANGES = 100_000
"""Newest changes of a tenant that a trim keeps. A follower that is further behind loads the gallery anew."""
TRIMMED_AT_ONCE = 10_000
_NOTED = "likeness_changes"
_LOCK = "SELECT tenant_id, sealed_roll FROM galleries WHERE tenant_id = ANY(%(tenants)s) ORDER BY tenant_id FOR UPDATE"
_WRITE = """
WITH raised AS (
    UPDATE galleries SET number = number + %(count)s, sealed_roll = coalesce(%(roll)s::bytea, sealed_roll)
    WHERE tenant_id = %(tenant)s RETURNING number
),
logged AS (
    INSERT INTO gallery_changes (tenant_id, number, kind, entry_key, pack)
    SELECT %(tenant)s, raised.number - %(count)s + change.place, change.kind, change.entry_key, change.pack
    FROM raised, unnest(%(kinds)s::text[], %(keys)s::bigint[], %(packs)s::text[])
        WITH ORDINALITY AS change (kind, entry_key, pack, place)
)
SELECT pg_notify(%(channel)s, %(tenant)s) FROM raised
"""
"""One statement, because each one costs a change that comes alone as much as its own insert."""


class ChangeKind(StrEnum):
    """What a change did to a gallery. The words are stored."""

    ADDED = "added"
    """An entry came with its templates of all packs."""
    ERASED = "erased"
    """An entry went with all its templates."""
    TEMPLATE_SET = "template set"
    """An entry has a new template of one pack."""
    TEMPLATE_DROPPED = "template dropped"
    """An entry lost its template of one pack."""
    PACKS = "packs"
    """The gallery's pack or its shadow may have changed."""


@dataclass(frozen=True, slots=True)
class NewChange:
    """A change without its number. ``entry_key`` and ``pack`` are None where the kind needs none."""

    kind: ChangeKind
    entry_key: int | None = None
    pack: str | None = None


@dataclass(slots=True)
class _Noted:
    """What one transaction holds and has changed so far."""

    transaction: Transaction | None
    locked: frozenset[str] = frozenset()
    changes: list[tuple[str, NewChange]] = field(default_factory=list)
    rolls: dict[str, bytes | None] = field(default_factory=dict)
    """The sealed rolls of the locked galleries, as they were at the lock."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a transaction to which it can go back."""

    locked: frozenset[str]
    changes: int


def keeps_log(dialect: Dialect) -> bool:
    """Whether a database of this dialect keeps the log."""
    return dialect.name == "postgresql"


def lock_galleries(connection: Connection, tenant_ids: Iterable[str]) -> None:
    """Let no other transaction change these galleries until this one ends. Does nothing on SQLite.

    A tenant without a gallery stays unlocked.
    """
    if not keeps_log(connection.dialect):
        return
    noted = _noted(connection)
    wanted = set(tenant_ids) - noted.locked
    if wanted:
        found = run_on_driver(connection, _LOCK, {"tenants": list(wanted)})
        rolls = dict(found.fetchall())
        noted.rolls.update(rolls)
        noted.locked |= rolls.keys()


def rolls_at_lock(connection: Connection) -> Mapping[str, bytes | None]:
    """Give the sealed rolls of the galleries that the transaction has locked, as they were then."""
    return _noted(connection).rolls


def note_changes(connection: Connection, tenant_id: str, changes: Collection[NewChange]) -> None:
    """Give changes of a tenant's gallery the next numbers when the transaction ends. Does nothing on SQLite.

    The caller has locked the gallery before it read what it changes. Raises LookupError if there is no gallery yet.
    """
    if not (changes and keeps_log(connection.dialect)):
        return
    lock_galleries(connection, [tenant_id])
    noted = _noted(connection)
    if tenant_id not in noted.locked:
        raise LookupError("a gallery must have its packs before it has entries")
    noted.changes.extend((tenant_id, change) for change in changes)


def note_end(connection: Connection, tenant_id: str) -> None:
    """Wake followers of a gallery that this transaction deletes with its number and its log."""
    if keeps_log(connection.dialect):
        noted = _noted(connection)
        noted.changes = [each for each in noted.changes if each[0] != tenant_id]
        noted.locked -= {tenant_id}
        connection.execute(select(func.pg_notify(CHANNEL, tenant_id)))


def mark(connection: Connection) -> Mark:
    """Give the present place, before a savepoint."""
    noted = _noted(connection)
    return Mark(noted.locked, len(noted.changes))


def go_back(connection: Connection, place: Mark) -> None:
    """Forget what was locked and noted since, after the return to the savepoint."""
    noted = _noted(connection)
    noted.locked = place.locked
    del noted.changes[place.changes :]


def write_changes(connection: Connection, rolls: Mapping[str, bytes]) -> None:
    """Write the noted changes with their numbers and the galleries' new rolls, and notify.

    It is the transaction's last step before its commit.
    """
    noted = _noted(connection)
    by_tenant: dict[str, list[NewChange]] = {}
    for tenant_id, change in noted.changes:
        by_tenant.setdefault(tenant_id, []).append(change)
    noted.changes.clear()
    for tenant_id, changes in by_tenant.items():
        kinds, keys, packs = zip(*((str(each.kind), each.entry_key, each.pack) for each in changes), strict=True)
        values = {"kinds": list(kinds), "keys": list(keys), "packs": list(packs), "roll": rolls.get(tenant_id)}
        run_on_driver(connection, _WRITE, {**values, "tenant": tenant_id, "count": len(changes), "channel": CHANNEL})


def trim_changes(connection: Connection, *, kept: int = KEPT_CHANGES, limit: int = TRIMMED_AT_ONCE) -> int:
    """Delete at most ``limit`` changes that are older than each tenant's newest ``kept``. Give the number deleted."""
    if not keeps_log(connection.dialect):
        return 0
    old = (
        select(gallery_changes.c.tenant_id, gallery_changes.c.number)
        .join(galleries, galleries.c.tenant_id == gallery_changes.c.tenant_id)
        .where(gallery_changes.c.number <= galleries.c.number - kept)
        .limit(limit)
    )
    place = tuple_(gallery_changes.c.tenant_id, gallery_changes.c.number)
    return connection.execute(delete(gallery_changes).where(place.in_(old))).rowcount


def _noted(connection: Connection) -> _Noted:
    """Give the notes of the present transaction. Those of an earlier one, which was rolled back, are dropped."""
    transaction = connection.get_transaction()
    noted: _Noted | None = connection.info.get(_NOTED)
    if noted is None or noted.transaction is not transaction:
        noted = connection.info[_NOTED] = _Noted(transaction)
    return noted
