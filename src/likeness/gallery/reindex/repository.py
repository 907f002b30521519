"""Re-indexes in the database: what the operator requests, how far a gallery is, and what is left to do."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    literal_column,
    select,
    update,
)

from likeness.engine.packs.identity import PackId, PackIdentity
from likeness.gallery.repository import GalleryRepository, has_template
from likeness.store.tables import gallery_blocks, gallery_entries, gallery_templates, reindex_refusals, reindexes


class ReindexState(StrEnum):
    """The state of a gallery's move to another pack."""

    WAITING = "waiting"
    """The server has not begun."""
    FAILED = "failed"
    """The server cannot begin. The error says why."""
    FILLING = "filling"
    """The server makes templates from the stored photos. New entries get templates of both packs."""
    READY = "ready"
    """All templates are made, and the packs are compared. The old pack answers."""
    CUT_OVER = "cut over"
    """The new pack answers. The old one is kept up to date, so that it can answer again."""
    FINISHING = "finishing"
    """The new pack stays. The server deletes the old templates."""
    ABANDONING = "abandoning"
    """The old pack stays. The server deletes the new templates."""


class ReindexRequest(StrEnum):
    """The step that the operator requests."""

    CUT_OVER = "cut over"
    ROLL_BACK = "roll back"
    KEEP_ORPHANS = "finish, keep orphans"
    DROP_ORPHANS = "finish, drop orphans"
    ABANDON = "abandon"


REQUESTS_IN: Mapping[ReindexState, frozenset[ReindexRequest]] = {
    ReindexState.WAITING: frozenset({ReindexRequest.ABANDON}),
    ReindexState.FAILED: frozenset({ReindexRequest.ABANDON}),
    ReindexState.FILLING: frozenset({ReindexRequest.ABANDON}),
    ReindexState.READY: frozenset({ReindexRequest.ABANDON, ReindexRequest.CUT_OVER}),
    ReindexState.CUT_OVER: frozenset(
        {ReindexRequest.ROLL_BACK, ReindexRequest.KEEP_ORPHANS, ReindexRequest.DROP_ORPHANS}
    ),
    ReindexState.FINISHING: frozenset(),
    ReindexState.ABANDONING: frozenset(),
}
"""The requests that are possible in each state."""


@dataclass(frozen=True, slots=True)
class Reindex:
    """The move of one gallery to another pack. ``done`` of ``total`` stored photos are processed."""

    tenant_id: str
    pack: PackId | PackIdentity
    """Id of the new pack until the server begins. From then on its identity."""
    state: ReindexState
    wish: ReindexRequest | None
    done: int
    total: int
    report: dict[str, Any] | None
    error: str | None

    @property
    def identity(self) -> PackIdentity:
        """The new pack's identity, once the server has begun."""
        return PackIdentity(self.pack)


