"""The import of many persons. Each one is enrolled exactly as by a single insert.

An ``externalId`` is unique in the gallery. A person who is enrolled under theirs already is skipped. So an interrupted
import continues when it is started again. A refused row is reported with its reason, and the import goes on. A full
gallery or an unavailable store ends the import.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from pydantic import TypeAdapter, ValidationError

from likeness.errors import Conflict, InvalidInput, LikenessError, ServiceUnavailable, TooManyRequests
from likeness.gallery.bulk.source import Source, SourceRow
from likeness.gallery.enrolment import EnrolmentRequest
from likeness.gallery.repository import GalleryRepository
from likeness.gallery.schemas import InsertRequest, Reference
from likeness.gallery.service import GalleryService
from likeness.store.database import Database
from likeness.tenants.service import Tenant
from likeness.web.wire import faults_of

_REFERENCE: TypeAdapter[str | None] = TypeAdapter(Reference | None)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that was not enrolled, and the reason."""

    row: SourceRow
    code: str
    message: str


@dataclass(slots=True)
class Tally:
    """The numbers of rows so far, by outcome."""

    enrolled: int = 0
    known: int = 0
    """Persons who were enrolled before under the same ``externalId``."""
    refused: int = 0

    @property
    def done(self) -> int:
        return self.enrolled + self.known + self.refused


@dataclass(frozen=True, slots=True)
class Importer:
    """Enrols a source's rows, several at a time."""

    service: GalleryService
    database: Database
    tenant: Tenant
    source: Source
    max_image_bytes: int
    refuse: Callable[[Refusal], None]
    progress: Callable[[Tally], None]
    tally: Tally = field(default_factory=Tally)
    _claimed: dict[str, int] = field(default_factory=dict)
    """By ``externalId``: the number of the row that uses it."""

    async def run(self, *, at_once: int) -> Tally:
        """Enrol all rows, ``at_once`` at a time.

        Raises SetupError for a damaged source, ServiceUnavailable, and TooManyRequests when the gallery is full.
        """
        rows = self.source.rows()
        ended = await asyncio.gather(*(self._work(rows) for _ in range(at_once)), return_exceptions=True)
        for fault in ended:
            if fault is not None:
                raise fault
        return self.tally

    async def _work(self, rows: Iterator[SourceRow]) -> None:
        for row in rows:
            try:
                await self._enrol(row)
            except (ServiceUnavailable, TooManyRequests):
                raise
            except LikenessError as error:
                self.tally.refused += 1
                self.refuse(Refusal(row, error.code, error.message))
            self.progress(self.tally)

    async def _enrol(self, row: SourceRow) -> None:
        if row.fault:
            raise InvalidInput(row.fault)
        if not (row.photo and isinstance(row.photo, str | bytes)):
            raise InvalidInput("The row has no photo.")
        external_id = _checked_reference(row.external_id)
        if external_id is None:
            await self._insert(row)
            return
        if external_id in self._claimed:
            raise Conflict(f"Row {self._claimed[external_id]} has the same externalId.")
        self._claimed[external_id] = row.number
        try:
            if await self.database.read(lambda c: GalleryRepository(self.tenant.id).has_external_id(c, external_id)):
                self.tally.known += 1
            else:
                await self._insert(row)
        except LikenessError:
            del self._claimed[external_id]  # a later row with it may succeed
            raise

    async def _insert(self, row: SourceRow) -> None:
        asked = await asyncio.to_thread(self._read, row)
        request = EnrolmentRequest(
            asked.external_id,
            asked.metadata,
            consent_reference=asked.consent_reference,
            purpose=asked.purpose,
            expires_at=asked.expires_at,
        )
        await self.service.insert(self.tenant, asked.id_photo, request)
        self.tally.enrolled += 1

    def _read(self, row: SourceRow) -> InsertRequest:
        """Read a row, and check it like the body of a call. Raises InvalidInput, PayloadTooLarge."""
        try:
            body = {
                "idPhoto": self.source.read(row, at_most=self.max_image_bytes + 1),
                "externalId": row.external_id,
                "metadata": row.metadata or {},
                "consentReference": row.consent_reference,
                "purpose": row.purpose,
                "expiresAt": row.expires_at,
            }
            return InsertRequest.model_validate(body, context={"image_bytes": self.max_image_bytes})
        except ValidationError as error:
            raise InvalidInput(faults_of(error)) from None
        except OSError as error:
            raise InvalidInput(f"The photo cannot be read: {error.strerror}.") from error
        except ValueError as error:
            raise InvalidInput(f"The photo cannot be read: {error}.") from error


def _checked_reference(given: object) -> str | None:
    try:
        return _REFERENCE.validate_python(given, strict=True)
    except ValidationError as error:
        raise InvalidInput(
            f"externalId: {error.errors(include_input=False, include_context=False)[0]['msg']}"
        ) from None
