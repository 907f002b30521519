"""How an entry is made: store the photo, commit to the database, feed the index."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from likeness.engine.base import Template
from likeness.errors import Conflict, InvalidInput, TooManyRequests
from likeness.gallery.entries.entry import Entry, NewEntry
from likeness.gallery.idempotency import Repeatable, recall_answer, remember_answer
from likeness.gallery.packs import Packs, Probe
from likeness.gallery.photos import EntryPhotos
from likeness.gallery.repository import GalleryRepository
from likeness.gallery.templates.sealing import seal_template, unit_rows
from likeness.gallery.views import Galleries, GalleryView
from likeness.index.vectors import checked_query
from likeness.kit.clock import Clock
from likeness.kit.ids import new_id
from likeness.store.database import Database
from likeness.store.writer import Committed
from likeness.tenants.service import Tenant

DAY_SECONDS = 86_400.0
FULL_RETRY_SECONDS = 3600
"""How long a caller waits before they try again at a full gallery. A person must make room first."""


@dataclass(frozen=True, slots=True)
class EnrolOnce:
    """An occasion that enrols a person, such as a face session. It enrols once, even if the call is repeated."""

    name: str
    demand: Callable[[Connection], None]
    """Raises when the occasion is over. It is called within the transaction that enrols."""


@dataclass(frozen=True, slots=True)
class EnrolmentRequest:
    """A request to enrol a person. It has an ``occasion`` or an ``idempotency_key``, not both."""

    external_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    idempotency_key: str | None = None
    occasion: EnrolOnce | None = None
    consent_reference: str | None = None
    purpose: str | None = None
    expires_at: float | None = None
    """When the entry is to be erased, in seconds since the Unix epoch. The tenant's setting may make it earlier."""

    def repeatable(self, tenant: Tenant, photo: bytes) -> Repeatable | None:
        """Give what identifies a repetition of this request. None when each repetition enrols again."""
        if self.occasion:
            return Repeatable.occasion(self.occasion.name)
        if self.idempotency_key is None:
            return None
        fields: list[Any] = [self.external_id, dict(self.metadata)]
        if self.consent_reference or self.purpose or self.expires_at:  # else the digest is that of an older version
            fields += [self.consent_reference, self.purpose, self.expires_at]
        return Repeatable.call(tenant, self.idempotency_key, photo, fields)


@dataclass(frozen=True, slots=True)
class DuplicateGuard:
    """A condition of an enrolment: no entry after ``position`` reaches ``minimum_score`` with the probe.

    See ``GalleryView.watch``.
    """

    position: int
    minimum_score: float


@dataclass(frozen=True, slots=True)
class Inserted:
    """The new entry's key in the database."""

    key: int


@dataclass(frozen=True, slots=True)
class Earlier:
    """An entry of the same person that another call made first, and its score with the probe."""

    entry: Entry
    score: float


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The new entry's id, or that of the ``earlier`` entry."""

    entry_id: str
    earlier: Earlier | None = None


@dataclass(frozen=True, slots=True)
class _Enrolment:
    """An entry to insert, and the conditions that must hold at that moment."""

    tenant: Tenant
    view: GalleryView
    """The view that the probe was analysed for and searched in."""
    template: Template
    """Of the pack that answers."""
    entry: NewEntry
    guard: DuplicateGuard | None
    occasion: EnrolOnce | None
    repeatable: Repeatable | None


