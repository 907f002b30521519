"""The calls on a gallery: enrol, search, read, erase.

A change has a fixed order: store the photo, commit to the database, feed the index, answer the caller. So after a crash
searches find every acknowledged entry, and every deleted one is gone. The next start sets aside a photo without a
commit.
"""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from likeness.engine.base import Face, Image, Use
from likeness.engine.packs.identity import PackIdentity
from likeness.engine.source import PhotoSource
from likeness.errors import NoFace, NotFound
from likeness.gallery.enrolment import DuplicateGuard, Enroller, EnrolmentRequest
from likeness.gallery.entries.entry import Entry
from likeness.gallery.idempotency import Repeatable
from likeness.gallery.packs import Packs, Probe
from likeness.gallery.photos import EntryPhotos
from likeness.gallery.repository import GalleryRepository
from likeness.gallery.search import Searcher, SearchOutcome
from likeness.gallery.views import Galleries, GalleryMoved
from likeness.store.database import Database
from likeness.store.writer import Committed
from likeness.tenants.service import Tenant


class _Analyse(Protocol):
    """Gives the templates of a face by some packs. The first pack must find the face."""

    async def __call__(self, packs: tuple[PackIdentity, ...]) -> Probe: ...


@dataclass(frozen=True, slots=True)
class _Enrolling:
    """What a search does with a person who is not found."""

    photo: bytes = field(repr=False)
    request: EnrolmentRequest


