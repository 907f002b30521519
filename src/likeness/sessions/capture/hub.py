"""The captures in progress on this server, and the exchange with each browser."""

import asyncio
import contextlib
import logging
import secrets
from dataclasses import dataclass, field

from likeness.audit.actor import ACTOR, Actor
from likeness.errors import (
    ErrorCode,
    Forbidden,
    LikenessError,
    ServiceUnavailable,
    SessionExpiredOrNotFound,
    Unauthorized,
)
from likeness.kit.fairness import OWNER
from likeness.kit.ids import is_uuid
from likeness.kit.repeating import repeat_forever
from likeness.sessions.attestation.base import Attestation, attest
from likeness.sessions.capture.capture import BUSY, Capture, digest
from likeness.sessions.capture.connection import BrowserConnection, ConnectionLost, Participant
from likeness.sessions.capture.ended import stored_end
from likeness.sessions.capture.messages import (
    Cancel,
    Hello,
    Qr,
    Start,
    Take,
    read_command,
    read_hello,
    returns_data,
    split_frame,
)
from likeness.sessions.capture.qr import draw_qr
from likeness.sessions.capture.services import CaptureServices
from likeness.sessions.capture.signing import FrameSigner
from likeness.sessions.repository import SessionRow
from likeness.sessions.schemas import SessionOptions
from likeness.tenants.service import Tenant, Tenants

log = logging.getLogger("likeness.capture")

HELLO_SECONDS = 10.0
TICK_SECONDS = 1.0
FOLLOW_SECONDS = 2.0
"""Between two looks at the stored sessions. A browser hears within this time what became of its session elsewhere."""
MOST_CONNECTIONS = 4
"""Connections of one session: a desktop, a phone, and a lost connection of each."""


