"""The search for one face in one snapshot of a gallery."""

import asyncio
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass

from likeness.engine.levels import LEVELS
from likeness.engine.packs.identity import PackIdentity
from likeness.errors import ServiceUnavailable
from likeness.gallery.decision import DecisionThreshold, decide
from likeness.gallery.memory.galleries import GalleryMoved, LoadedGalleries
from likeness.gallery.memory.gallery import GallerySnapshot
from likeness.gallery.packs import Packs, Probe
from likeness.gallery.repository import Entry, GalleryRepository
from likeness.index.base import Answer, Hit
from likeness.kit.executors import SizedExecutor
from likeness.kit.metrics import Count, Times
from likeness.store.database import Database
from likeness.tenants.service import Tenant

log = logging.getLogger("likeness.gallery")
RESCANS = 50
RESCAN_PAUSE_SECONDS = 0.01
_scan_seconds = Times("likeness_scan_seconds", "Time of a search's scan, with its wait for other scans.")
_searches = Count(
    "likeness_searches_total",
    "Searches, by whether the person was found, the level of the nearest entry, and whether the answer is certified.",
    {"found": ("true", "false"), "level": map(str, (0, *LEVELS)), "certified": ("true", "false")},
)
_unproven = Count(
    "likeness_unproven_scans_total", "Searches answered without proof: the memory or the program is faulty."
)


@dataclass(frozen=True, slots=True)
class RankedEntry:
    """An entry near the probe, and the pack whose templates were compared."""

    entry: Entry
    score: float
    level: int
    pack: PackIdentity
    found: bool


@dataclass(frozen=True, slots=True)
class SearchOutcome:
    """The answer of a search. ``entry_id`` is the entry that was found or just enrolled, or None.

    ``level`` is 0..5, ``score`` a cosine, or None for an empty gallery.
    """

    entry_id: str | None
    found: bool
    level: int
    score: float | None
    false_match_rate: float
    model: str
    decision: DecisionThreshold
    gallery_size: int
    certified: bool
    candidates: tuple[RankedEntry, ...]


class Searcher:
    """Searches a tenant's gallery in memory, and decides by calibrated levels."""

    def __init__(self, packs: Packs, galleries: LoadedGalleries, database: Database, scans: SizedExecutor) -> None:
        self._packs = packs
        self._galleries = galleries
        self._database = database
        self._scans = scans

    async def search(
        self, tenant: Tenant, snapshot: GallerySnapshot, probe: Probe, *, candidates: int = 0, level: int | None = None
    ) -> SearchOutcome:
        """Find the nearest entry and decide whether it is the person. Raises GalleryMoved, ServiceUnavailable."""
        size = snapshot.size
        decisions = {
            pack: decide(self._packs.calibration(pack), tenant.settings, level=level, size=size)
            for pack in snapshot.searched
        }
        for _ in range(RESCANS):
            answers, entries = await self._scans.run(
                self._scan, tenant, snapshot, probe, decisions, count=max(candidates, 1)
            )
            keys = {hit.key for answer in answers.values() for hit in answer.hits}
            if entries.keys() == keys:
                break
            # An entry was erased between the scan and the query. The entries that rank after it must not be missed, so
            # scan again without it. But an index that is no longer fed would give the entry again.
            present = self._galleries.ready(tenant.id).snapshot.indexes
            if any(present.get(pack) is not snapshot.indexes[pack] for pack in answers):
                raise GalleryMoved
            await asyncio.sleep(RESCAN_PAUSE_SECONDS)
        else:
            self._galleries.mark_stale(tenant.id)
            raise ServiceUnavailable("The gallery is being loaded again; try again shortly.")
        ranked = [
            self._rank(entries[hit.key], hit, pack, decisions[pack])
            for pack, answer in answers.items()
            for hit in answer.hits
        ]
        ranked.sort(key=lambda each: (each.found, each.level), reverse=True)
        best = ranked[0] if ranked else None
        found = best is not None and best.found
        model = best.pack if best else snapshot.pack
        reached = best.level if best else 0
        certified = answers.keys() == decisions.keys() and all(answer.certified for answer in answers.values())
        _searches.add(*(str(value).lower() for value in (found, reached, certified)))
        return SearchOutcome(
            entry_id=best.entry.id if best and found else None,
            found=found,
            level=reached,
            score=best.score if best else None,
            false_match_rate=self._packs.calibration(model).false_match_rate(reached),
            model=model,
            decision=decisions[model],
            gallery_size=size,
            certified=certified,
            candidates=tuple(ranked[:candidates]),
        )

    def _scan(
        self,
        tenant: Tenant,
        snapshot: GallerySnapshot,
        probe: Probe,
        decisions: dict[PackIdentity, DecisionThreshold],
        *,
        count: int,
    ) -> tuple[dict[PackIdentity, Answer], dict[int, Entry]]:
        """Give the best hits of the pack that answers, and the entries of all hits by key. Blocks.

        Of each other pack, give the hits that reach its threshold and have no template of the pack that answers. The
        scan and the query share one thread, because a change of thread takes longer than the query.
        """
        began = time.monotonic()
        answers: dict[PackIdentity, Answer] = {}
        for pack in decisions.keys() & probe.templates.keys():
            template = probe.templates[pack]
            if pack == snapshot.pack:
                answers[pack] = snapshot.index.search(template, k=count)
            else:
                found = snapshot.indexes[pack].above(template, decisions[pack].threshold)
                answers[pack] = _only_orphans(snapshot, found)
        _scan_seconds.add(time.monotonic() - began)
        if not all(answer.certified for answer in answers.values()):
            _unproven.add()
            log.error("a search was answered without proof: this machine's memory or this program is faulty")
        keys = [hit.key for answer in answers.values() for hit in answer.hits]
        rows = GalleryRepository(tenant.id)
        return answers, self._database.read_now(lambda c: rows.find_keys(c, keys)) if keys else {}

    def _rank(self, entry: Entry, hit: Hit, pack: PackIdentity, decision: DecisionThreshold) -> RankedEntry:
        level = self._packs.calibration(pack).level(hit.score)
        return RankedEntry(entry, hit.score, level, pack, found=hit.score >= decision.threshold)


def _only_orphans(snapshot: GallerySnapshot, answer: Answer) -> Answer:
    hits: Iterable[Hit] = (hit for hit in answer.hits if hit.key not in snapshot.index)
    return Answer(tuple(hits), answer.certified, answer.size)