class GalleryService:
    """The calls on a gallery: search, insert, read, list, delete a photo, erase an entry."""

    def __init__(
        self,
        packs: Packs,
        galleries: Galleries,
        searcher: Searcher,
        enroller: Enroller,
        photos: EntryPhotos,
        database: Database,
    ) -> None:
        self._packs = packs
        self._galleries = galleries
        self._searcher = searcher
        self._enroller = enroller
        self._photos = photos
        self._database = database

    async def search(
        self,
        tenant: Tenant,
        photo: bytes,
        *,
        enrolment: EnrolmentRequest | None = None,
        candidates: int = 0,
        level: int | None = None,
        source: PhotoSource | None = None,
    ) -> SearchOutcome:
        """Search for the person. With an ``enrolment``, enrol a person who is not found.

        Two concurrent calls with an ``enrolment`` and the same face make one entry. ``candidates`` is the length of the
        ranked list. ``level`` replaces the tenant's rule for this call (1..5). Of a document, only the portrait is used
        and stored. Raises what the analysis of the photo
        raises, TooManyRequests when the gallery is full, and ServiceUnavailable.
        """
        photo, use = await self._packs.portrait(photo, source, use=Use.ENROL if enrolment else Use.PROBE)

        async def analyse(packs: tuple[PackIdentity, ...]) -> Probe:
            return await self._packs.analyse(photo, packs, use=use, policy=tenant.settings.face_policy)

        enrolling = _Enrolling(photo, enrolment) if enrolment else None
        return await self._search(tenant, analyse, enrolling, candidates=candidates, level=level)

    async def search_face(
        self,
        tenant: Tenant,
        face: Face,
        image: Image,
        *,
        photo: bytes | None = None,
        enrolment: EnrolmentRequest | None = None,
    ) -> SearchOutcome:
        """Search for a face of ``image`` that the deployment's pack has analysed.

        With an ``enrolment``, enrol a person who is not found, with this ``photo``. When its occasion has enrolled the
        person before, give that entry's id, with ``found`` false.
        """

        async def analyse(packs: tuple[PackIdentity, ...]) -> Probe:
            main = self._packs.main
            others = [pack for pack in packs if pack != main]
            templates = await self._packs.embed(image, others, policy=tenant.settings.face_policy)
            if packs[0] in others and packs[0] not in templates:
                raise NoFace("The gallery's model finds no face in the photo.")
            return Probe({main: face.template, **templates}, face.quality.score)

        enrolling = _Enrolling(photo, enrolment) if photo and enrolment else None
        return await self._search(tenant, analyse, enrolling, candidates=0, level=None)

    async def _search(
        self,
        tenant: Tenant,
        analyse: _Analyse,
        enrolling: _Enrolling | None,
        *,
        candidates: int,
        level: int | None,
    ) -> SearchOutcome:
        occasion = enrolling and enrolling.request.occasion
        while True:
            view = await self._galleries.view(tenant)
            needed = tuple(dict.fromkeys((*view.searched, *(view.enrolling if enrolling else ()))))
            probe = await analyse(needed)
            try:
                with view.watch() as position:
                    outcome = await self._searcher.search(tenant, view, probe, candidates=candidates, level=level)
                    before = occasion and await self._enroller.recall(tenant, Repeatable.occasion(occasion.name))
                    if before:
                        return replace(outcome, entry_id=before, found=False)
                    if outcome.found or enrolling is None:
                        return outcome
                    guard = DuplicateGuard(position, outcome.decision.threshold)
                    photo, request = enrolling.photo, enrolling.request
                    enrolled = await self._enroller.enrol(tenant, view, probe, photo, request, guard=guard)
            except GalleryMoved:
                continue
            if enrolled.earlier is None:
                return replace(outcome, entry_id=enrolled.entry_id)
            entry, score = enrolled.earlier.entry, enrolled.earlier.score
            reached = self._packs.calibration(view.pack).level(score)
            return replace(
                outcome,
                entry_id=entry.id,
                found=True,
                level=reached,
                score=score,
                false_match_rate=self._packs.calibration(view.pack).false_match_rate(reached),
                model=view.pack,
            )

    async def insert(
        self,
        tenant: Tenant,
        photo: bytes,
        request: EnrolmentRequest | None = None,
        *,
        source: PhotoSource | None = None,
    ) -> str:
        """Enrol a person. Gives the new id. Of a document, only the portrait is stored.

        Raises Conflict when the ``external_id`` is taken, or an earlier, different request used the
        ``idempotency_key``. Raises what the analysis of the photo raises, TooManyRequests when the gallery is full,
        and ServiceUnavailable.
        """
        request = request or EnrolmentRequest()
        view = await self._galleries.view(tenant)
        photo, use = await self._packs.portrait(photo, source, use=Use.ENROL)
        remembered = await self._enroller.recall(tenant, request.repeatable(tenant, photo))
        if remembered is not None:
            return remembered
        while True:
            probe = await self._packs.analyse(photo, view.enrolling, use=use, policy=tenant.settings.face_policy)
            try:
                return (await self._enroller.enrol(tenant, view, probe, photo, request)).entry_id
            except GalleryMoved:
                view = await self._galleries.view(tenant)

    async def get(self, tenant: Tenant, entry_id: str) -> Entry:
        """Give an entry's metadata. Raises NotFound."""
        return _known(await self._database.read(lambda c: GalleryRepository(tenant.id).find(c, entry_id)))

    async def count(self, tenant: Tenant) -> int:
        """Count the entries."""
        return await self._database.read(GalleryRepository(tenant.id).count)

    async def photo(self, tenant: Tenant, entry: Entry) -> bytes | None:
        """Give the stored photo of one of the tenant's entries, or None. Raises ServiceUnavailable."""
        return None if entry.image_id is None else await self._photos.get(tenant, entry.image_id)

    async def list(self, tenant: Tenant, *, after_key: int, limit: int, external_id: str | None = None) -> list[Entry]:
        """Give entries in order of enrolment. With an ``external_id``, give only its entry."""
        page = partial(GalleryRepository(tenant.id).page, after_key=after_key, limit=limit, external_id=external_id)
        return await self._database.read(page)

    async def delete_image(self, tenant: Tenant, entry_id: str) -> None:
        """Delete the stored photo. The templates stay searchable. A repeated call is no error.

        Raises NotFound, Conflict for an entry under a legal hold, and ServiceUnavailable when the photo is not deleted
        yet. The server then tries again until it is.
        """
        rows = GalleryRepository(tenant.id)
        entry = _known(await self._database.write(lambda c: rows.forget_image(c, entry_id), gallery_of=tenant.id))
        if entry.image_id:
            await self._photos.delete(tenant, entry_id, entry.image_id)
        else:
            await self._photos.finish_deleting(tenant, entry_id)

    async def erase(self, tenant: Tenant, entry_id: str) -> None:
        """Erase an entry, its photo and its templates. Raises NotFound, Conflict, ServiceUnavailable.

        It raises them as :meth:`delete_image` does.
        """
        erased = await self._erase(tenant, entry_id)
        if erased is None:
            await self._photos.finish_deleting(tenant, entry_id)
        _known(erased)

    async def erase_expired(self, tenant: Tenant, entry_id: str, *, now: float) -> None:
        """Erase an entry whose time was over at a moment. Do nothing for another. Raises as :meth:`erase`."""
        await self._erase(tenant, entry_id, overdue_at=now)

    async def _erase(self, tenant: Tenant, entry_id: str, *, overdue_at: float | None = None) -> Entry | None:
        await self._galleries.view(tenant)

        def forget(erased: Committed[Entry | None]) -> None:
            if entry := erased.result:
                self._galleries.removed(erased, tenant.id, entry.key)

        rows = GalleryRepository(tenant.id)
        erased = await self._database.write(
            lambda c: rows.erase(c, entry_id, overdue_at=overdue_at), after_commit=forget, gallery_of=tenant.id
        )
        if erased and erased.image_id:
            await self._photos.delete(tenant, entry_id, erased.image_id)
        return erased

    async def hold(self, tenant: Tenant, entry_id: str, reference: str | None) -> Entry:
        """Put an entry under a legal hold, or end it with None. Raises NotFound, ServiceUnavailable."""
        rows = GalleryRepository(tenant.id)
        return _known(await self._database.write(lambda c: rows.hold(c, entry_id, reference), gallery_of=tenant.id))


def _known(entry: Entry | None) -> Entry:
    if entry is None:
        raise NotFound("There is no such entry.")
    return entry
