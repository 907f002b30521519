"""A face session apart from its camera: how it is opened, ends with a signed result, and is deleted."""

import asyncio
import base64
import hashlib
import hmac
import logging
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlencode

import numpy as np
from sqlalchemy import Connection

from likeness.audit.actions import Action
from likeness.audit.trail import note
from likeness.engine.base import Template, Use
from likeness.engine.subject import rules_of
from likeness.engine.workers import FaceWorkers
from likeness.errors import InvalidInput, ServiceUnavailable, SessionExpiredOrNotFound, Unauthorized
from likeness.gallery.enrolment import EnrolmentRequest, EnrolOnce
from likeness.kit.clock import Clock
from likeness.kit.ids import new_id
from likeness.kit.jose import ExpiredToken, InvalidToken, Signer
from likeness.kit.metrics import Count
from likeness.results.audit_image import Obfuscation
from likeness.results.claims import AuditFrame, Ending, OneToN
from likeness.results.service import Results
from likeness.sessions import repository
from likeness.sessions.mode import check_mode, choose_mode
from likeness.sessions.repository import Claimant, SessionRow, overdue_sessions
from likeness.sessions.schemas import SessionOptions
from likeness.sessions.states import UNDER_WAY, AttemptFailure, EndError, SessionState
from likeness.sessions.velocity import PhotoAttempts, forget_attempts
from likeness.store.database import Database
from likeness.tenants.schemas import TenantSettings
from likeness.tenants.service import Tenant, Tenants
from likeness.usage.counting import Usage, UsageKind

log = logging.getLogger("likeness.sessions")

CAPTURE_AUDIENCE = "likeness-capture"
CAPTURE_TYPE = "likeness-capture+jwt"
TEMPLATE_PURPOSE = "session template"
TICKET_BYTES = 18
SWEEP_BATCH = 100
GRACE_SECONDS = 8.0
"""How long an attempt waits for its device, and other servers for its server."""
_opened = Count("likeness_sessions_opened_total", "Face sessions that were opened.")
_ended = Count(
    "likeness_sessions_ended_total",
    "Face sessions that ended, by their outcome and the last step: opened (no attempt), attempt (its first did not "
    "end), the code of the last failed attempt, or done.",
    {
        "outcome": [state for state in SessionState if state not in UNDER_WAY],
        "step": ("opened", "attempt", *AttemptFailure, "done"),
    },
)


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """An opened session. ``expires_at`` is in seconds since the Unix epoch."""

    id: str
    capture_url: str
    expires_at: float


@dataclass(frozen=True, slots=True, eq=False)
class Conclusion:
    """The outcome of a session at its end."""

    state: SessionState
    error: EndError | None = None
    match_level: int = 0
    false_match_rate: float = 1.0
    liveness: Mapping[str, Any] = field(default_factory=lambda: {"live": False, "signals": []})
    one_to_n: OneToN = field(default_factory=OneToN)
    audit: AuditFrame | None = None
    """An ending without success has one only with ``returnDataForIncompleteSession``."""