@dataclass(slots=True)
class CaptureHub:
    """The captures in progress on this server, by the session's id. Only the event loop uses it."""

    services: CaptureServices
    tenants: Tenants
    _under_way: dict[str, Capture] = field(default_factory=dict)
    _stopping: bool = False

    async def serve(self, connection: BrowserConnection, session_id: str) -> None:
        """Exchange messages with one browser until it leaves or the session ends."""
        try:
            hello = await self._hear_hello(connection)
            row = await self._admit(session_id, hello)
            OWNER.set(row.tenant_id)
            ACTOR.set(Actor(row.client_id, row.tenant_id, row.id))
            if row.is_under_way:
                await self._carry_out(connection, hello, row)
            else:
                await self._repeat_end(connection, hello, row)
        except ConnectionLost:
            return
        except LikenessError as error:
            await connection.send({"type": "error", "code": error.code, "message": error.message})
        except Exception:
            log.exception("the capture of session %s failed", session_id)
            await connection.send(
                {"type": "error", "code": ErrorCode.UNEXPECTED_ERROR, "message": "The server failed unexpectedly."}
            )
        finally:
            await connection.close()

    async def drop(self, tenant: Tenant, session_id: str) -> None:
        """End the capture of a tenant's purged session."""
        capture = self._under_way.get(session_id)
        if capture and capture.tenant.id == tenant.id:
            await capture.drop()

    async def follow(self) -> None:
        """Follow the stored sessions, and say that this server's attempts go on, until cancelled.

        Without other servers there is nothing to follow.
        """
        if self.services.sessions.is_shared:
            await repeat_forever(self._follow_once, pause=FOLLOW_SECONDS)

    async def _follow_once(self) -> None:
        captures, sessions = dict(self._under_way), self.services.sessions
        if not captures:
            return
        with contextlib.suppress(ServiceUnavailable):  # the next turn is enough
            if held := {session_id: capture.held for session_id, capture in captures.items() if capture.held}:
                await sessions.keep_attempts(held)
            rows = await sessions.look_at_all(captures)
            for session_id, capture in captures.items():
                if capture.differs(rows.get(session_id)):
                    capture.begin_chore(_catch_up(capture))

    def stop(self) -> None:
        """Begin no more attempts, and end those in progress without counting them, because the server stops."""
        self._stopping = True
        for capture in self._under_way.values():
            capture.begin_chore(capture.release())

    async def close(self) -> None:
        await asyncio.gather(*(capture.close() for capture in self._under_way.values()))

    @staticmethod
    async def _hear_hello(connection: BrowserConnection) -> Hello:
        message = await connection.receive(within_seconds=HELLO_SECONDS)
        if message is None:
            raise ConnectionLost  # on a slow network, the browser connects again
        if not isinstance(message, str):
            raise Unauthorized("The first message must be a hello with a capture token.")
        return read_hello(message)

    async def _admit(self, session_id: str, hello: Hello) -> SessionRow:
        if not is_uuid(session_id):
            raise SessionExpiredOrNotFound("There is no such session.")
        return await self.services.sessions.admit(session_id, hello.token)

    async def _carry_out(self, connection: BrowserConnection, hello: Hello, row: SessionRow) -> None:
        signer, attestation = FrameSigner.of(hello.key), await self._attest(row, hello)
        capture = await self._capture(row, hello)
        if len(capture.watchers) >= MOST_CONNECTIONS:
            raise Forbidden("This session is open in too many places.")
        device = hello.device or secrets.token_urlsafe(24)
        participant = Participant(connection, device, signer, attestation)
        try:
            await capture.join(participant, watch=hello.watch)
            await self._converse(capture, participant)
        finally:
            await capture.leave(participant)

    async def _attest(self, row: SessionRow, hello: Hello) -> Attestation | None:
        if (verifier := self.services.attestations) is None:
            return None
        now = self.services.clock.now()
        return await attest(verifier, hello.attestation, session_id=row.id, key=hello.key, now=now)

    async def _capture(self, row: SessionRow, hello: Hello) -> Capture:
        tenant = await self.tenants.get(row.tenant_id)
        options = SessionOptions.stored(row.options)
        capture = Capture(
            services=self.services,
            row=row,
            tenant=tenant,
            max_attempts=min(options.max_attempts, hello.max_attempts or options.max_attempts),
            minimum_match_level=max(options.minimum_match_level, hello.minimum_match_level or 0),
            returns_data=returns_data(options, hello),
            failures=len(row.failures),
            unreported_failure=row.failures[-1] if row.failures else None,
            forget=self._forget,
        )
        return self._under_way.setdefault(row.id, capture)

    def _forget(self, capture: Capture) -> None:
        # Another browser may have opened the session again while the last one was leaving.
        if self._under_way.get(capture.row.id) is capture:
            del self._under_way[capture.row.id]

    async def _converse(self, capture: Capture, participant: Participant) -> None:
        looked_at = self.services.monotonic()
        while not _is_done(capture, participant):
            message = await participant.connection.receive(within_seconds=TICK_SECONDS)
            if _is_done(capture, participant):
                return
            if self.services.clock.now() >= capture.row.expires_at:
                await capture.expire()
            elif isinstance(message, bytes):
                await capture.judge(participant, *split_frame(message))
                looked_at = self.services.monotonic()
            else:
                if message is not None:
                    await self._obey(capture, participant, read_command(message))
                # A browser that sends messages without frames does not stop the clock.
                if message is None or self.services.monotonic() - looked_at >= TICK_SECONDS:
                    await capture.tick(participant)
                    looked_at = self.services.monotonic()

    async def _obey(self, capture: Capture, participant: Participant, command: Start | Take | Qr | Cancel) -> None:
        match command:
            case Start() if self._stopping:
                await participant.connection.send(BUSY)
            case Start():
                await capture.start(participant, flash=command.flash, camera=command.declared())
            case Take():
                await capture.join(participant)
            case Cancel():
                await capture.cancel(participant)
            case Qr():
                url = self.services.sessions.capture_url(capture.row.id, self.services.sessions.ticket(capture.row.id))
                await participant.connection.send({"type": "qr", "url": url, **draw_qr(url)})

    async def _repeat_end(self, connection: BrowserConnection, hello: Hello, row: SessionRow) -> None:
        """Send the end again to the device of the last attempt, which lost its connection, and to no other device."""
        if hello.device is None or row.device_digest is None or digest(hello.device) != row.device_digest:
            raise SessionExpiredOrNotFound("This session has ended.")
        tenant = await self.tenants.get(row.tenant_id)
        asked = returns_data(SessionOptions.stored(row.options), hello)
        await connection.send(await stored_end(self.services.sessions, tenant, row, returns_data=asked))


async def _catch_up(capture: Capture) -> None:
    with contextlib.suppress(ServiceUnavailable):
        await capture.catch_up()


def _is_done(capture: Capture, participant: Participant) -> bool:
    return capture.over or participant.dismissed
