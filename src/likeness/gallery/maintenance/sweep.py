"""The sweep of stray photos: photos that no entry refers to.

A stray photo's commit failed, or the database is older than the photo. These two cases cannot be distinguished with
certainty. So no photo is deleted only because a database does not name it. It is set aside, into the image store's
quarantine. It is put back as soon as a database names it. After ``QUARANTINE_DAYS`` it is deleted.

Two cases need a person's consent (``likeness gallery sweep --yes``). In one, the generations of database and image
store disagree (see ``likeness.store.generations``). In the other, there are more photos than a crash can leave.

Photos of erased entries need no sweep: the transaction that erases an entry records which photo must be deleted.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from likeness.audit.trail import note_sweep
from likeness.errors import ServiceUnavailable
from likeness.gallery.maintenance.photo_rows import image_ids
from likeness.gallery.photos import EntryPhotos
from likeness.gallery.repository import entry_counts, in_groups
from likeness.kit.clock import Clock
from likeness.kit.metrics import Count
from likeness.store.database import Database
from likeness.store.folder import PART
from likeness.store.generations import Generations
from likeness.store.images import ImageStore
from likeness.tenants.service import Tenant

log = logging.getLogger("likeness.gallery")
QUARANTINE_DAYS = 30
MOST_AT_ONCE = 100
"""A crash leaves at most as many photos as there were enrolments under way. More than this have another cause."""
ENTRIES_AT_ONCE = 100_000
DAY_SECONDS = 86_400.0
SWEEPS = Count("likeness_sweeps_total", "Sweeps of photos.", {"outcome": ("done", "failed")})
_swept = Count(
    "likeness_swept_photos_total",
    "Photos that sweeps put back, moved into quarantine, deleted after their time there, or left because they are in "
    "doubt.",
    {"photos": ("put_back", "moved", "deleted", "left")},
)

ImageKey = tuple[str, str]
"""Tenant's id and photo's id."""


@dataclass(slots=True)
class Findings:
    """What a look at all photos has found, and what the sweep did."""

    agreed: bool
    """Whether database and image store are of one generation."""
    most: int | None
    """How many photos of each kind are listed. The others are only counted. None lists all."""
    named: list[ImageKey] = field(default_factory=list)
    """Photos in quarantine that an entry refers to."""
    strays: list[ImageKey] = field(default_factory=list)
    parts: list[ImageKey] = field(default_factory=list)
    """Half-written photos that another server may still write."""
    """Photos of no entry."""
    expired: list[ImageKey] = field(default_factory=list)
    """Photos that were in quarantine for ``QUARANTINE_DAYS``."""
    stray_count: int = 0
    aside_count: int = 0
    expired_count: int = 0
    moved: int = 0
    deleted: int = 0
    failed: set[str] = field(default_factory=set)
    """Tenants whose photos the store refused. The sweep must be tried again for them."""

    def gather(self, photos: list[ImageKey], photo: ImageKey) -> None:
        if self.most is None or len(photos) < self.most:
            photos.append(photo)


@dataclass(frozen=True, slots=True)
class PhotoSweep:
    """Looks at every stored photo. One event loop uses it, in the process that owns the galleries."""

    images: ImageStore
    photos: EntryPhotos
    database: Database
    generations: Generations
    clock: Clock
    settle_seconds: float = 0.0
    """How long a photo may wait for its commit in another server. The sweep waits so long before it acts."""

    async def run(self, tenants: Sequence[Tenant], *, confirmed: bool = False) -> Findings:
        """Put back named photos, set stray photos aside, and delete photos whose time in quarantine is over.

        When the store refuses one tenant's photos, the others are still swept. Raises ServiceUnavailable when it
        refuses all.
        """
        findings = await self.look(tenants, most=None if confirmed else MOST_AT_ONCE)
        await self._settle(findings)
        await self._each(self.images.put_back, findings.named, findings)
        if confirmed or (findings.agreed and findings.stray_count <= MOST_AT_ONCE):
            findings.moved = await self._each(self.images.set_aside, findings.strays, findings)
        if confirmed or (findings.agreed and findings.expired_count <= MOST_AT_ONCE):
            findings.deleted = await self._each(self.images.delete_aside, findings.expired, findings)
            if findings.deleted:
                await self.database.write(partial(note_sweep, kind="photos in quarantine", count=findings.deleted))
        nothing_there = not (findings.stray_count or findings.aside_count or findings.failed)
        if confirmed or findings.agreed or nothing_there:
            await self.generations.begin_next(whatever=True)
        return findings

    async def _settle(self, findings: Findings) -> None:
        """Leave photos alone that another server has committed since the look. Delete what is still half written."""
        if not (self.settle_seconds and (findings.strays or findings.parts)):
            return
        await asyncio.sleep(self.settle_seconds)
        wanted = await self.photos.wanted([name for _, name in findings.strays])
        findings.strays = [(tenant_id, name) for tenant_id, name in findings.strays if name not in wanted]
        findings.stray_count -= len(wanted)
        await self._each(self.images.delete, findings.parts, findings)

    async def look(self, tenants: Sequence[Tenant], *, most: int | None = None) -> Findings:
        """Look at all photos. Change nothing, but delete photos that a crash left half written.

        When the store refuses one tenant's photos, the others are still looked at. Raises ServiceUnavailable when it
        refuses all.
        """
        findings = Findings(await self.generations.agree(), most)
        async for tenant_id, referred in self._referred(tenants):
            async with self._alone(tenant_id, findings):
                await self._look_at(tenant_id, referred, findings)
        return findings

    async def _look_at(self, tenant_id: str, referred: NDArray[np.bytes_], findings: Findings) -> None:
        longest = self.clock.now() - QUARANTINE_DAYS * DAY_SECONDS
        async for names in self.images.ids(tenant_id):
            for name in await self._unnamed(_not_among(referred, names)):
                if name.endswith(PART) and self.settle_seconds:
                    findings.parts.append((tenant_id, name))
                elif name.endswith(PART):  # an incomplete photo: no caller got an answer that it is stored
                    await self.images.delete(tenant_id, name)
                else:
                    findings.stray_count += 1
                    findings.gather(findings.strays, (tenant_id, name))
        async for aside in self.images.aside(tenant_id):
            unnamed = set(_not_among(referred, [name for name, _ in aside]))
            for name, since in aside:
                if name not in unnamed:
                    findings.named.append((tenant_id, name))
                    continue
                findings.aside_count += 1
                if since < longest:
                    findings.expired_count += 1
                    findings.gather(findings.expired, (tenant_id, name))

    async def _each(
        self, deal: Callable[[str, str], Awaitable[None]], photos: Sequence[ImageKey], findings: Findings
    ) -> int:
        """Do something with each photo. A failure does not stop the others. Gives the number of successes."""
        done = 0
        for tenant_id, name in photos:
            async with self._alone(tenant_id, findings):
                await deal(tenant_id, name)
                done += 1
        return done

    @asynccontextmanager
    async def _alone(self, tenant_id: str, findings: Findings) -> AsyncIterator[None]:
        """When the store refuses a tenant's photos, note that and go on.

        Raises ServiceUnavailable when the store refuses all.
        """
        try:
            yield
        except ServiceUnavailable:
            await self.images.mark()
            findings.failed.add(tenant_id)

    async def _referred(self, tenants: Sequence[Tenant]) -> AsyncIterator[tuple[str, NDArray[np.bytes_]]]:
        """Give each tenant's id, and the sorted ids of the photos that its entries refer to.

        One query reads many small tenants.
        """
        counts = await self.database.read(entry_counts)
        for group in in_groups([tenant.id for tenant in tenants], counts, ENTRIES_AT_ONCE):
            named = await self.database.read(partial(_image_ids, tenant_ids=group))
            for tenant_id in group:
                yield tenant_id, named.get(tenant_id, np.empty(0, "S24"))

    async def _unnamed(self, suspects: list[str]) -> list[str]:
        """Give those of a page of listed photos that no entry refers to."""
        # The order matters. Here a suspect is still arriving, or committed so that the query below sees it, or
        # unwanted.
        suspects = [name for name in suspects if not self.photos.is_under_way(name.removesuffix(PART))]
        wanted = await self.photos.wanted(suspects)
        return [name for name in suspects if name not in wanted]


def log_findings(findings: Findings) -> None:
    """Count and log what a sweep has found and done."""
    _swept.add("put_back", by=len(findings.named))
    _swept.add("moved", by=findings.moved)
    _swept.add("deleted", by=findings.deleted)
    _swept.add("left", by=0 if findings.moved else findings.stray_count)
    if findings.named:
        log.warning("%d photos of entries were in quarantine and are back", len(findings.named))
    if findings.moved:
        log.warning(
            "%d photos belonged to no entry and are in quarantine now. They are deleted in %d days, unless a database "
            "names them",
            findings.moved,
            QUARANTINE_DAYS,
        )
    elif findings.stray_count:
        log.error(
            "%d photos belong to no entry and are left alone: %s. %s", findings.stray_count, _why(findings), ADVICE
        )
    if findings.deleted:
        log.warning("%d photos that were in quarantine for %d days were deleted", findings.deleted, QUARANTINE_DAYS)
    elif findings.expired_count:
        log.error(
            "%d photos in quarantine are past their time and kept: %s. %s",
            findings.expired_count,
            _why(findings),
            ADVICE,
        )


ADVICE = "If this database is the right one, stop the server and run `likeness gallery sweep --yes`"


def _why(findings: Findings) -> str:
    if not findings.agreed:
        return "the photos were stored with another database than this one, perhaps a newer one"
    return f"they are more than {MOST_AT_ONCE}, and a crash leaves fewer: is this database older than the photos?"


def _image_ids(connection: Connection, tenant_ids: Sequence[str]) -> dict[str, NDArray[np.bytes_]]:
    if len(tenant_ids) == 1:
        ids = (image_id.encode() for _, image_id in image_ids(connection, tenant_ids))
        return {tenant_ids[0]: np.sort(np.fromiter(ids, "S24"))}
    named: dict[str, list[str]] = {}
    for tenant_id, image_id in image_ids(connection, tenant_ids):
        named.setdefault(tenant_id, []).append(image_id)
    return {tenant_id: np.sort(np.array(ids, "S24")) for tenant_id, ids in named.items()}


def _not_among(referred: NDArray[np.bytes_], names: list[str]) -> list[str]:
    if not (len(referred) and names):
        return names
    wanted = np.array([name.encode() for name in names])
    nearest = referred[np.minimum(np.searchsorted(referred, wanted), len(referred) - 1)]
    return [name for name, found in zip(names, nearest == wanted, strict=True) if not found]
