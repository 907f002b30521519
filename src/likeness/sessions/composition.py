"""The parts of a face session, put together for ``likeness.app``."""

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from likeness.deployment import Deployment
from likeness.engine.base import Engine
from likeness.engine.workers import FaceWorkers
from likeness.gallery.service import GalleryService
from likeness.kit.executors import SizedExecutor
from likeness.kit.fairness import Shares
from likeness.kit.jose import Signer
from likeness.kit.repeating import repeat_forever
from likeness.liveness.attempt.check import Check
from likeness.liveness.attempt.script import draw_script
from likeness.liveness.base import LivenessCheck
from likeness.liveness.calibration import LivenessCalibration
from likeness.liveness.thresholds import THRESHOLDS, Thresholds
from likeness.results.service import Results
from likeness.sessions.attestation.loading import load_verifier
from likeness.sessions.capture.hub import CaptureHub
from likeness.sessions.capture.services import CaptureServices, CheckRequest
from likeness.sessions.mode import NO_PASSIVE_MODEL
from likeness.sessions.service import SessionService
from likeness.sessions.velocity import PhotoAttempts
from likeness.settings import Settings
from likeness.store.sharing.holding import LeaseHolder
from likeness.tenants.service import Tenants
from likeness.usage.counting import Usage
from likeness.webhooks.courier import Courier
from likeness.webhooks.outbox import Outbox
from likeness.webhooks.sender import Sender

log = logging.getLogger("likeness.sessions")

ATTEMPTS_PER_WORKER = 8
"""Attempts in progress at once. More would take frames from each other, so further attempts wait a moment."""


@dataclass(frozen=True, slots=True)
class ComposedSessions:
    """The parts of a server that face sessions need."""

    service: SessionService
    results: Results
    captures: CaptureHub
    courier: Courier
    sender: Sender
    """Closed with the courier."""
    frames: SizedExecutor

    def chores(self, holder: LeaseHolder) -> Iterable[Coroutine[Any, Any, None]]:
        """Give the work that runs while the server runs. Each part runs until cancelled."""
        return (
            self.captures.follow(),
            holder.while_held("webhooks", self.courier.run),
            holder.while_held("sessions", self.sweep),
        )

    async def sweep(self) -> None:
        """Delete expired data again and again, until cancelled. No sweep waits for another."""
        sweeps = self.service.remove_expired, self.results.remove_expired, self.courier.remove_old
        await asyncio.gather(*map(repeat_forever, sweeps))

    async def close(self) -> None:
        await self.captures.close()
        await self.courier.close()
        self.frames.close()


def open_check(engine: Engine, request: CheckRequest, *, thresholds: Thresholds = THRESHOLDS) -> LivenessCheck:
    """Make the check of one attempt, with a new challenge."""
    return Check(engine, draw_script(request.mode, flash=request.flash), request.camera, thresholds=thresholds)


def compose_sessions(
    deployment: Deployment, faces: FaceWorkers, gallery: GalleryService, signer: Signer, usage: Usage
) -> ComposedSessions:
    """Build the parts of face sessions."""
    database, tenants, clock, settings = deployment.database, deployment.tenants, deployment.clock, deployment.settings
    _warn_of_passive_mode(faces.engine, tenants)
    results = Results(
        database,
        signer,
        clock,
        Outbox(clock),
        issuer=settings.origin,
        ttl_seconds=settings.result_ttl_seconds,
        image_ttl_seconds=settings.audit_image_ttl_seconds,
    )
    service = SessionService(
        faces,
        database,
        tenants,
        results,
        signer,
        clock,
        origin=settings.origin,
        ttl_seconds=settings.session_ttl_seconds,
        ticket_key=deployment.derived_key("capture ticket"),
        photo_attempts=PhotoAttempts(deployment.derived_key("ID photo"), settings.attempts_per_photo),
        usage=usage,
    )
    sender = Sender.of(settings, clock)
    courier = Courier(
        database,
        tenants,
        signer,
        sender,
        clock,
        replay_seconds=settings.webhook_replay_hours * 3600,
    )
    # Frames have their own pool, because a frame must not wait for photos.
    frames = SizedExecutor("frame", workers=settings.workers)
    services = CaptureServices(
        engine=faces.engine,
        executor=frames,
        sessions=service,
        gallery=gallery,
        clock=clock,
        trail=deployment.trail,
        slots=Shares(settings.workers * ATTEMPTS_PER_WORKER),
        new_check=partial(open_check, thresholds=_thresholds(settings)),
        largest_frame_bytes=settings.max_frame_bytes,
        image_seconds=settings.audit_image_ttl_seconds,
        attestations=load_verifier(settings.attestation),
    )
    return ComposedSessions(service, results, CaptureHub(services, tenants), courier, sender, frames)


def _thresholds(settings: Settings) -> Thresholds:
    """Give the thresholds of the liveness signals. Raises SetupError for a file that cannot be used."""
    if settings.liveness_thresholds is None:
        return THRESHOLDS
    calibration = LivenessCalibration.read(settings.liveness_thresholds)
    log.info("liveness thresholds %s", calibration.name)
    if calibration.basis.simulated:
        log.warning("the liveness thresholds rest on simulated attempts, and on no person or real attack")
    return calibration.thresholds()


def _warn_of_passive_mode(engine: Engine, tenants: Tenants) -> None:
    if engine.judges_passively:
        return
    passive = tenants.names_where(lambda settings: settings.liveness_mode == "passive")
    if passive:
        log.warning(
            "%s It is the mode of the tenants %s, whose face sessions cannot be opened.",
            NO_PASSIVE_MODEL,
            ", ".join(passive),
        )
