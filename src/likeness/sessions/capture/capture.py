"""One session while browsers are connected to it: its holder, the attempt in progress, and its decision.

One connection *holds* the session and sends frames. Others *watch*, and only receive the end: a desktop watches while
the phone is in use. A newer connection becomes the holder if no attempt is in progress. During an attempt only the
device that began it may return. It proves itself by the key that it got, so no other device can take over half-way. An
attempt fails if its device stays away. Otherwise a person could avoid a challenge by closing the connection.

Several servers may have connections of one session. The database names the attempt in progress, and only its server can
conclude it. A device that comes to another server has left its attempt. Each server also follows the stored session.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

from likeness.audit.actions import HIT, Action
from likeness.errors import FaceRefused, InvalidInput, LikenessError, ServiceUnavailable
from likeness.kit.ids import new_id
from likeness.kit.metrics import Count
from likeness.liveness.attempt.script import LivenessMode
from likeness.liveness.base import DeclaredCamera, Instruction, KeyFrame, LivenessCheck, Verdict
from likeness.results.claims import AuditFrame, OneToN
from likeness.sessions.capture import verdicts
from likeness.sessions.capture.attempt import Attempt
from likeness.sessions.capture.connection import Participant
from likeness.sessions.capture.ended import stored_end
from likeness.sessions.capture.frames import FRAME_LONG_SIDE, judge_frame
from likeness.sessions.capture.messages import FrameHeader, end_message, privacy_notice
from likeness.sessions.capture.services import CaptureServices, CheckRequest
from likeness.sessions.decision import ReferenceComparison, compare_with_reference, look_up
from likeness.sessions.mode import choose_mode
from likeness.sessions.repository import SessionRow
from likeness.sessions.schemas import SessionOptions
from likeness.sessions.service import Conclusion
from likeness.sessions.states import AttemptFailure, EndError, SessionState
from likeness.tenants.service import Tenant

log = logging.getLogger("likeness.capture")
T = TypeVar("T")
_attempts = Count(
    "likeness_attempts_total",
    "Attempts of face sessions: begun, delayed because the server has too many, passed, or the code of the failure.",
    {"event": ("begun", "delayed", "passed", *AttemptFailure)},
)
CREDIT = 2
"""Frames that may be in progress at once: one is judged while the next is sent."""
FRAMES_PER_SECOND = 15
BUSY: Final = {"type": "busy", "retryAfterSeconds": 3}
BUSY_PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds between tries to store what a person has done: a busy server must not lose it."""


