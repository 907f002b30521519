"""The roll of a gallery: which entries it has. It shows entries that were put back or taken away behind our back.

An entry that was erased has a MAC that is still right. So does an older copy of a whole gallery's rows. The roll is one
value for each gallery: the number of its entries, and a sum with one random-looking number for each entry's key. Each
transaction that adds or erases entries also replaces the roll, once. It is sealed, because who saw two sums would know
the number of the entry between them. So nobody without the deployment's key can make the roll of any other set.

Who puts back a gallery's entries together with its roll is not noticed here: see ``docs/security.md``.
"""

import struct
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from cryptography.hazmat.primitives.ciphers import Cipher as BlockCipher
from cryptography.hazmat.primitives.ciphers import algorithms, modes
from sqlalchemy import Connection, bindparam, func, literal_column, select, update

from likeness.errors import SetupError
from likeness.store.authentic.rows import RowKey, row_key_of
from likeness.store.ledger import noted_members
from likeness.store.sharing.changes import keeps_log, rolls_at_lock
from likeness.store.statements import PreparedChange, PreparedQuery
from likeness.store.tables import galleries, gallery_entries

PURPOSE = "roll"
ON_THE_ROLL = func.coalesce(func.length(gallery_entries.c.mac), literal_column("1")) > literal_column("0")
"""The condition that an entry is not marked as put back (see ``likeness.gallery.repository``)."""
_STORED = struct.Struct("<qQQ")
_READ = PreparedQuery(select(galleries.c.sealed_roll).where(galleries.c.tenant_id == bindparam("tenant")))
_WRITE = PreparedChange(
    update(galleries).where(galleries.c.tenant_id == bindparam("tenant")).values(sealed_roll=bindparam("roll"))
)
_ROLLS = select(galleries.c.tenant_id, galleries.c.sealed_roll)


@dataclass(frozen=True, slots=True)
class Roll:
    """How many entries a gallery has, and their sum: two numbers modulo 2⁶⁴."""

    count: int = 0
    sum: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, key: RowKey, entry_keys: Iterable[int]) -> Self:
        """Give the roll of some entries."""
        numbers = members(key, entry_keys)
        return cls(len(numbers) // 2, (sum(numbers[::2]) % 2**64, sum(numbers[1::2]) % 2**64))

    @classmethod
    def opened(cls, key: RowKey, tenant_id: str, sealed: bytes) -> Self:
        """Open a stored roll. Raises SetupError."""
        count, first, second = _STORED.unpack(key.rolls.open(sealed, PURPOSE, tenant_id))
        return cls(count, (first, second))

    def sealed(self, key: RowKey, tenant_id: str) -> bytes:
        return key.rolls.seal(_STORED.pack(self.count, *self.sum), PURPOSE, tenant_id)

    def plus(self, other: "Roll") -> "Roll":
        return Roll(self.count + other.count, _added(self.sum, other.sum))

    def minus(self, other: "Roll") -> "Roll":
        return Roll(self.count - other.count, _added(self.sum, (-other.sum[0], -other.sum[1])))


NOBODY = Roll()


def members(key: RowKey, entry_keys: Iterable[int]) -> "array[int]":
    """Give what each entry adds to the sum: two unsigned numbers of 64 bits, one after the other."""
    keys = array("q", entry_keys)
    blocks = array("q", bytes(16 * len(keys)))
    blocks[::2] = keys
    # One block is one entry's number under a secret permutation, so ECB is what is meant.
    encryptor = BlockCipher(algorithms.AES(key.roll_key), modes.ECB()).encryptor()  # noqa: S305
    return array("Q", encryptor.update(blocks.tobytes()))


def note_member(connection: Connection, tenant_id: str, entry_key: int, *, present: bool) -> None:
    """Note that an entry came to a gallery, or went, for the roll that the end of the transaction writes."""
    noted = noted_members(connection)
    if noted is not None:
        noted.append((tenant_id, entry_key, present))


def new_rolls(connection: Connection) -> dict[str, bytes]:
    """Give the sealed rolls of the galleries whose entries the transaction changed, for its end, by tenant."""
    noted = noted_members(connection)
    if not noted:
        return {}
    key, rolls = row_key_of(connection), {}
    by_tenant: dict[str, tuple[list[int], list[int]]] = {}
    for tenant_id, entry_key, present in noted:
        by_tenant.setdefault(tenant_id, ([], []))[not present].append(entry_key)
    noted.clear()
    for tenant_id, (came, went) in by_tenant.items():
        try:
            before = _opened(key, tenant_id, _stored(connection, tenant_id))
        except SetupError:  # the next comparison finds it, and refuses the gallery
            key.raise_alarm(galleries, tenant_id)
            continue
        after = before.plus(Roll.of(key, came)).minus(Roll.of(key, went))
        rolls[tenant_id] = after.sealed(key, tenant_id)
    return rolls


def _stored(connection: Connection, tenant_id: str) -> bytes | None:
    if keeps_log(connection.dialect):
        return rolls_at_lock(connection).get(tenant_id)
    found = _READ(connection, tenant=tenant_id)
    return found[0][0] if found else None


def _opened(key: RowKey, tenant_id: str, sealed: bytes | None) -> Roll:
    return NOBODY if sealed is None else Roll.opened(key, tenant_id, sealed)


def write_rolls(connection: Connection, rolls: Mapping[str, bytes]) -> None:
    """Replace sealed rolls."""
    for tenant_id, sealed in rolls.items():
        _WRITE(connection, tenant=tenant_id, roll=sealed)


def read_rolls(connection: Connection, tenant_ids: Sequence[str]) -> Mapping[str, Roll | None]:
    """Give the rolls of some tenants' galleries by tenant; None for one that was altered. Without a gallery: nobody."""
    key = row_key_of(connection)
    found: dict[str, Roll | None] = dict.fromkeys(tenant_ids, NOBODY)
    for tenant_id, sealed in connection.execute(_ROLLS.where(galleries.c.tenant_id.in_(tenant_ids))):
        try:
            found[tenant_id] = _opened(key, tenant_id, sealed)
        except SetupError:
            found[tenant_id] = None
    return found


def set_roll(connection: Connection, tenant_id: str, roll: Roll) -> None:
    """Replace a gallery's roll, whatever it was."""
    write_rolls(connection, {tenant_id: roll.sealed(row_key_of(connection), tenant_id)})


def _added(one: tuple[int, int], two: tuple[int, int]) -> tuple[int, int]:
    return (one[0] + two[0]) % 2**64, (one[1] + two[1]) % 2**64
