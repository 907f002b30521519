"""The report of a gallery's pairs: their entries, the levels that they reach, and on request the faces."""

import contextlib
import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice

from likeness.engine.base import Engine
from likeness.engine.packs.identity import PackIdentity
from likeness.engine.photo.thumbnail import face_thumbnail
from likeness.errors import LikenessError, SetupError
from likeness.gallery.duplicates.page import PairMember, ShownPair
from likeness.gallery.duplicates.pairs import Pair, Templates, pairs
from likeness.gallery.entries.entry import Entry
from likeness.gallery.packs import find_subject
from likeness.gallery.repository import GalleryRepository
from likeness.store.database import Database
from likeness.store.images import ImageStore
from likeness.tenants.service import Tenant

_LOOKED_UP_AT_ONCE = 400


@dataclass(frozen=True, slots=True)
class ListedPair:
    """Two entries, the score of their templates, and the level that the score reaches with their pack."""

    first: Entry
    second: Entry
    score: float
    level: int
    pack: PackIdentity


class DuplicateListing:
    """Finds the pairs of one gallery that reach a level (1..5). ``engines`` are by pack."""

    def __init__(self, database: Database, tenant: Tenant, engines: Mapping[PackIdentity, Engine], level: int) -> None:
        self.found = 0
        """Pairs found so far."""
        self._database = database
        self._tenant = tenant
        self._engines = engines
        self._level = level

    def find(
        self,
        groups: Sequence[Templates],
        *,
        most: int,
        report: Callable[[ListedPair], None] | None,
        progress: Callable[[Templates, int], None],
    ) -> list[Pair]:
        """Find all pairs, and give the ``most`` with the highest scores, highest first.

        ``report`` gets every pair, but not pairs with an entry that was erased meanwhile. ``progress`` gets a group,
        and how many of its entries were compared with all entries before them.
        """
        found = chain.from_iterable(self._pairs(group, progress) for group in groups)
        reported = self._reported(found, report) if report else found
        return heapq.nlargest(most, reported, key=lambda pair: (pair.score, pair.first, pair.second, pair.pack))

    async def pictured(self, found: Sequence[Pair], images: ImageStore) -> list[ShownPair]:
        """Crop the faces of pairs from their stored photos.

        A pair with an entry that was erased meanwhile is left out.
        """
        entries = self._entries(found)
        shown = []
        for pair in found:
            if pair.first in entries and pair.second in entries:
                engine = self._engines[pair.pack]
                first = await self._member(images, engine, entries[pair.first])
                second = await self._member(images, engine, entries[pair.second])
                level = engine.calibration.level(pair.score)
                shown.append(ShownPair(pair.score, level, engine.calibration.false_match_rate(level), (first, second)))
        return shown

    def _pairs(self, group: Templates, progress: Callable[[Templates, int], None]) -> Iterator[Pair]:
        threshold = self._engines[group.pack].calibration.threshold(self._level)
        for pair in pairs(group, threshold, partial(progress, group)):
            self.found += 1
            yield pair

    def _reported(self, found: Iterator[Pair], report: Callable[[ListedPair], None]) -> Iterator[Pair]:
        while some := list(islice(found, _LOOKED_UP_AT_ONCE)):
            entries = self._entries(some)
            for pair in some:
                first, second = entries.get(pair.first), entries.get(pair.second)
                if first and second:
                    level = self._engines[pair.pack].calibration.level(pair.score)
                    report(ListedPair(first, second, pair.score, level, pair.pack))
            yield from some

    async def _member(self, images: ImageStore, engine: Engine, entry: Entry) -> PairMember:
        photo = None
        if entry.image_id:
            with contextlib.suppress(LikenessError, SetupError):  # a pair is reported even without a picture
                photo = await images.get(self._tenant.id, entry.image_id, self._tenant.cipher)
        return PairMember(entry.id, entry.external_id, self._face(engine, photo) if photo else None)

    def _face(self, engine: Engine, photo: bytes) -> str | None:
        try:
            image = engine.decode(photo)
            return face_thumbnail(image, find_subject(engine, image, self._tenant.settings.face_policy).box)
        except LikenessError:
            return None

    def _entries(self, found: Sequence[Pair]) -> dict[int, Entry]:
        """Give the entries of pairs by key. Entries that were erased meanwhile are left out."""
        keys = list({key for pair in found for key in (pair.first, pair.second)})
        return self._database.read_now(lambda c: GalleryRepository(self._tenant.id).find_keys(c, keys))
