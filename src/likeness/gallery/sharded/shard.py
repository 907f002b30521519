"""A shard: one part of all galleries in memory. It follows the log of changes, and answers searches.

Of each gallery it holds the entries of its part, with an index for every pack that they have templates of. A search
names the change that its answer must cover. It waits until the shard has applied that change.

A shard has a limit of memory. A gallery that would not fit is refused with its reason, and the others are served. The
limit can be exceeded by the spare room of an index, which is at most one of its chunks.
"""

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row

from likeness.engine.packs.identity import PackIdentity
from likeness.errors import NotFound, ServiceUnavailable, SetupError
from likeness.gallery.memory.galleries import REBUILD_ROWS
from likeness.gallery.repository import GalleryPacks, GalleryRepository, Part
from likeness.gallery.sharded.following import ChangeBatch, OutOfReach
from likeness.gallery.templates.blocks import TemplateBatch, gathered, open_rows, stored_templates
from likeness.gallery.templates.sealing import template_length
from likeness.index.base import Answer
from likeness.index.exact import ExactIndex, least_bytes
from likeness.index.merging import outside
from likeness.tenants.service import Tenant

log = logging.getLogger("likeness.gallery")
REFUSED_SECONDS = 30.0
"""A refused gallery is not loaded again sooner. Its first change after that time loads it."""
LOOKED_AT = 9
"""Templates whose length decides that of an index. Few of them are damaged."""
_LOADING = -1
NOTHING = Answer((), certified=True, size=0)


@dataclass(frozen=True, slots=True, eq=False)
class OrphanQuery:
    """A search with another pack for the entries without a template of the query's pack, down to a score."""

    template: NDArray[np.float32] = field(repr=False)
    minimum_score: float


@dataclass(frozen=True, slots=True, eq=False)
class ShardQuery:
    """A search in one part of a tenant's gallery, which the caller has authorised.

    ``template`` is a (d,) float32 vector of ``pack``. The answer covers at least the changes up to ``number``. ``k`` is
    at least 1, or None for every template at or above ``minimum_score``. ``orphans`` has searches by other packs.
    """

    tenant_id: str
    pack: PackIdentity
    template: NDArray[np.float32] = field(repr=False)
    number: int
    k: int | None = 1
    minimum_score: float = -math.inf
    orphans: Mapping[PackIdentity, OrphanQuery] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NumberedAnswer:
    """An answer, and the number of a change that it covers with all changes before. It may cover later ones, too.

    ``orphans`` has the answers of other packs, without entries that have a template of the query's pack. ``orphaned``
    has the packs that have such entries, whether the query asked for them or not.
    """

    answer: Answer
    number: int
    orphans: Mapping[PackIdentity, Answer] = field(default_factory=dict)
    orphaned: frozenset[PackIdentity] = frozenset()


@dataclass(frozen=True, slots=True)
class ShardStatus:
    """What a shard holds: its galleries, those that it refuses, and its indexes' memory in bytes.

    ``entries`` counts templates of the answering packs, ``largest`` those of the largest gallery, ``unreadable`` those
    that cannot be read. ``loaded``: whether it has had every gallery once.
    """

    galleries: int
    refused: int
    nbytes: int
    limit_bytes: int
    entries: int = 0
    largest: int = 0
    unreadable: int = 0
    loaded: bool = False


