"""A gallery's newest changes, by which a search-or-insert is atomic over all processes.

A search covers all changes up to its view's number. Another process may enrol the same person after that number, and
before this one does. So the transaction that enrols locks the gallery, and reads the changes after the number from the
log. Nobody adds one until it ends. It compares the probe with their templates, which are few, and with those that it
has added itself. So no scan runs while the gallery is locked.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Transaction

from likeness.engine.base import Template
from likeness.engine.packs.identity import PackIdentity
from likeness.gallery.repository import GalleryPacks
from likeness.gallery.sharded.following import ChangeBatch, OutOfReach, changes_after
from likeness.gallery.sharded.state import gallery_state
from likeness.gallery.templates.blocks import open_rows
from likeness.gallery.views import GalleryMoved
from likeness.index.scores import best_hits, exact_scores
from likeness.store.sharing.changes import ChangeKind
from likeness.tenants.service import Tenant

MOST_CHANGES = 2000
"""A search that is further behind is made anew."""
KEPT = 128
"""Changes that are held for searches that will watch: their photos are being analysed."""
_SIZE_CHANGES = {ChangeKind.ADDED: 1, ChangeKind.ERASED: -1}


class NewestChanges:
    """The newest changes of one gallery, for one pack.

    The writer's thread reads and compares them. Any thread may watch.
    """

    def __init__(self, tenant: Tenant, pack: PackIdentity, dimension: int) -> None:
        self._tenant = tenant
        self._pack = pack
        self._dimension = dimension
        self._lock = Lock()
        self._watched: Counter[int] = Counter()
        self._start = -1
        """The changes after this number, up to ``_reached``, are held."""
        self._reached = -1
        self._size = 0
        """Number of entries after the change ``_reached``."""
        self._numbers: list[int] = []
        self._keys: list[int] = []
        self._rows: list[Template] = []
        self._transaction: Transaction | None = None
        self._added: list[tuple[int, Template]] = []
        """What the present transaction has added: it is not in the log yet."""

    @contextmanager
    def watch(self, number: int, size: int) -> Iterator[int]:
        """Keep the changes after a view's number until the block ends. ``size``: the entries at that number."""
        with self._lock:
            self._begin_at(number, size)
            self._watched[number] += 1
        try:
            yield number
        finally:
            with self._lock:
                self._watched[number] -= 1
                if not self._watched[number]:
                    del self._watched[number]

    def enter(self, connection: Connection, number: int, size: int) -> GalleryPacks:
        """Begin a change of the gallery, which is locked. Read what is new, and give the gallery's packs."""
        if connection.get_transaction() is not self._transaction:
            self._transaction = connection.get_transaction()
            self._added.clear()
        with self._lock:
            self._begin_at(number, size)
        while True:
            try:
                batch = changes_after(connection, self._tenant.id, self._reached)
            except OutOfReach:
                return self._begin_anew(connection)
            if batch.newest - self._reached > MOST_CHANGES:
                return self._begin_anew(connection)
            with self._lock:
                self._take(batch)
            if self._reached == batch.newest:
                return batch.packs

    def is_idle(self, transaction: Transaction | None) -> bool:
        """Whether no search and no change of this transaction needs it."""
        with self._lock:
            return not self._watched and self._transaction is not transaction

    @property
    def size(self) -> int:
        """Number of entries, with those that the present transaction has added."""
        return self._size + len(self._added)

    def record(self, key: int, template: Template) -> None:
        """Note an entry that the present transaction has added."""
        self._added.append((key, template))

    def matches_since(self, number: int, template: Template, minimum_score: float) -> list[tuple[int, float]]:
        """Give (key, score) of all that has changed after a number and reaches the score, best first.

        Raises GalleryMoved when those changes are not held: search again.
        """
        with self._lock:
            if number < self._start:
                raise GalleryMoved
            first = int(np.searchsorted(self._numbers, number, side="right"))
            keys = self._keys[first:] + [key for key, _ in self._added]
            rows = self._rows[first:] + [row for _, row in self._added]
        if not rows:
            return []
        scores = exact_scores(np.stack(rows), template)
        hits = best_hits(np.array(keys, np.int64), scores, k=None, minimum_score=minimum_score)
        return [(hit.key, hit.score) for hit in hits]

    def _begin_at(self, number: int, size: int) -> None:
        """Begin at a number that is far after what is held, if no search needs that. Call it with the lock."""
        if self._reached < 0 or (not self._watched and number - self._reached > KEPT):
            self._hold_nothing(number, size)

    def _hold_nothing(self, number: int, size: int) -> None:
        self._start = self._reached = number
        self._size = size
        self._numbers, self._keys, self._rows = [], [], []

    def _begin_anew(self, connection: Connection) -> GalleryPacks:
        """Begin at the newest number. Searches that are under way are made anew."""
        state = gallery_state(connection, self._tenant.id, None)
        assert state is not None
        with self._lock:
            self._hold_nothing(state.number, state.size)
        return state.packs

    def _take(self, batch: ChangeBatch) -> None:
        """Hold the templates of a batch, and let go what no search needs."""
        for change in batch.changes:
            self._reached = change.number
            self._size += _SIZE_CHANGES.get(change.kind, 0)
            sealed = change.sealed_templates.get(self._pack)
            if sealed is None or change.entry_id is None or change.entry_key is None:
                continue
            opened = open_rows(self._tenant, self._pack, self._dimension, [(change.entry_key, change.entry_id, sealed)])
            self._numbers += [change.number] * len(opened.keys)
            self._keys += opened.keys.tolist()
            self._rows += list[NDArray[np.float32]](opened.rows)
        needed = int(np.searchsorted(self._numbers, min(self._watched, default=self._reached), side="right"))
        done = min(needed, len(self._numbers) - KEPT)
        if done > 0:
            self._start = self._numbers[done - 1]
            del self._numbers[:done], self._keys[:done], self._rows[:done]
