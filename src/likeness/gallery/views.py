"""What the calls on a gallery need of its indexes, which are in this process's memory or in shards.

``likeness.gallery.memory.views`` and ``likeness.gallery.sharded.views`` are the two ways. The calls are the same.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from sqlalchemy import Connection

from likeness.engine.base import Template
from likeness.engine.packs.identity import PackIdentity
from likeness.gallery.entries.entry import Entry
from likeness.gallery.repository import GalleryPacks
from likeness.index.base import Answer
from likeness.kit.metrics import Times
from likeness.store.writer import Committed
from likeness.tenants.service import Tenant

RESCANS = 50
"""Searches in a row that may meet an entry which is erased meanwhile."""
SCAN_SECONDS = Times("likeness_scan_seconds", "Time of a search's scan, with its wait for other scans.")
STATES: Final = ("ready", "loading", "failed", "detached", "suspended", "reloading")


@dataclass(frozen=True, slots=True)
class GalleriesCondition:
    """What the galleries of a server are able to do. Calls are answered when ``status`` is ``ready``."""

    status: str
    """One of ``STATES``."""
    loaded: int
    total: int
    """While they load: entries, or parts of galleries in shards."""
    galleries: int
    entries: int
    """Entries that searches can find."""
    largest: int
    """Entries of the largest gallery. For galleries in shards, this is at most so many."""
    unreadable: int = 0
    """Entries with a damaged stored template."""
    stale: int = 0
    """Galleries that must be loaded again."""
    refusing: int = 0
    """Galleries that refuse their calls."""


class HasCondition(Protocol):
    """Whatever holds the galleries."""

    @property
    def condition(self) -> GalleriesCondition:
        """The condition now."""


class GalleryMoved(Exception):
    """The gallery now answers or enrols with other packs than those of the analysis. Analyse the photo again."""


@dataclass(frozen=True, slots=True)
class ScanResult:
    """The answers of a search by pack, and the entries of all their hits by key."""

    answers: Mapping[PackIdentity, Answer]
    entries: Mapping[int, Entry]

    @property
    def is_whole(self) -> bool:
        """Whether every hit has its entry. An entry may be erased between the scan and the query."""
        return not self.lacking

    @property
    def lacking(self) -> list[int]:
        """The keys of the hits without an entry: it was erased meanwhile, or it was altered."""
        return list(set(keys_of(self.answers)) - self.entries.keys())


def keys_of(answers: Mapping[PackIdentity, Answer]) -> list[int]:
    """Give the keys of all hits."""
    return [hit.key for answer in answers.values() for hit in answer.hits]


class PresentGallery(Protocol):
    """A gallery within the transaction that adds an entry to it. Nobody else changes it until the transaction ends.

    Only the writer's thread uses it.
    """

    @property
    def size(self) -> int:
        """Number of entries, with those that the transaction has added."""

    def matches_since(self, position: int, template: Template, minimum_score: float) -> Iterable[tuple[int, float]]:
        """Give (key, score) of the entries after a watched position that reach the score, best first.

        ``template`` is of the pack that answers. An entry may be erased since. Raises GalleryMoved when they are too
        many: search again.
        """

    def record(self, key: int, template: Template) -> None:
        """Note an entry that the transaction has added, and its template of the pack that answers."""


class GalleryView(Protocol):
    """A tenant's gallery as one call sees it. Each search in it covers all that was committed before the view."""

    @property
    def pack(self) -> PackIdentity:
        """The pack that answers."""

    @property
    def enrolling(self) -> tuple[PackIdentity, ...]:
        """The packs that a new entry is enrolled with. The one that answers comes first."""

    @property
    def searched(self) -> tuple[PackIdentity, ...]:
        """The packs that a search compares with. The one that answers comes first."""

    @property
    def size(self) -> int:
        """Number of entries that a search can find."""

    def watch(self) -> AbstractContextManager[int]:
        """Give the position from which ``PresentGallery.matches_since`` compares until the block ends.

        Search within the block.
        """

    async def scan(
        self, templates: Mapping[PackIdentity, Template], thresholds: Mapping[PackIdentity, float], *, count: int
    ) -> ScanResult:
        """Give the best ``count`` hits of the pack that answers.

        Of each other pack of ``thresholds``, give the hits that reach its threshold and have no template of the pack
        that answers. A pack without a template finds nothing. Every hit has its entry. Raises GalleryMoved,
        ServiceUnavailable.
        """

    async def nearest(self, pack: PackIdentity, template: Template, *, k: int) -> Answer:
        """Give the best ``k`` hits of one pack that the gallery enrols with. Raises ServiceUnavailable."""

    def present(self, connection: Connection) -> PresentGallery:
        """Give the gallery as the transaction sees it. The database has its packs from then on.

        Raises GalleryMoved when it enrols with other packs than this view, and ServiceUnavailable.
        """


@dataclass(frozen=True, slots=True)
class NewTemplates:
    """Keys of the entries that got a template of the shadow, and what the gallery must do with them."""

    keys: list[int]
    orphans: Any = None


class Galleries(Protocol):
    """All tenants' galleries. Who changes one in the database says so here, once the change is committed."""

    @property
    def loaded(self) -> bool:
        """Whether the galleries can be asked at all."""

    async def view(self, tenant: Tenant) -> GalleryView:
        """Give a tenant's gallery as it is now. Raises ServiceUnavailable when it must not answer."""

    def added(
        self, written: Committed[Any], tenant_id: str, key: int, templates: Mapping[PackIdentity, Template]
    ) -> None:
        """Take a new entry."""

    def removed(self, erased: Committed[Any], tenant_id: str, key: int) -> None:
        """Take the erasure of an entry."""

    def set_packs(self, connection: Connection, tenant: Tenant, packs: GalleryPacks) -> object:
        """Let a gallery answer and enrol with these packs. Give what ``packs_set`` needs.

        The change is exclusive. The packs are the present ones, or one of them leaves, or comes, or they are swapped.
        """

    def packs_set(self, written: Committed[Any], tenant_id: str, change: object) -> None:
        """Take the change of packs that ``set_packs`` gave."""

    def add_templates(
        self, connection: Connection, tenant: Tenant, pack: PackIdentity, sealed: Mapping[int, bytes]
    ) -> NewTemplates:
        """Add templates of the shadow by key, as ``GalleryRepository.add_templates``."""

    def templates_added(
        self, written: Committed[Any], tenant_id: str, added: NewTemplates, templates: Mapping[int, Template]
    ) -> None:
        """Take new templates of the shadow."""
