"""The capture page, the component's files, and the socket that both use."""

from importlib.resources import files
from typing import Final

from fastapi import APIRouter, WebSocket
from fastapi.responses import HTMLResponse
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from likeness.kit.ids import is_uuid
from likeness.sessions.capture.connection import BrowserConnection
from likeness.sessions.endpoints import SessionComponents
from likeness.web.components import components_of
from likeness.web.pages import content_policy

router = APIRouter(include_in_schema=False)

STATIC = files("likeness") / "static"
PAGE: Final = (STATIC / "capture" / "page.html").read_text(encoding="utf-8")
PAGE_HEADERS: Final = {
    "Content-Security-Policy": content_policy({"media-src": "'self' blob:", "require-trusted-types-for": "'script'"}),
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), display-capture=()",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@router.get("/capture/{session_id}")
async def get_capture_page(session_id: str) -> HTMLResponse:
    """Give the page. It contains nothing of the session, which the token in the fragment opens.

    The page also reports a malformed link.
    """
    return HTMLResponse(PAGE, 200 if is_uuid(session_id) else 404, headers=PAGE_HEADERS)


@router.websocket("/api/v1/capture/{session_id}")
async def capture(websocket: WebSocket, session_id: str) -> None:
    """Carry out a session.

    The first message must have the capture token (see ``likeness.sessions.capture.messages``).
    """
    await websocket.accept()
    captures = components_of(websocket.app, SessionComponents).captures
    await captures.serve(BrowserConnection(websocket), session_id)


class StaticAssets(StaticFiles):
    """The package's static files. Pages of other sites may load them as modules."""

    def __init__(self) -> None:
        super().__init__(directory=str(STATIC))

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=300"
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return response