class Enroller:
    """Enrols persons: stores photo, entry and templates, and feeds the gallery."""

    def __init__(
        self, packs: Packs, galleries: Galleries, photos: EntryPhotos, database: Database, clock: Clock
    ) -> None:
        self._packs = packs
        self._galleries = galleries
        self._photos = photos
        self._database = database
        self._clock = clock

    async def enrol(
        self,
        tenant: Tenant,
        view: GalleryView,
        probe: Probe,
        photo: bytes,
        request: EnrolmentRequest,
        *,
        guard: DuplicateGuard | None = None,
    ) -> Enrolled:
        """Enrol a person whose probe was analysed for the view's packs.

        Raises InvalidInput for an entry whose time is over already. Raises Conflict when the ``external_id`` is taken,
        or an earlier, different request used the ``idempotency_key``. Raises TooManyRequests when the gallery is full,
        GalleryMoved, ServiceUnavailable, and
        what the ``occasion`` raises.
        """
        for pack in probe.templates.keys() & set(view.enrolling):
            # A committed template must fit its index, and the next start must not find it damaged.
            template = checked_query(probe.templates[pack], self._packs.engine(pack).pack.template_size)
            if not unit_rows(template[np.newaxis]).all():
                raise ValueError("a template is not a unit vector")
        self._demand_time(request)
        repeatable = request.repeatable(tenant, photo)
        try:
            self._demand_room(tenant, view.size)
            await self._demand_new(tenant, request.external_id)
            async with self._photos.arriving(tenant, photo) as pending:
                entry = self._new_entry(tenant, view, probe, request, pending.image_id)
                template = probe.templates[view.pack]
                enrolment = _Enrolment(tenant, view, template, entry, guard, request.occasion, repeatable)
                templates = {pack: probe.templates[pack] for pack in entry.sealed_templates}

                def feed(written: Committed[Inserted | Earlier]) -> None:
                    match written.result:
                        case Inserted(key):
                            self._galleries.added(written, tenant.id, key, templates)

                result = await self._database.write(
                    lambda c: self._insert(c, enrolment), after_commit=feed, gallery_of=tenant.id
                )
                pending.enrolled = isinstance(result, Inserted)
        except (IntegrityError, Conflict, TooManyRequests) as error:
            # The same request may have succeeded meanwhile under its Idempotency-Key. Then its answer is also this one.
            remembered = await self.recall(tenant, repeatable)
            if remembered is not None:
                return Enrolled(remembered)
            if isinstance(error, IntegrityError):
                await self._demand_new(tenant, request.external_id)
                # The other entry was erased again. The database's message may have the externalId, so drop it: it must
                # not be logged.
                raise Conflict("Another call enrolled somebody with this externalId meanwhile; try again.") from None
            raise
        match result:
            case Inserted():
                return Enrolled(entry.id)
            case Earlier(entry=found):
                return Enrolled(found.id, earlier=result)

    async def recall(self, tenant: Tenant, repeatable: Repeatable | None) -> str | None:
        """Give the id of an earlier answer to the request. Raises Conflict when its key had another request."""
        if repeatable is None:
            return None
        remembered = await self._database.read(lambda c: recall_answer(c, tenant.id, repeatable.key))
        if remembered is None:
            return None
        if remembered.request_digest not in repeatable.digests:
            raise Conflict("An earlier, different request used this Idempotency-Key. Use a new key.")
        return str(remembered.answer["id"])

    def _new_entry(
        self, tenant: Tenant, view: GalleryView, probe: Probe, request: EnrolmentRequest, image_id: str
    ) -> NewEntry:
        entry_id, now, days = new_id(), self._clock.now(), tenant.settings.entry_days
        ends = [request.expires_at, None if days is None else now + days * DAY_SECONDS]
        return NewEntry(
            id=entry_id,
            external_id=request.external_id,
            metadata=dict(request.metadata),
            quality=probe.quality,
            image_id=image_id,
            created_at=now,
            sealed_templates={
                pack: seal_template(tenant, probe.templates[pack], pack=pack, entry_id=entry_id)
                for pack in view.enrolling
                if pack in probe.templates
            },
            consent_reference=request.consent_reference,
            purpose=request.purpose,
            expires_at=min((float(end) for end in ends if end is not None), default=None),
        )

    def _insert(self, connection: Connection, enrolment: _Enrolment) -> Inserted | Earlier:
        """Insert on the writer's thread, unless another call has enrolled the same person first."""
        tenant, guard, entry = enrolment.tenant, enrolment.guard, enrolment.entry
        if enrolment.occasion:
            enrolment.occasion.demand(connection)
        repository = GalleryRepository(tenant.id)
        gallery = enrolment.view.present(connection)
        if guard:
            for key, score in gallery.matches_since(guard.position, enrolment.template, guard.minimum_score):
                earlier = repository.find_keys(connection, [key]).get(key)
                if earlier:
                    return Earlier(earlier, score)
        self._demand_room(tenant, gallery.size)
        if enrolment.repeatable is not None:
            remember_answer(connection, tenant.id, enrolment.repeatable, {"id": entry.id})
        key = repository.add(connection, entry)
        gallery.record(key, enrolment.template)
        return Inserted(key)

    def _demand_time(self, request: EnrolmentRequest) -> None:
        if request.expires_at is not None and request.expires_at <= self._clock.now():
            raise InvalidInput("expiresAt is over: give a time in the future.")

    async def _demand_new(self, tenant: Tenant, external_id: str | None) -> None:
        if external_id is not None and await self._database.read(
            lambda c: GalleryRepository(tenant.id).has_external_id(c, external_id)
        ):
            raise Conflict(f"There is an entry with externalId {external_id!r} already.")

    @staticmethod
    def _demand_room(tenant: Tenant, size: int) -> None:
        if size >= tenant.settings.gallery_limit:
            raise TooManyRequests(
                "The gallery has reached the tenant's limit; erase entries or have the limit raised.",
                retry_after_seconds=FULL_RETRY_SECONDS,
            )