@dataclass(frozen=True, slots=True)
class StoredPhoto:
    """A stored photo to process: the new pack has no template and no refusal of its entry."""

    key: int
    entry_id: str
    image_id: str | None
    """None if the entry was altered: the photo that it names may be another entry's."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """An entry without a template of a pack, and the reason."""

    entry_id: str
    external_id: str | None
    reason: str


PHOTO_DELETED = "PHOTO_DELETED"
PHOTO_MISSING = "PHOTO_MISSING"
NO_FACE = "NO_FACE"


class ReindexRepository:
    """One tenant's re-index."""

    def __init__(self, tenant_id: str) -> None:
        self._tenant_id = tenant_id
        self._mine = reindexes.c.tenant_id == tenant_id
        self._my_entries = gallery_entries.c.tenant_id == tenant_id

    def find(self, connection: Connection) -> Reindex | None:
        row = connection.execute(_rows().where(self._mine)).one_or_none()
        return _reindex(row) if row else None

    def ask(self, connection: Connection, pack: PackId, *, now: float) -> None:
        """Request a re-index. There must be none yet."""
        connection.execute(
            insert(reindexes).values(
                tenant_id=self._tenant_id, pack=pack, state=ReindexState.WAITING, done=0, total=0, changed_at=now
            )
        )

    def change(self, connection: Connection, *, now: float, **values: Any) -> None:
        connection.execute(update(reindexes).where(self._mine).values(**values, changed_at=now))

    def count_done(self, connection: Connection, more: int) -> None:
        connection.execute(update(reindexes).where(self._mine).values(done=reindexes.c.done + more, error=None))

    def remove(self, connection: Connection) -> None:
        """Delete the re-index and its refusals."""
        mine = select(gallery_entries.c.key).where(self._my_entries)
        connection.execute(delete(reindex_refusals).where(reindex_refusals.c.entry_key.in_(mine)))
        connection.execute(delete(reindexes).where(self._mine))

    def unmade(self, connection: Connection, pack: PackIdentity, *, after_key: int, limit: int) -> list[StoredPhoto]:
        """Give the next stored photos to process, of entries after a key, by rising key."""
        wanted = self._unmade(pack) & (gallery_entries.c.key > after_key)
        query = select(gallery_entries.c.key, gallery_entries.c.id).where(wanted)
        rows = connection.execute(query.order_by(gallery_entries.c.key).limit(limit)).all()
        sound = GalleryRepository(self._tenant_id).find_keys(connection, [row.key for row in rows])
        return [StoredPhoto(row.key, row.id, sound[row.key].image_id if row.key in sound else None) for row in rows]

    def count_unmade(self, connection: Connection, pack: PackIdentity) -> int:
        query = select(func.count()).select_from(gallery_entries).where(self._unmade(pack))
        return int(connection.execute(query).scalar_one())

    def add_refusals(self, connection: Connection, pack: PackIdentity, reasons: Mapping[int, str]) -> None:
        """Record why stored photos give no template. Entries that lost their photo meanwhile are left out."""
        wanted = gallery_entries.c.key.in_(reasons) & self._unmade(pack)
        keys = connection.execute(select(gallery_entries.c.key).where(wanted)).scalars().all()
        if keys:
            rows = [{"entry_key": key, "pack": pack, "reason": reasons[key]} for key in keys]
            connection.execute(insert(reindex_refusals), rows)

    def sample(
        self, connection: Connection, packs: tuple[PackIdentity, PackIdentity], *, size: int
    ) -> Sequence[Row[int, str, bytes, bytes]]:
        """Give (key, id, first sealed template, second) of random entries that have templates of both packs."""
        first, second = gallery_templates.alias(), gallery_templates.alias()
        query = (
            select(gallery_entries.c.key, gallery_entries.c.id, first.c.sealed_template, second.c.sealed_template)
            .join(first, and_(first.c.entry_key == gallery_entries.c.key, first.c.pack == packs[0]))
            .join(second, and_(second.c.entry_key == gallery_entries.c.key, second.c.pack == packs[1]))
        )
        chosen = (
            select(gallery_entries.c.key)
            .where(self._my_entries, has_template(packs[0]), has_template(packs[1]))
            .order_by(func.random())
            .limit(size)
        )
        return connection.execute(query.where(gallery_entries.c.key.in_(chosen))).all()

    def count_orphans(self, connection: Connection, pack: PackIdentity) -> dict[str, int]:
        """Count the entries without a template of a pack, by reason."""
        reason = _reason()
        query = self._with_refusals(select(reason, func.count()), pack).group_by(reason)
        return {row[0]: row[1] for row in connection.execute(query)}

    def orphans(self, connection: Connection, pack: PackIdentity, *, limit: int | None = None) -> Iterator[Orphan]:
        """Give the entries without a template of a pack, by rising key."""
        query = select(gallery_entries.c.id, gallery_entries.c.external_id, _reason())
        ordered = self._with_refusals(query, pack).order_by(gallery_entries.c.key).limit(limit)
        for batch in connection.execute(ordered.execution_options(yield_per=1000)).partitions():
            yield from (Orphan(*row) for row in batch)

    def keys(self, connection: Connection, *, after_key: int, limit: int) -> Sequence[int]:
        """Give the keys of the next entries, in rising order."""
        query = select(gallery_entries.c.key).where(self._my_entries, gallery_entries.c.key > after_key)
        return connection.execute(query.order_by(gallery_entries.c.key).limit(limit)).scalars().all()

    def delete_superseded(self, connection: Connection, pack: PackIdentity, keys: Sequence[int]) -> None:
        """Delete the templates of all other packs of entries that have one of ``pack``."""
        other = gallery_templates.alias()
        provided = exists().where(other.c.entry_key == gallery_templates.c.entry_key, other.c.pack == pack)
        superseded, blocks = gallery_templates.c.pack != pack, gallery_blocks.c.pack != pack
        GalleryRepository(self._tenant_id).drop_templates(connection, keys, superseded, provided, of=blocks)

    def delete_surplus(self, connection: Connection, pack: PackIdentity, keys: Sequence[int]) -> None:
        """Delete the templates of ``pack`` of entries that have one of another pack."""
        other = gallery_templates.alias()
        provided = exists().where(other.c.entry_key == gallery_templates.c.entry_key, other.c.pack != pack)
        surplus, blocks = gallery_templates.c.pack == pack, gallery_blocks.c.pack == pack
        GalleryRepository(self._tenant_id).drop_templates(connection, keys, surplus, provided, of=blocks)

    def _unmade(self, pack: PackIdentity) -> ColumnElement[bool]:
        refused = exists().where(reindex_refusals.c.entry_key == gallery_entries.c.key, reindex_refusals.c.pack == pack)
        return self._my_entries & gallery_entries.c.image_id.is_not(None) & ~has_template(pack) & ~refused

    def _with_refusals(self, query: Select[*tuple[Any, ...]], pack: PackIdentity) -> Select[*tuple[Any, ...]]:
        refused = and_(reindex_refusals.c.entry_key == gallery_entries.c.key, reindex_refusals.c.pack == pack)
        joined = gallery_entries.outerjoin(reindex_refusals, refused)
        return query.select_from(joined).where(self._my_entries, ~has_template(pack))


def all_reindexes(connection: Connection) -> list[Reindex]:
    """Give the re-indexes of all tenants, in order of the tenants' ids."""
    return [_reindex(row) for row in connection.execute(_rows().order_by(reindexes.c.tenant_id))]


def _rows() -> Select[*tuple[Any, ...]]:
    columns = ("tenant_id", "pack", "state", "wish", "done", "total", "report", "error")
    return select(*(reindexes.c[name] for name in columns))


def _reindex(row: Iterable[Any]) -> Reindex:
    tenant_id, pack, state, wish, *rest = row
    return Reindex(tenant_id, pack, ReindexState(state), ReindexRequest(wish) if wish else None, *rest)


def _reason() -> ColumnElement[str]:
    """Give the reason why an entry has no template.

    A new entry whose photo the pack refused has no record of it, so its reason is ``NO_FACE``.
    """
    return case(
        (gallery_entries.c.image_id.is_(None), _constant(PHOTO_DELETED)),
        else_=func.coalesce(reindex_refusals.c.reason, _constant(NO_FACE)),
    )


def _constant(text: str) -> ColumnElement[str]:
    """Put a constant into the statement. PostgreSQL does not see that two bound values in a grouping are equal."""
    return literal_column(f"'{text}'")
