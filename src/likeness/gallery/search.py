"""The search for one face in one view of a gallery."""

import logging
from dataclasses import dataclass

from likeness.engine.levels import LEVELS
from likeness.engine.packs.identity import PackIdentity
from likeness.gallery.decision import DecisionThreshold, decide
from likeness.gallery.entries.entry import Entry
from likeness.gallery.fpir.known import KnownMeasurements
from likeness.gallery.packs import Packs, Probe
from likeness.gallery.views import GalleryView
from likeness.index.base import Hit
from likeness.kit.metrics import Count
from likeness.tenants.service import Tenant

log = logging.getLogger("likeness.gallery")
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
    """Searches a tenant's gallery, and decides by calibrated levels."""

    def __init__(self, packs: Packs, measurements: KnownMeasurements) -> None:
        self._packs = packs
        self._measurements = measurements

    async def search(
        self, tenant: Tenant, view: GalleryView, probe: Probe, *, candidates: int = 0, level: int | None = None
    ) -> SearchOutcome:
        """Find the nearest entry and decide whether it is the person. Raises GalleryMoved, ServiceUnavailable."""
        size = view.size
        measured = await self._measurements.of(tenant.id)
        calibrations = {pack: self._packs.calibration(pack) for pack in view.searched}
        decisions = {
            pack: decide(
                calibration,
                tenant.settings,
                level=level,
                size=size,
                shown=measured.curve(pack, calibration, size=size) if measured else None,
            )
            for pack, calibration in calibrations.items()
        }
        thresholds = {pack: decision.threshold for pack, decision in decisions.items()}
        scan = await view.scan(probe.templates, thresholds, count=max(candidates, 1))
        if not all(answer.certified for answer in scan.answers.values()):
            _unproven.add()
            log.error("a search was answered without proof: this machine's memory or this program is faulty")
        ranked = [
            self._rank(scan.entries[hit.key], hit, pack, decisions[pack])
            for pack, answer in scan.answers.items()
            for hit in answer.hits
        ]
        ranked.sort(key=lambda each: (each.found, each.level), reverse=True)
        best = ranked[0] if ranked else None
        found = best is not None and best.found
        model = best.pack if best else view.pack
        reached = best.level if best else 0
        certified = scan.answers.keys() == decisions.keys() and all(each.certified for each in scan.answers.values())
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

    def _rank(self, entry: Entry, hit: Hit, pack: PackIdentity, decision: DecisionThreshold) -> RankedEntry:
        level = self._packs.calibration(pack).level(hit.score)
        return RankedEntry(entry, hit.score, level, pack, found=hit.score >= decision.threshold)