@dataclass(slots=True, eq=False)
class Capture:
    """One session with its connections. Only the event loop uses it. Every step of an attempt holds the lock."""

    services: CaptureServices
    row: SessionRow
    tenant: Tenant
    max_attempts: int
    minimum_match_level: int
    returns_data: bool
    """Whether the browser gets the result of an ending without success, which then has an audit image."""
    failures: int
    forget: Callable[["Capture"], None]
    """Called when no browser is connected and no attempt is in progress."""
    unreported_failure: str | None = None
    """The failure of an attempt that ended while no browser was connected."""
    over: bool = False
    holder: Participant | None = None
    watchers: set[Participant] = field(default_factory=set)
    _attempt: Attempt | None = None
    """The attempt that is in progress or about to begin."""
    held: str | None = None
    """The attempt that the database may name as this server's, also while it is decided."""
    _liveness: dict[str, Any] = field(default_factory=dict)
    _advice: verdicts.Advice | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _chores: set["asyncio.Task[None]"] = field(default_factory=set)

    @property
    def options(self) -> SessionOptions:
        return SessionOptions.stored(self.row.options)

    @property
    def mode(self) -> LivenessMode:
        return choose_mode(self.options, self.tenant.settings)

    @property
    def attempts_left(self) -> int:
        return self.max_attempts - self.failures

    @property
    def _check(self) -> LivenessCheck | None:
        """The check of the attempt in progress."""
        return self._attempt.check if self._attempt else None

    async def join(self, participant: Participant, *, watch: bool = False) -> None:
        """Add a connection: as holder if it wishes and may, else as watcher."""
        watch = watch or await self._is_elsewhere(participant)
        attempt = self._attempt
        if watch or (attempt and not attempt.belongs_to(participant.device)):
            await self._step_aside(participant)
            return
        previous, self.holder = self.holder, participant
        if attempt:
            attempt.absence = None
        self.watchers.discard(participant)
        if previous is not None and previous is not participant:
            # The previous connection of the same device is lost, or is another tab. That tab must not return at once.
            previous.dismissed = previous.device == participant.device
            if not previous.dismissed:
                self.watchers.add(previous)
            await previous.connection.send({"type": "elsewhere"})
        async with self._lock:
            if self.over or await self._end_if_used_up():
                return
        await participant.connection.send(self._ready(participant))
        self.unreported_failure = None

    async def leave(self, participant: Participant) -> None:
        """Remove a connection. An attempt that it held waits for its device for a while."""
        self.watchers.discard(participant)
        if self.holder is participant:
            self.holder = None
            if self._attempt and self._attempt.check:
                self.begin_chore(self._give_up_waiting(self._attempt, self._attempt.leave()))
        self._forget_if_deserted()

    async def start(self, participant: Participant, *, flash: bool, camera: DeclaredCamera) -> None:
        """Begin the next attempt. Raises SessionExpiredOrNotFound."""
        async with self._lock:
            if self.holder is not participant or self.over:
                return
            if self._check is not None:  # the camera was lost during the attempt, which continues
                await participant.connection.send({"type": "started", "credit": CREDIT})
                return
            if await self._end_if_used_up():
                return
            if not self.services.slots.take(self.tenant.id):
                _attempts.add("delayed")
                await participant.connection.send(BUSY)
                return
            attempt = Attempt(participant.device, partial(self.services.slots.give_back, self.tenant.id))
            self._attempt, self.held = attempt, attempt.id
            try:
                noted = digest(participant.device)
                row = await _insist(
                    lambda: self.services.sessions.begin_attempt(self.row.id, attempt.id, device_digest=noted)
                )
                if row.attempt_id == attempt.id:
                    request = CheckRequest(self.row.id, self.mode, flash, camera)
                    attempt.check = self.services.new_check(self.services.engine, request)
            except BaseException:
                self._let_go()
                raise
            self._note_failures(row)
            if attempt.check is None:
                self._let_go()
                if not await self._end_if_used_up():
                    await self._step_aside(participant)
                return
            _attempts.add("begun")
            await participant.connection.send({"type": "started", "credit": CREDIT})

    async def judge(self, participant: Participant, header: FrameHeader, jpeg: bytes) -> None:
        """Judge one frame, and answer with the next instruction. Raises InvalidInput for an invalid frame."""
        received_at = self.services.monotonic()
        if len(jpeg) > self.services.largest_frame_bytes:
            raise InvalidInput(f"A frame may have at most {self.services.largest_frame_bytes} bytes.")
        async with self._lock:
            check = self._check
            if self.holder is not participant or check is None:
                return  # the browser sent it before it knew of the attempt's end
            try:
                instruction = await self.services.executor.run(
                    judge_frame, self.services.engine, check, header, jpeg, received_at, participant.signer
                )
            except ServiceUnavailable:
                await participant.connection.send({"type": "skipped", "credit": 1})
                return
            await self._instruct(participant, instruction, check, credit=1)
        # The server sets the pace: it reads no message before the next frame is due.
        await asyncio.sleep(max(0.0, received_at + 1 / FRAMES_PER_SECOND - self.services.monotonic()))

    async def tick(self, participant: Participant) -> None:
        """Let the attempt notice that no frame arrives."""
        async with self._lock:
            check = self._check
            if self.holder is participant and check is not None:
                try:
                    instruction = await self.services.executor.run(check.tick, self.services.monotonic())
                except ServiceUnavailable:
                    return  # the next tick is enough
                await self._instruct(participant, instruction, check, credit=0)

    async def cancel(self, participant: Participant) -> None:
        """End the session because its holder cancels it."""
        async with self._lock:
            if self.holder is participant and not self.over:
                await self._end(self._conclusion(SessionState.CANCELLED, EndError.USER_CANCEL))

    async def expire(self) -> None:
        """End the session because its time is over."""
        async with self._lock:
            if not self.over:
                await self._end(self._conclusion(SessionState.EXPIRED, EndError.EXPIRED), ended_at=self.row.expires_at)

    async def drop(self) -> None:
        """End the capture of a purged session."""
        async with self._lock:
            await self._announce_end(await self._stored_end(None))

    def differs(self, row: SessionRow | None) -> bool:
        """Whether the stored session went on without this server. A change by this server may be under way."""
        if row is None or not row.is_under_way or len(row.failures) > self.failures:
            return not self.over
        return self.held is not None and row.attempt_id != self.held

    async def catch_up(self) -> None:
        """Take up what became of the session elsewhere. Raises ServiceUnavailable."""
        async with self._lock:
            row = await self.services.sessions.look(self.row.id)
            if self.over:
                return
            if row is None or not row.is_under_way:
                await self._announce_end(await self._stored_end(row))
            elif self._check is not None and row.attempt_id != self.held:
                await self._lose_attempt(row)
            else:
                self._note_failures(row)
        self._forget_if_deserted()

    async def release(self) -> None:
        """End the attempt in progress without counting it, because the server stops."""
        async with self._lock:
            if (attempt := self._attempt) is None:
                return
            self._let_go()
            await self._release(attempt.id)
        self._forget_if_deserted()

    async def _release(self, attempt_id: str | None) -> None:
        """End an attempt without counting it, if the database answers."""
        if attempt_id is None:
            return
        try:
            await self.services.sessions.release_attempt(self.row.id, attempt_id)
        except LikenessError as error:
            log.warning("an attempt that could not be concluded may count as failed: %s", error)

    def begin_chore(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the connections. ``close`` ends it."""
        chore = asyncio.create_task(work)
        self._chores.add(chore)
        chore.add_done_callback(self._chores.discard)

    async def close(self) -> None:
        for chore in self._chores:
            chore.cancel()
        await asyncio.gather(*self._chores, return_exceptions=True)

    async def _is_elsewhere(self, participant: Participant) -> bool:
        """Whether another server has an attempt in progress. One that this device left there counts as failed."""
        if self.held is not None:
            return False
        async with self._lock:
            if self.held is not None or self.over:
                return False
            row = await self.services.sessions.settle_attempt(self.row.id, device_digest=digest(participant.device))
            if row is None:
                return False
            self._note_failures(row)
            return row.is_under_way and row.attempt_id is not None

    def _note_failures(self, row: SessionRow) -> None:
        """Take up failures that another server counted."""
        if len(row.failures) > self.failures:
            self.failures = len(row.failures)
            self.unreported_failure = row.failures[-1]

    async def _lose_attempt(self, row: SessionRow) -> None:
        """Take up that another server counted the attempt as failed. The caller holds the lock."""
        self._let_go()
        self._note_failures(row)
        if self.holder is not None:
            await self.holder.connection.send(self._failure_message(AttemptFailure.TIMEOUT))
            self.unreported_failure = None

    async def _step_aside(self, participant: Participant) -> None:
        """Let a connection watch, because another device or another server has the session."""
        if self.holder is participant:
            self.holder = None
        self.watchers.add(participant)
        await participant.connection.send({"type": "elsewhere"})

    async def _instruct(
        self, participant: Participant, instruction: Instruction, check: LivenessCheck, *, credit: int
    ) -> None:
        over = instruction.verdict is not None
        await participant.connection.send(
            {"type": "instruct", **instruction.as_json(), "credit": 0 if over else credit}
        )
        if instruction.verdict is not None:
            attempt_id = self.held
            self._drop_attempt()
            try:
                await self._conclude(participant, instruction.verdict, check.best)
            except LikenessError:  # the person did nothing wrong, so the attempt does not count
                await self._release(attempt_id)
                raise
            finally:
                self.held = None

    async def _conclude(self, participant: Participant, verdict: Verdict, best: KeyFrame | None) -> None:
        """Decide a finished attempt by its best frame. The caller holds the lock."""
        margin = self.tenant.settings.liveness_review_margin
        self._liveness = verdicts.judged(verdict, best, margin, participant.attestation)
        decision = None
        if best is not None:
            reference, least = self.services.sessions.open_template(self.tenant, self.row), self.minimum_match_level
            decision = compare_with_reference(self.services.engine, reference, best, minimum_level=least)
        failure = verdicts.failure_of(verdict, best, decision)
        if failure is None and best is not None and decision is not None:
            await self._succeed(best, decision)
            return
        log.info("session %s: %s, signals that failed: %s", self.row.id, failure, verdicts.for_support(verdict))
        self._advice = verdicts.advise(verdict) if failure is AttemptFailure.LIVENESS else None
        await self._fail(failure or AttemptFailure.LIVENESS, decision)

    async def _succeed(self, best: KeyFrame, decision: ReferenceComparison) -> None:
        """Search the gallery if the session asks for it, and end the session. The caller holds the lock."""
        one_to_n, wanted = OneToN(), self.options.one_to_n
        if wanted != "none":
            enrolment = self.services.sessions.enrolment(self.row, self.held) if wanted == "insert" else None
            try:
                one_to_n = await _insist(lambda: look_up(self.services.gallery, self.tenant, best, enrolment))
            except FaceRefused:  # the gallery's pack finds no face in a frame in which this pack finds one
                await self._fail(AttemptFailure.PICTURE, decision)
                return
            if one_to_n.found:
                self.services.trail.record(Action.SEARCH, one_to_n.entry_id, outcome=HIT)
        _attempts.add("passed")
        await self._end(self._conclusion(SessionState.SUCCEEDED, None, decision, one_to_n=one_to_n))

    async def _fail(self, failure: AttemptFailure, decision: ReferenceComparison | None) -> None:
        """Count a failed attempt. The last one ends the session. The caller holds the lock."""
        sessions, attempt_id = self.services.sessions, self.held
        self.failures = len(await _insist(lambda: sessions.fail_attempt(self.row.id, failure, attempt_id=attempt_id)))
        _attempts.add(failure)
        if self.attempts_left <= 0:
            # The result has no comparison of a face that is not live, only its image.
            compared = failure in {AttemptFailure.NO_MATCH, AttemptFailure.PICTURE}
            reported = decision if compared or self._liveness.get("uncertain") else None
            audit = decision.audit if decision else None
            await self._end(
                self._conclusion(SessionState.FAILED, EndError.TOO_MANY_ATTEMPTS, reported, audit=audit), failure
            )
            return
        if self.holder is not None:
            await self.holder.connection.send(self._failure_message(failure))
        else:
            self.unreported_failure = failure

    async def _end_if_used_up(self) -> bool:
        """End a session whose last attempt was counted but whose end could not be stored. The caller holds the lock."""
        if self.attempts_left > 0 or self._check is not None or self.over:
            return False
        await self._end(self._conclusion(SessionState.FAILED, EndError.TOO_MANY_ATTEMPTS))
        return True

    async def _give_up_waiting(self, attempt: Attempt, absence: object) -> None:
        await asyncio.sleep(self.services.grace_seconds)
        async with self._lock:
            if self._attempt is attempt and attempt.absence is absence:
                self._drop_attempt()
                try:
                    await self._fail(AttemptFailure.TIMEOUT, None)
                except LikenessError as error:
                    log.warning("an attempt that its device left was not counted: %s", error)
                finally:
                    self.held = None
        self._forget_if_deserted()  # also after a purge meanwhile

    def _conclusion(
        self,
        state: SessionState,
        error: EndError | None,
        decision: ReferenceComparison | None = None,
        *,
        audit: AuditFrame | None = None,
        one_to_n: OneToN | None = None,
    ) -> Conclusion:
        unjudged = {"live": False, "mode": self.mode, "signals": []}
        return Conclusion(
            state,
            error,
            match_level=decision.level if decision else 0,
            false_match_rate=decision.false_match_rate if decision else 1.0,
            liveness=self._liveness or unjudged,
            one_to_n=one_to_n or OneToN(),
            audit=(decision.audit if decision else audit)
            if state is SessionState.SUCCEEDED or self.returns_data or self._liveness.get("uncertain")
            else None,
        )

    async def _end(
        self, conclusion: Conclusion, failure: AttemptFailure | None = None, *, ended_at: float | None = None
    ) -> None:
        """End the session, and send the end to all connections. The caller holds the lock."""
        jti, sessions, attempt_id = new_id(), self.services.sessions, self.held
        jws = await _insist(
            lambda: sessions.end(self.row.id, conclusion, ended_at=ended_at, jti=jti, attempt_id=attempt_id)
        )
        if jws is None and (row := await sessions.look(self.row.id)) is not None and row.is_under_way:
            await self._lose_attempt(row)
            return
        error = conclusion.error if jws else EndError.EXPIRED
        copy = await self.services.sessions.browser_copy(self.tenant, jws)
        await self._announce_end(end_message(self.options, copy, error, failure, returns_data=self.returns_data))

    async def _stored_end(self, row: SessionRow | None) -> dict[str, Any]:
        """Give the message of an end that another server made, or of a purge."""
        if row is None:
            return end_message(self.options, None, EndError.EXPIRED, returns_data=False)
        return await stored_end(self.services.sessions, self.tenant, row, returns_data=self.returns_data)

    def _failure_message(self, failure: AttemptFailure) -> dict[str, Any]:
        advice = {"advice": self._advice} if self._advice and failure is AttemptFailure.LIVENESS else {}
        return {"type": "attempt", "statusCode": failure, "attemptsLeft": self.attempts_left, **advice}

    async def _announce_end(self, message: dict[str, Any]) -> None:
        self._let_go()
        self.over = True
        participants = [*self.watchers, *([self.holder] if self.holder else [])]
        await asyncio.gather(*(participant.connection.send(message) for participant in participants))

    def _forget_if_deserted(self) -> None:
        if self.holder is None and not self.watchers and self._check is None and self.held is None:
            self.forget(self)

    def _let_go(self) -> None:
        """Have nothing to do any more with the attempt in progress."""
        self._drop_attempt()
        self.held = None

    def _drop_attempt(self) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt:
            attempt.close()

    def _ready(self, participant: Participant) -> dict[str, Any]:
        return {
            "type": "ready",
            "sessionId": self.row.id,
            "device": participant.device,
            "nonce": participant.signer.nonce,
            "mode": self.mode,
            "flash": self.mode is not LivenessMode.PASSIVE,
            "privacy": privacy_notice(self.tenant.settings, self.options, image_seconds=self.services.image_seconds),
            "attemptsLeft": self.attempts_left,
            "failed": self.unreported_failure,
            "underWay": self._check is not None,
            "credit": CREDIT if self._check is not None else 0,
            "expiresInSeconds": round(self.row.expires_at - self.services.clock.now(), 1),
            "frame": {"longSide": FRAME_LONG_SIDE, "intervalMs": round(1000 / FRAMES_PER_SECOND)},
        }


async def _insist(work: Callable[[], Awaitable[T]]) -> T:
    """Repeat work for some seconds while the server is busy. The work must allow that it was done already.

    Raises ServiceUnavailable.
    """
    for pause in BUSY_PAUSES:
        try:
            return await work()
        except ServiceUnavailable:
            await asyncio.sleep(pause)
    return await work()


def digest(device: str) -> str:
    """Give the SHA-256 of a device's secret in hexadecimal, which the session stores."""
    return hashlib.sha256(device.encode()).hexdigest()