@dataclass(slots=True, eq=False)
class _HeldGallery:
    tenant: Tenant
    indexes: dict[PackIdentity, ExactIndex] = field(default_factory=dict)
    number: int = _LOADING
    nbytes: int = 0
    unreadable: set[int] = field(default_factory=set)
    """Keys of entries with a damaged template."""
    answering: PackIdentity | None = None
    orphaned: frozenset[PackIdentity] = frozenset()
    """Packs that some entries have a template of, which have none of the answering pack."""
    _orphans: Counter[PackIdentity] = field(default_factory=Counter)
    """By such a pack: how many entries."""

    @property
    def size(self) -> int:
        index = self.indexes.get(self.answering) if self.answering else None
        return 0 if index is None else len(index)

    def orphans_by(self, pack: PackIdentity, query: ShardQuery) -> Answer:
        """Search the entries without a template of the query's pack by another pack."""
        mine, answering = self.indexes.get(pack), self.indexes.get(query.pack)
        if mine is None:
            return NOTHING
        found = mine.above(query.orphans[pack].template, query.orphans[pack].minimum_score)
        return found if answering is None else outside(found, answering)

    def answer_with(self, pack: PackIdentity) -> None:
        """Set the answering pack. When it was another one, count the orphans anew."""
        if pack == self.answering:
            return
        self.answering = pack
        self._orphans.clear()
        for other in self.indexes.keys() - {pack}:
            self._count(other, self.indexes[other].keys(), 1)

    def put(self, pack: PackIdentity, keys: NDArray[np.int64], rows: NDArray[np.float32]) -> None:
        index = self.indexes[pack]
        new = [key for key in keys.tolist() if key not in index]
        index.add_many(keys, rows)
        self._count(pack, new, 1)

    def remove(self, pack: PackIdentity, key: int) -> None:
        if self.indexes[pack].remove(key):
            self._count(pack, [key], -1)

    def reach(self, number: int) -> None:
        self.orphaned = frozenset(pack for pack, count in self._orphans.items() if count)
        self.number = number

    def _count(self, pack: PackIdentity, keys: Collection[int], by: int) -> None:
        """Note that entries came to a pack's index, or went."""
        if pack != self.answering:
            answered = self.indexes.get(self.answering) if self.answering else None
            self._orphans[pack] += by * sum(answered is None or key not in answered for key in keys)
            return
        for other in self.indexes.keys() - {pack}:
            self._orphans[other] -= by * sum(key in self.indexes[other] for key in keys)


@dataclass(frozen=True, slots=True)
class _Refusal:
    reason: str
    until: float


class Behind(ServiceUnavailable):
    """The shard has not applied the query's number in time."""


class _TooLarge(Exception):
    """The gallery does not fit into the shard's memory."""


