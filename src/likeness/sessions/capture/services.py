"""The parts of the server that every capture needs."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from likeness.audit.trail import Trail
from likeness.engine.base import Engine
from likeness.gallery.service import GalleryService
from likeness.kit.clock import Clock
from likeness.kit.executors import SizedExecutor
from likeness.kit.fairness import Shares
from likeness.liveness.attempt.script import LivenessMode
from likeness.liveness.base import DeclaredCamera, LivenessCheck
from likeness.sessions.attestation.base import AttestationVerifier
from likeness.sessions.service import GRACE_SECONDS, SessionService


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """The wishes and the browser's statements at the start of an attempt."""

    session_id: str
    mode: LivenessMode
    flash: bool
    camera: DeclaredCamera


class NewCheck(Protocol):
    """Makes the liveness check of one attempt."""

    def __call__(self, engine: Engine, request: CheckRequest) -> LivenessCheck: ...


@dataclass(frozen=True, slots=True)
class CaptureServices:
    """The parts of the server that every capture needs."""

    engine: Engine
    executor: SizedExecutor
    sessions: SessionService
    gallery: GalleryService
    clock: Clock
    trail: Trail
    slots: Shares
    """Attempts that may be in progress at once on this server. Tenants share them."""
    new_check: NewCheck
    largest_frame_bytes: int
    image_seconds: int
    """How long a session's audit image is kept after its end."""
    attestations: AttestationVerifier | None = None
    """Verifies the attestations of native apps, if the operator chose a verifier."""
    grace_seconds: float = GRACE_SECONDS
    """How long a device that lost its connection may take to return to its attempt."""
    monotonic: Callable[[], float] = time.monotonic
