"""The following of galleries that other processes change: an index elsewhere applies their log, in order of numbers.

A follower reads a gallery once, with the number of its newest change, as of one moment. From then on it reads only the
changes after that number. A batch has the templates as they are when it is read. A later change may have made or
removed them, and comes with its own number. So an index that has applied the newest number equals the database's rows.
"""

import logging
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from sqlalchemy import Connection, and_, or_, select

from likeness.engine.packs.identity import PackIdentity
from likeness.errors import ServiceUnavailable
from likeness.gallery.repository import NOT_REFUSED, GalleryPacks, GalleryRepository
from likeness.store.database import Database
from likeness.store.sharing.changes import ChangeKind
from likeness.store.sharing.listening import Listener
from likeness.store.tables import galleries, gallery_changes, gallery_entries, gallery_templates

log = logging.getLogger("likeness.gallery")
BATCH_CHANGES = 1000
COMPARE_SECONDS = 5.0
"""Longest time between two looks at all numbers. Notifications usually come first."""
RETRY_SECONDS = 0.5


class OutOfReach(Exception):
    """The log no longer has the changes after a number, or the database has never had it. Load the gallery anew.

    An index also raises it from ``apply``, when it cannot go on from what it has.
    """


@dataclass(frozen=True, slots=True)
class GalleryChange:
    """A change, and the sealed templates that its entry has now of the packs that it concerns.

    ``entry_id`` is None if the entry is gone. A template that is not among ``sealed_templates`` is gone. ``pack`` is
    the only pack that the change concerns, or None for all.
    """

    number: int
    kind: ChangeKind
    entry_key: int | None
    entry_id: str | None
    pack: PackIdentity | None
    sealed_templates: Mapping[PackIdentity, bytes]


@dataclass(frozen=True, slots=True)
class ChangeBatch:
    """The next changes of a gallery, by rising number without a gap, and its packs and newest number at that moment."""

    changes: tuple[GalleryChange, ...]
    packs: GalleryPacks
    newest: int


class FollowingIndex(Protocol):
    """Gets what a follower reads. Each call is about one tenant's gallery."""

    def load(self, connection: Connection, tenant_id: str, packs: GalleryPacks) -> None:
        """Take the whole gallery, in place of what was there. It is read on ``connection``, as of one moment."""

    def apply(self, tenant_id: str, batch: ChangeBatch) -> None:
        """Make the changes, in their order. Raises OutOfReach when the gallery must be loaded anew."""

    def drop(self, tenant_id: str) -> None:
        """Forget a gallery that does not exist. It may be unknown."""


def numbers_now(connection: Connection, tenant_ids: Collection[str] | None) -> dict[str, int]:
    """Give the number of each gallery's newest change. None: of all. A tenant without a gallery is left out."""
    query = select(galleries.c.tenant_id, galleries.c.number)
    if tenant_ids is not None:
        query = query.where(galleries.c.tenant_id.in_(tenant_ids))
    return {row[0]: row[1] for row in connection.execute(query)}


def changes_after(connection: Connection, tenant_id: str, number: int, *, limit: int = BATCH_CHANGES) -> ChangeBatch:
    """Give at most ``limit`` changes after a number, in one query. Raises OutOfReach if there is no way on from it."""
    mine, its = gallery_changes.c.tenant_id == tenant_id, galleries.c.tenant_id == tenant_id
    later = select(gallery_changes).where(mine, gallery_changes.c.number > number)
    change = later.order_by(gallery_changes.c.number).limit(limit).subquery()
    concerned = or_(change.c.pack.is_(None), change.c.pack == gallery_templates.c.pack)
    of_entry = and_(gallery_templates.c.entry_key == gallery_entries.c.key, concerned)
    found = (
        galleries.outerjoin(change, change.c.tenant_id == galleries.c.tenant_id)
        .outerjoin(gallery_entries, and_(gallery_entries.c.key == change.c.entry_key, NOT_REFUSED))
        .outerjoin(gallery_templates, of_entry)
    )
    columns = (
        *(galleries.c.number.label("newest"), galleries.c.pack.label("answers"), galleries.c.shadow),
        *(change.c.number, change.c.kind, change.c.entry_key, gallery_entries.c.id, change.c.pack),
        *(gallery_templates.c.pack.label("of"), gallery_templates.c.sealed_template),
    )
    rows = connection.execute(select(*columns).select_from(found).where(its).order_by(change.c.number)).all()
    if not rows:
        raise OutOfReach
    changes: dict[int, GalleryChange] = {}
    templates: dict[int, dict[PackIdentity, bytes]] = {}
    for row in rows:
        if row.number is None:
            continue
        sealed = templates.setdefault(row.number, {})
        if row.of is not None:
            sealed[PackIdentity(row.of)] = row.sealed_template
        pack = None if row.pack is None else PackIdentity(row.pack)
        kind = ChangeKind(row.kind)
        changes[row.number] = GalleryChange(row.number, kind, row.entry_key, row.id, pack, sealed)
    newest = rows[0].newest
    if newest < number or next(iter(changes), newest + 1) != number + 1:
        raise OutOfReach
    return ChangeBatch(tuple(changes.values()), GalleryPacks(rows[0].answers, rows[0].shadow), newest)