class Shard:
    """A ``FollowingIndex`` of one part. One thread makes its changes, and any thread searches.

    ``open_tenant`` gives a tenant with its data key by the tenant's id. It raises NotFound or SetupError.
    ``close_tenant`` forgets one. ``limit_bytes`` is the most memory for the indexes. ``make_index`` makes one of a
    dimension, in memory.
    """

    def __init__(
        self,
        part: Part,
        open_tenant: Callable[[str], Tenant],
        *,
        limit_bytes: int,
        close_tenant: Callable[[str], None] = lambda _: None,
        make_index: Callable[[int], ExactIndex] = ExactIndex,
    ) -> None:
        self.part = part
        self._open_tenant = open_tenant
        self._close_tenant = close_tenant
        self._limit_bytes = limit_bytes
        self._make_index = make_index
        self._changed = threading.Condition()
        self._held: dict[str, _HeldGallery] = {}
        self._refused: dict[str, _Refusal] = {}
        self._nbytes = 0

    @property
    def status(self) -> ShardStatus:
        with self._changed:
            served = [held for held in self._held.values() if held.number != _LOADING]
            sizes = [held.size for held in served]
            return ShardStatus(
                len(served),
                len(self._refused),
                self._nbytes,
                self._limit_bytes,
                sum(sizes),
                max(sizes, default=0),
                sum(len(held.unreadable) for held in served),
            )

    def search(self, query: ShardQuery, *, seconds: float) -> NumberedAnswer:
        """Answer for the part, after a wait of at most ``seconds`` for the query's number.

        Raises Behind when the shard is still behind then, and ServiceUnavailable when it refuses the gallery. Raises
        ValueError for a template of another size, or bounds that are not valid.
        """
        held = self._reached(query, seconds)
        number, index = held.number, held.indexes.get(query.pack)
        # Orphans come first: one that gets a template of the query's pack meanwhile is found by the search after it.
        orphans = {pack: held.orphans_by(pack, query) for pack in query.orphans}
        orphaned = held.orphaned if query.pack == held.answering else frozenset(held.indexes) - {query.pack}
        if index is None:  # no entry of this part has a template of the pack
            answer = NOTHING
        elif query.k is None:
            answer = index.above(query.template, query.minimum_score)
        else:
            answer = index.search(query.template, k=query.k, minimum_score=query.minimum_score)
        return NumberedAnswer(answer, number, orphans, orphaned)

    def _reached(self, query: ShardQuery, seconds: float) -> _HeldGallery:
        with self._changed:
            self._changed.wait_for(
                lambda: query.tenant_id in self._refused or self._number(query.tenant_id) >= query.number, seconds
            )
            if (refusal := self._refused.get(query.tenant_id)) is not None:
                raise ServiceUnavailable(refusal.reason)
            number = self._number(query.tenant_id)
            if number < query.number or number == _LOADING:
                raise Behind(f"A part of the gallery has not applied change {query.number} yet; try again shortly.")
            return self._held[query.tenant_id]

    def _number(self, tenant_id: str) -> int:
        held = self._held.get(tenant_id)
        return held.number if held else _LOADING

    def load(self, connection: Connection, tenant_id: str, packs: GalleryPacks) -> None:
        """Take the part of a whole gallery, in place of what was there. Refuse it when it cannot be held."""
        self._let_go(tenant_id)
        with self._refusing(tenant_id):
            held = self._held[tenant_id] = _HeldGallery(self._open_tenant(tenant_id))
            self._fill(held, connection, packs)
            self._reach(held, GalleryRepository(tenant_id).number(connection))

    def apply(self, tenant_id: str, batch: ChangeBatch) -> None:
        """Make the changes of the part. A gallery that grows too large is refused from then on."""
        held = self._held.get(tenant_id)
        if held is None:
            if self._refused[tenant_id].until > time.monotonic():
                return
            raise OutOfReach
        with self._refusing(tenant_id):
            self._change(held, batch)
            self._reach(held, batch.changes[-1].number)

    def drop(self, tenant_id: str) -> None:
        """Forget a gallery that does not exist, and its tenant's key. It may be unknown."""
        self._let_go(tenant_id)
        self._close_tenant(tenant_id)

    @contextmanager
    def _refusing(self, tenant_id: str) -> Iterator[None]:
        """Refuse a gallery that cannot be held. After any other error let it go, because its rows are not known."""
        try:
            yield
        except (_TooLarge, SetupError, NotFound) as error:
            self._refuse(tenant_id, error)
        except BaseException:
            self._let_go(tenant_id)
            raise

    def _reach(self, held: _HeldGallery, number: int) -> None:
        with self._changed:
            held.reach(number)
            self._changed.notify_all()

    def _let_go(self, tenant_id: str) -> None:
        with self._changed:
            self._refused.pop(tenant_id, None)
            held = self._held.pop(tenant_id, None)
            self._nbytes -= held.nbytes if held else 0

    def _refuse(self, tenant_id: str, error: Exception) -> None:
        log.error("the gallery of tenant %s is not held in part %d: %s", tenant_id, self.part.number, error)
        self._let_go(tenant_id)
        with self._changed:
            reason = "A part of the gallery is not served: see the log of its shard."
            self._refused[tenant_id] = _Refusal(reason, time.monotonic() + REFUSED_SECONDS)
            self._changed.notify_all()

    def _fill(self, held: _HeldGallery, connection: Connection, packs: GalleryPacks) -> None:
        tenant, rows = held.tenant, GalleryRepository(held.tenant.id)
        held.answer_with(packs.pack)
        # The pack that answers comes first: orphans are counted against it.
        for pack in sorted(rows.stored_packs(connection), key=lambda each: each != packs.pack):
            index = self._index(held, pack, rows.some_templates(connection, pack, self.part, limit=LOOKED_AT))
            if index is None:
                continue
            if pack == packs.pack:
                self._demand_room(index, rows.count(connection, self.part))
            stored = stored_templates(connection, tenant, pack, index.dimension, self.part)
            for keys, templates in gathered((self._sound(held, batch) for batch in stored), REBUILD_ROWS):
                self._demand_room(index, len(keys))
                held.put(pack, keys, templates)
                self._measure(held)

    def _change(self, held: _HeldGallery, batch: ChangeBatch) -> None:
        latest: dict[PackIdentity, dict[int, tuple[int, str, bytes] | None]] = {}
        for change in batch.changes:
            key = change.entry_key
            if key is None or not self.part.has(key):
                continue
            for pack in [change.pack] if change.pack else held.indexes.keys() | change.sealed_templates.keys():
                sealed = change.sealed_templates.get(pack)
                there = change.entry_id is not None and sealed is not None
                latest.setdefault(pack, {})[key] = (key, change.entry_id, sealed) if there else None  # type: ignore[assignment]
        for pack, by_key in latest.items():
            self._put(held, pack, by_key)
        held.answer_with(batch.packs.pack)
        enrolling = batch.packs.enrolling
        for pack in [pack for pack, index in held.indexes.items() if not len(index) and pack not in enrolling]:
            del held.indexes[pack]
        self._measure(held)

    def _put(self, held: _HeldGallery, pack: PackIdentity, by_key: dict[int, tuple[int, str, bytes] | None]) -> None:
        """Give entries the templates that they have now. An entry with None has none."""
        held.unreadable.difference_update(by_key)
        rows = [row for _, row in sorted(by_key.items()) if row]
        gone = [key for key, row in by_key.items() if row is None]
        index = self._index(held, pack, rows)
        if index is None:  # none of the rows opens, and there were none before
            held.unreadable.update(row[0] for row in rows)
            return
        if rows:
            found = self._sound(held, open_rows(held.tenant, pack, index.dimension, rows))
            self._demand_room(index, sum(key not in index for key in found.keys.tolist()))
            held.put(pack, found.keys, found.rows)
            gone += found.damaged
        for key in gone:
            held.remove(pack, key)

    def _sound(self, held: _HeldGallery, batch: TemplateBatch) -> TemplateBatch:
        if batch.damaged:
            held.unreadable.update(batch.damaged)
            log.error(
                "%d templates of tenant %s cannot be read: searches omit them", len(batch.damaged), held.tenant.id
            )
        return batch

    def _index(
        self, held: _HeldGallery, pack: PackIdentity, rows: Sequence[Row[int, str, bytes] | tuple[int, str, bytes]]
    ) -> ExactIndex | None:
        """Give a pack's index. A new one gets the length of the templates of ``rows``. None when none of them opens.

        So a shard needs no files of the pack.
        """
        index = held.indexes.get(pack)
        if index is None and rows:
            _, ids, sealed = zip(*rows[:LOOKED_AT], strict=True)
            length = template_length(held.tenant, pack, ids, sealed)
            if length is not None:
                index = held.indexes[pack] = self._make_index(length)
        return index

    def _demand_room(self, index: ExactIndex, more: int) -> None:
        wanted = self._nbytes + least_bytes(more, index.dimension)
        if wanted > self._limit_bytes:
            raise _TooLarge(f"it needs more than the {self._limit_bytes:,} bytes that this shard may hold")

    def _measure(self, held: _HeldGallery) -> None:
        now = sum(index.nbytes for index in held.indexes.values())
        with self._changed:
            self._nbytes += now - held.nbytes
            held.nbytes = now
