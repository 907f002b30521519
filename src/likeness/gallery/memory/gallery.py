"""One tenant's gallery in memory: an exact index for each model pack.

Only the database's writer thread changes it, in commit order.

A gallery answers with one pack. During a move to another pack (see ``likeness.gallery.reindex.job``) it keeps templates
of both. The second pack is its *shadow*. Entries without a template of the answering pack are *orphans*. A search finds
them with a pack that they have a template of. A search takes one immutable snapshot, and works only on that.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.engine.base import Template
from likeness.engine.packs.identity import PackIdentity
from likeness.gallery.memory.recent import RecentEnrolments
from likeness.gallery.repository import BLOCK_SPAN
from likeness.index.base import Index
from likeness.store.writer import Committed


@dataclass(frozen=True, slots=True, eq=False)
class GallerySnapshot:
    """The packs and indexes that a gallery answers with at one moment."""

    pack: PackIdentity
    """Identity of the pack that answers."""
    shadow: PackIdentity | None
    """Identity of the pack that new entries are also enrolled with."""
    indexes: Mapping[PackIdentity, Index]
    """By pack: the one that answers, the shadow, and packs of orphans."""
    orphans: Mapping[PackIdentity, int]
    """For each pack but the one that answers: how many entries only this pack finds."""

    @property
    def index(self) -> Index:
        return self.indexes[self.pack]

    @property
    def enrolling(self) -> tuple[PackIdentity, ...]:
        """The packs that a new entry is enrolled with. The one that answers comes first."""
        return (self.pack, self.shadow) if self.shadow else (self.pack,)

    @property
    def searched(self) -> tuple[PackIdentity, ...]:
        """The packs that a search compares with. The one that answers comes first."""
        return (self.pack, *(pack for pack, count in self.orphans.items() if count))

    @property
    def size(self) -> int:
        """Number of entries that a search can find."""
        return len(self.index) + sum(self.orphans.values())

    @property
    def old_packs(self) -> tuple[PackIdentity, ...]:
        """The packs that only orphans have templates of, so neither the one that answers nor the shadow."""
        return tuple(pack for pack in self.indexes if pack not in self.enrolling)

    def with_shadow(self, pack: PackIdentity, index: Index) -> "GallerySnapshot":
        """Give this snapshot with a shadow. The index has the templates that the pack has already."""
        return replace(self, shadow=pack, indexes={**self.indexes, pack: index})

    def swapped(self) -> "GallerySnapshot":
        """Give the snapshot in which the shadow answers, and the pack that answered is the shadow. Reads nothing."""
        assert self.shadow is not None
        shared = len(self.indexes[self.shadow]) - self.orphans.get(self.shadow, 0)
        orphans = {pack: count for pack, count in self.orphans.items() if pack != self.shadow}
        return replace(
            self, pack=self.shadow, shadow=self.pack, orphans={**orphans, self.pack: len(self.index) - shared}
        )

    def with_orphans(self, found: Mapping[PackIdentity, Index]) -> "GallerySnapshot":
        """Give this snapshot with other orphans: their indexes by pack.

        The orphans have no template of the snapshot's pack or of its shadow.
        """
        enrolling = self.enrolling
        indexes = {pack: index for pack, index in self.indexes.items() if pack in enrolling}
        orphans = {pack: count for pack, count in self.orphans.items() if pack in enrolling}
        return replace(
            self,
            indexes={**indexes, **found},
            orphans={**orphans, **{pack: len(index) for pack, index in found.items()}},
        )

    def without_shadow(self, found: Mapping[PackIdentity, Index]) -> "GallerySnapshot":
        """Give this snapshot without its shadow, and with these orphans."""
        return replace(self, shadow=None).with_orphans(found)


class Gallery:
    """A tenant's snapshot, and the entries that are not in it yet.

    Each method that changes it takes a ``Committed``. Only the writer's thread has one.
    """

    def __init__(
        self,
        snapshot: GallerySnapshot,
        *,
        recorded: bool,
        unblocked_spans: Iterable[int] = (),
        unreadable: Iterable[int] = (),
    ) -> None:
        self.snapshot = snapshot
        self.recent = RecentEnrolments(snapshot.index.dimension)
        self.recorded = recorded
        """Whether the database has this gallery's packs. It has them from the first entry on."""
        self.unblocked_spans = frozenset(unblocked_spans)
        """Spans with templates that are in no block (see ``likeness.gallery.templates.blocks``).

        The set is replaced and never changed, because other threads read it.
        """
        self.unreadable = set(unreadable)
        """Keys of entries with a damaged stored template. Another pack may still find them."""

    def add(self, _: Committed[Any], key: int, templates: Mapping[PackIdentity, Template]) -> None:
        """Feed a committed entry to the index of each pack."""
        snapshot = self.snapshot
        for pack, template in templates.items():
            snapshot.indexes[pack].add(key, template)
        self.recent.mark_indexed(key)
        self.recorded = True
        self._unblock([key])

    def add_shadows(
        self,
        _: Committed[Any],
        keys: Sequence[int],
        templates: NDArray[np.float32],
        *,
        orphans: Mapping[PackIdentity, Index] | None = None,
    ) -> None:
        """Feed the shadow's templates (n, d) of entries that are older than the shadow.

        ``orphans``: when one of these entries was an orphan, the new indexes of the remaining orphans by pack.
        """
        snapshot = self.snapshot
        assert snapshot.shadow is not None
        snapshot.indexes[snapshot.shadow].add_many(keys, templates)
        self._unblock(keys)
        alone = sum(key not in snapshot.index for key in keys)
        if alone:
            snapshot = replace(snapshot, orphans=_changed(snapshot.orphans, snapshot.shadow, alone))
            self.snapshot = snapshot if orphans is None else snapshot.with_orphans(orphans)

    def remove(self, _: Committed[Any], key: int) -> None:
        """Remove an erased entry from every index."""
        self.unreadable.discard(key)
        self._unblock([key])
        snapshot = self.snapshot
        answered = snapshot.index.remove(key)
        for pack, index in snapshot.indexes.items():
            if pack != snapshot.pack and index.remove(key) and not answered:
                snapshot = replace(snapshot, orphans=_changed(snapshot.orphans, pack, -1))
        self.snapshot = snapshot

    def block(self, _: Committed[Any], span: int) -> None:
        """Note that a span's templates are in blocks."""
        self.unblocked_spans -= {span}

    def _unblock(self, keys: Sequence[int]) -> None:
        self.unblocked_spans |= {key // BLOCK_SPAN for key in keys}

    def show(self, _: Committed[Any], snapshot: GallerySnapshot) -> None:
        """Answer with another snapshot. No other change of the gallery may be under way."""
        if snapshot.pack != self.snapshot.pack:
            self.recent = RecentEnrolments(snapshot.index.dimension)
        self.snapshot = snapshot
        self.recorded = True


def _changed(orphans: Mapping[PackIdentity, int], pack: PackIdentity, by: int) -> dict[PackIdentity, int]:
    return {**orphans, pack: orphans.get(pack, 0) + by}