class GalleryFollower:
    """Keeps an index equal to the galleries of some tenants. One thread uses it."""

    def __init__(self, database: Database, listener: Listener, index: FollowingIndex) -> None:
        self._database = database
        self._listener = listener
        self._index = index
        self._followed: frozenset[str] | None = frozenset()
        """None: every tenant that has a gallery."""
        self._unread = True
        """Whether galleries may have changed without a notification that is still to come."""
        self._reached: dict[str, int] = {}
        self.caught_up = False
        """Whether the index has had every gallery once."""

    @property
    def reached(self) -> Mapping[str, int]:
        """By tenant id, the number of the newest change that the index has applied."""
        return self._reached

    def follow(self, tenant_ids: Collection[str]) -> None:
        """Set the tenants. Galleries of other tenants are dropped."""
        known = self._reached.keys() if self._followed is None else self._followed
        for tenant_id in frozenset(known).difference(tenant_ids):
            self._drop(tenant_id)
        self._followed = frozenset(tenant_ids)
        self._unread = True

    def follow_all(self) -> None:
        """Follow every gallery that there is, and each new one."""
        self._followed = None
        self._unread = True

    def run(self, stop: threading.Event) -> None:
        """Follow until ``stop`` is set. After a fault, log it and try again."""
        while not stop.is_set():
            try:
                self.step()
            except Exception as error:
                if isinstance(error, ServiceUnavailable):
                    log.warning("galleries cannot be followed now; trying again in %s s: %s", RETRY_SECONDS, error)
                else:
                    log.exception("following the galleries failed; trying again in %s s", RETRY_SECONDS)
                stop.wait(RETRY_SECONDS)

    def step(self, *, seconds: float = COMPARE_SECONDS) -> None:
        """Wait for the next changes, at most so long, and apply them. Raises ServiceUnavailable."""
        woken = self._listener.wait(0.0 if self._unread else seconds).tenant_ids
        followed = self._followed
        changed = followed if self._unread or woken is None else woken if followed is None else followed & woken
        self._unread = True
        self._catch_up(changed)
        self._unread = False
        self.caught_up = True

    def _catch_up(self, tenant_ids: Collection[str] | None) -> None:
        """Bring galleries forward. None: all that there are, or were."""
        if tenant_ids is not None and self._reached.keys() >= set(tenant_ids):
            for tenant_id in tenant_ids:  # each was woken by a change, so one query less than the comparison below
                self._bring_forward(tenant_id)
            return
        numbers = self._database.read_now(partial(numbers_now, tenant_ids=tenant_ids))
        for tenant_id in numbers.keys() | self._reached.keys() if tenant_ids is None else tenant_ids:
            number = numbers.get(tenant_id)
            if number is None:
                self._drop(tenant_id)
            elif number != self._reached.get(tenant_id):
                self._bring_forward(tenant_id)

    def _bring_forward(self, tenant_id: str) -> None:
        while tenant_id in self._reached:
            reached = self._reached[tenant_id]
            try:
                batch = self._database.read_now(partial(changes_after, tenant_id=tenant_id, number=reached))
                if batch.changes:
                    # Until the whole batch is applied, the index has no number. So after an error it is loaded anew.
                    del self._reached[tenant_id]
                    self._index.apply(tenant_id, batch)
                    self._reached[tenant_id] = reached = batch.changes[-1].number
            except OutOfReach:
                break
            if reached == batch.newest:
                return
        self._database.read_now(partial(self._load, tenant_id=tenant_id))

    def _load(self, connection: Connection, tenant_id: str) -> None:
        self._reached.pop(tenant_id, None)
        packs = GalleryRepository(tenant_id).packs(connection)
        if packs is None:
            self._index.drop(tenant_id)
        else:
            self._index.load(connection, tenant_id, packs)
            self._reached.update(numbers_now(connection, [tenant_id]))

    def _drop(self, tenant_id: str) -> None:
        self._reached.pop(tenant_id, None)
        self._index.drop(tenant_id)
