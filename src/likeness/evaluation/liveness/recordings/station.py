"""A server in recording mode: a page that asks for consent and labels, and the check that records.

It belongs to a server that does nothing else. The attempts themselves are those of the ordinary capture page.
"""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.resources import files
from typing import Annotated, Any, Final, Literal

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from likeness.engine.base import Engine
from likeness.errors import InvalidInput, NotFound
from likeness.evaluation.liveness.recordings.recorder import RecordedCheck
from likeness.evaluation.liveness.recordings.recording import BONA_FIDE, Consent, Label, Recording
from likeness.liveness.attempt.script import draw_script
from likeness.liveness.base import LivenessCheck
from likeness.sessions.capture.services import CheckRequest
from likeness.sessions.composition import open_check
from likeness.sessions.endpoints import SessionComponents
from likeness.sessions.schemas import SessionOptions
from likeness.tenants.service import Tenant
from likeness.web.components import components_of
from likeness.web.http import read_body
from likeness.web.pages import content_policy, load_page
from likeness.web.wire import Photo, faults_of

LARGEST_BODY_BYTES = 8 * 1024 * 1024
SESSIONS_KEPT = 1000
_PAGES = files("likeness.evaluation.liveness.recordings") / "pages"
_HEADERS: Final = {
    "Content-Security-Policy": content_policy({"media-src": "'self' blob:"}),
    "Permissions-Policy": "camera=(self)",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
CONSENT_TEXT: Final = (
    "I agree that this station records my face. It keeps the pictures of the camera, their times, the colours on the "
    "screen and the labels on this page. They are encrypted. They serve to measure how well the liveness check works. "
    "I may stop at any time. I may ask for the deletion of my recordings, by the code on this page."
)

_Words = Annotated[str, StringConstraints(strip_whitespace=True, max_length=100)]
_Kind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class PrefilledLabels(BaseModel):
    """The labels that a command prefills, and that stay from one attempt to the next."""

    model_config = ConfigDict(extra="forbid")

    kind: _Kind
    instrument: _Words = ""
    device: _Words = ""
    light: _Words = ""


class RecordingRequest(PrefilledLabels):
    """What the page sends: the labels of the next attempt, the consent, and a photo of the person."""

    consent: Literal[True]
    subject: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
    photo: Photo = Field(description="Opens the session. It is not kept.")


@dataclass(slots=True)
class RecordingStation:
    """Opens sessions with labels, and records their attempts."""

    app: FastAPI
    tenant: Tenant
    client_id: str
    options: SessionOptions
    """The options of each session. ``redirect_url`` leads back to the page."""
    prefilled: Label
    """The labels that the page begins with."""
    keep: Callable[[Recording], object]
    on_kept: Callable[[Recording], None] = lambda _recording: None
    recorded: int = 0
    _labels: dict[str, tuple[Label, Consent]] = field(default_factory=dict)

    def install(self) -> None:
        """Add the pages to the application, and let its checks record."""
        captures = components_of(self.app, SessionComponents).captures
        captures.services = replace(captures.services, new_check=self._new_check)
        self.app.router.routes[:0] = [
            Route("/record", self.show),
            Route("/record/sessions", self.open_session, methods=["POST"]),
            Route("/record/{name}", self.give_file),
        ]

    async def show(self, _request: Request) -> Response:
        page = load_page("likeness.evaluation.liveness.recordings", "station.html")
        text = page.render(consent=CONSENT_TEXT, label=self.prefilled, bona_fide=BONA_FIDE, recorded=self.recorded)
        return Response(text, media_type="text/html", headers=_HEADERS)

    async def give_file(self, request: Request) -> Response:
        kinds = {"station.js": "text/javascript", "station.css": "text/css"}
        name = request.path_params["name"]
        if name not in kinds:
            raise NotFound("There is no such page.")
        return Response((_PAGES / name).read_text(encoding="utf-8"), media_type=kinds[name], headers=_HEADERS)

    async def open_session(self, request: Request) -> Response:
        """Open a session of the recording. Nothing is recorded without the consent."""
        return JSONResponse({"captureUrl": await self._open(await _body(request))}, 201)

    async def _open(self, body: bytes) -> str:
        try:
            wanted = RecordingRequest.model_validate_json(body)
        except ValidationError as error:
            raise InvalidInput(faults_of(error)) from error
        sessions = components_of(self.app, SessionComponents).sessions
        opened = await sessions.open(self.tenant, self.client_id, wanted.photo, self.options)
        label = Label(wanted.kind, wanted.subject, wanted.instrument, wanted.device, wanted.light)
        consent = Consent(
            datetime.now(UTC).isoformat(timespec="seconds"), hashlib.sha256(CONSENT_TEXT.encode()).hexdigest()
        )
        self._labels[opened.id] = label, consent
        while len(self._labels) > SESSIONS_KEPT:
            del self._labels[next(iter(self._labels))]
        return opened.capture_url

    def _new_check(self, engine: Engine, request: CheckRequest) -> LivenessCheck:
        if request.session_id not in self._labels:
            return open_check(engine, request)
        label, consent = self._labels[request.session_id]
        script = draw_script(request.mode, flash=request.flash)
        return RecordedCheck(engine, script, request.camera, label, consent, self._keep)

    def _keep(self, recording: Recording) -> None:
        self.keep(recording)
        self.recorded += 1
        self.on_kept(recording)


async def _body(request: Request) -> bytes:
    """Read a body within its limits of bytes and time. Raises PayloadTooLarge, InvalidInput."""
    try:
        async with asyncio.timeout(30):
            return await read_body(request, limit_bytes=LARGEST_BODY_BYTES)
    except TimeoutError as error:
        raise InvalidInput("The photo came too slowly.") from error


def labels_of(**members: Any) -> Label:
    """Make the labels that a command prefills. Raises InvalidInput for a kind that is no plain word."""
    try:
        PrefilledLabels(**members)
    except ValidationError as error:
        raise InvalidInput(faults_of(error)) from error
    return Label(**members)
