"""Gallery entries and their templates in the database."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
    text,
    true,
    update,
)

from likeness.audit.actions import DONE, EXPIRED, Action
from likeness.audit.trail import note
from likeness.engine.packs.identity import PackIdentity
from likeness.errors import Conflict
from likeness.gallery.entries.entry import STORED, WRITTEN, Entry, NewEntry
from likeness.store.authentic.roll import note_member
from likeness.store.authentic.rows import row_key_of
from likeness.store.sharing.changes import ChangeKind, NewChange, keeps_log, lock_galleries, note_changes
from likeness.store.statements import PreparedInsert, PreparedQuery, next_key
from likeness.store.tables import (
    galleries,
    gallery_blocks,
    gallery_entries,
    gallery_templates,
    photo_deletions,
)


@dataclass(frozen=True, slots=True)
class GalleryPacks:
    """The pack that a gallery answers with, and its shadow: a second pack whose templates its entries also have."""

    pack: PackIdentity
    shadow: PackIdentity | None

    @property
    def enrolling(self) -> tuple[PackIdentity, ...]:
        """The packs that a new entry is enrolled with. The one that answers comes first."""
        return (self.pack, self.shadow) if self.shadow else (self.pack,)


TENANTS_AT_ONCE = 500
BLOCK_SPAN = 2048
"""Keys that share a block of templates: ``key // BLOCK_SPAN``. It never changes, because stored data depends on it."""


@dataclass(frozen=True, slots=True)
class Part:
    """Part ``number`` (from 0) of ``count`` parts of every gallery: the entries in each ``count``-th span of keys.

    The entries of a span are in one part, so a part is loaded by whole blocks. Raises ValueError for a number that is
    not below the count.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 0 <= self.number < self.count:
            raise ValueError(f"there is no part {self.number} of {self.count}")

    def has(self, key: int) -> bool:
        return key // BLOCK_SPAN % self.count == self.number

    def first_span(self, start: int) -> int:
        """Give the part's first span that is not before ``start``."""
        return start + (self.number - start) % self.count

    @property
    def condition(self) -> ColumnElement[bool]:
        """The condition that an entry is in this part."""
        if self.count == 1:
            return true()
        return gallery_entries.c.key // BLOCK_SPAN % self.count == self.number


WHOLE = Part(0, 1)
_ADD_PACKS = text(
    "INSERT INTO galleries (tenant_id, pack, shadow) VALUES (:tenant_id, :pack, :shadow) ON CONFLICT DO NOTHING"
)
"""It waits for another process that adds the same gallery."""

NOT_ON_THE_ROLL = b""
"""In place of the MAC of an entry that was put back after its erasure."""
NOT_REFUSED = func.length(gallery_entries.c.mac) > 0
"""The condition that an entry was not found altered or put back before."""

INSERT_ENTRY = PreparedInsert(gallery_entries, *WRITTEN)
INSERT_TEMPLATE = PreparedInsert(gallery_templates, "entry_key", "pack", "sealed_template")


@cache
def _by_keys(places: int) -> PreparedQuery:
    """Give the query of every search, for so many keys. There is one for each power of two."""
    named = [bindparam(f"key_{place}", type_=gallery_entries.c.key.type) for place in range(places)]
    mine = gallery_entries.c.tenant_id == bindparam("tenant")
    return PreparedQuery(select(*STORED).where(mine, gallery_entries.c.key.in_(named)))


