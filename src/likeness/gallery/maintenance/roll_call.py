"""The comparison of a gallery's entries with its roll, before the gallery answers.

A difference says that somebody put back entries, or took them away. The roll is only a sum, so it does not name them.
But any guess can be checked against it exactly: without the guessed entries, the sum must be right. The guesses are the
entries whose erasure the audit trail has, and each single entry. When no guess is right, the gallery is refused.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, select

from likeness.audit.actions import Action
from likeness.gallery.repository import NOT_ON_THE_ROLL, GalleryRepository
from likeness.store.authentic.roll import NOBODY, ON_THE_ROLL, Roll, members, read_rolls
from likeness.store.authentic.rows import RowKey, row_key_of
from likeness.store.statements import PreparedQuery
from likeness.store.tables import audit_records, galleries, gallery_entries

SEARCHED_AT_ONCE = 1_000_000
NOT_RIGHT = (
    "its entries are not those that Likeness has written: somebody put entries back or took them away. Restore the "
    "database from a backup, or run `likeness gallery verify`"
)
_Keys = NDArray[np.int64]
_KEYS = PreparedQuery(
    select(gallery_entries.c.key).where(gallery_entries.c.tenant_id == bindparam("tenant"), ON_THE_ROLL)
)


@dataclass(frozen=True, slots=True)
class RollFault:
    """A gallery whose entries are not those of its roll."""

    surplus: frozenset[int] = frozenset()
    """Keys of the entries that are not on the roll."""
    missing: frozenset[int] = frozenset()
    """Keys of the entries that are on the roll and not there."""
    explained: bool = False
    """Whether these are all. Otherwise nobody can tell which entries are right."""

    def __str__(self) -> str:
        if not self.explained:
            return NOT_RIGHT
        parts = (f"{len(self.surplus)} entries were put back", f"{len(self.missing)} entries were taken away")
        return ", and ".join(part for part, keys in zip(parts, (self.surplus, self.missing), strict=True) if keys)


def call_rolls(connection: Connection, tenant_ids: Sequence[str]) -> Mapping[str, RollFault]:
    """Compare the galleries of some tenants with their rolls. Give the faults by tenant, and raise the alarm."""
    key, rolls = row_key_of(connection), read_rolls(connection, tenant_ids)
    faults: dict[str, RollFault] = {}
    for tenant_id, present in _keys_of(connection, tenant_ids).items():
        roll = rolls[tenant_id]
        if roll is not None and Roll.of(key, present.tolist()) == roll:
            continue
        key.raise_alarm(galleries, tenant_id)
        faults[tenant_id] = RollFault() if roll is None else _explained(connection, key, tenant_id, present, roll)
    return faults


def refuse_surplus(connection: Connection, tenant_id: str, fault: RollFault) -> None:
    """Let no search find the entries that are not on the roll."""
    if fault.surplus:
        GalleryRepository(tenant_id).refuse(connection, fault.surplus, NOT_ON_THE_ROLL)


def _keys_of(connection: Connection, tenant_ids: Sequence[str]) -> dict[str, _Keys]:
    """Give the keys of the entries of some tenants that should be on their rolls."""
    if len(tenant_ids) == 1:
        rows = _KEYS(connection, tenant=tenant_ids[0])
        return {tenant_ids[0]: np.fromiter(chain.from_iterable(rows), np.int64, len(rows))}
    found: defaultdict[str, list[int]] = defaultdict(list)
    mine = gallery_entries.c.tenant_id.in_(tenant_ids)
    query = select(gallery_entries.c.tenant_id, gallery_entries.c.key).where(mine, ON_THE_ROLL)
    for tenant_id, entry_key in connection.execute(query):
        found[tenant_id].append(entry_key)
    return {tenant_id: np.array(found[tenant_id], np.int64) for tenant_id in tenant_ids}


def _explained(connection: Connection, key: RowKey, tenant_id: str, present: _Keys, roll: Roll) -> RollFault:
    erased = _erased(connection, tenant_id)
    surplus = present[np.isin(present, erased)]
    rest = present[~np.isin(present, surplus)]
    difference = Roll.of(key, rest.tolist()).minus(roll)
    if difference == NOBODY:
        return RollFault(frozenset(surplus.tolist()), explained=True)
    newest = int(max(present.max(initial=0), erased.max(initial=0)))
    if difference.count == 1 and (one := _find(key, rest, difference)) is not None:
        return RollFault(frozenset([*surplus.tolist(), one]), explained=True)
    if difference.count == -1 and (one := _find_below(key, newest + 1, NOBODY.minus(difference))) is not None:
        return RollFault(frozenset(surplus.tolist()), frozenset([one]), explained=True)
    return RollFault()


def _erased(connection: Connection, tenant_id: str) -> _Keys:
    """Give the keys of the entries that are there and that the audit trail says were erased."""
    erasure = audit_records.c.action == Action.ERASURE
    erasures = select(audit_records.c.object).where(audit_records.c.tenant == tenant_id, erasure)
    mine = gallery_entries.c.tenant_id == tenant_id
    query = select(gallery_entries.c.key).where(mine, gallery_entries.c.id.in_(erasures))
    return np.fromiter(connection.execute(query).scalars(), np.int64)


def _find(key: RowKey, keys: _Keys, one: Roll) -> int | None:
    """Give the entry among some that alone has this roll, or None."""
    numbers = np.frombuffer(members(key, keys.tolist()), np.uint64).reshape(-1, 2)
    equal = np.flatnonzero((numbers == np.array(one.sum, np.uint64)).all(axis=1))
    return int(keys[equal[0]]) if len(equal) else None


def _find_below(key: RowKey, end: int, one: Roll) -> int | None:
    """Give the entry with a key from 1 to ``end`` that alone has this roll, or None."""
    for start in range(1, end + 1, SEARCHED_AT_ONCE):
        found = _find(key, np.arange(start, min(start + SEARCHED_AT_ONCE, end + 1), dtype=np.int64), one)
        if found is not None:
            return found
    return None
