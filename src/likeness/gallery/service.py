"""Enrolling, finding and forgetting people.

The order of a change: image stored, database committed, index fed, caller answered. What was acknowledged is therefore found after a
crash, and what was deleted is gone; an image whose commit never came is swept at the next start.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakValueDictionary

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from likeness.engine.base import Face, Use
from likeness.engine.workers import FaceWorkers
from likeness.errors import Conflict, NotFound, ServiceUnavailable, TooManyRequests
from likeness.gallery.galleries import Galleries, seal_template
from likeness.gallery.repository import Entry, GalleryRows, NewEntry, RememberedAnswer, forget_answers
from likeness.index.base import Answer, Hit
from likeness.kit.clock import Clock
from likeness.kit.executors import SizedExecutor
from likeness.kit.ids import new_id, new_object_id
from likeness.store.database import Database
from likeness.store.images import ImageStore
from likeness.tenants.service import Tenant

log = logging.getLogger("likeness.gallery")
IDEMPOTENCY_TTL_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class RankedEntry:
    entry: Entry
    score: float
    level: int


@dataclass(frozen=True, slots=True)
class SearchOutcome:
    """The answer of a search: ``entry_id`` is the person found, or the one just enrolled, or None."""

    entry_id: str | None
    found: bool
    level: int
    score: float | None
    false_match_rate: float
    decision_level: int
    gallery_size: int
    certified: bool
    candidates: tuple[RankedEntry, ...]


class GalleryService:
    def __init__(
        self,
        faces: FaceWorkers,
        galleries: Galleries,
        database: Database,
        images: ImageStore,
        scans: SizedExecutor,
        clock: Clock,
    ) -> None:
        self._faces = faces
        self._galleries = galleries
        self._database = database
        self._images = images
        self._scans = scans
        self._clock = clock
        self._search_or_insert: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.model = str(faces.engine.pack)

    async def search(
        self, tenant: Tenant, photo: bytes, *, insert: bool = False, candidates: int = 0, level: int | None = None
    ) -> SearchOutcome:
        """Look the person up; with ``insert``, enrol the one who is not found.

        Two concurrent calls with ``insert`` and the same face end in one entry.
        """
        self._demand_ready()
        use = Use.ENROL if insert else Use.PROBE
        face = await self._faces.analyse(photo, use=use, policy=tenant.settings.face_policy)
        return await self.search_face(tenant, face, photo if insert else None, candidates=candidates, level=level)

    async def search_face(
        self, tenant: Tenant, face: Face, enrol_photo: bytes | None, *, candidates: int = 0, level: int | None = None
    ) -> SearchOutcome:
        """Search for a face already analysed; where nobody is found, enrol it with ``enrol_photo`` if that is given."""
        if enrol_photo is None:
            return await self._look_up(tenant, face, candidates, level)
        # One at a time per tenant: between the search and the insert nobody else may enrol the same person.
        async with self._search_or_insert.setdefault(tenant.id, asyncio.Lock()):
            outcome = await self._look_up(tenant, face, candidates, level)
            if outcome.found:
                return outcome
            entry_id = await self._enrol(tenant, face, enrol_photo, external_id=None, labels={})
        return replace(outcome, entry_id=entry_id)

    async def insert(
        self,
        tenant: Tenant,
        photo: bytes,
        *,
        external_id: str | None = None,
        labels: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> str:
        """Enrol a person; gives the new id.

        Raises Conflict when ``external_id`` is taken or ``idempotency_key`` came before with another request.
        """
        self._demand_ready()
        labels = dict(labels or {})
        digest = ""
        if idempotency_key is not None:
            digest = _digest(photo, external_id, labels)
            remembered = await self._recall(tenant, idempotency_key, digest)
            if remembered is not None:
                return remembered
        face = await self._faces.analyse(photo, use=Use.ENROL, policy=tenant.settings.face_policy)
        return await self._enrol(
            tenant, face, photo, external_id=external_id, labels=labels, idempotency=(idempotency_key, digest)
        )

    async def get(self, tenant: Tenant, entry_id: str) -> Entry:
        """Give an entry's metadata. Raises NotFound."""
        entry = await self._database.read(lambda c: GalleryRows(tenant.id).find(c, entry_id))
        return _known(entry)

    async def list(self, tenant: Tenant, *, after_key: int, limit: int) -> "list[Entry]":
        return await self._database.read(lambda c: GalleryRows(tenant.id).page(c, after_key=after_key, limit=limit))

    async def delete_image(self, tenant: Tenant, entry_id: str) -> None:
        """Delete the stored photo; the templates stay searchable. Repeating it is fine. Raises NotFound."""
        entry = _known(await self._database.write(lambda c: GalleryRows(tenant.id).forget_image(c, entry_id)))
        if entry.image_id:
            await self._images.delete(tenant.id, entry.image_id)

    async def erase(self, tenant: Tenant, entry_id: str) -> None:
        """Erase photo and templates for good. Raises NotFound."""
        index = self._galleries.index(tenant.id)

        def forget(entry: Entry | None) -> None:
            if entry:
                index.remove(entry.key)

        rows = GalleryRows(tenant.id)
        entry = _known(await self._database.write(lambda c: rows.erase(c, entry_id), after_commit=forget))
        if entry.image_id:
            await self._images.delete(tenant.id, entry.image_id)

    async def sweep(self, tenant: Tenant) -> int:
        """Delete images that no entry refers to (their commit never came); gives how many. Runs before traffic."""
        stored = await self._images.list_ids(tenant.id)
        if not stored:
            return 0
        orphans = stored - await self._database.read(GalleryRows(tenant.id).image_ids)
        for image_id in orphans:
            await self._images.delete(tenant.id, image_id)
        return len(orphans)

    async def forget_old_answers(self) -> None:
        """Drop idempotency keys past their day."""
        before = self._clock.now() - IDEMPOTENCY_TTL_SECONDS
        await self._database.write(lambda c: forget_answers(c, before=before))

    async def _look_up(self, tenant: Tenant, face: Face, candidates: int, level: int | None) -> SearchOutcome:
        calibration = self._faces.engine.calibration
        decision_level = level or tenant.settings.search_level
        index = self._galleries.index(tenant.id)
        answer: Answer = await self._scans.run(index.search, face.template, k=max(candidates, 1))
        entries = await self._entries(tenant, answer.hits)
        ranked = tuple(
            RankedEntry(entries[hit.key], hit.score, calibration.level(hit.score))
            for hit in answer.hits
            if hit.key in entries
        )
        best = ranked[0] if ranked else None
        reached = best.level if best else 0
        found = best is not None and reached >= decision_level
        return SearchOutcome(
            entry_id=best.entry.id if best and found else None,
            found=found,
            level=reached,
            score=best.score if best else None,
            false_match_rate=calibration.false_match_rate(reached),
            decision_level=decision_level,
            gallery_size=answer.size,
            certified=answer.certified,
            candidates=ranked[:candidates],
        )

    async def _entries(self, tenant: Tenant, hits: tuple[Hit, ...]) -> dict[int, Entry]:
        # An entry erased since the scan is not in the database any more and drops out of the answer.
        if not hits:
            return {}
        keys = [hit.key for hit in hits]
        return await self._database.read(lambda c: GalleryRows(tenant.id).find_keys(c, keys))

    async def _enrol(
        self,
        tenant: Tenant,
        face: Face,
        photo: bytes,
        *,
        external_id: str | None,
        labels: dict[str, str],
        idempotency: tuple[str | None, str] = (None, ""),
    ) -> str:
        index = self._galleries.index(tenant.id)
        if len(index) >= tenant.settings.gallery_limit:
            raise TooManyRequests("The gallery has reached the tenant's limit; erase entries or have the limit raised.")
        rows = GalleryRows(tenant.id)
        idempotency_key, digest = idempotency
        entry_id, image_id = new_id(), new_object_id()
        entry = NewEntry(
            id=entry_id,
            external_id=external_id,
            labels=labels,
            quality=face.quality.score,
            image_id=image_id,
            created_at=self._clock.now(),
            pack=self.model,
            sealed_template=seal_template(tenant, face.template, entry_id),
        )

        def add(connection: Connection) -> int:
            if idempotency_key is not None:
                answer = RememberedAnswer(digest, {"id": entry_id})
                rows.remember_answer(connection, idempotency_key, answer, now=entry.created_at)
            return rows.add(connection, entry)

        await self._images.put(tenant.id, image_id, photo, tenant.cipher)
        try:
            await self._database.write(add, after_commit=lambda key: index.add(key, face.template))
        except IntegrityError as error:
            await self._images.delete(tenant.id, image_id)
            if idempotency_key is not None:
                remembered = await self._recall(tenant, idempotency_key, digest)
                if remembered is not None:
                    return remembered
            raise Conflict(f"There is an entry with externalId {external_id!r} already.") from error
        return entry_id

    async def _recall(self, tenant: Tenant, key: str, digest: str) -> str | None:
        remembered = await self._database.read(lambda c: GalleryRows(tenant.id).recall_answer(c, key))
        if remembered is None:
            return None
        if remembered.request_digest != digest:
            raise Conflict("This Idempotency-Key came before with another request; use a new key.")
        return str(remembered.answer["id"])

    def _demand_ready(self) -> None:
        progress = self._galleries.progress
        if not progress.done:
            raise ServiceUnavailable(
                f"The gallery is being loaded ({progress.loaded} of {progress.total}); try again shortly."
            )


def _known(entry: Entry | None) -> Entry:
    if entry is None:
        raise NotFound("There is no such entry.")
    return entry


def _digest(photo: bytes, external_id: str | None, labels: dict[str, Any]) -> str:
    digest = hashlib.sha256(photo)
    digest.update(json.dumps([external_id, labels], sort_keys=True).encode())
    return digest.hexdigest()