class GalleryRepository:
    """One tenant's part of the gallery tables."""

    def __init__(self, tenant_id: str) -> None:
        self.tenant_id = tenant_id
        self._mine = gallery_entries.c.tenant_id == tenant_id

    def packs(self, connection: Connection) -> GalleryPacks | None:
        """Give the gallery's packs, or None before its first entry."""
        query = select(galleries.c.pack, galleries.c.shadow).where(galleries.c.tenant_id == self.tenant_id)
        row = connection.execute(query).one_or_none()
        return GalleryPacks(*row) if row else None

    def number(self, connection: Connection) -> int:
        """Give the number of the gallery's newest change, or 0."""
        query = select(galleries.c.number).where(galleries.c.tenant_id == self.tenant_id)
        return int(connection.execute(query).scalar_one_or_none() or 0)

    def set_packs(self, connection: Connection, packs: GalleryPacks) -> None:
        """Set the gallery's packs."""
        self.lock(connection)
        if not self.add_packs(connection, packs):
            mine = galleries.c.tenant_id == self.tenant_id
            connection.execute(update(galleries).where(mine).values(pack=packs.pack, shadow=packs.shadow))
            self._note(connection, ChangeKind.PACKS)

    def add_packs(self, connection: Connection, packs: GalleryPacks) -> bool:
        """Set the gallery's packs if it has none, and lock it. False if it has packs, perhaps since this moment."""
        values = {"tenant_id": self.tenant_id, "pack": packs.pack, "shadow": packs.shadow}
        added = bool(connection.execute(_ADD_PACKS, values).rowcount)
        self.lock(connection)
        if added:
            self._note(connection, ChangeKind.PACKS)
        return added

    def add(self, connection: Connection, entry: NewEntry) -> int:
        """Insert an entry and its templates. Gives its key. Raises IntegrityError when ``external_id`` is taken."""
        self.lock(connection)  # before the key is drawn, so that a gallery's keys rise in the order of the commits
        key = next_key(connection, gallery_entries)
        values = entry.at(key).covered(self.tenant_id)
        INSERT_ENTRY(connection, **values, mac=row_key_of(connection).mac(gallery_entries, values))
        note_member(connection, self.tenant_id, key, present=True)
        for pack, sealed in entry.sealed_templates.items():
            INSERT_TEMPLATE(connection, entry_key=key, pack=pack, sealed_template=sealed)
        self._note(connection, ChangeKind.ADDED, [key])
        note(connection, Action.ENROLMENT, entry.id, tenant=self.tenant_id)
        return key

    def find(self, connection: Connection, entry_id: str) -> Entry | None:
        """Give the entry with this id. None if there is none, or it was altered."""
        rows = connection.execute(select(*STORED).where(self._mine, gallery_entries.c.id == entry_id))
        return next(iter(self._authentic(connection, rows)), None)

    def find_keys(self, connection: Connection, keys: list[int]) -> dict[int, Entry]:
        """Give entries by key. Keys without an entry are left out, and so are altered entries."""
        if not keys:
            return {}
        places = 1 << (len(keys) - 1).bit_length()
        named = {f"key_{place}": key for place, key in enumerate(keys + keys[-1:] * (places - len(keys)))}
        rows = _by_keys(places)(connection, tenant=self.tenant_id, **named)
        return {entry.key: entry for entry in self._authentic(connection, rows)}

    def _authentic(self, connection: Connection, rows: Iterable[Any]) -> Iterator[Entry]:
        """Give the entries of rows of ``STORED`` that Likeness wrote so."""
        key = row_key_of(connection)
        for row in rows:
            entry = Entry(*row[:-1])
            if key.is_authentic(gallery_entries, entry.covered(self.tenant_id), row[-1]):
                yield entry

    def has_external_id(self, connection: Connection, external_id: str) -> bool:
        query = select(gallery_entries.c.key).where(self._mine, gallery_entries.c.external_id == external_id)
        return connection.execute(query).one_or_none() is not None

    def page(
        self, connection: Connection, *, after_key: int, limit: int, external_id: str | None = None
    ) -> list[Entry]:
        """Give entries in order of enrolment. With an ``external_id``, give only its entry."""
        found: list[Entry] = []
        query = select(*STORED).where(self._mine).order_by(gallery_entries.c.key).limit(limit)
        if external_id is not None:
            query = query.where(gallery_entries.c.external_id == external_id)
        while True:  # altered entries are left out, so a page may take several queries
            rows = connection.execute(query.where(gallery_entries.c.key > after_key)).all()
            found += self._authentic(connection, rows)
            if len(rows) < limit or len(found) >= limit:
                return found[:limit]
            after_key = rows[-1].key

    def count(self, connection: Connection, part: Part = WHOLE) -> int:
        query = select(func.count()).select_from(gallery_entries).where(self._mine, part.condition)
        return int(connection.execute(query).scalar_one())

    def forget_image(self, connection: Connection, entry_id: str) -> Entry | None:
        """Unlink an entry's photo, and record that it must be deleted. Gives the entry as it was, or None."""
        self.lock(connection)
        entry = self.find(connection, entry_id)
        if entry and entry.image_id:
            _demand_no_hold(entry)
            self._let_go(connection, entry)
            values = self._changed(connection, entry, image_id=None)
            connection.execute(update(gallery_entries).where(gallery_entries.c.key == entry.key).values(values))
            note(connection, Action.PHOTO_DELETION, entry.id, tenant=self.tenant_id)
        return entry

    def hold(self, connection: Connection, entry_id: str, reference: str | None) -> Entry | None:
        """Put an entry under a legal hold with this reference, or end its hold. Give the entry after that, or None."""
        self.lock(connection)
        entry = self.find(connection, entry_id)
        if entry is None or entry.legal_hold == reference:
            return entry
        note(connection, Action.HOLD if reference else Action.HOLD_END, entry.id, tenant=self.tenant_id)
        values = self._changed(connection, entry, legal_hold=reference)
        connection.execute(update(gallery_entries).where(gallery_entries.c.key == entry.key).values(values))
        return replace(entry, legal_hold=reference)

    def held(self, connection: Connection) -> list[Entry]:
        """Give the entries that are under a legal hold, in order of enrolment."""
        query = select(*STORED).where(self._mine, gallery_entries.c.legal_hold.is_not(None))
        return list(self._authentic(connection, connection.execute(query.order_by(gallery_entries.c.key))))

    def _changed(self, connection: Connection, entry: Entry, **values: Any) -> dict[str, Any]:
        """Give new values of an entry's columns with the MAC that its row then has."""
        covered = replace(entry, **values).covered(self.tenant_id)
        return values | {"mac": row_key_of(connection).mac(gallery_entries, covered)}

    def erase(self, connection: Connection, entry_id: str, *, overdue_at: float | None = None) -> Entry | None:
        """Delete an entry with all its templates, and record that its photo must be deleted.

        Gives the entry as it was, or None. An altered entry is erased, too, and given without a photo: the one that it
        names may belong to another entry. With ``overdue_at``, erase only an entry whose time was over then. Raises
        Conflict for an entry that is under a legal hold.
        """
        self.lock(connection)
        stored = select(*STORED).where(self._mine, gallery_entries.c.id == entry_id)
        row = connection.execute(stored).one_or_none()
        if row is None:
            return None
        entry = next(self._authentic(connection, [row]), None)
        if overdue_at is not None and (entry is None or entry.expires_at is None or entry.expires_at > overdue_at):
            return None
        if entry:
            _demand_no_hold(entry)
            self._let_go(connection, entry)
        self.drop_blocks(connection, [row.key])
        connection.execute(delete(gallery_templates).where(gallery_templates.c.entry_key == row.key))
        connection.execute(delete(gallery_entries).where(gallery_entries.c.key == row.key))
        if row.mac != NOT_ON_THE_ROLL:
            note_member(connection, self.tenant_id, row.key, present=False)
        self._note(connection, ChangeKind.ERASED, [row.key])
        outcome = DONE if overdue_at is None else EXPIRED
        note(connection, Action.ERASURE, entry_id, tenant=self.tenant_id, outcome=outcome)
        return entry or replace(Entry(*row[:-1]), image_id=None)

    def altered(self, connection: Connection, keys: Collection[int]) -> list[int]:
        """Give those of these entries that are altered, by key."""
        rows = connection.execute(select(*STORED).where(self._mine, gallery_entries.c.key.in_(keys))).all()
        return sorted({row.key for row in rows} - {entry.key for entry in self._authentic(connection, rows)})

    def refuse(self, connection: Connection, keys: Collection[int], mark: bytes | None = None) -> None:
        """Let nobody find these entries. Their rows stay, so that a person can look at them."""
        self.lock(connection)
        mine = self._mine & gallery_entries.c.key.in_(keys) & NOT_REFUSED
        connection.execute(update(gallery_entries).where(mine).values(mac=mark))
        self.drop_blocks(connection, keys)
        self._note(connection, ChangeKind.ERASED, list(keys))

    def refuse_altered(self, connection: Connection, keys: Collection[int]) -> list[int]:
        """Refuse those of these entries that are altered. Give their keys."""
        altered = self.altered(connection, keys)
        if altered:
            self.refuse(connection, altered)
        return altered

    def drop_template(self, connection: Connection, key: int, pack: PackIdentity) -> bool:
        """Delete an entry's template of one pack. False when the entry has no other template."""
        self.drop_templates(connection, [key], gallery_templates.c.pack == pack, of=gallery_blocks.c.pack == pack)
        mine = gallery_templates.c.entry_key == key
        return bool(connection.execute(select(exists().where(mine))).scalar_one())

    def drop_templates(
        self, connection: Connection, keys: Sequence[int], *which: ColumnElement[bool], of: ColumnElement[bool]
    ) -> None:
        """Delete those templates of these entries that meet ``which``, and the blocks that meet ``of``."""
        self.lock(connection)
        self.drop_blocks(connection, keys, of)
        dropped = delete(gallery_templates).where(gallery_templates.c.entry_key.in_(keys), *which)
        if not keeps_log(connection.dialect):
            connection.execute(dropped)
            return
        returned = dropped.returning(gallery_templates.c.entry_key, gallery_templates.c.pack)
        changes = [NewChange(ChangeKind.TEMPLATE_DROPPED, *row) for row in connection.execute(returned)]
        note_changes(connection, self.tenant_id, changes)

    def add_templates(self, connection: Connection, pack: PackIdentity, sealed: Mapping[int, bytes]) -> list[int]:
        """Add templates by key. Give the keys of those added: their entry still exists, and had no template."""
        self.lock(connection)
        wanted = self._mine & gallery_entries.c.key.in_(sealed) & ~has_template(pack)
        keys = list(connection.execute(select(gallery_entries.c.key).where(wanted)).scalars())
        if keys:
            rows = [{"entry_key": key, "pack": pack, "sealed_template": sealed[key]} for key in keys]
            self.drop_blocks(connection, keys, gallery_blocks.c.pack == pack)
            connection.execute(insert(gallery_templates), rows)
            self._note(connection, ChangeKind.TEMPLATE_SET, keys, pack)
        return keys

    def replace_template(self, connection: Connection, key: int, pack: PackIdentity, sealed: bytes) -> None:
        self.lock(connection)
        mine = gallery_templates.c.entry_key == key, gallery_templates.c.pack == pack
        if connection.execute(update(gallery_templates).where(*mine).values(sealed_template=sealed)).rowcount:
            self._note(connection, ChangeKind.TEMPLATE_SET, [key], pack)

    def lock(self, connection: Connection) -> None:
        """Let no other process change the gallery until the transaction ends.

        A statement that reads what the transaction changes comes after it.
        """
        lock_galleries(connection, (self.tenant_id,))

    def _note(
        self,
        connection: Connection,
        kind: ChangeKind,
        keys: Sequence[int | None] = (None,),
        pack: PackIdentity | None = None,
    ) -> None:
        """Let the indexes that follow the gallery know of a change."""
        if keeps_log(connection.dialect):  # else each insert on SQLite would make an object for nothing
            note_changes(connection, self.tenant_id, [NewChange(kind, key, pack) for key in keys])

    def stored_packs(self, connection: Connection) -> list[PackIdentity]:
        """Give the packs that the entries have templates of."""
        query = select(gallery_templates.c.pack).distinct()
        mine = query.join(gallery_entries, gallery_entries.c.key == gallery_templates.c.entry_key).where(self._mine)
        return [PackIdentity(pack) for pack in connection.execute(mine.order_by(gallery_templates.c.pack)).scalars()]

    def bare_entries(self, connection: Connection) -> Iterator[tuple[int, str]]:
        """Give (key, id) of the entries without any template."""
        any_template = exists().where(gallery_templates.c.entry_key == gallery_entries.c.key)
        query = select(gallery_entries.c.key, gallery_entries.c.id).where(self._mine, ~any_template)
        yield from ((row[0], row[1]) for row in connection.execute(query.order_by(gallery_entries.c.key)))

    def _let_go(self, connection: Connection, entry: Entry) -> None:
        if entry.image_id:
            values = {"image_id": entry.image_id, "tenant_id": self.tenant_id, "entry_id": entry.id}
            connection.execute(insert(photo_deletions).values(values))

    def templates(
        self,
        connection: Connection,
        pack: PackIdentity,
        *,
        first_key: int = 0,
        end_key: int | None = None,
        part: Part = WHOLE,
        batch: int,
    ) -> Iterator[Sequence[Row[int, str, bytes]]]:
        """Give (key, id, sealed template) of every entry of a part that has a template of this pack.

        The keys are at least ``first_key`` and less than ``end_key``. They rise, and come in batches.
        """
        within = gallery_entries.c.key >= first_key
        if end_key is not None:
            within &= gallery_entries.c.key < end_key
        query = self._templates(pack, part).where(within).execution_options(yield_per=batch)
        yield from connection.execute(query).partitions()

    def some_templates(
        self, connection: Connection, pack: PackIdentity, part: Part, *, limit: int
    ) -> Sequence[Row[int, str, bytes]]:
        """Give (key, id, sealed template) of the first entries of a part that have a template of this pack."""
        return connection.execute(self._templates(pack, part).limit(limit)).all()

    def _templates(self, pack: PackIdentity, part: Part) -> Select[int, str, bytes]:
        return (
            select(gallery_entries.c.key, gallery_entries.c.id, gallery_templates.c.sealed_template)
            .join(gallery_templates, gallery_templates.c.entry_key == gallery_entries.c.key)
            .where(self._mine, NOT_REFUSED, part.condition, gallery_templates.c.pack == pack)
            .order_by(gallery_entries.c.key)
        )

    def newest_key(self, connection: Connection) -> int:
        """Give the highest key of all tenants' entries, or 0. Later entries get higher keys."""
        return connection.execute(select(func.max(gallery_entries.c.key))).scalar_one() or 0

    def block_spans(self, connection: Connection, pack: PackIdentity) -> Sequence[int]:
        """Give the spans that have a block, in rising order."""
        query = select(gallery_blocks.c.span).where(*self._blocks(pack)).order_by(gallery_blocks.c.span)
        return connection.execute(query).scalars().all()

    def block(self, connection: Connection, pack: PackIdentity, span: int) -> bytes | None:
        query = select(gallery_blocks.c.sealed_block).where(*self._blocks(pack), gallery_blocks.c.span == span)
        return connection.execute(query).scalar_one_or_none()

    def add_block(self, connection: Connection, pack: PackIdentity, span: int, sealed: bytes) -> None:
        values = {"tenant_id": self.tenant_id, "pack": pack, "span": span, "sealed_block": sealed}
        connection.execute(insert(gallery_blocks).values(values))

    def drop_blocks(self, connection: Connection, keys: Iterable[int], *which: ColumnElement[bool]) -> None:
        """Delete the blocks of the spans of these entries: of every pack, or only those that meet ``which``."""
        spans = {key // BLOCK_SPAN for key in keys}
        mine = gallery_blocks.c.tenant_id == self.tenant_id
        connection.execute(delete(gallery_blocks).where(mine, gallery_blocks.c.span.in_(spans), *which))

    def _blocks(self, pack: PackIdentity) -> tuple[ColumnElement[bool], ...]:
        return gallery_blocks.c.tenant_id == self.tenant_id, gallery_blocks.c.pack == pack

    def orphan_templates(
        self, connection: Connection, packs: Sequence[PackIdentity]
    ) -> dict[PackIdentity, list[tuple[int, str, bytes]]]:
        """Give (key, id, sealed template) of the entries without a template of ``packs``.

        They are grouped by a pack that they have a template of. Each entry is given once.
        """
        query = (
            select(
                gallery_templates.c.pack,
                gallery_entries.c.key,
                gallery_entries.c.id,
                gallery_templates.c.sealed_template,
            )
            .join(gallery_templates, gallery_templates.c.entry_key == gallery_entries.c.key)
            .where(self._mine, NOT_REFUSED, ~has_template(*packs))
            .order_by(gallery_entries.c.key, gallery_templates.c.pack)
        )
        found: dict[PackIdentity, list[tuple[int, str, bytes]]] = {}
        last = None
        for row in connection.execute(query):
            if row.key == last:
                continue
            last = row.key
            found.setdefault(PackIdentity(row.pack), []).append((row.key, row.id, row.sealed_template))
        return found


def _demand_no_hold(entry: Entry) -> None:
    if entry.legal_hold is not None:
        raise Conflict(f"The entry {entry.id} is under a legal hold. First end the hold, then delete.")


def entry_counts(connection: Connection) -> dict[str, int]:
    """Give the number of entries by tenant id. A tenant without entries is left out."""
    query = select(gallery_entries.c.tenant_id, func.count()).group_by(gallery_entries.c.tenant_id)
    return {row[0]: row[1] for row in connection.execute(query)}


def in_groups(tenant_ids: Iterable[str], counts: Mapping[str, int], most: int) -> Iterator[list[str]]:
    """Group tenants up to ``most`` entries a group, so that one query reads many small galleries."""
    group: list[str] = []
    entries = 0
    for tenant_id in tenant_ids:
        count = counts.get(tenant_id, 0)
        if group and (entries + count > most or len(group) == TENANTS_AT_ONCE):
            yield group
            group, entries = [], 0
        group.append(tenant_id)
        entries += count
    if group:
        yield group


def has_template(*packs: PackIdentity) -> ColumnElement[bool]:
    """Give the condition that an entry has a template of one of these packs."""
    other = gallery_templates.alias()
    return exists().where(other.c.entry_key == gallery_entries.c.key, other.c.pack.in_(packs))


def answering_packs(connection: Connection) -> set[PackIdentity]:
    """Give the identities (``id@version``) of the packs that the tenants' galleries answer with."""
    return {PackIdentity(pack) for pack in connection.execute(select(galleries.c.pack).distinct()).scalars()}


def common_pack(connection: Connection) -> PackIdentity | None:
    """Give the pack that every tenant's gallery answers with. None without a gallery, or when they differ."""
    packs = answering_packs(connection)
    return packs.pop() if len(packs) == 1 else None