class SessionService:
    """Face sessions in the database: opens, ends and deletes them, and counts their attempts."""

    def __init__(
        self,
        faces: FaceWorkers,
        database: Database,
        tenants: Tenants,
        results: Results,
        signer: Signer,
        clock: Clock,
        *,
        origin: str,
        ttl_seconds: int,
        ticket_key: bytes,
        photo_attempts: PhotoAttempts,
        usage: Usage,
    ) -> None:
        self._faces = faces
        self._database = database
        self._tenants = tenants
        self._results = results
        self._signer = signer
        self._clock = clock
        self._origin = origin
        self._ttl_seconds = ttl_seconds
        self._ticket_key = ticket_key
        self._photo_attempts = photo_attempts
        self._usage = usage

    async def open(self, tenant: Tenant, client_id: str, photo: bytes, options: SessionOptions) -> OpenedSession:
        """Open a session for the person on an ID photo.

        Only the photo's template is stored, sealed. Raises InvalidInput for a liveness mode that this server cannot
        judge, and for a redirectUrl that the tenant does not allow. Raises FaceRefused for a photo without a usable
        face. Raises TooManyRequests for a photo that had too many attempts.
        """
        _check_redirect(options, tenant.settings)
        check_mode(choose_mode(options, tenant.settings), self._faces.engine)
        use, policy = rules_of(options.source, Use.ID_PHOTO, tenant.settings.face_policy)
        face = await self._faces.analyse(photo, use=use, policy=policy)
        now = self._clock.now()
        session_id = new_id()
        row = SessionRow(
            id=session_id,
            tenant_id=tenant.id,
            client_id=client_id,
            state=SessionState.OPEN,
            options=options.model_dump(mode="json", by_alias=True, exclude={"id_photo"}),
            pack=self._faces.engine.pack.identity,
            sealed_template=tenant.cipher.seal(face.template.astype("<f4").tobytes(), TEMPLATE_PURPOSE, session_id),
            failures=[],
            device_digest=None,
            created_at=now,
            expires_at=now + self._ttl_seconds,
        )
        digest = self._photo_attempts.digest(tenant.id, face.template)

        def change(connection: Connection) -> None:
            self._photo_attempts.count(connection, tenant.id, digest, options.max_attempts, now=now)
            repository.add_session(connection, row)

        await self._database.write(change)
        _opened.add()
        token = self._capture_token(row)
        return OpenedSession(session_id, self.capture_url(session_id, token), row.expires_at)

    async def admit(self, session_id: str, capture_token: str) -> SessionRow:
        """Give the session that a capture token or ticket opens. Raises Unauthorized, SessionExpiredOrNotFound."""
        if not secrets.compare_digest(capture_token.encode(), self.ticket(session_id).encode()):
            await self._verify(session_id, capture_token)
        return await self.find(session_id)

    def ticket(self, session_id: str) -> str:
        """Give a short form of the session's capture token, for a QR code. It is valid as long as the session.

        It is a MAC of the session's id.
        """
        mac = hmac.digest(self._ticket_key, session_id.encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(mac[:TICKET_BYTES]).decode()

    async def _verify(self, session_id: str, capture_token: str) -> None:
        now = self._clock.now()
        try:
            claims = await self._signer.verify_any(
                capture_token, typ=CAPTURE_TYPE, issuer=self._origin, audience=CAPTURE_AUDIENCE, now=now
            )
        except ExpiredToken as error:
            raise SessionExpiredOrNotFound("The time of this session is over.") from error
        except InvalidToken as error:
            raise Unauthorized("The capture token is malformed or not from this server.") from error
        if claims["sub"] != session_id:
            raise Unauthorized("The capture token is for another session.")

    async def find(self, session_id: str) -> SessionRow:
        """Give a session that has not expired, also one that has ended. Raises SessionExpiredOrNotFound."""
        row = await self.look(session_id)
        if row is None or row.expires_at <= self._clock.now():
            raise SessionExpiredOrNotFound("There is no such session, or its time is over.")
        return row

    @property
    def is_shared(self) -> bool:
        """Whether other servers may carry out sessions of this database."""
        return not self._database.is_sqlite

    async def begin_attempt(self, session_id: str, attempt_id: str, *, device_digest: str) -> SessionRow:
        """Begin an attempt of a device, and give the session. The call may be repeated.

        The attempt has begun if the session names it. Otherwise another server has one in progress, or none is left.
        Raises SessionExpiredOrNotFound if the session has ended.
        """
        claimant = self._claimant(device_digest)
        until = claimant.now + GRACE_SECONDS
        row = await self._database.write(
            lambda c: repository.begin_attempt(c, session_id, attempt_id, claimant, until=until)
        )
        if row is None:
            raise SessionExpiredOrNotFound("This session has ended.")
        return row

    async def settle_attempt(self, session_id: str, *, device_digest: str) -> SessionRow | None:
        """Give a session to a server that has no attempt of it in progress, for a device. None if there is none.

        If the device left an attempt at another server, it counts as failed. So does one whose server says nothing
        more.
        """
        claimant = self._claimant(device_digest)
        seen = await self.look(session_id)
        if seen is None or not seen.is_under_way or not claimant.may_end(seen):
            return seen

        def change(connection: Connection) -> SessionRow | None:
            row = repository.find_session(connection, session_id, lock=True)
            same = row is not None and row.attempt_id == seen.attempt_id
            return repository.settle_attempt(connection, row, claimant) if row and same else row

        return await self._database.write(change)

    async def keep_attempts(self, attempt_ids: Mapping[str, str]) -> None:
        """Say that this server goes on with these attempts, by their session."""
        until = self._clock.now() + GRACE_SECONDS
        await self._database.write(lambda c: repository.keep_attempts(c, attempt_ids, until=until))

    async def release_attempt(self, session_id: str, attempt_id: str) -> None:
        """End an attempt without counting it."""
        await self._database.write(lambda c: repository.release_attempt(c, session_id, attempt_id))

    async def look(self, session_id: str) -> SessionRow | None:
        """Give a session as it is stored, or None."""
        return await self._database.read(lambda c: repository.find_session(c, session_id))

    async def look_at_all(self, session_ids: Collection[str]) -> dict[str, SessionRow]:
        """Give those of these sessions that exist, by id."""
        return await self._database.read(lambda c: repository.find_sessions(c, session_ids))

    def _claimant(self, device_digest: str) -> Claimant:
        return Claimant(device_digest, self._clock.now(), alone=not self.is_shared)

    def enrolment(self, session: SessionRow, attempt_id: str | None) -> EnrolmentRequest:
        """Give the enrolment of a session's person, by an attempt. It happens once.

        It does not happen after the end of the session or of the attempt, or after a purge.
        """

        def demand(connection: Connection) -> None:
            row = repository.find_session(connection, session.id, lock=True)
            if row is None or not row.is_under_way or row.attempt_id != attempt_id:
                raise SessionExpiredOrNotFound("This session has ended.")

        options = SessionOptions.stored(session.options)
        return EnrolmentRequest(
            occasion=EnrolOnce(f"face session {session.id}", demand),
            consent_reference=options.consent_reference,
            purpose=options.purpose,
        )

    async def fail_attempt(
        self, session_id: str, failure: AttemptFailure, *, attempt_id: str | None
    ) -> tuple[str, ...]:
        """Count an attempt as failed, and give all failures. The call may be repeated: it counts once.

        Raises SessionExpiredOrNotFound if the session has ended.
        """
        failures = await self._database.write(
            lambda c: repository.add_failure(c, session_id, failure, attempt_id=attempt_id)
        )
        if failures is None:
            raise SessionExpiredOrNotFound("This session has ended.")
        return tuple(failures)

    def capture_url(self, session_id: str, capture_token: str) -> str:
        """Give the address of a session's page.

        The token is in the fragment, which a browser does not send. So no log has it.
        """
        return f"{self._origin}/capture/{session_id}#{urlencode({'token': capture_token})}"

    def open_template(self, tenant: Tenant, row: SessionRow) -> Template:
        """Give the ID photo's template. Raises SessionExpiredOrNotFound if it is gone or of another pack."""
        if row.sealed_template is None or row.pack != self._faces.engine.pack.identity:
            raise SessionExpiredOrNotFound("This session has ended.")
        packed = tenant.cipher.open(row.sealed_template, TEMPLATE_PURPOSE, row.id)
        return np.frombuffer(packed, "<f4").astype(np.float32)

    async def end(
        self,
        session_id: str,
        conclusion: Conclusion,
        *,
        ended_at: float | None = None,
        jti: str | None = None,
        attempt_id: str | None = None,
    ) -> str | None:
        """End a session with a signed result, and give the result.

        Give None if the session had ended before, or if ``attempt_id`` is no longer its attempt in progress. ``jti`` is
        the new result's id. With it, the call may be repeated if its answer was lost.
        """
        row = await self.look(session_id)
        if row is None:
            return None
        tenant = await self._tenants.get(row.tenant_id)
        if not row.is_under_way:
            return await self._results.find(tenant, session_id, jti=jti) if jti else None
        options = SessionOptions.stored(row.options)
        succeeded = conclusion.state is SessionState.SUCCEEDED
        ending = Ending(
            session_id=row.id,
            client_id=row.client_id,
            ended_at=self._clock.now() if ended_at is None else ended_at,
            model=row.pack,
            nonce=options.nonce,
            consent_reference=options.consent_reference,
            purpose=options.purpose,
            match=succeeded,
            match_level=conclusion.match_level,
            false_match_rate=conclusion.false_match_rate,
            liveness=conclusion.liveness,
            failures=tuple(row.failures),
            error=conclusion.error,
            one_to_n=None if options.one_to_n == "none" else conclusion.one_to_n,
            audit=conclusion.audit,
        )
        wanted = options.audit_trail_image_obfuscation
        obfuscation = Obfuscation(wanted) if wanted else None
        # Not in the photos' pool: when that is full, it must not refuse a person who has finished.
        result = await asyncio.to_thread(self._results.sign, tenant, ending, obfuscation, jti)

        def change(connection: Connection) -> bool:
            if not repository.end_session(connection, session_id, conclusion.state, attempt_id=attempt_id):
                return False
            self._results.record(connection, result)
            return True

        if not await self._database.write(change):
            return None
        self._count_ending(row, conclusion.state)
        return result.jws

    async def browser_copy(self, tenant: Tenant, jws: str | None) -> str | None:
        """Give the copy of a result for the browser, or None for no result."""
        return None if jws is None else await asyncio.to_thread(self._results.for_browser, tenant, jws)

    async def newest(self, tenant: Tenant, *, most: int) -> list[SessionRow]:
        """Give the tenant's sessions that are not deleted yet, the newest first, at most so many."""
        return await self._database.read(lambda c: repository.newest_sessions(c, tenant.id, most=most))

    async def result(self, tenant: Tenant, session_id_or_jti: str) -> str:
        """Give the signed result of a session, by the session's id or the result's jti.

        Raises SessionExpiredOrNotFound.
        """
        jws = await self._results.find(tenant, session_id_or_jti)
        if jws is None:
            row = await self.look(session_id_or_jti)
            if row is None or row.tenant_id != tenant.id:
                raise SessionExpiredOrNotFound("There is no such session, or its result is gone.")
            if row.is_under_way and row.expires_at > self._clock.now():
                raise SessionExpiredOrNotFound("The session has not ended: it has no result yet.")
            await self._expire(row)
            jws = await self._results.find(tenant, row.id)
        if jws is None:
            raise SessionExpiredOrNotFound("There is no such session, or its result is gone.")
        return jws

    async def purge(self, tenant: Tenant, session_id_or_jti: str) -> str:
        """Delete a session, its result and its image, by the session's id or the result's jti.

        Give the session's id. What the tenant does not have is not recorded: a receipt confirms each record.
        """

        def change(connection: Connection) -> str:
            session_id, found = self._results.forget(connection, tenant, session_id_or_jti)
            if repository.remove_session(connection, tenant.id, session_id) or found:
                note(connection, Action.PURGE, session_id, tenant=tenant.id)
            return session_id

        return await self._database.write(change)

    async def remove_expired(self) -> None:
        """End expired sessions, each with a result, and delete those that had ended.

        A session that fails does not stop the others.
        """
        now, last = self._clock.now(), None
        while due := await self._database.read(partial(overdue_sessions, now=now, after=last, limit=SWEEP_BATCH)):
            for row in due:
                try:
                    await self._expire(row)
                except ServiceUnavailable as error:
                    log.warning("session %s could not be ended, and is tried again: %s", row.id, error)
                except Exception:
                    log.exception("session %s could not be ended, and is tried again", row.id)
            last = due[-1]
        await self._database.write(lambda c: repository.remove_ended(c, now=now))
        await self._database.write(lambda c: forget_attempts(c, now=now))

    async def _expire(self, row: SessionRow) -> None:
        """End an expired session. If no result can be made, end it without one.

        Raises ServiceUnavailable.
        """
        try:
            await self.end(row.id, Conclusion(SessionState.EXPIRED, EndError.EXPIRED), ended_at=row.expires_at)
        except ServiceUnavailable:
            raise
        except Exception:
            log.exception("session %s ends without a result", row.id)
            if await self._database.write(lambda c: repository.end_session(c, row.id, SessionState.EXPIRED)):
                self._count_ending(row, SessionState.EXPIRED)

    def _count_ending(self, row: SessionRow, state: SessionState) -> None:
        succeeded = state is SessionState.SUCCEEDED
        step = "done" if succeeded else _last_step(row)
        _ended.add(state, step)
        self._usage.note(row.tenant_id, UsageKind.SESSION, state)
        if not succeeded:
            self._usage.note(row.tenant_id, UsageKind.STEP, step)

    def _capture_token(self, row: SessionRow) -> str:
        # Valid for this session only, because the tenant's access token must not reach a browser.
        claims = {
            "iss": self._origin,
            "aud": CAPTURE_AUDIENCE,
            "sub": row.id,
            "iat": int(row.created_at),
            "exp": int(row.expires_at),
        }
        return self._signer.sign(claims, typ=CAPTURE_TYPE)


def _check_redirect(options: SessionOptions, settings: TenantSettings) -> None:
    url, allowed = options.redirect_url, settings.redirect_hosts
    if url is not None and allowed is not None and url.host not in allowed:
        raise InvalidInput("redirectUrl: the tenant does not allow its host.")


def _last_step(row: SessionRow) -> str:
    """Name the step that a session without success ended at."""
    if row.failures:
        return row.failures[-1]
    return "opened" if row.state == SessionState.OPEN else "attempt"
